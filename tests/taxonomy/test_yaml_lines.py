from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Scalar, identity, load, plain


def code_of(text: str | bytes) -> tuple[str, int, int]:
    sheet = load(text.encode() if isinstance(text, str) else text)
    assert sheet.root is None or sheet.problems or sheet.duplicates
    first = [*sheet.problems, *sheet.duplicates][0]
    return first.code, first.line, first.column


def test_every_value_knows_its_place() -> None:
    root = load(b"a: 1\nlist:\n  - x\n  - {y: z}\n").root
    assert isinstance(root, Mapping)
    listed = root.get("list")
    assert isinstance(listed, Items)
    inner = listed.items[1]
    assert isinstance(inner, Mapping)
    assert (listed.items[0].line, listed.items[0].column) == (3, 5)
    assert (inner.entries[0].line, inner.entries[0].column) == (4, 6)
    assert plain(root) == {"a": 1, "list": ("x", {"y": "z"})}


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: [1\n", "syntax", 2, 1),
        ("a:\tb\n", "syntax", 1, 3),
        ("a: b\n---\nc: d\n", "syntax", 2, 1),
        ("a: *nobody\n", "syntax", 1, 4),
        ("a: \x01\n", "syntax", 1, 4),
        ("a: &self [*self]\n", "alias", 1, 4),
        ("a: !!python/object:os.system x\n", "tag", 1, 4),
        ("a: 2024-13-45\n", "value", 1, 4),
        (f"a: {'9' * 5000}\n", "value", 1, 4),
        ("? [a]\n: b\n", "key", 1, 3),
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1),
        ("<<: 3\n", "merge", 1, 5),
        (b"ok: 1\nbad: \xff\n", "encoding", 2, 6),
        ("a: " + "[" * 80 + "]" * 80, "too-deep", 1, 67),
        ("x: y\n" * 250_000, "too-large", 1, 1),
        ("- x\n" * 110_000, "too-many-values", 100_000, 3),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str | bytes, code: str, line: int, column: int) -> None:
    assert code_of(text) == (code, line, column)


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    started = time.process_time()
    assert code_of(bomb)[0] == "too-many-values"
    assert time.process_time() - started < 2


def test_a_chain_of_merges_brings_no_bomb() -> None:
    chain = "a0: &a0 {k: v}\n"
    chain += "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
    assert code_of(chain)[0] == "too-many-values"


def test_aliases_and_merges_are_read() -> None:
    root = load(b"base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nagain: *b\n").root
    assert root is not None
    assert plain(root) == {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}, "again": {"x": 1, "y": 2}}


def test_byte_order_mark_and_carriage_returns_change_nothing() -> None:
    text = "a: |\n  one\n  two\nb: c\n"
    changed = load(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert changed == load(text.encode())


def test_values_are_equal_as_json_schema_has_it() -> None:
    def one(text: str) -> object:
        root = load(text.encode()).root
        assert root is not None
        return identity(root)

    assert one("{a: 1, b: 2}") == one("{b: 2, a: 1.0}")
    assert one("[true]") != one("[1]")
    assert one("['1']") != one("[1]")
    assert one("[1, 2]") != one("[2, 1]")


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_file_makes_the_reader_fall_over(data: bytes) -> None:
    sheet = load(data)
    lines = sheet.text.count("\n") + 2
    for problem in (*sheet.problems, *sheet.duplicates):
        assert 1 <= problem.line <= lines or not sheet.text
        assert problem.column >= 1


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@, \n\t?<", max_size=60))
def test_no_punctuation_makes_the_reader_fall_over(text: str) -> None:
    sheet = load(text.encode())
    if sheet.root is not None:
        assert isinstance(sheet.root, (Scalar, Items, Mapping))
        plain(sheet.root)
        identity(sheet.root)
