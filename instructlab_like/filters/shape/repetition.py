"""Rejects texts that go round in circles: the same character, word, phrase, sentence or line over and over."""

from __future__ import annotations

import re
from itertools import islice, pairwise
from operator import eq
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.code_blocks import outside_code, outside_spans, reads_like_code
from instructlab_like.filters.parts.loops import (
    bare,
    frequent,
    is_stuck,
    loops,
    said_again,
    sentences,
    stutter,
    variety,
)
from instructlab_like.filters.parts.sides import quoted
from instructlab_like.filters.parts.wanted import CODE, REPEATED, VERSE, about
from instructlab_like.records import Sample

VARIED = kept("nothing is said over and over")

HAN = re.compile("[぀-ヿ㐀-䶿一-鿿가-힯\u0e00-\u0eff]{4}")
CHARACTERS = re.compile(r"([^\W\d_])\1{14,}|([!?,;:&@])\2{11,}|([^\W\d_]{2,12}?)\3{9,}")
HAN_LOOP = re.compile(r"([^\W\d_])\1{9,}|([^\s\d]{2,40}?)\2{4,}|([^\s\d]{12,80}?)\3{2,}")
RAW = re.compile(
    r"://|^(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[\w+/]{40,}={0,2}$|^(?=.*\d)[0-9a-fA-F]+$|^[ACGTUN]+$|[\\=<>{}|]"
)  # addresses, encoded data, genes, markup
LONGEST = 400  # characters of one word that are looked through
EXCUSES = (REPEATED, VERSE, CODE)  # subjects of a question that may bring repetition with them
ALIKE = 15  # identical lines in a row that not even a program has


class Repetition(SampleFilter):
    """Rejects a character or syllable in a long run; a word or phrase that follows itself more often than emphasis or a
    refrain would; a sentence or line that stands three times and makes up much of the text; a text much of which was
    said before in the same words; one with hardly a new word.

    Songs, poems and what is to be repeated may repeat when the question says so; so may code, tables and numbers.
    Beginnings that a list or a table of verbs has in common are no repetition. The same in other words is not seen.
    Questions are judged by their runs and loops only.
    """

    version: ClassVar[int] = 1

    max_again: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Largest share of words in passages of eight words and more that stood before in the same text."""
    max_sentence: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Largest share of one sentence that stands three times or more, or of long ones that stand twice."""
    min_variety: Annotated[float, Field(ge=0, le=1)] = 0.18
    """Smallest share of different words, in a text of sixty words and more."""

    def judge(self, sample: Sample) -> Judgement:
        for part, text in (("answer", sample.answer), ("question", sample.question)):
            words = text.split()
            again = comes_again(words)
            if not again and max(map(len, words), default=0) < 16:
                continue
            if found := self.circles(part, text, sample.question, again=again):
                return found
        return VARIED

    def circles(self, part: str, text: str, question: str, *, again: bool) -> Judgement | None:
        """What a text that may repeat itself says over and over; what excuses it is looked for last, as it takes
        longest."""
        if run := characters(outside_spans(text)):
            asked = about(REPEATED, question)
            return None if asked else rejected("repeated-characters", f"{quoted(run)} in the {part}", score=len(run))
        if not again:
            return None
        if alike := same_lines(text):
            found = rejected("repeated-lines", f"the line {quoted(alike)} over and over in the {part}", threshold=ALIKE)
            return None if about(REPEATED, question) else found
        prose = "\n".join(line for line in (outside_code(text) or "").splitlines() if line.count("|") < 2)
        words = bare(prose)
        told = stuck(part, words) or (self.passages(prose, words) if part == "answer" else None)
        if not told or any(about(subject, question) for subject in EXCUSES) or reads_like_code(prose):
            return None
        return told

    def passages(self, prose: str, words: list[str]) -> Judgement | None:
        """Sentences and passages that come back, and words that are always the same.

        Words that come back do so in threes that come back; where these are too few, nothing longer is looked for.
        """
        count, again = max(1, len(words)), threes_again(words)
        # Four words said three times are two threes more, even if the first of them had a number before it.
        if (not prose.isascii() or 6 * again >= self.max_sentence * count) and (found := self.said(prose, count)):
            return found
        if 4 * again >= 3 * self.max_again * count and count > 20:  # eight words are six threes
            share, passage = said_again(words)
            if share > self.max_again:
                what = f"{share:.0%} of the answer was said before, such as {quoted(passage)}"
                return rejected("said-again", what, score=round(share, 3), threshold=self.max_again)
        if again > 4 and 5 * again >= self.max_sentence * count:  # five words said four times, even of one word
            share, times, phrase = frequent(words)
            if times > 3 and share > self.max_sentence and in_one_sentence(phrase, prose):
                what = f"{quoted(phrase)} stands {times} times in the answer"
                return rejected("repeated-phrase", what, score=round(share, 3), threshold=self.max_sentence)
        if count >= 60 and (varied := variety(words)) < self.min_variety:
            what = f"only {varied:.0%} of the answer's words are different"
            return rejected("low-variety", what, score=round(varied, 3), threshold=self.min_variety)
        return None

    def said(self, prose: str, count: int) -> Judgement | None:
        """Sentences that come back, in a text of so many words."""
        counted = sentences(prose)
        for sentence, times in counted.most_common(1):
            share = times * len(sentence.split()) / count
            if times > 2 and (share > self.max_sentence or " " not in sentence):
                what = f"{quoted(sentence)} stands {times} times in the answer"
                return rejected("repeated-sentence", what, score=round(share, 3), threshold=self.max_sentence)
        twice = [sentence for sentence, times in counted.items() if times > 1 and sentence.count(" ") > 6]
        share = sum(len(sentence.split()) for sentence in twice) / count
        if share > self.max_sentence:
            what = f"{quoted(twice[0])} stands twice in the answer"
            return rejected("repeated-sentence", what, score=round(share, 3), threshold=self.max_sentence)
        return None


