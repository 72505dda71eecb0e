"""Questions that a person asks, out of a text, JSON lines, or a leaf's qna.yaml or heldout.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_uppercase

from pydantic import ValidationError

from instructlab_like.dataset.reading import lines
from instructlab_like.errors import InputError, LeafError, explain, position
from instructlab_like.evaluation.items import item_id
from instructlab_like.records import HeldOut, Item, Record, normalise
from instructlab_like.taxonomy import siblings
from instructlab_like.taxonomy.findings import Findings
from instructlab_like.taxonomy.read import examine_qna
from instructlab_like.taxonomy.siblings import LEAST_OPTIONS, MOST_OPTIONS
from instructlab_like.taxonomy.tree import QNA, located, read_files
from instructlab_like.taxonomy.yaml_lines import load

OTHERWISE = ("choice", "judged", "text")  # kinds of items that are not scored by their words
UNSCORED = ("judge", "perplexity")  # metrics that no text tells by itself
ASKED = "ask"  # the leaf of questions that belong to none
SURROGATE = re.compile("[\ud800-\udfff]")
FORMS = "a question a line (.txt), JSON lines (.jsonl), or a leaf's qna.yaml or heldout.yaml"


class Question(Record):
    """One question; `known`: its right answer is, `scored`: by its item's metric."""

    item: Item
    known: bool = False
    scored: bool = False
    where: str = ""  # it stands: file and line


class Line(Record):
    """A line of JSON; what else an item of an evaluation or a base's own task has is passed over."""

    question: str
    context: str | None = None
    answer: str | None = None
    accept: tuple[str, ...] = ()
    metric: str | None = None
    options: tuple[str, ...] = ()
    rubric: str | None = None


def single(text: str, *, where: str = "") -> Question:
    """A question with nothing beside it. Raises InputError for one that is empty or no text."""
    return Question(item=item(text, where=where), where=where)


def from_text(data: bytes, name: str) -> list[Question]:
    """A question on each line that is not blank. Raises InputError with the line that is not UTF-8, or without any."""
    found = []
    for number, line in enumerate(data.removeprefix(lines.BOM).split(b"\n"), start=1):
        if line.strip():
            found.append(single(decoded(line, name, number).strip(), where=position(name, number)))
    return some(found, name)


def from_file(path: Path) -> list[Question]:
    """The questions of a file, by the end of its name. Raises InputError with the file and the line."""
    kind = path.suffix.lower()
    if kind == ".txt":
        return from_text(lines.content(path), str(path))
    if kind == ".jsonl":
        return some([read_line(told, where) for where, told in lines.objects(path)], str(path))
    if path.name == QNA:
        return some(list(seeds(path)), str(path))
    if kind in (".yaml", ".yml"):
        return some(list(held_out(path)), str(path))
    lines.content(path)
    raise InputError("is no file of questions", where=str(path), fix=f"name {FORMS}")


def in_context(question: Question, context: str) -> Question:
    """The question with a passage, unless it has one of its own."""
    if question.item.context:
        return question
    own = question.item
    fresh = item(own.question, where=question.where, answer=own.answer, context=context, leaf=own.leaf)
    kept = {"accept": own.accept, "metric": own.metric, "options": own.options, "rubric": own.rubric}
    return question.model_copy(update={"item": fresh.model_copy(update=kept)})


def item(question: str, *, where: str, answer: str = "", context: str | None = None, leaf: str = ASKED) -> Item:
    """The question as an item, once it is sure that there is something to ask."""
    if not question.strip():
        raise InputError("the question is empty", where=where, fix="write what is to be asked")
    if SURROGATE.search(f"{question}{answer}{context or ''}"):
        raise InputError("holds what is no UTF-8", where=where, fix="write it in the encoding UTF-8")
    told = item_id(leaf, question, context)
    return Item(id=told, leaf=leaf, source="heldout", question=question, answer=answer, context=context)


