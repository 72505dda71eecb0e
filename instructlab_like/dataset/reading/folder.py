"""A dataset's folder as `datasets` knows it: its card says which files are the training split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from instructlab_like.dataset.reading import lines
from instructlab_like.errors import InputError, position
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, load, plain

CARD = "README.md"
TRAIN = "train"
RULE = "---"
FIX = "its card (README.md) begins with front matter that names `configs:` with `data_files:`, as `datasets` wants it"


def training_files(folder: Path) -> list[Path]:
    """The files of the split `train` in the card's default config, each once, in the order in which they are named.

    Raises InputError if the card is not there or does not name them, and for a path that leads out of the folder.
    """
    card = folder / CARD
    if not card.is_file():
        raise InputError("is a folder without a dataset's card", where=str(folder), fix=FIX)
    named = patterns(default(configs(card), card), card)
    files: dict[Path, None] = {}
    for pattern in named:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found:
            raise InputError(f"names {pattern}, which is not there", where=str(card), fix="complete the folder")
        files |= dict.fromkeys(found)
    return list(files)


def configs(card: Path) -> list[dict[str, object]]:
    """What the front matter says of configs; positions count from the top of the card."""
    first, *rest = lines.content(card).removeprefix(lines.BOM).splitlines(keepends=True) or [b""]
    end = next((number for number, line in enumerate(rest) if line.strip() == RULE.encode()), None)
    if first.strip() != RULE.encode() or end is None:
        raise InputError("has no front matter", where=position(card, 1), fix=FIX)
    sheet = load(b"".join(rest[:end]))
    for problem in sheet.problems:
        where = position(card, problem.line + 1, problem.column)
        raise InputError(problem.message, where=where, fix=problem.fix)
    listed = sheet.root.get("configs") if isinstance(sheet.root, Mapping) else None
    if not isinstance(listed, Items) or not listed.items:
        raise InputError("names no configs", where=str(card), fix=FIX)
    return [mapping(item) for item in listed.items]


def mapping(node: Node) -> dict[str, object]:
    told = plain(node)
    return {str(key): value for key, value in told.items()} if isinstance(told, dict) else {}


def default(known: Sequence[dict[str, object]], card: Path) -> dict[str, object]:
    """The config that `datasets` loads when none is named."""
    marked = [config for config in known if config.get("default") is True]
    named = [config for config in known if config.get("config_name") == "default"]
    chosen = marked or named or (known if len(known) == 1 else [])
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(str(config.get("config_name")) for config in known)
    fix = "name the files of one of them instead of the folder"
    raise InputError(f"has no default among its configs ({names})", where=str(card), fix=fix)


def patterns(config: dict[str, object], card: Path) -> list[str]:
    """The paths and patterns of the config's training files."""
    told = config.get("data_files")
    if isinstance(told, tuple) and told and all(isinstance(part, dict) for part in told):
        parts = [part for part in told if isinstance(part, dict) and part.get("split") == TRAIN]
        listed = [path for part in parts for path in texts(part.get("path"))]
    else:
        listed = texts(told)  # without splits, all is training
    if not listed:
        raise InputError(f"its default config names no files of the split {TRAIN}", where=str(card), fix=FIX)
    for pattern in listed:
        parts_of = PurePosixPath(pattern)
        if not pattern or parts_of.is_absolute() or ".." in parts_of.parts or "://" in pattern:
            raise InputError(f"names a file outside the folder: {pattern}", where=str(card), fix="copy it into it")
    return listed


def texts(told: object) -> list[str]:
    if isinstance(told, str):
        return [told]
    return [text for text in told if isinstance(text, str)] if isinstance(told, tuple) else []
