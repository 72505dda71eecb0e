"""A fact's questions in words that no rule of the generation uses, and no model that is asked for pairs either.

Every other question is told indirectly ("I would like to know who built the mill."), which asks for the fact alone; the
others name the thing first and ask with a pronoun ("Think of the mill. Who built it?"), which asks for more than words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.evaluation.exam.facts import Cast, Entity, Stated, entities
from instructlab_like.generation.rules.asking import OPENERS
from instructlab_like.records import normalise

ASKING = re.compile(
    r"(?:(?:In|On|At|By|From|To|Of|For|Since|Until|Into|With|After|As|During|Under|Near) )?"
    r"(?:who|whom|whose|what|which|where|when|how|why)\b",
    re.IGNORECASE,
)
AUXILIARY = frozenset({"is", "are", "was", "were", "do", "does", "did", "can", "has", "have", "had"})
OWN = {"it": "its", "they": "their", "this person": "this person's"}
FRAMES = (
    "I would like to know {}.",
    "In a quiz you are asked {}.",
    "Somebody asks you {}.",
    "I need to know {}.",
)
OPENINGS = (
    "Think of {}. {}",
    "This is about {}. {}",
    "A question about {}: {}",
    "Here is one on {}: {}",
)
LONGEST = 24  # words of a question
NOTHING_ASKED = re.compile(r"(?:Who|What) (?:is|are|was|were) (?:it|they|this person|its name|their name)\?")
OPENED = re.compile("|".join(re.escape(opener).replace(r"\{\}", "(.+)") for opener in OPENERS))
LEFT_OVER = re.compile(r"\b(?:only|also|then|later|thus|instead|again|too|even|already)\b", re.IGNORECASE)


def rewordings(stated: Stated, cast: Cast, turn: int) -> Iterator[str]:
    """Other ways to ask for the fact, best first; which of the two kinds comes first is the turn's to say."""
    indirect, pronouns = _indirect(stated, turn // 2), _with_pronouns(stated, cast, turn // 2)
    for worded in (*indirect, *pronouns) if turn % 2 else (*pronouns, *indirect):
        clear = f" {normalise(stated.answer)} " not in f" {normalise(worded)} "
        if clear and len(worded.split()) <= LONGEST and not LEFT_OVER.search(worded):
            yield worded


def _indirect(stated: Stated, turn: int) -> Iterator[str]:
    told = [found[found.lastindex or 0] for found in map(OPENED.fullmatch, stated.fact.questions) if found]
    for step in range(len(FRAMES)):
        for clause in told:
            shown = f"{clause} ({stated.titled})" if stated.titled else clause
            yield FRAMES[(turn + step) % len(FRAMES)].format(shown)


def _with_pronouns(stated: Stated, cast: Cast, turn: int) -> Iterator[str]:
    asked = list(_with_pronoun(stated, cast))
    for step in range(len(OPENINGS)):
        opening = OPENINGS[(turn + step) % len(OPENINGS)]
        for question, entity in asked:
            name = f"{entity.name} ({stated.titled})" if stated.titled else entity.name
            yield opening.format(name, question if ". {" in opening else question[0].lower() + question[1:])


def _with_pronoun(stated: Stated, cast: Cast) -> Iterator[tuple[str, Entity]]:
    about = list(entities(stated, cast))
    for number, entity in enumerate(about):
        for question in stated.fact.questions:
            if not (ASKING.match(question) and question.endswith("?")) or question.startswith("What is it that"):
                continue
            replaced = _replaced(question, entity)
            # "the warden of the marsh: who is it?" says nothing of the marsh that "its warden" would say.
            hollow = number > 0 and replaced and NOTHING_ASKED.fullmatch(replaced)
            if replaced and not hollow:
                yield replaced, entity


def _replaced(question: str, entity: Entity) -> str | None:
    """The question with a pronoun for the entity; None where it does not stand there once."""
    name = re.escape(entity.name)
    if len(re.findall(rf"(?<![\w'’-]){name}(?![\w-])", question)) != 1:
        return None
    owned = re.compile(rf"\bthe ((?:(?!the\b)[\w-]+ )+)of {name}(?![\w'’-])")
    if owned.search(question):
        return owned.sub(lambda found: f"{OWN[entity.pronoun]} {found.group(1).strip()}", question)
    found = re.search(rf"(?<![\w'’-]){name}(?P<own>['’]s\b|['’](?!\w))?(?![\w-])", question)
    if found is None:
        return None
    before = question[: found.start()].split()
    if found["own"]:
        word = OWN[entity.pronoun]
    elif entity.pronoun == "they" and before and before[-1].lower() not in AUXILIARY:
        word = "them"
    elif before and before[-1] == "of":
        return None  # "how many of it"
    else:
        word = entity.pronoun
    return question[: found.start()] + word + question[found.end() :]
