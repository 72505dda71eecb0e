"""Leaves to dataset: plan, ask, parse, filter, split, mix, write. Only the asking is slow, and the ledger keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say, warn, working
from instructlab_like.dataset.card import CardFacts, FilterFacts
from instructlab_like.dataset.mix import Replay, mix
from instructlab_like.dataset.reading import read, sources
from instructlab_like.dataset.rows import row
from instructlab_like.dataset.split import split
from instructlab_like.dataset.write import write
from instructlab_like.errors import InputError, StoppedError
from instructlab_like.filters import Surroundings, build, expand, judges
from instructlab_like.flows import Flow, load_flows
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.plan import check_roles, lack, starts
from instructlab_like.generation.routing import Route, overview
from instructlab_like.generation.rows import Rows
from instructlab_like.generation.targets import Round
from instructlab_like.generation.walk import Start, Walk
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.records import (
    Leaf,
    LeafCounts,
    PhaseCount,
    Sample,
    Waterfall,
    ngrams,
    normalise,
    plain,
)
from instructlab_like.report import waterfall
from instructlab_like.report.mix import Mix, lines
from instructlab_like.stages import lookup, manifest
from instructlab_like.stages.filtering.judging import Judging
from instructlab_like.stages.filtering.sifting import sifted, surroundings, together
from instructlab_like.stages.generating import routes as routing
from instructlab_like.stages.generating.asking import Asked, Staff
from instructlab_like.stages.generating.harvest import Harvest
from instructlab_like.stages.generating.parents import Earlier
from instructlab_like.stages.generating.preferences import Preferences
from instructlab_like.stages.generating.progress import Outlook, Sized
from instructlab_like.stages.generating.rounds import Rounds
from instructlab_like.stages.generating.targeting import check_target, is_wanted, reached, read_mix, write_mix
from instructlab_like.stages.library import Library, licences, marked_private, read_leaves
from instructlab_like.stages.manifest import Shortfall
from instructlab_like.stages.training.model_card import WEIGHTS
from instructlab_like.stock import Stock, id_bytes
from instructlab_like.taxonomy.origins import head, origins
from instructlab_like.workspace import Run, find, scratch

UNREACHED = "the budget was used up before it had a sample"


def generate(
    run: Run, recipe: GenerateRecipe, *, agreed: bool = False, asking: bool = True, judging: bool = True
) -> None:
    """Bring the run's dataset up to date with the taxonomy and the recipe; nothing is done when it is.

    Without `asking`, what the ledger does not hold stays unanswered by teachers, without `judging` by the filters'
    judges. Leaves that were forgotten stay out.
    Raises InputError for a broken leaf or a changed recipe that was not agreed to, StoppedError when a teacher is gone
    or the budget used up; answers that arrived before are kept and not asked for again.
    """
    manifest.renew(run)
    recipe = with_pardons(run, without_forgotten(run, recipe))
    root = find(recipe.taxonomy)
    flows = load_flows(recipe.flows)
    check_roles(flows, recipe, judges(recipe.filters))
    leaves = read_leaves(root, recipe.leaves, recipe.exclude)
    routes = routing.decided(run, recipe, flows, leaves, asking=asking)
    agree(run, recipe, routes, agreed=agreed)
    if recipe.replay:
        read(find(recipe.replay))  # what is wrong with it shows before anything is paid for
    library = Library(root, recipe, Earlier(recipe, flows, leaves, own=run))
    check_target(recipe, flows, leaves, library)
    if done := manifest.read(run).inputs.get("generate"):
        with working("reading documents"):
            known = inputs(recipe, flows, leaves, library, routes)
        if done == known and run.dataset.is_dir():
            say(f"generate: up to date ({run.dataset})")
            return
    staff = Staff(flows, recipe, asking=asking, routes=routes)
    with Ledger(run.ledger) as ledger:  # from here on the run is ours alone
        manifest.forget(run, "generate")
        for folder in (run.folder, run.dataset, run.dataset / "data", run.index(run.samples).parent):
            for left in scratch(folder):
                left.unlink()
        with Preferences(run.folder) as preferences:
            made = make(run, recipe, staff, leaves, library, preferences, ledger, judging=judging)
            judge = Judging(ledger, recipe, used=run.judged, scratch=run.folder, asking=judging)
            finish(run, recipe, flows, leaves, library, routes, made, judge)
    if made.stopped is not None:
        raise made.stopped


@dataclass
class Made:
    """What came of all walks: files in the run's folder, and these."""

    rejected: set[bytes]  # ids of samples that a step of a flow rejected, in half the room
    counts: Counter[str]  # samples made, by leaf
    lost: Counter[str]  # answers, or parts of them, that could not be used, by leaf
    methods: dict[str, set[str]]  # by which a leaf was worked on
    waterfall: Waterfall  # of the flows' judgements
    preferences: Preferences
    asked: Asked
    stopped: StoppedError | None = None
    rounds: tuple[Round, ...] = ()  # of asking towards a target
    ended: str = ""  # why there was no other round


