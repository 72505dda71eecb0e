"""The recipes that come along: valid, each figure with its source, and what they derive for a model and data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from tiny_chat_model import make_model

from instructlab_like.recipe import GenerateRecipe, TrainRecipe, load
from instructlab_like.records import Message, Row
from instructlab_like.tuning.phases import Rows, phase_names
from instructlab_like.tuning.plan import plan, settled
from instructlab_like.tuning.separate import keep_apart
from instructlab_like.tuning.switches import Switches
from instructlab_like.tuning.tokens import Encoded

TRAINING = Path(__file__).parents[2] / "training"
RECIPES = sorted((TRAINING / "recipes").glob("*.yaml"))
TWO = ("knowledge", "skills")
PHASES = {"lab": TWO, "lab-orthogonal": TWO, "lab-stacked": ("stacked",), "tiny_base": TWO}
SAMPLES, LENGTH, CONTEXT = 96, 100, 512


def test_each_recipe_is_looked_at_here() -> None:
    assert {path.stem for path in RECIPES} == set(PHASES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_is_valid(path: Path) -> None:
    load(GenerateRecipe, path, {})
    assert phase_names(load(TrainRecipe, path, {}).phases) == PHASES[path.stem]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_gives_a_plan_for_a_made_model(path: Path) -> None:
    recipe = load(TrainRecipe, path, {})
    model = make_model()
    assert model.config.max_position_embeddings == CONTEXT
    names = phase_names(recipe.phases)
    rows = {name: Rows([line(f"{name}{number}") for number in range(SAMPLES)], []) for name in names}
    encoded = {name: [encode(one) for one in rows[name]] for name in names}
    separation = keep_apart(model, torch.device("cpu"))
    plain, row_tokens = settled(Switches(), recipe, Accelerator(cpu=True), model, encoded, separation)
    planned = plan(recipe, rows, encoded, separation, identity=[], processes=1, row_tokens=row_tokens, switches=plain)
    assert not planned.skipped
    a_row = CONTEXT // LENGTH
    for phase, told in zip(planned.phases, recipe.phases, strict=True):
        facts = phase.facts()
        assert (facts.phase, facts.samples, facts.row_tokens) == (told.name, SAMPLES, min(recipe.row_tokens, CONTEXT))
        assert facts.rows == -(-SAMPLES // a_row)
        # a step holds about so many tokens of samples, whatever is left empty of its rows
        in_a_row = SAMPLES * LENGTH / facts.rows
        assert abs(facts.rows_per_step - recipe.batch_tokens / in_a_row) <= 0.5
        assert facts.steps == -(-round(facts.rows * told.epochs) // facts.rows_per_step)
        assert (facts.learning_rate, facts.epochs) == (told.learning_rate, told.epochs)


def test_lab_keeps_the_relations_of_its_source() -> None:
    """InstructLab's phases: 7 epochs at 2e-5, then 10 at 6e-6; an adapter takes ten times the rate."""
    phased, stacked = (load(TrainRecipe, TRAINING / "recipes" / f"{name}.yaml", {}) for name in ("lab", "lab-stacked"))
    assert [(phase.epochs, phase.learning_rate) for phase in phased.phases] == [(7, 10 * 2e-5), (10, 10 * 6e-6)]
    assert [(phase.epochs, phase.learning_rate) for phase in stacked.phases] == [(7, 10 * 2e-5)]
    same = {"model", "lora", "row_tokens", "batch_tokens", "warmup", "schedule"}
    assert phased.model_dump(include=same) == stacked.model_dump(include=same)


def test_orthogonal_subspaces_take_the_rates_of_the_source_and_no_replay() -> None:
    path = TRAINING / "recipes" / "lab-orthogonal.yaml"
    recipe, generate = load(TrainRecipe, path, {}), load(GenerateRecipe, path, {})
    assert [(phase.epochs, phase.learning_rate) for phase in recipe.phases] == [(7, 2e-5), (10, 6e-6)]
    assert recipe.osf
    assert (generate.knowledge_share, generate.replay_share) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["lab", "lab-orthogonal", "lab-stacked"])
def test_the_recipes_of_lab_name_their_sources(name: str) -> None:
    text = (TRAINING / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    assert re.search(r"arXiv:\d{4}\.\d{5}", text)
    assert "not yet measured on a GPU" in text


def line(sample: str) -> bytes:
    told = (Message(role="user", content="Legs?"), Message(role="assistant", content="Eight."))
    row = Row(messages=told, phase="knowledge", leaf="knowledge/legs", sample=sample)
    return row.model_dump_json().encode()


def encode(one: Row) -> Encoded:
    return Encoded(one.sample, one.leaf, np.full(LENGTH, 7, np.int64), np.arange(LENGTH) >= LENGTH // 2)


@pytest.mark.parametrize(
    ("name", "cpu"), [("cpu", True), ("one_gpu", False), ("several_gpus", False), ("several_machines", False)]
)
def test_launch_configurations_leave_precision_to_the_recipe(name: str, cpu: bool) -> None:
    told = yaml.safe_load((TRAINING / "accelerate" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert told["mixed_precision"] == "no"
    assert told["use_cpu"] is cpu
