"""What all filters have in common that ask a model: who is asked, and who may not be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from instructlab_like.filters import AskFilter


class Judge(AskFilter):
    """A filter whose questions go to a model of another family than the sample's maker."""

    same_family: bool = False
    """Let a model of the maker's own family judge, which shares its blind spots; each verdict says so."""


class MeasuredJudge(Judge):
    """One whose scores are held against planted truth each time."""

    planted: Annotated[int, Field(ge=0, le=1000)] = 40
    """Pairs of a sample and the same with a planted fault, on which the judge is judged; 0: none."""
