from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.filters.shape.truncation import Truncation
from tests.filters.conftest import make

BEGUN = "Yeast eats sugar and breathes out gas while the dough rests. The gluten holds the gas in small bubbles."
SENTENCE = "If the rest is cut short, the loaf stays flat and tears open at its side before it is brown."


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (f"{BEGUN} If the rest is cut short, the loaf stays", "mid-sentence"),
        (f"{BEGUN} If the rest is cut short, the loaf st", "mid-sentence"),
        (f"{BEGUN} If", "mid-sentence"),
        (f"{BEGUN} If the rest is cut short,", "mid-sentence"),
        ("The dough has to rest because the", "mid-sentence"),
        ("The dough has to rest before it is baked so that the yeast can wor", "mid-word"),
        ("These are the reasons for letting it rest:", "mid-sentence"),
        ("Der Teig muss ruhen, weil die Hefe Zeit braucht und", "mid-sentence"),
        ("La pâte doit reposer parce que les", "mid-sentence"),
        ("Тесто должно отдохнуть, потому что дрожжи и", "mid-sentence"),
        ("The dough has to rest (for the yeast needs time to", "open-bracket"),
        ('As the baker says, "let it rest until it has', "open-bracket"),
        ("1. It rises.\n2. It gains taste.\n3.", "mid-list"),
        ("- It rises in the bowl.\n- It gains taste.\n- It does not tear in the", "mid-sentence"),
        ("- It rises in the bowl.\n- It gains taste.\n- It does not tear", "mid-list"),
        ("Like this:\n```python\nbake(", "open-fence"),
        ("def bake(dough):\n    rest(dough,", "open-code"),
        ('{"dough": ["flour", "wat', "open-bracket"),
        ("It follows that $$ x = \\frac{a}{b", "open-formula"),
        ("Die Hefe braucht Zeit, d.h. der Teig muss lange ruhen, z.B.", "mid-sentence"),
        ("面团需要休息，因为酵母需要时间，", "mid-sentence"),
        (f"{BEGUN} [truncated]", "cut-mark"),
    ],
)
def test_an_answer_that_breaks_off_is_rejected(sample, answer, rule):
    told = Truncation().judge(sample("Why does dough rest?", answer))
    assert told.rule == rule, told.reason


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When?", "1874"),
        ("What does a hinge do?", "A joint that a door turns on"),
        ("Is it so?", "Yes, it is"),
        ("What does it run on?", "a battery"),
        ("What do I need?", "Bread, cheese, fruit, a blanket, glasses, etc"),
        ("Give me the steps.", "1. Sand the board\n2. Oil it\n3. Let it dry"),
        ("Give me the steps.", "1. Sand the board.\n2. Oil it thinly.\n3. Let it dry."),
        ("Write a haiku.", "grass bends under glass\na fox crosses without sound\nthe sun takes its time"),
        ("Write a function.", "def add(a, b):\n    return a + b"),
        ("Write a query.", "SELECT a\nFROM b\nORDER BY c DESC"),
        ("Write a loop.", "Like this:\n\n```python\nfor x in y:\n    pass\n```"),
        ("What is Euler's identity?", "e^{iπ} + 1 = 0"),
        ("Solve it.", "First we add 3 to both sides of it. Then we divide by 2. The answer is 7"),
        ("Which interval?", "All x in [0, 1)"),
        ("How tall is it?", "It is 6'8\" tall and 2'6\" wide"),
        ("What did he say?", "Er sagte: „Ich komme morgen“"),
        ("How was it?", "It was great, and everybody came :("),
        ("Where is it?", "The form is on the page of the town hall. You find it at https://example.org/a/"),
        ("Write a note.", "Dear Ines,\n\nthank you for the evening. The soup was a dream.\n\nYours\nPaul"),
        ("Write a tweet.", "Cakes and pies and one very large pretzel. All of it for the new roof! See you #bakesale"),
        ("Name conjunctions.", "and, or, but, because, although, while, if"),
        ("海为什么是蓝的？", "因为水吸收红光，反射蓝光"),
        ("潮は？", "月の引力によって起こります。一日に二回です"),
        (
            "Continue: once upon a time",
            "there was a mill. It stood by a brook. In it lived a cat that could count and"[:-4],
        ),
        ("Why?", f"{BEGUN} Good luck with it"),
        (
            "Which is heavier?",
            "A kilo is more than a pound. " + "So whatever you weigh on the scales, it will hold " * 2,
        ),
        ("What is it made of?", "a tube, a float and a recorder"),
    ],
)
def test_a_whole_answer_needs_no_full_stop(sample, question, answer):
    told = Truncation().judge(sample(question, answer))
    assert told.keep, told.reason


@given(st.integers(min_value=1, max_value=len(SENTENCE.split()) - 2))
def test_a_last_sentence_may_be_cut_behind_any_word(words):
    answer = f"{BEGUN} {' '.join(SENTENCE.split()[:words])}"
    assert not Truncation().judge(make("Why does dough rest?", answer)).keep
    assert Truncation().judge(make("Why does dough rest?", f"{BEGUN} {SENTENCE}")).keep


def test_the_fewest_words_are_an_option(sample):
    answer = "It rises for an hour. It then goes into"
    assert not Truncation(min_words=5).judge(sample("Why?", answer)).keep
    assert Truncation(min_words=40).judge(sample("Why?", answer.replace("into", "away"))).keep
