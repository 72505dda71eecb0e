"""Personal data in a text: addresses, numbers of phones, accounts, cards, people and machines.

Numbers that nobody has (example.org, 555-0100, 192.0.2.1 and the like) are none. Most texts hold nothing of the kind,
and are done with before any of it is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from instructlab_like.scans.accounts import cards, ibans, named_social_security, social_security
from instructlab_like.scans.addresses import emails, is_nobodys, machines, spelled_emails
from instructlab_like.scans.found import LIKELY, MOST, Found, apart
from instructlab_like.scans.phones import GAP, abroad, at_home, is_amount, nearby

KINDS = ("email", "phone", "iban", "card", "ssn", "ip")

# A text's digits as 0, its points and line ends, and x for all else, byte by character: quick to look through.
_SKELETON = bytes(48 if 48 <= sign <= 57 else sign if sign in b".\n" else 120 for sign in range(256))
_CAPITALS = bytes(48 if 48 <= sign <= 57 else 65 if 65 <= sign <= 90 else 32 for sign in range(256))
_NUMBER = re.compile(rb"0(?:[^0\n]{0,3}0){7}")  # part of every number that is looked for
_FOUR_NUMBERS = re.compile(rb"0{1,3}\.0{1,3}\.0{1,3}\.0")
_DIGITS = re.compile(rf"[0-9][0-9]*(?:(?:{GAP}|[()]){{1,3}}[0-9]+)*")
_BOOK = re.compile(r"\b(?:ISBN|ISSN|DOI|EAN|GTIN|UPC|OCLC|PMID|LCCN|arXiv)\b[^\n]{0,20}\Z", re.IGNORECASE)


def told(text: str) -> list[Found]:
    """What is personal data by its shape, and what looks like a phone number; of two that overlap the first."""
    digits = _skeleton(text)
    if "@" not in text and digits.count(b"0") < 8:
        return []
    return apart((*islice(emails(text), MOST), *islice(_numbers(text, digits), MOST)))


def identifying(text: str) -> list[Found]:
    """What a reader would take for somebody's, by its shape and by the words around it."""
    if not text.isascii() and _WIDE in text.encode("utf-8", "surrogatepass"):
        text = text.translate(_NARROW)
    digits = _skeleton(text)
    many = digits.count(b"0")
    spelled = ("(" in text and "(at)" in text) or ("[" in text and "[at]" in text)
    if many < 6 and "@" not in text and not spelled:
        return []
    found = list[Found]()
    if "@" in text:
        found += islice(emails(text), MOST)
    if spelled:
        found += islice(spelled_emails(text), MOST)
    if many > 7 and _NUMBER.search(digits):
        text = text if text.isascii() else text.translate(_NARROW)
        found += islice(_numbers(text, digits, around=True), MOST)
    elif many > 5 and b"AA00" in text.encode("ascii", "replace").translate(_CAPITALS):
        found += islice(ibans(text, 0, len(text)), MOST)  # which may have more letters than digits
    if many > 5 and (_FOUR_NUMBERS.search(digits) or text.count(":") > 2):
        found += islice(machines(text), MOST)
    return apart(one for one in found if not _is_something_else(text, one)) if found else found


def _skeleton(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(_SKELETON)


_WIDE = b"\xef\xbc"  # in UTF-8 the beginning of the wide forms of digits and signs
_NARROW = str.maketrans("０１２３４５６７８９＋－＠（）．：‒–\u2009\u202f", "0123456789+-@().:--  ")


# --- numbers ----------------------------------------------------------------------------------------------------


def _numbers(text: str, digits: bytes, *, around: bool = False) -> Iterator[Found]:
    """`around`: whether the words around a number may say what it is."""
    past = 0
    for match in _NUMBER.finditer(digits):
        if match.start() >= past:
            start = text.rfind("\n", 0, match.start()) + 1
            past = text.find("\n", match.end()) + 1 or len(text)
            yield from _in_line(text, start, past, around=around)
    if past and around:
        yield from named_social_security(text)


def _in_line(text: str, start: int, end: int, *, around: bool) -> Iterable[Found]:
    yield from ibans(text, start, end)
    yield from abroad(text, start, end)
    for match in _DIGITS.finditer(text, start, end):
        count = sum(map(str.isdigit, match[0]))
        if count >= 13:
            yield from cards(text, match.start(), match.end())
        if count >= 8 and not _BOOK.search(text, max(0, match.start() - 40), match.start()):
            yield from social_security(text, match.start(), match.end())
            yield from at_home(text, match.start(), match.end())
            if around:
                yield from nearby(text, match.start(), match.end())


# --- what a word before says that it is not ---------------------------------------------------------------------


_THINGS = (
    r"order|invoice|part|sku|serial|model|case|ticket|tracking|shipment|parcel|consignment|batch|lot|item|product"
    r"|article|catalog(?:ue)?"
    r"|patent|grant|permit|docket|claim|transaction|booking|reservation|confirmation|reference|ref|receipt|purchase"
    r"|po|rma|asset"
    r"|job|record|accession|barcode|bestell|auftrags?|rechnungs?|artikel|serien|vorgangs?|akten|sendungs?|kunden"
    r"|liefer(?:schein)?"
    r"|commande|facture|pedido|factura|ordine|fattura|fatura|bestelling|factuur"
)
_CALLED_A_THING = re.compile(
    rf"(?:\b(?:{_THINGS})(?:[ -]?(?:number|numero|numéro|número|nummer|no|nr|num|id|code|key|#|№))?s?\b|№|订单号?|编号"
    rf"|発注番号|注文番号)"
    r"[\s.:#=(\"'№]{0,4}(?:(?:is|was|reads|ist|war|lautet|est|es|è|de|del) )?[\s:#\"']{0,3}\Z",
    re.IGNORECASE,
)
_ZIP = re.compile(r"0[0-9]{4}-[0-9]{4}")


def _is_something_else(text: str, found: Found) -> bool:
    """Whether what stands before or after a find says that it is not what its shape looks like."""
    if found.kind == "email":
        return is_nobodys(text[found.start : found.end])
    if found.kind in ("iban", "ip") or text[found.start] == "+":  # with a checksum, a form or a country code of its own
        return False
    if found.kind == "phone":
        unsure = found.doubt == LIKELY and _ZIP.fullmatch(text, found.start, found.end)
        if unsure or is_amount(text, found):
            return True
    return bool(_CALLED_A_THING.search(text, max(0, found.start - 40), found.start))
