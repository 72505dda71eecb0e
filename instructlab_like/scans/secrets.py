"""Keys, tokens and passwords, by the shapes that their issuers document and by what they are called.

What stands for a secret in documentation (`<key>`, `…`, all x, EXAMPLE) is none. Whether one still works is not asked.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from itertools import islice

from instructlab_like.scans.found import HINTED, MOST, SURE, Found, apart
from instructlab_like.scans.marks import either, folded
from instructlab_like.scans.shapes import FURTHER_SHAPES, SHAPES, Shape, entropy


def told(text: str) -> list[Found]:
    """What a known shape, or its name and its look, tell to be a secret; of two that overlap the first."""
    words, called = _long_words(text), _is_called(text)
    if not (words or called or "://" in text):
        return []
    return apart(
        (
            *islice(_shaped(text, words, called=called), MOST),
            *(islice(_assigned(text), MOST) if called else ()),
        )
    )


def usable(text: str) -> list[Found]:
    """What a reader could use: as told, and shorter passwords, newer tokens; but nothing out of a handbook."""
    words, called = _long_words(text), _is_called(text)
    if not (words or called or "://" in text):
        return []
    found = list(islice(_shaped(text, words, called=called), MOST))
    if words:
        found += islice(_shaped_further(text, words), MOST)
    if called:
        found += islice(_assigned(text), MOST)
        found += islice(_short(text), MOST)
        found += islice(_long(text) if words else (), MOST)
    if "asic " in text or "curl" in text:
        found += islice(_sent(text), MOST)
    return apart(one for one in found if not _is_documented(text, one)) if found else found


# --- what most texts do not have --------------------------------------------------------------------------------


_RUN = b"x" * 15  # characters of which at least a token is made, or a part of it
_RUNS = bytes(
    120 if chr(sign).isalnum() or sign in b"_-" else 32 if sign in b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f" else 46
    for sign in range(128)
) + bytes(128)
_FOREIGN = ("kennw", "contrase", "hasło", "пароль", "密码", "密碼", "パスワード", "비밀번호")


def _long_words(text: str) -> str:
    """The words in which there is a run of letters and digits long enough for a token, each on a line."""
    runs = text.encode("ascii", "replace").translate(_RUNS)
    if _RUN not in runs and "eyJ" not in text:
        return ""
    return "\n".join([word for word in text.split() if len(word) > 12])


def _is_called(text: str) -> bool:
    """Whether there is a word for what is kept secret."""
    small = text.lower()
    # One after the other: a loop over them takes half as long again.
    if "key" in small or "pass" in small or "oken" in small or "ecret" in small or "pwd" in small or "bearer" in small:
        return True
    if "redential" in small or "senha" in small:
        return True
    return not text.isascii() and any(mark in small for mark in _FOREIGN)


# --- known shapes -----------------------------------------------------------------------------------------------


def _shaped(text: str, words: str, *, called: bool) -> Iterator[Found]:
    marked = bool(words) and bool(_MARKED.search(words))
    url = "@" in text and "://" in text
    if marked or called or url:
        for rank, shape in enumerate(SHAPES):
            if shape.apart:
                looked_for = (called or marked) and any(mark in text for mark in shape.marks)
            elif shape.marks == _URL:
                looked_for = url
            else:
                looked_for = marked and any(mark in words for mark in shape.marks)
            if looked_for:
                yield from _matches(text, shape, rank, SURE)


def _shaped_further(text: str, words: str) -> Iterator[Found]:
    if words and _MARKED_FURTHER.search(words):
        for rank, shape in enumerate(FURTHER_SHAPES, start=len(SHAPES) + 1):
            if any(mark in words for mark in shape.marks):
                yield from _matches(text, shape, rank, HINTED)


def _matches(text: str, shape: Shape, rank: int, doubt: int) -> Iterator[Found]:
    for match in shape.pattern.finditer(text):
        if not is_placeholder(match["secret"]) and shape.holds(match):
            start = match.start("at" if "at" in shape.pattern.groupindex else "secret")
            yield Found(start, rank, match.end("secret"), "secret", shape.name, doubt, match["secret"])


_URL = ("://",)
_LAST = len(SHAPES) + len(FURTHER_SHAPES) + 1  # rank of what is told by its name alone


def _any_mark(shapes: tuple[Shape, ...]) -> re.Pattern[str]:
    """Any mark of a shape that is part of its long word."""
    marks = {mark for shape in shapes if shape.marks != _URL for mark in shape.marks if not shape.apart}
    long = [mark for mark in marks if len(mark) > 2]
    short = [f"{mark}[0-9a-f]{{8}}" for mark in sorted(marks.difference(long))]
    return re.compile("|".join((either(long), *short)))


_MARKED, _MARKED_FURTHER = _any_mark(SHAPES), _any_mark(FURTHER_SHAPES)


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
    small = folded(text)
    if not any(mark in small for mark in _MARKS):
        return
    past = 0
    for named in _NAMED.finditer(small):
        match = _VALUE.match(text, named.end()) if named.start() >= past else None
        if not match:
            continue
        if len(match["secret"]) > 60:
            past = match.end()  # a name in so long a value is none
        bare = named[0] == "bearer" or text.startswith("--", max(0, named.start() - 2))
        if match["sign"] or bare:
            secret = match["secret"].rstrip(".,:;)]}")
            if _is_random(secret) and not _CODE.search(secret) and not is_placeholder(match["secret"]):
                start = match.start("secret")
                rank, end = len(SHAPES), start + len(secret)
                yield Found(start, rank, end, "secret", "a password or key", hidden=secret)


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
        return entropy(value) >= 3
    return len(value) >= 16 and digits > 2 and entropy(value) >= 3.3


_PLACEHOLDER = re.compile(
    r"example|placeholder|change[_-]?me|redacted|your[_-]|your(?:key|token|secret|password)|insert[_-]"
    r"|x{4}|\*{3}|\.{3}|…|[<>]|0{12}|\{\{|\$\{",
    re.IGNORECASE,
)


def is_placeholder(secret: str) -> bool:
    return bool(_PLACEHOLDER.search(secret))


# --- passwords that people make up ------------------------------------------------------------------------------


_PASSWORD = re.compile(
    "passw(?:or[dt]|d)|passcode|passphrase|pass(?=[\"'`]? ?[:=])|pwd|kennwort|contrase[ñn]a|senha|mot de passe"
    "|hasło|пароль|密[码碼]|パスワード|비밀번호"
)
_CHOSEN = re.compile(
    r"[\"'`*_]{0,3} ?(?:\([^()\n]{0,20}\) ?)?"
    r"(?P<sign>=>|->|→|:=|[:=：]|(?:(?:is|was|to|ist|lautet|est|es|é|è|jest)\b|是|为"
    r"|は) ?[:=：]?)[ \t]{0,4}(?:\n[ \t]{0,8})?"
    r"(?P<open>[\"'`“‘«「*]{0,2})(?P<secret>[^\s\"'`“”‘’«»「」<>,;]{4,64})(?P<close>[\"'`”’»」]?)",
    re.IGNORECASE,
)
# Words that examples are made of; with digits and signs around them they are no password that anybody has.
_STEMS = re.compile(
    r"my|your|new|old|the|an?|some|this|is|user(?:name)?|admin(?:istrator)?|root|test(?:ing|er)?|demo|sample"
    r"|example|dummy|fake|temp"
    r"|default|change|me|pass(?:word|wd|phrase|code|wort)?|p[a@4][s$5]{2}w[o0]rd|pwd|pw|secret|s3cr3t|secure|safe"
    r"|strong|weak|simple|plain"
    r"|complex|valid|invalid|wrong|correct|incorrect|hash(?:ed)?|encrypted|value|string|str|text|field|input|key"
    r"|api|db|database|mysql"
    r"|postgres(?:ql)?|mongo|redis|guest|foo|bar|baz|qux|hello|world|abc(?:d(?:ef)?)?|xyz|qwerty|asdf|letmein|login"
    r"|account|super|long|random"
    r"|none|null|true|false|john|jane|doe|alice|bob|smith|confirm(?:ation)?|reset|token|auth|credential|min|max"
    r"|length|chars?|sha|md|bcrypt"
    r"|utf|base|varchar|char|int|v|at|least|level|type|number|num|no",
    re.IGNORECASE,
)
_SEQUENCES = re.compile(r"0?1234567890?|12345(?:67?8?9?)?|1234|123|321|4321|000+|111+|999+|20[0-3]\d|19\d\d|\d{1,2}")
_PATHS = re.compile(
    r"\A(?:[A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+\Z|\A[./~]|\\|://|@[\w-]+\.|\A[A-Z]{2,}(?:_[A-Z0-9]+)+\Z"
    r"|\A[a-z]+(?:[A-Z][a-z]+)+\d?\Z"
)
_REFERENCE = re.compile(r"\A\$|\A%\w+%|\$\{|\{\{|[(\[]|://")
_PASSPHRASE = re.compile(r"[a-z]{3,12}(?:-[a-z]{3,12}){3,}")
_SIGNS = frozenset("!@#$%^&*+?~|")


def _short(text: str) -> Iterator[Found]:
    """Values of a password, which may be short, when they are neither a word, a number, code nor an example's."""
    for named in _PASSWORD.finditer(folded(text)):
        match = _CHOSEN.match(text, named.end())
        if not match or (match["open"].strip("*") and not match["close"]):  # a quotation that goes on: a sentence
            continue
        if named.start() and text[named.start() - 1].islower() and text[named.start()].islower():
            continue  # the end of another word
        written = match["secret"].rstrip(".,:;)]}*。")
        said = match["sign"][0].isalpha()
        if _is_made_up(written, strict=said) and not _REFERENCE.search(written) and not is_placeholder(match["secret"]):
            start = match.start("secret")
            yield Found(start, _LAST, start + len(written), "secret", "a password", HINTED, written)


