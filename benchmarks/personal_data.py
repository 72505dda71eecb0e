"""Looking through texts for personal data and secrets, and the four filters of the safety phase on pairs without any.

Half of the texts of the first table hold something, or what only looks like it; they are those of `benchmarks.planted`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from benchmarks.filters import pairs
from benchmarks.measure import compare
from benchmarks.planted import personal, secrets
from benchmarks.planted.domains import TRADES
from instructlab_like.filters import SampleFilter
from instructlab_like.filters.safety.injection import Injection
from instructlab_like.filters.safety.personal import Personal
from instructlab_like.filters.safety.policy import Policy
from instructlab_like.filters.safety.secrets import Secrets
from instructlab_like.records import Sample
from instructlab_like.scans.personal import identifying
from instructlab_like.scans.secrets import usable

COUNT = 24_000
LENGTH = 500  # characters of a text, or a little more


def main() -> None:
    texts = written()
    print(f"  {len(texts):,} texts of {sum(map(len, texts)) / len(texts):.0f} characters on average")
    found = compare(
        {
            "words, split at blanks": lambda: [text.split() for text in texts],
            "personal data": lambda: [identifying(text) for text in texts],
            "secrets": lambda: [usable(text) for text in texts],
            "personal data and secrets": lambda: [(identifying(text), usable(text)) for text in texts],
        },
        repeats=3,
    )
    for name, seconds in found.items():
        print(f"  {name:<44} {len(texts) / seconds:10,.0f} texts per CPU second")
    samples = list(pairs(COUNT))
    filters: tuple[SampleFilter, ...] = (Personal(), Secrets(), Injection(), Policy())
    print(f"  {len(samples):,} pairs without any")
    found = compare(
        {type(one).__name__: judging([one], samples) for one in filters} | {"all four": judging(filters, samples)}
    )
    for name, seconds in found.items():
        print(f"  {name:<44} {1e6 * seconds / len(samples):10.1f} µs a pair")


def judging(filters: Sequence[SampleFilter], samples: Sequence[Sample]) -> Callable[[], object]:
    return lambda: [one.judge(sample) for sample in samples for one in filters]


def written() -> list[str]:
    """Texts of half a kilobyte; every second one with something planted or a look-alike."""
    rng = random.Random(11)
    texts = []
    for number in range(COUNT):
        text = planted(rng, number // 2) if number % 2 else ""
        while len(text) < LENGTH:
            text = f"{rng.choice(TRADES).statement(rng)} {text}"
        texts.append(text)
    return texts


def planted(rng: random.Random, number: int) -> str:
    """By turns personal data, what looks like it, a secret, and what looks like one."""
    turn, place = number % 4, number // 4
    if turn == 0:
        return personal.said(rng, list(personal.VALUES)[place % len(personal.VALUES)])
    if turn == 1:
        return personal.nobodys(rng, list(personal.NOBODYS)[place % len(personal.NOBODYS)])
    kinds = secrets.SECRETS if turn == 2 else secrets.NONE
    return kinds[list(kinds)[place % len(kinds)]](rng)
