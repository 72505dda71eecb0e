from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import found_in, knowledge, skill, write_leaf
from one_lint import SKILL_PATH, skill_text, written_skill

from instructlab_like.checking.hits import Page
from instructlab_like.checking.hits import found_in as found_in_page
from instructlab_like.checking.lints.characters import look
from instructlab_like.taxonomy.yaml_lines import load

# One character after A, its code, and whether it is an error.
HIDDEN = [
    *((chr(code), "bidi-control") for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C)),
    *((chr(code), "tag-character") for code in (0xE0000, 0xE0001, 0xE0041, 0xE007F)),
    *((chr(code), "control-character") for code in (0, 7, 8, 0xB, 0xC, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9B, 0x9F)),
    *((chr(code), "noncharacter") for code in (0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF)),
    *((chr(code), "private-use") for code in (0xE000, 0xF8FF, 0xF0000, 0x10FFFD)),
    ("\u2028", "line-separator"),
    ("\u2029", "line-separator"),
    ("\ufffd", "replacement-character"),
    ("\ud800", "lone-surrogate"),
    ("\udfff", "lone-surrogate"),
    ("\udcff", "encoding"),
    *((chr(code), "variation-selector") for code in (0xFE00, 0xFE0E, 0xFE0F, 0xE0100, 0xE01EF)),
]
CODES = {code for _, code in HIDDEN} | {"zero-width", "mixed-script"}
UNSEEN = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\xad", "\u180e", "\u034f", "\u3164", "\u2064", "\ufff9"]


def codes(text: str) -> list[str]:
    return [hit.code for hit in look(text)]


@pytest.mark.parametrize(("character", "code"), HIDDEN)
def test_a_character_without_use_is_an_error_where_it_stands(character: str, code: str) -> None:
    (hit,) = look(f"one\nA{character}B")
    assert (hit.code, hit.severity, hit.start, hit.end) == (code, "error", 5, 6)
    assert character not in hit.message


@pytest.mark.parametrize("character", UNSEEN)
def test_a_character_without_width_is_a_warning(character: str) -> None:
    (hit,) = look(f"wo{character}rd")
    assert (hit.code, hit.severity, hit.start) == ("zero-width", "warning", 2)


@pytest.mark.parametrize(
    "text",
    [
        "plain text,\n\twith a tab\r\n",
        "שלום עולם, and مرحبا بالعالم (123)",
        "می‌خواهم نامه‌ای بنویسم",  # joiners of Persian
        "ক্‍ষ র‍্য ශ්‍රී ക്‍ഷ",  # and of scripts of India and Sri Lanka
        "ประเทศ\u200bไทย, ភាសា\u200bខ្មែរ, 日本\u200b語",  # blanks that do not show between words
        "👨‍👩‍👧‍👦 ❤️‍🔥 👩🏽‍🚀 ☺️ 1️⃣ #️⃣ ©️ ⚠︎ 🏳️‍🌈 ↔️ ‼️",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "葛\U000e0100城市 and ∩\ufe00 and 。\ufe00",  # forms of an ideograph and of signs
        "ᠠ\u180eᠢ",
        "“quotes” – dashes… naïve café, 5 µm, 10 kΩ, 20 ℃, ½, ²",
        "Δt, hν, NF-κB, IκBα, TNFα, TGFβ, IFNγ, ERα, μm, πr², λx, Σxᵢ, ΔH, 𝒜, ℝ, αβγ-rays",
        "Привет, мир. IT-специалист, USB-кабель, PDFки. Αθήνα, Ελλάδα",
    ],
)
def test_what_languages_and_sciences_need_is_no_finding(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "pаypal", "раypal", "аdmin", "Gооgle", "Аpple", "мoсква", "Привeт", "ехаmple", "СΟDE",
        "Gοogle", "pαypal", "Αpple", "ΑΒout", "Αθήvα",
    ],
)  # fmt: skip
def test_a_word_whose_letters_pass_for_those_of_another_script_is_a_warning(text: str) -> None:
    (hit,) = look(f"the {text} account")
    assert (hit.code, hit.severity, hit.start, hit.end) == ("mixed-script", "warning", 4, 4 + len(text))


