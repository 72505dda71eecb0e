"""X is …: definitions, colours, measures, and what X has one of ("the height of X is 31 metres")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from instructlab_like.generation.rules.asking import BLANK, Asking, Fact, fact, lowered
from instructlab_like.generation.rules.clauses import Clause
from instructlab_like.generation.rules.lexicon import (
    ATTRIBUTES,
    COLOURS,
    DETERMINERS,
    MEASURES,
    PERSONS,
    SHADES,
    VAGUE,
    person_noun,
)
from instructlab_like.generation.rules.parts import Part
from instructlab_like.generation.rules.phrasings import measured
from instructlab_like.generation.rules.subjects import proper
from instructlab_like.generation.rules.tokens import pointing
from instructlab_like.generation.rules.values import TIMES, named, value
from instructlab_like.generation.sentences import Text

DEFINITION_WORDS = 14  # a longer one is cut back to its noun phrase
ATTRIBUTE = re.compile(r"the ([a-z-]+) of (.+)")
MEASURE = re.compile(rf"(.+) ({'|'.join(MEASURES)})")
PARTICIPLE_END = re.compile(r"(?<! of) (?:\w+ed|known|born|built|made|held|found|written|grown|led)$")
GERUND_END = re.compile(r"(?<! of) \w+ing$")
SUPERLATIVE = re.compile(r"the (?:[a-z]+est|capital|most [a-z]+|least [a-z]+)\b.* of ")
RELATIVE_TO = re.compile(r"\b(?:first|second|only|last|same|result|reason|number)\b")


def being(asking: Asking) -> Iterator[Fact]:
    first = asking.clause.object
    if first is None or asking.verbal.tail:
        return
    plain, alone = first.text.plain, len(asking.clause.parts) == 1
    attribute = ATTRIBUTE.fullmatch(asking.subject)
    measure = MEASURE.fullmatch(plain)
    if coloured(plain) and alone:
        yield colour(asking, first)
    elif attribute and attribute.group(1) in ATTRIBUTES | PERSONS:
        yield from _attribute(asking, attribute.group(1), attribute.group(2), first)
    elif measure:
        yield from _measure(asking, first, measure)
    elif first.value.kind == "length" and [part.preposition for part in asking.clause.parts[1:]] == ["from"]:
        yield _distance(asking, first)
    elif attribute and _noun_phrase(plain) and alone:
        yield from _feature(asking, attribute.group(1), attribute.group(2), first)
    else:
        yield from _definition(asking, first)


def coloured(text: str) -> bool:
    words = text.split()
    return 0 < len(words) <= 2 and words[-1] in COLOURS and all(word in SHADES | COLOURS for word in words)


def colour(asking: Asking, part: Part) -> Fact:
    """The coats are blue; the lighthouse is painted red."""
    subject, be, past = asking.subject, asking.verbal.auxiliary, asking.verbal.past
    do = "did" if past else "do" if be == "are" else "does"
    return fact(
        part.text,
        f"What colour {be} {subject}?",
        f"What {'was' if past else 'is'} the colour of {subject}?",
        f"Which colour {do} {subject} have?",
        f"In what colour {be} {subject} painted?" if asking.verbal.kind == "passive" else "",
        f"Which colour {be} {subject}?",
        asking.opened(f"what colour {subject} {be}"),
        f"Name the colour of {subject}.",
        asking.cloze(part, part.text),
    )


def _attribute(asking: Asking, noun: str, owner: str, part: Part) -> Iterator[Fact]:
    """The height of X is 31 metres; the mayor of X is Lisa Torn."""
    be, plain, past = asking.verbal.auxiliary, part.text.plain, asking.verbal.past
    person = noun in PERSONS
    if be not in ("is", "was") or pointing(plain) or not part.sure or len(asking.clause.parts) > 1:
        return
    fitting = part.value.kind in ("person", "name") if person else bool(part.value.size) or part.value.kind in TIMES
    if not (fitting or (not person and _noun_phrase(plain))):
        return
    wh = "Who" if person else "What"
    yield fact(
        part.text,
        f"{wh} {be} the {noun} of {owner}?",
        asking.opened(f"{wh.lower()} the {noun} of {owner} {be}"),
        f"Name the {noun} of {owner}.",
        f"What {be} the name of the {noun} of {owner}?" if person else "",
        "" if person else f"Which {noun} {'did' if past else 'does'} {owner} have?",
        f"The {noun} of {owner} {be} {wh.lower()}?",
        *measured(noun, subject=owner, past=past, plural=False),
        asking.cloze(part, part.text),
    )
    if part.value.kind == "person" and be == "is" and asking.named.spoken:
        yield fact(
            lowered(asking.clause.subject),
            f"Who is {plain}?",
            asking.opened(f"who {plain} is"),
            f"What is the role of {plain}?",
            f"What does {plain} do?",
        )


def _measure(asking: Asking, part: Part, measure: re.Match[str]) -> Iterator[Fact]:
    """The tower is 31 metres tall."""
    amount, adjective = part.text[: measure.end(1)], measure.group(2)
    if value(amount.plain).kind not in ("length", "duration", "weight") or len(asking.clause.parts) > 1:
        return
    subject, be, past = asking.subject, asking.verbal.auxiliary, asking.verbal.past
    yield fact(
        amount,
        f"How {adjective} {be} {subject}?",
        f"What {'was' if past else 'is'} the {MEASURES[adjective]} of {subject}?",
        asking.opened(f"how {adjective} {subject} {be}"),
        asking.echo(part, f"how {adjective}"),
        *measured(MEASURES[adjective], subject=subject, past=past, plural=asking.plural),
        asking.cloze(part, amount),
    )


def _distance(asking: Asking, part: Part) -> Fact:
    """The mill is 3 km from Velmouth."""
    other = asking.clause.parts[1].text.plain
    return fact(
        part.text,
        asking.ask("How far", part),
        asking.tell("how far", part),
        f"What is the distance between {asking.subject} and {other}?",
        asking.echo(part, "how far"),
        asking.cloze(part, part.text),
    )


def _noun_phrase(text: str) -> bool:
    return text.split()[0].lower() in DETERMINERS or named(text) != "phrase"


def _feature(asking: Asking, noun: str, owner: str, part: Part) -> Iterator[Fact]:
    """The sign of X is a crow: a noun outside the lists, with a noun phrase for its value."""
    be = asking.verbal.auxiliary
    if not part.sure or pointing(part.text.plain) or part.text.plain.split()[-1].lower() in VAGUE:
        return
    yield fact(
        part.text,
        f"What {be} the {noun} of {owner}?",
        asking.opened(f"what the {noun} of {owner} {be}"),
        f"The {noun} of {owner} {be} what?",
        *measured(noun, subject=owner, past=asking.verbal.past, plural=False),
        asking.cloze(part, part.text),
    )


def _definition(asking: Asking, first: Part) -> Iterator[Fact]:
    """X is a harbour town on the river Sarle; Ruth Amsel was an engineer."""
    answer = _defining(asking.clause, first)
    be, subject = asking.verbal.auxiliary, asking.subject
    long_indefinite = subject.startswith(("a ", "an ")) and len(subject.split()) > 3
    if answer is None or long_indefinite or (be in ("are", "were") and answer.plain.startswith(("a ", "an "))):
        return
    cloze = f"Complete the sentence: {subject[:1].upper()}{subject[1:]} {be} {BLANK}."
    someone = asking.named.person and person_noun(answer.plain) and be in ("is", "was")
    if someone:
        yield fact(answer, *_who(asking, answer.plain), cloze)
    elif not asking.named.person or be == "is":  # "Loomsey Marsh is a nature reserve": no person after all
        yield from _unique(asking, answer)
        yield fact(answer, *_what(asking, answer.plain), cloze)


def _what(asking: Asking, plain: str) -> Sequence[str]:
    subject, be, past = asking.subject, asking.verbal.auxiliary, asking.verbal.past
    bare = subject.split(" ", 1)[-1] if subject.startswith(("a ", "an ")) else ""
    kind = plain.startswith(("a ", "an "))
    short = kind and len(plain.split()) <= 3 and not past
    return (
        f"What {be} {subject}?",
        asking.opened(f"what {subject} {be}"),
        f"{subject[:1].upper()}{subject[1:]} {be} what?",
        f"What kind of thing {be} {subject}?" if kind else "",
        f"What sort of thing is {subject}?" if short else "",
        "" if past else f"How would you describe {subject}?",
        f"What does the word {bare} mean?" if bare else "",
    )


def _who(asking: Asking, plain: str) -> Sequence[str]:
    subject, be = asking.subject, asking.verbal.auxiliary
    do = "did" if asking.verbal.past else "does"
    profession = (
        f"What {do} {subject} do for a living?",
        f"What {be} the profession of {subject}?",
        f"What work {do} {subject} do?",
        f"What {be} the job of {subject}?",
    )
    trade = len(plain.split()) <= 3
    return (f"Who {be} {subject}?", asking.opened(f"who {subject} {be}"), *(profession if trade else ()))


def _unique(asking: Asking, answer: Text) -> Iterator[Fact]:
    """X is the capital of Y, said the other way round."""
    plain, be, subject = answer.plain, asking.verbal.auxiliary, asking.subject
    spoken = asking.named.spoken and proper(subject) and not subject.startswith("the ")
    if SUPERLATIVE.match(plain) and spoken and be in ("is", "was"):
        yield fact(asking.clause.subject, f"What {be} {plain}?", f"Name {plain}.", asking.opened(f"what {plain} {be}"))


def _defining(clause: Clause, first: Part) -> Text | None:
    """What says what the subject is: the whole complement while it is short, else as much as still says it."""
    text = first.text
    words = text.plain.split()
    if words[0] not in DETERMINERS or pointing(text.plain) or RELATIVE_TO.search(text.plain):
        return None
    if not first.whole:
        whole = clause.relative if len(clause.parts) == 1 else None
        if whole is None or len(whole.plain.split()) > DEFINITION_WORDS:
            return None
        return None if pointing(whole.plain.replace(" that ", " which ", 1)) else whole
    if words[0] == "the" and words[-1].lower() in VAGUE:
        return None
    following = [part for part in clause.parts[1:] if part.full.source[0] > text.source[1]]
    if not all(part.whole for part in following):
        return None
    trailing = PARTICIPLE_END.search(text.plain) or (GERUND_END.search(text.plain) if following else None)
    if trailing:
        text = text[: trailing.start()]  # "a method used | to heal …"
    else:
        full = joined([text, *(part.full for part in following)])
        if not pointing(full.plain) and len(full.plain.split()) <= DEFINITION_WORDS:
            return full
    words = text.plain.split()
    cut_back = bool(following) and words[0] == "the"  # "the highest-paid head | of any company": of which?
    return text if len(words) >= 3 and not cut_back and words[-1].lower() not in VAGUE else None


def joined(texts: Sequence[Text]) -> Text:
    """Neighbouring texts as one, with the source between the first and the last."""
    plain, spans = texts[0].plain, list(texts[0].spans)
    for text in texts[1:]:
        plain += " " + text.plain
        spans += [(spans[-1][1], spans[-1][1]), *text.spans]
    return Text(plain, tuple(spans))
