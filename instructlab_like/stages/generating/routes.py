"""The routes of a run: decided from its recipe and what earlier runs hold, written to 1-routes.jsonl, read again."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.filters import AskFilter, members
from instructlab_like.filters import find as filter_of
from instructlab_like.flows import Flow
from instructlab_like.generation.routing import WROTE, Route, Work, check, decide, place
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Leaf
from instructlab_like.stages.generating.asking import Absent
from instructlab_like.stages.lookup import CALL_KEY, SampleRow, TurnRow, rows_of, verdicts_of
from instructlab_like.workspace import RUNS, Run, find, read_records, run_folder, write_records

NO_ANSWER = re.compile(r"the ([a-z][a-z0-9_-]*): ")  # how a verdict begins on a record that a call ended
NOT_PREFERRED = "not preferred: "  # of two texts the lesser one, which may be good all the same


def decided(
    run: Run, recipe: GenerateRecipe, flows: Sequence[Flow], leaves: Sequence[Leaf], *, asking: bool = True
) -> tuple[Route, ...]:
    """The routes of a run; none where the recipe has no `routes`.

    Without `asking` those stay that the run has been asked by. Raises RecipeError for what is wrong in a route, an
    earlier run that is not there, and a leaf that is left without anybody.
    """
    if not (recipe.routes or recipe.forced_routes):
        return ()
    named = {name for rules in recipe.routes.values() for rule in rules for name in rule.teachers}
    named |= set(recipe.forced_routes.values())
    known = {name: told for name, told in recipe.teachers.items() if told.kind == "http" or name in named}
    identities = {name: Absent(told).identity for name, told in known.items()}
    check(flows, recipe, identities)
    check_branches(recipe, leaves)
    if not asking and (kept := standing(run, recipe, flows, leaves)):
        return kept
    everywhere = {role: recipe.roles.get(role) or recipe.teacher for role in recipe.routes}
    others = {role: Absent(told).identity for role, told in everywhere.items() if told}
    history = {name: works(Run(folder)) for name, folder in earlier(run, recipe)}
    return decide(flows, recipe, leaves, identities, others, history)


def standing(run: Run, recipe: GenerateRecipe, flows: Sequence[Flow], leaves: Sequence[Leaf]) -> tuple[Route, ...]:
    """The routes that the run was asked by, if they are those of all these leaves and of the recipe's teachers."""
    found = {(one.leaf, one.role): one for one in written(run)}
    roles = {*recipe.routes, *recipe.forced_routes}
    wanted = [
        (leaf.path, role)
        for leaf in leaves
        for role in dict.fromkeys(role for flow in flows if flow.takes(leaf) for role in flow.roles)
        if role in roles
    ]
    if any(one not in found or (found[one].teacher or "") not in {"", *recipe.teachers} for one in wanted):
        return ()
    return tuple(found[one] for one in wanted)


def check_branches(recipe: GenerateRecipe, leaves: Sequence[Leaf]) -> None:
    """Raises RecipeError for a rule that names a leaf or a branch that the tree has not."""
    root = find(recipe.taxonomy)
    for role, rules in recipe.routes.items():
        for number, rule in enumerate(rules, start=1):
            for branch in rule.leaves:
                if not (root / branch.strip("/")).is_dir():
                    known = {str(folder) for leaf in leaves for folder in (leaf.path, *Path(leaf.path).parents)}
                    near = difflib.get_close_matches(branch.strip("/"), sorted(known - {"."}), n=1)
                    fix = f"did you mean {near[0]}?" if near else "name the path of a leaf or a branch of it"
                    raise RecipeError(f"{root} has no {branch!r}", where=place(role, number), fix=fix)


