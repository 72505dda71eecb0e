"""Whether a text bears out the figures of another one: in any spelling, unit or form, rounded, or reckoned from it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from itertools import combinations

from instructlab_like.filters.parts.figure_words import (
    FOREIGN,
    FOREIGN_WORDS,
    MONTHS,
    ORDINALS,
    ROMAN,
    SHARES,
    SMALL,
    Number,
    number,
    of_german,
    of_han,
    roman,
    singular,
    unit_of,
)
from instructlab_like.filters.parts.figures import (
    CLOCK,
    ENUMERATOR,
    HAN,
    LONGEST,
    MOST_DIGITS,
    NEXT,
    Figure,
    even,
    figures,
    lowered_words,
)

# Words of a text that speak of a number without naming it; of the text that is looked up only.
IMPLIED = {
    "once": (1,), "twice": (2,), "both": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "pair": (2,),
    "pairs": (2,), "couple": (2,), "twin": (2,), "twins": (2,), "duo": (2,), "dual": (2,), "biennial": (2,),
    "bilateral": (2,), "thrice": (3,), "triple": (3,), "tripled": (3,), "trio": (3,), "triplets": (3,),
    "trilogy": (3,), "triangle": (3,), "triangular": (3,), "quadruple": (4,), "quadrupled": (4,), "quartet": (4,),
    "quintet": (5,),
    "hexagonal": (6,), "octagonal": (8,), "fortnight": (14, 2), "fortnightly": (14, 2), "decade": (10,),
    "decades": (10,),
    "century": (100,), "centenary": (100,), "bicentenary": (200,), "millennium": (1000,), "dozen": (12,),
}  # fmt: skip
FRACTIONS = {  # as shares of a hundred
    "half": 50, "halve": 50, "quarter": 25, "third": 33, "two thirds": 67, "three quarters": 75, "fifth": 20,
    "tenth": 10, "two fifths": 40, "three fifths": 60, "four fifths": 80, "eighth": 12,
}  # fmt: skip
SUM = re.compile(
    r"\b(?:totals?|in total|sum|altogether|combined|in all|together|insgesamt|zusammen)\b|\+", re.IGNORECASE
)
SPAN_OF_YEARS = re.compile(
    r"\b(?:how (?:long|old|many (?:more )?years)|years? (?:later|earlier|apart|old|after|before)|aged?|elapsed)\b",
    re.IGNORECASE,
)
DIFFERENCE = re.compile(
    r"\b(?:differences?|gap|margin|by how much|how (?:many|much) (?:more|less|fewer|longer|older|younger|taller|higher)"
    r"|remain(?:s|ed|ing)?|(?:are|is|were|was) left|how many\b[^?]*\b(?:not|without|other)"
    r"|how much (?:did|do|does|has|have)\b[^?]*\b(?:grow|grown|rise|risen|fall|fallen|increase|decrease|drop|change"
    r"|gain|lose))\b",
    re.IGNORECASE,
)
RATIO = re.compile(
    r"\b(?:on average|the average|the mean|what (?:percent\w*|share|fraction)|ratio"
    r"|(?:how many )?times (?:as|more|larger|bigger)|product of|multipl\w+|how much per|how many per)\b|[×÷]",
    re.IGNORECASE,
)
COUNT_TEXT = r"(?:two|three|four|five|six|seven|eight|nine|ten|\d{1,2})"
HYPOTHESIS = re.compile(
    r"\bI\b(?!\.)|\b(?:my|we|our|if|suppose|supposing|assum\w+|imagine|would|let['’]s say"
    r"|(?:list|name|give|provide|write|state|tell me"
    rf"|mention|describe|identify|suggest)\s+(?:the\s+|at least\s+|me\s+|up to\s+)?{COUNT_TEXT}\b"
    rf"|in\s+{COUNT_TEXT}\s+(?:words|sentences|points|steps|lines|paragraphs|bullets?))\b",
    re.IGNORECASE,
)
BREAKS = re.compile(r"[;.:\n]")
JOINTS = re.compile(r"\s(?:and|or|und|oder|y|et|ou|en)\s", re.IGNORECASE)
BULLET = re.compile(r"^[ \t]*(?:[-*•–]|\d{1,3}[.)])\s", re.MULTILINE)
BELOW_ZERO = re.compile(
    r"\b(?:minus|below|negative|sub-?zero|under|fell|fall|drop|decreas|declin|loss|lost|lower|bc)", re.IGNORECASE
)
CENTURY_TEXT = "century centuries jahrhundert jahrhunderts siècle siglo secolo século eeuw 世紀 世纪"
CENTURY = frozenset(CENTURY_TEXT.split())
TOLERANCE = Decimal("0.02")  # of a unit converted into another and rounded
FEW_YEARS = 5  # of a passage, between which years are counted
HUGE = 10**15  # from where nothing is rounded to decimals
MOST_PLACES = 50  # where a figure's digits are looked at in a text
MOST_BESIDE = 24  # numbers that stand together, of which two may make another
MOST_SUMMANDS = 24  # figures of a passage that are added and subtracted in pairs
LARGE, NEARLY = 100, Decimal("0.025")  # how far "about" reaches in large numbers
CLOSE = Decimal("0.1")  # how far "over" and "nearly" reach


@dataclass(frozen=True, slots=True)
class Support:
    """All that a text says in numbers, read as generously as a claim is read narrowly."""

    values: frozenset[Number]
    months: frozenset[int]
    centuries: frozenset[int]  # in which its years lie
    short: frozenset[int]  # the last two digits of its years
    negatives: frozenset[Number]  # values that only ever stand below zero
    runs: frozenset[str]  # of digits, wherever they stand
    tokens: frozenset[str]  # words of letters and digits
    measured: tuple[
        tuple[str, Decimal, Decimal], ...
    ]  # what with a unit comes to in the kind's own unit, and the unit's size
    sorted: tuple[Number, ...]
    figures: tuple[Figure, ...]
    text: str = field(repr=False)


TOKEN = re.compile(r"[^\W_]*\d[^\W_]*")
RUN = re.compile(r"\d+")
SPAN = re.compile(r"\b(\d{4})\s*[-–—/]\s*(\d{2})\b(?![-–—/\d])")
YEAR = re.compile(r"\b(\d{3,4})(?:s|er)?\b")
SHORT = re.compile(r"['’]$|\b\d{4}\s?[-–—/]\s?$")  # before the short form of a year
UNIT_OF_ONE = re.compile(r"\b(?:an?|one|per|each|every|half an?)\s+(?P<unit>[a-z]+)\b")


@lru_cache(maxsize=512)
def support(text: str) -> Support:
    """What a passage says in numbers; remembered, for many samples share one."""
    text = even(text[:LONGEST])
    lower = text.lower()
    words = lowered_words(lower)
    found = figures(text) + tuple(_enumerators(text))
    values: set[Number] = set()
    positives: set[Number] = set()
    negatives: set[Number] = set()
    for figure in found:
        for value in figure.readings:
            size = value if value >= 0 else -value
            values.update((value, size))
            (negatives if figure.negative else positives).add(size)
    values.update(_said_otherwise(text, lower, words))
    runs = frozenset(run.lstrip("0") or "0" for run in RUN.findall(text))
    measured = tuple(_measured(found, lower))
    years = {int(match[1]) for match in YEAR.finditer(text) if 1000 <= int(match[1]) <= 2100}
    ordered = tuple(sorted({value for value in values if value > 0}))
    return Support(
        values=frozenset(values),
        months=frozenset(MONTHS[word] for word in words & MONTHS.keys()),
        centuries=frozenset(year // 100 + (year % 100 > 0) for year in years),
        short=frozenset(year % 100 for year in years),
        negatives=frozenset(negatives - positives),
        runs=runs,
        tokens=frozenset(token.casefold() for token in TOKEN.findall(text)),
        measured=measured,
        sorted=ordered,
        figures=found,
        text=lower,
    )


def _enumerators(text: str) -> Iterator[Figure]:
    for match in ENUMERATOR.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        yield Figure(digits, (int(digits),), match.start(), match.end())


def _said_otherwise(text: str, lower: str, words: frozenset[str]) -> Iterator[Number]:
    for word in words & IMPLIED.keys():
        yield from IMPLIED[word]
    for word in words & SMALL.keys():
        yield SMALL[word]
    for word in words & ORDINALS.keys():
        yield ORDINALS[word]
    for word in words & FOREIGN_WORDS:
        yield from (known[word] for known in FOREIGN.values() if word in known)
    if "hundert" in lower or "tausend" in lower or "und" in lower:
        yield from (value for word in words if len(word) > 8 and (value := of_german(word)) is not None)
    for match in SPAN.finditer(text):
        yield int(match[1][:2] + match[2])
    for match in CLOCK.finditer(text):
        yield int(match[1]) % 12 + 12
    for match in ROMAN.finditer(text):
        if match[0]:
            yield roman(match[0])
    if not text.isascii():
        for match in HAN.finditer(text):
            yield from of_han(match[0])


def _measured(found: Sequence[Figure], lower: str) -> Iterator[tuple[str, Decimal, Decimal]]:
    for figure in found:
        kind = unit_of(figure.unit)
        if kind:
            yield from ((kind[0], Decimal(value) * kind[1], kind[1]) for value in figure.readings)
    for match in UNIT_OF_ONE.finditer(lower):
        kind = unit_of(match["unit"])
        if kind:
            yield kind[0], kind[1] / (2 if match[0].startswith("half") else 1), Decimal(0)
    if "quarter of an hour" in lower:
        yield "time", Decimal(900), Decimal(0)


@lru_cache(maxsize=64)
def lists(text: str) -> frozenset[int]:
    """How many items the lists of a text have."""
    return frozenset(_lists(text))


def _lists(text: str) -> Iterator[int]:
    bullets = len(BULLET.findall(text))
    if bullets > 1:
        yield bullets
    for piece in BREAKS.split(text):
        commas, at = 0, 0
        for joint in JOINTS.finditer(piece):
            before = piece[at : joint.start()]
            commas, at = commas + before.count(","), joint.start()
            count = commas + (1 if before.rstrip().endswith(",") else 2)
            yield from (count, count - 1)  # the first comma may part a clause from the list


def unsupported(answer: str, passage: str, question: str) -> list[Figure]:
    """The figures of an answer that neither the passage nor, where it may, the question bears out."""
    claimed = [figure for figure in figures(answer) if not _stands_in(passage, figure)]
    if not claimed:
        return []
    known = support(passage)
    missing = [figure for figure in claimed if not borne_out(figure, known)]
    if not missing:
        return []
    asked = support(question)
    if HYPOTHESIS.search(question):
        missing = [figure for figure in missing if not borne_out(figure, asked)]
    ways = [
        pattern
        for pattern in (SUM, DIFFERENCE, SPAN_OF_YEARS, RATIO)
        if missing and pattern.search(f"{question}\n{answer}")
    ]
    if missing:
        told = figures(answer)
        sources = (known, asked) if HYPOTHESIS.search(question) else (known,)
        missing = [figure for figure in missing if not _follows(figure, told, sources, asked)]
    if missing and ways:
        sums = derivable(known, asked, figures(answer), ways)
        missing = [figure for figure in missing if not any(abs(value) in sums for value in figure.readings)]
    own = lists(answer) if missing else frozenset()
    return [figure for figure in missing if not _counts(figure, own, known, question)]


def _stands_in(text: str, figure: Figure) -> bool:
    """Whether a figure stands in the text just as it is said, with its unit if it has one; the quick way."""
    if figure.negative or figure.unit == "share" or figure.unit.startswith("°"):
        return False
    said = figure.said
    measured = unit_of(figure.unit) is not None
    start = text.find(said)
    for _ in range(MOST_PLACES):
        if start < 0:
            break
        end = start + len(said)
        if _apart(text, start, end):
            following = NEXT.match(text, end) if measured else None
            if not measured or (following and (following["unit"] or "").casefold() == figure.unit):
                return True
        start = text.find(said, end)
    return False


def _apart(text: str, start: int, end: int) -> bool:
    """Whether what stands there is a number by itself, not the part of a longer one or of a word."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if before.isalnum() or after.isalnum() or (before and before in ".,-−–"):
        return False
    return not (after in (".", ",") and text[end + 1 : end + 2].isdigit())


