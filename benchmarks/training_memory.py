"""What training takes in memory as estimated, against the peak of real LoRA steps, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from instructlab_like.tuning import estimate

RANK = 16
REPEATED = 2  # rows, of which the second meets the gradients of the first, as in every step of several rows


@dataclass(frozen=True)
class Case:
    """A random model of `kind`; `half`: in bfloat16 under autocast. `samples` share a row."""

    kind: str
    hidden: int
    inner: int
    layers: int
    heads: int
    shared: int
    vocabulary: int
    row: int
    half: bool = False
    trained: float = 0.5
    samples: int = 4
    dora: bool = False
    dropout: float = 0.0
    rank: int = RANK
    held: float | None = None  # OSF's effective rank, in the place of LoRA


CASES = (
    Case("llama", 256, 704, 4, 8, 8, 1536, 1024),
    Case("llama", 256, 704, 4, 8, 8, 1536, 4096),
    Case("llama", 256, 704, 4, 8, 8, 1536, 4096, half=True),
    Case("qwen3", 384, 1152, 6, 12, 4, 16000, 1024),
    Case("granite", 512, 1536, 8, 8, 4, 32000, 1024),
    Case("granite", 512, 1536, 8, 8, 4, 32000, 1024, half=True),
    Case("gemma3_text", 384, 1536, 6, 6, 2, 24000, 1024),
    Case("phi3", 512, 1408, 8, 8, 8, 16000, 1024),
    Case("phi", 512, 2048, 8, 8, 8, 16000, 1024),
    Case("llama", 512, 1408, 8, 8, 4, 16000, 512, dora=True),
    Case("llama", 512, 1408, 8, 8, 4, 16000, 1024, dropout=0.1),
    Case("qwen2", 768, 2048, 12, 12, 4, 50000, 512),
    Case("qwen2", 768, 2048, 12, 12, 4, 50000, 512, half=True),
    Case("llama", 1024, 2816, 20, 16, 8, 50000, 256),
    Case("llama", 1024, 2816, 20, 16, 8, 50000, 256, half=True),
    # Not among those from which the constants of the estimate were read off.
    Case("mistral", 640, 1728, 6, 10, 2, 20000, 768),
    Case("olmo2", 512, 1408, 4, 8, 8, 12000, 2048, half=True),
    Case("llama", 1024, 2816, 3, 16, 4, 16000, 3072),
    Case("llama", 512, 1408, 6, 8, 8, 16000, 512, held=0.5),
    Case("llama", 1024, 2816, 3, 16, 4, 16000, 1024, held=0.5),
    Case("qwen2", 768, 2048, 6, 12, 4, 16000, 512, half=True, held=0.9),
)


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--case":
        print(json.dumps(measured(Case(**json.loads(sys.argv[2])))))
        return
    print(f"  {'model':<12} {'parameters':>11} {'dtype':<9} {'row':>5}  {'estimate':>9}  {'measured':>9}  error")
    worst = 0.0
    for case in CASES:
        told, found, base = compare(case)
        expected = told.total - base
        error = expected / found - 1
        worst = max(worst, abs(error))
        extra = (" DoRA" if case.dora else "") + (" dropout" if case.dropout else "") + (" OSF" if case.held else "")
        print(
            f"  {case.kind:<12} {told.parameters / 1e6:>9.1f} M {'bfloat16' if case.half else 'float32':<9} "
            f"{case.row:>5}  {expected / 2**20:>6.0f} MB  {found / 2**20:>6.0f} MB  {error:+.0%}"
            f"{extra}  (process {base / 2**20:.0f} MB)",
            flush=True,
        )
    print(f"  largest error of the growth {worst:.0%}; one thread, CPU; GPUs are derived, not measured")


def compare(case: Case) -> tuple[estimate.Memory, int, int]:
    """The estimate of a case, and as measured: by how much the process grew, and what it took before."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training_memory", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=root())
    told = json.loads(done.stdout.splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(told["config"])
        shape = estimate.shape(Path(folder))
    memory = estimate.memory(
        shape,
        rank=case.rank,
        targets="all-linear",
        dora=case.dora,
        dtype_bytes=2 if case.half else 4,
        row_tokens=case.row,
        trained_tokens=int(case.row * case.trained),
        on_gpu=False,
        effective_rank=case.held,
        dropout=case.dropout > 0,
    )
    return memory, told["peak"] - told["before"], told["before"]


def root() -> Path:
    return Path(__file__).parents[1]


def measured(case: Case) -> dict[str, object]:
    """Take real steps on a random model in this process, and read its peak from the kernel."""
    # In the child alone: the parent must stay small, and the imports are what its `before` is about.
    import numpy as np
    import torch
    from accelerate.accelerator import Accelerator
    from peft import LoraConfig, OSFConfig, PeftConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from instructlab_like.tuning.loss import token_losses
    from instructlab_like.tuning.separate import forward, keep_apart, lay
    from instructlab_like.tuning.tokens import Encoded

    torch.set_num_threads(1)
    accelerator = Accelerator(mixed_precision="bf16" if case.half else "no", cpu=True)
    before = status("VmRSS")
    sizes = {
        "vocab_size": case.vocabulary,
        "hidden_size": case.hidden,
        "intermediate_size": case.inner,
        "num_hidden_layers": case.layers,
        "num_attention_heads": case.heads,
        "num_key_value_heads": case.shared,
        "head_dim": case.hidden // case.heads,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }
    config = AutoConfig.for_model(case.kind, **sizes, pad_token_id=0, bos_token_id=0, eos_token_id=0)
    whole = not case.half or case.held  # under OSF the base is in float32, whatever the precision of the step
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32 if whole else torch.bfloat16)
    keep_apart(model, torch.device("cpu"))
    adapter: PeftConfig = LoraConfig(
        task_type="CAUSAL_LM",
        r=case.rank,
        target_modules="all-linear",
        use_dora=case.dora,
        lora_dropout=case.dropout,
    )
    if case.held:
        adapter = OSFConfig(task_type="CAUSAL_LM", effective_rank=case.held, target_modules="all-linear")
    prepared = accelerator.prepare_model(get_peft_model(model, adapter))
    prepared.train()
    trained = [parameter for parameter in prepared.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # the moments are there from the second step on
    reset_peak()
    length = case.row // case.samples
    ids = np.random.default_rng(0).integers(1, case.vocabulary, case.row).reshape(case.samples, length)
    learnt = np.arange(length) >= length - int(length * case.trained)
    row = lay([Encoded(str(n), "leaf", one, learnt) for n, one in enumerate(ids)], torch.device("cpu"))
    for _ in range(REPEATED):
        accelerator.backward(token_losses(forward(prepared, row), row.targets).sum())
    optimizer.step()
    return {"before": before, "peak": status("VmHWM"), "config": config.to_json_string(use_diff=False)}


def status(name: str) -> int:
    """Bytes that the kernel reports of this process under a name."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


if __name__ == "__main__":
    main()
