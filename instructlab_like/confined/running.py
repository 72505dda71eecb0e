"""The confined side of a program: limits on itself, then the program and its tests, and one line about how they went.

Run as a script by `programs`; nothing but the standard library is imported, and nothing of this package.
"""

from __future__ import annotations

import ast
import ctypes
import doctest
import gc
import io
import json
import math
import os
import random
import resource
import signal
import sys
import time
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
OPEN_FILES = 32
FILE_SIZE = 1_000_000
SHOWN = 300  # characters of what went wrong
# What a program may not do here, so that it fares alike where no kernel keeps it from it.
REFUSED = (
    *("socket.", "subprocess.", "pty.spawn"),
    *(f"os.{name}" for name in ("exec", "fork", "posix_spawn", "spawn", "system", "kill")),
    *("ctypes.", "signal.", "urllib.", "ftplib.", "smtplib.", "webbrowser.", "resource."),
)
CHANGING = frozenset(  # allowed in its own folder
    ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate")
)


class RefusedError(PermissionError):
    pass


def main() -> None:
    """Read the program from standard input, as JSON, and write how it went to standard output, which it never sees."""
    asked = json.loads(sys.stdin.buffer.read())
    report = os.fdopen(os.dup(1), "w")
    sys.stdin = io.StringIO("")
    silence()
    confine(asked["seconds"], asked["memory"])

    def tell(outcome: str, what: str) -> NoReturn:
        report.write(json.dumps({"outcome": outcome, "what": what[:SHOWN]}))
        report.flush()
        leave()

    def broken(kind: type[BaseException], error: BaseException, _trace: object) -> None:
        tell("broken", f"{kind.__name__}: {error}")

    sys.excepthook = broken  # whatever else a program raises
    tell(*run(asked["program"], asked["checks"]))


def leave() -> NoReturn:
    """End at once: threads and exit handlers of the program have no say."""
    os._exit(0)


def silence() -> None:
    """What the program prints is nobody's business, and may not fill a disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def confine(seconds: float, memory: int) -> None:
    """Limit processor time, memory, files and processes, and leave the network, where the kernel lets it."""
    no_network()
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    for limited, most in (
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, whole),
    ):
        limit(limited, most)
    try:
        limit(resource.RLIMIT_AS, memory)
    except (OSError, ValueError):
        if sys.platform != "darwin":
            raise
    signal.setitimer(signal.ITIMER_PROF, seconds)


def limit(limited: int, most: int) -> None:
    _, hard = resource.getrlimit(limited)
    highest = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limited, (highest, highest))


def no_network() -> None:
    """A network namespace of its own, with nothing in it; Linux lets most users have one, not all."""
    if not sys.platform.startswith("linux"):
        return
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is not None and unshare(NEW_USER | NEW_NETWORK):
        unshare(NEW_NETWORK)


def run(program: str, checks: list[str]) -> tuple[str, str]:
    """How the program and its checks went, and what is to be said of it."""
    steady()
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    sys.addaudithook(refuse())
    try:
        return checked(module, program, checks)
    except AssertionError as error:
        return "failed", asserted(error, program, checks)
    except ModuleNotFoundError as error:
        return "missing", str(error.name)
    except RefusedError as error:
        return "refused", str(error)
    except EOFError:
        return "input", ""
    except MemoryError:
        return "memory", ""
    except SystemExit as error:
        return "broken", f"it exits with {error.code!r}"


def checked(module: types.ModuleType, program: str, checks: list[str]) -> tuple[str, str]:
    names = module.__dict__
    execute(program, names, called="answer")
    count = asserts_in(program)
    sessions = [check for check in checks if not parses(check)]
    for number, check in enumerate(checks):
        if check not in sessions:
            execute(check, names, called=f"check {number}")
            count += asserts_in(check)
    for failed, more in (examples(module, sessions), functions(module), cases(module)):
        count += more
        if failed:
            return "failed", failed
    return "passed", str(count)


def steady() -> None:
    """What differs from run to run is the same in each, as far as it is known; nobody waits."""
    random.seed(0)
    time.sleep = lambda _seconds: None
    gc.collect()
    sys.setrecursionlimit(1000)


def refuse() -> Callable[[str, tuple[Any, ...]], None]:
    """A hook that keeps the program to its own folder; Python calls it before it does what may touch anything else."""
    own = Path.cwd().resolve()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(REFUSED):
            raise RefusedError(event)
        if event in CHANGING or (event == "open" and written(arguments)):
            for argument in arguments[:2] if event != "open" else arguments[:1]:
                if isinstance(argument, str | bytes) and not inside(os.fsdecode(argument), own):
                    raise RefusedError("a change to a file outside its own folder")

    return hook


def inside(path: str, own: Path) -> bool:
    return path == os.devnull or Path(path).resolve().is_relative_to(own)


def written(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = (*arguments, None, None)[:3]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def execute(source: str, names: dict[str, Any], *, called: str) -> None:
    exec(compile(source, called, "exec", dont_inherit=True), names)  # noqa: S102 - what this process is for


def asserts_in(source: str) -> int:
    return sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))


def asserted(error: AssertionError, program: str, checks: list[str]) -> str:
    """The assertion that failed, as it is written."""
    sources = {"answer": program} | {f"check {number}": check for number, check in enumerate(checks)}
    trace, line, source = error.__traceback__, 0, ""
    while trace:
        if (called := trace.tb_frame.f_code.co_filename) in sources:
            line, source = trace.tb_lineno, sources[called]
        trace = trace.tb_next
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or line):
            return " ".join(ast.unparse(node).split())
    return f"an assertion: {error}"


def examples(module: types.ModuleType, sessions: list[str]) -> tuple[str, int]:
    """Sessions with a prompt, in docstrings and on their own."""
    found = doctest.DocTestFinder(recurse=True).find(module, "answer", module, module.__dict__)
    parser = doctest.DocTestParser()
    found += [parser.get_doctest(source, module.__dict__, "session", None, 0) for source in sessions]
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    count = 0
    for test in found:
        said = io.StringIO()
        result = runner.run(test, out=said.write, clear_globs=False)
        count += result.attempted
        if result.failed:
            return " ".join(said.getvalue().split("\n", 2)[-1].split()), count
    return "", count


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def functions(module: types.ModuleType) -> tuple[str, int]:
    """Functions called test_…, without arguments, as pytest would run them."""
    count = 0
    for name, value in list(vars(module).items()):
        if name.startswith("test_") and isinstance(value, types.FunctionType) and not value.__code__.co_argcount:
            value()
            count += 1
    return "", count


def cases(module: types.ModuleType) -> tuple[str, int]:
    """Test cases of unittest."""
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(value)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value is not unittest.TestCase
    )
    result = unittest.TestResult()
    suite.run(result)
    for case, trace in (*result.failures, *result.errors):
        return f"{case.id().removeprefix('answer.')}: {trace.strip().splitlines()[-1]}", result.testsRun
    return "", result.testsRun


if __name__ == "__main__":
    main()
