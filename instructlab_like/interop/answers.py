"""How another tool finds texts in an answer, as the tags of a template: pairs of tags, or a regular expression."""

from __future__ import annotations

import re
from collections.abc import Sequence

from instructlab_like.prompts import marked

Tags = tuple[tuple[str, ...], ...]  # for each text, what opens it and what may close it
GROUP = re.compile(r"\((?:\?P<\w+>)?(?:\.|\[\\s\\S\]|\[\\S\\s\])[*+]\??\)")  # any text, caught
BLANK = re.compile(r"\\[stn][*+?]?|\n")
OPTIONS = re.compile(r"\(\?:((?:\\.|[^()\\])*)\)")
ENDS = ("$", r"\Z")
LONGEST = 500  # characters of a regular expression
SPECIAL = re.compile(r"[.^$*+?{}\[\]|()]")


class UnreadableError(Exception):
    """Answers are found in a way that no tags tell; the text says in which."""


def by_tags(start_tags: Sequence[str], end_tags: Sequence[str], columns: Sequence[str]) -> tuple[Tags, list[str]]:
    """The tags of the columns that have some, and what is otherwise than there."""
    count = min(len(start_tags), len(end_tags), len(columns))
    if not count:
        raise UnreadableError("its prompt names no start_tags and end_tags, and no pattern is told")
    pairs = list(zip(start_tags[:count], end_tags[:count], strict=True))
    found: list[tuple[str, ...]] = []
    differs = []
    for number, (start, end) in enumerate(pairs):
        if not start and (number or (not end and count > 1)):
            raise UnreadableError(f"the text of {columns[number]} begins with no tag, beside others that do")
        following = pairs[(number + 1) % count][0]
        closes = "" if end and marked(end) == marked(following) and (count > 1 or number) else end
        if start and not end:
            differs.append(f"{columns[number]} goes to the next tag or the end; there it is always empty")
        found.append((start, closes))
    if count < len(columns):
        differs.append(f"no tags for {', '.join(columns[count:])}: there they are never made")
    return checked(tuple(found)), differs


def by_pattern(pattern: str, cleanup: Sequence[str], columns: Sequence[str], prompt: str) -> Tags:
    """The tags that a regular expression is a row of: a tag before each text, another or the next row at the end."""
    if len(pattern) > LONGEST:
        raise UnreadableError(f"its regular expression has more than {LONGEST} characters")
    pieces = GROUP.split(re.sub(r"^\(\?s\)", "", pattern))
    if len(pieces) - 1 != len(columns):
        raise UnreadableError("its regular expression does not catch one text of any kind for each column")
    between = [markers(spelled(piece, prompt)) for piece in pieces[:-1]]
    if len(between[0]) > 1 or not all(between[1:]) or max(map(len, between)) > 2:
        raise UnreadableError("its regular expression is more than a row of tags")
    opening = [(found or ("",))[-1] for found in between]
    last = closing(spelled(pieces[-1], prompt), opening[0])
    shown = marked(prompt)
    ends = [tag for tag in dict.fromkeys(map(marked, cleanup)) if tag and tag in shown and tag != marked(last)]
    dropped = [next(tag for tag in cleanup if marked(tag) == end) for end in ends]
    closes: list[tuple[str, ...]] = [(found[0],) if len(found) > 1 else ("",) for found in between[1:]]
    closes.append((last,) if last else (*dropped, ""))
    return checked(tuple((start, *end) for start, end in zip(opening, closes, strict=True)))


def markers(piece: str) -> tuple[str, ...]:
    """The tags in a piece of a regular expression; raises UnreadableError where it is more than tags and blanks."""
    found = []
    for text in BLANK.split(piece):
        if SPECIAL.search(re.sub(r"\\.", "", text)):
            raise UnreadableError("its regular expression is more than a row of tags")
        found.append(" ".join(re.sub(r"\\(.)", r"\1", text).split()))
    return tuple(filter(None, found))


def spelled(piece: str, prompt: str) -> str:
    """The piece with one word for several that differ in case alone, as the prompt spells it."""
    return OPTIONS.sub(lambda found: single(found[1], prompt), piece)


def single(options: str, prompt: str) -> str:
    words = options.split("|")
    if len({word.casefold() for word in words}) > 1:
        raise UnreadableError(f"its regular expression has several tags in one place: {options[:60]}")
    return next((word for word in words if re.sub(r"\\(.)", r"\1", word) in prompt), words[0])


def closing(piece: str, first: str) -> str:
    """What ends the last text; nothing where the next row or the end of the answer does."""
    piece = re.sub(r"^(?:\\[stn][*+?]?|\s)+", "", piece)
    around = re.fullmatch(r"\(\?[=:](.*)\)", piece, re.DOTALL)
    options = re.split(r"\|(?![^()]*\))", around[1]) if around else [piece]
    tags = [" ".join(markers(one)) for one in options if one.strip() and one.strip() not in ENDS]
    if not tags or [marked(tag) for tag in tags] == [marked(first)]:
        return ""
    if len(tags) > 1 or len(options) > 1:
        raise UnreadableError("its regular expression ends the last text in several ways")
    return tags[0]


def checked(tags: Tags) -> Tags:
    opening = [marked(one[0]) for one in tags if one[0]]
    closes = {marked(end) for one in tags for end in one[1:]} - {""}
    if len(set(opening)) < len(opening) or closes & set(opening):
        raise UnreadableError("one tag opens and closes texts, or opens two of them")
    return tags
