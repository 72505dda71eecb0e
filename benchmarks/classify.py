"""Do synthetic e-mails help beside a few real ones? A classifying leaf trained on the real, the synthetic, and both.

The e-mails that stand for real ones are emails.yaml's; ILK_BENCH_REAL=FILE names your own (text and label in JSON
lines or CSV), and ILK_BENCH_TREE the taxonomy of the leaf that they belong to.
"""

from __future__ import annotations

import csv
import os
import random
import re
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import orjson
import torch
import yaml
from transformers import AutoTokenizer

from benchmarks.forgetting import BASE, ROOT, Run, interval, launched
from instructlab_like.axes import answers
from instructlab_like.dataset.mix import Replay, mix
from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.effect import effect
from instructlab_like.evaluation.shares import Share
from instructlab_like.generation import simulation
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Effect, Item, Message, Row, Sample, SimulationTask, Skill, digest, normalise
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.tuning.pack import pack
from instructlab_like.tuning.phases import rows_per_step
from instructlab_like.tuning.tokens import Chat
from instructlab_like.workspace import write_records

TREE = Path(os.environ.get("ILK_BENCH_TREE", ROOT / "examples" / "email" / "taxonomy"))
REAL = os.environ.get("ILK_BENCH_REAL", "")
STAND_INS = Path(__file__).parent / "emails.yaml"
ARMS = ("real", "synthetic", "both")
SEEDS = (0, 1, 2)
SHARED = ("asides", "who", "many", "goods")  # of emails.yaml, beside the labels
MOST = 1_000  # draws of a story that may give no new e-mail
SLOT, CHOICE = re.compile(r"\{(\w+)\}"), re.compile(r"\{([^{}]*\|[^{}]*)\}")


@dataclass(frozen=True)
class Trial:
    """Every arm takes the same number of optimizer steps of the same size, so that what differs is what they see, not
    how long they look at it. Rank, rate and batch are those of training/recipes/tiny_base.yaml.
    """

    real: int = 40
    synthetic: int = 960  # 1 : 24, as 2,000 to 48,000
    items: int = 192  # real e-mails that are asked, and never trained
    steps: int = 220
    rate: float = 2e-3
    rank: int = 32
    row_tokens: int = 512
    rows_a_step: int = 2


@dataclass(frozen=True)
class Mail:
    text: str
    label: str
    story: str  # mails of one story say the same in other words, and rise and fall together


@dataclass(frozen=True)
class Scored:
    """One seed's arm: right or wrong on each item, in the items' order."""

    seed: int
    arm: str
    rows: int
    right: tuple[float, ...]


def main() -> None:
    torch.set_num_threads(1)
    trial, leaf = Trial(), the_leaf(TREE)
    mails = from_file(Path(REAL), leaf) if REAL else stand_ins(80 * len(answers(leaf)), seed=0)
    trained_on, asked = parted(mails, trial, leaf)
    stories = [mail.story for mail in asked]
    print(f"  {leaf.path}: {', '.join(answers(leaf))}; {REAL or 'stand-ins for real e-mails'}")
    print(
        f"  {trial.real} real and {trial.synthetic} synthetic e-mails, {len(asked)} others asked; {trial.steps} steps"
    )
    found: list[Scored] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            for one in measured(trial, leaf, trained_on, asked, launched, seed=seed, folder=Path(folder) / str(seed)):
                share = Share.of(one.right, stories)
                assert share is not None
                print(f"  seed {seed}  {one.arm:<10} {one.rows:>5} rows  {share.told()} right", flush=True)
                found.append(one)
    for line in table(found, stories):
        print(f"  {line}")


def measured(
    trial: Trial, leaf: Skill, mails: Sequence[Mail], asked: Sequence[Mail], run: Run, *, seed: int, folder: Path
) -> Iterator[Scored]:
    """Train the three arms on one draw of real and synthetic e-mails, and ask all of them the same.

    `run` takes the arguments of training/lora.py and gives its exit code.
    """
    real = balanced(mails, trial.real, random.Random(f"real {seed}"))
    made = synthetic(leaf, trial.synthetic, avoid=[*mails, *asked], seed=seed)
    rows = {"real": given(real, leaf), "synthetic": mixed(made, [], seed), "both": mixed(made, given(real, leaf), seed)}
    chat = Chat(AutoTokenizer.from_pretrained(BASE), str(BASE))
    for arm in ARMS:
        trained(folder / arm, rows[arm], trial, chat, run, seed=seed)
    items = [item(mail, leaf) for mail in asked]
    adapters = [(arm, folder / arm / "out" / "adapter") for arm in ARMS]
    recipe = EvaluateRecipe(threads=1, max_new_tokens=12)
    said = answer(str(BASE), adapters, items, recipe, on_progress=lambda *_: None)
    right = {(one.model, one.item): one.score or 0.0 for one in said}
    for arm in ARMS:
        yield Scored(seed, arm, len(rows[arm]), tuple(right[arm, one.id] for one in items))


