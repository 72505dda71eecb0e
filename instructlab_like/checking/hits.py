"""Finds by their characters: every match in a leaf's files is told once, at the place where it stands.

A YAML file is looked through twice: as it stands, comments and keys included, and value by value, for what shows only
when escapes and folds are undone.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Literal

from instructlab_like.checking.spots import Spot, spot
from instructlab_like.checking.subject import Subject, Text
from instructlab_like.errors import InputError
from instructlab_like.scans.found import MOST as COUNTED
from instructlab_like.scans.found import masked as masked
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.sources import is_readable
from instructlab_like.taxonomy.tree import ATTRIBUTION, HELD_OUT, LARGEST_DOCUMENT, QNA, SIMULATION, companions, content
from instructlab_like.taxonomy.yaml_lines import Items, Node, Scalar

SHOWN = 20  # findings of one look at a file; the rest is counted
LONGEST_PAGE = 200_000  # characters of a leaf's own file that is looked through for what is slow to find

_ODD_BREAK = re.compile("[\x85\u2028\u2029]")  # ends a line for YAML 1.1, and for nobody else
# A fold within what may be a number, or between a number and the word that says what it is.
_FOLD = re.compile(r"\n(?:(?<=[0-9)]\n)[ \t]*(?:[0-9]|[A-Z]{2})|(?<=[A-Z:.]\n)[ \t]*[0-9])")
_YAML_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[\x20-\x7e])")


@dataclass(frozen=True, slots=True)
class Hit:
    """One match in a text, and what is to be said about it."""

    start: int
    end: int
    code: str
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"
    field: str = ""


Look = Callable[[str], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Page:
    """One file of a leaf as text; bytes that are not UTF-8 stand in it as U+DC80 to U+DCFF."""

    path: str  # as messages name it
    text: str  # every line ends in a line feed
    root: Node | None = None  # of a YAML file that could be parsed


def sheets(subject: Subject) -> Iterator[Page]:
    """The leaf's YAML files, those that cannot be parsed included."""
    for name in (QNA, HELD_OUT, SIMULATION):
        if name in subject.files.own:
            sheet = subject.reading.sheets.get(name)
            root = sheet.root if sheet else None
            yield Page(subject.place.naming(name), _decoded(subject.files.own[name]), root)


def is_looked_through(page: Page) -> bool:
    """Whether a page is short enough for looks that may take their time; of one that is not, its length is an error."""
    return len(page.text) <= LONGEST_PAGE or not page.path.endswith((QNA, SIMULATION, ATTRIBUTION))


def others(subject: Subject) -> Iterator[Page]:
    """What else a leaf brings as text: its attribution, and the documents below its folder."""
    if ATTRIBUTION in subject.files.own:
        yield Page(subject.place.naming(ATTRIBUTION), _decoded(subject.files.own[ATTRIBUTION]))
    for name in companions(subject.place.folder):
        data = _document(subject, name) if is_readable(name) else None
        if data is not None:
            yield Page(subject.place.naming(name), _decoded(data))


def found_in(page: Page, look: Look, *, folds: bool = False) -> list[Finding]:
    """What a look at the page's text finds, in order of place; of very many hits the first, and a count of the rest.

    `folds`: whether there may be a line break of the file in what is looked for.
    """
    hits = _in_file(page, look)
    if page.root is not None and (hits or _reads_otherwise(page.text, folds=folds)):
        hits = _in_values(page.text, page.root, look, hits)
    if not hits:
        return []
    listed = sorted(hits, key=lambda hit: (hit.severity != "error", hit.start))
    starts = _line_starts(page.text)
    found = Findings(page.path)
    for hit in sorted(listed[:SHOWN], key=lambda hit: hit.start):
        _tell(found, hit, _position(starts, hit.start))
    if rest := listed[SHOWN:]:
        number = f"{len(rest)} more" if len(hits) < COUNTED else f"more than {len(rest):,} more"
        first = replace(
            rest[0], message=f"{number} such finds are not listed", fix="correct those listed, then check again"
        )
        _tell(found, first, _position(starts, first.start))
    return found.found


# --- the file as it stands --------------------------------------------------------------------------------------


