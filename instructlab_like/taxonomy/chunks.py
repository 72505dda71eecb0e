"""Cuts a document along its Markdown structure into chunks; each one is an exact byte span of its source.

A chunk never crosses a heading. Within a section whole blocks are put together up to the limit; a block over the limit
is cut between list items or lines, then between sentences, and between words only where nothing else is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from instructlab_like.records import Chunk
from instructlab_like.taxonomy.documents import Document

# Scripts that put no blanks between words count every character as one.
_DENSE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_DENSE}]|[^\s{_DENSE}]+")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_MARKUP = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_SENTENCE_END = re.compile(r"""[.!?…]["'”’»)\]*_]*\s+|[。！？]["”』」]*\s*""")
_ABBREVIATION = re.compile(
    r"(?:\b[^\W\d_]|\b(?:e\.g|i\.e|cf|vs|ca|approx|Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|No|Fig|Vol|pp?))\.$"
)
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class _Span:
    """Characters `start:end` of the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Block:
    span: _Span
    seams: tuple[int, ...]  # where the block falls apart by its own structure


@dataclass(frozen=True, slots=True)
class _Passage:
    """Blocks of one section with nothing but blanks between them."""

    headings: tuple[str, ...]
    blocks: tuple[_Block, ...]


def cut(document: Document, *, words: int) -> list[Chunk]:
    """The chunks of a document in their order, none of more than `words` words and no byte in two of them."""
    text = document.data.decode("utf-8")
    chunks = []
    character = byte = 0
    for passage in _passages(text):
        pieces = [piece for block in passage.blocks for piece in _fitting(text, block, words)]
        for span in _packed(text, pieces, words):
            start = byte + len(text[character : span.start].encode())
            character, byte = span.end, start + len(text[span.start : span.end].encode())
            chunks.append(
                Chunk(
                    repo=document.repo,
                    commit=document.commit,
                    document=document.path,
                    blob=document.blob,
                    start=start,
                    end=byte,
                    headings=passage.headings,
                    text=text[span.start : span.end],
                )
            )
    return chunks


def count(text: str) -> int:
    """How many words a text has; in scripts without blanks every character is one."""
    return sum(1 for _ in _WORD.finditer(text))


# --- structure --------------------------------------------------------------------------------------------------


def _passages(text: str) -> Iterator[_Passage]:
    """The document's sections without their headings, broken where something stands that gives no chunk."""
    first = 1 if text.startswith("\ufeff") else 0
    lines = [first, *(line.end() for line in _NEWLINE.finditer(text, first)), len(text)]
    titles: list[tuple[int, str]] = []  # level and title of the headings above
    blocks: list[_Block] = []
    for group in _groups(_MARKDOWN.parse(text[first:])):
        opening = group[0]
        block = _block(group, lines)
        heading = opening.type == "heading_open"
        gap = text[blocks[-1].span.end : block.span.start].strip() if blocks else ""
        if heading or gap or not _has_body(group):
            if blocks:
                yield _Passage(tuple(title for _, title in titles), tuple(blocks))
            blocks = []
        if heading:
            level = int(opening.tag[1:])
            titles = [*(title for title in titles if title[0] < level), (level, _title(group))]
        elif _has_body(group):
            blocks.append(block)
    if blocks:
        yield _Passage(tuple(title for _, title in titles), tuple(blocks))


def _groups(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The tokens of each outermost block. Link definitions have none."""
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []


def _block(group: Sequence[Token], lines: Sequence[int]) -> _Block:
    opening = group[0]
    top, bottom = opening.map or (0, 0)
    if opening.type.endswith("_list_open"):
        inner = [token.map[0] for token in group if token.type == "list_item_open" and token.level == 1 and token.map]
    elif opening.type in ("table_open", "fence", "code_block", "html_block"):
        inner = list(range(top, bottom))
    else:
        inner = []
    seams = tuple(lines[line] for line in inner if line > top)
    return _Block(_Span(lines[top], lines[min(bottom, len(lines) - 1)]), seams)


def _has_body(group: Sequence[Token]) -> bool:
    """Whether there is a word in it: a rule, an image alone, a comment or an empty block says nothing."""
    return any(re.search(r"\w", text) for token in group for text in _visible(token))


def _visible(token: Token) -> Iterator[str]:
    if token.type in ("fence", "code_block"):
        yield token.content
    elif token.type == "html_block":
        yield _MARKUP.sub(" ", token.content)
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            yield child.content


def _title(group: Sequence[Token]) -> str:
    shown = []
    for child in group[1].children or ():
        if child.type in ("text", "code_inline"):
            shown.append(child.content)
        elif child.type == "softbreak":
            shown.append(" ")
    return "".join(shown).strip()


# --- size -------------------------------------------------------------------------------------------------------


def _fitting(text: str, block: _Block, words: int) -> Iterator[_Span]:
    """The block, or the largest parts of it that keep to the limit."""
    whole = _trimmed(text, block.span)
    if count(text[whole.start : whole.end]) <= words:
        yield whole
        return
    for part in _parted(text, whole, block.seams):
        if count(text[part.start : part.end]) <= words:
            yield part
            continue
        for sentence in _parted(text, part, _sentence_starts(text, part)):
            yield from _parted(text, sentence, _every(text, sentence, words))


def _parted(text: str, span: _Span, seams: Iterable[int]) -> Iterator[_Span]:
    """The span, cut at each seam inside it; parts of blanks only are left out."""
    borders = [span.start, *(seam for seam in seams if span.start < seam < span.end), span.end]
    for start, end in pairwise(borders):
        part = _trimmed(text, _Span(start, end))
        if part.start < part.end:
            yield part


def _sentence_starts(text: str, span: _Span) -> Iterator[int]:
    for end in _SENTENCE_END.finditer(text, span.start, span.end):
        following = text[end.end() : end.end() + 1]
        dot = end.start() + 1
        if following.islower() or (text[dot - 1] == "." and _ABBREVIATION.search(text, max(0, dot - 12), dot)):
            continue
        yield end.end()


def _every(text: str, span: _Span, words: int) -> list[int]:
    """Where every `words` words end; no seam at all if the span keeps to the limit."""
    starts = [word.start() for word in _WORD.finditer(text, span.start, span.end)]
    return starts[words::words]


def _packed(text: str, pieces: Sequence[_Span], words: int) -> Iterator[_Span]:
    """Neighbouring pieces put together as long as they keep to the limit; what holds no word is left out."""
    sizes = [count(text[piece.start : piece.end]) for piece in pieces]
    first = 0
    while first < len(pieces):
        last, size = first, sizes[first]
        while last + 1 < len(pieces) and size + sizes[last + 1] <= words:
            last += 1
            size += sizes[last]
        span = _Span(pieces[first].start, pieces[last].end)
        if re.search(r"\w", text[span.start : span.end]):
            yield span
        first = last + 1


def _trimmed(text: str, span: _Span) -> _Span:
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    return _Span(start, max(start, span.start + len(inside.rstrip())))
