"""X has 12 rooms, costs 4 euros, runs on gas, makes paper; Ada Quill built X."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.generation.rules.asking import BLANK, Asking, Fact, fact
from instructlab_like.generation.rules.lexicon import (
    ADVERBS,
    DETERMINERS,
    LIGHT,
    POSSESSIVE,
    QUANTIFIERS,
    TOGETHER,
    Verb,
)
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.phrasings import COUNTED
from instructlab_like.generation.rules.subjects import proper
from instructlab_like.generation.rules.tokens import pointing
from instructlab_like.generation.rules.values import Kind, many, named, value
from instructlab_like.generation.sentences import Text, words

AMOUNTS: frozenset[Kind] = frozenset({"duration", "money", "weight", "length", "volume", "speed", "temperature"})
OBJECT_WORDS = 8
TOGETHER_WORDS = 14
FUEL_WORDS = 2
# What one does with a person, so that a name in capitals is one: "won Best Actor" is not.
MEETING = words(
    "teach marry succeed replace meet follow appoint employ hire elect name join accompany help defeat portray know"
)
# kind of the amount and verb -> the words that ask for it
HOW_MUCH: dict[tuple[Kind, str], str] = {
    ("weight", "weigh"): "How much",
    ("money", "cost"): "How much",
    ("money", "earn"): "How much",
    ("money", "pay"): "How much",
    ("money", "charge"): "How much",
    ("duration", "take"): "How long",
    ("duration", "last"): "How long",
    ("duration", "live"): "How long",
    ("duration", "stay"): "How long",
    ("duration", "sleep"): "How long",
    ("duration", "wait"): "How long",
    ("duration", "need"): "How much time",
    ("duration", "require"): "How much time",
    ("length", "travel"): "How far",
    ("length", "walk"): "How far",
    ("length", "run"): "How far",
    ("length", "swim"): "How far",
    ("length", "fly"): "How far",
    ("length", "rise"): "How high",
    ("weight", "hold"): "How much",
    ("weight", "carry"): "How much",
    ("weight", "lift"): "How much",
    ("volume", "hold"): "How much",
}
TAKING = frozenset({"hold", "contain", "need", "use", "drink", "eat", "carry", "produce", "make", "require", "give"})
STORING = frozenset({"hold", "store", "cover"})
# Last words of what looks like an object and is none.
NO_OBJECT = words(
    "place part role best well long short open closed north south east west home alone forward everywhere"
)


def active(asking: Asking) -> Iterator[Fact]:
    verb, first = asking.verbal.verb, next(iter(asking.clause.parts), None)
    if verb is None or first is None or not first.sure or not asking.whole((first,)) or pointing(first.text.plain):
        return
    yield from _subject(asking, verb, first)
    counts = [] if first.preposition else list(_counts(first.text))
    if first.preposition:
        yield from _together(asking, verb, first)
    elif counts:
        for number, noun in counts:
            yield _how_many(asking, verb, first, number, noun, alone=len(counts) == 1)
    elif first.value.kind in AMOUNTS:
        yield from _how_much(asking, verb, first)
    elif first.value.kind in ("phrase", "name", "person"):
        yield from _object(asking, verb, first)


def _counts(text: Text) -> Iterator[tuple[Text, str]]:
    """The numbers of "two towers and 12 rooms", each with what it counts."""
    start = 0
    for end, following in [(m.start(), m.end()) for m in re.finditer(r",? and |, ", text.plain)] + [
        (len(text.plain), 0)
    ]:
        piece = text[start:end]
        found = value(piece.plain)
        if many(found):
            yield piece[: found.size], found.of
        start = following


def _how_many(asking: Asking, verb: Verb, part: Part, number: Text, noun: str, *, alone: bool) -> Fact:
    subject, verbal = asking.subject, asking.verbal
    whole = not asking.kept((part,)) and verbal.simple
    has = whole and verb.base == "have"
    does = whole and not has
    return fact(
        number,
        asking.ask(f"How many {noun}", part),
        asking.tell(f"how many {noun}", part),
        asking.echo(part, f"how many {noun}") if alone else "",
        asking.cloze(part, number) if alone else "",
        f"What {'was' if verbal.past else 'is'} the number of {noun} of {subject}?" if has else "",
        f"What number of {noun} {verbal.auxiliary} {subject} have?" if has else "",
        f"Give the number of {noun} of {subject}." if has else "",
        *(text.format(s=subject, v="were" if verbal.past else "are") for text in COUNTED.get(noun, ()) if has),
        f"What is the number of {noun} that {subject} {verbal.said}?" if does else "",
        f"Give the number of {noun} that {subject} {verbal.said}." if does else "",
        *(asking.synonyms("count") if does else ()),
    )


def _how_much(asking: Asking, verb: Verb, part: Part) -> Iterator[Fact]:
    """Weighs 3 kg; costs 9 euros; takes 40 minutes; holds 3 litres of water; stores 90 days."""
    amount, kind, of = part.text[: part.value.size], part.value.kind, part.value.of
    unit = amount.plain.rsplit(" ", 1)[-1]
    wh = "" if of else HOW_MUCH.get((kind, verb.base), "")
    if of and verb.base in TAKING and kind in ("weight", "volume"):
        wh = f"How much {of}"
    elif kind == "duration" and verb.base in STORING and not of:
        wh, amount = f"How many {unit}", amount[: -len(unit) - 1]
    if not wh:
        return
    yield fact(
        amount,
        asking.ask(wh, part),
        asking.tell(wh.lower(), part),
        asking.echo(part, wh.lower()),
        *asking.synonyms(kind if kind == "duration" else ""),
        asking.cloze(part, amount),
    )


def _object(asking: Asking, verb: Verb, part: Part) -> Iterator[Fact]:
    """Uses steam; makes paper; keeps a donkey; means ice."""
    said = part.text.plain.split()
    keeps = verb.base == "keep" and said[0] in ("a", "an") and asking.named.person
    if (verb.base in LIGHT and verb.base != "mean" and not keeps) or not _thing(said):
        return
    if part.value.kind == "person":
        if asking.verbal.simple and verb.base in MEETING:
            yield fact(part.text, asking.ask("Who", part), asking.tell("whom", part), asking.cloze(part, part.text))
        return
    if part.value.kind == "name" and len(said) == 1:  # who or what?
        return
    instrument = verb.base == "play" and said[0] == "the" and len(said) == 2
    alone = len(asking.clause.parts) == 1
    yield fact(
        part.text,
        asking.ask("What", part),
        asking.tell("what", part),
        asking.echo(part, "what"),
        *asking.synonyms("the" if instrument else ""),
        f"What is it that {asking.subject} {asking.verbal.said}?" if alone else "",
        asking.cloze(part, part.text),
    )


def _thing(said: list[str]) -> bool:
    """Whether these words are surely the name of a thing: with a determiner, a plural, a name, or short."""
    last, first = said[-1], said[0].lower()
    if (
        len(said) > OBJECT_WORDS
        or last.endswith("ly")
        or last in NO_OBJECT | ADVERBS
        or first.endswith("ing")
        or first == "home"
    ):
        return False
    if first in POSSESSIVE | QUANTIFIERS or said[:3] == ["a", "number", "of"] or {"that", "to"} & set(said):
        return False
    if value(said[0]).kind == "count":
        return False
    return first in DETERMINERS or said[0][0].isupper() or last.endswith("s") or len(said) <= 2 or "and" in said


def _together(asking: Asking, verb: Verb, part: Part) -> Iterator[Fact]:
    """Runs on gas; feeds on mice; consists of a tube, a float and a recorder."""
    preposition, said = part.preposition, part.text.plain.split()
    if preposition not in TOGETHER.get(verb.base, "").split() or part.value.kind not in (
        "phrase",
        "name",
        "person",
        "count",
    ):
        return
    if asking.kept((part,)) or len(said) > TOGETHER_WORDS or said[0].endswith("ing") or said[0].lower() in POSSESSIVE:
        return
    # "runs on a modified Saturday schedule" is no fuel, and what consists of one thing has no parts.
    literal = len(said) <= FUEL_WORDS if preposition == "on" else preposition != "of" or "and" in said
    yield fact(
        part.text,
        asking.ask("What", part, tail=preposition),
        asking.ask(f"{preposition.capitalize()} what", part),
        asking.tell("what", part, tail=preposition),
        asking.echo(part, f"{preposition} what"),
        *(asking.synonyms(preposition) if literal else ()),
        asking.cloze(part, part.text),
    )


def _subject(asking: Asking, verb: Verb, part: Part) -> Iterator[Fact]:
    """Ada Quill built the Harrow Clock: who built it?"""
    text = asking.clause.subject
    single = named(text.plain) == "name" and len(text.plain.split()) == 1
    if not (asking.named.person or single) or not asking.named.spoken or verb.base in LIGHT:
        return
    if part.preposition or not asking.verbal.simple or not proper(part.text.plain) or not asking.whole(()):
        return
    done = " ".join([asking.verbal.said, *(kept.full.plain for kept in asking.kept(()))])
    yield fact(
        text,
        f"Who {done}?",
        asking.opened(f"who {done}"),
        f"Name the person who {done}." if asking.named.person else "",
        f"Complete the sentence: {BLANK} {done}.",
    )
