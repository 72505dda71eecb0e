"""Sentences taken apart: subject, verb, and the parts after it. What is not understood is given up, not guessed at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from instructlab_like.generation.rules import verbs
from instructlab_like.generation.rules.bounds import core
from instructlab_like.generation.rules.lexicon import BE, HAVE, HEDGES, MODAL, PREPOSITIONS, TRANSITIVE, UNREPEATABLE
from instructlab_like.generation.rules.parts import Part, part, parts
from instructlab_like.generation.rules.tokens import Token, between, tokens
from instructlab_like.generation.sentences import Text

MAX_WORDS = 60  # of a sentence; longer ones are rarely read right
LEAD_WORDS = 9
ASIDE = re.compile(r"\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")
UNREAD = re.compile(r"[\"“”«»„?!|{}\\=…()\[\]<>~^*#]|\.\.|\s['‘’]\w|--|\bet al\b")
OPENING_WORDS = re.compile(
    r"(?:However|Today|Nowadays|Also|Overall|Traditionally|Originally|Usually|Normally),? (?=[a-zA-Z])"
)
LEADS = PREPOSITIONS | {"every", "each"}
WHEN_LEADS = frozenset({"in", "on", "at", "during", "since", "by", "until", "from", "after", "before", "every", "each"})
WHERE_LEADS = frozenset({"in", "at", "near", "on"})


@dataclass(frozen=True)
class Clause:
    subject: Text
    verbal: verbs.Verbal
    parts: tuple[Part, ...]
    relative: Text | None = None  # the parts with the "that …" clause that completes the last of them

    @property
    def object(self) -> Part | None:
        return self.parts[0] if self.parts and not self.parts[0].preposition else None


def clauses(sentence: Text) -> Iterator[Clause]:
    """The clauses of one sentence that are understood: the first, and those joined to it by "and"."""
    text = sentence.strip(" .;:")
    text = text.without(match.span() for match in ASIDE.finditer(text.plain))
    if UNREAD.search(text.plain):
        return
    if opening := OPENING_WORDS.match(text.plain):
        text = text[opening.end() :]
    words = tokens(text)
    if not 3 <= len(words) <= MAX_WORDS:
        return
    lead, taken = _lead(text, words)
    words, subject, passive = words[taken:], None, False
    while words:
        found = _clause(text, words, subject)
        if found is None:
            return
        clause, its_subject, words = found
        if passive and its_subject is subject and clause.verbal.maybe_passive:
            return
        subject, passive = its_subject, clause.verbal.kind == "passive"
        yield replace(clause, parts=(*clause.parts, *lead))
        lead = ()


def _lead(text: Text, words: list[Token]) -> tuple[tuple[Part, ...], int]:
    """A circumstance before the subject ("In 1874, …") and its number of words; all words when it cannot be kept."""
    opening = words[0].lower
    commas = [i for i, token in enumerate(words[:LEAD_WORDS]) if token.word == ","]
    if opening not in LEADS:
        return (), 0
    if not commas:
        bare = opening == "in" and part(text, words[:2]).value.kind == "year"  # "In 1874 the mill …"
        if bare:
            return (_inside(part(text, words[:2])),), 2
        return (), len(words) if opening in WHEN_LEADS else 0
    dated = len(commas) > 1 and commas[1] == commas[0] + 2 and words[commas[0] + 1].word.isdigit()
    end = commas[1] if dated else commas[0]  # "On July 5, 1996, …"
    lead = part(text, words[:end])
    proper = lead.value.kind in ("name", "person") and lead.preposition in WHERE_LEADS
    kept = lead.when or lead.value.kind == "often" or proper
    return ((_inside(lead),), end + 1) if kept else ((), len(words))


def _inside(lead: Part) -> Part:
    """An opening circumstance as it is written further on: "In 1874" -> "in 1874"."""
    first = lead.full.plain[:1]
    if not lead.preposition and lead.full.plain.split()[0] not in ("Every", "Each", "The"):
        return lead
    full = Text(first.lower() + lead.full.plain[1:], lead.full.spans)
    return replace(lead, full=full, text=lead.text if lead.preposition else full)


def _clause(
    text: Text, words: list[Token], inherited: list[Token] | None
) -> tuple[Clause, list[Token], list[Token]] | None:
    """The clause at the head of `words`, its subject, and the words of the clause after it."""
    found = verbs.find(words, inherited)
    read = verbs.read(words, found[1], found[0]) if found else None
    if found is None or read is None:
        return None
    subject, (verbal, after) = found[0], read
    inner, rest, cut = core(words, after, verbal)
    if any(token.word in HEDGES | BE | HAVE | MODAL for token in inner):  # "May" is a month
        return None
    if (inner and inner[0].lower in UNREPEATABLE) or (cut and not inner and verbal.kind == "active"):
        return None  # "met again"; "announced that …", "bought and sold …"
    relative = None
    if inner and cut == "restricted":
        relative = text[inner[0].start : words[-1].end]
        relative = relative[: len(relative.plain.split(",", 1)[0])]
    made = parts(text, inner, cut_short=cut in ("restricted", "joined"))
    objectless = not made or made[0].preposition
    if verbal.kind == "active" and objectless and verbal.verb is not None and verbal.verb.base in TRANSITIVE:
        return None
    return Clause(between(text, subject), verbal, tuple(made), relative), subject, rest
