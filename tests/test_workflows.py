"""The workflows that `ilk init` brings: what they may do, and how the one that may write treats what it is given."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from leaf_files import commit_all, git, skill, write_leaf

FOLDER = Path(__file__).parents[1] / "docs" / "workspace" / ".github" / "workflows"
MARKER = "<!-- ilk-preview -->"
SHA = "ab" * 20
TOKEN = "token-that-only-the-api-may-see"

Step = dict[str, object]


def workflow(name: str) -> dict[str, object]:
    # "on" is a boolean to YAML 1.1, and a key to GitHub.
    read = yaml.safe_load((FOLDER / name).read_text())
    return {("on" if key is True else key): value for key, value in read.items()}


def steps(name: str) -> list[Step]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def environment(name: str) -> dict[str, str]:
    return {key: value for step in steps(name) for key, value in step.get("env", {}).items()}


# --- what they may do -------------------------------------------------------------------------------------------


def test_there_is_a_workflow_that_checks_and_one_that_comments() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == ["check.yml", "comment.yml"]


def test_the_check_runs_on_pull_requests_with_a_token_that_only_reads() -> None:
    check = workflow("check.yml")
    assert check["on"] == {"pull_request": None}
    assert check["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in check["jobs"].values())


def test_nothing_secret_is_in_reach_of_the_check() -> None:
    text = (FOLDER / "check.yml").read_text()
    assert not re.search(r"\$\{\{[^}]*\b(secrets|github\.token|vars)\b", text)
    assert "pull_request_target" not in text
    assert {key: value for key, value in environment("check.yml").items() if "token" in f"{key}{value}".lower()} == {}


def test_the_comment_follows_the_check_and_may_only_comment() -> None:
    comment = workflow("comment.yml")
    assert comment["on"] == {"workflow_run": {"workflows": [workflow("check.yml")["name"]], "types": ["completed"]}}
    assert comment["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert all("permissions" not in job for job in comment["jobs"].values())
    assert all("event == 'pull_request'" in job["if"] for job in comment["jobs"].values())


def test_the_comment_runs_nothing_of_the_pull_request() -> None:
    assert [step["uses"] for step in steps("comment.yml") if "uses" in step] == []
    scripts = [step["run"] for step in steps("comment.yml")]
    assert not re.search(r"checkout|git |subprocess|os\.system|eval|exec|import_module|pip|extract", "".join(scripts))


@pytest.mark.parametrize("name", ["check.yml", "comment.yml"])
def test_no_value_is_pasted_into_a_script(name: str) -> None:
    scripts = [step["run"] for step in steps(name) if "run" in step]
    scripts += [step["with"]["script"] for step in steps(name) if "script" in step.get("with", {})]
    assert scripts
    assert not any("${{" in script for script in scripts)


@pytest.mark.parametrize("name", ["check.yml", "comment.yml"])
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(name: str) -> None:
    for line in (FOLDER / name).read_text().splitlines():
        if "uses:" in line:
            assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_checkout_leaves_no_token_behind_and_brings_the_base() -> None:
    [checkout] = [step for step in steps("check.yml") if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


@pytest.mark.parametrize("name", ["check.yml", "comment.yml"])
def test_every_job_ends_by_itself(name: str) -> None:
    assert all(job["timeout-minutes"] <= 20 for job in workflow(name)["jobs"].values())


def test_the_check_calls_what_there_is() -> None:
    commands = re.findall(
        r"^ilk (\w+) (.*)$", "\n".join(step.get("run", "") for step in steps("check.yml")), re.MULTILINE
    )
    assert [command for command, _ in commands] == ["check", "preview"]
    for command, options in commands:
        helped = subprocess.run(
            [sys.executable, "-m", "instructlab_like", command, "--help"], capture_output=True, text=True, check=True
        )
        assert [option for option in re.findall(r"--[a-z-]+", options) if option not in helped.stdout] == []


# --- how the comment treats what it is given --------------------------------------------------------------------


def script() -> str:
    [step] = steps("comment.yml")
    assert step["shell"] == "python3 -I {0}"
    return str(step["run"])


def packed(files: dict[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return kept.getvalue()


PREVIEW = f"{MARKER}\n## Preview\n\nOne leaf, 12 samples.\n"
FILES = {"number": b"7\n", "preview.md": PREVIEW.encode()}
PULL = {"number": 7, "state": "open", "head": {"sha": SHA, "ref": "tides", "repo": {"id": 41}}}
RUN = {"id": 1001, "head_sha": SHA, "head_branch": "tides", "head_repository": {"id": 41}}
Comment = dict[str, object]


def written(number: int, author: str, body: str) -> Comment:
    return {"id": number, "user": {"login": author}, "body": body}


@dataclass
class Hub:
    """What GitHub would answer, and what it was told."""

    archive: bytes = field(default_factory=lambda: packed(FILES))
    artefacts: list[dict[str, object]] | None = None
    pulls: dict[int, dict[str, object]] = field(default_factory=lambda: {7: PULL})
    comments: list[Comment] = field(default_factory=list)
    told: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, body of the comment
    api: str = ""
    storage: str = ""
    leaked: list[str] = field(default_factory=list)  # headers with the token that the storage saw
    denied: list[str] = field(default_factory=list)  # requests to the API without it

    def answer(self, path: str, query: dict[str, list[str]]) -> object | None:
        if path == "/actions/runs/1001/artifacts":
            default = [{"id": 5, "name": "preview", "expired": False, "size_in_bytes": len(self.archive)}]
            return {"artifacts": default if self.artefacts is None else self.artefacts}
        if found := re.fullmatch(r"/pulls/(\d+)", path):
            return self.pulls.get(int(found.group(1)))
        if path == "/issues/7/comments":
            first = (int(query["page"][0]) - 1) * 100
            return self.comments[first : first + 100]
        return None


class Api(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        path = place.path.removeprefix("/repos/org/leaves")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.hub.denied.append(path)
        if re.fullmatch(r"/actions/artifacts/\d+/zip", path):
            self.send_response(302)
            self.send_header("Location", f"{self.hub.storage}{path}?signature=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.reply(self.hub.answer(path, parse_qs(place.query)))

    def do_POST(self) -> None:
        self.take("POST")

    def do_PATCH(self) -> None:
        self.take("PATCH")

    def take(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.hub.told.append((method, self.path.removeprefix("/repos/org/leaves"), body["body"]))
        self.reply({"id": 1})

    def reply(self, value: object | None) -> None:
        data = json.dumps(value).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Storage(Api):
    def do_GET(self) -> None:
        self.hub.leaked += [value for value in self.headers.values() if TOKEN in value]
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.hub.archive)))
        self.end_headers()
        # The script hangs up when it has read as much as it is willing to.
        try:
            self.wfile.write(self.hub.archive)
        except ConnectionError:
            pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    told = Hub()
    servers = []
    for kind in (Api, Storage):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (kind,), {"hub": told}))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
    told.api, told.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    yield told
    for server in servers:
        server.shutdown()
        server.server_close()


def post(hub: Hub, folder: Path, **run: object) -> subprocess.CompletedProcess[str]:
    """Run the workflow's script as the runner does."""
    (folder / "script.py").write_text(script())
    (folder / "event.json").write_text(json.dumps({"workflow_run": RUN | run}))
    variables = {
        "GITHUB_API_URL": hub.api,
        "GITHUB_REPOSITORY": "org/leaves",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "TOKEN": TOKEN,
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-I", str(folder / "script.py")]
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def refused(hub: Hub, folder: Path, reason: str, **run: object) -> None:
    """Nothing is posted, the job fails, and its only words are ours."""
    done = post(hub, folder, **run)
    assert (done.returncode, done.stdout, done.stderr) == (1, f"::error::{reason}\n", "")
    assert hub.told == []


def left(hub: Hub, folder: Path, reason: str, **run: object) -> None:
    """Nothing is posted, and there is nothing wrong with that."""
    done = post(hub, folder, **run)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"::notice::{reason}\n", "")
    assert hub.told == []


