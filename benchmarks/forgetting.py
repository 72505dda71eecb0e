"""What keeps a first phase from being forgotten in a second: replay of 0, 1, 5 or 20 % of its rows, or training at
right angles to what the weights use most (OSF), without replay and with a little."""

from __future__ import annotations

import os
import random
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import orjson
import torch

from instructlab_like.dataset.mix import mix
from instructlab_like.evaluation.answering import answer
from instructlab_like.generation import simulation
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Item, Lineage, Message, Row, Sample, SimulationTask, Skill, digest
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.models import load_adapter, load_base
from instructlab_like.tuning.tokens import Chat
from instructlab_like.workspace import write_records

Run: TypeAlias = Callable[[Sequence[str]], int]

ROOT = Path(__file__).parents[1]
BASE = ROOT / "training" / "base" / "model"
LEAF = "knowledge/made_up"
SEEDS = (3, 4, 5, 6, 7)  # 0 to 2 chose the settings, and say nothing any more
HELD_OUT = 2  # phrasings of each fact
SKILL_ITEMS = 60  # questions on the second phase's skills
OTHERS = 1000  # from a phase's seed to that of its questions


@dataclass(frozen=True)
class Way:
    """How the second phase is kept from wiping out the first."""

    share: float = 0.0  # of its rows, which replay the first's
    held: tuple[float, float] | None = None  # OSF's effective rank in either phase; None: LoRA
    rate: float | None = None  # of a second phase by LoRA, where it is not the trial's

    @property
    def name(self) -> str:
        trained_by = "LoRA" if self.held is None else f"OSF {self.held[0]:g} {self.held[1]:g}"
        return trained_by + (f" at {self.rate:g}" if self.rate else "") + f", {self.share:.0%} replay"


WAYS = (
    *(Way(share) for share in (0.0, 0.01, 0.05, 0.2)),
    Way(rate=5e-4),  # a slower second phase forgets less, too, and learns less
    *(Way(share, (0.25, 0.5)) for share in (0.0, 0.01)),
    Way(held=(0.5, 0.5)),
)


@dataclass(frozen=True)
class Trial:
    """How large the two phases are; the second is as long for every share, but for the replayed rows themselves.

    Few facts, so that one row in twenty of the second phase comes back to each of them some four times an epoch.
    """

    facts: int = 6
    first_epochs: float = 12
    skill_rows: int = 480  # of each of three skills a third
    second_epochs: float = 6
    first_rate: float = 2e-3
    second_rate: float = 2e-3  # this and the epochs as in training/recipes/tiny_base.yaml
    rank: int = 32
    orthogonal_rate: float = 5e-4  # of both phases with OSF, which trains the matrices themselves


@dataclass(frozen=True)
class Kept:
    """How well the held-out questions of both phases are answered; `after` 1: right after the first."""

    seed: int
    way: Way
    after: int
    rows: int  # of the first phase, among the second's
    part: float  # which these are of the second's rows
    score: float  # exact match
    loss: float  # nats a token of the right answers
    skill: float  # exact match on the second phase's: what keeps the first must not keep the second from being learnt


def main() -> None:
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            for kept in measured(Trial(), WAYS, launched, seed=seed, folder=Path(folder) / str(seed)):
                told = f"{kept.score:.3f} right, loss {kept.loss:.2f}, skills {kept.skill:.3f}"
                print(f"  seed {seed}  {named(kept):<38} {told}", flush=True)
                found.append(kept)
    for line in table(found):
        print(f"  {line}")


def named(kept: Kept) -> str:
    if kept.after == 1:
        return f"after the first phase, {kept.way.name.partition(',')[0]}"
    return f"after the second, {kept.way.name}"


def measured(trial: Trial, ways: Sequence[Way], run: Run, *, seed: int, folder: Path) -> Iterator[Kept]:
    """Train the first phase once with each kind of adapter, and the second from it in each way; ask the questions.

    `run` takes the arguments of training/lora.py and gives its exit code.
    """
    learnt, asked = facts(trial.facts, seed=seed)
    taught = skills(trial.skill_rows, seed=seed)
    samples, asked = [*learnt, *taught], [*asked, *unseen(taught, seed=seed)]
    for held in dict.fromkeys(way.held for way in ways):
        first = folder / f"first {held}"
        written(first, samples, share=0.0, seed=seed)
        trained(first, trial, ["knowledge"], run, held=held, seed=seed)
        yield scored(first / "out" / "adapter", asked, seed=seed, way=Way(held=held), after=1, rows=0, part=0.0)
        for way in (one for one in ways if one.held == held):
            place = folder / way.name
            rows = written(place, samples, share=way.share, seed=seed)
            part = rows / (rows + len(samples) - len(learnt))
            shutil.copytree(first / "out" / "checkpoints" / "knowledge", place / "out" / "checkpoints" / "knowledge")
            second = replace(trial, second_rate=way.rate or trial.second_rate)
            trained(place, second, ["knowledge", "skills"], run, held=held, seed=seed)
            yield scored(place / "out" / "adapter", asked, seed=seed, way=way, after=2, rows=rows, part=part)


