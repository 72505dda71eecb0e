"""The published schema package has the last word on which `qna.yaml` is valid; every verdict here is compared to it."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from instructlab.schema.taxonomy import TaxonomyReadingException
from jsonschema import Draft202012Validator
from leaf_files import dumped, found_in, knowledge, skill, write_leaf
from oracle import MODES, Mode, Oracle, shipped

from instructlab_like.checking.leaf import Options
from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.qna import LeafFacts, parse, version_of
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import place_of, read_files
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, identity, load

COMPATIBLE = Options(profile="compatible")
FROM_FILE = MODES[0]  # and as the public repository's pipeline lints
SKILL, KNOWLEDGE, FOUNDATION = "compositional_skills/sums", "knowledge/tides", "foundational_skills/sums"


# A mutation puts one of these in the place of a value, or does one of the edits below.
VALUES: list[Any] = [None, "", "  ", 7, 2.5, True, [], {}, ["x"], {"k": "v"}, "text", datetime.date(2024, 1, 2)]


def places(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values; of a list only the first one or two entries, as the others are alike."""
    if path:
        yield path
    few = 2 if len(path) < 2 else 1
    inner = values.items() if isinstance(values, dict) else enumerate(values[:few]) if isinstance(values, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def mutants(values: Any) -> Iterator[Any]:
    yield values
    for path in places(values):
        for edit in (*VALUES, "delete", "repeat", "extra", "shorten"):
            mutant = copy.deepcopy(values)
            holder = mutant
            for step in path[:-1]:
                holder = holder[step]
            target = holder[path[-1]]
            if edit == "delete":
                del holder[path[-1]]
            elif edit == "repeat" and isinstance(target, list):
                target.append(copy.deepcopy(target[0]))
            elif edit == "extra" and isinstance(target, dict):
                target["more"] = "x"
            elif edit == "shorten" and isinstance(target, list):
                del target[-1]
            elif edit in ("repeat", "extra", "shorten"):
                continue
            else:
                holder[path[-1]] = edit
            yield mutant


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (SKILL, skill(version=3)),
        (SKILL, skill(version=2, grounded=True)),
        (FOUNDATION, {**skill(version=1), "task_description": ""}),
        (KNOWLEDGE, knowledge()),
        (FOUNDATION, knowledge()),
    ],
    ids=["skill", "grounded", "version-1", "knowledge", "by-its-document"],
)
def test_every_mutation_of_a_leaf_gets_the_oracles_verdict(tmp_path: Path, path: str, values: Any) -> None:
    oracle = Oracle(FROM_FILE, lint=False)
    disagreements, valid, invalid = [], 0, 0
    for mutant in mutants(values):
        text = dumped(mutant)
        file = write_leaf(tmp_path, path, text) / "qna.yaml"
        expected = oracle.accepts(file)
        place = place_of(tmp_path, path)
        reading = examine(place, read_files(place))
        accepted = not any(finding.severity == "error" for finding in reading.findings)
        valid, invalid = valid + expected, invalid + (not expected)
        if accepted != expected:
            disagreements.append((expected, text, reading.findings))
        assert accepted == (reading.leaf is not None)
    assert disagreements == []
    assert valid >= 3
    assert invalid >= 50


TEXT = dumped(skill())
KNOWING = dumped(knowledge())
VERSION_ONE = TEXT.replace("version: 3\n", "")


def seeded(edit: Callable[[list[Any]], object], values: Any = None) -> str:
    """A leaf's text after an edit of its seed examples."""
    values = copy.deepcopy(values or skill())
    edit(values["seed_examples"])
    return dumped(values)


def with_patterns(*patterns: str) -> str:
    return dumped(knowledge(patterns=list(patterns)))


