"""Another threshold, tried: filters with some options changed, and what they would decide otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import yaml

from instructlab_like.errors import RecipeError
from instructlab_like.filters import expand, find, members, nearest, places
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Record, Sample, Verdict

FIX = "write filter.option=value, such as near_duplicate.similarity=0.8, or filter=off, or filter=on"
SHOWN = 5  # examples of each kind
Rejected = Callable[[str], Verdict | None]


class Example(Record):
    """A sample about which a trial decides otherwise."""

    id: str
    leaf: str
    question: str
    answer: str
    verdict: Verdict  # what rejects it, or rejected it


class Changed(Record):
    """What a trial decides otherwise: counts, and the first few of each in id order."""

    newly_kept: int
    newly_rejected: int
    kept: tuple[Example, ...]
    rejected: tuple[Example, ...]

    def lines(self) -> Iterator[str]:
        yield f"what if: {self.newly_kept:,} more samples would be kept, {self.newly_rejected:,} more rejected"
        for title, examples, all_of in (
            ("would be kept, though now rejected by", self.kept, self.newly_kept),
            ("would be rejected by", self.rejected, self.newly_rejected),
        ):
            for one in examples:
                verdict = one.verdict
                yield f"  {one.id[:12]} {title} {verdict.filter}: {verdict.reason}"
                yield f"    {clipped(one.question)} → {clipped(one.answer)}"
            if all_of > len(examples):
                yield f"  … and {all_of - len(examples):,} more"


def clipped(text: str, most: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def applied(choices: Sequence[FilterChoice], told: Sequence[str]) -> tuple[FilterChoice, ...]:
    """The choices with what `--what-if` says of some of them."""
    chosen = {choice.name: choice for choice in expand(choices)}
    for one in told:
        left, equals, right = one.partition("=")
        name, point, option = left.strip().partition(".")
        if not equals or not name or not right.strip() or (point and not option):
            raise RecipeError("says nothing that can be tried", where=f"--what-if {one}", fix=FIX)
        if name not in places():
            raise RecipeError(f"there is no filter {name!r}", where=f"--what-if {one}", fix=nearest(name, members()))
        if not option:
            if right not in ("on", "off"):
                raise RecipeError(f"{name} is set to neither on nor off", where=f"--what-if {one}", fix=FIX)
            if right == "on":
                chosen.setdefault(name, FilterChoice(name=name))
            else:
                chosen.pop(name, None)
            continue
        if option not in find(name).model_fields:
            fix = nearest(option, find(name).model_fields)
            raise RecipeError(f"filter {name!r} has no option {option!r}", where=f"--what-if {one}", fix=fix)
        before = chosen.get(name) or FilterChoice(name=name)
        chosen[name] = before.model_copy(update={"options": {**before.options, option: value_of(right, one)}})
    return in_order(chosen)


def in_order(chosen: dict[str, FilterChoice]) -> tuple[FilterChoice, ...]:
    """By phase; within one as they were named."""
    phases = list(dict.fromkeys(places().values()))
    return tuple(sorted(chosen.values(), key=lambda choice: phases.index(places()[choice.name])))


def value_of(text: str, told: str) -> int | float | str | bool:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError("is no value", where=f"--what-if {told}", fix=FIX) from error
    if not isinstance(value, int | float | str | bool):
        raise RecipeError(f"{text} is no number, text, true or false", where=f"--what-if {told}", fix=FIX)
    return value


def compared(before: Sequence[Sample], rejected: Rejected, after: Sequence[Sample], rejected_then: Rejected) -> Changed:
    """What the second sifting keeps and the first does not, and the other way round; both kept in id order."""
    now, then = {sample.id for sample in before}, {sample.id for sample in after}
    fresh = [sample for sample in after if sample.id not in now]
    gone = [sample for sample in before if sample.id not in then]
    return Changed(
        newly_kept=len(fresh),
        newly_rejected=len(gone),
        kept=examples(fresh, rejected),
        rejected=examples(gone, rejected_then),
    )


def examples(samples: Sequence[Sample], rejected: Rejected) -> tuple[Example, ...]:
    found: list[Example] = []
    for sample in samples:
        verdict = rejected(sample.id)
        if verdict is not None and len(found) < SHOWN:
            found.append(
                Example(
                    id=sample.id,
                    leaf=sample.lineage.leaf,
                    question=sample.question,
                    answer=sample.answer,
                    verdict=verdict,
                )
            )
    return tuple(found)
