"""`ilk preview`: what a full run would make of the leaves that a branch changes, and what it would cost."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructlab_like.checking.forms.plain import json_text
from instructlab_like.console import say, warn, working
from instructlab_like.errors import InputError, StoppedError
from instructlab_like.generation.purse import Price
from instructlab_like.preview import comment, terminal
from instructlab_like.preview.facts import Preview, Shift
from instructlab_like.preview.former import own_documents
from instructlab_like.preview.shift import Census, Side, shift
from instructlab_like.preview.survey import Survey, survey
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Chunk, Knowledge, Leaf, plain
from instructlab_like.stages.contributing.trial import Documents, Trial
from instructlab_like.stages.filtering.sifting import not_checked
from instructlab_like.stages.library import read_chunks
from instructlab_like.stages.manifest import Shortfall
from instructlab_like.taxonomy.chunks import cut
from instructlab_like.taxonomy.past import Past, past
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.sources import HERE
from instructlab_like.taxonomy.tree import place_of
from instructlab_like.workspace import Run, write_whole

Form = Literal["text", "json", "markdown"]


@dataclass(frozen=True)
class Wish:
    """What the user asks of a preview beyond the recipe."""

    paths: Sequence[str] = ()  # the leaves to look at; none: those that differ from the base
    base: str | None = None  # a Git ref; None: the usual branch
    samples: int = 5  # shown of each leaf
    price: Price | None = None  # of a million tokens in and out


def preview(run: Run, recipe: GenerateRecipe, wish: Wish, *, form: Form = "text", output: Path | None = None) -> None:
    """Print a preview, or write it to a file. Answers of a teacher go to the run's ledger, where a full run finds them.

    Raises InputError for wrong input, and StoppedError after the preview when the teacher failed on the way.
    """
    with redirect_stdout(sys.stderr), working("preparing the preview"):  # standard output is the preview's alone
        told, stopped = look(run, recipe, wish)
    text = {"text": terminal.text, "json": as_json, "markdown": comment.markdown}[form](told)
    if output is None:
        say(text)
    else:
        keep(output, f"{text}\n")
        warn(f"preview: {len(told.leaves)} leaves → {output}")
    if stopped is not None:
        raise stopped


def keep(output: Path, text: str) -> None:
    try:
        write_whole(output, text.encode())
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        fix = "name a file in a folder that can be written"
        raise InputError(f"cannot be written: {error.strerror}", where=str(output), fix=fix) from error


def as_json(told: Preview) -> str:
    return json_text(plain(told))


def look(run: Run, recipe: GenerateRecipe, wish: Wish) -> tuple[Preview, StoppedError | None]:
    """The preview, and the failure of the teacher, if it failed before all was answered."""
    root = Path(recipe.taxonomy).expanduser()
    with before_of(root, wish) as (before, uncompared):
        tree = survey(root, before, wish.paths)
        documents = read_documents(tree, recipe)
        trial = Trial(tree, documents, recipe, run, samples=wish.samples, price=wish.price)
        trial.make()
        shifted = mix_shift(tree, documents, before, recipe, trial.census) if before else None
    removed = tuple(path for path, change in tree.changes.items() if change.change == "removed")
    told = Preview(
        base=before.base if before else None,
        settings=trial.settings(),
        leaves=tuple(trial.told()),
        removed=removed,
        teacher=trial.cost(),
        shift=shifted,
        waterfall=trial.waterfall,
        not_checked=not_checked(recipe.filters),
        notes=(*uncompared, *tree.notes, *trial.notes),
    )
    return told, trial.stopped


@contextmanager
def before_of(root: Path, wish: Wish) -> Iterator[tuple[Past | None, tuple[str, ...]]]:
    """The tree as it was; where it cannot be had and leaves are named, None and why: the preview can do without it."""
    with ExitStack() as stack:
        try:
            before = stack.enter_context(past(root, wish.base))
        except InputError as error:
            if not wish.paths or wish.base is not None or not root.is_dir():
                raise
            why = f"compared with no base, so the shift of the mix is unknown: {error.where} {error.what}"
            yield None, (why,)
            return
        yield before, ()


# --- documents --------------------------------------------------------------------------------------------------

_NOWHERE = os.devnull  # stands for a repository that may be read from the cache alone


def read_documents(tree: Survey, recipe: GenerateRecipe) -> Documents:
    """The subjects' documents, fetched if need be; the other leaves' as far as they are at hand."""
    subjects = [leaf for leaf in tree.sound if isinstance(leaf, Knowledge)]
    names = {leaf.path for leaf in subjects}
    others = [leaf for leaf in tree.leaves.values() if isinstance(leaf, Knowledge) and leaf.path not in names]
    fetched, lacking = read_chunks(subjects, tree.root, recipe)
    near, far = at_hand(others, tree.root, recipe)
    return Documents(fetched | near, {gap.leaf: gap.reason for gap in (*lacking, *far)})


def at_hand(
    leaves: Sequence[Leaf], root: Path, recipe: GenerateRecipe
) -> tuple[dict[str, list[Chunk]], list[Shortfall]]:
    """The chunks of leaves whose documents can be had without the network: in the tree, a mirror or the cache."""
    unreached = {leaf.source.repo: _NOWHERE for leaf in leaves if isinstance(leaf, Knowledge)}
    offline = recipe.model_copy(update={"mirrors": unreached | recipe.mirrors})
    return read_chunks(leaves, root, offline)


# --- the mix ----------------------------------------------------------------------------------------------------


def mix_shift(tree: Survey, documents: Documents, before: Past, recipe: GenerateRecipe, census: Census) -> Shift:
    """The mix of the base's tree beside that of the working tree; what has not changed is read once."""
    old = dict(former_leaves(tree, before))
    untouched = [leaf for path, leaf in tree.leaves.items() if path not in tree.changes]
    chunks = {leaf.path: documents.chunks[leaf.path] for leaf in untouched if leaf.path in documents.chunks}
    chunks |= former_chunks([leaf for leaf in old.values() if isinstance(leaf, Knowledge)], tree.root, before, recipe)
    then = Side([*untouched, *old.values()], chunks)
    now = Side(list(tree.leaves.values()), documents.chunks)
    return shift(then, now, census, changed={*old, *tree.changes})


def former_leaves(tree: Survey, before: Past) -> Iterator[tuple[str, Leaf]]:
    """The leaves that changed, moved or went, as they were; those that could not be read were no part of the mix."""
    for change in tree.changes.values():
        path = change.moved_from or change.path
        if path in before.leaves:
            leaf = examine(place_of(tree.root, path), before.files(path)).leaf
            if leaf is not None:
                yield path, leaf


def former_chunks(
    leaves: Sequence[Knowledge], root: Path, before: Past, recipe: GenerateRecipe
) -> dict[str, list[Chunk]]:
    far = [leaf for leaf in leaves if leaf.source.repo != HERE]
    chunks, _ = at_hand(far, root, recipe)
    for leaf in leaves:
        if leaf.source.repo == HERE:
            try:
                documents = own_documents(before, leaf)
            except InputError:
                continue  # counted as not at hand
            chunks[leaf.path] = [chunk for document in documents for chunk in cut(document, words=recipe.chunk_words)]
    return chunks
