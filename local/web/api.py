"""API Gateway's HTTP API on one machine: requests become events, and functions' results become responses.

Event format 2.0: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
Paths are decoded, query strings are as sent, header names are in lower case with repeats joined by commas, cookies are
separate, and bodies other than text and JSON (such as forms) are in base64.
`/_local/…` is for users of the local stack: clock, request counts, schedules, dead letters, the table.
"""

import base64
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import ClientError

from local.aws.functions import ACCOUNT_ID, MAX_SYNCHRONOUS_BYTES, FunctionFailed, Invoker
from local.aws.requests import Aws
from local.aws.scheduler import Schedule, Scheduler
from local.clock import ClockStopped, Timeline
from local.template import Route
from local.web.cors import Cors
from local.web.server import RESET, HttpServer, Request, Response

MAX_BODY_BYTES = 10 * 1024 * 1024
API_ID = "local"
DOCUMENTATION = ("/docs", "/openapi.json")
CALLBACKS = "/callbacks/"
"""The path of the carrier's callbacks, which are sent by events of the timeline."""


def timestamp(instant: datetime) -> str:
    """A time in RFC 3339, in UTC with milliseconds and `Z`, as in the HTTP API."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


class Api:
    """Routes requests to functions. `down` returns the names of servers that are not up, for `/health`. `cors`: None if
    pages in browsers may not call the API. `shown` adapts the documentation's text to this stack."""

    def __init__(
        self,
        timeline: Timeline,
        aws: Aws,
        functions: Invoker,
        scheduler: Scheduler,
        routes: list[Route],
        down: Callable[[], list[str]],
        cors: Cors | None = None,
        shown: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._timeline = timeline
        self._aws = aws
        self._functions = functions
        self._scheduler = scheduler
        self._routes = [_Matcher(route) for route in routes]
        self._down = down
        self._cors = cors
        self._shown = shown

    def serve(self, server: HttpServer) -> None:
        """Answer the requests of `server` from now on."""
        server.max_body_bytes = MAX_BODY_BYTES
        server.too_large = _error(413, f"A request body may hold {MAX_BODY_BYTES} bytes at most.")
        server.start(self.respond)

    def respond(self, request: Request) -> Response | None:
        response = self._with_cors(request)
        if response is RESET:
            return RESET
        date = ("date", format_datetime(self._timeline.now(), usegmt=True))  # so the console knows the stack's time
        return replace(response, headers=[*response.headers, date])

    def _with_cors(self, request: Request) -> Response | None:
        if self._cors is None or request.path.startswith("/_local/"):
            return self._respond(request)
        if self._cors.is_preflight(request):
            return self._cors.preflight(request)
        response = self._respond(request)
        return RESET if response is RESET else self._cors.added(request, response)

    def _respond(self, request: Request) -> Response | None:
        try:
            if request.path.startswith("/_local/"):
                return self._local(request)
            if request.path == "/health" and (down := self._down()):
                return _error(503, f"not up: {', '.join(down)}")
            if request.path in DOCUMENTATION:
                return self._documentation(request)
            return self._through_function(request)
        except ClockStopped:
            return RESET

    def _documentation(self, request: Request) -> Response:
        """The documentation with this stack's agent in its examples, so that they work unchanged."""
        headers = [(name, value) for name, value in request.headers if name.lower() != "accept-encoding"]
        answer = self._through_function(replace(request, headers=headers))
        return replace(answer, body=self._shown(answer.body.decode()).encode())

    def _through_function(self, request: Request) -> Response:
        matches = [found for matcher in self._routes if (found := matcher.match(request)) is not None]
        if not matches:
            return Response.of(404, {"message": "Not Found"})
        matcher, parameters = min(matches, key=lambda match: match[0].rank)
        with self._timeline.request(from_an_event=request.path.startswith(CALLBACKS)):
            event = event_of(request, matcher.route.key, parameters, self._timeline.now())
            if len(json.dumps(event)) > MAX_SYNCHRONOUS_BYTES:
                return _error(413, f"An event may hold {MAX_SYNCHRONOUS_BYTES} bytes at most, base64 included.")
            try:
                return response_of(self._functions.invoke(matcher.route.function.name, event))
            except (FunctionFailed, ValueError):
                return Response.of(500, {"message": "Internal Server Error"})

    def _local(self, request: Request) -> Response:
        match request.method, request.path.removeprefix("/_local/"):
            case "GET", "clock":
                return Response.of(200, {"now": timestamp(self._timeline.now()), "speed": self._timeline.speed})
            case "POST", "clock/advance":
                try:
                    minutes = float(request.json()["minutes"])
                    reached = self._timeline.advance(minutes)
                except (ValueError, TypeError, KeyError, OverflowError):
                    return _error(400, 'Send {"minutes": n}, n being 0 or more.')
                return Response.of(200, {"now": timestamp(reached)})
            case "POST", "dynamodb/" | "dynamodb":
                return self._dynamodb(request)
            case "GET", "requests":
                return Response.of(200, self._aws.requests())
            case "GET", "schedules":
                return Response.of(200, [_schedule_answer(schedule) for schedule in self._scheduler.schedules()])
            case "GET", "dead-letters":
                letters = [*self._functions.dead_letters, *self._scheduler.dead_letters]
                return Response.of(200, [{**asdict(letter), "at": timestamp(letter.at)} for letter in letters])
        return _error(404, f"There is no {request.method} {request.path} here.")

    def _dynamodb(self, request: Request) -> Response:
        """Answer a request in DynamoDB's protocol, for `make keys LOCAL=1`: the operation is in a header, the body is
        JSON."""
        operation = (request.header("x-amz-target") or "").rpartition(".")[2]
        client = self._aws.client("dynamodb")
        methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}
        if operation not in methods:
            return _error(400, "Send a request of DynamoDB's protocol, with X-Amz-Target.")
        try:
            answer = getattr(client, methods[operation])(**request.json())
        except ClientError as error:
            failure = {"__type": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
            return Response.of(error.response["ResponseMetadata"]["HTTPStatusCode"], failure)
        return Response.of(200, {name: value for name, value in answer.items() if name != "ResponseMetadata"})


class _Matcher:
    """A route and its rank: API Gateway selects the most specific matching route, `$default` last."""

    def __init__(self, route: Route) -> None:
        self.route = route
        segments = (route.path or "").strip("/").split("/")
        greedy = segments[-1].endswith("+}")
        variables = sum(segment.startswith("{") for segment in segments)
        self.rank = (route.path is None, greedy, -len(segments), variables, route.method == "ANY")
        patterns = [
            f"(?P<{segment[1:-2]}>.+)"
            if segment.endswith("+}")
            else f"(?P<{segment[1:-1]}>[^/]+)"
            if segment.startswith("{")
            else re.escape(segment)
            for segment in segments
        ]
        self._pattern = re.compile("/" + "/".join(patterns))

    def match(self, request: Request) -> "tuple[_Matcher, dict[str, str]] | None":
        if self.route.path is None:
            return self, {}
        if self.route.method not in ("ANY", request.method):
            return None
        match = self._pattern.fullmatch(request.path)
        return (self, match.groupdict()) if match else None


def event_of(request: Request, route_key: str, path_parameters: dict[str, str], now: datetime) -> dict[str, Any]:
    """API Gateway's event, format 2.0, for a request received at `now`."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        lower = name.lower()
        if lower == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        else:
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    headers.pop("connection", None)
    host = headers.get("host", "127.0.0.1")
    request_id = uuid.uuid4()
    headers |= {
        "x-amzn-trace-id": f"Root=1-{int(now.timestamp()):08x}-{request_id.hex[:24]}",
        "x-forwarded-for": request.client,
        "x-forwarded-port": host.rpartition(":")[2] if ":" in host else "80",
        "x-forwarded-proto": "http",
    }
    domain = host.partition(":")[0]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": request.version,
                "sourceIp": request.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(request_id),
            "routeKey": route_key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
        event["queryStringParameters"] = parameters
    if path_parameters:
        event["pathParameters"] = path_parameters
    if request.body:
        text = _text_of(request.body, headers.get("content-type", ""))
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
    return event


def _text_of(body: bytes, content_type: str) -> str | None:
    """The body as text. None if its type is not text; the event then has it in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    textual = kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))
    try:
        return body.decode() if textual else None
    except UnicodeDecodeError:
        return None


_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


def response_of(result: Any) -> Response:
    """API Gateway's response for a function's result. Raises `ValueError` for an invalid result."""
    if not isinstance(result, dict) or "statusCode" not in result:
        return Response.of(200, result)
    body = result.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("a body must be text")
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    headers = [(str(name), str(value)) for name, value in (result.get("headers") or {}).items()]
    headers += [("set-cookie", cookie) for cookie in result.get("cookies") or []]
    headers = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
    if content and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain; charset=utf-8"))
    return Response(int(result["statusCode"]), content, headers)


def _schedule_answer(schedule: Schedule) -> dict[str, Any]:
    definition = schedule.definition
    return {
        "name": definition["Name"],
        "group": definition["GroupName"],
        "at": timestamp(schedule.due),
        "target": definition["Target"]["Arn"],
        "input": json.loads(definition["Target"].get("Input", "null")),
        "state": definition["State"],
    }


def _error(status: int, message: str) -> Response:
    """An error in the HTTP API's format."""
    return Response.of(status, {"error": status, "message": message, "detail": message})
