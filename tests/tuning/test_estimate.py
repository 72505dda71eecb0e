"""The memory of a training: counted parameters against the real model, and the sum against real steps on a CPU."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.training_memory import Case, compare
from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.tuning import estimate

ROOT = Path(__file__).parents[2]
BASE = ROOT / "training/base/model"
GB = 2**30
KEPT = ("none", "selective", "full")  # from what takes most to what takes least
KINDS = ("llama", "mistral", "qwen2", "qwen3", "granite", "gemma", "gemma2", "gemma3_text", "phi3", "phi", "olmo2")
LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}


def described(folder: Path, **sizes: Any) -> estimate.ModelShape:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(LLAMA_8B | sizes))
    return estimate.shape(folder)


def needed(shape: estimate.ModelShape, **changed: Any) -> estimate.Memory:
    told: dict[str, Any] = {
        "rank": 16,
        "targets": "all-linear",
        "dora": False,
        "dtype_bytes": 2,
        "row_tokens": 4096,
        "trained_tokens": 2048,
        "on_gpu": True,
    }
    return estimate.memory(shape, **(told | changed))


# --- the model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dora", [False, True])
def test_parameters_of_base_and_adapter_are_those_of_the_real_model(kind: str, dora: bool, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 4 if kind == "phi" else 2, "vocab_size": 100, "head_dim": 16}
    config = AutoConfig.for_model(kind, **sizes, pad_token_id=0, bos_token_id=0, eos_token_id=0)
    model = AutoModelForCausalLM.from_config(config)
    real = model.num_parameters()
    config.save_pretrained(tmp_path)
    reckoned = estimate.shape(tmp_path)
    assert not reckoned.exact
    assert reckoned.parameters == pytest.approx(real, rel=0.02)
    model.save_pretrained(tmp_path)
    counted = estimate.shape(tmp_path)
    assert (counted.exact, counted.parameters) == (True, real)
    for targets in ("all-linear", ["q_proj", "qkv_proj"]):
        wanted = list(targets) if isinstance(targets, list) else targets
        adapted = get_peft_model(
            AutoModelForCausalLM.from_config(config), LoraConfig(r=4, target_modules=wanted, use_dora=dora)
        )
        trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
        assert needed(counted, rank=4, targets=targets, dora=dora).trained == trained


@pytest.mark.parametrize("effective_rank", [0.25, 0.9, 5])
def test_what_orthogonal_subspaces_train_is_counted_as_it_is(effective_rank: float, tmp_path: Path) -> None:
    from peft import OSFConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = AutoConfig.for_model("llama", **sizes, num_key_value_heads=2, vocab_size=100, head_dim=16)
    config.save_pretrained(tmp_path)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_config(config),
        OSFConfig(task_type="CAUSAL_LM", effective_rank=effective_rank, target_modules="all-linear"),
    )
    trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    beside = sum(one.numel() for name, one in adapted.named_buffers() if "_osf_" in name)
    shape = estimate.shape(tmp_path)
    told, plain = (needed(shape, effective_rank=one, dtype_bytes=4) for one in (effective_rank, None))
    assert told.trained == trained
    assert told.weights - plain.weights == 4 * beside


def test_what_orthogonal_subspaces_cannot_be_told_to_shrink_is_not_proposed(tmp_path: Path) -> None:
    told = needed(described(tmp_path), effective_rank=0.25, recompute="full")
    words = estimate.fits(told, 80 * GB, place="this GPU").words
    assert "does not fit" in words
    assert "osf.effective_rank" in words
    assert "lora.rank" not in words
    assert "nf4" not in words


def test_reading_a_shape_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, pathlib\nfrom instructlab_like.tuning import estimate\n"
    code += f"estimate.shape(pathlib.Path({str(BASE)!r}))\n"
    code += "print([name for name in ('torch', 'transformers', 'peft', 'numpy') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def safetensors(path: Path, size: int = 24, *, told: bytes | None = None) -> None:
    header = told or json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


def test_weights_in_several_files_are_counted_by_their_index(tmp_path: Path) -> None:
    safetensors(tmp_path / "model-1.safetensors")
    safetensors(tmp_path / "model-2.safetensors")
    safetensors(tmp_path / "other.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert described(tmp_path).parameters == 12
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(ModelError, match="no such file") as caught:
        estimate.shape(tmp_path)
    assert caught.value.where.endswith("model-2.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\xff" * 8, struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 3) + b"[1]"]
)
def test_weights_that_are_torn_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="no whole safetensors file"):
        described(tmp_path)


def test_a_file_cut_off_by_a_byte_is_refused(tmp_path: Path) -> None:
    safetensors(tmp_path / "model.safetensors", size=23)
    with pytest.raises(ModelError, match="no whole safetensors file"):
        described(tmp_path)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_header(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("w") / "model.safetensors"
    safetensors(path, 0, told=content or b" ")
    with pytest.raises(ModelError):
        estimate.header(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError):
        estimate.shape(tmp_path)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": None},
        {"num_hidden_layers": "32"},
        {"vocab_size": 0},
        {"is_encoder_decoder": True},
        {"layer_types": ["full_attention", "mamba"]},
        {"layer_types": ["linear_attention"]},
        {"mamba_d_state": 128},
    ],
)
def test_layers_of_another_kind_are_not_guessed(sizes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(estimate.UnknownModelError):
        described(tmp_path, **sizes)


def test_a_type_that_was_not_measured_and_a_mixture_are_counted_cautiously(tmp_path: Path) -> None:
    usual, other = described(tmp_path), described(tmp_path, model_type="brand_new")
    assert usual.note == ""
    assert "brand_new" in other.note
    assert needed(other).total > needed(usual).total
    mixture = described(tmp_path, model_type="mixtral", num_local_experts=8, num_experts_per_tok=2)
    assert "mixture" in mixture.note
    assert mixture.parameters > 5 * usual.parameters


# --- the memory -------------------------------------------------------------------------------------------------


def test_the_parts_of_an_8b_model_are_those_of_the_literature(tmp_path: Path) -> None:
    told = needed(described(tmp_path))
    assert told.parameters == pytest.approx(8.03e9, rel=0.002)
    assert told.trained == 41_943_040  # rank 16 on all linear modules
    assert told.weights == told.parameters * 2
    assert (told.gradients, told.moments) == (4 * told.trained, 8 * told.trained)
    assert told.logits == 12 * 2048 * 128256


@given(
    st.sampled_from([64, 512, 4096]),
    st.sampled_from([4, 64]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([2, 4]),
    st.booleans(),
)
def test_more_of_anything_never_takes_less(
    row: int, rank: int, dora: bool, dropout: bool, size: int, on_gpu: bool
) -> None:
    shape = estimate.shape(BASE)
    told = {"dora": dora, "dropout": dropout, "dtype_bytes": size, "on_gpu": on_gpu, "trained_tokens": row // 2}
    one = needed(shape, row_tokens=row, rank=rank, **told)
    assert needed(shape, row_tokens=2 * row, rank=rank, **told).total > one.total
    assert needed(shape, row_tokens=row, rank=rank + 1, **told).total > one.total
    assert needed(shape, row_tokens=row, rank=rank, **(told | {"dora": True})).total >= one.total
    assert needed(shape, row_tokens=row, rank=rank, **(told | {"dropout": True})).total >= one.total
    assert needed(shape, row_tokens=row, rank=rank, **(told | {"trained_tokens": row})).total >= one.total


def test_targets_are_meant_as_peft_means_them() -> None:
    shape = estimate.shape(BASE)
    few = needed(shape, targets=("q_proj", "v_proj")).trained
    assert few == 4 * 2 * 16 * (256 + 256)
    assert needed(shape, targets=r".*\.(q|v)_proj").trained == few
    assert needed(shape, targets=["lm_head"]).trained == 16 * (256 + 1536)
    for wrong in ("q_proj", ["query"], "*"):
        with pytest.raises(RecipeError):
            needed(shape, targets=wrong)


def test_a_mask_over_the_row_takes_its_square(tmp_path: Path) -> None:
    shape = described(tmp_path)
    told = {"row_tokens": 32768, "trained_tokens": 100}
    assert needed(shape, block_mask=True, **told).total - needed(shape, **told).total > 32 * 2 * 32768**2


@pytest.mark.parametrize(
    ("case", "low", "high"),
    [
        (Case("llama", 256, 704, 4, 8, 4, 8000, 1024), 0.5, 1.5),
        (Case("qwen3", 256, 704, 4, 8, 4, 8000, 1024, half=True), 0.5, 1.5),
        (Case("llama", 512, 1408, 4, 8, 4, 4000, 256, held=0.25), 0.7, 1.3),
    ],
)
def test_the_estimate_is_near_what_real_steps_take(case: Case, low: float, high: float) -> None:
    told, growth, _ = compare(case)
    # Without what a process takes anyway, which is more in some places than in others.
    assert low < (told.total - told.overhead) / growth < high


# --- what it means ----------------------------------------------------------------------------------------------


def test_a_fit_is_told_in_words_with_what_would_fit(tmp_path: Path) -> None:
    told = needed(described(tmp_path), row_tokens=8192, trained_tokens=4096)
    assert estimate.fits(told, 141 * GB, place="this GPU").verdict == "fits"
    tight = estimate.fits(told, int(told.total * 1.1), place="this GPU")
    assert tight.verdict == "tight"
    assert tight.words == f"needs {told.total / GB:.0f} GB, this GPU has {told.total * 1.1 / GB:.0f}: tight"
    none = estimate.fits(told, 20 * GB, place="this GPU")
    assert none.verdict == "does not fit"
    assert none.row_tokens is not None
    smaller, larger = (
        needed(described(tmp_path), row_tokens=row, trained_tokens=row // 2, recompute="full")
        for row in (none.row_tokens, 2 * none.row_tokens)
    )
    assert smaller.total <= 20 * GB < larger.total
    assert f"row_tokens: {none.row_tokens} and recompute: full would" in none.words


def test_on_a_gpu_computing_again_is_offered_before_a_shorter_row(tmp_path: Path) -> None:
    shape = described(tmp_path)
    kinds = {kind: needed(shape, row_tokens=8192, chunked=True, recompute=kind) for kind in KEPT}
    assert kinds["full"].total < kinds["selective"].total < kinds["none"].total
    found = estimate.fits(kinds["none"], kinds["selective"].total, place="this GPU")
    assert (found.verdict, found.recompute, found.row_tokens) == ("does not fit", "selective", 8192)
    assert "; recompute: selective would, with" in found.words
    assert estimate.fits(kinds["none"], kinds["full"].total, place="this GPU").recompute == "full"
    on_cpu = needed(shape, row_tokens=8192, on_gpu=False)
    assert estimate.fits(on_cpu, on_cpu.total - 1, place="this machine").recompute is None


def test_a_chunked_loss_and_fused_adapters_take_less(tmp_path: Path) -> None:
    shape = described(tmp_path)
    plain, chunked, fused = (needed(shape, **told) for told in ({}, {"chunked": True}, {"fused": True}))
    assert chunked.logits < plain.logits / 1.8
    assert needed(shape, trained_tokens=2 * 2048).logits == 2 * plain.logits
    assert needed(shape, trained_tokens=2 * 2048, chunked=True).logits < 1.1 * chunked.logits
    assert fused.activations < plain.activations


def test_a_model_that_fits_nowhere_says_so(tmp_path: Path) -> None:
    told = needed(described(tmp_path))
    found = estimate.fits(told, 4 * GB, place="this GPU")
    assert (found.verdict, found.row_tokens, found.rank) == ("does not fit", None, None)
    assert "its weights alone take 15 GB: choose a smaller model" in found.words


def test_a_base_in_four_bits_is_offered_where_nothing_else_would_do(tmp_path: Path) -> None:
    shape = described(tmp_path)
    told = needed(shape, chunked=True)
    found = estimate.fits(told, 12 * GB, place="this GPU")
    assert (found.verdict, found.quantize) == ("does not fit", "nf4")
    assert "quantize: nf4 would, with" in found.words
    packed = needed(shape, chunked=True, quantized=True)
    assert 5 * GB < packed.weights < 6 * GB, "embedding, head and norms stay in bfloat16"
    again = needed(shape, chunked=True, quantized=True, recompute="full")
    assert estimate.fits(again, 24 * GB, place="this GPU").verdict == "fits"
    assert estimate.fits(needed(shape, on_gpu=False), 12 * GB, place="this machine").quantize is None


def test_a_base_that_is_cut_up_takes_its_part_and_what_is_gathered(tmp_path: Path) -> None:
    shape = described(tmp_path)
    whole, *parts = (needed(shape, processes=count).weights for count in (1, 2, 8))
    ends, block = 2 * 128256 * 4096, (shape.parameters - 2 * 128256 * 4096) // 32
    assert parts == [pytest.approx(whole / count + 2 * (ends + 2 * block), rel=1e-3) for count in (2, 8)]
    assert needed(described(tmp_path, num_hidden_layers=1), processes=2).weights <= whole


def test_a_smaller_rank_is_offered_where_no_row_would_do(tmp_path: Path) -> None:
    shape = described(tmp_path)
    least = {"row_tokens": 512, "trained_tokens": 256, "recompute": "full"}
    told = needed(shape, rank=512, **least)
    found = estimate.fits(told, needed(shape, rank=64, **least).total, place="this GPU")
    assert (found.row_tokens, found.rank) == (512, 64)


@pytest.mark.parametrize(
    ("steps", "seconds", "said"),
    [
        (10, 0.1, "less than a minute"),
        (100, 1.0, "1.3 to 2.2 minutes"),
        (1000, 1.0, "13 to 22 minutes"),
        (10_000, 1.0, "2.2 to 3.6 hours"),
        (1_000_000, 1.0, "9.3 to 15 days"),
    ],
)
def test_a_duration_is_told_with_its_range(steps: int, seconds: float, said: str) -> None:
    assert estimate.duration(steps, seconds) == said
