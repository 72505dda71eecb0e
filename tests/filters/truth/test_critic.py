"""The critic: by the lowest of its criteria, with the judge's reason, and never by a score that nobody gave."""

from __future__ import annotations

from typing import Any

import pytest

from instructlab_like.filters import Reply
from instructlab_like.filters.truth.critic import Critic
from instructlab_like.prompts import load_template

GOOD = {"claims": "all right", "accurate": "5", "support": "all there", "faithful": "5"}
GOOD |= {"gaps": "nothing", "complete": "4", "wording": "fine", "clear": "5"}


def replied(**changed: str) -> list[list[Reply]]:
    return [[Reply(fields=GOOD | changed, call="c", model="http:judge")]]


@pytest.fixture
def grounded(sample: Any) -> Any:
    return sample("How high?", "41 metres", kind="knowledge", context="It is 41 metres high.")


def test_a_sample_is_kept_by_its_lowest_score(grounded: Any) -> None:
    told = Critic().judge(grounded, replied())
    assert (told.keep, told.score, told.threshold) == (True, 4.0, 4)
    assert told.reason == "accurate 5, faithful 5, complete 4, clear 5 of 5"


def test_the_worst_criterion_rejects_with_the_judges_reason(grounded: Any) -> None:
    told = Critic().judge(grounded, replied(accurate="3", faithful="2", support="The passage says 14."))
    assert (told.keep, told.rule, told.score, told.threshold) == (False, "not-faithful", 2.0, 4)
    assert told.reason == "faithful is 2 of 5, less than 4; because 'The passage says 14.'"


@pytest.mark.parametrize("said", ["11/10", "11", "garbage", "", "0", "-1", "five"])
def test_what_is_no_score_rejects_as_no_judgement_and_says_what_was_said(grounded: Any, said: str) -> None:
    told = Critic().judge(grounded, replied(clear=said))
    assert (told.keep, told.rule, told.score) == (False, "no-judgement", None)
    assert f"clear: the judge said {said!r}" in told.reason


def test_a_reply_that_could_not_be_read_rejects_with_that_reason(grounded: Any) -> None:
    told = Critic().judge(grounded, [[Reply(failure="the answer is empty (finish_reason stop)")]])
    assert (told.keep, told.rule) == (False, "no-judgement")
    assert "the answer is empty (finish_reason stop)" in told.reason


def test_a_long_reason_is_shortened(grounded: Any) -> None:
    assert len(Critic().judge(grounded, replied(clear="1", wording="word " * 500)).reason) < 300


def test_a_threshold_of_ones_own(grounded: Any) -> None:
    assert Critic(at_least=2).judge(grounded, replied(clear="2")).keep
    assert not Critic(at_least=5).judge(grounded, replied()).keep


def test_what_is_shown_is_what_the_sample_has(sample: Any) -> None:
    asks = {
        kind: Critic().asks(sample("Q", "A", kind=kind, context=None if kind == "freeform" else "P"))
        for kind in ("knowledge", "freeform", "grounded")
    }
    assert [(one.template, sorted(one.variables)) for one in asks["knowledge"]] == [
        ("judge/critic-knowledge.j2", ["answer", "passage", "question"])
    ]
    assert [one.template for one in asks["freeform"]] == ["judge/critic-freeform.j2"]
    assert [one.template for one in asks["grounded"]] == ["judge/critic-grounded.j2"]
    assert Critic().asks(sample("Q", "A", kind="knowledge"))[0].template == "judge/critic-freeform.j2"


def test_the_criteria_are_what_the_templates_ask_for(sample: Any) -> None:
    for kind, context in (("knowledge", "P"), ("grounded", "P"), ("freeform", None)):
        subject = sample("Q", "A", kind=kind, context=context)
        template = load_template(Critic().asks(subject)[0].template)
        fields = dict.fromkeys(template.yields, "5")
        assert Critic().judge(subject, [[Reply(fields=fields)]]).keep
        for tag in template.yields[1::2]:
            told = Critic().judge(subject, [[Reply(fields=fields | {tag: "1"})]])
            assert told.rule == f"not-{tag}"
