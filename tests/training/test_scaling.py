"""`ilk train --scaling`: nested parts of a run's rows, trained and asked alike, and what the curve says."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ilk_process import ilk
from merged_run import finished_run
from tiny_chat_model import save_base

from instructlab_like.errors import InputError
from instructlab_like.evaluation.scaling import Scaling, curve
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item, LeafCounts
from instructlab_like.stages import manifest
from instructlab_like.stages.training.retrained import Trained
from instructlab_like.stages.training.scaling import SHARES, first, measure
from instructlab_like.workspace import write_records

STARTER = Path(__file__).parents[2] / "taxonomy"
PARCELS = "compositional_skills/office/post/parcel_class"
LEAF = LeafCounts(leaf="a/b", made=10, kept=10)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two leaves and replay; some rows of the knowledge phase stand in the skills phase again."""
    knowledge = [("knowledge/a", f"k{number}", "knowledge") for number in range(40)]
    skills = [("skills/b", f"s{number}", "skills") for number in range(7)]
    again = [(leaf, sample, "skills") for leaf, sample, _ in knowledge[::4]]
    replay = [("replay", f"r{number}", "skills") for number in range(20)]
    (tmp_path / "data").mkdir()
    for phase, rows in (("knowledge", knowledge), ("skills", skills + again + replay)):
        lines = (json.dumps({"leaf": leaf, "sample": sample, "phase": in_}) + "\n" for leaf, sample, in_ in rows)
        (tmp_path / "data" / f"{phase}-train.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def test_parts_are_nested_and_each_leaf_gives_the_same_share(dataset: Path) -> None:
    parts = [first(dataset, share) for share in (*SHARES, 1.0)]
    assert parts[0] < parts[1] < parts[2]
    sizes = [{kind: sum(sample[0] == kind for sample in part) for kind in "ksr"} for part in parts]
    assert sizes == [{"k": 4, "s": 1, "r": 2}, {"k": 12, "s": 2, "r": 6}, {"k": 40, "s": 7, "r": 20}]


def told(scores: dict[float, list[float]]) -> Scaling:
    items = [
        Item(id=f"i{number}", leaf=LEAF.leaf, question=f"{number}?", answer="x", source="heldout", metric="exact")
        for number in range(len(scores[0.0]))
    ]
    answers = {
        share: [
            Answer(item=item.id, model=str(share), text="x", score=score)
            for item, score in zip(items, found, strict=True)
        ]
        for share, found in scores.items()
    }
    return curve(items, answers, dict.fromkeys(scores, 1), counts=[LEAF], enough=10, inputs="")


def test_a_score_that_rises_to_the_last_asks_for_more_data() -> None:
    found = told({0.0: [0.0] * 60, 0.1: [0.0] * 50 + [1.0] * 10, 0.3: [0.0] * 40 + [1.0] * 20, 1.0: [1.0] * 60})
    assert "more of it would probably help" in found.verdict
    assert [point.score for point in found.points] == pytest.approx([0, 1 / 6, 1 / 3, 1])
    assert found.points[0].gain is None


def test_a_score_that_stands_still_does_not() -> None:
    found = told({0.0: [0.0] * 100, 0.1: [1.0] * 100, 0.3: [1.0] * 100, 1.0: [1.0] * 100})
    assert "would probably not help" in found.verdict


def test_few_questions_do_not_decide() -> None:
    half = [0.0, 1.0] * 6
    found = told({0.0: [0.0] * 12, 0.1: half, 0.3: half, 1.0: [*half[:10], 1.0, 1.0]})
    assert "cannot be told" in found.verdict


def test_a_run_without_questions_on_its_leaves_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    run = finished_run(tmp_path, "base")
    item = Item(id="i", leaf="base/recall", question="1?", answer="x", source="base", metric="exact")
    write_records(run.evaluation / "items.jsonl", [item])
    said = [Answer(item="i", model=model, text="x", score=1.0) for model in ("base", "tuned")]
    write_records(run.evaluation / "answers.jsonl", said)
    made = manifest.read(run)
    assert made.train
    with pytest.raises(InputError, match="no leaf that was trained has questions"):
        measure(Trained(run, made, made.train, EvaluateRecipe(), "tuned", Counter()), "x")
    assert not (run.evaluation / "scaling").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scaling")
    shutil.copytree(STARTER / PARCELS, folder / "taxonomy" / PARCELS)
    sections = {
        "generate": {
            "flows": ["simulation"],
            "samples_per_simulation": 120,
            "replay": "training/base/replay.jsonl",
        },
        "train": {
            "model": "training/base/model",
            "phases": [{"name": "skills", "epochs": 3, "learning_rate": 3e-3}],
            "row_tokens": 512,
            "batch_tokens": 1024,
            "threads": 1,
        },
        "evaluate": {"threads": 1, "max_new_tokens": 16, "simulation_items": 40},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    return folder


def test_the_command_trains_the_parts_once_and_draws_the_curve(folder: Path) -> None:
    told = ("--run", "curve", "--recipe", "recipe.yaml")
    ilk("generate", *told, cwd=folder)
    printed = ilk("train", *told, "--scaling", cwd=folder)
    found = Scaling.model_validate_json((folder / "runs/curve/6-evaluation/scaling.json").read_bytes())
    assert [point.share for point in found.points] == [0.0, *SHARES, 1.0]
    rows = [point.rows for point in found.points]
    assert rows == sorted(rows)
    assert found.points[-1].score > found.points[0].score
    assert found.verdict in printed
    steps = [
        json.loads((place / "5-training/plan.jsonl").read_text().splitlines()[0])["steps"]
        for place in (folder / "runs/curve", *(folder / "runs/curve/6-evaluation/scaling").glob("[0-9]*"))
    ]
    assert all(steps[0] / 1.2 <= one <= 1.2 * steps[0] for one in steps)
    again = ilk("train", *told, "--scaling", cwd=folder)
    assert "scaling: up to date" in again
    assert "step 1/" not in again
