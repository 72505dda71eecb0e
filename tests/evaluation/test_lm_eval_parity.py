"""Exported tasks in lm-evaluation-harness itself: the same options taken, the same texts scored the same.

Skipped where the harness is not installed: it is an extra that nothing else here needs.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_chat_model import SENTENCES, save_base
from transformers import GenerationConfig

from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.items import item_id
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Answer, Item
from instructlab_like.stages.exporting.export import export
from instructlab_like.stages.manifest import Manifest, write
from instructlab_like.workspace import Run, find, write_records

harness = pytest.importorskip("lm_eval", reason="the optional extra lm-eval is not installed")

from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from tiny_models import make_adapter  # noqa: E402

RECIPE = EvaluateRecipe(threads=1, max_new_tokens=8, base_tasks="")
WORDS = " ".join(SENTENCES).split()
HARD = ["{{ 7*7 }}", "{% raw %}", " leading", "two\nlines", "é…", "12", "The", "the spider has eight legs and"]


def made_items(count: int) -> list[Item]:
    """Choices with options of many lengths, some with blanks at their edges, and questions of every written metric."""
    rng = random.Random(0)
    found: dict[str, Item] = {}
    while len(found) < count:
        leaf = f"knowledge/{rng.choice(['legs', 'flags and more', 'sums'])}"
        question = " ".join(rng.choices(WORDS, k=rng.randint(1, 12))) + rng.choice(["?", "? ", "\n", " {{ question }}"])
        context = " ".join(rng.choices(WORDS, k=9)) if rng.random() < 0.3 else None
        number = item_id(leaf, question, context)
        if rng.random() < 0.8:
            several = rng.randint(1, 6)
            options = tuple(
                dict.fromkeys(
                    " ".join(rng.choices(WORDS + HARD, k=rng.randint(1, several))) for _ in range(several + 1)
                )
            )
            if len(options) < 2:
                continue
            more = {"metric": "choice", "options": options, "answer": rng.choice(options)}
        else:
            more = {"metric": rng.choice(["exact", "f1", "contains", "number"]), "answer": rng.choice(WORDS)}
        found[number] = Item(id=number, leaf=leaf, source="heldout", question=question, context=context, **more)
    return list(found.values())


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return made_items(150)


@pytest.fixture(scope="module")
def tasks(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `ilk export --for lm-eval` writes of a run that was evaluated with these items."""
    folder = tmp_path_factory.mktemp("run")
    run = Run(folder / "run")
    run.evaluation.mkdir(parents=True)
    write(run, Manifest(generate=GenerateRecipe(), evaluate=RECIPE, inputs={"generate": "done"}))
    write_records(run.evaluation / "items.jsonl", items)
    export(run, "lm-eval", folder / "tasks", {})
    return folder / "tasks"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def ours(model: str, items: list[Item], adapter: Path | None = None) -> dict[str, Answer]:
    adapters = [("tuned", adapter)] if adapter else []
    found = answer(model, adapters, items, RECIPE, on_progress=lambda done, total: None)
    return {one.item: one for one in found if one.model == ("tuned" if adapter else "base")}


def theirs(model: str, tasks: Path, adapter: Path | None = None) -> tuple[dict[str, dict], dict]:
    torch.set_num_threads(1)
    loaded = HFLM(
        pretrained=model,
        peft=str(adapter) if adapter else None,
        device="cpu",
        dtype="float32",
        batch_size=16,
        add_bos_token=False,
    )
    found = harness.simple_evaluate(
        model=loaded,
        tasks=["ilk"],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        apply_chat_template=True,
        log_samples=True,
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    return {row["doc"]["id"]: row for rows in found["samples"].values() for row in rows}, found


def check(model: str, tasks: Path, items: list[Item], adapter: Path | None = None) -> None:
    own = ours(model, items, adapter)
    rows, found = theirs(model, tasks, adapter)
    assert rows.keys() == own.keys()
    taken = {}
    for one in items:
        row = rows[one.id]
        if one.metric == "choice":
            odds = [
                chance / len(option) for (chance, _), option in zip(row["filtered_resps"], one.options, strict=True)
            ]
            taken[one.id] = odds.index(max(odds))
        else:
            assert row["filtered_resps"][0].strip() == own[one.id].text
        assert row["score"] == own[one.id].score
    assert taken == {one.id: own[one.id].chosen for one in items if one.metric == "choice"}
    leaves = {leaf: [own[one.id].score for one in items if one.leaf == leaf] for leaf in {one.leaf for one in items}}
    means = [sum(scores) / len(scores) for scores in leaves.values()]
    assert found["results"]["ilk"]["score,none"] == pytest.approx(sum(means) / len(means))


@pytest.mark.parametrize(("layers", "hidden", "seed"), [(1, 16, 0), (2, 32, 1), (3, 64, 2)])
def test_random_models_take_the_same_options(layers, hidden, seed, tasks, items, tmp_path) -> None:
    base = save_base(tmp_path / "base", layers=layers, hidden=hidden, seed=seed)
    own = GenerationConfig.from_pretrained(base)
    own.update(do_sample=True, temperature=1.5, repetition_penalty=5.0)  # to which neither may listen
    own.save_pretrained(base)
    check(str(base), tasks, items)


def test_an_adapter_takes_the_same_options(tasks, items, tmp_path) -> None:
    base = save_base(tmp_path / "base", seed=3)
    check(str(base), tasks, items, make_adapter(base, tmp_path / "adapter", seed=4))


def test_the_shipped_base_takes_the_same_options(tasks, items) -> None:
    check(str(find("training/base/model")), tasks, items)