def _is_made_up(value: str, *, strict: bool) -> bool:
    """Whether a value is what somebody chose: letters with digits or signs in them, and no word that examples use."""
    letters = sum(map(str.isalpha, value))
    digits = sum(map(str.isdigit, value))
    signs = sum(sign in _SIGNS for sign in value[:-1])
    if _PATHS.search(value) or is_example(value):
        return False
    if letters >= 2 and digits and len(value) >= 6:
        return True
    if letters >= 3 and signs and len(value) >= 6:
        return not strict or signs > 1
    return bool(_PASSPHRASE.fullmatch(value))


def is_example(value: str) -> bool:
    """Whether a value is put together of the words, and runs of digits, that examples are made of."""
    rest = value
    for word in re.findall(r"[A-Za-z@$0-9]+", value):
        if _STEMS.fullmatch(word):
            rest = rest.replace(word, "", 1)
            continue
        bare = _peeled(word)
        rest = rest.replace(word, bare, 1)
    return not any(map(str.isalnum, rest))


def _peeled(word: str) -> str:
    """What is left of a run of letters and digits when stems are taken off its beginning and numbers off its end."""
    while word:
        number = _SEQUENCES.match(word)
        stems = [match for length in range(len(word), 1, -1) if (match := _STEMS.fullmatch(word, 0, length))]
        if stems:
            word = word[stems[0].end() :]
        elif number and (number.end() == len(word) or not word[number.end()].isdigit()):
            word = word[number.end() :]
        else:
            return word
    return word


