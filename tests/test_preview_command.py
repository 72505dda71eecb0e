"""`ilk preview` as a maintainer runs it: on a branch, without a teacher, with one, and with one that fails."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from leaf_files import commit_all, dumped, git, skill, write_leaf
from server import Fault, TeacherServer

TAXONOMY = Path(__file__).parents[1] / "taxonomy"
VELMOUTH = "knowledge/history/towns/velmouth"
MARSH = "knowledge/nature/reserves/loomsey_marsh"
PARCELS = "compositional_skills/office/post/parcel_class"
REFUSAL = "compositional_skills/writing/freeform/polite_refusal"
SPARE = "generate:\n  flows: [knowledge-simple, freeform-simple]\n  prompts_per_leaf: 6\n  teacher: {retries: 0}\n"


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """Half of the starter tree, on a branch that has changed nothing yet."""
    for leaf in (VELMOUTH, MARSH, PARCELS, REFUSAL):
        shutil.copytree(TAXONOMY / leaf, tmp_path / "taxonomy" / leaf)
    (tmp_path / ".gitignore").write_text("runs/\ncache/\n")
    git(tmp_path, "init", "--quiet")
    commit_all(tmp_path)
    git(tmp_path, "checkout", "--quiet", "-b", "side")
    return tmp_path


@pytest.fixture(scope="module")
def teacher() -> Iterator[TeacherServer]:
    with TeacherServer() as server:
        yield server


def ilk(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "instructlab_like", *words],
        cwd=cwd,
        env=os.environ | {"ILK_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def preview(*words: str, cwd: Path) -> str:
    """What a preview prints that ends well."""
    done = ilk("preview", *words, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def told(*words: str, cwd: Path) -> Any:
    return json.loads(preview("--format", "json", *words, cwd=cwd))


def leaf_of(found: Any, path: str) -> Any:
    (leaf,) = [leaf for leaf in found["leaves"] if leaf["path"] == path]
    return leaf


def edit(branch: Path, leaf: str, old: str, new: str, *, file: str = "qna.yaml") -> None:
    path = branch / "taxonomy" / leaf / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def prompts(bodies: list[bytes]) -> list[bytes]:
    """Of the requests, those that flows made: what finds out what a server can do has no system message."""
    return [body for body in bodies if len(json.loads(body)["messages"]) > 1]


def asking(server: TeacherServer, *more: str) -> list[str]:
    return ["--recipe", "r.yaml", "--teacher", server.url, "--teacher-model", "test-teacher", *more]


def test_a_branch_that_changes_nothing_previews_nothing(branch: Path) -> None:
    found = told(cwd=branch)
    assert (found["format"], found["leaves"], found["removed"]) == (2, [], [])
    assert "Preview of 0 leaves changed since main" in preview(cwd=branch)


def test_without_a_teacher_a_preview_is_what_generate_makes_and_writes_nothing(branch: Path) -> None:
    edit(branch, VELMOUTH, "answer:", "answer: Also", file="heldout.yaml")
    found = leaf_of(told(cwd=branch), VELMOUTH)
    assert not (branch / "runs").exists()
    done = ilk("generate", "--leaf", VELMOUTH, cwd=branch)
    assert f"{VELMOUTH}  made {found['made']['value']:>5}  kept {found['kept']['value']:>5}" in done.stdout
    assert (found["made"]["bound"], found["kept"]["bound"]) == ("exact", "at most")
    assert len(found["samples"]) == 5
    assert (found["change"]["kind"], found["change"]["files"]) == ("changed", ["heldout.yaml"])


def test_the_same_tree_gives_the_same_bytes(branch: Path) -> None:
    edit(branch, VELMOUTH, "answer:", "answer: Also")
    for form in ("text", "json", "markdown"):
        assert preview("--format", form, cwd=branch) == preview("--format", form, cwd=branch)


def test_each_rejection_has_filter_reason_score_and_threshold(branch: Path) -> None:
    values = {"questions": [{"question": "Who is the mayor of Velmouth?", "answer": "Lisa Torn"}]}
    (branch / "taxonomy" / REFUSAL / "heldout.yaml").write_text(dumped(values))
    found = leaf_of(told(VELMOUTH, cwd=branch), VELMOUTH)
    rejected = [verdict for verdict in found["rejections"] if verdict["filter"] == "held_out"]
    assert rejected
    for verdict in rejected:
        assert verdict["reason"]
        assert (verdict["score"], verdict["threshold"]) == (1.0, 0.0)
    assert found["made"]["value"] - found["kept"]["value"] == len(found["rejections"])
    printed = preview(VELMOUTH, cwd=branch)
    assert f"rejected   {len(rejected)} by held_out: asks a held-out question: " in printed
    assert "score 1, threshold 0" in printed


def test_the_mix_before_and_after_is_told_in_shares(branch: Path) -> None:
    shutil.rmtree(branch / "taxonomy" / PARCELS)
    shift = told(cwd=branch)["shift"]
    by_name = {share["name"]: share for share in [*shift["branches"], *shift["leaves"]]}
    assert (by_name[PARCELS]["before"], by_name[PARCELS]["after"]) == (400, None)
    assert by_name["compositional_skills"]["after"] == by_name["compositional_skills"]["before"] - 400
    assert by_name["knowledge"]["share_after"] > by_name["knowledge"]["share_before"]
    assert sum(share["share_after"] for share in shift["branches"]) == pytest.approx(1, abs=0.001)


def test_a_document_as_it_was_is_counted_before_and_as_it_is_after(branch: Path) -> None:
    with (branch / "taxonomy" / VELMOUTH / "people.md").open("a") as file:
        file.write("\nThe harbour of Velmouth was built in 1822.\n")
    (share,) = told(cwd=branch)["shift"]["leaves"]
    assert share["name"] == VELMOUTH
    assert 0 < share["before"] < share["after"]


def test_a_copy_of_a_leaf_is_told_as_overlap(branch: Path) -> None:
    shutil.copytree(branch / "taxonomy" / VELMOUTH, branch / "taxonomy/knowledge/copy")
    overlaps = leaf_of(told("taxonomy/knowledge/copy", cwd=branch), "knowledge/copy")["overlaps"]
    assert {overlap["other"] for overlap in overlaps} == {VELMOUTH}
    kinds = Counter(overlap["what"].split(",")[0].split(" ")[0] for overlap in overlaps)
    assert kinds["held-out"] >= 10
    assert kinds["seed"] >= 20


def test_passages_of_another_leafs_documents_are_told_as_overlap(branch: Path) -> None:
    shutil.copy(branch / "taxonomy" / MARSH / "birds.md", branch / "taxonomy" / VELMOUTH / "birds.md")
    overlaps = leaf_of(told(cwd=branch), VELMOUTH)["overlaps"]
    (passages,) = [overlap for overlap in overlaps if overlap["what"].endswith("chunks")]
    assert passages["other"] == MARSH
    assert 0 < passages["score"] < 1


def test_a_leaf_with_errors_is_listed_and_the_others_are_previewed(branch: Path) -> None:
    edit(branch, VELMOUTH, "answer:", "answer: Also")
    edit(branch, PARCELS, "seed_examples:", "seed_example:")
    write_leaf(branch / "taxonomy", "knowledge/torn", "version: 3\nseed_examples: [")
    found = told(cwd=branch)
    torn, wrong = leaf_of(found, "knowledge/torn"), leaf_of(found, PARCELS)
    for leaf in (torn, wrong):
        assert not leaf["previewed"]
        assert any(finding["severity"] == "error" for finding in leaf["findings"])
        assert (leaf["samples"], leaf["made"]) == ([], None)
    assert leaf_of(found, VELMOUTH)["made"]["value"] > 100
    assert leaf_of(found, VELMOUTH)["findings"] == []


def test_a_leaf_whose_simulation_cannot_be_drawn_keeps_nobody_from_being_previewed(branch: Path) -> None:
    edit(branch, VELMOUTH, "answer:", "answer: Also")
    text = (
        'parameters:\n  a: {kind: integer, low: 0, high: 9}\nquestions: ["How much is 1 by {{ a }}?"]\n'
        'answer: "{{ 1 // a }}"\n'
    )
    (branch / "taxonomy" / PARCELS / "simulation.yaml").write_text(text)
    found = told(cwd=branch)
    parcels = leaf_of(found, PARCELS)
    assert parcels["lacking"] or parcels["findings"]
    assert leaf_of(found, VELMOUTH)["made"]["value"] > 100


def test_documents_that_cannot_be_had_are_reported_for_their_leaf(branch: Path) -> None:
    edit(branch, VELMOUTH, 'repo: "."', "repo: https://github.com/a/tides")
    edit(branch, VELMOUTH, "commit: HEAD", f"commit: {'a' * 40}")
    edit(branch, MARSH, "answer:", "answer: Also", file="heldout.yaml")
    found = told("--mirror", "https://github.com/a/tides=missing.bundle", cwd=branch)
    leaf = leaf_of(found, VELMOUTH)
    assert leaf["previewed"], leaf["findings"]
    assert any("missing.bundle" in reason for reason in leaf["lacking"])
    unknown = {"value": None, "bound": "unknown", "basis": "its documents cannot be had", "interval": None}
    assert leaf["made"] == unknown
    assert leaf["teacher"] is None
    assert leaf_of(found, MARSH)["made"]["value"] > 100
    assert found["shift"]["uncounted"] == [f"{VELMOUTH}: its documents are not at hand"]


def test_other_leaves_documents_are_not_fetched(branch: Path) -> None:
    """No name is looked up for them; what the cache does not hold is not compared, and that is said."""
    edit(branch, VELMOUTH, 'repo: "."', "repo: https://nowhere.invalid/a/tides")
    edit(branch, VELMOUTH, "commit: HEAD", f"commit: {'a' * 40}")
    commit_all(branch)
    git(branch, "branch", "--quiet", "-f", "main")
    edit(branch, MARSH, "answer:", "answer: Also", file="heldout.yaml")
    done = ilk("preview", cwd=branch)
    assert f"not counted {VELMOUTH}: its documents are not at hand" in done.stdout
    assert "nowhere.invalid" not in done.stdout + done.stderr


def test_what_a_teacher_would_cost_is_told_without_asking_one(branch: Path) -> None:
    found = leaf_of(told("--price-in", "2", "--price-out", "4", REFUSAL, cwd=branch), REFUSAL)
    cost = found["teacher"]
    most = 200 * (1 + 3 + 3 + 3)  # a prompt for three questions; each is judged, answered, and judged with its answer
    assert (cost["calls"]["value"], cost["tokens_out"]["value"]) == (most, most * 1024)
    money = (2 * cost["tokens_in"]["value"] + 4 * most * 1024) / 1e6
    assert cost["money"]["value"] == pytest.approx(money, rel=1e-5)
    bounds = [cost[name]["bound"] for name in ("calls", "tokens_in", "tokens_out", "money", "seconds")]
    assert bounds == ["at most", "at most", "at most", "at most", "unknown"]
    assert all(figure["basis"] for name, figure in cost.items() if name != "answered")
    assert found["lacking"] == ["a freeform skill without simulation.yaml needs a flow with a teacher"]


def test_an_answer_is_paid_for_once_by_all_previews_and_the_full_run(branch: Path, teacher: TeacherServer) -> None:
    (branch / "r.yaml").write_text(SPARE)
    edit(branch, VELMOUTH, "answer:", "answer: Also")
    before = len(prompts(teacher.bodies))
    first = preview(*asking(teacher), VELMOUTH, REFUSAL, cwd=branch)
    assert len(prompts(teacher.bodies)) == before + 4  # two prompts of three pairs give five samples of a leaf
    assert preview(*asking(teacher), VELMOUTH, REFUSAL, cwd=branch) == first
    assert len(prompts(teacher.bodies)) == before + 4
    preview(*asking(teacher), "--samples", "9", VELMOUTH, cwd=branch)
    assert len(prompts(teacher.bodies)) == before + 5
    done = ilk("generate", *asking(teacher), "--leaf", VELMOUTH, "--leaf", REFUSAL, cwd=branch)
    assert done.returncode == 0, done.stderr
    sent = prompts(teacher.bodies)[before:]
    assert len(sent) == 12
    assert len({json.dumps(json.loads(body), sort_keys=True) for body in sent}) == 12


def test_a_preview_with_a_teacher_says_what_its_answers_measured(branch: Path, teacher: TeacherServer) -> None:
    (branch / "r.yaml").write_text(SPARE)
    found = told(*asking(teacher, "--price-in", "1", "--price-out", "1", "--run", "other"), VELMOUTH, cwd=branch)
    leaf = leaf_of(found, VELMOUTH)
    assert (branch / "runs/other/ledger.sqlite").exists()
    assert [sample["method"] for sample in leaf["samples"]] == ["teacher"] * 5
    assert (leaf["teacher"]["calls"]["value"], leaf["teacher"]["answered"]) == (6, 2)
    for name in ("tokens_in", "tokens_out", "money", "seconds"):
        assert leaf["teacher"][name]["bound"] == "about"
    assert "as the teacher counted in 2 of its answers" in leaf["teacher"]["tokens_in"]["basis"]
    assert "the mean of 2 answers" in leaf["teacher"]["seconds"]["basis"]
    assert leaf["made"]["bound"] == leaf["kept"]["bound"] == "about"
    assert leaf["made"]["value"] == 3 * len(leaf["samples"])
    assert leaf["made"]["basis"].startswith("2 of 6 first prompts were answered")


def test_an_answer_of_which_no_sample_can_be_made_has_its_verdict(branch: Path) -> None:
    (branch / "r.yaml").write_text(SPARE)
    with TeacherServer(answer=lambda _: "I'd rather not.") as server:
        leaf = leaf_of(told(*asking(server), REFUSAL, cwd=branch), REFUSAL)
    assert [verdict["filter"] for verdict in leaf["rejections"]] == ["parse", "parse"]
    assert all("holds no tags" in verdict["reason"] for verdict in leaf["rejections"])


def test_calls_without_an_answer_leave_a_preview_of_the_others(branch: Path) -> None:
    (branch / "r.yaml").write_text(SPARE + "  max_tokens: 512\n")
    broken = Fault(status=500)
    with TeacherServer(choose=lambda arrival: broken if b"Velmouth" in arrival.body else None) as server:
        found = told(*asking(server), VELMOUTH, REFUSAL, cwd=branch)
    with sqlite3.connect(branch / "runs/default/ledger.sqlite") as ledger:
        query = "SELECT COUNT(*) FROM calls WHERE answer IS NOT NULL AND purpose = 'flow'"
        (kept,) = ledger.execute(query).fetchone()
    assert kept == found["teacher"]["answered"] == 2
    velmouth = leaf_of(found, VELMOUTH)
    assert velmouth["lacking"] == ["2 of the prompts that were asked got no answer"]
    assert {verdict["reason"].partition(":")[0] for verdict in velmouth["rejections"]} == {"no answer (server_error)"}
    assert leaf_of(found, REFUSAL)["samples"]


def test_a_teacher_that_is_gone_ends_with_3_after_the_preview(branch: Path) -> None:
    (branch / "r.yaml").write_text(SPARE)
    with TeacherServer() as server:
        url = server.url
    done = ilk(
        *("preview", "--recipe", "r.yaml", "--teacher", url, "--teacher-model", "m", "--format", "json", VELMOUTH),
        cwd=branch,
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be reached" in done.stderr
    leaf = leaf_of(json.loads(done.stdout), VELMOUTH)
    assert (leaf["samples"], leaf["teacher"]["answered"]) == ([], 0)


def test_judges_are_asked_too_and_what_they_reject_is_shown_with_their_reason(branch: Path) -> None:
    (branch / "r.yaml").write_text("generate:\n  flows: [freeform]\n  prompts_per_leaf: 6\n  teacher: {retries: 0}\n")

    def answer(request: dict[str, Any]) -> str:
        """Questions that are numbers, of which the critic takes the odd ones; any pair is fine."""
        text = request["messages"][-1]["content"]
        if "[SCORE 1]" in text:
            judged = text.partition("<question>")[2].partition("</question>")[0].strip()
            good = "<answer>" in text or int(judged.rstrip("?")[-1]) % 2
            return f"[REASON 1]\nso\n[SCORE 1]\n{2 if good else 0}\n[END 1]"
        if "[ANSWER 1]" in text:
            return "[ANSWER 1]\nIt is a number like any other.\n[END 1]"
        draw = request["seed"]
        return "\n".join(f"[QUESTION {n}]\nWhat of {draw} and {n}?\n[END {n}]" for n in (1, 2, 3))

    with TeacherServer(answer=answer) as server:
        leaf = leaf_of(told(*asking(server, "--samples", "6"), REFUSAL, cwd=branch), REFUSAL)
    fates = [sample["rejection"] and sample["rejection"]["filter"] for sample in leaf["samples"]]
    assert sorted(fates, key=str)[-2:] == ["freeform/question-judge"] * 2
    assert leaf["teacher"]["answered"] > 6
    assert any("less than 1" in verdict["reason"] for verdict in leaf["rejections"])
    assert leaf["kept"]["value"] < leaf["made"]["value"]


def test_a_recipe_that_wants_a_teacher_and_names_none_is_counted_not_asked(branch: Path) -> None:
    (branch / "r.yaml").write_text("generate:\n  flows: [knowledge-simple, freeform-simple]\n  prompts_per_leaf: 6\n")
    found = told("--recipe", "r.yaml", REFUSAL, cwd=branch)
    leaf = leaf_of(found, REFUSAL)
    assert (leaf["made"]["value"], leaf["made"]["bound"], leaf["kept"]["bound"]) == (18, "about", "unknown")
    assert any("names none" in note for note in found["notes"])


def test_the_comment_is_written_to_a_file_and_nothing_else_is_printed(branch: Path) -> None:
    edit(branch, VELMOUTH, "answer:", "answer: Also")
    assert preview("--format", "markdown", "--output", "out/comment.md", cwd=branch) == ""
    comment = (branch / "out/comment.md").read_text()
    assert comment.startswith("<!-- ilk-preview -->\n### Preview of 1 leaf\n")
    assert f"| `{VELMOUTH}` | changed | fine |" in comment


def test_a_leaf_that_tries_to_speak_through_the_comment_is_only_quoted(branch: Path) -> None:
    values = skill()
    values["seed_examples"][0]["question"] = "```\n@everyone <img src=x> [x](https://e.example)\n```"  # type: ignore[index]
    write_leaf(branch / "taxonomy", "compositional_skills/loud", values)
    comment = preview("--format", "markdown", cwd=branch)
    fence = ""
    for line in comment.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence and line == fence:
            fence = ""
        elif not fence and len(ticks) >= 3:
            fence = ticks
        elif not fence:
            assert "@everyone" not in line
            assert "<img" not in line


def test_outside_git_named_leaves_are_previewed_without_the_shift(tmp_path: Path) -> None:
    shutil.copytree(TAXONOMY, tmp_path / "taxonomy")
    found = told(f"taxonomy/{VELMOUTH}", cwd=tmp_path)
    assert (found["base"], found["shift"]) == (None, None)
    assert leaf_of(found, VELMOUTH)["change"]["kind"] == "named"
    assert any("is not in a Git repository" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base", "nowhere"), "'nowhere'"),
        (("--taxonomy", "gone"), "gone"),
        (("knowledge/nothing",), "knowledge/nothing: holds no leaf"),
        (("--price-in", "1"), "one price is missing"),
        (("--recipe", "gone.yaml"), "gone.yaml"),
        (("--output", "taxonomy"), "taxonomy: cannot be written"),
        (("--teacher", "http://127.0.0.1:9/v1"), "the teacher's model is not named"),
    ],
)
def test_wrong_input_ends_with_2_and_one_message(branch: Path, words: tuple[str, ...], said: str) -> None:
    done = ilk("preview", *words, cwd=branch)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_outside_git_without_names_there_is_nothing_to_preview(tmp_path: Path) -> None:
    shutil.copytree(TAXONOMY, tmp_path / "taxonomy")
    done = ilk("preview", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not in a Git repository" in done.stderr
