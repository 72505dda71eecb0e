"""Asking: once per call key, bounded, without barriers, and with nothing committed lost when it ends early."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from server import TeacherServer

from instructlab_like.errors import InputError, StoppedError, TeacherError
from instructlab_like.generation.call import ask
from instructlab_like.generation.ledger import Counts, Failure, Ledger
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Lineage, Message, Prompt, Sampling
from instructlab_like.teachers import Teacher
from instructlab_like.teachers.http import HttpTeacher
from instructlab_like.teachers.scripted import ScriptedTeacher


def prompt(text: str, *, leaf: str = "a", model: str = "scripted") -> Prompt:
    lineage = Lineage(leaf=leaf, leaf_blob="b", method="teacher", model=model)
    messages = (Message(role="user", content=text),)
    return Prompt(messages=messages, sampling=Sampling(), yields=("question", "answer"), lineage=lineage)


def prompts(count: int) -> list[Prompt]:
    return [prompt(f"question {n}") for n in range(count)]


def text_of(asked: Prompt) -> str:
    return asked.messages[0].content


def asking(path: Path, asked: Sequence[Prompt], teacher: Teacher, concurrency: int = 4) -> list[tuple[int, int]]:
    """Ask for all of them; returns what was told of the progress."""
    told: list[tuple[int, int]] = []
    with Ledger(path) as ledger:
        asyncio.run(
            ask(
                asked,
                teacher,
                ledger,
                concurrency=concurrency,
                on_answer=lambda done, total: told.append((done, total)),
            )
        )
    return told


def kept(path: Path, asked: Sequence[Prompt]) -> list[str]:
    with Ledger(path) as ledger:
        found = [ledger.committed(one.key) for one in asked]
    return [completion.text for completion in found if completion]


class Watched:
    """A teacher that counts its open questions and lets a test decide when one is answered."""

    identity = "scripted"

    def __init__(self) -> None:
        self.open = self.most = 0
        self.asked: list[str] = []
        self.answered = 0

    async def answer(self, asked: Prompt) -> Completion:
        self.asked.append(text_of(asked))
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self.think(text_of(asked))
        finally:
            self.open -= 1
        self.answered += 1
        return Completion(key=asked.key, text=f"answer to {text_of(asked)}", finish_reason="stop")

    async def think(self, text: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def close(self) -> None:
        pass


def test_every_answer_is_committed_and_told(tmp_path: Path) -> None:
    told = asking(tmp_path / "l", prompts(10), ScriptedTeacher(text_of))
    assert told == [(n, 10) for n in range(1, 11)]
    assert kept(tmp_path / "l", prompts(10)) == [f"question {n}" for n in range(10)]


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    asking(tmp_path / "l", prompts(10), ScriptedTeacher(text_of))
    teacher = ScriptedTeacher({})
    assert asking(tmp_path / "l", prompts(10), teacher) == []
    assert teacher.asked == []


def test_a_longer_plan_asks_only_what_is_new(tmp_path: Path) -> None:
    asking(tmp_path / "l", prompts(3), ScriptedTeacher(text_of))
    teacher = ScriptedTeacher(text_of)
    assert asking(tmp_path / "l", prompts(5), teacher) == [(4, 5), (5, 5)]
    assert sorted(map(text_of, teacher.asked)) == ["question 3", "question 4"]


def test_two_tasks_with_one_call_key_are_one_question(tmp_path: Path) -> None:
    teacher = ScriptedTeacher(text_of)
    told = asking(tmp_path / "l", [prompt("same", leaf="a"), prompt("same", leaf="b")], teacher)
    assert len(teacher.asked) == 1
    assert told == [(1, 1)]


def test_nothing_to_ask_is_no_error(tmp_path: Path) -> None:
    assert asking(tmp_path / "l", [], ScriptedTeacher({})) == []


def test_concurrency_is_used_and_kept_to(tmp_path: Path) -> None:
    teacher = Watched()
    asking(tmp_path / "l", prompts(30), teacher, concurrency=5)
    assert teacher.most == 5


def test_one_slow_answer_holds_up_no_other(tmp_path: Path) -> None:
    class OneSlow(Watched):
        async def think(self, text: str) -> None:
            while text == "question 0" and self.answered < 19:
                await asyncio.sleep(0)

    assert asking(tmp_path / "l", prompts(20), OneSlow(), concurrency=2)[-1] == (20, 20)


def test_an_intent_is_on_disk_before_the_question_is_sent(tmp_path: Path) -> None:
    states: list[Counts] = []

    class Looking(ScriptedTeacher):
        async def answer(self, asked: Prompt) -> Completion:
            states.append(ledger.counts)
            return await super().answer(asked)

    with Ledger(tmp_path / "l") as ledger:
        teacher = Looking(text_of)
        asyncio.run(ask(prompts(3), teacher, ledger, concurrency=1, on_answer=lambda done, total: None))
    assert states == [Counts(intended=1, answered=n) for n in range(3)]


class Failing(Watched):
    """Fails at one question, in the way given."""

    def __init__(self, at: str, error: Exception) -> None:
        super().__init__()
        self.at = at
        self.error = error

    async def think(self, text: str) -> None:
        if text == self.at:
            raise self.error


def test_the_first_failure_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    gone = TeacherError("cannot be reached", where="http://x/v1", fix="start the server")
    teacher = Failing("question 6", gone)
    with pytest.raises(StoppedError) as caught:
        asking(tmp_path / "l", prompts(10), teacher, concurrency=1)
    assert isinstance(caught.value, TeacherError)
    assert str(caught.value) == (
        "http://x/v1: cannot be reached (6 of 10 answers are in the ledger)\n"
        "  → start the server; then run the same command again: only the other 4 are asked"
    )
    assert teacher.asked == [f"question {n}" for n in range(7)]
    assert len(kept(tmp_path / "l", prompts(10))) == 6
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.failures == (Failure(key=prompts(10)[6].key, error=str(gone)),)
    again = Watched()
    asking(tmp_path / "l", prompts(10), again)
    assert again.asked == [f"question {n}" for n in range(6, 10)]


def test_answers_under_way_when_another_fails_are_kept(tmp_path: Path) -> None:
    class FailsWhileOthersThink(Watched):
        failed = False

        async def think(self, text: str) -> None:
            if text == "question 0":
                self.failed = True
                raise TeacherError("gone")
            while not self.failed:
                await asyncio.sleep(0)
            await super().think(text)

    with pytest.raises(TeacherError):
        asking(tmp_path / "l", prompts(40), FailsWhileOthersThink(), concurrency=4)
    found = kept(tmp_path / "l", prompts(40))
    assert {f"answer to question {n}" for n in (1, 2, 3)} <= set(found)
    assert len(found) < 20


def test_wrong_input_met_while_asking_stays_wrong_input(tmp_path: Path) -> None:
    wrong = InputError("does not let us in", where="http://x/v1", fix="put a valid key into $KEY")
    with pytest.raises(InputError) as caught:
        asking(tmp_path / "l", prompts(3), Failing("question 1", wrong), concurrency=1)
    assert caught.value is wrong


def test_a_bug_of_ours_is_not_dressed_up(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        asking(tmp_path / "l", prompts(3), Failing("question 1", ZeroDivisionError()), concurrency=1)


def test_prompts_planned_for_another_teacher_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="planned for"):
        asking(tmp_path / "l", [prompt("a", model="another")], ScriptedTeacher(text_of))


def test_a_full_disk_stops_with_what_was_committed(tmp_path: Path) -> None:
    def told(done: int, total: int) -> None:
        ledger.connection.execute(f"PRAGMA max_page_count = {ledger.number('PRAGMA page_count') + 5}")

    with Ledger(tmp_path / "l") as ledger:
        teacher = ScriptedTeacher(lambda asked: "x" * 30_000 if text_of(asked) == "question 1" else "short")
        with pytest.raises(StoppedError) as caught:
            asyncio.run(ask(prompts(3), teacher, ledger, concurrency=1, on_answer=told))
        assert "(1 of 3 answers are in the ledger)" in str(caught.value)
        assert ledger.counts.answered == 1


def test_an_interrupt_leaves_every_answer_that_was_told(tmp_path: Path) -> None:
    teacher = Watched()

    async def interrupted() -> None:
        def told(done: int, total: int) -> None:
            if done == 7:
                task.cancel()

        task = asyncio.create_task(ask(prompts(40), teacher, ledger, concurrency=4, on_answer=told))
        await task

    with Ledger(tmp_path / "l") as ledger:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(interrupted())
        answered = ledger.counts.answered
    assert 7 <= answered <= 11
    assert teacher.open == 0
    again = Watched()
    asking(tmp_path / "l", prompts(40), again)
    assert len(again.asked) == 40 - answered


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_call import http_prompts
from instructlab_like.generation.call import ask
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.http import HttpTeacher
async def main():
    with Ledger(Path(sys.argv[1])) as ledger:
        teacher = HttpTeacher(TeacherRecipe(url=sys.argv[2], model="m"))
        await ask(http_prompts(), teacher, ledger, concurrency=8, on_answer=lambda done, total: None)
asyncio.run(main())
"""
SLOTS = 8


