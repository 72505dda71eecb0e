"""All findings of all leaves that a user names, in one run; what has not changed since the last one is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import orjson

from instructlab_like.checking.leaf import STRICT, Options, examined
from instructlab_like.checking.memory import Memory, key, stamp
from instructlab_like.errors import InputError
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import LeafFiles, Place, Stray, companions, content, located, read_files

_LARGEST = 10_000_000  # bytes of a document; of a larger one only that it is too large is looked at


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
        places = list(_differing(places, base))
    with Memory() as memory:
        checker = _Checker(memory, options)
        found = [finding for place in places for finding in checker.findings(place)]
        if options.profile == "strict":
            found += checker.repeats(places)
    found += [finding for stray in strays for finding in _stray(stray)]
    found.sort(key=lambda finding: (finding.path, finding.line, finding.column, finding.code, finding.field))
    return Outcome(len(places), tuple(found))


class _Checker:
    """Findings out of the memory where a leaf and the code that looks at it are as they were."""

    def __init__(self, memory: Memory, options: Options) -> None:
        self.memory = memory
        self.options = options
        self.told = (stamp(), options.profile, options.schema_version, str(options.warnings_as_errors))

    def findings(self, place: Place) -> list[Finding]:
        files = read_files(place)
        known = self.key(place, files)
        remembered = self.memory.get(known)
        if remembered is None:
            nameless = replace(place, shown=".")  # so that what is remembered holds for every way to name the leaf
            found = examined(nameless, files, self.options)
            self.memory.put(known, orjson.dumps([finding.model_dump(mode="json") for finding in found]))
        else:
            found = [Finding.model_validate(told) for told in orjson.loads(remembered)]
        return [finding.model_copy(update={"path": place.naming(finding.path)}) for finding in found]

    def key(self, place: Place, files: LeafFiles) -> str:
        """All that decides a leaf's findings: its files, what lies beside them, and the folders that it lies in."""
        refused = [f"{name}: {error.what} {error.fix}" for name, error in sorted(files.refused.items())]
        beside: dict[str, bytes] = {}
        for name in companions(place.folder) if self.options.profile == "strict" else ():
            try:
                beside[f"beside/{name}"] = content(place.folder, name, largest=_LARGEST) or b""
            except InputError as error:
                refused.append(f"{name}: {error.what}")
        return key(("findings", *self.told, _resolved(place.root), place.path, *refused), {**files.own, **beside})

    def repeats(self, places: Sequence[Place]) -> list[Finding]:
        return []


@cache
def _resolved(root: Path) -> str:
    return str(root.resolve())


def _differing(places: Sequence[Place], base: str) -> Iterator[Place]:
    # Git is asked only when a ref is given.
    from instructlab_like.taxonomy.diff import changed

    roots = {place.root for place in places}
    differing = {root / change.path for root in sorted(roots) for change in changed(root, base)}
    return (place for place in places if place.folder in differing)


def _stray(stray: Stray) -> list[Finding]:
    findings = Findings(stray.shown)
    findings.error(None, stray.code, stray.message, fix=stray.fix)
    return findings.found
