"""The connections of one endpoint, and what is read from them."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from aiohttp.tracing import Trace
from yarl import URL

from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.addresses import Address, headers, proxy_of
from instructlab_like.teachers.chat import MalformedError
from instructlab_like.teachers.context import Model
from instructlab_like.teachers.endpoints import Endpoint
from instructlab_like.teachers.keys import Key

LARGEST_ANSWER = 16 * 2**20  # bytes
LONGEST_CONNECT = 20.0  # seconds to a connection; beyond it an endpoint cannot be reached
IDLE = 4.0  # seconds that a connection is kept; uvicorn closes at 5, and a request sent just then would be lost


class HeldError(Exception):
    """A connection was made, and meanwhile the endpoint asked for no request: nothing was sent."""


class Line(Endpoint):
    """One endpoint with its session: connections, proxy and certificates are of one endpoint only."""

    def __init__(self, address: Address, recipe: TeacherRecipe, key: Key | None) -> None:
        super().__init__(address.where, recipe.concurrency)
        self.url = URL(address.posted)
        self.proxy, self.proxy_header = proxy_of(self.url)
        self.headers = headers(key)
        self.proxy_headers = {"Proxy-Authorization": self.proxy_header} if self.proxy_header else None
        if self.proxy_header and self.url.scheme == "http":
            self.headers |= {"Proxy-Authorization": self.proxy_header}
        self.session = aiohttp.ClientSession(
            connector=Connector(self),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(LONGEST_CONNECT, 0.8 * recipe.timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self.model: Model | None = None  # as it says of itself; None: not asked yet
        self.asking: asyncio.Task[Model] | None = None

    def beside(self, path: str, *, root: bool = False) -> URL:
        """Another URL of the same server: next to /chat/completions, or below its root."""
        base = self.url.path.removesuffix("/chat/completions")
        return self.url.with_path((base.removesuffix("/v1") if root else base) + path, keep_query=True)

    async def send(self, method: str, url: URL, data: bytes | None) -> aiohttp.ClientResponse:
        return await self.session.request(
            method,
            url,
            data=data,
            headers=self.headers,
            allow_redirects=False,
            proxy=self.proxy,
            proxy_headers=self.proxy_headers,
        )


class Connector(aiohttp.TCPConnector):
    """Looks at the pause once more when the connection is there: making it may have taken a while."""

    def __init__(self, line: Line) -> None:
        secure = ssl.create_default_context() if line.url.scheme == "https" else True  # knows SSL_CERT_FILE
        super().__init__(limit=0, keepalive_timeout=IDLE, ssl=secure)
        self.line = line

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        self.line.reached = True
        if self.line.opens > asyncio.get_running_loop().time():
            connection.release()
            raise HeldError
        return connection


async def read(got: aiohttp.ClientResponse) -> bytes:
    """The whole body, bounded; raises MalformedError for one that is larger."""
    length = got.content_length
    if length is not None and length <= LARGEST_ANSWER and "Content-Encoding" not in got.headers:
        return await got.read()
    data = bytearray()
    try:
        async for part in got.content.iter_chunked(2**16):
            data += part
            if len(data) > LARGEST_ANSWER:
                raise MalformedError(f"its answer is larger than {LARGEST_ANSWER >> 20} MiB")
    except BaseException:
        got.close()
        raise
    got.release()
    return bytes(data)
