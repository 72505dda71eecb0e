"""The arithmetic of a float8 base. torch computes scaled products of float8 on a CPU, too, so this is the real path."""

from __future__ import annotations

import pytest
import torch
from switched_models import CPU, adapted, learnt, sample
from torch.nn.functional import cosine_similarity

from instructlab_like.tuning.float8 import FLOAT8, LARGEST, Float8Linear, cannot_float8, quantise, scaled
from instructlab_like.tuning.fused import fuse
from instructlab_like.tuning.separate import lay


def test_a_row_is_scaled_to_the_whole_range_by_itself() -> None:
    matrix = torch.randn(6, 32, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 6)[:, None]
    values, scale = scaled(matrix)
    assert values.dtype == FLOAT8
    assert values.float().abs().amax(1).tolist() == [LARGEST] * 6
    error = (values.float() * scale - matrix).norm(dim=1) / matrix.norm(dim=1)
    assert error.max() < 0.04
    assert torch.equal(scaled(torch.zeros(2, 16))[0].float(), torch.zeros(2, 16))
    turned, _ = scaled(matrix.t())
    assert turned.is_contiguous(), "a GPU's product takes its first factor row after row alone"


def test_a_product_and_its_gradient_are_those_of_the_quantised_matrices() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(32, 48, bias=True)
    held = Float8Linear(layer)
    x = torch.randn(2, 7, 32, generator=generator, requires_grad=True)
    out = held(x)
    rows, scale = scaled(x.detach().reshape(14, 32))
    weight = held.weight.float() * held.weight_scale.t()
    torch.testing.assert_close(out.reshape(14, 48), (rows.float() * scale) @ weight.t() + layer.bias)
    slope = torch.randn(out.shape, generator=generator)
    (found,) = torch.autograd.grad(out, x, slope)
    slopes, own = scaled(slope.reshape(14, 48))
    turned = held.turned.float() * held.turned_scale.t()
    torch.testing.assert_close(found.reshape(14, 32), (slopes.float() * own) @ turned.t())
    plain = torch.autograd.grad(layer(x), x, slope)[0]
    assert (found - plain).norm() < 0.06 * plain.norm()


@pytest.mark.parametrize("fused", [False, True])
def test_the_loss_stays_and_the_adapter_s_gradient_points_the_same_way(fused: bool) -> None:
    model = adapted(layers=3, hidden=64)
    row = lay([sample(60, 1), sample(50, 2)], CPU)
    losses, gradient = learnt(model, row)
    assert quantise(model) == 3 * 7
    if fused:
        fuse(model)
    found, slope = learnt(model, row)
    assert abs(found.mean() - losses.mean()) < 0.005 * losses.mean()
    assert cosine_similarity(gradient, slope, 0) > 0.97


def test_samples_of_a_row_do_not_change_each_other_s_quantised_values() -> None:
    model = adapted(hidden=64)
    quantise(model)
    first, other, second = sample(12, 1), sample(12, 2), sample(9, 3)
    found = []
    for before in (first, other):
        row = lay([before, second], CPU)
        losses, _ = learnt(model, row)
        found.append(losses[torch.from_numpy(row.owners == 1)])
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)


def test_only_matrices_under_adapters_are_quantised_and_the_file_has_no_trace() -> None:
    model = adapted(hidden=64, target_modules=["q_proj"])
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert quantise(model) == 2
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == names
    assert isinstance(model.get_base_model().model.layers[0].self_attn.k_proj, torch.nn.Linear)
    with pytest.raises(NotImplementedError, match="multiples of 16"):
        quantise(adapted(hidden=24, target_modules=["q_proj"]))


def test_a_cpu_has_none_and_it_is_said_in_one_line() -> None:
    assert cannot_float8(CPU) == (
        "float8 needs a GPU of compute capability 8.9 or higher (Ada, Hopper), and this is a cpu"
    )
