"""Mutants of valid leaves, by value and by text: what a hurried, a careless or a hostile hand makes of a `qna.yaml`.

The same seed gives the same mutants, all of them different.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STARTER = Path(__file__).parents[2] / "taxonomy"
SKILL, KNOWLEDGE, FOUNDATION = "compositional_skills/sums", "knowledge/tides", "foundational_skills/sums"


@dataclass(frozen=True)
class Mutant:
    name: str  # of the base, and of what was done to it
    folder: str  # below a root that names no kind
    data: bytes

    def write(self, root: Path) -> Path:
        """The file, with an attribution beside it."""
        folder = root / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "attribution.txt").write_text("Ann\n", encoding="utf-8")
        (folder / "qna.yaml").write_bytes(self.data)
        return folder / "qna.yaml"


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """`count` different ones; the bases themselves come first."""
    rng = random.Random(seed)
    known: set[tuple[str, bytes]] = set()
    for name, (folder, text) in BASES.items():
        known.add((folder, hashlib.sha256(text.encode()).digest()))
        yield Mutant(name, folder, text.encode())
    names = list(BASES)
    while len(known) < count:
        name = rng.choice(names)
        folder, text = BASES[name]
        if rng.random() < 0.02:
            folder = rng.choice(_FOLDERS)
        edits = []
        if rng.random() < 0.35:
            text, edit = _by_value(rng, text)
            edits.append(edit)
        for _ in range(rng.choice((1, 1, 1, 2, 3)) if not edits or rng.random() < 0.4 else 0):
            function = rng.choice(_TEXT_EDITS)
            text = function(rng, text)
            edits.append(function.__name__.strip("_"))
        data, wrapped = _encoded(rng, text)
        mark = (folder, hashlib.sha256(data).digest())
        if mark not in known:
            known.add(mark)
            yield Mutant(" + ".join((name, *edits, *wrapped)), folder, data)


# --- the valid leaves -------------------------------------------------------------------------------------------


def _skill(version: int, *, grounded: bool = False, count: int = 5) -> dict[str, Any]:
    seeds = []
    for number in range(count):
        seed = {"question": f"What is {number} plus {number}?", "answer": f"{number + number} in all"}
        seeds.append({"context": f"The number is {number}.\nIt is small.\n", **seed} if grounded else seed)
    head = {"version": version} if version > 1 else {}
    return {**head, "created_by": "ann", "task_description": "Add numbers.", "seed_examples": seeds}


def _knowledge() -> dict[str, Any]:
    seeds = [
        {
            "context": f"Harbour {number} has a tide of {number} metres.",
            "questions_and_answers": [
                {"question": f"What is fact {pair} of harbour {number}?", "answer": f"Fact {pair}."}
                for pair in range(3)
            ],
        }
        for number in range(5)
    ]
    source = {"repo": "https://example.org/tides.git", "commit": "a" * 40, "patterns": ["*.md", "a.md"]}
    head = {"version": 3, "created_by": "ann", "domain": "oceans", "document_outline": "What tides are."}
    return {**head, "document": source, "seed_examples": seeds}


def _dumped(values: object, **style: Any) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, **{"width": 1000, **style})


WRITTEN = """\
version: 3
created_by: 'ann'
task_description: >-
  Add numbers,
  one by one.

seed_examples:
  - question: "What is \\"one\\" plus one?"
    answer: |
      Two.

      # no comment
  # a comment
  - question: 'It''s 2 + 2 - what?'  # another
    context: |2+
        Four: [4, {four}] & *more*

    answer: "Four \\
      in all"
  - {question: What is three, answer: "3: three"}
  - question: What
      is four?
    answer: 4, of course
  -   question: |-
        Five - and - five? !
      answer: Ten \N{GRINNING FACE}
"""

WITH_ANCHORS = """\
---
version: 3
created_by: &who ann
task_description: *who
seed_examples:
- &first {question: &q What is one, answer: One.}
- <<: *first
  question: What is two?
- question: *q
  answer: !!str 3
