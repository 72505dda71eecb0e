"""Sentences of a Markdown text as plain text, each character of which knows where it stands in the source.

The model-free rules read sentences; the spans let every answer point at the characters it came from.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

Span = tuple[int, int]


def words(text: str) -> frozenset[str]:
    """The words of a list written as a text."""
    return frozenset(text.split())


# Ends in a full stop without ending a sentence, whatever follows.
ABBREVIATIONS = words(
    """
    mr mrs ms dr prof rev hon st ste fr sr jr gen col capt lt sgt maj gov sen rep pres supt e.g i.e eg ie cf viz vs al
    ca c approx no nos vol vols pp ed eds fig figs sec ch dept est var subsp ssp sp spp jan feb mar apr jun jul aug
    sep sept oct nov dec mt ft nr
    """
)
# Ends in a full stop, and may well end the sentence too: what follows decides.
EITHER = words("etc inc ltd co corp bros u.s u.k u.s.a e.u d.c a.m p.m b.c a.d ph.d m.d b.a m.a")
OPENERS = words(
    """
    the a an in on at it its he she they his her their this that these those there when while after before during as
    since for from by with to if although however but and some many most each every both all we you i one two three
    another other such today
    """
)
BOUNDARY = re.compile(r"""[.!?]+["'”’)\]]*(?=\s|$)""")
WORD_BEFORE = re.compile(r"[^\s(\[\"“]+$")
LINK_CLOSE = re.compile(r"""\]\((?:[^()\\\n]|\\.|\n|\((?:[^()])*\))*\)|\]\[[^\[\]]*\]""")
MARKER = re.compile(r"(?:\s*(?:[-*+]|\d{1,9}[.)])(?=\s))+")
INLINE = re.compile(
    r"""(?P<escape>\\[!-/:-@\[-`{-~])
    |(?P<drop><!--.*?-->|<ref\b[^>]*/>|<ref\b.*?</ref>|<https?://[^>\s]+>|</?[A-Za-z][^<>]*>
        |\[\^[^\]\s]+\]|\[\d{1,3}\]|\[(?:citation|clarification)\ needed\]|`+)
    |(?P<emphasis>\*+|_+)
    |(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});)
    |(?P<space>\s+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text; character `i` of `plain` is rendered from characters `spans[i]` of the source."""

    plain: str
    spans: tuple[Span, ...]

    def __getitem__(self, part: slice) -> Text:
        return Text(self.plain[part], self.spans[part])

    def __bool__(self) -> bool:
        return bool(self.plain)

    @property
    def source(self) -> Span:
        """The characters of the source from the first to the last of this text."""
        return self.spans[0][0], self.spans[-1][1]

    def strip(self, characters: str = " ") -> Text:
        start = len(self.plain) - len(self.plain.lstrip(characters))
        return self[start : max(start, len(self.plain.rstrip(characters)))]

    def without(self, spans: Iterable[Span]) -> Text:
        """This text less the given parts, with no double space left where one stood."""
        kept: list[int] = []
        position = 0
        for start, end in [*spans, (len(self.plain), len(self.plain))]:
            kept += range(position, max(position, start))
            position = max(position, end)
        tidy = [i for n, i in enumerate(kept) if self.plain[i] != " " or (n and self.plain[kept[n - 1]] != " ")]
        return Text("".join(self.plain[i] for i in tidy), tuple(self.spans[i] for i in tidy)).strip()


@dataclass(frozen=True)
class Block:
    """A heading, paragraph or list item in reading order; `depth` counts the lists around it."""

    kind: Literal["heading", "paragraph", "item"]
    text: Text
    depth: int

    @cached_property
    def sentences(self) -> tuple[Text, ...]:
        return tuple(split(self.text))


def blocks(markdown: str) -> list[Block]:
    """The prose of a Markdown text. Tables, code, quotations and raw HTML are not prose and are left out."""
    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "reference"])
    lines = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", markdown)), len(markdown)]
    found = []
    for kind, depth, token in _prose(parser.parse(markdown)):
        first, last = token.map or (0, 0)
        start, end = lines[first], lines[min(last, len(lines) - 1)]
        if kind == "item" and (marker := MARKER.match(markdown, start, end)):
            start = marker.end()
        if kind == "heading":
            start = markdown.find(token.content[:1], start, end) if token.content else end
            end = start + len(token.content)
        text = render(markdown, start, end)
        if text:
            found.append(Block(kind, text, depth))
    return found


