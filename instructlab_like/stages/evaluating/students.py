"""Who is evaluated: a base and its checkpoints, as folders or as served models; and what the served ones say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from instructlab_like.console import say
from instructlab_like.errors import IlkError, InputError
from instructlab_like.evaluation.endpoint import (
    FORM,
    Served,
    answered,
    asked,
    missed,
    prompt_of,
    served,
    shown,
    without_odds,
)
from instructlab_like.evaluation.summary import BASE
from instructlab_like.generation.ledger import Spent
from instructlab_like.recipe import EvaluateRecipe, TeacherRecipe
from instructlab_like.records import Answer, Item, Prompt, digest
from instructlab_like.stages.generating.inquiry import Inquiry, Replies, reworded
from instructlab_like.teachers import open_teacher

AT_ONCE = 16  # questions that a server is asked, unless the recipe's batch is smaller
PATIENCE = 120.0  # seconds without any answer of a server
WORDS = {  # of an error about a teacher, and what it is called here
    "teacher.url": "the URL of NAME@URL",
    "teacher.model": "NAME",
    "teacher.key_env": "--key-env",
    ", or raise teacher.patience": "",
    "of the teacher": "of the server",
}


@dataclass(frozen=True)
class Students:
    """The base and the checkpoints, these by their names in answers and tables."""

    base: str | Served
    checkpoints: tuple[tuple[str, Path | Served], ...]

    @property
    def adapters(self) -> list[tuple[str, Path]]:
        return [(name, one) for name, one in self.checkpoints if isinstance(one, Path)]

    @property
    def served(self) -> dict[str, Served]:
        """By their names in answers."""
        everybody = ((BASE, self.base), *self.checkpoints)
        return {name: one for name, one in everybody if isinstance(one, Served)}

    @property
    def local(self) -> str | None:
        """The base to be loaded."""
        return self.base if isinstance(self.base, str) else None

    @property
    def title(self) -> str:
        """The base, as tables name it."""
        return self.base if isinstance(self.base, str) else self.base.told

    @property
    def names(self) -> list[str]:
        return [BASE, *(name for name, _ in self.checkpoints)]

    def ready(self, recipe: EvaluateRecipe) -> None:
        """Raise InputError for what is known to be wrong with a server's address or key before the first question."""
        for one in self.served.values():
            try:
                open_teacher(recipe_of(one, recipe.key_env, recipe.batch))  # holds nothing until it is asked
            except IlkError as error:
                raise reworded(error, WORDS) from error

    def identities(self, trained: str) -> dict[str, object]:
        """By what a server's answers are known: all but the question that decides which are taken from the ledger."""
        told = {name: Inquiry.identity(recipe_of(one)) for name, one in self.served.items()}
        return {name: [identity, self.edition(name, trained)] for name, identity in told.items()}

    def edition(self, name: str, trained: str) -> str:
        """Tells a model from others of its name: what the user says, and for a checkpoint which training came before.

        So a checkpoint that was trained anew and is served by the same name is asked anew.
        """
        told = self.served[name].edition
        return told if name == BASE or not trained else digest([told, trained])


@dataclass
class Heard:
    """What the served students said."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)  # by student, in the items' order
    failed: Counter[str] = field(default_factory=Counter)  # calls without an answer, by kind: they are asked again
    spent: dict[str, Spent] = field(default_factory=dict)  # by all calls of the run so far, by whom they asked
    uses: list[tuple[str, str]] = field(default_factory=list)  # which leaf needed which call, as leaf and call key


def enrolled(model: str, checkpoints: Sequence[str], own: tuple[str, Path]) -> Students:
    """The students that a recipe names; `own` is the adapter that is put on a local base if no checkpoint is named.

    Raises InputError for a folder that does not exist and for what cannot stand side by side.
    """
    base = served(model) or model
    if isinstance(base, str) and not Path(base).exists():
        check_form(base)
    twice = [text for text, count in Counter(checkpoints).items() if count > 1]
    if twice:
        raise InputError("is named twice", where=shown(twice[0]), fix="name each checkpoint once")
    taken = named([(text, served(text) or folder(text)) for text in checkpoints])
    if not taken and isinstance(base, str):
        if not own[1].is_dir():
            fix = f"ilk train, or --checkpoint DIR or {FORM}"
            raise InputError("this run has no adapter", where=str(own[1]), fix=fix)
        taken = (own,)
    found = Students(base, taken)
    if len(set(found.names)) < len(found.names) or "" in found.names:
        fix = "name folders and served models so that they can be told apart"
        raise InputError("two checkpoints have one name, or one has none", where=", ".join(checkpoints), fix=fix)
    check(found)
    return found


Model = TypeVar("Model", Path, Path | Served)


def named(told: Sequence[tuple[str, Model]]) -> tuple[tuple[str, Model], ...]:
    """Each by its own name; by all that was said of it where two have one name."""
    counts = Counter(one.name for _, one in told)
    return tuple((one.name if counts[one.name] == 1 and one.name != BASE else shown(text), one) for text, one in told)


def folder(told: str) -> Path:
    """An adapter's; raises InputError where there is none."""
    path = Path(told)
    if not path.is_dir():
        if served(told) is None:
            check_form(told)
        fix = f"name a folder with an adapter; ilk evaluate also takes a model that is served, {FORM}"
        raise InputError("there is no such checkpoint folder", where=shown(told), fix=fix)
    return path


