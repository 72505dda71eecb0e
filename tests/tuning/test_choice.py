from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.tuning.choice import Choice, choose
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss, held_out_loss, ratio, rise, t95

TOKENS = (10, 12, 8, 11, 9, 10, 13, 7, 10, 10)
START = (BASELINE, 0)


def measured(
    point: tuple[str, int], losses: Mapping[str, float | Sequence[float]], teacher: str = ""
) -> list[HeldOutLoss]:
    """Records of groups, each a loss a token that all samples share, or one for each sample."""
    found = []
    for group, told in losses.items():
        each = [told] * len(TOKENS) if isinstance(told, float) else list(told)
        tokens = TOKENS[: len(each)]
        nats = [loss * size for loss, size in zip(each, tokens, strict=True)]
        found.append(
            held_out_loss(phase=point[0], step=point[1], group=group, teacher=teacher, tokens=tokens, nats=nats)
        )
    return found


def around(middle: float, spread: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [middle + rng.uniform(-spread, spread) for _ in TOKENS]


def chosen(measurements: Mapping[tuple[str, int], Mapping[str, float | Sequence[float]]], **told: object) -> Choice:
    """The choice of phase skills among all its measurements."""
    records = [one for point, losses in measurements.items() for one in measured(point, losses)]
    steps = sorted(step for phase, step in measurements if phase == "skills")
    usual: dict[str, object] = {"leaves": {"skills/a", "skills/b"}, "margin": 0.05}
    return choose("skills", steps, records, **(usual | told))  # type: ignore[arg-type]


def test_the_lowest_mean_over_leaves_goes_on() -> None:
    found = chosen(
        {
            START: {"skills/a": 3.0, "skills/b": 3.0},
            ("skills", 10): {"skills/a": 1.0, "skills/b": 1.2},
            ("skills", 20): {"skills/a": 0.5, "skills/b": 1.1},
            ("skills", 30): {"skills/a": 0.6, "skills/b": 1.3},
        }
    )
    assert (found.step, found.standing) == (20, ("skills", 20))
    assert [one.loss for one in found.candidates] == pytest.approx([1.1, 0.8, 0.95])
    assert found.start_loss == pytest.approx(3.0)
    assert "lowest held-out loss" in found.why


def test_each_leaf_counts_once_however_many_rows_it_has() -> None:
    found = chosen(
        {
            START: {"skills/a": 3.0, "skills/b": [3.0]},
            ("skills", 10): {"skills/a": 1.0, "skills/b": [1.0]},
            ("skills", 20): {"skills/a": 0.9, "skills/b": [1.3]},
        }
    )
    assert found.step == 10


def test_leaves_that_are_not_trained_yet_have_no_say() -> None:
    found = chosen(
        {
            START: {"skills/a": 3.0, "skills/b": 3.0, "skills/later": 1.0},
            ("skills", 10): {"skills/a": 1.0, "skills/b": 1.0, "skills/later": 0.1},
            ("skills", 20): {"skills/a": 0.9, "skills/b": 0.9, "skills/later": 9.0},
        },
        leaves={"skills/a", "skills/b", "skills/without_rows", "replay"},
    )
    assert (found.step, found.leaves, found.unmeasured) == (20, 2, ("skills/without_rows",))
    assert any("1 trained leaf without held-out rows: skills/without_rows" in line for line in found.lines())


def test_a_leafs_teachers_are_taken_together() -> None:
    records = measured(START, {"skills/a": 3.0}, "big") + measured(START, {"skills/a": [3.0]}, "small")
    for step, big, small in ((10, 1.0, 1.0), (20, 0.99, 1.05)):
        records += measured(("skills", step), {"skills/a": big}, "big")
        records += measured(("skills", step), {"skills/a": [small]}, "small")
    found = choose("skills", [10, 20], records, leaves={"skills/a"}, margin=0.05)
    assert found.candidates[1].loss == pytest.approx((0.99 * 100 + 1.05 * 10) / 110)
    assert found.step == 20


def test_of_equal_checkpoints_the_later_goes_on() -> None:
    losses: dict[str, float | Sequence[float]] = {"skills/a": 1.0, "skills/b": 1.0}
    assert chosen({START: losses, ("skills", 10): losses, ("skills", 20): losses}).step == 20


HARM = {
    START: {"skills/a": 3.0, "skills/b": 3.0, "base": around(0.2, 0.1, 1)},
    ("skills", 10): {"skills/a": 1.0, "skills/b": 1.0, "base": [x + 0.04 for x in around(0.2, 0.1, 1)]},
    ("skills", 20): {"skills/a": 0.5, "skills/b": 0.5, "base": [x + 0.3 for x in around(0.2, 0.1, 1)]},
}


def test_a_checkpoint_that_harms_the_bases_own_tasks_is_vetoed() -> None:
    found = chosen(HARM)
    assert found.step == 10
    assert [one.vetoed for one in found.candidates] == [False, True]
    (kept,) = found.candidates[1].protected
    assert (kept.name, kept.samples) == ("base", len(TOKENS))
    assert kept.rise == pytest.approx(0.3)
    assert kept.at_least == pytest.approx(0.3)  # every sample rose alike: pairing leaves no noise
    assert "1 checkpoint vetoed" in found.why
    assert chosen(HARM, rule="last").step == 10
    assert chosen(HARM, margin=0.31).step == 20


def test_a_rise_within_its_noise_is_no_veto() -> None:
    """One sample of ten rose by 3 nats: the mean is far above the margin, and chance explains it."""
    before = around(0.2, 0.1, 1)
    after = [*before[:9], before[9] + 3.0]
    found = chosen(
        {
            START: {"skills/a": 3.0, "skills/b": 3.0, "base": before},
            ("skills", 10): {"skills/a": 1.0, "skills/b": 1.0, "base": after},
        }
    )
    (kept,) = found.candidates[0].protected
    assert kept.rise > 0.2
    assert kept.at_least is not None
    assert kept.at_least < 0
    assert (found.step, kept.vetoed) == (10, False)


def test_where_everything_is_vetoed_the_phase_ends_as_it_began() -> None:
    found = chosen({point: losses for point, losses in HARM.items() if point != ("skills", 10)})
    assert (found.step, found.standing) == (0, START)
    told = "\n".join(found.lines())
    assert "no checkpoint goes on" in told
    assert "the only checkpoint harms what is protected" in told
    assert "base rose from" in told
    assert "(+0.3000, at least +0.3000; 0.05 is allowed)" in told
    assert "✗ step 20" in told


def test_a_protected_leaf_of_an_earlier_phase_is_held_against_what_that_phase_ended_on() -> None:
    measurements = {
        START: {"skills/a": 3.0, "knowledge/k": 4.0},
        ("knowledge", 8): {"skills/a": 3.0, "knowledge/k": 0.5},
        ("skills", 10): {"skills/a": 1.0, "knowledge/k": 0.6},
        ("skills", 20): {"skills/a": 0.1, "knowledge/k": 0.5},
        ("skills", 30): {"skills/a": 0.0, "knowledge/k": 0.57},
    }
    told = {"leaves": {"skills/a", "knowledge/k"}, "start": ("knowledge", 8), "protect": ["knowledge"]}
    found = chosen(measurements, earlier={"knowledge/k"}, **told)
    assert found.step == 20
    assert [one.vetoed for one in found.candidates] == [True, False, True]
    assert found.candidates[0].protected[0].before == pytest.approx(0.5)
    assert chosen(measurements, **told).step == 30  # against the untrained base nothing rose


def test_a_branch_is_judged_as_one_and_a_leaf_by_itself() -> None:
    measurements = {
        START: {"skills/a": 1.0, "skills/b": 1.0},
        ("skills", 10): {"skills/a": 1.2, "skills/b": 0.1},
    }
    assert chosen(measurements, protect=["skills"]).step == 10
    assert chosen(measurements, protect=["skills/a"]).step == 0
    assert chosen(measurements, protect=["skills/a/"]).unjudged == ()
    assert chosen(measurements, protect=["skill"]).unjudged == ("skill",)


def test_what_cannot_be_judged_is_said() -> None:
    found = chosen(
        {
            START: {"skills/a": 3.0, "skills/b": [0.1]},
            ("skills", 10): {"skills/a": 1.0, "skills/b": [5.0]},
        },
        protect=["skills/b", "knowledge"],
    )
    assert (found.step, found.unjudged) == (10, ("skills/b", "knowledge"))
    assert any("too few held-out rows to be judged: skills/b, knowledge" in line for line in found.lines())


def test_without_held_out_rows_the_last_goes_on_and_it_is_said() -> None:
    found = choose("skills", [5, 10], [], leaves={"skills/a"}, margin=0.05)
    assert (found.step, found.unmeasured) == (10, ("skills/a",))
    assert "no trained leaf has held-out rows" in found.why
    only_base = {point: {"base": losses["base"]} for point, losses in HARM.items()}
    assert chosen(only_base).step == 10
    assert "no trained leaf has held-out rows" in chosen(only_base).why


def test_a_phase_that_taught_nothing_is_told_so() -> None:
    found = chosen({START: {"skills/a": 1.0}, ("skills", 10): {"skills/a": 1.5}, ("skills", 20): {"skills/a": 1.4}})
    assert found.step == 20
    assert "higher than the 1.0000 the phase began with" in found.why


def test_the_recipe_may_ask_for_the_last() -> None:
    losses = {START: {"skills/a": 3.0}, ("skills", 10): {"skills/a": 1.0}, ("skills", 20): {"skills/a": 2.0}}
    found = chosen(losses, rule="last")
    assert (found.step, found.why) == (20, "the last checkpoint, as the recipe says")


def test_a_checkpoint_that_was_not_measured_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="must be measured"):
        choose("skills", [10], measured(START, {"skills/a": 1.0}), leaves={"skills/a"}, margin=0.05)


