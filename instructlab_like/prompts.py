"""Prompt templates: a YAML header, then the messages. Rendered in a sandbox; what is missing is an error with its line.

    ---
    purpose: what this question to a model is for
    yields: [question, answer]      # the tags of an answer, in order; or `schema:`, a JSON Schema of the whole answer
    tags: {answer: ["<a>", "</a>"]} # optional: a prompt's own tags for each of them, instead of [ANSWER 1] and [END 1]
    sampling: {temperature: 0}      # optional; wins over the recipe
    needs: [logprobs]               # optional: what a server must be able to do, of seed, logprobs, n, schema
    ---
    === system
    Jinja, up to the next line of this kind
    === user
    … Write [QUESTION 1], [ANSWER 1] and [END 1] around …

Documents and seed examples are variables, never templates, and the file is cut into messages before it is rendered:
whatever a document says, it stays inside the message that shows it.

A template may be a contributor's: it has the same bounds as a simulation's, and is looked at and rendered in confined
processes. In this process are rendered: a file that equals the shipped one of its name, for that comes with the code;
and a plain template, of which the confined process tells no more than a tree of few kinds of node.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from instructlab_like.answer_schema import AnswerSchema, Place, read_schema
from instructlab_like.confined.here import Here
from instructlab_like.confined.lasting import Lasting
from instructlab_like.confined.process import Confined
from instructlab_like.confined.trusted import Trusted
from instructlab_like.confined.wire import Bounds, Failure, Look, Part
from instructlab_like.errors import InputError, TemplateError, explain, position
from instructlab_like.records import Message, Record, Role, Sampling, blob_id
from instructlab_like.workspace import shipped_root

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
Mark = Annotated[str, Field(max_length=80, pattern=r"^(\S(.*\S)?)?$")]
Marks = Annotated[tuple[Mark, ...], Field(min_length=2, max_length=5)]  # what opens a text, then what may close it
Need = Literal["seed", "logprobs", "n", "schema"]
Variables = Mapping[str, object]  # of texts, numbers, and lists and mappings of them


class SamplingChoice(Record):
    """The sampling that a template insists on; what it leaves out comes from the recipe."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: tuple[str, ...] | None = None


class Header(Record):
    purpose: Annotated[str, Field(min_length=1)]
    yields: Annotated[tuple[Tag, ...], Field(min_length=1)] | None = None
    tags: dict[Tag, Marks] | None = None
    answer_schema: object = Field(None, alias="schema")
    sampling: SamplingChoice = SamplingChoice()
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Template:
    name: str  # below the templates folder: "knowledge/pairs.j2"
    path: Path
    blob: str  # Git blob id of the file; part of a sample's lineage, never of a call key
    header: Header
    yields: tuple[str, ...]  # what a group of an answer holds: tags, or the schema's fields
    answer_schema: str | None  # canonical JSON; None for tags
    roles: tuple[Role, ...]  # of the messages
    sources: tuple[str, ...]  # their Jinja, each on its lines of the file
    takes: tuple[frozenset[str], ...]  # the variables of each
    trusted: Trusted | None  # where a shipped template is rendered
    plain: tuple[tuple[Part, ...], ...] | None  # the trees of a plain one's messages; all others are confined

    @property
    def purpose(self) -> str:
        return self.header.purpose

    @property
    def tags(self) -> tuple[tuple[str, ...], ...] | None:
        """For each text of an answer, the tag that opens it and those that may close it; None for numbered tags."""
        return tuple(self.header.tags[name] for name in self.yields) if self.header.tags is not None else None

    @property
    def needs(self) -> frozenset[str]:
        """What a server must be able to do for this template's answers to be what they should."""
        return frozenset(self.header.needs) | ({"schema"} if self.answer_schema else frozenset())

    @property
    def variables(self) -> frozenset[str]:
        """All that it takes from outside, in whatever case."""
        return frozenset().union(*self.takes)

    def sampled(self, recipe: Sampling) -> Sampling:
        """The recipe's sampling with this template's own choices on top."""
        return recipe.model_copy(update=self.header.sampling.model_dump(exclude_none=True))

    def renderer(self) -> Renderer:
        return Renderer(self)

    def render(self, variables: Variables) -> tuple[Message, ...]:
        """One prompt; for more than one, `renderer`."""
        with self.renderer() as renderer:
            return renderer.render([variables])[0]


