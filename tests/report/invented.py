"""The facts of a run that never was: nine leaves in every state that a leaf can be in."""

from __future__ import annotations

import math
import random
from collections import Counter

from instructlab_like.evaluation.score import score
from instructlab_like.evaluation.summary import summarise
from instructlab_like.records import (
    Answer,
    DocumentSource,
    Item,
    Knowledge,
    Leaf,
    LeafCounts,
    LeafOrigin,
    Lineage,
    Pair,
    PhaseCount,
    RuleCount,
    Sample,
    Seed,
    Skill,
    Verdict,
    Waterfall,
)
from instructlab_like.report.facts import ReportFacts, TeacherCost
from instructlab_like.report.learning import learning
from instructlab_like.tuning.choice import choose
from instructlab_like.tuning.measures import BASELINE, LeafLoss, SampleLoss, held_out_loss

PASSAGE = (
    "The lock at Harrow Weir was rebuilt in 1931 after the spring flood carried off both gates. Its keeper, Ines "
    "Calder, asked for gates of greenheart, a timber that shipworm leaves alone, and the county paid for them in "
    "three yearly parts. Since then the lock has been emptied for repair only twice: in 1958, when a barge struck "
    "the lower sill, and in 1994, when the paddles were replaced."
)
FACTS = (
    ("In what year was the lock at Harrow Weir rebuilt?", "1931", "1931"),
    ("Who was the keeper of the lock at Harrow Weir?", "Ines Calder", "Ines Calder"),
    ("Of what timber are the gates?", "greenheart", "greenheart"),
    ("In how many parts did the county pay for the gates?", "three yearly parts", "three yearly parts"),
    ("What did a barge strike in 1958?", "the lower sill", "lower sill"),
)
LEAVES = (  # path, made, kept, share right before and after, held-out questions
    ("knowledge/engineering/canals/locks", 412, 301, 0.03, 0.78, 34),
    ("knowledge/engineering/canals/aqueducts", 388, 290, 0.05, 0.62, 32),
    ("knowledge/natural_science/tides", 365, 240, 0.10, 0.71, 30),
    ("compositional_skills/arithmetic/change_from_a_note", 400, 400, 0.02, 0.97, 60),
    ("compositional_skills/arithmetic/clock_times", 400, 396, 0.30, 0.33, 60),
    ("compositional_skills/text/rewrite_as_a_notice", 60, 11, 0.40, 0.55, 8),
    ("compositional_skills/text/rhyme", 0, 0, 0.20, 0.20, 25),
    ("compositional_skills/text/sort_words_by_length", 400, 380, 0.85, 0.45, 60),
    ("foundational_skills/reasoning/who_is_taller", 400, 377, 0.0, 0.0, 0),
)
TAUGHT = [path for path, *_ in LEAVES[:2]]


def blob(text: str) -> str:
    return f"{abs(hash_of(text)):040x}"[:40]


def hash_of(text: str) -> int:
    return int.from_bytes(random.Random(text).randbytes(18), "big")


def leaf(path: str) -> Leaf:
    seeds = (Seed(number=1, line=9, pairs=(Pair(question="?", answer="!"),)),)
    if path.startswith("knowledge"):
        source = DocumentSource(repo=".", commit="HEAD", patterns=("*.md",))
        outline = f"What a visitor may ask about {path.rpartition('/')[2]}, from two pages written for this tree."
        return Knowledge(
            path=path,
            blob=blob(path),
            version=3,
            created_by="inesc",
            seeds=seeds,
            domain="x",
            outline=outline,
            source=source,
        )
    task = f"Do as the question says: {path.rpartition('/')[2].replace('_', ' ')}."
    return Skill(path=path, blob=blob(path), version=3, created_by="inesc", seeds=seeds, task=task)


def samples(path: str, made: int) -> list[Sample]:
    found = []
    for number in range(made):
        lineage = Lineage(
            leaf=path,
            leaf_blob=blob(path),
            method="simulation",
            model="simulation/1",
            params={"price": number, "note": 50},
        )
        question, answer, evidence, context, kind = (
            f"You pay {number} with a note of 50. What is your change?",
            str(50 - number),
            None,
            None,
            "freeform",
        )
        if path.startswith("knowledge"):
            question, answer, words = FACTS[number % len(FACTS)]
            start = PASSAGE.index(words)
            evidence, context, kind = (start, start + len(words)), PASSAGE, "knowledge"
            lineage = Lineage(
                leaf=path,
                leaf_blob=blob(path),
                method="rules",
                model="rules/1",
                chunk=f"{blob('doc')[:12]}:0-{len(PASSAGE)}",
            )
        found.append(
            Sample(
                id=blob(f"{path}{number}")[:32],
                kind=kind,
                question=question,
                answer=answer,
                context=context,
                evidence=evidence,
                lineage=lineage,
            )
        )
    return found


def verdict(sample: Sample, number: int) -> Verdict:
    name, rule, reason, measured, limit, partner = (
        ("grounded", "not-in-chunk", "the answer is not in the chunk", 0.31, 0.6, None),
        ("near_duplicate", "near-copy", "nearly the same as a sample kept before", 0.94, 0.8, blob("partner")[:32]),
        ("length", "too-long", "the answer has more than 64 words", 80.0, 64.0, None),
        ("near_duplicate", "near-copy", "nearly the same as a sample kept before", 0.88, 0.8, blob("other")[:32]),
    )[number % 4]
    return Verdict(
        subject=sample.id,
        leaf=sample.lineage.leaf,
        filter=name,
        version=1,
        keep=False,
        rule=rule,
        reason=reason,
        score=measured,
        threshold=limit,
        partner=partner,
    )


