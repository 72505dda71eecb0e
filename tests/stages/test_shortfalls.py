"""Why a leaf has no samples, as run.yaml tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from server import TeacherServer
from small_runs import TIDES, make_workspace, recipe

from instructlab_like.errors import StoppedError
from instructlab_like.stages import manifest
from instructlab_like.stages.generating.generate import UNREACHED, generate
from instructlab_like.workspace import Run


def test_a_leaf_that_no_flow_takes_is_not_said_to_be_left_out_by_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taxonomy, run = make_workspace(tmp_path), Run(Path("runs") / "short")
    with TeacherServer() as server, pytest.raises(StoppedError):
        generate(run, recipe(taxonomy, server, flows=("freeform-simple",), budget={"calls": 1}))
    reasons = {gap.leaf: gap.reason for gap in manifest.read(run).shortfalls}
    assert reasons.pop(TIDES) == "none of the chosen flows takes knowledge leaves"
    assert set(reasons.values()) == {UNREACHED}
