"""Rejects questions that point at a text nobody will see, and answers that speak of one."""

from __future__ import annotations

import re
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.phrasebook import Phrases, phrasebook
from instructlab_like.filters.parts.wording import QUOTED, Reading, quoted, read
from instructlab_like.records import Sample

STANDS_ALONE = kept("question and answer stand alone")
HAS_PASSAGE = not_applied("is asked with its passage")


class References(SampleFilter):
    """Rejects questions, asked without a passage, that point at one: "according to the document", "as mentioned above",
    "Figure 3", "the author", "the following text" with nothing that follows; and answers that do ("the passage does not
    say"). In English, German, French, Spanish, Portuguese, Italian, Dutch, Russian, Chinese and Japanese.

    What a question brings along is there: after a colon, a line break or a quotation mark, in earlier turns, or in the
    sentences before. A text that is named ("the text of the treaty") is not pointed at. Not applied to grounded
    samples, whose passage is part of the question. It cannot know what is unresolved without a word that says so ("How
    tall is he?").
    """

    version: ClassVar[int] = 2

    def judge(self, sample: Sample) -> Judgement:
        if sample.kind == "grounded":
            return HAS_PASSAGE
        asked, answered = read(sample.question), read(sample.answer)
        for phrases in BOOK.spoken_in(asked):
            found = unresolved(phrases, sample.question, asked)
            if found:
                return rejected(*found)
        for phrases in BOOK.spoken_in(answered):
            told = phrases.search("answer", answered, unquoted(answered.text))
            if told and not answers_about_text(phrases, sample.question, asked.text, told[0]):
                what = f"the answer speaks of a text that is not there: {quoted(told[0])}"
                return rejected("speaks-of-missing-text", what)
        return STANDS_ALONE


BOOK = phrasebook("references")
UNSPACED = re.compile("[぀-ヿ㐀-鿿]")
WORD = re.compile(r"[^\W_]+|[+*/=<>^]")
OPTION = re.compile(r"^[ \t]*[(（]?(?:[a-hA-H]|[1-9ivx]{1,3})[.):）、][ \t]*[^\n]*", re.MULTILINE)
INLINE_OPTIONS = re.compile(r"[(（]?\b[a-d][).]\s*\S+.{0,80}?[(（]?\b[b-e][).]\s*\S+", re.IGNORECASE | re.DOTALL)
BRINGS = re.compile(r"[:：]|\n")
QUOTE = re.compile(
    r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』|\'([^\']{12,})\'|`([^`]+)`', re.DOTALL
)
OPENS = "[\"“'‘«*_„『《]"
TITLED = re.compile(  # "In Moby-Dick, why does the author": the work is named
    rf"(?:\A|[.!?]\s+)(?:In|Throughout|En|Dans|Nel|Em|Im) (?:the |la |le |el |der |die )?"
    rf"(?:{OPENS}|[A-Z][\w'’-]+(?: [a-z]+)?(?: [A-Z][\w'’-]+)*,)"
    rf"|\b(?:in|of|from|(?<!mean )(?<!meant )by|de|von|di|du) {OPENS}|[《『]"
    rf"|\b(?:article|essay|paper|book|story|novel|poem|play|report|study|speech|text|document|work|chapter"
    rf"|picture|painting|image|song)s? "
    rf"(?:titled |called |entitled |named )?{OPENS}"
)
SHORT_TEXT = re.compile(r"[.:]\s*\n\s*\n\s*([^?]+)\Z|:\s*[\"“„«]([^\"”“»?]+)[\"”“»]\W*\Z")  # below an order, or quoted
FEW_WORDS = 3  # of such a text
OWN_WORDS = 6  # after a colon or a line break, or in quotation marks, that make a text of one's own
SENTENCES_BEFORE = 25  # words before the sentence that points
ON = re.compile(  # what goes on about the task, where a text should follow
    r"\s*(?:into|in|for|to|using|with|by|and|as|so|from|about|on|ins|auf|für|und|zu|mit|zusammen|en|pour|et|avec|al|para|y"
    r"|con|em|e|com|per|naar|voor|на|для|и)\b"
)
FOLLOWED = re.compile(r"[:：?？.。!！\n\"“„«「]\s*(?=\S)")


