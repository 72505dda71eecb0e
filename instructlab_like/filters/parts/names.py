"""Names of people as texts write them: whole, with initials, the other way round, in capitals, with endings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# What stands behind a name in some languages; only behind long ones, for short ones are parts of other words.
_ENDINGS = (
    "ens|en|es|e|n|a|u|owi|ovi|owa|ow|em|om|ą|ę|y|i|ie|in|ina|ille|lle|lta|ssa|sta|nak|nek|val|vel|hoz|hez|ban|ben"
)
_CYRILLIC = "а|у|ом|ем|е|ы|и|ой|ей|ою|ым|ого|ому"
_POSSESSIVE = "['’]s|['’]|s"
_LONG = 5  # letters of a name that may have more endings than the possessive
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts without blanks around names


@lru_cache(maxsize=256)
def pattern(names: tuple[str, ...], *, parts: bool) -> re.Pattern[str]:
    """Any of the names, the longest first; a group `name` without its ending. `parts`: each word of it, too."""
    written: dict[str, None] = {}
    for name in names:
        written |= dict.fromkeys(_spellings(name, parts=parts))
    longest = sorted(written, key=lambda one: (-len(one), one))
    return re.compile("|".join(map(_one, longest)))


def beginnings(names: tuple[str, ...], *, parts: bool) -> tuple[str, ...]:
    """Words of which one is in every text that has one of the names."""
    told: dict[str, None] = {}
    for name in names:
        words = unicodedata.normalize("NFC", name).split()
        for word in words if parts else words[-1:]:  # the last is in all spellings
            told |= dict.fromkeys((word, word.upper(), unicodedata.normalize("NFD", word)))
    return tuple(told)


def _spellings(name: str, *, parts: bool) -> Iterator[str]:
    words = unicodedata.normalize("NFC", name).split()
    yield " ".join(words)
    if len(words) > 1 and not _UNSPACED.search(name):
        first, last = words[0], words[-1]
        yield f"{last}, {' '.join(words[:-1])}"
        yield f"{first[0]}. {last}"
        if len(words) > 2:
            yield f"{first} {last}"
            yield " ".join((first, *(f"{word[0]}." for word in words[1:-1]), last))
        if parts:
            yield from (word for word in words if len(word) > 3 and word[0].isupper())


def _one(name: str) -> str:
    forms = dict.fromkeys((name, name.upper(), unicodedata.normalize("NFD", name)))
    written = "|".join(r"[\s\u00a0]+".join(map(re.escape, form.split())) for form in forms)
    if _UNSPACED.search(name):
        return f"(?:{written})"
    endings = _POSSESSIVE
    if len(name) >= _LONG:
        endings = f"{_POSSESSIVE}|{_ENDINGS}|{_CYRILLIC}"
    return rf"(?<!\w)(?:{written})(?=(?:{endings})?(?!\w))"
