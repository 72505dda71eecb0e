"""Numbers that somebody was given: bank accounts, payment cards, social security numbers. The first two have check
digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.scans.found import HINTED, Found

ALONE = r"(?![\w-]|[.,][0-9])"  # what must not follow a number
_CARD = re.compile(
    r"(?<![\w.,+])(?<![0-9]-)(?=(?P<card>[0-9]{4}(?P<gap>[ -]?)[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,7}"
    r"|3[47][0-9]{2}(?P<wide>[ -])[0-9]{6}(?P=wide)[0-9]{5}"
    rf"|3[0689][0-9]{{2}}(?P<long>[ -])[0-9]{{6}}(?P=long)[0-9]{{4}}){ALONE})"
)
_SSN = re.compile(rf"(?<![\w.,+-])(?!000|666|9)[0-9]{{3}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}{ALONE}")
_NAMED_SSN = re.compile(
    r"\b(?:SSN|social[ -]security(?: (?:number|no\.?|num|#))?)\b[^0-9\n]{0,16}"
    r"(?P<number>(?!000|666|9)[0-9]{3} ?(?!00)[0-9]{2} ?(?!0000)[0-9]{4})" + ALONE,
    re.IGNORECASE,
)


def social_security(text: str, start: int, end: int) -> Iterator[Found]:
    for match in _SSN.finditer(text, start, min(len(text), end + 2)):
        yield Found(match.start(), 0, match.end(), "ssn", "a social security number")


def named_social_security(text: str) -> Iterator[Found]:
    """Nine digits without hyphens, where they are called one."""
    for match in _NAMED_SSN.finditer(text):
        yield Found(match.start("number"), 0, match.end("number"), "ssn", "a social security number", HINTED)


# --- cards ------------------------------------------------------------------------------------------------------


def cards(text: str, start: int, end: int) -> Iterator[Found]:
    """Payment cards: an issuer's prefix, its length, and the check digit of Luhn (ISO/IEC 7812-1)."""
    for match in _CARD.finditer(text, start, min(len(text), end + 2)):
        digits = re.sub("[ -]", "", match["card"])
        if _ISSUERS.fullmatch(digits) and luhn(digits) == 0:
            yield Found(match.start(), 0, match.end("card"), "card", "the number of a payment card")


_ISSUERS = re.compile(
    "4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    "|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    "|3[47][0-9]{13}"  # American Express
    "|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}"  # Discover
    "|(?:352[89]|35[3-8][0-9])[0-9]{12,15}"  # JCB
    "|3(?:0[0-5]|095|6[0-9]|[89][0-9])[0-9]{11,16}"  # Diners Club
    "|62[0-9]{14,17}"  # UnionPay
    "|220[0-4][0-9]{12,15}"  # Mir
    "|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{12,15}"  # Maestro
)


def luhn(digits: str) -> int:
    """Luhn's sum modulo 10: 0 of a number whose last digit checks the others."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10


# --- bank accounts ----------------------------------------------------------------------------------------------


# Length by country, from SWIFT's IBAN registry.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC",
        32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN = re.compile(r"[0-9](?<=(?<![A-Za-z0-9])[A-Za-z]{2}[0-9])[0-9](?=[ \xa0-]?[A-Za-z0-9])")


def ibans(text: str, begin: int, end: int) -> Iterator[Found]:
    """Accounts: the length that the country has, and a remainder of 1 modulo 97 (ISO 13616)."""
    for match in _IBAN.finditer(text, begin, end):
        start = match.start() - 2
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if length is None:
            continue
        shape = rf"(?:[A-Za-z0-9][ \xa0-]?){{{length - 1}}}[A-Za-z0-9](?![A-Za-z0-9])"
        written = re.match(shape, text[start : start + 2 * length])
        if written and remainder(re.sub("[ \xa0-]", "", written[0])) == 1:
            yield Found(start, 0, start + written.end(), "iban", "the number of an account (IBAN)")


def remainder(account: str) -> int:
    """Of an account's number without blanks, modulo 97."""
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97
