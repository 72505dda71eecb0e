"""What a judge's replies come to: grades as scores, comparisons in both orders, how steady and how fair the judge is.

Pure. A reply that cannot be read gives no grade, whatever it says; all intervals are 95 %.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from math import atanh, sqrt, tanh
from statistics import fmean
from textwrap import TextWrapper
from typing import Literal, NamedTuple

from instructlab_like.evaluation.labels import Agreement, LabelAgreement
from instructlab_like.evaluation.shares import Correlation, Share
from instructlab_like.filters.parts.replies import Scale
from instructlab_like.filters.parts.separation import Scored, Separation, separation
from instructlab_like.generation.parse import read
from instructlab_like.records import Item, Lineage, Record, Sample, digest

GRADES = Scale(1, 10)
SIDES = Scale(0, 2)  # 1 and 2: the answer shown first or second is better; 0: neither
NO_JUDGE = "not judged: no judge is named"
NO_GRADE = "judge: no grade in its reply"
NO_ANSWER = "judge: no answer"
UNMEASURED = "how far this judge agrees with anybody was not measured"
JUDGE = "judge"  # the metric, and Item.part, of what a judge grades
FEWEST = 10  # pairs below which nothing is said of a correlation
MARK = 8  # characters of the mark that fences material
# What chat templates mark turns with: `<|im_start|>`, `<｜User｜>`, `<start_of_turn>`, `[INST]`, `<<SYS>>`, `</s>`.
CONTROL = re.compile(
    r"<(?=[|｜]|/?s>|/?(?:think|thinking|reasoning)>|(?:start|end)_of_|/?SYS>|(?:bos|eos|pad)>)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])"
)
WRAPPED = TextWrapper(width=110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)

Side = Literal[0, 1, 2]
Outcome = Literal["win", "tie", "loss", "inconsistent"]


class Grade(Record):
    """What the judge made of one answer; a line of `6-evaluation/grades.jsonl`."""

    item: str
    model: str  # as in Answer
    call: str | None  # its key in the ledger; None: an empty answer, which is graded by rule
    grade: float | None  # 1..10
    reason: str = ""  # in the judge's words
    failure: str | None = None  # why there is no grade: one of the few that are counted
    said: str = ""  # where there is none, what the reply was

    @property
    def score(self) -> float | None:
        return None if self.grade is None else score_of(self.grade)


class Comparison(Record):
    """A checkpoint's answer beside the base's, in both orders; a line of `6-evaluation/comparisons.jsonl`."""

    item: str
    model: str  # the checkpoint
    calls: tuple[str, ...]  # the base's answer first, then second; none: both answers are the same
    base_first: Side | None  # what the judge said to each order; None: nothing that can be read
    base_second: Side | None
    lengths: tuple[int, int]  # characters of the base's answer and of the checkpoint's

    @property
    def outcome(self) -> Outcome | None:
        """Seen from the checkpoint; None where a reply says nothing."""
        return outcome(self.base_first, self.base_second) if self.calls else "tie"


class Change(NamedTuple):
    """A checkpoint's answer to an item instead of the base's, and both grades."""

    item: str
    base: str
    base_grade: float | None
    text: str
    grade: float | None


class Planted(Record):
    """How the judge tells references from the same with planted faults, by the very prompts that it grades with."""

    pairs: int
    unjudged: int  # pairs without two grades
    separation: Separation | None  # of the grades; None: too few of the pairs were judged
    faults: dict[str, Separation | None]  # of each kind of fault alone
    preferred: Share | None  # pairs of which both orders prefer the reference; None: no comparisons


class PairedLeaf(Record):
    """A checkpoint's answers beside the base's on the judged questions of a leaf."""

    leaf: str
    checkpoint: str
    wins: int
    ties: int
    losses: int
    inconsistent: int  # both orders disagree
    unjudged: int
    rate: Share | None  # of wins, where a tie and what is inconsistent count a half


class JudgeCard(Record):
    """Who judged, and how far these judgements can be trusted; it stands beside every number that they gave."""

    judge: str  # its identity
    templates: dict[str, str]  # Git blob id by name
    leaves: tuple[str, ...]  # with judged questions
    same_family: bool  # it was let judge in spite of its family
    kinship: tuple[str, ...]  # what is to be known of that, in sentences
    graded: int  # answers that have a grade
    by_rule: int  # of them empty ones, which have the lowest without being shown to it
    ungraded: dict[str, int]  # by reason
    unread: tuple[str, ...]  # beginnings of a few replies that hold no grade
    planted: Planted | None  # None: nothing was planted
    labels: LabelAgreement | None  # None: no labels were named
    swap: Share | None  # comparisons of which both orders agree
    first: Share | None  # replies that prefer what is shown first, of those that prefer one
    longer: Share | None  # wins, in both orders, of the longer answer
    grade_by_length: Correlation | None  # of the change of grade and of length, item by item
    pairwise: tuple[PairedLeaf, ...]


# --- what is shown and what is read ------------------------------------------------------------------------------


def fence(texts: Sequence[str]) -> str:
    """A mark for the tags around these texts that none of them holds; the same texts have the same mark."""
    for number in count():
        mark = digest([number, *texts])[:MARK]
        if not any(mark in text for text in texts):
            return mark
    raise AssertionError


def disarmed(text: str) -> str:
    """The text with a blank within what a server might take for the beginning of another turn."""
    return CONTROL.sub(lambda found: f"{found[0]} ", text)


def read_number(text: str, yields: Sequence[str], schema: str | None, field: str, scale: Scale) -> tuple[float, str]:
    """The number in a field of a reply, and the reason beside it; ValueError where it holds none on the scale."""
    groups = read(text, yields, schema).groups
    if len(groups) != 1:
        raise ValueError(f"{len(groups)} whole groups")
    fields = groups[0].texts
    found = scale.read(fields[field]) if field in fields else "was left out"
    if isinstance(found, str):
        raise ValueError(found)
    return found, next((told for name, told in fields.items() if name != field), "")


def read_side(text: str, yields: Sequence[str], schema: str | None) -> Side | None:
    """Which answer a reply prefers; None where it says nothing, or a number between two of them."""
    try:
        told, _ = read_number(text, yields, schema, "better", SIDES)
    except ValueError:
        return None
    return 0 if told == 0 else 1 if told == 1 else 2 if told == 2 else None


def score_of(grade: float) -> float:
    """A grade of 1 to 10 as a score of 0 to 1."""
    return (grade - GRADES.low) / (GRADES.high - GRADES.low)


def outcome(base_first: Side | None, base_second: Side | None) -> Outcome | None:
    """What both orders say of the checkpoint's answer: one of three things if they agree, else `inconsistent`."""
    if base_first is None or base_second is None:
        return None
    found: dict[tuple[Side, Side], Outcome] = {(2, 1): "win", (0, 0): "tie", (1, 2): "loss"}
    return found.get((base_first, base_second), "inconsistent")


