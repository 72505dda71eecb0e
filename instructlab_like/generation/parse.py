"""A teacher's answer to groups of texts. Whole groups only: what was cut off, doubled or moved is never guessed.

The tags carry numbers, `[QUESTION 2] … [ANSWER 2] … [END 2]`. A lost tag therefore cannot join a question to the
answer of another: numbers that do not agree are seen, however many tags between them are missing. A tag that was
moved is seen by the stray tags around it; only with three or more of those lost as well could it deceive.

An answer to a template with a schema is JSON, and read by `structured`. A template may name tags of its own, which
have no numbers: a text is what stands between the tag that opens it and one that closes it, with no other tag inside.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from instructlab_like.generation.structured import problem, read_json
from instructlab_like.prompts import END, marked
from instructlab_like.records import Completion

VERSION = 2  # of a verdict: rises when the same answer is read differently
THOUGHTS = re.compile(r"\s*<(think|thinking|reasoning)>")  # of reasoning models, when the server leaves them in
CLOSED = re.compile(r"</(?:think|thinking|reasoning)>")
# What may stand before a tag on its line: a heading's mark, and what sets the tag in bold, italics or code.
BEFORE = re.compile(r"(?=.)[ \t]*(?:#{1,6}[ \t]+)?(\*{1,3}|_{1,3}|`)?")
WITHIN = re.compile(r"\s(\*{1,3}|_{1,3}|`)$")  # within a line, where the same stands behind the tag
REACH = 14  # characters that are looked at for that
BLANKS = "[ \t\u00a0]{0,4}"
TAGLIKE = re.compile(r"\[\s?([A-Z]{2,16})[ _-]?[0-9]{1,4}\s?\]")
LIKENESS = 0.75  # SECTION is less like QUESTION, QUESTIN is more
UNNUMBERED = 0  # as no group is


class Mark(NamedTuple):
    """A tag found in an answer; `number` is None for one that is damaged."""

    tag: str
    number: int | None
    start: int
    end: int
    leads: bool  # its line
    dress: str = ""  # bold or the like, opened before the tag and not closed right behind it


class Group(NamedTuple):
    """The texts of one number, by tag or field."""

    number: int
    texts: Mapping[str, str]


Tags = Sequence[Sequence[str]]  # for each text, what opens it and what may close it


class Reading(NamedTuple):
    """What an answer holds: groups that are whole, and how many more it began."""

    groups: tuple[Group, ...]
    broken: int


def read(
    text: str, yields: Sequence[str], schema: str | None = None, tags: Tags | None = None, *, cut: bool = False
) -> Reading:
    """Find the whole groups of an answer: in tags, or in JSON if it was asked for by a schema.

    `cut`: the answer was cut off, so a text that only its end closes is not whole.
    """
    text = without_thoughts(text)
    if tags is not None:
        return OwnTags(text.replace("\r\n", "\n"), yields, tags, cut=cut).read()
    if schema is None:
        return read_tags(text.replace("\r\n", "\n"), (*yields, END))
    groups, broken = read_json(text, schema)
    return Reading(tuple(Group(number, texts) for number, texts in groups), broken)


def without_thoughts(text: str) -> str:
    """The answer behind a model's thoughts; nothing of it, when they never end."""
    closed = CLOSED.search(text) if "</" in text else None
    if closed:
        return text[closed.end() :]
    return "" if THOUGHTS.match(text) else text


def read_tags(text: str, order: tuple[str, ...]) -> Reading:
    """Find the whole groups: all tags of one number, each once, in order, next to each other, around some text.

    A group is also dropped when its neighbour is a stray tag, since what strayed may have been part of it; and for a
    tag, but a closing one, within a line where at least half of its kind begin theirs: it may be in another's text.
    """
    marks = find_marks(text, order)
    times = Counter((mark.tag, mark.number) for mark in marks)
    leading = Counter(mark.tag for mark in marks if mark.leads)
    groups = []
    for first, opening in enumerate(marks):
        if opening.tag != order[0] or not opening.number or (first and marks[first - 1].tag != END):
            continue
        after = first + len(order)
        run, following = marks[first:after], marks[after] if after < len(marks) else None
        if [mark.tag for mark in run] != [*order] or (following and following.tag != order[0]):
            continue
        numbered = run[:-1] if closes(run[-1], opening.number, following) else run
        if any(mark.number != opening.number or times[mark.tag, mark.number] > 1 for mark in numbered):
            continue
        if any(not mark.leads and 2 * leading[mark.tag] >= len(marks) / len(order) for mark in run[:-1]):
            continue
        texts = {left.tag: between(text, left, right) for left, right in pairwise(run)}
        if all(texts.values()) and not doubtful([*texts.values()], order):
            groups.append(Group(opening.number, texts))
    numbers = {mark.number for mark in marks if mark.number}
    begun = max(len(numbers), sum(mark.tag == order[0] for mark in marks), 1 if marks else 0)
    return Reading(tuple(groups), begun - len(groups))


