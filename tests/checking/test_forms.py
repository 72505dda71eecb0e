from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from leaf_files import skill, write_leaf

from instructlab_like import __version__
from instructlab_like.checking.codes import CODES
from instructlab_like.checking.forms import Form, printed
from instructlab_like.checking.leaf import STRICT
from instructlab_like.checking.whole import Outcome, check
from instructlab_like.stages.contributing.check import check as stage
from instructlab_like.taxonomy.findings import Finding

FORMS: tuple[Form, ...] = ("text", "json", "github", "sarif")
HOSTILE_PIECES = (
    *("::error::", "::warning file=x,line=1::", "::add-mask::a", "::stop-commands::x", "::set-output name=a::b", "::"),
    *("##[error]", "##[add-path]/tmp", "##[group]x", "##vso[task.setvariable variable=a]b", "##teamcity[x]", "#", "##"),
    *("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\t", "\0", "\x07"),
    *(
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\u202e",
        "\u2066",
        "\u200b",
        "\U000e0041",
        "\ufeff",
        "\udcff",
        "\ud800",
    ),
    *("%", "%0A", "%0D%0A", "%25", "%3A%3A", ":", ",", "=", "]", "[", "](https://example.org)", "{0}", "é", "潮", "🌊"),
    *(" ", "  ", "a", "qna.yaml", "/", "../", "\\", '"', "'", "<script>", "|", "`"),
)


def finding(**told: object) -> Finding:
    given = {"path": "knowledge/tides/qna.yaml", "line": 3, "column": 5, "code": "empty", "severity": "error"}
    given |= {"field": "created_by", "message": "this text is empty", "fix": "fill it in"}
    return Finding.model_validate({**given, **told})


def hostile(count: int) -> Iterator[str]:
    rng = random.Random(3)
    for _ in range(count):
        yield "".join(rng.choices(HOSTILE_PIECES, k=rng.randint(1, 7)))


