"""Rounds of critique, revision, training and evaluation, each a run of its own made of what the round before kept.

Every round trains the base anew (as STaR does, arXiv 2203.14465) and keeps a share of the run's own samples. Nothing is
done here that a stage does not do: a round that was interrupted goes on where its stage does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson
from pydantic import ValidationError

from instructlab_like.console import say, warn
from instructlab_like.dataset.mix import REPLAY
from instructlab_like.errors import InputError, RecipeError, StoppedError, explain
from instructlab_like.evaluation.endpoint import shown as as_named
from instructlab_like.evaluation.gate import GateResult
from instructlab_like.evaluation.summary import BASE, Summary, summarise
from instructlab_like.filters import judges
from instructlab_like.flows import AskStep, Flow, PreferStep, load_flows
from instructlab_like.generation.plan import check_roles, roles
from instructlab_like.recipe import TARGET, EvaluateRecipe, GenerateRecipe, ImproveRecipe, TeacherRecipe, TrainRecipe
from instructlab_like.records import Answer, Effect, Item, Record, Row, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.evaluate import evaluate, protected
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.generating.parents import Earlier, at_cap, kept
from instructlab_like.stages.library import read_leaves
from instructlab_like.stages.lookup import verdicts_of
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training.train import need_stack, train
from instructlab_like.workspace import FORMAT, Run, find, read_records, write_whole

FILE = "8-rounds.json"
UNANSWERED = re.compile(r"no answer \((\w+)\)")  # in a verdict: the kind of failure

Why = Literal["no gain", "gate", "depth cap", "no parents", "nothing kept", "rounds"]


class Round(Record):
    """One training, and what it changed; 0 is the run itself. Scores are those on the questions of the round's run."""

    number: int
    run: str  # what --run takes
    adapter: str
    parents: int = 0  # samples of the round before that may be taken up
    made: int
    kept: int
    depths: dict[int, int] = {}  # how many of the kept have so many synthetic generations between them and human text
    trained: int  # different samples in training, replay apart
    own: int  # of them, those that the run itself had before the first round
    score: float | None = None  # mean over leaves
    change: Effect | None = None  # against the round before, on the same questions
    gates: tuple[GateResult, ...] = ()  # against the base, and against the round before
    gained: bool = False

    @property
    def own_share(self) -> float:
        return self.own / self.trained if self.trained else 0.0


class Rounds(Record):
    """`8-rounds.json`: what each round came to, why there is no further one, and which is the best."""

    format: int = FORMAT
    run: str
    rounds: tuple[Round, ...] = ()
    best: int = 0
    adapter: str = ""  # of the best round
    stopped: Why | None = None  # None: they are under way
    reason: str = ""


@dataclass(frozen=True)
class Wish:
    """The recipes as somebody gave them; None: as the run has them."""

    generate: GenerateRecipe | None = None
    train: TrainRecipe | None = None
    evaluate: EvaluateRecipe | None = None
    improve: ImproveRecipe = field(default_factory=ImproveRecipe)


def improve(run: Run, wish: Wish, *, agreed: bool = False) -> Rounds:
    """Do rounds until one gains nothing, the gate says no, no parents are left or there were enough; name the best.

    Raises InputError for what is known to be wrong before the first call is paid for, StoppedError where a stage was
    stopped: the same command goes on.
    """
    need_stack()
    told = settled(run, wish)
    if wish.generate:
        generate(run, wish.generate, agreed=agreed)
    complete(run)
    train(run, told.train, agreed=agreed)
    found = Rounds(run=run.name, rounds=(counted(run, run, 0),), adapter=str(run.adapter))
    write(run, found)
    while found.stopped is None:
        found = onward(run, told, found, agreed=agreed)
        write(run, found)
    for line in lines(found):
        say(line)
    return found


# --- what is told