# What the published package says of these, by the version in the file and with warnings passing, in words.
KNOWN_EDGES: dict[str, tuple[str, str, str]] = {
    "a question of blanks": (SKILL, "valid", seeded(lambda seeds: seeds[0].update(question="   "))),
    "grounded and freeform": (SKILL, "valid", seeded(lambda seeds: seeds[0].update(context="One and one."))),
    "version 3.0": (SKILL, "valid", TEXT.replace("version: 3", "version: 3.0")),
    "no version, and no lint": (SKILL, "valid", VERSION_ONE.replace("created_by: ann", "created_by: ann  ")),
    "four pairs": (
        KNOWLEDGE,
        "valid",
        seeded(lambda s: s[0]["questions_and_answers"].append({"question": "x", "answer": "y"}), knowledge()),
    ),
    "a commit that is none": (KNOWLEDGE, "valid", dumped(knowledge(commit="whatever"))),
    "patterns from the root": (KNOWLEDGE, "valid", with_patterns("/etc/*.md")),
    "patterns further up": (KNOWLEDGE, "valid", with_patterns("../../*.md")),
    "a context of 600 words": (
        KNOWLEDGE,
        "valid",
        seeded(lambda s: s[0].update(context=" ".join(["word"] * 600)), knowledge()),
    ),
    "carriage returns": (SKILL, "valid", TEXT.replace("\n", "\r\n")),
    "a byte order mark": (SKILL, "valid", "\ufeff" + TEXT),
    "an anchor and its alias": (
        SKILL,
        "valid",
        TEXT.replace("created_by: ann", "created_by: &a ann").replace("Add numbers.", "*a"),
    ),
    "a line of 400 characters": (SKILL, "valid", TEXT.replace("Add numbers.", "Add " + "numbers " * 49 + "x")),
    "knowledge in another folder": ("other/tides", "valid", KNOWING),
    "four empty lines": (SKILL, "warned", TEXT.replace("created_by", "\n\n\n\ncreated_by")),
    "indented by four": (SKILL, "warned", yaml.safe_dump(skill(), indent=4, sort_keys=False)),
    "an empty file": (SKILL, "warned", ""),
    "a comment alone": (SKILL, "warned", "# nothing yet\n"),
    "a zero alone": (SKILL, "warned", "0\n"),
    "four seeds": (SKILL, "refused", seeded(lambda seeds: seeds.pop())),
    "a seed twice": (SKILL, "refused", seeded(lambda seeds: seeds.append(dict(seeds[0])))),
    "an empty text": (SKILL, "refused", seeded(lambda seeds: seeds[0].update(answer=""))),
    "an unknown key": (SKILL, "refused", TEXT + "more: x\n"),
    "an unknown key in a seed": (SKILL, "refused", seeded(lambda seeds: seeds[0].update(more="x"))),
    "an answer that is a number": (SKILL, "refused", seeded(lambda seeds: seeds[0].update(answer=2))),
    "an answer that is a date": (SKILL, "refused", TEXT.replace("answer: 0 in all", "answer: 2024-01-02")),
    "version as text": (SKILL, "refused", TEXT.replace("version: 3", 'version: "3"')),
    "version true": (SKILL, "refused", TEXT.replace("version: 3", "version: true")),
    "version 4": (SKILL, "refused", TEXT.replace("version: 3", "version: 4")),
    "version -1": (SKILL, "refused", TEXT.replace("version: 3", "version: -1")),
    "two pairs": (KNOWLEDGE, "refused", seeded(lambda s: s[0]["questions_and_answers"].pop(), knowledge())),
    "no document_outline": (KNOWLEDGE, "refused", KNOWING.replace("document_outline: What tides are.\n", "")),
    "a pattern twice": (KNOWLEDGE, "refused", with_patterns("*.md", "*.md")),
    "a key twice": (SKILL, "refused", TEXT + "created_by: bob\n"),
    "no final line break": (SKILL, "refused", TEXT.rstrip("\n")),
    "a blank at a line's end": (SKILL, "refused", TEXT.replace("created_by: ann", "created_by: ann ")),
    "knowledge among skills": (SKILL, "refused", KNOWING),
    "old knowledge": (KNOWLEDGE, "refused", KNOWING.replace("version: 3", "version: 2")),
    "no task": (SKILL, "refused", TEXT.replace("task_description: Add numbers.\n", "")),
    "a list": (SKILL, "refused", "- a\n"),
    "a null": (SKILL, "refused", TEXT.replace("created_by: ann", "created_by:")),
    "two documents": (SKILL, "raised", TEXT + "---\na: b\n"),
    "a tab after a colon": (SKILL, "raised", TEXT.replace("created_by: ann", "created_by:\tann")),
    "an unclosed list": (SKILL, "raised", TEXT + "more: [\n"),
}