def _counts(figure: Figure, own: frozenset[int], known: Support, question: str) -> bool:
    """Whether a small number counts what is listed: in the answer itself, or in the passage when it was asked for."""
    if not figure.readings or figure.ordinal or figure.glued:
        return False
    value = figure.value
    if not isinstance(value, int) or not 2 <= value <= 12:
        return False
    if value in own:
        return True
    lower = question.casefold()
    return (
        ("how many" in lower or "number of" in lower)
        and value in lists(known.text)
        and not _counted(figure, known, lower)
    )


def _counted(figure: Figure, known: Support, question: str) -> bool:
    """Whether the passage itself tells how many of the asked things there are."""
    asked = re.search(r"(?:how many|number of)\s+(?:[a-z]+\s+)??([a-z]+)", question)
    units = {figure.unit, asked[1] if asked else ""}
    return any(other.unit in units for other in known.figures if other.unit)


def derivable(
    known: Support, asked: Support, claimed: Sequence[Figure], ways: Sequence[re.Pattern[str]]
) -> frozenset[Number]:
    """What numbers of passage and question come to in the ways that are asked for: as sums, differences, shares."""
    own = {abs(Decimal(value)) for figure in (*known.figures, *asked.figures) for value in figure.readings[:1]}
    own.update(abs(Decimal(figure.value)) for figure in claimed if figure.readings and borne_out(figure, known))
    values = sorted(own)
    if not 2 <= len(values) <= MOST_SUMMANDS:
        return frozenset()
    found: set[Number] = set()
    shares = any(kind == "share" for kind, _, _ in known.measured)  # told by the passage itself
    for one, other in combinations(values, 2):
        if DIFFERENCE in ways and not _is_date(other):
            found.add(other - one)
        if _is_date(one) and _is_date(other) and (DIFFERENCE in ways or SPAN_OF_YEARS in ways):
            found.update((other - one, other - one - 1))
        if SUM in ways and not _is_date(other):
            found.add(one + other)
        if DIFFERENCE in ways and one > 0 and not (_is_date(one) or shares):
            found.update(Decimal(_rounded(100 * (other - one) / base, 0)) for base in (one, other))
        if RATIO in ways and other < 10**9 and not _is_date(one):
            found.add(one * other)
            found.update(_quotients(one, other))
    if SUM in ways:
        found.add(sum(values, Decimal(0)))
        if len(values) <= 10:
            found.update(sum(three, Decimal(0)) for three in combinations(values, 3))
    if RATIO in ways:
        found.add(_rounded(sum(values, Decimal(0)) / len(values), 1))
    return frozenset(found)


