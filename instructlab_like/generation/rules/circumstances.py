"""When, where and how often: what any clause may say beside its object."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.generation.rules.asking import Asking, Fact, fact
from instructlab_like.generation.rules.lexicon import DETERMINERS, GOING, PLACED, PLACED_BY_NAME, PLACELESS, SPATIAL
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.subjects import proper
from instructlab_like.generation.rules.tokens import SINGULAR_ENDINGS, pointing
from instructlab_like.generation.rules.values import Kind

# kind of a time -> the words that ask for it, and the noun of "Name the … "
WHEN: dict[Kind, tuple[tuple[str, ...], str]] = {
    "year": (("In which year", "In what year"), "year in which"),
    "date": (("On which date", "On what date"), "date on which"),
    "month": (("In which month", "In what month"), "month in which"),
    "day": (("On which day", "On what day"), "day on which"),
    "clock": (("At what time",), "time at which"),
    "season": (("In which season", "In what season"), "season in which"),
    "century": (("In which century",), "century in which"),
    "period": ((), ""),
    "hours": ((), ""),
}
TIMED = frozenset({"in", "on", "at", "during", "between", "around", "about", ""})  # prepositions of a "when"
POINTS = frozenset({"in", "at", "on"})  # prepositions that an answer to "where" need not repeat
BEING_PLACED = SPATIAL - {"by", "about", "around", "under", "above"}
PLACE_WORDS = 7
STARTING = frozenset({"start", "begin", "end", "stop", "finish", "meet"})


def times(asking: Asking) -> Iterator[Fact]:
    """Built in 1874; opens on Sunday; open since 1990."""
    kinds = [part.value.kind for part in asking.clause.parts]
    for part in asking.clause.parts:
        clear = part.when and part.sure and kinds.count(part.value.kind) == 1 and asking.whole((part,))
        if not clear or (asking.verbal.past and _dateless(part)):
            continue
        if part.preposition in ("since", "until"):
            wh = f"{part.preposition} when"
            yield fact(
                part.text, asking.ask(wh.capitalize(), part), asking.tell(wh, part), asking.cloze(part, part.text)
            )
        elif part.preposition in TIMED or (part.preposition == "from" and part.value.kind == "hours"):
            yield _time(asking, part)


def _dateless(part: Part) -> bool:
    """ "on 7 November", said of the past: of which year?"""
    partial = part.value.kind in ("date", "month", "day", "season", "clock", "hours")
    return partial and not re.search(r"\d{4}", part.text.plain)


def _time(asking: Asking, part: Part) -> Fact:
    asked, noun = WHEN[part.value.kind]
    answer = part.full if part.value.kind == "hours" or part.preposition in ("around", "about") else part.text
    questions = [asking.ask(wh, part) for wh in ("When", *asked)]
    questions += [*asking.synonyms(part.value.kind), asking.tell("when", part)]
    if asked:
        questions += [
            asking.tell(asked[0].lower(), part, turn=1),
            asking.echo(part, asked[0].lower()),
            f"Name the {noun} {asking.told(part)}.",
        ]
    return fact(answer, *questions, asking.cloze(part, answer))


def places(asking: Asking) -> Iterator[Fact]:
    """Stands on Gull Point; is in Oslen; sails to Marrow Island."""
    for part in asking.clause.parts:
        if part.preposition == "to":
            yield from _destination(asking, part)
        if part.preposition not in SPATIAL or part.when or not part.sure or not asking.whole((part,)):
            continue
        if not _place(asking, part):
            continue
        bare = part.preposition in POINTS
        answer = part.text if bare else part.full
        subject, be = asking.subject, asking.verbal.auxiliary
        being = asking.verbal.kind == "be"
        yield fact(
            answer,
            asking.ask("Where", part),
            *asking.synonyms("place"),
            asking.tell("where", part),
            f"Where {be} {subject} located?" if being else "",
            f"Where can {subject} be found?" if being else "",
            f"What is the location of {subject}?" if being else "",
            asking.echo(part, "where"),
            f"Name the place where {asking.told(part)}.",
            asking.ask(f"{part.preposition.capitalize()} what place", part) if bare and proper(part.text.plain) else "",
            asking.cloze(part, answer),
        )


def _destination(asking: Asking, part: Part) -> Iterator[Fact]:
    verb = asking.verbal.verb
    going = verb is not None and verb.base in GOING and part.value.kind in ("name", "person")
    if going and part.sure and asking.whole((part,)):
        yield fact(
            part.text,
            asking.ask("Where", part, tail="to"),
            asking.ask("To what place", part),
            *asking.synonyms("to"),
            asking.tell("where", part, tail="to"),
            asking.echo(part, "to what place"),
            asking.cloze(part, part.text),
        )


def _place(asking: Asking, part: Part) -> bool:
    words = part.text.plain.split()
    if pointing(part.text.plain) or part.value.kind not in ("name", "person", "phrase"):
        return False
    if len(words) > PLACE_WORDS or any(word.endswith("ing") for word in words[1:]):
        return False
    if any(word.lower() in PLACELESS for word in (words[-1], *words[1:2])):
        return False
    name = part.value.kind != "phrase" or (words[0] in DETERMINERS and proper(part.text.plain))
    several = words[-1].endswith("s") and not words[-1].endswith(SINGULAR_ENDINGS)
    concrete = words[0] in DETERMINERS or several
    verb = asking.verbal.verb
    if asking.verbal.kind == "be":
        alone = len(asking.clause.parts) == 1 and part.preposition in BEING_PLACED
        return alone and (name or (concrete and part.preposition != "in"))
    if verb is None or (part.preposition == "on" and verb.base in ("live", "work", "open", "base")):
        return False
    if verb.base in PLACED:
        return name or concrete
    before = asking.clause.parts[: asking.clause.parts.index(part)]
    if any(other.preposition and not other.when and other.preposition != "by" for other in before):
        return False  # "based on accounts | in the diaries": may belong to what stands before it
    if part.preposition == "at" and words[0] == "the" and verb.base in STARTING:
        return True
    return verb.base in PLACED_BY_NAME and name and part.preposition in ("in", "at", "near", "on")


def often(asking: Asking) -> Iterator[Fact]:
    """Measures the water every six minutes."""
    for part in asking.clause.parts:
        if part.value.kind == "often" and part.sure and asking.whole((part,)):
            yield fact(
                part.text,
                asking.ask("How often", part),
                asking.tell("how often", part),
                asking.echo(part, "how often"),
                asking.cloze(part, part.text),
            )
