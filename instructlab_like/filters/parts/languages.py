"""Which language a text is in, by its letters and its function words: enough to say that it is not in a given one.

Names, code and formulas have no language, and a text with few function words is in none that is known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Set
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
HEADING = re.compile(r"\[([a-z+]+)\](.*)")
NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,400}`|\$[^$\n]{1,200}\$|https?://\S+|[\w.+-]{1,64}@[\w.-]+|</?\w[^<>\n]{0,200}>|\\\w+",
    re.DOTALL,
)
CODE = re.compile(r"[{}\[\];=<>_|\\/+*#@]")
CODE_SHARE = 0.04  # of signs of code, from which on a text is not judged
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
WORD = re.compile("[\u0900-\u0963\u0970-\u097f]+|[^\\W\\d_]+")  # Devanagari with its vowel signs
# Scripts that tell the language, and how many of their characters make as much as a word.
HAN = re.compile("[\u3400-\u9fff]")
TELLING = (
    ("ko", re.compile("[\uac00-\ud7af]"), 2),
    ("th", re.compile("[\u0e00-\u0e7f]"), 4),
    ("el", re.compile("[\u0370-\u03ff]"), 5),
    ("he", re.compile("[\u0590-\u05ff]"), 4),
    ("hy", re.compile("[\u0530-\u058f]"), 5),
    ("ka", re.compile("[\u10a0-\u10ff]"), 5),
    ("bn", re.compile("[\u0980-\u09ff]"), 4),
    ("ta", re.compile("[\u0b80-\u0bff]"), 4),
    ("te", re.compile("[\u0c00-\u0c7f]"), 4),
)
EITHER = "zh or ja"
KANA = re.compile("[\u3041-\u30ff]")
# Scripts of several languages: their function words tell which.
SHARED = (
    ("cyrillic", re.compile("[\u0400-\u052f]"), 5),
    ("arabic", re.compile("[\u0600-\u077f]"), 4),
    ("devanagari", re.compile("[\u0900-\u097f]"), 4),
)
SCRIPTS = {
    **dict.fromkeys(("ru", "uk", "bg+mk", "sr"), "cyrillic"),
    **dict.fromkeys(("ar", "fa", "ur"), "arabic"),
    "hi+mr+ne": "devanagari",
    **dict.fromkeys(("zh", "ja", EITHER, *(language for language, _, _ in TELLING)), "telling"),
}
MOST_LETTERS = 3  # alone, in a text that is no formula and no list of options
# Letters that tell languages of one script apart, those first that fewest have.
LETTERS = (
    ("uk", re.compile("[іїєґ]", re.IGNORECASE)),
    ("ru", re.compile("[ыэё]", re.IGNORECASE)),
    ("sr", re.compile("[љњћђџ]", re.IGNORECASE)),
    ("bg+mk", re.compile("[ѓќѕ]", re.IGNORECASE)),
    ("ur", re.compile("[ٹڈڑںے]")),
    ("fa", re.compile("[پچژگ]")),
    ("ar", re.compile("[ةى]")),
    ("hi+mr+ne", re.compile("[\u0900-\u097f]")),
)
NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian",
    "nl": "Dutch", "sv": "Swedish", "da+nb": "Danish or Norwegian", "fi": "Finnish", "et": "Estonian", "pl": "Polish",
    "cs+sk": "Czech or Slovak", "hr+sr+bs+sl": "Croatian, Serbian, Bosnian or Slovene", "ro": "Romanian",
    "hu": "Hungarian", "tr": "Turkish", "ca": "Catalan", "id+ms": "Indonesian or Malay", "vi": "Vietnamese",
    "sw": "Swahili", "lt": "Lithuanian", "lv": "Latvian", "sq": "Albanian", "tl": "Tagalog", "ru": "Russian",
    "uk": "Ukrainian", "bg+mk": "Bulgarian or Macedonian", "sr": "Serbian", "ar": "Arabic", "fa": "Persian",
    "ur": "Urdu", "hi+mr+ne": "Hindi, Marathi or Nepali", "zh": "Chinese", "ja": "Japanese", "ko": "Korean",
    "th": "Thai", "el": "Greek", "he": "Hebrew", "hy": "Armenian", "ka": "Georgian", "bn": "Bengali", "ta": "Tamil",
    "te": "Telugu", "cyrillic": "Cyrillic script", "arabic": "Arabic script", "devanagari": "Devanagari",
    "latin": "Latin script",
}  # fmt: skip
FEWEST = 3  # function words of another language
SHARE = 0.15  # of them, of all words
RATIO = 3  # of them, to those of the language that is expected


NONE: Mapping[str, int] = {}


class Spoken(NamedTuple):
    """How many different words of a text speak for which language; for a script that tells, all of them."""

    words: int
    counts: Mapping[str, float]
    script: str  # "latin", a script that languages share, or the language that a script tells
    known: tuple[tuple[str, ...], ...] = ()  # of each function word the languages that have it
    foreign: Mapping[str, int] = NONE  # words with a letter that a language does not have
    mixed: bool = False  # letters of another script are among the Latin ones, in some number


EAST = {EITHER: ("zh", "ja")}


class Language(NamedTuple):
    name: str
    words: frozenset[str]
    letters: frozenset[str]  # beyond a to z


@cache
def languages() -> tuple[Language, ...]:
    """The languages of `function_words.txt`."""
    found: list[Language] = []
    for line in (FOLDER / "function_words.txt").read_text(encoding="utf-8").splitlines():
        heading = HEADING.fullmatch(line)
        if heading:
            found.append(Language(heading[1], frozenset(), frozenset(heading[2].strip())))
        elif line and not line.startswith("#"):
            found[-1] = found[-1]._replace(words=found[-1].words | frozenset(line.split()))
    return tuple(found)


@cache
def known() -> frozenset[str]:
    """The names of all languages that can be told."""
    return frozenset(NAMES) - {"latin", *(script for script, _, _ in SHARED)}


def named(told: str) -> str:
    """The language that somebody means by its name here or in English, or by one of a group; "" for none."""
    wanted = told.strip().casefold()
    for name, english in NAMES.items():
        if name in known() and wanted in (name, *name.split("+"), *re.split(r", | or ", english.casefold())):
            return name
    return ""


@cache
def languages_of_words() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language in languages():
        for word in language.words:
            found.setdefault(word, []).append(language.name)
    return {word: tuple(names) for word, names in found.items()}


@cache
def telling_words(language: str) -> frozenset[str]:
    """The function words that a language shares with one other known language at most."""
    return frozenset(word for word, names in languages_of_words().items() if language in names and len(names) < 3)


def prose(text: str) -> str:
    """The text without code, formulas, addresses and tags; empty when the rest still looks like code."""
    bare = NO_PROSE.sub(" ", text)
    return "" if len(CODE.findall(bare)) > CODE_SHARE * len(bare) else bare


@lru_cache(maxsize=256)
def spoken(text: str) -> Spoken:
    """What the words of a text say about its language. Words in capitals are names, but for function words."""
    bare = prose(text)
    script, told, latin = ("latin", 0.0, 0) if bare.isascii() else script_of(bare)
    if told:
        return Spoken(round(told) + latin, {script: told}, script)
    counts: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    languages_of = languages_of_words()
    words = set[str]()
    for word in set(WORD.findall(bare)):
        if not word[0].isupper():
            words.add(word)
        elif (
            not word[1:].isupper() and word.lower() in languages_of
        ):  # the first word of a sentence, more likely than a name
            words.add(word.lower())
    letters_alone = [word for word in words if len(word) == 1]
    if len(letters_alone) > MOST_LETTERS:
        words.difference_update(letters_alone)
    known = tuple(languages_of[word] for word in words if word in languages_of)
    for names in known:
        counts.update(names)
    others = 0
    for word in words:
        if script == "latin" and not word.isascii():
            letters = {letter for letter in word if letter > "\x7f"}
            others += "\u0370" <= max(letters) < "\u1e00" or max(letters) > "\u3000"
            foreign.update(language.name for language in languages() if language.letters and letters - language.letters)
    return Spoken(len(words), counts, script, known, foreign, 8 * others > len(words))


def script_of(text: str) -> tuple[str, float, int]:
    """The script of most of the text or, if that tells it, the language; how many words speak for that; Latin words."""
    latin = len(LATIN.findall(text))
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    east = "ja" if 3 * kana > han else "zh" if 12 * kana < han else EITHER
    amounts = {east: (kana + han) / 2}
    for script, letters, size in (*TELLING, *SHARED):
        amounts[script] = len(letters.findall(text)) / size
    script = max(amounts, key=lambda name: (amounts[name], name))
    if amounts[script] <= latin:
        return "latin", 0.0, latin
    if SCRIPTS.get(script) == "telling":
        return script, amounts[script], latin
    for language, letters in LETTERS:
        if SCRIPTS[language] == script and letters.search(text):
            return language, amounts[script], latin
    return script, 0.0, latin


def main_language(texts: Collection[str]) -> str:
    """The language that the words of the texts together tell; "" when they do not, or not clearly."""
    told = spoken("\n".join(texts))
    first, second = ([*sorted(told.counts.items(), key=lambda one: (-one[1], one[0])), ("", 0.0), ("", 0.0)])[:2]
    fewest = FEWEST if told.script == "latin" else 1  # few languages share another script
    return first[0] if told.script == first[0] or first[1] >= max(fewest, 1.2 * second[1]) else ""


def other_language(text: str, expected: Set[str], fewest_words: int) -> tuple[str, float] | None:
    """The language or script a text is in, and the share of its words that say so, if it is none of the expected.

    No language is named when only letters tell that it is none of them.
    """
    told = spoken(text)
    if told.script in told.counts:  # a script that tells: fewer words will do
        other = not expected & {told.script, *EAST.get(told.script, ())} and 2 * told.words > fewest_words
        return (told.script, told.counts[told.script] / told.words) if other else None
    other_script = told.script not in {SCRIPTS.get(name, "latin") for name in expected}
    if told.words < (MOST_LETTERS if other_script else fewest_words):
        return None
    if other_script:
        language = max(told.counts, key=lambda name: (told.counts[name], name), default=told.script)
        sure = told.script != "latin" or told.counts.get(language, 0) >= 2 or told.words >= 2 * fewest_words
        return (language, 1.0) if sure and not told.mixed else None
    return by_words(told, expected, without=2 * fewest_words)


def by_words(told: Spoken, expected: Set[str], *, without: int) -> tuple[str, float] | None:
    """As above, by function words and letters; so many words `without` one of an expected language are telling, too."""
    others = {name: least(told, name, expected) for name in told.counts if name not in expected}
    language = max(others, key=lambda name: (others[name][0], told.counts[name], name), default="")
    hits, own = others.get(language, (0, 0))
    strange = min((told.foreign.get(name, 0) for name in expected), default=0)
    if own * RATIO > hits:
        return ("", strange / told.words) if strange >= max(FEWEST, told.words / 3) and own * RATIO <= strange else None
    spelled = strange >= max(2, told.words / (4 if hits < 2 else 8))
    alone = not own and (told.words >= without or hits >= told.words / 4)
    enough = hits >= FEWEST and hits >= SHARE * told.words
    return (language, hits / told.words) if enough or (hits and spelled and not own) or (hits >= 2 and alone) else None


def least(told: Spoken, language: str, expected: Set[str]) -> tuple[int, int]:
    """The fewest words that the language has before an expected one, and the most that one of these has before it."""
    pairs = [apart(told, language, name) for name in expected]
    return min(one for one, _ in pairs), max(other for _, other in pairs)


def apart(told: Spoken, one: str, other: str) -> tuple[int, int]:
    """How many function words of a text each of two languages has, and the other has not."""
    ones = sum(1 for names in told.known if one in names and other not in names)
    return ones, sum(1 for names in told.known if other in names and one not in names)
