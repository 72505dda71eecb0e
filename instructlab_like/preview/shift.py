"""How a change to the tree shifts the dataset's mix: samples per leaf and branch, before and after, as shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from instructlab_like.errors import TemplateError
from instructlab_like.generation.plan import plan
from instructlab_like.generation.unaided import unaided
from instructlab_like.preview.facts import Share, Shift
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Chunk, Leaf, RulesTask, SimulationTask, digest

UNNAMED = "unnamed"  # the identity of a teacher that is planned for and not asked
MOST_CHUNKS = 600  # over which the rules are run to count their pairs; those of more are estimated
MOST_SIMULATIONS = 12  # that are drawn to count what they hold; of more the number that is asked for counts


class Census:
    """Counts the samples that a full run makes of leaves, before its filters; what stands in both trees, once."""

    def __init__(self, recipe: GenerateRecipe) -> None:
        self.recipe = recipe
        self.chunks_left = MOST_CHUNKS
        self.simulations_left = MOST_SIMULATIONS
        self.pairs = self.characters = 0  # of the chunks over which the rules were run
        self.known: dict[str, int] = {}

    def remember(self, leaf: Leaf, chunks: Sequence[Chunk], made: int) -> None:
        """Take over what the model-free methods have made of a leaf."""
        self.known[_key(leaf, chunks)] = made

    def count(self, leaf: Leaf, chunks: Sequence[Chunk]) -> int:
        """The samples of a leaf; raises TemplateError for a simulation that cannot be drawn."""
        teacher = UNNAMED if "teacher" in self.recipe.methods else None
        tasks = plan([leaf], {leaf.path: chunks}, self.recipe, teacher=teacher)
        asked = sum(isinstance(task, AskTask) for task in tasks) * self.recipe.pairs_per_prompt
        key = _key(leaf, chunks)
        if key not in self.known:
            self.known[key] = sum(self._made(task) for task in tasks if not isinstance(task, AskTask))
        return asked + self.known[key]

    @property
    def basis(self) -> str:
        ways = {
            "teacher": f"planned prompts × {self.recipe.pairs_per_prompt} pairs asked for",
            "rules": "pairs made",
            "simulation": "draws made",
        }
        told = ", ".join(f"{method}: {ways[method]}" for method in dict.fromkeys(self.recipe.methods))
        if self.chunks_left < 0:
            told += f"; beyond {MOST_CHUNKS} chunks estimated by their length"
        if self.simulations_left < 0:
            told += f"; beyond {MOST_SIMULATIONS} simulations as many as are asked for"
        return f"samples before any filter ({told})"

    def _made(self, task: RulesTask | SimulationTask) -> int:
        if isinstance(task, RulesTask):
            return self._pairs(task)
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


def _key(leaf: Leaf, chunks: Sequence[Chunk]) -> str:
    """What decides the model-free samples of a leaf."""
    simulation = leaf.simulation.model_dump(mode="json") if leaf.kind == "skill" and leaf.simulation else None
    return digest([leaf.kind, simulation, [chunk.id for chunk in chunks], [c.headings for c in chunks]])
