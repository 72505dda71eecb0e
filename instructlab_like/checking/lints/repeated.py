"""The same pair twice in one leaf, but for case, spacing and punctuation: it would be drawn twice as often.

A copy to the letter is found when the leaf is read. The same question with another answer is not one: a skill may have
several right answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.pairs import LocatedPair, held_out_pairs, kind_of, seed_pairs
from instructlab_like.checking.repeats import asked
from instructlab_like.checking.subject import Subject
from instructlab_like.records import normalise
from instructlab_like.taxonomy.findings import Finding, Findings


def findings(subject: Subject) -> Iterable[Finding]:
    knowledge = kind_of(subject) == "knowledge"
    copies = tuple(finding.field for finding in subject.reading.findings if finding.code == "repeated")
    return [
        finding
        for pairs in (seed_pairs(subject), held_out_pairs(subject))
        for finding in _repeated(subject, pairs, knowledge=knowledge)
        if not finding.field.startswith(copies)
    ]


def _repeated(subject: Subject, pairs: Iterable[LocatedPair], *, knowledge: bool) -> list[Finding]:
    first: dict[tuple[str, str], LocatedPair] = {}
    found: list[Finding] = []
    for pair in pairs:
        if pair.question is None or pair.answer is None:
            continue
        earlier = first.setdefault((asked(pair, knowledge=knowledge), normalise(pair.answer.value)), pair)
        if earlier is not pair and earlier.question:
            told = Findings(subject.place.naming(pair.file))
            message = f"this question and its answer stand in line {earlier.question.line}, too"
            told.error(pair.question, "repeated-pair", message, fix="change or remove one", field=pair.field)
            found += told.found
    return found