class Renderer:
    """Fills in a template's variables, prompt after prompt, for as long as a run goes on. For one thread.

    Open with `with`: a template that is neither shipped nor plain is rendered in a process, started on first use.
    """

    def __init__(self, template: Template) -> None:
        self.template = template
        self.bounded: Here | Lasting | None = None  # a shipped one needs no bounds
        if template.plain is not None:
            self.bounded = Here(template.plain, BOUNDS, where=str(template.path))
        elif not template.trusted:
            self.bounded = Lasting(template.sources, BOUNDS, where=str(template.path))
        self.fixed: dict[int, Message] = {}  # messages without variables, once they are known

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.bounded, Lasting):
            self.bounded.__exit__(kind, error, trace)

    def render(self, batch: Sequence[Variables]) -> list[tuple[Message, ...]]:
        """The prompts in their order; raises TemplateError with the line that fails, or the limit that was met."""
        template = self.template
        numbers = [number for number in range(len(template.sources)) if number not in self.fixed]
        texts = iter(self._texts(batch, numbers))
        roles = list(enumerate(template.roles))
        prompts = [
            tuple(self.fixed.get(number) or Message(role=role, content=next(texts)) for number, role in roles)
            for _ in batch
        ]
        if prompts:
            self.fixed |= {number: prompts[0][number] for number in numbers if not template.takes[number]}
        return prompts

    def _texts(self, batch: Sequence[Variables], numbers: Sequence[int]) -> Sequence[str]:
        """The messages with these numbers of each prompt, prompt by prompt."""
        if not batch or not numbers:
            return ()
        if self.template.trusted:
            rendered = self.template.trusted.render([(number, values) for values in batch for number in numbers])
        else:
            assert self.bounded
            takes = self.template.takes
            rendered = self.bounded.render(
                [
                    (number, {name: values[name] for name in takes[number] if name in values})
                    for values in batch
                    for number in numbers
                ],
                each=len(numbers),
            )
        if rendered.failure:
            raise self._failed(rendered.failure, batch[len(rendered.texts) // len(numbers)])
        return rendered.texts

    def _failed(self, failure: Failure, variables: Variables) -> TemplateError:
        where = position(self.template.path, failure.line)
        if failure.undefined:
            known = f"variables of this template: {', '.join(variables)}"
            return TemplateError(failure.what, where=where, fix=known)
        return TemplateError(f"cannot be rendered: {failure.what}", where=where, fix="correct this line")


@dataclass(frozen=True)
class Draft:
    """A template's file, cut into its messages; their Jinja is not parsed yet."""

    name: str
    path: Path
    data: bytes
    header: Header
    schema: AnswerSchema | None
    roles: tuple[Role, ...]
    sources: tuple[str, ...]

    def template(self, looks: Sequence[Look], trusted: Trusted | None = None) -> Template:
        """The template, as it was looked at; raises TemplateError for a flaw."""
        check_looks(looks, self.path)
        plain = tuple(look.plain for look in looks if look.plain is not None)
        return Template(
            name=self.name,
            path=self.path,
            blob=blob_id(self.data),
            header=self.header,
            yields=self.header.yields or (self.schema.fields if self.schema else ()),
            answer_schema=self.schema.text if self.schema else None,
            roles=self.roles,
            sources=self.sources,
            takes=tuple(frozenset(look.names) for look in looks),
            trusted=trusted,
            plain=plain if len(plain) == len(looks) and not trusted else None,
        )


def load_template(name: str, beside: Path | None = None) -> Template:
    """The template `name` ("knowledge/pairs.j2"): of the folder `beside`, else the workspace's own, else the shipped.

    Raises TemplateError with file and line for a missing file, a bad header, and anything Jinja refuses.
    """
    return load_templates({name: ""}, beside)[name]


def load_templates(names: Mapping[str, str], beside: Path | None = None) -> dict[str, Template]:
    """Templates by their names, each with the place that asks for it, which an error tells too.

    All that are not shipped are looked at in one confined process.
    """
    drafts = []
    for name, place in names.items():
        with asked_for(place):
            drafts.append(draft(name, beside))
    looks = looks_at([one for one in drafts if not is_shipped(one)], names)
    templates = {}
    for one in drafts:
        trusted = None if one.name in looks else Trusted(BOUNDS)
        seen = [trusted.look(source) for source in one.sources] if trusted else looks[one.name]
        with asked_for(names[one.name]):
            templates[one.name] = one.template(seen, trusted)
    return templates


@contextmanager
def asked_for(place: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        if place:
            error.where = f"{error.where} (asked for in {place})"
        raise


def draft(name: str, beside: Path | None) -> Draft:
    path, data = read(name, beside)
    try:
        lines = NEWLINE.split(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise TemplateError("is not UTF-8 text", where=str(path), fix="save the template as UTF-8") from error
    sheet = read_sheet(lines, path)
    header = sheet.header()
    if header.tags is not None:
        check_own_tags(header.yields or (), header.tags, sheet, lines)
    elif header.yields:
        check_tags(header.yields, sheet, lines)
    schema = None if header.yields else read_schema(header.answer_schema, lambda place: sheet.at("schema", *place))
    roles, sources = sections(lines, sheet.end, path)
    return Draft(name, path, data, header, schema, roles, sources)


def looks_at(drafts: Sequence[Draft], names: Mapping[str, str]) -> dict[str, Sequence[Look]]:
    """What a confined process sees of the templates; of all at once, unless they take more than it has."""
    if not drafts:
        return {}
    try:
        return looks_together(drafts)
    except TemplateError:
        if len(drafts) == 1:
            with asked_for(names[drafts[0].name]):
                raise
    found: dict[str, Sequence[Look]] = {}
    for one in drafts:  # that each has a process of its own tells which of them is at fault
        found |= looks_at([one], names)
    return found


def looks_together(drafts: Sequence[Draft]) -> dict[str, Sequence[Look]]:
    sources = [source for draft in drafts for source in draft.sources]
    with Confined(sources, BOUNDS, where=str(drafts[0].path)) as confined:
        looks = iter(confined.looks)
    return {draft.name: tuple(islice(looks, len(draft.sources))) for draft in drafts}


def is_shipped(draft: Draft) -> bool:
    path = shipped_root() / FOLDER / draft.name
    return path.is_file() and path.read_bytes() == draft.data


def read(name: str, beside: Path | None) -> tuple[Path, bytes]:
    """A template file's path and bytes. A name, or a link, that leads out of its folder is refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise TemplateError("leads out of the templates folder", where=name, fix="name a file inside it")
    folders = [*([beside] if beside else []), Path(FOLDER), shipped_root() / FOLDER]
    found = next((folder for folder in folders if parts and folder.joinpath(*parts).is_file()), None)
    if not found or not name.endswith(SUFFIX):
        near = difflib.get_close_matches(name, names(folders), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names(folders))}"
        raise TemplateError("there is no such template", where=f"{FOLDER}/{name}", fix=hint)
    path = found.joinpath(*parts)
    if not path.resolve().is_relative_to(found.resolve()):
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


def names(folders: Sequence[Path]) -> list[str]:
    """Of the templates in these folders and in those right below them, for the folder beside a flow may be any."""
    found = [path for folder in folders for deep in ("*", "*/*") for path in folder.glob(f"{deep}{SUFFIX}")]
    return sorted({"/".join(path.parts[-2:]) if path.parent not in folders else path.name for path in found})


def shipped_templates() -> list[Path]:
    return sorted((shipped_root() / FOLDER).rglob(f"[!_]*{SUFFIX}"))


@dataclass(frozen=True)
class Sheet:
    """A header as YAML gives it, with the line of each key."""

    path: Path
    end: int  # index of the line that closes it
    value: object
    lines: Mapping[Place, int]

    def at(self, *place: str) -> str:
        """The position of a key, or of the nearest one around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return position(self.path, self.lines.get(place, 1))

    def header(self) -> Header:
        fix = "a header holds purpose, yields or schema and, if wished, tags, sampling and needs"
        try:
            header = Header.model_validate(self.value)
        except ValidationError as error:
            location = error.errors()[0]["loc"]
            where = self.at(str(location[0])) if location else position(self.path, 1)
            raise TemplateError("has a wrong header: " + "; ".join(explain(error)), where=where, fix=fix) from error
        if header.yields and header.answer_schema is not None:
            fix = "keep one: tags that the template shows, or a schema that the server holds the answer to"
            raise TemplateError("has both yields and schema", where=self.at("schema"), fix=fix)
        if not header.yields and header.answer_schema is None:
            raise TemplateError("has a header with neither yields nor schema", where=self.at(), fix=fix)
        return header


def read_sheet(lines: list[str], path: Path) -> Sheet:
    if not lines or lines[0].rstrip() != "---":
        raise TemplateError("has no header", where=position(path, 1), fix="open with ---, purpose:, yields:, ---")
    end = next((index for index, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if end is None:
        raise TemplateError("has a header that never ends", where=position(path, 1), fix="close it with a line ---")
    text = "\n".join(lines[1:end])
    if len(text) > HEADER:
        raise TemplateError(f"has a header of more than {HEADER} characters", where=position(path, 1), fix="shorten it")
    if text.count("[") + text.count("{") > BRACKETS:  # on which PyYAML spends seconds
        fix = "name each tag once, and write a schema in lines rather than in braces"
        raise TemplateError("has too many brackets in its header", where=position(path, 1), fix=fix)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise TemplateError("has an alias in its header", where=position(path, 1), fix="write the value out")
        value = yaml.safe_load(text)
        repr(value)  # a number of thousands of digits fails here, not in the text of an error about it
        return Sheet(path, end, value, dict(key_lines(yaml.compose(text, yaml.SafeLoader), path)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise TemplateError(
            f"has a header that is not valid YAML: {error.problem}", where=position(path, line), fix="correct the YAML"
        ) from error
    except HEADER_FAILURES as error:
        raise TemplateError(
            f"has a header that is not valid YAML: {error}", where=position(path, 1), fix="correct the YAML"
        ) from error


def key_lines(node: yaml.Node | None, path: Path, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """The place and the line of each key; raises TemplateError for one that stands twice, of which YAML takes any."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 2
        if name in seen:
            raise TemplateError(f"names {name!r} twice", where=position(path, line), fix="keep one of them")
        seen.add(name)
        yield (*place, name), line
        yield from key_lines(value, path, (*place, name))


def check_tags(yields: Sequence[str], sheet: Sheet, lines: list[str]) -> None:
    """Tags must be told apart, and one that the teacher is never shown cannot come back in its answer."""
    where = sheet.at("yields")
    tags = (*yields, END)
    if len(set(tags)) < len(tags):
        raise TemplateError(
            f"yields a tag twice, or the tag {END}", where=where, fix=f"name each once; {END} closes every group"
        )
    body = "\n".join(lines[sheet.end + 1 :])
    for tag in tags:
        if f"[{tag.upper()} " not in body:
            fix = f"write the form of the answer, with [{tag.upper()} 1] in its place, or correct `yields`"
            raise TemplateError(f"never shows the teacher the tag [{tag.upper()} 1]", where=where, fix=fix)


def check_own_tags(yields: Sequence[str], tags: Mapping[str, Sequence[str]], sheet: Sheet, lines: list[str]) -> None:
    """Each text has tags that the prompt shows, and that tell what they open and close."""

    def wrong(what: str, fix: str, *place: str) -> TemplateError:
        return TemplateError(what, where=sheet.at("tags", *place), fix=fix)

    for name in tags:
        if name not in yields:
            near = difflib.get_close_matches(name, yields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it yields {', '.join(yields) or 'by its schema'}"
            raise wrong(f"has tags for {name!r}, which it does not yield", hint, name)
    if missing := [name for name in yields if name not in tags]:
        raise wrong(f"has no tags for {missing[0]!r}", "name them for all that it yields, or for none")
    if len(set(yields)) < len(yields):
        raise TemplateError("yields a tag twice", where=sheet.at("yields"), fix="name each once")
    if late := [name for name in yields[1:] if not tags[name][0]]:
        raise wrong(f"opens {late[0]!r} with nothing", "only the first text may begin without a tag", late[0])
    opening = [marked(tags[name][0]) for name in yields if tags[name][0]]
    closing = {marked(mark) for name in yields for mark in tags[name][1:]}
    for name, mark in zip([name for name in yields if tags[name][0]], opening, strict=True):
        if opening.count(mark) > 1 or mark in closing:
            what = f"has the tag {tags[name][0]!r} for two things"
            raise wrong(what, 'give each text its own tag; write "" for what the next one closes', name)
    body = marked("\n".join(lines[sheet.end + 1 :]))
    for name in yields:
        for mark in tags[name]:
            if marked(mark) not in body:
                fix = "write the form of the answer with it, or correct `tags`"
                raise wrong(f"never shows the teacher the tag {mark!r}", fix, name)


def marked(text: str) -> str:
    """A tag as it is looked for: whatever its case and blanks."""
    return " ".join(text.split()).casefold()


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
