"""Stand-ins for personal data: placeholders, and invented values in ranges that nobody has.

The same value gets the same invented one wherever it stands: it is drawn from the value's own digest.
"""

from __future__ import annotations

import hashlib
import re

from instructlab_like.scans.accounts import luhn, remainder
from instructlab_like.scans.personal import identifying

PLACEHOLDERS = {
    "email": "[EMAIL]",
    "phone": "[PHONE]",
    "iban": "[IBAN]",
    "card": "[CARD]",
    "ssn": "[SSN]",
    "ip": "[IP]",
    "name": "[NAME]",
    "secret": "[SECRET]",
}
_TRIES = 20
_BEGINNINGS = (
    tuple("Bal Bren Cor Dal Der Fen Gal Hal Ilm Jor Kal Lor Mar Nel Or Pel Quen Ral Sel Tor Ul Vel Wen Yor".split())  # noqa: SIM905
)
_ENDINGS = tuple("a ana ba den dor eth ia in ira is la len lo mar mi na nor o ra ren sa ta tin vo wyn".split())  # noqa: SIM905


class Draws:
    """Numbers out of a digest, one after the other: the same from the same value and salt, on every machine."""

    def __init__(self, *told: str) -> None:
        self.left = int.from_bytes(hashlib.sha512("\0".join(told).encode("utf-8", "surrogatepass")).digest(), "big")

    def below(self, most: int) -> int:
        self.left, drawn = divmod(self.left, most)
        return drawn

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))


def invented(kind: str, value: str, *, salt: str) -> str:
    """A value of the same kind and, where that can be, of the same form, that nobody has."""
    for attempt in range(_TRIES):
        drawn = _INVENTORS[kind](value, Draws(kind, _identity(kind, value), salt, str(attempt)))
        if not identifying(drawn):
            return drawn
    return PLACEHOLDERS[kind]


def _identity(kind: str, value: str) -> str:
    """What is the same in all spellings of one value."""
    if kind == "email":
        return re.sub(
            r" ?[\[({] ?dot ?[\])}] ?", ".", re.sub(r" ?[\[(]at[\])] ?", "@", value, flags=re.I), flags=re.I
        ).lower()
    if kind == "phone":
        return re.sub("[^0-9]", "", value)[-8:]  # without the codes that one leaves out at home
    if kind == "name":
        return " ".join(value.split())
    return re.sub("[^0-9a-z:.]", "", value.lower())


def _email(_: str, draws: Draws) -> str:
    return f"{_word(draws)}.{_word(draws)}{draws.below(900) + 100}@example.org".lower()


def _word(draws: Draws) -> str:
    return _BEGINNINGS[draws.below(len(_BEGINNINGS))] + _ENDINGS[draws.below(len(_ENDINGS))]


def _name(value: str, draws: Draws) -> str:
    return " ".join(_word(draws) for _ in value.split())


def _phone(value: str, draws: Draws) -> str:
    """Of the ranges that regulators keep for fiction: in the same country where it has one, else in North America."""
    digits = re.sub("[^0-9]", "", value)
    abroad = value.startswith("+") or digits.startswith("00")
    prefix = "+" if value.startswith("+") else "00"
    country = digits.removeprefix("00") if abroad else ""
    last = draws.digits(3)
    if country.startswith("44") or re.match(r"\(?0(?:7[0-9]{3}|20\b)", value):
        national = f"7700900{last}"
        return _filled(
            value,
            f"44{national}" if abroad else f"0{national}",
            f"{prefix}44 7700 900{last}" if abroad else f"07700 900{last}",
        )
    if country.startswith("33") or re.fullmatch(r"0[1-9](?:[ .-][0-9]{2}){4}", value):
        pairs = f"99 {draws.digits(2)} {draws.digits(2)} {last[:2]}"
        return f"{prefix}33 1 {pairs}" if abroad else f"01 {pairs}"
    if country.startswith("61"):
        return f"{prefix}61 491 570 {last}"
    if country.startswith("49") or (not abroad and digits.startswith("0")):
        return f"{prefix}49 30 23125 {last}" if abroad else f"030 23125 {last}"
    area = f"{draws.below(7) + 2}{draws.below(9)}{draws.below(8) + 2}"
    national = f"{area}55501{last[:2]}"
    if abroad:
        return _filled(value, f"1{national}", f"+1 {area} 555 01{last[:2]}")
    return _filled(value, f"1{national}" if len(digits) == 11 else national, f"{area}-555-01{last[:2]}")


def _filled(form: str, digits: str, otherwise: str) -> str:
    """The digits in the form of another number, if it has as many."""
    if sum(map(str.isdigit, form)) != len(digits) or "(0)" in form:
        return otherwise
    rest = iter(digits)
    return "".join(next(rest) if sign.isdigit() else sign for sign in form)


def _iban(value: str, draws: Draws) -> str:
    """An account in the country XX, which there is not, with the check digits that it would have."""
    bare = re.sub("[^0-9A-Za-z]", "", value)
    account = "".join(draws.digits(1) if sign.isdigit() else chr(65 + draws.below(26)) for sign in bare[4:])
    number = iter(f"XX{98 - remainder(f'XX00{account}'):02}{account}")
    return "".join(next(number) if sign.isalnum() else sign for sign in value)


def _card(value: str, draws: Draws) -> str:
    """Of no issuer: numbers that begin with 9 are left to the countries, and none is a payment card's."""
    count = sum(map(str.isdigit, value))
    body = "9" + draws.digits(count - 2)
    check = next(str(digit) for digit in range(10) if luhn(f"{body}{digit}") == 0)
    return _filled(value, body + check, body + check)


def _ssn(value: str, draws: Draws) -> str:
    """Of an area that is never given out, and of a group that taxpayers without a number do not have, either."""
    digits = f"9{draws.digits(2)}{draws.below(49) + 1:02}{draws.below(9999) + 1:04}"
    return _filled(value, digits, f"{digits[:3]}-{digits[3:5]}-{digits[5:]}")


def _ip(value: str, draws: Draws) -> str:
    if ":" in value:
        return "2001:db8:" + ":".join(f"{draws.below(0xFFFF) + 1:x}" for _ in range(6))
    net = ("192.0.2", "198.51.100", "203.0.113")[draws.below(3)]
    return f"{net}.{draws.below(254) + 1}"


_INVENTORS = {"email": _email, "phone": _phone, "iban": _iban, "card": _card, "ssn": _ssn, "ip": _ip, "name": _name}
