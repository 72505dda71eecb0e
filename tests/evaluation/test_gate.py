"""What had to be kept, and the gate: what fails it, what it leaves open, what it could not look at."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from instructlab_like.evaluation.discovery import controlled
from instructlab_like.evaluation.effect import Paired, effect
from instructlab_like.evaluation.gate import GateResult, decide, lines
from instructlab_like.evaluation.inferiority import NonInferiority, kept_rows
from instructlab_like.records import Effect


def pair(up: int, down: int, still: int, *, clusters: int | None = None) -> Paired:
    """Of the items that do not change, four in five are right."""
    right = still * 4 // 5
    base = [0.0] * up + [1.0] * down + [1.0] * right + [0.0] * (still - right)
    tuned = [1.0] * up + [0.0] * down + [1.0] * right + [0.0] * (still - right)
    return Paired("leaf", base, tuned, [index % (clusters or len(base)) for index in range(len(base))])


def row(up: int, down: int, still: int, *, clusters: int | None = None, margin: float = 0.05) -> NonInferiority:
    return kept_rows([("base/x", [pair(up, down, still, clusters=clusters)])], margin=margin, enough=20)[0]


@pytest.mark.parametrize(
    ("up", "down", "still", "verdict"),
    [
        (3, 3, 394, "kept"),  # hardly anything changed, and it was looked at often enough
        (0, 9, 391, "kept"),  # surely worse, but by less than the margin
        (0, 120, 280, "lost"),
        (2, 14, 84, "lost"),  # surely worse, and its best estimate beyond the margin
        (2, 5, 43, "undecided"),  # beyond the margin, but as likely chance
        (1, 1, 48, "undecided"),
        (0, 15, 4, "undecided"),  # nineteen items
    ],
)
def test_the_verdict_on_what_had_to_be_kept(up: int, down: int, still: int, verdict: str) -> None:
    found = row(up, down, still)
    assert found.verdict == verdict
    low, mid, high = found.delta
    assert low < mid < high
    assert mid == pytest.approx((up - down) / (up + down + still))
    assert found.tuned - found.base == pytest.approx(mid)


def test_a_wider_margin_keeps_more() -> None:
    assert row(2, 14, 84, margin=0.3).verdict == "kept"


def test_items_of_few_chunks_decide_nothing() -> None:
    few = row(0, 120, 280, clusters=9)
    assert (few.verdict, few.q, few.clusters) == ("undecided", None, 9)
    assert row(0, 120, 280, clusters=100).verdict == "lost"


def test_an_undecided_row_says_how_many_items_would_do() -> None:
    undecided = row(3, 4, 93)
    assert undecided.verdict == "undecided"
    wanted = undecided.wanted
    assert wanted is not None
    times = 1.3 * wanted / undecided.n
    assert row(round(3 * times), round(4 * times), round(93 * times)).verdict == "kept"
    assert row(2, 5, 43).wanted is None  # so it stays undecided, or turns out lost


def test_the_leaves_of_a_row_count_equally() -> None:
    (found,) = kept_rows([("branch", [pair(0, 20, 0), pair(0, 0, 980)])], margin=0.05, enough=20)
    assert found.delta[1] == pytest.approx(-0.5)
    assert found.n == 1000


def leaf(name: str, up: int, down: int, still: int) -> Effect:
    told = pair(up, down, still)
    return effect(name, told.base, told.tuned, enough=20)


def gate(leaves: Sequence[Effect], kept: Sequence[NonInferiority] = (), **told: object) -> GateResult:
    return decide([("tuned", controlled(leaves, enough=20), kept)], **told)  # type: ignore[arg-type]


def test_nothing_worse_and_all_kept_passes() -> None:
    found = gate([leaf("a/b", 10, 1, 29)], [row(3, 3, 394)])
    assert (found.passed, found.passed_strictly) == (True, True)
    assert list(lines(found)) == ["gate: passes"]


def test_a_leaf_that_is_worse_fails_and_is_named_with_its_figures() -> None:
    found = gate([leaf("a/b", 10, 1, 29), leaf("a/harmful", 0, 20, 20)])
    assert not found.passed
    (reason,) = found.reasons
    assert reason.startswith("tuned: a/harmful is worse: 0.90 → 0.40, change -0.50 [-0.6")
    assert reason.endswith("q 3.8e-06, 40 questions")
    assert next(lines(found)) == "gate: fails"


def test_what_was_lost_fails() -> None:
    (reason,) = gate([leaf("a/b", 1, 1, 38)], [row(0, 120, 280)]).reasons
    assert reason.startswith("tuned: base/x lost more than 0.05: 0.86 → 0.56, change -0.30 [")
    assert reason.endswith("400 questions")


def test_what_is_undecided_fails_strictly_alone() -> None:
    found = gate([leaf("a/b", 1, 1, 38)], [row(1, 1, 48)])
    assert (found.passed, found.passed_strictly) == (True, False)
    assert "base/x may have lost more than 0.05" in found.undecided[0]
    assert "would tell" in found.undecided[0]
    assert next(lines(found)) == "gate: passes; --strict would fail"


def test_a_gate_with_nothing_to_check_fails() -> None:
    assert decide([]).reasons == ("nothing was checked: no checkpoint has answered any question",)
    for leaves in ([], [leaf("a/b", 0, 19, 0)]):
        found = gate(leaves)
        assert found.reasons == ("tuned: nothing could be checked: no leaf and no task has enough held-out questions",)


def test_what_was_not_looked_at_is_said() -> None:
    found = gate(
        [leaf("a/b", 1, 1, 38), leaf("a/few", 0, 5, 0)],
        unscored=["a/silent"],
        without_items=["a/wanted"],
        own_tasks=False,
    )
    assert found.reasons == ("a/wanted is protected and has no held-out questions",)
    assert found.unchecked == (
        "tuned: leaves with too few questions or chunks to be called worse: a/few",
        "leaves without held-out questions: a/silent",
        "the base's own tasks: none were asked (base_tasks)",
    )
    assert "  not checked: leaves without held-out questions: a/silent" in list(lines(found))


def test_one_bad_checkpoint_of_several_fails_all() -> None:
    good, bad = (controlled([leaf("a/b", up, 20 - up, 20)], enough=20) for up in (20, 0))
    found = decide([("first", good, ()), ("second", bad, ())])
    assert [reason.partition(":")[0] for reason in found.reasons] == ["second"]


def test_long_reasons_are_wrapped() -> None:
    found = gate([leaf(f"knowledge/branch/{'long_' * 6}{number}", 0, 20, 20) for number in range(3)])
    assert max(map(len, lines(found))) <= 110