# --- e-mails ----------------------------------------------------------------------------------------------------


def the_leaf(tree: Path) -> Skill:
    """The one leaf of a tree that can be drawn from."""
    found = [leaf for leaf in read_tree(tree)[0] if isinstance(leaf, Skill) and leaf.simulation]
    if len(found) != 1:
        sys.exit(f"benchmarks: {tree} has {len(found)} leaves with a simulation, and needs one")
    return found[0]


def stand_ins(count: int, *, seed: int) -> list[Mail]:
    """So many different e-mails of emails.yaml, each label's and each story's equally often."""
    book = yaml.safe_load(STAND_INS.read_text("utf-8"))
    labels = [name for name in book if name not in SHARED]
    stories = [(label, place) for place in range(min(len(book[label]) for label in labels)) for label in labels]
    draw = random.Random(f"stand-ins {seed}")
    found: dict[str, Mail] = {}
    for label, place in islice(cycle(stories), count):
        for _ in range(MOST):
            text = told(book, book[label][place], draw)
            if normalise(text) not in found:
                found[normalise(text)] = Mail(text, label, f"{label} {place}")
                break
        else:
            raise ValueError(f"emails.yaml has fewer than {count} different e-mails: {label}, story {place}")
    return list(found.values())


def told(book: Mapping[str, Sequence[str]], story: str, draw: random.Random) -> str:
    """A story, perhaps with a word beside the matter, perhaps carelessly typed."""
    whole = f"{story} {draw.choice(book['asides'])}" if draw.random() < 0.25 else story
    slots = {name: draw.choice(book[name]) for name in ("who", "many", "goods")}
    text = SLOT.sub(lambda slot: slots[slot[1]], whole)
    while CHOICE.search(text):
        text = CHOICE.sub(lambda choice: draw.choice(choice[1].split("|")), text, count=1)
    text = re.sub(r"\s+", " ", text).strip()
    return careless(text, draw) if draw.random() < 0.3 else text


def write(path: str, count: int, *, seed: int = 0) -> None:
    """Stand-ins as conversations, a line each: what the tutorial takes for a file of real e-mails."""
    leaf = the_leaf(TREE)
    lines = [{"user": question(mail, leaf), "assistant": mail.label} for mail in stand_ins(count, seed=seed)]
    Path(path).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def careless(text: str, draw: random.Random) -> str:
    """Small letters throughout, or two letters exchanged within a word."""
    if draw.random() < 0.5:
        return text.lower()
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if long:
        place = draw.choice(long)
        word = words[place]
        at = draw.randrange(1, len(word) - 2)
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def from_file(path: Path, leaf: Skill) -> list[Mail]:
    """E-mails of a file, JSON lines or CSV, each with `text` and `label`; equal texts count once."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file) if path.suffix == ".csv" else (orjson.loads(line) for line in file if line.strip())
        rows = [(str(row["text"]).strip(), str(row["label"]).strip()) for row in lines]
    if odd := sorted({label for _, label in rows} - set(answers(leaf))):
        known = ", ".join(answers(leaf))
        sys.exit(f"benchmarks: {path} has the label {odd[0]!r}, which {leaf.path} does not know: {known}")
    return list({normalise(text): Mail(text, label, normalise(text)) for text, label in rows if text}.values())


def parted(mails: Sequence[Mail], trial: Trial, leaf: Skill) -> tuple[list[Mail], list[Mail]]:
    """What may be trained, and what is asked: `items` of them, each label's equally often."""
    asked = balanced(mails, trial.items, random.Random("asked"))
    known = {mail.text for mail in asked}
    left = [mail for mail in mails if mail.text not in known]
    fewest = min(Counter(dict.fromkeys(answers(leaf), 0) | Counter(mail.label for mail in left)).values())
    if fewest * len(answers(leaf)) < trial.real:
        needs = (trial.items + trial.real) // len(answers(leaf))
        sys.exit(f"benchmarks: too few e-mails: {needs} of each label are needed, {trial.items} of all are asked")
    return left, asked


def balanced(mails: Sequence[Mail], count: int, draw: random.Random) -> list[Mail]:
    """So many e-mails at random, the same number of each label."""
    by_label: defaultdict[str, list[Mail]] = defaultdict(list)
    for mail in mails:
        by_label[mail.label].append(mail)
    each = count // len(by_label)
    return [
        mail for label in sorted(by_label) for mail in draw.sample(by_label[label], min(each, len(by_label[label])))
    ]


def synthetic(leaf: Skill, count: int, *, avoid: Sequence[Mail], seed: int) -> list[Sample]:
    """E-mails of the leaf's simulation, none of which is a real one."""
    assert leaf.simulation is not None
    task = SimulationTask(
        leaf=leaf.path, leaf_blob=leaf.blob, flow="simulation", simulation=leaf.simulation, count=count, seed=seed
    )
    real = {normalise(question(mail, leaf)) for mail in avoid}
    return [sample for sample in simulation.draw(task) if normalise(sample.question) not in real]


