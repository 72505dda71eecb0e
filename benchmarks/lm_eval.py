"""Multiple choice beside lm-evaluation-harness: documents a CPU second, several adapters, start-up; the same answers.

The model is a random six-layer Llama of hidden size 256 whose output layer is a fifth of its weights, as in models of
1B; one thread, float32, batches of 32 in both. The harness is put into an environment of its own, over the torch,
transformers and peft that are installed here, and runs through its Python interface without its own task tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.peers.environments import UnavailableError, default_folder, told
from instructlab_like.dataset import formats
from instructlab_like.dataset.formats import Asked
from instructlab_like.evaluation import choices, score
from instructlab_like.evaluation.items import item_id
from instructlab_like.records import Item
from instructlab_like.stages.exporting.export import as_asked
from instructlab_like.workspace import write_records

HARNESS = "lm_eval==0.4.13"
REPEATS = 5
DOCUMENTS = 100
BATCH = 32
WORDS = 4096
ADAPTERS = ("one", "two", "three", "four")
SCRIPTS = Path(__file__).parent / "harness"
KINDS = {
    "letters": "four options listed, their letters weighed",
    "texts": "four options of one to eight words, weighed",
}
TREE = (
    "import time; from lm_eval.tasks import TaskManager; before = time.process_time(); TaskManager();"
    "print(time.process_time() - before)"
)
SPECIAL = ("<|end|>", "<|user|>", "<|assistant|>")
TEMPLATE = "{% for one in messages %}<|{{ one.role }}|>{{ one.content }}<|end|>{% endfor %}<|assistant|>"


@dataclass(frozen=True)
class Cost:
    scored: float  # CPU seconds from a loaded model to scores
    whole: float  # of the process
    taken: dict[str, list[int]]  # the options' places, by model


def main() -> None:
    try:
        harness = str(interpreter(default_folder() / "lm-eval"))
    except UnavailableError as error:
        sys.exit(f"benchmarks: lm-evaluation-harness cannot be had here: {error}")
    with tempfile.TemporaryDirectory(prefix="lm-eval-") as scratch:
        folder = Path(scratch)
        save_models(folder)
        for kind in KINDS:
            save_items(folder, kind)

        print(f"  {DOCUMENTS} questions of each kind; {REPEATS} rounds in turns, medians, least and most in brackets")
        bench = Bench(folder, harness)
        for kind, what in KINDS.items():
            show_single(what, [bench.single(kind, number) for number in range(REPEATS)])
        show_several([bench.several(number) for number in range(REPEATS)])
        tree = [float(alone(harness, "-c", TREE)) for _ in range(3)]
        print(f"  the harness's own task tree, where it is loaded in addition: {spread(tree, '.1f')} CPU s")


@dataclass(frozen=True)
class Bench:
    """Both programs on the same files. What is taken is compared in the first round; it is the same in all of them."""

    folder: Path
    harness: str

    def ours(self, kind: str, told: bool, *adapters: str) -> Cost:
        return run(sys.executable, SCRIPTS / "with_ours.py", self.folder, kind, told, *adapters)

    def theirs(self, kind: str, told: bool, *adapters: str) -> Cost:
        return run(self.harness, SCRIPTS / "with_lm_eval.py", self.folder, kind, told, *adapters)

    def single(self, kind: str, number: int) -> tuple[Cost, Cost]:
        """Ours and theirs, with the base alone; which comes first takes turns."""
        arms = [self.ours, self.theirs] if number % 2 else [self.theirs, self.ours]
        costs = {arm: arm(kind, number == 0) for arm in arms}
        own, other = costs[self.ours], costs[self.theirs]
        same(own, other)
        print(f"    round {number + 1}: {other.scored / own.scored:.2f} ×", flush=True)
        return own, other

    def several(self, number: int) -> tuple[Cost, tuple[Cost, ...]]:
        """All adapters in one process, and a run for each."""
        own = self.ours("texts", number == 0, *ADAPTERS)
        others = tuple(self.theirs("texts", number == 0, name) for name in ADAPTERS)
        for other in others:
            same(own, other)
        print(f"    round {number + 1}: {sum(one.whole for one in others) / own.whole:.2f} ×", flush=True)
        return own, others


def same(own: Cost, other: Cost) -> None:
    """End with a message unless both took the same options, as far as they were told."""
    for model, taken in other.taken.items():
        differ = sum(a != b for a, b in zip(own.taken[model], taken, strict=True))
        if differ:
            sys.exit(f"benchmarks: {differ} of {len(taken)} questions have another answer: {model}")
        print(f"    {model}: the same option in all of {len(taken)}")


def show_single(what: str, pairs: Sequence[tuple[Cost, Cost]]) -> None:
    print(f"  {what}")
    row("this project, documents a CPU s", [DOCUMENTS / own.scored for own, _ in pairs], ",.1f")
    row("lm-evaluation-harness", [DOCUMENTS / other.scored for _, other in pairs], ",.1f")
    row("ours to theirs", [other.scored / own.scored for own, other in pairs], ".2f")
    row("the rest of a process, CPU s: this project", [own.whole - own.scored for own, _ in pairs], ".1f")
    row("lm-evaluation-harness without its task tree", [other.whole - other.scored for _, other in pairs], ".1f")


def show_several(rounds: Sequence[tuple[Cost, tuple[Cost, ...]]]) -> None:
    print(
        f"  {len(ADAPTERS)} adapters: one process here, which asks the base too, a run for each there; theirs to ours"
    )
    row("CPU of whole processes", [sum(one.whole for one in others) / own.whole for own, others in rounds], ".2f")
    row("CPU from loaded models", [sum(one.scored for one in others) / own.scored for own, others in rounds], ".2f")


def row(name: str, values: Sequence[float], form: str) -> None:
    print(f"    {name:<46} {spread(values, form)}", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def run(program: str, script: Path, folder: Path, kind: str, told: bool, *adapters: str) -> Cost:
    """What a process cost; with `told` also which options it took."""
    said = alone(program, str(script), str(folder), kind, str(BATCH), "told" if told else "untold", *adapters)
    return Cost(**json.loads(next(line for line in reversed(said.splitlines()) if line.startswith('{"scored"'))))


def alone(*command: str) -> str:
    quiet = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **one_thread, **quiet})
    if done.returncode:
        sys.exit(f"benchmarks: {' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def interpreter(home: Path) -> Path:
    """A Python that has the harness, over the packages of the one that runs now. Raises UnavailableError."""
    here = sysconfig.get_paths()["purelib"]
    stamp, wanted = home / "made.sha256", hashlib.sha256(f"{HARNESS} {here} {sys.version}".encode()).hexdigest()
    python = home / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    print(f"  installing {HARNESS} into {home}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    told(sys.executable, "-m", "venv", str(home))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (home / "lib" / version / "site-packages" / "over.pth").write_text(
        here
    )  # first: what is here is not installed again
    told(str(python), "-m", "pip", "install", "--quiet", HARNESS)
    told(str(python), "-c", "import lm_eval")
    stamp.write_text(wanted)
    return python


# --- what is measured with --------------------------------------------------------------------------------------


def save_models(folder: Path) -> None:
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.08,
        bos_token_id=None,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    words = [*SPECIAL, *(f"w{number}" for number in range(WORDS - len(SPECIAL)))]
    known = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}))
    known.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    known.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=known, eos_token=SPECIAL[0], pad_token=SPECIAL[0])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder / "model")
    for name in ADAPTERS:
        base = LlamaForCausalLM.from_pretrained(folder / "model")
        lora = LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(base, lora).save_pretrained(folder / name)


def save_items(folder: Path, kind: str) -> None:
    """The questions as items, and as the tasks that `ilk export --for lm-eval` writes."""
    rng = random.Random(kind)
    items = [made(rng, kind, f"knowledge/{kind}/leaf{number % 4}") for number in range(DOCUMENTS)]
    write_records(folder / f"{kind}.jsonl", items)
    tasks = folder / f"{kind}-tasks"
    tasks.mkdir()
    for file in formats.build("lm-eval", {}).export(Given(items), tasks).files:
        (tasks / file.name).write_bytes(b"".join(file.chunks))


def made(rng: random.Random, kind: str, leaf: str) -> Item:
    def words(least: int, most: int) -> str:
        return " ".join(f"w{rng.randrange(100, WORDS - len(SPECIAL))}" for _ in range(rng.randint(least, most)))

    shown = list(dict.fromkeys(words(1, 8) for _ in range(4)))
    question, options = words(8, 40), shown
    if kind == "letters":
        options = ["w1", "w2", "w3", "w4"][: len(shown)]
        question = " ".join([question, *(f"{letter} {text}" for letter, text in zip(options, shown, strict=True))])
    right = rng.choice(options)
    return Item(
        id=item_id(leaf, question, None),
        leaf=leaf,
        source="mmlu",
        question=question,
        answer=right,
        metric="choice",
        options=tuple(options),
    )


class Given:
    """A run that has items and nothing else."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def asked(self) -> Asked:
        scoring = {Path(one.__file__).name: Path(one.__file__).read_bytes() for one in (score, choices)}
        return Asked([as_asked(item) for item in self.items], new_tokens=48, scoring=scoring)


if __name__ == "__main__":
    main()
