"""Leaves and previews made by hand, without a file."""

from __future__ import annotations

from instructlab_like.generation.figures import Figure
from instructlab_like.generation.quote import Cost
from instructlab_like.preview.facts import Change, LeafPreview, Preview, Settings
from instructlab_like.records import Chunk, DocumentSource, HeldOut, Knowledge, Pair, Seed, Simulation, Skill
from instructlab_like.taxonomy.past import Base

FIGURE = Figure(value=3, bound="exact", basis="counted")
COST = Cost(calls=FIGURE, answered=0, to_pay=FIGURE, tokens_in=FIGURE, tokens_out=FIGURE, money=FIGURE, seconds=FIGURE)


def skill(
    path: str,
    *pairs: tuple[str, str],
    context: str | None = None,
    held_out: tuple[str, ...] = (),
    simulation: Simulation | None = None,
) -> Skill:
    return Skill(
        path=path,
        blob="0" * 40,
        version=3,
        created_by="ann",
        task="Answer.",
        seeds=tuple(
            Seed(number=number, line=number, context=context, pairs=(Pair(question=question, answer=answer),))
            for number, (question, answer) in enumerate(pairs, start=1)
        ),
        held_out=tuple(HeldOut(line=line, question=asked, answer="x") for line, asked in enumerate(held_out, start=1)),
        simulation=simulation,
    )


def knowledge(path: str, *contexts: str) -> Knowledge:
    return Knowledge(
        path=path,
        blob="0" * 40,
        version=3,
        created_by="ann",
        domain="oceans",
        outline="What tides are.",
        source=DocumentSource(repo=".", commit="HEAD", patterns=("*.md",)),
        seeds=tuple(
            Seed(
                number=number,
                line=number,
                context=context,
                pairs=(Pair(question=f"What is said in {path}, {number}?", answer="It."),),
            )
            for number, context in enumerate(contexts, start=1)
        ),
    )


def chunk(text: str, document: str = "a.md") -> Chunk:
    return Chunk(repo=".", commit="HEAD", document=document, blob="1" * 40, start=0, end=len(text.encode()), text=text)


def leaf_preview(path: str = "knowledge/tides", **told: object) -> LeafPreview:
    values: dict[str, object] = {"path": path, "change": Change(kind="added"), "previewed": True, "teacher": COST}
    return LeafPreview.model_validate(values | {"made": FIGURE, "kept": FIGURE} | told)


def preview_of(*leaves: LeafPreview, **told: object) -> Preview:
    settings = Settings(
        flows=("rules",),
        teacher=None,
        chunk_words=200,
        pairs_per_prompt=3,
        prompts_per_leaf=200,
        samples_per_simulation=400,
        max_tokens=1024,
        filters=("length",),
        price_in=None,
        price_out=None,
        ledger=None,
    )
    values: dict[str, object] = {
        "base": Base(ref="main", named=True, commit="a" * 40),
        "settings": settings,
        "leaves": leaves,
        "removed": (),
        "teacher": COST,
        "shift": None,
        "notes": (),
    }
    return Preview.model_validate(values | told)
