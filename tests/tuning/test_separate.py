from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from tiny_chat_model import make_model
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM, PreTrainedModel

from instructlab_like.errors import ModelError
from instructlab_like.tuning import attention, separate
from instructlab_like.tuning.attention import PACKED, Manner
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.narrow import narrow
from instructlab_like.tuning.separate import TOLERANCE, Forward, PackedRow, Trial, forward, keep_apart, lay
from instructlab_like.tuning.switches import apply, switched
from instructlab_like.tuning.tokens import Encoded

CPU = torch.device("cpu")
SMALL = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}
WIDE = {**SMALL, "head_dim": 32}
OLD = {"vocab_size": 64, "n_embd": 64, "n_layer": 4, "n_head": 4}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
STATES = {"mamba_n_heads": 4, "mamba_d_head": 32, "mamba_expand": 2, "mamba_d_state": 16, "mamba_chunk_size": 16}
LONGROPE = {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [3.0] * 8}
MAMBA_AND_ATTENTION = ["mamba", "mamba", "attention", "mamba"]
DENSE_HYBRID = {"num_local_experts": 0, "shared_intermediate_size": 64, **STATES}

BY_SAMPLE: dict[str, tuple[str, dict[str, object]]] = {
    "Llama": ("llama", SMALL),
    "Mistral": ("mistral", {**SMALL, "sliding_window": None}),
    "Mistral with a window": ("mistral", {**SMALL, "sliding_window": 6}),
    "Qwen2": ("qwen2", SMALL),
    "Qwen2, later layers with a window": (
        "qwen2",
        {**SMALL, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2},
    ),
    "Qwen3": ("qwen3", WIDE),
    "Granite": ("granite", {**SMALL, "attention_multiplier": 0.2, "logits_scaling": 4.0, "attention_dropout": 0.1}),
    "Granite 4, attention only": (
        "granitemoehybrid",
        {**SMALL, **DENSE_HYBRID, "layer_types": ["attention"] * 4, "attention_multiplier": 0.2},
    ),
    "Gemma": ("gemma", WIDE),
    "Gemma 2, soft caps and every other layer a window": ("gemma2", {**WIDE, "sliding_window": 6}),
    "Gemma 3": ("gemma3_text", {**WIDE, "sliding_window": 6, "num_hidden_layers": 7}),
    "Phi": ("phi", SMALL),
    "Phi-3": ("phi3", SMALL),
    "GPT-NeoX": ("gpt_neox", SMALL),
    "OLMo 2": ("olmo2", SMALL),
    "GPT-2": ("gpt2", {**OLD, "n_positions": 128}),
    "OPT": ("opt", {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 64}),
    "SmolLM3": ("smollm3", SMALL),
    "Qwen3-MoE": ("qwen3_moe", {**WIDE, **EXPERTS, "num_experts": 4}),
    "Mixtral": ("mixtral", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "GPT-OSS, attention sinks": (
        "gpt_oss",
        {**WIDE, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6},
    ),
}
BY_MASK: dict[str, tuple[str, dict[str, object]]] = {
    "StableLM": ("stablelm", SMALL),
    "Nemotron": ("nemotron", SMALL),
    "GPT-J": ("gptj", {**OLD, "rotary_dim": 8}),
    "CodeGen": ("codegen", {**OLD, "rotary_dim": 8}),
}
ALONE: dict[str, tuple[str, dict[str, object], str]] = {
    "BLOOM": ("bloom", {"vocab_size": 64, "n_layer": 2, "n_head": 4, "hidden_size": 64}, "gradients differ"),
    "Falcon": (
        "falcon",
        {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True},
        "gradients differ",
    ),
    "MPT": ("mpt", {"vocab_size": 64, "d_model": 64, "n_layers": 2, "n_heads": 4}, "gradients differ"),
    "Granite 4": (
        "granitemoehybrid",
        {**SMALL, **DENSE_HYBRID, "layer_types": MAMBA_AND_ATTENTION},
        "carry a state from one sample of a row into the next",
    ),
    "RecurrentGemma": ("recurrent_gemma", SMALL, "carry a state"),
    "LFM2": ("lfm2", {**SMALL, "layer_types": ["conv", "full_attention"] * 2}, "its conv layers carry a state"),
    "Phi-3 whose frequencies follow the longest sample": (
        "phi3",
        {**SMALL, "original_max_position_embeddings": 64, "rope_scaling": LONGROPE},
        "gradients differ",
    ),
}


def small(kind: str, told: dict[str, object]) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **told)).eval()


