"""The held-out questions as tasks of lm-evaluation-harness, in groups that mirror the tree."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import yaml
from pydantic import Field

from instructlab_like.dataset.formats import Export, File, Format, Material, Question
from instructlab_like.dataset.lm_eval import tasks
from instructlab_like.dataset.lm_eval.names import Named, names
from instructlab_like.errors import InputError

BASE = "base"  # the branch of the base's own tasks, which no mean over leaves takes in
# What there is a file of: a leaf's questions that have a score, how likely its answers or texts are, a group.
TASK, ANSWERS, TEXTS, GROUP = "task", "perplexity", "text_perplexity", "group"
WHOLE: Named = (GROUP, "")
APART: Named = ("apart", "perplexities")

COMMON = """\
custom_dataset: !function tasks.documents
test_split: test
num_fewshot: 0
doc_to_text: prompt
doc_to_target: answer
"""
SCORE = """\
metric_list:
- metric: score
  aggregation: mean
  higher_is_better: true
metadata:
  version: 1
"""
BITS = """\
process_results: !function tasks.perplexity
metric_list:
- metric: bits_per_byte
  aggregation: bits_per_byte
  higher_is_better: false
metadata:
  version: 1
"""
WRITTEN = """\
generation_kwargs:
  do_sample: false
  max_gen_toks: {new_tokens}
  repetition_penalty: 1.0
  until: []
"""
TEXT = f"""\
# Written answers, scored word by word as `ilk evaluate` does (score.py). What differs: a question too long for the
# model is cut here and scores 0 there.
output_type: generate_until
{COMMON}{WRITTEN}process_results: !function tasks.text
{SCORE}"""
CHOICE = f"""\
# One of several options: taken is the likeliest by its length in characters, as in `ilk evaluate` (choices.py) and in
# the harness's acc_norm. What differs: a question too long for the model is cut here and has no score there.
output_type: multiple_choice
{COMMON}doc_to_choice: options
process_results: !function tasks.choice
{SCORE}"""
EITHER = f"""\
# Written answers (score.py) and choices (choices.py) of one leaf: one task, so that it counts once in a branch's mean.
# What differs from `ilk evaluate`: a question too long for the model is cut here.
class: !function tasks.Leaf
output_type: generate_until
{COMMON}doc_to_choice: options
{WRITTEN}process_results: !function tasks.either
{SCORE}"""
ODDS = f"""\
# How likely the given answers are, in bits a byte. What differs: `ilk evaluate` counts by tokens, and takes in the one
# that ends an answer.
output_type: loglikelihood
{COMMON}{BITS}"""
ALONE = f"""\
# How likely texts are that answer nothing, in bits a byte. What differs: `ilk evaluate` counts by tokens, and a text
# longer than the model reads at once is read there in pieces that overlap.
output_type: loglikelihood_rolling
{COMMON}{BITS}"""
# Not called .yaml, or the harness would take them for tasks.
TEMPLATES = {"text": TEXT, "choice": CHOICE, "either": EITHER, ANSWERS: ODDS, TEXTS: ALONE}


class Task(NamedTuple):
    kind: str  # of TEMPLATES
    leaf: str
    questions: tuple[Question, ...]

    @property
    def scored(self) -> bool:
        """Whether it has a score, and so a part in the means of branches."""
        return self.kind not in (ANSWERS, TEXTS)

    @property
    def named(self) -> Named:
        return (TASK if self.scored else self.kind, self.leaf)


class LmEval(Format):
    prefix: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "ilk"
    """What the names of tasks and groups begin with; the group of all leaves is called so."""

    def export(self, run: Material, folder: Path) -> Export:  # noqa: ARG002 - the same in any folder
        asked = run.asked()
        told, notes = gathered(asked.questions)
        if not told:
            fix = "write a heldout.yaml beside a leaf's qna.yaml: ilk check tells what is in it"
            raise InputError("no held-out question that the harness could ask", where="--for lm-eval", fix=fix)
        groups: dict[Named, Sequence[Named]] = {**branches([task for task in told if task.scored])}
        apart = [task.named for task in told if not task.scored]
        if apart:
            groups[APART] = apart
        wanted = [(task.named, "" if task.scored else task.kind) for task in told]
        called = names([*wanted, *((group, "") for group in groups)], prefix=self.prefix)
        files = [File("tasks.py", [Path(tasks.__file__).read_bytes()])]
        files += [File(name, [source]) for name, source in asked.scoring.items()]
        for kind in sorted({task.kind for task in told}):
            files.append(File(f"_{kind}", [TEMPLATES[kind].replace("{new_tokens}", str(asked.new_tokens)).encode()]))
        for task in told:
            files += task_files(task, called[task.named])
        files += [group_file(group, inside, called) for group, inside in groups.items()]
        return Export(tuple(files), tuple(notes))


def gathered(questions: Sequence[Question]) -> tuple[list[Task], list[str]]:
    """The tasks in the order in which their leaves come, and what is left out."""
    groups: dict[Named, list[Question]] = defaultdict(list)
    left: Counter[tuple[str, str]] = Counter()
    for question in questions:
        item = question.item
        if item.metric == "judge":
            left[item.leaf, "for a judge, which the harness does not have"] += 1
        elif item.metric == "perplexity" and question.answer.strip():
            groups[ANSWERS if question.prompt.strip() else TEXTS, item.leaf].append(question)
        elif not all(text.strip() for text in (question.prompt, question.answer, *question.options)):
            left[item.leaf, "in which something is empty"] += 1
        else:
            groups[TASK, item.leaf].append(question)
    found = [
        Task(kind_of(group) if kind == TASK else kind, leaf, tuple(group)) for (kind, leaf), group in groups.items()
    ]
    return found, [f"{leaf}: questions left out: {count}, {what}" for (leaf, what), count in left.items()]


def kind_of(group: Sequence[Question]) -> str:
    kinds = {"choice" if question.item.metric == "choice" else "text" for question in group}
    return kinds.pop() if len(kinds) == 1 else "either"


def branches(told: Sequence[Task]) -> dict[Named, list[Named]]:
    """What is in each group, from the root down. The base's own tasks are no part of the group of all leaves."""
    found: dict[Named, dict[Named, None]] = defaultdict(dict)  # in the order in which they come, each once
    for task in told:
        folders = task.leaf.split("/")
        steps = [(GROUP, "/".join(folders[:depth])) for depth in range(len(folders))] + [task.named]
        for outer, inner in pairwise(steps[1:] if folders[0] == BASE else steps):
            found[outer][inner] = None
    return {outer: list(inside) for outer, inside in found.items()}