MORE_EDGES: dict[str, str] = {
    "as it is": TEXT,
    "version 0": TEXT.replace("version: 3", "version: 0"),
    "version null": TEXT.replace("version: 3", "version:"),
    "version 2.5": TEXT.replace("version: 3", "version: 2.5"),
    "version infinite": TEXT.replace("version: 3", "version: .inf"),
    "version not a number": TEXT.replace("version: 3", "version: .nan"),
    "version in hex": TEXT.replace("version: 3", "version: 0x3"),
    "version in octal": TEXT.replace("version: 3", "version: 03"),
    "version by its tag": TEXT.replace("version: 3", 'version: !!int "3"'),
    "version in bytes": TEXT.replace("version: 3", "version: !!binary Mw=="),
    "version of many digits": TEXT.replace("version: 3", "version: 0x" + "f" * 6000),
    "version as a list": TEXT.replace("version: 3", "version: [3]"),
    "version in words": TEXT.replace("version: 3", "version: three"),
    "version a date": TEXT.replace("version: 3", "version: 2024-01-02"),
    "no version, a key twice": VERSION_ONE + "created_by: bob\n",
    "no version, a tab after a colon": VERSION_ONE.replace("created_by: ann", "created_by:\tann"),
    "a start and an end": "---\n" + TEXT + "...\n",
    "an unknown alias": TEXT.replace("created_by: ann", "created_by: *ann"),
    "an unused anchor": TEXT.replace("created_by: ann", "created_by: &a ann"),
    "an anchor twice": TEXT.replace("created_by: ann", "created_by: &a ann").replace("Add", "&a Add"),
    "a tag of their own": TEXT.replace("created_by: ann", "created_by: !who ann"),
    "a tag that builds": TEXT.replace("created_by: ann", "created_by: !!python/object/apply:os.getcwd []"),
    "the tag of text": TEXT.replace("created_by: ann", "created_by: !!str 17"),
    "a text in a mapping's clothes": TEXT.replace("created_by: ann", "created_by: !!str {=: ann}"),
    "a tag that does not fit": TEXT.replace("created_by: ann", "created_by: !!bool perhaps"),
    "an empty number": TEXT.replace("created_by: ann", 'created_by: !!int ""'),
    "no date": TEXT.replace("created_by: ann", "created_by: 2024-13-45"),
    "a lone equals sign": TEXT.replace("created_by: ann", "created_by: ="),
    "a lone merge sign": TEXT.replace("created_by: ann", "created_by: <<"),
    "half a character": TEXT.replace("created_by: ann", 'created_by: "\\ud83d"'),
    "no such character": TEXT.replace("created_by: ann", 'created_by: "\\U00110000"'),
    "a mapping of nothing": "{}\n",
    "a set of nothing": "!!set {}\n",
    "an empty text alone": "''\n",
    "false alone": "false  \n",
    "an empty list alone": "[]\n",
    "a comment with blanks": "# nothing yet  \n",
    "a key that is a number": TEXT + "1: x\n",
    "a key that is nothing": TEXT + "~: x\n",
    "a key that is a list": TEXT + "? [a]\n: x\n",
    "a key that is a mapping": TEXT + "? {a: b}\n: x\n",
    "a control character": TEXT.replace("ann", "a\x07n"),
    "a null character": TEXT.replace("ann", "a\0n"),
    "next-line characters": TEXT.replace("ann\n", "ann\x85"),
    "line separators": TEXT.replace("ann\n", "ann\u2028"),
    "a byte order mark in the middle": TEXT.replace("ann", "\ufeffann"),
    "two byte order marks": "\ufeff\ufeff" + TEXT,
    "old line breaks": TEXT.replace("\n", "\r"),
    "beyond the first plane": TEXT.replace("ann", "\U0001f600"),
    "braces": TEXT.replace(TEXT[TEXT.index("- q") :], "")
    + "".join(f"  - {{ question: q{n}, answer: a }}\n" for n in range(5)),
    "a key twice in braces": "{version: 3, created_by: a, created_by: b}\n",
    "a merge and a key of its own": TEXT.replace("- question", "- &a\n  question", 1) + "- <<: *a\n  question: more?\n",
    "a merge of nothing else": TEXT.replace("- question", "- &a\n  question", 1) + "- <<: *a\n",
    "two merges, the last one counts": TEXT.replace("- question", "- &a\n  question", 1)
    + "- <<: *a\n  <<: {question: more?}\n",
    "two merges, the other way round": TEXT.replace("- question", "- &a\n  question", 1)
    + "- <<: {question: more?}\n  <<: *a\n",
    "a list of merges, the first one counts": TEXT.replace("- question", "- &a\n  question", 1)
    + "- <<: [{question: more?}, *a]\n",
    "a key twice, and the lint silenced": "# yamllint disable rule:key-duplicates\n" + TEXT + "created_by: bob\n",
    "a key twice, and all silenced": TEXT + "# yamllint disable\ncreated_by: bob\n",
    "a key twice, and the line silenced": TEXT + "created_by: bob  # yamllint disable-line rule:key-duplicates\n",
    "a key twice, and the next line silenced": TEXT + "# yamllint disable-line\ncreated_by: bob\n",
    "a key twice, silenced and heard again": "# yamllint disable\n# yamllint enable\n" + TEXT + "created_by: bob\n",
    "a file not to be linted": "# yamllint disable-file\n" + TEXT + "created_by: bob  \n",
    "not the first line": "\n# yamllint disable-file\n" + TEXT + "created_by: bob\n",
    "not to be linted, after a mark": "\ufeff# yamllint disable-file\n" + TEXT + "created_by: bob\n",
    "a silence that is none": "#yamllint disable\n" + TEXT + "created_by: bob\n",
    "a directive of version 1.2": "%YAML 1.2\n---\n" + TEXT,
    "a directive of version 2": "%YAML 2.0\n---\n" + TEXT,
    "an unknown directive": "%X\n---\n" + TEXT,
    "a comment after a block's sign": TEXT.replace("ann", "|#\n  ann"),
    "a question mark in braces": TEXT.replace("ann", "{a?, b: c}"),
}

