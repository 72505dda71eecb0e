"""`ilk new`: the files of a leaf, and what is left to fill in."""

from __future__ import annotations

from pathlib import Path

from instructlab_like.console import say
from instructlab_like.errors import InputError
from instructlab_like.taxonomy.chunks import count
from instructlab_like.taxonomy.scaffold import BRANCHES, SEEDS, Kind, Source, new_leaf, source_from
from instructlab_like.taxonomy.schemas import home, nearest, put


def new(taxonomy: str, path: str, *, kind: Kind | None, document: Path | None) -> None:
    """Make the files of a leaf, with passages of a document where one is named, and say what is left to do."""
    chosen = kind or _implied(path)
    if document and chosen != "knowledge":
        fix = "leave --from out, or make a knowledge leaf"
        raise InputError(f"a {chosen} leaf is not made from a document", where=str(document), fix=fix)
    root = Path(taxonomy)
    source = source_from(document) if document else None
    schemas = nearest(root)
    made = new_leaf(root, path, chosen, schemas=schemas or home(root), source=source)
    for file in [*made, *([] if schemas else put(home(root)))]:
        say(f"made {file}")
    if source and document:
        say(f"{document}: {_offered(source)}")
    say(f"fill in what `ilk check {root / path.strip('/')}` names; a licence is an SPDX identifier, such as CC-BY-4.0")


def _implied(path: str) -> Kind:
    """The kind that a path leaves no doubt about."""
    branch = path.strip("/").partition("/")[0]
    if branch == "knowledge":
        return "knowledge"
    if branch in BRANCHES["freeform"]:
        fix = "add --kind freeform, --kind grounded (about a text that is given) or --kind simulation (by a rule)"
        raise InputError("the path does not say which kind of skill this is", where=path, fix=fix)
    fix = "write knowledge/…, compositional_skills/… or foundational_skills/…"
    raise InputError("no leaf lies there", where=path, fix=fix)


def _offered(source: Source) -> str:
    """How many passages a document gave, and how many are missing."""
    sizes = ", ".join(str(count(chunk.text)) for chunk in source.passages)
    found = f"{len(source.passages)} passages proposed ({sizes} words)" if sizes else "no passage of prose was found"
    missing = SEEDS - len(source.passages)
    if not missing:
        return f"{found}; change them as you like"
    return f"{found}; {missing} of {SEEDS} contexts are left blank for you to fill"
