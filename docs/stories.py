"""Write docs/methods.md and a page for each shipped flow: where it comes from, its first prompt, one sample's story.

PYTHONPATH=tests python docs/stories.py     # the runs that it tells of ask the scripted teacher of the tests
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
from server import TeacherServer
from teacher_answers import answered

from instructlab_like.flows import AskStep, Flow, load_flow, shipped_flows
from instructlab_like.recipe import FilterChoice, GenerateRecipe, TeacherRecipe
from instructlab_like.records import Leaf, Verdict
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.telling.why import why
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, read_records, shipped_root

DOCS = Path(__file__).parent
FOLDER, INDEX = "methods", "methods.md"
TEACHER = "scripted"
# Leaves of the starter tree: a flow is told of on the first of which it makes samples.
LEAVES = (
    "knowledge/nature/reserves/loomsey_marsh",
    "compositional_skills/writing/freeform/polite_refusal",
    "compositional_skills/writing/grounded/notice_summary",
    "compositional_skills/office/post/parcel_class",
)
FILTERS = ("encoding", "markup", "truncation", "length", "repetition")  # the answers are not meant to pass the others
LAB = "LAB, arXiv 2403.01081"
REVISION = "answer, feedback and revision as a preference pair: Phi-4, arXiv 2412.08905"
SOURCES = {  # of flows whose purpose names no paper; the longest beginning of a name counts
    "knowledge": LAB,
    "freeform": LAB,
    "grounded": LAB,
    "revise": REVISION,
    "self-improve": REVISION,
    "distil": "distillation by questions of a teacher and its answers: Self-Instruct, arXiv 2212.10560",
    "rules": "questions cut out of sentences by rules, without a model",
    "simulation": "a simulation's draws with their computed answers, without a model",
}
OWN = "a method of this project"
PAPER = re.compile(r"\s*\(([^()]*(?:arXiv|Cosmopedia|Hub|WizardLM|phi-|Phi-)[^()]*)\)\s*$")
WHEN = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
WHO = {
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}  # fmt: skip
UNCONFIGURED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
FENCE = "~~~~~~"

Row = dict[str, Any]  # of a run's files


@dataclass(frozen=True)
class Told:
    """What a page tells of a flow."""

    flow: Flow
    leaf: str
    prompt: tuple[tuple[str, str], ...]  # roles and texts; none of a flow without a teacher
    cell: Mapping[str, object]
    sample: str
    story: str


def pages() -> dict[str, str]:
    """Every page by its name below docs/."""
    told = stories()
    return {INDEX: index(told), **{f"{FOLDER}/{one.flow.name}.md": page(one) for one in told}}


# --- the runs ---------------------------------------------------------------------------------------------------


def stories() -> list[Told]:
    flows = [load_flow(name) for name in shipped_flows()]
    later = [flow for flow in flows if flow.begins_with_samples]
    first = [flow for flow in flows if flow not in later]
    with tempfile.TemporaryDirectory() as scratch, inside(Path(scratch)), TeacherServer(answer=scripted) as server:
        plant(Path("taxonomy"))
        leaves = read_tree(Path("taxonomy"), LEAVES)[0]
        found = made("first", first, server.url, leaves)
        found |= made("second", later, server.url, leaves, parents="first") if later else {}
        wrong = [name for name, one in found.items() if scratch in one.story or str(server.port) in one.story]
    assert not wrong, f"a path or a port of this machine stands in the story of {wrong}"
    return [found[flow.name] for flow in flows]


scripted = partial(answered, always_good=True)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with a cache of its own."""
    before, cache = Path.cwd(), os.environ.get("ILK_CACHE")
    os.chdir(folder)
    os.environ["ILK_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ["ILK_CACHE"]
        else:
            os.environ["ILK_CACHE"] = cache


def plant(folder: Path) -> None:
    """The starter tree as the only commit of a repository that is the same everywhere."""
    shutil.copytree(shipped_root() / "taxonomy", folder)
    settings = ["-c", "init.defaultBranch=main", "-c", "core.autocrlf=false", "-c", "core.fileMode=false"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "The starter tree"]):
        subprocess.run(
            ["git", *settings, *command], cwd=folder, check=True, env=os.environ | WHEN | WHO | UNCONFIGURED,
            capture_output=True,
        )  # fmt: skip


def made(
    name: str, flows: Sequence[Flow], url: str, leaves: Sequence[Leaf], parents: str | None = None
) -> dict[str, Told]:
    """A run of the flows, and what it has to tell of each."""
    told: dict[str, object] = {} if parents is None else {"parents": (parents,)}
    recipe = GenerateRecipe(
        flows=tuple(flow.name for flow in flows),
        leaves=tuple(leaf.path for leaf in leaves),
        prompts_per_leaf=1,
        pairs_per_prompt=1,
        samples_per_simulation=3,
        test_share=0.0,
        filters=tuple(FilterChoice(name=one) for one in FILTERS),
        teacher=TeacherRecipe(kind="http", url=url, model=TEACHER, concurrency=1),
    )
    run = Run(Path("runs") / name)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        generate(run, recipe.model_copy(update=told))
    rejected = {verdict.subject for verdict in read_records(run.verdicts, Verdict) if not verdict.keep}
    with run.samples.open("rb") as file:
        kept = [row for row in map(orjson.loads, file) if row["id"] not in rejected]
    with run.plan.open("rb") as file:
        tasks = [row for row in map(orjson.loads, file) if "prompt" in row]
    return {flow.name: tell(run, flow, kept, tasks) for flow in flows}


