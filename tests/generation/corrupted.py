"""Answers of a teacher and damage to them, each decided by a number; every text bears a mark that says whose it is.

What is done to an answer loses, doubles, moves or damages any part of it. Two things are left out, since no reader
could tell them from what was meant: a text that changes places with another text, with no tag on its way; and a tag
that moves within its own group, where it only shifts the boundary between two texts that belong together.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

WORDS = ["sun", "moon", "[1]", "(end)", "2", "**far**", "END", "a: b", "`x`", "{y}", "question 3", "[see"]
TAG = re.compile(r"\[(?:CONTEXT|QUESTION|ANSWER|SCORE|END) [0-9]+\]")
FIRST = 0x4E00  # of the marks

Damage = Callable[[random.Random, str], str]


def mark(group: int, field: int) -> str:
    return chr(FIRST + 8 * group + field)


def bearer(character: str) -> tuple[int, int] | None:
    """Whose mark a character is, if it is one: group and field."""
    number = ord(character) - FIRST
    return divmod(number, 8) if 0 <= number < 1000 else None


def owners(text: str) -> set[tuple[int, int]]:
    return {owner for character in text if (owner := bearer(character))}


def marked(rng: random.Random, group: int, field: int) -> str:
    """A text of one to three lines, in which every word bears the mark."""
    line = [f"{mark(group, field)}{rng.choice(WORDS)}{mark(group, field)}" for _ in range(rng.randint(2, 9))]
    for _ in range(rng.choice((0, 0, 1, 2))):
        line.insert(rng.randint(1, len(line)), "\n")
    return " ".join(line).replace(" \n ", "\n").strip()


def place(rng: random.Random, text: str) -> int:
    return rng.randint(0, len(text))


# --- in tags ----------------------------------------------------------------------------------------------------


def in_tags(rng: random.Random, yields: tuple[str, ...]) -> str:
    groups = [
        "\n".join(f"[{tag.upper()} {group}]\n{marked(rng, group, field)}" for field, tag in enumerate(yields))
        + f"\n[END {group}]"
        for group in range(1, rng.randint(2, 6))
    ]
    return "\n\n".join(groups)


def a_tag(rng: random.Random, text: str) -> re.Match[str] | None:
    found = list(TAG.finditer(text))
    return rng.choice(found) if found else None


def on_a_tag(change: Callable[[random.Random, str], str]) -> Damage:
    def damage(rng: random.Random, text: str) -> str:
        tag = a_tag(rng, text)
        return text[: tag.start()] + change(rng, tag[0]) + text[tag.end() :] if tag else text

    return damage


def out_of_its_group(rng: random.Random, text: str, tag: str) -> str:
    """The tag put where nothing of its own group stands on both sides."""
    group = int(tag[:-1].split()[-1])
    marks = "".join(mark(group, field) for field in range(3))
    own = list(re.finditer(rf"\[[A-Z]+ {group}\]|[{marks}]", text))
    places = [here for here in range(len(text) + 1) if not own or not own[0].start() < here < own[-1].end()]
    here = rng.choice(places)
    return text[:here] + tag + text[here:]


def move_tag(rng: random.Random, text: str) -> str:
    tag = a_tag(rng, text)
    if not tag:
        return text
    gone = text[: tag.start()] + "\0" * len(tag[0]) + text[tag.end() :]
    return out_of_its_group(rng, gone, tag[0]).replace("\0", "")


def move_tag_line(rng: random.Random, text: str) -> str:
    return re.sub(r"\n*(\[[A-Z]+ [0-9]+\])\n*", r"\n\1\n", move_tag(rng, text))


def copy_tag(rng: random.Random, text: str) -> str:
    tag = a_tag(rng, text)
    return out_of_its_group(rng, text, tag[0]) if tag else text


def number(tag: re.Match[str]) -> str:
    return tag[0][:-1].split()[-1]


def two_tags(rng: random.Random, text: str) -> tuple[re.Match[str], re.Match[str]] | None:
    """Of different groups, in their order."""
    tag, other = a_tag(rng, text), a_tag(rng, text)
    if not tag or not other or number(tag) == number(other):
        return None
    return (tag, other) if tag.start() < other.start() else (other, tag)


def swap_tags(rng: random.Random, text: str) -> str:
    found = two_tags(rng, text)
    if not found:
        return text
    one, other = found
    return text[: one.start()] + other[0] + text[one.end() : other.start()] + one[0] + text[other.end() :]


def nest_tag(rng: random.Random, text: str) -> str:
    found = two_tags(rng, text)
    if not found:
        return text
    inside = rng.randint(found[0].start() + 1, found[0].end() - 1)
    return text[:inside] + found[1][0] + text[inside:]


def delete_block(rng: random.Random, text: str) -> str:
    start, end = sorted((place(rng, text), place(rng, text)))
    return text[:start] + text[end:]


def double_block(rng: random.Random, text: str) -> str:
    return moved(rng, text, stays=True)


def move_block(rng: random.Random, text: str) -> str:
    return moved(rng, text, stays=False)


def moved(rng: random.Random, text: str, *, stays: bool) -> str:
    """Lines from one tag to another, put before a third: so tags are on both sides of every seam."""
    lines = text.split("\n")
    tagged = [number for number, line in enumerate(lines) if TAG.match(line)]
    if len(tagged) < 3:
        return text
    start, end = sorted(rng.sample(tagged, 2))
    block = lines[start:end]
    rest = lines if stays else lines[:start] + lines[end:]
    here = rng.choice([number for number, line in enumerate(rest) if TAG.match(line)] or [0])
    return "\n".join([*rest[:here], *block, *rest[here:]])


def on_lines(change: Callable[[random.Random, list[str]], None]) -> Damage:
    def damage(rng: random.Random, text: str) -> str:
        lines = text.split("\n")
        change(rng, lines)
        return "\n".join(lines)

    return damage


def delete_line(rng: random.Random, lines: list[str]) -> None:
    del lines[rng.randrange(len(lines))]


def double_line(rng: random.Random, lines: list[str]) -> None:
    number = rng.randrange(len(lines))
    lines.insert(number, lines[number])


def merge_lines(rng: random.Random, lines: list[str]) -> None:
    if len(lines) > 1:
        number = rng.randrange(len(lines) - 1)
        lines[number : number + 2] = [lines[number] + lines[number + 1]]


def cut(rng: random.Random, text: str) -> str:
    return text[: place(rng, text)]


def behead(rng: random.Random, text: str) -> str:
    return text[place(rng, text) :]


def on_a_character(change: Callable[[random.Random, str], str]) -> Damage:
    def damage(rng: random.Random, text: str) -> str:
        if not text:
            return text
        for _ in range(min(len(text), rng.randint(1, 4))):
            here = rng.randrange(len(text))
            text = text[:here] + change(rng, text[here]) + text[here + 1 :]
        return text

    return damage


def in_prose(rng: random.Random, text: str) -> str:
    return (
        rng.choice(("Sure, here they are:\n\n", "", "Question: x\n")) + text + rng.choice(("\n\nI hope it helps!", ""))
    )


def in_a_fence(rng: random.Random, text: str) -> str:
    return f"```{rng.choice(('', 'text', 'json', 'JSON'))}\n{text}\n```"


def with_thoughts(rng: random.Random, text: str) -> str:
    """Thoughts hold a draft, in which the answers belong to other questions."""
    tagged = {number: mark(number, 0) for number in (1, 2, 3)}
    draft = "".join(f"[QUESTION {n}] {tagged[n]} [ANSWER {n}] {mark(n + 1, 1)} [END {n}]\n" for n in tagged)
    opening, closing = rng.choice(
        (("<think>\n", "</think>\n"), ("<thinking>", "</thinking>"), ("", "</think>"), ("<think>", ""))
    )
    return opening + draft + closing + text


def with_windows_lines(rng: random.Random, text: str) -> str:
    return text.replace("\n", "\r\n")


STRAYS = '[]0123456789 QA*\n#"{},:'
CHARACTERS: tuple[Damage, ...] = (
    on_a_character(lambda rng, character: ""),
    on_a_character(lambda rng, character: character * 2),
    on_a_character(lambda rng, character: rng.choice(STRAYS)),
)
TAGS_DAMAGE: tuple[Damage, ...] = (
    *CHARACTERS,
    on_a_tag(lambda rng, tag: ""),
    on_a_tag(lambda rng, tag: tag * 2),
    on_a_tag(lambda rng, tag: tag.replace(tag[rng.randrange(len(tag))], "", 1)),
    on_a_tag(lambda rng, tag: re.sub("[0-9]+", str(rng.randint(0, 6)), tag)),
    on_a_tag(lambda rng, tag: re.sub(" [0-9]+", "", tag)),
    on_a_tag(lambda rng, tag: tag.lower()),
    on_a_tag(lambda rng, tag: f"**{tag}**"),
    on_a_tag(lambda rng, tag: tag[:-1]),
    move_tag, move_tag_line, copy_tag, swap_tags, nest_tag, delete_block,
    on_lines(delete_line), on_lines(double_line), on_lines(merge_lines),
    cut, cut, behead, in_prose, in_a_fence, with_windows_lines,
)  # fmt: skip


def corrupted_tags(number: int) -> tuple[str, tuple[str, ...]]:
    """An answer with one to six damages, and the tags that were asked for. Blocks move last."""
    rng = random.Random(f"tags {number}")
    yields = rng.choice((("question", "answer"), ("question", "answer"), ("context", "question", "answer")))
    text = in_tags(rng, yields)
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 5, 6))):
        text = rng.choice(TAGS_DAMAGE)(rng, text)
    if rng.random() < 0.2:
        text = rng.choice((double_block, move_block))(rng, text)
    return with_thoughts(rng, text) if yields == ("question", "answer") and rng.random() < 0.1 else text, yields


# --- in JSON ----------------------------------------------------------------------------------------------------

FIELDS = ("question", "answer", "score")
SCHEMA = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "question": {"type": "string"},
                    "answer": {"type": "string"},
                    "score": {"type": "integer", "minimum": 1, "maximum": 5},
                },
            },
        }
    },
}
STRUCTURE = '[]{}",:'


def in_json(rng: random.Random) -> str:
    pairs = [
        {"question": marked(rng, group, 0), "answer": marked(rng, group, 1), "score": rng.randint(1, 5)}
        for group in range(1, rng.randint(2, 6))
    ]
    return json.dumps({"pairs": pairs}, ensure_ascii=False, indent=rng.choice((None, 1, 2)))


def on_structure(change: Callable[[random.Random, str], str]) -> Damage:
    def damage(rng: random.Random, text: str) -> str:
        found = [number for number, character in enumerate(text) if character in STRUCTURE]
        if not found:
            return text
        here = rng.choice(found)
        return text[:here] + change(rng, text[here]) + text[here + 1 :]

    return damage


def swap_values(rng: random.Random, text: str) -> str:
    """A text and a score: of two texts nobody could tell."""
    text_value = re.search(r'"(?:question|answer)": ("[^"]*")', text[place(rng, text) :])
    score = re.search(r'"score": ([0-9])', text)
    if not text_value or not score:
        return text
    return text.replace(text_value[1], score[1], 1).replace(f'"score": {score[1]}', f'"score": {text_value[1]}', 1)


def double_key(rng: random.Random, text: str) -> str:
    found = list(re.finditer(r'"(?:question|answer)": "[^"]*",', text))
    if not found:
        return text
    one, other = rng.choice(found), rng.choice(found)
    return text[: one.end()] + " " + other[0] + text[one.end() :]


def rename_key(rng: random.Random, text: str) -> str:
    field = rng.choice((*FIELDS, "pairs"))
    return text.replace(f'"{field}"', rng.choice(('"pair"', '"Question"', '"answer"')), 1)


def change_value(rng: random.Random, text: str) -> str:
    value = rng.choice(("null", "NaN", "Infinity", "true", "7", "[]", "{}", '""', '" "', "1e999", "0.5", '"\\ud800"'))
    found = list(re.finditer(r'": ("[^"]*"|[0-9])', text))
    if not found:
        return text
    one = rng.choice(found)
    return text[: one.start(1)] + value + text[one.end(1) :]


def behind_it(rng: random.Random, text: str) -> str:
    return text + rng.choice(("\n\nI hope it helps!", "}", "]", "\n" + text, ",", "\n[END 1]"))


JSON_DAMAGE: tuple[Damage, ...] = (
    *CHARACTERS,
    on_structure(lambda rng, character: ""),
    on_structure(lambda rng, character: ""),
    on_structure(lambda rng, character: character * 2),
    on_structure(lambda rng, character: rng.choice(STRUCTURE)),
    swap_values, double_key, rename_key, change_value, behind_it,
    on_lines(delete_line), on_lines(double_line), on_lines(merge_lines),
    cut, cut, behead, in_prose, in_a_fence, in_a_fence, with_windows_lines,
)  # fmt: skip


def corrupted_json(number: int) -> str:
    """An answer with one to five damages."""
    rng = random.Random(f"json {number}")
    text = in_json(rng)
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 5))):
        text = rng.choice(JSON_DAMAGE)(rng, text)
    return text
