"""A run's samples, verdicts and tasks by id, as the rows that were written. No pydantic: its import alone takes longer
than finding one among a million.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

import orjson

from instructlab_like.errors import InputError, position
from instructlab_like.index import Ids, Index
from instructlab_like.workspace import Run

CALL_KEY = 64  # characters; a sample's id has fewer
CHUNK = "~"  # begins the key of a chunk, which is nobody's id

Plain = str | int | float | bool | None


class TurnRow(TypedDict):
    """records.Turn as JSON."""

    step: str
    role: str
    template: str
    template_blob: str
    model: str
    call: str
    position: int
    draw: int


class LineageRow(TypedDict):
    """records.Lineage as JSON."""

    leaf: str
    leaf_blob: str
    method: Literal["teacher", "rules", "simulation", "given"]
    model: str
    flow: str | None
    flow_blob: str | None
    turns: list[TurnRow]
    seed: int | None
    chunk: str | None
    template: str | None
    template_blob: str | None
    params: dict[str, Plain | list[Plain]] | None
    draw: int
    parents: list[str]
    depth: int


class SampleRow(TypedDict):
    """records.Sample as JSON."""

    id: str
    kind: Literal["knowledge", "freeform", "grounded"]
    question: str
    answer: str
    context: str | None
    evidence: list[int] | None
    lineage: LineageRow


class VerdictRow(TypedDict):
    """records.Verdict as JSON."""

    subject: str
    leaf: str
    filter: str
    version: int
    keep: bool
    rule: str
    reason: str
    score: float | None
    threshold: float | None
    partner: str | None
    scores: dict[str, float] | None


class ShownRow(TypedDict):
    """routing.Shown as JSON."""

    run: str
    role: str
    kept: int
    judged: int
    share: float
    low: float
    high: float


class CandidateRow(TypedDict):
    """routing.Candidate as JSON."""

    rule: int
    teacher: str
    model: str
    price_in: float | None
    price_out: float | None
    quality: ShownRow | None
    qualifies: bool
    chosen: bool
    why: str


class RouteRow(TypedDict):
    """routing.Route as JSON."""

    leaf: str
    kind: Literal["knowledge", "freeform", "grounded"]
    role: str
    teacher: str | None
    model: str
    forced: bool
    rule: int | None
    why: str
    candidates: list[CandidateRow]


class PreferenceRow(TypedDict):
    """records.Preference as JSON."""

    leaf: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    messages: list[dict[str, str]]
    chosen_answer: str
    rejected_answer: str


class ChunkRow(TypedDict):
    """records.Chunk as JSON."""

    repo: str
    commit: str
    document: str
    blob: str
    start: int
    end: int
    headings: list[str]
    text: str


class PromptRow(TypedDict):
    """records.Prompt as JSON."""

    messages: list[dict[str, str]]
    sampling: dict[str, Plain | list[str]]
    yields: list[str]
    answer_schema: str | None
    tags: NotRequired[list[list[str]]]
    lineage: LineageRow


class TaskRow(TypedDict, total=False):
    """The fields that records.AskTask, RulesTask and SimulationTask have as JSON."""

    method: Literal["teacher", "rules", "simulation"]
    flow: str
    step: str
    role: str
    prompt: PromptRow
    leaf: str
    leaf_blob: str
    chunk: ChunkRow | None


class Lookup:
    """Finds rows of a run; an index that is missing or stale is made on the way. Open with `with`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.indexes: dict[Path, Index] = {}

    def __enter__(self) -> Lookup:
        return self

    def __exit__(self, *error: object) -> None:
        for index in self.indexes.values():
            index.__exit__(None, None, None)

    def sample(self, id: str) -> SampleRow | None:
        found = self.samples(id, most=1)
        return found[0] if found else None

    def samples(self, beginning: str, *, most: int | None = None) -> list[SampleRow]:
        """Those whose id begins so."""
        rows = chain(self.rows(self.run.samples, beginning), self.rows(self.run.replaced, beginning))
        found = (cast("SampleRow", row) for row in rows)
        return list(islice((row for row in found if row["id"].startswith(beginning)), most))

    def made_of(self, call: str, *, most: int | None = None) -> list[SampleRow]:
        """Those to which the answer to a call led."""
        found = (cast("SampleRow", row) for row in self.rows(self.run.samples, call))
        return list(islice((row for row in found if call in calls_of(row)), most))

    def verdicts(self, subject: str) -> list[VerdictRow]:
        """All about one subject, in the order in which they were given."""
        found = (cast("VerdictRow", row) for row in self.rows(self.run.verdicts, subject))
        return [row for row in found if row["subject"] == subject]

    def verdicts_for(self, call: str, *, most: int | None = None) -> list[VerdictRow]:
        """Those on samples for which a call was the reason."""
        found = (cast("VerdictRow", row) for row in self.rows(self.run.verdicts, call))
        return list(islice((row for row in found if row["partner"] == call), most))

    def preference(self, sample: str) -> PreferenceRow | None:
        """The pair in which the sample was preferred, or another to it."""
        return next((cast("PreferenceRow", row) for row in self.rows(self.run.preferences, sample)), None)

    def tasks(self, call: str) -> list[TaskRow]:
        """The tasks whose first prompt has this call key."""
        return [cast("TaskRow", row) for row in self.rows(self.run.plan, call)]

    def chunk(self, leaf: str, chunk: str, call: str | None) -> ChunkRow | None:
        """The chunk of that id which a leaf's task is about: the task that began with `call`, or one by rules."""
        for row in self.rows(self.run.plan, call or chunk_key(chunk)):
            task = cast("TaskRow", row)
            found = task.get("chunk")
            if found and leaf_of(task) == leaf and chunk_id(found) == chunk:
                return found
        return None

    def tested(self, sample: str) -> bool:
        """Whether the sample is a row of the dataset's test split."""
        return any(self.rows(self.run.test, sample))

    def cuts(self, beginning: str) -> set[str]:
        """Of samples, what was judged and calls: the ids that begin so, cut as an index cuts them."""
        paths = (self.run.samples, self.run.replaced, self.run.verdicts, self.run.plan)
        found = {cut for path in paths if (index := self.index(path)) for cut in index.keys(beginning)}
        return {cut for cut in found if not cut.startswith(CHUNK)}

    def ids(self, beginning: str) -> set[str]:
        """Of samples, what was judged and calls: the ids that begin so."""
        found: set[str] = set()
        for path in (self.run.samples, self.run.replaced, self.run.verdicts, self.run.plan):
            if index := self.index(path):
                found |= {id for line in index.find(beginning) for id in IDS[path.name](line)}
        return {id for id in found if id.startswith(beginning)}

    def rows(self, path: Path, beginning: str) -> Iterator[object]:
        index = self.index(path)
        return map(orjson.loads, index.find(beginning) if index else ())

    def index(self, path: Path) -> Index | None:
        """None for a file that the run has not."""
        if path not in self.indexes:
            if not path.is_file():
                return None
            self.indexes[path] = Index(path, self.run.index(path), IDS[path.name]).__enter__()
        return self.indexes[path]


