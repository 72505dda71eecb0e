from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from leaf_files import dumped, knowledge, skill, write_leaf

from instructlab_like.checking.schemas import NAME, TOLD, schema_files
from instructlab_like.checking.whole import check
from instructlab_like.records import HeldOut
from instructlab_like.taxonomy.read import examine, examine_qna
from instructlab_like.taxonomy.tree import LeafFiles, Place

ROOT = Path(__file__).parents[2]
SKILL, KNOWLEDGE = "compositional_skills/sums", "knowledge/tides"
STRANGE = (None, 1, 1.5, True, "", "text", [], ["text"], {}, {"key": "text"})

Values = dict[str, object]
Path_ = tuple[str | int, ...]


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_files()[f"{name}.schema.json"]))


def valid(name: str, values: object) -> bool:
    return validator(name).is_valid(json.loads(json.dumps(values, default=str)))


def read(name: str, values: object) -> bool:
    """Whether our reader takes a file of these values."""
    files: dict[str, bytes] = {}
    path = KNOWLEDGE if name == "knowledge" else SKILL
    file = {"heldout": "heldout.yaml", "simulation": "simulation.yaml"}.get(name, "qna.yaml")
    files[file] = dumped(values).encode()
    place = Place(Path("/tree"), path, path)
    if file == "qna.yaml":
        reading = examine_qna(place, LeafFiles(files, {}), folders=path.split("/"))
    else:
        files["qna.yaml"] = dumped(skill()).encode()
        reading = examine(place, LeafFiles(files, {}))
    return reading.leaf is not None


def paths(value: object, path: Path_ = ()) -> Iterator[Path_]:
    """Where each value stands; of a list the first and the last one."""
    yield path
    parts = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        parts = [(number, value[number]) for number in sorted({0, len(value) - 1}) if value]
    for key, part in parts:
        yield from paths(part, (*path, key))


def mutants(values: Values) -> Iterator[tuple[str, object]]:
    """The values with one thing changed: a value replaced or removed, a list shortened or doubled, a key added."""
    for path in paths(values):
        for strange in STRANGE:
            yield (
                f"{path} = {strange!r}",
                changed(values, path, lambda parent, key, new=strange: parent.put(key, new)),
            )
        if path:
            yield f"{path} removed", changed(values, path, lambda parent, key: parent.pop(key))
        here = at(values, path)
        if isinstance(here, dict):
            yield f"{path} with a key", edited(values, path, lambda node: node.update(strange="x"))
        if isinstance(here, list):
            yield f"{path} with a twin", edited(values, path, lambda node: node.append(node[0]))
            yield f"{path} with one", edited(values, path, lambda node: node.__delitem__(slice(1, None)))
            yield f"{path} with none", edited(values, path, lambda node: node.clear())


class Slot:
    """A parent through which an entry of a list can be changed like one of a mapping."""

    def __init__(self, parent: dict | list) -> None:
        self.parent = parent

    def put(self, key: str | int, value: object) -> None:
        self.parent[key] = value

    def pop(self, key: str | int) -> object:
        return self.parent.pop(key)


def at(values: object, path: Path_) -> object:
    for key in path:
        values = values[key]
    return values


def changed(values: Values, path: Path_, change) -> object:
    whole = {"root": copy.deepcopy(values)}
    path = ("root", *path)
    change(Slot(at(whole, path[:-1])), path[-1])
    return whole["root"]


def edited(values: Values, path: Path_, edit) -> object:
    whole = copy.deepcopy(values)
    edit(at(whole, path))
    return whole


