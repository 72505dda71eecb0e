from __future__ import annotations

import pytest

from instructlab_like.filters import LeafFacts
from instructlab_like.filters.shape.language import Language
from instructlab_like.records import Lineage, Pair, Sample, Seed

PAIRS = {
    "English": (
        "How high is the tower that stands by the harbour?",
        "The tower is forty metres high and was built in 1874.",
    ),
    "German": (
        "Wie hoch ist der Turm, der am Hafen steht?",
        "Der Turm ist vierzig Meter hoch und wurde 1874 gebaut.",
    ),
    "French": (
        "Quelle est la hauteur de la tour du port ?",
        "La tour mesure quarante mètres et a été construite en 1874.",
    ),
    "Spanish": (
        "¿Qué altura tiene la torre del puerto?",
        "La torre mide cuarenta metros y fue construida en 1874 por el gremio.",
    ),
    "Polish": (
        "Jak wysoka jest wieża, która stoi przy porcie?",
        "Wieża ma czterdzieści metrów i została zbudowana w 1874 roku.",
    ),
    "Russian": (
        "Какова высота башни, которая стоит у гавани?",
        "Башня имеет высоту сорок метров и была построена в 1874 году.",
    ),
    "Chinese": (
        "港口旁边的塔有多高？",
        "这座塔高四十米，由石匠行会于1874年建造。",
    ),
    "Japanese": (
        "港のそばに立つ塔の高さはどれくらいですか。",
        "その塔は高さ四十メートルで、1874年に建てられました。",
    ),
    "Arabic": (
        "ما ارتفاع البرج الذي يقع بجانب الميناء؟",
        "يبلغ ارتفاع البرج أربعين مترا وقد بني في عام 1874.",
    ),
}


def leaf(*languages):
    pairs = [Pair(question=PAIRS[name][0], answer=PAIRS[name][1]) for name in languages]
    seeds = tuple(Seed(number=place, line=place, pairs=(pair,)) for place, pair in enumerate(pairs * 3, start=1))
    return LeafFacts(path="knowledge/science/tides", seeds=seeds)


@pytest.mark.parametrize("own", PAIRS)
def test_another_language_is_rejected_and_its_own_kept(sample, own):
    question, answer = PAIRS[own]
    assert Language().judge(sample(question, answer), leaf(own)).keep
    for other, (asked, told) in PAIRS.items():
        if other != own:
            judged = Language().judge(sample(question, told), leaf(own))
            assert judged.rule == "other-language", (own, other)
            assert f"the answer is in {other}" in judged.reason
            assert "the question is in" in Language().judge(sample(asked, answer), leaf(own)).reason


def test_seed_examples_may_be_in_several_languages(sample):
    both = leaf("English", "German")
    for question, answer in (PAIRS["English"], PAIRS["German"]):
        assert Language().judge(sample(question, answer), both).keep
    assert not Language().judge(sample(*PAIRS["French"]), both).keep


@pytest.mark.parametrize(
    "answer",
    [
        "1874",
        "Mara Vell, Jon Stark, Ivo Brand, Ana Silva, Petra Novak",
        "E = mc²",
        "```python\nfor row in table:\n    if row.total is not None and row.total > 0:\n        print(row)\n```",
        "SELECT name, total FROM rows WHERE total > 0 AND name IS NOT NULL ORDER BY total;",
        "Ja, natürlich",
    ],
)
def test_short_answers_names_formulas_and_code_are_not_judged(sample, answer):
    for own in ("German", "Chinese", "Arabic"):
        assert Language().judge(sample(PAIRS[own][0], answer), leaf(own)).keep


def test_a_translation_is_what_was_asked_for(sample):
    asked = "Translate into German: The tower is forty metres high and was built by masons."
    told = Language().judge(sample(asked, PAIRS["German"][1]), leaf("English"))
    assert told.keep
    assert not told.applied


def test_without_seed_examples_it_is_not_applied(sample):
    told = Language().judge(sample(*PAIRS["English"]), LeafFacts(path="knowledge/science/tides"))
    assert told.keep
    assert not told.applied


def test_fewer_words_can_be_judged(sample):
    asked, _ = PAIRS["English"]
    short = sample(asked, "Der Turm ist vierzig Meter hoch")
    assert not Language(min_words=4).judge(short, leaf("English")).keep
    assert Language(min_words=8).judge(short, leaf("English")).keep


def put_into(language, name):
    """A sample in one language of a flow that asked for another."""
    question, answer = PAIRS[name]
    params = {"language": language}
    lineage = Lineage(leaf="a/b", leaf_blob="b", method="teacher", model="m", flow="translate", params=params)
    return Sample(id="s", kind="freeform", question=question, answer=answer, lineage=lineage)


@pytest.mark.parametrize("name", ["German", "French", "Spanish", "Polish", "Russian", "Japanese"])
def test_the_language_that_an_axis_asks_for_is_the_one_that_counts(name):
    assert Language().judge(put_into(name, name), leaf("English")).keep
    left = Language().judge(put_into(name, "English"), leaf("English"))
    assert (left.keep, left.rule) == (False, "other-language")
    assert f"{name} was asked for" in left.reason


def test_an_axis_that_names_no_language_that_can_be_told_rejects_nothing():
    assert Language().judge(put_into("python", "English"), leaf("English")).applied
    assert not Language().judge(put_into("Klingon", "German"), leaf("English")).applied
