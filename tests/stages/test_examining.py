"""From a run's files to the questions that rules make of its chunks, and chunks that the run never saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaf_files import knowledge, skill, write_leaf

from instructlab_like.errors import InputError
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe
from instructlab_like.records import Chunk, Item, RulesTask, Sample
from instructlab_like.stages.evaluating.examining import examined, gathered, seen_questions, taught_chunks
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.library import read_chunks, read_leaves
from instructlab_like.workspace import Run, read_records, write_records

OSLEN = "knowledge/towns/oslen"
BUILDERS = ["Ada Quill", "Mark Dallow", "Jon Feldt", "Nora Gell", "Lisa Torn", "Erik Saul", "Clara Nimm", "Peter Vaun"]
STONES = ["slate", "copper", "zinc", "straw", "granite", "marble", "timber", "brick"]
STREETS = ["Corn", "Rope", "Harbour", "Guild", "Tide", "Weigh", "Pinnock", "Harrow"]
DOCUMENT = "# Oslen\n\n" + "\n".join(
    f"## {street}\n\nThe {street} Hall was built by {builder} in {1700 + 13 * number}.\n"
    f"The roof of the {street} Hall is made of {stone}.\n"
    for number, (street, builder, stone) in enumerate(zip(STREETS, BUILDERS, STONES, strict=True))
)


def made(folder: Path, **told: object) -> tuple[Run, GenerateRecipe]:
    """A run of the rules over a tree with a document of eight chunks."""
    root = folder / "taxonomy"
    leaf = write_leaf(root, OSLEN, knowledge(repo=".", commit="HEAD", patterns=["*.md"]))
    (leaf / "oslen.md").write_text(DOCUMENT, encoding="utf-8")
    write_leaf(root, "compositional_skills/sums", skill())
    run = Run(folder / "runs" / "t")
    recipe = GenerateRecipe(taxonomy=str(root), flows=("rules",), filters=(), test_share=0.0, **told)
    generate(run, recipe)
    return run, recipe


def asked(run: Run, recipe: GenerateRecipe, **told: int) -> list[Item]:
    leaves = read_leaves(Path(recipe.taxonomy), ())
    return examined(run, recipe, leaves, EvaluateRecipe(**told), avoid=seen_questions(run, leaves))


def chunks(recipe: GenerateRecipe) -> list[Chunk]:
    found, lacking = read_chunks(read_leaves(Path(recipe.taxonomy), ()), Path(recipe.taxonomy), recipe)
    assert not lacking
    return found[OSLEN]


def test_a_run_without_held_out_chunks_is_asked_about_what_it_trained(tmp_path: Path) -> None:
    run, recipe = made(tmp_path)
    found = asked(run, recipe, closed_book=100, choices=100, open_book=100)
    assert {item.source for item in found} == {"closed-book"}
    assert {item.chunk for item in found} == taught_chunks(run)[OSLEN] == {chunk.id for chunk in chunks(recipe)}
    assert len([item for item in found if item.part == "closed-book"]) == 24
    assert len([item for item in found if item.part == "choice"]) == 24


def test_held_out_chunks_are_in_no_prompt_and_are_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recipe = made(tmp_path, hold_out=0.3)
    assert "held out for questions: 2 of 8 chunks\n" in capsys.readouterr().out
    every = {chunk.id for chunk in chunks(recipe)}
    planned = {task.chunk.id for task in read_records(run.plan, RulesTask)}
    held = every - planned
    assert len(held) == 2
    found = asked(run, recipe, closed_book=100, open_book=100)
    open_book = [item for item in found if item.source == "open-book"]
    assert {item.chunk for item in open_book} == held
    assert {item.chunk for item in found if item.source == "closed-book"} == planned
    assert all(item.context is not None and item.answer in item.context for item in open_book)
    assert not any(item.context in run.samples.read_text() for item in open_book)


def test_without_a_wish_no_document_is_read(tmp_path: Path) -> None:
    run, recipe = made(tmp_path)
    nowhere = recipe.model_copy(update={"taxonomy": str(tmp_path / "gone")})
    leaves = read_leaves(Path(recipe.taxonomy), ())
    none = EvaluateRecipe(closed_book=0, choices=0, open_book=0)
    assert examined(run, nowhere, leaves, none, avoid=()) == []


def test_documents_that_cannot_be_had_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, recipe = made(tmp_path)
    (Path(recipe.taxonomy) / OSLEN / "oslen.md").unlink()
    assert asked(run, recipe, closed_book=5) == []
    assert f"{OSLEN}: no questions about its documents: " in capsys.readouterr().err


def test_a_document_that_was_edited_since_does_not_become_unread(tmp_path: Path) -> None:
    """Its chunks have other ids then; what was trained of it was trained all the same."""
    run, recipe = made(tmp_path)
    document = tmp_path / "taxonomy" / OSLEN / "oslen.md"
    document.write_text(f"{DOCUMENT}\n", encoding="utf-8")
    assert {item.source for item in asked(run, recipe, closed_book=100, choices=100, open_book=100)} <= {"closed-book"}


def test_questions_that_a_teacher_of_the_run_made_are_refused(tmp_path: Path) -> None:
    run, recipe = made(tmp_path)
    (first, *rest) = list(read_records(run.samples, Sample))
    taught = first.lineage.model_copy(update={"method": "teacher", "model": "http:big"})
    write_records(run.samples, [first.model_copy(update={"lineage": taught}), *rest])
    brought = Item(
        id="1", leaf=OSLEN, source="closed-book", question="Who paid for it?", answer="Ada", maker="http:small"
    )
    told = EvaluateRecipe(
        items=(str(tmp_path / "brought.jsonl"),), base_tasks="", closed_book=0, choices=0, open_book=0
    )
    leaves = read_leaves(Path(recipe.taxonomy), ())
    write_records(tmp_path / "brought.jsonl", [brought])
    assert [item.maker for item in gathered(run, recipe, leaves, told).questions] == ["http:small"]
    write_records(tmp_path / "brought.jsonl", [brought.model_copy(update={"maker": "http:big"})])
    with pytest.raises(InputError, match="http:big made what is trained"):
        gathered(run, recipe, leaves, told)
