"""Steps for some records: what `when` lets pass by, what it asks, what it logs; and what is refused before anything."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_files import ANSWER, JUDGE, TEMPLATES, TWO_STEPS, flow_in, groups
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.flows import Limits
from instructlab_like.generation.foresee import Later, Shape
from instructlab_like.generation.plan import starts
from instructlab_like.generation.walk import Call, Finished, Outcome, Preferred, Ready, Walk, judged
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Completion, Leaf, Pair, Seed, Skill, Verdict

ROLES = ("asker", "answerer", "critic", "expert")
REASONED = JUDGE.replace("yields: [score]", "yields: [reason, score]").replace("[SCORE 1]", "[REASON 1]\n[SCORE 1]")
WORDED = JUDGE.replace("yields: [score]", "yields: [verdict]").replace("SCORE", "VERDICT")
HINTED = ANSWER.replace("answer {{ question }}", "answer {{ question }} by {{ hint }}")
HINT = ANSWER.replace("yields: [answer]", "yields: [hint]").replace("ANSWER", "HINT")
FILES = TEMPLATES | {"reasoned.j2": REASONED, "worded.j2": WORDED, "hint.j2": HINT, "hinted.j2": HINTED}
SCORED = f"""{TWO_STEPS}\
  - {{name: judge, template: reasoned.j2, role: critic}}
"""
CASCADE = f"""{SCORED}\
  - {{name: again, template: answer.j2, role: expert, when: {{score: {{at_most: 1}}}}}}
  - {{name: judge-again, template: reasoned.j2, role: critic, when: {{score: {{at_most: 1}}}}, keep: {{score: {{at_least: 2}}}}}}
"""  # noqa: E501
Reply = Callable[[Call], str]


def skill() -> Leaf:
    seed = Seed(number=1, line=1, pairs=(Pair(question="q", answer="a"),))
    return Skill(path="compositional_skills/a", blob="b", version=3, created_by="x", seeds=(seed,), task="adding")


def walked(folder: Path, flow: str, reply: Reply, *, pairs: int = 2) -> tuple[list[Outcome], Counter[str]]:
    """The ends of one start's walk in order of place, and how often each step was asked."""
    ends: list[Outcome] = []
    asked: Counter[str] = Counter()
    recipe = GenerateRecipe(prompts_per_leaf=1, pairs_per_prompt=pairs)
    identities = {role: f"http:{role}" for role in ROLES}
    with Walk([flow_in(folder, flow, templates=FILES)], recipe, identities) as walk:
        for start in starts([skill()], lambda _: (), walk):
            open_ = walk.begin(start)
            while open_:
                outcome = open_.pop()
                if isinstance(outcome, Ready):
                    open_ += walk.calls([outcome])
                elif isinstance(outcome, Call):
                    asked[outcome.step.name] += 1
                    told = Completion(key=outcome.prompt.key, text=reply(outcome), finish_reason="stop")
                    open_ += walk.received(outcome, told)
                else:
                    ends.append(outcome)
    return sorted(ends, key=lambda end: end.place), asked


def scoring(first: str, then: str) -> Reply:
    """Two questions; of the second the first score is `first`, and the one after the expert `then`."""

    def reply(call: Call) -> str:
        name, told = call.step.name, call.prompt.messages[0].content
        if name == "questions":
            return groups("QUESTION", "easy?", "hard?")
        if call.step.role != "critic":
            return groups("ANSWER", f"by the {call.step.role}")
        score = "3" if "easy?" in told else (then if name == "judge-again" else first)
        return f"[REASON 1]\nso it is\n[SCORE 1]\n{score}\n[END 1]"

    return reply


def told(verdict: Verdict) -> tuple[str, bool, str, float | None, float | None]:
    return verdict.filter, verdict.keep, verdict.reason, verdict.score, verdict.threshold


def finished(ends: list[Outcome]) -> list[Finished]:
    assert all(isinstance(end, Finished) for end in ends)
    return [end for end in ends if isinstance(end, Finished)]


def test_a_record_of_which_it_does_not_hold_passes_the_step_by_with_the_fields_it_has(tmp_path: Path) -> None:
    ends, asked = walked(tmp_path, CASCADE, scoring("1", "2"))
    easy, hard = finished(ends)
    assert (easy.kept, easy.sample.answer, easy.sample.lineage.model) == (True, "by the answerer", "http:answerer")
    assert [turn.step for turn in easy.sample.lineage.turns] == ["questions", "answers", "judge"]
    assert (hard.kept, hard.sample.answer, hard.sample.lineage.model) == (True, "by the expert", "http:expert")
    assert [turn.step for turn in hard.sample.lineage.turns] == [
        "questions",
        "answers",
        "judge",
        "again",
        "judge-again",
    ]
    assert asked == {"questions": 1, "answers": 2, "judge": 2, "again": 1, "judge-again": 1}
    assert {one.sample.lineage.depth for one in (easy, hard)} == {1}


