"""Reads a policy pack: a YAML file of rules, each with phrases or a pattern, told of by file and line when wrong."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NoReturn

from instructlab_like.errors import RecipeError, position
from instructlab_like.filters.parts.bounded import PatternError, bounded
from instructlab_like.filters.parts.parting import PARTS, Part
from instructlab_like.taxonomy.yaml_lines import Entry, Items, Mapping, Node, Scalar, load

_NAME = re.compile(r"[a-z0-9]{1,30}(?:-[a-z0-9]{1,30}){0,5}")
_KEYS = ("name", "message", "phrases", "pattern", "case", "fields", "action", "mask")
MOST_RULES = 500
MOST_PHRASES = 2_000
LARGEST = 1_000_000  # bytes of a pack


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    message: str
    action: Literal["reject", "mask"]
    mask: str
    parts: frozenset[Part]
    case: bool  # whether capitals and small letters differ
    needles: tuple[str, ...]  # one of them is in every text that the pattern matches; empty: unknown
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Pack:
    digest: str
    rules: tuple[Rule, ...]


def pack(path: Path) -> Pack:
    """The rules of a file; raises RecipeError for a file that is missing or wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        fix = "check the option `file` of the filter `policy`"
        raise RecipeError("there is no such policy file", where=str(path), fix=fix) from error
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    if len(data) > LARGEST:
        fix = "make several files of it, and name one"
        raise RecipeError(f"is larger than {LARGEST:,} bytes", where=str(path), fix=fix)
    return _parsed(str(path), data)


@lru_cache(maxsize=8)
def _parsed(path: str, data: bytes) -> Pack:
    return Pack(hashlib.sha256(data).hexdigest(), tuple(_Reading(path).rules(data)))


