"""Files and folders that are not what their names say: none is waited for, followed or read whole, and none shows a
traceback. The commands run as a user runs them, and say how much memory they took.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from leaf_files import commit_all, dumped, git, knowledge, open_descriptors, skill, write_leaf

from instructlab_like.errors import DocumentError, InputError
from instructlab_like.printable import escaped, is_plain
from instructlab_like.records import Knowledge
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.taxonomy.read import read_leaf, read_tree
from instructlab_like.taxonomy.tree import DEEPEST, chosen, companions, content, leaf_paths, located, read_files

SECRET = "License of the work: the secret\n"
SPARSE = 5 * 2**30  # bytes that no disk holds
MEMORY = 200_000  # KB


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    printed: str
    memory: int  # KB


# A process counts as its own the memory of the one that started it, so a small one has to: this process may be large.
MEASURE = """
import os, sys
child = os.posix_spawn(sys.executable, [sys.executable, "-m", "instructlab_like", *sys.argv[2:]], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def ilk(*words: str | bytes, cwd: Path) -> Ended:
    """A command with its peak memory; whatever it prints must be text."""
    memory = cwd.parent / "memory"
    with subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(memory), *words],
        cwd=cwd,
        env=os.environ | {"ILK_CACHE": str(cwd.parent / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        printed = child.stdout.read().decode("utf-8")
    assert "Traceback" not in printed, printed
    assert all(line.isprintable() for line in printed.split("\n")), printed
    return Ended(child.returncode, printed, int(memory.read_text()))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(SECRET)
    root = tmp_path / "tree"
    root.mkdir()
    return root


def deep(root: Path, name: str, depth: int) -> None:
    """Folders in folders, further than a path can name."""
    above = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=above)
        inner = os.open(name, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = inner
    with os.fdopen(os.open("qna.yaml", os.O_CREAT | os.O_WRONLY, dir_fd=above), "w") as file:
        file.write(dumped(skill()))
    os.close(above)


# --- qna.yaml that is no file ------------------------------------------------------------------------------------


def bound(path: Path) -> None:
    """A socket; its address may not be as long as a path."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is not a regular file"),
    "folder": (Path.mkdir, "is not a regular file"),
    "socket": (bound, "is not a regular file"),
    "link to a file": (lambda path: path.symlink_to("../../../secret.txt"), "is a link"),
    "link to a password": (lambda path: path.symlink_to("/etc/passwd"), "is a link"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a link"),
    "link to itself": (lambda path: path.symlink_to(path.name), "is a link"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "is a link"),
    "link to a folder": (lambda path: path.symlink_to("/"), "is a link"),
    "link to a good leaf": (lambda path: path.symlink_to("../good/qna.yaml"), "is a link"),
    "without end": (sparse, "is larger than 1,000,000 bytes"),
}


@pytest.mark.parametrize("file", ["qna.yaml", "attribution.txt", "heldout.yaml", "simulation.yaml"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_read(tree: Path, kind: str, file: str) -> None:
    make, reason = KINDS[kind]
    write_leaf(tree, "compositional_skills/good", skill())
    folder = write_leaf(tree, "compositional_skills/odd", skill())
    (folder / file).unlink(missing_ok=True)
    make(folder / file)
    descriptors = open_descriptors()
    places, strays = located([tree])
    assert [place.path for place in places] == ["compositional_skills/good", "compositional_skills/odd"]
    assert strays == []
    files = read_files(places[1])
    assert {name: str(error.what) for name, error in files.refused.items()} == {file: reason}
    assert file not in files.own
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("command", ["check", "generate"])
def test_the_commands_name_every_such_file(tree: Path, command: str) -> None:
    for kind, (make, _) in KINDS.items():
        folder = tree / "compositional_skills" / kind.replace(" ", "_")
        folder.mkdir(parents=True)
        make(folder / "qna.yaml")
    found = ilk(command, *(["."] if command == "check" else ["--taxonomy", "."]), cwd=tree)
    assert found.code == 2
    assert found.memory < MEMORY
    assert "root:" not in found.printed
    for kind, (_, reason) in KINDS.items():
        line = next(line for line in found.printed.splitlines() if f"/{kind.replace(' ', '_')}/qna.yaml:1:1" in line)
        assert reason in line


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    for name in ("zero", "null", "tty", "full"):
        if Path("/dev", name).exists():
            with pytest.raises(InputError, match="is not a regular file"):
                content(Path("/dev"), name)


def test_a_file_that_is_exchanged_for_a_pipe_or_link_meanwhile_is_not_read(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the file and its opening, as whoever can write to the tree may try."""
    looked_at = os.stat

    def exchanged(make: Callable[[Path], object]) -> Callable[..., os.stat_result]:
        def stat(path: object, **told: object) -> os.stat_result:
            facts = looked_at(path, **told)  # type: ignore[arg-type, call-overload]
            if path == "x.md":
                (tree / "x.md").unlink()
                make(tree / "x.md")
            return facts

        return stat

    for kind in ("pipe", "link to a file", "without end"):
        make, _ = KINDS[kind]
        (tree / "x.md").unlink(missing_ok=True)
        (tree / "x.md").write_text("text")
        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", exchanged(make))
            with pytest.raises(InputError, match=r"is not a regular file|is a link|is larger than"):
                content(tree, "x.md")


# --- ways out of the tree ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["knowledge/linked", "knowledge/linked/leaf", "knowledge/linked/leaf/qna.yaml"])
def test_a_link_below_the_root_is_not_entered_even_when_it_is_named(tree: Path, tmp_path: Path, given: str) -> None:
    write_leaf(tmp_path / "outside", "leaf", knowledge())
    write_leaf(tree, "knowledge/good", knowledge())
    (tree / "knowledge" / "linked").symlink_to(tmp_path / "outside")
    places, strays = located([tree / given])
    assert places == []
    assert [(stray.code, stray.shown) for stray in strays] == [("link", str(tree / given))]
    with pytest.raises(InputError, match=r"^.*lies behind a link: linked"):
        content(tree, "knowledge/linked/leaf/qna.yaml")
    assert leaf_paths(tree) == ["knowledge/good"]


def test_a_tree_that_is_itself_reached_by_a_link_is_read(tree: Path, tmp_path: Path) -> None:
    """Where the user keeps the tree is the user's own matter."""
    write_leaf(tree, "compositional_skills/good", skill())
    link = tmp_path / "link"
    link.symlink_to(tree)
    places, strays = located([link])
    assert ([place.path for place in places], strays) == (["compositional_skills/good"], [])
    assert "qna.yaml" in read_files(places[0]).own
    places, strays = located([link / "compositional_skills" / "good"])
    assert ([place.path for place in places], strays) == (["compositional_skills/good"], [])


@pytest.mark.parametrize("name", ["../secret.txt", "knowledge/../../secret.txt", "knowledge/.."])
def test_no_name_leads_out_of_the_tree(tree: Path, name: str) -> None:
    write_leaf(tree, "knowledge/good", knowledge())
    with pytest.raises(InputError):
        content(tree, name)


def test_links_that_go_in_circles_end(tree: Path) -> None:
    folder = write_leaf(tree, "knowledge/good", knowledge())
    (folder / "round").symlink_to(tree)
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    places, strays = located([tree])
    assert [place.path for place in places] == ["knowledge/good"]
    assert [stray.code for stray in strays] == ["link"]
    assert companions(folder) == []


def leaf_beside(tree: Path, *patterns: str) -> Knowledge:
    write_leaf(tree, "knowledge/good", knowledge(repo=".", commit="HEAD", patterns=list(patterns)))
    leaf = read_leaf(tree, Path("knowledge/good"))
    assert isinstance(leaf, Knowledge)
    return leaf


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "without end"])
def test_a_document_beside_the_leaf_is_a_regular_file(tree: Path, tmp_path: Path, kind: str) -> None:
    leaf = leaf_beside(tree, "*.md")
    make, _ = KINDS[kind]
    make(tree / "knowledge" / "good" / "tides.md")
    with pytest.raises(DocumentError, match="matches no file; there are: none"):
        fetch(leaf, tree, mirrors={}, cache=tmp_path / "cache")


