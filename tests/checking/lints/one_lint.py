"""The findings of one lint, out of the whole check of a leaf with one thing changed."""

from __future__ import annotations

from pathlib import Path

from leaf_files import dumped, found_in, knowledge, skill, write_leaf

from instructlab_like.taxonomy.findings import Finding

SKILL_PATH = "compositional_skills/add"
KNOWLEDGE_PATH = "knowledge/tides"


def of_code(code: str, *paths: Path) -> list[Finding]:
    return [finding for finding in found_in(*paths) if finding.code == code]


def skill_text(**seed: str) -> str:
    """A freeform skill whose first seed example has these texts, too."""
    values = skill()
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    seeds[0].update(seed)
    return dumped(values)


def knowledge_text(context: str | None = None, question: str | None = None, answer: str | None = None) -> str:
    """A knowledge leaf whose first seed example has this context, question and answer."""
    values = knowledge()
    seeds = values["seed_examples"]
    assert isinstance(seeds, list)
    for seed in seeds:
        seed["context"] += " Its facts are fact 0, fact 1 and fact 2."
    pair = seeds[0]["questions_and_answers"][0]
    if context:
        seeds[0]["context"] = context
        seeds[0]["questions_and_answers"][1:] = [{"question": f"Is it {word}?", "answer": "No."} for word in "xy"]
    pair["question"], pair["answer"] = question or pair["question"], answer or pair["answer"]
    return dumped(values)


def written_skill(root: Path, **seed: str) -> Path:
    return write_leaf(root, SKILL_PATH, skill_text(**seed))


def written_knowledge(
    root: Path, context: str | None = None, question: str | None = None, answer: str | None = None
) -> Path:
    return write_leaf(root, KNOWLEDGE_PATH, knowledge_text(context, question, answer))
