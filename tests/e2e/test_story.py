"""The whole life cycle of a stack as one story: deploy, call, update while a call waits, delete.

It runs in real time, over the stack's own HTTP API. `make deploy-check` runs it on an emulated AWS,
`make deploy-check-aws` in an AWS account with a telephone; targets.py has the differences. run_log.py logs each step.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from redial.domain.delivery import TIMER_GRACE
from tests.e2e import targets
from tests.e2e.run_log import RunLog
from tests.e2e.targets import Target
from tests.support.stack import with_changed_code
from tests.support.template import functions, template

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("default")]

FINAL = {"completed", "no-answer", "busy", "failed", "canceled", "error"}
TRIED_AGAIN = {"no-answer", "busy", "failed"}
RETRY_MINUTES = 1
RING_SECONDS = 15
CALL_SECONDS, DELIVERY_SECONDS, TIMER_GONE_SECONDS = 180, 60, 180
"""How long to wait, at most: for the end of a call, for its webhooks, for the removal of a schedule that has fired."""
GONE_SECONDS = 90
"""A deleted SQS queue is listed for up to a minute."""
KEPT_FILE = "uploads/e2e/kept.txt"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    try:
        with targets.from_environment(tmp_path) as target:
            try:
                yield target
            finally:
                target.close()
    except targets.Refused as refused:
        raise pytest.fail.Exception(str(refused), pytrace=False) from None


def test_a_stack_is_deployed_used_updated_and_deleted(target: Target, tmp_path: Path) -> None:
    story = Story(target, RunLog.from_environment(), tmp_path)
    story.log.chapter(f"{datetime.now(UTC):%Y-%m-%d}, UTC: {target.about}")
    if not target.found_there:
        story.deploy()
    target.prepare()
    story.a_call_is_retried_by_its_schedule()
    if target.found_there:
        story.log("The stack was there before: it is neither updated nor deleted.")
        return
    story.a_waiting_retry_outlives_an_update()
    story.nothing_was_lost()
    story.delete()


class Story:
    """The story, with one method for each chapter."""

    def __init__(self, target: Target, log: RunLog, folder: Path) -> None:
        self.target = target
        self.stack = target.stack
        self.log = log
        self.folder = folder
        self._agent_id = ""
        self._made = Path()
        self._deployed_seconds = 0.0
        self._executions: list[str] = []

    # ---- chapters -------------------------------------------------------------------------------------------------

    def deploy(self) -> None:
        self.log.chapter("A release is made and deployed")
        self._made = self.target.make_dist(self.folder / "first")
        files = [path.name for path in self._made.iterdir()]
        self.log(f"make dist: {len(files)} files, {sum(name.endswith('.zip') for name in files)} of them zips")
        began = time.monotonic()
        self.target.deploy(self._made, LogLevel="INFO")
        self._deployed_seconds = time.monotonic() - began
        self.log(
            f"create-stack: {len(self.stack.resources())} resources, status {self.stack.describe()['StackStatus']}"
        )
        answer = self.target.api("GET", "/health")
        assert answer.status == 200, answer
        self.log("GET /health: 200")
        page = self.target.api("GET", "/console")
        files = re.findall(r'"(/console/[0-9a-f]{16}/[a-z]+[.](?:js|css|svg))"', page.text)
        assert page.status == 200 and len(files) == 4, page  # icon, style, libraries, console
        assert {self.target.api("GET", file).status for file in files} == {200}
        self.log(f"GET /console: 200, and its {len(files)} files")

    def a_call_is_retried_by_its_schedule(self) -> None:
        self.log.chapter("An unanswered call is retried by its schedule")
        number = self.target.number("no-answer", "completed")
        before = self.target.carriers_calls(number)
        execution_id = self._call(number, RETRY_MINUTES)
        retry_at = self._failed_and_waiting(execution_id)
        timer = self._timer(execution_id)
        assert json.loads(timer["Target"]["Input"]) == {"execution_id": execution_id, "attempt": 2}
        queue = self.stack.resources()["DialQueue"]["PhysicalResourceId"]
        assert timer["Target"]["Arn"].rpartition(":")[2] == queue.rpartition("/")[2]
        assert timer["ActionAfterCompletion"] == "DELETE"
        assert len(self.target.carriers_calls(number) - before) == 1
        self._retry_is_dialled_by_the_timer(execution_id, retry_at)
        self._ends(execution_id)
        self._every_webhook_arrived(execution_id)
        assert self.target.carriers_calls(number) - before == self._call_ids(execution_id)
        self.log("the carrier's own list: 2 calls, one for each attempt")

    def a_waiting_retry_outlives_an_update(self) -> None:
        self.log.chapter("The stack is updated while a retry is waiting")
        number = self.target.number("busy", "busy")
        called = self.target.carriers_calls(number)
        # The update may take twice as long as the first deployment.
        execution_id = self._call(number, math.ceil(2 * self._deployed_seconds / 60))
        retry_at = self._failed_and_waiting(execution_id)
        bucket = self.stack.outputs()["FilesBucketName"]
        self.stack.client("s3").put_object(Bucket=bucket, Key=KEPT_FILE, Body=b"kept")
        timer, before, table = self._timer(execution_id), self.stack.resources(), self._table()
        versions = self.stack.live_versions()
        layers = {function: self.stack.live(function)["Layers"] for function in functions()}

        changed = with_changed_code(self._made, self.folder / "changed")
        self.target.deploy(changed, LogLevel="DEBUG")
        self.log(f"update-stack with another layer and LogLevel: status {self.stack.describe()['StackStatus']}")
        for function in functions():
            live = self.stack.live(function)
            assert live["Version"] != versions[function] and live["Layers"] != layers[function], function
            assert live["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "DEBUG", function
        moved = ", ".join(f"{name} {versions[name]}→{now}" for name, now in self.stack.live_versions().items())
        self.log(f"a new version of each function is live: {moved}")
        assert datetime.now(UTC) < retry_at, "the update took longer than the retry's interval"

        after = self.stack.resources()
        for logical_id in ("Table", "FilesBucket", "ScheduleGroup"):
            assert after[logical_id]["PhysicalResourceId"] == before[logical_id]["PhysicalResourceId"]
        assert self._table() == table
        self._all_items_are_there()
        assert self._file(bucket) == b"kept"
        assert self._timer(execution_id) == timer
        self.log("the same table with its items, the same bucket with its file, the same group with the same schedule")

        self._retry_is_dialled_by_the_timer(execution_id, retry_at)
        self._ends(execution_id)
        self._every_webhook_arrived(execution_id)
        assert self.target.carriers_calls(number) - called == self._call_ids(execution_id)
        self.log("the carrier's own list: 2 calls, the waiting retry was dialled once, after the update")

    def nothing_was_lost(self) -> None:
        """Assert that the dead-letter queues are empty and no event is undelivered."""
        outputs, sqs = self.stack.outputs(), self.stack.client("sqs")
        for name in (name for name in outputs if name.endswith("DeadLettersUrl")):
            queue = sqs.get_queue_attributes(QueueUrl=outputs[name], AttributeNames=["ApproximateNumberOfMessages"])
            assert queue["Attributes"]["ApproximateNumberOfMessages"] == "0", name
        undelivered = self.target.api("GET", "/webhooks/undelivered")
        assert undelivered.status == 200 and undelivered.json["data"] == [], undelivered
        self.log("no dead letters, no undelivered events")

    def delete(self) -> None:
        self.log.chapter("The stack is deleted")
        resources, bucket = self.stack.resources(), self.stack.outputs()["FilesBucketName"]
        retained = {
            name
            for name, resource in template()["Resources"].items()
            if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        }
        kinds = {name: one["ResourceType"] for name, one in resources.items()}
        places = {name: one["PhysicalResourceId"] for name, one in resources.items()}
        known = [name for name in resources if self.stack.is_there(kinds[name], places[name]) is not None]
        assert [name for name in known if not self._is_there(kinds, places, name)] == []
        table = self._table()
        self.stack.delete()
        assert not self.stack.exists()
        self.log("delete-stack")

        assert self._table() == table
        self._all_items_are_there()
        assert self._file(bucket) == b"kept"
        self.log(f"table {self.target.table_name} and bucket {bucket} are there, with what was in them")
        self._wait_for(
            "the end of the rest",
            lambda: {name for name in known if self._is_there(kinds, places, name)} <= retained,
            GONE_SECONDS,
        )
        gone = [kinds[name] for name in known if name not in retained]
        self.log("gone: " + ", ".join(f"{gone.count(kind)} {kind}" for kind in sorted(set(gone))))
        others = {kinds[name] for name in resources if name not in known and name not in retained}
        self.log("not looked for by themselves: " + (", ".join(sorted(others)) or "nothing"))

    # ---- steps of the chapters ------------------------------------------------------------------------------------

    def _call(self, number: str, retry_minutes: int) -> str:
        if not self._agent_id:
            agent = {
                "agent_name": "end-to-end check",
                "webhook_url": self.target.webhook_url,
                "from_phone_numbers": [self.target.from_number],
                "answer_url": self.target.answer_url,
                "ring_timeout_seconds": RING_SECONDS,
            }
            answer = self.target.api("POST", "/v2/agent", {"agent_config": agent})
            assert answer.status == 201, answer
            self._agent_id = answer.json["agent_id"]
            self.log("POST /v2/agent: 201")
        retries = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [retry_minutes]}
        call = {"agent_id": self._agent_id, "recipient_phone_number": number, "retry_config": retries}
        answer = self.target.api("POST", "/call", call)
        assert answer.status == 200 and answer.json["status"] == "queued", answer
        execution_id: str = answer.json["execution_id"]
        self._executions.append(execution_id)
        self.log(f"POST /call, retry after {retry_minutes} min: 200, queued")
        if self.target.people:
            self.log("            >>> a telephone rings: do NOT answer this time <<<")
        return execution_id

    def _failed_and_waiting(self, execution_id: str) -> datetime:
        """Wait until the first attempt has failed; the second must be scheduled. Returns its time."""
        self._wait_for(
            "the first attempt's end",
            lambda: self._execution(execution_id)["status"] in (FINAL | {"scheduled"}) - TRIED_AGAIN,
            CALL_SECONDS,
        )
        execution = self._execution(execution_id)
        assert execution["status"] == "scheduled", f"not tried again (was the call answered?): {execution['status']}"
        (attempt,) = (one for one in execution["attempts"] if one["attempt"] == 1)
        assert attempt["status"] in TRIED_AGAIN
        next_attempt = execution["next_attempt"]
        assert next_attempt["attempt"] == 2
        retry_at = datetime.fromisoformat(next_attempt["at"])
        self.log(f"attempt 1 ended: {attempt['status']}; attempt 2 is to be at {retry_at:%H:%M:%S}")
        timer = self._timer(execution_id)
        assert timedelta(0) <= _time_of(timer) - retry_at <= timedelta(seconds=1), "in whole seconds, never earlier"
        self.log(f"its schedule: {timer['ScheduleExpression']} in group {timer['GroupName']}, to dial's queue")
        if self.target.people:
            self.log("            >>> next time it rings, answer or not, as you like <<<")
        return retry_at

    def _retry_is_dialled_by_the_timer(self, execution_id: str, retry_at: datetime) -> None:
        def dialled() -> bool:
            return any(one["attempt"] == 2 and one["dialed_at"] for one in self._execution(execution_id)["attempts"])

        wait = (retry_at - datetime.now(UTC)).total_seconds()
        self._wait_for("the retry", dialled, max(wait, 0) + TIMER_GRACE.total_seconds())
        (attempt,) = (one for one in self._execution(execution_id)["attempts"] if one["attempt"] == 2)
        dialled_at = datetime.fromisoformat(attempt["dialed_at"])
        # The sweeper would act later, so the schedule dialled.
        assert retry_at <= dialled_at < retry_at + TIMER_GRACE
        late = (dialled_at - retry_at).total_seconds()
        self._wait_for("the end of the schedule", lambda: not self._timers(execution_id), TIMER_GONE_SECONDS)
        self.log(f"the schedule fired and is gone; attempt 2 was dialled at {dialled_at:%H:%M:%S}, {late:.1f} s late")

    def _ends(self, execution_id: str) -> None:
        self._wait_for("the call's end", lambda: self._execution(execution_id)["status"] in FINAL, CALL_SECONDS)
        execution = self._execution(execution_id)
        attempts = [one["status"] for one in execution["attempts"]]
        assert len(attempts) == len(self._call_ids(execution_id)) == 2
        self.log(f"ended: {execution['status']}, attempts {' and '.join(attempts)}")

    def _every_webhook_arrived(self, execution_id: str) -> None:
        """Assert that all webhooks arrived in order, by the stack's log and, if readable, by the webhook itself."""

        def accepted() -> list[int]:
            entries = self.target.api("GET", f"/executions/{execution_id}/log").json["data"]
            webhooks = [one["data"] for one in entries if one["type"] == "webhook"]
            return [one["sequence"] for one in webhooks if one["outcome"] == "accepted"]

        wanted = list(range(1, self._execution(execution_id)["sequence"] + 1))
        self._wait_for("the last webhook", lambda: len(accepted()) == len(wanted), DELIVERY_SECONDS)
        assert accepted() == wanted
        received = self.target.received(execution_id)
        if received is None:
            self.log(f"{len(wanted)} webhooks accepted, in order, says the execution's log")
            return
        assert [one.body["sequence"] for one in received] == wanted
        assert all(one.verified for one in received)
        statuses = [one.body["status"] for one in received]
        attempts = [one["status"] for one in self._execution(execution_id)["attempts"]]
        assert _in_this_order(["queued", attempts[0], "scheduled", attempts[1]], statuses), statuses
        self.log(f"{len(wanted)} webhooks arrived, signed and in order: {', '.join(statuses)}")

    # ---- reading --------------------------------------------------------------------------------------------------

    def _execution(self, execution_id: str) -> Any:
        answer = self.target.api("GET", f"/executions/{execution_id}")
        assert answer.status == 200, answer
        return answer.json

    def _call_ids(self, execution_id: str) -> set[str]:
        return {one["provider_call_id"] for one in self._execution(execution_id)["attempts"]}

    def _timers(self, execution_id: str) -> list[Any]:
        scheduler = self.stack.client("scheduler")
        timers = scheduler.list_schedules(GroupName=self.stack.name, NamePrefix=f"{execution_id}.dial.")
        found: list[Any] = timers["Schedules"]
        return found

    def _timer(self, execution_id: str) -> dict[str, Any]:
        """The single schedule of the execution's dial, without the answer's metadata."""
        (timer,) = self._timers(execution_id)
        found = self.stack.client("scheduler").get_schedule(GroupName=self.stack.name, Name=timer["Name"])
        return {name: value for name, value in found.items() if name != "ResponseMetadata"}

    def _table(self) -> dict[str, Any]:
        """The table's identity, which differs for another table of the same name."""
        table = self.stack.client("dynamodb").describe_table(TableName=self.target.table_name)["Table"]
        return {name: table[name] for name in ("TableArn", "TableId", "CreationDateTime", "LatestStreamArn")}

    def _all_items_are_there(self) -> None:
        dynamodb = self.stack.client("dynamodb")
        for execution_id in self._executions:
            found = dynamodb.query(
                TableName=self.target.table_name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"X#{execution_id}"}},
                ConsistentRead=True,
            )
            assert found["Count"] >= 1, execution_id

    def _file(self, bucket: str) -> bytes:
        body: bytes = self.stack.client("s3").get_object(Bucket=bucket, Key=KEPT_FILE)["Body"].read()
        return body

    def _is_there(self, kinds: dict[str, str], places: dict[str, str], name: str) -> bool:
        return bool(self.stack.is_there(kinds[name], places[name]))

    @staticmethod
    def _wait_for(what: str, happened: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
            time.sleep(0.5)


def _time_of(timer: dict[str, Any]) -> datetime:
    assert timer["ScheduleExpressionTimezone"] == "UTC"
    return datetime.strptime(timer["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)


def _in_this_order(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether all of `wanted` occur in this order, possibly with others in between."""
    rest = iter(found)
    return all(one in rest for one in wanted)
