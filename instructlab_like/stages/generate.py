"""Leaves to dataset: plan, ask, parse, filter, split, mix, write. Only the asking is slow, and the ledger keeps it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say, warn, working
from instructlab_like.dataset.card import CardFacts, FilterFacts
from instructlab_like.dataset.mix import Replay, mix
from instructlab_like.dataset.rows import row
from instructlab_like.dataset.split import split
from instructlab_like.dataset.write import write
from instructlab_like.errors import DocumentError, InputError
from instructlab_like.evaluation.items import from_file
from instructlab_like.filters import build
from instructlab_like.filters.sift import Sifted, sift
from instructlab_like.generation.call import ask
from instructlab_like.generation.ledger import Ledger
from instructlab_like.generation.parse import parse, refused
from instructlab_like.generation.plan import plan, shortfall
from instructlab_like.generation.unaided import unaided
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    AskTask,
    Chunk,
    Knowledge,
    Leaf,
    LeafCounts,
    Sample,
    Task,
    Verdict,
    ngrams,
    normalise,
    plain,
)
from instructlab_like.stages import manifest
from instructlab_like.stages.manifest import Shortfall
from instructlab_like.taxonomy.chunks import cut
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.taxonomy.origins import head, origins
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.taxonomy.tree import ATTRIBUTION, content
from instructlab_like.teachers import Teacher, open_teacher
from instructlab_like.workspace import Run, cache_dir, find, read_records, write_records

LICENCE = re.compile(r"(?im)^licen[cs]e of the work:[ \t]*(\S.*)$")


def generate(run: Run, recipe: GenerateRecipe, *, agreed: bool = False) -> None:
    """Bring the run's dataset up to date with the taxonomy and the recipe; nothing is done when it is.

    Raises InputError for a broken leaf or a changed recipe that was not agreed to, StoppedError when the teacher
    is gone; answers that arrived before are kept and not asked for again.
    """
    root = find(recipe.taxonomy)
    leaves = read_leaves(root, recipe.leaves)
    agree(run, recipe, agreed=agreed)
    with working("reading documents"):
        chunks, lacking = read_chunks(leaves, root, recipe)
    teacher = open_teacher(recipe.teacher) if recipe.teacher and "teacher" in recipe.methods else None
    tasks = plan(leaves, chunks, recipe, teacher=teacher.identity if teacher else None)
    explained = {gap.leaf for gap in lacking}
    gaps = [
        *lacking,
        *(Shortfall(leaf=leaf, reason=reason) for leaf, reason in shortfall(leaves, tasks) if leaf not in explained),
    ]
    inputs = manifest.inputs_digest(
        {
            "version": __version__,
            "recipe": plain_recipe(recipe),
            "leaves": [plain(leaf) for leaf in leaves],
            "tasks": [plain(task) for task in tasks],
        },
        {"replay": find(recipe.replay)} if recipe.replay else {},
    )
    if manifest.read(run).inputs.get("generate") == inputs and run.dataset.is_dir():
        say(f"generate: up to date ({run.dataset})")
        asyncio.run(close(teacher))
        return
    manifest.forget(run, "generate")
    write_records(run.plan, tasks)
    say(f"generate: {len(leaves)} leaves, {sum(map(len, chunks.values()))} chunks, {describe(tasks)}")
    samples, unparsed = make(tasks, teacher, run, recipe)
    write_records(run.samples, samples)
    with working("filtering"):
        sifted = sift(samples, recipe.filters, held_out=[item for leaf in leaves for item in from_file(leaf)])
    write_records(run.verdicts, [*unparsed, *sifted.verdicts])
    counts = count(leaves, samples, sifted.kept)
    gaps += [
        Shortfall(leaf=leaf.leaf, reason=barren(leaf, tasks, unparsed))
        for leaf in counts
        if not leaf.kept and leaf.leaf not in {gap.leaf for gap in gaps}
    ]
    write_dataset(run, recipe, sifted, counts, leaves, licences(root, leaves))
    manifest.finish(
        run,
        "generate",
        inputs,
        recipe,
        commit=head(root),
        leaves=tuple(origins(root, leaves)),
        shortfalls=tuple(gaps),
        counts=counts,
        phases=sifted.phases,
    )
    show(run, samples, sifted, counts, gaps, unparsed)


def read_leaves(root: Path, only: Sequence[str]) -> list[Leaf]:
    if not root.is_dir():
        raise InputError("there is no such taxonomy folder", where=str(root), fix="name it with --taxonomy DIR")
    leaves, broken = read_tree(root, only)
    if broken:
        for error in broken:
            warn(error.what)
        raise InputError(
            f"{len(broken)} of {len(leaves) + len(broken)} leaves cannot be read",
            where=str(root),
            fix=f"correct them (ilk check {root}), or name others with --leaf",
        )
    if not leaves:
        raise InputError("holds no leaf", where=str(root), fix="a leaf is a folder with a qna.yaml; ilk new makes one")
    return leaves


def agree(run: Run, recipe: GenerateRecipe, *, agreed: bool) -> None:
    """Refuse to redo a finished run under another recipe unless the user said so."""
    changes = manifest.changes(manifest.read(run).generate, recipe)
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


def read_chunks(
    leaves: Sequence[Leaf], root: Path, recipe: GenerateRecipe
) -> tuple[dict[str, list[Chunk]], list[Shortfall]]:
    """The chunks of every knowledge leaf by its path, and the leaves whose documents cannot be had."""
    chunks: dict[str, list[Chunk]] = {}
    lacking: list[Shortfall] = []
    for leaf in leaves:
        if not isinstance(leaf, Knowledge):
            continue
        try:
            documents = fetch(leaf, root, mirrors=recipe.mirrors, hosts=recipe.document_hosts, cache=cache_dir())
        except DocumentError as error:
            lacking.append(Shortfall(leaf=leaf.path, reason=str(error)))
            continue
        chunks[leaf.path] = [chunk for document in documents for chunk in cut(document, words=recipe.chunk_words)]
    return chunks, lacking


def plain_recipe(recipe: GenerateRecipe) -> dict[str, object]:
    """The options that decide the dataset's bytes: not how fast or by which address the teacher is asked."""
    told = recipe.model_dump(mode="json")
    if recipe.teacher:
        told["teacher"] = {"kind": recipe.teacher.kind, "model": recipe.teacher.model}
    return told


