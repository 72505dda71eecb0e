"""Who or what a sentence is about, by a name that can stand alone in a question."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from instructlab_like.generation.rules.clauses import Clause
from instructlab_like.generation.rules.lexicon import DETERMINERS, POSSESSIVE, PREPOSITIONS, QUANTIFIERS, VAGUE
from instructlab_like.generation.rules.tokens import pointing, tokens
from instructlab_like.generation.rules.values import NUMBER, named, value
from instructlab_like.generation.sentences import Block, Text, render

WORD = re.compile(r"[^\W\d_][\w'’-]*")
STEM = 5  # letters that two forms of a word share
# Endings of nouns that take no article: a sentence may open with one, and it is no name.
ABSTRACT = ("tion", "sion", "ment", "ness", "ity", "ism", "ing", "ance", "ence", "ship", "age", "th", "ology", "graphy")
# "the brightest member", "the new line": among what, after which?
RELATIVE = re.compile(
    r"the (?:\w+est|most|least|first|second|third|last|next|others?|only|main|final|remaining|new|original|previous"
    r"|current|resulting|two|three|four|five|rest)\b"
)
FULL_NAME = re.compile(r"\b([A-Z][a-z]+) ([A-Z][a-z]+)\b")
DEFINED = re.compile(r"The ((?:[\w-]+ )?([a-z-]+)) is an? ")
KIND = re.compile(r"an? (?:[\w-]+ )*?([a-z]+)(?= (?:of|in|on|at|that|which|for|from|with|near)\b|$)")
DECAPITALISED = DETERMINERS | QUANTIFIERS | {"each", "every", "one"}
PERSONAL = frozenset({"he", "she"})


@dataclass(frozen=True)
class Named:
    """A subject as questions call it, in the middle of a sentence."""

    text: str
    person: bool = False
    plural: bool = False
    spoken: bool = True  # the sentence itself says this name; False: a pronoun or "the N" was resolved

    @property
    def specific(self) -> bool:
        """Two words or more beside the article tell it from other things: "the yearly service"."""
        return len([word for word in self.text.split() if word not in DETERMINERS]) > 1


class Topic:
    """What a chunk is about: its document's title, and which of its words are written without a capital."""

    def __init__(self, headings: Sequence[str], blocks: Sequence[Block]) -> None:
        titles = [render(heading).plain for heading in headings]
        titles += [block.text.plain for block in blocks if block.kind == "heading"]
        self.title = re.sub(r"\s*\([^()]*\)", "", titles[0]).strip() if titles else ""
        self.stems = [word[:STEM].lower() for word in WORD.findall(self.title) if len(word) > 3]
        sentences = [sentence.plain for block in blocks if block.kind != "heading" for sentence in block.sentences]
        self.lower = Counter(word for text in sentences for word in WORD.findall(text) if word.islower())
        inside = [text.split(" ", 1)[-1] for text in sentences if " " in text]
        self.capital = {word for text in (*inside, self.title) for word in WORD.findall(text) if word[0].isupper()}
        pairs = (pair for text in (*sentences, self.title) for pair in FULL_NAME.findall(text))
        self.people = {
            last for first, last in pairs if named(f"{first} {last}") == "person"
        }  # "Clark", once named in full
        openings = filter(None, map(DEFINED.match, sentences))
        self.defined = {f"the {found.group(1)}" for found in openings if found.group(2) not in VAGUE}

    def decapitalise(self, phrase: str) -> str:
        """A phrase from a sentence's start as it stands inside one: "The lamp" -> "the lamp", "Dolly" stays."""
        first, _, rest = phrase.partition(" ")
        if len(first) > 1 and not first[1:].islower():
            return phrase
        word = first.lower()
        if rest:
            joined = rest.startswith(("and ", "of ", "in "))
            common = (
                first not in self.capital and rest[0].islower() and not joined and "'" not in first.replace("’", "'")
            )
            seen = self.lower[word] > 0
        else:  # "Vinegar", but also "Time", the magazine
            common = first not in self.capital and word.endswith(("s", *ABSTRACT))
            seen = self.lower[word] > (0 if word.endswith("s") else 1)
        ordinary = word in DECAPITALISED or re.fullmatch(NUMBER, word)
        return word + phrase[len(first) :] if ordinary or common or seen else phrase

    def shown_in(self, question: str) -> bool:
        """Whether a question says what it is about: the topic, a proper name, or a thing that the chunk defines."""
        said = [word.lower() for word in WORD.findall(question)]
        if self.stems and all(any(word.startswith(stem) for word in said) for stem in self.stems):
            return True
        inside = question.split(" ", 1)[-1]
        if any(re.search(rf"\b{re.escape(term)}\b", inside) for term in self.defined):
            return True
        return proper(inside) and any(word in self.capital for word in WORD.findall(inside))


