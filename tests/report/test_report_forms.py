"""The page, its Markdown and its JSON say the same figures, and every page holds to what a page must hold to."""

from __future__ import annotations

import json
import re

import pytest
from structure import Cell, Page, Table, sound

from instructlab_like.evaluation.summary import CheckpointScore
from instructlab_like.records import Effect
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.heat import heat_rows, shade
from instructlab_like.report.leaves import leaf_views
from instructlab_like.report.markdown import FEW, LONGEST, markdown
from instructlab_like.report.page import page
from instructlab_like.report.twin import Told, twin
from instructlab_like.report.wording import change, code, score

Row = tuple[str, ...]  # leaf, kept, made, questions, base, tuned, change, low, high, verdict


@pytest.fixture(scope="module")
def two(facts: ReportFacts) -> ReportFacts:
    """The run with a second checkpoint, other than the first in every figure."""
    assert facts.summary is not None
    (first,) = facts.summary.checkpoints
    other = first.model_copy(
        update={
            "name": "step-40",
            "leaves": tuple(map(other_effect, first.leaves)),
            "branches": tuple(map(other_effect, first.branches)),
        }
    )
    return facts.model_copy(update={"summary": facts.summary.model_copy(update={"checkpoints": (first, other)})})


def other_effect(one: Effect) -> Effect:
    delta = (one.delta[0] - 0.11, one.delta[1] - 0.07, one.delta[2] - 0.03)
    return one.model_copy(
        update={"tuned": max(0.0, one.tuned - 0.07), "delta": delta, "n": one.n + 3, "effect": "tied"}
    )


def figures(text: str) -> list[str]:
    return re.findall(r"[-+−]?\d+(?:\.\d+)?", text)


def of_page(told: Page, checkpoint: str, facts: ReportFacts) -> list[Row]:
    """The rows of the leaves in the table of one checkpoint."""
    at = [table for table in told.tables if table.rows[0][0].text == "Leaf" and len(table.rows[0]) == 8][
        [one.name for one in scored(facts)].index(checkpoint)
    ]
    names = {leaf.path.rpartition("/")[2]: leaf.path for leaf in facts.leaves}
    return [page_row(names[row[0].text], row) for row in leaf_rows(at, names)]


def leaf_rows(table: Table, names: dict[str, str]) -> list[list[Cell]]:
    return [row for row in table.rows if row[0].text in names and len(row) == 8]


def page_row(path: str, row: list[Cell]) -> Row:
    cells = {cell.attributes.get("data-label"): cell.text for cell in row}
    kept, made = figures(cells["Samples kept"])
    middle, low, high = figures(cells["Change"])
    (verdict,) = re.findall(r"better|worse|tied|underpowered", cells["Verdict"])
    base, tuned = figures(cells["Base"])[0], figures(cells["Tuned"])[0]
    return (path, kept, made, figures(cells["Questions"])[0], base, tuned, middle, low, high, verdict)


def of_markdown(text: str, checkpoint: str, facts: ReportFacts) -> list[Row]:
    section = text.split(f"#### Leaf by leaf: {code(checkpoint)}")[1].split("####")[0]
    paths = {leaf.path for leaf in facts.leaves}
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 8 and cells[0].strip("`") in paths and cells[3]:
            kept, made = figures(cells[1])
            low, high = figures(cells[6])
            found.append((cells[0].strip("`"), kept, made, *cells[2:6], low, high, cells[7].split()[1]))
    return found


def of_json(told: Told, checkpoint: str) -> list[Row]:
    return [
        (
            leaf.path,
            str(leaf.kept),
            str(leaf.made),
            str(one.n),
            score(one.base),
            score(one.tuned),
            change(one.delta[1]),
            change(one.delta[0]),
            change(one.delta[2]),
            one.effect,
        )
        for leaf in told.leaves
        if (one := leaf.effects.get(checkpoint))
    ]


def scored(facts: ReportFacts) -> tuple[CheckpointScore, ...]:
    assert facts.summary is not None
    return facts.summary.checkpoints