def test_a_document_beside_the_leaf_is_never_read_whole_when_it_is_large(tree: Path, tmp_path: Path) -> None:
    leaf = leaf_beside(tree, "*.md")
    sparse(tree / "knowledge" / "good" / "tides.md")
    with pytest.raises(DocumentError, match=r"good/tides\.md is larger than 10,000,000 bytes\n  → split it"):
        fetch(leaf, tree, mirrors={}, cache=tmp_path / "cache")
    found = ilk("check", ".", cwd=tree)
    assert found.memory < MEMORY


def test_a_document_that_becomes_a_link_after_it_was_listed_is_not_read(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = leaf_beside(tree, "more/*.md")
    folder = tree / "knowledge" / "good"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "tides.md").write_text(SECRET)
    (folder / "more").symlink_to(outside)
    monkeypatch.setattr("instructlab_like.taxonomy.documents.companions", lambda _: ["more/tides.md"])
    with pytest.raises(DocumentError, match=r"more/tides\.md lies behind a link: more"):
        fetch(leaf, tree, mirrors={}, cache=tmp_path / "cache")


# --- names ---------------------------------------------------------------------------------------------------------

ODD = [b"\xff\xfe", b"a\nb", b"a\rb", b"a\x1b[2Jb", b"a\x07b", b"a\x7fb", "\u202eb".encode(), "a\u2028b".encode()]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_with_an_odd_name_is_no_leaf_and_is_named_by_escapes(tree: Path, name: bytes) -> None:
    write_leaf(tree, "knowledge/good", knowledge())
    odd = tree / "knowledge" / os.fsdecode(name)
    (odd / "inner").mkdir(parents=True)
    for folder in (odd, odd / "inner"):
        (folder / "qna.yaml").write_text(dumped(knowledge()))
    for given in (tree, tree / "knowledge", odd, odd / "inner"):
        places, strays = located([given])
        assert [place.path for place in places] == (["knowledge/good"] if given in (tree, tree / "knowledge") else [])
        assert [stray.code for stray in strays] == ["odd-name"]
        assert strays[0].shown.isprintable()
    with pytest.raises(InputError, match="rename it") as caught:
        chosen(tree, [])
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert chosen(tree, ["knowledge/good"]) == ["knowledge/good"]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\n\x1b[2Jb"])
def test_the_commands_show_odd_names_as_text(tree: Path, name: bytes) -> None:
    folder = write_leaf(tree, "knowledge/good", knowledge(repo=".", commit="HEAD"))
    git(tree, "init", "--quiet")
    commit_all(tree)
    (folder / os.fsdecode(name + b".md")).write_text("# Tides\n")
    odd = tree / "knowledge" / os.fsdecode(name)
    odd.mkdir()
    (odd / "qna.yaml").write_text(dumped(knowledge()))
    checked = ilk("check", ".", cwd=tree)
    assert checked.code == 2
    assert f"knowledge/{escaped(os.fsdecode(name))}:1:1: error [odd-name]" in checked.printed
    assert ilk("check", os.fsencode(odd), cwd=tree).code == 2
    assert ilk("generate", "--taxonomy", ".", cwd=tree).code == 2
    assert ilk("check", "--format", "json", ".", cwd=tree).code == 2
    assert ilk("diff", "--taxonomy", ".", cwd=tree).code == 0


def test_odd_names_of_documents_beside_the_leaf_are_refused(tree: Path, tmp_path: Path) -> None:
    leaf = leaf_beside(tree, "*.md")
    (tree / "knowledge" / "good" / os.fsdecode(b"\xff\x1b.md")).write_text("# Tides\n")
    with pytest.raises(DocumentError, match=r"\\xff\\x1b\.md: no file should have such a name"):
        fetch(leaf, tree, mirrors={}, cache=tmp_path / "cache")


def test_plain_text_of_any_script_is_left_as_it_is() -> None:
    for name in ("tides", "Gezeiten für alle", "潮汐", "المد والجزر", "a-b_c.d", "🌊"):
        assert is_plain(name)
        assert escaped(name) == name
    assert escaped("a\nb\x1b\u202e\udcff") == r"a\nb\x1b\u202e\xff"


def test_two_folders_that_are_one_on_other_systems_are_told(tree: Path) -> None:
    write_leaf(tree, "knowledge/tides", knowledge())
    write_leaf(tree, "knowledge/Tides", knowledge())
    write_leaf(tree, "knowledge/caf\u00e9", knowledge())
    write_leaf(tree, "knowledge/cafe\u0301", knowledge())
    _, strays = located([tree])
    assert sorted((stray.code, Path(stray.shown).name) for stray in strays) == [
        ("case-collision", "caf\u00e9"),
        ("case-collision", "tides"),
    ]


def test_a_qna_in_other_letters_beside_the_leafs_own_is_told(tree: Path) -> None:
    folder = write_leaf(tree, "compositional_skills/sums", skill())
    (folder / "QNA.yaml").write_text("x: 1\n")
    places, strays = located([tree])
    assert len(places) == 1
    assert [(stray.code, Path(stray.shown).name) for stray in strays] == [("wrong-name", "QNA.yaml")]


# --- how much ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "depth", "reason"),
    [
        ("d" * 200, 30, "it cannot be read: File name too long"),
        ("d", 500, f"it lies deeper than {DEEPEST} folders"),
    ],
)
def test_folders_without_end_are_told_and_the_rest_is_read(tree: Path, name: str, depth: int, reason: str) -> None:
    write_leaf(tree, "compositional_skills/sums", skill())
    deep(tree / "compositional_skills", name, depth)
    found = ilk("check", ".", cwd=tree)
    assert found.code == 2
    assert reason in found.printed
    assert "1 leaves, 1 errors, 0 warnings" in found.printed
    assert found.memory < MEMORY
    assert leaf_paths(tree) == ["compositional_skills/sums"]
    with pytest.raises(InputError, match=reason):
        read_tree(tree)
    leaves, _ = read_tree(tree, ["compositional_skills/sums"])
    assert len(leaves) == 1


def test_a_folder_that_may_not_be_read_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The permissions are played, for whoever runs the tests may be allowed everything."""
    write_leaf(tree, "compositional_skills/sums", skill())
    write_leaf(tree, "compositional_skills/locked", skill())
    scan, opened = os.scandir, os.open

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def refused(path: object, *arguments: object, **told: object) -> int:
        if path == "qna.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **told)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        places, strays = located([tree])
    assert [place.path for place in places] == ["compositional_skills/sums"]
    assert [(stray.code, stray.message) for stray in strays] == [("unreadable", "it cannot be read: Permission denied")]
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        files = read_files(places[0])
    assert files.refused["qna.yaml"].what == "cannot be read: Permission denied"
    assert "attribution.txt" in files.own


def test_many_files_are_only_listed(tree: Path) -> None:
    folder = write_leaf(tree, "knowledge/good", knowledge(repo=".", commit="HEAD"))
    for number in range(2_000):
        os.close(os.open(folder / f"{number}.md", os.O_CREAT))
    assert len(companions(folder)) == 2_000
    found = ilk("check", ".", cwd=tree)
    assert "1 leaves" in found.printed
    assert found.memory < MEMORY
