"""Leaves and chunks to tasks: what is planned, in which order, and what a call key may depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

from instructlab_like.errors import RecipeError, TemplateError
from instructlab_like.generation.plan import plan, shortfall
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import (
    AskTask,
    Chunk,
    DocumentSource,
    IntegerParameter,
    Knowledge,
    Leaf,
    Pair,
    RulesTask,
    Seed,
    Simulation,
    SimulationTask,
    Skill,
    Task,
)

TEACHER = "http:teacher"


def seeds(count: int, *, context: bool) -> tuple[Seed, ...]:
    return tuple(
        Seed(
            number=n,
            line=10 * n,
            context=f"context {n}" if context else None,
            pairs=(Pair(question=f"question {n}?", answer=f"answer {n}."),),
        )
        for n in range(1, count + 1)
    )


def knowledge(path: str = "knowledge/moons", count: int = 5) -> Knowledge:
    source = DocumentSource(repo=".", commit="HEAD", patterns=("*.md",))
    return Knowledge(
        path=path, blob="k" * 40, version=3, created_by="a", seeds=seeds(count, context=True),
        domain="astronomy", outline="moons", source=source,
    )  # fmt: skip


def skill(path: str = "compositional_skills/sums", *, simulated: bool = False, grounded: bool = False) -> Skill:
    simulation = Simulation(
        parameters={"a": IntegerParameter(low=1, high=9)}, questions=("{{ a }}?",), answer="{{ a }}"
    )
    return Skill(
        path=path, blob="s" * 40, version=2, created_by="a", seeds=seeds(5, context=grounded),
        task="add up", simulation=simulation if simulated else None,
    )  # fmt: skip


def chunks(count: int) -> list[Chunk]:
    return [
        Chunk(
            repo=".", commit="HEAD", document="m.md", blob="d" * 40, start=10 * n, end=10 * n + 9, text=f"passage {n}."
        )
        for n in range(count)
    ]


def planned(leaf: Leaf, passages: int = 0, **options: object) -> list[Task]:
    return plan([leaf], {leaf.path: chunks(passages)}, GenerateRecipe(**options), teacher=TEACHER)


def asked(leaf: Leaf, passages: int = 0, **options: object) -> list[AskTask]:
    found = planned(leaf, passages, methods=("teacher",), **options)
    assert all(isinstance(task, AskTask) for task in found)
    return found


def test_the_rules_get_every_chunk_of_a_knowledge_leaf() -> None:
    found = planned(knowledge(), 3, methods=("rules", "simulation"))
    assert found == [RulesTask(leaf="knowledge/moons", leaf_blob="k" * 40, chunk=chunk) for chunk in chunks(3)]


def test_a_simulation_gets_its_count_and_a_seed_of_its_own() -> None:
    one, same, other, reseeded = (
        planned(skill(path, simulated=True), samples_per_simulation=7, seed=seed)[0]
        for path, seed in [("skills/a", 0), ("skills/a", 0), ("skills/b", 0), ("skills/a", 1)]
    )
    assert isinstance(one, SimulationTask)
    assert one.count == 7
    assert one == same
    assert len({one.seed, other.seed, reseeded.seed}) == 3


def test_every_chunk_is_asked_about_before_any_is_asked_about_twice() -> None:
    found = asked(knowledge(count=2), 3)
    assert [(task.chunk.start, task.prompt.lineage.seed) for task in found] == [
        (0, 1), (10, 2), (20, 1), (0, 2), (10, 1), (20, 2),
    ]  # fmt: skip


def test_more_chunks_than_prompts_are_taken_at_even_distances() -> None:
    assert [task.chunk.start for task in asked(knowledge(), 10, prompts_per_leaf=4)] == [0, 20, 50, 70]


def test_a_knowledge_prompt_shows_passage_and_seed_and_keeps_the_story() -> None:
    task = asked(knowledge(), 1, prompts_per_leaf=1, pairs_per_prompt=4, temperature=0.3, max_tokens=99)[0]
    text = task.prompt.messages[-1].content
    for part in ("passage 0.", "context 1", "question 1?", "answer 1.", "astronomy", "Write 4 new pairs"):
        assert part in text
    lineage = task.prompt.lineage
    assert (lineage.leaf, lineage.model, lineage.method, lineage.depth) == ("knowledge/moons", TEACHER, "teacher", 1)
    assert (lineage.chunk, lineage.template) == (task.chunk.id, "knowledge/pairs.j2")
    assert (task.prompt.sampling.temperature, task.prompt.sampling.max_tokens) == (0.3, 99)
    assert task.prompt.yields == ("question", "answer")


def test_a_skill_is_asked_for_with_every_choice_of_three_examples_and_then_drawn_again() -> None:
    found = asked(skill(), prompts_per_leaf=25)
    shown = [tuple(n for n in range(1, 6) if f"question {n}?" in task.prompt.messages[-1].content) for task in found]
    assert len(set(shown[:10])) == 10
    assert all(len(numbers) == 3 for numbers in shown)
    assert shown[10:20] == shown[:10]
    assert [task.prompt.lineage.draw for task in found] == [0] * 10 + [1] * 10 + [2] * 5
    assert len({task.prompt.key for task in found}) == 25
    assert found[0].prompt.sampling.seed != found[10].prompt.sampling.seed


def test_greedy_sampling_is_not_drawn_twice() -> None:
    assert len(asked(skill(), prompts_per_leaf=25, temperature=0)) == 10


def test_a_grounded_skill_is_asked_for_its_texts_too() -> None:
    task = asked(skill(grounded=True))[0]
    assert task.prompt.lineage.template == "skill/grounded.j2"
    assert task.prompt.yields == ("context", "question", "answer")
    assert "context 1" in task.prompt.messages[-1].content


def test_the_same_input_gives_the_same_plan() -> None:
    leaves: list[Leaf] = [skill(simulated=True), knowledge()]
    recipe = GenerateRecipe(methods=("rules", "simulation", "teacher"), prompts_per_leaf=7)
    first, second = (plan(leaves, {"knowledge/moons": chunks(3)}, recipe, teacher=TEACHER) for _ in range(2))
    assert first == second
    assert [task.method for task in first] == ["simulation"] + ["teacher"] * 7 + ["rules"] * 3 + ["teacher"] * 7


@pytest.mark.parametrize("passages", [0, 3])
def test_renaming_a_leaf_asks_nothing_again(passages: int) -> None:
    leaf = knowledge() if passages else skill()
    renamed = leaf.model_copy(update={"path": "elsewhere", "blob": "x" * 40})
    assert [t.prompt.key for t in asked(leaf, passages)] == [t.prompt.key for t in asked(renamed, passages)]


def test_a_teacher_method_without_a_teacher_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        plan([skill()], {}, GenerateRecipe(methods=("teacher",)), teacher=None)
    assert str(caught.value) == (
        "methods: the method 'teacher' needs a teacher\n"
        "  → name one (--teacher URL --teacher-model NAME), or leave the method out"
    )


def test_a_template_that_yields_no_answer_cannot_make_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates" / "skill").mkdir(parents=True)
    (tmp_path / "templates" / "skill" / "freeform.j2").write_text(
        "---\npurpose: x\nyields: [question]\n---\n=== user\n[QUESTION 1] [END 1]"
    )
    with pytest.raises(TemplateError, match="does not yield answer"):
        asked(skill())


def test_a_leaf_without_a_task_is_named_with_what_it_lacks() -> None:
    leaves: list[Leaf] = [
        knowledge("knowledge/empty"),
        knowledge("knowledge/full"),
        skill("skills/simulated", simulated=True),
        skill("skills/freeform"),
        skill("skills/grounded", grounded=True),
    ]
    tasks = plan(leaves, {"knowledge/full": chunks(1)}, GenerateRecipe(methods=("rules", "simulation")), teacher=None)
    assert shortfall(leaves, tasks) == [
        ("knowledge/empty", "its documents gave no chunk, or neither the method 'rules' nor a teacher was chosen"),
        ("skills/freeform", "a freeform skill without simulation.yaml needs a teacher"),
        ("skills/grounded", "a grounded skill without simulation.yaml needs a teacher"),
    ]


def test_a_simulation_that_was_not_chosen_is_named() -> None:
    leaves = [skill("skills/simulated", simulated=True)]
    tasks = plan(leaves, {}, GenerateRecipe(methods=("rules",)), teacher=None)
    assert shortfall(leaves, tasks) == [
        ("skills/simulated", "its simulation.yaml needs the method 'simulation', which was not chosen")
    ]
