"""Texts on made-up affairs of a few trades: questions, statements and passages that have no long run in common."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from instructlab_like.records import Lineage, Sample, digest

Kinds = Sequence[str]


@dataclass(frozen=True)
class Trade:
    """The words of one trade; each list is divided at commas."""

    name: str
    things: str
    people: str
    qualities: str
    deeds: str  # with an object, third person, past
    places: str

    def draw(self, rng: random.Random) -> dict[str, str]:
        """One word for each slot of a frame."""
        things, people, places = self.things.split(", "), self.people.split(", "), self.places.split(", ")
        first, second, third = rng.sample(things, 3)
        return {
            "thing": first,
            "other": second,
            "third": third,
            "person": rng.choice(people),
            "name": name(rng),
            "town": name(rng),
            "rival": name(rng),
            "village": name(rng),
            "quality": rng.choice(self.qualities.split(", ")),
            "another": rng.choice(self.qualities.split(", ")),
            "deed": rng.choice(self.deeds.split(", ")),
            "place": rng.choice(places),
            "number": str(rng.randint(3, 980)),
            "few": str(rng.randint(2, 90)),
            "year": str(rng.randint(1710, 2020)),
        }

    def question(self, rng: random.Random) -> str:
        """About twenty words."""
        return sentence(rng.choice(QUESTIONS), self.draw(rng), "?")

    def short(self, rng: random.Random) -> str:
        """Five to seven words."""
        return sentence(rng.choice(SHORT), self.draw(rng), "?")

    def statement(self, rng: random.Random) -> str:
        return sentence(rng.choice(STATEMENTS), self.draw(rng), ".")

    def passage(self, rng: random.Random, sentences: int) -> str:
        return " ".join(self.statement(rng) for _ in range(sentences))


# Between any two names, numbers or years there are at most six other words: no eight words in a row are a frame's own.
QUESTIONS = (
    "how many {other}s did {name} lay beside the {thing} of {town} before {year}, and was {rival} so {quality}",
    "if {town}'s {thing} weighs {number} pounds and {name}'s {other} only {few}, which will {rival} load for {village}",
    "for what reason would {name} keep a {quality} {thing} from {town} apart from {rival}'s {other} of {year}",
    "which {person} of {town} first {deed} {name}'s {thing} with {number} {other}s, according to {rival} of {village}",
    "when {name} {deed} the {quality} {thing} of {town}, whose {other} did {rival} find, and what became of {village}",
    "explain to {name} how the {thing} of {town} differs from {rival}'s {another} {other} of {year}, seen at {village}",
    "in {town} stand {number} {thing}s; {name} takes every third for {rival}: how many are left to {village} in {year}",
    "whom should a {person} ask in {town} once {name}'s {thing} and {rival}'s {third} differ at {village}",
)
SHORT = (
    "who {deed} the {thing} of {town}",
    "why is {name}'s {thing} {quality}",
    "when was {town}'s {place} built",
    "what does {name} do with {thing}s",
    "where does the {person} {name} live",
    "how {quality} is {town}'s {thing}",
)
STATEMENTS = (
    "{name}, a {person} from {town}, {deed} {rival}'s {thing} in {year} and gave {village} its {other}",
    "Beside {town}'s {thing} lies a {other} of {number} pounds, which {name} turns once {rival} is {quality}",
    "The {place} of {town} had {number} {thing}s until {name} {deed} most, for want of {rival}'s {other}",
    "A {quality} {thing} costs {number} more than {name}'s {other}, says {rival}, whose {third} came in {year}",
    "Nobody in {town} remembered why {name} {deed} a {thing} that {rival} called {another} in {year}",
    "By {year} every {person} knew {name}'s {other}: {quality}, patched by {rival}, and heavier than {town}'s {thing}",
    "Whoever wants a {third} asks in {town}, where {name} keeps {number} under {village}'s {place}",
    "It takes {number} days until {name}'s {thing} is {quality}; then {rival} carries the {other} to {town}",
    "In wet years {town}'s {thing} fails first, and {name} has seen {rival}'s {other} split in {year}",
    "That summer {name} and the {person} of {town} {deed} {number} {other}s without {rival}'s {third}",
)
TRADES = (
    Trade(
        "bees",
        "hive, comb, frame, queen cell, smoker, brood box, swarm, feeder, veil, honey drum, wax press, skep",
        "beekeeper, swarm catcher, honey grader, wax buyer",
        "crowded, sealed, drowsy, capped, fragrant, mouldy, golden, vacant",
        "requeened, smoked, harvested, split, moved, fed, inspected, uncapped",
        "apiary, clover field, extracting room, orchard, shed, heath",
    ),
    Trade(
        "railway",
        "locomotive, signal lever, sleeper, points rod, brake van, tender, boiler tube, turntable, buffer",
        "signalman, fireman, platelayer, stationmaster, guard",
        "rusty, punctual, overhauled, idle, narrow, sturdy, derailed, polished",
        "shunted, repainted, uncoupled, scrapped, greased, borrowed, timed, lifted",
        "goods yard, engine shed, signal box, cutting, branch line, waiting room",
    ),
    Trade(
        "glass",
        "crucible, blowpipe, goblet, pane, annealing oven, batch, bead, mould, lens, decanter, rod, cullet bin",
        "glassblower, stoker, engraver, batch mixer, cutter",
        "molten, seeded, flawless, tinted, brittle, cloudy, etched, heavy",
        "blew, annealed, engraved, remelted, ground, gilded, broke, silvered",
        "furnace hall, packing loft, lehr, sand store, showroom, grinding shop",
    ),
    Trade(
        "taxes",
        "return, assessment, receipt, rebate, ledger, deduction, invoice, levy, appeal, surcharge, notice, allowance",
        "auditor, assessor, clerk, bookkeeper, taxpayer",
        "overdue, amended, estimated, refundable, disputed, joint, provisional, exempt",
        "filed, contested, waived, audited, deferred, reissued, miscounted, signed",
        "district office, archive, counting room, tribunal, help desk, registry",
    ),
)


def name(rng: random.Random) -> str:
    """A name that nobody has."""
    return "".join(rng.choice(SYLLABLES) for _ in range(3)).capitalize()


SYLLABLES_TEXT = (
    "ba bel cor dal den fen gar hol im jor ka lin lo mar mel ne nor ol pen quil ra rik sa sto tar ul ven wy"
)
SYLLABLES = SYLLABLES_TEXT.split()


def sentence(frame: str, words: dict[str, str], end: str) -> str:
    text = frame.format_map(words)
    return text[0].upper() + text[1:] + end


def made(
    question: str,
    answer: str,
    *,
    leaf: str = "knowledge/planted",
    kind: str = "freeform",
    context: str | None = None,
    method: str = "teacher",
) -> Sample:
    """A sample with these texts, whose id is their digest."""
    lineage = Lineage.model_validate({"leaf": leaf, "leaf_blob": "0" * 40, "method": method, "model": "planted"})
    id = digest([question, answer, context, leaf, method])[:32]
    fields = {"id": id, "kind": kind, "question": question, "answer": answer, "context": context, "lineage": lineage}
    return Sample.model_validate(fields)


def dressed(rng: random.Random, text: str) -> str:
    """The same text in other typography."""
    way = rng.randrange(8)
    if way == 0:
        return text.upper()
    if way == 1:
        return f"**{text}**"
    if way == 2:
        return text.replace(" ", "  ").replace(",", " ,")
    if way == 3:
        return text.lower().rstrip("?.!")
    if way == 4:
        return f"“{text}”"
    if way == 5:
        words = text.split(" ")
        middle = len(words) // 2
        return " ".join(words[:middle]) + "\n" + " ".join(words[middle:])
    if way == 6:
        return text.replace("a", "a\u200b").replace("'", "’")
    return text.replace(" ", "\u00a0").replace("?", " ?!")