@pytest.mark.parametrize("checkpoint", ["tuned", "step-40"])
def test_page_markdown_and_json_say_the_same_of_every_leaf(two: ReportFacts, checkpoint: str) -> None:
    html, text, told = page(two), markdown(two), Told.model_validate_json(twin(two))
    rows = of_json(told, checkpoint)
    assert len(rows) == 8
    assert of_page(sound(html), checkpoint, two) == rows
    assert of_markdown(text, checkpoint, two) == rows
    assert told.summary == two.summary


def test_the_heat_map_says_the_same_as_the_tables(two: ReportFacts) -> None:
    told = sound(page(two))
    (heat,) = [table for table in told.tables if len(table.rows[0]) == 4 and table.rows[0][1].text == "base"]
    said = {row[0].text: [figures(cell.text) for cell in row[1:]] for row in heat.rows[1:]}
    for checkpoint, place in (("tuned", 1), ("step-40", 2)):
        for row in of_page(told, checkpoint, two):
            (cells,) = [cells for label, cells in said.items() if label.endswith(row[0].rpartition("/")[2])]
            assert cells[0] == [row[4]]
            assert cells[place] == [row[5], row[6]]
    first, second = scored(two)
    for label, path in (("knowledge", "knowledge"), ("engineering / canals", "knowledge/engineering/canals")):
        for checkpoint, place in ((first, 1), (second, 2)):
            (effect,) = [one for one in checkpoint.branches if one.leaf == path]
            assert said[label][place] == [score(effect.tuned), change(effect.delta[1])]
    assert said["foundational_skills / reasoning / who_is_taller"] == [[], []]
    assert [row[0].text for row in heat.rows].index("text") > [row[0].text for row in heat.rows].index("arithmetic")


def test_colour_is_given_only_to_what_is_more_than_chance(facts: ReportFacts) -> None:
    (checkpoint,) = scored(facts)
    shades = {one.leaf: shade(one) for one in checkpoint.leaves}
    assert shades["compositional_skills/arithmetic/change_from_a_note"] == "up-3"
    assert shades["compositional_skills/text/sort_words_by_length"] == "down-3"
    assert shades["compositional_skills/text/rewrite_as_a_notice"] == "underpowered"
    small = checkpoint.leaves[0].model_copy(update={"delta": (0.001, 0.06, 0.12), "effect": "better"})
    assert shade(small) == "up-1"
    assert shade(small.model_copy(update={"delta": (0.1, 0.2, 0.3)})) == "up-2"


def test_every_shade_has_a_colour(facts: ReportFacts) -> None:
    style = sound(page(facts)).style
    for name in ("up", "down"):
        assert all(f".{name}-{size}" in style for size in range(4))


def test_the_tree_has_a_row_for_every_leaf_under_its_branches(facts: ReportFacts) -> None:
    rows = heat_rows(leaf_views(facts), scored(facts))
    assert [(row.name, row.level, row.branch) for row in rows[:4]] == [
        ("knowledge", 0, True),
        ("engineering / canals", 1, True),
        ("locks", 2, False),
        ("aqueducts", 2, False),
    ]
    assert sum(not row.branch for row in rows) == len(facts.leaves)
    deep = facts.leaves[0].model_copy(update={"path": "/".join("abcdefghijkl")})
    (row,) = heat_rows(leaf_views(facts.model_copy(update={"leaves": (deep,)})), [])
    assert (row.name, row.level) == ("a / b / c / d / e / f / g / h / i / j / k / l", 0)
    steps = [facts.leaves[0].model_copy(update={"path": "/".join("abcdefghijkl"[:n])}) for n in range(2, 12)]
    assert max(row.level for row in heat_rows(leaf_views(facts.model_copy(update={"leaves": tuple(steps)})), [])) == 6


