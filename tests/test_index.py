"""Rows by id: what the index finds is what reading every row would find, whatever became of file and index."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like import index as room
from instructlab_like.errors import InputError
from instructlab_like.index import Index, IndexWriter, writing

HEX = st.text("0123456789abcdef", min_size=1, max_size=20)
NAMES = st.one_of(HEX, st.text(min_size=1, max_size=6).filter(lambda text: "\0" not in text))
ROWS = st.lists(st.tuples(NAMES, st.integers(0, 9)), max_size=40)


def ids(line: bytes) -> list[str]:
    row = orjson.loads(line)
    if not isinstance(row, dict) or "id" not in row:
        raise ValueError("no id")
    return [row["id"]]


def row(id: str, value: object = 0) -> bytes:
    return orjson.dumps({"id": id, "value": value}) + b"\n"


def write(folder: Path, *rows: bytes) -> tuple[Path, Path]:
    path, at = folder / "rows.jsonl", folder / "index" / "rows"
    with writing(path, at) as writer:
        for line in rows:
            writer.write(line, *ids(line))
    return path, at


def found(path: Path, at: Path, beginning: str) -> list[bytes]:
    with Index(path, at, ids) as index:
        return index.find(beginning)


def by_reading(rows: list[bytes], beginning: str) -> list[bytes]:
    return sorted(line for line in rows if ids(line)[0].startswith(beginning))


@settings(max_examples=50)
@given(ROWS, NAMES, st.booleans())
def test_what_is_found_is_what_reading_every_row_finds(rows: list[tuple[str, int]], name: str, kept: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = [row(id, value) for id, value in rows]
        path, at = write(Path(folder), *lines)
        if not kept:
            at.unlink()
        for beginning in {name, name[:1], *(id[: 1 + len(id) // 2] for id, _ in rows)}:
            assert sorted(found(path, at, beginning)) == by_reading(lines, beginning)


@settings(max_examples=50)
@given(ROWS)
def test_rows_of_one_id_come_in_the_order_of_the_file(rows: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, at = write(Path(folder), *(row(id, value) for id, value in rows))
        for id in {id for id, _ in rows}:
            exact = [line for line in found(path, at, id) if ids(line) == [id]]
            assert exact == [row(other, value) for other, value in rows if other == id]


@settings(max_examples=50)
@given(st.lists(HEX, max_size=60))
def test_entries_that_were_spilled_give_the_same_index(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        lines = [row(name, number) for number, name in enumerate(names)]
        path, at = write(Path(folder), *lines)
        whole = at.read_bytes()
        patch.setattr(room, "SORTED", 7)
        patch.setattr(room, "BLOCK", 3)
        write(Path(folder), *lines)
        assert at.read_bytes() == whole
        at.unlink()
        found(path, at, "a")
        assert at.read_bytes() == whole


def test_no_more_entries_are_held_than_are_sorted_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SORTED", 5)
    writer = IndexWriter(tmp_path)
    for number in range(23):
        writer.add(f"{number:x}", number)
        assert len(writer.entries) < 5
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_an_index_holds_no_clock(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    _, first = write(one, row("a"), row("b"))
    path, second = write(other, row("a"), row("b"))
    os.utime(path, (1, 1))
    found(path, second, "a")
    assert first.read_bytes() == second.read_bytes()


def test_a_file_of_the_same_size_that_was_changed_is_indexed_anew(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    path.write_bytes(row("ab") + row("ac"))
    assert found(path, at, "ac") == [row("ac")]
    assert found(path, at, "aa") == []


def test_nor_do_equal_size_and_time_deceive(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    facts = path.stat()
    path.write_bytes(row("ab") + row("ac"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert found(path, at, "ac") == [row("ac")]


def test_rows_that_were_added_are_found(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"))
    with path.open("ab") as file:
        file.write(row("ab"))
    assert found(path, at, "a") == [row("aa"), row("ab")]


@pytest.mark.parametrize("damage", [b"", b"x", b"ilkindx1", b"\0" * 60, b"ilkindx1" + b"\xff" * 52])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    whole, facts = at.read_bytes(), path.stat()
    at.write_bytes(damage)
    os.utime(at, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert found(path, at, "ab") == [row("ab")]
    assert at.read_bytes() == whole


@pytest.mark.parametrize("offset", [0, 1, 5, 10_000])
def test_an_entry_that_points_elsewhere_is_not_believed(tmp_path: Path, offset: int) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    whole, facts = at.read_bytes(), path.stat()
    at.write_bytes(whole[: -room.OFFSET] + offset.to_bytes(room.OFFSET, "big"))
    os.utime(at, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert found(path, at, "ab") == [row("ab")]
    assert at.read_bytes() == whole


def test_where_no_index_can_be_kept_rows_are_found_all_the_same(tmp_path: Path) -> None:
    path, _ = write(tmp_path, row("aa"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert found(path, blocked / "rows", "a") == [row("aa")]


def test_a_row_that_is_still_being_written_is_not_there_yet(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"))
    with path.open("ab") as file:
        file.write(row("ab")[:5])
    assert found(path, at, "a") == [row("aa")]
    with path.open("ab") as file:
        file.write(row("ab")[5:])
    assert found(path, at, "a") == [row("aa"), row("ab")]


def test_a_reader_goes_on_with_what_stood_there_when_it_began(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    with Index(path, at, ids) as index:
        write(tmp_path, row("ac"))
        assert index.find("a") == [row("aa"), row("ab")]
    assert found(path, at, "a") == [row("ac")]


def test_a_reader_whose_file_is_cut_off_says_so(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"), row("ab"))
    with Index(path, at, ids) as index:
        path.write_bytes(b"")
        assert index.find("ab") == []


def test_an_error_while_rows_are_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("aa"))
    before = sorted(tmp_path.rglob("*")), path.read_bytes(), at.read_bytes()
    with pytest.raises(ZeroDivisionError), writing(path, at) as writer:
        writer.write(row("ab"), *("ab" for _ in range(1 // 0)))
    assert (sorted(tmp_path.rglob("*")), path.read_bytes(), at.read_bytes()) == before


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(row("aa") + b"[]\n")
    with pytest.raises(InputError) as caught:
        found(path, tmp_path / "index", "a")
    assert caught.value.where == f"{path}:2"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        found(tmp_path / "none.jsonl", tmp_path / "index", "a")


def test_the_different_ids_are_listed_without_reading_rows(tmp_path: Path) -> None:
    path, at = write(tmp_path, row("ab"), row("aa"), row("ab", 1), row("b"))
    with Index(path, at, ids) as index:
        assert list(index.keys("a")) == ["aa", "ab"]
        assert list(index.keys("")) == ["aa", "ab", "b"]
