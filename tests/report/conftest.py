from __future__ import annotations

import pytest
from invented import invented

from instructlab_like.report.facts import ReportFacts


@pytest.fixture(scope="session")
def facts() -> ReportFacts:
    return invented()
