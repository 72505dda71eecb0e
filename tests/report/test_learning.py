from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like.records import LeafOrigin, Lineage, Sample
from instructlab_like.report.learning import FAR, NAMED, OF_A_LEAF, PEERS, Learning, far_off, learning, lines
from instructlab_like.report.page import environment
from instructlab_like.tuning.choice import choose
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss, LeafLoss, SampleLoss, held_out_loss

TOKENS = (10, 12, 8, 11)
ORIGINS = [
    LeafOrigin(path=path, blob="b" * 40, commit=commit, author=author, dirty=False)
    for path, commit, author in (
        ("knowledge/tides", "c0ffee" * 6 + "0123", "Ines Calder"),
        ("skills/sums", "ab" * 20, "Ada <b>"),
        ("skills/rhyme", None, None),
    )
]


def held(phase: str, step: int, losses: Mapping[str, float], teacher: str = "") -> list[HeldOutLoss]:
    return [
        held_out_loss(
            phase=phase,
            step=step,
            group=group,
            teacher=teacher,
            tokens=TOKENS,
            nats=[(loss + 0.01 * n) * size for n, size in enumerate(TOKENS)],
        )
        for group, loss in losses.items()
    ]


HELD_OUT = [
    *held(BASELINE, 0, {"knowledge/tides": 4.0, "skills/sums": 3.0, "base": 0.20}),
    *held("knowledge", 10, {"knowledge/tides": 0.5, "skills/sums": 3.1, "base": 0.25}),
    *held("knowledge", 20, {"knowledge/tides": 0.7, "skills/sums": 3.2, "base": 0.90}),
    *held("skills", 10, {"knowledge/tides": 0.9, "skills/sums": 1.0, "base": 0.24}),
    *held("skills", 20, {"knowledge/tides": 0.8, "skills/sums": 0.4, "base": 0.24}),
]
CHOICES = [
    choose("knowledge", [10, 20], HELD_OUT[:9], leaves={"knowledge/tides"}, margin=0.1),
    choose("skills", [10, 20], HELD_OUT, leaves={"knowledge/tides", "skills/sums"}, start=("knowledge", 10), margin=1),
]
LOSSES = [
    LeafLoss(phase=phase, step=step, leaf=leaf, teacher=teacher, tokens=tokens, loss=loss)
    for phase, step, leaf, teacher, tokens, loss in (
        ("knowledge", 5, "knowledge/tides", "big", 30, 4.0),
        ("knowledge", 5, "knowledge/tides", "small", 10, 2.0),
        ("knowledge", 5, "replay", "", 50, 0.1),
        ("knowledge", 20, "knowledge/tides", "big", 30, 0.5),
        ("skills", 5, "skills/sums", "small", 20, 3.0),
        ("skills", 5, "skills/rhyme", "small", 20, 2.0),
        ("skills", 20, "skills/sums", "small", 20, 0.3),
        ("skills", 20, "skills/rhyme", "small", 20, 1.9),
    )
]


def seen(leaf: str, losses: Sequence[float], phase: str = "skills") -> list[SampleLoss]:
    return [
        SampleLoss(phase=phase, step=9, leaf=leaf, teacher="small", sample=f"{leaf}{n:04}", tokens=5, loss=loss)
        for n, loss in enumerate(losses)
    ]


def sample(id: str, question: str, answer: str) -> Sample:
    lineage = Lineage(leaf="skills/sums", leaf_blob="b", method="teacher", model="small")
    return Sample(id=id, kind="freeform", question=question, answer=answer, lineage=lineage)


def learnt(**told: object) -> Learning:
    usual: dict[str, object] = {
        "losses": LOSSES,
        "held_out": HELD_OUT,
        "last_seen": seen("skills/sums", [0.2, 0.3, 0.25, 0.3, 0.2, 0.28, 0.22, 0.31, 0.26, 5.0]),
        "choices": CHOICES,
        "origins": ORIGINS,
        "samples": [sample("skills/sums0009", "What is <i>2</i> + 2?", "Five & a half")],
        "taxonomy": "taxonomy/",
    }
    return learning(**(usual | told))  # type: ignore[arg-type]


def test_leaves_are_ranked_by_how_far_their_loss_fell() -> None:
    found = learnt().leaves
    assert [one.leaf for one in found] == ["knowledge/tides", "skills/sums", "skills/rhyme"]
    assert [one.drop for one in found] == pytest.approx([3.2, 2.6, 0.1])
    tides, sums, rhyme = found
    assert (tides.first, tides.last, tides.tokens) == (pytest.approx(3.5), pytest.approx(0.5), 70)
    assert tides.held_out is not None
    assert (tides.held_out.before, tides.held_out.after) == pytest.approx((4.0145, 0.8145), abs=1e-3)
    assert rhyme.held_out is None
    assert str(tides.source) == "taxonomy/knowledge/tides/qna.yaml · c0ffeec0ffee · Ines Calder"
    assert str(rhyme.source) == "taxonomy/skills/rhyme/qna.yaml"
    assert sums.source.author == "Ada <b>"


