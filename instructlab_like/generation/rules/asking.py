"""A clause turned into questions: the auxiliary goes to the front, the asked part falls out, the rest stays as said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from instructlab_like.generation.rules.clauses import Clause
from instructlab_like.generation.rules.lexicon import ONCE, SPATIAL
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.phrasings import synonyms
from instructlab_like.generation.rules.subjects import Named
from instructlab_like.generation.sentences import Text

BLANK = "____"
# Interchangeable openings; the base model knows the clozes (training/base/worlds.py).
CLOZES = ("Fill in the blank: {}", "Complete the sentence: {}", "Which words are missing? {}", "What is missing? {}")
OPENERS = ("Tell me {}.", "Can you say {}?", "Please tell me {}.", "Do you know {}?", "Say {}.")


@dataclass(frozen=True)
class Fact:
    """An answer as the chunk says it, and questions that it answers."""

    answer: Text
    questions: tuple[str, ...]


class Asking:
    """One clause and the name of its subject, ready to be asked about."""

    def __init__(self, clause: Clause, subject: Named) -> None:
        self.clause = clause
        self.verbal = clause.verbal
        self.subject = subject.text
        self.named = subject
        # Whichever of the interchangeable openers comes, comes by the clause's own words: no chance, no position.
        self.turn = sum(map(ord, subject.text + clause.verbal.said))

    def kept(self, asked: Collection[Part]) -> list[Part]:
        """The parts a question repeats. What happens once needs no other circumstance to be told from other facts."""
        verb = self.verbal.verb
        once = verb is not None and verb.base in ONCE
        rest = [part for part in self.clause.parts if part not in asked]
        return [part for part in rest if not (once and (part.when or part.preposition in SPATIAL | {"by"}))]

    def whole(self, asked: Collection[Part]) -> bool:
        return all(part.whole for part in self.kept(asked))

    @property
    def plural(self) -> bool:
        return self.verbal.auxiliary in ("are", "were", "do", "have") or self.named.plural

    def synonyms(self, key: str) -> list[str]:
        """Other wordings of the whole question; none where they would leave out a circumstance that matters."""
        verb = self.verbal.verb
        if verb is None or not self.verbal.simple or not (verb.base in ONCE or len(self.clause.parts) == 1):
            return []
        return synonyms((verb.base, key), subject=self.subject, past=self.verbal.past, plural=self.plural)

    def ask(self, wh: str, *asked: Part, tail: str = "") -> str:
        """ "In which year" -> "In which year was the mill built?" """
        rest = [part.full.plain for part in self.kept(asked)]
        return sentence(wh, self.verbal.auxiliary, self.subject, self.verbal.tail, *rest, tail, end="?")

    def told(self, *asked: Part, tail: str = "") -> str:
        """The clause without the asked part: "the mill was built"."""
        rest = [part.full.plain for part in self.kept(asked)]
        return sentence(self.subject, self.verbal.said, *rest, tail, end="", capital=False)

    def tell(self, wh: str, *asked: Part, tail: str = "", turn: int = 0) -> str:
        """ "in which year" -> "Tell me in which year the mill was built." """
        return opened(f"{wh} {self.told(*asked, tail=tail)}", self.turn + turn)

    def opened(self, clause: str) -> str:
        return opened(clause, self.turn)

    def echo(self, asked: Part, wh: str) -> str:
        """The sentence with the question's words in the place of the answer: "The mill was built in which year?" """
        return self._said(asked, wh) + "?"

    def cloze(self, asked: Part, answer: Text, turn: int = 0) -> str:
        """The sentence with a blank in the place of the answer."""
        blank = asked.full.plain.replace(answer.plain, BLANK, 1)
        return CLOZES[(self.turn + turn) % len(CLOZES)].format(self._said(asked, blank) + ".")

    def _said(self, asked: Part, instead: str) -> str:
        kept = self.kept((asked,))
        parts = [
            instead if part is asked else part.full.plain for part in self.clause.parts if part is asked or part in kept
        ]
        return sentence(self.subject, self.verbal.said, *parts, end="")


def opened(clause: str, turn: int) -> str:
    """ "when the mill was built" -> "Tell me when the mill was built." """
    return OPENERS[turn % len(OPENERS)].format(clause)


def sentence(*pieces: str, end: str, capital: bool = True) -> str:
    text = " ".join(piece for piece in pieces if piece)
    return (text[:1].upper() + text[1:] if capital else text) + end


def fact(answer: Text, *questions: str) -> Fact:
    """A fact with its questions, each once; empty ones are forms that did not apply."""
    return Fact(answer, tuple(dict.fromkeys(question for question in questions if question)))


def lowered(text: Text) -> Text:
    """A text from a sentence's start as it stands inside one: "The mayor" -> "the mayor"."""
    return Text(text.plain[:1].lower() + text.plain[1:], text.spans)
