"""A teacher's answer to samples. Whole groups of tags only: what was cut off, doubled or moved is never guessed.

The tags carry numbers, `[QUESTION 2] … [ANSWER 2] … [END 2]`. A lost tag therefore cannot join a question to the
answer of another: numbers that do not agree are seen, however many tags between them are missing. A tag that was
moved is seen by the stray tags around it; only with three or more of those lost as well could it deceive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from instructlab_like.prompts import END
from instructlab_like.records import AskTask, Completion, Sample, Verdict, sample_id

VERSION = 1  # of a verdict: rises when the same answer is read differently
THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)  # of reasoning models, when the server leaves them in


@dataclass(frozen=True)
class Mark:
    """A tag found in an answer; `number` is None for one that is damaged."""

    tag: str
    number: int | None
    start: int
    end: int


@dataclass(frozen=True)
class Group:
    """The texts between one number's tags, by tag."""

    number: int
    texts: dict[str, str]


@dataclass(frozen=True)
class Reading:
    """What an answer holds: groups that are whole, and how many more it began."""

    groups: tuple[Group, ...]
    broken: int


def parse(task: AskTask, completion: Completion) -> list[Sample] | Verdict:
    """The samples of an answer in their order, or a verdict on the call when there is not one whole group."""
    prompt = task.prompt
    found = read(completion.text, prompt.yields)
    if not found.groups:
        why = reason(completion, prompt.yields, found.broken)
        leaf = prompt.lineage.leaf
        return Verdict(subject=prompt.key, leaf=leaf, filter="parse", version=VERSION, keep=False, reason=why)
    return [sample(task, group) for group in found.groups]


def refused(task: AskTask, error: str) -> Verdict:
    """The verdict on a call that the teacher would not answer."""
    prompt = task.prompt
    why = f"the teacher refused the prompt: {error.splitlines()[0]}"
    return Verdict(
        subject=prompt.key, leaf=prompt.lineage.leaf, filter="parse", version=VERSION, keep=False, reason=why
    )


def read(text: str, yields: Sequence[str]) -> Reading:
    """Find the whole groups: all tags of one number, each once, in order, next to each other, around some text.

    A group is also dropped when its neighbour is a stray tag, since what strayed may have been part of it.
    """
    thoughts = THOUGHTS.match(text)
    text = text[thoughts.end() :] if thoughts else text
    order = (*yields, END)
    marks = find_marks(text, order)
    times = Counter((mark.tag, mark.number) for mark in marks)
    groups = []
    for first in range(len(marks)):
        run = marks[first : first + len(order)]
        number = run[0].number
        if number is None or number < 1 or tuple(mark.tag for mark in run) != order:
            continue
        if any(mark.number != number or times[mark.tag, mark.number] > 1 for mark in run):
            continue
        if first and marks[first - 1].tag != END:
            continue
        after = first + len(order)
        if after < len(marks) and marks[after].tag != order[0]:
            continue
        texts = {left.tag: text[left.end : right.start].strip() for left, right in pairwise(run)}
        if all(texts.values()):
            groups.append(Group(number=number, texts=texts))
    begun = len({mark.number for mark in marks})
    return Reading(groups=tuple(groups), broken=begun - len(groups))


def find_marks(text: str, order: Sequence[str]) -> list[Mark]:
    """Every tag, bold or not, and every damaged piece of one, in order."""
    names = "|".join(tag.upper() for tag in order)
    whole = (
        rf"(?P<bold>(?m:^)[ \t]*\*\*)?\[[ \t]*(?P<tag>(?i:{names}))[ \t]*(?P<number>[0-9]{{1,4}})[ \t]*\](?(bold)\*\*)"
    )
    damaged = rf"\[/?[ \t]*(?P<damaged>{names})\b"
    marks = []
    for match in re.finditer(f"{whole}|{damaged}", text):
        tag = (match["tag"] or match["damaged"]).lower()
        number = int(match["number"]) if match["number"] else None
        marks.append(Mark(tag=tag, number=number, start=match.start(), end=match.end()))
    return marks


def reason(completion: Completion, yields: Sequence[str], broken: int) -> str:
    """Why an answer gave nothing, in the words of someone who wants to change that."""
    if not completion.text.strip():
        return f"the answer is empty (finish_reason {completion.finish_reason})"
    cut = "; it was cut off at max_tokens" if completion.finish_reason == "length" else ""
    if not broken:
        return f"the answer holds no tags such as [{yields[0].upper()} 1]{cut}"
    wanted = ", ".join(f"[{tag.upper()} n]" for tag in (*yields, END))
    return f"none of the {broken} begun in the answer is whole: {wanted} in this order, each once{cut}"


def sample(task: AskTask, group: Group) -> Sample:
    lineage = task.prompt.lineage
    produced = group.texts.get("context")
    return Sample(
        id=sample_id(task.prompt.key, group.number - 1),
        kind="knowledge" if task.chunk else "grounded" if produced else "freeform",
        question=group.texts["question"],
        answer=group.texts["answer"],
        context=task.chunk.text if task.chunk else produced,
        lineage=lineage,
    )