def test_a_first_preview_is_posted(hub: Hub, tmp_path: Path) -> None:
    done = post(hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [(method, path, body)] = hub.told
    assert (method, path) == ("POST", "/issues/7/comments")
    assert body.startswith(f"{MARKER}\n")
    assert body.endswith("## Preview\n\nOne leaf, 12 samples.\n")
    assert SHA[:12] in body


def test_what_the_check_writes_is_what_the_comment_takes(hub: Hub, tmp_path: Path) -> None:
    """The commands of check.yml in a repository with a branch, then the script of comment.yml on what they left."""
    made = tmp_path / "leaves"
    write_leaf(made / "taxonomy", "compositional_skills/sums", skill())
    git(made, "init", "--quiet")
    commit_all(made)
    git(made, "update-ref", "refs/remotes/origin/main", "HEAD")
    # What a contributor writes: a call to everybody, a false marker, and an emoji of four bytes.
    seeds = skill(grounded=True)
    seeds["task_description"] = f"Hello @org/team, see #1 {MARKER} \U0001f30a" * 20
    write_leaf(made / "taxonomy", "compositional_skills/office/more_sums", seeds)
    commit_all(made)
    preview = tmp_path / "preview.md"
    step = next(step for step in steps("check.yml") if "ilk preview" in str(step.get("run")))
    command = re.search(r"ilk (preview .*)", str(step["run"]))
    assert command
    words = command.group(1).replace("$RUNNER_TEMP/comment/preview.md", str(preview)).replace("$BASE", "main")
    ilk = [sys.executable, "-m", "instructlab_like", *shlex.split(words)]
    done = subprocess.run(ilk, cwd=made, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    hub.archive = packed(FILES | {"preview.md": preview.read_bytes()})
    done = post(hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [(_, _, body)] = hub.told
    assert "more_sums" in body
    assert not re.search(r"@\w", body)


def test_a_later_preview_takes_the_place_of_the_first(hub: Hub, tmp_path: Path) -> None:
    others = [written(number, "ann", f"Comment {number}") for number in range(120)]
    impostor = written(900, "mallory", f"{MARKER}\nNot the workflow's.")
    quoting = written(901, "github-actions[bot]", f"See {MARKER}")
    hub.comments = [impostor, quoting, *others, written(902, "github-actions[bot]", f"{MARKER}\nOld.")]
    done = post(hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(method, path) for method, path, _ in hub.told] == [("PATCH", "/issues/comments/902")]


def test_the_token_is_shown_to_the_api_alone(hub: Hub, tmp_path: Path) -> None:
    assert post(hub, tmp_path).returncode == 0
    assert hub.leaked == []
    assert hub.denied == []


def test_of_several_attempts_the_newest_counts(hub: Hub, tmp_path: Path) -> None:
    facts = {"name": "preview", "size_in_bytes": 300}
    hub.artefacts = [{"id": 5, "expired": True} | facts, {"id": 9, "expired": True} | facts]
    left(hub, tmp_path, "the check left no preview")
    hub.artefacts.append({"id": 8, "expired": False} | facts)
    assert post(hub, tmp_path).returncode == 0


def test_nobody_is_called_by_what_a_leaf_says(hub: Hub, tmp_path: Path) -> None:
    hub.archive = packed(
        FILES | {"preview.md": f"{PREVIEW}@org/team and @ann, see #12 and [a](page.md#part)\n".encode()}
    )
    assert post(hub, tmp_path).returncode == 0
    [(_, _, body)] = hub.told
    assert not re.search(r"@\w|#\d", body)
    assert "[a](page.md#part)" in body


def test_a_check_without_a_preview_is_nothing_to_post(hub: Hub, tmp_path: Path) -> None:
    hub.artefacts = []
    left(hub, tmp_path, "the check left no preview")
    hub.artefacts = None
    hub.archive = packed({"number": b"7\n"})
    left(hub, tmp_path, "the check came to no preview")


def test_a_pull_request_that_went_on_waits_for_its_next_check(hub: Hub, tmp_path: Path) -> None:
    hub.pulls[7] = PULL | {"head": PULL["head"] | {"sha": "cd" * 20}}
    left(hub, tmp_path, "the pull request has a newer commit")
    hub.pulls[7] = PULL | {"state": "closed"}
    left(hub, tmp_path, "the pull request is closed")


@pytest.mark.parametrize(
    "number",
    [b"", b"0\n", b"-7\n", b"7\n8\n", b"7/../8\n", b"07\n", b"7 \n", b"7e1\n", "٧\n".encode(), b"1" * 11, b"$(id)\n"],
)
def test_what_is_no_number_is_refused(hub: Hub, tmp_path: Path, number: bytes) -> None:
    hub.archive = packed(FILES | {"number": number})
    refused(hub, tmp_path, "the number of the pull request is none")


@pytest.mark.parametrize(
    "head",
    [
        {"sha": SHA, "ref": "tides", "repo": {"id": 42}},  # the same commit in somebody else's fork
        {"sha": SHA, "ref": "other", "repo": {"id": 41}},
        {"sha": "cd" * 20, "ref": "main", "repo": {"id": 1}},
        {"sha": SHA, "ref": "tides", "repo": None},  # the fork was deleted
    ],
)
def test_a_number_that_names_another_pull_request_is_refused(hub: Hub, tmp_path: Path, head: object) -> None:
    hub.pulls[7] = PULL | {"head": head}
    refused(hub, tmp_path, "the pull request is not the one that was checked")


def test_a_number_that_names_no_pull_request_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.archive = packed(FILES | {"number": b"8\n"})
    refused(hub, tmp_path, "there is no such pull request")


@pytest.mark.parametrize(
    ("preview", "reason"),
    [
        (b"## Preview\n", "the preview does not begin with the marker"),
        (b"", "the preview does not begin with the marker"),
        (b"\n" + PREVIEW.encode(), "the preview does not begin with the marker"),
        (b"\xef\xbb\xbf" + PREVIEW.encode(), "the preview does not begin with the marker"),
        (MARKER.encode() + b" @ann\n", "the preview does not begin with the marker"),
        (PREVIEW.encode() + b"\xff", "preview.md is not UTF-8"),
        (PREVIEW.encode() + b"\x1b[2J", "the preview holds control characters"),
        (PREVIEW.encode() + b"\x00", "the preview holds control characters"),
        (PREVIEW.encode() + b"x" * 65_000, "the preview is too long"),
        (PREVIEW.encode() + b"@a" * 30_000, "the preview is too long"),
        (PREVIEW.encode() + b"x" * 250_000, "preview.md is too large"),
    ],
)
def test_a_preview_that_is_none_is_refused(hub: Hub, tmp_path: Path, preview: bytes, reason: str) -> None:
    hub.archive = packed(FILES | {"preview.md": preview})
    refused(hub, tmp_path, reason)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "more.md", "preview.md/", "PREVIEW.md"])
def test_an_artefact_with_other_files_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.archive = packed({**FILES, name: b"evil"})
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    refused(hub, tmp_path, "the artefact holds other files than number and preview.md")
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_artefact_with_a_file_twice_is_refused(hub: Hub, tmp_path: Path) -> None:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        for name in ("number", "preview.md", "preview.md"):
            archive.writestr(name, FILES[name])
    hub.archive = kept.getvalue()
    refused(hub, tmp_path, "the artefact holds other files than number and preview.md")


def test_an_artefact_that_unpacks_to_far_more_than_it_is_gets_refused(hub: Hub, tmp_path: Path) -> None:
    hub.archive = packed(FILES | {"preview.md": PREVIEW.encode() + b"x" * 50_000_000})
    assert len(hub.archive) < 100_000
    refused(hub, tmp_path, "preview.md is too large")


def test_an_artefact_that_lies_about_its_size_is_refused(hub: Hub, tmp_path: Path) -> None:
    data = packed(FILES | {"preview.md": PREVIEW.encode() + b"x" * 1_000_000})
    true_size = struct.pack("<L", len(PREVIEW.encode()) + 1_000_000)
    assert true_size in data
    hub.archive = data.replace(true_size, struct.pack("<L", 100))
    refused(hub, tmp_path, "the artefact is no zip file that can be read")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip file", packed(FILES)[:-30]])
def test_an_artefact_that_is_no_zip_file_is_refused(hub: Hub, tmp_path: Path, data: bytes) -> None:
    hub.archive = data
    refused(hub, tmp_path, "the artefact is no zip file that can be read")


def test_an_artefact_that_is_damaged_is_refused(hub: Hub, tmp_path: Path) -> None:
    data = bytearray(packed(FILES))
    for place in range(data.index(b"preview.md") + 12, data.index(b"preview.md") + 40):
        data[place] ^= 0xFF
    hub.archive = bytes(data)
    refused(hub, tmp_path, "the artefact is no zip file that can be read")


def test_an_artefact_is_not_read_further_than_allowed(hub: Hub, tmp_path: Path) -> None:
    hub.archive = os.urandom(3_000_000)
    refused(hub, tmp_path, "the artefact is too large")
    hub.artefacts = [{"id": 5, "name": "preview", "expired": False, "size_in_bytes": 1}]
    refused(hub, tmp_path, "the artefact is too large")
