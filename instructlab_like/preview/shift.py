"""How a change to the tree shifts the dataset's mix: samples per leaf and branch, before and after, as shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from instructlab_like.errors import TemplateError
from instructlab_like.flows import Flow, RulesStep, load_flows
from instructlab_like.generation.foresee import first_prompts, most_samples
from instructlab_like.generation.plan import simulated
from instructlab_like.generation.unaided import unaided
from instructlab_like.preview.facts import Share, Shift
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Chunk, Leaf, RulesTask, Skill, digest

MOST_CHUNKS = 600  # over which the rules are run to count their pairs; those of more are estimated
MOST_SIMULATIONS = 12  # that are drawn to count what they hold; of more the number that is asked for counts


class Census:
    """Counts the samples that a full run makes of leaves, before any is rejected; what stands in both trees, once."""

    def __init__(self, recipe: GenerateRecipe, flows: Sequence[Flow] | None = None) -> None:
        self.recipe = recipe
        self.flows = load_flows(recipe.flows) if flows is None else flows
        self.chunks_left = MOST_CHUNKS
        self.simulations_left = MOST_SIMULATIONS
        self.pairs = self.characters = 0  # of the chunks over which the rules were run
        self.known: dict[str, int] = {}

    def remember(self, leaf: Leaf, chunks: Sequence[Chunk], flow: Flow, made: int) -> None:
        """Take over what a flow has made of a leaf without a model."""
        self.known[_key(leaf, chunks, flow)] = made

    def count(self, leaf: Leaf, chunks: Sequence[Chunk]) -> int:
        """The samples of a leaf; raises TemplateError for a simulation that cannot be drawn."""
        return sum(self._of(leaf, chunks, flow) for flow in self.flows if flow.takes(leaf))

    @property
    def basis(self) -> str:
        told = ", ".join(f"{flow.name}: {self._way(flow)}" for flow in self.flows)
        if self.chunks_left < 0:
            told += f"; beyond {MOST_CHUNKS} chunks estimated by their length"
        if self.simulations_left < 0:
            told += f"; beyond {MOST_SIMULATIONS} simulations as many as are asked for"
        return f"samples before any is rejected ({told})"

    def _way(self, flow: Flow) -> str:
        most = most_samples(flow, self.recipe)
        if flow.asks:
            return f"planned prompts × {most} samples at most"
        made = "pairs made" if isinstance(flow.first, RulesStep) else "draws made"
        return f"{made} × {most} at most" if most > 1 else made

    def _of(self, leaf: Leaf, chunks: Sequence[Chunk], flow: Flow) -> int:
        most = most_samples(flow, self.recipe)
        if flow.asks:
            return first_prompts(leaf, flow, len(chunks), self.recipe) * most
        key = _key(leaf, chunks, flow)
        if key not in self.known:
            self.known[key] = self._made(leaf, chunks, flow)
        return self.known[key] * most

    def _made(self, leaf: Leaf, chunks: Sequence[Chunk], flow: Flow) -> int:
        if isinstance(flow.first, RulesStep):
            return sum(self._pairs(RulesTask(leaf=leaf.path, leaf_blob=leaf.blob, chunk=chunk)) for chunk in chunks)
        assert isinstance(leaf, Skill)
        task = simulated(leaf, flow.name, self.recipe)
        self.simulations_left -= 1
        return len(unaided(task)) if self.simulations_left >= 0 else task.count

    def _pairs(self, task: RulesTask) -> int:
        self.chunks_left -= 1
        if self.chunks_left < 0 and self.characters:
            return round(self.pairs / self.characters * len(task.chunk.text))
        made = len(unaided(task))
        self.pairs += made
        self.characters += len(task.chunk.text)
        return made


class Side:
    """The leaves of one of the two trees; `chunks` has no entry for a leaf whose documents are not at hand."""

    def __init__(self, leaves: Sequence[Leaf], chunks: Mapping[str, Sequence[Chunk]]) -> None:
        self.leaves = leaves
        self.chunks = chunks


def shift(before: Side, after: Side, census: Census, *, changed: Collection[str]) -> Shift:
    """The mix of both trees side by side; leaves that cannot be counted are named and count as none."""
    uncounted: dict[str, str] = {}
    # First what makes the difference, so that no estimate stands on one side of it only.
    for side in (before, after):
        _counts(Side([leaf for leaf in side.leaves if leaf.path in changed], side.chunks), census, uncounted)
    old = _counts(before, census, uncounted)
    new = _counts(after, census, uncounted)
    names = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return Shift(
        basis=census.basis,
        branches=_shares(sorted({path.partition("/")[0] for path in {*old, *new}}), _branches(old), _branches(new)),
        leaves=_shares(names, old, new),
        uncounted=tuple(f"{path}: {reason}" for path, reason in sorted(uncounted.items())),
    )


def _counts(side: Side, census: Census, uncounted: dict[str, str]) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    for leaf in side.leaves:
        if leaf.kind == "knowledge" and leaf.path not in side.chunks:
            counts[leaf.path] = None
            uncounted[leaf.path] = "its documents are not at hand"
            continue
        try:
            counts[leaf.path] = census.count(leaf, side.chunks.get(leaf.path, ()))
        except TemplateError as error:
            counts[leaf.path] = None
            uncounted[leaf.path] = error.what
    return counts


def _branches(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    """The sums of all leaves below a folder at the top of the tree."""
    sums: Counter[str] = Counter()
    for path, count in counts.items():
        sums[path.partition("/")[0]] += count or 0
    return dict(sums)


def _shares(names: Sequence[str], old: Mapping[str, int | None], new: Mapping[str, int | None]) -> tuple[Share, ...]:
    all_old, all_new = (sum(count or 0 for count in _branches(counts).values()) for counts in (old, new))
    return tuple(
        Share(
            name=name,
            before=old.get(name),
            after=new.get(name),
            share_before=_share(old.get(name), all_old),
            share_after=_share(new.get(name), all_new),
        )
        for name in names
    )


def _share(count: int | None, total: int) -> float | None:
    return round(count / total, 4) if count is not None and total else None


def _key(leaf: Leaf, chunks: Sequence[Chunk], flow: Flow) -> str:
    """What decides how many samples a flow makes of a leaf without a model."""
    if isinstance(flow.first, RulesStep):
        return digest(["rules", [chunk.id for chunk in chunks], [chunk.headings for chunk in chunks]])
    assert isinstance(leaf, Skill)
    return digest(["simulation", leaf.simulation.model_dump(mode="json") if leaf.simulation else None])