def questions(
    rng: random.Random, path: str, count: int, before: float, after: float, source: str = "heldout"
) -> tuple[list[Item], list[Answer]]:
    items, answers = [], []
    for number in range(count):
        question, answer, _ = FACTS[number % len(FACTS)]
        item = Item(
            id=blob(f"item{path}{number}")[:32],
            leaf=path,
            source=source,
            question=f"{question} ({number + 1})",
            answer=answer,
            accept=("the right one",),
        )
        items.append(item)
        for model, share in (("base", before), ("tuned", after)):
            text = (
                answer
                if rng.random() < share
                else rng.choice(("the the the", "1758", "", "oak, as the county had it, and oak again"))
            )
            answers.append(Answer(item=item.id, model=model, text=text, score=score(item, text)))
    return items, answers


def invented() -> ReportFacts:
    rng = random.Random(7)
    made, verdicts, items, answers = [], [], [], []
    for path, count, kept, before, after, asked in LEAVES:
        own = samples(path, count)
        gone = rng.sample(own, count - kept)
        made += own
        verdicts += [verdict(sample, number) for number, sample in enumerate(gone)]
        some, said = questions(rng, path, asked, before, after)
        items += some
        answers += said
    for kind, before, after in (("arithmetic", 0.92, 0.90), ("copying", 0.99, 0.98), ("reading", 0.86, 0.74)):
        some, said = questions(rng, f"base/{kind}", 50, before, after, "base")
        items += some
        answers += said
    verdicts.append(
        Verdict(
            subject=blob("call") * 1,
            leaf=LEAVES[0][0],
            filter="parse",
            version=1,
            keep=False,
            rule="no-tag",
            reason="the answer has no <answer> tag",
        )
    )
    counts = tuple(LeafCounts(leaf=path, made=count, kept=kept) for path, count, kept, *_ in LEAVES)
    phases, left = [PhaseCount(filter="parse", made=1, kept=0, rejected=1)], len(made)
    found = Counter((one.filter, one.rule, one.leaf) for one in verdicts)
    rules = tuple(RuleCount(filter=f, rule=r, leaf=leaf, rejected=n) for (f, r, leaf), n in sorted(found.items()))
    for name in ("shape", "length", "grounded", "held_out", "exact_duplicate", "near_duplicate"):
        rejected = sum(one.filter == name for one in verdicts)
        phase = "novelty" if "duplicate" in name else "shape"
        phases.append(PhaseCount(filter=name, phase=phase, made=left, kept=left - rejected, rejected=rejected))
        left -= rejected
    losses = [
        LeafLoss(
            phase=phase,
            step=step,
            leaf=path,
            tokens=100 + 20 * number,
            loss=start * math.exp(-step / 40) + floor + 0.1 * rng.random(),
        )
        for phase, start, floor in (("knowledge", 4.1, 0.35), ("skills", 1.9, 0.2))
        for step in range(1, 180)
        for number, (path, *_) in enumerate(LEAVES[:2])
    ]
    held = [
        held_out_loss(phase=phase, step=step, group=path, teacher="", tokens=(9, 12, 7), nats=(9 * x, 12.5 * x, 7 * x))
        for phase, step, loss in (
            *((BASELINE, 0, 4.2), ("knowledge", 90, 0.9), ("knowledge", 179, 0.5)),
            *(("skills", 90, 0.55), ("skills", 179, 0.61)),
        )
        for path, x in ((TAUGHT[0], loss), (TAUGHT[1], 0.8 * loss), ("base", 0.2 + loss / 100))
    ]
    last_seen = [
        SampleLoss(
            phase="knowledge",
            step=179,
            leaf=TAUGHT[0],
            sample=one.id,
            tokens=5,
            loss=4.7 if number == 3 else 0.3 + 0.01 * (number % 9),
        )
        for number, one in enumerate(made[:200])
    ]
    origins = tuple(
        LeafOrigin(
            path=path, blob=blob(path), commit=blob("c" + path), author="Ines Calder", dirty=path.endswith("tides")
        )
        for path, *_ in LEAVES
    )
    return ReportFacts(
        run="demo",
        model="training/base/model",
        commit=blob("commit"),
        versions={"python": "3.11.7", "instructlab-like": "0.1.0", "torch": "2.13.0"},
        leaves=tuple(leaf(path) for path, *_ in LEAVES),
        origins=origins,
        counts=counts,
        shortfalls={
            "compositional_skills/text/rhyme": "it has no simulation.yaml, and no teacher is named in the recipe"
        },
        waterfall=Waterfall(phases=tuple(phases), leaves=counts, rules=rules),
        samples=tuple(made),
        verdicts=tuple(verdicts),
        summary=summarise(items, answers, enough=20, leaves=counts, base="training/base/model", seen=items[:2]),
        items=tuple(items),
        answers=tuple(answers),
        losses=tuple(losses),
        held_out=tuple(held),
        recipes={"generate": blob("g"), "train": blob("t"), "evaluate": blob("e")},
        costs=(
            TeacherCost(teacher="http:big", calls=1_204, tokens_in=912_345, tokens_out=301_222, money=1.2345),
            TeacherCost(teacher="http:critic", calls=87, tokens_in=45_000, tokens_out=2_310, money=None),
        ),
        learning=learning(
            losses=losses,
            held_out=held,
            last_seen=last_seen,
            choices=[
                choose(
                    "knowledge", [90, 179], [one for one in held if one.phase != "skills"], leaves=TAUGHT, margin=0.1
                ),
                choose("skills", [90, 179], held, leaves=TAUGHT, start=("knowledge", 179), margin=0.1),
            ],
            origins=origins,
            samples=made,
            taxonomy="taxonomy",
        ),
    )
