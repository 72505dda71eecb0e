"""Reading and checking leaves against PyYAML's C loader alone, and against the schema package as the peer."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from instructlab.schema.taxonomy import TaxonomyParser

from benchmarks.measure import compare
from instructlab_like.checking.leaf import Options
from instructlab_like.checking.whole import check
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import find

COPIES = 10  # of the starter tree, so that the arms last long enough to be measured
LARGE = 40  # leaves of the size that the public taxonomy's have when they are raised to version 3
LARGE_BYTES = 11_000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, yamllint_on_the_path():
        root = Path(scratch) / "starter"
        for number in range(COPIES):
            for branch in ("knowledge", "compositional_skills"):
                shutil.copytree(find("taxonomy") / branch, root / branch / f"copy_{number}")
        leaves = sorted(root.rglob("qna.yaml"))
        print(f"  {len(leaves)} leaves")
        compare_arms(root, leaves)
        compare_cold(Path(scratch) / "large")


def compare_arms(root: Path, leaves: list[Path]) -> None:
    def floor() -> None:
        for path in leaves:
            yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)

    compare(
        {
            "PyYAML C loader, qna.yaml alone": floor,
            "read_tree (records, all sibling files)": lambda: read_tree(root),
            "check (all findings, yamllint in process)": lambda: check_cold(root, Options()),
            f"instructlab-schema 0.4.2, 1/{COPIES} of the leaves": lambda: ask_peer(leaves[: len(leaves) // COPIES]),
        },
        repeats=3,
    )


def compare_cold(root: Path) -> None:
    """A check that remembers nothing, by leaf, and what the package takes for the same leaves."""
    leaves = [write_large_leaf(root, number) for number in range(LARGE)]
    size = sum(leaf.stat().st_size for leaf in leaves) // LARGE
    print(f"  cold, {LARGE} leaves of {size:,} bytes")
    medians = compare(
        {
            "compatible": lambda: check_cold(root, Options(profile="compatible")),
            "compatible, --warnings-as-errors": lambda: check_cold(
                root, Options(profile="compatible", warnings_as_errors=True)
            ),
            "strict": lambda: check_cold(root, Options()),
            "instructlab-schema 0.4.2 as shipped": lambda: ask_peer(leaves),
        },
        repeats=3,
    )
    for name, seconds in medians.items():
        print(f"  cold check, ms CPU a leaf: {1000 * seconds / LARGE:7.2f}  {name}")


def check_cold(root: Path, options: Options) -> None:
    with tempfile.TemporaryDirectory() as cache, setting("ILK_CACHE", cache):
        assert check([root], options).leaves


def ask_peer(leaves: list[Path]) -> None:
    parser = TaxonomyParser(schema_version=0, message_format="logging", yamllint_strict=False)
    for path in leaves:
        assert not parser.parse(path).errors


def write_large_leaf(root: Path, number: int) -> Path:
    """A knowledge leaf of the starter tree with its seed examples over and over, each a little different."""
    text = (find("taxonomy") / "knowledge/nature/reserves/loomsey_marsh/qna.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("seed_examples:\n")
    seeds, _, _ = rest.partition("document:\n")
    written = f"{head}seed_examples:\n"
    turn = 0
    while len(written) < LARGE_BYTES:
        written += seeds.replace("context: |\n", f"context: |\n      Leaf {number}, part {turn}.\n")
        turn += 1
    folder = root / "knowledge" / f"leaf_{number}"
    folder.mkdir(parents=True)
    source = "  repo: https://example.org/marsh.git\n  commit: " + "a" * 40 + '\n  patterns:\n    - "*.md"\n'
    (folder / "qna.yaml").write_text(f"{written}document:\n{source}", encoding="utf-8")
    (folder / "attribution.txt").write_text("Title of work: Marsh\nLicense of the work: CC-BY-4.0\n", encoding="utf-8")
    return folder / "qna.yaml"


@contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def yamllint_on_the_path() -> Iterator[None]:
    """The package runs yamllint as a command, and does without it in silence if there is none."""
    with setting("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"):
        assert shutil.which("yamllint")
        yield
