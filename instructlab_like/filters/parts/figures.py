"""The numbers of a text as figures, each with its readings, its unit and how it is worded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from instructlab_like.filters.parts.figure_words import (
    FOREIGN,
    FOREIGN_WORDS,
    GROUPS,
    MAGNITUDES,
    ORDINALS,
    SCALES,
    SHARES,
    SMALL,
    TENS,
    UNITS,
    Number,
    number,
    of_han,
    singular,
    unit_of,
)
from instructlab_like.filters.parts.ordinary import language

HAN = re.compile(r"[〇零一二三四五六七八九十百千万萬億亿两兩]{1,20}")
HAN_CLAIM = re.compile(
    r"(?:[〇一二三四五六七八九十百千]{2,20}|[二三四五六七八九])(?=[年月日人個个名座米里岁歳次元円块台章條条层階本匹頭头艘])"
)
# A figure: grouped in thousands (1,200.5 1 200 1'200), dotted (1.200.000,5), plain with decimals (3.5 3,5), or a chain
# of digits with dots (a version, an address). A sign counts where no word, digit or bracket stands before it.
FIGURE = re.compile(
    r"(?P<digits>\d(?:(?P<grouped>\d{0,2}(?:[,'’ \u00a0\u202f]\d{3})+(?:\.\d+)?)(?!\d)"
    r"|(?P<dotted>\d{0,2}(?:\.\d{3}){2,}(?:,\d+)?)(?![\d.])"
    r"|(?P<plain>\d*(?:[.,]\d+)?)))"
    r"(?P<tail>[^\W\d_]*)"
)
LONGEST = 50_000  # characters of a text that are looked at
MOST_FIGURES = 500
MOST_DIGITS = 40  # beyond which it is no number but a mark
CENTURY_BEHIND = re.compile(r"\.\s+(?P<unit>[Jj]ahrhunderts?)\b")
SIGNS = frozenset("-−–")
UNSIGNED = re.compile(r"[\w)\]}.,%°'\"’-]")  # before what is no sign
SPOKEN_TEXT = "|".join(sorted([*SMALL, *SCALES, "thousands", "millions"], key=len, reverse=True))
SPOKEN = re.compile(
    rf"(?:(?<![^\W\d_])(?:an?|half an?|several)\s+(?=(?:hundred|thousand|million|billion|trillion|dozen|score)\b))?"
    rf"(?<![\w])(?:{SPOKEN_TEXT})(?:(?:\s+and\s+|\s*-\s*|\s+)(?:and\s+)?(?:{SPOKEN_TEXT}))*(?![\w])"
)
ORDINAL_TEXT = "|".join(sorted(ORDINALS, key=len, reverse=True))
SPOKEN_ORDINAL = re.compile(
    rf"(?<![\w])(?:(?P<tens>{'|'.join(TENS)})[-\s])?(?P<ordinal>{ORDINAL_TEXT})(?P<plural>s?)(?![\w])"
)
SHARE = re.compile(
    r"(?<![\w])(?P<share>(?:an?|one|two|three|four)[-\s](?:half|third|quarter|fifth|eighth|tenth)s?)(?=\s+of\b)"
)
BARE_SCALE = re.compile(r"(?:hundred|thousand|million|billion|trillion|dozen|score)s?\b")  # "hundreds of", "2 million"
HALVES = re.compile(r"\s+and\s+a\s+half(?:\s+(?P<scale>hundred|thousand|million|billion|trillion|dozen))?(?![\w])")
JOINING = frozenset(("and", "a", "an", "half", "several"))
LINED = re.compile(
    r"^[ \t>*#_(-]*(?:(?:step|part|point|phase|stage|option|reason|example|item|question|answer|tip)\s+)?\d{1,3}"
    r"\s*[.):](?=\s|\*|$)",
    re.IGNORECASE | re.MULTILINE,
)
INLINE = re.compile(r"(?<!\d)1\)\s.*(?<!\d)2\)\s", re.DOTALL)
ENUMERATOR = re.compile(rf"{LINED.pattern}|(?<=[\s,;:])\(?\d{{1,2}}\)(?=\s)", re.IGNORECASE | re.MULTILINE)
ABOUT = re.compile(
    r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|some|over|under|above|below|circa|ca\.?|c\.|~|≈"
    r"|close to|more than|less than|fewer than|at least|at most|up to|just|well|nearing|approaching|exceed(?:s|ing|ed)?"
    r"|estimated|rund|etwa|ungefähr|fast|knapp|über|environ|presque|casi|unos|unas|cerca de|alrededor de|quasi"
    r"|ongeveer|bijna)\s*(?:an?\s+)?[$€£]?\s*$",
    re.IGNORECASE,
)
DATE_SIGN = re.compile(r"\d[-./]\d{1,2}[-./]\d")
DATE = re.compile(r"(?<!\d)(?:\d{4}-(\d\d)-\d\d|(\d{1,2})[./](\d{1,2})[./]\d{2,4})(?!\d)")
CLOCK = re.compile(r"\b(\d{1,2})(?::\d\d)?\s*[ap]\.?\s?m\b", re.IGNORECASE)
FULL_HOUR = re.compile(r"(?<![\d:])\d{1,2}:$")  # before the minutes of 9:00
NEAR = 24  # characters before a figure that tell how it is meant
NEXT = re.compile(r"[\s\u00a0-]*(?P<unit>%|°\s?[CF]|[^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a text tells; `readings` has more than one where its spelling is open ("1,234")."""

    said: str
    readings: tuple[Number, ...]
    start: int
    end: int
    unit: str = ""
    before: str = ""  # what stands before it
    word: bool = False  # in words
    ordinal: bool = False
    negative: bool = False
    glued: str = ""  # the whole token, where letters and digits make one: "A380"

    @property
    def value(self) -> Number:
        return self.readings[0]

    @property
    def about(self) -> bool:
        """Whether it is said to be no exact number."""
        return bool(ABOUT.search(self.before))


