"""Split, mixture and card out of samples that are never in memory together: the same as if they were."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_memory import counted
from in_memory import mix as mixed_in_memory
from in_memory import split as split_in_memory

from instructlab_like.dataset import split as splitting
from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST, Contents
from instructlab_like.dataset.mix import mix
from instructlab_like.dataset.rows import row
from instructlab_like.digests import Sorter
from instructlab_like.records import digest

VOCABULARY = "who when what built the old tower stood by sea in town of ann"
WORDS = VOCABULARY.split()
TEXT = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
KINDS = st.sampled_from(
    [
        ("knowledge", "rules"),
        ("knowledge", "teacher"),
        ("freeform", "simulation"),
        ("freeform", "teacher"),
        ("grounded", "teacher"),
    ]
)
SPECIES = st.tuples(TEXT, st.none() | TEXT, KINDS, st.sampled_from("ab"), st.none() | st.sampled_from("cd"))
SAMPLES = st.lists(SPECIES, max_size=40)
EXAMPLES = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def made(sample, texts):
    """Samples of these kinds; what is the same but for its chunk has one id, as a passage that stands twice gives."""
    return [
        sample(question, kind=kind, method=method, context=context, leaf=leaf, chunk=chunk).model_copy(
            update={"id": digest([question, context, kind, method, leaf])[:32]}
        )
        for question, context, (kind, method), leaf, chunk in texts
    ]


@EXAMPLES
@given(SAMPLES, st.floats(min_value=0, max_value=0.99), st.integers(0, 9))
def test_the_split_is_that_of_all_samples_in_memory(sample, texts, share, seed):
    samples = made(sample, texts)
    train, test = splitting.split(samples, share=share, seed=seed)
    assert (list(train), list(test)) == split_in_memory(samples, share=share, seed=seed)


@EXAMPLES
@given(SAMPLES, st.integers(0, 6), st.sampled_from([0.0, 0.2, 0.5]), st.sampled_from([0.0, 0.3]), st.integers(0, 9))
def test_the_mixture_is_that_of_all_rows_in_memory(sample, replay, texts, old, share, again, seed):
    samples = made(sample, texts)
    told = [*replay[:old], *replay[:2]]
    found = list(mix(samples, told, share=share, knowledge_share=again, seed=seed))
    assert found == mixed_in_memory(samples, told, share=share, knowledge_share=again, seed=seed)


@EXAMPLES
@given(SAMPLES, SAMPLES, st.integers(0, 9))
def test_the_card_counts_what_all_rows_in_memory_come_to(sample, replay, texts, tests, seed):
    rows = list(mix(made(sample, texts), replay, share=0.3, knowledge_share=0.3, seed=seed))
    files = {
        KNOWLEDGE: [one for one in rows if one.phase == "knowledge"],
        SKILLS: [one for one in rows if one.phase == "skills"],
        TEST: [row(one) for one in made(sample, tests)],
    }
    told = Contents.of(files)
    found = tuple(
        {name: number for name, number in count.items() if number}
        for count in (told.rows, told.replayed, told.train, told.test, told.makers)
    )
    assert found == counted(files)


def test_keys_that_do_not_fit_into_memory_split_alike(sample, tmp_path, monkeypatch):
    rng = random.Random(0)
    samples = made(
        sample,
        [
            (
                " ".join(rng.choices(WORDS, k=rng.randint(6, 14))),
                None,
                ("knowledge", "teacher"),
                rng.choice("abc"),
                None,
            )
            for _ in range(400)
        ],
    )
    spilled = []

    class Tight(Sorter):
        def __init__(self, size, scratch=None):
            super().__init__(size, scratch, held=500)

        def spill(self):
            spilled.append(self.scratch)
            super().spill()

    monkeypatch.setattr(splitting, "Sorter", Tight)
    train, test = splitting.split(samples, share=0.2, seed=0, scratch=tmp_path)
    assert (list(train), list(test)) == split_in_memory(samples, share=0.2, seed=0)
    assert set(spilled) == {tmp_path, None}
    assert list(tmp_path.iterdir()) == []
