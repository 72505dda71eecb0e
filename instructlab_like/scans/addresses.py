"""Addresses of people and of their machines: e-mail, and IP where it is one that can be traced to somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from instructlab_like.scans.found import HINTED, Found

# --- e-mail -----------------------------------------------------------------------------------------------------


_LOCAL = re.compile(r"[\w.%+'-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,10}(?P<top>[^\W\d_]{2,24}|xn--[a-z0-9-]{2,60})(?![\w-])")
_RESERVED = re.compile(r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)", re.IGNORECASE)
_FILE_ENDS = frozenset(
    ("css", "gif", "html", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "txt", "webp", "xml", "yaml", "yml")
)


def emails(text: str) -> Iterator[Found]:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL.search(text, max(0, at - 64), at) if domain else None
        if domain and local:
            start = local.end() - len(local[0].lstrip(".%+'-"))
            if start < at and _is_address(text, start, at, domain):
                yield Found(start, 0, domain.end(), "email", "an e-mail address")
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


_SPELLED = re.compile(
    r"(?<![\w.-])(?P<local>\w[\w.+-]{0,60}?) ?[\[(]at[\])] ?(?P<domain>[A-Za-z][\w-]{0,60}"
    r"(?:(?: ?[\[({] ?dot ?[\])}] ?|\.)[A-Za-z][\w-]{0,60}){1,4})(?![\w-])",
    re.IGNORECASE,
)


def spelled_emails(text: str) -> Iterator[Found]:
    """Addresses with `[at]` and `[dot]`, which a reader undoes."""
    for match in _SPELLED.finditer(text):
        domain = re.sub(r" ?[\[({] ?dot ?[\])}] ?", ".", match["domain"], flags=re.IGNORECASE)
        if "." in domain and not _RESERVED.fullmatch(domain):
            yield Found(match.start(), 1, match.end(), "email", "an e-mail address, spelled out", HINTED)


# What documentation writes for "whoever you are", and what code has on both sides of its `@`.
_ANYBODY = re.compile(
    r"(?:your?|my|some|any)?[._-]?(?:e?-?mail|name|user(?:name)?|you|one|body|someone|example|foo|test|abc|xxx+|recipient|sender)"
    r"(?:[._-]?(?:e?mail|name|address|id|here))?[0-9]?"
    r"@(?:(?:your|my|some|the)?[._-]?(?:domain|company|e?-?mail|website|site|host|server|provider|organi[sz]ation|foo|bar|test"
    r"|abc|xyz|address|somewhere|xxx+)(?:[._-]?(?:name|domain|here))?)\.[a-z]{2,6}",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"@(?:self|cls|this|np|torch)\.|\.(?:weight|bias|data|shape|grad|dot|values|inv|conj|transpose|reshape|mT)\Z"
)


def is_nobodys(address: str) -> bool:
    """Whether an address stands for anybody's, or is a product of two matrices."""
    return bool(_ANYBODY.fullmatch(address) or _CODE.search(address)) or address.endswith(".localdomain")


# --- IP ---------------------------------------------------------------------------------------------------------


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?=[0-9])(?<![\w.])(?<![A-Za-z][-/]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w-]|\.[0-9]|/[0-9])")
_IPV6 = re.compile(r"(?=[23])(?<![\w:.])[23][0-9a-f]{3}:[0-9a-f:]{2,34}(?![\w:]|\.[0-9]|/[0-9])", re.IGNORECASE)
# Resolvers that everybody uses, and that are written in every handbook.
_PUBLIC = frozenset(
    ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
     "4.2.2.1", "4.2.2.2", "94.140.14.14", "1.1.1.2", "1.2.3.4")
)  # fmt: skip
_PUBLIC_V6 = frozenset(
    map(
        IPv6Address,
        ("2001:4860:4860::8888", "2001:4860:4860::8844", "2606:4700:4700::1111", "2606:4700:4700::1001", "2620:fe::fe"),
    )
)
_VERSIONED = re.compile(
    r"\b(?:v8?|ver|versions?|releases?|build|firmware|driver|patch|revision|rev|updated?|upgraded?|downgraded?|package|library"
    r"|sections?|sec|clauses?|articles?|art|chapters?|figures?|fig|tables?|appendix|annex|rules?|items?|steps?|paragraphs?"
    r"|OID|kapitel|abschnitt|abbildung|fassung|chapitre|capítulo)\b[^\n]{0,40}\Z|§ ?\Z",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![0-9.])[0-9]{0,3}\.[0-9]+[ ,a-zA-Z-]{1,2}\Z")  # a decimal right before: a line of a drawing
_NETWORKED = re.compile(
    r"\bIPs?\b|\b(?:ip|address|addresses|host|server|ping|logged|login|visitor|client|subnet|gateway|router|dns|firewall|ssh"
    r"|https?|connect\w*|requests?|traffic|attack\w*|block(?:ed|list)?|banned|proxy|network|peer|traceroute|adresse"
    r"|zugriff|anmeldung|dirección|servidor|serveur|indirizzo)\b|адрес|地址|アドレス",
    re.IGNORECASE,
)


def machines(text: str) -> Iterator[Found]:
    """Public IP addresses: none of a private, reserved or documentation range, and no number of a version."""
    if text.count(".") > 2:
        for match in _IPV4.finditer(text):
            octets = tuple(map(int, match[0].split(".")))
            if _is_public(octets) and match[0] not in _PUBLIC and not _is_version(text, match, octets):
                yield Found(match.start(), 0, match.end(), "ip", "an IP address")
    if text.count(":") > 1:
        for match in _IPV6.finditer(text):
            written = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
            if _is_public_v6(written):
                yield Found(match.start(), 0, match.start() + len(written), "ip", "an IP address")


def _is_public(octets: tuple[int, ...]) -> bool:
    """By IANA's registry of special addresses; one that ends in 0 or 255 is a network's."""
    first, second, third, last = octets
    return not (
        first in (0, 10, 127)
        or first >= 224
        or last in (0, 255)
        or (first == 100 and 64 <= second < 128)
        or (first == 169 and second == 254)
        or (first == 172 and 16 <= second < 32)
        or (first == 192 and (second == 168 or (second, third) in ((0, 0), (0, 2), (88, 99))))
        or (first == 198 and (second in (18, 19) or (second, third) == (51, 100)))
        or (first == 203 and (second, third) == (0, 113))
    )


def _is_version(text: str, match: re.Match[str], octets: tuple[int, ...]) -> bool:
    """Whether four numbers with points are a version's or a section's rather than a machine's."""
    before = text[max(0, match.start() - 60) : match.start()]
    if _NETWORKED.search(before) or _NETWORKED.search(text, match.end(), match.end() + 40):
        return False
    return max(octets) < 32 or bool(_VERSIONED.search(before) or _PATH.search(before))


def _is_public_v6(written: str) -> bool:
    try:
        address = IPv6Address(written)
    except AddressValueError:
        return False
    packed = address.packed
    documentation = packed[:4] == b"\x20\x01\x0d\xb8" or packed[:2] == b"\x3f\xff"
    return not documentation and address not in _PUBLIC_V6
