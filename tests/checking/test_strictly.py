"""What strict says where upstream is content, and what it says in no log."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import dumped, found_in, skill, write_leaf

from instructlab_like.checking.leaf import Options

SKILL = "compositional_skills/sums"
COMPATIBLE = Options(profile="compatible")
KEY = "ghp_9qXv2LmR7tYbN4cKdW8sZpA1eGhJ3fUo6QxT"
SIMULATION = """\
parameters:
  a: {kind: integer, low: 1, high: 900}
questions:
  - "What is {{ a }}?"
answer: "ANSWER"
"""


def told(root: Path, options: Options | None = None) -> list[tuple[str, str]]:
    found = found_in(root, options=options) if options else found_in(root)
    return [(finding.code, finding.severity) for finding in found]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "0\n", "[]\n"])
def test_a_leaf_that_nothing_can_be_made_of_is_an_error(tmp_path: Path, text: str) -> None:
    write_leaf(tmp_path, SKILL, text)
    assert told(tmp_path) == [("empty-file", "error")]
    assert told(tmp_path, COMPATIBLE) == [("empty-file", "warning")]


def test_a_key_given_twice_is_an_error_in_every_version(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, dumped(skill(version=1)).replace("version: 1\n", "") + "created_by: bob\n")
    assert ("duplicate-key", "error") in told(tmp_path)
    assert all(severity != "error" for _, severity in told(tmp_path, COMPATIBLE))


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ a }} {{ '\\\\u202e' }}", "bidi-control"),
        ("{{ a }} {{ '\\\\U000e0041' }}", "tag-character"),
        ("{{ a }} {{ 'AKIA' ~ 'Q3EGRYKXJ5WZ7BTN' }}", "secret"),
        ("{{ a }} {{ 'h.torne' ~ '@' ~ 'velm-harbour.nl' }}", "email"),
    ],
)
def test_what_a_simulation_puts_together_is_looked_through(tmp_path: Path, template: str, code: str) -> None:
    write_leaf(tmp_path, SKILL, skill(), simulation=SIMULATION.replace("ANSWER", template))
    assert [finding for finding in told(tmp_path) if finding[1] == "error"] == [(code, "error")]


def test_no_message_repeats_a_secret(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, dumped(skill()) + f"{KEY}: x\n")
    found = found_in(tmp_path)
    assert {"secret", "unknown-key"} <= {finding.code for finding in found}
    assert all(KEY not in finding.model_dump_json() for finding in found)


def test_marks_of_direction_beside_right_to_left_letters_are_warnings(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, {**skill(), "task_description": "\u200fשלום (5)\u200e"})
    assert set(told(tmp_path)) == {("bidi-control", "warning")}
    write_leaf(tmp_path, SKILL, {**skill(), "task_description": "\u202eשלום"})
    assert ("bidi-control", "error") in told(tmp_path)


def test_an_emoji_may_be_written_partly_as_escapes(tmp_path: Path) -> None:
    text = dumped(skill()).replace("Add numbers.", '"Add \\U0001F3F3\ufe0f\u200d\\U0001F308 and \\u2764\ufe0f."')
    write_leaf(tmp_path, SKILL, text)
    assert told(tmp_path) == []


@pytest.mark.parametrize("text", ["猫" * 6_100, "1" * 6_100])
def test_texts_without_blanks_have_limits_as_well(tmp_path: Path, text: str) -> None:
    values = skill(grounded=True)
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    seeds[0]["context"] = text
    write_leaf(tmp_path, SKILL, values)
    assert told(tmp_path) == [("long-context", "error")]


def test_a_file_that_nobody_reads_is_an_error_and_takes_no_long_look(tmp_path: Path) -> None:
    values = skill()
    values["task_description"] = "+49 " * 200_000
    write_leaf(tmp_path, SKILL, values)
    assert told(tmp_path) == [("long-file", "error")]