def test_each_decision_is_a_verdict_that_keeps_and_says_why(tmp_path: Path) -> None:
    easy, hard = finished(walked(tmp_path, CASCADE, scoring("1", "2"))[0])
    told = [
        (verdict.filter, verdict.keep, verdict.reason, verdict.score, verdict.threshold) for verdict in easy.verdicts
    ]
    assert told == [
        ("own/again/when", True, "score is 3, more than 1: the expert was not asked; because 'so it is'", 3.0, 1.0),
        (
            "own/judge-again/when",
            True,
            "score is 3, more than 1: the critic was not asked; because 'so it is'",
            3.0,
            1.0,
        ),
    ]
    told = [
        (verdict.filter, verdict.keep, verdict.reason, verdict.score, verdict.threshold) for verdict in hard.verdicts
    ]
    assert told == [
        ("own/again/when", True, "score is 1, at most 1: asked the expert; because 'so it is'", 1.0, 1.0),
        ("own/judge-again/when", True, "score is 1, at most 1: asked the critic; because 'so it is'", 1.0, 1.0),
        ("own/judge-again", True, "score is 2; because 'so it is'", 2.0, 2.0),
    ]


def test_the_second_judgement_may_reject_what_the_first_did_not(tmp_path: Path) -> None:
    easy, hard = finished(walked(tmp_path, CASCADE, scoring("0", "1"))[0])
    assert (easy.kept, hard.kept) == (True, False)
    assert hard.verdicts[-1].reason.startswith("score is 1, less than 2")


@pytest.mark.parametrize("said", ["good", "", "1 or 2"])
def test_a_score_that_is_no_number_rejects_and_asks_nobody(tmp_path: Path, said: str) -> None:
    """Nobody can tell whether such a record needs the step; passing it by would keep what no judge has judged."""
    ends, asked = walked(tmp_path, CASCADE, scoring(said or " ", "3"))
    _, hard = finished(ends)
    assert not hard.kept
    assert "no number" in hard.verdicts[-1].reason or "the critic" in hard.verdicts[-1].reason
    assert asked["again"] == 0


def test_records_that_went_two_ways_have_ids_of_their_own(tmp_path: Path) -> None:
    """Two answers that both fail are answered by the one call of the expert, and stay two samples."""
    drawn = CASCADE.replace("role: answerer}", "role: answerer, draws: 2}")
    ends = finished(walked(tmp_path, drawn, scoring("1", "3"))[0])
    assert len(ends) == len({end.sample.id for end in ends}) == 4
    assert len({end.place for end in ends}) == 4


def test_all_conditions_have_to_hold_and_words_are_conditions_too(tmp_path: Path) -> None:
    flow = f"""{SCORED}\
  - {{name: word, template: worded.j2, role: critic}}
  - {{name: again, template: answer.j2, role: expert, when: {{score: {{at_most: 1}}, verdict: ["NO", MAYBE]}}}}
"""
    for score, word, asks, reason in (
        ("1", "no", 1, "score is 1, at most 1 and verdict is 'no': asked the expert"),
        ("1", "YES", 0, "verdict is 'YES', not NO or MAYBE: the expert was not asked"),
        ("2", "NO", 0, "score is 2, more than 1: the expert was not asked"),
    ):

        def reply(call: Call, score: str = score, word: str = word) -> str:
            return groups("VERDICT", word) if call.step.name == "word" else scoring(score, score)(call)

        ends, asked = walked(tmp_path, flow, reply)
        assert asked["again"] == asks
        assert finished(ends)[1].verdicts[0].reason.partition("; because")[0] == reason


def test_a_comparison_may_be_for_some_records_only(tmp_path: Path) -> None:
    flow = f"""{SCORED}\
  - {{name: again, template: answer.j2, role: expert, as: {{answer: second}}, when: {{score: {{at_most: 1}}}}}}
  - {{name: judge-again, template: reasoned.j2, role: critic, when: {{score: {{at_most: 1}}}}, with: {{answer: second}},
     as: {{reason: reason_after, score: score_after}}}}
  - {{name: better, kind: prefer, of: [answer, second], by: [score, score_after], when: {{score: {{at_most: 1}}}}}}
"""
    ends, _ = walked(tmp_path, flow, scoring("1", "3"))
    samples = [end for end in ends if isinstance(end, Finished)]
    assert [(one.kept, one.sample.answer) for one in samples] == [
        (True, "by the answerer"), (False, "by the answerer"), (True, "by the expert"),
    ]  # fmt: skip
    assert [verdict.reason for verdict in samples[0].verdicts][-1].endswith("not compared; because 'so it is'")
    assert sum(isinstance(end, Preferred) for end in ends) == 1