# --- how steady and how fair -------------------------------------------------------------------------------------


def swap_consistency(compared: Iterable[Comparison]) -> Share | None:
    """Comparisons of which both orders agree, of those that the judge answered twice."""
    asked = [one for one in compared if one.calls and one.outcome]
    return Share.of([float(one.outcome != "inconsistent") for one in asked], [one.item for one in asked])


def first_preferred(compared: Iterable[Comparison]) -> Share | None:
    """Replies that prefer what was shown first, of those that prefer one; a half is as it should be."""
    told = [(one.item, side) for one in compared for side in (one.base_first, one.base_second) if side]
    return Share.of([float(side == 1) for _, side in told], [item for item, _ in told])


def longer_preferred(compared: Iterable[Comparison]) -> Share | None:
    """Wins and losses of which the longer answer is the winner."""
    decided = [one for one in compared if one.outcome in ("win", "loss") and one.lengths[0] != one.lengths[1]]
    won = [float((one.lengths[1] > one.lengths[0]) == (one.outcome == "win")) for one in decided]
    return Share.of(won, [one.item for one in decided])


def by_length(changes: Iterable[Change]) -> Correlation | None:
    """Spearman's correlation of the changes of length and of grade; None for too few.

    The interval is Bonett and Wright's (2000) at the number of different items, with no correlation nearer to 1 than
    one item more or less would tell.
    """
    pairs = [
        (one.item, len(one.text) - len(one.base), one.grade - one.base_grade)
        for one in changes
        if one.grade is not None and one.base_grade is not None and one.text != one.base
    ]
    items = len({item for item, _, _ in pairs})
    one, other = ranks([length for _, length, _ in pairs]), ranks([grade for _, _, grade in pairs])
    if items < FEWEST or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    left, right = fmean(one), fmean(other)
    shared = sum((a - left) * (b - right) for a, b in zip(one, other, strict=True))
    rho = shared / sqrt(sum((a - left) ** 2 for a in one) * sum((b - right) ** 2 for b in other))
    near = max(-1 + 1 / items, min(1 - 1 / items, rho))
    half = 1.959964 * sqrt((1 + near**2 / 2) / (items - 3))
    low, high = tanh(atanh(near) - half), tanh(atanh(near) + half)
    return Correlation(value=rho, low=min(low, rho), high=max(high, rho), n=len(pairs))


