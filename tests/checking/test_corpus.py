"""Every hostile or broken leaf gives its finding at its place, and exit code 2; the good ones give none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import corpus
import pytest
from leaf_files import found_in

NAMES = [case.name for case in corpus.CASES]


def test_every_case_has_its_own_name_and_there_are_enough() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len(NAMES) >= 300


@pytest.mark.parametrize("kind", corpus.TEXTS)
def test_what_the_cases_are_made_of_is_good(tmp_path: Path, kind: str) -> None:
    assert found_in(corpus.good(kind).build(tmp_path)) == []


@pytest.mark.parametrize("case", corpus.CASES, ids=NAMES)
def test_the_finding_is_where_the_mistake_is(tmp_path: Path, case: corpus.Case) -> None:
    folder = case.build(tmp_path)
    found = [(f.path, f.line, f.column, f.code) for f in found_in(folder) if f.severity == "error"]
    assert (f"{folder}/{case.file}", case.line, case.column, case.code) in found


@pytest.mark.parametrize("case", corpus.CASES[::17], ids=NAMES[::17])
def test_the_command_ends_with_2_and_no_traceback(tmp_path: Path, case: corpus.Case) -> None:
    """A sample; `python -m benchmarks corpus` runs all of them, and tells time and memory."""
    folder = case.build(tmp_path)
    command = [sys.executable, "-m", "instructlab_like", "check", str(folder), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    found = [(f["path"], f["line"], f["column"], f["code"]) for f in json.loads(done.stdout)["findings"]]
    assert (f"{folder}/{case.file}", case.line, case.column, case.code) in found
