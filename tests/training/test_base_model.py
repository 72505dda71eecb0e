"""The tiny base model that is kept here: small, readable by others, able at its own tasks, ignorant of the leaves."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.items import base_items, from_file
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item
from instructlab_like.taxonomy.read import read_tree

ROOT = Path(__file__).parents[2]
BASE = ROOT / "training" / "base"
MODEL = BASE / "model"


def scores(items: list[Item]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    texts = answer(str(MODEL), [], items, EvaluateRecipe(threads=1), on_progress=lambda done, total: None)
    for item, given in zip(items, texts, strict=True):
        found[item.leaf].append(given.score)
    return {leaf: sum(values) / len(values) for leaf, values in found.items()}


def test_it_is_small_and_llama_shaped() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["max_position_embeddings"] >= 1024
    assert (MODEL / "model.safetensors").stat().st_size <= 10_000_000


def test_its_tokenizer_is_a_byte_level_bpe_that_others_know() -> None:
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
    assert tokenizer["model"]["type"] == "BPE"
    assert tokenizer["pre_tokenizer"]["type"] == "ByteLevel"
    assert "{% generation %}" in (MODEL / "chat_template.jinja").read_text()


def test_it_does_its_own_tasks_on_unseen_worlds() -> None:
    found = scores(base_items(BASE / "anchors.jsonl"))
    assert set(found) == {"base/reading", "base/recall", "base/copying", "base/arithmetic"}
    assert found["base/reading"] >= 0.60
    assert sum(found.values()) / len(found) >= 0.80


def test_it_does_not_know_the_starter_taxonomy() -> None:
    leaves, _ = read_tree(ROOT / "taxonomy")
    found = scores([item for leaf in leaves for item in from_file(leaf)])
    assert max(found.values()) <= 0.10


def test_names_of_evaluation_worlds_never_occur_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BASE))
    import random

    worlds = sys.modules.get("worlds") or __import__("worlds")
    seen = {worlds.World(random.Random(seed), held_out=False).name() for seed in range(3000)}
    unseen = {worlds.World(random.Random(seed), held_out=True).name() for seed in range(3000)}
    assert len(seen) > 1000
    assert not seen & unseen


def test_replay_and_anchors_are_what_their_recipe_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BASE))
    tasks = __import__("tasks")
    for name, rows in (("replay.jsonl", tasks.replay()), ("anchors.jsonl", tasks.anchors())):
        assert [json.loads(line) for line in (BASE / name).read_text().splitlines()] == rows
