"""All findings of all leaves that a user names, in one run; what has not changed since the last one is remembered."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from instructlab_like.checking.leaf import STRICT, Options, examined
from instructlab_like.checking.memory import Memory, key, stamp
from instructlab_like.errors import InputError
from instructlab_like.taxonomy.tree import (
    BRANCHES,
    HELD_OUT,
    LARGEST_DOCUMENT,
    QNA,
    LeafFiles,
    Place,
    Stray,
    companions,
    content,
    located,
    read_files,
)

if TYPE_CHECKING:  # most checks find nothing, and pydantic is half of a quick one's time
    from instructlab_like.taxonomy.findings import Finding


@dataclass(frozen=True, slots=True)
class Outcome:
    leaves: int
    findings: tuple[Finding, ...]  # sorted by path and position

    @property
    def failed(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)


def check(paths: Sequence[Path], options: Options = STRICT, *, base: str | None = None) -> Outcome:
    """Look at the leaves at, around or below the paths; a path that is none is a finding itself.

    With `base`, a Git ref, only at leaves that differ from the point where the working tree left it; raises InputError
    for a ref that is no commit.
    """
    places, strays = located(paths)
    if base is not None:
        places = differing(places, base)
    with Memory() as memory:
        checker = _Checker(memory, options)
        found = [finding for place in places for finding in checker.findings(place)]
        if options.profile == "strict":
            given = {Path(os.path.abspath(path)) for path in paths} if base is None else set()  # noqa: PTH100
            found += checker.repeats(places, whole=given)
    found += [finding for stray in strays for finding in _stray(stray)]
    found.sort(key=lambda finding: (finding.path, finding.line, finding.column, finding.code, finding.field))
    return Outcome(len(places), tuple(found))


_FRESH = 2_000_000_000  # nanoseconds in which a file may change again without its times telling
Marks = list[tuple[str, str, int, int, str]]  # the fields of SeedMark, as they are remembered


class _Checker:
    """Findings out of the memory where a leaf and the code that looks at it are as they were."""

    def __init__(self, memory: Memory, options: Options) -> None:
        self.memory = memory
        self.options = options
        self.stamp = stamp()
        self.marks: dict[tuple[Path, str], Marks] = {}  # by root and path, of the leaves that were read

    def findings(self, place: Place) -> list[Finding]:
        files = read_files(place)
        known = self.key(place, files)
        remembered = self.memory.get(known)
        if remembered is None:
            found = examined(_nameless(place), files, self.options)
            marks = self.marked(place, files) if self.options.profile == "strict" else []
            told = [[finding.model_dump(mode="json") for finding in found], marks]
            self.memory.put(known, orjson.dumps(told))
        else:
            told, marks = orjson.loads(remembered)
            found = _recalled(told) if told else []
        self.marks[place.root, place.path] = marks
        return [finding.model_copy(update={"path": place.naming(finding.path)}) for finding in found]

    def key(self, place: Place, files: LeafFiles) -> str:
        """All that decides a leaf's findings: its files, what lies beside them, and the folders that it lies in."""
        refused = [f"{name}: {error.what} {error.fix}" for name, error in sorted(files.refused.items())]
        beside: dict[str, bytes] = {}
        for name in companions(place.folder) if self.options.profile == "strict" else ():
            try:
                beside[f"beside/{name}"] = content(place.root, f"{place.path}/{name}", largest=LARGEST_DOCUMENT) or b""
            except InputError as error:
                refused.append(f"{name}: {error.what}")
        options = (
            self.options.profile,
            self.options.schema_version,
            str(self.options.warnings_as_errors),
            *self.options.document_hosts,
        )
        told = ("findings", self.stamp, *options, self.above(place), place.path, *refused)
        return key(told, {**files.own, **beside})

    def above(self, place: Place) -> str:
        """What decides a leaf's kind besides its path: the root's name, to upstream every folder above."""
        root = _resolved(place.root)
        return root if self.options.profile == "compatible" else root.rpartition("/")[2]

    def repeats(self, places: Sequence[Place], *, whole: Collection[Path]) -> list[Finding]:
        """Questions of these leaves that stand elsewhere in their trees, too; of `whole` trees these are all leaves."""
        found = []
        for root in sorted({place.root for place in places}):
            here = {place.path: place for place in places if place.root == root}
            everywhere = here if root in whole else {place.path: place for place in _tree(root)} | here
            marks = {path: self.marks_at(place) for path, place in everywhere.items()}
            asked = Counter(digest for of_leaf in marks.values() for digest in {mark[0] for mark in of_leaf})
            again = {digest for digest, leaves in asked.items() if leaves > 1}
            marked = {
                everywhere[path].shown: [mark for mark in of_leaf if mark[0] in again]
                for path, of_leaf in marks.items()
            }
            found += _repeats(marked, [place.shown for place in here.values()]) if again else []
        return found

    def marks_at(self, place: Place) -> Marks:
        """A leaf's questions as the rest of the tree must know them.

        Of a leaf that is not looked at itself the files are not read while they are the same by size, times and place.
        """
        if (place.root, place.path) in self.marks:
            return self.marks[place.root, place.path]
        known = key(("marks", self.stamp, self.above(place), place.path, *_facts(place)), {})
        remembered = self.memory.get(known)
        if remembered is None:
            marks = self.marked(place, read_files(place))
            self.memory.put(known, orjson.dumps(marks))
            return marks
        found: Marks = orjson.loads(remembered)
        return found

    def marked(self, place: Place, files: LeafFiles) -> Marks:
        """A leaf's questions as its files have them."""
        texts = {name: data for name, data in files.own.items() if name in (QNA, HELD_OUT)}
        known = key(("marks", self.stamp, self.above(place), place.path), texts)
        remembered = self.memory.get(known)
        if remembered is None:
            marks = _marks(_nameless(place), files)
            self.memory.put(known, orjson.dumps(marks))
            return marks
        found: Marks = orjson.loads(remembered)
        return found


