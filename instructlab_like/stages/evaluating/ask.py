"""`ilk ask`: the same questions to the base, to adapters on it and to an endpoint, their answers side by side."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from instructlab_like.checking.forms.plain import json_text
from instructlab_like.console import aside, say, warn, working
from instructlab_like.dataset.reading import lines
from instructlab_like.errors import IlkError, InputError, PassingError, RefusedError
from instructlab_like.evaluation import questions
from instructlab_like.evaluation.endpoint import prompt_of, served
from instructlab_like.evaluation.questions import Question
from instructlab_like.evaluation.score import score
from instructlab_like.evaluation.summary import BASE
from instructlab_like.recipe import EvaluateRecipe, TeacherRecipe
from instructlab_like.records import Prompt, plain
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating import answers
from instructlab_like.stages.evaluating.answers import Answers, Exchange, Model, Reply
from instructlab_like.stages.evaluating.evaluate import TUNED, base_model
from instructlab_like.stages.evaluating.students import folder, named
from instructlab_like.stages.exporting.export_model import base_of
from instructlab_like.stages.generating.inquiry import reworded
from instructlab_like.stages.training.train import need_stack
from instructlab_like.teachers import Teacher, open_teacher
from instructlab_like.workspace import RUNS, Run

STDIN = "-"
NEAR = 4  # questions that an endpoint is asked at once
ATTEMPTS = 3  # of a question to an endpoint that something passing stands in the way of
PAUSE = 1.0  # seconds after the first of them, doubled each time
PATIENCE = 30.0  # seconds without any answer of an endpoint
OPTIONS = {"teacher.url": "--url", "teacher.model": "--url-model", "teacher.key_env": "--key-env"}

Form = Literal["text", "markdown", "json"]


@dataclass(frozen=True)
class Wish:
    """What the user asks, and whom, beyond the run's own adapter."""

    question: str | None = None  # "-": standard input is one question
    file: str | None = None  # "-": standard input has a question a line
    context: str | None = None
    context_file: Path | None = None
    adapters: tuple[str, ...] = ()
    model: str | None = None
    max_tokens: int | None = None
    url: str | None = None
    url_model: str | None = None
    key_env: str | None = None


class Local(NamedTuple):
    """A base and its adapters, not loaded yet."""

    model: str  # empty until it is `ready`
    adapters: Sequence[tuple[str, Path]]
    recipe: EvaluateRecipe
    cache: Path | None


class Remote(NamedTuple):
    name: str
    url: str
    teacher: Teacher


def ask(run: Run, wish: Wish, *, form: Form = "text") -> None:
    """Print every model's answer to every question; an endpoint is asked first, since it may be down.

    Raises InputError for wrong input, and after the answers for questions that a model could not be asked;
    StoppedError for an endpoint that does not answer.
    """
    asked = read_questions(wish)
    limits = manifest.read(run).evaluate or EvaluateRecipe()
    model = "" if served(limits.model) else limits.model
    recipe = limits.model_copy(update={"checkpoints": wish.adapters, "model": model, **told(wish)})
    remote = remote_of(wish)
    local = local_of(run, wish, recipe)
    if remote and remote.name in {BASE, *(name for name, _ in (local.adapters if local else ()))}:
        remote = remote._replace(name=f"{remote.name} (endpoint)")
    with aside(), working("answering"):
        far = ask_remote(remote, asked, recipe.max_new_tokens) if remote else []
        local = ready(local, run) if local else None
        near = ask_local(local, asked) if local else []
    models = [Model(name=BASE, place=local.model)] if local else []
    models += [Model(name=name, place=str(path)) for name, path in local.adapters] if local else []
    models += [Model(name=remote.name, place=remote.url)] if remote else []
    columns = [*near, far] if remote else near
    exchanges = tuple(exchange(question, replies) for question, *replies in zip(asked, *columns, strict=True))
    show(Answers(models=tuple(models), max_tokens=recipe.max_new_tokens, exchanges=exchanges), form)
    raise_unanswered(exchanges)


def told(wish: Wish) -> dict[str, object]:
    """What the options say of the evaluation's recipe. Raises InputError for a served model as the base."""
    if wish.model is not None and served(wish.model) is not None:
        fix = "ask it by --url URL --url-model NAME"
        raise InputError("is a model that is served, and adapters need a base that is loaded", where="--model", fix=fix)
    given = {"model": wish.model, "max_new_tokens": wish.max_tokens}
    return {name: value for name, value in given.items() if value is not None}


# --- what is asked ----------------------------------------------------------------------------------------------


