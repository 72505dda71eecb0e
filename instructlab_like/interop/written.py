"""A branch of an imported pipeline as a flow and its templates, in texts that are ready to be written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from instructlab_like.flows import ABOUT
from instructlab_like.interop.blocks import WHOLE, Import
from instructlab_like.interop.branch import Bounds, Branch, Keep, Step, Words
from instructlab_like.interop.columns import Column, equal, named
from instructlab_like.interop.conditions import shown
from instructlab_like.interop.told import LeftError
from instructlab_like.prompts import END
from instructlab_like.records import normalise

QUESTION, ANSWER, CONTEXT = "question", "answer", "context"
THEIR_ANSWER, THEIR_PAIR = "response", "output"  # its columns for an answer, and for question and answer in one text
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LONGEST = 60  # characters of a name
FORM = """

Use this form and write nothing else:

[QUESTION 1]
the question or instruction
[ANSWER 1]
the answer
[END 1]"""


@dataclass(frozen=True)
class Written:
    """A flow under its name, with the texts of its templates by their names."""

    name: str
    text: str
    templates: Mapping[str, str]
    prompts: Mapping[str, Step]  # by the template's name
    several: int  # groups that its prompts ask for, at most; 0 where they say no number


@dataclass(frozen=True)
class Ends:
    """The fields that make a sample."""

    question: int
    answer: int
    context: int | None
    pair: int | None  # the field that is a question and its answer in one text


def written(branch: Branch, name: str, importing: Import, asked: set[str]) -> Written:
    """The branch's flow; raises LeftError where it makes no samples. `asked` is told which blocks it asks."""
    ends = ending(branch, importing)
    branch = replace(branch, keeps=(*branch.keeps, *choosing(branch)))
    alive = living(branch, ends, importing)
    asked.update(branch.steps[number].block.name for number in alive)
    names = field_names(branch, ends, alive)
    keeps = judged(branch, alive, names, importing)
    writer = Writer(branch, name, ends, alive, names, keeps)
    return writer.flow(importing)


def ending(branch: Branch, importing: Import) -> Ends:
    entry = importing.pipeline.version
    columns = {name: branch.columns.get(name) for name in (QUESTION, THEIR_ANSWER, THEIR_PAIR)}
    for name, column in columns.items():
        if column and column.missing:
            raise LeftError(
                entry, f"no flow: the column {name} is not there: {column.missing}", "see what became of it"
            )
    context = branch.columns.get(CONTEXT)
    of_text = context.field if context and branch.kind == "grounded" else None
    question, answer, pair = columns[QUESTION], columns[THEIR_ANSWER], columns[THEIR_PAIR]
    if not question and not answer and pair and pair.field is not None:
        return split(branch, pair.field, importing, of_text)
    if not question or not answer:
        left = ", ".join(sorted(name for name, one in branch.columns.items() if one.field is not None)) or "none"
        what = f"no flow: at its end there is no column {QUESTION if not question else THEIR_ANSWER}; made are: {left}"
        fix = "add a RenameColumnsBlock that names what is asked `question` and what is answered `response`"
        raise LeftError(entry, what, fix)
    return Ends(
        one_field(question, QUESTION, of_text, importing),
        one_field(answer, THEIR_ANSWER, None, importing),
        of_text,
        None,
    )


def one_field(column: Column, name: str, text: int | None, importing: Import) -> int:
    """The field that a column is; of a question behind its text, the question, for samples have their text apart."""
    if column.field is not None:
        return column.field
    if name == QUESTION and text is not None and len(column.parts) == 2 and column.parts[0] == text:
        importing.block = next(
            (one for one in reversed(importing.pipeline.blocks) if one.type == "CombineColumnsBlock"), None
        )
        importing.say("carried", "a grounded sample's question stands behind its context in every dataset")
        importing.block = None
        return column.parts[1]
    what = f"no flow: the column {name} is put together, and no model's answer"
    fix = f"let a prompt write all of it, in a column {name}; of two answers, a step of kind prefer takes the better"
    raise LeftError(importing.pipeline.version, what, fix)


