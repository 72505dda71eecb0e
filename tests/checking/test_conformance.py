"""Mutants of valid leaves get the oracle's verdict in all four modes.

`python -m benchmarks conformance` runs many more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants import BASES, Mutant, mutants
from oracle import MODES, Mode, Oracle

from instructlab_like.checking.leaf import examined
from instructlab_like.taxonomy.findings import Finding
from instructlab_like.taxonomy.tree import place_of, read_files

COUNT = 600


def found(root: Path, mutant: Mutant, mode: Mode) -> list[Finding]:
    place = place_of(root, mutant.folder)
    return examined(place, read_files(place), mode.options)


def test_mutants_get_the_oracles_verdict(tmp_path: Path) -> None:
    oracles = {mode: Oracle(mode) for mode in MODES}
    accepted = dict.fromkeys(MODES, 0)
    disagreements = []
    for mutant in mutants(seed=11, count=COUNT):
        file = mutant.write(tmp_path)
        for mode, oracle in oracles.items():
            expected = oracle.accepts(file)
            errors = [finding for finding in found(tmp_path, mutant, mode) if finding.severity == "error"]
            accepted[mode] += expected
            if expected == bool(errors):
                disagreements.append((str(mode), mutant, expected, errors))
    assert disagreements == []
    assert all(COUNT / 20 < number < COUNT / 2 for number in accepted.values()), accepted


def test_findings_lie_inside_the_file(tmp_path: Path) -> None:
    for mutant in mutants(seed=12, count=300):
        mutant.write(tmp_path)
        text = mutant.data.decode("utf-8-sig", "ignore").replace("\r\n", "\n").replace("\r", "\n")
        widths = [len(line) for line in text.split("\n")]
        for finding in found(tmp_path, mutant, MODES[1]):
            assert 1 <= finding.line <= len(widths), (mutant, finding)
            assert 1 <= finding.column <= widths[finding.line - 1] + 1, (mutant, finding)


def test_mutants_are_all_different_and_always_the_same() -> None:
    first = list(mutants(seed=3, count=200))
    assert first == list(mutants(seed=3, count=200))
    assert len({(mutant.folder, mutant.data) for mutant in first}) == len(first) == 200


@pytest.mark.parametrize("name", BASES)
def test_the_bases_are_valid(tmp_path: Path, name: str) -> None:
    folder, text = BASES[name]
    assert Oracle(MODES[0]).accepts(Mutant(name, folder, text.encode()).write(tmp_path))
