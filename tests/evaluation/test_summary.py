"""One record of a run's scores, and its table."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from instructlab_like.errors import InputError
from instructlab_like.evaluation.summary import Summary, read, summarise, table, write
from instructlab_like.records import Answer, Item, LeafCounts
from instructlab_like.workspace import FORMAT

TAUGHT, UNTAUGHT, SILENT = (
    "knowledge/geography/orsen",
    "compositional_skills/rhyme",
    "knowledge/history/a_leaf_with_a_long_name",
)
COUNTS = (
    LeafCounts(leaf=TAUGHT, made=40, kept=31),
    LeafCounts(leaf=UNTAUGHT, made=7, kept=0),
    LeafCounts(leaf=SILENT, made=12, kept=12),
)


def questions(leaf: str, count: int) -> list[Item]:
    source = "base" if leaf.startswith("base/") else "heldout"
    return [
        Item(id=f"{leaf}:{number}", leaf=leaf, source=source, question=f"{number}?", answer="x")
        for number in range(count)
    ]


ITEMS = [
    *questions(TAUGHT, 30),
    *questions(UNTAUGHT, 20),
    *questions("base/copying", 20),
    *questions("base/reading", 40),
]
RIGHT = {
    "base": {TAUGHT: 1, UNTAUGHT: 10, "base/copying": 20, "base/reading": 30},
    "tuned": {TAUGHT: 24, UNTAUGHT: 10, "base/copying": 19, "base/reading": 30},
}


def answers(*models: str) -> list[Answer]:
    return [
        Answer(
            item=item.id, model=model, text="x", score=float(int(item.id.rpartition(":")[2]) < RIGHT[model][item.leaf])
        )
        for model in models
        for item in ITEMS
    ]


@pytest.fixture
def summary() -> Summary:
    return summarise(ITEMS, answers("base", "tuned"), enough=20, leaves=COUNTS, base="a/model", seen=ITEMS[:2])


def test_every_leaf_counts_the_same_and_the_bases_own_tasks_stand_apart(summary: Summary) -> None:
    assert summary.base.name == "a/model"
    assert summary.base.overall == pytest.approx((1 / 30 + 10 / 20) / 2)
    assert summary.base.forgetting == pytest.approx((20 / 20 + 30 / 40) / 2)
    tuned = summary.checkpoints[0]
    assert tuned.overall == pytest.approx((24 / 30 + 10 / 20) / 2)
    assert tuned.forgetting == pytest.approx((19 / 20 + 30 / 40) / 2)
    assert [(one.leaf, one.n, one.effect) for one in tuned.leaves] == [(TAUGHT, 30, "better"), (UNTAUGHT, 20, "tied")]
    assert [one.leaf for one in tuned.forgetting_kinds] == ["base/copying", "base/reading"]


def test_the_mean_over_trained_leaves_leaves_the_others_out(summary: Summary) -> None:
    assert summary.base.overall_trained == pytest.approx(1 / 30)
    assert summary.checkpoints[0].overall_trained == pytest.approx(24 / 30)


def test_what_is_not_trained_or_not_asked_is_listed(summary: Summary) -> None:
    assert summary.untrained == (UNTAUGHT,)
    assert summary.unscored == (SILENT,)
    assert summary.left_out == {TAUGHT: 2}
    shown = table(summary)
    assert f"leaves that received no samples (1):\n  {UNTAUGHT}" in shown
    assert f"leaves that have no held-out questions (1):\n  {SILENT}" in shown
    assert f"  {TAUGHT}: 2" in shown


def test_the_file_has_the_shape_that_others_read(summary: Summary, tmp_path: Path) -> None:
    write(tmp_path / "summary.json", summary)
    written = orjson.loads((tmp_path / "summary.json").read_bytes())
    assert written["format"] == FORMAT
    assert {"name", "overall", "forgetting"} <= written["base"].keys()
    checkpoint = written["checkpoints"][0]
    assert {"name", "overall", "forgetting", "leaves"} <= checkpoint.keys()
    assert {"leaf", "n", "base", "tuned", "delta", "effect"} <= checkpoint["leaves"][0].keys()
    assert len(checkpoint["leaves"][0]["delta"]) == 3
    assert read(tmp_path / "summary.json") == summary


def test_a_summary_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such summary"):
        read(tmp_path / "summary.json")
    (tmp_path / "summary.json").write_text('{"base": 1}')
    with pytest.raises(InputError, match=r"checkpoints: Field required"):
        read(tmp_path / "summary.json")


def test_an_item_without_an_answer_is_named() -> None:
    with pytest.raises(InputError, match=r"tuned has no answer to 1 of 110 items, the first: '39\?'"):
        summarise(ITEMS, answers("base", "tuned")[:-1], enough=20, leaves=COUNTS)


def test_a_question_too_long_for_the_model_is_counted() -> None:
    given = answers("base")
    given[0] = given[0].model_copy(update={"text": "", "score": 0.0, "unanswered": "too long"})
    found = summarise(ITEMS, given, enough=20, leaves=COUNTS)
    assert found.unanswered == {TAUGHT: 1}
    assert "too long for the model" in table(found)


def test_without_checkpoints_or_items_there_is_still_a_summary() -> None:
    alone = summarise(ITEMS, answers("base"), enough=20, leaves=COUNTS)
    assert alone.checkpoints == ()
    assert "base: held-out score 0.27 [" in table(alone)
    nothing = summarise([], [], enough=20, leaves=COUNTS)
    assert (nothing.base.overall, nothing.base.forgetting) == (None, None)
    assert nothing.unscored == tuple(leaf.leaf for leaf in COUNTS)


def test_the_table_is_at_most_110_columns_wide_and_aligned(summary: Summary) -> None:
    lines = table(summary).splitlines()
    assert max(map(len, lines)) <= 110
    block = lines[1 : lines.index("")]
    assert len({line.index("change") if "change" in line else line.index("+") - 1 for line in block[:2]}) == 1
    assert block[1].split()[:4] == [TAUGHT, "40", "31", "30"]
    assert block[1].endswith("▲ better")
    assert "0.03 [0.00–0.18] 0.80 [0.62–0.91]  +0.77 <.001" in block[1]


BRANCHED = [
    *questions("knowledge/arts/one", 25),
    *questions("knowledge/arts/two", 100),
    *questions("knowledge/law", 40),
    *questions("compositional_skills/rhyme", 20),
]


def branched(*, harmful: bool = False, protect: tuple[str, ...] = (), margin: float = 0.05) -> Summary:
    right = {"base": {}, "tuned": {"knowledge/arts/one": 20}} | ({"base": {"knowledge/law": 30}} if harmful else {})
    given = [
        Answer(
            item=item.id, model=model, text="x", score=float(int(item.id.rpartition(":")[2]) < known.get(item.leaf, 0))
        )
        for model, known in right.items()
        for item in BRANCHED
    ]
    return summarise(BRANCHED, given, enough=20, leaves=(), protect=protect, margin=margin)


def test_each_branch_of_two_leaves_has_a_row_in_which_leaves_count_equally() -> None:
    (tuned,) = branched().checkpoints
    assert [(one.leaf, one.n) for one in tuned.branches] == [("knowledge", 165), ("knowledge/arts", 125)]
    assert tuned.branches[1].tuned == pytest.approx(0.4)
    assert tuned.branches[0].tuned == pytest.approx(0.8 / 3)
    assert [one.effect for one in tuned.branches] == ["better", "better"]
    assert all(one.q is not None for one in (*tuned.branches, *tuned.leaves))
    assert "knowledge/arts/ " in table(branched())


def test_the_bases_own_tasks_and_what_is_protected_have_to_be_kept(summary: Summary) -> None:
    assert [one.name for one in summary.checkpoints[0].kept] == ["base/copying", "base/reading", "base"]
    (tuned,) = branched(harmful=True, protect=("knowledge/law/", "knowledge/arts", "knowledge/none")).checkpoints
    assert [(one.name, one.verdict) for one in tuned.kept] == [("knowledge/law", "lost"), ("knowledge/arts", "kept")]
    assert tuned.kept[1].n == 125
    assert branched(harmful=True, protect=("knowledge/law",), margin=0.95).checkpoints[0].kept[0].verdict == "kept"


def test_the_gate_names_what_is_worse_lost_and_missing() -> None:
    gate = branched(harmful=True, protect=("knowledge/law", "knowledge/none")).gate
    assert gate is not None
    worse, lost, missing = gate.reasons
    assert worse.startswith("tuned: knowledge/law is worse: 0.75 → 0.00, change -0.75 [")
    assert lost.startswith("tuned: knowledge/law lost more than 0.05")
    assert missing == "knowledge/none is protected and has no held-out questions"
    shown = table(branched(harmful=True, protect=("knowledge/law",)))
    assert "gate: fails\n  fails: tuned: knowledge/law is worse" in shown
    assert "what had to be kept: no more than 0.05 lost" in shown


def test_a_summary_of_before_the_gate_can_be_read(summary: Summary, tmp_path: Path) -> None:
    written = orjson.loads(summary.model_dump_json())
    del written["gate"]
    for checkpoint in written["checkpoints"]:
        del checkpoint["branches"], checkpoint["kept"]
        for effect in (*checkpoint["leaves"], *checkpoint["forgetting_kinds"]):
            del effect["q"], effect["clusters"]
    (tmp_path / "summary.json").write_bytes(orjson.dumps(written))
    old = read(tmp_path / "summary.json")
    assert old.gate is None
    assert "gate" not in table(old)


def test_answers_without_a_score_are_counted_and_in_no_mean() -> None:
    told = [
        one.model_copy(update={"score": None, "unscored": "judge: no grade in its reply"})
        if one.model == "tuned" and one.item in (f"{TAUGHT}:28", f"{TAUGHT}:29")
        else one
        for one in answers("base", "tuned")
    ]
    found = summarise(ITEMS, told, enough=20, leaves=COUNTS)
    taught = found.checkpoints[0].leaves[0]
    assert (taught.n, taught.tuned, taught.base) == (28, pytest.approx(24 / 28), pytest.approx(1 / 28))
    assert found.base.overall_trained == pytest.approx(1 / 30)
    assert [(one.leaf, one.model, one.reason, one.count) for one in found.non_scores] == [
        (TAUGHT, "tuned", "judge: no grade in its reply", 2)
    ]
    assert "judge: no grade in its reply (2)" in table(found)


def test_a_leaf_of_which_nothing_has_a_score_has_no_row_and_does_not_pass_for_kept() -> None:
    told = [
        one.model_copy(update={"score": None, "unscored": "judge: gone"}) if one.item.startswith(TAUGHT) else one
        for one in answers("base", "tuned")
    ]
    found = summarise(ITEMS, told, enough=20, leaves=COUNTS, protect=(TAUGHT,))
    assert [one.leaf for one in found.checkpoints[0].leaves] == [UNTAUGHT]
    assert found.gate
    assert not found.gate.passed
    assert any(TAUGHT in reason for reason in found.gate.reasons)


def test_parts_of_a_leaf_have_rows_of_their_own_and_perplexities_are_in_no_mean() -> None:
    extra = [
        Item(id=f"c{number}", leaf=TAUGHT, source="heldout", question=f"c{number}?", answer="x", metric="choice")
        for number in range(20)
    ] + [
        Item(id=f"p{number}", leaf=UNTAUGHT, source="heldout", question=f"p{number}?", answer="x", metric="perplexity")
        for number in range(20)
    ]
    said = [
        Answer(item=item.id, model=model, text="", score=(0.25 if model == "base" else 1.0))
        for model in ("base", "tuned")
        for item in extra
    ]
    found = summarise([*ITEMS, *extra], [*answers("base", "tuned"), *said], enough=20, leaves=COUNTS)
    tuned = found.checkpoints[0]
    assert [(one.leaf, one.n) for one in tuned.leaves] == [(TAUGHT, 50), (UNTAUGHT, 20)]
    assert [(one.leaf, one.part, one.n, one.base, one.tuned) for one in tuned.parts] == [
        (TAUGHT, "written", 30, pytest.approx(1 / 30), pytest.approx(24 / 30)),
        (TAUGHT, "choice", 20, 0.25, 1.0),
        (UNTAUGHT, "perplexity", 20, 0.25, 1.0),
    ]
    assert "perplexity" in table(found)


def test_a_checkpoint_without_any_score_on_a_leaf_is_named_and_stops_the_gate_if_the_leaf_is_protected() -> None:
    told = [
        one.model_copy(update={"score": None, "unscored": "no option in its reply"})
        if one.model == "tuned" and one.item.startswith(UNTAUGHT)
        else one
        for one in answers("base", "tuned")
    ]
    free = summarise(ITEMS, told, enough=20, leaves=COUNTS).gate
    assert free
    assert f"tuned: {UNTAUGHT} has no answer with a score" in free.unchecked
    held = summarise(ITEMS, told, enough=20, leaves=COUNTS, protect=("compositional_skills",)).gate
    assert held
    assert f"tuned: {UNTAUGHT} had to be kept, and no answer has a score" in held.reasons
    branch = summarise(ITEMS, told, enough=20, leaves=COUNTS, protect=("compositional_skills", TAUGHT)).gate
    assert branch
    assert not branch.passed


def test_what_no_model_was_asked_is_not_tied_into_being_kept() -> None:
    """A window too small for every question of a leaf: 0 before and 0 after say nothing."""
    mute = (TAUGHT, "base/copying")
    told = [
        one.model_copy(update={"score": 0.0, "unanswered": "too long"}) if one.item.rpartition(":")[0] in mute else one
        for one in answers("base", "tuned")
    ]
    found = summarise(ITEMS, told, enough=20, leaves=COUNTS)
    assert found.gate
    assert not found.gate.passed
    assert "tuned: base/copying had to be kept, and no answer has a score" in found.gate.reasons
    assert f"tuned: {TAUGHT} has no answer with a score" in found.gate.unchecked
    assert "base/copying" not in {row.name for row in found.checkpoints[0].kept}
