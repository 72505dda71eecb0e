"""The house's own rules: imports run one way, the package is light, the documentation is what the code says."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "instructlab_like"


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_names() -> list[str]:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in modules()]
    return [
        name
        for name in names
        if not any(name.startswith(room) for room in ("instructlab_like.tuning", "instructlab_like.__main__"))
        and name
        not in (
            "instructlab_like.evaluation.answering",
            "instructlab_like.evaluation.likelihood",
            "instructlab_like.filters.parts.sentence_encoder",
            "instructlab_like.teachers.local",
        )
    ]


def test_imports_run_one_way() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as l; l()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_no_module_but_those_that_compute_imports_torch() -> None:
    code = f"import importlib, sys\nfor name in {module_names()!r}: importlib.import_module(name)\n"
    code += "print([name for name in ('torch', 'transformers', 'peft', 'accelerate') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_module_opens_by_saying_what_it_is_for() -> None:
    silent = [
        path.relative_to(ROOT).as_posix() for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize(
    "forbidden",
    [
        r"except Exception\b",
        r"except:",
        r"import pickle|pickle\.load|torch\.load",
        r"trust_remote_code=True",
        r"shell=True",
        r"# *TODO\b",
        r"os\.system",
    ],
)
def test_what_never_stands_in_the_code(forbidden: str) -> None:
    sources = [*modules(), *sorted((ROOT / "training").rglob("*.py"))]
    found = [path.relative_to(ROOT).as_posix() for path in sources if re.search(forbidden, path.read_text())]
    assert found == []


def test_reference_pages_are_what_the_code_says() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]()
    for name, text in written.items():
        assert text == (ROOT / "docs" / name).read_text(), f"{name}: run: python docs/reference.py"


def test_links_of_the_documentation_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "taxonomy" / "README.md"]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
