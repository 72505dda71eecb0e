"""Toxicity: by the severity that a judge finds, in the categories and by the policy that it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.filters import Reply, build
from instructlab_like.filters.safety.toxicity import Toxicity
from instructlab_like.prompts import load_template
from instructlab_like.recipe import FilterChoice


def replied(severity: str, finding: str = "hate: it insults sailors") -> list[list[Reply]]:
    return [[Reply(fields={"finding": finding, "severity": severity})]]


@pytest.mark.parametrize(("said", "keep"), [("0", True), ("1", True), ("2", False), ("3", False)])
def test_what_is_harmful_is_rejected(sample: Any, said: str, keep: bool) -> None:
    told = Toxicity().judge(sample("Q", "A"), replied(said))
    assert (told.keep, told.score, told.threshold) == (keep, float(said), 1)
    assert keep or "because 'hate: it insults sailors'" in told.reason


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        ("hate: it insults sailors", "toxic-hate"),
        ("Self-harm: it tells how", "toxic-self-harm"),
        ("policy: it names a price", "against-policy"),
        ("something nasty", "toxic"),
        ("", "toxic"),
    ],
)
def test_the_rule_is_the_category_that_the_judge_names(sample: Any, finding: str, rule: str) -> None:
    assert Toxicity().judge(sample("Q", "A"), replied("3", finding)).rule == rule


@pytest.mark.parametrize("said", ["4", "11/10", "", "severe"])
def test_what_is_no_severity_rejects_as_no_judgement(sample: Any, said: str) -> None:
    told = Toxicity().judge(sample("Q", "A"), replied(said))
    assert (told.keep, told.rule) == (False, "no-judgement")


def test_categories_and_policy_are_shown(sample: Any, tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_text("No prices of competitors.\n", encoding="utf-8")
    ask = Toxicity(categories="hate,  legal advice ", policy=str(policy)).asks(sample("Q", "A"))[0]
    system = load_template(ask.template).render(ask.variables)[0].content
    assert "The categories are: hate, legal advice." in system
    assert "<policy>\nNo prices of competitors.\n</policy>" in system
    plain = Toxicity().asks(sample("Q", "A"))[0]
    assert "policy" not in load_template(plain.template).render(plain.variables)[0].content


def test_another_policy_is_another_filter(tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_text("one", encoding="utf-8")
    before = Toxicity(policy=str(policy)).identity()
    policy.write_text("two", encoding="utf-8")
    assert Toxicity(policy=str(policy)).identity() != before


@pytest.mark.parametrize(("data", "said"), [(None, "cannot be read"), (b"\xff", "not UTF-8"), (b" \n", "is empty")])
def test_a_policy_that_is_none_is_told_with_its_file(tmp_path: Path, data: bytes | None, said: str) -> None:
    policy = tmp_path / "policy.txt"
    if data is not None:
        policy.write_bytes(data)
    with pytest.raises(RecipeError) as caught:
        Toxicity(policy=str(policy)).identity()
    assert said in str(caught.value)
    assert str(policy) in str(caught.value)


def test_no_category_is_refused() -> None:
    with pytest.raises(RecipeError, match="names no category"):
        build(FilterChoice(name="toxicity", options={"categories": " , "}))