EQUAL = (
    "1", "1.0", "true", "'1'", "!!binary YQ==", "[97]", "[97.0]", "!!omap [a: 1]", "[[a, 1]]", "!!set {1}",
    "!!set {true}", ".nan", "!!float nan", "{1: x}", "{true: x}", "2024-01-02",
    "{<<: {a: 1}}", "{a: 1}",
)  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", KNOWN_EDGES)
def test_known_edge_cases_get_the_oracles_verdict(tmp_path: Path, name: str, mode: Mode) -> None:
    path, known, text = KNOWN_EDGES[name]
    file = write_leaf(tmp_path, path, "") / "qna.yaml"
    file.write_bytes(text.encode())
    agree(file, mode)
    if mode == FROM_FILE:
        assert known == in_words(file)


def in_words(file: Path) -> str:
    try:
        verdict = Oracle(FROM_FILE).parse(file)
    except TaxonomyReadingException:
        return "raised"
    return "refused" if verdict.errors else "warned" if verdict.warnings else "valid"


def agree(file: Path, mode: Mode) -> None:
    found = [finding for finding in found_in(file.parent, options=mode.options) if finding.severity == "error"]
    assert (found == []) == Oracle(mode).accepts(file), found


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", MORE_EDGES)
def test_more_edge_cases_get_the_oracles_verdict(tmp_path: Path, name: str, mode: Mode) -> None:
    file = write_leaf(tmp_path, SKILL, "") / "qna.yaml"
    file.write_bytes(MORE_EDGES[name].encode())
    agree(file, mode)


