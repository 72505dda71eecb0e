"""Flows and templates for tests, written where a user would write them: a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from instructlab_like.flows import Flow, load_flow

ASK = """\
---
purpose: Ask for questions
yields: [question]
---
=== user
ask {{ count }} about {{ task }} ({{ examples | length }} examples, {{ examples[0].pairs[0].question }})
[QUESTION 1]
[END 1]
"""
ANSWER = """\
---
purpose: Answer a question
yields: [answer]
---
=== user
answer {{ question }}
[ANSWER 1]
[END 1]
"""
JUDGE = """\
---
purpose: Judge a pair
yields: [score]
sampling: {temperature: 0}
---
=== user
judge {{ question }} -> {{ answer }}
[SCORE 1]
[END 1]
"""
TWO_STEPS = """\
purpose: Questions, then their answers
leaves: [freeform]
steps:
  - {name: questions, template: ask.j2, role: asker, each: [seeds], fan_out: true}
  - {name: answers, template: answer.j2, role: answerer}
"""
JUDGED = f"""{TWO_STEPS}\
  - {{name: judge, template: judge.j2, role: critic, keep: {{score: {{at_least: 2}}}}}}
"""
REVISED = f"""{TWO_STEPS}\
  - {{name: before, template: judge.j2, role: critic, as: {{score: score_before}}}}
  - {{name: revision, template: answer.j2, role: reviser, as: {{answer: revision}}}}
  - {{name: after, template: judge.j2, role: critic, with: {{answer: revision}}, as: {{score: score_after}}}}
  - {{name: better, kind: prefer, of: [answer, revision], by: [score_before, score_after]}}
"""
TEMPLATES = {"ask.j2": ASK, "answer.j2": ANSWER, "judge.j2": JUDGE}


def write_flow(folder: Path, text: str, name: str = "own.yaml", templates: Mapping[str, str] = TEMPLATES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in templates.items():
        (folder / file).write_text(content, encoding="utf-8")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def flow_in(folder: Path, text: str, name: str = "own.yaml", templates: Mapping[str, str] = TEMPLATES) -> Flow:
    return load_flow(str(write_flow(folder, text, name, templates)))


def groups(tag: str, *texts: str) -> str:
    """An answer with one tag a group, as a teacher writes it."""
    return "\n".join(f"[{tag} {n}]\n{text}\n[END {n}]" for n, text in enumerate(texts, start=1))
