"""What the environment says of proxies and certificates is kept, and no key goes where it does not belong."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_prompts import prompt
from server import TeacherServer

from instructlab_like.errors import InputError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.http import HttpTeacher

TLS = Path(__file__).parent / "tls"
KEY = "sk-0123456789abcdef"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("MY_KEY", KEY)


class Relay:
    """A proxy, or with `secure` what stands before a server and speaks TLS: passes bytes on and keeps the first ones.

    `password` is what it wants to see, and `status` what it says to everybody else or, without one, to all.
    """

    def __init__(self, *, to: int | None = None, secure: bool = False, password: str = "", status: int = 0) -> None:
        self.to, self.secure, self.password, self.status = to, secure, password, status
        self.heads: list[bytes] = []
        self.started = threading.Event()

    def __enter__(self) -> Relay:
        self.thread = threading.Thread(target=asyncio.run, args=(self.serve(),))
        self.thread.start()
        assert self.started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(60)

    async def serve(self) -> None:
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        context = None
        if self.secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "server.pem")
        server = await asyncio.start_server(self.take, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        await self.stopping.wait()
        server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self.relay(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, target, *_ = head.decode().split(" ")
        wanted = f"Proxy-Authorization: Basic {base64.b64encode(self.password.encode()).decode()}"
        if self.status and (not self.password or wanted not in head.decode()):
            writer.write(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        port = self.to or int(
            target.partition("://")[2].partition("/")[0].rpartition(":")[2] or target.rpartition(":")[2]
        )
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Go on\r\n\r\n")
        else:
            downstream.write(head)
        await asyncio.gather(self.copy(reader, downstream), self.copy(upstream, writer))

    @staticmethod
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()


def answer(url: str, timeout: float = 30.0) -> str:
    async def session() -> str:
        teacher = HttpTeacher(TeacherRecipe(url=url, model="m", key_env="MY_KEY", timeout=timeout))
        try:
            return (await teacher.answer(prompt())).text
        finally:
            await teacher.close()

    return asyncio.run(session())


@contextmanager
def serving() -> Iterator[TeacherServer]:
    with TeacherServer(answer=lambda _: "hello") as server:
        yield server


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, Relay() as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        assert answer(server.url) == "hello"
        assert proxy.heads[0].startswith(f"POST {server.url}/chat/completions HTTP/1.1\r\n".encode())


def test_hosts_without_proxy_are_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, Relay() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.1")
        assert answer(server.url) == "hello"
        assert proxy.heads == []


def test_a_proxy_gets_its_password_and_a_plain_server_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, Relay(password="me:pass:w@rd", status=407) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%3Aw%40rd@127.0.0.1:{proxy.port}")
        assert answer(server.url) == "hello"
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Relay(password="me:secret", status=407) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://me:wr0ng-one@127.0.0.1:{proxy.port}")
        with pytest.raises(InputError, match="the proxy in between wants a name and a password") as caught:
            answer(f"{scheme}://127.0.0.1:9/v1")
    assert "wr0ng-one" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 502])
def test_a_proxy_that_does_not_let_through_means_that_nothing_was_sent(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay(status=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(TeacherError, match=f"cannot be reached: the proxy says HTTP {status}"):
            answer("https://127.0.0.1:9/v1")


def test_a_proxy_that_is_not_there_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with Relay() as proxy:
        port = proxy.port
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(TeacherError, match="the proxy cannot be reached: Connection refused"):
        answer("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://"])
def test_what_is_no_http_proxy_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", url)
    with pytest.raises(InputError, match="HTTP_PROXY: names no http proxy"):
        answer("http://127.0.0.1:9/v1")


def test_a_certificate_is_checked_against_the_authority_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as server, Relay(to=server.port, secure=True) as front:
        url = f"https://127.0.0.1:{front.port}/v1"
        with pytest.raises(InputError, match="shows a certificate that cannot be trusted") as caught:
            answer(url)
        assert caught.value.fix.endswith("SSL_CERT_FILE")
        assert front.heads == []  # no request, and no key, before the certificate is good
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
        assert answer(url) == "hello"


def test_through_a_tunnel_no_proxy_sees_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "authority.pem"))
    with serving() as server, Relay(to=server.port, secure=True) as front, Relay(password="me:pw", status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
        assert answer(f"https://127.0.0.1:{front.port}/v1") == "hello"
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{front.port} HTTP/1.1\r\n".encode())
        assert KEY.encode() not in head
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_server_that_speaks_no_tls_cannot_be_reached_by_it() -> None:
    with serving() as server, pytest.raises(TeacherError, match="cannot be reached"):
        answer(server.url.replace("http:", "https:"), timeout=0.2)


def test_no_password_is_taken_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("MY_KEY")

    async def session(url: str) -> None:
        teacher = HttpTeacher(TeacherRecipe(url=url, model="m"))
        try:
            await teacher.answer(prompt())
        finally:
            await teacher.close()

    with serving() as server:
        asyncio.run(session(server.url))
        assert "Authorization" not in server.headers[0]