def test_pages_in_every_state_are_sound(facts: ReportFacts, two: ReportFacts) -> None:
    assert facts.summary is not None
    bare = facts.summary.model_copy(update={"gate": None, "checkpoints": ()})
    states: list[dict[str, object]] = [
        {},
        {"summary": None},
        {"summary": bare},
        {"summary": None, "counts": (), "samples": (), "verdicts": (), "items": (), "answers": ()},
        {"losses": (), "held_out": (), "learning": None},
        {"leaves": ()},
        {"costs": (), "versions": {}, "recipes": {}, "commit": None},
    ]
    for state in states:
        sound(page(facts.model_copy(update=state)))
    sound(page(two))
    sound(page(ReportFacts(run="new", model="m", leaves=())))


def test_the_gate_says_what_failed_and_what_was_not_looked_at(facts: ReportFacts) -> None:
    html, text = page(facts), markdown(facts)
    said = " ".join(sound(html).text.split())
    assert "The gate fails." in said
    assert "sort_words_by_length is worse" in said
    assert "leaves without held-out questions: foundational_skills/reasoning/who_is_taller" in said
    assert "The gate **fails**." in text
    assert facts.summary is not None
    gate = facts.summary.gate
    assert gate is not None
    good = gate.model_copy(update={"passed": True, "passed_strictly": True, "reasons": (), "undecided": ()})
    passed = facts.model_copy(update={"summary": facts.summary.model_copy(update={"gate": good})})
    assert "The gate passes. Nothing got worse" in " ".join(sound(page(passed)).text.split())
    assert "The gate passes." in markdown(passed)


def test_cost_and_origin_are_told_in_all_forms(facts: ReportFacts) -> None:
    said, text, told = " ".join(sound(page(facts)).text.split()), markdown(facts), json.loads(twin(facts))
    assert "http:big 1,204 912,345 301,222 1.2345" in said
    assert "http:critic 87 45,000 2,310 no price given" in said
    assert "`http:big`: 1,204 calls, 912,345 tokens in, 301,222 out, 1.2345 in money" in text
    assert [one["money"] for one in told["costs"]] == [1.2345, None]
    for digest in facts.recipes.values():
        assert digest[:16] in said
        assert digest[:16] in text
    assert "No teacher was asked" in sound(page(facts.model_copy(update={"costs": ()}))).text


def test_a_leaf_shows_its_own_loss_over_all_phases(facts: ReportFacts) -> None:
    html = page(facts.model_copy(update={"leaves": facts.leaves[:1]}))
    assert "on held-out rows 4.28 → 0.62" in " ".join(sound(html).text.split())
    assert html.count('class="held"') == 5
    assert "What each leaf learnt" in html


def test_markdown_and_json_are_the_same_for_the_same_facts(facts: ReportFacts) -> None:
    assert markdown(facts) == markdown(facts)
    assert twin(facts) == twin(facts)
    assert markdown(facts).isprintable() is False
    assert not re.search(r"[^\S\n ]", markdown(facts))


def test_markdown_of_a_large_run_fits_a_comment(facts: ReportFacts) -> None:
    (checkpoint,) = scored(facts)
    assert facts.summary is not None
    paths = [f"compositional_skills/number_{n}/{'x' * 60}" for n in range(900)]
    leaves = tuple(facts.leaves[4].model_copy(update={"path": path}) for path in paths)
    effects = tuple(checkpoint.leaves[-1].model_copy(update={"leaf": path}) for path in paths)
    large = facts.model_copy(
        update={
            "leaves": leaves,
            "summary": facts.summary.model_copy(
                update={"checkpoints": (checkpoint.model_copy(update={"leaves": effects}),)}
            ),
        }
    )
    text = markdown(large)
    assert LONGEST - 500 < len(text) <= LONGEST
    assert "The rest is left out here" in text
    assert len(effects) > FEW


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a`b`c", "`a\\x60b\\x60c`"),
        ("a|b", "`a\\x7cb`"),
        ("two\nlines", "`two\\nlines`"),
        ("", "`(empty)`"),
        ("naïve/größe", "`naïve/größe`"),
        ("@somebody <b>", "`@somebody <b>`"),
    ],
)
def test_a_name_in_markdown_cannot_leave_its_code(name: str, written: str) -> None:
    assert code(name) == written
