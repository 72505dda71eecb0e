from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from switched_models import adapted, every_row, furthest, sample
from tiny_chat_model import make_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from instructlab_like.errors import InputError, ModelError, RecipeError
from instructlab_like.recipe import TrainRecipe, load
from instructlab_like.tuning import plan, switches
from instructlab_like.tuning.estimate import Memory
from instructlab_like.tuning.narrow import narrow
from instructlab_like.tuning.separate import TOLERANCE, Separation, Trial
from instructlab_like.tuning.switches import Switches, apply, derive, settle, switched, worth_it
from instructlab_like.tuning.trainee import config

SMALL = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
KEPT_APART = Separation("variable-length attention", 0.0)
ALL = {"fused_lora": "on", "loss": "chunked", "recompute": "selective"}


@pytest.fixture
def cpu() -> Accelerator:
    return Accelerator(cpu=True)


def derived(accelerator: Accelerator, model: object, **told: Any) -> Switches:
    recipe = TrainRecipe(model=str(model), **told)
    return derive(recipe, accelerator, config(recipe.lora))


def described(folder: Path, kind: str, **told: object) -> Path:
    """A model's folder without weights."""
    AutoConfig.for_model(kind, **{**SMALL, **told}).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


# --- what is derived ------------------------------------------------------------------------------------------------


def test_on_a_cpu_all_is_plain_and_the_model_is_not_even_looked_at(cpu: Accelerator) -> None:
    found = derived(cpu, "no/such/model")
    assert found.plain
    assert found.decisive == {}
    assert list(found.lines(None)) == [
        "step       plain: compile, recompute, loss, fused_lora and float8 are off on a CPU unless asked for"
    ]


def test_what_is_forced_is_switched_and_said_with_its_reason(cpu: Accelerator, base: Path) -> None:
    found = derived(cpu, base, **ALL)
    assert found.told == {"compile": "off", "float8": "off", **ALL}
    lines = list(found.lines(3e-7))
    assert "           loss: chunked (as the recipe says)" in lines
    assert lines[0] == "step       compile: off (on a CPU it is off unless asked for)"
    assert lines[-1] == "           the loss of the first samples is the plain one to 3e-07"


def test_on_a_gpu_what_pays_is_on_and_what_the_model_does_not_allow_is_off_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switches, "cannot_compile", lambda _device: "triton is not installed")
    found = derived(OnGpu(), described(tmp_path / "llama", "llama"))  # type: ignore[arg-type]
    assert found.told == {"compile": "off", "recompute": "none", "loss": "chunked", "fused_lora": "on", "float8": "off"}
    assert found.repeats
    assert found.whys["compile"] == "triton is not installed"
    capped = derived(OnGpu(), described(tmp_path / "gemma2", "gemma2", head_dim=16))  # type: ignore[arg-type]
    assert not capped.chunked
    assert capped.fused
    assert "gradients differ by" in capped.whys["loss"]
    dropped = derived(OnGpu(), tmp_path / "llama", lora={"dropout": 0.1})  # type: ignore[arg-type]
    assert (dropped.fused, dropped.whys["fused_lora"]) == (False, "the adapter has dropout")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"float8": "on"}, "compute capability 8.9"),
        ({"fused_lora": "on", "lora": {"dropout": 0.1}}, "the adapter has dropout"),
        ({"fused_lora": "on", "lora": {"dora": True}}, "the adapter is DoRA"),
        ({"compile": "on", "recompute": "full"}, "either compiled or computed again"),
    ],
)
def test_what_is_forced_and_cannot_be_is_one_message_before_the_model_is_looked_at(
    cpu: Accelerator, told: dict[str, object], why: str
) -> None:
    with pytest.raises(RecipeError, match=why) as caught:
        derived(cpu, "no/such/model", **told)
    assert caught.value.where == f"train.{next(iter(told))}"
    assert "\n" not in caught.value.what


