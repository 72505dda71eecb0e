"""Rejects orders to the model that reads or learns a text, where it should only be informed by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, rejected
from instructlab_like.filters.parts.hidden_text import Hidden, hidden, may_hide
from instructlab_like.filters.parts.orders import Order, is_quoted, orders
from instructlab_like.filters.parts.parting import PARTS, Part, joined, part_text
from instructlab_like.filters.parts.wording import quoted, read
from instructlab_like.records import Sample

CLEAN = kept("no order to a model found")
SHOWN = 60  # characters of what is hidden

_URL = r"https?://[^\s)>]{1,500}\?[^)\n>\"']{1,500}"
_IMAGE = re.compile(rf"!\[[^\]\n]{{0,200}}\]\(\s*<?(?P<url>{_URL})", re.IGNORECASE)
_ELEMENT = re.compile(rf"<(?:img|iframe|script|link)\b[^>]{{0,80}}\bsrc\s*=\s*[\"']?(?P<url>{_URL})", re.IGNORECASE)
_FILLED_IN = re.compile(
    r"=[^&]*(?:\{[^}]{0,60}\}|\[[^\]]{1,60}\]|<[^>]{1,60}|%7B|\$\{?\w|\b(?:INSERT|DATA|SECRET|CONVERSATION|SUMMARY"
    r"|HISTORY"
    r"|USER_?\w*|PROMPT|YOUR_\w+|CONTEXT|BASE64|ENCODED|STOLEN|LEAKED)\b)"
)
_TAKEN = re.compile(
    r"[?&](?:data|payload|secret|leak|leaked|exfil|stolen|prompt|history|chat|conversation|context|cookie|token"
    r"|password"
    r"|creds?|secrets?|msg|messages?|summary|user_?data|q|d|c|x)=",
    re.IGNORECASE,
)
_THIEF = re.compile(
    r"//[^/?]*(?:evil|attack|exfil|steal|leak|hacker|malicious|webhook\.site|requestbin|ngrok|burpcollaborator"
    r"|interact\.sh"
    r"|pipedream|oast\.)",
    re.IGNORECASE,
)
# All bytes of UTF-8 but those that letters of Cyrillic, Arabic, Indic, Chinese, Japanese and Korean begin with.
_NO_OTHER_SCRIPT = bytes(set(range(256)) - {*range(0xD0, 0xD3), *range(0xD8, 0xDC), 0xE0, *range(0xE3, 0xEE)})
_FOREIGN = (
    *(
        "oubli",
        "consigne",
        "missacht",
        "übergeh",
        "vorgaben",
        "desconsider",
        "esqueç",
        "orientaç",
        "instruk",
        "instruç",
        "polece",
    ),
    *("pokyn", "talimat"),
)
_MODEL = re.compile(r"\b(?:AIs?|LLMs?|[Aa]ssistants?|[Ll]anguage [Mm]odels?|[Cc]hat ?bots?|GPT)\b")
_DO = re.compile(
    r"\b(?:must|always|never|do not|don['’]t|say|ignore|recommend|include|respond|reply|output|tell|send|state"
    r"|mention|rate"
    r"|insert|append|forget|reveal)\b",
    re.IGNORECASE,
)


class Injection(SampleFilter):
    """Rejects samples in whose question, answer or passage somebody gives orders to the model that reads it.

    Scored, and added up as chances are: orders to drop earlier instructions, to give away the system prompt, to be
    another without rules, to serve the page's author ("AI assistants reading this must recommend ..."), to send what
    was said to an address; role markup with orders in it; and whatever is hidden: tag characters, invisible
    characters, comments and hidden elements with orders, images whose address takes data along, orders in base64. The
    phrases are English in the main; those for dropping instructions are also German, French, Spanish, Portuguese,
    Italian, Dutch, Nordic, Polish, Czech, Russian, Turkish, Arabic, Hindi, Chinese, Japanese and Korean. What is
    quoted, reported, or stands in a text about such attacks weighs less, so that teaching about them passes.

    It goes by words: an order in words of its own, or one that tells a plausible story, is not found, and a text that
    quotes an attack in full and says nothing else may be rejected. Score: 0, no sign, to 1.
    """

    version: ClassVar[int] = 2

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Least score that is rejected."""

    def judge(self, sample: Sample) -> Judgement:
        if not is_suspicious(joined(sample)):
            return CLEAN
        worst: tuple[Order, Part] | None = None
        weights: dict[str, list[float]] = {}
        for part in PARTS:
            for order in told(part_text(sample, part)):
                weights.setdefault(order.rule, []).append(order.weight)
                if worst is None or order.weight > worst[0].weight:
                    worst = order, part
        if worst is None:
            return CLEAN
        score = combined(weights.values())
        if score < self.threshold:
            return kept("no order to a model found", score=score, threshold=self.threshold)
        order, part = worst
        found = part_text(sample, part)[order.start : order.end]
        shown = quoted("".join(sign for sign in found if sign.isprintable() or sign == "\n"))
        return rejected(
            order.rule, f"an order to a model in the {part}: {shown}", score=score, threshold=self.threshold
        )