HELD_OUT: Values = {
    "questions": [
        {"question": "How high is the tide?", "answer": "3 m", "accept": ["three metres"], "metric": "contains"},
        {"question": "Shorten this.", "context": "A long text.", "answer": "A text."},
    ]
}
SCORED_OTHERWISE: Values = {
    "questions": [
        # "text" is what a mutant answers: whether an answer is among the options is not for a schema to say.
        {"question": "Made of?", "answer": "oak", "metric": "choice", "options": ["elm", "oak", "text"]},
        {"question": "Refuse.", "answer": "No.", "metric": "judge", "rubric": "Polite.", "accept": ["No, thanks."]},
        {"question": "Say it.", "answer": "The tide is out.", "metric": "perplexity"},
        {"question": "How high?", "answer": "3 m", "metric": "number", "accept": ["4"]},
    ]
}
SIMULATION: Values = {
    "parameters": {
        "weight": {"kind": "integer", "low": 1, "high": 90, "step": 3},
        "thing": {"kind": "choice", "of": ["lamp", 2, 2.5]},
        "some": {"kind": "sample", "of": ["a", "b", "c"], "count": 2},
    },
    "questions": ["What is {{ weight }} of {{ thing }} and {{ some }}?", "{{ thing }}, {{ some }}, {{ weight }}?"],
    "answer": "{{ weight }} {{ thing }} {{ some | join(' ') }}",
    "held_out_questions": ["{{ weight }}, {{ thing }}, {{ some }}: what?"],
}
FILES = [
    ("skill", skill()),
    ("skill", skill(grounded=True)),
    ("skill", skill(version=2)),
    ("skill", skill(version=1)),
    ("knowledge", knowledge()),
    ("heldout", HELD_OUT),
    ("heldout", SCORED_OTHERWISE),
    ("simulation", SIMULATION),
]


@pytest.mark.parametrize(("name", "values"), FILES)
def test_a_schema_says_what_the_reader_says(name: str, values: Values) -> None:
    assert valid(name, values)
    assert read(name, values)
    verdicts = {told: (valid(name, mutant), read(name, mutant)) for told, mutant in mutants(values)}
    assert {told: both for told, both in verdicts.items() if both[0] != both[1]} == {}
    assert sum(not ours for _, ours in verdicts.values()) > 50


@pytest.mark.parametrize("version", [None, 0, 4, "3", 3.0, 1.0, True])
@pytest.mark.parametrize("name", ["skill", "knowledge"])
def test_a_schema_takes_the_versions_that_the_reader_takes(name: str, version: object) -> None:
    values = {**(knowledge() if name == "knowledge" else skill()), "version": version}
    assert valid(name, values) == read(name, values)
    few = {**skill(), "version": version, "seed_examples": skill()["seed_examples"][:1]}
    assert valid("skill", few) == read("skill", few)


def test_a_file_without_a_version_is_of_version_one() -> None:
    values = skill(version=1)
    del values["version"]
    values["seed_examples"] = values["seed_examples"][:1]
    values["task_description"] = ""
    assert valid("skill", values)
    assert read("skill", values)


@pytest.mark.parametrize("name", ["2fast", "a-b", "über", "", "a b"])
def test_a_parameter_name_that_the_check_refuses_is_refused(name: str, tmp_path: Path) -> None:
    weight = SIMULATION["parameters"]["weight"]
    values = {
        "parameters": {name: weight, "n": weight},
        "questions": ["{{ n }}?"],
        "answer": "{{ n }}",
    }
    assert not valid("simulation", values)
    write_leaf(tmp_path, SKILL, skill(), simulation=dumped(values))
    assert any(finding.code == "simulation" for finding in check([tmp_path]).findings)
    assert NAME.startswith("^")


@pytest.mark.parametrize("file", sorted((ROOT / "taxonomy").rglob("*.yaml")), ids=lambda file: file.parent.name)
def test_the_starter_leaves_are_valid(file: Path) -> None:
    name = {"heldout.yaml": "heldout", "simulation.yaml": "simulation"}.get(file.name)
    name = name or ("knowledge" if "knowledge" in file.relative_to(ROOT).parts else "skill")
    validator(name).validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def test_the_files_in_docs_are_what_the_code_makes() -> None:
    folder = ROOT / "docs" / "schemas"
    written = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert written == schema_files(), "run docs/reference.py"


@pytest.mark.parametrize("name", ["skill", "knowledge", "heldout", "simulation"])
def test_every_field_has_a_description_and_a_fitting_example(name: str) -> None:
    schema = json.loads(schema_files()[f"{name}.schema.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    fields = [path for path in paths(schema) if path[-2:-1] == ("properties",) and not {"if", "then"} & {*path}]
    assert len(fields) >= 5
    for path in fields:
        field = at(schema, path)
        assert field["description"].endswith("."), path
        assert "examples" in field or field["type"] in ("array", "object"), path
        for example in field.get("examples", ()):
            jsonschema.Draft202012Validator(field).validate(example)


def test_every_field_of_a_record_is_told() -> None:
    for kind, told in TOLD.items():
        assert set(told) == set(kind.model_fields) - ({"line"} if kind is HeldOut else set())
