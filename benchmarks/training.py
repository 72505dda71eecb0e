"""Our training loop beside TRL's: real tokens a CPU second and memory, on one thread, with one process a run.

The model is a random six-layer Llama of hidden size 256, the chats have log-normal lengths; TRL is put into an
environment of its own, over the torch, transformers and peft that are installed here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.peers.environments import UnavailableError, default_folder, told

TRL = "trl==1.16.0"
REPEATS = 3
CHATS = 64
ROW = 1024
WORDS = 1962
SHORTEST, LONGEST = 20, 800
SCRIPTS = Path(__file__).parent / "trl"
OURS = "this project, packed, kept apart"
TRL_ARMS = {
    "TRL, packing bfd": "packed",
    "TRL, padded batches of 8, float32, no checkpointing": "padded",
    "TRL as shipped: padded, bfloat16, checkpointing": "shipped",
}


@dataclass(frozen=True)
class Cost:
    cpu: float
    wall: float
    growth: float  # MB of resident memory, at most, over what was there before the first step


def main() -> None:
    if not Path("/proc/self/clear_refs").exists():
        sys.exit("benchmarks: the memory of a run is read from /proc, which only Linux has")
    arms: dict[str, list[str]] = {OURS: [sys.executable, str(SCRIPTS / "with_ours.py")]}
    try:
        python = str(interpreter(default_folder() / "trl"))
        arms |= {name: [python, str(SCRIPTS / "with_trl.py"), arm] for name, arm in TRL_ARMS.items()}
    except UnavailableError as error:
        print(f"  TRL cannot be had here: {error}")
    with tempfile.TemporaryDirectory(prefix="training-") as scratch:
        folder = Path(scratch)
        save_model(folder / "model")
        tokens = save_chats(folder / "chats.jsonl")
        print(f"  {CHATS} chats, {tokens:,} tokens; medians of {REPEATS} runs in turns, least and most in brackets")
        found: dict[str, list[Cost]] = {name: [] for name in arms}
        for _ in range(REPEATS):
            for name, (program, script, *rest) in arms.items():
                cost = run([program, script, str(folder), str(ROW), *rest])
                found[name].append(cost)
                print(f"    {name}: {cost.cpu:.1f} CPU s, {cost.wall:.1f} s, +{cost.growth:,.0f} MB", flush=True)
    show(found, tokens)


def run(command: list[str]) -> Cost:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **one_thread})
    if done.returncode:
        sys.exit(f"benchmarks: {' '.join(command)} failed:\n{done.stderr}")
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"cpu"'))
    return Cost(**json.loads(line))


def show(found: dict[str, list[Cost]], tokens: int) -> None:
    ours = found[OURS]
    for name, costs in found.items():
        speeds = sorted(tokens / cost.cpu for cost in costs)
        faster = statistics.median(other.cpu / own.cpu for own, other in zip(ours, costs, strict=True))
        growth = statistics.median(cost.growth for cost in costs)
        share = statistics.median(own.growth / other.growth for own, other in zip(ours, costs, strict=True))
        spread = f"({speeds[0]:,.0f}–{speeds[-1]:,.0f})"
        print(
            f"  {name:<52} {statistics.median(speeds):7,.0f} tokens a CPU s {spread:<15} +{growth:5,.0f} MB"
            + ("" if name == OURS else f"   ours: {faster:.2f} × the tokens, {share:.2f} × the memory")
        )


def interpreter(home: Path) -> Path:
    """A Python that has TRL, over the packages of the one that runs now. Raises UnavailableError."""
    here = sysconfig.get_paths()["purelib"]
    stamp, wanted = home / "made.sha256", hashlib.sha256(f"{TRL} {here} {sys.version}".encode()).hexdigest()
    python = home / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    print(f"  installing {TRL} into {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    told(sys.executable, "-m", "venv", str(home))
    told(str(python), "-m", "pip", "install", "--quiet", "--no-deps", TRL)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (home / "lib" / version / "site-packages" / "over.pth").write_text(here)
    told(str(python), "-c", "from trl import SFTTrainer")
    stamp.write_text(wanted)
    return python


def save_model(folder: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2 * ROW,
        tie_word_embeddings=True,
    )
    transformers.utils.logging.disable_progress_bar()
    LlamaForCausalLM(config).save_pretrained(folder)
    unknown, end, padding = "w0", "w1", "w2"
    words = Tokenizer(models.WordLevel({f"w{number}": number for number in range(WORDS)}, unk_token=unknown))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token=end, pad_token=padding).save_pretrained(folder)


def save_chats(path: Path) -> int:
    """Lengths as of real chats: median 118 tokens, the last two thirds an answer. Returns the tokens of all."""
    generator = np.random.default_rng(0)
    lengths = generator.lognormal(np.log(118), 0.85, CHATS).clip(SHORTEST, LONGEST).astype(int).tolist()
    lines = []
    for length in lengths:
        ids = generator.integers(3, WORDS, length).tolist()
        asked = length // 3
        lines.append(json.dumps({"input_ids": ids, "labels": [-100] * asked + ids[asked:]}))
    path.write_text("\n".join(lines) + "\n")
    return sum(lengths)


if __name__ == "__main__":
    main()
