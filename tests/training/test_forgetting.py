"""A second phase wipes out the first unless some of its rows replay it; benchmarks/forgetting.py measures how much."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

from benchmarks.forgetting import Kept, Trial, Way, facts, interval, measured, skills, table, unseen

SMALL = Trial(skill_rows=360, second_epochs=3)


@pytest.fixture(scope="module")
def found(lora: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Kept]:
    """One seed, without replay and with 5 % of it; trained in this process."""

    def run(arguments: Sequence[str]) -> int:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.setattr(sys, "argv", ["lora.py", *arguments])
            return int(lora.main())

    return list(measured(SMALL, (Way(), Way(0.05)), run, seed=0, folder=tmp_path_factory.mktemp("forgetting")))


def test_the_first_phase_is_learnt(found: list[Kept]) -> None:
    assert found[0].after == 1
    assert found[0].score >= 0.8


def test_without_replay_the_first_phase_is_lost(found: list[Kept]) -> None:
    assert found[1].rows == 0
    assert found[1].score <= 0.4 * found[0].score
    assert found[1].loss >= found[0].loss + 0.5


def test_one_row_in_twenty_keeps_the_first_phase(found: list[Kept]) -> None:
    first, lost, kept = found
    assert abs(kept.rows - 0.05 * (SMALL.skill_rows + kept.rows)) <= 1
    assert kept.score >= 0.6 * first.score
    assert kept.loss <= 0.5 * lost.loss


def test_replay_does_not_keep_the_second_phase_from_being_learnt(found: list[Kept]) -> None:
    first, lost, kept = found
    assert min(lost.skill, kept.skill) >= first.skill + 0.15
    assert kept.skill >= lost.skill - 0.2


def test_no_question_on_the_skills_is_trained() -> None:
    taught = skills(360, seed=1)
    items = unseen(taught, seed=1)
    assert len({item.id for item in items}) == len(items) >= 40
    assert not {item.question for item in items} & {sample.question for sample in taught}
    assert {item.leaf for item in items} == {sample.lineage.leaf for sample in taught}


def test_no_held_out_question_is_trained() -> None:
    samples, items = facts(30, seed=1)
    asked = {item.question for item in items}
    assert len(asked) == len(items)
    assert not asked & {sample.question for sample in samples}
    assert {item.answer for item in items} == {sample.answer for sample in samples}


def test_the_table_has_an_interval_over_seeds_and_the_part_that_is_kept() -> None:
    found = [
        Kept(seed=seed, way=Way(share), after=after, rows=rows, part=rows / 1000, score=score, loss=1.0, skill=0.5)
        for seed, first, second in ((0, 0.8, 0.4), (1, 0.9, 0.45))
        for after, share, rows, score in ((1, 0.0, 0, first), (2, 0.05, 50, second))
    ]
    head, first, second = table(found)
    assert head.split()[:3] == ["replayed", "rows", "right"]
    assert "0.850 [" in first
    assert "5% replay" in second
    assert "50 = 5.0%" in second
    assert "0.500 [0.500–0.500]" in second


def test_intervals_are_those_of_the_t_distribution() -> None:
    assert interval([0.5]) == "0.500"
    assert interval([1.0, 2.0, 3.0]) == "2.000 [-0.483–4.483]"  # 4.30 · 1 / √3
