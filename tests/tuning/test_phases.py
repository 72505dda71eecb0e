from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.recipe import PhaseRecipe
from instructlab_like.tuning.phases import (
    Phase,
    derive_batch_tokens,
    derive_row_tokens,
    rate,
    read_rows,
    rows_per_step,
    usable,
)
from instructlab_like.tuning.tokens import Encoded

ROW = 64


def encoded(number: int, length: int, *, trained: bool = True) -> Encoded:
    return Encoded(f"s{number}", "leaf", np.zeros(length, np.int64), np.arange(length) >= (1 if trained else length))


def phase(lengths: list[int], *, epochs: float = 1, step: int = 2, packs: bool = True, seed: int = 0) -> Phase:
    samples = tuple(encoded(number, length) for number, length in enumerate(lengths))
    return Phase(0, PhaseRecipe(name="knowledge", epochs=epochs), samples, ROW, step, packs, seed)


def names(batches: list[list[list[Encoded]]]) -> list[list[list[str]]]:
    return [[[sample.sample for sample in row] for row in batch] for batch in batches]


@given(st.lists(st.integers(2, ROW), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_whole_epochs_show_each_sample_equally_often(lengths: list[int], epochs: int, step: int, packs: bool) -> None:
    told = phase(lengths, epochs=epochs, step=step, packs=packs)
    batches = names(list(told.batches()))
    assert len(batches) == told.steps
    assert all(len(batch) == step for batch in batches[:-1])
    seen = Counter(name for batch in batches for row in batch for name in row)
    assert seen == {f"s{number}": epochs for number in range(len(lengths))}


@given(st.lists(st.integers(2, ROW), min_size=1, max_size=40), st.floats(0.01, 2.5))
def test_parts_of_an_epoch_show_that_part_of_the_rows(lengths: list[int], epochs: float) -> None:
    told = phase(lengths, epochs=epochs)
    rows = [row for batch in told.batches() for row in batch]
    assert len(rows) == told.all_rows == max(1, round(told.rows * epochs))
    assert all(sum(len(sample.ids) for sample in row) <= ROW for row in rows)


def test_the_order_follows_from_the_seed() -> None:
    lengths = [10, 12, 20, 9, 30, 31, 5, 8, 10, 10, 10]
    first, again, other = (names(list(phase(lengths, seed=seed).batches())) for seed in (0, 0, 1))
    assert first == again != other


def test_epochs_bring_samples_together_in_other_rows() -> None:
    told = phase([8] * 64, epochs=2)
    rows = [frozenset(row) for batch in names(list(told.batches())) for row in batch]
    assert len(set(rows)) > told.rows


def test_unpacked_samples_have_rows_of_their_own() -> None:
    assert all(len(row) == 1 for batch in phase([2, 3, 4], packs=False).batches() for row in batch)


@given(st.integers(1, 500), st.floats(0, 0.99), st.sampled_from(["cosine", "constant"]))
def test_the_rate_rises_then_never_rises_again(steps: int, warmup: float, schedule: str) -> None:
    rates = [rate(step, steps, warmup=warmup, schedule=schedule) for step in range(steps)]
    rise = round(steps * warmup)
    assert all(0 < one <= 1 for one in rates)
    assert rates[:rise] == sorted(rates[:rise])
    assert rates[rise:] == sorted(rates[rise:], reverse=True)


def test_the_cosine_ends_near_zero_and_the_constant_does_not() -> None:
    assert rate(0, 100, warmup=0, schedule="cosine") == 1.0
    assert rate(99, 100, warmup=0, schedule="cosine") < 0.001
    assert rate(99, 100, warmup=0, schedule="constant") == 1.0


@given(st.integers(64, 10**6), st.integers(64, 10**6), st.integers(1, 10**4), st.integers(1, 8))
def test_every_process_gets_as_many_rows_of_a_step(batch: int, tokens: int, rows: int, processes: int) -> None:
    found = rows_per_step(batch, tokens=tokens, rows=rows, processes=processes)
    assert found % processes == 0
    assert 0 <= found - max(1, round(batch * rows / tokens)) < processes


def test_rows_and_batches_are_derived_within_sense() -> None:
    assert derive_row_tokens(100, on_gpu=False) == 1024
    assert derive_row_tokens(1500, on_gpu=False) == 2048
    assert derive_row_tokens(100, on_gpu=True) == 8192
    assert derive_batch_tokens(1000, 1024) == 1024
    assert derive_batch_tokens(400_000, 1024) == 10_000
    assert derive_batch_tokens(10**9, 1024) == 65_536


def test_what_cannot_be_trained_is_named_with_its_reason() -> None:
    samples = [encoded(0, ROW), encoded(1, ROW + 1), encoded(2, 5, trained=False)]
    kept, skipped = usable(samples, phase="skills", row_tokens=ROW)
    assert [sample.sample for sample in kept] == ["s0"]
    assert [(skip.sample, skip.tokens, skip.reason) for skip in skipped] == [
        ("s1", 65, "longer than a row of 64 tokens"),
        ("s2", 5, "no token of it is an answer's"),
    ]


def write(dataset: Path, *lines: str) -> Path:
    (dataset / "data").mkdir()
    (dataset / "data" / "knowledge-train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return dataset


LINE = {
    "messages": [{"role": "user", "content": "Legs?"}, {"role": "assistant", "content": "Eight."}],
    "phase": "knowledge",
    "leaf": "knowledge/legs",
    "sample": "s1",
}


def test_rows_are_read_whatever_columns_stand_beside_theirs(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path, json.dumps({**LINE, "difficulty": 3}), ""), "knowledge")
    assert (row.leaf, row.messages[1].content) == ("knowledge/legs", "Eight.")


def test_a_phase_without_a_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path), "skills") == []


@pytest.mark.parametrize("line", ["{", "[1]", '"text"', json.dumps({"leaf": "x"}), json.dumps({**LINE, "phase": "x"})])
def test_a_line_that_is_no_row_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rows(write(tmp_path, json.dumps(LINE), line), "knowledge")
    assert caught.value.where.endswith("knowledge-train.jsonl:2")


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset"):
        read_rows(tmp_path / "missing", "knowledge")
