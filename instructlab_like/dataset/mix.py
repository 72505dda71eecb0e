"""Puts the training rows of both phases in order, with rows that keep older knowledge alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field

from instructlab_like.dataset.rows import Phase, phase_of, row
from instructlab_like.errors import RecipeError
from instructlab_like.records import Message, Record, Row, Sample, digest, plain

REPLAY = "replay"  # the leaf of rows that belong to none


class Replay(Record):
    """A line of the replay file: a conversation of the kind the base was trained on."""

    messages: Annotated[tuple[Message, ...], Field(min_length=2)]


def mix(
    train: Sequence[Sample], replay: Sequence[Replay], *, share: float, seed: int, knowledge_share: float = 0.25
) -> list[Row]:
    """The training rows: the knowledge phase, then the skills phase, each shuffled by digest.

    `share` of each phase's rows replays the base's own tasks, and `knowledge_share` of the skills phase repeats rows of
    the knowledge phase. A row is taken at most once per phase, so a share is missed where too few rows are there. A
    phase without samples stays empty. Raises RecipeError when the shares leave no room for the skills.
    """
    if share + knowledge_share >= 1:
        raise RecipeError(
            f"base replay ({share}) and knowledge replay ({knowledge_share}) fill the whole skills phase",
            where="replay_share",
            fix=f"choose less than {1 - knowledge_share:g}",
        )
    knowledge = [row(sample) for sample in train if phase_of(sample) == "knowledge"]
    skills = [row(sample) for sample in train if phase_of(sample) == "skills"]
    first = with_replay(knowledge, replay, [], share=share, repeated=0.0, phase="knowledge", seed=seed)
    again = [row(sample, "skills") for sample in train if phase_of(sample) == "knowledge"]
    repeated = knowledge_share if again else 0.0
    return first + with_replay(skills, replay, again, share=share, repeated=repeated, phase="skills", seed=seed)


def with_replay(
    new: Sequence[Row],
    replay: Sequence[Replay],
    again: Sequence[Row],
    *,
    share: float,
    repeated: float,
    phase: Phase,
    seed: int,
) -> list[Row]:
    """The phase's `new` rows with `share` of base replay and `repeated` of the rows `again` among them, shuffled."""
    if not new:
        return []
    total = len(new) / (1 - share - repeated)
    old = shuffled(
        {found.sample: found for found in (replay_row(phase, old) for old in replay)}.values(), f"{phase} replay", seed
    )
    chosen = shuffled(again, f"{phase} again", seed)
    return shuffled([*new, *old[: round(share * total)], *chosen[: round(repeated * total)]], phase, seed)


def replay_row(phase: Phase, conversation: Replay) -> Row:
    sample = digest(plain(conversation))[:32]
    return Row(messages=conversation.messages, phase=phase, leaf=REPLAY, sample=sample)


def shuffled(rows: Iterable[Row], purpose: str, seed: int) -> list[Row]:
    """The rows in an order that depends on their ids, the purpose and the seed alone."""
    return sorted(rows, key=lambda found: digest([seed, purpose, found.leaf, found.sample]))
