"""What a text claims, as far as it can be read off the surface: its numbers, its names, its content words.

Three rooms compare texts by these: filters (is the answer in the passage, is this the same question), checking and
evaluation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from instructlab_like.records import normalise

UNITS_TEXT = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
TENS_TEXT = "twenty thirty forty fifty sixty seventy eighty ninety"
ORDINALS_TEXT = """zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"""
UNITS = {word: value for value, word in enumerate(UNITS_TEXT.split())}
TENS = {word: 10 * value for value, word in enumerate(TENS_TEXT.split(), start=2)}
SMALL = UNITS | TENS
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}  # powers of ten
ORDINALS = {word: value for value, word in enumerate(ORDINALS_TEXT.split())} | {"once": 1, "twice": 2, "both": 2}

# Function words of three letters and more, and yes and no; shorter words are never content words.
STOP_TEXT = """about above after again against all also although always among and another any are because been
before being below between both but called can cannot could did does doing done down during each either else even
ever every few for from further had has have having hence her here hers herself him himself his how however
including into its itself just known less like many may might more most much must named neither nor not now off
often once ones only onto other others our ours out over own per quite rather same shall she should since some such
than that the their theirs them themselves then there therefore these they this those though through thus too toward
towards under unless until upon very was well were what when where whereas whether which while who whom whose why
will with within without would yes yet you your yours"""
STOP_WORDS = frozenset(STOP_TEXT.split())

# In order: 1,200 or 1 200 or 1'200 (with decimals), 1.200.000, 3.5 or 3,5 or 12.
FIGURE = re.compile(
    r"(?<![\w.,])(?:(?P<grouped>\d{1,3}(?:[, '’]\d{3})+(?:\.\d+)?)(?![\d])"
    r"|(?P<dotted>\d{1,3}(?:\.\d{3}){2,})(?![\d])"
    r"|(?P<single>\d+(?:[.,]\d+)?))"
)
TOKEN = re.compile(rf"{FIGURE.pattern}|(?P<word>[^\W\d_]+)|(?P<mark>[^\w\s-])")
LIST_NUMBER = re.compile(r"^[ \t]*\d{1,3}[.)][ \t]+", re.MULTILINE)
WORD = re.compile(r"[^\W_]+")
UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿]+")  # scripts that put no spaces between words: kana and Han
SENTENCE_END = frozenset(".!?:;\n-–—•*#>|…。！？")
OPENING = " \t\"'“”‘’«»„([{_"


REMEMBERED = 64  # texts: filters run one after the other over the same strings


@lru_cache(maxsize=REMEMBERED)
def numbers(text: str, *, ordinals: bool = False) -> frozenset[str]:
    """The numbers of a text in one spelling: `1,200`, `1200` and `twelve hundred` are all "1200".

    Numbering of list lines does not count, nor do digits inside a word (`H2O`). With `ordinals`, `first`, `twice` and
    a bare `one` count too: right where numbers are looked up, wrong where they are claimed ("one of the largest").
    Number words are English.
    """
    return frozenset(_numbers(LIST_NUMBER.sub("", unicodedata.normalize("NFKC", text)), ordinals))


def _numbers(text: str, ordinals: bool) -> Iterator[str]:
    run: list[str | Decimal] = []  # neighbouring tokens that make one number: "2.5", "million"
    for token in TOKEN.finditer(text):
        word = (token["word"] or "").casefold()
        if word == "and" and run and run[-1] in SCALES:
            continue
        if word in SMALL or (word in SCALES and run):
            if run and not _joins(run[-1], word):
                yield from _value(run, ordinals)
                run = []
            run.append(word)
            continue
        yield from _value(run, ordinals)
        run = []
        if not token["word"] and not token["mark"]:
            run = [_figure(token)]
        elif ordinals and word in ORDINALS:
            yield str(ORDINALS[word])
    yield from _value(run, ordinals)


def _joins(last: str | Decimal, word: str) -> bool:
    """Whether `word` continues the number that ends in `last`: "twenty" "one" does, "two" "three" does not."""
    if word in SCALES:
        return True
    return last in SCALES or (last in TENS and 0 < SMALL[word] < 10)


def _value(run: list[str | Decimal], ordinals: bool) -> Iterator[str]:
    if not run or (run == ["one"] and not ordinals):
        return
    total, current = Decimal(0), Decimal(0)
    for part in run:
        if isinstance(part, Decimal):
            current += part
        elif part in SMALL:
            current += SMALL[part]
        elif part == "hundred":
            current *= 100
        else:
            total, current = total + current.scaleb(SCALES[part]), Decimal(0)
    yield spelled(total + current)


def _figure(token: re.Match[str]) -> Decimal:
    if token["grouped"]:
        return Decimal(re.sub(r"[, '’]", "", token["grouped"]))
    if token["dotted"]:
        return Decimal(token["dotted"].replace(".", ""))
    return Decimal(token["single"].replace(",", "."))


def spelled(value: Decimal) -> str:
    """`value` without exponent, leading or trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=REMEMBERED)
def names(text: str) -> frozenset[str]:
    """Capitalised words that do not open a sentence, case folded.

    In a language that capitalises its nouns these are the nouns. What opens a sentence may be a name, but its capital
    does not tell.
    """
    found = set()
    for word in WORD.finditer(text):
        before = text[max(0, word.start() - 12) : word.start()].rstrip(OPENING)
        inside = before and before[-1] not in SENTENCE_END
        if inside and word[0][0].isupper() and len(word[0]) > 1:
            found.add(word[0].casefold())
    return frozenset(found)


@lru_cache(maxsize=REMEMBERED)
def content_words(text: str) -> tuple[str, ...]:
    """The words that carry meaning, case folded, in order: three letters and more, no function words, no numbers.

    Runs of kana and Han are cut into overlapping pairs of characters, since no space marks their words.
    """
    found: list[str] = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        for run in UNSPACED.findall(word):
            found += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
        found += [
            rest
            for rest in UNSPACED.split(word)
            if len(rest) > 2 and rest not in STOP_WORDS and rest not in SMALL and not rest[0].isdigit()
        ]
    return tuple(found)


class Vocabulary:
    """The words of a text, and the beginnings of its longer ones."""

    def __init__(self, text: str) -> None:
        self.beginnings = {
            word[:end] for word in content_words(text) for end in range(min(4, len(word)), len(word) + 1)
        }
        self.words = frozenset(normalise(text).split()) | frozenset(content_words(text))

    def __contains__(self, word: str) -> bool:
        return word in self.words or word[: max(4, -(-2 * len(word) // 3))] in self.beginnings


def listed(words: list[str]) -> str:
    shown = list(dict.fromkeys(words))
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
