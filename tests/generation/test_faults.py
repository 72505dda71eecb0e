"""No fault of a teacher costs an answer: every fault at every stage of a run, held against the server's own log."""

from __future__ import annotations

import hashlib
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from faults import NAMED, Fault
from ilk_forks import Forks
from run_books import Books, assert_nothing_vanished, books, told
from server import Arrival, Entry, TeacherServer, chance
from small_run import COMMAND, KEY, SLOTS, Unbroken, made_of, recipe, unbroken_run, workspace

from instructlab_like.records import Sample, Verdict
from instructlab_like.workspace import Run, read_records

TIMEOUT = 2.0  # seconds, where a server may say nothing
HITS = 4  # requests that get a fault
TOLD_WRONG = ("redirect", "401", "404")  # no matter which prompt is asked: the run ends, to be gone on with
KEPT = ("empty", "null", "length")  # what an answer is worth that is no answer: asked anew, or rejected with a reason
REFUSING = ("400",)  # this prompt, here and now
NOTHING = Books(0, 0, (0, 0), {}, Counter())
PLACES = ("start", "burst", "steady", "end", "resume")


@dataclass(frozen=True)
class Broken:
    """A run to which something happened, and the same command once more without it."""

    run: Run
    code: int
    printed: str
    log: tuple[Entry, ...]
    books: Books
    lacking: frozenset[str]  # ids of the unbroken run's samples that it does not have
    reasons: dict[str, str]  # of verdicts against, by call
    made: dict[str, str]  # digests of what it made of its answers; empty where it made nothing
    later: int
    afterwards: dict[str, str]
    asked_later: int
    bytes: bytes  # all that it wrote anywhere


