"""An environment for each peer: made once, from pins, in a cache folder outside the repository."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from instructlab_like.workspace import cache_dir

PINS = Path(__file__).parent / "requirements"


class UnavailableError(Exception):
    """A peer that cannot be had here."""


def default_folder() -> Path:
    return cache_dir() / "peers"


def interpreter(peer: str, folder: Path) -> Path:
    """The Python that has the peer; raises UnavailableError, saying what pip said."""
    pins = PINS / f"{peer}.txt"
    home = folder / peer
    stamp = home / "pins.sha256"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    python = home / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == digest and python.exists():
        return python
    print(f"  installing {peer} into {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    told(sys.executable, "-m", "venv", str(home))
    told(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(pins))
    stamp.write_text(digest)
    return python


def version(peer: str) -> str:
    """As pinned."""
    lines = (PINS / f"{peer}.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.partition("==")[0].replace("_", "-") == peer)


def told(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UnavailableError(said[-1])