@pytest.mark.parametrize("data", [TEXT.encode("utf-16"), TEXT.replace("ann", "Zoë").encode("latin-1"), b"\xff"])
def test_other_encodings_are_refused_by_both(tmp_path: Path, data: bytes) -> None:
    file = write_leaf(tmp_path, SKILL, "") / "qna.yaml"
    file.write_bytes(data)
    agree(file, FROM_FILE)
    assert not Oracle(FROM_FILE).accepts(file)


@pytest.mark.parametrize("one", EQUAL)
@pytest.mark.parametrize("other", EQUAL)
def test_values_are_alike_when_the_oracles_validator_calls_them_so(one: str, other: str) -> None:
    values = yaml.safe_load(f"[{one}, {other}]")
    root = load(f"[{one}, {other}]".encode()).root
    assert isinstance(root, Items)
    schema = Draft202012Validator({"uniqueItems": True})
    assert (identity(root.items[0]) != identity(root.items[1])) == schema.is_valid([{"a": value} for value in values])


DIGITS = {
    "as many as Python prints": "9" * 4300,
    "one more": "9" * 4301,
    "as many, in hex": hex(10**4300 - 1),
    "one more, in hex": hex(10**4300),
    "many in base 60": "1" + ":59" * 2000,
    "too many in base 60": "1" + ":59" * 2700,
    "far too many in base 60": "1" + ":00" * 20_000,
}


@pytest.mark.parametrize("name", DIGITS)
def test_long_numbers_are_refused_as_the_oracle_falls_over_them(tmp_path: Path, name: str) -> None:
    text = KNOWING + f"  - question: q\n    answer: a\n    more: {DIGITS[name]}\n"
    file = write_leaf(tmp_path, KNOWLEDGE, text) / "qna.yaml"
    assert Oracle(FROM_FILE).accepts(file) == (not name.startswith(("one more", "too", "far")))
    agree(file, FROM_FILE)


@pytest.mark.parametrize("name", ["qna.yml", "file.yaml", "QNA.yaml"])
def test_files_of_other_names_are_refused_by_both(tmp_path: Path, name: str) -> None:
    folder = tmp_path / SKILL
    folder.mkdir(parents=True)
    file = folder / name
    file.write_text(TEXT, encoding="utf-8")
    assert not Oracle(FROM_FILE).accepts(file)
    assert [finding.code for finding in found_in(file, options=COMPATIBLE)] == ["wrong-name"]


def test_a_file_that_is_not_there_is_refused_by_both(tmp_path: Path) -> None:
    file = tmp_path / SKILL / "qna.yaml"
    assert not Oracle(FROM_FILE).accepts(file)
    assert [finding.severity for finding in found_in(file, options=COMPATIBLE)] == ["error"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("trailing blanks", False), ("four empty lines", True), ("a key twice, and all silenced", True)],
)
def test_the_command_says_what_the_oracle_says_in_process(tmp_path: Path, name: str, expected: bool) -> None:
    texts = {**MORE_EDGES, "trailing blanks": TEXT.replace("ann", "ann "), "four empty lines": "\n\n\n\n" + TEXT}
    file = write_leaf(tmp_path, SKILL, texts[name]) / "qna.yaml"
    assert shipped(FROM_FILE, file) == Oracle(FROM_FILE).accepts(file) == expected


