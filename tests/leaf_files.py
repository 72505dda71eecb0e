"""Small valid leaves as plain values, and how they are written to disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from instructlab_like.checking.leaf import STRICT, Options
from instructlab_like.checking.whole import check
from instructlab_like.taxonomy.findings import Finding

Values = dict[str, object]

ATTRIBUTION = "Title of work: Tides\nLicense of the work: CC-BY-4.0\nCreator names: Ann\n"


def skill(*, version: int = 3, grounded: bool = False) -> Values:
    seeds = []
    for number in range(5):
        seed = {"question": f"What is {number} plus {number}?", "answer": f"{number + number} in all"}
        seeds.append({"context": f"The number is {number}.", **seed} if grounded else seed)
    values: Values = {"created_by": "ann", "task_description": "Add numbers.", "seed_examples": seeds}
    return {"version": version, **values}


def knowledge(**document: object) -> Values:
    seeds = [
        {
            "context": f"Harbour {number} has a tide of {number} metres. Its facts are fact 0, fact 1 and fact 2.",
            "questions_and_answers": [
                {"question": f"What is fact {pair} of harbour {number}?", "answer": f"Fact {pair}."}
                for pair in range(3)
            ],
        }
        for number in range(5)
    ]
    source = {"repo": "https://github.com/ann/tides.git", "commit": "a" * 40, "patterns": ["*.md"], **document}
    return {
        "version": 3,
        "created_by": "ann",
        "domain": "oceans",
        "document_outline": "What tides are.",
        "document": source,
        "seed_examples": seeds,
    }


def dumped(values: object) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=200)


def write_leaf(root: Path, path: str, qna: object, **files: str) -> Path:
    """Write a leaf; `qna` is values or the file's text, `files` are its siblings (heldout="…", simulation="…")."""
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qna.yaml").write_text(qna if isinstance(qna, str) else dumped(qna), encoding="utf-8")
    (folder / "attribution.txt").write_text(ATTRIBUTION, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def found_in(*paths: Path, options: Options = STRICT) -> list[Finding]:
    return list(check(paths, options).findings)


def git(folder: Path, *arguments: str, author: str = "Ann") -> str:
    """Run git in a folder, untouched by the configuration of whoever runs the tests."""
    settings = ["user.email=ann@example.org", f"user.name={author}", "init.defaultBranch=main", "commit.gpgSign=false"]
    options = [part for setting in settings for part in ("-c", setting)]
    done = subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "change", author: str = "Ann") -> str:
    git(folder, "add", "--all", author=author)
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message, author=author)
    return git(folder, "rev-parse", "HEAD")


def open_descriptors() -> int:
    """How many files and pipes this process holds; skips the test where the system does not tell."""
    listed = Path("/proc/self/fd")
    if not listed.exists():
        pytest.skip("descriptors are counted in /proc, which this system does not have")
    return len(list(listed.iterdir()))
