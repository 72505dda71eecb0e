"""Five hundred document repositories, each cloned, opened, read and closed: the time, and what stays open."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measure import cpu_seconds
from instructlab_like.records import DocumentSource, Knowledge, Pair, Seed
from instructlab_like.taxonomy.documents import fetch

REPOSITORIES = 500
URL = "https://github.com/benchmark/documents"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        commits = written(place / "upstream")
        fetched(place, commits[0])  # what is opened once and for all is open now
        before, clock, used = left_open(), time.perf_counter(), cpu_seconds()
        for commit in commits[1:]:
            fetched(place, commit)
        clock, used = time.perf_counter() - clock, cpu_seconds() - used
        cached = time.perf_counter()
        for commit in commits[1:]:
            fetched(place, commit)
        cached = time.perf_counter() - cached
        after = left_open()
    clock, used, cached = (1000 * seconds / REPOSITORIES for seconds in (clock, used, cached))
    print(f"  {REPOSITORIES} fetched, ms each: {clock:.1f} ({used:.1f} of CPU)")
    print(f"  {REPOSITORIES} out of the cache, ms each: {cached:.1f}")
    print(f"  open descriptors {before[0]} before, {after[0]} after; child processes {before[1]} and {after[1]}")


def written(upstream: Path) -> list[str]:
    """A repository with as many commits as are to be cloned apart, and one more."""
    git("init", "--quiet", "--bare", str(upstream))
    history = []
    for number in range(REPOSITORIES + 1):
        text = f"# Tides {number}\n"
        history.append(
            f"commit refs/heads/main\ncommitter a <a@b> {number} +0000\ndata 1\nx\n"
            f"M 100644 inline tides.md\ndata {len(text)}\n{text}\n"
        )
    git("-C", str(upstream), "fast-import", "--quiet", told="".join(history))
    return git("-C", str(upstream), "rev-list", "main").split()


def git(*words: str, told: str | None = None) -> str:
    return subprocess.run(["git", *words], input=told, capture_output=True, text=True, check=True).stdout


def fetched(place: Path, commit: str) -> None:
    leaf = Knowledge(
        path="knowledge/tides",
        blob="0" * 40,
        version=3,
        created_by="benchmark",
        seeds=(Seed(number=1, line=1, pairs=(Pair(question="?", answer="!"),)),),
        domain="oceans",
        outline="tides",
        source=DocumentSource(repo=URL, commit=commit, patterns=("*.md",)),
    )
    found = fetch(leaf, place, mirrors={URL: str(place / "upstream")}, cache=place / "cache")
    assert len(found) == 1


def left_open() -> tuple[int, int]:
    """Open descriptors and child processes, as Linux counts them."""
    own = Path("/proc/self")
    children = sum(len((task / "children").read_text().split()) for task in (own / "task").iterdir())
    return len(list((own / "fd").iterdir())), children


if __name__ == "__main__":
    main()
