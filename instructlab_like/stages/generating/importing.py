"""`ilk import`: pipelines of instructlab-sdg as flows and templates, with all that could not be carried over."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError

from instructlab_like.console import say
from instructlab_like.errors import GateError, InputError, explain
from instructlab_like.flows import SUFFIX, LeafKind, load_flow
from instructlab_like.interop.blocks import Import
from instructlab_like.interop.branch import Branch
from instructlab_like.interop.pipelines import ASKING, Config, Pipeline, config, pipelines
from instructlab_like.interop.told import LeftError, Outcome, Told
from instructlab_like.interop.written import Written, written
from instructlab_like.printable import escaped
from instructlab_like.records import Record
from instructlab_like.workspace import dump, write_whole

REPORT, NOTES = "import.json", "NOTES.md"
BY_NAME: dict[str, LeafKind] = {  # as instructlab-sdg knows them
    "knowledge": "knowledge", "freeform_skills": "freeform", "grounded_skills": "grounded",
}  # fmt: skip
OF_KNOWLEDGE = re.compile(r"\b(?:document|document_outline|icl_(?:document|query_\d|response_\d))\b")
OF_TEXTS = re.compile(r"\bseed_context\b")
HEADS: dict[Outcome, str] = {"left": "not carried over", "differs": "differs", "carried": "carried over"}


class FlowTold(Record):
    """A flow that was written."""

    name: str
    file: str
    pipeline: str
    leaves: LeafKind
    steps: tuple[str, ...]
    pairs_per_prompt: int | None = None  # that the pipeline asks for, which a recipe says here


class Imported(Record):
    """What an import made, and which files of its folder it may replace or remove."""

    format: int = 1
    source: Literal["instructlab-sdg"] = "instructlab-sdg"
    flows: tuple[FlowTold, ...] = ()
    blocks: tuple[Told, ...] = ()
    files: tuple[str, ...] = ()


def import_flows(
    path: Path,
    folder: Path,
    *,
    root: Path | None = None,
    leaves: LeafKind | None = None,
    strict: bool = False,
    form: Literal["text", "json"] = "text",
) -> None:
    """Write the pipelines at `path` as flows into `folder`, and say what became of each block.

    Files of an earlier import there are replaced, or removed. Raises InputError for what is no pipeline and for a file
    that no import wrote; GateError, after writing, if no flow came of them, or with `strict` if anything was left out.
    """
    before = earlier(folder)
    found: list[Written] = []
    flows: list[FlowTold] = []
    told: list[Told] = []
    for pipeline in pipelines(path, root):
        importing = Import(pipeline, leaves or kind_of(pipeline))
        for one in flows_of(importing, {flow.name for flow in found}):
            found.append(one)
            flows.append(flow_told(one, importing))
        told += importing.told
    made = Imported(flows=tuple(flows), blocks=tuple(told))
    texts = {NOTES: "\n".join(notes(made)) + "\n"}
    for one in found:
        texts |= {f"{one.name}{SUFFIX}": one.text, **one.templates}
    made = made.model_copy(update={"files": tuple(sorted({*texts, REPORT}))})
    put(folder, texts, made, before)
    if form == "json":
        say(dump(made.model_dump(mode="json")).decode().rstrip("\n"))
    else:
        for line in lines(made, folder):
            say(line)
    judge(made, folder, strict=strict)


def judge(made: Imported, folder: Path, *, strict: bool) -> None:
    left = [one for one in made.blocks if one.outcome == "left"]
    if not made.flows:
        raise GateError("no flow came of it", where=str(folder), fix=f"{NOTES} says what was left out and why")
    if strict and left:
        what = f"{len(left)} thing{'s' if len(left) > 1 else ''} could not be carried over"
        raise GateError(what, where=str(folder), fix=f"{NOTES} lists them; without --strict this is no failure")


def kind_of(pipeline: Pipeline) -> LeafKind:
    """The leaves that a pipeline is for: by its name, or else by the columns that it speaks of."""
    if pipeline.name in BY_NAME:
        return BY_NAME[pipeline.name]
    spoken = "\n".join(one.text for one in configs(pipeline)) + "\n".join(scalars(pipeline))
    return "knowledge" if OF_KNOWLEDGE.search(spoken) else "grounded" if OF_TEXTS.search(spoken) else "freeform"


def configs(pipeline: Pipeline) -> Iterator[Config]:
    for block in pipeline.blocks:
        kind = block.config["block_type"].scalar if "block_type" in block.config else block.type
        if kind in ASKING and "config_path" in block.config:
            yield config(block.config["config_path"], pipeline)
        elif kind in ASKING and "config_paths" in block.config:
            for pair in block.config["config_paths"].items:
                if pair.items:
                    yield config(pair.items[0], pipeline)


def scalars(pipeline: Pipeline) -> Iterator[str]:
    for block in pipeline.blocks:
        for entry in block.config.values():
            yield entry.scalar
            yield from (item.scalar for item in entry.items)
            yield from entry.fields or ()


def flows_of(importing: Import, taken: set[str]) -> Iterator[Written]:
    """The flows of one pipeline that load; what became of its blocks is told to `importing`."""
    pipeline = importing.pipeline
    branches = importing.branches()
    asked: set[str] = set()
    for branch in branches:
        name = flow_name(pipeline, branch, taken)
        try:
            one = written(branch, name, importing, asked)
            loads(one, importing)
        except LeftError as error:
            importing.say("left", error.what, error.fix, error.entry, of=branch.label or pipeline.name)
            continue
        taken.add(name)
        yield one
    rest(importing, branches if asked else (), asked)


def rest(importing: Import, branches: Sequence[Branch], asked: set[str]) -> None:
    """What is told of a pipeline as a whole."""
    for name in dict.fromkeys(step.block.name for branch in branches for step in branch.steps):
        if name not in asked and any(one.outcome == "carried" and one.block == name for one in importing.told):
            importing.block = next(block for block in importing.pipeline.blocks if block.name == name)
            importing.say("left", "is not asked: nothing that makes or judges a sample reads what it makes")
            importing.block = None
    if importing.pipeline.version.scalar != "1.0":
        what = f"version {importing.pipeline.version.scalar}: read as 1.0, and newer things in it are refused or named"
        importing.say("differs", what, entry=importing.pipeline.version, of="version")
    for name, entry in importing.pipeline.auxiliary.items():
        what = f"the texts in {name} become no samples of their own, asked for with {len(entry.items)} instructions"
        fix = "write a flow whose last step yields question and answer about them"
        importing.say("left", what, fix, entry, of="datamixing")


def flow_name(pipeline: Pipeline, branch: Branch, taken: set[str]) -> str:
    told = "-".join(filter(None, (pipeline.name, branch.label)))
    wanted = name = re.sub(r"[^A-Za-z0-9_-]+", "-", told).strip("-")[:100] or "flow"
    number = 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


def loads(one: Written, importing: Import) -> None:
    """Raise LeftError unless the flow loads as it will when it is used."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in {f"{one.name}{SUFFIX}": one.text, **one.templates}.items():
            write_whole(Path(scratch) / name, text.encode("utf-8"))
        try:
            flow = load_flow(str(Path(scratch) / f"{one.name}{SUFFIX}"))
        except InputError as error:
            entry = importing.pipeline.version
            step = next((step for name, step in one.prompts.items() if f"/{name}" in error.where), None)
            at = f"no flow: {step.block.name}, whose prompt {step.prompt.path} " if step else "no flow: "
            raise LeftError(step.block.entry if step else entry, at + error.what, error.fix) from error
    for template in flow.templates.values():
        if template.roles != ("user",):
            what = "no flow: a prompt holds a line that looks like the beginning of a message"
            raise LeftError(importing.pipeline.version, what, "change that line")


