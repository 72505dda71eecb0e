"""Patterns whose matching cannot take long, whoever wrote them: a part of Python's regular expressions.

Every repeat says how often at most, and together they must not leave more than a few thousand ways to match. So the
time is bounded before any text is seen, on every machine alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

MOST_WORK = 20_000  # steps from one place of a text
MOST_REPEATS = 500
LONGEST = 1_000  # characters of a pattern
DEEPEST = 20

_CLASSES = frozenset("dDwWsS")
_ANCHORS = frozenset("bBAZ")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}
_CODES = {"x": 2, "u": 4}
_COUNT = re.compile(r"\{(?P<least>[0-9]{0,4})(?P<comma>,?)(?P<most>[0-9]{0,4})\}")


class PatternError(Exception):
    """`column` is of the pattern, from 1."""

    def __init__(self, what: str, column: int, fix: str) -> None:
        super().__init__(what)
        self.what, self.column, self.fix = what, column, fix


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of a pattern may cost: steps, and the ways in which it may end; and texts of which it holds one."""

    work: int = 0
    ways: int = 1
    needles: tuple[str, ...] = ()  # empty: none is certain
    literal: str = ""  # all that it is, if it is one plain character


@dataclass(frozen=True, slots=True)
class Bounded:
    pattern: str
    needles: tuple[str, ...]  # one of them is in every text that matches; empty: unknown