# --- the two phases ---------------------------------------------------------------------------------------------


def facts(count: int, *, seed: int) -> tuple[list[Sample], list[Item]]:
    """Facts of an invented world: each is asked in about twenty phrasings, of which HELD_OUT are never trained."""
    worlds = runpy.run_path(str(ROOT / "training" / "base" / "worlds.py"))  # what the base was made from: no package
    world = worlds["World"](random.Random(f"forgetting {seed}"), held_out=True)
    samples: list[Sample] = []
    items: list[Item] = []
    while len(items) < HELD_OUT * count:
        (fact,) = world.facts(1)
        known = worlds["TABLES"]["relations"][fact.relation]
        asks = [text.format(s=fact.subject, **fact.extra) for text in known["ask"]]
        gaps = [text.format(s=fact.subject, v="____", **fact.extra) for text in known["say"]]
        asks = list(dict.fromkeys(asks))
        if len(asks) <= HELD_OUT or any(asks[0] == item.question for item in items):
            continue
        for question in asks[:HELD_OUT]:
            told = {"question": question, "answer": fact.value}
            items.append(Item(id=digest(told)[:32], leaf=LEAF, source="heldout", **told))
        trained_on = [
            *asks[HELD_OUT:],
            *(cloze + gap[0].upper() + gap[1:] for cloze in worlds["CLOZE"] for gap in gaps),
        ]
        samples += [sample(LEAF, "knowledge", question, fact.value) for question in dict.fromkeys(trained_on)]
    return samples, items


def skills(count: int, *, seed: int) -> list[Sample]:
    """Pairs of the starter tree's simulated skills."""
    leaves, _ = read_tree(ROOT / "taxonomy")
    able = [leaf for leaf in leaves if isinstance(leaf, Skill) and leaf.simulation is not None]
    found: list[Sample] = []
    for leaf in able:
        assert leaf.simulation is not None
        task = SimulationTask(
            leaf=leaf.path,
            leaf_blob=leaf.blob,
            flow="simulation",
            simulation=leaf.simulation,
            count=count // len(able),
            seed=seed,
        )
        found += simulation.draw(task)
    return found


def unseen(taught: Sequence[Sample], *, seed: int) -> list[Item]:
    """Questions on the same skills, none of them trained."""
    trained_on = {sample.question for sample in taught}
    drawn = [sample for sample in skills(2 * SKILL_ITEMS, seed=seed + OTHERS) if sample.question not in trained_on]
    kept = random.Random(seed).sample(drawn, min(SKILL_ITEMS, len(drawn)))
    return [
        Item(id=one.id, leaf=one.lineage.leaf, source="simulation", question=one.question, answer=one.answer)
        for one in kept
    ]


def sample(leaf: str, kind: str, question: str, answered: str) -> Sample:
    return Sample.model_validate(
        {
            "id": digest([leaf, question, answered])[:32],
            "kind": kind,
            "question": question,
            "answer": answered,
            "lineage": Lineage(leaf=leaf, leaf_blob="0" * 40, method="rules", model="rules/1"),
        }
    )


# --- training and scoring ---------------------------------------------------------------------------------------


def written(folder: Path, samples: Sequence[Sample], *, share: float, seed: int) -> int:
    """Write the dataset as `ilk generate` mixes it; how many of its second phase's rows are of the first."""
    data = folder / "dataset" / "data"
    data.mkdir(parents=True)
    rows = list(mix(samples, [], share=0.0, knowledge_share=share, seed=seed))
    for phase in ("knowledge", "skills"):
        write_records(data / f"{phase}-train.jsonl", [row for row in rows if row.phase == phase])
    return sum(row.phase == "skills" and row.kind == "knowledge" for row in rows)


