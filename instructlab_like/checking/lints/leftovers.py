"""Text that was to be replaced: template slots, the scaffold's own words, TODO, lorem ipsum, "n/a".

A text that is nothing else is an error. Inside a longer text such words may be meant (a form letter, a page about
templates), so there they are an error only where no writer means them. Code in backticks is left alone. The patterns
are English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from instructlab_like.checking.pairs import held_out_pairs, seed_pairs
from instructlab_like.checking.spots import Spot, spot
from instructlab_like.checking.subject import Subject, Text, texts
from instructlab_like.records import normalise
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import ATTRIBUTION, SIMULATION

_CODE = "leftover-text"
_FIX = "write what belongs here, or put it in backticks if it is meant as it stands"

_ANSWERS = ("answer", "accept")
_HEAD = ("created_by", "task_description", "domain", "document_outline")
_SOURCE = ("repo", "commit", "patterns")
_PROSE = (*_HEAD, "question", "questions", "held_out_questions", "context", "answer")

# --- a text that is nothing else --------------------------------------------------------------------------------

_LONGEST = 200  # characters
_NOUN = r"(?:question|answer|context|passage|seed example|task description|document outline|domain)"
_NAMED = re.compile(
    rf"(?:your |my |the |an? )?(?:(?:example|sample|test|dummy|first|new) )?{_NOUN}s?(?: \d+)?(?: here)?"
)
_BARE = re.compile(
    rf"(?!answer$)(?:the |an? )?{_NOUN}s?"
)  # these may be right answers: what is the highest rank? domain
_SLOT = re.compile(r"<[^<>\n]+>|\[[^\[\]\n]+\]|\{[^{}\n]+\}|\{\{.*\}\}|\{%.*%\}", re.DOTALL)
_ANSWER_SLOT = re.compile(
    r"[<\[{]+\s*(?:(?:your|the|my|insert|enter|add|put|type|write|paste|fill in|provide)[ _-].*"
    r"|answer[ _-]?\d*|placeholder)\s*[>\]}]+",
    re.IGNORECASE,
)
_WORDS = frozenset(
    (
        *("todo", "tbd", "fixme", "lorem ipsum", "replace me", "replace this", "replaceme", "change me", "changeme"),
        *("fill me in", "fill this in", "to be filled in", "to be done", "to be added", "to be written", "placeholder"),
        *("insert text here", "your text here", "text goes here", "answer goes here", "question goes here"),
        *("asdf", "example question", "example answer", "write your question here", "write your answer here"),
        *("enter your question here", "enter your answer here", "insert question here", "insert answer here"),
        *("context goes here", "insert context here"),
    )
)
_NO_ANSWERS = frozenset(("xxx", "foo", "foo bar", "test", "test test", "string", "text", "example", "to do"))
_IN_HEAD = {
    "created_by": frozenset(
        f"{whose}{name}"
        for whose in ("", "your ", "the ", "my ")
        for name in ("username", "user name", "github username", "github user name", "github handle", "github id")
    )
    | {"your name", "name", "github", "your github name", "user_name", "github_username", "your_username"}
    | {"your_github_username", "your_name", "your github id or name"},
    "domain": frozenset(("name of the domain", "the domain", "subject", "topic", "as on a textbook s cover astronomy")),
    "task_description": frozenset(
        (
            *("describe the task", "description of the task", "a description of the task", "describe your task"),
            *("description", "describe the skill", "what is to be done as you would tell a colleague"),
            "what is to be done with the text as you would tell a colleague",
        )
    ),
    "document_outline": frozenset(
        (
            *("describe the document", "outline of the document", "an outline of the document", "outline"),
            *("overview of the document", "what the document is about in one sentence"),
        )
    ),
}
_SAYS_NOTHING = re.compile(r"[\s.…‥・–—_?*~/\\-]+|n\s?/\s?a\.?|n\.a\.", re.IGNORECASE)
_ASKS_FOR_A_SIGN = re.compile(
    r"\b(?:sign|symbol|mark|operator|character|punctuation|dash|hyphen|minus|dots?|ellipsis|wildcard|separator|key)s?\b"
    r"|\b(?:morse|regex|glob|abbreviat\w+|acronym)\b",
    re.IGNORECASE,
)

# --- inside a text ----------------------------------------------------------------------------------------------

Severity = Literal["error", "warning"]


class _Pattern(NamedTuple):
    severity: Severity
    pattern: re.Pattern[str]


class _Hit(NamedTuple):
    severity: Severity
    start: int
    end: int


_FILL = r"(?:your|my|insert|enter|add|put|type|write|paste|fill in|provide|replace)"
_ERRORS = (
    r"(?i:\blorem ipsum dolor\b)",
    rf"(?i:[<\[{{]\s*{_FILL}\b[^<>\[\]{{}}\n]{{0,40}}\b{_NOUN}\b[^<>\[\]{{}}\n]{{0,40}}[>\]}}](?!\())",
    rf"(?i:\b{_FILL} (?:\w+ )?{_NOUN}(?: text)? (?:goes )?here\b)",
    r"(?m:^[ \t]*(?:TODO|FIXME|TBD|XXX)[ \t]*(?:[:([]|[-–—] ))",
)
_WARNINGS = (
    r"\b(?:TODO|FIXME|TBD)\b(?![-_])",
    r"(?<![\w-])X{3,}(?![\w-])",
    r"(?i:\blorem ipsum\b)",
    r"\b(?:REPLACE|CHANGE)[_ -]?ME\b|\bFILL[_ ](?:ME[_ ]|THIS[_ ])?IN\b|\bPLACEHOLDER\b",
    r"(?i:\b(?:text|description|name|title) goes here\b)",
    rf"(?i:\[{_FILL}\b[^\[\]\n]{{1,60}}\](?!\())",
    r"(?i:<(?:your|insert|enter|fill in|paste|name of|path to)\b[^<>\n]{1,60}>)",
    r"(?is:<(?:question|answer|context|placeholder|seed[ _-]example)(?:[ _-]?\d+)?>(?!.{0,300}</))",
)
_BRACES = r"(?<![\w$\\{])\{\{[ \t]*[a-zA-Z_][\w.]{0,60}[^{}\n]{0,60}\}\}(?!\})|\{%-?[ \t]*\w[^{}\n]{0,80}%\}"
_SOURCE_SLOT = r"<[^<>\n]*>"
_ERROR_PATTERNS = tuple(_Pattern("error", re.compile(pattern)) for pattern in _ERRORS)
_PROSE_PATTERNS = (*_ERROR_PATTERNS, *(_Pattern("warning", re.compile(pattern)) for pattern in _WARNINGS))
_PATTERNS = (*_PROSE_PATTERNS, _Pattern("warning", re.compile(_BRACES)))
_SOURCE_PATTERNS = (_Pattern("error", re.compile(_SOURCE_SLOT)),)
_QUOTED_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)


def findings(subject: Subject) -> Iterable[Finding]:
    asking = _questions(subject)
    found = {name: Findings(subject.place.naming(name)) for name in subject.reading.sheets}
    for text in texts(subject):
        sheet = subject.reading.sheets[text.file].text
        for hit in _hits(text, asking.get(text.field, "")):
            _tell(found[text.file], spot(sheet, text, hit.start, hit.end), text, hit)
    return [*(finding for each in found.values() for finding in each.found), *_attribution(subject)]


def _questions(subject: Subject) -> dict[str, str]:
    """The question to each answer, by the answer's field, which no two files share."""
    return {
        pair.answer.field: pair.question.value
        for pair in (*seed_pairs(subject), *held_out_pairs(subject))
        if pair.answer and pair.question
    }


