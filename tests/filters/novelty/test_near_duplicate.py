"""Near copies: what is one and what is none, whatever the order, and whatever is remembered."""

from __future__ import annotations

import random
from functools import partial

import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.planted.near_duplicate import Planter
from benchmarks.planted.retold import CHARACTERS, ENGLISH, LETTERS
from instructlab_like.filters import Surroundings
from instructlab_like.filters.novelty import near_duplicate
from instructlab_like.filters.novelty.near_duplicate import FILE, NearDuplicate
from instructlab_like.filters.parts import shelves
from instructlab_like.filters.pool import Held

WORDS_TEXT = (
    "tide moon harbour wall lamp copper stone crane rope gauge pier storm not Orrin Vell 7 1874 of the a and 海 港 が"
)
WORDS = WORDS_TEXT.split()
METHODS = ("teacher", "teacher", "given", "teacher", "rules")


class Remembering(Held):
    """Samples in memory, with a folder for what may be of use another time."""

    def __init__(self, samples, sketches, memory=None):
        super().__init__(samples, sketches)
        self.memory = memory


def judge(samples, *, memory=None, **options):
    """The judgement of each sample that is rejected or not judged, by its id."""
    chosen = NearDuplicate(**options)
    ordered = sorted(samples, key=lambda one: one.id)
    pool = Remembering(ordered, [chosen.sketch(one) for one in ordered], memory)
    told = list(chosen.judge(pool, Surroundings()))
    assert [place for place, _ in told] == sorted({place for place, _ in told})
    return {ordered[place].id: judgement for place, judgement in told}


def rejected(samples, **options):
    return {id: told for id, told in judge(samples, **options).items() if not told.keep}


QUESTION = "Why is the old harbour of Orrin said to change the shape of the coast?"
ANSWER = (
    "The harbour of Orrin is known for its long wall, which since 1874 has slowed the current along the coast, so that "
    "sand settles behind it and the beach grows a little wider with every winter storm."
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Orrin", "Maraden"),
        ("1874", "1931"),
        ("harbour", "lighthouse"),
        ("is known", "is not known"),
        ("wider", "narrower"),
        ("old", "new"),
    ],
)
def test_another_number_name_subject_opposite_or_a_not_is_another_sample(sample, old, new):
    assert old in QUESTION + ANSWER
    asked = QUESTION.replace(old, new) if old in QUESTION else f"{QUESTION} Explain it."
    assert rejected([sample(QUESTION, ANSWER), sample(asked, ANSWER.replace(old, new))]) == {}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (QUESTION.replace("of the coast", "of coasts"), ANSWER.replace("known", "famous").replace("so that", "thus")),
        (QUESTION.replace("the old", "old"), ANSWER.replace("so that", "and so").replace("behind it", "there")),
        (QUESTION.upper(), ANSWER.replace(", which", " which").replace("every", "each")),
        (QUESTION.replace("1874", ""), ANSWER.replace(" since 1874", "").replace("long wall", "wall, a long one")),
    ],
)
def test_a_few_other_words_make_a_copy(sample, asked, answered):
    told = rejected([sample(QUESTION, ANSWER, id="a" * 32), sample(asked, answered, id="b" * 32)])
    assert {id: (one.rule, one.partner, one.threshold) for id, one in told.items()} == {
        "b" * 32: ("near-copy", "a" * 32, 0.75)
    }
    assert 0.75 <= told["b" * 32].score < 1
    assert told["b" * 32].reason.endswith('"Why is the old harbour of Orrin said to change the shape of…"')


def test_names_that_change_places_make_another_sample(sample):
    tale = "In the long match at the old harbour {} beat {} by a single point, after both had rested for a week."
    asked = "Who won the match at the harbour, and who lost it?"
    won, lost = tale.format("Ann", "Ben"), tale.format("Ben", "Ann")
    assert rejected([sample(asked, won), sample(f"{asked} Say it.", lost)]) == {}


def test_a_name_that_is_hit_among_many_edits_is_an_edit(sample):
    edited = (
        "The harbour of Quill is well known for its long wall, that since 1874 has slowed current along the coast, "
        "sand so settles behind it and beach grows a wider little with every storm."
    )
    assert len(rejected([sample(QUESTION, ANSWER), sample(QUESTION.replace("said", "thought"), edited)])) == 1


def test_another_sample_is_no_copy_of_what_is_an_edited_copy_of_its_like(sample):
    """The edited one, which comes first, is as far from both; but the original says that the third is another."""
    edited = (
        "The harbour of Orrin is well known for its long wall, that since 1874 has slowed current along the coast, "
        "sand so settles behind it and beach grows a wider little with every storm."
    )
    ids = ("a" * 32, "b" * 32, "c" * 32)
    for first, second, third in [ids, (ids[0], ids[2], ids[1])]:
        samples = [
            sample(QUESTION.replace("said", "thought"), edited, id=first),
            sample(QUESTION, ANSWER, id=second),
            sample(QUESTION.replace("of the", "of that"), ANSWER.replace("1874", "1931"), id=third),
        ]
        assert {id: one.partner for id, one in rejected(samples).items()} == {second: first}


