"""What kind of thing a phrase names: a year, a weekday, 40 minutes, 12 rooms, a person, something else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from instructlab_like.generation.rules.lexicon import DAYS, MONTHS, ORGANISATIONS, SEASONS, TITLES
from instructlab_like.generation.sentences import words

Kind = Literal[
    "year", "date", "month", "day", "clock", "season", "century", "period", "hours", "duration", "often", "age",
    "temperature", "speed", "money", "length", "weight", "volume", "count", "person", "name", "phrase",
]  # fmt: skip
TIMES: frozenset[Kind] = frozenset({"year", "date", "month", "day", "clock", "season", "century", "period", "hours"})


@dataclass(frozen=True)
class Value:
    kind: Kind
    size: int = 0  # characters of the number or the amount at the phrase's head
    of: str = ""  # what is counted or measured: "rooms", "water"


def either(*forms: str) -> str:
    """A pattern for any of the forms, written without line breaks."""
    return f"(?:{'|'.join(forms)})"


def listed(text: str) -> str:
    return either(*text.split())


SMALL = words("two three four five six seven eight nine ten eleven twelve")
SMALL_NUMBER = either(*sorted(SMALL))
TEEN = listed("thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TEN = listed("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINAL = listed(
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
    sixteenth seventeenth eighteenth nineteenth twentieth"""
)
ORDINAL_DIGITS = r"\d{1,2}(?:st|nd|rd|th)"
LARGE = listed("hundred thousand million billion dozen")
WORD = either(f"{TEN}(?:-(?:one|{SMALL_NUMBER}))?", TEEN, SMALL_NUMBER, f"(?:one|a) {LARGE}", "half a", "one")
DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
ONE_NUMBER = rf"(?:{either(DIGITS, WORD)}(?: {LARGE})?(?: and a half)?)"
ABOUT = either(
    listed("about around approximately roughly nearly almost over only some exactly"),
    *("more than", "less than", "up to", "at least", "at most", "on average"),
)
NUMBER = rf"(?:{ABOUT} )?{ONE_NUMBER}(?:(?: ?[-–] ?| to | or ){ONE_NUMBER})?"
MONTH, DAY, SEASON = (either(*sorted(names)) for names in (MONTHS, DAYS, SEASONS))
YEAR = r"(?:1[0-9]{3}|20[0-9]{2})"
DATE_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
TIME_UNIT = rf"{listed('second minute hour day night week month year decade century centurie season fortnight')}s?"
METRE = "met(?:re|er)s?"

