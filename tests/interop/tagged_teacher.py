"""A teacher that answers in the tags of whichever template a prompt comes of, with what its flow wants to keep."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable

from instructlab_like.flows import AskStep, Flow, Limits
from instructlab_like.prompts import Template

VARIABLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
WORDS = ("harbour", "lantern", "meadow", "copper", "winter", "garden", "letter", "bridge", "window", "market", "river")


def answering(flows: Iterable[Flow]) -> Callable[[dict], str]:
    """What a server answers to the prompts of these flows; an AssertionError for one that is none of theirs."""
    asked = [(flow, step) for flow in flows for step in flow.steps if isinstance(step, AskStep)]
    steps = [(step, flow.templates[step.name]) for flow, step in asked]

    def answer(request: dict) -> str:
        prompt = request["messages"][-1]["content"]
        found = [one for one in steps if all(part in prompt for part in fixed(one[1]))]
        assert found, prompt
        step, template = max(found, key=lambda one: sum(map(len, fixed(one[1]))))
        groups = 2 if step.fan_out else 1
        chance = int(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:12], 16)
        return "\n".join(group(step, template, number, chance + number) for number in range(1, groups + 1))

    return answer


def fixed(template: Template) -> list[str]:
    """What stands in every prompt of a template."""
    return [part.strip() for source in template.sources for part in VARIABLE.split(source) if part.strip()]


def group(step: AskStep, template: Template, number: int, chance: int) -> str:
    texts = {
        tag: text_of(step, step.named_as.get(tag, tag), chance + place) for place, tag in enumerate(template.yields)
    }
    if template.tags is None:
        return "\n".join([*(f"[{tag.upper()} {number}]\n{text}" for tag, text in texts.items()), f"[END {number}]"])
    pieces = []
    for tag, marks in zip(template.yields, template.tags, strict=True):
        pieces.append("\n".join(filter(None, (marks[0], texts[tag], marks[1]))))
    return "Here you are.\n" * bool(template.tags[0][0]) + "\n\n".join(pieces)


def text_of(step: AskStep, field: str, chance: int) -> str:
    wanted = step.keep.get(field)
    if isinstance(wanted, Limits):
        return f"{wanted.at_least if wanted.at_least is not None else wanted.at_most:g}"
    if isinstance(wanted, tuple):
        return wanted[chance % len(wanted)]
    words = " ".join(WORDS[(chance >> shift) % len(WORDS)] for shift in range(0, 40, 4))
    return f"What is said of the {words} here?" if field == "question" else f"It is said that the {words} stands."