class _Reading:
    def __init__(self, path: str) -> None:
        self.path = path

    def fail(self, at: Node | Entry | None, what: str, fix: str) -> NoReturn:
        where = position(self.path, at.line, at.column) if at else self.path
        raise RecipeError(what, where=where, fix=fix)

    def rules(self, data: bytes) -> Iterator[Rule]:
        sheet = load(data)
        for problem in (*sheet.problems, *sheet.duplicates):
            raise RecipeError(problem.message, where=position(self.path, problem.line, problem.column), fix=problem.fix)
        root = sheet.root
        listed = root.get("rules") if isinstance(root, Mapping) else None
        if not isinstance(root, Mapping) or not isinstance(listed, Items):
            self.fail(root, "a policy file holds a list of rules", "write `rules:` and below it `- name: …`")
        for entry in root.entries:
            if entry.key != "rules":
                self.fail(entry, f"the key {entry.key!r} is not known here", "remove it, or move it into a rule")
        if len(listed.items) > MOST_RULES:
            self.fail(listed.items[MOST_RULES], f"there are more than {MOST_RULES} rules", "make fewer")
        names: set[str] = set()
        for node in listed.items:
            rule = self.rule(node)
            if rule.name in names:
                self.fail(node, f"there are two rules called {rule.name!r}", "call one of them otherwise")
            names.add(rule.name)
            yield rule

    def rule(self, node: Node) -> Rule:
        if not isinstance(node, Mapping):
            self.fail(
                node, "a rule is a mapping of key: value", "write `- name: …` and below it its phrases or pattern"
            )
        for entry in node.entries:
            if entry.key not in _KEYS:
                near = difflib.get_close_matches(str(entry.key), _KEYS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}"
                self.fail(entry, f"the key {entry.key!r} is not known here", hint)
        name = self.text(node, "name", "")
        if not _NAME.fullmatch(name):
            at = node.entry("name")
            self.fail(
                at.value if at else node, "a rule needs a name", "write `name:` with small letters, digits and hyphens"
            )
        case = self.choice(node, "case", (False, True), False)
        sources, needles = self.sources(node, case=bool(case))
        return Rule(
            name=name,
            message=self.text(node, "message", f"the policy {name} forbids it"),
            action="mask" if self.choice(node, "action", ("reject", "mask"), "reject") == "mask" else "reject",
            mask=self.text(node, "mask", f"[{name.upper()}]"),
            parts=frozenset(self.parts(node)),
            case=bool(case),
            needles=needles if case else tuple(needle.lower() for needle in needles),
            pattern=re.compile("|".join(sources), 0 if case else re.IGNORECASE),
        )

    def sources(self, node: Mapping, *, case: bool) -> tuple[list[str], tuple[str, ...]]:
        """What the rule looks for, as patterns, and words of which every find has one."""
        sources, needles, every = list[str](), list[str](), True
        for phrase in self.phrases(node):
            sources.append(_spelled(phrase))
            needles.append(max(phrase.split(), key=len))
        if entry := node.entry("pattern"):
            told = self.pattern(entry.value)
            sources.append(f"(?:{told.pattern})")
            every = bool(told.needles)
            needles += told.needles
        if not sources:
            self.fail(node, "a rule needs phrases or a pattern", "write `phrases: [ … ]` or `pattern: …`")
        if re.compile("|".join(sources), 0 if case else re.IGNORECASE).search(""):
            self.fail(
                node.entry("pattern") or node, "the pattern matches the empty text", "make some part of it needed"
            )
        return sources, tuple(dict.fromkeys(needles)) if every else ()

    def phrases(self, node: Mapping) -> Iterator[str]:
        entry = node.entry("phrases")
        if not entry:
            return
        listed = entry.value
        if not isinstance(listed, Items) or not listed.items:
            self.fail(listed, "phrases are a list of texts", "write `- …` below `phrases:`, one a line")
        if len(listed.items) > MOST_PHRASES:
            self.fail(listed.items[MOST_PHRASES], f"there are more than {MOST_PHRASES:,} phrases", "make several rules")
        for item in listed.items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str) or len(item.value.strip()) < 2:
                self.fail(
                    item, "a phrase is a text of two letters or more", "write it, in quotes if it looks like a number"
                )
            yield item.value

    def pattern(self, node: Node) -> _Told:
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
            self.fail(node, "a pattern is a text", "write it in single quotes")
        try:
            told = bounded(node.value)
        except PatternError as error:
            self.fail(node, f"{error.what} (character {error.column} of the pattern)", error.fix)
        return _Told(told.pattern, told.needles)

    def parts(self, node: Mapping) -> tuple[Part, ...]:
        entry = node.entry("fields")
        if not entry:
            return PARTS
        if not isinstance(entry.value, Items) or not entry.value.items:
            self.fail(entry.value, "fields are a list", f"write some of: {', '.join(PARTS)}")
        found = []
        for item in entry.value.items:
            known = [part for part in PARTS if isinstance(item, Scalar) and item.value == part]
            if not known:
                self.fail(item, "there is no such field", f"known: {', '.join(PARTS)}")
            found += known
        return tuple(found)

    def text(self, node: Mapping, key: str, otherwise: str) -> str:
        entry = node.entry(key)
        if not entry:
            return otherwise
        if (
            not isinstance(entry.value, Scalar)
            or not isinstance(entry.value.value, str)
            or not entry.value.value.strip()
        ):
            self.fail(entry.value, f"{key} is a text", "write it, in quotes if it looks like a number")
        return " ".join(entry.value.value.split())

    def choice(self, node: Mapping, key: str, known: tuple[str | bool, ...], otherwise: str | bool) -> str | bool:
        entry = node.entry(key)
        if not entry:
            return otherwise
        for value in known:
            if isinstance(entry.value, Scalar) and (type(value), value) == (type(entry.value.value), entry.value.value):
                return value
        listed = ", ".join(str(value).lower() for value in known)
        return self.fail(entry.value, f"there is no such value of {key}", f"known: {listed}")


@dataclass(frozen=True, slots=True)
class _Told:
    pattern: str
    needles: tuple[str, ...]


def _spelled(phrase: str) -> str:
    """A phrase as a pattern: on its own, with any blanks between its words."""
    words = r"\s{1,4}".join(map(re.escape, phrase.split()))
    before = r"(?<!\w)" if re.match(r"\w", phrase.split()[0]) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", phrase.rstrip()) else ""
    return f"{before}{words}{after}"
