"""What all tests share: one torch thread, no hub, a cache of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from run_books import assert_balanced

from instructlab_like.errors import InputError
from instructlab_like.stages import manifest
from instructlab_like.workspace import FORMAT, Run

# Busy machines; the same examples every time.
settings.register_profile("ilk", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ilk")
_cache = tempfile.mkdtemp(prefix="ilk-tests-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ.update(
    {
        "ILK_CACHE": _cache,
        "OMP_NUM_THREADS": "1",
        "GOMP_SPINCOUNT": "30000",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "NO_COLOR": "1",
    }
)


@pytest.fixture(autouse=True)
def books_balance(request: pytest.FixtureRequest) -> Iterator[None]:
    """kept + rejected = made, at every phase of each run that a test leaves behind finished."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for inside, _, files in os.walk(folder) if folder else ():
        run = Run(Path(inside))
        if run.waterfall.name in files and is_finished(run):
            assert_balanced(run)


def is_finished(run: Run) -> bool:
    """Whether its manifest can be read, and says so."""
    try:
        return run.format == FORMAT and "generate" in manifest.read(run).inputs
    except InputError:
        return False