def _facts(place: Place) -> Iterator[str]:
    """What tells the files that hold questions from others; of one written just now, nothing twice the same."""
    for name in (QNA, HELD_OUT):
        try:
            facts = os.lstat(f"{place.root}/{place.path}/{name}")
        except OSError:
            continue
        now = time.time_ns()
        fresh = now if now - facts.st_ctime_ns < _FRESH else 0
        yield f"{name} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino} {facts.st_dev} {fresh}"


def _nameless(place: Place) -> Place:
    """What is remembered of a leaf holds for every way to name it."""
    return replace(place, shown=".")


def _marks(place: Place, files: LeafFiles) -> Marks:
    # Reading a leaf is what remembering saves.
    from instructlab_like.checking.repeats import marks
    from instructlab_like.checking.subject import Subject
    from instructlab_like.taxonomy.read import examine

    found = marks(Subject(place, files, examine(place, files)))
    return [(mark.asked, mark.file, mark.line, mark.column, mark.field) for mark in found]


def _repeats(marked: Mapping[str, Marks], looked_at: Sequence[str]) -> list[Finding]:
    # Most trees hold no question twice.
    from instructlab_like.checking.repeats import SeedMark, repeats

    records = {
        shown: [
            SeedMark(asked=asked, file=file, line=line, column=column, field=field)
            for asked, file, line, column, field in marks
        ]
        for shown, marks in marked.items()
    }
    return repeats(records, looked_at)


def _tree(root: Path) -> list[Place]:
    """The leaves around; none where there is no tree, but a leaf in some folder."""
    branches = [root / branch for branch in BRANCHES if (root / branch).is_dir()]
    return located(branches)[0] if branches else []


@cache
def _resolved(root: Path) -> str:
    return str(root.resolve())


def differing(places: Sequence[Place], base: str) -> list[Place]:
    """The places whose leaf is not as it was where the working tree left `base`; raises InputError for no such ref."""
    # Git is asked only when a ref is given.
    from instructlab_like.taxonomy.diff import changed

    roots = {place.root for place in places}
    changes = {root / change.path for root in sorted(roots) for change in changed(root, base)}
    return [place for place in places if place.folder in changes]


def _recalled(told: Sequence[object]) -> list[Finding]:
    from instructlab_like.taxonomy.findings import Finding  # as above: seldom needed

    return [Finding.model_validate(finding) for finding in told]


def _stray(stray: Stray) -> list[Finding]:
    from instructlab_like.taxonomy.findings import Findings  # as above

    findings = Findings(stray.shown)
    findings.error(None, stray.code, stray.message, fix=stray.fix)
    return findings.found
