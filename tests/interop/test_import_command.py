"""`ilk import`: what it refuses, what it leaves alone, and that samples come of the flows that it writes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import jinja2
import pytest
import yaml
from sdg_files import ANSWER, ASK, JUDGED, PROMPTS, QUESTIONS, ask, block, prompt, write
from server import TeacherServer
from tagged_teacher import answering
from typer.testing import CliRunner

from instructlab_like.cli import app
from instructlab_like.errors import IlkError
from instructlab_like.flows import load_flow
from instructlab_like.generation.plan import about
from instructlab_like.records import Chunk, Knowledge, Sample, Skill, Verdict
from instructlab_like.taxonomy.read import read_tree
from instructlab_like.workspace import Run, read_records, shipped_root

TAXONOMY = shipped_root() / "taxonomy"


def ilk(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, IlkError):
        return result.exception.code, f"{result.output}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILK_CACHE", str(tmp_path / "cache"))
    return tmp_path


# --- what is refused

PIPELINE = """\
version: "1.0"
blocks:
  - name: ask
    type: LLMBlock
    config: {config_path: q.yaml, output_cols: [question]}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "in/p.yaml:1:1: is no pipeline of instructlab-sdg: it has no blocks"),
        ("", "in/p.yaml:1:1: is no pipeline"),
        ("purpose: x\nsteps: []\n", "in/p.yaml:1:1: is no pipeline"),
        (PIPELINE.replace('version: "1.0"\n', ""), "in/p.yaml:1:1: says no version"),
        (PIPELINE.replace("1.0", "2.0"), "in/p.yaml:1:1: has version '2.0'"),
        (PIPELINE.replace('"1.0"', "one"), "in/p.yaml:1:1: has version 'one'"),
        (
            PIPELINE.replace("LLMBlock", "LLMBlok"),
            "in/p.yaml:4:5: there is no type of block 'LLMBlok'\n  → did you mean LLMBlock?",
        ),
        (
            PIPELINE.replace("output_cols", "output_col"),
            "in/p.yaml:5:35: there is no option 'output_col' of a LLMBlock",
        ),
        (PIPELINE.replace("config_path: q.yaml, ", ""), "in/p.yaml:5:5: a LLMBlock says no config_path"),
        (PIPELINE.replace("q.yaml", "gone.yaml"), "in/p.yaml:5:14: names a file that is not there: 'gone.yaml'"),
        (PIPELINE.replace("[question]", "question"), "in/p.yaml:5:35: output_cols is no list"),
        (PIPELINE.replace("name: ask\n    ", ""), "in/p.yaml:3:5: a block says no name"),
        ('version: "1.0"\nblocks: []\n', "in/p.yaml:2:1: has no blocks"),
        ('version: "1.0"\nblocks: [\n', "in/p.yaml:3:1: is not valid YAML"),
        ("a: 1\na: 2\n", "in/p.yaml:2:1: says 'a' twice"),
        ("a: \x00\n", "in/p.yaml: is not valid YAML"),
        (f"a: {'[' * 3000}\n", "in/p.yaml: has too many brackets"),
        (f"a: '{'x' * 300_000}'\n", "in/p.yaml: holds more than 256,000 bytes"),
        ("a: &a\n  - *a\n", "nested too deeply"),
        (
            "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 1}]\n" for n in range(9)),
            "more than 20,000 values",
        ),
    ],
)
def test_what_is_no_pipeline_is_refused_with_its_place(text: str, told: str) -> None:
    write(Path("in"), [ASK])
    Path("in/p.yaml").write_text(text)
    code, said = ilk("import", "in/p.yaml", "--out", "out")
    assert code == 2
    assert told in said
    assert not Path("out").exists()


def test_a_prompt_without_a_part_is_refused() -> None:
    write(Path("in"), [ASK], {"q.yaml": {"system": "x", "introduction": "y"}})
    assert ilk("import", "in/mine.yaml", "--out", "out") == (
        2,
        "in/q.yaml:1:1: has no principles\n"
        "  → a prompt has system, introduction, principles, examples, generation; a part may be empty",
    )


