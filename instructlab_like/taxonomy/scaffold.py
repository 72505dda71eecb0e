"""Writes a new leaf to fill in: everything is in its place but the words, and `ilk check` names each one missing."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructlab_like.errors import InputError, position
from instructlab_like.records import Chunk, blob_id
from instructlab_like.taxonomy import sources, yaml_text
from instructlab_like.taxonomy.documents import Document
from instructlab_like.taxonomy.passages import proposed
from instructlab_like.taxonomy.tree import ATTRIBUTION, HELD_OUT, LARGEST_DOCUMENT, OWN_FILES, QNA, SIMULATION, content
from instructlab_like.workspace import write_whole

Kind = Literal["knowledge", "freeform", "grounded", "simulation"]

BRANCHES = {
    "knowledge": ("knowledge",),
    "freeform": ("compositional_skills", "foundational_skills"),
    "grounded": ("compositional_skills", "foundational_skills"),
    "simulation": ("compositional_skills", "foundational_skills"),
}
SEEDS = 5
SCHEMAS = {QNA: "skill", HELD_OUT: "heldout", SIMULATION: "simulation"}  # a knowledge leaf's qna.yaml has its own
_PAIRS = 3
_SECTIONS_SHOWN = 12
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Source:
    """A document that the leaf is about: the name and bytes of its copy, and the passages chosen out of it."""

    name: str
    data: bytes
    passages: tuple[Chunk, ...]


_SKILL_HEAD = """\
version: 3
created_by: ""  # your user name
task_description: ""  # what is to be done, as you would tell a colleague
"""

_HEADS = {
    "freeform": "# A skill: something to do, shown by examples.\n" + _SKILL_HEAD,
    "grounded": "# A grounded skill: something to do with a text that is given, shown by examples.\n"
    + _SKILL_HEAD
    + "# The context is the text, the question says what to do with it.\n",
    "simulation": f"# A skill with a rule, shown by examples; {SIMULATION} beside this file computes more of them.\n"
    + _SKILL_HEAD,
}

_LABELS = ("Title of work", "Link to work", "License of the work", "Creator names")
_DOCUMENT_LABELS = ("Title of work", "Link to work", "Revision", "License of the work", "Creator names")

_HELD_OUT_TEXT = """\
# Questions for measuring only: neither the teacher nor the training ever sees them.
# Twenty or more let a verdict be given. Ask in words of your own, not in the seed examples' words.
#
#   questions:
#     - question: What is the highest mountain on Earth?
#       answer: Mount Everest
#       accept: [Everest, Chomolungma]  # other right answers, if there are any
#       context: The text that the question is about, for a grounded skill.
#       metric: exact  # or contains; f1 for answers of several words; number, judge, perplexity
#     - question: What is its summit made of?
#       answer: limestone
#       metric: choice
#       options: [basalt, granite, limestone]
questions: []
"""

_SIMULATION_TEXT = """\
# Pairs without a model: values are drawn, question and answer are rendered from them (Jinja, in a sandbox).
# This one stamps parcels; write yours below:
#
#   parameters:
#     thing:
#       kind: choice  # one value of the list; `kind: sample` with `count: 3` draws three different ones
#       of: [lamp, clock, bell, chair, kettle]
#     grams:
#       kind: integer
#       low: 50
#       high: 1490
#       step: 10
#   questions:  # one is drawn for each pair
#     - What is the parcel class of a {{ thing }} of {{ grams }} grams?
#     - A {{ thing }} weighs {{ grams }} grams. Which parcel class is it?
#   answer: "{{ 'letter' if grams < 500 else 'small' if grams < 1000 else 'large' }}"
#   held_out_questions:  # other ways to ask, kept for evaluation
#     - We send a {{ thing }} of {{ grams }} grams. What is its parcel class?
parameters:
  thing:  # a name of your own; every parameter must stand in a question
    kind: choice
    of:
      - ""
      - ""
questions:
  - ""
  - ""
answer: ""
held_out_questions:
  - ""
"""


def new_leaf(root: Path, path: str, kind: Kind, *, schemas: Path, source: Source | None = None) -> list[Path]:
    """Write the skeleton of a leaf at `path` below `root`, with what a document gives; returns the files.

    `schemas` is the folder of the JSON Schemas, named in the first line of each YAML file for editors to find.
    Raises InputError for a name that is no leaf's, or a place that is taken.
    """
    folder = _free(root, named(path, kind))
    texts = {QNA: _qna(kind, source), ATTRIBUTION: _attribution(kind)}
    texts |= {SIMULATION: _SIMULATION_TEXT} if kind == "simulation" else {HELD_OUT: _HELD_OUT_TEXT}
    files = {name: (_schema_line(name, kind, folder, schemas) + text).encode() for name, text in texts.items()}
    if source:
        files[source.name] = source.data
    try:
        for name, data in files.items():
            write_whole(folder / name, data)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(folder), fix="check the folder") from error
    return [folder / name for name in files]


def named(path: str, kind: Kind) -> list[str]:
    """The parts of a leaf's path; InputError for one that no leaf of this kind may have."""
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