def make(
    run: Run,
    recipe: GenerateRecipe,
    staff: Staff,
    leaves: Sequence[Leaf],
    library: Library,
    preferences: Preferences,
    ledger: Ledger,
    *,
    judging: bool = True,
) -> Made:
    """Walk every start to its end; writes 1-plan.jsonl, 2-samples.jsonl, and to 3-verdicts.jsonl what flows decided.

    Who is asked for which leaf, where routes choose, is written to 1-routes.jsonl before anything is asked.
    """
    routing.write(run, staff.routes)
    for line in overview(staff.routes):
        say(f"  {line}; {run.routes.name} says why")
    asked = Asked()
    stopped: StoppedError | None = None
    rounds: Rounds | None = None
    with (
        Walk(staff.flows, recipe, staff.identities, staff.seats, parents=library.earlier) as walk,
        Rows(run.plan) as plan,
        Harvest(run, preferences) as harvest,
    ):
        try:
            if recipe.target is None:
                begun = library.earlier.noting(starts(leaves, library.of, walk, library.beside))
                planned = recorded(begun, plan, harvest)
                staff.bring(planned, walk, ledger, harvest.take, asked, Outlook(leaves, walk, library.count))
            else:
                around = surroundings(find(recipe.taxonomy), leaves, recipe.seed, recipe.target)
                rounds = Rounds(run, recipe, around, walk, leaves, library, earlier(run, asking=staff.asking))
                judges_of = partial(Judging, ledger, recipe, scratch=run.folder, asking=judging, calibrating=False)
                rounds.go(partial(bring, staff, walk, ledger, harvest, plan, asked, library), harvest, judges_of)
                stopped = rounds.stopped
        except StoppedError as error:
            if not harvest.whole or error.where != "budget":
                raise
            stopped = error
        asked.spent, asked.capabilities = ledger.spent_by(), staff.capabilities
        plan.settle()
        harvest.settle()
    return Made(
        rejected=harvest.rejected,
        counts=harvest.made,
        lost=harvest.lost,
        methods=harvest.methods,
        waterfall=harvest.waterfall(staff.flows),
        preferences=preferences,
        asked=asked,
        stopped=stopped,
        rounds=tuple(rounds.rounds) if rounds else (),
        ended=rounds.ended if rounds and not stopped else "it was stopped",
    )


def bring(
    staff: Staff,
    walk: Walk,
    ledger: Ledger,
    harvest: Harvest,
    plan: Rows,
    asked: Asked,
    library: Library,
    begun: Iterator[Start],
    size: Sized,
) -> None:
    """Walk the starts of a round to their end."""
    asked.tally.planned = False
    planned = recorded(library.earlier.noting(begun), plan, harvest)
    staff.bring(planned, walk, ledger, harvest.take, asked, size)


def earlier(run: Run, *, asking: bool) -> tuple[Round, ...] | None:
    """The rounds that are gone again where nobody is asked: others would want answers that nobody gives."""
    told = None if asking else read_mix(run)
    return None if told is None else told.rounds


def recorded(planned: Iterator[Start], plan: Rows, harvest: Harvest) -> Iterator[Start]:
    for start in planned:
        plan.add(start.number, [plain(start.task)])
        harvest.methods.setdefault(start.about.leaf, set()).add(start.flow.name)
        yield start


