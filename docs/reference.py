"""Write the pages of docs/ that the code knows best; a test fails when one is out of date."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Annotated, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click

from instructlab_like.checking.codes.page import findings_page
from instructlab_like.checking.schemas import schema_files
from instructlab_like.cli import app
from instructlab_like.filters import PHASES, find, members, places
from instructlab_like.recipe import (
    DEFAULT_FILTERS,
    EvaluateRecipe,
    FilterChoice,
    GenerateRecipe,
    ImproveRecipe,
    JudgeRecipe,
    LoraRecipe,
    OsfRecipe,
    PhaseRecipe,
    QualityRecipe,
    Recipe,
    RouteRecipe,
    TargetRecipe,
    TeacherRecipe,
    TrainRecipe,
)

DOCS = Path(__file__).parent
SECTIONS: list[tuple[str, type[Recipe]]] = [
    ("generate", GenerateRecipe),
    ("generate.teacher", TeacherRecipe),
    ("generate.routes.ROLE[]", RouteRecipe),
    ("generate.routes.ROLE[].quality", QualityRecipe),
    ("generate.target", TargetRecipe),
    ("generate.filters[]", FilterChoice),
    ("train", TrainRecipe),
    ("train.lora", LoraRecipe),
    ("train.osf", OsfRecipe),
    ("train.phases[]", PhaseRecipe),
    ("evaluate", EvaluateRecipe),
    ("evaluate.judge", JudgeRecipe),
    ("improve", ImproveRecipe),
]


def commands() -> str:
    command = typer.main.get_command(app)
    with typer.Context(command, info_name="ilk") as context:
        text = get_docs_for_click(obj=command, ctx=context, name="ilk", title="Commands")
    return text.rstrip() + "\n"


def recipes() -> str:
    lines = [
        "# Recipes",
        "",
        "A recipe is a YAML file with up to four sections: `generate`, `train`, `evaluate`, `improve`. Options of",
        "the command line win over it; what was in force, defaults included, is written to `run.yaml`.",
    ]
    for name, kind in SECTIONS:
        lines += ["", f"## {name}", "", "| option | type | default | meaning |", "|---|---|---|---|"]
        lines += [line(option, field) for option, field in kind.model_fields.items()]
    lines += ["", "## Filters and their options", ""]
    default = [choice.name for choice in DEFAULT_FILTERS]
    for phase in PHASES:
        own = [name for name in members() if places()[name] == phase]
        for name in sorted(own, key=lambda one: (one not in default, default.index(one) if one in default else 0, one)):
            kind = find(name)
            told = "" if name in default else ", not in the default chain"
            lines += [f"### {name}", "", f"*{phase}{told}.* {first_paragraph(kind.__doc__)}", ""]
            if kind.model_fields:
                lines += ["| option | default | meaning |", "|---|---|---|"]
                lines += [
                    f"| {option} | `{field.default!r}` | {' '.join((field.description or '').split())} |"
                    for option, field in kind.model_fields.items()
                ] + [""]
    return "\n".join(lines).rstrip() + "\n"


def first_paragraph(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def line(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{shown_default(field.default)}`"
    return f"| {name} | {shown_type(field.annotation)} | {default} | {field.description} |"


def shown_default(value: object) -> str:
    if isinstance(value, Recipe):
        return "see below"
    if isinstance(value, tuple) and value and isinstance(value[0], Recipe):
        return ", ".join(str(part.name) for part in value if isinstance(part, FilterChoice | PhaseRecipe))
    return str(list(value)) if isinstance(value, tuple) else repr(value)


def shown_type(annotation: object) -> str:
    """A type as a reader of YAML would call it."""
    if annotation is NoneType:
        return "none"
    if isinstance(annotation, type) and issubclass(annotation, Recipe):
        return "mapping"
    if get_origin(annotation) is Annotated:
        return shown_type(get_args(annotation)[0])
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) is tuple:
        return f"list of {shown_type(parts[0])}"
    if parts and get_origin(annotation) is not dict:
        return " or ".join(repr(part) if isinstance(part, str) else shown_type(part) for part in parts)
    name = getattr(annotation, "__name__", str(annotation))
    return {"str": "text", "int": "integer", "float": "number", "dict": "mapping"}.get(name, name)


def pages() -> dict[str, str]:
    """Every page by its name below docs/."""
    schemas = {f"schemas/{name}": text for name, text in schema_files().items()}
    return {"commands.md": commands(), "recipes.md": recipes(), "findings.md": findings_page(), **schemas}


def main() -> None:
    for name, text in pages().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
