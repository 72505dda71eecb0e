"""What a translation must keep whatever its language: numbers, names, days and months, and what is denied.

Told by tables for eight languages. In any other one, digits are compared, and names if it is written in Latin letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import product

from instructlab_like.filters.parts.figure_words import (
    HAN_DIGITS,
    HAN_SCALES,
    HAN_TENS,
    ROMAN,
    of_german,
    of_han,
    roman,
)
from instructlab_like.filters.parts.ordinary import ordinary
from instructlab_like.filters.parts.proper import DOUBLE, TITLES, fold
from instructlab_like.filters.parts.translation_words import (
    AMBIGUOUS,
    AND,
    ANSWERS,
    COURTESY,
    DAYS,
    MONTHS,
    NATIONS,
    NOT,
    NUMERALS,
    PLACES,
    TWICE,
    VERBS,
    WITHOUT,
    Table,
)

WORD = re.compile(r"[^\W\d_]+")
CALENDAR_WORD = re.compile(r"[^\W\d_]+(?:-feira)?")
CLOCK = re.compile(
    r"(?<![\d.,:])(?P<hour>[01]?\d|2[0-4])(?:(?::|\s?h\s?)(?P<minute>[0-5]\d)|\.(?P<dotted>[0-5]\d)(?=\s?(?:Uhr|[ap]\.?\s?m))"
    r"|(?=\s?(?:Uhr|h\b|o['’]clock|[ap]\.?\s?m\b)))(?![\d])",
    re.IGNORECASE,
)
DATE = re.compile(r"(?<![\d.])(\d{1,4})[./-](\d{1,2})(?:[./-](\d{2,4})|\.)(?![\d])")
NUMBER = re.compile(r"(?<![\d])\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d+)?(?![\d])|\d+(?:[.,]\d+)?")
GROUPED = re.compile(r"(\d{1,3})((?:[.,'’\u00a0\u202f ]\d{3})+)([.,]\d+)?")
DECIMAL = re.compile(r"(\d+)(?:[.,](\d+))?")
HAN = re.compile(rf"[{''.join((*HAN_DIGITS, *HAN_TENS, *HAN_SCALES))}]{{1,20}}")
BETWEEN = re.compile(r"[\s-]*(?:(?:and|und|et|y|e|i|en)[\s-]+)?")
CLAUSE = re.compile(
    r"[.;:!?\n,]+|\s(?:and|but|und|aber|et|mais|y|pero|ma|mas|en|maar|i|a|ale|że|dass|that|que|qui|die|which)\s"
)
ONLY = re.compile(r"\b(?:ne\b|n['’])(?!.*\b(?:pas|jamais|aucune?|rien)\b).*\bque\b")  # "ne … que"
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
# A word with a capital behind another word, a comma or a bracket: not where a sentence, a line or a quotation begins.
INSIDE = re.compile(r"(?<=[^\W_] |[,;(’'] )[^\W\d_][\w’'-]*[^\W\d_]|(?<=\()[^\W\d_][\w’'-]*[^\W\d_]")
CAPITAL = re.compile(r"(?<![\w’'-])[^\W\d_a-z][\w’'-]*[^\W\d_]")
TITLES_TEXT = r"Herrn?|Frau|Fräulein|Dr|Prof|Mrs?|Ms|Miss|St|M|Mme|Mlle|Sra?|Srta|Sig|Sig\.ra"
TITLED = re.compile(rf"\b(?:{TITLES_TEXT})\.? ((?:[^\W\d_a-z][\w’-]+ ?)+)")
# What follows a name that opens an English sentence: another one, or a verb.
SUBJECT = re.compile(
    r"['’]?s? (?:[^\W\d_a-z]|(?:is|was|has|had|does|did|can|could|will|would|may|must|[a-z]+ed|[a-z]+s)\b)"
)
SMALL_PARTS = re.compile(r"^(?:l|d|qu|n|s|t|j|m|c|dell|nell|all|sull|un|quell)['’]", re.IGNORECASE)
# What a name may end in where a language inflects it, and what any may add.
ENDINGS = frozenset(("", "s", "es", "n", "en", "ns", "e"))
INFLECTED_TEXT = """a u y i o owi em iem ie ią ę ą ów om ami ach iego iemu ego emu im ej ym ii ce cie dze ze rze sze
le ke ge ek"""
INFLECTED = ENDINGS | frozenset(INFLECTED_TEXT.split())
INFLECTING = frozenset(("pl", "cs+sk", "hr+sr+bs+sl", "hu", "fi", "et", "lt", "lv", "ro", "tr", "sq"))
FLEETING = re.compile(r"e([cklmnr])$")  # "Marek", "Marka"
GERMAN = "de"
LIKE = 3  # letters that two forms of a name share at the least


@dataclass(frozen=True)
class Text:
    """A text in a language; of an unknown one the code is empty."""

    said: str
    language: str

    @property
    def lower(self) -> str:
        return self.said.lower()


@dataclass(frozen=True)
class Amount:
    """A number as it is said, with all that it may mean; one that is borne out by its parts has several."""

    said: str
    readings: frozenset[Decimal]
    parts: tuple[Decimal, ...] = ()
    claimed: bool = True  # or only something that bears others out
    dated: bool = False  # part of a date in figures, which a month's name may bear out
    word: bool = False  # spelled, so that only a language whose numerals are known can bear it out


# --- numbers ----------------------------------------------------------------------------------------------------


def lost_numbers(text: Text, other: Text) -> list[str]:
    """The numbers of a text that the other has in no form; a one is none, for articles are ones in some languages."""
    known, months = values(other), calendar_of(other, MONTHS)
    found = [
        one.said
        for one in amounts(text)
        if one.claimed
        and not (one.word and other.language not in NUMERALS)
        and not one.readings & known
        and not (one.dated and one.readings & months)
        and not (one.parts and all(part in known for part in one.parts))
        and one.readings != {Decimal(1)}
    ]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=512)
def values(text: Text) -> frozenset[Decimal]:
    """All that a text says in numbers, read generously."""
    found = {value for one in amounts(text) for value in (*one.readings, *one.parts)}
    found |= {Decimal(roman(match[0])) for match in ROMAN.finditer(text.said) if match[0]}
    if TWICE & set(words(text)):
        found.add(Decimal(2))
    return frozenset(found)


@lru_cache(maxsize=512)
def amounts(text: Text) -> tuple[Amount, ...]:
    return (*written(text.said), *spelled(text), *han(text.said))


def written(said: str) -> Iterator[Amount]:
    taken: list[tuple[int, int]] = []
    for match in CLOCK.finditer(said):
        hour, minute = int(match["hour"]), match["minute"] or match["dotted"]
        taken.append(match.span())
        yield Amount(match[0], frozenset(map(Decimal, {hour, hour % 12, hour % 12 + 12})), parts=(Decimal(hour),))
        if minute and int(minute):
            yield Amount(match[0], frozenset((Decimal(int(minute)),)))
    for match in DATE.finditer(said):
        if not within(match.start(), taken):
            taken.append(match.span())
            for part in filter(None, match.groups()):
                yield Amount(match[0], frozenset((Decimal(int(part)),)), dated=True)
    for match in NUMBER.finditer(said):
        if not within(match.start(), taken):
            yield number(match[0])


def within(place: int, taken: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in taken)


def number(said: str) -> Amount:
    """A written number: with groups of three as a whole, a decimal where it may be one, or its parts by themselves."""
    readings: set[Decimal] = set()
    if grouped := GROUPED.fullmatch(said):
        whole = grouped[1] + re.sub(r"\D", "", grouped[2])
        readings.add(Decimal(f"{whole}.{grouped[3][1:]}" if grouped[3] else whole))
    if decimal := DECIMAL.fullmatch(said):
        readings.add(Decimal(f"{decimal[1]}.{decimal[2]}" if decimal[2] else decimal[1]))
    parts = re.split(r"[\u00a0\u202f ]", said)
    apart = tuple(Decimal(part.replace(",", ".")) for part in parts) if all(map(DECIMAL.fullmatch, parts)) else ()
    return Amount(said, frozenset(readings), apart if len(parts) > 1 else ())


def spelled(text: Text) -> Iterator[Amount]:
    """Numbers in words, put together: "treinta y seis" is one, "two three" are two."""
    known = NUMERALS.get(text.language, {})
    if not known:
        return
    lower, run = text.lower, Run(text.language)
    for match in WORD.finditer(lower):
        value = known.get(match[0])
        if value is None and text.language == GERMAN and len(match[0]) > 8:
            value = of_german(match[0])
        if value is None:
            if match[0] not in AND or not run.said:
                yield from run.closed()
            continue
        if run.said and not BETWEEN.fullmatch(
            re.sub(r"\b(?:and|und|et|y|e|i|en)\b", "", lower[run.end : match.start()])
        ):
            yield from run.closed()
        yield from run.take(match[0], value, match.end())
    yield from run.closed()


class Run:
    """Number words in a row as they are read."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.said: list[str] = []
        self.total = self.current = self.end = 0

    def take(self, word: str, value: int, end: int) -> Iterator[Amount]:
        if not self.fits(value):
            yield from self.closed()
        if value >= 1000 and self.said:
            self.total, self.current = self.total + (self.current or 1) * value, 0
        elif value == 100 and self.current and self.current < 10:
            self.current *= 100
        elif self.language == "fr" and value == 20 and self.current % 100 == 4:
            self.current += 76
        else:
            self.current += value
        self.said.append(word)
        self.end = end

    def fits(self, value: int) -> bool:
        """Whether a word goes on the number before it."""
        last = self.current % 100
        if not self.said or value >= 1000 or not self.current:
            return True
        if value == 100:
            return 1 < self.current < 10
        if value < 100 and not last:
            return True
        if self.language == "fr" and (last, value) in ((4, 20), (10, 7), (10, 8), (10, 9)):
            return True
        if self.language == "fr" and value < 20 and last in (60, 70, 80, 90):
            return value < 10 or last in (60, 80)
        return value < 10 and last >= 20 and not last % 10

    def closed(self) -> Iterator[Amount]:
        if self.said:
            value, said = self.total + self.current, " ".join(self.said)
            yield Amount(said, frozenset((Decimal(value),)), claimed=value > 1 and said not in AMBIGUOUS, word=True)
        self.said, self.total, self.current = [], 0, 0