def earlier(run: Run, recipe: GenerateRecipe) -> Iterator[tuple[str, Path]]:
    """The earlier runs by which quality is measured, each with its folder."""
    met = set()
    for role, rules in recipe.routes.items():
        for number, rule in enumerate(rules, start=1):
            if rule.quality is None or rule.quality.run in met:
                continue
            name, where = rule.quality.run, place(role, number)
            met.add(name)
            past = run_folder(name) if name.strip() else Run(Path())
            if past.folder.resolve() == run.folder.resolve():
                fix = "name an earlier one: a measurement that changes with the run decides nothing"
                raise RecipeError(f"measures quality in this very run, {name!r}", where=where, fix=fix)
            if not past.samples.is_file() or not past.verdicts.is_file():
                there = sorted(one.parent.name for one in RUNS.glob(f"*/{past.verdicts.name}"))
                near = difflib.get_close_matches(name, there, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"runs with samples: {', '.join(there) or 'none'}"
                what = f"there is no earlier run {name!r} with samples and verdicts"
                raise RecipeError(what, where=where, fix=fix)
            past.need_format()
            yield name, past.folder


# --- what earlier runs hold -----------------------------------------------------------------------------------------


def works(run: Run) -> tuple[Work, ...]:
    """Of each leaf, role and model of a run, how many samples it had a part in, and how many of them the judges kept.

    Judges are the steps of flows and the filters that ask a model; what other filters reject, as duplicates, says
    nothing of who wrote it. An answer that another role was asked for again, by the same template, counts as not kept.
    A record that ended because the role's own answer could not be used counts as not kept, too.
    """
    rejected: set[str] = set()
    lesser: set[str] = set()
    ended: list[tuple[str, str, str]] = []  # sample, leaf and role of records without a usable answer
    for verdict in verdicts_of(run):
        of_flow = "/" in verdict["filter"]
        if verdict["keep"] or not (of_flow or verdict["filter"] in asking()):
            continue
        if of_flow and verdict["reason"].startswith(NOT_PREFERRED):
            lesser.add(verdict["subject"])
            continue
        rejected.add(verdict["subject"])
        found = NO_ANSWER.match(verdict["reason"])
        if of_flow and found and len(verdict["partner"] or "") == CALL_KEY:
            ended.append((verdict["subject"], verdict["leaf"], found[1]))
    return counted((cast("SampleRow", row) for row in rows_of(run.samples)), rejected, lesser, ended)


def counted(
    samples: Iterable[SampleRow], rejected: set[str], lesser: set[str], ended: Sequence[tuple[str, str, str]]
) -> tuple[Work, ...]:
    judged: Counter[tuple[str, str, str, str]] = Counter()
    kept: Counter[tuple[str, str, str, str]] = Counter()
    kinds: dict[str, str] = {}  # by leaf
    lacking = {(sample, role) for sample, _, role in ended}
    for sample in samples:
        lineage = sample["lineage"]
        if lineage["method"] != "teacher" or sample["id"] in lesser:
            continue
        kinds[lineage["leaf"]] = sample["kind"]
        if sample["answer"]:
            place = (lineage["leaf"], sample["kind"], WROTE, lineage["model"])
            judged[place] += 1
            kept[place] += sample["id"] not in rejected
        for role, model in {turn["role"]: turn["model"] for turn in lineage["turns"]}.items():
            place = (lineage["leaf"], sample["kind"], role, model)
            judged[place] += 1
            kept[place] += sample["id"] not in rejected and not again(lineage["turns"], role)
            lacking.discard((sample["id"], role))
    asked: dict[tuple[str, str], set[str]] = {}  # who had a role: of a leaf, and of all
    for leaf, _, role, model in judged:
        asked.setdefault((leaf, role), set()).add(model)
        asked.setdefault(("", role), set()).add(model)
    for sample_id, leaf, role in ended:
        models = asked.get((leaf, role)) or asked.get(("", role), set())
        if (sample_id, role) in lacking and leaf in kinds and len(models) == 1:
            judged[leaf, kinds[leaf], role, next(iter(models))] += 1
    return tuple(Work(*place, kept[place], count) for place, count in sorted(judged.items()))


def again(turns: Sequence[TurnRow], role: str) -> bool:
    """Whether what a role wrote was asked for again of another role, by the same template."""
    last = {turn["template"]: number for number, turn in enumerate(turns) if turn["role"] == role}
    return any(
        turn["role"] != role and number > last.get(turn["template"], len(turns)) for number, turn in enumerate(turns)
    )


@cache
def asking() -> frozenset[str]:
    """The filters that ask a model."""
    return frozenset(name for name in members() if issubclass(filter_of(name), AskFilter))


# --- the file -------------------------------------------------------------------------------------------------------


def write(run: Run, routes: Sequence[Route]) -> None:
    """Write 1-routes.jsonl, or take it away where nothing is routed."""
    if routes:
        write_records(run.routes, routes)
    else:
        run.routes.unlink(missing_ok=True)


def written(run: Run) -> tuple[Route, ...]:
    return tuple(read_records(run.routes, Route)) if run.routes.is_file() else ()


def without(run: Run, leaves: Iterable[str]) -> None:
    """Take leaves out of the file."""
    gone = set(leaves)
    write(run, [one for one in written(run) if one.leaf not in gone])


def changes(run: Run, routes: Sequence[Route]) -> list[str]:
    """What is other than in the run's file, of the leaves and roles that are in both."""
    try:
        before = {(one.leaf, one.role): one.model for one in written(run)}
    except InputError:  # damaged: it is written anew
        return []
    found = [
        f"{one.role} of {one.leaf}: {before[one.leaf, one.role]} → {one.model}"
        for one in routes
        if before.get((one.leaf, one.role), one.model) != one.model
    ]
    return [*found[:3], f"{len(found) - 3} routes more"] if len(found) > 4 else found
