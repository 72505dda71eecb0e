"""A workspace out of `ilk init`: it passes its own check, makes a dataset, and has what contributing needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from instructlab_like import __version__

ROOT = Path(__file__).parents[1]


def ilk(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *words]
    environment = os.environ | {"ILK_CACHE": str(cwd / "cache")} | variables
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("init")
    made = ilk("init", "leaves", cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "leaves"


def changed(workspace: Path, to: Path) -> Path:
    return Path(shutil.copytree(workspace, to / "leaves"))


def test_a_workspace_has_what_contributing_by_pull_request_needs(workspace: Path) -> None:
    files = {path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file()}
    assert {
        ".github/CODEOWNERS",
        ".github/pull_request_template.md",
        ".github/workflows/check.yml",
        ".github/workflows/comment.yml",
        ".gitignore",
        ".pre-commit-config.yaml",
        ".vscode/settings.json",
        "CONTRIBUTING.md",
        "Makefile",
        "README.md",
        "constraints.txt",
        "schemas/heldout.schema.json",
        "schemas/knowledge.schema.json",
        "schemas/simulation.schema.json",
        "schemas/skill.schema.json",
    } <= files
    assert len([name for name in files if name.endswith("/qna.yaml")]) == 8
    assert f"instructlab-like=={__version__}" in (workspace / "constraints.txt").read_text().splitlines()
    assert not [name for name in files if name.endswith((".pyc", "~"))]


def test_a_new_workspace_passes_its_own_check(workspace: Path) -> None:
    found = ilk("check", "--format", "json", cwd=workspace)
    assert found.returncode == 0, found.stdout
    assert json.loads(found.stdout)["leaves"] == 8
    assert [finding for finding in json.loads(found.stdout)["findings"] if finding["severity"] == "error"] == []


def test_a_new_workspace_makes_a_dataset_without_a_model(workspace: Path, tmp_path: Path) -> None:
    folder = changed(workspace, tmp_path)
    made = ilk("generate", "--leaf", "compositional_skills/office", cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (folder / "runs/default/4-dataset").is_dir()


def test_a_new_workspace_is_a_repository_without_a_commit(workspace: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=workspace, capture_output=True, check=False)
    top = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=workspace, capture_output=True, check=True)
    assert head.returncode != 0
    assert Path(top.stdout.decode().strip()) == workspace.resolve()


def test_a_workspace_inside_a_repository_starts_no_second_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    made = ilk("init", "leaves", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert f"lies in the Git repository {tmp_path.resolve()}" in made.stdout
    assert not (tmp_path / "leaves/.git").exists()


def test_variables_of_git_do_not_move_the_repository(tmp_path: Path) -> None:
    made = ilk("init", "leaves", cwd=tmp_path, GIT_DIR=str(tmp_path / "elsewhere"))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "leaves/.git/HEAD").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_without_git_the_workspace_is_made_and_the_rest_is_said(tmp_path: Path) -> None:
    made = ilk("init", "leaves", cwd=tmp_path, PATH=str(tmp_path))
    assert made.returncode == 0, made.stderr
    assert "`git init` is left to do" in made.stdout
    assert (tmp_path / "leaves/Makefile").exists()


@pytest.mark.parametrize("cloned", [False, True])
def test_an_empty_folder_or_a_fresh_clone_is_taken(tmp_path: Path, cloned: bool) -> None:
    if cloned:
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    made = ilk("init", ".", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "taxonomy/README.md").exists()
    assert "  cd " not in made.stdout


def test_a_folder_that_is_not_empty_is_refused_and_what_is_there_named(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"file_{number}").write_text("mine\n")
    (tmp_path / ".hidden").mkdir()
    before = sorted(tmp_path.rglob("*"))
    refused = ilk("init", ".", cwd=tmp_path)
    assert refused.returncode == 2
    assert "it holds .hidden, file_0, file_1, file_2, file_3, file_4 and 3 more" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine\n")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        refused = ilk("init", name, cwd=tmp_path)
        assert refused.returncode == 2
        assert "is no folder" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("words", "name", "schema"),
    [
        (("knowledge/oceans/tides",), "qna", "knowledge"),
        (("compositional_skills/sums", "--kind", "freeform"), "qna", "skill"),
        (("compositional_skills/office/desk/stamps", "--kind", "simulation"), "simulation", "simulation"),
    ],
)
def test_new_leaves_of_a_workspace_name_its_own_schemas(
    workspace: Path, tmp_path: Path, words: tuple[str, ...], name: str, schema: str
) -> None:
    folder = changed(workspace, tmp_path)
    made = ilk("new", *words, cwd=folder)
    assert made.returncode == 0, made.stderr
    leaf = folder / "taxonomy" / words[0]
    link = (leaf / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (leaf / link).resolve() == (folder / "schemas" / f"{schema}.schema.json").resolve()
    assert "schemas" not in made.stdout
    assert ilk("check", cwd=folder).returncode == 2


def test_a_tree_without_schemas_gets_them_with_its_first_new_leaf(tmp_path: Path) -> None:
    made = ilk("new", "knowledge/oceans/tides", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "made schemas/skill.schema.json" in made.stdout.replace(f"{tmp_path.resolve()}/", "")
    leaf = tmp_path / "taxonomy/knowledge/oceans/tides"
    link = (leaf / "qna.yaml").read_text().splitlines()[0].partition("=")[2]
    assert json.loads((leaf / link).read_text())
    assert "schemas" not in ilk("new", "knowledge/oceans/waves", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compositional_skills/sums",), "--kind freeform"),
        (("oceans/tides",), "no leaf lies there"),
        (("compositional_skills/sums", "--kind", "grounded", "--from", "a.md"), "not made from a document"),
        (("knowledge/tides", "--from", "a.md"), "a.md: there is no such file"),
        (("knowledge/tides", "--kind", "poem"), "poem"),
    ],
)
def test_mistakes_with_new_are_said_and_nothing_is_made(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    refused = ilk("new", *words, cwd=tmp_path)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_new_says_how_many_passages_a_document_gave(tmp_path: Path) -> None:
    document = ROOT / "taxonomy/knowledge/history/towns/velmouth/town.md"
    made = ilk("new", "knowledge/history/velmouth", "--from", str(document), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "5 passages proposed" in made.stdout
    leaf = tmp_path / "taxonomy/knowledge/history/velmouth"
    assert (leaf / "town.md").read_bytes() == document.read_bytes()
    contexts = [seed["context"] for seed in yaml.safe_load((leaf / "qna.yaml").read_text())["seed_examples"]]
    assert all(context in document.read_text() for context in contexts)


# --- the files themselves ---------------------------------------------------------------------------------------


def test_every_target_of_the_makefile_runs_a_command_that_there_is(workspace: Path) -> None:
    text = (workspace / "Makefile").read_text()
    helped = ilk("--help", cwd=workspace).stdout
    commands = set(re.findall(r"\$\(ILK_BIN\) ([a-z]+)", text))
    assert {"check", "diff", "preview", "generate", "train", "evaluate", "report", "all"} == commands
    assert [command for command in sorted(commands) if not re.search(rf"^\W*{command}\b", helped, re.MULTILINE)] == []
    for command in sorted(commands):
        options = set(re.findall(rf"\$\(ILK_BIN\) {command} .*", text))
        known = ilk(command, "--help", cwd=workspace).stdout
        for option in re.findall(r"--[a-z-]+", " ".join(options)):
            assert option in known, f"{command} {option}"


def test_make_lists_its_targets(workspace: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=workspace, capture_output=True, text=True, check=True
    ).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    assert targets == {
        "setup", "check", "diff", "preview", "generate", "train", "evaluate", "report", "demo", "clean", "help",
    }  # fmt: skip


@pytest.mark.parametrize("given", ["instructlab-like", "instructlab-like[train]", "../dist/some.whl", "../src[train]"])
def test_make_installs_what_is_named_and_training_only_where_it_is_needed(workspace: Path, given: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    bare = given.removesuffix("[train]")
    for target, packages in (("check", [bare]), ("train", [bare, f"{bare}[train]"])):
        command = ["make", "--no-print-directory", "--dry-run", "VENV=.none", f"ILK={given}", target]
        planned = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=True).stdout
        assert re.findall(r'pip install .* -c constraints\.txt "(.*)"', planned) == packages


def test_the_commit_hook_calls_check(workspace: Path) -> None:
    settings = yaml.safe_load((workspace / ".pre-commit-config.yaml").read_text())
    [hook] = settings["repos"][0]["hooks"]
    assert settings["repos"][0]["repo"] == "local"
    assert "ilk check taxonomy" in hook["entry"]
    assert re.search(hook["files"], "taxonomy/knowledge/a/b/qna.yaml")
    assert not re.search(hook["files"], "README.md")


def test_the_editor_finds_a_schema_for_each_file_of_a_leaf(workspace: Path) -> None:
    settings = json.loads((workspace / ".vscode/settings.json").read_text())
    assert all((workspace / schema).is_file() for schema in settings["yaml.schemas"])
    patterns = [pattern for group in settings["yaml.schemas"].values() for pattern in group]
    for file in sorted((workspace / "taxonomy").rglob("*.yaml")):
        path = file.relative_to(workspace)
        assert [pattern for pattern in patterns if matches(path.as_posix(), pattern)], path


def matches(path: str, pattern: str) -> bool:
    return bool(re.fullmatch(pattern.removeprefix("/").replace("**", ".*").replace("/.*/", "/(?:.*/)?"), path))
