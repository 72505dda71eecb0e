"""What a served model is asked, and what its replies are taken for: an option only where one is plainly named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import InputError
from instructlab_like.evaluation.endpoint import NO_OPTION, Served, answered, asked, chosen, missed, prompt_of, served
from instructlab_like.generation.ledger import Failure
from instructlab_like.records import Item

CITIES = ("Paris", "London", "Paris and London", "12")
CHOICE = Item(
    id="i", leaf="l", source="heldout", question="Which?", answer="London", metric="choice", options=CITIES
)  # fmt: skip
VLLM = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
    "(4900 in the messages, 100 in the completion). Please reduce the length of the messages or completion."
)


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("B", 1),
        (" b.\n", 1),
        ("(B)", 1),
        ("**B**", 1),
        ("[B]", 1),
        ("Option B", 1),
        ("B. London", 1),
        ("B) London.", 1),
        ("B: london", 1),
        ("B — London", 1),
        ("B. London. It lies on the Thames.", 1),
        ("London", 1),
        ('"Paris and London"', 2),
        ("twelve", 3),
        ("C\n\nBecause both of them are.", 2),
        ("The answer is B", 1),
        ("The correct answer is **B**.", 1),
        ("**Answer:** B. London", 1),
        ("Answer:\n\nB", 1),
        ("Let me think. It is not Paris.\n\nSo the final answer is: (B)", 1),
        ("A. Paris\nB. London\nC. Paris and London\nD. 12\n\nAnswer: C", 2),
    ],
)
def test_a_reply_names_an_option_by_letter_by_text_or_by_both(reply: str, place: int) -> None:
    assert chosen(CITIES, reply) == place


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n ",
        "E",
        "I think it is London",
        "A or B",
        "A, B",
        "A and B",
        "B. Paris",
        "A. Paris and London",
        "A. Paris is wrong",
        "The answer is not B",
        "I doubt that the answer is B",
        "A. Paris\nB. London",
        "The answer is A.\nNo: the answer is B.",
        "B\n\nWait, the answer is A.",
        "B\n\nQuestion: And now?\nAnswer: A",
        "A good question",
        "Answer:",
    ],
)
def test_what_is_unclear_names_none(reply: str) -> None:
    assert chosen(CITIES, reply) is None
    answer = answered(CHOICE, "m", reply)
    assert (answer.score, answer.chosen, answer.unscored, answer.text) == (None, None, NO_OPTION, reply.strip())


def test_options_that_are_letters_or_signs_are_told_apart_or_not_at_all() -> None:
    assert chosen(("B", "A"), "A") is None
    assert chosen(("B", "A"), "A. B") == 0
    assert chosen(("A", "B"), "A") == 0
    assert chosen(("a*b", "a+b"), "a+b") == 1
    assert chosen(("a*b", "a+b"), "a-b") is None
    assert chosen(("->", "<-"), "<-") == 1


@given(st.text(), st.integers(min_value=0, max_value=3))
def test_no_reply_is_read_as_two_things(reply: str, place: int) -> None:
    assert chosen(CITIES, reply) in (None, 0, 1, 2, 3)
    assert chosen(CITIES, f"{'ABCD'[place]}. {CITIES[place]}") == place


def test_thoughts_are_no_choice() -> None:
    assert answered(CHOICE, "m", "<think>The answer is A.</think>\nB").chosen == 1
    assert answered(CHOICE, "m", "<think>The answer is A.").unscored == NO_OPTION


def test_a_reply_that_was_cut_off_before_it_said_anything_is_no_zero() -> None:
    plain = CHOICE.model_copy(update={"metric": "exact", "options": ()})
    for text in ("", "<think>The answer is"):
        for item in (CHOICE, plain):
            assert answered(item, "m", text, cut=True).score is None
            assert answered(item, "m", text, cut=True).unscored == "cut off in its thoughts: raise max_new_tokens"
    assert answered(plain, "m", "London", cut=True).score == 1.0
    assert answered(plain, "m", "<think>Paris?</think>London").score == 1.0
    assert answered(plain, "m", "").score == 0.0


def test_a_choice_is_scored_by_the_option_that_was_taken() -> None:
    assert (answered(CHOICE, "m", "B").score, answered(CHOICE, "m", "B").text) == (1.0, "London")
    assert (answered(CHOICE, "m", "a").score, answered(CHOICE, "m", "a").text) == (0.0, "Paris")


def test_only_a_choice_is_asked_in_other_words_than_its_own() -> None:
    plain = CHOICE.model_copy(update={"metric": "exact", "options": ()})
    assert asked(plain) is plain
    text = prompt_of(asked(CHOICE.model_copy(update={"context": " A map. "})), "http:m", 9).messages[0].content
    assert text.startswith("A map.\n\nWhich?\nA. Paris\nB. London\nC. Paris and London\nD. 12\n\n")


def test_an_edition_is_another_call_of_the_same_model() -> None:
    keys = {edition: prompt_of(CHOICE, "http:m", 9, edition).key for edition in ("", "2", "3")}
    assert len(set(keys.values())) == 3
    assert prompt_of(CHOICE, "http:m", 9, "2").key == keys["2"]


@pytest.mark.parametrize(
    ("failure", "unanswered", "unscored"),
    [
        (Failure("k", f"http://h/v1: refuses the request (HTTP 400: {VLLM})\n  → fix"), True, None),
        (Failure("k", "u: refuses the request (HTTP 400: the request exceeds the available context size)"), True, None),
        (Failure("k", "http://h/v1: a prompt has 9 tokens, and the context holds 4 (/props)", sent=False), True, None),
        (Failure("k", "u: refuses (HTTP 422: `inputs` must have less than 4095 tokens. Given: 5000)"), True, None),
        (Failure("k", "u: refuses the request (HTTP 400: I will not)"), False, "refused by its server (HTTP 400)"),
        (Failure("k", "no answer within 120 s", "timeout"), False, "no answer: timeout"),
        (Failure("k", "HTTP 500: maximum context length", "server_error"), False, "no answer: server_error (HTTP 500)"),
        (Failure("k", "", "malformed"), False, "no answer: malformed"),
    ],
)
def test_a_question_without_reply_is_too_long_or_has_no_score(
    failure: Failure, unanswered: bool, unscored: str | None
) -> None:
    found = missed(CHOICE, "m", failure)
    assert (found.unanswered is not None, found.unscored) == (unanswered, unscored)
    assert found.score == (0.0 if unanswered else None)
    assert "http" not in (found.unanswered or "")


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("granite@http://h:8000/v1", Served(name="granite", url="http://h:8000/v1")),
        ("ibm/granite@https://h/v1?k=t#2", Served(name="ibm/granite", url="https://h/v1?k=t", edition="2")),
        ("a@b@HTTP://h/v1", Served(name="a@b", url="HTTP://h/v1")),
        ("runs/t/5-training/adapter", None),
        ("ibm-granite/granite-3.3-2b-instruct", None),
        ("name@host/v1", None),
    ],
)  # fmt: skip
def test_a_name_and_a_url_make_a_served_model(told: str, found: Served | None) -> None:
    assert served(told) == found


def test_a_url_without_a_name_is_a_mistake_and_a_token_is_not_shown() -> None:
    with pytest.raises(InputError, match="names no model") as caught:
        served("@http://h/v1?token=t")
    assert "token" not in str(caught.value)
    assert Served(name="m", url="http://h/v1?token=t", edition="2").told == "m@http://h/v1#2"


@pytest.mark.parametrize("reply", ["\u0130. yes", "(\u017f) so", "\u212a: kelvin", "\u0130"])
def test_a_letter_that_only_folds_to_one_of_ours_names_no_option(reply: str) -> None:
    assert chosen(CITIES, reply) is None
