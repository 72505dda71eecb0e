"""What a template leaves behind: variables that were never filled in, and text that only holds a place."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.code_blocks import outside_spans, reads_like_code
from instructlab_like.filters.parts.sides import Fault, quoted
from instructlab_like.filters.parts.wanted import CODE, DOCUMENT, WEB, about

SLOTS = (
    r"questions?|answers?|context|input|output|instructions?|names?|first_?name|last_?name|topic|text|passage"
    r"|document|query|response"
    r"|user_?input|user_?name|user|title|date|placeholder|subject|entity|city|country|company|product|content|message"
    r"|prompt"
    r"|task|domain|chunk|paragraph|sentence|word|language|seed_\w+|\w+_(?:question|answer|context|name|text|input"
    r"|output|here)"
)
JINJA = re.compile(
    r"\{(?:\{(?<![\\\w_^{$}]..)[-~]?\s*[\w.]+(?:\[[^\]\n]{1,20}\])?(?:\s*\|\s*\w[^{}\n]{0,40})?\s*[-~]?\}\}"
    r"|%-?\s*(?:if|for|end\w+|else|elif|set|block|include|raw|macro)\b[^%\n]{0,80}%\}|#\s[^\n]{1,80}\s#\})"
)
BRACED = re.compile(
    rf"\{{(?<![\\\w_^{{}}#].)(?:{SLOTS})\}}(?!\}})|%\((?:{SLOTS})\)s|<<(?:{SLOTS})>>|\[\[(?:{SLOTS})\]\]"
    rf"|__(?:{SLOTS})__"
    r"|INSERT_\w+_HERE\b",
    re.IGNORECASE,
)
BRACKETED = re.compile(
    r"[\[【](?<![\w\])].)(?:(?:please )?(?:insert|fill in|to be (?:added|determined|filled|inserted)|tbd"
    r"|todo)\b[^\]】\n]{0,60}"
    r"|(?:enter|add|put|type|write|specify|provide|include|replace(?: this)?(?: with)?) (?:your|the|a|an|name|text"
    r"|date|value|details|content)\b[^\]】\n]{0,40}"
    r"|(?:your|recipient'?s?|sender'?s?|customer'?s?|client'?s?|company'?s?) [^\]】\n]{1,40}"
    r"|[^\]】\n]{1,40}\b(?:here|goes here|placeholder|to be (?:added|determined|filled(?: in)?|inserted)|tbd)"
    r"|(?:full |first |last |company |event |product |city |country |start |end |phone |street |job |school "
    r"|friend'?s? |team )?"
    r"(?:names?|date|address|topic|title|location|number|city|company|position|email|amount|placeholder|subject"
    r"|answer|response|text|todo|tbd|blank)"
    r"|(?:ihr|dein|hier|bitte|mein)e?n? [^\]】\n]{1,40}|[^\]】\n]{1,40} (?:einfügen|eintragen|ergänzen|einsetzen)"
    r"|(?:insertar|inserte|su|tu|nombre|ingrese|escriba|agregar|añadir)\b[^\]】\n]{0,40}|(?:insérer|insérez|votre|nom"
    r"|ajouter|saisir|indiquer)\b[^\]】\n]{0,40}"
    r"|(?:inserire|inserisci|il tuo|la tua|nome|aggiungere)\b[^\]】\n]{0,40}"
    r"|(?:inserir|insira|seu|sua)\b[^\]】\n]{0,40}"
    r"|(?:вставьте|вставить|ваше|имя|укажите)[^\]】\n]{0,40}|(?:在此|此处|请|插入|填写|您的|你的|姓名|ここに|お名前|氏名)[^\]】\n]{0,30}"
    r"|[^\]】\n]{1,20}を?(?:入力|記入|挿入))[\]】](?![(\[:])",
    re.IGNORECASE,
)
ANGLED = re.compile(
    r"<(?:placeholder|(?:insert|enter|your|fill|add)[ _-][^<>\n]{1,50}|[^<>\n=/]{1,40}[ _-]here|answer|question|topic"
    r"|noinput|nooutput"
    r"|no input|no output|blank|tbd|todo|redacted|(?:first|last|full|company|product|city)[ _-]?name)>",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"\blorem ipsum dolor|\b(?:TODO|FIXME|TBD)\s*[:：]|[\[(](?:TODO|FIXME|TBD|XXX)\b[^\])\n]{0,60}[\])]|^\W*(?:TODO"
    r"|FIXME|TBD)\b\W*$|\[object Object\]|\bXXXX+\b(?= +(?:is|was|in|on|at|to|the)\b)",
    re.MULTILINE | re.IGNORECASE,
)
LETTER = re.compile(
    r"^\W*(?:dear|hi|hello|to whom|subject:|sehr geehrte|liebe[r]?|hallo|estimad[oa]|querid[oa]|cher|chère|bonjour"
    r"|gentile|caro|cara|prezad[oa]|уважаем|尊敬|亲爱|拝啓|betreff|asunto|objet)\b|\b(?:sincerely|regards|yours "
    r"(?:truly"
    r"|faithfully)|grüßen|atentamente|cordialement|saluti|atenciosamente|敬具|此致)\b",
    re.IGNORECASE | re.MULTILINE,
)
TEMPLATED = re.compile(
    r"template|jinja|vue|angular|handlebars|mustache|liquid|helm|ansible|placeholder|variable|f-string|format string"
    r"|interpolat|wiki|moustache|django|flask|lorem|dummy|filler|brace|bracket",
    re.IGNORECASE,
)


def unfilled(part: str, text: str, question: str) -> Fault | None:
    """A variable or a place that should have been filled in, outside code, unless the sample is about such things."""
    variable = "{" in text or "<<" in text or "[[" in text or "__" in text or "%(" in text or "INSERT_" in text
    if variable and (fault := variables(part, outside_spans(text), question)):
        return fault
    if ("[" in text or "<" in text or "【" in text) and (fault := blanks(part, outside_spans(text), question)):
        return fault
    return None


def variables(part: str, prose: str, question: str) -> Fault | None:
    found = (JINJA.search(prose) if "{{" in prose or "{%" in prose or "{#" in prose else None) or BRACED.search(prose)
    if not found or TEMPLATED.search(question) or about(CODE, question) or reads_like_code(prose):
        return None
    if part == "answer" and found[0] in question:
        return None
    return "template-leftover", f"a variable that was not filled in, {quoted(found)}, in the {part}"


def blanks(part: str, prose: str, question: str) -> Fault | None:
    """Blanks in brackets are right in letters, forms and templates."""
    found = BRACKETED.search(prose) or ANGLED.search(prose)
    if not found or (part == "answer" and found[0] in question):
        return None
    if about(DOCUMENT, question) or about(CODE, question) or LETTER.search(prose) or TEMPLATED.search(question):
        return None
    if reads_like_code(prose.replace(found[0], " ")):
        return None
    return "template-leftover", f"a place that was not filled in, {quoted(found)}, in the {part}"


def filler(part: str, text: str, question: str) -> Fault | None:
    mark = ("D" in text and ("TODO" in text or "TBD" in text)) or ("X" in text and ("FIXME" in text or "XXXX" in text))
    if not (mark or "orem ipsum" in text or ("O" in text and "object Object" in text)):
        return None
    prose = outside_spans(text)
    found = FILLER.search(prose)
    if (
        not found
        or about(CODE, question)
        or about(WEB, question)
        or TEMPLATED.search(question)
        or reads_like_code(prose)
    ):
        return None
    if part == "answer" and found[0].strip(" :[]()").casefold() in question.casefold():
        return None
    return "template-leftover", f"text that only holds a place, {quoted(found)}, in the {part}"
