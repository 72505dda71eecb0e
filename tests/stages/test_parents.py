"""Flows that begin with what an earlier run kept: who may be taken up, what the new samples say of it, and why not."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from flow_files import write_flow
from leaf_files import skill, write_leaf
from server import TeacherServer
from small_runs import REFUSALS, SUMS, TIDES, bytes_of, make_workspace, recipe

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.flows import load_flow
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import AskTask, Preference, Row, Sample
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating.examining import seen_questions
from instructlab_like.stages.generating.generate import generate
from instructlab_like.stages.generating.parents import FILE, ParentUse, kept
from instructlab_like.stages.generating.quote import quote
from instructlab_like.stages.keeping.forget import forget
from instructlab_like.stages.telling.why import why
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, read_records, write_records

IMPROVING = ("self-improve-knowledge", "self-improve-freeform")


@dataclass(frozen=True)
class Workspace:
    folder: Path
    taxonomy: Path
    server: TeacherServer
    first: Run
    second: Run

    def told(self, **options: object) -> GenerateRecipe:
        usual = {"flows": IMPROVING, "parents": "first", "filters": ("held_out",), **options}
        return recipe(self.taxonomy, self.server, **usual)


FIRST, SECOND, OTHER, THIRD = (Run(Path("runs") / name) for name in ("first", "second", "other", "third"))


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A run of three leaves, and one that improves its answers."""
    folder = tmp_path_factory.mktemp("parents")
    make_workspace(folder)
    with TeacherServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        space = Workspace(folder, Path("taxonomy"), server, FIRST, SECOND)
        generate(FIRST, recipe(space.taxonomy, server))
        generate(SECOND, space.told())
        patch.undo()
        yield space


