"""`ilk export --push`: what is sent to a hub, shown before it is sent, and what is not sent at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub, hub_server

from instructlab_like.errors import InputError
from instructlab_like.stages.exporting.export import LIST
from instructlab_like.stages.exporting.push import PERSONAL, parcel, push

CARD = "---\nlicense: mit\n---\n\n# Conversations\n\nMade from leaves.\n"


def ilk(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", "export", *map(str, words)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    told = clean | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder as an export leaves it."""
    folder = tmp_path / "my data"
    (folder / "in").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "in" / "train [1].jsonl").write_text('{"messages": []}\n')
    (folder / "mine.txt").write_text("not exported")
    (folder / LIST).write_text(json.dumps({"format": 1, "files": ["README.md", "in/train [1].jsonl"]}))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlibrary_name: gguf\n---\n\n# A model\n")
    (folder / "model.gguf").write_bytes(b"GGUF")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("left by another program")
    return folder


def home(tmp_path: Path, hub: Hub, token: str = "hf_right") -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), **({"HF_TOKEN": token} if token else {})}


# --- what is sent -----------------------------------------------------------------------------------------------


def test_a_dataset_is_sent_whole_and_private(dataset: Path, tmp_path: Path) -> None:
    with hub_server(Hub()) as hub:
        done = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub))
    assert done.returncode == 0, done.stdout + done.stderr
    assert hub.private == {"datasets/ann/boats": True}
    sent = hub.files["datasets/ann/boats"]
    assert sent == {"README.md": CARD.encode(), "in/train [1].jsonl": b'{"messages": []}\n'}
    assert "goes to ann/boats (dataset, private)" in done.stdout
    assert "hf_right" not in done.stdout + done.stderr


def test_a_model_is_sent_without_what_is_hidden(model: Path, tmp_path: Path) -> None:
    with hub_server(Hub()) as hub:
        done = ilk(model, "--push", "ann/boats-gguf", "--public", **home(tmp_path, hub))
    assert done.returncode == 0, done.stdout + done.stderr
    assert hub.private == {"models/ann/boats-gguf": False}
    assert sorted(hub.files["models/ann/boats-gguf"]) == ["README.md", "model.gguf"]
    assert "public: everybody may read it" in done.stdout


def test_a_repository_that_is_there_is_updated_if_nobody_else_may_read_it(dataset: Path, tmp_path: Path) -> None:
    with hub_server(Hub(private={"datasets/ann/mine": True, "datasets/ann/open": False})) as hub:
        assert ilk(dataset, "--push", "ann/mine", **home(tmp_path, hub)).returncode == 0
        done = ilk(dataset, "--push", "ann/open", **home(tmp_path, hub))
        assert done.returncode == 2
        assert "is there already and public, so everybody would read this" in done.stderr
        assert "datasets/ann/open" not in hub.files
        assert ilk(dataset, "--push", "ann/open", "--public", **home(tmp_path, hub)).returncode == 0


# --- a dry run --------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_files_sizes_card_and_visibility_and_sends_nothing(dataset: Path, tmp_path: Path) -> None:
    with hub_server(Hub()) as hub:
        done = ilk(dataset, "--push", "ann/boats", "--dry-run", **home(tmp_path, hub, token=""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert hub.private == {}
    size = len(CARD) + 17
    assert f"push: 2 files, {size} bytes, would go to ann/boats (dataset, private)" in done.stdout
    assert "  in/train [1].jsonl: 17 bytes" in done.stdout
    assert "  | # Conversations" in done.stdout
    assert "mine.txt" not in done.stdout
    assert "nothing was sent" in done.stdout


def test_a_dry_run_needs_no_library_and_no_network(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push(dataset, "ann/boats", dry_run=True, public=True)
    assert "public: everybody may read it" in capsys.readouterr().out


# --- what is not sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trained in /home/ann/models/granite", "README.md:8:12: a path of this machine: /home/ann/models/granite"),
        ("see file:///srv/data/x", "a path of this machine: file:///srv/data/x"),
        (r"from C:\Users\Ann\leaves", "a path of this machine"),
        ("and ~/leaves", "a path of this machine: ~/leaves"),
        ("token hf_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zAbC", "looks like "),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "looks like "),
    ],
)
def test_a_secret_or_a_path_of_this_machine_in_a_card_stops_it(dataset: Path, text: str, told: str) -> None:
    (dataset / "README.md").write_text(CARD + text + "\n")
    with pytest.raises(InputError) as refused:
        push(dataset, "ann/boats", dry_run=True)
    assert told in str(refused.value)
    assert "aB3dE5gH7jK9mN1pQ2rS" not in str(refused.value)


def test_a_path_in_a_configuration_stops_it_too(model: Path) -> None:
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/ann/granite"}')
    with pytest.raises(InputError, match="a path of this machine"):
        push(model, "ann/boats", dry_run=True)


@pytest.mark.parametrize(
    "text",
    [
        "./base",
        "https://example.org/home/ann",
        "data/train.jsonl",
        "a/b",
        "and/or",
        "~ 5",
        "/v1/chat",
        "runs/NAME/4-dataset",
    ],
)
def test_what_is_no_path_of_a_machine_passes(text: str) -> None:
    assert PERSONAL.search(f"see {text} here") is None


def test_a_folder_without_a_card_or_a_model_is_refused(dataset: Path, model: Path, tmp_path: Path) -> None:
    (dataset / LIST).write_text(json.dumps({"format": 1, "files": ["in/train [1].jsonl"]}))
    with pytest.raises(InputError, match="has no card"):
        push(dataset, "ann/boats", dry_run=True)
    (model / "README.md").write_text("\n")
    with pytest.raises(InputError, match="has no card"):
        push(model, "ann/boats", dry_run=True)
    (model / "model.gguf").unlink()
    with pytest.raises(InputError, match="holds neither an export nor a model"):
        push(model, "ann/boats", dry_run=True)
    with pytest.raises(InputError, match="there is no such folder"):
        push(tmp_path / "none", "ann/boats", dry_run=True)


def test_a_link_out_of_the_folder_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (model / "notes.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="is no file of its own"):
        parcel(model)


@pytest.mark.parametrize("name", ["boats", "ann/", "ann/boats/x", "../x", "ann/a--b", "an n/x"])
def test_a_wrong_name_is_one_message(dataset: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name on a hub"):
        push(dataset, name, dry_run=True)


def test_without_a_token_the_message_says_how_to_get_one(dataset: Path, tmp_path: Path) -> None:
    with hub_server(Hub()) as hub:
        done = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub, token=""))
    assert done.returncode == 2
    assert "there is no token for the hub" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_that_refuses_or_is_not_there_is_one_message(dataset: Path, tmp_path: Path) -> None:
    with hub_server(Hub()) as hub:
        done = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub, token="hf_wrong"))
        assert done.returncode == 2, done.stderr
        assert "the hub refuses (HTTP 403)" in done.stderr
        hub.status = 400
        broken = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub))
    assert broken.returncode == 3, broken.stderr
    gone = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub))
    assert gone.returncode == 3, gone.stderr
    offline = ilk(dataset, "--push", "ann/boats", **home(tmp_path, hub), HF_HUB_OFFLINE="1")
    assert offline.returncode == 2, offline.stderr
    for one in (done, broken, gone, offline):
        assert "Traceback" not in one.stderr
