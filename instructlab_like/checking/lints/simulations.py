"""What is wrong with a leaf's simulation beyond its form: templates that fail, hide a parameter or never vary.

What the templates give is looked through as well: a text can be put together that stands in no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Mapping_

from instructlab_like.checking import lints
from instructlab_like.checking.spots import spot
from instructlab_like.checking.subject import Subject, Text
from instructlab_like.generation.space import SHOWN
from instructlab_like.records import Skill
from instructlab_like.taxonomy.findings import Finding, Findings, Place
from instructlab_like.taxonomy.tree import SIMULATION
from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar, Sheet

_LINE = re.compile(r"line (\d+): ")
_UNKNOWN = re.compile(r"'(\w+)' is no parameter")
_WHOLE = "simulation: "


def findings(subject: Subject) -> Iterable[Finding]:
    leaf = subject.reading.leaf
    sheet = subject.reading.sheets.get(SIMULATION)
    if not isinstance(leaf, Skill) or leaf.simulation is None or sheet is None:
        return []
    # Only few leaves have a simulation, and the process in which it is tried is slow to start.
    from instructlab_like.generation.simulation import problems

    places = dict(_places(sheet.root))
    found = Findings(subject.place.naming(SIMULATION))
    rendered: list[tuple[str, str]] = []
    for text in problems(leaf.simulation, rendered=rendered):
        message, _, fix = text.rpartition(" → ")
        field = max((field for field in places if message.startswith(f"{field}: ")), key=len, default="")
        message = message.removeprefix(f"{field}: " if field else _WHOLE)
        place: Place | None = places.get(field)
        line = _LINE.match(message)
        unknown = _UNKNOWN.match(message)
        if line and isinstance(place, Scalar):
            message = message[line.end() :]
            place = _line_of(place, int(line[1]), sheet)
        elif unknown and isinstance(place, Scalar):
            place = _use_of(unknown[1], place, sheet)
        found.error(place, "simulation", message, fix=fix, field=field)
    _look_through(rendered, places, found)
    return found.ordered


def _look_through(rendered: Iterable[tuple[str, str]], places: Mapping_[str, Place], found: Findings) -> None:
    """Tell of what the rendered texts hold and their templates do not, once a template and kind."""
    looks = lints.looks()
    told: set[tuple[str, str]] = set()
    for field, text in dict.fromkeys(rendered):
        place = places.get(field)
        source = str(place.value) if isinstance(place, Scalar) else ""
        for look in looks:
            for hit in look(text):
                if (field, hit.code) in told:
                    continue
                told.add((field, hit.code))
                if hit.code in {known.code for known in look(source)}:
                    continue  # found where it stands
                tell = found.error if hit.severity == "error" else found.warning
                tell(place, hit.code, f"rendered, this gives a text with: {hit.message}", fix=hit.fix, field=field)


def _places(root: Node | None) -> Iterator[tuple[str, Place]]:
    """The fields of which there can be problems, as these call them, with what stands for them in the file."""
    if not isinstance(root, Mapping):
        return
    for entry in root.entries:
        field = str(entry.key)
        yield field, entry.value
        if isinstance(entry.value, Items):
            yield from ((f"{field}[{number}]", item) for number, item in enumerate(entry.value.items, start=1))
        elif isinstance(entry.value, Mapping):
            for inner in entry.value.entries:
                name = str(inner.key)
                name = f"{field}.{name if len(name) <= SHOWN else name[:SHOWN] + '…'}"
                values = inner.value.get("of") if isinstance(inner.value, Mapping) else None
                yield name, inner
                yield f"{name}.of", values or inner


def _line_of(template: Scalar, number: int, sheet: Sheet) -> Place:
    """Where a line of a template stands; what is read of a template begins with its first visible character."""
    value = str(template.value)
    start = len(value) - len(value.lstrip())
    for _ in range(number - 1):
        start = value.find("\n", start) + 1 or len(value)
    return _spot(template, start, sheet)


def _use_of(name: str, template: Scalar, sheet: Sheet) -> Place:
    """Where a name first stands in a template's expressions and statements."""
    use = re.search(rf"\{{[{{%][^}}]*?\b(?={name}\b)", str(template.value))
    return _spot(template, use.end(), sheet) if use else template


def _spot(template: Scalar, start: int, sheet: Sheet) -> Place:
    value = str(template.value)
    return spot(sheet.text, Text(SIMULATION, "", template.line, template.column, value), start, len(value))