def _prose(tokens: list[Token]) -> Iterator[tuple[Literal["heading", "paragraph", "item"], int, Token]]:
    lists, closed, first_of_item = 0, 0, False
    for index, token in enumerate(tokens):
        if token.type in ("bullet_list_open", "ordered_list_open", "bullet_list_close", "ordered_list_close"):
            lists += token.nesting
        elif token.type in ("table_open", "blockquote_open", "table_close", "blockquote_close"):
            closed += token.nesting
        elif token.type == "list_item_open":
            first_of_item = True
        elif token.type == "inline" and not closed:
            if tokens[index - 1].type == "heading_open":
                yield "heading", lists, token
            else:
                yield ("item" if lists and first_of_item else "paragraph"), lists, token
            first_of_item = False


def render(markdown: str, start: int = 0, end: int | None = None) -> Text:
    """Inline Markdown between two offsets as plain text: marks, link targets, images and footnotes fall away."""
    end = len(markdown) if end is None else end
    hidden = _link_marks(markdown, start, end)
    plain: list[str] = []
    spans: list[Span] = []
    position = start
    while position < end:
        if position in hidden:
            position = hidden[position]
            continue
        match = INLINE.match(markdown, position, end)
        assert match is not None  # `other` takes any character
        kind, piece = match.lastgroup, match.group()
        shown = _shown(
            kind, piece, before=markdown[position - 1 : position], after=markdown[match.end() : match.end() + 1]
        )
        if not (shown == " " and (not plain or plain[-1] == " ")):
            plain += shown
            spans += [match.span()] * len(shown)
        position = match.end()
    return Text("".join(plain), tuple(spans)).strip()


def _shown(kind: str | None, piece: str, *, before: str, after: str) -> str:
    match kind:
        case "escape":
            return piece[1]
        case "drop":
            return ""
        case "emphasis":
            if piece[0] == "_":
                return piece if before.isalnum() and after.isalnum() else ""
            return piece if before.isspace() and after.isspace() else ""
        case "entity":
            return html.unescape(piece).replace("\xa0", " ")
        case "space":
            return " "
        case _:
            return piece


def _link_marks(markdown: str, start: int, end: int) -> dict[int, int]:
    """What of `[text](target)` is not text: offset of each hidden part -> its end. Images are hidden whole."""
    hidden: dict[int, int] = {}
    for close in LINK_CLOSE.finditer(markdown, start, end):
        depth, opening = 1, close.start() - 1
        while opening >= start:
            depth += {"]": 1, "[": -1}.get(markdown[opening], 0)
            if depth == 0:
                break
            opening -= 1
        if depth:
            continue
        if opening > start and markdown[opening - 1] == "!":
            hidden[opening - 1] = close.end()
        else:
            hidden[opening] = opening + 1
            hidden[close.start()] = close.end()
    return hidden


def split(text: Text) -> list[Text]:
    """The sentences of a block. Abbreviations, initials and decimals do not end one."""
    ends = [match.end() for match in BOUNDARY.finditer(text.plain) if _ends_sentence(text.plain, match)]
    cuts = [0, *ends] if ends and ends[-1] == len(text.plain) else [0, *ends, len(text.plain)]
    sentences = (text[start:end].strip() for start, end in pairwise(cuts))
    return [sentence for sentence in sentences if sentence]


def _ends_sentence(plain: str, stop: re.Match[str]) -> bool:
    after = plain[stop.end() :].lstrip()
    if not after:
        return True
    following = re.match(r"[\"'“‘(\[]*(\w*)", after)
    next_word = following.group(1) if following else ""
    if next_word[:1].islower():
        return False
    if not stop.group().startswith(".") or stop.group().startswith(".."):
        return True
    before = WORD_BEFORE.search(plain, 0, stop.start())
    word = before.group() if before else ""
    if len(word) == 1 and word.isalpha():  # an initial, unless it closes a sentence such as "It has vitamin C."
        return word.isupper() and next_word.lower() in OPENERS and next_word.lower() != "a"
    if word.lower() in ABBREVIATIONS:
        return word.lower() == "no" and not next_word.isdigit()
    if word.lower() in EITHER:
        return next_word.lower() in OPENERS
    return True
