"""What identifies a person in a leaf's questions and answers: addresses, numbers of phones, accounts, cards and people.

Only the YAML files: documents are public texts. Numbers that nobody has (example.org, 555-0100 and the like) are none.
A phone number in its national form is an error where its shape or a word before it says that it is one. Digits that
merely begin with 0 and come in groups may be anything, so they are a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from instructlab_like.checking.hits import COUNTED, Hit, Page, found_in, is_looked_through, masked, sheets
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.yaml_lines import Mapping

_FIX = "leave it out, or write one that nobody has"
_FIXES = {
    "email": "leave it out, or write one of example.org",
    "phone": "leave it out, or write one of a range kept for fiction, such as 555-0123 after an area code",
}


def findings(subject: Subject) -> Iterable[Finding]:
    for page in filter(is_looked_through, sheets(subject)):
        own = _author(page)
        found = found_in(page, look, folds=True)
        yield from (finding for finding in found if finding.code != "email" or finding.line not in own)


def look(text: str) -> Iterator[Hit]:
    """Personal data in a text of several lines; of two that overlap the first, or the one with a checksum."""
    past = 0
    found = (*islice(_emails(text), COUNTED), *islice(_numbers(text), COUNTED))
    for start, _, end, code, what, severity in sorted(found):
        if start >= past:
            past = end
            message = f"{what}: {masked(text[start:end])}"
            yield Hit(start, end, code, message, _FIXES.get(code, _FIX), severity)


Found = tuple[int, int, int, str, str, Literal["error", "warning"]]  # start, rank, end, code, what it is, severity


def _author(page: Page) -> range:
    """The lines of `created_by`, which may hold an address."""
    entries = page.root.entries if isinstance(page.root, Mapping) else ()
    for entry in entries:
        if entry.key == "created_by":
            below = [other.line for other in entries if other.line > entry.line]
            return range(entry.line, min(below, default=page.text.count("\n") + 2))
    return range(0)


# --- e-mail -----------------------------------------------------------------------------------------------------


_LOCAL = re.compile(r"[\w.%+'-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,10}(?P<top>[^\W\d_]{2,24}|xn--[a-z0-9-]{2,60})(?![\w-])")
_RESERVED = re.compile(r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)", re.IGNORECASE)
_FILE_ENDS = frozenset(
    ("css", "gif", "html", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "txt", "webp", "xml", "yaml", "yml")
)


def _emails(text: str) -> Iterator[Found]:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL.search(text, max(0, at - 64), at) if domain else None
        if domain and local:
            start = local.end() - len(local[0].lstrip(".%+'-"))
            if start < at and _is_address(text, start, at, domain):
                yield start, 0, domain.end(), "email", "an e-mail address", "error"
        at = text.find("@", at + 1)


def _is_address(text: str, start: int, at: int, domain: re.Match[str]) -> bool:
    """Whether it is no part of a URL, a repository's name, a social handle, a file's name or an example."""
    before = text[max(0, start - 200) : start]
    return not (
        _RESERVED.fullmatch(domain[0])
        or domain["top"].lower() in _FILE_ENDS
        or text[start:at] == "git"
        or before.endswith("@")
        or re.search(r"://[^\s/]*\Z", before)
    )


# --- numbers ----------------------------------------------------------------------------------------------------


_GAP = "[ .\\-/\u00a0\u2009\u202f\u2010\u2011]"
_NUMBER = re.compile(r"[0-9](?:[^0-9\n]{0,3}[0-9]){7}")  # part of each of these
_DIGITS = re.compile(rf"[0-9][0-9]*(?:(?:{_GAP}|[()]){{1,3}}[0-9]+)*")
_ALONE = r"(?![\w-]|[.,][0-9])"  # what must not follow a number
_CARD = re.compile(
    r"(?<![\w.,+])(?<![0-9]-)(?=(?P<card>[0-9]{4}(?P<gap>[ -]?)[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,7}"
    r"|3[47][0-9]{2}(?P<wide>[ -])[0-9]{6}(?P=wide)[0-9]{5}"
    rf"|3[0689][0-9]{{2}}(?P<long>[ -])[0-9]{{6}}(?P=long)[0-9]{{4}}){_ALONE})"
)
_SSN = re.compile(rf"(?<![\w.,+-])(?!000|666|9)[0-9]{{3}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}{_ALONE}")
_BOOK = re.compile(r"\b(?:ISBN|ISSN|DOI|EAN|GTIN|UPC|OCLC|PMID|LCCN|arXiv)\b[^\n]{0,20}\Z", re.IGNORECASE)


def _numbers(text: str) -> Iterator[Found]:
    past = 0
    for match in _NUMBER.finditer(text):
        if match.start() >= past:
            start = text.rfind("\n", 0, match.start()) + 1
            past = text.find("\n", match.end()) + 1 or len(text)
            yield from _in_line(text, start, past)


def _in_line(text: str, start: int, end: int) -> Iterator[Found]:
    yield from _ibans(text, start, end)
    yield from _abroad(text, start, end)
    for match in _DIGITS.finditer(text, start, end):
        count = sum(map(str.isdigit, match[0]))
        if count >= 13:
            yield from _cards(text, match.start(), match.end())
        if count >= 8 and not _BOOK.search(text, max(0, match.start() - 40), match.start()):
            yield from _social_security(text, match.start(), match.end())
            yield from _at_home(text, match.start(), match.end())


def _social_security(text: str, start: int, end: int) -> Iterator[Found]:
    for match in _SSN.finditer(text, start, min(len(text), end + 2)):
        yield match.start(), 0, match.end(), "social-security-number", "a social security number", "error"


def _cards(text: str, start: int, end: int) -> Iterator[Found]:
    """Payment cards: an issuer's prefix, its length, and the check digit of Luhn (ISO/IEC 7812-1)."""
    for match in _CARD.finditer(text, start, min(len(text), end + 2)):
        digits = re.sub("[ -]", "", match["card"])
        if _ISSUERS.fullmatch(digits) and _luhn(digits):
            yield match.start(), 0, match.end("card"), "payment-card", "the number of a payment card", "error"


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


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


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


