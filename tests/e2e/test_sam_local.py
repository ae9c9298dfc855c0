"""Every payload in events/ under `sam local invoke`, and the HTTP API under `sam local start-api`: the built functions
and layer run in Lambda's container.

Run by `make sam-local-check`; needs Docker. See docs/sam-local.md.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from tests.support import ministack, sample_events
from tests.support.local_stack import request
from tests.support.sam_local import SamLocal, sam_local
from tests.support.sample_events import RETRY, RINGING, STATUS_CODES, WAITING, SampleEvent

pytestmark = [pytest.mark.sam_local, pytest.mark.filterwarnings("default")]

LEAVES = {
    "api.stop-call": (RETRY, "stopped", 2),
    "carrier_callback.no-answer": (RINGING, "scheduled", 2),
    "dial.first": (WAITING, "initiated", 1),
    "dial.older-schedule": (RETRY, "initiated", 2),
    "dial.retry": (RETRY, "initiated", 2),
    "carrier_callback.ringing": (RINGING, "ringing", 1),
}
"""Each execution, with its status and current attempt afterwards."""


@pytest.fixture(scope="module")
def local() -> Iterator[SamLocal]:
    with sam_local() as local:
        yield local


@pytest.mark.parametrize("event", sample_events.sample_events(), ids=str)
def test_a_sample_event_runs_in_lambdas_container(event: SampleEvent, local: SamLocal) -> None:
    local.put_records()
    answer, log = local.invoke(event)
    assert "REPORT RequestId" in log
    status: Any = answer and answer.get("statusCode")
    assert status == STATUS_CODES.get(str(event))
    if str(event) in LEAVES:
        execution_id, wanted, attempt = LEAVES[str(event)]
        execution = DynamoExecutions(local.aws.client("dynamodb"), ministack.STACK).get(execution_id)
        assert execution is not None
        assert (str(execution.state.status), execution.state.attempt.number) == (wanted, attempt)
    batches = DynamoBatches(local.aws.client("dynamodb"), ministack.STACK)
    match str(event):
        case "api.create-batch":
            batch = batches.get(json.loads(answer["body"])["batch_id"])
            assert batch is not None and batch.file_name == "contacts.csv"
        case "batch.carry-on":
            batch = batches.get(sample_events.BATCH)
            assert batch is not None and batch.status == "running"
        case "tally.new-contact":
            assert answer == {"state": {}}
            (record,) = event.payload["Records"]
            counted = batches.counted_up_to(sample_events.BATCH, event.payload["shardId"])
            assert counted is not None and int(counted) == int(record["dynamodb"]["SequenceNumber"])


def test_start_api_answers(local: SamLocal) -> None:
    local.put_records()
    key = {"Authorization": f"Bearer {sample_events.API_KEY}"}
    with local.api() as url:
        assert request("GET", f"{url}/health").status == 200
        assert request("GET", f"{url}/console").status == 200
        assert request("GET", f"{url}/executions/{WAITING}").status == 401
        call = {"agent_id": sample_events.AGENT_ID, "recipient_phone_number": "+14155550199"}
        answer = request("POST", f"{url}/call", call, key)
        assert (answer.status, answer.json["status"]) == (200, "queued"), answer
        execution = request("GET", f"{url}/executions/{answer.json['execution_id']}", headers=key)
        assert (execution.status, execution.json["user_number"]) == (200, "+14155550199"), execution
        calls = request("GET", f"{url}/v2/agent/{sample_events.AGENT_ID}/executions", headers=key)
        assert calls.status == 200 and answer.json["execution_id"] in [one["id"] for one in calls.json["data"]], calls
