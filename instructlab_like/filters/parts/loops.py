"""Passages that a text says again and again, by its words in order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# How often a phrase of so many words may follow itself. Of one word, emphasis and laughter; of two to four, refrains.
COPIES = {1: 4, 2: 3, 3: 3, 4: 3, 5: 2, 6: 2, 7: 2}
LONGEST = 60  # words of a phrase whose loops are looked for
FUNCTION_TEXT = "the of and to a is in for with an on at by or as be are der die und le la de et el y di"
FUNCTION = frozenset(FUNCTION_TEXT.split())
LAUGHTER_TEXT = "ha haha hee ho la na da doo oh ah hey yeah no yes blah knock tick tock woof moo very buffalo had"
LAUGHTER = frozenset(LAUGHTER_TEXT.split())
EDGES = " \t\"'“”‘’«»()[]{}.,;:!?…*_#>`。，、！？"


@dataclass(frozen=True, slots=True)
class Loop:
    """A phrase that follows itself."""

    phrase: str
    copies: float
    words: int  # of all copies together


def bare(text: str) -> list[str]:
    """The words of a text without case and punctuation; what has none is left out."""
    return [word for token in text.casefold().split() if (word := token.strip(EDGES))]


def loops(words: Sequence[str]) -> Iterator[Loop]:
    """Phrases that follow themselves, once each, where they first do; found by the distance of equal triples."""
    seen: dict[tuple[str, ...], int] = {}
    period = length = 0
    for at in range(len(words) - 2):
        triple = tuple(words[at : at + 3])
        distance = at - seen[triple] if triple in seen else 0
        seen[triple] = at
        if distance and distance == period:
            length += 1
            continue
        if period:
            yield loop(words, at, period, length)
        period, length = (distance, 1) if 0 < distance <= LONGEST else (0, 0)
    if period:
        yield loop(words, max(0, len(words) - 2), period, length)


def loop(words: Sequence[str], end: int, period: int, length: int) -> Loop:
    """The loop whose triples last matched `length` times, up to the word before `end`."""
    begin = end - length - period
    total = period + length + 2
    return Loop(" ".join(words[begin : begin + period]), total / period, total)


def is_stuck(found: Loop) -> bool:
    """Whether a phrase follows itself more often than anyone would say it."""
    phrase = found.phrase.split()
    if 2 * sum(word.isalpha() or sum(map(str.isalpha, word)) > 1 for word in phrase) < len(phrase):
        return False
    if len(phrase) == 1 and phrase[0] in LAUGHTER:
        return found.copies > 15
    if len(phrase) > 7:
        return found.copies >= 2
    return found.copies >= COPIES[len(phrase)] + 1


def stutter(words: Sequence[str]) -> str | None:
    """A function word three times in a row."""
    for one, two, three in zip(words, words[1:], words[2:], strict=False):
        if one == two == three and one in FUNCTION:
            return f"{one} {one} {one}"
    return None


def said_again(words: Sequence[str], size: int = 8) -> tuple[float, str]:
    """The share of words in passages of `size` words that were there before, and the first such passage."""
    seen: set[tuple[str, ...]] = set()
    covered, first, until = 0, "", 0
    for at in range(len(words) - size + 1):
        passage = tuple(words[at : at + size])
        if passage in seen and sum(map(str.isalpha, passage)) > size // 2:
            covered += at + size - max(until, at)
            until = at + size
            first = first or " ".join(passage)
        seen.add(passage)
    return (covered / len(words) if words else 0.0), first


SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|\n+|(?<=[。！？])")
NUMBERING = re.compile(r"^\W*(?:\d{1,3}[.):]\s*)?\W*")


def sentences(text: str) -> Counter[str]:
    """The sentences and lines of a text that have four words or ten characters of Han, and how often each stands."""
    found = Counter[str]()
    for piece in SENTENCES.split(text):
        plain = " ".join(bare(NUMBERING.sub("", piece)))
        if (plain.count(" ") > 2 and any(map(str.isalpha, plain))) or (
            len(plain) > 9 and not plain.isascii() and " " not in plain
        ):
            found[plain] += 1
    return found


def variety(words: Sequence[str]) -> float:
    """The share of words that are different, among those without digits; 1 where numbers prevail."""
    spoken = [word for word in words if not any(map(str.isdigit, word))]
    if not spoken or 10 * len(spoken) < 7 * len(words):
        return 1.0
    return len(set(spoken)) / len(spoken)


def frequent(words: Sequence[str], size: int = 5) -> tuple[float, int, str]:
    """Of the passage of `size` words that stands most often: its share of all words, how often it does, and itself."""
    if len(words) < 2 * size:
        return 0.0, 0, ""
    counts = Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
    passage, times = max(counts.items(), key=lambda one: (one[1], one[0]))
    return times * size / len(words), times, " ".join(passage)
