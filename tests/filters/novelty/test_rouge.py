"""Self-Instruct's rule: the decisions of the package rouge-score, pair by pair, in a pool that grows in id order."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.filters.novelty import rouge
from instructlab_like.filters.novelty.rouge import Rouge
from instructlab_like.filters.parts import bitmaps, rouge_l
from instructlab_like.filters.pool import Held
from instructlab_like.records import Pair, Seed

THRESHOLDS = [0.0, 0.2, 0.5, 2 / 3, 0.7, 0.9]
RATIOS = sorted({2 * common / total for total in range(2, 30) for common in range(1, total // 2 + 1)} - {1.0})
TIDES = "knowledge/science/tides"


class Tokens:
    """Our tokens for rouge-score, where they are not its own."""

    def tokenize(self, text):
        return rouge_l.tokens(text)


THEIRS = RougeScorer(["rougeL"])
WITH_OURS = RougeScorer(["rougeL"], tokenizer=Tokens())


def measure(one, other, scorer=THEIRS):
    return scorer.score(one, other)["rougeL"].fmeasure


def judge(samples, *, around=None, **options):
    """What it says of each sample, by id; None: kept."""
    chosen = Rouge(**options)
    ordered = sorted(samples, key=lambda one: one.id)
    told = list(chosen.judge(Held(ordered, [chosen.sketch(one) for one in ordered]), around or Surroundings()))
    places = [place for place, _ in told]
    assert places == sorted(set(places))
    found = {one.id: None for one in ordered}
    return found | {ordered[place].id: judgement for place, judgement in told}


def decided(samples, **options):
    """The partner and score of each rejected sample."""
    told = judge(samples, **options)
    return {id: (one.partner, one.score) for id, one in told.items() if one is not None and one.applied}


def by_pairs(samples, *, threshold=0.7, scorer=THEIRS, seeds=(), text=lambda one: one.question, group=lambda one: ""):
    """The same, one pair after the other."""
    kept, found = [], {}
    for one in sorted(samples, key=lambda one: one.id):
        likely = [(name, question) for name, question in seeds]
        above = [(score, name) for name, other in likely if (score := measure(other, text(one), scorer)) > threshold]
        if not above:
            others = [other for other in kept if group(other) == group(one)]
            above = [
                (score, other.id) for other in others if (score := measure(text(other), text(one), scorer)) > threshold
            ]
        if above:
            score, partner = max(above, key=lambda pair: pair[0])  # the first of the highest
            found[one.id] = partner, score
        else:
            kept.append(one)
    return found


@pytest.fixture(params=["as it is", "in small pieces"])
def pieces(request, monkeypatch):
    if request.param == "in small pieces":
        monkeypatch.setattr(rouge, "BLOCK", 5)
        monkeypatch.setattr(bitmaps, "CHUNK", 3)
        monkeypatch.setattr(rouge_l, "CHARACTERS", 4)


def edited(rng, words, text):
    text = list(text)
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.choice([0, 1])] = rng.choice([[], [rng.choice(words)]])
    return text or ["a"]


def corpus(sample, seed, count=150, vocabulary=30, most=40):
    """Texts many of which are others with a few words changed, so that many F-measures are about the threshold."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(vocabulary)]
    texts = []
    for _ in range(count):
        if texts and rng.random() < 0.6:
            texts.append(edited(rng, words, rng.choice(texts)))
        else:
            texts.append(rng.choices(words, k=rng.randint(1, most)))
    return [sample(" ".join(text), "yes", id=f"{rng.getrandbits(32):08x}", leaf=rng.choice("ab")) for text in texts]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_decisions_partners_and_scores_are_those_of_every_pair(sample, pieces, seed, threshold):
    samples = corpus(sample, seed, count=90)
    found = decided(samples, threshold=threshold)
    assert found == by_pairs(samples, threshold=threshold)
    assert found


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=14).map(" ".join), min_size=2, max_size=12),
    st.sampled_from(RATIOS),
)
def test_a_measure_that_equals_the_threshold_is_decided_as_the_float_is(sample, texts, threshold):
    samples = [sample(text, "yes", id=f"{number:02}") for number, text in enumerate(texts)]
    assert decided(samples, threshold=threshold) == by_pairs(samples, threshold=threshold)


