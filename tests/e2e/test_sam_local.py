"""Every payload in events/ under `sam local invoke`: the built functions and layer in Lambda's container.

Run by `make sam-local-check`; needs Docker. See docs/sam-local.md.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from redial.adapters.dynamodb.executions import DynamoExecutions
from tests.support import ministack, sample_events
from tests.support.sam_local import SamLocal, sam_local
from tests.support.sample_events import RETRY, RINGING, STATUS_CODES, WAITING, SampleEvent

pytestmark = [pytest.mark.sam_local, pytest.mark.filterwarnings("default")]

LEAVES = {
    "api.stop-call": (RETRY, "stopped", 2),
    "carrier_callback.no-answer": (RINGING, "scheduled", 2),
    "dial.first": (WAITING, "initiated", 1),
    "dial.retry": (RETRY, "initiated", 2),
    "carrier_callback.ringing": (RINGING, "ringing", 1),
}
"""Execution, its status and its current attempt afterwards."""


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
