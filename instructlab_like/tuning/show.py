"""The first rows as the model sees them: where packed samples meet, and which of their tokens are learnt.

What is shown is read back from the token ids, not from the dataset: a chat template that loses a line shows here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from rich.cells import cell_len
from transformers import PreTrainedTokenizerBase

from instructlab_like.printable import escaped, is_plain
from instructlab_like.tuning.tokens import Encoded

LEARNT = "⟦⟧"  # around what is learnt, where there is no colour
SPECIAL = "⟨⟩"  # around a special token, where there is no colour
SIGNS = {"\n": "↵", "\t": "⇥", "\r": "␍"}
RESET = "\x1b[0m"
COLOURS = {(False, False): "", (True, False): "\x1b[1;32m", (False, True): "\x1b[36m", (True, True): "\x1b[1;36m"}
NARROWEST = 20  # columns that a text gets even if the terminal has fewer

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BACKSLASHES = re.compile(r"(\\+)(?=(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.))", re.DOTALL)
_JOINER = "\u200d"  # makes one sign of those around it


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text of neighbouring tokens with one mark; a byte that is no whole character is a lone surrogate in it."""

    text: str
    learnt: bool
    special: bool = False


@dataclass(frozen=True, slots=True)
class Sign:
    """What stands on the screen and is never parted: a character, an escape, the name of a special token."""

    shown: str
    width: int
    learnt: bool
    special: bool = False
    pause: bool = False  # a line may end after it
    ends: bool = False  # the line ends after it


def shown(
    rows: Sequence[Sequence[Encoded]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    colour: bool,
    width: int = 100,
    row_tokens: int | None = None,
) -> Iterator[str]:
    """Lines for a terminal (`colour`) or for a pipe; `row_tokens` is the room of a row, None where rows have none."""
    reader = Reader(tokenizer)
    room = max(NARROWEST, width - 2)
    yield from legend(colour=colour)
    for number, row in enumerate(rows, start=1):
        tokens = sum(len(sample.ids) for sample in row)
        learnt = sum(int(sample.trained.sum()) for sample in row)
        yield ""
        samples = f"{len(row):,} sample{'' if len(row) == 1 else 's'}"
        yield f"row {number} of {len(rows)}: {samples}, {tokens:,} tokens, {learnt:,} of them learnt"
        cell = 1
        for place, sample in enumerate(row, start=1):
            yield border(title(sample, place, len(row), cell), colour=colour, width=width)
            signs = [sign for stretch in reader.stretches(sample) for sign in signs_of(stretch, colour=colour)]
            for line in lines_of(signs, room):
                yield "  " + painted(line, colour=colour)
            cell += len(sample.ids)
        if row_tokens is not None:
            empty = row_tokens - tokens
            told = f"{empty:,} of {row_tokens:,} cells empty" if empty else f"all {row_tokens:,} cells filled"
            yield border(told, colour=colour, width=width)


def legend(*, colour: bool) -> Iterator[str]:
    """What the marks mean."""
    if colour:
        looks = {"learnt": (True, False), "only read": (False, False), "special token": (False, True)}
        looks["special token, learnt"] = (True, True)
        told = ", ".join(f"{COLOURS[look]}{name}{RESET if COLOURS[look] else ''}" for name, look in looks.items())
    else:
        told = (
            f"{LEARNT[0]}learnt{LEARNT[1]} (marked anew on each line), all else is only read, "
            f"{SPECIAL[0]}special token{SPECIAL[1]}"
        )
    yield f"marks: {told}"
    yield f"signs: {SIGNS[chr(10)]} line break, {SIGNS[chr(9)]} tab, \\x1b a byte or character that cannot be shown"


def title(sample: Encoded, place: int, count: int, cell: int) -> str:
    learnt = int(sample.trained.sum())
    last = cell + len(sample.ids) - 1
    return (
        f"sample {place} of {count}: {escaped(sample.sample)}, {escaped(sample.leaf)}, "
        f"{len(sample.ids):,} tokens, {learnt:,} learnt, cells {cell:,} to {last:,}"
    )


def border(text: str, *, colour: bool, width: int) -> str:
    """A line across; short where it may be read aloud."""
    line = f"── {text} ──"
    return line + "─" * max(0, width - cell_len(line)) if colour else line


# --- tokens to text ---------------------------------------------------------------------------------------------


class Reader:
    """Reads ids back as text, whatever the tokenizer: pieces of bytes, of words, or of both."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        # Decoders take a blank from the first token they see, so one whose text is known stands before.
        self.anchor: list[int] = tokenizer.encode("a", add_special_tokens=False)
        self.byte_level = self.pieces(tokenizer.encode("é", add_special_tokens=False)).endswith("Ã©")
        known = tokenizer.added_tokens_decoder
        self.added: dict[int, str] = {number: str(token.content) for number, token in known.items()}
        self.special = {number for number, token in known.items() if token.special} | set(tokenizer.all_special_ids)

    def stretches(self, sample: Encoded) -> Iterator[Stretch]:
        """The sample's text in order, parted wherever the mark changes and around special tokens."""
        ids: list[int] = sample.ids.tolist()
        learnt: list[bool] = sample.trained.tolist()
        places = range(len(ids))
        for named, group in groupby(places, key=lambda place: ids[place] in self.special or ids[place] in self.added):
            found = list(group)
            if named:
                for place in found:
                    name = self.added.get(ids[place]) or self.pieces([ids[place]])
                    yield Stretch(name, learnt[place], special=ids[place] in self.special)
            else:
                low, high = found[0], found[-1] + 1
                yield from self.parted(ids[low:high], learnt[low:high])

    def parted(self, ids: list[int], learnt: list[bool]) -> Iterator[Stretch]:
        """Decode ordinary tokens together. A character that the mark itself parts is shown byte by byte."""
        whole = self.text([*self.anchor, *ids])

        @cache
        def end(count: int) -> int | None:
            """Where in `whole` the first `count` tokens end; None in the middle of a character."""
            if count == len(ids):
                return len(whole)
            text = self.text([*self.anchor, *ids[:count]])
            return len(text) if whole.startswith(text) and not text.endswith("\ufffd") else None

        split: set[int] = set()
        for cut in range(1, len(ids)):
            if learnt[cut] != learnt[cut - 1] and end(cut) is None:
                low = next((place for place in range(cut, 0, -1) if end(place) is not None), 0)
                high = next(place for place in range(cut, len(ids) + 1) if end(place) is not None)
                split.update(range(low, high))
        for (mark, torn), group in groupby(range(len(ids)), key=lambda place: (learnt[place], place in split)):
            found = list(group)
            if torn:
                yield Stretch(self.bytes_of([ids[place] for place in found]), mark)
            else:
                yield Stretch(whole[end(found[0]) : end(found[-1] + 1)], mark)

    def text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def pieces(self, ids: list[int]) -> str:
        return "".join(map(str, self.tokenizer.convert_ids_to_tokens(ids)))

    def bytes_of(self, ids: list[int]) -> str:
        """The tokens' own bytes, as text as far as they are any."""
        found = b""
        for piece in map(str, self.tokenizer.convert_ids_to_tokens(ids)):
            if byte := _BYTE_PIECE.fullmatch(piece):
                found += bytes([int(byte[1], 16)])
            elif self.byte_level and all(character in byte_alphabet() for character in piece):
                found += bytes(byte_alphabet()[character] for character in piece)
            else:
                found += piece.replace("▁", " ").encode()
        return found.decode(errors="surrogateescape")


@cache
def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level tokenizers write bytes down (GPT-2): printable ones are themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + number): byte for number, byte in enumerate(others)}


