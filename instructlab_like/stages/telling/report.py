"""A run's files to one HTML page, or its twin in Markdown or JSON. A run not yet at its end gets what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from instructlab_like import __version__
from instructlab_like.console import say
from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.generation.ledger import Spent
from instructlab_like.generation.purse import cost
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.records import Answer, Item, Sample, Verdict, Waterfall, digest, plain
from instructlab_like.report.facts import ReportFacts, TeacherCost
from instructlab_like.report.learning import learning, lines
from instructlab_like.report.markdown import markdown
from instructlab_like.report.page import page
from instructlab_like.report.twin import twin
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.effects import gather
from instructlab_like.stages.evaluating.leave_one_out import FILE
from instructlab_like.stages.generating.asking import price_of
from instructlab_like.stages.generating.targeting import read_mix
from instructlab_like.stages.library import read_leaves
from instructlab_like.tuning.choice import Choice
from instructlab_like.tuning.measures import HeldOutLoss, LeafLoss, SampleLoss
from instructlab_like.workspace import Kind, Run, find, read_records, write_whole

Form: TypeAlias = Literal["html", "markdown", "json"]
SUFFIX: Mapping[Form, str] = {"html": ".html", "markdown": ".md", "json": ".json"}
FEW = 3  # leaves from either end of the ranking, and samples, that are printed


def report(run: Run, form: Form = "html") -> None:
    """Write 7-report in one form unless it is up to date; raises InputError for a run without a dataset.

    Its other forms are written anew with it where they are there, so that no two in a folder disagree.
    """
    made = manifest.read(run)
    if made.generate is None or "generate" not in made.inputs:
        raise InputError(
            "this run has no dataset to report on", where=str(run.folder), fix="make it first: ilk generate"
        )
    sources = files(run)
    kept = {name: value for name, value in made.inputs.items() if name != "report"}
    spent = {teacher: plain(one) for teacher, one in made.spent.items()}
    inputs = manifest.inputs_digest({"version": __version__, "stages": kept, "spent": spent}, sources)
    paths = {one: run.report.with_suffix(suffix) for one, suffix in SUFFIX.items()}
    current = made.inputs.get("report") == inputs
    if current and paths[form].is_file():
        say(f"report: up to date ({paths[form]})")
        return
    facts = collect(made.generate, made, run, sources)
    for one, path in paths.items():
        if one == form or (path.is_file() and not current):
            write_whole(path, rendered(facts, one))
    manifest.finish(run, "report", inputs)
    if facts.learning and facts.learning.leaves:
        for line in lines(facts.learning, most=FEW):
            say(f"  {line}".rstrip())
    say(f"report: {paths[form]}")


def rendered(facts: ReportFacts, form: Form) -> bytes:
    if form == "json":
        return twin(facts)
    return (markdown(facts) if form == "markdown" else page(facts)).encode("utf-8")


def files(run: Run) -> dict[str, Path]:
    """What the report is made of, by name."""
    return {
        "samples": run.samples,
        "replaced": run.replaced,
        "verdicts": run.verdicts,
        "waterfall": run.waterfall,
        "target": run.mix,
        "losses": run.training / "losses.jsonl",
        "held_out": run.training / "heldout.jsonl",
        "last_seen": run.training / "samples.jsonl",
        "choices": run.training / "choice.jsonl",
        "items": run.evaluation / "items.jsonl",
        "answers": run.evaluation / "answers.jsonl",
        "summary": run.summary,
        "left_out": run.evaluation / FILE,
        "judged": run.judged,
    }


def collect(recipe: GenerateRecipe, made: manifest.Manifest, run: Run, sources: Mapping[str, Path]) -> ReportFacts:
    """The facts of a run, as far as it has come."""
    recipes = {"generate": recipe, "train": made.train, "evaluate": made.evaluate}
    samples = (*records(sources["samples"], Sample), *records(sources["replaced"], Sample))
    losses, held_out = records(sources["losses"], LeafLoss), records(sources["held_out"], HeldOutLoss)
    waterfall = sources["waterfall"]
    scores = summary.read(run.summary) if run.summary.is_file() else None
    learnt = learning(
        losses=losses,
        held_out=held_out,
        last_seen=records(sources["last_seen"], SampleLoss),
        choices=records(sources["choices"], Choice),
        origins=made.leaves,
        samples=samples,
        taxonomy=recipe.taxonomy,
    )
    return ReportFacts(
        run=run.folder.resolve().name,
        model=made.train.model if made.train else "not trained yet",
        commit=made.commit,
        versions=made.versions,
        recipes={stage: digest(told.model_dump(mode="json")) for stage, told in recipes.items() if told is not None},
        costs=costs(recipe, made.spent, made.evaluate.judge if made.evaluate else None),
        leaves=tuple(read_leaves(find(recipe.taxonomy), recipe.leaves, recipe.exclude)),
        origins=made.leaves,
        counts=made.counts,
        shortfalls={gap.leaf: gap.reason for gap in made.shortfalls},
        waterfall=Waterfall.model_validate_json(waterfall.read_bytes()) if waterfall.is_file() else Waterfall(),
        mix=read_mix(run),
        samples=samples,
        verdicts=records(sources["verdicts"], Verdict),
        summary=scores,
        items=records(sources["items"], Item),
        answers=records(sources["answers"], Answer),
        losses=losses,
        held_out=held_out,
        learning=learnt,
        contributions=gather(run, made, scores, learnt.leaves) if scores and scores.checkpoints else None,
    )


def costs(recipe: GenerateRecipe, spent: Mapping[str, Spent], judge: TeacherRecipe | None) -> tuple[TeacherCost, ...]:
    """What each teacher and the judge was asked and charged, by its identity; of a local one no price is known."""
    named = [*recipe.everybody, *([judge] if judge else [])]
    prices = {f"http:{one.model}": price for one in named if (price := price_of(one))}
    return tuple(
        TeacherCost(
            teacher=teacher,
            calls=one.calls,
            tokens_in=one.tokens_in,
            tokens_out=one.tokens_out,
            money=cost(prices[teacher], one.tokens_in, one.tokens_out) if teacher in prices else None,
        )
        for teacher, one in spent.items()
    )


def records(path: Path, kind: type[Kind]) -> tuple[Kind, ...]:
    """The file's records; none when the stage that writes it has not run."""
    return tuple(read_records(path, kind)) if path.is_file() else ()
