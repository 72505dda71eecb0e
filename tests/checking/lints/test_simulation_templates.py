from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import skill, write_leaf
from one_lint import SKILL_PATH, of_code

GOOD = """\
# grams
parameters:
  grams:
    kind: integer
    low: 1
    high: 100
  town: {kind: choice, of: [Velmouth, Sarle]}
questions:
  - "{{ grams }} to {{ town }}?"
  - |

    How heavy is a parcel
    of {{ grams }} g to {{ town }}?
answer: >-
  {{ grams * 2 }}
  for {{ town }}
held_out_questions: ["To {{ town }}, {{ grams }}?"]
"""


def said(root: Path, text: str) -> list[tuple[int, int, str, str]]:
    write_leaf(root, SKILL_PATH, skill(), simulation=text)
    return [(each.line, each.column, each.field, each.message) for each in of_code("simulation", root)]


def test_a_good_simulation_has_no_finding(tmp_path: Path) -> None:
    assert said(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("{{ grams }} to {{ town }}?", "{{ grams }} to {{ twon }}? {{ town }}", (9, 24, "questions[1]")),
        ("of {{ grams }} g", "of {{ grams }} {{ gram }} g", (13, 23, "questions[2]")),
        ("of {{ grams }} g", "of {{ grams } g", (13, 5, "questions[2]")),
        ("How heavy", "{% nothing %} How heavy", (12, 5, "questions[2]")),
        ("{{ grams * 2 }}", "{{ grams * pounds }}", (15, 14, "answer")),
        ("low: 1\n", "low: 101\n", (3, 3, "parameters.grams")),
        ("[Velmouth, Sarle]", "[Sarle, Sarle]", (7, 28, "parameters.town.of")),
        ("  town: {", "  unused: {kind: integer, low: 1, high: 2}\n  town: {", (7, 3, "parameters.unused")),
        ("  town: {", "  a.b: {kind: integer, low: 1, high: 2}\n  town: {", (7, 3, "parameters.a.b")),
        ("To {{ town }}, {{ grams }}?", "To {{ town }}?", (17, 22, "held_out_questions[1]")),
        ("To {{ town }}, {{ grams }}?", "To nobody?", (17, 22, "held_out_questions[1]")),
        ("{{ grams * 2 }}", "{{ 2 // (grams - 50) }}", (14, 9, "answer")),
    ],
)
def test_a_problem_is_told_where_its_field_stands(
    tmp_path: Path, old: str, new: str, place: tuple[int, int, str]
) -> None:
    assert GOOD.count(old) == 1
    found = said(tmp_path, GOOD.replace(old, new))
    assert {(line, column, field) for line, column, field, _ in found} == {place}
    message = found[0][3]
    assert not message.startswith(("line", place[2]))


def test_an_arrow_in_a_drawn_value_does_not_cut_the_message(tmp_path: Path) -> None:
    said(tmp_path, GOOD.replace("Velmouth, Sarle", "a → b, c → d").replace("{{ grams * 2 }}", "{{ 1 // 0 }}"))
    (found,) = of_code("simulation", tmp_path)
    assert "→" in found.message
    assert "by zero" in found.message
    assert found.fix == "correct the template or the parameters"


def test_a_simulation_that_has_not_its_form_is_left_to_the_reader(tmp_path: Path) -> None:
    assert said(tmp_path, "parameters: {}\n") == []
    assert said(tmp_path, GOOD.replace("low: 1\n", "low: x\n")) == []
