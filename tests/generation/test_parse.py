"""Answers to samples: whole groups only, and never a question with another question's answer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.generation.parse import parse, read
from instructlab_like.records import (
    AskTask,
    Chunk,
    Completion,
    Lineage,
    Message,
    Prompt,
    Sample,
    Sampling,
    Verdict,
    sample_id,
)

CHUNK = Chunk(repo=".", commit="HEAD", document="a.md", blob="b" * 40, start=0, end=14, text="Io is a moon.\n")
GROUNDED = ("context", "question", "answer")


def asking(yields: tuple[str, ...] = ("question", "answer"), chunk: Chunk | None = None) -> AskTask:
    lineage = Lineage(leaf="knowledge/moons", leaf_blob="b", method="teacher", model="scripted", depth=1)
    messages = (Message(role="user", content="Write 3 new pairs."),)
    return AskTask(prompt=Prompt(messages=messages, sampling=Sampling(), yields=yields, lineage=lineage), chunk=chunk)


def parsed(text: str, task: AskTask | None = None, finish_reason: str = "stop") -> list[Sample] | Verdict:
    task = task or asking()
    return parse(task, Completion(key=task.prompt.key, text=text, finish_reason=finish_reason))


def pairs(text: str) -> list[tuple[str, str]]:
    found = parsed(text)
    return [] if isinstance(found, Verdict) else [(sample.question, sample.answer) for sample in found]


def written(*texts: tuple[str, ...], yields: tuple[str, ...] = ("question", "answer")) -> str:
    groups = [
        "".join(f"[{tag.upper()} {number}]\n{text}\n" for tag, text in zip(yields, group, strict=True))
        for number, group in enumerate(texts, start=1)
    ]
    return "\n".join(f"{group}[END {number}]\n" for number, group in enumerate(groups, start=1))


def test_a_well_formed_answer_gives_its_pairs_in_order() -> None:
    assert pairs(written(("Q one?", "A one."), ("Q two?", "A\n\ntwo."))) == [
        ("Q one?", "A one."),
        ("Q two?", "A\n\ntwo."),
    ]


def test_a_knowledge_sample_keeps_its_passage_and_its_story() -> None:
    task = asking(chunk=CHUNK)
    found = parsed(written(("What is Io?", "A moon.")), task)
    assert found == [
        Sample(
            id=sample_id(task.prompt.key, 0),
            kind="knowledge",
            question="What is Io?",
            answer="A moon.",
            context="Io is a moon.\n",
            lineage=task.prompt.lineage,
        )
    ]


def test_a_grounded_sample_brings_its_own_passage() -> None:
    found = parsed(written(("A text.", "A question?", "An answer."), yields=GROUNDED), asking(GROUNDED))
    assert isinstance(found, list)
    assert (found[0].kind, found[0].context, found[0].question) == ("grounded", "A text.", "A question?")


def test_a_freeform_sample_has_no_passage() -> None:
    found = parsed(written(("Q?", "A.")))
    assert isinstance(found, list)
    assert (found[0].kind, found[0].context) == ("freeform", None)


def test_a_samples_id_is_that_of_its_number_whatever_became_of_the_others() -> None:
    task = asking()
    whole = written(("Q one?", "A one."), ("Q two?", "A two."))
    damaged = whole.replace("[ANSWER 1]", "")
    found = parsed(damaged, task)
    assert isinstance(found, list)
    assert [sample.id for sample in found] == [sample_id(task.prompt.key, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "Sure, here they are:\n\n" + written(("Q?", "A.")) + "\nI hope this helps!",
        "**[QUESTION 1]**\nQ?\n**[ANSWER 1]**\nA.\n**[END 1]**",
        "[question 1] Q? [Answer 1] A. [END 1]",
        "<think>First [QUESTION 1] draft [ANSWER 1] no</think>\n" + written(("Q?", "A.")),
    ],
)
def test_what_surrounds_the_groups_is_no_part_of_them(text: str) -> None:
    assert pairs(text) == [("Q?", "A.")]


def test_bold_words_next_to_a_tag_stay_in_their_text() -> None:
    assert pairs("[QUESTION 1]**Why** is it **so**[ANSWER 1]**Yes**[END 1]") == [("**Why** is it **so**", "**Yes**")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty (finish_reason stop)"),
        (" \n", "the answer is empty (finish_reason stop)"),
        ("I cannot do that.", "the answer holds no tags such as [QUESTION 1]"),
        ("Q: a? A: b", "the answer holds no tags such as [QUESTION 1]"),
        (
            "[QUESTION 1]\nQ?\n[ANSWER 1]\nA",
            "none of the 1 begun in the answer is whole: [QUESTION n], [ANSWER n], [END n] in this order, each once",
        ),
        (
            "[QUESTION]\nQ?\n[ANSWER]\nA\n[END]",
            "none of the 1 begun in the answer is whole: [QUESTION n], [ANSWER n], [END n] in this order, each once",
        ),
    ],
)
def test_an_answer_without_a_whole_group_is_a_verdict_on_the_call(text: str, reason: str) -> None:
    task = asking()
    verdict = parsed(text, task)
    assert isinstance(verdict, Verdict)
    assert (verdict.subject, verdict.leaf, verdict.filter) == (task.prompt.key, "knowledge/moons", "parse")
    assert (verdict.keep, verdict.reason) == (False, reason)


def test_an_answer_cut_off_at_max_tokens_says_so() -> None:
    verdict = parsed("[QUESTION 1]\nWhat is", finish_reason="length")
    assert isinstance(verdict, Verdict)
    assert verdict.reason.endswith("; it was cut off at max_tokens")


@pytest.mark.parametrize(
    "text",
    [
        "[QUESTION 1] a [QUESTION 1] b [ANSWER 1] c [END 1]",
        "[QUESTION 1] a [ANSWER 1] b [END 1] [QUESTION 1] a [ANSWER 1] c [END 1]",
        "[ANSWER 1] a [QUESTION 1] b [END 1]",
        "[QUESTION 1] a [ANSWER 2] b [END 2]",
        "[QUESTION 1] a b c [ANSWER 2] d [END 2]",
        "[QUESTION 1] a [ANSWER 1] b c [END 1] [ANSWER 2] d [END 2]",
        "[QUESTION 1] a [ANSWER b [ANSWER 1] c [END 1]",
        "[QUESTION 1] [ANSWER 1] b [END 1]",
        "[QUESTION 0] a [ANSWER 0] b [END 0]",
    ],
)
def test_a_group_that_might_be_mixed_is_dropped(text: str) -> None:
    assert pairs(text) == []


def test_broken_groups_are_counted() -> None:
    reading = read(written(("a", "b"), ("c", "d"), ("e", "f")).replace("[ANSWER 2]", ""), ("question", "answer"))
    assert ([group.number for group in reading.groups], reading.broken) == ([1, 3], 1)


WORDS = st.lists(st.sampled_from(["sun", "moon", "[1]", "(end)", "2", "**far**", "\n"]), min_size=1, max_size=4)


@st.composite
def corrupted(draw: st.DrawFn) -> tuple[set[tuple[str, ...]], str, tuple[str, ...]]:
    """Groups of texts that are all different, and their answer after damage.

    Any number of tags are lost, doubled, broken or stripped of their number and the end is cut off; or up to three
    such things happen, of which moving a tag or copying it to another place may be one.
    """
    yields = draw(st.sampled_from([("question", "answer"), GROUNDED]))
    groups = [
        tuple(f"{tag} {n} {' '.join(draw(WORDS))} ." for tag in yields) for n in range(1, draw(st.integers(2, 6)))
    ]
    pieces = [
        (f"[{tag.upper()} {number}]", text)
        for number, group in enumerate(groups, start=1)
        for tag, text in zip((*yields, "end"), (*group, ""), strict=True)
    ]
    tags = [tag for tag, _ in pieces]
    places = st.integers(0, len(tags) - 1)
    moving = draw(st.booleans())
    kinds = st.sampled_from(
        ["lose", "lose", "double", "damage", "unnumber", *(["swap", "copy", "cut"] if moving else [])]
    )
    cut = not moving and draw(st.booleans())
    for kind in draw(st.lists(kinds, max_size=3 if moving else 12)):
        place = draw(places)
        if kind == "lose":
            tags[place] = ""
        elif kind == "double":
            tags[place] *= 2
        elif kind == "damage":
            tags[place] = tags[place][:-1]
        elif kind == "unnumber":
            tags[place] = re.sub(r" \d+", "", tags[place])
        elif kind == "copy":
            tags[place] = tags[draw(places)]
        elif kind == "swap":
            other = draw(places)
            tags[place], tags[other] = tags[other], tags[place]
        else:
            cut = True
    text = "\n".join(f"{tag}\n{part}" for tag, (_, part) in zip(tags, pieces, strict=True))
    text = text[: draw(st.integers(0, len(text)))] if cut else text
    return {tuple(part.strip() for part in group) for group in groups}, text, yields


@given(corrupted())
@settings(max_examples=300, deadline=None)
def test_no_corruption_makes_a_pair_that_was_not_there(
    given_: tuple[set[tuple[str, ...]], str, tuple[str, ...]],
) -> None:
    groups, text, yields = given_
    for group in read(text, yields).groups:
        assert tuple(group.texts[tag] for tag in yields) in groups


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_what_was_written_whole_is_read_whole(texts: list[tuple[list[str], list[str]]]) -> None:
    groups = [(f"q {' '.join(question)} ?", f"a {' '.join(answer)} .") for question, answer in texts]
    assert pairs(written(*groups)) == groups


@settings(deadline=None)
@given(st.text(alphabet="[]QUESTIONAWRD 12\n*", max_size=200))
def test_any_text_is_samples_or_a_verdict(text: str) -> None:
    found = parsed(text)
    assert isinstance(found, Verdict) or all(sample.question and sample.answer for sample in found)
