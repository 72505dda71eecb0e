"""JSON Schemas of a leaf's YAML files, by which an editor completes and checks them while they are written.

They say what the readers in `taxonomy/` say, as far as JSON Schema can: for `qna.yaml` versions 1 to 3 of the published
schema, for its sibling files the records themselves. What they cannot say is for `ilk check` to find.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from instructlab_like.records import (
    ChoiceParameter,
    HeldOut,
    IntegerParameter,
    Metric,
    Record,
    SampleParameter,
    Simulation,
)
from instructlab_like.taxonomy.qna import LEAST_PAIRS, LEAST_SEEDS, VERSIONS
from instructlab_like.taxonomy.siblings import LEAST_OPTIONS, MOST_OPTIONS

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = "dict[str, Json]"

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = "^[A-Za-z][A-Za-z0-9_]*$"  # of a parameter

# What a field is for, and an example of it, by record. `HeldOut.line` is not in the file.
TOLD: dict[type[Record], dict[str, tuple[str, Json]]] = {
    HeldOut: {
        "question": ("What is asked, in other words than the seed examples use.", "Which river flows past Velmouth?"),
        "answer": ("The right answer.", "the Sarle"),
        "accept": ("Other answers that count as right.", ["the river Sarle", "river Sarle"]),
        "context": ("The text that the question is about, for a grounded skill.", "The pool closes on 1 October."),
        "metric": (
            "How an answer is scored: exact (the same but for case and punctuation), contains (the right answer stands "
            "in it), f1 (the words they share, for answers of several words), number (its last number), choice (which "
            "of the options is taken), judge (graded by another model), perplexity (how likely the right answer is).",
            "exact",
        ),
        "options": (
            "What can be chosen, with metric choice: two or more, the answer among them.",
            ["slate", "granite", "brick"],
        ),
        "rubric": ("What a judge looks at, with metric judge.", "Polite, and gives no reason for the refusal."),
    },
    Simulation: {
        "parameters": (
            "What differs from pair to pair, by name: a whole number, one of several values, or several of them.",
            {"weight": {"kind": "integer", "low": 50, "high": 1490, "step": 10}},
        ),
        "questions": (
            "Templates (Jinja) of the question; one is drawn for each pair. Each must tell what the answer depends on.",
            ["What is the parcel class of {{ weight }} grams?"],
        ),
        "answer": (
            "The template (Jinja) that computes the answer.",
            "{{ 'letter' if weight < 500 else 'large' }}",
        ),
        "held_out_questions": (
            "Templates of questions for measuring only; without them `questions` are asked with values kept apart.",
            ["Name the class of a parcel of {{ weight }} grams."],
        ),
    },
    IntegerParameter: {
        "kind": ("A whole number is drawn.", "integer"),
        "low": ("The smallest number.", 50),
        "high": ("The largest number, itself included.", 1490),
        "step": ("The distance from one number to the next.", 10),
    },
    ChoiceParameter: {
        "kind": ("One of several values is drawn.", "choice"),
        "of": ("The values, each once.", ["lamp", "clock", "bell"]),
    },
    SampleParameter: {
        "kind": ("Several different values are drawn; the template gets them as a list.", "sample"),
        "of": ("The values, each once.", ["lamp", "clock", "bell"]),
        "count": ("How many are drawn.", 2),
    },
}


def schema_files() -> dict[str, str]:
    """The text of each file of docs/schemas/, by its name."""
    schemas = {"skill": skill(), "knowledge": knowledge(), "heldout": held_out(), "simulation": simulation()}
    return {
        f"{name}.schema.json": json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
        for name, schema in schemas.items()
    }


def skill() -> Schema:
    """`qna.yaml` below compositional_skills/ or foundational_skills/."""
    context = _text("The text that the question is about. Give it in every seed example or in none.", "Dear all, …")
    seed = _mapping({"context": context, **_pair()}, optional=("context",))
    task: Json = {
        "description": "What is to be done, as you would tell a colleague. It is part of the prompts.",
        "type": "string",
        "examples": ["Name the class of a parcel by its weight. Answer with the class alone."],
    }
    whole = _mapping(
        {
            "version": _version(VERSIONS),
            "created_by": _created_by(),
            "task_description": task,
            "seed_examples": _list(seed, "Examples of the task and of good answers to it.", least=LEAST_SEEDS[1]),
        },
        optional=("version",),
    )
    newer: Schema = {
        "task_description": {"minLength": 1},
        "seed_examples": {"minItems": LEAST_SEEDS[3], "uniqueItems": True},
    }
    # A file without a version is one of version 1, which asks for less.
    return {
        **_head("A skill", "qna.yaml of a skill: something to do, shown by examples."),
        **whole,
        "if": {"required": ["version"], "properties": {"version": {"enum": [2, 3]}}},
        "then": {"properties": newer},
    }


def knowledge() -> Schema:
    """`qna.yaml` below knowledge/; of it only version 3 is read."""
    pair = _mapping(_pair(), closed=False)  # as the published schema has it
    seed = _mapping(
        {
            "context": _text("A passage of the document, word by word.", "Velmouth was founded by Odo Brask in 1236."),
            "questions_and_answers": _list(pair, "Questions that the context answers.", least=LEAST_PAIRS, unique=True),
        }
    )
    document = _mapping(
        {
            "repo": _text('Where the documents are: the https:// URL of a Git repository, or "." for this one.', "."),
            "commit": _text("The full id of the commit (40 hex digits), or HEAD with this repository.", "HEAD"),
            "patterns": _list(
                _text("A glob of the repository's files; with `repo: .` it starts beside this file.", "*.md"),
                "Which files are read: Markdown and text.",
                least=1,
                unique=True,
            ),
        }
    )
    return {
        **_head("Knowledge", "qna.yaml of knowledge: what a document says."),
        **_mapping(
            {
                "version": _version((3,)),
                "created_by": _created_by(),
                "domain": _text("The field, as on a textbook's cover. It is part of the prompts.", "Astronomy"),
                "document_outline": _text(
                    "What the document is about, in one sentence. It is part of the prompts.",
                    "Velmouth: its founding, its lighthouse, its people and clubs",
                ),
                "document": {**document, "description": "Where the documents are."},
                "seed_examples": _list(
                    seed, "Passages of the document, each with questions.", least=LEAST_SEEDS[3], unique=True
                ),
            }
        ),
    }


def held_out() -> Schema:
    """`heldout.yaml`."""
    question = _record(HeldOut, without=("line",))
    nothing: Schema = {"maxItems": 0}
    options: Schema = {"minItems": LEAST_OPTIONS, "maxItems": MOST_OPTIONS, "uniqueItems": True}
    digits: Schema = {"pattern": r"\d"}
    question["allOf"] = [
        _scored("choice", {"options": options, "accept": nothing}, required=("options",)),
        _scored("choice", {"options": nothing}, other=True),
        _scored("judge", {"rubric": {"type": "null"}}, other=True),
        _scored("perplexity", {"accept": nothing}),
        _scored("number", {"answer": digits, "accept": {"items": digits}}),
    ]
    return {
        **_head("Held-out questions", "heldout.yaml: questions for measuring, which no training ever sees."),
        **_mapping({"questions": _list(question, "The questions; twenty or more let a verdict be given.", least=0)}),
    }


def _scored(metric: Metric, told: Schema, *, required: tuple[str, ...] = (), other: bool = False) -> Schema:
    """What holds for questions of a metric, or of any other."""
    this: Schema = {"required": ["metric"], "properties": {"metric": {"const": metric}}}
    rest: Schema = {"required": [*required]} if required else {}
    return {"if": {"not": this} if other else this, "then": {**rest, "properties": told}}


def simulation() -> Schema:
    """`simulation.yaml`."""
    whole = _record(Simulation)
    properties = whole["properties"]
    assert isinstance(properties, dict)
    kinds: list[Json] = [_record(kind) for kind in (IntegerParameter, ChoiceParameter, SampleParameter)]
    parameters = properties["parameters"]
    assert isinstance(parameters, dict)
    parameters |= {"propertyNames": {"pattern": NAME}, "additionalProperties": {"oneOf": kinds}}
    return {**_head("A simulation", "simulation.yaml: typed parameters and templates, for verified pairs."), **whole}


def _head(title: str, description: str) -> Schema:
    return {"$schema": DIALECT, "title": title, "description": description}


def _mapping(properties: dict[str, Schema | Json], *, optional: tuple[str, ...] = (), closed: bool = True) -> Schema:
    required: list[Json] = [name for name in properties if name not in optional]
    bounds: Schema = {"additionalProperties": False} if closed else {}
    return {"type": "object", "required": required, "properties": dict(properties), **bounds}


def _list(items: Schema, description: str, *, least: int, unique: bool = False) -> Schema:
    bounds: Schema = {"minItems": least} if least else {}
    return {
        "description": description,
        "type": "array",
        **bounds,
        **({"uniqueItems": True} if unique else {}),
        "items": items,
    }


def _text(description: str, example: str) -> Schema:
    return {"description": description, "type": "string", "minLength": 1, "examples": [example]}


def _version(allowed: tuple[int, ...]) -> Schema:
    versions: list[Json] = [*allowed]
    return {
        "description": "The version of the published schema; 3 for new leaves.",
        "type": "integer",
        "enum": versions,
        "default": 3,
        "examples": [3],
    }


def _created_by() -> Schema:
    return _text("Your user name.", "ann")


def _pair() -> dict[str, Schema | Json]:
    return {
        "question": _text("What is asked.", "Who founded Velmouth?"),
        "answer": _text("The answer, as the model should give it.", "Odo Brask"),
    }


def _record(kind: type[Record], *, without: tuple[str, ...] = ()) -> Schema:
    """The schema of a record as it stands in a file: texts are not blank, a tag such as `kind` must be there."""
    told: Schema = json.loads(json.dumps(kind.model_json_schema()))
    fields = told["properties"]
    assert isinstance(fields, dict)
    properties: dict[str, Schema | Json] = {}
    optional = []
    for name, field in fields.items():
        if name in without:
            continue
        described = _plain(field)
        assert isinstance(described, dict)
        if "const" not in described and not kind.model_fields[name].is_required():
            optional.append(name)
        description, example = TOLD[kind][name]
        properties[name] = {"description": description, **described, "examples": [example]}
    return _mapping(properties, optional=tuple(optional))


def _plain(schema: Json) -> Json:
    """A schema as pydantic makes it, less what only programs read, and with texts that say something."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema or "discriminator" in schema:
        return {}  # parameters, for which the caller has a schema of its own
    kept = {key: _plain(value) for key, value in schema.items() if key not in ("title", "description")}
    if kept.get("default") in (None, []):
        kept.pop("default", None)
    if kept.get("type") == "string" and "enum" not in kept and "const" not in kept:
        kept["pattern"] = r"\S"
    return kept
