"""Hostile and broken leaves, each with the place and the code of the finding that it must give.

A case is a good leaf with one thing replaced. In the new text ⟪ stands where the finding must be and is taken out;
without it the finding must be at the file's beginning.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = "⟪"

ATTRIBUTION = """\
Title of work: Letters of a harbour master
Link to work: https://example.org/letters
Revision: 2
License of the work: CC-BY-4.0
Creator names: Ann Archer
"""

SKILL = """\
version: 3
created_by: ann
task_description: Say what is loaded from a ship's list.
seed_examples:
  - question: The list reads "12 barrels of salt". What is loaded?
    answer: Twelve barrels of salt are loaded.
  - question: The list reads "3 crates of tea". What is loaded?
    answer: Three crates of tea are loaded.
  - question: The list reads "40 planks of oak". What is loaded?
    answer: Forty planks of oak are loaded.
  - question: The list reads "7 sacks of rye". What is loaded?
    answer: Seven sacks of rye are loaded.
  - question: The list reads "1 bell of bronze". What is loaded?
    answer: One bell of bronze is loaded.
"""

GROUNDED = """\
version: 3
created_by: ann
task_description: Name the ship that a harbour note is about.
seed_examples:
  - context: The Heron lay at the north pier until the tide turned.
    question: Which ship is the note about?
    answer: The Heron.
  - context: At dawn the Wren took salt on board and left.
    question: Which ship is the note about?
    answer: The Wren.
  - context: Nobody saw the Plover come in; she was simply there.
    question: Which ship is the note about?
    answer: The Plover.
  - context: The master of the Gannet asked for two pilots.
    question: Which ship is the note about?
    answer: The Gannet.
  - context: For a week the Curlew waited for a wind.
    question: Which ship is the note about?
    answer: The Curlew.
"""

_HARBOURS = [
    ("Velm", 1621, "Hanna Torne", "lime"),
    ("Aster", 1702, "Piet Loman", "rope"),
    ("Corby", 1588, "Ida Fenn", "salt"),
    ("Dorn", 1644, "Jan Wessel", "tar"),
    ("Ewell", 1733, "Mara Quill", "wool"),
]
KNOWLEDGE = """\
version: 3
created_by: ann
domain: harbours
document_outline: Who built the harbours of the coast, and what they sold.
document:
  repo: https://github.com/ann/harbours
  commit: 0123456789abcdef0123456789abcdef01234567
  patterns:
    - "*.md"
seed_examples:
""" + "".join(
    f"""\
  - context: |
      The harbour of {name} was built in {year} by {builder}.
      It sold {goods}.
    questions_and_answers:
      - question: Who built the harbour of {name}?
        answer: {builder}
      - question: When was the harbour of {name} built?
        answer: In {year}.
      - question: What did the harbour of {name} sell?
        answer: It sold {goods}.
"""
    for name, year, builder, goods in _HARBOURS
)

HELD_OUT = """\
questions:
  - question: Name what goes on board when the list says "5 kegs of oil".
    answer: Five kegs of oil.
    accept: [5 kegs of oil]
  - question: Name what goes on board when the list says "2 coils of rope".
    answer: Two coils of rope.
"""

SIMULATION = """\
parameters:
  number:
    kind: integer
    low: 2
    high: 900
  thing:
    kind: choice
    of: [barrels, crates, sacks]
questions:
  - The list says {{ number }} {{ thing }}. How many are there?
