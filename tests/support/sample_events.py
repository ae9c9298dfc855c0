"""The records named by the payloads in events/: an account, two agents and executions.

Tests store these in a table and run each payload through its function.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import Batch, contact
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.runtime import keys
from tests.support import samples

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

FOLDER = Path(__file__).parents[2] / "events"

ACCOUNT_ID = "local"
API_KEY = "local-dev-key"
TWILIO_SECRET = {
    "account_sid": "ACee3ef3d4b96904ecb1e47b01292795fe",
    "auth_token": "74d66d4241fdd26dac4cb8948f5dab0f",
}
"""The account of the callbacks: the emulated carrier's with seed 0, as in `make run`. Their signatures use its token
and the host in the payload."""
AGENT_ID = samples.AGENT_ID
WAITING, RETRY, RINGING, UNDELIVERED = (f"e000000{number}-0000-4000-8000-00000000000{number}" for number in range(1, 5))
"""Executions: due for the first dial, due for the second dial, placed, and with events to deliver."""
BATCH = "e0000006000040008000000000000006"
"""A batch with one contact that is due to start."""


@dataclass(frozen=True)
class SampleEvent:
    """events/<function>.<case>.json."""

    function: str
    case: str
    payload: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.function}.{self.case}"


def sample_events() -> list[SampleEvent]:
    """Every payload, by file name."""
    found = []
    for path in sorted(FOLDER.glob("*.*.json")):
        function, case, _ = path.name.split(".")
        if function != "env":
            found.append(SampleEvent(function, case, json.loads(path.read_text())))
    return found


def put_records(client: "DynamoDBClient", table_name: str, now: datetime, webhook_url: str | None = None) -> None:
    """Store the payloads' records in the table, with times relative to `now` (aware UTC)."""
    keys.ensure_account(
        account_id=ACCOUNT_ID,
        name="Sample account",
        webhook_secret=keys.new_webhook_secret(),
        api_key=API_KEY,
        accounts=DynamoAccounts(client, table_name),
        now=now,
    )
    agents, executions = DynamoAgents(client, table_name), DynamoExecutions(client, table_name)
    agents.save(samples.agent(account_id=ACCOUNT_ID, created_at=now, updated_at=now, webhook_url=webhook_url))
    for execution in _executions(now):
        executions.create(execution.with_due(now))
    batch = Batch(BATCH, ACCOUNT_ID, AGENT_ID, now, "contacts.csv", retry_config=samples.RETRIES)
    batch = batch.begin(now, start=True).processed(1, 1, now)
    DynamoBatches(client, table_name).create(batch.with_due(now))
    executions.create(contact(batch, 1, samples.NUMBER, {"first_name": "Ada"}))


def _executions(now: datetime) -> tuple[Execution, ...]:
    def queued(execution_id: str, at: datetime) -> Execution:
        number = f"+1415555030{execution_id[7]}"  # a number of its own, since no number is called twice at once
        execution = Execution(execution_id, ACCOUNT_ID, AGENT_ID, at, number, retry_config=samples.RETRIES)
        return samples.saved(execution.begin(at, None))

    half_an_hour_ago = now - timedelta(minutes=31)
    just_now = now - timedelta(seconds=20)
    failed_once = samples.placed(queued(RETRY, half_an_hour_ago), half_an_hour_ago)
    return (
        queued(WAITING, now),
        samples.reported(failed_once, Status.BUSY, half_an_hour_ago + timedelta(seconds=9)),
        samples.placed(queued(RINGING, just_now), just_now),
        queued(UNDELIVERED, now),
    )


STATUS_CODES = {
    "api.bad-json": 400,
    "api.create-batch": 201,
    "api.create-call": 200,
    "api.get-execution": 200,
    "api.stop-call": 200,
    "api.unauthorized": 401,
    "carrier_callback.amd": 204,
    "carrier_callback.forged": 403,
    "carrier_callback.no-answer": 204,
    "carrier_callback.ringing": 204,
}
"""Functions with an answer; the others return nothing."""
