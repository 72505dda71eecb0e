"""The lints of the strict profile, one a file: each has a function `findings(subject)`. To add one, write one file."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module

from instructlab_like.checking.hits import Look
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def findings(subject: Subject) -> list[Finding]:
    """What all lints say about a leaf."""
    return [finding for name in NAMES for finding in _lint(name, subject)]


def looks() -> list[Look]:
    """The lints that go by characters alone, for texts that stand in no file."""
    modules = [import_module(f"{__name__}.{name}") for name in NAMES]
    return [module.look for module in modules if hasattr(module, "look")]


def _lint(name: str, subject: Subject) -> Iterable[Finding]:
    # Imported when the first leaf is looked at: a tree that has not changed needs no lint at all.
    found: Iterable[Finding] = import_module(f"{__name__}.{name}").findings(subject)
    return found
