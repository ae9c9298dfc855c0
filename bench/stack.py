"""The local stack for measurements: started with a log, used over HTTP, checked against the carrier and the inbox."""

import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.report import say
from local.aws.functions import Function, Handler
from local.carriers.twilio_calls import Call
from local.stack import INBOX_NAME, LocalStack
from local.web.inbox import Delivery
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.domain.status import FINAL
from tests.support.forms import CONTENT_TYPE, multipart

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
SEED = 20260126
USER_DATA = {"note": "x" * 188}
"""User data of 200 bytes of JSON."""
RETRIES = {"enabled": True, "max_retries": 3, "retry_on_statuses": ["no-answer", "busy", "failed"]}
BATCH_RETRIES = {**RETRIES, "retry_intervals_minutes": [10, 20, 30], "retry_on_voicemail": True}
START = timedelta(minutes=2)
"""How far ahead a batch's start must be."""
STEP_MINUTES = 5
LONGEST_HOURS = 100
_CALLBACK = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27})/([0-9]+)")


class Stack(LocalStack):
    """A stack whose clock starts at `NOON`. `around` may wrap a function's handler. Functions write to `log`."""

    def __init__(self, log: Path, **options: Any) -> None:
        super().__init__(start_at=NOON, log=log, **options)
        self.aws.by_botocore = True
        self.log = log
        self.around: Callable[[Function, Handler], Handler] = lambda function, handler: handler

    def load(self, function: Function) -> Handler:
        return self.around(function, super().load(function))

    def start_batch(self, agent_id: str, rows: int, retries: Any = BATCH_RETRIES, **more: str) -> str:
        """Upload a batch of `rows` contacts, with `more` fields, and start it as soon as the API allows.

        Returns the batch's id.
        """
        fields = {"agent_id": agent_id, "retry_config": json.dumps(retries), **more}
        lines = ["contact_number,note", *(f"{number(row)},{USER_DATA['note']}" for row in range(1, rows + 1))]
        form = multipart(list(fields.items()), "\n".join(lines) + "\n")
        batch_id = str(self.ask("POST", "/batches", form, {"Content-Type": CONTENT_TYPE})["batch_id"])
        self.clock.advance(1)
        at = urlencode({"scheduled_at": (self.clock.now() + START).isoformat()}).encode()
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        self.ask("POST", f"/batches/{batch_id}/schedule", at, form_type)
        return batch_id

    def play(self, batch_id: str) -> float:
        """Advance the clock until the batch is completed, and then until its last events are delivered.

        Returns the simulated hours until its completion. Raises `RuntimeError` after `LONGEST_HOURS`.
        """
        batches = DynamoBatches(self.aws.client("dynamodb"), self.environment["TABLE_NAME"])
        start, began = self.clock.now(), time.monotonic()
        while True:
            self.clock.advance(STEP_MINUTES)
            batch = batches.get(batch_id)
            assert batch is not None
            hours = (self.clock.now() - start).total_seconds() / 3600
            calls = len(self.carrier.calls.all())
            say(f"{hours:.2f} h simulated, {time.monotonic() - began:.0f} s: {calls} calls, batch {batch.status}")
            if batch.status == "completed":
                self.clock.advance(STEP_MINUTES)
                (completed,) = (change.at for change in batch.changes if change.status == "completed")
                return (completed - start).total_seconds() / 3600
            if hours >= LONGEST_HOURS:
                raise RuntimeError(f"the batch is not completed after {LONGEST_HOURS} hours")


@contextmanager
def running(**options: Any) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "functions.log", **options) as stack:
        assert isinstance(stack, Stack)
        yield stack


def function_name(module: str) -> str:
    """`dial` for functions.dial.handler."""
    return module.split(".")[1]


def number(row: int) -> str:
    """The number of a batch's contact."""
    return f"+1415{2_000_000 + row}"


# ---- what must hold of a finished run --------------------------------------------------------------------------------


@dataclass
class Checked:
    """Figures of a finished run. `faults`: failed expectations. `repeated`: webhooks that were sent again."""

    attempts: int = 0
    webhooks: int = 0
    repeated: int = 0
    max_live: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    @property
    def ended(self) -> str:
        """The final statuses, counted."""
        return ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items()))


def check(executions: Sequence[Any], calls: Sequence[Call], deliveries: Sequence[Delivery]) -> Checked:
    """Check that every execution is final, its events came in order, and the carrier's calls are exactly its attempts.

    `executions`: as shown by the API.
    """
    attempts = [(one["id"], str(nth)) for one in executions for nth in range(1, len(one["attempts"]) + 1)]
    found = Checked(len(attempts), statuses=Counter(one["status"] for one in executions))
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        webhook_id = delivery.headers["webhook-id"]
        first.setdefault(webhook_id, delivery)
        found.expect(delivery.verified and delivery.answered == 200, f"webhook {webhook_id} was not accepted")
    found.webhooks, found.repeated = len(first), len(deliveries) - len(first)
    sequences: dict[str, list[int]] = defaultdict(list)
    for delivery in first.values():
        sequences[delivery.body["id"]].append(delivery.body["sequence"])
    for one in executions:
        name, events = one["id"], sequences[one["id"]]
        found.expect(one["status"] in FINAL, f"{name} is {one['status']}")
        found.expect(events == list(range(1, one["sequence"] + 1)), f"{name}: events {events}, of {one['sequence']}")
    reports = [_CALLBACK.search(call.request.status_callback or "") for call in calls]
    placed, wanted = Counter((report[1], report[2]) for report in reports if report), Counter(attempts)
    for name, nth in sorted(placed.keys() | wanted.keys()):
        got = placed[name, nth]
        found.expect(got == wanted[name, nth], f"{name}: {got} calls for attempt {nth}, not {wanted[name, nth]}")
    found.expect(placed.total() == len(calls), f"{len(calls) - placed.total()} calls report on no attempt")
    return found


def examine(stack: Stack, executions: Sequence[Any], lines: int, before: int = 0) -> Checked:
    """`check`, and check that there were never more live calls than lines, no failure and no dead letter. `before`:
    the number of earlier calls, of other executions."""
    found = check(executions, stack.carrier.calls.all()[before:], stack.inbox.received(INBOX_NAME))
    live, found.max_live = stack.carrier.calls.live()
    found.expect(live == 0, f"{live} calls are live")
    found.expect(found.max_live <= lines, f"{found.max_live} calls were live at once on {lines} lines")
    for failures in (
        stack.clock.failures, stack.functions.failures, stack.functions.dead_letters, stack.scheduler.dead_letters,
        stack.carrier.calls.problems,
    ):  # fmt: skip
        found.expect(not failures, f"something failed: {failures[:1]}")
    return found
