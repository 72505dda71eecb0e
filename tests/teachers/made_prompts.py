"""Prompts and requests that the tests of teachers share."""

from __future__ import annotations

from instructlab_like.records import Lineage, Message, Prompt, Sampling


def prompt(text: str = "hello", sampling: Sampling | None = None, schema: str | None = None) -> Prompt:
    return Prompt(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content=text)),
        sampling=sampling or Sampling(),
        yields=("question", "answer"),
        answer_schema=schema,
        lineage=Lineage(leaf="a", leaf_blob="b", method="teacher", model="http:m"),
    )