@pytest.mark.parametrize("path", ["nowhere", "in/empty"])
def test_a_place_without_pipelines_is_refused(path: str) -> None:
    Path("in/empty").mkdir(parents=True)
    Path("in/empty/other.yaml").write_text("a: 1\n")
    assert ilk("import", path, "--out", "out")[0] == 2


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "../../../../../../../../../etc/passwd", "/etc/passwd", "link.yaml", "../q.yaml"]
)
def test_a_prompt_outside_of_the_root_is_refused(here: Path, path: str) -> None:
    write(here / "deep" / "in", [{**ASK, "config": {**ASK["config"], "config_path": path}}])
    (here / "deep" / "q.yaml").write_text(yaml.safe_dump(QUESTIONS))
    (here / "deep" / "in" / "link.yaml").symlink_to(here / "deep" / "q.yaml")
    code, said = ilk("import", "deep/in/mine.yaml", "--out", "out")
    assert code == 2
    assert f"names a file outside {here / 'deep' / 'in'}: {path!r}" in said
    assert not Path("out").exists()


def test_the_root_may_be_named_and_is_that_of_a_package(here: Path) -> None:
    far = [
        {**one, "config": {**one["config"], "config_path": f"../../configs/{file}"}}
        for one, file in ((ASK, "q.yaml"), (ANSWER, "a.yaml"))
    ]
    for file, values in PROMPTS.items():
        (here / "mine" / "configs").mkdir(parents=True, exist_ok=True)
        (here / "mine" / "configs" / file).write_text(yaml.safe_dump(values))
    write(here / "mine" / "pipelines" / "full", far, {})
    write(here / "mine" / "other" / "full", far, {})
    assert ilk("import", "mine/pipelines/full/mine.yaml", "--out", "one")[0] == 0
    assert ilk("import", "mine/other/full/mine.yaml", "--out", "two")[0] == 2
    assert ilk("import", "mine/other/full/mine.yaml", "--out", "two", "--root", "mine")[0] == 0


def test_pipelines_that_import_each_other_end() -> None:
    write(Path("in"), [block("b", "ImportBlock", path="two.yaml")], name="one.yaml")
    write(Path("in"), [block("a", "ImportBlock", path="one.yaml")], name="two.yaml")
    code, said = ilk("import", "in/one.yaml", "--out", "out")
    assert code == 2
    assert "imports pipelines in a circle" in said


# --- what is written


