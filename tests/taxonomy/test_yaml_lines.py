from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Scalar, Sheet, identity, load, plain

STARTER = Path(__file__).parents[2] / "taxonomy"


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
        ("- x\n" * 40_000, "too-many-values", 30_000, 3),
        ("\n" * 60_000, "too-large", 50_001, 1),
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


@pytest.mark.parametrize("file", sorted(STARTER.rglob("qna.yaml")), ids=lambda file: file.parent.name)
def test_the_starter_leaves_are_read_the_fast_way(file: Path) -> None:
    assert load(file.read_bytes()).ordinary


def test_aliases_merges_and_tags_are_noted_with_their_places() -> None:
    sheet = load(b"a: &x {k: v}\nb: *x\nc:\n  <<: *x\nd:\n  <<: {m: n}\ne: !!str 5\n")
    assert [(one.line, one.column, one.code) for one in sheet.aliases] == [(2, 4, "alias-used"), (4, 7, "alias-used")]
    assert [(one.line, one.column, one.code) for one in sheet.merges] == [(6, 3, "merge-used")]
    assert [(one.line, one.column, one.code) for one in sheet.tags] == [(7, 4, "tag-used")]
    assert sheet.problems == ()


def test_of_two_merges_the_last_one_counts_and_of_a_list_the_first() -> None:
    root = load(b"a: &a {k: 1}\nb: &b {k: 2}\nc:\n  <<: *a\n  <<: *b\nd:\n  <<: [*a, *b]\n").root
    assert isinstance(root, Mapping)
    assert plain(root) == {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 2}, "d": {"k": 1}}


def test_lines_are_those_that_an_editor_counts() -> None:
    root = load("a: 'x\u2028y'\n\ufeffb: [1,\x85 2]\n".encode()).root
    assert isinstance(root, Mapping)
    assert [(entry.line, entry.column) for entry in root.entries] == [(1, 1), (2, 1)]
    listed = root.entries[1].value
    assert isinstance(listed, Items)
    assert [(item.line, item.column) for item in listed.items] == [(2, 6), (2, 10)]


# Where libyaml and PyYAML's own loader part: in what they take, or in what they make of it.
PARTINGS = [
    "a: b\t\n", "a:\tb\n", "- a\n-\tb\n", "a: |\t\n  x\n", "a: {?x: y}\n", "a: {x?, y}\n", "a: {b:}\n", "a: [b:]\n",
    "a: [q:{}]\n", "a: {! }\n", "a: !,\n", "a: !]\n", "a: {!,\n b: }\n", "%1\n---\n", "%YAML 1.3\n--- a\n",
    "%YAML 2.0\n--- a\n", "a: |#\n  x\n", "a: >-#\n  x\n", "a: |-1#\n x\n", "\ufeff\ufeffa: b\n", "a: \ufeffb\n",
    "\n\ufeffa: b\n", "a: x\x85b: y\n", "a: x\u2028b: y\n", "?", "a: \"\\ud83d\"\n", "a: \"\\U00110000\"\n",
    "a: \"\\UFFFFFFFF\"\n", "a: !!bool x\n", "a: !!int ''\n", "a: !!timestamp x\n", "a: !!str {=: x}\n",
    "a: !!set {b, c}\n", "a: !!omap [b: 1, c: 2]\n", "a: !!pairs [b: 1, b: 2]\n", "a: !!omap [b]\n", "=: x\n",
    "a: =\n", "a: <<\n", "? !!set {a}\n: b\n", "1: a\n1.0: b\ntrue: c\n", ".nan: a\n.nan: b\n",
    "a: &x b\nc: &x d\ne: *x\n", "a: 0x_\n", "a: 0b_\n", "a: 08\n", "a: 1:60\n", "a: 190:20:30.15\n",
    "a: !!binary é\n", "a: !!merge {b: c}\n", "!!merge a: {b: c}\n", "%TAG ! tag:yaml.org,2002:\n---\na: !int 3\n",
    "%YAML " + "9" * 5000 + ".0\n---\n", "a: !<tag:%FF> x\n", "a: [b]: c\n", "[a]: b\n",
]  # fmt: skip
PIECES = [
    "a", "b: ", "- ", "? ", ": ", "\n", "\n  ", "\n    ", "\t", "[", "]", "{", "}", ", ", "'", '"', "|\n", ">-\n",
    "|2+\n", "# c\n", "#", "&a ", "*a", "!!str ", "!!set ", "!!int ", "! ", "<<: ", "=", "~", "1", "0x1f",
    "2024-01-02", "---\n", "...\n", "%YAML 1.1\n", "\\", "\\x41", "\ufeff", "\u2028", "\x85", "\r", "é", "\U0001f600",
    "yes", ".nan", ".inf", "1:30", "\x07", "@", "`", "%", "!", "-", "?", ":", " ",
]  # fmt: skip


def parted_from_the_own_loader(data: bytes) -> str:
    """How the sheet differs from what PyYAML's own loader makes of the same text; nothing if it does not."""
    sheet = load(data)
    text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    try:
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
        return "" if sheet.problems else "read what the loader refuses"
    if sheet.problems:
        # Two marks, or a value that holds itself, are refused; the schema finds nothing valid in the first.
        refused = {problem.code for problem in sheet.problems} <= {"alias", "encoding", "too-many-values"}
        return "" if refused else f"refused: {sheet.problems}"
    found = None if sheet.root is None else plain(sheet.root)
    return "" if typed(found) == typed(expected) else f"read as {found!r}, and not {expected!r}"


def typed(value: object) -> object:
    """For comparing: 1 is not true here, and not-a-number is itself."""
    match value:
        case dict():
            return {repr(key): typed(inner) for key, inner in value.items()}
        case list() | tuple():
            return [typed(inner) for inner in value]
        case set() | frozenset():
            return sorted(map(repr, value))
        case _:
            return repr(value)


@pytest.mark.parametrize("text", PARTINGS)
def test_where_the_loaders_part_the_slow_one_is_followed(text: str) -> None:
    assert parted_from_the_own_loader(text.encode()) == ""


@settings(max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("a: |#\n  x\n")
def test_any_text_is_read_as_by_the_own_loader(text: str) -> None:
    for ending in ("", "\n"):
        assert parted_from_the_own_loader((text + ending).encode()) == ""


def all_places(sheet: Sheet) -> list[tuple[int, int]]:
    noted = (*sheet.problems, *sheet.duplicates, *sheet.aliases, *sheet.merges, *sheet.tags)
    places = [(problem.line, problem.column) for problem in noted]
    waiting = [sheet.root]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        places.append((node.line, node.column))
        if isinstance(node, Items):
            waiting += node.items
        elif isinstance(node, Mapping):
            places += [(entry.line, entry.column) for entry in node.entries]
            waiting += [entry.value for entry in node.entries]
    return places


def falls_inside(data: bytes) -> None:
    sheet = load(data)
    text = sheet.text or data.decode("utf-8-sig", "ignore").replace("\r\n", "\n").replace("\r", "\n")
    widths = [len(line) for line in text.split("\n")]
    for line, column in all_places(sheet):
        assert 1 <= line <= len(widths)
        assert 1 <= column <= widths[line - 1] + 1


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_file_makes_the_reader_fall_over(data: bytes) -> None:
    falls_inside(data)


@settings(max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_punctuation_makes_the_reader_fall_over(text: str) -> None:
    falls_inside(text.encode())
    sheet = load(text.encode())
    if sheet.root is not None:
        assert isinstance(sheet.root, (Scalar, Items, Mapping))
        hash(identity(sheet.root))
