from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from switched_models import CPU, adapted, every_row, furthest, samples_of
from torch.nn.functional import cross_entropy, linear

from instructlab_like.tuning import linear_loss
from instructlab_like.tuning.linear_loss import LinearLoss, Unprojected, defer_head, deferred_head
from instructlab_like.tuning.separate import forward, lay


@settings(max_examples=30)
@given(tokens=st.integers(1, 23), chunk=st.integers(1, 30), seed=st.integers(0, 99), biased=st.booleans())
def test_losses_and_slopes_are_those_of_the_plain_computation(tokens: int, chunk: int, seed: int, biased: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 12, generator=generator, requires_grad=True)
    weight = torch.randn(50, 12, generator=generator)
    bias = torch.randn(50, generator=generator) if biased else None
    targets = torch.randint(0, 50, (tokens,), generator=generator)
    shares = torch.rand(tokens, generator=generator)
    losses = LinearLoss.apply(hidden, weight, bias, targets, chunk)
    plain = cross_entropy(linear(hidden, weight, bias), targets, reduction="none")
    torch.testing.assert_close(losses, plain, rtol=1e-5, atol=1e-5)
    found, wanted = (torch.autograd.grad((one * shares).sum(), hidden)[0] for one in (losses, plain))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_every_packed_row_gives_the_plain_losses_and_gradients(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted()
    plain = every_row(model)
    monkeypatch.setattr(linear_loss, "CHUNK", 4 * 320 * chunk)
    defer_head(model.get_base_model())
    assert furthest(every_row(model), plain) < 1e-5


def test_the_logits_of_a_row_are_never_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted()
    defer_head(model.get_base_model())
    monkeypatch.setattr(linear_loss, "CHUNK", 4 * 320 * 4)
    sizes: list[int] = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            transposed = func is torch.ops.aten.t.default  # of the head's matrix
            if isinstance(found, torch.Tensor) and found.ndim and found.shape[-1] == 320 and not transposed:
                sizes.append(found.numel() // 320)
            return found

    row = lay(samples_of((30, 20)), CPU)
    with Watched():
        waiting = forward(model, row)
        assert isinstance(waiting, Unprojected)
        waiting.losses(row.targets).sum().backward()
    assert len(row.targets) == 25
    assert max(sizes) <= 4


def test_without_a_gradient_only_the_losses_are_worked_out() -> None:
    model = adapted()
    row = lay(samples_of((14, 9)), CPU)
    with torch.no_grad():
        plain = forward(model, row)
        defer_head(model.get_base_model())
        waiting = forward(model, row)
        assert isinstance(waiting, Unprojected)
        losses = waiting.losses(row.targets)
    assert not losses.requires_grad
    torch.testing.assert_close(losses, cross_entropy(plain, row.targets, reduction="none"), rtol=1e-5, atol=1e-5)


def test_the_head_keeps_its_place_its_name_and_its_weights() -> None:
    model = adapted()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    defer_head(model.get_base_model())
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert deferred_head(torch.nn.DataParallel(model)) is deferred_head(model)


def test_a_head_with_an_adapter_is_refused() -> None:
    model = adapted(target_modules=["q_proj", "lm_head"])
    with pytest.raises(NotImplementedError, match="its head has an adapter"):
        defer_head(model.get_base_model())
    assert deferred_head(model) is None