def flow_told(one: Written, importing: Import) -> FlowTold:
    return FlowTold(
        name=one.name,
        file=f"{one.name}{SUFFIX}",
        pipeline=str(importing.pipeline.path),
        leaves=importing.kind,
        steps=tuple(PurePosixPath(name).stem for name in one.templates),
        pairs_per_prompt=one.several or None,
    )


# --- writing ----------------------------------------------------------------------------------------------------


def put(folder: Path, texts: dict[str, str], made: Imported, before: set[str]) -> None:
    """Write all files, and remove those of an earlier import that are none any more."""
    for name in dict.fromkeys((*texts, REPORT, *before)):
        place = folder / name
        if name not in before and os.path.lexists(place):
            fix = "name another folder, or move the file away"
            raise InputError("is there already, and no import wrote it", where=str(place), fix=fix)
        for parent in place.relative_to(folder).parents:
            if (folder / parent).is_symlink() and str(parent) != ".":
                raise InputError("is a link", where=str(folder / parent), fix="name another folder")
            if os.path.lexists(folder / parent) and not (folder / parent).is_dir():
                raise InputError("is no folder", where=str(folder / parent), fix="name another folder")
    try:
        # Whatever a stop leaves behind is listed, so the next import knows it for its own.
        everything = tuple(sorted({*made.files, *before}))
        write_whole(folder / REPORT, dump(made.model_copy(update={"files": everything}).model_dump(mode="json")))
        for name, text in texts.items():
            write_whole(folder / name, text.encode("utf-8"))
        for gone in sorted(before - set(made.files)):
            (folder / gone).unlink(missing_ok=True)
        for empty in sorted({(folder / gone).parent for gone in before - set(made.files)} - {folder}):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
        write_whole(folder / REPORT, dump(made.model_dump(mode="json")))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(folder), fix="check the folder") from error


