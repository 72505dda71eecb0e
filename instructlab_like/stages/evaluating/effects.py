"""What each contributed leaf did, from a run's files: gathered, measured further if so wanted, and told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Literal, TypeAlias

from instructlab_like.checking.forms.plain import json_text
from instructlab_like.console import aside, say, warn
from instructlab_like.errors import InputError
from instructlab_like.evaluation import summary
from instructlab_like.evaluation.leave_one_out import NOTHING
from instructlab_like.evaluation.summary import CheckpointScore, Summary
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import plain
from instructlab_like.report.contribution import Contributions, chosen, contributions
from instructlab_like.report.contribution_comment import comment
from instructlab_like.report.contribution_text import text
from instructlab_like.report.learning import LeafLearning, learning
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import INCOMPLETE, TUNED
from instructlab_like.stages.evaluating.leave_one_out import leave_out, measured
from instructlab_like.stages.keeping.forget import matching
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.telling.leaf_costs import Costs, leaf_costs
from instructlab_like.stages.training.model_card import SCORED, WEIGHTS, Scored, records, weights_digest
from instructlab_like.tuning.choice import Choice
from instructlab_like.tuning.measures import HeldOutLoss, LeafLoss
from instructlab_like.workspace import FORMAT, Run

Form: TypeAlias = Literal["text", "markdown", "json"]
EVERY = "all"  # in a leaf's place: each that has samples


def effects(
    run: Run,
    *,
    leaves: Sequence[str] = (),
    left_out: Sequence[str] = (),
    another_seed: bool = False,
    dry_run: bool = False,
    form: Form = "text",
) -> None:
    """Tell what each leaf did, or those named; train again without each of `left_out`, and with another seed, first.

    With `dry_run` only say what that would take. Raises InputError for a run that is not trained and evaluated, or that
    has no such leaf.
    """
    made, found = evaluated(run)
    shown = [path for leaf in leaves for path in of_run(made, leaf)]
    going = list(dict.fromkeys(path for leaf in left_out for path in to_leave_out(made, leaf)))
    going += [NOTHING] if another_seed else []
    if dry_run and not going:
        raise InputError("belongs to --leave-one-out and --another-seed", where="--dry-run", fix="add one of them")
    checkpoint, own = checkpoint_of(run, found)
    if going:
        if not own:
            what = f"the adapter that this run has now has no scores, only {checkpoint.name!r} has"
            raise InputError(what, where=str(run.summary), fix=f"ilk evaluate --run {run.name}, without --checkpoint")
        with output_aside(form != "text" and not dry_run):
            leave_out(run, made, going, checkpoint=checkpoint.name, dry_run=dry_run)
        if dry_run:
            return
    for line in doubts(made, found, checkpoint, own=own):
        warn(line)
    told = gather(run, made, found, learnt(run, made))
    told = chosen(told, shown) if shown else told
    say({"text": text, "markdown": comment, "json": as_json}[form](told))


def as_json(told: Contributions) -> str:
    return json_text(plain(told))


def evaluated(run: Run) -> tuple[Manifest, Summary]:
    """The run's manifest and scores; InputError where it has not come so far."""
    made = manifest.read(run)
    if made.generate is None:
        raise InputError("there is no such run, or it made nothing yet", where=str(run.folder), fix="see: ilk runs")
    if "train" not in made.inputs and "evaluate" not in made.inputs:
        fix = f"ilk train --run {run.name}, then ilk evaluate --run {run.name}"
        raise InputError("this run is not trained yet", where=str(run.folder), fix=fix)
    if "evaluate" not in made.inputs:
        what = "this run has no scores yet, or its evaluation was stopped"
        raise InputError(what, where=str(run.folder), fix=f"ilk evaluate --run {run.name}")
    found = summary.read(run.summary)
    if found.format != FORMAT:
        what = f"was written by format {found.format}, this is format {FORMAT}"
        raise InputError(what, where=str(run.summary), fix=f"ilk evaluate --run {run.name} writes it anew")
    return made, found