def _decoded(data: bytes) -> str:
    text = data.decode("utf-8-sig", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _document(subject: Subject, name: str) -> bytes | None:
    try:
        return content(subject.place.root, f"{subject.place.path}/{name}", largest=LARGEST_DOCUMENT)
    except InputError:
        return None  # said where documents are asked for


def _in_file(page: Page, look: Look) -> list[Hit]:
    text = page.text
    if page.root is not None and "\\" in text:
        # Else `\n` before a word would count as a letter of it. What an escape stands for is looked at in the values.
        text = _YAML_ESCAPE.sub(_as_neighbour, text)
    return list(islice(look(text), COUNTED))


def _as_neighbour(escape: re.Match[str]) -> str:
    """What stands for an escape: blanks, or the picture or letter that it means, for what is written beside it."""
    if len(escape[0]) > 2:
        code = int(escape[0][2:], 16)
        if code <= 0x10FFFF and unicodedata.category(chr(code)) in ("So", "Sm", "Lo"):
            return chr(code) * len(escape[0])
    return " " * len(escape[0])


# --- value by value ---------------------------------------------------------------------------------------------


def _in_values(file: str, root: Node, look: Look, hits: list[Hit]) -> list[Hit]:
    """The hits of the file, those in keys and values put right by what the keys and values say."""
    texts: list[Text] = []
    _gather(root, "", texts, set())
    if not hits and not any(True for _ in look("\n".join(text.value for text in texts))):
        return hits
    lines = _line_starts(file)
    placed = sorted(((_offset(lines, text.line, text.column), text) for text in texts), key=itemgetter(0))
    hits = sorted(hits, key=lambda hit: hit.start)
    starts = [hit.start for hit in hits]
    bounds = [bisect_left(starts, begin) for begin, _ in placed] + [len(hits)]
    merged = hits[: bounds[0]]
    for number, (_, text) in enumerate(placed):
        within = hits[bounds[number] : bounds[number + 1]]
        merged += _put_right(within, text, file, list(islice(look(text.value), COUNTED)), look)
    return merged


def _reads_otherwise(text: str, *, folds: bool) -> bool:
    """Whether a value may hold what its file does not: by an escape, by a quote in quotes, by a fold."""
    return "\\" in text or "''" in text or (folds and bool(_FOLD.search(text)))


def _put_right(within: list[Hit], text: Text, file: str, told: list[Hit], look: Look) -> list[Hit]:
    """The hits from where a value begins to where the next one does, given those that its look tells."""
    if not told:
        return within
    field = "" if any(True for _ in look(text.field)) else text.field
    told = [replace(hit, field=field) for hit in told]
    if [file[hit.start : hit.end] for hit in within] == [text.value[hit.start : hit.end] for hit in told]:
        return [replace(hit, start=raw.start, end=raw.end) for raw, hit in zip(within, told, strict=True)]
    lines = _line_starts(file)
    plain = _ODD_BREAK.sub(" ", file)  # so that lines are counted as here, whatever `spot` takes for their end
    located = []
    for hit in told:
        first, last = (
            _offset(lines, place.line, place.column)
            for place in (spot(plain, text, hit.start, hit.end), spot(plain, text, hit.end - 1, hit.end))
        )
        located.append(replace(hit, start=first, end=max(first, last) + 1))
    located.sort(key=lambda hit: hit.start)
    return [*located, *_clear_of(located, within)]


def _clear_of(taken: list[Hit], hits: list[Hit]) -> Iterator[Hit]:
    starts = [hit.start for hit in taken]
    for hit in hits:
        after = bisect_right(starts, hit.start)
        if (after == 0 or taken[after - 1].end <= hit.start) and (after == len(taken) or starts[after] >= hit.end):
            yield hit


def _gather(node: Node, field: str, texts: list[Text], seen: set[int]) -> None:
    """Add every text and every key, with the field that it is or stands in; shared ones once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            texts.append(Text("", field, node.line, node.column, node.value))
    elif isinstance(node, Items):
        for number, item in enumerate(node.items, start=1):
            _gather(item, f"{field}[{number}]", texts, seen)
    else:
        for entry in node.entries:
            if isinstance(entry.key, str) and id(entry) not in seen:
                texts.append(Text("", field, entry.line, entry.column, entry.key))
            seen.add(id(entry))
            _gather(entry.value, f"{field}.{entry.key!s}" if field else str(entry.key), texts, seen)


# --- places -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in re.finditer("\n", text)))


def _offset(lines: Sequence[int], line: int, column: int) -> int:
    return lines[min(line, len(lines)) - 1] + column - 1


def _position(lines: Sequence[int], offset: int) -> Spot:
    line = bisect_right(lines, offset)
    return Spot(line, offset - lines[line - 1] + 1)


def _tell(found: Findings, hit: Hit, at: Spot) -> None:
    tell = found.error if hit.severity == "error" else found.warning
    tell(at, hit.code, hit.message, fix=hit.fix, field=hit.field)
