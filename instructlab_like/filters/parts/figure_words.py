"""The words in which numbers are told: numerals of several languages, months, units, in Han and Roman numerals."""

from __future__ import annotations

import re
from decimal import Decimal

Number = int | Decimal
ONES_TEXT = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
TENS_TEXT = "twenty thirty forty fifty sixty seventy eighty ninety"
ORDINALS_TEXT = """zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"""
ONES = {word: value for value, word in enumerate(ONES_TEXT.split())}
TENS = {word: 10 * value for value, word in enumerate(TENS_TEXT.split(), start=2)}
SMALL = ONES | TENS
ORDINALS = {word: value for value, word in enumerate(ORDINALS_TEXT.split())}
ORDINALS |= {word[:-1] + "ieth": value for word, value in TENS.items()} | {"hundredth": 100, "thousandth": 1000}
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "dozen": 0, "score": 0}
GROUPS = {"dozen": 12, "score": 20}
# Behind a figure, with or without a space: in powers of ten, in several languages.
MAGNITUDES = SCALES | {
    "hundreds": 2, "thousands": 3, "millions": 6, "billions": 9, "k": 3, "m": 6, "mn": 6, "mio": 6, "bn": 9, "b": 9,
    "mrd": 9, "tn": 12, "lakh": 5, "crore": 7, "tausend": 3, "millionen": 6, "milliarden": 9, "mil": 3, "mille": 3,
    "millones": 6, "milhões": 6, "milioni": 6, "milliards": 9, "miljoen": 6, "miljard": 9, "miljarden": 9, "万": 4,
    "萬": 4, "億": 8, "亿": 8,
}  # fmt: skip
MONTHS_TEXT = """january jan januar enero janvier gennaio janeiro januari|february feb februar febrero février fevrier
febbraio fevereiro februari|march mar märz marz marzo mars março maart|april apr abril avril aprile|may mai mayo
maggio maio mei|june jun juni junio juin giugno junho|july jul juli julio juillet luglio julho|august aug agosto août
aout augustus|september sep sept septiembre septembre settembre setembro|october oct oktober octubre octobre ottobre
outubro| november nov noviembre novembre novembro|december dec dezember dez diciembre décembre decembre dicembre
dezembro"""
MONTHS = {
    name: number for number, names in enumerate(MONTHS_TEXT.replace("\n", " ").split("|"), 1) for name in names.split()
}
# Number words of other languages, from two on; where a text is in that language they are claims as well.
FOREIGN_TEXT = {
    "de": "zwei=2 zwo=2 drei=3 vier=4 fünf=5 sechs=6 sieben=7 acht=8 neun=9 zehn=10 elf=11 zwölf=12 dreizehn=13 "
    "vierzehn=14 fünfzehn=15 sechzehn=16 siebzehn=17 achtzehn=18 neunzehn=19 zwanzig=20 dreißig=30 vierzig=40 "
    "fünfzig=50 sechzig=60 siebzig=70 achtzig=80 neunzig=90 hundert=100 einhundert=100 tausend=1000 eintausend=1000 "
    "dutzend=12",
    "fr": "deux=2 trois=3 quatre=4 cinq=5 six=6 sept=7 huit=8 neuf=9 dix=10 onze=11 douze=12 treize=13 quatorze=14 "
    "quinze=15 seize=16 vingt=20 trente=30 quarante=40 cinquante=50 soixante=60 cent=100 mille=1000 douzaine=12",
    "es": "dos=2 tres=3 cuatro=4 cinco=5 seis=6 siete=7 ocho=8 nueve=9 diez=10 once=11 doce=12 trece=13 catorce=14 "
    "quince=15 dieciséis=16 diecisiete=17 dieciocho=18 diecinueve=19 veinte=20 treinta=30 cuarenta=40 cincuenta=50 "
    "sesenta=60 setenta=70 ochenta=80 noventa=90 cien=100 mil=1000 docena=12",
    "it": "due=2 tre=3 quattro=4 cinque=5 sei=6 sette=7 otto=8 nove=9 dieci=10 undici=11 dodici=12 tredici=13 "
    "quattordici=14 quindici=15 sedici=16 venti=20 trenta=30 quaranta=40 cinquanta=50 cento=100 mille=1000 dozzina=12",
    "pt": "dois=2 duas=2 três=3 quatro=4 cinco=5 seis=6 sete=7 oito=8 nove=9 dez=10 onze=11 doze=12 treze=13 quinze=15 "
    "vinte=20 trinta=30 quarenta=40 cinquenta=50 cem=100 mil=1000 dúzia=12",
    "nl": "twee=2 drie=3 vier=4 vijf=5 zes=6 zeven=7 acht=8 negen=9 tien=10 elf=11 twaalf=12 dertien=13 veertien=14 "
    "vijftien=15 twintig=20 dertig=30 veertig=40 vijftig=50 honderd=100 duizend=1000 dozijn=12",
}
FOREIGN = {
    code: {word: int(value) for word, _, value in (entry.partition("=") for entry in text.split())}
    for code, text in FOREIGN_TEXT.items()
}
FOREIGN_WORDS = frozenset(word for words in FOREIGN.values() for word in words)
GERMAN_COMPOUND = re.compile(
    r"(?:(?P<thousands>[a-zäöüß]*)tausend)?(?:und)?(?:(?P<hundreds>[a-zäöüß]*?)hundert)?(?:und)?"
    r"(?:(?P<ones>ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun)und)?(?P<rest>[a-zäöüß]*)"
)
HAN_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "两": 2,
    "兩": 2,
    "壱": 1,
    "弐": 2,
}
HAN_TENS = {"十": 10, "百": 100, "千": 1000}
HAN_SCALES = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8}
SHARES = {"third": 3, "quarter": 4, "fifth": 5, "eighth": 8, "tenth": 10, "half": 2}
# Units: word -> what is measured, and how much of it. Fahrenheit is handled apart.
UNITS_TEXT = {
    "length": "mm=.001 millimetre=.001 millimeter=.001 cm=.01 centimetre=.01 centimeter=.01 m=1 metre=1 meter=1 "
    "km=1000 kilometre=1000 kilometer=1000 mile=1609.344 mi=1609.344 foot=.3048 feet=.3048 ft=.3048 "
    "inch=.0254 inche=.0254 yard=.9144 yd=.9144",
    "mass": "mg=.000001 milligram=.000001 g=.001 gram=.001 gramme=.001 kg=1 kilo=1 kilogram=1 kilogramme=1 t=1000 "
    "ton=1000 tonne=1000 lb=.453592 lbs=.453592 pound=.453592 oz=.0283495 ounce=.0283495",
    "time": "ms=.001 millisecond=.001 s=1 sec=1 second=1 min=60 minute=60 h=3600 hr=3600 hour=3600 day=86400 "
    "week=604800 fortnight=1209600 month=2629746 year=31556952 decade=315569520 century=3155695200 "
    "centurie=3155695200 sekunde=1 sekunden=1 minuten=60 stunde=3600 stunden=3600 tag=86400 tage=86400 tagen=86400 "
    "woche=604800 wochen=604800 jahr=31556952 jahre=31556952 jahren=31556952 monat=2629746 monate=2629746",
    "volume": "ml=.001 millilitre=.001 milliliter=.001 cl=.01 l=1 litre=1 liter=1 gallon=3.78541 pint=.473176",
    "area": "hectare=10000 ha=10000 acre=4046.86",
    "data": "kb=1000 kilobyte=1000 mb=1000000 megabyte=1000000 gb=1000000000 gigabyte=1000000000 tb=1000000000000 "
    "terabyte=1000000000000",
    "frequency": "hz=1 khz=1000 mhz=1000000 ghz=1000000000",
    "share": "percent=1 percentage=1 %=1 prozent=1 pct=1",
}
UNITS = {
    unit: (kind, Decimal(size))
    for kind, text in UNITS_TEXT.items()
    for unit, _, size in (entry.partition("=") for entry in text.split())
}


