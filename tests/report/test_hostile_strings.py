"""A hundred strings that would act in a page: none brings an element or an attribute, and none runs in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile import STRINGS, hostile
from structure import Page, sound

from instructlab_like.report.markdown import markdown
from instructlab_like.report.page import page
from instructlab_like.report.twin import twin
from instructlab_like.report.wording import visible

TEXTS = ("aria-label", "content")  # attributes whose value may hold a text of the run; content: the policy's digest
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
RAN = 'data-ran="1"'


def shape(html: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    return [
        (tag, tuple((name, None if name in TEXTS else value) for name, value in given.items()))
        for tag, given in sound(html).elements
    ]


@pytest.fixture(scope="module")
def plain_shape() -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    return shape(page(hostile(["word"])))


@pytest.mark.parametrize("text", STRINGS, ids=range(len(STRINGS)))
def test_a_page_has_the_same_elements_whatever_the_run_says(
    text: str, plain_shape: list[tuple[str, tuple[tuple[str, str | None], ...]]]
) -> None:
    html = page(hostile([text]))
    assert shape(html) == plain_shape
    assert Page(html).text.count(str(visible(text))) >= 25  # as it was written, neither decoded nor filled in
    html.encode("utf-8")


def test_the_page_of_a_plain_run_shows_its_word_everywhere() -> None:
    """So that the comparison above is one of pages that hold the string in all these places."""
    said = Page(page(hostile(["word"]))).text.split()
    assert sum("word" in one for one in said) > 60


@pytest.mark.parametrize("text", STRINGS, ids=range(len(STRINGS)))
def test_in_markdown_it_stands_as_code(text: str) -> None:
    told = markdown(hostile([text]))
    outside = "".join(line for part in told.split("`")[::2] for line in part)
    assert told.count("`") % 2 == 0
    assert "<" not in outside.removeprefix("<!-- ilk-report -->")
    for danger in ("ran=1", "](", "{{", "javascript:"):
        assert danger not in outside
    lengths = {line.replace("\\x7c", "").count("|") for line in told.splitlines() if line.startswith("|")}
    assert lengths <= {5, 7, 9}
    told.encode("utf-8")


def test_in_json_it_is_a_string_again() -> None:
    told = json.loads(twin(hostile(STRINGS[:1])))
    assert told["run"] == STRINGS[0]


class Met(HTMLParser):
    """Which elements and attributes a document has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def in_browser(html: str, folder: Path) -> str:
    """The document as it stands once a browser has loaded it and run whatever it would run."""
    assert BROWSER is not None
    (folder / "page.html").write_text(html, encoding="utf-8")
    quiet = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
    command = (BROWSER, "--headless", "--no-sandbox", "--no-first-run", "--disable-sync", *quiet)
    own = (f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", "--dump-dom")
    done = subprocess.run(
        [*command, *own, (folder / "page.html").as_uri()], capture_output=True, check=True, timeout=180
    )
    return done.stdout.decode("utf-8")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
class TestInABrowser:
    def test_none_runs(self, tmp_path: Path) -> None:
        loaded = in_browser(page(hostile(STRINGS)), tmp_path)
        assert loaded.count("<details") >= len(STRINGS)
        assert RAN not in loaded
        met = Met(loaded)
        written = {tag for tag, _ in Page(page(hostile(["word"]))).elements}
        assert met.tags <= written
        assert not [name for name in met.attributes if name.startswith("on")]

    def test_none_runs_even_without_the_policy(self, tmp_path: Path) -> None:
        html = page(hostile(STRINGS))
        loaded = in_browser(html.replace("http-equiv", "data-not"), tmp_path)
        assert RAN not in loaded

    def test_one_that_came_through_would_be_noticed(self, tmp_path: Path) -> None:
        html = page(hostile(STRINGS)).replace("http-equiv", "data-not")
        assert RAN in in_browser(html.replace("</main>", f"{STRINGS[11]}</main>"), tmp_path)

    def test_the_policy_alone_would_stop_it(self, tmp_path: Path) -> None:
        html = page(hostile(STRINGS))
        raw = "".join(STRINGS[:41])
        assert RAN not in in_browser(html.replace("</main>", f"{raw}</main>"), tmp_path)