def test_a_folder_is_imported_and_told_of_in_two_files() -> None:
    write(Path("in"), [ASK, ANSWER], name="first.yaml")
    write(
        Path("in"), [ASK, ANSWER, JUDGED, {**ASK, "name": "more", "drop_duplicates": ["question"]}], name="second.yml"
    )
    code, said = ilk("import", "in", "--out", "out")
    assert code == 0
    assert "import: 2 flows → out; 1 not carried over" in said
    assert "in/second.yml:" in said
    told = json.loads(Path("out/import.json").read_text())
    assert {*told["files"]} == {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    notes = Path("out/NOTES.md").read_text()
    assert "| `second.yaml` | in/second.yml | freeform |" in notes
    assert "## Not carried over" in notes
    for one in told["blocks"]:
        assert Path(one["file"]).is_file()
        assert one["line"] <= len(Path(one["file"]).read_text().splitlines())


def test_strict_fails_on_what_was_left_out_after_writing_it() -> None:
    write(Path("in"), [ASK, ANSWER, JUDGED])
    assert ilk("import", "in/mine.yaml", "--out", "out")[0] == 0
    code, said = ilk("import", "in/mine.yaml", "--out", "out", "--strict")
    assert code == 1
    assert "out: 1 thing could not be carried over" in said
    write(Path("in"), [ASK, ANSWER])
    assert ilk("import", "in/mine.yaml", "--out", "out", "--strict")[0] == 0


def test_json_for_programs_is_the_file() -> None:
    write(Path("in"), [ASK, ANSWER])
    code, said = ilk("import", "in/mine.yaml", "--out", "out", "--format", "json")
    assert code == 0
    assert json.loads(said) == json.loads(Path("out/import.json").read_text())


def test_a_second_import_replaces_the_files_of_the_first_and_no_others() -> None:
    write(Path("in"), [ASK, ANSWER], name="old.yaml")
    assert ilk("import", "in/old.yaml", "--out", "out")[0] == 0
    Path("out/mine.txt").write_text("mine")
    write(Path("in"), [ASK, ANSWER], name="new.yaml")
    assert ilk("import", "in/new.yaml", "--out", "out")[0] == 0
    left = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert left == {"NOTES.md", "import.json", "mine.txt", "new.yaml", "new/ask.j2", "new/answer.j2"}


@pytest.mark.parametrize("name", ["mine.yaml", "mine/ask.j2", "NOTES.md"])
def test_a_file_that_no_import_wrote_is_not_overwritten(name: str) -> None:
    write(Path("in"), [ASK, ANSWER])
    Path("out", name).parent.mkdir(parents=True)
    Path("out", name).write_text("mine")
    code, said = ilk("import", "in/mine.yaml", "--out", "out")
    assert (code, said.splitlines()[0]) == (2, f"out/{name}: is there already, and no import wrote it")
    assert [path.read_text() for path in Path("out").rglob("*") if path.is_file()] == ["mine"]


def test_nothing_is_written_through_a_link_or_over_another_programs_list(here: Path) -> None:
    write(Path("in"), [ASK, ANSWER])
    (here / "elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/mine").symlink_to(here / "elsewhere")
    assert ilk("import", "in/mine.yaml", "--out", "out")[0] == 2
    assert not list((here / "elsewhere").iterdir())
    Path("other").mkdir()
    for text in ('{"name": "x"}', '{"files": ["../in/mine.yaml"]}'):
        Path("other/import.json").write_text(text)
        assert ilk("import", "in/mine.yaml", "--out", "other")[0] == 2
    assert Path("in/mine.yaml").is_file()
    assert ilk("import", "in/mine.yaml", "--out", "in/mine.yaml")[0] == 2


def test_what_files_say_cannot_act_on_a_terminal_or_a_page() -> None:
    bad = {**JUDGED, "name": "a\x1b[31mb|<img>"}
    write(Path("in"), [ASK, ANSWER, bad])
    code, said = ilk("import", "in/mine.yaml", "--out", "out")
    assert code == 0
    assert "\x1b" not in said
    assert "\x1b" not in Path("out/NOTES.md").read_text()
    assert "\\|\\<img\\>" in Path("out/NOTES.md").read_text()


# --- samples

PAIRS = prompt("Ask of {{document}} as {{icl_query_1}}:\n[ASK]\nwhat\n[REPLY]\nso\n[END]")
PATTERN = {
    "parser_name": "custom",
    "parsing_pattern": r"\[ASK\]\s*(.*?)\s*\[REPLY\]\s*(.*?)\s*(?=\[ASK\]|$)",
    "parser_cleanup_tags": ["[END]"],
}


def test_samples_come_of_imported_flows_through_a_server(here: Path) -> None:
    """For leaves of every kind, with answers in the prompts' own tags, in a regular expression's and in ours."""
    judged = [
        JUDGED,
        block(
            "keep", "FilterByValueBlock", filter_column="score", filter_value=2.0, operation="ge", convert_dtype="float"
        ),
    ]
    texts = [
        ask("text", "t.yaml", ["context"], gen_kwargs={"n": 2, "temperature": 0.7}),
        ask("ask", "g.yaml", ["question"]),
    ]
    grounded = {"t.yaml": prompt("Write as {{seed_context}}", "c"), "g.yaml": prompt("Ask about {{context}}", "q")}
    write(Path("in"), [ASK, ANSWER, *judged], name="freeform_skills.yaml")
    write(Path("in"), [*texts, ANSWER], grounded, name="grounded_skills.yaml")
    write(
        Path("in"),
        [ask("pairs", "p.yaml", ["question", "response"], parser_kwargs=PATTERN)],
        {"p.yaml": PAIRS},
        name="knowledge.yaml",
    )
    assert ilk("import", "in", "--out", "out")[0] == 0
    run, kept = generated(Path("out"))
    by_flow = {
        name: [sample for sample in kept if sample.lineage.flow == name]
        for name in ("freeform_skills", "grounded_skills", "knowledge")
    }
    assert all(by_flow.values())
    sample = by_flow["freeform_skills"][0]
    assert [turn.step for turn in sample.lineage.turns] == ["ask", "answer", "judge"]
    assert sample.lineage.template == "freeform_skills/answer.j2"
    assert all(sample.context and "<" not in sample.question for sample in by_flow["grounded_skills"])
    assert all("[END]" not in sample.answer for sample in by_flow["knowledge"])
    rejected = [verdict for verdict in read_records(run.verdicts, Verdict) if not verdict.keep]
    assert rejected == []


def generated(folder: Path) -> tuple[Run, list[Sample]]:
    """A run of all flows of a folder on the starter leaves, and the samples that it keeps."""
    paths = sorted(folder.glob("*.yaml"))
    Path("r.yaml").write_text("generate: {prompts_per_leaf: 2, pairs_per_prompt: 4, filters: [shape]}\n")
    flows = [word for path in paths for word in ("--flow", str(path))]
    with TeacherServer(answer=answering([load_flow(str(path)) for path in paths])) as server:
        asked = ["--teacher", server.url, "--teacher-model", "m", "--taxonomy", str(TAXONOMY)]
        code, said = ilk("generate", "--run", "t", "--recipe", "r.yaml", *asked, *flows)
    assert code == 0, said
    run = Run(Path("runs/t"))
    rejected = {verdict.subject for verdict in read_records(run.verdicts, Verdict) if not verdict.keep}
    return run, [sample for sample in read_records(run.samples, Sample) if sample.id not in rejected]


# --- the package itself


def package() -> Path:
    """The folder of instructlab-sdg: named by ILK_SDG, or installed."""
    told = os.environ.get("ILK_SDG")
    if told:
        return Path(told)
    found = importlib.util.find_spec("instructlab")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / "sdg" / "pipelines").is_dir():
            return Path(place) / "sdg"
    pytest.skip("instructlab-sdg is neither installed nor named by ILK_SDG")