def inputs(
    recipe: GenerateRecipe, flows: Sequence[Flow], leaves: Sequence[Leaf], library: Library, routes: Sequence[Route]
) -> str:
    """The digest of all that decides the dataset's bytes, but for the teachers' answers."""
    library.read(leaves)
    return manifest.inputs_digest(
        {
            "version": __version__,
            "recipe": plain_recipe(recipe),
            "filters": [build(choice).identity() for choice in expand(recipe.filters)],
            "flows": [[flow.blob, {name: found.blob for name, found in flow.templates.items()}] for flow in flows],
            "leaves": [plain(leaf) for leaf in leaves],
            "private": marked_private(find(recipe.taxonomy), leaves),
            "chunks": dict(sorted(library.digests.items())),
        }
        | drawn(flows, leaves, library)
        | library.earlier.digests
        | ({"routes": [[one.leaf, one.role, one.model] for one in routes]} if routes else {}),
        {f"replay {number}": path for number, path in enumerate(sources(find(recipe.replay)) if recipe.replay else ())},
    )


def drawn(flows: Sequence[Flow], leaves: Sequence[Leaf], library: Library) -> dict[str, object]:
    """The values of axes that leaves give, where a flow has such axes: other leaves of the branch speak in them."""
    asking = [flow for flow in flows if flow.drawn]
    own = {leaf.path: [flow.own(leaf, library.beside(leaf)) for flow in asking if flow.takes(leaf)] for leaf in leaves}
    return {"drawn": {path: values for path, values in own.items() if values}} if asking else {}


def finish(
    run: Run,
    recipe: GenerateRecipe,
    flows: Sequence[Flow],
    leaves: Sequence[Leaf],
    library: Library,
    routes: Sequence[Route],
    made: Made,
    judging: Judging,
) -> None:
    """Filter, write the dataset, and remember in run.yaml what it was made of."""
    with Stock(run.samples, without=made.rejected) as stock:
        with working("filtering"):
            around = surroundings(find(recipe.taxonomy), leaves, recipe.seed, recipe.target)
            with judging:
                sifting = sifted(run, stock, recipe, around, before=made.waterfall, ask=judging)
        made.stopped = made.stopped or judging.stopped
        kept, phases = sifting.kept, sifting.waterfall.phases
        counts = count(leaves, made.counts, kept)
        told = licences(find(recipe.taxonomy), leaves)
        trained = write_dataset(run, recipe, library.earlier.beside(kept), phases, counts, leaves, told)
        write_preferences(run, made.preferences, trained)
        mix = mixed(recipe, around, kept, made)
    gaps = list(library.lacking)
    gaps += [
        Shortfall(leaf=leaf.path, reason=unbegun(leaf, flows, recipe, made))
        for leaf in leaves
        if leaf.path not in made.methods and leaf.path not in {gap.leaf for gap in gaps}
    ]
    gaps += [
        Shortfall(leaf=leaf.leaf, reason=barren(leaf, made))
        for leaf in counts
        if not leaf.kept and leaf.leaf not in {gap.leaf for gap in gaps}
    ]
    known = inputs(recipe, flows, leaves, library, routes)
    unanswered = made.asked.tally.failed.total() + judging.failed.total()
    if unanswered or made.stopped:  # so that the next run is not told that all is done
        known = f"{known}, without {unanswered} answers" + (f", {manifest.BUDGET}" if made.stopped else "")
    phases = (*made.waterfall.phases, *phases)
    root = find(recipe.taxonomy)
    lookup.refresh(run)
    write_mix(run, mix)
    manifest.finish(
        run,
        "generate",
        known,
        recipe,
        commit=head(root),
        leaves=tuple(origins(root, leaves)),
        shortfalls=tuple(gaps),
        counts=counts,
        phases=phases,
        spent=judging.spent,
        capabilities=manifest.read(run).capabilities | made.asked.capabilities | judging.capabilities,
    )
    library.earlier.record(run)
    for remark in judging.remarks:
        say(f"  {remark}")
    show(run, made, together(made.waterfall, sifting.waterfall), counts, gaps)
    if mix is not None:
        show_mix(mix)
    if recipe.hold_out:
        say(f"  {held_out(library)}")
    if lost := judging.failed.total():
        warn(f"  {lost} calls of judges got no answer; the same command asks them again")


def mixed(recipe: GenerateRecipe, around: Surroundings, kept: Iterable[Sample], made: Made) -> Mix | None:
    """What was reached of the recipe's target."""
    if recipe.target is None:
        return None
    return reached(recipe.target, around, kept, rounds=made.rounds, ended=made.ended)