def figures(text: str) -> tuple[Figure, ...]:
    """The numbers that a text claims, in order; numbering of lists is none, nor is a bare "one" or "first"."""
    text = even(text[:LONGEST])
    found: list[Figure] = []
    if DIGIT.search(text):
        if NUMBERED.search(text):
            mark = ENUMERATOR if INLINE.search(text) else LINED
            found += _written(mark.sub(lambda match: " " * len(match[0]), text))
        else:
            found += _written(text)
    lower = text.casefold() if text.isascii() else text.lower()
    found += _spoken(lower)
    del found[MOST_FIGURES:]
    found.sort(key=lambda figure: figure.start)
    return tuple(found)


HALF_DAYS = frozenset(("am", "pm", "a", "p", ""))
DIGIT = re.compile(r"\d")
NUMBERED = re.compile(r"\d[.):]|\d\s+[.):]")
PARTS = dict(zip("½¼¾⅓⅔⅛⅕", ("5", "25", "75", "33", "67", "125", "2"), strict=True))
PART = re.compile(r"(\d?) ?([½¼¾⅓⅔⅛⅕])")
RAISED = re.compile(r"(?<=[\w)])[⁰¹²³⁴-⁹]+")


def even(text: str) -> str:
    """The text in one width, its vulgar fractions as decimals and raised digits behind a sign of their own."""
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return text
    text = PART.sub(lambda match: f"{match[1] or '0'}.{PARTS[match[2]]}", text)
    return unicodedata.normalize("NFKC", RAISED.sub(lambda match: "^" + match[0], text))


def _written(text: str) -> Iterator[Figure]:
    dates = [match.span() for match in DATE.finditer(text)] if DATE_SIGN.search(text) else []
    for match in FIGURE.finditer(text):
        start, end = match.span()
        tail = match["tail"]
        signed = start > 0 and text[start - 1] in SIGNS and not (start > 1 and UNSIGNED.match(text[start - 2]))
        before = text[max(0, start - NEAR) : start - signed]
        if end - start > MOST_DIGITS:
            yield Figure(match[0], (), start, end, glued=match[0])
            continue
        if match[0] == "00" and FULL_HOUR.search(before):
            continue
        if before and (before[-1].isalpha() or before[-1] == "_"):
            yield _glued(text, match)
            continue
        readings = _readings(match)
        unit = ""
        if tail:
            folded = tail.casefold()
            if folded in ("s", "er") and readings[0] >= 20 and int(readings[0]) % 10 == 0:
                yield Figure(match[0], readings, match.start(), end, unit="decade")
                continue
            if folded in MAGNITUDES and not (folded in ("m", "b", "t") and not _money(before)):
                readings = (*_scaled(readings, MAGNITUDES[folded]), *(readings if len(folded) == 1 else ()))
            elif folded in UNITS:
                unit = folded
            elif folded in ("st", "nd", "rd", "th", "ème", "º", "ª"):
                yield Figure(match[0], readings, start, end, unit=_next(text, end), ordinal=True)
                continue
            elif folded != "s" and len(folded) > 1 and not UNITS.get(singular(folded)) and not _cjk(tail[0]):
                yield _glued(text, match)
                continue
            elif not folded.startswith("s"):
                unit = folded
        following = CENTURY_BEHIND.match(text, end) or NEXT.match(text, end)
        after = ((following and following["unit"]) or "").casefold()
        if not unit and after in MAGNITUDES and len(after) > 1:
            readings = _scaled(readings, MAGNITUDES[after])
            end = following.end() if following else end
            following = NEXT.match(text, end)
            after = ((following and following["unit"]) or "").casefold()
        if half := HALVES.match(text, end):
            readings, end = (_and_a_half(readings[0], half),), half.end()
        if after in HALF_DAYS and CLOCK.match(text, start):
            readings = (*readings, readings[0] % 12 + 12, readings[0] % 12)
        if signed:
            readings = tuple(-value for value in readings)
        yield Figure(
            text[start - signed : end].strip(),
            readings,
            start,
            end,
            unit="date" if any(first <= start < last for first, last in dates) else unit or after,
            before=before,
            negative=signed,
        )


