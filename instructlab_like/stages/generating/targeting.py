"""A recipe's target held against its leaves and flows, before anything is asked; and what was reached of it, after."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from instructlab_like.axes import Values
from instructlab_like.errors import InputError, RecipeError, explain
from instructlab_like.filters import Surroundings, expand
from instructlab_like.filters.parts.difficulty import PROXIES, PROXY
from instructlab_like.filters.parts.languages import EAST, NAMES, known, named
from instructlab_like.filters.parts.mixture import Marks, Reading, Wanted, marks_of
from instructlab_like.flows import Flow
from instructlab_like.generation.plan import lack
from instructlab_like.generation.targets import Round
from instructlab_like.recipe import GenerateRecipe, TargetRecipe
from instructlab_like.records import ChoiceParameter, IntegerParameter, Leaf, Sample, Skill
from instructlab_like.report.mix import Mix, mix
from instructlab_like.stages.library import Library
from instructlab_like.workspace import Run, write_whole

ANY = "any"  # a language that is asked for, and not told apart
MOST = 1_000  # whole numbers of a parameter that are listed


def check_target(recipe: GenerateRecipe, flows: Sequence[Flow], leaves: Sequence[Leaf], library: Library) -> None:
    """Raises RecipeError for a value of the target that no leaf, flow or text can have."""
    if recipe.target is None:
        return
    checking = Check(recipe, recipe.target, flows, leaves, library)
    checking.leaf()
    checking.difficulty()
    checking.language()


class Check:
    def __init__(
        self,
        recipe: GenerateRecipe,
        target: TargetRecipe,
        flows: Sequence[Flow],
        leaves: Sequence[Leaf],
        library: Library,
    ) -> None:
        self.recipe, self.target, self.flows, self.leaves, self.library = recipe, target, flows, leaves, library
        self.pairs = [(leaf, flow) for leaf in leaves for flow in flows if flow.takes(leaf)]

    def leaf(self) -> None:
        paths = [*(leaf.path for leaf in self.leaves), *self.recipe.exclude]
        for name, share in self.target.leaf.items():
            inside = [leaf for leaf in self.leaves if leaf.path == name or leaf.path.startswith(f"{name}/")]
            if not inside and not any(path == name or path.startswith(f"{name}/") for path in paths):
                what = "is no leaf or branch of this run"
                raise RecipeError(what, where=f"target.leaf.{name}", fix=nearest(name, branches(paths)))
            if inside and share and not any(leaf is one for leaf, _ in self.pairs for one in inside):
                what = f"nothing can be made of it: {lack(inside[0], self.flows)}"
                raise RecipeError(what, where=f"target.leaf.{name}", fix="choose such a flow, or leave it out")

    def difficulty(self) -> None:
        wanted = [name for name, share in self.target.difficulty.items() if share]
        if not wanted:
            return
        told: set[str] = set()
        for leaf, flow in self.pairs:
            values = self.values(leaf, flow, "difficulty")
            told |= set(PROXIES if values is None else values)
        for name in wanted:
            if name in told or f"{PROXY}{name}" in told:
                continue
            what = "is a difficulty that no chosen flow or simulation has"
            shown = sorted({one.removeprefix(PROXY) for one in told})
            fix = f"{nearest(name, shown)}; an axis `difficulty` of a flow adds others"
            raise RecipeError(what, where=f"target.difficulty.{name}", fix=fix)

    def values(self, leaf: Leaf, flow: Flow, name: str) -> Collection[str] | None:
        """What an axis or a parameter of that name has for a leaf; None where there is no such."""
        if flow.asks:
            axes: Mapping[str, Values] = {**flow.values, **flow.own(leaf, self.beside(leaf, flow))}
            return axes.get(name)
        parameters = leaf.simulation.parameters if isinstance(leaf, Skill) and leaf.simulation else {}
        parameter = parameters.get(name) if flow.takes(leaf) and "knowledge" not in flow.plan.leaves else None
        if isinstance(parameter, ChoiceParameter):
            return [str(value) for value in parameter.of]
        if isinstance(parameter, IntegerParameter):
            return [str(value) for value in range(parameter.low, parameter.high + 1, parameter.step)[:MOST]]
        return None

    def beside(self, leaf: Leaf, flow: Flow) -> Sequence[Leaf]:
        return self.library.beside(leaf) if flow.drawn else ()

    def language(self) -> None:
        wanted = [name for name, share in self.target.language.items() if share]
        for name in self.target.language:
            if name not in known():
                what = f"is no language that is told apart, of {len(known())}"
                own = named(name)
                fix = f"write {own!r}: {NAMES[own]}" if own else nearest(name, sorted(known()))
                raise RecipeError(what, where=f"target.language.{name}", fix=fix)
        judged = any(choice.name == "language" for choice in expand(self.recipe.filters))
        if not wanted or not judged:
            return
        there = {told for leaf, flow in self.pairs for told in self.languages(leaf, flow)}
        for name in wanted if ANY not in there else ():
            if name not in there:
                what = "is the language of no seed example or axis `language`, and the filter 'language' keeps no other"
                fix = f"there are: {', '.join(sorted(there)) or 'none'}; a flow with such an axis can have more"
                raise RecipeError(what, where=f"target.language.{name}", fix=fix)

    def languages(self, leaf: Leaf, flow: Flow) -> Iterator[str]:
        """Those that an axis asks for; else that of the leaf's seed examples together, and of each."""
        if flow.asks and (asked := self.values(leaf, flow, "language")):
            yield from (named(value) or ANY for value in asked)
            return
        reading = Reading(Wanted(self.target), {leaf.path: leaf.seeds})
        each = (Reading(Wanted(self.target), {leaf.path: (seed,)}) for seed in leaf.seeds)
        for one in (reading, *each):
            if told := one.language(leaf.path):
                yield from (told, *EAST.get(told, ()))


def is_wanted(target: TargetRecipe, leaf: str) -> bool:
    """Whether the target leaves room for samples of a leaf."""
    return all(
        dimension.name != "leaf" or dimension.shares[dimension.place(Marks(leaf, 0, "", ""))]
        for dimension in Wanted(target).dimensions
    )


def branches(paths: Iterable[str]) -> list[str]:
    """All paths and the folders above them."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")
        found |= dict.fromkeys("/".join(parts[:end]) for end in range(len(parts), 0, -1))
    return list(found)


def nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known[:12])}"


# --- what was reached -------------------------------------------------------------------------------------------


def reached(
    target: TargetRecipe, around: Surroundings, kept: Iterable[Sample], *, rounds: tuple[Round, ...], ended: str
) -> Mix:
    """How near what was kept comes to the target."""
    reading = Reading(Wanted(target), {path: leaf.seeds for path, leaf in around.leaves.items()})
    cells = Counter(reading.cell(marks_of(sample)) for sample in kept)
    return mix(reading.wanted, cells, rounds=rounds, ended=ended)


def write_mix(run: Run, told: Mix | None) -> None:
    """The table, in 3-target.json; without a target there is no such file."""
    if told is None:
        run.mix.unlink(missing_ok=True)
    else:
        write_whole(run.mix, told.model_dump_json(indent=1).encode() + b"\n")


def read_mix(run: Run) -> Mix | None:
    """What was reached of the run's target; None for a run without one."""
    if not run.mix.is_file():
        return None
    try:
        return Mix.model_validate_json(run.mix.read_bytes())
    except ValidationError as error:
        fix = "ilk generate writes it anew: delete it, and the folder 4-dataset"
        raise InputError("; ".join(explain(error)), where=str(run.mix), fix=fix) from error
