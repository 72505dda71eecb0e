"""Finds the words that a teacher quotes from a passage: to the letter, or as they read without Markdown's marks."""

from __future__ import annotations

import re

# A link or an image reads as its text, wherever it leads: [Grus](Grus_(constellation) "wikilink").
LINK = re.compile(r"!?\[(?P<text>[^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)")
MARKS = frozenset("*_`\\")
ALIKE = {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "–": "-", "—": "-", "−": "-"}
OUTSIDE = "\"'“”„‘’‚«»‹› \t\r\n…."  # put around a quotation, or after it


def find(quoted: str, passage: str) -> tuple[int, int] | None:
    """The span of the passage that is quoted, the first of several; None when it was not copied from there.

    Passed over are white space, case, emphasis, where links lead, the shape of quotation marks and dashes, and what is
    put around a quotation: a teacher drops or sets these without changing what it quotes. Its words and their order
    must be the passage's.
    """
    wanted = quoted.strip()
    if not wanted:
        return None
    start = passage.find(wanted)
    if start >= 0:
        return start, start + len(wanted)
    read, places = reading(passage)
    for words in dict.fromkeys((reading(wanted)[0].strip(), reading(wanted.strip(OUTSIDE))[0].strip())):
        start = read.find(words) if words else -1
        if start >= 0:
            return places[start], places[start + len(words) - 1] + 1
    return None


def reading(text: str) -> tuple[str, list[int]]:
    """How a Markdown text reads, in small letters and on one line, and the place in it of each of these characters."""
    read: list[str] = []
    places: list[int] = []
    for start, end in shown(text):
        for place in range(start, end):
            sign = text[place]
            if sign in MARKS:
                continue
            if sign.isspace():
                if not read or read[-1] == " ":
                    continue
                sign = " "
            small = ALIKE.get(sign) or sign.lower()
            read.append(small if len(small) == 1 else sign)
            places.append(place)
    return "".join(read), places


def shown(text: str) -> list[tuple[int, int]]:
    """The spans of a text without the marks and targets of its links."""
    spans, last = [], 0
    for link in LINK.finditer(text):
        spans += [(last, link.start()), link.span("text")]
        last = link.end()
    return [*spans, (last, len(text))]