def _follows(figure: Figure, told: Sequence[Figure], sources: Sequence[Support], asked: Support) -> bool:
    """Whether a number is reckoned from two that the answer tells beside it, or from one and a share, a count of
    months or the like; is a number of years between two; or the one behind "more than three" or this year."""
    known = sources[0]
    if figure.glued or not figure.readings or len(told) > MOST_BESIDE:
        return False
    value = Decimal(figure.value)
    if figure.ordinal:
        days = singular(figure.unit) in CALENDAR  # "from the fourth day on" for "more than three days"
        return days and value - 1 in known.values and bool(BEYOND.search(known.text))
    if _is_date(value) and any(one.search(known.text) and value - by in asked.values for one, by in NEXT_YEAR):
        return True
    sure = [other for other in told if other != figure and any(borne_out(other, source) for source in sources)]
    beside = {abs(Decimal(other.value)) for other in sure if other.readings and not _names_year(other)}
    if len(beside) == 2 and not (value < 3 and figure.word) and value in _results(*sorted(beside)):
        return True
    parts = [share for other in sure if (share := _part(other)) is not None]
    if len(beside) < 3 and any(_near(value, one * part, figure) for one in beside for part in parts):
        return True
    if len(beside) == 2 and any(other.unit == "%" for other in sure):
        low, high = sorted(beside)
        wholes = (100 * high / low, 100 * low / high, low * high / 100) if low > 0 else ()
        if any(_near(value, whole, figure) for whole in wholes):
            return True
    if _by_calendar(figure, told, beside):
        return True
    if singular(figure.unit) != "year":
        return False
    years = sorted(Decimal(year) for year in known.values if _is_date(year))
    return len(years) <= FEW_YEARS and any(value == other - one for one, other in combinations(years, 2))