@dataclass(frozen=True)
class Settled:
    """The recipes in force."""

    generate: GenerateRecipe
    train: TrainRecipe
    evaluate: EvaluateRecipe
    improve: ImproveRecipe
    flows: Sequence[Flow]

    def of_round(self, run: Run, previous: Run) -> GenerateRecipe:
        """How a round makes its samples."""
        needed = {*roles(self.flows), *judges(self.generate.filters)}
        asked = {role: one for role, one in self.generate.roles.items() if role in needed} | self.improve.roles
        student = TeacherRecipe(kind="local", model=self.train.model, adapter=str(previous.adapter))
        asked |= dict.fromkeys(self.improve.student, student)
        left = needed - {*self.improve.roles, *self.improve.student}
        changed: dict[str, object] = {
            "flows": self.improve.flows,
            "teacher": self.improve.teacher or self.generate.teacher,
            "roles": asked,
            "routes": {role: rules for role, rules in self.generate.routes.items() if role in left},
            "forced_routes": {role: name for role, name in self.generate.forced_routes.items() if role in left},
            "parents": (previous.name,),
            "carry": run.name,
            "carry_share": self.improve.own_share,
            "target": None,  # it was that of the run's own samples
            "filters": tuple(one for one in self.generate.filters if one.name != TARGET),
            "pardons": (),
        }
        return self.generate.model_copy(update=changed)


def settled(run: Run, wish: Wish) -> Settled:
    """The recipes in force; InputError for what is known to be wrong with them."""
    made = manifest.read(run)
    how = wish.generate or made.generate
    if how is None:
        fix = "make it first (ilk generate), or give a recipe with a section generate"
        raise InputError("there is no such run, or it made nothing yet", where=str(run.folder), fix=fix)
    if made.generate:
        how = how.model_copy(update={"exclude": tuple(dict.fromkeys((*how.exclude, *made.generate.exclude)))})
    trained = wish.train or made.train
    if trained is None:
        fix = "ilk train, or give a recipe with a section train"
        raise InputError("this run is not trained, and no recipe says how", where=str(run.folder), fix=fix)
    told = Settled(
        how, trained, wish.evaluate or made.evaluate or EvaluateRecipe(), wish.improve, load_flows(wish.improve.flows)
    )
    check(told, run)
    return told


def check(told: Settled, run: Run) -> None:
    """Raise InputError for flows and roles with which no round can be done."""
    for flow in told.flows:
        if not flow.begins_with_samples:
            what = f"the flow {flow.name!r} does not begin with samples of an earlier run"
            raise RecipeError(what, where="improve: flows", fix="its first step must say each: [sample]")
    for role in told.improve.student:
        if role in told.improve.roles:
            what = f"the role {role!r} is both the student's and somebody else's"
            raise RecipeError(what, where="improve: student", fix="name it under `roles` or under `student`")
        if role not in roles(told.flows):
            fix = f"roles of these flows: {', '.join(roles(told.flows))}"
            raise RecipeError(f"no flow has a role {role!r}", where="improve: student", fix=fix)
        if scoring := [flow.name for flow in told.flows if role in judging(flow)]:
            what = f"the {role} scores in {scoring[0]!r}, and the student would judge itself"
            raise RecipeError(what, where="improve: student", fix="leave the role to somebody else")
    recipe = told.of_round(run, run)
    check_roles(told.flows, recipe, judges(recipe.filters))
    scoring_roles = {role for flow in told.flows for role in judging(flow)}
    who = {role: recipe.roles.get(role) or recipe.teacher for role in roles(told.flows) if role not in recipe.routes}
    named = {role: (one.kind, one.model, one.adapter) for role, one in who.items() if one}
    for role in sorted(scoring_roles & named.keys()):
        if writing := sorted(other for other in named.keys() - scoring_roles if named[other] == named[role]):
            warn(f"improve: {role} and {' and '.join(writing)} are one model, which scores what it wrote itself")


