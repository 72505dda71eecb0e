"""A sample's or a call's whole story, from the files of its run: where it is from, what was asked, what was decided.

It is told from the rows as they were written, found by index, in less time than pydantic takes to be imported (for
which its records have no slots, either: they would cost more than the search).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import orjson
import yaml

from instructlab_like.console import say, working
from instructlab_like.errors import InputError, position
from instructlab_like.generation.books import Books, Call, InUseError
from instructlab_like.index import cut
from instructlab_like.printable import escaped
from instructlab_like.stages.generating.ancestry import Ancestor, ancestors, elsewhere, section
from instructlab_like.stages.lookup import (
    CALL_KEY,
    Lookup,
    PreferenceRow,
    RouteRow,
    SampleRow,
    TurnRow,
    VerdictRow,
    leaf_of,
    routes_of,
)
from instructlab_like.workspace import Run, find

FORMAT = 2  # of the JSON form; rises when a field changes its meaning or goes
SHOWN = 20  # ids named when a beginning fits several, and samples that came of one call
QNA = "qna.yaml"


@dataclass(frozen=True)
class LeafPlace:
    """Where a leaf comes from, as run.yaml has it; of a leaf that it does not name, only path and blob are known."""

    path: str
    blob: str | None
    commit: str | None = None
    author: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class SeedPlace:
    """The seed example that a prompt showed, the first of them where it showed several."""

    number: int
    file: str
    line: int | None  # None if the file is not what it was


@dataclass(frozen=True)
class ChunkPlace:
    id: str
    repo: str
    commit: str
    document: str
    blob: str
    start: int  # byte offset
    end: int
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """A turn on the way to a sample, with what the ledger holds of its call; None while a run is using it."""

    turn: TurnRow
    call: Call | None


@dataclass(frozen=True)
class Side:
    """On which side of the dataset a sample is, or why on none."""

    split: Literal["train", "test"] | None
    reason: str


@dataclass(frozen=True)
class Removed:
    """What else the rule removed that rejected a sample."""

    filter: str
    rule: str
    others: int
    of_leaf: int  # of them, those of the sample's own leaf


@dataclass(frozen=True)
class Asked:
    """For what a call was made."""

    leaf: str
    flow: str | None
    step: str | None
    role: str | None
    template: str | None


@dataclass(frozen=True)
class SampleStory:
    sample: SampleRow
    leaf: LeafPlace
    seed: SeedPlace | None
    chunk: ChunkPlace | None
    turns: tuple[Told, ...]
    verdicts: tuple[VerdictRow, ...]
    dataset: Side
    parents: tuple[Ancestor, ...]
    preference: PreferenceRow | None
    removed: Removed | None  # None for a sample that was kept
    routes: tuple[RouteRow, ...] = ()  # of the roles that had a turn, where one of several teachers was chosen
    ancestors: tuple[Ancestor, ...] = ()  # that the parents descend from, back to those made of human text alone
    notes: tuple[str, ...] = ()
    format: int = FORMAT


@dataclass(frozen=True)
class CallStory:
    id: str
    call: Call | None  # None if it was planned and has not been made, or while a run is using the ledger
    asked: tuple[Asked, ...]
    verdicts: tuple[VerdictRow, ...]  # on the call, and on samples for which it was the reason
    samples: tuple[str, ...]  # at most `SHOWN` of those to which its answer led
    notes: tuple[str, ...] = ()
    format: int = FORMAT


def why(run: Run, subject: str, *, form: Literal["text", "json"] = "text") -> None:
    """Print the story of the sample or the call whose id begins with `subject`.

    Raises InputError when the run has none, or more than one, or was written by another version.
    """
    run.need_format()
    if not run.manifest.is_file() and not run.samples.is_file():
        raise InputError("there is no such run", where=str(run.folder), fix="make it first: ilk generate")
    with ExitStack() as stack:
        stack.enter_context(working("looking through the run"))
        lookup = stack.enter_context(Lookup(run))
        notes: list[str] = []
        books = opened(run, stack, notes)
        id = one(lookup, books, subject, run)
        sample = lookup.sample(id)
        story = sample_story(run, lookup, books, sample) if sample else call_story(lookup, books, id)
    story = replace(story, notes=tuple(notes))
    if form == "json":
        say(orjson.dumps(story, option=orjson.OPT_INDENT_2).decode())
        return
    for line in told_sample(story) if isinstance(story, SampleStory) else told_call(story):
        say(line)


def opened(run: Run, stack: ExitStack, notes: list[str]) -> Books | None:
    if not run.ledger.is_file():
        return None
    try:
        return stack.enter_context(Books(run.ledger))
    except InUseError:
        notes.append("a run is using the ledger: prompts and answers are left out, and samples may be missing")
        return None


def one(lookup: Lookup, books: Books | None, subject: str, run: Run) -> str:
    """The one id that begins with `subject`."""
    where, subject = str(run.folder), subject.strip()
    calls = books.keys(subject) if books and subject.isascii() else []
    cuts = sorted({cut(key) for key in calls} | (lookup.cuts(subject) if subject.isascii() else set()))
    found = {id for beginning in cuts[:SHOWN] for id in lookup.ids(max(beginning, subject, key=len))}
    ids = sorted(found | {key for key in calls if cut(key) in cuts[:SHOWN]})
    if len(ids) == 1:
        return ids[0]
    if not subject or not ids:
        what = f"nothing in this run has an id that begins with {subject!r}" if subject else "no id was given"
        other = elsewhere(run, subject)
        fix = "ids stand in 2-samples.jsonl, 3-verdicts.jsonl and the report"
        fix = f"it is of an earlier run: ilk why {subject} --run {other}" if other else fix
        raise InputError(what, where=where, fix=fix)
    many = len(cuts) > SHOWN
    listed = ", ".join(ids[:SHOWN]) + (" …" if many else "")
    what = f"{len(cuts) if many else len(ids)} ids begin with {subject!r}: {listed}"
    raise InputError(what, where=where, fix="give more of it")


# --- a sample ---------------------------------------------------------------------------------------------------


def sample_story(run: Run, lookup: Lookup, books: Books | None, sample: SampleRow) -> SampleStory:
    lineage = sample["lineage"]
    turns = lineage["turns"]
    told = run.manifest.read_text(encoding="utf-8", errors="replace") if run.manifest.is_file() else ""
    verdicts = tuple(lookup.verdicts(sample["id"]))
    first = turns[0]["call"] if turns else None
    descended = ancestors(run, lookup, sample)
    chunk = lookup.chunk(lineage["leaf"], lineage["chunk"], first) if lineage["chunk"] else None
    return SampleStory(
        sample=sample,
        leaf=leaf_place(told, lineage["leaf"], lineage["leaf_blob"]),
        seed=seed_place(told, lineage["leaf"], lineage["leaf_blob"], lineage["seed"]) if lineage["seed"] else None,
        chunk=ChunkPlace(
            id=lineage["chunk"],
            repo=chunk["repo"],
            commit=chunk["commit"],
            document=chunk["document"],
            blob=chunk["blob"],
            start=chunk["start"],
            end=chunk["end"],
            headings=tuple(chunk["headings"]),
        )
        if chunk and lineage["chunk"]
        else None,
        turns=tuple(Told(turn, books.call(turn["call"]) if books else None) for turn in turns),
        verdicts=verdicts,
        dataset=side(told, lookup, sample["id"], verdicts),
        parents=tuple(one for one in descended if one.id in lineage["parents"]),
        ancestors=tuple(one for one in descended if one.id not in lineage["parents"]),
        preference=lookup.preference(sample["id"]),
        removed=removed(run, verdicts),
        routes=tuple(one for one in routes_of(run, lineage["leaf"]) if one["role"] in {turn["role"] for turn in turns}),
    )


def removed(run: Run, verdicts: Sequence[VerdictRow]) -> Removed | None:
    """How many others the rule removed that rejected the sample, by the run's waterfall."""
    rejection = next((verdict for verdict in verdicts if not verdict["keep"]), None)
    if rejection is None or not run.waterfall.is_file():
        return None
    named = rejection["filter"], rejection["rule"]
    try:
        found = [
            (one["leaf"] == rejection["leaf"], int(one["rejected"]))
            for one in orjson.loads(run.waterfall.read_bytes())["rules"]
            if (one["filter"], one["rule"]) == named
        ]
    except (ValueError, KeyError, TypeError) as error:
        fix = "ilk sift writes it anew"
        raise InputError("is damaged", where=str(run.waterfall), fix=fix) from error
    every, mine = sum(count for _, count in found), sum(count for own, count in found if own)
    return Removed(*named, others=max(0, every - 1), of_leaf=max(0, mine - 1))


