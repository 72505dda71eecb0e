"""Which first prompts come next: worked off what is short, by what prompts have given."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.filters.parts.mixture import Wanted, chosen, lacking
from instructlab_like.generation.targets import FEWEST, PATIENCE, Stream, allotted, expected, useful
from instructlab_like.recipe import TargetRecipe


def stream(leaf: str, guess: tuple[int | None, ...], **told: object) -> Stream:
    return Stream(**{"leaf": leaf, "flow": "f", "steps": (), "guess": guess, "most": 3.0, "limit": 1000} | told)


def test_the_first_round_asks_no_more_than_must_be_if_all_is_kept():
    streams = [stream("a", (0, None)), stream("b", (1, None)), stream("c", (2, None))]
    assert allotted(streams, ((60, 30, 0), (45, 45, 0)), 90) == [20, 10, 0]


def test_a_leaf_that_gives_less_is_asked_for_more():
    rich, poor = stream("a", (0,), begun=20), stream("b", (1,), begun=20)
    rich.gave, poor.gave = Counter({(0,): 60}), Counter({(1,): 20})
    first, second = allotted([rich, poor], ((10, 10, 0),), 20)
    assert 3 <= first <= 5
    assert 6 <= second <= 12


def test_nobody_gets_more_than_twice_what_they_had_or_than_the_limit_of_the_leafs_flow():
    asked = stream("a", (0,), begun=2)
    asked.gave = Counter({(0,): 6})
    assert allotted([asked], ((500,),), 500) == [FEWEST]
    asked.begun, asked.gave = 30, Counter({(0,): 60})
    assert allotted([asked], ((500,),), 500) == [30]
    easy = stream("a", (0,), steps=(("difficulty", "easy"),), limit=10)
    hard = stream("a", (0,), steps=(("difficulty", "hard"),), limit=10)
    assert sum(allotted([easy, hard], ((500,),), 500)) == 10


def test_what_has_given_nothing_of_what_is_short_is_tried_with_a_few_and_then_no_more():
    other = stream("a", (None,), begun=20)
    other.gave = Counter({(1,): 60})
    assert allotted([other], ((50, 0),), 50) == [FEWEST]
    other.begun, other.gave = 60, Counter({(1,): 180})
    assert allotted([other], ((50, 0),), 50) == [0]


def test_what_is_not_short_in_everything_is_asked_for_where_it_makes_room():
    one = stream("a", (0, None), begun=60)
    one.gave = Counter({(0, 0): 180})
    needs = ((40, 0), (0, 40))
    assert allotted([one], needs, 40) == [0]
    assert 10 <= allotted([one], needs, 40, lambda cell: cell == (0, 0))[0] <= 60


def test_what_gave_nothing_for_some_rounds_or_has_no_more_prompts_is_left_alone():
    silent, ended = stream("a", (0,), begun=9, idle=PATIENCE), stream("a", (0,), begun=9, ended=True)
    assert allotted([silent, ended], ((50,),), 50) == [0, 0]
    assert useful({(0, 1): 3}, ((4, 0), (0, 5)))
    assert not useful({(0, 0): 3}, ((4, 0), (0, 5)))
    assert useful({(0, 0): 3}, ((4, 0), (0, 5)), lambda cell: cell == (0, 0))
    assert not useful({}, ((9,),))


def test_a_leaf_that_was_not_asked_is_expected_to_give_what_others_of_the_flow_gave():
    asked, new = stream("a", (0, None), begun=50), stream("b", (1, None))
    asked.gave = Counter({(0, 0): 90, (0, 1): 10})
    told = expected(new, [asked, new])
    assert told[1, 0] > 5 * told[1, 1] > 0
    assert expected(new, [new]) == {(1, None): 3.0}


def test_prompts_go_where_the_cell_that_is_short_comes_from():
    short, long = (stream("a", (None,), steps=(("length", name),), begun=30) for name in ("s", "l"))
    short.gave, long.gave = Counter({(0,): 88, (1,): 2}), Counter({(0,): 10, (1,): 80})
    assert allotted([short, long], ((0, 40),), 40)[0] == 0


LEAVES = ("a", "b", "c")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.2, 1.0), min_size=3, max_size=3),
    st.lists(st.floats(0.15, 0.85), min_size=3, max_size=3),
    st.lists(st.integers(1, 5), min_size=3, max_size=3),
    st.integers(0, 1000),
)
def test_rounds_reach_the_mix_of_leaves_and_lengths_whatever_the_yields(kept, long, parts, lot):
    """A teacher of chance: each prompt of a leaf gives three samples, a share of them kept, a share of these long."""
    shares = {leaf: part / sum(parts) for leaf, part in zip(LEAVES, parts, strict=True)}
    told = TargetRecipe.model_validate({"samples": 200, "leaf": shares, "length": {"1-9": 0.5, "10+": 0.5}})
    wanted, drawn = Wanted(told), random.Random(lot)
    streams = [stream(leaf, (place, None), limit=3000) for place, leaf in enumerate(LEAVES)]
    missing, needs = 200, tuple(dimension.numbers(200) for dimension in wanted.dimensions)
    rounds = 0
    while missing:
        counts = allotted(streams, needs, missing)
        assert any(counts)
        for place, (one, count) in enumerate(zip(streams, counts, strict=True)):
            one.begun += count
            for _ in range(3 * count):
                if drawn.random() < kept[place]:
                    one.gave[place, int(drawn.random() < long[place])] += 1
        there = sum((one.gave for one in streams), Counter())
        missing, needs = lacking(wanted, there)
        rounds += 1
        assert rounds < 30
    taken = chosen(wanted, there)
    assert taken.mixed
    assert taken.size == 200