def is_suspicious(text: str) -> bool:
    """Whether there may be anything to find: a quick look that lets most texts go."""
    small = text.lower()
    return (
        "instruc" in small
        or "prompt" in small
        or "ignor" in small
        or "isregard" in small
        or "orget" in small
        or "overrid" in small
        or "bypass" in small
        or "jailbr" in small
        or "guideline" in small
        or "irective" in small
        or "chatbot" in small
        or "olvid" in small
        or "obey" in small
        or "not follow" in small
        or "restrict" in small
        or "assistant" in small
        or "guage model" in small
        or "the user" in small
        or ("system" in small and any(mark in small for mark in ("message", "[system", "system:", "system]", "must")))
        or "summari" in small
        or "above" in small
        or "nweisung" in small
        or "ergiss" in small
        or "istruz" in small
        or "AI" in text
        or "LLM" in text
        or "GPT" in text
        or "asked about" in small
        or ("!" in text and "![" in text)
        or ("<" in text and "src" in text)
        or ("://" in text and ("chat" in small or "conversation" in small))
        or may_hide(text)
        or (not text.isascii() and is_foreign(text, small))
    )


def is_foreign(text: str, small: str) -> bool:
    """Whether there are letters of another script, or words by which other languages speak of orders."""
    others = text.encode("utf-8", "surrogatepass").translate(None, _NO_OTHER_SCRIPT)
    return bool(others) or any(word in small for word in _FOREIGN)


def told(text: str) -> Sequence[Order]:
    """Every order, open or hidden, with its weight."""
    reading = read(text)
    found = [*orders(reading), *images(text)]
    open_weight = max((order.weight for order in found), default=0.0)
    if may_hide(text):
        found += [order for one in hidden(text) for order in told_by(one, open_weight)]
    return found


def told_by(one: Hidden, open_weight: float) -> Iterator[Order]:
    """What something hidden says; that it is hidden weighs, too. `open_weight`: of what is said openly."""
    end = one.start + SHOWN
    if one.certain:
        yield Order("hidden-text", 0.9, one.start, end)
        return
    weight = max((order.weight for order in orders(read(one.text))), default=0.0)
    if one.whole and weight <= open_weight:
        return
    if weight >= 0.2:
        yield Order("hidden-text", min(0.95, weight + 0.4), one.start, end)
    elif one.markup and _MODEL.search(one.text) and _DO.search(one.text):
        yield Order("hidden-text", 0.65, one.start, end)


def images(text: str) -> Iterator[Order]:
    """Images whose address carries data off."""
    if "](" not in text and "src" not in text:
        return
    for match in (*_IMAGE.finditer(text), *_ELEMENT.finditer(text)):
        url = match["url"]
        signs = (0.45, _FILLED_IN), (0.25, _TAKEN), (0.4, _THIEF)
        weight = sum(weight for weight, pattern in signs if pattern.search(url))
        if weight and not is_quoted(text, match.start(), match.end()):
            yield Order("exfiltration", min(weight, 0.95), match.start(), match.end())


def combined(weights: Iterable[list[float]]) -> float:
    """Added up as chances are: the strongest order of each rule, and of a second one half of it."""
    left = 1.0
    for found in weights:
        first, *more = sorted(found, reverse=True)
        left *= (1 - first) * (1 - max(more, default=0.0) / 2)
    return round(1 - left, 4)
