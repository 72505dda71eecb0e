from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaf_files import commit_all, git, skill, write_leaf
from yaml_mutants import mutant

from instructlab_like.checking.leaf import STRICT
from instructlab_like.checking.repair import FILES, repaired
from instructlab_like.checking.repair.order import ORDERS
from instructlab_like.checking.whole import check
from instructlab_like.records import ChoiceParameter, HeldOut, IntegerParameter, SampleParameter, Simulation
from instructlab_like.stages.contributing.check import check as stage
from instructlab_like.taxonomy.yaml_lines import load, plain

ROOT = Path(__file__).parents[2]
STARTERS = sorted(file for file in (ROOT / "taxonomy").rglob("*.yaml") if file.name in FILES)
SMALL = [file for file in STARTERS if file.stat().st_size < 4_000]
SKILL = "compositional_skills/sums"

HEAD = "version: 3\ncreated_by: ann\ntask_description: Add numbers.\nseed_examples:\n"


def fix(text: str, name: str = "qna.yaml") -> str:
    done = repaired(name, text.encode())
    assert done.left == ()
    again = repaired(name, done.data)
    assert (again.data, again.fixed) == (done.data, ())
    return done.data.decode()


def values(data: bytes) -> object:
    sheet = load(data)
    assert not sheet.problems
    return plain(sheet.root) if sheet.root else None


# --- whatever the file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", STARTERS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_clean_file_keeps_every_byte(file: Path) -> None:
    done = repaired(file.name, file.read_bytes())
    assert (done.data, done.fixed, done.left) == (file.read_bytes(), (), ())


