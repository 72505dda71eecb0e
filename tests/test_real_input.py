"""All real leaves and the documents they name, from one command to a report: model-free, then with a teacher.

Needs the folder named by ILK_REAL_INPUT; docs/real-input.md says how to make it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset
from gguf_file import write_gguf
from ilk_process import assert_nothing_is_lost, ilk
from real_server import real_server
from server import TeacherServer

from instructlab_like.evaluation import summary
from instructlab_like.generation.ledger import Ledger
from instructlab_like.records import AskTask, Chunk, Item, Knowledge, RulesTask, Sample, Verdict, blob_id
from instructlab_like.stages import manifest
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, find, read_records

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("ILK_REAL_INPUT" not in os.environ, reason="ILK_REAL_INPUT names no folder with real leaves"),
]

MODEL = find("training/base/model")
REAL = Path(os.environ.get("ILK_REAL_INPUT", "")).absolute()
TAXONOMY = REAL / "taxonomy"
PHASE = {"epochs": 0.2, "learning_rate": 1.0e-3}
TRAIN = {
    "model": "training/base/model",
    "phases": [{"name": "knowledge", **PHASE}, {"name": "skills", **PHASE}],
    "row_tokens": 1024,
    "batch_tokens": 4096,
    "threads": 1,
}
LONG_CONTEXT = 4096  # tokens; the longest prompt of these leaves goes beyond the tiny base's own window


@dataclass(frozen=True)
class Made:
    run: Run
    printed: str


def knowledge() -> list[Knowledge]:
    return [leaf for leaf in read_tree(TAXONOMY)[0] if isinstance(leaf, Knowledge)]


def paths() -> list[str]:
    """Every leaf's path, found without our own reader."""
    return sorted(file.parent.relative_to(TAXONOMY).as_posix() for file in TAXONOMY.rglob("qna.yaml"))


def skills() -> list[str]:
    return [path for path in paths() if not path.startswith("knowledge/")]


def bundle(url: str) -> Path:
    return REAL / "documents" / f"{url.rpartition('/')[2].removesuffix('.git')}.bundle"


def made(command: str, folder: Path, **generate: object) -> Made:
    """One command over all real leaves, with the bundles for the repositories that the leaves name."""
    sections = {
        "generate": {"replay": "training/base/replay.jsonl", **generate},
        "train": TRAIN,
        "evaluate": {"threads": 1},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(sections))
    mirrors = [f"--mirror={leaf.source.repo}={bundle(leaf.source.repo)}" for leaf in knowledge()]
    printed = ilk(command, "--run=real", "--recipe=r.yaml", f"--taxonomy={TAXONOMY}", *mirrors, cwd=folder)
    return Made(Run(folder / "runs" / "real"), printed)


# --- without a teacher ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_free(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("all", tmp_path_factory.mktemp("model_free"), flows=["rules", "simulation"])


def test_all_leaves_stand_in_the_manifest(model_free: Made) -> None:
    told = manifest.read(model_free.run)
    assert len(paths()) == 19
    assert [leaf.path for leaf in told.leaves] == paths()
    assert set(told.inputs) == {"generate", "train", "evaluate", "report"}


def test_every_knowledge_leaf_gets_samples_and_nothing_is_lost(model_free: Made) -> None:
    kept = {leaf.leaf: leaf.kept for leaf in manifest.read(model_free.run).counts}
    assert len(knowledge()) == 3
    assert all(kept[leaf.path] for leaf in knowledge())
    assert_nothing_is_lost(model_free.run)


def test_what_samples_are_about_is_the_named_commits_very_bytes(model_free: Made, tmp_path: Path) -> None:
    chunks = {task.chunk.id: task for task in read_records(model_free.run.plan, RulesTask)}
    sources = {leaf.path: leaf.source for leaf in knowledge()}
    samples = list(read_records(model_free.run.samples, Sample))
    assert {sample.lineage.leaf for sample in samples} == set(sources)
    for sample in samples:
        assert sample.lineage.chunk is not None
        task = chunks[sample.lineage.chunk]
        source = sources[sample.lineage.leaf]
        assert (task.leaf, task.chunk.repo, task.chunk.commit) == (sample.lineage.leaf, source.repo, source.commit)
        assert sample.context == task.chunk.text
    for task in chunks.values():
        data = document(task.chunk, tmp_path)
        assert blob_id(data) == task.chunk.blob
        assert data[task.chunk.start : task.chunk.end] == task.chunk.text.encode()


def document(chunk: Chunk, folder: Path) -> bytes:
    """A chunk's document as git itself gives it out of the bundle."""
    clone = folder / bundle(chunk.repo).stem
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", "--bare", bundle(chunk.repo), clone], check=True)
    name = f"{chunk.commit}:{chunk.document}"
    return subprocess.run(["git", "cat-file", "blob", name], cwd=clone, capture_output=True, check=True).stdout