def workflow_commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands that GitHub's runner takes out of a log, whatever it were to call a line break.

    As `ActionCommand.cs` of the runner has it: `::name key=value,…::data` at the beginning of a line, after blanks;
    else `##[name key=value;…]data` anywhere in it.
    """
    found = []
    for line in text.splitlines():
        if new := re.match(r"\s*::([^ :]+)(?: (.*?))?::(.*)$", line):
            pairs = (part.split("=", 1) for part in (new[2] or "").split(",") if "=" in part)
            found.append((new[1], {key.strip(): decoded(value, ":,") for key, value in pairs}, decoded(new[3])))
        elif old := re.search(r"##\w*\[([^] ]+)[^]]*\](.*)$", line):
            found.append((old[1], {}, old[2]))
    return found


def decoded(text: str, more: str = "") -> str:
    for letter in ("\r", "\n", *more):
        text = text.replace(f"%{ord(letter):02X}", letter)
    return text.replace("%25", "%")


def test_text_names_position_code_and_what_to_do() -> None:
    outcome = Outcome(2, (finding(), finding(severity="warning", code="blank", field="", message="it is blank")))
    assert printed(outcome, "text") == (
        "knowledge/tides/qna.yaml:3:5: error [empty] created_by: this text is empty\n"
        "  → fill it in\n"
        "knowledge/tides/qna.yaml:3:5: warning [blank] it is blank\n"
        "  → fill it in\n"
        "2 leaves, 1 errors, 1 warnings"
    )


def test_json_gives_every_field_as_it_is() -> None:
    told = finding(path="ü/a\nb\udcff/qna.yaml", message="the key '\x1b[31m' \u2028 is not known")
    parsed = json.loads(printed(Outcome(1, (told,)), "json"))
    assert parsed == {"leaves": 1, "findings": [told.model_dump()]}


def test_a_github_annotation_is_escaped_as_the_toolkit_does() -> None:
    told = finding(path="a,b:c%/qna.yaml", field="", message="100 % of a: b, c", code="empty")
    assert printed(Outcome(1, (told,)), "github").split("\n") == [
        "::error file=a%2Cb%3Ac%25/qna.yaml,line=3,col=5,title=empty::100 %25 of a: b, c%0A→ fill it in",
        "1 leaves, 1 errors, 0 warnings",
    ]


def test_no_text_starts_a_workflow_command_of_its_own() -> None:
    for text in hostile(10_000):
        findings = (
            finding(path=text, field=text, message=text, fix=text, code=text),
            finding(path=f"knowledge/{text}/qna.yaml", message=f"the key {text} is not known", severity="warning"),
        )
        told = printed(Outcome(1, findings), "github")
        commands = workflow_commands(told)
        assert [name for name, _, _ in commands] == ["error", "warning"], text
        assert all(list(properties) == ["file", "line", "col", "title"] for _, properties, _ in commands), text
        assert all((properties["line"], properties["col"]) == ("3", "5") for _, properties, _ in commands), text
        assert len(told.splitlines()) == 3, text
        # Nor does what the runner writes out once it has decoded it.
        assert not workflow_commands("\n".join(data for _, _, data in commands)), text


def test_no_text_starts_a_workflow_command_in_a_log_of_the_other_forms() -> None:
    for text in hostile(2_000):
        outcome = Outcome(1, (finding(path=text, field=text, message=text, fix=text),))
        assert not workflow_commands(printed(outcome, "text")), text


@pytest.mark.parametrize("form", FORMS)
def test_nothing_that_is_not_printable_is_printed(form: Form) -> None:
    for text in hostile(1_000):
        told = printed(Outcome(1, (finding(path=text, field=text, message=text, fix=text),)), form)
        assert all(char.isprintable() or char == "\n" for char in told), text
        told.encode()  # no half characters


def test_letters_of_all_scripts_stay_as_they_are() -> None:
    told = finding(path="knowledge/潮/qna.yaml", message="é 潮 🌊 א")
    for form in ("text", "json", "github"):
        assert "é 潮 🌊 א" in printed(Outcome(1, (told,)), form)
        assert "knowledge/潮/qna.yaml" in printed(Outcome(1, (told,)), form)


# --- SARIF ------------------------------------------------------------------------------------------------------

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
URI = {"type": "string", "pattern": r"^(file:///)?[A-Za-z0-9._~%/-]*$"}
# What SARIF 2.1.0 requires of the parts that are written, and nothing besides them.
SARIF = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "pattern": "sarif-schema-2.1.0.json$"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool", "columnKind", "originalUriBaseIds", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "additionalProperties": False,
                    "properties": {"driver": {"$ref": "#/$defs/driver"}},
                },
                "columnKind": {"const": "unicodeCodePoints"},
                "originalUriBaseIds": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"description": TEXT}},
                },
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "type": "object",
            "required": ["name", "version", "rules"],
            "additionalProperties": False,
            "properties": {
                "name": {"const": "ilk"},
                "version": {"const": __version__},
                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}},
            },
        },
        "rule": {
            "type": "object",
            "required": ["id", "shortDescription", "fullDescription", "help"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "shortDescription": TEXT,
                "fullDescription": TEXT,
                "help": {**TEXT, "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}}},
            },
        },
        "result": {
            "type": "object",
            "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["error", "warning"]},
                "message": TEXT,
                "locations": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"$ref": "#/$defs/location"}},
                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "location": {
            "type": "object",
            "required": ["physicalLocation"],
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation", "region"],
                    "additionalProperties": False,
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "required": ["uri"],
                            "additionalProperties": False,
                            "properties": {"uri": URI, "uriBaseId": {"const": "%SRCROOT%"}},
                        },
                        "region": {
                            "type": "object",
                            "required": ["startLine", "startColumn"],
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                }
            },
        },
    },
}


def sarif(*findings: Finding) -> dict:
    log = json.loads(printed(Outcome(1, findings), "sarif"))
    jsonschema.Draft202012Validator(SARIF).validate(log)
    return log["runs"][0]


def test_sarif_has_a_rule_for_every_code_and_a_result_for_every_finding() -> None:
    run = sarif(*(finding(code=code, line=number) for number, code in enumerate(CODES, start=1)))
    rules = run["tool"]["driver"]["rules"]
    assert sorted(CODES) == [rule["id"] for rule in rules]
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert f"docs/findings.md#{rule['id']}" in rule["help"]["text"]
    assert len({rule["shortDescription"]["text"] for rule in rules}) == len(CODES)


def test_sarif_without_findings_is_valid() -> None:
    assert sarif() == {**sarif(), "results": []}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("taxonomy/a b/qna.yaml", "taxonomy/a%20b/qna.yaml"),
        ("a:b/ü#?/qna.yaml", "a%3Ab/%C3%BC%23%3F/qna.yaml"),
        ("/tree/潮/qna.yaml", "file:///tree/%E6%BD%AE/qna.yaml"),
    ],
)
def test_a_path_becomes_a_uri(path: str, uri: str) -> None:
    place = sarif(finding(path=path))["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == uri
    assert unquote(uri).endswith(path)
    assert ("uriBaseId" in place) == (not path.startswith("/"))


def test_hostile_text_leaves_sarif_valid_and_makes_no_link() -> None:
    for text in hostile(1_000):
        result = sarif(finding(path=text, field=text, message=text, fix=text))["results"][0]
        assert "](" not in result["message"]["text"]


def test_a_fingerprint_survives_a_move_and_tells_twins_apart() -> None:
    def fingerprints(*findings: Finding) -> list[str]:
        return [result["partialFingerprints"]["finding/v1"] for result in sarif(*findings)["results"]]

    before, after = fingerprints(finding(line=3))[0], fingerprints(finding(line=30, column=1))[0]
    assert before == after
    assert len(set(fingerprints(finding(line=3), finding(line=4), finding(field="domain")))) == 3


# --- through the stage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_keys_and_folders_of_a_leaf_cannot_act(
    form: Form, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**skill(), "a\n::error::b": 1, "##[add-path]/tmp": 2, "\u202e\x1b[2J": 3}
    monkeypatch.chdir(tmp_path)
    write_leaf(tmp_path, "compositional_skills/::warning::x", values)
    assert stage([Path("compositional_skills")], STRICT, base=None, form=form) == 2
    told = capsys.readouterr().out
    findings = check([Path("compositional_skills")]).findings
    assert sum(finding.code == "unknown-key" for finding in findings) == 3
    assert len(workflow_commands(told)) == (len(findings) if form == "github" else 0)
    assert all(char.isprintable() or char == "\n" for char in told)
