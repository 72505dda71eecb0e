"""Escapes and tags that were to be turned into text and stand in it as they are."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.code_blocks import outside_spans, reads_like_code
from instructlab_like.filters.parts.sides import Fault, quoted
from instructlab_like.filters.parts.wanted import CODE, WEB, about

ENTITY = re.compile(
    r"&(?:amp|quot|apos|nbsp|lt|gt|copy|reg|trade|[mn]dash|hellip|[lrsb][sd]?quo|[lr]aquo|bull|middot|deg|euro|pound"
    r"|cent|yen|sect|para"
    r"|times|divide|plusmn|frac\d\d|sup\d|micro|iexcl|iquest|shy|zwn?j|ensp|emsp|thinsp|szlig|[aeiouyAEIOUY](?:acute"
    r"|grave|circ|uml)"
    r"|[aonAON]tilde|[aA]ring|[ao]e?lig|[AO]E?lig|[cC]cedil|[oO]slash|larr|rarr|uarr|darr|harr|ne|le|ge|infin|radic"
    r"|sum|pi|alpha|beta|gamma|delta|omega"
    r"|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});"
)
# A line break as two characters, where it cannot begin a LaTeX command (\nu, \neq, \times) or a folder (C:\new).
BREAK = re.compile(
    r"(?<![A-Za-z]:)(?<![\\'\"„“‘«`])(?:\\r\\n|\\n(?=[^a-z]|\Z))|(?<=[.!?:,;])\\n|\\t(?=\\t|[A-Z0-9][^\\]{3}|- )"
    r"|\\\"(?=\w[^\"\n]{0,80}\\\")"
)
PATH = re.compile(r"\b[A-Za-z]:\\|\\\\\w+\\|(?:\\\w+){3}")
CODEPOINT = re.compile(r"\\u[0-9a-fA-F]{4}|\\x[89a-f][0-9a-f]|\\U000[0-9a-fA-F]{5}")
PERCENT = re.compile(r"(?<![\w/:?=&#%.+-])[^\W\d_]+(?:%20[^\W\d_]+){2,}|(?:%[C-F][0-9A-F]%[89AB][0-9A-F]){1,}")
SPOKEN = re.compile(
    r"new-?line|line (?:break|feed)|escape|backslash|regex|regular expression|\bstrings?\b|print|zeilenumbruch"
    r"|换行|改行",
    re.IGNORECASE,
)
URL = re.compile(r"https?:|www\.|\burl|uri\b|encod", re.IGNORECASE)
# Elements that a browser shows as text; others are rather names of something in angle brackets.
TAG = re.compile(
    r"<(?:/(?:p|div|span|font|li|ul|ol|td|tr|table|h[1-6]|strong|em|b|i|u|a|center|blockquote|body|html|section"
    r"|article|small|su[bp])>"
    r"|(?:br|hr) ?/?>|(?:p|div|span|font|a|img|table|td|ul|ol|li|h[1-6])(?:\s+[\w-]+=[\"'][^<>]*)?/?>|!--.*?-->"
    r"|!\[CDATA\["
    r"|/?ref\b[^<>]*>)",
    re.IGNORECASE | re.DOTALL,
)
INLINE = re.compile(r"</?(?:sup|sub|u|small)>", re.IGNORECASE)  # what Markdown has no sign for


def escapes(part: str, text: str, question: str) -> Fault | None:
    """An entity of HTML, a line break or a letter written as its escape, outside code and talk of code."""
    if "&" in text and (found := ENTITY.search(outside_spans(text))) and not web(question, text):
        return "html-entity", f"{quoted(found)} in the {part}"
    if "\\" in text and (found := escaped(text)) and not about(CODE, question) and not SPOKEN.search(text):
        return "escaped", f"{quoted(found)}, an escape that was never read, in the {part}"
    if (
        "%" in text
        and (found := PERCENT.search(outside_spans(text)))
        and not URL.search(text)
        and not URL.search(question)
    ):
        return "escaped", f"{quoted(found)}, escaped as in an address, in the {part}"
    return None


def escaped(text: str) -> re.Match[str] | None:
    prose = outside_spans(text)
    found = CODEPOINT.search(prose) or BREAK.search(prose)
    if not found or reads_like_code(prose):
        return None
    line = prose[prose.rfind("\n", 0, found.start()) + 1 : found.end() + 40].split("\n")[0]
    return None if PATH.search(line) or "$" in line or "\\(" in line else found


def elements(part: str, text: str, question: str) -> Fault | None:
    """A tag of HTML in prose; not in tables, where Markdown has no other line break."""
    if not ("<" in text and ">" in text) or not TAG.search(text) or web(question, text):
        return None
    prose = "\n".join(line for line in outside_spans(text).splitlines() if "|" not in line)
    found = TAG.search(prose)
    if not found or INLINE.fullmatch(found[0]) or reads_like_code(prose):
        return None
    return "html-tag", f"{quoted(found)} in the {part}"


def web(question: str, text: str) -> bool:
    return about(WEB, question) or about(CODE, question) or "HTML" in text or "XML" in text
