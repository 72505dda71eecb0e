"""Answers of a simulation rendered again, for parameters that were drawn before."""

from __future__ import annotations

import atexit
import os
from collections import OrderedDict
from collections.abc import Mapping
from threading import local

from instructlab_like.confined.lasting import Lasting
from instructlab_like.confined.wire import Bounds, Rendered

WEIGHT = 20_000  # characters and items of all drawn values together, as many as a rendered text may have
# Jinja's filters and methods that compute or choose; those that lay out text (center, indent, format, …) have no use.
BOUNDS = Bounds(
    filters=(
        *("abs", "capitalize", "count", "default", "dictsort", "first", "float", "int", "items", "join", "last"),
        *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round"),
        *("select", "selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper"),
    ),
    methods=(
        *("capitalize", "count", "endswith", "find", "get", "index", "items", "keys", "lower", "split", "startswith"),
        *("strip", "title", "upper", "values"),
    ),
    source=4_000,
    weight=2_000,
    text=WEIGHT,
)
OPEN = 8  # processes at a time, one a template


class _Processes(local):
    """The processes of one thread, by template, those used last at the end."""

    def __init__(self) -> None:
        self.open: OrderedDict[str, Lasting] = OrderedDict()
        self.owner = os.getpid()
        atexit.register(self.close)

    def of(self, template: str, where: str) -> Lasting:
        if self.owner != os.getpid():  # a fork's: those of its parent are not its own to talk to
            self.open, self.owner = OrderedDict(), os.getpid()
        found = self.open.pop(template, None) or Lasting([template], BOUNDS, where=where)
        self.open[template] = found
        while len(self.open) > OPEN:
            self.open.popitem(last=False)[1].__exit__(None, None, None)
        return found

    def close(self) -> None:
        while self.open and self.owner == os.getpid():
            self.open.popitem()[1].__exit__(None, None, None)


_processes = _Processes()


def answer(template: str, values: Mapping[str, object], *, where: str) -> Rendered:
    """The text of an answer's template with these values, or why there is none.

    A process is kept for each of the last templates, until the program ends. Raises TemplateError, naming `where`, for
    a template that takes more than it may.
    """
    return _processes.of(template, where).render([(0, values)], each=1)


def close() -> None:
    """End the processes of this thread."""
    _processes.close()
