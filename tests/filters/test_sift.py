from __future__ import annotations

import shutil

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.filters import (
    LeafFacts,
    LeafFilter,
    SampleFilter,
    SetFilter,
    Surroundings,
    build,
    expand,
    find,
)
from instructlab_like.filters import findings as findings_module
from instructlab_like.filters import sift as sift_module
from instructlab_like.filters.findings import INDEX
from instructlab_like.filters.judgement import kept, not_applied, rejected, replaced
from instructlab_like.filters.sift import passed, sift
from instructlab_like.recipe import DEFAULT_FILTERS, FilterChoice
from instructlab_like.records import Seed, digest, plain
from instructlab_like.stock import Stock
from instructlab_like.workspace import write_records

NOTHING = Surroundings()


def named(*names):
    return [FilterChoice(name=name) for name in names]


def test_an_unknown_filter_names_the_nearest():
    with pytest.raises(RecipeError) as raised:
        find("near_duplicat")
    assert str(raised.value) == "filters: there is no filter 'near_duplicat'\n  → did you mean 'near_duplicate'?"


@pytest.mark.parametrize("name", ["sift", "parts", "pool"])
def test_modules_that_are_no_filters_are_not_found(name):
    with pytest.raises(RecipeError):
        find(name)


def test_an_unknown_option_names_filter_option_and_nearest():
    with pytest.raises(RecipeError) as raised:
        build(FilterChoice(name="length", options={"max_answer_word": 3}))
    assert str(raised.value) == (
        "filters.length.max_answer_word: filter 'length' has no option 'max_answer_word'\n"
        "  → did you mean 'max_answer_words'?"
    )


def test_a_wrong_choice_is_told_before_anything_is_judged():
    with pytest.raises(RecipeError):
        sift([], named("length", "nothing"), NOTHING)


def test_a_phase_stands_for_its_default_filters_in_their_order():
    names = [choice.name for choice in expand(named("novelty", "length"))]
    assert names == [
        *(c.name for c in DEFAULT_FILTERS if find(c.name).__module__.split(".")[-2] == "novelty"),
        "length",
    ]
    own = FilterChoice(name="length", options={"min_answer_words": 3})
    assert own in expand([FilterChoice(name="shape"), own])
    with pytest.raises(RecipeError, match="is a phase"):
        expand([FilterChoice(name="shape", options={"min": 1})])


def test_a_later_filter_sees_only_what_the_earlier_kept(sample):
    good, empty = sample("Who came first?", "Ann"), sample("Who came last?", "")
    long = sample("Say it.", "word " * 1600)
    found = sift([good, empty, long], named("markup", "length"), NOTHING)
    assert found.kept == (good,)
    assert [(phase.filter, phase.made, phase.kept, phase.rejected) for phase in found.waterfall.phases] == [
        ("markup", 3, 2, 1),
        ("length", 2, 1, 1),
    ]
    assert [(verdict.subject, verdict.filter, verdict.keep) for verdict in found.verdicts] == [
        (empty.id, "markup", False),
        (long.id, "length", False),
        (good.id, "sift", True),
    ]


def test_without_filters_all_samples_are_kept_in_id_order(sample):
    samples = [sample(f"Question {number}?", "Yes") for number in range(9)]
    assert sift(samples, [], NOTHING).kept == tuple(sorted(samples, key=lambda one: one.id))


VOCABULARY = "the a moon tide Ann Orrin tower 7 1874 is was not [ANSWER] <|user|> As an AI red ? . a@b.org"
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["knowledge", "freeform", "grounded"])), max_size=12))
def test_kept_and_rejected_make_up_what_was_made_at_every_phase(sample, texts):
    samples = [
        sample(q, a, kind=kind, context="The moon is red.", id=f"{n:032x}") for n, (q, a, kind) in enumerate(texts)
    ]
    found = sift(samples, DEFAULT_FILTERS, NOTHING)
    left = len(samples)
    for phase in found.waterfall.phases:
        gone = [verdict for verdict in found.verdicts if verdict.filter == phase.filter and not verdict.keep]
        assert phase.made == left == phase.kept + phase.rejected
        assert phase.rejected == len(gone)
        left = phase.kept + phase.added
    assert left == len(found.kept) == sum(verdict.filter == "sift" for verdict in found.verdicts)
    assert sift(samples[::-1], DEFAULT_FILTERS, NOTHING) == found


# --- filters made for these tests -------------------------------------------------------------------------------


class Mask(SampleFilter):
    """Puts a star for each digit."""

    version = 1

    def judge(self, sample):
        text = "".join("*" if letter.isdigit() else letter for letter in sample.answer)
        if text == sample.answer:
            return kept("no digit")
        lineage = sample.lineage.model_copy(update={"parents": (sample.id,)})
        id = digest([sample.id, "mask"])[:32]
        return replaced("digit", "a digit", sample.model_copy(update={"id": id, "answer": text, "lineage": lineage}))


class Short(SampleFilter):
    """Rejects answers of fewer than three characters; cannot judge shouting."""

    version = 1

    def judge(self, sample):
        if sample.answer.isupper():
            return not_applied("it shouts")
        return rejected("short", "too short", score=len(sample.answer)) if len(sample.answer) < 3 else kept("long")


