"""Held-out items made by rules out of chunks: closed-book about what was trained, open-book about what was not.

    chunks -> facts (facts.py) -> other words (rewording.py), options (options.py) -> items

No question is one that generation or training met, nor shares eight words in a row with one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Literal

from instructlab_like.evaluation.exam import options
from instructlab_like.evaluation.exam.facts import Stated, apart, cast, defines, read, sound, unambiguous
from instructlab_like.evaluation.exam.rewording import rewordings
from instructlab_like.evaluation.items import from_file, item_id
from instructlab_like.evaluation.met import Met
from instructlab_like.filters.parts.runs import cut
from instructlab_like.generation.rules import RULES
from instructlab_like.generation.sentences import blocks
from instructlab_like.generation.withheld import quoted
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Chunk, Item, Knowledge, Metric, Seed, digest, normalise

MOST_CHUNKS = 500  # of each kind that are read for a leaf, drawn by the seed
EXACT_WORDS = 4  # an answer of so many words stands in what a model says; of a longer one the shared words count


def exam(
    leaf: Knowledge,
    chunks: Sequence[Chunk],
    *,
    taught: Collection[str],
    fresh: Collection[str],
    met: Met,
    recipe: EvaluateRecipe,
) -> list[Item]:
    """The items that the rules make for a leaf, as many of each kind as the recipe says, or as there are.

    `taught` are the ids of chunks with a training sample, `fresh` those that are `untouched`. Of very long documents so
    many chunks are read as give enough.
    """
    distinct = {chunk.id: chunk for chunk in chunks}
    drawn = sorted(distinct, key=lambda id: digest([recipe.seed, leaf.path, id]))
    known = [distinct[id] for id in drawn if id in taught][:MOST_CHUNKS]
    unread = [distinct[id] for id in drawn if id in fresh][:MOST_CHUNKS]
    rest = [distinct[id] for id in drawn if id not in taught and id not in fresh][:MOST_CHUNKS]
    made = _Made(leaf, [*known, *unread, *rest], met, recipe.seed)
    return [
        *islice(made.closed_book(known), recipe.closed_book),
        *islice(made.choices(known), recipe.choices),
        *islice(made.open_book(unread), recipe.open_book),
    ]


def untouched(
    chunks: Iterable[Chunk], touched: Collection[str], seeds: Iterable[Seed], passages: Iterable[str] = ()
) -> frozenset[str]:
    """The ids of the chunks that no sample came from, nor from one of the same text, and that no seed quotes.

    `passages` are those of the run's samples: a document that was edited since has its chunks under other ids.
    """
    chunks = list(chunks)
    texts = {normalise(chunk.text) for chunk in chunks if chunk.id in touched} | set(map(normalise, passages))
    contexts = [cut(normalise(seed.context)) for seed in seeds if seed.context]
    return frozenset(
        chunk.id
        for chunk in chunks
        if chunk.id not in touched and normalise(chunk.text) not in texts and not quoted(chunk, contexts)
    )


def untitled(chunks: Iterable[Chunk]) -> frozenset[str]:
    """The documents that no one heading stands over: theirs are of sections, "Structure", and say nothing alone."""
    titles: dict[str, set[str]] = {}
    for chunk in chunks:
        titles.setdefault(chunk.document, set()).add(chunk.headings[0] if chunk.headings else "")
    return frozenset(document for document, found in titles.items() if len(found) > 1 or "" in found)


class _Made:
    """The items of one leaf; no question is asked twice."""

    def __init__(self, leaf: Knowledge, chunks: Sequence[Chunk], met: Met, seed: int) -> None:
        self.leaf, self.met, self.seed = leaf, met, seed
        every = [one for chunk in chunks for one in read(chunk)]
        self.cast = cast(every)
        sure = [one for one in unambiguous(every) if sound(one)]
        self.facts: dict[str, list[Stated]] = {}
        for one in {normalise(one.fact.questions[0]): one for one in reversed(sure)}.values():  # said twice, asked once
            self.facts.setdefault(one.chunk.id, []).append(one)
        self.untitled = untitled(chunks)
        prose = (block for chunk in chunks for block in blocks(chunk.text))
        self.rivals = options.Rivals(sure, (text.plain for block in prose for text in block.sentences))
        self.asked = {normalise(item.question) for item in from_file(leaf)}

    def closed_book(self, chunks: Sequence[Chunk]) -> Iterator[Item]:
        for stated, turn in self._in_turn(chunks, "closed-book"):
            question = None if defines(stated) else self._reworded(stated, turn)
            if question is not None:
                yield self._item(stated, question, source="closed-book")

    def choices(self, chunks: Sequence[Chunk]) -> Iterator[Item]:
        for stated, turn in self._in_turn(chunks, "choice"):
            question = self._reworded(stated, turn)
            offered = self.rivals.options(stated, question, self.seed) if question else None
            if question is not None and offered is not None:
                yield self._item(stated, question, source="closed-book", offered=offered)

    def open_book(self, chunks: Sequence[Chunk]) -> Iterator[Item]:
        for stated, _ in self._in_turn(chunks, "open-book"):
            question = None if defines(stated) else next(filter(self._new, stated.questions), None)
            if question is not None:
                yield self._item(stated, question, source="open-book", context=stated.chunk.text)

    def _reworded(self, stated: Stated, turn: int) -> str | None:
        """A question that can be asked without the passage, in words that nobody has asked it in."""
        if not apart(stated) or (stated.titled and stated.chunk.document in self.untitled):
            return None
        return next(filter(self._new, rewordings(stated, self.cast, turn)), None)

    def _in_turn(self, chunks: Sequence[Chunk], purpose: str) -> Iterator[tuple[Stated, int]]:
        """The facts of the chunks in a drawn order, one of each chunk before a second of any; a number beside each."""

        def drawn(*named: object) -> str:
            return digest([self.seed, self.leaf.path, purpose, *named])

        ids = sorted({chunk.id for chunk in chunks}, key=drawn)
        columns = [sorted(self.facts.get(id, ()), key=lambda one: drawn(id, one.fact.questions[0])) for id in ids]
        for stated in filter(None, chain.from_iterable(zip_longest(*columns))):
            yield stated, int(drawn(stated.fact.questions[0])[:8], 16)

    def _new(self, question: str) -> bool:
        return normalise(question) not in self.asked and not self.met.shares(question)

    def _item(
        self,
        stated: Stated,
        question: str,
        *,
        source: Literal["closed-book", "open-book"],
        context: str | None = None,
        offered: tuple[str, ...] = (),
    ) -> Item:
        self.asked.add(normalise(question))
        short: Metric = "contains" if len(stated.answer.split()) <= EXACT_WORDS else "f1"
        return Item(
            id=item_id(self.leaf.path, question, context),
            leaf=self.leaf.path,
            source=source,
            question=question,
            answer=stated.answer,
            context=context,
            metric="choice" if offered else short,
            options=offered,
            chunk=stated.chunk.id,
            maker=RULES,
            cluster=stated.chunk.id,
        )
