"""The api function on an emulated AWS: gateway events in, answers out, each checked against the OpenAPI document."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from functions.api.handler import handler
from redial.api.service import openapi_document
from redial.runtime import keys, services, system
from redial.runtime.services import services_of
from tests.support import gateway
from tests.support.aws import emulated_aws
from tests.support.samples import ACCOUNT_ID, CALLER_ID, NUMBER, TEN
from tests.support.table import TABLE_NAME, create_table, every_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

API_KEY = "rdl_first-account"
OTHER_API_KEY = "rdl_other-account"
OTHER_ACCOUNT_ID = "00000000-0000-4000-8000-00000000000b"
UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "TABLE_NAME": TABLE_NAME,
    "KEEP_DAYS": "400",
    "SCHEDULE_GROUP": "redial-test",
    "SCHEDULER_ROLE_ARN": "arn:aws:iam::123456789012:role/redial-scheduler",
    "SCHEDULE_DLQ_ARN": "arn:aws:sqs:us-east-1:123456789012:redial-schedules",
    "DIAL_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/redial-dial",
    "DIAL_QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:redial-dial",
    "DELIVER_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/redial-deliver",
    "DELIVER_QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:redial-deliver",
    "BATCH_FUNCTION": "arn:aws:lambda:us-east-1:123456789012:function:redial-batch:live",
    "FILES_BUCKET": "redial-test-files",
    "UPLOADS_ENDPOINT": "",
    "ALLOW_LOCAL_WEBHOOKS": "false",
    "CARRIER_SECRETS": "redial",
    "PUBLIC_URL": "",
    "DEFAULT_CARRIER": "",
    "DEFAULT_FROM_PHONE_NUMBER": "",
    "DEFAULT_ANSWER": "",
    "CALLS_PER_SECOND": "0",
    "CONSOLE": "api",
    "POWERTOOLS_SERVICE_NAME": "redial",
    "POWERTOOLS_METRICS_NAMESPACE": "Redial",
}


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document that the function serves."""
    document: dict[str, Any] = json.loads(openapi_document())
    return document


def _closed(schema: Any) -> Any:
    """`schema` without additional properties, unless it permits them explicitly."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


@cache
def _components() -> dict[str, Any]:
    closed: dict[str, Any] = _closed(openapi()["components"])
    return closed


def check_documented(method: str, path: str, answer: gateway.Answer) -> None:
    """Assert that the route documents the status, and that the body matches its schema exactly."""
    body = answer.json
    if answer.status == 405:
        return check_error(answer)
    for template, operations in sorted(openapi()["paths"].items(), key=lambda pair: pair[0].count("{")):
        operation = operations.get(method.lower())
        if operation is None or not _matches(template, path):
            continue
        assert str(answer.status) in operation["responses"], f"{method} {path}: {answer.status} is not documented"
        content = operation["responses"][str(answer.status)].get("content", {})
        if not content:
            assert answer.text == "", f"{method} {path}: a body is not documented"
            return
        schema = content[answer.headers["content-type"]]["schema"]
        Draft202012Validator({**_closed(schema), "components": _components()}).validate(body)
        return
    check_error(answer)


def _matches(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(w == g or w.startswith("{") for w, g in zip(wanted, given, strict=True))


def check_error(answer: gateway.Answer) -> None:
    """Assert that the body has the form of all errors."""
    Draft202012Validator({"$ref": "#/components/schemas/ErrorBody", "components": _components()}).validate(answer.json)
    assert answer.json["error"] == answer.status
    assert answer.json["message"] == answer.json["detail"]


class Api:
    """A client of the handler. `now`: the clock; `invoked`: invoked functions, oldest first."""

    def __init__(self) -> None:
        self.now = TEN
        self.invoked: list[tuple[str, dict[str, Any]]] = []

    def advance(self, by: timedelta) -> None:
        self.now += by

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = API_KEY,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        base64_encoded: bool = False,
    ) -> gateway.Answer:
        """Send a request; `body` is sent as JSON, bytes unchanged."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {key}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        event = gateway.event(method, path, query=query, headers=sent, body=body, base64_encoded=base64_encoded)
        answer = gateway.answer(handler(event, gateway.Context()))  # type: ignore[arg-type]  # as much of it as is used
        if answer.headers.get("content-type") == "application/json":
            check_documented(method, "/" + "/".join(part for part in path.split("/") if part), answer)
        if answer.status >= 400:
            check_error(answer)
        return answer

    def agent(self, key: str = API_KEY, **config: Any) -> str:
        """Create an agent that can place calls, and return its id."""
        defaults = {
            "agent_name": "reminders",
            "answer_url": "https://voice.example.com/answer?execution={execution_id}",
            "from_phone_numbers": [CALLER_ID],
        }
        answer = self.send("POST", "/v2/agent", {"agent_config": defaults | config}, key=key)
        assert answer.status == 201, answer.text
        agent_id: str = answer.json["agent_id"]
        return agent_id

    def call(self, agent_id: str, key: str = API_KEY, **fields: Any) -> str:
        """Create a call and return its execution id."""
        body = {"agent_id": agent_id, "recipient_phone_number": NUMBER} | fields
        answer = self.send("POST", "/call", body, key=key)
        assert answer.status == 200, answer.text
        execution_id: str = answer.json["execution_id"]
        return execution_id


