from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructlab_like import console
from instructlab_like.tuning.progress import BLOCKS, CURVE, Extent, Progress, curve, resident, span

Said = pytest.CaptureFixture[str]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def of(
    clock: Clock, steps: int, later: int = 0, *, main: bool = True, memory: Callable[[], int] = resident
) -> Progress:
    """Progress of a knowledge phase, and of skills with so many tokens."""
    phases = [Extent("knowledge", steps, 100 * steps), Extent("skills", 7, later)]
    return Progress(phases if later else phases[:1], main=main, memory=memory, clock=clock)


def steps(progress: Progress, clock: Clock, numbers: range, *, seconds: float = 1.0, loss: float = 2.0) -> None:
    """Make steps of 4 learnt tokens among 100, each taking so long."""
    for number in numbers:
        clock.now += seconds
        progress.step(number, 4 * loss, 4, tokens=100, rate=1e-4, norm=0.5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_terminal_a_line_comes_first_last_and_now_and_then(clock: Clock, capsys: Said) -> None:
    progress = of(clock, 20)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 21))
    said = capsys.readouterr().out.splitlines()
    assert [int(line.split("step ")[1].split("/")[0]) for line in said] == [1, 6, 11, 16, 20]
    assert said[1] == "knowledge  step 6/20  loss 2.000  100 tokens/s  0:14 left"
    assert said[-1] == "knowledge  step 20/20  loss 2.000  100 tokens/s  0:00 left"


def test_a_line_gives_the_mean_over_the_learnt_tokens_since_the_last_line(clock: Clock, capsys: Said) -> None:
    progress = of(clock, 3)
    with progress.phase("knowledge"):
        progress.step(1, 9.0, 1, tokens=10)
        progress.step(2, 8.0, 4, tokens=10)
        progress.step(3, 8.0, 2, tokens=10)
    losses = [line.split("loss ")[1].split()[0] for line in capsys.readouterr().out.splitlines()]
    assert losses == ["9.000", "2.667"]


def test_other_processes_are_silent(clock: Clock, capsys: Said) -> None:
    progress = of(clock, 3, main=False)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 4))
    assert capsys.readouterr() == ("", "")


def test_a_resumed_phase_counts_its_own_steps_only(clock: Clock, capsys: Said) -> None:
    progress = of(clock, 100)
    with progress.phase("knowledge", 90):
        steps(progress, clock, range(91, 96), seconds=2.0)
        assert progress.speed() == pytest.approx(50)
        assert progress.left() == pytest.approx(10)
    assert "step 91/100" in capsys.readouterr().out.splitlines()[0]


def test_steps_that_are_made_again_are_counted_in_the_time_left(clock: Clock) -> None:
    progress = of(clock, 10)
    with progress.phase("knowledge", 4):
        steps(progress, clock, range(5, 9))
        steps(progress, clock, range(3, 5))
        assert progress.left() == pytest.approx(6)
        assert "step 4/10" in progress.rows()[0]


def test_time_left_of_all_phases_goes_by_tokens(clock: Clock, capsys: Said) -> None:
    progress = of(clock, 10, 3000)
    with progress.phase("knowledge"):
        assert progress.left() is progress.left_of_all() is None
        steps(progress, clock, range(1, 6))
        assert progress.left_of_all() == pytest.approx(5 + 30)
        assert "0:05 left, 0:35 with later phases" in progress.rows()[0]
        assert "0:09 left, 0:39 with later phases" in capsys.readouterr().out
    with progress.phase("skills", 2):
        steps(progress, clock, range(3, 4), seconds=2.0)
        assert progress.left_of_all() == progress.left() == pytest.approx(8)
    assert "later" not in capsys.readouterr().out


def test_a_phase_that_was_finished_before_is_not_to_come(clock: Clock) -> None:
    progress = of(clock, 10, 3000)
    progress.skipped("knowledge")
    with progress.phase("skills"):
        steps(progress, clock, range(1, 2))
        assert progress.left_of_all() == progress.left() == pytest.approx(6)


def test_the_speed_is_that_of_the_last_minute(clock: Clock) -> None:
    progress = of(clock, 1000)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 201), seconds=1.0)
        steps(progress, clock, range(201, 281), seconds=2.0)
        assert progress.speed() == pytest.approx(50, rel=0.05)