def test_a_class_that_does_not_allow_what_is_forced_is_named_without_its_weights(
    cpu: Accelerator, tmp_path: Path
) -> None:
    folder = described(tmp_path / "model", "gemma2", head_dim=16)
    assert not list(folder.glob("*.safetensors"))
    with pytest.raises(RecipeError, match="Gemma2ForCausalLM: gradients differ") as caught:
        derived(cpu, folder, loss="chunked")
    assert (caught.value.where, caught.value.fix) == ("train.loss", "loss: auto, or leave it out")
    assert derived(cpu, folder, fused_lora="on").fused


def test_a_model_that_is_not_there_is_named(cpu: Accelerator) -> None:
    with pytest.raises(ModelError, match="there is no such model folder"):
        derived(cpu, "./nowhere", loss="chunked")


@pytest.mark.parametrize("value", ["on", "off", True, False])
def test_yaml_s_own_reading_of_on_and_off_is_understood(value: object, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    written = value if isinstance(value, str) else str(value).lower()
    path.write_text(f"train:\n  compile: {written}\n  fused_lora: {written}\n  float8: {written}\n")
    recipe = load(TrainRecipe, path, {})
    wanted = "on" if value in ("on", True) else "off"
    assert (recipe.compile, recipe.fused_lora, recipe.float8) == (wanted,) * 3
    assert json.loads(recipe.model_dump_json())["compile"] == wanted


# --- by the memory --------------------------------------------------------------------------------------------------


def needed(row: int, kind: str) -> Memory:
    size = row * {"none": 10, "selective": 5, "full": 1}[kind]
    return Memory.model_construct(
        **dict.fromkeys(("weights", "adapter", "gradients", "moments", "activations", "logits"), 0), overhead=size
    )


@pytest.mark.parametrize(
    ("available", "kind", "row"),
    [(10**6, "none", 16_384), (100_000, "none", 8192), (50_000, "selective", 8192), (20_000, "full", 16_384)],
)
def test_the_longest_row_that_fits_with_the_least_repeated_is_taken(available: int, kind: str, row: int) -> None:
    found, tokens = settle(Switches(), needed, available=available, rows=[16_384, 8192])  # type: ignore[arg-type]
    assert (found.recompute, tokens) == (kind, row)
    assert found.whys["recompute"]


def test_where_nothing_fits_the_least_is_taken_and_said(base: Path) -> None:
    found, tokens = settle(Switches(), needed, available=10, rows=[16_384, 8192])  # type: ignore[arg-type]
    assert (found.recompute, tokens) == ("full", 8192)
    assert found.whys["recompute"] == "not even that is sure to fit"


def test_a_forced_kind_stays_and_only_the_row_is_derived() -> None:
    told = Switches(recompute="selective", repeats=False)
    found, tokens = settle(told, needed, available=50_000, rows=[16_384, 8192])  # type: ignore[arg-type]
    assert (found, tokens) == (told, 8192)
    assert settle(told, None, available=None, rows=[4096]) == (told, 4096)


def test_a_short_training_is_not_compiled_unless_that_is_forced() -> None:
    compiled = Switches(compile=True)
    short = {"parameters": 10**9, "tokens": 10_000.0}
    assert not worth_it(compiled, TrainRecipe(), **short).compile  # type: ignore[arg-type]
    assert worth_it(compiled, TrainRecipe(compile="on"), **short).compile  # type: ignore[arg-type]
    assert worth_it(compiled, TrainRecipe(), parameters=8 * 10**9, tokens=1e7).compile


class OnGpu:
    """What of an accelerator on a GPU the plan asks for."""

    device = torch.device("cuda")
    mixed_precision = "bf16"


def large(folder: Path) -> Path:
    """An 8B Llama's configuration, without weights."""
    sizes = {"vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32}
    sizes |= {"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131_072}
    return described(folder, "llama", **sizes)


@pytest.mark.parametrize(
    ("gigabytes", "samples", "row", "kind"),
    [(1000, 3000, 16_384, "none"), (1000, 10, 8192, "none"), (62, 10, 4096, "none"), (30, 10, 8192, "full")],
)
def test_rows_and_what_is_repeated_follow_the_gpu_s_memory(
    gigabytes: int, samples: int, row: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TrainRecipe(model=str(large(tmp_path / "model")))
    model = switches.outline(recipe.model)
    encoded = {"knowledge": [sample(400, 0)] * samples, "skills": []}
    monkeypatch.setattr(plan, "capacity", lambda _accelerator: gigabytes * 2**30)
    told = Switches(chunked=True, fused=True, compile=True)
    found, tokens = plan.settled(told, recipe, OnGpu(), model, encoded, KEPT_APART)  # type: ignore[arg-type]
    assert (tokens, found.recompute) == (row, kind)
    assert found.compile == (samples > 1000)
    longest = {"knowledge": [sample(9000, 0)], "skills": []}
    _, tokens = plan.settled(told, recipe, OnGpu(), model, longest, KEPT_APART)  # type: ignore[arg-type]
    assert tokens == 16_384
    forced = recipe.model_copy(update={"row_tokens": 1024})
    assert plan.settled(told, forced, OnGpu(), model, encoded, KEPT_APART)[1] == 1024  # type: ignore[arg-type]


def test_a_gpu_that_is_too_small_says_what_would_fit_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = large(tmp_path / "model")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (19 * 2**30, 20 * 2**30))
    derived_switches, kept = Switches(chunked=True), Switches(chunked=True, repeats=False)
    with pytest.raises(InputError, match=r"row_tokens: [0-9]+ would") as caught:
        plan.expect_room(TrainRecipe(model=str(folder), row_tokens=65_536), derived_switches, OnGpu())  # type: ignore[arg-type]
    assert "this GPU has 19: does not fit" in caught.value.what
    with pytest.raises(InputError, match=r"recompute: (selective|full) would"):
        plan.expect_room(TrainRecipe(model=str(folder), row_tokens=4096), kept, OnGpu())  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (24 * 2**30, 24 * 2**30))
    plan.expect_room(TrainRecipe(model=str(folder)), derived_switches, OnGpu())  # type: ignore[arg-type]


# --- what is switched -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "decisive"),
    [
        ({}, {}),
        ({"recompute": "full"}, {}),
        ({"loss": "chunked"}, {"loss": "chunked"}),
        ({"fused_lora": "on"}, {"fused_lora": "on"}),
        ({"float8": "on"}, {"float8": "on"}),
        ({"compile": "on", "recompute": "full"}, {"compile": "on", "recompute": "full"}),
    ],
)
def test_what_changes_the_bits_is_told_to_the_digest(told: dict[str, str], decisive: dict[str, str]) -> None:
    assert switched(told).decisive == decisive


@pytest.mark.parametrize("told", [{name: value} for name, value in ALL.items()] + [ALL], ids=str)
def test_losses_and_gradients_of_packed_rows_are_the_plain_ones(told: dict[str, str]) -> None:
    model = adapted(layers=3)
    plain = every_row(model)
    apply(switched(told), model)
    assert furthest(every_row(model), plain) < 1e-5


@pytest.mark.parametrize("kind", ["llama", "granite", "qwen3", "phi3", "gemma3_text", "mixtral"])
def test_the_separation_of_samples_is_proven_through_the_switched_step(kind: str) -> None:
    extra: dict[str, object] = {"attention_dropout": 0.1, "logits_scaling": 4.0} if kind == "granite" else {}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SMALL, **extra))
    trial = Trial(narrow(model, None), "sdpa")
    error = trial.prove_switched("packed_samples", lambda one: apply(switched(ALL), one, trial=True))
    assert error <= (
        3 * TOLERANCE if kind == "granite" else TOLERANCE
    )  # whose attention is so sharp that rounding shows


def test_a_switch_that_lets_samples_see_each_other_does_not_pass() -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL))
    trial = Trial(narrow(model, None), "sdpa")

    def leaking(adapted_model: torch.nn.Module) -> None:
        for module in adapted_model.modules():
            if type(module).__name__ == "LlamaMLP":
                module.register_forward_hook(lambda _module, _inputs, out: out + 1e-3 * out.cumsum(1))

    with pytest.raises(NotImplementedError, match="differ"):
        trial.prove_switched("packed_samples", leaking)


def test_padding_of_a_row_is_proven_too() -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL))
    trial = Trial(narrow(model, None), "sdpa")
    assert trial.prove_switched("packed_samples", lambda _: None, room=50) <= TOLERANCE