def test_each_skill_leaf_is_listed_with_the_reason_why_it_got_nothing(model_free: Made) -> None:
    gaps = {gap.leaf: gap.reason for gap in manifest.read(model_free.run).shortfalls}
    assert sorted(gaps) == skills()
    for leaf, reason in gaps.items():
        assert "without simulation.yaml needs a flow with a teacher" in reason
        assert f"{leaf}: no samples: {reason}" in model_free.printed


def test_the_dataset_holds_the_kept_samples_and_replay(model_free: Made, tmp_path: Path) -> None:
    loaded = load_dataset(str(model_free.run.dataset), cache_dir=str(tmp_path))
    rejected = {verdict.subject for verdict in read_records(model_free.run.verdicts, Verdict) if not verdict.keep}
    kept = {sample.id for sample in read_records(model_free.run.samples, Sample)} - rejected
    rows = [row for split in ("train", "test") for row in loaded[split]]
    assert {row["sample"] for row in rows if row["leaf"] != "replay"} == kept
    assert {row["leaf"] for row in loaded["train"]} == {"replay", *(leaf.path for leaf in knowledge())}
    assert loaded["test"].num_rows


def test_rules_examine_knowledge_and_skills_without_held_out_questions_are_unscored(model_free: Made) -> None:
    found = summary.read(model_free.run.summary)
    items = [
        item
        for item in read_records(model_free.run.evaluation / "items.jsonl", Item)
        if not item.leaf.startswith(summary.OWN)
    ]
    examined = {item.leaf for item in items}
    assert examined
    assert examined <= {leaf.path for leaf in knowledge()}
    assert {item.maker for item in items} == {"rules/1"}
    assert {one.leaf for one in found.checkpoints[0].leaves} == examined
    assert set(found.unscored) == set(paths()) - examined
    assert list(found.untrained) == skills()
    assert found.base.forgetting is not None
    assert found.base.forgetting > 0.5
    assert found.checkpoints[0].forgetting is not None
    assert len(found.checkpoints[0].forgetting_kinds) == 4


def test_the_report_names_every_leaf(model_free: Made) -> None:
    page = model_free.run.report.read_text()
    assert [path for path in paths() if path.rpartition("/")[2] not in page] == []


# --- with a teacher ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Made:
    with TeacherServer() as server:
        return made(
            "all",
            tmp_path_factory.mktemp("taught"),
            flows=["knowledge-simple", "freeform-simple", "grounded-simple", "rules", "simulation"],
            teacher={"url": server.url, "model": "test-teacher"},
            prompts_per_leaf=4,
        )


def test_a_teacher_gives_every_leaf_samples(taught: Made) -> None:
    told = manifest.read(taught.run)
    assert [leaf.leaf for leaf in told.counts if leaf.kept] == paths()
    assert told.shortfalls == ()
    assert_nothing_is_lost(taught.run)
    asked = {sample.lineage.leaf for sample in read_records(taught.run.samples, Sample) if sample.lineage.template}
    assert sorted(asked) == paths()


def test_both_phases_are_trained(taught: Made) -> None:
    assert sorted(place.name for place in (taught.run.training / "checkpoints").iterdir()) == ["knowledge", "skills"]
    assert (taught.run.adapter / "adapter_model.safetensors").is_file()
    assert summary.read(taught.run.summary).untrained == ()


def test_a_real_server_is_asked_about_every_leaf(tmp_path: Path) -> None:
    """The tiny base says nothing useful here: what counts is that each answer is parsed or judged, and none lost."""
    with real_server(write_gguf(MODEL, tmp_path / "base.gguf", context=LONG_CONTEXT)) as url:
        run = made(
            "generate",
            tmp_path,
            flows=["knowledge-simple", "freeform-simple", "grounded-simple"],
            teacher={"url": url, "model": "tiny-base", "retries": 0},
            prompts_per_leaf=1,
            temperature=0,
            max_tokens=64,
        ).run
    planned = [task.prompt for task in read_records(run.plan, AskTask)]
    assert sorted(prompt.lineage.leaf for prompt in planned) == paths()
    with Ledger(run.ledger) as ledger:
        assert all(ledger.committed(prompt.key) for prompt in planned)
    unparsed = {verdict.leaf for verdict in read_records(run.verdicts, Verdict) if verdict.filter == "parse"}
    counts = manifest.read(run).counts
    assert sorted(unparsed) == [leaf.leaf for leaf in counts if not leaf.made]
    assert_nothing_is_lost(run)
    assert sorted(gap.leaf for gap in manifest.read(run).shortfalls) == [leaf.leaf for leaf in counts if not leaf.kept]
