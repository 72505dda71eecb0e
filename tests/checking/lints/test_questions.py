from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import skill, write_leaf
from one_lint import KNOWLEDGE_PATH, SKILL_PATH, knowledge_text, of_code, written_knowledge, written_skill

CODE = "missing-context"

POINTING = [
    "Summarise the following text.",
    "What does the document say about tides?",
    "According to the document, when was it built?",
    "As above, what is the result?",
    "What is the main idea of the passage?",
    "In the table below, which value is highest?",
    "Translate this paragraph into French.",
    "Who is mentioned earlier?",
    "Which of the above is right?",
    "Rewrite the following sentence in the passive voice.",
    "What is the text about?",
    "Read the passage and answer the question.",
    "What does this sentence mean?",
    "Based on the article, who won?",
    "Summarize this.",
    "Explain the code below.",
    "Answer the following question:",
    "Which animals are named in the text?",
    "What was mentioned in the previous paragraph?",
    "Using the information above, compute the total.",
    "How many countries are listed in the document?",
    "Given the passage, what is the tone?",
    "Fix the errors in the given sentence.",
    "What is the title of the document?",
    "Refer to the diagram. Which part is the pump?",
    "List the key points of the article.",
    "Write a summary of the passage.",
    "Please summarize the document.",
    "From the context, what is X?",
    "What can be inferred from the passage?",
    "Which of the following is a mammal?",
    "What colour is the car in the image?",
    "Using the text, explain why the tide rises.",
    "Translate the text from English to French.",
    "Summarise the document in two sentences.",
    "What year does the document give for the founding?",
    "In the passage above, who speaks?",
    "Classify the sentiment of the review.",
    "What is the sentiment of this review?",
    "Who is the main character of the story?",
    "As described above, what colour is the flag?",
    "What, as stated in the document, is the fee?",
    "Which town does the document name?",
    "When was the harbour built, according to the text?",
    "Please rewrite the text in simpler words.",
    "Can you summarise this article?",
    "In the following passage, find the verbs.",
]
STANDING_ALONE = [
    "What is the height above the sea?",
    "Write an email asking a colleague to send the document by Friday.",
    "What happened in the following year?",
    "Translate the following to French. Good morning",
    "Translate the following sentence: I am happy.",
    "Which of the following is a mammal? A) dog B) cat",
    "Write a poem about rain. This poem should rhyme.",
    "Write a paragraph about tides. The text must mention the moon.",
    "How do I save the document in Word?",
    "Which document founded the republic?",
    "What is the document that founded the US called?",
    "Who wrote the article of faith?",
    "What does the text editor vim do?",
    "Jack put the ball in the basket and left the room, and Jill moved it. Based on the information, where is it?",
    "Rewrite 'the cat sat on the mat' in the passive; keep the above in mind.",
    "Which of the following is bigger, a cat or a dog?",
    "What temperature is below freezing?",
    "Is the picture above the fireplace a Monet?",
    "How can I summarize a document?",
    "What is the passage of time?",
    "Complete the sentence: the dog ___.",
    "What is the table of contents?",
    "What does the abbreviation PDF mean in the context of documents?",
    "What is 3 + 4?",
    "Give me three tips. The following week I travel.",
    "Name the author who wrote Hamlet.",
    "Write a function that sorts the list of words in place.",
    "What are the laws above the state level?",
    "In the context of law, what is a tort?",
    "What is the meaning of this: carpe diem?",
    "How do you analyze the data from an experiment?",
    "Write a letter to the editor about the article on tides.",
    "What tools analyze this data type?",
    "Does this sentence contain an error: he go home.",
    "Tell me a joke about a programmer and explain it.",
    "Write a limerick and explain it.",
    "What information is stored in the table sys.users?",
    "Write a Python function that reads a list of numbers and returns the sum of the list.",
    "Write a review of the film Jaws.",
    "What is the list price of a Velo 3?",
    "How do I add a column to the table?",
    "A customer asks for a discount that we never give. Write a polite refusal.",
    "Which of the Beatles wrote the song Something?",
    "What is the next month following the month of May?",
    "I have 3 apples and eat one. How many are left, given the information?",
    "List five synonyms for the word beautiful and separate with newline.",
    "What is the capital of the state above Oregon?",
    "Tell me a story. End the story with a moral.",
    "How do you pronounce this: chough?",
    "Name the picture book of the year.",
    "Write a story based on the data of 1999.",
    "Suggest a title for a document about tides.",
    "How should the letter be addressed?",
    "What is the function of the heart?",
    "What does a paragraph need?",
    "Which colours does the flag of Velmouth have, given that it changed twice?",
    "Make a table with the following columns: name, age.",
    "Invent a message from the king to the people.",
    "Is this statement true or false: water is wet?",
    "Is this statement true? Water is wet.",
    "Arrange the words given below in a meaningful sequence.\n1. Police 2. Punishment 3. Crime",
    "Given the following table, predict the next value.\n\nDay\t1\t2\nDegrees\t20\t22",
    "Which word is the odd one out?\n\nA. index\n\nB. book",
    "Read the scenario and answer: Scenario: 'Pam sleeps.' Does the text say that she is awake?",
    "The ferry to Marrow leaves at nine each morning and takes an hour. According to the text, when does it arrive?",
]