def test_one_answer_to_two_questions_is_no_copy(sample):
    samples = [sample("Why does the beach become wider?", ANSWER), sample("How can a wall gather sand here?", ANSWER)]
    assert rejected(samples) == {}


def test_one_instruction_about_two_passages_is_no_copy(sample):
    rng = random.Random(1)
    texts = [ENGLISH.drawn(rng).texts()[1] for _ in range(20)]
    asked = "Return the text after correcting it."
    assert rejected([sample(asked, text, kind="grounded", context=text.lower()) for text in texts]) == {}


def test_phrasings_by_rules_and_draws_of_a_simulation_are_left_alone(sample):
    text = "____ of the long wall slows the current along the coast so that the sand settles behind it every winter"
    rules = [
        sample(f"{ask}: {text}", "The building", method="rules", kind="knowledge") for ask in ("Fill in", "Fill it in")
    ]
    told = judge(rules)
    assert {(one.applied, one.reason) for one in told.values()} == {
        (False, "varied on purpose: made by rules or a simulation")
    }
    assert len(rejected(rules, model_free=True)) == 1


def test_samples_from_a_file_are_compared(sample):
    assert len(rejected([sample(f"{ask} {QUESTION}", ANSWER, method="given") for ask in ("Now:", "Well:")])) == 1


def test_short_samples_are_not_compared(sample):
    told = judge(
        [sample("What is the largest planet?", "Jupiter"), sample("What is the largest planet of all?", "Jupiter")]
    )
    assert {(one.applied, one.reason) for one in told.values()} == {(False, "shorter than 12 words")}
    characters = sample("最大的行星叫什么名字？", "木星。")
    assert len(judge([characters])) == 1
    assert judge([sample("太阳系里最大的行星叫什么名字，它有多少颗卫星？", "木星，已知的卫星超过九十颗。")]) == {}


def test_leaves_are_compared_unless_each_is_to_be_by_itself(sample):
    samples = [sample(QUESTION.replace("the old", leaf), ANSWER, leaf=leaf) for leaf in ("some", "that")]
    assert len(rejected(samples)) == 1
    assert rejected(samples, within="leaf") == {}
    assert len(rejected([sample(f"{word} {QUESTION}", ANSWER, leaf="a") for word in ("So", "Now")], within="leaf")) == 1


@pytest.mark.parametrize("spoken", [ENGLISH, *LETTERS, *CHARACTERS], ids=lambda spoken: spoken.name)
def test_copies_with_one_word_in_eight_edited_are_found_with_their_originals(sample, spoken):
    planter = Planter(random.Random(4))
    texts = list({spoken.drawn(planter.rng, 4).texts()[0]: None for _ in range(120)})
    originals, edited = {}, {}
    for number, _ in enumerate(texts):
        pair = spoken.drawn(planter.rng, 4).texts()
        originals[f"{number:032x}"] = pair
        edited[f"{number + 1000:032x}"] = planter.edited(spoken, pair)
    found = rejected([sample(*pair, id=id) for id, pair in {**originals, **edited}.items()])
    assert len(found.keys() & edited.keys()) >= 0.97 * len(edited)
    assert len(found.keys() & originals.keys()) <= 1
    named = sum(int(one.partner, 16) == int(id, 16) - 1000 for id, one in found.items())
    assert named >= 0.98 * len(found)