@pytest.fixture(scope="module")
def unbroken(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return unbroken_run(forks, tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(scope="module")
def killed(forks: Forks, unbroken: Unbroken, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a run that was killed half-way."""
    return killed_half_way(forks, tmp_path_factory.mktemp("killed"), unbroken.requests)


def killed_half_way(forks: Forks, folder: Path, requests: int) -> Path:
    def kill(served: int) -> None:
        if served == requests // 2:
            child.send(signal.SIGKILL)

    with TeacherServer(on_served=kill) as server:
        workspace(folder, recipe(server.url))
        child = forks.start(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
        assert child.wait() == -signal.SIGKILL
    return folder


def at_place(place: str, fault: Fault, total: int) -> Callable[[Arrival], Fault | None]:
    """When the fault happens: at the beginning, to some requests in a row, to a share of them, to the last ones."""

    def choose(arrival: Arrival) -> Fault | None:
        first_time = arrival.times == 0
        hit = {
            "start": arrival.number < 3,
            "resume": arrival.number < HITS,
            "burst": total // 2 <= arrival.number < total // 2 + HITS,
            "steady": first_time and chance(hashlib.sha256(arrival.body).digest(), b"steady") < HITS / total,
            "end": first_time and arrival.served >= total - HITS,
        }[place]
        return fault if hit else None

    return choose


def broken_run(forks: Forks, folder: Path, unbroken: Unbroken, killed: Path, name: str, place: str) -> Broken:
    """Run with the fault; for `resume` after a run that was killed half-way. Then run again without it."""
    fault = NAMED[name]
    timeout = TIMEOUT if fault.kind in ("hang", "drip") else 60.0
    if place == "resume":
        shutil.copytree(killed, folder)
    with TeacherServer(choose=at_place(place, fault, unbroken.requests)) as server:
        run = workspace(folder, recipe(server.url, timeout=timeout))
        before = books(run) if place == "resume" else NOTHING
        code, printed = forks.run(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
        made, after = made_of(run), books(run)
        samples = {sample.id for sample in read_records(run.samples, Sample)} if made else set()
        verdicts = list(read_records(run.verdicts, Verdict)) if made else []
        if made:
            assert_nothing_vanished(run)
        ended = server.requests
        server.choose = lambda _: None
        if made != unbroken.made:
            later, printed_later = forks.run(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
        else:
            later, printed_later = code, ""
    return Broken(
        run=run,
        code=code,
        printed=printed + printed_later,
        log=tuple(server.log[:ended]),
        books=replace(
            after,
            calls=after.calls - before.calls,
            tokens=(after.tokens[0] - before.tokens[0], after.tokens[1] - before.tokens[1]),
        ),
        lacking=frozenset(unbroken.samples.keys() - samples),
        reasons={
            call: verdict.reason
            for verdict in verdicts
            for call in (verdict.subject, verdict.partner)
            if call and not verdict.keep
        },
        made=made,
        later=later,
        afterwards=made_of(run),
        asked_later=server.requests - ended,
        bytes=b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()),
    )


Matrix = dict[tuple[str, str], Future[Broken]]


@pytest.fixture(scope="module")
def matrix(
    request: pytest.FixtureRequest,
    forks: Forks,
    unbroken: Unbroken,
    killed: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Matrix]:
    """All chosen cells, several at a time: most of a faulty run is waiting."""
    folder = tmp_path_factory.mktemp("matrix")
    chosen = [item.callspec.params for item in request.session.items if getattr(item, "originalname", "") == CELL]
    with ThreadPoolExecutor(8) as pool:
        yield {
            (fault, place): pool.submit(broken_run, forks, folder / f"{fault}-{place}", unbroken, killed, fault, place)
            for fault, place in dict.fromkeys((params["fault"], params["place"]) for params in chosen)
        }


CELL = "test_every_row_arrives_or_has_a_counted_reason"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", NAMED)
def test_every_row_arrives_or_has_a_counted_reason(fault: str, place: str, matrix: Matrix, unbroken: Unbroken) -> None:
    found = matrix[fault, place].result()
    hit = [entry for entry in found.log if entry.done == fault]
    assert hit, "the fault did not happen"
    assert "Traceback" not in found.printed
    assert_ends_as_it_should(found, fault, unbroken)
    assert_books_agree(found, fault)
    assert_key_is_nowhere(found)
    if any(entry.retry_after for entry in hit):
        assert_retry_after_is_kept(found.log)


def assert_ends_as_it_should(found: Broken, fault: str, unbroken: Unbroken) -> None:
    if fault in TOLD_WRONG:
        assert found.code in (0, 2), found.printed
    else:
        assert found.code == 0, found.printed
    assert bool(found.made) == (found.code == 0)
    if found.made:
        for sample in (unbroken.samples[lacking] for lacking in found.lacking):
            calls = [turn.call for turn in sample.lineage.turns]
            assert any(found.reasons.get(call) for call in calls), f"no reason for the lack of {sample.id}"
    if fault not in (*KEPT, *REFUSING, *TOLD_WRONG):
        assert found.made == unbroken.made
    if failed := found.books.failed:
        counted = ", ".join(f"{kind} {number}" for kind, number in sorted(failed.items()))
        assert found.code != 0 or f"{failed.total()} calls got no answer ({counted})" in found.printed
        assert found.asked_later >= failed.total()
    assert found.later == 0, found.printed
    if fault not in KEPT:
        assert found.afterwards == unbroken.made


def assert_books_agree(found: Broken, fault: str) -> None:
    """Calls and tokens in the ledger are the server's own; an endpoint that goes may take some unread with it."""
    asked = len(found.log)
    unread = SLOTS * HITS if fault == "gone" else 0
    assert asked <= found.books.calls <= asked + unread
    assert found.books.tokens == told(found.log)


def assert_key_is_nowhere(found: Broken) -> None:
    """Nor any part of it that could be made use of."""
    assert any(entry.authorization == f"Bearer {KEY}" for entry in found.log)
    pieces = {KEY[start : start + 16] for start in range(len(KEY) - 15)}
    assert not [piece for piece in pieces if piece.encode() in found.bytes]


def assert_retry_after_is_kept(log: tuple[Entry, ...]) -> None:
    """No request comes before its time, but for those that were on their way when the server said so."""
    for entry in log:
        if entry.retry_after is None or entry.left is None:
            continue
        until = entry.left + 1.0
        early = [other for other in log if entry.left < other.arrived < until]
        assert all(other.request != entry.request for other in early)
        assert len(early) < SLOTS
