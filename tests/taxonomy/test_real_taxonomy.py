"""The same code on leaves and documents that other people wrote."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from leaf_files import found_in

from instructlab_like.checking.leaf import Options
from instructlab_like.records import Knowledge
from instructlab_like.taxonomy.chunks import count, cut
from instructlab_like.taxonomy.documents import Document, fetch
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.taxonomy.repository import Repository, enclosing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("ILK_REAL_INPUT"), reason="ILK_REAL_INPUT names no folder of real leaves"),
]


@pytest.fixture
def real() -> Path:
    return Path(os.environ["ILK_REAL_INPUT"])


@pytest.fixture
def mirrors(real: Path) -> dict[str, str]:
    documents = real / "documents"
    return {
        "https://github.com/juliadenham/Summit_knowledge.git": str(documents / "Summit_knowledge.bundle"),
        "https://github.com/RedHatOfficial/rhelai-taxonomy-data": str(documents / "rhelai-taxonomy-data.bundle"),
        "https://github.com/luke-inglis/il-anatomy-knowledge": str(documents / "il-anatomy-knowledge.bundle"),
    }


def test_all_real_leaves_are_read_and_pass_the_check(real: Path) -> None:
    leaves, broken = read_tree(real / "taxonomy")
    assert len(leaves) == 19
    assert broken == []
    assert [
        finding
        for finding in found_in(real / "taxonomy", options=Options(profile="compatible"))
        if finding.severity == "error"
    ] == []


def test_the_documents_of_real_leaves_come_out_of_their_bundles(
    real: Path, mirrors: dict[str, str], tmp_path: Path
) -> None:
    leaves, _ = read_tree(real / "taxonomy", ["knowledge"])
    found = {}
    for leaf in leaves:
        assert isinstance(leaf, Knowledge)
        (document,) = fetch(leaf, real / "taxonomy", mirrors=mirrors, cache=tmp_path)
        found[document.path] = len(cut(document, words=200))
    assert set(found) == {"chickadee.md", "phoenix.md", "swifties.md"}
    assert all(number > 10 for number in found.values())
    assert len(list((tmp_path / "documents").iterdir())) == 2


def articles(bundle: Path, folder: Path) -> list[Document]:
    subprocess.run(["git", "clone", "--quiet", "--bare", str(bundle), str(folder)], check=True)
    with enclosing(folder) as repository:
        assert isinstance(repository, Repository)
        commit = repository.commit("HEAD")
        assert commit is not None
        return [
            Document(
                repo="x",
                commit=commit,
                path=entry.path,
                blob=entry.blob,
                data=repository.blob(entry.blob, largest=10**7),
            )
            for entry in repository.entries(commit)
            if entry.path.endswith(".md")
        ]


@pytest.mark.parametrize("name", ["Summit_knowledge", "rhelai-taxonomy-data", "il-anatomy-knowledge"])
def test_real_articles_are_cut_exactly(real: Path, tmp_path: Path, name: str) -> None:
    found = articles(real / "documents" / f"{name}.bundle", tmp_path / "clone")
    assert found
    for document in found:
        chunks = cut(document, words=200)
        borders = [border for chunk in chunks for border in (chunk.start, chunk.end)]
        assert borders == sorted(borders)
        for chunk in chunks:
            assert document.data[chunk.start : chunk.end].decode() == chunk.text
            assert count(chunk.text) <= 200
        kept = sum(chunk.end - chunk.start for chunk in chunks)
        assert kept > 0.8 * len(document.data) or document.path == "README.md"
