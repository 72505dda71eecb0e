"""What a filter of another tool lets pass, as what a step of ours keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from instructlab_like.interop.branch import Bounds, Words
from instructlab_like.interop.pipelines import Block
from instructlab_like.interop.sheet import Entry
from instructlab_like.interop.told import LeftError, Outcome

LEAST = 0.000001  # numbers of a judge are read with six decimals


class Say(Protocol):
    def __call__(self, outcome: Outcome, what: str, fix: str = "", entry: Entry | None = None) -> None: ...


def passes(block: Block, text: str, say: Say) -> bool:
    """Whether a text that is known beforehand passes."""
    values = [entry.scalar for entry in values_of(block)]
    operation = block.word("operation")
    tests = {"eq": text in values, "contains": any(value in text for value in values)}
    tests["ne"] = any(text != value for value in values)
    if operation not in tests or "convert_dtype" in block.config:
        fix = "compare it with eq, ne or contains"
        raise LeftError(block.config["operation"], f"{operation} is not done with a text known beforehand", fix)
    become = "are kept" if tests[operation] else "make no flow"
    say("carried", f"decided beforehand: rows whose {block.word('filter_column')} is {text!r} {become}")
    return tests[operation]


def wanted(block: Block, say: Say) -> Words | Bounds:
    """What a field must be to pass; raises LeftError for what no step can say."""
    operation = block.word("operation")
    kind = block.config["convert_dtype"].scalar if "convert_dtype" in block.config else ""
    if kind not in ("", "int", "float", "bool"):
        raise block.config["convert_dtype"].wrong(f"cannot convert to {kind!r}", "write int, float or bool")
    values = values_of(block)
    if kind in ("int", "float") or all(entry.kind == "number" for entry in values):
        return bounds(block, operation, [entry.number("filter_value") for entry in values], kind, say)
    if kind == "bool":
        fix = "leave convert_dtype out, and name the word that is to be kept"
        raise LeftError(block.config["convert_dtype"], "any text is true there, so nothing is dropped", fix)
    if operation != "eq":
        fix = "let the judge write one word, and compare it with eq"
        raise LeftError(block.config["operation"], f"{operation} of texts: a step keeps words or numbers", fix)
    return Words(tuple(entry.word("filter_value") for entry in values))


def bounds(block: Block, operation: str, values: Sequence[float], kind: str, say: Say) -> Words | Bounds:
    """The numbers that pass."""
    if not kind:
        what = "compares a text with a number, which there is never the same; here the text is read as a number"
        say("differs", what, entry=block.config["filter_value"])
    least = 1.0 if kind == "int" else LEAST
    made: dict[str, Callable[[], Words | Bounds]] = {
        "ge": lambda: Bounds(least=min(values)),
        "gt": lambda: Bounds(least=min(values) + least),
        "le": lambda: Bounds(most=max(values)),
        "lt": lambda: Bounds(most=max(values) - least),
        "eq": lambda: Bounds(values[0], values[0]) if len(values) == 1 else one_of(values),
    }
    if operation not in made:
        fix = "compare it with eq, ge, gt, le or lt"
        raise LeftError(block.config["operation"], f"{operation} of numbers: a step keeps a range", fix)
    wanted = made[operation]()
    default = block.config["default_value"].number("default_value") if "default_value" in block.config else 0.0
    if kind and within(default, wanted):
        what = f"a text that is no number counts as {default:g} there and is kept; here it is rejected"
        say("differs", what, entry=block.at("default_value"))
    return wanted


def values_of(block: Block) -> tuple[Entry, ...]:
    entry = block.config["filter_value"]
    if entry.kind == "list" and not entry.items:
        raise entry.wrong("filter_value is an empty list", "name what is to be kept")
    return entry.items if entry.kind == "list" else (entry,)


def one_of(values: Sequence[float]) -> Words:
    """Numbers as words, with and without a point."""
    return Words(tuple(word for value in values for word in dict.fromkeys((f"{value:g}", f"{value:.1f}"))))


def within(number: float, wanted: Words | Bounds) -> bool:
    if isinstance(wanted, Words):
        return f"{number:g}" in wanted.words
    return (wanted.least is None or number >= wanted.least) and (wanted.most is None or number <= wanted.most)


def shown(wanted: Words | Bounds) -> str:
    if isinstance(wanted, Words):
        return " or ".join(wanted.words)
    least = f"at least {wanted.least:g}" if wanted.least is not None else ""
    most = f"at most {wanted.most:g}" if wanted.most is not None else ""
    return " and ".join(filter(None, (least, most)))
