from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from instructlab_like.recipe import TrainRecipe, load

TRAINING = Path(__file__).parents[2] / "training"


@pytest.mark.parametrize("path", sorted((TRAINING / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_is_valid(path: Path) -> None:
    recipe = load(TrainRecipe, path, {})
    assert [phase.name for phase in recipe.phases] == ["knowledge", "skills"]


@pytest.mark.parametrize(("name", "cpu"), [("cpu", True), ("one_gpu", False), ("several_gpus", False)])
def test_launch_configurations_leave_precision_to_the_recipe(name: str, cpu: bool) -> None:
    told = yaml.safe_load((TRAINING / "accelerate" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert told["mixed_precision"] == "no"
    assert told["use_cpu"] is cpu
