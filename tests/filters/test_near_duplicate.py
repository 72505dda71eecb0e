"""Planted near copies and planted look-alikes: what the filter finds, and what it leaves alone."""

from __future__ import annotations

import random

import pytest

from instructlab_like.filters import Surroundings
from instructlab_like.filters.near_duplicate import NearDuplicate

WORDS = """
noun: harbour engine forest market river bridge colony winter valley signal garden mineral current vessel shelter
verb: carries shapes limits feeds covers divides protects weakens follows supports changes drives
quality: slow narrow early bitter steady heavy distant fragile bright shallow common hidden
link: because while although until whenever since unless before
name: Orrin Vell Maraden Hartwick Tolby Senna Brask Quill Ostrey Lunde
"""
KINDS = {line.split(":")[0]: line.split(":")[1].split() for line in WORDS.strip().splitlines()}
NOUNS, VERBS, QUALITIES, LINKS, NAMES = (KINDS[kind] for kind in ("noun", "verb", "quality", "link", "name"))
ASKING = (
    "How does the {} of {} {} the {} {}?",
    "Why is the {} near {} said to {} a {} {}?",
    "What makes the {} in {} {} its {} {}?",
)


def sentence(rng: random.Random) -> str:
    def clause() -> str:
        return (
            f"the {rng.choice(QUALITIES)} {rng.choice(NOUNS)} {rng.choice(VERBS)} a {rng.choice(QUALITIES)} "
            f"{rng.choice(NOUNS)} near the {rng.choice(NOUNS)}"
        )

    return f"{clause()} {rng.choice(LINKS)} {clause()}".capitalize()


def written(rng: random.Random, sentences: int) -> tuple[str, str]:
    """A question and an answer as a teacher might write them: about a place, with a year."""
    frame = rng.choice(ASKING)
    noun, name, verb = rng.choice(NOUNS), rng.choice(NAMES), rng.choice(VERBS).rstrip("s")
    question = frame.format(noun, name, verb, rng.choice(QUALITIES), rng.choice(NOUNS))
    body = ". ".join(sentence(rng) for _ in range(sentences))
    return question, f"{body}. Since {rng.randint(1500, 1999)} the {noun} of {name} has done so."


def edited(rng: random.Random, text: str, share: float) -> str:
    """`text` with that share of its words replaced, doubled by an insertion or left out; names and numbers stay."""
    words = text.split()
    for place in rng.sample(range(len(words)), round(share * len(words))):
        if words[place][0].islower() and words[place].isalpha():
            new = rng.choice(("indeed", "rather", "mostly", "plainly", "usually", "thereby"))
            words[place] = rng.choice((new, f"{words[place]} {new}", ""))
    return " ".join(" ".join(words).split())


def judge(samples, **options):
    return list(NearDuplicate(**options).judge(samples, Surroundings()))


@pytest.mark.parametrize("sentences", [1, 2, 4])
def test_copies_with_one_word_in_eight_edited_are_found_and_others_are_not(sample, sentences):
    rng = random.Random(sentences)
    texts = [written(rng, sentences) for _ in range(150)]
    originals = [sample(q, a, id=f"{n:04}") for n, (q, a) in enumerate(texts)]
    copies = [sample(edited(rng, q, 0.12), edited(rng, a, 0.12), id=f"{n + 1000}") for n, (q, a) in enumerate(texts)]
    verdicts = judge([*originals, *copies])
    assert sum(verdict.keep for verdict in verdicts[:150]) >= 149
    caught = [verdict for verdict in verdicts[150:] if not verdict.keep]
    assert len(caught) >= 0.9 * len(copies)
    named = sum(int(verdict.partner) == int(verdict.subject) - 1000 for verdict in caught)
    assert named >= 0.99 * len(caught)


def other(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [("Orrin", "Maraden"), ("1874", "1931"), ("harbour", "lighthouse"), ("is known", "is not known")],
)
def test_another_number_name_subject_or_a_not_is_another_sample(sample, old, new):
    question = "Why is the old harbour of Orrin said to change the shape of the coast?"
    answer = (
        "The harbour of Orrin is known for its long wall, which since 1874 has slowed the current along the coast, so "
        "that sand settles behind it and the beach grows a little wider with every winter storm."
    )
    verdicts = judge(
        [
            sample(question, answer),
            sample(other(question, old, new) if old in question else question, other(answer, old, new)),
        ]
    )
    assert all(verdict.keep for verdict in verdicts)


def test_one_answer_to_two_questions_is_no_copy(sample):
    answer = (
        "The wall slows the current along the coast, so that sand settles behind it and the beach grows a little wider "
        "with every winter storm that reaches the bay."
    )
    verdicts = judge(
        [sample("Why does the beach become wider?", answer), sample("How can a wall gather sand here?", answer)]
    )
    assert all(verdict.keep for verdict in verdicts)


def test_one_instruction_about_two_passages_is_no_copy(sample):
    rng = random.Random(1)
    samples = [
        sample("Return the text after correcting it.", text, kind="grounded", context=text.lower())
        for text in (written(rng, 3)[1] for _ in range(20))
    ]
    assert all(verdict.keep for verdict in judge(samples))


def test_phrasings_by_rules_and_draws_of_a_simulation_are_left_alone(sample):
    text = "____ of the long wall slows the current along the coast so that the sand settles behind it every winter"
    rules = [
        sample(f"{ask}: {text}", "The building", method="rules", kind="knowledge") for ask in ("Fill in", "Complete")
    ]
    tale = "A crate holds {} boxes, each box holds twelve eggs, and two of each box are broken. How many are whole?"
    draws = [sample(tale.format(number), str(number * 10), method="simulation") for number in range(3, 30)]
    assert all(verdict.keep for verdict in judge([*rules, *draws]))
    assert all(verdict.keep for verdict in judge(draws, model_free=True))
    assert not all(verdict.keep for verdict in judge(rules, model_free=True))


def test_short_samples_are_not_compared(sample):
    verdicts = judge(
        [sample("What is the largest planet?", "Jupiter"), sample("What is the largest planet of all?", "Jupiter")]
    )
    assert all(verdict.keep and "shorter than 20 words" in verdict.reason for verdict in verdicts)


def test_leaves_are_compared_each_by_itself(sample):
    question, answer = written(random.Random(3), 3)
    assert all(verdict.keep for verdict in judge([sample(question, answer, leaf=leaf) for leaf in ("a", "b")]))
    verdicts = judge([sample(question, answer, id=id) for id in "ab"])
    assert (verdicts[1].keep, verdicts[1].partner, verdicts[1].score) == (False, "a", 1.0)