def closes(mark: Mark, number: int, following: Mark | None) -> bool:
    """Whether a closing tag without a number closes this one: the next group's shows that none was lost in between."""
    return mark.number == UNNUMBERED and following is not None and following.number == number + 1


@lru_cache(maxsize=256)
def tags(order: tuple[str, ...]) -> re.Pattern[str]:
    """Every tag with its number, every one without, and every damaged piece of one."""
    names = "|".join(tag.upper() for tag in order)
    numbered = rf"(?P<tag>(?i:{names})){BLANKS}(?P<number>[0-9]{{1,4}}){BLANKS}\]"
    return re.compile(rf"\[{BLANKS}(?:{numbered}|(?P<bare>{names}){BLANKS}\]|/?(?P<damaged>{names})(?![A-Za-z]))")


def find_marks(text: str, order: tuple[str, ...]) -> list[Mark]:
    """Every tag in the order of the text, with what sets it off from its text: a heading's mark, bold, a colon."""
    marks: list[Mark] = []
    behind = 0  # the end of the last one
    for match in tags(order).finditer(text):
        tag, number, bare, damaged = match.groups()
        start, end = match.span()
        leads, dress = start in (0, behind) or text[start - 1] == "\n", ""
        if not leads and (before := BEFORE.fullmatch(text, line_start(text, start, behind), start)):
            start, leads, dress = before.start(), True, before[1] or ""
        elif not leads and (within := WITHIN.search(text, max(behind, start - 4), start)):
            behind = end + len(within[1])
            if text[end : behind + 1].strip() == within[1]:
                start, dress = within.start(1), within[1]
        for closing in (dress, f":{dress}") if dress else ():
            if text.startswith(closing, end):
                end, dress = end + len(closing), ""
        if text.startswith(":", end) and text[end + 1 : end + 2].isspace():
            end += 1
        found = int(number) if number else UNNUMBERED if bare else None
        marks.append(Mark((tag or bare or damaged).lower(), found, start, end, leads, dress))
        behind = end
    return marks


def line_start(text: str, place: int, behind: int) -> int:
    """Where the line of a place begins, or what stands on it behind a tag; the place itself, if that is far away."""
    near = max(behind, place - REACH)
    newline = text.rfind("\n", near, place)
    return newline + 1 if newline >= 0 else near if near == behind else place


def between(text: str, left: Mark, right: Mark) -> str:
    """The text of a tag; what was opened before the tag may be closed at the end of its line."""
    found = text[left.end : right.start].strip()
    line, newline, rest = found.partition("\n") if left.dress else ("", "", "")
    return line.removesuffix(left.dress) + newline + rest if left.dress else found


def doubtful(texts: Sequence[str], order: tuple[str, ...]) -> bool:
    """Whether a text holds what may be meant as a tag, or is but the other half of what set off the one before."""
    names = [tag.upper() for tag in order]
    likely = (name for text in texts if "]" in text for name in TAGLIKE.findall(text))
    if any(difflib.get_close_matches(name, names, 1, LIKENESS) for name in likely):
        return True
    return any(not text.strip("*_`") and before.endswith(text) for before, text in pairwise(texts))


