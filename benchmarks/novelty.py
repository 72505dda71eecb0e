"""ROUGE-L and semantic novelty over pools of questions: CPU seconds on one thread, memory, and rouge-score beside it.

`python -m benchmarks novelty` measures pools of 10,000 and 100,000; with ILK_NOVELTY=1000000 a million, too. Each pool
is a process of its own, so that its memory is its own. A pool of 10,000 is too much for rouge-score: its seconds are
reckoned from 2,000 pairs, and the pairs that a loop over the kept samples would compare.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from safetensors.numpy import save_file

from instructlab_like.filters import SetFilter, Surroundings
from instructlab_like.filters.novelty.rouge import Rouge
from instructlab_like.filters.novelty.semantic import Semantic
from instructlab_like.filters.pool import Held
from instructlab_like.records import Lineage, Sample, digest

SIZES = (10_000, 100_000, *(int(size) for size in os.environ.get("ILK_NOVELTY", "").split()))
SEMANTIC_SIZES = (10_000, 40_000)
PAIRS, CHECKED = 2_000, 300
WORDS, DIMENSIONS = 20_000, 256
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru"


@dataclass(frozen=True)
class Taken:
    """What judging a pool took."""

    sketched: float  # CPU seconds
    judged: float
    rejected: int
    compared: int  # pairs of a sample and one kept before it
    memory: float  # MB at the peak, the samples included


def main() -> None:
    for name in TEXTS:
        theirs = rouge_score_seconds(name)
        for size in SIZES:
            taken = alone(name, size, "")
            told = (
                f"{taken.sketched:6.2f} + {taken.judged:7.2f} CPU s, {taken.memory:5.0f} MB, {taken.rejected} rejected"
            )
            beside = f", rouge-score {theirs * taken.compared:10.0f} s: {theirs * taken.compared / taken.judged:,.0f} ×"
            print(f"  rouge     {name:<18} {size:>9,}: {told}{beside}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_encoder(Path(folder))
        for size in SEMANTIC_SIZES:
            taken = alone("free texts", size, folder)
            told = f"{taken.sketched:6.2f} + {taken.judged:7.2f} CPU s, {taken.memory:5.0f} MB"
            print(f"  semantic  {DIMENSIONS} dimensions     {size:>9,}: {told}", flush=True)


def alone(name: str, size: int, encoder: str) -> Taken:
    """Measured in a process of its own, on one thread."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(taken_by, name, size, encoder).result()


def taken_by(name: str, size: int, encoder: str) -> Taken:
    chosen: SetFilter = Semantic(encoder=encoder) if encoder else Rouge()
    samples = sorted(map(sample, range(size), TEXTS[name](random.Random(1), size)), key=lambda one: one.id)
    began = time.process_time()
    sketches = [chosen.sketch(one) for one in samples]
    sketched = time.process_time()
    rejected = [place for place, told in chosen.judge(Held(samples, sketches), Surroundings()) if not told.keep]
    judged = time.process_time()
    new = np.ones(size, dtype=np.int64)
    new[rejected] = 0
    unit = 1e6 if sys.platform == "darwin" else 1e3
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    compared = int((np.cumsum(new) - new).sum())
    return Taken(sketched - began, judged - sketched, len(rejected), compared, memory)


def rouge_score_seconds(name: str) -> float:
    """CPU seconds of rouge-score for one pair; its decisions about a small pool are compared with ours on the way."""
    scorer = RougeScorer(["rougeL"])
    samples = sorted(map(sample, range(CHECKED), TEXTS[name](random.Random(1), CHECKED)), key=lambda one: one.id)
    kept: list[Sample] = []
    for one in samples:
        if all(scorer.score(other.question, one.question)["rougeL"].fmeasure <= 0.7 for other in kept):
            kept.append(one)
    ours = Rouge()
    pool = Held(samples, [ours.sketch(one) for one in samples])
    rejected = {samples[place].id for place, _ in ours.judge(pool, Surroundings())}
    if rejected != {one.id for one in samples} - {one.id for one in kept}:
        sys.exit(f"benchmarks: {name}: not the decisions of rouge-score")
    rng = random.Random(2)
    pairs = [(rng.choice(samples).question, rng.choice(samples).question) for _ in range(PAIRS)]
    began = time.process_time()
    for one, other in pairs:
        scorer.score(one, other)
    return (time.process_time() - began) / PAIRS


def sample(number: int, text: str) -> Sample:
    lineage = Lineage(leaf="", leaf_blob="0" * 40, method="teacher", model="m")
    id = digest([number, text])[:32]
    return Sample(id=id, kind="freeform", question=text, answer="Yes.", lineage=lineage)


def vocabulary(rng: random.Random, count: int) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(rng.choices(SYLLABLES.split(), k=rng.randint(2, 4))))
    return sorted(found)


def drawer(rng: random.Random, words: list[str]) -> Callable[[int], list[str]]:
    """Draws words as often as texts have them: the tenth a tenth as often as the first."""
    weights = list(accumulate(1 / (place + 3) for place in range(len(words))))
    return lambda count: rng.choices(words, cum_weights=weights, k=count)


def frames(rng: random.Random, count: int, *, among: int = 200) -> Iterator[str]:
    """10 to 25 words, of which a half to four fifths are those of one of 200 frames: the rest is drawn evenly."""
    words = vocabulary(rng, 3_000)
    draw = drawer(rng, words)
    made = []
    for _ in range(among):
        share = rng.uniform(0.5, 0.8)
        made.append([word if rng.random() < share else "" for word in draw(rng.randint(10, 25))])
    for _ in range(count):
        yield " ".join(word or rng.choice(words) for word in rng.choice(made))


def few_frames(rng: random.Random, count: int) -> Iterator[str]:
    """12 words, 8 of them of one of 20 frames: just too few for 0.7, so all samples of a frame are nearly too close."""
    words = vocabulary(rng, 3_000)
    made = [rng.sample(words[:300], 12) for _ in range(20)]
    for _ in range(count):
        text = list(rng.choice(made))
        for place in (2, 5, 8, 11):
            text[place] = rng.choice(words)
        yield " ".join(text)


def free(rng: random.Random, count: int) -> Iterator[str]:
    """About 25 words as often as texts have them; one in seven is another with up to ten words changed."""
    draw = drawer(rng, vocabulary(rng, WORDS))
    before: list[list[str]] = []
    for _ in range(count):
        words = draw(rng.randint(19, 31))
        if before and rng.random() < 0.15:
            words = list(rng.choice(before))
            for _ in range(rng.randint(1, 10)):
                words[rng.randrange(len(words))] = draw(1)[0]
        before.append(words)
        yield " ".join(words)


TEXTS = {"frames": frames, "few frames": few_frames, "free texts": free}


def make_encoder(folder: Path) -> None:
    """A static encoder with a vector drawn for each word: as quick as a trained one, and knows nothing."""
    words = vocabulary(random.Random(1), WORDS)
    drawn = np.random.default_rng(1).normal(size=(len(words) + 1, DIMENSIONS))
    save_file({"embeddings": drawn.astype(np.float32)}, folder / "model.safetensors")
    numbers = {word: number for number, word in enumerate(("[UNK]", *words))}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": numbers, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


if __name__ == "__main__":
    main()
