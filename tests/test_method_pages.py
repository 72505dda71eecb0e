"""The pages that tell of each shipped flow: what they say is what a run says today, on every machine."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from instructlab_like.flows import load_flow, shipped_flows

DOCS = Path(__file__).parents[1] / "docs"
AGAIN = "run: PYTHONPATH=tests python docs/stories.py"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return runpy.run_path(str(DOCS / "stories.py"))["pages"]()


def test_the_pages_are_what_a_run_tells(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        assert (DOCS / name).is_file(), f"{name}: {AGAIN}"
        assert text == (DOCS / name).read_text("utf-8"), f"{name}: {AGAIN}"
    assert {f"methods/{path.name}" for path in (DOCS / "methods").glob("*.md")} == pages.keys() - {"methods.md"}, AGAIN


@pytest.mark.parametrize("name", shipped_flows())
def test_a_page_has_the_purpose_the_first_prompt_and_a_sample_of_its_flow(pages: dict[str, str], name: str) -> None:
    flow, page = load_flow(name), pages[f"methods/{name}.md"]
    assert f"[`{name}`](methods/{name}.md)" in pages["methods.md"]
    assert flow.plan.purpose.partition(" (")[0].rstrip(".") in page
    story = page.partition("## One sample's story")[2]
    assert f"\nflow      {name}" in story
    assert "\ndataset   train" in story
    if flow.asks:
        (first,) = (step.name for step in flow.steps[:1])
        prompt = page.partition("=== user\n")[2].partition("~~~~~~")[0].strip()
        assert len(prompt) > 100
        assert "{{" not in prompt
        assert f"\nturn 1    {first}:" in story
        assert prompt in story
        assert "The answers are scripted" in page