def read_line(told: object, where: str) -> Question:
    fix = 'a line is {"question": …}, with "context", "answer", "accept", "metric" and "options" where they are known'
    if not isinstance(told, dict):
        raise InputError("is no JSON object", where=where, fix=fix)
    passed = {"kind", *Item.model_fields} - Line.model_fields.keys()
    try:
        line = Line.model_validate({name: value for name, value in told.items() if name not in passed})
        if line.answer is None:
            if line.metric or line.accept:
                raise InputError("has a metric but no answer to score by", where=where, fix="add its answer")
            shown = with_options(line.question, line.options, where=where) if line.options else line.question
            return Question(item=item(shown, where=where, context=line.context or None), where=where)
        asked = item(line.question, where=where, answer=line.answer, context=line.context or None)
        metric = line.metric or ("choice" if line.options else "exact")
        rest = {"accept": line.accept, "options": line.options, "rubric": line.rubric, "metric": metric}
        whole = Item.model_validate(asked.model_dump() | rest)
    except ValidationError as error:
        raise InputError("; ".join(explain(error)), where=where, fix=fix) from error
    if whole.metric == "choice":
        return Question(item=lettered(whole, where=where), known=True, scored=True, where=where)
    by_metric = line.metric is not None and told.get("kind") not in OTHERWISE and whole.metric not in UNSCORED
    return Question(item=whole, known=True, scored=by_metric, where=where)


def lettered(choice: Item, *, where: str) -> Item:
    """The choice as a question that shows its options; right is what names the option, or its letter, and no more.

    Raises InputError for options among which there is nothing to choose.
    """
    shown = with_options(choice.question, choice.options, where=where)
    if choice.answer not in choice.options:
        what = f"the answer {choice.answer!r} is none of the options"
        raise InputError(what, where=where, fix="put it among them, in the same words")
    letter = ascii_uppercase[choice.options.index(choice.answer)]
    named = [f"{letter}. {choice.answer}", f"option {letter}. {choice.answer}", f"option {letter}"]
    if normalise(letter) not in map(normalise, choice.options):  # it would be another option's text
        named.append(letter)
    return choice.model_copy(update={"question": shown, "metric": "exact", "accept": tuple(named)})


def with_options(question: str, options: Sequence[str], *, where: str) -> str:
    """The question and below it the options, a letter before each."""
    if not LEAST_OPTIONS <= len(options) <= MOST_OPTIONS or len(set(options)) < len(options):
        fix = f"list {LEAST_OPTIONS} to {MOST_OPTIONS} different options"
        raise InputError("a choice needs something to choose from", where=where, fix=fix)
    return "\n".join((question, *(f"{mark}. {option}" for mark, option in zip(ascii_uppercase, options, strict=False))))


def seeds(path: Path) -> Iterator[Question]:
    """The seed examples of a leaf, as they are trained: a skill's with their context, knowledge without its passage."""
    places, strays = located([path])
    if strays or not places:
        told = strays[0].message if strays else "is no leaf's file"
        raise InputError(told, where=str(path), fix=strays[0].fix if strays else f"name {FORMS}")
    place = places[0]
    folders = (place.root.resolve().name, *place.path.split("/"))
    reading = examine_qna(place, read_files(place), folders=folders)
    if reading.leaf is None:
        raise LeafError(place.shown, [str(finding) for finding in reading.findings])
    leaf = reading.leaf
    for seed in leaf.seeds:
        context = seed.context if leaf.kind == "skill" else None
        for pair in seed.pairs:
            where = position(path, seed.line)
            asked = item(pair.question, where=where, answer=pair.answer, context=context, leaf=leaf.path)
            yield Question(item=asked, known=True, where=where)


def held_out(path: Path) -> Iterator[Question]:
    """The questions of a heldout.yaml, wherever it lies, each with its metric."""
    findings = Findings(str(path))
    sheet = load(lines.content(path))
    for problem in (*sheet.problems, *sheet.duplicates):
        findings.error(problem, problem.code, problem.message, fix=problem.fix)
    told: Sequence[HeldOut] = () if sheet.problems else siblings.held_out(sheet.root, findings)
    if findings.broken:
        first = next(one for one in findings.ordered if one.severity == "error")
        what = f"{first.field}: {first.message}" if first.field else first.message
        raise InputError(what, where=position(first.path, first.line, first.column), fix=first.fix)
    for held in told:
        where = position(path, held.line)
        asked = item(held.question, where=where, answer=held.answer, context=held.context)
        kept = {"accept": held.accept, "metric": held.metric, "options": held.options, "rubric": held.rubric}
        whole = asked.model_copy(update=kept)
        whole = lettered(whole, where=where) if held.metric == "choice" else whole
        yield Question(item=whole, known=True, scored=held.metric not in UNSCORED, where=where)


def decoded(line: bytes, name: str, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 (byte 0x{line[error.start]:02x})"
        column = len(line[: error.start].decode("utf-8")) + 1
        fix = "save the file in the encoding UTF-8"
        raise InputError(what, where=position(name, number, column), fix=fix) from error


def some(questions: list[Question], name: str) -> list[Question]:
    if not questions:
        raise InputError("holds no question", where=name, fix=f"write {FORMS}")
    return questions
