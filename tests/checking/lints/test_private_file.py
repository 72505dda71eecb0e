from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import found_in, knowledge, write_leaf
from one_lint import KNOWLEDGE_PATH

from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.private import LONGEST, MOST, names


def read(text: str | bytes) -> tuple[tuple[str, ...], list[tuple[str, str, int, int]]]:
    findings = Findings("private.txt")
    found = names(text.encode() if isinstance(text, str) else text, findings)
    return found, [(each.severity, each.code, each.line, each.column) for each in findings.ordered]


def test_names_stand_one_a_line_with_comments() -> None:
    text = "# residents\nMara Vell\r\n\n  Óscar   Núñez # the baker\nO'Neil-Brandt Jr.\n王小明\n"
    assert read(text) == (("Mara Vell", "Óscar Núñez", "O'Neil-Brandt Jr.", "王小明"), [])
    assert read("\ufeffMara Vell") == (("Mara Vell",), [])


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("  mara vell", 3),
        ("Al", 1),
        ("A", 1),
        ("Mara <mara@x.de>", 1),
        ("Mara_Vell", 1),
        ("---", 1),
        ("X" * (LONGEST + 1), 1),
    ],
)
def test_what_cannot_be_a_name_is_an_error_at_its_place(line: str, column: int) -> None:
    assert read(f"Mara Vell\n{line}\n") == (("Mara Vell",), [("error", "wrong-value", 2, column)])


def test_a_name_that_stands_twice_is_a_warning() -> None:
    assert read("Mara Vell\nMara  Vell\n") == (("Mara Vell",), [("warning", "repeated", 2, 1)])


def test_bytes_that_are_not_utf8_are_told_where_they_stand() -> None:
    assert read(b"Mara\nV\xe9ll\n") == ((), [("error", "encoding", 2, 2)])


def test_too_many_names_are_too_many() -> None:
    found, told = read("\n".join(f"Name {number}" for number in range(MOST + 5)))
    assert len(found) == MOST
    assert told == [("error", "wrong-value", MOST + 1, 1)]


def test_the_check_of_a_leaf_reads_the_file(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, KNOWLEDGE_PATH, knowledge())
    file = folder / "private.txt"

    def told() -> list[tuple[str, str]]:
        return [(each.code, each.severity) for each in found_in(tmp_path) if each.path.endswith("private.txt")]

    assert told() == []
    file.write_text("Mara Vell\n")
    assert told() == []
    file.write_text("mara\n")
    assert told() == [("wrong-value", "error")]
    file.write_text("# nobody\n")
    assert told() == [("empty", "warning")]
