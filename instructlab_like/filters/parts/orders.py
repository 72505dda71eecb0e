"""How texts give orders to a model that reads them, and how much each weighs where it stands.

The phrases are in `phrases/orders/`. Weights add up as chances do: two halves make three quarters. What is quoted,
reported, or stands in a text about such orders weighs less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from instructlab_like.filters.parts.phrasebook import NEVER, phrasebook
from instructlab_like.filters.parts.wording import Reading


class Order(NamedTuple):
    rule: str
    weight: float
    start: int
    end: int


class Section(NamedTuple):
    """One kind of phrase: what it is told as, what it weighs, and words of which English texts with it have one."""

    rule: str
    weight: float
    words: frozenset[str] = frozenset()
    factor: Callable[[re.Match[str]], float] = lambda _: 1.0

    def absent_from(self, reading: Reading) -> bool:
        return bool(self.words) and self.words.isdisjoint(reading.words)


# --- to drop what one was told ----------------------------------------------------------------------------------


_VERB = (
    r"(?P<verb>ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass|overlook|discard|delete|erase"
    r"|cancel|never ?mind|do(?: not|n't) (?:follow|obey|comply with|adhere to)|stop (?:following|obeying)"
    r"|pay no attention to)"
)
_PAST = (
    "previous(?:ly)?|prior|above|earlier|preceding|foregoing|original|initial|former|existing|current|past|old|older"
    "|given|received"
)
_OWN = "your|ur|system|safety|developer|hidden|built-in|default|ethical|internal|content|moderation"
_BETWEEN = (
    r"(?:(?:about|all|any|of|each|every|the|my|our|these|those|that|this|other|such|and|or|both|to|user|ai|one"
    r"|single|following"
    rf"|next|subsequent|further|later|{_PAST}|{_OWN})[\s,/-]+){{0,9}}"
)
_TOLD = (
    "instructions?|prompts?|directions?|directives?|guidelines?|guidance|rules?|commands?|orders|programming|training"
    "|constraints?|restrictions?|polic(?:y|ies)|safeguards?|guardrails?|protocols?|ethics|filters?|safety features?"
    "|role as an? (?:ai|assistant|language model)"
)
_SAID = (
    "(?:the )?rest of (?:this|the) (?:page|document|text|prompt|e-?mail|conversation|message)|documents?|page|messages?"
    "|context|text|conversations?|content|inputs?|information|words|sentences|requests?|tasks?|questions?"
)
_DROP = re.compile(
    rf"{_VERB}[\s:]+(?P<between>{_BETWEEN})"
    rf"(?:(?P<told>{_TOLD})\b(?:[\s,]+(?P<after>{_PAST}|(?:that |which )?(?:came|was given|were given) (?:earlier"
    rf"|before)|you (?:were|have been|had been|got|have received|received))\b)?"
    rf"|(?P<said>{_SAID})\b(?:[\s,]+(?P<late>above|before this|so far|previously)\b)?"
    r"|(?P<all>everything|anything|what(?:ever)?)\b[\s,]+(?:that |which )?(?:was |is |has been )?(?:\w+ ){0,2}?"
    r"(?:(?:above|before|prior|previous(?:ly)?|earlier|so far)\b"
    r"|you(?:'ve| have| were| had)?(?: been)? (?:told|given|asked|instructed)))"
)
# Instructions about something belong to it, and not to a model.
_TOPIC = re.compile(
    r"[ ,]*(?:about|regarding|concerning|on (?!how you)|for (?!you|now\b|a (?:moment|second|while|minute)"
    r"|the (?:rest|next)|this (?:chat|conversation|session))|at"
    r"|by (?!the (?:user|system))|printed|written on|(?:that|which) came (?!earlier|before|above|first)"
    r"|provided (?:with|by|on|in)"
    r"|given (?:by|to (?:him|her|them|us|me)|on|in) (?!(?:the|your) (?:system|prompt|developer|creator|operator|user))"
    r"|in (?!(?:(?:the|your|this|that) )?(?:system|prompt|conversation|chat|context|message|session|above|previous))\w"
    r"|from (?:the|your|our|my|his|her) (?!(?:system|developer|user|prompt|operator|creator))"
    r"|of (?:the|your|our|my|his|her) (?!(?:system|developer|prompt|operator|creator|conversation)))"
)
_REPORTED = re.compile(
    r"\b(?:to|that|could|can|can't|cannot|would|may|might|not|never|n't|who|which|he|she|they|it|we|i|people|users?"
    r"|students?|models?|llms?|attackers?|players?|readers?|drivers?|them|someone|somebody|anyone|often|always|tend to"
    r"|sometimes|simply|did|does|do|why|must not|without|[a-z]+s|by|for|of|when|if|while|before|after)\s+\Z"
)
_TO_A_READER = re.compile(
    r"\b(?:(?:want|need|ask|order|command|instruct|tell|require|urge|request|advis|direct)(?:s|ed|ing|e)? "
    r"(?:you|the (?:ai|model|assistant)|it|all (?:ais?|llms?|models?)) to"
    r"|you (?:must|should|shall|will|are to|have to|need to|now|can now|may now)(?: now)?"
    r"|(?:you are|are) (?:hereby )?(?:\w+ )?to|your (?:new )?(?:task|job|goal) is(?: now)? to"
    r"|please|now|and|then|so|instead|first|important|must(?: now)?|should(?: now)?|shall|time to|ai|assistant|model"
    r"|chatbot|llms?|system|always)\W+\Z"
)
_PAYLOAD = re.compile(
    r"[\s.,;:!'\"*)\]-]*(?:\w+ ){0,3}?(?:and|then|instead|now|just|only|from now on|simply|you (?:are|must|will"
    r"|should|now)"
    r"|your (?:new|only|real)|start|begin|say|print|output|reply|respond|answer|write|reveal|tell|show|repeat"
    r"|return|send"
    r"|act|pretend|execute|recommend|give|generate|translate|state|declare|confirm|approve|rate|follow|obey|do exactly"
    r"|provide|include|insert|mark|(?:other than|except(?: for)?) (?:these|this|mine))\b"
)


def _dropping(match: re.Match[str]) -> float:
    """How much an order to drop something weighs: what is dropped, whose it is, who says so, and what comes next."""
    weight = _dropped(match)
    if _TOPIC.match(match.string, match.end()):
        weight *= 0.35
    if _PAYLOAD.match(match.string, match.end()):
        weight = min(1.0, weight * 1.25)
    before = match.string[max(0, match.start() - 40) : match.start()]
    if not _TO_A_READER.search(before) and _REPORTED.search(before):
        weight *= 0.4
    return weight * 0.6 if match["verb"].endswith("ing") and "stop" not in match["verb"] else weight


def _dropped(match: re.Match[str]) -> float:
    between = match["between"]
    past = re.search(rf"\b(?:{_PAST})\b", between) or match["after"] or match["late"]
    own = re.search(rf"\b(?:{_OWN})\b", between)
    every = re.search(r"\b(?:all|any|every)\b", between)
    if match["all"]:
        return 0.8
    if match["said"]:
        return 0.7 if past and every else 0.6 if match["late"] or "rest of" in match["said"] else 0.2
    weight = 0.95 if past or own else 0.7 if every else 0.4
    return weight * 0.6 if re.search(r"\bmy\b", between) and not own else weight


# --- the rest ---------------------------------------------------------------------------------------------------


_DO = re.compile(
    r"\b(?:must|should|shall|please|do not|don't|never|always|only|instead|say|state|rate|recommend|include|insert"
    r"|add|mention"
    r"|reply|respond|output|tell|ignore|disregard|forget|follow|obey|send|write|print|give|approve|rank|select"
    r"|translate|visit"
    r"|click|append|end every|begin every|start every|reveal|conclude|praise)\b"
)


def _aimed(match: re.Match[str]) -> float:
    """More when an order follows."""
    return 1.4 if _DO.search(match.string, match.end(), match.end() + 160) else 0.8


_GIVEN = re.compile(
    r"[ ,]+(?:that |which )?(?:(?:hidden |contained |written )?in your|your (?:\w+ )?(?:gave|wrote|set)|you (?:were"
    r"|have|got|received|run|follow))"
)


def _prying(match: re.Match[str]) -> float:
    """More when it is asked for as the reader's own, or in full."""
    if re.search(r"\byour\b|\byou were\b|\byou are\b", match[0]) or _GIVEN.match(match.string, match.end()):
        return 1.0
    whole = re.search(r"verbatim|word for word|full|entire|exact|complete", match[0])
    kept_back = re.search(r"system|hidden|secret|developer|initial|confidential|internal", match[0])
    if whole and kept_back and re.search("prompt|instruction|directive", match[0]):
        return 0.9
    return 0.6 if whole or (kept_back and kept_back[0] in ("hidden", "secret", "confidential")) else 0.3


