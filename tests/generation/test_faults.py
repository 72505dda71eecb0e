"""No fault of a teacher costs an answer: every fault at every stage of a run, held against the server's own log."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from faults import NAMED, Fault, failing
from ilk_forks import Forks
from ilk_process import ilk
from run_books import Books, assert_nothing_vanished, books, received, told
from server import Arrival, Entry, TeacherServer, chance
from small_run import COMMAND, KEY, SLOTS, Unbroken, made_of, recipe, unbroken_run, workspace
from small_tree import UNICODE
from teacher_answers import answered

from instructlab_like.records import Sample, Verdict
from instructlab_like.workspace import Run, read_records

TIMEOUT = 2.0  # seconds, where a server may say nothing
HITS = 4  # requests that get a fault
TOLD_WRONG = ("redirect", "401", "404")  # no matter which prompt is asked: the run ends, to be gone on with
KEPT = ("empty", "null", "length")  # what an answer is worth that is no answer: asked anew, or rejected with a reason
REFUSING = ("400",)  # this prompt, here and now
NOTHING = Books(0, 0, 0, (0, 0), {}, Counter())
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
            lost=after.lost - before.lost,
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
        assert_retry_after_is_kept(found.log, found.books)


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
    """Calls and tokens in the ledger are the server's own.

    An endpoint that goes takes some with it that it never read; where a run ends early the ledger says how many of
    its calls may not have been sent.
    """
    asked = len(found.log)
    unsure = SLOTS * HITS if fault == "gone" else found.books.lost
    assert found.code != 0 or found.books.lost == 0
    assert asked <= found.books.calls <= asked + unsure
    charged = told(found.log)
    if found.code == 0:
        assert found.books.tokens == charged
    dearest = sorted((entry.completion_tokens for entry in found.log), reverse=True)
    assert 0 <= charged[1] - found.books.tokens[1] <= sum(dearest[: found.books.lost])


def assert_key_is_nowhere(found: Broken) -> None:
    """Nor any part of it that could be made use of."""
    assert any(entry.authorization == f"Bearer {KEY}" for entry in found.log)
    pieces = {KEY[start : start + 16] for start in range(len(KEY) - 15)}
    assert not [piece for piece in pieces if piece.encode() in found.bytes]


def assert_retry_after_is_kept(log: Sequence[Entry], found: Books) -> None:
    """No request comes before its time, but for those that were on their way when the server said so."""
    for entry in log:
        if entry.retry_after is None or entry.left is None:
            continue
        until = entry.left + 1.0
        early = [other for other in log if entry.left < other.arrived < until]
        assert len(early) < SLOTS
        if entry.request not in found.probed_digests:  # a probe asks one question twice at the same time
            assert all(other.request != entry.request for other in early)


# --- one prompt, one server, one answer ---------------------------------------------------------------------------


def poisoned(fault: Fault) -> Callable[[Arrival], Fault | None]:
    """The first prompts of one leaf, each time that they come."""

    def choose(arrival: Arrival) -> Fault | None:
        return fault if "Greet – politely".encode() in arrival.body and b"Write 2 new" in arrival.body else None

    return choose


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("400", "refused"),
        ("500", "server_error"),
        ("429", "rate_limit"),
        ("reset", "reset"),
        ("cut", "reset"),
        ("broken-json", "malformed"),
        ("html", "malformed"),
        ("huge", "malformed"),
        ("empty", "empty"),
        ("hang", "timeout"),
    ],
)
def test_a_prompt_that_always_fails_costs_its_own_rows_and_no_others(
    fault: str, kind: str, forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    with TeacherServer(choose=poisoned(NAMED[fault])) as server:
        run = workspace(tmp_path, recipe(server.url, retries=1, timeout=1.0 if fault == "hang" else 60.0))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, PLANTED_KEY=KEY)
        assert code == 0, printed
        assert_nothing_vanished(run)
        samples = {sample.id for sample in read_records(run.samples, Sample)}
        assert samples == {name for name, sample in unbroken.samples.items() if sample.lineage.leaf != UNICODE}
        failed = [verdict for verdict in read_records(run.verdicts, Verdict) if verdict.leaf == UNICODE]
        assert len(failed) == 2
        assert all(not verdict.keep and f"no answer ({kind})" in verdict.reason for verdict in failed)
        assert f"2 calls got no answer ({kind} 2)" in printed
        before = server.requests
        assert before == books(run).calls
        server.choose = lambda _: None
        code, printed = forks.run(*COMMAND, cwd=tmp_path, PLANTED_KEY=KEY)
    assert code == 0, printed
    assert made_of(run) == unbroken.made
    own = sum(sample.lineage.leaf == UNICODE for sample in unbroken.samples.values())
    assert 2 <= server.requests - before <= 2 + 4 * own


def stopped_and_resumed(
    choose: Callable[[TeacherServer, Arrival], Fault | None], forks: Forks, folder: Path, unbroken: Unbroken
) -> str:
    """What a run prints that cannot go on; with a server that is well it then comes to the same dataset."""
    with TeacherServer() as server:
        server.choose = lambda arrival: choose(server, arrival)
        run = workspace(folder, recipe(server.url, patience=0.3))
        code, printed = forks.run(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
    assert code == 3, printed
    assert "Traceback" not in printed
    assert "run the same command again" in printed
    committed = set(books(run).committed.values())
    with TeacherServer() as server:
        workspace(folder, recipe(server.url, patience=0.3))
        code, after = forks.run(*COMMAND, cwd=folder, PLANTED_KEY=KEY)
    assert code == 0, after
    assert not committed & set(received(server))
    assert made_of(run) == unbroken.made
    return printed


def test_a_server_that_goes_for_good_ends_the_run_which_can_be_gone_on_with(
    forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    def gone(_: TeacherServer, arrival: Arrival) -> Fault | None:
        return Fault("gone", seconds=3600) if arrival.served == unbroken.requests // 2 else None

    assert "no answer for 0.3 s" in stopped_and_resumed(gone, forks, tmp_path, unbroken)


def test_a_server_that_wants_an_hours_peace_gets_it(forks: Forks, unbroken: Unbroken, tmp_path: Path) -> None:
    asked_after: list[Entry] = []

    def tired(server: TeacherServer, arrival: Arrival) -> Fault | None:
        asked_after[:] = [entry for entry in server.log if entry.retry_after]
        return failing(429, retry_after="3600") if arrival.served >= unbroken.requests // 2 else None

    assert "3600 s" in stopped_and_resumed(tired, forks, tmp_path, unbroken)
    assert len(asked_after) < SLOTS, "it was asked again"


def test_a_server_that_refuses_everything_is_not_asked_everything(
    forks: Forks, unbroken: Unbroken, tmp_path: Path
) -> None:
    asked: list[int] = []

    def refusing(_: TeacherServer, arrival: Arrival) -> Fault | None:
        asked.append(arrival.number)
        return NAMED["400"]

    stopped_and_resumed(refusing, forks, tmp_path, unbroken)
    assert len(asked) < 10 + 2 * SLOTS + 16  # a probe's questions are among them


def test_a_key_that_comes_back_in_an_answer_is_not_kept(forks: Forks, tmp_path: Path) -> None:
    def telling(request: dict) -> str:
        return answered(request).replace("[QUESTION 1]\n", f"[QUESTION 1]\nIs it {KEY}? ")

    with TeacherServer(answer=telling) as server:
        run = workspace(tmp_path, recipe(server.url))
        code, printed = forks.run(*COMMAND, cwd=tmp_path, PLANTED_KEY=KEY)
    assert code == 0, printed
    assert "Is it" in run.samples.read_text(encoding="utf-8")
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_servers_own_log_agrees_with_the_ledger_over_a_bad_day(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server and command each in a process of their own, as a user starts them, with the pauses that they have."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    bad = (
        "500:0.08",
        "429-seconds:0.02",
        "503-seconds:0.02",
        "cut:0.04",
        "reset:0.04",
        "broken-json:0.04",
        "close:0.03",
    )
    words = [word for fault in bad for word in ("--fault", fault)]
    with serving("--latency", "0.005", "--tail", "0.05:0.1", *words, "--log", str(tmp_path / "log")) as url:
        run = workspace(tmp_path, recipe(url))
        printed = ilk(*COMMAND, cwd=tmp_path)
    log = [Entry(**json.loads(line)) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert len({entry.done for entry in log}) > 4
    assert made_of(run) == unbroken.made, printed
    found = books(run)
    assert found.calls == len(log)
    assert found.tokens == told(log)
    assert_retry_after_is_kept(log, found)


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """The URL of the test server as its command line starts it; its log is whole when the block has ended."""
    command = [sys.executable, str(Path(__file__).parents[1] / "server.py"), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.terminate()
            child.wait(60)
