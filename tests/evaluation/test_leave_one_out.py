"""Three models' answers to one set of items: what the leaf that was left out did to itself and to the others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from instructlab_like.errors import InputError
from instructlab_like.evaluation.leave_one_out import LeftOut, compare
from instructlab_like.records import Answer, Item, LeafCounts, Metric

LEAF, NEAR, FAR, SMALL = "skills/left", "skills/near", "skills/far", "skills/small"
OWN = "base/copying"
SIZES = {LEAF: 30, NEAR: 40, FAR: 40, SMALL: 5, OWN: 30}
COUNTS = tuple(LeafCounts(leaf=leaf, made=9, kept=9) for leaf in (LEAF, NEAR, FAR, SMALL))


def items(*, metric: Metric = "exact") -> list[Item]:
    return [
        Item(id=f"{leaf}{n}", leaf=leaf, source="heldout", question=f"{leaf} {n}?", answer="a", metric=metric)
        for leaf, size in SIZES.items()
        for n in range(size)
    ]


def answers(model: str, right: Mapping[str, int], found: list[Item]) -> list[Answer]:
    """The first so many of each leaf's items are right."""
    met: dict[str, int] = {}
    said = []
    for item in found:
        met[item.leaf] = met.get(item.leaf, 0) + 1
        score = float(met[item.leaf] <= right.get(item.leaf, 0))
        said.append(Answer(item=item.id, model=model, text="a", score=score))
    return said


def left_out(without: Mapping[str, int], with_it: Mapping[str, int], **base: int) -> LeftOut:
    found = items()
    return compare(
        LEAF,
        found,
        base=answers("base", base, found),
        with_it=answers("tuned", with_it, found),
        without_it=answers("whatever it is called", without, found),
        counts=COUNTS,
        enough=20,
        inputs="digest",
        rows=(40, 120),
    )


def test_a_leaf_taken_out_shows_no_gain_and_with_it_one() -> None:
    found = left_out({NEAR: 30, FAR: 30}, {LEAF: 25, NEAR: 30, FAR: 30})
    assert found.own
    assert (found.own.base, found.own.effect) == (0.0, "better")
    assert found.untaught
    assert (found.untaught.delta[1], found.untaught.effect) == (0.0, "tied")
    assert (found.helped, found.harmed) == ((), ())
    assert (found.rows, found.rows_all) == (40, 120)


def test_others_are_helped_and_harmed_by_name_and_the_leaf_itself_is_not_among_them() -> None:
    found = left_out({NEAR: 10, FAR: 35}, {LEAF: 30, NEAR: 32, FAR: 12})
    assert [one.leaf for one in found.others] == [NEAR, FAR, SMALL]
    assert [one.leaf for one in found.helped] == [NEAR]
    assert [one.leaf for one in found.harmed] == [FAR]
    assert found.others_mean
    assert found.others_mean.delta[1] == pytest.approx((22 / 40 - 23 / 40 + 0) / 3)


def test_q_is_over_the_other_leaves_that_have_enough_questions() -> None:
    """The leaf's own gain, which is certain, must not carry the others."""
    found = left_out({NEAR: 20, FAR: 20}, {LEAF: 30, NEAR: 26, FAR: 20, SMALL: 5})
    near, far, small = found.others
    assert near.q == pytest.approx(2 * near.p)
    assert far.q == 1.0
    assert small.q is None
    assert small.effect == "underpowered"


def test_what_it_did_to_the_bases_own_tasks_is_told_apart() -> None:
    found = left_out({OWN: 30}, {LEAF: 30, OWN: 12})
    assert found.own_tasks
    assert found.own_tasks.effect == "worse"
    assert found.own_tasks.leaf == "the base's own tasks"
    assert OWN not in {one.leaf for one in found.others}


def test_a_leaf_whose_questions_have_no_score_says_nothing_of_itself() -> None:
    found = items()
    unscored = [
        one.model_copy(update={"score": None, "unscored": "judge: no grade"}) if one.item.startswith(LEAF) else one
        for one in answers("tuned", {NEAR: 40}, found)
    ]
    told = compare(
        LEAF,
        found,
        base=answers("base", {}, found),
        with_it=unscored,
        without_it=answers("without", {}, found),
        counts=COUNTS,
        enough=20,
        inputs="",
        rows=(1, 2),
    )
    assert told.own is None
    assert [one.leaf for one in told.helped] == [NEAR]


def test_answers_that_lack_an_item_are_refused() -> None:
    found = items()
    with pytest.raises(InputError, match="has no answer to 1 of"):
        compare(
            LEAF,
            found,
            base=answers("base", {}, found),
            with_it=answers("tuned", {}, found)[1:],
            without_it=answers("without", {}, found),
            counts=COUNTS,
            enough=20,
            inputs="",
            rows=(1, 2),
        )
