"""A run's model as one file for llama.cpp and Ollama, with the commands that serve it, and its card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import yaml

from instructlab_like.console import say, warn, working
from instructlab_like.errors import InputError, StoppedError
from instructlab_like.stages import manifest
from instructlab_like.stages.exporting.export_model import SERVED, base_of, conversations, named
from instructlab_like.stages.training import model_card
from instructlab_like.stages.training.train import need_stack
from instructlab_like.tuning import card, serving
from instructlab_like.tuning.serving import Command
from instructlab_like.workspace import Run, cores, find

if TYPE_CHECKING:
    from instructlab_like.tuning.gguf.file import Plan

What = Literal["merged", "base", "adapter"]
Dtype = Literal["float32", "float16", "bfloat16"]
SUFFIX = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
MERGED = "merged"  # the folder of the merged model, inside the scratch folder
SPARE = 64 * 2**20  # bytes beside the weights


class Written(NamedTuple):
    """A file that was written, and what is to be said of it."""

    file: str
    lines: tuple[str, ...]  # what was measured
    notes: tuple[str, ...]
    plan: Plan | None = None  # of a whole model


def export_gguf(
    run: Run,
    folder: Path,
    what: What,
    *,
    adapter: str | None = None,
    model: str | None = None,
    dtype: Dtype | None = None,
) -> None:
    """Write the merged model, the base or the adapter alone as GGUF into `folder`, new or empty.

    Raises ModelError for a model that is not of Llama's form, with llama.cpp's own command; StoppedError where a file
    comes back from the disk otherwise, or the disk is full. Nothing is written then.
    """
    need_stack()
    from instructlab_like.tuning.gguf.file import library  # on demand, as the next: `need_stack` has made sure of it
    from instructlab_like.tuning.merged import placing, refuse_target

    library()
    refuse_target(folder)
    if what == "adapter" and dtype not in (None, "float32"):
        raise InputError("an adapter is written in float32", where="--dtype", fix="leave it out, or --gguf merged")
    place, base = sides(run, what, adapter, model)
    limit_threads(run)
    with working("writing GGUF"), placing(folder) as scratch:
        made = write(run, what, scratch, folder, base=base, adapter=place, dtype=dtype)
        commands = list(ready(Path(), made, what))
        (scratch / serving.PAGE).write_text(serving.page(commands, made.notes), encoding="utf-8")
        if made.plan is not None:
            (scratch / serving.MODELFILE).write_text(modelfile(made.plan, made.file), encoding="utf-8")
        (scratch / card.FILE).write_text(written_card(run, place, base, made, what), encoding="utf-8")
    for line in made.lines:
        say(f"  {line}")
    for note in made.notes:
        warn(f"  {note}")
    say(f"export: {what} as GGUF → {folder / made.file}; ready commands, also in {folder / serving.PAGE}:")
    for command in ready(folder, made, what):
        say(f"  {command.use}: {command.line}")


def sides(run: Run, what: What, adapter: str | None, model: str | None) -> tuple[Path | None, str]:
    """The adapter, unless the base alone is wanted, and the base."""
    made = manifest.read(run)
    if what == "base":
        own = made.train.model if made.train else None
        if adapter is not None:
            raise InputError("is no option of a base", where="--adapter", fix="leave it out, or --gguf merged")
        if model is None and own is None:
            raise InputError("this run names no base", where=str(run.folder), fix="name a model with --model DIR")
        return None, str(model or own)
    place = named(run, adapter)
    from instructlab_like.tuning.models import adapter_config  # on demand: torch

    told = str(adapter_config(place).base_model_name_or_path or "")
    own = made.train.model if made.train and adapter is None else None
    return place, model or own or base_of(told, made)


def limit_threads(run: Run) -> None:
    import torch  # on demand

    made = manifest.read(run)
    torch.set_num_threads((made.train.threads if made.train else None) or cores())


def write(
    run: Run, what: What, scratch: Path, folder: Path, *, base: str, adapter: Path | None, dtype: Dtype | None
) -> Written:
    """Write the file into `scratch`, which is to become `folder`."""
    from instructlab_like.tuning.models import fetch, model_folder  # on demand

    source = model_folder(base) or fetch(base)
    if what == "adapter":
        assert adapter is not None
        return write_adapter(adapter, source, scratch, base=known_as(base))
    told = planned(run, what, folder, source, adapter, dtype)._replace(name=title(base, what))
    return write_merged(run, told, scratch, base=base, adapter=adapter) if adapter else put(told, source, scratch, what)


def write_merged(run: Run, told: Plan, scratch: Path, *, base: str, adapter: Path) -> Written:
    """Merge first, in float32 unless bfloat16 is wanted, so that each number is rounded once."""
    from instructlab_like.tuning.gguf.plan import plan  # on demand
    from instructlab_like.tuning.merged import merge

    asked = conversations(run)
    if not asked:
        warn("export: this run has no test rows and no held-out items; a probe is asked instead")
    kind: Literal["float32", "bfloat16"] = "bfloat16" if told.kind == "bfloat16" else "float32"
    between = scratch / MERGED
    proof = merge(base, adapter, between, kind=kind, conversations=asked, card=lambda _: "")
    made = put(plan(between, name=told.name, kind=told.kind), between, scratch, MERGED)
    shutil.rmtree(between)
    return made._replace(lines=(*proof.lines(), *made.lines))


def put(told: Plan, model: Path, scratch: Path, what: str) -> Written:
    from instructlab_like.tuning.gguf.file import write as write_file  # on demand
    from instructlab_like.tuning.gguf.tensors import sources

    found = sources(model, told.shape, told.kind)
    size = sum(one.nbytes for one in found)
    room(scratch, size)
    file = f"{what}-{SUFFIX[told.kind]}.gguf"
    count = write_file(told, model, scratch / file)
    lines = (f"{file}: {count} tensors, {size:,} bytes in {told.kind}, read back and compared one by one",)
    return Written(file, lines, notes_of(told), told)


def notes_of(told: Plan) -> tuple[str, ...]:
    exact = "flash attention rounds to half precision on a CPU; with -fa off llama.cpp answers as transformers does"
    more = "more tokens end an answer than a GGUF file can name" if len(told.words.stops) > 3 else ""
    bare = "" if told.words.template else "the model has no chat template; llama.cpp takes one of its own"
    kept = "the chat template does more than Ollama's can say; the Modelfile leaves it to Ollama to find one"
    return tuple(filter(None, (*told.words.notes, exact, more, bare, kept if not bare and told.around is None else "")))


def write_adapter(adapter: Path, source: Path, scratch: Path, *, base: str) -> Written:
    from instructlab_like.tuning.gguf.adapter import write_adapter as write_file  # on demand
    from instructlab_like.tuning.gguf.shape import ForeignModelError, configuration, shape_of

    file = "adapter-f32.gguf"
    try:
        shape = shape_of(configuration(source), str(source))
        count = write_file(adapter, shape, title(base, "adapter"), scratch / file)
    except ForeignModelError as error:
        own = serving.adapter_converter(adapter, source, file)
        fix = f"merge it, with --gguf merged; or {own.use}: {own.line}"
        raise ForeignModelError(error.what, where=error.where, fix=fix) from error
    notes = (f"it needs its base, {base}, as GGUF: --gguf base writes it",)
    return Written(file, (f"{file}: {count} tensors in float32, read back and compared one by one",), notes)


def planned(run: Run, what: What, folder: Path, source: Path, adapter: Path | None, dtype: Dtype | None) -> Plan:
    """The file as it will be. A model that is not written here is told with llama.cpp's own commands."""
    from instructlab_like.tuning.gguf.plan import plan  # on demand
    from instructlab_like.tuning.gguf.shape import ForeignModelError

    own = adapter is not None and (adapter / "tokenizer_config.json").is_file()
    try:
        return plan(source, name=what, kind=dtype, tokenizer=adapter if own else None)
    except ForeignModelError as error:
        lines = []
        if adapter is not None:
            merged = folder.with_name(f"{folder.name}-merged")
            chosen = () if adapter == run.adapter else ("--adapter", adapter)
            lines.append(serving.joined("ilk", "export", "--merged", merged, "--run", run.name, *chosen))
            source = merged
        lines.append(serving.converter(source, folder.with_suffix(".gguf"), dtype or "auto").line)
        fix = f"llama.cpp's own conversion may know it; in a checkout of llama.cpp:\n    {' && '.join(lines)}"
        raise ForeignModelError(error.what, where=error.where, fix=fix) from error


