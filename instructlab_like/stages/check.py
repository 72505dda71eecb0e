"""`ilk check`: the findings of leaves, printed for people or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instructlab_like.checking.forms import Form, printed
from instructlab_like.checking.leaf import Options
from instructlab_like.checking.whole import check as look
from instructlab_like.console import say
from instructlab_like.errors import InputError


def check(paths: Sequence[Path], options: Options, *, base: str | None, form: Form) -> int:
    """Print all findings of the leaves at or below the paths; returns 2 when one is an error, else 0."""
    outcome = look(paths, options, base=base)
    say(printed(outcome, form))
    return InputError.code if outcome.failed else 0