@pytest.mark.parametrize("question", POINTING)
def test_a_skill_that_points_at_a_text_it_does_not_bring_is_an_error(tmp_path: Path, question: str) -> None:
    (told,) = of_code(CODE, written_skill(tmp_path, question=question))
    assert told.severity == "error"
    assert told.field == "seed_examples[1].question"


@pytest.mark.parametrize("question", STANDING_ALONE)
def test_a_question_that_stands_alone_or_brings_its_text_is_fine(tmp_path: Path, question: str) -> None:
    assert not of_code(CODE, written_skill(tmp_path, question=question))


def test_words_that_may_mean_something_else_are_a_warning(tmp_path: Path) -> None:
    (told,) = of_code(CODE, written_skill(tmp_path, question="How tall is the lighthouse in the document?"))
    assert told.severity == "error"
    (told,) = of_code(CODE, written_skill(tmp_path, question="Write a reply to the writer of the article."))
    assert told.severity == "warning"


@pytest.mark.parametrize("question", ["According to the document, who won?", "Why does the author regret it?"])
def test_knowledge_is_asked_without_its_context_and_warned(tmp_path: Path, question: str) -> None:
    (told,) = of_code(CODE, written_knowledge(tmp_path, question=question))
    assert told.severity == "warning"
    assert told.field == "seed_examples[1].questions_and_answers[1].question"


def test_a_grounded_skill_may_point_at_its_context(tmp_path: Path) -> None:
    folder = written_skill(tmp_path, context="The tide rises.", question="Summarise the text above.")
    assert not of_code(CODE, folder)


@pytest.mark.parametrize(
    ("yaml", "place"),
    [
        ("As above, what is it?", (2, 15)),
        ("What colour, as shown in the table, is it?", (2, 31)),
        ('"What colour, \\\n      as shown in the table, is it?"', (3, 10)),
        (
            "|\n      Which of all colours in the flag of the county,\n      as shown in the table, is it?\n",
            (4, 10),
        ),
        (">\n      What colour is the flag of the whole county, as\n      shown in the\n      table?\n", (4, 7)),
    ],
)
def test_the_place_is_that_of_the_words(tmp_path: Path, yaml: str, place: tuple[int, int]) -> None:
    held = f"questions:\n  - question: {yaml}\n    answer: red\n"
    folder = write_leaf(tmp_path, SKILL_PATH, skill(), heldout=held)
    (told,) = of_code(CODE, folder)
    assert (Path(told.path).name, told.line, told.column) == ("heldout.yaml", *place)


def test_held_out_questions_of_both_kinds_need_their_text(tmp_path: Path) -> None:
    held = "questions:\n  - question: Who is named in the passage?\n    answer: Ann\n"
    with_text = held + "    context: Ann sings.\n"
    (told,) = of_code(CODE, write_leaf(tmp_path, SKILL_PATH, skill(), heldout=held))
    assert told.severity == "error"
    (told,) = of_code(CODE, write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge_text(), heldout=held))
    assert told.severity == "warning"
    assert not of_code(CODE, write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge_text(), heldout=with_text))


@pytest.mark.parametrize("piece", ["the following ", "as above? ", '"', ". ", "1) ", "x"])
def test_a_question_longer_than_any_instruction_brings_what_it_needs(tmp_path: Path, piece: str) -> None:
    assert not of_code(CODE, written_skill(tmp_path, question="As above? " + piece * (40_000 // len(piece))))


def test_a_choice_brings_what_follows(tmp_path: Path) -> None:
    told = "answer: oak, metric: choice, options: [oak, slate]}\n"
    held = f"questions:\n  - {{question: 'Which of the following is a tree?', {told}"
    assert not of_code(CODE, write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge_text(), heldout=held))
    held = f"questions:\n  - {{question: 'Which tree is named in the document?', {told}"
    assert of_code(CODE, write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge_text(), heldout=held))
