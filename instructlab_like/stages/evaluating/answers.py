"""What several models answered to the same questions: as text for a terminal, as Markdown for a pull request.

A model may answer anything, and whoever posts its words lends it their name: nothing in them acts, all of it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal, NamedTuple

from rich.cells import cell_len, chop_cells

from instructlab_like.checking.forms.plain import line, shown
from instructlab_like.preview.comment import code, fitting
from instructlab_like.records import Record

NARROWEST = 28  # columns of a model's answers side by side; with less they stand below each other
BETWEEN = " │ "
FENCE_WIDTH = 100
SECTION = 8_000  # characters of a text in Markdown
ENOUGH = 400  # characters of a question or a passage on a terminal
INLINE = 80  # characters of an answer in a table
ALIKE = 0.5  # share of words in common from which on the others are marked
MOST_WORDS = 2_000  # of an answer that is compared word by word
STYLES = {"": "", "name": "\x1b[1m", "new": "\x1b[1;32m", "quiet": "\x1b[2m"}
PLAIN = "\x1b[0m"


class Model(Record):
    """Who is asked: `name` heads the answers, `place` is the folder, the hub's name or the URL."""

    name: str
    place: str


class Reply(Record):
    """What one model answered. Without `seconds` the text was kept from earlier."""

    model: str
    text: str = ""
    unanswered: str | None = None  # why it was not asked, or did not answer
    tokens: int | None = None
    seconds: float | None = None  # until the answer was there; of answers made together their part
    cut: bool = False  # at the most tokens that it may have
    same: bool | None = None  # as the base's; None: this is the base's, or there is none to compare with
    score: float | None = None


class Exchange(Record):
    """A question and what every model answered, in their order."""

    question: str
    context: str | None = None
    answer: str | None = None  # that is right, where it is known
    where: str = ""
    replies: tuple[Reply, ...]


class Answers(Record):
    models: tuple[Model, ...]
    max_tokens: int
    exchanges: tuple[Exchange, ...]


class Piece(NamedTuple):
    text: str
    style: Literal["", "name", "new", "quiet"] = ""


Row = list[Piece]


class Cell(NamedTuple):
    """A reply as rows of a column."""

    head: list[Row]
    body: list[Row]
    foot: list[Row]


# --- terminal ---------------------------------------------------------------------------------------------------


def text(told: Answers, *, width: int | None, colour: bool) -> str:
    """Answers side by side in `width` columns where that is enough, else below each other; None: not on a terminal."""
    count = len(told.models)
    each = (width - len(BETWEEN) * (count - 1)) // count if width else 0
    beside = count > 1 and each >= NARROWEST
    wide = width or FENCE_WIDTH
    longest = max(cell_len(shown(model.name)) for model in told.models)
    rows: list[Row] = []
    for model in told.models:
        name = shown(model.name)
        rows.append([Piece(name, "name"), Piece(" " * (longest - cell_len(name) + 2)), Piece(shown(model.place))])
    for number, exchange in enumerate(told.exchanges, start=1):
        rows += [[], *_question(exchange, f"{number}/{len(told.exchanges)}", wide), []]
        base = _base_text(exchange)
        cells = [_cell(reply, base, each if beside else wide - 2, marks=not colour) for reply in exchange.replies]
        rows += _beside(cells, each) if beside else _below(cells)
    return "\n".join(_painted(row) if colour else line("".join(piece.text for piece in row).rstrip()) for row in rows)


def _question(exchange: Exchange, number: str, width: int) -> Iterator[Row]:
    where = f"  {shown(exchange.where)}" if exchange.where else ""
    yield [Piece(f"── {number}{where}", "quiet")]
    for name, words in (("about", exchange.context), ("asked", exchange.question), ("right", exchange.answer)):
        for place, row in enumerate(_wrapped_text(_cut(words, ENOUGH), width - 7) if words else ()):
            yield [Piece(f"{name if place == 0 else '':<7}", "quiet"), *row]