def test_a_choice_comes_back_from_its_file() -> None:
    found = chosen(HARM)
    assert Choice.model_validate_json(found.model_dump_json()) == found


NATS = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=20)


@given(NATS)
def test_a_rise_is_the_difference_of_the_losses_and_its_interval_holds_it(
    samples: list[tuple[int, float, float]],
) -> None:
    tokens = [size for size, _, _ in samples]

    def record(nats: list[float]) -> list[HeldOutLoss]:
        return [held_out_loss(phase="skills", step=1, group="a", teacher="", tokens=tokens, nats=nats)]

    old, new = record([before for _, before, _ in samples]), record([after for _, _, after in samples])
    found = rise(old, new)
    assert found.amount == pytest.approx(new[0].loss - old[0].loss, abs=1e-9)
    assert found.least is not None
    assert found.most is not None
    assert found.least <= found.amount <= found.most
    back = rise(new, old)
    assert back.least == pytest.approx(-found.most, abs=1e-9)


def test_losses_of_other_samples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same held-out samples"):
        rise(measured(START, {"a": 1.0}), measured(("skills", 1), {"a": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="same held-out samples"):
        rise(measured(START, {"a": 1.0}), measured(("skills", 1), {"b": 1.0}))


def test_the_bound_is_passed_by_chance_about_as_often_as_it_says() -> None:
    rng = random.Random(0)
    trials, passed = 4_000, 0
    for _ in range(trials):
        tokens = [rng.randint(5, 40) for _ in range(12)]
        moved = [rng.gauss(0, 0.3) * math.sqrt(size) for size in tokens]
        value, error = ratio(moved, tokens)
        assert error is not None
        passed += value - t95(11) * error > 0
    assert 0.035 < passed / trials < 0.07


def test_the_points_of_students_t() -> None:
    for freedom, point in (
        (1, 6.3138),
        (2, 2.9200),
        (4, 2.1318),
        (5, 2.0150),
        (10, 1.8125),
        (63, 1.6694),
        (10**6, 1.6449),
    ):
        assert t95(freedom) == pytest.approx(point, abs=2e-3)