OF_DAY = r"(?: in the (?:morning|afternoon|evening)| at night)?"
HOUR_WORD = either("one", SMALL_NUMBER)
CLOCK_WORD = HOUR_WORD + OF_DAY
CLOCK_FORMS = either(
    r"\d{1,2}(?:[:.]\d{2})? ?(?:am|pm|a\.m\.?|p\.m\.?)",
    r"\d{1,2}:\d{2}",
    rf"(?:\d{{1,2}}|{HOUR_WORD}) o['’]clock",
    r"(?:half|quarter) (?:past|to) \w+",
    listed("noon midnight midday dawn dusk sunrise sunset"),
)
TIME_FORMS: tuple[tuple[Kind, str], ...] = (
    ("date", rf"(?:the )?{either(f'{DATE_DAY}(?: of)? {MONTH}', f'{MONTH} {DATE_DAY}')}(?:,? {YEAR})?"),
    ("year", rf"(?:the year |around |about )?{YEAR}"),
    ("period", rf"(?:(?:early|late|mid|the early|the late)[ -])?{either(YEAR, f'(?:the )?{YEAR}s')}"),
    ("period", rf"(?:(?:early|late|mid)[ -])?{MONTH},? {YEAR}"),
    ("period", rf"(?:the )?{SEASON}(?: of)? {YEAR}"),
    ("month", rf"(?:(?:early|late|mid-?) ?)?{MONTH}(?: and {MONTH})?"),
    ("day", rf"(?:every |each |the (?:first|second|third|last) )?{DAY}s?(?:(?:,? and |, ){DAY}s?)*"
            r"(?: (?:morning|afternoon|evening|night)s?)?(?: of (?:the|each|every) month)?"),
    ("day", "weekdays|weekends"),
    ("clock", rf"(?:about |around )?{CLOCK_FORMS}{OF_DAY}"),
    ("season", rf"(?:the |early |late |every |each )?{SEASON}(?: and {SEASON})?"),
    ("season", r"the (?:dry|rainy|wet|cold|warm) season"),
    ("century", rf"the (?:early |late |mid-)?(?:{ORDINAL_DIGITS}|{ORDINAL}) century"),
)  # fmt: skip
AMOUNT_UNITS: tuple[tuple[Kind, str], ...] = (
    ("duration", TIME_UNIT),
    ("temperature", r"(?:degrees?(?: (?:Celsius|Fahrenheit|C|F))?|° ?[CF])"),
    ("speed", either("km/h", "kph", "mph", "knots?", rf"(?:kilo{METRE}|miles?|{METRE}|feet) (?:an|per|a) {TIME_UNIT}")),
    ("money", rf"{listed('euro dollar cent franc crown shilling rupee guilder coin')}s?|pence|pennies|yen"),
    ("length", either("m", "km", "cm", "mm", f"(?:kilo|centi|milli)?{METRE}", "miles?", "feet", "foot", "ft", "in")),
    ("length", either("inch(?:es)?", "yards?", "hectares?", "acres?", f"square (?:{METRE}|kilo{METRE}|miles?|feet)")),
    ("weight", either("g", "kg", "mg", "(?:kilo)?gram(?:me)?s?", "kilos?", "tonnes?", "tons?", "pounds?", "lbs?")),
    ("weight", "oz|ounces?"),
    ("volume", either("l", "ml", "(?:milli)?lit(?:re|er)s?", "gallons?", "pints?", "cups?", f"cubic {METRE}")),
    ("volume", rf"{listed('teaspoon tablespoon bucket barrel bottle')}s?"),
)
TIME_PATTERNS = tuple((kind, re.compile(form)) for kind, form in TIME_FORMS)
AMOUNTS = tuple(
    (kind, re.compile(rf"({NUMBER}[ -]?(?:{unit}))(?!\w)(?: of ((?:[\w-]+ ?){{1,3}}))?")) for kind, unit in AMOUNT_UNITS
)
SIGNED = re.compile(rf"(?:{ABOUT} )?(?:US)?[€$£] ?{DIGITS}(?: (?:million|billion))?")
COUNT = re.compile(rf"({NUMBER}) ((?:[\w'’-]+ ){{0,3}}[a-z]+)")
COUNTED_KINDS = re.compile(rf"({NUMBER}) ({listed('kinds types species varieties sorts pairs')} of [a-z]+)")
UNCOUNTED = re.compile(rf"\b(?:{TIME_UNIT}|of)\b")
OFTEN = re.compile(
    either(
        rf"every (?:(?:other|{NUMBER}) )?{TIME_UNIT}",
        r"each (?:day|week|month|year)",
        rf"(?:once|twice|{NUMBER} times) (?:a|an|per|each|every) (?:(?:other|{NUMBER}) )?{TIME_UNIT}",
        rf"once every {NUMBER} {TIME_UNIT}",
        listed("daily weekly monthly yearly"),
    )
)
AGE = re.compile(rf"the age of {NUMBER}(?: years?)?")
CAPITAL = re.compile(r"[A-Z][\w'’.-]*$")
NAME_WORDS = frozenset({"of", "the", "de", "van", "von", "der", "and"})
ONE_PLURALS = ("s", "people", "children", "men", "women", "sheep", "fish")


def value(text: str) -> Value:
    """The kind of a phrase; amounts and counts also say how long their head is and what they measure."""
    for kind, pattern in TIME_PATTERNS:
        if pattern.fullmatch(text):
            return Value(kind)
    if OFTEN.fullmatch(text):
        return Value("often")
    if AGE.fullmatch(text):
        return Value("age")
    if SIGNED.fullmatch(text):
        return Value("money", len(text))
    for kind, pattern in AMOUNTS:
        if match := pattern.fullmatch(text):
            return Value(kind, match.end(1), (match.group(2) or "").strip())
    counted = COUNTED_KINDS.fullmatch(text) or COUNT.fullmatch(text)
    if counted and (counted.re is COUNTED_KINDS or not UNCOUNTED.search(counted.group(2))):
        return Value("count", counted.end(1), counted.group(2))
    return Value("count", len(text)) if re.fullmatch(NUMBER, text) else Value(named(text))


def many(found: Value) -> bool:
    """Whether a value is a number of things that "how many" can ask for."""
    return found.kind == "count" and (found.of.endswith(ONE_PLURALS) or " of " in found.of)


def named(text: str) -> Kind:
    """person: two to four capitalised words that name no institution; name: any other proper noun."""
    said = text.split()
    if not said or not CAPITAL.match(said[-1] if said[0].lower() == "the" else said[0]):
        return "phrase"
    if not all(CAPITAL.match(word) or word in NAME_WORDS for word in said):
        return "phrase"
    lower = [word.lower().rstrip(".,") for word in said]
    institution = any(word in ORGANISATIONS or word.rstrip("s") in ORGANISATIONS for word in lower)
    if institution or {"of", "the", "and"} & set(lower) or (MONTHS | DAYS) & set(said):
        return "name"
    ordinary = [word for word in lower if word not in TITLES]
    return "person" if 2 <= len(said) <= 4 and ordinary and all(len(word) > 1 for word in ordinary) else "name"