def read_questions(wish: Wish) -> list[Question]:
    if (wish.question is None) == (wish.file is None):
        what = "a question and a file of questions are given" if wish.file else "no question is given"
        fix = 'ilk ask "question", ilk ask --file FILE, or `-` in the place of either for standard input'
        raise InputError(what, where="ilk ask", fix=fix)
    if wish.file == STDIN:
        found = questions.from_text(sys.stdin.buffer.read(), "standard input")
    elif wish.file is not None:
        found = questions.from_file(Path(wish.file))
    elif wish.question == STDIN:
        whole = questions.decoded(sys.stdin.buffer.read(), "standard input", 1)
        found = [questions.single(whole.strip(), where="standard input")]
    else:
        found = [questions.single((wish.question or "").strip())]
    context = read_context(wish)
    return [questions.in_context(one, context) for one in found] if context else found


def read_context(wish: Wish) -> str | None:
    if wish.context is not None and wish.context_file is not None:
        raise InputError("both are given", where="--context, --context-file", fix="give one of them")
    if wish.context_file is None:
        return wish.context
    parts = lines.content(wish.context_file).removeprefix(lines.BOM).split(b"\n")
    named = str(wish.context_file)
    text = "\n".join(questions.decoded(part, named, number) for number, part in enumerate(parts, start=1))
    if not text.strip():
        raise InputError("holds no text", where=named, fix="leave it out, or name a file with the passage")
    return text


# --- who is asked -----------------------------------------------------------------------------------------------


def local_of(run: Run, wish: Wish, recipe: EvaluateRecipe) -> Local | None:
    """The base and its adapters; None where only an endpoint is asked. Raises InputError if there is no such thing."""
    if not run.folder.is_dir() and run.folder != RUNS / "default":
        fix = "name another with --run, or an adapter with --adapter DIR"
        raise InputError("there is no such run", where=str(run.folder), fix=fix)
    if wish.adapters:
        adapters = named([(told, folder(told)) for told in wish.adapters])
    elif run.adapter.is_dir():
        adapters = ((TUNED, run.adapter),)
    elif wish.model:
        adapters = ()
    elif wish.url:
        return None
    else:
        what = "this run has no adapter" if run.folder.is_dir() else "there is no such run"
        fix = "ilk train, name another run with --run, an adapter with --adapter DIR, or a model with --model"
        raise InputError(what, where=str(run.folder), fix=fix)
    need_stack()
    cache = run.evaluation / "answers.sqlite"
    return Local("", adapters, recipe, cache if cache.is_file() and os.access(run.evaluation, os.W_OK) else None)


def ready(local: Local, run: Run) -> Local:
    """The same with its model, once it is sure that model and adapters are there, and before any of them is loaded."""
    from instructlab_like.tuning.models import adapter_config, model_folder  # on demand: brings torch

    made = manifest.read(run)
    configs = [adapter_config(path) for _, path in local.adapters]
    if local.recipe.model or made.train:
        model = base_model(run, made, local.recipe)
    else:
        model = base_of(str(configs[0].base_model_name_or_path or ""), made)
    model_folder(model)
    return local._replace(model=model)


def remote_of(wish: Wish) -> Remote | None:
    """The endpoint that is asked, too, under the name of its model."""
    if wish.url is None:
        for value, option in ((wish.url_model, "--url-model"), (wish.key_env, "--key-env")):
            if value is not None:
                raise InputError("belongs to an endpoint", where=option, fix="name it, up to /v1, with --url URL")
        return None
    if not wish.url_model:
        fix = "add --url-model NAME, as the server lists it under /models"
        raise InputError("the endpoint's model is not named", where="--url", fix=fix)
    recipe = TeacherRecipe(
        url=wish.url, model=wish.url_model, key_env=wish.key_env, concurrency=NEAR, patience=PATIENCE
    )
    try:
        teacher = open_teacher(recipe)
    except InputError as error:
        raise in_options(error) from error
    return Remote(wish.url_model, wish.url.partition("?")[0], teacher)  # what is behind it may be a secret


def in_options(error: IlkError) -> IlkError:
    """The error with the options of this command in the place of a recipe's fields."""
    return reworded(error, OPTIONS)


# --- asking -----------------------------------------------------------------------------------------------------


