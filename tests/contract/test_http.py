"""The HTTP client against real servers on loopback: which failures are "not sent" and which are "unknown"."""

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redial.adapters.http import REMEMBERED_SECONDS, Http, Lookups
from redial.wire.http import HttpResponse, NoAnswer, NotSent
from tests.support.examples import examples
from tests.support.raw_server import (
    RawServer,
    answering,
    dripping,
    hanging,
    resetting,
    self_signed,
    serving,
    unused_port,
)

pytestmark = pytest.mark.enable_socket
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8, and such backlogs")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nhi"


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """An event that is set at the end of the test, so that a server's script ends with it."""
    event = threading.Event()
    yield event
    event.set()


def send(url: str, http: Http | None = None, method: str = "POST", **given: Any) -> HttpResponse:
    arguments: dict[str, Any] = {
        "headers": {"Authorization": "Basic c2VjcmV0"},
        "body": b"a=1",
        "connect_timeout_seconds": 2,
        "read_timeout_seconds": 2,
        "total_timeout_seconds": 4,
    } | given
    return (http or Http()).send(method, url, **arguments)


def at(server: RawServer, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def test_sends_one_request_and_returns_the_answer() -> None:
    with serving(answering(OK)) as server:
        answer = send(at(server, "/a/b?c=d"))
    assert answer == HttpResponse(200, {"content-length": "2", "x-a": "1, 2"}, b"hi")
    assert server.requests[0].startswith(b"POST /a/b?c=d HTTP/1.1\r\n")
    assert f"\r\nhost: 127.0.0.1:{server.port}\r\n".encode() in server.requests[0]
    assert server.requests[0].lower().count(b"\r\nhost:") == 1
    assert server.requests[0].endswith(b"\r\n\r\na=1")


def test_a_get_has_no_body() -> None:
    with serving(answering(OK)) as server:
        send(at(server), method="GET", body=b"")
    assert b"content-length" not in server.requests[0].lower()


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 404, 410, 429, 500, 503])
def test_every_status_is_an_answer_and_redirects_are_not_followed(status: int) -> None:
    with serving(answering(f"HTTP/1.1 {status} X\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        assert send(at(server)).status == status
    assert len(server.requests) == 1


def test_a_chunked_body_is_put_together() -> None:
    with serving(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n")
    ) as server:
        assert send(at(server)).body == b"hi!"


def test_a_huge_body_is_cut() -> None:
    with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000)) as server:
        assert send(at(server), max_body_bytes=100_000).body == b"x" * 100_000


def test_an_optional_body_is_there_as_far_as_it_comes_at_once(over: threading.Event) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"
    for script, body in (
        (answering(chunks), b"hi!"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"), b"hi"),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000), b"x" * 4096),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense"), b""),
    ):
        with serving(script) as server:
            assert send(at(server), max_body_bytes=0).body == body
    with serving(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", 0.05, over)) as server:
        started = time.monotonic()
        assert 5 < len(send(at(server), max_body_bytes=0).body) < 25
    assert time.monotonic() - started < 2


def test_an_optional_body_causes_no_wait(over: threading.Event) -> None:
    with serving(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 1.5, over)) as server:
        started = time.monotonic()
        assert send(at(server), max_body_bytes=0) == HttpResponse(200, {"content-length": "100000"}, b"")
    assert time.monotonic() - started < 1


# ---- not sent


def test_a_refused_connection_is_not_sent() -> None:
    with pytest.raises(NotSent, match="connection refused"):
        send(f"http://127.0.0.1:{unused_port()}/")


def test_an_unknown_host_is_not_sent() -> None:
    def unknown(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotSent, match=r"no address found for nowhere\.example"):
        send("http://nowhere.example/", Http(resolve=unknown))


def test_a_name_server_that_never_answers_is_not_sent(over: threading.Event) -> None:
    def silent(*_: object, **__: object) -> list[tuple[Any, ...]]:
        over.wait(20)
        return []

    started = time.monotonic()
    with pytest.raises(NotSent, match="no address found"):
        send("http://slow.example/", Http(resolve=silent), connect_timeout_seconds=0.3)
    assert time.monotonic() - started < 2


