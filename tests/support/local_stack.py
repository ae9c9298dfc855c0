"""The local stack in a test, and a small client for its HTTP interfaces."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from local.stack import INBOX_NAME, LocalStack
from tests.support.table import every_item

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
"""Start of simulated time in tests."""


class Answer:
    """An HTTP answer. `json` raises ValueError if the body is not JSON."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body.decode(errors='replace')[:500]}>"


def request(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """Send one request. A body other than bytes is sent as JSON; header names of the answer are in lower case."""
    parts = urlsplit(url)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class LocalClient:
    """A customer of one stack, who can also move its clock and script its carrier."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request with the API key. Header names have underscores: `Idempotency_Key="x"`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Authorization", f"Bearer {self.stack.api_key}")
        return request(method, self.stack.url + path, body, sent)

    def configure(self, **config: Any) -> Any:
        """Change parts of the first agent's configuration; return the changed agent."""
        answer = self.api("PATCH", f"/v2/agent/{self.stack.agent_id}", {"agent_config": config})
        assert answer.status == 200, answer
        return answer.json

    def every_item(self) -> list[dict[str, Any]]:
        """Every item of the table, with DynamoDB's types."""
        return every_item(self.stack.aws.client("dynamodb"), self.stack.environment["TABLE_NAME"])

    def call(self, to: str, **fields: Any) -> str:
        """Create a call by the first agent and return its execution id."""
        body = {"agent_id": self.stack.agent_id, "recipient_phone_number": to, **fields}
        answer = self.api("POST", "/call", body)
        assert answer.status == 200, answer
        return str(answer.json["execution_id"])

    def execution(self, execution_id: str) -> Any:
        answer = self.api("GET", f"/executions/{execution_id}")
        assert answer.status == 200, answer
        return answer.json

    def script(self, to: str, *outcomes: str) -> None:
        """Script the outcomes of the next calls to that number."""
        answer = request("POST", f"{self.stack.carrier_url}/_carrier/scripts", {"to": to, "outcomes": outcomes})
        assert answer.status == 200, answer

    def calls(self, to: str | None = None) -> list[Any]:
        """The calls that the carrier placed, oldest first."""
        calls: list[Any] = request("GET", f"{self.stack.carrier_url}/_carrier/calls").json
        return [call for call in calls if to in (None, call["to"])]

    def inbox(self, name: str = INBOX_NAME, execution_id: str | None = None) -> list[Any]:
        """Every delivery attempt to that inbox, oldest first."""
        tries: list[Any] = request("GET", f"{self.stack.inbox_url}/_inbox/{name}").json
        return [one for one in tries if execution_id in (None, one["body"].get("id"))]

    def advance(self, minutes: float) -> None:
        self.stack.clock.advance(minutes)

    def assert_sound(self) -> None:
        """Assert that nothing failed unnoticed: no failed event or function, and no dead letter."""
        stack = self.stack
        assert stack.clock.failures == []
        assert stack.functions.failures == []
        assert stack.functions.dead_letters == []
        assert stack.scheduler.dead_letters == []


@contextmanager
def local_stack(**options: Any) -> Iterator[LocalClient]:
    """A separate stack on free ports, its clock stopped at `NOON`; see `LocalStack` for `options`."""
    with LocalStack(**{"start_at": NOON, **options}) as stack:
        yield LocalClient(stack)