BEYOND = re.compile(r"\b(?:more|longer) than\b|\bexceed")
NEXT_YEAR = (
    (re.compile(r"\b(?:following|next|subsequent) (?:calendar )?year\b"), 1),
    (re.compile(r"\b(?:previous|preceding|prior) (?:calendar )?year\b"), -1),
)
CALENDAR = {"month": 12, "hour": 24, "minute": 60, "second": 60, "week": 52, "day": 7, "quarter": 4}


def _names_year(figure: Figure) -> bool:
    return _is_date(figure.value) and figure.said.isdigit() and not figure.unit.startswith("°")


def _part(figure: Figure) -> Decimal | None:
    """What "a third", "two thirds" or "half" is of one."""
    if figure.unit != "share" or figure.readings:
        return None
    count, part = re.split(r"[-\s]", figure.said)[:2]
    size = SHARES.get(part) or SHARES.get(part.removesuffix("s"))
    many = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}.get(count)
    return Decimal(many) / size if many and size else None


def _near(value: Decimal, exact: Decimal, figure: Figure) -> bool:
    """Whether a number is another one, rounded to the digits that it has."""
    unit, digits = _precision(figure.value)
    return abs(value - exact) <= (unit / 2 if digits > 1 or figure.about else Decimal(0))


def _by_calendar(figure: Figure, told: Sequence[Figure], beside: Collection[Decimal]) -> bool:
    """Whether a number is so many in each of twelve months or the like, or is the twelve that is reckoned with."""
    for other in told:
        many = CALENDAR.get(singular(other.unit))
        if many is None or not other.readings or other.value != many:
            continue
        totals = [abs(Decimal(one.value)) for one in told if one != other and one.readings]
        made = {low * many for low in beside} | {low / many for low in beside}
        if (figure == other and not made.isdisjoint(totals)) or (figure != other and Decimal(figure.value) in made):
            return True
    return False


