"""The recipe's filters over all samples of a run, and their verdicts behind those of its flows; nothing is held."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from instructlab_like.filters.sift import passed
from instructlab_like.recipe import FilterChoice
from instructlab_like.records import Item, PhaseCount, Sample, Verdict
from instructlab_like.workspace import Run, dump, replacing


def sifted(
    run: Run, samples: Sequence[Sample], filters: Sequence[FilterChoice], *, held_out: Iterable[Item]
) -> tuple[Sequence[Sample], tuple[PhaseCount, ...]]:
    """What all filters kept of samples in id order, and what each did.

    Adds their verdicts to 3-verdicts.jsonl, filter by filter; before an error the file is left as it was.
    """
    with ExitStack() as stack:
        whole = stack.enter_context(replacing(run.verdicts))
        before = stack.enter_context(run.verdicts.open("rb"))
        parts = [stack.enter_context(tempfile.TemporaryFile(dir=run.folder)) for _ in filters]

        def tell(place: int, verdict: Verdict) -> None:
            parts[place].write(dump(vars(verdict)))  # all its fields are plain

        kept, phases = passed(samples, filters, held_out=held_out, tell=tell, scratch=run.folder)
        for part in (before, *parts):
            part.seek(0)
            shutil.copyfileobj(part, whole)
        return kept, phases
