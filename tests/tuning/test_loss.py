from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_chat_model import make_model

from instructlab_like.records import Message, Row
from instructlab_like.tuning.loss import FloatArray, LeafLoss, LossBook, token_losses
from instructlab_like.tuning.measures import SampleLoss, teachers
from instructlab_like.tuning.separate import PACKED, forward, lay
from instructlab_like.tuning.tokens import Encoded
from instructlab_like.workspace import dump

CPU = torch.device("cpu")
LEAVES = ("knowledge/a", "replay", "skills/b")
MADE_BY = {f"s{number}": "big" for number in range(0, 40, 2)} | {f"s{number}": "small" for number in range(1, 40, 4)}


def sample(number: int, length: int = 9, first: int = 4) -> Encoded:
    ids = np.random.default_rng([number, length]).integers(5, 300, length)
    return Encoded(f"s{number}", LEAVES[number % 3], ids, np.arange(length) >= first)


ALL = [sample(number) for number in range(40)]
ROW = st.lists(st.tuples(st.sampled_from(ALL), st.lists(st.floats(0, 20), min_size=1, max_size=5)), min_size=1)
STEPS = st.lists(st.lists(ROW, min_size=1, max_size=3), min_size=1, max_size=4)
Steps = list[list[list[tuple[Encoded, list[float]]]]]


def booked(steps: Steps, index: int = 0, count: int = 1) -> LossBook:
    """The book of one process of `count`, each of which takes every `count`-th row."""
    book = LossBook(ALL, MADE_BY)
    for step, batch in enumerate(steps, start=1):
        book.begin(step, [[one for one, _ in row] for row in batch])
        for row in batch[index::count]:
            losses = torch.tensor([loss for _, own in row for loss in own], dtype=torch.float64)
            owners = np.repeat(np.arange(len(row)), [len(own) for _, own in row])
            book.add([one for one, _ in row], owners, losses)
        book.settle()
    return book


@given(STEPS)
def test_every_nat_is_on_one_leaf_and_one_teacher(steps: Steps) -> None:
    told = [(one, loss) for batch in steps for row in batch for one, own in row for loss in own]
    records = booked(steps).close(phase="knowledge", step=3)
    assert sum(record.tokens for record in records) == len(told)
    for record in records:
        own = [loss for one, loss in told if (one.leaf, MADE_BY.get(one.sample, "")) == (record.leaf, record.teacher)]
        assert record.tokens == len(own)
        assert record.loss * record.tokens == pytest.approx(sum(own), rel=1e-9, abs=1e-9)


@given(STEPS)
def test_settling_gives_what_was_added(steps: Steps) -> None:
    book = booked([])
    for step, batch in enumerate(steps, start=1):
        book.begin(step, [[one for one, _ in row] for row in batch])
        every = [loss for row in batch for _, own in row for loss in own]
        for row in batch:
            owners = np.repeat(np.arange(len(row)), [len(own) for _, own in row])
            book.add([one for one, _ in row], owners, torch.tensor([loss for _, own in row for loss in own]))
        nats, tokens = book.settle()
        assert (nats, tokens) == (pytest.approx(sum(every), rel=1e-5, abs=1e-5), len(every))
    assert book.settle() == (0.0, 0)


@given(STEPS, st.integers(2, 3))
def test_the_books_of_several_processes_add_up_to_the_book_of_one(steps: Steps, count: int) -> None:
    one = booked(steps)
    others = [booked(steps, index, count) for index in range(count)]

    def added_up(name: str) -> FloatArray:
        return np.sum([book.tensors()[f"book.{name}"].numpy() for book in others], axis=0)

    expected = booked(steps).close(phase="skills", step=2)
    found = others[0].close(phase="skills", step=2, add_up=lambda _: added_up("sums"))
    assert_alike(found, expected)
    assert_alike(
        others[1].last_seen(phase="skills", add_up=lambda _: added_up("latest")), one.last_seen(phase="skills")
    )


def assert_alike(found: Sequence[LeafLoss | SampleLoss], expected: Sequence[LeafLoss | SampleLoss]) -> None:
    assert [one.model_copy(update={"loss": 0.0}) for one in found] == [
        one.model_copy(update={"loss": 0.0}) for one in expected
    ]
    assert [one.loss for one in found] == pytest.approx([one.loss for one in expected])


@given(STEPS)
def test_of_each_sample_the_last_step_that_saw_it_counts(steps: Steps) -> None:
    latest: dict[str, tuple[int, list[float]]] = {}
    for step, batch in enumerate(steps, start=1):
        for row in batch:
            for one, own in row:
                seen, before = latest.get(one.sample, (0, []))
                latest[one.sample] = (step, before + own if seen == step else own)
    found = {record.sample: record for record in booked(steps).last_seen(phase="knowledge")}
    assert found.keys() == latest.keys()
    for name, (step, own) in latest.items():
        assert (found[name].step, found[name].tokens) == (step, len(own))
        assert found[name].loss == pytest.approx(sum(own) / len(own))


def test_the_latest_loss_of_a_sample_is_told_in_between() -> None:
    book = booked([[[(ALL[0], [2.0, 4.0])]], [[(ALL[0], [1.0])], [(ALL[1], [5.0])]]])
    assert (book.latest(ALL[0]), book.latest(ALL[1])) == (1.0, 5.0)
    assert book.latest(ALL[2]) is None