def test_every_measure_that_two_short_texts_can_have_is_at_most_itself(sample):
    """7 of 10 words is 0.7 in exact arithmetic, and perhaps not in floats: no comparison may differ."""
    for one in range(1, 21):
        for other in range(one, 21):
            for common in range(1, one + 1):
                texts = [
                    " ".join([*"x" * common, *"y" * (one - common)]),
                    " ".join([*"x" * common, *"z" * (other - common)]),
                ]
                exact = measure(*texts)
                if exact == 1:
                    continue
                samples = [sample(text, "yes", id=str(number)) for number, text in enumerate(texts)]
                assert decided(samples, threshold=exact) == {}, (one, other, common)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.sampled_from(["", "the tide rises twice a day "]))
def test_tokens_are_those_of_rouge_score_where_most_letters_are_latin(text, before):
    theirs = THEIRS._tokenizer.tokenize(before + text)
    letters = sum(map(str.isalnum, (before + text).lower()))
    if 2 * sum(map(len, theirs)) >= letters:
        assert rouge_l.tokens(before + text) == theirs


@pytest.mark.parametrize(
    "text",
    [
        "Wie heißt die größte Stadt am Rhein, und wie viele Menschen wohnen dort?",
        "¿Cuántos años tardó la construcción del puerto?",
        "İstanbul'da kaç köprü var? \u212a",
        "x² + y² = 25 – what is x?",
    ],
)
def test_european_texts_are_cut_as_rouge_score_cuts_them(text):
    assert rouge_l.tokens(text) == THEIRS._tokenizer.tokenize(text)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Python 3 的列表推导式是什么？", "Python 3 怎样读取一个大文件？", False),
        ("塔は何年に建てられましたか？", "塔は何年に建てられたのですか？", True),
        ("Сколько спутников у планеты Юпитер сегодня?", "Сколько спутников у планеты Юпитер сейчас?", True),
        ("Сколько спутников у Юпитера?", "Почему бывают приливы и отливы?", False),
        ("ใครสร้างหอคอยแห่งนี้", "ใครสร้างหอคอยแห่งนั้น", True),
    ],
)
def test_texts_in_other_scripts_are_compared_by_their_own_words(sample, one, other, alike):
    samples = [sample(text, "yes", id=str(number)) for number, text in enumerate((one, other))]
    assert bool(decided(samples)) is alike
    assert decided(samples) == by_pairs(samples, scorer=WITH_OURS)


def test_order_of_arrival_changes_nothing(sample):
    samples = corpus(sample, 5)
    expected = decided(samples)
    random.Random(1).shuffle(samples)
    assert decided(samples) == expected


@pytest.mark.parametrize("of", ["question", "answer", "both"])
def test_what_is_compared_can_be_chosen(sample, of):
    rng = random.Random(7)
    questions, answers = corpus(sample, 1, most=12), corpus(sample, 2, most=20)
    samples = [sample(one.question, two.question, id=one.id) for one, two in zip(questions, answers, strict=True)]
    rng.shuffle(samples)
    text = {"question": lambda one: one.question, "answer": lambda one: one.answer}.get(
        of, lambda one: f"{one.question}\n{one.answer}"
    )
    found = decided(samples, of=of)
    assert found == by_pairs(samples, text=text)
    assert found


def test_leaves_can_be_compared_each_by_itself(sample, pieces):
    samples = corpus(sample, 3)
    found = decided(samples, within="leaf")
    assert found == by_pairs(samples, group=lambda one: one.lineage.leaf)
    assert found != decided(samples)


def surroundings(*seeds):
    return Surroundings(leaves={TIDES: LeafFacts(path=TIDES, seeds=seeds)})


def test_seed_examples_of_the_leaf_go_first_and_are_named_by_their_line(sample):
    seeds = (
        Seed(number=1, line=4, pairs=(Pair(question="How high is the tide in the bay at noon?", answer="4 m"),)),
        Seed(number=2, line=9, pairs=(Pair(question="How high is the tide in the bay at night?", answer="3 m"),)),
    )
    samples = [
        sample("How high is the tide in the bay at night?", "3 m", id="a", leaf="elsewhere"),
        sample("How high is the tide in the bay by night?", "3 m", id="b"),
        sample("Why do rivers flow?", "Downhill.", id="c"),
    ]
    told = judge(samples, around=surroundings(*seeds))
    assert told["a"] is None
    assert told["c"] is None
    assert (told["b"].rule, told["b"].partner) == ("near-seed", f"{TIDES}/qna.yaml:9")
    assert told["b"].score == measure(seeds[1].pairs[0].question, samples[1].question)
    assert "How high is the tide in the bay at night?" in told["b"].reason
    without = judge(samples)
    assert (without["b"].rule, without["b"].partner, without["b"].threshold) == ("near-kept", "a", 0.7)


