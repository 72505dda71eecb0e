from __future__ import annotations

import pytest

from instructlab_like.filters.shape.references import References

GOOD = "Granite, for the most part."


@pytest.mark.parametrize(
    "question",
    [
        "As mentioned above, who built it?",
        "What does the passage say about tides?",
        "According to the document, who built it?",
        "What is the height given in the table?",
        "Who is the hero of this text?",
        "Which of the steps listed above comes first?",
        "What does Figure 3 show?",
        "What is the author's main argument?",
        "Summarize the following text.",
        "Which of the following is true?",
        "What does this code do?",
        "Who is named in the second paragraph?",
        "Was steht im obigen Text über Ebbe?",
        "Welche Gründe nennt der Autor?",
        "Que dit l'auteur dans le texte ?",
        "Que montre la figure 2 ?",
        "Según el texto, ¿quién construyó el faro?",
        "Como mencionado acima, qual é a causa?",
        "Cosa dice il documento sul porto?",
        "Wat zegt het document over de haven?",
        "Согласно тексту, кто построил маяк?",
        "根据上述材料，灯塔是何时建造的？",
        "筆者は戦争についてどのように考えていますか。",
    ],
)
def test_a_question_that_points_at_a_missing_text_is_rejected(sample, question):
    for kind in ("knowledge", "freeform"):
        told = References().judge(sample(question, GOOD, kind=kind, context="Some text."))
        assert not told.keep
    grounded = References().judge(sample(question, GOOD, kind="grounded", context="Some text."))
    assert grounded.keep
    assert not grounded.applied


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("According to the passage, who built it?", "points-at-missing-text"),
        ("As mentioned above, who built it?", "points-back"),
        ("What does Table 2 show?", "numbered-item"),
        ("Translate the following sentence into French.", "nothing-follows"),
    ],
)
def test_the_rule_says_what_is_missing(sample, question, rule):
    assert References().judge(sample(question, GOOD)).rule == rule


@pytest.mark.parametrize(
    "question",
    [
        "What is written in the text of the Magna Carta?",
        "Who signed the document?",
        "What was shown above the door?",
        "Arrange the words given below.\n1. Police 2. Crime",
        "How many colours are in the following list: red, four, blue?",
        "Which of the following is a fruit? Apple, stone, car.",
        "Translate the following sentence into French: I like tea.",
        "Summarize the text: The lighthouse was built in 1874 by Mara Vell and stands there still.",
        "What is the document object model?",
        "What is a context switch?",
        "Who is the author of Don Quixote?",
        "In Moby-Dick, why does the author describe whales?",
        'What is the author\'s tone in "A Modest Proposal"?',
        "In the article 'On Denoting', what does Russell argue?",
        "Which HTML tag defines the title of the document?",
        "How do I insert a page break in the document?",
        "Write an essay about tides. This essay should mention the moon.",
        "What is a figure 8 knot?",
        "What does Section 230 protect?",
        "Given the context of the Cold War, why was Berlin divided?",
        "Tom has 3 apples and buys 4 more. He eats one. Based on the information provided, how many are left?",
        'What does "as mentioned above" mean?',
        "Ist das ein Text?",
        "Was besagt Artikel 5 des Grundgesetzes?",
        "Qui est l'auteur de Germinal ?",
        "¿Qué dice el artículo 14 de la Constitución?",
        "Кто автор романа «Идиот»?",
        "《红楼梦》的作者是谁？",
        "18岁以上的人可以投票吗？",
        "『こころ』の作者は誰ですか。",
    ],
)
def test_a_question_that_stands_alone_is_kept(sample, question):
    told = References().judge(sample(question, GOOD))
    assert told.keep, told.reason


def test_earlier_turns_are_there(sample):
    turns = "Tell me about the lighthouse of Velmouth and who built it, if you know that.\n\nIt was built in 1874.\n\n"
    assert References().judge(sample(f"{turns}As mentioned above, it is old. Who built it?", GOOD)).keep


@pytest.mark.parametrize(
    "answer",
    [
        "The passage does not mention it.",
        "Based on the provided context, the tower is 40 m high.",
        "According to the document, it was built in 1874.",
        "This is not mentioned in the text.",
        "Im Text wird nicht gesagt, wer ihn baute.",
        "Le texte ne le précise pas.",
        "Según el texto, fue en 1874.",
        "O texto não menciona isso.",
        "Il testo non lo menziona.",
        "De tekst vermeldt dit niet.",
        "В тексте об этом не говорится.",
        "文中没有提到。",
        "本文には書かれていません。",
    ],
)
def test_an_answer_that_speaks_of_a_missing_text_is_rejected(sample, answer):
    told = References().judge(sample("Who built the tower?", answer, kind="knowledge", context="Text."))
    assert told.rule == "speaks-of-missing-text"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What does a notary do?", "The notary checks that the document states the right names."),
        ('Sum up: "The cat sat on the mat and it purred all day long."', "According to the text, a cat sat on a mat."),
        ("Mike has 4 kids. 3 of them are Luis, Drake and Ann. Who else?", "Based on the information provided, Mike."),
    ],
)
def test_an_answer_about_a_text_that_is_there_is_kept(sample, question, answer):
    told = References().judge(sample(question, answer))
    assert told.keep, told.reason
