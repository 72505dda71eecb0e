"""The commands that `ilk export --merged` prints can be copied: what they name is there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from merged_run import write_adapter
from tiny_chat_model import save_base

from instructlab_like.stages.exporting.export_model import commands


def test_a_base_that_came_with_the_program_is_named_by_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_base(tmp_path / "base")
    write_adapter(tmp_path / "an adapter", tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    for name in ("training/base/model", "base"):
        _, on_base = commands(Path("merged"), name, Path("an adapter"))
        words = shlex.split(on_base.line)
        assert (Path(words[2]) / "config.json").is_file()
        assert words[-1] == "tuned=an adapter"
    _, on_hub = commands(Path("merged"), "owner/name", Path("an adapter"))
    assert shlex.split(on_hub.line)[2] == "owner/name"