def number(digits: str) -> Number:
    value = Decimal(digits)
    return int(value) if value == value.to_integral_value() else value


def singular(word: str) -> str:
    return word[:-1] if word.endswith("s") else word


def of_han(run: str) -> tuple[Number, ...]:
    """What a run of Han numerals says; digit by digit as well, as years are written."""
    total, section, digit = 0, 0, 0
    for character in run:
        if character in HAN_DIGITS:
            digit = HAN_DIGITS[character]
        elif character in HAN_TENS:
            section, digit = section + (digit or 1) * HAN_TENS[character], 0
        else:
            total, section, digit = total + (section + digit or 1) * HAN_SCALES[character], 0, 0
    value = total + section + digit
    if all(character in HAN_DIGITS for character in run):
        return (int("".join(str(HAN_DIGITS[character]) for character in run)),)
    return (value,)


def of_german(word: str) -> int | None:
    """The value of a German compound: zweihundertfünfunddreißig."""
    known = FOREIGN["de"]
    match = GERMAN_COMPOUND.fullmatch(word)
    if not match:
        return None
    total = 0
    for group, size in (("thousands", 1000), ("hundreds", 100)):
        text = match[group]
        if text is not None:
            part = 1 if text in ("", "ein") else known.get(text) or (of_german(text) if text != word else None)
            if part is None:
                return None
            total += part * size
    if match["ones"]:
        total += 1 if match["ones"] == "ein" else known[match["ones"]]
    rest = match["rest"]
    if rest:
        if rest not in known:
            return None
        total += known[rest]
    return total or None


ROMAN = re.compile(r"\b(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b")
ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(numeral: str) -> int:
    total = 0
    for character, following in zip(numeral, [*numeral[1:], "I"], strict=True):
        value = ROMAN_VALUES[character]
        total += -value if value < ROMAN_VALUES[following] else value
    return total


def unit_of(word: str) -> tuple[str, Decimal] | None:
    return UNITS.get(word) or UNITS.get(singular(word))