- ? question
  : What is four?
  ? answer
  : Four.
- {<<: [*first, {answer: x}], answer: Five.}
...
"""

BASES: dict[str, tuple[str, str]] = {
    "version 1": (FOUNDATION, _dumped(_skill(1, count=2))),
    "version 1, by folder": (SKILL, _dumped(_skill(1, grounded=True, count=3))),
    "version 2": (SKILL, _dumped(_skill(2, grounded=True))),
    "version 3": (SKILL, _dumped(_skill(3))),
    "version 3, indented": (SKILL, _dumped(_skill(3), indent=4)),
    "version 3, in one flow": (SKILL, _dumped(_skill(3), default_flow_style=True)),
    "version 3, as JSON": (SKILL, _dumped(_skill(3), default_flow_style=True, default_style='"')),
    "knowledge": (KNOWLEDGE, _dumped(_knowledge())),
    "knowledge, elsewhere": ("other/tides", _dumped(_knowledge(), width=40)),
    "written by hand": (SKILL, WRITTEN),
    "with anchors": (SKILL, WITH_ANCHORS),
    **{
        path.parent.name: (path.parent.relative_to(STARTER).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(STARTER.rglob("qna.yaml"))
    },
}

_FOLDERS = [
    "knowledge/a",
    "compositional_skills/a",
    "foundational_skills/a",
    "knowledge/compositional_skills/a",
    "compositional_skills/knowledge/a",
    "Knowledge/a",
    "a",
]

# --- by value ---------------------------------------------------------------------------------------------------

_VALUES: list[Any] = [
    None,
    "", " ", "\n", "text", "with: colon", "# none", "\U0001f600", 0, 1, 2, 3, 4, 7, -1, 2.5, 3.0, 1e300, float("inf"),
    float("nan"), True, False, [], {}, [[]], ["x"], ["x", "x"], [1, 1.0, True], {"k": "v"}, {1: 2}, {None: 0}, "3",
    "null", datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4), b"bytes", 10**30, {"a", "b"}, "x" * 300,
    "a  \nb",
]  # fmt: skip
_KEYS = [
    "version", "created_by", "task_description", "seed_examples", "question", "answer", "context", "document",
    "domain", "document_outline", "questions_and_answers", "repo", "commit", "patterns", "Version", "extra", "", 1,
    1.0, True, None, "<<", "=", "attribution",
]  # fmt: skip
_DUMPS: list[dict[str, Any]] = [
    {}, {}, {}, {"indent": 3}, {"width": 30}, {"default_flow_style": True}, {"default_style": '"'},
    {"default_style": "'"}, {"default_style": "|"}, {"explicit_start": True}, {"explicit_end": True},
    {"canonical": True},
]  # fmt: skip


def _by_value(rng: random.Random, text: str) -> tuple[str, str]:
    values = yaml.safe_load(text)
    done = []
    for _ in range(rng.choice((1, 1, 2))):
        paths = list(_paths(values))
        path = rng.choice(paths)
        holder = values
        for step in path[:-1]:
            holder = holder[step]
        done.append(_edit_value(rng, holder, path[-1]))
    return _dumped(_unshared(values), **rng.choice(_DUMPS)), "value: " + ", ".join(done)


def _paths(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inner:
        yield from _paths(value, (*path, key))


def _edit_value(rng: random.Random, holder: Any, key: Any) -> str:
    target = holder[key]
    kind = rng.choice(("replace", "replace", "delete", "repeat", "add", "rename", "shorten", "twin"))
    if kind == "delete":
        del holder[key]
    elif kind == "repeat" and isinstance(target, list) and target:
        target.append(copy.deepcopy(rng.choice(target)))
    elif kind == "add" and isinstance(target, dict):
        target[rng.choice(_KEYS)] = _value(rng)
    elif kind == "rename" and isinstance(holder, dict):
        holder[rng.choice(_KEYS)] = holder.pop(key)
    elif kind == "shorten" and isinstance(target, list) and target:
        del target[rng.randrange(len(target))]
    elif kind == "twin" and isinstance(target, list) and target and isinstance(target[0], dict):
        # Two entries that are alike but for one value, which JSON may or may not call the same.
        one, other = copy.deepcopy(target[0]), copy.deepcopy(target[0])
        one["more"], other["more"] = _value(rng), _value(rng)
        target += [one, other]
    else:
        holder[key] = _value(rng)
        kind = "replace"
    return kind


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(_VALUES))


def _unshared(values: Any) -> Any:
    """Each value an object of its own, so that nothing is dumped as an alias."""
    if isinstance(values, dict):
        return {key: _unshared(value) for key, value in values.items()}
    return [_unshared(value) for value in values] if isinstance(values, list) else values


# --- by text ----------------------------------------------------------------------------------------------------

_PIECES = [
    "\t", "?", ":", "-", "[", "]", "{", "}", "%", "&", "*", "!", "|", ">", "'", '"', "#", "@", "`", " ", "\n", ",",
    "\\", "<", "=", "~", "---", "...", "? ", ": ", "- ", " #", "# ", "&a ", "*a", "*a ", "!!str ", "!t ", "|\n",
    ">-\n", "|2\n", "\n\n", "  ", "\n ", "\n  ", "\t\n", " \n", "é", "\U0001f600", "0", "a", "<<: ", "%YAML 1.1\n",
    "%YAML 1.2\n", "%X\n", "%TAG ! x:\n", "\\x41", '\\"', "''", "{a: b}", "[a, b]", "{a}", "a:", "::", "?a", "-a",
    ":a", "{?", "{:", ",a", "!<x>", "!<", "!!", "|#", ">#", "\r", "\r\n", "\x85", "\u2028", "\u2029", "\ufeff", "\0",
    "\x07", "\x7f", "\u200b", "\xa0", "\ufffe",
]  # fmt: skip
_SCALARS = [
    "", "~", "null", "yes", "off", "0", "-0", "+1", "0x1f", "0b11", "0o17", "017", "08", "0b_", "0x_", "1_000",
    "1:30", "190:20:30", "1:30.5", "1e3", "1.5e+3", "1.", ".5", ".inf", "-.INF", ".nan", "2024-01-02", "2024-13-45",
    "2024-01-02T03:04:05Z", "2024-1-2 3:4:5 +25:00", "0001-01-01 00:00:00 +23:59", "=", "<<", "?", "-", "|", ">",
    "''", '""', "'it''s'", '"\\x41"', '"\\ud83d"', '"\\U00110000"', '"\\q"', '"\\/"', "[]", "{}", "[a, b]", "{a: b}",
    "[a: b]", "[a,, b]", "{a: b,}", "[[]]", "&x y", "*x", "&a a", "*a", "!!str 5", "!!str", '!!int "3"', "!!int",
    "!!int abc", "!!int 1:2", "!!float 3", '!!float ""', "!!bool no", "!!bool maybe", "!!null x", "!!binary aGk=",
    "!!binary YQ==", "!!binary é", "!!binary a", "!!timestamp x", "!!timestamp 2024-01-02", "!!set {a, b}",
    "!!set {a: 1}", "!!set [a]", "!!omap [a: 1]", "!!omap [a: 1, b: 2]", "!!omap {a: 1}", "!!omap []",
    "!!pairs [a: 1, a: 2]", "!!map {}", "!!map x", "!!seq [a]", "!!seq x", "!!str {=: x}", "!!int {=: 3}",
    "!!merge x", "!local x", "! x", "!<tag:yaml.org,2002:str> 5", "!!python/none", "!!python/tuple [a]",
    "!!python/object/apply:os.system [x]", "!e!x", "@x", "`x`", "%x", "a: b", "a : b", "a #b", "a# b", "- a",
    "x\n  y", "x\ny", "|\n  x", "|-\n    x\n   y", "|+\n  x\n\n", ">2\n  x", "|9\n  x", "|#\n  x", "| # c\n  x",
    "'a\n\n  b'", '"a\n  b"', '"a', "'a", "[a", "{a", "a]", "a}", "a\tb", "\ta", "a\u2028b", "a\x85b", "9" * 4301,
    "0x" + "f" * 5000, "x" * 1100, "[a]: b", "{a: b}: c", "97", "[97]", "true", "1.0", "1", "x",
]  # fmt: skip
_LINES = [
    "more: x", "1: x", "1.0: y", "true: z", "~: x", "? x", "? [a]\n: b", "? {a: b}\n: c", "=: x", "<<: {more: x}",
    "<<: [{a: b}]", "<<: x", "<<: *first", "!!str more: x", "'question': x", "question: x", "answer: x", "context: x",
    "created_by: bob", "version: 3", "- x", "-", "# comment", "#", "---", "...", "--- x", "%YAML 1.1", "", "   ",
    "\t", "x", "# yamllint disable", "# yamllint enable", "# yamllint disable-line",
    "# yamllint disable rule:key-duplicates", "# yamllint disable rule:trailing-spaces",
    "# yamllint enable rule:trailing-spaces", "# yamllint disable-file",
    "# yamllint disable-line rule:trailing-spaces rule:colons", "# yamllint disable rule:nothing",
    "#yamllint disable", "# yamllint disable rule:empty-lines",
    "# yamllint disable rule:indentation rule:new-line-at-end-of-file",
]  # fmt: skip
_INLINE = [
    "  # c",
    " # yamllint disable-line",
    " # yamllint disable-line rule:trailing-spaces",
    "# yamllint disable-line",
    " #",
]
_FIRST_LINES = [
    "# yamllint disable-file",
    "#yamllint disable-file  ",
    "---",
    "--- # x",
    "",
    "# yamllint disable",
    "%YAML 1.1\n---",
]


def _insert(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(_PIECES) + text[at:]


def _insert_at_a_joint(rng: random.Random, text: str) -> str:
    joints = [at for at, sign in enumerate(text, start=1) if sign in ":-[{,'\"|>\n"]
    at = rng.choice(joints or [0])
    return text[:at] + rng.choice(_PIECES) + text[at:]


def _odd_breaks(rng: random.Random, text: str) -> str:
    """Characters that end a line for YAML and not for editors, or that have no width."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(("\x85", "\u2028", "\u2029", "\ufeff", " \u2028", "\x85\n")) + text[at:]
    return text


