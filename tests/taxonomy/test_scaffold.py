from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from leaf_files import found_in

from instructlab_like.errors import InputError
from instructlab_like.taxonomy.chunks import count
from instructlab_like.taxonomy.read import read_leaf
from instructlab_like.taxonomy.scaffold import Kind, Source, new_leaf, source_from

PLACES: list[tuple[Kind, str]] = [
    ("knowledge", "knowledge/oceans/tides"),
    ("freeform", "compositional_skills/sums"),
    ("grounded", "foundational_skills/reading/sums"),
    ("simulation", "compositional_skills/office/stamping"),
]
ATTRIBUTION = """\
Title of work: Tides
Link to work: https://example.org/tides
Revision: 12
License of the work: CC-BY-4.0
Creator names: Ann Example
"""
TALE = "the sea rises and falls twice a day and the moon pulls at it wherever it stands above the water"


def make(root: Path, path: str, kind: Kind, source: Source | None = None) -> list[Path]:
    return new_leaf(root, path, kind, schemas=root / "schemas", source=source)


def blanks(leaf: Path, name: str) -> list[tuple[int, int]]:
    """Line and column of every blank in a file, by what the file itself says."""
    lines = (leaf / name).read_text().splitlines()
    return [(number, line.index('""') + 1) for number, line in enumerate(lines, start=1) if '""' in line]


def named_blanks(leaf: Path, name: str) -> list[tuple[int, int]]:
    """Line and column of every blank that check names."""
    found = [finding for finding in found_in(leaf) if finding.code == "empty" and Path(finding.path).name == name]
    return [(finding.line, finding.column) for finding in found]


def fill(leaf: Path, name: str, words: list[str]) -> None:
    """Put words into the blanks that check names, in their order."""
    lines = (leaf / name).read_text().splitlines()
    for (line, column), word in zip(named_blanks(leaf, name), words, strict=True):
        text = lines[line - 1]
        lines[line - 1] = f'{text[: column - 1]}"{word}"{text[column + 1 :]}'
    (leaf / name).write_text("\n".join(lines) + "\n")


def errors(leaf: Path) -> list[str]:
    return [str(finding) for finding in found_in(leaf) if finding.severity == "error"]


@pytest.mark.parametrize(("kind", "path"), PLACES)
def test_every_blank_of_a_new_leaf_is_named_at_its_line(tmp_path: Path, kind: Kind, path: str) -> None:
    make(tmp_path, path, kind)
    leaf = tmp_path / path
    for name in {"qna.yaml", "simulation.yaml"} & {file.name for file in leaf.iterdir()}:
        assert named_blanks(leaf, name) == blanks(leaf, name)
        assert len(blanks(leaf, name)) > 5
    assert {finding.path for finding in found_in(leaf) if finding.severity == "error"} == {
        str(leaf / name) for name in ("qna.yaml", "attribution.txt", "simulation.yaml") if (leaf / name).exists()
    }


@pytest.mark.parametrize(("kind", "path"), PLACES)
def test_filling_in_what_check_names_makes_a_leaf(tmp_path: Path, kind: Kind, path: str) -> None:
    make(tmp_path, path, kind)
    leaf = tmp_path / path
    fill(leaf, "qna.yaml", sentences(len(blanks(leaf, "qna.yaml")), grounded=kind in ("knowledge", "grounded")))
    (leaf / "attribution.txt").write_text(ATTRIBUTION)
    if kind == "knowledge":
        (leaf / "tides.md").write_text((leaf / "qna.yaml").read_text())
    if kind == "simulation":
        assert errors(leaf) != []
        fill(
            leaf,
            "simulation.yaml",
            ["lamp", "bell", "Is a {{ thing }} here?", "A {{ thing }}?", "{{ thing }}", "{{ thing }} it is?"],
        )
    assert errors(leaf) == []
    read = read_leaf(tmp_path, Path(path))
    assert len(read.seeds) == 5
    assert read.kind == ("knowledge" if kind == "knowledge" else "skill")
    assert all(bool(seed.context) == (kind in ("knowledge", "grounded")) for seed in read.seeds)


