"""The confined side: limits on itself, then templates looked at and rendered; a JSON line in, a JSON line out.

Nothing but the standard library and Jinja is imported here: a worker is started for every leaf's batch.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from typing import Any

from instructlab_like.confined.sandbox import Sandbox
from instructlab_like.confined.wire import OUT_OF_MEMORY, Bounds, Looks

FULL = 4_000_000  # characters of a reply
WARM_UP = Bounds(filters=("trim",), methods=(), source=100, weight=100, text=100)


def main(seconds: float, memory: int) -> None:
    """Serve requests until there are no more; `seconds` of processor time are left from here, `memory` is in bytes."""
    warm_up()
    gc.enable()
    confine(seconds, memory)
    try:
        serve()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def warm_up() -> None:
    """Have Python load what it loads on first use: once confined, it can open no file."""
    sandbox = Sandbox(WARM_UP)
    for source in ("{{ '\\x61'|trim ~ x }}", "{% for y in x %}{{ y.z }}{% endfor %}", "{{ x"):
        sandbox.look(source)
    sandbox.render([(0, {"x": "é"}), (1, {"x": "é"})])
    json.loads(json.dumps(Looks(()), default=vars))


def confine(seconds: float, memory: int) -> None:
    """Limit this process; without privileges it cannot lift a limit again.

    The timer is exact and counts from now; the limit in whole seconds stands behind it, should it be disarmed. macOS
    refuses to limit address space, so there the sandbox's bounds alone hold memory.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    for limited, most in (
        (resource.RLIMIT_NOFILE, 3),  # the three that are open
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _limit(limited, most)
    _limit(resource.RLIMIT_CPU, whole, spare=1)  # the kernel first says what the process dies of, then kills it
    try:
        _limit(resource.RLIMIT_AS, memory)
    except (OSError, ValueError):
        if sys.platform != "darwin":
            raise
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit(limited: int, most: int, *, spare: int = 0) -> None:
    """Set both limits, the hard one to `spare` more, or both to the hard one that is lower already."""
    _, hard = resource.getrlimit(limited)
    highest = most + spare if hard == resource.RLIM_INFINITY else min(most + spare, hard)
    resource.setrlimit(limited, (min(most, highest), highest))


def serve() -> None:
    """The first request names bounds and templates to look at, each further one calls to render."""
    asked = _request()
    if asked is None:
        return
    sandbox = Sandbox(Bounds(**asked["bounds"]))
    began = time.process_time()
    _answer(Looks(tuple(sandbox.look(source) for source in asked["sources"])))
    while (asked := _request()) is not None:
        rendered = sandbox.render(asked["calls"], until=FULL)
        _answer(replace(rendered, spent=time.process_time() - began))


def _request() -> dict[str, Any] | None:
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else None


def _answer(reply: object) -> None:
    sys.stdout.buffer.write(json.dumps(reply, default=vars).encode() + b"\n")
    sys.stdout.buffer.flush()
