"""Simulations: drawn pairs are right, distinct and repeatable, and training never meets evaluation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.errors import TemplateError
from instructlab_like.generation.simulation import BOUNDS, draw, held_out, problems
from instructlab_like.records import (
    ChoiceParameter,
    IntegerParameter,
    SampleParameter,
    Simulation,
    SimulationTask,
    Skill,
    digest,
    normalise,
)

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS = Simulation(
    parameters={"day": ChoiceParameter(of=DAYS), "steps": IntegerParameter(low=1, high=30)},
    questions=("Which day is {{ steps }} days after {{ day }}?", "{{ day }} plus {{ steps }} days?"),
    answer=f"{{% set days = {list(DAYS)} %}}\n{{{{ days[(days.index(day) + steps) % 7] }}}}",
    held_out_questions=("Count {{ steps }} days on from {{ day }}.",),
)
SORTING = Simulation(
    parameters={"words": SampleParameter(of=tuple("abcdefgh"), count=3)},
    questions=("Sort: {{ words|join(', ') }}",),
    answer="{{ words|sort|join(', ') }}",
)

HUGE = Simulation(
    parameters={
        "a": IntegerParameter(low=0, high=10**18),
        "b": IntegerParameter(low=-5, high=10**6, step=3),
        "c": ChoiceParameter(of=(1, 2.5, "x")),
    },
    questions=("{{ a }} + {{ b }} {{ c }}?", "{{ c }}{{ b }} and {{ a }}"),
    answer="{{ a + b }}{{ c }}",
)


def task(simulation: Simulation, count: int = 50, seed: int = 0) -> SimulationTask:
    return SimulationTask(leaf="skills/days", leaf_blob="a" * 40, simulation=simulation, count=count, seed=seed)


def skill(simulation: Simulation | None) -> Skill:
    return Skill(
        path="skills/days", blob="a" * 40, version=3, created_by="me", seeds=(), task="t", simulation=simulation
    )


def numbers(answer: str, *questions: str, high: int = 100) -> Simulation:
    return Simulation(
        parameters={"n": IntegerParameter(low=1, high=high)}, questions=questions or ("{{ n }}?",), answer=answer
    )


def rendered(source: str, values: dict[str, object]) -> str:
    sandbox = Sandbox(BOUNDS)
    assert sandbox.look(source).flaws == ()
    return sandbox.render([(0, values)]).texts[0]


def test_answers_are_computed_from_what_was_drawn() -> None:
    for sample in draw(task(WEEKDAYS)):
        params = sample.lineage.params
        assert params is not None
        assert isinstance(params["steps"], int)
        day, steps = str(params["day"]), params["steps"]
        assert sample.answer == DAYS[(DAYS.index(day) + steps) % 7]
        assert day in sample.question
        assert str(steps) in sample.question
        assert (sample.kind, sample.lineage.model, sample.lineage.depth) == ("freeform", "simulation/1", 1)


@pytest.mark.parametrize(
    ("simulation", "samples", "items"),
    [
        (WEEKDAYS, "6e80f7249797686d", "03de76262b19ee48"),
        (SORTING, "9cde7931da9253c8", "733c5f8bb94f4342"),
        (HUGE, "38e62f01a48dfa75", "ff64d0309db9878b"),
    ],
)
def test_what_a_seed_draws_never_changes(simulation: Simulation, samples: str, items: str) -> None:
    drawn = draw(task(simulation, 60, seed=7))
    assert digest([(made.id, made.question, made.answer) for made in drawn])[:16] == samples
    asked = held_out(skill(simulation), count=20, seed=7, avoid=())
    assert digest([(item.id, item.question, item.answer) for item in asked])[:16] == items


@settings(deadline=None, max_examples=6)
@given(st.sampled_from([WEEKDAYS, SORTING]), st.integers(0, 1000), st.integers(1, 60))
def test_every_pair_can_be_rendered_again_from_its_lineage(simulation: Simulation, seed: int, count: int) -> None:
    made = draw(task(simulation, count, seed))
    assert made == draw(task(simulation, count, seed))
    assert len(made) == count == len({sample.question for sample in made}) == len({sample.id for sample in made})
    for sample in made:
        assert sample.lineage.params is not None
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in sample.lineage.params.items()}
        assert rendered(simulation.answer, values) == sample.answer
        assert sample.question in [rendered(question, values) for question in simulation.questions]


@settings(deadline=None, max_examples=6)
@given(st.sampled_from([WEEKDAYS, SORTING]), st.integers(0, 1000), st.integers(0, 1000))
def test_training_and_evaluation_never_meet_whatever_the_seeds(simulation: Simulation, first: int, second: int) -> None:
    trained = {normalise(sample.question) for sample in draw(task(simulation, 400, first))}
    asked = simulation.model_copy(update={"held_out_questions": ()})
    items = held_out(skill(asked), count=30, seed=second, avoid=())
    assert len(items) == 30
    assert trained.isdisjoint(normalise(item.question) for item in items)
    assert len({item.id for item in items}) == len(items)


def test_held_out_items_use_the_phrasings_kept_for_them() -> None:
    items = held_out(skill(WEEKDAYS), count=20, seed=0, avoid=())
    assert len(items) == 20
    assert all(item.question.startswith("Count ") and item.source == "simulation" for item in items)
    avoided = {normalise(item.question) for item in items[:5]}
    again = held_out(skill(WEEKDAYS), count=20, seed=0, avoid=avoided)
    assert avoided.isdisjoint(normalise(item.question) for item in again)


def test_a_small_space_gives_what_there_is_and_holds_nothing_out() -> None:
    small = numbers("{{ n + 1 }}", "What follows {{ n }}?", "{{ n }}, and then?", high=5)
    made = draw(task(small, 100))
    assert sorted({sample.answer for sample in made}) == ["2", "3", "4", "5", "6"]
    assert len(made) == 10
    assert held_out(skill(small), count=10, seed=0, avoid=()) == []
    assert held_out(skill(None), count=10, seed=0, avoid=()) == []


def test_a_parted_space_is_spent_without_end_neither_here_nor_there() -> None:
    simulation = numbers("{{ n }}", "Say {{ n }}.")
    trained, items = draw(task(simulation, 1000)), held_out(skill(simulation), count=1000, seed=0, avoid=())
    assert len(trained) + len(items) == 100
    assert len(items) >= 10


def test_a_huge_space_is_drawn_from_without_being_listed() -> None:
    huge = Simulation(
        parameters={name: IntegerParameter(low=0, high=10**18) for name in "ab"},
        questions=("{{ a }} + {{ b }}?",),
        answer="{{ a + b }}",
    )
    assert len(draw(task(huge, 100))) == 100
    same = huge.model_copy(update={"questions": ("{{ (a + b) * 0 }}?",), "answer": "{{ (a + b) * 0 }}"})
    assert len(draw(task(same, 100))) == 1


@pytest.mark.parametrize(
    ("simulation", "problem"),
    [
        (numbers("{{ m }}"), "answer: 'm' is no parameter → parameters: n"),
        (numbers("{{ n }}", "{{ n }}?", "Always?"), "questions[2]: uses no parameter"),
        (numbers("{{ n }}", "\n{% if n %}?"), "questions[1]: line 2: is not valid Jinja: Unexpected end"),
        (numbers("{{ n|center(9) }}"), "answer: line 1: is not valid Jinja: No filter named 'center'"),
        (numbers("{{ ''.center(n) }}"), "answer: line 1: .center() cannot be called"),
        (numbers("{% for a in [n] %}{% for b in [n] %}{% for c in [n] %}{% endfor %}{% endfor %}{% endfor %}"),
         "answer: line 1: loops run in loops without bound"),
        (numbers("{% macro f() %}{{ n }}{% endmacro %}{{ f() }}"), "answer: line 1: a macro has no place"),
        (numbers("{% set range = n %}{{ range }}"), "answer: line 1: range is a function"),
        (numbers("{{ " + "(" * 1500 + "n" + ")" * 1500 + " }}"), "answer: is nested too deeply"),
        (numbers("{{ n }}" + " " * 5000), "answer: holds 5007 characters"),
        (Simulation(parameters={"n": IntegerParameter(low=3, high=1)}, questions=("{{ n }}",), answer="{{ n }}"),
         "parameters.n: low 3 is above high 1"),
        (Simulation(parameters={"s": SampleParameter(of=(1, 2), count=3)}, questions=("{{ s }}",), answer="{{ s }}"),
         "parameters.s: takes 3 of 2 values"),
        (Simulation(parameters={"s": ChoiceParameter(of=("a", "a"))}, questions=("{{ s }}",), answer="{{ s }}"),
         "parameters.s.of: holds a value twice"),
        (Simulation(parameters={"a-b": ChoiceParameter(of=("a",))}, questions=("x",), answer="x"),
         "parameters.a-b: is no name for a template"),
        (Simulation(parameters={"a": ChoiceParameter(of=("x" * 30_000,))}, questions=("{{ a }}",), answer="{{ a }}"),
         "parameters: one draw can hold 30000 characters and items, more than 20000"),
        (Simulation(parameters={"a": ChoiceParameter(of=(float("nan"),))}, questions=("{{ a }}",), answer="{{ a }}"),
         "parameters.a.of: holds a number of more than 63 bits, or none at all"),
        (numbers("{{ n }}", high=2**64), "parameters.n: holds a number of more than 63 bits"),
        (Simulation(parameters={f"p{n}": ChoiceParameter(of=(n,)) for n in range(101)}, questions=("x",), answer="x"),
         "parameters: there are 101, more than 100"),
        (numbers("{{ n }}", *(f"{{{{ n }}}} and {n}" for n in range(101))), "questions: there are 101 phrasings"),
        (Simulation(parameters={"a": ChoiceParameter(of=(1,)), "b": ChoiceParameter(of=(1,))},
                    questions=("{{ a }}?",), answer="{{ b }}"), "questions[1]: never tells b"),
        (Simulation(parameters={"a": ChoiceParameter(of=(1,)), "b": ChoiceParameter(of=(1,))},
                    questions=("{{ a }}?",), answer="{{ a }}"), "parameters.b: is used in no template"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_before_any_draw(simulation: Simulation, problem: str) -> None:
    found = problems(simulation)
    assert any(text.startswith(problem) for text in found), found
    with pytest.raises(TemplateError) as raised:
        draw(task(simulation))
    assert raised.value.where.startswith("skills/days/simulation.yaml")
    assert raised.value.fix


def test_a_sound_simulation_has_no_problems() -> None:
    assert problems(WEEKDAYS) == problems(SORTING) == problems(HUGE) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("{{ n // (n - n) }}", "integer division or modulo by zero"),
        ("{{ n.missing }}", "has no attribute 'missing'"),
        ("{{ [n, 'a']|sort }}", "not supported between"),
        ("{% if n > 100 %}{{ n }}{% endif %}", "gives no text"),
        ("{{ 'a' * 10 ** 9 * n }}", "* gives more than"),
        ("{{ n ** n ** n ** n }}", "bits"),
        ("{{ '%999999999d' % n }}", "% is for numbers"),
        ("{{ range(n * 10 ** 7)|list }}", "a range of"),
        ("{% set a = 'xx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}{{ n }}", "a value grows beyond"),
        ("{% set a = [n] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}", "a value grows beyond"),
        (
            "{% for i in range(1000) %}{% for j in range(1000) %}{{ [n] * 9 }}{% endfor %}{% endfor %}",
            "the text grows beyond",
        ),
        ("{{ n['__class__'] }}", "unsafe"),
        ("{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}{{ n }}", "turn more than"),
        ("{{ 7|round(10 ** 9, 'floor') }}{{ n }}", "round is for"),
        ("{{ '\\ud800' }}{{ n }}", "half a character"),
        ("{{ [n]|map('string') }}", "a generator cannot be printed"),
        ("{{ [n, [n.real.conjugate]] }}", "cannot be printed"),
    ],
)
def test_a_rendering_that_fails_or_grows_is_an_error_with_the_values(answer: str, said: str) -> None:
    with pytest.raises(TemplateError) as raised:
        draw(task(numbers(answer)))
    assert said in raised.value.what
    assert "n=" in raised.value.what
    assert raised.value.where == "skills/days/simulation.yaml: answer"


def test_a_question_with_two_answers_is_an_error() -> None:
    parity = numbers("{{ n }}", "Is {{ n % 2 }} the rest?")
    with pytest.raises(TemplateError, match="has two answers"):
        draw(task(parity))


@pytest.mark.parametrize(
    ("simulation", "problem"),
    [
        (numbers("{{ 10 // (n - 1) }}", high=10**9), "answer: cannot be rendered with n=1: integer division"),
        (numbers("{{ 10 // (n - 10 ** 9) }}", high=10**9), "answer: cannot be rendered with n=1000000000: integer"),
        (numbers("{{ n }}", "{{ n }}?", "{{ n }} {{ [n][n] }}"), "questions[2]: cannot be rendered with n=1: "),
        (numbers("{% if n > 1 %}{{ n }}{% endif %}"), "answer: gives no text with n=1 → cover this case too"),
        (numbers("{{ n }}", "{{ n }}?", "Odd: {{ n % 2 }}?"), "questions[2]: 'Odd: 1?' has two answers, '1' and '3'"),
        (
            WEEKDAYS.model_copy(update={"held_out_questions": ("{{ steps // 30 }} {{ day }}?",)}),
            "held_out_questions[1]: '0 Thursday?' has two answers",
        ),
        (numbers("{% for i in range(1000) %}{% for j in range(19) %}{% set x = [i, j]|sort|join|upper %}"
                 "{% endfor %}{% endfor %}{{ n }}"), "answer: needs more than 0.3 s of processor time"),
    ],
)  # fmt: skip
def test_a_template_is_tried_before_anyone_generates(simulation: Simulation, problem: str) -> None:
    found = problems(simulation)
    assert len(found) == 1
    assert found[0].startswith(problem)
    assert " → " in found[0]


def test_every_template_is_tried_although_one_fails() -> None:
    found = problems(numbers("{{ n }}", "{{ n }} {{ n.x }}", "{{ n }}?", "{{ n }} {{ 1 / 0 }}"))
    assert [text.partition(": ")[0] for text in found] == ["questions[1]", "questions[3]"]


def test_a_batch_that_needs_too_long_is_an_error_that_names_the_leaf_and_the_limit() -> None:
    loops = "{% for i in range(1000) %}{% for j in range(19) %}{% set x = [i, j]|sort|join|upper %}{% endfor %}"
    with pytest.raises(TemplateError) as raised:
        draw(task(numbers(loops + "{% endfor %}{{ n }}"), 400))
    assert str(raised.value) == (
        "skills/days/simulation.yaml: needs more than 2 s of processor time\n  → loop less in the templates"
    )
