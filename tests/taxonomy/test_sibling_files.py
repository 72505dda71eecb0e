from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import found_in, knowledge, skill, write_leaf

from instructlab_like.errors import LeafError
from instructlab_like.records import ChoiceParameter, HeldOut, IntegerParameter, Skill
from instructlab_like.taxonomy.read import read_leaf

SKILL = "compositional_skills/sums"

SIMULATION = """\
parameters:
  a: {kind: integer, low: 1, high: 9}
  thing: {kind: choice, of: [apples, pears, 3]}
questions:
  - |
    What is {{ a }} and {{ a }} {{ thing }}?
answer: "{{ a + a }}"
"""


def findings(tmp_path: Path, *, kind: str = "skill", **files: str) -> list[str]:
    path = SKILL if kind == "skill" else "knowledge/tides"
    write_leaf(tmp_path, path, skill() if kind == "skill" else knowledge(), **files)
    with pytest.raises(LeafError) as caught:
        read_leaf(tmp_path, Path(path))
    return [text.removeprefix(f"{tmp_path}/{path}/") for text in caught.value.findings]


def test_held_out_questions_join_the_leaf(tmp_path: Path) -> None:
    text = (
        "questions:\n"
        "  - question: What is twice two?\n    answer: |\n      four\n    accept: ['4']\n    metric: contains\n"
        "  - {question: 'And twice three?', answer: six, context: Numbers.}\n"
    )
    write_leaf(tmp_path, SKILL, skill(), heldout=text)
    assert read_leaf(tmp_path, Path(SKILL)).held_out == (
        HeldOut(line=2, question="What is twice two?", answer="four", accept=("4",), metric="contains"),
        HeldOut(line=7, question="And twice three?", answer="six", context="Numbers."),
    )


def test_what_is_wrong_in_heldout_yaml_is_said_with_its_place(tmp_path: Path) -> None:
    text = (
        "questions:\n  - {question: 'One?', answer: 4}\n  - {question: ' ', answer: x, metric: best}\n"
        "  - {question: 'Two?', answr: x, line: 3}\n  - {question: 'Three?', answr: x}\n  - Four?\nextra: 1\n"
    )
    assert findings(tmp_path, heldout=text) == [
        "heldout.yaml:2:32: questions[1].answer: Input should be a valid string → correct the value; numbers given as "
        "text need quotes",
        "heldout.yaml:3:16: questions[2].question: this text is empty → fill it in, or remove the key",
        "heldout.yaml:3:40: questions[2].metric: Input should be 'exact', 'f1', 'contains', 'number', 'choice', "
        "'judge' or 'perplexity' → correct the value; numbers given as text need quotes",
        "heldout.yaml:4:34: questions[3]: the key 'line' is not known here → remove it",
        "heldout.yaml:5:5: questions[4]: the key 'answer' is missing → add `answer:`",
        "heldout.yaml:5:26: questions[4].answr: the key 'answr' is not known here → remove or correct it",
        "heldout.yaml:6:5: questions[5]: this must be a mapping of key: value → write `question:` and `answer:` below "
        "one '- '",
        "heldout.yaml:7:1: the key 'extra' is not known here → remove it",
    ]


def test_each_metric_takes_the_keys_that_it_looks_at(tmp_path: Path) -> None:
    text = (
        "questions:\n"
        "  - {question: 'Made of?', answer: slate, metric: choice, options: [brick, slate, pine]}\n"
        "  - {question: Refuse an offer., answer: No thanks., metric: judge, rubric: Polite., accept: [No.]}\n"
        "  - {question: 'How many?', answer: '7 arches', metric: number, accept: ['8']}\n"
        "  - {question: Say it., answer: The tide is out., metric: perplexity}\n"
    )
    write_leaf(tmp_path, SKILL, skill(), heldout=text)
    choice, judged, number, likely = read_leaf(tmp_path, Path(SKILL)).held_out
    assert (choice.metric, choice.options) == ("choice", ("brick", "slate", "pine"))
    assert (judged.metric, judged.rubric, judged.accept) == ("judge", "Polite.", ("No.",))
    assert (number.metric, likely.metric) == ("number", "perplexity")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "answer: slate, options: [slate, pine]",
            "3:20: questions[1].options: the metric 'exact' does not look at `options` → remove it, or write "
            "`metric: choice`",
        ),
        (
            "answer: slate, metric: f1, rubric: Polite.",
            "3:32: questions[1].rubric: the metric 'f1' does not look at `rubric` → remove it, or write "
            "`metric: judge`",
        ),
        (
            "answer: slate, metric: choice, options: [slate, pine], accept: [oak]",
            "3:60: questions[1].accept: the metric 'choice' does not look at `accept` → remove it",
        ),
        (
            "answer: slate, metric: perplexity, accept: [oak]",
            "3:40: questions[1].accept: the metric 'perplexity' does not look at `accept` → remove it",
        ),
        (
            "answer: slate, metric: choice",
            "3:4: questions[1].options: a choice needs 2 to 26 options, and there are none → list what can be chosen "
            "under `options:`, the right answer among it",
        ),
        (
            "answer: slate, metric: choice, options: [slate]",
            "3:45: questions[1].options: a choice needs 2 to 26 options, and there are 1 → list what can be chosen "
            "under `options:`, the right answer among it",
        ),
        (
            "answer: oak, metric: choice, options: [slate, pine]",
            "3:13: questions[1].answer: the answer 'oak' is none of the options → write it as it stands there",
        ),
        (
            "answer: SLATE, metric: choice, options: [slate, pine]",
            "3:13: questions[1].answer: the answer 'SLATE' is none of the options → write 'slate', as it stands there",
        ),
        (
            "answer: slate, metric: choice, options: [slate, pine, Slate.]",
            "3:59: questions[1].options[3]: this option says the same as option 1 → write another one, or remove it",
        ),
        (
            "answer: seven, metric: number",
            "3:13: questions[1].answer: there is no number in 'seven' → write the number in digits, or take another "
            "metric",
        ),
        (
            "answer: '7', metric: number, accept: [eight]",
            "3:43: questions[1].accept[1]: there is no number in 'eight' → write the number in digits, or take another "
            "metric",
        ),
    ],
)
def test_a_metric_and_keys_that_do_not_go_together_are_said(tmp_path: Path, told: str, said: str) -> None:
    rows = "\n".join(f"   {row}" for row in [f"{{{told}, ", "question: 'What is it?'}"])
    text = f"questions:\n  -\n{rows}\n"
    assert findings(tmp_path, heldout=text) == [f"heldout.yaml:{said}"]