def han(said: str) -> Iterator[Amount]:
    if not said.isascii():
        for match in HAN.finditer(said):
            yield Amount(match[0], frozenset(Decimal(value) for value in of_han(match[0])), claimed=False)


# --- days, months and names -------------------------------------------------------------------------------------


def new_names(text: Text, other: Text) -> list[str]:
    """Those of a translation that its original has not; where this is English, it names all that may be lost itself.

    For a translator writes names of things, too, where another language has a word.
    """
    return list(dict.fromkeys(lost_dates(text, other))) if other.language == "en" else lost_names(text, other)


def lost_names(text: Text, other: Text) -> list[str]:
    """The names, days and months of a text that the other has in no form that is known."""
    return list(dict.fromkeys((*lost_dates(text, other), *strange(text, other))))


def lost_dates(text: Text, other: Text) -> Iterator[str]:
    if text.language not in DAYS or other.language not in DAYS:
        return
    numeric = DATE.search(other.said) is not None
    for calendar in (DAYS,) if numeric else (DAYS, MONTHS):
        theirs = calendar_of(other, calendar)
        for match in CALENDAR_WORD.finditer(text.said):
            number = calendar[text.language].get(match[0].lower())
            if number is not None and number not in theirs and not is_verb(text, match):
                yield match[0]