def make(
    tasks: Sequence[Task], teacher: Teacher | None, run: Run, recipe: GenerateRecipe
) -> tuple[list[Sample], list[Verdict]]:
    """Every sample of every task in plan order, and a verdict for each answer that could not be parsed."""
    samples: list[Sample] = []
    unparsed: list[Verdict] = []
    asked = [task for task in tasks if isinstance(task, AskTask)]
    if asked and teacher is not None and recipe.teacher is not None:
        ask_teacher(asked, teacher, run, recipe.teacher.concurrency)
    with working("making samples"), Ledger(run.ledger) as ledger:
        failures = {failure.key: failure.error for failure in ledger.failures}
        for task in tasks:
            if isinstance(task, AskTask):
                completion = ledger.committed(task.prompt.key)
                parsed = parse(task, completion) if completion else refused(task, failures[task.prompt.key])
                if isinstance(parsed, Verdict):
                    unparsed.append(parsed)
                else:
                    samples += parsed
            else:
                samples += unaided(task)
    return samples, unparsed


def ask_teacher(tasks: Sequence[AskTask], teacher: Teacher, run: Run, concurrency: int) -> None:
    prompts = [task.prompt for task in tasks]

    def heard(done: int, total: int) -> None:
        if done == total or done % max(1, total // 20) == 0:
            say(f"  {done}/{total} answers")

    async def session(ledger: Ledger) -> None:
        try:
            await ask(prompts, teacher, ledger, concurrency=concurrency, on_answer=heard)
        finally:
            await teacher.close()

    with working("waiting for the teacher"), Ledger(run.ledger) as ledger:
        asyncio.run(session(ledger))


async def close(teacher: Teacher | None) -> None:
    if teacher is not None:
        await teacher.close()


def count(leaves: Sequence[Leaf], made: Sequence[Sample], kept: Sequence[Sample]) -> tuple[LeafCounts, ...]:
    all_made = Counter(sample.lineage.leaf for sample in made)
    all_kept = Counter(sample.lineage.leaf for sample in kept)
    return tuple(LeafCounts(leaf=leaf.path, made=all_made[leaf.path], kept=all_kept[leaf.path]) for leaf in leaves)


def barren(leaf: LeafCounts, tasks: Sequence[Task], unparsed: Sequence[Verdict]) -> str:
    if leaf.made:
        return f"all {leaf.made} samples were rejected; 3-verdicts.jsonl says why"
    lost = sum(verdict.leaf == leaf.leaf for verdict in unparsed)
    if lost:
        return f"none of the teacher's {lost} answers could be used; 3-verdicts.jsonl says why"
    methods = sorted({task.method for task in tasks if task_leaf(task) == leaf.leaf})
    return f"{' and '.join(methods)} found nothing to ask in it"


def task_leaf(task: Task) -> str:
    return task.prompt.lineage.leaf if isinstance(task, AskTask) else task.leaf


def describe(tasks: Sequence[Task]) -> str:
    names = {"teacher": "prompts for the teacher", "rules": "chunks for the rules", "simulation": "simulations"}
    found = Counter[str](task.method for task in tasks)
    return ", ".join(f"{found[method]} {name}" for method, name in names.items() if found[method]) or "nothing to do"


def write_dataset(
    run: Run,
    recipe: GenerateRecipe,
    sifted: Sifted,
    counts: Sequence[LeafCounts],
    leaves: Sequence[Leaf],
    licences: tuple[str, ...],
) -> None:
    train, test = split(sifted.kept, share=recipe.test_share, seed=recipe.seed)
    replay = unseen(read_records(find(recipe.replay), Replay), leaves) if recipe.replay else []
    rows = mix(
        train,
        replay,
        share=recipe.replay_share if replay else 0.0,
        knowledge_share=recipe.knowledge_share,
        seed=recipe.seed,
    )
    filters = [build(choice) for choice in recipe.filters]
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
            for chosen, phase in zip(filters, sifted.phases, strict=True)
        ),
        test_share=recipe.test_share,
        replay_share=recipe.replay_share if replay else 0.0,
        seed=recipe.seed,
        licenses=licences,
    )
    write(run.dataset, rows, [row(sample) for sample in test], facts)


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