def _delete(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at + rng.choice((1, 1, 1, 2, 5)) :]


def _swap(rng: random.Random, text: str) -> str:
    if len(text) < 2:
        return text
    one, other = sorted(rng.sample(range(len(text)), 2))
    return text[:one] + text[other] + text[one + 1 : other] + text[one] + text[other + 1 :]


def _move_lines(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines.insert(one, lines[other])
        case 1:
            del lines[one]
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines[one] = " " * rng.randrange(8) + lines[one].lstrip()
        case _:
            low, high = sorted((one, other))
            lines[low:high] = [" " * rng.choice((1, 2, 4)) + line if line else line for line in lines[low:high]]
    return "\n".join(lines)


def _other_scalar(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    before, colon, _ = lines[at].partition(": ")
    if not colon:
        before, colon = lines[at].rstrip(": "), ": "
    indent = " " * (len(before) - len(before.lstrip(" -")))
    lines[at] = before + colon + rng.choice(_SCALARS).replace("\n", "\n" + indent)
    return "\n".join(lines)


def _other_version(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = next((at for at, line in enumerate(lines) if line.startswith("version:")), None)
    if at is None:
        lines.insert(0, f"version: {rng.choice((1, 2, 3))}")
    elif rng.random() < 0.2:
        del lines[at]
    else:
        lines[at] = "version: " + rng.choice(("1", "2", "3", "3.0", "0x3", "'3'", "4", "true", *_SCALARS))
    return "\n".join(lines)


def _more_lines(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    near = lines[at - 1] if at else lines[0]
    indent = len(near) - len(near.lstrip(rng.choice((" ", " -"))))
    added = rng.choice(_LINES)
    lines.insert(at, "\n".join(" " * indent + part for part in added.split("\n")))
    return "\n".join(lines)


def _first_line(rng: random.Random, text: str) -> str:
    return rng.choice(_FIRST_LINES) + "\n" + text


def _untidy(rng: random.Random, text: str) -> str:
    """What yamllint is about: blanks, empty lines, the end of the file."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(8):
        case 0:
            lines[at] += rng.choice((" ", "  ", "\t"))
        case 1:
            lines[at:at] = [""] * rng.choice((2, 3, 4))
        case 2:
            return text.rstrip("\n")
        case 3:
            return text + rng.choice(("\n", "\n\n\n", "  ", "# end", "...\n", "..."))
        case 4:
            lines[at] = lines[at].replace(": ", rng.choice((":  ", " : ", " :  ")), 1)
        case 5:
            lines[at] = lines[at].replace("- ", rng.choice(("-  ", "-   ")), 1)
        case 6:
            lines[at] += rng.choice(_INLINE)
        case _:
            lines[at] = lines[at].replace("{", "{  ").replace("]", "  ]").replace(", ", rng.choice((",", " , ", ",  ")))
    return "\n".join(lines)


def _extra_in_pairs(rng: random.Random, text: str) -> str:
    """Keys below the answers, which knowledge leaves may have; two of the pairs may become alike."""
    lines = text.split("\n")
    answers = [at for at, line in enumerate(lines) if line.lstrip(" -").startswith("answer:")]
    if not answers:
        return text
    at = rng.choice(answers)
    indent = " " * (len(lines[at]) - len(lines[at].lstrip(" -")))
    question = next((line for line in reversed(lines[:at]) if "question:" in line), "- question: x")
    one, other = rng.choice(_SCALARS), rng.choice(_SCALARS)
    key = rng.choice(("more", "1", "~", ".nan", "2024-01-02", "? [a]", "true"))
    twin = f"{indent}{rng.choice((key, '1.0'))}: {rng.choice((one, other))}"
    lines[at + 1 : at + 1] = "\n".join((f"{indent}{key}: {one}", question, lines[at], twin)).split("\n")
    return "\n".join(lines)


def _anchored(rng: random.Random, text: str) -> str:
    """An anchor somewhere, and its alias further down."""
    lines = text.split("\n")
    one, other = sorted((rng.randrange(len(lines)), rng.randrange(len(lines))))
    for at, sign in ((one, "&x "), (other, "*x")):
        before, colon, after = lines[at].partition(": ")
        if colon:
            lines[at] = before + colon + sign + (after if sign == "&x " else "")
    return "\n".join(lines)


_TEXT_EDITS: list[Callable[[random.Random, str], str]] = [
    _odd_breaks, _insert, _insert_at_a_joint, _delete, _swap, _move_lines, _move_lines, _other_scalar, _other_scalar,
    _other_scalar, _other_version, _more_lines, _more_lines, _first_line, _untidy, _untidy, _untidy, _extra_in_pairs,
    _anchored,
]  # fmt: skip


def _encoded(rng: random.Random, text: str) -> tuple[bytes, list[str]]:
    """As UTF-8, but for a few."""
    match rng.randrange(100):
        case 0:
            return text.encode("utf-16"), ["UTF-16"]
        case 1:
            return text.encode("latin-1", "replace"), ["Latin-1"]
        case 2:
            return text.replace("\n", "\r\n").encode("utf-8", "replace"), ["CRLF"]
        case 3:
            return b"\xef\xbb\xbf" + text.encode("utf-8", "replace"), ["byte order mark"]
        case 4:
            return text.replace("\n", "\r").encode("utf-8", "replace"), ["CR"]
        case 5:
            data = bytearray(text.encode("utf-8", "replace"))
            data.insert(rng.randrange(len(data) + 1), rng.randrange(256))
            return bytes(data), ["a byte"]
        case _:
            return text.encode("utf-8", "replace"), []