def tell(run: Run, flow: Flow, kept: Sequence[Row], tasks: Sequence[Row]) -> Told:
    """The first sample of the flow that was kept, with the prompt that it begins with."""
    found = [row for row in kept if row["lineage"]["flow"] == flow.name]
    sample = min(found, key=lambda row: LEAVES.index(row["lineage"]["leaf"]), default=None)
    if sample is None:
        raise SystemExit(f"docs/stories.py: the run kept no sample of {flow.name}; see its template and LEAVES")
    lineage = sample["lineage"]
    first = ((row, row["prompt"]["lineage"]) for row in tasks)
    task = next((row for row, told in first if (row["flow"], told["leaf"]) == (flow.name, lineage["leaf"])), None)
    said = StringIO()
    with redirect_stdout(said):
        why(run, sample["id"])
    return Told(
        flow=flow,
        leaf=lineage["leaf"],
        prompt=tuple((one["role"], one["content"]) for one in task["prompt"]["messages"]) if task else (),
        cell=(task["prompt"]["lineage"]["params"] if task else None) or {},
        sample=sample["id"],
        story=said.getvalue(),
    )


# --- the pages --------------------------------------------------------------------------------------------------


def index(told: Sequence[Told]) -> str:
    lines = [
        "# Methods",
        "",
        "Every shipped flow: where it comes from, the first prompt that it sends, and a sample's story. What each",
        "costs and how to write one: [flows.md](flows.md). The answers are scripted: the teacher is that of the tests,",
        "which puts them together out of the prompt by rules. So a story shows a way, not how good a method is.",
        "",
        "| flow | takes | purpose | from |",
        "|---|---|---|---|",
    ]
    for one in told:
        purpose, source = origin(one.flow)
        name, takes = one.flow.name, ", ".join(one.flow.plan.leaves)
        lines.append(f"| [`{name}`]({FOLDER}/{name}.md) | {takes} | {purpose} | {source} |")
    return "\n".join([*lines, "", MADE.format("")])


def page(told: Told) -> str:
    flow = told.flow
    purpose, source = origin(flow)
    lines = [
        f"# {flow.name}",
        "",
        f"{purpose}.",
        "",
        f"- **Takes** {', '.join(flow.plan.leaves)} leaves.",
        f"- **From** {source}.",
    ]
    lines += [f"- **Varied by** {'; '.join(varied(flow))}."] if flow.plan.axes else []
    lines += [f"- **Asks** {', '.join(flow.roles)}."] if flow.roles else ["- **Asks** nobody."]
    lines += [f"- **Steps** {' → '.join(steps(flow))}.", ""]
    if told.prompt:
        shown = "\n".join(f"=== {role}\n{content}\n" for role, content in told.prompt)
        cell = f", in the cell {', '.join(f'{axis}: {name}' for axis, name in told.cell.items())}" if told.cell else ""
        lines += ["## Its first prompt", "", f"For the starter leaf `{told.leaf}`{cell}:", "", *fenced(shown), ""]
    else:
        lines += ["It sends no prompt.", ""]
    lines += ["## One sample's story", ""]
    if told.flow.roles:
        lines += [
            "The answers are scripted: the teacher of the tests puts them together out of the prompt, by rules.",
            "",
        ]
    lines += [*fenced(f"$ ilk why {told.sample[:12]}\n{told.story}"), "", MADE.format("../")]
    return "\n".join(lines)


MADE = "*Written by `PYTHONPATH=tests python docs/stories.py`; how to read a flow: [flows.md]({}flows.md).*\n"


def origin(flow: Flow) -> tuple[str, str]:
    """The purpose without the paper that it names, and the paper or what else it comes from."""
    purpose = flow.plan.purpose.replace("|", "/")
    if paper := PAPER.search(purpose):
        return purpose[: paper.start()], paper[1]
    known = [name for name in SOURCES if flow.name == name or flow.name.startswith(f"{name}-")]
    return purpose.rstrip("."), SOURCES[max(known, key=len)] if known else OWN


def varied(flow: Flow) -> Iterator[str]:
    for axis in flow.plan.axes:
        if axis in flow.drawn:
            yield f"`{axis}`, whose values each leaf gives ({flow.drawn[axis].source})"
        else:
            yield f"`{axis}` ({len(flow.values[axis])} values)"


def steps(flow: Flow) -> Iterator[str]:
    for step in flow.steps:
        if isinstance(step, AskStep):
            yield f"{step.name} ([{step.template}](../../templates/{step.template}))"
        else:
            yield step.name


def fenced(text: str) -> list[str]:
    return [f"{FENCE}text", *text.rstrip("\n").split("\n"), FENCE]


def main() -> None:
    wanted = pages()
    for path in (DOCS / FOLDER).glob("*.md"):
        if f"{FOLDER}/{path.name}" not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