class Twins(SetFilter):
    """Rejects a later sample with a kept one's answer."""

    version = 1

    def sketch(self, sample):
        return digest(sample.answer).encode()

    def judge(self, pool, _around, /):
        seen = {}
        for place in range(len(pool)):
            if (before := seen.setdefault(pool.sketch(place), place)) != place:
                yield place, rejected("twin", "said before", partner=pool.sample(before).id)

    def remarks(self, pool, rejected, _around, /):
        return (f"twins: {len(rejected)} of {len(pool)}",)


class Seeds(LeafFilter):
    """Rejects what a seed example asks."""

    version = 1

    def judge(self, sample, leaf):
        asked = {pair.question for seed in leaf.seeds for pair in seed.pairs}
        return rejected("seed", "a seed's question") if sample.question in asked else kept("new")


class Careless(SetFilter):
    """Names places out of turn."""

    version = 1

    def sketch(self, _sample):
        return b""

    def judge(self, _pool, _around, /):
        yield 1, rejected("x", "one")
        yield 0, rejected("x", "nought")


MADE = {kind.__name__.lower(): kind for kind in (Mask, Short, Twins, Seeds, Careless)}


@pytest.fixture
def own(monkeypatch):
    """The filters above, by their names in small letters."""
    for name, kind in MADE.items():
        monkeypatch.setattr(kind, "name", property(lambda self, name=name: name))
        monkeypatch.setattr(kind, "phase", property(lambda self: "shape"))
    monkeypatch.setattr(sift_module, "build", lambda choice: MADE[choice.name]())
    monkeypatch.setattr(sift_module, "expand", tuple)
    return named


def test_a_masked_sample_takes_the_place_of_the_rejected_one(own, sample):
    first, second, third = sample("Which?", "room 12"), sample("Which, then?", "room 34"), sample("Who?", "A9")
    found = sift([first, second, third], own("mask", "twins", "short"), NOTHING)
    assert [(p.filter, p.made, p.kept, p.rejected, p.added) for p in found.waterfall.phases] == [
        ("mask", 3, 0, 3, 3),
        ("twins", 3, 2, 1, 0),
        ("short", 2, 2, 0, 0),
    ]
    assert sorted(one.answer for one in found.kept) == ["A*", "room **"]
    assert {one.lineage.parents[0] for one in found.kept} < {first.id, second.id, third.id}
    partners = {verdict.subject: verdict.partner for verdict in found.verdicts if verdict.filter == "mask"}
    assert partners.keys() == {first.id, second.id, third.id}
    assert {one.id for one in found.kept} < set(partners.values())
    (leaf,) = found.waterfall.leaves
    assert (leaf.made, leaf.kept) == (3, 2)
    assert found.masked == {one.lineage.parents[0] for one in found.kept}
    assert found.remarks == ("twins: 1 of 3",)


def test_what_could_not_be_judged_is_kept_and_counted(own, sample):
    found = sift([sample("Who?", "A"), sample("Who else?", "b")], own("short", "seeds"), NOTHING)
    assert [(p.made, p.kept, p.not_applied) for p in found.waterfall.phases] == [(2, 1, 1), (1, 1, 1)]
    (told,) = [verdict.reason for verdict in found.verdicts if verdict.keep]
    assert told == "every filter kept it but for those that could not be applied: short, seeds"


def test_a_filter_by_leaf_knows_the_leaf(own, sample):
    seed = Seed.model_validate({"number": 1, "line": 1, "pairs": [{"question": "Who?", "answer": "Ann"}]})
    around = Surroundings(leaves={"l": LeafFacts(path="l", seeds=(seed,))})
    found = sift([sample("Who?", "Ben", leaf="l"), sample("Who?", "Ben", leaf="other")], own("seeds"), around)
    assert [one.lineage.leaf for one in found.kept] == ["other"]
    assert [(p.rejected, p.not_applied) for p in found.waterfall.phases] == [(1, 1)]


def test_a_filter_that_names_places_out_of_turn_ends_the_run(own, sample):
    with pytest.raises(RuntimeError, match="out of turn"):
        sift([sample("Who?", "Ann"), sample("Where?", "Here")], own("careless"), NOTHING)


def test_a_pardon_keeps_a_sample_and_says_what_it_was_pardoned(own, sample):
    samples = [sample("Who?", "b"), sample("Who else?", "c"), sample("Where?", "afar"), sample("Where not?", "afar")]
    plainly = sift(samples, own("short", "twins"), NOTHING)
    assert len(plainly.kept) == 1
    twin = next(verdict for verdict in plainly.verdicts if verdict.filter == "twins")
    found = sift(samples, own("short", "twins"), NOTHING, pardons=(samples[0].id[:10], f"{twin.subject}:twins"))
    assert {one.id for one in found.kept} == {plainly.kept[0].id, samples[0].id, twin.subject}
    told = [(v.subject, v.filter, v.reason) for v in found.verdicts if v.keep and v.filter != "sift"]
    assert sorted(told) == sorted(
        [(samples[0].id, "short", "pardoned: too short"), (twin.subject, "twins", "pardoned: said before")]
    )
    other = sift(samples, own("short", "twins"), NOTHING, pardons=(f"{samples[0].id}:twins",))
    assert other.kept == plainly.kept, "another filter's pardon is none of this one's"


