"""Rejects answers that break off: in a word, a sentence, a list, a bracket, a formula or a block of code."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.code_blocks import outside_code, reads_like_code
from instructlab_like.filters.parts.endings import (
    DANGLING,
    HANGING,
    SMILEY,
    cut_word,
    dangling,
    formula_open,
    left_open,
    tongues,
)
from instructlab_like.filters.parts.sides import Fault, quoted
from instructlab_like.filters.parts.wanted import CODE, VERSE, about
from instructlab_like.records import Sample

COMPLETE = kept("the answer comes to an end")

ENDS = frozenset(".!?。！？…।؟۔።៕．｡‼⁇")
CLOSERS = "\"'”’»“‘)]}）】」』》*_`~ \n\t|>"
SIGNS = re.compile(r"[,;:،、，；：(\[{（「『《„«&+=/\\–—-]\Z")
MARKER = re.compile(r"(?:\A|\n)[ \t]*(?:[-*•+]|\**(?P<number>\d{1,3})[.)]\**|[a-z][.)])[ \t]*\Z")
ITEM = re.compile(r"^[ \t]*(?:[-*•+–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+\S")
RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|?)+[ \t]*")  # below the heading of a table
LOOSE_END = re.compile(r"\s(?:on|in|to|of|for|with|at|from|into|by)\Z")
ABBREVIATED = re.compile(r"(?:^|\s|\()(?:e\.g|i\.e|Mr|Mrs|Ms|Prof|z\. ?B|d\. ?h|bzw|vgl|p\. ex|por ej|vs)\.\Z")
SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\be\.g)(?<!\bi\.e)(?<!\b(?:Dr|Mr|Ms|St|No|Nr|vs|ca|cf|Jr|Sr))(?<!\b(?:Mrs|etc|Inc|Ltd|bzw"
    r"|vgl))(?<!\bProf)"
    r"(?<!\d)[.!?][\"”’)\]*]*[ \t]+(?=[\"“„«¿¡(*\[]*[A-ZÀ-ÖØ-ÞА-ЯЁΑ-Ω0-9])|(?<=\d)[.!?][ \t]+(?=[A-ZÀ-ÖØ-ÞА-ЯЁ])"
)
HEADS_TEXT = "it they he she we this that these there when if for in on at by from with since after before during here"
HEADS = frozenset(HEADS_TEXT.split())
FAREWELL = re.compile(
    r"(?:i )?hope|good luck|best|enjoy|cheers|thank|let me know|have (?:a|fun)|happy|bon|viel (?:erfolg|spaß)"
    r"|buena suerte|saludos"
    r"|mit |see you|feel free|yes\b|no\b|ok\b",
    re.IGNORECASE,
)
RESULT = re.compile(
    r"\b(?:answer|result|total|sum|solution|choice|option|antwort|ergebnis|respuesta|réponse|risposta|resposta"
    r"|ответ)\b.{0,40}?"
    r"\W(?:[A-E]|yes|no|true|false|ja|nein|[-−$€£]?\d[\d.,:/]*%?)\Z",
    re.IGNORECASE,
)
HAN_SENTENCE = re.compile("[。！？]")
HAN_PAUSE = re.compile("[、，,]")
HAN_FINAL = re.compile("[すただねよいるかなん了吧呢吗啊哦的]\\Z|\\W\\Z")  # what ends sentences without a full stop
HAN_DANGLING = frozenset("的和与或在是为于及对把被从向但而因のはがをにでとやへも")
HAN = re.compile("[぀-ヿ㐀-䶿一-鿿]")
ENUMERATED = re.compile(r",\s*\S+,\s*(?:\w+ )?\S+\Z")  # and, or, but
CUT = re.compile(
    r"(?:[\[(<]|(?:\.\.\.|…) ?)(?:truncated|cut off|output truncated|response truncated|continued in next \w+"
    r"|max(?:imum)? tokens? reached)[\])>]?\W*\Z",
    re.IGNORECASE,
)
# Ends that need no full stop: addresses, tags, numbers in a formula, symbols.
LAST = 300  # characters at an end that are looked at for its form
OPEN_END = re.compile(
    r"(?:https?:|www\.|@|#)\S*\Z|\S+\.(?:com|org|net|html?|py|js|txt|pdf)\Z|[=<>≤≥≈→×÷±^$%°€£~|]\s*\S{0,12}\Z|\betc\Z"
    r"|[^\w\s]\Z"
)
LABEL = re.compile(r"^[ \t>*#_-]*[^\n.:!?]{1,40}\**[:：]\**[ \t]*\S")
SIGNED = re.compile(r"^\W*(?:[-–—~] ?)?(?:[A-ZÀ-Þ][\w.'’-]*[ ,]*){1,5}\Z")
NO_SENTENCE = re.compile(
    r"\btitle|headline|caption|slogan|tagline|tweet|hashtag|subject line|motto|bullet|\bcomplete\b|\bcontinue\b"
    r"|\bfinish\b|fill"
    r"|first \w+ (?:words|characters|letters)|truncat|cut off|incomplete|fragment|prefix|preposition|conjunction"
    r"|pronoun"
    r"|stop ?words?|function words?|überschrift|titel|titre|título|titolo|标题|タイトル",
    re.IGNORECASE,
)
LETTER = re.compile(
    r"\b(?:sincerely|regards|wishes|yours|thanks|thank you|love|cheers|grüße|grüßen|atentamente|saludos|cordialement"
    r"|saluti)\b\W*\Z",
    re.IGNORECASE,
)


class Truncation(SampleFilter):
    """Rejects answers that stop before their end: in a block of code, a bracket, a quotation, a formula; behind a comma
    or a colon, a word that cannot be the last ("because the"), or a part of a word; at the bare number of a list's next
    item; without a full stop where every sentence before has one.

    A short answer needs no full stop, nor do lists, titles, verses, code, formulas, addresses, and scripts without
    spaces. An answer cut behind a whole sentence looks complete, and so does one sentence cut behind a word that could
    be its last. Dangling words are known in English, German, French, Spanish, Italian, Portuguese, Dutch, Russian,
    Polish and Swedish; words cut in two, by themselves, in English.
    """

    version: ClassVar[int] = 2

    min_words: Annotated[int, Field(ge=1)] = 12
    """Fewest words of an answer of several sentences whose last must have its full stop."""

    def judge(self, sample: Sample) -> Judgement:
        text = sample.answer.rstrip()
        if text[-1:] in ENDS and "`" not in text and "\\" not in text and "$$" not in text and text[-3:-2] != "\n":
            return (
                COMPLETE
                if not ABBREVIATED.search(text[-8:]) or len(text) < 40
                else rejected("mid-sentence", f"the answer ends in an abbreviation, {quoted(text[-8:].split()[-1])}")
            )
        found = broken_off(text, sample, self.min_words) if text else None
        return rejected(*found) if found else COMPLETE


def broken_off(text: str, sample: Sample, fewest: int) -> Fault | None:
    """How the answer breaks off, most certain first."""
    if outside_code(text) is None:
        return "open-fence", "a code block of the answer is never closed"
    if text.splitlines()[-1].strip(" >").startswith(("```", "~~~")):
        return None
    if found := CUT.search(text[-LAST:]):
        return "cut-mark", f"the answer says that it was cut: {quoted(found)}"
    if unfinished_item(text):
        return "mid-list", f"the answer ends in the bare mark of an item, {quoted(text[-12:].split()[-1])}"
    if row := unfinished_row(text):
        return "mid-table", f"the last row of a table breaks off: {quoted(row)}"
    ended = text.rstrip(CLOSERS)[-1:] in ENDS
    if (formula := formula_open(text)) and not ended:
        return "open-formula", f"a formula is never closed: {quoted(formula)}"
    if text[0] in "{[" and not ended and (rest := open_data(text)):
        return "open-bracket", f"data that are never closed: {quoted(rest)}"
    if ended:
        return None
    if reads_like_code(outside_code(text) or "") or (about(CODE, sample.question) and not SENTENCE.search(text)):
        return cut_code(text)
    return cut_prose(text, sample, fewest)


def unfinished_item(text: str) -> bool:
    """Whether the text ends in the bare mark of a list's item; a number must go on from the one before."""
    found = MARKER.search(text)
    if not found or len(text.split()) < 4 or "\n" not in text:
        return False
    if not (number := found["number"]):
        return bool(ITEM.search(text) or re.search(r"\n[ \t]*(?:[-*•+]|[a-z][.)])[ \t]+\S", text))
    return re.search(rf"(?:^|\n)[ \t]*\**{int(number) - 1}[.)]", text) is not None or int(number) == 1