def ranks(values: Sequence[float]) -> list[float]:
    """Each value's place in the order of all, equal ones sharing theirs."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            found[place] = (start + end - 1) / 2
        start = end
    return found


def paired_leaves(compared: Sequence[Comparison], leaves: dict[str, str]) -> tuple[PairedLeaf, ...]:
    """Counts and rate by checkpoint and leaf, in the order in which they were compared; `leaves` by item."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in compared:
        groups.setdefault((one.model, leaves[one.item]), []).append(one)
    return tuple(paired_leaf(leaf, model, group) for (model, leaf), group in groups.items())


def paired_leaf(leaf: str, checkpoint: str, compared: Sequence[Comparison]) -> PairedLeaf:
    told = [(one.item, one.outcome) for one in compared if one.outcome]
    seen = [found for _, found in told]
    worth = {"win": 1.0, "tie": 0.5, "inconsistent": 0.5, "loss": 0.0}
    return PairedLeaf(
        leaf=leaf,
        checkpoint=checkpoint,
        wins=seen.count("win"),
        ties=seen.count("tie"),
        losses=seen.count("loss"),
        inconsistent=seen.count("inconsistent"),
        unjudged=len(compared) - len(told),
        rate=Share.of([worth[found] for found in seen], [item for item, _ in told]),
    )


# --- planted faults ----------------------------------------------------------------------------------------------


def reference_samples(items: Iterable[Item], most: int, seed: int) -> list[Sample]:
    """The references of so many items, drawn, as samples in which faults can be planted."""
    drawn = sorted((item for item in items if item.answer.strip()), key=lambda item: digest([seed, item.id]))[:most]
    return [
        Sample(
            id=item.id,
            kind="grounded" if item.context else "freeform",
            question=item.question,
            answer=item.answer,
            context=item.context,
            lineage=Lineage(leaf=item.leaf, leaf_blob="", method="given", model=""),
        )
        for item in drawn
    ]


def told_apart(
    grades: Sequence[tuple[str, float | None, float | None]], compared: Sequence[Comparison]
) -> Planted | None:
    """How well: the fault, the grades of the reference and of the faulty answer, of each pair; None without any pair.

    `compared` holds the same pairs as comparisons, the reference as the base's answer.
    """
    if not grades:
        return None
    both = [(fault, Scored(good, bad)) for fault, good, bad in grades if good is not None and bad is not None]
    names = sorted({fault for fault, _ in both})
    each = {name: separation([one for fault, one in both if fault == name]) for name in names}
    told = [(one.item, one.outcome) for one in compared if one.outcome]
    return Planted(
        pairs=len(grades),
        unjudged=len(grades) - len(both),
        separation=separation([one for _, one in both]),
        faults=each,
        preferred=Share.of([float(found == "loss") for _, found in told], [item for item, _ in told]),
    )


# --- in words ----------------------------------------------------------------------------------------------------