def of_run(made: Manifest, leaf: str) -> tuple[str, ...]:
    """The leaf of that path, or the leaves of that folder; a path below the workspace will do."""
    assert made.generate is not None
    told = leaf.strip("/").removeprefix("./").removeprefix(made.generate.taxonomy.strip("/") + "/")
    known = [one.path for one in made.leaves]
    if found := matching(told, known):
        return found
    near = [path for path in known if path.endswith(f"/{told}")] or get_close_matches(told, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "its leaves stand in run.yaml; ilk effects lists them"
    raise InputError("this run has no such leaf", where=leaf, fix=hint)


def to_leave_out(made: Manifest, leaf: str) -> tuple[str, ...]:
    """The leaves to leave out one by one; of `all` and of a folder those that have samples."""
    kept = {one.leaf for one in made.counts if one.kept}
    paths = tuple(one.path for one in made.leaves) if leaf == EVERY else of_run(made, leaf)
    found = tuple(path for path in paths if path in kept)
    if not found:
        reasons = {gap.leaf: gap.reason for gap in made.shortfalls}
        why = f": {reasons[paths[0]]}" if len(paths) == 1 and paths[0] in reasons else ""
        what = f"nothing was trained of it, so there is nothing to leave out{why}"
        raise InputError(what, where=leaf, fix="name leaves that have samples; ilk effects lists them")
    return found


def checkpoint_of(run: Run, found: Summary) -> tuple[CheckpointScore, bool]:
    """The run's own adapter among the scores, else the last that has some; and whether it is the run's own."""
    if not found.checkpoints:
        fix = f"ilk evaluate --run {run.name}, once it is trained"
        raise InputError("no checkpoint has scores", where=str(run.summary), fix=fix)
    told = run.evaluation / SCORED
    names = {TUNED}
    if told.is_file() and (run.adapter / WEIGHTS).is_file():
        mine = weights_digest(run.adapter)
        adapters = Scored.model_validate_json(told.read_bytes()).adapters
        names = {name for name, weights in adapters.items() if weights == mine}
    own = next((one for one in found.checkpoints if one.name in names), None)
    return (own, True) if own else (found.checkpoints[-1], False)


def doubts(made: Manifest, found: Summary, checkpoint: CheckpointScore, *, own: bool) -> Iterator[str]:
    """Why the scores may not be those of what the run has now."""
    if found.samples != made.counts:
        yield "the samples have changed since this run was evaluated: ilk train, then ilk evaluate"
    if INCOMPLETE in made.inputs["evaluate"]:
        yield "some questions of this evaluation are not answered yet: ilk evaluate asks them"
    if not own:
        yield f"the scores are of {checkpoint.name}, not of the adapter that this run has now"


def learnt(run: Run, made: Manifest) -> Sequence[LeafLearning]:
    """How each leaf's losses fell."""
    assert made.generate is not None
    return learning(
        losses=list(records(run.training / "losses.jsonl", LeafLoss)),
        held_out=list(records(run.training / "heldout.jsonl", HeldOutLoss)),
        last_seen=(),
        choices=list(records(run.training / "choice.jsonl", Choice)),
        origins=made.leaves,
        samples=(),
        taxonomy=made.generate.taxonomy,
    ).leaves


def gather(run: Run, made: Manifest, found: Summary, losses: Sequence[LeafLearning]) -> Contributions:
    """All that the run's files tell of each leaf."""
    checkpoint, own = checkpoint_of(run, found)
    spent = costs(run, made)
    return contributions(
        run=run.folder.resolve().name,
        summary=found,
        checkpoint=checkpoint,
        trained_here=own,
        enough=(made.evaluate or EvaluateRecipe()).enough,
        origins=made.leaves,
        shortfalls={gap.leaf: gap.reason for gap in made.shortfalls},
        learnt=losses,
        costs=spent.leaves if spent else None,
        total=spent.total if spent else None,
        left_out=measured(run, made) if own else (),
    )


def costs(run: Run, made: Manifest) -> Costs | None:
    """What the leaves cost; None, and a word, for a ledger that is in use or cannot be read."""
    assert made.generate is not None
    try:
        return leaf_costs(run, made.generate)
    except InputError as error:  # no reason to tell nothing of what the leaves did
        warn(f"what the leaves cost is not told: {error}")
        return None


@contextmanager
def output_aside(wanted: bool) -> Iterator[None]:
    """Let what this process and its children say go to standard error, where standard output is for a program."""
    with aside(wanted):
        if not wanted:
            yield
            return
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