def http_prompts() -> list[Prompt]:
    return [
        prompt(
            f"<example>\nQuestion: {n}?\nAnswer: {n}.\n</example>\nWrite 1 new pair\n[QUESTION 1]\n[ANSWER 1]\n[END 1]",
            model="http:m",
        )
        for n in range(80)
    ]


@pytest.mark.parametrize("killed_at", [1, 37])
def test_after_sigkill_no_committed_answer_is_asked_for_again(tmp_path: Path, killed_at: int) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def served(count: int) -> None:
        if count == killed_at:
            os.kill(children[0].pid, signal.SIGKILL)

    with TeacherServer(on_served=served) as server:
        here = Path(__file__).parent
        command = [sys.executable, "-c", CHILD, tmp_path / "l", server.url, here, here.parent]
        children.append(subprocess.Popen(command, cwd=here.parents[1]))
        assert children[0].wait(timeout=120) == -signal.SIGKILL
        before = server.served.copy()
        with Ledger(tmp_path / "l") as ledger:
            committed = [one for one in http_prompts() if ledger.committed(one.key)]
            assert ledger.counts.intended <= SLOTS
        teacher = HttpTeacher(TeacherRecipe(url=server.url, model="m"))

        async def again() -> None:
            with Ledger(tmp_path / "l") as ledger:
                await ask(http_prompts(), teacher, ledger, concurrency=SLOTS, on_answer=lambda done, total: None)
            await teacher.close()

        asyncio.run(again())
    repeated = {body for body, times in server.served.items() if times > 1}
    assert not {json.loads(body)["messages"][0]["content"] for body in repeated} & {text_of(one) for one in committed}
    assert len(committed) >= before.total() - SLOTS
    assert len(server.served) == 80
    assert len(kept(tmp_path / "l", http_prompts())) == 80
