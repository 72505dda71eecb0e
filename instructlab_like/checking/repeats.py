"""The same question in two places: twice in a leaf, in two leaves of a tree, or held out here and a seed example there.

What a question is asked with counts: of a skill the context, since "Summarise this." is another question for each text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from instructlab_like.checking.pairs import LocatedPair, held_out_pairs, kind_of, seed_pairs
from instructlab_like.checking.subject import Subject
from instructlab_like.records import Record, digest, normalise
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import HELD_OUT


class SeedMark(Record):
    """A question by what it asks, for finding it again elsewhere in the tree."""

    asked: str  # digest of the normalised question, with its context where that is part of the question
    file: str  # "qna.yaml", or "heldout.yaml"
    line: int  # the question's
    column: int
    field: str


def marks(subject: Subject) -> tuple[SeedMark, ...]:
    """What the rest of the tree must know of a leaf's questions."""
    return tuple(_marks(subject))


def repeats(marked: Mapping[str, Sequence[SeedMark]], looked_at: Collection[str]) -> list[Finding]:
    """Questions that stand in another leaf, too, said of the leaves that are looked at.

    `marked` holds the marks of all leaves of the tree by the leaf's name in messages; `looked_at` are some of these.
    """
    by_question: defaultdict[str, list[tuple[str, SeedMark]]] = defaultdict(list)
    for shown, of_leaf in marked.items():
        for mark in of_leaf:
            by_question[mark.asked].append((shown, mark))
    found = []
    for shown in looked_at:
        for mark in marked.get(shown, ()):
            others = [(where, other) for where, other in by_question[mark.asked] if where != shown]
            found += _repeated(shown, mark, others)
    return found


def asked(pair: LocatedPair, *, knowledge: bool) -> str:
    """The digest of what a pair asks."""
    context = "" if knowledge or pair.context is None else pair.context.value
    return digest([_same(pair.question.value if pair.question else ""), _same(context)])


def _same(text: str) -> str:
    return normalise(text) or text.strip()  # signs alone have nothing else to be known by


def _marks(subject: Subject) -> Iterator[SeedMark]:
    knowledge = kind_of(subject) == "knowledge"
    for pair in chain(seed_pairs(subject), held_out_pairs(subject)):
        if pair.question:
            at = pair.question
            key = asked(pair, knowledge=knowledge)
            yield SeedMark(asked=key, file=pair.file, line=at.line, column=at.column, field=at.field)


def _repeated(shown: str, mark: SeedMark, others: Sequence[tuple[str, SeedMark]]) -> list[Finding]:
    """What there is to say of one question; a question that is held out in both leaves is measured twice, no more."""
    held = mark.file == HELD_OUT
    seeds = [(where, other) for where, other in others if other.file != HELD_OUT]
    measured = [(where, other) for where, other in others if other.file == HELD_OUT and not held]
    found = Findings(_naming(shown, mark.file))
    if seeds and held:
        message = f"this held-out question is a seed example in {_places(seeds)}, and so is shown to the teacher"
        found.error(mark, "held-out-elsewhere", message, fix="ask it otherwise, or remove it", field=mark.field)
    elif seeds:
        message = f"this question is also asked in {_places(seeds)}"
        found.error(mark, "repeated-question", message, fix="keep it in one leaf", field=mark.field)
    if measured:
        message = f"this question is held out in {_places(measured)}, and may not be shown to the teacher"
        found.error(mark, "held-out-elsewhere", message, fix="ask another question", field=mark.field)
    return found.found


def _places(others: Sequence[tuple[str, SeedMark]]) -> str:
    where, first = others[0]
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{_naming(where, first.file)}:{first.line}{more}"


def _naming(shown: str, file: str) -> str:
    return file if shown == "." else f"{shown}/{file}"
