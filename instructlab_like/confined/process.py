"""This side of a confined process: start a worker, put requests to it within limits, and leave nothing of it behind.

A worker has 2 s of processor time and 256 MB for a leaf's batch. Processor time is what the 2 s are about: a template
cannot sleep, and on a busy machine the clock runs on while the worker waits for its turn. The clock is the outer bound,
fifteen times as much. A bare worker takes 0.07 s of processor time to start, and 26 MB of address space.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from itertools import accumulate
from json import dumps
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from pydantic import TypeAdapter, ValidationError

from instructlab_like.confined.plain import NotPlainError
from instructlab_like.confined.sandbox import tree_of
from instructlab_like.confined.wire import OUT_OF_MEMORY, Bounds, Look, Looks, Rendered
from instructlab_like.errors import StoppedError, TemplateError

SECONDS = 2.0  # of processor time for a leaf's batch
BATCH = 400  # samples or prompts; a larger batch has more time
MEMORY = 256  # MB of address space
PATIENCE = 15.0  # seconds by the clock for each of processor time, at least for SECONDS of them
CALLS, REQUEST = 512, 4_000_000  # of one request, and characters after which it is full
REPLY = 32_000_000  # bytes, more than a reply of the worker's own can hold
CHUNK = 65_536
PARTS = ("jinja2", "markupsafe", "instructlab_like")  # what a worker imports beside the standard library
# Nothing that is imported is garbage: without collections the start takes a sixth less.
START = """\
import gc, sys
gc.disable()
sys.path += sys.argv[3:]
from instructlab_like.confined.worker import main
main(float(sys.argv[1]), int(sys.argv[2]))
"""
OVERSPENT = (-signal.SIGPROF, -signal.SIGXCPU)  # by the timer, by the limit behind it
LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # without which some Pythons do not start

Values = Mapping[str, object]
Reply = TypeVar("Reply")
LOOKS, RENDERED = TypeAdapter(Looks), TypeAdapter(Rendered)


class Confined:
    """Templates in a process of their own, which ends with the `with` block.

    `looks` says of each source what is wrong with it and which names it takes; only a source without a flaw can be
    rendered. Whatever takes more than it may is a TemplateError that names `where`.
    """

    looks: tuple[Look, ...]

    def __init__(
        self, sources: Sequence[str], bounds: Bounds, *, where: str, seconds: float = SECONDS, memory: int = MEMORY
    ) -> None:
        self.where = where
        self.seconds = seconds
        self.memory = memory
        self.patience = PATIENCE * max(SECONDS, seconds)
        self.bounds = bounds
        self.sources = sources
        self.spent = 0.0  # processor time of its renderings so far, as the worker says

    def __enter__(self) -> Confined:
        self.process = _started(self.seconds, self.memory)
        try:
            os.set_blocking(_pipes(self.process)[0].fileno(), False)
            asked = {"bounds": asdict(self.bounds), "sources": self.sources}
            self.looks = self._answer(dumps(asked), LOOKS).looks
            if len(self.looks) != len(self.sources):
                raise self._strange()
            for look in self.looks:
                if look.plain is not None:
                    tree_of(look.plain, self.bounds)
        except NotPlainError as error:
            strange = self._strange()
            self._end()
            raise strange from error
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    @property
    def overspent(self) -> bool:
        """Whether it ended because its processor time was used up."""
        return self.process.returncode in OVERSPENT

    def render(self, calls: Sequence[tuple[int, Values]]) -> Rendered:
        """The text of each call, the number of a source and its values, up to the first that fails."""
        texts: list[str] = []
        written = [dumps(call) for call in calls]
        while len(texts) < len(calls):
            asked = _portion(written[len(texts) :])
            reply = self._answer(f'{{"calls": [{", ".join(asked)}]}}', RENDERED)
            if len(reply.texts) + (reply.failure is not None) not in range(1, len(asked) + 1):
                raise self._strange()
            texts += reply.texts
            self.spent = reply.spent
            if reply.failure:
                return Rendered(tuple(texts), reply.failure)
        return Rendered(tuple(texts))

    def _answer(self, asked: str, form: TypeAdapter[Reply]) -> Reply:
        began = time.monotonic()
        line = self._exchange(asked.encode() + b"\n", until=began + self.patience)
        self.patience -= time.monotonic() - began
        try:
            return form.validate_json(line)
        except ValidationError as error:
            raise self._strange() from error

    def _exchange(self, request: bytes, *, until: float) -> bytes:
        """Write a request and read a line, so that neither side can keep the other waiting."""
        stdin, stdout, _ = _pipes(self.process)
        waiting, line = memoryview(request), bytearray()
        waiting = waiting[_written(stdin, waiting) :]
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        if waiting:
            poll.register(stdin, select.POLLOUT)
        while ready := poll.poll(1000 * max(0.0, until - time.monotonic())):
            for descriptor, _ in ready:
                if descriptor == stdin.fileno():
                    waiting = waiting[_written(stdin, waiting) :]
                    if not waiting:
                        poll.unregister(stdin)
                    continue
                read = os.read(descriptor, CHUNK)
                line += read
                if not read:
                    raise self._ended()
                if len(line) > REPLY:
                    raise self._strange()
                if line.endswith(b"\n"):
                    return bytes(line)
        what = "gives no answer in time, though the processor time it may use is not spent"
        raise TemplateError(what, where=self.where, fix="try again when the machine is less busy")

    def _end(self) -> str:
        """Kill the worker with all that it may have started, wait for it; the last line of its complaints."""
        stdin, stdout, stderr = _pipes(self.process)
        if stdin.closed:
            return ""
        with suppress(ProcessLookupError, PermissionError):  # it has ended already, and waits to be waited for
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.set_blocking(stderr.fileno(), False)
        said = stderr.read(CHUNK) or b""
        for pipe in (stdin, stdout, stderr):
            pipe.close()
        return said.decode(errors="replace").strip().rpartition("\n")[2]

    def _ended(self) -> TemplateError:
        """Why the worker ended of itself: its status was settled before its pipe closed, and no kill changes it."""
        said = self._end()
        status = self.process.returncode
        if self.overspent:
            what = f"needs more than {self.seconds:g} s of processor time"
            return TemplateError(what, where=self.where, fix="loop less in the templates")
        if status == OUT_OF_MEMORY:
            what = f"needs more than {self.memory} MB of memory"
            return TemplateError(what, where=self.where, fix="build smaller values in the templates")
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        what = f"ends the process that renders it ({how}{': ' if said else ''}{ascii(said)[1:-1]})"
        return TemplateError(what, where=self.where, fix="simplify the templates; if they are sound, report this")

    def _strange(self) -> TemplateError:
        what = "makes the process that renders it answer something else than was asked"
        return TemplateError(what, where=self.where, fix="simplify the templates; if they are sound, report this")


def seconds_for(count: int) -> float:
    """The processor time that a batch of so many samples or prompts has."""
    return SECONDS * max(1, math.ceil(count / BATCH))


def _started(seconds: float, memory: int) -> subprocess.Popen[bytes]:
    """A worker in a session of its own, with no environment, no descriptor but its pipes, and a folder that is gone."""
    if find_spec("resource") is None:
        what = "templates cannot be confined on this system, which does not limit processes"
        raise StoppedError(what, fix="use Linux or macOS; on Windows, WSL")
    try:
        with tempfile.TemporaryDirectory(prefix="ilk-") as empty:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, str(seconds), str(memory * 1024 * 1024), *_folders()],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=empty,
                env={name: os.environ[name] for name in LOADER if name in os.environ},
                start_new_session=True,
            )
    except OSError as error:
        what = f"no process can be started to render templates in: {error.strerror}"
        raise StoppedError(what, fix="free memory or processes, then run the same again") from error


def _portion(calls: Sequence[str]) -> list[str]:
    """The first of the calls, as many as go into one request."""
    lengths = accumulate(map(len, calls[:CALLS]), initial=0)
    return [call for call, before in zip(calls, lengths, strict=False) if before < REQUEST]


def _folders() -> list[str]:
    """Where a worker finds what it imports; without `site` it does not look for packages itself."""
    origins = [spec.origin for name in PARTS if (spec := find_spec(name)) and spec.origin]
    return list(dict.fromkeys(str(Path(origin).resolve().parents[1]) for origin in origins))


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    return process.stdin, process.stdout, process.stderr


def _written(pipe: IO[bytes], waiting: memoryview) -> int:
    """How much of the request the pipe took, all of it when nobody reads any more."""
    try:
        return os.write(pipe.fileno(), waiting[:CHUNK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(waiting)