@given(file=st.sampled_from(SMALL), seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_a_repair_changes_no_value_and_loses_no_line_and_is_done_once(file: Path, seed: int) -> None:
    data = mutant(file.read_text(encoding="utf-8"), seed)
    done = repaired(file.name, data)
    again = repaired(file.name, done.data)
    assert (again.data, again.fixed, again.left) == (done.data, (), done.left)
    if load(data).problems:
        assert load(done.data).problems or {"tabs", "trailing-spaces"} & {*done.fixed}
        return
    assert lines_of(data) == lines_of(done.data)
    before, after = values(data), values(done.data)
    if not done.blocks:
        assert before == after
    assert words(before) == words(after)


def lines_of(data: bytes) -> Counter[str]:
    """What stands in the lines, comments and quotes included, wherever they stand."""
    text = data.decode().replace("\r\n", "\n").replace("\r", "\n")
    return Counter(line.strip(" \t").lstrip("- ") for line in text.split("\n") if line.strip())


def words(value: object) -> object:
    if isinstance(value, dict):
        return {key: words(part) for key, part in value.items()}
    return [words(part) for part in value] if isinstance(value, tuple) else str(value).split()


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_stop_the_repair(data: bytes) -> None:
    done = repaired("qna.yaml", data)
    assert repaired("qna.yaml", done.data).data == done.data


@given(text=st.text("ab:-|>+'\"# \n\t\r\\[]{}?&*!%@,0123\u2028\x85\ufeff", max_size=80), name=st.sampled_from(FILES))
@settings(max_examples=300, deadline=None)
def test_no_text_changes_its_meaning(text: str, name: str) -> None:
    data = text.encode()
    done = repaired(name, data)
    if not load(data).problems:
        assert words(values(data)) == words(values(done.data))
    assert repaired(name, done.data).data == done.data


# --- blanks and lines -------------------------------------------------------------------------------------------


def test_blanks_line_ends_and_empty_lines_are_put_right() -> None:
    head = "\n\nversion: 3  \r\ncreated_by: ann\t\n\n\n\n\n"
    text = f"{head}# about the task\ntask_description: Add. # how \nseed_examples: []\n\n"
    done = repaired("qna.yaml", text.encode())
    assert done.data.decode() == (
        "version: 3\ncreated_by: ann\n\n\n# about the task\ntask_description: Add. # how\nseed_examples: []\n"
    )
    assert done.fixed == ("new-lines", "trailing-spaces", "empty-lines")


def test_the_last_line_is_ended() -> None:
    assert fix("version: 3") == "version: 3\n"
    assert fix("version: 3\n  ") == "version: 3\n"


def test_two_empty_lines_may_stay() -> None:
    text = "version: 3\n\n\ncreated_by: ann\n"
    assert fix(text) == text


def test_empty_lines_that_are_part_of_a_text_stay() -> None:
    text = 'a: |\n  one\n\n\n\n\n  two\nb: "one\n\n\n\n\n  two"\nc: |+\n  end\n\n\n\n\nd: 1\n'
    assert fix(text) == text


def test_empty_lines_after_a_text_that_does_not_keep_them_go() -> None:
    assert fix("a: |\n  one\n\n\n\n\nb: >-\n  two\n\n\n\n") == "a: |\n  one\n\n\nb: >-\n  two\n"


def test_blanks_inside_a_block_go_and_it_is_said() -> None:
    done = repaired("qna.yaml", b"a: |\n  one  \n    \n  two\t\nb: >\n  three \n  four\n")
    assert done.data == b"a: |\n  one\n\n  two\nb: >\n  three\n  four\n"
    assert done.blocks
    assert not repaired("qna.yaml", b"a: one  \nb: 'two  \n  three'\n").blocks


def test_a_blank_that_a_backslash_keeps_stays() -> None:
    text = 'a: "one\\ \n  two"\n'
    assert fix(text) == text


def test_tabs_become_blanks_where_their_width_makes_no_difference() -> None:
    text = (
        "seed_examples:\n\t- question: Who?\n\t  answer: Ann\n\t- question: |\n\t\tWhere\n\t\tto?\n\t  answer: There\n"
    )
    assert repaired("qna.yaml", text.encode()).fixed == ("tabs",)
    assert values(fix(text).encode()) == {
        "seed_examples": ({"question": "Who?", "answer": "Ann"}, {"question": "Where\nto?\n", "answer": "There"})
    }


def test_tabs_whose_width_decides_what_a_text_says_are_left() -> None:
    text = "answer: |\n\tif a:\n\t\tb\ndocument:\n\trepo: .\n"
    done = repaired("qna.yaml", text.encode())
    assert done.data == text.encode()
    assert done.left[0].startswith("it cannot be read: line 2, ")


@pytest.mark.parametrize("text", ["a: [1\n", "a: 1\n---\nb: 2 \n", "a: *b \n", "a: &x [*x] \n", "- a \nb: c\n"])
def test_what_cannot_be_read_is_left_as_it_is(text: str) -> None:
    done = repaired("qna.yaml", text.encode())
    assert (done.data, done.fixed) == (text.encode(), ())
    assert done.left


def test_a_file_that_asks_not_to_be_linted_is_left_alone() -> None:
    text = "# yamllint disable-file\ncreated_by: ann  \r\nversion: 3"
    assert repaired("qna.yaml", text.encode()).data == text.encode()


def test_a_byte_order_mark_stays() -> None:
    assert repaired("qna.yaml", "\ufeffa: 1 \n".encode()).data == "\ufeffa: 1\n".encode()


# --- the order of keys ------------------------------------------------------------------------------------------


def test_keys_come_in_the_order_of_the_schema_with_their_comments() -> None:
    text = """\
# The head of the file.
seed_examples:
  - answer: |
      # no comment
      Ann

    # who is asked for
    question: "Who?"  # a person
  - question: Where?
    context: In the harbour.
    answer: There

# the version
# of the schema
version: 3
task_description: 'Say who.'
created_by: ann
"""
    assert (
        fix(text)
        == """\
# The head of the file.
# the version
# of the schema
version: 3

created_by: ann
task_description: 'Say who.'
seed_examples:
  # who is asked for
  - question: "Who?"  # a person

    answer: |
      # no comment
      Ann
  - question: Where?
    context: In the harbour.
    answer: There
"""
    )


def test_documents_and_siblings_have_an_order_too() -> None:
    assert fix("document:\n  patterns:\n  - a\n  commit: HEAD\n  repo: .\n") == (
        "document:\n  repo: .\n  commit: HEAD\n  patterns:\n  - a\n"
    )
    assert fix("questions:\n- metric: f1\n  accept: [b]\n  answer: a\n  question: q\n", "heldout.yaml") == (
        "questions:\n- question: q\n  answer: a\n  accept: [b]\n  metric: f1\n"
    )
    parameters = "  z:\n    of: [1]\n    kind: choice\n  a:\n    high: 2\n    low: 1\n    kind: integer\n"
    assert fix(f"answer: a\nparameters:\n{parameters}", "simulation.yaml") == (
        "parameters:\n  z:\n    kind: choice\n    of: [1]\n"
        "  a:\n    kind: integer\n    low: 1\n    high: 2\nanswer: a\n"
    )


def test_a_comment_never_becomes_part_of_a_text() -> None:
    text = "created_by: |\n  ann\n    # aside\n\nversion: 3\n"
    assert values(fix(text).encode()) == {"created_by": "ann\n  # aside\n", "version": 3}
    text = "seed_examples:\n- answer: Ann\n    # aside\ncreated_by: |\n  ann\nversion: 3\n"
    assert values(fix(text).encode()) == {"seed_examples": ({"answer": "Ann"},), "created_by": "ann\n", "version": 3}


@pytest.mark.parametrize(
    "text",
    [
        "seed_examples:\n  - {answer: a, question: q}\n",  # written in one line by intent
        "seed_examples:\n  - &one\n    question: q\n    answer: a\n  - *one\nversion: 3\n",
        "? seed_examples\n: []\n? version\n: 3\n",
    ],
)
def test_what_cannot_be_moved_by_lines_stays(text: str) -> None:
    assert fix(text) == text


def test_unknown_keys_come_last_and_twice_given_ones_keep_their_order() -> None:
    assert fix("other: 1\nversion: 2\nversion: 3\n") == "version: 2\nversion: 3\nother: 1\n"


def test_every_field_of_the_records_has_a_place() -> None:
    question = ORDERS["heldout.yaml"].below["questions"]
    assert {name for group in question.groups for name in group} == set(HeldOut.model_fields) - {"line"}
    assert [name for group in ORDERS["simulation.yaml"].groups for name in group] == list(Simulation.model_fields)
    for kind in (IntegerParameter, ChoiceParameter, SampleParameter):
        ranks = [ORDERS["simulation.yaml"].below["parameters"].below["*"].rank(name) for name in kind.model_fields]
        assert ranks == sorted(ranks)


# --- indentation ------------------------------------------------------------------------------------------------


def test_indentation_at_odds_with_itself_becomes_two_blanks() -> None:
    text = """\
version: 3
document:
      repo: .   # here
      commit: HEAD
      patterns:
      -   "*.md"
      -   "*.txt"
seed_examples:
   # the first
   -   context: >-
           a text
             set in

           of lines
       questions_and_answers:
         - question: one
             more
           answer: [a,
               b]
         # aside
         -
           question: two
           answer: |2
               four
             two
"""
    fixed = fix(text)
    assert (
        fixed
        == """\
version: 3
document:
  repo: .   # here
  commit: HEAD
  patterns:
    - "*.md"
    - "*.txt"
seed_examples:
  # the first
  - context: >-
        a text
          set in

        of lines
    questions_and_answers:
      - question: one
          more
        answer: [a,
            b]
      # aside
      -
        question: two
        answer: |2
            four
          two
"""
    )
    assert values(fixed.encode()) == values(text.encode())


def test_lists_follow_the_majority() -> None:
    text = "a:\n- 1\nb:\n- 2\nc:\n    - 3\n"
    assert fix(text) == "a:\n- 1\nb:\n- 2\nc:\n- 3\n"


def test_a_file_that_is_of_one_mind_keeps_its_indentation() -> None:
    for text in ("a:\n    - b: 1\n      c: 2\nd:\n    e: 3\n", "a:\n- b: 1\n  c: 2\n"):
        assert fix(text) == text


# --- where the files lie ----------------------------------------------------------------------------------------


MESSY = HEAD.replace("version: 3\n", "").replace("created_by: ann\n", "created_by: ann \nversion: 3\n") + "".join(
    f"  - answer: {number}!\n    question: What is {number} and nothing?\n" for number in range(5)
)


@pytest.fixture
def leaf(tmp_path: Path) -> Path:
    return write_leaf(tmp_path, SKILL, MESSY, heldout="questions:\n- answer: Ann  \n  question: Who adds?\n")


def test_the_files_of_the_leaves_named_are_repaired_and_the_rest_is_checked(
    leaf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_leaf(tmp_path, "compositional_skills/other", MESSY)
    kept = {path: path.read_bytes() for path in (other / "qna.yaml", leaf / "attribution.txt")}
    (leaf / "notes.yaml").write_text("a: 1  \n")
    stage([leaf], STRICT, base=None, form="text", fix=True)
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"fixed {leaf}/qna.yaml: trailing-spaces, key-order",
        f"fixed {leaf}/heldout.yaml: trailing-spaces, key-order",
    ]
    assert {finding.code for finding in check([leaf]).findings}.isdisjoint({"trailing-spaces"})
    assert (leaf / "heldout.yaml").read_text() == "questions:\n- question: Who adds?\n  answer: Ann\n"
    assert {path: path.read_bytes() for path in kept} == kept
    assert (leaf / "notes.yaml").read_text() == "a: 1  \n"
    assert {file.name for file in leaf.iterdir()} == {"attribution.txt", "heldout.yaml", "notes.yaml", "qna.yaml"}


def test_a_second_repair_writes_nothing(leaf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage([leaf], STRICT, base=None, form="text", fix=True)
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in leaf.iterdir()}
    capsys.readouterr()
    stage([leaf], STRICT, base=None, form="text", fix=True)
    assert "fixed" not in capsys.readouterr().out
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in leaf.iterdir()} == before


