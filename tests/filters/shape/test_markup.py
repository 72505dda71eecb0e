from __future__ import annotations

import pytest

from instructlab_like.filters.parts.code_blocks import outside_code
from instructlab_like.filters.shape.markup import Markup

ASKED = "Why do the tides rise twice a day?"
GOOD = "The moon pulls the water on the near side more than on the far side. That makes two bulges."


@pytest.mark.parametrize(
    ("question", "answer", "rule", "culprit"),
    [
        ("What is it?", " ", "empty", "the answer is empty"),
        ("\n", GOOD, "empty", "the question is empty"),
        ("What is it?", "nan", "empty", "the answer is empty"),
        ("What is it?", "...", "empty", "the answer is empty"),
        ("What is it?<|user|>", GOOD, "chat-token", '"<|user|>" in the question'),
        ("What is it?", "Stone<|im_end|>", "chat-token", '"<|im_end|>" in the answer'),
        ("[INST] What is it?", GOOD, "chat-token", '"[INST]"'),
        ("What is it?", "Stone</s>", "chat-token", '"</s>"'),
        ("What is it?", "Stone.</s>\nMore stone.", "chat-token", '"</s>"'),
        ("What is it?", "Stone<｜end▁of▁sentence｜>", "chat-token", "<｜end▁of▁sentence｜>"),
        ("<start_of_turn>user\nWhat is it?", GOOD, "chat-token", "<start_of_turn>"),
        ("What is it?", "Stone<turn|>", "chat-token", "<turn|>"),
        ("What is it?", "[|assistant|]Stone", "chat-token", "[|assistant|]"),
        ("What is it?", "Code:\n```\n<|user|>\n```", "chat-token", '"<|user|>"'),
        ("What is it?", "assistant\n\nStone", "chat-token", "without its brackets"),
        ("What is it?", "analysisShort.assistantfinalStone", "chat-token", "without its brackets"),
        ("System: You are a helpful model.\nWhat is it?", GOOD, "chat-token", "a system message"),
        ("What is it?", "▁It▁is▁stone", "word-pieces", "pieces of words"),
        ("What is it?", "Stone【4†source】", "copied-page", "【4†source】"),
        ("What is it?", "Stone.\nUser: and who?", "role-line", '"User:"'),
        ("What is it?", "**Assistant:** stone", "role-line", '"**Assistant:"'),
        ("USER: What is it? ASSISTANT:", GOOD, "label", "at the end of the question"),
        ("What is it?", "It is stone. USER: And who? ASSISTANT: Stone.", "role-line", '"USER: And who?'),
        ("Question: What is it?", GOOD, "label", 'label "Question:"'),
        ("What is it?", "A: stone", "label", 'label "A:"'),
        ("Frage: Was ist das?", GOOD, "label", '"Frage:"'),
        ("What is it?\nAnswer:", GOOD, "label", "at the end of the question"),
        ("What is it?", "Stone [/ANSWER]", "parser-tag", '"[/ANSWER]"'),
        ("What is it? [END QUESTION]", GOOD, "parser-tag", '"[END QUESTION]"'),
        ("Show me the loop.", "```python\nfor x in y:", "open-fence", "a code block in the answer is never closed"),
        ("Is it stone?", "is it stone", "question-repeated", "the answer repeats the question"),
        (ASKED, f"{ASKED} {GOOD}", "question-repeated", "holds the whole question"),
        (ASKED, f"You asked: {ASKED} {GOOD}", "question-repeated", "holds the whole question"),
        (f"{ASKED} {GOOD}", GOOD, "answer-in-question", "the question ends in its answer"),
        (f"{ASKED} Answer: the moon.", GOOD, "answer-in-question", "Answer: t"),
        (f"3. {ASKED}", GOOD, "batch-leftover", "the question has a number of a list"),
        (ASKED, f"1. Q: {ASKED}\nA: The moon.\n2. Q: And the sun?\nA: Too.", "batch-leftover", "another question"),
        (ASKED, f"{GOOD}\n\nQuestion 2: What of the sun?\nAnswer 2: It pulls too.", "batch-leftover", "Question 2:"),
        (ASKED, f'{{"answer": "{GOOD}"}}', "wrapped", "JSON with the field"),
        (ASKED, f'```json\n{{"response": "{GOOD}"}}\n```', "wrapped", "JSON with the field"),
        (ASKED, f"<response>{GOOD}</response>.", "parser-tag", "<response>"),
        (ASKED, f"<output>{GOOD}</output>", "wrapped", "the element"),
        (ASKED, f"```markdown\n{GOOD}\n```", "wrapped", "a code block"),
        (ASKED, f"```\n{GOOD}\n```", "wrapped", "a code block"),
        (ASKED, f"<think>\nHm.\n</think>\n{GOOD}", "thinking-block", "<think>"),
        (ASKED, f"Hm.\n</thinking> {GOOD}", "thinking-block", "</thinking>"),
        (ASKED, '<tool_call>\n{"name": "search"}\n</tool_call>', "tool-call", "<tool_call>"),
        (ASKED, '{"name": "search", "arguments": {"q": "tides"}}', "tool-call", "arguments"),
        ("{{ question }}", GOOD, "template-leftover", "{{ question }}"),
        (ASKED, "The answer is {answer}.", "template-leftover", "{answer}"),
        (ASKED, "It was [insert name].", "template-leftover", "[insert name]"),
        (ASKED, "It was <placeholder>.", "template-leftover", "<placeholder>"),
        (ASKED, "Lorem ipsum dolor sit amet.", "template-leftover", "Lorem ipsum"),
        (ASKED, "TODO: ask somebody", "template-leftover", "TODO:"),
        (ASKED, "It&#39;s the moon &amp; the sun.", "html-entity", "&#39;"),
        (ASKED, "The moon.<br>The sun.", "html-tag", "<br>"),
        (ASKED, "The moon.\\nThe sun.", "escaped", "\\n"),
        (ASKED, "A caf\\u00e9 by the sea.", "escaped", "\\u00e9"),
    ],
)
def test_the_reason_names_the_culprit(sample, question, answer, rule, culprit):
    told = Markup().judge(sample(question, answer))
    assert told.rule == rule, told.reason
    assert culprit in told.reason


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was it built?", "1874"),
        ("Which sign adds two numbers?", "+"),
        ("What does SOS look like in Morse code?", "... --- ..."),
        ("Write a loop.", "```python\n# User: Ann\nfor x in y:\n    pass\n```\nThat is all."),
        ("Is [A] before [B]?", "Yes: [A] is."),
        ("Give the capital as JSON.", '{"answer": "Paris"}'),
        ("Sort [3, 1, 2].", "[1, 2, 3]"),
        ("Book a room for five in week 7.", '[{"week": 7, "people": 5}]'),
        ("What does &amp; mean in HTML?", "The entity &amp; is an ampersand, and <br> a line break."),
        ("How do I print two lines in C?", 'printf("a\\nb\\n");'),
        ("Solve E = h\\nu for \\nu.", "\\nu = E/h, where \\nabla, \\neq and \\times are not needed"),
        ("Which folder is it?", "C:\\new\\Table\\Notes.txt"),
        ("Write a letter to a landlord.", "Dear [landlord's name],\n\nplease fix the tap.\n\nYours\n[Your name]"),
        ("Write a dialogue between a user and a bot.", "User: Will it rain?\nBot: Yes.\nUser: Thanks."),
        ("Name the phases of a disaster.", "Prevention: avoiding it.\nResponse: acting.\nRecovery: repairing."),
        ("Who uses the library?", "* Admin: manages books\n* User: borrows books\n* Guest: reads"),
        ("Which is a fruit? A: Apple B: Brick", "A: Apple"),
        ("Create two quiz questions about Rome.", "Q: Who founded it?\nA: Romulus.\nQ: When?\nA: 753 BC."),
        ("How do reasoning models mark thoughts?", "They put them between `<think>` and `</think>`."),
        ("What does the <think> tag do?", "The <think> tag opens a block of reasoning."),
        ("Think in <scratchpad> tags, then answer: 2+2?", "<scratchpad>2+2=4</scratchpad>\n4"),
        ("What is the ChatML format for?", "It tells where the turns of user and assistant begin and end."),
        ("Write a Jinja greeting.", "Hello {{ name }}!"),
        ("What is a set?", "The set {a, b} has two items; {x | x > 0} has many."),
        ("How do I clone it?", "Run git clone <url> and cd <directory>."),
        ("Who left?", 'The editor wrote "[the] man left" [3], see [note](n.md) and [his name].'),
        ("1. Police 2. Crime 3. Judge: which comes first?", "2"),
        ("What is 6 * 7?\n\nMultiply them. Answer: 42\n\nAnd 6 * 8?", "It is 48."),
        ("Wie hieß der 1. FC Köln früher?", "1. FC Köln"),
        ("Complete: A bird in the hand", "A bird in the hand is worth two in the bush."),
        ("Make a table.", "| a | b |\n|---|---|\n| x<br>y | z |"),
        ("What is water's formula?", "H<sub>2</sub>O, and 3 < 5 > 2"),
        ("What does a colon do?", "It announces: a list, a question, an answer: anything."),
        ("How do I install it?", "1. Download it:\n    ```bash\n    curl x\n    ```\n2. Run it."),
    ],
)
def test_a_well_formed_sample_is_kept(sample, question, answer):
    told = Markup().judge(sample(question, answer))
    assert told.keep, told.reason


def test_only_a_trained_passage_is_searched_for_chat_tokens(sample):
    passage = "Turns end in <|end|> here."
    assert not Markup().judge(sample("Sum it up.", GOOD, kind="grounded", context=passage)).keep
    assert Markup().judge(sample("What is it?", GOOD, kind="knowledge", context=passage)).keep


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("a\n```\nb\n```\nc", "a\nc"),
        ("````\n```\n````\nc", "c"),
        ("~~~\n```\n~~~", ""),
        ("```\na", None),
        ("use ```b``` inline", "use ```b``` inline"),
        ("```b``` opens a line", "```b``` opens a line"),
        ("- ```sh\n  x\n  ```\n- b", "- b"),
        ("```py\n    ```\n```", ""),
    ],
)
def test_fences_follow_commonmark(text, prose):
    assert outside_code(text) == prose
