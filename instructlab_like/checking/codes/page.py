"""The page of all codes, with a heading for each, so that a link can end in `#code`."""

from __future__ import annotations

from collections.abc import Iterator

from instructlab_like.checking.codes.catalogue import SECTIONS
from instructlab_like.checking.codes.code import Code

_INTRODUCTION = """\
# Findings

What `ilk check` may say, by its code: `path:line:column: error [code] message`. A code keeps its meaning, so that
scripts can rely on it; `--format json` and `sarif` carry it, too. This page is generated from the source.

The *strict* profile, the default, has all of them. In the *compatible* profile, which gives the verdict of
`instructlab-schema`, are those marked **both profiles**. An error refuses a leaf, a warning does not: what only looks
like a fault is a warning, and so is what upstream's YAML lint calls one (`--warnings-as-errors` changes that).

`ilk check --fix` repairs the form of the YAML files: blanks at line ends, the last line break, line ends, tabs, empty
lines, indentation, the order of keys. It keeps comments, quotes and every value, and leaves alone what it cannot repair
without changing one. The one exception are texts in `|` and `>` blocks: blanks at the end of their lines are content to
YAML, but the lint refuses them there, too, so they go. A file that needs nothing keeps every byte.\
"""


def findings_page() -> str:
    """docs/findings.md."""
    return "\n".join([_INTRODUCTION, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for section in SECTIONS:
        yield from ("", f"## {section.title}", "", section.about)
        for code in section.codes:
            yield from ("", f"### {code.name}", "", *_paragraphs(code))


def _paragraphs(code: Code) -> Iterator[str]:
    profiles = "both profiles" if code.compatible else "strict"
    yield f"{code.title} (**{profiles}**). {code.why}"
    yield ""
    yield f"*What to do:* {code.fix}"
    for label, example in (("wrong", code.wrong), ("right", code.right)):
        if example:
            yield from ("", "```yaml", f"# {label}", *example.rstrip("\n").split("\n"), "```")
