"""Routes: which rule decides, who qualifies, who is cheapest, and what is refused before anything is asked."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from flow_files import ASK, JUDGED, TEMPLATES, flow_in
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.errors import RecipeError
from instructlab_like.filters.parts.separation import wilson
from instructlab_like.flows import Flow, load_flows
from instructlab_like.generation.routing import WROTE, Route, Work, check, decide, overview, seats, under
from instructlab_like.recipe import GenerateRecipe, load
from instructlab_like.records import DocumentSource, Knowledge, Leaf, Pair, Seed, Skill

SMALL, MIDDLE, LARGE = "small", "middle", "large"
PRICES: Mapping[str, tuple[float, float] | None] = {SMALL: (0.1, 0.3), MIDDLE: (0.5, 1.0), LARGE: (1.0, 4.0)}
IDENTITIES = {name: f"http:{name}-model" for name in PRICES}
STANDING = {"answerer": "http:usual"}
LAW, TIDES, WALLS = "knowledge/law/contracts", "knowledge/science/tides", "compositional_skills/office/walls"


def leaf(path: str) -> Leaf:
    pairs = (Pair(question="q", answer="a"),)
    if path.startswith("knowledge/"):
        source = DocumentSource(repo=".", commit="HEAD", patterns=("*.md",))
        seed = Seed(number=1, line=1, context="c", pairs=pairs)
        return Knowledge(
            path=path, blob="b", version=3, created_by="x", seeds=(seed,), domain="d", outline="o", source=source
        )
    context = "text" if "grounded" in path else None
    seed = Seed(number=1, line=1, context=context, pairs=pairs)
    return Skill(path=path, blob="b", version=3, created_by="x", seeds=(seed,), task="t")


def recipe(*rules: object, prices: Mapping[str, tuple[float, float] | None] = PRICES, **more: object) -> GenerateRecipe:
    told = {
        name: {"model": f"{name}-model"} | ({"price_in": price[0], "price_out": price[1]} if price else {})
        for name, price in prices.items()
    }
    return GenerateRecipe.model_validate(
        {"teachers": told, "routes": {"answerer": list(rules)} if rules else {}, "teacher": {"model": "usual"}, **more}
    )


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> list[Flow]:
    """A flow that takes skills, and one for knowledge; roles asker, answerer, critic."""
    folder = tmp_path_factory.mktemp("flows")
    skills = JUDGED.replace("[freeform]", "[freeform, grounded]")
    known = JUDGED.replace("[freeform]", "[knowledge]").replace("[seeds]", "[chunk, seed]")
    files = TEMPLATES | {"ask.j2": re.sub(r"\{\{ task .*", "{{ passage }}", ASK)}
    return [flow_in(folder / "skills", skills), flow_in(folder / "known", known, "known.yaml", files)]


def routed(
    flows: Sequence[Flow],
    told: GenerateRecipe,
    *paths: str,
    history: Mapping[str, Sequence[Work]] | None = None,
    standing: Mapping[str, str] = STANDING,
) -> tuple[Route, ...]:
    return decide(flows, told, [leaf(path) for path in paths], IDENTITIES, standing, history or {})


def chosen(routes: Sequence[Route]) -> dict[str, str | None]:
    return {one.leaf: one.teacher for one in routes}


def test_the_first_rule_that_takes_a_leaf_decides(flows: list[Flow]) -> None:
    told = recipe(
        {"kinds": ["knowledge"], "leaves": ["knowledge/law"], "teachers": "large"},
        {"kinds": ["knowledge"], "teachers": "middle"},
        {"leaves": ["compositional_skills/office/"], "teachers": "small"},
    )
    other = "compositional_skills/officers/ranks"
    found = routed(flows, told, LAW, TIDES, WALLS, other)
    assert chosen(found) == {LAW: LARGE, TIDES: MIDDLE, WALLS: SMALL, other: None}
    assert [one.rule for one in found] == [1, 2, 3, None]
    assert [one.model for one in found] == [IDENTITIES[LARGE], IDENTITIES[MIDDLE], IDENTITIES[SMALL], "http:usual"]
    assert found[-1].why == "no rule takes it: whom `roles` or `teacher` names"
    assert seats(found) == {
        (LAW, "answerer"): "answerer: large",
        (TIDES, "answerer"): "answerer: middle",
        (WALLS, "answerer"): "answerer: small",
    }


def test_grounded_and_freeform_are_kinds_of_their_own(flows: list[Flow]) -> None:
    told = recipe({"kinds": ["grounded"], "teachers": "large"}, "small")
    found = routed(flows, told, "compositional_skills/grounded/sums", WALLS)
    assert list(chosen(found).values()) == [LARGE, SMALL]
    assert [one.kind for one in found] == ["grounded", "freeform"]


def test_a_name_alone_is_a_rule_and_so_is_a_list_of_one(flows: list[Flow]) -> None:
    for routes in ({"answerer": "small"}, {"answerer": ["small"]}, {"answerer": [{"teachers": ["small"]}]}):
        found = routed(flows, recipe(routes=routes), WALLS)
        assert chosen(found) == {WALLS: SMALL}
        assert found[0].why == "rule 1: the one that it names"


def test_of_several_the_cheapest_is_asked_and_those_without_a_price_come_last(flows: list[Flow]) -> None:
    rule = {"teachers": [LARGE, MIDDLE, SMALL]}
    assert chosen(routed(flows, recipe(rule), WALLS)) == {WALLS: SMALL}
    assert chosen(routed(flows, recipe(rule, prices={**PRICES, SMALL: None}), WALLS)) == {WALLS: MIDDLE}
    alike = dict.fromkeys(PRICES, (1.0, 1.0))
    assert chosen(routed(flows, recipe(rule, prices=alike), WALLS)) == {WALLS: LARGE}
    why = {one.teacher: (one.chosen, one.why) for one in routed(flows, recipe(rule), WALLS)[0].candidates}
    assert why[SMALL] == (True, "no quality is asked for")
    assert why[LARGE] == (False, "no quality is asked for; dearer than small, 1.75 to 0.15")
    unpriced = routed(flows, recipe(rule, prices={**PRICES, SMALL: None}), WALLS)[0].candidates
    assert unpriced[-1].why.endswith("; no price, as middle has")
    assert (
        routed(flows, recipe(rule, prices=alike), WALLS)[0]
        .candidates[1]
        .why.endswith("; not cheaper than large, which is named before it")
    )
    nobody_knows: dict[str, tuple[float, float] | None] = dict.fromkeys(PRICES)
    assert chosen(routed(flows, recipe(rule, prices=nobody_knows), WALLS)) == {WALLS: LARGE}


def test_a_prompt_weighs_three_times_its_answer_in_a_price(flows: list[Flow]) -> None:
    rule = {"teachers": [SMALL, LARGE]}
    dear_out = {SMALL: (1.0, 1.0), LARGE: (0.5, 2.4)}
    assert chosen(routed(flows, recipe(rule, prices={**PRICES, **dear_out}), WALLS)) == {WALLS: LARGE}
    dear_out[LARGE] = (0.5, 2.6)
    assert chosen(routed(flows, recipe(rule, prices={**PRICES, **dear_out}), WALLS)) == {WALLS: SMALL}


def test_the_pages_own_example_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "flows.md").read_text("utf-8").partition("## Several teachers")[2]
    shown = re.search(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown
    (tmp_path / "r.yaml").write_text(shown[1])
    told = load(GenerateRecipe, tmp_path / "r.yaml", {})
    identities = {name: f"http:{one.model}" for name, one in told.teachers.items()}
    shipped = load_flows(told.flows)
    check(shipped, told, identities)
    pilot = [Work(WALLS, "freeform", "answerer", "http:small-model", 30, 30)]
    leaves = [leaf(path) for path in (LAW, TIDES, WALLS)]
    found = decide(shipped, told, leaves, identities, {"answerer": "http:judge-model"}, {"pilot": pilot})
    assert [one.teacher for one in found if one.role == "answerer"] == [LARGE, LARGE, SMALL]
    assert [one.rule for one in found if one.role == "answerer"] == [1, 3, 2]
    assert {one.teacher for one in found if one.role == "expert"} == {LARGE}


# --- quality


def work(name: str, kept: int, judged: int, path: str = WALLS, kind: str = "freeform", role: str = "answerer") -> Work:
    return Work(leaf=path, kind=kind, role=role, model=IDENTITIES[name], kept=kept, judged=judged)


QUALITY = {"teachers": [SMALL, LARGE], "quality": {"at_least": 0.7, "run": "pilot"}}


def test_the_lower_end_of_the_interval_is_held_against_what_is_asked(flows: list[Flow]) -> None:
    """All of 3 kept is no proof; 28 of 30 is."""
    told = recipe(QUALITY, "middle")
    for kept, judged, name in ((3, 3, MIDDLE), (8, 8, MIDDLE), (9, 9, SMALL), (28, 30, SMALL), (21, 30, MIDDLE)):
        found = routed(flows, told, WALLS, history={"pilot": [work(SMALL, kept, judged)]})
        assert chosen(found) == {WALLS: name}
        shown = found[0].candidates[0].quality
        assert shown
        assert (shown.kept, shown.judged, (shown.low, shown.high)) == (kept, judged, wilson(kept / judged, judged))


def test_nobody_is_asked_of_whom_nothing_is_known_and_the_log_says_so(flows: list[Flow]) -> None:
    found = routed(flows, recipe(QUALITY, "middle"), WALLS, history={"pilot": [work(SMALL, 1, 9)]})[0]
    assert (found.teacher, found.rule) == (MIDDLE, 2)
    assert found.why == "nobody qualifies by rule 1; rule 2: the one that it names"
    assert [(one.rule, one.teacher, one.qualifies) for one in found.candidates] == [
        (1, SMALL, False), (1, LARGE, False), (2, MIDDLE, True),
    ]  # fmt: skip
    assert "1 of 9 kept in pilot, 0.020 to 0.435: the lower end is less than 0.7" in found.candidates[0].why
    assert found.candidates[1].why == "unknown: in pilot it made no judged sample on freeform leaves"
    assert found.candidates[1].quality is None


def test_what_is_measured_is_of_the_role_the_kind_and_the_branches_of_the_rule(flows: list[Flow]) -> None:
    elsewhere = [
        work(SMALL, 99, 99, role="asker"),
        work(SMALL, 99, 99, kind="grounded"),
        work(SMALL, 99, 99, path="compositional_skills/offices/x"),
        work(LARGE, 99, 99),
    ]
    told = recipe({**QUALITY, "leaves": ["compositional_skills/office"]}, "middle")
    found = routed(flows, told, WALLS, history={"pilot": elsewhere})
    assert chosen(found) == {WALLS: LARGE}
    assert found[0].candidates[0].why.endswith("on freeform leaves below compositional_skills/office")
    beside = work(SMALL, 50, 50, path="compositional_skills/office/doors")
    assert chosen(routed(flows, told, WALLS, history={"pilot": [*elsewhere, beside]})) == {WALLS: SMALL}


def test_one_that_never_had_the_role_is_measured_by_the_answers_it_wrote(flows: list[Flow]) -> None:
    wrote = [work(SMALL, 40, 40, role=WROTE), work(LARGE, 40, 40, role=WROTE), work(LARGE, 1, 40)]
    found = routed(flows, recipe(QUALITY), WALLS, history={"pilot": wrote})[0]
    small, large = (one.quality for one in found.candidates)
    assert small
    assert large
    assert (small.role, small.kept, large.role, large.kept) == (WROTE, 40, "answerer", 1)
    assert found.candidates[0].why.startswith(
        "40 of 40 kept in pilot (answers that it wrote there; it was never answerer)"
    )


def test_a_cheap_one_that_qualifies_is_taken_before_a_better_one(flows: list[Flow]) -> None:
    both = [work(SMALL, 80, 100), work(LARGE, 100, 100)]
    found = routed(flows, recipe(QUALITY), WALLS, history={"pilot": both})[0]
    assert (found.teacher, found.why) == (SMALL, "rule 1: the cheapest of 2 that qualify")


def test_leaves_for_which_nobody_qualifies_are_named_with_the_reasons(flows: list[Flow]) -> None:
    many = [f"compositional_skills/office/{name}" for name in "abcde"]
    with pytest.raises(RecipeError) as caught:
        routed(flows, recipe(QUALITY), *many, TIDES, history={"pilot": [work(SMALL, 1, 9)]})
    told = str(caught.value)
    assert caught.value.code == 2
    assert told.startswith(
        f"routes.answerer: no teacher qualifies as answerer of {', '.join(many[:3])} and 2 more: rule 1"
    )
    assert "small: 1 of 9 kept in pilot" in told
    assert "large: unknown: in pilot it made no judged sample on freeform leaves" in told
    assert f"as answerer of {TIDES}: rule 1: small: unknown" in told


def test_a_leaf_that_no_rule_takes_needs_somebody_all_the_same(flows: list[Flow]) -> None:
    told = recipe({"kinds": ["knowledge"], "teachers": "small"})
    with pytest.raises(RecipeError, match="no rule takes it, and neither `roles` nor `teacher` names anybody"):
        routed(flows, told, WALLS, standing={})


def test_a_forced_route_wins_and_is_logged_as_forced(flows: list[Flow]) -> None:
    told = recipe(QUALITY, forced_routes={"answerer": "large", "critic": "middle"})
    found = routed(flows, told, WALLS, TIDES)
    assert [(one.role, one.teacher, one.forced, one.why) for one in found[:2]] == [
        ("answerer", LARGE, True, "forced"), ("critic", MIDDLE, True, "forced"),
    ]  # fmt: skip
    assert next(overview(found)) == "route of answerer: large 2 of 2 leaves, forced"


def test_a_leaf_has_routes_only_for_roles_of_flows_that_take_it(flows: list[Flow]) -> None:
    assert [one.leaf for one in routed(flows[:1], recipe("small"), TIDES, WALLS)] == [WALLS]


KINDS = {LAW: "knowledge", TIDES: "knowledge", WALLS: "freeform"}
RULES = st.lists(
    st.fixed_dictionaries(
        {"teachers": st.lists(st.sampled_from(list(PRICES)), min_size=1, unique=True)},
        optional={
            "kinds": st.lists(st.sampled_from(["knowledge", "freeform", "grounded"]), min_size=1, unique=True),
            "leaves": st.lists(
                st.sampled_from(["knowledge", "knowledge/law", "compositional_skills", WALLS]), min_size=1, unique=True
            ),
            "quality": st.fixed_dictionaries({"at_least": st.sampled_from([0.3, 0.6, 0.9]), "run": st.just("pilot")}),
        },
    ),
    min_size=1,
    max_size=4,
)
WORKS = st.lists(
    st.builds(
        lambda name, path, kept, more: work(
            name, kept, kept + more, path, "knowledge" if path != WALLS else "freeform"
        ),
        st.sampled_from(list(PRICES)),
        st.sampled_from([LAW, TIDES, WALLS]),
        st.integers(0, 40),
        st.integers(0, 20),
    ),
    max_size=8,
)


@given(rules=RULES, works=WORKS, shuffle=st.randoms(use_true_random=False))
def test_a_route_depends_on_nothing_but_its_leaf_the_rules_and_the_counts(
    flows: list[Flow], rules: list[object], works: list[Work], shuffle: random.Random
) -> None:
    """In whatever order leaves and earlier work come; and whoever is chosen qualifies, and nobody cheaper does."""
    told = recipe(*rules, "large")
    paths = [LAW, TIDES, WALLS]
    found = {one.leaf: one for one in routed(flows, told, *paths, history={"pilot": works})}
    others, mixed = list(works), list(paths)
    shuffle.shuffle(others)
    shuffle.shuffle(mixed)
    assert {one.leaf: one for one in routed(flows, told, *mixed, history={"pilot": others})} == found
    for path, one in found.items():
        assert {path: one} == {alone.leaf: alone for alone in routed(flows, told, path, history={"pilot": works})}
        assert one.rule
        rule = told.routes["answerer"][one.rule - 1]
        assert not rule.leaves or any(under(path, branch) for branch in rule.leaves)
        assert not rule.kinds or one.kind in rule.kinds
        mine = [candidate for candidate in one.candidates if candidate.rule == one.rule]
        assert {candidate.teacher for candidate in mine if candidate.qualifies} >= {one.teacher}
        dear = list(PRICES)  # in the order of their prices
        cheaper = [
            candidate.teacher for candidate in mine if dear.index(candidate.teacher) < dear.index(one.teacher or "")
        ]
        assert not any(candidate.qualifies for candidate in mine if candidate.teacher in cheaper)
        assert not any(candidate.qualifies for candidate in one.candidates if candidate.rule < one.rule)
        for candidate in one.candidates:
            wanted = told.routes["answerer"][candidate.rule - 1].quality
            if wanted:
                known = candidate.quality is not None
                assert candidate.qualifies == (known and candidate.quality.low >= wanted.at_least)


# --- what is refused


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"routes": {"answrer": "small"}}, "routes.answrer: no chosen flow has a role 'answrer'\n  → did you mean"),
        ({"routes": {"answerer": "smal"}}, "routes.answerer, rule 1: there is no teacher 'smal'\n  → did you mean 's"),
        ({"routes": {"answerer": "zzz"}}, "there is no teacher 'zzz'\n  → `teachers` of the recipe: small, middle, l"),
        ({"routes": {"answerer": []}}, "routes.answerer: has no rule"),
        ({"routes": {"answerer": {"teachers": ["small", "small"]}}}, "rule 1: names a teacher twice"),
        ({"routes": {"answerer": {"teachers": "small", "leaves": ["knowledge/*"]}}}, "'knowledge/*' is no path of a"),
        ({"routes": {"answerer": {"teachers": "small", "leaves": ["./knowledge"]}}}, "'./knowledge' is no path of a"),
        ({"routes": {"answerer": {"teachers": "small", "leaves": ["a/../knowledge"]}}}, "'a/../knowledge' is no path"),
        ({"routes": {"answerer": {"teachers": "small", "leaves": ["knowledge//law"]}}}, "'knowledge//law' is no path"),
        ({"forced_routes": {"answerer": "larg"}}, "forced_routes.answerer: there is no teacher 'larg'\n  → did you me"),
        ({"forced_routes": {"expert": "large"}}, "forced_routes.expert: no chosen flow has a role 'expert'\n  → roles"),
    ],
)
def test_a_route_that_names_what_there_is_not_is_refused_with_the_nearest(
    flows: list[Flow], more: dict[str, object], said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        check(flows, recipe(**more), IDENTITIES)
    assert said in str(caught.value)


@pytest.mark.parametrize("told", [[["small"]], [{"teachers": []}], [{"teachers": "small", "kind": "knowledge"}], 3])
def test_what_is_no_rule_is_none(told: object) -> None:
    with pytest.raises(ValueError, match=r"routes\.answerer"):
        recipe(routes={"answerer": told})


@pytest.mark.parametrize(
    ("rules", "first"),
    [
        (["small", "large"], 1),
        (["small", {"kinds": ["knowledge"], "teachers": "large"}], 1),
        ([{"kinds": ["knowledge"], "teachers": "small"}, {"leaves": ["knowledge/law"], "teachers": "large"}], 1),
        ([{"leaves": ["knowledge/"], "teachers": "small"}, {"leaves": ["knowledge/law"], "teachers": "large"}], 1),
        ([{"kinds": ["knowledge"], "teachers": "small"}, {"kinds": ["freeform", "grounded"], "teachers": "small"},
          "large"], 1),
        ([QUALITY, {"teachers": ["large"], "quality": {"at_least": 0.8, "run": "pilot"}}], 1),
    ],
)  # fmt: skip
def test_a_rule_that_is_never_reached_is_refused(flows: list[Flow], rules: list[object], first: int) -> None:
    with pytest.raises(RecipeError) as caught:
        check(flows, recipe(*rules), IDENTITIES)
    said = f"routes.answerer, rule {len(rules)}: is never reached: rule {first} takes every leaf that it takes"
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "rules",
    [
        [QUALITY, "large"],
        [{"leaves": ["knowledge/law"], "teachers": "small"}, {"leaves": ["knowledge"], "teachers": "large"}, "middle"],
        [{"leaves": ["knowledge/law"], "teachers": "small"}, {"leaves": ["knowledge/lawns"], "teachers": "large"}],
        [QUALITY, {"teachers": ["large"], "quality": {"at_least": 0.6, "run": "pilot"}}],
        [QUALITY, {"teachers": ["large"], "quality": {"at_least": 0.8, "run": "other"}}],
        [QUALITY, {"teachers": ["middle"], "quality": {"at_least": 0.8, "run": "pilot"}}],
        [{**QUALITY, "leaves": ["knowledge"]}, {**QUALITY, "leaves": ["knowledge/law"]}],
    ],
)
def test_a_rule_that_some_leaf_may_come_to_is_none_of_those(flows: list[Flow], rules: list[object]) -> None:
    check(flows, recipe(*rules), IDENTITIES)


def test_a_rule_whose_kinds_lie_in_none_of_its_branches_takes_no_leaf(flows: list[Flow]) -> None:
    rule = {"kinds": ["knowledge"], "leaves": ["compositional_skills/office"], "teachers": "small"}
    with pytest.raises(RecipeError, match="rule 1: takes no leaf: none of its kinds is in its branches"):
        check(flows, recipe(rule), IDENTITIES)


def test_one_model_under_two_names_is_refused(flows: list[Flow]) -> None:
    """The ledger knows answers by their model: nobody could say which of the two gave one."""
    with pytest.raises(RecipeError, match="'small' and 'large' are the same model, http:m"):
        check(flows, recipe("small"), {SMALL: "http:m", LARGE: "http:m"})


def test_a_quality_of_all_or_nothing_is_no_bound(flows: list[Flow]) -> None:
    for bound in (0, 1, 1.5):
        with pytest.raises(ValueError, match="at_least"):
            recipe({**QUALITY, "quality": {"at_least": bound, "run": "pilot"}})
