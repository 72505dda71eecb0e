"""A Markdown list under a sentence that ends in a colon: "The parts of the pump are:" and its items."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructlab_like.generation.rules.asking import Fact, opened
from instructlab_like.generation.rules.subjects import Topic
from instructlab_like.generation.sentences import Block, Text

ITEM_WORDS = 6
MOST_ITEMS = 7
PARTS_OF = re.compile(r"(?:The|the) ((?:[\w-]+ ){1,4}of [\w' -]+?) (?:are|include)(?: the following)?:")
HAS = re.compile(r"([\w' -]+?) (?:has|contains|includes) (?:the following|these|\w+) ([a-z-]+(?: [a-z-]+)?s):")
CONSISTS = re.compile(r"([\w' -]+?) (?:consists|is made up|is composed) of(?: the following| these)?(?: [\w-]+)?:")


def listed(lead: Text, following: list[Block], topic: Topic) -> Iterator[Fact]:
    """What the lead-in asks for, answered by the items of the list right below it."""
    items: list[Text] = []
    for block in following:
        if block.kind != "item":
            break
        items.append(block.text.strip(" .;,"))
    plain = [item.plain for item in items]
    if not 2 <= len(items) <= MOST_ITEMS or any(len(text.split()) > ITEM_WORDS or not text for text in plain):
        return
    asked = _asked(lead.plain, topic)
    if asked:
        yield Fact(_joined(items), asked)


def _asked(lead: str, topic: Topic) -> tuple[str, ...]:
    if match := PARTS_OF.fullmatch(lead):
        return _what_are(f"the {match.group(1)}")
    if match := HAS.fullmatch(lead):
        subject = topic.decapitalise(match.group(1))
        return _what_are(f"the {match.group(2)} of {subject}")
    if match := CONSISTS.fullmatch(lead):
        subject = topic.decapitalise(match.group(1))
        return (
            f"What does {subject} consist of?",
            f"Of what does {subject} consist?",
            *_what_are(f"the parts of {subject}"),
        )
    return ()


def _what_are(things: str) -> tuple[str, ...]:
    return (f"What are {things}?", f"List {things}.", f"Name {things}.", opened(f"what {things} are", len(things)))


def _joined(items: list[Text]) -> Text:
    """The items as one text, "a, b, c": only words of the source, so that they are found again in it."""
    plain, spans = items[0].plain, list(items[0].spans)
    for item in items[1:]:
        gap = (spans[-1][1], spans[-1][1])
        plain += ", " + item.plain
        spans += [gap, gap, *item.spans]
    return Text(plain, tuple(spans))
