"""A small finished run as formats see it, and the golden files of its export: `python finished_run.py` writes them."""

from __future__ import annotations

from pathlib import Path

from instructlab_like.dataset import formats
from instructlab_like.dataset.card import KNOWLEDGE, SKILLS, TEST
from instructlab_like.dataset.rows import row
from instructlab_like.records import (
    DocumentSource,
    Knowledge,
    Lineage,
    Message,
    Pair,
    Row,
    Sample,
    Seed,
    Skill,
    digest,
)

GOLDEN = Path(__file__).parent / "golden" / "instructlab"
HARBOUR, LABEL, NOTICE = "knowledge/towns/harbour", "compositional_skills/label", "compositional_skills/notice"
SYSTEM = "You work at the harbour."


def sample(leaf, question, answer, *, kind="knowledge", context=None, seed=None):
    return Sample(
        id=digest([leaf, question, answer])[:32],
        kind=kind,
        question=question,
        answer=answer,
        context=context,
        lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="m", seed=seed),
    )


PASSAGES = [
    "The Gull was built in 1901.\nShe is red.",
    "The Tern was built in 1922.",
    "The Plover was built in 1888.",
    "The Knot was built in 1954.",
    "The Ruff was built in 1967.",
    "Zähl \u2028 5 Boote.",
]
SHIPS = ["Gull", "Tern", "Plover", "Knot", "Ruff"]
YEARS = ["1901", "1922", "1888", "1954", "1967"]
TRAIN = [
    sample(HARBOUR, f"When was the {ship} built?", year, context=passage)
    for ship, year, passage in zip(SHIPS, YEARS, PASSAGES, strict=False)
] + [sample(HARBOUR, "Wie viele Boote?", "5\u2028Boote", context=PASSAGES[5])]
TESTS = [
    sample(HARBOUR, "Name the year of the Tern.", "1922", context=PASSAGES[1]),
    sample(HARBOUR, "What colour is the Gull?", "red", context=PASSAGES[0]),
]
SKILL_SAMPLES = [
    sample(LABEL, 'Label for "A. Thorn"?', "Thorn", kind="freeform", seed=2),
    sample(LABEL, "Label for Ö. Salter?", "Salter", kind="freeform"),
]
GROUNDED = [
    sample(NOTICE, "When is it shut?", "On Monday.", kind="grounded", context="The quay is shut on Monday.", seed=1)
]
REPLAY = [
    Row(
        messages=tuple(Message(role=role, content=text) for role, text in turns),
        phase=phase,
        leaf="replay",
        sample=digest(turns)[:32],
    )
    for phase, turns in (
        ("knowledge", [("user", "Count on from 3."), ("assistant", "4"), ("user", "And on?"), ("assistant", "5")]),
        ("skills", [("user", "Copy: sea"), ("assistant", "sea")]),
    )
]


def skill_leaf(path, task, seeds):
    return Skill(path=path, blob="0" * 40, version=3, created_by="ann", task=task, seeds=seeds)


LEAVES = [
    skill_leaf(
        LABEL,
        "Write a label.",
        tuple(
            Seed(number=n, line=n, pairs=(Pair(question=f"Label for {name}?", answer=name),))
            for n, name in enumerate(("Miller", "Finch"), start=1)
        ),
    ),
    skill_leaf(
        NOTICE,
        "Answer out of a notice.",
        (Seed(number=1, line=1, context="Shut at noon.", pairs=(Pair(question="When?", answer="At noon."),)),),
    ),
    Knowledge(
        path=HARBOUR,
        blob="0" * 40,
        version=3,
        created_by="ann",
        domain="Ships",
        outline="Ships of the harbour.",
        source=DocumentSource(repo=".", commit="HEAD", patterns=("*.md",)),
        seeds=(
            Seed(
                number=1,
                line=1,
                context="The Reeve was built in 1933.",
                pairs=(
                    Pair(question="When was the Reeve built?", answer="1933"),
                    Pair(question="What was built in 1933?", answer="the Reeve"),
                ),
            ),
        ),
    ),
]


class Given:
    """A run whose parts are plain values."""

    def __init__(self, train, test, *, replay=(), leaves=LEAVES, seed=0, card="---\n---\n"):
        self.seed, self.card = seed, card
        self._samples = [*train, *test]
        of = {
            KNOWLEDGE: [row(one) for one in train if one.kind == "knowledge"],
            SKILLS: [row(one) for one in train if one.kind != "knowledge"],
            TEST: [row(one) for one in test],
        }
        for one in replay:
            of[KNOWLEDGE if one.phase == "knowledge" else SKILLS].append(one)
        self._rows, self._leaves = of, leaves

    def rows(self, name):
        return iter(self._rows[name])

    def samples(self):
        return iter(self._samples)

    def leaves(self):
        return self._leaves


def whole():
    return Given([*SKILL_SAMPLES, *GROUNDED, *TRAIN], TESTS, replay=REPLAY, seed=5)


def exported(run, name="instructlab", folder=Path("out"), **options):
    """The files of an export with their bytes, and its notes."""
    made = formats.build(name, options).export(run, folder)
    return {file.name: b"".join(file.chunks) for file in made.files}, made.notes


if __name__ == "__main__":
    for name, data in exported(whole(), system=SYSTEM)[0].items():
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_bytes(data)
