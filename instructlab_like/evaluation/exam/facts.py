"""What the rules read in a chunk, with what an exam needs beside it: who or what each fact is about, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from instructlab_like.generation import rules
from instructlab_like.generation.rules.asking import Fact
from instructlab_like.generation.rules.clauses import Clause, clauses
from instructlab_like.generation.rules.facts import facts
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.subjects import Discourse, Named, Topic, proper
from instructlab_like.generation.rules.tokens import SINGULAR_ENDINGS
from instructlab_like.generation.rules.values import MONTH, named, value
from instructlab_like.generation.sentences import Block, Text, blocks, words
from instructlab_like.records import Chunk, normalise

OWNED = re.compile(r"(?:the|The) ((?:[a-z-]+ ){1,3})of (.+)")
SOMEONE = re.compile(r"\b(?:he|she|his|her|him)\b", re.IGNORECASE)
WHO = re.compile(r"Who (?:is|was) (.+)\?")
LIVING = frozenset({"bear", "die", "marry", "retire"})  # what only somebody does
PLURALS = frozenset({"are", "were", "do", "have"})
BARE = re.compile(r"the [a-z-]+")
# Where a sentence says so, there are more answers than its own.
MORE = re.compile(
    r"\b(?:also|another|including|includes?|such as|for example|for instance|e\.g|one of|among)\b", re.IGNORECASE
)
COUNTED = re.compile(r"\b\d+ [a-z]")  # "scored 40 points": perhaps more than once
CONDITION = re.compile(r"\b(?:when|if|unless|whereas|while|although)\b")
DEFINITE = re.compile(r"(?:the|each|every|all|both|some|no|its|their|his|her) ", re.IGNORECASE)
# An answer with one of these says nothing by itself: a similar call, another name.
RELATIVE = words("similar same other others another such different own various many several certain close")
DAY = re.compile(rf"\b(?:{MONTH} \d{{1,2}}|\d{{1,2}} {MONTH})\b")
YEAR = re.compile(r"\b[12]\d{3}\b")


@dataclass(frozen=True)
class Entity:
    """What a question is about, as it is called inside a sentence, and the word that stands for it."""

    name: str
    pronoun: str  # "it", "they", "this person"


@dataclass(frozen=True)
class Stated:
    """A fact of a chunk that can be asked for, and how the rules ask for it."""

    chunk: Chunk
    fact: Fact
    subject: Named
    verb: str  # of its clause, in its plain form; empty where it has none
    sentence: str
    questions: tuple[str, ...]  # fit to stand alone
    titled: str  # the document's title where the fact's words do not tell what is meant; else empty
    loose: bool = False  # what else the clause says may belong to the answer: "rights | to the technology"

    @property
    def answer(self) -> str:
        return self.fact.answer.plain


def read(chunk: Chunk) -> list[Stated]:
    """The facts of a chunk's sentences that the rules are sure of, in reading order."""
    asked: dict[Fact, list[str]] = {}
    for question, fact in rules.questions(chunk.text, chunk.headings):
        asked.setdefault(fact, []).append(question)
    prose = blocks(chunk.text)
    topic = Topic(chunk.headings, prose)
    found: dict[Fact, Stated] = {}
    for fact, subject, clause, sentence in _told(prose, topic):
        if fact in asked and fact not in found:
            found[fact] = Stated(
                chunk=chunk,
                fact=fact,
                subject=subject,
                verb=clause.verbal.verb.base if clause.verbal.verb else "",
                sentence=sentence.plain,
                questions=tuple(asked[fact]),
                titled="" if topic.shown_in(fact.questions[0]) else topic.title,
                loose=any(_attached(part) for part in clause.parts if fact.answer.plain not in part.full.plain),
            )
    return list(found.values())


def unambiguous(found: Iterable[Stated]) -> list[Stated]:
    """The facts of a leaf none of whose questions has another answer elsewhere in it."""
    found = list(found)
    answers: dict[str, set[str]] = {}
    for one in found:
        for question in one.questions:
            answers.setdefault(normalise(question), set()).add(normalise(one.answer))
    return [one for one in found if all(len(answers[normalise(question)]) == 1 for question in one.questions)]


class Cast(NamedTuple):
    """Who a leaf is about."""

    people: frozenset[str]  # names that stand for somebody
    peopled: bool  # there is a "he" or "she", so that any other name may stand for somebody, too


