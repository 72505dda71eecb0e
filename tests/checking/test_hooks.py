from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from instructlab_like.cli import app

HOOKS = {
    hook["id"]: hook for hook in yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
}
OWN = ("qna.yaml", "heldout.yaml", "simulation.yaml")


def test_the_hooks_are_what_pre_commit_expects() -> None:
    assert list(HOOKS) == ["ilk-check", "ilk-fix"]
    for hook in HOOKS.values():
        assert set(hook) == {"id", "name", "description", "entry", "language", "files", "require_serial"}
        assert hook["language"] == "python"  # installed out of this repository, with the command below


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_the_command_of_a_hook_exists(hook: dict) -> None:
    command, *arguments = hook["entry"].split()
    assert command == "ilk"
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_is_for_the_files_of_leaves(hook: dict) -> None:
    wanted = re.compile(hook["files"])
    for folder in ("taxonomy/knowledge/science/tides/", "knowledge/tides/", "compositional_skills/a/b/"):
        assert all(wanted.search(folder + name) for name in OWN)
        assert not wanted.search(f"{folder}tides.md")
    for path in ("docs/qna.yaml", "attribution.txt", "my_knowledge/qna.yaml", "knowledge/a/qna.yaml.orig"):
        assert not wanted.search(path)
    assert bool(wanted.search("knowledge/a/attribution.txt")) == (hook["id"] == "ilk-check")
    assert bool(wanted.search("knowledge/a/qna.yml")) == (hook["id"] == "ilk-check")