def _free(root: Path, parts: Sequence[str]) -> Path:
    """The folder that the leaf is to have; InputError where none may be made."""
    folder = root.joinpath(*parts)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise InputError("lies outside the taxonomy, by a link", where=str(folder), fix="choose another folder")
    if os.path.lexists(folder):
        raise InputError("exists already", where=str(folder), fix="choose another name, or edit what is there")
    for parent in folder.relative_to(root).parents:
        if (root / parent / QNA).exists():
            fix = "a leaf holds no other leaf: choose a folder beside it"
            raise InputError("is a leaf itself", where=str(root / parent), fix=fix)
    return folder


def _attribution(kind: Kind) -> str:
    return "".join(f"{label}:\n" for label in (_DOCUMENT_LABELS if kind == "knowledge" else _LABELS))


def _schema_line(name: str, kind: Kind, folder: Path, schemas: Path) -> str:
    if name not in SCHEMAS:
        return ""
    schema = schemas / f"{'knowledge' if (name, kind) == (QNA, 'knowledge') else SCHEMAS[name]}.schema.json"
    reached = os.path.relpath(schema.resolve(), folder.resolve())
    return f"# yaml-language-server: $schema={Path(reached).as_posix()}\n"


# --- the document ---------------------------------------------------------------------------------------------------


def source_from(document: Path) -> Source:
    """A local document and the passages that it offers.

    Raises InputError for what is no regular file of UTF-8 text, is too large, or holds what no leaf may hold.
    """
    where = str(document)
    if not os.path.lexists(document):
        raise InputError("there is no such file", where=where, fix="name a Markdown or text file")
    name = _copy_name(document)
    try:
        data = content(document.parent, document.name, largest=LARGEST_DOCUMENT)
    except InputError as error:
        raise InputError(error.what, where=where, fix="name a Markdown or text file of moderate size") from error
    if data is None:
        raise InputError("there is no such file", where=where, fix="name a Markdown or text file")
    _checked(data, where)
    read = Document(repo=sources.HERE, commit=sources.HEAD, path=name, blob=blob_id(data), data=data)
    return Source(name, data, tuple(proposed(read, wanted=SEEDS)))


def _copy_name(document: Path) -> str:
    """What the copy is called: a name that a pattern matches and that is none of a leaf's own."""
    suffix = document.suffix.lower()
    if not sources.is_readable(document.name):
        fix = f"convert it to Markdown; these can be read: {', '.join(sources.READABLE)}"
        raise InputError("this kind of file cannot be read yet", where=str(document), fix=fix)
    stem = re.sub(r"[^\w.-]+", "_", document.stem).strip("._-")[:100] or "document"
    name = stem + suffix
    if name in OWN_FILES or name.lower().startswith("qna."):
        raise InputError(f"a leaf cannot hold a document called {name}", where=str(document), fix="rename it")
    return name


def _checked(data: bytes, where: str) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("this is not UTF-8 text", where=position(where, line), fix="save it as UTF-8") from error
    control = _CONTROL.search(text)
    if control:
        before = text[: control.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"holds the control character U+{ord(control.group()):04X}"
        raise InputError(what, where=position(where, line, column), fix="remove it: no leaf may hold one")


# --- qna.yaml ---------------------------------------------------------------------------------------------------


def _qna(kind: Kind, source: Source | None) -> str:
    if kind == "knowledge":
        passages = source.passages if source else ()
        seeds = [_passage(chunk) for chunk in passages] + [_BLANK_PASSAGE] * (SEEDS - len(passages))
        return _knowledge_head(source) + "seed_examples:\n" + "".join(seeds)
    seed = '  - question: ""\n    answer: ""\n'
    if kind == "grounded":
        seed = '  - context: ""\n    question: ""\n    answer: ""\n'
    return _HEADS[kind] + "seed_examples:\n" + seed * SEEDS


def _knowledge_head(source: Source | None) -> str:
    if source:
        opening = f"# Knowledge: what {yaml_text.comment(source.name)} says, copied beside this file.\n"
        opening += _sections(source.passages)
    else:
        opening = "# Knowledge: what a document says. Put the document beside this file, as Markdown.\n"
    pattern = f"*{Path(source.name).suffix}" if source else "*.md"
    return f"""\
{opening}version: 3
created_by: ""  # your user name
domain: ""  # as on a textbook's cover: astronomy
document_outline: ""  # what the document is about, in one sentence
document:
  repo: .
  commit: HEAD
  patterns:
    - "{pattern}"
# Each context is a passage of the document, with three or more questions that it answers.
"""


def _sections(passages: Sequence[Chunk]) -> str:
    """The headings that may suggest domain and outline, as comments: what they are is for a person to say."""
    titles = list(dict.fromkeys(title for chunk in passages for title in chunk.headings))[:_SECTIONS_SHOWN]
    if not titles:
        return ""
    return "".join(
        ["# Its headings, for domain and outline:\n", *(f"#   {yaml_text.comment(text)}\n" for text in titles)]
    )


_BLANK_PAIRS = "    questions_and_answers:\n" + '      - question: ""\n        answer: ""\n' * _PAIRS
_BLANK_PASSAGE = '  - context: ""\n' + _BLANK_PAIRS


def _passage(chunk: Chunk) -> str:
    text = chunk.text.replace("\r\n", "\n").replace("\r", "\n")
    return f"  - context: {yaml_text.value(text, 6)}\n" + _BLANK_PAIRS
