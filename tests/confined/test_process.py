"""A confined process: what it may take, what it sees of its surroundings, and that nothing of it is left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from leaf_files import open_descriptors

from instructlab_like.confined import process
from instructlab_like.confined.process import Confined
from instructlab_like.confined.wire import Bounds
from instructlab_like.errors import StoppedError, TemplateError

BOUNDS = Bounds(filters=("join", "length", "list"), methods=("upper",), source=4_000, weight=2_000, text=20_000)
HUGE = 10**18
BOUNDLESS = replace(BOUNDS, weight=HUGE, text=HUGE, turns=HUGE, range=HUGE, bits=HUGE)
WHERE = "skills/a/simulation.yaml"
SECRET = "tide-tables-of-velmouth"
# A worker of which a template has got hold: under the same limits, it runs what it likes in place of serving.
TAKEN = """\
import os, sys, time
sys.path += sys.argv[3:]
from instructlab_like.confined import worker
worker.serve = lambda: exec({code!r})
worker.main(float(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test: no process, none that waits to be waited for, no open pipe, no folder."""
    started: list[subprocess.Popen[bytes]] = []
    start = process._started

    def kept(seconds: float, memory: int) -> subprocess.Popen[bytes]:
        started.append(start(seconds, memory))
        return started[-1]

    monkeypatch.setattr(process, "_started", kept)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    assert list(scratch.iterdir()) == []
    assert all(worker.returncode is not None for worker in started)


def refusal(source: str, bounds: Bounds = BOUNDS, *, seconds: float = 2.0, memory: int = 256) -> str:
    """What is said about a template that takes more than it may."""
    confined = Confined([source], bounds, where=WHERE, seconds=seconds, memory=memory)
    with pytest.raises(TemplateError) as raised, confined:
        confined.render([(0, {"n": 3})])
    assert raised.value.where == WHERE
    assert raised.value.fix
    return raised.value.what


def last_words(monkeypatch: pytest.MonkeyPatch, code: str, *, seconds: float = 2.0) -> str:
    """What is said about a worker that runs this code."""
    monkeypatch.setattr(process, "START", TAKEN.format(code=code))
    return refusal("{{ n }}", seconds=seconds)


def test_texts_come_back_in_order_up_to_the_first_that_fails() -> None:
    with Confined(["{{ 12 // n }} é", "{{ x|join }}{{ '\\n' }}!"], BOUNDS, where=WHERE) as confined:
        assert [look.names for look in confined.looks] == [("n",), ("x",)]
        assert confined.render([]).texts == ()
        assert confined.render([(0, {"n": 3}), (1, {"x": ["a", "b"]})]).texts == ("4 é", "ab\n!")
        rendered = confined.render([(0, {"n": 1}), (0, {"n": 0}), (0, {"n": 2})])
        assert rendered.texts == ("12 é",)
        assert rendered.failure
        assert rendered.failure.what == "integer division or modulo by zero"
        assert confined.render([(0, {"n": 6})]).texts == ("2 é",)
    assert confined.ended


def test_many_and_long_texts_come_in_several_replies() -> None:
    texts = [f"{number} " + "tide " * 3_000 for number in range(700)]
    with Confined(["{{ x }}"], BOUNDS, where=WHERE) as confined:
        assert confined.render([(0, {"x": text}) for text in texts]).texts == tuple(text.strip() for text in texts)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10 ** 12) %}{% endfor %}",
        "{% for i in range(10 ** 6) %}{% for j in range(10 ** 6) %}{% set x = i * j %}{% endfor %}{% endfor %}",
        "{{ 7 ** (7 ** 9) }}",
    ],
)
def test_processor_time_ends_what_no_other_bound_stops(source: str) -> None:
    assert refusal(source, BOUNDLESS, seconds=0.3) == "needs more than 0.3 s of processor time"


@pytest.mark.parametrize(
    "source", ["{{ ('a' * 10 ** 9)|length }}", "{{ range(10 ** 8)|list|length }}", "{{ ([n] * 10 ** 8)|length }}"]
)
def test_memory_ends_what_no_other_bound_stops(source: str) -> None:
    assert refusal(source, BOUNDLESS, seconds=10) == "needs more than 256 MB of memory"


def test_a_worker_that_allocates_a_gigabyte_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_words(monkeypatch, "bytearray(10**9)") == "needs more than 256 MB of memory"


def test_a_worker_that_spins_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_words(monkeypatch, "while True: pass", seconds=0.2) == "needs more than 0.2 s of processor time"


def test_a_worker_that_disarms_its_timer_is_stopped_a_second_later(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\nwhile True: pass"
    assert last_words(monkeypatch, code, seconds=0.2) == "needs more than 0.2 s of processor time"


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(600)",
        "os.write(1, b'{'); time.sleep(600)",
        "os.close(0); time.sleep(600)",
        "[os.write(2, b'x' * 65536) for _ in range(9)]",
    ],
)
def test_a_worker_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.2)
    assert last_words(monkeypatch, code).startswith("gives no answer in time")


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"{}\n",
        b"nonsense\n",
        b"[" * 100_000 + b"\n",
        b'{"looks": []}\n',
        b'{"looks": [{"flaws": [], "names": "x"}]}\n',
        b'{"looks": [{"flaws": [], "names": ["\\ud800"]}]}\n',
        b'{"looks": [{"flaws": [], "names": []}]}\n{"texts": []}\n',
    ],
)
def test_an_answer_is_validated(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    assert "something else than was asked" in last_words(monkeypatch, f"os.write(1, {answer!r}); time.sleep(600)")


@pytest.mark.parametrize(
    "part",
    [
        '{"kind": "name", "line": 1, "value": "x; import os", "own": 0}',
        '{"kind": "name", "line": 1000000000, "value": "x", "own": 0}',
        '{"kind": "field", "line": 1, "value": "__class__", "own": 1}',
        '{"kind": "name", "line": 1, "value": ["x"], "own": 0}',
    ],
)
def test_a_tree_that_is_no_plain_templates_is_refused(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    x = '{"kind": "name", "line": 1, "value": "x", "own": 0}'
    rest = [f'{{"kind": "{kind}", "line": 1, "value": null, "own": 1}}' for kind in ("print", "block")]
    parts = [x, part, *rest] if "field" in part else [part, *rest]
    look = f'{{"looks": [{{"flaws": [], "names": [], "plain": [{", ".join(parts)}]}}]}}\n'
    assert "something else than was asked" in last_words(
        monkeypatch, f"os.write(1, {look.encode()!r}); time.sleep(600)"
    )


def test_an_answer_of_more_texts_than_were_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    look = b'{"looks": [{"flaws": [], "names": []}]}\n'
    code = f"os.write(1, {look!r}); sys.stdin.readline(); sys.stdin.readline(); "
    assert "something else" in last_words(monkeypatch, code + 'os.write(1, b\'{"texts": ["a", "b"]}\\n\')')


def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "REPLY", 1_000_000)
    assert "something else" in last_words(monkeypatch, "while True: os.write(1, b'x' * 65536)", seconds=10)


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/hostname').read()",
        "open('written', 'w')",
        "os.open('/tmp', os.O_RDONLY)",
        "os.mkdir('made')",
        "os.dup(1)",
        "os.pipe()",
        "import socket",
        "os.fstat(3)",
    ],
)
def test_a_worker_opens_nothing(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    with tempfile.TemporaryFile() as inherited:
        os.set_inheritable(inherited.fileno(), True)
        found = last_words(monkeypatch, code)
    assert re.search(r"exit code 1: \w+: ", found)
    assert re.search(r"Too many open files|No such file or directory|Bad file descriptor|No module named", found)


def test_a_worker_sees_no_environment_and_stands_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ILK_CANARY", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", SECRET)
    code = "raise ValueError(sorted(os.environ), [p for p in sys.path if not p.startswith(sys.prefix)])"
    found = last_words(monkeypatch, code)
    assert SECRET not in found
    assert str(tmp_path) not in found
    assert not re.search(r"ILK|PYTHON\w|PATH|HOME", found)
    assert "No such file or directory" in last_words(monkeypatch, "os.getcwd()")


def test_a_worker_has_loaded_little(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "raise ValueError([name for name in ('pydantic', 'yaml', 'instructlab_like.errors') if name in sys.modules])"
    assert "ValueError: []" in last_words(monkeypatch, code)


def test_what_a_worker_starts_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "pid = os.fork()\nif not pid: os.close(1); time.sleep(600)\nraise ValueError(pid)"
    found = last_words(monkeypatch, code)
    started = re.search(r"ValueError: (\d+)", found)
    if not started:  # without privileges there is not even this
        assert "BlockingIOError" in found
        return
    states = (
        subprocess.run(["ps", "-o", "stat=", "-p", started[1]], capture_output=True, text=True).stdout.strip()
        for _ in range(100)
    )
    assert any(not state or state.startswith("Z") for state in states)


def test_a_worker_that_breaks_off_is_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = last_words(monkeypatch, "os.write(2, b'\\x1b[31mred\\n\\xff'); os.abort()")
    assert found == "ends the process that renders it (signal 6: \\ufffd)"
    assert last_words(monkeypatch, "os._exit(5)") == "ends the process that renders it (exit code 5)"


def test_the_worker_ends_with_the_block_whatever_ends_it() -> None:
    confined = Confined(["{{ n }}"], BOUNDS, where=WHERE)
    with pytest.raises(KeyboardInterrupt), confined:
        raise KeyboardInterrupt
    assert confined.ended


def test_a_system_that_cannot_limit_processes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda name: None)
    with pytest.raises(StoppedError, match="cannot be confined on this system"):
        Confined(["{{ n }}"], BOUNDS, where=WHERE).__enter__()


def test_a_process_that_cannot_be_started_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(StoppedError, match="no process can be started to render templates in: No such file"):
        Confined(["{{ n }}"], BOUNDS, where=WHERE).__enter__()
