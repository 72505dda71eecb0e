"""A leaf's gain on questions that share their answers with training hides no loss on those that a person wrote."""

from __future__ import annotations

from collections.abc import Sequence

from instructlab_like.evaluation.discovery import controlled
from instructlab_like.evaluation.effect import Paired, effect
from instructlab_like.evaluation.gate import GateResult, decide, lines
from instructlab_like.evaluation.inferiority import kept_rows
from instructlab_like.records import Effect

LEAF = "compositional_skills/numbers/larger"


def changed(won: int, lost: int, still: int, *, leaf: str = LEAF) -> Effect:
    before = [0.0] * won + [1.0] * lost + [1.0] * still
    after = [1.0] * won + [0.0] * lost + [1.0] * still
    return effect(leaf, before, after, enough=20)


def gate(leaf: Effect, parts: Sequence[tuple[str, Effect]]) -> GateResult:
    """With q among the leaves and among the parts, each by themselves."""
    levels = controlled([one for _, one in parts], enough=20)
    named = [(name, one) for (name, _), one in zip(parts, levels, strict=True)]
    return decide([("tuned", controlled([leaf], enough=20), ())], parts={"tuned": named})


def test_a_part_that_is_worse_fails_although_the_leaf_is_better() -> None:
    found = gate(changed(60, 20, 20), [("written", changed(0, 20, 20)), ("simulation", changed(60, 0, 0))])
    assert not found.passed
    (reason,) = found.reasons
    assert reason.startswith(f"tuned: {LEAF} · written is worse: 1.00 → 0.50, change -0.50 [")
    assert reason.endswith("q 1.9e-06, 40 questions; simulation is better: see whether both agree on what is right")
    assert max(map(len, lines(found))) <= 110


def test_a_leaf_that_is_worse_is_named_once() -> None:
    found = gate(changed(0, 50, 40), [("written", changed(0, 20, 20)), ("simulation", changed(0, 30, 20))])
    (reason,) = found.reasons
    assert reason.startswith(f"tuned: {LEAF} is worse: ")


def test_parts_that_got_better_or_stayed_pass() -> None:
    found = gate(changed(30, 0, 60), [("written", changed(0, 0, 40)), ("simulation", changed(30, 0, 20))])
    assert found.passed
    assert not found.unchecked


def test_a_part_with_too_few_questions_is_said_to_be_unchecked() -> None:
    found = gate(changed(60, 12, 0), [("written", changed(0, 12, 0)), ("simulation", changed(60, 0, 0))])
    assert found.passed
    (said,) = found.unchecked
    assert said == f"tuned: parts with too few questions to be called worse by themselves: {LEAF} · written"


def test_a_leaf_with_too_few_questions_is_said_once() -> None:
    found = gate(changed(2, 8, 0), [("written", changed(0, 8, 0)), ("simulation", changed(2, 0, 0))])
    assert found.unchecked == (f"tuned: leaves with too few questions or chunks to be called worse: {LEAF}",)


def test_a_perplexity_fails_nothing() -> None:
    assert gate(changed(0, 0, 40), [("perplexity", changed(0, 20, 20))]).passed


def test_the_mean_of_the_base_s_own_tasks_does_not_read_as_if_the_base_had_lost_something() -> None:
    tasks = Paired("base/copying", [1.0] * 100, [0.0] * 30 + [1.0] * 70, range(100))
    found = decide([("tuned", (), kept_rows([("base", [tasks])], margin=0.05, enough=20))])
    assert found.reasons[0].startswith("tuned: the mean of the base's own tasks lost more than 0.05: 1.00 → 0.70")