def _results(low: Decimal, high: Decimal) -> set[Decimal]:
    """What two numbers come to: their sum, difference and product, how much the one is of the other."""
    found = {low + high, high - low, low * high}
    if low > 0:
        shares = (100 * (high - low) / low, 100 * (high - low) / high, high / low, 100 * low / high)
        found.update(Decimal(_rounded(share, places)) for share in shares for places in (0, 1))
    return found


def _is_date(value: Number) -> bool:
    return 1000 <= value <= 2100 and value == int(value)


def _quotients(one: Number, other: Number) -> Iterator[Number]:
    for upper, lower in ((one, other), (other, one)):
        if lower:
            quotient = Decimal(upper) / Decimal(lower)
            for value in (quotient, quotient * 100, abs(1 - quotient) * 100):
                yield from (_rounded(value, places) for places in (0, 1, 2))


def _rounded(value: Decimal, places: int) -> Number:
    return number(format(round(value, places), "f")) if abs(value) < HUGE else int(value)


def borne_out(figure: Figure, known: Support) -> bool:
    """Whether the text says this number: itself, in another unit or form, or more exactly than the claim does."""
    if figure.glued:
        return _glued_known(figure, known)
    if figure.unit == "share" and not figure.readings:
        return _share_known(figure.said, known)
    if figure.negative:
        return any(abs(value) in known.values and _below(value, known) for value in figure.readings)
    if figure.unit == "decade":
        return figure.value in known.values or _decade_known(int(figure.value), known)
    if any(value in known.values for value in figure.readings):
        return not _sign_lost(figure, known) and not _other_unit(figure, known)
    if figure.unit == "date" and figure.value in known.months:
        return True
    if figure.value in known.centuries and figure.unit in CENTURY:
        return True
    if figure.value in known.short and SHORT.search(figure.before):
        return True
    return _converted(figure, known) or any(_rounds(value, figure, known) for value in figure.readings)


