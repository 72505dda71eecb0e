"""Answers about weirs to be graded, and a process that has them graded: `python graded_run.py FOLDER URL`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from instructlab_like.evaluation.summary import Summary, summarise, write
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import EvaluateRecipe, GenerateRecipe, JudgeRecipe
from instructlab_like.records import Answer, Item, LeafCounts, Lineage, Sample
from instructlab_like.stages.evaluating.grading import Graded, grade, grader
from instructlab_like.stages.generating.inquiry import Inquiry
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, write_records

TEACHER, STUDENT, JUDGE = "mistral-large", "ibm-granite/granite-3.3-2b", "Qwen/Qwen2.5-72B"
LEAVES = ("knowledge/weirs", "compositional_skills/notices")
RUBRIC = "It names the keeper."
KEEPERS = ("Mara Vell", "Benno Karst", "Ines Calder", "Jonas Pell", "Greta Holm")
MARKED = r"<{tag}-([0-9a-f]{{8}})>\n(.*)\n</{tag}-\1>"


def question(number: int, **told: object) -> Item:
    keeper = KEEPERS[number % len(KEEPERS)]
    made = {
        "id": f"item{number:03}",
        "leaf": LEAVES[number % 2],
        "source": "heldout",
        "question": f"Who kept weir {number}, and from when on?",
        "answer": f"{keeper} was its keeper from {1800 + number} on, and lived in the house beside the gates.",
        "metric": "judge",
        "rubric": RUBRIC if number % 2 else None,
        "context": f"Weir {number} has two gates." if number % 4 == 0 else None,
    }
    return Item.model_validate(made | told)


def questions(count: int) -> list[Item]:
    return [question(number) for number in range(count)]


def answer(item: Item, model: str, text: str, **told: object) -> Answer:
    made = {"item": item.id, "model": model, "text": text, "score": None, "unscored": "judge: not graded"}
    return Answer.model_validate(made | told)


def answers(items: Sequence[Item], told: Callable[[Item, str], str] | None = None) -> list[Answer]:
    """The base knows nothing; the checkpoint knows the reference in other words, but of every third item."""

    def usual(item: Item, model: str) -> str:
        number = int(item.id[4:])
        if model == "base" or number % 3 == 0:
            return f"Nobody knows who kept weir {number}, I should think."
        return item.answer.replace(" was its keeper from ", ", keeper from ")

    return [answer(item, model, (told or usual)(item, model)) for model in ("base", "tuned") for item in items]


def sample(model: str = f"http:{TEACHER}", method: str = "teacher") -> Sample:
    lineage = Lineage.model_validate({"leaf": LEAVES[0], "leaf_blob": "0" * 40, "method": method, "model": model})
    return Sample(id="0" * 32, kind="freeform", question="Q", answer="A", lineage=lineage)


def made_run(folder: Path, samples: Sequence[Sample] | None = None) -> Run:
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_records(run.samples, [sample()] if samples is None else samples)
    return run


def recipe(url: str | None, **told: object) -> EvaluateRecipe:
    judge = {"model": JUDGE, "url": url, "concurrency": 4, "timeout": 60.0, "patience": 5.0, "retries": 3, "planted": 0}
    return EvaluateRecipe(judge=JudgeRecipe.model_validate(judge | told))


def graded(
    run: Run,
    told: EvaluateRecipe,
    items: Sequence[Item],
    given: Sequence[Answer],
    *,
    asking: bool = True,
    bases: Sequence[str] = (STUDENT,),
) -> Graded:
    found = grader(run, Manifest(generate=GenerateRecipe()), told, items, bases)
    with Ledger(run.ledger) as ledger:
        return found.grade(given, Inquiry(ledger, empty=True, asking=asking))


def summed(items: Sequence[Item], found: Graded) -> Summary:
    counts = [LeafCounts(leaf=leaf, made=1, kept=1) for leaf in LEAVES]
    return summarise(items, found.answers, enough=20, leaves=counts, base=STUDENT, judge=found.card)


# --- what a judge sees


def shown(request: dict) -> str:
    return request["messages"][-1]["content"]


def part(request: dict, tag: str) -> str | None:
    """What stands between the tags that count."""
    found = re.search(MARKED.format(tag=tag), shown(request), re.DOTALL)
    return found[2] if found else None


def in_form(field: str, value: object, reason: str = "because") -> str:
    return f"[REASON 1]\n{reason}\n[{field} 1]\n{value}\n[END 1]"


def grading(grade: Callable[[dict], object], side: Callable[[dict], object] = lambda _: 0) -> Callable[[dict], str]:
    def reply(request: dict) -> str:
        if part(request, "first") is not None:
            return in_form("BETTER", side(request))
        return in_form("GRADE", grade(request))

    return reply


def likeness(request: dict, tag: str) -> float:
    """Words that reference and answer share, of all that either has."""
    wanted, given = (set((part(request, one) or "").lower().split()) for one in ("reference", tag))
    return len(wanted & given) / max(1, len(wanted | given))


def by_likeness(request: dict) -> int:
    return 1 + round(9 * likeness(request, "answer") ** 3)


def nearer(request: dict) -> int:
    first, second = likeness(request, "first"), likeness(request, "second")
    return 1 if first > second else 2 if second > first else 0


FAIR = grading(by_likeness, nearer)


def main(folder: Path, url: str) -> None:
    run, items = made_run(folder), questions(24)
    found = grade(run, grader(run, Manifest(), recipe(url, planted=10), items, (STUDENT,)), answers(items))
    write(run.summary, summed(items, found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
