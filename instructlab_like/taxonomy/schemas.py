"""Where the JSON Schemas lie by which an editor checks and completes a leaf's files as they are written."""

from __future__ import annotations

from pathlib import Path

from instructlab_like.errors import InputError
from instructlab_like.workspace import shipped_root, write_whole

NAMES = ("skill", "knowledge", "heldout", "simulation")
FOLDER = "schemas"  # of a workspace
_SHIPPED = "docs/schemas"


def nearest(root: Path) -> Path | None:
    """The folder of schemas that belongs to the tree at `root`: beside or above it, within its repository."""
    root = root.resolve()
    for place in (root, *root.parents):
        for folder in (place / FOLDER, place / _SHIPPED):
            if all((folder / f"{name}.schema.json").is_file() for name in NAMES):
                return folder
        if (place / ".git").exists():
            return None
    return None


def home(root: Path) -> Path:
    """Where schemas are to lie that a tree does not have yet: beside it if the shell stands there, else in it."""
    here = Path.cwd().resolve()
    return (here if root.resolve().is_relative_to(here) else root.resolve()) / FOLDER


def put(folder: Path) -> list[Path]:
    """Copy the shipped schemas into a folder; returns the files."""
    made = []
    for name in NAMES:
        file = f"{name}.schema.json"
        try:
            data = (shipped_root() / _SHIPPED / file).read_bytes()
        except OSError as error:
            where = str(shipped_root() / _SHIPPED / file)
            raise InputError(
                "the installation lacks this file", where=where, fix="install the package again"
            ) from error
        write_whole(folder / file, data)
        made.append(folder / file)
    return made