def threes_again(words: list[str]) -> int:
    """How many runs of three words were there before."""
    return max(0, len(words) - 2) - len(set(zip(words, words[1:], words[2:], strict=False)))


def comes_again(words: list[str]) -> bool:
    """Whether anything comes twice: a word twice in a row, four words in order, few words many times."""
    count = len(words)
    if count < 5:
        return count == 1 and len(words[0]) > 30
    different = len(set(words))
    if different == count:
        return False
    if True in map(eq, words, islice(words, 1, None)):
        return True
    # Where four words come again, each of them was there before.
    if count - different > 3 and len(set(zip(words, words[1:], words[2:], words[3:], strict=False))) < count - 3:
        return True
    return count > 60 and 4 * different < count and len(set(pairwise(words))) < count - 1


def characters(text: str) -> str | None:
    """A character or syllable in a long run, or, in text without spaces, a passage."""
    if not text.isascii() and HAN.search(text) and (found := HAN_LOOP.search(text)) and len(found[0]) > 9:
        return found[0][:40]
    for whole in text.split():
        word = whole[:LONGEST]
        if len(word) > 11 and not RAW.search(word) and (found := CHARACTERS.search(word)):
            return found[0][:40]
    return None


def same_lines(text: str) -> str | None:
    """A line that follows itself many times, whatever it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for at in range(len(lines) - ALIKE + 1):
        if len(set(lines[at : at + ALIKE])) == 1 and any(map(str.isalpha, lines[at])):
            return lines[at]
    return None


def stuck(part: str, words: list[str]) -> Judgement | None:
    if word := stutter(words):
        return rejected("stuck", f"{quoted(word)} in the {part}")
    for loop in loops(words):
        if is_stuck(loop):
            return rejected(
                "stuck", f"{quoted(loop.phrase)} {loop.copies:.1f} times in a row in the {part}", score=loop.words
            )
    return None


def in_one_sentence(phrase: str, prose: str) -> bool:
    """Whether a phrase stands several times in one sentence, and not once in each, as in a list of one form."""
    words = phrase.split()
    if not all(map(str.isalpha, words)):
        return False
    return any(" ".join(bare(piece)).count(phrase) > 2 for piece in re.split(r"[.!?:;。！？\n]", prose))
