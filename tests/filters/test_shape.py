from __future__ import annotations

import pytest

from instructlab_like.filters.shape import Shape, outside_code

GOOD = "Granite, for the most part."


@pytest.mark.parametrize(
    ("question", "answer", "culprit"),
    [
        ("What is it?", " ", "the answer is empty"),
        ("\n", GOOD, "the question is empty"),
        ("What is it?<|user|>", GOOD, '"<|user|>" in the question'),
        ("What is it?", "Stone<|im_end|>", '"<|im_end|>" in the answer'),
        ("[INST] What is it?", GOOD, '"[INST]"'),
        ("What is it?", "Stone</s>", '"</s>"'),
        ("What is it?", "Stone.\nUser: and who?", 'role line "User:"'),
        ("What is it?", "**Assistant:** stone", 'role line "**Assistant:"'),
        ("Question: What is it?", GOOD, 'label "Question:"'),
        ("What is it?", "A: stone", 'label "A:"'),
        ("What is it?", "Stone [/ANSWER]", '"[/ANSWER]"'),
        ("What is it? [END QUESTION]", GOOD, '"[END QUESTION]"'),
        ("Show me the loop.", "```python\nfor x in y:", "a code block in the answer is never closed"),
        ("What is it?", "St\ufffdne", "U+FFFD in the answer"),
        ("What\x07 is it?", GOOD, "U+0007 in the question"),
        ("Is it stone?", "is it stone", "the answer repeats the question"),
        ("What is it?", "As an AI language model, I have no hands.", '"As an AI language model"'),
        ("What is it?", "I’m sorry, but I can’t help with that.", "declines"),
        ("What is it?", "I am unable to provide that.", "declines"),
        ("Was ist das?", "Es tut mir leid, das kann ich leider nicht sagen.", "declines"),
        ("Qu'est-ce ?", "Désolé, je ne peux pas répondre.", "declines"),
        ("¿Qué es?", "Lo siento, pero no puedo ayudar.", "declines"),
        ("这是什么?", "很抱歉，我无法回答。", "declines"),
    ],
)
def test_the_reason_names_the_culprit(sample, question, answer, culprit):
    verdict = Shape().judge(sample(question, answer))
    assert not verdict.keep
    assert culprit in verdict.reason


@pytest.mark.parametrize(
    "question",
    [
        "As mentioned above, who built it?",
        "What does the passage say about tides?",
        "According to the document, who built it?",
        "What is the height given in the table?",
        "Who is the hero of this text?",
        "Which of the steps listed above comes first?",
        "Was steht im obigen Text über Ebbe?",
        "Que dit l'auteur dans le texte ?",
    ],
)
def test_a_closed_book_question_that_points_at_a_text_is_rejected(sample, question):
    for kind in ("knowledge", "freeform"):
        verdict = Shape().judge(sample(question, GOOD, kind=kind, context=None))
        assert "points at a text that is not there" in verdict.reason
    assert Shape().judge(sample(question, GOOD, kind="grounded", context="Some text.")).keep
    assert Shape(references=False).judge(sample(question, GOOD)).keep


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was it built?", "1874"),
        ("Which sign adds two numbers?", "+"),
        ("What is written in the text of the Magna Carta?", GOOD),
        ("Who signed the document?", "Mara Vell"),
        ("What was shown above the door?", "A crown"),
        ("Arrange the words given below.\n1. Police 2. Crime", "2, 1"),
        ("How many colours are in the following list: red, four, blue?", "Two"),
        ("Write a loop.", "```python\n# User: Ann\nfor x in y:\n    pass\n```\nThat is all."),
        ("Write an apology.", "I am sorry for the late delivery of your order."),
        ("A friend asks for money. Write a polite refusal.", "I'm sorry, I can't help this time."),
        ("What can a lamp not do?", "It cannot help a blind man."),
        ("What is a model?", "A large language model predicts the next word."),
        ("Is [A] before [B]?", "Yes: [A] is."),
        ("Ist das ein Text?", "Ja, ein Text über Häuser."),
    ],
)
def test_a_well_formed_sample_is_kept(sample, question, answer):
    verdict = Shape().judge(sample(question, answer))
    assert verdict.keep, verdict.reason


def test_an_answer_that_the_passage_has_none_is_no_knowledge(sample):
    verdict = Shape().judge(sample("Who?", "The passage does not mention it.", kind="knowledge", context="Text."))
    assert not verdict.keep


def test_only_a_trained_passage_is_searched_for_chat_tokens(sample):
    passage = "Turns end in <|end|> here."
    assert not Shape().judge(sample("Sum it up.", GOOD, kind="grounded", context=passage)).keep
    assert Shape().judge(sample("What is it?", GOOD, kind="knowledge", context=passage)).keep


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("a\n```\nb\n```\nc", "a\nc"),
        ("````\n```\n````\nc", "c"),
        ("~~~\n```\n~~~", ""),
        ("```\na", None),
        ("use ```b``` inline", "use ```b``` inline"),
        ("```b``` opens a line", "```b``` opens a line"),
    ],
)
def test_fences_follow_commonmark(text, prose):
    assert outside_code(text) == prose