def _decade_known(decade: int, known: Support) -> bool:
    width = 100 if decade % 100 == 0 else 10
    spans = {decade, decade % 100} if width == 10 else {decade}
    return any(
        int(value) - int(value) % width in spans or int(value) - int(value) % 10 == decade for value in known.values
    )


def _other_unit(figure: Figure, known: Support) -> bool:
    """Whether the number stands in the text with other units of the kind alone: 15 m where the claim is 15 km."""
    kind = unit_of(figure.unit)
    if kind is None:
        return False
    units = [other.unit for other in known.figures if figure.value in other.readings]
    kinds = [unit_of(unit) for unit in units]
    if not units or any(other is None or other[0] != kind[0] or other[1] == kind[1] for other in kinds):
        return False
    return not _converted(figure, known)


def _below(value: Number, known: Support) -> bool:
    return value in known.values or bool(BELOW_ZERO.search(known.text)) or f"-{abs(value)}" in known.text


def _sign_lost(figure: Figure, known: Support) -> bool:
    """Whether a temperature is above zero that the text has below."""
    return figure.unit.startswith("°") and figure.value in known.negatives and not figure.about


def _glued_known(figure: Figure, known: Support) -> bool:
    token = figure.glued
    if token in known.tokens:
        return True
    runs = [run.lstrip("0") or "0" for run in RUN.findall(token)]
    letters = re.sub(r"\d", "", token)
    if all(len(run) == 1 for run in runs):  # H2O, MP3, 3D: claimed only where the text has another of the kind
        return not any(re.sub(r"\d", "", other) == letters for other in known.tokens if len(letters) > 0)
    return all(run in known.runs or (len(run) <= MOST_DIGITS and int(run) in known.values) for run in runs)


def _share_known(said: str, known: Support) -> bool:
    """ "two thirds of": by the same words, or a percentage or decimal that is about as much."""
    count, part = re.split(r"[-\s]", said)[:2]
    if said in known.text or said.replace(" ", "-") in known.text:
        return True
    many = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}[count]
    size = SHARES[part.removesuffix("s") if part not in SHARES else part]
    share = Decimal(100 * many) / size
    if size == 2 and ("half" in known.text or "halv" in known.text):
        return True
    if f"1/{size}" in known.text or f"{many}/{size}" in known.text or f"{many} in {size}" in known.text:
        return True
    near = [value for kind, value, _ in known.measured if kind == "share" and abs(value - share) <= 2]
    if near:
        return True
    return any(abs(Decimal(value) * 100 - share) <= 2 for value in known.values if 0 < value < 1) or _part_of(
        Decimal(many) / size, known
    )