def proper(text: str) -> bool:
    """Whether a phrase from inside a sentence holds a proper name."""
    said = (word for word in re.findall(r"[\w'’.-]+", text) if value(word).kind not in ("month", "day", "season"))
    return any(word[0].isupper() and word not in ("I", "A") for word in said)


class Discourse:
    """Follows the subjects of a chunk from sentence to sentence."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.last: Named | None = None
        self.called: defaultdict[str, set[str]] = defaultdict(set)  # "ferry" -> names that end so, or are one

    def forget(self) -> None:
        """A new paragraph, or a sentence that was not understood: "it" points nowhere."""
        self.last = None

    def name(self, subject: Text, *, plural: bool, past: bool) -> Named | None:
        """The subject's name, or None when what it points to is not certain."""
        said = [token.word for token in tokens(subject)]
        first = said[0].lower()
        if len(said) == 1 and first in ("it", "they", *PERSONAL):
            return self._pronoun(first)
        if first in POSSESSIVE:
            simple = len(said) > 1 and not any(word.lower() in PREPOSITIONS for word in said)
            return self._possessed(" ".join(said[1:]), plural=plural) if simple else None
        phrase = self.topic.decapitalise(subject.plain)
        if pointing(subject.plain) or (RELATIVE.match(phrase) and not proper(phrase)):
            return None
        unclear = len(said) > 1 and said[1] in ("and", "of", "in") and phrase == subject.plain
        indefinite = first in ("a", "an") and (past or (len(said) > 3 and not {"for", "of"} & set(said)))
        if indefinite or (unclear and said[0] not in self.topic.capital):
            return None  # "A new bridge was opened", which one? "Damage and …", which may be a name
        known = self.called.get(said[1], set()) if len(said) == 2 and first == "the" else set()
        if len(known) == 1:
            return Named(next(iter(known)), plural=plural, spoken=False)
        return Named(phrase, person=named(phrase) == "person", plural=plural)

    def follow(self, subject: Named, clause: Clause) -> None:
        """Remember a sentence's subject for the sentences after it."""
        thing = clause.object
        rival = clause.verbal.kind == "active" and thing is not None and thing.text.plain.split()[0] in DETERMINERS
        self.last = None if rival and not self._is_topic(subject) else subject
        said = subject.text.split()
        if said[0] == "the" and proper(subject.text) and (said[-1].islower() or len(said) == 3):
            self.called[said[-1].lower()].add(subject.text)
        defines = clause.verbal.kind == "be" and clause.verbal.auxiliary in ("is", "was")
        kind = KIND.match(thing.text.plain) if defines and thing is not None else None
        if kind and said[0] not in ("a", "an"):
            self.called[kind.group(1)].add(subject.text)

    def _is_topic(self, subject: Named) -> bool:
        return bool(self.topic.title) and subject.text.lower().removeprefix("the ") == self.topic.title.lower()

    def _pronoun(self, word: str) -> Named | None:
        last = self.last
        if last is None or not (proper(last.text) or self._is_topic(last)):
            return None
        if word == "they":
            fits = last.plural
        else:
            someone = last.person or last.text in self.topic.people
            fits = someone == (word in PERSONAL) and not last.plural
        return Named(last.text, person=word in PERSONAL, plural=last.plural, spoken=False) if fits else None

    def _possessed(self, thing: str, *, plural: bool) -> Named | None:
        """ "Its lamp" -> "the lamp of the Kestle Lighthouse"."""
        if self.last is None or " of " in self.last.text or len(self.last.text.split()) > 4:
            return None
        return Named(f"the {thing} of {self.last.text}", plural=plural, spoken=False)
