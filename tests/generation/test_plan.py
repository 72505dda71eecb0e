"""Leaves and chunks to tasks: what is planned, in which order, and what a call key may depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.flows import load_flows
from instructlab_like.generation.plan import check_roles, lack, starts
from instructlab_like.generation.walk import Walk
from instructlab_like.recipe import GenerateRecipe, TeacherRecipe
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


SIMPLE = ("knowledge-simple", "freeform-simple", "grounded-simple")


def plan(leaves: Sequence[Leaf], passages: Mapping[str, list[Chunk]], recipe: GenerateRecipe) -> list[Task]:
    with Walk(load_flows(recipe.flows), recipe, {"asker": TEACHER}) as walk:
        return [start.task for start in starts(leaves, lambda leaf: passages.get(leaf.path, []), walk)]


def planned(leaf: Leaf, passages: int = 0, **options: object) -> list[Task]:
    return plan([leaf], {leaf.path: chunks(passages)}, GenerateRecipe(**options))


def asked(leaf: Leaf, passages: int = 0, **options: object) -> list[AskTask]:
    found = planned(leaf, passages, flows=SIMPLE, **options)
    assert all(isinstance(task, AskTask) for task in found)
    return found


def test_the_rules_get_every_chunk_of_a_knowledge_leaf() -> None:
    found = planned(knowledge(), 3, flows=("rules", "simulation"))
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
    recipe = GenerateRecipe(flows=("rules", "simulation", *SIMPLE), prompts_per_leaf=7)
    first, second = (plan(leaves, {"knowledge/moons": chunks(3)}, recipe) for _ in range(2))
    assert first == second
    assert [task.method for task in first] == ["simulation"] + ["teacher"] * 7 + ["rules"] * 3 + ["teacher"] * 7


@pytest.mark.parametrize("passages", [0, 3])
def test_renaming_a_leaf_asks_nothing_again(passages: int) -> None:
    leaf = knowledge() if passages else skill()
    renamed = leaf.model_copy(update={"path": "elsewhere", "blob": "x" * 40})
    assert [t.prompt.key for t in asked(leaf, passages)] == [t.prompt.key for t in asked(renamed, passages)]


def test_a_flow_without_its_teacher_is_refused() -> None:
    recipe = GenerateRecipe(flows=("rules", "freeform-simple"))
    with pytest.raises(RecipeError) as caught:
        check_roles(load_flows(recipe.flows), recipe)
    assert str(caught.value) == (
        "flows: the flow 'freeform-simple' needs a teacher (asker)\n"
        "  → name one (--teacher URL --teacher-model NAME), or choose flows that need none (--flow rules)"
    )


def test_a_role_that_no_flow_has_is_refused_with_those_there_are() -> None:
    recipe = GenerateRecipe(flows=("freeform-simple",), roles={"critik": TeacherRecipe(model="m", url="http://a/v1")})
    with pytest.raises(RecipeError, match="no chosen flow or filter has a role 'critik'") as caught:
        check_roles(load_flows(recipe.flows), recipe)
    assert "asker" in caught.value.fix


def test_two_identical_seed_examples_are_asked_about_once() -> None:
    one = seeds(1, context=False)[0]
    leaf = skill().model_copy(update={"seeds": (one, one.model_copy(update={"number": 1}))})
    assert len(asked(leaf, temperature=0)) == 1


@pytest.mark.parametrize(
    ("leaf", "flows", "reason"),
    [
        (knowledge(), ("rules",), "its documents gave no chunk"),
        (knowledge(), ("simulation",), "none of the chosen flows takes knowledge leaves"),
        (skill(), ("rules",), "a freeform skill without simulation.yaml needs a flow with a teacher"),
        (skill(grounded=True), ("rules",), "a grounded skill without simulation.yaml needs a flow with a teacher"),
        (skill(simulated=True), ("rules",), "its simulation.yaml needs the flow 'simulation', which was not chosen"),
    ],
)
def test_a_leaf_without_a_start_is_named_with_what_it_lacks(leaf: Leaf, flows: tuple[str, ...], reason: str) -> None:
    assert not planned(leaf, flows=flows)
    assert lack(leaf, load_flows(flows)) == reason