FIELDS = {
    "question": "What is it {{ now }}?",
    "response": "It is so.",
    "context": "A text.\n\nOf two parts.",
    "spellcheck": "A right text.",
}
KINDS = {"knowledge": "knowledge", "freeform_skills": "freeform", "grounded_skills": "grounded"}


@pytest.mark.parametrize("name", ["full", "simple"])
def test_every_prompt_of_the_package_is_the_same_text_here(name: str) -> None:
    """For each seed example of the starter leaves; but for the form that one text for a pair gets at its end."""
    sources = package() / "pipelines" / name
    assert ilk("import", str(sources), "--out", "out")[0] == 0
    compared = 0
    for path in sorted(Path("out").glob("*.yaml")):
        flow = load_flow(str(path))
        pipeline = next(one for one in sources.glob("*.yaml") if path.stem.startswith(one.stem))
        document = "spellcheck" if path.stem.endswith("-spellcheck") else "document"
        for block_ in yaml.safe_load(pipeline.read_text())["blocks"]:
            if block_["name"] not in flow.templates:
                continue
            values = yaml.safe_load((pipeline.parent / block_["config"]["config_path"]).read_text())
            for leaf in read_tree(TAXONOMY)[0]:
                if (
                    leaf.kind if isinstance(leaf, Knowledge) else "grounded" if leaf.grounded else "freeform"
                ) == flow.plan.leaves[0]:
                    for theirs, ours in both(leaf, values, flow.templates[block_["name"]], document, block_["name"]):
                        assert ours == theirs
                        compared += 1
    assert compared > 40


def both(leaf: Knowledge | Skill, values: dict, template, document: str, name: str):
    """A prompt as it is sent there, and here."""
    parts = "{system}\n{introduction}\n{principles}\n{examples}\n{generation}"
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
    source = jinja.from_string(parts.format(**{key: "" if value is None else value for key, value in values.items()}))
    for seed in leaf.seeds:
        chunk = Chunk(repo=".", commit="HEAD", document="d", blob="0" * 40, start=0, end=1, text="# A\n\nB {{ c }}")
        found = about(leaf, chunk=chunk if isinstance(leaf, Knowledge) else None, seeds=(seed,))
        if isinstance(leaf, Knowledge):
            asked = {f"icl_query_{n}": pair.question for n, pair in enumerate(seed.pairs, 1)}
            replied = {f"icl_response_{n}": pair.answer for n, pair in enumerate(seed.pairs, 1)}
            text = chunk.text if document == "document" or name == "gen_spellcheck" else FIELDS["spellcheck"]
            row = {
                "document": text,
                "document_outline": leaf.outline,
                "domain": leaf.domain,
                "icl_document": seed.context,
                **asked,
                **replied,
            }
        else:
            row = {
                "task_description": leaf.task,
                "seed_question": seed.pairs[0].question,
                "seed_response": seed.pairs[0].answer,
            }
            row |= {"seed_context": seed.context}
        known = {**found.variables, **FIELDS, "answer": FIELDS["response"], "count": 5}
        (message,) = template.render(known)
        ours = re.sub(r"\n\nUse this form and write nothing else:\n\n\[QUESTION 1\](?s:.*)", "", message.content)
        yield source.render({**row, **FIELDS, "num_samples": 5}).strip(), ours


@pytest.mark.parametrize("name", ["full", "simple"])
def test_samples_come_of_every_pipeline_of_the_package(name: str) -> None:
    assert ilk("import", str(package() / "pipelines" / name), "--out", "out")[0] == 0
    _, kept = generated(Path("out"))
    assert {sample.lineage.flow for sample in kept} == {path.stem for path in Path("out").glob("*.yaml")}
