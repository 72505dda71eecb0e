"""llama.cpp's own HTTP server on a loopback port, in a process of its own that ends with the block.

In a test: `with real_server(file) as url: ...`. By hand: `python tests/real_server.py model.gguf`.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
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
    try:
        url = child.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), log.read_text(errors="replace")
        yield url
    finally:
        child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
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