def _next(text: str, end: int) -> str:
    following = NEXT.match(text, end)
    return ((following and following["unit"]) or "").casefold()


def _glued(text: str, match: re.Match[str]) -> Figure:
    """Digits inside a word: the whole word, with its digits as reading."""
    start, end = match.start(), match.end()
    while start and (text[start - 1].isalnum()):
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    digits = int(re.sub(r"\D", "", match["digits"]) or 0)
    return Figure(text[start:end], (digits,), match.start(), end, glued=text[start:end].casefold())


def _money(before: str) -> bool:
    return before.rstrip()[-1:] in "$€£¥" and bool(before.strip())


def _cjk(character: str) -> bool:
    return "\u3000" < character < "\ud7ff"


def _readings(match: re.Match[str]) -> tuple[Number, ...]:
    digits = match["digits"]
    if match["grouped"]:
        plain = re.sub(r"[,'’ \u00a0\u202f]", "", digits)
        first = number(plain)
        if re.fullmatch(r"\d{1,3},\d{3}", digits):
            return (first, number(digits.replace(",", ".")))
        return (first,)
    if match["dotted"]:
        return (number(digits.replace(".", "").replace(",", ".")),)
    if re.fullmatch(r"\d{1,3}\.\d{3}", digits):
        return (number(digits), number(digits.replace(".", "")))
    return (number(digits.replace(",", ".")),)


def _scaled(readings: Sequence[Number], power: int) -> tuple[Number, ...]:
    return tuple(number(format(Decimal(value).scaleb(power), "f")) for value in readings)


@lru_cache(maxsize=64)
def lowered_words(lower: str) -> frozenset[str]:
    return frozenset(WORD_ONLY.findall(lower))


WORD_ONLY = re.compile(r"[^\W\d_]+")
SPOKEN_WORDS = (
    frozenset(SMALL)
    | frozenset(SCALES)
    | frozenset(ORDINALS)
    | frozenset(word + "s" for word in ORDINALS)
    | FOREIGN_WORDS
) - {"one", "zero", "first"}
SHARE_WORDS = frozenset(f"{word}{plural}" for word in SHARES for plural in ("", "s"))


def _spoken(lower: str) -> Iterator[Figure]:
    words = lowered_words(lower)
    if not SPOKEN_WORDS.isdisjoint(words):
        yield from _english(lower, words)
        if not FOREIGN_WORDS.isdisjoint(words):
            known = FOREIGN.get(language(lower), {})
            for match in WORD_ONLY.finditer(lower):
                if match[0] in known and not _compound(lower, match):
                    yield Figure(match[0], (known[match[0]],), match.start(), match.end(), word=True)
    if not lower.isascii():
        for match in HAN_CLAIM.finditer(lower):
            yield Figure(match[0], of_han(match[0]), match.start(), match.end(), word=True)


COMPOUND = re.compile(
    r"(?:cient|cent|hundert|tausend|honderd|duizend|mil|vingt|soixante|trent|[aeiou]nta)", re.IGNORECASE
)


