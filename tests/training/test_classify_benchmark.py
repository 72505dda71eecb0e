"""benchmarks/classify.py: its arms take equally many steps and never see what is asked; one small seed, trained."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.classify import (
    ARMS,
    Mail,
    Scored,
    Trial,
    from_file,
    item,
    measured,
    parted,
    question,
    stand_ins,
    synthetic,
    table,
    the_leaf,
)
from instructlab_like.axes import answers
from instructlab_like.records import Skill, ngrams, normalise

TREE = Path(__file__).parents[2] / "examples" / "email" / "taxonomy"
SMALL = Trial(real=8, synthetic=40, items=16, steps=3)


@pytest.fixture(scope="module")
def leaf() -> Skill:
    return the_leaf(TREE)


@pytest.fixture(scope="module")
def mails() -> list[Mail]:
    return stand_ins(320, seed=0)


@pytest.fixture(scope="module")
def trained(
    lora: ModuleType, leaf: Skill, mails: list[Mail], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Scored], Path]:
    def run(arguments: Sequence[str]) -> int:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.setattr(sys, "argv", ["lora.py", *arguments])
            return int(lora.main())

    folder = tmp_path_factory.mktemp("classify")
    left, asked = parted(mails, SMALL, leaf)
    return list(measured(SMALL, leaf, left, asked, run, seed=0, folder=folder)), folder


def test_each_arm_is_asked_the_same_and_takes_as_many_steps(trained: tuple[list[Scored], Path]) -> None:
    found, folder = trained
    assert [(one.arm, one.rows, len(one.right)) for one in found] == [
        ("real", 8, 16), ("synthetic", 40, 16), ("both", 48, 16),
    ]  # fmt: skip
    for arm in ARMS:
        (plan,) = (folder / arm / "out" / "plan.jsonl").read_text().splitlines()
        assert json.loads(plan)["steps"] == SMALL.steps, arm
    assert {score for one in found for score in one.right} <= {0.0, 1.0}


def test_the_arms_share_their_e_mails_and_no_asked_one_is_trained(
    trained: tuple[list[Scored], Path], leaf: Skill, mails: list[Mail]
) -> None:
    rows = {arm: seen(trained[1] / arm) for arm in ARMS}
    assert rows["both"] == rows["real"] | rows["synthetic"]
    assert not rows["real"] & rows["synthetic"]
    _, asked = parted(mails, SMALL, leaf)
    assert not {question(mail, leaf) for mail in asked} & rows["both"]


def seen(folder: Path) -> set[str]:
    lines = (folder / "dataset" / "data" / "skills-train.jsonl").read_text("utf-8").splitlines()
    return {json.loads(line)["messages"][0]["content"] for line in lines}


def test_the_stand_ins_are_many_and_hardly_like_what_the_leaf_makes(leaf: Skill, mails: list[Mail]) -> None:
    assert len({normalise(mail.text) for mail in mails}) == 320
    assert Counter(mail.label for mail in mails) == dict.fromkeys(answers(leaf), 80)
    assert len({mail.story for mail in mails}) == 48
    assert not any("{" in mail.text or "|" in mail.text or "  " in mail.text for mail in mails)
    made = {
        gram
        for one in synthetic(leaf, 960, avoid=mails, seed=0)
        for gram in ngrams(one.question.partition("\n\n")[2], 6)
    }
    assert not [mail.text for mail in mails if ngrams(mail.text, 6) & made]


def test_an_item_is_asked_as_the_leaf_asks(leaf: Skill) -> None:
    asked = item(Mail("Where is it?", "delivery", "x"), leaf)
    assert asked.question == "Which desk?\n\nWhere is it?"
    assert (asked.answer, asked.metric) == ("delivery", "exact")


@pytest.mark.parametrize("name", ["own.jsonl", "own.csv"])
def test_e_mails_of_ones_own_are_read(name: str, tmp_path: Path, leaf: Skill) -> None:
    told = [("Where, please, is it?", "delivery"), ("Twice paid.\nWhy?", "billing"), ("where please is it", "delivery")]
    path = tmp_path / name
    if path.suffix == ".csv":
        path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in told))
    else:
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in told))
    assert [(mail.text, mail.label) for mail in from_file(path, leaf)] == [
        ("where please is it", "delivery"), ("Twice paid.\nWhy?", "billing"),
    ]  # fmt: skip


def test_a_label_that_the_leaf_does_not_know_is_named(tmp_path: Path, leaf: Skill) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "Where is it?", "label": "shipping"}\n')
    with pytest.raises(SystemExit, match=r"'shipping', which .*email_desk does not know: billing, technical"):
        from_file(path, leaf)


def test_too_few_e_mails_are_refused(leaf: Skill, mails: list[Mail]) -> None:
    with pytest.raises(SystemExit, match="too few e-mails: 58 of each label"):
        parted(mails[:100], Trial(), leaf)


def test_the_table_has_arms_and_paired_differences_with_intervals() -> None:
    right = {"real": (1.0, 0.0) * 20, "synthetic": (0.0,) * 40, "both": (1.0,) * 40}
    found = [Scored(seed, arm, 1, right[arm]) for seed in (0, 1) for arm in ARMS]
    _, real, made, both, over_real, over_made = table(found, [str(place) for place in range(40)])
    assert real.startswith("real ")
    assert "0.500 [0." in real
    assert "0.000 [0.000" in made
    assert "1.000 [0.9" in both
    assert over_real.startswith("both less real")
    assert "+0.500 [+0." in over_real
    assert over_real.endswith("p 0.000: better")
    assert "+1.000" in over_made