def gradient(model: torch.nn.Module, logits: Callable[[], torch.Tensor]) -> torch.Tensor:
    model.zero_grad()
    logits().sum().backward()
    parts = [torch.zeros_like(part) if part.grad is None else part.grad for part in trained(model)]
    return torch.cat([part.flatten() for part in parts])


def trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def packed_against_alone(model: PreTrainedModel, lengths: tuple[int, ...] = (17, 9, 30, 4)) -> float:
    """The relative error of LoRA gradients, computed from the model itself with sharp attention."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 2.4 / parameter.shape[1] ** 0.5)
    told = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, told).eval()
    samples = [sample(length, length // 3, 64) for length in lengths]
    row = lay(samples, CPU)
    together = gradient(adapted, lambda: token_losses(forward(adapted, row), row.targets))

    def one_by_one() -> torch.Tensor:
        losses = []
        for one in samples:
            ids = torch.from_numpy(one.ids)[None]
            by_token = token_losses(adapted(input_ids=ids, use_cache=False).logits[0, :-1], ids[0, 1:])
            losses.append(by_token[torch.from_numpy(one.trained[1:])])
        return torch.cat(losses)

    model.set_attn_implementation(
        "eager" if model._can_set_attn_implementation() else model.config._attn_implementation
    )
    alone = gradient(adapted, one_by_one)
    return float((together - alone).norm() / alone.norm())


@pytest.mark.parametrize("name", BY_SAMPLE)
def test_a_class_whose_attention_is_handed_out_attends_sample_by_sample(name: str) -> None:
    model = small(*BY_SAMPLE[name])
    separation = keep_apart(model, CPU)
    assert (separation.backend, separation.note, separation.packs) == ("per-sample attention", "", True)
    assert 0 < separation.error <= TOLERANCE
    assert model.config.get_text_config()._attn_implementation == PACKED
    assert packed_against_alone(model) <= TOLERANCE


@pytest.mark.parametrize("name", BY_MASK)
def test_a_class_with_an_attention_of_its_own_gets_a_block_mask(name: str) -> None:
    model = small(*BY_MASK[name])
    separation = keep_apart(model, CPU)
    assert separation.backend == "block mask"
    assert separation.note.startswith("no per-sample attention: ")
    assert model.config._attn_implementation != PACKED
    assert packed_against_alone(model) <= TOLERANCE


@pytest.mark.parametrize("name", ALONE)
def test_a_class_that_lets_samples_meet_shares_no_rows_and_says_why(name: str) -> None:
    kind, told, why = ALONE[name]
    separation = keep_apart(small(kind, told), CPU)
    assert separation.backend == "one sample a row"
    assert separation.error <= TOLERANCE
    assert why in separation.note


def test_frequencies_that_no_sample_is_long_enough_for_do_not_hinder_packing() -> None:
    kind, told, _ = ALONE["Phi-3 whose frequencies follow the longest sample"]
    assert keep_apart(small(kind, told), CPU, longest=64).backend == "per-sample attention"
    assert not keep_apart(small(kind, told), CPU, longest=65).packs


@pytest.mark.parametrize("name", ["Llama", "Gemma 2, soft caps and every other layer a window"])
@pytest.mark.parametrize("kind", [{"use_dora": True}, {"use_rslora": True}, {"lora_dropout": 0.3}], ids=str)
def test_the_adapter_that_will_be_trained_is_the_one_that_is_tried(name: str, kind: dict[str, object]) -> None:
    lora = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", r=32, **kind)
    before = json.dumps(lora.to_dict(), default=sorted)
    separation = keep_apart(small(*BY_SAMPLE[name]), CPU, lora=lora)
    assert separation.backend == "per-sample attention"
    assert json.dumps(lora.to_dict(), default=sorted) == before


REFUSED = {
    ("Gemma 2, soft caps and every other layer a window", "loss"): "gradients differ",
    ("GPT-2", "fused_lora"): "stored the other way round",
}


@pytest.mark.parametrize("told", [{"fused_lora": "on"}, {"loss": "chunked"}, {"recompute": "selective"}], ids=str)
@pytest.mark.parametrize("name", BY_SAMPLE)
def test_a_switched_step_is_the_plain_one_and_keeps_samples_apart(name: str, told: dict[str, str]) -> None:
    model = small(*BY_SAMPLE[name])
    trial = Trial(narrow(model, None), "sdpa" if getattr(model, "_supports_sdpa", False) else "eager")
    (switch,) = told
    if why := REFUSED.get((name, switch)):
        with pytest.raises(NotImplementedError, match=why):
            trial.prove_switched(PACKED, lambda adapted: apply(switched(told), adapted, trial=True))
        return
    assert trial.prove_switched(PACKED, lambda adapted: apply(switched(told), adapted, trial=True)) <= TOLERANCE


# --- the known leaks ---------------------------------------------------------------------------------------------


def called(model: torch.nn.Module, row: PackedRow, **told: object) -> torch.Tensor:
    """As `forward`, save for what is told; None leaves an argument out."""
    given = {
        "position_ids": row.positions,
        "use_cache": False,
        "max_length_q": row.longest,
        "max_length_k": row.longest,
        "cu_seq_lens_q": row.borders,
        "cu_seq_lens_k": row.borders,
    } | told
    return model(input_ids=row.ids, **{name: value for name, value in given.items() if value is not None}).logits[
        0, row.predict
    ]


NO_BORDERS = {"cu_seq_lens_q": None, "cu_seq_lens_k": None, "max_length_q": None, "max_length_k": None}
LEAKS: dict[str, Forward] = {
    "use_cache unset": lambda model, row: called(model, row, use_cache=None),
    "use_cache unset, no borders": lambda model, row: called(model, row, use_cache=None, **NO_BORDERS),
    "a mask of ones": lambda model, row: called(model, row, attention_mask=torch.ones_like(row.ids)),
    "a mask of ones, no borders": lambda model, row: called(
        model, row, attention_mask=torch.ones_like(row.ids), **NO_BORDERS
    ),
    "no positions": lambda model, row: called(model, row, position_ids=None, **NO_BORDERS),
    "borders but no positions": lambda model, row: called(model, row, position_ids=None),
    "positions that run on": lambda model, row: called(model, row, position_ids=torch.arange(row.ids.shape[1])[None]),
    "borders one token late": lambda model, row: called(
        model, row, cu_seq_lens_q=row.borders + (row.borders > 0) * (row.borders < row.borders[-1])
    ),
    "the logits of the token itself": lambda model, row: forward(model, replace(row, predict=row.predict + 1)),
}


@pytest.mark.parametrize("fault", LEAKS)
@pytest.mark.parametrize("name", ["Mistral with a window", "BLOOM"])
def test_no_training_starts_with_a_forward_that_leaks(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(*(BY_SAMPLE[name] if name in BY_SAMPLE else ALONE[name][:2]))
    monkeypatch.setattr(separate, "forward", LEAKS[fault])
    with pytest.raises(ModelError, match="not even in a plain Llama") as caught:
        keep_apart(model, CPU)
    assert "constraints.txt" in caught.value.fix


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("fault", [fault for fault in LEAKS if not fault.startswith("borders one")])
def test_each_known_leak_is_far_from_the_tolerance(implementation: str, fault: str) -> None:
    trial = Trial(narrow(small(*BY_SAMPLE["Llama"]), None), "eager")
    with pytest.raises(NotImplementedError, match=r"differ by [0-9.]+e([+]00|-01)$"):
        trial.prove(implementation, LEAKS[fault])


class LeaksInTraining(LlamaForCausalLM):
    """Adds to every word vector the mean over the row, in training mode only."""

    def forward(self, input_ids: torch.Tensor, logits_to_keep: object = 0, **told: object) -> object:
        vectors = self.get_input_embeddings()(input_ids)
        if self.training:
            vectors = vectors + 1e-6 * vectors.mean(dim=1, keepdim=True)
        return super().forward(logits_to_keep=logits_to_keep, **{**told, "inputs_embeds": vectors})


def test_a_leak_in_training_mode_alone_is_seen_however_small() -> None:
    separation = keep_apart(LeaksInTraining(small(*BY_SAMPLE["Llama"]).config), CPU)
    assert not separation.packs
    assert separation.note.count("in training mode samples of a row see each other") == 2


def test_dropout_is_no_leak() -> None:
    dropped = {
        "attention_dropout": 0.5,
        "hidden_dropout": 0.5,
        "resid_pdrop": 0.5,
        "attn_pdrop": 0.5,
        "embd_pdrop": 0.5,
    }
    for kind, told in [("llama", SMALL), ("gpt2", OLD)]:
        assert keep_apart(small(kind, {**told, **dropped}), CPU).backend == "per-sample attention"


# --- half precision ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Llama", "Gemma 2, soft caps and every other layer a window", "Mistral with a window", "Qwen3-MoE"]
)
def test_half_precision_is_tried_as_it_will_be_used(name: str) -> None:
    separation = keep_apart(small(*BY_SAMPLE[name]).to(torch.bfloat16), CPU)
    assert (separation.backend, separation.note) == ("per-sample attention", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel runs on CUDA only")
@pytest.mark.parametrize("name", ["Llama", "Mistral with a window", "Qwen3", "GPT-2"])
def test_on_a_gpu_the_kernel_is_chosen(name: str) -> None:
    separation = keep_apart(small(*BY_SAMPLE[name]).to(torch.bfloat16), torch.device("cuda"))
    assert (separation.backend, separation.note) == ("variable-length attention", "")


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_another_first_sample_changes_no_bit_of_the_others(half: torch.dtype) -> None:
    model = make_model(hidden=64).to(half)
    model.set_attn_implementation(PACKED)
    rest = [sample(9, 3), sample(30, 10), sample(2, 1)]
    found = []
    for first in (sample(17, 5), sample(17, 6)):
        other = replace(first, ids=first.ids[::-1].copy() if found else first.ids)
        row = lay([other, *rest], CPU)
        found.append(forward(model, row)[torch.from_numpy(row.owners > 0)])
    assert torch.equal(*found)
    assert found[0].dtype == half


def test_an_attention_that_leaks_within_the_rounding_of_half_precision_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = attention.by_sample

    def leaking(query, key, value, borders, manner):
        out = true(query, key, value, borders, manner)
        return out if out.dtype == torch.float32 else out + 1e-3 * value[:, :1, :1].mean()

    monkeypatch.setattr(attention, "by_sample", leaking)
    model = small(*BY_SAMPLE["Llama"])
    assert keep_apart(model, CPU).backend == "per-sample attention"
    separation = keep_apart(model.to(torch.bfloat16), CPU)
    assert separation.backend == "block mask"
    assert "no per-sample attention: " in separation.note


def test_a_coarse_attention_in_half_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    true = attention.by_sample

    def coarse(query, key, value, borders, manner: Manner):
        out = true(query, key, value, borders, manner)
        return out if out.dtype == torch.float32 else (out * 4).round() / 4 + (out - out.detach())

    monkeypatch.setattr(attention, "by_sample", coarse)
    separation = keep_apart(small(*BY_SAMPLE["Llama"]).to(torch.bfloat16), CPU)
    assert separation.backend == "block mask"
    assert "further off than those of plain attention" in separation.note


# --- what else there is ------------------------------------------------------------------------------------------


def test_choosing_leaves_model_and_random_state_as_they_were() -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    keep_apart(model, CPU)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_choosing_twice_chooses_the_same() -> None:
    for name in ("Llama", "Gemma 2, soft caps and every other layer a window"):
        model = small(*BY_SAMPLE[name])
        assert keep_apart(model, CPU) == keep_apart(model, CPU)


def test_a_model_that_cannot_project_chosen_positions_is_refused() -> None:
    config = AutoConfig.for_model("xlstm", vocab_size=64, hidden_size=64, num_hidden_layers=1, num_heads=2)
    with pytest.raises(ModelError, match="cannot project"):
        keep_apart(AutoModelForCausalLM.from_config(config), CPU)


def test_an_adapter_that_a_class_cannot_run_with_is_refused() -> None:
    told = {**WIDE, "num_local_experts": 4, "intermediate_size_mlp": 64, "attention_chunk_size": 6}
    with pytest.raises(ModelError, match="Llama4ForCausalLM cannot be trained here") as caught:
        keep_apart(small("llama4_text", told), CPU)
    assert "lora.targets" in caught.value.fix


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
    model = make_model(hidden=64)
    model.set_attn_implementation(PACKED)
    samples = [sample(9, 4), sample(30, 10), sample(2, 1)]
    row = lay(samples, CPU)
    packed = token_losses(forward(model, row), row.targets)
    model.set_attn_implementation("eager")
    for number, one in enumerate(samples):
        ids = torch.from_numpy(one.ids)[None]
        losses = token_losses(model(input_ids=ids).logits[0, :-1], ids[0, 1:])
        alone = losses[torch.from_numpy(one.trained[1:])]
        torch.testing.assert_close(packed[torch.from_numpy(row.owners == number)], alone, rtol=1e-4, atol=1e-5)
