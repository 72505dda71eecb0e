"""Answers are shown side by side or below each other, what differs is marked, and nothing in them acts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from instructlab_like.preview.comment import LONGEST
from instructlab_like.printable import is_plain
from instructlab_like.stages.evaluating.answers import Answers, Exchange, Model, Reply, markdown, text

HOSTILE = [
    "@everyone please review #1",
    "```\n# free\n@you <script>alert(1)</script> ![x](https://e.example/p.png)\n```",
    "`````` @you ``````",
    "~~~\n<img src=https://e.example/p.png>",
    "--> <b>bold</b> </details> <!-- x -->",
    "| a | b |\n|---|---|\n| @you | [x](https://e.example) |",
    "a | @you",
    "line\r\n```\r\n@you",
    "\u2028```\u2028@you",
    "\u202egnp.exe \u200b@you \x1b[31m\x1b]0;title\x07 \x00 \x9b2J",
    "ghost/repo#12 GH-3 0123456789012345678901234567890123456789",
    "\\`@you\\`",
    "`@you`",
    "::error::x\n##[add-path]/tmp",
    "    ```\n\t```",
    "</code></summary><img src=x onerror=alert(1)>",
    "x" * 20_000,
    "日本語の答え " * 40,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301\u0301\u0301",
]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def told(*texts: str, question: str = "Which?", names: tuple[str, ...] = ("base", "tuned", "other")) -> Answers:
    """One question to as many models as there are texts; the first is the base."""
    replies = tuple(
        Reply(model=name, text=said, tokens=3, seconds=0.5, same=None if place == 0 else said == texts[0])
        for place, (name, said) in enumerate(zip(names, texts, strict=False))
    )
    models = tuple(Model(name=reply.model, place=f"at/{reply.model}") for reply in replies)
    return Answers(models=models, max_tokens=8, exchanges=(Exchange(question=question, replies=replies),))


def rows_of(answers: Answers, *, width: int | None = None, colour: bool = False) -> list[str]:
    return text(answers, width=width, colour=colour).split("\n")


def test_a_wide_terminal_has_the_answers_beside_each_other() -> None:
    rows = rows_of(told("red", "blue"), width=80)
    assert [[part.strip() for part in row.split("│")] for row in rows if "│" in row] == [
        ["base", "tuned  ≠ base"],
        ["red", "blue"],
        ["3 tokens · 0.50 s", "3 tokens · 0.50 s"],
    ]


@pytest.mark.parametrize("width", [None, 40, 58])
def test_a_narrow_one_and_a_pipe_have_them_below_each_other(width: int | None) -> None:
    rows = rows_of(told("red", "blue"), width=width)
    assert not any("│" in row for row in rows)
    assert rows.index("base") < rows.index("  red") < rows.index("tuned  ≠ base") < rows.index("  blue")


def test_the_words_that_the_base_does_not_have_are_marked() -> None:
    """Below them where there is no colour; no word where the answers have little in common."""
    rows = rows_of(told("It was built in 1236 here.", "It was built in 1410 here."))
    assert rows[rows.index("  It was built in 1410 here.") + 1] == "  " + " " * 16 + "^^^^"
    assert "\x1b[1;32m1410\x1b[0m" in text(told("It is 1236 now.", "It is 1410 now."), width=200, colour=True)
    assert not any("^" in row for row in rows_of(told("It was built in 1236.", "Nobody knows.")))


def test_marks_stand_below_their_words_in_columns_too() -> None:
    rows = rows_of(told("Odo Brask built the mill in 1236.", "Lisa Torn built the mill in 1236.", "Odo?"), width=100)
    beside = [row for row in rows if "│" in row]
    assert len({tuple(place for place, sign in enumerate(row) if sign == "│") for row in beside}) == 1
    marked = next(number for number, row in enumerate(beside) if "^" in row)
    words, marks = beside[marked - 1], beside[marked]
    assert "".join(sign for sign, mark in zip(words, marks, strict=False) if mark == "^") == "LisaTorn"


def test_an_answer_like_the_base_s_is_not_said_twice() -> None:
    rows = rows_of(told("red", "red"))
    assert rows.count("  red") == 1
    assert "tuned  = base" in rows
    assert "  (the same)" in rows


def test_an_empty_answer_and_one_that_was_not_given_are_said() -> None:
    whole = told("", "x")
    not_asked = whole.exchanges[0].replies[1].model_copy(update={"unanswered": "too long", "tokens": None})
    exchange = whole.exchanges[0].model_copy(update={"replies": (whole.exchanges[0].replies[0], not_asked)})
    answers = whole.model_copy(update={"exchanges": (exchange,)})
    assert "  (empty)" in rows_of(answers)
    assert "  (no answer: too long)" in rows_of(answers)
    assert "(no answer: too long)" in markdown(answers)


def test_scores_cuts_and_texts_from_the_cache_stand_in_the_quiet_line() -> None:
    whole = told("x")
    reply = whole.exchanges[0].replies[0].model_copy(update={"score": 1.0, "cut": True, "seconds": None, "tokens": 1})
    exchange = whole.exchanges[0].model_copy(update={"replies": (reply,), "answer": "x", "context": "About x."})
    rows = rows_of(whole.model_copy(update={"exchanges": (exchange,)}))
    assert "  score 1.00 · 1 token, cut there · kept from earlier" in rows
    assert {"about  About x.", "asked  Which?", "right  x"} <= set(rows)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("width", [None, 50, 100, 200])
def test_nothing_in_an_answer_acts_on_a_terminal_or_in_a_log(hostile: str, width: int | None) -> None:
    answers = told("fine", hostile, hostile[::-1], question=hostile)
    for row in rows_of(answers, width=width):
        assert is_plain(row)
        assert row.isprintable()
        assert not row.lstrip().startswith("::")
        assert not re.search(r"##\w*\[", row)
    for row in rows_of(answers, width=width, colour=True):
        bare = ESCAPE.sub("", row)
        assert is_plain(bare)
        assert cell_len(bare) <= max(width or 100, 58)


@given(st.lists(st.text(max_size=60), min_size=2, max_size=3), st.sampled_from([None, 45, 97, 160]))
def test_every_word_of_an_answer_is_shown_and_no_row_is_too_wide(texts: list[str], width: int | None) -> None:
    rows = rows_of(told(*texts, question="q"), width=width, colour=True)
    bare = [ESCAPE.sub("", row) for row in rows]
    assert all(cell_len(row) <= (width or 100) for row in bare if not row.startswith(("base ", "tuned ", "other ")))
    if width in (None, 45):
        shown = "".join("".join(row.split()) for row in bare)
        for said in texts:
            words = "".join(c for c in said if c.isascii() and c.isalnum())
            assert words in "".join(c for c in shown if c.isascii() and c.isalnum()) or not said.isascii()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_an_answer_acts_in_markdown(hostile: str) -> None:
    comment = markdown(told("fine", hostile, hostile[:70], question=hostile, names=("base", "a<b>|`@you #1", "x_y")))
    assert_inert(comment)


@given(st.text(max_size=300), st.text(max_size=90), st.text(max_size=40))
def test_no_answer_at_all_acts_in_markdown(one: str, other: str, name: str) -> None:
    assert_inert(markdown(told(one, other, question=one + other, names=("base", f"n{name}"))))


def assert_inert(comment: str) -> None:
    """Read by a CommonMark parser, what others wrote is nothing but code, and the blocks of details are ours."""
    assert len(comment) <= LONGEST
    tokens = [
        inner
        for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(comment)
        for inner in (token, *(token.children or ()))
    ]
    free = [token for token in tokens if token.type not in ("fence", "code_inline", "inline")]
    assert not {token.type for token in free} & {"link_open", "image", "html_inline", "code_block", "blockquote_open"}
    for token in free:
        if token.type == "html_block":
            assert re.fullmatch(
                r"<details( open)?><summary>(Passage|<code>[A-Za-z0-9_./ ,:;=+()~'\\-]*</code>)</summary>|</details>",
                token.content.strip(),
            )
    said = "\n".join(token.content for token in free if token.type == "text")
    assert not re.search(r"[@#<>`\[\]]|://|GH-", said)
    coded = "\n".join(token.content for token in tokens if token.type in ("fence", "code_inline"))
    assert all(is_plain(row) for row in coded.split("\n"))
    assert not re.search(r"##\w*\[", coded)
    assert not re.search(r"(?m)^ *::", comment)


def test_short_answers_stand_in_one_table_and_long_ones_below_it() -> None:
    short = markdown(told("red", "blau – grün"))
    assert "| `tuned` | `blau – grün` | differs | 3 | 0.50 |" in short
    assert "<details" not in short
    long = markdown(told("red", "one\ntwo"))
    assert "```text\none\ntwo\n```" in long
    assert "| `tuned` | differs | 3 | 0.50 |" in long
    assert markdown(told("one\ntwo", "one\ntwo")).count("one\ntwo") == 1


def test_a_comment_that_would_be_too_long_says_what_is_left_out() -> None:
    one = told("a" * 5_000, "b" * 5_000).exchanges[0]
    whole = told("a", "b").model_copy(update={"exchanges": (one,) * 20})
    comment = markdown(whole)
    assert len(comment) <= LONGEST
    left = int(re.findall(r"_(\d+) of the 20 questions are left out", comment)[0])
    assert comment.count("#### Question") == 20 - left