def refresh(run: Run) -> None:
    """Make the indexes that are missing or stale."""
    with Lookup(run) as lookup:
        for path in (run.plan, run.samples, run.replaced, run.verdicts, run.test, run.preferences):
            lookup.index(path)


def uses(run: Run, *, evaluated: bool = True) -> Iterator[tuple[str, str]]:
    """Every use of a call by a leaf, as leaf and call key: planned, on the way to a sample, the reason of a verdict.

    Those of its evaluation, too, if `evaluated`.
    """
    for row in rows_of(run.plan):
        task = cast("TaskRow", row)
        if task["method"] == "teacher":
            yield leaf_of(task), call_key(task["prompt"])
    for sample in samples_of(run):
        for call in calls_of(sample):
            yield sample["lineage"]["leaf"], call
    for path in (run.judged, run.asked) if evaluated else (run.judged,):
        for row in rows_of(path):
            told = cast("dict[str, str]", row)
            yield told["leaf"], told["call"]
    for verdict in verdicts_of(run):
        for id in (verdict["subject"], verdict["partner"]):
            if id and len(id) == CALL_KEY:
                yield verdict["leaf"], id


def samples_of(run: Run) -> Iterator[SampleRow]:
    return (cast("SampleRow", row) for path in (run.samples, run.replaced) for row in rows_of(path))


