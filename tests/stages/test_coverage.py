"""How far samples cover a flow's axes, from a run with a teacher that answers out of its prompts."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import orjson
import pytest
from leaf_files import skill, write_leaf
from server import TeacherServer
from teacher_answers import answered
from typer.testing import CliRunner

from instructlab_like.cli import app
from instructlab_like.errors import IlkError
from instructlab_like.flows import load_flow
from instructlab_like.records import Sample, Verdict
from instructlab_like.stages.telling.coverage import covered
from instructlab_like.workspace import Run, read_records, shipped_root

LEAF = "compositional_skills/writing/freeform/polite_refusal"


def ilk(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, IlkError):
        return result.exception.code, f"{result.output}{result.exception}"
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("covered")
    with pytest.MonkeyPatch.context() as patch, TeacherServer() as server:
        patch.chdir(folder)
        patch.setenv("ILK_CACHE", str(folder / "cache"))
        recipe = "generate: {prompts_per_leaf: 6, pairs_per_prompt: 2, filters: [shape]}\n"
        (folder / "r.yaml").write_text(recipe)
        words = ("--run", "t", "--recipe", "r.yaml", "--leaf", LEAF, "--taxonomy", str(shipped_root() / "taxonomy"))
        asked = ("--flow", "edge-cases", "--flow", "persona", "--teacher", server.url, "--teacher-model", "m")
        code, told = ilk("generate", *words, *asked)
        assert code == 0, told
    return folder


@pytest.fixture
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(workspace)
    return Run(workspace / "runs" / "t")


def test_what_is_counted_is_what_samples_and_verdicts_say(run: Run) -> None:
    rejected = {verdict.subject for verdict in read_records(run.verdicts, Verdict) if not verdict.keep}
    edges: Counter[object] = Counter()
    for sample in read_records(run.samples, Sample):
        if sample.lineage.flow == "edge-cases" and sample.id not in rejected:
            assert sample.lineage.params
            edges[sample.lineage.params["edge"]] += 1
    found = covered(run, least=1)
    axis = next(one for one in found.axes if one.axis == "edge")
    assert axis.values == tuple(load_flow("edge-cases").values["edge"])
    assert [leaf.leaf for leaf in axis.leaves] == [LEAF]
    assert dict(zip(axis.values, axis.leaves[0].kept, strict=True)) == {value: edges[value] for value in axis.values}
    assert sum(map(bool, axis.leaves[0].made)) == 6  # of eight: one for each prompt


def test_the_gaps_are_listed_and_fail_when_they_are_meant_to(run: Run) -> None:
    code, told = ilk("coverage", "--run", "t")
    assert code == 0
    missing = [value for value in load_flow("edge-cases").values["edge"] if f"× {value}: 0" in told]
    assert len(missing) >= 2
    assert "persona: samples kept of each value" in told
    assert "of 32 values" in told
    code, told = ilk("coverage", "--run", "t", "--strict")
    assert code == 1
    assert "are not covered" in told
    code, told = ilk("coverage", "--run", "t", "--format", "json", "--least", "1000")
    found = orjson.loads(told)
    assert found["least"] == 1000
    assert {axis["axis"] for axis in found["axes"]} == {"edge", "persona"}


def test_a_run_without_axes_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ilk("coverage", "--run", "none")[0] == 2
    tree = shipped_root() / "taxonomy"
    leaf = min(path.parent for path in tree.rglob("simulation.yaml")).relative_to(tree)
    words = ("--run", "t", "--flow", "simulation", "--leaf", str(leaf), "--taxonomy", str(tree))
    assert ilk("generate", *words)[0] == 0
    code, told = ilk("coverage", "--run", "t")
    assert code == 2
    assert "no flow of this run has axes" in told


def test_of_an_axis_that_leaves_give_each_leaf_has_a_matrix_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("letters", "labels"):
        write_leaf(tmp_path / "taxonomy", f"compositional_skills/office/{name}", skill())
    (tmp_path / "r.yaml").write_text("generate: {prompts_per_leaf: 12, pairs_per_prompt: 1, filters: [shape]}\n")
    words = ["generate", "--run", "t", "--recipe", "r.yaml", "--flow", "textbook"]
    with TeacherServer(answer=partial(answered, always_good=True)) as server:
        words += ["--teacher", server.url, "--teacher-model", "m"]
        code, told = ilk(*words, "--leaf", "compositional_skills/office/labels")
        assert code == 0, told
        (topics,) = [axis for axis in covered(Run(tmp_path / "runs" / "t"), least=1).axes if axis.axis == "topic"]
        assert set(topics.values) == {*(f"seed {n}" for n in range(1, 6)), "compositional_skills/office/letters"}
        assert [(leaf.leaf, set(leaf.made)) for leaf in topics.leaves] == [("compositional_skills/office/labels", {2})]
        asked = server.requests
        code, told = ilk(*words, "--leaf", "compositional_skills/office/labels")
        assert "up to date" in told
        qna = tmp_path / "taxonomy" / "compositional_skills" / "office" / "letters" / "qna.yaml"
        qna.write_text(qna.read_text().replace("Add numbers.", "Write letters."))
        code, told = ilk(*words, "--leaf", "compositional_skills/office/labels")
        assert code == 0, told
        assert "up to date" not in told
        assert 0 < server.requests - asked < asked  # what the other leaf's topic stands in, and what follows from it
    code, told = ilk("coverage", "--run", "t")
    assert "textbook, topic: samples kept of each value" in told
