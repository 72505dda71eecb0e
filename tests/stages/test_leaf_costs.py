"""What each leaf's calls to a teacher came to, held against the ledger of a run that asked one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from leaf_files import skill, write_leaf
from server import TeacherServer
from small_runs import REFUSALS, SUMS, TIDES, calls, copied, made, make_workspace, recipe

from instructlab_like.generation.books import InUseError
from instructlab_like.generation.ledger import Intent, Ledger
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
from instructlab_like.records import Sample
from instructlab_like.report.contribution import LeafCost
from instructlab_like.stages import manifest
from instructlab_like.stages.telling.leaf_costs import Costs, leaf_costs
from instructlab_like.workspace import Run, read_records

TWIN = "compositional_skills/twins"  # asks word for word what SUMS asks


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("costs")
    taxonomy = make_workspace(folder)
    write_leaf(taxonomy, TWIN, skill())
    with TeacherServer() as server:
        return made(folder, "origin", recipe(taxonomy, server))


@pytest.fixture
def run(origin: Run, tmp_path: Path) -> Run:
    return copied(origin, tmp_path.name)


def told(run: Run) -> Costs:
    asked = manifest.read(run).generate
    assert asked is not None
    found = leaf_costs(run, asked)
    assert found is not None
    return found


def test_a_leaf_has_the_calls_that_its_samples_descend_from(run: Run) -> None:
    found, ledger = told(run), calls(run)
    for leaf in (REFUSALS, SUMS):
        own = {
            turn.call
            for sample in read_records(run.samples, Sample)
            if sample.lineage.leaf == leaf
            for turn in sample.lineage.turns
        }
        assert own
        cost = found.leaves[leaf]
        assert cost.calls >= len(own)
        assert cost.tokens_in >= sum(int(str(ledger[call][3])) for call in own) > 0
        assert cost.money == pytest.approx((cost.tokens_in * 1.0 + cost.tokens_out * 2.0) / 1e6)


def test_a_call_that_two_leaves_need_is_in_both_rows_and_said_to_be(run: Run) -> None:
    found = told(run)
    assert found.leaves[TWIN] == found.leaves[SUMS]
    assert found.leaves[SUMS].shared == found.leaves[SUMS].calls > 0
    assert found.leaves[REFUSALS].shared == 0
    apart = sum(found.leaves[leaf].calls for leaf in (SUMS, REFUSALS, TIDES) if leaf in found.leaves)
    flows = sum(int(str(row[1])) for row in calls(run).values() if row[5] == "flow")
    assert apart == flows


def test_the_total_is_the_ledgers(run: Run) -> None:
    spent = manifest.read(run).spent
    total = told(run).total
    assert total.calls == sum(one.calls for one in spent.values())
    assert total.tokens_in == sum(one.tokens_in for one in spent.values())
    assert total.tokens_out == sum(one.tokens_out for one in spent.values())


def test_without_prices_there_is_no_money(run: Run) -> None:
    asked = manifest.read(run).generate
    assert asked is not None
    assert asked.teacher is not None
    free = asked.teacher.model_copy(update={"price_in": None, "price_out": None})
    found = leaf_costs(run, asked.model_copy(update={"teacher": free}))
    assert found is not None
    assert found.leaves[SUMS].calls > 0
    assert found.leaves[SUMS].money is None


def test_a_run_without_a_teacher_costs_nothing_and_needs_no_ledger(tmp_path: Path) -> None:
    assert leaf_costs(Run(tmp_path), GenerateRecipe()) == Costs({}, LeafCost())


def test_a_ledger_that_is_gone_leaves_the_cost_unknown(tmp_path: Path) -> None:
    assert leaf_costs(Run(tmp_path), GenerateRecipe(teacher=TeacherRecipe(model="m", url="http://x/v1"))) is None


def test_a_ledger_of_the_first_format_is_read_as_well(run: Run) -> None:
    now = told(run).leaves
    with sqlite3.connect(run.ledger) as connection:
        for column in ("kind", "lost", "tokens_in", "tokens_out", "purpose"):
            connection.execute(f"ALTER TABLE calls DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert told(run).leaves == now


def test_a_ledger_in_use_is_said_to_be(run: Run) -> None:
    with Ledger(run.ledger) as ledger:
        ledger.write(Intent("f" * 64, "{}", "http:m"))
        with pytest.raises(InUseError):
            told(run)