# --- text to the screen -----------------------------------------------------------------------------------------


def signs_of(stretch: Stretch, *, colour: bool) -> list[Sign]:
    """What a stretch looks like, sign by sign, so that no mark of ours can be taken for a part of the text."""
    marks = "".join(SIGNS.values()) + ("" if colour else LEARNT + SPECIAL)
    if stretch.special:
        name = "".join(sign(character, marks) for character in doubled(stretch.text, marks))
        name = name if colour else SPECIAL[0] + name + SPECIAL[1]
        return [Sign(name, cell_len(name), stretch.learnt, special=True, pause=True)]
    found: list[Sign] = []
    joined = False
    for character in doubled(stretch.text, marks):
        told = SIGNS.get(character) or sign(character, marks)
        size = cell_len(told)
        if found and not found[-1].ends and (joined or not size):
            last = found[-1]
            found[-1] = Sign(last.shown + told, cell_len(last.shown + told), stretch.learnt)
        else:
            pause = character in " \t" or size > 1  # wide characters are those of scripts without blanks
            found.append(Sign(told, size, stretch.learnt, pause=pause, ends=character == "\n"))
        joined = character == _JOINER
    return found


def doubled(text: str, marks: str) -> str:
    """Double backslashes that would read as an escape of ours, or stand before one."""

    def twice(found: re.Match[str]) -> str:
        after = found[2]
        confusable = len(after) > 1 or (after not in SIGNS and sign(after, marks) != after)
        return found[1] * 2 if confusable else found[1]

    return _BACKSLASHES.sub(twice, text)


def sign(character: str, marks: str) -> str:
    """The character, or an escape where it cannot be shown or is one of the marks."""
    if character in marks:
        return ascii(character)[1:-1]
    return character if is_plain(character) else escaped(character)


def lines_of(signs: Sequence[Sign], room: int) -> Iterator[Sequence[Sign]]:
    """Part signs at the text's own line breaks, and where a line is full."""
    start = 0
    while start < len(signs):
        stop, pause, used = start, start, 0
        while stop < len(signs):
            one = signs[stop]
            opening = one.learnt and (stop == start or not signs[stop - 1].learnt)
            used += one.width + (len(LEARNT) if opening else 0)
            if used > room and stop > start:
                stop = pause if pause > start else stop
                break
            stop += 1
            if one.ends:
                break
            if one.pause:
                pause = stop
        yield signs[start:stop]
        start = stop


def painted(line: Sequence[Sign], *, colour: bool) -> str:
    """A line with its marks; each line stands for itself, so that parts of the output can be cut out."""
    told = ""
    if colour:
        for look, group in groupby(line, key=lambda one: (one.learnt, one.special)):
            text = "".join(one.shown for one in group)
            told += f"{COLOURS[look]}{text}{RESET}" if COLOURS[look] else text
        return told
    for learnt, group in groupby(line, key=lambda one: one.learnt):
        text = "".join(one.shown for one in group)
        told += LEARNT[0] + text + LEARNT[1] if learnt else text
    return told
