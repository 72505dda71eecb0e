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
"""

from __future__ import annotations

import difflib
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jinja2
import yaml
from jinja2.loaders import split_template_path
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment
from pydantic import Field, ValidationError

from instructlab_like.errors import TemplateError, explain, position
from instructlab_like.records import Message, Record, Role, Sampling, Seed, blob_id
from instructlab_like.workspace import find, shipped_root

FOLDER = "templates"
SUFFIX = ".j2"
END = "end"  # the tag that closes a group; no template yields it
SECTION = re.compile(r"=== (system|user|assistant)\s*")
NEWLINE = re.compile(r"\r\n|\r|\n")  # what Jinja counts as a line
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
RENDERING_FAILURES = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

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

    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: tuple[str, ...] | None = None


class Header(Record):
    purpose: Annotated[str, Field(min_length=1)]
    yields: Annotated[tuple[Tag, ...], Field(min_length=1)]
    sampling: SamplingChoice = SamplingChoice()


@dataclass(frozen=True)
class Section:
    role: Role
    body: jinja2.Template


@dataclass(frozen=True)
class Template:
    name: str  # below templates/: "knowledge/pairs.j2"
    path: Path
    blob: str  # Git blob id of the file; part of a sample's lineage, never of a call key
    header: Header
    sections: tuple[Section, ...]

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
        named = dict(variables)
        try:
            return tuple(Message(role=part.role, content=part.body.render(named).strip()) for part in self.sections)
        except jinja2.UndefinedError as error:
            known = f"variables of this template: {', '.join(named)}"
            raise TemplateError(str(error.message), where=rendering_position(error, self.path), fix=known) from error
        except RENDERING_FAILURES as error:
            where = rendering_position(error, self.path)
            raise TemplateError(f"cannot be rendered: {error}", where=where, fix="correct this line") from error


def environment() -> SandboxedEnvironment:
    """The one way Jinja is set up here: sandboxed, strict about undefined names, without chance and without files."""
    made = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # prompts and numbers, never HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    del made.filters["random"]
    del made.globals["lipsum"]
    return made


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
    return Template(name=name, path=path, blob=blob_id(data), header=header, sections=sections(lines, end, path))


def read(name: str) -> tuple[Path, bytes]:
    """A template file's path and bytes. A name, or a link, that leads out of the templates folder is refused."""
    try:
        parts = split_template_path(name)
    except jinja2.TemplateNotFound as error:
        raise TemplateError("leads out of the templates folder", where=name, fix="name a file inside it") from error
    path = find(f"{FOLDER}/{'/'.join(parts)}")
    if not parts or path.suffix != SUFFIX or not path.is_file():
        known = sorted(found.relative_to(shipped_root() / FOLDER).as_posix() for found in shipped_templates())
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped: {', '.join(known)}"
        raise TemplateError("there is no such template", where=f"{FOLDER}/{name}", fix=hint)
    if not path.resolve().is_relative_to(path.parents[len(parts) - 1].resolve()):
        raise TemplateError("is a link that leads out of the templates folder", where=str(path), fix="copy the file")
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise TemplateError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check its permissions"
        ) from error


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
    try:
        return Header.model_validate(yaml.safe_load(text)), end
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise TemplateError(
            f"has a header that is not valid YAML: {error.problem}", where=position(path, line), fix="correct the YAML"
        ) from error
    except yaml.YAMLError as error:
        raise TemplateError(
            f"has a header that is not valid YAML: {error}", where=position(path, 1), fix="correct the YAML"
        ) from error
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        where = position(path, key_line(lines[:end], str(location[0])) if location else 1)
        raise TemplateError(
            "has a wrong header: " + "; ".join(explain(error)),
            where=where,
            fix="a header holds purpose, yields and, if wished, sampling",
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


def sections(lines: list[str], end: int, path: Path) -> tuple[Section, ...]:
    """The messages of a template, each compiled where it stands so that Jinja's line numbers are the file's."""
    starts = [index for index in range(end + 1, len(lines)) if SECTION.fullmatch(lines[index])]
    before = lines[end + 1 : starts[0] if starts else len(lines)]
    stray = next((end + 1 + offset for offset, line in enumerate(before) if line.strip()), None)
    if stray is not None or not starts:
        where = position(path, end + 1 if stray is None else stray + 1)
        what = "holds no message" if stray is None else "has text before its first message"
        raise TemplateError(what, where=where, fix="open each message with a line such as: === user")
    including = environment()
    including.loader = jinja2.FunctionLoader(included)
    made = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        source = "\n" * (start + 1) + "\n".join(lines[start + 1 : stop])
        role = ROLES[lines[start].split()[1]]
        made.append(Section(role=role, body=compiled(including, source, path)))
    return tuple(made)


def included(name: str) -> tuple[str, str, None]:
    """Jinja's way to an included file; like every template it lies in the templates folder."""
    try:
        path, data = read(name)
        return data.decode("utf-8"), str(path), None
    except (TemplateError, UnicodeDecodeError) as error:
        raise jinja2.TemplateNotFound(name, message=f"{name!r} cannot be included: {error}") from error


def compiled(environment: SandboxedEnvironment, source: str, path: Path) -> jinja2.Template:
    try:
        code = environment.compile(source, filename=str(path))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"is not valid Jinja: {error.message}", where=position(path, error.lineno), fix="correct this line"
        ) from error
    return jinja2.Template.from_code(environment, code, environment.make_globals(None))


def rendering_position(error: Exception, path: Path) -> str:
    """The innermost line of a template that an error passed through; Jinja puts it into the traceback."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return position(error.filename or path, error.lineno)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(SUFFIX)]
    return position(frames[-1].filename, frames[-1].lineno) if frames else str(path)
