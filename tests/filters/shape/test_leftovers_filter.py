from __future__ import annotations

import pytest

from instructlab_like.filters.shape.leftovers import Leftovers

ASKED = "How do tides work?"
TOLD = "The moon pulls on the sea, and the water rises twice a day."


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("Sure! Here is a question: How do tides work?", "announced-pair"),
        ("Here are three questions: 1. How do tides work?", "announced-pair"),
        ("Question generated: How do tides work?", "announced-pair"),
        ("New question: How do tides work?", "announced-pair"),
        ("How do tides work? The question should be self-contained.", "announced-pair"),
        ("Based on the provided seed example, how do tides work?", "prompt-words"),
        ("In the same style as the examples, how do tides work?", "prompt-words"),
        ("How do tides work? [END]", "prompt-words"),
        ("What is {{question}}?", "prompt-words"),
        ("How do tides work? Score: 2/2", "grade"),
        ("Hier sind drei Fragen: Wie entstehen Gezeiten?", "announced-pair"),
        ("Voici trois questions : comment fonctionnent les marées ?", "announced-pair"),
        ("Aquí tienes tres preguntas: ¿cómo funcionan las mareas?", "announced-pair"),
        ("Вот три вопроса: как работают приливы?", "announced-pair"),
        ("以下是三个问题：潮汐是如何形成的？", "announced-pair"),
    ],
)
def test_a_question_with_leftovers_is_rejected(sample, question, rule):
    told = Leftovers().judge(sample(question, TOLD))
    assert not told.keep
    assert told.rule == rule
    assert "in the question" in told.reason


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("Sure! Here are three questions and answers based on the document: …", "announced-pair"),
        (f"{TOLD}\n\nQuestion 2: What are neap tides?", "announced-pair"),
        (f"{TOLD} This question tests the understanding of gravity.", "announced-pair"),
        (f"{TOLD} Let me know if you'd like me to generate more questions!", "announced-pair"),
        (f"{TOLD} [END]", "prompt-words"),
        ("The answer should be based on the document and mention the moon.", "prompt-words"),
        ("Okay, the user is asking how tides work. Let me think.", "prompt-words"),
        ("You are a helpful assistant. The moon pulls on the sea.", "prompt-words"),
        (f"{TOLD} (Note: This answer is based on the provided context.)", "prompt-words"),
        (f"{TOLD}\n### Response:", "prompt-words"),
        (f"{TOLD}\n\nScore: 2/2", "grade"),
        (f"{TOLD} The response meets all the criteria.", "grade"),
        ("用户想知道潮汐的原理。月亮吸引海水。", "prompt-words"),
    ],
)
def test_an_answer_with_leftovers_is_rejected(sample, answer, rule):
    told = Leftovers().judge(sample(ASKED, answer))
    assert not told.keep
    assert told.rule == rule


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (
            "Give me a recipe.",
            "Sure, here is a recipe: mix flour and milk. I hope this helps! Let me know if you need more.",
        ),
        ("Write three interview questions.", "Here are three interview questions: 1. Why? 2. How? 3. When?"),
        ("Give me trivia.", "Certainly! Here is some: Rome was founded in 753 BC."),
        ("Review the film.", "A fine film. Rating: 4/5"),
        ("What was the final score?", "Score: 2-1 to Leeds."),
        ("What is 6 times 7?", "The answer should be 42."),
        ("Write an email to send the report.", "As requested, please find the report attached."),
        ("How do I print a variable in Jinja?", "Write {{ question }} in the template."),
        (
            "What is few-shot prompting?",
            "The model is given seed examples and goes on in the same style as the examples.",
        ),
        ("Here are two sentences. Which is correct? I goes. I go.", "I go."),
        ("How do I end a process?", "Press [End] in the task manager to stop it."),
        ("Wie backe ich Brot?", "Natürlich! Hier ist ein Rezept: Mehl, Wasser, Salz."),
        ("What does he ask?", 'He asks: "Here are three questions, answer me these."'),
    ],
)
def test_how_assistants_talk_and_what_was_asked_for_is_kept(sample, question, answer):
    told = Leftovers().judge(sample(question, answer))
    assert told.keep, told.reason


def test_the_threshold_decides_about_slight_leftovers_and_courtesies(sample):
    requested = sample(ASKED, f"As requested: {TOLD}")
    assert Leftovers().judge(requested).score == 0.35
    assert Leftovers(threshold=0.3).judge(requested).rule == "slight-leftover"
    polite = sample(ASKED, f"{TOLD} I hope this helps!")
    assert Leftovers(threshold=0.3).judge(polite).keep
    assert Leftovers(threshold=0.15).judge(polite).rule == "courtesy"
