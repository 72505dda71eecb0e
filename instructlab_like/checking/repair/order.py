"""The order of keys: that of the schema. Comments directly above a key go with it; whole lines move, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from instructlab_like.checking.repair.layout import blanks, compose, end_of, is_comment
from instructlab_like.taxonomy.tree import HELD_OUT, QNA, SIMULATION

ANY = "*"


@dataclass(frozen=True, slots=True)
class Keys:
    """The order of a mapping's keys, and that of the mappings below them. Keys of one group keep their own order."""

    groups: tuple[tuple[str, ...], ...] = ()
    below: Mapping[str, Keys] = field(default_factory=dict)

    def rank(self, key: str) -> int:
        """Unknown keys come last."""
        return next((rank for rank, group in enumerate(self.groups) if key in group), len(self.groups))


def _keys(*names: str | tuple[str, ...], **below: Keys) -> Keys:
    return Keys(tuple((name,) if isinstance(name, str) else name for name in names), below)


# A text may stand before the question that is about it, or after it.
_ASKED = ("context", "question")
_SEED = _keys(_ASKED, "answer", "questions_and_answers", questions_and_answers=_keys("question", "answer"))
_PARAMETER = _keys("kind", "low", "high", "step", "of", "count")
ORDERS = {
    QNA: _keys(
        "version",
        "created_by",
        "domain",
        "task_description",
        "document_outline",
        ("document", "seed_examples"),  # the longer one is often left for the end
        document=_keys("repo", "commit", "patterns"),
        seed_examples=_SEED,
    ),
    HELD_OUT: _keys("questions", questions=_keys(_ASKED, "answer", "accept", "metric", "options", "rubric")),
    SIMULATION: _keys(
        "parameters",
        "questions",
        "answer",
        "held_out_questions",
        parameters=Keys((), {ANY: _PARAMETER}),
    ),
}


def in_order(text: str, name: str) -> str:
    """The text of a leaf's file of this name with the keys of its block mappings in their order."""
    root = compose(text)
    if root is None or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
        return text  # an alias must stay behind what it names
    lines = text.split("\n")
    _order(root, ORDERS[name], lines)
    return "\n".join(lines)


def _order(node: yaml.Node, keys: Keys, lines: list[str]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _order(item, keys, lines)
    elif isinstance(node, yaml.MappingNode) and not node.flow_style:
        # The inner mappings first: they stay within their lines, so that those of the outer ones are still right.
        for key, value in node.value:
            inner = keys.below.get(key.value, keys.below.get(ANY)) if isinstance(key, yaml.ScalarNode) else None
            if inner:
                _order(value, inner, lines)
        if keys.groups:
            _exchange(node, keys, lines)


def _exchange(node: yaml.MappingNode, keys: Keys, lines: list[str]) -> None:
    """Put the entries of one mapping in order; what stands between them stays between them."""
    ranks = [keys.rank(str(key.value)) for key, _ in node.value]
    wanted = sorted(range(len(ranks)), key=ranks.__getitem__)
    if wanted == list(range(len(ranks))):
        return
    starts = [int(key.start_mark.line) for key, _ in node.value]
    column = int(node.value[0][0].start_mark.column)
    if any(lines[start][:column].strip() for start in starts[1:]):
        return  # `? key`
    ends = [end_of(value, lines) for _, value in node.value]
    ends = [max(end, start + 1) for start, end in zip(starts, ends, strict=True)]
    heads = [starts[0], *(_head(start, after, column, lines) for start, after in zip(starts[1:], ends, strict=False))]
    entries = [
        _Entry(lines[head:start], lines[start:end]) for head, start, end in zip(heads, starts, ends, strict=True)
    ]
    gaps = [_clear(lines[end:head], column) for end, head in zip(ends, heads[1:], strict=False)]
    opening = lines[starts[0]][:column]  # "  - " where the mapping is an item of a list
    entries[0].opened(" " * column)
    entries[wanted[0]].opened(opening)
    lines[heads[0] : ends[-1]] = _joined((entries[number] for number in wanted), gaps)


@dataclass(slots=True)
class _Entry:
    """The lines of a key and its value, and of the comments above it."""

    comments: list[str]
    lines: list[str]

    def opened(self, opening: str) -> None:
        """Begin with this instead of as many characters."""
        self.lines[0] = opening + self.lines[0][len(opening) :]
        self.comments = [" " * blanks(opening) + comment.lstrip() for comment in self.comments]


def _head(start: int, after: int, column: int, lines: list[str]) -> int:
    """The first of the comment lines directly above a key; none of them is before the line `after`."""
    while start > after and is_comment(lines[start - 1]) and blanks(lines[start - 1]) == column:
        start -= 1
    return start


def _clear(gap: list[str], column: int) -> list[str]:
    """What stands between two entries; no comment is so far in that it could become part of a block above it."""
    return [" " * min(column, blanks(line)) + line.lstrip(" ") if line.strip() else line for line in gap]


def _joined(entries: Iterable[_Entry], gaps: list[list[str]]) -> list[str]:
    between = [*gaps, []]
    return [line for entry, gap in zip(entries, between, strict=True) for line in (*entry.comments, *entry.lines, *gap)]
