"""Filters of sets that hold no sample: the same verdicts as with all of them in memory, and however they are read."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.filters import SetFilter, Surroundings, near_duplicate
from instructlab_like.filters.exact_duplicate import ExactDuplicate, question_key
from instructlab_like.filters.near_duplicate import NearDuplicate, Text
from instructlab_like.filters.sift import passed, sift
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Sample, plain

VOCABULARY = "tide moon harbour wall lamp copper stone crane rope gauge pier storm not Orrin Vell 7 1874 of the a"
WORDS = VOCABULARY.split()
METHODS = ("teacher", "teacher", "teacher", "rules", "simulation")


class Read(Sequence):
    """Samples that are made anew each time they are looked at, as those of a file are."""

    def __init__(self, samples):
        self.lines = [sample.model_dump_json() for sample in samples]

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, place):
        return Sample.model_validate_json(self.lines[place])


def corpus(sample, seed, count=160):
    """Samples of two leaves, many of them another's with a few words changed, added or left out; some short."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        if made and rng.random() < 0.5:
            old = rng.choice(made)
            question, answer = edited(rng, old.question), edited(rng, old.answer)
            kind, leaf, method = old.kind, rng.choice(["a", old.lineage.leaf]), old.lineage.method
        else:
            question = " ".join(rng.choices(WORDS, k=rng.randint(3, 14)))
            answer = " ".join(rng.choices(WORDS, k=rng.randint(2, 60)))
            kind, leaf = rng.choice(["knowledge", "freeform", "grounded"]), rng.choice("ab")
            method = rng.choice(METHODS)
        context = " ".join(rng.choices(WORDS, k=9)) if kind == "grounded" else None
        made.append(sample(question, answer, kind=kind, leaf=leaf, method=method, context=context))
    return sorted(made, key=lambda one: one.id)


def edited(rng, text):
    words = text.split()
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
        words[rng.randrange(len(words)) : 1] = rng.choice([[], ["indeed"], [rng.choice(WORDS)]])
        words = words or ["a"]
    return " ".join(words)


def near_in_memory(chosen, samples):
    """The verdicts as they were first reached, with every text on a shelf for each of its bands."""
    shelves = defaultdict(list)
    for sample in samples:
        if sample.lineage.method != "teacher" and not chosen.model_free:
            yield chosen.keep(sample, f"varied on purpose by {sample.lineage.method}")
            continue
        text = Text.of(sample)
        if len(text.sequence) < chosen.min_words:
            yield chosen.keep(sample, f"shorter than {chosen.min_words} words")
            continue
        keys = list(text.bands())
        candidates = {other.id: other for key in keys for other in shelves[key]}
        alike = [(score, other) for other in candidates.values() if (score := chosen.compare(text, other)) is not None]
        if alike:
            score, nearest = min(alike, key=lambda pair: (-pair[0], pair[1].id))
            reason = "a few words away from another sample of its leaf"
            yield chosen.reject(sample, reason, score=score, threshold=chosen.similarity, partner=nearest.id)
            continue
        for key in keys:
            shelves[key].append(text)
        yield chosen.keep(sample, "no near copy in its leaf")


def exact_in_memory(chosen, samples):
    first, asked = {}, {}
    for sample in samples:
        key, question = sample.duplicate_key, question_key(sample)
        if key in first:
            yield chosen.reject(sample, "same question, same answer", partner=first[key].id)
        elif chosen.contradictions and question in asked:
            yield chosen.reject(sample, "same question, other answer", partner=asked[question].id)
        else:
            first[key] = sample
            asked.setdefault(question, sample)
            yield chosen.keep(sample, "the first of its kind")


@pytest.mark.parametrize("options", [{}, {"model_free": True}, {"similarity": 0.5, "signature": 0.1, "min_words": 1}])
@pytest.mark.parametrize("words", [0, 60, 100_000])
def test_near_copies_are_those_of_all_texts_in_memory(sample, tmp_path, monkeypatch, options, words):
    monkeypatch.setattr(near_duplicate, "WORDS", words)  # of texts that stay in memory
    chosen = NearDuplicate(**options)
    rejected = 0
    for seed in range(6):
        samples = corpus(sample, seed)
        verdicts = list(chosen.judge(Read(samples), Surroundings(scratch=tmp_path)))
        assert verdicts == list(near_in_memory(chosen, samples))
        rejected += sum(not verdict.keep for verdict in verdicts)
    assert rejected > 60
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Who?", "who", "5 + 3", "5 - 3", "5  +  3", ""]),
            st.sampled_from(["Ann", "ann.", "Ben", ""]),
            st.sampled_from(["knowledge", "freeform"]),
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_exact_duplicates_are_those_of_all_samples_in_memory(sample, texts, contradictions):
    samples = [sample(q, a, kind=kind, id=f"{n:03}") for n, (q, a, kind) in enumerate(texts)]
    chosen = ExactDuplicate(contradictions=contradictions)
    found = list(chosen.judge(Read(samples), Surroundings()))
    assert found == list(exact_in_memory(chosen, samples))


ORDERS = [
    ["shape", "length", "grounded", "held_out", "exact_duplicate", "near_duplicate"],
    ["near_duplicate", "shape", "exact_duplicate", "length"],
    ["exact_duplicate"],
    ["length", "shape"],
]


@pytest.mark.parametrize("names", ORDERS)
def test_a_sequence_that_is_read_is_sifted_as_one_in_memory(sample, tmp_path, names):
    samples = corpus(sample, 9)
    filters = [FilterChoice(name=name) for name in names]
    told = [[] for _ in names]
    kept, phases = passed(
        Read(samples), filters, held_out=[], tell=lambda place, verdict: told[place].append(verdict), scratch=tmp_path
    )
    whole = sift(samples, filters, held_out=[])
    assert (tuple(kept), phases) == (whole.kept, whole.phases)
    assert [verdict for one in told for verdict in one] == list(whole.verdicts)
    assert [vars(verdict) for verdict in whole.verdicts] == [plain(verdict) for verdict in whole.verdicts]


class Swaps(SetFilter):
    """A filter with a bug."""

    version = 1
    less: int = 0

    def judge(self, samples, _around, /):
        return [self.keep(sample, "fine") for sample in reversed(samples)][self.less :]


@pytest.mark.parametrize("less", [0, 1, 3])
def test_a_filter_of_sets_that_swaps_or_loses_samples_ends_the_run(sample, monkeypatch, less):
    monkeypatch.setattr("instructlab_like.filters.sift.build", lambda _: Swaps(less=less))
    samples = [sample(f"Who is number {number}?", "Ann") for number in range(3)]
    with pytest.raises(RuntimeError, match="was given 3 samples"):
        sift(samples, [FilterChoice(name="swaps")], held_out=[])


class Adds(SetFilter):
    """A filter with a bug, and a list for its verdicts."""

    version = 1

    def judge(self, samples, _around, /):
        verdicts = [self.keep(sample, "fine") for sample in samples]
        return [*verdicts, verdicts[-1]]


def test_a_filter_of_sets_that_adds_a_verdict_ends_the_run(sample, monkeypatch):
    monkeypatch.setattr("instructlab_like.filters.sift.build", lambda _: Adds())
    with pytest.raises(RuntimeError, match="was given 1 samples"):
        sift([sample("Who?", "Ann")], [FilterChoice(name="adds")], held_out=[])
