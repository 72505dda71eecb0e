"""Puts the training rows of both phases in order, with rows that keep older knowledge alive."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated

from pydantic import Field

from instructlab_like.dataset.rows import Phase, phase_of, row
from instructlab_like.digests import Sorter
from instructlab_like.errors import RecipeError
from instructlab_like.records import Message, Record, Row, Sample, digest, plain

REPLAY = "replay"  # the leaf of rows that belong to none
ORDER = 16  # bytes of the digest by which rows are put in order
PART = 6  # the same, of each name in a path


class Replay(Record):
    """A line of the replay file: a conversation of the kind the base was trained on."""

    messages: Annotated[tuple[Message, ...], Field(min_length=2)]


def mix(
    train: Sequence[Sample], replay: Sequence[Replay], *, share: float, seed: int, knowledge_share: float = 0.25
) -> Iterator[Row]:
    """The training rows: the knowledge phase, then the skills phase, each shuffled by digest; made one by one.

    `share` of each phase's rows replays the base's own tasks, and `knowledge_share` of the skills phase repeats rows of
    the knowledge phase, spread over its facts: shares of rows, not of tokens, to the nearest row. A row is taken at
    most once per phase, so a share is missed where too few rows are there; the other is then met all the same. A phase
    without samples stays empty. Raises RecipeError when the shares leave no room for the skills.
    """
    share = share if replay else 0.0
    if share + knowledge_share >= 1:
        raise RecipeError(
            f"base replay ({share}) and knowledge replay ({knowledge_share}) fill the whole skills phase",
            where="replay_share",
            fix=f"choose less than {1 - knowledge_share:g}",
        )
    knowledge, skills, again = Shuffle("knowledge", seed), Shuffle("skills", seed), Spread("skills again", seed)
    for place, sample in enumerate(train):
        if phase_of(sample) == "knowledge":
            knowledge.add(sample.lineage.leaf, sample.id, place)
            again.add(sample, place)
        else:
            skills.add(sample.lineage.leaf, sample.id, place)
    old = {digest(plain(conversation))[:32]: conversation for conversation in replay}
    return chain(
        phase_rows("knowledge", knowledge, None, train, old, share=share, repeated=0.0, seed=seed),
        phase_rows("skills", skills, again, train, old, share=share, repeated=knowledge_share, seed=seed),
    )


class Shuffle:
    """Rows by number, in an order that depends on their ids, the purpose and the seed alone."""

    def __init__(self, purpose: str, seed: int) -> None:
        self.purpose, self.seed = purpose, seed
        self.sorter = Sorter(ORDER)

    def __len__(self) -> int:
        return len(self.sorter)

    def __iter__(self) -> Iterator[int]:
        return (number for _, number in self.sorter)

    def add(self, leaf: str, sample: str, number: int) -> None:
        self.sorter.add(bytes.fromhex(digest([self.seed, self.purpose, leaf, sample]))[:ORDER], number)


class Spread:
    """Samples by number, to draw some that spread over leaves, their chunks and the facts of these, each giving as
    large a part of its samples as the others, to one. A fact is what samples of a chunk answer alike.

    Drawn at random instead, one sample in twenty leaves out a fact here and there, and the model forgets it.
    """

    def __init__(self, purpose: str, seed: int) -> None:
        self.purpose, self.seed = purpose, seed
        self.sorter = Sorter(4 * PART)

    def __len__(self) -> int:
        return len(self.sorter)

    def add(self, sample: Sample, number: int) -> None:
        path = (sample.lineage.leaf, sample.lineage.chunk, sample.answer, sample.id)
        names = (digest([self.seed, self.purpose, *path[:depth]]) for depth in range(1, len(path) + 1))
        self.sorter.add(b"".join(bytes.fromhex(name)[:PART] for name in names), number)

    def draw(self, count: int) -> Iterator[int]:
        """The numbers of so many samples, equally far apart where those of a leaf, a chunk, a fact stand together."""
        for place, (_, number) in enumerate(self.sorter):
            if place * count // len(self) < (place + 1) * count // len(self):
                yield number


def phase_rows(
    phase: Phase,
    new: Shuffle,
    again: Spread | None,
    train: Sequence[Sample],
    replay: Mapping[str, Replay],
    *,
    share: float,
    repeated: float,
    seed: int,
) -> Iterator[Row]:
    """The phase's `new` rows with `share` of base replay and `repeated` of the samples `again` among them, shuffled."""
    if not new:
        return
    old = list(replay)
    of_base, of_knowledge = replay_counts(
        len(new), bases=len(old), knowledge=len(again or ()), share=share, repeated=repeated
    )
    order = Shuffle(f"{phase} replay", seed)
    for number, id in enumerate(old):
        order.add(REPLAY, id, number)
    for number in islice(order, of_base):
        new.add(REPLAY, old[number], len(train) + number)
    for place in again.draw(of_knowledge) if again else ():
        sample = train[place]
        new.add(sample.lineage.leaf, sample.id, place)
    for number in new:
        if number < len(train):
            yield row(train[number], phase)
        else:
            id = old[number - len(train)]
            yield Row(messages=replay[id].messages, phase=phase, leaf=REPLAY, sample=id)


def replay_counts(new: int, *, bases: int, knowledge: int, share: float, repeated: float) -> tuple[int, int]:
    """How many of `bases` and of `knowledge` rows beside `new` ones make `share` and `repeated` of them all."""
    taken = {"bases": 0, "knowledge": 0}
    rows, left = new, 1 - share - repeated
    # The scarcer first: what it falls short by makes fewer rows in all, and so fewer of the other.
    sources = [("bases", bases, share), ("knowledge", knowledge, repeated)]
    for name, there, part in sorted(sources, key=lambda source: source[1] / source[2] if source[2] else math.inf):
        wanted = round(part * (rows / left))
        taken[name] = min(there, wanted)
        if wanted > there:
            rows, left = rows + there, left + part
    return taken["bases"], taken["knowledge"]
