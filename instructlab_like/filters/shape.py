"""Rejects what is not a question and an answer: leftovers of prompts and chats, broken text, refusals, loose ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.records import Sample, Verdict, normalise

# Tokens that chat templates put between turns: inside a text they would end the turn, wherever they stand.
CHAT_TOKEN = re.compile(
    r"<\|[a-z_0-9]{2,32}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|\A\s*<(?:s|bos)>|</s>\s*\Z|<eos>",
    re.IGNORECASE,
)
ROLE_LINE = re.compile(r"^[ \t>*#]*(?:user|assistant|human|ai assistant|instruction|response)[ \t]*\**:", re.I | re.M)
LABEL = re.compile(r"\A[ \t*#]*(?:question|answer|q|a|q\s?\d+|a\s?\d+)\**:", re.IGNORECASE)
PARSER_TAG = re.compile(
    r"\[/?(?:END[ _]?)?(?:QUESTION|ANSWER|CONTEXT|RESPONSE|DOCUMENT|PASSAGE|SEED|PAIR|START|END)\]"
    r"|</?(?:question|answer|context|response|pair)>"
)
BROKEN = re.compile(r"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")

# A model speaking of itself, anywhere in an answer; and openings of answers that decline to answer.
SELF = re.compile(
    r"\b(?:as an? (?:ai language model|ai|artificial intelligence|(?:large )?language model)\b"
    r"|(?:i am|i'm) (?:just |only )?an? (?:ai|(?:large )?language model)\b"
    r"|my (?:training data|knowledge cut-?off)"
    r"|als (?:eine? )?(?:ki\b|künstliche intelligenz|(?:großes )?sprachmodell)"
    r"|en tant qu(?:e modèle de langage|['e ]+(?:une )?(?:ia\b|intelligence artificielle))"
    r"|como (?:un |uma? )?(?:ia\b|inteligencia artificial|inteligência artificial|model[oe] de (?:lenguaje|linguagem))"
    r"|(?:in quanto|come) (?:un )?(?:ia\b|intelligenza artificiale|modello linguistico))"
    r"|作为(?:一个|一名)?(?:人工智能|AI|语言模型)|(?:AI|言語モデル)として(?:は|、)",
    re.IGNORECASE,
)
DECLINES = re.compile(
    r"(?:(?:i'm|i am)?\s*(?:so |very |really )?sorry\b.{0,40}|unfortunately,? |i apologi[sz]e\b.{0,30})?"
    r"\bi(?:'m| am)? (?:can't|cannot|can not|won't|unable to|not able to|don't have access to|do not have access to) "
    r"(?:\w+ )?(?:help|assist|answer|provide|fulfil|comply|do that|generate|discuss|continue"
    r"|real-time|the internet)"
    r"|(?:es )?tut mir leid\b.{0,40}\b(?:kann|darf)\b.{0,60}\bnicht\b"
    r"|ich kann (?:dir|ihnen|diese|dabei|das)\b.{0,60}\bnicht\b"
    r"|(?:je suis )?désolée?\b.{0,30}\bje ne (?:peux|puis)\b|je ne (?:peux|puis) pas (?:vous|t'|répondre|fournir)"
    r"|lo siento\b.{0,30}\bno puedo\b|(?:me )?desculpe?\b.{0,30}\bnão posso\b|mi dispiace\b.{0,30}\bnon posso\b"
    r"|(?:很?抱歉|对不起).{0,12}(?:无法|不能)|(?:申し訳|すみません|ごめん).{0,24}(?:できません|できかねます|お答え)",
    re.IGNORECASE,
)
WANTED = re.compile(
    r"\b(?:refus|declin|apolog|reject|turn(?:ing)? down|say(?:ing)? no)", re.IGNORECASE
)  # asked to decline
PASSAGE = r"(?:passage|text|document|excerpt|paragraph|context|article|section|snippet|figure|table|chapter)"
NO_ANSWER = re.compile(
    rf"\bthe (?:given |provided |above )?{PASSAGE} (?:does not|doesn't|do not|did not) "
    r"(?:say|state|mention|provide|specify|contain|give|include|explain|answer)",
    re.IGNORECASE,
)
# A question that points at a text nobody will see. "The text of the treaty" names its text and is left alone.
WHICH = "(?:given|provided|above|aforementioned|preceding|following|attached)"
SAYS = "(?:say|state|mention|describe|mean|call|list|give|provide|refer|suggest|explain|tell|discuss)"
POINTER = re.compile(
    rf"\b(?:in|from|of|by|to|on|with|per|throughout|according to|based on) (?:the|this|that) (?:{WHICH} )?{PASSAGE}\b"
    r"(?! (?:of|about|by|titled|called|named|on|that|which|where)\b)"
    rf"|\b(?:the|this) {WHICH} {PASSAGE}\b"
    rf"|\b(?:the|this) {PASSAGE} (?:above|below|says|states|mentions|describes|provides|explains|tells|discusses)\b"
    rf"|\b(?:does|did) (?:the|this) (?:{PASSAGE}|author) (?:\w+ )?{SAYS}\b"
    r"|\b(?:as )?(?:mentioned|described|discussed|stated|listed|shown|given|noted|explained) "
    r"(?:above|below|earlier|previously)\b(?! (?:the|a|an|sea|ground|zero)\b)"
    r"|\bas (?:above|below)\b|\bsee (?:above|below)\b"
    r"|\b(?:im|aus dem|laut dem|in diesem) (?:obigen |folgenden )?(?:text|dokument|abschnitt|artikel)\b|\bwie oben\b"
    r"|\b(?:dans|selon|d'après) (?:le|ce) (?:texte|passage|document|extrait)\b|\bci-dessus\b"
    r"|\b(?:en|según) (?:el|este) (?:texto|pasaje|documento)\b|\b(?:no|neste|segundo o) (?:texto|documento|trecho)\b"
    r"|\b(?:nel|secondo il) (?:testo|brano|documento)\b",
    re.IGNORECASE,
)
OWN_TEXT = re.compile(r"\n|:\s*\S|[\"“„«`]\S")  # a question that brings along what it points at


class Shape(SampleFilter):
    """Rejects, naming what was found: an empty side; a broken or control character; a chat token (`<|user|>`, `[INST]`)
    or a role line (`User:`); a tag that the parser should have taken (`[QUESTION]`); a code block that never closes; an
    answer that repeats its question; a refusal or a model speaking of itself; a question, asked without its passage,
    that points at one ("as mentioned above"), and an answer that says the passage has none.

    Code blocks may hold role lines and tags, but no chat tokens. The passage of a grounded sample is trained, so it is
    searched for broken characters and chat tokens; that of a knowledge sample is not. A freeform question may point at
    what it brings along itself: after a colon, a quotation mark or a line break. A question that asks for a refusal may
    get one. The phrase lists are in English, and more modestly in German, French, Spanish, Portuguese, Italian, Chinese
    and Japanese.
    """

    version: ClassVar[int] = 1

    refusals: bool = True
    """Reject refusals and models speaking of themselves."""
    references: bool = True
    """Reject questions that point at a text which is not there."""

    def judge(self, sample: Sample) -> Verdict:
        for fault in self.faults(sample):
            return self.reject(sample, fault)
        return self.keep(sample, "well formed")

    def faults(self, sample: Sample) -> Iterator[str]:
        """What is wrong with the sample, most basic first."""
        for part, text in (("question", sample.question), ("answer", sample.answer)):
            if not text.strip():
                yield f"the {part} is empty"
        for part, text in trained_parts(sample):
            yield from broken(part, text)
        for part, text in (("question", sample.question), ("answer", sample.answer)):
            yield from leftovers(part, text)
        asked = normalise(sample.question)
        if asked and asked == normalise(sample.answer):
            yield "the answer repeats the question"
        if self.refusals:
            yield from refusal(sample)
        if self.references and sample.kind != "grounded":
            yield from loose_ends(sample)


def trained_parts(sample: Sample) -> list[tuple[str, str]]:
    parts = [("question", sample.question), ("answer", sample.answer)]
    return [*parts, ("context", sample.context)] if sample.kind == "grounded" and sample.context else parts


def broken(part: str, text: str) -> Iterator[str]:
    character = BROKEN.search(text)
    if character:
        yield f"broken character U+{ord(character[0]):04X} in the {part}"
    token = CHAT_TOKEN.search(text)
    if token:
        yield f"chat markup {quoted(token)} in the {part}"


def leftovers(part: str, text: str) -> Iterator[str]:
    prose = outside_code(text)
    if prose is None:
        yield f"a code block in the {part} is never closed"
        return
    for what, pattern in (("role line", ROLE_LINE), ("label", LABEL), ("parser tag", PARSER_TAG)):
        found = pattern.search(prose)
        if found:
            yield f"{what} {quoted(found)} in the {part}"


def refusal(sample: Sample) -> Iterator[str]:
    answer = straight(sample.answer)
    spoken = SELF.search(answer)
    if spoken:
        yield f"a model speaks of itself in the answer: {quoted(spoken)}"
    declined = DECLINES.search(answer[:160])
    if declined and not WANTED.search(sample.question):
        yield f"the answer declines: {quoted(declined)}"


def loose_ends(sample: Sample) -> Iterator[str]:
    pointer = POINTER.search(straight(sample.question))
    if pointer and not (sample.kind == "freeform" and OWN_TEXT.search(sample.question.strip())):
        yield f"the question points at a text that is not there: {quoted(pointer)}"
    empty_handed = NO_ANSWER.search(straight(sample.answer))
    if empty_handed:
        yield f"the answer says there is none: {quoted(empty_handed)}"


def outside_code(text: str) -> str | None:
    """The lines outside fenced code blocks, by CommonMark's rule for fences; None when a block is never closed."""
    prose: list[str] = []
    opened = ""
    for line in text.splitlines():
        fence = FENCE.match(line)
        if fence and not opened and not (fence[1][0] == "`" and "`" in fence[2]):
            opened = fence[1]
        elif fence and opened and fence[1].startswith(opened) and not fence[2].strip():
            opened = ""
        elif not opened:
            prose.append(line)
    return None if opened else "\n".join(prose)


def straight(text: str) -> str:
    return text.replace("’", "'")


def quoted(found: re.Match[str]) -> str:
    shown = " ".join(found[0].split())
    return f'"{shown if len(shown) <= 60 else shown[:57] + "..."}"'