class OwnTags:
    """An answer to a prompt with tags of its own, of which "" is the beginning, the next opening tag, or the end."""

    def __init__(self, text: str, yields: Sequence[str], tags: Tags, *, cut: bool) -> None:
        self.text = text
        self.yields = yields
        self.opening = [marked(one[0]) for one in tags]
        self.closing = [frozenset(map(marked, one[1:])) for one in tags]
        self.cut = cut
        self.marks = find_own(text, tags)

    def read(self) -> Reading:
        """Each group from the tag that opens its first text; what is not whole is passed over up to the next."""
        groups: list[Group] = []
        begun = place = behind = 0
        while self.begins(place, behind):
            begun += 1
            found = self.group(place, behind)
            if found is None:
                place = next((n for n in self.openings() if n > place), len(self.marks))
                behind = len(self.text)
                continue
            texts, place, behind = found
            groups.append(Group(begun, texts))
            if self.opening[0]:
                place = next((n for n in self.openings() if n >= place), len(self.marks))
        strays = 1 if self.marks and not begun else 0
        return Reading(tuple(groups), begun - len(groups) + strays)

    def openings(self) -> list[int]:
        return [number for number, (name, _, _) in enumerate(self.marks) if name == self.opening[0]]

    def begins(self, place: int, behind: int) -> bool:
        """Whether another group begins at this tag, or with what stands behind the group before."""
        if self.opening[0]:
            return place < len(self.marks) and bool(self.openings())
        return bool(self.text[behind:].strip())

    def group(self, place: int, behind: int) -> tuple[dict[str, str], int, int] | None:
        """The texts of one group, the tag behind it and where it ends; None where one of them is not whole."""
        texts: dict[str, str] = {}
        for number, name in enumerate(self.yields):
            start = behind
            if self.opening[number]:
                if self.name(place) != self.opening[number]:
                    return None
                start = self.marks[place][2]
                place += 1
            end = self.end(place, number)
            if end is None:
                return None
            behind = end
            if self.name(place) in self.closing[number] - {""}:
                behind = self.marks[place][2]
                place += 1
            texts[name] = self.text[start:end].strip()
        return (texts, place, behind) if all(texts.values()) else None

    def end(self, place: int, number: int) -> int | None:
        """Where a text ends, before the tag at this place."""
        closing, found = self.closing[number], self.name(place)
        following = self.opening[(number + 1) % len(self.opening)]
        if found is None:
            return len(self.text) if "" in closing and not self.cut and number + 1 == len(self.opening) else None
        return self.marks[place][1] if found in closing or ("" in closing and found == following) else None

    def name(self, place: int) -> str | None:
        return self.marks[place][0] if place < len(self.marks) else None


def find_own(text: str, tags: Tags) -> list[tuple[str, int, int]]:
    """Every tag in the order of the text, with its place; of two that begin together the longer."""
    pattern = own_pattern(tuple(sorted({marked(mark) for one in tags for mark in one if mark}, key=len, reverse=True)))
    return [(marked(match[0]), *match.span()) for match in pattern.finditer(text)] if pattern else []


@lru_cache(maxsize=256)
def own_pattern(marks: tuple[str, ...]) -> re.Pattern[str] | None:
    words = (r"[ \t\u00a0]+".join(map(re.escape, mark.split())) for mark in marks)
    return re.compile("|".join(words), re.IGNORECASE) if marks else None


def reason(
    completion: Completion, yields: Sequence[str], schema: str | None, broken: int, tags: Tags | None = None
) -> str:
    """Why an answer gave nothing, in the words of someone who wants to change that."""
    if not completion.text.strip():
        return f"the answer is empty (finish_reason {completion.finish_reason})"
    cut = "; it was cut off at max_tokens" if completion.finish_reason == "length" else ""
    text = without_thoughts(completion.text)
    if not text.strip():
        return f"the answer is thoughts alone{cut}"
    if schema is not None:
        return f"{problem(text, schema)}{cut}"
    if tags is not None:
        return f"{own_reason(tags, broken)}{cut}"
    if not broken:
        return f"the answer holds no tags such as [{yields[0].upper()} 1]{cut}"
    order = (*yields, END)
    wanted = ", ".join(f"[{tag.upper()} n]" for tag in order)
    bare = any(mark.number == UNNUMBERED for mark in find_marks(text, order))
    told = f"none of the {broken} begun in the answer is whole: {wanted} in this order, each once"
    return f"{told}{', with its number' if bare else ''}{cut}"


def own_reason(tags: Tags, broken: int) -> str:
    shown = ", ".join(mark for one in tags for mark in one[: 2 if one[1] else 1] if mark)
    if not shown:
        return "the answer holds no text"
    if not broken:
        return f"the answer holds no tags such as {next(mark for one in tags for mark in one if mark)}"
    return f"none of the {broken} begun in the answer is whole: {shown} in this order, each once"
