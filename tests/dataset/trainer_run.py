"""A run with all that conversations for other trainers have to hold, and what is expected of it."""

from __future__ import annotations

from pathlib import Path

from finished_run import GROUNDED, HARBOUR, SKILL_SAMPLES, TESTS, TRAIN, Given, sample

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS
from instructlab_like.dataset.rows import row
from instructlab_like.records import Message, Preference, Row, digest

MARKS = 'Grüße, 東京 🚢 "quoted" \\ back\u2028line\u0085next\tend <|im_end|>'
LONG = sample("compositional_skills/label", "Repeat: " + "sea " * 20_000, "sea " * 5_000, kind="freeform")
STRANGE = sample(HARBOUR, MARKS, MARKS)


def replay(*turns: tuple[str, str], phase: str = "skills") -> Row:
    messages = tuple(Message(role=role, content=text) for role, text in turns)
    return Row(messages=messages, phase=phase, leaf="replay", sample=digest(turns)[:32])


SEVERAL = replay(("user", "Count on from 3."), ("assistant", "4"), ("user", "And on?"), ("assistant", "5"))
OWN = replay(("system", "You are brief."), ("user", "Copy: sea"), ("assistant", "sea"))
ODD = replay(("user", "Are you there?"), ("user", "Hello?"), ("assistant", "Yes."))
BLANK = replay(("user", "Say nothing."), ("assistant", " "))
PAIRS = [
    Preference(
        leaf=HARBOUR,
        chosen="c" * 32,
        rejected="d" * 32,
        chosen_score=0.9,
        rejected_score=0.1,
        messages=(Message(role="user", content=f"When was the Gull built? {MARKS}"),),
        chosen_answer="In 1901.",
        rejected_answer="Nobody knows.",
    ),
    Preference(
        leaf="compositional_skills/label",
        chosen="e" * 32,
        rejected="f" * 32,
        chosen_score=0.8,
        rejected_score=0.2,
        messages=(Message(role="system", content="You label."), Message(role="user", content="Label for Finch?")),
        chosen_answer="Finch",
        rejected_answer="Mr Finch, I think",
    ),
]


class Trained(Given):
    """With replay of every kind, a knowledge row repeated among the skills, and preference pairs."""

    def __init__(self, *, pairs=PAIRS, added=(SEVERAL, OWN)):
        super().__init__([*SKILL_SAMPLES, *GROUNDED, LONG, STRANGE, *TRAIN], TESTS, replay=added)
        self._rows[SKILLS].append(row(TRAIN[0], "skills"))
        self._pairs = pairs
        self.card = "---\nlicense: cc-by-4.0\n---\n# Data\n"

    def preferences(self):
        return iter(self._pairs)


def in_phase(run, phase):
    return list(run.rows(KNOWLEDGE if phase == "knowledge" else SKILLS))


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def turns(row):
    return [{"role": message.role, "content": message.content} for message in row.messages]
