"""A trial run for a preview: all that is made without a model, a handful of walks with a teacher, filtered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from instructlab_like.errors import StoppedError, TemplateError
from instructlab_like.filters.sift import sift
from instructlab_like.flows import Flow, SimulationStep, load_flows
from instructlab_like.generation.engine import End
from instructlab_like.generation.figures import Figure
from instructlab_like.generation.foresee import most_samples
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.plan import lack, starts
from instructlab_like.generation.purse import Price
from instructlab_like.generation.quote import Cost, Costing
from instructlab_like.generation.reckon import Paybook, Reckoner, nothing_paid
from instructlab_like.generation.routing import overview
from instructlab_like.generation.walk import Finished, Lost, Start, Walk
from instructlab_like.preview import handful
from instructlab_like.preview.facts import Change, LeafPreview, Overlap, Settings
from instructlab_like.preview.overlap import Passages, Shelves
from instructlab_like.preview.shift import Census
from instructlab_like.preview.survey import Survey
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Chunk, Leaf, Sample, Verdict, Waterfall
from instructlab_like.stages.filtering.sifting import surroundings
from instructlab_like.stages.generating.asking import Asked, Staff, priced
from instructlab_like.stages.generating.routes import decided
from instructlab_like.taxonomy.branches import Branches
from instructlab_like.workspace import Run

USUAL = ("knowledge", "freeform", "grounded")  # what a teacher would be asked, where the recipe's flows ask nobody
_NO_DOCUMENTS = Figure.unknown("its documents cannot be had")


@dataclass(frozen=True)
class Documents:
    chunks: Mapping[str, list[Chunk]]  # of the leaves whose documents are at hand
    lacking: Mapping[str, str]  # why others are not


class Trial:
    """All that is made of the subjects without a model, and a handful of walks with a teacher, filtered."""

    def __init__(
        self,
        tree: Survey,
        documents: Documents,
        recipe: GenerateRecipe,
        run: Run,
        *,
        samples: int,
        price: Price | None,
    ) -> None:
        self.tree, self.documents, self.run = tree, documents, run
        self.recipe, self.most, self.price = priced(recipe, price), samples, price
        self.branches = Branches(tree.root, recipe.exclude)
        self.flows = load_flows(recipe.flows)
        self.routes = decided(run, self.recipe, self.flows, tree.sound)
        self.staff = Staff(self.flows, self.recipe, routes=self.routes)
        self.asking = self.flows if any(flow.roles for flow in self.flows) else load_flows(USUAL)
        self.terms = self.staff.terms(self.asking, price)
        self.census = Census(recipe, self.flows)
        self.planned: dict[str, list[Start]] = {}  # all that a full run asks first, by leaf
        self.asked: list[Start] = []  # the handful
        self.answered: Counter[str] = Counter()  # how many of it, by leaf
        self.samples: list[Sample] = []
        self.verdicts: list[Verdict] = []
        self.waterfall = Waterfall()
        self.masked: frozenset[str] = frozenset()  # rejected samples that go on with parts masked, and are kept
        self.failures: dict[str, str] = {}  # leaves whose simulation cannot be drawn
        self.stopped: StoppedError | None = None
        self.notes: list[str] = []
        self.costing: Costing

    def make(self) -> None:
        self.note()
        with Walk(self.flows, self.recipe, self.terms.identities, self.terms.seats) as walk:
            self.plan(walk)
            self.ask(walk)
            self.reckon(walk)
        rejected = self.rejected()
        going_on = [sample for sample in self.samples if sample.id not in rejected]
        around = surroundings(self.tree.root, self.tree.leaves.values(), self.recipe.seed)
        sifted = sift(going_on, self.recipe.filters, around, pardons=self.recipe.pardons)
        self.verdicts += sifted.verdicts
        self.waterfall, self.masked = sifted.waterfall, sifted.masked

    def note(self) -> None:
        self.notes += overview(self.routes)
        if nobody := [flow.name for flow in self.flows if not self.is_staffed(flow)]:
            wanted = " and ".join(map(repr, nobody))
            self.notes.append(f"{wanted} needs a teacher, and the recipe names none: prompts are counted, not asked")
        if self.recipe.teacher is not None and not self.staff.by_role:
            self.notes.append("a teacher is named, but none of the recipe's flows asks one")
        if self.asking is not self.flows:
            told = ", ".join(flow.name for flow in self.asking)
            self.notes.append(f"none of the recipe's flows asks a teacher; what one would be asked is that of {told}")
        if taking_up := [flow.name for flow in self.flows if flow.begins_with_samples]:
            told = " and ".join(map(repr, taking_up))
            self.notes.append(f"{told}: what earlier runs kept is not previewed; ilk generate --dry-run counts it")
        if self.recipe.target is not None:
            self.notes.append(
                "the recipe's target is not in these figures: a full run asks by what is short of the mix"
            )
        if late := [flow.name for flow in self.flows if flow.roles and not flow.asks]:
            self.notes.append(f"{' and '.join(map(repr, late))}: what its later steps say is not asked for a preview")
        if without := [leaf.path for leaf in self.tree.sound if leaf.path in self.documents.lacking]:
            self.notes.append(f"without their documents, and so in no figure: {', '.join(without)}")

    def is_staffed(self, flow: Flow) -> bool:
        return all(self.staff.has(role) for role in flow.roles)

    def plan(self, walk: Walk) -> None:
        """Plan the subjects' prompts, and make their samples that need no model."""
        made: Counter[tuple[str, str]] = Counter()
        self.planned = {leaf.path: [] for leaf in self.tree.sound}
        for start in starts(self.tree.sound, self.chunks, walk, self.branches.beside):
            planned = self.planned[start.about.leaf]
            if start.flow.asks:
                planned.append(start)
                continue
            try:
                begun = walk.begin(start)
            except TemplateError as error:
                if not isinstance(start.flow.first, SimulationStep):
                    raise
                self.failures[start.about.leaf] = str(error)
                continue
            made[start.about.leaf, start.flow.name] += len(begun)
            self.take(start, [one for one in begun if isinstance(one, Finished | Lost)])
            if start.flow.roles:
                planned.append(start)
        for leaf in self.tree.sound:
            for flow in self.flows:
                if flow.takes(leaf) and not flow.asks and leaf.path not in self.failures:
                    self.census.remember(leaf, self.chunks(leaf), flow, made[leaf.path, flow.name])

    def chunks(self, leaf: Leaf) -> Sequence[Chunk]:
        return self.documents.chunks.get(leaf.path, ())

    def take(self, _: Start, ends: Sequence[End]) -> None:
        for end in ends:
            if isinstance(end, Finished):
                self.samples.append(end.sample)
                self.verdicts += end.verdicts
            elif isinstance(end, Lost):
                self.verdicts.append(end.verdict)

    def ask(self, walk: Walk) -> None:
        """Walk the handful, where there is somebody for each of its steps."""
        pairs = self.recipe.pairs_per_prompt
        for planned in self.planned.values():
            possible = [start for start in planned if start.flow.asks and self.is_staffed(start.flow)]
            self.asked += handful.to_ask(possible, self.most, pairs=pairs)
        if not self.asked:
            return
        try:
            with Ledger(self.run.ledger) as ledger:
                self.staff.bring(iter(self.asked), walk, ledger, self.take, Asked())
        except StoppedError as error:
            self.stopped = error

    def reckon(self, walk: Walk) -> None:
        """Hold the whole plan against what the ledger knows by now."""
        with ExitStack() as stack:
            answers = stack.enter_context(Paybook(self.run.ledger)) if self.staff.by_role else nothing_paid
            planned = (start for planned in self.planned.values() for start in planned)
            if self.asking is not self.flows:
                walk = stack.enter_context(Walk(self.asking, self.recipe, self.terms.identities))
                planned = (start for start in starts(self.tree.sound, self.chunks, walk, self.branches.beside))
            reckoner = Reckoner(walk, answers)
            for start in planned:
                reckoner.add(start)
            for start in self.asked:
                assert isinstance(start.task, AskTask)
                paid = answers(start.task.prompt.key)
                self.answered[start.about.leaf] += paid is not None and paid.completion is not None
        picked = Counter((start.flow.name, start.about.leaf) for start in self.asked)
        self.costing = Costing(reckoner, self.terms, picked, part_way=True)

    def rejected(self) -> set[str]:
        return {verdict.subject for verdict in self.verdicts if not verdict.keep}

    def cost(self, *leaves: str) -> Cost:
        """Of asking for all that a full run asks of these leaves; of none: for all subjects."""
        return self.costing.quote(leaves or None, everything=True).total

    # --- what is told of it

    def settings(self) -> Settings:
        recipe, price = self.recipe, self.price
        return Settings(
            flows=tuple(flow.name for flow in self.flows),
            teacher=", ".join(dict.fromkeys(self.staff.identities.values())) or None,
            chunk_words=recipe.chunk_words,
            pairs_per_prompt=recipe.pairs_per_prompt,
            prompts_per_leaf=recipe.prompts_per_leaf,
            samples_per_simulation=recipe.samples_per_simulation,
            max_tokens=recipe.max_tokens,
            filters=tuple(choice.name for choice in recipe.filters),
            price_in=price[0] if price else None,
            price_out=price[1] if price else None,
            ledger=str(self.run.ledger) if self.staff.by_role else None,
        )

    def told(self) -> Iterator[LeafPreview]:
        sound = {leaf.path: leaf for leaf in self.tree.sound}
        shelves = Shelves(self.tree.leaves.values(), self.recipe.filters, subjects=self.tree.subjects)
        passages = Passages(sound, self.documents.chunks, words=shelves.size)
        for path in self.tree.subjects:
            overlaps = (*shelves.repeated(path), *passages.repeated(path))
            if path in sound:
                yield self.previewed(sound[path], overlaps)
            else:
                yield LeafPreview(
                    path=path,
                    change=self.change(path),
                    findings=self.tree.findings[path],
                    previewed=False,
                    overlaps=overlaps,
                )

    def previewed(self, leaf: Leaf, overlaps: tuple[Overlap, ...]) -> LeafPreview:
        samples = [sample for sample in self.samples if sample.lineage.leaf == leaf.path]
        verdicts = [verdict for verdict in self.verdicts if verdict.leaf == leaf.path]
        chunks = self.documents.chunks.get(leaf.path, [])
        without = leaf.path in self.documents.lacking
        made, kept = (_NO_DOCUMENTS, _NO_DOCUMENTS) if without else self.yielded(leaf, samples)
        return LeafPreview(
            path=leaf.path,
            change=self.change(leaf.path),
            findings=self.tree.findings[leaf.path],
            previewed=True,
            lacking=tuple(self.lacking(leaf, samples)),
            documents=len({chunk.document for chunk in chunks}),
            chunks=len(chunks),
            made=made,
            kept=kept,
            samples=handful.shown(samples, verdicts, self.most),
            rejections=handful.rejections(verdicts),
            teacher=None if without else self.cost(leaf.path),
            overlaps=overlaps,
        )

    def change(self, path: str) -> Change:
        found = self.tree.changes.get(path)
        if found is None or found.change == "removed":
            return Change(kind="named")
        return Change(
            kind=found.change,
            moved_from=found.moved_from,
            files=found.files,
            seeds_added=found.seeds_added,
            seeds_changed=found.seeds_changed,
            seeds_removed=found.seeds_removed,
        )

    def yielded(self, leaf: Leaf, samples: Sequence[Sample]) -> tuple[Figure, Figure]:
        """How many samples a full run would make of the leaf, and how many of them would pass every filter."""
        rejected = self.rejected()
        kept = [sample for sample in samples if sample.id not in rejected or sample.id in self.masked]
        planned = [start for start in self.planned[leaf.path] if start.flow.asks]
        heard = self.answered[leaf.path]
        alone = "judged without the samples of the leaves that are not previewed"
        if not planned:
            made = Figure(value=len(samples), bound="exact", basis="all of them made for this preview")
            return made, Figure(value=len(kept), bound="at most", basis=alone)
        if not heard:
            free = sum(sample.lineage.method != "teacher" for sample in samples)
            most = free + sum(most_samples(start.flow, self.recipe) for start in planned)
            basis = f"{len(planned)} first prompts, each with as many samples as are asked for; the others were made"
            return Figure(value=most, bound="about", basis=basis), Figure.unknown("no answer of a teacher was judged")
        factor = len(planned) / heard
        told = f"{heard} of {len(planned)} first prompts were answered, the others are taken to give as many"
        return (
            Figure(value=scaled(samples, factor), bound="about", basis=told),
            Figure(value=scaled(kept, factor), bound="about", basis=f"{told}, duplicates apart; {alone}"),
        )

    def lacking(self, leaf: Leaf, samples: Sequence[Sample]) -> Iterator[str]:
        """Why the leaf gets no samples, or fewer than it might."""
        free = [flow.name for flow in self.flows if flow.takes(leaf) and not flow.asks]
        if leaf.path in self.documents.lacking:
            yield self.documents.lacking[leaf.path]
        elif leaf.path in self.failures:
            yield self.failures[leaf.path]
        elif not samples and not self.planned[leaf.path]:
            yield f"{' and '.join(free)} found nothing to ask in it" if free else lack(leaf, self.flows)
        elif not samples and free:
            yield f"{' and '.join(free)} found nothing to ask in it"
        silent = sum(start.about.leaf == leaf.path for start in self.asked) - self.answered[leaf.path]
        if silent:
            yield f"{silent} of the prompts that were asked got no answer"


def scaled(samples: Sequence[Sample], factor: float) -> int:
    """How many samples there would be if the teacher were asked so many times as much."""
    from_teacher = sum(sample.lineage.method == "teacher" for sample in samples)
    return len(samples) - from_teacher + round(from_teacher * factor)
