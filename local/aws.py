"""AWS on one machine: moto in this process, with stricter parts where moto is lenient, behind one door.

Every request that boto3 sends passes `Aws._answer`, which

1. counts it and tells the hooks, before and after: a test counts there, or cuts a function off there;
2. gives Lambda and EventBridge Scheduler to `local.lambda_functions` and `local.scheduler`, the rest to moto under one
   lock (moto is not atomic between threads: two conditional writes can both win);
3. refuses what none of them answers, so that nothing ever leaves for the real AWS.

No lock is held while a function runs.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.useragent import UserAgentString
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.dynamodb.models.table import Table

from local import dynamodb
from local.lambda_functions import (
    MAX_ASYNCHRONOUS_BYTES,
    MAX_SYNCHRONOUS_BYTES,
    REGION,
    FunctionFailed,
    Functions,
    Invocation,
    UnknownFunction,
)
from local.scheduler import Scheduler

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
"""What keeps boto3 from finding anybody's credentials, configuration or endpoints."""
REMOVED_FROM_ENVIRONMENT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")

Answer = tuple[int, dict[str, str], bytes]
Phase = Literal["before", "after"]


class RealAwsRefused(Exception):
    """A request that nothing on this machine answers: it would have gone to AWS."""


@dataclass(frozen=True)
class OutsideRequest:
    """A request that leaves a function, as hooks see it: once with phase "before", once with "after" and a status.

    `service` is boto3's name for an AWS service, or "http". `operation` is AWS's, or method and URL. `invocation`
    tells who asks; None: this machine itself, or a test.
    """

    phase: Phase
    service: str
    operation: str
    invocation: Invocation | None
    status: int | None = None


Hook = Callable[[OutsideRequest], None]
"""Sees every request, and may raise. What is not an `Exception` cuts the function off: see `Invocation.gone`."""