def _compound(lower: str, match: re.Match[str]) -> bool:
    """Whether a number word of another language is part of a longer number, which is not put together here."""
    before = WORD_ONLY.findall(lower[max(0, match.start() - 30) : match.start()])[-2:]
    after = WORD_ONLY.findall(lower[match.end() : match.end() + 24])[:2]
    near = [word for word in (*before[-1:], *after[:1]) if word not in ("y", "et", "e", "und", "en")]
    near += before[:1] if before and before[-1] in ("y", "et", "e", "und", "en") else []
    return any(word in FOREIGN_WORDS or COMPOUND.search(word) for word in near)


def _english(lower: str, words: frozenset[str]) -> Iterator[Figure]:
    shares: list[tuple[int, int]] = []
    if not SHARE_WORDS.isdisjoint(words):
        for match in SHARE.finditer(lower):
            shares.append(match.span())
            yield Figure(match[0], (), match.start(), match.end(), unit="share", word=True)
    for match in SPOKEN.finditer(lower):
        if any(start <= match.start() < end for start, end in shares) or BARE_SCALE.match(match[0]):
            continue
        yield from _phrase(lower, match)
    for match in SPOKEN_ORDINAL.finditer(lower):
        value = ORDINALS[match["ordinal"]] + (TENS[match["tens"]] if match["tens"] else 0)
        if value < 3 or match["plural"] or any(start <= match.start() < end for start, end in shares):
            continue
        if re.search(r"\b(?:an?|one|two|three|four)[-\s]$", lower[max(0, match.start() - 8) : match.start()]):
            continue
        unit = _next(lower, match.end())
        yield Figure(match[0], (value,), match.start(), match.end(), unit=unit, word=True, ordinal=True)


def _phrase(lower: str, match: re.Match[str]) -> Iterator[Figure]:
    """The numbers of a run of number words: "two hundred and five" is one, "two or three" and "two three" are two."""
    text = match[0]
    following = NEXT.match(lower, match.end())
    after = (following and following["unit"]) or ""
    before = lower[max(0, match.start() - NEAR) : match.start()]
    if after in ORDINALS:  # "twenty-first"
        return
    for value, said in phrase_values(text):
        if said in ("one", "zero", "two") and _idle(said, before, after):
            continue
        readings: tuple[Number, ...] = (value,)
        half = HALVES.match(lower, match.end())
        if half:
            readings = (_and_a_half(value, half),)
        yield Figure(said, readings, match.start(), match.end(), unit=after, before=before, word=True)


def _and_a_half(value: Number, half: re.Match[str]) -> Number:
    size = (GROUPS.get(half["scale"]) or 10 ** SCALES[half["scale"]]) if half["scale"] else 1
    return number(format((value + Decimal("0.5")) * size, "f"))


def _idle(said: str, before: str, after: str) -> bool:
    """Whether a small number word claims nothing: "one of them", "the two", "no one"."""
    if said == "zero":
        return True
    if said == "one":
        return unit_of(after) is None or before.rstrip().endswith(("no", "any", "every"))
    return bool(re.search(r"\b(?:the|these|those|between|its|their|his|her|all|other|last|first|of)\s+$", before))


def phrase_values(text: str) -> list[tuple[int, str]]:
    """What a run of number words says, as values with their words."""
    phrase = _Phrase()
    for word in re.findall(r"[a-z]+", text):
        if word not in JOINING:
            phrase.take(word.removesuffix("s") if word in ("thousands", "millions") else word)
    phrase.close()
    if text.startswith("half a"):
        return [(value // 2, f"half a {said}") for value, said in phrase.found]
    return phrase.found


@dataclass
class _Phrase:
    """A run of number words as it is read: "two hundred and five" is one number, "two three" are two."""

    found: list[tuple[int, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    total: int = 0
    current: int = 0  # below the next scale

    def take(self, word: str) -> None:
        last = self.said[-1] if self.said else ""
        if word in SCALES:
            self._scale(word)
        elif last in SCALES or (last in TENS and 0 < SMALL[word] < 10):
            self.current += SMALL[word]
        elif 10 <= self.current <= 99 and not self.total and SMALL[word] >= 10:
            self.current = self.current * 100 + SMALL[word]  # nineteen eighty-four
        else:
            self.close()
            self.current = SMALL[word]
        self.said.append(word)

    def _scale(self, word: str) -> None:
        self.current = self.current or 1
        if word == "hundred" or word in GROUPS:
            self.current *= GROUPS.get(word, 100)
        else:
            self.total, self.current = self.total + self.current * 10 ** SCALES[word], 0

    def close(self) -> None:
        if self.said:
            self.found.append((self.total + self.current, " ".join(self.said)))
        self.said, self.total, self.current = [], 0, 0
