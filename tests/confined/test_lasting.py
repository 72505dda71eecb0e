"""Confined processes one after the other: a long run never meets the limit of one, and a template still meets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from leaf_files import open_descriptors

from instructlab_like.confined import lasting
from instructlab_like.confined.lasting import Lasting
from instructlab_like.confined.process import Confined
from instructlab_like.confined.wire import Bounds
from instructlab_like.errors import TemplateError

HUGE = 10**18
BOUNDS = Bounds(filters=("length", "list"), methods=(), source=4_000, weight=2_000, text=20_000)
BOUNDLESS = replace(BOUNDS, weight=HUGE, text=HUGE, turns=HUGE, range=HUGE, bits=HUGE)
WHERE = "templates/mine.j2"
TURNING = "{% for i in range(n) %}{% endfor %}{{ n }}"  # 0.1 to 0.3 µs a turn, where a prompt has 5 ms


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Confined]]:
    """All that are started; none is left after a test. They have a tenth of the usual time, and 40 prompts in a row."""
    started: list[Confined] = []

    class Kept(Confined):
        def __enter__(self) -> Confined:
            started.append(self)
            return super().__enter__()

    for name, value in (("Confined", Kept), ("SECONDS", 0.2), ("AGED", 0.1), ("BATCH", 40), ("PORTION", 20)):
        monkeypatch.setattr(lasting, name, value)
    before = open_descriptors()
    yield started
    assert open_descriptors() == before
    assert all(confined.ended for confined in started)


def opened(source: str = TURNING, *more: str) -> Lasting:
    return Lasting([source, *more], BOUNDLESS, where=WHERE)


def test_no_process_is_started_before_something_is_rendered(processes: list[Confined]) -> None:
    with opened() as lasting:
        assert processes == []
        assert lasting.render([(0, {"n": 3})], each=1).texts == ("3",)
        assert lasting.render([(0, {"n": 4})], each=1).texts == ("4",)
        assert len(processes) == 1


def test_a_long_run_takes_more_processor_time_in_all_than_any_process_has(processes: list[Confined]) -> None:
    number = 4_000
    with opened() as lasting:
        while sum(confined.spent for confined in processes) < 0.4:
            number += 1
            assert lasting.render([(0, {"n": number})], each=1).texts == (str(number),)
    assert len(processes) > 2
    assert all(confined.spent < 0.2 for confined in processes)


def test_a_large_batch_is_rendered_in_portions(processes: list[Confined]) -> None:
    calls = [(number % 2, {"n": number}) for number in range(4_000, 4_400)]
    with opened(TURNING, "{{ n }}!") as lasting:
        texts = lasting.render(calls, each=2).texts
    assert texts == tuple(f"{values['n']}{'!' * number}" for number, values in calls)


def test_a_rendering_that_never_ends_is_stopped(processes: list[Confined]) -> None:
    with opened() as lasting, pytest.raises(TemplateError) as raised:
        lasting.render([(0, {"n": HUGE})], each=1)
    assert (raised.value.where, raised.value.what) == (WHERE, "needs more than 0.2 s of processor time")
    assert len(processes) == 1


def test_a_rendering_that_never_ends_is_stopped_however_long_all_went_well(processes: list[Confined]) -> None:
    with opened() as lasting:
        lasting.render([(0, {"n": 3})], each=1)
        with pytest.raises(TemplateError, match=r"needs more than 0\.2 s of processor time"):
            lasting.render([(0, {"n": HUGE})], each=1)
        assert len(processes) == 2  # the second had its whole time
        assert lasting.render([(0, {"n": 4})], each=1).texts == ("4",)


def test_prompts_that_each_keep_within_the_limit_meet_it_together(processes: list[Confined]) -> None:
    said = ""
    with opened() as lasting:
        for _ in range(40):
            try:
                lasting.render([(0, {"n": 300_000})], each=1)
            except TemplateError as error:
                said = error.what
                break
    assert said.startswith("needs more than 0.2 s of processor time")


def test_a_process_that_has_ended_is_replaced(processes: list[Confined]) -> None:
    with opened("{{ ('a' * n)|length }}") as lasting:
        with pytest.raises(TemplateError, match="needs more than 256 MB of memory"):
            lasting.render([(0, {"n": 10**9})], each=1)
        assert lasting.render([(0, {"n": 3})], each=1).texts == ("3",)
    assert len(processes) == 2


def test_the_first_failure_of_a_batch_comes_with_the_texts_before_it() -> None:
    with opened("{{ 12 // n }}") as lasting:
        rendered = lasting.render([(0, {"n": n}) for n in [*range(1, 30), 0, 7]], each=1)
    assert len(rendered.texts) == 29
    assert rendered.failure
    assert rendered.failure.what == "integer division or modulo by zero"