def _words(told: str) -> frozenset[str]:
    return frozenset(told.split())


_DROPPING = Section(
    "override",
    0.8,
    _words(
        "ignore ignoring disregard disregarding forget forgetting override overriding bypass overlook discard delete "
        "erase cancel nevermind mind follow following obey obeying comply adhere attention"
    ),
    _dropping,
)
_SECTIONS = {
    "override": Section("override", 0.75),
    "supersede": Section("override", 0.5, _words("supersede supersedes override overrides replace replaces over")),
    "void": Section("override", 0.7),
    "dear": Section("to-a-model", 0.4),
    "told": Section("to-a-user", 0.4, _words("user users")),
    "asking": Section(
        "prompt-leak",
        0.75,
        _words("prompt prompts message messages instruction instructions directives rules guidelines configuration"),
        _prying,
    ),
    "leak": Section("prompt-leak", 0.72, _words("above before given you your")),
    "role": Section("role-hijack", 0.75, _words("now longer no without free not anything mode jailbroken zero")),
    "mode": Section("role-hijack", 0.35, _words("mode")),
    "markup": Section("role-markup", 0.65, _words("system admin administrator developer root")),
    "tokens": Section("role-markup", 0.5, _words("im sys system inst header")),
    "new": Section("new-orders", 0.5, _words("instruction instructions task directive directives objective orders")),
    "end": Section("end-of-input", 0.25, _words("end stop")),
    "aimed": Section(
        "to-a-model",
        0.5,
        _words(
            "ai ais llm llms model models assistant assistants chatbot chatbots bot bots gpt chatgpt claude gemini "
            "copilot automated"
        ),
        _aimed,
    ),
    "model": Section("to-a-model", 0.7, _words("this these above")),
    "user": Section("to-a-model", 0.55, _words("user this these the positive rate")),
    "exfiltration": Section(
        "exfiltration",
        0.65,
        _words("send forward post upload exfiltrate transmit append leak email encode submit put include"),
    ),
    "encoded": Section("encoded", 0.5, _words("base rot hex")),
}
_ABOUT = re.compile(
    r"prompt[ -]injection|jailbreak(?:s|ing)?\b|\battack(?:s|er|ers)?\b|malicious|adversarial|red[ -]team|owasp"
    r"|vulnerab"
    r"|mitigat|\bdefen[cs]es?\b|sanitiz|exploit|guardrail|phishing|\bdetect(?:s|ed|ion|or)?\b|untrusted|for example"
    r"|\be\.g\.|such as|phrases? like|an example|security (?:training|team|research|test|course|awareness)|\bsaying\b"
    r"|\bsays\b|angriff|sicherheit|beispiel|attaque|exemple|ataque|ejemplo|exemplo|attacco|esempio|攻击|例如|比如|攻撃"
    r"|例えば|атак|например"
)
_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“”", "`": "`", "'": "'", "「": "」", "『": "』", "»": "«"}