def _attribution(subject: Subject) -> Iterator[Finding]:
    found = Findings(subject.place.naming(ATTRIBUTION))
    text = subject.files.own.get(ATTRIBUTION, b"").decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        for hit in _inside(line, (*_ERROR_PATTERNS, *_SOURCE_PATTERNS)):
            _tell(found, Spot(number, hit.start + 1), Text(ATTRIBUTION, "", number, 1, line), hit)
    yield from found.found


def _tell(found: Findings, at: Spot, text: Text, hit: _Hit) -> None:
    tell = found.error if hit.severity == "error" else found.warning
    shown = " ".join(text.value[hit.start : hit.end].split())
    shown = shown if len(shown) <= 50 else f"{shown[:49]}…"
    tell(at, _CODE, f"{shown!r} looks like text that was to be replaced", fix=_FIX, field=text.field)


def _hits(text: Text, question: str) -> list[_Hit]:
    role = re.sub(r"\[\d+\]", "", text.field).rpartition(".")[2]
    value = text.value
    if role in _SOURCE:
        return _inside(value, _SOURCE_PATTERNS)
    simulated = text.file == SIMULATION
    if role in _PROSE and _is_leftover(value.strip(), role, question, simulated=simulated):
        start = len(value) - len(value.lstrip())
        return [_Hit("error", start, len(value.rstrip()))]
    return _inside(value, _PROSE_PATTERNS if simulated else _PATTERNS)


def _is_leftover(value: str, role: str, question: str, *, simulated: bool) -> bool:
    """Whether the whole of a text is something to be replaced."""
    if len(value) > _LONGEST:
        return False
    words = normalise(value)
    if words in _WORDS or words in _IN_HEAD.get(role, ()):
        return True
    if _SAYS_NOTHING.fullmatch(value):
        return not (role in _ANSWERS and _ASKS_FOR_A_SIGN.search(question))
    if _NAMED.fullmatch(words):
        return role not in _ANSWERS or not _BARE.fullmatch(words)
    if role in _ANSWERS:
        return not simulated and bool(_ANSWER_SLOT.fullmatch(value))
    return words in _NO_ANSWERS or (not simulated and bool(_SLOT.fullmatch(value)))


def _inside(value: str, patterns: Iterable[_Pattern]) -> list[_Hit]:
    """The first hit of each pattern that no hit of an earlier one covers."""
    prose = _QUOTED_CODE.sub(lambda code: "\0" * len(code[0]), value)
    hits: list[_Hit] = []
    for severity, pattern in patterns:
        for match in pattern.finditer(prose):
            if not any(hit.start < match.end() and match.start() < hit.end for hit in hits):
                hits.append(_Hit(severity, *match.span()))
                break
    return hits
