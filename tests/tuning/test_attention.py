from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.tuning.attention import Manner, by_kernel, by_sample, packed_attention

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel runs on CUDA only")


def tensors(*, heads: int = 4, shared: int = 2, tokens: int = 21, width: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn((1, count, tokens, width), generator=generator) for count in (heads, shared, shared)]


def written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, borders: list[int], manner: Manner):
    """Token by token, from the definition."""
    out = torch.zeros(1, query.shape[2], query.shape[1], value.shape[3])
    scaling = manner.scaling or 1 / math.sqrt(query.shape[3])
    for start, end in pairwise(borders):
        for place in range(start, end):
            first = start if manner.window is None else max(start, place + 1 - manner.window)
            for head in range(query.shape[1]):
                source = head * key.shape[1] // query.shape[1]
                logits = key[0, source, first : place + 1] @ query[0, head, place] * scaling
                if manner.softcap is not None:
                    logits = torch.tanh(logits / manner.softcap) * manner.softcap
                weights = logits.exp()
                total = weights.sum() + (0 if manner.sinks is None else manner.sinks[head].exp())
                out[0, place, head] = weights / total @ value[0, source, first : place + 1]
    return out


MANNERS = [
    Manner(),
    Manner(scaling=0.7),
    Manner(window=3),
    Manner(window=100),
    Manner(softcap=1.5),
    Manner(softcap=1.5, window=3),
    Manner(sinks=torch.tensor([0.3, -1.0, 2.0, 0.0])),
    Manner(sinks=torch.tensor([0.3, -1.0, 2.0, 0.0]), window=2, scaling=0.5),
]


@pytest.mark.parametrize("manner", MANNERS, ids=str)
@pytest.mark.parametrize("shared", [4, 2, 1])
def test_each_manner_of_attention_is_as_defined_and_stays_in_its_sample(manner: Manner, shared: int) -> None:
    query, key, value = tensors(shared=shared)
    borders = [0, 5, 6, 21]
    found = by_sample(query, key, value, torch.tensor(borders), manner)
    torch.testing.assert_close(found, written_out(query, key, value, borders, manner), rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.sampled_from(MANNERS))
def test_a_sample_attends_in_a_row_as_it_does_alone(lengths: list[int], manner: Manner) -> None:
    query, key, value = tensors(tokens=sum(lengths))
    borders = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    together = by_sample(query, key, value, borders, manner)
    for start, end in pairwise(borders.tolist()):
        one = [tensor[:, :, start:end].contiguous() for tensor in (query, key, value)]
        alone = by_sample(*one, torch.tensor([0, end - start]), manner)
        torch.testing.assert_close(together[:, start:end], alone)


def attention(**told: object) -> Callable[[], object]:
    tensor = torch.rand(1, 2, 6, 4)
    borders = torch.tensor([0, 2, 6], dtype=torch.int32)
    given = {"attention_mask": None, "cu_seq_lens_q": borders, "max_length_q": 4} | told
    return lambda: packed_attention(torch.nn.Identity(), tensor, tensor, tensor, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        {"cu_seq_lens_q": None},
        {"max_length_q": None},
        {"cu_seq_lens_q": None, "max_length_q": None},
        {"is_causal": False},
        {"attention_mask": torch.zeros(1, 1, 6, 6)},
        {"position_bias": torch.zeros(1, 2, 6, 6)},
    ],
    ids=str,
)
def test_packed_attention_refuses_what_it_would_leave_out(told: dict[str, object]) -> None:
    attention()()
    with pytest.raises(NotImplementedError):
        attention(**told)()


def test_a_row_without_borders_is_one_sample_only_where_the_longest_fills_it() -> None:
    query, key, value = tensors(tokens=6)
    one, _ = packed_attention(torch.nn.Identity(), query, key, value, None, max_length_q=6)
    whole = by_sample(query, key, value, torch.tensor([0, 6]), Manner())
    assert torch.equal(one, whole)


def test_dropout_drops_within_the_sample() -> None:
    query, key, value = tensors()
    manner = Manner(dropout=0.5)
    value = value.requires_grad_()
    for kind in (manner, Manner(dropout=0.5, softcap=2.0)):
        found = by_sample(query, key, value, torch.tensor([0, 9, 21]), kind)
        (gradient,) = torch.autograd.grad(found[:, 9:].sum(), value)
        assert gradient[:, :, :9].abs().sum() == 0
        assert gradient[:, :, 9:].abs().sum() > 0
        assert not torch.equal(found, by_sample(query, key, value, torch.tensor([0, 9, 21]), kind))


@NEEDS_CUDA
@pytest.mark.parametrize("manner", [Manner(), Manner(scaling=0.2), Manner(window=5)], ids=str)
def test_the_kernel_attends_as_sample_by_sample_and_lets_nothing_through(manner: Manner) -> None:
    device = torch.device("cuda")
    exact = [tensor.to(device) for tensor in tensors(tokens=48, width=64)]
    half = [tensor.to(torch.bfloat16).requires_grad_() for tensor in exact]
    borders = torch.tensor([0, 16, 48], dtype=torch.int32, device=device)
    found = by_kernel(half[0], half[1], half[2], borders, 32, manner)
    expected = by_sample(exact[0], exact[1], exact[2], borders, manner)
    assert float((found.float() - expected).norm() / expected.norm()) < 2e-2
    for gradient in torch.autograd.grad(found[:, 16:32].float().sum(), half):
        assert float(gradient[:, :, :16].abs().sum() + gradient[:, :, 32:].abs().sum()) == 0
