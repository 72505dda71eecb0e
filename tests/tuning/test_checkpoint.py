from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from tiny_chat_model import make_model, make_tokenizer

from instructlab_like.errors import ModelError, StoppedError
from instructlab_like.tuning import checkpoint
from instructlab_like.tuning.card import brief
from instructlab_like.tuning.checkpoint import Reference

TOKENIZER = make_tokenizer()
FILES = [
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
]


class FullDisk:
    """A tokenizer whose files find no room."""

    def save_pretrained(self, folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def adapted(seed: int = 1) -> PeftModel:
    model = make_model()
    torch.manual_seed(seed)
    return get_peft_model(
        model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    )


def written(folder: Path, model: PeftModel | None = None, tokenizer: object = TOKENIZER, base: str = "a/b") -> Path:
    named = Reference(base, None)
    checkpoint.write(
        folder,
        checkpoint.Adapter.of(model or adapted()),
        tokenizer,  # type: ignore[arg-type]
        base=named,
        weights_id="weights:0",
        inputs="abc",
        card=brief(base=base, adapter="LoRA of rank 4", lines={}),
    )
    return folder


def weights(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if "lora" in name}


def test_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    model = adapted(1)
    folder = written(tmp_path / "skills", model)
    other = adapted(2)
    checkpoint.restore(folder, other)
    mine, theirs = weights(model), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_peft_itself_loads_what_is_written(tmp_path: Path) -> None:
    model = adapted(1)
    base = tmp_path / "base"
    make_model().save_pretrained(base)
    folder = written(tmp_path / "adapter", model, base=str(base))
    ids = torch.tensor([[5, 6, 7, 8]])
    expected = model(input_ids=ids).logits
    found = PeftModel.from_pretrained(make_model(), str(folder))(input_ids=ids).logits
    assert torch.equal(found, expected)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert torch.equal(AutoPeftModelForCausalLM.from_pretrained(str(folder))(input_ids=ids).logits, expected)


def test_the_same_adapter_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    assert sorted(path.name for path in one.iterdir()) == sorted([*FILES, "manifest.json"])
    assert all((other / path.name).read_bytes() == path.read_bytes() for path in one.iterdir())


@pytest.mark.parametrize("name", [*FILES[1:], "manifest.json"])
@pytest.mark.parametrize("harm", ["missing", "cut short", "one bit changed"])
def test_a_torn_checkpoint_is_refused_by_the_file(tmp_path: Path, name: str, harm: str) -> None:
    folder = written(tmp_path / "skills")
    path = folder / name
    data = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    elif harm == "cut short":
        path.write_bytes(data[:-2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(ModelError, match="torn") as caught:
        checkpoint.verify(folder)
    assert caught.value.where == str(path)
    with pytest.raises(ModelError):
        checkpoint.restore(folder, adapted())


@pytest.mark.parametrize("manifest", [None, b"", b"{", b'{"format": 1}'])
def test_a_checkpoint_without_its_manifest_is_refused(tmp_path: Path, manifest: bytes | None) -> None:
    folder = written(tmp_path / "skills")
    (folder / "manifest.json").unlink()
    if manifest is not None:
        (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(ModelError, match="torn"):
        checkpoint.verify(folder)


def test_a_checkpoint_is_finished_only_for_its_own_inputs(tmp_path: Path) -> None:
    folder = written(tmp_path / "skills")
    assert checkpoint.finished(folder, "abc")
    assert not checkpoint.finished(folder, "other")
    assert not checkpoint.finished(tmp_path / "none", "abc")


def test_a_new_checkpoint_takes_the_old_one_s_place(tmp_path: Path) -> None:
    folder = written(tmp_path / "skills", adapted(1))
    before = (folder / "adapter_model.safetensors").read_bytes()
    written(folder, adapted(2))
    checkpoint.verify(folder)
    assert (folder / "adapter_model.safetensors").read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["skills"]


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path) -> None:
    folder = written(tmp_path / "skills")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoppedError, match="disk is full"):
        written(folder, adapted(2), FullDisk())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["skills"]


def test_what_a_killed_run_left_half_written_is_cleared(tmp_path: Path) -> None:
    half = tmp_path / ".skills.x1y2"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    written(tmp_path / "skills")
    assert [path.name for path in tmp_path.iterdir()] == ["skills"]
