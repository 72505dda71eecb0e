"""What a contributor runs before anything is generated: check, diff and new, printed for people or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import orjson

from instructlab_like.console import say
from instructlab_like.errors import InputError, position
from instructlab_like.generation.simulation import problems
from instructlab_like.records import Skill
from instructlab_like.taxonomy.diff import LeafChange, changed
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.rules import check as findings_of
from instructlab_like.taxonomy.scaffold import new_leaf
from instructlab_like.taxonomy.tree import SIMULATION, chosen
from instructlab_like.workspace import find

BRANCHES = frozenset({"knowledge", "compositional_skills", "foundational_skills"})


def check(paths: Sequence[Path], *, form: Literal["text", "json"]) -> int:
    """Print all findings of the leaves at or below the paths; returns 2 when one is an error, else 0."""
    leaves = 0
    findings: list[Finding] = []
    for root, wanted in by_root(paths).items():
        leaves += len(chosen(root, wanted))
        findings += findings_of(root, wanted)
        findings += [finding for path in chosen(root, wanted) for finding in simulated(root, path)]
    say(as_json(leaves, findings) if form == "json" else as_text(leaves, findings))
    return InputError.code if any(finding.severity == "error" for finding in findings) else 0


def simulated(root: Path, path: str) -> list[Finding]:
    """What is wrong with a leaf's simulation beyond its form: templates that fail, hide or never vary."""
    leaf = examine(root, path).leaf
    if not isinstance(leaf, Skill) or leaf.simulation is None:
        return []
    findings = Findings(str(root / path / SIMULATION))
    for text in problems(leaf.simulation):
        message, _, fix = text.partition(" → ")
        findings.error(None, "simulation", message, fix=fix)
    return findings.found


def by_root(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """The paths by the tree they belong to, which is what stands before a branch; an empty list is all of a tree."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise InputError("there is no such file or folder", where=str(path), fix="name leaves, or a tree of them")
        depth = next((index for index, part in enumerate(path.parts) if part in BRANCHES), None)
        if depth is None:
            found[path] = []
        elif found.get(root := Path(*path.parts[:depth]), [path]):
            found.setdefault(root, []).append(path)
    return found


def as_text(leaves: int, findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        what = f"{finding.field}: {finding.message}" if finding.field else finding.message
        where = position(finding.path, finding.line, finding.column)
        lines += [f"{where}: {finding.severity} [{finding.code}] {what}", f"  → {finding.fix}"]
    errors = sum(finding.severity == "error" for finding in findings)
    return "\n".join([*lines, f"{leaves} leaves, {errors} errors, {len(findings) - errors} warnings"])


def as_json(leaves: int, findings: Sequence[Finding]) -> str:
    rows = [finding.model_dump(mode="json") for finding in findings]
    return orjson.dumps({"leaves": leaves, "findings": rows}, option=orjson.OPT_INDENT_2).decode()


def diff(taxonomy: str, base: str) -> None:
    """Print the leaves and seed examples that differ from the point where the working tree left `base`."""
    changes = changed(find(taxonomy), base)
    for change in changes:
        say(described(change))
    say(f"{len(changes)} leaves differ from {base}")


def described(change: LeafChange) -> str:
    parts = [
        f"seeds {word} {', '.join(map(str, seeds))}"
        for word, seeds in (
            ("added", change.seeds_added),
            ("changed", change.seeds_changed),
            ("removed", change.seeds_removed),
        )
        if seeds
    ]
    return f"{change.change:<8} {change.path}  ({'; '.join([', '.join(change.files), *parts])})"


def new(taxonomy: str, path: str, *, grounded: bool) -> None:
    """Make the files of a leaf and name them."""
    kind: Literal["knowledge", "freeform", "grounded"] = "grounded" if grounded else "freeform"
    for made in new_leaf(Path(taxonomy), path, "knowledge" if path.startswith("knowledge/") else kind):
        say(f"made {made}")
    say(f"fill them in; then: ilk check {Path(taxonomy) / path}")