def orders(reading: Reading) -> Iterator[Order]:
    """The orders in a text, with what each weighs where it stands."""
    about = -1
    for section, match in _matches(reading):
        if about < 0:
            about = len(set(_ABOUT.findall(reading.text)))
        weight = section.weight * section.factor(match)
        if is_quoted(reading.text, match.start(), match.end()):
            weight *= 0.25 if about else 0.55
        elif about > 1:
            weight *= 0.6
        yield Order(section.rule, min(weight, 0.95), match.start(), match.end())


def _matches(reading: Reading) -> Iterator[tuple[Section, re.Match[str]]]:
    for phrases in phrasebook("orders").spoken_in(reading):
        english = phrases.language == "en"
        if english and not _DROPPING.words.isdisjoint(reading.words):
            yield from ((_DROPPING, match) for match in _DROP.finditer(reading.text))
        for name, section in _SECTIONS.items():
            pattern = phrases[name]
            if pattern is not NEVER and not (english and section.absent_from(reading)):
                yield from ((section, match) for match in pattern.finditer(reading.text))


def is_quoted(text: str, start: int, end: int) -> bool:
    """Whether a place lies between two marks of quotation within its paragraph."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    before, after = text[first:start], text[end : last if last >= 0 else len(text)]
    for mark, ends in _QUOTES.items():
        if mark in before and any(one in after for one in ends):
            if mark in ends:
                opened = len(re.findall(rf"(?<!\w){mark}|{mark}(?!\w)", before)) if mark == "'" else before.count(mark)
                if opened % 2:
                    return True
            elif before.rfind(mark) > max(before.rfind(one) for one in ends):
                return True
    return False
