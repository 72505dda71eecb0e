"""Programs: run within limits, told how they went, and nothing of them stays."""

from __future__ import annotations

import pytest

from instructlab_like.confined import programs
from instructlab_like.confined.programs import ran


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("assert 1 == 1", "passed"),
        ("assert 1 == 2", "failed"),
        ("1 / 0", "broken"),
        ("raise KeyboardInterrupt", "broken"),
        ("def f(): return f()\nf()", "broken"),
        ("import numpy", "missing"),
        ("input()", "input"),
        ("x = 'a' * 10**10", "memory"),
        ("while True: pass", "slow"),
        ("import os\nos._exit(1)", "ended"),
        ("import os\nos.kill(os.getpid(), 9)", "refused"),
        ("import os\nos.system('true')", "refused"),
        ("import threading\nthreading.Thread(target=print).start()\nassert True", "passed"),
    ],
)
def test_how_a_program_went_is_told(program, outcome):
    assert ran(program, [], seconds=0.3).outcome == outcome


def test_a_program_that_waits_is_ended_by_the_clock(monkeypatch):
    monkeypatch.setattr(programs, "PATIENCE", 5.0)
    assert ran("import threading\nthreading.Event().wait()", [], seconds=0.1).outcome == "waits"


def test_what_a_program_prints_is_not_taken_for_its_report():
    loud = 'print(\'{"outcome": "passed", "what": "99"}\', flush=True)\nassert 1 == 2'
    assert ran(loud, []).outcome == "failed"


def test_checks_are_named_as_they_are_written():
    told = ran("def f(x):\n    return x", ["assert f(1) == 1", "assert f(2) == 3, 'two'"])
    assert (told.outcome, told.what) == ("failed", "assert f(2) == 3, 'two'")


def test_the_order_of_sets_is_the_same_every_time():
    program = "assert ''.join({'a', 'b', 'c', 'd', 'e'}) == 'x'"
    source = "found = ''.join({'a', 'b', 'c', 'd', 'e'})\nraise ValueError(found)"
    assert ran(program, []).outcome == "failed"
    assert len({ran(source, []).what for _ in range(3)}) == 1


def test_a_program_sees_only_the_standard_library():
    assert ran("import instructlab_like", []).outcome == "missing"
    assert ran("import statistics, json, re, decimal, collections, dataclasses\nassert True", []).outcome == "passed"
