"""Keys, tokens and passwords, by the shapes that their issuers document; they are shown by their first characters only.

What stands for a secret in documentation (`<key>`, `…`, all x, EXAMPLE) is none. Whether one still works is not asked.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from instructlab_like.checking.hits import COUNTED, Hit, found_in, is_looked_through, masked, others, sheets
from instructlab_like.checking.subject import Subject
from instructlab_like.taxonomy.findings import Finding

_FIX = "remove it, and revoke it where it was issued: it stays in the history of every copy"


def findings(subject: Subject) -> Iterable[Finding]:
    for page in filter(is_looked_through, (*sheets(subject), *others(subject))):
        yield from found_in(page, look)


def look(text: str) -> Iterator[Hit]:
    """The secrets in a text of several lines; of two that overlap the first, or the one whose shape says more."""
    past = 0
    found = (*islice(_shaped(text), COUNTED), *islice(_assigned(text), COUNTED))
    for start, _, end, name, secret in sorted(found):
        if start >= past:
            past = end
            yield Hit(start, end, "secret", f"this looks like {name}: {masked(secret)}", _FIX)


def hidden(text: str) -> str:
    """The text with every secret in it masked."""
    for hit in reversed(list(look(text))):
        text = text[: hit.start] + masked(text[hit.start : hit.end]) + text[hit.end :]
    return text


Found = tuple[int, int, int, str, str]  # start, rank among those with this start, end, name, the secret itself


# --- known shapes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    marks: tuple[str, ...]  # one of them is in every text with such a secret
    pattern: re.Pattern[str]  # with a group `secret`; `at`, if there is one, is where it is said to stand
    holds: Callable[[re.Match[str]], bool] = lambda _: True
    length: int = 0  # of the word that a secret is at least part of
    apart: bool = False  # whether the mark may stand in another word


def _shaped(text: str) -> Iterator[Found]:
    # Few words of a text are long, and to look for all marks among them tells most texts.
    words = [word for word in text.split() if len(word) >= 13]
    longest, joined = max(map(len, words), default=0), "\n".join(words)
    for rank, shape in enumerate(_SHAPES):
        if longest >= shape.length and any(mark in (text if shape.apart else joined) for mark in shape.marks):
            for match in shape.pattern.finditer(text):
                if not _is_placeholder(match["secret"]) and shape.holds(match):
                    start = match.start("at" if "at" in shape.pattern.groupindex else "secret")
                    yield start, rank, match.end("secret"), shape.name, match["secret"]


def _token(name: str, marks: tuple[str, ...], rest: str) -> Shape:
    """A token that begins with one of the marks and stands alone."""
    begin = "|".join(map(re.escape, marks))
    return Shape(name, marks, re.compile(rf"(?<![A-Za-z0-9_])(?P<secret>(?:{begin}){rest})(?![A-Za-z0-9_])"))


def _is_jwt(match: re.Match[str]) -> bool:
    header = match["secret"].partition(".")[0]
    try:
        told = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "alg" in told


def _is_aws_secret(match: re.Match[str]) -> bool:
    """Forty characters of base64 are a secret only beside what names them one."""
    near = match.string[max(0, match.start() - 300) : match.end() + 300]
    named = re.search(r"(?:AKIA|ASIA)[A-Z0-9]{16}|aws.{0,12}(?:secret|key)|secret.{0,3}access", near, re.IGNORECASE)
    secret = match["secret"]
    classes = (str.islower, str.isupper, str.isdigit)
    return bool(named) and all(any(map(kind, secret)) for kind in classes) and _entropy(secret) >= 4


def _is_named_key(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 60) : match.start()]
    return bool(re.search(r"twilio|sid\b|key|token|account|auth", before, re.IGNORECASE))


def _is_password(match: re.Match[str]) -> bool:
    return not _STAND_INS.fullmatch(match["secret"]) and not re.search(r"[{}]|\A[$%]", match["secret"])


def _is_not_quoted(match: re.Match[str]) -> bool:
    """A text about the format quotes the line, or says that a file begins with it."""
    before, after = (
        match.string[max(0, match.start() - 40) : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    quoted = before[-1:] in tuple("`'\"“‘«") and after in tuple("`'\"”’»")
    return not quoted and not re.search(
        r"\b(?:begin|start|open|head|mark|line)[a-z]*\b[^.\n]{0,20}\Z", before, re.IGNORECASE
    )


_STAND_INS = re.compile(
    "anonymous|api_?key|guest|key|(?:my_?|your_?)?pass(?:word|wd)?|pwd?|secret|token|user", re.IGNORECASE
)
_BASE64 = "[A-Za-z0-9+/]"
_BREAK = r"(?:\\[nr]|[\s#>|\"',*])"  # part of what is between the lines of a key in a comment, a quotation or JSON
_BODY = rf"{_BREAK}*(?P<secret>{_BASE64}{{16}}[A-Za-z0-9+/=]*(?:{_BREAK}+[A-Za-z0-9+/=]{{16,}})*)"

_SHAPES = (
    Shape(
        "a private key",
        ("PRIVATE KEY",),
        re.compile(
            r"(?P<at>-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)"
            rf"(?:{_BREAK}*[A-Za-z][A-Za-z-]{{0,30}}: [^\n]{{0,200}}\n){{0,6}}{_BODY}"
        ),
        length=16,
        apart=True,
    ),
    Shape(
        "the beginning of a private key",
        ("PRIVATE KEY",),
        re.compile(
            r"(?P<secret>-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)(?!\s*(?:\.\.|…|[<\[*]))"
        ),
        _is_not_quoted,
        apart=True,
    ),
    Shape(
        "a private key",
        ("PuTTY-User-Key-File",),
        re.compile(rf"(?P<at>Private-Lines: \d{{1,4}}){_BODY}"),
    ),
    Shape(
        "an AWS access key id",
        ("AKIA", "ASIA"),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    ),
    Shape(
        "an AWS secret access key",
        ("AKIA", "ASIA", "aws", "AWS", "SecretAccessKey"),
        re.compile(r"(?<![A-Za-z0-9/+])(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
        _is_aws_secret,
        length=40,
        apart=True,
    ),
    _token("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{30,255}"),
    _token("a GitHub token", ("github_pat_",), "[A-Za-z0-9_]{36,255}"),
    _token("a GitLab token", ("glpat-", "gldt-", "glrt-"), "[A-Za-z0-9_-]{20,255}(?:\\.[a-z0-9]{2}\\.[a-z0-9]{9})?"),
    _token("a Slack token", ("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"), "[A-Za-z0-9-]{10,255}"),
    Shape(
        "a Slack webhook",
        ("hooks.slack.com/",),
        re.compile(r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>T\w{6,16}/[AB]\w{6,16}/[A-Za-z0-9/]{16,64})"),
    ),
    _token("a Stripe key", ("sk_live_", "rk_live_"), "[A-Za-z0-9]{16,255}"),
    _token("an Anthropic key", ("sk-ant-",), "[A-Za-z0-9_-]{20,255}"),
    _token("an OpenAI key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), "[A-Za-z0-9_-]{20,255}"),
    _token("an OpenAI key", ("sk-",), "[A-Za-z0-9]{32,64}"),
    _token("a Hugging Face token", ("hf_",), "[A-Za-z0-9]{30,64}"),
    _token("a Groq key", ("gsk_",), "[A-Za-z0-9]{40,64}"),
    _token("a Google API key", ("AIza",), "[A-Za-z0-9_-]{35}"),
    _token("a Google client secret", ("GOCSPX-",), "[A-Za-z0-9_-]{28}"),
    _token("an npm token", ("npm_",), "[A-Za-z0-9]{36}"),
    _token("a PyPI token", ("pypi-AgEI", "pypi-AgEN"), "[A-Za-z0-9_-]{20,255}"),
    _token("a Docker token", ("dckr_pat_",), "[A-Za-z0-9_-]{20,64}"),
    _token("a DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{64}"),
    _token("a Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9a-fA-F]{32}"),
    _token("a Vault token", ("hvs.", "hvb."), "[A-Za-z0-9_-]{24,255}"),
    _token("an age key", ("AGE-SECRET-KEY-1",), "[A-Z0-9]{50,60}"),
    _token("a SendGrid key", ("SG.",), "[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{32,64}"),
    Shape(
        "a Telegram bot token",
        (":AA",),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])"),
    ),
    Shape(
        "a Twilio key",
        ("SK", "AC"),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>(?:SK|AC)[0-9a-f]{32})(?![A-Za-z0-9])"),
        _is_named_key,
    ),
    Shape(
        "a storage account key",
        ("AccountKey=",),
        re.compile(rf"AccountKey=(?P<secret>{_BASE64}{{86}}==)"),
    ),
    Shape(
        "a JSON web token",
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_.-])(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,})"),
        _is_jwt,
    ),
    Shape(
        "a password in a URL",
        ("://",),
        re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<secret>[^\s/@\"'<>]{3,128})@(?=[\w\[])"),
        _is_password,
    ),
)


# --- values of what is called a secret --------------------------------------------------------------------------


_NAMES = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "api_key", "api-key", "api key",
    "access_key", "access key", "accesskey", "private_key", "auth_key", "authkey", "credential", "bearer",
)  # fmt: skip
_MARKS = (  # one of them is in each of the names
    "passw", "passph", "pwd", "secret", "token", "_key", "ikey", "skey", "hkey", "i-key", "i key", "s key", "bearer",
    "credential",
)  # fmt: skip
_NAMED = re.compile("|".join(map(re.escape, _NAMES)))
_VALUE = re.compile(
    r"(?:s|key|value|hash)?(?:[A-Z0-9_.-][\w.-]{0,20})?[\"'`\])]{0,2}\s{0,4}(?P<sign>=>|:=|[:=]|\bis\b|)\s{0,20}"
    r"[\"'`]?(?P<secret>[^\s\"'`<>,;]{8,256})"
)
_CODE = re.compile(r"\A(?:\$|%)|\$\{|\{\{|[(\[]|://")


def _assigned(text: str) -> Iterator[Found]:
    folded = text.lower()
    if not any(mark in folded for mark in _MARKS):
        return
    if len(folded) != len(text):  # some capitals have two small letters
        folded = re.sub("[A-Z]", lambda capital: capital[0].lower(), text)
    past = 0
    for named in _NAMED.finditer(folded):
        match = _VALUE.match(text, named.end()) if named.start() >= past else None
        if not match:
            continue
        if len(match["secret"]) > 60:
            past = match.end()  # a name in so long a value is none
        bare = named[0] == "bearer" or text.startswith("--", max(0, named.start() - 2))
        if match["sign"] or bare:
            secret = match["secret"].rstrip(".,:;)]}")
            if _is_random(secret) and not _CODE.search(secret) and not _is_placeholder(match["secret"]):
                start = match.start("secret")
                yield start, len(_SHAPES), start + len(secret), "a password or key", secret


def _is_random(value: str) -> bool:
    """Whether a value is too varied for a word, a name or a date."""
    kinds = (str.islower, str.isupper, str.isdigit)
    small, large, digits = (sum(map(kind, value)) for kind in kinds)
    signs = sum(not sign.isalnum() and sign not in "-_./:" for sign in value)
    classes = sum(map(bool, (small, large, digits, signs)))
    longest = max(map(len, re.findall("[a-z]+|[A-Z]+", value)), default=0)
    if not digits or not small + large or len(value) < 8 or longest > 7:
        return False
    if classes > 2:
        return _entropy(value) >= 3
    return len(value) >= 16 and digits > 2 and _entropy(value) >= 3.3


def _entropy(text: str) -> float:
    """Bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


_PLACEHOLDER = re.compile(
    r"example|placeholder|change[_-]?me|redacted|your[_-]|your(?:key|token|secret|password)|insert[_-]"
    r"|x{4}|\*{3}|\.{3}|…|[<>]|0{12}|\{\{|\$\{",
    re.IGNORECASE,
)


def _is_placeholder(secret: str) -> bool:
    return bool(_PLACEHOLDER.search(secret))
