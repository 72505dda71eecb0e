from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.tuning.loss import LossBook, token_losses

LEAVES = ["skills/b", "knowledge/a", "replay"]
TOKENS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 20)), max_size=60)


def booked(tokens: list[tuple[int, float]]) -> LossBook:
    book = LossBook(LEAVES)
    book.add(np.array([leaf for leaf, _ in tokens], dtype=np.int64), np.array([loss for _, loss in tokens]))
    return book


@given(TOKENS)
def test_leaf_losses_add_up_to_the_whole_loss(tokens: list[tuple[int, float]]) -> None:
    book = booked(tokens)
    records = book.close(book.sums, phase="knowledge", step=3)
    assert sum(record.loss * record.tokens for record in records) == pytest.approx(sum(loss for _, loss in tokens))
    assert sum(record.tokens for record in records) == len(tokens)
    assert {record.leaf for record in records} == {sorted(LEAVES)[leaf] for leaf, _ in tokens}


@given(TOKENS, TOKENS)
def test_the_books_of_two_processes_add_up(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> None:
    together = booked(one + other)
    summed = booked(one).sums + booked(other).sums
    np.testing.assert_allclose(together.sums, summed)


def test_a_closed_book_starts_anew() -> None:
    book = booked([(0, 2.0), (0, 4.0)])
    (record,) = book.close(book.sums, phase="skills", step=7)
    assert (record.leaf, record.phase, record.step, record.tokens, record.loss) == ("knowledge/a", "skills", 7, 2, 3.0)
    assert book.close(book.sums, phase="skills", step=8) == []


def test_the_loss_is_computed_in_float32() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * 8
    targets = torch.tensor([1, 2, 3, 4])
    losses = token_losses(logits.bfloat16(), targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, -logits.bfloat16().double().log_softmax(-1)[range(4), targets].float())