def bounded(pattern: str) -> Bounded:
    """The pattern, found to be one that cannot take long; raises PatternError."""
    if len(pattern) > LONGEST:
        raise PatternError(f"a pattern has {LONGEST:,} characters at most", LONGEST, "make several rules of it")
    reader = _Reader(pattern)
    part = reader.alternatives()
    if reader.at < len(pattern):
        reader.fail("this bracket was never opened", "remove it, or write a \\ before it")
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        place = getattr(error, "pos", None) or 0
        raise PatternError(f"this is no pattern: {error}", place + 1, "correct it") from error
    return Bounded(pattern, part.needles)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def fail(self, what: str, fix: str, at: int | None = None) -> NoReturn:
        raise PatternError(what, (self.at if at is None else at) + 1, fix)

    def next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def alternatives(self) -> _Part:
        branches = [self.sequence()]
        while self.next() == "|":
            self.at += 1
            branches.append(self.sequence())
        if len(branches) == 1:
            return branches[0]
        every = all(branch.needles for branch in branches)
        needles = tuple(needle for branch in branches for needle in branch.needles) if every else ()
        return self.limited(sum(part.work for part in branches), sum(part.ways for part in branches), needles)

    def sequence(self) -> _Part:
        work, ways = 0, 1
        needles: tuple[str, ...] = ()
        run, runs = "", list[str]()
        while self.next() not in ("", "|", ")"):
            part = self.repeated(self.piece())
            work += ways * part.work
            ways *= part.ways
            self.limited(work, ways, ())
            if part.literal:
                run += part.literal
                continue
            runs, run = [*runs, run], ""
            if part.needles and _worth(part.needles) > _worth(needles):
                needles = part.needles
        longest = max((*runs, run), key=len)
        if longest and len(longest) >= _worth(needles):
            needles = (longest,)
        return _Part(work, ways, needles)

    def limited(self, work: int, ways: int, needles: tuple[str, ...]) -> _Part:
        if work > MOST_WORK or ways > MOST_WORK:
            fix = "make the repeats shorter or fewer, or make several rules of it"
            self.fail("up to here the pattern can match in too many ways", fix, max(0, self.at - 1))
        return _Part(work, ways, needles)

    def piece(self) -> _Part:
        sign = self.next()
        if sign == "(":
            return self.group()
        if sign == "[":
            self.skip_class()
            return _Part(work=1)
        if sign == "\\":
            return self.escape()
        if sign in "*+?{" and not (sign == "{" and not _COUNT.match(self.pattern, self.at)):
            self.fail(f"there is nothing before {sign!r} to repeat", "write a \\ before it, or what it repeats")
        self.at += 1
        return _Part(work=1) if sign in ".^$" else _Part(work=1, literal=sign)

    def repeated(self, part: _Part) -> _Part:
        """The part with the count behind it."""
        sign, start = self.next(), self.at
        counted = _COUNT.match(self.pattern, self.at) if sign == "{" else None
        if sign in ("*", "+") or (counted and counted["comma"] and not counted["most"]):
            many = counted["least"] or "0" if counted else "0" if sign == "*" else "1"
            self.fail("this may repeat without end", f"say how often at most: {{{many},80}}")
        if sign != "?" and not counted:
            return part
        self.at = counted.end() if counted else self.at + 1
        if self.next() == "?":  # as few as possible: the ways are the same
            self.at += 1
        if self.next() in ("*", "+", "?") or _COUNT.match(self.pattern, self.at):
            self.fail("a repeat is repeated here", "put what it repeats into brackets")
        if not counted:
            return _Part(part.work, part.ways + 1)
        least = int(counted["least"] or "0")
        most = int(counted["most"]) if counted["comma"] else least
        if most < least or most > MOST_REPEATS:
            self.fail(f"a part repeats {MOST_REPEATS} times at most, and not fewer than at least", "correct it", start)
        return self.many(part, least, most)

    def many(self, part: _Part, least: int, most: int) -> _Part:
        work, ways, ended = 0, 1, 0
        for count in range(most + 1):
            ended += ways if count >= least else 0
            if count < most:
                work += ways * part.work
                ways *= part.ways
            self.limited(work, ended, ())
        return _Part(work, max(1, ended), part.needles or ((part.literal,) if part.literal else ()) if least else ())

    def group(self) -> _Part:
        opened = self.at
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail("brackets lie too deep in one another", "make several rules of it")
        self.at += 1
        ahead = False
        if self.next() == "?":
            kind = self.pattern[self.at + 1 : self.at + 2]
            if kind not in (":", "=", "!"):
                self.fail("this kind of group is not known here", "of (?…) only (?:…), (?=…) and (?!…) are")
            ahead = kind in "=!"
            self.at += 2
        inner = self.alternatives()
        if self.next() != ")":
            self.fail("this bracket is never closed", "write ) where it ends, or a \\ before it", opened)
        self.at += 1
        self.depth -= 1
        return _Part(inner.work, 1) if ahead else _Part(inner.work, inner.ways, inner.needles)

    def skip_class(self) -> None:
        start = self.at
        self.at += 1
        if self.next() == "^":
            self.at += 1
        first = True
        while first or self.next() != "]":
            if not self.next():
                self.fail("this bracket is never closed", "write ] where it ends, or a \\ before it", start)
            self.at += 2 if self.next() == "\\" else 1
            first = False
        self.at += 1

    def escape(self) -> _Part:
        sign = self.pattern[self.at + 1 : self.at + 2]
        if not sign:
            self.fail("the pattern ends in a \\", "write what it stands before, or \\\\")
        self.at += 2
        if sign in _CLASSES or sign in _ANCHORS:
            return _Part(work=1)
        if sign in _LETTERS:
            return _Part(work=1, literal=_LETTERS[sign])
        if sign in _CODES:
            digits = self.pattern[self.at : self.at + _CODES[sign]]
            if not re.fullmatch(f"[0-9a-fA-F]{{{_CODES[sign]}}}", digits):
                self.fail(f"\\{sign} takes {_CODES[sign]} hexadecimal digits", "write them", self.at - 2)
            self.at += len(digits)
            return _Part(work=1, literal=chr(int(digits, 16)))
        if sign.isalnum():
            self.fail(
                f"\\{sign} is not known here",
                "of letters, \\d \\w \\s \\b, their capitals and \\n \\t are",
                self.at - 2,
            )
        return _Part(work=1, literal=sign)


def _worth(needles: tuple[str, ...]) -> int:
    """How much a look for the needles tells: the length of the shortest."""
    return min(map(len, needles), default=0)
