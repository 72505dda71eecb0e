"""Planted marks of documents that are not for everybody, and texts that only speak of such marks."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, made, name

FLOORS = Floors(recall=1.0, precision=0.995)  # of the pack that comes along

MARKED = {
    "confidential": (
        "{n} – COMPANY CONFIDENTIAL",
        "STRICTLY  CONFIDENTIAL",
        "*HIGHLY CONFIDENTIAL*",
        "Page 3. PROPRIETARY AND\nCONFIDENTIAL",
        "STRENG VERTRAULICH, {n}",
    ),
    "internal": (
        "FOR OFFICIAL USE ONLY",
        "{n}: INTERNAL USE ONLY.",
        "-- NOT FOR DISTRIBUTION --",
        "NUR FÜR DEN DIENSTGEBRAUCH",
    ),
    "privileged": ("ATTORNEY-CLIENT PRIVILEGED: to {n}", "[ATTORNEY WORK PRODUCT]", "PRIVILEGED AND CONFIDENTIAL"),
    "traffic light": ("TLP:RED", "(TLP: AMBER)", "TLP:AMBER+STRICT {n}"),
    "classified": ("TOP SECRET//SI", "(SECRET//NOFORN)", "CONFIDENTIAL//REL TO {n}"),
}
SPOKEN_OF = {
    "in small letters": (
        "{n} called it strictly confidential.",
        "the file is for internal use only",
        "Not for distribution, said {n}.",
    ),
    "about marks": (
        "What does the Traffic Light Protocol (TLP) mean by amber?",
        "A TOP SECRET clearance takes {n} a year.",
        "TLP:GREEN and TLP:CLEAR may be shared.",
    ),
    "other capitals": (
        "CONFIDENTIALITY IS A VIRTUE, WROTE {n}",
        "DISTRIBUTION OF {n}",
        "INTERNAL COMBUSTION",
        "USE ONLY ONE",
        "// SECRET = 4",
    ),
    "the law": ("Attorney-client privilege protects what {n} tells a lawyer.", "Is a work product of {n} privileged?"),
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        sort, bad = (MARKED, True) if number % 2 else (SPOKEN_OF, False)
        kind = list(sort)[number // 2 % len(sort)]
        text = rng.choice(sort[kind]).format(n=name(rng).upper() if bad else name(rng))
        trade = rng.choice(TRADES)
        if rng.random() < 0.5:
            sample = made(trade.question(rng), f"{text}\n{trade.statement(rng)}")
        else:
            sample = made(
                trade.short(rng), trade.statement(rng), kind="knowledge", context=f"{trade.statement(rng)} {text}"
            )
        yield Case(kind, (sample,), bad=bad)
