"""`ilk` in processes of their own without the second that its imports take: forked from one that has made them.

What is forked runs `instructlab_like.cli.main`, and can be killed like any process. It can also be told to kill itself
at a point that cannot be hit from outside, to have a clock that jumps, or less room on the disk: see `Twist`.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import pkgutil
import resource
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path

PATIENCE = 240.0  # seconds for one command
FAST = {  # what makes pauses short that are no part of what is tested: those that a server asks for stay
    "instructlab_like.generation.engine:FIRST_PAUSE": 0.01,
    "instructlab_like.generation.engine:LONGEST_PAUSE": 0.1,
    "instructlab_like.teachers.endpoints:FIRST_TRIAL": 0.02,
    "instructlab_like.teachers.endpoints:LONGEST_TRIAL": 0.2,
}
ROOMS = (
    "cli",
    "stages.generating.generate",
    "stages.telling.why",
    "teachers.http",
    "filters",
    "dataset",
    "generation",
    "taxonomy",
)


@dataclass(frozen=True)
class Twist:
    """What is unlike an ordinary process. `kill_at` counts audit events from 1: ("os.rename", 3), ("commit", 7)."""

    constants: Mapping[str, float] = field(default_factory=lambda: FAST)
    kill_at: tuple[str, int] | None = None
    after: bool = False  # of a commit: kill when it has returned, not before it is made
    clock: float = 0.0  # seconds by which the wall clock goes back whenever it is read
    largest_file: int | None = None  # bytes


class Child:
    def __init__(self, output: Path) -> None:
        self.output = output
        self.started: Future[int] = Future()
        self.ended: Future[int] = Future()

    def send(self, number: int) -> None:
        os.kill(self.started.result(PATIENCE), number)

    def wait(self) -> int:
        """The exit code; minus the signal's number if one ended it."""
        try:
            return self.ended.result(PATIENCE)
        except TimeoutError:
            self.send(signal.SIGKILL)
            raise AssertionError(f"did not end; so far: {self.printed}") from None

    @property
    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")


class Forks:
    """Open with `with`; `start` may be called from any thread."""

    def __enter__(self) -> Forks:
        self.children: dict[int, Child] = {}
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.listener = threading.Thread(target=self.listen)
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.listener.join(PATIENCE)

    def start(self, *words: str, cwd: Path, twist: Twist | None = None, **environment: str) -> Child:
        number = next(self.numbers)
        child = self.children[number] = Child(cwd / f"output-{number}.txt")
        told = {
            "number": number,
            "words": words,
            "cwd": str(cwd),
            "output": str(child.output),
            "environment": {**os.environ, "ILK_CACHE": str(cwd / "cache"), **environment},
            "twist": asdict(twist or Twist()),
        }
        assert self.process.stdin is not None
        assert self.process.poll() is None, "what forks the commands has ended; see what it printed"
        with self.lock:
            self.process.stdin.write(json.dumps(told).encode() + b"\n")
            self.process.stdin.flush()
        return child

    def run(self, *words: str, cwd: Path, twist: Twist | None = None, **environment: str) -> tuple[int, str]:
        """Exit code and all that it printed."""
        child = self.start(*words, cwd=cwd, twist=twist, **environment)
        return child.wait(), child.printed

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            child = self.children[told["number"]]
            if "pid" in told:
                child.started.set_result(told["pid"])
            else:
                child.ended.set_result(told["code"])
        for child in list(self.children.values()):  # it cannot even start, or is over
            for future in (child.started, child.ended):
                if not future.done():
                    future.set_exception(RuntimeError("what forks the commands has ended; see what it printed"))


# --- in the process that forks -----------------------------------------------------------------------------------


def serve() -> None:
    """Fork for each line that comes in; say when a child has begun and when it has ended. Ends with its input."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake)
    running: dict[int, int] = {}
    pending = b""
    while True:
        ready = select.select([0, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    say(number=running.pop(pid), code=os.waitstatus_to_exitcode(status))
        if 0 in ready:
            data = os.read(0, 2**16)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                told = json.loads(line)
                pid = os.fork()
                if not pid:
                    become(told)
                running[pid] = told["number"]
                say(number=told["number"], pid=pid)


def say(**told: int) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def become(told: dict) -> None:
    """Be the command; never returns."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(told["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv = ["ilk", *told["words"]]
    twisted(Twist(**told["twist"]))
    from instructlab_like.cli import main

    main()
    sys.exit(0)


def twisted(twist: Twist) -> None:
    for name, value in twist.constants.items():
        module, _, constant = name.partition(":")
        room = importlib.import_module(module)
        assert isinstance(getattr(room, constant), float), name
        setattr(room, constant, value)
    if twist.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (twist.largest_file, twist.largest_file))
    if twist.clock:
        begun, steps = time.time(), itertools.count()
        time.time = lambda: begun - twist.clock * next(steps)
    if twist.kill_at is not None:
        event, last = twist.kill_at
        if event == "commit":
            kill_at_commit(last, after=twist.after)
        else:
            counted = itertools.count(1)
            sys.addaudithook(lambda name, _: die() if name == event and next(counted) == last else None)


def kill_at_commit(last: int, *, after: bool) -> None:
    counted = itertools.count(1)
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            now = statement == "COMMIT" and next(counted) == last
            if now and not after:
                die()
            found = super().execute(statement, *values)
            if now:
                die()
            return found

    sqlite3.connect = lambda *told, **options: connect(*told, **{**options, "factory": Connection})


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def import_all() -> None:
    for room in ROOMS:
        module = importlib.import_module(f"instructlab_like.{room}")
        for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
            importlib.import_module(f"{module.__name__}.{found.name}")


if __name__ == "__main__":
    import_all()
    gc.freeze()  # so that collecting in a child does not copy what they share
    serve()
