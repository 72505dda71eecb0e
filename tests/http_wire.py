"""The least of HTTP/1.1 that a test server needs, on a bare asyncio protocol: it shares its cores with its client."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked")
CLOSING = re.compile(rb"(?i)\r\nconnection:[ \t]*close")
AUTHORIZATION = re.compile(rb"(?i)\r\nauthorization:[ \t]*([^\r]*)")
ABRUPTLY = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset

Handler = Callable[["Connection", bytes, bytes], None]


class Connection(asyncio.Protocol):
    """One client. `handle` gets each request's head and body, and sees to it that one of the endings is called."""

    def __init__(self, handle: Handler, connections: set[Connection]) -> None:
        self.handle = handle
        self.connections = connections
        self.buffer = bytearray()
        self.busy = False
        self.closing = False
        self.gone: Callable[[], None] | None = None  # told when the client goes before its request is dealt with

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.connections.discard(self)
        if self.gone is not None:
            self.gone()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.advance()

    def advance(self) -> None:
        """Hand over the next request once it is whole; one at a time, in order."""
        if self.busy or self.transport.is_closing():
            return
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end])
        found = CONTENT_LENGTH.search(head)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self.buffer) < whole:
            return
        body = bytes(self.buffer[end + 4 : whole])
        del self.buffer[:whole]
        self.closing = CLOSING.search(head) is not None
        self.busy = True
        if CHUNKED.search(head):
            self.closing = True
            self.reply(response(HTTPStatus.LENGTH_REQUIRED, b""))
        else:
            self.handle(self, head, body)

    def reply(self, data: bytes) -> None:
        """Send a whole response and go on to the next request."""
        self.transport.write(data)
        self.busy = False
        if self.closing:
            self.transport.close()
        elif self.buffer:
            self.advance()

    def end(self, data: bytes = b"") -> None:
        """Send these bytes, then close in an orderly way, whatever was announced."""
        if data:
            self.transport.write(data)
        self.transport.close()

    def reset(self, data: bytes = b"") -> None:
        """Send these bytes, then break the connection off."""
        if data:
            self.transport.write(data)
        link = self.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPTLY)
        self.transport.abort()


class Clock:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self.second = 0
        self.line = b""

    def date(self) -> bytes:
        now = int(time.time())
        if now != self.second:
            self.second = now
            self.line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self.line


CLOCK = Clock()


def head_of(status: int, headers: Mapping[str, str], framing: str) -> bytes:
    """A response's head; what `headers` does not say of type and date has its usual value."""
    given = {name.lower() for name in headers}
    lines = [f"HTTP/1.1 {status} {reason(status)}\r\n".encode(), f"{framing}\r\n".encode()]
    lines += [f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in headers.items()]
    if "content-type" not in given:
        lines.append(b"Content-Type: application/json\r\n")
    if "date" not in given:
        lines.append(CLOCK.date())
    return b"".join([*lines, b"\r\n"])


def response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    if not headers and status == HTTPStatus.OK:  # the case that is measured
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        return b"%b%b\r\n%b" % (head, CLOCK.date(), body)
    return head_of(status, headers or {}, f"Content-Length: {len(body)}") + body


def chunked(body: bytes, size: int = 512) -> bytes:
    """A body in chunks, the last one included."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def authorization(head: bytes) -> str | None:
    found = AUTHORIZATION.search(head)
    return found[1].decode("latin-1").strip() if found else None


def all_headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
