"""A small HTTP client that distinguishes "not sent" from "outcome unknown", so that a call is never placed twice.

It uses urllib3's connection without its pool, and opens a new connection for every request:

    resolve ─► connect ─► TLS        an error here is NotSent: no byte of the request has been sent
    request ─► response              an error here is NoAnswer

A pooled connection that the server has closed would fail in the second step, as if the call might have been placed.
After a pause, a Lambda environment has only such connections. One TLS handshake per phone call buys an exact boundary.
Requests are never repeated, redirects are not followed, proxy variables are ignored.

Sockets need real timeouts, so this module uses the machine's monotonic clock, not Redial's replaceable clock.
"""

import contextlib
import functools
import http.client
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead, ReadTimeoutError
from urllib3.response import HTTPResponse

from redial.wire.http import HttpResponse, NoAnswer, NotSent

MAX_BODY_BYTES = 1024 * 1024
"""Default maximum size of a response's body."""
_CHUNK_BYTES = 64 * 1024
_OPTIONAL_BYTES = 4096
_OPTIONAL_SECONDS, _OPTIONAL_SILENCE_SECONDS = 1.0, 0.25
"""Limits for reading an optional body: its size, the total time, and the longest silence."""

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or a replacement."""

REMEMBERED_SECONDS = 10.0
"""TTL of a cached look-up: shorter than any host keeps its old address reachable after a move."""
MAX_CACHED = 1000
"""Maximum cached look-ups of a process; when full, the cache is cleared."""

_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ConnectionRefusedError,), "connection refused"),
    ((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected), "connection closed by the other side"),
    ((http.client.IncompleteRead, IncompleteRead), "the answer broke off"),
    ((http.client.HTTPException, ValueError), "the answer is not HTTP"),
)


class _FinalResponse(http.client.HTTPResponse):
    """Skips every interim response (1xx); `http.client` skips only 100. 101 ends HTTP, so it is final."""

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != 101:
            self.headers = None  # type: ignore[assignment]  # `begin` reads a head only while there is none
            super().begin()


class Http:
    """Sends single requests; thread-safe. `tls` replaces the default TLS context with the system's certificates."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, resolve: Resolve = socket.getaddrinfo) -> None:
        self._given_tls = tls
        self._lookups = Lookups(resolve)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        """Created lazily: reading the trusted certificates takes tens of milliseconds."""
        return self._given_tls or ssl.create_default_context()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        total_timeout_seconds: float,
        max_body_bytes: int = MAX_BODY_BYTES,
        connect_to: Sequence[str] = (),
    ) -> HttpResponse:
        """Send one request once, and return the response, whatever its status.

        `url`: absolute http(s) in ASCII, without userinfo. `connect_to`: IP addresses to try in turn, instead of a
        look-up; Host header, SNI and certificate check still use the host of `url`.
        `connect_timeout_seconds` covers look-up, connecting and TLS for all addresses; `read_timeout_seconds` each
        silence of the server; `total_timeout_seconds` everything, even if bytes keep trickling in.
        The body is read to its end or up to `max_body_bytes`. With 0, only the head is required: the body contains what
        arrives within a second, at most 4 KB.
        Raises `NotSent` or `NoAnswer`; their messages contain neither headers nor path.
        """
        started = time.monotonic()
        deadline = started + total_timeout_seconds
        parts, port = _split(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        headers = {name.lower(): value for name, value in headers.items()} | {"connection": "close"}
        headers.setdefault("host", parts.netloc)
        headers.setdefault("user-agent", "Redial/1")
        connection = self._connect(parts, port, connect_to, min(deadline, started + connect_timeout_seconds))
        late = NoAnswer(f"no complete answer within {total_timeout_seconds:g} s")
        try:
            sock = connection.sock
            with _hang_up_at(sock, deadline) as hung_up:
                try:
                    response = _exchange(connection, method, target, headers, body, read_timeout_seconds)
                    with contextlib.closing(response):
                        if hung_up.is_set():  # http.client accepts a truncated head as complete
                            raise late
                        answer = HttpResponse(
                            status=response.status,
                            headers={name.lower(): response.headers[name] for name in response.headers},
                            body=_read(response, max_body_bytes, sock),
                        )
                except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                    raise (late if hung_up.is_set() else NoAnswer(_in_words(error, "no answer in time"))) from error
                if hung_up.is_set() and max_body_bytes:  # it also accepts a truncated body without a length
                    raise late
                return answer
        finally:
            connection.close()

    def _connect(self, parts: SplitResult, port: int, connect_to: Sequence[str], deadline: float) -> HTTPConnection:
        """A connection, after the TLS handshake, to the first address that accepts one. Raises `NotSent`."""
        host = str(parts.hostname)
        addresses = list(connect_to) or self._addresses(host, port, deadline - time.monotonic())
        trouble: Exception = TimeoutError()
        for following, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            timeout = remaining / 2 if following else remaining  # leave time for the next address
            connection = (
                HTTPSConnection(address, port, timeout=timeout, ssl_context=self._tls, server_hostname=host)
                if parts.scheme == "https"
                else HTTPConnection(address, port, timeout=timeout)
            )
            connection.response_class = _FinalResponse
            try:
                connection.connect()
            except (HTTPError, OSError, ValueError) as error:
                connection.close()
                trouble = error
            else:
                return connection
        raise NotSent(_in_words(trouble, "connecting timed out")) from trouble

    def _addresses(self, host: str, port: int, seconds: float) -> list[str]:
        try:
            found = self._lookups.within(seconds)(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"no address found for {host}") from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """A TTL cache of host look-ups. One invocation sends several events to one host, and a look-up with its thread
    takes as long as all other work for an event."""

    def __init__(self, resolve: Resolve = socket.getaddrinfo) -> None:
        self._resolve = resolve
        self._cached: dict[Any, tuple[Sequence[tuple[Any, ...]], float]] = {}

    def within(self, seconds: float) -> Resolve:
        """Like `socket.getaddrinfo`, but raises `socket.gaierror` after `seconds`."""

        def look_up(*args: Any, **kwargs: Any) -> Sequence[tuple[Any, ...]]:
            asked, now = (args, tuple(sorted(kwargs.items()))), time.monotonic()
            cached = self._cached.get(asked)
            if cached is not None and now - cached[1] < REMEMBERED_SECONDS:
                return cached[0]
            answer = resolve_within(seconds, self._resolve)(*args, **kwargs)
            if len(self._cached) >= MAX_CACHED:
                self._cached.clear()
            self._cached[asked] = (answer, now)
            return answer

        return look_up


def resolve_within(seconds: float, resolve: Resolve) -> Resolve:
    """`resolve` with a timeout, which the system's resolver lacks: raises `socket.gaierror` after `seconds`.

    After a timeout, the look-up continues in its own thread, and its result is discarded.
    """

    def bounded(*args: Any, **kwargs: Any) -> Sequence[tuple[Any, ...]]:
        answers: queue.SimpleQueue[Sequence[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(resolve(*args, **kwargs))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=ask, daemon=True, name="resolve").start()
        try:
            answer = answers.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            raise socket.gaierror(socket.EAI_AGAIN, "the name server did not answer in time") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    return bounded


def _split(url: str) -> tuple[SplitResult, int]:
    """Parse the URL and determine its port. Raises `NotSent` if it is not an absolute http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError) as error:
        raise NotSent("not an absolute http or https URL") from error
    if not parts.hostname or "@" in parts.netloc:
        raise NotSent("not a URL with a host and without a user name")
    return parts, port


def _exchange(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    read_timeout_seconds: float,
) -> HTTPResponse:
    """Send the request and read the response's head, not its body."""
    connection.timeout = read_timeout_seconds
    try:
        connection.request(
            method, target, body=body or None, headers=headers, preload_content=False, decode_content=False
        )
    except (ValueError, http.client.InvalidURL) as error:
        # Raised before anything is written, because the head is sent in one piece.
        raise NotSent("the request holds characters that HTTP cannot carry") from error
    return connection.getresponse()


def _read(response: HTTPResponse, max_body_bytes: int, sock: socket.socket) -> bytes:
    body = bytearray()
    if not max_body_bytes:
        over = time.monotonic() + _OPTIONAL_SECONDS
        with contextlib.suppress(HTTPError, http.client.HTTPException, OSError, ValueError):
            sock.settimeout(_OPTIONAL_SILENCE_SECONDS)
            while len(body) < _OPTIONAL_BYTES and time.monotonic() < over:
                chunk = response.read1(_OPTIONAL_BYTES - len(body))
                if not chunk:
                    break
                body += chunk
        return bytes(body)
    while len(body) < max_body_bytes:
        chunk = response.read(min(_CHUNK_BYTES, max_body_bytes - len(body)))
        if not chunk:
            break
        body += chunk
    return bytes(body)


@contextlib.contextmanager
def _hang_up_at(sock: socket.socket, deadline: float) -> Iterator[threading.Event]:
    """Shut down `sock` at `deadline`, and set the yielded event.

    A socket's own timeout restarts with every byte that trickles in.
    """
    hung_up = threading.Event()

    def hang_up() -> None:
        hung_up.set()
        with contextlib.suppress(OSError):
            # Only the TCP connection: the reading thread owns the TLS state.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    handle = _watchdog.call_at(deadline, hang_up)
    try:
        yield hung_up
    finally:
        _watchdog.cancel(handle)


class _Watchdog:
    """Timed calls from a single thread of the process.

    A `threading.Timer` per request took a fifth of a dial's CPU time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def call_at(self, deadline: float, call: Callable[[], None]) -> object:
        """Call `call` at `deadline` (of `time.monotonic()`). Returns a handle for `cancel`."""
        handle = object()
        with self._changed:
            self._calls[handle] = (deadline, call)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
                self._thread.start()
            elif deadline < self._wakes_at:
                self._changed.notify()
        return handle

    def cancel(self, handle: object) -> None:
        """Cancel the call. Idempotent."""
        with self._changed:
            self._calls.pop(handle, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                late = [handle for handle, (deadline, _) in self._calls.items() if deadline <= now]
                calls = [self._calls.pop(handle)[1] for handle in late]
                if not calls:
                    self._wakes_at = min((deadline for deadline, _ in self._calls.values()), default=math.inf)
                    self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
            for call in calls:
                call()


_watchdog = _Watchdog()


def _in_words(error: BaseException, timed_out: str) -> str:
    """A readable reason for `error`. It contains nothing from the request, so no secrets."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        wrapped = next((arg for arg in cause.args if isinstance(arg, Exception)), None)
        cause = cause.__cause__ or wrapped or cause.__context__
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate not trusted: {cause.verify_message}"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {(cause.reason or 'connection closed').replace('_', ' ').lower()}"
    for kinds, words in (*_WORDS, ((TimeoutError, ReadTimeoutError), timed_out)):
        if any(isinstance(cause, kinds) for cause in causes):
            return words
    return next((cause.strerror.lower() for cause in causes if isinstance(cause, OSError) and cause.strerror), "failed")
