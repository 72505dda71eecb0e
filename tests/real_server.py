"""Real servers on a loopback port, each in a process of its own that ends with the block.

In a test: `with real_server(file) as url: ...` is llama.cpp's own, of a GGUF file; `with transformers_server(folder)
as url: ...` is `transformers serve`. By hand: `python tests/real_server.py model.gguf`.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xllamacpp

SLOTS = 4  # questions answered at once
GRACE = 30.0  # seconds to end


@contextmanager
def real_server(file: Path) -> Iterator[str]:
    """The URL up to /v1 of a server with the model in `file`; any model name will do there."""
    log = file.with_suffix(".log")
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, __file__, str(file)], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert child.stdout is not None
    with ended(child):
        url = child.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), log.read_text(errors="replace")
        yield url


@contextmanager
def transformers_server(folder: Path) -> Iterator[str]:
    """The URL up to /v1 of `transformers serve` with the model in `folder`; the model's name is the folder's path."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {
            "HF_HUB_CACHE": cache,  # listed under /models, and must be there
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONUNBUFFERED": "1",
        }
        command = "from transformers.cli.transformers import main; main()"
        told = ["serve", str(folder), "--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--dtype", "float32"]
        child = subprocess.Popen(
            [sys.executable, "-c", command, *told],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert child.stdout is not None
        with ended(child):
            lines = []
            for line in child.stdout:
                lines.append(line)
                found = re.search(r"running on (http://127\.0\.0\.1:[0-9]+)", line)
                if found:
                    break
            else:
                raise AssertionError("".join(lines))
            threading.Thread(target=child.stdout.read, daemon=True).start()  # or it would block when the pipe is full
            yield f"{found[1]}/v1"


@contextmanager
def ended(child: subprocess.Popen[str]) -> Iterator[None]:
    """End the process with the block."""
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def parameters(file: Path, port: int) -> xllamacpp.CommonParams:
    """Full precision all along, so that greedy text is that of transformers; one thread a question."""
    told = xllamacpp.CommonParams()
    told.model.path = str(file)
    told.hostnames = ["127.0.0.1"]
    told.port = port
    told.n_parallel = SLOTS
    told.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    told.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    told.cpuparams.n_threads = 1
    told.cpuparams_batch.n_threads = 1
    told.warmup = False
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    args = parser.parse_args()
    server = xllamacpp.Server(parameters(args.file, args.port))
    print(f"{server.listening_address}/v1", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
