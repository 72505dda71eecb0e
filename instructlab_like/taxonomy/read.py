"""Reads leaves: a folder's `qna.yaml` and the files beside it become one record, or every problem at once."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructlab_like.errors import InputError, LeafError
from instructlab_like.records import Knowledge, Leaf, Skill, blob_id
from instructlab_like.taxonomy import qna, siblings
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import (
    HELD_OUT,
    QNA,
    SIMULATION,
    LeafFiles,
    Place,
    chosen,
    place_of,
    read_files,
)
from instructlab_like.taxonomy.yaml_lines import Mapping, Node, Sheet, load, plain


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a leaf; `leaf` is None if it cannot be used."""

    leaf: Knowledge | Skill | None
    findings: tuple[Finding, ...]
    sheets: Dictionary[str, Sheet]  # by file name, of those that are there: qna.yaml, heldout.yaml, simulation.yaml
    version: int  # by which qna.yaml was read


def read_tree(root: Path, only: Sequence[str] = ()) -> tuple[list[Leaf], list[LeafError]]:
    """The leaves below `root`, sorted by path, and one error for each leaf that cannot be used.

    `only` names leaves, or folders of them. Raises InputError if there is no such folder or leaf.
    """
    leaves: list[Leaf] = []
    broken: list[LeafError] = []
    for path in chosen(root, only):
        try:
            leaves.append(_usable(place_of(root, path)))
        except LeafError as error:
            broken.append(error)
    return leaves, broken


def read_leaf(root: Path, folder: Path) -> Leaf:
    """The leaf of one folder, below `root` or as the shell names it.

    Raises LeafError with every problem that keeps it from being used, InputError if it is no leaf.
    """
    paths = chosen(root, [folder])
    if any(not path.startswith(f"{paths[0]}/") for path in paths[1:]):
        raise InputError(f"holds {len(paths)} leaves", where=str(folder), fix=f"name one of them: {paths[0]}, …")
    return _usable(place_of(root, paths[0]))


def examine(place: Place, files: LeafFiles, *, version: int | None = None) -> Reading:
    """A leaf out of its files, with all that keeps it from being one; the tree's folders decide its kind.

    `qna.yaml` is read by its own version, or by a given one.
    """
    folders = (place.root.resolve().name, *place.path.split("/"))
    reading = examine_qna(place, files, folders=folders, version=version)
    found = list(reading.findings)
    sheets = dict(reading.sheets)
    leaf = _with_siblings(place, files, reading.leaf, sheets, found)
    return Reading(leaf, tuple(found), sheets, reading.version)


def examine_qna(place: Place, files: LeafFiles, *, folders: Sequence[str], version: int | None = None) -> Reading:
    """What `qna.yaml` alone says, read by its own version or a given one; `folders` decide the kind."""
    findings = Findings(place.naming(QNA))
    sheet = _sheet(QNA, files, findings)
    if sheet is None:
        return Reading(None, tuple(findings.ordered), {}, version or 1)
    if version is None:
        version = qna.version_of(sheet.root) if isinstance(sheet.root, Mapping) else 1
    _syntax(sheet, findings, strict=version > 1)
    facts = qna.LeafFacts(path=place.path, folders=tuple(folders), blob=blob_id(files.own[QNA]), version=version)
    leaf = _leaf(sheet, facts, findings)
    return Reading(leaf, tuple(findings.ordered), {QNA: sheet}, version)


def _usable(place: Place) -> Leaf:
    reading = examine(place, read_files(place))
    if reading.leaf is None:
        raise LeafError(place.path, [str(finding) for finding in reading.findings])
    return reading.leaf


def _sheet(name: str, files: LeafFiles, findings: Findings) -> Sheet | None:
    if name in files.refused:
        findings.unread(files.refused[name])
    return load(files.own[name]) if name in files.own else None


def _syntax(sheet: Sheet, findings: Findings, *, strict: bool) -> None:
    for problem in sheet.problems:
        findings.error(problem, problem.code, problem.message, fix=problem.fix)
    for problem in sheet.duplicates:
        # Version 1 is not linted upstream, and its leaves are read with the last of the keys.
        tell = findings.error if strict else findings.warning
        tell(problem, problem.code, problem.message, fix=problem.fix)


def _leaf(sheet: Sheet, facts: qna.LeafFacts, findings: Findings) -> Knowledge | Skill | None:
    if sheet.problems:
        return None
    if _is_empty(sheet.root):
        fix = f"`ilk new` writes a leaf to fill in; {facts.path} is none yet"
        findings.warning(None, "empty-file", "the file holds nothing", fix=fix)
        return None
    if not isinstance(sheet.root, Mapping):
        fix = "begin with `version: 3`, `created_by:` and `seed_examples:`"
        findings.error(sheet.root, "wrong-type", "the file must hold a mapping of key: value", fix=fix)
        return None
    return qna.parse(sheet.root, facts, findings)


def _is_empty(root: Node | None) -> bool:
    """As upstream sees it: whatever counts as false in Python is an empty file, a warning and no error."""
    return root is None or not plain(root)


def _with_siblings(
    place: Place, files: LeafFiles, leaf: Knowledge | Skill | None, sheets: dict[str, Sheet], found: list[Finding]
) -> Leaf | None:
    """The leaf with what its sibling files add; their findings join the list, and an error in one leaves no leaf."""
    held = Findings(place.naming(HELD_OUT))
    simulated = Findings(place.naming(SIMULATION))
    held_sheet = _sibling(HELD_OUT, files, held)
    simulated_sheet = _sibling(SIMULATION, files, simulated)
    sheets |= {name: sheet for name, sheet in ((HELD_OUT, held_sheet), (SIMULATION, simulated_sheet)) if sheet}
    questions = siblings.held_out(held_sheet.root, held) if held_sheet else ()
    simulation = siblings.simulation(simulated_sheet.root, simulated) if simulated_sheet else None
    if leaf and held_sheet and held_sheet.root:
        siblings.leaked(leaf, questions, held_sheet.root, held)
    if leaf and leaf.kind == "knowledge" and simulated_sheet:
        fix = f"remove {SIMULATION}, or make the leaf a skill"
        simulated.error(None, "misplaced", "only a skill can have a simulation", fix=fix)
    found += [*held.ordered, *simulated.ordered]
    if leaf is None or held.broken or simulated.broken:
        return None
    added: dict[str, object] = {"held_out": questions}
    if leaf.kind == "skill":
        added["simulation"] = simulation
    return leaf.model_copy(update=added)


def _sibling(name: str, files: LeafFiles, findings: Findings) -> Sheet | None:
    """The sheet of a sibling file that can be parsed at all."""
    sheet = _sheet(name, files, findings)
    if sheet is None:
        return None
    _syntax(sheet, findings, strict=True)
    return None if sheet.problems else sheet