def test_the_message_names_the_character_and_escapes_it() -> None:
    told = [hit.message for hit in look("a\u202eb\x1b[31m\udcff")]
    assert told == [
        r"U+202E RIGHT-TO-LEFT OVERRIDE (\u202e) changes the order in which text is shown",
        r"U+001B ESCAPE (\x1b) can act on a terminal, and is no text",
        "the byte 0xFF is no UTF-8 text",
    ]


def test_a_run_of_tags_is_one_finding_that_says_what_it_spells() -> None:
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    (hit,) = look(f"Hello{tags}.")
    assert (hit.start, hit.end) == (5, 9)
    assert hit.message.startswith("U+E006F TAG LATIN SMALL LETTER O")
    assert "and 3 more (they spell 'obey')" in hit.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("😀\U000e0148\U000e0155\U000e0154", "variation-selector"),  # bytes behind an emoji
        ("😀\ufe0f\ufe0f", "variation-selector"),
        ("1\ufe0f", "variation-selector"),
        ("\ufe0f", "variation-selector"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "tag-character"),  # no country's flag
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\U000e0041", "tag-character"),
        ("می‌‌خواهم", "zero-width"),
        ("ab\u200d😀", "zero-width"),
    ],
)
def test_what_has_its_use_elsewhere_is_found_where_it_has_none(text: str, code: str) -> None:
    assert codes(text) == [code]


# --- in a leaf --------------------------------------------------------------------------------------------------


def said(root: Path) -> list[tuple[str, int, int, str, str]]:
    return [
        (Path(finding.path).name, finding.line, finding.column, finding.code, finding.field)
        for finding in found_in(root)
        if finding.code in CODES
    ]


def test_a_character_is_found_in_values_keys_comments_and_beside_the_yaml(tmp_path: Path) -> None:
    text = skill_text(question="One \u202e two") + "# a \u2066comment\n"
    folder = write_leaf(tmp_path, SKILL_PATH, text, heldout="questions:\n- question: a\u200bb\n  answer: c\n")
    (folder / "attribution.txt").write_text(
        "Title of work: T\x1b[2J\nLicense of the work: CC-BY-4.0\nCreator names: A\n"
    )
    (folder / "notes.md").write_text("one\n\ntwo \ue000\n")
    (folder / "picture.svg").write_text("\u202e")
    line = text.splitlines().index("- question: One \u202e two") + 1
    assert said(tmp_path) == [
        ("attribution.txt", 1, 17, "control-character", ""),
        ("heldout.yaml", 2, 14, "zero-width", "questions[1].question"),
        ("notes.md", 3, 5, "private-use", ""),
        ("qna.yaml", line, 17, "bidi-control", "seed_examples[1].question"),
        ("qna.yaml", len(text.splitlines()), 5, "bidi-control", ""),
    ]


@pytest.mark.parametrize(
    ("escape", "code"),
    [
        *(("\\u202e", "bidi-control"), ("\\x1b", "control-character"), ("\\e", "control-character")),
        *(("\\U000E0041", "tag-character"), ("\\0", "control-character"), ("\\L", "line-separator")),
        *(("\\N", "control-character"), ("\\u0430", "mixed-script")),
    ],
)
def test_a_character_that_only_an_escape_writes_is_found_where_the_escape_stands(
    tmp_path: Path, escape: str, code: str
) -> None:
    folder = written_skill(tmp_path, question="QUESTION")
    file = folder / "qna.yaml"
    text = file.read_text().replace("QUESTION", f'"What is\n    no{escape}w?"')
    file.write_text(text)
    line = text[: text.index(escape)].count("\n") + 1
    column = 5 if code == "mixed-script" else 7  # the word, or the character in it
    assert said(tmp_path) == [("qna.yaml", line, column, code, "seed_examples[1].question")]


def test_a_key_is_looked_at_as_well(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL_PATH, 'version: 3\n"crea\\u202eted_by": ann\n')
    assert ("qna.yaml", 2, 6, "bidi-control", "") in said(tmp_path)


def test_a_file_that_is_no_yaml_is_looked_at_as_it_stands(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL_PATH, "version: 3\ncreated_by: [é\x1b\n")
    assert ("qna.yaml", 2, 15, "control-character", "") in said(tmp_path)


