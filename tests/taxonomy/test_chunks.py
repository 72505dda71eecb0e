from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.records import Chunk, blob_id
from instructlab_like.taxonomy.chunks import count, cut
from instructlab_like.taxonomy.documents import Document


def document(text: str) -> Document:
    data = text.encode()
    return Document(repo=".", commit="HEAD", path="knowledge/tides/tides.md", blob=blob_id(data), data=data)


def chunks(text: str, words: int = 200) -> list[Chunk]:
    """The chunks, after checking what holds of all chunks."""
    source = document(text)
    found = cut(source, words=words)
    end = 0
    for chunk in found:
        assert source.data[chunk.start : chunk.end].decode() == chunk.text
        assert chunk.start >= end
        assert 1 <= count(chunk.text) <= words
        assert chunk.text == chunk.text.strip()
        assert re.search(r"\w", chunk.text)
        assert chunk.blob == source.blob
        end = chunk.end
    return found


def texts(text: str, words: int = 200) -> list[str]:
    return [chunk.text for chunk in chunks(text, words)]


def test_sections_are_never_mixed_and_know_their_headings() -> None:
    found = chunks("Before.\n\n# Tides\n\nThe *sea*.\n\n## High `tide`\n\nUp.\n\nAnd up.\n\nOcean\n=====\n\nDeep.\n")
    assert [(chunk.headings, chunk.text) for chunk in found] == [
        ((), "Before."),
        (("Tides",), "The *sea*."),
        (("Tides", "High tide"), "Up.\n\nAnd up."),
        (("Ocean",), "Deep."),
    ]


def test_headings_close_those_of_their_level_and_below() -> None:
    found = chunks("# A\n\n### C\n\none\n\n## B\n\ntwo\n\n### D\n\nthree\n\n# E\n\nfour\n")
    assert [chunk.headings for chunk in found] == [("A", "C"), ("A", "B"), ("A", "B", "D"), ("E",)]


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "\n \n",
        "# Only a heading\n",
        "# One\n\n## Two\n",
        "[moon]: https://example.org/moon 'The moon'\n",
        "![The moon](moon.png)\n",
        "[![The moon](moon.png)](https://example.org)\n",
        "<!-- a comment -->\n",
        "<br>\n\n---\n\n***\n",
        "```\n```\n",
        "> \n",
        "- \n- \n",
        "\ufeff",
    ],
)
def test_what_says_nothing_gives_no_chunk(nothing: str) -> None:
    assert chunks(nothing) == []
    assert texts(f"One.\n\n{nothing.lstrip('#')}\n\nTwo.\n") != []


def test_what_says_nothing_is_in_no_chunk() -> None:
    text = "One.\n\n![moon](moon.png)\n\nTwo.\n\n[moon]: https://example.org\n\nThree.\n\n---\n\nFour.\n"
    assert texts(text) == ["One.", "Two.", "Three.", "Four."]


def test_whole_blocks_are_put_together_up_to_the_limit() -> None:
    paragraph = "one two three four"
    text = "\n\n".join([paragraph] * 5)
    assert texts(text, words=9) == [f"{paragraph}\n\n{paragraph}"] * 2 + [paragraph]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "Dr. J. Smith saw e.g. the tide (twice). It rose. \"Was it high?\" he asked. It was 3.5 m. 'Yes!' It fell."
    assert texts(text, words=8) == [
        "Dr. J. Smith saw e.g. the tide (twice).",
        'It rose. "Was it high?" he asked.',
        "It was 3.5 m. 'Yes!' It fell.",
    ]


def test_a_sentence_over_the_limit_is_cut_between_words() -> None:
    assert texts("a b c d e f g h i j\n\nk", words=4) == ["a b c d", "e f g h", "i j\n\nk"]


def test_a_long_list_is_cut_between_its_items() -> None:
    assert texts("- a b c\n- d e f\n  - g\n- h i j\n", words=8) == ["- a b c", "- d e f\n  - g", "- h i j"]


def test_tables_and_code_are_cut_between_lines() -> None:
    table = "| a | b |\n|---|---|\n| c | d |\n| e | f |\n"
    assert texts(table, words=10) == ["| a | b |\n|---|---|", "| c | d |\n| e | f |"]
    assert texts("```\none. two\nthree. four\n```\n", words=3) == ["```\none. two", "three. four\n```"]


def test_characters_count_as_words_where_there_are_no_blanks() -> None:
    assert count("潮汐") == 2
    assert count("the 潮汐 rises") == 4
    assert texts("海水上升。海水下降。", words=6) == ["海水上升。", "海水下降。"]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_keep_their_bytes(end: str) -> None:
    found = chunks("# Ti\ndes\n\nÉbb.\n\n- ä\n- ö\n".replace("\n", end))
    assert [(chunk.start, chunk.text) for chunk in found] == [(4 + len(end), f"des{end * 2}Ébb.{end * 2}- ä{end}- ö")]


def test_a_byte_order_mark_is_not_part_of_the_heading() -> None:
    (chunk,) = chunks("\ufeff# Tides\n\nUp.\n")
    assert (chunk.headings, chunk.start) == (("Tides",), 12)


pieces = st.one_of(
    st.sampled_from(
        [
            "# Title\n",
            "## Über uns ##\n",
            "Setext\n---\n",
            "A sentence. Another one! And a third?\n",
            "- item\n- item two\n\n  more\n",
            "1. one\n2. two\n",
            "> quoted\nlazy\n",
            "```py\ncode here\n\n# no heading\n```\n",
            "    indented code\n",
            "| a | b |\n|---|---|\n| 1 | 2 |\n",
            "![i](i.png)\n",
            "[r]: /url\n",
            "<div>\ntext\n</div>\n",
            "***\n",
            "\n",
            "\n\n",
            "日本語の文。次の文。\n",
            "emoji 👩‍👩‍👧 and \u2028 and \x0b and \x85 end\n",
            "\t",
        ]
    ),
    st.text(max_size=30),
)


@given(st.lists(pieces, max_size=12), st.integers(1, 12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_chunks_of_any_text_are_exact_ordered_and_small(parts: list[str], words: int, end: str) -> None:
    chunks("".join(parts).replace("\n", end), words)


@given(
    st.lists(st.sampled_from(["One two. Three four five.", "Six", "- seven\n- eight nine", "> ten"]), max_size=8),
    st.integers(1, 9),
)
def test_no_word_of_the_body_is_lost(parts: list[str], words: int) -> None:
    text = "\n\n".join(parts)
    kept = " ".join(texts(text, words))
    assert re.findall(r"\w+", kept) == re.findall(r"\w+", text)