def check_form(told: str) -> None:
    """Raise InputError for what was meant for NAME@URL; a hub's name has no @ either."""
    if "@" in told:
        raise InputError("is no folder, and there is no URL behind its @", where=told, fix=f"write {FORM}")


def check(students: Students) -> None:
    """Raise InputError where two models would be taken for one, or an adapter has no base."""
    places: dict[tuple[str, str], Served] = {}
    for one in students.served.values():
        other = places.setdefault((one.name, one.edition), one)
        if other is not one:
            alike = "base and checkpoint at once" if other.url == one.url else f"also {other.told}"
            what = f"{one.name!r} is {alike}"
            fix = (
                "answers are kept by the model's name: serve one of them by another (vLLM: --served-model-name; "
                "llama.cpp takes any), or tell them apart by an edition, NAME@URL#EDITION"
            )
            raise InputError(what, where=one.told, fix=fix)
    if students.local is None and students.adapters:
        what = f"the base is served, and the checkpoint {students.adapters[0][0]!r} is an adapter's folder"
        fix = f"serve the adapter, too, and name it as {FORM}; or name the folder of its base: --model DIR"
        raise InputError(what, where="checkpoints", fix=fix)


def remarks(students: Students, items: Sequence[Item]) -> Iterator[str]:
    """What a reader of the scores must know of how served models were asked, a sentence each."""
    if not students.served:
        return
    if students.local is not None:
        yield "base loaded here, checkpoints served: besides training, precision, template and decoding may differ"
    if not students.checkpoints:
        yield "no checkpoint is named, and an adapter needs a base that is loaded here: the base is scored alone"
    count = sum(item.metric == "choice" for item in items)
    if count:
        yield f"{count} choices: asked with lettered options and read from replies, for a server tells no likelihoods"


def recipe_of(student: Served, key_env: str | None = None, batch: int = AT_ONCE) -> TeacherRecipe:
    return TeacherRecipe(
        model=student.name, url=student.url, key_env=key_env, concurrency=min(AT_ONCE, batch), patience=PATIENCE
    )


def ask(
    students: Students,
    items: Sequence[Item],
    recipe: EvaluateRecipe,
    inquiry: Inquiry,
    *,
    trained: str = "",
    heard: Heard | None = None,
) -> Heard:
    """Put every item to every served student; the inquiry takes empty answers for answers.

    What is asked for whom is in `heard` before it is asked, for the case that the asking ends early.

    Raises TeacherError for a server that is gone or answers nothing, InputError for what was told wrong: the same
    command goes on, and asks nothing again.
    """
    heard = heard or Heard()
    for name, student in students.served.items():
        told = recipe_of(student, recipe.key_env, recipe.batch)
        edition = students.edition(name, trained)
        identity = inquiry.identity(told)
        prompts = {
            item.id: prompt_of(asked(item), identity, recipe.max_new_tokens, edition)
            for item in items
            if item.metric != "perplexity"
        }
        heard.uses += [(item.leaf, prompts[item.id].key) for item in items if item.id in prompts]
        replies = put(inquiry, prompts, told)
        heard.answers[name] = [answer_of(item, name, prompts, replies) for item in items]
        heard.failed.update(failure.kind for failure in replies.failures.values() if failure.kind != "refused")
    heard.spent = inquiry.ledger.spent_by()
    return heard


def put(inquiry: Inquiry, prompts: Mapping[str, Prompt], told: TeacherRecipe) -> Replies:
    before = inquiry.tally.reused
    try:
        replies = inquiry.put(prompts.values(), told, whom=told.model)
    except IlkError as error:
        raise reworded(error, WORDS) from error
    if reused := inquiry.tally.reused - before:
        anew = "to ask a changed model anew, name it NAME@URL#EDITION"
        say(f"  {told.model}: {reused} of {len(prompts)} answers were in the ledger; {anew}")
    return replies


def answer_of(item: Item, name: str, prompts: Mapping[str, Prompt], replies: Replies) -> Answer:
    if item.id not in prompts:
        return without_odds(item, name)
    key = prompts[item.id].key
    if key in replies.completions:
        reply = replies.completions[key]
        return answered(item, name, reply.text, cut=reply.finish_reason == "length")
    return missed(item, name, replies.failures[key])


def read_choices(items: Sequence[Item], answers: Sequence[Answer]) -> list[Answer]:
    """Answers that a local model gave to `asked(item)`: what was to be chosen is read as from a served one."""
    choices = {item.id: item for item in items if item.metric == "choice"}
    return [
        answered(choices[one.item], one.model, one.text) if one.item in choices and one.unanswered is None else one
        for one in answers
    ]
