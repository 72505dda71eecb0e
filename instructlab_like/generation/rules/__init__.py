"""Questions and answers out of the sentences of a chunk, without a model.

    Markdown -> sentences -> clauses (subject, verb, parts) -> facts -> questions in several phrasings

What is not understood makes nothing: a wrong or ungrammatical question is worse than none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from instructlab_like.generation.rules.asking import Fact
from instructlab_like.generation.rules.clauses import clauses
from instructlab_like.generation.rules.facts import facts
from instructlab_like.generation.rules.lists import listed
from instructlab_like.generation.rules.subjects import Discourse, Topic
from instructlab_like.generation.rules.tokens import pointing
from instructlab_like.generation.sentences import Block, Text, blocks
from instructlab_like.records import Lineage, RulesTask, Sample, digest, normalise, sample_id

RULES = "rules/1"
MAX_QUESTION_WORDS = 22
MAX_PARTS = 4  # of a clause; with more, what belongs to what is a guess
MAX_ANSWER_WORDS = 24


def pairs(task: RulesTask) -> list[Sample]:
    """The questions and answers of a chunk; each answer stands in `context[evidence]`, and no question has two."""
    chunk = task.chunk
    key = digest([RULES, chunk.text, chunk.headings])
    lineage = Lineage(
        leaf=task.leaf,
        leaf_blob=task.leaf_blob,
        method="rules",
        model=RULES,
        flow=task.flow,
        chunk=chunk.id,
        depth=1,
    )
    return [
        Sample(
            id=sample_id(task.leaf, task.flow, (key, position)),
            kind="knowledge",
            question=question,
            answer=fact.answer.plain,
            context=chunk.text,
            evidence=fact.answer.source,
            lineage=lineage,
        )
        for position, (question, fact) in enumerate(questions(chunk.text, chunk.headings))
    ]


def questions(text: str, headings: tuple[str, ...]) -> list[tuple[str, Fact]]:
    """Every question with the fact that answers it, in reading order. A question with two answers is left out."""
    prose = blocks(text)
    topic = Topic(headings, prose)
    found: list[tuple[str, Fact]] = []
    for fact, specific in _facts(prose, topic):
        if _answerable(fact, text):
            found += [(question, fact) for question in _self_contained(fact, topic, specific=specific)]
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for question, fact in found:
        answers[normalise(question)].add(normalise(fact.answer.plain))
    first: dict[str, tuple[str, Fact]] = {}
    for question, fact in found:
        if len(answers[normalise(question)]) == 1:
            first.setdefault(normalise(question), (question, fact))
    return list(first.values())


def _facts(prose: list[Block], topic: Topic) -> Iterator[tuple[Fact, bool]]:
    """The facts of a chunk in reading order, and whether each one's subject is more than a bare noun."""
    discourse = Discourse(topic)
    for position, block in enumerate(prose):
        discourse.forget()
        if block.kind == "heading" or not block.sentences:
            continue
        for sentence in block.sentences:
            yield from _sentence(sentence, discourse)
        for fact in listed(block.sentences[-1], prose[position + 1 :], topic):
            yield fact, True


def _sentence(sentence: Text, discourse: Discourse) -> Iterator[tuple[Fact, bool]]:
    read = list(clauses(sentence))
    if not read:
        discourse.forget()
    for clause in read:
        plural = clause.verbal.auxiliary in ("are", "were", "do", "have")
        subject = discourse.name(clause.subject, plural=plural, past=clause.verbal.past)
        if subject is None:
            discourse.forget()
            return
        if len(clause.parts) <= MAX_PARTS:
            for fact in facts(clause, subject):
                yield fact, subject.specific
        discourse.follow(subject, clause)


def _answerable(fact: Fact, text: str) -> bool:
    """Whether the answer's words stand together, and only those, where it says it comes from."""
    answer = normalise(fact.answer.plain)
    if not answer or len(answer.split()) > MAX_ANSWER_WORDS:
        return False
    return answer in normalise(text[slice(*fact.answer.source)])


def _self_contained(fact: Fact, topic: Topic, *, specific: bool) -> Iterator[str]:
    """The questions fit to stand alone.

    The first of a fact's questions holds all the words it takes from the text. When those do not say what they are
    about, questions get the document's title; where the subject is specific, every other one stays without it.
    """
    if pointing(fact.questions[0]):
        return
    answer = f" {normalise(fact.answer.plain)} "
    shown = topic.shown_in(fact.questions[0])
    titled = topic.title and answer not in f" {normalise(topic.title)} "
    for number, question in enumerate(fact.questions):
        asked = f" {normalise(question)} "
        if answer in asked or len(asked.split()) > MAX_QUESTION_WORDS:
            continue
        if shown or (specific and titled and number % 2):
            yield question
        elif titled:
            lower = question[0].lower() + question[1:]
            yield f"{question} ({topic.title})" if number % 4 == 1 else f"{topic.title}: {lower}"
