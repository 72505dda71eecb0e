"""`ilk runs merge`: the answers of several runs in one, its dataset derived without a call, conflicts named."""

from __future__ import annotations

from pathlib import Path

import pytest
from server import TeacherServer
from small_runs import REFUSALS, SUMS, TIDES, bytes_of, calls, copied, made, make_workspace, recipe

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Sample
from instructlab_like.stages import manifest
from instructlab_like.stages.keeping import merge as stage
from instructlab_like.stages.keeping.merge import merge, scratch_of
from instructlab_like.stages.keeping.runs import look
from instructlab_like.workspace import Run, read_records


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, Run]:
    """Runs of two leaves each, one of them in both, and a run of all three; each asked of a server of its own."""
    folder = tmp_path_factory.mktemp("merge")
    taxonomy = make_workspace(folder)
    runs = []
    for name, leaves in (("a", (TIDES, SUMS)), ("b", (SUMS, REFUSALS)), ("whole", ())):
        with TeacherServer() as server:
            told = recipe(taxonomy, server, leaves=leaves)
            runs.append(made(folder, name, told))
    one, other, whole = runs
    return one, other, whole


@pytest.fixture
def runs(origins: tuple[Run, Run, Run], tmp_path: Path) -> tuple[Run, Run]:
    return copied(origins[0], f"{tmp_path.name}-a"), copied(origins[1], f"{tmp_path.name}-b")


@pytest.fixture
def into(runs: tuple[Run, Run], tmp_path: Path) -> Run:
    return Run(runs[0].folder.with_name(f"{tmp_path.name}-c"))


def changed(run: Run, **options: object) -> None:
    """Give the run another recipe."""
    found = manifest.read(run)
    told = GenerateRecipe.model_validate({**found.generate.model_dump(), **options})
    manifest.write(run, found.model_copy(update={"generate": told}))


def test_a_merged_run_is_what_one_run_of_all_would_be(
    origins: tuple[Run, Run, Run], runs: tuple[Run, Run], into: Run
) -> None:
    merge(runs, into)
    assert manifest.read(into).generate.leaves == (REFUSALS, SUMS, TIDES)
    assert look(into)[0] == "finished"
    for name in ("1-plan.jsonl", "2-samples.jsonl", "3-verdicts.jsonl", "4-dataset"):
        whole, found = origins[2].folder / name, into.folder / name
        if whole.is_dir():
            assert bytes_of(found) == bytes_of(whole)
        else:
            assert found.read_bytes() == whole.read_bytes()


def test_costs_add_up_and_no_answer_is_lost(runs: tuple[Run, Run], into: Run) -> None:
    before = [calls(run) for run in runs]
    merge(runs, into)
    after = calls(into)
    assert set(after) == set(before[0]) | set(before[1])
    with Ledger(into.ledger) as ledger:
        assert ledger.spent.calls == sum(call[1] for found in before for call in found.values())


def test_the_runs_that_were_merged_stay_as_they_are(runs: tuple[Run, Run], into: Run) -> None:
    before = [bytes_of(run.folder) for run in runs]
    merge(runs, into)
    assert [bytes_of(run.folder) for run in runs] == before


def test_the_first_answer_counts(runs: tuple[Run, Run], into: Run) -> None:
    with Ledger(runs[1].ledger) as ledger:
        ledger.connection.execute("UPDATE calls SET answer = replace(answer, 'in all', 'in b') WHERE answer NOT NULL")
    merge(runs, into)
    texts = [sample.answer for sample in read_records(into.samples, Sample) if sample.lineage.leaf == SUMS]
    assert any("in all" in text for text in texts)
    assert not any("in b" in text for text in texts)


def test_conflicting_recipes_are_refused_by_name(runs: tuple[Run, Run], into: Run) -> None:
    changed(runs[1], chunk_words=77, seed=3)
    with pytest.raises(InputError) as caught:
        merge(runs, into)
    one, other = (run.name for run in runs)
    assert f"chunk_words: 200 in {one}, 77 in {other}" in caught.value.what
    assert f"seed: 0 in {one}, 3 in {other}" in caught.value.what
    assert "leaves" not in caught.value.what
    assert not into.folder.exists()


def test_another_model_is_a_conflict_and_another_address_is_none(runs: tuple[Run, Run], into: Run) -> None:
    teacher = manifest.read(runs[1]).generate.teacher
    changed(runs[1], teacher=teacher.model_copy(update={"url": "http://127.0.0.1:9/v1", "concurrency": 3}).model_dump())
    merge(runs, into)
    changed(runs[1], teacher=teacher.model_copy(update={"model": "other"}).model_dump())
    with pytest.raises(InputError, match=r"teacher: http m in .*, http other in"):
        merge(runs, Run(into.folder.with_name("never")))


def test_all_leaves_and_some_are_all(origins: tuple[Run, Run, Run], runs: tuple[Run, Run], into: Run) -> None:
    merge([runs[0], origins[2]], into)
    assert manifest.read(into).generate.leaves == ()


@pytest.mark.parametrize("number", [0, 1])
def test_one_run_is_not_merged(runs: tuple[Run, Run], into: Run, number: int) -> None:
    with pytest.raises(InputError, match="two different runs"):
        merge([runs[0]] * (number + 1), into)


def test_nothing_is_written_over(runs: tuple[Run, Run]) -> None:
    before = bytes_of(runs[1].folder)
    with pytest.raises(InputError, match="exists already"):
        merge(runs, runs[1])
    assert bytes_of(runs[1].folder) == before


def test_a_run_that_is_not_there_or_is_used_is_named(runs: tuple[Run, Run], into: Run) -> None:
    with pytest.raises(InputError, match="no such run"):
        merge([runs[0], Run(into.folder.with_name("nowhere"))], into)
    with Ledger(runs[1].ledger), pytest.raises(InputError, match="using this ledger"):
        merge(runs, into)
    assert not into.folder.exists()
    assert not scratch_of(into).exists()


@pytest.mark.parametrize("step", ["join", "generate"])
def test_a_stop_leaves_no_half_run(
    runs: tuple[Run, Run], into: Run, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            merge(runs, into)
    assert not scratch_of(into).exists()
    if step == "join":
        assert not into.folder.exists()
        merge(runs, into)
    else:
        assert look(into)[0] == "incomplete"
        stage.generate(into, manifest.read(into).generate)
    assert look(into)[0] == "finished"


def test_what_a_kill_left_of_a_merge_is_no_hindrance(runs: tuple[Run, Run], into: Run) -> None:
    scratch_of(into).mkdir()
    (scratch_of(into) / "ledger.sqlite").write_text("half")
    merge(runs, into)
    assert look(into)[0] == "finished"
