"""The report is one safe, self-contained, readable page, whatever the run holds."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import leaf, samples

from instructlab_like.records import Verdict
from instructlab_like.report import page as page_module
from instructlab_like.report.charts import curves, leaf_curves
from instructlab_like.report.facts import ReportFacts
from instructlab_like.report.page import page
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss, LeafLoss, held_out_loss

VOID = {"meta", "line", "circle", "rect", "polyline"}
HOSTILE = "</td></style><script>alert(1)</script><img src=x onerror=alert(2)> \u202e\x00 & \"' {{ 7 * 7 }}"


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in {"dt", "th", "td"} else ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def values(self, name: str) -> list[str]:
        return [given[name] or "" for _, given in self.tags if name in given]


@pytest.fixture(scope="module")
def html(facts: ReportFacts) -> str:
    return page(facts)


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(read: Reader, html: str) -> None:
    tags = {tag for tag, _ in read.tags}
    assert tags.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "base", "form"})
    assert not [name for _, given in read.tags for name in given if name.startswith("on") or name in {"style", "src"}]
    assert all(target.startswith("#") for target in read.values("href"))
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_allows_exactly_the_pages_own_style(html: str) -> None:
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    seal = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(given["content"] for tag, given in Reader(html).tags if given.get("http-equiv"))
    assert policy == f"default-src 'none'; style-src 'sha256-{seal}'; base-uri 'none'; form-action 'none'"


def test_links_lead_somewhere_and_ids_are_unique(read: Reader) -> None:
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in read.values("href")} <= set(ids)
    assert set(read.values("aria-labelledby")) <= set(ids)


def test_the_same_facts_give_the_same_bytes(facts: ReportFacts, html: str) -> None:
    assert page(facts) == html
    assert html.startswith("<!DOCTYPE html>\n")


def test_the_headline_says_what_changed(read: Reader) -> None:
    said = " ".join(read.text.split())
    assert "tuned scores 0.63 on held-out questions where the base scores 0.25: +0.39 [+0.30, +0.46] ▲ better" in said
    assert "Samples kept 2395 of 2825" in said
    assert "Leaves better 4 of 8 scored" in said
    assert "Leaves worse 1 0 tied, 3 undecided" in said
    assert "The base’s own tasks −0.03 0.94 → 0.91" in said


def test_every_verdict_is_told_by_a_word_and_a_shape(read: Reader) -> None:
    said = " ".join(read.text.split())
    for told in ("▲ better", "▼ worse", "= tied", "? underpowered"):
        assert told in said


def test_every_leaf_is_listed_also_those_without_samples_or_questions(facts: ReportFacts, read: Reader) -> None:
    said = " ".join(read.text.split())
    assert all(leaf.path in said for leaf in facts.leaves)
    assert "it has no simulation.yaml, and no teacher is named in the recipe" in said
    assert "who_is_taller 377 of 400 no held-out questions" in said
    assert "2 left out, because generation or training had seen them" in said


def test_advice_names_the_leaves_it_is_about(read: Reader) -> None:
    said = " ".join(read.text.split())
    assert "Commit these leaves, so that the run can be made again from Git. knowledge/natural_science/tides" in said
    assert "More than half of the samples were rejected" in said
    assert "rewrite_as_a_notice: 49 of 60" in said
    assert "sort_words_by_length: −0.40" in said
    assert "clock_times: 60 questions, about 200 would do" in said


def test_filters_tell_counts_and_reasons_also_for_answers_that_gave_no_sample(read: Reader) -> None:
    said = " ".join(read.text.split())
    assert "parse generation 1 1 0 no-tag 1" in said
    assert "grounded shape 2718 110 2608 not-in-chunk 110" in said
    assert "An answer that gave no sample" in said


def test_at_most_twenty_samples_rejections_and_questions_of_a_leaf_are_shown(facts: ReportFacts, read: Reader) -> None:
    said = " ".join(read.text.split())
    assert "Held-out questions 20 of 34" in said
    assert "Kept samples 20 of 301" in said
    assert "Rejected samples 20 of 112" in said
    cards = sum(given.get("class") == "card" for _, given in read.tags)
    assert cards <= 60 * len(facts.leaves)


def test_shown_samples_are_spread_over_all_of_them(facts: ReportFacts) -> None:
    one = facts.leaves[0].path
    kept = {verdict.subject for verdict in facts.verdicts}
    own = [sample for sample in facts.samples if sample.lineage.leaf == one and sample.id not in kept]
    html = page(
        facts.model_copy(update={"leaves": facts.leaves[:1], "samples": tuple(own), "verdicts": (), "learning": None})
    )
    places = [number for number, sample in enumerate(own) if f"<code>{sample.id[:12]}</code>" in html]
    assert len(places) == 20
    assert max(b - a for a, b in pairwise(places)) <= len(own) // 20 + 1


def test_mistakes_that_remain_are_shown_beside_what_was_won(facts: ReportFacts) -> None:
    html = page(facts.model_copy(update={"leaves": facts.leaves[:1]}))
    assert html.count("✗ wrong") > 20  # 20 by the base alone if only won questions were shown
    assert html.count("✓ right") >= 10


def test_evidence_is_marked_in_its_passage(html: str) -> None:
    assert "asked for gates of <mark>greenheart</mark>, a timber" in html


def test_text_of_leaves_and_teachers_stays_text(facts: ReportFacts) -> None:
    sample = facts.samples[0]
    lineage = sample.lineage.model_copy(update={"model": HOSTILE, "params": {HOSTILE: HOSTILE}})
    told = {"question": HOSTILE, "answer": HOSTILE, "context": HOSTILE, "evidence": (0, 40), "lineage": lineage}
    verdict = Verdict(
        subject=sample.id, leaf=HOSTILE, filter=HOSTILE, version=1, keep=False, reason=HOSTILE, partner=HOSTILE
    )
    item = facts.items[0].model_copy(
        update={"question": HOSTILE, "answer": HOSTILE, "accept": (HOSTILE,), "context": HOSTILE}
    )
    answers = tuple(one.model_copy(update={"text": HOSTILE}) for one in facts.answers if one.item == item.id)
    hostile = facts.model_copy(
        update={
            "run": HOSTILE,
            "model": HOSTILE,
            "leaves": (facts.leaves[0].model_copy(update={"outline": HOSTILE}),),
            "shortfalls": {facts.leaves[0].path: HOSTILE},
            "samples": (sample.model_copy(update=told),),
            "verdicts": (verdict,),
            "items": (item,),
            "answers": answers,
            "losses": (LeafLoss(phase=HOSTILE, step=1, leaf="x", tokens=1, loss=1.0),),
        }
    )
    html = page(hostile)
    read = Reader(html)
    assert {"script", "img"}.isdisjoint(tag for tag, _ in read.tags)
    assert "\x00" not in html
    assert "{{ 7 * 7 }}" in read.text
    assert read.text.count("<script>alert(1)</script>") >= 12


def test_a_very_long_text_is_cut_and_says_so(facts: ReportFacts) -> None:
    sample = facts.samples[0].model_copy(update={"answer": "long " * 10_000})
    html = page(facts.model_copy(update={"samples": (sample,), "verdicts": ()}))
    assert "… (49300 more characters)" in html
    assert len(html) < 200_000


def test_a_run_that_has_only_begun_has_a_page_too(facts: ReportFacts) -> None:
    said = " ".join(Reader(page(ReportFacts(run="new", model="m", leaves=facts.leaves))).text.split())
    assert "This run has no scores yet." in said
    assert "ilk evaluate" in said
    assert "No samples and no held-out questions." in said
    Reader(page(ReportFacts(run="new", model="m", leaves=())))


def test_several_checkpoints_stand_side_by_side(facts: ReportFacts) -> None:
    assert facts.summary is not None
    other = facts.summary.checkpoints[0].model_copy(update={"name": "step-40"})
    both = facts.summary.model_copy(update={"checkpoints": (*facts.summary.checkpoints, other)})
    said = " ".join(Reader(page(facts.model_copy(update={"summary": both}))).text.split())
    assert "Leaf by leaf: tuned" in said
    assert "Leaf by leaf: step-40" in said


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_gives_a_wellformed_page_that_can_be_written(text: str) -> None:
    path = "knowledge/engineering/canals/locks"
    sample = samples(path, 1)[0].model_copy(update={"question": text, "answer": text + "\ud800"})
    html = page(ReportFacts(run=text, model=text, leaves=(leaf(path),), samples=(sample,)))
    html.encode("utf-8")
    Reader(html)


def test_loss_curves_stay_inside_their_drawing() -> None:
    points = [
        LeafLoss(phase=phase, step=step, leaf=leaf, tokens=tokens, loss=loss / step)
        for phase, loss in (("knowledge", 7.0), ("skills", 2.0))
        for step in range(1, 1500)
        for leaf, tokens in (("a", 1), ("b", 3))
    ]
    first, second = curves(points)
    assert (first.phase, first.first, first.steps) == ("knowledge", pytest.approx(7.0), 1499)
    for curve in (first, second):
        places = [tuple(map(float, pair.split(","))) for pair in curve.line.split()]
        assert len(places) <= 201
        assert all(34 <= x <= 314 and 8 <= y <= 112 for x, y in places)
        assert places[-1][0] == 314
    assert [label for _, label in first.ticks] == ["0", "5", "10"]


def test_a_loss_is_the_mean_over_tokens_not_over_leaves() -> None:
    points = [
        LeafLoss(phase="knowledge", step=1, leaf="a", tokens=1, loss=4.0),
        LeafLoss(phase="knowledge", step=1, leaf="b", tokens=3, loss=2.0),
    ]
    assert curves(points)[0].last == 2.5


def held(phase: str, step: int, loss: float) -> HeldOutLoss:
    return held_out_loss(phase=phase, step=step, group="a", teacher="", tokens=(4,), nats=(4 * loss,))


def test_a_leafs_curve_lays_its_phases_end_to_end() -> None:
    points = [
        LeafLoss(phase=phase, step=step, leaf=leaf, tokens=1, loss=loss)
        for phase, leaf, loss in (("knowledge", "a", 4.0), ("skills", "b", 3.0), ("skills", "a", 2.0))
        for step in (1, 50, 100)
    ]
    measured = [held(BASELINE, 0, 4.5), held("knowledge", 100, 1.0), held("skills", 100, 0.5), held("gone", 9, 9.0)]
    found = leaf_curves(points, measured)
    assert list(found) == ["a", "b"]
    both = found["a"]
    assert (both.steps, len(both.lines), both.held_out) == (200, 2, (4.5, 0.5))
    assert [phase for _, phase in both.bounds] == ["knowledge", "skills"]
    places = [[float(pair.split(",")[0]) for pair in line.split()] for line in both.lines]
    assert places[0][-1] == pytest.approx(174, abs=0.1)
    assert places[1] == pytest.approx([175.4, 244, 314], abs=0.1)
    assert [round(x) for x, _ in both.dots] == [34, 174, 314]
    assert all(8 <= y <= 112 for _, y in both.dots)
    assert min(places[0]) > 34
    alone = found["b"]
    assert (len(alone.lines), alone.dots, alone.held_out) == (1, (), None)


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_loss_that_ran_away_still_has_a_curve(loss: float) -> None:
    points = [LeafLoss(phase="skills", step=step, leaf="a", tokens=1, loss=loss) for step in (1, 2)]
    for text in (curves(points)[0].line, leaf_curves(points, [])["a"].lines[0]):
        assert "nan" not in text
        assert "inf" not in text


STYLE = (Path(page_module.__file__).parent / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_better_and_worse_can_be_told_apart_without_red_and_green(palette: dict[str, str]) -> None:
    """Blue against orange: far apart in how blue they are, which hardly anyone fails to see."""
    for size in (1, 2, 3):
        up, down = (int(palette[f"{way}{size}"][5:7], 16) for way in ("up", "down"))
        assert up - down >= 20 * size


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [(front, back, 4.5) for front in ("ink", "soft", "tuned", "good", "bad") for back in ("paper", "shade")]
    + [("ink", shade, 4.5) for shade in ("up1", "up2", "up3", "down1", "down2", "down3", "same", "mark")]
    + [(line, "paper", 3.0) for line in ("base", "tuned", "bad")],
)
def test_colours_have_the_contrast_of_wcag_aa(palette: dict[str, str], front: str, back: str, least: float) -> None:
    high, low = sorted((luminance(palette[front]), luminance(palette[back])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least
