"""A ledger as it is read by those who ask nothing: whole after a kill, untouched, and never while a run holds it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from instructlab_like.errors import InputError
from instructlab_like.generation import ledger as ledger_room
from instructlab_like.generation.books import NEWEST, OURS, Books, InUseError, Totals
from instructlab_like.generation.ledger import Failure, Ledger
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling

OLD = """
CREATE TABLE calls (key TEXT PRIMARY KEY, request TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, answer TEXT, error TEXT, intended REAL NOT NULL, finished REAL) WITHOUT ROWID
"""


def prompt(text: str, model: str = "m") -> Prompt:
    lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model=model)
    return Prompt(messages=(Message(role="user", content=text),), sampling=Sampling(), yields=("a",), lineage=lineage)


def filled(path: Path) -> tuple[Prompt, Prompt, Prompt]:
    """A ledger with an answer, a failure of two attempts, and an intent."""
    one, two, three = prompt("one"), prompt("two", "n"), prompt("three")
    with Ledger(path) as ledger:
        ledger.intend(one, two)
        ledger.write(Failure(two.key, "HTTP 500", "server_error", 5, 0))
        ledger.intend(two)
        ledger.write(Failure(two.key, "HTTP 503", "server_error", 5, 0))
        ledger.commit(Completion(key=one.key, text="1 ü", finish_reason="stop", prompt_tokens=3, completion_tokens=2))
        ledger.intend(three)
    return one, two, three


def test_a_call_is_read_as_it_was_written(tmp_path: Path) -> None:
    one, two, three = filled(tmp_path / "l")
    with Books(tmp_path / "l") as books:
        answered, failed, intended = books.call(one.key), books.call(two.key), books.call(three.key)
        assert books.call("none") is None
        assert books.totals() == {"m": Totals(2, 3, 2), "n": Totals(2, 10, 0)}
        assert books.keys(one.key[:9]) == [one.key]
        assert set(books.sizes()) == {one.key, two.key, three.key}
    assert answered
    assert failed
    assert intended
    assert (answered.state, answered.text, answered.finish_reason) == ("answered", "1 ü", "stop")
    assert answered.messages == ({"role": "user", "content": "one"},)
    assert (failed.state, failed.attempts, failed.kind, failed.error) == ("failed", 2, "server_error", "HTTP 503")
    assert (intended.state, intended.lost) == ("intended", 1)


def test_reading_changes_no_byte_and_leaves_no_file(tmp_path: Path) -> None:
    filled(tmp_path / "l")
    before = (tmp_path / "l").read_bytes()
    with Books(tmp_path / "l") as books:
        books.totals()
    assert (tmp_path / "l").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["l"]


def test_a_reader_keeps_no_run_from_starting(tmp_path: Path) -> None:
    one, *_ = filled(tmp_path / "l")
    with Books(tmp_path / "l") as books, Ledger(tmp_path / "l") as ledger:
        assert ledger.committed(one.key)
        assert books.call(one.key)


def test_a_run_that_writes_meanwhile_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "l")
    with pytest.raises(InUseError), Books(tmp_path / "l"), Ledger(tmp_path / "l") as ledger:
        ledger.intend(prompt("four"))


def test_a_ledger_that_a_run_holds_is_named(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(prompt("one"))
        with pytest.raises(InUseError), Books(tmp_path / "l"):
            pass


def test_what_a_killed_run_committed_is_read(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_books import filled
from instructlab_like.generation.ledger import Ledger
Ledger.__exit__ = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
filled(Path(sys.argv[1]))
"""
    path = tmp_path / "l"
    done = subprocess.run([sys.executable, "-c", code, str(path), str(Path(__file__).parent)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("l-wal").stat().st_size
    with Books(path) as books:
        assert books.totals() == {"m": Totals(2, 3, 2), "n": Totals(2, 10, 0)}


def test_a_ledger_of_format_1_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with sqlite3.connect(path) as connection:
        connection.execute(OLD)
        answer = '{"key": "k", "text": "t", "finish_reason": "stop", "prompt_tokens": 7, "completion_tokens": 2}'
        connection.execute("INSERT INTO calls VALUES ('k', '{}', 'm', 'answered', 2, ?, NULL, 0, 0)", (answer,))
        connection.execute(f"PRAGMA application_id = {OURS}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    before = path.read_bytes()
    with Books(path) as books:
        assert books.totals() == {"m": Totals(2, 7, 2)}
    assert path.read_bytes() == before


def test_what_is_no_ledger_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "l")
    shutil.copy(tmp_path / "l", tmp_path / "newer")
    with sqlite3.connect(tmp_path / "newer") as connection:
        connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    connection.close()
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE calls (a)")
    connection.close()
    (tmp_path / "text").write_text("no database\n" * 1000)
    for name, message in (
        ("newer", "newer version"),
        ("other", "no ledger"),
        ("text", "cannot be read"),
        ("-", "no such"),
    ):
        with pytest.raises(InputError, match=message), Books(tmp_path / name):
            pass


def test_it_reads_what_the_ledger_writes() -> None:
    assert (OURS, NEWEST) == (ledger_room.OURS, ledger_room.VERSION)
