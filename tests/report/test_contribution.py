"""What each leaf did, in its three forms and on the page, from facts that are made up."""

from __future__ import annotations

import json

import pytest
from hostile import STRINGS, hostile
from structure import sound

from instructlab_like.evaluation.grading import JudgeCard
from instructlab_like.evaluation.leave_one_out import NOTHING, LeftOut
from instructlab_like.evaluation.summary import Summary
from instructlab_like.records import Effect, LeafCounts, LeafOrigin, plain
from instructlab_like.report.contribution import Contribution, Contributions, LeafCost, chosen, contributions
from instructlab_like.report.contribution_comment import LONGEST, MARKER, comment
from instructlab_like.report.contribution_text import brief_cost, cost, outcome, text
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.page import page
from instructlab_like.report.twin import twin

DANGERS = ("ran=1", "](", "{{", "javascript:")


def told_of(facts: ReportFacts, costs: dict[str, LeafCost] | None = None, *out: LeftOut) -> Contributions:
    assert facts.summary
    assert facts.learning
    return contributions(
        run=facts.run,
        summary=facts.summary,
        checkpoint=facts.summary.checkpoints[0],
        trained_here=True,
        enough=20,
        origins=facts.origins,
        shortfalls=facts.shortfalls,
        learnt=facts.learning.leaves,
        costs=costs,
        total=None if costs is None else LeafCost(calls=9, tokens_in=70, tokens_out=30, money=None),
        left_out=out,
    )


def effect(leaf: str, before: float, after: float, word: str = "better", n: int = 40) -> Effect:
    mid = after - before
    return Effect.model_validate(
        {
            "leaf": leaf,
            "n": n,
            "clusters": n,
            "base": before,
            "base_interval": (before, before),
            "tuned": after,
            "tuned_interval": (after, after),
            "delta": (mid - 0.1, mid, mid + 0.1),
            "p": 0.001,
            "q": 0.002,
            "effect": word,
        }
    )


def left_out(leaf: str, others: tuple[Effect, ...]) -> LeftOut:
    return LeftOut(
        leaf=leaf,
        inputs="x",
        rows=120,
        rows_all=1_480,
        own=effect(leaf, 0.11, 0.77),
        untaught=effect(leaf, 0.1, 0.11, "tied"),
        others=others,
        others_mean=effect("the other leaves", 0.5, 0.52, "tied"),
        own_tasks=effect("the base's own tasks", 0.9, 0.88, "tied"),
    )


def row(told: Contributions, leaf: str) -> Contribution:
    return next(one for one in told.leaves if one.leaf == leaf)


def test_there_is_a_row_for_each_leaf_with_what_the_files_say(facts: ReportFacts) -> None:
    assert facts.summary
    told = told_of(facts, {})
    assert [one.leaf for one in told.leaves] == [one.path for one in facts.origins]
    by_leaf = {one.leaf: one for one in facts.summary.checkpoints[0].leaves}
    counts = {one.leaf: (one.made, one.kept) for one in facts.counts}
    for one in told.leaves:
        assert one.gain == by_leaf.get(one.leaf)
        assert (one.made, one.kept) == counts[one.leaf]
        assert one.author == "Ines Calder"
        assert one.cost == LeafCost()
    locks = row(told, "knowledge/engineering/canals/locks")
    assert locks.loss
    assert locks.loss.rows == "held-out"
    assert facts.learning
    learnt = next(one for one in facts.learning.leaves if one.leaf == locks.leaf)
    assert locks.loss.drop == pytest.approx(learnt.drop)
    assert row(told, "foundational_skills/reasoning/who_is_taller").gain is None


def test_the_table_has_a_line_for_each_leaf(facts: ReportFacts) -> None:
    told = told_of(
        facts, {"knowledge/natural_science/tides": LeafCost(calls=1_204, tokens_in=5, tokens_out=6, money=2.5)}
    )
    lines = text(told).split("\n")
    tides = next(line for line in lines if "natural_science/tides" in line)
    assert "240/365" in tides
    assert "▲ better" in tides
    assert "1,204 calls, 2.50" in tides
    assert "(changed since)" in tides
    assert tides.endswith("· Ines Calder")
    assert "no questions" in next(line for line in lines if "who_is_taller" in line)
    assert max(map(len, lines)) <= 160


def test_leaving_a_leaf_out_is_told_with_whom_it_helped_and_harmed(facts: ReportFacts) -> None:
    leaf, near, far = (one.path for one in facts.origins[:3])
    out = left_out(
        leaf, (effect(near, 0.4, 0.7), effect(far, 0.7, 0.4, "worse"), effect("skills/same", 0.5, 0.5, "tied"))
    )
    told = told_of(facts, {}, out)
    for form in (text(told), comment(chosen(told, [leaf]))):
        assert "0.11 → 0.77" in form
        assert "0.10 → 0.11" in form
        assert "of 3 other leaves 1 better and 1 worse with it" in form
        assert near in form
        assert far in form
        assert "skills/same" not in form
        assert "120 of 1,480" in form
        assert "another seed" in form.lower()
    said = " ".join(sound(page(facts.model_copy(update={"contributions": told}))).text.split())
    assert "Trained again without the leaf" in said
    assert "0.11 → 0.77" in said


