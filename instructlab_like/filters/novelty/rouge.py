"""Rejects what says, in nearly the same words, what a seed example or an earlier sample says: Self-Instruct's rule."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from instructlab_like.filters import LeafFacts, SetFilter, Surroundings
from instructlab_like.filters.judgement import Judgement, not_applied, rejected
from instructlab_like.filters.parts.bitmaps import Counts, Shelf, Text, Tokens, by_class
from instructlab_like.filters.parts.rouge_l import Vocabulary, f_measure, limits, rouge_l, shared, tokens
from instructlab_like.filters.parts.sides import quoted
from instructlab_like.filters.pool import Pool
from instructlab_like.records import Sample

BLOCK = 512  # samples that are compared with the kept ones at once
ALONE, UNTOLD = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # nothing too close; not compared
SAYS = {"question": "asks", "answer": "answers", "both": "says"}
BY_METHOD = {method: not_applied(f"varied on purpose by {method}") for method in ("rules", "simulation")}
WORDLESS = not_applied("has no words to compare")
Lines = tuple[Text, ...]


class Rouge(SetFilter):
    """Keeps a sample only if the ROUGE-L F-measure of its question with each seed example of its leaf, and with each
    sample kept before it in id order, is at most `threshold` (Wang et al. 2023, "Self-Instruct": 0.7).

    A decision is that of the package rouge-score with its own tokens (runs of a-z and 0-9, lower-cased) and without
    stemming, float for float. But where most letters of a text are not among those, as in Russian or Chinese, that
    package sees only what little is left; such a text's tokens are its words as the project normalises them, or the
    single characters of a script without spaces.

    A question about a passage repeats another only if the question and the passage both do; the lower F-measure counts.
    The verdict names the closest of the texts above the threshold, the earliest of equals; seed examples go first.

    It sees words and their order, and no meaning: "How many legs has a spider?" and "How many legs has a beetle?" are
    alike to it (0.83), and a question in other words is not. Where questions share a frame on purpose it is the wrong
    filter; so what rules and simulations made is not compared unless `model_free` says so.
    """

    version: ClassVar[int] = 1

    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """The highest F-measure at which a sample is new."""
    of: Literal["question", "answer", "both"] = "question"
    """What is compared; both: question and answer as one text."""
    within: Literal["set", "leaf"] = "set"
    """Compare with earlier samples of all leaves, or of its own leaf alone."""
    model_free: bool = False
    """Compare samples made by rules and simulations too."""

    def sketch(self, sample: Sample) -> bytes:
        """Leaf, tokens and the passage's tokens, a line each; one line, how it was made, if it is not compared."""
        method = sample.lineage.method
        words = [] if method in BY_METHOD and not self.model_free else tokens(self.text(sample.question, sample.answer))
        if not words:
            return method.encode()
        passage = tokens(sample.context or "") if sample.kind == "grounded" and self.of != "answer" else []
        return "\n".join((sample.lineage.leaf, " ".join(words), " ".join(passage))).encode()

    def judge(self, pool: Pool, around: Surroundings, /) -> Iterator[tuple[int, Judgement]]:
        seeds = [seed for path in sorted(around.leaves) for seed in self.examples(around.leaves[path])]
        groups: dict[tuple[str, bool], array[int]] = defaultdict(lambda: array("L"))
        found: NDArray[np.int64] = np.full(len(pool), ALONE)  # the partner's place; -1, -2, …: a seed example
        scores = np.zeros(len(pool))
        for place in range(len(pool)):
            lines = pool.sketch(place).split(b"\n")
            if len(lines) > 1:
                groups[lines[0].decode() if self.within == "leaf" else "", bool(lines[2])].append(place)
            else:
                found[place] = UNTOLD
        for (_, with_passage), places in groups.items():
            growing = Growing(self.threshold, seeds, with_passage=with_passage)
            for start in range(0, len(places), BLOCK):
                for place, partner, score in growing.take(pool, places[start : start + BLOCK]):
                    found[place], scores[place] = partner, score
        for place in np.flatnonzero(found != ALONE).tolist():
            if found[place] == UNTOLD:
                yield place, BY_METHOD.get(pool.sketch(place).decode(), WORDLESS)
            else:
                yield place, self.told(pool, int(found[place]), float(scores[place]), seeds)

    def told(self, pool: Pool, partner: int, score: float, seeds: Sequence[Example]) -> Judgement:
        if partner >= 0:
            other = pool.sample(partner)
            rule, what, text, name = "near-kept", "a kept sample", self.text(other.question, other.answer), other.id
        else:
            seed = seeds[-1 - partner]
            rule, what, text, name = "near-seed", "a seed example", seed.text, seed.name
        reason = f"{SAYS[self.of]} in nearly the words of {what}: {quoted(text)}"
        return rejected(rule, reason, score=score, threshold=self.threshold, partner=name)

    def text(self, question: str, answer: str) -> str:
        return {"question": question, "answer": answer, "both": f"{question}\n{answer}"}[self.of]

    def examples(self, leaf: LeafFacts) -> Iterator[Example]:
        """The leaf's seed examples, in the order of its file."""
        for seed in leaf.seeds:
            for pair in seed.pairs:
                text = self.text(pair.question, pair.answer)
                yield Example(leaf.path, f"{leaf.path}/qna.yaml:{seed.line}", text, seed.context or "")


@dataclass(frozen=True)
class Example:
    """A seed example as samples are compared with it."""

    leaf: str
    name: str
    text: str
    passage: str


