from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_chat_model import make_model
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from instructlab_like.errors import ModelError
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.separate import (
    PACKED,
    TOLERANCE,
    Forward,
    PackedRow,
    divergence,
    forward,
    keep_apart,
    lay,
    packed_attention,
)
from instructlab_like.tuning.tokens import Encoded

CPU = torch.device("cpu")
SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def sharp(implementation: str) -> PreTrainedModel:
    model = make_model(hidden=64)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.3)
    model.set_attn_implementation(implementation)
    return model


def with_cache(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    return model(input_ids=row.ids, position_ids=row.positions).logits[0, row.predict]


def with_a_mask_of_ones(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    ones = torch.ones_like(row.ids)
    output = model(input_ids=row.ids, position_ids=row.positions, attention_mask=ones, use_cache=False)
    return output.logits[0, row.predict]


def without_positions(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    return model(input_ids=row.ids, use_cache=False).logits[0, row.predict]


def with_borders_alone(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    borders = {"cu_seq_lens_q": row.borders, "cu_seq_lens_k": row.borders}
    output = model(input_ids=row.ids, use_cache=False, max_length_q=row.longest, max_length_k=row.longest, **borders)
    return output.logits[0, row.predict]


@pytest.mark.parametrize("implementation", [PACKED, "sdpa", "eager"])
def test_packed_gradients_equal_solo_gradients(implementation: str) -> None:
    assert divergence(sharp(implementation), "eager") <= TOLERANCE


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("broken", [with_cache, with_a_mask_of_ones, without_positions, with_borders_alone])
def test_each_known_leak_is_seen(implementation: str, broken: Forward) -> None:
    assert divergence(sharp(implementation), "eager", broken) > 0.1


def test_the_fastest_attention_is_chosen_and_set() -> None:
    model = make_model()
    separation = keep_apart(model, CPU)
    assert (separation.backend, separation.note, separation.packs) == ("per-sample attention", "", True)
    assert 0 < separation.error <= TOLERANCE
    assert model.config._attn_implementation == PACKED


def test_choosing_leaves_model_and_random_state_as_they_were() -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    keep_apart(model, CPU)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_with_sliding_windows_gets_a_block_mask() -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma2", **SMALL))
    separation = keep_apart(model, CPU)
    assert separation.backend == "block mask"
    assert "sliding_attention" in separation.note
    assert model.config._attn_implementation != PACKED


def test_a_model_that_leaks_whatever_it_is_given_shares_no_rows() -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("bloom", vocab_size=64, n_layer=2, hidden_size=64))
    separation = keep_apart(model, CPU)
    assert not separation.packs
    assert "differ" in separation.note


def test_a_model_that_cannot_project_chosen_positions_is_refused() -> None:
    config = AutoConfig.for_model("xlstm", vocab_size=64, hidden_size=64, num_hidden_layers=1, num_heads=2)
    with pytest.raises(ModelError, match="cannot project"):
        keep_apart(AutoModelForCausalLM.from_config(config), CPU)


def attention(**told: object) -> Callable[[], object]:
    tensor = torch.rand(1, 2, 6, 4)
    borders = torch.tensor([0, 2, 6], dtype=torch.int32)
    given = {"attention_mask": None, "cu_seq_lens_q": borders, "max_length_q": 4} | told
    return lambda: packed_attention(torch.nn.Identity(), tensor, tensor, tensor, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        {"cu_seq_lens_q": None},
        {"sliding_window": 8},
        {"softcap": 30.0},
        {"is_causal": False},
        {"attention_mask": torch.zeros(1, 1, 6, 6)},
    ],
)
def test_packed_attention_refuses_what_it_would_leave_out(told: dict[str, object]) -> None:
    attention()()
    with pytest.raises(NotImplementedError):
        attention(**told)()


def sample(length: int, first: int, vocabulary: int = 300) -> Encoded:
    generator = np.random.default_rng(length)
    return Encoded("s", "leaf", generator.integers(5, vocabulary, length), np.arange(length) >= first)


SHAPES = st.lists(st.integers(2, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), min_size=1)


@given(SHAPES)
def test_a_row_pairs_each_learnt_token_with_the_position_before_it(shapes: list[tuple[int, int]]) -> None:
    samples = [sample(length, first) for length, first in shapes]
    row = lay(samples, CPU)
    borders = row.borders.tolist()
    assert borders[-1] == row.ids.numel() == sum(length for length, _ in shapes)
    assert row.longest == max(length for length, _ in shapes)
    for number, one in enumerate(samples):
        start, end = borders[number], borders[number + 1]
        assert row.positions[0, start:end].tolist() == list(range(len(one.ids)))
        own = row.owners == number
        assert row.targets[torch.from_numpy(own)].tolist() == one.ids[one.trained].tolist()
        assert (row.predict[torch.from_numpy(own)] - start).tolist() == (np.flatnonzero(one.trained) - 1).tolist()


def test_the_loss_of_a_packed_sample_is_its_loss_alone() -> None:
    model = sharp(PACKED)
    samples = [sample(9, 4), sample(30, 10), sample(2, 1)]
    row = lay(samples, CPU)
    packed = token_losses(forward(model, row), row.targets)
    model.set_attn_implementation("eager")
    for number, one in enumerate(samples):
        ids = torch.from_numpy(one.ids)[None]
        losses = token_losses(model(input_ids=ids).logits[0, :-1], ids[0, 1:])
        alone = losses[torch.from_numpy(one.trained[1:])]
        torch.testing.assert_close(packed[torch.from_numpy(row.owners == number)], alone, rtol=1e-4, atol=1e-5)
