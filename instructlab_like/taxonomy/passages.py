"""Chooses passages of a document for the seed examples of a new leaf: prose, spread over the document's sections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from instructlab_like.records import Chunk
from instructlab_like.taxonomy.chunks import count, cut
from instructlab_like.taxonomy.documents import Document

# Five passages of the first size leave room for their questions within the 2,300 words that a leaf may have. The
# smaller sizes are for documents that hold fewer than five of the larger.
SIZES = (300, 150, 75, 40, 25)
LEAST_WORDS = 40  # of prose in a passage; of a small one half its size
LONGEST = 20_000  # characters; so few words in so many are data rather than prose
LEAST_PROSE = 0.75  # share of a passage's words that stand in sentences rather than in lists, tables or markup
_REPEATED = 0.5  # what a passage counts whose section has given one already

_APPARATUS = frozenset(
    {
        "acknowledgements",
        "bibliography",
        "citations",
        "contents",
        "external links",
        "footnotes",
        "further reading",
        "gallery",
        "index",
        "license",
        "licence",
        "notes",
        "notes and references",
        "references",
        "see also",
        "sources",
        "table of contents",
        "works cited",
    }
)
_NOT_PROSE = re.compile(r"\s{4,}|\s*(?:[-*+•]\s|\d+[.)]\s|\||#|<|!\[|[-=:|+\s]+$|\[\^?[^\]]+\]:|```|~~~|\^|\$\$)")
_LINK_TARGET = re.compile(r"\]\([^)]*\)|\{[^}]*\}|https?://\S+|<[^>]*>")
# What check does not let pass because a reviewer cannot see it, or not as it is: marks and turns of the direction of
# writing, line separators, private use, lost characters, noncharacters, tags.
_UNSEEN = re.compile(
    "[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ue000-\uf8ff\ufdd0-\ufdef\ufffd-\uffff\U000e0000-\U000e007f]"
)
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]*_]*(?:\s|$)|[。！？]")


def proposed(document: Document, *, wanted: int) -> list[Chunk]:
    """Up to `wanted` passages in the document's order, each an exact span of it; fewer where there is no more prose."""
    found: list[Chunk] = []
    for words in SIZES:
        chunks = [chunk for chunk in cut(document, words=words) if worth(chunk, words) > 0]
        if len(chunks) >= wanted:
            return _spread(chunks, wanted, words)
        if len(chunks) > len(found):
            found = chunks
    return found


def worth(chunk: Chunk, size: int) -> float:
    """How much there is to ask about: words in sentences, times their share of the passage; 0 for what is no prose.

    `size` is how many words a passage may have.
    """
    if any(title.strip().rstrip(":").lower() in _APPARATUS for title in chunk.headings):
        return 0.0
    if len(chunk.text) > LONGEST or _UNSEEN.search(chunk.text):
        return 0.0
    paragraphs = [_LINK_TARGET.sub("] ", text) for text in re.split(r"\n[ \t]*\n", chunk.text)]
    words = sum(count(text) for text in paragraphs)
    prose = sum(count(text) for text in paragraphs if _is_prose(text))
    if prose < min(LEAST_WORDS, size // 2) or prose < LEAST_PROSE * words:
        return 0.0
    return prose * prose / words


def _is_prose(paragraph: str) -> bool:
    """Whether a paragraph tells something: two sentences, or one of some length, and no list, table or code."""
    lines = paragraph.splitlines()
    if sum(bool(_NOT_PROSE.match(line)) for line in lines) * 2 > len(lines):
        return False
    sentences = len(_SENTENCE.findall(paragraph))
    return sentences > 1 or (sentences == 1 and count(paragraph) >= 12)


def _spread(chunks: Sequence[Chunk], wanted: int, size: int) -> list[Chunk]:
    """The best of each of `wanted` stretches of the document, from sections that have given none if possible."""
    picked: list[Chunk] = []
    for number in range(wanted):
        stretch = chunks[number * len(chunks) // wanted : (number + 1) * len(chunks) // wanted]
        given = {chunk.headings for chunk in picked}
        picked.append(
            max(stretch, key=lambda chunk: worth(chunk, size) * (_REPEATED if chunk.headings in given else 1))
        )
    return picked
