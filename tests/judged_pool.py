"""Samples about towers to be judged, and a process that has them judged: `python judged_pool.py FOLDER URL`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from instructlab_like.filters import AskFilter
from instructlab_like.filters.judgement import Judgement
from instructlab_like.filters.pool import Held
from instructlab_like.filters.truth.critic import Critic
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import Budget, GenerateRecipe, TeacherRecipe
from instructlab_like.records import Lineage, Sample, digest
from instructlab_like.stages.filtering.judging import Judging

MAKER, JUDGE = "http:meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-72B"
NAMES = ("Mara", "Benno", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kira")
NO_LIMIT = Budget()


def tower(number: int, *, model: str = MAKER, **lineage: object) -> Sample:
    name, year, tall = NAMES[number % len(NAMES)], 1800 + 3 * number, 20 + number
    told = f"Tower {number} was built in {year} by {name} Vell, is {tall} metres tall, and can be seen from the sea."
    made = {"leaf": f"knowledge/towers/t{number % 3}", "leaf_blob": "0" * 40, "method": "teacher", "model": model}
    return Sample(
        id=digest(["tower", number])[:32],
        kind="knowledge" if number % 2 else "freeform",
        question=f"What is known of tower {number}?",
        answer=told,
        context=f"# Towers\n\n{told} Nobody lives in it." if number % 2 else None,
        lineage=Lineage.model_validate(made | lineage),
    )


def towers(count: int) -> list[Sample]:
    return sorted((tower(number) for number in range(count)), key=lambda sample: sample.id)


GOOD = {(one.question, one.answer) for one in map(tower, range(1000))}  # what no fault was planted in


def recipe(
    url: str, *, judge: str = JUDGE, budget: Budget = NO_LIMIT, slots: int = 4, retries: int = 3
) -> GenerateRecipe:
    told = TeacherRecipe(model=judge, url=url, concurrency=slots, retries=retries, timeout=60.0, patience=5.0)
    return GenerateRecipe(roles={"critic": told}, budget=budget)


def judged(
    folder: Path,
    told: GenerateRecipe,
    chosen: AskFilter,
    samples: Sequence[Sample],
    *,
    asking: bool = True,
) -> tuple[list[Judgement], Judging]:
    """What is said of each sample, and who said it."""
    with (
        Ledger(folder / "ledger.sqlite") as ledger,
        Judging(ledger, told, used=folder / "used.jsonl", scratch=folder, asking=asking) as judging,
    ):
        found = list(judging(chosen, Held(samples, [b""] * len(samples))))
    assert [place for place, _ in found] == list(range(len(samples)))
    return [judgement for _, judgement in found], judging


def verdict_lines(chosen: AskFilter, samples: Iterable[Sample], judgements: Iterable[Judgement]) -> bytes:
    verdicts = (chosen.verdict(sample, told) for sample, told in zip(samples, judgements, strict=True))
    return b"".join(orjson.dumps(vars(verdict), option=orjson.OPT_APPEND_NEWLINE) for verdict in verdicts)


def main(folder: Path, url: str) -> None:
    samples, chosen = towers(60), Critic(planted=20)
    judgements, judging = judged(folder, recipe(url), chosen, samples)
    lines = verdict_lines(chosen, samples, judgements)
    (folder / "verdicts.jsonl").write_bytes(lines + "\n".join(judging.remarks).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