def _part_of(share: Decimal, known: Support) -> bool:
    values = known.sorted[-MOST_SUMMANDS:]
    return any(abs(Decimal(one) - share * other) <= Decimal(other) / 100 for one in values for other in values)


def _converted(figure: Figure, known: Support) -> bool:
    kind = unit_of(figure.unit)
    for value in figure.readings:
        amount = Decimal(value)
        if kind:
            told = amount * kind[1]
            for measure, known_amount, size in known.measured:
                near = TOLERANCE if _rounded_off(kind[1], size) else Decimal("0.0001")
                if (
                    measure == kind[0]
                    and size != kind[1]
                    and known_amount
                    and abs(told - known_amount) <= near * known_amount
                ):
                    return True
            if kind[0] == "share" and _as_share(amount, known):
                return True
        elif (figure.unit == "k" and _kelvin(amount, known)) or (
            figure.unit.startswith("°") and _degrees(amount, figure.unit, known)
        ):
            return True
        if 0 < amount < 1 and any(m == "share" and abs(v - 100 * amount) < 1 for m, v, _ in known.measured):
            return True
    return False


def _rounded_off(one: Decimal, other: Decimal) -> bool:
    """Whether an amount in one unit comes out uneven in the other, so that people round it: feet and metres do."""
    if not other:
        return False
    ratio = max(one, other) / min(one, other)
    return ratio != ratio.to_integral_value()


def _as_share(amount: Decimal, known: Support) -> bool:
    if number(str(amount / 100)) in known.values:
        return True
    return _as_fraction(int(amount), known)


def _as_fraction(amount: int, known: Support) -> bool:
    words = [word for word, share in FRACTIONS.items() if share == amount]
    return any(
        re.search(rf"\b(?:(?:an?|one)[- ])?{word}(?:\b(?= of| the|s?\b$)|d\b)|\b(?:an?|one)[- ]{word}\b", known.text)
        for word in words
    )


def _degrees(amount: Decimal, unit: str, known: Support) -> bool:
    told = amount * 9 / 5 + 32 if unit.endswith("c") else (amount - 32) * 5 / 9
    return any(abs(Decimal(value) - told) <= 1 for value in known.values)


def _kelvin(amount: Decimal, known: Support) -> bool:
    celsius = known.values if "°c" in known.text else ()
    return any(abs(Decimal(value) + Decimal("273.15") - amount) <= 1 for value in celsius)


def _rounds(value: Number, figure: Figure, known: Support) -> bool:
    """Whether the text has a number that this one stands for when it is said less exactly."""
    if value <= 0:
        return False
    unit, digits = _precision(value)
    loose = figure.about or (2 <= digits <= 3 and value >= 100_000 and _in_scale(figure))
    exact = Decimal(value)
    low = bisect_left(known.sorted, exact * (1 - CLOSE))
    for other in known.sorted[low:]:
        if other > exact * (1 + CLOSE):
            return False
        difference = abs(Decimal(other) - exact)
        if (
            loose
            and digits <= 4
            and (difference <= unit / 2 or (figure.about and value >= LARGE and difference <= exact * NEARLY))
        ):
            return not _is_year(value, figure) or difference <= 5
        if not isinstance(value, int) and digits >= 2 and difference <= unit / 2 and _precision(other)[0] < unit:
            return True
    return False


def _in_scale(figure: Figure) -> bool:
    """Whether it is said in millions, which nobody takes for exact."""
    return any(letter.isalpha() for letter in figure.said)


def _is_year(value: Number, figure: Figure) -> bool:
    return isinstance(value, int) and 1000 <= value <= 2100 and not figure.unit


def _precision(value: Number) -> tuple[Decimal, int]:
    """The size of the last digit that counts, and how many count: 1,200,000 is exact to 100,000, in 2 digits."""
    _, digits, exponent = Decimal(value).normalize().as_tuple()
    assert isinstance(exponent, int)
    return Decimal(1).scaleb(exponent), len(digits)