def test_programs_that_read_the_output_find_the_findings_alone(leaf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage([leaf], STRICT, base=None, form="json", fix=True)
    told = capsys.readouterr()
    assert json.loads(told.out)["leaves"] == 1
    assert told.err.startswith(f"fixed {leaf}/qna.yaml: ")


def test_the_mode_of_a_file_stays(leaf: Path) -> None:
    for mode in (0o640, 0o755):
        (leaf / "qna.yaml").write_text(MESSY)
        (leaf / "qna.yaml").chmod(mode)
        stage([leaf], STRICT, base=None, form="text", fix=True)
        assert (leaf / "qna.yaml").read_text() != MESSY
        assert stat.S_IMODE((leaf / "qna.yaml").stat().st_mode) == mode


def test_links_are_not_followed(leaf: Path, tmp_path: Path) -> None:
    target = tmp_path / "outside.yaml"
    target.write_text("a: 1  \n")
    (leaf / "heldout.yaml").unlink()
    (leaf / "heldout.yaml").symlink_to(target)
    stage([leaf], STRICT, base=None, form="text", fix=True)
    assert target.read_text() == "a: 1  \n"
    assert (leaf / "heldout.yaml").is_symlink()


def test_with_a_base_only_leaves_that_differ_are_repaired(leaf: Path, tmp_path: Path) -> None:
    other = write_leaf(tmp_path, "compositional_skills/other", skill())
    git(tmp_path, "init", "--quiet")
    commit_all(tmp_path)
    (other / "qna.yaml").write_text(MESSY)
    stage([tmp_path], STRICT, base="HEAD", form="text", fix=True)
    assert (leaf / "qna.yaml").read_text() == MESSY
    assert (other / "qna.yaml").read_text() != MESSY


def test_what_was_left_is_said(leaf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (leaf / "qna.yaml").write_text("version: 3\na: [1\n")
    assert stage([leaf], STRICT, base=None, form="text", fix=True) == 2
    assert f"left {leaf}/qna.yaml: it cannot be read: line 3, " in capsys.readouterr().out