def task_files(task: Task, name: str) -> Iterator[File]:
    rows = f"{name}.jsonl"
    alias = task.leaf if task.scored else f"{task.leaf} ({task.kind.replace('_', ' ')})"
    told = {"include": f"_{task.kind}", "task": name, "task_alias": alias, "dataset_kwargs": {"rows": rows}}
    yield File(f"{name}.yaml", [dumped(told)])
    yield File(rows, (row(question) for question in task.questions))


def row(question: Question) -> bytes:
    item = question.item
    told = {
        "id": item.id,
        "prompt": question.prompt,
        "answer": question.answer,
        "accept": item.accept,
        "metric": item.metric,
        "options": question.options,
    }
    return (json.dumps(told, ensure_ascii=False) + "\n").encode("utf-8")


def group_file(group: Named, inside: Sequence[Named], called: Mapping[Named, str]) -> File:
    """A group of the harness; each leaf counts the same in its mean. Perplexities have none."""
    told: dict[str, object] = {"group": called[group], "task": [called[one] for one in inside]}
    if group[0] == GROUP:
        told["aggregate_metric_list"] = [
            {"metric": "score", "aggregation": "mean", "weight_by_size": False, "filter_list": ["none"]}
        ]
        if group != WHOLE:
            told["group_alias"] = f"{group[1]}/"
    return File(f"{called[group]}.yaml", [dumped(told)])


def dumped(told: Mapping[str, object]) -> bytes:
    return yaml.safe_dump(dict(told), sort_keys=False, width=1000).encode("ascii")
