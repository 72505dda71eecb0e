"""Walks: what an answer leads to, step by step, and that nothing ends without a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flow_files import JUDGE, JUDGED, REVISED, TEMPLATES, TWO_STEPS, flow_in, groups

from instructlab_like.generation.ledger import Failure
from instructlab_like.generation.plan import starts
from instructlab_like.generation.walk import (
    Call,
    Finished,
    Lost,
    Outcome,
    Preferred,
    Ready,
    Walk,
    number_in,
)
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Completion, Leaf, Pair, Seed, Skill

ROLES = ("asker", "answerer", "critic", "reviser")
Reply = Callable[[Call], str | None]  # None: the call gets no answer


def skill(*, seeds: int = 1, path: str = "compositional_skills/a") -> Leaf:
    pairs = [(Pair(question=f"q{n}", answer=f"a{n}"),) for n in range(1, seeds + 1)]
    found = tuple(Seed(number=n, line=n, pairs=pair) for n, pair in enumerate(pairs, start=1))
    return Skill(path=path, blob="b", version=3, created_by="x", seeds=found, task="adding")


@pytest.fixture
def walked(tmp_path: Path) -> Callable[[str, Reply], list[Outcome]]:
    """Walks the one start of a leaf through a flow, with replies computed from the calls; in order of place."""

    def walk_all(flow: str, reply: Reply, *, most: int = 1) -> list[Outcome]:
        recipe = GenerateRecipe(prompts_per_leaf=most, pairs_per_prompt=2)
        with Walk([flow_in(tmp_path, flow)], recipe, dict.fromkeys(ROLES, "m")) as walk:
            ends: list[Outcome] = []
            for start in starts([skill()], lambda _: (), walk):
                open_ = walk.begin(start)
                while open_:
                    outcome = open_.pop()
                    if isinstance(outcome, Ready):
                        open_ += walk.calls([outcome])
                    elif isinstance(outcome, Call):
                        text = reply(outcome)
                        if text is None:
                            open_ += walk.failed(outcome, Failure(outcome.prompt.key, "slept", "timeout"))
                        else:
                            completion = Completion(key=outcome.prompt.key, text=text, finish_reason="stop")
                            open_ += walk.received(outcome, completion)
                    else:
                        ends.append(outcome)
            return sorted(ends, key=lambda end: end.place)

    return walk_all


def replying(**texts: str | None) -> Reply:
    return lambda call: texts[call.step.name.replace("-", "_")]


def finished(ends: list[Outcome]) -> list[Finished]:
    return [end for end in ends if isinstance(end, Finished)]


QUESTIONS = groups("QUESTION", "What is 1+1?", "What is 2+2?")


def test_each_group_goes_on_by_itself(walked: Callable[[str, Reply], list[Outcome]]) -> None:
    def reply(call: Call) -> str:
        if call.step.name == "questions":
            return QUESTIONS
        return groups("ANSWER", f"to {call.prompt.messages[0].content.splitlines()[0]}")

    found = finished(walked(TWO_STEPS, reply))
    assert [(end.sample.question, end.sample.answer) for end in found] == [
        ("What is 1+1?", "to answer What is 1+1?"),
        ("What is 2+2?", "to answer What is 2+2?"),
    ]
    assert len({end.sample.id for end in found}) == 2
    lineage = found[1].sample.lineage
    assert [(turn.step, turn.role, turn.position) for turn in lineage.turns] == [
        ("questions", "asker", 1),
        ("answers", "answerer", 0),
    ]
    assert (lineage.flow, lineage.template) == ("own", "answer.j2")


def test_a_judgement_below_the_limit_rejects_with_its_score(walked: Callable[[str, Reply], list[Outcome]]) -> None:
    answers = {"questions": QUESTIONS, "answers": groups("ANSWER", "2")}

    def reply(call: Call) -> str:
        told = call.prompt.messages[0].content
        return answers.get(call.step.name) or groups("SCORE", "3" if "1+1" in told else "1 / 3")

    one, other = finished(walked(JUDGED, reply))
    assert one.kept
    assert [(v.filter, v.score, v.threshold) for v in one.verdicts] == [("own/judge", 3.0, 2.0)]
    assert [(v.keep, v.reason, v.score) for v in other.verdicts] == [(False, "score is 1, less than 2", 1.0)]
    assert other.verdicts[0].subject == other.sample.id


@pytest.mark.parametrize("said", ["", "good", "[SCORE 1]\nmaybe 2 or 3\n[END 1]", groups("SCORE", "2", "3")])
def test_a_judgement_that_is_none_rejects_and_says_so(walked: Callable[[str, Reply], list[Outcome]], said: str) -> None:
    told = replying(questions=groups("QUESTION", "What?"), answers=groups("ANSWER", "2"), judge=said)
    (end,) = finished(walked(JUDGED, told))
    assert not end.kept
    assert end.verdicts[-1].reason


def test_an_answer_without_a_whole_group_is_lost_with_its_reason(
    walked: Callable[[str, Reply], list[Outcome]],
) -> None:
    (end,) = walked(TWO_STEPS, replying(questions="no tags"))
    assert isinstance(end, Lost)
    assert "holds no tags" in end.verdict.reason


def test_what_is_broken_beside_whole_groups_is_counted(walked: Callable[[str, Reply], list[Outcome]]) -> None:
    cut = groups("QUESTION", "What?") + "\n[QUESTION 2]\nWhat el"
    ends = walked(TWO_STEPS, replying(questions=cut, answers=groups("ANSWER", "2")))
    assert len(finished(ends)) == 1
    assert [end.verdict.reason for end in ends if isinstance(end, Lost)] == ["1 more of the answer is not whole"]


def test_a_call_without_an_answer_ends_its_record_and_no_other(
    walked: Callable[[str, Reply], list[Outcome]],
) -> None:
    def reply(call: Call) -> str | None:
        if call.step.name == "questions":
            return QUESTIONS
        return None if "1+1" in call.prompt.messages[0].content else groups("ANSWER", "4")

    one, other = finished(walked(TWO_STEPS, reply))
    assert not one.kept
    assert one.verdicts[-1].reason == "the answerer: no answer (timeout): slept"
    assert one.sample.answer == ""
    assert other.kept


def scored(call: Call, before: str, after: str) -> str:
    texts = {"questions": groups("QUESTION", "What?"), "answers": groups("ANSWER", "old"), "before": before}
    return texts.get(call.step.name) or (groups("ANSWER", "new") if call.step.name == "revision" else after)


def test_a_revision_that_scores_higher_is_kept_and_preferred(
    walked: Callable[[str, Reply], list[Outcome]],
) -> None:
    ends = walked(REVISED, lambda call: scored(call, groups("SCORE", "2"), groups("SCORE", "5")))
    old, new = sorted(finished(ends), key=lambda end: end.kept)
    (preferred,) = [end.preference for end in ends if isinstance(end, Preferred)]
    assert (old.sample.answer, new.sample.answer) == ("old", "new")
    assert new.sample.lineage.parents == (old.sample.id,)
    assert old.verdicts[-1].partner == new.sample.id
    assert (preferred.chosen, preferred.rejected) == (new.sample.id, old.sample.id)
    assert (preferred.chosen_score, preferred.rejected_score) == (5.0, 2.0)


@pytest.mark.parametrize("after", ["2", "1", "unclear"])
def test_a_revision_that_does_not_score_higher_is_rejected(
    walked: Callable[[str, Reply], list[Outcome]], after: str
) -> None:
    ends = walked(REVISED, lambda call: scored(call, groups("SCORE", "2"), groups("SCORE", after)))
    left, kept = sorted(finished(ends), key=lambda end: end.kept)
    assert (kept.sample.answer, left.sample.answer) == ("old", "new")
    assert "not preferred" in left.verdicts[-1].reason


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4.0), (" 4/5 ", 4.0), ("**3**", 3.0), ("2.5", 2.5), ("-1", -1.0), ("4 out of 5", 4.0), ("score: 3.", 3.0)],
)
def test_a_score_is_read_as_models_write_it(text: str, number: float) -> None:
    assert number_in(text) == number if text != "score: 3." else number_in(text) is None


@pytest.mark.parametrize("text", ["", "three", "3 or 4", "3 4", "1e9999", "nan"])
def test_what_is_no_score_is_none(text: str) -> None:
    assert number_in(text) is None


def test_a_revision_that_changes_nothing_makes_no_second_sample(
    walked: Callable[[str, Reply], list[Outcome]],
) -> None:
    def reply(call: Call) -> str:
        if call.step.name == "questions":
            return groups("QUESTION", "What?")
        return groups("SCORE", "2") if call.step.role == "critic" else groups("ANSWER", "same")

    (end,) = walked(REVISED, reply)
    assert isinstance(end, Finished)
    assert end.kept
    assert end.verdicts[-1].reason == "the revision is the answer"


def test_a_judge_says_why_in_the_verdict(tmp_path: Path) -> None:
    judge = JUDGE.replace("yields: [score]", "yields: [reason, score]").replace("[SCORE 1]", "[REASON 1]\n[SCORE 1]")
    flow = flow_in(tmp_path, JUDGED, templates=TEMPLATES | {"judge.j2": judge})
    with Walk([flow], GenerateRecipe(prompts_per_leaf=1), dict.fromkeys(ROLES, "m")) as walk:
        (start,) = starts([skill()], lambda _: (), walk)
        (asked,) = walk.begin(start)
        texts = {"question": groups("QUESTION", "What?"), "answer": groups("ANSWER", "2")}
        outcomes: list[Outcome] = [asked]
        while isinstance(outcomes[0], Call | Ready):
            first = outcomes[0]
            if isinstance(first, Ready):
                outcomes = list(walk.calls([first]))
                continue
            text = texts.get(first.prompt.yields[0], "[REASON 1]\nIt is three.\n[SCORE 1]\n1\n[END 1]")
            outcomes = walk.received(first, Completion(key=first.prompt.key, text=text, finish_reason="stop"))
    assert isinstance(outcomes[0], Finished)
    assert outcomes[0].verdicts[-1].reason == "score is 1, less than 2; because 'It is three.'"
