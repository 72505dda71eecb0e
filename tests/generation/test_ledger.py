"""The ledger: what was committed is kept, whatever happens; and one run at a time."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.generation.ledger import Counts, Failure, Ledger
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling, digest


def prompt(text: str, draw: int = 0, leaf: str = "a") -> Prompt:
    lineage = Lineage(leaf=leaf, leaf_blob="b", method="teacher", model="m", draw=draw)
    return Prompt(messages=(Message(role="user", content=text),), sampling=Sampling(), yields=("a",), lineage=lineage)


def answer(to: Prompt, text: str = "yes") -> Completion:
    return Completion(key=to.key, text=text, finish_reason="stop", prompt_tokens=3, completion_tokens=1)


def test_an_answer_is_there_after_reopening(tmp_path: Path) -> None:
    asked = prompt("Grüß Gott?\u2028")
    with Ledger(tmp_path / "new" / "ledger.sqlite") as ledger:
        ledger.intend(asked)
        assert ledger.committed(asked.key) is None
        ledger.commit(answer(asked, "\u0000 “ja”"))
    with Ledger(tmp_path / "new" / "ledger.sqlite") as ledger:
        assert ledger.committed(asked.key) == answer(asked, "\u0000 “ja”")
        assert ledger.committed("unknown") is None
        assert ledger.counts == Counts(answered=1)


def test_a_stored_request_is_what_its_key_is_the_digest_of(tmp_path: Path) -> None:
    asked = prompt("ä?", draw=3)
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(asked)
    rows = sqlite3.connect(tmp_path / "l").execute("SELECT key, request FROM calls").fetchall()
    assert [(asked.key, digest(json.loads(request))) for _, request in rows] == [(asked.key, asked.key)]
    assert rows[0][0] == asked.key


def test_a_failure_is_kept_until_the_call_is_tried_again(tmp_path: Path) -> None:
    asked, other = prompt("a"), prompt("b")
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(asked, other)
        ledger.fail(asked.key, "HTTP 500")
        assert ledger.failures == (Failure(key=asked.key, error="HTTP 500"),)
        assert ledger.counts == Counts(intended=1, failed=1)
        ledger.intend(asked)
        assert ledger.failures == ()
        ledger.commit(answer(asked))
        assert ledger.counts == Counts(intended=1, answered=1)


def test_the_first_answer_counts_and_stays(tmp_path: Path) -> None:
    asked = prompt("a")
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(asked)
        ledger.commit(answer(asked, "first"))
        ledger.commit(answer(asked, "second"))
        ledger.intend(asked)
        ledger.fail(asked.key, "late")
        assert ledger.committed(asked.key) == answer(asked, "first")
        assert ledger.failures == ()


def test_an_answer_to_what_was_never_asked_is_our_bug_and_changes_nothing(tmp_path: Path) -> None:
    asked, stranger = prompt("a"), prompt("b")
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(asked)
        with pytest.raises(LookupError):
            ledger.commit(answer(asked), answer(stranger))
        assert ledger.counts == Counts(intended=1)


STEPS = st.lists(st.tuples(st.sampled_from(["intend", "commit", "fail", "reopen"]), st.integers(0, 3)), max_size=25)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_the_ledger_does_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "l"
    prompts = [prompt(str(n)) for n in range(4)]
    model: dict[int, str] = {}
    texts: dict[int, str] = {}
    ledger = Ledger(path).__enter__()
    for number, (step, which) in enumerate(steps):
        if step == "reopen":
            ledger.__exit__(None, None, None)
            ledger = Ledger(path).__enter__()
        elif step == "intend":
            ledger.intend(prompts[which])
            model[which] = "answered" if which in texts else "intended"
        elif which in model and step == "commit":
            ledger.commit(answer(prompts[which], str(number)))
            texts.setdefault(which, str(number))
            model[which] = "answered"
        elif which in model and step == "fail":
            ledger.fail(prompts[which].key, "x")
            model[which] = "answered" if which in texts else "failed"
    found = {n: kept.text for n in range(4) if (kept := ledger.committed(prompts[n].key))}
    states = list(model.values())
    assert found == texts
    assert ledger.counts == Counts(**{state: states.count(state) for state in states})
    ledger.__exit__(None, None, None)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import answer, prompt
from instructlab_like.generation.ledger import Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    for n in range(20):
        ledger.intend(prompt(str(n)))
        ledger.commit(answer(prompt(str(n)), "x" * 5000))
    ledger.intend(prompt("last"))
    ledger.connection.execute("BEGIN")
    ledger.connection.execute("UPDATE calls SET state = 'failed', answer = NULL")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_committed_survives_sigkill_and_what_was_not_is_undone(tmp_path: Path) -> None:
    here = Path(__file__).parent
    child = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "l", here], cwd=here.parents[1], check=False)
    assert child.returncode == -signal.SIGKILL
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.counts == Counts(intended=1, answered=20)
        assert all(ledger.committed(prompt(str(n)).key) for n in range(20))


def test_answers_reach_the_disk_before_commit_returns(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        settings = {name: ledger.number(f"PRAGMA {name}") for name in ("synchronous", "fullfsync")}
    assert settings == {"synchronous": 2, "fullfsync": 1}


def test_a_second_run_on_the_same_ledger_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l"), pytest.raises(InputError) as caught, Ledger(tmp_path / "l"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'l'}: another run is using this ledger\n  → wait for the other run to end, or name another run"
    )
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.counts == Counts()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but quite some text\n" * 40, b"SQLite format 3\0" + b"\7" * 4096]
)
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "l").write_bytes(content)
    with pytest.raises(InputError, match="is no ledger, or is damaged"), Ledger(tmp_path / "l"):
        pass
    assert (tmp_path / "l").read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "l") as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    other.close()
    with pytest.raises(InputError, match="is a database, but no ledger"), Ledger(tmp_path / "l"):
        pass


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.connection.execute("PRAGMA user_version = 3")
    with pytest.raises(InputError) as caught, Ledger(tmp_path / "l"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'l'}: was written by a newer version (format 3, this one knows 2)\n"
        "  → upgrade instructlab-like, or start another run"
    )


def test_a_damaged_page_is_refused_when_it_is_met(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        for n in range(40):
            ledger.intend(prompt(f"{n} " + "x" * 3000))
    data = bytearray((tmp_path / "l").read_bytes())
    data[3 * 4096 :] = b"\xff" * (len(data) - 3 * 4096)
    (tmp_path / "l").write_bytes(data)
    with Ledger(tmp_path / "l") as ledger, pytest.raises(InputError, match="is no ledger, or is damaged"):
        [ledger.committed(prompt(f"{n} " + "x" * 3000).key) for n in range(40)]


def test_an_answer_changed_by_hand_is_refused(tmp_path: Path) -> None:
    asked = prompt("a")
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(asked)
        ledger.commit(answer(asked))
        ledger.connection.execute("UPDATE calls SET answer = '{\"text\": 3}'")
        with pytest.raises(InputError, match=f"the answer to call {asked.key} is damaged"):
            ledger.committed(asked.key)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be"), Ledger(tmp_path / "new" / "l"):
        pass


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"), Ledger(tmp_path / "file" / "l"):
        pass


def test_a_full_disk_stops_resumably_and_keeps_what_was_committed(tmp_path: Path) -> None:
    asked = [prompt(str(n)) for n in range(50)]
    with Ledger(tmp_path / "l") as ledger:
        ledger.intend(*asked)
        ledger.commit(answer(asked[0]))
        ledger.connection.execute(f"PRAGMA max_page_count = {ledger.number('PRAGMA page_count') + 2}")
        with pytest.raises(StoppedError, match="make room on the disk"):
            ledger.commit(*(answer(one, "x" * 4000) for one in asked[1:]))
        assert ledger.counts == Counts(intended=49, answered=1)


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import answer, prompt
from instructlab_like.errors import StoppedError
from instructlab_like.generation.ledger import Ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.intend(prompt("kept"))
    ledger.commit(answer(prompt("kept")))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        for n in range(100):
            ledger.intend(prompt(f"{n} " + "x" * 5000))
    except StoppedError as error:
        print(error)
"""


def test_a_write_that_fails_stops_resumably(tmp_path: Path) -> None:
    here = Path(__file__).parent
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "l", here],
        cwd=here.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the ledger cannot be written" in said.stdout, said.stderr
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.committed(prompt("kept").key) == answer(prompt("kept"))