def test_what_another_seed_moved_stands_beside_what_leaves_did(facts: ReportFacts) -> None:
    leaf = facts.origins[0].path
    by_chance = left_out(NOTHING, (effect("a", 0.5, 0.7), effect("b", 0.5, 0.5, "tied"))).model_copy(
        update={"own": None, "untaught": None, "rows": 0}
    )
    told = told_of(facts, {}, left_out(leaf, ()), by_chance)
    assert NOTHING not in {one.leaf for one in told.leaves}
    said = "With another seed and nothing left out 1 better and 0 worse of 2 leaves; their mean moved by +0.02"
    for form in (text(told), comment(chosen(told, [leaf])), page(facts.model_copy(update={"contributions": told}))):
        assert said in form
        assert "was not measured" not in form
    bare = told_of(facts, {}, left_out(leaf, ()))
    assert "How far was not measured (--another-seed)." in text(bare)


def test_the_comment_on_one_leaf_says_whether_it_helped_by_how_much_and_what_it_cost(facts: ReportFacts) -> None:
    leaf = "knowledge/engineering/canals/locks"
    paid = {leaf: LeafCost(calls=12, tokens_in=3_400, tokens_out=560, money=1.25, shared=2)}
    told = comment(chosen(told_of(facts, paid), [leaf]))
    assert told.startswith(f"{MARKER}\n")
    assert "**It helped: +0.7" in told
    assert "▲ better" in told
    assert "12 calls, 3,400 tokens in and 560 out, 1.2500 in money, 2 of the calls also for other leaves" in told
    assert "301 kept of 412 made" in told
    assert "`Ines Calder` in `" in told
    assert "| leaf |" not in told


@pytest.mark.parametrize(
    ("gain", "kept", "begins"),
    [
        (effect("a", 0.2, 0.6), 3, "It helped: +0.40 on 40 questions."),
        (effect("a", 0.6, 0.2, "worse"), 3, "It did harm: −0.40 on 40 questions."),
        (effect("a", 0.5, 0.52, "tied"), 3, "It changed little, if anything: +0.02 on 40 questions."),
        (effect("a", 0.2, 0.6, "underpowered", 7), 3, "Not known: +0.40 on 7 questions, fewer than 20."),
        (effect("a", 0.2, 0.4, "underpowered"), 3, "Not known: +0.20 on 40 questions, too few to tell"),
        (effect("a", 0.2, 0.6), 0, "It received no samples"),
        (None, 3, "Not measured: it has no held-out questions"),
    ],
)
def test_the_verdict_is_a_sentence(gain: Effect | None, kept: int, begins: str) -> None:
    one = Contribution(
        leaf="a",
        commit=None,
        author=None,
        dirty=False,
        made=9,
        kept=kept,
        shortfall=None,
        gain=gain,
        loss=None,
        cost=None,
    )
    assert outcome(one, 20).startswith(begins)


def test_costs_that_are_nothing_unknown_or_without_a_price_are_told_apart() -> None:
    free, unpriced = LeafCost(), LeafCost(calls=3, tokens_in=4, tokens_out=5, money=None)
    assert (cost(free), brief_cost(free)) == ("none: no teacher was asked", "none")
    assert (cost(None), brief_cost(None)) == ("not known", "not known")
    assert cost(unpriced) == "3 calls, 4 tokens in and 5 out, no price given"
    assert brief_cost(unpriced) == "3 calls"


def test_the_page_has_the_same_figures_and_is_sound(facts: ReportFacts) -> None:
    told = told_of(facts, {})
    told_page = sound(page(facts.model_copy(update={"contributions": told})))
    table = next(one for one in told_page.tables if one.rows[0][-1].text == "Brought by")
    assert len(table.rows) == 1 + len(told.leaves)
    for cells, one in zip(table.rows[1:], told.leaves, strict=True):
        assert cells[0].text.replace(" / ", "/") == one.leaf
        if one.gain:
            assert f"{one.gain.delta[1]:+.2f}".replace("-", "−") in cells[1].text or abs(one.gain.delta[1]) < 0.005
    assert "#did" in told_page.values("href")


def test_json_holds_the_rows_as_they_are(facts: ReportFacts) -> None:
    told = told_of(facts, {})
    kept = json.loads(twin(facts.model_copy(update={"contributions": told})))["contributions"]
    assert kept == json.loads(json.dumps(plain(told)))