def _ibans(text: str, begin: int, end: int) -> Iterator[Found]:
    """Accounts: the length that the country has, and a remainder of 1 modulo 97 (ISO 13616)."""
    for match in _IBAN.finditer(text, begin, end):
        start = match.start() - 2
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if length is None:
            continue
        shape = rf"(?:[A-Za-z0-9][ \xa0-]?){{{length - 1}}}[A-Za-z0-9](?![A-Za-z0-9])"
        written = re.match(shape, text[start : start + 2 * length])
        bare = re.sub("[ \xa0-]", "", written[0]) if written else "0"
        if written and int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1:
            yield start, 0, start + written.end(), "iban", "the number of an account (IBAN)", "error"


# --- phones -----------------------------------------------------------------------------------------------------


_ABROAD = re.compile(
    rf"(?:\+|00)[1-9][0-9]{{0,14}}\)?(?:{_GAP}?\([0-9]{{1,5}}\){_GAP}?[0-9]{{1,14}}|{_GAP}[0-9]{{1,14}}){{0,12}}"
)
_JOINED_PLUS = re.compile(r"[\w+]\Z")  # what a number with `+` may not follow
_JOINED = re.compile(r"(?:[\w+.,/=-]|[0-9]:)\Z")  # and one without
_UNASSIGNED = ("28", "83", "89")  # with which no country's calling code begins
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.,/=+-])(?:1[-. ])?(?:\([0-9]{3}\) ?|[0-9]{3}(?P<gap>[-.]))[0-9]{3}(?(gap)(?P=gap)|[-. ])[0-9]{4}" + _ALONE
)
_BRITISH = re.compile(r"(?<![\w.,/=+-])0(?:7[0-9]{3} [0-9]{3} ?[0-9]{3}|20 [0-9]{4} [0-9]{4})" + _ALONE)
_LEADING_ZERO = re.compile(
    r"\(?0[1-9][0-9]{1,4}\)?(?: ?/ ?| - |[ -])[0-9]{3,8}(?:[ -][0-9]{2,5}){0,3}"
    r"|\(0[1-9]\) ?[0-9]{4} ?[0-9]{4}|0[1-9](?P<gap>[ .-])[0-9]{2}(?:(?P=gap)[0-9]{2}){3}"
)
_CALLED = re.compile(
    r"\b(?:phone|telephone|tel|mobile|cell|fax|call|dial|contact|whatsapp|sms|hotline|telefon|handy|mobil|mobiltelefon"
    r"|rufnummer|téléphone|tél|portable|teléfono|móvil|telefono|cellulare|telefone|celular)\b[^0-9\n]{0,25}\Z",
    re.IGNORECASE,
)
# Dates, spans of years and addresses of machines.
_NO_PHONE = re.compile(
    r"(?<![0-9])(?:(?:1[0-9]|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?[0-9]"
    r"|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:1[0-9]|20)[0-9]{2}"
    r"|(?:1[0-9]|20)[0-9]{2} ?[-/ ] ?(?:1[0-9]|20)[0-9]{2}|0[0-9]+ (?:19|20)[0-9]{2}"
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9])"
)
# Kept for fiction by the regulators of North America, Britain, France, Germany and Australia; with country code.
_FICTION = re.compile(
    "1[0-9]{3}55501[0-9]{2}"
    "|44(?:(?:11[3-8]|121|131|141|151|161)4960|1914980|2079460|2890180|2920180|1632960|7700900|8081570|9098790|3069990)[0-9]{3}"
    "|33(?:199[0-9]{2}|26191|35301|46571|53649|63998)[0-9]{4}"
    "|49(?:3023125|6990009|4066969|2214710|8999998)[0-9]{3}|61(?:[2378](?:5550|7010)[0-9]{4}|491570[0-9]{3})"
)