def split(branch: Branch, pair: int, importing: Import, context: int | None) -> Ends:
    """A question and its answer, which there are cut out of one text when the dataset is made."""
    step = next((step for step in branch.steps if pair in dict(step.made).values()), None)
    if step is None or step.tags != WHOLE:
        what = f"no flow: {THEIR_PAIR} is one text for question and answer, and is not an answer as a whole"
        raise LeftError(importing.pipeline.version, what, "let the prompt ask for question and response")
    what = f"{THEIR_PAIR} is cut at its first question mark there; here the prompt asks for two texts in its last lines"
    importing.block = step.block
    importing.say("differs", what)
    importing.block = None
    return Ends(branch.count, branch.count + 1, context, pair)


def choosing(branch: Branch) -> Iterator[Keep]:
    """What the field that chooses a prompt must be, where a model says it."""
    for number, step in enumerate(branch.steps):
        by = step.prompt.by
        if by and by.field is not None:
            values = tuple(value for value, _ in step.prompt.sources)
            yield Keep(by.field, Words(values), number - 1, step.block.at("selector_column_name"))


def living(branch: Branch, ends: Ends, importing: Import) -> list[int]:
    """The numbers of the steps that samples need, in their order."""
    needed = {ends.question, ends.answer, *(keep.field for keep in branch.keeps)}
    needed |= {field for field in (ends.context, ends.pair) if field is not None}
    alive = []
    for number, step in reversed(list(enumerate(branch.steps))):
        if needed & set(dict(step.made).values()):
            alive.append(number)
            needed |= step.prompt.fields
    made = {field for number in alive for field in dict(branch.steps[number].made).values()}
    wanted = {ends.question, ends.answer} if ends.pair is None else {ends.pair}
    if not wanted <= made:
        raise LeftError(importing.pipeline.version, "no flow: no model writes both question and answer", "ask for both")
    return sorted(alive)


def field_names(branch: Branch, ends: Ends, alive: Sequence[int]) -> dict[int, str]:
    """A name for each field, as its column is called; two have one name where the later takes the earlier's place."""
    fixed = {ends.question: QUESTION, ends.answer: ANSWER}
    if ends.context is not None:
        fixed[ends.context] = CONTEXT
    names: dict[int, str] = dict(fixed)
    until = last_uses(branch, alive)
    free_from: dict[str, int] = {}  # the step from which a name may be taken again
    taken = {QUESTION, ANSWER, *fixed.values(), *ABOUT[branch.kind], END}
    for number in alive:
        for column, field in branch.steps[number].made:
            if field == ends.pair:
                names[field] = f'({QUESTION} ~ "\\n" ~ {ANSWER})'
            elif field not in fixed:
                wanted = spelled(column)
                while wanted in taken and free_from.get(wanted, len(branch.steps)) > number:
                    wanted = f"other_{wanted}"[:LONGEST]
                taken.add(wanted)
                free_from[wanted] = until.get(field, number) + 1
                names[field] = wanted
    return names


def last_uses(branch: Branch, alive: Sequence[int]) -> dict[int, int]:
    """For each field the last step that it must not have changed by."""
    found: dict[int, int] = {}
    for number in alive:
        for field in branch.steps[number].prompt.fields:
            found[field] = max(found.get(field, 0), number - 1)  # it is shown before the step's answer is there
    for keep in branch.keeps:
        found[keep.field] = max(found.get(keep.field, 0), place_of(keep, alive))
    return found


def place_of(keep: Keep, alive: Sequence[int]) -> int:
    """The last step that is asked before something is judged."""
    return max((number for number in alive if number <= keep.after), default=alive[0])


def spelled(column: str) -> str:
    """A column's name in the letters that a field may have."""
    letters = re.sub(r"\d", lambda digit: f"_{DIGITS[int(digit[0])]}_", column.lower())
    return re.sub(r"_+", "_", re.sub(r"[^a-z_]", "_", letters)).strip("_")[:LONGEST].strip("_") or "field"


