"""An epoch of TRL's SFTTrainer: packed, padded, or with nothing set but what a CPU needs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from datasets import Dataset, disable_progress_bars
from measured import measured
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

PLAIN = {"bf16": False, "gradient_checkpointing": False}
ARMS: dict[str, dict[str, object]] = {
    "packed": {**PLAIN, "packing": True, "packing_strategy": "bfd", "per_device_train_batch_size": 1},
    "padded": {**PLAIN, "per_device_train_batch_size": 8},
    "shipped": {},
}


def main(folder: Path, row_tokens: int, arm: str) -> None:
    torch.set_num_threads(1)
    disable_progress_bars()
    told: dict[str, object] = {"max_length": row_tokens, "num_train_epochs": 1, "learning_rate": 2e-4, "use_cpu": True}
    quiet: dict[str, object] = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    with tempfile.TemporaryDirectory() as out:
        config = SFTConfig(output_dir=out, **told, **quiet, **ARMS[arm])
        trainer = SFTTrainer(
            model=str(folder / "model"),
            args=config,
            train_dataset=Dataset.from_json(str(folder / "chats.jsonl"), cache_dir=out),
            peft_config=LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"),
        )
        with measured():
            trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
