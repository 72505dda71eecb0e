"""Planted names that the leaf marks as private, as texts write them, and other people and words like them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, made, name
from instructlab_like.filters import LeafFacts, Surroundings

FLOORS = Floors(recall=1.0, precision=0.995)
LEAF = "knowledge/planted"
MARKED = (
    "Tamsin Orrell",
    "Björn Åkesson-Lund",
    "Zsófia Halmos",
    "Rosa María Ibarra",
    "Quennell",
    "陈雨桐",
    "Анна Левина",
)
FORMS = {
    "as listed": ("{}", "Ask {} first.", "({})", "\u201c{}\u201d said so", "It was {}, not I."),
    "possessive": ("{}'s house", "{}’s house", "in {}'s time"),
    "in capitals": ("Signed: {c}",),
    "with initials": ("Dr {i} came", "{i}, 1987"),
    "the other way round": ("{r}: Collected Letters", "see {r}"),
    "across lines": ("by {n} of the town",),
}
OTHERS = {
    "somebody else": ("{} {}", "Dr {} of {}", "Tamsin {0}", "Zsófia {0} and Anna {1}"),
    "within a word": ("Orrellian prose", "the Quennellite cave", "Rosamund of {}", "Tamsine {}"),
    "in small letters": ("tamsin orrell lane", "a quennell is a tool"),
    "one word of two": ("old Orrell of {}", "Björn of {}", "Halmos on {}", "María {}"),
}


def written(rng: random.Random, kind: str, one: str) -> str:
    words = one.split()
    told = {
        "c": one.upper(),
        "n": "\n".join(words),
        "i": f"{one[0]}. {words[-1]}",
        "r": f"{words[-1]}, {' '.join(words[:-1])}",
    }
    return rng.choice(FORMS[kind]).format(one, **told)


def around() -> Surroundings:
    return Surroundings(leaves={LEAF: LeafFacts(path=LEAF, private=MARKED)})


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        bad = bool(number % 2)
        kind = list(FORMS if bad else OTHERS)[number // 2 % len(FORMS if bad else OTHERS)]
        if bad:
            several = [one for one in MARKED if " " in one]
            text = written(rng, kind, rng.choice(MARKED if kind in ("as listed", "possessive") else several))
        else:
            text = rng.choice(OTHERS[kind]).format(name(rng), name(rng))
        trade = rng.choice(TRADES)
        if rng.random() < 0.5:
            sample = made(f"{text} {trade.short(rng)}", trade.statement(rng), leaf=LEAF)
        else:
            sample = made(
                trade.short(rng), trade.statement(rng), leaf=LEAF, kind="knowledge", context=f"{text}\n{text}"
            )
        yield Case(kind, (sample,), bad=bad)
