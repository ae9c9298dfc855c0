"""The local stack for measurements: started with a log, used over HTTP, checked against the carrier and the inbox."""

import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.report import say
from local.aws.functions import Function, Handler
from local.stack import LocalStack
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.domain.status import FINAL

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
SEED = 20260126
USER_DATA = {"note": "x" * 188}
"""200 bytes of JSON."""
RETRIES = {"enabled": True, "max_retries": 3, "retry_on_statuses": ["no-answer", "busy", "failed"]}
BATCH_RETRIES = {**RETRIES, "retry_intervals_minutes": [10, 20, 30], "retry_on_voicemail": True}
ANSWER_SECONDS = 600
"""Timeout of one request: advancing the clock takes as long as everything that happens meanwhile."""
STEP_MINUTES = 5
LONGEST_HOURS = 100
_BOUNDARY = "----redial-bench"


class Stack(LocalStack):
    """A stack whose clock starts at `NOON`. `around` may wrap a function's handler; functions write to `log`."""

    def __init__(self, log: Path, **options: Any) -> None:
        super().__init__(start_at=NOON, log=log, **options)
        self.aws.by_botocore = True
        self.log = log
        self.around: Callable[[Function, Handler], Handler] = lambda function, handler: handler

    def load(self, function: Function) -> Handler:
        return self.around(function, super().load(function))


@contextmanager
def running(**options: Any) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "functions.log", **options) as stack:
        assert isinstance(stack, Stack)
        yield stack


def function_name(module: str) -> str:
    """`dial` for functions.dial.handler."""
    return module.split(".")[1]


def ask(url: str, key: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Send one request; returns the answer's JSON. A body that is not bytes is sent as JSON.

    Raises `RuntimeError` unless the answer is 2xx.
    """
    parts = urlsplit(url)
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **(headers or {})}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), content, sent)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{method} {url} was answered {answer.status}: {text!r}")
    return json.loads(text)


# ---- batches ---------------------------------------------------------------------------------------------------------


def number(row: int) -> str:
    return f"+1415{2_000_000 + row}"


def create_batch(stack: LocalStack, agent_id: str, rows: int, retries: Mapping[str, Any], **more: str) -> str:
    """Upload a batch of `rows` contacts, with `more` fields; returns its id."""
    fields = {
        'name="agent_id"': agent_id,
        'name="retry_config"': json.dumps(retries),
        **{f'name="{name}"': value for name, value in more.items()},
        'name="file"; filename="contacts.csv"\r\nContent-Type: text/csv': "contact_number,note\n"
        + "".join(f"{number(row)},{USER_DATA['note']}\n" for row in range(1, rows + 1)),
    }
    parts = (
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{part}\r\n" for head, part in fields.items()
    )
    form = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    body = f"{''.join(parts)}--{_BOUNDARY}--\r\n".encode()
    return str(ask(f"{stack.url}/batches", stack.api_key, "POST", body, form)["batch_id"])


def schedule(stack: LocalStack, batch_id: str, minutes: float) -> None:
    """Have the batch start that many minutes from now."""
    body = urlencode({"scheduled_at": (stack.clock.now() + timedelta(minutes=minutes)).isoformat()}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    ask(f"{stack.url}/batches/{batch_id}/schedule", stack.api_key, "POST", body, form)


def play(stack: LocalStack, batch_id: str, settle_minutes: float = STEP_MINUTES) -> datetime:
    """Advance the clock until the batch is completed, and then so much that its last events are delivered.

    Returns when it completed. Raises `RuntimeError` after `LONGEST_HOURS`.
    """
    batches = DynamoBatches(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
    start, began = stack.clock.now(), time.monotonic()
    while True:
        stack.clock.advance(STEP_MINUTES)
        batch = batches.get(batch_id)
        assert batch is not None
        hours = (stack.clock.now() - start).total_seconds() / 3600
        calls = len(stack.carrier.calls.all())
        say(f"{hours:.2f} h simulated, {time.monotonic() - began:.0f} s: {calls} calls, batch {batch.status}")
        if batch.status == "completed":
            stack.clock.advance(settle_minutes)
            return next(change.at for change in batch.changes if change.status == "completed")
        if hours >= LONGEST_HOURS:
            raise RuntimeError(f"the batch is not completed after {LONGEST_HOURS} hours")


# ---- what must hold of a finished run --------------------------------------------------------------------------------


@dataclass
class Checked:
    """Figures of a finished run, and `faults`: violated expectations."""

    attempts: int = 0
    webhooks: int = 0
    duplicates: int = 0
    max_live: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)


def check(
    executions: Sequence[Any],
    calls: Sequence[tuple[str, datetime, datetime | None]],
    deliveries: Iterable[tuple[bool, str, Any]],
    lines: int,
) -> Checked:
    """Every execution is final, its events came in order, and the carrier's calls are exactly its attempts.

    `executions` as the API shows them, each with its own number; `calls`: number, placed at, ended at; `deliveries`:
    whether the webhook was signed and accepted, its id, and its body. One that is sent again counts as a duplicate.
    """
    found = Checked(sum(len(one["attempts"]) for one in executions))
    found.statuses = Counter(one["status"] for one in executions)
    sequences: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for accepted, webhook_id, body in deliveries:
        found.expect(accepted, f"webhook {webhook_id} was not accepted")
        if webhook_id in seen:
            found.duplicates += 1
            continue
        seen.add(webhook_id)
        sequences[body["id"]].append(body["sequence"])
    found.webhooks = len(seen)
    placed = Counter(to for to, _, _ in calls)
    for one in executions:
        name, got, attempts = one["id"], sequences[one["id"]], len(one["attempts"])
        found.expect(one["status"] in FINAL, f"{name} is {one['status']}")
        found.expect(got == list(range(1, one["sequence"] + 1)), f"{name}: events {got}, of {one['sequence']}")
        calls_of = placed[one["user_number"]]
        found.expect(calls_of == attempts, f"{name}: {calls_of} calls for {attempts} attempts")
    found.expect(len(calls) == found.attempts, f"the carrier placed {len(calls)} calls for {found.attempts} attempts")
    live = sum(ended is None for _, _, ended in calls)
    found.expect(live == 0, f"{live} calls are live")
    found.max_live = most_at_once([(placed_at, ended) for _, placed_at, ended in calls if ended is not None])
    found.expect(found.max_live <= lines, f"{found.max_live} calls were live at once on {lines} lines")
    return found


def most_at_once(spans: Sequence[tuple[datetime, datetime]]) -> int:
    """The largest number of (start, end) spans that overlap. A span may start at the instant at which another ends."""
    changes = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
