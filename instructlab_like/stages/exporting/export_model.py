"""A run's adapter, or another, merged into its base: a plain model's folder for programs that take no adapters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from instructlab_like.console import say, warn, working
from instructlab_like.errors import InputError
from instructlab_like.records import Item, Message, Row, with_context
from instructlab_like.stages import manifest
from instructlab_like.stages.manifest import Manifest
from instructlab_like.stages.training import model_card
from instructlab_like.stages.training.train import need_stack
from instructlab_like.tuning import serving
from instructlab_like.tuning.card import card as render
from instructlab_like.tuning.serving import Command
from instructlab_like.workspace import Run, cores, find, read_records, write_whole

PROMPTS = 32  # conversations that the merged model is compared on
SERVED = "tuned"  # the model's name where it is served
GGUF = "llama.cpp and Ollama take one GGUF file: `ilk export FOLDER --gguf merged` writes it"


def export_merged(
    run: Run,
    folder: Path,
    *,
    adapter: str | None = None,
    model: str | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
) -> None:
    """Merge an adapter, the run's own by default, into its base, and write the model into `folder`, new or empty.

    Raises InputError for an adapter, base or folder that will not do, StoppedError where the merged model does not
    answer as base and adapter do, or the disk is full; nothing is written then.
    """
    need_stack()
    made = manifest.read(run)
    place = named(run, adapter)
    import torch  # on demand, as the next: `need_stack` has made sure of it

    from instructlab_like.tuning.merged import Proof, merge
    from instructlab_like.tuning.models import adapter_config

    told = str(adapter_config(place).base_model_name_or_path or "")
    own = made.train.model if made.train and adapter is None else None
    base = model or own or base_of(told, made)
    torch.set_num_threads((made.train.threads if made.train else None) or cores())
    asked = conversations(run)
    if not asked:
        warn("export: this run has no test rows and no held-out items; a probe is asked instead")

    def card(proof: Proof) -> str:
        facts = model_card.facts(run, place)
        more = {"relation": "finetune", "checked": tuple(proof.lines())}
        return render(facts.model_copy(update=more))

    say(f"export: {place} into {base}")
    with working("merging"):
        proof = merge(base, place, folder, kind=dtype, conversations=asked, card=card)
    page = serving.page([serving.vllm(".", SERVED)], [GGUF])
    write_whole(folder / serving.PAGE, page.encode("utf-8"))
    for line in proof.lines():
        say(f"  {line}")
    say(f"export: merged model in {proof.kind} → {folder}; ready commands, also in {folder / serving.PAGE}:")
    for command in commands(folder, base, place):
        say(f"  {command.use}: {command.line}")
    again = serving.joined("ilk", "export", "FOLDER", "--gguf", "merged", "--run", run.name)
    say(f"  llama.cpp and Ollama: {again}")


def commands(folder: Path, base: str, adapter: Path) -> Iterator[Command]:
    """What serves the merged model, and the adapter on its base where vLLM takes it."""
    yield serving.vllm(folder, SERVED)
    told = json.loads((adapter / model_card.CONFIG).read_bytes())
    plain = not (told.get("use_dora") or told.get("modules_to_save") or told.get("rank_pattern"))
    found = serving.vllm_adapter(find(base), adapter, SERVED, int(told.get("r") or 0)) if plain else None
    if found:
        yield found


def one_target(
    wanted: Mapping[str, bool], options: Mapping[str, Mapping[str, object]], *, pushed: bool = False
) -> None:
    """Raise InputError unless one thing is asked for, with options of that alone.

    `wanted`: which of --for, --merged, --gguf are given; `options`: by those that take them, the options' values.
    `pushed`: what stands in the folder is to be uploaded, so nothing need be written.
    """
    given = [name for name, told in wanted.items() if told]
    fix = "--for NAME for the dataset, --merged for the model, or --gguf merged for the model as one file"
    if len(given) > 1:
        raise InputError(f"both {' and '.join(given)} are given", where="ilk export", fix=fix)
    if not given and not pushed:
        raise InputError("neither --for nor --merged is given, nor --gguf", where="ilk export", fix=fix)
    for belongs, values in options.items():
        if set(belongs.split(" and ")) & set(given):
            continue
        for name, value in values.items():
            if value is not None:
                where = f"--{name.replace('_', '-')}"
                raise InputError(f"is an option of {belongs}", where=where, fix="leave it out")


def named(run: Run, adapter: str | None) -> Path:
    """The folder of the adapter that is meant."""
    if adapter is not None:
        return Path(adapter)
    if not run.adapter.is_dir():
        what = "this run has no adapter" if run.folder.is_dir() else "there is no such run"
        raise InputError(what, where=str(run.folder), fix="ilk train, name another run with --run, or --adapter DIR")
    return run.adapter


def base_of(told: str, made: Manifest) -> str:
    """The base by the name that the adapter's configuration gives: the run's own model where that is it.

    Raises InputError for a path that leads nowhere from here.
    """
    if made.train and told in names_of(made.train.model):
        return made.train.model
    is_path = told.startswith((".", "/", "~"))
    if told and (find(told).is_dir() or not is_path):
        return told
    what = f"names its base as {told}, which is not here" if told else "does not name its base"
    raise InputError(f"the adapter {what}", where="--adapter", fix="say where the base is with --model DIR")


def names_of(model: str) -> set[str]:
    """How an adapter's configuration may name the base that a recipe names `model`."""
    place = Path(model).expanduser()
    names = {model} if not place.is_absolute() else {model, place.name}
    return names | {f"./{name}" for name in (place.name if place.is_absolute() or ".." in place.parts else model,)}


def conversations(run: Run) -> list[tuple[Message, ...]]:
    """What the merged model is asked: test rows, leaf after leaf in turn, or else the items of the evaluation."""
    if run.test.is_file():
        rows = ((row.leaf, row.messages) for row in read_records(run.test, Row))
        found = in_turn(rows)
        if found:
            return found
    items = run.evaluation / "items.jsonl"
    if not items.is_file():
        return []
    return in_turn((item.leaf, turns(item)) for item in read_records(items, Item))


def turns(item: Item) -> tuple[Message, ...]:
    asked = with_context(item.question, item.context)
    return (Message(role="user", content=asked), Message(role="assistant", content=item.answer))


def in_turn(told: Iterable[tuple[str, Sequence[Message]]]) -> list[tuple[Message, ...]]:
    """The first of each leaf, then the second of each, and so on, up to PROMPTS."""
    by_leaf: dict[str, list[tuple[Message, ...]]] = {}
    for leaf, messages in told:
        kept = by_leaf.setdefault(leaf, [])
        if len(kept) < PROMPTS:
            kept.append(tuple(messages))
    rounds = (own[number] for number in range(PROMPTS) for own in by_leaf.values() if number < len(own))
    return [messages for messages, _ in zip(rounds, range(PROMPTS), strict=False)]
