"""Generation towards a wanted mix, through the command and a server that answers unevenly."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest
import yaml
from flow_files import write_flow
from ilk_forks import Child, Forks
from judges import scoring, shown
from leaf_files import skill, write_leaf
from server import TeacherServer
from skewed_teacher import skewed
from typer.testing import CliRunner

from instructlab_like.cli import app
from instructlab_like.errors import IlkError
from instructlab_like.records import PhaseCount, Sample, Verdict, Waterfall
from instructlab_like.report.mix import Mix
from instructlab_like.stages import manifest
from instructlab_like.workspace import Run, read_records, shipped_root

ADD, COUNT, NAME = "compositional_skills/sums/add", "compositional_skills/sums/count", "compositional_skills/names/name"
TASKS = {ADD: "Add what there is.", COUNT: "Count what there is.", NAME: "Name what there is."}
FILES = ("1-plan.jsonl", "2-samples.jsonl", "3-verdicts.jsonl", "3-target.json", "3-waterfall.json")


def ilk(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, IlkError):
        return result.exception.code, f"{result.output}{result.exception}"
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "cache"))
    for path, task in TASKS.items():
        write_leaf(tmp_path / "taxonomy", path, skill() | {"task_description": task})
    return tmp_path


def generate(url: str, target: str, *more: str, run: str = "t", **options: object) -> tuple[int, str]:
    told: dict[str, object] = {"flows": "[freeform-simple]", "filters": "[shape, exact_duplicate]"} | options
    lines = [f"  {name}: {value}" for name, value in told.items()]
    Path("r.yaml").write_text("\n".join(["generate:", *lines, f"  target: {target}"]) + "\n", encoding="utf-8")
    return ilk("generate", "--run", run, "--recipe", "r.yaml", "--teacher", url, "--teacher-model", "m", *more)


def kept(name: str = "t") -> list[Sample]:
    run = Run(Path("runs") / name)
    rejected = {verdict.subject for verdict in read_records(run.verdicts, Verdict) if not verdict.keep}
    return [sample for sample in read_records(run.samples, Sample) if sample.id not in rejected]


def table(name: str = "t") -> Mix:
    return Mix.model_validate_json((Path("runs") / name / "3-target.json").read_bytes())


def bytes_of(name: str) -> dict[str, bytes]:
    folder = Path("runs") / name
    dataset = sorted(path for path in (folder / "4-dataset").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*(folder / one for one in FILES), *dataset]}


def words(sample: Sample) -> int:
    return len(sample.question.split()) + len(sample.answer.split())


def assert_counts_add_up(name: str = "t") -> None:
    told = Waterfall.model_validate_json((Path("runs") / name / "3-waterfall.json").read_bytes())
    assert all(phase.made == phase.kept + phase.rejected for phase in told.phases)
    last: PhaseCount = told.phases[-1]
    assert (last.filter, last.phase) == ("target", "balance")
    assert sum(rule.rejected for rule in told.rules if rule.filter == "target") == last.rejected
    assert last.kept == len(kept(name)) == table(name).kept


def test_a_teacher_that_answers_mostly_short_reaches_the_lengths_and_leaves_that_are_wanted(folder: Path) -> None:
    target = f"{{samples: 100, leaf: {{{ADD}: 0.6, {NAME}: 0.4}}, length: {{1-40: 0.5, 41+: 0.5}}}}"
    with TeacherServer(answer=skewed(long=0.2)) as server:
        code, told = generate(server.url, target)
    assert code == 0, told
    found = kept()
    assert len(found) == 100
    leaves = Counter(sample.lineage.leaf for sample in found)
    assert abs(leaves[ADD] - 60) <= 2
    assert abs(leaves[NAME] - 40) <= 2
    assert abs(sum(words(sample) > 40 for sample in found) - 50) <= 2
    mix = table()
    assert mix.reached
    assert not any(row.missed for row in mix.rows)
    assert len(mix.rounds) >= 2
    assert "the target is reached" in told
    assert {part.leaf for one in mix.rounds for part in one} == {ADD, NAME}  # nothing is asked for the third
    assert_counts_add_up()
    made = len(list(read_records(Run(Path("runs/t")).samples, Sample)))
    assert made < 400  # 250 have 50 long ones among them
    over = [
        one for one in read_records(Run(Path("runs/t")).verdicts, Verdict) if one.filter == "target" and not one.keep
    ]
    reasons = {one.rule: one.reason for one in over}
    assert reasons["over-length"].startswith("over the target: length '1-40' has ")
    assert reasons["over-length"].endswith(" %, and may have 50 %")


def test_the_rounds_end_when_a_leaf_gives_nothing_and_the_table_says_what_is_short(folder: Path) -> None:
    target = f"{{samples: 60, leaf: {{{ADD}: 0.5, {NAME}: 0.5}}}}"
    with TeacherServer(answer=skewed(refuses="Name what")) as server:
        code, told = generate(server.url, target, prompts_per_leaf=100)
    assert code == 0, told
    mix = table()
    assert not mix.reached
    rows = {row.value: row for row in mix.rows}
    assert (rows[ADD].samples, rows[ADD].short) == (30, 0)
    assert (rows[NAME].samples, rows[NAME].short, rows[NAME].points) == (0, 30, -50.0)
    assert rows[NAME].missed
    assert "the target is missed" in told
    assert "no first prompts give what is short" in told
    asked = Counter(part.leaf for one in mix.rounds for part in one for _ in range(part.prompts))
    assert asked[NAME] < 100  # it was given up before the last prompt
    assert_counts_add_up()


def test_where_prompts_run_out_the_mix_of_fewer_samples_is_kept_or_all_up_to_each_number(folder: Path) -> None:
    target = f"samples: 90, leaf: {{{ADD}: 0.5, {NAME}: 0.5}}"
    with TeacherServer(answer=skewed(poor=("Name what", 0.4))) as server:
        code, told = generate(server.url, f"{{{target}}}", prompts_per_leaf=16)
        assert code == 0, told
        leaves = Counter(sample.lineage.leaf for sample in kept())
        asked = server.requests
        assert 0 <= leaves[ADD] - leaves[NAME] <= 2
        assert 20 < leaves.total() < 60
        assert "there are no more first prompts for what is short" in told
        assert table().rows[1].short == 45 - leaves[NAME]
        code, told = generate(server.url, f"{{{target}, when_short: samples}}", "--yes", prompts_per_leaf=16)
    assert code == 0, told
    assert server.requests == asked  # the ledger has it all
    then = Counter(sample.lineage.leaf for sample in kept())
    assert then == {ADD: 45, NAME: leaves[NAME]} or then[ADD] == 45
    assert any(row.missed for row in table().rows)


def test_the_same_answers_give_the_same_rounds_and_bytes_whatever_their_order(folder: Path) -> None:
    target = "{samples: 40, leaf: {compositional_skills/sums: 0.6}, length: {1-40: 0.4, 41+: 0.6}}"
    with TeacherServer(answer=skewed()) as server:
        assert generate(server.url, target)[0] == 0
        teacher = "{concurrency: 1}"
        assert generate(server.url, target, run="slow", teacher=teacher)[0] == 0
    one, other = bytes_of("t"), bytes_of("slow")
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_a_run_that_its_budget_stopped_goes_on_to_the_same_bytes_and_asks_nothing_twice(folder: Path) -> None:
    target = f"{{samples: 40, leaf: {{{ADD}: 0.6}}, length: {{1-40: 0.4, 41+: 0.6}}}}"
    with TeacherServer(answer=skewed()) as server:
        assert generate(server.url, target)[0] == 0
        whole = server.requests
        for calls in (5, 14, 23):
            code, told = generate(server.url, target, run="stopped", budget=f"{{calls: {calls}}}")
            assert code == 3, told
        assert generate(server.url, target, run="stopped")[0] == 0
        bodies = Counter(json.dumps(json.loads(body), sort_keys=True) for body in server.bodies[whole:])
    assert sum(count - 1 for body, count in bodies.items() if "Write" in body) == 0
    one, other = bytes_of("t"), bytes_of("stopped")
    assert [name for name in one if one[name] != other[name]] == []


OWN = """\
purpose: Pairs of two difficulties and languages
leaves: [freeform]
axes:
  difficulty: {easy: for a beginner, hard: for an expert}
  language: {en: in English, de: in German}
