"""A run that answers wrongly, and a critic and a reviser who know better: what `ilk improve` is tried on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import yaml
from leaf_files import skill, write_leaf

BASE = Path(__file__).parents[1] / "training" / "base" / "model"
LEAF = "compositional_skills/boats/badge"
WRONG, RIGHT = "red", "blue"  # words that the tiny base has
PAIRS = re.compile(r"Write (\d+) new")
TRAIN = {
    "model": str(BASE),
    "lora": {"rank": 8, "alpha": 16},
    "phases": [{"name": "skills", "epochs": 14, "learning_rate": 3e-3}],
    "row_tokens": 256,
    "batch_tokens": 512,
    "threads": 1,
    "save_every": 100,
}
EVALUATE = {"base_tasks": "", "threads": 1, "max_new_tokens": 6, "enough": 20}


def write_boats(root: Path, *, held_out: int = 24) -> Path:
    """A leaf whose held-out questions are answered by the right word."""
    questions = [
        {"question": f"Which badge has boat {number}?", "answer": RIGHT} for number in range(901, 901 + held_out)
    ]
    seeds = [{"question": f"What is on boat {number}?", "answer": RIGHT} for number in range(801, 806)]
    values = {**skill(), "task_description": "Say which badge a boat has.", "seed_examples": seeds}
    write_leaf(root, LEAF, values, heldout=yaml.safe_dump({"questions": questions}))
    return root


def recipe(url: str, taxonomy: Path, **told: object) -> dict[str, dict[str, object]]:
    """All four sections; `told` goes into the last."""
    teacher = {"url": url, "model": "m", "retries": 0, "concurrency": 4}
    return {
        "generate": {
            "taxonomy": str(taxonomy),
            "flows": ["freeform-simple"],
            "teacher": teacher,
            "prompts_per_leaf": 36,
            "pairs_per_prompt": 1,
            "max_tokens": 24,
            "filters": ["exact_duplicate", "held_out"],
        },
        "train": dict(TRAIN),
        "evaluate": dict(EVALUATE),
        "improve": {"own_share": 0.1, "roles": {"critic": {**teacher, "model": "judge"}}, **told},
    }


def tagged(**texts: str) -> str:
    return "\n".join([*(f"[{tag.upper()} 1]\n{text}" for tag, text in texts.items()), "[END 1]"])


def inside(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>\n(.*?)\n</{tag}>", text, re.DOTALL)
    return found[1] if found else ""


def better(answer: str) -> str:
    """What the reviser makes of an answer."""
    return RIGHT if answer == WRONG else answer


def reply(request: dict, revise: Callable[[str], str] = better) -> str:
    """Pairs with the wrong answer; and of an answer its score, its review, its revision."""
    text = request["messages"][-1]["content"]
    answer = inside(text, "answer")
    if "[SCORE 1]" in text:
        return tagged(reason="so it is", score="5" if answer == RIGHT else "4")
    if "[CRITIQUE 1]" in text:
        return tagged(critique="nothing to change" if revise(answer) == answer else "The badge is another one.")
    if "[REVISION 1]" in text:
        return tagged(revision=revise(answer))
    asked = PAIRS.findall(text)
    if not asked:
        return "Yes."
    count = int(asked[-1])
    chance = int(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8], 16)
    pairs = (
        f"[QUESTION {n}]\nWhat is on boat {(chance + 97 * n) % 800}?\n[ANSWER {n}]\n{WRONG}\n[END {n}]"
        for n in range(1, count + 1)
    )
    return "\n".join(pairs)
