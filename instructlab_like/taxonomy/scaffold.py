"""Writes a new leaf to fill in: everything is in its place but the words, and `ilk check` names each one missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.tree import ATTRIBUTION, HELD_OUT, QNA
from instructlab_like.workspace import write_whole

Kind = Literal["knowledge", "freeform", "grounded"]

BRANCHES = {
    "knowledge": ("knowledge",),
    "freeform": ("compositional_skills", "foundational_skills"),
    "grounded": ("compositional_skills", "foundational_skills"),
}
_SEEDS = 5
_PAIRS = 3

_HEADS = {
    "knowledge": """\
# Knowledge: what a document says. Put the document beside this file, as Markdown.
version: 3
created_by: ""  # your user name
domain: ""  # as on a textbook's cover: astronomy
document_outline: ""  # what the document is about, in one sentence
document:
  repo: .
  commit: HEAD
  patterns:
    - "*.md"
# Each context is a passage of the document, with three or more questions that it answers.
seed_examples:
""",
    "freeform": """\
# A skill: something to do, shown by examples.
version: 3
created_by: ""  # your user name
task_description: ""  # what is to be done, as you would tell a colleague
seed_examples:
""",
    "grounded": """\
# A grounded skill: something to do with a text that is given, shown by examples.
version: 3
created_by: ""  # your user name
task_description: ""  # what is to be done with the text, as you would tell a colleague
# The context is the text, the question says what to do with it.
seed_examples:
""",
}

_ATTRIBUTION_TEXT = """\
Title of work:
Link to work:
Revision:
License of the work:
Creator names:
"""

_HELD_OUT_TEXT = """\
# Questions for measuring only: neither the teacher nor the training ever sees them.
# Twenty or more let a verdict be given. Ask for facts of the document in words of your own, not in the seeds' words.
#
#   questions:
#     - question: What is the highest mountain on Earth?
#       answer: Mount Everest
#       accept: [Everest, Chomolungma]  # other right answers, if there are any
#       context: The text that the question is about, for a grounded skill.
#       metric: exact  # or contains, or f1 for answers of several words
questions: []
"""


def new_leaf(root: Path, path: str, kind: Kind) -> list[Path]:
    """Write the skeleton of a leaf at `path` below `root`; returns the files.

    Raises InputError for a name that is no leaf's, or a place that is taken.
    """
    parts = _named(path, kind)
    folder = root.joinpath(*parts)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise InputError("lies outside the taxonomy, by a link", where=str(folder), fix="choose another folder")
    if folder.exists():
        raise InputError("exists already", where=str(folder), fix="choose another name, or edit what is there")
    for parent in folder.relative_to(root).parents:
        if (root / parent / QNA).exists():
            fix = "a leaf holds no other leaf: choose a folder beside it"
            raise InputError("is a leaf itself", where=str(root / parent), fix=fix)
    texts = {QNA: _HEADS[kind] + _seeds(kind), ATTRIBUTION: _ATTRIBUTION_TEXT, HELD_OUT: _HELD_OUT_TEXT}
    try:
        for name, text in texts.items():
            write_whole(folder / name, text.encode())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(folder), fix="check the folder") from error
    return [folder / name for name in texts]


def _named(path: str, kind: Kind) -> list[str]:
    """The parts of a leaf's path; InputError for one that no leaf may have."""
    parts = path.strip("/").split("/")
    for part in parts:
        if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", part):
            suggestion = re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_") or "my_leaf"
            fix = f"write names in lower case with underscores, such as {suggestion!r}"
            raise InputError(f"{part!r} is no name for a folder of the taxonomy", where=path, fix=fix)
    branches = BRANCHES[kind]
    if parts[0] not in branches or len(parts) < 2:
        fix = f"write {branches[0]}/subject/{parts[-1]}"
        raise InputError(f"a {kind} leaf lies below {' or '.join(branches)}", where=path, fix=fix)
    inner = next((part for part in parts[1:] if part in ("knowledge", "compositional_skills")), None)
    if inner:
        fix = "choose another name: the nearest folder of that name decides a leaf's kind"
        raise InputError(f"{inner!r} cannot be a folder inside {parts[0]}", where=path, fix=fix)
    return parts


def _seeds(kind: Kind) -> str:
    pair = '    question: ""\n    answer: ""\n'
    if kind == "freeform":
        seed = pair.replace("    question", "  - question", 1)
    elif kind == "grounded":
        seed = '  - context: ""\n' + pair
    else:
        nested = '      - question: ""\n        answer: ""\n'
        seed = '  - context: ""\n    questions_and_answers:\n' + nested * _PAIRS
    return seed * _SEEDS
