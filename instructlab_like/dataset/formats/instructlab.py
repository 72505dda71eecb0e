"""The files that `ilab data generate` leaves behind, for InstructLab's training and evaluation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.formats import Export, File, Format, Material
from instructlab_like.dataset.instructlab.choices import choices
from instructlab_like.dataset.instructlab.knowledge import phase07, phase10
from instructlab_like.dataset.instructlab.lines import (
    ChoiceLine,
    MessagesLine,
    NodeLine,
    TestLine,
    TrainLine,
    asked,
    is_blank,
    metadata,
    told_by,
    written,
)
from instructlab_like.dataset.instructlab.mixing import MixingRecipe, Part, dumped
from instructlab_like.dataset.instructlab.skills import replayed, skill
from instructlab_like.dataset.instructlab.task import task
from instructlab_like.dataset.mix import REPLAY
from instructlab_like.dataset.rows import Phase
from instructlab_like.errors import InputError
from instructlab_like.records import Knowledge, Leaf, Row, Sample, digest

PHASES: tuple[tuple[Phase, str], ...] = (("knowledge", KNOWLEDGE), ("skills", SKILLS))
Nodes = dict[str, Callable[[], Iterator[NodeLine]]]  # the files of single leaves, each with what makes its rows


@dataclass(frozen=True)
class Group:
    """A leaf with those of its samples that are in the dataset."""

    name: str  # of its files
    leaf: Leaf
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]

    @property
    def about_passages(self) -> list[Sample]:
        """The training samples that are asked about a passage."""
        return [sample for sample in self.train if (sample.context or "").strip()]


def unicode(text: str) -> str:
    """The text, if a file can hold it: a terminal may hand on bytes that are none."""
    if not text.isascii() and text.encode("utf-8", "replace").decode("utf-8") != text:
        raise ValueError("is not UTF-8")
    return text


class InstructLab(Format):
    suffix: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "gen"
    """Stands in every file's name, where InstructLab puts the time."""
    system: Annotated[str, AfterValidator(unicode)] = ""
    """System prompt of all rows."""
    absolute_paths: bool = False
    """Whether multiple-choice tasks name their data by a whole path, to be loaded from any folder of this machine."""

    @property
    def nodes(self) -> str:
        return f"node_datasets_{self.suffix}"

    def export(self, run: Material, folder: Path) -> Export:
        groups = gathered(run)
        replay = {phase: [row for row in run.rows(name) if row.leaf == REPLAY] for phase, name in PHASES}
        mixes = {phase: dict(self.node_files(phase, groups, replay[phase], run.seed)) for phase, _ in PHASES}
        questions = [
            (group, choices(group.test, (*group.train, *group.test), subject=group.leaf.domain, seed=run.seed))
            for group in groups
            if isinstance(group.leaf, Knowledge)
        ]
        files = [
            File(f"messages_{self.suffix}.jsonl", lines(self.messages(groups))),
            File(f"train_{self.suffix}.jsonl", lines(self.pairs(groups))),
            File(f"test_{self.suffix}.jsonl", lines(self.seeds(groups))),
        ]
        for phase, nodes in mixes.items():
            files += [File(name, lines(rows())) for name, rows in nodes.items()]
            files += self.mixed(phase, nodes)
        for group, rows in questions:
            files += self.task(group, rows, folder) if rows else []
        return Export(tuple(files), tuple(notes(groups, replay, mixes, questions)))

    # --- the files of before there was mixing

    def pairs(self, groups: Sequence[Group]) -> Iterator[TrainLine]:
        """Each training sample; knowledge without its passage, as it is asked after training."""
        for group in groups:
            for sample in group.train:
                if sample.answer.strip():
                    user = followed(sample.question, sample.context if sample.kind == "grounded" else None)
                    yield TrainLine(system=self.system, user=user, assistant=sample.answer)

    def messages(self, groups: Sequence[Group]) -> Iterator[MessagesLine]:
        for pair in self.pairs(groups):
            yield MessagesLine(messages=asked(pair.user, pair.assistant), metadata=metadata({"system": self.system}))

    def seeds(self, groups: Sequence[Group]) -> Iterator[TestLine]:
        """The seed examples: people wrote them, and no training row is one."""
        for group in groups:
            for seed in group.leaf.seeds:
                for pair in seed.pairs:
                    user = followed(pair.question, seed.context)
                    yield TestLine(user=user, assistant=pair.answer, system=self.system or None)

    # --- the files of each leaf, and what is mixed of them

    def node_files(
        self, phase: Phase, groups: Sequence[Group], replay: Sequence[Row], seed: int
    ) -> Iterator[tuple[str, Callable[[], Iterator[NodeLine]]]]:
        """What a phase is mixed of: skills among the knowledge of before, each phase with its own replay."""
        for group in groups:
            name = f"{self.nodes}/{group.name}"
            if isinstance(group.leaf, Knowledge):
                samples, domain = group.about_passages, group.leaf.domain
                if samples and phase == "knowledge":
                    yield f"{name}_p07.jsonl", partial(phase07, samples, domain)
                elif samples:
                    yield f"{name}_p10.jsonl", partial(phase10, samples, domain, seed=seed)
            elif group.train and phase == "skills":
                yield f"{name}.jsonl", partial(skill, group.leaf, group.name, group.train, system=self.system)
        if replay:
            yield f"{self.nodes}/replay_{phase}.jsonl", partial(replayed, replay)

    def mixed(self, phase: Phase, nodes: Nodes) -> Iterator[File]:
        """The recipe, and what InstructLab would mix by it. All rows of each file: no draw that its tools repeat."""
        recipe = MixingRecipe(datasets=tuple(Part(path=name) for name in nodes), sys_prompt=self.system)
        yield File(f"{phase}_recipe_{self.suffix}.yaml", [dumped(recipe)])
        if nodes:
            rows = (told_by(self.system, line) for rows in nodes.values() for line in rows() if not is_blank(line))
            yield File(f"{phase}_train_msgs_{self.suffix}.jsonl", lines(rows))

    def task(self, group: Group, rows: Sequence[ChoiceLine], folder: Path) -> Iterator[File]:
        data = f"{self.nodes}/mmlubench_{group.name}.jsonl"
        yield File(data, lines(rows))
        place = str((folder / data).resolve()) if self.absolute_paths else data
        yield File(f"{self.nodes}/{group.name}_task.yaml", [task(group.name, place)])


