"""A small HTTP server on 127.0.0.1 that calls a function for each request, in one thread per connection."""

import errno
import ipaddress
import json
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
IDLE_SECONDS = 65
"""The idle timeout of a kept-alive connection, longer than that of clients' pools."""
MAX_DRAIN_BYTES = 64 * 1024 * 1024
"""The maximum that is read of a refused body, so that its sender receives the response."""


class PortTaken(Exception):
    """The port is in use."""


@dataclass(frozen=True)
class Request:
    """An HTTP request. `path` is decoded; `query` and `headers` are as sent, with repeated headers in order."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    client: str
    version: str

    def header(self, name: str) -> str | None:
        """The value of a header, with repeats joined by commas, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(values) if values else None

    def json(self) -> Any:
        """The body, parsed as JSON. Raises `ValueError`."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An HTTP response. Content-Length is added."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, status: int, content: Any) -> "Response":
        """A response with a body in JSON."""
        return cls(status, json.dumps(content).encode(), [("content-type", "application/json")])


RESET: None = None
"""Returned instead of a response to reset the connection."""

Respond = Callable[[Request], Response | None]


def _not_serving(request: Request) -> Response | None:
    return RESET


class HttpServer:
    """A server on 127.0.0.1. Binds its port at once, and serves from `start` to `stop`.

    Port 0 selects a free one, which is then in `port`. Requests with bodies larger than `max_body_bytes` are answered
    with `too_large`. Raises `PortTaken`.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.connections: set[socket.socket] = set()
        self.respond: Respond = _not_serving
        self.max_body_bytes = MAX_DRAIN_BYTES
        self.too_large = Response.of(413, {"message": "Request Entity Too Large"})
        self.serving = False
        try:
            self._server = _Server((HOST, port), self)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(f"port {port}, wanted for the {name}, is taken") from error
        self.port: int = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}"

    def start(self, respond: Respond) -> None:
        self.respond = respond
        self.serving = True
        run = threading.Thread(target=self._server.serve_forever, args=(0.02,), name=f"{self.name} server", daemon=True)
        run.start()

    def stop(self) -> None:
        """Stop listening, and reset all open connections."""
        if self.serving:
            self.serving = False
            self._server.shutdown()
        self._server.server_close()
        for connection in list(self.connections):
            _reset(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], owner: HttpServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections; `_Handler` answers errors of `respond`."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.server.owner.connections.discard(self.connection)
        super().finish()

    def handle_request(self) -> None:
        owner = self.server.owner
        try:
            body = self._read_body(owner.max_body_bytes)
        except ValueError:
            self.close_connection = True
            return self._send(Response.of(400, {"message": "Bad Request"}))
        if body is None:
            self.close_connection = True
            return self._send(owner.too_large)
        # The path as sent: `self.path` has lost repeated slashes, and `urlsplit` treats what follows them as a host.
        path, _, query = self.requestline.split()[1].partition("#")[0].partition("?")
        request = Request(
            self.command, unquote("/" + path.removeprefix("/")), query, list(self.headers.items()), body,
            self.client_address[0], self.request_version,
        )  # fmt: skip
        try:
            response = owner.respond(request)
        except Exception:  # noqa: BLE001  an error of the emulation must not stop the server
            traceback.print_exc(file=sys.stderr)
            response = Response.of(500, {"message": f"the {owner.name} failed; its terminal shows why"})
        if response is RESET:
            self.close_connection = True
            return _reset(self.connection)
        self._send(response)

    def __getattr__(self, name: str) -> Any:
        """`do_GET` and so on for every method: `respond` refuses unknown ones."""
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Also answer requests that are not HTTP in JSON."""
        self.close_connection = True
        self.command, self.request_version = getattr(self, "command", None) or "", self.protocol_version
        self._send(Response.of(code, {"message": message or HTTPStatus(code).phrase}))

    def _read_body(self, limit: int) -> bytes | None:
        """The body, or None if it is longer than `limit`. Raises `ValueError` for an invalid length."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks(limit)
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError("negative length")
        if length <= limit:
            return self.rfile.read(length)
        remaining = min(length, MAX_DRAIN_BYTES)
        while remaining and (piece := self.rfile.read1(min(remaining, 65536))):
            remaining -= len(piece)
        return None

    def _read_chunks(self, limit: int) -> bytes | None:
        body = bytearray()
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(8)
            if len(body) > limit:
                return None
        while self.rfile.readline(65536).strip():
            pass
        return bytes(body)

    def _send(self, response: Response) -> None:
        """Send head and body in one write: two writes would wait for an acknowledgement."""
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers_with(b"" if self.command == "HEAD" else response.body)

    def end_headers_with(self, body: bytes) -> None:
        head: bytes = b"".join(getattr(self, "_headers_buffer", [])) + b"\r\n"
        self._headers_buffer: list[bytes] = []
        self.wfile.write(head + body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""


def send(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Response:
    """Send a request to a server on this machine. Raises `OSError` and `HTTPException`."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or HOST, parts.port, timeout=IDLE_SECONDS)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body or None, headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.read(), answer.getheaders())
    finally:
        connection.close()


def is_loopback(url: str) -> bool:
    """Whether `url` points to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reset(connection: socket.socket) -> None:
    """Reset the connection; unsent data is lost."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was already closed
