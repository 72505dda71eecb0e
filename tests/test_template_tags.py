"""Templates that name tags of their own: what their header may say, and that a sample comes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from instructlab_like.cli import app
from instructlab_like.errors import TemplateError
from instructlab_like.prompts import load_template
from instructlab_like.records import Lineage, Prompt, Sampling

BODY = "=== user\n{{ passage }} <q> why </q> <a> so </a>\n"


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


def write(templates: Path, tags: str, yields: str = "[question, answer]", body: str = BODY) -> None:
    text = f"---\npurpose: test\nyields: {yields}\ntags:\n{tags}---\n{body}"
    (templates / "mine.j2").write_text(text, encoding="utf-8")


def test_tags_are_given_in_the_order_of_what_is_yielded(templates: Path) -> None:
    write(templates, '  answer: ["<a>", "</a>", ""]\n  question: ["<q>", "</q>"]\n')
    assert load_template("mine.j2").tags == (("<q>", "</q>"), ("<a>", "</a>", ""))


def test_a_template_without_them_has_none(templates: Path) -> None:
    (templates / "mine.j2").write_text("---\npurpose: p\nyields: [answer]\n---\n=== user\n[ANSWER 1] [END 1]\n")
    assert load_template("mine.j2").tags is None


@pytest.mark.parametrize(
    ("tags", "line", "told"),
    [
        ('  question: ["<q>", "</q>"]\n', 4, "has no tags for 'answer'"),
        (
            '  question: ["<q>", "</q>"]\n  anwser: ["<a>", "</a>"]\n',
            6,
            "has tags for 'anwser', which it does not yield",
        ),
        ('  question: ["<q>", "</q>"]\n  answer: ["<b>", "</a>"]\n', 6, "never shows the teacher the tag '<b>'"),
        ('  question: ["<q>", "</q>"]\n  answer: ["", "</a>"]\n', 6, "opens 'answer' with nothing"),
        ('  question: ["<q>", "<a>"]\n  answer: ["<a>", "</a>"]\n', 6, "has the tag '<a>' for two things"),
        ('  question: ["<q>", "</q>"]\n  answer: ["<Q>", "</a>"]\n', 5, "has the tag '<q>' for two things"),
        ('  question: ["<q>"]\n  answer: ["<a>", "</a>"]\n', 4, "has a wrong header: tags.question"),
    ],
)
def test_tags_that_cannot_be_read_are_refused_with_their_line(templates: Path, tags: str, line: int, told: str) -> None:
    write(templates, tags)
    with pytest.raises(TemplateError) as caught:
        load_template("mine.j2")
    assert str(caught.value).startswith(f"templates/mine.j2:{line}: {told}")


def test_tags_beside_a_schema_are_refused(templates: Path) -> None:
    text = '---\npurpose: p\nschema: {type: object}\ntags: {answer: ["<a>", "</a>"]}\n---\n=== user\n<a></a>\n'
    (templates / "mine.j2").write_text(text)
    with pytest.raises(TemplateError, match="has tags for 'answer', which it does not yield"):
        load_template("mine.j2")


def test_how_an_answer_is_read_asks_nothing_again_and_changes_no_written_byte() -> None:
    lineage = Lineage(leaf="a", leaf_blob="0" * 40, method="teacher", model="m")
    plain = Prompt(messages=(), sampling=Sampling(), yields=("answer",), lineage=lineage)
    tagged = plain.model_copy(update={"tags": (("<a>", "</a>"),)})
    assert tagged.key == plain.key
    assert "tags" not in plain.model_dump_json()
    assert Prompt.model_validate_json(tagged.model_dump_json()) == tagged


def test_a_judge_of_answers_may_not_have_them(templates: Path) -> None:
    (templates / "judge").mkdir()
    text = '---\npurpose: p\nyields: [reason, grade]\ntags:\n  reason: ["<r>", "</r>"]\n  grade: ["<g>", "</g>"]\n---\n'
    (templates / "judge" / "grade.j2").write_text(f"{text}=== user\n<r></r> <g></g>\n")
    from instructlab_like.recipe import JudgeRecipe
    from instructlab_like.stages.evaluating.grading import Judge

    recipe = JudgeRecipe(url="http://127.0.0.1:9/v1", model="other", pairwise=False, same_family=True)
    with pytest.raises(TemplateError, match="has tags of its own"):
        Judge(recipe, [], [], 0)


def test_the_command_that_loads_such_a_flow_names_the_line(templates: Path) -> None:
    write(templates, '  question: ["<q>", "</q>"]\n')
    flow = "purpose: p\nleaves: [freeform]\nsteps:\n  - {name: a, template: mine.j2, each: [seed]}\n"
    Path("own.yaml").write_text(flow)
    teacher = ["--teacher", "http://127.0.0.1:9/v1", "--teacher-model", "m"]
    result = CliRunner().invoke(app, ["generate", "--flow", "own.yaml", *teacher])
    assert str(result.exception).startswith(
        "templates/mine.j2:4 (asked for in own.yaml:4:15): has no tags for 'answer'"
    )