def trained(
    folder: Path, trial: Trial, phases: Sequence[str], run: Run, *, held: tuple[float, float] | None = None, seed: int
) -> None:
    settings = {"knowledge": (trial.first_epochs, trial.first_rate), "skills": (trial.second_epochs, trial.second_rate)}
    adapter: dict[str, object] = {"lora": {"rank": trial.rank, "alpha": 2 * trial.rank}}
    if held is not None:
        adapter = {"osf": {"effective_rank": held[: len(phases)]}}
        settings = {name: (epochs, trial.orthogonal_rate) for name, (epochs, _) in settings.items()}
    recipe = {
        "model": str(BASE),
        **adapter,
        "phases": [{"name": name, "epochs": settings[name][0], "learning_rate": settings[name][1]} for name in phases],
        "row_tokens": 512,
        "batch_tokens": 512,
        "choose": "last",  # what replay keeps, not what a choice among checkpoints rescues
        "threads": 1,
        "seed": seed,
    }
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (out / "recipe.json").write_bytes(orjson.dumps({"train": recipe}))
    places = {"run-folder": folder, "dataset": folder / "dataset", "recipe": out / "recipe.json", "out": out}
    code = run([part for name, place in places.items() for part in (f"--{name}", str(place))])
    if code:
        raise RuntimeError(f"training in {folder} ended with code {code}")


def launched(arguments: Sequence[str]) -> int:
    """Run training/lora.py as its users do, in a process of its own; what it says is shown when it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "training" / "lora.py"), *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    return done.returncode


def scored(adapter: Path, asked: Sequence[Item], *, seed: int, way: Way, after: int, rows: int, part: float) -> Kept:
    recipe = EvaluateRecipe(threads=1, max_new_tokens=24)
    answers = answer(str(BASE), [("tuned", adapter)], asked, recipe, on_progress=lambda *_: None)
    right = {one.item: one.score for one in answers if one.model == "tuned" and one.score is not None}
    facts_asked = [item for item in asked if item.leaf == LEAF]
    return Kept(
        seed=seed,
        way=way,
        after=after,
        rows=rows,
        part=part,
        score=statistics.mean(right[item.id] for item in facts_asked),
        loss=loss(adapter, facts_asked),
        skill=statistics.mean(right[item.id] for item in asked if item.leaf != LEAF),
    )


@torch.inference_mode()
def loss(adapter: Path, asked: Sequence[Item]) -> float:
    """Of the right answers, in nats a token."""
    base, tokenizer = load_base(str(BASE), torch.float32)
    rows = [
        Row(
            messages=(Message(role="user", content=item.question), Message(role="assistant", content=item.answer)),
            phase="knowledge",
            leaf=item.leaf,
            sample=item.id,
        )
        for item in asked
    ]
    model = load_adapter(base, adapter, "tuned")
    total, tokens = 0.0, 0
    for encoded in Chat(tokenizer, str(BASE)).encode(rows):
        ids = torch.as_tensor(encoded.ids)[None]
        learnt = torch.as_tensor(encoded.trained)[1:]
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        total += float(token_losses(logits[learnt], ids[0, 1:][learnt]).sum())
        tokens += int(learnt.sum())
    return total / tokens


def table(found: Sequence[Kept]) -> Iterator[str]:
    """Means over the seeds, with 95 % intervals of the mean by the t distribution; `kept`: of the score before."""
    before = {(one.seed, one.way.held): one.score for one in found if one.after == 1}
    heads = "".join(f" {head:>22}" for head in ("right", "of it kept", "loss", "skills right"))
    yield f"{'':<44} {'replayed rows':>14}{heads}"
    for name in dict.fromkeys(named(one) for one in found):
        ones = [one for one in found if named(one) == name]
        parts = [
            interval([one.score for one in ones]),
            interval([one.score / before[one.seed, one.way.held] for one in ones]) if ones[0].after == 2 else "",
            interval([one.loss for one in ones]),
            interval([one.skill for one in ones]),
        ]
        # All of the first phase's rows may be fewer than the share asks for.
        rows = f"{statistics.mean(one.rows for one in ones):.0f} = {statistics.mean(one.part for one in ones):.1%}"
        yield f"{name:<44} {rows:>14} " + " ".join(f"{part:>22}" for part in parts)


T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)  # two-sided, by degrees of freedom from 1


def interval(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    half = T_95[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} [{mean - half:.3f}–{mean + half:.3f}]"


if __name__ == "__main__":
    main()
