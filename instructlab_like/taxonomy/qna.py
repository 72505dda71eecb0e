"""The schema of `qna.yaml`, versions 1 to 3, to the letter of the published one; a located file in, a leaf out.

Every problem becomes a finding. A leaf comes out only if there was no error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from instructlab_like.records import DocumentSource, Knowledge, Pair, Seed, Skill
from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.yaml_lines import Entry, Items, Mapping, Node, Scalar, Value, identity

VERSIONS = (1, 2, 3)
LEAST_SEEDS = {1: 1, 2: 5, 3: 5}
LEAST_PAIRS = 3

_GUESSED = 20  # unknown keys of a leaf for which a known one is suggested
_HALVES = re.compile("[\ud800-\udfff]")
_KNOWLEDGE_KEYS = ("version", "created_by", "domain", "document_outline", "document", "seed_examples")
_SKILL_KEYS = ("version", "created_by", "task_description", "seed_examples")


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What a leaf's record says besides the contents of its file."""

    path: str  # below the root
    folders: tuple[str, ...]  # the root's own name, then the path's parts: they decide the kind
    blob: str
    version: int  # of the schema to read by


def kind_of(folders: Sequence[str], document: Mapping) -> Literal["knowledge", "skill"]:
    """The nearest folder that names a kind decides; without one, a `document` makes it knowledge."""
    for folder in reversed(folders):
        if folder == "knowledge":
            return "knowledge"
        if folder == "compositional_skills":
            return "skill"
    return "knowledge" if document.entry("document") else "skill"


def version_of(document: Mapping) -> int:
    """The version by which the file is to be read, which may be none that exists."""
    node = document.get("version")
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, (int, float, str)):
        try:
            return int(value)
        except (ValueError, OverflowError):
            return 1
    return 1


def parse(document: Mapping, facts: LeafFacts, findings: Findings) -> Knowledge | Skill | None:
    reader = _Reader(findings)
    version = facts.version
    if not reader.version(document, version):
        return None
    kind = kind_of(facts.folders, document)
    if kind == "knowledge" and version < 3:
        at = document.entry("version") or document
        message = f"knowledge leaves of version {version} are no longer read"
        fix = "write `version: 3`, with domain, document_outline, document, and seed examples about a context"
        findings.error(at, "deprecated", message, fix=fix, field="version")
        return None
    if _in_wrong_folder(document, kind, findings):
        return None
    if kind == "knowledge":
        return reader.knowledge(document, version, facts)
    return reader.skill(document, version, facts)


def source_of(document: Mapping) -> DocumentSource | None:
    """The documents that a file names, whatever else may be wrong with it."""
    aside = Findings("")
    source = _Reader(aside).source(document.get("document"))
    return None if aside.broken else source


def _in_wrong_folder(document: Mapping, kind: str, findings: Findings) -> bool:
    """One finding that says so, rather than one for every key that the other kind has."""
    knowledge = [entry for key in ("document", "document_outline", "domain") if (entry := document.entry(key))]
    task = document.entry("task_description")
    if kind == "skill" and knowledge and not task:
        message = f"{knowledge[0].key!r} makes this a knowledge leaf, but it lies below compositional_skills"
        findings.error(knowledge[0], "wrong-folder", message, fix="move the folder below knowledge/")
        return True
    if kind == "knowledge" and task and not knowledge:
        message = "'task_description' makes this a skill, but it lies below knowledge"
        findings.error(task, "wrong-folder", message, fix="move the folder below compositional_skills/")
        return True
    return False