@contextlib.contextmanager
def never_accepting(address: str, port: int = 0) -> Iterator[int]:
    """A port whose backlog is full: connections to it neither open nor fail."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((address, port))
        yield port


@LINUX
def test_a_connection_that_never_opens_is_not_sent() -> None:
    with never_accepting("127.0.0.1") as port:
        started = time.monotonic()
        with pytest.raises(NotSent, match="connecting timed out"):
            send(f"http://127.0.0.1:{port}/", connect_timeout_seconds=0.5)
        assert time.monotonic() - started < 2


def test_a_request_to_an_untrusted_certificate_is_not_sent(tmp_path: Path) -> None:
    server_tls, _ = self_signed(tmp_path, "hooks.example.com")
    with serving(answering(OK), server_tls) as server, pytest.raises(NotSent, match="certificate not trusted: self"):
        send(f"https://hooks.example.com:{server.port}/", connect_to=["127.0.0.1"])
    assert server.requests == []


def test_a_certificate_of_another_host_is_not_sent(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed(tmp_path, "other.example.com")
    with serving(answering(OK), server_tls) as server, pytest.raises(NotSent, match=r"(?i)hostname mismatch"):
        send(f"https://hooks.example.com:{server.port}/", Http(tls=client_tls), connect_to=["127.0.0.1"])
    assert server.requests == []


def test_an_expired_certificate_is_not_sent(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed(tmp_path, "hooks.example.com", expired=True)
    with serving(answering(OK), server_tls) as server, pytest.raises(NotSent, match="certificate has expired"):
        send(f"https://hooks.example.com:{server.port}/", Http(tls=client_tls), connect_to=["127.0.0.1"])


def test_a_server_that_speaks_no_tls_is_not_sent() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example.com ready\r\n")
            connection.recv(1000)

    threading.Thread(target=greet, daemon=True).start()
    with listener, pytest.raises(NotSent, match="TLS failed: "):
        send(f"https://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_seconds=1)


def test_a_slow_tls_handshake_is_not_sent(over: threading.Event) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"\x16\x03\x03\x0f\xff")  # a handshake record that is never finished
            while not over.wait(0.1):
                connection.sendall(b"\x00")

    threading.Thread(target=drip, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(NotSent):
        send(f"https://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_seconds=0.6)
    assert time.monotonic() - started < 2
    listener.close()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://127.0.0.1/", "http://", "http://a@127.0.0.1/", "http://127.0.0.1:99999/", "http://[x/"],
)
def test_a_malformed_url_is_not_sent(url: str) -> None:
    with pytest.raises(NotSent, match="not a"):
        send(url)


@pytest.mark.parametrize("given", [{"headers": {"x": "a\r\nb: c"}}, {"method": "PO ST"}])
def test_a_request_that_http_cannot_carry_is_not_sent(given: dict[str, Any]) -> None:
    with serving(answering(OK)) as server, pytest.raises(NotSent, match="cannot carry"):
        send(at(server), **given)


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    "interim",
    [
        HINTS,
        HINTS * 3,
        b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS,
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 199 X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ],
)
@pytest.mark.parametrize("max_body_bytes", [0, 100])
def test_an_interim_response_is_not_the_answer(interim: bytes, max_body_bytes: int) -> None:
    with serving(answering(interim + OK)) as server:
        answer = send(at(server), max_body_bytes=max_body_bytes)
    assert (answer.status, answer.body) == (200, b"hi")
    assert answer.headers == {"content-length": "2", "x-a": "1, 2"}


def test_switching_protocols_is_an_answer() -> None:
    with serving(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")) as server:
        assert send(at(server)).status == 101


def test_endless_interim_responses_end_at_the_total_timeout(over: threading.Event) -> None:
    with serving(dripping(HINTS, HINTS, 0.05, over)) as server, pytest.raises(NoAnswer, match="no complete answer"):
        send(at(server), total_timeout_seconds=0.5)


# ---- unknown


@pytest.mark.parametrize("interim", [HINTS, b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_only_an_interim_response_is_no_answer(interim: bytes) -> None:
    with serving(answering(interim)) as server, pytest.raises(NoAnswer, match="closed by the other side"):
        send(at(server))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answering(b""), "closed by the other side"),
        (resetting(), "closed by the other side"),
        (resetting(b"HTTP/1.1 201 Created\r\nContent-Le"), "closed by the other side"),
        (answering(b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nhalf"), "broke off"),
        (answering(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "broke off|not HTTP"),
        (answering(b"garbage\r\n\r\n"), "not HTTP"),
        (answering(b"HTTP/1.1 abc OK\r\n\r\n"), "not HTTP"),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n"), "not HTTP"),
        (answering(b"HTTP/1.1 200 OK\r\nX-A: " + b"1" * 100_000 + b"\r\n\r\n"), "not HTTP"),
    ],
)
def test_an_error_after_sending_is_no_answer(script: Any, words: str) -> None:
    with serving(script) as server, pytest.raises(NoAnswer, match=words) as caught:
        send(at(server))
    assert len(server.requests) == 1, "sent once, never again"
    assert "c2VjcmV0" not in str(caught.value)


def test_silence_is_no_answer(over: threading.Event) -> None:
    with serving(hanging(over)) as server, pytest.raises(NoAnswer, match="no answer in time"):
        send(at(server), read_timeout_seconds=0.3)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_slow_answer_ends_at_the_total_timeout(data: bytes, over: threading.Event) -> None:
    with serving(dripping(data, b"x", 0.05, over)) as server:
        started = time.monotonic()
        with pytest.raises(NoAnswer, match=r"no complete answer within 0\.8 s"):
            send(at(server), total_timeout_seconds=0.8)
        assert 0.7 < time.monotonic() - started < 1.6


def test_a_slow_answer_over_tls_ends_at_the_total_timeout(tmp_path: Path, over: threading.Event) -> None:
    server_tls, client_tls = self_signed(tmp_path, "hooks.example.com")
    with serving(dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.05, over), server_tls) as server:
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="no complete answer"):
            send(
                f"https://hooks.example.com:{server.port}/",
                Http(tls=client_tls),
                connect_to=["127.0.0.1"],
                total_timeout_seconds=0.8,
            )
        assert time.monotonic() - started < 1.6


# ---- where it connects


def test_it_connects_to_the_given_address_and_requests_the_host(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed(tmp_path, "hooks.example.com")

    def never(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise AssertionError("nothing is to be looked up")

    with serving(answering(OK), server_tls) as server:
        url = f"https://hooks.example.com:{server.port}/x"
        answer = send(url, Http(tls=client_tls, resolve=never), connect_to=["127.0.0.1"])
    assert answer.body == b"hi"
    assert server.server_names == ["hooks.example.com"]
    assert f"\r\nhost: hooks.example.com:{server.port}\r\n".encode() in server.requests[0]


@LINUX
def test_a_dead_address_leaves_time_for_the_next() -> None:
    with serving(answering(OK)) as server:
        url = f"http://hooks.example.com:{server.port}/"
        assert send(url, connect_to=["127.0.0.3", "127.0.0.1"]).status == 200
        with never_accepting("127.0.0.2", server.port):
            assert send(url, connect_to=["127.0.0.2", "127.0.0.1"], connect_timeout_seconds=0.6).status == 200


def test_every_request_opens_a_new_connection() -> None:
    http = Http()
    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as server:
        for _ in range(3):
            send(at(server), http)
        assert server.connections == 3
    assert all(b"\r\nconnection: close\r\n" in request for request in server.requests)


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{unused_port()}")
    with serving(answering(OK)) as server:
        assert send(at(server)).status == 200


def test_the_given_tls_context_is_not_modified(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed(tmp_path, "hooks.example.com")
    with serving(answering(OK), server_tls) as server:
        send(f"https://hooks.example.com:{server.port}/", Http(tls=client_tls), connect_to=["127.0.0.1"])
    assert client_tls.check_hostname
    assert client_tls.verify_mode is ssl.CERT_REQUIRED


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda status, headers, body: b"HTTP/1.1 %d X\r\n%s\r\n\r\n%s" % (status, headers, body),
            st.integers(0, 9999),
            st.binary(max_size=80),
            st.binary(max_size=50),
        ),
    )
)
def test_arbitrary_bytes_from_a_server_raise_no_other_error(data: bytes) -> None:
    with serving(answering(data)) as server:
        try:
            answer = send(at(server), total_timeout_seconds=2, read_timeout_seconds=1)
        except NoAnswer:
            return
        assert isinstance(answer.status, int)


# ---- look-ups -----------------------------------------------------------------------------------------------------


def test_a_look_up_is_cached_for_some_seconds_and_an_error_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    clock = [100.0]
    monkeypatch.setattr("redial.adapters.http.time.monotonic", lambda: clock[0])

    def resolve(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        if len(asked) == 1:
            raise OSError("no name server")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]

    lookups = Lookups(resolve)
    with pytest.raises(OSError, match="no name server"):
        lookups.within(1)("hook.example", 443)
    first = lookups.within(1)("hook.example", 443)
    clock[0] += REMEMBERED_SECONDS - 0.1
    assert lookups.within(1)("hook.example", 443) is first
    lookups.within(1)("other.example", 443)
    clock[0] += 0.2
    lookups.within(1)("hook.example", 443)
    assert asked == ["hook.example", "hook.example", "other.example", "hook.example"]


# ---- total timeouts of many requests at once -----------------------------------------------------------------------


def test_one_thread_enforces_the_deadlines_of_many_requests(over: threading.Event) -> None:
    """The requests may begin in any order."""
    ended: dict[float, float] = {}
    with serving(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 0.05, over)) as server:
        started = time.monotonic()

        def ask(seconds: float) -> None:
            with pytest.raises(NoAnswer):
                send(at(server), total_timeout_seconds=seconds)
            ended[seconds] = time.monotonic() - started

        asking = [threading.Thread(target=ask, args=(seconds,)) for seconds in (1.6, 0.4, 1.0)]
        for thread in asking:
            thread.start()
            time.sleep(0.02)
        assert [thread.name for thread in threading.enumerate()].count("watchdog") == 1
        for thread in asking:
            thread.join(10)
    assert list(ended) == [0.4, 1.0, 1.6]
    assert all(taken >= seconds for seconds, taken in ended.items())