def test_a_quote_counts_a_step_for_some_as_calls_that_may_never_come(tmp_path: Path) -> None:
    straight = CASCADE.replace(", fan_out: true", "")
    with Walk([flow_in(tmp_path, straight, templates=FILES)], GenerateRecipe(), dict.fromkeys(ROLES, "m")) as walk:
        shape = Shape(walk.flows[0], walk)
        assert shape.later[0] == (
            Later(1, 1, sure=True), Later(2, 1, sure=True), Later(3, 1, sure=False), Later(4, 1, sure=False),
        )  # fmt: skip


@given(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5)), st.one_of(st.none(), st.integers(0, 5)))
def test_a_step_is_taken_where_keep_would_keep(score: int, low: int | None, high: int | None) -> None:
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        return
    holds = (low is None or score >= low) and (high is None or score <= high)
    assert judged("x", "score", str(score), Limits(at_least=low, at_most=high)).keep == holds


POOR = {"score": {"at_most": 1}}
WHEN = st.sampled_from(
    [
        *({}, POOR, POOR, {**POOR, "answer": ["1", "so"]}, {"score": {"at_least": 2}}, {"score": ["1", "3"]}),
        *({"later": {"at_least": 1}}, {**POOR, "later": {"at_most": 2}}, {"answer": {"same_as": "question"}}),
    ]
)
ASKING: list[dict[str, object]] = [
    {"template": "judge.j2", "keep": {"score": {"at_least": 1}}},
    {"template": "judge.j2", "as": {"score": "later"}},
    {"template": "judge.j2", "as": {"score": "later"}, "with": {"answer": "second"}},
    {"template": "answer.j2", "draws": 2},
    {"template": "answer.j2", "as": {"answer": "second"}, "filters": ["length"]},
    {"template": "hint.j2"},
    {"template": "hinted.j2"},
    {"kind": "prefer", "of": ["answer", "second"], "by": ["score", "later"]},
]
STEPS = st.lists(st.tuples(st.sampled_from(ASKING), WHEN), min_size=1, max_size=5)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.randoms(use_true_random=False))
def test_whatever_flow_is_not_refused_can_be_walked_to_its_end(
    tmp_path: Path, steps: list[tuple[dict[str, object], dict[str, object]]], chance: random.Random
) -> None:
    """No record lacks a field that a step takes, and each comes to an end with a verdict for each decision."""
    told = [{"name": f"step-{number}", **step, "when": when} for number, (step, when) in enumerate(steps)]
    first = {"name": "questions", "template": "ask.j2", "each": ["seeds"], "fan_out": True}
    then = [{"name": "answers", "template": "answer.j2"}, {"name": "judge", "template": "judge.j2"}]
    flow = json.dumps({"purpose": "p", "leaves": ["freeform"], "steps": [first, *then, *told]})
    try:
        flow_in(tmp_path, flow, templates=FILES)
    except InputError:
        return

    def reply(call: Call) -> str:
        if call.step.name == "questions":
            return groups("QUESTION", "easy?", "hard?")
        tag = call.prompt.yields[0].upper()
        return groups(tag, chance.choice(["0", "1", "2", "3"] if tag == "SCORE" else ["1", "so", "or so"]))

    ends, _ = walked(tmp_path, flow, reply)
    found = [end for end in ends if isinstance(end, Finished)]
    assert len(found) >= 2
    assert all(one.sample.question and one.sample.answer for one in found if one.kept)
    assert all(sum(not verdict.keep for verdict in one.verdicts) == (not one.kept) for one in found)


# --- what is refused


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        flow_in(folder, text, templates=FILES)
    return str(caught.value).replace(f"{folder}/", "")


LINE = "  - {name: again, template: answer.j2, role: expert, when: {score: {at_most: 1}}}"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (
            "when: {skore: {at_most: 1}}",
            "7:61: step 'again': no step before it makes 'skore'\n  → did you mean 'score'?",
        ),
        ("when: {score: {at_mots: 1}}", "7:69: there is no field 'at_mots'\n  → did you mean 'at_most'?"),
        ("when: {score: {at_most: low}}", "7:61: steps.3.when.score: Input should be a valid number"),
        ("when: {score: 1}", "7:61: steps.3.when.score: is neither a list of words"),
        ("when: {score: {}}", "7:61: steps.3.when.score: says neither at_least nor at_most"),
        (
            "when: {answer: {same_as: qestion}}",
            "7:54: step 'again': compares 'answer' with 'qestion', which is neither",
        ),
        ("wen: {score: {at_most: 1}}", "7:54: there is no field 'wen'\n  → did you mean 'when'?"),
    ],
)
def test_a_condition_that_would_fail_later_is_refused_with_its_place(tmp_path: Path, new: str, said: str) -> None:
    assert refusal(tmp_path, CASCADE.replace("when: {score: {at_most: 1}}", new, 1)).startswith(f"own.yaml:{said}")


