"""A teacher behind one or more OpenAI-compatible /chat/completions endpoints: one attempt an answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from typing import TypeVar

import aiohttp
import orjson
from yarl import URL

from instructlab_like.errors import IlkError, InputError, PassingError, RefusedError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt, digest
from instructlab_like.teachers.addresses import addresses
from instructlab_like.teachers.chat import (
    Complaint,
    MalformedError,
    Reply,
    body,
    read_complaint,
    read_reply,
    retry_after,
)
from instructlab_like.teachers.context import UNKNOWN, Context, Model, Ratio, read_count, read_models, read_props
from instructlab_like.teachers.endpoints import LONGEST_WAIT, Endpoints, Slot
from instructlab_like.teachers.keys import read_key
from instructlab_like.teachers.lines import HeldError, Line, read
from instructlab_like.teachers.probe import (
    Capabilities,
    Outcome,
    ProbeCall,
    Question,
    Recorder,
    judged,
    merged,
    questions,
    recall,
    remember,
)

LONGEST_FETCH = 10.0  # seconds for what an endpoint says of itself
PROBE_ATTEMPTS = 3  # of a question that something passing stands in the way of
PROBE_PAUSE = 0.5  # seconds after the first of them, doubled each time
READ_WORDS = 2**16  # characters of a server's own words that are looked at
SHOWN = 200  # characters of a server's own words in an error
OVERLOADED = (429, 503, 529)
PASSING = (408, 425, 429)  # besides 5xx
PROXY_SHUT = "the proxy in between wants a name and a password"
PROXY_FIX = "give them in HTTP_PROXY or HTTPS_PROXY: http://user:password@host:port"
FINISHED = ("stop", "length", "content_filter", "tool_calls")

Found = TypeVar("Found")
Ended = TypeVar("Ended", bound=IlkError)


class HttpTeacher:
    """Makes one attempt an answer; which endpoint is asked, how many at once and when, is decided here.

    The identity is the model's name without the URL: the same model behind another port or host is the same
    teacher, so moving a server asks nothing again. Two servers that mean different models by one name need two names.
    `notices` grows by a line for whatever a user should know and nothing stops at.
    """

    def __init__(self, recipe: TeacherRecipe) -> None:
        self.identity = f"http:{recipe.model}"
        self.recipe = recipe
        self.addresses = addresses(recipe)
        self.capacity = recipe.concurrency * len(self.addresses)
        self.key = read_key(recipe.key_env)
        self.notices: list[str] = []
        self.context = Context(recipe.context, True, "teacher.context") if recipe.context else None
        self.ratio = Ratio()
        self.endpoints: Endpoints[Line] | None = None

    async def answer(self, prompt: Prompt) -> Completion:
        """One attempt; waits for a free slot, and for as long as no endpoint can be reached.

        Raises PassingError for what another attempt may mend, RefusedError for a prompt that is not taken, InputError
        for what was told wrong, TeacherError when the teacher is gone.
        """
        data = orjson.dumps(body(prompt, self.recipe.model))
        if self.context is not None:
            await self.refuse_too_long(prompt, data, self.context)
        endpoints = self.endpoints or self.opened()
        key = prompt.key
        reply: Reply | None = None
        while reply is None:
            slot = endpoints.free() or await endpoints.take()
            reply = await self.attempt(endpoints, slot, data, key)
        text, finish, asked, made, *_ = reply
        if asked:
            self.ratio.learn(len(data), asked)
        if finish != "length" and not text.strip():
            raise PassingError(
                "its answer is empty",
                kind="empty",
                where=slot.endpoint.where,
                prompt_tokens=asked or 0,
                completion_tokens=made or 0,
            )
        if slot.endpoint.model is None and slot.endpoint.asking is None:
            self.begin_asking(slot.endpoint)
        return self.completion(key, reply)

    async def close(self) -> None:
        endpoints, self.endpoints = self.endpoints, None
        for line in endpoints.members if endpoints else ():
            if line.asking is not None:
                line.asking.cancel()
                await asyncio.wait([line.asking])
            await line.session.close()

    def opened(self) -> Endpoints[Line]:
        """The endpoints with their sessions; made on first use because they belong to the running event loop."""
        if self.endpoints is None:
            lines = [Line(address, self.recipe, self.key) for address in self.addresses]
            clock = asyncio.get_running_loop()
            self.endpoints = Endpoints(lines, patience=self.recipe.patience, clock=clock, notices=self.notices)
        return self.endpoints

    # --- one request ------------------------------------------------------------------------------------------------

    async def attempt(self, endpoints: Endpoints[Line], slot: Slot[Line], data: bytes, prompt: str) -> Reply | None:
        """Send once and give the slot back; None: nothing was sent, which costs no attempt."""
        line = slot.endpoint
        try:
            async with asyncio.timeout(self.recipe.timeout):
                got = await line.send("POST", line.url, data)
                status = got.status
                wait = None if status == 200 else self.told_to_wait(endpoints, line, got)
                content = await read(got)
        except HeldError:
            endpoints.unused(slot)
            return None
        except TimeoutError as error:
            if (unreached := self.unreached(error)) is not None:
                endpoints.unreachable(slot, unreached)
                return None
            raise self.broken(
                endpoints, slot, prompt, "timeout", f"no answer within {self.recipe.timeout:g} s"
            ) from error
        except (aiohttp.ClientError, ConnectionError, MalformedError) as error:
            if (unreached := self.unreached(error)) is not None:
                endpoints.unreachable(slot, unreached)
                return None
            if (wrong := self.told_wrong(line, error)) is not None:
                endpoints.unused(slot)
                raise wrong from error
            kind, what = self.breakage(error)
            raise self.broken(endpoints, slot, prompt, kind, what) from error
        except BaseException:
            endpoints.unused(slot)
            raise
        if status != 200:
            raise self.refused(endpoints, slot, prompt, status, wait, read_complaint(content))
        endpoints.answered(slot)
        return self.understood(line, content)

    def told_to_wait(self, endpoints: Endpoints[Line], line: Line, got: aiohttp.ClientResponse) -> float | None:
        """Keep Retry-After from the moment in which it is known, before the rest of the reply is read."""
        wait = retry_after(got.headers) if got.status in PASSING or got.status >= 500 else None
        if wait is not None:
            endpoints.pause(line, wait)
        return wait

    def broken(self, endpoints: Endpoints[Line], slot: Slot[Line], prompt: str, kind: str, what: str) -> PassingError:
        endpoints.failed(slot, prompt, what)
        return PassingError(what, kind=kind, where=slot.endpoint.where)

    def unreached(self, error: Exception) -> str | None:
        """Why nothing reached the server, when that is so."""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return "cannot be reached: no connection in time"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return None
        if isinstance(error, aiohttp.ClientHttpProxyError) and error.status != 407:
            return f"cannot be reached: the proxy says HTTP {error.status}: {self.shown(error.message)}"
        if not isinstance(error, aiohttp.ClientConnectorError):
            return None
        number, told = error.os_error.errno, error.os_error.strerror
        said = os.strerror(number) if number and number > 0 else told or str(error.os_error)
        proxy = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        return f"{proxy}cannot be reached: {self.shown(said)}"

    def told_wrong(self, line: Line, error: Exception) -> InputError | None:
        """What no later attempt mends."""
        if isinstance(error, aiohttp.InvalidURL):
            return InputError("is not a usable URL", where=line.where, fix="correct teacher.url")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            said = self.shown(str(getattr(error.certificate_error, "verify_message", "") or error.certificate_error))
            fix = "name the file of the authority that signed it in the environment variable SSL_CERT_FILE"
            return InputError(f"shows a certificate that cannot be trusted: {said}", where=line.where, fix=fix)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return InputError(PROXY_SHUT, where=line.where, fix=PROXY_FIX)
        return None

    def breakage(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, MalformedError):
            return "malformed", str(error)
        if isinstance(error, aiohttp.ClientResponseError):
            return "malformed", f"what it sent is no HTTP: {self.shown(error.message)}"
        return "reset", f"the connection broke: {self.shown(str(error) or type(error).__name__)}"

    def understood(self, line: Line, data: bytes) -> Reply:
        try:
            return read_reply(data)
        except MalformedError as error:
            said = self.shown(read_complaint(data).words)
            raise PassingError(
                f"{error}: {said}",
                kind="malformed",
                where=line.where,
                prompt_tokens=error.prompt_tokens,
                completion_tokens=error.completion_tokens,
            ) from error

    def completion(self, key: str, reply: Reply) -> Completion:
        text, finish = reply.text, reply.finish_reason
        if self.key is not None and self.key.is_secret:
            text = self.key.hide(text)
        if finish not in FINISHED:
            finish = self.shown(finish)
        return Completion(
            key=key,
            text=text,
            finish_reason=finish,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )

    def refused(
        self,
        endpoints: Endpoints[Line],
        slot: Slot[Line],
        prompt: str,
        status: int,
        wait: float | None,
        complaint: Complaint,
    ) -> IlkError:
        """What an HTTP status means for the prompt, the endpoint and the run; gives the slot back."""
        where = slot.endpoint.where
        said = f"HTTP {status}: {self.shown(complaint.words)}"
        if status >= 500:
            endpoints.failed(slot, prompt, said, overloaded=status in OVERLOADED)
        else:
            endpoints.answered(slot, overloaded=said if status in OVERLOADED else "")
        if status == 402 or complaint.code == "insufficient_quota":
            return sent(TeacherError(f"wants to be paid ({said})", where=where, fix="see to the account there"))
        if status in PASSING or status >= 500:
            if endpoints.over is not None and wait is not None and wait > LONGEST_WAIT:
                gone = endpoints.gone()
                return sent(TeacherError(f"{gone.what} ({said})", where=gone.where, fix=gone.fix))
            kind = "rate_limit" if status in (429, 529) else "server_error"
            return PassingError(said, kind=kind, wait=endpoints.opens_in() if wait else None, where=where)
        if status in (401, 403):
            told = f"${self.recipe.key_env}" if self.recipe.key_env else "a key (teacher.key_env names its variable)"
            return sent(InputError(f"does not let us in ({said})", where=where, fix=f"put a valid key into {told}"))
        if status in (404, 405):
            fix = "teacher.url ends in /v1 as a rule, and teacher.model is a name that the server lists under /models"
            return sent(InputError(f"knows no model {self.recipe.model!r} at this URL ({said})", where=where, fix=fix))
        if status == 407:
            return sent(InputError(PROXY_SHUT, where=where, fix=PROXY_FIX))
        if status < 300:
            return PassingError(f"what it sent is no chat completion ({said})", kind="malformed", where=where)
        if status < 400:
            return sent(InputError(f"sends us elsewhere ({said})", where=where, fix="give the final URL"))
        return RefusedError(f"refuses the request ({said})", where=where, fix="correct what the server names")

    def shown(self, words: str) -> str:
        """A server's words on one line, short, printable, and without the key should it be echoed."""
        start = words[:READ_WORDS]
        if self.key is not None:
            start = self.key.hide(start)
            if len(words) > READ_WORDS:
                start = start[: -self.key.reach]  # where it might stand in part
        line = "".join(c if c.isprintable() else "?" for c in " ".join(start.split()))
        return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"

    # --- what an endpoint says of itself ----------------------------------------------------------------------------

    def begin_asking(self, line: Line) -> asyncio.Task[Model]:
        """Ask what it says of its model, once, beside the answers."""
        if line.asking is None:
            line.asking = asyncio.create_task(self.ask_model(line))
        return line.asking

    async def ask_model(self, line: Line) -> Model:
        data = await self.fetch(line, line.beside("/models"))
        model = read_models(data, self.recipe.model) if data is not None else UNKNOWN
        if line.trials:  # not a word of it was heard
            line.asking = None
            return model
        if model.props:
            props = await self.fetch(line, line.beside("/props", root=True))
            context = read_props(props) if props is not None else None
            model = model._replace(context=context or model.context)
        line.model = model
        if self.recipe.context is None and model.context is not None:
            self.context = min(self.context or model.context, model.context, key=lambda known: known.tokens)
        return model

    async def fetch(self, line: Line, url: URL, data: bytes | None = None) -> bytes | None:
        """What it answers elsewhere than in chat; None: nothing that could be used."""
        endpoints = self.opened()
        try:
            slot = await endpoints.take(line)
        except TeacherError:
            return None
        try:
            async with asyncio.timeout(min(LONGEST_FETCH, self.recipe.timeout)):
                got = await line.send("GET" if data is None else "POST", url, data)
                self.told_to_wait(endpoints, line, got)
                content = await read(got)
        except (TimeoutError, aiohttp.ClientError, ConnectionError, MalformedError) as error:
            if (unreached := self.unreached(error)) is not None:
                endpoints.unreachable(slot, unreached)
            else:
                endpoints.unused(slot)
            return None
        except HeldError:
            endpoints.unused(slot)
            return None
        except BaseException:
            endpoints.unused(slot)
            raise
        endpoints.unused(slot)
        return content if got.status == 200 else None

    async def refuse_too_long(self, prompt: Prompt, data: bytes, context: Context) -> None:
        """Raise RefusedError for a prompt that cannot fit; one that may is left to the server."""
        most = prompt.sampling.max_tokens
        room = context.left(most)
        fits = self.ratio.fits(len(data), len(prompt.messages), room)
        if fits:
            return
        counted = await self.counted(prompt)
        if fits is None if counted is None else counted <= room:
            return
        told = f"{counted} tokens" if counted is not None else f"about {round(len(data) * self.ratio.low)} tokens"
        answer = f", its answer may have {most}" if context.whole else ""
        raise RefusedError(
            f"a prompt has {told}{answer}, and the context holds {context.tokens} ({context.source})",
            sent=False,
            where=", ".join(address.where for address in self.addresses),
            fix="lower chunk_words or max_tokens, serve the model with a longer context, or correct teacher.context",
        )

    async def counted(self, prompt: Prompt) -> int | None:
        """The prompt's tokens by an endpoint's own tokenizer; llama.cpp's leaves out the chat format, so it is a
        lower bound there."""
        for line in self.opened().members:
            kind = line.model.tokenizer if line.model is not None else None
            if kind is None or line.trials:
                continue
            request = body(prompt, self.recipe.model)
            text = "".join(message.content for message in prompt.messages)
            asked: dict[str, object] = {"content": text}
            if kind == "chat":
                asked = {"model": request["model"], "messages": request["messages"], "add_generation_prompt": True}
            told = await self.fetch(line, line.beside("/tokenize", root=True), orjson.dumps(asked))
            if told is not None:
                return read_count(told)
        return None

    # --- the probe --------------------------------------------------------------------------------------------------

    async def probe(self, record: Recorder, /) -> Capabilities:
        """What all endpoints can do; asked once of an endpoint and model, and remembered in the cache folder.

        `record` is awaited before each request is sent, and again when its end is known.
        """
        lines = self.opened().members
        return merged(await together([self.probe_line(line, record) for line in lines]))

    async def probe_line(self, line: Line, record: Recorder) -> Capabilities:
        model = line.model or await self.begin_asking(line)
        known = recall(str(line.url), self.recipe.model, model.said)
        if known is not None:
            return known
        asked = questions(self.recipe.model, model.context)
        outcomes = await together([self.ask_question(line, question, record) for question in asked])
        found = judged(
            {question.name: outcome for question, outcome in zip(asked, outcomes, strict=True)}, model.context
        )
        remember(str(line.url), self.recipe.model, model.said, found)
        return found

    async def ask_question(self, line: Line, question: Question, record: Recorder) -> Outcome:
        """Ask until there is an answer or a refusal; what only something passing stands in the way of stays open."""
        endpoints = self.opened()
        data = orjson.dumps(question.body)
        said = ""
        for attempt in range(PROBE_ATTEMPTS):
            if endpoints.over is not None:
                raise endpoints.gone()
            if line.trials:
                return Outcome(None, line.trouble, lasting=False)
            call = ProbeCall(
                key=digest(["probe", line.where, question.name, attempt, data.decode()]),
                endpoint=line.where,
                question=question.name,
                attempt=attempt,
                request=data.decode(),
            )
            await record(call)
            try:
                reply = await self.attempt(endpoints, await endpoints.take(line), data, call.key)
            except PassingError as error:
                await record(call.failed(error.kind, error.what, error.prompt_tokens, error.completion_tokens))
                said = error.what
                if attempt + 1 < PROBE_ATTEMPTS:
                    await asyncio.sleep(error.wait or PROBE_PAUSE * 2.0**attempt)
            except RefusedError as error:
                await record(call.failed("refused", error.what))
                return Outcome(None, error.what)
            except IlkError as error:
                await record(call.failed("refused" if error.sent else "unsent", error.what))
                raise
            else:
                if reply is not None:
                    await record(call.answered(self.completion(call.key, reply)))
                    return Outcome(reply)
                await record(call.failed("unsent", "nothing was sent"))
        return Outcome(None, said, lasting=False)


def sent(error: Ended) -> Ended:
    """The error of a request that stands in the server's log."""
    error.sent = True
    return error


async def together(askings: Sequence[Coroutine[object, object, Found]]) -> list[Found]:
    """All of them at once; the first error ends the others."""
    tasks = [asyncio.ensure_future(asking) for asking in askings]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