def unbegun(leaf: Leaf, flows: Sequence[Flow], recipe: GenerateRecipe, made: Made) -> str:
    """Why nothing was begun for a leaf."""
    taken = any(flow.takes(leaf) for flow in flows)
    if taken and made.stopped is not None:
        return UNREACHED
    if recipe.target is None or not taken:
        return lack(leaf, flows)
    if not is_wanted(recipe.target, leaf.path):
        return "the target wants none of it"
    return f"nothing was asked for it: {made.ended}"


def show_mix(told: Mix) -> None:
    """The table of the target; a target that is missed is no failure, but is said as one."""
    *table, verdict = lines(told)
    for line in table:
        say(f"  {line}")
    if told.reached:
        say(f"  {verdict}")
    else:
        warn(f"  {verdict}")


def held_out(library: Library) -> str:
    """How many chunks no prompt and no training sees, and which leaves have none of them."""
    held = library.withheld
    told = f"held out for questions: {sum(held.values())} of {sum(held.values()) + sum(library.counts.values())} chunks"
    without = [path for path, count in held.items() if not count]
    return f"{told}; none of {', '.join(without)}" if without else told


def write_preferences(run: Run, preferences: Preferences, trained: Iterable[Sample]) -> None:
    """Pairs of a better and a worse answer whose better one is trained: a test question must not be met here."""
    ids = {id_bytes(sample.id) for sample in trained} if preferences else set()
    preferences.write(run.preferences, ids)


def without_forgotten(run: Run, recipe: GenerateRecipe) -> GenerateRecipe:
    """The recipe with the leaves left out that the run has forgotten."""
    before = manifest.read(run).generate
    forgotten = [leaf for leaf in (before.exclude if before else ()) if leaf not in recipe.exclude]
    return recipe.model_copy(update={"exclude": (*recipe.exclude, *forgotten)}) if forgotten else recipe


def with_pardons(run: Run, recipe: GenerateRecipe) -> GenerateRecipe:
    """The recipe with the pardons that `ilk sift` gave in this run."""
    before = manifest.read(run).generate
    given = [pardon for pardon in (before.pardons if before else ()) if pardon not in recipe.pardons]
    return recipe.model_copy(update={"pardons": (*recipe.pardons, *given)}) if given else recipe


def agree(run: Run, recipe: GenerateRecipe, routes: Sequence[Route], *, agreed: bool) -> None:
    """Refuse to redo a finished run under another recipe, or with another teacher for a leaf, unless the user said so.

    How fast, by which address or up to what cost a teacher is asked changes nothing that is there.
    """
    before = manifest.read(run).generate
    if before is None:
        return
    same = (plain_recipe(before), before.flows) == (plain_recipe(recipe), recipe.flows)
    changes = [] if same else manifest.changes(before, recipe)
    changes += routing.changes(run, routes)
    if not changes:
        return
    if not agreed:
        raise InputError(
            "this run was made with another recipe: " + "; ".join(changes),
            where=str(run.manifest),
            fix="--yes (make: YES=1) plans, filters and writes the dataset anew, keeping every answer already in the "
            "ledger; --run NAME (make: RUN=NAME) leaves this run as it is",
        )
    say("generate: the recipe changed: " + "; ".join(changes))


def plain_recipe(recipe: GenerateRecipe) -> dict[str, object]:
    """The options that decide the dataset's bytes: not how fast or by which address the teacher is asked."""
    told = recipe.model_dump(mode="json", exclude={"budget", "flows"})
    told["teacher"] = recipe.teacher and answering(recipe.teacher)
    told["roles"] = {role: answering(one) for role, one in sorted(recipe.roles.items())}
    told["teachers"] = {name: answering(one) for name, one in sorted(recipe.teachers.items())}
    for name in ("target", "teachers", "routes", "forced_routes", "parents", "carry"):
        if not told[name]:
            del told[name]
    if not recipe.parents:
        del told["max_depth"]
    if not recipe.carry:
        del told["carry_share"]
    return told


def answering(teacher: TeacherRecipe) -> dict[str, object]:
    """What of a teacher decides its answers; of an adapter its bytes, for every training writes to the same place."""
    told: dict[str, object] = {"kind": teacher.kind, "model": teacher.model}
    return told | ({"adapter": manifest.file_digest(find(teacher.adapter) / WEIGHTS)} if teacher.adapter else {})


