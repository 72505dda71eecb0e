"""Rows by id as they were written: their types say what the records say, and their keys are the records' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_files import ANSWER, REVISED, TEMPLATES, write_flow
from hypothesis import given
from hypothesis import strategies as st
from server import TeacherServer
from small_runs import calls, made, make_workspace, recipe

from instructlab_like.records import (
    AskTask,
    Chunk,
    Lineage,
    Message,
    Preference,
    Prompt,
    RulesTask,
    Sample,
    Sampling,
    Turn,
    Verdict,
    plain,
)
from instructlab_like.stages import lookup

TEXT = st.text(max_size=8)
PAIRS = [
    (lookup.TurnRow, Turn),
    (lookup.LineageRow, Lineage),
    (lookup.SampleRow, Sample),
    (lookup.VerdictRow, Verdict),
    (lookup.PreferenceRow, Preference),
    (lookup.ChunkRow, Chunk),
    (lookup.PromptRow, Prompt),
]


@pytest.mark.parametrize(("row", "record"), PAIRS)
def test_a_row_has_the_fields_of_its_record(row: Any, record: Any) -> None:
    assert row.__required_keys__ | row.__optional_keys__ == set(record.model_fields)


def test_a_task_row_knows_the_fields_of_tasks() -> None:
    assert set(lookup.TaskRow.__optional_keys__) == {*AskTask.model_fields, *RulesTask.model_fields}


@given(
    st.lists(TEXT, min_size=1, max_size=3),
    st.floats(0, 2),
    st.floats(0.01, 1),
    st.one_of(st.none(), st.integers(0, 2**31)),
    st.one_of(st.none(), TEXT),
    st.integers(0, 9),
)
def test_a_call_key_is_that_of_the_prompt(
    texts: list[str], temperature: float, top_p: float, seed: int | None, schema: str | None, draw: int
) -> None:
    prompt = Prompt(
        messages=tuple(Message(role="user", content=text) for text in texts),
        sampling=Sampling(temperature=temperature, top_p=top_p, seed=seed, stop=tuple(texts)),
        yields=("question",),
        answer_schema=schema,
        lineage=Lineage(leaf="a", leaf_blob="b", method="teacher", model="m", draw=draw),
    )
    (key,) = lookup.task_ids(lookup.orjson.dumps(plain(AskTask(flow="f", step="s", role="r", prompt=prompt))))
    assert key == prompt.key


def test_a_chunk_has_the_id_of_its_record() -> None:
    chunk = Chunk(repo=".", commit="HEAD", document="d", blob="0123456789abcdef", start=7, end=9, text="ab")
    assert lookup.chunk_id(plain(chunk)) == chunk.id  # type: ignore[arg-type]


def test_every_call_of_a_finished_run_is_somebodys(tmp_path: Path) -> None:
    revised = REVISED.replace("answer.j2, role: reviser", "revise.j2, role: reviser")
    templates = {**TEMPLATES, "revise.j2": ANSWER.replace("answer {{", "revise {{")}
    flow = write_flow(tmp_path / "flow", revised, templates=templates)
    with TeacherServer(answer=by_tag) as server:
        told = recipe(make_workspace(tmp_path), server, flows=("knowledge-simple", str(flow)))
        run = made(tmp_path, "r", told)
    used = {call for _, call in lookup.uses(run)}
    assert used == {key for key, call in calls(run).items() if call[-1] == "flow"}
    assert len({leaf for leaf, _ in lookup.uses(run)}) == 3


def by_tag(request: dict) -> str:
    """Two questions where questions are asked for; some judgements are no number, and some answers have no tags."""
    prompt = request["messages"][-1]["content"]
    odd = len(prompt) % 5
    if "[QUESTION 1]" in prompt and "[ANSWER 1]" not in prompt:
        return "".join(f"[QUESTION {n}]\nq{n} {odd}?\n[END {n}]\n" for n in (1, 2))
    if "[SCORE 1]" in prompt:
        return f"[SCORE 1]\n{'good' if odd == 3 else odd}\n[END 1]"
    words = "five" if prompt.startswith("revise") else "four"
    return "nothing" if odd == 4 else f"[ANSWER 1]\n{words}\n[END 1]"
