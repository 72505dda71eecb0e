"""Datasets for other trainers, read by the trainers' own code. Each test is skipped where that is not installed.

To have all of them, in an environment of its own: `pip install --no-deps trl llamafactory axolotl unsloth_zoo colorama
addict omegaconf antlr4-python3-runtime`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from datasets import load_dataset
from finished_run import exported
from tiny_chat_model import make_model, make_tokenizer, save_base
from trainer_run import MARKS, OWN, PAIRS, SEVERAL, Trained, in_phase, turns, write

SYSTEM = "You know the harbour."


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return str(tmp_path / "cache")


def said(run, phase):
    return [turns(row) for row in in_phase(run, phase)]


# --- datasets, which all of them load by -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trl", "unsloth"])
def test_a_folder_loads_by_itself_phase_by_phase(name, tmp_path, cache):
    run = Trained()
    folder = str(write(exported(run, name)[0], tmp_path / "out"))
    column = "messages" if name == "trl" else "conversations"
    whole = load_dataset(folder, cache_dir=cache)
    assert list(whole["train"][column]) == said(run, "knowledge") + said(run, "skills")
    assert len(whole["test"]) == 2
    for phase in ("knowledge", "skills"):
        assert list(load_dataset(folder, phase, split="train", cache_dir=cache)[column]) == said(run, phase)
    pairs = load_dataset(folder, "preferences", split="train", cache_dir=cache)
    assert list(pairs["sample"]) == [pair.chosen for pair in PAIRS]


# --- TRL --------------------------------------------------------------------------------------------------------


@pytest.fixture
def trl():
    return pytest.importorskip("trl")


def trainer(trl, data, tmp_path, **told):
    args = trl.SFTConfig(
        output_dir=str(tmp_path / "trained"),
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=4096,
        gradient_checkpointing=False,
        shuffle_dataset=False,
        **told,
    )
    return trl.SFTTrainer(model=make_model(), args=args, train_dataset=data, processing_class=make_tokenizer())


def text(ids) -> str:
    return make_tokenizer().decode([number for number in ids if number >= 0])


def short(data):
    return data.filter(lambda row: sum(map(len, map(str, row.values()))) < 3000)


def test_trl_learns_the_answers_of_messages_and_nothing_else(trl, tmp_path, cache):
    run = Trained()
    folder = str(write(exported(run, "trl", system=SYSTEM)[0], tmp_path / "out"))
    data = short(load_dataset(folder, "skills", split="train", cache_dir=cache))
    made = trainer(trl, data, tmp_path, assistant_only_loss=True).train_dataset
    by_sample = dict(zip(data["sample"], made, strict=True))
    several = by_sample[SEVERAL.sample]
    assert text(several["labels"]) == "4<|end|>5<|end|>"
    assert text(several["input_ids"]).startswith(f"<|system|>{SYSTEM}<|end|><|user|>Count on from 3.")
    assert text(by_sample[OWN.sample]["input_ids"]).startswith("<|system|>You are brief.<|end|>")


def test_trl_learns_the_completion_and_nothing_else(trl, tmp_path, cache):
    folder = str(write(exported(Trained(), "trl", rows="prompt-completion")[0], tmp_path / "out"))
    data = short(load_dataset(folder, "skills", split="train", cache_dir=cache))
    made = trainer(trl, data, tmp_path).train_dataset
    by_sample = dict(zip(data["sample"], made, strict=True))
    assert text(by_sample[SEVERAL.sample]["labels"]) == "5<|end|>"


def test_trl_trains_on_the_rows_with_their_lineage_beside_them(trl, tmp_path, cache):
    torch.set_num_threads(1)
    folder = str(write(exported(Trained(), "trl")[0], tmp_path / "out"))
    data = short(load_dataset(folder, split="train", cache_dir=cache))
    assert {"sample", "leaf", "phase"} <= set(data.column_names)
    done = trainer(trl, data, tmp_path, max_steps=1, packing=True, per_device_train_batch_size=1).train()
    assert done.training_loss > 0


def test_trl_reads_preferences_for_dpo(trl, tmp_path, cache):
    torch.set_num_threads(1)
    folder = str(write(exported(Trained(), "trl")[0], tmp_path / "out"))
    pairs = load_dataset(folder, "preferences", split="train", cache_dir=cache)
    args = trl.DPOConfig(
        output_dir=str(tmp_path / "dpo"),
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_steps=1,
        per_device_train_batch_size=2,
        gradient_checkpointing=False,
    )
    base = str(save_base(tmp_path / "base"))
    made = trl.DPOTrainer(model=base, args=args, train_dataset=pairs, processing_class=make_tokenizer())
    assert text(made.train_dataset[0]["chosen_ids"]) == "In 1901.<|end|>"
    assert text(made.train_dataset[0]["rejected_ids"]) == "Nobody knows.<|end|>"
    assert "You label." in text(made.train_dataset[1]["prompt_ids"])
    assert made.train().training_loss > 0


# --- LLaMA-Factory ----------------------------------------------------------------------------------------------


@pytest.fixture
def llama_factory(monkeypatch):
    if importlib.util.find_spec("llamafactory") is None:
        pytest.skip("llamafactory is not installed")
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")  # it wants older versions of what it trains with
    if importlib.util.find_spec("torchaudio") is None:  # its plug-in for sounds, which takes no part in this
        silent = types.ModuleType("torchaudio")
        silent.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        monkeypatch.setitem(sys.modules, "torchaudio", silent)
    from llamafactory.data import loader, parser
    from llamafactory.hparams import DataArguments, ModelArguments

    return loader, parser, DataArguments, ModelArguments


class Process:
    local_process_index = 0
    seed = 0


def merged(llama_factory, folder: Path, names: list[str], stage: str, cache: str):
    loader, _, data_arguments, model_arguments = llama_factory
    told = data_arguments(dataset=",".join(names), dataset_dir=str(folder), overwrite_cache=True)
    model = model_arguments(model_name_or_path="none", cache_dir=cache)
    return loader._get_merged_dataset(names, model, told, Process(), stage)


def test_llama_factory_reads_every_row(llama_factory, tmp_path, cache):
    run = Trained()
    folder = write(exported(run, "llama-factory")[0], tmp_path / "out")
    for phase in ("knowledge", "skills"):
        found = merged(llama_factory, folder, [f"ilk_{phase}"], "sft", cache)
        for row, wanted in zip(found, said(run, phase), strict=True):
            system = wanted.pop(0)["content"] if wanted[0]["role"] == "system" else ""
            assert (row["_system"] or "") == system
            assert row["_prompt"] + row["_response"] == wanted
            assert row["_response"][0]["role"] == "assistant"
    assert any(
        MARKS in str(row["_prompt"][0]["content"])
        for row in merged(llama_factory, folder, ["ilk_knowledge"], "sft", cache)
    )


def test_llama_factory_reads_preferences(llama_factory, tmp_path, cache):
    folder = write(exported(Trained(), "llama-factory")[0], tmp_path / "out")
    found = list(merged(llama_factory, folder, ["ilk_preferences"], "rm", cache))
    assert [[answer["content"] for answer in row["_response"]] for row in found] == [
        [pair.chosen_answer, pair.rejected_answer] for pair in PAIRS
    ]
    assert found[1]["_system"] == "You label."


# --- axolotl ----------------------------------------------------------------------------------------------------


@pytest.fixture
def axolotl():
    if importlib.util.find_spec("axolotl") is None:
        pytest.skip("axolotl is not installed")
    from axolotl.prompt_strategies import chat_template
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.datasets import SFTDataset

    return chat_template, default, DictDefault, SFTDataset


def test_axolotl_learns_the_answers_and_nothing_else(axolotl, tmp_path, cache, monkeypatch):
    chat_template, _, config, schema = axolotl
    folder = write(exported(Trained(), "axolotl")[0], tmp_path / "out")
    monkeypatch.chdir(folder)
    told = config(yaml.safe_load(Path("axolotl-skills.yml").read_text()) | {"sequence_len": 2048})
    (entry,) = told.datasets
    schema.model_validate(dict(entry))
    data = load_dataset(entry.ds_type, data_files=entry.path, split=entry.split, cache_dir=cache)
    strategy = chat_template.load(make_tokenizer(), told, ds_cfg=entry)
    by_sample = {row["sample"]: strategy.tokenize_prompt(row) for row in short(data)}
    assert text(by_sample[SEVERAL.sample]["labels"]) == "4<|end|>5<|end|>"
    assert text(by_sample[OWN.sample]["input_ids"]).startswith("<|system|>You are brief.<|end|>")


def test_axolotl_reads_preferences(axolotl, tmp_path, cache, monkeypatch):
    _, default, config, _ = axolotl
    folder = write(exported(Trained(), "axolotl")[0], tmp_path / "out")
    monkeypatch.chdir(folder)
    told = config(yaml.safe_load(Path("axolotl-preferences.yml").read_text()))
    (entry,) = told.datasets
    read = default(told)
    read = read[0] if isinstance(read, tuple) else read
    data = load_dataset(entry.ds_type, data_files=entry.path, split=entry.split, cache_dir=cache)
    found = [read(dict(row), tokenizer=make_tokenizer()) for row in data]
    assert [row["chosen"].replace("<|end|>", "") for row in found] == [pair.chosen_answer for pair in PAIRS]
    assert [row["rejected"].replace("<|end|>", "") for row in found] == [pair.rejected_answer for pair in PAIRS]
    assert found[1]["prompt"].startswith("<|system|>You label.")


# --- Unsloth ----------------------------------------------------------------------------------------------------


def test_unsloth_standardises_the_rows_to_what_they_are(tmp_path, cache, monkeypatch):
    found = importlib.util.find_spec("unsloth_zoo")
    if found is None:
        pytest.skip("unsloth_zoo is not installed")
    package = types.ModuleType("unsloth_zoo")  # without its own opening, which asks for a GPU
    package.__path__ = list(found.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "unsloth_zoo", package)
    utils = importlib.import_module("unsloth_zoo.dataset_utils")
    run = Trained()
    folder = str(write(exported(run, "unsloth", system=SYSTEM)[0], tmp_path / "out"))
    data = utils.standardize_data_formats(load_dataset(folder, "skills", split="train", cache_dir=cache), num_proc=1)
    assert list(data["conversations"][-1][-1].values()) == list(said(run, "skills")[-1][-1].values())
    tokenizer = make_tokenizer()
    texts = [tokenizer.apply_chat_template(row, tokenize=False) for row in data["conversations"]]
    assert texts[-1] == f"<|system|>{SYSTEM}<|end|><|user|>When was the Gull built?<|end|><|assistant|>1901<|end|>"
    assert list(data["sample"]) == [row.sample for row in in_phase(run, "skills")]
