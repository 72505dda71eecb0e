"""Questions that point at a text which nobody who is asked them sees: "as above", "according to the document".

A skill that is shown without its text cannot be learnt: an error, or a warning where the words may mean something else.
Knowledge is asked without its context, too, but the teacher sees it: a warning. The patterns are English. A question
that brings the text itself, in quotes, after a colon or in further sentences or lines, is fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from instructlab_like.checking.pairs import LocatedPair, held_out_pairs, kind_of, seed_pairs
from instructlab_like.checking.spots import spot
from instructlab_like.checking.subject import Subject, Text
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import QNA

_CODE = "missing-context"

# --- words that point at something ------------------------------------------------------------------------------

_TEXT = r"(?:passage|text|document|article|paragraph|excerpt|extract|snippet|context)"
_SHOWN = (
    rf"(?:{_TEXT}|table|figure|diagram|chart|graph|image|picture|photo|screenshot|list|data|information|story|poem)"
)
_WRITTEN = r"(?:review|email|e-mail|message|essay|speech|conversation|dialogue|letter|report)"
_PIECE = rf"(?:{_SHOWN}|{_WRITTEN}|sentence|words|statement|code|quote|abstract|function|scenario|question)s?"
_GIVEN = r"(?:given|provided|attached|accompanying|preceding|above|aforementioned|previous)"
_TOLD = r"(?:mentioned|described|given|listed|shown|stated|discussed|provided|presented|noted|outlined|explained)"
_TASK = (
    r"(?:summari[sz]e|paraphrase|rewrite|rephrase|translate|proofread|shorten|simplify"
    r"|analy[sz]e|classify|edit|correct)"
)
_SAYS = r"(?:say|mention|state|describe|discuss|suggest|explain|tell us|argue|claim|conclude|about|refer|focus|imply)s?"
_BEGINNING = r"(?:^|(?<=[.!?:;] ))"
_ASKED = r"(?:(?:^|[.!?:;]\s+|\bplease |\b(?:can|could|would|will) you (?:please )?)(?:read (?:and )?)?)"
_PART = (
    r"(?:summary|point|idea|topic|theme|gist|outline|tone|character|mood|title|headline|conclusion|meaning|purpose"
    r"|sentiment)"
)
_TIME = r"(?:days?|weeks?|months?|years?|mornings?|evenings?|nights?|decades?|centur(?:y|ies)|seasons?|summer|winter)"
# What makes another thing of the noun: "the text editor", "the document that founded", "the email should be short".
_ENDS = (
    r"\b(?!['’]?\s*(?:that|which|who|whose|of|by|on|about|called|named|titled|entitled|between|where|signed|editor|file"
    r"|field|box|message|book|type|format|object|set|base|structure|element|should|must|needs?|will|shall|can)\b|[-/_])"
)
_NOT_A_PLACE = r"(?! (?:the|a|an|my|our|your|his|her|zero|sea|average|freezing|ground|all)\b| -?\d)"

_POINTING = (
    rf"\b(?:as|see|from|{_TOLD}) above\b{_NOT_A_PLACE}|\bthe above\b(?!-)|\babove[- ]mentioned\b|\baforementioned\b",
    rf"\b{_PIECE} (?:above|below)\b{_NOT_A_PLACE}|\b(?:as|see|{_TOLD}) below\b{_NOT_A_PLACE}",
    rf"\b(?:according to|based on|{_TOLD} in|referring to|refer to) "
    rf"(?:the|this|that|these) (?:{_GIVEN} )?{_SHOWN}{_ENDS}",
    rf"{_BEGINNING}(?:using|given|from) (?:the|this|these) {_SHOWN}{_ENDS}",
    rf"\b(?:the|this|these) {_GIVEN} {_PIECE}{_ENDS}",
    rf"\b(?:does|do|did|is) (?:the|this) {_TEXT} (?:mainly |mostly |also )?{_SAYS}\b",
    rf"{_ASKED}{_TASK} (?:the|this|these|that) (?:\w+ )?{_PIECE}{_ENDS}",
    rf"{_ASKED}(?:read|consider|study|examine|look at) (?:the|this|these) {_PIECE}{_ENDS}",
    rf"{_ASKED}(?:{_TASK}|explain|fix|improve) (?:this|these|it)\b(?=\s*(?:[.!?]|$)| (?:in|into|to|for|as|please)\b)",
    r"\b(?:mentioned|discussed|described|stated|given|listed) (?:earlier|previously)\b|\bas mentioned\b(?! (?:in|by)\b)"
    r"|\b(?:previously|earlier) (?:mentioned|discussed|described|stated|given|listed)\b|\bmentioned before\b",
    rf"\bthe following\b(?! (?:\w+ )?{_TIME}\b)",
)
_NAMING = (  # these point only where no such thing was named before
    rf"\bin (?:the|this) (?:passage|text|article|paragraph|excerpt|extract|snippet){_ENDS}",
    rf"\b(?:this|these) (?:given )?(?:{_PIECE}){_ENDS}",
    rf"\b{_PART}s? (?:of|for|from|in) the (?:{_SHOWN}|{_WRITTEN}){_ENDS}",
)
_BARE = (
    rf"(?P<by>\b(?:of|from|in|about|for|on|by) )?\bthe {_TEXT}{_ENDS}"
    rf"|\b(?:of|from|in|on) the (?:image|picture|figure|diagram|chart|photo|screenshot){_ENDS}"
)
_AUTHOR = r"\bthis section\b|\bthe author(?:'s|’s)?\b(?! (?:of|who|that|whose)\b)"

_SURE = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _POINTING)
_SURE_IF_NEW = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _NAMING)
_GUESS = re.compile(_BARE, re.IGNORECASE)
_GUESS_IN_KNOWLEDGE = re.compile(_AUTHOR, re.IGNORECASE)
# Asked of the text itself, and by nobody about something of his own: "which towns are named in the document?"
_ABOUT_IT = re.compile(
    r"\s*(?:what|which|who|whom|whose|when|where|why|does|did|do|is|are"
    r"|how (?!do|does|did|can|to|should|would|could)\w+)\b",
    re.IGNORECASE,
)
_HOW_TO = re.compile(r"\s*(?:how (?:do|can|to|should|would|could)|what is the (?:best )?way)\b", re.IGNORECASE)
_OWN = re.compile(r"\b(?:i|me|my|we|our|you|your|he|she|they|his|her|their)\b", re.IGNORECASE)

# --- what brings the text along ---------------------------------------------------------------------------------

_QUOTE = re.compile(
    r"\"[^\"]{3,}\"|“[^”]{3,}|„[^“”]{3,}|«[^»]{3,}|‘[^’]{8,}|(?<!\w)'[^'\n]{8,}'(?!\w)|`[^`]+`|<[^<>]{20,}>"
)
_COLON = re.compile(r"(?<!\bquestion)(?<!\bq)(?<!\btask)(?<!\binstruction)[:：](?!//)\s*[^\s:.]", re.IGNORECASE)
# A break that begins another line of the text: a long line, and one that goes on in lower case, is only wrapped.
_LINES = re.compile(r"\n[ \t]*\n\s*\S|(?:^|\n)[^\n]{0,49}(?:(?<=[.?!:;])[ \t]*\n[ \t]*\S|\n[ \t]*[^\sa-z])")
_LISTED = re.compile(r",[^,]*\b(?:or|and)\b|[;(–—/=+|]| - |\d\D+\d")
_NUMBERED = re.compile(r"(?<!\w)(?:1|[aAiI])[.)].+?(?<!\w)(?:2|[bB]|ii|II)[.)]")
_SENTENCE = re.compile(r"[^.!?…]+(?:[.!?…]+(?!\s|$)[^.!?…]*)*[.!?…]*")
_ORDER = re.compile(
    r"\s*(?:please |then |now |also )?(?:read|answer|use|consider|look|explain|be|write|choose|select|list|keep|give"
    r"|make|do|don't|include|provide|show|think|limit|return|format|respond|your (?:answer|response|reply)"
    r"|summari[sz]e)\b",
    re.IGNORECASE,
)
_FEWEST = 10  # words of further sentences that are taken for the text
_LONG = 20  # words after "the following" in its sentence
_LONGEST = 1_000  # characters of a question that is looked at: a longer one brings what it needs


class _Pointer(NamedTuple):
    start: int
    end: int
    sure: bool


def findings(subject: Subject) -> Iterable[Finding]:
    found = {name: Findings(subject.place.naming(name)) for name in subject.reading.sheets}
    knowledge = kind_of(subject) == "knowledge"
    for pair in (*seed_pairs(subject), *held_out_pairs(subject)):
        closed_book = pair.context is None or (knowledge and pair.file == QNA)
        if pair.question and closed_book:
            sheet = subject.reading.sheets[pair.file]
            _judge(pair, pair.question, sheet.text, found[pair.file], knowledge=knowledge)
    return [finding for each in found.values() for finding in each.found]


def _judge(pair: LocatedPair, question: Text, sheet_text: str, found: Findings, *, knowledge: bool) -> None:
    pointer = _pointer(question.value, knowledge=knowledge)
    if pointer is None:
        return
    shown = " ".join(question.value[pointer.start : pointer.end].split())
    if pair.options and shown.lower() == "the following":
        return
    message = f"{shown!r} points at a text, and whoever is asked this sees none"
    fix = "name what is meant" if knowledge else "name what is meant, or give the text as the `context`"
    tell = found.error if pointer.sure and not knowledge else found.warning
    tell(spot(sheet_text, question, pointer.start, pointer.end), _CODE, message, fix=fix, field=question.field)


def _pointer(question: str, *, knowledge: bool) -> _Pointer | None:
    """The words that point at a text which the question does not bring."""
    if len(question) > _LONGEST or _QUOTE.search(question) or _COLON.search(question):
        return None
    if _LINES.search(question.strip()):
        return None
    flat = re.sub(r"\s", " ", question)
    pointers = [_Pointer(*match.span(), sure=True) for pattern in _SURE for match in pattern.finditer(flat)]
    pointers += [
        _Pointer(*match.span(), sure=True)
        for pattern in _SURE_IF_NEW
        for match in pattern.finditer(flat)
        if not _named_before(flat, match) and not _HOW_TO.match(flat)
    ]
    pointers += _guesses(flat, knowledge=knowledge)
    pointers = [pointer for pointer in pointers if not _brought(flat, pointer)]
    return min(pointers, key=lambda pointer: (not pointer.sure, pointer.start), default=None)


def _guesses(flat: str, *, knowledge: bool) -> Iterator[_Pointer]:
    for match in _GUESS.finditer(flat):
        if not _named_before(flat, match):
            sentence = flat[_sentence_start(flat, match.start()) : match.end()]
            sure = bool(_ABOUT_IT.match(sentence)) and not _OWN.search(flat)
            if sure or knowledge or match["by"]:
                yield _Pointer(*match.span(), sure=sure)
    if knowledge:
        yield from (_Pointer(*match.span(), sure=False) for match in _GUESS_IN_KNOWLEDGE.finditer(flat))


def _named_before(flat: str, match: re.Match[str]) -> bool:
    """Whether the thing was brought up before: "write a poem; this poem …"."""
    noun = re.escape(match[0].split()[-1].lower().rstrip("s"))
    named = rf"\b(?:an?|one|some|another|each|every|my|your|our)(?: [\w-]+){{0,3}} {noun}"
    return bool(re.search(named, flat[: match.start()], re.IGNORECASE))


def _brought(flat: str, pointer: _Pointer) -> bool:
    """Whether other sentences, or the rest of this one, hold what the words point at."""
    start = _sentence_start(flat, pointer.start)
    sentence = _SENTENCE.match(flat, start)
    end = sentence.end() if sentence else len(flat)
    rest = flat[pointer.end : end]
    words = flat[pointer.start : pointer.end].lower()
    following = words == "the following"
    ahead = words.startswith(("the following", "this ", "these "))
    if _LISTED.search(rest) or _NUMBERED.search(flat, pointer.end) or (following and len(rest.split()) > _LONG):
        return True
    before, after = (
        sum(
            len(other.split())
            for other in _SENTENCE.findall(part)
            if not other.endswith("?") and not _ORDER.match(other)
        )
        for part in (flat[:start], flat[end:])
    )
    return before + after >= _FEWEST or (ahead and after > 0)


def _sentence_start(flat: str, at: int) -> int:
    ends = [match.end() for match in _SENTENCE.finditer(flat) if match.end() <= at]
    return ends[-1] if ends else 0
