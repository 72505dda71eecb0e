"""Where a model's name leads, without torch and without loading anything: a folder, the hub's cache, or the hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from instructlab_like.errors import ModelError
from instructlab_like.tuning.machine import run
from instructlab_like.workspace import find

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
WHAT_A_MODEL_IS = (
    "give a folder with config.json, tokenizer.json and *.safetensors, or a hub name such as "
    "ibm-granite/granite-3.3-2b-instruct"
)
PATIENCE = 40.0  # seconds for the hub's answer, an import included
ASK = """
import sys
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
try:
    found = HfApi().model_info(sys.argv[1], timeout=10, files_metadata=True)
except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError, RuntimeError) as error:
    tell({"error": type(error).__name__, "said": next((line for line in str(error).splitlines() if line.strip()), "")})
else:
    sizes = [one.size or 0 for one in found.siblings or [] if one.rfilename.endswith(".safetensors")]
    tell({"size": sum(sizes), "gated": bool(found.gated)})
"""


@dataclass(frozen=True, slots=True)
class OnHub:
    """What the hub says of a model; `error` if it says nothing. `size`: bytes of its weights."""

    size: int = 0
    gated: bool = False
    error: str = ""


def place_of(name: str) -> Path | None:
    """The folder that `name` means, the cache's for a hub model that was fetched before; None if it must be fetched.
    Raises ModelError for what is neither a folder nor a hub name."""
    place = find(name)
    if place.is_dir():
        return place
    if place.exists() or place.suffix == ".gguf":
        raise ModelError("is a file, not a model's folder", where=name, fix=WHAT_A_MODEL_IS)
    if not HUB_NAME.fullmatch(name):
        raise ModelError("there is no such model folder", where=name, fix=WHAT_A_MODEL_IS)
    return cached(name)


def cache() -> Path:
    """Where huggingface_hub keeps what it fetched; the order in which it looks at the environment."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if told := os.environ.get(variable):
            return Path(told).expanduser()
    if told := os.environ.get("HF_HOME"):
        return Path(told).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def cached(name: str) -> Path | None:
    """The newest snapshot of a hub model in the cache that has a config.json; None if there is none."""
    model = cache() / f"models--{name.replace('/', '--')}"
    try:
        commit = (model / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    folder = model / "snapshots" / commit
    return folder if (folder / "config.json").is_file() else None


def asked(name: str, *, seconds: float = PATIENCE) -> OnHub:
    """Ask the hub for a model, in a process of its own."""
    outcome = run(ASK, name, seconds=seconds)
    told = outcome.told
    if told is None:
        return OnHub(error=outcome.said)
    if "error" in told:
        return OnHub(error=f"{told['error']}: {told['said']}")
    size = told.get("size")
    return OnHub(size=size if isinstance(size, int) else 0, gated=told.get("gated") is True)
