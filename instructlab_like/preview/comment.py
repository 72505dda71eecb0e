"""A preview as one Markdown comment on a pull request. What a leaf says stands in fences or as code: nothing acts.

A leaf's author may write anything, and whoever posts the comment lends it their name: no mention, link, image, HTML or
instruction of Markdown may come through. Nor is anything hidden: what cannot be seen is written as an escape.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from instructlab_like.checking.forms.plain import shown
from instructlab_like.generation.figures import number
from instructlab_like.preview import terminal, wording
from instructlab_like.preview.facts import LeafPreview, Preview

MARKER = "<!-- ilk-preview -->"  # by which a workflow finds the comment that it has written before
LONGEST = 60_000  # characters; GitHub refuses a comment of more than 65,536
SECTION = 8_000  # characters of one fence
ROWS = 50  # of the table
NAME = 120  # characters of a name in it
COLUMNS = 110

_UNSAFE = re.compile(r"[^A-Za-z0-9_./ ,:;=+()~'-]")


def markdown(told: Preview) -> str:
    """The comment, of at most `LONGEST` characters; what was cut is said."""
    note = "_{} of the {} leaves are left out here: a comment holds no more. `ilk preview` tells all of them._"
    return fitting(list(_blocks(told)), note, len(told.leaves))


def fitting(blocks: Sequence[str], note: str, total: int) -> str:
    """As many blocks as a comment holds; where some are left out, `note` says how many of the `total`."""
    written: list[str] = []
    left = LONGEST - len(note) - 20
    for block in blocks:
        left -= len(block) + 2
        if left < 0:
            break
        written.append(block)
    if missing := len(blocks) - len(written):
        written.append(note.format(missing, total))
    return "\n\n".join(written)


def fenced(rows: Iterable[str]) -> str:
    """Lines inside a fence that nothing in them can close, wrapped, and cut after `SECTION` characters."""
    lines: list[str] = []
    room = SECTION
    for row in rows:
        folded = textwrap.wrap(shown(row), COLUMNS, subsequent_indent=" " * 13, break_on_hyphens=False) or [""]
        room -= sum(len(line) + 1 for line in folded)
        if room < 0:
            lines.append("… the rest is cut; ilk preview tells all of it")
            break
        lines += folded
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", "\n".join(lines))), default=0))
    return "\n".join([f"{fence}text", *lines, fence])


def code(name: str) -> str:
    """A name as code inside a line or a table; characters that mean anything there are written as escapes."""
    cut = name if len(name) <= NAME else f"{name[: NAME // 2]} ... {name[-NAME // 2 :]}"
    return f"`{_UNSAFE.sub(_escaped, cut) or '(empty)'}`"


def _blocks(told: Preview) -> Iterator[str]:
    yield f"{MARKER}\n{_heading(told)}"
    if told.leaves:
        yield _table(told.leaves)
    for title, rows in (
        ("Removed", terminal.removed_rows(told)),
        ("Filters", terminal.filter_rows(told)),
        ("Shift of the mix", terminal.shift_rows(told)),
        ("With a teacher", terminal.total_rows(told)),
        ("Notes", (*terminal.note_rows(told), f"recipe: {wording.settings(told)}")),
    ):
        if listed := list(rows):
            yield f"#### {title}\n\n{fenced(listed)}"
    for leaf in told.leaves:
        yield f"#### {code(leaf.path)}\n\n{fenced(terminal.leaf_rows(leaf))}"


def _heading(told: Preview) -> str:
    count = len(told.leaves)
    title = f"### Preview of {count} {'leaf' if count == 1 else 'leaves'}"
    if told.base is None:
        return title
    return f"{title}\n\nCompared with {code(told.base.ref)}, merge base {code(told.base.commit[:12])}."


def _table(leaves: tuple[LeafPreview, ...]) -> str:
    rows = [
        "| leaf | change | check | made | kept | calls of a teacher | tokens in | tokens out | repeats |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
        *map(_row, leaves[:ROWS]),
    ]
    more = len(leaves) - ROWS
    return "\n".join(rows) + (f"\n\n… and {more} leaves more." if more > 0 else "")


def _row(leaf: LeafPreview) -> str:
    errors = sum(found.severity == "error" for found in leaf.findings)
    warnings = len(leaf.findings) - errors
    check = ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    )
    cells = [code(leaf.path), leaf.change.kind, check or "fine"]
    if not leaf.previewed:
        return "| " + " | ".join([*cells, *["–"] * 5, str(len(leaf.overlaps))]) + " |"
    asked = leaf.teacher
    figures = (leaf.made, leaf.kept, *((asked.calls, asked.tokens_in, asked.tokens_out) if asked else [None] * 3))
    return "| " + " | ".join([*cells, *map(number, figures), str(len(leaf.overlaps))]) + " |"


def _escaped(found: re.Match[str]) -> str:
    code_point = ord(found[0])
    if code_point < 0x100:
        return f"\\x{code_point:02x}"
    return f"\\u{code_point:04x}" if code_point < 0x10000 else f"\\U{code_point:08x}"
