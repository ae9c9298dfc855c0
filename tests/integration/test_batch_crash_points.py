"""Every crash point of a small batch: a function is gone before or after each single request that it makes for it.

One batch for each crash point, each of an agent of its own with one line, all at once on one stack: two contacts, of
whom one is busy at first. The n-th request that any function makes for a batch (reading its file, starting it,
dialling, callbacks, handing the line on, counting, completing, telling) is where that function is cut off, before the
request or right after it took effect; no clean-up code runs. Then time passes, and everything due runs again.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from local.lambda_functions import Invocation
from redial.domain.batch import contact_id
from tests.integration.test_crash_points import Cutter
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RETRIES = {
    "enabled": True,
    "max_retries": 2,
    "retry_on_statuses": ["no-answer", "busy", "failed", "error"],
    "retry_intervals_minutes": [1],
}
ROWS = 2
ENOUGH_MINUTES = 90
"""Covers a worker's lease (16 minutes) and two looks at a running batch (10 minutes each), and what follows from
them."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Batches:
    """Batches by index, and whose every invocation is."""

    def __init__(self, client: LocalClient) -> None:
        self.client = client
        self.ids: dict[int, str] = {}
        self._of: dict[str, str] = {}

    def key(self, invocation: Invocation) -> str | None:
        event = invocation.event
        if "batch_id" in event:
            return self._of.get(event["batch_id"])
        if "execution_id" in event:
            return self._of.get(event["execution_id"])
        if "Records" in event:
            keys = [record["dynamodb"]["Keys"]["pk"]["S"].removeprefix("X#") for record in event["Records"]]
            return self._of.get(keys[0]) if keys else None
        path = event.get("rawPath", "")
        found = _ID.search(path) if path.startswith("/callbacks/") else None
        return self._of.get(found.group()) if found else None

    def start(self, index: int) -> None:
        client = self.client
        agent_id = client.stack.create_agent(agent_name=f"agent {index}", max_concurrent_calls=1)
        for row in range(ROWS):
            client.script(number(index, row), *(["busy", "completed"] if row == 0 else ["completed"]))
        file = "\n".join(["contact_number", *(number(index, row) for row in range(ROWS))])
        fields = [("agent_id", agent_id), ("retry_config", json.dumps(RETRIES)), ("start", "now")]
        answer = client.api("POST", "/batches", multipart(fields, file), Content_Type=CONTENT_TYPE)
        assert answer.status == 201, answer
        batch_id = self.ids[index] = answer.json["batch_id"]
        self._of[batch_id] = str(index)
        for row in range(1, ROWS + 1):
            self._of[contact_id(batch_id, row)] = str(index)

    def check(self, cut: dict[str, str]) -> None:
        """Every promise, for every batch."""
        placed = Counter(call["to"] for call in self.client.calls())
        told: dict[str, set[int]] = defaultdict(set)
        for one in self.client.inbox():
            if one["answered"] == 200:
                told[one["body"]["id"]].add(one["body"]["sequence"])
        for index, batch_id in self.ids.items():
            where = (index, cut.get(str(index)))
            batch = self.client.api("GET", f"/batches/{batch_id}").json
            executions = self.client.api("GET", f"/batches/{batch_id}/executions").json
            recount = Counter(execution["status"] for execution in executions)
            assert batch["status"] == "completed", (where, batch)
            assert batch["execution_status"] == dict(recount) == {"completed": ROWS}, (where, batch)
            for row, execution in enumerate(executions):
                dialled = [one for one in execution["attempts"] if one["provider_call_id"]]
                assert placed[number(index, row)] == len(dialled) <= 1 + int(str(RETRIES["max_retries"])), where
                assert told[execution["id"]] == set(range(1, execution["sequence"] + 1)), (where, execution["id"])


def number(index: int, row: int) -> str:
    return f"+1202{index:04d}{row:03d}"


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack(first_agent=False) as client:
        yield client


def test_no_crash_point_of_a_batch_dials_twice_forgets_or_miscounts(client: LocalClient) -> None:
    batches = Batches(client)
    counting = Cutter(batches.key)
    client.stack.aws.hooks.append(counting)
    batches.start(0)
    client.advance(ENOUGH_MINUTES)
    client.stack.aws.hooks.remove(counting)
    batches.check({})
    requests = len(counting.requests["0"])
    functions = {what.split()[0].removeprefix("redial-local-") for what in counting.requests["0"]}
    assert functions >= {"batch", "dial", "carrier-callback", "deliver", "tally"}

    points = [(nth, phase) for nth in range(1, requests + 1) for phase in ("before", "after")]
    cutter = Cutter(batches.key)
    cutter.at = {str(index): point for index, point in enumerate(points, start=1)}
    client.stack.aws.hooks.append(cutter)
    for index in range(1, len(points) + 1):
        batches.start(index)
    client.advance(ENOUGH_MINUTES)
    client.stack.aws.hooks.remove(cutter)
    batches.check(cutter.cut)
    # Tally counts for many batches at once, so that each makes fewer requests than the one that was alone.
    assert len(cutter.cut) >= 0.75 * len(points), (len(cutter.cut), len(points))
    assert client.api("GET", "/user/me").json["concurrency"]["current"] == 0
