"""Pipelines of instructlab-sdg: blocks in their order, with their options checked, and the prompts that they name.

A file may come from anybody: it names other files only below its root, by a path that stays there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from instructlab_like.errors import InputError
from instructlab_like.interop.sheet import Entry, read, read_text

SUFFIXES = (".yaml", ".yml")
PACKAGE = "pipelines"  # the folder of instructlab-sdg beside whose `configs` its pipelines lie
MOST_FILES, MOST_BLOCKS, DEEPEST = 50, 100, 5
PARTS = ("system", "introduction", "principles", "examples", "generation")  # of a prompt, in this order

_MODEL = ("model_id", "model_family", "model_prompt", "gen_kwargs", "parser_kwargs", "batch_kwargs")
# The options of each type of block: those that it needs, and those that it may have.
BLOCKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "LLMBlock": (("config_path", "output_cols"), _MODEL),
    "LLMLogProbBlock": (("config_path", "output_cols"), _MODEL),
    "ConditionalLLMBlock": (("config_paths", "output_cols", "selector_column_name"), _MODEL),
    "LLMMessagesBlock": (("input_col", "output_col"), ("model_id", "gen_kwargs")),
    "IterBlock": (("num_iters", "block_type"), ()),
    "ImportBlock": (("path",), ()),
    "FilterByValueBlock": (("filter_column", "filter_value", "operation"), ("convert_dtype", "default_value")),
    "CombineColumnsBlock": (("columns", "output_col"), ("separator",)),
    "FlattenColumnsBlock": (("var_cols", "value_name", "var_name"), ()),
    "DuplicateColumnsBlock": (("columns_map",), ()),
    "RenameColumnsBlock": (("columns_map",), ()),
    "SamplePopulatorBlock": (("config_paths", "column_name"), ("post_fix",)),
    "SelectorBlock": (("choice_map", "choice_col", "output_col"), ()),
    "SetToMajorityValueBlock": (("col_name",), ()),
    "AddStaticValue": (("column_name", "static_value"), ()),
    "AddStaticValueBlock": (("column_name", "static_value"), ()),
}
ASKING = ("LLMBlock", "LLMLogProbBlock", "ConditionalLLMBlock")
OF_A_BLOCK = ("name", "type", "config", "drop_columns", "drop_duplicates")


@dataclass(frozen=True)
class Block:
    name: str
    type: str
    entry: Entry  # the whole block
    config: Mapping[str, Entry]
    drop_columns: tuple[str, ...] = ()
    drop_duplicates: tuple[str, ...] = ()

    def at(self, option: str) -> Entry:
        """An option, or the block where it does not say it."""
        return self.config.get(option, self.entry)

    def word(self, option: str) -> str:
        return self.config[option].word(option)

    def names(self, option: str) -> dict[str, str]:
        """A mapping of words to words."""
        entries = self.config[option].mapping(option)
        return {key: entry.word(f"{option}.{key}") for key, entry in entries.items()}


@dataclass(frozen=True)
class Pipeline:
    path: Path
    root: Path
    version: Entry
    blocks: tuple[Block, ...]
    auxiliary: Mapping[str, Entry]

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True)
class Config:
    """A prompt: its parts put together as instructlab-sdg does, and the tags that its answers have."""

    path: Path
    text: str
    start_tags: tuple[str, ...]
    end_tags: tuple[str, ...]
    fields: Mapping[str, Entry]

    def line(self, word: str) -> int:
        """Where its parts first show a word."""
        first = min(self.fields[part].line for part in PARTS)
        shows = re.compile(rf"\b{re.escape(word)}\b")
        numbered = enumerate(read_text(self.path).splitlines(), start=1)
        return next((number for number, line in numbered if number >= first and shows.search(line)), first)


def pipelines(path: Path, root: Path | None) -> list[Pipeline]:
    """The pipeline in a file, or all of a folder in the order of their names.

    `root` is the folder in which all that they name must lie; without one it is the folder of the pipeline, or what
    holds the folder `pipelines` where it lies in one of those. Raises InputError where there is none, and for whatever
    instructlab-sdg would refuse as well.
    """
    if path.is_file():
        return [pipeline(path, rooted(path, root))]
    if not path.is_dir():
        raise InputError("there is no such file or folder", where=str(path), fix="name a pipeline, or a folder of some")
    files = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
    if len(files) > MOST_FILES:
        raise InputError(f"holds more than {MOST_FILES} YAML files", where=str(path), fix="name one of them")
    found = [pipeline(one, rooted(one, root)) for one in files if says_blocks(one)]
    if not found:
        fix = "name a folder such as pipelines/full of instructlab-sdg, or a file"
        raise InputError("holds no pipeline: no YAML file in it has blocks", where=str(path), fix=fix)
    return found


def says_blocks(path: Path) -> bool:
    fields = read(path).fields
    return fields is not None and "blocks" in fields


def rooted(path: Path, root: Path | None) -> Path:
    if root is not None:
        if not root.is_dir():
            raise InputError("is no folder", where=str(root), fix="name the folder that holds pipelines and prompts")
        return root.resolve()
    folder = path.parent.resolve()
    return folder.parent.parent if folder.parent.name == PACKAGE else folder


def pipeline(path: Path, root: Path, around: Sequence[Path] = ()) -> Pipeline:
    entry = read(path)
    if entry.fields is None or "blocks" not in entry.fields:
        what = "is no pipeline of instructlab-sdg: it has no blocks"
        raise InputError(what, where=entry.where, fix='a pipeline has version: "1.0" and a list of blocks')
    fields = entry.fields
    if "version" not in fields:
        raise entry.wrong("says no version", 'write version: "1.0", which is the format that is known')
    major, _, minor = fields["version"].word("version").partition(".")
    if major != "1" or not minor.isascii() or not minor.isdigit():
        what = f"has version {fields['version'].scalar[:40]!r}"
        raise fields["version"].wrong(what, 'what is known is version "1.0"')
    known_only(fields, ("version", "blocks", "datamixing"), "a pipeline")
    entries = fields["blocks"].sequence("blocks")
    found = (inner for one in entries for inner in imported(block(one), path, root, (*around, path.resolve())))
    blocks = tuple(islice(found, MOST_BLOCKS + 1))
    if not blocks or len(blocks) > MOST_BLOCKS:
        what = "has no blocks" if not blocks else f"has more than {MOST_BLOCKS} blocks"
        raise fields["blocks"].wrong(what, f"a pipeline has 1 to {MOST_BLOCKS}")
    return Pipeline(path, root, fields["version"], blocks, auxiliary(fields.get("datamixing")))


def auxiliary(entry: Entry | None) -> Mapping[str, Entry]:
    told = entry.mapping("datamixing").get("auxiliary_instructions") if entry else None
    return told.mapping("auxiliary_instructions") if told else {}


def imported(one: Block, path: Path, root: Path, around: Sequence[Path]) -> Iterator[Block]:
    """The block itself, or those of the pipeline that it stands for."""
    if one.type != "ImportBlock":
        yield one
        return
    entry = one.config["path"]
    beside = (path.parent / entry.word("a path")).is_file()
    inner = within(entry, path if beside else root / path.name, root)  # there it is relative to the package
    if inner.resolve() in around or len(around) > DEEPEST:
        raise entry.wrong("imports pipelines in a circle, or too deeply", "write the blocks out")
    *others, last = pipeline(inner, root, around).blocks
    dropped, agree = (*last.drop_columns, *one.drop_columns), (*last.drop_duplicates, *one.drop_duplicates)
    for found in (*others, replace(last, drop_columns=dropped, drop_duplicates=agree)):
        yield replace(found, name=f"{one.name}-{found.name}")


def block(entry: Entry) -> Block:
    fields = entry.mapping("a block")
    for name in ("name", "type", "config"):
        if name not in fields:
            raise entry.wrong(f"a block says no {name}", "a block has name, type and config")
    known_only(fields, OF_A_BLOCK, "a block")
    kind = known_type(fields["type"])
    config = fields["config"].mapping("config")
    if kind == "IterBlock":
        inner = known_type(config["block_type"]) if "block_type" in config else kind
        own = {name: value for name, value in config.items() if name not in BLOCKS[kind][0]}
        check_options({name: config[name] for name in config if name not in own}, kind, fields["config"])
        if inner == "IterBlock":
            raise config["block_type"].wrong("repeats an IterBlock", "multiply their num_iters")
        check_options(own, inner, fields["config"])
    else:
        check_options(config, kind, fields["config"])
    return Block(
        name=fields["name"].word("name"),
        type=kind,
        entry=entry,
        config=config,
        drop_columns=fields["drop_columns"].words("drop_columns") if "drop_columns" in fields else (),
        drop_duplicates=fields["drop_duplicates"].words("drop_duplicates") if "drop_duplicates" in fields else (),
    )


def known_type(entry: Entry) -> str:
    kind = entry.word("type")
    if kind not in BLOCKS:
        near = difflib.get_close_matches(kind, BLOCKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(BLOCKS)}"
        raise entry.wrong(f"there is no type of block {kind[:60]!r}", hint)
    return kind


def check_options(config: Mapping[str, Entry], kind: str, entry: Entry) -> None:
    needed, possible = BLOCKS[kind]
    known_only(config, (*needed, *possible), f"a {kind}")
    for name in needed:
        if name not in config:
            raise entry.wrong(f"a {kind} says no {name}", f"it needs {', '.join(needed)}")


def known_only(fields: Mapping[str, Entry], known: Sequence[str], whose: str) -> None:
    for name, entry in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"{whose} has {', '.join(known)}"
            raise entry.wrong(f"there is no option {name[:60]!r} of {whose}", hint)


def config(entry: Entry, pipeline: Pipeline) -> Config:
    """The prompt that a pipeline names; raises InputError where there is none or a part is missing."""
    path = within(entry, pipeline.path, pipeline.root)
    sheet = read(path)
    fields = sheet.mapping("a prompt")
    if missing := [part for part in PARTS if part not in fields]:
        raise sheet.wrong(f"has no {missing[0]}", f"a prompt has {', '.join(PARTS)}; a part may be empty")
    if other := next((part for part in PARTS if fields[part].kind in ("list", "mapping")), None):
        raise fields[other].wrong(f"{other} is no text", f"write {other} as a text")
    return Config(
        path=path,
        text="\n".join(fields[part].scalar for part in PARTS),
        start_tags=marks(fields.get("start_tags")),
        end_tags=marks(fields.get("end_tags")),
        fields=fields,
    )


def values(entry: Entry, pipeline: Pipeline) -> Mapping[str, Entry]:
    """What a file that a pipeline names holds, whatever that is."""
    return read(within(entry, pipeline.path, pipeline.root)).mapping("a file of values")


def marks(entry: Entry | None) -> tuple[str, ...]:
    items = entry.sequence("tags") if entry and entry.kind != "null" else ()
    return tuple(" ".join(item.scalar.split()) for item in items)


def within(entry: Entry, path: Path, root: Path) -> Path:
    """The file that a pipeline names relative to itself, if it lies below the root."""
    named = path.parent / entry.word("a path")
    try:
        inside = named.resolve().is_relative_to(root)
    except (OSError, ValueError, RuntimeError) as error:
        raise entry.wrong(f"names no file: {entry.scalar[:80]!r}", "name a file beside the pipeline") from error
    if not inside:
        what = f"names a file outside {root}: {entry.scalar[:80]!r}"
        raise entry.wrong(what, "name a file inside it, or the folder that holds all of them with --root")
    if not named.is_file():
        raise entry.wrong(f"names a file that is not there: {entry.scalar[:80]!r}", f"put it at {named.resolve()}")
    return named
