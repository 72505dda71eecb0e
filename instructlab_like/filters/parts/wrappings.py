"""Whether a whole answer is wrapped in a form that the question did not ask for."""

from __future__ import annotations

import re

import orjson

from instructlab_like.filters.parts.code_blocks import FENCE, reads_like_code
from instructlab_like.filters.parts.sides import Fault, quoted
from instructlab_like.filters.parts.wanted import CODE, DATA, WEB, about

# Fields that name the parts of an exchange and not what it is about.
FRAME_TEXT = """answer answers response output reply completion result final_answer finalanswer question
questions instruction input text content message generated_text assistant role prediction explanation reasoning
antwort respuesta réponse risposta resposta ответ 答案 回答"""
FRAME = frozenset(FRAME_TEXT.split())
ELEMENT = re.compile(
    r"\A\s*(?:<\?xml[^>]*>\s*)?<(?P<tag>[a-zA-Z][\w:.-]*)(?:\s[^<>]*)?>(?P<inside>.*)</(?P=tag)>\s*\Z", re.DOTALL
)
LITERAL = re.compile(r"\A\s*\{\s*'(\w+)'\s*:")
PLAIN = frozenset(("", "markdown", "md", "text", "txt", "plaintext", "plain", "none", "output", "answer"))
DRAWN = re.compile(
    r"markdown|read ?me|\btable|diagram|ascii|chart|tree|drawing|\bart\b|log\b|format|template|output|text file|code"
    r"|monospace|verbatim",
    re.IGNORECASE,
)
SHORT = 400  # characters of a question in which what is asked for is looked up from both ends


def wrapped(answer: str, question: str) -> Fault | None:
    """A JSON object, an XML or HTML element, or a code block of prose that is the whole answer, and not asked for."""
    text = answer.strip()
    match text[:1]:
        case "{" | "[":
            return in_json(text, question)
        case "<":
            return in_element(text, question)
        case "`" | "~":
            return in_fence(text, question)
    return None


def in_json(text: str, question: str) -> Fault | None:
    """Fields of an exchange around the answer, or one field of any name; data of other fields may be the task."""
    if text[-1] not in "}]" or re.search(
        r"json|ya?ml|dictionar|\bdict\b|\bapi\b|schema|object|payload|format", question, re.I
    ):
        return None
    fields = fields_of(text)
    framed = fields & FRAME
    if framed and not ({"{", "["} & set(question)):
        return "wrapped", f"the whole answer is JSON with the field {quoted(min(framed))}"
    if len(fields) == 1 and not about(DATA, question) and not about(CODE, question):
        return "wrapped", f"the whole answer is JSON with the one field {quoted(min(fields))}"
    return None


def fields_of(text: str) -> frozenset[str]:
    try:
        read: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = LITERAL.match(text)
        return frozenset((found[1].casefold(),)) if found else frozenset()
    if isinstance(read, list) and read:
        read = read[0]
    return frozenset(str(name).casefold() for name in read) if isinstance(read, dict) else frozenset()


def in_element(text: str, question: str) -> Fault | None:
    found = ELEMENT.match(text)
    if not found or f"<{found['tag']}" in question or about(WEB, question) or about(CODE, question):
        return None
    return "wrapped", f"the whole answer stands in the element {quoted('<' + found['tag'] + '>')}"


def in_fence(text: str, question: str) -> Fault | None:
    """A block without a language, or of Markdown or plain text, that holds prose; JSON in a block is JSON."""
    lines = text.splitlines()
    opened, closed = FENCE.match(lines[0]), FENCE.match(lines[-1])
    if len(lines) < 3 or not opened or not closed or closed["info"].strip():
        return None
    if any(FENCE.match(line) for line in lines[1:-1]) and opened["info"].strip() not in ("markdown", "md"):
        return None
    inside, language = "\n".join(lines[1:-1]).strip(), opened["info"].strip().casefold()
    if language in ("json", "python", "js", "javascript") and inside[:1] in ("{", "["):
        return in_json(inside, question)
    if language in ("xml", "html"):
        return in_element(inside, question)
    if language not in PLAIN or about(CODE, question) or DRAWN.search(question):
        return None
    if inside[:1] in ("{", "[") and (fault := in_json(inside, question)):
        return fault
    if language in ("markdown", "md") or is_prose(inside):
        return "wrapped", f"the whole answer stands in a code block, {quoted(lines[0])}"
    return None


def is_prose(text: str) -> bool:
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    return letters >= 0.9 * len(text) and len(text) > 1 and not reads_like_code(text) and text[:1].isupper()
