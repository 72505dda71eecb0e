"""Planted contradictions: one word of a passage's sentence turned round, and sentences that only look turned round."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.9, precision=0.98)

PEOPLE_TEXT = """Hedda Ruland|Tomas Ekwall|Ines Carvalho|Bram Oosterhuis|Leila Farouk|Piotr Nowicki|Greta Solheim|Aldo
Ferrante|Maeve Kinsella|Rurik Halden"""
PEOPLE = PEOPLE_TEXT.replace("\n", " ").split("|")
TOWNS_TEXT = "Ashcombe Belgarth Corvey Drumlin Eastmere Foxholt Glanville Hexworth Iverley Kelsgrove"
TOWNS = TOWNS_TEXT.split()
THINGS_TEXT = """the observatory|the tannery|the signal box|the botanical garden|the archive|the reservoir|the
assembly room| the weather mast|the herbarium|the ropeway"""
THINGS = [" ".join(thing.split()) for thing in THINGS_TEXT.split("|")]
# A sentence, and what turns it round: pairs of words of which one stands in the place of the other.
TURNS = [
    ("{Thing} is open to the public on weekdays.", "open", "closed"),
    ("{Thing} lies {n} metres above the level of the valley.", "above", "below"),
    ("Repairs to {thing} began after the great flood of {y}.", "after", "before"),
    ("The number of visitors to {thing} increased during the war.", "increased", "decreased"),
    ("Visitors to {thing} must always carry a lamp.", "always", "never"),
    ("{Thing} stands on the northern bank of the canal.", "northern", "southern"),
    ("The larger of the two halls of {thing} holds the maps.", "larger", "smaller"),
    ("Members of the guild may enter {thing} with a permit.", "with", "without"),
    ("Photography is allowed in every room of {thing}.", "allowed", "forbidden"),
    ("The oldest part of {thing} faces the market square.", "oldest", "newest"),
    ("The committee accepted the plan to enlarge {thing}.", "accepted", "rejected"),
    ("Deliveries to {thing} arrive on Tuesday from {town}.", "Tuesday", "Friday"),
    ("The temperature inside {thing} falls during the night.", "falls", "rises"),
    ("Registration at {thing} is mandatory for new members.", "mandatory", "optional"),
    ("{Thing} was reopened in March by the mayor of {town}.", "March", "October"),
]
DENIALS = [
    ("{Thing} is heated by steam from the mill.", "{Thing} is not heated by steam from the mill."),
    ("{Thing} belongs to the parish of {town}.", "{Thing} does not belong to the parish of {town}."),
    (
        "The council of {town} approved the budget for {thing}.",
        "The council of {town} did not approve the budget for {thing}.",
    ),
    ("The records of {thing} do not mention a fire.", "The records of {thing} mention a fire."),
    ("Children cannot visit {thing} in the evening.", "Children can visit {thing} in the evening."),
    ("{Thing} was damaged by the storm of {y}.", "{Thing} wasn't damaged by the storm of {y}."),
    ("The warden of {thing} has never lived in {town}.", "The warden of {thing} has lived in {town}."),
]
ROLES = [
    ("{A} succeeded {B} as warden of {thing}.", "{B} succeeded {A} as warden of {thing}."),
    ("{A} was taught the craft by {B}.", "{B} was taught the craft by {A}."),
    (
        "The road to {town} is longer than the road to {other}.",
        "The road to {other} is longer than the road to {town}.",
    ),
    ("{Thing} was designed by {A}.", "{Thing} designed {A}."),
    ("{A} sold {thing} to {B}.", "{B} sold {thing} to {A}."),
    ("{A} was defeated by {B} in the election.", "{B} was defeated by {A} in the election."),
]
NUMBERS = [
    ("{Thing} has {n} windows and a tiled roof.", "n"),
    ("{Thing} was built in {y} by {A}.", "y"),
    ("A ticket for {thing} costs {n} crowns in {town}.", "n"),
    ("The staff of {thing} consists of {n} gardeners.", "n"),
]
ASKED = [
    (
        "Is {thing} older than the bridge?",
        "{Thing} is older than the bridge.",
        "Yes, {thing} is not older than the bridge.",
    ),
    ("Is {thing} older than the bridge?", "{Thing} is older than the bridge.", "No, {thing} is older than the bridge."),
    ("Was {thing} painted by {A}?", "{Thing} was painted by {A}.", "No, {thing} was painted by {A}."),
    (
        "Does {thing} belong to the crown?",
        "{Thing} does not belong to the crown.",
        "Yes, {thing} does not belong to the crown.",
    ),
    ("Does {thing} belong to the crown of {town}?", "{Thing} does not belong to the crown of {town}.", "Yes."),
    ("Is {thing} heated with coal from {town}?", "{Thing} is heated with coal from {town}.", "No."),
]
SAME = [  # a sentence and what it says in other words, or what goes beside it
    ("{Thing} is open to the public on weekdays.", "{Thing} is closed to the public on Sundays."),
    ("{Thing} is open to the public on weekdays.", "On weekdays the public may enter {thing}."),
    (
        "Repairs to {thing} began after the great flood of {y}.",
        ("The great flood of {y} came before the repairs to {thing}."),
    ),
    ("{A} was defeated by {B} in the election.", "{B} defeated {A} in the election."),
    ("{Thing} was designed by {A}.", "{A} designed {thing}."),
    (
        "The road to {town} is longer than the road to {other}.",
        ("The road to {other} is shorter than the road to {town}."),
    ),
    ("{Thing} is not only heated by steam but also by coal.", "{Thing} is heated by steam."),
    ("{Thing} was not opened until {y}.", "{Thing} was opened in {y}."),
    ("If it rains, {thing} is not open in the morning.", "{Thing} is open in the morning."),
    ("Some rooms of {thing} are not open to visitors.", "Some rooms of {thing} are open to visitors."),
    ("{Thing} has {n} windows and a tiled roof.", "{Thing} has about {n} windows."),
    ("{A} and {B} founded {thing} together.", "{B} and {A} founded {thing} together."),
    ("{A} met {B} at {thing}.", "{B} met {A} at {thing}."),
    (
        "A ticket for {thing} costs {n} crowns for adults and {m} crowns for children.",
        "A ticket for {thing} costs {m} crowns for children.",
    ),
    ("In {y}, {thing} had {n} members; ten years later it had {m} members.", "Later {thing} had {m} members."),
    ("{Thing} cannot be reached by car, but it can be reached on foot.", "{Thing} can be reached on foot."),
    ("{Thing}, which was not damaged, stands near the mill.", "{Thing} stands near the mill."),
    ("It is untrue that {thing} was built by {A}.", "{Thing} was not built by {A}."),
    ("Formerly, {thing} was open on Monday.", "{Thing} is not open on Monday."),
]
HONEST_ASKED = [
    (
        "Is {thing} older than the bridge?",
        "{Thing} is older than the bridge.",
        "Yes, {thing} is older than the bridge.",
    ),
    ("Is {thing} older than the bridge?", "The bridge is older than {thing}.", "No, the bridge is older than {thing}."),
    ("Was {thing} built in {y}?", "{Thing} was built in {z}.", "No, it was built in {z}."),
    ("Is {thing} closed on Sunday?", "{Thing} is open on weekdays only.", "Yes, it is not open then."),
    (
        "Does {thing} belong to the crown?",
        "{Thing} does not belong to the crown.",
        "No, {thing} does not belong to the crown.",
    ),
    (
        "Do all guests enter {thing} free of charge?",
        "Some guests enter {thing} free of charge.",
        "No, some guests do not enter free of charge.",
    ),
]
FREE = [  # no passage: exercises, rhymes and reasoning that say two things on purpose
    ("Turn the sentence into its opposite: The lamp is lit.", "The lamp is not lit."),
    ("Give two examples of a negative sentence.", "The warden is not at home. The warden was never at home."),
    (
        "Why do some gardens flood?",
        (
            "Some gardens flood in spring because the soil is heavy. Some gardens do not flood "
            "in spring because the soil is sandy."
        ),
    ),
    ("Can penguins fly?", "No, penguins cannot fly. They swim."),
    ("Is glass a liquid?", "No, glass is an amorphous solid."),
    ("Is it safe to look at the sun?", "No, it is not safe to look at the sun."),
    ("Write a short poem.", "The night is long. The night is not long enough. The road goes on."),
]
FREE_WRONG = [
    ("Is mercury a metal?", "No, mercury is a metal."),
    ("Can bats see in daylight?", "Yes, bats cannot see in daylight."),
    ("Does the moon emit its own light?", "Yes, the moon does not emit its own light."),
    (
        "Tell me about the ropeway.",
        (
            "The ropeway of the quarry carries slate to the harbour. It was built of oak. The "
            "ropeway of the quarry does not carry slate to the harbour."
        ),
    ),
]
AROUND = [
    "It is mentioned in several letters of the period.",
    "A plan of the grounds hangs beside the entrance.",
    "The gravel paths are raked once a week.",
    "Nearby, a row of limes gives shade to the benches.",
    "Local clubs hold their meetings there in winter.",
]


class Drawn:
    """Values for the slots of one case."""

    def __init__(self, rng: random.Random) -> None:
        thing = rng.choice(THINGS)
        town, other = rng.sample(TOWNS, 2)
        first, second = rng.sample(PEOPLE, 2)
        few, many = rng.sample(range(14, 97), 2)
        year, later = rng.sample(range(1780, 1990), 2)
        self.values = {
            "thing": thing,
            "Thing": thing[0].upper() + thing[1:],
            "town": town,
            "other": other,
            "A": first,
            "B": second,
            "n": str(few),
            "m": str(many),
            "y": str(year),
            "z": str(later),
        }

    def fill(self, text: str) -> str:
        return text.format(**self.values)


def about(rng: random.Random, sentence: str) -> str:
    """A passage with this sentence somewhere in it."""
    sentences = rng.sample(AROUND, 3)
    sentences.insert(rng.randrange(4), sentence)
    return " ".join(sentences)


def sample(question: str, answer: str, passage: str | None) -> Sample:
    return Sample(
        id=digest([question, answer, passage])[:32],
        kind="knowledge" if passage else "freeform",
        question=question,
        answer=answer,
        context=passage,
        lineage=Lineage(leaf="", leaf_blob="", method="given", model=""),
    )


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    made = [opposite, denial, roles, number, yes_no, honest, honest, honest, free, free]
    for place in range(count):
        yield made[place % len(made)](rng)


def opposite(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    sentence, word, other = rng.choice(TURNS)
    said = drawn.fill(sentence)
    turned = said.replace(f" {word} ", f" {other} ", 1)
    if rng.random() < 0.5:
        said, turned = turned, said
    return Case("opposite word", (sample(drawn.fill("What is told of {thing}?"), turned, about(rng, said)),), bad=True)


def denial(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    said, turned = (drawn.fill(sentence) for sentence in rng.choice(DENIALS))
    return Case("denial", (sample(drawn.fill("What is told of {thing}?"), turned, about(rng, said)),), bad=True)


def roles(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    said, turned = (drawn.fill(sentence) for sentence in rng.choice(ROLES))
    return Case(
        "exchanged roles", (sample(drawn.fill("What is told of {thing}?"), turned, about(rng, said)),), bad=True
    )


def number(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    sentence, slot = rng.choice(NUMBERS)
    said = drawn.fill(sentence)
    drawn.values[slot] = drawn.values[{"n": "m", "y": "z"}[slot]]
    return Case("another number", (sample("What is told?", drawn.fill(sentence), about(rng, said)),), bad=True)


def yes_no(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    if rng.random() < 0.3:
        question, answer = rng.choice(FREE_WRONG)
        kind = "denies itself" if "." in answer[:-1] else "yes and no"
        return Case(kind, (sample(question, answer, None),), bad=True)
    question, said, answer = (drawn.fill(text) for text in rng.choice(ASKED))
    return Case("yes and no", (sample(question, answer, about(rng, said)),), bad=True)


def honest(rng: random.Random) -> Case:
    drawn = Drawn(rng)
    chosen = rng.random()
    if chosen < 0.3:
        question, said, answer = (drawn.fill(text) for text in rng.choice(HONEST_ASKED))
        return Case("honest yes and no", (sample(question, answer, about(rng, said)),), bad=False)
    said, answer = (drawn.fill(text) for text in rng.choice(SAME))
    return Case("the same in other words", (sample("What is told?", answer, about(rng, said)),), bad=False)


def free(rng: random.Random) -> Case:
    question, answer = rng.choice(FREE)
    return Case("on purpose", (sample(question, answer, None),), bad=False)
