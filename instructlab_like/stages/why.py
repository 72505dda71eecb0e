"""A sample's whole story, from the files of its run: where it comes from, what was asked, what every filter said."""

from __future__ import annotations

from collections.abc import Sequence

from instructlab_like.console import say
from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.records import AskTask, LeafOrigin, Sample, Verdict
from instructlab_like.stages import manifest
from instructlab_like.stages.plans import read_plan
from instructlab_like.workspace import Run, read_records

SHOWN = 20  # ids named when a beginning fits several


def why(run: Run, subject: str) -> None:
    """Print the story of the sample or unparsed answer whose id begins with `subject`.

    Raises InputError when the run has none, or more than one.
    """
    samples = [sample for sample in read_records(run.samples, Sample) if sample.id.startswith(subject)]
    verdicts = [verdict for verdict in read_records(run.verdicts, Verdict) if verdict.subject.startswith(subject)]
    found = sorted({sample.id for sample in samples} | {verdict.subject for verdict in verdicts})
    if not found:
        raise InputError(
            f"nothing in this run has an id that begins with {subject!r}",
            where=str(run.samples),
            fix="ids stand in 2-samples.jsonl, 3-verdicts.jsonl and the report",
        )
    if len(found) > 1:
        listed = ", ".join(found[:SHOWN]) + (" …" if len(found) > SHOWN else "")
        raise InputError(f"{len(found)} ids begin with {subject!r}: {listed}", where=str(run.samples), fix="give more")
    origins = {origin.path: origin for origin in manifest.read(run).leaves}
    for sample in samples:
        tell(sample, origins.get(sample.lineage.leaf))
    judge(verdicts)
    show_call(run, samples, found[0])


def tell(sample: Sample, origin: LeafOrigin | None) -> None:
    lineage = sample.lineage
    say(f"sample    {sample.id} ({sample.kind})")
    say(f"question  {sample.question}")
    say(f"answer    {sample.answer}")
    if sample.evidence and sample.context:
        start, end = sample.evidence
        say(f"evidence  {sample.context[start:end]!r} (characters {start} to {end} of the chunk)")
    say(f"leaf      {lineage.leaf} (blob {lineage.leaf_blob[:12]})")
    if origin:
        state = ", changed since" if origin.dirty else ""
        say(f"          commit {(origin.commit or 'none')[:12]} by {origin.author or 'nobody'}{state}")
    told = {
        "seed": lineage.seed,
        "chunk": lineage.chunk,
        "template": lineage.template and f"{lineage.template} (blob {(lineage.template_blob or '')[:12]})",
        "params": lineage.params,
        "parents": ", ".join(lineage.parents),
    }
    for name, value in told.items():
        if value:
            say(f"{name:<9} {value}")
    say(f"made by   {lineage.method}: {lineage.model}, draw {lineage.draw}")


def judge(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        score = "" if verdict.score is None else f" score {verdict.score:.3f}"
        limit = "" if verdict.threshold is None else f" threshold {verdict.threshold:g}"
        partner = f" by {verdict.partner}" if verdict.partner else ""
        word = "kept" if verdict.keep else "REJECTED"
        say(f"{word:<9} {verdict.filter}/{verdict.version}: {verdict.reason}{score}{limit}{partner}")
    if verdicts and all(verdict.keep for verdict in verdicts):
        say("          it is in the dataset, in train or test")


def show_call(run: Run, samples: Sequence[Sample], subject: str) -> None:
    """The prompt and the answer behind a teacher's sample, or behind an answer that could not be parsed."""
    if samples and samples[0].lineage.method != "teacher":
        return
    for task in read_plan(run):
        if not isinstance(task, AskTask) or not asked_by(task, samples, subject):
            continue
        with Ledger(run.ledger) as ledger:
            completion = ledger.committed(task.prompt.key)
        say(f"call      {task.prompt.key}")
        for message in task.prompt.messages:
            say(f"--- {message.role}\n{message.content}")
        if completion is not None:
            say(f"--- answer ({completion.finish_reason})\n{completion.text}")
        return


def asked_by(task: AskTask, samples: Sequence[Sample], subject: str) -> bool:
    return task.prompt.key == subject or any(task.prompt.lineage == sample.lineage for sample in samples)