def ask_local(local: Local, asked: Sequence[Question]) -> list[list[Reply]]:
    """The replies of the base and of each adapter, in the questions' order; rendered and decoded as for a score."""
    from instructlab_like.evaluation import answering  # on demand: brings torch
    from instructlab_like.evaluation.cache import Cache

    loaded = answering.load(local.model, local.adapters, local.recipe)
    prompts = answering.render(loaded.tokenizer, [question.item for question in asked], where=local.model)
    fitting = sorted({ids for ids in prompts if loaded.limits.fit(ids)}, key=lambda ids: (len(ids), ids))
    columns = []
    with Cache(local.cache) as kept:
        for number, name in enumerate((BASE, *(name for name, _ in local.adapters))):
            said = loaded.say(number, fitting, kept, batch=local.recipe.batch, on_progress=lambda _: None)
            columns.append(
                [
                    Reply(
                        model=name,
                        text=said[ids].text,
                        tokens=said[ids].tokens,
                        seconds=said[ids].share,
                        cut=said[ids].tokens >= loaded.limits.new_tokens,
                    )
                    if ids in said
                    else Reply(model=name, unanswered=loaded.limits.excess(ids))
                    for ids in prompts
                ]
            )
    return columns


def ask_remote(remote: Remote, asked: Sequence[Question], max_tokens: int) -> list[Reply]:
    try:
        replies = asyncio.run(_ask_remote(remote, asked, max_tokens))
    except IlkError as error:
        raise in_options(error) from error
    for notice in remote.teacher.notices:
        warn(f"  {notice}")
    return replies


async def _ask_remote(remote: Remote, asked: Sequence[Question], max_tokens: int) -> list[Reply]:
    from instructlab_like.teachers.http import together  # on demand: brings the client

    turns = asyncio.Semaphore(NEAR)
    try:
        prompts = [prompt_of(question.item, remote.teacher.identity, max_tokens) for question in asked]
        return await together([_reply(remote, prompt, turns) for prompt in prompts])
    finally:
        await remote.teacher.close()


async def _reply(remote: Remote, prompt: Prompt, turns: asyncio.Semaphore) -> Reply:
    """One question, asked again after what may pass. Raises what another attempt did not mend."""
    attempt = 0
    while True:
        attempt += 1
        async with turns:
            began = time.perf_counter()
            try:
                found = await remote.teacher.answer(prompt)
            except RefusedError as error:
                return Reply(model=remote.name, unanswered=error.what)
            except PassingError as error:
                if error.kind == "empty":
                    tokens, took = error.completion_tokens, round(time.perf_counter() - began, 4)
                    return Reply(model=remote.name, tokens=tokens, seconds=took)
                if attempt == ATTEMPTS:
                    error.fix = error.fix or "see to the server that --url names"
                    raise
                pause = error.wait or PAUSE * 2.0 ** (attempt - 1)
            else:
                return Reply(
                    model=remote.name,
                    text=found.text.strip(),
                    tokens=found.completion_tokens,
                    seconds=round(time.perf_counter() - began, 4),
                    cut=found.finish_reason == "length",
                )
        await asyncio.sleep(pause)


# --- what is shown ----------------------------------------------------------------------------------------------


def exchange(question: Question, replies: Sequence[Reply]) -> Exchange:
    """The question with its replies compared and scored."""
    own = question.item
    base = next((reply for reply in replies if reply.model == BASE and reply.unanswered is None), None)
    return Exchange(
        question=own.question,
        context=own.context,
        answer=own.answer if question.known else None,
        where=question.where,
        replies=tuple(judged(question, reply, base) for reply in replies),
    )


def judged(question: Question, reply: Reply, base: Reply | None) -> Reply:
    if reply.unanswered is not None:
        return reply
    same = None if base is None or reply is base else reply.text == base.text
    found = score(question.item, reply.text) if question.scored else None
    return reply.model_copy(update={"same": same, "score": found})


def show(found: Answers, form: Form) -> None:
    if form == "json":
        say(json_text(plain(found)))
    elif form == "markdown":
        say(answers.markdown(found))
    else:
        terminal = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        width = shutil.get_terminal_size().columns if terminal else None
        say(answers.text(found, width=width, colour=terminal and not os.environ.get("NO_COLOR")))


def raise_unanswered(exchanges: Sequence[Exchange]) -> None:
    """One InputError about all questions that a model could not be asked, if there are any."""
    failed = [(number, reply) for number, told in enumerate(exchanges, start=1) for reply in told.replies]
    failed = [(number, reply) for number, reply in failed if reply.unanswered is not None]
    if not failed:
        return
    number, first = failed[0]
    missed = len({number for number, _ in failed})
    what = f"{first.model} was not asked: {first.unanswered}"
    if missed > 1 or len(exchanges) > 1:
        what += f"; {missed} of {len(exchanges)} questions lack an answer, the others are answered"
    fix = "shorten the question or its context, or lower --max-tokens"
    raise InputError(what, where=exchanges[number - 1].where or f"question {number}", fix=fix)
