"""Flows walked call by call against the test teacher, without server, engine or ledger: the least that shows how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from teacher_answers import answered

from instructlab_like.flows import load_flow
from instructlab_like.generation.plan import starts
from instructlab_like.generation.walk import (
    NO_PARENTS,
    Call,
    Finished,
    Lost,
    Outcome,
    Parents,
    Preferred,
    Ready,
    Walk,
)
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Chunk, Completion, Knowledge, Leaf, Prompt, Sample
from instructlab_like.taxonomy.chunks import cut
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.teachers.chat import body
from instructlab_like.workspace import cache_dir

MODEL = "test-teacher"
Answer = Callable[[dict], str]


@dataclass
class Walked:
    """All that a walk came to. `calls` are by step; a prompt that was asked before is answered from memory."""

    calls: dict[str, list[Prompt]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    finished: list[Finished] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    preferred: list[Preferred] = field(default_factory=list)

    @property
    def kept(self) -> list[Sample]:
        return [one.sample for one in self.finished if one.kept]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Of each rejected record: what rejected it, and why, without the judge's own words."""
        return [
            (verdict.filter, verdict.reason.partition("; because")[0])
            for one in self.finished
            for verdict in one.verdicts
            if not verdict.keep
        ]


@dataclass(frozen=True)
class Kept:
    """Samples that flows begin with."""

    samples: Sequence[Sample]

    def of(self, leaf: Leaf, _: Sequence[Chunk], /) -> Sequence[Sample]:
        return sorted((one for one in self.samples if one.lineage.leaf == leaf.path), key=lambda one: one.id)

    def count(self, leaf: Leaf, /) -> int:
        return len(self.of(leaf, ()))


def walked(
    flow: str, leaves: Iterable[Leaf], recipe: GenerateRecipe, *, root: Path, answer: Answer = answered
) -> Walked:
    """Walk a flow over leaves of the tree at `root`; what it takes up is what the simple flow of its kind made."""
    loaded, leaves = load_flow(flow), list(leaves)
    parents: Parents = NO_PARENTS
    if loaded.begins_with_samples:
        simple = walked(f"{loaded.plan.leaves[0]}-simple", leaves, recipe, root=root, answer=answer)
        parents = Kept(simple.kept)
    came = Walked({step.name: [] for step in loaded.steps})
    with Walk([loaded], recipe, dict.fromkeys(loaded.roles, f"http:{MODEL}"), parents=parents) as walk:
        outcomes: list[Outcome] = []
        for start in starts(leaves, lambda leaf: chunks(leaf, root, recipe), walk):
            outcomes += walk.begin(start)
        while outcomes:
            outcomes = onward(walk, outcomes, came, answer)
    return came


def onward(walk: Walk, outcomes: Sequence[Outcome], came: Walked, answer: Answer) -> list[Outcome]:
    """Enter what has ended, ask what is to be asked, and return what follows from the answers."""
    asked: list[Call] = []
    for outcome in outcomes:
        match outcome:
            case Call():
                asked.append(outcome)
            case Finished():
                came.finished.append(outcome)
            case Lost():
                came.lost.append(outcome)
            case Preferred():
                came.preferred.append(outcome)
    asked += walk.calls([outcome for outcome in outcomes if isinstance(outcome, Ready)])
    following: list[Outcome] = []
    for call in asked:
        came.calls[call.step.name].append(call.prompt)
        if call.prompt.key not in came.answers:
            came.answers[call.prompt.key] = answer(body(call.prompt, MODEL))
        text = came.answers[call.prompt.key]
        following += walk.received(call, Completion(key=call.prompt.key, text=text, finish_reason="stop"))
    return following


def chunks(leaf: Leaf, root: Path, recipe: GenerateRecipe) -> list[Chunk]:
    if not isinstance(leaf, Knowledge):
        return []
    documents = fetch(leaf, root, mirrors=recipe.mirrors, hosts=(), cache=cache_dir())
    return [chunk for document in documents for chunk in cut(document, words=recipe.chunk_words)]