def lines(rows: Iterable[BaseModel]) -> Iterator[bytes]:
    return (written(row) for row in rows)


def followed(question: str, context: str | None) -> str:
    """A question and its passage in InstructLab's older files."""
    return f"{question}\n{context}" if context else question


def gathered(run: Material) -> list[Group]:
    """The leaves with their samples of the dataset, in plan order; InputError if the run's files contradict."""
    sides = {
        row.sample: "test" if name == TEST else "train"
        for name in (KNOWLEDGE, SKILLS, TEST)
        for row in run.rows(name)
        if row.leaf != REPLAY
    }
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in run.samples():
        if sample.id in sides:
            found[sample.lineage.leaf, sides.pop(sample.id)].append(sample)
    leaves = run.leaves()
    strange = {leaf for leaf, _ in found} - {leaf.path for leaf in leaves}
    if sides or strange:
        what = f"sample {next(iter(sides))} of the dataset is not among the samples" if sides else ""
        what = what or f"its samples are of {min(strange)}, which run.yaml does not list"
        raise InputError(f"the run contradicts itself: {what}", where="ilk export", fix="run ilk generate again")
    return [
        Group(
            name=name,
            leaf=leaf,
            train=tuple(found[leaf.path, "train"]),
            test=tuple(found[leaf.path, "test"]),
        )
        for leaf, name in zip(leaves, names([leaf.path for leaf in leaves]), strict=True)
    ]


def names(paths: Sequence[str]) -> list[str]:
    """The leaves' names in InstructLab's files: folders joined by `_`, and a mark of the path where two would agree."""
    joined = [path.replace("/", "_") for path in paths]
    same = Counter(name.casefold() for name in joined)
    return [
        name if same[name.casefold()] == 1 else f"{name}-{digest(path)[:8]}"
        for path, name in zip(paths, joined, strict=True)
    ]


def notes(
    groups: Sequence[Group],
    replay: Mapping[Phase, Sequence[Row]],
    mixes: Mapping[Phase, Nodes],
    questions: Sequence[tuple[Group, Sequence[ChoiceLine]]],
) -> Iterator[str]:
    """What is left out, or told otherwise than one might expect, by name."""
    for group in groups:
        if not group.train:
            yield f"{group.leaf.path}: no training sample, so no file of its own"
        blank = sum(not (sample.question.strip() and sample.answer.strip()) for sample in group.train)
        if blank:
            yield f"{group.leaf.path}: {blank} samples without a question or an answer are left out of what is mixed"
        apart = len(group.train) - len(group.about_passages)
        if isinstance(group.leaf, Knowledge) and apart:
            yield f"{group.leaf.path}: {apart} samples without a passage are left out of its p07 and p10"
        if group.name != group.leaf.path.replace("/", "_"):
            yield f"{group.leaf.path}: its files are called {group.name}, for another leaf's would have the same name"
    for group, rows in questions:
        yield from short_of_choices(group, rows)
    for phase, nodes in mixes.items():
        if not nodes:
            yield f"no {phase}_train_msgs: the run has nothing for it"
    own = sum(row.messages[0].role == "system" for rows in replay.values() for row in rows)
    if own:
        yield f"{own} replay rows have a system prompt; what is mixed has that of --system in its place"


def short_of_choices(group: Group, rows: Sequence[ChoiceLine]) -> Iterator[str]:
    left = len(group.test) - len(rows)
    if not group.test:
        yield f"{group.leaf.path}: no multiple-choice questions, for none of its samples is set aside for test"
    elif left:
        what = f"{left} of {len(group.test)} test samples give no multiple-choice question"
        yield f"{group.leaf.path}: {what}: it has too few different answers of the same kind"
