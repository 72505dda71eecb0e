"""Prompt templates: a YAML header, then the messages. Rendered in a sandbox; what is missing is an error with its line.

    ---
    purpose: what this question to a model is for
    yields: [question, answer]      # the tags of an answer, in order
    sampling: {temperature: 0}      # optional; wins over the recipe
    ---
    === system
    Jinja, up to the next line of this kind
    === user
    … Write [QUESTION 1], [ANSWER 1] and [END 1] around …

Documents and seed examples are variables, never templates, and the file is cut into messages before it is rendered:
whatever a document says, it stays inside the message that shows it.

A template may be a contributor's: it has the same bounds as a simulation's, and is looked at and rendered in a confined
process, one for a leaf's prompts. Only a file that equals the shipped one of its name is rendered in this process: a
confined one takes 0.08 s, where planning a leaf of the starter tree takes 0.014, and shipped files come with the code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from instructlab_like.confined.process import Confined, Values, seconds_for
from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.confined.wire import Bounds, Failure, Look, Rendered
from instructlab_like.errors import TemplateError, explain, position
from instructlab_like.records import Message, Record, Role, Sampling, Seed, blob_id, plain
from instructlab_like.workspace import find, shipped_root

FOLDER = "templates"
SUFFIX = ".j2"
END = "end"  # the tag that closes a group; no template yields it
SECTION = re.compile(r"=== (system|user|assistant)\s*")
NEWLINE = re.compile(r"\r\n|\r|\n")  # what Jinja counts as a line
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
FILE = 256_000  # bytes of a template's file
HEADER, BRACKETS = 4_000, 50  # characters of its header, and opening brackets in it
MESSAGES = 20
HEADER_FAILURES = (  # the last four by tags on what they do not fit, such as `!!int ""`
    yaml.YAMLError, RecursionError, ValueError, AttributeError, LookupError, TypeError,
)  # fmt: skip
BOUNDS = Bounds(
    filters=(
        *("abs", "capitalize", "count", "default", "dictsort", "first", "float", "indent", "int", "items", "join"),
        *("last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse"),
        *("round", "select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper"),
        "wordcount",
    ),
    methods=(
        *("capitalize", "count", "endswith", "find", "get", "index", "items", "join", "keys", "lower", "lstrip"),
        *("removeprefix", "removesuffix", "replace", "rstrip", "split", "splitlines", "startswith", "strip", "title"),
        *("upper", "values"),
    ),
    source=100_000,
    weight=512_000,
    text=512_000,
)

Tag = Annotated[str, Field(pattern=r"^[a-z]+$")]


class KnowledgeVariables(Record):
    """What a template under knowledge/ may use."""

    domain: str
    outline: str
    headings: tuple[str, ...]  # titles above the passage, outermost first
    passage: str
    example: Seed  # number, context, pairs (question, answer)
    count: int  # pairs asked for


class SkillVariables(Record):
    """What a template under skill/ may use."""

    task: str
    examples: tuple[Seed, ...]
    count: int


class SamplingChoice(Record):
    """The sampling that a template insists on; what it leaves out comes from the recipe."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: tuple[str, ...] | None = None


class Header(Record):
    purpose: Annotated[str, Field(min_length=1)]
    yields: Annotated[tuple[Tag, ...], Field(min_length=1)]
    sampling: SamplingChoice = SamplingChoice()


