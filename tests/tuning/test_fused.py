from __future__ import annotations

import pytest
import torch
from peft import get_peft_model_state_dict
from switched_models import adapted, every_row, furthest

from instructlab_like.tuning.fused import FusedLinear, fuse


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "lora", [{}, {"use_rslora": True}, {"target_modules": ["q_proj", "v_proj", "down_proj"]}, {"r": 8}], ids=str
)
def test_losses_and_gradients_are_peft_s(lora: dict[str, object], together: bool) -> None:
    model = adapted(**lora)
    plain = every_row(model)
    fuse(model, together=together)
    assert furthest(every_row(model), plain) < 1e-5


def test_query_key_value_and_gate_up_share_one_product() -> None:
    model = adapted(layers=3)
    assert fuse(model) == 3 * 4  # query-key-value, output, gate-up, down
    skinny: list[tuple[int, ...]] = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.mm.default and args[1].shape[1] in (4, 8, 12):
                skinny.append(tuple(args[1].shape))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Watched():
        model(input_ids=torch.arange(9)[None], use_cache=False, max_length_q=9)
    assert [shape[1] for shape in skinny] == [12, 4, 8, 4] * 3


def test_the_adapter_s_file_stays_as_peft_writes_it() -> None:
    model = adapted()
    before = get_peft_model_state_dict(model)
    fuse(model)
    after = get_peft_model_state_dict(model)
    assert list(after) == list(before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_module_that_reads_another_tensor_than_the_first_of_its_group_is_right_all_the_same() -> None:
    model = adapted(layers=1)
    layer = model.get_base_model().model.layers[0].self_attn
    one, other = torch.randn(1, 5, 32), torch.randn(1, 5, 32)
    plain = [layer.q_proj(one), layer.k_proj(other), layer.v_proj(one)]
    fuse(model)
    found = [layer.q_proj(one), layer.k_proj(other), layer.v_proj(one)]
    for own, wanted in zip(found, plain, strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-5)


def test_nothing_is_held_after_a_forward_pass() -> None:
    model = adapted()
    fuse(model)
    model(input_ids=torch.arange(9)[None], use_cache=False, max_length_q=9)
    groups = [module.group for module in model.modules() if isinstance(module, FusedLinear)]
    assert groups
    assert all(group.read is None and group.products == () for group in groups)


def test_under_autocast_the_input_is_not_widened() -> None:
    model = adapted()
    fuse(model)
    widened: list[torch.dtype] = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.mm.default:
                widened.append(args[0].dtype)
            return func(*args, **(kwargs or {}))

    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Watched():
        model(input_ids=torch.arange(9)[None], use_cache=False, max_length_q=9)
    assert set(widened) == {torch.bfloat16}


@pytest.mark.parametrize(
    ("lora", "why"),
    [
        ({"use_dora": True}, "not plain LoRA"),
        ({"lora_dropout": 0.1}, "dropout"),
        ({"lora_bias": True, "target_modules": ["q_proj"]}, "has a bias"),
    ],
)
def test_what_is_not_plain_lora_is_refused_before_anything_is_changed(lora: dict[str, object], why: str) -> None:
    model = adapted(**lora)
    with pytest.raises(NotImplementedError, match=why):
        fuse(model)
    assert not any(isinstance(module, FusedLinear) for module in model.modules())