def count(leaves: Sequence[Leaf], made: Counter[str], kept: Iterable[Sample]) -> tuple[LeafCounts, ...]:
    all_kept = Counter(sample.lineage.leaf for sample in kept)
    return tuple(LeafCounts(leaf=leaf.path, made=made[leaf.path], kept=all_kept[leaf.path]) for leaf in leaves)


def barren(leaf: LeafCounts, made: Made) -> str:
    if leaf.made:
        return f"all {leaf.made} samples were rejected; 3-verdicts.jsonl says why"
    if made.lost[leaf.leaf]:
        return f"none of the teacher's {made.lost[leaf.leaf]} answers could be used; 3-verdicts.jsonl says why"
    if made.stopped is not None:
        return UNREACHED
    flows = sorted(made.methods.get(leaf.leaf, {"nothing"}))
    return f"{' and '.join(flows)} found nothing to ask in it"


def write_dataset(
    run: Run,
    recipe: GenerateRecipe,
    kept: Sequence[Sample],
    phases: Sequence[PhaseCount],
    counts: Sequence[LeafCounts],
    leaves: Sequence[Leaf],
    licences: tuple[str, ...],
) -> Sequence[Sample]:
    """Write the dataset's folder; returns the samples that are trained."""
    train, test = split(kept, share=recipe.test_share, seed=recipe.seed, scratch=run.folder)
    replay = unseen(replayed(find(recipe.replay)), leaves) if recipe.replay else []
    rows = mix(
        train,
        replay,
        share=recipe.replay_share if replay else 0.0,
        knowledge_share=recipe.knowledge_share,
        seed=recipe.seed,
    )
    filters = [build(choice) for choice in expand(recipe.filters)]
    facts = CardFacts(
        leaves=tuple(counts),
        filters=tuple(
            FilterFacts(
                name=phase.filter,
                version=chosen.version,
                options=chosen.model_dump(mode="json"),
                made=phase.made,
                kept=phase.kept,
                rejected=phase.rejected,
            )
            for chosen, phase in zip(filters, phases, strict=True)
        ),
        test_share=recipe.test_share,
        replay_share=recipe.replay_share if replay else 0.0,
        seed=recipe.seed,
        licenses=licences,
    )
    write(run.dataset, rows, map(row, test), facts)
    return train


def replayed(path: Path) -> list[Replay]:
    """The conversations of the replay file, or of all that it refers to."""
    found = read(path)
    for note in found.notes:
        warn(f"  replay: {note}")
    return [Replay(messages=told.messages) for told in found.conversations]


def unseen(replay: Iterable[Replay], leaves: Sequence[Leaf]) -> list[Replay]:
    """The replay rows that ask nothing in the words of a held-out question: neither all of it nor eight in a row."""
    held = [held.question for leaf in leaves for held in leaf.held_out]
    whole = {normalise(question) for question in held}
    eights = {gram for question in held for gram in ngrams(question) if len(gram) == 8}
    rows = list(replay)
    kept = [
        row
        for row in rows
        if not any(
            normalise(message.content) in whole or eights & ngrams(message.content)
            for message in row.messages
            if message.role == "user"
        )
    ]
    if len(kept) < len(rows):
        say(f"  replay: {len(rows) - len(kept)} of {len(rows)} rows left out, they share words with held-out questions")
    return kept


def show(
    run: Run,
    made: Made,
    told: Waterfall,
    counts: Sequence[LeafCounts],
    gaps: Sequence[Shortfall],
) -> None:
    for line in waterfall.lines(told, leaves=0):
        say(f"  {line}")
    width = max(len(leaf.leaf) for leaf in counts)
    for leaf in counts:
        say(f"  {leaf.leaf:<{width}}  made {leaf.made:>5}  kept {leaf.kept:>5}")
    for gap in gaps:
        warn(f"  {gap.leaf}: no samples: {gap.reason}")
    if lost := made.lost.total():
        warn(f"  {lost} answers could not be used, whole or in part; 3-verdicts.jsonl says why")
    for line in made.asked.told():
        say(f"  {line}")
    if failed := made.asked.tally.failed:
        reasons = ", ".join(f"{kind} {number}" for kind, number in sorted(failed.items()))
        warn(f"  {failed.total()} calls got no answer ({reasons}); the same command asks them again")
    kept = sum(leaf.kept for leaf in counts)
    say(f"generate: {kept} of {made.counts.total()} samples kept → {run.dataset}")