def test_the_first_step_is_taken_by_all(tmp_path: Path) -> None:
    told = refusal(tmp_path, CASCADE.replace("fan_out: true}", "fan_out: true, when: {score: {at_most: 1}}}"))
    assert told.startswith("own.yaml:4:84: step 'questions': nothing comes before the first step that could decide")


def test_a_condition_that_an_earlier_step_leaves_nothing_to_is_refused(tmp_path: Path) -> None:
    """The mistake of a cascade: a judge that rejects what somebody else should be asked about."""
    told = refusal(tmp_path, CASCADE.replace("role: critic}", "role: critic, keep: {score: {at_least: 2}}}"))
    assert told == (
        "own.yaml:7:61: step 'again': no record comes here of which `when` holds: the step 'judge' has rejected them "
        "by 'score'\n  → take 'score' out of the `keep` of 'judge'"
    )
    assert flow_in(tmp_path, CASCADE.replace("role: critic}", "role: critic, keep: {score: {at_least: 1}}}"),
                   templates=FILES).steps  # fmt: skip


def hinted(when: str = "", between: str = "", hint_when: str = ", when: {score: {at_most: 1}}") -> str:
    """A flow in which only some records have a hint, and a later step takes it."""
    return f"""{SCORED}\
  - {{name: hints, template: hint.j2, role: expert{hint_when}}}
{between}  - {{name: again, template: hinted.j2, role: expert{when}}}
"""


def test_a_field_that_only_some_records_have_is_there_for_these_alone(tmp_path: Path) -> None:
    told = refusal(tmp_path, hinted())
    assert told.startswith("own.yaml:8:")
    assert "takes 'hint', which nothing before it makes (only 'hints' does, and `when` lets records pass it by)" in told
    assert "→ give it the `when` of 'hints', or let a step that all records take make 'hint'" in told
    assert flow_in(tmp_path, hinted(hint_when=""), templates=FILES).steps[-1].name == "again"
    for same in ("{score: {at_most: 1}}", "{score: {at_most: 1}, answer: [x]}"):
        assert flow_in(tmp_path, hinted(f", when: {same}"), templates=FILES).steps[-1].name == "again"
    assert "takes 'hint'" in refusal(tmp_path, hinted(", when: {score: {at_most: 2}}"))


def test_no_condition_tells_who_has_a_field_once_what_it_asks_for_was_made_anew(tmp_path: Path) -> None:
    anew = "  - {name: judge-again, template: reasoned.j2, role: critic}\n"
    told = refusal(tmp_path, hinted(", when: {score: {at_most: 1}}", anew))
    assert told.startswith("own.yaml:9:")
    assert "→ let a step that all records take make 'hint'" in told
    other = "  - {name: word, template: worded.j2, role: critic}\n"
    assert flow_in(tmp_path, hinted(", when: {score: {at_most: 1}}", other), templates=FILES).steps


def test_a_sample_needs_question_and_answer_of_every_record(tmp_path: Path) -> None:
    questions = TWO_STEPS.splitlines()[:4]
    told = refusal(tmp_path, "\n".join([*questions, "  - {name: judge, template: hint.j2}", LINE.replace(
        "score: {at_most: 1}", "hint: [YES]")]) + "\n")  # fmt: skip
    assert (
        "no step makes answer, of which a sample is made (only 'again' does, and `when` lets records pass it by)"
        in told
    )


def test_a_comparison_takes_what_all_records_have(tmp_path: Path) -> None:
    flow = f"""{SCORED}\
  - {{name: again, template: answer.j2, role: expert, as: {{answer: second}}, when: {{score: {{at_most: 1}}}}}}
  - {{name: better, kind: prefer, of: [answer, second], by: [score, score]}}
"""
    assert "no step before it makes 'second' (only 'again' does" in refusal(tmp_path, flow)


def test_rules_and_simulations_have_no_condition(tmp_path: Path) -> None:
    flow = "purpose: p\nleaves: [knowledge]\nsteps:\n  - {name: rules, kind: rules, when: {answer: [x]}}\n"
    assert refusal(tmp_path, flow).startswith("own.yaml:4:32: there is no field 'when'")


def test_an_axis_that_only_some_records_show_varies_nothing(tmp_path: Path) -> None:
    toned = HINTED.replace("{{ hint }}", "{{ tone }}")
    flow = CASCADE.replace("leaves: [freeform]", "leaves: [freeform]\naxes: {tone: [formal, friendly]}")
    with pytest.raises(InputError, match="shows the axis 'tone'"):
        flow_in(tmp_path, flow.replace("again, template: answer.j2", "again, template: toned.j2"), "own.yaml",
                {**FILES, "toned.j2": toned})  # fmt: skip