def test_what_was_chosen_is_what_counts_not_the_last_step() -> None:
    """The knowledge phase ended worse than its chosen checkpoint, from which the skills phase began."""
    found = learnt()
    assert [choice.step for choice in found.choices] == [10, 20]
    told = {(one.leaf, one.phase): one for one in found.forgotten}
    assert set(told) == {("knowledge/tides", "skills"), ("base", "knowledge")}
    tides = told["knowledge/tides", "skills"]
    assert tides.rise.amount == pytest.approx(0.3)
    assert tides.source is not None
    assert tides.source.author == "Ines Calder"
    assert told["base", "knowledge"].source is None
    assert [one.rise.amount for one in found.forgotten] == pytest.approx([0.3, 0.05])
    unchosen = {(one.leaf, one.phase): one.rise.amount for one in learnt(choices=[]).forgotten}
    assert unchosen["base", "knowledge"] == pytest.approx(0.7)


def test_what_a_leaf_was_not_taught_yet_it_has_not_forgotten() -> None:
    """Sums got worse in the knowledge phase, before the skills phase taught them; odes were never trained."""
    rising = [*HELD_OUT, *held(BASELINE, 0, {"skills/odes": 1.0}), *held("skills", 20, {"skills/odes": 2.0})]
    assert {one.leaf for one in learnt(held_out=rising).forgotten} == {"knowledge/tides", "base"}
    taught = LeafLoss(phase="knowledge", step=5, leaf="skills/sums", tokens=20, loss=3.0)
    earlier = {(one.leaf, one.phase) for one in learnt(losses=[taught, *LOSSES]).forgotten}
    assert ("skills/sums", "knowledge") in earlier


def test_a_rise_within_chance_is_counted_and_not_named() -> None:
    noisy = held(BASELINE, 0, {"skills/sums": 1.0})
    noisy += [
        held_out_loss(
            phase="skills", step=3, group="skills/sums", teacher="", tokens=TOKENS, nats=[10.0, 12.0, 8.0, 15.0]
        )
    ]
    found = learnt(held_out=noisy, choices=[])
    assert (found.forgotten, found.within_noise) == ((), 1)
    assert any("1 rose within what chance explains" in line for line in lines(found))


def test_teachers_are_compared_where_there_are_several() -> None:
    big, small = learnt().teachers
    assert (big.teacher, big.leaves, big.tokens, big.first, big.last) == ("big", 1, 60, 4.0, 0.5)
    assert (small.teacher, small.leaves, small.tokens) == ("small", 3, 90)
    alone = [one.model_copy(update={"teacher": "big"}) for one in LOSSES]
    assert learnt(losses=alone).teachers == ()
    mixed = [*held(BASELINE, 0, {"skills/sums": 3.0}, "big"), *held("skills", 9, {"skills/sums": 1.0}, "big")]
    measured = learnt(held_out=mixed, choices=[]).teachers[0].held_out
    assert measured is not None
    assert measured.amount == pytest.approx(-2.0)


def test_a_sample_that_stands_out_is_named_with_its_text_and_source() -> None:
    (found,) = learnt().outliers
    assert (found.sample, found.leaf, found.loss) == ("skills/sums0009", "skills/sums", 5.0)
    assert found.usual == pytest.approx(0.27)
    assert found.z > 50
    assert (found.question, found.answer) == ("What is <i>2</i> + 2?", "Five & a half")
    assert found.source.file == "taxonomy/skills/sums/qna.yaml"
    (unknown,) = learnt(samples=[]).outliers
    assert (unknown.question, unknown.answer) == ("", "")


def test_few_samples_narrow_spreads_and_replay_give_no_outliers() -> None:
    few = seen("skills/sums", [0.1] * (PEERS - 2) + [9.0])
    tight = seen("skills/rhyme", [0.001] * 20 + [0.15])
    replay = seen("replay", [0.1] * 20 + [9.0])
    assert learnt(last_seen=[*few, *tight, *replay]).outliers == ()
    assert len(learnt(last_seen=seen("skills/rhyme", [0.001] * 20 + [0.4])).outliers) == 1