def calendar_of(text: Text, calendar: Table) -> frozenset[int]:
    """The days or months of which a text speaks, in compounds and derived words, too: "donnerstags", "czwartkowy"."""
    known = calendar.get(text.language, {})
    return frozenset(number for word, number in known.items() if word[: max(4, len(word) - 2)] in text.lower)


def is_verb(text: Text, match: re.Match[str]) -> bool:
    """Whether "may" or "march" is no month here: written small, or with the capital of a sentence."""
    if match[0].casefold() not in VERBS or text.language != "en":
        return False
    return not (match[0][0].isupper() and re.search(r"[\w,]\s$", text.said[: match.start()]))


def strange(text: Text, other: Text) -> Iterator[str]:
    """Names that are strange to the other text, as far as capitals tell them in the language of the text."""
    if len(LATIN.findall(other.said)) < len(WORD.findall(other.said)):
        return  # another script spells names its own way
    there = [fold(word) for word in names_in(other.said)]
    inflected = bool({text.language, other.language} & INFLECTING)
    for said in capitals(text):
        if not any(alike(fold(said), word, inflected=inflected) for word in there):
            yield said


def names_in(said: str) -> list[str]:
    """All words of a text, of those with a hyphen or an apostrophe the parts, too."""
    return [part for word in re.findall(r"[\w’'-]+", said) for part in (word, *re.split(r"[’'-]", word)) if part]


