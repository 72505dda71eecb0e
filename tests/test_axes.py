"""Axes: every combination is met once before any twice, evenly from the start, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from flow_files import ANSWER, flow_in
from generation.test_plan import chunks, knowledge, skill
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.axes import Axes, FromLeaf, along
from instructlab_like.errors import InputError
from instructlab_like.flows import Flow, load_flow
from instructlab_like.generation.plan import starts
from instructlab_like.generation.walk import Walk
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Leaf

VARIED = """\
purpose: Questions by somebody, in a tone
leaves: [freeform]
axes:
  who: [a pilot, a nurse, a cook]
  tone: {curt: in five words at most, warm: as to a friend}
steps:
  - {name: questions, template: ask.j2, role: asker, each: [seeds], fan_out: true}
  - {name: answers, template: answer.j2, role: answerer}
"""
ASK = """\
---
purpose: Ask for questions
yields: [question]
---
=== user
{{ who }} asks {{ count }} about {{ task }}, {{ tone }}
{% for one in examples %}{{ one.pairs[0].question }}{% endfor %}

[QUESTION 1]
[END 1]
"""
TEMPLATES = {"ask.j2": ASK, "answer.j2": ANSWER}


def axes(*sizes: int, seed: int = 0) -> Axes:
    named = {f"axis{number}": [f"{number}-{value}" for value in range(size)] for number, size in enumerate(sizes)}
    return Axes({axis: {name: name for name in names} for axis, names in named.items()}, seed)


@given(st.lists(st.integers(1, 7), max_size=4), st.integers(0, 3))
def test_every_cell_is_met_once_before_any_is_met_twice(sizes: list[int], seed: int) -> None:
    made = axes(*sizes, seed=seed)
    cells = [tuple(made.cell(number).items()) for number in range(made.size)]
    assert len(set(cells)) == made.size
    assert cells == [tuple(made.cell(number + made.size).items()) for number in range(made.size)]


@given(st.lists(st.integers(2, 7), min_size=1, max_size=3), st.data())
def test_the_first_cells_show_each_value_about_equally_often(sizes: list[int], data: st.DataObject) -> None:
    made = axes(*sizes)
    some = data.draw(st.integers(1, made.size))
    for axis, values in made.values.items():
        met = Counter(made.cell(number)[axis] for number in range(some))
        counts = [met[name] for name in values]
        assert max(counts) - min(counts) <= 1 + some // made.size + some // max(
            len(one) for one in made.values.values()
        )


@given(st.integers(1, 12), st.integers(1, 12))
def test_two_axes_meet_in_every_pair(others: int, size: int) -> None:
    assert len({(place % others, along(place, others, size)) for place in range(others * size)}) == others * size


def test_a_seed_gives_an_order_and_a_new_value_moves_no_other() -> None:
    one, other = axes(9), axes(9, seed=1)
    assert one.order != other.order
    assert one.order == axes(9).order
    grown = [name for name in axes(12).order["axis0"] if name in one.values["axis0"]]
    assert grown == one.order["axis0"]


def begun(flow: Flow, prompts: int, passages: int = 0, **told: object) -> list[AskTask]:
    recipe = GenerateRecipe.model_validate({"prompts_per_leaf": prompts, **told})
    leaf = knowledge() if passages else skill()
    with Walk([flow], recipe, {"asker": "http:teacher", "answerer": "http:teacher"}) as walk:
        tasks = [start.task for start in starts([leaf], lambda _: chunks(passages), walk)]
    assert all(isinstance(task, AskTask) for task in tasks)
    return [task for task in tasks if isinstance(task, AskTask)]


def test_prompts_show_the_texts_of_a_cell_and_lineage_has_its_names(tmp_path: Path) -> None:
    tasks = begun(flow_in(tmp_path, VARIED, templates=TEMPLATES), 6)
    cells = [task.prompt.lineage.params for task in tasks]
    assert {(cell["who"], cell["tone"]) for cell in cells if cell} == {
        (who, tone) for who in ("a pilot", "a nurse", "a cook") for tone in ("curt", "warm")
    }
    for task in tasks:
        told, cell = task.prompt.messages[-1].content, task.prompt.lineage.params
        assert cell is not None
        assert told.startswith(f"{cell['who']} asks")
        assert {"curt": "in five words at most", "warm": "as to a friend"}[str(cell["tone"])] in told


def test_every_choice_of_seeds_meets_every_cell_and_without_a_temperature_nothing_is_asked_twice(
    tmp_path: Path,
) -> None:
    tasks = begun(flow_in(tmp_path, VARIED, templates=TEMPLATES), 1_000, temperature=0.0)
    assert len(tasks) == len(list(combinations(range(5), 3))) * 6
    assert {task.prompt.lineage.draw for task in tasks} == {0}


def test_every_chunk_meets_every_cell(tmp_path: Path) -> None:
    text = VARIED.replace("[freeform]", "[knowledge]").replace("[seeds]", "[chunk]")
    reading = ASK.replace("{{ task }}", "{{ passage }}").replace(
        "{% for one in examples %}{{ one.pairs[0].question }}{% endfor %}", ""
    )
    own = flow_in(tmp_path, text, templates={"ask.j2": reading, "answer.j2": ANSWER})
    tasks = begun(own, 1_000, passages=4)
    met = Counter(task.prompt.lineage.chunk for task in tasks)
    assert set(met.values()) == {6}
    first = begun(own, 4, passages=4)
    assert len({task.prompt.lineage.chunk for task in first}) == 4
    assert len({str(task.prompt.lineage.params) for task in first}) == 4


def test_an_axis_that_only_a_later_step_shows_varies_what_follows_from_one_call(tmp_path: Path) -> None:
    steps = VARIED.replace("who: [a pilot, a nurse, a cook]", "").replace("  \n", "")
    answer = ANSWER.replace("answer {{ question }}", "answer {{ question }}, {{ tone }}")
    asked = ASK.replace("{{ who }} asks", "ask").replace(", {{ tone }}", "")
    tasks = begun(flow_in(tmp_path, steps, templates={"ask.j2": asked, "answer.j2": answer}), 1_000, temperature=0.0)
    assert len(tasks) == 2 * len({task.prompt.key for task in tasks}) == 2 * len(list(combinations(range(5), 3)))


def test_cells_that_no_prompt_tells_apart_are_one_sample_and_not_two_of_the_same_id(tmp_path: Path) -> None:
    text = (
        VARIED.replace("who: [a pilot, a nurse, a cook]", "").replace("  \n", "").replace("{curt", "{dry: dryly, curt")
    )
    asked = ASK.replace("{{ who }} asks", "ask").replace("{{ tone }}", "{% if tone == 'dryly' %}no jokes{% endif %}")
    tasks = begun(flow_in(tmp_path, text, templates=TEMPLATES | {"ask.j2": asked}), 1_000, temperature=0.0)
    assert len(tasks) == len({task.prompt.key for task in tasks}) == 2 * len(list(combinations(range(5), 3)))


BRANCHED = VARIED.replace("[a pilot, a nurse, a cook]", "{from: branch}")
NEIGHBOUR = skill("compositional_skills/differences").model_copy(update={"task": "take  one number\nfrom another"})


def drawn(flow: Flow, beside: Sequence[Leaf], prompts: int = 1_000) -> list[AskTask]:
    recipe = GenerateRecipe.model_validate({"prompts_per_leaf": prompts, "temperature": 0.0})
    with Walk([flow], recipe, {"asker": "http:teacher", "answerer": "http:teacher"}) as walk:
        tasks = [start.task for start in starts([skill()], lambda _: (), walk, lambda _: beside)]
    return [task for task in tasks if isinstance(task, AskTask)]


def test_a_leaf_gives_the_values_of_an_axis_and_the_leaves_beside_it_the_others(tmp_path: Path) -> None:
    tasks = drawn(flow_in(tmp_path, BRANCHED, templates=TEMPLATES), [NEIGHBOUR])
    met = Counter(str((task.prompt.lineage.params or {})["who"]) for task in tasks)
    assert met.keys() == {*(f"seed {number}" for number in range(1, 6)), NEIGHBOUR.path}
    assert len(set(met.values())) == 1  # balanced
    shown = {str((task.prompt.lineage.params or {})["who"]): task.prompt.messages[-1].content for task in tasks}
    assert shown["seed 4"].startswith("question 4? asks")
    assert shown[NEIGHBOUR.path].startswith("take one number from another asks")


def test_with_seeds_the_leaves_beside_it_give_nothing(tmp_path: Path) -> None:
    tasks = drawn(flow_in(tmp_path, BRANCHED.replace("from: branch", "from: seeds"), templates=TEMPLATES), [NEIGHBOUR])
    assert {(task.prompt.lineage.params or {})["who"] for task in tasks} == {f"seed {number}" for number in range(1, 6)}


def test_what_says_the_same_as_a_value_before_it_is_none_of_its_own(tmp_path: Path) -> None:
    twin = NEIGHBOUR.model_copy(update={"path": "compositional_skills/less", "task": "take one number from another "})
    tasks = drawn(flow_in(tmp_path, BRANCHED, templates=TEMPLATES), [NEIGHBOUR, twin])
    met = {(task.prompt.lineage.params or {})["who"] for task in tasks}
    assert met == {*(f"seed {number}" for number in range(1, 6)), NEIGHBOUR.path}


@pytest.mark.parametrize("prompts", [3, 7, 12, 20])
def test_few_prompts_show_each_topic_of_the_textbook_about_equally_often(prompts: int) -> None:
    tasks = drawn(load_flow("textbook"), [NEIGHBOUR], prompts)
    assert len(tasks) == prompts
    met = Counter(str((task.prompt.lineage.params or {})["topic"]) for task in tasks)
    assert len(met) == min(6, prompts)
    assert max(met.values()) - min(met.values()) <= (1 if prompts > 3 else 0)
    assert tasks == drawn(load_flow("textbook"), [NEIGHBOUR], prompts)


def test_a_long_value_of_a_leaf_is_cut_behind_a_word(tmp_path: Path) -> None:
    long = NEIGHBOUR.model_copy(update={"task": "word " * 1_000})
    (value,) = [text for name, text in FromLeaf("branch").values(skill(), [long]).items() if name == long.path]
    assert len(value) <= 302
    assert value.endswith("word …")


def test_a_key_from_beside_others_is_a_value_like_them(tmp_path: Path) -> None:
    own = flow_in(
        tmp_path, VARIED.replace("[a pilot, a nurse, a cook]", "{from: a sender, to: a reader}"), templates=TEMPLATES
    )
    assert own.values["who"] == {"from": "a sender", "to": "a reader"}


def test_values_may_stand_in_a_file_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("a pilot\n\n  a cook who is late  \n", encoding="utf-8")
    own = flow_in(tmp_path, VARIED.replace("[a pilot, a nurse, a cook]", "people.txt"), templates=TEMPLATES)
    assert list(own.values["who"]) == ["a pilot", "a cook who is late"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[a pilot, a nurse, a cook]", "people.txt", "own.yaml:4:3: the file people.txt cannot be read"),
        ("[a pilot, a nurse, a cook]", "[a pilot, a pilot]", "own.yaml:4:3: the axis 'who' has 'a pilot' twice"),
        (
            "[a pilot, a nurse, a cook]",
            "{from: brunch}",
            "own.yaml:4:9: the axis 'who' is to come from 'brunch', which no leaf has\n  → did you mean 'branch'?",
        ),
        (
            "[a pilot, a nurse, a cook]",
            "{from: documents}",
            "own.yaml:4:9: the axis 'who' is to come from 'documents', which no leaf has\n  → known: seeds, branch",
        ),
        (
            "[a pilot, a nurse, a cook]",
            "{from: [seeds]}",
            "own.yaml:4:3: axes.who: is no list of values, no names with texts, no file, and no from:",
        ),
        (
            "[a pilot, a nurse, a cook]",
            "{form: seeds}",
            "own.yaml:4:3: the axis 'who' has 'form' as its only value\n  → did you mean 'from'?",
        ),
        ("  who: [a pilot, a nurse, a cook]", "  whom: {from: seeds}", "own.yaml:4:3: no template on the way"),
        ("  who: [a pilot, a nurse, a cook]", "  task: {from: seeds}", "own.yaml:4:3: the axis 'task' is a variable"),
        ("[a pilot, a nurse, a cook]", "[]", "own.yaml:4:3: the axis 'who' has no values"),
        ("curt: in five words at most", "curt: ' '", "own.yaml:5:3: the axis 'tone' has an empty value"),
        ("  tone:", "  task:", "own.yaml:5:3: the axis 'task' is a variable of the leaf"),
        ("  tone:", "  tune:", "own.yaml:5:3: no template on the way to question and answer shows the axis 'tune'"),
        ("  who:", "  question:", "keeps an answer as 'question', which is a variable of the leaf or an axis"),
    ],
)
def test_a_wrong_axis_is_refused_where_it_stands(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in VARIED
    with pytest.raises(InputError) as caught:
        flow_in(tmp_path, VARIED.replace(old, new), templates=TEMPLATES)
    assert said in str(caught.value).replace(f"{tmp_path}/", "")


def test_a_file_of_values_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    text = VARIED.replace("[a pilot, a nurse, a cook]", "people.txt")
    (tmp_path / "people.txt").write_bytes(b"a pilot\na nurse\na pilot\n")
    with pytest.raises(InputError, match=r"people\.txt:3: has 'a pilot' twice"):
        flow_in(tmp_path, text, templates=TEMPLATES)
    (tmp_path / "people.txt").write_bytes(b"a pilot\na nurs\xe9\n")
    with pytest.raises(InputError, match=r"people\.txt:2: is not UTF-8 text"):
        flow_in(tmp_path, text, templates=TEMPLATES)