class _Reader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.strangers = 0  # unknown keys

    def knowledge(self, document: Mapping, version: int, facts: LeafFacts) -> Knowledge | None:
        self.keys(document, "", required=_KNOWLEDGE_KEYS)
        created_by = self.text(document, "created_by", "")
        domain = self.text(document, "domain", "")
        outline = self.text(document, "document_outline", "")
        source = self.source(document.get("document"))
        seeds = []
        for number, node, field in self.seeds(document, version):
            if not self.keys(node, field, required=("context", "questions_and_answers")):
                continue
            context = self.text(node, "context", field)
            pairs = self.pairs(node, f"{field}.questions_and_answers")
            seeds.append(Seed(number=number, line=node.line, context=context, pairs=pairs))
        if self.findings.broken or source is None:
            return None
        return Knowledge(
            path=facts.path,
            blob=facts.blob,
            version=version,
            created_by=created_by,
            seeds=tuple(seeds),
            domain=domain,
            outline=outline,
            source=source,
        )

    def skill(self, document: Mapping, version: int, facts: LeafFacts) -> Skill | None:
        optional = ("version",) if version == 1 else ()
        self.keys(document, "", required=[key for key in _SKILL_KEYS if key not in optional], optional=optional)
        created_by = self.text(document, "created_by", "")
        task = self.text(document, "task_description", "", may_be_empty=version == 1)
        seeds = []
        for number, node, field in self.seeds(document, version):
            if not self.keys(node, field, required=("question", "answer"), optional=("context",)):
                continue
            context = self.text(node, "context", field) or None
            pair = Pair(question=self.text(node, "question", field), answer=self.text(node, "answer", field))
            seeds.append(Seed(number=number, line=node.line, context=context, pairs=(pair,)))
        if self.findings.broken:
            return None
        return Skill(
            path=facts.path,
            blob=facts.blob,
            version=version,
            created_by=created_by,
            seeds=tuple(seeds),
            task=task,
        )

    def version(self, document: Mapping, version: int) -> bool:
        """Whether there is a schema to read the rest by."""
        entry = document.entry("version")
        if entry is None:
            return True
        value = entry.value.value if isinstance(entry.value, Scalar) else None
        if version != version_of(document):  # a version that the file does not name was asked for
            message = f"this is to be version {_said(version)} of the leaf schema, and is {_shown(entry.value)}"
            fix = f"write `version: {version}`, and what that version asks for"
            self.findings.error(entry.value, "other-version", message, fix=fix, field="version")
            return True
        whole = not isinstance(value, bool) and isinstance(value, (int, float)) and value == version
        if not whole:
            message = f"the version must be a whole number, and this is {_shown(entry.value)}"
            fix = "write `version: 3`, without quotes"
            self.findings.error(entry.value, "wrong-type", message, fix=fix, field="version")
        elif version not in VERSIONS:
            message = f"there is no version {_said(version)} of the leaf schema"
            self.findings.error(entry.value, "unknown-version", message, fix="write `version: 3`", field="version")
        return version in VERSIONS and not isinstance(value, bool)

    def seeds(self, document: Mapping, version: int) -> list[tuple[int, Mapping, str]]:
        """Number, mapping and field of each seed example that is one."""
        items = self.items(document, "seed_examples", "", least=LEAST_SEEDS[version], unique=version > 1)
        numbered = [(number, node, f"seed_examples[{number}]") for number, node in enumerate(items, start=1)]
        return [(number, node, field) for number, node, field in numbered if self.mapping(node, field)]

    def pairs(self, seed: Mapping, field: str) -> tuple[Pair, ...]:
        parent = field.removesuffix(".questions_and_answers")
        found = []
        items = self.items(seed, "questions_and_answers", parent, least=LEAST_PAIRS, unique=True)
        for number, node in enumerate(items, start=1):
            here = f"{field}[{number}]"
            # The published schema closes every mapping but this one.
            if self.mapping(node, here) and self.keys(node, here, required=("question", "answer"), closed=False):
                found.append(Pair(question=self.text(node, "question", here), answer=self.text(node, "answer", here)))
        return tuple(found)

    def source(self, node: Node | None) -> DocumentSource | None:
        if node is None or not self.mapping(node, "document"):
            return None
        if not self.keys(node, "document", required=("repo", "commit", "patterns")):
            return None
        repo = self.text(node, "repo", "document")
        commit = self.text(node, "commit", "document")
        patterns = [
            self.string(item, f"document.patterns[{number}]")
            for number, item in enumerate(self.items(node, "patterns", "document", least=1, unique=True), start=1)
        ]
        return DocumentSource(repo=repo, commit=commit, patterns=tuple(patterns))

    def mapping(self, node: Node, field: str) -> TypeGuard[Mapping]:
        if isinstance(node, Mapping):
            return True
        message = f"this must be a mapping of key: value, and is {_shown(node)}"
        self.findings.error(node, "wrong-type", message, fix="write its keys indented below it", field=field)
        return False

    def keys(
        self,
        node: Mapping,
        field: str,
        *,
        required: Collection[str],
        optional: Collection[str] = (),
        closed: bool = True,
    ) -> bool:
        """Whether the mapping has the keys it must have; those it must not have are findings, too."""
        known = [*required, *optional]
        missing = [key for key in required if node.entry(key) is None]
        for key in missing:
            message = f"the key {key!r} is missing"
            self.findings.error(node, "missing-key", message, fix=f"add `{key}:`", field=field)
        for entry in node.entries:
            if closed and entry.key not in known:
                self.unknown(entry, known, field)
        return not missing

    def unknown(self, entry: Entry, known: Collection[str], field: str) -> None:
        self.strangers += 1
        key = _said(entry.key)
        near = difflib.get_close_matches(key, known, n=1) if self.strangers <= _GUESSED else []
        fix = f"did you mean {near[0]!r}?" if near else f"remove it; known here: {', '.join(known)}"
        message = f"the key {key!r} is not known here"
        self.findings.error(entry, "unknown-key", message, fix=fix, field=field)

    def text(self, node: Mapping, key: str, field: str, *, may_be_empty: bool = False) -> str:
        """The stripped text under `key`; an absent key is somebody else's finding."""
        value = node.get(key)
        return "" if value is None else self.string(value, _join(field, key), may_be_empty=may_be_empty)

    def string(self, node: Node, field: str, *, may_be_empty: bool = False) -> str:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            fix = "write a text here" if isinstance(node, Scalar) and node.value is None else "put it in quotes"
            self.findings.error(node, "wrong-type", f"this must be text, and is {_shown(node)}", fix=fix, field=field)
            return ""
        text = node.value.strip()
        if _HALVES.search(text):  # as "\ud83d" in quotes, where a second half should follow; the schema lets it pass
            fix = "write the character itself, or its whole code as \\U0001F600"
            self.findings.warning(node, "half-character", "this text holds half a character", fix=fix, field=field)
            text = _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
        if not text and not may_be_empty:
            if node.value:  # the published schema lets blanks pass
                self.findings.warning(node, "blank", "this text is blank", fix="fill it in", field=field)
            else:
                self.findings.error(node, "empty", "this text is empty", fix="fill it in", field=field)
        return text

    def items(self, node: Mapping, key: str, field: str, *, least: int, unique: bool) -> tuple[Node, ...]:
        value = node.get(key)
        if value is None:
            return ()
        field = _join(field, key)
        if not isinstance(value, Items):
            message = f"this must be a list, and is {_shown(value)}"
            self.findings.error(value, "wrong-type", message, fix="begin each entry with '- '", field=field)
            return ()
        if len(value.items) < least:
            message = f"{len(value.items)} of at least {least} entries"
            self.findings.error(value, "too-few", message, fix=f"add {least - len(value.items)} more", field=field)
        if unique:
            self.unique(value, field)
        return value.items

    def unique(self, value: Items, field: str) -> None:
        first: dict[Hashable, int] = {}
        for number, item in enumerate(value.items, start=1):
            earlier = first.setdefault(identity(item), number)
            if earlier != number and not _hollow(item):
                message = f"entry {number} repeats entry {earlier}"
                self.findings.error(item, "repeated", message, fix="change or remove one", field=f"{field}[{number}]")


def _hollow(node: Node) -> bool:
    """Whether an entry has nothing filled in yet: that is said already, of each of its fields."""
    match node:
        case Scalar():
            return node.value in ("", None)
        case Items():
            return all(_hollow(item) for item in node.items)
        case Mapping():
            return all(_hollow(entry.value) for entry in node.entries)


def _join(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key


def _shown(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Items():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return "yes or no to YAML (true, false, yes, no, on, off)"
        case Scalar(value=str()):
            return f"the text {_clip(str(node.value))!r}"
        case Scalar(value=frozenset()):
            return "a set"
        case Scalar():
            return f"{_said(node.value)} ({type(node.value).__name__})"


def _said(value: Value) -> str:
    """A scalar in a message; Python prints no number of more than 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of too many digits"
    return _clip(str(value))


def _clip(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
