"""Leaves and chunks to the starts of walks, in an order that depends on nothing but them; made as they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, count, islice, product
from math import comb

from instructlab_like.axes import Axes, along, answers, classifies
from instructlab_like.errors import RecipeError
from instructlab_like.flows import AskStep, Flow, RulesStep, SimulationStep, kind_of
from instructlab_like.generation.walk import About, Start, Walk, brought, derived_seed
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    AskTask,
    Chunk,
    Knowledge,
    Leaf,
    RulesTask,
    Sample,
    Seed,
    SimulationTask,
    Skill,
    Task,
    digest,
    plain,
)

SHOWN = 3  # seed examples in a skill's prompt, as far as its leaf has them
TOGETHER = 64  # prompts rendered at a time

Chunks = Callable[[Leaf], Sequence[Chunk]]
Beside = Callable[[Leaf], Sequence[Leaf]]
Seen = set[tuple[object, ...]]  # first prompts, each with what tells records of it apart


def alone(_: Leaf) -> Sequence[Leaf]:
    return ()


def starts(leaves: Iterable[Leaf], chunks: Chunks, walk: Walk, beside: Beside = alone) -> Iterator[Start]:
    """Every walk of a run: leaf by leaf, and for each leaf flow by flow as the recipe lists them.

    `chunks` gives a knowledge leaf's, when it is its turn, and `beside` the leaves that share a leaf's branch, for the
    flows that ask for them. A prompt that a leaf's flow has asked before is left out.
    Raises TemplateError for a template that cannot be rendered.
    """
    number = count()
    for leaf in leaves:
        for flow in walk.flows:
            if flow.takes(leaf):
                found = chunks(leaf) if isinstance(leaf, Knowledge) else ()
                own = flow.own(leaf, beside(leaf) if flow.drawn else ())
                for about, task in tasks(leaf, flow, found, walk, flow.axes(walk.recipe.seed, own)):
                    yield Start(next(number), flow, about, task)


def tasks(
    leaf: Leaf,
    flow: Flow,
    chunks: Sequence[Chunk],
    walk: Walk,
    axes: Axes,
    within: Mapping[str, str] | None = None,
    seen: Seen | None = None,
) -> Iterator[tuple[About, Task]]:
    """The starts of a flow for a leaf; those of prompts only `within` some values of its axes, if they are given.

    What is in `seen` is left out, and what is begun is added: several calls for one leaf and flow share it.
    """
    recipe, first = walk.recipe, flow.first
    if isinstance(first, RulesStep):
        for chunk in chunks:
            yield (
                about(leaf, chunk=chunk),
                RulesTask(flow=flow.name, leaf=leaf.path, leaf_blob=leaf.blob, chunk=chunk),
            )
    elif isinstance(first, SimulationStep):
        assert isinstance(leaf, Skill)
        yield about(leaf), simulated(leaf, flow.name, recipe)
    else:
        assert isinstance(first, AskStep)
        yield from asked(leaf, flow, first, chunks, walk, axes, within or {}, set() if seen is None else seen)


def asked(
    leaf: Leaf,
    flow: Flow,
    step: AskStep,
    chunks: Sequence[Chunk],
    walk: Walk,
    axes: Axes,
    within: Mapping[str, str],
    seen: Seen,
) -> Iterator[tuple[About, AskTask]]:
    """The first prompts of a leaf, at most `prompts_per_leaf`."""
    template, recipe = flow.templates[step.name], walk.recipe
    if flow.begins_with_samples:
        each = taking_up(walk.parents.of(leaf, chunks), leaf, chunks, step, recipe, axes)
    elif isinstance(leaf, Knowledge):
        each = reading(leaf, chunks, step, recipe, axes)
    else:
        drawn = bool(template.sampled(walk.sampling(0)).temperature)
        each = practising(leaf, step, axes, drawn=drawn)
    renderer = walk.renderer(flow, step)
    number = recipe.pairs_per_prompt if step.fan_out else 1
    each = (one for one in each if within.items() <= (one[0].cell or {}).items()) if within else each
    each = islice(each, recipe.prompts_per_leaf)
    while together := list(islice(each, TOGETHER)):
        shown = [{**found.variables, "count": number} for found, _ in together]
        given = [one | {variable: one[source] for variable, source in step.given.items()} for one in shown]
        for messages, (found, draw) in zip(renderer.render(given), together, strict=True):
            prompt = walk.prompt(flow, step, found, messages, draw)
            # a later step may show the axes that the first does not
            later = (found.variables[axis] for axis in flow.later_axes)
            place = (found.parent.id if found.parent else "", prompt.key, *later)
            if place not in seen:
                seen.add(place)
                yield (
                    found,
                    AskTask(flow=flow.name, step=step.name, role=step.role, prompt=prompt, chunk=found.chunk),
                )


def reading(
    leaf: Knowledge, chunks: Sequence[Chunk], step: AskStep, recipe: GenerateRecipe, axes: Axes
) -> Iterator[tuple[About, int]]:
    """Each chunk with each cell of the axes and each seed example; every chunk is reached before any is reached twice.

    Where there are more chunks than prompts, they are taken at even distances over the documents.
    """
    limit = max(1, recipe.prompts_per_leaf // step.draws)
    if len(chunks) > limit:
        chunks = [chunks[index * len(chunks) // limit] for index in range(limit)]
    seeds = leaf.seeds
    turns = range(len(seeds)) if step.each and "seed" in step.each else range(1)
    for turn, round_ in product(turns, range(axes.size)):
        for index, chunk in enumerate(chunks):
            found = varied(about(leaf, chunk=chunk, seeds=(seeds[(index + turn) % len(seeds)],)), axes, index + round_)
            for draw in range(step.draws):
                yield found, draw


def practising(leaf: Skill, step: AskStep, axes: Axes, *, drawn: bool) -> Iterator[tuple[About, int]]:
    """A few seed examples at a time, every choice of them in turn with each cell of the axes; a round of all is a draw.

    Without a temperature a second draw would repeat the first, so there is none.
    """
    shown = 1 if step.each and "seed" in step.each else min(SHOWN, len(leaf.seeds))
    choices = comb(len(leaf.seeds), shown)
    for draw in count() if drawn else range(1):
        for round_ in range(axes.size):
            for number, seeds in enumerate(combinations(leaf.seeds, shown), start=round_ * choices):
                yield varied(about(leaf, seeds=seeds), axes, along(number, choices, axes.size)), draw


def taking_up(
    parents: Sequence[Sample], leaf: Leaf, chunks: Sequence[Chunk], step: AskStep, recipe: GenerateRecipe, axes: Axes
) -> Iterator[tuple[About, int]]:
    """Each sample with each cell of the axes, in the order of their ids; all are met before any is met twice."""
    passages = {chunk.id: chunk for chunk in chunks}
    shown = 1 if isinstance(leaf, Knowledge) else min(SHOWN, len(leaf.seeds))
    chosen = spread(parents, max(1, recipe.prompts_per_leaf // step.draws), recipe.seed)
    for round_ in range(axes.size):
        for index, parent in enumerate(chosen):
            # by its id alone, so that its prompts do not depend on which others there are
            first = int(digest(parent.id)[:8], 16)
            seeds = [leaf.seeds[(first + turn) % len(leaf.seeds)] for turn in range(shown)]
            chunk = passages.get(parent.lineage.chunk or "")
            found = varied(about(leaf, chunk=chunk, seeds=seeds, parent=parent), axes, index + round_)
            for draw in range(step.draws):
                yield found, draw


def spread(parents: Sequence[Sample], most: int, seed: int) -> Sequence[Sample]:
    """So many of them: of each passage one in turn, and of a passage one of each seed example that was shown."""
    if len(parents) <= most:
        return parents
    about = [(parent.lineage.chunk, parent.lineage.seed) for parent in parents]
    drawn = sorted(range(len(parents)), key=lambda number: digest([seed, parents[number].id]))
    turns = ranked(drawn, about)
    turns = ranked(sorted(drawn, key=lambda number: turns[number]), [chunk for chunk, _ in about])
    chosen = sorted(drawn, key=lambda number: (turns[number], digest([seed, about[number][0]])))[:most]
    return [parents[number] for number in sorted(chosen)]


def ranked(numbers: Iterable[int], groups: Sequence[Hashable]) -> dict[int, int]:
    """Of each number its place, from 0, among those of its group, as they come."""
    counts: Counter[Hashable] = Counter()
    places: dict[int, int] = {}
    for number in numbers:
        places[number] = counts[groups[number]]
        counts[groups[number]] += 1
    return places


def varied(about: About, axes: Axes, number: int) -> About:
    """The same in one cell of the axes."""
    if not axes.values:
        return about
    cell = axes.cell(number)
    return replace(about, variables={**about.variables, **axes.shown(cell)}, cell=cell)


def about(leaf: Leaf, *, chunk: Chunk | None = None, seeds: Sequence[Seed] = (), parent: Sample | None = None) -> About:
    """What a prompt is about, with the variables that its template sees; `count` comes from the step."""
    variables: dict[str, object] = {"leaf": leaf.path}
    if isinstance(leaf, Knowledge):
        variables |= {"domain": leaf.domain, "outline": leaf.outline}
        if chunk:
            variables |= {"headings": list(chunk.headings), "passage": chunk.text}
        if seeds:
            variables["example"] = plain(seeds[0])
    else:
        shown = [plain(seed) for seed in seeds]
        variables |= {"task": leaf.task, "examples": shown, "answers": list(answers(leaf))}
    if parent:
        variables |= brought(parent)
    return About(
        leaf=leaf.path,
        leaf_blob=leaf.blob,
        kind=kind_of(leaf),
        variables=variables,
        seed=seeds[0].number if seeds else None,
        chunk=chunk,
        parent=parent,
    )


def simulated(leaf: Skill, flow: str, recipe: GenerateRecipe) -> SimulationTask:
    assert leaf.simulation is not None
    return SimulationTask(
        flow=flow,
        leaf=leaf.path,
        leaf_blob=leaf.blob,
        simulation=leaf.simulation,
        count=recipe.samples_per_simulation,
        seed=derived_seed(recipe.seed, leaf.path),
    )


def roles(flows: Iterable[Flow]) -> tuple[str, ...]:
    """The roles that the flows need somebody for, in their order."""
    return tuple(dict.fromkeys(role for flow in flows for role in flow.roles))


def check_roles(flows: Sequence[Flow], recipe: GenerateRecipe, also: Iterable[str] = ()) -> None:
    """Raises RecipeError for a role that nobody has, and for one that no flow knows and that is not among `also`."""
    needed = tuple(dict.fromkeys((*roles(flows), *also)))
    for role in recipe.roles:
        if role not in needed:
            fix = f"roles of the chosen flows and filters: {', '.join(needed) or 'none'}"
            raise RecipeError(f"no chosen flow or filter has a role {role!r}", where=f"roles.{role}", fix=fix)
    for flow in flows:
        named = {*recipe.roles, *recipe.routes, *recipe.forced_routes}
        if missing := [role for role in flow.roles if recipe.teacher is None and role not in named]:
            fix = "name one (--teacher URL --teacher-model NAME), or choose flows that need none (--flow rules)"
            raise RecipeError(f"the flow {flow.name!r} needs a teacher ({', '.join(missing)})", where="flows", fix=fix)


def lack(leaf: Leaf, flows: Sequence[Flow]) -> str:
    """Why the chosen flows make nothing of a leaf."""
    if any(flow.takes(leaf) and flow.begins_with_samples for flow in flows):
        return "no sample of it that an earlier run kept may be used; 1-parents.jsonl says why"
    if isinstance(leaf, Knowledge):
        if any(flow.takes(leaf) for flow in flows):
            return "its documents gave no chunk"
        return "none of the chosen flows takes knowledge leaves"
    if any(axis.source == "answers" for flow in flows for axis in flow.drawn.values()) and not classifies(leaf):
        return "no answer of its seed examples comes twice: they are no classes, which a chosen flow takes them for"
    if leaf.simulation:
        return "its simulation.yaml needs the flow 'simulation', which was not chosen"
    return f"a {kind_of(leaf)} skill without simulation.yaml needs a flow with a teacher"
