from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.recipe import PhaseRecipe
from instructlab_like.tuning.phases import (
    Phase,
    derive_batch_tokens,
    derive_row_tokens,
    phase_names,
    rate,
    read_rows,
    replay_line,
    replayed,
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


LINE = {
    "messages": [{"role": "user", "content": "Legs?"}, {"role": "assistant", "content": "Eight."}],
    "phase": "knowledge",
    "leaf": "knowledge/legs",
    "sample": "s1",
}
Turns = list[tuple[str, str]]


def line(sample: str = "s1", turns: Turns | None = None, **other: object) -> str:
    told: dict[str, object] = {**LINE, "sample": sample, **other}
    if turns is not None:
        told["messages"] = [{"role": role, "content": content} for role, content in turns]
    return json.dumps(told)


def write(dataset: Path, *lines: str, phase: str = "knowledge", end: str = "\n", mark: str = "") -> Path:
    (dataset / "data").mkdir(exist_ok=True)
    text = mark + "".join(one + end for one in lines)
    (dataset / "data" / f"{phase}-train.jsonl").write_bytes(text.encode("utf-8"))
    return dataset


def samples(dataset: Path, name: str = "knowledge") -> list[str]:
    return [row.sample for row in read_rows(dataset, name)]


def test_rows_are_read_whatever_columns_stand_beside_theirs(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path, line(difficulty=3), ""), "knowledge")
    assert (row.leaf, row.messages[1].content) == ("knowledge/legs", "Eight.")


def test_rows_can_be_counted_sliced_and_read_again(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, *(line(f"s{number}") for number in range(5))), "knowledge")
    assert len(rows) == 5
    assert rows[-1].sample == "s4"
    assert [row.sample for row in rows[1:3]] == ["s1", "s2"]
    assert list(rows) == list(rows) == rows[:]


def test_a_phase_without_a_file_has_no_rows(tmp_path: Path) -> None:
    assert not read_rows(write(tmp_path), "skills")
    assert not read_rows(write(tmp_path), "knowledge")
    assert not read_rows(tmp_path, "stacked")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_from_elsewhere_are_read_alike(tmp_path: Path, end: str, mark: str) -> None:
    """As Windows writes them: with a byte order mark, with carriage returns, or without a last line's end."""
    assert samples(write(tmp_path, line("a"), line("b"), end=end, mark=mark)) == ["a", "b"]
    path = tmp_path / "data" / "knowledge-train.jsonl"
    path.write_bytes(path.read_bytes().removesuffix(end.encode()))
    assert samples(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[1]",
        '"text"',
        "null",
        "[" * 100_000,
        json.dumps({"leaf": "x"}),
        json.dumps({**LINE, "phase": "x"}),
        json.dumps({**LINE, "messages": "Eight."}),
        line(turns=[("tool", "8")]),
        line().replace("Eight", "\\ud800"),
        "\x00" * 9,
    ],
    ids=lambda bad: bad[:20],
)
def test_a_line_that_is_no_row_is_named_by_its_number(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rows(write(tmp_path, line(), bad), "knowledge")
    assert caught.value.where.endswith("knowledge-train.jsonl:2")
    assert caught.value.fix


def test_a_file_that_ends_within_a_row_is_called_so(tmp_path: Path) -> None:
    path = write(tmp_path, line("a"), line("b")) / "data" / "knowledge-train.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="ends in the middle of a row") as caught:
        read_rows(tmp_path, "knowledge")
    assert caught.value.where.endswith("knowledge-train.jsonl:2")


def test_bytes_that_are_no_text_are_named_by_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, line("a"), line("b")) / "data" / "knowledge-train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Eight", b"E\xffght"))
    with pytest.raises(InputError) as caught:
        read_rows(tmp_path, "knowledge")
    assert caught.value.where.endswith("knowledge-train.jsonl:1")


def test_a_folder_in_place_of_a_phase_s_file_is_not_taken_for_a_phase_without_rows(tmp_path: Path) -> None:
    (tmp_path / "data" / "skills-train.jsonl").mkdir(parents=True)
    for phase in ("skills", "stacked"):
        with pytest.raises(InputError, match="not a file") as caught:
            read_rows(tmp_path, phase)
        assert caught.value.where.endswith("skills-train.jsonl")


def test_a_link_to_nowhere_is_not_taken_for_a_phase_without_rows(tmp_path: Path) -> None:
    (write(tmp_path) / "data" / "skills-train.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="not a file"):
        read_rows(tmp_path, "skills")


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset"):
        read_rows(tmp_path / "missing", "knowledge")


ASKED = [("user", "Legs?"), ("assistant", "Eight."), ("user", "Eyes?")]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no turn of it is an answer"),
        ([("system", "Be brief."), ("user", "Legs?")], "no turn of it is an answer"),
        ([("user", "Legs?"), ("assistant", "")], "an answer of it is empty"),
        ([*ASKED, ("assistant", " \n")], "an answer of it is empty"),
    ],
)
def test_rows_that_teach_nothing_are_left_out_with_their_reason(tmp_path: Path, turns: Turns, reason: str) -> None:
    rows = read_rows(write(tmp_path, line("a"), line("b", turns), line("c")), "knowledge")
    assert [row.sample for row in rows] == ["a", "c"]
    assert [(one.phase, one.leaf, one.sample, one.reason) for one in rows.skipped] == [
        ("knowledge", "knowledge/legs", "b", reason)
    ]


