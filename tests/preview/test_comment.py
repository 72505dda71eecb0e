"""The comment is read back with a CommonMark parser: whatever a leaf says, nothing of it is anything but code."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_previews import COST, FIGURE, leaf_preview, preview_of
from markdown_it import MarkdownIt
from markdown_it.token import Token

from instructlab_like.preview.comment import LONGEST, MARKER, code, fenced, markdown
from instructlab_like.preview.facts import Overlap, Preview, Rejection, Share, Shift, Shown
from instructlab_like.preview.terminal import text
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.past import Base

HOSTILE = [
    "@everyone please review #1",
    "```\n# free\n@you <script>alert(1)</script> ![x](https://e.example/p.png)\n```",
    "`````` @you ``````",
    "~~~\n<img src=https://e.example/p.png>",
    "--> <b>bold</b> <!-- ilk-preview -->",
    "| a | b |\n|---|---|\n| @you | [x](https://e.example) |",
    "line\r\n```\r\n@you",
    "\u2028```\u2028@you",
    "\u202egnp.exe \u200b@you \x1b[31m \x00",
    "https://e.example/steal?x=1 ghost/repo#12 GH-3 0123456789012345678901234567890123456789",
    "\\`@you\\`",
    "::error::x\n##[add-path]/tmp",
    "    ```\n",
]


def parsed(comment: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(comment)


def outside(comment: str) -> list[Token]:
    """Every token of the comment with those inside lines, but for code, whose content is no Markdown."""
    found: list[Token] = []
    for token in parsed(comment):
        found += [token, *(token.children or ())]
    return [token for token in found if token.type not in ("fence", "code_inline", "inline")]


def assert_inert(comment: str) -> None:
    assert comment.startswith(f"{MARKER}\n")
    assert len(comment) <= LONGEST
    tokens = outside(comment)
    assert {token.type for token in tokens} <= {
        "html_block", "heading_open", "heading_close", "paragraph_open", "paragraph_close", "text", "table_open",
        "thead_open", "tr_open", "th_open", "th_close", "tr_close", "thead_close", "tbody_open", "td_open", "td_close",
        "tbody_close", "table_close", "em_open", "em_close", "softbreak",
    }  # fmt: skip
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [MARKER]
    said = "\n".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"[@#<>`\[\]]|://|GH-", said)
    shown = comment.replace("\n", "")
    assert shown.isprintable(), [char for char in shown if not char.isprintable()]


def full(words: str) -> Preview:
    """A preview in which every text is `words`."""
    rejection = Rejection(subject=words, filter=words, reason=words, score=0.5, threshold=0.6, partner=words)
    finding = Finding(
        path=words, line=1, column=1, code=words, severity="warning", field=words, message=words, fix=words
    )
    leaf = leaf_preview(
        words,
        findings=(finding,),
        lacking=(words,),
        samples=(Shown(id=words, method="rules", question=words, answer=words, context=words, rejection=rejection),),
        rejections=(rejection,),
        overlaps=(Overlap(what=words, text=words, other=words, other_what=words, how=words, score=0.5, measure=words),),
    )
    share = Share(name=words, before=1, after=2, share_before=0.5, share_after=0.6)
    return preview_of(
        leaf,
        leaf_preview("knowledge/other"),
        base=Base(ref=words, named=True, commit="a" * 40),
        removed=(words,),
        shift=Shift(basis=words, branches=(share,), leaves=(share,), uncounted=(words,)),
        notes=(words,),
    )


@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_that_a_leaf_says_acts(words: str) -> None:
    assert_inert(markdown(full(words)))


@given(st.text(alphabet=st.one_of(st.sampled_from("`~@#<>!|[]()\\*_-: \n\r\t&;/"), st.characters()), max_size=60))
def test_no_text_acts(words: str) -> None:
    assert_inert(markdown(full(words)))


@given(st.lists(st.text(alphabet="`a \n", max_size=40), max_size=4))
def test_a_fence_holds_whatever_is_in_it(rows: list[str]) -> None:
    (token,) = parsed(fenced(rows))
    assert token.type == "fence"


def test_a_leaf_of_this_house_is_shown_as_it_is_called() -> None:
    assert code("knowledge/history/towns/velmouth_2") == "`knowledge/history/towns/velmouth_2`"
    assert code("a`b|c\n@d") == r"`a\x60b\x7cc\x0a\x40d`"


def test_a_comment_of_too_many_leaves_is_cut_between_leaves_and_says_so() -> None:
    leaves = [leaf_preview(f"knowledge/{number}", lacking=("why " * 800,)) for number in range(300)]
    comment = markdown(preview_of(*leaves))
    assert_inert(comment)
    assert len(comment) > LONGEST - 9_000
    told = re.search(r"_(\d+) of the 300 leaves are left out here", comment)
    assert told
    shown = comment.count("\n#### `knowledge/")
    assert int(told[1]) + shown == 300
    assert "… and 250 leaves more." in comment


def test_a_leaf_that_says_too_much_is_cut_within_its_fence() -> None:
    leaf = leaf_preview(lacking=tuple(f"reason {number} {'x ' * 200}" for number in range(300)))
    comment = markdown(preview_of(leaf, leaf_preview("knowledge/second")))
    assert_inert(comment)
    assert "the rest is cut" in comment
    assert "#### `knowledge/second`" in comment


@pytest.mark.parametrize("words", HOSTILE)
def test_the_text_form_lets_nothing_act_in_a_terminal_or_a_log(words: str) -> None:
    told = text(full(words))
    assert all(line.isprintable() for line in told.split("\n"))
    assert not any(line.lstrip().startswith("::") for line in told.split("\n"))


def test_every_figure_of_the_text_form_stands_with_its_basis() -> None:
    told = text(preview_of(leaf_preview(), leaf_preview("knowledge/other")))
    figures = 2 + len(type(COST).model_fields) - 2  # made, kept, and the cost's but for `answered` and `to_pay`
    assert told.count(f"({FIGURE.basis})") == 2 * figures + (figures - 2)