def judged(
    branch: Branch, alive: Sequence[int], names: Mapping[int, str], importing: Import
) -> dict[int, dict[str, Words | Bounds]]:
    """What each step keeps, by its number."""
    found: dict[int, dict[str, Words | Bounds]] = {}
    for keep in branch.keeps:
        number = place_of(keep, alive)
        wanted = found.setdefault(number, {})
        name = names[keep.field]
        both = narrowed(wanted[name], keep.wanted) if name in wanted else keep.wanted
        if not name.isidentifier() or both is None:
            what = f"keeps {shown(keep.wanted)} of a field that another condition of the step keeps otherwise"
            importing.say("left", what, "let one block say it", keep.entry)
            continue
        wanted[name] = both
    return found


def narrowed(one: Words | Bounds, other: Words | Bounds) -> Words | Bounds | None:
    """Both conditions in one, if that can be said."""
    if isinstance(one, Words) and isinstance(other, Words):
        same = {normalise(word) for word in other.words}
        words = tuple(word for word in one.words if normalise(word) in same)
        return Words(words) if words else None
    if not isinstance(one, Bounds) or not isinstance(other, Bounds):
        return None
    least = max((bound for bound in (one.least, other.least) if bound is not None), default=None)
    most = min((bound for bound in (one.most, other.most) if bound is not None), default=None)
    return Bounds(least, most) if least is None or most is None or least <= most else None


class Writer:
    """The texts of one flow."""

    def __init__(
        self,
        branch: Branch,
        name: str,
        ends: Ends,
        alive: Sequence[int],
        names: Mapping[int, str],
        keeps: Mapping[int, Mapping[str, Words | Bounds]],
    ) -> None:
        self.branch, self.name, self.ends, self.names, self.keeps = branch, name, ends, names, keeps
        self.steps = {number: branch.steps[number] for number in alive}
        self.called = step_names([step.block.name for step in self.steps.values()])
        self.templates: dict[str, str] = {}

    def flow(self, importing: Import) -> Written:
        pipeline = importing.pipeline.path.name
        steps = [self.step(place, number, step) for place, (number, step) in enumerate(self.steps.items())]
        prompts = f"{len(steps)} prompt{'s' if len(steps) > 1 else ''}"
        lines = [
            f"purpose: {text(f'{pipeline} of instructlab-sdg, imported: {prompts}')}",
            f"leaves: [{self.branch.kind}]",
            "steps:",
            *(line for step in steps for line in step),
        ]
        several = max((step.several for step in self.steps.values()), default=0)
        by_template = dict(zip(self.templates, self.steps.values(), strict=True))
        self.seeds(importing)
        return Written(self.name, "\n".join(lines) + "\n", self.templates, by_template, several)

    def step(self, place: int, number: int, step: Step) -> Iterator[str]:
        """The lines of a step; its template is put beside them."""
        fields = [self.ends.question, self.ends.answer] if self.is_pair(step) else [field for _, field in step.made]
        tags = letters([self.names[field] for field in fields])
        template = f"{self.name}/{self.called[place]}.j2"
        self.templates[template] = self.template(step, list(tags), self.called[place])
        keep = self.keeps.get(number, {})
        role = self.role(number, fields, keep)
        lines = [f"  - name: {self.called[place]}", f"    template: {text(template)}", f"    role: {role}"]
        if not place:
            lines.append(f"    each: [{self.each()}]")
        if step.fan_out and role == "asker" and not self.is_pair(step):
            lines.append("    fan_out: true")
        if step.draws > 1 and (place or self.branch.kind == "knowledge"):
            lines.append(f"    draws: {step.draws}")
        if other := {tag: name for tag, name in tags.items() if tag != name}:
            lines.append(f"    as: {{{', '.join(f'{tag}: {name}' for tag, name in other.items())}}}")
        if keep:
            lines += ["    keep:", *(f"      {name}: {condition(wanted)}" for name, wanted in keep.items())]
        yield from lines

    def seeds(self, importing: Import) -> None:
        """What is told where the first prompt shows no seed example, and a later one does."""
        shows = [self.shows_seeds(step) for step in self.steps.values()]
        if not shows[0] and any(shows):
            what = "the first prompt shows no seed example: each of its answers goes on with one of them, not with each"
            importing.block = next(iter(self.steps.values())).block
            importing.say("differs", what, "show one in this prompt to have it asked with each")
            importing.block = None

    def shows_seeds(self, step: Step) -> bool:
        return any("example" in step.prompt.columns[name].expression for name in shown_in(step))

    def is_pair(self, step: Step) -> bool:
        return self.ends.pair is not None and self.ends.pair in dict(step.made).values()

    def role(self, number: int, fields: Sequence[int], keep: Mapping[str, Words | Bounds]) -> str:
        """Who judges, who answers a question that is there, and who makes all else."""
        mine = {self.names[field] for field in fields}
        before = {field for other, one in self.steps.items() if other < number for _, field in one.made}
        if mine & keep.keys() and not {self.ends.question, self.ends.answer} & set(fields):
            return "critic"
        return "answerer" if self.ends.answer in fields and self.ends.question in before else "asker"

    def each(self) -> str:
        if self.branch.kind != "knowledge":
            return "seed"
        return "chunk, seed" if any(map(self.shows_seeds, self.steps.values())) else "chunk"

    def template(self, step: Step, tags: Sequence[str], name: str) -> str:
        lines = ["---", f"purpose: {text(f'{name}, as instructlab-sdg asks it')}", f"yields: [{', '.join(tags)}]"]
        if not self.is_pair(step):
            lines += ["tags:", *(f"  {tag}: {json.dumps(list(own))}" for tag, own in zip(tags, step.tags, strict=True))]
        sampling = ", ".join(f"{key}: {json.dumps(value)}" for key, value in step.sampling.items())
        lines += [f"sampling: {{{sampling}}}", "---", "=== user"]
        return "\n".join(lines) + "\n" + self.prompt(step) + (FORM if self.is_pair(step) else "") + "\n"

    def prompt(self, step: Step) -> str:
        """The text of the prompt, over what a record has here."""
        asked = step.prompt
        expressions = {name: named(asked.columns[name].expression, self.names) for name in shown_in(step)}
        texts = {value: source.put(expressions) for value, source in asked.sources}
        if asked.by is None:
            return next(iter(texts.values())).strip("\n")
        *others, last = texts.items()
        pieces = []
        for place, (value, shown_text) in enumerate(others):
            test = named(equal(asked.by, value), self.names)
            pieces.append(f"{{% {'elif' if place else 'if'} {test} %}}\n{shown_text}\n")
        return "".join(pieces) + f"{{% else %}}\n{last[1]}\n{{% endif %}}" if others else last[1].strip("\n")


