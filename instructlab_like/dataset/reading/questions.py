"""Multiple-choice questions of InstructLab's MMLU-branch, for whoever tests a model: they are no conversations."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from instructlab_like.dataset.instructlab.lines import ChoiceLine
from instructlab_like.dataset.reading import lines
from instructlab_like.errors import InputError, explain
from instructlab_like.taxonomy.yaml_lines import Mapping, load, plain

FIX = "a row has `question`, four `choices`, `answer` (0 to 3) and `subject`"


def questions(path: Path) -> list[ChoiceLine]:
    """The questions of `mmlubench_LEAF.jsonl`, or of the file that `LEAF_task.yaml` names; other columns stay out.

    Raises InputError, with its line, for a row that is no such question.
    """
    data = data_of(path) if path.suffix.lower() in (".yaml", ".yml") else path
    found = []
    for where, row in lines.objects(data):
        if not isinstance(row, dict):
            raise InputError("holds no JSON object", where=where, fix=FIX)
        try:
            known = {name: row[name] for name in ChoiceLine.model_fields if name in row}
            found.append(ChoiceLine.model_validate(known))
        except ValidationError as error:
            raise InputError("; ".join(explain(error)), where=where, fix=FIX) from error
    return found


def data_of(path: Path) -> Path:
    """The file of a task's rows: that of its name beside the task, where both are always written, or else the path."""
    sheet = load(lines.content(path))
    told: object = plain(sheet.root) if isinstance(sheet.root, Mapping) else None
    for key in ("dataset_kwargs", "data_files", "test"):
        told = told.get(key) if isinstance(told, dict) else None
    if not isinstance(told, str) or not told:
        fix = "a task has `dataset_kwargs:`, in it `data_files:`, in it `test:`"
        raise InputError("names no file of test rows", where=str(path), fix=fix)
    beside = path.parent / Path(told).name
    return beside if beside.exists() else Path(told)
