"""The commands that train a model and let it, and what it was trained on, go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from instructlab_like.cli.options import Agreed, RecipeFile, RunName, TextOrJson, tiny_base


def train(
    run: RunName = "default",
    recipe: RecipeFile = None,
    model: Annotated[str | None, typer.Option("--model", help="folder or hub name of the base model")] = None,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="tensorboard, trackio, wandb or mlflow; may be given again")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, how long, and whether it fits")
    ] = False,
    show_batch: Annotated[
        int | None, typer.Option("--show-batch", min=1, help="print this many packed rows as the model sees them")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="train from the start; checkpoints go")] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="train on 10 and 30 % of the data, too: would more of it help?")
    ] = False,
    machine_rank: Annotated[
        int | None, typer.Option("--machine-rank", min=0, help="which of the recipe's `machines` this is, from 0")
    ] = None,
    main_address: Annotated[
        str | None, typer.Option("--main-address", help="HOST:PORT of machine 0, where all of them meet")
    ] = None,
    yes: Agreed = False,
) -> None:
    """Fine-tune with LoRA on the run's dataset: a knowledge phase, then a skills phase. Goes on where it stopped."""
    from instructlab_like.recipe import TrainRecipe, load
    from instructlab_like.stages.training.train import Place, look
    from instructlab_like.stages.training.train import train as stage
    from instructlab_like.workspace import run_folder

    overrides: dict[str, object] = {"model": model, "trackers": tuple(track) if track else None}
    told = load(TrainRecipe, recipe or (None if model else tiny_base()), overrides)
    if dry_run or show_batch:
        look(run_folder(run), told, rows=show_batch or 0)
    elif scaling:
        from instructlab_like.stages.training.scaling import scaling as curve

        curve(run_folder(run), told, agreed=yes, restart=restart)
    else:
        place = Place.of(told, machine_rank, main_address)
        stage(run_folder(run), told, agreed=yes, restart=restart, place=place)


def doctor(
    recipe: RecipeFile = None,
    model: Annotated[str | None, typer.Option("--model", help="folder or hub name; default: the recipe's")] = None,
    form: TextOrJson = "text",
) -> None:
    """Say what of this machine's stack works, what is broken and how to repair it. Exit code 1 if anything is."""
    from instructlab_like.recipe import TrainRecipe, load
    from instructlab_like.stages.training.doctor import doctor as stage

    stage(load(TrainRecipe, recipe or (None if model else tiny_base()), {"model": model}), form=form)


def combine(
    folder: Annotated[Path, typer.Argument(help="a new folder for the adapter")],
    adapter: Annotated[list[Path], typer.Option("--adapter", help="folder of an adapter; twice or more")],
    weight: Annotated[
        list[float] | None, typer.Option("--weight", help="of each adapter, in their order; equal unless told")
    ] = None,
    how: Annotated[
        Literal["linear", "ties", "dare", "dare-ties"], typer.Option("--how", help="how updates become one")
    ] = "linear",
    density: Annotated[float, typer.Option("--density", help="part of each update that ties and dare keep")] = 0.5,
    rank: Annotated[int | None, typer.Option("--rank", help="of the result; the sum of theirs unless told")] = None,
    seed: Annotated[int, typer.Option("--seed", help="of what dare drops")] = 0,
    run: RunName = "default",
) -> None:
    """Combine adapters of one base into one, checked by its logits and by this run's questions before it is written."""
    from instructlab_like.stages.training.combine import combine as stage
    from instructlab_like.workspace import run_folder

    stage(run_folder(run), folder, adapter, how=how, weights=weight or (), density=density, rank=rank, seed=seed)


def export(
    folder: Annotated[Path, typer.Argument(help="a new folder, or for a dataset that of an earlier export")],
    target: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="instructlab; hf: Parquet with a card; trl, axolotl, llama-factory, unsloth, openai: these trainers; "
            "lm-eval: the held-out questions",
        ),
    ] = None,
    run: RunName = "default",
    merged: Annotated[bool, typer.Option("--merged", help="the model: adapter and base as one, checked first")] = False,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="merged, gguf: folder; default: the run's own")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="merged, gguf: the base, if it has moved")] = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option("--dtype", help="merged, gguf: of the weights; default: the base's; float16: gguf alone"),
    ] = None,
    gguf: Annotated[
        Literal["merged", "base", "adapter"] | None,
        typer.Option("--gguf", help="as one file for llama.cpp and Ollama: adapter and base as one, or either alone"),
    ] = None,
    taxonomy: Annotated[str | None, typer.Option("--taxonomy", help="the run's tree, if it has moved")] = None,
    suffix: Annotated[str | None, typer.Option("--suffix", help="instructlab: in every name; default: gen")] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", help="system prompt: instructlab: of all rows; trainers: of rows that have none"),
    ] = None,
    absolute_paths: Annotated[
        bool | None,
        typer.Option(
            "--absolute-paths",
            help="name data by whole paths: instructlab: in multiple-choice tasks; axolotl: in its YAML",
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", help="what names of tasks (lm-eval) or datasets (llama-factory) begin with; default: ilk"
        ),
    ] = None,
    phases: Annotated[
        Literal["apart", "together"] | None,
        typer.Option("--phases", help="trainers: a file for each phase, or one; default: apart, openai: together"),
    ] = None,
    rows: Annotated[
        Literal["messages", "prompt-completion"] | None,
        typer.Option("--rows", help="trl: whole conversations, or the last answer apart; default: messages"),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option("--push", help="OWNER/NAME on the hub: upload the folder, once written or as it is; private"),
    ] = None,
    public: Annotated[bool | None, typer.Option("--public", help="push: for everybody to read")] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", help="push: show files, sizes and card, and send nothing")
    ] = None,
) -> None:
    """Write a finished run for other programs: its dataset (--for) or model (--merged, --gguf); upload it (--push)."""
    from instructlab_like.stages.exporting.export import export as dataset
    from instructlab_like.stages.exporting.export_gguf import export_gguf
    from instructlab_like.stages.exporting.export_model import export_merged, one_target
    from instructlab_like.stages.exporting.push import push as upload
    from instructlab_like.workspace import run_folder

    of_data = {"suffix": suffix, "system": system, "absolute_paths": absolute_paths, "prefix": prefix}
    of_data |= {"phases": phases, "rows": rows}
    takers: dict[str, dict[str, object]] = {
        "--for": {"taxonomy": taxonomy, **of_data},
        "--merged and --gguf": {"adapter": adapter, "model": model, "dtype": dtype},
        "--gguf": {"dtype": dtype if dtype == "float16" else None},
        "--push": {} if push else {"public": public, "dry_run": dry_run},
    }
    one_target({"--for": target is not None, "--merged": merged, "--gguf": gguf is not None}, takers, pushed=bool(push))
    if merged:
        assert dtype != "float16"
        export_merged(run_folder(run), folder, adapter=adapter, model=model, dtype=dtype)
    elif gguf:
        export_gguf(run_folder(run), folder, gguf, adapter=adapter, model=model, dtype=dtype)
    elif target is not None:
        options = {name: value for name, value in of_data.items() if value is not None}
        dataset(run_folder(run), target, folder, options, taxonomy=taxonomy)
    if push:
        upload(folder, push, public=bool(public), dry_run=bool(dry_run))
