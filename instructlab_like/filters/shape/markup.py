"""Rejects what is not plainly a question and its answer: leftovers of chats, prompts, templates, batches and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.chat_markup import blocks, remains, token
from instructlab_like.filters.parts.code_blocks import outside_code
from instructlab_like.filters.parts.escapes import elements, escapes
from instructlab_like.filters.parts.labels import batch, given_away, labels, roles, tags
from instructlab_like.filters.parts.placeholders import filler, unfilled
from instructlab_like.filters.parts.repeats import copied
from instructlab_like.filters.parts.sides import Fault, trained
from instructlab_like.filters.parts.wanted import CODE, about
from instructlab_like.filters.parts.wrappings import wrapped
from instructlab_like.records import Sample

WELL_FORMED = kept("well formed")
OFTEN = (labels, roles, batch, blocks, filler)
ALL = (*OFTEN, tags, unfilled, escapes, elements)
NOTHING = frozenset(
    ("nan", "null", "undefined", "<nooutput>", "<noinput>", "nooutput", "noinput", "no output", "[]", "{}", '""', "''")
)


class Markup(SampleFilter):
    """Rejects, naming what was found: an empty side; a token of any chat template (`<|user|>`, `[INST]`), also without
    its brackets; a role line (`User:`) or a label (`Question:`, `A:`); blocks of reasoning and calls of tools; a tag
    that the parser should have taken (`[QUESTION]`); a code block that never closes; an answer wrapped whole in JSON,
    XML or a code block; several pairs in one; an answer in the question, or the question in the answer; entities and
    tags of HTML, line breaks as their escapes; variables and places that were never filled in; leftovers of a page.

    What the question asks for, or is about, is right in the answer: JSON where data is asked for, tags where it speaks
    of HTML, blanks in a letter, roles in a dialogue. Code, in blocks and spans, may hold everything but chat tokens:
    these a tokenizer takes for the frame of the chat wherever they stand. The passage of a grounded sample is trained,
    so it is searched for chat tokens; that of a knowledge sample is not. What a system message asked for is not known.
    """

    version: ClassVar[int] = 2

    def judge(self, sample: Sample) -> Judgement:
        for rule, what in faults(sample):
            return rejected(rule, what)
        return WELL_FORMED


def faults(sample: Sample) -> Iterator[Fault]:
    """What is wrong with the sample, most basic first."""
    question, answer = sample.question, sample.answer
    sides = (("question", question), ("answer", answer))
    for part, text in sides:
        if is_empty(text, question):
            yield "empty", f"the {part} is empty"
    for part, text in trained(sample):
        if fault := token(part, text):
            yield fault
    for part, text in sides:
        if outside_code(text) is None:
            yield "open-fence", f"a code block in the {part} is never closed"
        if fault := remains(part, text):
            yield fault
        for look in ALL if is_signed(text) else OFTEN:
            if fault := look(part, text, question):
                yield fault
    for fault in (given_away(question), wrapped(answer, question), copied(question, answer)):
        if fault:
            yield fault


def is_signed(text: str) -> bool:
    """Whether there is a sign without which those beyond OFTEN find nothing; ten times as fast as a pattern."""
    signed = "=" in text or "<" in text or "[" in text or "{" in text or "&" in text or "\\" in text
    return signed or "%" in text or "_" in text or "◁" in text or "【" in text


def is_empty(text: str, question: str) -> bool:
    """Whether nothing is said: no character, a drawn line, or what a program writes for nothing."""
    bare = text.strip()
    if len(bare) > 12:
        return False
    if bare in NOTHING:
        return not about(CODE, question) and "[" not in question
    drawn = len(bare) > 1 and not bare.strip(".…-–—_*#|` \t\n") and not {".", "-"} <= set(bare)
    return not bare or drawn