def shown_in(step: Step) -> list[str]:
    """The columns that a step's prompt shows."""
    names = {name for _, source in step.prompt.sources for _, name in source.names()}
    return sorted(names & step.prompt.columns.keys())


def step_names(blocks: Sequence[str]) -> list[str]:
    """A name for each step, as its block is called."""
    found: list[str] = []
    for block in blocks:
        plain = re.sub(r"[^a-z0-9_-]+", "-", block.lower()).strip("-_")[: LONGEST - 4]
        name = wanted = plain if re.match(r"[a-z]", plain) else f"step-{plain}".rstrip("-")
        number = 2
        while name in found:
            name, number = f"{wanted}-{number}", number + 1
        found.append(name)
    return found


def letters(names: Sequence[str]) -> dict[str, str]:
    """A tag for each field, which has letters alone."""
    found: dict[str, str] = {}
    for name in names:
        tag = name.replace("_", "")
        while tag in found:
            tag += "x"
        found[tag] = name
    return found


def condition(wanted: Words | Bounds) -> str:
    if isinstance(wanted, Words):
        return json.dumps(list(wanted.words))
    limits = {"at_least": wanted.least, "at_most": wanted.most}
    return f"{{{', '.join(f'{name}: {number(limit)}' for name, limit in limits.items() if limit is not None)}}}"


def number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else f"{limit:.6f}"


def text(value: str) -> str:
    """A text in YAML."""
    return json.dumps(value)
