from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_chat_model import make_model, make_tokenizer, save_base
from transformers import AutoModelForCausalLM

from instructlab_like.errors import ModelError
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.checkpoint import Reference
from instructlab_like.tuning.models import adapter_config, base_id, load_adapter, load_base, reference, weights_id


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
    checkpoint.write(
        folder,
        checkpoint.Adapter.of(model),
        make_tokenizer(),
        base=Reference("a/b", None),
        weights_id="",
        inputs="x",
        card="",
    )
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
    commit = hub_copy(base, tmp_path)
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


# --- adapters that are not loaded -------------------------------------------------------------------------------


def edit_config(adapter: Path, **told: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | told))
    (adapter / "manifest.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"auto_mapping": {"base_model_class": "M", "parent_library": "os"}}, r"asks for a model class of 'os'"),
        ({"auto_mapping": {"base_model_class": "M", "parent_library": "transformers_x"}}, "asks for a model class"),
        ({"auto_mapping": {"base_model_class": "M"}}, "asks for a model class of None"),
        ({"auto_map": {"AutoConfig": "code.C"}}, r"asks for code of its own \(auto_map\)"),
        ({"trust_remote_code": True}, r"asks for code of its own \(trust_remote_code\)"),
        ({"megatron_config": {"x": 1}, "megatron_core": "evil.core"}, "asks for the module 'evil.core'"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base's own weights as it is loaded"),
        ({"init_lora_weights": "olora"}, "changes the base's own weights as it is loaded"),
        ({"peft_type": "NEWER"}, "a kind of adapter that PEFT does not know: 'NEWER'"),
        ({"peft_type": None}, "a kind of adapter that PEFT does not know: None"),
        ({"peft_type": []}, "a kind of adapter that PEFT does not know"),
    ],
)
def test_an_adapter_that_asks_for_more_than_weights_is_refused(
    base: Path, adapter: Path, told: dict[str, object], what: str
) -> None:
    edit_config(adapter, **told)
    model, _ = load_base(str(base), torch.float32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=what) as caught:
        load_adapter(model, adapter, "one")
    assert caught.value.where.endswith("adapter_config.json")
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_peft_itself_maps_is_loaded(base: Path, adapter: Path) -> None:
    mapping = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama"}
    edit_config(adapter, auto_mapping=mapping)
    load_adapter(load_base(str(base), torch.float32)[0], adapter, "one")


@pytest.mark.parametrize("text", ["", "[1]", "{", "\udcff"])
def test_a_configuration_that_is_none_is_refused(adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match="is not"):
        adapter_config(adapter)


def test_pickled_weights_are_refused_unread(base: Path, adapter: Path) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(weights, adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"its weights are pickled \(adapter_model.bin\)"):
        load_adapter(load_base(str(base), torch.float32)[0], adapter, "one")


# --- whose adapter it is ----------------------------------------------------------------------------------------


def trained(folder: Path, base: Path, **told: object) -> PeftModel:
    """An adapter that knows the weights it was trained on."""
    model, tokenizer = load_base(str(base), torch.float32)
    config = {"r": 4, "target_modules": "all-linear", "init_lora_weights": False, "task_type": "CAUSAL_LM"} | told
    adapted = get_peft_model(model, LoraConfig(**config))
    checkpoint.write(
        folder,
        checkpoint.Adapter.of(adapted),
        tokenizer,
        base=reference(str(base), model),
        weights_id=weights_id(model),
        inputs="x",
        card="",
    )
    return adapted.eval()


def test_an_adapter_of_other_weights_of_the_same_shapes_is_refused(base: Path, tmp_path: Path) -> None:
    trained(tmp_path / "adapter", base)
    other = save_base(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match=r"trained on other weights than .*other has.*names \./"):
        load_adapter(load_base(str(other), torch.float32)[0], tmp_path / "adapter", "one")


def test_weights_are_known_however_they_are_cut_and_wherever_they_lie(base: Path, tmp_path: Path) -> None:
    expected = trained(tmp_path / "adapter", base)
    cut = tmp_path / "cut"
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(cut, max_shard_size="50KB")
    assert len(list(cut.glob("*.safetensors"))) > 1
    make_tokenizer(template=None).save_pretrained(cut)
    shutil.copyfile(base / "model.safetensors", cut / "consolidated.safetensors")
    model = load_adapter(load_base(str(cut), torch.bfloat16)[0], tmp_path / "adapter", "one")
    model = load_adapter(model, tmp_path / "adapter", "two")
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.allclose(model(ids).logits.float(), expected(ids).logits, atol=0.5)


def test_a_changed_weight_is_another_base(base: Path, copy: Path) -> None:
    model, _ = load_base(str(copy), torch.float32)
    before = weights_id(model)
    assert before == weights_id(load_base(str(base), torch.float32)[0])
    tensors = load_file(copy / "model.safetensors")
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert weights_id(load_base(str(copy), torch.float32)[0]) != before
    assert weights_id(make_model()) == ""


