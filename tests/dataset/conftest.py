"""Samples, replay and facts for the dataset's tests."""

from __future__ import annotations

import pytest

from instructlab_like.dataset.card import CardFacts, FilterFacts
from instructlab_like.dataset.mix import Replay
from instructlab_like.records import LeafCounts, Lineage, Message, Sample, digest


def make(question, answer="yes", *, kind="knowledge", context=None, method="rules", leaf="knowledge/tides", chunk=None):
    return Sample(
        id=digest([question, answer, context, leaf])[:32],
        kind=kind,
        question=question,
        answer=answer,
        context=context,
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method=method, model=f"{method}/1", chunk=chunk),
    )


@pytest.fixture
def sample():
    return make


@pytest.fixture
def replay():
    return [
        Replay(
            messages=(
                Message(role="user", content=f"Count on from {n}."),
                Message(role="assistant", content=str(n + 1)),
            )
        )
        for n in range(200)
    ]


@pytest.fixture
def facts():
    return CardFacts(
        leaves=(
            LeafCounts(leaf="knowledge/tides", made=30, kept=20),
            LeafCounts(leaf="skills/sums|odd", made=9, kept=9),
        ),
        filters=(
            FilterFacts(
                name="grounded", version=1, options={"threshold": 0.7, "names": True}, made=39, kept=29, rejected=10
            ),
        ),
        test_share=0.05,
        replay_share=0.25,
        seed=0,
    )
