"""What several commands are told: their options, and the parts of a recipe that these describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from instructlab_like.errors import InputError

RunName = Annotated[str, typer.Option("--run", help="name of the run: the folder runs/NAME, or a path")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="YAML file with sections generate, train, evaluate")]
Agreed = Annotated[bool, typer.Option("--yes", help="agree to redo a run whose recipe changed")]
Mirror = Annotated[
    list[str] | None,
    typer.Option("--mirror", help="URL=PATH: read this document repository from a git bundle or bare repository"),
]
DocumentHost = Annotated[
    list[str] | None,
    typer.Option("--document-host", help="fetch documents from this host, too; may be given again"),
]
FlowName = Annotated[
    list[str] | None,
    typer.Option("--flow", help="how samples are made: a shipped flow, or the path of your own; may be given again"),
]
TeacherPlace = Annotated[
    str | None, typer.Option("--teacher", help="URL of an OpenAI-compatible endpoint, up to /v1, or a model folder")
]
TeacherModel = Annotated[str | None, typer.Option("--teacher-model", help="the model's name at the endpoint")]
PriceIn = Annotated[
    float | None, typer.Option("--price-in", min=0, help="of a million tokens to the teacher, in any currency")
]
PriceOut = Annotated[float | None, typer.Option("--price-out", min=0, help="of a million tokens from it")]
KeyEnv = Annotated[str | None, typer.Option("--key-env", help="environment variable that holds the API key")]
Folder = Annotated[str | None, typer.Option("--taxonomy", help="the tree of leaves")]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="for people or for programs")]
Base = Annotated[
    str | None,
    typer.Option("--base", help="compare with where the working tree left this Git ref; default: origin/HEAD, or main"),
]


def price_options(price_in: float | None, price_out: float | None) -> tuple[float, float] | None:
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise InputError("one price is missing", where="--price-in, --price-out", fix="give both, for a million tokens")
    return price_in, price_out


def budget_options(recipe: Path | None, budget: list[str] | None) -> dict[str, object] | None:
    """The `budget` section that the options describe, on top of the recipe file's."""
    from instructlab_like.generation.purse import read_budget
    from instructlab_like.recipe import read_section

    if not budget:
        return None
    given = read_section(recipe, "generate").get("budget") if recipe else None
    return (dict(given) if isinstance(given, dict) else {}) | read_budget(budget)


def route_options(recipe: Path | None, route: list[str] | None) -> dict[str, str] | None:
    """The `forced_routes` that the options describe, on top of the recipe file's."""
    from instructlab_like.recipe import read_section

    if not route:
        return None
    given = read_section(recipe, "generate").get("forced_routes") if recipe else None
    found: dict[str, str] = {}
    for text in route:
        role, separator, teacher = text.partition("=")
        if not separator or not role or not teacher:
            raise InputError(f"not ROLE=TEACHER: {text!r}", where="--route", fix="e.g. --route answerer=small")
        if found.setdefault(role, teacher) != teacher:
            raise InputError(
                f"{role!r} is given to {found[role]!r} and to {teacher!r}", where="--route", fix="keep one"
            )
    return {**(given if isinstance(given, dict) else {}), **found}


def generate_options(
    recipe: Path | None,
    taxonomy: str | None,
    flow: list[str] | None,
    teacher: dict[str, object] | None,
    mirror: list[str] | None,
    document_host: list[str] | None,
) -> tuple[Path | None, dict[str, object]]:
    """The recipe file in force, and what the options say on top of it."""
    overrides: dict[str, object] = {
        "taxonomy": taxonomy,
        "flows": tuple(flow) if flow else None,
        "mirrors": mirrors(mirror) if mirror else None,
        "document_hosts": tuple(document_host) if document_host else None,
        "teacher": teacher,
    }
    if teacher and not flow and recipe is None:
        overrides["flows"] = ("knowledge", "freeform", "grounded", "simulation")
    return recipe or (None if teacher else tiny_base()), overrides


def tiny_base() -> Path:
    """The recipe in force when neither a recipe, a teacher nor a model is named: that of the tiny base model."""
    from instructlab_like.workspace import find

    return find("training/recipes/tiny_base.yaml")


def teacher_options(
    recipe: Path | None, teacher: str | None, model: str | None, key_env: str | None
) -> dict[str, object] | None:
    """The `teacher` section that the options describe, on top of the recipe file's."""
    from instructlab_like.recipe import read_section

    given = read_section(recipe, "generate").get("teacher") if recipe else None
    told: dict[str, object] = dict(given) if isinstance(given, dict) else {}
    if teacher is None and model is None and key_env is None:
        return told or None
    if teacher is not None and "://" in teacher:
        told |= {"kind": "http", "url": teacher}
    elif teacher is not None:
        told |= {"kind": "local", "model": teacher}
    if model is not None:
        told["model"] = model
    if key_env is not None:
        told["key_env"] = key_env
    if "model" not in told:
        raise InputError("the teacher's model is not named", where="--teacher", fix="add --teacher-model NAME")
    return told


def mirrors(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        url, separator, path = text.partition("=")
        if not separator or not path:
            raise InputError(
                f"not URL=PATH: {text!r}", where="--mirror", fix="e.g. --mirror https://host/repo=repo.bundle"
            )
        found[url] = path
    return found