class Growing:
    """The samples kept so far; says which of the next ones are too close to a seed example, to these or one another.

    A text is its lines: its tokens, or those of its passage and then its own. The first line decides which texts are
    looked at; all must agree.
    """

    def __init__(self, threshold: float, seeds: Sequence[Example], *, with_passage: bool) -> None:
        self.threshold, self.with_passage = threshold, with_passage
        self.limits = partial(limits, threshold)
        self.vocabulary = Vocabulary()
        self.seeds = [self.lines(tokens(seed.text), tokens(seed.passage)) for seed in seeds]
        self.seeds_of: dict[str, list[int]] = defaultdict(list)  # their numbers, by leaf
        for number, seed in enumerate(seeds):
            if all(self.seeds[number]):
                self.seeds_of[seed.leaf].append(number)
        self.kept: list[Lines] = []
        self.places = array("L")  # of the kept in the pool
        self.shelves: dict[int, Shelf] = {}  # of the kept, by length

    def lines(self, words: Sequence[str], passage: Sequence[str]) -> Lines:
        own = self.vocabulary.encode(words)
        return (self.vocabulary.encode(passage), own) if self.with_passage else (own,)

    def take(self, pool: Pool, places: Sequence[int]) -> Iterator[tuple[int, int, float]]:
        """Keep those that are new; of each other its place, what it is closest to (as in `judge`), and how close."""
        sketches = [pool.sketch(place).decode().split("\n") for place in places]
        block = Block([self.lines(words.split(), passage.split()) for _, words, passage in sketches], places)
        of_leaf = ((at, np.array(self.seeds_of.get(leaf, ()))) for at, (leaf, _, _) in enumerate(sketches))
        for at, number, score in self.close(block, self.seeds, of_leaf):
            block.offer(at, -1 - number, score)
        unlike_seeds = block.alone()
        for shelf in self.shelves.values():
            near = shelf.near(block.first, unlike_seeds, self.limits)
            for at, number, score in self.close(block, self.kept, near):
                block.offer(at, self.places[number], score)
        self.among(block, unlike_seeds)
        self.keep(block)
        return block.told()

    def among(self, block: Block, chosen: Counts) -> None:
        """Compare the chosen texts of a block with those before them in it that are kept."""
        inside: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for cls, members in by_class(block.first, block.alone()):
            shelf = Shelf(cls)
            shelf.put(block.first, members, members)
            near = shelf.near(block.first, chosen, self.limits)
            before = ((at, numbers[numbers < at]) for at, numbers in near)
            for at, number, score in self.close(block, block.texts, before):
                inside[at].append((number, score))
        for at in sorted(inside):
            for number, score in inside[at]:
                if block.partners[number] == ALONE:
                    block.offer(at, block.places[number], score)

    def keep(self, block: Block) -> None:
        chosen = block.alone()
        numbers = np.zeros(len(block.texts), dtype=np.int64)
        numbers[chosen] = np.arange(len(self.kept), len(self.kept) + len(chosen))
        self.kept += [block.texts[at] for at in chosen.tolist()]
        self.places.extend(block.places[at] for at in chosen.tolist())
        for cls, members in by_class(block.first, chosen):
            self.shelves.setdefault(cls, Shelf(cls)).put(block.first, members, numbers[members])

    def close(
        self, block: Block, known: Sequence[Lines], pairs: Iterable[tuple[int, Counts]]
    ) -> Iterator[tuple[int, int, float]]:
        """Of the pairs, those with an F-measure above the threshold, which is that of the line with the least."""
        found: list[NDArray[np.int64]] = []
        for at, numbers in pairs:
            if len(numbers):
                common = shared(self.threshold, block.texts[at][0], [known[number][0] for number in numbers.tolist()])
                hit = np.flatnonzero(common)
                found.append(np.stack((np.full(len(hit), at), numbers[hit], common[hit])))
        if not found:
            return
        ats, others, common = np.concatenate(found, axis=1)
        lengths = np.fromiter((len(known[number][0]) for number in others.tolist()), np.int64, len(others))
        scores = f_measure(common, block.first.lengths[ats], lengths)
        good = scores > self.threshold
        for at, number, score in zip(ats[good].tolist(), others[good].tolist(), scores[good].tolist(), strict=True):
            least = min([score, *map(rouge_l, block.texts[at][1:], known[number][1:])])
            if least > self.threshold:
                yield at, number, least


class Block:
    """Some texts in the order of their places, and what was found of each."""

    def __init__(self, texts: Sequence[Lines], places: Sequence[int]) -> None:
        self.texts, self.places = texts, places
        self.first = Tokens([lines[0] for lines in texts])
        self.partners: NDArray[np.int64] = np.full(len(texts), ALONE)  # as in `judge`
        self.scores = np.zeros(len(texts))

    def offer(self, at: int, partner: int, score: float) -> None:
        """A text to which it is too close; the closest one stays, of equals the earliest."""
        best = self.scores[at]
        if score > best or (score == best and 0 <= partner < self.partners[at]):
            self.partners[at], self.scores[at] = partner, score

    def alone(self) -> Counts:
        """Those to which nothing was found too close."""
        return np.flatnonzero(self.partners == ALONE)

    def told(self) -> Iterator[tuple[int, int, float]]:
        for at in np.flatnonzero(self.partners != ALONE).tolist():
            yield self.places[at], int(self.partners[at]), float(self.scores[at])