def corpus(sample, seed, count=160):
    """Samples of two leaves, many of them another's with a few words changed, added or left out; some short."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        if made and rng.random() < 0.5:
            old = rng.choice(made)
            texts = [" ".join(edited(rng, text.split())) for text in (old.question, old.answer)]
            made.append(sample(*texts, kind=old.kind, leaf=rng.choice("ab"), context=old.context))
            continue
        question, answer, context = (" ".join(rng.choices(WORDS, k=rng.randint(3, size))) for size in (14, 60, 9))
        kind = rng.choice(["knowledge", "freeform", "grounded"])
        context = context if kind == "grounded" else None
        made.append(
            sample(question, answer, kind=kind, leaf=rng.choice("ab"), method=rng.choice(METHODS), context=context)
        )
    return list({one.id: one for one in made}.values())


def edited(rng, words):
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
        words[rng.randrange(len(words)) : 1] = rng.choice([[], ["indeed"], [rng.choice(WORDS)]])
        words = words or ["a"]
    return words


def by_all_pairs(samples, **options):
    """Every sample compared with every kept one before it that shares a band, without shelves or blocks."""
    chosen = NearDuplicate(**options)
    sketched = {one.id: (one, chosen.sketch(one)) for one in sorted(samples, key=lambda one: one.id)}
    sketched = {id: both for id, both in sketched.items() if any(both[1][-shelves.SLOTS :])}
    texts = {id: near_duplicate.Text.of(one) for id, (one, _) in sketched.items()}
    kept, told = [], {}
    for id, (_, sketch) in sketched.items():
        likely = [
            (-same(sketch, sketched[other][1]), other) for other in kept if alike(chosen, sketch, sketched[other][1])
        ]
        for _, other in sorted(likely)[: near_duplicate.MOST]:
            score = chosen.scored(texts[id], texts[other])
            if score > 0 or (score < 0 and not is_another(chosen, id, other, score, sketched, texts)):
                told[id] = (other, abs(score))
                break
        else:
            kept.append(id)
    return told


def is_another(chosen, id, other, score, sketched, texts):
    mine = sketched[id][1]
    nearer = sorted(
        (-same(mine, sketch), third)
        for third, (_, sketch) in sketched.items()
        if third != id and meet(mine, sketch) and same(mine, sketch) > same(mine, sketched[other][1])
    )
    for _, third in nearer[: near_duplicate.MOST]:
        if chosen.compare(texts[id], texts[third]) is not None:
            return False
        if (between := chosen.compare(texts[third], texts[other])) is not None and between > abs(score):
            return True
    return False


def same(one, other, slots=shelves.SLOTS):
    begin = len(one) - shelves.SLOTS
    return sum(a == b for a, b in zip(one[begin : begin + slots], other[begin : begin + slots], strict=True))


def meet(one, other):
    leaf = slice(4, 8)
    shared = set(shelves.bands(one[-shelves.SLOTS :])) & set(shelves.bands(other[-shelves.SLOTS :]))
    return bool(shared) and one[leaf] == other[leaf]


def alike(chosen, one, other):
    mine, theirs = (set(shelves.HASHES.unpack_from(sketch, 8)) - {0} for sketch in (one, other))
    fewest = min(len(mine), len(theirs))
    return (
        meet(one, other)
        and same(one, other, shelves.SOME) >= shelves.LESS * chosen.signature * shelves.SOME
        and same(one, other) >= chosen.signature * shelves.SLOTS
        and (fewest < shelves.FEWEST or len(mine & theirs) >= shelves.SAME * fewest)
    )


OPTIONS = [{}, {"model_free": True}, {"similarity": 0.5, "signature": 0.1, "min_words": 1}, {"within": "leaf"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("block", [3, 64, 4096])
def test_verdicts_are_those_of_all_pairs(sample, monkeypatch, options, block):
    monkeypatch.setattr(shelves, "BLOCK", block)
    monkeypatch.setattr(shelves, "TOGETHER", 50 * block)
    monkeypatch.setattr(shelves, "CHUNK", 7)
    monkeypatch.setattr(near_duplicate, "WORDS", 200)
    count = 0
    for seed in range(4):
        samples = corpus(sample, seed)
        told = rejected(samples, **options)
        assert {id: (one.partner, one.score) for id, one in told.items()} == by_all_pairs(samples, **options)
        count += len(told)
    assert count > 20


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_in_which_samples_were_made_decides_nothing(sample, seed, rng):
    samples = corpus(sample, seed, count=60)
    expected = judge(samples)
    rng.shuffle(samples)
    assert judge(samples) == expected


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.data())
def test_whatever_is_remembered_the_verdicts_are_those_from_scratch(sample, tmp_path_factory, seed, data):
    """Samples come, go and change from run to run; the file is damaged, or of other options."""
    memory = tmp_path_factory.mktemp("memory")
    everything = corpus(sample, seed, count=80)
    for _ in range(4):
        some = data.draw(st.lists(st.sampled_from(everything), unique_by=lambda one: one.id, max_size=80))
        options = data.draw(st.sampled_from([{}, {"similarity": 0.5, "signature": 0.1, "min_words": 1}]))
        assert judge(some, memory=memory, **options) == judge(some, **options)
        damage = data.draw(st.sampled_from(["none", "none", "cut", "flipped", "garbage", "gone"]))
        file = memory / FILE
        if file.exists() and damage != "none":
            content = file.read_bytes()
            at = data.draw(st.integers(0, len(content) - 1))
            if damage == "gone":
                file.unlink()
            else:
                flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
                file.write_bytes({"cut": content[:at], "flipped": flipped, "garbage": b"\x93NUMPY"}[damage])


def test_what_was_compared_once_is_not_compared_again(sample, tmp_path, monkeypatch):
    samples = corpus(sample, 5, count=200)
    new = corpus(sample, 6, count=10)
    first = judge(samples, memory=tmp_path)
    read = []
    monkeypatch.setattr(near_duplicate.Text, "of", partial(counted, near_duplicate.Text.of, read))
    assert judge(samples, memory=tmp_path) == first
    assert read == []
    judge(samples + new, memory=tmp_path)
    assert 0 < len(set(read) & {one.id for one in new}) <= 10
    assert len(read) < 60


def counted(of, read, sample):
    read.append(sample.id)
    return of(sample)


def test_an_unchanged_memory_is_not_written_again(sample, tmp_path):
    samples = corpus(sample, 7)
    judge(samples, memory=tmp_path)
    before = (tmp_path / FILE).stat().st_mtime_ns
    judge(samples, memory=tmp_path)
    assert (tmp_path / FILE).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_thousands_in_one_mould_are_looked_at_few_by_few(sample, monkeypatch):
    """All share most of their text: none is another's copy, and the comparisons do not grow with the square."""
    rng = random.Random(2)
    names = [
        f"{a}{b}{c}".capitalize() for a in ("bo", "ka", "lim") for b in ("ra", "to", "nu") for c in ("s", "d", "ll")
    ]
    mould = (
        "The station of {} was opened in {} by a company that had bought the land from {} in order to carry coal to "
        "the coast, and it was closed again as soon as the pits had been given up."
    )
    samples = [
        sample(
            f"When was the station of {name} opened?", mould.format(name, rng.randint(1500, 2000), rng.choice(names))
        )
        for name in (f"{rng.choice(names)}{number}" for number in range(3000))
    ]
    compared = []
    monkeypatch.setattr(NearDuplicate, "scored", lambda self, one, other: compared.append(1) or near_duplicate.NONE)
    assert rejected(samples) == {}
    assert len(compared) <= near_duplicate.MOST * len(samples)


