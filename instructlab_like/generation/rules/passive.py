"""X was built by …, is made of …, is known for …, is called …"""

from __future__ import annotations

from collections.abc import Iterator

from instructlab_like.generation.rules.asking import Asking, Fact, fact
from instructlab_like.generation.rules.being import colour, coloured
from instructlab_like.generation.rules.lexicon import DETERMINERS, MADE, POSSESSIVE, Verb, person_noun
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.tokens import pointing
from instructlab_like.generation.rules.values import named

COLOURING = frozenset({"painted", "coloured", "colored", "dyed"})
NAMING = frozenset({"called", "named", "nicknamed", "titled", "renamed"})
AGENTS = frozenset({"phrase", "name", "person"})
PEOPLE = frozenset({"people", "men", "women", "children"})
AGENT_WORDS = 9
GOVERNED_WORDS = 8
GOVERNED: dict[str, tuple[str, ...]] = {
    "know": ("for", "as"),
    "use": ("for", "as"),
    "fill": ("with",),
    "cover": ("with",),
    "replace": ("with",),
    "name": ("after",),
}


def passive(asking: Asking) -> Iterator[Fact]:
    first, participle = asking.clause.object, asking.verbal.participle
    if first is not None and participle in COLOURING:
        if coloured(first.text.plain) and len(asking.clause.parts) == 1:
            yield colour(asking, first)
        return
    if first is not None and participle in NAMING:
        yield from _called(asking, first)
    for position, part in enumerate(asking.clause.parts[:2]):
        if not part.sure or not asking.whole((part,)) or pointing(part.text.plain) or part.value.kind not in AGENTS:
            continue
        if part.preposition == "by":
            yield from _agent(asking, part)
        elif position == 0 and asking.verbal.verb is not None:
            yield from _governed(asking, part, asking.verbal.verb)


def _called(asking: Asking, part: Part) -> Iterator[Fact]:
    """Is called the Whale."""
    if len(part.text.plain.split()) > 5 or pointing(part.text.plain) or len(asking.clause.parts) > 1 or not part.sure:
        return
    yield fact(
        part.text,
        asking.ask("What", part),
        asking.tell("what", part),
        asking.echo(part, "what"),
        f"What name {'was' if asking.verbal.past else 'is'} given to {asking.subject}?",
        asking.cloze(part, part.text),
    )


def _agent(asking: Asking, part: Part) -> Iterator[Fact]:
    """Built by Ada Quill; driven by wind."""
    verbal, words = asking.verbal, part.text.plain.split()
    amount = any(character in "0123456789%" for character in part.text.plain)  # "raised by an average of 5%"
    if not verbal.simple or len(words) > AGENT_WORDS or words[0].endswith("ing") or amount:
        return
    wh, whom = _whom(part)
    finite = _finite(asking)
    rest = [kept.full.plain for kept in asking.kept((part,))]
    active = " ".join([finite, asking.subject, *rest])
    yield fact(
        part.text,
        f"{wh} {active}?" if finite else "",
        asking.ask(whom, part),
        f"{wh} {verbal.auxiliary} {asking.subject} {verbal.tail} by?" if not rest else "",
        asking.opened(f"{wh.lower()} {active}") if finite else asking.tell(whom.lower(), part),
        f"Name the person who {active}." if part.value.kind == "person" and finite else "",
        *asking.synonyms("by"),
        asking.cloze(part, part.text),
    )


def _finite(asking: Asking) -> str:
    """The verb as its agent would do it: "was built by" -> "built"; empty where the form is not known."""
    verbal = asking.verbal
    verb = verbal.verb
    if verb is not None and verbal.tail == verb.participle:
        return verb.past if verbal.past else verb.third
    return verbal.tail if verbal.past and verbal.tail.endswith("ed") else ""


def _whom(part: Part) -> tuple[str, str]:
    """The words that ask for an agent, as far as it is known to be someone or something."""
    name = part.text.plain
    words = name.split()
    titled = len(words) > 2 and named(" ".join(words[-2:])) == "person"  # "the surgeon Walther Kausch"
    if part.value.kind in ("person", "name") or name[0].isupper() or titled or person_noun(name) or words[-1] in PEOPLE:
        return "Who", "By whom"
    if (words[0] in ("a", "an") and words[-1].islower()) or (
        words[0] not in DETERMINERS and not words[-1].endswith("s")
    ):
        return "What", "By what"
    return "Who or what", "By whom or by what"


def _governed(asking: Asking, part: Part, verb: Verb) -> Iterator[Fact]:
    """Made of granite; known for its rope; filled with sand; named after Ada Quill."""
    preposition, answer = part.preposition, part.text
    words = answer.plain.split()
    if words[0].lower() in POSSESSIVE:
        answer = answer[len(words[0]) + 1 :]
    made = verb.base in MADE and preposition in ("of", "from") and part.value.kind == "phrase"
    if not (made or preposition in GOVERNED.get(verb.base, ())):
        return
    if len(words) > GOVERNED_WORDS or asking.kept((part,)) or not answer:
        return
    wh, whom = ("Who", "whom") if part.value.kind == "person" and preposition == "after" else ("What", "what")
    yield fact(
        answer,
        asking.ask(wh, part, tail=preposition),
        asking.ask(f"{preposition.capitalize()} {whom}", part),
        asking.tell(wh.lower(), part, tail=preposition),
        asking.echo(part, f"{preposition} {whom}"),
        *asking.synonyms("of" if made else preposition),
        asking.cloze(part, answer),
    )
