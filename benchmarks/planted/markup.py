"""Planted leftovers of chats, prompts, templates and pages, and clean samples of every form that looks like one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import made
from benchmarks.planted.writings import ABROAD, ENGLISH, clean

FLOORS = Floors(recall=1.0, precision=1.0)

OPENING = (
    "<|im_start|>user\n",
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|begin_of_text|>",
    "<s>[INST] ",
    "[INST] ",
    "<start_of_turn>user\n",
    "<bos><start_of_turn>user\n",
    "<|user|>\n",
    "<|start_of_role|>user<|end_of_role|>",
    "<｜begin▁of▁sentence｜><｜User｜>",
    "<｜User｜>",
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "<|start|>user<|message|>",
    "<|header_start|>user<|header_end|>\n\n",
    "<<SYS>>\nBe brief.\n<</SYS>>\n\n",
    "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT]",
    "<|prompter|>",
    "[|user|]",
    "<|im_user|>user<|im_middle|>",
    "<|turn>user\n",
)
CLOSING = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "</s>",
    " </s>",
    "<end_of_turn>",
    "<|end|>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
    "<|return|>",
    "<|eot|>",
    " [/INST]",
    "<eos>",
    "<|eom_id|>",
    "<|end_of_turn|>",
    "[|endofturn|]",
    "<turn|>",
    "<|endofprompt|>",
    "<EOS_TOKEN>",
)
ROLES = (
    "User: {}",
    "USER: {}",
    "### User:\n{}",
    "Human: {}",
    "### Instruction:\n{}",
    "**User:** {}",
    "Benutzer: {}",
    "Usuario: {}",
    "Utilisateur : {}",
    "用户：{}",
    "GPT4 Correct User: {}",
    "Пользователь: {}",
)
REPLIES = (
    "Assistant: {}",
    "ASSISTANT: {}",
    "### Response:\n{}",
    "### Assistant: {}",
    "**Assistant:** {}",
    "AI: {}",
    "Bot: {}",
    "ChatGPT: {}",
    "Assistent: {}",
    "Asistente: {}",
    "助手：{}",
    "Ассистент: {}",
)
LABELS = (
    "Question: {}",
    "Q: {}",
    "**Question:** {}",
    "Question 4: {}",
    "Q7: {}",
    "### Question: {}",
    "Frage: {}",
    "Pregunta: {}",
    "Question : {}",
    "Domanda: {}",
    "Pergunta: {}",
    "Вопрос: {}",
    "问题：{}",
    "質問：{}",
    "질문: {}",
)
ANSWERS = (
    "Answer: {}",
    "A: {}",
    "**Answer:** {}",
    "Answer 4: {}",
    "A7: {}",
    "Antwort: {}",
    "Respuesta: {}",
    "Réponse : {}",
    "Risposta: {}",
    "Resposta: {}",
    "Ответ: {}",
    "答案：{}",
    "回答：{}",
    "답변: {}",
)
TAGS = (
    "[QUESTION] {}",
    "{} [/ANSWER]",
    "<answer>{}</answer> ",
    "{}\n[END]",
    "<question>{}</question>",
    "{}\n[END OF ANSWER]",
    "[Start of Answer]\n{}\n[End of Answer]",
    "<final_answer>{}</final_answer>.",
    "</context>\n{}",
)
WRAPPED = (
    '{{"answer": "{}"}}',
    '{{"response": "{}"}}',
    '```json\n{{"output": "{}"}}\n```',
    "<response>{}</response>",
    "<p>{}</p>",
    "```markdown\n{}\n```",
    "```\n{}\n```",
    "```text\n{}\n```",
    "{{'answer': '{}'}}",
    '[{{"generated_text": "{}"}}]',
    '<?xml version="1.0"?>\n<result>{}</result>',
    "<div>{}</div>",
    '{{"question": "…", "answer": "{}"}}',
)
THOUGHTS = (
    "<think>\nThe user asks about this.\n</think>\n\n{}",
    "I should be brief.\n</think>\n{}",
    "<thinking>Hm.</thinking> {}",
    "<reasoning>\nFirst of all …\n</reasoning>\n{}",
    "<scratchpad>note</scratchpad>\n{}",
    "◁think▷Hm.◁/think▷{}",
    "[THINK]Hm.[/THINK]{}",
    "<|START_THINKING|>Hm.<|END_THINKING|>{}",
    "{}\n<reflection>Good.</reflection>",
    "<think>{}",
)
CALLS = (
    '<tool_call>\n{{"name": "search", "arguments": {{"q": "x"}}}}\n</tool_call>\n{}',
    '{{"name": "look_up", "arguments": {{"text": "{}"}}}}',
    '<function_calls><invoke name="find"></invoke></function_calls>{}',
    '[TOOL_CALLS] [{{"name": "find"}}] {}',
    "Action: search\nAction Input: x\nObservation: {}",
    "<function=find>{}</function>",
    '<|python_tag|>search.call(query="x")\n{}',
    "<tool_response>{}</tool_response>",
    "to=functions.find {}",
)
SLOTS = (
    "{{{{ question }}}}",
    "{{{{question}}}}",
    "{{question}}",
    "{{% if question %}} {}",
    "{} {{{{ context }}}}",
    "${{question}} {}",
    "{} {{input}}",
    "<<question>>",
    "[insert question here] {}",
    "{} [topic]",
)
FILLERS = (
    "{} It was named after [insert name].",
    "<placeholder>",
    "{} [Your answer here]",
    "Lorem ipsum dolor sit amet, consectetur elit.",
    "TODO: write this answer",
    "{} [TODO: add a source]",
    "The answer is {{answer}}.",
    "{{{{ answer }}}}",
    "<answer here>",
    "{} (TBD)\n\nTODO",
    "{} Das Jahr war [Jahr hier einfügen].",
    "{} Fue [insertar nombre].",
    "<insert answer>",
    "{} 【请在此填写】",
)
EMPTY = ("", " ", "\n\n", "...", "nan", "null", "—–—", "<nooutput>", "\u3000")
PIECES = (
    "analysisThe user wants a reason.assistantfinal{}",
    "assistant\n\n{}",
    "{}\nuser",
    "{}<0x0A>",
    "▁The▁reason▁is▁this {}",
    "{} The Ġ reasonĠis thisĠone.",
    "final answer assistantfinal {}",
)
PAGES = (
    "{}【4†source】",
    "{} citeturn0search1",
    "pythonCopy code\n{}",
    "ChatGPT said:\n{}",
    "{} :contentReference[oaicite:2]{{index=2}}",
)
BROKEN_LINES = ("\\n", "\\n\\n", "\\r\\n")


def entities(text: str, rng: random.Random) -> str:
    """A text with some of its characters as entities of HTML."""
    apostrophe = rng.choice(("&#39;", "&rsquo;", "&#x27;", "&apos;"))
    for plain, entity in (("'", apostrophe), (", ", rng.choice((",&nbsp;", " &ndash; ", " &amp; ")))):
        if plain in text:
            return text.replace(plain, entity)
    return f"&quot;{text}&quot;"


def elements(sentences: list[str], rng: random.Random) -> str:
    """Sentences as a page shows them."""
    return rng.choice(
        (
            "<br>".join([*sentences, ""]),
            "<br />".join([*sentences, ""]),
            "".join(f"<p>{sentence}</p>" for sentence in sentences) + " More.",
            f"<b>{sentences[0]}</b> " + " ".join(sentences[1:]),
            f'<span class="lead">{sentences[0]}</span> ' + " ".join(sentences[1:]),
            "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in sentences) + "</ul> That is all.",
        )
    )


def put(form: str, text: str) -> str:
    return form.format(text.replace('"', "'") if '"' in form else text)


Planter = Callable[[random.Random, str, list[str]], tuple[str, str]]


def answered(forms: tuple[str, ...]) -> Planter:
    return lambda rng, question, told: (question, put(rng.choice(forms), " ".join(told)))


def asked(forms: tuple[str, ...]) -> Planter:
    return lambda rng, question, told: (put(rng.choice(forms), question), " ".join(told))


def batch(rng: random.Random, question: str, told: list[str]) -> tuple[str, str]:
    """Several pairs in one, or the number of one of them."""
    first, rest = told[0], " ".join(told[1:])
    pairs = (
        (f"1. Q: {question} A: {first} 2. Q: What else?", rest),
        (question, f"1. Q: {question}\nA: {first}\n2. Q: What else is there?\nA: {rest}"),
        (f"{rng.randint(2, 9)}. {question}", " ".join(told)),
        (question, f"{' '.join(told)}\n\nQuestion: What else is there to know?\nAnswer: {first}"),
        (question, f"{' '.join(told)}\n\n**Question 2:** How long does it take?\n\n**Answer 2:** Not long."),
        (f"{rng.randint(2, 9)}) {question}", " ".join(told)),
        (question, f"{' '.join(told)}\n{rng.randint(2, 9)}. How long does it take?"),
        (f"Q1: {question}\nQ2: How long does it take?", " ".join(told)),
    )
    return rng.choice(pairs)


def one_in_other(rng: random.Random, question: str, told: list[str]) -> tuple[str, str]:
    answer = " ".join(told)
    return rng.choice(
        (
            (f"{question} Answer: {told[0]}", answer),
            (f"{question}\nA: {told[0]}", told[0]),
            (f"{question} {answer}", answer),
            (question, f"{question} {answer}"),
            (question, f"{question}\n\n{answer}"),
            (question, question.upper()),
            (question, f"You asked: {question} {answer}"),
            (f"{question}\nAnswer:", answer),
        )
    )


def fence(rng: random.Random, question: str, told: list[str]) -> tuple[str, str]:
    return question, f"{told[0]}\n\n```{rng.choice(('', 'python', 'text'))}\n{' '.join(told[1:])}"


def lines(rng: random.Random, question: str, told: list[str]) -> tuple[str, str]:
    return question, rng.choice(BROKEN_LINES).join(told)


def empty(rng: random.Random, question: str, told: list[str]) -> tuple[str, str]:
    return rng.choice(((question, rng.choice(EMPTY)), (rng.choice(EMPTY[:3]), " ".join(told))))


PLANTERS: dict[str, Planter] = {
    "a token opens the question": lambda rng, question, told: (rng.choice(OPENING) + question, " ".join(told)),
    "a token closes the answer": lambda rng, question, told: (question, " ".join(told) + rng.choice(CLOSING)),
    "a token inside the answer": lambda rng, question, told: (
        question,
        f"{told[0]}{rng.choice(CLOSING[:6])}\n{told[1]}",
    ),
    "role before the question": asked(ROLES),
    "role before the answer": answered(REPLIES),
    "another turn in the answer": lambda rng, question, told: (
        question,
        f"{told[0]}\n\n{rng.choice(('User', 'Human', 'USER', '### Human', 'Nutzer'))}: And then?\n\n{told[1]}",
    ),
    "label before the question": asked(LABELS),
    "label before the answer": answered(ANSWERS),
    "tag of a parser": answered(TAGS),
    "answer in a wrapper": answered(WRAPPED),
    "block of reasoning": answered(THOUGHTS),
    "call of a tool": answered(CALLS),
    "variable in the question": asked(SLOTS),
    "place to be filled in the answer": answered(FILLERS),
    "several pairs in one": batch,
    "question and answer in one": one_in_other,
    "code block never closed": fence,
    "line breaks as escapes": lines,
    "entities of HTML": lambda rng, question, told: (question, entities(" ".join(told), rng)),
    "tags of HTML": lambda rng, question, told: (question, elements(told, rng)),
    "an empty side": empty,
    "tokens without their brackets": answered(PIECES),
    "leftovers of a page": answered(PAGES),
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """A fault and a clean sample by turns, kind after kind."""
    kinds = list(PLANTERS)
    for number in range(count):
        if number % 2:
            kind = kinds[number // 2 % len(kinds)]
            question, told = rng.choice(ENGLISH + ABROAD).drawn(rng)
            yield Case(kind, (made(*PLANTERS[kind](rng, question, told)),), bad=True)
        else:
            row, sample = clean(rng)
            yield Case(row, (sample,), bad=False)
