"""A run's files to the model card of its adapter, and the card brought up to date when scores have come."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import yaml
from pydantic import ConfigDict

from instructlab_like.dataset.card import KNOWLEDGE, SKILLS
from instructlab_like.evaluation import summary
from instructlab_like.recipe import TrainRecipe
from instructlab_like.records import Record, Row
from instructlab_like.stages import manifest
from instructlab_like.tuning import card
from instructlab_like.tuning.card import CardFacts, HeldOutLine, Made, PhaseLine, Scores
from instructlab_like.tuning.choice import Choice, loss_of, points
from instructlab_like.tuning.measures import BASELINE, HeldOutLoss
from instructlab_like.workspace import FORMAT, Kind, Run, dump, read_records, write_whole

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SCORED = "adapters.json"  # beside the summary: which adapters it is of
ELSEWHERE = {"model", "base_tasks", "trackers", "project", "processes", "threads"}  # places and the machine, not recipe


class TrainedPhase(Record):
    """What the card needs of a line of plan.jsonl."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: str
    samples: int
    trained_tokens: int
    row_tokens: int
    epochs: float
    steps: int
    learning_rate: float


class Scored(Record):
    """The adapters of a summary by their names in it, as digests of their weights."""

    format: int = FORMAT
    adapters: dict[str, str]


def refresh(run: Run, adapter: Path | None = None) -> None:
    """Write README.md of the run's adapter anew from all that the run knows by now; its other files stay."""
    folder = adapter or run.adapter
    write_whole(folder / card.FILE, card.card(facts(run, folder)).encode("utf-8"))


def scored(run: Run, adapters: Mapping[str, Path]) -> None:
    """Remember which adapters the run's summary is of, by their names in it, and tell of it in the run's card."""
    digests = {name: weights_digest(path) for name, path in adapters.items()}
    write_whole(run.evaluation / SCORED, dump(Scored(adapters=digests).model_dump(mode="json")))
    if is_own(run, run.adapter):
        refresh(run)


def facts(run: Run, adapter: Path) -> CardFacts:
    """What is known of an adapter: of the run's own all that the run's files hold, of another what it says itself."""
    config = cast("dict[str, object]", json.loads((adapter / CONFIG).read_bytes()))
    revision = config.get("revision")
    known = CardFacts(
        base=str(config.get("base_model_name_or_path") or "its base"),
        revision=str(revision) if revision else None,
        adapter=described(config),
        tags=("dora" if config.get("use_dora") else "lora",),
        scores=scores_of(run, adapter),
    )
    if not is_own(run, adapter):
        return known
    made = manifest.read(run)
    choices = {choice.phase: choice for choice in records(run.training / "choice.jsonl", Choice)}
    more: dict[str, object] = {
        "commit": made.commit,
        "leaves": made.leaves,
        "made": tuple(samples(run)),
        "licenses": licenses(run),
        "recipe": trained_by(made.train) if made.train else {},
        "phases": tuple(phases(run, choices)),
        "held_out": tuple(held_out(run, choices)),
    }
    if made.train and made.train.osf:
        more["adapter"] = (
            f"{known.adapter}, trained at right angles to the first {made.train.osf.held} of each matrix (OSF)"
        )
    return known.model_copy(update=more)


def trained_by(recipe: TrainRecipe) -> dict[str, object]:
    """What of a recipe the card shows: all that has a say."""
    told: dict[str, object] = recipe.model_dump(mode="json", exclude={*ELSEWHERE, "lora" if recipe.osf else "osf"})
    return told


