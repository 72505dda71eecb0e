"""The facts of a clause, each with the questions that ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.generation.rules.active import active
from instructlab_like.generation.rules.asking import Asking, Fact, fact, lowered
from instructlab_like.generation.rules.being import being
from instructlab_like.generation.rules.circumstances import often, places, times
from instructlab_like.generation.rules.clauses import Clause
from instructlab_like.generation.rules.passive import passive
from instructlab_like.generation.rules.subjects import Named
from instructlab_like.generation.rules.values import NUMBER, many, value


def facts(clause: Clause, subject: Named) -> Iterator[Fact]:
    """Everything the clause is sure to say about its subject."""
    asking = Asking(clause, subject)
    yield from times(asking)
    yield from places(asking)
    yield from often(asking)
    match clause.verbal.kind:
        case "be":
            yield from being(asking)
        case "passive":
            yield from passive(asking)
        case "active":
            yield from active(asking)
    yield from _counted(asking)


def _counted(asking: Asking) -> Iterator[Fact]:
    """Forty people work at the mill: how many?"""
    subject = lowered(asking.clause.subject)
    if not re.match(rf"{NUMBER} [a-z]", subject.plain) or asking.subject != subject.plain or not asking.whole(()):
        return
    found = value(subject.plain)
    rest = " ".join(part.full.plain for part in asking.clause.parts)
    if not many(found) or not rest:
        return
    said = f"{found.of} {asking.verbal.said} {rest}"
    yield fact(
        subject[: found.size],
        f"How many {said}?",
        asking.opened(f"how many {said}"),
        f"What is the number of {found.of} that {asking.verbal.said} {rest}?",
        f"Fill in the blank: ____ {said}.",
    )
