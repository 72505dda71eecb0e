"""Reading and checking leaves against PyYAML's C loader alone, and against the schema package as the peer."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import yaml
from instructlab.schema.taxonomy import TaxonomyParser

from instructlab_like.checking.whole import check
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import find

COPIES = 10  # of the starter tree, so that the arms last long enough to be measured


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for number in range(COPIES):
            for branch in ("knowledge", "compositional_skills"):
                shutil.copytree(find("taxonomy") / branch, root / branch / f"copy_{number}")
        leaves = sorted(root.rglob("qna.yaml"))
        print(f"  {len(leaves)} leaves")
        compare_arms(root, leaves)


def compare_arms(root: Path, leaves: list[Path]) -> None:
    from benchmarks.measure import compare

    def floor() -> None:
        for path in leaves:
            yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)

    def peer() -> None:
        parser = TaxonomyParser(schema_version=0, message_format="logging", yamllint_strict=False)
        for path in leaves[: len(leaves) // COPIES]:
            parser.parse(path)

    compare(
        {
            "PyYAML C loader, qna.yaml alone": floor,
            "read_tree (records, all sibling files)": lambda: read_tree(root),
            "check (all findings, yamllint in process)": lambda: check([root]),
            f"instructlab-schema 0.4.2, 1/{COPIES} of the leaves": peer,
        },
        repeats=3,
    )
