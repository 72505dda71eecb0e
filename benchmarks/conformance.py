"""Agreement of the compatible profile with the schema package, verdict by verdict: mutants, real leaves, four modes."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from instructlab_like.checking.leaf import examined
from instructlab_like.taxonomy.tree import place_of, read_files
from tests.checking.mutants import Mutant, mutants
from tests.checking.oracle import MODES, Mode, Oracle, shipped

MUTANTS = 10_000
SEED = 2
SHOWN = 3_000  # characters of a leaf on which there is disagreement
BY_COMMAND = 60  # verdicts for which the package is run as it comes, too: yamllint as a command


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        compare("mutants", mutants(SEED, MUTANTS), Path(scratch))
        compare_commands(Path(scratch))
        real = os.environ.get("ILK_REAL_INPUT")
        if real:
            compare("real leaves", real_leaves(Path(real)), Path(scratch))


def compare(what: str, leaves: Iterator[Mutant], scratch: Path) -> None:
    """Print the agreement in each mode, and each disagreement."""
    oracles = {mode: Oracle(mode) for mode in MODES}
    agreed: Counter[Mode] = Counter()
    accepted: Counter[Mode] = Counter()
    count = 0
    for leaf in leaves:
        file = leaf.write(scratch)
        count += 1
        parted = []
        for mode, oracle in oracles.items():
            expected = oracle.accepts(file)
            accepted[mode] += expected
            same = expected == our_verdict(scratch, leaf, mode)
            agreed[mode] += same
            if not same:
                parted.append(f"{mode}: the package {'accepts' if expected else 'refuses'} it")
        if parted:
            print(f"  disagreement on {leaf.name} ({'; '.join(parted)}):\n    {leaf.data!r}"[:SHOWN])
    for mode in MODES:
        share = f"{agreed[mode]} of {count} agree, {accepted[mode]} accepted"
        print(f"  {what}, version {mode!s:<24} {share}", flush=True)


def compare_commands(scratch: Path) -> None:
    """Whether calling yamllint in process changes the oracle's verdict: it is what the package does not do."""
    same = count = 0
    for number, leaf in enumerate(mutants(SEED, BY_COMMAND)):
        mode = MODES[number % len(MODES)]
        file = leaf.write(scratch)
        same += shipped(mode, file) == Oracle(mode).accepts(file)
        count += 1
    print(f"  the package with yamllint as a command and in process: {same} of {count} verdicts agree", flush=True)


def our_verdict(root: Path, leaf: Mutant, mode: Mode) -> bool:
    place = place_of(root, leaf.folder)
    found = examined(place, read_files(place), mode.options)
    return all(finding.severity != "error" for finding in found)


def real_leaves(folder: Path) -> Iterator[Mutant]:
    for file in sorted(file for file in folder.rglob("qna.yaml") if file.is_file()):
        path = file.parent.relative_to(folder).as_posix()
        yield Mutant(path, path, file.read_bytes())