def test_thousands_of_copies_of_one_text_have_one_partner(sample):
    rng = random.Random(8)
    filler = ("indeed", "rather", "mostly", "plainly", "usually", "thereby")
    samples = []
    for number in range(3000):
        words = ANSWER.split()
        words.insert(rng.randrange(len(words)), rng.choice(filler))
        samples.append(sample(QUESTION, " ".join(words), id=f"{number:032x}"))
    found = rejected(samples)
    assert len(found) == 2999
    assert {one.partner for one in found.values()} == {f"{0:032x}"}


def test_a_doubt_among_thousands_in_one_mould_is_settled(sample):
    """Where every shelf is full of others, nothing nearer is looked for."""
    tale = "The {} of the old quay was {} in {} by the {} company, whose clerks had {} every plank of it at least once."
    asked = "Who mended the quay, and what had been done before?"
    samples = [
        sample(
            f"{asked} {number}", tale.format(*(word * 2 for word in random.Random(number).choices("abcdefghij", k=5)))
        )
        for number in range(1500)
    ]
    samples.append(
        sample(f"{asked} 7", tale.format("aa", "bb", "cc", "dd", "ee").replace("at least once", "once least"))
    )
    assert all(told.score >= 0.75 for told in rejected(samples).values())


def test_an_empty_pool_and_an_empty_text_are_judged(sample):
    assert judge([]) == {}
    assert len(judge([sample("", ""), sample(" \n", "?!")])) == 2
    assert judge([sample("", "")], min_words=1)
    lone = sample("\ud800 " * 20, "a\ud800b " * 20, id="f" * 32)
    assert judge([lone]) == {}


def test_what_datasketch_finds_with_the_same_bands_is_found(sample):
    """The oracle: MinHash over runs of three words, 32 bands of 4 rows, and a check of the words alone."""
    planter = Planter(random.Random(11))
    pairs = [ENGLISH.drawn(planter.rng, 4).texts() for _ in range(80)]
    pairs += [planter.edited(ENGLISH, pair) for pair in pairs]
    samples = [sample(*pair, id=f"{number:032x}") for number, pair in enumerate(pairs)]
    lsh = MinHashLSH(num_perm=128, params=(32, 4))
    theirs = set()
    for number, pair in enumerate(pairs):
        words = " ".join(pair).lower().split()
        hashed = MinHash(num_perm=128)
        hashed.update_batch([" ".join(words[at : at + 3]).encode() for at in range(len(words) - 2)])
        theirs |= {number} if number - 80 in lsh.query(hashed) else set()
        lsh.insert(number, hashed)
    ours = {int(id, 16) for id in rejected(samples)}
    assert len(theirs) > 60
    assert len(theirs - ours) <= 1
    assert len(ours) >= 78
