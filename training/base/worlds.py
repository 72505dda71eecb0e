"""Simulated worlds: endless documents, questions over them, arithmetic and copying, for the tiny base model.

Every draw is a conversation of (question, answer) turns made from a seeded generator. Names are built from
syllables, and a checksum puts each name on one side: names met in training never occur in evaluation worlds.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

TABLES = yaml.safe_load((Path(__file__).parent / "worlds.yaml").read_text(encoding="utf-8"))
VALUES: dict[str, list[str]] = TABLES["values"]
SUBJECTS: dict[str, list[str]] = TABLES["subjects"]
ONSETS = tuple(
    "b br c ch d dr f fl g gr h j k kl l m n p pr r s sh sk st t th tr v w y z".split()  # noqa: SIM905
)
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "oa", "ou")
CODAS = ("n", "r", "l", "s", "t", "m", "nd", "rk", "st", "lt", "ck", "x", "th", "ng", *[""] * 6)
ENDINGS = tuple("ford ton by ville stad haven mere wick dale berg mouth field holm gate".split())  # noqa: SIM905
CLOZE = ["Fill in the blank: ", "Complete the sentence: ", "What is missing? ", "Which words are missing? "]
NUMBER_WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


@dataclass(frozen=True)
class Turn:
    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """One task: `context` (may be empty) stands before the first question; `kind` names the task."""

    kind: str
    context: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Fact:
    relation: str
    subject: str
    value: str
    extra: dict[str, str]


class World:
    """Draws names, facts and conversations; `held_out` chooses the side of the name space."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self.rng = rng
        self.held_out = held_out

    def syllable(self) -> str:
        return self.rng.choice(ONSETS) + self.rng.choice(VOWELS) + self.rng.choice(CODAS)

    def name(self, ending: str = "") -> str:
        while True:
            count = 1 if ending else self.rng.choice((1, 2, 2))
            name = ("".join(self.syllable() for _ in range(count)) + ending).capitalize()
            if len(name) > 3 and (zlib.crc32(name.lower().encode()) % 8 == 0) == self.held_out:
                return name

    def person(self) -> str:
        return self.name() if self.rng.random() < 0.4 else f"{self.name()} {self.name()}"

    def place(self) -> str:
        return self.name(self.rng.choice(ENDINGS)) if self.rng.random() < 0.7 else self.name()

    def value(self, kind: str) -> str:
        rng = self.rng
        match kind:
            case "person":
                return self.person()
            case "place":
                return self.place()
            case "year":
                return str(rng.randint(1100, 2050))
            case "small":
                return str(rng.randint(4, 99))
            case "count":
                return rng.choice((rng.choice(NUMBER_WORDS), str(rng.randint(2, 400))))
            case "big":
                return rng.choice((str(rng.randint(100, 9999)), f"{rng.randint(1, 99)},{rng.randint(0, 999):03d}"))
            case "metres":
                return f"{rng.randint(3, 300)} {rng.choice(('metres', 'feet', 'm'))}"
            case "grams":
                return f"{rng.randint(2, 900)} {rng.choice(('grams', 'kilograms', 'kg', 'pounds'))}"
            case "definition":
                kind = rng.choice(VALUES["adjective"])
                noun = f"{kind} {rng.choice(VALUES['colour'] + VALUES['material'])} {rng.choice(VALUES['thing'])}"
                return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
            case "list":
                things = rng.sample(VALUES["material"] + VALUES["food"] + VALUES["goods"], rng.choice((2, 3)))
                return f"{', '.join(things[:-1])} and {things[-1]}"
            case _:
                return rng.choice(VALUES[kind])

    def subject(self, kind: str) -> tuple[str, str]:
        """The subject's text and its bare word, e.g. ("the Orrin Tower", "Orrin Tower")."""
        match kind:
            case "person":
                word = self.person()
                return word, word
            case "place":
                word = self.place()
                return word, word
            case "creature":
                word = self.name().lower()
                return f"the {word}", word
            case "word":
                word = self.name().lower()
                return f"{'an' if word[0] in 'aeiou' else 'a'} {word}", word
            case _:
                noun = self.rng.choice(SUBJECTS[kind])
                proper = self.rng.random() < 0.7
                word = f"{self.name()} {noun.title() if proper and self.rng.random() < 0.5 else noun}"
                return f"the {word}", word

    def facts(self, count: int) -> list[Fact]:
        """Facts about one to three subjects, sharing relations so that the subject has to be read too."""
        rng = self.rng
        relations = TABLES["relations"]
        kind = rng.choice(sorted({relation["subject"] for relation in relations.values()}))
        names = sorted(name for name, relation in relations.items() if relation["subject"] == kind)
        cast = [self.subject(kind) for _ in range(rng.choice((1, 2, 3)) if count > 1 else 1)]
        chosen = rng.sample(names, min(len(names), max(1, -(-count // len(cast)))))
        found = [
            Fact(name, text, self.value(relations[name]["value"]), {"w": word, "part": rng.choice(VALUES["part"])})
            for name in chosen
            for text, word in cast
        ]
        rng.shuffle(found)
        return found[:count]

    def say(self, fact: Fact, *, value: str | None = None) -> str:
        template = self.rng.choice(TABLES["relations"][fact.relation]["say"])
        if template.startswith("{v}") and fact.value[0].isdigit():
            template = TABLES["relations"][fact.relation]["say"][0]
        text: str = template.format(s=fact.subject, v=fact.value if value is None else value, **fact.extra)
        return text[0].upper() + text[1:]

    def ask(self, fact: Fact) -> str:
        if self.rng.random() < 0.12:
            return self.rng.choice(CLOZE) + self.say(fact, value="____")
        text: str = self.rng.choice(TABLES["relations"][fact.relation]["ask"]).format(s=fact.subject, **fact.extra)
        return text

    def reading(self, count: int) -> Conversation:
        """A passage of `count` facts, then a question on each in another order."""
        facts = self.facts(count)
        passage = " ".join(self.say(fact) for fact in facts)
        asked = facts * 2 if count <= 4 else list(facts)
        self.rng.shuffle(asked)
        return Conversation("reading", passage, tuple(Turn(self.ask(fact), fact.value) for fact in asked))

    def recall(self, count: int) -> Conversation:
        """A bare list of keys and values: the simplest form of reading."""
        rng = self.rng
        keys = [rng.choice((self.name().lower(), rng.choice(VALUES["thing"]))) for _ in range(count)]
        pairs = {
            key: rng.choice((self.name().lower(), str(rng.randint(2, 99)), rng.choice(VALUES["colour"])))
            for key in keys
        }
        style = rng.choice(("{k}: {v}", "{k} is {v}", "{k} = {v}", "the {k} has {v}"))
        question = rng.choice(("{k}?", "What goes with {k}?", "What is {k}?", "Look up {k}."))
        passage = rng.choice((", ", "; ", ". ", "\n")).join(style.format(k=k, v=v) for k, v in pairs.items())
        asked = list(pairs) * 2
        rng.shuffle(asked)
        return Conversation("recall", passage, tuple(Turn(question.format(k=key), pairs[key]) for key in asked))

    def word(self) -> str:
        return (
            self.name().lower() if self.rng.random() < 0.5 else self.rng.choice(VALUES[self.rng.choice(sorted(VALUES))])
        )

    def copying(self) -> Conversation:
        rng = self.rng

        def turn() -> Turn:
            words = [self.word() for _ in range(rng.randint(2, 5))]
            text = ", ".join(words)
            question, answer = rng.choice(
                (
                    (rng.choice(("Repeat: {}", "Say this again: {}", "Copy: {}", "Write down: {}")), text),
                    (
                        rng.choice(
                            ("What is the first of these: {}", "Give the first word: {}", "Which comes first? {}")
                        ),
                        words[0],
                    ),
                    (
                        rng.choice(("What is the last of these: {}", "Give the last word: {}", "Which comes last? {}")),
                        words[-1],
                    ),
                )
            )
            return Turn(question.format(text), answer)

        return Conversation("copying", "", tuple(turn() for _ in range(8)))

    def arithmetic(self) -> Conversation:
        rng = self.rng

        def turn() -> Turn:
            a, b = rng.randint(1, 50), rng.randint(1, 49)
            if rng.random() < 0.4:
                a, b = rng.randint(1, 12), rng.randint(1, 9)
            kind = rng.choice(("add", "subtract", "larger", "smaller", "next"))
            match kind:
                case "add":
                    return Turn(
                        rng.choice(
                            ("What is {} + {}?", "{} plus {}?", "Add {} and {}.", "How much is {} and {}?")
                        ).format(a, b),
                        str(a + b),
                    )
                case "subtract":
                    a, b = max(a, b), min(a, b)
                    return Turn(
                        rng.choice(("What is {} - {}?", "{} minus {}?", "From {} take away {}.")).format(a, b),
                        str(a - b),
                    )
                case "larger":
                    b = b + 1 if a == b else b
                    return Turn(
                        rng.choice(("Which is larger, {} or {}?", "Which number is bigger: {} or {}?")).format(a, b),
                        str(max(a, b)),
                    )
                case "smaller":
                    b = b + 1 if a == b else b
                    return Turn(
                        rng.choice(("Which is smaller, {} or {}?", "Which number is less: {} or {}?")).format(a, b),
                        str(min(a, b)),
                    )
                case _:
                    return Turn(rng.choice(("What number comes after {}?", "Count on from {}.")).format(a), str(a + 1))

        return Conversation("arithmetic", "", tuple(turn() for _ in range(12)))


def draw(world: World, progress: float) -> Conversation:
    """One training conversation; `progress` in 0..1 moves from copying and single facts to long passages."""
    rng = world.rng
    early = max(0.0, 1.0 - progress * 4)
    task: Callable[[], Conversation] = rng.choices(
        (
            lambda: world.reading(rng.randint(1, 3) if rng.random() < 0.2 + 0.8 * early else rng.randint(3, 9)),
            lambda: world.recall(rng.randint(2, 3) if rng.random() < early else rng.randint(3, 8)),
            world.copying,
            world.arithmetic,
        ),
        weights=(0.62, 0.12 + 0.3 * early, 0.10 + 0.1 * early, 0.16 * (1 - early)),
    )[0]
    return task()