@pytest.mark.parametrize("seed", range(3))
def test_decisions_with_seed_examples_are_those_of_every_pair(sample, pieces, seed):
    samples = [
        one.model_copy(update={"lineage": one.lineage.model_copy(update={"leaf": TIDES})})
        for one in corpus(sample, seed)
    ]
    texts = [one.question for one in corpus(sample, seed, count=8)]
    pairs = tuple(
        Seed(number=line, line=line, pairs=(Pair(question=text, answer="yes"),)) for line, text in enumerate(texts, 1)
    )
    named = [(f"{TIDES}/qna.yaml:{line}", text) for line, text in enumerate(texts, 1)]
    found = decided(samples, around=surroundings(*pairs))
    assert found == by_pairs(samples, seeds=named)
    assert any(partner.startswith(TIDES) for partner, _ in found.values())


def test_one_question_about_two_passages_is_new_and_two_about_one_passage_are(sample):
    first = "The harbour wall of Orrin was built in 1874 by Mara Vell and slows the current along the coast."
    second = "Bees dance to tell one another where flowers are, and the angle of the dance points to them."
    asked = "Correct the spelling of this text."
    samples = [
        sample(asked, "…", id="a", kind="grounded", context=first),
        sample(asked, "…", id="b", kind="grounded", context=second),
        sample("Who built the wall, and when?", "…", id="c", kind="grounded", context=first),
        sample("Please correct the spelling of this text.", "…", id="d", kind="grounded", context=second + " Indeed."),
        sample(asked, "…", id="e"),
    ]
    told = decided(samples)
    assert set(told) == {"d"}
    assert told["d"] == ("b", min(measure(asked, samples[3].question), measure(second, samples[3].context)))
    seed = Seed(number=1, line=3, context=first, pairs=(Pair(question=asked, answer="…"),))
    facts = Surroundings(leaves={TIDES: LeafFacts(path=TIDES, seeds=(seed,))})
    assert decided(samples[:3], around=facts) == {"a": (f"{TIDES}/qna.yaml:3", 1.0)}


def test_what_rules_and_simulations_made_is_left_alone_unless_asked_for(sample):
    samples = [sample(f"How many legs has a {what}?", "8", method="simulation") for what in ("spider", "crab", "tick")]
    samples += [sample(f"How many wings has a {what}?", "2", method="rules") for what in ("fly", "sparrow")]
    told = judge(samples)
    assert all(not one.applied and one.keep for one in told.values())
    assert {one.reason for one in told.values()} == {"varied on purpose by simulation", "varied on purpose by rules"}
    assert len(decided(samples, model_free=True)) == 3


def test_samples_without_a_word_are_not_judged(sample):
    samples = [sample("?!", "…", id=id) for id in "ab"] + [sample("", "x", id="c")]
    told = judge(samples)
    assert all(not one.applied and one.keep and "no words" in one.reason for one in told.values())


def test_samples_from_elsewhere_need_no_leaf(sample):
    one = sample("How high is the tide in the bay at noon?", "4 m", id="a", leaf="")
    assert set(decided([one, one.model_copy(update={"id": "b"})])) == {"b"}


def test_tokens_beyond_any_two_bytes_are_told_apart(sample):
    """A token's character may be half of a surrogate pair, or need four bytes."""
    first = " ".join(f"w{number}" for number in range(0xD7FE))
    texts = [first, "a b c d e f g h", "a b c d e f x h", *(f"p{at} q{at} r{at}" for at in range(3_000))]
    samples = [sample(text, "yes", id=f"{number:05}") for number, text in enumerate(texts)]
    assert decided(samples) == {"00002": ("00001", 0.875)}


def test_no_samples_are_judged_as_none():
    assert judge([]) == {}
