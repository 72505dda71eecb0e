"""Rejects samples that hold items of benchmarks which the model is to be compared by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from instructlab_like.errors import RecipeError
from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.benchmarks import READ, Entry, entries, named
from instructlab_like.filters.parts.runs import (
    NONE,
    Hashes,
    Places,
    Words,
    cut,
    quoted,
    rolled,
    squeezed,
    summed,
    windows,
    words,
)
from instructlab_like.records import Sample, digest

WORDS_ALIKE = 3  # words of a question, from which on its equality tells
WORDS_WITHIN = 6  # the same inside a longer question
COMMON = 50  # texts of a benchmark that share a run or repeat each other: its own phrasing, which proves nothing
MOST_MARKS = 1 << 26  # bytes of a table that says which hashes are not there
NO_FILES = not_applied("no benchmark file is named in the option `files`")
CLEAN = kept("shares no long run with the benchmarks")
# Everyone's lists, which are no part of any benchmark: their runs do not count.
LISTS = (
    "January February March April May June July August September October November December " * 2,
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday " * 3,
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
    "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune Pluto",
    "import numpy as np import pandas as pd import matplotlib.pyplot as plt import seaborn as sns",
)


class Contamination(SampleFilter):
    """Rejects a sample that shares text with a benchmark's item; the verdict's partner is the item's file and line.

    Compared are question, answer, and the passage of a grounded sample, each with every text of an item: question,
    prompt, passage, choices, answer, solution, whatever the field is called; identifiers, addresses and names of
    categories are not. Too much is a run of `words` words in a row, or of `characters` letters and digits (which finds
    code, and texts spaced or punctuated otherwise). A shorter question must not be the sample's question, nor a line or
    sentence in it, as a whole, unless it is about a passage. Short answers ("True") are compared with nothing.

    A run that stands in more than 50 texts of the benchmarks is their own phrasing and does not count, nor does one
    that is mostly numbers, or a list that everybody knows, such as that of the months.

    Not applied without `files`. What it cannot know: an item in other words, translated, or with every number changed.
    Score: the length of the longest run, in words or characters; 1 for an equal question.
    """

    version: ClassVar[int] = 1

    files: str = ""
    """Benchmark files, comma-separated: paths or patterns with `*`, of .jsonl, .json, .csv, .tsv, .txt or .md."""
    words: Annotated[int, Field(ge=4)] = 13
    """Words in a row that are too many; in scripts without spaces two characters are a word."""
    characters: Annotated[int, Field(ge=20)] = 50
    """Letters and digits in a row that are too many."""

    @cached_property
    def opened(self) -> tuple[tuple[str, str], ...]:
        return named(self.files)

    def identity(self) -> str:
        return digest([super().identity(), self.opened])

    def judge(self, sample: Sample) -> Judgement:
        if not self.files.strip():
            return NO_FILES
        known = benchmark(self.opened, self.words, self.characters)
        parts = [("question", sample.question), ("answer", sample.answer)]
        if sample.kind == "grounded" and sample.context:  # "Sum this up." may be asked of another text
            parts.append(("passage", sample.context))
        elif told := known.asked(words(sample.question)):
            return told
        for part, text in parts:
            if told := known.shared_words(words(text), part) or known.shared_characters(words(text), part):
                return told
        return CLEAN


@lru_cache(maxsize=2)
def benchmark(files: tuple[tuple[str, str], ...], size: int, length: int) -> Benchmark:
    """The texts of the files as they are compared; once in a process."""
    if not files:
        raise RecipeError("no benchmark file is named", where="filters.contamination.files", fix=f"name one: {READ}")
    return Benchmark((entry for path, _ in files for entry in entries(path)), size, length)


class Table:
    """Which entries each hash belongs to: sorted, and behind marks, since nearly no hash that is asked for is there."""

    def __init__(self, keys: Sequence[Hashes], *, without: Hashes) -> None:
        together = np.concatenate([NONE, *keys])
        order = np.argsort(together, kind="stable")
        together = together[order]
        count = np.unique(together, return_counts=True)[1]
        plenty = np.repeat(count > COMMON, count) | np.isin(together, without)
        self.keys: Hashes = together[~plenty]
        self.places: Places = order[~plenty]  # among all the keys, one text's after the other's
        self.starts = np.cumsum([0, *map(len, keys)])
        self.slots = min(MOST_MARKS, 1 << (8 * len(self.keys) + 8).bit_length())
        self.marks = np.zeros(self.slots, np.bool_)
        self.marks[self.keys % self.slots] = True

    def met(self, asked: Hashes) -> Places:
        """The places of those hashes that are here."""
        likely = np.flatnonzero(self.marks[asked % self.slots])
        if not len(likely):
            return likely
        at = np.searchsorted(self.keys, asked[likely])
        found: Places = likely[self.keys[np.minimum(at, len(self.keys) - 1)] == asked[likely]]
        return found

    def of(self, key: np.uint64) -> list[tuple[int, int]]:
        """The texts that have it, each with the key's number there."""
        begin, end = np.searchsorted(self.keys, key), np.searchsorted(self.keys, key, side="right")
        places = self.places[begin:end]
        texts = np.searchsorted(self.starts, places, side="right") - 1
        return list(zip(texts.tolist(), (places - self.starts[texts]).tolist(), strict=True))