def side(told: str, lookup: Lookup, sample: str, verdicts: Sequence[VerdictRow]) -> Side:
    rejection = next((verdict for verdict in verdicts if not verdict["keep"]), None)
    if rejection:
        return Side(None, f"{rejection['filter']} rejected it")
    if not re.search(r"^  generate: ", section(told, "inputs"), re.MULTILINE):
        return Side(None, "the dataset is not finished: ilk generate goes on with it")
    if lookup.tested(sample):
        return Side("test", "set aside, with all that shares its question or its passage")
    return Side("train", "every filter kept it, and it was not set aside for test")


def leaf_place(told: str, path: str, blob: str) -> LeafPlace:
    for entry in re.split(r"^- ", section(told, "leaves"), flags=re.MULTILINE)[1:]:
        if path not in entry:
            continue
        try:
            (origin,) = yaml.load(f"- {entry}", Loader=yaml.CSafeLoader)
            if origin["path"] == path and origin["blob"] == blob:
                return LeafPlace(path, blob, origin["commit"], origin["author"], origin["dirty"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            continue
    return LeafPlace(path, blob)


def seed_place(told: str, leaf: str, blob: str, number: int) -> SeedPlace:
    taxonomy = "taxonomy"
    try:
        recipe = yaml.load(section(told, "generate"), Loader=yaml.CSafeLoader)
        taxonomy = str(recipe["generate"]["taxonomy"])
    except (yaml.YAMLError, KeyError, TypeError):
        pass
    file = find(taxonomy) / leaf / QNA
    return SeedPlace(number, str(file), seed_line(file, blob, number))


def seed_line(file: Path, blob: str, number: int) -> int | None:
    """The line of a seed example in a file that is still the one with this Git blob id."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != blob:
        return None
    try:
        root = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return None
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "seed_examples" and isinstance(value, yaml.SequenceNode) and number <= len(value.value):
            return int(value.value[number - 1].start_mark.line) + 1
    return None


# --- a call -----------------------------------------------------------------------------------------------------


def call_story(lookup: Lookup, books: Books | None, key: str) -> CallStory:
    made = lookup.made_of(key, most=SHOWN)
    return CallStory(
        id=key,
        call=books.call(key) if books else None,
        asked=tuple(dict.fromkeys(askers(lookup, made, key))),
        verdicts=(*lookup.verdicts(key), *lookup.verdicts_for(key, most=SHOWN)),
        samples=tuple(sample["id"] for sample in made),
    )


def askers(lookup: Lookup, made: Sequence[SampleRow], key: str) -> Iterator[Asked]:
    """Who asked: tasks that begin with the call, samples that it led to; else only leaves are known, by verdicts."""
    known = False
    for task in lookup.tasks(key):
        known = True
        template = task["prompt"]["lineage"]["template"]
        yield Asked(leaf_of(task), task["flow"], task["step"], task["role"], template)
    for sample in made:
        lineage = sample["lineage"]
        for turn in lineage["turns"]:
            if turn["call"] == key:
                known = True
                yield Asked(lineage["leaf"], lineage["flow"], turn["step"], turn["role"], turn["template"])
    if not known:
        for verdict in (*lookup.verdicts(key), *lookup.verdicts_for(key, most=SHOWN)):
            flow, _, step = verdict["filter"].partition("/")
            yield Asked(verdict["leaf"], flow if step else None, step or None, None, None)


# --- as text ----------------------------------------------------------------------------------------------------


def told_sample(story: SampleStory) -> Iterator[str]:
    sample, lineage = story.sample, story.sample["lineage"]
    yield line("sample", f"{sample['id']} ({sample['kind']})")
    yield line("question", sample["question"])
    yield line("answer", sample["answer"])
    if sample["evidence"] and sample["context"]:
        start, end = sample["evidence"]
        text = sample["context"][start:end]
        yield line("evidence", f"{text!r} (characters {start} to {end} of the chunk)")
    elif sample["context"] and sample["kind"] == "grounded":
        yield line("context", sample["context"])
    yield line("leaf", f"{lineage['leaf']} (blob {lineage['leaf_blob'][:12]})")
    if story.leaf.dirty is not None:
        state = ", changed since" if story.leaf.dirty else ""
        yield line("", f"commit {(story.leaf.commit or 'none')[:12]} by {story.leaf.author or 'nobody'}{state}")
    if story.seed:
        changed = "" if story.seed.line else ", which has changed since"
        yield line("seed", f"{position(story.seed.file, story.seed.line)} (example {story.seed.number}{changed})")
    yield from told_chunk(story)
    for name, value in facts(story):
        yield line(name, value)
    for route in story.routes:
        yield from told_route(route)
    for number, told in enumerate(story.turns, start=1):
        yield from told_turn(number, told)
    yield from told_verdicts(story.verdicts)
    if story.removed:
        rule = f"{story.removed.filter}/{story.removed.rule}" if story.removed.rule else story.removed.filter
        yield line("", f"{rule} removed {story.removed.others} others, {story.removed.of_leaf} of them of this leaf")
    yield line("dataset", f"{story.dataset.split or 'not in it'}: {story.dataset.reason}")
    for note in story.notes:
        yield line("note", note)


def told_chunk(story: SampleStory) -> Iterator[str]:
    chunk = story.chunk
    if chunk is None:
        if story.sample["lineage"]["chunk"]:
            yield line("chunk", story.sample["lineage"]["chunk"])
        return
    yield line("chunk", f"{chunk.id}: {chunk.document}, bytes {chunk.start} to {chunk.end} of blob {chunk.blob[:12]}")
    yield line("", f"in {chunk.repo} at {chunk.commit}")
    if chunk.headings:
        yield line("", f"under {' › '.join(chunk.headings)}")


def facts(story: SampleStory) -> Iterator[tuple[str, str]]:
    lineage = story.sample["lineage"]
    if lineage["flow"]:
        yield "flow", lineage["flow"] + (f" (blob {lineage['flow_blob'][:12]})" if lineage["flow_blob"] else "")
    if lineage["params"]:
        yield "params", orjson.dumps(lineage["params"]).decode()
    yield "made by", f"{lineage['method']}: {lineage['model']}, draw {lineage['draw']}"
    for parent in story.parents:
        yield "parent", descent(parent)
    for one in story.ancestors:
        yield "ancestor", descent(one)
    for one in (*story.parents, *story.ancestors):
        if one.run and not one.parents:
            yield "origin", origin(one)
    if story.preference:
        mine = story.preference["chosen"] == story.sample["id"]
        other = story.preference["rejected" if mine else "chosen"]
        high, low = story.preference["chosen_score"], story.preference["rejected_score"]
        yield "pair", f"{'preferred to' if mine else 'less than'} {other}: {high:g} against {low:g}"


def told_route(route: RouteRow) -> Iterator[str]:
    """Who was chosen, and of each that might have been what spoke for it and against it."""
    chosen = f"{route['teacher']} ({route['model']})" if route["teacher"] else route["model"]
    yield line("route", f"{route['role']}: {chosen}: {route['why']}")
    for one in route["candidates"]:
        known = one["price_in"] is not None and one["price_out"] is not None
        price = f"{one['price_in']:g} in and {one['price_out']:g} out" if known else "no price"
        fit = "chosen" if one["chosen"] else "qualifies" if one["qualifies"] else "does not qualify"
        yield line("", f"rule {one['rule']}, {one['teacher']}: {price}; {fit}: {one['why']}")


def descent(one: Ancestor) -> str:
    """An ancestor in a line, with where it is and how deep."""
    if one.question is None:
        return f"{one.id}: {one.note}"
    place = f" in {one.run}" if one.run else ""
    depth = f", {one.depth} deep, {one.flow} of {one.model}" if one.run else ""
    return f"{one.id}{place}{depth}: {one.question!r} → {one.answer!r}"


def origin(one: Ancestor) -> str:
    """What of people's text the first of a line was made of."""
    told = f"of it, {one.id[:12]} was made of {one.leaf} (blob {(one.leaf_blob or '')[:12]})"
    told += f", seed example {one.seed}" if one.seed else ""
    return told + (f", passage {one.chunk}" if one.chunk else "")


def told_turn(number: int, told: Told) -> Iterator[str]:
    turn = told.turn
    yield line(f"turn {number}", f"{turn['step']}: {turn['role']} {turn['model']}, draw {turn['draw']}")
    yield line("template", f"{turn['template']} (blob {turn['template_blob'][:12]})")
    yield line("call", f"{turn['call']}, group {turn['position'] + 1} of its answer")
    if told.call:
        yield from told_exchange(told.call)


def told_call(story: CallStory) -> Iterator[str]:
    call = story.call
    yield line("call", story.id)
    for asked in story.asked:
        yield line("leaf", asked.leaf)
        if asked.flow:
            role = f" ({asked.role}, template {asked.template})" if asked.role else ""
            yield line("", f"{asked.flow}/{asked.step}{role}" if asked.step else asked.flow)
    if call is None:
        yield line("state", "not in the ledger: it has not been made")
    else:
        yield line("state", f"{call.state}, {call.model}")
        if call.purpose != "flow":
            yield line("purpose", call.purpose)
        lost = f", {call.lost} of them under way when a run was stopped" if call.lost else ""
        yield line("attempts", f"{call.attempts}{lost}")
        yield line("tokens", f"{call.tokens_in} in, {call.tokens_out} out")
        if call.error:
            yield line("failed", f"{call.kind or 'refused'}: {call.error}")
        yield from told_exchange(call)
    yield from told_verdicts(story.verdicts, on=story.id)
    for sample in story.samples:
        yield line("gave", f"sample {sample}")
    for note in story.notes:
        yield line("note", note)


def told_exchange(call: Call) -> Iterator[str]:
    for message in call.messages:
        yield f"--- {message['role']}"
        yield text(message["content"])
    if call.text is not None:
        yield f"--- answer ({call.finish_reason})"
        yield text(call.text)
    yield "---"


def told_verdicts(verdicts: Sequence[VerdictRow], *, on: str | None = None) -> Iterator[str]:
    for verdict in verdicts:
        score = "" if verdict["score"] is None else f" score {verdict['score']:.3f}"
        limit = "" if verdict["threshold"] is None else f" threshold {verdict['threshold']:g}"
        partner = f" by {verdict['partner']}" if verdict["partner"] else ""
        other = f" sample {verdict['subject']}:" if on and len(verdict["subject"]) < CALL_KEY else ""
        rule = f" {verdict['rule']}:" if verdict["rule"] else ""
        told = f"{verdict['filter']}/{verdict['version']}:{rule}{other} {verdict['reason']}{score}{limit}{partner}"
        passing = "decided" if verdict["filter"].endswith("/when") else "kept"
        yield line(passing if verdict["keep"] else "REJECTED", told)
        if verdict["scores"]:
            yield line("", "scores " + ", ".join(f"{name} {value:g}" for name, value in verdict["scores"].items()))


def line(name: str, told: str) -> str:
    return f"{name:<9} {text(told)}"


def text(told: str) -> str:
    """Lines that cannot act on a terminal."""
    return "\n".join(map(escaped, told.split("\n")))