_KEY = re.compile(r"(?:key|secret|token)[\"'`]{0,2} ?(?:=>|:=|[:=]) ?[\"'`]?(?P<secret>[a-z0-9]{20,64})(?![a-z0-9_-])")


def _long(text: str) -> Iterator[Found]:
    """Values of a key or token that are long and either hexadecimal or in capitals and small letters by turns."""
    for match in _KEY.finditer(folded(text)):
        start, end = match.span("secret")
        secret = text[start:end]
        turns = len(re.findall("[a-z][A-Z]|[A-Z][a-z]|[0-9][A-Za-z]|[A-Za-z][0-9]", secret))
        if turns >= 6 and any(map(str.isdigit, secret)) and not is_placeholder(secret):
            yield Found(start, _LAST, end, "secret", "a key or token", HINTED, secret)


# --- credentials of a request -----------------------------------------------------------------------------------


_BASIC = re.compile(r"\bBasic (?P<secret>[A-Za-z0-9+/]{8,200}={0,2})(?![A-Za-z0-9+/=])")
_USER = re.compile(r"\bcurl\b[^\n]{0,120}?(?:-u|--user)[ =][\"']?[\w.@+-]{1,64}:(?P<secret>[^\s\"'<>]{4,64})")


def _sent(text: str) -> Iterator[Found]:
    """A name and a password, in a header (RFC 7617) or on a command line."""
    for match in _BASIC.finditer(text):
        password = _decoded(match["secret"]).partition(":")[2]
        if password and not is_example(password) and not is_placeholder(password):
            rank = _LAST
            yield Found(
                match.start("secret"), rank, match.end(), "secret", "a password in a header", HINTED, match["secret"]
            )
    for match in _USER.finditer(text):
        if (
            not is_example(match["secret"])
            and not is_placeholder(match["secret"])
            and not _CODE.search(match["secret"])
        ):
            start = match.start("secret")
            yield Found(start, _LAST, match.end(), "secret", "a password", HINTED, match["secret"])


def _decoded(written: str) -> str:
    try:
        plain = b64decode(written + "=" * (-len(written) % 4)).decode("ascii")
    except ValueError:
        return ""
    return plain if plain.isprintable() and ":" in plain else ""


# --- out of handbooks -------------------------------------------------------------------------------------------


# Ends of keys that their issuers print in their documentation.
_DOCUMENTED = (
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", "TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ", "2C4vA9h3yJ8",
    "C7e42F292c6912E7710c838347Ae178B4a", "4eC39HqLyjWDarjtT1zdp7dc",
)  # fmt: skip
_URL_USER = re.compile(r"://(?P<user>[^\s/:@]{0,64}):\Z")


def _is_documented(text: str, found: Found) -> bool:
    secret = found.hidden
    if secret.endswith(_DOCUMENTED) or len(set(secret)) < 4:
        return True
    if found.rank == len(SHAPES) and is_example(secret):
        return True
    if text.startswith("@", found.end):
        url = _URL_USER.search(text, max(0, found.start - 80), found.start)
        return url is not None and (secret.lower() == url["user"].lower() or is_example(secret))
    return False