class Benchmark:
    """The texts of benchmarks by their runs of words and of characters, and the short ones whole."""

    def __init__(self, found: Iterable[Entry], size: int, length: int) -> None:
        self.size, self.length = size, length
        self.window = (length + 1) // 2
        self.step = length - self.window + 1  # so that each run of `length` has one of the windows so far apart in it
        self.whole: dict[int, str] = {}
        self.where: list[str] = []
        self.squeezed: list[str] = []
        known = [self.runs_of(text) for text in map(cut, LISTS)]
        runs: list[Hashes] = []
        pieces: list[Hashes] = []
        for where, text, asks in distinct(found, size):
            if asks and text.length >= WORDS_ALIKE:
                self.whole.setdefault(int(text.whole()[0]), where)
            told, squeeze = self.runs_of(text), squeezed(text.words)
            if len(told) or len(squeeze) >= length:
                runs.append(told)
                pieces.append(self.windows_of(squeeze, self.step))
                self.where.append(where)
                self.squeezed.append(squeeze)
        self.runs = Table(runs, without=np.concatenate(known))
        lists = [self.windows_of(squeezed(cut(text).words), 1) for text in LISTS]
        self.windows = Table(pieces, without=np.concatenate(lists))

    def runs_of(self, text: Words) -> Hashes:
        """The runs of which at least half are words, not numbers and single letters."""
        if text.length < self.size:
            return NONE
        light = [word[0].isdigit() or (len(word) == 1 and word.isascii()) for word in text.words]
        if 2 * sum(light) <= self.size:
            return text.runs(self.size)
        begins, ends = text.stretches(self.size)
        sums = np.cumsum([0, *light])
        telling = 2 * (sums[ends] - sums[begins]) <= ends - begins
        return rolled(text.sums, begins[telling], ends[telling])

    def windows_of(self, text: str, step: int) -> Hashes:
        """A hash of every `step`th window of the text."""
        if len(text) < self.length:
            return NONE
        signs = np.frombuffer(f"\0{text}".encode("utf-32-le", "surrogatepass"), np.uint32)
        return windows(summed(signs.astype(np.uint64)), self.window)[::step]

    def asked(self, question: Words) -> Judgement | None:
        """Whether the question, or a part of it that stands by itself, is an item's."""
        stretches = question.segments(WORDS_WITHIN)
        if question.length >= WORDS_ALIKE:
            stretches = [(0, len(question.words)), *stretches]
        for (begin, end), key in zip(stretches, question.parts(stretches).tolist(), strict=True):
            if where := self.whole.get(key):
                shown = quoted(" ".join(question.words[begin:end]))
                return rejected("asked", f"asks what {where} asks: {shown}", score=1.0, threshold=1.0, partner=where)
        return None

    def shared_words(self, text: Words, part: str) -> Judgement | None:
        """Whether the text has a run of words of an item; the longest is told."""
        runs = text.runs(self.size)
        met = self.runs.met(runs)
        if not len(met):
            return None
        neighbours = np.split(met, np.flatnonzero(np.diff(met) > 1) + 1)
        longest = max(neighbours, key=len)
        begin, end = int(longest[0]), int(text.stretches(self.size)[1][longest[-1]])
        where = self.where[self.runs.of(runs[begin])[0][0]]
        count = text.measure(begin, end)
        reason = f"its {part} has {count} words in a row of {where}: {quoted(' '.join(text.words[begin:end]))}"
        return rejected("shared-words", reason, score=count, threshold=self.size, partner=where)

    def shared_characters(self, text: Words, part: str) -> Judgement | None:
        """Whether the text has a run of letters and digits of an item; the first is told."""
        squeeze = squeezed(text.words)
        asked = self.windows_of(squeeze, 1)
        for at in self.windows.met(asked).tolist():
            for owner, number in self.windows.of(asked[at]):
                run = common(squeeze, at, self.squeezed[owner], number * self.step, self.window)
                if len(run) >= self.length and 2 * sum(sign.isdigit() for sign in run) <= len(run):
                    where = self.where[owner]
                    reason = f"its {part} has {len(run)} letters and digits in a row of {where}: {quoted(run)}"
                    return rejected("shared-characters", reason, score=len(run), threshold=self.length, partner=where)
        return None


def distinct(found: Iterable[Entry], size: int) -> Iterator[tuple[str, Words, bool]]:
    """Each text once, with the place where it is first and whether it may be a question; none that many items have."""
    texts: dict[str, tuple[str, bool, int]] = {}
    for entry in found:
        if entry.asks or len(entry.text) >= 2 * size:
            where, asks, count = texts.get(entry.text, (entry.where, False, 0))
            texts[entry.text] = where, asks or entry.asks, count + 1
    for text, (where, asks, count) in texts.items():
        if count <= COMMON and (made := cut(text)).words:
            yield where, made, asks


def common(one: str, at: int, other: str, begin: int, window: int) -> str:
    """The longest run that two texts share around a window of them; empty if the windows only have one hash."""
    if one[at : at + window] != other[begin : begin + window]:
        return ""
    back = 0
    while back < min(at, begin) and one[at - back - 1] == other[begin - back - 1]:
        back += 1
    end, last = window, min(len(one) - at, len(other) - begin)
    while end < last and one[at + end] == other[begin + end]:
        end += 1
    return one[at - back : at + end]