def sentences(many: int, *, grounded: bool) -> list[str]:
    """Different words for every blank; each answer stands in its context, if the leaf has contexts."""
    if not grounded:
        return [f"Say number {number}" for number in range(many)]
    return [f"Harbour {number} has a tide of {number} metres" for number in range(many)]


@pytest.mark.parametrize(("kind", "path"), PLACES)
def test_the_first_line_of_each_yaml_file_leads_an_editor_to_its_schema(tmp_path: Path, kind: Kind, path: str) -> None:
    files = make(tmp_path, path, kind)
    for file in files:
        first = file.read_text().splitlines()[0]
        if file.suffix != ".yaml":
            assert "$schema" not in first
            continue
        start, _, link = first.partition("=")
        assert start == "# yaml-language-server: $schema"
        wanted = {"qna.yaml": "knowledge" if kind == "knowledge" else "skill"}.get(file.name, file.stem)
        assert os.path.normpath(file.parent / link) == str(tmp_path / "schemas" / f"{wanted}.schema.json")


def test_only_a_simulation_has_a_simulation(tmp_path: Path) -> None:
    names = {kind: {file.name for file in make(tmp_path, path, kind)} for kind, path in PLACES}
    assert names["simulation"] == {"qna.yaml", "attribution.txt", "simulation.yaml"}
    assert all(names[kind] == {"qna.yaml", "attribution.txt", "heldout.yaml"} for kind in names if kind != "simulation")


def example(file: Path) -> str:
    """The example in a file's comments, as it would be without the comment signs."""
    return "".join(line.removeprefix("#   ") for line in file.read_text().splitlines(True) if line.startswith("#   "))


def test_the_example_in_heldout_yaml_can_be_used_as_it_stands(tmp_path: Path) -> None:
    *_, held_out = make(tmp_path, "compositional_skills/sums", "freeform")
    assert yaml.safe_load(example(held_out))["questions"][0]["accept"] == ["Everest", "Chomolungma"]


def test_the_example_in_simulation_yaml_can_be_used_as_it_stands(tmp_path: Path) -> None:
    qna, _, simulation = make(tmp_path, "compositional_skills/sums", "simulation")
    simulation.write_text(example(simulation))
    assert [finding for finding in found_in(qna.parent) if finding.path.endswith("simulation.yaml")] == []


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
        ("knowledge/tides", "simulation", "lies below compositional_skills or foundational_skills"),
        ("compositional_skills/knowledge/tides", "freeform", "'knowledge' cannot be a folder inside"),
        ("compositional_skills/taken", "freeform", "exists already"),
        ("compositional_skills/dangling", "freeform", "lies outside the taxonomy"),
        ("compositional_skills/leaf/inner", "freeform", "is a leaf itself"),
        ("compositional_skills/link/inner", "freeform", "lies outside the taxonomy"),
    ],
)
def test_bad_names_and_taken_places_are_refused(tmp_path: Path, path: str, kind: Kind, message: str) -> None:
    root = tmp_path / "tree"
    (root / "compositional_skills" / "taken").mkdir(parents=True)
    (root / "compositional_skills" / "link").symlink_to(tmp_path)
    (root / "compositional_skills" / "dangling").symlink_to(tmp_path / "nowhere")
    make(root, "compositional_skills/leaf", "freeform")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        make(root, path, kind)
    assert sorted(tmp_path.rglob("*")) == before


# --- from a document --------------------------------------------------------------------------------------------


def paragraph(number: int) -> str:
    return f"In harbour {number} {TALE}. Its wall is {number} metres high. {TALE.capitalize()}.\n"


def article(sections: int) -> str:
    return "# Tides\n\n" + "\n".join(f"## Harbour {number}\n\n{paragraph(number)}" for number in range(sections))


def from_document(tmp_path: Path, text: str | bytes, name: str = "tides.md") -> tuple[Path, Source]:
    """The folder of a leaf made from a document, and what the document gave."""
    document = tmp_path / name
    document.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = source_from(document)
    make(tmp_path / "tree", "knowledge/oceans/tides", "knowledge", source)
    return tmp_path / "tree/knowledge/oceans/tides", source