def test_options_that_differ_in_their_signs_alone_are_different(tmp_path: Path) -> None:
    text = "questions:\n  - {question: 'Which sign?', answer: '!', metric: choice, options: ['!', '?', '.']}\n"
    write_leaf(tmp_path, SKILL, skill(), heldout=text)
    assert read_leaf(tmp_path, Path(SKILL)).held_out[0].options == ("!", "?", ".")


@pytest.mark.parametrize("text", ["", "- a\n", "questions: none\n", "question: []\n"])
def test_heldout_yaml_without_questions_says_what_to_write(tmp_path: Path, text: str) -> None:
    assert any("questions" in found for found in findings(tmp_path, heldout=text))


def test_a_held_out_question_that_is_a_seed_is_refused(tmp_path: Path) -> None:
    text = "questions:\n  - {question: 'what is 3 plus 3', answer: '6'}\n"
    assert findings(tmp_path, heldout=text) == [
        "heldout.yaml:2:5: questions[1]: this question is also seed example 4, which is shown to the teacher → ask it "
        "otherwise"
    ]


def test_the_same_question_about_another_text_is_no_seed(tmp_path: Path) -> None:
    text = "questions:\n  - {question: 'What is 3 plus 3?', context: The number is nine., answer: '6'}\n"
    write_leaf(tmp_path, SKILL, skill(grounded=True), heldout=text)
    assert len(read_leaf(tmp_path, Path(SKILL)).held_out) == 1


def test_a_simulation_joins_a_skill(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, skill(), simulation=SIMULATION)
    leaf = read_leaf(tmp_path, Path(SKILL))
    assert isinstance(leaf, Skill)
    assert leaf.simulation is not None
    assert leaf.simulation.parameters == {
        "a": IntegerParameter(low=1, high=9),
        "thing": ChoiceParameter(of=("apples", "pears", 3)),
    }
    assert leaf.simulation.questions == ("What is {{ a }} and {{ a }} {{ thing }}?",)


def test_what_is_wrong_in_simulation_yaml_is_said_with_its_place(tmp_path: Path) -> None:
    text = (
        "parameters:\n  a: {kind: integer, low: '1'}\n  b: {kind: dice, of: [1]}\n  c: {kind: choice, of: []}\n"
        "questions: []\n"
    )
    found = findings(tmp_path, simulation=text)
    assert [line.split(": ")[:2] for line in found] == [
        ["simulation.yaml:1:1", "the key 'answer' is missing → add `answer:`"],
        ["simulation.yaml:2:6", "parameters.a"],
        ["simulation.yaml:2:27", "parameters.a.low"],
        ["simulation.yaml:3:6", "parameters.b"],
        ["simulation.yaml:4:25", "parameters.c.of"],
        ["simulation.yaml:5:12", "questions"],
    ]


def test_yes_is_not_taken_for_a_number(tmp_path: Path) -> None:
    text = SIMULATION.replace("low: 1", "low: yes")
    assert findings(tmp_path, simulation=text)[0].startswith("simulation.yaml:2:27: parameters.a.low: ")


def test_a_simulation_beside_knowledge_is_refused(tmp_path: Path) -> None:
    assert "only a skill can have a simulation" in findings(tmp_path, kind="knowledge", simulation=SIMULATION)[0]


def test_a_key_given_twice_in_a_sibling_file_is_an_error(tmp_path: Path) -> None:
    assert "given twice" in findings(tmp_path, simulation=SIMULATION + "answer: x\n")[0]


def test_a_broken_sibling_of_a_broken_leaf_is_reported_as_well(tmp_path: Path) -> None:
    write_leaf(tmp_path, SKILL, "seed_examples: [", heldout="questions: [")
    assert [Path(finding.path).name for finding in found_in(tmp_path)] == ["heldout.yaml", "qna.yaml"]
