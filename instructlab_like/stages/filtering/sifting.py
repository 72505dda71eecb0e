"""The recipe's filters over all samples of a run, and their verdicts behind those of its flows; nothing is held."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from instructlab_like.console import warn
from instructlab_like.evaluation.items import from_file
from instructlab_like.filters import AskFilter, LeafFacts, Surroundings, expand, find, members
from instructlab_like.filters.sift import Asker, Outcome, passed
from instructlab_like.recipe import FilterChoice, GenerateRecipe, TargetRecipe
from instructlab_like.records import Leaf, Skill, Waterfall, plain
from instructlab_like.stages.library import marked_private
from instructlab_like.stock import Stock
from instructlab_like.workspace import Run, cores, dump, replacing, write_records


def surroundings(root: Path, leaves: Iterable[Leaf], seed: int, target: TargetRecipe | None = None) -> Surroundings:
    """What stands around the samples of leaves of the tree at `root`."""
    leaves = list(leaves)
    private = marked_private(root, leaves)
    return Surroundings(
        held_out=tuple(item for leaf in leaves for item in from_file(leaf)),
        leaves={leaf.path: leaf_facts(leaf, private.get(leaf.path, ())) for leaf in leaves},
        seed=seed,
        target=target,
    )


def leaf_facts(leaf: Leaf, private: tuple[str, ...]) -> LeafFacts:
    simulation = leaf.simulation if isinstance(leaf, Skill) else None
    return LeafFacts(path=leaf.path, seeds=leaf.seeds, simulation=simulation, private=private)


def sifted(
    run: Run,
    samples: Stock,
    recipe: GenerateRecipe,
    around: Surroundings,
    *,
    before: Waterfall,
    ask: Asker | None = None,
) -> Outcome:
    """What all filters kept of samples in id order, and what each did.

    Adds their verdicts to 3-verdicts.jsonl, filter by filter, and writes the samples that were made anew and the whole
    waterfall, of which `before` is what the flows did; until all is done the files are left as they were.
    """
    with ExitStack() as stack:
        whole = stack.enter_context(replacing(run.verdicts))
        flows = stack.enter_context(run.verdicts.open("rb"))
        parts = Parts(recipe.filters, run, stack)
        outcome = passed(
            samples,
            recipe.filters,
            around,
            tell=parts.tell,
            pardons=recipe.pardons,
            ask=ask,
            scratch=run.folder,
            memory=run.remembered,
            processes=cores(),
        )
        for part in (flows, *parts.files):
            part.seek(0)
            shutil.copyfileobj(part, whole)
        if outcome.made_anew:
            write_records(run.replaced, outcome.made_anew)
        else:
            run.replaced.unlink(missing_ok=True)
        with replacing(run.waterfall) as file:
            file.write(dump(plain(together(before, outcome.waterfall))))
    for remark in outcome.remarks:
        warn(f"  {remark}")
    return outcome


class Parts:
    """One file for what each filter says, so that verdicts can be told in any order of filters."""

    def __init__(self, filters: Sequence[FilterChoice], run: Run, stack: ExitStack) -> None:
        count = len(expand(filters)) + 1
        self.files = [stack.enter_context(tempfile.TemporaryFile(dir=run.folder)) for _ in range(count)]  # noqa: SIM115

    def tell(self, place: int, line: bytes) -> None:
        self.files[place].write(line)


def not_checked(filters: Sequence[FilterChoice]) -> str:
    """What no filter of these looks at, in a sentence."""
    chosen = {choice.name for choice in expand(filters)}
    left = [name for name in members() if name not in chosen and issubclass(find(name), AskFilter)]
    if not left:
        return "not checked: nothing that a filter could check"
    return f"not checked, for no judge was asked: {', '.join(left)}"


def together(before: Waterfall, after: Waterfall) -> Waterfall:
    """The flows' judgements and the filters'."""
    return Waterfall(phases=(*before.phases, *after.phases), leaves=after.leaves, rules=(*before.rules, *after.rules))
