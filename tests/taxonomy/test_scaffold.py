from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from leaf_files import found_in

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.read import read_leaf
from instructlab_like.taxonomy.scaffold import Kind, new_leaf

PLACES: list[tuple[Kind, str]] = [
    ("knowledge", "knowledge/oceans/tides"),
    ("freeform", "compositional_skills/sums"),
    ("grounded", "foundational_skills/reading/sums"),
]


@pytest.mark.parametrize(("kind", "path"), PLACES)
def test_a_new_leaf_lacks_nothing_but_its_words(tmp_path: Path, kind: Kind, path: str) -> None:
    files = new_leaf(tmp_path, path, kind)
    assert [file.name for file in files] == ["qna.yaml", "attribution.txt", "heldout.yaml"]
    codes = {finding.code for finding in found_in(tmp_path) if finding.severity == "error"}
    assert codes == {"empty", "empty-attribution"} | ({"document"} if kind == "knowledge" else set())


@pytest.mark.parametrize(("kind", "path"), PLACES)
def test_filling_in_what_check_names_makes_a_leaf(tmp_path: Path, kind: Kind, path: str) -> None:
    qna, attribution, _ = new_leaf(tmp_path, path, kind)
    lines = qna.read_text().splitlines()
    empty = [finding for finding in found_in(tmp_path) if finding.code == "empty"]
    for number, finding in enumerate(empty):
        line = lines[finding.line - 1]
        assert line[finding.column - 1 : finding.column + 1] == '""'
        lines[finding.line - 1] = f'{line[: finding.column - 1]}"Word {number}"{line[finding.column + 1 :]}'
    qna.write_text("\n".join(lines) + "\n")
    attribution.write_text(attribution.read_text().replace("work:", "work: Tides"))
    if kind == "knowledge":
        (qna.parent / "tides.md").write_text("The sea rises.\n")
    assert [finding.code for finding in found_in(tmp_path)] == ["none-held-out"]
    leaf = read_leaf(tmp_path, Path(path))
    assert len(leaf.seeds) == 5
    assert leaf.kind == ("knowledge" if kind == "knowledge" else "skill")
    assert all(bool(seed.context) == (kind != "freeform") for seed in leaf.seeds)


def test_the_example_in_heldout_yaml_can_be_used_as_it_stands(tmp_path: Path) -> None:
    _, _, held_out = new_leaf(tmp_path, "compositional_skills/sums", "freeform")
    lines = [line.removeprefix("#   ") for line in held_out.read_text().splitlines() if line.startswith("#   ")]
    assert yaml.safe_load("\n".join(lines))["questions"][0]["accept"] == ["Everest", "Chomolungma"]


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("knowledge/Tides", "knowledge", "such as 'tides'"),
        ("knowledge/../tides", "knowledge", "no name for a folder"),
        ("knowledge//tides", "knowledge", "no name for a folder"),
        ("knowledge/high tide", "knowledge", "such as 'high_tide'"),
        ("knowledge", "knowledge", "lies below knowledge"),
        ("oceans/tides", "knowledge", "lies below knowledge"),
        ("knowledge/tides", "freeform", "lies below compositional_skills or foundational_skills"),
        ("compositional_skills/knowledge/tides", "freeform", "'knowledge' cannot be a folder inside"),
        ("compositional_skills/taken", "freeform", "exists already"),
        ("compositional_skills/leaf/inner", "freeform", "is a leaf itself"),
        ("compositional_skills/link/inner", "freeform", "lies outside the taxonomy"),
    ],
)
def test_bad_names_and_taken_places_are_refused(tmp_path: Path, path: str, kind: Kind, message: str) -> None:
    root = tmp_path / "tree"
    (root / "compositional_skills" / "taken").mkdir(parents=True)
    (root / "compositional_skills" / "link").symlink_to(tmp_path)
    new_leaf(root, "compositional_skills/leaf", "freeform")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        new_leaf(root, path, kind)
    assert sorted(tmp_path.rglob("*")) == before