def test_beside_a_judged_gain_stands_how_far_the_judge_can_be_trusted(facts: ReportFacts) -> None:
    assert facts.summary
    leaf = facts.summary.checkpoints[0].leaves[0].leaf
    card = JudgeCard(
        judge="http:j",
        templates={},
        leaves=(leaf,),
        same_family=False,
        kinship=(),
        graded=3,
        by_rule=0,
        ungraded={},
        unread=(),
        planted=None,
        labels=None,
        swap=None,
        first=None,
        longer=None,
        grade_by_length=None,
        pairwise=(),
    )
    told = told_of(facts.model_copy(update={"summary": facts.summary.model_copy(update={"judge": card})}), {})
    assert {one.leaf for one in told.leaves if one.judged} == {leaf}
    beside = "judged: how far this judge agrees with anybody was not measured"
    for form in (text(told), comment(told), page(facts.model_copy(update={"contributions": told}))):
        assert form.count(beside) == 1


def hostile_rows(strings: tuple[str, ...]) -> tuple[ReportFacts, Contributions]:
    """Rows in which all that others name is hostile, each leaf left out once and harming the first."""
    facts = hostile(strings)
    paths = [one.path for one in facts.leaves]
    origins = tuple(
        LeafOrigin(path=path, blob="b", commit=text_, author=text_, dirty=True)
        for path, text_ in zip(paths, strings, strict=True)
    )
    harmed = (effect(paths[0], 0.9, 0.1, "worse"), effect(strings[0], 0.1, 0.9))
    told = told_of(
        facts.model_copy(update={"origins": origins, "shortfalls": dict(zip(paths, strings, strict=True))}),
        {path: LeafCost(calls=3, money=None) for path in paths},
        *(left_out(path, harmed) for path in paths),
    )
    named = {"run": strings[0], "base": strings[0], "checkpoint": strings[0]}
    leaves = tuple(one.model_copy(update={"judged": "judged"}) for one in told.leaves)
    return facts, told.model_copy(update={**named, "leaves": leaves, "agreement": "AUC 0.90 on 40 planted pairs"})


@pytest.mark.parametrize("string", STRINGS, ids=range(len(STRINGS)))
def test_nothing_hostile_acts_in_a_comment(string: str) -> None:
    _, told = hostile_rows((string, string))
    written = comment(told)
    assert written.count("`") % 2 == 0
    outside = "".join(part for part in written.split("`")[::2]).removeprefix(MARKER)
    assert "<" not in outside
    for danger in DANGERS:
        assert danger not in outside
    widths = {line.replace("\\x7c", "").count("|") for line in written.splitlines() if line.startswith("|")}
    assert widths == {12}
    written.encode("utf-8")


@pytest.mark.parametrize("string", STRINGS, ids=range(len(STRINGS)))
def test_nothing_hostile_acts_on_the_page_or_in_a_terminal(string: str) -> None:
    def shape(word: str) -> list[str]:
        facts, told = hostile_rows((word, word))
        return [tag for tag, _ in sound(page(facts.model_copy(update={"contributions": told}))).elements]

    assert shape(string) == shape("word")
    _, told = hostile_rows((string, string))
    assert not [character for character in text(told) if ord(character) < 32 and character != "\n"]
    assert "\u202e" not in text(told)


def test_a_comment_on_thousands_of_leaves_is_cut_and_says_so(facts: ReportFacts) -> None:
    one = told_of(facts, {}).leaves[0]
    many = tuple(one.model_copy(update={"leaf": f"skills/{number:05}", "author": "`|" * 60}) for number in range(3_000))
    out = tuple(
        each.model_copy(update={"left_out": left_out(each.leaf, (effect("skills/x", 0.1, 0.9),) * 40)}) for each in many
    )
    told = told_of(facts, {})
    for leaves in (many, out):
        written = comment(told.model_copy(update={"leaves": leaves}))
        assert len(written) <= LONGEST
        assert written.startswith(MARKER)
    assert "The rest is left out here" in written


def test_a_leaf_that_the_manifest_no_longer_knows_has_its_row_all_the_same(facts: ReportFacts) -> None:
    assert facts.summary
    bare = facts.model_copy(update={"origins": ()})
    told = told_of(bare, {})
    assert {one.leaf for one in told.leaves} == {one.leaf for one in facts.counts}
    assert {one.commit for one in told.leaves} == {None}
    assert "not committed" in text(told)


def test_counts_are_those_that_the_scores_were_taken_with(facts: ReportFacts) -> None:
    assert facts.summary
    other: Summary = facts.summary.model_copy(update={"samples": (LeafCounts(leaf="knowledge/x", made=5, kept=4),)})
    told = told_of(facts.model_copy(update={"summary": other}), {})
    assert (row(told, "knowledge/x").made, row(told, "knowledge/x").kept) == (5, 4)
