"""One small random chat model and one adapter for all tests of answering."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import make_adapter, make_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"), hidden=32, layers=2)


@pytest.fixture(scope="session")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tiny, tmp_path_factory.mktemp("adapter"), seed=1)
