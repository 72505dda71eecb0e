"""Roles, labels and tags that prompts put before questions and answers, and several pairs run together in one."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.code_blocks import outside_code, outside_spans
from instructlab_like.filters.parts.sides import Fault, quoted
from instructlab_like.filters.parts.wanted import DIALOGUE, QUIZ, about

ROLES = (
    r"user|assistant|human|ai assistant|instruction|response|ai|bot|chatbot|chatgpt|gpt-?\d?\w{0,2}|claude|gemini"
    r"|prompter|\w{2,10} (?:correct )?(?:user|assistant)|benutzer(?:in)?|nutzer(?:in)?|assistent|usuario|asistente"
    r"|utilisateur|utente|assistente|usuário|пользователь|ассистент|用户|用戶|助手|助理|ユーザー|アシスタント|사용자|어시스턴트"
)
ROLE_LINE = re.compile(rf"^[ \t>*#-]*(?P<role>{ROLES})[ \t]*\**[ \t]*[:：]", re.IGNORECASE | re.MULTILINE)
ROLE_INSIDE = re.compile(
    r"(?<![\w.])(?:USER|Human|HUMAN|User): .{1,400}?(?<!\w)(?:ASSISTANT|Assistant|AI): ", re.DOTALL
)
ASKS = r"question|frage|pregunta|domanda|pergunta|вопрос|вопр|问题|问|問|質問|질문|pytanie|vraag|fråga|soru"
ASKING = ASKS.split("|")
TELLS = (
    r"answer|antwort|respuesta|réponse|risposta|resposta|ответ|答案|回答|答|答え|답변|답|odpowiedź|antwoord|svar|cevap"
)
NUMBER = r"(?:[ \t]*(?:no\.?|nr\.?|#)?[ \t]*\d{1,3})?"
MARK = r"[ \t]*\**[ \t]*[:：]"
LABEL = re.compile(
    rf"\A[ \t*#>-]*(?:(?:{ASKS}|{TELLS}){NUMBER}{MARK}|(?:[QA]|q|a)(?:[ \t]?\d{{1,3}})?\**(?:[:：]|(?<=\d)\.)|FAQ:"
    rf"|問[:：])",
    re.IGNORECASE,
)
CHOICES = re.compile(r"(?:^|\W)A\**[:：].{1,300}?\WB\**[:：]", re.DOTALL)  # A: … B: …
TRAILING = re.compile(rf"(?:\n|[?.!。？]\s)[ \t*#]*(?:{TELLS}|A|response|assistant){MARK}\**\s*\Z", re.IGNORECASE)
GIVEN_AWAY = re.compile(
    rf"(?:\n|[?？]\s*|[.!]\s)[ \t*#(]*(?:(?:correct )?(?:{TELLS})|A)\**[:：]\**[ \t\n]*\S", re.IGNORECASE
)
ASKED_AGAIN = re.compile(
    rf"(?:^|[.!?]\s|\s(?=\d{{1,3}}[.)]))[ \t*#>-]*(?:\d{{1,3}}[.)][ \t]*)?\**(?:(?:{ASKS}){NUMBER}{MARK}"
    rf"|(?-i:Q)(?:[ \t]?\d{{1,3}})?\**[:：])",
    re.IGNORECASE | re.MULTILINE,
)
INTERROGATIVE = (
    r"what|how|why|which|who|whose|whom|when|where|is|are|was|were|do|does|did|can|could|should|would|will|explain"
    r"|describe|name"
    r"|list|give|define|write|wie|wer|wo|wann|warum|was|welche[rsmn]?|qué|cómo|cuál|quién|dónde|cuándo|por qué"
    r"|quel(?:le)?s?|comment"
    r"|pourquoi|qui|où|quand|che|come|quale|por que|o que|quais|chi|dove|quando|perché|qual|quem|onde|какой|какая|как"
    r"|что|кто|где|когда|почему"
    r"|varför|hur|vad|vem|när|vilken|hvorfor|hvordan|hvad|hva|hvem|waarom|hoe|wat|waar|wanneer|dlaczego|jak|co|kto"
    r"|gdzie|kiedy"
    r"|proč|kdo|kde|miksi|mikä|miten|kuka|neden|nasıl|nedir|miért|hogyan|mengapa|bagaimana|apa"
)
NUMBERS = frozenset("0123456789-*•")
NUMBERED = re.compile(
    rf"\A\s*(?:\(?\d{{1,3}}[.)]|[-*•])[ \t]+[\*¿¡]*(?:{INTERROGATIVE})\b[^\n]*[?.!？]\**\s*\Z", re.IGNORECASE
)
NUMBERED_NEXT = re.compile(rf"\n\s*\**\d{{1,3}}[.)][ \t]+\**(?:{INTERROGATIVE})\b[^\n]*\?\**\s*\Z", re.IGNORECASE)

PARSER_TAG = re.compile(
    r"\[/?(?:END[ _]?|START[ _]?)?(?:QUESTION|ANSWER|CONTEXT|RESPONSE|DOCUMENT|PASSAGE|SEED|PAIR|START|END"
    r"|INSTRUCTION|OUTPUT|INPUT|QA)S?\]"
    r"|\[/?(?i:(?:start|end|begin) of [a-z ]{3,20})\]|>>(?:QUESTION|ANSWER|CONTEXT|INTRODUCTION|SUMMARY|TITLE|DOMAIN)<<"
    r"|</?(?i:questions?|answers?|context|responses?|pair|qa|qa_pair|final_answer|instruction|passage|user_input"
    r"|user_query)>"
)

LABELLED = re.compile(
    r"^[ \t>*#•-]*(?:\d{1,3}[.)][ \t]*)?\**(?P<term>[^\W\d_][^\s:：.!?]*(?: [^\s:：.!?]+){0,2}?)\**[ \t]*[:：]",
    re.MULTILINE,
)
PROMPTED = re.compile(
    rf"(?:{ROLES}|{ASKS}|{TELLS}|[qa]|system|context|input|output|passage|document)(?:\s*\d+)?", re.IGNORECASE
)


def roles(part: str, text: str, question: str) -> Fault | None:
    """A line that a role opens, save in dialogues that were asked for and in lists of terms among which it is one."""
    if not (":" in text or "：" in text) or (prose := outside_code(text)) is None:
        return None
    found = role_in(prose)
    if not found or is_dialogue(prose, question) or is_term(found, prose):
        return None
    return "role-line", f"role line {quoted(found[0].split(chr(10))[0])} in the {part}"


def role_in(prose: str) -> re.Match[str] | None:
    at = 0
    for line in prose.splitlines(keepends=True):
        head = line[:40]
        if (":" in head or "：" in head) and (found := ROLE_LINE.match(prose, at)):
            return found
        at += len(line)
    return ROLE_INSIDE.search(prose) if any(role in prose for role in ("USER:", "User:", "HUMAN:", "Human:")) else None


def is_dialogue(text: str, question: str) -> bool:
    """Whether two or more roles speak and the question is about a conversation."""
    speaking = {found["role"].casefold() for found in ROLE_LINE.finditer(text)}
    others = {found["term"].casefold() for found in LABELLED.finditer(text)} - speaking
    return len(speaking) + len(others) > 1 and about(DIALOGUE, question)


def is_term(found: re.Match[str], text: str) -> bool:
    """Whether the line before or after it is labelled with a word that is no role, as in a list of definitions."""
    lines = [line for line in text[: found.start()].splitlines()[-3:] if line.strip()][-1:]
    lines += [line for line in text[found.end() :].splitlines()[1:4] if line.strip()][:1]
    return any((label := LABELLED.match(line)) and not PROMPTED.fullmatch(label["term"].strip(" *")) for line in lines)


def labels(part: str, text: str, question: str) -> Fault | None:
    """A label in front of the text or at its end; the letters of choices are none."""
    start = text[:48]
    if (":" in start or "：" in start or "." in start) and (found := LABEL.match(text)):
        if CHOICES.search(text) or (part == "answer" and (CHOICES.search(question) or exchanges(question))):
            return None
        return "label", f"label {quoted(found)} in the {part}"
    end = text.rstrip()[-2:]
    if part == "question" and (":" in end or "：" in end) and (found := TRAILING.search(text)):
        return "label", f"label {quoted(found)} at the end of the {part}"
    return None


def tags(part: str, text: str, question: str) -> Fault | None:
    """A tag that a parser of prompts or answers should have taken, unless the question asks for it."""
    if not ("<" in text or "[" in text):
        return None
    found = PARSER_TAG.search(outside_spans(text))
    if not found or (part == "answer" and found[0].replace("/", "").casefold() in question.casefold()):
        return None
    return "parser-tag", f"parser tag {quoted(found)} in the {part}"


def batch(part: str, text: str, question: str) -> Fault | None:
    """Several pairs in one text, or the number that a question had in its batch."""
    if not ("?" in text or ":" in text or "：" in text or text[:3].strip(" (")[:1] in NUMBERS):
        return None
    prose = outside_code(text) or ""
    if part == "question":
        if prose[:3].strip(" (\n")[:1] in NUMBERS and (found := NUMBERED.match(prose)):
            return "batch-leftover", f"{quoted(found)}: the question has a number of a list"
        if may_ask(prose) and len(ASKED_AGAIN.findall(prose)) > 1 and not about(DIALOGUE, text):
            return "batch-leftover", "several questions with labels in the question"
        return None
    found = ASKED_AGAIN.search(prose) if may_ask(prose) else None
    if not found and prose.rstrip("* \n")[-1:] == "?":
        found = NUMBERED_NEXT.search(prose)
    if found and not exchanges(question):
        return "batch-leftover", f"another question, {quoted(found)}, in the answer"
    return None


def may_ask(text: str) -> bool:
    """Whether the text may hold a label of a question; cheap."""
    if not (":" in text or "：" in text):
        return False
    folded = text.casefold()
    return "Q" in text or any(word in folded for word in ASKING)


def exchanges(question: str) -> bool:
    """Whether questions with their answers, or a conversation, are asked for."""
    return about(QUIZ, question) or about(DIALOGUE, question)


def given_away(question: str) -> Fault | None:
    """The answer, with its label, inside the question."""
    if not (":" in question or "：" in question) or not (found := GIVEN_AWAY.search(question)):
        return None
    rest = question[found.end() :]
    if CHOICES.search(question) or "\n\n" in rest or "?" in rest:  # an earlier turn, an example, a text of its own
        return None
    return "answer-in-question", f"the question holds an answer: {quoted(found)}"
