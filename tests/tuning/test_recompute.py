from __future__ import annotations

from collections import Counter

import pytest
import torch
from switched_models import CPU, adapted, every_row, learnt, samples_of

from instructlab_like.tuning.recompute import recompute
from instructlab_like.tuning.separate import lay


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["selective", "full"])
def test_what_is_computed_again_gives_the_same_bits(kind, dropout: float) -> None:
    model = adapted(layers=3, lora_dropout=dropout)
    plain = every_row(model)
    assert recompute(model.get_base_model(), kind, long=8) == 3
    for (losses, gradient), (own, wanted) in zip(every_row(model), plain, strict=True):
        assert torch.equal(losses, own)
        assert torch.equal(gradient, wanted)


class Counted(torch.utils._python_dispatch.TorchDispatchMode):
    """Products in the forward and the backward pass, by the number of terms of their sums."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[tuple[str, int]] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.mm.default, torch.ops.aten.silu.default):
            self.found[str(func), args[1].shape[0] if len(args) > 1 else 0] += 1
        return func(*args, **(kwargs or {}))


def counted(kind: str) -> Counter[tuple[str, int]]:
    model = adapted(layers=2)
    recompute(model.get_base_model(), kind, long=8)
    with Counted() as counts:
        learnt(model, lay(samples_of((14, 9)), CPU))
    return counts.found


def test_selective_repeats_what_is_cheap_and_keeps_large_products() -> None:
    none, selective, full = (counted(kind) for kind in ("none", "selective", "full"))
    assert full["aten.silu.default", 0] == selective["aten.silu.default", 0] == 2 * none["aten.silu.default", 0]
    wide, thin = ("aten.mm.default", 64), ("aten.mm.default", 4)
    assert full[wide] > none[wide]
    assert selective[wide] == none[wide]
    assert selective[thin] == full[thin] > none[thin]


def test_full_keeps_less_than_selective_and_selective_less_than_none() -> None:
    kept = {}
    for kind in ("none", "selective", "full"):
        model = adapted(layers=6, hidden=64)
        recompute(model.get_base_model(), kind, long=16)
        sizes: dict[int, int] = {}

        def packed(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(packed, lambda tensor: tensor):
            model(input_ids=torch.arange(200)[None], use_cache=False, max_length_q=200)
        kept[kind] = sum(sizes.values())
    assert kept["full"] < 0.6 * kept["none"]


def test_in_evaluation_nothing_is_computed_again() -> None:
    model = adapted(layers=2)
    recompute(model.get_base_model(), "full")
    model.eval()
    with Counted() as counts:
        learnt(model, lay(samples_of((14, 9)), CPU))
    assert counts.found["aten.silu.default", 0] == 2


def test_layers_that_transformers_cannot_repeat_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="a second time"):
        recompute(torch.nn.Sequential(torch.nn.Linear(3, 3)), "full")
