"""Flows: short YAML files that say in which steps samples are made of a leaf, and who is asked in each.

    purpose: Questions, judged; their answers, judged as pairs
    leaves: [freeform]                     # of knowledge, freeform, grounded: which leaves it takes
    axes: {tone: [formal, friendly]}       # what prompts are varied by, if they are
    steps:
      - name: questions                    # unique; stands in lineage and verdicts
        template: skill/questions.j2
        role: asker                        # recipe `roles`; a role that is not named there is the recipe's teacher
        each: [seeds]                      # first step only: what one prompt is about
        fan_out: true                      # each group of the answer goes on by itself
      - name: question-judge
        template: judge/question.j2
        role: critic
        keep: {score: {at_least: 1}}       # a record that fails is rejected, with this as the reason
      - name: again
        template: skill/answer.j2
        role: expert
        when: {pair_score: {at_most: 1}}   # a record for which this does not hold passes the step by, as it is

A record starts with its leaf's variables; every step adds the texts that its template yields. At the end, a record with
a question and an answer is a sample.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from instructlab_like import axes
from instructlab_like.axes import FROM, FromLeaf
from instructlab_like.errors import RecipeError
from instructlab_like.flows.check import Check
from instructlab_like.flows.flow import Flow as Flow
from instructlab_like.flows.flow import kind_of as kind_of
from instructlab_like.flows.sheet import LARGEST, read
from instructlab_like.flows.steps import ABOUT as ABOUT
from instructlab_like.flows.steps import AskStep as AskStep
from instructlab_like.flows.steps import Condition as Condition
from instructlab_like.flows.steps import LeafKind as LeafKind
from instructlab_like.flows.steps import Limits as Limits
from instructlab_like.flows.steps import Plan as Plan
from instructlab_like.flows.steps import PreferStep as PreferStep
from instructlab_like.flows.steps import RulesStep as RulesStep
from instructlab_like.flows.steps import Same as Same
from instructlab_like.flows.steps import SimulationStep as SimulationStep
from instructlab_like.flows.steps import Step as Step
from instructlab_like.prompts import FOLDER, load_templates
from instructlab_like.records import blob_id
from instructlab_like.workspace import find, shipped_root

FLOWS = f"{FOLDER}/flows"
SUFFIX = ".yaml"


def load_flows(names: Iterable[str]) -> list[Flow]:
    """The flows by name or path, each once; raises InputError for a flow or a template of it that is wrong."""
    flows = [load_flow(name) for name in dict.fromkeys(names)]
    for flow in flows:
        if twin := next((other for other in flows if other.name == flow.name and other is not flow), None):
            raise RecipeError(
                f"two flows are called {flow.name!r}", where=f"{twin.path} and {flow.path}", fix="rename one of them"
            )
    return flows


def load_flow(name: str) -> Flow:
    """A flow by its name ("knowledge") or by a path that ends in .yaml; its templates are looked for beside it first.

    Raises RecipeError naming file, line and step for whatever would fail later, TemplateError for its templates.
    """
    path, beside = located(name)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(path), fix="check its permissions") from error
    sheet = read(data, path)
    plan = sheet.plan()
    asking = [(number, step) for number, step in enumerate(plan.steps) if isinstance(step, AskStep)]
    places = {step.template: sheet.at("steps", number, "template") for number, step in reversed(asking)}
    found = load_templates({step.template: places[step.template] for _, step in asking}, beside)
    templates = {step.name: found[step.template] for _, step in asking}
    told = {
        axis: axes.check(axis, said, beside=path.parent, where=sheet.at("axes", axis, *drawn_at(said)))
        for axis, said in plan.axes.items()
    }
    flow = Flow(
        name=path.stem,
        path=path,
        blob=blob_id(data),
        plan=plan,
        templates=templates,
        values={axis: one for axis, one in told.items() if not isinstance(one, FromLeaf)},
        drawn={axis: one for axis, one in told.items() if isinstance(one, FromLeaf)},
    )
    Check(flow, sheet).all()
    return flow


def drawn_at(said: object) -> tuple[str, ...]:
    """Where in an axis the source stands that it is drawn from."""
    return (FROM,) if isinstance(said, dict) and said.keys() == {FROM} else ()


def located(name: str) -> tuple[Path, Path | None]:
    """The flow's file, and the folder in which its templates are looked for first, if it is the user's own."""
    if name.endswith((SUFFIX, ".yml")) or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise RecipeError("there is no such flow file", where=name, fix=f"check the path; shipped: {known()}")
        return path, path.parent
    path = find(f"{FLOWS}/{name}{SUFFIX}")
    if not path.is_file():
        near = difflib.get_close_matches(name, shipped_flows(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {known()}; or give the path of a file"
        raise RecipeError(f"there is no flow {name!r}", where="flows", fix=hint)
    return path, None


def shipped_flows() -> list[str]:
    return sorted(path.stem for path in (shipped_root() / FLOWS).glob(f"*{SUFFIX}"))


def known() -> str:
    return ", ".join(shipped_flows())