steps:
  - {name: pairs, template: own.j2, role: asker, each: [seeds], fan_out: true}
"""
TEMPLATE = """\
---
purpose: Pairs
yields: [question, answer]
---
=== user
ask {{ count }} about {{ task }}, {{ difficulty }}, {{ language }}
[QUESTION 1]
[ANSWER 1]
[END 1]
"""


def test_axes_called_difficulty_and_language_steer_by_their_values(folder: Path) -> None:
    write_flow(folder / "own", OWN, templates={"own.j2": TEMPLATE})
    target = "{samples: 60, difficulty: {easy: 0.8, hard: 0.2}, language: {en: 0.75, de: 0.25}}"
    with TeacherServer(answer=skewed(german="in German")) as server:
        code, told = generate(server.url, target, flows="[own/own.yaml]")
    assert code == 0, told
    mix = table()
    assert mix.reached, told
    found = kept()
    assert (
        abs(sum(sample.lineage.params["difficulty"] == "hard" for sample in found if sample.lineage.params) - 12) <= 1
    )
    assert abs(sum("ist" in sample.answer.split() for sample in found) - 15) <= 1
    made = Counter(str(sample.lineage.params) for sample in read_records(Run(Path("runs/t")).samples, Sample))
    assert made.total() < 90  # steered: of prompts without aim every fourth would be hard and German
    assert_counts_add_up()


def test_values_that_no_prompt_tells_apart_do_not_make_the_same_sample_twice(folder: Path) -> None:
    alike = TEMPLATE.replace("{{ difficulty }}", "{% if difficulty == 'for an expert' %}hard{% endif %}")
    text = OWN.replace("easy: for a beginner", "easy: for a beginner, middle: for a pupil")
    write_flow(folder / "own", text, templates={"own.j2": alike})
    target = "{samples: 60, difficulty: {easy: 0.4, middle: 0.4, hard: 0.2}}"
    with TeacherServer(answer=skewed()) as server:
        code, told = generate(server.url, target, flows="[own/own.yaml]")
    assert code == 0, told
    made = Counter(sample.id for sample in read_records(Run(Path("runs/t")).samples, Sample))
    assert [id for id, count in made.items() if count > 1] == []
    assert table().reached, told
    assert_counts_add_up()


def test_several_flows_share_the_work_and_samples_without_a_model_come_first(folder: Path) -> None:
    simulation = """\
