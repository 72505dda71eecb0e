"""Rejects answers with code that does not parse or, where it is asked for, does not pass the tests beside it."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import yaml
from pydantic import Field

from instructlab_like.confined import programs
from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.records import Sample

NO_CODE = not_applied("no block of code that says what it is in")
PARSES = kept("its blocks of code parse")
NO_TESTS = kept("its blocks of code parse; no test stands beside them")
LONGEST = 100_000  # characters of an answer that are looked at
DEEPEST = 80  # brackets or indentations in each other, beyond which parsers give up in ways of their own
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}+|~{3,}+)[ \t]*(?P<info>[^\s`{]*)[^\n]*\n", re.MULTILINE)
LANGUAGES = {
    "python": "Python", "py": "Python", "python3": "Python", "py3": "Python",
    "json": "JSON", "yaml": "YAML", "yml": "YAML",
}  # fmt: skip
PROMPT = re.compile(r"^\s*>>> ", re.MULTILINE)
MAGIC = re.compile(r"^[ \t]*[%!][a-z][^\n]*$", re.MULTILINE)  # of notebooks
TESTED = re.compile(r"^\s*assert\b|^\s*>>> |^\s*def test_|\bTestCase\b", re.MULTILINE)
ASSERT = re.compile(r"^[ \t]*(?P<line>assert\b[^\n]+)$", re.MULTILINE)
SIGNS = re.compile(r"(?:(?:\bnot\b|\blambda\b|[-+~])[ \t:]*){20,}")  # deep without brackets
QUOTES = re.compile(r"\"\"\"|'''|^\s*```")
TEMPLATED = re.compile(r"\{\{|\{%")
WARNINGS = threading.Lock()  # filters of warnings are one for all threads

Seconds = Annotated[float, Field(gt=0, le=60)]
Megabytes = Annotated[int, Field(ge=64, le=8192)]


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    number: int  # of the answer's blocks, from 1


class Code(SampleFilter):
    """Parses the fenced blocks of an answer that say they are Python, JSON or YAML, and rejects what does not parse.

    Sessions with prompts (`>>>`) and lines for notebooks (`%pip`, `!ls`) are no faults, nor are templates in YAML,
    lines of JSON, and code with `return` or `await` on its own. Blocks of other languages, and of none, are not looked
    at.

    With `run`, Python with tests beside it is run too: asserts, sessions, `test_…` functions and unittest cases in the
    answer, asserts and sessions in the question. It runs in a process of its own without packages, environment and
    standard input, in an empty folder, with limits on processor time, memory, files and processes; without network
    where the kernel lets it, else refused by Python alone. That is a fence, not a wall: such a program can read what
    you can read. Where strangers wrote it, run it in a container.

    What needs a package, input or the network is kept without judgement. It cannot know whether the tests are right.
    """

    version: ClassVar[int] = 1

    run: bool = False
    """Run Python against the tests beside it."""
    seconds: Seconds = programs.SECONDS
    """Of processor time, for a program and its tests."""
    memory: Megabytes = programs.MEMORY
    """Megabytes of a program's address space."""

    def judge(self, sample: Sample) -> Judgement:
        if "```" not in sample.answer and "~~~" not in sample.answer:
            return NO_CODE
        found = list(blocks(sample.answer[:LONGEST]))
        if not found:
            return NO_CODE
        for block in found:
            if wrong := fault(block):
                which = f" (block {block.number})" if block.number > 1 else ""
                return rejected(
                    f"no-{block.language.lower()}", f"what says it is {block.language} does not parse{which}: {wrong}"
                )
        if not self.run:
            return PARSES
        return self.tried(sample, [block for block in found if block.language == "Python"])

    def tried(self, sample: Sample, found: Sequence[Block]) -> Judgement:
        """What running the answer's program against its tests says of it."""
        sessions = [block.text for block in found if PROMPT.search(block.text) and not parsed(block.text)]
        program = "\n\n".join(MAGIC.sub("", block.text) for block in found if block.text not in sessions)
        checks = [*sessions, *asserts(sample.question, program)]
        if PROMPT.search(sample.question):
            checks.append(session(sample.question))
        if not program.strip() or not (checks or TESTED.search(program)):
            return NO_TESTS
        told = programs.ran(program, checks, seconds=self.seconds, memory=self.memory)
        match told.outcome:
            case "passed" if told.what == "0":
                return NO_TESTS
            case "passed":
                return kept(f"its program passes {told.what} {'check' if told.what == '1' else 'checks'}")
            case "failed":
                return rejected("failed-test", f"its program fails {told.what}")
            case "broken":
                return rejected("broken-program", f"its program breaks off: {told.what}")
            case "slow":
                limit = f"{self.seconds:g} s of processor time"
                return rejected("slow-program", f"its program is not done after {limit}", threshold=self.seconds)
            case "memory":
                return rejected("large-program", f"its program needs more than {self.memory} MB", threshold=self.memory)
            case "waits":
                return rejected("waiting-program", "its program waits for what never comes")
            case "ended":
                return rejected("broken-program", f"its program ends the process it runs in ({told.what})")
            case "missing":
                return not_applied(f"its program needs {told.what}, which is not in the standard library")
            case "input":
                return not_applied("its program asks for input")
            case "refused":
                return not_applied(f"its program does what is refused here: {told.what}")


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a text that say what they are in; the last one may lack its end."""
    at, number = 0, 0
    while opening := FENCE.search(text, at):
        closing = re.compile(
            rf"^[ \t]*{re.escape(opening['fence'][0])}{{{len(opening['fence'])},}}[ \t]*$", re.MULTILINE
        )
        end = closing.search(text, opening.end())
        inner = text[opening.end() : end.start() if end else len(text)]
        number += 1
        language = LANGUAGES.get(opening["info"].casefold())
        if language:
            yield Block(language, textwrap.dedent(inner), number)
        at = end.end() if end else len(text)


def fault(block: Block) -> str:
    """Why a block does not parse; "" if it does, or is too large or too deep for that to be told."""
    if len(block.text) > LONGEST or depth(block.text) > DEEPEST or not block.text.strip():
        return ""
    match block.language:
        case "Python":
            return python(block.text)
        case "JSON":
            return of_json(block.text)
        case _:
            return of_yaml(block.text)


def depth(text: str) -> int:
    """How deep brackets and blocks may stand in each other, at most."""
    deep = most = 0
    for character in re.findall(r"[()\[\]{}]", text):
        deep = deep + 1 if character in "([{" else max(0, deep - 1)
        most = max(most, deep)
    indents = set(re.findall(r"^[ \t]+", text, re.MULTILINE))
    signs = SIGNS.search(text)
    return max(most, len(indents), DEEPEST + 1 if signs else 0)


def python(text: str) -> str:
    if PROMPT.search(text):
        return ""  # a session, whose output is no Python
    try:
        _parse(text)
    except SyntaxError as error:
        if MAGIC.search(text) and parsed(MAGIC.sub("", text)):
            return ""
        return f"line {error.lineno}: {error.msg}" if error.lineno else f"{error.msg}"
    except (ValueError, MemoryError, RecursionError):
        return ""
    return ""


def parsed(text: str) -> bool:
    try:
        _parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _parse(text: str) -> ast.Module:
    """The tree of a program. A warning, as of an odd escape, is nobody's business here, and no error."""
    with WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def of_json(text: str) -> str:
    try:
        json.loads(text, parse_int=str)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(_is_json(line) for line in lines):
            return ""
        return f"line {error.lineno}: {error.msg}"
    except RecursionError:
        return ""
    return ""


def _is_json(line: str) -> bool:
    try:
        json.loads(line, parse_int=str)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def of_yaml(text: str) -> str:
    if TEMPLATED.search(text):
        return ""
    try:
        for _ in yaml.parse(text, Loader=yaml.CSafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return f"line {mark.line + 1}: {error.problem}" if mark else str(error.problem)
    except yaml.YAMLError as error:
        return str(error).splitlines()[0]
    except RecursionError:
        return ""
    return ""


def asserts(question: str, program: str) -> list[str]:
    """The asserts that a question names, each that parses, where the program does not repeat it."""
    found = [match["line"].strip() for match in ASSERT.finditer(question)]
    return [line for line in found if line not in program and parsed(line)]


def session(question: str) -> str:
    """The examples with prompts in a question, and what they give; without the docstring or the text around them."""
    kept: list[str] = []
    inside = False
    for line in question.splitlines():
        inside = line.lstrip().startswith(">>> ") or (inside and bool(line.strip()) and not QUOTES.search(line))
        kept.append(line if inside else "")
    return textwrap.dedent("\n".join(kept))