def test_one_bad_leaf_does_not_hide_the_others() -> None:
    rng = random.Random(0)
    bad = seen("skills/bad", [rng.random() * 0.1 for _ in range(60)] + [20.0 + n for n in range(12)])
    other = seen("skills/sums", [rng.random() * 0.1 for _ in range(20)] + [3.0])
    found = learnt(last_seen=[*bad, *other])
    assert [one.leaf for one in found.outliers] == ["skills/bad"] * OF_A_LEAF + ["skills/sums"]
    assert found.outliers_all == 13
    many = [one for n in range(40) for one in seen(f"skills/s{n}", [0.1] * 10 + [4.0])]
    assert len(learnt(last_seen=many).outliers) == NAMED


def test_a_sample_is_judged_in_the_phase_that_saw_it_last() -> None:
    first = seen("knowledge/tides", [0.1] * 10 + [6.0], "knowledge")
    again = seen("knowledge/tides", [0.3] * 10 + [0.3], "skills")
    assert learnt(last_seen=first).outliers_all == 1
    assert learnt(last_seen=[*first, *again]).outliers == ()


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40))
def test_an_outlier_is_far_above_the_median_and_never_below_it(losses: list[float]) -> None:
    found = far_off(seen("skills/sums", losses), {})
    assert all(one.loss > median(losses) and one.z >= FAR for one in found)
    assert len(found) <= len(losses) // 2
    assert [one.z for one in found] == sorted((one.z for one in found), reverse=True)


def test_the_table_for_a_terminal() -> None:
    told = list(lines(learnt()))
    assert told[0].split() == ["leaf", "held-out", "loss", "change", "training", "loss", "source"]
    assert told[1].startswith("knowledge/tides")
    assert "4.015 → 0.815" in told[1]
    assert "−3.20 ± 0.00" in told[1]
    assert told[1].endswith("taxonomy/knowledge/tides/qna.yaml · c0ffeec0ffee · Ines Calder")
    assert "–" in told[3]
    assert told[4].startswith("by big")
    text = "\n".join(told)
    assert "forgotten: held-out losses that rose in a later phase" in text
    assert "base" in text
    assert "skills/sums0  5.00 where 0.27 is usual" in text
    assert "What is <i>2</i> + 2?" in text


def test_a_long_ranking_shows_both_ends() -> None:
    losses = [
        LeafLoss(phase="skills", step=step, leaf=f"skills/s{n:04}", tokens=5, loss=5.0 - (n + 1) * 0.004 * (step == 9))
        for n in range(1_000)
        for step in (1, 9)
    ]
    told = list(lines(learnt(losses=losses, held_out=[], choices=[], last_seen=[]), most=3))
    assert [line.split()[0] for line in told[1:]] == [
        *("skills/s0999", "skills/s0998", "skills/s0997", "…", "skills/s0002", "skills/s0001", "skills/s0000")
    ]
    assert told[4] == "… 994 leaves between"


def test_odd_characters_do_not_reach_the_terminal() -> None:
    odd = sample("skills/sums0009", "Say \x1b[31mred\u202e", "x")
    told = "\n".join(lines(learnt(samples=[odd])))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "\\x1b[31mred" in told


def test_nothing_measured_is_said() -> None:
    empty = learnt(losses=[], held_out=[], last_seen=[], choices=[])
    assert list(lines(empty)) == ["no training losses"]
    assert "section" not in rendered(empty)


def rendered(told: Learning | None) -> str:
    return environment().get_template("learning.html.j2").render(learning=told, leaf_curves={})


class Tags(HTMLParser):
    """Every element is closed, and none brings a style or a script of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "style", "i", "b>"}
        assert not {"style", "onclick"} & {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_it_with_every_text_escaped() -> None:
    text = rendered(learnt())
    Tags(text)
    assert "What is &lt;i&gt;2&lt;/i&gt; + 2?" in text
    assert "Five &amp; a half" in text
    assert "Ada &lt;b&gt;" in text
    assert text.count("<tr>") == 1 + 3 + 2
    assert "taxonomy/knowledge/tides/qna.yaml" in text
    assert "c0ffeec0ffee" in text
    assert "the base’s own tasks" in text
    assert "the checkpoint after step 10 goes on" in text


def test_a_phase_of_which_nothing_goes_on_stands_out_on_the_page() -> None:
    harm = [
        *held(BASELINE, 0, {"skills/sums": 3.0, "base": 0.2}),
        *held("skills", 9, {"skills/sums": 1.0, "base": 2.0}),
    ]
    refused = choose("skills", [9], harm, leaves={"skills/sums"}, margin=0.05, protect=["knowledge"])
    text = rendered(learnt(held_out=harm, choices=[refused]))
    assert '<strong class="worse">no checkpoint goes on</strong>' in text
    assert "too few held-out rows to be judged: knowledge" in text


def test_nothing_is_shown_before_training() -> None:
    assert rendered(None).strip() == ""


def test_what_the_report_needs_comes_without_torch() -> None:
    code = "import sys, instructlab_like.report.learning; print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