def unresolved(phrases: Phrases, question: str, reading: Reading) -> tuple[str, str] | None:
    """The rule and the reason, if the question points at what is not there."""
    text, bare = reading.text, unquoted(reading.text)
    followed = phrases.search("follows", reading, bare)
    if followed:
        if not something_follows(text, followed.end()):
            return "nothing-follows", f"nothing follows what the question announces: {quoted(followed[0])}"
        return None
    for section, rule in (
        ("above", "points-back"),
        ("pointer", "points-at-missing-text"),
        ("numbered", "numbered-item"),
    ):
        found = phrases.search(section, reading, bare)
        if found and not resolved(phrases, section, question, text, found):
            return rule, f"the question points at what is not there: {quoted(found[0])}"
    return None


def resolved(phrases: Phrases, section: str, question: str, text: str, found: re.Match[str]) -> bool:
    if brings_text(question) or words(before(text, found.start())) >= SENTENCES_BEFORE:
        return True
    if section == "above" or phrases["facts"].search(found[0]):
        return words(before(text, found.start())) >= OWN_WORDS
    return bool(TITLED.search(question) or (section == "pointer" and phrases["named"].search(text))) or introduced(
        text, found
    )


def introduced(text: str, found: re.Match[str]) -> bool:
    """Whether what is pointed at has been spoken of before: "Write an essay. This essay …"."""
    last = found[0].split()[-1].strip("?,.!;:'s")
    return len(last) > 2 and last in before(text, found.start())


def before(text: str, place: int) -> str:
    """What stands before the sentence in which the place lies."""
    return text[: max(text.rfind(mark, 0, place) for mark in ".!?。！？\n") + 1]


def brings_text(question: str) -> bool:
    """Whether a text of some length stands in quotation marks, or after a colon or a line break; options are none."""
    inside = sum(words(found[0]) for found in QUOTE.finditer(question))
    if inside >= OWN_WORDS:
        return True
    told = INLINE_OPTIONS.sub(" ", OPTION.sub("", question))
    if (brought := SHORT_TEXT.search(told.strip())) and words(brought[1] or brought[2]) >= FEW_WORDS:
        return True
    parts = BRINGS.split(told.strip())
    return len(parts) > 1 and (
        words(" ".join(parts[1:])) >= OWN_WORDS
        or ("\n" in told.strip() and words(" ".join(parts[:-1])) >= 3 * OWN_WORDS)
    )


def something_follows(text: str, place: int) -> bool:
    """Whether anything follows that may be what was announced."""
    rest = text[place:]
    after = FOLLOWED.search(rest)
    if after and words(rest[after.end() :]) >= 1:
        return True
    spaced = not UNSPACED.search(rest)
    return rest.count(",") + rest.count("、") > 1 or (spaced and not ON.match(rest) and words(rest) >= OWN_WORDS - 1)


def answers_about_text(phrases: Phrases, question: str, text: str, told: str) -> bool:
    """Whether the question brings the text, or names one, of which the answer speaks."""
    if brings_text(question) or TITLED.search(question):
        return True
    told_before = words(before(text, len(text.rstrip()) - 1))
    if told_before >= (OWN_WORDS if phrases["facts"].search(told) else SENTENCES_BEFORE):
        return True
    return any(word in text for word in told.split()[-2:] if len(word) > 3 and word not in NO_NOUNS)


NO_NOUNS = frozenset({"does", "doesn't", "mention", "above", "given", "provided"})


def words(text: str) -> int:
    """Words, counting two characters of Chinese or Japanese as one."""
    wide = len(UNSPACED.findall(text))
    return len(WORD.findall(UNSPACED.sub(" ", text))) + wide // 2 if wide else len(WORD.findall(text))


def unquoted(text: str) -> str:
    """The text with what is quoted blanked out, each place as it was."""
    blanked = QUOTED.sub(lambda found: " " * len(found[0]), text)
    return blanked.replace("\n", " ")
