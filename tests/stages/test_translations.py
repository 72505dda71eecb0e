"""The flow `translate` with the default filters: what translations keep is kept, and what they change is rejected."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from leaf_files import skill, write_leaf
from server import TeacherServer
from typer.testing import CliRunner

from instructlab_like.cli import app
from instructlab_like.records import Sample, Verdict
from instructlab_like.workspace import Run, read_records

SAID = {
    "German": ("Wie viel ist {n} plus {n}, wenn man alles zusammenzählt?", "Es sind {sum} im Ganzen."),
    "French": ("Combien font {n} plus {n} quand on compte tout ?", "Cela fait {sum} en tout."),
    "Spanish": ("¿Cuánto es {n} más {n} si se suma todo?", "Son {sum} en total."),
    "Portuguese": ("Quanto é {n} mais {n} quando se soma tudo?", "São {sum} ao todo."),
    "Polish": ("Ile to jest {n} plus {n}, jeśli wszystko się doda?", "To razem {sum}."),
    "Dutch": ("Hoeveel is {n} plus {n} als je alles optelt?", "Het zijn er {wrong} bij elkaar."),  # another number
    "Italian": (
        "What is the sum of {n} and {n}, if you add them?",
        "It is {sum}, if all of them are added.",
    ),  # English
}


def answer(request: dict) -> str:
    prompt = request["messages"][-1]["content"]
    if "[MEANING 1]" in prompt:
        return "[DIFFERENCES 1]\nnone\n[MEANING 1]\nYES\n[REMARKS 1]\nnone\n[SCORE 1]\n2\n[END 1]"
    language = re.search(r"The language: (\w+)", prompt)
    number = re.search(r"What is (\d) plus", prompt)
    if language is None or number is None:  # what is asked of a server to learn what it can do
        return "Yes."
    n = int(number[1])
    question, told = (text.format(n=n, sum=2 * n, wrong=2 * n + 31) for text in SAID[language[1]])
    return f"[QUESTION 1]\n{question}\n[ANSWER 1]\n{told}\n[END 1]"


def test_translations_that_keep_everything_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_leaf(tmp_path / "taxonomy", "compositional_skills/sums/plain", skill())
    (tmp_path / "r.yaml").write_text("generate: {prompts_per_leaf: 35}\n")
    with TeacherServer(answer=answer) as server:
        words = [
            "generate",
            "--run",
            "t",
            "--recipe",
            "r.yaml",
            "--flow",
            "translate",
            "--teacher",
            server.url,
            "--teacher-model",
            "m",
        ]
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    run = Run(tmp_path / "runs" / "t")
    rejected = {one.subject: f"{one.filter}/{one.rule}" for one in read_records(run.verdicts, Verdict) if not one.keep}
    by_language = defaultdict(set)
    for sample in read_records(run.samples, Sample):
        by_language[(sample.lineage.params or {})["language"]].add(rejected.get(sample.id, "kept"))
    assert by_language == {
        **{language: {"kept"} for language in ("German", "French", "Spanish", "Portuguese", "Polish")},
        "Dutch": {"invariants/number"},
        "Italian": {"language/other-language"},
    }
