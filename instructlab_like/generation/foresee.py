"""What may follow from a call: the later steps of its flow, how often they ask at most, and how long their prompts are.

A later prompt holds answers that are not there yet. Each later template is therefore rendered once a leaf with a mark
in the place of every text: so it is known how often which text stands in it, and how much else does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from typing import NamedTuple

from instructlab_like.errors import TemplateError
from instructlab_like.flows import AskStep, Flow, PreferStep
from instructlab_like.generation.plan import SHOWN
from instructlab_like.generation.walk import Candidate, Ready, Start, Walk
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Knowledge, Leaf, Sampling

PRIVATE = 0xE000  # the first of the characters that marks are made of: no text has them


class Later(NamedTuple):
    """Calls of a later step that a call leads to."""

    step: int
    calls: int  # at most
    sure: bool  # whether they come if every answer can be used


class Skeleton(NamedTuple):
    """A prompt without its texts."""

    characters: int
    times: Mapping[str, int]  # how often each text stands in it


@dataclass(frozen=True)
class Shape:
    """What the steps of a flow make of each other, at most."""

    flow: Flow
    walk: Walk

    @cached_property
    def asking(self) -> tuple[int, ...]:
        return tuple(number for number, step in enumerate(self.flow.steps) if isinstance(step, AskStep))

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Tokens of an answer, at most, by step."""
        sampling, flow = self.walk.sampling(0), self.flow
        return {number: flow.templates[flow.steps[number].name].sampled(sampling).max_tokens for number in self.asking}

    def groups(self, number: int) -> int:
        step = self.flow.steps[number]
        return self.walk.recipe.pairs_per_prompt if isinstance(step, AskStep) and step.fan_out else 1

    @cached_property
    def later(self) -> dict[int, tuple[Later, ...]]:
        """By the number of an asking step, what one call of it leads to."""
        return {number: tuple(self.after(number)) for number in self.asking}

    def after(self, number: int) -> Iterator[Later]:
        records, sure = self.groups(number), self.is_sure(number)
        for other in range(number + 1, len(self.flow.steps)):
            step = self.flow.steps[other]
            if isinstance(step, AskStep):
                records *= step.draws
                yield Later(other, records, sure and not step.when)
                records *= self.groups(other)
            sure = sure and self.is_sure(other)

    def is_sure(self, number: int) -> bool:
        """Whether as many records leave a step as come to it."""
        step = self.flow.steps[number]
        if step.filters:
            return False
        return not isinstance(step, AskStep) or not (step.keep or step.fan_out or (step.when and step.draws > 1))

    @cached_property
    def producers(self) -> tuple[Mapping[str, int], ...]:
        """For each step, the number of the step before it that last made each text."""
        known: dict[str, int] = {}
        found: list[Mapping[str, int]] = []
        for number, step in enumerate(self.flow.steps):
            found.append(dict(known))
            if isinstance(step, AskStep):
                for tag in self.flow.templates[step.name].yields:
                    name = step.named_as.get(tag, tag)
                    before = known.get(name, number)
                    longer = before in self.lengths and self.share(before) > self.share(number)
                    if not (step.when and longer):  # where the step may be passed by, the longer of both texts counts
                        known[name] = number
            elif isinstance(step, PreferStep):
                known["answer"] = number
            else:
                known |= {"question": number, "answer": number}
        return tuple(found)

    def share(self, number: int) -> float:
        """Tokens of a step's answer, at most, for each record that comes of it."""
        step = self.flow.steps[number]
        if isinstance(step, PreferStep):
            before = self.producers[number]
            return max((self.share(before[name]) for name in step.of if name in before), default=0.0)
        return self.lengths[number] / self.groups(number) if number in self.lengths else 0.0

    def answers_in(self, skeleton: Skeleton, number: int, first: int) -> float:
        """Tokens, at most, in a prompt of a step, of answers that are not there: those of `first` and all after it."""
        times: Counter[int] = Counter()
        for name, producer in self.producers[number].items():
            if producer >= first:
                times[producer] = max(times[producer], skeleton.times.get(name, 0))
        return sum(count * self.share(producer) for producer, count in times.items())

    def skeletons(self, start: Start) -> dict[int, Skeleton]:
        """Of the prompts of each asking step but the first, for the leaf of a start."""
        return {number: self.skeleton(start, number) for number in self.asking if number}

    def skeleton(self, start: Start, number: int) -> Skeleton:
        step = self.flow.steps[number]
        assert isinstance(step, AskStep)
        variables = start.about.variables
        texts = [*(name for name, value in variables.items() if isinstance(value, str)), *self.producers[number]]
        marks = {name: chr(PRIVATE + index) for index, name in enumerate(dict.fromkeys(texts))}
        marked = {name: marks.get(name, value) for name, value in variables.items()}
        fields = {name: marks[name] for name in self.producers[number]}
        told = replace(start, about=replace(start.about, variables=marked))
        ready = Ready(Candidate(told, step=number, fields=fields), step)
        try:
            messages = self.walk.renderer(self.flow, step).render([self.walk.known(ready)])[0]
        except TemplateError:  # it computes with a text; each is taken to stand in it once
            template = self.flow.templates[step.name]
            return Skeleton(sum(map(len, template.sources)), {name: int(name in template.variables) for name in marks})
        whole = "".join(message.content for message in messages)
        times = {name: whole.count(mark) for name, mark in marks.items()}
        return Skeleton(len(whole) - sum(times.values()), times)


def first_prompts(leaf: Leaf, flow: Flow, chunks: int, recipe: GenerateRecipe) -> int:
    """How many prompts a flow begins with for a leaf of so many chunks, those that are alike counted each.

    Those that begin with samples of an earlier run are not known from the leaf.
    """
    if flow.begins_with_samples:
        return 0
    step, most = flow.first, recipe.prompts_per_leaf
    assert isinstance(step, AskStep)
    by_seed = bool(step.each and "seed" in step.each)
    if isinstance(leaf, Knowledge):
        return min(most, min(chunks, max(1, most // step.draws)) * (len(leaf.seeds) if by_seed else 1) * step.draws)
    sampling = flow.templates[step.name].sampled(Sampling(temperature=recipe.temperature))
    choices = comb(len(leaf.seeds), 1 if by_seed else min(SHOWN, len(leaf.seeds)))
    return most if sampling.temperature else min(most, choices)


def most_samples(flow: Flow, recipe: GenerateRecipe) -> int:
    """How many samples come of a first prompt, or of a model-free sample, at most."""
    samples = 1
    for number, step in enumerate(flow.steps):
        if isinstance(step, AskStep):
            samples *= (step.draws if number else 1) * (recipe.pairs_per_prompt if step.fan_out else 1)
    return samples
