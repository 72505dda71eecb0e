"""What the two sides of a confined process say to each other, in plain values: the worker starts without pydantic."""

from __future__ import annotations

from dataclasses import dataclass

FUNCTIONS = ("dict", "namespace", "range")  # of every template
NUMBERS = frozenset(("index", "index0", "first", "last", "length"))  # of a loop
OUT_OF_MEMORY = 71  # the worker's exit code when an allocation is refused


@dataclass(frozen=True)
class Bounds:
    """How much a template may hold, and how much one rendering of it may do."""

    filters: tuple[str, ...]  # of Jinja's; no others are known
    methods: tuple[str, ...]  # of texts, lists and mappings; no others can be called
    source: int  # characters of a template
    weight: int  # characters and items of a kept value or an intermediate result, nested ones included
    text: int  # characters of a rendered text
    nodes: int = 600  # of the syntax tree
    depth: int = 10  # of statements and expressions inside each other
    length: int = 60  # of an expression: steps from its root to a leaf, longer than which compiling takes seconds
    loops: int = 2  # inside each other
    turns: int = 20_000  # of all loops of a rendering
    range: int = 1_000  # numbers of one range()
    bits: int = 4_096  # of a whole number


@dataclass(frozen=True)
class Flaw:
    line: int | None
    what: str
    fix: str


@dataclass(frozen=True)
class Part:
    """A node of a plain template's tree; `own` is how many of those before it are its children."""

    kind: str
    line: int
    value: str | bool | int | None
    own: int


@dataclass(frozen=True)
class Look:
    """What is seen of a template without rendering it; `names` are those it takes from outside."""

    flaws: tuple[Flaw, ...]
    names: tuple[str, ...]
    plain: tuple[Part, ...] | None = None  # its tree, where it is a plain one


@dataclass(frozen=True)
class Looks:
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Failure:
    line: int | None
    what: str
    undefined: bool  # a name or an attribute that is not there


@dataclass(frozen=True)
class Rendered:
    """The texts of the calls, in order, up to the first that failed; fewer when a reply is full."""

    texts: tuple[str, ...]
    failure: Failure | None = None
    spent: float = 0.0  # processor time of the worker so far, in seconds