# --- files, memory, processes -----------------------------------------------------------------------------------


def written(path, samples):
    write_records(path, samples)
    return Stock(path)


def run(path, filters, around=NOTHING, **options):
    lines = []
    with Stock(path) as stock:
        outcome = passed(stock, filters, around, tell=lambda place, line: lines.append((place, line)), **options)
        return outcome.waterfall, [one.id for one in outcome.kept], sorted(lines), outcome.looked_at


def many(sample, count, begin=0):
    return [
        sample(f"What is number {n} of the list of {n % 7} names?", f"It is {n % 50}." if n % 11 else "<|user|>")
        for n in range(begin, begin + count)
    ]


CHAIN = named("markup", "length", "exact_duplicate", "near_duplicate", "grounded")


def test_what_was_looked_at_before_is_remembered_and_gives_the_same(tmp_path, sample):
    path, memory = tmp_path / "s.jsonl", tmp_path / "memory"
    write_records(path, many(sample, 300))
    first = run(path, CHAIN, memory=memory)
    assert first[3] == 300
    assert run(path, CHAIN, memory=memory) == (*first[:3], 0)
    write_records(path, many(sample, 320)[5:])
    fewer = run(path, CHAIN, memory=memory)
    assert fewer[3] == 20
    assert fewer[:3] == run(path, CHAIN)[:3]


def test_another_option_or_another_seed_example_is_looked_at_again(tmp_path, sample):
    path, memory = tmp_path / "s.jsonl", tmp_path / "memory"
    write_records(path, [*many(sample, 20), sample("Who?", "Ann", leaf="other")])
    run(path, CHAIN, memory=memory)
    assert run(path, [*CHAIN, FilterChoice(name="evidence")], memory=memory)[3] == 21
    stricter = FilterChoice(name="length", options={"min_answer_words": 2})
    assert run(path, [stricter], memory=memory)[3] == 21
    around = Surroundings(leaves={"other": LeafFacts(path="other")})
    assert run(path, [stricter], around, memory=memory)[3] == 1


@pytest.mark.parametrize("damage", ["index", "keys", "ends", "data", "gone", "flipped"])
def test_damaged_memory_is_as_good_as_none(tmp_path, sample, damage):
    path, memory = tmp_path / "s.jsonl", tmp_path / "memory"
    write_records(path, many(sample, 50))
    first = run(path, CHAIN, memory=memory)
    if damage == "index":
        (memory / INDEX).write_bytes(b'{"name": ')
    elif damage == "gone":
        next(memory.glob("*.data")).unlink()
    elif damage == "flipped":
        file = next(memory.glob("*.data"))
        file.write_bytes(b"\xff" * file.stat().st_size)
    else:
        file = next(memory.glob(f"*.{damage}"))
        file.write_bytes(file.read_bytes()[:-9])
    assert run(path, CHAIN, memory=memory) == first


def test_several_processes_give_the_same(tmp_path, sample, monkeypatch):
    monkeypatch.setattr(findings_module, "MANY", 10)
    monkeypatch.setattr(findings_module, "BATCH", 7)
    path = tmp_path / "s.jsonl"
    write_records(path, many(sample, 100))
    assert run(path, CHAIN, processes=3) == run(path, CHAIN)


def test_a_line_that_is_no_sample_is_named_by_any_process(tmp_path, sample, monkeypatch):
    monkeypatch.setattr(findings_module, "MANY", 10)
    path = tmp_path / "s.jsonl"
    write_records(path, many(sample, 30))
    lines = path.read_bytes().splitlines(keepends=True)
    odd = orjson.loads(lines[17])
    del odd["answer"]
    lines[17] = orjson.dumps(odd) + b"\n"
    path.write_bytes(b"".join(lines))
    for processes in (1, 2):
        with pytest.raises(InputError) as told:
            run(path, CHAIN, processes=processes)
        assert "s.jsonl:18" in str(told.value)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 60), max_size=40), st.lists(st.integers(0, 60), max_size=40))
def test_whatever_was_there_before_the_verdicts_are_those_of_a_run_from_scratch(tmp_path, sample, before, after):
    path, memory = tmp_path / "s.jsonl", tmp_path / "memory"
    shutil.rmtree(memory, ignore_errors=True)
    pool = many(sample, 61)
    for numbers in (before, after):
        write_records(path, [pool[number] for number in dict.fromkeys(numbers)])
        remembered = run(path, CHAIN, memory=memory)
    assert remembered[:3] == run(path, CHAIN)[:3]


def test_a_verdict_as_told_is_the_record_as_written(sample):
    told = sift([sample("Who?", ""), sample("Who?", "Ann")], named("markup"), NOTHING)
    assert all(orjson.loads(orjson.dumps(plain(verdict))) == plain(verdict) for verdict in told.verdicts)
