"""What lm-evaluation-harness calls for the tasks beside this file: their documents, and the score of an answer.

`ilk export --for lm-eval` writes this file as it is. It needs the harness and the files beside it, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

HERE = Path(__file__).parent
Document = Mapping[str, Any]  # a line of a task's rows
Odds = tuple[float, bool]  # the natural log of a continuation's chance, and whether it is the likeliest one


def documents(rows: str, **_: object) -> dict[str, object]:
    """The documents of a task, from the folder of this file wherever that lies; the harness hands over more."""
    from datasets import Dataset  # the harness brings it; it is slow, and nothing else here needs it

    told = (HERE / rows).read_text(encoding="utf-8").split("\n")
    return {"test": Dataset.from_list([json.loads(line) for line in told if line])}


def text(document: Document, results: Sequence[str]) -> dict[str, float]:
    """The score of a written answer by the item's own metric."""
    return {"score": beside("score").score(SimpleNamespace(**document), results[0].strip())}


def choice(document: Document, results: Sequence[Odds]) -> dict[str, float]:
    """1 if the option that is taken is the right one; no number where the model's numbers decide nothing."""
    taken = beside("choices").pick(document["options"], [-chance for chance, _ in results])
    if isinstance(taken, str):
        return {"score": math.nan}
    return {"score": float(document["options"][taken] == document["answer"])}


def either(document: Document, results: Sequence[Any]) -> dict[str, float]:
    """The score of an item of a leaf that has both kinds."""
    return choice(document, results) if document["metric"] == "choice" else text(document, results)


def perplexity(document: Document, results: Sequence[Odds | float]) -> dict[str, tuple[float, int]]:
    """What the harness makes bits a byte of."""
    told = results[0]
    chance = told[0] if isinstance(told, Sequence) else told
    return {"bits_per_byte": (chance, len(document["answer"].encode("utf-8")))}


@cache
def beside(name: str) -> ModuleType:
    """A file beside this one, which is no module that can be imported by its name."""
    spec = spec_from_file_location(f"{name}_of_held_out_items", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def __getattr__(name: str) -> type:
    """`Leaf`, of a class of the harness's own, is made when the harness asks for it."""
    if name != "Leaf":
        raise AttributeError(name)
    from lm_eval.api.task import ConfigurableTask  # type: ignore[import-not-found, unused-ignore]

    class Leaf(ConfigurableTask):  # type: ignore[misc, no-any-unimported, unused-ignore]
        """A task of written answers and of choices: each document is asked in its own way."""

        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__(config={key: value for key, value in config.items() if key != "class"})

        def construct_requests(self, doc: Document, ctx: str, **told: Any) -> Any:
            self.OUTPUT_TYPE = "multiple_choice" if doc["metric"] == "choice" else "generate_until"
            return super().construct_requests(doc, ctx, **told)

    return Leaf
