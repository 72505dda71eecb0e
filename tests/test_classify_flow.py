"""The flow `classify`: classes evenly, out of the leaf or of a list, and a second look that has to come to the same."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import orjson
import pytest
from flow_files import TEMPLATES, TWO_STEPS, flow_in
from ilk_process import assert_nothing_is_lost, ilk
from leaf_files import found_in, skill, write_leaf
from server import TeacherServer
from teacher_answers import answered
from walked import Walked, walked

from instructlab_like.axes import answers, classifies
from instructlab_like.errors import InputError
from instructlab_like.flows import load_flow
from instructlab_like.generation import simulation
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Leaf, Sample, SimulationTask, Skill, Verdict, ngrams
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, read_records, shipped_root

TREE = Path(__file__).parents[1] / "examples" / "email" / "taxonomy"
LEAF = "compositional_skills/office/mail/email_desk"
DESKS = ("billing", "technical", "delivery", "cancellation")
SHIPPED = shipped_root() / "templates" / "flows" / "classify.yaml"
GOOD = partial(answered, always_good=True)


def leaves() -> list[Leaf]:
    return read_tree(TREE)[0]


def email_leaf() -> Skill:
    (leaf,) = leaves()
    assert isinstance(leaf, Skill)
    return leaf


def walk(flow: str = "classify", *, prompts: int = 8, answer: object = GOOD) -> Walked:
    recipe = GenerateRecipe(pairs_per_prompt=2, prompts_per_leaf=prompts)
    return walked(flow, leaves(), recipe, root=TREE, answer=answer)  # type: ignore[arg-type]


def saying(label: str) -> object:
    """A teacher whose second look always says this."""

    def answer(request: dict) -> str:
        told = GOOD(request)
        return re.sub(r"(?<=\[ANSWER 1\]\n).*", label, told)

    return answer


# --- the leaf


def test_the_example_leaf_is_clean() -> None:
    assert found_in(TREE) == []


def test_its_classes_are_those_of_seeds_held_out_questions_and_simulation() -> None:
    leaf = email_leaf()
    assert answers(leaf) == DESKS
    assert classifies(leaf)
    assert Counter(item.answer for item in leaf.held_out) == dict.fromkeys(DESKS, len(leaf.held_out) // 4)
    assert len(leaf.held_out) >= 20
    assert leaf.simulation
    drawn = simulation.draw(
        SimulationTask(leaf=leaf.path, leaf_blob=leaf.blob, simulation=leaf.simulation, count=400, seed=0)
    )
    counts = Counter(sample.answer for sample in drawn)
    assert set(counts) == set(DESKS)
    assert min(counts.values()) >= 70


def test_its_held_out_mails_are_told_otherwise_than_seeds_and_simulation() -> None:
    leaf = email_leaf()
    assert leaf.simulation
    drawn = simulation.draw(
        SimulationTask(leaf=leaf.path, leaf_blob=leaf.blob, simulation=leaf.simulation, count=2000, seed=0)
    )
    head = "Which desk?\n\n"
    seen = {gram for sample in drawn for gram in ngrams(sample.question.removeprefix(head), 5)}
    seen |= {gram for seed in leaf.seeds for gram in ngrams(seed.pairs[0].question.removeprefix(head), 5)}
    shared = [item.question for item in leaf.held_out if ngrams(item.question.removeprefix(head), 5) & seen]
    assert shared == []


# --- classes


@pytest.mark.parametrize("prompts", [4, 8, 30])
def test_every_class_is_asked_for_equally_often(prompts: int) -> None:
    came = walk(prompts=prompts)
    asked = Counter(str((prompt.lineage.params or {})["label"]) for prompt in came.calls["texts"])
    assert set(asked) == set(DESKS)
    assert max(asked.values()) - min(asked.values()) <= 1
    for prompt in came.calls["texts"]:
        assert f"The class: {(prompt.lineage.params or {})['label']}\n" in prompt.messages[-1].content


def test_the_answer_of_what_is_kept_is_the_class_that_was_asked_for() -> None:
    came = walk()
    assert len(came.kept) == 16
    for sample in came.kept:
        assert sample.lineage.params == {"label": sample.answer}
        assert [turn.step for turn in sample.lineage.turns] == ["texts", "second-look"]
        assert sample.lineage.template == "skill/class.j2"


def test_the_second_look_is_not_told_the_class() -> None:
    """Of one text, whatever class it was written for, the prompt is the same."""
    came = walk()
    assert came.calls["second-look"]
    template = load_flow("classify").templates["second-look"]
    assert "label" not in template.variables
    for prompt in came.calls["second-look"]:
        asked = prompt.messages[-1].content
        assert "The class:" not in asked
        assert all(f"- {desk}\n" in asked for desk in DESKS)
        assert prompt.sampling.temperature == 0


def test_where_the_second_look_disagrees_the_text_is_rejected_and_both_are_named() -> None:
    came = walk(answer=saying("delivery"))
    assert {sample.answer for sample in came.kept} == {"delivery"}
    assert len(came.kept) == 4
    others = {(f"answer is 'delivery', label {desk!r}") for desk in DESKS if desk != "delivery"}
    assert {reason for _, reason in came.reasons} == others
    assert {name for name, _ in came.reasons} == {"classify/second-look"}
    told = next(verdict for one in came.finished for verdict in one.verdicts if not verdict.keep)
    assert "because 'That is what it is about.'" in told.reason


@pytest.mark.parametrize(("said", "kept"), [("Billing", 0), ("billing.", 0), ("  billing ", 4), ("unclear", 0)])
def test_a_class_is_taken_to_the_letter(said: str, kept: int) -> None:
    assert [sample.answer for sample in walk(answer=saying(said)).kept] == ["billing"] * kept


# --- other leaves, and flows of one's own


def test_a_leaf_whose_answers_are_no_classes_is_not_taken(tmp_path: Path) -> None:
    write_leaf(tmp_path / "taxonomy", "compositional_skills/sums", skill())
    flow = load_flow("classify")
    assert not any(flow.takes(leaf) for leaf in read_tree(tmp_path / "taxonomy")[0])
    with TeacherServer(answer=GOOD) as server:
        words = ("generate", "--run", "t", "--flow", "classify", "--teacher", server.url, "--teacher-model", "m")
        printed = ilk(*words, cwd=tmp_path)
        assert "no answer of its seed examples comes twice" in printed
        assert server.requests == 0


def test_any_leaf_that_classifies_is_taken() -> None:
    flow = load_flow("classify")
    starter = {leaf.path.rpartition("/")[2] for leaf in read_tree(shipped_root() / "taxonomy")[0] if flow.takes(leaf)}
    assert starter == {"parcel_class", "bin_of_the_day"}


def test_a_copy_with_a_list_of_ones_own_has_these_classes(tmp_path: Path) -> None:
    own = SHIPPED.read_text("utf-8").replace("{from: answers}", "[billing, delivery]")
    (tmp_path / "mine.yaml").write_text(own)
    came = walk(str(tmp_path / "mine.yaml"))
    assert Counter(sample.answer for sample in came.kept) == {"billing": 8, "delivery": 8}


def test_of_a_class_with_a_text_the_name_is_the_answer(tmp_path: Path) -> None:
    described = "{billing: 'billing, that is money', delivery: 'delivery, that is parcels'}"
    (tmp_path / "mine.yaml").write_text(SHIPPED.read_text("utf-8").replace("{from: answers}", described))

    def answer(request: dict) -> str:
        told = request["messages"][-1]["content"]
        return GOOD(request) if "The classes:" not in told else "[REASON 1]\nit is\n[ANSWER 1]\nbilling\n[END 1]"

    came = walk(str(tmp_path / "mine.yaml"), answer=answer)
    assert "The class: billing, that is money\n" in came.calls["texts"][0].messages[-1].content + (
        came.calls["texts"][1].messages[-1].content
    )
    assert [sample.lineage.params for sample in came.kept] == [{"label": "billing"}] * len(came.kept)
    assert len(came.kept) == 8


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        ("{answer: {same_as: questoin}}", "did you mean 'question'?"),
        ("{answer: {same_as: answer}}", "compares 'answer' with itself"),
        ("{answer: {same_sa: question}}", "did you mean 'same_as'?"),
        ("{answer: {same_as: 3 4}}", "keep"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(keep: str, told: str, tmp_path: Path) -> None:
    text = TWO_STEPS.replace("template: answer.j2, role: answerer", f"template: answer.j2, keep: {keep}")
    with pytest.raises(InputError) as caught:
        flow_in(tmp_path, text, templates=TEMPLATES)
    assert told in str(caught.value)
    assert "own.yaml:5:" in str(caught.value)


# --- through a server


def test_the_whole_line_with_a_teacher(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"generate: {{taxonomy: {TREE}, prompts_per_leaf: 24, pairs_per_prompt: 2}}\n")
    with TeacherServer() as server:  # one second look in ten says another class
        words = ("--flow", "classify", "--teacher", server.url, "--teacher-model", "m")
        ilk("generate", "--run", "t", "--recipe", "r.yaml", *words, cwd=tmp_path)
    run = Run(tmp_path / "runs" / "t")
    assert_nothing_is_lost(run)
    rejected = {v.subject: v for v in read_records(run.verdicts, Verdict) if not v.keep}
    disagreed = [verdict for verdict in rejected.values() if verdict.filter == "classify/second-look"]
    assert disagreed
    made = list(read_records(run.samples, Sample))
    kept = [sample for sample in made if sample.id not in rejected]
    assert kept
    assert all(sample.lineage.params == {"label": sample.answer} for sample in kept)
    found = orjson.loads(ilk("coverage", "--run", "t", "--format", "json", cwd=tmp_path))
    (axis,) = found["axes"]
    assert (axis["axis"], tuple(axis["values"])) == ("label", DESKS)
    counts = Counter(sample.answer for sample in kept)
    assert axis["leaves"][0]["kept"] == [counts[desk] for desk in DESKS]
    told = ilk("why", disagreed[0].subject, "--run", "t", cwd=tmp_path)
    assert "label" in told
    assert "second-look" in told
