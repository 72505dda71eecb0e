from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from instructlab_like.tuning.narrow import HIDDEN, THRESHOLD, WINDOW, depth_of_kinds, narrow

LARGE = {
    "vocab_size": 32000,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
}


def large(kind: str, **told: object) -> PreTrainedModel:
    """Without weights: only its shape is read."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**LARGE, **told}))


def kinds(model: PreTrainedModel) -> set[tuple[type, object]]:
    return {(type(module), getattr(module, "sliding_window", 0) is None) for module in model.modules()}


@pytest.mark.parametrize(
    ("kind", "told", "depth"),
    [
        ("llama", {}, 1),
        ("gemma3_text", {"head_dim": 256}, 6),  # every sixth layer sees the whole row
        ("gemma2", {"head_dim": 128}, 2),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 20}, 21),
        ("granitemoehybrid", {"layer_types": (["mamba"] * 3 + ["attention"]) * 6, "mamba_n_heads": 64}, 4),
    ],
)
def test_it_has_a_layer_of_each_kind(kind: str, told: dict[str, object], depth: int) -> None:
    model = large(kind, **told)
    small = narrow(model, None)
    assert depth_of_kinds(model, 24) == depth
    assert small.config.num_hidden_layers == max(2, depth)
    assert kinds(small) == kinds(model)
    assert sum(parameter.numel() for parameter in small.parameters()) < 2e7


def test_it_keeps_the_width_of_a_head_and_whether_heads_are_shared() -> None:
    config = narrow(large("llama"), None).config
    assert (config.head_dim, config.num_attention_heads, config.num_key_value_heads) == (128, 4, 2)
    assert config.hidden_size == HIDDEN
    alike = narrow(large("llama", num_key_value_heads=16), None).config
    assert (alike.num_attention_heads, alike.num_key_value_heads) == (4, 4)
    old = narrow(large("gpt_neox"), None).config
    assert old.hidden_size // old.num_attention_heads == 128


def test_windows_become_shorter_than_its_samples() -> None:
    assert narrow(large("mistral", sliding_window=4096), None).config.sliding_window == WINDOW
    assert narrow(large("mistral", sliding_window=None), None).config.sliding_window is None


@pytest.mark.parametrize(("longest", "threshold"), [(None, THRESHOLD), (4097, THRESHOLD), (4096, 4096)])
def test_a_change_of_frequencies_happens_in_it_only_where_it_can_happen_at_all(
    longest: int | None, threshold: int
) -> None:
    scaling = {"rope_type": "longrope", "short_factor": [1.0] * 64, "long_factor": [2.0] * 64}
    told = {"pad_token_id": 0, "original_max_position_embeddings": 4096, "max_position_embeddings": 131072}
    config = narrow(large("phi3", rope_scaling=scaling, **told), longest).config
    assert config.rope_parameters["original_max_position_embeddings"] == threshold


def test_it_leaves_the_model_and_the_random_state_as_they_were() -> None:
    model = large("llama", num_local_experts=0)
    before = model.config.to_json_string()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first, second = narrow(model, None), narrow(model, None)
    assert torch.equal(torch.rand(3), expected)
    assert model.config.to_json_string() == before
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))
    assert {parameter.dtype for parameter in first.parameters()} == {torch.float32}
