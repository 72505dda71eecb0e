"""The files of conversations that other trainers are given, and what has to be said about their rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.formats import Material
from instructlab_like.dataset.instructlab.lines import BREAKS
from instructlab_like.records import Message, Preference, Row

Phases = Literal["apart", "together"]
PREFERENCES = "preferences.jsonl"


def unicode(text: str) -> str:
    """The text, if a file can hold it: a terminal may hand on bytes that are none."""
    if not text.isascii() and text.encode("utf-8", "replace").decode("utf-8") != text:
        raise ValueError("is not UTF-8")
    return text


System = Annotated[str, AfterValidator(unicode)]


class Part(NamedTuple):
    """One file of conversations."""

    name: str  # what its file is called, without the ending
    phase: str  # what is trained with it; empty: it is for test
    sources: tuple[str, ...]  # files of the run's dataset

    @property
    def file(self) -> str:
        return f"{self.name}.jsonl"


APART = (Part("knowledge-train", "knowledge", (KNOWLEDGE,)), Part("skills-train", "skills", (SKILLS,)))
TOGETHER = (Part("train", "train", (KNOWLEDGE, SKILLS)),)
TESTS = Part("test", "", (TEST,))


@dataclass(frozen=True)
class Seen:
    """What stands in a file of conversations."""

    part: Part
    rows: int
    long: int  # of these, with more characters than were asked about
    longest: int  # characters
    answers: int  # of these, with more than one answer
    blank: int  # left out: a turn says nothing
    odd: int  # left out where turns must alternate, and do not


@dataclass(frozen=True)
class Chats:
    """A run's conversations as one format wants them."""

    run: Material
    phases: Phases
    system: str = ""
    alternating: bool = False  # whether rows are left out whose turns are not user, assistant, user …

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*(APART if self.phases == "apart" else TOGETHER), TESTS)

    def rows(self, part: Part) -> Iterator[Row]:
        """The rows of a file in the run's order; a sample that both phases hold stands once where they are one."""
        met: set[bytes] = set()
        for row in (row for source in part.sources for row in self.run.rows(source)):
            if len(part.sources) > 1:
                key = hashlib.blake2b(f"{row.leaf}\n{row.sample}".encode(), digest_size=16).digest()
                if key in met:
                    continue
                met.add(key)
            if not (is_blank(row.messages) or (self.alternating and is_odd(row.messages))):
                yield row.model_copy(update={"messages": under(self.system, row.messages)})

    def preferences(self) -> Iterator[Preference]:
        for pair in self.run.preferences():
            yield pair.model_copy(update={"messages": under(self.system, pair.messages)})

    def seen(self, *, cut: int) -> list[Seen]:
        """What is in each file that has rows; `cut`: characters beyond which a row counts as long."""
        found = [self.looked(part, cut) for part in self.parts]
        return [one for one in found if one.rows]

    def looked(self, part: Part, cut: int) -> Seen:
        rows = long = longest = answers = blank = odd = 0
        for row in self.rows(part):
            size = sum(len(message.content) for message in row.messages)
            rows += 1
            long += size > cut
            longest = max(longest, size)
            answers += sum(message.role == "assistant" for message in row.messages) > 1
        for given in (row.messages for source in part.sources for row in self.run.rows(source)):
            blank += is_blank(given)
            odd += self.alternating and is_odd(given) and not is_blank(given)
        return Seen(part, rows, long, longest, answers, blank, odd)


def under(system: str, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The turns with a system prompt first, if one is wanted and they have none."""
    if not system or (messages and messages[0].role == "system"):
        return tuple(messages)
    return (Message(role="system", content=system), *messages)


def is_blank(messages: Sequence[Message]) -> bool:
    return not all(message.content.strip() for message in messages if message.role != "system")


def is_odd(messages: Sequence[Message]) -> bool:
    """Whether the turns are other than: perhaps a system prompt, then user and assistant in turn."""
    told = [message.role for message in messages]
    told = told[1:] if told[:1] == ["system"] else told
    return not told or len(told) % 2 == 1 or told != ["user", "assistant"] * (len(told) // 2)


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def lineage(row: Row) -> dict[str, str]:
    """By what a row is found again: `ilk why SAMPLE` tells its story."""
    return {"sample": row.sample, "leaf": row.leaf, "phase": row.phase}


def descent(pair: Preference) -> dict[str, str]:
    """The same of a pair of answers."""
    return {"sample": pair.chosen, "rejected_sample": pair.rejected, "leaf": pair.leaf}


def line(told: Mapping[str, object]) -> bytes:
    """One line of JSON; nothing in a text can end it."""
    return (json.dumps(told, ensure_ascii=False).translate(BREAKS) + "\n").encode("utf-8")


def message_lines(chats: Chats, part: Part, column: str) -> Iterator[bytes]:
    """The file's rows, their turns in one column."""
    for row in chats.rows(part):
        yield line({column: turns(row.messages), **lineage(row)})


def preference_lines(chats: Chats, asked: str, *, listed: bool) -> Iterator[bytes]:
    """The pairs: what was asked in the column of that name, each answer as one turn, or as a list of one."""
    for pair in chats.preferences():
        told: dict[str, object] = {asked: turns(pair.messages)}
        for name, answer in (("chosen", pair.chosen_answer), ("rejected", pair.rejected_answer)):
            turn = {"role": "assistant", "content": answer}
            told[name] = [turn] if listed else turn
        yield line(told | descent(pair))


def notes(seen: Sequence[Seen], *, cuts: str = "") -> Iterator[str]:
    """What a user should know of the rows; `cuts` says who shortens long ones, and at how many tokens."""
    if not any(one.part.phase for one in seen):
        yield "the run has no rows to train on; ilk generate says what became of its samples"
    for one in seen:
        if one.blank:
            yield f"{one.part.file}: {one.blank} rows are left out in which a turn says nothing"
        if one.odd:
            yield f"{one.part.file}: {one.odd} rows are left out whose turns are not user and assistant in turn"
        if one.long and cuts:
            yield f"{one.part.file}: {one.long} rows are long, up to {one.longest:,} characters; {cuts}"
