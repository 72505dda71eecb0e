"""What a stage reads of the tree: its leaves, the chunks of their documents, the licences that they state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from instructlab_like.console import warn
from instructlab_like.errors import DocumentError, InputError, position
from instructlab_like.generation.withheld import withheld
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Chunk, Knowledge, Leaf, digest, plain
from instructlab_like.stages.generating.parents import Earlier
from instructlab_like.stages.manifest import Shortfall
from instructlab_like.taxonomy.branches import Branches
from instructlab_like.taxonomy.chunks import cut
from instructlab_like.taxonomy.documents import fetch
from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.private import names
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.taxonomy.tree import ATTRIBUTION, PRIVATE, content
from instructlab_like.workspace import cache_dir

LICENCE = re.compile(r"(?im)^licen[cs]e of the work:[ \t]*(\S.*)$")


def read_leaves(root: Path, only: Sequence[str], without: Sequence[str] = ()) -> list[Leaf]:
    if not root.is_dir():
        raise InputError("there is no such taxonomy folder", where=str(root), fix="name it with --taxonomy DIR")
    leaves, broken = read_tree(root, only)
    if broken:
        for error in broken:
            warn(error.what)
        raise InputError(
            f"{len(broken)} of {len(leaves) + len(broken)} leaves cannot be read",
            where=str(root),
            fix=f"correct them (ilk check {root}), or name others with --leaf",
        )
    leaves = [leaf for leaf in leaves if leaf.path not in without]
    if not leaves:
        raise InputError("holds no leaf", where=str(root), fix="a leaf is a folder with a qna.yaml; ilk new makes one")
    return leaves


class Library:
    """The chunks of knowledge leaves, less those held out, read when they are wanted; remembers what cannot be had."""

    def __init__(self, root: Path, recipe: GenerateRecipe, earlier: Earlier | None = None) -> None:
        self.root, self.recipe = root, recipe
        self.earlier = earlier or Earlier(recipe.model_copy(update={"parents": (), "carry": ""}), (), ())
        self.branches = Branches(root, recipe.exclude)
        self.chunks: dict[str, list[Chunk]] = {}
        self.digests: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.withheld: dict[str, int] = {}  # how many chunks of a leaf are held out
        self.lacking: list[Shortfall] = []

    def count(self, leaf: Leaf) -> int | None:
        """How many chunks a leaf has, less those held out, once they were read."""
        return self.counts.get(leaf.path)

    def of(self, leaf: Leaf) -> Sequence[Chunk]:
        if not isinstance(leaf, Knowledge):
            return ()
        if leaf.path in self.chunks:
            return self.chunks.pop(leaf.path)
        chunks, lacking = read_chunks([leaf], self.root, self.recipe)
        if leaf.path not in self.digests:
            self.lacking += lacking
        every = chunks.get(leaf.path, [])
        held = withheld(every, leaf.seeds, share=self.recipe.hold_out, seed=self.recipe.seed)
        found = [chunk for chunk in every if chunk.id not in held]
        self.withheld[leaf.path] = len(every) - len(found)
        self.counts[leaf.path] = len(found)
        self.digests[leaf.path] = digest([plain(chunk) for chunk in found])
        return found

    def beside(self, leaf: Leaf) -> Sequence[Leaf]:
        """The leaves that share its branch, chosen for the run or not."""
        return self.branches.beside(leaf)

    def read(self, leaves: Iterable[Leaf]) -> None:
        """Read those that have not been read, and keep them at hand."""
        for leaf in leaves:
            if isinstance(leaf, Knowledge) and leaf.path not in self.digests:
                self.chunks[leaf.path] = list(self.of(leaf))


def read_chunks(
    leaves: Sequence[Leaf], root: Path, recipe: GenerateRecipe
) -> tuple[dict[str, list[Chunk]], list[Shortfall]]:
    """The chunks of every knowledge leaf by its path, and the leaves whose documents cannot be had."""
    chunks: dict[str, list[Chunk]] = {}
    lacking: list[Shortfall] = []
    for leaf in leaves:
        if not isinstance(leaf, Knowledge):
            continue
        try:
            documents = fetch(leaf, root, mirrors=recipe.mirrors, hosts=recipe.document_hosts, cache=cache_dir())
        except DocumentError as error:
            lacking.append(Shortfall(leaf=leaf.path, reason=str(error)))
            continue
        chunks[leaf.path] = [chunk for document in documents for chunk in cut(document, words=recipe.chunk_words)]
    return chunks, lacking


def marked_private(root: Path, leaves: Iterable[Leaf]) -> dict[str, tuple[str, ...]]:
    """The names in the leaves' private.txt, by leaf; raises InputError for a file that would hide less than it says."""
    marked: dict[str, tuple[str, ...]] = {}
    for leaf in leaves:
        data = content(root, f"{leaf.path}/{PRIVATE}")
        if data is None:
            continue
        found = Findings(f"{root}/{leaf.path}/{PRIVATE}")
        marked[leaf.path] = names(data, found)
        if found.broken:
            first = next(one for one in found.ordered if one.severity == "error")
            where = position(first.path, first.line, first.column)
            raise InputError(first.message, where=where, fix=first.fix)
    return marked


def licences(root: Path, leaves: Sequence[Leaf]) -> tuple[str, ...]:
    """What the leaves' attribution.txt state as "License of the work", each once, sorted."""
    found = set()
    for leaf in leaves:
        try:
            attribution = content(root, f"{leaf.path}/{ATTRIBUTION}") or b""
        except InputError:  # a link, or nothing to read: `ilk check` says so
            continue
        found |= set(LICENCE.findall(attribution.decode("utf-8", "replace")))
    return tuple(sorted(text.strip() for text in found))
