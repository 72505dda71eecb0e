"""A page as its elements: read strictly, for what must hold of every report whatever the run says."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "line", "circle", "rect", "polyline"}
HEADINGS = ("h1", "h2", "h3", "h4")
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping", "xlink:href", "style"}

Attributes = dict[str, str | None]


@dataclass
class Cell:
    tag: str
    attributes: Attributes
    text: str = ""

    @property
    def width(self) -> int:
        return int(self.attributes.get("colspan") or 1)


@dataclass
class Table:
    rows: list[list[Cell]] = field(default_factory=list)


class Page(HTMLParser):
    """Collects elements, text and tables; an element that is not closed where it should be is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, Attributes]] = []
        self.tables: list[Table] = []
        self.headings: list[tuple[str, str]] = []
        self.text = ""
        self.style = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            self.tables[-1].rows[-1].append(Cell(tag, given))
        elif tag in HEADINGS:
            self.headings.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"dt", "th", "td", "li", "p"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1].rows[-1][-1].text += data
        if self.open and self.open[-1] in HEADINGS:
            tag, before = self.headings[-1]
            self.headings[-1] = (tag, before + data)

    def values(self, name: str) -> list[str]:
        return [given[name] or "" for _, given in self.elements if name in given]

    def of(self, tag: str) -> list[Attributes]:
        return [given for name, given in self.elements if name == tag]


def sound(html: str) -> Page:
    """The page, which holds to everything that a report has to hold to."""
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert all(target.startswith("#") and target[1:] in ids for target in page.values("href"))
    named = [name for given in ("aria-labelledby", "aria-describedby") for name in page.values(given)]
    assert set(named) <= set(ids)
    assert not LOADING & {name for _, given in page.elements for name in given}
    assert not [name for _, given in page.elements for name in given if name.startswith("on")]
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form", "input", "video", "audio"} & {
        tag for tag, _ in page.elements
    }
    assert not {"url(", "@import", "expression("} & {
        word for word in ("url(", "@import", "expression(") if word in page.style
    }
    policies = [given["content"] or "" for given in page.of("meta") if "http-equiv" in given]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policies[0]
    levels = [HEADINGS.index(tag) for tag, _ in page.headings]
    assert levels[0] == 0
    assert levels.count(0) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(text.strip() for _, text in page.headings)
    for table in page.tables:
        assert all(cell.attributes.get("scope") for row in table.rows for cell in row if cell.tag == "th")
        widths = {sum(cell.width for cell in row) for row in table.rows}
        assert len(widths) == 1, [[cell.text for cell in row] for row in table.rows]
        assert any(cell.tag == "th" and cell.attributes["scope"] == "col" for cell in table.rows[0])
    drawings = [given for given in page.of("svg") if given.get("aria-hidden") != "true"]
    assert all(given.get("role") == "img" and given.get("aria-label") for given in drawings)
    assert set(page.values("tabindex")) <= {"0", "-1"}
    reachable = [
        (tag, given) for tag, given in page.elements if tag in {"a", "summary"} or given.get("tabindex") == "0"
    ]
    assert reachable[0][1]["class"] == "skip"
    assert all(given.get("aria-label") or given.get("aria-labelledby") for tag, given in reachable if tag == "div")
    assert [given["lang"] for given in page.of("html")] == ["en"]
    assert len(page.of("main")) == 1
    return page