def judging(flow: Flow) -> set[str]:
    """The roles whose answers decide what is kept."""
    fields = {name for step in flow.steps if isinstance(step, PreferStep) for name in step.by}
    return {
        step.role
        for step in flow.steps
        if isinstance(step, AskStep)
        and (step.keep or fields & {step.named_as.get(tag, tag) for tag in flow.templates[step.name].yields})
    }


# --- one round


def onward(run: Run, told: Settled, before: Rounds, *, agreed: bool) -> Rounds:
    """One round more, or why there is none."""
    number = len(before.rounds)
    if number > told.improve.rounds:
        return ended(before, "rounds", f"{told.improve.rounds} were asked for, and the last one still gained")
    previous, current = of_number(run, number - 1), of_number(run, number)
    recipe = told.of_round(run, previous)
    refuse_another(current, recipe)
    leaves = read_leaves(find(recipe.taxonomy), recipe.leaves, recipe.exclude)
    earlier = Earlier(recipe, told.flows, leaves, own=current)
    usable = sum(map(earlier.count, leaves))
    if not usable:
        capped = sum(map(at_cap, earlier.unused))
        why: Why = "depth cap" if capped else "no parents"
        reasons = Counter(use.reason for use in earlier.unused)
        shown = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common()) or "nothing was kept"
        return ended(before, why, f"no sample of {previous.name} may be taken up ({shown})")
    say(f"improve: round {number} of at most {told.improve.rounds}: {current.name}, out of {usable} samples")
    generate(current, recipe, agreed=agreed)
    complete(current)
    if not kept_of(current):
        return ended(before, "nothing kept", f"none of the {usable} samples that were taken up led to one")
    train(current, told.train, agreed=agreed)
    checkpoints = (str(previous.adapter), str(current.adapter))
    asked = told.evaluate.model_copy(update={"checkpoints": checkpoints})
    evaluate(current, asked)
    done = judged(current, counted(run, current, number).model_copy(update={"parents": usable}), asked)
    return decided(before, done, strict=told.improve.strict)


def of_number(run: Run, number: int) -> Run:
    """The run of a round; the run itself is round 0."""
    return Run(run.folder.with_name(f"{run.folder.name}-round-{number}")) if number else run


def refuse_another(current: Run, recipe: GenerateRecipe) -> None:
    """Raise InputError for a run of a round's name that is none."""
    made = manifest.read(current)
    if made.generate is not None and made.generate.parents != recipe.parents:
        what = f"exists, and is no round of {recipe.carry}"
        raise InputError(what, where=str(current.folder), fix="rename it, or give the run to improve another name")


def complete(run: Run) -> None:
    """Raise StoppedError where calls of a run got no answer, refusals apart, InputError where it is not finished."""
    made = manifest.read(run)
    if not manifest.finished(made):
        fix = f"finish it first: ilk generate --run {run.name}"
        raise InputError("this run is not finished", where=str(run.folder), fix=fix)
    if "," not in made.inputs["generate"]:
        return
    kinds = Counter(found[1] for row in verdicts_of(run) if (found := UNANSWERED.search(row["reason"])))
    lacking = kinds.total() - kinds["refused"]
    if lacking:
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common() if kind != "refused")
        fix = "see to the server; the same command asks for these alone"
        raise StoppedError(f"{lacking} calls of {run.name} got no answer ({told})", where=str(run.folder), fix=fix)


def kept_of(run: Run) -> int:
    return sum(leaf.kept for leaf in manifest.read(run).counts)


def counted(own: Run, run: Run, number: int) -> Round:
    """What a round was trained on."""
    made = manifest.read(run)
    rows = {
        row.sample
        for path in sorted((run.dataset / "data").glob("*-train.jsonl"))
        for row in read_records(path, Row)
        if row.leaf != REPLAY
    }
    samples = kept(run)
    first = {sample.id for sample in (kept(own) if number else samples)}
    return Round(
        number=number,
        run=run.name,
        adapter=str(run.adapter),
        made=sum(leaf.made for leaf in made.counts),
        kept=len(samples),
        depths=dict(sorted(Counter(sample.lineage.depth for sample in samples).items())),
        trained=len(rows),
        own=len(rows & first),
    )


