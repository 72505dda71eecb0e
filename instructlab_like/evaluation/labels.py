"""What people said of answers, to hold a judge against: read from a file, and how far the judge agrees with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from instructlab_like.errors import InputError, explain, position
from instructlab_like.evaluation.shares import Correlation, Share
from instructlab_like.records import Record

NEAR = 1.0  # grades that lie no further apart agree
WIDEST = 9.0  # between two grades
FIX = (
    'a line is {"item": id or question, "answer": text or "model": name, "grade": 1 to 10}, or '
    '"preference": better, tie or worse, then with "other": the other answer, unless a model is named'
)

Preference = Literal["better", "tie", "worse"]


class Label(Record):
    """A line of a labels file: a grade of an answer, or how it compares with another.

    The answer is a text, or what a model of this run gave; the other one then is the base's.
    """

    item: Annotated[str, Field(min_length=1)]  # Item.id, or the question as it is written
    answer: str | None = None
    model: str | None = None
    grade: Annotated[float, Field(ge=1, le=10, strict=True)] | None = None
    preference: Preference | None = None
    other: str | None = None
    labeller: str | None = None

    @model_validator(mode="after")
    def one_of_each(self) -> Label:
        if (self.answer is None) == (self.model is None):
            raise ValueError("names an answer or a model, one of the two")
        if (self.grade is None) == (self.preference is None):
            raise ValueError("holds a grade or a preference, one of the two")
        if (self.other is not None) != (self.preference is not None and self.answer is not None):
            raise ValueError("names another answer where, and only where, a preference is of an answer")
        return self


class Pairing(NamedTuple):
    """What a person and the judge said of the same; `item` is what both depend on."""

    item: Hashable
    person: float
    judge: float


class Agreement(Record):
    """How far judge and people agree: how often, and beyond chance (Cohen's kappa; of grades with squared weights)."""

    n: int
    same: Share  # of preferences the same, of grades within one
    kappa: Correlation | None  # None: one of them says the same of everything


class LabelAgreement(Record):
    grades: Agreement | None
    preferences: Agreement | None
    unmatched: int  # labels of questions or models that this run does not have
    unjudged: int  # labels of answers that the judge gave no grade

    def sentences(self) -> Iterator[str]:
        if self.grades:
            yield f"within one grade of people in {self.grades.same.told()} labels"
        if self.preferences:
            yield f"prefers what people prefer in {self.preferences.same.told()} labels"
        if self.unmatched:
            yield f"{self.unmatched} labels are of questions or models that are not judged here"
        if self.unjudged:
            yield f"{self.unjudged} labels are of answers that it did not judge"


def read(path: Path) -> tuple[Label, ...]:
    """The labels of a file; InputError with the line for one that is none, and for a file without any."""
    try:
        found = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), fix="name a JSONL file") from error
    labels = []
    for number, line in enumerate(found, start=1):
        if line.strip():
            try:
                labels.append(Label.model_validate_json(line))
            except ValidationError as error:
                what = "; ".join(explain(error))
                raise InputError(what, where=position(path, number), fix=FIX) from error
    if not labels:
        raise InputError("holds no label", where=str(path), fix=FIX)
    return tuple(labels)


def grades_agree(pairs: Sequence[Pairing]) -> Agreement | None:
    """Of grades from 1 to 10."""
    near = [float(abs(one.person - one.judge) <= NEAR) for one in pairs]
    same = Share.of(near, [one.item for one in pairs])
    return Agreement(n=len(pairs), same=same, kappa=kappa(pairs, WIDEST)) if same else None


def preferences_agree(pairs: Sequence[Pairing]) -> Agreement | None:
    """Of preferences, as numbers that stand for them."""
    same = Share.of([float(one.person == one.judge) for one in pairs], [one.item for one in pairs])
    return Agreement(n=len(pairs), same=same, kappa=kappa(pairs, None)) if same else None


def kappa(pairs: Sequence[Pairing], widest: float | None) -> Correlation | None:
    """Cohen's kappa (1960); with `widest` weighted by squared distances (1968). None where chance alone would agree.

    The interval is that of the agreement, for what chance gives: so forty agreements of forty are no certainty.
    """

    def alike(one: float, other: float) -> float:
        return float(one == other) if widest is None else 1 - ((one - other) / widest) ** 2

    agreed = Share.of([alike(one.person, one.judge) for one in pairs], [one.item for one in pairs])
    people, judge = Counter(one.person for one in pairs), Counter(one.judge for one in pairs)
    crossed = sum(alike(a, b) * times * others for a, times in people.items() for b, others in judge.items())
    chance = crossed / max(1, len(pairs)) ** 2
    if agreed is None or chance > 1 - 1e-9:
        return None
    low, value, high = ((part - chance) / (1 - chance) for part in (agreed.low, agreed.share, agreed.high))
    return Correlation(value=value, low=max(-1.0, low), high=min(1.0, high), n=len(pairs))
