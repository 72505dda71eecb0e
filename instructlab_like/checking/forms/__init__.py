"""How findings are printed, one form a file: for people, for programs, and for the places that show annotations."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from instructlab_like.checking.whole import Outcome

Form = Literal["text", "json", "github", "sarif"]


def printed(outcome: Outcome, form: Form) -> str:
    # One of them is wanted, and a check of a tree that has not changed takes less time than importing all.
    text: str = import_module(f"{__name__}.{form}").printed(outcome)
    return text