_RUNNING: list[Api] = []
"""The API of the running test."""
_ACCOUNTS: list[dict[str, Any]] = []
"""The stored items of the two accounts, once created."""


@contextmanager
def aws() -> Iterator[None]:
    """An emulated AWS with an empty table, and the api function's environment. A module shares them, since building the
    clients is slow."""

    def now() -> datetime:
        return _RUNNING[-1].now if _RUNNING else TEN

    def asked(function: str, event: Any) -> None:
        _RUNNING[-1].invoked.append((function, event))

    with mock.patch.dict(os.environ, ENVIRONMENT), emulated_aws(now, asked):
        services.reset()
        boto3.client("scheduler").create_schedule_group(Name=ENVIRONMENT["SCHEDULE_GROUP"])
        create_table(boto3.client("dynamodb"))
        try:
            yield
        finally:
            services.reset()


@contextmanager
def running_api() -> Iterator[Api]:
    """Within `aws()`: two accounts, each with a key, and nothing else; the clock stays at `TEN` until set."""
    services_of.cache_clear()  # it caches services of another test
    api = Api()
    system.use(now=lambda: api.now)
    _RUNNING.append(api)
    try:
        _create_accounts()
        yield api
    finally:
        _RUNNING.remove(api)
        system.use(now=lambda: datetime.now(UTC))
        _remove_everything()


def _create_accounts() -> None:
    for item in _ACCOUNTS:
        _dynamodb().put_item(TableName=TABLE_NAME, Item=item)
    if _ACCOUNTS:
        return
    for account_id, name, api_key in ((ACCOUNT_ID, "First", API_KEY), (OTHER_ACCOUNT_ID, "Other", OTHER_API_KEY)):
        keys.ensure_account(
            account_id=account_id,
            name=name,
            webhook_secret=keys.new_webhook_secret(),
            api_key=api_key,
            accounts=services_of("api").accounts,
            now=TEN,
        )
    _ACCOUNTS.extend(every_item(_dynamodb()))


def _remove_everything() -> None:
    """Remove every item and schedule."""
    for item in every_item(_dynamodb()):
        _dynamodb().delete_item(TableName=TABLE_NAME, Key={"pk": item["pk"], "sk": item["sk"]})
    scheduler = services_of("api").timers._client
    for schedule in scheduler.list_schedules()["Schedules"]:
        scheduler.delete_schedule(GroupName=schedule["GroupName"], Name=schedule["Name"])


def _dynamodb() -> "DynamoDBClient":
    return services_of("api").executions._table.client
