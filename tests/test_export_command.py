"""`ilk export` as a user meets it: a real run, the files of other programs, and one message for each mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset
from ilk_process import file_digests
from leaf_files import commit_all, git

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.reading import read
from instructlab_like.dataset.reading.questions import questions
from instructlab_like.records import Row
from instructlab_like.stages.exporting.export import LIST
from instructlab_like.workspace import Run, read_records

ROOT = Path(__file__).parents[1]
LEAVES = ("knowledge/nature/reserves/loomsey_marsh", "compositional_skills/office/filing/file_label")
MARSH = "node_datasets_gen/knowledge_nature_reserves_loomsey_marsh"


def ilk(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def mistake(*words: str | Path, cwd: Path) -> str:
    """What a wrong command prints; it ends with exit code 2 and shows no traceback."""
    found = ilk(*words, cwd=cwd)
    assert found.returncode == 2, found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a taxonomy of two leaves and a run of it."""
    folder = tmp_path_factory.mktemp("made")
    for leaf in LEAVES:
        shutil.copytree(ROOT / "taxonomy" / leaf, folder / "leaves" / leaf)
    git(folder, "init", "--quiet")
    commit_all(folder)
    done = ilk("generate", "--taxonomy", "leaves", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(made, tmp_path / "here", symlinks=True)


def rows(folder: Path, name: str) -> list[Row]:
    return list(read_records(Run(folder / "runs" / "default").dataset / name, Row))


def test_every_row_of_the_run_is_in_instructlabs_files(made: Path, tmp_path: Path) -> None:
    done = ilk("export", tmp_path / "out", "--for", "instructlab", cwd=made)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    known, skills, test = (rows(made, name) for name in (KNOWLEDGE, SKILLS, TEST))
    own = [row for row in (*known, *skills) if row.leaf != "replay"]
    trained = {row.sample: row.messages for row in own}
    pairs = {one.messages for one in read(out / "train_gen.jsonl").conversations}
    assert pairs == set(trained.values())
    assert len(read(out / "messages_gen.jsonl").conversations) == len(trained)
    assert len(read(out / "knowledge_train_msgs_gen.jsonl").conversations) == len(known)
    assert len(read(out / "skills_train_msgs_gen.jsonl").conversations) == (
        sum(row.leaf != "replay" for row in known) * 2
        + sum(row.kind == "freeform" for row in skills)
        + sum(row.leaf == "replay" for row in skills)
    )
    for phase in ("knowledge", "skills"):
        recipe = read(out / f"{phase}_recipe_gen.yaml").conversations
        assert recipe == read(out / f"{phase}_train_msgs_gen.jsonl").conversations
    asked = {row.messages[0].content for row in test if row.leaf == LEAVES[0]}
    found = questions(out / f"{MARSH}_task.yaml")
    assert {row.question for row in found} <= asked
    assert found
    marsh = yaml.safe_load((made / "leaves" / LEAVES[0] / "qna.yaml").read_text())
    assert {row.subject for row in found} == {marsh["domain"]}
    (first, *_) = (out / f"{MARSH}_p07.jsonl").read_text().splitlines()
    assert json.loads(json.loads(first)["metadata"])["domain"] == marsh["domain"]


def test_rows_name_the_sample_that_why_tells_of(made: Path, tmp_path: Path) -> None:
    assert ilk("export", tmp_path / "out", "--for", "instructlab", cwd=made).returncode == 0
    row = json.loads((tmp_path / "out" / f"{MARSH}_p07.jsonl").read_text().splitlines()[0])
    done = ilk("why", row["id"], cwd=made)
    assert done.returncode == 0
    assert row["messages"][1]["content"] in done.stdout


@pytest.mark.parametrize("target", ["instructlab", "hf"])
def test_the_same_run_gives_the_same_bytes_again_and_elsewhere(made: Path, tmp_path: Path, target: str) -> None:
    for name in ("a", "b/c", "a"):
        assert ilk("export", tmp_path / name, "--for", target, cwd=made).returncode == 0
    assert file_digests(tmp_path / "a") == file_digests(tmp_path / "b/c")
    assert not [path for path in tmp_path.rglob(".*.*") if path.name != LIST]


def test_parquet_loads_as_the_runs_own_dataset_does(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    assert ilk("export", tmp_path / "out", "--for", "hf", cwd=made).returncode == 0
    exported = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    own = load_dataset(str(made / "runs/default/4-dataset"), cache_dir=str(tmp_path / "cache"))
    assert {name: list(part) for name, part in exported.items()} == {name: list(part) for name, part in own.items()}


def test_files_of_an_earlier_export_go_where_nothing_replaces_them(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ilk("export", out, "--for", "instructlab", cwd=made).returncode == 0
    (out / "node_datasets_gen" / "mine.txt").write_text("kept")
    assert ilk("export", out, "--for", "instructlab", "--suffix", "v2", cwd=made).returncode == 0
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {name for name in left if "gen" in name} == {"node_datasets_gen/mine.txt"}
    assert set(json.loads((out / LIST).read_text())["files"]) == left - {LIST, "node_datasets_gen/mine.txt"}


def test_a_leaf_that_changed_since_is_read_as_the_run_saw_it(here: Path) -> None:
    out = here / "out"
    assert ilk("export", out, "--for", "instructlab", cwd=here).returncode == 0
    before = file_digests(out)
    for leaf in LEAVES:
        path = here / "leaves" / leaf / "qna.yaml"
        path.write_text(path.read_text().replace("created_by: ", "created_by: x"))
    assert ilk("export", out, "--for", "instructlab", cwd=here).returncode == 0
    assert file_digests(out) == before
    shutil.rmtree(here / ".git")
    told = mistake("export", out, "--for", "instructlab", cwd=here)
    assert "qna.yaml: has changed since the run was made, and Git does not have it" in told
    assert ilk("export", here / "hf", "--for", "hf", cwd=here).returncode == 0  # which names no leaf


def test_a_taxonomy_that_moved_is_named(here: Path) -> None:
    (here / "leaves").rename(here / "tree")
    assert "the run's taxonomy is not there" in mistake("export", "out", "--for", "instructlab", cwd=here)
    assert not (here / "out").exists()
    done = ilk("export", "out", "--for", "instructlab", "--taxonomy", "tree", cwd=here)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("out", "--for", "instruktlab"), "did you mean 'instructlab'?"),
        (("out", "--for", "hf", "--suffix", "x"), "--suffix: the format 'hf' has no such option"),
        (("out", "--for", "instructlab", "--suffix", "../x"), "suffix"),
        (("out", "--for", "instructlab", "--system", "a\udcffb"), "system: Value error, is not UTF-8"),
        (("out", "--for", "instructlab", "--run", "none"), "there is no such run"),
        (("leaves/x.txt", "--for", "hf"), "is no folder"),
        (("leaves/x.txt/out", "--for", "hf"), "is no folder"),
        (("full", "--for", "hf"), "README.md: is there already, and no export wrote it"),
        (("runs/default/4-dataset", "--for", "hf"), "README.md: is there already, and no export wrote it"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(here: Path, words: tuple[str, ...], told: str) -> None:
    (here / "leaves" / "x.txt").write_text("x")
    (here / "full").mkdir()
    (here / "full" / "README.md").write_text("mine")
    before = file_digests(here)
    assert told in mistake("export", *words, cwd=here)
    assert file_digests(here) == before


def test_a_run_that_was_stopped_half_way_is_not_exported(here: Path) -> None:
    manifest = here / "runs/default/run.yaml"
    told = yaml.safe_load(manifest.read_text())
    del told["inputs"]["generate"]
    manifest.write_text(yaml.safe_dump(told))
    assert "this run is not finished" in mistake("export", "out", "--for", "hf", cwd=here)


@pytest.mark.parametrize("listed", ["../../victim", "/victim", "a/../../victim"])
def test_a_list_of_files_that_leads_out_of_the_folder_removes_nothing(here: Path, listed: str) -> None:
    (here / "victim").write_text("mine")
    (here / "out" / "in").mkdir(parents=True)
    (here / "out" / "in" / LIST).write_text(json.dumps({"format": 1, "files": [listed]}))
    assert "lists a file outside the folder" in mistake("export", "out/in", "--for", "hf", cwd=here)
    assert (here / "victim").read_text() == "mine"


def test_a_full_disk_leaves_no_half_file(here: Path) -> None:
    """The scratch file goes, whatever the reason that writing ends."""
    from instructlab_like.dataset.write import write_pieces

    def pieces():
        yield b"begun"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_pieces(here / "out" / "x.jsonl", pieces())
    assert list((here / "out").iterdir()) == []
