"""Where a clause's subject ends and its verb begins, and how the verb behaves in a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Literal

from instructlab_like.generation.rules.lexicon import (
    BASE,
    BE,
    CLAUSE_OPENERS,
    DETERMINERS,
    FILLERS,
    HAVE,
    HEDGES,
    INTRANSITIVE,
    MODAL,
    NOT_PARTICIPLES,
    PARTICIPLE,
    PARTICLES,
    PAST,
    POSSESSIVE,
    PREPOSITIONS,
    PRONOUNS,
    QUANTIFIERS,
    THIRD,
    Verb,
)
from instructlab_like.generation.rules.tokens import JOINING, STOPS, Token, adverb, later_finite, plural

SUBJECT_WORDS = 9
FINITE = BE | HAVE | MODAL
KNOWN = PAST.keys() | THIRD.keys() | BASE.keys()
NO_SUBJECT_START = PREPOSITIONS | QUANTIFIERS | CLAUSE_OPENERS | JOINING | {"of", "close", "next", "due"}
NO_SUBJECT_END = DETERMINERS | PREPOSITIONS | JOINING | {"of"}
NOT_IN_SUBJECT = (
    CLAUSE_OPENERS | HEDGES | FINITE | (PRONOUNS - {"this", "these"}) | STOPS | {"or", "as", "then", "–", "—", "-"}
)


@dataclass(frozen=True)
class Verbal:
    kind: Literal["be", "passive", "active"]
    auxiliary: str  # goes before the subject in a question
    tail: str  # stays behind the subject
    said: str  # as the sentence has it
    verb: Verb | None  # None: be itself, or a participle outside the lexicon
    past: bool
    participle: str = ""  # of a passive
    simple: bool = True  # one finite form, or was/is + participle: no perfect, no modal

    @property
    def maybe_passive(self) -> bool:
        """ "was chartered in 1833 and extended …": a second participle, or a past tense?"""
        verb = self.verb
        unclear = verb is not None and verb.past == verb.participle and verb.base not in INTRANSITIVE
        return self.kind == "active" and unclear


def find(words: list[Token], inherited: list[Token] | None) -> tuple[list[Token], int] | None:
    """The subject and the position of its finite verb; `inherited` is the subject of the clause before, after "and"."""
    first = next((i for i, token in enumerate(words) if not adverb(token)), 0)
    if inherited and _finite(words, first, inherited):
        return inherited, first
    for at in range(1, min(len(words) - 1, SUBJECT_WORDS + 3)):
        if words[at].word in STOPS:
            return None
        subject = words[:at]
        while subject and adverb(subject[-1]):
            subject = subject[:-1]
        if not _subject(subject):
            if words[at].lower in FINITE:
                return None
        elif _finite(words, at, subject):
            return subject, at
    return None


def _finite(words: list[Token], at: int, subject: list[Token]) -> bool:
    """Whether the word can be the finite verb of this subject."""
    if at + 1 >= len(words):
        return False
    word = words[at].word
    if word in FINITE:
        return True
    behind = next((i for i in range(at + 1, len(words)) if not adverb(words[i])), at + 1)
    following = words[behind]
    if word not in KNOWN or following.lower in FINITE or later_finite(words, at + 1):
        return False
    if following.word in (PAST.keys() | THIRD.keys()) - BASE.keys():  # "the rope works burned"
        return False
    if len(subject) > 1 and subject[-1].word in BASE and plural(subject[:-1]):  # "chickadees build nests"
        return False
    if word in PAST:
        return not (following.word in BASE and behind + 1 >= len(words))  # "the kinds recognised include: …"
    if plural(subject):
        unclear = len(subject) > 1 and subject[-1].word in THIRD  # "the suspension uses double wishbones"
        return word in BASE and not unclear
    after = words[behind + 1].lower if behind + 1 < len(words) else ","
    noun_follows = after not in PREPOSITIONS | STOPS | JOINING  # "the water pumps use electricity"
    aims = following.word in BASE and after == "to"  # "the Baltimore groups tend to"
    return word in THIRD and not aims and not (following.word in BASE and noun_follows)


def _subject(words: Sequence[Token]) -> bool:
    """Whether these words can be a subject: one noun phrase, with at most one preposition other than "of" inside."""
    if not 0 < len(words) <= SUBJECT_WORDS or adverb(words[0]) or words[0].lower in NO_SUBJECT_START:
        return False
    if words[-1].lower in NO_SUBJECT_END:
        return False
    if len(words) > 1 and words[0].lower.endswith("ed") and words[1].lower in PREPOSITIONS:
        return False  # "Adjoined to the tower is …"
    if any(_breaks(words, position) for position in range(1, len(words))):
        return False
    return sum(token.word in PREPOSITIONS for token in words[1:]) <= 1


def _breaks(words: Sequence[Token], position: int) -> bool:
    """Whether this word cannot stand inside a noun phrase: a conjunction, or a verb form of a clause of its own."""
    token = words[position]
    following = words[position + 1] if position + 1 < len(words) else None
    if token.lower in NOT_IN_SUBJECT | {"after", "before", "since", "until", "during"}:
        return True
    if token.lower == "to" and following is not None and following.word in BASE:
        return True
    if token.lower in POSSESSIVE and words[position - 1].lower not in PREPOSITIONS | {"of"}:
        return True  # "Mary Martin's book catalogues her works"
    if token.word.endswith(("'", "’")) and (following is None or following.lower in PREPOSITIONS):
        return True
    regular = token.word.endswith("ed") and len(token.word) > 4 and token.word not in NOT_PARTICIPLES
    if regular or (token.word in PARTICIPLE and token.word not in BASE):
        return not _adjectival(words[position - 1], following)
    governs = token.word.endswith("ing") and following is not None and following.lower in DETERMINERS
    return position > 1 and governs and words[position - 1].lower not in DETERMINERS | {"of"}


def _adjectival(before: Token, following: Token | None) -> bool:
    """ "the painted door": a participle before its noun, not "the cell used as …"."""
    opening = before.lower in DETERMINERS | POSSESSIVE | {"of", "and", "most"} or adverb(before)
    return following is not None and following.lower not in PREPOSITIONS and opening


def read(words: list[Token], at: int, subject: Sequence[Token]) -> tuple[Verbal, int] | None:
    """The verb group that starts at `at`, and the position behind it."""
    first = at
    while first > 0 and adverb(words[first - 1]):
        first -= 1
    adverbs = [token.word for token in words[first:at] if token.word not in FILLERS]
    if words[at].word not in FINITE:
        simple = _simple(words[at].word, adverbs, many=plural(subject))
        return _with_particle(words, simple, at + 1) if simple else None
    return None if adverbs else _compound(words, at)


def _simple(finite: str, adverbs: list[str], *, many: bool) -> Verbal | None:
    verb, past = PAST.get(finite), True
    if verb is None or (many and finite == "lay"):
        verb, past = (BASE if many else THIRD).get(finite), False
    if verb is None or (many and verb.base == verb.past):  # "they put": now, or then?
        return None
    auxiliary = "did" if past else "do" if many else "does"
    return Verbal("active", auxiliary, " ".join([*adverbs, verb.base]), " ".join([*adverbs, finite]), verb, past)


def _compound(words: list[Token], at: int) -> tuple[Verbal, int] | None:
    """A group that opens with be, have or a modal: "was first named", "has been built", "can carry", "has"."""
    finite, chain, after = words[at].word, [words[at].word], at + 1
    while after < len(words) and (adverb(words[after]) or words[after].lower in ("been", "be")):
        if words[after].word not in FILLERS:
            chain.append(words[after].word)
        after += 1
    if after >= len(words) or words[after].lower == "being":
        return None
    word, past = words[after].word, finite in ("was", "were", "had")
    if (finite in BE or {"been", "be"} & set(chain)) and _participle(words, after):
        said = [*chain, word]
        verb, simple = PARTICIPLE.get(word), finite in BE
        verbal = Verbal("passive", finite, " ".join(said[1:]), " ".join(said), verb, past, word, simple)
        return _with_particle(words, verbal, after + 1)
    if finite in MODAL:
        known = word in BASE and len(chain) == 1
        return (
            (Verbal("active", finite, word, f"{finite} {word}", BASE[word], False, "", False), after + 1)
            if known
            else None
        )
    if finite in HAVE:
        return _having(finite, chain, words, after)
    progressive = word.endswith("ing") and len(word) > 5 and word.islower()
    if progressive and after + 1 < len(words) and words[after + 1].lower in DETERMINERS:
        return None  # "is building a …": passing states are no facts
    return Verbal("be", finite, " ".join(chain[1:]), " ".join(chain), None, past), after


def _having(finite: str, chain: list[str], words: list[Token], after: int) -> tuple[Verbal, int] | None:
    word = words[after].word
    if word in PARTICIPLE and word not in BASE:
        tail = " ".join([*chain[1:], word])
        verbal = Verbal("active", finite, tail, f"{finite} {tail}", PARTICIPLE[word], False, "", False)
        return _with_particle(words, verbal, after + 1)
    if len(chain) > 1 or word in HEDGES | {"to"}:
        return None
    auxiliary = {"had": "did", "have": "do"}.get(finite, "does")
    return Verbal("active", auxiliary, "have", finite, Verb("have", "has", "had", "had"), finite == "had"), after


def _with_particle(words: list[Token], verbal: Verbal, after: int) -> tuple[Verbal, int]:
    """ "burned down", "was taken up": the particle belongs to the verb."""
    if after >= len(words) or words[after].lower not in PARTICLES:
        return verbal, after
    if after + 1 < len(words) and words[after + 1].lower in ("of", "to"):  # "out of", "up to"
        return verbal, after
    particle = words[after].lower
    verb = verbal.verb and Verb(*(f"{form} {particle}" for form in astuple(verbal.verb)))
    tail, said = f"{verbal.tail} {particle}", f"{verbal.said} {particle}"
    return replace(verbal, verb=verb, participle="", tail=tail, said=said), after + 1


def _participle(words: list[Token], at: int) -> bool:
    word = words[at].word
    following = words[at + 1].lower if at + 1 < len(words) else ""
    if not word.islower() or word in NOT_PARTICIPLES:
        return False
    if word in PARTICIPLE:
        return word not in BASE or following == "" or following in PREPOSITIONS
    regular = word.endswith("ed") and len(word) > 4
    return regular and following in PREPOSITIONS | CLAUSE_OPENERS | {"", ",", "and"}
