"""However a step's tokens are parted into rows, and rows among processes, the step is the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_chat_model import make_model, make_tokenizer

from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.loss import LossBook
from instructlab_like.tuning.separate import keep_apart
from instructlab_like.tuning.tokens import Encoded


def sample(length: int, first: int) -> Encoded:
    ids = np.random.default_rng(length).integers(5, 300, length)
    return Encoded(f"s{length}", f"leaf{length % 2}", ids, np.arange(length) >= first)


class Process:
    """One of several processes, without the exchange: its own part of the gradient stays its own."""

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes = index, count
        self.device = torch.device("cpu")
        self.no_sync = contextlib.nullcontext

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()


@pytest.fixture
def gradient(lora: ModuleType) -> Callable[..., torch.Tensor]:
    def of(batch: list[list[Encoded]], index: int = 0, count: int = 1) -> torch.Tensor:
        model = make_model()
        keep_apart(model, torch.device("cpu"))
        config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        torch.manual_seed(0)
        adapted = get_peft_model(model, config)
        trainee = lora.Trainee(
            "tiny", Reference("./tiny", None), "id", adapted, adapted, make_tokenizer(), Process(index, count)
        )
        lora.backward(1, batch, trainee, LossBook([sample for row in batch for sample in row], {}))
        return torch.cat([parameter.grad.flatten() for parameter in trainee.parameters])

    return of


def test_two_rows_with_accumulation_are_one_row_without(gradient: Callable[..., torch.Tensor]) -> None:
    long, short, other = sample(30, 3), sample(7, 6), sample(12, 4)
    one_row = gradient([[long, short, other]])
    torch.testing.assert_close(gradient([[long], [short, other]]), one_row, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradient([[short], [other], [long]]), one_row, rtol=1e-4, atol=1e-7)
    assert float(one_row.norm()) > 1e-3


@pytest.mark.parametrize("count", [2, 3])
def test_the_mean_over_processes_is_the_gradient_of_one(gradient: Callable[..., torch.Tensor], count: int) -> None:
    batch = [[sample(30, 3)], [sample(7, 6), sample(9, 2)], [sample(12, 4)], [sample(21, 20)]]
    parts = torch.stack([gradient(batch, index, count) for index in range(count)])
    torch.testing.assert_close(parts.mean(0), gradient(batch), rtol=1e-4, atol=1e-7)
