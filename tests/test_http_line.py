"""The line with an HTTP teacher on the starter taxonomy: a small server, the same one killed half-way, llama.cpp's."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from gguf_file import write_gguf
from ilk_process import PATIENCE, assert_nothing_is_lost, file_digests, ilk, start_ilk
from real_server import real_server
from server import TeacherServer

from instructlab_like.flows import load_flow, shipped_flows
from instructlab_like.generation.ledger import Ledger
from instructlab_like.prompts import load_template
from instructlab_like.records import AskTask, Prompt, Sample, Verdict
from instructlab_like.stages import manifest
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.teachers.http import body
from instructlab_like.workspace import Run, find, read_records

MODEL = find("training/base/model")
TAXONOMY = Path(__file__).parents[1] / "taxonomy"
TEACHER = "test-teacher"
CONCURRENCY = 4
RECIPE = f"""
generate:
  flows: [knowledge-simple, freeform-simple, grounded-simple]
  prompts_per_leaf: 8
  teacher: {{concurrency: {CONCURRENCY}}}
"""
LEAF = "compositional_skills/writing/freeform/polite_refusal"
CLASSES = "compositional_skills/office/post/parcel_class"
GROUNDED = "compositional_skills/writing/grounded/notice_summary"
KNOWLEDGE = "knowledge/nature/reserves/loomsey_marsh"
REAL_RECIPE = """
generate:
  flows: [knowledge-simple, freeform-simple, grounded-simple]
  prompts_per_leaf: 2
  max_tokens: 64
  temperature: 0
  teacher: {retries: 0}
