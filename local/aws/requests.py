"""Intercept every request of boto3 in this process and answer it on this machine.

Each request is
1. counted, and passed to the hooks before and after: tests use them to count, or to kill a function;
2. answered by `local.aws.functions` (Lambda), `local.aws.scheduler` (EventBridge Scheduler), `local.aws.queues` (SQS),
   `local.aws.dynamodb`, or else by moto under one lock (moto is not thread-safe: two conditional writes could both
   succeed);
3. refused if nothing answers it, so that no request reaches the real AWS.

No lock is held while a function runs.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakSet

import boto3
import botocore.session
from botocore import auth as botocore_auth
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import Endpoint, convert_to_response_dict
from botocore.loaders import Loader, create_loader
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.core.models import botocore_stubber

from local.aws import botocore_shortcuts, dynamodb
from local.aws.functions import (
    MAX_ASYNCHRONOUS_BYTES,
    MAX_SYNCHRONOUS_BYTES,
    REGION,
    FunctionFailed,
    Invocation,
    Invoker,
    UnknownFunction,
)
from local.aws.queues import Queues
from local.aws.scheduler import Scheduler

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
"""Variables that keep boto3 from finding credentials, configuration or endpoints of this machine."""
REMOVED_FROM_ENVIRONMENT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")

_NOTHING = object()
_WITHOUT_HTTP = ("dynamodb", "lambda", "scheduler", "sqs")
"""Services whose requests are answered without HTTP."""

_SUCCESS = AWSResponse("", 200, {}, None)  # type: ignore[arg-type]  # its status is all that is read

Answer = tuple[int, dict[str, str], bytes]
Phase = Literal["before", "after"]


class RealAwsRefused(Exception):
    """A request that nothing on this machine answers: it would have reached AWS."""


@dataclass(frozen=True)
class OutsideRequest:
    """A function's request, as passed to hooks: once with phase "before", once with "after" and a status.

    `service` is boto3's name for an AWS service, or "http". `operation` is AWS's name, or method and URL. `invocation`
    is the function's; None if the local stack or a test sent the request.
    """

    phase: Phase
    service: str
    operation: str
    invocation: Invocation | None
    status: int | None = None


Hook = Callable[[OutsideRequest], None]
"""Called for every request. May raise; an error that is not an `Exception` kills the function (`Invocation.gone`)."""

Middleware = Callable[[str, str, bytes, Callable[[], Answer]], Answer]
"""Wraps every request to a service: gets the service, the operation, the body and a function that sends it."""


def pass_through(service: str, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
    """The middleware that only sends the request."""
    return ask()


class Aws:
    """The emulated AWS. One at a time in a process: moto is global."""

    _running: "Aws | None" = None

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hooks: list[Hook] = []
        self.middleware: Middleware = pass_through
        self.counts: Counter[tuple[str, str]] = Counter()
        self._moto = mock_aws()
        self._moto_answers = BotocoreStubber.__call__
        self._functions: Invoker | None = None
        self._scheduler: Scheduler | None = None
        self._queues: Queues | None = None
        self._environment: dict[str, str | None] = {}
        self._thread = threading.local()  # own: this thread's requests are the local stack's
        self._own_clients: WeakSet[Any] = WeakSet()
        self.by_botocore = False
        """Send every request through all of botocore. Tests that count its events need this: after the shortcut, a
        failed request emits some events twice."""
        self._replaced: list[tuple[Any, str, Any]] = []

    def start(self, functions: Invoker, scheduler: Scheduler, queues: Queues) -> None:
        """Answer boto3's requests from now on. Raises `RealAwsRefused` if they cannot be intercepted."""
        if Aws._running is not None:
            raise RuntimeError("an emulated AWS already runs in this process: stop it first")
        Aws._running = self
        self._functions, self._scheduler, self._queues = functions, scheduler, queues
        names = (*ENVIRONMENT, *REMOVED_FROM_ENVIRONMENT)
        self._environment = {name: os.environ.get(name) for name in names}
        self._moto.start()
        os.environ.update(ENVIRONMENT)
        for name in REMOVED_FROM_ENVIRONMENT:
            os.environ.pop(name, None)
        for (owner, name), replacement in (*botocore_shortcuts.REPLACED.items(), *dynamodb.REPLACED.items()):
            self._replace(owner, name, replacement)
        boto3.DEFAULT_SESSION = _session()  # moto restores the previous one
        self._intercept_botocore()
        self._watch_http()
        self._replace(botocore_auth, "get_current_datetime", self._now)  # signatures have simulated times
        self._check_nothing_leaves()

    def _now(self, remove_tzinfo: bool = True) -> datetime:
        """The simulated time, in the form that botocore signs with."""
        assert self._functions is not None
        now = self._functions.now()
        return now.replace(tzinfo=None) if remove_tzinfo else now

    def stop(self) -> None:
        """Discard all state, and restore the process."""
        if Aws._running is not self:
            return
        while self._replaced:
            owner, name, before = self._replaced.pop()
            if before is _NOTHING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._moto.stop()
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        Aws._running = None

    def client(self, service: str) -> Any:
        """A boto3 client for the local stack itself. Its requests are not counted and not passed to hooks."""
        client = boto3.client(service, region_name=REGION, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]
        self._own_clients.add(client)
        return client

    def requests(self) -> dict[str, dict[str, int]]:
        """The number of the functions' requests, by service and operation."""
        with self.lock:
            counted: dict[str, dict[str, int]] = {}
            for (service, operation), count in sorted(self.counts.items()):
                counted.setdefault(service, {})[operation] = count
            return counted

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Replace an attribute of a class or module until `stop`."""
        self._replaced.append((owner, name, vars(owner).get(name, _NOTHING)))
        setattr(owner, name, replacement)

    def _intercept_botocore(self) -> None:
        """Intercept every request of every boto3 client."""

        def call(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            outcome: Callable[[], AWSResponse] | None = self._thread.__dict__.pop("outcome", None)
            if outcome is not None:
                return outcome()
            service, operation = event_name.split(".")[1:]
            with self._watched(service, operation) as answered:
                sent: Any = request.body  # text, bytes or a file, whatever its annotation says
                body = sent.encode() if isinstance(sent, str) else sent
                answer = self.middleware(
                    service,
                    operation,
                    body if isinstance(body, bytes) else b"",
                    lambda: self._answer(service, operation, request.url, request.headers, body, lambda: request),
                )
                answered(answer[0])
            return _response(request.url, answer)

        self._replace(BotocoreStubber, "__call__", call)
        self._skip_http()
        self._skip_botocore()

    def _skip_http(self) -> None:
        """Answer serialized requests without botocore's HTTP layer, which takes most of a request's time.

        A failed request then passes through that layer with its answer: retries and errors are botocore's own.
        """
        send_by_http: Callable[..., Any] = Endpoint._send_request  # type: ignore[attr-defined]

        def by_http(
            endpoint: Endpoint, request_dict: Any, operation_model: Any, outcome: Callable[[], AWSResponse]
        ) -> Any:
            self._thread.__dict__["outcome"] = outcome
            try:
                return send_by_http(endpoint, request_dict, operation_model)
            finally:
                self._thread.__dict__.pop("outcome", None)  # the request may have failed before it was intercepted

        def send(endpoint: Endpoint, request_dict: Any, operation_model: Any) -> Any:
            service, operation = operation_model.service_model.service_id.hyphenize(), operation_model.name
            body = request_dict["body"]
            first: Callable[[], AWSResponse] | None = self._thread.__dict__.pop("first", None)
            if first is not None:
                return by_http(endpoint, request_dict, operation_model, first)
            if service not in _WITHOUT_HTTP or not isinstance(body, bytes):
                return send_by_http(endpoint, request_dict, operation_model)

            def prepared() -> AWSPreparedRequest:
                request: AWSPreparedRequest = endpoint.create_request(request_dict, operation_model)
                return request

            try:
                answer = self._sent(service, operation, request_dict["url"], request_dict["headers"], body, prepared)
            except Exception as error:  # noqa: BLE001  botocore handles it
                failure = error

                def fail() -> AWSResponse:
                    raise failure

                return by_http(endpoint, request_dict, operation_model, fail)
            response = _response(request_dict["url"], answer)
            if answer[0] >= 300:
                return by_http(endpoint, request_dict, operation_model, lambda: response)
            words = convert_to_response_dict(response, operation_model)
            parsers: Any = endpoint._response_parser_factory  # type: ignore[attr-defined]
            parser = parsers.create_parser(operation_model.service_model.resolved_protocol)
            parsed = parser.parse(words, operation_model.output_shape)
            parsed["ResponseMetadata"]["RetryAttempts"] = 0
            return response, parsed

        self._replace(Endpoint, "_send_request", send)

    def _skip_botocore(self) -> None:
        """Answer the usual requests for items without most of botocore.

        A failed request then passes through botocore with its answer, as in `_skip_http`.
        """
        make_call: Callable[..., Any] = BaseClient._make_api_call  # type: ignore[attr-defined]  # private

        def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            if client not in self._own_clients:
                return usual(client, operation, parameters)
            self._thread.__dict__["own"] = True
            try:
                return usual(client, operation, parameters)
            finally:
                self._thread.__dict__["own"] = False

        def usual(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            of_items = client.meta.service_model.service_name == "dynamodb" and operation in dynamodb.OF_ITEMS
            if self.by_botocore or not of_items:
                return make_call(client, operation, parameters)
            model = client.meta.service_model.operation_model(operation)
            body = botocore_shortcuts.usual_request(model, parameters)
            if body is None:
                return make_call(client, operation, parameters)
            context: dict[str, Any] = {}
            client.meta.events.emit(  # for tests that watch; botocore's own handlers do not change these operations
                f"before-parameter-build.dynamodb.{operation}", params=parameters, model=model, context=context
            )
            client.meta.events.emit(
                f"before-call.dynamodb.{operation}",
                model=model,
                params={"body": body, "headers": {}, "url": "", "url_path": "/", "method": "POST", "context": context},
                request_signer=None,
                context=context,
            )

            def answered_before(outcome: Callable[[], AWSResponse]) -> Any:
                self._thread.__dict__["first"] = outcome
                try:
                    return make_call(client, operation, parameters)
                finally:
                    self._thread.__dict__.pop("first", None)

            try:
                answer = self._sent("dynamodb", operation, "", {}, body, _not_prepared)
            except Exception as error:  # noqa: BLE001  botocore handles it
                failure = error

                def fail() -> AWSResponse:
                    raise failure

                return answered_before(fail)
            status, headers, text = answer
            parsed = botocore_shortcuts.usual_answer(model, text) if status == 200 else None
            if parsed is None:
                return answered_before(lambda: _response("", answer))
            parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": dict(headers), "RetryAttempts": 0}
            # botocore counts successes: they allow more retries.
            client.meta.events.emit(
                f"after-call.dynamodb.{operation}", http_response=_SUCCESS, parsed=parsed, model=model, context=context
            )
            return parsed

        self._replace(BaseClient, "_make_api_call", call)

    def _sent(
        self,
        service: str,
        operation: str,
        url: str,
        headers: Any,
        body: bytes,
        prepared: Callable[[], AWSPreparedRequest],
    ) -> Answer:
        """Answer a request, and pass it to the hooks."""
        with self._watched(service, operation) as answered:
            answer = self.middleware(
                service, operation, body, lambda: self._answer(service, operation, url, headers, body, prepared)
            )
            answered(answer[0])
        return answer

    def _answer(
        self,
        service: str,
        operation: str,
        url: str,
        headers: Any,
        body: Any,
        prepared: Callable[[], AWSPreparedRequest],
    ) -> Answer:
        """Answer a request. `prepared` makes the HTTP request for moto."""
        if service == "scheduler" and self._scheduler is not None:
            return self._scheduler.handle(operation, url, bytes(body or b""))
        if service == "sqs" and self._queues is not None:
            return self._queues.handle(operation, bytes(body or b""))
        if service == "lambda" and operation == "Invoke":
            kind: Any = headers.get("X-Amz-Invocation-Type", "RequestResponse")
            return self._invoke(url, kind.decode() if isinstance(kind, bytes) else str(kind), bytes(body or b""))
        with self.lock:
            if service == "dynamodb" and (answer := dynamodb.answer(operation, bytes(body or b""))) is not None:
                return answer
            return self._moto_answer(f"before-send.{service}.{operation}", prepared())

    def _moto_answer(self, event_name: str, request: AWSPreparedRequest) -> Answer:
        response = self._moto_answers(botocore_stubber, event_name, request)
        if response is None:
            raise RealAwsRefused(f"{event_name.partition('.')[2]} would leave this machine for {request.url}")
        return response.status_code, dict(response.headers), response.content

    def _invoke(self, url: str, kind: str, body: bytes) -> Answer:
        """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
        assert self._functions is not None
        parts = urlsplit(url)
        reference = unquote(parts.path.split("/functions/", 1)[1].removesuffix("/invocations"))
        qualifier = parse_qs(parts.query).get("Qualifier")
        reference = f"{reference}:{qualifier[0]}" if qualifier else reference
        if kind not in ("Event", "RequestResponse"):
            return _error(400, "InvalidParameterValueException", f"InvocationType {kind} is not emulated")
        limit = MAX_ASYNCHRONOUS_BYTES if kind == "Event" else MAX_SYNCHRONOUS_BYTES
        if len(body) > limit:
            return _error(413, "RequestTooLargeException", f"{len(body)} byte payload is too large ({kind}: {limit})")
        try:
            event = json.loads(body or b"{}")
        except ValueError as error:
            return _error(400, "InvalidRequestContentException", f"Could not parse request body into json: {error}")
        try:
            if kind == "Event":
                self._functions.invoke_later(reference, event)
                return 202, {}, b""
            result = self._functions.invoke(reference, event)
            return 200, {"X-Amz-Executed-Version": "1"}, json.dumps(result).encode()
        except UnknownFunction as error:
            return _error(404, "ResourceNotFoundException", str(error))
        except FunctionFailed as failure:
            marks = {"X-Amz-Function-Error": "Unhandled", "X-Amz-Executed-Version": "1"}
            return 200, marks, json.dumps(failure.payload).encode()

    @contextmanager
    def _watched(self, service: str, operation: str) -> Iterator[Callable[[int], None]]:
        """Count a request, and call the hooks before and after it. Raises in a killed function."""
        if getattr(self._thread, "own", False):
            yield lambda status: None
            return
        invocation = self._functions.current() if self._functions else None
        if service != "http":
            with self.lock:
                self.counts[service, operation] += 1
        seen = OutsideRequest("before", service, operation, invocation)
        self.notify(seen)
        statuses: list[int] = []
        yield statuses.append
        if self.hooks:
            self.notify(replace(seen, phase="after", status=statuses[-1]))

    def notify(self, seen: OutsideRequest) -> None:
        """Call the hooks. Raises if the function was killed, or if a hook kills it."""
        invocation = seen.invocation
        if invocation is not None and invocation.gone is not None:
            raise invocation.gone
        try:
            for hook in list(self.hooks):
                hook(seen)
        except Exception:
            raise
        except BaseException as gone:
            if invocation is not None:
                invocation.gone = gone
            raise

    def _watch_http(self) -> None:
        """Also pass a function's HTTP requests to the carrier and to webhooks to the hooks.

        These are intercepted at the standard library's HTTP client, which urllib3 uses.
        """
        put, get = HTTPConnection.putrequest, HTTPConnection.getresponse

        def notify(phase: Phase, connection: HTTPConnection, status: int | None) -> None:
            invocation = self._functions.current() if self._functions else None
            if invocation is not None:
                self.notify(OutsideRequest(phase, "http", connection.__dict__["_redial_request"], invocation, status))

        def putrequest(self: HTTPConnection, method: str, url: str, *arguments: Any, **options: Any) -> None:
            self.__dict__["_redial_request"] = f"{method} http://{self.host}:{self.port}{url}"
            notify("before", self, None)
            put(self, method, url, *arguments, **options)

        def getresponse(self: HTTPConnection, *arguments: Any) -> HTTPResponse:
            response = get(self, *arguments)
            try:
                notify("after", self, response.status)
            except BaseException:
                response.close()
                raise
            return response

        self._replace(HTTPConnection, "putrequest", putrequest)
        self._replace(HTTPConnection, "getresponse", getresponse)

    def _check_nothing_leaves(self) -> None:
        """Check that requests of new clients are intercepted, with and without HTTP, before a function runs."""
        reached: list[OutsideRequest] = []
        self.hooks.append(reached.append)
        once = Config(retries={"total_max_attempts": 1})
        try:
            boto3.client("secretsmanager", region_name=REGION, config=once).list_secrets()
            boto3.client("dynamodb", region_name=REGION, config=once).list_tables()
        finally:
            self.hooks.remove(reached.append)
            self.counts.clear()
        if {request.service for request in reached} != {"dynamodb", "secrets-manager"}:
            raise RealAwsRefused("boto3's requests are not intercepted: refusing to run against the real AWS")


def _session() -> boto3.Session:
    """A session like boto3's own. All sessions of a process share the services' models, which are read from disk
    once."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _models())
    return boto3.Session(botocore_session=session)


@cache
def _models() -> Loader:
    return create_loader()


def _not_prepared() -> AWSPreparedRequest:
    raise AssertionError("requests for items are not answered over HTTP")


def _response(url: str, answer: Answer) -> AWSResponse:
    status, headers, body = answer
    return AWSResponse(url, status, headers, MockRawResponse(body))  # type: ignore[arg-type]


def _error(status: int, code: str, message: str) -> Answer:
    return status, {"x-amzn-ErrorType": code}, json.dumps({"Type": "User", "message": message}).encode()
