"""Of many leaves tested at once, those are called for which chance is no explanation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.evaluation.discovery import controlled, q_values
from instructlab_like.evaluation.effect import effect


def test_q_is_that_of_benjamini_and_hochberg() -> None:
    # The example of their paper of 1995, section 3.2, of which the procedure rejects the first four at 0.05.
    chances = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    found = q_values(chances)
    assert found[:5] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603])
    assert [one < 0.05 for one in found] == [True] * 4 + [False] * 11


@given(st.lists(st.floats(0, 1), max_size=30))
def test_q_is_never_below_p_and_keeps_its_order(chances: list[float]) -> None:
    found = q_values(chances)
    assert all(p <= q <= 1 for q, p in zip(found, chances, strict=True))
    by_p = [q for _, q in sorted(zip(chances, found, strict=True))]
    assert by_p == sorted(by_p)


def test_a_leaf_alone_has_its_p_as_q() -> None:
    alone = effect("leaf", [0.0] * 30, [1.0] * 8 + [0.0] * 22, enough=20)
    (found,) = controlled([alone], enough=20)
    assert found.q == found.p < 0.05
    assert found.effect == "better"


def test_a_leaf_better_by_itself_is_not_called_so_among_many() -> None:
    """Six of 24 rose and none fell: p 0.031, which of twenty leaves one has by chance."""
    lucky = effect("lucky", [0.0] * 24, [1.0] * 6 + [0.0] * 18, enough=20)
    assert lucky.effect == "better"
    others = [effect(f"leaf {number}", [0.0, 1.0] * 12, [0.0, 1.0] * 12, enough=20) for number in range(19)]
    found = controlled([lucky, *others], enough=20)
    assert found[0].q == pytest.approx(20 * lucky.p)
    assert found[0].effect == "underpowered"
    assert found[0].delta == lucky.delta


def test_a_harmful_leaf_is_found_among_a_thousand() -> None:
    harmful = effect("harmful", [0.9] * 40, [0.1 + number / 100 for number in range(40)], enough=20)
    others = [effect("leaf", [0.5] * 20, [0.5] * 20, enough=20)] * 999
    assert controlled([*others, harmful], enough=20)[-1].effect == "worse"


def test_leaves_with_too_few_items_are_not_among_the_tested() -> None:
    few = effect("few", [0.0] * 10, [1.0] * 10, enough=20)
    clustered = effect("clustered", [0.0] * 40, [1.0] * 40, enough=20, clusters=[index % 9 for index in range(40)])
    enough = effect("enough", [0.0] * 30, [1.0] * 30, enough=20)
    found = controlled([few, clustered, enough], enough=20)
    assert [(one.q, one.effect) for one in found[:2]] == [(None, "underpowered")] * 2
    assert found[2].q == enough.p
    assert controlled([], enough=20) == ()