def test_the_board_tells_all_there_is(clock: Clock) -> None:
    progress = of(clock, 40, memory=lambda: 21_300_000_000)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 20), loss=3.0)
        progress.saved(10)
        steps(progress, clock, range(20, 21), loss=1.0, seconds=65.0)
        assert progress.rows() == [
            "knowledge  step 20/40  ━━━━━━━━━━━━────────────  1:24 left",
            "loss        1.000 now, 2.900 mean  " + "█" * 15 + "▁",
            "step        learning rate 1.00e-04, gradient norm 0.500",
            "speed       2 tokens/s, memory 21.3 GB",
            "checkpoint  step 10, 1:05 ago",
        ]


def test_the_board_can_be_read_before_the_first_step(clock: Clock) -> None:
    progress = of(clock, 40)
    with progress.phase("knowledge"):
        rows = progress.rows()
    assert rows[0].endswith("time left: not known yet")
    assert rows[1].strip() == "loss        – now, – mean"
    assert rows[-1] == "checkpoint  none yet"


def test_a_step_without_a_number_does_not_hide_the_others(clock: Clock) -> None:
    progress = of(clock, 5)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 3), loss=2.0)
        steps(progress, clock, range(3, 4), loss=math.nan)
        assert progress.rows()[1].startswith("loss        – now, 2.000 mean")
        steps(progress, clock, range(4, 5), loss=math.inf)
        assert progress.rows()[1].startswith("loss        inf now, 2.000 mean")
        progress.step(5, 0.0, 0, tokens=3)
        assert progress.rows()[1].startswith("loss        – now, 2.000 mean")


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 3)), max_size=CURVE))
def test_a_curve_has_a_block_for_every_cell_that_was_filled(cells: list[tuple[float, int]]) -> None:
    drawn = curve(cells)
    assert len(drawn) == sum(1 for _, count in cells if count)
    assert set(drawn) <= set(BLOCKS)


def test_a_curve_falls_with_the_loss_and_a_flat_one_is_flat() -> None:
    assert curve([(float(8 - number), 1) for number in range(8)]) == BLOCKS[::-1]
    assert curve([(2.0, 1), (2.0000001, 1)]) == "▁▁"


@given(st.integers(1, 500), st.integers(0, 500))
def test_phases_of_any_length_fit_the_curve(count: int, start: int) -> None:
    clock = Clock()
    progress = of(clock, count, main=False)
    with progress.phase("knowledge", min(start, count)):
        steps(progress, clock, range(progress.done + 1, count + 1))
    assert len(progress.rows()[1].split("mean  ")[1]) <= CURVE


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0:00"), (59.6, "1:00"), (3599.7, "1:00:00"), (90_061, "25:01:01")]
)
def test_spans_are_read_as_clocks_are(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_the_memory_told_is_this_process_s() -> None:
    before = resident()
    held = np.ones(50_000_000 // 8)
    assert 0 < before < before + 20_000_000 < resident()
    assert held.sum() > 0


def test_a_terminal_gets_a_board_and_the_last_line_stays(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress = of(clock, 12)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 12))
        console.say("a word in between")
        steps(progress, clock, range(12, 13))
    told = terminal.getvalue()
    assert "checkpoint  none yet" in told
    assert "a word in between" in told
    lines = re.findall(r"knowledge  step (\d+)/12  loss", told)
    assert lines == ["12"]


def test_an_error_in_a_step_takes_the_board_away(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), of(clock, 12).phase("knowledge"):
        raise KeyboardInterrupt
    assert terminal.getvalue().count("\x1b[?25h") == 1  # the cursor is back
    assert sys.stdout is terminal


def test_a_dumb_terminal_gets_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "dumb")
    progress = of(clock, 2)
    with progress.phase("knowledge"):
        steps(progress, clock, range(1, 3))
    assert terminal.getvalue().count("\n") == 2
    assert "\x1b" not in terminal.getvalue()


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["progress", "trackers"])
def test_what_is_needed_before_torch_imports_without_it(module: str) -> None:
    told = python(f"import sys, instructlab_like.tuning.{module}; print('torch' in sys.modules)")
    assert told.strip() == "False"
