"""Ledgers joined, and calls erased: no answer is lost, no byte stays, and the books stay those of the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_books import filled, prompt

from instructlab_like.errors import InputError
from instructlab_like.generation.ledger import Failure, Ledger
from instructlab_like.generation.upkeep import erase, join, keys_of
from instructlab_like.records import Completion, Prompt

SECRET = "Quellwasserzeichen"


def answer(asked: Prompt, text: str, tokens: int = 1) -> Completion:
    return Completion(key=asked.key, text=text, finish_reason="stop", prompt_tokens=tokens, completion_tokens=0)


def write(path: Path, *told: tuple[Prompt, str | None]) -> None:
    """A ledger in which each prompt was answered so, or failed (empty), or was under way when it ended (None)."""
    with Ledger(path) as ledger:
        for asked, text in told:
            ledger.intend(asked)
            if text:
                ledger.commit(answer(asked, text))
            elif text is not None:
                ledger.write(Failure(asked.key, "HTTP 500", "server_error", 1))


def test_the_first_answer_counts_and_costs_add_up(tmp_path: Path) -> None:
    both, mine, theirs, late = prompt("both"), prompt("mine"), prompt("theirs"), prompt("late")
    write(tmp_path / "a", (both, "first"), (mine, "mine"), (late, ""))
    write(tmp_path / "b", (both, "second"), (theirs, "theirs"), (late, "at last"))
    join(tmp_path / "c", [tmp_path / "a", tmp_path / "b"])
    with Ledger(tmp_path / "c") as ledger:
        texts = {asked.messages[0].content: ledger.committed(asked.key) for asked in (both, mine, theirs, late)}
        assert {name: found and found.text for name, found in texts.items()} == {
            "both": "first",
            "mine": "mine",
            "theirs": "theirs",
            "late": "at last",
        }
        assert (ledger.spent.calls, ledger.spent.tokens_in) == (6, 6)
        assert ledger.failures == ()


STATES = st.lists(st.sampled_from(["absent", None, "", "yes"]), min_size=3, max_size=3)


@settings(max_examples=30)
@given(st.lists(STATES, min_size=1, max_size=3))
def test_whatever_the_states_every_attempt_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("join")
    asked = [prompt(str(number)) for number in range(3)]
    paths, calls, lost = [], 0, 0
    for number, states in enumerate(runs):
        told = [(one, state) for one, state in zip(asked, states, strict=True) if state != "absent"]
        paths.append(folder / f"{number}")
        write(paths[-1], *told)
        calls += len(told)
        lost += sum(state is None for _, state in told)
    join(folder / "c", paths)
    with Ledger(folder / "c") as ledger:
        assert (ledger.spent.calls, ledger.spent.lost) == (calls, lost)
        for one, states in zip(asked, zip(*runs, strict=True), strict=True):
            assert bool(ledger.committed(one.key)) == ("yes" in states)
            assert (one.key in {failure.key for failure in ledger.failures}) == ("" in states and "yes" not in states)


def test_joined_ledgers_are_as_they_were(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    filled(tmp_path / "b")
    before = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    join(tmp_path / "c", [tmp_path / "a", tmp_path / "b"])
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == before


def test_a_ledger_in_use_is_not_joined(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with Ledger(tmp_path / "b"), pytest.raises(InputError, match="using this ledger"):
        join(tmp_path / "c", [tmp_path / "a", tmp_path / "b"])


def test_erased_calls_leave_no_byte_and_their_cost(tmp_path: Path) -> None:
    path = tmp_path / "l"
    gone, stays = [prompt(f"{SECRET} {number}" * 50) for number in range(40)], prompt("stays")
    with Ledger(path) as ledger:
        ledger.connection.execute("PRAGMA secure_delete = OFF")  # as SQLite is built in most places
        ledger.intend(*gone, stays)
        for asked in gone:
            ledger.write(Failure(asked.key, f"HTTP 500 {SECRET}", "server_error", 1))
            ledger.intend(asked)
            ledger.commit(answer(asked, f"{SECRET} answers" * 99, tokens=2))
        ledger.commit(answer(stays, "yes"))
        before = ledger.spent
        assert erase(ledger, [asked.key for asked in gone]) == len(gone)
        assert keys_of(ledger) == {stays.key}
        assert ledger.spent == before
        for file in tmp_path.iterdir():
            assert SECRET.encode() not in file.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["l"]
    assert SECRET.encode() not in path.read_bytes()
    with Ledger(path) as ledger:
        assert ledger.committed(stays.key)
        assert erase(ledger, [asked.key for asked in gone]) == 0
        assert ledger.spent == before


def test_erasing_twice_adds_costs_up(tmp_path: Path) -> None:
    one, two, three = filled(tmp_path / "l")
    with Ledger(tmp_path / "l") as ledger:
        before = ledger.spent_by()
        erase(ledger, [one.key])
        erase(ledger, [two.key, three.key])
        assert ledger.spent_by() == before
        assert keys_of(ledger) == set()
