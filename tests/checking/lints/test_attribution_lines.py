from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaf_files import found_in, skill, write_leaf

from instructlab_like.checking.lints.attribution import suggested
from instructlab_like.taxonomy.findings import Finding

GOOD = "Title of work: Tides\nLink to work: -\nLicense of the work: CC-BY-SA-4.0\nCreator names: Ann\n"


def told(root: Path, text: str | bytes) -> list[Finding]:
    folder = write_leaf(root, "compositional_skills/add", skill())
    (folder / "attribution.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return [finding for finding in found_in(folder) if finding.path.endswith("attribution.txt")]


@pytest.mark.parametrize(
    "licence",
    [
        "CC-BY-SA-4.0",
        "mit",
        "GPL-2.0",
        "GFDL-1.3-or-later",
        "Apache-2.0+",
        "LicenseRef-House-Rules.1",
        "(MIT OR Apache-2.0) AND CC0-1.0",
        "GPL-2.0-only WITH Classpath-exception-2.0",
    ],
)
def test_an_spdx_expression_is_a_licence(tmp_path: Path, licence: str) -> None:
    assert told(tmp_path, GOOD.replace("CC-BY-SA-4.0", licence)) == []


@pytest.mark.parametrize(
    ("licence", "meant"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The MIT License (MIT)", "MIT"),
        ("GPLv3", "GPL-3.0-only"),
        ("GNU General Public License v3.0", "GPL-3.0-only"),
        ("CC-BY", "CC-BY-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("CC BY-SA 3.0, GFDL 1.3", "CC-BY-SA-3.0 AND GFDL-1.3-only"),
        ("Apach-2.0", "Apache-2.0"),
        ("CC-BY-SA-4.O", "CC-BY-SA-4.0"),
    ],
)
def test_what_was_meant_is_suggested(tmp_path: Path, licence: str, meant: str) -> None:
    (finding,) = told(tmp_path, GOOD.replace("CC-BY-SA-4.0", licence))
    assert (finding.line, finding.column, finding.code) == (3, 22, "unknown-licence")
    assert finding.fix == f"did you mean {meant!r}?"


@pytest.mark.parametrize("licence", ["none", "-", "proprietary", "All rights reserved", "MIT AND", "(MIT", "x" * 5_000])
def test_what_is_no_licence_gets_no_wild_guess(tmp_path: Path, licence: str) -> None:
    (finding,) = told(tmp_path, GOOD.replace("CC-BY-SA-4.0", licence))
    assert finding.code == "unknown-licence"
    assert "spdx.org" in finding.fix or licence.startswith(("MIT", "("))
    assert len(finding.message) < 120


@pytest.mark.parametrize(
    "text",
    [
        "Title: Tides\nLicence: MIT\nAuthor: Ann\n",
        "title of work : Tides\r\nlicense of the work : MIT\r\ncreator name(s): Ann\r\n",
        "\ufeffTitle of work: Tides\nSPDX-License-Identifier: MIT\nCreators: Ann\n",
        "Title of work:\n  Tides\nLicense of the work:\n  MIT\nCreator names:\n  Ann\n  Bob\n",
        "- **Title of work:** Tides\n- **License of the work:** MIT\n- **Creator names:** Ann\n",
        "Sources of this leaf\n\n" + GOOD + "\n" + GOOD,
        GOOD + GOOD,
        GOOD + "Creator names: Bob\n",
    ],
)
def test_labels_may_be_spelled_and_laid_out_as_people_do(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == []


def test_each_work_needs_a_licence_of_its_own(tmp_path: Path) -> None:
    second = "Title of work: Sands\nLink to work: https://example.org/a:b\nCreator names: Bob\n"
    (finding,) = told(tmp_path, GOOD + "\n" + second)
    assert (finding.line, finding.column, finding.code) == (6, 1, "no-licence")
    (finding,) = told(tmp_path, second + GOOD)
    assert (finding.line, finding.column, finding.code) == (1, 1, "no-licence")


def test_without_a_licence_the_first_place_is_told(tmp_path: Path) -> None:
    for text in ("\nTitle of work: Tides\nCreator names: Ann\n", "Written by me.\n"):
        (finding,) = told(tmp_path, text)
        assert (finding.line, finding.column, finding.code) == (1, 1, "no-licence")


def test_labels_without_a_value_are_told_where_it_belongs(tmp_path: Path) -> None:
    found = told(tmp_path, "Title of work:\nLink to work: -\nLicense of the work:\nCreator names: n/a\n")
    places = [(finding.line, finding.column, finding.code) for finding in found]
    assert places == [(1, 15, "no-title"), (3, 21, "no-licence"), (4, 16, "no-creator")]


@pytest.mark.parametrize("text", ["Title of work:\nLicense of the work:\n", "\n\n", " \n"])
def test_a_file_that_says_nothing_is_told_once(tmp_path: Path, text: str) -> None:
    assert [finding.code for finding in told(tmp_path, text)] == ["empty-attribution"]


def test_what_is_not_utf8_is_told_at_its_byte(tmp_path: Path) -> None:
    (finding,) = told(tmp_path, GOOD.replace("Ann", "Renée").encode("latin-1"))
    assert (finding.line, finding.column, finding.code) == (4, 19, "encoding")


@given(st.text("abcGPLMITCCBY-v()., 0123456789/&ß\x00", max_size=60))
def test_no_licence_text_breaks_the_suggestion(text: str) -> None:
    meant = suggested(text)
    assert meant is None or suggested(meant) is not None


def test_a_line_of_blanks_does_not_take_long(tmp_path: Path) -> None:
    (finding,) = told(tmp_path, "Title of work: x" + " " * 90_000 + "y\nCreator names: " + "*" * 90_000 + " z\n")
    assert finding.code == "no-licence"