def capitals(text: Text) -> Iterator[str]:
    """What may be a name in the text, one word each."""
    found = [word for match in TITLED.finditer(text.said) for word in match[1].split()]
    if text.language != GERMAN:
        found += INSIDE.findall(text.said)
    if text.language == "en":
        found += [one[0] for one in CAPITAL.finditer(text.said) if SUBJECT.match(text.said, one.end())]
    for said in dict.fromkeys(SMALL_PARTS.sub("", one) for one in found):
        if said[:1].isupper() and named(said, text):
            yield said


def named(said: str, text: Text) -> bool:
    """Whether a word with a capital is a name that a translation would leave as it is."""
    word = fold(re.sub(r"['’]s?$", "", said))
    lower = said.casefold()
    if len(word) < LIKE or (said.isupper() and len(said) <= 5):  # abbreviations have their own in each language
        return False
    calendar = (DAYS.get(text.language, {}), MONTHS.get(text.language, {}))
    if lower in COURTESY or word in TITLES or word in NATIONS or any(lower in one for one in calendar):
        return False
    if text.language in ("en", "") and all(ordinary(part) for part in WORD.findall(word)):
        return word in DOUBLE and titled(said, text.said)
    return True


def titled(said: str, text: str) -> bool:
    """Whether a word that is ordinary, too, stands behind a title or a first name."""
    before = re.search(rf"(\w+)\.? {re.escape(said)}\b", text)
    if before is None or not before[1][0].isupper():
        return False
    return fold(before[1]) in TITLES or not ordinary(fold(before[1]))


def alike(one: str, other: str, *, inflected: bool) -> bool:
    """Whether two folded words may be one name: in another form, or a place by its name in another language."""
    if one == other or places(one, inflected=inflected) & places(other, inflected=inflected):
        return True
    if not inflected:
        return same_stem(one, other, ENDINGS)
    pairs = product({one, FLEETING.sub(r"\1", one)}, {other, FLEETING.sub(r"\1", other)})
    return any(same_stem(mine, its, INFLECTED) for mine, its in pairs)


def same_stem(one: str, other: str, endings: frozenset[str]) -> bool:
    shared = common(one, other)
    return shared >= LIKE and one[shared:] in endings and other[shared:] in endings


def common(one: str, other: str) -> int:
    """How many letters two words begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, its) in pairs if mine != its), min(len(one), len(other)))


@lru_cache(maxsize=4096)
def places(word: str, *, inflected: bool) -> frozenset[int]:
    """The places that a folded word may name, where it is inflected by its beginning."""
    found = FOLDED.get(word, frozenset())
    if found or not inflected or len(word) < 5:
        return found
    fits = (form for form in FOLDED if common(form, word) >= max(4, len(form) - 2) and len(word) < len(form) + 4)
    near = [FOLDED[form] for form in fits]
    return frozenset().union(*near)


FOLDED = {fold(word): numbers for word, numbers in PLACES.items()}


# --- denials ----------------------------------------------------------------------------------------------------


def denied(text: Text) -> int:
    """In how many clauses a text says no; two words for it in one clause are one, as most languages double them."""
    deny = NOT.get(text.language, frozenset())
    count = 0
    for clause in CLAUSE.split(answerless(text.lower)):
        if text.language == "fr" and ONLY.search(clause):
            continue
        found = re.findall(r"[^\W\d_]+(?:['’]t)?", clause)
        count += any(word in deny or (text.language == "en" and word[-2:] in ("'t", "’t")) for word in found)
    return count


def answerless(lower: str) -> str:
    """The text without the "no" of an answer."""
    return re.sub(rf"(?:(?<=^)|(?<=[.!?:;\n]\s)|(?<=[\"“„«]))(?:{'|'.join(ANSWERS)})\s*(?=[,.:;!–])", " ", lower)


def turned(text: Text, other: Text) -> bool | None:
    """Whether the one denies what the other says; None where a language's words are not known."""
    if text.language not in NOT or other.language not in NOT:
        return None
    mine, theirs = denied(text), denied(other)
    if mine % 2 == theirs % 2 and bool(mine) == bool(theirs):
        return False
    softer = [sum(word in WITHOUT for word in words(one)) for one in (text, other)]
    return softer[0] == softer[1]


@lru_cache(maxsize=512)
def words(text: Text) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W\d_]+(?:-feira)?", text.lower))
