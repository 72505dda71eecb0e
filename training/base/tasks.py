"""The base's own tasks as files: replay.jsonl keeps them alive in fine-tuning, anchors.jsonl measures forgetting.

Replay comes from training worlds, anchors from held-out worlds, whose names training never met. Run by
`make base-model`; needs no torch.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from worlds import Conversation, World, draw

REPLAY_ROWS = 1500
REPLAY_TURNS = 4  # most turns of a replay row
ANCHORS_EACH = 50  # of each kind
ANCHOR_SEED = 99
REPLAY_SEED = 3


def first_question(conversation: Conversation) -> Conversation:
    return Conversation(conversation.kind, conversation.context, conversation.turns[:1])


def unseen(seed: int, each: int) -> list[Conversation]:
    """`each` single questions of every kind from held-out worlds."""
    world = World(random.Random(seed), held_out=True)
    found = []
    for _ in range(each):
        reading = world.reading(world.rng.randint(2, 6))
        recall = world.recall(world.rng.randint(3, 6))
        found += [first_question(one) for one in (reading, recall, world.copying(), world.arithmetic())]
    return found


def anchors() -> list[dict[str, str]]:
    return [
        {"kind": one.kind, "context": one.context, "question": one.turns[0].question, "answer": one.turns[0].answer}
        for one in unseen(ANCHOR_SEED, ANCHORS_EACH)
    ]


def replay() -> list[dict[str, list[dict[str, str]]]]:
    world = World(random.Random(REPLAY_SEED), held_out=False)
    rows = []
    for _ in range(REPLAY_ROWS):
        conversation = draw(world, 1.0)
        messages = []
        for index, turn in enumerate(conversation.turns[:REPLAY_TURNS]):
            asked = (
                f"{conversation.context}\n\n{turn.question}" if conversation.context and index == 0 else turn.question
            )
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": turn.answer}]
        rows.append({"messages": messages})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out: Path = parser.parse_args().out
    for name, rows in (("replay.jsonl", replay()), ("anchors.jsonl", anchors())):
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
        (out / name).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
