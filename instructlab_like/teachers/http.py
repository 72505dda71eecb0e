"""A teacher behind any OpenAI-compatible /chat/completions endpoint; all dealings with the wire are in this file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from instructlab_like.errors import IlkError, InputError, RecipeError, RefusedError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts, doubled each time
LONGEST_WAIT = 300.0  # a server that wants us away for longer is worth a stop and a later run
LARGEST_ANSWER = 16 * 2**20  # bytes
SHOWN = 200  # characters of a server's own words in an error

Pause = Callable[[float], Awaitable[object]]


class Wire(BaseModel):
    """The parts of a server's reply that are used; servers add fields of their own."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Spoken(Wire):
    content: str | None = None


class Choice(Wire):
    message: Spoken
    finish_reason: str | None = None


class Usage(Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Reply(Wire):
    choices: tuple[Choice, ...]
    usage: Usage | None = None


class Complaint(Wire):
    message: str


class Refusal(Wire):
    error: Complaint | str


class PassingError(Exception):
    """One attempt failed in a way that another may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class HttpTeacher:
    """Asks over one session. Trouble that may pass is retried; anything else stops at once and says what to change.

    The identity is the model's name without the URL: the same model behind another port or host is the same
    teacher, so moving a server asks nothing again. Two servers that mean different models by one name need two names.
    """

    def __init__(self, recipe: TeacherRecipe, *, pause: Pause = asyncio.sleep) -> None:
        self.identity = f"http:{recipe.model}"
        self.recipe = recipe
        self.url, self.where = endpoint(recipe)
        self.key = secret(recipe)
        self.pause = pause
        self.session: aiohttp.ClientSession | None = None
        self.not_before = 0.0  # event-loop time until which the server asked everybody to stay away
        self.heard = False  # whether this server ever answered

    async def answer(self, prompt: Prompt) -> Completion:
        """Ask until there is a usable answer or the attempts are used up; an answer that stays empty is returned."""
        empty: Completion | None = None
        trouble = PassingError("was not asked")
        for attempt in range(self.recipe.retries + 1):
            if attempt:
                await self.pause(trouble.wait or pause_before(attempt))
            await self.keep_away()
            try:
                completion = await self.ask_once(prompt)
            except PassingError as passing:
                trouble = passing
                continue
            if completion.text.strip() or completion.finish_reason == "length" or not prompt.sampling.temperature:
                return completion  # what is empty at temperature 0 stays empty
            empty, trouble = completion, PassingError("its answer is empty")
        if empty is not None:
            return empty
        raise self.gone(f"no usable answer in {self.recipe.retries + 1} attempts; the last one: {trouble}")

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def keep_away(self) -> None:
        left = self.not_before - asyncio.get_running_loop().time()
        if left > 0:
            await self.pause(left)

    async def ask_once(self, prompt: Prompt) -> Completion:
        try:
            async with self.opened().post(self.url, json=body(prompt, self.recipe.model), allow_redirects=False) as got:
                data = await read(got)
        except aiohttp.InvalidURL as error:
            raise InputError("is not a usable URL", where=self.where, fix="correct teacher.url") from error
        except aiohttp.ClientConnectorError as error:
            if self.heard:
                raise PassingError(f"cannot be reached any more: {error.strerror or error}") from error
            raise self.gone(f"cannot be reached: {self.shown(str(error))}") from error
        except TimeoutError as error:
            raise PassingError(f"no answer within {self.recipe.timeout:g} s") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise PassingError(f"the connection broke: {self.shown(str(error) or type(error).__name__)}") from error
        self.heard = True
        if got.status != 200:
            raise self.refused(got, data)
        return self.understood(prompt, data)

    def opened(self) -> aiohttp.ClientSession:
        """The one session; made on first use because it belongs to the running event loop."""
        if self.session is None:
            self.session = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {self.key}"} if self.key else None,
                connector=aiohttp.TCPConnector(limit=self.recipe.concurrency),
                timeout=aiohttp.ClientTimeout(total=self.recipe.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,  # HTTP_PROXY, HTTPS_PROXY, NO_PROXY
            )
        return self.session

    def understood(self, prompt: Prompt, data: bytes) -> Completion:
        try:
            reply = Reply.model_validate_json(data)
        except ValidationError as error:
            raise PassingError(f"what it sent is no chat completion: {self.shown(complaint(data))}") from error
        if not reply.choices:
            raise PassingError("it sent no choice")
        usage = reply.usage or Usage()
        return Completion(
            key=prompt.key,
            text=reply.choices[0].message.content or "",
            finish_reason=reply.choices[0].finish_reason or "stop",
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )

    def refused(self, got: aiohttp.ClientResponse, data: bytes) -> IlkError | PassingError:
        """What an HTTP status means for the run."""
        said = f"HTTP {got.status}: {self.shown(complaint(data))}"
        if got.status in (408, 425, 429) or got.status >= 500:
            wait = retry_after(got)
            if wait is not None and wait > LONGEST_WAIT:
                return self.gone(f"wants no request for {wait:.0f} s ({said})")
            if wait is not None:
                self.not_before = max(self.not_before, asyncio.get_running_loop().time() + wait)
            return PassingError(said, wait)
        if got.status in (401, 403):
            told = f"${self.recipe.key_env}" if self.recipe.key_env else "a key (teacher.key_env names its variable)"
            return InputError(f"does not let us in ({said})", where=self.where, fix=f"put a valid key into {told}")
        if got.status == 404:
            fix = "teacher.url ends in /v1 as a rule, and teacher.model is a name that the server lists under /models"
            return InputError(f"knows no model {self.recipe.model!r} at this URL ({said})", where=self.where, fix=fix)
        if got.status < 400:
            return InputError(f"sends us elsewhere ({said})", where=self.where, fix="give the final URL")
        return RefusedError(f"refuses the request ({said})", where=self.where, fix="correct what the server names")

    def gone(self, what: str) -> TeacherError:
        return TeacherError(what, where=self.where, fix="start the server, or correct teacher.url")

    def shown(self, words: str) -> str:
        """A server's words on one line, short, printable, and without the key should it be echoed."""
        if self.key:
            words = words.replace(self.key, "…")
        line = "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))
        return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def endpoint(recipe: TeacherRecipe) -> tuple[str, str]:
    """The URL that is posted to, and how it is shown; raises RecipeError for one that cannot be right."""
    fix = "teacher.url is the endpoint up to and including /v1, such as http://localhost:8000/v1"
    if not recipe.url:
        raise RecipeError("an http teacher needs a URL", where="teacher.url", fix=fix)
    if "@" in recipe.url.partition("://")[2].partition("/")[0]:
        raise RecipeError("holds a user name or password", where="teacher.url", fix="use teacher.key_env for secrets")
    try:
        parts = urlsplit(recipe.url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise RecipeError(f"{recipe.url!r} is no URL: {error}", where="teacher.url", fix=fix) from error
    if not usable:
        raise RecipeError(f"{recipe.url!r} is no http or https URL", where="teacher.url", fix=fix)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    posted = parts._replace(path=f"{path}/chat/completions", fragment="")
    return posted.geturl(), posted._replace(query="").geturl()


def secret(recipe: TeacherRecipe) -> str | None:
    """The API key, from the environment variable that the recipe names; it is never written or shown."""
    if recipe.key_env is None:
        return None
    key = os.environ.get(recipe.key_env, "").strip()
    if not key or not key.isprintable():
        what = "holds characters that no key has" if key else "is not set"
        raise InputError(
            f"the environment variable {recipe.key_env} {what}",
            where="teacher.key_env",
            fix=f"export {recipe.key_env}=… with the API key of the teacher",
        )
    return key


def body(prompt: Prompt, model: str) -> dict[str, object]:
    """The request; what has its default meaning is left out, since some servers refuse fields they do not know."""
    sampling = prompt.sampling
    request: dict[str, object] = {
        "model": model,
        "messages": [message.model_dump() for message in prompt.messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p != 1.0:
        request["top_p"] = sampling.top_p
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    return request


async def read(got: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for part in got.content.iter_chunked(2**16):
        data += part
        if len(data) > LARGEST_ANSWER:
            raise PassingError(f"its answer is larger than {LARGEST_ANSWER >> 20} MiB")
    return bytes(data)


def complaint(data: bytes) -> str:
    """A server's own words about what went wrong: OpenAI's error object, else the body as text."""
    try:
        error = Refusal.model_validate_json(data).error
    except ValidationError:
        return data[: 4 * SHOWN].decode("utf-8", errors="replace") or "(empty)"
    return error if isinstance(error, str) else error.message


def pause_before(attempt: int) -> float:
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))


def retry_after(got: aiohttp.ClientResponse) -> float | None:
    """Seconds to wait by the Retry-After header: a number, or a date read against the server's own clock."""
    told = got.headers.get("Retry-After", "").strip()
    if not told:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        until = dated(told)
        now = dated(got.headers["Date"]) if "Date" in got.headers else datetime.now(UTC)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds())


def dated(header: str) -> datetime:
    moment = parsedate_to_datetime(header)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