def _cell(reply: Reply, base: str | None, width: int, *, marks: bool) -> Cell:
    relation = {None: "", True: "  = base", False: "  ≠ base"}[reply.same]
    head = [Piece(f"{shown(reply.model)}{relation}", "name")]
    foot = _words(_figures(reply), "quiet")
    return Cell([*_wrapped(head, width)], _body(reply, base, width, marks=marks), [*_wrapped(foot, width)])


def _body(reply: Reply, base: str | None, width: int, *, marks: bool) -> list[Row]:
    if reply.unanswered is not None:
        return list(_wrapped(_words(f"(no answer: {shown(reply.unanswered)})", "quiet"), width))
    if reply.same:
        return [[Piece("(the same)", "quiet")]]
    if not reply.text:
        return [[Piece("(empty)", "quiet")]]
    rows: list[Row] = []
    for row in _compared(reply.text, base if reply.same is False else None):
        for part in _wrapped(row, width):
            rows.append(part)
            if marks and any(piece.style == "new" for piece in part):
                under = ("^" if piece.style == "new" else " " for piece in part for _ in range(cell_len(piece.text)))
                rows.append([Piece("".join(under).rstrip())])
    return rows


def _beside(cells: Sequence[Cell], width: int) -> Iterator[Row]:
    for part in ("head", "body", "foot"):
        for rows in zip_longest(*(getattr(cell, part) for cell in cells), fillvalue=[]):
            whole: Row = []
            for place, row in enumerate(rows):
                if place:
                    whole.append(Piece(BETWEEN, "quiet"))
                whole += row
                if place + 1 < len(rows):
                    whole.append(Piece(" " * (width - sum(cell_len(piece.text) for piece in row))))
            yield whole


def _below(cells: Iterable[Cell]) -> Iterator[Row]:
    for cell in cells:
        yield from cell.head
        yield from ([Piece("  "), *row] for row in (*cell.body, *cell.foot))


def _figures(reply: Reply) -> str:
    told = [] if reply.score is None else [f"score {reply.score:.2f}"]
    if reply.unanswered is None:
        if reply.tokens is not None:
            told.append(f"{reply.tokens} token{'' if reply.tokens == 1 else 's'}{', cut there' if reply.cut else ''}")
        told.append("kept from earlier" if reply.seconds is None else f"{reply.seconds:.2f} s")
    return " · ".join(told)


def _painted(row: Row) -> str:
    return "".join(f"{STYLES[piece.style]}{piece.text}{PLAIN}" if piece.style else piece.text for piece in row)


# --- what differs, and how it is cut into rows --------------------------------------------------------------------


def _base_text(exchange: Exchange) -> str | None:
    """The answer that the others are compared with."""
    return next((reply.text for reply in exchange.replies if reply.same is None and not reply.unanswered), None)


def _words(words: str, style: Literal["", "quiet"] = "") -> Row:
    return [Piece(part, style) for part in re.findall(r"\s+|\S+", words)]


def _lines(told: str) -> list[str]:
    return [shown(part.rstrip("\r").expandtabs(4)) for part in told.split("\n")]


def _wrapped_text(told: str, width: int) -> Iterator[Row]:
    for part in _lines(told):
        yield from _wrapped(_words(part), width)


def _compared(told: str, base: str | None) -> list[Row]:
    """The lines of a text, the words marked that the base's does not have there; none where little is alike."""
    rows = [_words(part) for part in _lines(told)]
    places = [(at, place) for at, row in enumerate(rows) for place, piece in enumerate(row) if piece.text.strip()]
    own = [rows[at][place].text for at, place in places]
    other = " ".join(_lines(base or "")).split()
    if not other or max(len(own), len(other)) > MOST_WORDS:
        return rows
    matcher = SequenceMatcher(None, other, own, autojunk=False)
    if matcher.ratio() < ALIKE:
        return rows
    for kind, _, _, begin, end in matcher.get_opcodes():
        for at, place in places[begin:end] if kind != "equal" else ():
            rows[at][place] = Piece(rows[at][place].text, "new")
    return rows