# --- training and scoring ---------------------------------------------------------------------------------------


def question(mail: Mail, leaf: Skill) -> str:
    """The e-mail as the leaf's own questions show one: behind the line that they all begin with, if they do."""
    heads = {seed.pairs[0].question.partition("\n\n")[0] for seed in leaf.seeds}
    return f"{heads.pop()}\n\n{mail.text}" if len(heads) == 1 else mail.text


def item(mail: Mail, leaf: Skill) -> Item:
    asked = question(mail, leaf)
    return Item(
        id=digest([asked, mail.label])[:32], leaf=leaf.path, source="heldout", question=asked, answer=mail.label
    )


def given(mails: Sequence[Mail], leaf: Skill) -> list[Row]:
    """Real e-mails as rows, as `replay` of a recipe reads them from a file."""
    found = []
    for mail in mails:
        messages = (
            Message(role="user", content=question(mail, leaf)),
            Message(role="assistant", content=mail.label),
        )
        found.append(Row(messages=messages, phase="skills", leaf="replay", sample=digest([mail.text])[:32]))
    return found


def mixed(made: Sequence[Sample], real: Sequence[Row], seed: int) -> list[Row]:
    """The rows as `ilk generate` mixes them: every synthetic one, and of the real ones their share."""
    replay = [Replay(messages=row.messages) for row in real]
    share = len(real) / (len(real) + len(made))
    return list(mix(made, replay, share=share, knowledge_share=0.0, seed=seed))


def trained(folder: Path, rows: Sequence[Row], trial: Trial, chat: Chat, run: Run, *, seed: int) -> None:
    """One adapter, over so many epochs as make the trial's steps."""
    data, out = folder / "dataset" / "data", folder / "out"
    data.mkdir(parents=True)
    out.mkdir()
    write_records(data / "skills-train.jsonl", rows)
    lengths = [len(one.ids) for one in chat.encode(rows)]
    packed, batch = len(pack(lengths, trial.row_tokens)), trial.row_tokens * trial.rows_a_step
    step = rows_per_step(batch, tokens=sum(lengths), rows=packed, processes=1)
    recipe = {
        "model": str(BASE),
        "lora": {"rank": trial.rank, "alpha": 2 * trial.rank, "dropout": 0.05},
        "phases": [{"name": "skills", "epochs": trial.steps * step / packed, "learning_rate": trial.rate}],
        "row_tokens": trial.row_tokens,
        "batch_tokens": batch,
        "choose": "last",  # no e-mail is spent on a choice
        "threads": 1,
        "seed": seed,
    }
    (out / "recipe.json").write_bytes(orjson.dumps({"train": recipe}))
    places = {"run-folder": folder, "dataset": folder / "dataset", "recipe": out / "recipe.json", "out": out}
    code = run([part for name, place in places.items() for part in (f"--{name}", str(place))])
    if code:
        raise RuntimeError(f"training in {folder} ended with code {code}")


def compared(found: Sequence[Scored], one: str, other: str, stories: Sequence[str]) -> Effect:
    """`other` less `one` on the same e-mails, each scored by the mean over the seeds."""
    means = {
        arm: [
            statistics.mean(rights)
            for rights in zip(*(scored.right for scored in found if scored.arm == arm), strict=True)
        ]
        for arm in (one, other)
    }
    return effect(f"{other} less {one}", means[one], means[other], enough=20, clusters=stories)


def table(found: Sequence[Scored], stories: Sequence[str]) -> Iterator[str]:
    """Each arm's mean with its interval over e-mails, the differences, and how far seeds differ."""
    yield f"{'trained on':<22} {'right, 95 % over e-mails':<24} over seeds"
    effects = {pair: compared(found, *pair, stories) for pair in (("real", "both"), ("synthetic", "both"))}
    first, second = effects.values()
    shown = {
        "real": (first.base, *first.base_interval),
        "synthetic": (second.base, *second.base_interval),
        "both": (first.tuned, *first.tuned_interval),
    }
    for arm, (mean, low, high) in shown.items():
        seeds = by_seed(found, arm)
        right = f"{mean:.3f} [{low:.3f}–{high:.3f}]"
        yield f"{arm:<22} {right:<24} {interval(seeds)}"
    for (one, other), told in effects.items():
        low, mid, high = told.delta
        pairs = zip(by_seed(found, one), by_seed(found, other), strict=True)
        seeds = [after - before for before, after in pairs]
        change = f"{mid:+.3f} [{low:+.3f}–{high:+.3f}]"
        yield f"{f'{other} less {one}':<22} {change:<24} {interval(seeds):<24} p {told.p:.3f}: {told.effect}"


def by_seed(found: Sequence[Scored], arm: str) -> list[float]:
    return [statistics.mean(one.right) for one in found if one.arm == arm]


if __name__ == "__main__":
    main()
