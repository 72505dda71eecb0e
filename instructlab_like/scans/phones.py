"""Phone numbers: by their country code, by a national shape, or by the words around them.

Numbers that regulators keep for fiction are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.scans.accounts import ALONE
from instructlab_like.scans.found import HINTED, LIKELY, SURE, Found

GAP = "[ .\\-/\u00a0\u2009\u202f\u2010\u2011]"
_ABROAD = re.compile(
    rf"(?:\+|00)[1-9][0-9]{{0,14}}\)?(?:{GAP}?\([0-9]{{1,5}}\){GAP}?[0-9]{{1,14}}|{GAP}[0-9]{{1,14}}){{0,12}}"
)
_JOINED_PLUS = re.compile(r"[\w+]\Z")  # what a number with `+` may not follow
_JOINED = re.compile(r"(?:[+.,/=-]|[^\W぀-ヿ㐀-鿿가-힣]|[0-9]:)\Z")  # and one without
_IN_ACCOUNT = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: [A-Z0-9]{4}){0,1} \Z")  # an IBAN, valid or not
_UNASSIGNED = ("28", "83", "89")  # with which no country's calling code begins
# Chinese, Japanese and Korean letters may stand right before a number.
_BESIDE = r"(?<![.,/=+-])(?<![^\W぀-ヿ㐀-鿿가-힣])"
_NORTH_AMERICAN = re.compile(
    _BESIDE + r"(?:1[-. ])?(?:\([0-9]{3}\) ?|[0-9]{3}(?P<gap>[-.]))[0-9]{3}(?(gap)(?P=gap)|[-. ])[0-9]{4}" + ALONE
)
_BRITISH = re.compile(_BESIDE + r"0(?:7[0-9]{3} [0-9]{3} ?[0-9]{3}|20 [0-9]{4} [0-9]{4})" + ALONE)
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


def abroad(text: str, begin: int, end: int) -> Iterator[Found]:
    """Numbers with a country code: `+` or 00, then at most 15 digits (ITU-T E.164)."""
    for match in _ABROAD.finditer(text, begin, end):
        plus = match[0][0] == "+"
        joined = (_JOINED_PLUS if plus else _JOINED).search(text, max(0, match.start() - 2), match.start())
        if not plus:
            joined = joined or _IN_ACCOUNT.search(text, max(0, match.start() - 12), match.start())
        if joined or not _ends(text, match.end()):
            continue
        written = _shortened(match[0].rstrip(")"))
        digits = re.sub(r"\(0\)|[^0-9]", "", written).removeprefix("" if plus else "00")
        if _is_abroad(written if plus else written[2:], digits, plus=plus) and not _FICTION.fullmatch(digits):
            yield Found(match.start(), 1, match.start() + len(written), "phone", "a phone number")


def _shortened(written: str) -> str:
    """The number without what follows it, when the two together are too long for one."""
    while sum(map(str.isdigit, written)) > 17 and re.search(rf"{GAP}[0-9]+\Z", written):
        written = re.sub(rf"{GAP}[0-9]+\Z", "", written)
    return written


def _is_abroad(written: str, digits: str, *, plus: bool) -> bool:
    """Whether digits with a country code can be a phone, and are no amount, no decimal and no coordinates."""
    groups = re.findall("[0-9]+", written)
    gaps = set(re.findall(GAP, written))
    thousands = len(groups) > 1 and all(len(group) == 3 for group in groups[1:]) and digits.endswith("000")
    decimal = "." in gaps and (len(groups) == 2 or len(gaps - {" "}) > 1)
    if thousands or decimal or digits.endswith("00000") or digits.startswith(_UNASSIGNED) or len(digits) > 15:
        return False
    if digits.startswith("1"):
        return len(digits) == 11 and len(groups[0]) in (1, 4, 7, 11)
    return len(digits) >= 9 if plus else len(digits) >= 10 and len(groups) > 1


def at_home(text: str, start: int, end: int) -> Iterator[Found]:
    """Numbers in a national form, within a run of digits and what may stand between them.

    They are sure where their shape or a word before them says so. Digits that merely begin with 0 and come in groups
    may be anything, and are likely.
    """
    begin = start - 1 if text[max(0, start - 1) : start] == "(" else start
    found = False
    for pattern in (_NORTH_AMERICAN, _BRITISH):
        for match in pattern.finditer(text, begin, min(len(text), end + 2)):
            found = True
            if not is_fiction(re.sub("[^0-9]", "", match[0])):
                yield Found(match.start(), 2, match.end(), "phone", "a phone number")
    run = text[begin:end]
    digits = re.sub("[^0-9]", "", run)
    if found or _JOINED.search(text, max(0, begin - 2), begin) or not _ends(text, end) or _NO_PHONE.search(run):
        return
    called = bool(_CALLED.search(text, max(0, begin - 50), begin))
    if not is_fiction(digits) and (
        (called and 8 <= len(digits) <= 13) or (9 <= len(digits) <= 12 and _LEADING_ZERO.fullmatch(run))
    ):
        what = "a phone number" if called else "what looks like a phone number"
        yield Found(begin, 3, end, "phone", what, SURE if called else LIKELY)


def is_fiction(digits: str) -> bool:
    """Whether a number in a national form is one that nobody has."""
    if digits.startswith("00"):
        return bool(_FICTION.fullmatch(digits[2:]))
    national = digits.removeprefix("0") if digits.startswith("0") else digits.removeprefix("1")
    countries = ("44", "33", "49", "61") if digits.startswith("0") else ("1",)
    return any(_FICTION.fullmatch(country + national) for country in countries)


def _ends(text: str, end: int) -> bool:
    """Whether a number is over: no letter, no decimals, no percent sign follows."""
    return not re.match(r"[^\W぀-ヿ㐀-鿿가-힣]|%|[.,:][0-9]", text[end : end + 2])


# --- by what stands around them ---------------------------------------------------------------------------------


# Shapes of single countries, which fewer other numbers have than one would think.
_NATIONAL = re.compile(
    _BESIDE + r"(?:"
    r"0[1-9](?P<a>[ -])[0-9]{4}(?P=a)[0-9]{4}"  # Japan, Australia, Italy
    r"|0[1-9]-[0-9]{8}"  # the Netherlands
    r"|\([1-9]{2}\) ?9?[0-9]{4}-[0-9]{4}"  # Brazil
    r"|8 ?\(?[0-9]{3}\)? ?[0-9]{3}-[0-9]{2}-[0-9]{2}"  # Russia
    r"|0[1-9](?P<c>[.-])[0-9]{2}(?:(?P=c)[0-9]{2}){3}"  # France
    r"|1[3-9][0-9](?P<b>-)[0-9]{4}(?P=b)[0-9]{4}"  # China
    r"|[2-9][0-9]{2}/[2-9][0-9]{2}-[0-9]{4}"  # North America
    r")" + ALONE
)
_WIDELY_CALLED = re.compile(
    r"(?:\b(?:(?:cell|mobile|home|work|office|direct|emergency|contact|phone|telephone|whatsapp|fax|desk|toll-free)s?"
    r"(?: (?:line|phone|number|no\.?|num))?|my number|(?:his|her|their|our|your) number"
    r"|(?:reach(?:ed|able)?|ring|text|message|sms|call(?:ed|ing)?|dial(?:led|ing)?|phon(?:e|ed|ing)|signal|ext)"
    r"|tel|telefono?n?(?:nummer)?|durchwahl|mobilnummer|handynummer|erreichbar|anrufen|anruf|ruf|rückruf"
    r"|appele[rz]|joindre|joignable|numéro|llam[ae][rn]?|llame|número|lig(?:ue|ar)|chiama(?:re|te)?|numero"
    r"|bel(?:len)?|telefoonnummer|mobiel|numer|zadzwoń|telefonu|puhelin|telefonnummer|ring)\b"
    r"|тел(?:ефон)?|звон|电话|手机|電話|携帯|联系方式|致电|전화)\.?[^0-9\n.!?]{0,24}\Z",
    re.IGNORECASE,
)
_CALLED_AFTER = re.compile(
    r"[ ,]{0,2}[(\[]?(?:mobile|cell(?:phone)?|phone|tel|fax|home|work|landline|mobil|whatsapp)\b"
    r"|,? (?:is|was) (?:my|his|her|their|our|the) (?:\w+ )?(?:phone|cell|mobile|number)",
    re.IGNORECASE,
)
_AMOUNT_AFTER = re.compile(
    r"[ \u00a0]?(?:[nmµ]?s|sec|seconds?|minutes?|hours?|days?|years?|bytes?|bits?|[kKMGT]i?B|times|people|users|"
    r"customers|members|visitors|calls|messages|units|copies|euros?|dollars?|pounds?|km|kg|cm|mm|€|\$|£|¥|kWh|MW|inhabitants"
    r"|Einwohner|Euro|habitants|habitantes)\b"
)
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_APART = re.compile(r" ?/ ?| - | [oO]r | {2,}")


def nearby(text: str, start: int, end: int) -> Iterator[Found]:
    """Numbers that other shapes, or more words before and after, tell to be a phone's."""
    begin = start - 1 if text[max(0, start - 1) : start] == "(" else start
    for match in _NATIONAL.finditer(text, begin, min(len(text), end + 2)):
        if (match["c"] or not _NO_PHONE.search(match[0])) and not is_fiction(re.sub("[^0-9]", "", match[0])):
            yield Found(match.start(), 2, match.end(), "phone", "what looks like a phone number", HINTED)
    for first, last in _pieces(text, begin, end):
        digits = re.sub("[^0-9]", "", text[first:last])
        if not 8 <= len(digits) <= 15 or is_fiction(digits) or _NO_PHONE.search(text, first, last):
            continue
        if (
            _JOINED.search(text, max(0, first - 2), first)
            or not _ends(text, last)
            or _DECIMAL.fullmatch(text, first, last)
        ):
            continue
        if _WIDELY_CALLED.search(text, max(0, begin - 50), first) or _CALLED_AFTER.match(text, last):
            yield Found(first, 3, last, "phone", "a phone number", HINTED)


def _pieces(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The numbers in a run of digits, which are several when they are too many for one."""
    if sum(map(str.isdigit, text[begin:end])) <= 13:
        yield begin, end
        return
    at = begin
    for gap in _APART.finditer(text, begin, end):
        yield at, gap.start()
        at = gap.end()
    yield at, end


def is_amount(text: str, found: Found) -> bool:
    """Whether a unit follows, or a row of small numbers is counted up, so that it is no phone's number after all."""
    if _AMOUNT_AFTER.match(text, found.end):
        return True
    pairs = re.findall("[0-9]+", text[found.start : found.end])
    rising = [int(pair) for pair in pairs]
    return len(pairs) > 3 and rising == list(range(rising[0], rising[0] + len(rising)))
