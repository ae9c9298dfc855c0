"""The emulated API Gateway: requests become events of format 2.0, results become responses."""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from local.aws.functions import Function, FunctionContext, Invoker
from local.aws.queues import Queues
from local.aws.requests import Aws
from local.aws.scheduler import Scheduler
from local.clock import Timeline
from local.template import Route
from local.web.api import MAX_BODY_BYTES, Api
from local.web.server import HttpServer
from tests.support.local_stack import Answer, request

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
API, CALLBACK = (
    Function("ApiFunction", "redial-api", "api"),
    Function("CallbackFunction", "redial-callback", "callback"),
)


@dataclass
class World:
    """An API whose functions record their events and return prepared results."""

    timeline: Timeline
    server: HttpServer
    events: list[tuple[str, Any]] = field(default_factory=list)
    answer: Callable[[Any], Any] = lambda event: {"statusCode": 200, "body": "fine"}
    down: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, self.server.url + path, body, sent)

    def event(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        self.send(method, path, body, **headers)
        return self.events[-1][1]

    def raw(self, text: str) -> bytes:
        """Send these bytes, and return the response."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode())
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received


@pytest.fixture
def world() -> Iterator[World]:
    timeline = Timeline(START, speed=0)
    here = World(timeline, HttpServer("API", 0))

    def load(function: Function) -> Callable[[Any, FunctionContext], Any]:
        def handler(event: Any, context: FunctionContext) -> Any:
            here.events.append((function.name, event))
            return here.answer(event)

        return handler

    functions = Invoker(timeline, [API, CALLBACK], load)
    aws = Aws()
    queues = Queues(timeline, functions, [], aws.lock)
    scheduler = Scheduler(timeline, functions, queues, aws.lock)
    routes = [
        Route("ANY", None, API),
        Route("POST", "/callbacks/twilio/{execution_id}/{attempt}", CALLBACK),
        Route("POST", "/callbacks/{proxy+}", CALLBACK),
        Route("GET", "/things/{id}", CALLBACK),
        Route("GET", "/things/special", CALLBACK),
    ]
    Api(timeline, aws, functions, scheduler, routes, lambda: here.down).serve(here.server)
    timeline.start()
    yield here
    timeline.stop()
    here.server.stop()
    assert timeline.failures == []


def test_an_event_has_exactly_the_fields_of_format_2_0(world: World) -> None:
    event = world.event("POST", "/call?dry=run", b'{"a": 1}', Content_Type="application/json", User_Agent="curl/8")
    port = str(world.server.port)
    trace, request_id = event["headers"].pop("x-amzn-trace-id"), event["requestContext"].pop("requestId")
    assert trace.startswith("Root=1-") and len(request_id) > 10
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/call",
        "rawQueryString": "dry=run",
        "headers": {
            "host": f"127.0.0.1:{port}",
            "accept-encoding": "identity",
            "content-length": "8",
            "content-type": "application/json",
            "user-agent": "curl/8",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": port,
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"dry": "run"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "POST",
                "path": "/call",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8",
            },
            "routeKey": "$default",
            "stage": "$default",
            "time": "26/Jan/2026:10:00:00 +0000",
            "timeEpoch": 1769421600000,
        },
        "body": '{"a": 1}',
        "isBase64Encoded": False,
    }
    assert APIGatewayProxyEventV2(event).json_body == {"a": 1}


def test_missing_parts_are_left_out_of_the_event(world: World) -> None:
    event = world.event("GET", "/plain")
    assert not {"body", "queryStringParameters", "pathParameters", "cookies"} & event.keys()
    assert event["rawQueryString"] == "" and event["isBase64Encoded"] is False


def test_headers_are_in_lower_case_and_joined_and_cookies_are_separate(world: World) -> None:
    world.raw(
        "GET /x HTTP/1.1\nHost: a.example\nX-Many: one\nx-many: two\n"
        "Cookie: a=1; b=2\nCookie: c=3\nConnection: close\n\n"
    )
    event = world.events[-1][1]
    assert event["headers"]["x-many"] == "one,two"
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in event["headers"]
    assert event["requestContext"]["domainName"] == "a.example"
    assert event["requestContext"]["domainPrefix"] == "a"


def test_the_path_is_decoded_and_the_query_is_as_sent(world: World) -> None:
    event = world.event("GET", "/a%20b/%C3%BC?x=1&x=2&y=%20z&empty=&q=a%2Bb")
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/a b/ü"
    assert event["rawQueryString"] == "x=1&x=2&y=%20z&empty=&q=a%2Bb"
    assert event["queryStringParameters"] == {"x": "1,2", "y": " z", "empty": "", "q": "a+b"}


@pytest.mark.parametrize("path", ["//call", "///v2//agent/all", "/call/", "//things/1", "//host.example//x"])
def test_repeated_and_trailing_slashes_are_passed_on(world: World, path: str) -> None:
    event = world.event("GET", f"{path}?a=//b#c")
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == path
    assert event["rawQueryString"] == "a=//b"
    assert event["routeKey"] == "$default"


@pytest.mark.parametrize(
    ("content_type", "encoded"),
    [
        ("application/json", False),
        ("application/json; charset=utf-8", False),
        ("application/problem+json", False),
        ("text/csv", False),
        ("application/xml", False),
        ("application/x-www-form-urlencoded", True),
        ("multipart/form-data; boundary=x", True),
        ("application/octet-stream", True),
        ("", True),
    ],
)
def test_a_body_that_is_not_text_or_json_is_base64(world: World, content_type: str, encoded: bool) -> None:
    body = b"CallSid=CA1&To=%2B1"
    event = world.event("POST", "/x", body, Content_Type=content_type)
    assert event["isBase64Encoded"] is encoded
    assert event["body"] == (base64.b64encode(body).decode() if encoded else body.decode())


def test_a_text_that_is_not_utf_8_is_base64(world: World) -> None:
    event = world.event("POST", "/x", b"\xff\xfe", Content_Type="text/plain")
    assert (event["isBase64Encoded"], event["body"]) == (True, "//4=")


@pytest.mark.parametrize(
    ("method", "path", "function", "key", "parameters"),
    [
        (
            "POST",
            "/callbacks/twilio/x/2",
            "redial-callback",
            "POST /callbacks/twilio/{execution_id}/{attempt}",
            {"execution_id": "x", "attempt": "2"},
        ),
        (
            "POST",
            "/callbacks/twilio/x/2/amd",
            "redial-callback",
            "POST /callbacks/{proxy+}",
            {"proxy": "twilio/x/2/amd"},
        ),
        ("GET", "/callbacks/twilio/x/2", "redial-api", "$default", None),
        ("GET", "/things/special", "redial-callback", "GET /things/special", None),
        ("GET", "/things/7", "redial-callback", "GET /things/{id}", {"id": "7"}),
        ("GET", "/", "redial-api", "$default", None),
    ],
)
def test_the_most_specific_route_is_taken(
    world: World, method: str, path: str, function: str, key: str, parameters: dict[str, str] | None
) -> None:
    event = world.event(method, path)
    assert (world.events[-1][0], event["routeKey"], event.get("pathParameters")) == (function, key, parameters)


def test_results_become_http_responses(world: World) -> None:
    world.answer = lambda event: {
        "statusCode": 201,
        "headers": {"Content-Type": "text/xml", "X-Own": "1"},
        "cookies": ["a=1"],
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    answer = world.send("GET", "/x")
    assert (answer.status, answer.body) == (201, b"\x00\xff")
    assert (answer.headers["content-type"], answer.headers["x-own"], answer.headers["set-cookie"]) == (
        "text/xml",
        "1",
        "a=1",
    )
    world.answer = lambda event: {"statusCode": 204}
    assert world.send("GET", "/x").body == b""
    world.answer = lambda event: {"no": "status"}
    inferred = world.send("GET", "/x")
    assert (inferred.status, inferred.json, inferred.headers["content-type"]) == (
        200,
        {"no": "status"},
        "application/json",
    )


def test_a_failed_function_is_answered_with_500_without_a_reason(world: World) -> None:
    for answer in (
        lambda event: 1 / 0,
        lambda event: {"statusCode": 200, "body": {"not": "text"}},
        lambda event: object(),
    ):
        world.answer = answer
        failed = world.send("GET", "/x")
        assert (failed.status, failed.json) == (500, {"message": "Internal Server Error"})


def test_a_body_over_the_limit_is_answered_with_413(world: World) -> None:
    answer = world.send("POST", "/call", b"x" * (MAX_BODY_BYTES + 1), Content_Type="application/json")
    assert answer.status == 413
    assert answer.json.keys() == {"error", "message", "detail"}
    assert world.events == []
    assert world.send("POST", "/call", b"x" * 5_000_000, Content_Type="text/plain").status == 200
    assert world.send("POST", "/call", b"x" * 5_000_000).status == 413, "in base64 it is more than Lambda takes"


def test_a_chunked_body_is_read_whole(world: World) -> None:
    head = "POST /x HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Type: text/plain\nConnection: close\n\n"
    world.raw(f"{head}3\nabc\n4;x=y\ndefg\n0\n\n")
    assert world.events[-1][1]["body"] == "abcdefg"


def test_an_invalid_content_length_is_refused(world: World) -> None:
    assert b" 400 " in world.raw("POST /x HTTP/1.1\nHost: a\nContent-Length: many\n\n")
    assert b" 400 " in world.raw("POST /x HTTP/1.1\nHost: a\nContent-Length: -5\n\n")
    assert world.events == []


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "QUERY", "purge"])
def test_any_method_reaches_the_function(world: World, method: str) -> None:
    assert world.send(method, "/x").status == 200
    assert world.events[-1][1]["requestContext"]["http"]["method"] == method


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("GET /x HTTP/9.9\nHost: a\n\n", 505),
        ("GET /x y z HTTP/1.1\n\n", 400),
        ("GET\n\n", 400),
        ("GET /" + "x" * 70_000 + " HTTP/1.1\nHost: a\n\n", 414),
        ("GET /x HTTP/1.1\nX: " + "y" * 70_000 + "\n\n", 431),
        ("GET /x HTTP/1.1\n" + "X: y\n" * 200 + "\n", 431),
    ],
)
def test_invalid_http_is_answered_in_json(world: World, sent: str, status: int) -> None:
    answer = world.raw(sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in head
    assert json.loads(body)["message"]
    assert world.events == []


def test_head_has_no_body(world: World) -> None:
    answer = world.send("HEAD", "/x")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "4")


def test_the_clock_can_be_read_and_moved(world: World) -> None:
    assert world.send("GET", "/_local/clock").json == {"now": "2026-01-26T10:00:00.000Z", "speed": 0}
    happened: list[datetime] = []
    world.timeline.at(START + timedelta(minutes=10), lambda: happened.append(world.timeline.now()))
    moved = world.send("POST", "/_local/clock/advance", b'{"minutes": 30}')
    assert moved.json == {"now": "2026-01-26T10:30:00.000Z"}
    assert happened == [START + timedelta(minutes=10)]
    for body in (b"", b"[]", b"{}", b'{"minutes": -1}', b'{"minutes": "x"}', b'{"minutes": 1e99}', b'{"minutes": NaN}'):
        assert world.send("POST", "/_local/clock/advance", body).status == 400


def test_answers_carry_the_simulated_time(world: World) -> None:
    world.send("POST", "/_local/clock/advance", b'{"minutes": 30}')
    assert world.send("GET", "/health").headers["date"].startswith("Mon, 26 Jan 2026 10:3")


def test_requests_are_served_while_the_clock_advances(world: World) -> None:
    """An event sends requests to the API, as a customer's webhook may. This must not wait for the clock."""
    answered: list[int] = []
    world.timeline.after(60, lambda: answered.append(world.send("GET", "/x").status))
    world.timeline.after(90, lambda: answered.append(world.send("GET", "/_local/clock").status))
    threads = [threading.Thread(target=lambda: answered.append(world.send("GET", "/y").status)) for _ in range(20)]
    for thread in threads:
        thread.start()
    world.send("POST", "/_local/clock/advance", b'{"minutes": 5}')
    for thread in threads:
        thread.join(10)
    assert answered == [200] * 22


def test_health_is_the_functions_unless_a_server_is_down(world: World) -> None:
    assert world.send("GET", "/health").body == b"fine"
    world.down = ["carrier"]
    answer = world.send("GET", "/health")
    assert (answer.status, answer.json["message"]) == (503, "not up: carrier")


def test_the_stack_lists_requests_schedules_and_dead_letters(world: World) -> None:
    assert world.send("GET", "/_local/requests").json == {}
    assert world.send("GET", "/_local/schedules").json == []
    assert world.send("GET", "/_local/dead-letters").json == []
    assert world.send("GET", "/_local/nothing").status == 404


def test_a_connection_serves_many_requests(world: World) -> None:
    text = world.raw("GET /a HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\nHost: a\nConnection: close\n\n")
    assert text.count(b"HTTP/1.1 200") == 2
    assert [event["rawPath"] for _, event in world.events] == ["/a", "/b"]