def room(scratch: Path, size: int) -> None:
    """Raise StoppedError unless the disk has room for the file."""
    free = shutil.disk_usage(scratch).free
    if free < size + SPARE:
        what = f"the file needs about {(size + SPARE) / 1e9:,.2f} GB, the disk has {free / 1e9:,.2f} GB free"
        fix = "free some space, name a folder on another disk, or write it with --dtype bfloat16 or float16"
        raise StoppedError(what, where=str(scratch.parent), fix=fix)


# --- what stands beside the file --------------------------------------------------------------------------------


def known_as(base: str) -> str:
    """The base by its name on the hub, or else by the last part of its path: a file that travels names no folder."""
    return base if card.ON_HUB.fullmatch(base) and not find(base).exists() else Path(base).name


def title(base: str, what: What) -> str:
    """A name for people; of a path its last part."""
    name = Path(base).name
    return {"merged": f"{name}, fine-tuned", "base": name, "adapter": f"an adapter for {name}"}[what]


def ready(folder: Path, made: Written, what: What) -> Iterator[Command]:
    file = folder / made.file
    if made.plan is None:
        yield serving.llama_server("BASE.gguf", adapter=file)
        return
    yield serving.llama_server(file)
    yield serving.ollama(folder / serving.MODELFILE, "base" if what == "base" else SERVED)


def modelfile(told: Plan, file: str) -> str:
    return serving.modelfile(file, told.around, stops=told.words.stop_texts, context=told.shape.context)


def written_card(run: Run, adapter: Path | None, base: str, made: Written, what: What) -> str:
    """README.md, which the hub reads: what the file is, how it is served, and what the run knows of the model."""
    commands = "\n\n".join(f"{one.use}:\n\n```console\n{one.line}\n```" for one in ready(Path(), made, what))
    serve = f"## Serving\n\nIn the folder in which this file lies.\n\n{commands}"
    facts = model_card.facts(run, adapter) if adapter is not None else None
    named_base = facts.base if facts else known_as(base)
    relation = {"merged": "finetune", "base": "quantized", "adapter": "adapter"}[what]
    on_hub = {"base_model": named_base, "base_model_relation": relation} if card.ON_HUB.fullmatch(named_base) else {}
    front = on_hub | {"library_name": "gguf", "pipeline_tag": "text-generation", "tags": ["gguf", "instruction-tuning"]}
    head = f"# {card.plain(title(named_base, what))}\n\nIn GGUF, the format of llama.cpp."
    sections = [head, serve]
    if facts is not None:
        told = facts.model_copy(update={"checked": made.lines})
        sections += [card.data(told), card.training(told), card.held_out(told), card.scores(told)]
    checks = "\n".join(f"- {card.plain(one)}" for one in made.lines)
    sections.append(f"## Checked\n\nBefore the file was put in place:\n\n{checks}")
    dumped = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{dumped}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"
