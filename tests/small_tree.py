"""A small tree whose run has what recovery may trip over: numbers and Unicode as names, prompts that occur twice."""

from __future__ import annotations

from pathlib import Path

from leaf_files import knowledge, skill, write_leaf

NUMERIC, TWIN = "compositional_skills/2024/7", "compositional_skills/2024/007"  # one task, in the same words
UNICODE = "compositional_skills/grüße/Ωμέγα_東京"
GROUNDED = "compositional_skills/letters/grounded"
KNOWLEDGE = "knowledge/coast/tides"
LEAVES = (NUMERIC, TWIN, UNICODE, GROUNDED, KNOWLEDGE)

DOCUMENT = """\
# Tides of Velmouth

The harbour of Velmouth has a spring tide of seven metres, which comes two days after the new moon.
At low water the sill of the inner basin stands dry, and no boat of more than two metres' draught can enter it.

## The gauge

The tide gauge on the east pier was built in 1871 by Ines Korvel, who read it every morning for forty years.
Its float hangs in a copper well, so that waves do not move it — “quiet water”, as the harbour master says.
"""


def write_tree(root: Path) -> Path:
    write_leaf(root, NUMERIC, skill())
    write_leaf(root, TWIN, skill())
    write_leaf(root, UNICODE, greetings())
    write_leaf(root, GROUNDED, skill(grounded=True))
    folder = write_leaf(root, KNOWLEDGE, knowledge(repo=".", commit="HEAD", patterns=["*.md"]))
    (folder / "tides.md").write_text(DOCUMENT, encoding="utf-8")
    return root


def greetings() -> dict[str, object]:
    """Questions that only Unicode tells apart, and one that looks like a number."""
    greeted = ["Grüße", "Gru\u0308ße", "東京", "\U0001f30a\u200d", "0007"]
    seeds = [{"question": f"Greet {name}.", "answer": f"Good day, {name}!"} for name in greeted]
    return {"version": 3, "created_by": "ännchen", "task_description": "Greet – politely.", "seed_examples": seeds}