def test_the_losses_of_packed_rows_are_those_of_their_samples_alone() -> None:
    model = make_model(hidden=64)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.3)
    model.set_attn_implementation(PACKED)
    batch = [[sample(1, 12, 3), sample(2, 30, 7), sample(4, 5, 1)], [sample(3, 20, 19), sample(5, 8, 2)]]
    book = LossBook([one for row in batch for one in row], MADE_BY)
    book.begin(1, batch)
    whole = 0.0
    for samples in batch:
        row = lay(samples, CPU)
        losses = token_losses(forward(model, row), row.targets)
        whole += float(losses.detach().double().sum())
        book.add(samples, row.owners, losses)
    nats, tokens = book.settle()
    assert tokens == sum(int(one.trained.sum()) for row in batch for one in row)
    records = book.close(phase="knowledge", step=1)
    assert abs(sum(record.loss * record.tokens for record in records) - whole) < 1e-6
    assert abs(nats - whole) < 1e-6
    model.set_attn_implementation("eager")
    solo = {one.sample: float(alone(model, one).double().mean()) for row in batch for one in row}
    found = {record.sample: record.loss for record in book.last_seen(phase="knowledge")}
    assert found == pytest.approx(solo, rel=1e-4)
    by_account = {(record.leaf, record.teacher): record.loss for record in records}
    assert by_account["skills/b", "big"] == pytest.approx(solo["s2"], rel=1e-4)
    assert by_account["skills/b", "small"] == pytest.approx(solo["s5"], rel=1e-4)
    shared = (solo["s1"] * 9 + solo["s4"] * 4) / 13  # of one leaf, and of two teachers
    both = [(record.loss, record.tokens) for record in records if record.leaf == "replay"]
    assert sum(loss * tokens for loss, tokens in both) / 13 == pytest.approx(shared, rel=1e-4)


def alone(model: torch.nn.Module, one: Encoded) -> torch.Tensor:
    ids = torch.from_numpy(one.ids)[None]
    losses = token_losses(model(input_ids=ids).logits[0, :-1], ids[0, 1:])
    return losses.detach()[torch.from_numpy(one.trained[1:])]


def test_a_closed_book_starts_anew() -> None:
    book = booked([[[(ALL[0], [2.0, 4.0])]]])
    (record,) = book.close(phase="skills", step=7)
    assert record == LeafLoss(phase="skills", step=7, leaf="knowledge/a", teacher="big", tokens=2, loss=3.0)
    assert book.close(phase="skills", step=8) == []
    assert [one.sample for one in book.last_seen(phase="skills")] == ["s0"]
    assert book.last_seen(phase="skills") == []


@given(STEPS, STEPS, st.integers(1, 3))
def test_a_book_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(one: Steps, other: Steps, count: int) -> None:
    straight = booked(one)
    resumed = [LossBook(ALL, MADE_BY) for _ in range(count)]
    for index, book in enumerate(resumed):
        book.restore(straight.tensors(), leads=index == 0)
    for step, batch in enumerate(other, start=len(one) + 1):
        for book in (straight, *resumed):
            book.begin(step, [[sample for sample, _ in row] for row in batch])
        for place, row in enumerate(batch):
            owners = np.repeat(np.arange(len(row)), [len(own) for _, own in row])
            losses = torch.tensor([loss for _, own in row for loss in own], dtype=torch.float64)
            for book in (straight, resumed[place % count]):
                book.add([sample for sample, _ in row], owners, losses)
        for book in (straight, *resumed):
            book.settle()
    parts = [book.tensors() for book in resumed]
    total = {name: torch.stack([part[name] for part in parts]).sum(0) for name in ("book.sums", "book.latest")}
    for name, tensor in total.items():
        torch.testing.assert_close(tensor, straight.tensors()[name])
    assert torch.equal(parts[0]["book.seen"], straight.tensors()["book.seen"])


def test_a_record_without_a_teacher_is_written_as_it_always_was() -> None:
    record = LeafLoss(phase="skills", step=1, leaf="skills/a", tokens=3, loss=0.5)
    line = dump(record.model_dump(mode="json"))
    assert b"teacher" not in line
    assert LeafLoss.model_validate_json(line) == record
    named = record.model_copy(update={"teacher": "big"})
    assert LeafLoss.model_validate_json(dump(named.model_dump(mode="json"))) == named


def test_a_samples_teacher_is_its_model_else_its_method() -> None:
    asked = (Message(role="user", content="?"), Message(role="assistant", content="!"))
    rows = [
        Row(messages=asked, phase="skills", leaf="skills/a", sample="1", method="teacher", model="big"),
        Row(messages=asked, phase="skills", leaf="skills/a", sample="2", method="rules"),
        Row(messages=asked, phase="skills", leaf="replay", sample="3"),
    ]
    assert teachers(rows) == {"1": "big", "2": "rules"}


def test_the_loss_is_computed_in_float32() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * 8
    targets = torch.tensor([1, 2, 3, 4])
    losses = token_losses(logits.bfloat16(), targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, -logits.bfloat16().double().log_softmax(-1)[range(4), targets].float())
