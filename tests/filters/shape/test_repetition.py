from __future__ import annotations

import pytest

from instructlab_like.filters.parts.loops import bare, loops
from instructlab_like.filters.shape.repetition import Repetition

ASKED = "Why do the tides rise?"
GOOD = "Tides are caused by the pull of the moon. The water rises on the near side and on the far side."


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (f"{GOOD} the the the the", "stuck"),
        (f"{GOOD} {'the water rises again ' * 6}", "stuck"),
        ("very " * 30 + "high", "stuck"),
        ("It is because of the moon and " * 8, "stuck"),
        (f"{GOOD} {GOOD}", "stuck"),
        ("The moon pulls the water. It rises.\n" * 6, "stuck"),
        (
            "1. The moon pulls it.\n2. The moon pulls it.\n3. The moon pulls it.\n4. The moon pulls it.",
            "repeated-sentence",
        ),
        (f"The moon pulls hard on all the water. {GOOD} The moon pulls hard on all the water. Then it falls.", None),
        (f"{GOOD} Then it falls. {GOOD}", "repeated-sentence"),
        ("a" * 30, "repeated-characters"),
        (f"{GOOD} {'!' * 30}", "repeated-characters"),
        (f"{GOOD} {'abc' * 20}", "repeated-characters"),
        ("潮汐是由月球引起的。" * 5, "repeated-characters"),
        (f"{GOOD} {'很好' * 20}", "repeated-characters"),
        ("x = 1\n" * 20, "repeated-lines"),
        (
            "sun moon sun water moon water sun sun moon moon water water sun water moon " * 1 + "sun moon water " * 20,
            "stuck",
        ),
    ],
)
def test_an_answer_that_goes_round_in_circles_is_rejected(sample, answer, rule):
    told = Repetition().judge(sample(ASKED, answer))
    assert told.rule == (rule or ""), told.reason


def test_what_comes_back_in_other_surroundings_is_measured_by_its_share(sample):
    again = "the water on the near side is pulled more than the water on the far side"
    answer = f"At noon {again}, they say; at dusk {again}, too; by night {again}, still."
    told = Repetition().judge(sample(ASKED, answer))
    assert told.rule == "said-again"
    assert told.threshold == 0.5 < told.score
    assert Repetition(max_again=0.9, max_sentence=1.0).judge(sample(ASKED, answer)).keep


def test_a_text_without_new_words_is_rejected(sample):
    words = ["tide", "water", "moon", "sea", "side", "pull", "rise", "fall"]
    answer = " ".join(words[(at * at + 3 * (at // 8)) % 8] for at in range(120))
    assert not Repetition().judge(sample(ASKED, answer)).keep


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Write the chorus of a song.", "We will, we will rock you\n" * 4),
        ("Repeat the word ten times.", "rhubarb " * 10),
        ("Give the table of seven.", "\n".join(f"7 x {number} = {7 * number}" for number in range(1, 13))),
        ("Conjugate to go.", "I go, you go, we go\nI went, you went, we went\nI will go, you will go, we will go"),
        ("What can you do?", "I can run. I can jump. I can swim. I can sing. I can dance. I can read."),
        ("Capitals?", "The capital of France is Paris. The capital of Spain is Madrid. The capital of Italy is Rome."),
        ("When?", "Monday: 9 to 5\nTuesday: 9 to 5\nWednesday: 9 to 5\nThursday: 9 to 5\nFriday: 9 to 5"),
        ("Label them.", "1. Positive\n2. Negative\n3. Positive\n4. Positive\n5. Positive"),
        ("A matrix?", "0 0 0 0\n0 0 0 0\n0 0 0 0\n0 0 0 0"),
        ("A table?", "| a | 0 |\n| b | 0 |\n| c | 0 |\n| d | 0 |\n| e | 0 |"),
        ("CSS?", "```css\n.a { width: 3px; }\n.a { width: 3px; }\n.a { width: 3px; }\n```"),
        ("How long?", "It was a very, very, very long day, and they cheered and cheered and cheered."),
        ("A bark?", "Woof woof woof woof!"),
        ("A line?", "-" * 60),
        ("One third?", "0." + "3" * 40),
        ("A tail of RNA?", "GCU" + "A" * 40),
        ("Scream!", "Nooooooooo!"),
        ("哈哈？", "哈哈哈，太好笑了。"),
        ("Solve it.", "Subtract 3 from both sides: 2x + 3 - 3 = 7 - 3. So 2x = 4. Divide both sides by 2. So x = 2."),
        ("Hads?", 'James, where John had had "had", had had "had had"; "had had" had had approval.'),
    ],
)
def test_honest_repetition_is_kept(sample, question, answer):
    told = Repetition().judge(sample(question, answer))
    assert told.keep, told.reason


def test_a_question_is_judged_by_its_loops(sample):
    assert Repetition().judge(sample("Why is it so and " * 6, GOOD)).rule == "stuck"
    assert Repetition().judge(sample("Is a rose a rose? Is a lily a lily? Is a daisy a daisy?", GOOD)).keep


@pytest.mark.parametrize(
    ("text", "phrase", "copies"),
    [
        ("go on go on go on go on", "go on", 4.0),
        ("well then no no no no no", "no", 5.0),
        ("a b c d a b c d a b", "a b c d", 2.5),
        ("x a b c a b c a b c y", "a b c", 3.0),
    ],
)
def test_a_loop_is_told_by_its_phrase_and_how_often_it_stands(text, phrase, copies):
    found = max(loops(bare(text)), key=lambda loop: loop.copies)
    assert (found.phrase, found.copies) == (phrase, copies)
