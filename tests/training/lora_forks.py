"""training/lora.py in processes of its own without the seconds that its imports take, to be killed at any point.

A server process makes the imports once and forks a child for each training. A child counts what it does: every step of
the loop, and every file opened, renamed, made or removed below its output folder. It can kill itself at one of these.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "training" / "lora.py"
FILES = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "os.chmod"}
PATIENCE = 120.0


class LoraForks:
    """Open with `with`; gives (exit code, what was printed, points passed) of each training."""

    def __enter__(self) -> LoraForks:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)

    def run(
        self, arguments: list[str], *, at: int | None = None, number: int = signal.SIGKILL
    ) -> tuple[int, str, list[str]]:
        """Train; with `at`, the child sends itself the signal when it passes that point, counted from 1."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        out = Path(arguments[arguments.index("--out") + 1])
        out.mkdir(parents=True, exist_ok=True)
        told = {"arguments": arguments, "out": str(out), "at": at, "number": number}
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())
        printed, points = out.parent / f"{out.name}.printed", out.parent / f"{out.name}.points"
        return code, printed.read_text(), points.read_text().split("\n")


def serve() -> None:
    spec = importlib.util.spec_from_file_location("training_lora", SCRIPT)
    assert spec
    assert spec.loader
    lora = importlib.util.module_from_spec(spec)
    sys.modules["training_lora"] = lora
    spec.loader.exec_module(lora)
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            train(lora, told)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def train(lora: object, told: dict[str, object]) -> None:
    out = str(told["out"])
    printed = os.open(out + ".printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    points = os.open(out + ".points", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    passed = 0

    def passing(what: str) -> None:
        nonlocal passed
        passed += 1
        os.write(points, f"{what}\n".encode())
        if passed == told["at"]:
            os.kill(os.getpid(), told["number"])  # type: ignore[arg-type]

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event in FILES and any(isinstance(one, str | os.PathLike) and out in str(one) for one in arguments[:2]):
            passing(f"{event} {arguments[0]}".replace(out, ""))

    def stepping(*arguments: object, **named: object) -> object:
        passing("step")
        return backward(*arguments, **named)

    backward = lora.backward  # type: ignore[attr-defined]
    lora.backward = stepping  # type: ignore[attr-defined]
    sys.addaudithook(heard)
    sys.argv = [str(SCRIPT), *told["arguments"]]  # type: ignore[misc]
    code = 70
    try:
        code = lora.main()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - whatever it is, it is to be seen
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