def contexts(leaf: Path) -> list[str]:
    return [seed["context"] for seed in yaml.safe_load((leaf / "qna.yaml").read_text())["seed_examples"]]


def test_a_document_is_copied_and_five_passages_are_spread_over_it(tmp_path: Path) -> None:
    leaf, _ = from_document(tmp_path, article(20))
    assert (leaf / "tides.md").read_text() == article(20)
    numbers = [int(text.split()[2]) for text in contexts(leaf)]
    assert [number // 4 for number in numbers] == [0, 1, 2, 3, 4]
    assert all(text in article(20) for text in contexts(leaf))
    assert named_blanks(leaf, "qna.yaml") == blanks(leaf, "qna.yaml")
    assert len(blanks(leaf, "qna.yaml")) == 3 + 5 * 3 * 2


def test_a_leaf_from_a_document_passes_once_its_blanks_are_filled(tmp_path: Path) -> None:
    leaf, _ = from_document(tmp_path, article(6))
    pairs = [
        word for seed in contexts(leaf) for pair in range(3) for word in (f"{pair}: what of {seed[:14]}?", seed[:20])
    ]
    fill(leaf, "qna.yaml", ["ann", "oceans", "What tides are.", *pairs])
    (leaf / "attribution.txt").write_text(ATTRIBUTION)
    assert errors(leaf) == []


def test_lists_tables_code_and_references_are_passed_over(tmp_path: Path) -> None:
    listed = "".join(f"- {TALE}. And again it rises.\n" for _ in range(9))
    table = "| a | b |\n|---|---|\n" + "".join(f"| {TALE}. It rises. | b |\n" for _ in range(9))
    apparatus = f"# References\n\n{paragraph(99)}\n## Web\n\n{paragraph(98)}\n"
    text = f"# List\n\n{listed}\n# Table\n\n{table}\n# Code\n\n```\n{paragraph(97)}```\n\n{article(5)}\n{apparatus}"
    leaf, _ = from_document(tmp_path, text)
    assert [int(found.split()[2]) for found in contexts(leaf)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("hidden", ["\u202e", "\u200f", "\u2028", "\U000e0041"])
def test_a_passage_that_holds_what_nobody_can_see_is_passed_over(tmp_path: Path, hidden: str) -> None:
    leaf, _ = from_document(tmp_path, article(6).replace("In harbour 3", f"In harbour {hidden}3"))
    assert [int(found.split()[2]) for found in contexts(leaf)] == [0, 1, 2, 4, 5]


def test_a_short_document_gives_what_it_has_and_leaves_the_rest_blank(tmp_path: Path) -> None:
    leaf, source = from_document(tmp_path, "# Tides\n\nThe sea rises and falls twice a day. The moon pulls at it.\n")
    assert len(source.passages) == 1
    assert [bool(text) for text in contexts(leaf)] == [True, False, False, False, False]
    assert named_blanks(leaf, "qna.yaml") == blanks(leaf, "qna.yaml")


def test_a_document_without_prose_gives_blanks_alone(tmp_path: Path) -> None:
    leaf, source = from_document(tmp_path, "- one\n- two\n")
    assert source.passages == ()
    assert contexts(leaf) == [""] * 5


def test_words_of_endless_length_are_no_prose(tmp_path: Path) -> None:
    data = "](" * 20_000
    leaf, _ = from_document(tmp_path, f"# Data\n\n{paragraph(9)}{data}\n\n{article(5)}")
    assert [int(found.split()[2]) for found in contexts(leaf)] == [0, 1, 2, 3, 4]


def test_no_passage_is_longer_than_the_limit_however_long_the_sentences(tmp_path: Path) -> None:
    sentence = " ".join([TALE] * 40)
    leaf, _ = from_document(tmp_path, "".join(f"# {number}\n\n{sentence}. {sentence}.\n\n" for number in range(5)))
    assert len(contexts(leaf)) == 5
    assert all(0 < count(text) <= 500 for text in contexts(leaf))


def test_headings_are_offered_as_comments_and_never_as_values(tmp_path: Path) -> None:
    heading = "A: # `trap` \u2028 \u202e !"
    leaf, _ = from_document(tmp_path, article(5).replace("# Tides", f"# {heading}", 1))
    text = (leaf / "qna.yaml").read_text()
    assert "#   A: # trap ! \n".replace(" \n", "\n") in text
    assert yaml.safe_load(text)["domain"] == ""
    assert yaml.safe_load(text)["document_outline"] == ""


@pytest.mark.parametrize(
    "hostile",
    [
        "It says: \"yes\" & 'no' # not a comment, {a: b} [c] *d &e !f %g @h.",
        "---\nversion: 4\n---\nThis is it. That was it.",
        "A line that ends in blanks.  \nAnd a line after it.",
        "A tab\there, and\t\tthere.\n\tAnd at the start.",
        'A back\\slash, a \\n that is none, and a "quote\\".',
        "A mark \ufeffin the midst.",
        "Ünïcödé, 日本語です。それは何ですか。 \U0001f30a and a no-break\u00a0space.",
    ],
)
def test_passages_read_back_as_the_document_has_them(tmp_path: Path, hostile: str) -> None:
    text = "".join(f"# Part {number}\n\n{paragraph(number)}{hostile}\n{paragraph(number)}\n" for number in range(5))
    leaf, source = from_document(tmp_path, text)
    assert contexts(leaf) == [chunk.text for chunk in source.passages]
    assert all(found in text for found in contexts(leaf))
    assert sum(hostile.split()[-1] in found for found in contexts(leaf)) == 5
    assert named_blanks(leaf, "qna.yaml") == blanks(leaf, "qna.yaml")
    lint = {"syntax", "trailing-spaces", "empty-lines", "duplicate-key"}
    assert {finding.code for finding in found_in(leaf)} & lint == set()


def test_line_ends_of_other_systems_are_copied_and_read_as_plain_ones(tmp_path: Path) -> None:
    text = article(5).replace("\n", "\r\n").replace(". Its", ".\r\nIts")
    leaf, _ = from_document(tmp_path, text.encode())
    assert (leaf / "tides.md").read_bytes() == text.encode()
    assert all(found in text.replace("\r\n", "\n") for found in contexts(leaf))
    assert "\n" in contexts(leaf)[0]


@pytest.mark.parametrize(
    ("name", "copy"),
    [("High Tides (2nd).MD", "High_Tides_2nd.md"), ("[a]*.txt", "a.txt"), ("…….markdown", "document.markdown")],
)
def test_the_copy_has_a_name_that_its_pattern_matches(tmp_path: Path, name: str, copy: str) -> None:
    leaf, _ = from_document(tmp_path, article(5), name)
    assert (leaf / copy).read_text() == article(5)
    assert [finding for finding in found_in(leaf) if finding.code == "document"] == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("tides.pdf", b"text", "cannot be read yet"),
        ("tides.md", b"text\ncaf\xe9", r"tides\.md:2: this is not UTF-8"),
        ("tides.md", b"text\nab\x07c", r"tides\.md:2:3: holds the control character U\+0007"),
        ("tides.md", "a\x85b".encode(), r"tides\.md:1:2: holds the control character U\+0085"),
        ("tides.md", b"x" * 10_000_001, "larger than 10,000,000 bytes"),
        ("attribution.txt", b"text", "cannot hold a document called attribution.txt"),
        ("QNA.yaml.txt", b"text", "cannot hold a document called QNA.yaml.txt"),
    ],
)
def test_documents_that_no_leaf_can_hold_are_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        source_from(tmp_path / name)


def test_only_a_regular_file_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text(article(5))
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    for name, message in (
        ("link", "is a link"),
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("missing", "there is no such file"),
    ):
        with pytest.raises(InputError, match=message):
            source_from(tmp_path / f"{name}.md")