def agreement(card: JudgeCard) -> str:
    """How far its grades agree with what is known, to stand beside them."""
    told = []
    if card.planted and (area := card.planted.separation):
        told.append(f"AUC {area.area:.2f} [{area.low:.2f}–{area.high:.2f}] on {area.pairs} planted pairs")
    if card.labels and card.labels.grades:
        told.append(with_people(card.labels.grades, "grades"))
    return "; ".join(told) or UNMEASURED


def agreement_compared(card: JudgeCard) -> str:
    """How far its comparisons agree with what is known, and with themselves."""
    told = []
    if card.planted and card.planted.preferred:
        told.append(f"prefers the reference in {card.planted.preferred.told()} planted pairs")
    if card.labels and card.labels.preferences:
        told.append(with_people(card.labels.preferences, "preferences"))
    consistent = [f"both orders agree in {card.swap.told()}"] if card.swap else []
    return "; ".join([*(told or [UNMEASURED]), *consistent])


def with_people(found: Agreement, what: str) -> str:
    if found.kappa is None:
        return f"as people in {found.same.told()} {what}"
    kappa = found.kappa
    return f"kappa {kappa.value:.2f} [{kappa.low:.2f}–{kappa.high:.2f}] with {found.n} {what} by people"


def doubts(card: JudgeCard) -> tuple[str, ...]:
    """Why its numbers should not be believed, as far as it was measured."""
    found = []
    area = card.planted and card.planted.separation
    if area and area.low <= 0.5:
        found.append("it does not surely tell a right answer from one with a planted fault: its grades show nothing")
    if card.swap and card.swap.high < 0.5:
        found.append("it contradicts itself in most comparisons when the order is changed")
    return tuple(found)


def beside(told: str, what: str = "judged") -> Iterator[str]:
    """An agreement as text to stand under a row."""
    yield from WRAPPED.wrap(f"    {what}: {told}")


def lines(card: JudgeCard) -> Iterator[str]:
    """The card as text of at most 110 columns where no name is longer."""
    yield from WRAPPED.wrap(f"judged by {card.judge}: {agreement(card)}")
    doubtful = (f"doubtful: {told}" for told in doubts(card))
    for told in (*doubtful, *sentences(card), *(f"a reply without a grade: {said}" for said in card.unread)):
        yield from WRAPPED.wrap(f"  {told}")


def sentences(card: JudgeCard) -> Iterator[str]:
    """What else is to be known of the judge."""
    if card.same_family:
        yield "same_family: true – it was let judge whatever its family is"
    yield from card.kinship
    if card.planted:
        yield from planted_sentences(card.planted)
    if card.labels:
        yield from card.labels.sentences()
    for told, found in (
        ("both orders agree in {} comparisons", card.swap),
        ("what is shown first is preferred in {} replies that prefer one", card.first),
        ("the longer answer wins in {} comparisons that have a winner", card.longer),
    ):
        if found:
            yield told.format(found.told())
    if card.grade_by_length:
        yield f"grades rise with length by {card.grade_by_length.told()} (Spearman, changes from the base)"
    yield f"{card.graded} answers graded" + (f", {card.by_rule} of them empty and so by rule" if card.by_rule else "")
    yield from (f"{number} answers without a grade: {why}" for why, number in card.ungraded.items())


def planted_sentences(planted: Planted) -> Iterator[str]:
    each = ", ".join(f"{name} {one.area:.2f} ({one.pairs})" for name, one in planted.faults.items() if one)
    if each:
        yield f"by planted fault: {each}"
    if planted.separation is None:
        yield f"of {planted.pairs} planted pairs too few were judged to say how well it judges"
    elif planted.unjudged:
        yield f"{planted.unjudged} planted pairs were not judged"
    if planted.preferred:
        yield f"it prefers the reference, in both orders, in {planted.preferred.told()} planted pairs"


def paired_line(one: PairedLeaf) -> str:
    """A leaf's comparisons in a line, without its name."""
    told = f"{one.wins} won, {one.ties} tied, {one.losses} lost, {one.inconsistent} inconsistent"
    told += f", {one.unjudged} not judged" if one.unjudged else ""
    return f"{told}: {one.rate.share:.2f} [{one.rate.low:.2f}–{one.rate.high:.2f}]" if one.rate else told