def described(config: Mapping[str, object]) -> str:
    """The adapter in one line: kind, rank, scale, modules."""
    kind = "DoRA" if config.get("use_dora") else str(config.get("peft_type", "LORA")).replace("LORA", "LoRA")
    told = [f"{kind} of rank {config['r']}"] if "r" in config else [kind]
    alpha = config.get("lora_alpha")
    if isinstance(alpha, int | float):
        scale = " over the root of the rank (rsLoRA)" if config.get("use_rslora") else ""
        told.append(f"alpha {alpha:g}{scale}")
    targets = config.get("target_modules")
    names = {str(name).rpartition(".")[2] for name in targets} if isinstance(targets, list) else {targets}
    told += [f"on {', '.join(sorted(map(str, names)))}"] if targets else []
    return ", ".join(told)


def is_own(run: Run, adapter: Path) -> bool:
    """Whether this is the adapter that the run was trained to, wherever the folder lies."""
    places = [folder / WEIGHTS for folder in (run.adapter, adapter)]
    return all(place.is_file() for place in places) and (
        run.adapter == adapter or weights_digest(run.adapter) == weights_digest(adapter)
    )


def weights_digest(adapter: Path) -> str:
    with (adapter / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def samples(run: Run) -> Iterator[Made]:
    """Different samples in the training files by leaf and by who made them."""
    met: set[bytes] = set()
    counts: Counter[tuple[str, str]] = Counter()
    for name in (KNOWLEDGE, SKILLS):
        for row in records(run.dataset / name, Row):
            key = hashlib.blake2b(f"{row.leaf}\n{row.sample}".encode(), digest_size=16).digest()
            if key not in met:
                met.add(key)
                counts[row.leaf, row.model or row.method or ""] += 1
    for (leaf, by), count in sorted(counts.items(), key=lambda found: (found[0][0] == card.REPLAY, found[0])):
        yield Made(leaf=leaf, by=by, samples=count)


def licenses(run: Run) -> tuple[str, ...]:
    """As the dataset's card has them in its front matter; none where that says that they are not known."""
    path = run.dataset / "README.md"
    parts = path.read_text(encoding="utf-8").split("---\n", 2) if path.is_file() else []
    try:
        told = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:  # edited by hand
        return ()
    found = told.get("license") if isinstance(told, dict) else None
    names = found if isinstance(found, list) else [found]
    return tuple(str(name) for name in names if name and name != "other")


def phases(run: Run, choices: Mapping[str, Choice]) -> Iterator[PhaseLine]:
    for phase in records(run.training / "plan.jsonl", TrainedPhase):
        choice = choices.get(phase.phase)
        yield PhaseLine(
            name=phase.phase,
            **phase.model_dump(exclude={"phase"}),
            step=choice.step if choice else None,
            why=choice.why if choice else "",
        )


def held_out(run: Run, choices: Mapping[str, Choice]) -> Iterator[HeldOutLine]:
    """Before training and where the last phase ended, for what was measured at both."""
    if not choices:
        return
    measured = points(list(records(run.training / "heldout.jsonl", HeldOutLoss)))
    *_, last = choices.values()
    before, after = measured.get((BASELINE, 0), {}), measured.get(last.standing, {})
    for group in sorted(before.keys() & after.keys()):
        yield HeldOutLine(
            leaf=group,
            samples=sum(one.samples for one in after[group]),
            before=loss_of(before[group]),
            after=loss_of(after[group]),
        )


def scores_of(run: Run, adapter: Path) -> Scores | None:
    """The scores of just these weights; a summary of other ones, from before a new training, is not theirs."""
    told = run.evaluation / SCORED
    if not (told.is_file() and run.summary.is_file() and (adapter / WEIGHTS).is_file()):
        return None
    digest = weights_digest(adapter)
    names = [name for name, found in Scored.model_validate_json(told.read_bytes()).adapters.items() if found == digest]
    for one in summary.read(run.summary).checkpoints:
        if one.name in names:
            return Scores(leaves=one.leaves, own=one.forgetting_kinds)
    return None


def records(path: Path, kind: type[Kind]) -> Iterator[Kind]:
    """The file's records; none when the stage that writes it has not run."""
    return read_records(path, kind) if path.is_file() else iter(())
