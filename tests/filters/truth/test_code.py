"""Code: blocks parse as what they say they are and, where it is asked for, pass the tests beside them."""

from __future__ import annotations

import warnings

import pytest

from instructlab_like.filters.truth.code import Code


def fenced(code: str, language: str = "python") -> str:
    return f"Here:\n\n```{language}\n{code}\n```\nDone."


def judge(sample, answer, question="Write it.", **options):
    return Code(**options).judge(sample(question, answer))


DOUBLE = "def double(n):\n    return 2 * n"


@pytest.mark.parametrize(
    "answer",
    [
        fenced(DOUBLE),
        fenced(">>> 1 + 1\n2"),
        fenced("%pip install tides\nimport tides"),
        fenced("await tide\nreturn 3"),
        fenced('{"a": 1}', "json"),
        fenced('{"a": 1}\n{"a": 2}', "json"),
        fenced("a: {{ value }}", "yaml"),
        fenced("a: [1, 2]", "yml"),
        fenced("def broken(", "text"),
        "```\ndef broken(\n```",
        "  ```python\n  for a in b:\n      pass\n  ```",
        fenced("(" * 5000),
        fenced("not " * 50_000 + "a"),
        fenced("[" * 3000 + "]" * 3000, "json"),
        "```python\nx = 1",
    ],
)
def test_what_parses_or_cannot_be_told_is_kept(sample, answer):
    told = judge(sample, answer)
    assert told.keep, told.reason


@pytest.mark.parametrize(
    ("answer", "rule", "what"),
    [
        (fenced("def f(x)\n    return x"), "no-python", "line 1: expected ':'"),
        (fenced(DOUBLE) + fenced("print 'x'"), "no-python", "does not parse (block 2): line 1"),
        (fenced('{"a": 1,}', "json"), "no-json", "line 1"),
        (fenced("a: [1", "yaml"), "no-yaml", "line 2"),
        (fenced("list:\n  - one\n - two", "YAML"), "no-yaml", "line 3"),
    ],
)
def test_what_does_not_parse_is_rejected_with_its_line(sample, answer, rule, what):
    told = judge(sample, answer)
    assert (told.keep, told.rule) == (False, rule)
    assert what in told.reason


def test_a_warning_of_pythons_is_no_error(sample):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judge(sample, fenced("pattern = '\\d'")).keep


def test_text_without_code_is_not_judged(sample):
    assert not judge(sample, "The tide rises.").applied
    assert not judge(sample, "```sh\nls\n```").applied


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        (fenced(f"{DOUBLE}\n\nassert double(2) == 4"), "Write it."),
        (fenced(DOUBLE), "It should pass:\nassert double(3) == 6\nassert double(0) == 0"),
        (fenced(DOUBLE), 'def double(n):\n    """Twice n.\n    >>> double(4)\n    8\n    """'),
        (fenced(DOUBLE) + fenced(">>> double(2)\n4"), "Write it."),
        (fenced(DOUBLE) + fenced("def test_double():\n    assert double(1) == 2"), "Write it."),
        (fenced("import time\ntime.sleep(10_000)\nassert True"), "Write it."),
        (fenced("with open('a', 'w') as file:\n    file.write('x')\nassert open('a').read() == 'x'"), "Write it."),
        (
            fenced("assert list({'b', 'a', 'c'}) == list({'b', 'a', 'c'})\nimport sys\nassert not sys.flags.isolated"),
            "Go.",
        ),
    ],
)
def test_a_program_that_passes_the_tests_beside_it_is_kept(sample, answer, question):
    told = judge(sample, answer, question, run=True)
    assert (told.keep, told.applied) == (True, True), told.reason
    assert told.reason.startswith("its program passes")


@pytest.mark.parametrize(
    ("answer", "question", "rule", "what"),
    [
        (
            fenced(f"{DOUBLE}\nassert double(2) == 5"),
            "Write it.",
            "failed-test",
            "its program fails assert double(2) == 5",
        ),
        (
            fenced(DOUBLE),
            "It should pass:\nassert double(3) == 7",
            "failed-test",
            "its program fails assert double(3) == 7",
        ),
        (fenced(DOUBLE), ">>> double(4)\n9", "failed-test", "Failed example: double(4) Expected: 9 Got: 8"),
        (fenced("def test_it():\n    assert 1 == 2"), "Write it.", "failed-test", "assert 1 == 2"),
        (
            fenced(
                "import unittest\nclass T(unittest.TestCase):\n    def test_x(self):\n        self.assertEqual(1, 2)"
            ),
            "Write it.",
            "failed-test",
            "T.test_x: AssertionError: 1 != 2",
        ),
        (fenced("assert undefined"), "Write it.", "broken-program", "NameError"),
        (fenced("while True:\n    pass\nassert True"), "Write it.", "slow-program", "0.3 s of processor time"),
        (fenced("x = [0] * 10**9\nassert x"), "Write it.", "large-program", "512 MB"),
        (fenced("import os\nos._exit(3)\nassert True"), "Write it.", "broken-program", "exit code 3"),
        (fenced("import sys\nsys.exit(0)\nassert True"), "Write it.", "broken-program", "exits with 0"),
    ],
)
def test_a_program_that_fails_is_rejected_with_what_failed(sample, answer, question, rule, what):
    told = judge(sample, answer, question, run=True, seconds=0.3)
    assert (told.keep, told.rule) == (False, rule), told.reason
    assert what in told.reason


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import numpy\nassert numpy", "numpy"),
        ("name = input()\nassert name", "input"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))\nassert True", "refused"),
        ("import subprocess\nsubprocess.run(['true'])\nassert True", "refused"),
    ],
)
def test_what_cannot_be_run_here_is_kept_without_judgement(sample, code, what):
    told = judge(sample, fenced(code), run=True)
    assert (told.keep, told.applied) == (True, False)
    assert what in told.reason


def test_a_program_changes_nothing_outside_its_folder(sample, tmp_path):
    target = tmp_path / "kept.txt"
    target.write_text("as it was")
    for act in (f"open({str(target)!r}, 'w').write('changed')", f"import os\nos.remove({str(target)!r})"):
        told = judge(sample, fenced(f"{act}\nassert True"), run=True)
        assert not told.applied, told.reason
    assert target.read_text() == "as it was"


def test_a_program_sees_no_environment(sample, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    code = "import os\nassert 'SECRET_TOKEN' not in os.environ\nassert os.listdir('.') == []"
    assert judge(sample, fenced(code), run=True).reason == "its program passes 2 checks"


def test_without_tests_nothing_is_run(sample):
    told = judge(sample, fenced("while True:\n    pass"), run=True)
    assert told.reason == "its blocks of code parse; no test stands beside them"


def test_a_program_fares_the_same_every_time(sample):
    code = "import random\nassert random.random() < 0.5, random.random()\nassert hash('tide') % 2 == 0"
    told = {judge(sample, fenced(code), run=True).reason for _ in range(3)}
    assert len(told) == 1