def cast(found: Iterable[Stated]) -> Cast:
    """Somebody is who did something, who was born, and whom "who" asks for."""
    known: set[str] = set()
    peopled = False
    for one in found:
        peopled = peopled or bool(SOMEONE.search(one.chunk.text))
        first = one.fact.questions[0]
        if first.startswith("Who ") and not first.startswith("Who or ") and named(one.answer) == "person":
            known.add(one.answer)
        if asked := WHO.fullmatch(first):
            known.add(asked.group(1))
        if one.verb in LIVING:
            known.add(one.subject.text)
    known = {name for name in known if named(name) in ("person", "name") and not name.endswith(("'s", "’s"))}
    return Cast(frozenset(known | {name.split()[-1] for name in known}), peopled)


def sound(stated: Stated) -> bool:
    """Whether the answer is the one right answer, and says something, wherever the question is asked."""
    answer, asked = stated.answer, stated.fact.questions[0]
    if MORE.search(stated.sentence) or not RELATIVE.isdisjoint(normalise(answer).split()):
        return False
    if asked.startswith("When ") and COUNTED.search(asked):
        return False
    if asked.startswith("What ") and (stated.loose or _goes_on(answer, stated.sentence)):
        return False
    if value(answer).kind != "phrase":
        return True
    instrument = stated.verb == "play" and len(answer.split()) == 2
    return not CONDITION.search(stated.sentence) and (instrument or not DEFINITE.match(answer))


def _goes_on(answer: str, sentence: str) -> bool:
    """Whether the sentence adds something to the answer: "the star, and others from the next constellation"."""
    return bool(re.search(rf"{re.escape(answer)}(?: ?\([^()]*\))?,? (?:and|or|as well as) ", sentence))


def apart(stated: Stated) -> bool:
    """Whether question and answer are clear without the passage.

    Not so "lying within the bounds", nor a bare "the planet" or "service", nor a day without its year.
    """
    subject, asked = stated.subject.text, stated.fact.questions[0]
    if subject.split()[0].endswith("ing") or BARE.fullmatch(subject) or (stated.titled and subject.isalpha()):
        return False
    return not (DAY.search(asked) and not YEAR.search(asked))


def defines(stated: Stated) -> bool:
    """Whether the fact says what its subject is, which can be said in many ways."""
    return bool(re.fullmatch(rf"What (?:is|are|was|were) {re.escape(stated.subject.text)}\?", stated.fact.questions[0]))


def entities(stated: Stated, cast: Cast) -> Iterator[Entity]:
    """What the fact is about: whose part the subject is ("the roof of the mill" is about the mill), and the subject."""
    subject = stated.subject
    owned = OWNED.fullmatch(subject.text)
    if owned and owned.group(2).startswith(("a ", "an ")):
        return  # "the birth of a calf"
    for name, plural in (
        ((owned.group(2), None), (subject.text, subject.plural)) if owned else ((subject.text, subject.plural),)
    ):
        if pronoun := _pronoun(name, cast, plural=plural):
            yield Entity(name, pronoun)


def _pronoun(name: str, cast: Cast, *, plural: bool | None) -> str:
    """The word that stands for a name; empty where it is open."""
    if name in cast.people:
        return "this person"
    article = name.split()[0].lower() in ("the", "a", "an")
    if plural is None:
        several = name.endswith("s") and not name.endswith(SINGULAR_ENDINGS)
        if several and proper(name):
            return ""  # "the Alps", "St Ives"
        plural = several or " and " in name
    if not plural and not article and name != name.lower() and cast.peopled:
        return ""  # "Austen", "Nu Phoenicis", "vincent d'Indy"
    return "they" if plural else "it"


def _attached(part: Part) -> bool:
    """Whether a part may belong to what stands before it, rather than tell when or where all of it happened."""
    placed = part.preposition in ("in", "at", "near") and part.value.kind in ("name", "person")
    return bool(part.preposition) and not (part.when or placed or part.value.kind == "often")


def _told(prose: Sequence[Block], topic: Topic) -> Iterator[tuple[Fact, Named, Clause, Text]]:
    """Every fact of the sentences with its subject and clause; what lists say is left to the rules."""
    discourse = Discourse(topic)
    for block in prose:
        discourse.forget()
        if block.kind == "heading":
            continue
        for sentence in block.sentences:
            yield from _of_sentence(sentence, discourse)


def _of_sentence(sentence: Text, discourse: Discourse) -> Iterator[tuple[Fact, Named, Clause, Text]]:
    understood = list(clauses(sentence))
    if not understood:
        discourse.forget()
    for clause in understood:
        plural = clause.verbal.auxiliary in PLURALS
        subject = discourse.name(clause.subject, plural=plural, past=clause.verbal.past)
        if subject is None:
            discourse.forget()
            return
        if len(clause.parts) <= rules.MAX_PARTS:
            for fact in facts(clause, subject):
                yield fact, subject, clause, sentence
        discourse.follow(subject, clause)
