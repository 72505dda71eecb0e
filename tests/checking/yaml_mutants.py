"""YAML files put out of form in many small ways, none of which changes what they say to a reader of leaves."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import yaml


def trailing_blanks(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    for number in rng.sample(range(len(lines)), k=min(3, len(lines))):
        lines[number] += rng.choice([" ", "  ", "\t", " \t "])
    return "\n".join(lines)


def empty_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    lines[(at := rng.randrange(len(lines))) : at] = [""] * rng.randint(1, 6)
    return "\n".join(lines)


def comments(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    lines.insert(at, " " * rng.randint(0, 8) + "# a remark: with: colons and 'quotes")
    return "\n".join(lines)


def endings(text: str, rng: random.Random) -> str:
    return rng.choice([text.rstrip("\n"), text + "\n\n\n", text + "  ", "\n\n" + text, text.rstrip("\n") + "\t"])


def carriage_returns(text: str, rng: random.Random) -> str:
    return "\n".join(line + "\r" * (rng.random() < 0.5) for line in text.split("\n"))


def deeper(text: str, rng: random.Random) -> str:
    """What is below a key goes in further."""
    lines = text.split("\n")
    keys = [number for number, line in enumerate(lines) if re.fullmatch(r"[ -]*\w+: *", line)]
    if not keys:
        return text
    at = rng.choice(keys)
    key = len(lines[at]) - len(lines[at].lstrip(" -"))
    extra = " " * rng.randint(1, 3)
    for number in range(at + 1, len(lines)):
        inner = len(lines[number]) - len(lines[number].lstrip(" "))
        if (lines[number] and inner < key) or (inner == key and not lines[number].lstrip().startswith("- ")):
            break
        lines[number] = extra + lines[number]
    return "\n".join(lines)


def wider_dashes(text: str, rng: random.Random) -> str:
    return re.sub(
        r"^( *)- (?=\"|[A-Z])", lambda found: f"{found[1]}-{' ' * rng.randint(1, 3)}", text, flags=re.MULTILINE
    )


def shuffled(text: str, rng: random.Random) -> str:
    """The values dumped anew, keys in another order, in one of the dumper's styles."""
    return yaml.dump(
        _shuffled(yaml.safe_load(text), rng),
        sort_keys=False,
        allow_unicode=True,
        indent=rng.choice([2, 3, 4]),
        width=rng.choice([30, 80, 200]),
        default_style=rng.choice([None, None, '"', "'", "|", ">"]),
    )


def _shuffled(value: object, rng: random.Random) -> object:
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: _shuffled(value[key], rng) for key in keys}
    return [_shuffled(item, rng) for item in value] if isinstance(value, list) else value


def blocks(text: str, rng: random.Random) -> str:
    """Some plain values become blocks, of every kind."""

    def block(found: re.Match[str]) -> str:
        if rng.random() < 0.6:
            return found[0]
        indent = " " * (len(found[1]) + rng.randint(1, 5))
        header = rng.choice(["|", "|-", "|+", ">", ">-", ">+"])
        return f"{found[1]}{found[2]}: {header}\n{indent}{found[3]}\n{indent}more\n" + "\n" * rng.randint(0, 2)

    return re.sub(r"^([ -]*)(question|answer): ([A-Z][\w ]*)\n", block, text, flags=re.MULTILINE)


def tabs(text: str, rng: random.Random) -> str:
    return re.sub(r"^(  )+", lambda found: "\t" * (len(found[0]) // 2), text, flags=re.MULTILINE)


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    trailing_blanks,
    empty_lines,
    comments,
    endings,
    carriage_returns,
    deeper,
    deeper,
    wider_dashes,
    shuffled,
    blocks,
    tabs,
)


def mutant(text: str, seed: int) -> bytes:
    """The text after one to five mutations; the same seed gives the same one."""
    rng = random.Random(seed)
    chosen = rng.choices(MUTATIONS, k=rng.randint(1, 5))
    for mutate in sorted(chosen, key=lambda mutate: mutate in (carriage_returns, tabs)):
        try:
            text = mutate(text, rng)
        except yaml.YAMLError:  # another one broke it before
            continue
    return text.encode()
