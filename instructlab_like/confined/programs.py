"""Programs out of answers, run against their tests in a process of their own with limits.

What holds: processor time, memory, size of files, number of files and processes (rlimits; root may start processes all
the same), no environment, a folder that is gone afterwards, no network where the kernel grants a namespace (most Linux
systems); all that it started ends with it. What does not: it runs as the same user and can read what this user can
read; whatever else it is refused, it is refused by Python, which a program that sets out to can get around. Run
programs of strangers in a container.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from instructlab_like.errors import StoppedError

RUNNER = Path(__file__).with_name("running.py")
SECONDS = 2.0  # of processor time
MEMORY = 512  # MB of address space
PATIENCE = 30.0  # seconds by the clock for each of processor time; who waits that long waits for nothing
MOST = 100_000  # bytes of a report
OVERSPENT = (-signal.SIGPROF, -signal.SIGXCPU)  # by the timer, by the limit behind it
LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # without which some Pythons do not start

Outcome = Literal["passed", "failed", "broken", "missing", "refused", "input", "memory", "slow", "waits", "ended"]


@dataclass(frozen=True)
class Ran:
    """How a program went. `what`: the check that failed, the error, the missing module, or how many checks passed."""

    outcome: Outcome
    what: str = ""


REPORT = TypeAdapter(Ran)


def ran(program: str, checks: Sequence[str], *, seconds: float = SECONDS, memory: int = MEMORY) -> Ran:
    """Run a program and then its checks, further code or sessions with prompts; raises StoppedError without a process.

    Hashes are seeded, random numbers too, and nobody sleeps, so that a program fares the same every time.
    """
    if find_spec("resource") is None:
        what = "programs cannot be confined on this system, which does not limit processes"
        raise StoppedError(what, fix="use Linux or macOS; on Windows, WSL; or leave out the option run")
    asked = {"program": program, "checks": list(checks), "seconds": seconds, "memory": memory * 1024 * 1024}
    with tempfile.TemporaryDirectory(prefix="ilk-") as folder:
        process = _started(folder)
        try:
            said, in_time = _answer(process, json.dumps(asked).encode(), until=time.monotonic() + PATIENCE * seconds)
        finally:
            _end(process)
    if not in_time:
        return Ran("waits")
    if process.returncode in OVERSPENT:
        return Ran("slow")
    try:
        return REPORT.validate_json(said)
    except ValidationError:
        return Ran("ended", f"exit code {process.returncode}")


def _started(folder: str) -> subprocess.Popen[bytes]:
    """An interpreter without packages and environment, its own session's leader; -I would also ignore the seed."""
    try:
        return subprocess.Popen(
            [sys.executable, "-s", "-S", "-P", "-B", str(RUNNER)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0", **{name: os.environ[name] for name in LOADER if name in os.environ}},
            start_new_session=True,
        )
    except OSError as error:
        what = f"no process can be started to run a program in: {error.strerror}"
        raise StoppedError(what, fix="free memory or processes, then run the same again") from error


def _answer(process: subprocess.Popen[bytes], request: bytes, *, until: float) -> tuple[bytes, bool]:
    """What the process reports, and whether it ended in time; it reads all of the request before it does anything."""
    assert process.stdin
    assert process.stdout
    with suppress(BrokenPipeError):
        process.stdin.write(request)
        process.stdin.close()
    said = bytearray()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while poll.poll(1000 * max(0.0, until - time.monotonic())):
        read = os.read(process.stdout.fileno(), MOST)
        said += read
        if not read or len(said) > MOST:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, until - time.monotonic()))
            return bytes(said), process.returncode is not None
    return bytes(said), False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with all that it may have started, and wait for it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()
