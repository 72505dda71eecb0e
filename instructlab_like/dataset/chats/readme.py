"""The card beside conversations for another trainer: what is in which file, and how it is read there. Pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from instructlab_like.dataset.card import table
from instructlab_like.dataset.chats.parts import PREFERENCES, Seen

ABOUT = """\
Conversations made from the leaves of a taxonomy, their seed examples and their documents; `leaf` names the leaf, and
`replay` those that keep the base model's own tasks alive. `sample` is the id by which `ilk why` tells where a row comes
from.
"""


def readme(
    title: str,
    seen: Sequence[Seen],
    *,
    pairs: int,
    run_card: str,
    how: str,
    loads: bool = False,
) -> bytes:
    """README.md; `loads`: with the configs by which `datasets.load_dataset` and the hub find the files."""
    told: dict[str, object] = {"license": license_of(run_card), "tags": ["synthetic", "instruction-tuning", "taxonomy"]}
    if loads:
        told["configs"] = configs(seen, pairs)
    front = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    lines: list[tuple[object, ...]] = [(f"`{one.part.file}`", one.rows, one.longest) for one in seen]
    lines += [(f"`{PREFERENCES}`", pairs, "")] if pairs else []
    files = table(("file", "rows", "characters of the longest"), lines)
    return f"---\n{front}---\n\n# {title}\n\n{ABOUT}\n{files}\n\n{how.strip()}\n".encode()


def configs(seen: Sequence[Seen], pairs: int) -> list[Mapping[str, object]]:
    """One for each phase, with the test file beside it, the first for all; pairs have columns of their own."""
    train = [one.part for one in seen if one.part.phase]
    test = [one.part.file for one in seen if not one.part.phase]
    found = {"default": {"train": [part.file for part in train], "test": test}}
    if len(train) > 1:
        found |= {part.phase: {"train": [part.file], "test": test} for part in train}
    if pairs:
        found["preferences"] = {"train": [PREFERENCES]}
    return [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": list(files)} for split, files in splits.items() if files],
        }
        for name, splits in found.items()
        if any(splits.values())
    ]


def license_of(card: str) -> object:
    """As the card of the run's dataset has it."""
    parts = card.split("---\n", 2)
    told = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    return (told.get("license") if isinstance(told, dict) else None) or "other"