parameters: {a: {kind: integer, low: 1, high: 60}, b: {kind: integer, low: 1, high: 60}}
questions: ["What is {{ a }} plus {{ b }}?"]
answer: "{{ a + b }} in all"
"""
    leaf = folder / "taxonomy" / ADD
    (leaf / "simulation.yaml").write_text(simulation, encoding="utf-8")
    target = f"{{samples: 80, leaf: {{{ADD}: 0.5, {COUNT}: 0.25, {NAME}: 0.25}}}}"
    with TeacherServer(answer=skewed()) as server:
        code, told = generate(server.url, target, flows="[simulation, freeform-simple, persona]")
    assert code == 0, told
    assert table().reached
    rounds = table().rounds
    assert {part.flow for part in rounds[0]} == {"simulation"}
    assert {part.leaf for one in rounds[1:] for part in one} == {COUNT, NAME}
    assert {part.flow for one in rounds[1:] for part in one} == {"freeform-simple", "persona"}


def test_sifting_again_and_forgetting_a_leaf_go_the_same_rounds_and_ask_nobody(folder: Path) -> None:
    target = f"{{samples: 40, leaf: {{{ADD}: 0.5, {NAME}: 0.5}}, length: {{1-40: 0.7, 41+: 0.3}}}}"
    with TeacherServer(answer=skewed()) as server:
        assert generate(server.url, target)[0] == 0
        asked, before, rounds = server.requests, bytes_of("t"), table().rounds
    code, told = ilk("sift", "t", "--filter", "shape")
    assert code == 0, told
    assert table().rounds == rounds
    assert "target" in {one.filter for one in read_records(Run(Path("runs/t")).verdicts, Verdict)}
    assert bytes_of("t")["2-samples.jsonl"] == before["2-samples.jsonl"]
    code, told = ilk("runs", "forget", "--run", "t", NAME)
    assert code == 0, told
    assert "calls got no answer" not in told
    assert server.requests == asked
    assert {sample.lineage.leaf for sample in kept()} == {ADD}
    assert manifest.finished(manifest.read(Run(Path("runs/t"))))


def test_a_judge_of_the_filters_decides_in_every_round_and_is_asked_once_about_each_sample(folder: Path) -> None:
    target = f"{{samples: 40, leaf: {{{ADD}: 0.5, {NAME}: 0.5}}}}"
    judge = scoring(lambda request, scale: scale[-1] if sum(shown(request).encode()) % 3 else scale[0])
    with TeacherServer(answer=skewed()) as server, TeacherServer(answer=judge) as bench:
        roles = f"{{critic: {{url: {bench.url}, model: 'llama3:70b'}}}}"
        code, told = generate(server.url, target, filters="[exact_duplicate, critic]", roles=roles)
    assert code == 0, told
    assert table().reached, told
    assert len(table().rounds) >= 2
    bodies = Counter(body for body in bench.bodies if b"What is" in body or b"what it is" in body)
    assert max(bodies.values()) == 1
    phases = {phase.filter: phase for phase in manifest.read(Run(Path("runs/t"))).phases}
    assert phases["critic"].rejected > 0
    assert phases["critic"].kept == phases["target"].made
    assert_counts_add_up()


def test_leaves_that_are_made_without_a_model_come_to_a_stated_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "cache"))
    shares = {"knowledge": 0.3, "compositional_skills/office": 0.5, "compositional_skills/town": 0.2}
    told = {"generate": {"flows": ["rules", "simulation"], "target": {"samples": 250, "leaf": shares}}}
    Path("r.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    code, printed = ilk("generate", "--run", "t", "--recipe", "r.yaml", "--taxonomy", str(shipped_root() / "taxonomy"))
    assert code == 0, printed
    found = kept()
    assert len(found) == 250
    for name, share in shares.items():
        count = sum(sample.lineage.leaf.startswith(f"{name}/") for sample in found)
        assert abs(count / 250 - share) <= 0.02
    assert table().reached
    assert_counts_add_up()


def test_the_table_stands_in_coverage_and_the_reports_and_the_gate_fails_on_a_target_that_is_missed(
    folder: Path,
) -> None:
    target = "{samples: 30, length: {1-40: 0.5, 41+: 0.5}}"
    with TeacherServer(answer=skewed(long=0.0)) as server:
        code, told = generate(server.url, target, prompts_per_leaf=8)
    assert code == 0, told
    assert "the target is missed" in told
    code, told = ilk("coverage", "--run", "t")
    assert code == 0, told
    assert "target: the mix that was wanted" in told
    assert "41+" in told
    code, told = ilk("coverage", "--run", "t", "--strict")
    assert code == 1
    assert "the target is missed" in told
    found = json.loads(ilk("coverage", "--run", "t", "--format", "json")[1])
    assert (found["target"]["wanted"], found["target"]["reached"]) == (30, False)
    for form in ("html", "markdown", "json"):
        assert ilk("report", "--run", "t", "--format", form)[0] == 0
    assert "The mix that was wanted" in Path("runs/t/7-report.html").read_text()
    assert "| length | `41+` | 50.0 % |" in Path("runs/t/7-report.md").read_text()
    assert json.loads(Path("runs/t/7-report.json").read_text())["mix"]["kept"] == table().kept


def test_a_run_that_was_killed_goes_on_to_the_same_bytes_and_asks_nothing_twice(folder: Path) -> None:
    target = f"{{samples: 40, leaf: {{{ADD}: 0.6}}, length: {{1-40: 0.4, 41+: 0.6}}}}"
    with Forks() as forks, TeacherServer(answer=skewed()) as server:
        assert generate(server.url, target)[0] == 0
        whole, answered = server.requests, server.answers
        command = ("generate", "--run", "killed", "--recipe", "r.yaml", "--teacher", server.url, "--teacher-model", "m")
        for part in (0.3, 0.8):
            begun: list[Child] = []
            at = server.answers + max(1, int(part * answered / 2))
            server.on_served = lambda count, at=at, begun=begun: begun[0].send(signal.SIGKILL) if count == at else None
            begun.append(forks.start(*command, cwd=folder))
            assert begun[0].wait() == -signal.SIGKILL
        server.on_served = lambda _: None
        code, told = forks.run(*command, cwd=folder)
        assert code == 0, told
        bodies = Counter(body for body in server.bodies[whole:] if b"Write" in body)
    assert [name for name, one in bytes_of("t").items() if bytes_of("killed")[name] != one] == []
    assert max(bodies.values()) <= 2  # under way when it was killed, and so not in the ledger
    assert sum(count > 1 for count in bodies.values()) <= 2 * 16


def test_a_quote_is_of_all_first_prompts_and_says_that_a_target_may_ask_fewer(folder: Path) -> None:
    with TeacherServer(answer=skewed()) as server:
        code, told = generate(server.url, f"{{samples: 12, leaf: {{{ADD}: 1}}}}", "--dry-run", prompts_per_leaf=5)
        assert server.requests == 0
        assert (code, "15 first prompts" in told) == (0, True), told
        assert "a target is set: the figures are of all first prompts" in " ".join(told.split())
        code, told = generate(server.url, "{samples: 12, leaf: {sums: 1}}", "--dry-run")
    assert code == 2
    assert "target.leaf.sums" in told


def test_without_a_target_there_is_no_table_and_no_filter_for_it(folder: Path) -> None:
    with TeacherServer(answer=skewed()) as server:
        assert generate(server.url, "null", prompts_per_leaf=3)[0] == 0
    assert not Path("runs/t/3-target.json").exists()
    told = Waterfall.model_validate_json(Path("runs/t/3-waterfall.json").read_bytes())
    assert "target" not in {phase.filter for phase in told.phases}


@pytest.mark.parametrize(
    ("target", "said", "fix"),
    [
        (
            f"{{samples: 5, leaf: {{{ADD}s: 1}}}}",
            "target.leaf.compositional_skills/sums/adds",
            f"did you mean '{ADD}'?",
        ),
        (
            "{samples: 5, leaf: {compositional_skill: 1}}",
            "is no leaf or branch",
            "did you mean 'compositional_skills'?",
        ),
        (f"{{samples: 5, leaf: {{{ADD}: 0.7, {NAME}: 0.7}}}}", "come to 1.4", "lower some"),
        (f"{{samples: 5, leaf: {{{ADD}: -0.1}}}}", "greater than or equal to 0", "r.yaml"),
        ("{samples: 5, length: {60-20: 1}}", "holds no number of words", "smaller one first"),
        ("{samples: 5, length: {short: 1}}", "'short' is no range of words", "1-40, 41-120 or 121+"),
        ("{samples: 5, language: {German: 1}}", "is no language that is told apart", "write 'de'"),
        ("{samples: 5, language: {da: 1}}", "is no language that is told apart", "write 'da+nb'"),
        ("{samples: 5, difficulty: {hrd: 1}}", "is a difficulty that no chosen flow", "did you mean 'hard'?"),
        ("{samples: 5, lenght: {1-4: 1}}", "unknown option 'lenght'", "did you mean 'length'?"),
        ("{leaf: {a: 1}}", "target.samples", "Field required"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(folder: Path, target: str, said: str, fix: str) -> None:
    with TeacherServer(answer=skewed()) as server:
        code, told = generate(server.url, target)
        assert server.requests == 0
    assert code == 2
    assert said in told
    assert fix in told


def test_a_language_that_the_filters_reject_everywhere_is_refused(folder: Path) -> None:
    with TeacherServer(answer=skewed()) as server:
        told = generate(server.url, "{samples: 5, language: {fr: 1}}", filters="[shape]")
        assert server.requests == 0
    assert told[0] == 2
    assert "target.language.fr: is the language of no seed example" in told[1]
    assert "there are: en" in told[1]
