"""Near copies: CPU seconds of the whole stage on one thread, beside rensa and datasketch, and with few new samples.

`python -m benchmarks copies` takes 100,000 texts of half a kilobyte; with ILK_COPIES=1000000 a million, too. All begin
with Python strings. rensa and datasketch are used as their pages show: signatures over runs of three words, 32 bands of
4 rows, look up and insert. They check no text, and name every sample that shares a band.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

from datasketch import MinHash, MinHashLSH
from rensa import RMinHash, RMinHashLSH

from benchmarks.measure import compare
from benchmarks.planted.near_duplicate import Planter
from benchmarks.planted.retold import ENGLISH
from instructlab_like.filters import Surroundings
from instructlab_like.filters.novelty.exact_duplicate import ExactDuplicate
from instructlab_like.filters.novelty.near_duplicate import NearDuplicate
from instructlab_like.filters.pool import Held
from instructlab_like.records import Lineage, Sample, normalise

TEXTS, FEW, NEW = 100_000, 5_000, 500
MANY = int(os.environ.get("ILK_COPIES", "0"))
WORDS, COMMON = 30_000, 0.9  # words of the language, and how fast they become rare
COPIED = 20  # one in so many is a copy
SYLLABLES_TEXT = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru"
SYLLABLES = SYLLABLES_TEXT.split()
LINEAGE = Lineage(leaf="", leaf_blob="", method="given", model="")


def main() -> None:
    for name, draw in (("prose", prose), ("five moulds", moulds)):
        print(f"  {name}:", flush=True)
        samples = corpus(draw, TEXTS)
        gc.freeze()  # the collector need not look through the texts, which in a run are not in memory
        size = sum(len(sample.question) + len(sample.answer) for sample in samples) / len(samples)
        print(f"  {len(samples)} texts of {size:.0f} characters", flush=True)
        arms: dict[str, Callable[[], object]] = {
            "rensa, normalised words": lambda some=samples: with_rensa(some, lambda text: normalise(text).split()),
            "rensa, what spaces divide": lambda some=samples: with_rensa(some, lambda text: text.lower().split()),
            "near_duplicate": lambda some=samples: near(some),
            "exact_duplicate": lambda some=samples: exact(some),
        }
        compare(arms, repeats=3)
        few = samples[:FEW]
        print(f"  {len(few)} of them:", flush=True)
        compare(
            {"datasketch": lambda some=few: with_datasketch(some), "near_duplicate": lambda some=few: near(some)},
            repeats=3,
        )
        few_new(samples)
    if MANY:
        million()


def near(samples: list[Sample]) -> int:
    chosen = NearDuplicate()
    pool = Held(samples, [chosen.sketch(sample) for sample in samples])
    return sum(not told.keep for _, told in chosen.judge(pool, Surroundings()))


def exact(samples: list[Sample]) -> int:
    chosen = ExactDuplicate()
    pool = Held(samples, [chosen.sketch(sample) for sample in samples])
    return sum(not told.keep for _, told in chosen.judge(pool, Surroundings()))


def runs(words: list[str]) -> list[str]:
    return [" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))]


def with_rensa(samples: list[Sample], cut: Callable[[str], list[str]]) -> int:
    lsh, found = RMinHashLSH(threshold=0.5, num_perm=128, num_bands=32), 0
    for number, sample in enumerate(samples):
        hashed = RMinHash(num_perm=128, seed=42)
        hashed.update(runs(cut(f"{sample.question}\n{sample.answer}")))
        found += bool(lsh.query(hashed))
        lsh.insert(number, hashed)
    return found


def with_datasketch(samples: list[Sample]) -> int:
    lsh, found = MinHashLSH(num_perm=128, params=(32, 4)), 0
    for number, sample in enumerate(samples):
        hashed = MinHash(num_perm=128)
        hashed.update_batch([run.encode() for run in runs(normalise(f"{sample.question}\n{sample.answer}").split())])
        found += bool(lsh.query(hashed))
        lsh.insert(number, hashed)
    return found


class Remembering(Held):
    """Samples in memory, with a folder for what may be of use another time."""

    def __init__(self, samples: list[Sample], sketches: list[bytes], memory: Path) -> None:
        super().__init__(samples, sketches)
        self.memory = memory


def few_new(samples: list[Sample]) -> None:
    """What it takes to judge all with a few new ones among them, whose sketches are made and remembered before."""
    chosen = NearDuplicate()
    sketches = [chosen.sketch(sample) for sample in samples]
    new = set(random.Random(1).sample(range(len(samples)), NEW))
    old = [place for place in range(len(samples)) if place not in new]
    with tempfile.TemporaryDirectory() as folder:
        before = Remembering([samples[place] for place in old], [sketches[place] for place in old], Path(folder))
        first = taken(lambda: list(chosen.judge(before, Surroundings())))
        then = taken(lambda: list(chosen.judge(Remembering(samples, sketches, Path(folder)), Surroundings())))
        print(f"  judged {len(old)}: {first:.2f} CPU s, again with {NEW} more: {then:.2f} CPU s", flush=True)


def taken(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def million() -> None:
    print(f"  {MANY} texts:", flush=True)
    samples = corpus(prose, MANY)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    chosen = NearDuplicate()
    begin = time.process_time()
    sketches = [chosen.sketch(sample) for sample in samples]
    middle = time.process_time()
    count = sum(not told.keep for _, told in chosen.judge(Held(samples, sketches), Surroundings()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"  sketches {middle - begin:.1f}, judging {time.process_time() - middle:.1f} CPU s, {count} rejected; "
        f"{peak - held:.2f} GB more than the {held:.2f} of the texts",
        flush=True,
    )


def corpus(draw: Callable[[random.Random], Iterator[tuple[str, str]]], count: int) -> list[Sample]:
    """So many texts in the order of their ids, some of them another's with one word in eight edited."""
    rng = random.Random(5)
    planter = Planter(rng)
    drawn = draw(rng)
    pairs = [next(drawn) for _ in range(count - count // COPIED)]
    pairs += [planter.edited(ENGLISH, pair) for pair in pairs[: count // COPIED]]
    ids = sorted(f"{rng.getrandbits(128):032x}" for _ in pairs)
    rng.shuffle(pairs)
    return [
        Sample.model_construct(
            id=id, kind="freeform", question=asked, answer=told, context=None, evidence=None, lineage=LINEAGE
        )
        for id, (asked, told) in zip(ids, pairs, strict=True)
    ]


def prose(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Sentences of words that are as frequent as in a language."""
    words = ["".join(rng.choices(SYLLABLES, k=1 + min(3, number // 60 + rng.randint(0, 1)))) for number in range(WORDS)]
    weights = list(accumulate(1 / (number + 3) ** COMMON for number in range(WORDS)))
    while True:
        drawn = rng.choices(words, cum_weights=weights, k=62)
        answer = " ".join(
            " ".join(drawn[at : at + 10]).capitalize() + rng.choice((".", ".", f" in {rng.randint(1500, 2020)}."))
            for at in range(12, 62, 10)
        )
        yield " ".join(drawn[:12]).capitalize() + "?", answer


def moulds(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Sentences of which thousands share all but their facts."""
    while True:
        yield ENGLISH.drawn(rng, 4).texts()
