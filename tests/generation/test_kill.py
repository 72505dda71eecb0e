"""What is left after an end that nobody chose: no committed answer is asked for again, and the dataset is the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from ilk_forks import Child, Forks, Twist
from ilk_process import start_ilk
from leaf_files import commit_all, git, skill, write_leaf
from run_books import Asked, assert_nothing_vanished, books, received, told
from server import TeacherServer
from small_run import COMMAND, KEY, SLOTS, Unbroken, made_of, recipe, unbroken_run, workspace
from small_tree import LEAVES, NUMERIC, TWIN, UNICODE

from instructlab_like.records import Sample
from instructlab_like.workspace import Run, read_records

FLOWS = "knowledge, freeform, grounded"
KILLS = int(os.environ.get("ILK_KILLS", "20"))
RUN = {"PLANTED_KEY": KEY}


@pytest.fixture(scope="module")
def unbroken(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return unbroken_run(forks, tmp_path_factory.mktemp("unbroken"), FLOWS)


def stopped_at(
    server: TeacherServer, forks: Forks, folder: Path, served: int, number: int = signal.SIGKILL, slots: int = SLOTS
) -> tuple[Run, Child]:
    """A run that got this signal when the server had given so many answers, counted over all runs."""
    begun: list[Child] = []

    def stop(answers: int) -> None:
        if answers == served:
            begun[0].send(number)

    server.on_served = stop
    run = workspace(folder, recipe(server.url, flows=FLOWS, slots=slots))
    begun.append(forks.start(*COMMAND, cwd=folder, **RUN))
    begun[0].wait()
    server.on_served = lambda _: None
    return run, begun[0]


@dataclass(frozen=True)
class Resumed:
    """What a run had when it was stopped, and what the same command then asked for and made."""

    committed: frozenset[Asked]
    served_before: frozenset[Asked]
    asked: tuple[Asked, ...]
    code: int
    printed: str
    made: dict[str, str]
    samples: tuple[str, ...]


def resumed(server: TeacherServer, forks: Forks, run: Run, twist: Twist | None = None) -> Resumed:
    committed = frozenset(books(run).committed.values())
    before = received(server)
    code, printed = forks.run(*COMMAND, cwd=run.folder.parents[1], twist=twist, **RUN)
    if code == 0:
        assert_nothing_vanished(run)
    probed = books(run).probed  # repeated until it has come to an end
    return Resumed(
        committed=committed,
        served_before=frozenset(before),
        asked=tuple(one for one in received(server, since=len(before)) if one not in probed),
        code=code,
        printed=printed,
        made=made_of(run),
        samples=tuple(sample.id for sample in read_records(run.samples, Sample)) if code == 0 else (),
    )


def assert_nothing_was_lost(found: Resumed, unbroken: Unbroken, slots: int = SLOTS) -> None:
    assert found.code == 0, found.printed
    assert not [asked for asked in found.asked if asked in found.committed]
    assert len([asked for asked in found.asked if asked in found.served_before]) <= slots
    assert len(found.samples) == len(set(found.samples))
    assert found.made == unbroken.made


# --- killed from outside -----------------------------------------------------------------------------------------


def points(requests: int) -> list[tuple[int, int]]:
    """At which answer, and how many calls were under way at most; the same ones every time."""
    drawn = random.Random(4)
    return [(drawn.randint(1, requests), drawn.choice([1, 4, 8, 64])) for _ in range(KILLS)]


def kill_and_resume(forks: Forks, folder: Path, unbroken: Unbroken, number: int) -> tuple[int, Resumed]:
    served, slots = points(unbroken.requests)[number]
    with TeacherServer() as server:
        run, child = stopped_at(server, forks, folder, served, slots=slots)
        assert child.wait() == -signal.SIGKILL
        before = books(run)
        assert before.lost - before.lost_probes <= slots
        answered = [one for one in received(server) if one not in before.probed]
        assert len(before.committed) >= len(answered) - slots - 1  # the last one was about to be sent
        found = resumed(server, forks, run)
        after = books(run)
    asked = server.requests
    assert asked <= after.calls <= asked + before.lost  # an intent may have been written and never sent
    assert after.lost == before.lost
    unknown = told(server.log)[1] - after.tokens[1]  # answers that were on their way when the process died
    dearest = sorted((entry.completion_tokens for entry in server.log), reverse=True)
    assert 0 <= unknown <= sum(dearest[: before.lost])
    return slots, found


@pytest.fixture(scope="module")
def killed(
    forks: Forks, unbroken: Unbroken, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Future[tuple[int, Resumed]]]]:
    folder = tmp_path_factory.mktemp("killed")
    with ThreadPoolExecutor(4) as pool:
        yield [pool.submit(kill_and_resume, forks, folder / str(n), unbroken, n) for n in range(KILLS)]


@pytest.mark.parametrize("point", range(KILLS))
def test_killed_at_any_answer_it_asks_for_no_committed_one_again(
    point: int, killed: list[Future[tuple[int, Resumed]]], unbroken: Unbroken
) -> None:
    slots, found = killed[point].result()
    assert_nothing_was_lost(found, unbroken, slots)


def test_killed_time_and_again_it_still_gets_there(forks: Forks, unbroken: Unbroken, tmp_path: Path) -> None:
    """Each run gets a little further; the calls lost on the way are at most those under way at each kill."""
    with TeacherServer() as server:
        for kill in range(1, 5):
            run, child = stopped_at(server, forks, tmp_path, kill * unbroken.requests // 6)
            assert child.wait() == -signal.SIGKILL
        found = resumed(server, forks, run)
    assert_nothing_was_lost(found, unbroken)
    asked = [one for one in received(server) if one not in books(run).probed]
    assert len(asked) - len(set(asked)) <= 4 * SLOTS


# --- killed from inside ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", [1, 2, 3, 4, 6, 8, 12])
def test_killed_between_an_answer_its_commit_and_its_use(
    commit: int, after: bool, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, twist=Twist(kill_at=("commit", commit), after=after), **RUN)
        assert code == -signal.SIGKILL, printed
        assert_nothing_was_lost(resumed(server, forks, run), unbroken)


def test_killed_before_any_file_is_moved_into_place(forks: Forks, unbroken: Unbroken, tmp_path: Path) -> None:
    """Every such moment of a run, the first one first, until there are none left."""
    with TeacherServer() as server:
        workspace(tmp_path, recipe(server.url, flows=FLOWS))
        for moment in range(1, 100):
            run = Run(tmp_path / "runs" / "t")
            code, printed = forks.run(*COMMAND, cwd=tmp_path, twist=Twist(kill_at=("os.rename", moment)), **RUN)
            if code == 0:
                break
            assert code == -signal.SIGKILL, printed
            found = resumed(server, forks, run)
            assert_nothing_was_lost(found, unbroken)
            left = [path.name for path in run.folder.rglob(".*") if path.is_file()]
            assert not left, "scratch files were left behind"
            shutil.rmtree(run.folder)
    assert moment > 3, "files are not written whole any more"


# --- what a kill may do to the ledger's own files ----------------------------------------------------------------


@pytest.mark.parametrize("cut", range(8))
def test_a_torn_tail_costs_the_answers_in_it_and_nothing_else(
    cut: int, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    """As after power failed on a disk that had not written all of the log; then the log's last page is garbage, too."""
    with TeacherServer() as server:
        run, _ = stopped_at(server, forks, tmp_path, unbroken.requests * 2 // 3)
        whole = books(run)
        log = run.ledger.with_name(f"{run.ledger.name}-wal")
        drawn = random.Random(cut)
        left = drawn.randrange(log.stat().st_size)
        os.truncate(log, left)
        if cut % 2:
            with log.open("r+b") as file:
                file.seek(drawn.randrange(max(left - 4096, 0), left))
                file.write(drawn.randbytes(16))
        torn = books(run)
        assert set(torn.committed) <= set(whole.committed)
        found = resumed(server, forks, run)
    assert_nothing_was_lost(found, unbroken, slots=SLOTS + len(whole.committed) - len(torn.committed))


@pytest.mark.parametrize("kilobytes", [8, 40, 100, 160])
def test_a_full_disk_stops_the_run_which_goes_on_when_there_is_room(
    kilobytes: int, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    """No file may grow beyond so much; the system answers a write as it does on a full disk, by another number."""
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, twist=Twist(largest_file=kilobytes * 1024), **RUN)
        assert code == 3, printed
        assert "Traceback" not in printed
        assert "→" in printed, "it does not say what to do"
        assert_nothing_was_lost(resumed(server, forks, run), unbroken)


def test_a_second_run_on_the_same_folder_is_told_so_and_harms_nothing(
    forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    second: list[tuple[int, str]] = []

    def start_another(answers: int) -> None:
        if answers == unbroken.requests // 2:
            second.append(forks.run(*COMMAND, cwd=tmp_path, **RUN))

    with TeacherServer(on_served=start_another) as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, **RUN)
    assert code == 0, printed
    assert second[0][0] == 2, second[0][1]
    assert "another run is using this ledger" in second[0][1]
    assert server.requests == unbroken.requests
    assert made_of(run) == unbroken.made


# --- asked to stop -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_interrupted_it_names_the_command_that_goes_on(
    share: float, number: int, code: int, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    with TeacherServer() as server:
        run, child = stopped_at(server, forks, tmp_path, 1 + int(share * unbroken.requests), number)
        assert child.wait() == code, child.printed
        assert "Traceback" not in child.printed
        assert f"to continue: ilk {' '.join(COMMAND)}" in child.printed
        assert_nothing_was_lost(resumed(server, forks, run), unbroken)


@pytest.mark.parametrize("still", [True, False])
def test_a_clock_that_jumps_decides_nothing(still: bool, forks: Forks, unbroken: Unbroken, tmp_path: Path) -> None:
    """Whenever it is read it has gone back by more than a year; in the next run it still does, or is right again."""
    backwards = Twist(clock=4e7)
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        stopped = Twist(clock=backwards.clock, kill_at=("commit", 20), after=True)
        child = forks.start(*COMMAND, cwd=tmp_path, twist=stopped, **RUN)
        assert child.wait() == -signal.SIGKILL
        assert_nothing_was_lost(resumed(server, forks, run, backwards if still else None), unbroken)


# --- the same bytes, whatever the order of events -----------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 8, 64])
def test_the_dataset_is_the_same_for_any_number_of_slots(
    slots: int, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS, slots=slots))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, **RUN)
    assert code == 0, printed
    assert server.requests == unbroken.requests
    assert made_of(run) == unbroken.made


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_the_dataset_is_the_same_for_any_hash_seed(
    seed: str, unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command as a user starts it."""
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        with start_ilk(*COMMAND, cwd=tmp_path) as child:
            printed, _ = child.communicate(timeout=300)
    assert child.returncode == 0, printed
    assert made_of(run) == unbroken.made


# --- what changes, and what it costs -----------------------------------------------------------------------------


def test_only_what_changed_is_asked_for(forks: Forks, tmp_path: Path) -> None:
    """Renaming a leaf and taking a change back cost nothing; a changed leaf costs its own calls, its twin's none."""
    with TeacherServer() as server:
        run = workspace(tmp_path, recipe(server.url, flows=FLOWS))
        tree = tmp_path / "taxonomy"
        git(tree, "init", "--quiet")
        commit_all(tree)

        def asked_now() -> int:
            before = server.requests
            code, printed = forks.run(*COMMAND, cwd=tmp_path, **RUN)
            assert code == 0, printed
            assert_nothing_vanished(run)
            return server.requests - before

        assert asked_now() > 0
        first = made_of(run)
        assert asked_now() == 0
        commit_all(tree, "nothing")
        assert asked_now() == 0
        assert made_of(run) == first

        git(tree, "mv", UNICODE, "compositional_skills/greetings")
        commit_all(tree, "rename")
        assert asked_now() == 0
        git(tree, "revert", "--no-edit", "HEAD")
        assert asked_now() == 0
        assert made_of(run) == first

        changed = skill()
        changed["task_description"] = "Add numbers, and say what they come to."
        write_leaf(tree, TWIN, changed)
        commit_all(tree, "another task")
        spent = asked_now()
        leaves = {sample.lineage.leaf for sample in read_records(run.samples, Sample)}
        assert spent > 0
        assert leaves <= set(LEAVES)
        changed_again = made_of(run)
        assert changed_again != first
        git(tree, "revert", "--no-edit", "HEAD")
        assert asked_now() == 0
        assert made_of(run) == first
        write_leaf(tree, NUMERIC, changed)
        write_leaf(tree, TWIN, changed)
        assert asked_now() == 0  # the same prompts as the twin's a while ago
