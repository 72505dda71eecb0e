"""`ilk init`: a taxonomy repository of one's own: starter leaves, and what contributing by pull request needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from instructlab_like import __version__
from instructlab_like.console import say
from instructlab_like.errors import InputError
from instructlab_like.printable import escaped
from instructlab_like.taxonomy import schemas
from instructlab_like.taxonomy.repository import enclosing
from instructlab_like.workspace import shipped_root, write_whole

_WORKSPACE = "docs/workspace"
_TAXONOMY = "taxonomy"
_LISTED = 6  # names shown of what is in the way
_CONSTRAINTS = f"""\
# The version that everybody here checks with; pip reads it through -c.
instructlab-like=={__version__}
"""


def init(folder: Path) -> None:
    """Write a workspace into a new or empty folder, and say what comes next.

    A folder that holds nothing but `.git`, as a fresh clone does, is empty. Raises InputError for any other.
    """
    _empty(folder)
    try:
        _copied(_WORKSPACE, folder)
        _copied(_TAXONOMY, folder / _TAXONOMY)
        schemas.put(folder / schemas.FOLDER)
        write_whole(folder / "constraints.txt", _CONSTRAINTS.encode())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(folder), fix="check the folder") from error
    say(f"made a taxonomy repository in {folder}: {_leaves(folder)} starter leaves, Makefile, workflows, schemas")
    say(_under_git(folder))
    say("next:")
    if folder.resolve() != Path.cwd():
        say(f"  cd {folder}")
    say("  ilk check                # or: make check")
    say("  git add --all && git commit --signoff -m 'Start the taxonomy'")
    say("  README.md names the first steps: reviewers in .github/CODEOWNERS, a LICENSE, GitHub's settings")


def _empty(folder: Path) -> None:
    """Refuse a place that is taken, and name what is there."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError("is there already, and is no folder", where=str(folder), fix="choose another name")
    names = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    if names:
        more = len(names) - _LISTED
        listed = ", ".join(escaped(name) for name in names[:_LISTED])
        what = f"the folder is not empty: it holds {listed}{f' and {more} more' if more > 0 else ''}"
        raise InputError(what, where=str(folder), fix="name a new or empty folder")


def _copied(name: str, target: Path) -> None:
    """Copy a folder that is shipped; InputError when the installation lacks it."""
    source = shipped_root() / name
    if not source.is_dir():
        raise InputError("the installation lacks this folder", where=str(source), fix="install the package again")
    for path in _files(source):
        write_whole(target / path.relative_to(source), path.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            yield path


def _leaves(folder: Path) -> int:
    return sum(1 for _ in (folder / _TAXONOMY).rglob("qna.yaml"))


def _under_git(folder: Path) -> str:
    """Put the folder under Git unless it is already; says what was done."""
    with enclosing(folder) as repository:
        if repository is not None:
            return f"it lies in the Git repository {repository.top}"
    git = shutil.which("git")
    if git is None:
        return "git is not installed: `git init` is left to do"
    # A hook or a wrapper that runs ilk may have set GIT_DIR, which would start the repository somewhere else.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [git, "-c", "init.defaultBranch=main", "init", "--quiet", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git init: {done.stderr.strip()}", where=str(folder), fix="see what git says")
    return "started a Git repository there, without a commit"
