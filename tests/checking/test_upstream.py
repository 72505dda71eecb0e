"""The published schema package has the last word on which `qna.yaml` is valid; every verdict here is compared to it."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from instructlab.schema.taxonomy import Taxonomy, TaxonomyParser, TaxonomyReadingException
from leaf_files import dumped, found_in, knowledge, skill, write_leaf
from yamllint import linter
from yamllint.config import YamlLintConfig

from instructlab_like.checking.leaf import Options
from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.qna import LeafFacts, parse, version_of
from instructlab_like.taxonomy.read import examine
from instructlab_like.taxonomy.tree import place_of, read_files
from instructlab_like.taxonomy.yaml_lines import Mapping, load

COMPATIBLE = Options(profile="compatible")
SKILL, KNOWLEDGE, FOUNDATION = "compositional_skills/sums", "knowledge/tides", "foundational_skills/sums"


class Oracle(TaxonomyParser):
    """The package, its version taken from each file, with yamllint called in process rather than as a command."""

    def __init__(self, *, lint: bool) -> None:
        super().__init__(schema_version=0, message_format="logging")
        self.lint = lint
        self.yq_available = False

    def _yamllint(self, text: str, taxonomy: Taxonomy) -> None:
        for problem in linter.run(text, YamlLintConfig(self.yamllint_config)) if self.lint else ():
            (taxonomy.error if problem.level == "error" else taxonomy.warning)(problem.desc)

    def accepts(self, path: Path) -> bool:
        try:
            return self.parse(path).errors == 0
        except TaxonomyReadingException:
            return False


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
    oracle = Oracle(lint=False)
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
VERSION_ONE = TEXT.replace("version: 3\n", "")

EDGES = {
    "as it is": TEXT,
    "version as a float": TEXT.replace("version: 3", "version: 3.0"),
    "version as text": TEXT.replace("version: 3", "version: '3'"),
    "version yes": TEXT.replace("version: 3", "version: yes"),
    "version 0": TEXT.replace("version: 3", "version: 0"),
    "version 4": TEXT.replace("version: 3", "version: 4"),
    "version -1": TEXT.replace("version: 3", "version: -1"),
    "version null": TEXT.replace("version: 3", "version:"),
    "version 2.5": TEXT.replace("version: 3", "version: 2.5"),
    "version infinite": TEXT.replace("version: 3", "version: .inf"),
    "version in hex": TEXT.replace("version: 3", "version: 0x3"),
    "no version": VERSION_ONE,
    "no version, trailing blanks": VERSION_ONE.replace("created_by: ann", "created_by: ann  "),
    "no version, a key twice": VERSION_ONE + "created_by: bob\n",
    "no version, a tab after a colon": VERSION_ONE.replace("created_by: ann", "created_by:\tann"),
    "a key twice": TEXT + "created_by: bob\n",
    "trailing blanks": TEXT.replace("created_by: ann", "created_by: ann  "),
    "no final line break": TEXT.rstrip("\n"),
    "four empty lines": TEXT.replace("created_by", "\n\n\n\ncreated_by"),
    "indented by four": TEXT.replace("\n- question", "\n    - question").replace("\n  answer", "\n      answer"),
    "a long line": TEXT.replace("Add numbers.", "Add " + "numbers " * 60),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + TEXT,
    "a tab after a colon": TEXT.replace("created_by: ann", "created_by:\tann"),
    "two documents": TEXT + "---\na: b\n",
    "a start and an end": "---\n" + TEXT + "...\n",
    "an unclosed list": TEXT + "more: [\n",
    "an unknown alias": TEXT.replace("created_by: ann", "created_by: *ann"),
    "an anchor and its alias": TEXT.replace("created_by: ann", "created_by: &a ann").replace("Add numbers.", "*a"),
    "an unused anchor": TEXT.replace("created_by: ann", "created_by: &a ann"),
    "a tag": TEXT.replace("created_by: ann", "created_by: !who ann"),
    "the tag of text": TEXT.replace("created_by: ann", "created_by: !!str 17"),
    "no date": TEXT.replace("created_by: ann", "created_by: 2024-13-45"),
    "empty": "",
    "a comment": "# nothing yet\n",
    "zero": "0\n",
    "a list": "- a\n",
    "a mapping of nothing": "{}\n",
    "a key that is a number": TEXT + "1: x\n",
    "a control character": TEXT.replace("ann", "a\x07n"),
    "braces": TEXT.replace("created_by: ann\n", "created_by: ann\n").replace(TEXT[TEXT.index("- q") :], "")
    + "".join(f"  - {{ question: q{n}, answer: a }}\n" for n in range(5)),
}


@pytest.mark.parametrize("name", EDGES)
def test_edge_cases_get_the_oracles_verdict(tmp_path: Path, name: str) -> None:
    file = write_leaf(tmp_path, SKILL, EDGES[name]) / "qna.yaml"
    file.write_bytes(EDGES[name].encode())
    found = [finding for finding in found_in(tmp_path, options=COMPATIBLE) if finding.severity == "error"]
    assert (found == []) == Oracle(lint=True).accepts(file), found


@pytest.mark.parametrize("version", [1, 2, 3])
def test_old_knowledge_is_one_error(tmp_path: Path, version: int) -> None:
    values = {**knowledge(), "version": version, "created_by": ""}
    file = write_leaf(tmp_path, KNOWLEDGE, values) / "qna.yaml"
    errors = [finding.code for finding in found_in(tmp_path, options=COMPATIBLE) if finding.severity == "error"]
    assert errors == (["empty"] if version == 3 else ["deprecated"])
    assert not Oracle(lint=True).accepts(file)


@pytest.mark.parametrize("path", ["knowledge/compositional_skills/a", "compositional_skills/knowledge/a", "other/a"])
@pytest.mark.parametrize("values", [skill(), knowledge()], ids=["skill", "knowledge"])
def test_the_nearest_folder_decides_the_kind_as_it_does_for_the_oracle(tmp_path: Path, path: str, values: Any) -> None:
    file = write_leaf(tmp_path, path, values) / "qna.yaml"
    place = place_of(tmp_path, path)
    assert (examine(place, read_files(place)).leaf is not None) == Oracle(lint=True).accepts(file)


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
