from __future__ import annotations

import random

import pytest

from instructlab_like.filters import Surroundings
from instructlab_like.filters.balance.outliers import Outliers
from instructlab_like.filters.pool import Held

TIDES = """the tide rises and falls twice a day in the harbour because the moon pulls the water of the sea and a gauge
on the pier writes down its height while spring tides follow the full moon and neap tides the quarters and ships wait
for high water before they pass the lock at the mouth of the port where a current sets along the coast"""
GERMAN = "die Post hat am Sonntag zu und der Brief liegt bis Montag im Kasten weil ihn niemand abholt oder sortiert"
CODE = "def push self value stack append return len None class Stack init list pop index raise error"


def talk(rng, text, count):
    words = text.split()
    begin = rng.randrange(len(words))
    return " ".join(words[(begin + step * rng.choice((1, 1, 2, 3))) % len(words)] for step in range(count))


@pytest.fixture
def tides(sample):
    rng = random.Random(1)
    return [sample(f"{talk(rng, TIDES, 9)}?", talk(rng, TIDES, rng.randint(4, 30))) for _ in range(120)]


def rejections(samples, **options):
    samples = sorted(samples, key=lambda one: one.id)
    chosen = Outliers(**options)
    pool = Held(samples, [chosen.sketch(one) for one in samples])
    return {samples[place].id: told for place, told in chosen.judge(pool, Surroundings())}


def test_a_sample_on_another_subject_is_rejected_with_its_similarity(sample, tides):
    stray = sample("wann kommt der Brief?", GERMAN)
    told = rejections([*tides, stray])
    assert told.keys() == {stray.id}
    assert told[stray.id].rule == "far-off"
    assert 0 <= told[stray.id].score < told[stray.id].threshold
    assert "120 others of its leaf" in told[stray.id].reason


def test_a_group_of_samples_on_another_subject_is_not(sample, tides):
    rng = random.Random(2)
    group = [sample(f"{talk(rng, GERMAN, 7)}?", talk(rng, GERMAN, 15)) for _ in range(8)]
    assert rejections([*tides, *group]) == {}


def test_in_a_leaf_of_many_subjects_none_is(sample):
    rng = random.Random(3)
    words = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)) for _ in range(4000)]
    mixed = [sample(" ".join(rng.sample(words, 9)) + "?", " ".join(rng.sample(words, 20))) for _ in range(150)]
    assert rejections(mixed) == {}


def test_short_and_long_samples_on_the_subject_are_not(sample, tides):
    rng = random.Random(4)
    short, long = sample("which tide?", "the spring tide"), sample(talk(rng, TIDES, 40), talk(rng, TIDES, 300))
    assert rejections([*tides, short, long]) == {}


def test_small_leaves_are_not_judged(sample, tides):
    few = [*tides[:18], sample("wann kommt der Brief?", GERMAN)]
    assert rejections(few) == {}
    assert len(rejections([*tides[:30], few[-1]])) == 1


def test_each_leaf_is_judged_by_itself(sample, tides):
    rng = random.Random(5)
    code = [sample(talk(rng, CODE, 8), talk(rng, CODE, 20), leaf="compositional_skills/code") for _ in range(60)]
    stray = sample(talk(rng, CODE, 8), talk(rng, CODE, 20))
    assert rejections([*tides, *code, stray]).keys() == {stray.id}


def test_a_leaf_of_copies_loses_only_what_is_none(sample):
    rng = random.Random(6)
    text = talk(rng, TIDES, 30)
    copies = [sample(f"{text} {number}?", text) for number in range(60)]
    near = sample(f"{text} again, or not?", f"{text} indeed")
    stray = sample("wann kommt der Brief?", GERMAN)
    assert rejections([*copies, near, stray]).keys() == {stray.id}


def test_the_judgement_does_not_depend_on_order(sample, tides):
    samples = [*tides, sample("wann kommt der Brief?", GERMAN), sample("?", "!")]
    told = rejections(samples)
    random.Random(7).shuffle(samples)
    assert rejections(samples) == told


def test_the_deviations_decide(sample, tides):
    stray = sample("wann kommt der Brief?", GERMAN)
    assert rejections([*tides, stray], deviations=100.0) == {}
