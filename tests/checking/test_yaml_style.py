"""The rules are yamllint's; what is compared here is how they are run: its own driver says the same of every file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutants import mutants
from yamllint import linter
from yamllint.config import YamlLintConfig

from instructlab_like.checking.yaml_style import PROFILE, problems
from instructlab_like.taxonomy.yaml_lines import Mapping, load

Told = list[tuple[int, int, str, str, str]]


def theirs(text: str) -> Told:
    found = linter.run(text.encode(), YamlLintConfig(PROFILE))
    return sorted((one.line, one.column, one.rule, one.level, one.desc) for one in found)


def ours(data: bytes) -> tuple[str, Told] | None:
    """Of a file that the lint is asked about: one that holds a mapping and has no fault."""
    sheet = load(data)
    if sheet.problems or not isinstance(sheet.root, Mapping):
        return None
    return sheet.text, sorted((one.line, one.column, one.rule, one.severity, one.message) for one in problems(sheet))


def test_mutants_have_the_problems_that_yamllint_finds() -> None:
    compared, troubled = 0, 0
    for mutant in mutants(seed=21, count=700):
        if told := ours(mutant.data):
            text, found = told
            assert found == theirs(text), mutant
            compared += 1
            troubled += bool(found)
    assert compared > 250
    assert troubled > 80


PIECES = [
    "a: b",
    "- c",
    "d:",
    "  ",
    " ",
    "\n",
    "\n\n\n\n",
    ": ",
    "[x, y]",
    "{x: y}",
    " ,",
    "|\n  x",
    "'q'",
    "# c",
    "a",
    "? k",
]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_small_files_have_the_problems_that_yamllint_finds(text: str) -> None:
    if told := ours(text.encode()):
        assert told[1] == theirs(told[0])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("text", ["{}a: b\n", "a: b\n{}c: d\n", "a: b\n{}", "a: b\n  {}"])
def test_empty_lines_are_counted_as_yamllint_does(text: str, count: int) -> None:
    text = text.format("\n" * count)
    assert ours(text.encode()) == (text, theirs(text))


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_problems_beyond_the_last_line_are_dropped_as_yamllint_does(mark: str) -> None:
    text = f"a: x{mark}{mark}\nb:  c\nb:  d\nb:  e"
    assert ours(text.encode()) == (text, theirs(text))
    assert [one[2] for one in theirs(text)].count("key-duplicates") < 2


def test_a_key_is_found_again_among_thousands() -> None:
    text = "".join(f"key_{number}: x\n" for number in range(3_000)) + "key_7: y\n"
    assert [(one.line, one.rule) for one in problems(load(text.encode()))] == [(3_001, "key-duplicates")]