@pytest.fixture
def workspace(made_once: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(made_once.folder)
    return made_once


def samples(run: Run) -> list[Sample]:
    return list(read_records(run.samples, Sample))


def uses(run: Run) -> list[ParentUse]:
    return list(read_records(run.folder / FILE, ParentUse))


def reasons(run: Run) -> Counter[str]:
    return Counter(use.reason for use in uses(run) if not use.used)


@pytest.fixture
def space(made_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same, to be changed."""
    folder = Path(shutil.copytree(made_once.folder, tmp_path / "w"))
    monkeypatch.chdir(folder)
    return replace(made_once, folder=folder)


# --- what becomes of them


def test_a_new_sample_cites_its_parent_and_is_one_generation_deeper(workspace: Workspace) -> None:
    parents = {sample.id: sample for sample in kept(workspace.first)}
    assert samples(workspace.second)
    for sample in samples(workspace.second):
        (id,) = sample.lineage.parents
        parent = parents[id]
        assert sample.lineage.depth == parent.lineage.depth + 1
        assert (sample.lineage.leaf, sample.question) == (parent.lineage.leaf, parent.question)
        assert sample.context == parent.context
        assert sample.lineage.chunk == parent.lineage.chunk
    for task in read_records(workspace.second.plan, AskTask):
        (id,) = task.prompt.lineage.parents
        assert parents[id].question in task.prompt.messages[-1].content
        assert parents[id].answer in task.prompt.messages[-1].content
        assert task.prompt.lineage.depth == 2


def test_old_and_new_answer_are_both_the_parents_children_and_the_better_one_a_preference(workspace: Workspace) -> None:
    by_id = {sample.id: sample for sample in samples(workspace.second)}
    assert len(by_id) == len(samples(workspace.second))
    pairs = list(read_records(workspace.second.preferences, Preference))
    assert pairs
    for pair in pairs:
        better, worse = by_id[pair.chosen], by_id[pair.rejected]
        assert better.lineage.parents == worse.lineage.parents
        assert better.answer != worse.answer
        assert pair.chosen_score > pair.rejected_score


def test_an_answer_that_stays_keeps_the_name_of_whoever_wrote_it(workspace: Workspace) -> None:
    parents = {sample.id: sample for sample in kept(workspace.first)}
    stayed = [one for one in samples(workspace.second) if one.answer == parents[one.lineage.parents[0]].answer]
    ruled = [one for one in stayed if parents[one.lineage.parents[0]].lineage.method == "rules"]
    assert ruled
    for sample in stayed:
        before = parents[sample.lineage.parents[0]].lineage
        assert (sample.lineage.model, sample.lineage.method) == (before.model, before.method)
    assert {one.lineage.model for one in samples(workspace.second) if one not in stayed} == {"http:m"}


def test_each_parent_is_accounted_for(workspace: Workspace) -> None:
    told = uses(workspace.second)
    assert sorted(use.id for use in told) == sorted(sample.id for sample in kept(workspace.first))
    planned = {task.prompt.lineage.parents[0] for task in read_records(workspace.second.plan, AskTask)}
    assert {use.id for use in told if use.used} == planned
    assert all(use.reason for use in told if not use.used)
    assert max(Counter(use.leaf for use in told if use.used).values()) == 4  # prompts_per_leaf


def test_what_is_kept_is_what_the_earlier_run_counted(workspace: Workspace) -> None:
    counts = manifest.read(workspace.first).counts
    assert Counter(one.lineage.leaf for one in kept(workspace.first)) == {one.leaf: one.kept for one in counts}


def test_the_choice_is_the_seeds_and_spread_over_what_they_are_about(space: Workspace) -> None:
    taken = {use.id for use in uses(space.second) if use.used}
    generate(THIRD, space.told())
    assert THIRD.plan.read_bytes() == space.second.plan.read_bytes()
    generate(OTHER, space.told(seed=7))
    chosen = {use.id for use in uses(OTHER) if use.used}
    assert len(chosen) == len(taken)
    assert chosen != taken
    for run in (THIRD, OTHER):
        about = [sample for sample in samples(run) if sample.lineage.leaf == TIDES]
        assert len({sample.lineage.chunk for sample in about}) == 4


def test_done_is_done_until_what_the_earlier_run_kept_changes(
    space: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = space.server.requests
    generate(space.second, space.told())
    assert "up to date" in capsys.readouterr().out
    lines = space.first.samples.read_bytes().splitlines(keepends=True)
    gone = next(use.id for use in uses(space.second) if use.used)
    space.first.samples.write_bytes(b"".join(line for line in lines if gone.encode() not in line))
    generate(space.second, space.told())
    assert gone not in {use.id for use in uses(space.second)}
    assert "samples kept" in capsys.readouterr().out
    asked = space.server.requests - before
    assert asked <= 8  # for the one that is taken up in its place


def test_a_file_of_samples_serves_as_well(space: Workspace) -> None:
    path = space.folder / "kept.jsonl"
    write_records(path, kept(space.first))
    generate(OTHER, space.told(parents=str(path)))
    assert OTHER.samples.read_bytes() == space.second.samples.read_bytes()


def test_a_quote_counts_what_would_be_taken_up(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(space.folder / "runs" / "quoted")
    before = space.server.requests
    quote(run, space.told(), form="json")
    told = json.loads(capsys.readouterr().out)
    assert told["quote"]["starts"] == len(list(read_records(space.second.plan, AskTask)))
    assert run.plan.read_bytes() == space.second.plan.read_bytes()
    assert space.server.requests == before


# --- who may not be taken up


def test_a_parent_at_the_cap_is_not_used_and_said(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    generate(THIRD, space.told(parents="second", max_depth=2))
    count = len(kept(space.second))
    printed = capsys.readouterr()
    assert f"parents: {count} not, for each: it is at the depth cap of 2" in printed.out + printed.err
    assert reasons(THIRD) == {"it is at the depth cap of 2": count}
    assert not samples(THIRD)
    told = {gap.leaf: gap.reason for gap in manifest.read(THIRD).shortfalls}
    assert "1-parents.jsonl" in told[SUMS]
    generate(THIRD, space.told(parents="second", max_depth=3), agreed=True)
    assert {sample.lineage.depth for sample in samples(THIRD)} == {3}


def test_a_parent_whose_leaf_changed_or_went_is_not_used(space: Workspace) -> None:
    values = {**skill(), "task_description": "Add numbers, in words."}
    write_leaf(space.taxonomy, SUMS, values)
    shutil.rmtree(space.taxonomy / REFUSALS)
    generate(OTHER, space.told())
    counts = Counter(sample.lineage.leaf for sample in kept(space.first))
    found = reasons(OTHER)
    assert found["its leaf has changed since"] == counts[SUMS]
    assert found["its leaf is not in the tree any more"] == counts[REFUSALS]
    assert {sample.lineage.leaf for sample in samples(OTHER)} == {TIDES}


def test_a_leaf_that_is_left_out_is_told_from_one_that_is_gone(space: Workspace) -> None:
    generate(OTHER, space.told(leaves=(SUMS,)))
    counts = Counter(sample.lineage.leaf for sample in kept(space.first))
    assert reasons(OTHER)["its leaf is not among those of this run"] == counts[REFUSALS] + counts[TIDES]


@pytest.mark.parametrize("same", [True, False])
def test_a_parent_whose_question_is_held_out_by_now_is_not_used(space: Workspace, *, same: bool) -> None:
    parent = next(one for one in kept(space.first) if one.lineage.leaf == TIDES and len(one.question.split()) > 9)
    asked = parent.question.upper() if same else f"Say, then: {parent.question} And why?"
    held = {"questions": [{"question": asked, "answer": "nobody knows"}]}
    (space.taxonomy / TIDES / "heldout.yaml").write_text(yaml.safe_dump(held))
    generate(OTHER, space.told())
    (use,) = [use for use in uses(OTHER) if use.id == parent.id]
    assert use.reason == "its question is held out, or shares eight words in a row with one that is"
    assert parent.question not in {sample.question for sample in samples(OTHER)}


def test_a_parent_whose_passage_has_gone_is_not_used(space: Workspace) -> None:
    document = space.taxonomy / TIDES / "tides.md"
    document.write_text(document.read_text().replace("harbour 2", "the second harbour"))
    generate(OTHER, space.told())
    gone = [use for use in uses(OTHER) if use.reason == "its passage is none that prompts may show any more"]
    assert gone
    assert {use.leaf for use in gone} == {TIDES}
    assert all("harbour 2 " not in (sample.context or "") for sample in samples(OTHER))


def test_a_parent_that_no_flow_takes_and_one_that_is_there_twice_are_said(space: Workspace) -> None:
    twice = ("first", str(FIRST.samples))
    generate(OTHER, space.told(flows=("self-improve-freeform",), parents=twice))
    counts = Counter(sample.lineage.leaf for sample in kept(space.first))
    found = reasons(OTHER)
    assert found["no chosen flow begins with samples of its kind"] == counts[TIDES]
    assert found["it is there twice"] == sum(counts.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parents": ()}, "begins with samples that an earlier run kept, and none is named"),
        ({"flows": ("rules",)}, "none of the chosen flows begins with samples of an earlier run"),
        ({"parents": ("nowhere",)}, "parents: nowhere: is neither a run nor a file of samples"),
        ({"carry": "nowhere"}, "carry: nowhere: is neither a run nor a file of samples"),
        ({"parents": ("other",)}, "parents: other: is this very run"),
        ({"carry": "runs/other"}, "carry: runs/other: is this very run"),
    ],
)
def test_what_cannot_be_begun_is_refused_before_anybody_is_asked(
    space: Workspace, options: dict[str, object], said: str
) -> None:
    generate(OTHER, space.told())
    before, requests = bytes_of(OTHER.folder), space.server.requests
    with pytest.raises(InputError) as caught:
        generate(OTHER, space.told(**options), agreed=True)
    assert said in str(caught.value)
    assert (bytes_of(OTHER.folder), space.server.requests) == (before, requests)


def test_a_line_that_is_no_sample_is_named(space: Workspace) -> None:
    path = space.folder / "kept.jsonl"
    rows = [row.model_dump(mode="json") for row in read_records(space.first.test, Row)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError) as caught:
        generate(OTHER, space.told(parents=str(path)))
    assert "kept.jsonl:1" in str(caught.value)


def test_a_run_that_is_not_finished_gives_no_parents(space: Workspace) -> None:
    manifest.forget(space.first, "generate")
    with pytest.raises(InputError, match="this run is not finished"):
        generate(OTHER, space.told())


@pytest.mark.parametrize("how", [{}, {"flows": ("freeform-simple",), "parents": (), "carry": "first"}])
def test_no_leaf_is_forgotten_where_the_earlier_run_is_gone_without_which_nothing_could_be_derived(
    space: Workspace, how: dict[str, object]
) -> None:
    generate(THIRD, space.told(**how))
    shutil.move(space.first.folder, space.folder / "away")
    before = bytes_of(THIRD.folder)
    with pytest.raises(InputError, match="is neither a run nor a file of samples"):
        forget(THIRD, REFUSALS)
    assert bytes_of(THIRD.folder) == before
    shutil.move(space.folder / "away", space.first.folder)
    forget(THIRD, REFUSALS)
    assert {sample.lineage.leaf for sample in samples(THIRD)} <= {SUMS, TIDES}


# --- carried


def test_carried_samples_are_trained_but_for_those_that_are_answered_anew(
    space: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(OTHER, space.told(carry="first", carry_share=0.5))
    own = {sample.id: sample for sample in kept(space.first)}
    new = {sample.id: sample for sample in kept(OTHER)}
    rows = [row for path in (OTHER.dataset / "data").glob("*.jsonl") for row in read_records(path, Row)]
    ids = {row.sample for row in rows}
    assert ids <= own.keys() | new.keys()
    trained = {row.sample for row in rows} - {row.sample for row in read_records(OTHER.test, Row)}
    for leaf in (SUMS, REFUSALS, TIDES):
        mine = [id for id in trained if (own.get(id) or new[id]).lineage.leaf == leaf]
        assert sum(id in own for id in mine) >= len(mine) / 2
    answered = {(new[id].lineage.leaf, new[id].question) for id in ids & new.keys()}
    assert answered
    assert not answered & {(own[id].lineage.leaf, own[id].question) for id in ids & own.keys()}
    printed = capsys.readouterr().out
    assert f"carried: {len(ids & own.keys())} of the dataset's {len(ids)} samples are those of" in printed
    assert {leaf.leaf: leaf.kept for leaf in manifest.read(OTHER).counts} == Counter(
        sample.lineage.leaf for sample in new.values()
    )


def test_a_question_and_its_other_answer_are_on_one_side_of_the_split(space: Workspace) -> None:
    generate(OTHER, space.told(carry="first", carry_share=0.0, test_share=0.4))
    files = {path.name: list(read_records(path, Row)) for path in (OTHER.dataset / "data").glob("*.jsonl")}
    tested = {row.messages[0].content for row in files.pop("test.jsonl")}
    assert tested
    assert not tested & {row.messages[0].content for rows in files.values() for row in rows}


def test_what_has_changed_since_is_not_carried(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(space.taxonomy / REFUSALS)
    generate(OTHER, space.told(carry="first"))
    gone = sum(sample.lineage.leaf == REFUSALS for sample in kept(space.first))
    assert f"carried: {gone} not, for each: its leaf is not in the tree any more" in capsys.readouterr().out
    rows = [row for path in (OTHER.dataset / "data").glob("*.jsonl") for row in read_records(path, Row)]
    assert REFUSALS not in {row.leaf for row in rows}


# --- across runs


def told(run: Run, id: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    why(run, id)
    return capsys.readouterr().out


def test_why_tells_the_chain_back_to_the_leaf(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    generate(THIRD, space.told(parents="second"))
    sample = next(one for one in samples(THIRD) if one.lineage.leaf == TIDES)
    (parent,) = [one for one in samples(space.second) if one.id == sample.lineage.parents[0]]
    (first,) = [one for one in samples(space.first) if one.id == parent.lineage.parents[0]]
    text = told(THIRD, sample.id, capsys)
    assert f"parent    {parent.id} in second, 2 deep, self-improve-knowledge of" in text
    assert f"ancestor  {first.id} in first, 1 deep, {first.lineage.flow} of {first.lineage.model}" in text
    assert f"origin    of it, {first.id[:12]} was made of {TIDES}" in text
    assert f"passage {first.lineage.chunk}" in text
    why(THIRD, sample.id, form="json")
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found["parents"]] == [parent.id]
    assert [one["depth"] for one in found["ancestors"]] == [1]


def test_why_says_where_the_chain_breaks_off(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    sample = samples(space.second)[0]
    shutil.rmtree(space.first.folder)
    text = told(space.second, sample.id, capsys)
    assert f"parent    {sample.lineage.parents[0]}: first is not there any more" in text
    assert "origin" not in text


def test_why_knows_in_which_earlier_run_a_carried_sample_is(space: Workspace) -> None:
    sample = samples(space.first)[0]
    with pytest.raises(InputError) as caught:
        why(space.second, sample.id)
    assert "--run first" in str(caught.value)


def test_what_an_earlier_run_met_is_no_held_out_question_of_a_later_one(space: Workspace) -> None:
    leaves, _ = read_tree(space.taxonomy)
    generate(THIRD, space.told(parents="second", leaves=(SUMS,)))
    met = seen_questions(THIRD, leaves)
    assert seen_questions(space.first, leaves) <= met


# --- flows of one's own


RESCORE = """\
purpose: Kept answers judged once more
leaves: [freeform, grounded]
steps:
  - {name: judge, template: judge.j2, role: critic, each: [sample], keep: {score: {at_least: 1}}}
"""
JUDGE = """\
---
purpose: Judge a pair
yields: [reason, score]
---
=== user
judge {{ question }} -> {{ answer }} as {{ task }}
[REASON 1]
why
[SCORE 1]
0 or 1
[END 1]
"""


def test_a_flow_that_only_judges_is_one_too(space: Workspace) -> None:
    flow = write_flow(space.folder / "own", RESCORE, "rescore.yaml", {"judge.j2": JUDGE})
    generate(OTHER, space.told(flows=(str(flow),)))
    parents = {one.id: one for one in kept(space.first)}
    assert samples(OTHER)
    for sample in samples(OTHER):
        parent = parents[sample.lineage.parents[0]]
        assert (sample.question, sample.answer, sample.lineage.depth) == (parent.question, parent.answer, 2)
        assert sample.lineage.model == parent.lineage.model
        assert [turn.step for turn in sample.lineage.turns] == ["judge"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[sample]", "[sample, seed]", "rescore.yaml:4:53: step 'judge': the first step must say each: [seeds] or"),
        ("[sample]", "[samples]", "rescore.yaml:4:60: steps.0.each.0"),
        (
            "freeform, grounded]",
            "freeform, grounded]\naxes: {answer: [a, b]}",
            "rescore.yaml:3:8: the axis 'answer' is a variable of the leaf",
        ),
        (
            "judge.j2",
            "wrong.j2",
            "rescore.yaml:4:19: step 'judge': its template own/wrong.j2 takes 'context', which nothing before it makes",
        ),
    ],
)
def test_a_flow_that_takes_samples_up_wrongly_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    templates = {"judge.j2": JUDGE, "wrong.j2": JUDGE.replace("{{ task }}", "{{ context }}")}
    assert old in RESCORE
    write_flow(tmp_path / "own", RESCORE.replace(old, new), "rescore.yaml", templates)
    with pytest.raises(RecipeError) as caught:
        load_flow("own/rescore.yaml")
    assert str(caught.value).replace("own/rescore", "rescore").startswith(said)


def test_only_a_first_step_takes_samples_up(tmp_path: Path) -> None:
    text = RESCORE + "  - {name: again, template: judge.j2, role: critic, each: [sample], as: {score: b, reason: c}}\n"
    path = write_flow(tmp_path, text, "rescore.yaml", {"judge.j2": JUDGE})
    with pytest.raises(RecipeError, match="only the first step says what it is about"):
        load_flow(str(path))
