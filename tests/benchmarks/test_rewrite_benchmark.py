"""The comparison of the rewrite grid with a naive prompt: what it counts is what a stand-in answered."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from server import TeacherServer

from benchmarks import rewrite
from benchmarks.rewrite import Arm, Compared, compared, lines, write_flows
from instructlab_like.workspace import Run

LEAF = "knowledge/nature/reserves/loomsey_marsh"
WORDS = [f"{first}{last}" for first in "badegilomurantes" for last in ("rin", "tol", "vek", "mus", "lan", "dir", "kos")]
Answer = Callable[[dict], str]


def piece(*parts: object) -> str:
    """Sixty words that depend on nothing but what is given."""
    rng = random.Random(hashlib.sha256(repr(parts).encode()).digest())
    return " ".join(rng.choice(WORDS) for _ in range(60)) + "."


def heeding(request: dict) -> str:
    """Hangs on the prompt alone, but for one word that hangs on the draw."""
    return told(request, f"{piece(json.dumps(request['messages']))} {WORDS[request['seed'] % len(WORDS)]}")


def deaf(request: dict) -> str:
    """Hangs on the statements and hears nothing of readers and styles."""
    prompt = request["messages"][-1]["content"]
    shown = re.search(r"<statements>.*</statements>", prompt, re.DOTALL)
    return told(request, piece(shown[0] if shown else prompt))


def told(request: dict, text: str) -> str:
    if "[SUBJECT 1]" in request["messages"][-1]["content"]:
        return f"[SUBJECT 1]\n{text[:40]}\n[STATEMENTS 1]\n- {text}\n[END 1]"
    return f"[QUESTION 1]\nWrite about {text.split()[0]} {text.split()[1]}.\n[ANSWER 1]\n{text}\n[END 1]"


def ran(folder: Path, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compared:
    with TeacherServer(answer=answer, keep=False) as server:
        words = ["--teacher", server.url, "--model", "stand-in", "--leaf", LEAF, "--chunk-words", "400"]
        monkeypatch.setattr(sys, "argv", ["benchmarks", "rewrite", *words, "--keep", str(folder)])
        rewrite.main()
    printed = capsys.readouterr().out
    found = compared(Run(folder / "runs" / "rewrite"), write_flows(folder)["grid"])
    assert all(line in printed for line in lines(found))
    return found


def test_where_readers_and_styles_are_heeded_the_grid_has_fewer_near_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ran(tmp_path, heeding, monkeypatch, capsys)
    naive, grid = found.arms["naive"], found.arms["grid"]
    assert found.passages >= 2
    assert naive.pieces == grid.pieces  # as many of each passage
    assert set(naive.pieces.values()) == {30}
    assert naive.calls == grid.calls == 31 * found.passages
    assert naive.rate == pytest.approx(29 / 30)
    assert grid.rate == 0
    assert found.change is not None
    low, mid, high = found.change
    assert low <= mid == pytest.approx(-29 / 30)
    assert high < 0
    assert found.covered == 30 * found.passages
    assert found.values == {"audience": (6 * found.passages,) * 2, "style": (5 * found.passages,) * 2}
    assert any(line.endswith("fewer") for line in lines(found))


def test_where_they_are_not_heeded_there_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ran(tmp_path, deaf, monkeypatch, capsys)
    assert found.arms["naive"].rate == found.arms["grid"].rate == pytest.approx(29 / 30)
    assert found.change is not None
    assert found.change[0] <= 0 <= found.change[2]


def test_the_arms_are_the_shipped_flow_and_the_same_without_its_grid(tmp_path: Path) -> None:
    naive, grid = (write_flows(tmp_path)[arm] for arm in ("naive", "grid"))
    assert grid.axes(0).size == 30
    assert naive.axes(0).size == 1
    assert [step.name for step in naive.steps] == [step.name for step in grid.steps] == ["extract", "rewrite"]
    assert naive.templates["extract"].blob == grid.templates["extract"].blob
    assert not naive.templates["rewrite"].variables & {"audience", "style"}


def test_of_one_passage_there_is_no_interval() -> None:
    arm = Arm(calls=3, pieces={"a": 2}, copies={"a": 1})
    found = Compared({"naive": arm, "grid": arm}, passages=1, change=None, cells=2, covered=2, values={})
    assert any("too few for an interval" in line for line in lines(found))


def test_without_a_teacher_nothing_is_said_of_pieces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "rewrite", "--leaf", LEAF, "--chunk-words", "400"])
    rewrite.main()
    printed = capsys.readouterr().out
    assert "no teacher was named" in printed
    assert "pieces of each value" not in printed
    counts = [tuple(map(int, found)) for found in re.findall(r"(\d+) different of (\d+) prompts", printed)]
    (different, every), (varied, as_many) = counts
    assert varied == every == as_many == 30 * different
