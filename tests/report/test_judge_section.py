"""What the report says of a judge: its agreement beside each number, and nothing of its replies acts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graded_run import FAIR, LEAVES, answers, graded, in_form, made_run, part, question, questions, recipe, summed
from hostile import STRINGS, hostile
from server import TeacherServer
from structure import Page, sound
from test_hostile_strings import BROWSER, RAN, in_browser

from instructlab_like.evaluation.grading import JudgeCard, PairedLeaf, agreement, agreement_compared
from instructlab_like.evaluation.labels import Pairing, grades_agree, preferences_agree
from instructlab_like.evaluation.shares import Correlation, Share
from instructlab_like.records import Seed, Skill
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.judge import judge_view
from instructlab_like.report.markdown import markdown
from instructlab_like.report.page import page
from instructlab_like.report.twin import twin

SHARE = Share(share=0.5, low=0.4, high=0.6, n=40)


def card(text: str, leaves: tuple[str, ...], checkpoint: str) -> JudgeCard:
    """With this text wherever somebody else names or writes something."""
    pairs = [Pairing(number, number % 3, number % 2) for number in range(20)]
    labels = {
        "grades": grades_agree([one._replace(person=1 + one.person) for one in pairs]),
        "preferences": preferences_agree(pairs),
        "unmatched": 1,
        "unjudged": 1,
    }
    counts = {"wins": 3, "ties": 1, "losses": 2, "inconsistent": 4, "unjudged": 1, "rate": SHARE}
    told = {
        "judge": text,
        "templates": {text: text},
        "leaves": leaves,
        "same_family": True,
        "kinship": (text,),
        "graded": 2,
        "by_rule": 1,
        "ungraded": {text: 1},
        "unread": (text,),
        "planted": {"pairs": 3, "unjudged": 1, "separation": None, "faults": {}, "preferred": SHARE},
        "labels": labels,
        "swap": Share(share=0.1, low=0.0, high=0.2, n=40),
        "first": SHARE,
        "longer": SHARE,
        "grade_by_length": Correlation(value=0.1, low=-0.2, high=0.4, n=40),
        "pairwise": [PairedLeaf.model_validate({"leaf": leaf, "checkpoint": checkpoint, **counts}) for leaf in leaves],
    }
    return JudgeCard.model_validate(told)


def judged_by(text: str, strings: tuple[str, ...]) -> ReportFacts:
    facts = hostile(strings)
    assert facts.summary is not None
    (checkpoint,) = facts.summary.checkpoints
    told = card(text, tuple(leaf.leaf for leaf in checkpoint.leaves), checkpoint.name)
    return facts.model_copy(update={"summary": facts.summary.model_copy(update={"judge": told})})


def shape(html: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    free = ("aria-label", "content")
    return [
        (tag, tuple((name, None if name in free else value) for name, value in given.items()))
        for tag, given in sound(html).elements
    ]


@pytest.mark.parametrize("text", STRINGS, ids=range(len(STRINGS)))
def test_the_section_has_the_same_elements_whatever_the_judge_is_called_and_says(text: str) -> None:
    assert shape(page(judged_by(text, (text,)))) == shape(page(judged_by("word", ("word",))))
    told = markdown(judged_by(text, (text,)))
    outside = "".join(told.split("`")[::2])
    assert told.count("`") % 2 == 0
    for danger in ("<script", "ran=1", "](", "{{", "javascript:"):
        assert danger not in outside


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_no_reply_runs_in_a_browser_even_without_the_policy(tmp_path: Path) -> None:
    facts = judged_by("word", ("word",))
    assert facts.summary is not None
    assert facts.summary.judge is not None
    told = {"unread": STRINGS, "kinship": STRINGS, "judge": STRINGS[0], "ungraded": dict.fromkeys(STRINGS, 1)}
    judge = facts.summary.judge.model_copy(update=told)
    html = page(facts.model_copy(update={"summary": facts.summary.model_copy(update={"judge": judge})}))
    loaded = in_browser(html.replace("http-equiv", "data-not"), tmp_path)
    assert loaded.count("a reply without a grade") == len(STRINGS)
    assert RAN not in loaded


def facts_of(folder: Path, says: tuple[str, ...]) -> ReportFacts:
    """Of a run whose judge says these things, one to each question, and judges well elsewhere."""
    items = questions(len(says) + 20)
    told = {item.question: text for item, text in zip(items, says, strict=False)}

    def reply(request: dict) -> str:
        return told.get(part(request, "question") or "") or FAIR(request)

    with TeacherServer(answer=reply) as server:
        found = graded(made_run(folder), recipe(server.url, planted=12), items, answers(items))
    seeds = (Seed(number=1, line=1, pairs=()),)
    leaves = tuple(Skill(path=path, blob="0" * 40, version=3, created_by="x", task="x", seeds=seeds) for path in LEAVES)
    summary = summed(items, found)
    return ReportFacts(
        run="judged", model="m", leaves=leaves, summary=summary, items=tuple(items), answers=tuple(found.answers)
    )


def test_replies_over_the_wire_reach_page_and_markdown_as_text(tmp_path: Path) -> None:
    says = (*STRINGS[:3], in_form("GRADE", 7, STRINGS[11]), in_form("GRADE", STRINGS[0]), in_form(STRINGS[0], 3))
    facts = facts_of(tmp_path, says)
    assert facts.summary is not None
    assert facts.summary.judge is not None
    assert len(facts.summary.judge.unread) == 3
    assert any("<script" in said for said in facts.summary.judge.unread)
    html = page(facts)
    assert "a reply without a grade" in sound(html).text
    assert not {"script", "img"} & {tag for tag, _ in Page(html).elements}
    assert "<script" not in html.replace("&lt;script", "")
    assert "<script" not in "".join(markdown(facts).split("`")[::2])


def test_the_agreement_stands_in_every_row_of_grades_and_comparisons(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, ())
    assert facts.summary is not None
    assert facts.summary.judge is not None
    told = agreement(facts.summary.judge)
    assert told.startswith("AUC ")
    read = sound(page(facts))
    tables = [table for table in read.tables if table.rows[0][-1].text == "The judge’s agreement"]
    assert [len(table.rows) for table in tables] == [3, 3]
    side_by_side = agreement_compared(facts.summary.judge)
    assert side_by_side.startswith("prefers the reference in ")
    assert [{row[-1].text for row in table.rows[1:]} for table in tables] == [{told}, {side_by_side}]
    assert "and so the means in part" in read.text
    for beside in (told, side_by_side):
        assert sum(line.endswith(f" {beside} |") for line in markdown(facts).splitlines()) == 2
    assert json.loads(twin(facts))["summary"]["judge"]["judge"] == facts.summary.judge.judge


def test_a_leaf_that_is_judged_in_part_is_told_so(tmp_path: Path) -> None:
    items = questions(24)
    extra = [question(number, id=f"item{number}", metric="exact") for number in range(100, 124, 2)]
    with TeacherServer(answer=FAIR) as server:
        given = answers(items)
        other = [one.model_copy(update={"score": 0.5, "unscored": None}) for one in answers(extra)]
        found = graded(made_run(tmp_path), recipe(server.url), [*items, *extra], [*given, *other])
    view = judge_view(summed([*items, *extra], found))
    assert view is not None
    (one,) = view.checkpoints
    assert (one.partly, [row.leaf for row in one.rows]) == ((LEAVES[0],), list(LEAVES))
    assert [row.n for row in one.rows] == [12, 12]


def test_a_run_without_a_judge_has_no_such_section() -> None:
    facts = hostile(("word",))
    assert judge_view(facts.summary) is None
    assert judge_view(None) is None
    assert 'id="judged"' not in page(facts)
    assert "What a judge said" not in markdown(facts)