@dataclass(frozen=True)
class Template:
    name: str  # below templates/: "knowledge/pairs.j2"
    path: Path
    blob: str  # Git blob id of the file; part of a sample's lineage, never of a call key
    header: Header
    roles: tuple[Role, ...]  # of the messages
    sources: tuple[str, ...]  # their Jinja, each on its lines of the file
    shipped: Sandbox | None  # where a shipped template is rendered; all others are confined

    @property
    def purpose(self) -> str:
        return self.header.purpose

    @property
    def yields(self) -> tuple[str, ...]:
        return self.header.yields

    def sampled(self, recipe: Sampling) -> Sampling:
        """The recipe's sampling with this template's own choices on top."""
        return recipe.model_copy(update=self.header.sampling.model_dump(exclude_none=True))

    def render(self, variables: Record) -> tuple[Message, ...]:
        """Fill in the variables; raises TemplateError with the line that cannot be rendered."""
        return self.render_all([variables])[0]

    def render_all(self, batch: Sequence[Record]) -> list[tuple[Message, ...]]:
        """Fill in the variables of all prompts of a leaf; raises TemplateError as `render`, or for limits exceeded."""
        calls = [(number, values) for values in map(plain, batch) for number in range(len(self.sources))]
        rendered = self._rendered(calls)
        if rendered.failure:
            raise self._failed(rendered.failure, calls[len(rendered.texts)][1])
        texts = iter(rendered.texts)
        return [tuple(Message(role=role, content=next(texts)) for role in self.roles) for _ in batch]

    def _rendered(self, calls: Sequence[tuple[int, Values]]) -> Rendered:
        if self.shipped:
            return self.shipped.render(calls)
        if not calls:
            return Rendered(())
        seconds = seconds_for(len(calls) // len(self.sources))
        with Confined(self.sources, BOUNDS, where=str(self.path), seconds=seconds) as confined:
            return confined.render(calls)

    def _failed(self, failure: Failure, variables: Values) -> TemplateError:
        where = position(self.path, failure.line)
        if failure.undefined:
            known = f"variables of this template: {', '.join(variables)}"
            return TemplateError(failure.what, where=where, fix=known)
        return TemplateError(f"cannot be rendered: {failure.what}", where=where, fix="correct this line")


def load_template(name: str) -> Template:
    """The template `name` ("knowledge/pairs.j2"): the workspace's own, else the shipped one.

    Raises TemplateError with file and line for a missing file, a bad header, and anything Jinja refuses.
    """
    path, data = read(name)
    try:
        lines = NEWLINE.split(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise TemplateError("is not UTF-8 text", where=str(path), fix="save the template as UTF-8") from error
    header, end = read_header(lines, path)
    check_tags(header, lines, end, path)
    roles, sources = sections(lines, end, path)
    shipped = Sandbox(BOUNDS) if is_shipped(name, data) else None
    if shipped:
        check_looks([shipped.look(source) for source in sources], path)
    else:
        with Confined(sources, BOUNDS, where=str(path)) as confined:
            check_looks(confined.looks, path)
    return Template(
        name=name, path=path, blob=blob_id(data), header=header, roles=roles, sources=sources, shipped=shipped
    )


def is_shipped(name: str, data: bytes) -> bool:
    path = shipped_root() / FOLDER / name
    return path.is_file() and path.read_bytes() == data


def read(name: str) -> tuple[Path, bytes]:
    """A template file's path and bytes. A name, or a link, that leads out of the templates folder is refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise TemplateError("leads out of the templates folder", where=name, fix="name a file inside it")
    path = find(f"{FOLDER}/{'/'.join(parts)}")
    if not parts or path.suffix != SUFFIX or not path.is_file():
        known = sorted(found.relative_to(shipped_root() / FOLDER).as_posix() for found in shipped_templates())
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped: {', '.join(known)}"
        raise TemplateError("there is no such template", where=f"{FOLDER}/{name}", fix=hint)
    if not path.resolve().is_relative_to(path.parents[len(parts) - 1].resolve()):
        raise TemplateError("is a link that leads out of the templates folder", where=str(path), fix="copy the file")
    try:
        with path.open("rb") as file:
            data = file.read(FILE + 1)
    except OSError as error:
        raise TemplateError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check its permissions"
        ) from error
    if len(data) > FILE:
        raise TemplateError(f"holds more than {FILE} bytes", where=str(path), fix="shorten it")
    return path, data


def shipped_templates() -> list[Path]:
    return sorted((shipped_root() / FOLDER).rglob(f"[!_]*{SUFFIX}"))


def read_header(lines: list[str], path: Path) -> tuple[Header, int]:
    """The header and the index of the line that closes it."""
    if not lines or lines[0].rstrip() != "---":
        raise TemplateError("has no header", where=position(path, 1), fix="open with ---, purpose:, yields:, ---")
    end = next((index for index, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if end is None:
        raise TemplateError("has a header that never ends", where=position(path, 1), fix="close it with a line ---")
    text = "\n".join(lines[1:end])
    if len(text) > HEADER:
        raise TemplateError(
            f"has a header of more than {HEADER} characters", where=position(path, 1), fix="shorten the purpose"
        )
    if text.count("[") + text.count("{") > BRACKETS:  # on which PyYAML spends seconds
        raise TemplateError("has too many brackets in its header", where=position(path, 1), fix="name each tag once")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise TemplateError("has an alias in its header", where=position(path, 1), fix="write the value out")
        return Header.model_validate(yaml.safe_load(text)), end
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise TemplateError(
            f"has a header that is not valid YAML: {error.problem}", where=position(path, line), fix="correct the YAML"
        ) from error
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        where = position(path, key_line(lines[:end], str(location[0])) if location else 1)
        raise TemplateError(
            "has a wrong header: " + "; ".join(explain(error)),
            where=where,
            fix="a header holds purpose, yields and, if wished, sampling",
        ) from error
    except HEADER_FAILURES as error:
        raise TemplateError(
            f"has a header that is not valid YAML: {error}", where=position(path, 1), fix="correct the YAML"
        ) from error


def key_line(lines: list[str], key: str) -> int:
    """The line, from 1, on which a header's top-level key stands; the header's first line when it is missing."""
    return next((number for number, line in enumerate(lines, start=1) if line.startswith(f"{key}:")), 1)


def check_tags(header: Header, lines: list[str], end: int, path: Path) -> None:
    """Tags must be told apart, and one that the teacher is never shown cannot come back in its answer."""
    where = position(path, key_line(lines[:end], "yields"))
    tags = (*header.yields, END)
    if len(set(tags)) < len(tags):
        raise TemplateError(
            f"yields a tag twice, or the tag {END}", where=where, fix=f"name each once; {END} closes every group"
        )
    body = "\n".join(lines[end + 1 :])
    for tag in tags:
        if f"[{tag.upper()} " not in body:
            fix = f"write the form of the answer, with [{tag.upper()} 1] in its place, or correct `yields`"
            raise TemplateError(f"never shows the teacher the tag [{tag.upper()} 1]", where=where, fix=fix)


def sections(lines: list[str], end: int, path: Path) -> tuple[tuple[Role, ...], tuple[str, ...]]:
    """The messages' roles and sources, each source on the lines where it stands: Jinja's lines are the file's."""
    starts = [index for index in range(end + 1, len(lines)) if SECTION.fullmatch(lines[index])]
    before = lines[end + 1 : starts[0] if starts else len(lines)]
    stray = next((end + 1 + offset for offset, line in enumerate(before) if line.strip()), None)
    if stray is not None or not starts:
        where = position(path, end + 1 if stray is None else stray + 1)
        what = "holds no message" if stray is None else "has text before its first message"
        raise TemplateError(what, where=where, fix="open each message with a line such as: === user")
    if len(starts) > MESSAGES:
        where = position(path, starts[MESSAGES] + 1)
        raise TemplateError(f"holds more than {MESSAGES} messages", where=where, fix="join some of them")
    roles = tuple(ROLES[lines[start].split()[1]] for start in starts)
    spans = zip(starts, [*starts[1:], len(lines)], strict=True)
    return roles, tuple("\n" * (start + 1) + "\n".join(lines[start + 1 : stop]) for start, stop in spans)


def check_looks(looks: Sequence[Look], path: Path) -> None:
    """Raises TemplateError with the first flaw."""
    for flaw in (flaw for look in looks for flaw in look.flaws):
        raise TemplateError(flaw.what, where=position(path, flaw.line), fix=flaw.fix)
