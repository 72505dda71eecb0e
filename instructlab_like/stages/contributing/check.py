"""`ilk check`: the findings of leaves, printed for people or for programs; with `--fix`, of what a repair has left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instructlab_like.checking.forms import Form, printed
from instructlab_like.checking.forms.plain import line
from instructlab_like.checking.leaf import Options
from instructlab_like.checking.whole import check as look
from instructlab_like.checking.whole import differing
from instructlab_like.console import say, warn
from instructlab_like.errors import InputError
from instructlab_like.taxonomy.tree import Place, located


def check(paths: Sequence[Path], options: Options, *, base: str | None, form: Form, fix: bool = False) -> int:
    """Print all findings of the leaves at or below the paths; returns 2 when one is an error, else 0."""
    if fix:
        places, _ = located(paths)
        _repair(places if base is None else differing(places, base), aside=form != "text")
    outcome = look(paths, options, base=base)
    say(printed(outcome, form))
    return InputError.code if outcome.failed else 0


def _repair(places: Sequence[Place], *, aside: bool) -> None:
    """Repair the leaves and say what was done; `aside` of standard output where programs read that."""
    # The repair brings yamllint, which a check of a tree that has not changed does without.
    from instructlab_like.checking.repair import repair

    tell = warn if aside else say
    for done in repair(places):
        if done.fixed:
            tell(line(f"fixed {done.path}: {', '.join(done.fixed)}"))
        if done.blocks:
            tell("  texts in `|` or `>` blocks changed with it, by blanks and line breaks at line ends alone")
        for reason in done.left:
            tell(line(f"left {done.path}: {reason}"))