@pytest.mark.parametrize(
    ("text", "attribution", "code"),
    [
        (TEXT, None, "no-attribution"),
        (TEXT, "", "empty-attribution"),
        (TEXT, " ", None),
        (VERSION_ONE, None, None),
        ("", None, None),
    ],
    ids=["missing", "empty", "blank", "not asked of version 1", "not asked of an empty file"],
)
def test_an_attribution_must_be_there_above_version_1(
    tmp_path: Path, text: str, attribution: str | None, code: str | None
) -> None:
    folder = write_leaf(tmp_path, SKILL, text)
    if attribution is None:
        (folder / "attribution.txt").unlink()
    else:
        (folder / "attribution.txt").write_text(attribution, encoding="utf-8")
    errors = [finding.code for finding in found_in(folder, options=COMPATIBLE) if finding.severity == "error"]
    assert errors == ([code] if code else [])


def test_a_key_given_twice_is_an_error_in_strict_even_where_the_lint_is_silenced(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL, TEXT + "# yamllint disable\ncreated_by: bob\n")
    assert [(finding.line, finding.code) for finding in found_in(folder) if finding.code == "duplicate-key"] == [
        (TEXT.count("\n") + 2, "duplicate-key")
    ]


def test_a_key_given_twice_is_told_once(tmp_path: Path) -> None:
    folder = write_leaf(tmp_path, SKILL, TEXT + "created_by: bob\n")
    for options in (COMPATIBLE, Options()):
        found = [finding for finding in found_in(folder, options=options) if finding.severity == "error"]
        assert [finding.code for finding in found] == ["duplicate-key"]


@pytest.mark.parametrize("key", ['"\\ud83d"', "'" + "k" * 100_000 + "'", "!!int 0x" + "f" * 5000, "? |\n  a\n"])
def test_odd_keys_given_twice_are_told_in_one_short_line(tmp_path: Path, key: str) -> None:
    folder = write_leaf(tmp_path, SKILL, TEXT + f"{key}: x\n{key}: y\n")
    for options in (COMPATIBLE, Options()):
        for finding in found_in(folder, options=options):
            assert len(finding.message) <= 200
            finding.model_dump_json()


def test_of_one_lint_rule_a_hundred_findings_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    text = TEXT.replace("ann\n", "|\n" + "  ann \n" * 250)
    found = found_in(write_leaf(tmp_path, SKILL, text), options=COMPATIBLE)
    assert len(found) == 101
    assert found[-1].message == "150 more of trailing-spaces follow"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_old_knowledge_is_one_error(tmp_path: Path, version: int) -> None:
    values = {**knowledge(), "version": version, "created_by": ""}
    file = write_leaf(tmp_path, KNOWLEDGE, values) / "qna.yaml"
    errors = [finding.code for finding in found_in(tmp_path, options=COMPATIBLE) if finding.severity == "error"]
    assert errors == (["empty"] if version == 3 else ["deprecated"])
    assert not Oracle(FROM_FILE).accepts(file)


@pytest.mark.parametrize("path", ["knowledge/compositional_skills/a", "compositional_skills/knowledge/a", "other/a"])
@pytest.mark.parametrize("values", [skill(), knowledge()], ids=["skill", "knowledge"])
def test_the_nearest_folder_decides_the_kind_as_it_does_for_the_oracle(tmp_path: Path, path: str, values: Any) -> None:
    file = write_leaf(tmp_path, path, values) / "qna.yaml"
    place = place_of(tmp_path, path)
    assert (examine(place, read_files(place)).leaf is not None) == Oracle(FROM_FILE).accepts(file)


def test_a_leaf_without_errors_is_read_whole() -> None:
    root = load(dumped(knowledge()).encode()).root
    assert isinstance(root, Mapping)
    findings = Findings("qna.yaml")
    leaf = parse(root, LeafFacts(path="a", folders=("knowledge", "a"), blob="b", version=3), findings)
    assert leaf is not None
    assert version_of(root) == 3
    told = yaml.safe_load(dumped(knowledge()))["seed_examples"]
    assert [seed.context for seed in leaf.seeds] == [seed["context"] for seed in told]
    assert [pair.answer for seed in leaf.seeds for pair in seed.pairs] == [
        pair["answer"] for seed in told for pair in seed["questions_and_answers"]
    ]
