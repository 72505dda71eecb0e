"""Planted damage of characters in texts of many languages, and texts whose unusual characters are right."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made
from benchmarks.planted.writings import ABROAD, ALL, ENGLISH, UNSPACED, clean

FLOORS = Floors(recall=1.0, precision=1.0)

CONTROLS = "\x00\x01\x07\x08\x0b\x0c\x1b\x1f\x7f\x85\x92\x96"
HIDDEN = "\u200b\u2060\u00ad\u180e\u2063\u3164\ufffc\U000e0041"
TURNS = "\u202a\u202b\u202d\u202e\u2066\u2067\u200f\u200e"
PRIVATE = "\ue000\uf0b7\uf8ff\U000f0001\U00100123"
MARKS = "\u0301\u0316\u0334\u0357\u0488\u0321"
TYPED = str.maketrans({"'": "’", "-": "–"})
LOST = ("don?t", "it?s", "isn?t", "they?re", "we?ll", "can?t")


def western(text: str) -> str:
    """A text in UTF-8 read as Windows-1252; bytes that it leaves open stay what they are."""
    return "".join(read(byte) for byte in text.encode())


def read(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def accented(rng: random.Random, text: str) -> str:
    """An English text with the characters that word processors and menus put in."""
    words = text.translate(TYPED).split()
    words.insert(
        rng.randrange(len(words)), rng.choice(("“café”", "£20", "naïve", "déjà", "20 °C", "—", "…", "façade", "½"))
    )
    return " ".join(words)


def inserted(rng: random.Random, text: str, characters: str, copies: int = 1) -> str:
    at = rng.randrange(1, len(text))
    return text[:at] + rng.choice(characters) * copies + text[at:]


def lost(rng: random.Random, text: str) -> str:
    """A text whose letters beyond ASCII became question marks, with a contraction where it had none."""
    plain = text.encode("ascii", "replace").decode()
    return plain if plain.count("?") > text.count("?") + 2 else f"{text} Besides, {rng.choice(LOST)} the only reason."


def heaped(rng: random.Random, text: str) -> str:
    return "".join(letter + "".join(rng.choices(MARKS, k=5)) if rng.random() < 0.2 else letter for letter in text)


def printable(text: str) -> str:
    """A text as it stands in an e-mail's source."""
    return "".join(
        letter if letter.isascii() else "".join(f"={byte:02X}" for byte in letter.encode()) for letter in text
    )


Damage = Callable[[random.Random, str], str]
DAMAGES: dict[str, Damage] = {
    "control character": lambda rng, text: inserted(rng, text, CONTROLS),
    "replacement character": lambda rng, text: inserted(rng, text, "\ufffd", rng.randint(1, 3)),
    "mark of byte order": lambda rng, text: rng.choice(("\ufeff" + text, inserted(rng, text, "\ufeff"))),
    "hidden character": lambda rng, text: inserted(rng, text, HIDDEN),
    "turned direction": lambda rng, text: inserted(rng, text, TURNS),
    "character of private use": lambda rng, text: inserted(rng, text, PRIVATE),
    "no character": lambda rng, text: inserted(rng, text, "\uffff\ufdd0\U0001fffe"),
    "heaps of accents": heaped,
    "colours of a terminal": lambda rng, text: f"\x1b[1m{text}\x1b[0m" if rng.random() < 0.5 else f"[31m{text}[0m",
}
ABROAD_DAMAGES: dict[str, Damage] = {
    "UTF-8 read as Windows-1252": lambda _, text: western(text),
    "UTF-8 read as Latin-1": lambda _, text: text.encode().decode("latin-1"),
    "UTF-8 read so twice": lambda _, text: western(western(text)),
    "letters lost to question marks": lost,
    "escapes of e-mail": lambda _, text: printable(text),
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """A damaged text and an intact one by turns; damage in the question or the answer."""
    kinds = [*DAMAGES, *ABROAD_DAMAGES]
    for number in range(count):
        if number % 2:
            yield damaged(rng, kinds[number // 2 % len(kinds)])
        else:
            row, sample = clean(rng, "unusual characters")
            yield Case(row, (sample,), bad=False)


def damaged(rng: random.Random, kind: str) -> Case:
    if kind in DAMAGES:
        hidden = kind == "turned direction"
        question, told = rng.choice(ENGLISH + ABROAD if hidden else ALL).drawn(rng)
        change = DAMAGES[kind]
    else:
        english = rng.random() < 0.3
        question, told = rng.choice(ENGLISH if english else ABROAD + UNSPACED).drawn(rng)
        change = ABROAD_DAMAGES[kind]
        told = [accented(rng, sentence) for sentence in told] if english else told
    answer = " ".join(told)
    if kind not in DAMAGES and answer.isascii():
        return damaged(rng, kind)
    if kind in DAMAGES and rng.random() < 0.3:
        return Case(kind, (made(change(rng, question), answer),), bad=True)
    return Case(kind, (made(question, change(rng, answer)),), bad=True)