def test_bytes_that_are_no_utf_8_are_told_once(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL_PATH, skill())
    (folder / "qna.yaml").write_bytes(b"version: 3\na: \xff\n")
    (folder / "notes.txt").write_bytes(b"caf\xe9\n")
    found = [finding for finding in found_in(tmp_path) if finding.code == "encoding"]
    assert [(Path(each.path).name, each.line, each.column) for each in found] == [
        ("notes.txt", 1, 4),
        ("qna.yaml", 2, 4),
    ]


@pytest.mark.parametrize("escape", ["\\ud83d", "\\udcff"])
def test_half_a_character_is_found_where_its_escape_stands(tmp_path: Path, escape: str) -> None:
    folder = written_skill(tmp_path, question="QUESTION")
    text = (folder / "qna.yaml").read_text().replace("QUESTION", f'"What {escape}?"')
    (folder / "qna.yaml").write_text(text)
    (found,) = (finding for finding in found_in(tmp_path) if finding.code == "lone-surrogate")
    assert (found.column, found.field) == (19, "seed_examples[1].question")
    assert found.message == f"U+{escape[2:].upper()} ({escape}) is half a character"


def test_a_byte_order_mark_is_none_of_the_characters(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL_PATH, skill())
    (folder / "notes.md").write_bytes("\ufefftext\n".encode())
    assert said(tmp_path) == []
    (folder / "notes.md").write_bytes("\ufefftext\ufeff\n".encode())
    assert said(tmp_path) == [("notes.md", 1, 5, "zero-width", "")]


def test_names_of_folders_and_files_are_looked_at(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, "compositional_skills/good/a\ue000b", skill())
    (folder / "x\U000e0041.png").write_text("")
    found = [finding for finding in found_in(tmp_path) if finding.code in ("private-use", "tag-character")]
    assert [(finding.line, finding.column, finding.message.split(",")[0]) for finding in found] == [
        (1, 1, r"the folder name 'a\ue000b' holds U+E000 (\ue000)"),
        (1, 1, r"the file name 'x\U000e0041.png' holds U+E0041 TAG LATIN CAPITAL LETTER A (\U000e0041)"),
    ]


def test_many_finds_are_counted_rather_than_listed(tmp_path: Path) -> None:
    written_skill(tmp_path, question="a\u202e" * 50)
    found = [finding for finding in found_in(tmp_path) if finding.code == "bidi-control"]
    assert len(found) == 21
    assert found[-1].message == "30 more such finds are not listed"


def test_a_leaf_in_a_right_to_left_script_has_no_finding(tmp_path: Path) -> None:
    folder = write_leaf(
        tmp_path, "knowledge/tides", knowledge(repo=".", commit="HEAD") | {"domain": "היסטוריה של נמלים"}
    )
    (folder / "tides.md").write_text("# المد والجزر\n\nהים יורד ועולה، فی‌الحال\n", encoding="utf-8")
    assert said(tmp_path) == []


# --- whatever the text ------------------------------------------------------------------------------------------

ANY = st.text(
    st.characters()
    | st.sampled_from("aеο\u200d\u200b\ufe0f😀\U000e0041\U0001f3f4\u202e\x1b\u2028\udc80")
    | st.characters(categories=["Cs", "Co", "Cf", "Cc", "Mn"])
)


@given(ANY)
def test_any_text_can_be_looked_at(text: str) -> None:
    past = -1
    for hit in sorted(look(text), key=lambda hit: hit.start):
        assert 0 <= hit.start < hit.end <= len(text)
        if hit.code != "mixed-script":
            assert hit.start >= past
            past = hit.end
        assert hit.message.isprintable()


@given(before=st.text("abc é", max_size=30), after=st.text("xyz \n", max_size=30), style=st.sampled_from(['"', None]))
def test_a_control_in_any_value_is_found_exactly(before: str, after: str, style: str | None) -> None:
    file = yaml.safe_dump({"a": f"{before}\u202e{after}"}, default_style=style, width=20)
    (found,) = found_in_page(Page("qna.yaml", file, load(file.encode()).root), look)
    assert file.split("\n")[found.line - 1][found.column - 1 :].startswith("\\u202E")
