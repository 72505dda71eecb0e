"""A run that is killed while it is filtered: what is there is whole, and the next run gives the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_books import assert_nothing_vanished
from small_tree import write_tree

from instructlab_like.workspace import Run

KILLS = int(os.environ.get("ILK_KILLS", "12"))
RECIPE = "generate: {taxonomy: taxonomy, samples_per_simulation: 3000, filters: [shape, novelty, truth, safety]}"


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "instructlab_like", "generate", "--run", "t", "--recipe", "r.yaml", "--yes"]
    environment = os.environ | {"ILK_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def finished(folder: Path) -> float:
    begun = time.monotonic()
    with start(folder) as child:
        printed, _ = child.communicate(timeout=600)
    assert child.returncode == 0, printed.decode()
    return time.monotonic() - begun


def state(run: Run) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.folder)): path.read_bytes()
        for path in sorted(run.folder.rglob("*"))
        if path.is_file() and ".index" not in path.parts and not path.name.startswith("ledger.sqlite")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, dict[str, bytes]]:
    """How long a run takes that nothing disturbs, and all that it writes."""
    folder = tmp_path_factory.mktemp("whole")
    write_tree(folder / "taxonomy")
    (folder / "r.yaml").write_text(RECIPE)
    took = finished(folder)
    run = Run(folder / "runs" / "t")
    assert_nothing_vanished(run)
    return took, state(run)


def test_a_run_that_is_killed_between_any_two_filters_comes_to_the_same_bytes(tmp_path, whole):
    took, expected = whole
    write_tree(tmp_path / "taxonomy")
    (tmp_path / "r.yaml").write_text(RECIPE)
    run = Run(tmp_path / "runs" / "t")
    rng = random.Random(5)
    killed = 0
    for _ in range(KILLS):
        with start(tmp_path) as child:
            time.sleep(rng.uniform(0.1, 0.7) * took)
            os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
            killed += child.wait() == -signal.SIGKILL
    finished(tmp_path)
    assert_nothing_vanished(run)
    assert state(run) == expected
    assert killed >= KILLS // 4
