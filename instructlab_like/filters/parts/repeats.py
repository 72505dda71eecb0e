"""Whether question and answer are one text, or one is contained in the other where it has no business."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.sides import Fault
from instructlab_like.records import normalise

WORDS = re.compile(r"[^\W\d_]{2,}")
UNSPACED = re.compile("[぀-ヿ㐀-䶿一-鿿]")
ENDED = re.compile(r"[.:!?。？！](?<!\.\.\.)[\s\"*]*$")
ENDS = re.compile(r"[.!?。？！](?:\s|\Z)")
OWN_TEXT = re.compile(  # a question that brings along a text, of which the answer may be a part
    r":|extract|copy|quote|sentence|text|passage|paragraph|correct|fix|proofread|edit|rewrite|translat|repeat"
    r"|punctuat|grammar|\n",
    re.IGNORECASE,
)
ORDER = re.compile(  # a text that begins so is a task, and no text to go on with
    r"explain|describe|write|list|give|name|summari[sz]e|tell|define|compare|discuss|create|generate|provide|outline"
    r"|identify"
    r"|suggest|find|calculate|erklär|beschreib|nenne|schreib|explica|escribe|explique|décri|écri|spiega|scrivi"
    r"|descreva",
    re.IGNORECASE,
)
START = 12  # characters that must agree before more is compared


def copied(question: str, answer: str) -> Fault | None:
    """The same text twice, the whole question at the head of the answer or inside it, or the answer in the question."""
    asked, told = question.strip(), answer.strip()
    head = asked[:START].casefold()
    if not head:
        return None
    if abs(len(asked) - len(told)) <= 8 + len(asked) // 8 and is_same(asked, told):
        return "question-repeated", "the answer repeats the question"
    at = told.casefold().find(head) if len(told) > len(asked) else -1
    if at >= 0 and stands_in(asked, told[at:], first=at <= 3):
        return "question-repeated", "the answer holds the whole question"
    if mark := asked.find("?") + 1 or asked.find("？") + 1:
        rest = asked[mark:].strip()
        if rest and len(rest) <= len(told) + 3 and many(asked[:mark]) and normalise(rest) == normalise(told) != "":
            return "answer-in-question", "the question ends in its answer"
    if len(asked) > len(told) > 40 and asked.endswith(told) and not OWN_TEXT.search(asked[: -len(told)]):
        before = asked[: -len(told)].strip()
        if many(before) and len(ENDS.findall(before)) == 1 and ENDED.search(before):
            return "answer-in-question", "the question ends in its answer"
    return None


def is_same(question: str, answer: str) -> bool:
    if question.casefold() == answer.casefold():
        return True
    asked = normalise(question)
    return bool(asked) and asked == normalise(answer)


def stands_in(question: str, answer: str, *, first: bool) -> bool:
    """Whether a question of some length is repeated to its end: with its question mark, or first and with its stop."""
    if not many(question) or not ENDED.search(question) or (not first and len(WORDS.findall(question)) == 4):
        return False
    whole, rest = normalise(question), answer[len(question.rstrip('.:!?。？！ *"')) :].lstrip(' *"')
    if not normalise(answer[: len(question) + 8]).startswith(whole):
        return False
    if question.rstrip()[-1] in "?？":
        return rest[:1] in ("?", "？")
    behind = rest.lstrip(".:!。！")
    return bool(ORDER.match(question)) or (first and behind[:1] in ("", "\n"))


def many(text: str) -> bool:
    """Whether a text has enough words for its repetition to be no chance."""
    return len(WORDS.findall(text)) >= 4 or len(UNSPACED.findall(text)) >= 6