def judged(current: Run, done: Round, asked: EvaluateRecipe) -> Round:
    """The round with its scores against base and round before."""
    made = manifest.read(current)
    items = list(read_records(current.evaluation / "items.jsonl", Item))
    answers = list(read_records(current.evaluation / "answers.jsonl", Answer))
    before, after = map(as_named, asked.checkpoints)
    protect = () if made.generate is None else protect_of(current, made, asked)

    def against(name: str) -> Summary:
        first = [one.model_copy(update={"model": BASE}) for one in answers if one.model == name]
        second = [one for one in answers if one.model == after]
        return summarise(
            items,
            [*first, *second],
            enough=asked.enough,
            leaves=made.counts,
            base=name,
            protect=protect,
            margin=asked.margin,
        )

    from_base, from_before = against(BASE), against(before)
    scored = from_before.checkpoints[0]
    change = scored.overall_effect
    return done.model_copy(
        update={
            "score": scored.overall,
            "change": change,
            "gates": tuple(one.gate for one in (from_base, from_before) if one.gate),
            "gained": change is not None and change.effect == "better",
        }
    )


def protect_of(run: Run, made: Manifest, asked: EvaluateRecipe) -> tuple[str, ...]:
    assert made.generate is not None
    leaves = read_leaves(find(made.generate.taxonomy), made.generate.leaves, made.generate.exclude)
    return protected(run, made, asked, leaves)


def decided(before: Rounds, done: Round, *, strict: bool) -> Rounds:
    """The rounds with this one: it is the best so far, or the last."""
    found = before.model_copy(update={"rounds": (*before.rounds, done)})
    refused = [reason for gate in done.gates for reason in (*gate.reasons, *(gate.undecided if strict else ()))]
    if refused:
        return ended(found, "gate", "; ".join(dict.fromkeys(refused)))
    if not done.gained:
        return ended(found, "no gain", shown(done))
    return found.model_copy(update={"best": done.number, "adapter": done.adapter})


def ended(found: Rounds, why: Why, reason: str) -> Rounds:
    return found.model_copy(update={"stopped": why, "reason": reason})


# --- what is written and said


def write(run: Run, found: Rounds) -> None:
    write_whole(run.folder / FILE, orjson.dumps(plain(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read(path: Path) -> Rounds:
    """The rounds of a run; InputError when the file is missing or not one of this version."""
    try:
        return Rounds.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError("there are no rounds yet", where=str(path), fix="make them first: ilk improve") from error
    except ValidationError as error:
        fix = "it was changed by hand or by another version: ilk improve writes it anew"
        raise InputError("; ".join(explain(error)), where=str(path), fix=fix) from error


def lines(found: Rounds) -> Iterator[str]:
    """The rounds for people."""
    for one in found.rounds:
        depth = f", at most {max(one.depths)} deep" if one.depths else ""
        yield (
            f"round {one.number} ({one.run}): kept {one.kept} of {one.made} samples{depth}; trained on {one.trained}, "
            f"{one.own} of them the run's own ({one.own_share:.0%})"
        )
        if one.number:
            yield f"  {shown(one)}{': gains' if one.gained else ''}"
    yield f"improve: stopped ({found.stopped}): {found.reason}"
    yield f"improve: the best is round {found.best} → {found.adapter}"


def shown(one: Round) -> str:
    """How its scores differ from those of the round before."""
    if one.change is None:
        return "no question has a score in both rounds, so that no gain can be shown"
    low, mid, high = one.change.delta
    told = (
        f"held-out {one.change.base:.2f} → {one.change.tuned:.2f}, change {mid:+.2f} [{low:+.2f} to {high:+.2f}], "
        f"{one.change.n} questions"
    )
    few = low > 0 and one.change.effect == "underpowered"
    return f"{told}, too few to call it a gain" if few else told
