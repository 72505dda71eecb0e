"""A trial run for a preview: all that the model-free methods make, a handful of a teacher's answers, filtered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from instructlab_like.errors import StoppedError, TemplateError
from instructlab_like.evaluation.items import from_file
from instructlab_like.filters.sift import sift
from instructlab_like.generation.latency import latencies
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.parse import parse, refused
from instructlab_like.generation.plan import lack, plan
from instructlab_like.generation.unaided import unaided
from instructlab_like.preview import handful
from instructlab_like.preview.estimate import NOBODY, Experience, Prices, cost
from instructlab_like.preview.facts import Change, Cost, Figure, LeafPreview, Overlap, Settings
from instructlab_like.preview.overlap import Passages, Shelves
from instructlab_like.preview.shift import UNNAMED, Census
from instructlab_like.preview.survey import Survey
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Chunk, Leaf, Prompt, RulesTask, Sample, SimulationTask, Verdict
from instructlab_like.stages.generate import ask_teacher, close
from instructlab_like.teachers import open_teacher
from instructlab_like.workspace import Run

_NO_DOCUMENTS = Figure.unknown("its documents cannot be had")


@dataclass(frozen=True)
class Documents:
    chunks: Mapping[str, list[Chunk]]  # of the leaves whose documents are at hand
    lacking: Mapping[str, str]  # why others are not


class Trial:
    """All that the model-free methods make of the subjects, and a handful of a teacher's answers, filtered."""

    def __init__(
        self,
        tree: Survey,
        documents: Documents,
        recipe: GenerateRecipe,
        run: Run,
        *,
        samples: int,
        prices: Prices | None,
    ) -> None:
        self.tree, self.documents, self.recipe, self.run = tree, documents, recipe, run
        self.most, self.prices = samples, prices
        wanted = recipe.teacher if "teacher" in recipe.methods else None
        self.teacher = open_teacher(wanted) if wanted else None
        self.concurrency = wanted.concurrency if wanted else 1
        self.census = Census(recipe)
        self.planned: dict[str, list[AskTask]] = {}  # all that a full run asks, by leaf
        self.asked: list[AskTask] = []  # the handful
        self.answered: Counter[str] = Counter()  # how many of it, by leaf
        self.samples: list[Sample] = []
        self.verdicts: list[Verdict] = []
        self.experience = NOBODY
        self.failures: dict[str, str] = {}  # leaves whose simulation cannot be drawn
        self.stopped: StoppedError | None = None
        self.notes: list[str] = []

    def make(self) -> None:
        if "teacher" in self.recipe.methods and self.teacher is None:
            self.notes.append("the recipe wants the method 'teacher' and names none: prompts are counted, not asked")
        if "teacher" not in self.recipe.methods and self.recipe.teacher is not None:
            self.notes.append("a teacher is named, but the recipe's methods leave it out: it is not asked")
        if without := [leaf.path for leaf in self.tree.sound if leaf.path in self.documents.lacking]:
            self.notes.append(f"without their documents, and so in no figure: {', '.join(without)}")
        for leaf in self.tree.sound:
            self.plan(leaf)
            self.draw(leaf)
        self.ask()
        held_out = [item for leaf in self.tree.leaves.values() for item in from_file(leaf)]
        self.verdicts += sift(self.samples, self.recipe.filters, held_out=held_out).verdicts

    def plan(self, leaf: Leaf) -> None:
        identity = self.teacher.identity if self.teacher else UNNAMED
        alone = self.recipe.model_copy(update={"methods": ("teacher",)})
        tasks = plan([leaf], self.documents.chunks, alone, teacher=identity)
        self.planned[leaf.path] = [task for task in tasks if isinstance(task, AskTask)]

    def tasks(self, leaf: Leaf) -> list[RulesTask | SimulationTask]:
        """What the model-free methods of the recipe do with the leaf."""
        free = tuple(method for method in self.recipe.methods if method != "teacher")
        tasks = plan([leaf], self.documents.chunks, self.recipe.model_copy(update={"methods": free}), teacher=None)
        return [task for task in tasks if not isinstance(task, AskTask)]

    def draw(self, leaf: Leaf) -> None:
        try:
            made = [sample for task in self.tasks(leaf) for sample in unaided(task)]
        except TemplateError as error:
            self.failures[leaf.path] = str(error)
            return
        self.samples += made
        self.census.remember(leaf, self.documents.chunks.get(leaf.path, ()), len(made))

    def ask(self) -> None:
        """Ask the handful, and read from the ledger what is known of the full plan's prompts."""
        if self.teacher is None:
            return
        for tasks in self.planned.values():
            self.asked += handful.to_ask(tasks, self.most, pairs=self.recipe.pairs_per_prompt)
        if not self.asked:
            asyncio.run(close(self.teacher))
            return
        try:
            ask_teacher(self.asked, self.teacher, self.run, self.concurrency)
        except StoppedError as error:
            self.stopped = error
        with Ledger(self.run.ledger) as ledger:
            self.hear(ledger)

    def hear(self, ledger: Ledger) -> None:
        failures = {failure.key: failure.error for failure in ledger.failures}
        for task in self.asked:
            completion = ledger.committed(task.prompt.key)
            if completion is None:
                if task.prompt.key in failures:
                    self.verdicts.append(refused(task, failures[task.prompt.key]))
                continue
            self.answered[task.prompt.lineage.leaf] += 1
            parsed = parse(task, completion)
            if isinstance(parsed, Verdict):
                self.verdicts.append(parsed)
            else:
                self.samples += parsed
        keys = {prompt.key for prompt in self.prompts()}
        answers = {key: answer for key in sorted(keys) if (answer := ledger.committed(key)) is not None}
        self.experience = Experience(answers, latencies(ledger, keys), self.concurrency)

    def prompts(self) -> list[Prompt]:
        """Of the full plans of all subjects."""
        return [task.prompt for tasks in self.planned.values() for task in tasks]

    def cost(self, prompts: Sequence[Prompt]) -> Cost:
        return cost(prompts, self.prompts(), self.experience, prices=self.prices)

    # --- what is told of it

    def settings(self) -> Settings:
        recipe, prices = self.recipe, self.prices
        return Settings(
            methods=recipe.methods,
            teacher=self.teacher.identity if self.teacher else None,
            chunk_words=recipe.chunk_words,
            pairs_per_prompt=recipe.pairs_per_prompt,
            prompts_per_leaf=recipe.prompts_per_leaf,
            samples_per_simulation=recipe.samples_per_simulation,
            max_tokens=recipe.max_tokens,
            filters=tuple(choice.name for choice in recipe.filters),
            price_in=prices.tokens_in if prices else None,
            price_out=prices.tokens_out if prices else None,
            ledger=str(self.run.ledger) if self.teacher else None,
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
        made, kept = (_NO_DOCUMENTS, _NO_DOCUMENTS) if without else self.yielded(leaf, samples, verdicts)
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
            teacher=None if without else self.cost([task.prompt for task in self.planned[leaf.path]]),
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

    def yielded(self, leaf: Leaf, samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> tuple[Figure, Figure]:
        """How many samples a full run would make of the leaf, and how many of them would pass the filters."""
        rejected = {verdict.subject for verdict in verdicts if not verdict.keep}
        kept = [sample for sample in samples if sample.id not in rejected]
        calls = len({task.prompt.key for task in self.planned[leaf.path]}) if "teacher" in self.recipe.methods else 0
        heard = self.answered[leaf.path]
        alone = "judged without the samples of the leaves that are not previewed"
        if not calls:
            made = Figure(value=len(samples), bound="exact", basis="all of them made for this preview")
            return made, Figure(value=len(kept), bound="at most", basis=alone)
        if not heard:
            most = sum(sample.lineage.method != "teacher" for sample in samples) + calls * self.recipe.pairs_per_prompt
            basis = f"{calls} prompts ask for {self.recipe.pairs_per_prompt} pairs each; the others were made"
            return Figure(value=most, bound="about", basis=basis), Figure.unknown("no answer of a teacher was judged")
        told = f"{heard} of {calls} prompts were answered, the others are taken to give as many"
        return (
            Figure(value=scaled(samples, calls / heard), bound="about", basis=told),
            Figure(value=scaled(kept, calls / heard), bound="about", basis=f"{told}, duplicates apart; {alone}"),
        )

    def lacking(self, leaf: Leaf, samples: Sequence[Sample]) -> Iterator[str]:
        """Why the leaf gets no samples, or fewer than it might."""
        if leaf.path in self.documents.lacking:
            yield self.documents.lacking[leaf.path]
        elif leaf.path in self.failures:
            yield self.failures[leaf.path]
        elif not samples:
            can_ask = "teacher" in self.recipe.methods and self.planned[leaf.path]
            made = {task.method for task in self.tasks(leaf)}
            if not made and not can_ask:
                yield lack(leaf)
            elif made:
                yield f"{' and '.join(sorted(made))} found nothing to ask in it"
        silent = sum(task.prompt.lineage.leaf == leaf.path for task in self.asked) - self.answered[leaf.path]
        if silent:
            yield f"{silent} of the prompts that were asked got no answer"


def scaled(samples: Sequence[Sample], factor: float) -> int:
    """How many samples there would be if the teacher were asked so many times as much."""
    from_teacher = sum(sample.lineage.method == "teacher" for sample in samples)
    return len(samples) - from_teacher + round(from_teacher * factor)