def earlier(folder: Path) -> set[str]:
    """The files that an earlier import wrote into the folder."""
    path = folder / REPORT
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError("is no folder", where=str(folder), fix="name a folder, new or of an earlier import")
    if not path.is_file():
        return set()
    try:
        files = Imported.model_validate_json(path.read_bytes()).files
    except ValidationError as error:
        fix = "no import wrote this file: name another folder"
        raise InputError(explain(error)[0], where=str(path), fix=fix) from error
    for file in map(PurePosixPath, files):
        if file.is_absolute() or ".." in file.parts:
            raise InputError(f"lists a file outside the folder: {file}", where=str(path), fix="name another folder")
    return set(files)


# --- telling ----------------------------------------------------------------------------------------------------


def lines(made: Imported, folder: Path) -> Iterator[str]:
    for flow in made.flows:
        prompts = f"{len(flow.steps)} prompt{'s' if len(flow.steps) > 1 else ''}"
        yield escaped(f"{flow.pipeline} → {folder / flow.file}: {prompts}, for {flow.leaves} leaves")
        if flow.pairs_per_prompt:
            yield f"  {asking(flow)}"
    for outcome in ("differs", "left"):
        found = [one for one in made.blocks if one.outcome == outcome]
        if found:
            yield f"{HEADS[outcome]}:"
        for one in found:
            yield escaped(f"  {one.where}: {one.block}{f' ({one.type})' if one.type else ''}: {one.what}")
            if one.fix:
                yield escaped(f"    → {one.fix}")
    count = sum(one.outcome == "left" for one in made.blocks)
    yield f"import: {len(made.flows)} flow{'s' if len(made.flows) != 1 else ''} → {folder}; {count} not carried over"


def asking(flow: FlowTold) -> str:
    count = flow.pairs_per_prompt
    return f"a prompt asks for {count} at a time with generate: {{pairs_per_prompt: {count}}} in the recipe"


def notes(made: Imported) -> Iterator[str]:
    yield "# Flows imported from instructlab-sdg"
    yield ""
    yield "| flow | pipeline | leaves | prompts |"
    yield "|---|---|---|---|"
    for flow in made.flows:
        yield f"| `{flow.file}` | {cell(flow.pipeline)} | {flow.leaves} | {', '.join(flow.steps)} |"
    for flow in made.flows:
        if flow.pairs_per_prompt:
            yield ""
            yield f"`{flow.file}`: {asking(flow)}"
    for outcome, head in HEADS.items():
        found = [one for one in made.blocks if one.outcome == outcome]
        if found:
            yield from ("", f"## {head.capitalize()}", "", "| where | block | what | what to do |", "|---|---|---|---|")
        for one in found:
            named = f"{one.block} ({one.type})" if one.type else one.block
            yield f"| {cell(one.where)} | {cell(named)} | {cell(one.what)} | {cell(one.fix)} |"


def cell(text: str) -> str:
    """Text of other people in a table: on one line, without marks that mean something there."""
    plain = escaped(" ".join(text.split()))
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", plain)