@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_copies_of_the_base_s_embeddings_that_peft_saves_are_no_hindrance(
    base: Path, tmp_path: Path, target: str
) -> None:
    model, _ = load_base(str(base), torch.float32)
    names = {"target_modules": [target, "q_proj"], "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    adapted = get_peft_model(model, LoraConfig(r=4, **names)).eval()
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    ids = torch.tensor([[5, 6, 7, 8]])
    found = load_adapter(load_base(str(base), torch.float32)[0], tmp_path / "adapter", "one")
    found = load_adapter(found, tmp_path / "adapter", "two")
    assert torch.equal(found(ids).logits, adapted(ids).logits)
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    (key,) = (name for name in weights if name.endswith(".base_layer.weight"))
    weights[key][3] += 1
    save_file(weights, tmp_path / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="brings embeddings of its own"):
        load_adapter(load_base(str(base), torch.float32)[0], tmp_path / "adapter", "one")


@pytest.mark.parametrize("kind", [{"use_dora": True}, {"use_rslora": True}])
def test_dora_and_rslora_come_back_as_they_were(base: Path, tmp_path: Path, kind: dict[str, object]) -> None:
    expected = trained(tmp_path / "adapter", base, **kind)
    model = load_adapter(load_base(str(base), torch.float32)[0], tmp_path / "adapter", "one")
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(model(ids).logits, expected(ids).logits)


# --- what a travelling adapter calls its base -------------------------------------------------------------------


def hub_copy(base: Path, cache: Path) -> str:
    """The base in a hub's cache, under the name some/tiny; gives its commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = cache / "models--some--tiny"
    shutil.copytree(base, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return commit


def test_a_base_of_the_hub_is_named_with_its_commit_also_by_its_place_in_the_cache(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = hub_copy(base, tmp_path)
    for name in ("some/tiny", str(tmp_path / "models--some--tiny" / "snapshots" / commit)):
        found = reference(name, load_base(name, torch.float32)[0])
        assert (found.name, found.revision, found.on_hub) == ("some/tiny", commit, True)


def test_a_path_is_named_so_that_no_hub_takes_it_for_a_name(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base, tmp_path / "models" / "tiny")
    (tmp_path / "models" / "here").mkdir()
    for place, name, told in [
        (tmp_path, "models/tiny", "./models/tiny"),
        (tmp_path, "./models/tiny", "./models/tiny"),
        (tmp_path / "models" / "here", "../tiny", "./tiny"),
        (tmp_path, str(tmp_path / "models" / "tiny"), "./tiny"),
    ]:
        monkeypatch.chdir(place)
        found = reference(name, load_base(name, torch.float32)[0])
        assert (found.name, found.revision, found.on_hub) == (told, None, False)


ELSEWHERE = """
import sys, torch
from peft import AutoPeftModelForCausalLM
torch.set_num_threads(1)
model = AutoPeftModelForCausalLM.from_pretrained(sys.argv[1])
print(model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0, -1, :4].tolist())
"""


def loaded_by_peft(adapter: Path, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(adapter)]
    told = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, cwd=cwd, env=told, capture_output=True, text=True, check=False, timeout=300)


def test_autopeft_finds_a_base_of_the_hub_from_anywhere(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    commit = hub_copy(base, tmp_path / "cache")
    expected = trained(tmp_path / "adapter", tmp_path / "cache" / "models--some--tiny" / "snapshots" / commit)
    (tmp_path / "elsewhere").mkdir()
    done = loaded_by_peft(tmp_path / "adapter", tmp_path / "elsewhere", tmp_path / "cache")
    wanted = expected(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0, -1, :4].tolist()
    assert json.loads(done.stdout) == wanted, done.stderr


def test_autopeft_finds_a_base_by_its_path_where_it_leads(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base, tmp_path / "models" / "tiny")
    monkeypatch.chdir(tmp_path)
    expected = trained(tmp_path / "adapter", Path("models/tiny"))
    done = loaded_by_peft(tmp_path / "adapter", tmp_path, tmp_path / "cache")
    wanted = expected(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0, -1, :4].tolist()
    assert json.loads(done.stdout) == wanted, done.stderr
    assert loaded_by_peft(tmp_path / "adapter", tmp_path / "adapter", tmp_path / "cache").returncode == 1


def test_the_configuration_has_what_other_programs_read(base: Path, tmp_path: Path) -> None:
    trained(tmp_path / "adapter", base)
    told = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    needed = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "bias": "none", "inference_mode": True}
    assert needed.items() <= told.items()
    assert isinstance(told["lora_alpha"], int | float)
    assert isinstance(told["target_modules"], list)
    assert told["base_model_name_or_path"]
    assert told["peft_version"] == peft.__version__
    assert not any(told[name] for name in ("modules_to_save", "use_dora", "use_rslora", "auto_mapping"))