def _abroad(text: str, begin: int, end: int) -> Iterator[Found]:
    """Numbers with a country code: `+` or 00, then at most 15 digits (ITU-T E.164)."""
    for match in _ABROAD.finditer(text, begin, end):
        plus = match[0][0] == "+"
        joined = (_JOINED_PLUS if plus else _JOINED).search(text, max(0, match.start() - 2), match.start())
        if joined or not _ends(text, match.end()):
            continue
        written = _shortened(match[0].rstrip(")"))
        digits = re.sub(r"\(0\)|[^0-9]", "", written).removeprefix("" if plus else "00")
        if _is_abroad(written if plus else written[2:], digits, plus=plus) and not _FICTION.fullmatch(digits):
            yield match.start(), 1, match.start() + len(written), "phone", "a phone number", "error"


def _shortened(written: str) -> str:
    """The number without what follows it, when the two together are too long for one."""
    while sum(map(str.isdigit, written)) > 17 and re.search(rf"{_GAP}[0-9]+\Z", written):
        written = re.sub(rf"{_GAP}[0-9]+\Z", "", written)
    return written


def _is_abroad(written: str, digits: str, *, plus: bool) -> bool:
    """Whether digits with a country code can be a phone, and are no amount, no decimal and no coordinates."""
    groups = re.findall("[0-9]+", written)
    gaps = set(re.findall(_GAP, written))
    thousands = len(groups) > 1 and all(len(group) == 3 for group in groups[1:]) and digits.endswith("000")
    decimal = "." in gaps and (len(groups) == 2 or len(gaps - {" "}) > 1)
    if thousands or decimal or digits.endswith("00000") or digits.startswith(_UNASSIGNED) or len(digits) > 15:
        return False
    if digits.startswith("1"):
        return len(digits) == 11 and len(groups[0]) in (1, 4, 7, 11)
    return len(digits) >= 9 if plus else len(digits) >= 10 and len(groups) > 1


def _at_home(text: str, start: int, end: int) -> Iterator[Found]:
    """Numbers in a national form, within a run of digits and what may stand between them."""
    begin = start - 1 if text[max(0, start - 1) : start] == "(" else start
    found = False
    for pattern in (_NORTH_AMERICAN, _BRITISH):
        for match in pattern.finditer(text, begin, min(len(text), end + 2)):
            found = True
            if not _is_fiction(re.sub("[^0-9]", "", match[0])):
                yield match.start(), 2, match.end(), "phone", "a phone number", "error"
    run = text[begin:end]
    digits = re.sub("[^0-9]", "", run)
    if found or _JOINED.search(text, max(0, begin - 2), begin) or not _ends(text, end) or _NO_PHONE.search(run):
        return
    called = bool(_CALLED.search(text, max(0, begin - 50), begin))
    if not _is_fiction(digits) and (
        (called and 8 <= len(digits) <= 13) or (9 <= len(digits) <= 12 and _LEADING_ZERO.fullmatch(run))
    ):
        what = "a phone number" if called else "what looks like a phone number"
        yield begin, 3, end, "phone", what, "error" if called else "warning"


def _is_fiction(digits: str) -> bool:
    """Whether a number in a national form is one that nobody has."""
    national = digits.removeprefix("0") if digits.startswith("0") else digits.removeprefix("1")
    countries = ("44", "33", "49", "61") if digits.startswith("0") else ("1",)
    return any(_FICTION.fullmatch(country + national) for country in countries)


def _ends(text: str, end: int) -> bool:
    """Whether a number is over: no letter, no decimals, no percent sign follows."""
    return not re.match(r"\w|%|[.,:][0-9]", text[end : end + 2])
