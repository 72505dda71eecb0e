from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from emitted_codes import emitted, sources

from instructlab_like.checking import lints
from instructlab_like.checking.codes import CODES, find
from instructlab_like.checking.codes.catalogue import SECTIONS
from instructlab_like.checking.codes.page import findings_page

DOCS = Path(__file__).parents[2] / "docs"
PASSING_ON = {"checking/lints/aliases"}  # tells what the reader has noted
NOT_YAML = {"syntax", "unknown-licence"}  # their examples are a fault in YAML, and a line of attribution.txt


def test_every_code_that_the_source_can_make_is_explained_and_none_besides() -> None:
    assert sorted(emitted()) == sorted(CODES)


def test_the_source_is_read_in_all_its_rooms() -> None:
    told = {module for modules in emitted().values() for module in modules}
    assert {f"checking/lints/{name}" for name in lints.NAMES} - PASSING_ON <= told
    assert {"checking/upstream", "taxonomy/qna", "taxonomy/siblings", "taxonomy/tree", "taxonomy/yaml_lines"} <= told
    assert len(dict(sources())) > 30


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("missing-key", "taxonomy/siblings"),  # a name that is one of several texts
        ("key", "taxonomy/yaml_lines"),  # handed on by a method
        ("phone", "checking/lints/personal"),  # taken out of a tuple
        ("bidi-control", "checking/lints/characters"),  # the group of a pattern
        ("commas", "checking/upstream"),  # a rule of yamllint
        ("leftover-text", "checking/lints/leftovers"),  # a constant of the module
        ("wrong-name", "taxonomy/tree"),  # a field of a record
    ],
)
def test_codes_are_followed_to_where_they_come_from(code: str, module: str) -> None:
    assert module in emitted()[code]


def test_the_profile_of_a_code_is_that_of_the_source_that_makes_it() -> None:
    both = {"taxonomy/qna", "taxonomy/read", "taxonomy/tree", "taxonomy/yaml_lines", "checking/upstream"}
    # What the reader notes for the strict profile alone, or says of files that upstream does not have.
    noted = {"alias-used", "merge-used", "tag-used", "misplaced"}
    compatible = {code for code, modules in emitted().items() if modules & both} - noted
    assert {code.name for code in CODES.values() if code.compatible} == compatible


def test_a_code_stands_once() -> None:
    assert sum(len(section.codes) for section in SECTIONS) == len(CODES)


def test_the_page_is_what_the_code_says() -> None:
    written = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert written == findings_page(), "run docs/reference.py"


def test_every_code_has_a_heading_to_link_to() -> None:
    page = re.sub(r"^```.*?^```$", "", findings_page(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    slugs = [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(slugs) == len(set(slugs))
    assert set(CODES) <= set(slugs)


@pytest.mark.parametrize("name", sorted(CODES))
def test_an_explanation_is_whole(name: str) -> None:
    code = CODES[name]
    assert find(name) is code
    assert code.title[0] not in "abcdefghijklmnopqrstuvwxyz"
    assert not code.title.endswith(".")
    assert code.why.endswith(".")
    assert code.fix.endswith(".")
    assert bool(code.wrong) == bool(code.right)
    if code.wrong:
        assert code.wrong != code.right
    if code.wrong and name not in NOT_YAML:
        yaml.compose(code.wrong)
        yaml.compose(code.right)


def test_a_rule_of_a_newer_yamllint_is_explained_after_a_fashion() -> None:
    assert find("quoted-strings").title == "quoted strings"