@pytest.mark.parametrize("turns", [[("system", "Be brief."), *ASKED[:2]], [*ASKED, ("assistant", "Six.")], ASKED])
def test_system_turns_and_several_answers_are_no_reason_to_leave_a_row_out(tmp_path: Path, turns: Turns) -> None:
    rows = read_rows(write(tmp_path, line("a", turns)), "knowledge")
    assert not rows.skipped
    assert [(message.role, message.content) for message in rows[0].messages] == turns


def test_a_row_that_stands_twice_in_a_phase_is_trained_once_and_said(tmp_path: Path) -> None:
    other = line("a", [("user", "Arms?"), ("assistant", "None.")])
    rows = read_rows(write(tmp_path, line("a"), other, line("a", difficulty=3)), "knowledge")
    assert [row.messages[0].content for row in rows] == ["Legs?", "Arms?"]
    assert [one.reason for one in rows.skipped] == ["it stands in this phase before"]


def test_stacked_has_each_sample_of_both_files_once(tmp_path: Path) -> None:
    write(tmp_path, line("k1"), line("k2"), line("r", leaf="replay"))
    write(
        tmp_path,
        *(line("s1", phase="skills"), line("k2", phase="skills"), line("r", phase="skills", leaf="replay")),
        phase="skills",
    )
    rows = read_rows(tmp_path, "stacked")
    assert [row.sample for row in rows] == ["k1", "k2", "r", "s1"]
    assert not rows.skipped
    assert samples(tmp_path, "skills") == ["s1", "k2", "r"]


def test_stacked_tells_under_its_own_name_what_it_leaves_out(tmp_path: Path) -> None:
    empty = [("user", "Legs?"), ("assistant", "")]
    write(tmp_path, line("k1", empty), line("k2"))
    write(tmp_path, line("s1", empty), line("k1", empty), phase="skills")
    rows = read_rows(tmp_path, "stacked")
    assert [row.sample for row in rows] == ["k2"]
    assert [(one.phase, one.sample) for one in rows.skipped] == [("stacked", "k1"), ("stacked", "s1")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no phase to train"),
        (("skills", "skills"), "named twice: skills, skills"),
        (("stacked", "stacked"), "named twice"),
        (("knowledge", "stacked"), "stacked holds the rows of knowledge already"),
        (("stacked", "knowledge", "skills"), "stacked holds the rows of knowledge and skills already"),
    ],
)
def test_phases_that_would_train_rows_twice_are_refused(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        phase_names([PhaseRecipe.model_validate({"name": name}) for name in names])
    assert caught.value.where == "phases"


@pytest.mark.parametrize("names", [("stacked",), ("knowledge", "skills"), ("skills", "knowledge"), ("skills",)])
def test_phases_that_share_no_file_are_taken(names: tuple[str, ...]) -> None:
    assert phase_names([PhaseRecipe.model_validate({"name": name}) for name in names]) == names


def of(name: str, *told: tuple[str, str, int]) -> Phase:
    """A phase of samples: id, leaf, learnt tokens."""
    found = tuple(
        Encoded(sample, leaf, np.zeros(learnt + 1, np.int64), np.arange(learnt + 1) > 0)
        for sample, leaf, learnt in told
    )
    return Phase(0, PhaseRecipe.model_validate({"name": name}), found, ROW, 2, True, 0)


def test_what_a_phase_replays_is_told_by_samples_and_by_learnt_tokens() -> None:
    knowledge = of("knowledge", ("k1", "leaf", 2), ("k2", "leaf", 2), ("r1", "replay", 4))
    skills = of("skills", ("s1", "skill", 5), ("s2", "skill", 5), ("k2", "leaf", 2), ("r1", "replay", 8))
    found = replayed([knowledge, skills])
    assert [(one.phase, one.of, one.samples, one.share, one.learnt) for one in found] == [
        ("knowledge", "the base's own tasks", 1, pytest.approx(1 / 3), 0.5),
        ("skills", "knowledge", 1, 0.25, 0.1),
        ("skills", "the base's own tasks", 1, 0.25, 0.4),
    ]
    assert replay_line("skills", found) == (
        "replay: 25.0% of its samples (10.0% of what is learnt) from knowledge; "
        "25.0% of its samples (40.0% of what is learnt) from the base's own tasks"
    )


def test_rows_of_knowledge_are_no_replay_where_no_earlier_phase_trained_them() -> None:
    found = replayed([of("skills", ("s1", "skill", 5), ("k2", "leaf", 2))])
    assert found == []
    assert replay_line("skills", found) == "replay: none"
