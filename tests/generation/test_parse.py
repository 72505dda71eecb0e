"""Answers to groups of texts: whole ones only, and never a question with another question's answer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.generation.parse import Reading, read, reason
from instructlab_like.records import Completion

PAIR = ("question", "answer")
GROUNDED = ("context", "question", "answer")


def pairs(text: str) -> list[tuple[str, str]]:
    return [(group.texts["question"], group.texts["answer"]) for group in read(text, PAIR).groups]


def why(text: str, yields: tuple[str, ...] = PAIR, finish_reason: str = "stop") -> str:
    reading = read(text, yields)
    assert not reading.groups
    completion = Completion(key="k", text=text, finish_reason=finish_reason)
    return reason(completion, yields, None, reading.broken)


def written(*texts: tuple[str, ...], yields: tuple[str, ...] = PAIR) -> str:
    groups = [
        "".join(f"[{tag.upper()} {number}]\n{text}\n" for tag, text in zip(yields, group, strict=True))
        for number, group in enumerate(texts, start=1)
    ]
    return "\n".join(f"{group}[END {number}]\n" for number, group in enumerate(groups, start=1))


def test_a_well_formed_answer_gives_its_groups_in_order() -> None:
    reading = read(written(("Q one?", "A one."), ("Q two?", "A\n\ntwo.")), PAIR)
    assert [group.number for group in reading.groups] == [1, 2]
    assert [list(group.texts.items()) for group in reading.groups] == [
        [("question", "Q one?"), ("answer", "A one.")],
        [("question", "Q two?"), ("answer", "A\n\ntwo.")],
    ]
    assert reading.broken == 0


def test_a_groups_number_stays_whatever_became_of_the_others() -> None:
    damaged = written(("Q one?", "A one."), ("Q two?", "A two.")).replace("[ANSWER 1]", "")
    reading = read(damaged, PAIR)
    assert ([group.number for group in reading.groups], reading.broken) == ([2], 1)


THREE = [("Why is it so?", "It is so."), ("How much\nis it?", "3 parts."), ("Who?", "Ida")]
PLAIN = written(*THREE)


def in_each_tag(before: str, after: str) -> str:
    return re.sub(r"\[[A-Z]+ \d\]", lambda tag: f"{before}{tag[0]}{after}", PLAIN)


ACCEPTED = {
    "as asked for": PLAIN,
    "prose around": "Sure, here they are:\n\n" + PLAIN + "\nI hope this helps!",
    "bold": in_each_tag("**", "**"),
    "bold with a colon inside": in_each_tag("**", ":**"),
    "bold with a colon behind": in_each_tag("**", "**:"),
    "bold and italics": in_each_tag("***", "***"),
    "underscores": in_each_tag("__", "__"),
    "in code": in_each_tag("`", "`"),
    "headings": in_each_tag("### ", ""),
    "bold headings": in_each_tag("## **", "**"),
    "a colon behind": in_each_tag("", ":"),
    "lower case": re.sub(r"\[[A-Z]+", lambda tag: tag[0].lower(), PLAIN),
    "capitalised": re.sub(r"\[[A-Z]+", lambda tag: tag[0].title(), PLAIN),
    "spaces in the tags": PLAIN.replace("[", "[ ").replace("]", " ]"),
    "no-break spaces": re.sub(r"\[([A-Z]+) ", "[\\1\u00a0", PLAIN),
    "a leading zero": re.sub(r"(\d)\]", r"0\1]", PLAIN),
    "on one line each": "\n".join(
        f"[QUESTION {n}] {q} [ANSWER {n}] {a} [END {n}]" for n, (q, a) in enumerate(THREE, 1)
    ),
    "bold on one line": "\n".join(
        f"**[QUESTION {n}]** {q} **[ANSWER {n}]** {a} **[END {n}]**" for n, (q, a) in enumerate(THREE, 1)
    ),
    "the tag and its line bold": PLAIN.replace("[QUESTION 1]\nWhy is it so?", "**[QUESTION 1] Why is it so?**"),
    "some closing tags behind their text": PLAIN.replace("so.\n[END", "so. [END"),
    "in a fence": f"```\n{PLAIN}```",
    "in a fence of a language, with prose": f"Here:\n```text\n{PLAIN}```\nDone.",
    "each in a fence": re.sub(r"(?s)(\[QUESTION.*?\[END \d\])", r"```\n\1\n```", PLAIN),
    "rules between": PLAIN.replace("\n\n[", "\n\n---\n\n[").replace("[QUESTION 2]", "**Pair 2**\n[QUESTION 2]"),
    "Windows lines": PLAIN.replace("\n", "\r\n"),
    "thoughts": "<think>\nA draft: [QUESTION 1] Not this? [ANSWER 1] No. [END 1]\n</think>\n\n" + PLAIN,
    "thoughts that the server began": "The passage says [QUESTION 7] a lot.\n</think>\n" + PLAIN,
    "thinking": "  <thinking>Let me see.</thinking>" + PLAIN,
    "numbers that do not start at one": PLAIN.replace(" 3]", " 9]").replace(" 1]", " 7]"),
    "answers in another order": "\n\n".join(reversed(PLAIN.strip().split("\n\n"))),
}  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ACCEPTED.items()])
def test_what_models_do_to_the_form_is_accepted_where_it_leaves_no_doubt(text: str) -> None:
    assert sorted(pairs(text)) == sorted(THREE)
    assert read(text, PAIR).broken == 0


REJECTED = {
    "tags without numbers": re.sub(r" \d\]", "]", PLAIN),
    "tags in another order": re.sub(r"(?s)\[QUESTION (\d)\](.*?)\[ANSWER \1\]", r"[ANSWER \1]\2[QUESTION \1]", PLAIN),
    "no closing tags": re.sub(r"\[END \d\]\n", "", PLAIN),
    "the same number throughout": re.sub(r"\d\]", "1]", PLAIN),
    "tags as in XML": re.sub(r"\[([A-Z]+) (\d)\]", r"<\1_\2>", PLAIN),
    "underscores for spaces": re.sub(r"\[([A-Z]+) ", r"[\1_", PLAIN),
    "escaped brackets": re.sub(r"\[([A-Z]+) (\d)\]", r"\\[\1 \2\\]", PLAIN),
    "words for tags": re.sub(r"\[([A-Z]+) (\d)\]", r"\1 \2:", PLAIN),
    "other tags": PLAIN.replace("[QUESTION", "[Q").replace("[ANSWER", "[A"),
    "thoughts without an end": "<think>\n" + PLAIN,
    "nothing but thoughts": "<think>" + PLAIN + "</think>",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in REJECTED.items()])
def test_what_leaves_a_doubt_is_rejected_with_a_reason(text: str) -> None:
    assert re.search(r"^none of the \d begun|^the answer holds no tags|^the answer is thoughts alone", why(text))


def test_a_closing_tag_without_a_number_closes_a_group_that_the_next_one_follows() -> None:
    """Of the last one, nobody knows whether a further group was lost in it."""
    reading = read(re.sub(r"\[END \d\]", "[END]", PLAIN), PAIR)
    assert [group.number for group in reading.groups] == [1, 2]
    assert reading.broken == 1
    assert why("[QUESTION 1]\nQ?\n[ANSWER 1]\nA\n[END]").endswith("in this order, each once, with its number")


def test_bold_words_next_to_a_tag_stay_in_their_text() -> None:
    assert pairs("[QUESTION 1]**Why** is it **so**[ANSWER 1]**Yes**[END 1]") == [("**Why** is it **so**", "**Yes**")]


@pytest.mark.parametrize(
    "answer",
    [
        "**",
        ":-)",
        "a: b",
        "# heading\n\n- [x] done",
        "[RFC 2616]",
        "[1], [SECTION 2]",
        "> quoted",
        "```\nx = 1\n```",
        "[see]",
    ],
)
def test_a_text_keeps_its_own_markup(answer: str) -> None:
    assert pairs(written(("Q?", answer), ("R?", "B"))) == [("Q?", answer), ("R?", "B")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the answer is empty (finish_reason stop)"),
        (" \n", "the answer is empty (finish_reason stop)"),
        ("<think>\nLet me see", "the answer is thoughts alone"),
        ("I cannot do that.", "the answer holds no tags such as [QUESTION 1]"),
        ("Q: a? A: b", "the answer holds no tags such as [QUESTION 1]"),
        (
            "[QUESTION 1]\nQ?\n[ANSWER 1]\nA",
            "none of the 1 begun in the answer is whole: [QUESTION n], [ANSWER n], [END n] in this order, each once",
        ),
        (
            "[QUESTION]\nQ?\n[ANSWER]\nA\n[END]\n[QUESTION]\nR?",
            "none of the 2 begun in the answer is whole: "
            "[QUESTION n], [ANSWER n], [END n] in this order, each once, with its number",
        ),
    ],
)
def test_an_answer_without_a_whole_group_has_a_reason(text: str, told: str) -> None:
    assert why(text) == told


def test_an_answer_cut_off_at_max_tokens_says_so() -> None:
    assert why("[QUESTION 1]\nWhat is", finish_reason="length").endswith("; it was cut off at max_tokens")
    assert why("Well", finish_reason="length").endswith("; it was cut off at max_tokens")
    assert why("<think>Well", finish_reason="length").endswith("; it was cut off at max_tokens")


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
        "[QUESTION 1] a [ANSWER 1] b c [QUESTION 2] d [ANSWER 2] e [END] [QUESTION 3] f",
        "[QUESTION 1] a [ANSWER 1] b [END] [QUESTION 3] c",
        "[QUESTION 1] a [ANSWER 1] b [QUESTIN 2] c [ANSWR 2] d [END 1]",
        "[QUESTION 1] [ANSWER 1] b [END 1]",
        "[QUESTION 0] a [ANSWER 0] b [END 0]",
        "[QUESTION 1] a [ANSWER [ANSWER 1] 1] b [END 1]",
    ],
)
def test_a_group_that_might_be_mixed_is_dropped(text: str) -> None:
    assert pairs(text) == []
    assert why(text).startswith("none of the ")


def test_a_tag_that_strayed_into_a_line_is_seen_where_the_others_begin_theirs() -> None:
    strayed = PLAIN.replace("[ANSWER 1]\nIt is so.", "It [ANSWER 1] is so.")
    assert [question for question, _ in pairs(strayed)] == ["How much\nis it?", "Who?"]


def test_broken_groups_are_counted() -> None:
    reading = read(written(("a", "b"), ("c", "d"), ("e", "f")).replace("[ANSWER 2]", ""), PAIR)
    assert ([group.number for group in reading.groups], reading.broken) == ([1, 3], 1)


def test_an_answer_of_one_tag_is_read() -> None:
    assert [dict(group.texts) for group in read("[SCORE 1]\n4\n[END 1]", ("score",)).groups] == [{"score": "4"}]


WORDS = st.lists(st.sampled_from(["sun", "moon", "[1]", "(end)", "2", "**far**", "\n"]), min_size=1, max_size=4)


@st.composite
def corrupted(draw: st.DrawFn) -> tuple[set[tuple[str, ...]], str, tuple[str, ...]]:
    """Groups of texts that are all different, and their answer after damage.

    Any number of tags are lost, doubled, broken or stripped of their number and the end is cut off; or up to three
    such things happen, of which moving a tag or copying it to another place may be one.
    """
    yields = draw(st.sampled_from([PAIR, GROUNDED]))
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
def test_any_text_is_read_or_has_a_reason(text: str) -> None:
    reading: Reading = read(text, PAIR)
    assert all(all(group.texts.values()) for group in reading.groups)
    assert reading.broken >= 0
    if not reading.groups:
        assert reason(Completion(key="k", text=text, finish_reason="stop"), PAIR, None, reading.broken)