def unfinished_row(text: str) -> str | None:
    """The last row of a table, where it has fewer cells than the heading."""
    lines = text.splitlines()
    if not lines[-1].lstrip().startswith("|"):
        return None
    begin = len(lines)
    while begin and lines[begin - 1].lstrip().startswith("|"):
        begin -= 1
    table = lines[begin:]
    if len(table) < 3 or not RULE.fullmatch(table[1]):
        return None
    return table[-1] if cells(table[-1]) < cells(table[0]) else None


def cells(row: str) -> int:
    return len(row.strip().removesuffix("|").replace("\\|", "").split("|")) - 1


def open_data(text: str) -> str | None:
    """The tail of JSON whose brackets do not close."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    if not re.match(r'[\[{]\s*(?:""|[\[{]|\d|true|false|null)', bare):
        return None
    depth = sum(map(bare.count, "{[")) - sum(map(bare.count, "}]"))
    return text[-30:] if depth > 0 else None


def cut_code(text: str) -> Fault | None:
    """A program that stops inside a bracket of its last line, or behind an operator."""
    line = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", '""', text.splitlines()[-1].strip())
    if re.search(r"(?:[,(\[]|[^\s]\s+(?:=|\+|-|\*|&&|\|\||and|or|in|==|\+=|=>|->))\Z", line):
        return "open-code", f"the program stops behind {quoted(line[-20:])}"
    opened = sum(map(line.count, "([")) - sum(map(line.count, ")]"))
    if opened > 0 and not line.startswith(("#", "//", "--")) and len(text.splitlines()) > 1:
        return "open-code", f"the program stops inside a bracket, {quoted(line[-30:])}"
    return None


def cut_prose(text: str, sample: Sample, fewest: int) -> Fault | None:
    words = len(text.split())
    last = text.splitlines()[-1]
    if HAN.search(text[-6:]):
        return cut_han(text, last)
    if words < 4 or "|" in last:
        return None
    if SMILEY.search(text[-3:]):
        return None
    signed = LETTER.search(text[-LAST:]) is not None
    if (sign := SIGNS.search(text)) and stops_at(sign[0], text, words, sample) and not signed:
        return "mid-sentence", f"the answer ends in {quoted(text[-24:].split(' ', 1)[-1])}"
    if words >= 5 and (rest := left_open(last)) and text[-1] not in CLOSERS:
        return "open-bracket", f"never closed: {quoted(rest)}"
    if text[-1] in CLOSERS or signed:
        return None
    word = dangling(text, words)
    if word and not NO_SENTENCE.search(sample.question) and not ENUMERATED.search(text):
        return "mid-sentence", f"no sentence ends in {quoted(word)}"
    if (
        words >= 6
        and not about(CODE, sample.question)
        and (part := cut_word(text, f"{sample.question} {sample.context or ''}"))
    ):
        return "mid-word", f"the answer ends in a part of a word, {quoted(part)}"
    if ITEM.match(last) and LOOSE_END.search(last) and "\n" in text and not NO_SENTENCE.search(sample.question):
        return without_stop(text)
    if words < fewest or NO_SENTENCE.search(sample.question) or about(VERSE, sample.question):
        return None
    return without_stop(text)


def stops_at(sign: str, text: str, words: int, sample: Sample) -> bool:
    """Whether a sign at the end tells that more was to come."""
    before = text[-2:-1]
    last = text.split()[-1]
    match sign:
        case "+" | "=" | "&" | "\\":
            return before == " "
        case "/":
            return before == " " or ("/" not in last[:-1] and before.isalpha() and words > 8)
        case "-" | "–" | "—":
            return (
                words > 5
                and len(last) - len(last.rstrip("-–—")) < 3
                and not about(VERSE, sample.question)
                and not about(CODE, sample.question)
            )
        case ":" | "：":
            return words > 5 and len(last) > 1
        case ";":
            return words > 5 and not about(CODE, sample.question) and before.isalpha()
        case ",":
            return not about(VERSE, sample.question) and len(text.splitlines()[-1].split()) > 3
    return True


def cut_han(text: str, last: str) -> Fault | None:
    """Of text without spaces, only what ends in a comma, an open bracket or, after sentences, a particle."""
    if len(text) < 8:
        return None
    if SIGNS.search(text) or ((rest := left_open(last)) and len(rest) > 1):
        return "mid-sentence", f"the answer ends in {quoted(text[-12:])}"
    if text[-1] in HAN_DANGLING and len(HAN_SENTENCE.findall(text)) > 1:
        return "mid-sentence", f"no sentence ends in {quoted(text[-1])}"
    ends = list(HAN_SENTENCE.finditer(last))
    rest = last[ends[-1].end() :].strip() if ends else ""
    if (
        len(ends) > 1
        and len(rest) > 7
        and HAN_PAUSE.search(rest)
        and not HAN_FINAL.search(rest)
        and not ITEM.match(last)
    ):
        return "mid-sentence", f"the last sentence has no end: {quoted(rest[-30:])}"
    return None


def without_stop(text: str) -> Fault | None:
    """A last sentence without a full stop, where those before it have theirs."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1]
    if ITEM.match(last):
        items = [line.rstrip(CLOSERS) for line in lines[:-1] if ITEM.match(line)]
        if len(items) > 1 and all(item[-1:] in ENDS for item in items):
            return "mid-list", f"the only item without a full stop is the last, {quoted(last[-40:])}"
        if LOOSE_END.search(last) and not any(LOOSE_END.search(line) for line in lines[:-1]):
            return "mid-list", f"no other item ends like the last, {quoted(last[-40:])}"
        last = ITEM.sub("", last, count=1)
        if not SENTENCE.search(last):
            return None
    if OPEN_END.search(last[-LAST:]) or last.lstrip()[:1] in "#|>" or SIGNED.match(last):
        return None
    if ends := [*SENTENCE.finditer(last)]:
        return unended(last[: ends[-1].end()].split(), len(ends), last[ends[-1].end() :].split(), tongues(text))
    if len(lines) < 2 or lines[-2] == text.splitlines()[-2] or LABEL.match(last) or len(last.split()) < 9:
        return None
    prose = [line.rstrip(CLOSERS) for line in lines[:-1] if len(line.split()) > 5 and not ITEM.match(line)]
    if prose and all(line[-1:] in ENDS for line in prose):
        return "mid-sentence", f"the last paragraph has no end: {quoted(last[-50:])}"
    return None


def unended(before: list[str], sentences: int, rest: list[str], codes: tuple[str, ...]) -> Fault | None:
    """A last sentence without its end. One that is much longer than the only other is rather a forgotten full stop."""
    if not rest or rest[0][-1] in ":：":
        return None
    told = " ".join(rest)
    fault = "mid-sentence", f"the last sentence has no end: {quoted(told[-50:])}"
    if (
        (last := rest[-1].casefold()) in HANGING
        or any(last in DANGLING.get(code, ()) for code in codes)
        or (len(rest) == 1 and last in HEADS)
    ):
        return fault
    if len(before) < 4 or FAREWELL.match(told) or RESULT.search(told):
        return None
    if sentences == 1 and (len(rest) > 1.7 * len(before) or (len(rest) < 4 and len(before) < 8)):
        return None
    return fault