class Aws:
    """moto and what stands in front of it. One at a time in a process: moto is global."""

    _running: "Aws | None" = None

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hooks: list[Hook] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self._moto = mock_aws()
        self._moto_answers = BotocoreStubber.__call__
        self._functions: Functions | None = None
        self._scheduler: Scheduler | None = None
        self._environment: dict[str, str | None] = {}
        self._thread = threading.local()  # own: what this thread asks is for this machine itself
        self._replaced: list[tuple[Any, str, Any]] = []

    def start(self, functions: Functions, scheduler: Scheduler) -> None:
        """Stand in for AWS from now on. Raises `RealAwsRefused` when boto3 would not come here."""
        if Aws._running is not None:
            raise RuntimeError("one emulated AWS runs in this process already: stop that one first")
        Aws._running = self
        self._functions, self._scheduler = functions, scheduler
        names = (*ENVIRONMENT, *REMOVED_FROM_ENVIRONMENT)
        self._environment = {name: os.environ.get(name) for name in names}
        self._moto.start()
        os.environ.update(ENVIRONMENT)
        for name in REMOVED_FROM_ENVIRONMENT:
            os.environ.pop(name, None)
        self._stand_at_the_door()
        self._watch_http()
        # Nobody reads signatures and user agents here, and making them is an eighth of the work of a long simulation.
        self._replace(SigV4Auth, "add_auth", lambda auth, request: None)
        self._replace(UserAgentString, "to_string", lambda agent: "redial-local")
        for name, quicker in dynamodb.QUICKER.items():
            self._replace(Table, name, quicker)
        self._check_nothing_leaves()

    def stop(self) -> None:
        """Forget everything, and leave the process as it was."""
        if Aws._running is not self:
            return
        while self._replaced:
            setattr(*self._replaced.pop())
        self._moto.stop()
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        Aws._running = None

    def client(self, service: str) -> Any:
        """A boto3 client for this machine's own use: its requests are neither counted nor shown to hooks."""
        client = boto3.client(service, region_name=REGION, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]
        client.meta.events.register_first("before-call", lambda **_: self._own(True))
        client.meta.events.register_last("after-call", lambda **_: self._own(False))
        client.meta.events.register_last("after-call-error", lambda **_: self._own(False))
        return client

    def requests(self) -> dict[str, dict[str, int]]:
        """How many requests the functions made, by service and operation."""
        with self.lock:
            counted: dict[str, dict[str, int]] = {}
            for (service, operation), count in sorted(self.counts.items()):
                counted.setdefault(service, {})[operation] = count
            return counted

    def _own(self, own: bool) -> None:
        self._thread.__dict__["own"] = own

    def _replace(self, owner: Any, name: str, stand_in: Any) -> None:
        """Put `stand_in` in the place of an attribute, until `stop`."""
        self._replaced.append((owner, name, getattr(owner, name)))
        setattr(owner, name, stand_in)

    def _stand_at_the_door(self) -> None:
        """Have every request of every boto3 client come by here."""

        def call(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            service, operation = event_name.split(".")[1:]
            with self._watched(service, operation) as answered:
                status, headers, body = self._answer(stubber, event_name, service, operation, request)
                answered(status)
            return AWSResponse(request.url, status, headers, MockRawResponse(body))  # type: ignore[arg-type]

        self._replace(BotocoreStubber, "__call__", call)

    def _answer(
        self, stubber: BotocoreStubber, event_name: str, service: str, operation: str, request: AWSPreparedRequest
    ) -> Answer:
        sent: Any = request.body  # text or bytes, whatever its annotation says
        body = sent.encode() if isinstance(sent, str) else bytes(sent or b"")
        if service == "scheduler" and self._scheduler is not None:
            return self._scheduler.handle(operation, str(request.method), request.url, body)
        if service == "lambda" and operation == "Invoke":
            kind: Any = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
            return self._invoke(request.url, kind.decode() if isinstance(kind, bytes) else str(kind), body)
        with self.lock:
            if service == "dynamodb" and (items := dynamodb.answer(operation, body)) is not None:
                return 200, {"content-type": "application/x-amz-json-1.0"}, items
            response = self._moto_answers(stubber, event_name, request)
            if response is None:
                raise RealAwsRefused(f"{service} {operation} would leave this machine for {request.url}")
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
        """Count one request and tell the hooks, before and after; a function that is gone gets no further."""
        if getattr(self._thread, "own", False):
            yield lambda status: None
            return
        invocation = self._functions.current() if self._functions else None
        seen = OutsideRequest("before", service, operation, invocation)
        if service != "http":
            with self.lock:
                self.counts[service, operation] += 1
        statuses: list[int] = []
        self._tell(seen)
        yield statuses.append
        self._tell(replace(seen, phase="after", status=statuses[-1]))

    def _tell(self, seen: OutsideRequest) -> None:
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
        """Tell the hooks of a function's HTTP requests too, to the carrier or a webhook.

        They are seen at the standard library's HTTP client, which urllib3 is built on.
        """
        put, get = HTTPConnection.putrequest, HTTPConnection.getresponse

        def tell(phase: Phase, connection: HTTPConnection, status: int | None) -> None:
            invocation = self._functions.current() if self._functions else None
            if invocation is not None:
                self._tell(OutsideRequest(phase, "http", connection.__dict__["_redial_request"], invocation, status))

        def putrequest(self: HTTPConnection, method: str, url: str, *arguments: Any, **options: Any) -> None:
            self.__dict__["_redial_request"] = f"{method} http://{self.host}:{self.port}{url}"
            tell("before", self, None)
            put(self, method, url, *arguments, **options)

        def getresponse(self: HTTPConnection, *arguments: Any) -> HTTPResponse:
            response = get(self, *arguments)
            try:
                tell("after", self, response.status)
            except BaseException:
                response.close()
                raise
            return response

        self._replace(HTTPConnection, "putrequest", putrequest)
        self._replace(HTTPConnection, "getresponse", getresponse)

    def _check_nothing_leaves(self) -> None:
        """Make sure that a client made now comes to this door, before any function gets to run."""
        reached: list[OutsideRequest] = []
        self.hooks.append(reached.append)
        try:
            boto3.client("dynamodb", region_name=REGION, config=Config(retries={"total_max_attempts": 1})).list_tables()
        finally:
            self.hooks.remove(reached.append)
            self.counts.clear()
        if not reached:
            raise RealAwsRefused("boto3 does not come to the emulated AWS: refusing to run against a real one")


def _error(status: int, code: str, message: str) -> Answer:
    return status, {"x-amzn-ErrorType": code}, json.dumps({"Type": "User", "message": message}).encode()
