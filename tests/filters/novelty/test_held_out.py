from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.filters.novelty.held_out import HeldOutOverlap
from instructlab_like.filters.pool import Held
from instructlab_like.records import Item, Lineage, Pair, Sample, Seed, digest, ngrams, normalise

LONG = "Which of the two lamps on the Orrin Tower is lit when fog comes in from the sea?"


def item(question, source="heldout", context=None, id="item"):
    return Item(id=id, leaf="leaf", source=source, question=question, answer="secret", context=context)


class Unread(Held):
    """A pool that says which samples were read."""

    def __init__(self, samples, sketches):
        super().__init__(samples, sketches)
        self.read = []

    def sample(self, place):
        self.read.append(place)
        return super().sample(place)


def rejections(samples, items, **options):
    chosen = HeldOutOverlap(**options)
    pool = Unread(samples, [chosen.sketch(one) for one in samples])
    return dict(chosen.judge(pool, Surroundings(held_out=tuple(items)))), pool


def judge(sample, *items, **options):
    """The rejection, or None."""
    return rejections([sample], items, **options)[0].get(0)


def test_an_equal_question_is_rejected_whatever_its_case_and_punctuation(sample):
    told = judge(sample("who built it", "Ann"), item("Who built it?"))
    assert (told.keep, told.rule, told.partner, told.score) == (False, "asked", "item", 1.0)


@pytest.mark.parametrize(
    "dressed",
    [
        "**Who built the tower?**",
        "Who  built\nthe tower ?",
        "who built the to\u00adwer",
        "‘Who built the tower’…",
        "ＷＨＯ built the tower?",
    ],
)
def test_typography_does_not_hide_an_equal_question(sample, dressed):
    assert judge(sample(dressed, "Ann"), item("Who built the tower?"))


def test_eight_words_in_a_row_give_a_held_out_question_away(sample):
    asked = sample("Say which of the two lamps on the Orrin Tower is red.", "The left")
    told = judge(asked, item("Who built the house over there by the sea?", id="other"), item(LONG))
    assert (told.rule, told.partner, told.threshold) == ("shared-words", "item", 0.0)
    assert 0 < told.score < 1
    assert "which of the two lamps on the orrin" in told.reason
    assert judge(sample("Which of the two lamps on the tower is red?", "The left"), item(LONG)) is None


def test_a_short_question_inside_a_longer_one_is_another_question(sample):
    asked = sample("Who built it, and when was the building opened to visitors?", "Ann")
    assert judge(asked, item("Who built it?")) is None
    assert judge(asked, item("When was the building opened?")) is None


@pytest.mark.parametrize(
    "conversation",
    [
        "User: Who built the tower?\n\nAssistant: Ann did.\n\nUser: And when?",
        "Hello!\nWho built the tower?\nThanks.",
        "Good morning. Who built the tower? I forgot.",
        'Reply in French to this: "Who built the tower?"',
        "Q3. Who built the tower?\nQ4. Who paid?",
        "Question: Who built the tower? Answer:",
    ],
)
def test_a_short_question_is_found_as_an_earlier_turn_a_line_a_sentence_or_a_quotation(sample, conversation):
    held = item("Who built the tower?")
    assert judge(sample(conversation, "In 1874."), held).partner == "item"
    assert judge(sample("What did they ask next?", conversation), held).partner == "item"
    assert judge(sample(conversation.replace("tower", "mill"), "In 1874."), held) is None


def test_questions_of_a_simulation_may_share_their_phrasing(sample):
    asked = sample("A crate holds 7 boxes of 12 eggs each. How many eggs are there?", "84", method="simulation")
    held = "A crate holds 9 boxes of 12 eggs each. How many eggs are there?"
    assert judge(asked, item(held, "simulation")) is None
    assert judge(asked, item(asked.question, "simulation"))
    assert judge(asked, item(held.replace("9", "7", 1).replace("there", "left"), "heldout"))
    assert judge(sample(f"Count.\n{held}", "108"), item(held, "simulation"))


def test_answers_of_items_are_not_compared(sample):
    assert judge(sample("What is kept under the third stair?", "secret"), item("Where is the key?")) is None


def test_an_answer_may_not_hold_a_held_out_question_but_may_share_a_phrase_with_it(sample):
    told = judge(sample("Make a quiz about the tower.", f"1. {LONG}\n2. Who built it?"), item(LONG))
    assert (told.rule, told.partner) == ("asked", "item")
    most = "They asked which of the two lamps on the Orrin Tower is lit when fog comes in."
    told = judge(sample("What did they ask?", most, kind="knowledge"), item(LONG))
    assert (told.rule, told.threshold) == ("shared-words", 0.5)
    phrase = "One of the two lamps on the Orrin Tower is red, and the other one is green all the year."
    assert judge(sample("Describe the lamps.", phrase, kind="knowledge"), item(LONG)) is None
    assert judge(sample("What did they ask?", most), item(LONG), answers=False) is None


def test_a_short_answer_that_equals_a_short_question_is_no_leak(sample):
    assert judge(sample("What do plants do?", "Photosynthesis"), item("Photosynthesis?")) is None


@pytest.mark.parametrize(
    ("context", "keep"),
    [
        ("A quite different text about the weather on the coast in spring.", True),
        ("The tower, built long ago, leans a little to the west side now, they say.", False),
    ],
)
def test_an_instruction_may_return_about_another_passage(sample, context, keep):
    instruction = "Return the text after correcting any errors of punctuation in it."
    held = item(instruction, context="The tower built long ago leans a little to the west.")
    assert (judge(sample(instruction, "Text.", kind="grounded", context=context), held) is None) is keep