def licences(root: Path, leaves: Sequence[Leaf]) -> tuple[str, ...]:
    """What the leaves' attribution.txt state as "License of the work", each once, sorted."""
    found = set()
    for leaf in leaves:
        try:
            attribution = content(root, f"{leaf.path}/{ATTRIBUTION}") or b""
        except InputError:  # a link, or nothing to read: `ilk check` says so
            continue
        found |= set(LICENCE.findall(attribution.decode("utf-8", "replace")))
    return tuple(sorted(text.strip() for text in found))


def show(
    run: Run,
    samples: Sequence[Sample],
    sifted: Sifted,
    counts: Sequence[LeafCounts],
    gaps: Sequence[Shortfall],
    unparsed: Sequence[Verdict],
) -> None:
    for phase in sifted.phases:
        say(f"  {phase.filter}: {phase.made} in, {phase.kept} kept, {phase.rejected} rejected")
    width = max(len(leaf.leaf) for leaf in counts)
    for leaf in counts:
        say(f"  {leaf.leaf:<{width}}  made {leaf.made:>5}  kept {leaf.kept:>5}")
    for gap in gaps:
        warn(f"  {gap.leaf}: no samples: {gap.reason}")
    if unparsed:
        warn(f"  {len(unparsed)} answers could not be used; 3-verdicts.jsonl says why")
    say(f"generate: {len(sifted.kept)} of {len(samples)} samples kept → {run.dataset}")
