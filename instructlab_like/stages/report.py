"""A run's files to one HTML page. A run that has not come to its end gets the page of what is there."""

from __future__ import annotations

from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say
from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.records import Answer, Item, Sample, Verdict, Waterfall
from instructlab_like.report.facts import LossPoint, ReportFacts
from instructlab_like.report.page import page
from instructlab_like.stages import manifest
from instructlab_like.stages.library import read_leaves
from instructlab_like.workspace import Kind, Run, find, read_records, write_whole


def report(run: Run) -> None:
    """Write 7-report.html unless it is up to date; raises InputError for a run without a dataset."""
    made = manifest.read(run)
    if made.generate is None or "generate" not in made.inputs:
        raise InputError(
            "this run has no dataset to report on", where=str(run.folder), fix="make it first: ilk generate"
        )
    sources = {
        "samples": run.samples,
        "verdicts": run.verdicts,
        "losses": run.training / "losses.jsonl",
        "items": run.evaluation / "items.jsonl",
        "answers": run.evaluation / "answers.jsonl",
        "summary": run.summary,
    }
    kept = {name: value for name, value in made.inputs.items() if name != "report"}
    inputs = manifest.inputs_digest({"version": __version__, "stages": kept}, sources)
    if made.inputs.get("report") == inputs and run.report.is_file():
        say(f"report: up to date ({run.report})")
        return
    facts = ReportFacts(
        run=run.folder.resolve().name,
        model=made.train.model if made.train else "not trained yet",
        commit=made.commit,
        versions=made.versions,
        leaves=tuple(read_leaves(find(made.generate.taxonomy), made.generate.leaves)),
        origins=made.leaves,
        counts=made.counts,
        shortfalls={gap.leaf: gap.reason for gap in made.shortfalls},
        waterfall=Waterfall.model_validate_json(run.waterfall.read_bytes()) if run.waterfall.is_file() else Waterfall(),
        samples=(*records(run.samples, Sample), *records(run.replaced, Sample)),
        verdicts=records(run.verdicts, Verdict),
        summary=summary.read(run.summary) if run.summary.is_file() else None,
        items=records(sources["items"], Item),
        answers=records(sources["answers"], Answer),
        losses=records(sources["losses"], LossPoint),
    )
    write_whole(run.report, page(facts).encode("utf-8"))
    manifest.finish(run, "report", inputs)
    say(f"report: {run.report}")


def records(path: Path, kind: type[Kind]) -> tuple[Kind, ...]:
    """The file's records; none when the stage that writes it has not run."""
    return tuple(read_records(path, kind)) if path.is_file() else ()