def test_a_held_out_question_with_a_passage_is_not_asked_without_it(sample):
    held = item("Who built the tower?", context="Ann built the tower in a year.")
    assert judge(sample("Who built the tower?", "Ann", kind="knowledge"), held)
    pasted = sample("Ann built the tower in a year.\n\nWho built the tower?", "Ann")
    assert judge(pasted, held)


def test_a_held_out_question_is_not_asked_with_a_passage_either(sample):
    asked = sample(LONG, "The left", kind="grounded", context="The left lamp is lit in fog.")
    assert judge(asked, item(LONG)).rule == "asked"
    assert judge(sample("Sum up.", "Fog.", kind="grounded", context=f"A riddle. {LONG}"), item(LONG))


def test_the_passage_behind_a_knowledge_sample_is_not_shown_and_not_compared(sample):
    asked = sample("Which lamp is lit?", "The left", kind="knowledge", context=f"A riddle. {LONG}")
    assert judge(asked, item(LONG)) is None


def test_characters_are_compared_where_no_spaces_part_words(sample):
    held = item("奥林塔上的两盏灯中哪一盏在海上起雾时会亮起来？")
    assert judge(sample("请问奥林塔上的两盏灯中哪一盏在海上起雾时会亮起来呢", "左边"), held)
    assert judge(sample("奥林塔是谁在哪一年建造的？", "安"), held) is None


def test_words_of_the_scripts_of_india_are_not_cut_at_their_vowel_signs(sample):
    held = item("ऑरिन मीनार की दोनों बत्तियों में से कौन सी बत्ती कोहरे में जलती है?")
    assert judge(sample("ऑरिन मीनार की ऊँचाई कितनी है?", "४१ मीटर"), held) is None
    assert judge(sample("बताओ ऑरिन मीनार की दोनों बत्तियों में से कौन सी बत्ती लाल है?", "बायीं"), held)


def test_the_phrasing_of_a_leafs_own_seed_examples_may_be_let_pass(sample):
    task = "Read the scenario and answer the following question about it:"
    held = item(f"{task} Ann hides the key under the third stair. Where does Ben look for it?")
    seeds = [Seed(number=at, line=at, pairs=(Pair(question=f"{task} Story {at}. Who?", answer="x"),)) for at in (1, 2)]
    fresh = sample(f"{task} The dog buries a bone by the gate. Where does the cat look?", "Nowhere")
    leak = sample(f"{task} Ann hides the key under the third stair. Why?", "For fun")
    for known, kept in ((seeds, True), (seeds[:1], False), ([], False)):
        around = Surroundings(held_out=(held,), leaves={"leaf": LeafFacts(path="leaf", seeds=tuple(known))})
        for chosen in (HeldOutOverlap(), HeldOutOverlap(phrasing=True)):
            told = dict(chosen.judge(Held([fresh, leak], [chosen.sketch(fresh), chosen.sketch(leak)]), around))
            assert (0 not in told) is (kept and chosen.phrasing)
            assert told[1].partner == "item"


def test_without_held_out_items_all_are_kept(sample):
    assert judge(sample(LONG, "The left")) is None


def test_kept_samples_are_not_read(sample):
    samples = sorted(
        (
            sample(f"What stands in room {number} of the house at the quay?", f"A box of {number} lamps")
            for number in range(300)
        ),
        key=lambda one: one.id,
    )
    leak = next(place for place, one in enumerate(samples) if "room 7 " in one.question)
    found, pool = rejections(samples, [item(LONG), item(samples[leak].question, "simulation", id="sim")])
    assert {place: told.partner for place, told in found.items()} == {leak: "sim"}
    assert pool.read == [leak]


def test_a_verdict_depends_on_no_other_sample_and_on_no_order_of_items(sample):
    samples = [
        sample(f"{LONG} And {number}?" if number % 3 else f"Plain question {number}?", "x") for number in range(30)
    ]
    samples.sort(key=lambda one: one.id)
    items = [item(LONG, id="a"), item(LONG.replace("lit", "red"), id="b"), item("Plain question 9?", id="c")]
    whole, _ = rejections(samples, items)
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert rejections(samples, items)[0] == whole
    assert {place: judge(one, *items) for place, one in enumerate(samples)} == {
        place: whole.get(place) for place in range(len(samples))
    }


WORDS = st.sampled_from(
    [
        "the",
        "a",
        "tower",
        "lamp",
        "is",
        "3",
        "-",
        "+",
        "which",
        ",",
        ".",
        "?",
        "\n",
        ":",
        "in",
        "Fog",
        "É",
        "ß",
        "塔",
        "灯",
        "_",
        "x",
    ]
)
TEXTS = st.lists(WORDS, max_size=24).map(" ".join)


@given(TEXTS, TEXTS, TEXTS)
def test_no_equal_question_and_no_run_of_eight_words_passes(held, before, after):
    """Whatever the texts: a kept sample has neither the question nor eight of its words in a row."""
    question = f"{before} {held} {after}"
    lineage = Lineage(leaf="leaf", leaf_blob="0" * 40, method="teacher", model="m")
    asked = Sample(id=digest([question])[:32], kind="freeform", question=question, answer="x", lineage=lineage)
    leaks = (normalise(held) == normalise(question) != "") or any(
        len(run) == 8 for run in ngrams(held) & ngrams(question)
    )
    if leaks and question.isascii():
        assert judge(asked, item(held))
