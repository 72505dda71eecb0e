"""What a YAML file says, for comparing it before and after a repair."""

from __future__ import annotations

from typing import TypeAlias

import yaml

from instructlab_like.taxonomy.yaml_lines import Items, Mapping, Node, Scalar

# Of a scalar: its tag and text. The keys of a mapping come sorted; those given twice stay in their order.
Meaning: TypeAlias = "tuple[str, str] | tuple[str, list[Meaning]] | tuple[str, list[tuple[Meaning, Meaning]]]"


def meaning(text: str, *, exactly: bool = False) -> Meaning | None:
    """What the text says; None for nothing. It must be readable within the budgets of the reader.

    Unless it is to be exact, blanks at the end of a line of a block, and line breaks at a block's end, are passed over:
    the lint of leaves refuses the former inside blocks as well, and every reader of leaves strips the latter.
    """
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    return None if root is None else _Reader(exactly).meaning(root)


def words(node: Node | None) -> object:
    """What the reader of leaves makes of a file, whatever blanks stand in its texts."""
    match node:
        case Scalar(value=str() as text):
            return text.split()
        case Items():
            return [words(item) for item in node.items]
        case Mapping():
            return {(type(entry.key), entry.key): words(entry.value) for entry in node.entries}
        case _:
            return repr(node.value) if node else None


def same(one: Meaning | None, other: Meaning | None) -> bool:
    return one == other


class _Reader:
    def __init__(self, exactly: bool) -> None:
        self.exactly = exactly
        self.known: dict[int, Meaning] = {}

    def meaning(self, node: yaml.Node) -> Meaning:
        if id(node) not in self.known:
            self.known[id(node)] = self.fresh(node)
        return self.known[id(node)]

    def fresh(self, node: yaml.Node) -> Meaning:
        if isinstance(node, yaml.ScalarNode):
            return node.tag, str(node.value) if self.exactly else _passed_over(node.value, node.style)
        if isinstance(node, yaml.SequenceNode):
            return node.tag, [self.meaning(item) for item in node.value]
        pairs = [(self.meaning(key), self.meaning(value)) for key, value in node.value]
        return node.tag, sorted(pairs, key=lambda pair: repr(pair[0]))


def _passed_over(text: str, style: str | None) -> str:
    if style == "|":
        return "\n".join(line.rstrip(" \t") for line in text.split("\n")).rstrip("\n")
    if style == ">":  # folding puts a blank where a line ends: how many there are is what changes
        return " ".join(text.split())
    return str(text)
