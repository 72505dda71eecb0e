"""What is seen while answers come in, at moments of a clock of the test's own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from flow_files import TWO_STEPS, flow_in

from instructlab_like import console
from instructlab_like.generation.engine import End, Tally
from instructlab_like.generation.plan import starts
from instructlab_like.generation.purse import Purse
from instructlab_like.generation.walk import Finished, Lost, Start, Walk
from instructlab_like.recipe import Budget, GenerateRecipe
from instructlab_like.records import Leaf, Lineage, Pair, Prompt, Sample, Seed, Skill, Verdict
from instructlab_like.stages.generating.progress import Outlook, Progress, Sized

IDENTITIES = dict.fromkeys(("asker", "answerer"), "m")


def skill(number: int) -> Skill:
    pairs = [(Pair(question=f"q{number} {n}", answer="a"),) for n in range(5)]
    seeds = tuple(Seed(number=n + 1, line=n + 1, pairs=pair) for n, pair in enumerate(pairs))
    return Skill(path=f"s/{number}", blob="b", version=3, created_by="x", seeds=seeds, task=f"task {number}")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plan_of(walk: Walk, *leaves: Leaf) -> list[Start]:
    return list(starts(leaves, lambda _: (), walk))


def ends(start: Start, *fates: str | None) -> list[End]:
    """Samples that were kept, or rejected for a reason."""
    made: list[End] = []
    for number, why in enumerate(fates):
        lineage = Lineage(leaf="a", leaf_blob="b", method="teacher", model="m")
        sample = Sample(id=str(number), kind="freeform", question="q", answer="a", lineage=lineage)
        verdict = Verdict(subject="x", leaf="a", filter="own/judge", version=1, keep=why is None, reason=why or "fine")
        made.append(Finished(start, (number,), sample, (verdict,)))
    return made


def lost(start: Start, why: str) -> Lost:
    return Lost(start, (0,), Verdict(subject="x", leaf="a", filter="parse", version=1, keep=False, reason=why))


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk([flow_in(tmp_path, TWO_STEPS)], GenerateRecipe(prompts_per_leaf=8), IDENTITIES)


def test_rate_fates_cost_and_time_left_are_told(walk: Walk) -> None:
    clock, tally, taken = Clock(), Tally(), list[Start]()
    purse = Purse(Budget(), {}, {"m": (1.0, 2.0)})
    progress = Progress(tally, purse, Sized(100), lambda start, _: taken.append(start), clock=clock)
    (start, *_) = plan_of(walk, skill(1))
    assert progress.rows() == []
    for number in range(20):
        progress.take(
            start, [*ends(start, None, f"score is {number}, less than 22"), lost(start, "the answer is empty")]
        )
        prompt = start.task.prompt.model_copy(update={"yields": (str(number),)})  # type: ignore[union-attr]
        assert isinstance(prompt, Prompt)
        purse.begin(prompt)
        purse.end(prompt, (1.0, 2.0), 100, 50)
    tally.answered, tally.reused, tally.failed, tally.retried = 60, 7, Counter(timeout=2), Counter(server_error=3)
    clock.now = 10.0
    assert progress.rows() == [
        "60 answers (6.0/s), 7 from the ledger, 20 of about 100 starts walked, 40 s left",
        "kept 20, rejected 40: 20 own/judge (score is …, less than …), 20 parse (the answer is empty)",
        "20 calls, 3,000 tokens, 0.0040 in money, 3 repeated, 2 without an answer",
    ]
    assert len(taken) == 20


def test_the_rate_is_that_of_the_last_half_minute(walk: Walk) -> None:
    clock, tally = Clock(), Tally()
    progress = Progress(tally, Purse(Budget(), {}, {}), Sized(1000), lambda *_: None, clock=clock)
    (start, *_) = plan_of(walk, skill(1))
    for second in range(1, 121):
        clock.now = float(second)
        for _ in range(10 if second <= 60 else 1):
            tally.answered += 1
            progress.take(start, [])
        rows = progress.rows()
    assert rows[0].startswith("660 answers (1.0/s), 660 of about 1,000 starts walked, 5 min 4")


def test_reasons_that_differ_in_what_they_quote_are_one_and_only_a_few_are_told(walk: Walk) -> None:
    tally = Tally(answered=1)
    progress = Progress(tally, Purse(Budget(), {}, {}), None, lambda *_: None, clock=Clock())
    (start, *_) = plan_of(walk, skill(1))
    for number in range(500):
        progress.take(start, ends(start, f"verdict is 'maybe {number}', not YES; because {number}"))
    for why in ("one", "two", "three", "four"):
        progress.take(start, ends(start, why))
    assert len(progress.rejected) == 5
    first = "500 own/judge (verdict is …, not YES), 1 own/judge (one), 1 own/judge (two)"
    assert progress.rows()[1] == f"kept 0, rejected 504: {first}, 2 reasons more"


def test_how_many_starts_there_will_be_is_foreseen_and_then_counted(walk: Walk) -> None:
    leaves = [skill(number) for number in range(4)]
    outlook = Outlook(leaves, walk)
    assert outlook.expected() == 32
    counted = []
    for number, _ in enumerate(outlook.passing(iter(plan_of(walk, *leaves))), start=1):
        counted.append(outlook.expected())
        assert counted[-1] >= number
    assert outlook.expected() == len(plan_of(walk, *leaves))
    assert counted == sorted(counted, reverse=True)


# --- where it is shown


def shown(monkeypatch: pytest.MonkeyPatch, moments: Sequence[tuple[float, list[str]]]) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.board() as board:
        for moment, rows in moments:
            now[0] = moment
            board.show(rows)


def test_in_a_pipe_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(second / 2, [f"{second // 2} answers", "kept 1"]) for second in range(40)]
    shown(monkeypatch, rows)
    assert capsys.readouterr().out == "".join(f"  {second} answers; kept 1\n" for second in (5, 10, 15))


def test_what_did_not_change_and_nothing_at_all_is_not_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(monkeypatch, [(6, []), (12, ["one"]), (18, ["one"]), (24, ["two \x1b[31m"])])
    assert capsys.readouterr().out == "  one\n  two \\x1b[31m\n"


def test_on_a_terminal_it_stays_in_place_and_has_no_colour() -> None:
    """In a terminal of 40 columns: rows are cut to it, lines of others stand above, and nothing is left at the end."""
    script = (
        "from instructlab_like.console import board, say\n"
        "with board() as shown:\n"
        "    shown.show(['first ' * 20, 'second'])\n"
        "    say('a line of another')\n"
        "    shown.show(['third', 'fourth'])\n"
        "say('the end')\n"
    )
    parent, child = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "40", "LINES": "20", "NO_COLOR": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], stdout=child, stderr=child, env=environment, check=False)
    os.close(child)
    said = b""
    try:
        while part := os.read(parent, 65_536):
            said += part
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    text = said.decode()
    assert done.returncode == 0, text
    assert "a line of another" in text
    assert "first first" in text
    assert "first " * 8 not in text
    assert "\x1b[3" not in text.replace("\x1b[34h", "")
    assert text.rstrip().endswith("the end")
