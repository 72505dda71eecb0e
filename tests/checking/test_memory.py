"""What is remembered of a leaf is what would be found again, and nothing that can happen to the memory does harm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from leaf_files import found_in, knowledge, skill, write_leaf

from instructlab_like.checking import whole
from instructlab_like.checking.leaf import Options
from instructlab_like.checking.memory import Memory, key
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.tree import LeafFiles, Place

SKILL, KNOWLEDGE = "compositional_skills/sums", "knowledge/tides"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ILK_CACHE", str(folder))
    return folder


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The leaves that were looked at rather than remembered, in order."""
    seen: list[str] = []
    look = whole.examined

    def watched(place: Place, files: LeafFiles, options: Options) -> Sequence[Finding]:
        seen.append(place.path)
        return look(place, files, options)

    monkeypatch.setattr(whole, "examined", watched)
    return seen


def tree(root: Path) -> Path:
    write_leaf(root, SKILL, {**skill(), "created_by": ""})
    folder = write_leaf(root, KNOWLEDGE, knowledge(repo=".", commit="HEAD"), heldout="questions: []\n")
    (folder / "tides.md").write_text("# Tides\n\nHarbour 0 has a tide of 0 metres.\n")
    return root


def test_an_unchanged_leaf_is_remembered_with_the_same_findings(tmp_path: Path, looked_at: list[str]) -> None:
    root = tree(tmp_path / "tree")
    first = found_in(root)
    assert first
    assert sorted(looked_at) == sorted([SKILL, KNOWLEDGE])
    looked_at.clear()
    assert found_in(root) == first
    assert looked_at == []


@pytest.mark.parametrize("name", ["qna.yaml", "attribution.txt", "heldout.yaml", "tides.md", "new.md"])
def test_a_leaf_is_looked_at_again_when_any_of_its_files_changed(
    tmp_path: Path, looked_at: list[str], name: str
) -> None:
    root = tree(tmp_path / "tree")
    found_in(root)
    looked_at.clear()
    with (root / KNOWLEDGE / name).open("a") as file:
        file.write("# more\n")
    found_in(root)
    assert looked_at == [KNOWLEDGE]


def test_every_option_is_remembered_by_itself(tmp_path: Path, looked_at: list[str]) -> None:
    root = tree(tmp_path / "tree")
    for options in (Options(), Options(profile="compatible"), Options(schema_version="latest")):
        found_in(root, options=options)
    assert len(looked_at) == 6


def test_findings_name_the_leaf_as_the_user_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]
) -> None:
    root = tree(tmp_path / "tree")
    assert {finding.path for finding in found_in(root)} >= {f"{root}/{SKILL}/qna.yaml"}
    looked_at.clear()
    monkeypatch.chdir(root / SKILL)
    assert {finding.path for finding in found_in(Path())} == {"qna.yaml"}
    assert {finding.path for finding in found_in(Path("qna.yaml"))} == {"qna.yaml"}
    monkeypatch.chdir(root)
    assert {finding.path for finding in found_in(Path(SKILL))} == {f"{SKILL}/qna.yaml"}
    assert looked_at == []


def test_a_leaf_at_another_place_of_the_tree_is_another_leaf(tmp_path: Path, looked_at: list[str]) -> None:
    for path in ("knowledge/sums", "compositional_skills/sums"):
        write_leaf(tmp_path / "tree", path, skill())
    found = {finding.path.removeprefix(f"{tmp_path}/tree/") for finding in found_in(tmp_path / "tree")}
    assert any(path.startswith("knowledge/") for path in found)
    assert len(looked_at) == 2


@pytest.mark.parametrize("damage", [b"", b"no database at all", bytes(4096)])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, cache: Path, looked_at: list[str], damage: bytes) -> None:
    root = tree(tmp_path / "tree")
    first = found_in(root)
    for file in cache.glob("checks.sqlite*"):
        file.unlink()
    (cache / "checks.sqlite").write_bytes(damage)
    looked_at.clear()
    assert found_in(root) == first
    assert len(looked_at) == 2
    found_in(root)
    found_in(root)
    assert len(looked_at) <= 4


def test_a_memory_damaged_in_its_middle_does_no_harm(tmp_path: Path, cache: Path) -> None:
    root = tree(tmp_path / "tree")
    first = found_in(root)
    file = cache / "checks.sqlite"
    data = file.read_bytes()
    for start in range(0, len(data), max(1, len(data) // 40)):
        for part in cache.glob("checks.sqlite-*"):
            part.unlink()
        file.write_bytes(data[:start] + bytes(len(data[start : start + 64])) + data[start + 64 :])
        assert found_in(root) == first


def test_without_a_place_to_remember_everything_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]
) -> None:
    root = tree(tmp_path / "tree")
    first = found_in(root)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "file"))
    assert found_in(root) == first
    assert found_in(root) == first


def test_two_processes_may_check_at_once(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    command = [sys.executable, "-m", "instructlab_like", "check", str(root), "--format", "json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [2, 2, 2]
    assert len(outputs) == 1


def test_a_key_tells_apart_what_differs() -> None:
    keys = [
        key(["a", "b"], {}),
        key(["ab"], {}),
        key(["a"], {"b": b""}),
        key([], {"a": b"", "b": b""}),
        key([], {"a": b"b"}),
        key([], {"ab": b""}),
    ]
    assert len(set(keys)) == len(keys)


def test_a_value_stays_until_the_memory_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructlab_like.checking.memory.FULL", 1)
    for number in range(3):
        with Memory(tmp_path) as memory:
            memory.put(f"key {number}", b"value")
    with Memory(tmp_path) as memory:
        assert [memory.get(f"key {number}") for number in range(3)] == [None, None, b"value"]
