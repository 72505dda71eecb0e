"""What an augmented sample may change of its seed example, and what it may not."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.planted import invariants
from instructlab_like.filters import LeafFacts
from instructlab_like.filters.parts.planting import FAULTS
from instructlab_like.filters.truth.invariants import Invariants
from instructlab_like.records import Leaf, Lineage, Pair, Sample, Seed, normalise
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import shipped_root

LEAF = "compositional_skills/office/letters"
SAME = [
    (
        ("A train leaves at 9:40 and takes 2 hours. When does it arrive?", "It arrives at 11:40."),
        ("Setting off at 9:40, a train is under way for two hours. What time does it get in?", "At 11:40."),
    ),
    (
        ("Decline: may I bring my dog to the archive?", "I am sorry: dogs are not allowed. The yard is free."),
        (
            "Say no to somebody who asks whether they can bring their dog along to the archive.",
            "Sorry, dogs are not allowed here, but the yard is free.",
        ),
    ),
    (
        ("How many weeks are 36 days?", "5 weeks and 1 day."),
        ("Thirty-six days: how many weeks is that?", "That makes five weeks and one day."),
    ),
    (
        ("Write to Mr. Okafor that the meeting is on Monday.", "Dear Mr. Okafor, we meet on Monday."),
        (
            "Please let Mr. Okafor know that Monday is the day of the meeting.",
            "Dear Mr. Okafor, the meeting is Monday.",
        ),
    ),
    (
        ("Is the library open on Sunday?", "No, it is not open on Sunday."),
        ("Would I find the library open on a Sunday?", "No, it is closed on Sunday."),
    ),
    (
        ("Can the lift carry 9 people?", "No, it cannot: at most 8."),
        ("There are 9 of us. Can we all take the lift?", "No, it is unable to: at most 8."),
    ),
    (
        ("Convert 5 km to metres.", "5 km are 5000 m."),
        ("What are 5 km in metres?", "5,000 m."),
    ),
    (
        ("Name the capital of France.", "Paris."),
        ("What is France's capital called?", "It is called Paris."),
    ),
    (
        ("Sort these by size: elephant, mouse, dog.", "mouse, dog, elephant"),
        ("Here are three animals: dog, elephant, mouse. Put them in order of size.", "mouse, dog, elephant"),
    ),
    (
        ("What does a 20 % discount on 50 euros leave?", "40 euros."),
        ("hey, if somthing costs 50 euros and its 20 % off, whats left to pay?", "40 euros."),
    ),
    (
        ("Why should you never mix bleach and vinegar?", "Because they give off chlorine, which is poisonous."),
        (
            "I am cleaning the bathroom. Why is it that one must never mix bleach with vinegar?",
            "Because together they give off chlorine, which is poisonous.",
        ),
    ),
    (
        ("Classify this mail: 'My parcel has not arrived.'", "complaint"),
        ("Which class does a mail belong to that reads 'My parcel has not arrived.'?", "complaint"),
    ),
    (
        ("Wie viele Tage hat der Februar 2024?", "29 Tage."),
        ("Der Februar 2024: Wie viele Tage sind das?", "Es sind 29 Tage."),
    ),
    (
        ("How long is the bridge at Velmouth?", "It is 340 metres long."),
        ("Wie lang ist die Brücke in Velmouth?", "Sie ist 340 Meter lang."),
    ),
]
OTHERWISE = [
    (("Is tea served after 4?", "Yes, until 6."), ("Is tea served before 4?", "Yes, until 6."), "negation"),
    (("Is tea served after 4?", "Yes, until 6."), ("Is tea served after 4?", "Yes, until 7."), "number"),
    (("When do we open?", "We open at ten."), ("When do we open?", "We do not open at ten."), "negation"),
    (("When do we open?", "We never open at ten."), ("When do we open?", "We open at ten."), "negation"),
    (("Write to Ines Korvel.", "Dear Ines,"), ("Write to Mara Korvel.", "Dear Ines,"), "name"),
    (("What is 3 times 4?", "3 times 4 is 12."), ("What is 3 times 4?", "3 times 4 is 14."), "number"),
    (("Which is larger, 3 or 4?", "4"), ("Which is smaller, 3 or 4?", "4"), "negation"),
    (("Add 12 and 30.", "42"), ("Add 12 and 3.", "42"), "number"),
    (("How far is Hexley from Garrow?", "9 miles."), ("How far is Hexley from Corvany?", "9 miles."), "name"),
    (("Wann öffnet das Amt?", "Um 8 Uhr."), ("Wann öffnet das Amt nicht?", "Um 8 Uhr."), "negation"),
    (("How long is the bridge?", "340 metres."), ("Wie lang ist die Brücke?", "350 Meter."), "number"),
]


def seed(pair: tuple[str, str], number: int = 1) -> Seed:
    return Seed(number=number, line=1, pairs=(Pair(question=pair[0], answer=pair[1]),))


def sample(pair: tuple[str, str], flow: str = "augment", number: int | None = 1) -> Sample:
    lineage = Lineage(leaf=LEAF, leaf_blob="b", method="teacher", model="m", flow=flow, seed=number)
    return Sample(id="s", kind="freeform", question=pair[0], answer=pair[1], lineage=lineage)


def facts(*seeds: Seed) -> LeafFacts:
    return LeafFacts(path=LEAF, seeds=seeds)


@pytest.mark.parametrize(("original", "put"), SAME, ids=[pair[1][0][:40] for pair in SAME])
def test_what_means_the_same_is_kept(original: tuple[str, str], put: tuple[str, str]) -> None:
    told = Invariants().judge(sample(put), facts(seed(original)))
    assert told.keep, told.reason


@pytest.mark.parametrize(("original", "put", "rule"), OTHERWISE, ids=[pair[1][0][:40] for pair in OTHERWISE])
def test_what_means_something_else_is_rejected(original: tuple[str, str], put: tuple[str, str], rule: str) -> None:
    told = Invariants().judge(sample(put), facts(seed(original)))
    assert not told.keep
    assert told.rule == rule, told.reason


def starter() -> list[Leaf]:
    return read_tree(shipped_root() / "taxonomy")[0]


def planted(leaves: list[Leaf]) -> tuple[Counter[str], Counter[str], list[str]]:
    """Of each fault how many were planted and caught in seed examples; and sound ones that were rejected."""
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    lost: list[str] = []
    for leaf in leaves:
        own = LeafFacts(path=leaf.path, seeds=leaf.seeds)
        pairs = [sample((pair.question, pair.answer), number=seed.number) for seed in leaf.seeds for pair in seed.pairs]
        for good in pairs:
            if not Invariants().judge(good, own).keep:
                lost.append(good.question)
            for fault in ("number changed", "name swapped", "negated"):
                for field, turned in (
                    ("answer", good),
                    ("question", good.model_copy(update={"question": good.answer, "answer": good.question})),
                ):
                    others = [one for one in pairs if one is not good]
                    text = FAULTS[fault](turned, others, random.Random(good.question))
                    if text is None or normalise(text) == normalise(turned.answer):
                        continue
                    made[fault] += 1
                    caught[fault] += not Invariants().judge(good.model_copy(update={field: text}), own).keep
    return made, caught, lost


def test_planted_changes_of_meaning_in_the_starter_tree_are_caught() -> None:
    made, caught, lost = planted(starter())
    assert made.total() > 100
    assert caught.total() / made.total() >= 0.95, (made, caught)
    assert lost == []


@pytest.mark.real
@pytest.mark.skipif("ILK_REAL_INPUT" not in os.environ, reason="ILK_REAL_INPUT names no folder with real leaves")
def test_planted_changes_of_meaning_in_real_leaves_are_caught() -> None:
    made, caught, lost = planted(read_tree(Path(os.environ["ILK_REAL_INPUT"]) / "taxonomy")[0])
    assert made.total() > 200
    assert caught.total() / made.total() >= 0.95, (made, caught)
    assert lost == []


TEA = ("Is tea served after 4 pm?", "Yes, on Monday.")
SUM = ("How many are ninety-seven and two?", "99")
HELLO = ("Say hello to Marek Zielony.", "Hello, Marek!")
TRAIN = ("What is the train to Munich?", "It is 29 euros.")
LIFT = ("The lift does not carry dogs.", "No dogs.")
TOWER = ("The tower has 31 steps for three people, built by Ines Korvel.", "In 1931.")
TRANSLATED = [  # from, into a language, question and answer there, and the rule that rejects them
    (TEA, "German", "Wird nach 16 Uhr Tee serviert?", "Ja, am Montag.", ""),
    (TEA, "de", "Wird nach 17 Uhr Tee serviert?", "Ja, am Montag.", "number"),
    (TEA, "German", "Wird nach 16 Uhr Tee serviert?", "Ja, am Sonntag.", "name"),
    (SUM, "fr", "Combien font quatre-vingt-dix-sept et deux ?", "99", ""),
    (SUM, "French", "Combien font quatre-vingt-six et deux ?", "99", "number"),
    (("Is 1,234.5 a sum?", "On 3 May 2024."), "Polish", "Czy 1234,5 to suma?", "3 maja 2024 r.", ""),
    (HELLO, "pl", "Pozdrów Marka Zielonego.", "Cześć, Marku!", ""),
    (HELLO, "Polish", "Pozdrów Piotra Zielonego.", "Cześć, Marku!", "name"),
    (("Was kostet der Zug nach München?", "Er kostet 29 Euro."), "en", *TRAIN, ""),
    (("Was kostet der Zug nach Berlin?", "Er kostet 29 Euro."), "English", *TRAIN, "name"),
    (LIFT, "Spanish", "El ascensor no lleva perros.", "Ningún perro.", ""),
    (LIFT, "es", "El ascensor lleva perros.", "Ningún perro.", "negation"),
    (TOWER, "Finnish", "Tornissa on 31 porrasta kolmelle, rakensi Ines Korvel.", "Vuonna 1931.", ""),
    (TOWER, "fi", "Tornissa on 37 porrasta kolmelle, rakensi Ines Korvel.", "Vuonna 1931.", "number"),
    (TOWER, "fi", "Tornissa on 31 porrasta kolmelle, rakensi Mara Korvel.", "Vuonna 1931.", "name"),
    (TOWER, "Russian", "В башне 31 ступень, построила Инес Корвел.", "В 1931 году.", ""),
    (TOWER, "ru", "В башне 31 ступень, построила Инес Корвел.", "В 1941 году.", "number"),
]


@pytest.mark.parametrize(
    ("original", "language", "question", "answer", "rule"),
    TRANSLATED,
    ids=[f"{one[2][:40]}-{one[4]}" for one in TRANSLATED],
)
def test_a_translation_keeps_numbers_names_and_denials(
    original: tuple[str, str], language: str, question: str, answer: str, rule: str
) -> None:
    one = sample((question, answer), flow="translate")
    one = one.model_copy(update={"lineage": one.lineage.model_copy(update={"params": {"language": language}})})
    told = Invariants().judge(one, facts(seed(original)))
    assert told.rule == rule, told.reason
    assert told.keep == (not rule)


def test_planted_changes_in_translations_are_caught_and_most_translations_kept() -> None:
    """The figures of docs/filters.md: numbers and names at 0.95 at the least, in pairs written by hand."""
    around = invariants.around()
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for case in invariants.cases(random.Random(20261122), 2_000):
        kind = case.kind if case.bad else "sound"
        made[kind] += 1
        caught[kind] += not Invariants().judge(case.samples[-1], around.leaves[invariants.LEAF]).keep
    assert len(invariants.translations()) >= 100
    for rule in ("digit changed", "numeral changed", "name swapped", "name dropped"):
        assert made[rule] > 100
        assert caught[rule] / made[rule] >= 0.95, (rule, made, caught)
    assert caught["denied"] / made["denied"] >= 0.9, (made, caught)
    assert caught["sound"] / made["sound"] <= 0.05, (made, caught)


def test_samples_of_other_flows_and_of_seeds_that_are_gone_are_not_judged() -> None:
    other = ("What else?", "Something else, 7 of them.")
    assert not Invariants().judge(sample(other, flow="freeform"), facts(seed(SAME[0][0]))).applied
    assert not Invariants().judge(sample(other, number=9), facts(seed(SAME[0][0]))).applied
    assert not Invariants(flow="freeform").judge(sample(other, flow="freeform"), facts(seed(SAME[0][0]))).keep


def test_of_several_pairs_of_a_seed_the_nearest_is_compared() -> None:
    several = Seed(
        number=1,
        line=1,
        pairs=(Pair(question="What is 2 + 2?", answer="4"), Pair(question="Name a bird.", answer="An owl.")),
    )
    assert Invariants().judge(sample(("Please name a bird.", "An owl.")), facts(several)).keep
    assert Invariants().judge(sample(("How much is 2 + 2?", "4.")), facts(several)).keep