def verdicts_of(run: Run) -> Iterator[VerdictRow]:
    return (cast("VerdictRow", row) for row in rows_of(run.verdicts))


def routes_of(run: Run, leaf: str) -> Iterator[RouteRow]:
    """Who was chosen for the leaf, role by role."""
    return (one for row in rows_of(run.routes) if (one := cast("RouteRow", row))["leaf"] == leaf)


def rows_of(path: Path) -> Iterator[object]:
    """The rows of a file; none of one that is not there."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield orjson.loads(line)
            except ValueError as error:
                fix = "the file was changed by hand; ilk generate writes it anew"
                raise InputError(f"is no row: {error}", where=position(path, number), fix=fix) from error


def id_in(*fields: str) -> Ids:
    """The ids that stand in these fields of a row."""

    def ids(line: bytes) -> Sequence[str]:
        row = orjson.loads(line)
        try:
            return [text(row[field]) for field in fields]
        except (KeyError, TypeError) as error:
            raise ValueError(f"without {' or '.join(fields)}") from error

    return ids


def sample_ids(line: bytes) -> Sequence[str]:
    """A sample by its id, and by the calls that led to it."""
    row = orjson.loads(line)
    try:
        return (text(row["id"]), *calls_of(row))
    except (KeyError, TypeError) as error:
        raise ValueError("no sample") from error


def verdict_ids(line: bytes) -> Sequence[str]:
    """A verdict by its subject, and by the call that was the reason for it."""
    row = orjson.loads(line)
    try:
        partner = row["partner"]
        calls = (partner,) if isinstance(partner, str) and len(partner) == CALL_KEY else ()
        return (text(row["subject"]), *calls)
    except (KeyError, TypeError) as error:
        raise ValueError("no verdict") from error


def task_ids(line: bytes) -> Sequence[str]:
    """A task of the plan: the call key of its prompt, or for the rules the key of its chunk; a simulation has none."""
    row = orjson.loads(line)
    try:
        if row["method"] == "teacher":
            return (call_key(row["prompt"]),)
        return (chunk_key(chunk_id(row["chunk"])),) if row["method"] == "rules" else ()
    except (KeyError, TypeError) as error:
        raise ValueError("no task") from error


IDS: Mapping[str, Ids] = {
    "1-plan.jsonl": task_ids,
    "2-samples.jsonl": sample_ids,
    "2-replaced.jsonl": sample_ids,
    "3-verdicts.jsonl": verdict_ids,
    "preferences.jsonl": id_in("chosen", "rejected"),
    "test.jsonl": id_in("sample"),
}


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def calls_of(sample: SampleRow) -> list[str]:
    """The calls that led to a sample, each once."""
    return list(dict.fromkeys(turn["call"] for turn in sample["lineage"]["turns"]))


def leaf_of(task: TaskRow) -> str:
    return task["prompt"]["lineage"]["leaf"] if "prompt" in task else task["leaf"]


def chunk_id(chunk: ChunkRow) -> str:
    """records.Chunk.id."""
    return f"{chunk['blob'][:12]}:{chunk['start']}-{chunk['end']}"


def chunk_key(chunk: str) -> str:
    """Under which a chunk stands in an index, where the first characters of its id would not tell it from others."""
    return CHUNK + hashlib.sha256(chunk.encode()).hexdigest()


def call_key(prompt: PromptRow) -> str:
    """records.Prompt.key."""
    asked: dict[str, object] = {
        "messages": prompt["messages"],
        "model": prompt["lineage"]["model"],
        "sampling": prompt["sampling"],
        "yields": prompt["yields"],
        "draw": prompt["lineage"]["draw"],
    }
    if prompt["answer_schema"] is not None:
        asked["schema"] = prompt["answer_schema"]
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
