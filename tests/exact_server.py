"""llama.cpp's server in full precision: without flash attention, which halves it on a CPU. Takes adapters, too.

In a test: `with exact_server(file, lora=adapter) as url: ...`. By hand: `python tests/exact_server.py model.gguf`.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import real_server
import xllamacpp


@contextmanager
def exact_server(file: Path, *, lora: Path | None = None) -> Iterator[str]:
    """The URL up to /v1 of a server with the model in `file`, and the adapter in `lora` on it."""
    log = file.with_suffix(".log")
    command = [sys.executable, __file__, str(file), *(["--lora", str(lora)] if lora else [])]
    with log.open("wb") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert child.stdout is not None
    with real_server.ended(child):
        url = child.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), log.read_text(errors="replace")
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lora", type=Path)
    args = parser.parse_args()
    told = real_server.parameters(args.file, 0)
    told.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if args.lora:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = str(args.lora)
        adapter.scale = 1.0
        told.lora_adapters = [adapter]
    server = xllamacpp.Server(told)
    print(f"{server.listening_address}/v1", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