answer: "{{ number }}"
"""

PATHS = {"skill": "compositional_skills/ships/loading", "grounded": "compositional_skills/ships/notes"}
PATHS |= {"knowledge": "knowledge/coast/harbours"}
TEXTS = {"skill": SKILL, "grounded": GROUNDED, "knowledge": KNOWLEDGE}
FILES = {"attribution.txt": ATTRIBUTION, "heldout.yaml": HELD_OUT, "simulation.yaml": SIMULATION}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    code: str
    leaf: str  # path below the root
    file: str  # that the finding is in, below the leaf
    line: int
    column: int
    files: dict[str, bytes]  # of the leaf
    arrange: Callable[[Path], None] | None = field(default=None, compare=False)  # what bytes cannot say: links, pipes

    def build(self, root: Path) -> Path:
        """The leaf's folder, with its files written."""
        folder = root / self.leaf
        folder.mkdir(parents=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        if self.arrange:
            self.arrange(folder)
        return folder


def good(kind: str) -> Case:
    """A leaf without a finding, for knowing that it is the replaced text that is found."""
    files = {"qna.yaml": TEXTS[kind].encode(), "attribution.txt": ATTRIBUTION.encode()}
    if kind == "skill":
        files |= {"heldout.yaml": HELD_OUT.encode(), "simulation.yaml": SIMULATION.encode()}
    return Case(f"good {kind}", "", PATHS[kind], "qna.yaml", 1, 1, files)


def replaced(kind: str, code: str, old: str, new: str, *, file: str = "qna.yaml", name: str = "") -> Case:
    """A good leaf in which `old`, the first time it stands there, is `new`; no `old` means all of the file."""
    before = TEXTS[kind] if file == "qna.yaml" else FILES[file]
    assert old in before, (kind, file, old)
    text = before.replace(old, new, 1) if old else new
    line, column = 1, 1
    if HERE in text:
        head, _, tail = text.partition(HERE)
        assert HERE not in tail, new
        line, column = head.count("\n") + 1, len(head) - (head.rfind("\n") + 1) + 1
        text = head + tail
    base = good(kind)
    files = {**base.files, file: text.encode("utf-8", "surrogatepass")}
    label = name or f"{new.strip()!r:.60}"
    return Case(f"{kind} {file}: {code}: {label}", code, base.leaf, file, line, column, files)


def raw(kind: str, code: str, data: bytes, *, line: int, column: int, name: str, file: str = "qna.yaml") -> Case:
    base = good(kind)
    return Case(f"{kind} {file}: {name}", code, base.leaf, file, line, column, {**base.files, file: data})


def arranged(kind: str, code: str, arrange: Callable[[Path], None], *, name: str, file: str = "qna.yaml") -> Case:
    base = good(kind)
    return Case(f"{kind} {file}: {name}", code, base.leaf, file, 1, 1, base.files, arrange)


# --- the schema -------------------------------------------------------------------------------------------------

_SEED = SKILL[SKILL.index("  - question") : SKILL.index('  - question: The list reads "3 crates')]
_NOT_TEXT = {
    "nothing": ("", "wrong-type"),
    "a number": ("17", "wrong-type"),
    "a decimal": ("2.5", "wrong-type"),
    "yes": ("yes", "wrong-type"),
    "a date": ("2024-02-03", "wrong-type"),
    "a list": ("[one, two]", "wrong-type"),
    "a mapping": ("{one: two}", "wrong-type"),
    "empty": ("''", "empty"),
}


def schema() -> Iterator[Case]:
    fields = {
        "skill": [
            ("created_by: ann", "created_by: "),
            ("task_description: Say what is loaded from a ship's list.", "task_description: "),
            ('question: The list reads "12 barrels of salt". What is loaded?', "question: "),
            ("answer: Forty planks of oak are loaded.", "answer: "),
        ],
        "grounded": [("context: At dawn the Wren took salt on board and left.", "context: ")],
        "knowledge": [
            ("domain: harbours", "domain: "),
            ("document_outline: Who built the harbours of the coast, and what they sold.", "document_outline: "),
            ("repo: https://github.com/ann/harbours", "repo: "),
            ("commit: 0123456789abcdef0123456789abcdef01234567", "commit: "),
            ('- "*.md"', "- "),
            ("question: Who built the harbour of Aster?", "question: "),
            ("answer: It sold wool.", "answer: "),
        ],
    }
    for kind, places in fields.items():
        for old, key in places:
            for name, (value, code) in _NOT_TEXT.items():
                # Nothing at all has its place behind the blank that is not there.
                new = f"{key.rstrip()}{HERE}" if not value else f"{key}{HERE}{value}"
                yield replaced(kind, code, old, new, name=f"{key.strip()} {name}")
    for kind, old in [
        ("skill", "created_by: ann\n"),
        ("skill", "task_description: Say what is loaded from a ship's list.\n"),
        ("knowledge", "domain: harbours\n"),
        ("knowledge", "document_outline: Who built the harbours of the coast, and what they sold.\n"),
    ]:
        yield replaced(kind, "missing-key", old, "", name=f"without {old.partition(':')[0]}")
    tea = (
        '  - question: The list reads "3 crates of tea". What is loaded?\n    answer: Three crates of tea are loaded.\n'
    )
    yield replaced("skill", "missing-key", tea, f"  - {HERE}question: Which tea?\n", name="a seed without answer")
    yield replaced("skill", "unknown-key", "created_by: ann", f"created_by: ann\n{HERE}author: ann")
    yield replaced("skill", "unknown-key", "created_by: ann", f"created_by: ann\n{HERE}17: ann")
    yield replaced("skill", "unknown-key", "    answer: Three", f"    {HERE}comment: tea\n    answer: Three")
    yield replaced("skill", "unknown-key", "task_description", f"{HERE}task_desciption", name="a misspelt key")
    yield replaced("knowledge", "unknown-key", "  patterns:", f"  {HERE}branch: main\n  patterns:")
    yield replaced(
        "knowledge", "unknown-key", "    questions_and_answers:", f"    {HERE}page: 4\n    questions_and_answers:"
    )
    yield replaced("skill", "too-few", f"seed_examples:\n{_SEED}  -", f"seed_examples:\n  {HERE}-", name="four seeds")
    yield replaced("skill", "wrong-type", SKILL[SKILL.index("seed_examples") :], f"seed_examples: {HERE}none\n")
    yield replaced("skill", "too-few", SKILL[SKILL.index("seed_examples") :], f"seed_examples: {HERE}[]\n")
    yield replaced("skill", "wrong-type", _SEED, f"  - {HERE}only text\n" + _SEED)
    yield replaced("skill", "wrong-type", _SEED, f"  - {HERE}[a, b]\n" + _SEED)
    yield replaced("skill", "repeated", _SEED, _SEED + f"  - {HERE}" + _SEED[4:], name="a seed twice")
    yield replaced("knowledge", "repeated", '    - "*.md"', f'    - "*.md"\n    - {HERE}"*.md"')
    yield replaced("knowledge", "wrong-type", 'patterns:\n    - "*.md"', f'patterns: {HERE}"*.md"')
    yield replaced("knowledge", "too-few", 'patterns:\n    - "*.md"', f"patterns: {HERE}[]")
    old = KNOWLEDGE[KNOWLEDGE.index("document:") : KNOWLEDGE.index("seed_examples")]
    yield replaced("knowledge", "wrong-type", old, f"document: {HERE}https://github.com/ann/harbours\n")
    for value in ("'3'", "true", "4", "-1", "0", "2.5", "", "[3]", "three", ".inf", "99999999999999999999"):
        code = "unknown-version" if value.lstrip("-").isdigit() else "wrong-type"
        new = f"version: {HERE}{value}" if value else f"version:{HERE}"
        yield replaced("skill", code, "version: 3", new, name=f"version {value or 'nothing'}")
    yield replaced("knowledge", "deprecated", "version: 3", f"{HERE}version: 2")
    yield replaced("knowledge", "deprecated", "version: 3", f"{HERE}version: 1")
    for text in (f"{HERE}- a list\n", f"{HERE}only text\n", f"{HERE}17\n", f"{HERE}true\n"):
        yield replaced("skill", "wrong-type", "", text)
    yield Case(
        "a skill below knowledge", "wrong-folder", "knowledge/ships/loading", "qna.yaml", 3, 1, good("skill").files
    )
    yield Case(
        "knowledge below compositional_skills",
        "wrong-folder",
        "compositional_skills/coast/harbours",
        "qna.yaml",
        5,
        1,
        good("knowledge").files,
    )


# --- YAML -------------------------------------------------------------------------------------------------------


def yaml() -> Iterator[Case]:
    for new, code in [
        (f"created_by: ann\n{HERE}created_by: bob", "duplicate-key"),
        (f"created_by: {HERE}!who ann", "tag"),
        (f"created_by: {HERE}!!python/object/apply:os.system ['true']", "tag"),
        (f"created_by: {HERE}!!python/name:os.system", "tag"),
        (f"created_by: {HERE}!!set {{ann}}", "wrong-type"),
        (f"created_by: {HERE}!!omap [a: b]", "wrong-type"),
        (f"created_by: {HERE}2024-13-45", "value"),
        (f"? {HERE}[a, b]\n: x\ncreated_by: ann", "key"),
        (f"? {HERE}{{a: b}}\n: x\ncreated_by: ann", "key"),
        (f"created_by: {HERE}*nobody", "syntax"),
        (f"created_by:{HERE}\tann", "syntax"),
        (f"created_by: ann{HERE}: bob", "syntax"),
        (f"created_by: {HERE}@ann", "syntax"),
        (f"created_by: {HERE}`ann`", "syntax"),
        (f"created_by: {HERE}%ann", "syntax"),
        (f"created_by: 'ann' {HERE}or 'bob'", "syntax"),
        (f"created_by: ann{HERE}\a", "syntax"),
        (f"created_by: ann{HERE}\x1b[31m", "syntax"),
        (f"created_by: ann{HERE}\0", "syntax"),
        (f"created_by: ann {HERE}  ", "trailing-spaces"),
    ]:
        if "trailing" in code:
            new = f"created_by: ann{HERE}   "
        yield replaced("skill", code, "created_by: ann", new)
    yield replaced("skill", "syntax", "", SKILL + f"more: [a, b\n{HERE}", name="an unclosed list")
    yield replaced("skill", "syntax", "", SKILL + f"more: {{a: b\n{HERE}", name="an unclosed mapping")
    yield replaced("skill", "syntax", "", SKILL + f'more: "a\n{HERE}', name="an unclosed quote")
    yield replaced("skill", "syntax", "", SKILL + f"{HERE}---\na: b\n", name="two documents")
    yield replaced("skill", "syntax", "", SKILL + f" {HERE}more: a\n", name="an indented key")
    yield replaced("skill", "syntax", "", f"{HERE}%YAML 9.9\n---\n" + SKILL, name="a YAML version that is none")
    yield replaced("skill", "new-line-at-end-of-file", "", SKILL.rstrip("\n") + HERE, name="no final line break")
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    yield replaced("skill", "too-many-values", "", SKILL + bomb.replace("e: &e [", f"e: {HERE}&e [", 1), name="aliases")
    yield replaced("skill", "alias", "", SKILL + f"a: {HERE}&a [*a]\n", name="an alias in what it names")
    yield replaced("skill", "alias", "", SKILL + f"a: {HERE}&a {{b: *a}}\n", name="an alias in its mapping")
    yield replaced(
        "skill", "too-deep", "", SKILL + "a: " + "[" * 63 + HERE + "[" * 500 + "]" * 563 + "\n", name="deep lists"
    )
    yield replaced(
        "skill",
        "too-deep",
        "",
        SKILL + "a: " + "{b: " * 63 + HERE + "{b: " * 300 + "1" + "}" * 363 + "\n",
        name="deep maps",
    )
    yield raw("skill", "encoding", SKILL.replace("ann", "änn").encode("latin-1"), line=2, column=13, name="Latin-1")
    yield raw("skill", "encoding", SKILL.encode("utf-16"), line=1, column=1, name="UTF-16")
    yield raw("skill", "encoding", SKILL.encode() + b"\xff\xfe", line=14 + 1, column=1, name="bytes that are no text")
    yield raw(
        "skill", "too-large", SKILL.encode() + b"# " + b"x" * 1_000_000 + b"\n", line=1, column=1, name="too large"
    )
    yield raw("skill", "empty-attribution", b"", line=1, column=1, name="empty", file="attribution.txt")


# --- files ------------------------------------------------------------------------------------------------------


def files() -> Iterator[Case]:
    def instead(make: Callable[[Path], object], name: str = "qna.yaml") -> Callable[[Path], None]:
        def arrange(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return arrange

    def bound(path: Path) -> None:
        home = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(home)

    makers: dict[str, Callable[[Path], object]] = {
        "a pipe": os.mkfifo,
        "a folder": Path.mkdir,
        "a link to a file": lambda path: path.symlink_to("/etc/hostname"),
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a socket": bound,
    }
    for file in ("qna.yaml", "attribution.txt", "heldout.yaml", "simulation.yaml"):
        for name, make in makers.items():
            code = "link" if "link" in name else "unreadable"
            yield arranged("skill", code, instead(make, file), name=f"{file} is {name}", file=file)
    yield arranged(
        "skill",
        "no-attribution",
        lambda folder: (folder / "attribution.txt").unlink(),
        name="no attribution",
        file="attribution.txt",
    )


# --- texts ------------------------------------------------------------------------------------------------------

_CHARACTERS = {
    "bidi-control": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "tag-character": "\U000e0001\U000e0041\U000e007f",
    "variation-selector": "\U000e0100\U000e01ef",
    "private-use": "\ue000\U000f0000",
    "replacement-character": "\ufffd",
    "line-separator": "\u2028\u2029",
}
_PLACES = {
    "qna.yaml": ("answer: Twelve barrels of salt", "answer: Twelve {} barrels of salt"),
    "heldout.yaml": ("answer: Two coils of rope.", "answer: Two {} coils of rope."),
    "simulation.yaml": ("- The list says", "- The list {} says"),
    "attribution.txt": ("Revision: 2", "Revision: 2 {}"),
}


def characters() -> Iterator[Case]:
    for code, signs in _CHARACTERS.items():
        for sign in signs:
            for file, (old, new) in _PLACES.items():
                if code == "line-separator" and file != "attribution.txt":
                    continue  # YAML takes them for line breaks
                text = new.format(f"{HERE}{sign}")
                yield replaced("skill", code, old, text, file=file, name=f"U+{ord(sign):04X}")
    old = "answer: Twelve barrels of salt are loaded."
    for escape, code in [
        ("\\u202e", "bidi-control"),
        ("\\x1b[2J", "control-character"),
        ("\\U000E0041", "tag-character"),
    ]:
        yield replaced("skill", code, old, f'answer: "Twelve {HERE}{escape} barrels of salt are loaded."')
    yield replaced("skill", "bidi-control", "created_by: ann", f"created_by: ann # the author{HERE}\u202e of it")
    yield replaced("skill", "control-character", "Revision: 2", f"Revision: 2{HERE}\x1b[2J", file="attribution.txt")
    yield replaced("skill", "control-character", "Revision: 2", f"Revision: 2{HERE}\x9b2J", file="attribution.txt")


_KEYS = [
    "AKIAQ3EGRYKXJ5WZ7BTN",
    "ghp_9qXv2LmR7tYbN4cKdW8sZpA1eGhJ3fUo6QxT",
    "glpat-x7Kq2Lm9Vt4RbNcYdW8s",
    "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",
    "AIzaSyD4k9Qx7LmR2tYbN5cKdW8sZpA1eGhJ3fU",
    "-----BEGIN RSA PRIVATE KEY-----",
    "https://ann:⟪s3cretW0rd!@host.internal.example.net/x",
]
_PERSONAL = {
    "email": ["hanna.torne@velm-harbour.nl", "h+t@mail.corby.co.uk"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NL91 ABNA 0417 1643 00"],
    "payment-card": ["4111 1111 1111 1111", "5500-0055-5555-5559", "378282246310005"],
    "phone": ["+49 30 2345 6789", "+44 117 496 8123", "+1 212 736 5000"],
}


def leaks() -> Iterator[Case]:
    for text in _KEYS:
        for file, (old, new) in list(_PLACES.items())[:3]:
            yield replaced("skill", "secret", old, new.format(text if HERE in text else f"{HERE}{text}"), file=file)
    for code, found in _PERSONAL.items():
        for text in found:
            for file, (old, new) in list(_PLACES.items())[:3]:
                yield replaced("skill", code, old, new.format(f"{HERE}{text}"), file=file)


def meaning() -> Iterator[Case]:
    answer = "answer: Twelve barrels of salt are loaded."
    words = " ".join(["salt"] * 260)
    question = 'question: The list reads "12 barrels of salt". What is loaded?'
    yield replaced("skill", "long-pair", question, f"question: {HERE}{words}?", name="a long question")
    yield replaced("grounded", "long-context", "context: At dawn", f"context: {HERE}{words} {words} at dawn")
    for text in ("TODO", "lorem ipsum dolor sit amet", "<your answer>", "FIXME", "n/a", "...", "???"):
        yield replaced("skill", "leftover-text", answer, f"answer: {HERE}{text}")
    yield replaced("skill", "leftover-text", answer, f"answer: '{HERE}[insert the answer here]'")
    for text in (
        "What is loaded {}according to the document?",
        "Which is right, {}as above?",
        "Who is named {}in the passage above?",
    ):
        yield replaced("skill", "missing-context", question, "question: " + text.format(HERE))
    yield replaced("knowledge", "answer-not-in-context", "answer: Hanna Torne", f"answer: {HERE}A committee of bakers")
    for kind, anchor in (("skill", "created_by: ann"), ("knowledge", "domain: harbours")):
        key, _, value = anchor.partition(": ")
        used = f"{key}: &a {value}\n" + ("task_description: " if kind == "skill" else "document_outline: ")
        old = TEXTS[kind][TEXTS[kind].index(anchor) :].split("\n", 2)
        yield replaced(kind, "alias-used", "\n".join(old[:2]), f"{used}{HERE}*a", name="an alias")
    for old, new, code in [
        ("License of the work: CC-BY-4.0\n", "", "no-licence"),
        ("License of the work: CC-BY-4.0", f"License of the work: {HERE}CC BY 4", "unknown-licence"),
        ("License of the work: CC-BY-4.0", f"License of the work: {HERE}free for all", "unknown-licence"),
        ("License of the work: CC-BY-4.0", f"License of the work: {HERE}Apache 2", "unknown-licence"),
        ("Title of work: Letters of a harbour master", f"Title of work:{HERE}", "no-title"),
        ("Creator names: Ann Archer", f"Creator names:{HERE}", "no-creator"),
    ]:
        yield replaced("skill", code, old, new, file="attribution.txt")
    for folder in ("Loading", "loading-ships", "loading ships", "läden", "_x", "a__b"):
        base = good("skill")
        leaf = f"compositional_skills/{folder}/x"
        yield Case(f"folder {folder}", "folder-name", leaf, "qna.yaml", 1, 1, base.files)


def sources() -> Iterator[Case]:
    repo, commit, pattern = "https://github.com/ann/harbours", "0123456789abcdef0123456789abcdef01234567", '"*.md"'
    for url in [
        "http://github.com/ann/harbours",
        "git://github.com/ann/harbours",
        "ssh://git@github.com/ann/harbours",
        "git@github.com:ann/harbours.git",
        "file:///etc",
        "/etc",
        "../harbours",
        "ext::sh -c id",
        "--upload-pack=id",
        "https://ann:word@github.com/ann/harbours",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://169.254.169.254/latest",
        "https://10.1.2.3/x",
        "https://harbours.example.org/x",
        "https://github.com.evil.example/x",
        "https://github.com@evil.example/x",
        "https://github.com/ann/harbours?x=1",
        "https://github.com/ann/harbours#x",
        "https://github.com:8443/ann/harbours",
        "https://xn--gthub-n4a.com/x",
    ]:
        yield replaced("knowledge", "document", repo, f'{HERE}"{url}"')
    for name in ("main", "HEAD", "v1.0", "--all", "0123456789abcdef", "0" * 39, "0" * 41, "g" * 40):
        yield replaced("knowledge", "document", f"commit: {commit}", f'commit: {HERE}"{name}"')
    for glob in ("/etc/passwd", "../*.md", "docs/../../x.md", "docs/.."):
        yield replaced("knowledge", "document", pattern, f'{HERE}"{glob}"')


def siblings() -> Iterator[Case]:
    """Files beside qna.yaml."""
    held = [
        ("questions:\n", f"{HERE}question:\n", "missing-key"),
        ("questions:\n", f"questions: {HERE}none\nmore:\n", "wrong-type"),
        ("    answer: Two coils of rope.\n", f"    answer: {HERE}''\n", "empty"),
        ("    answer: Two coils of rope.\n", f"    answer: {HERE}2\n", "wrong-value"),
        ("    answer: Two coils of rope.\n", f"    answer: two\n    {HERE}answers: [a]\n", "unknown-key"),
        ("    answer: Two coils of rope.\n", f"    answer: two\n    metric: {HERE}best\n", "wrong-value"),
        ("accept: [5 kegs of oil]", f"accept: {HERE}5 kegs of oil", "wrong-value"),
        ("  - question: Name what goes", f"  - {HERE}only text\n  - question: Name what goes", "wrong-type"),
    ]
    for old, new, code in held:
        yield replaced("skill", code, old, new, file="heldout.yaml")
    seed = 'The list reads "12 barrels of salt". What is loaded?'
    old = HELD_OUT[HELD_OUT.index("question: Name") : HELD_OUT.index("    answer")]
    yield replaced("skill", "held-out-in-seeds", old, f"{HERE}question: {seed}\n", file="heldout.yaml")
    simulated = [
        ("parameters:\n", f"{HERE}parameter:\n", "unknown-key"),
        ("    kind: integer\n    low: 2\n    high: 900\n", f"    {HERE}kind: integer\n    low: 2\n", "missing-key"),
        ("    high: 900\n", f"    high: {HERE}many\n", "wrong-value"),
        ("    high: 900\n", f"    high: 900\n    {HERE}width: 3\n", "unknown-key"),
        ("    kind: choice", f"    {HERE}kind: dice", "wrong-value"),
        ('answer: "{{ number }}"', f"answer: {HERE}''", "empty"),
        ('answer: "{{ number }}"', f'answer: "{{{{ {HERE}nobody }}}}"', "simulation"),
        ('answer: "{{ number }}"', f'answer: "{HERE}{{{{ number"', "simulation"),
        ('answer: "{{ number }}"', f'answer: "{HERE}{{{{ number.__class__ }}}}"', "simulation"),
        ('answer: "{{ number }}"', f"answer: \"{HERE}{{{{ ''.join(number) }}}}\"", "simulation"),
        ('answer: "{{ number }}"', f"answer: \"{HERE}{{% include '/etc/passwd' %}}\"", "simulation"),
        ('answer: "{{ number }}"', f'answer: {HERE}"{{{{ 9 ** 99999 }}}}{{{{ number }}}}"', "simulation"),
        ('answer: "{{ number }}"', f'answer: {HERE}"{{{{ number // 0 }}}}"', "simulation"),
        (
            "  number:\n    kind: integer\n    low: 2\n",
            f"  {HERE}number:\n    kind: integer\n    low: 2000\n",
            "simulation",
        ),
    ]
    for old, new, code in simulated:
        yield replaced("skill", code, old, new, file="simulation.yaml")


CASES: list[Case] = [
    *schema(), *yaml(), *files(), *characters(), *leaks(), *meaning(), *sources(), *siblings()
]  # fmt: skip
