from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_chat_model import make_model, make_tokenizer, save_base

from instructlab_like.errors import ModelError
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.models import base_id, load_adapter, load_base


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(base, tmp_path / "copy")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return save_adapter(tmp_path / "adapter")


def save_adapter(folder: Path, *, layers: int = 2, hidden: int = 32, seed: int = 0) -> Path:
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    model = make_model(layers=layers, hidden=hidden)
    torch.manual_seed(seed)
    model = get_peft_model(model, config)
    checkpoint.write(folder, model, make_tokenizer(), base="a/b", inputs="x", card="")
    return folder


def test_a_base_is_loaded_in_the_type_asked_for_and_ready_to_answer(base: Path) -> None:
    model, tokenizer = load_base(str(base), torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert tokenizer.eos_token == "<|end|>"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("no/such/folder", "no such model folder"),
        ("./missing", "no such model folder"),
        ("missing.gguf", "is a file"),
        ("nobody/nothing", "neither a folder here nor a model that the hub gives"),
    ],
)
def test_a_model_that_is_not_there_is_one_clear_error(name: str, what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        load_base(name, torch.float32)
    assert caught.value.where == name
    assert caught.value.code == 2
    assert caught.value.fix


def test_a_model_in_the_hub_s_cache_needs_no_network(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--tiny"
    shutil.copytree(base, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    model, _ = load_base("some/tiny", torch.float32)
    assert base_id("some/tiny", model) == f"some/tiny@{commit}"


def test_an_adapter_s_folder_is_no_base(adapter: Path) -> None:
    with pytest.raises(ModelError, match="is an adapter"):
        load_base(str(adapter), torch.float32)


def test_an_empty_folder_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load_base(str(tmp_path), torch.float32)


def test_a_base_with_weights_cut_short_is_refused(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(str(copy), torch.float32)


def test_a_base_that_lacks_a_tensor_is_refused_by_its_name(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load_base(str(copy), torch.float32)


def test_weights_that_are_no_safetensors_are_refused(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(str(copy), torch.float32)


def test_a_base_is_known_by_its_content_not_its_place(base: Path, copy: Path, tmp_path: Path) -> None:
    model, _ = load_base(str(base), torch.float32)
    assert base_id(str(copy), model) == base_id(str(base), model)
    assert base_id(str(save_base(tmp_path / "other", seed=1)), model) != base_id(str(base), model)


def test_several_adapters_stand_on_one_base(base: Path, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    plain, _ = load_base(str(base), torch.float32)
    expected = []
    for number in range(2):
        folder = save_adapter(tmp_path / f"adapter{number}", seed=number)
        expected.append(PeftModel.from_pretrained(load_base(str(base), torch.float32)[0], str(folder))(ids).logits)
    model = load_adapter(plain, tmp_path / "adapter0", "one")
    assert torch.equal(model(ids).logits, expected[0])
    model = load_adapter(model, tmp_path / "adapter1", "two")
    assert torch.equal(model(ids).logits, expected[1])
    assert not torch.equal(expected[0], expected[1])
    assert not model.training


@pytest.mark.parametrize(("trained_on", "given"), [((2, 32), (2, 64)), ((3, 32), (4, 32)), ((3, 32), (2, 32))])
def test_an_adapter_of_another_base_is_refused(
    tmp_path: Path, trained_on: tuple[int, int], given: tuple[int, int]
) -> None:
    folder = save_adapter(tmp_path / "adapter", layers=trained_on[0], hidden=trained_on[1])
    save_base(tmp_path / "base", layers=given[0], hidden=given[1])
    model, _ = load_base(str(tmp_path / "base"), torch.float32)
    with pytest.raises(ModelError, match="does not fit this model; it was trained on a/b"):
        load_adapter(model, folder, "one")


def test_a_torn_adapter_is_refused(base: Path, adapter: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="torn"):
        load_adapter(load_base(str(base), torch.float32)[0], adapter, "one")


def test_an_adapter_of_another_trainer_needs_no_manifest(base: Path, adapter: Path) -> None:
    (adapter / "manifest.json").unlink()
    load_adapter(load_base(str(base), torch.float32)[0], adapter, "one")


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_that_is_no_adapter_is_refused(base: Path, adapter: Path, file: str) -> None:
    (adapter / file).unlink()
    with pytest.raises(ModelError, match=f"{file} is missing"):
        load_adapter(load_base(str(base), torch.float32)[0], adapter, "one")
    with pytest.raises(ModelError, match="no such adapter folder"):
        load_adapter(load_base(str(base), torch.float32)[0], adapter / "none", "one")