"""
TEMPLATES = {"knowledge": "knowledge/pairs.j2", "freeform": "skill/freeform.j2", "grounded": "skill/grounded.j2"}


def words(url: str, *more: str) -> list[str]:
    """The command that generates run t with this teacher."""
    told = ["generate", "--run", "t", "--recipe", "r.yaml", "--taxonomy", str(TAXONOMY)]
    return [*told, "--teacher", url, "--teacher-model", TEACHER, *more]


def prompts(run: Run) -> list[Prompt]:
    return [task.prompt for task in read_records(run.plan, AskTask)]


def sent(prompt: Prompt) -> str:
    """The request that asks this prompt, whatever the order of its fields."""
    return json.dumps(body(prompt, TEACHER), sort_keys=True)


def received(server: TeacherServer, *runs: Run) -> Counter[str]:
    """How often each request has come in, but for those by which the runs learned what the server can do."""
    every = Counter(json.dumps(json.loads(data), sort_keys=True) for data in server.bodies)
    for run in runs:
        every -= probes(run)
    return every


def probes(run: Run) -> Counter[str]:
    with closing(sqlite3.connect(run.ledger)) as ledger:
        rows = ledger.execute("SELECT request, attempts FROM calls WHERE purpose = 'probe'").fetchall()
    return Counter({json.dumps(json.loads(request), sort_keys=True): times for request, times in merged(rows).items()})


def merged(rows: list[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for request, times in rows:
        found[request] += times
    return found


@dataclass(frozen=True)
class Generated:
    run: Run
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def teacher() -> Iterator[TeacherServer]:
    with TeacherServer() as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(teacher: TeacherServer, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "r.yaml").write_text(RECIPE)
    printed = ilk(*words(teacher.url), cwd=folder)
    return Generated(Run(folder / "runs" / "t"), folder, printed)


def test_every_leaf_gets_samples(undisturbed: Generated) -> None:
    leaves, _ = read_tree(TAXONOMY)
    counts = manifest.read(undisturbed.run).counts
    assert [leaf.leaf for leaf in counts] == [leaf.path for leaf in leaves]
    assert all(leaf.kept for leaf in counts)
    assert_nothing_is_lost(undisturbed.run)


def test_a_sample_names_all_that_it_descends_from(undisturbed: Generated) -> None:
    leaves = {leaf.path: leaf for leaf in read_tree(TAXONOMY)[0]}
    blobs = {name: load_template(name).blob for name in TEMPLATES.values()}
    samples = list(read_records(undisturbed.run.samples, Sample))
    assert {sample.kind for sample in samples} == set(TEMPLATES)
    for sample in samples:
        lineage, leaf = sample.lineage, leaves[sample.lineage.leaf]
        assert (lineage.method, lineage.model, lineage.depth) == ("teacher", f"http:{TEACHER}", 1)
        assert lineage.leaf_blob == leaf.blob
        assert lineage.template == TEMPLATES[sample.kind]
        assert lineage.template_blob == blobs[lineage.template]
        assert lineage.seed in {seed.number for seed in leaf.seeds}
        assert (lineage.chunk is not None) == (leaf.kind == "knowledge") == (sample.kind == "knowledge")


def test_each_planned_prompt_is_asked_once_and_never_again(
    undisturbed: Generated, teacher: TeacherServer, tmp_path: Path
) -> None:
    """Not by the same command, nor under a recipe that makes everything after the answers anew."""
    asked_once = Counter(sent(prompt) for prompt in prompts(undisturbed.run))
    assert received(teacher, undisturbed.run) == asked_once
    before = file_digests(undisturbed.run.folder)
    assert "generate: up to date" in ilk(*words(teacher.url), cwd=undisturbed.folder)
    assert file_digests(undisturbed.run.folder) == before
    shutil.copytree(undisturbed.run.folder, tmp_path / "runs" / "t")
    (tmp_path / "r.yaml").write_text(f"{RECIPE}  test_share: 0.3\n")
    ilk(*words(teacher.url, "--yes"), cwd=tmp_path)
    assert file_digests(Run(tmp_path / "runs" / "t").dataset) != file_digests(undisturbed.run.dataset)
    assert received(teacher, undisturbed.run) == asked_once


def test_killed_half_way_it_asks_only_what_was_not_committed(undisturbed: Generated, tmp_path: Path) -> None:
    """It goes on with another server, so that nothing which the dead process had sent is counted."""
    half = len(prompts(undisturbed.run)) // 2
    (tmp_path / "r.yaml").write_text(RECIPE)
    run = Run(tmp_path / "runs" / "t")
    children: list[subprocess.Popen[str]] = []

    def kill(served: int) -> None:
        if served == half:
            children[0].kill()

    with TeacherServer(on_served=kill) as first:
        children.append(start_ilk(*words(first.url), cwd=tmp_path))
        children[0].communicate(timeout=PATIENCE)
    assert children[0].returncode == -signal.SIGKILL
    assert not run.dataset.exists()
    committed = answered(run, tmp_path / "copy")
    assert half - CONCURRENCY - probes(run).total() <= len(committed) <= half
    with TeacherServer() as second:
        ilk(*words(second.url), cwd=tmp_path)
    again = received(second, run)
    assert again == Counter(sent(prompt) for prompt in prompts(run) if prompt.key not in committed)
    for path in (run.plan, run.samples, run.verdicts):
        assert path.read_bytes() == (undisturbed.run.folder / path.name).read_bytes()
    assert file_digests(run.dataset) == file_digests(undisturbed.run.dataset)


def answered(run: Run, copy: Path) -> set[str]:
    """The calls that a stopped run has answers to, read from a copy so that the run stays as it was left."""
    shutil.copytree(run.folder, copy)
    with closing(sqlite3.connect(copy / run.ledger.name)) as ledger:
        rows = ledger.execute("SELECT key FROM calls WHERE state = 'answered' AND purpose = 'flow'").fetchall()
    return {key for (key,) in rows}


@pytest.fixture(scope="module")
def unheeded(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """One leaf asked of llama.cpp with the tiny base, which knows no tags: nothing it says can be parsed."""
    folder = tmp_path_factory.mktemp("unheeded")
    (folder / "r.yaml").write_text(REAL_RECIPE)
    with real_server(write_gguf(MODEL, folder / "base.gguf")) as url:
        printed = ilk(*words(url, "--leaf", LEAF), cwd=folder)
    return Generated(Run(folder / "runs" / "t"), folder, printed)


def test_every_flow_with_a_teacher_is_asked_of_a_real_server(undisturbed: Generated, tmp_path: Path) -> None:
    """The tiny base knows no tags, so every walk ends at its first step; each is asked, and told why it ended."""
    flows = [name for name in shipped_flows() if load_flow(name).asks]
    (tmp_path / "r.yaml").write_text(
        f"generate: {{flows: {json.dumps(flows)}, prompts_per_leaf: 1, max_tokens: 8, temperature: 0, "
        f"parents: {json.dumps(str(undisturbed.run.folder))}}}\n"
    )
    leaves = [LEAF, CLASSES, GROUNDED, KNOWLEDGE]
    with real_server(write_gguf(MODEL, tmp_path / "base.gguf")) as url:
        ilk(*words(url, *(word for leaf in leaves for word in ("--leaf", leaf))), cwd=tmp_path)
    run = Run(tmp_path / "runs" / "t")
    tasks = list(read_records(run.plan, AskTask))
    assert {task.flow for task in tasks} == set(flows)
    with Ledger(run.ledger) as ledger:
        assert all(ledger.committed(task.prompt.key) for task in tasks)
    told = {verdict.subject for verdict in read_records(run.verdicts, Verdict) if not verdict.keep}
    assert told == {task.prompt.key for task in tasks}


def test_a_real_server_answers_every_prompt(unheeded: Generated) -> None:
    with Ledger(unheeded.run.ledger) as ledger:
        answers = [ledger.committed(prompt.key) for prompt in prompts(unheeded.run)]
    assert len(answers) == 2
    for answer in answers:
        assert answer is not None
        assert answer.finish_reason in ("stop", "length")
        assert answer.prompt_tokens
        assert answer.prompt_tokens > 200
        assert answer.completion_tokens
        assert answer.completion_tokens <= 64


def test_each_answer_that_cannot_be_parsed_has_its_verdict(unheeded: Generated) -> None:
    verdicts = list(read_records(unheeded.run.verdicts, Verdict))
    assert [verdict.subject for verdict in verdicts] == [prompt.key for prompt in prompts(unheeded.run)]
    for verdict in verdicts:
        assert (verdict.filter, verdict.keep, verdict.leaf) == ("parse", False, LEAF)
        assert verdict.reason.startswith(("the answer holds no tags", "the answer is empty"))
    assert "2 answers could not be used" in unheeded.printed


def test_a_leaf_whose_answers_all_failed_is_named(unheeded: Generated) -> None:
    assert_nothing_is_lost(unheeded.run)
    assert [gap.leaf for gap in manifest.read(unheeded.run).shortfalls] == [LEAF]
    assert f"{LEAF}: no samples: " in unheeded.printed
    assert "0 of 0 samples kept" in unheeded.printed