def _wrapped(row: Row, width: int) -> Iterator[Row]:
    """Cut to rows of at most `width` columns, between words where that can be."""
    current: Row = []
    room = width
    for piece in row:
        for part in chop_cells(piece.text, width):
            size = cell_len(part)
            if size > room and current:
                yield current
                current, room = [], width
                if part.isspace():
                    continue
            current.append(Piece(part, piece.style))
            room -= size
    yield current


# --- Markdown ---------------------------------------------------------------------------------------------------


def markdown(told: Answers) -> str:
    """A comment of at most `LONGEST` characters in which nothing acts; what was left out is said."""
    heading = "### Answers side by side"
    names = "\n".join(f"| {code(model.name)} | {code(model.place)} |" for model in told.models)
    blocks = [f"{heading}\n\n| name | model |\n|---|---|\n{names}"]
    blocks += [_block(exchange, number) for number, exchange in enumerate(told.exchanges, start=1)]
    note = "_{} of the {} questions are left out here: a comment holds no more. `--format json` tells all of them._"
    return fitting(blocks, note, len(told.exchanges))


def _block(exchange: Exchange, number: int) -> str:
    where = f" {code(exchange.where)}" if exchange.where else ""
    parts = [f"#### Question {number}{where}", _fenced(_wrapped_text(_cut(exchange.question), FENCE_WIDTH))]
    if exchange.context:
        passage = _fenced(_wrapped_text(_cut(exchange.context), FENCE_WIDTH))
        parts.append(f"<details><summary>Passage</summary>\n\n{passage}\n\n</details>")
    if exchange.answer is not None:
        parts.append(f"The right answer:\n\n{_fenced(_wrapped_text(_cut(exchange.answer), FENCE_WIDTH))}")
    short = all(reply.unanswered is None and _is_inline(reply.text) for reply in exchange.replies)
    parts.append(_table(exchange.replies, answers=short))
    if short:
        return "\n\n".join(parts)
    base = _base_text(exchange)
    for reply in (reply for reply in exchange.replies if not reply.same):
        cut = reply.model_copy(update={"text": _cut(reply.text)})
        body = _fenced(_body(cut, base, FENCE_WIDTH, marks=True))
        parts.append(f"<details open><summary>{_title(reply)}</summary>\n\n{body}\n\n</details>")
    return "\n\n".join(parts)


def _table(replies: Sequence[Reply], *, answers: bool) -> str:
    scored = any(reply.score is not None for reply in replies)
    heads = ["model", *["answer"] * answers, "beside the base", *["score"] * scored, "tokens", "seconds"]
    rows = [heads, ["---"] * (2 + answers) + ["--:"] * (2 + scored)]
    for reply in replies:
        relation = {None: "", True: "same", False: "differs"}[reply.same] if reply.unanswered is None else "no answer"
        rows.append(
            [
                code(reply.model),
                *([f"`{shown(reply.text)}`"] if answers else []),
                relation,
                *([f"{reply.score:.2f}" if reply.score is not None else ""] if scored else []),
                f"{reply.tokens}{' (cut)' if reply.cut else ''}" if reply.tokens is not None else "",
                f"{reply.seconds:.2f}" if reply.seconds is not None else "",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _title(reply: Reply) -> str:
    """A name inside of HTML, where Markdown's own code marks mean nothing."""
    return f"<code>{code(reply.model)[1:-1]}</code>"


def _is_inline(told: str) -> bool:
    """Whether an answer can stand as code in a table as it is."""
    told_so = shown(told)
    return 0 < len(told_so) <= INLINE and told_so == told.strip() and not re.search(r"[`|\\]", told_so)


def _fenced(rows: Iterable[Row]) -> str:
    """Rows inside a fence that nothing in them can close."""
    listed = [line("".join(piece.text for piece in row).rstrip()) for row in rows]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", "\n".join(listed))), default=0))
    return "\n".join([f"{fence}text", *listed, fence])


def _cut(told: str, most: int = SECTION) -> str:
    return told if len(told) <= most else f"{told[:most]} … ({len(told) - most} more characters)"
