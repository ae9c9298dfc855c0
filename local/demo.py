"""`python -m local demo`: a call (no answer, busy, answered) and a batch; hours of simulated time in seconds."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local import ROOT
from local.stack import LocalStack
from local.terminal import line_of
from local.web.inbox import Delivery
from local.web.server import Response, send
from redial.domain.status import FINAL, Status

NUMBER = "+12025550123"
STARTS_AT = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
INTERVALS_MINUTES = (30, 60, 120)
CALL = {
    "recipient_phone_number": NUMBER,
    "retry_config": {"enabled": True, "max_retries": 3, "retry_intervals_minutes": INTERVALS_MINUTES},
}
STORY = (
    *("queued", "initiated", "ringing", "no-answer", "scheduled"),
    *("initiated", "busy", "scheduled"),
    *("initiated", "ringing", "in-progress", "completed"),
)
"""The statuses that the webhook must receive, in order (a busy line does not ring)."""
LATEST = timedelta(minutes=1)
"""EventBridge Scheduler fires within the minute that begins at a schedule's time."""


CONTACTS = ROOT / "events" / "contacts.csv"
BATCH_LINES = 3
BATCH_RETRIES = '{"enabled": true, "max_retries": 2, "retry_intervals_minutes": [15, 30]}'
BATCH_MINUTES = 180
_BAR_WIDTH = 40


def play(log: Path, say: Callable[[str], None]) -> list[str]:
    """Play a call and a batch, print each step with `say`, and return all errors found."""
    return [*_play_call(log, say), *_play_batch(log, say)]


def _play_batch(log: Path, say: Callable[[str], None]) -> list[str]:
    """Call a file of contacts over a few lines, with retries, until every call is final."""
    with LocalStack(start_at=STARTS_AT, log=log) as stack:
        agent_id = stack.create_agent(agent_name="Campaign", max_concurrent_calls=BATCH_LINES)
        say(
            f"\nA batch: the contacts of {CONTACTS.relative_to(ROOT)}, {BATCH_LINES} lines, at most two retries each.\n"
        )
        batch_id = _upload(stack, agent_id)
        shown, batch = "", json.loads(_get(stack, f"/batches/{batch_id}").body)
        for _ in range(BATCH_MINUTES):
            stack.clock.advance(1)
            batch = json.loads(_get(stack, f"/batches/{batch_id}").body)
            counts = ", ".join(f"{count} {status}" for status, count in batch["execution_status"].items())
            if counts != shown:
                shown = counts
                say(f"{stack.clock.now():%H:%M}  {batch['status']:<9}  {_bar(batch)}  {counts}")
        say("\nresults.csv:")
        results = _get(stack, f"/batches/{batch_id}/results.csv").body.decode()
        for row in csv.DictReader(io.StringIO(results)):
            say(f"  {row['contact_number']:<20} {row['status']:<10} attempts {row['attempts']}  {row['reason']}")
        faults = list(stack.carrier.calls.problems)
        if batch["status"] != "completed":
            faults.append(f"the batch is {batch['status']}")
        if sum(batch["execution_status"].values()) != batch["valid_contacts"]:
            faults.append("the counts do not add up to the number of contacts")
        placed, (_, most) = len(stack.carrier.calls.all()), stack.carrier.calls.live()
        attempts = sum(int(row["attempts"]) for row in csv.DictReader(io.StringIO(results)))
        say(f"\nThe carrier placed {placed} calls, at most {most} at once.")
        if most > BATCH_LINES or placed != attempts:
            faults.append(f"{placed} calls for {attempts} attempts, {most} at once")
        return faults


def _upload(stack: LocalStack, agent_id: str) -> str:
    boundary = "redial-demo"
    fields = {"agent_id": agent_id, "retry_config": BATCH_RETRIES, "start": "now"}
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="{CONTACTS.name}"\r\nContent-Type: text/csv\r\n\r\n'
    body = "".join(parts).encode() + f"--{boundary}\r\n{head}".encode() + CONTACTS.read_bytes()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": f"Bearer {stack.api_key}"}
    answer = send("POST", f"{stack.url}/batches", body + f"\r\n--{boundary}--\r\n".encode(), headers)
    if answer.status != 201:
        raise RuntimeError(f"POST /batches was answered {answer.status}: {answer.body.decode()}")
    batch_id: str = json.loads(answer.body)["batch_id"]
    return batch_id


def _get(stack: LocalStack, path: str) -> Response:
    return send("GET", stack.url + path, headers={"Authorization": f"Bearer {stack.api_key}"})


def _bar(batch: dict[str, Any]) -> str:
    """The share of contacts with a final status, as a bar."""
    over = sum(count for status, count in batch["execution_status"].items() if Status(status) in FINAL)
    full = int(_BAR_WIDTH * over // max(batch["valid_contacts"], 1))
    return "█" * full + "·" * (_BAR_WIDTH - full)


def _play_call(log: Path, say: Callable[[str], None]) -> list[str]:
    received: list[Delivery] = []
    with LocalStack(start_at=STARTS_AT, log=log, tell=received.append) as stack:
        say(f"A call to {NUMBER}: no answer, then busy, then answered.")
        say(f"Retries after {INTERVALS_MINUTES[0]}, {INTERVALS_MINUTES[1]} and {INTERVALS_MINUTES[2]} minutes.\n")
        stack.carrier.calls.scripts.set(NUMBER, ["no-answer", "busy", "completed"])
        execution_id = stack.ask("POST", "/call", CALL | {"agent_id": stack.agent_id})["execution_id"]
        shown = 0
        for _ in range(sum(INTERVALS_MINUTES) // 10):
            stack.clock.advance(10)
            for delivery in received[shown:]:
                say(line_of(delivery))
            shown = len(received)
        calls = stack.carrier.calls.all()
        say(f"\nThe carrier placed {len(calls)} calls:")
        for call in calls:
            say(f"{call.placed_at:%H:%M:%S}  {call.sid}  {call.status}")
        faults = [*_faults(received, execution_id), *stack.carrier.calls.problems]
        if [call.status for call in calls] != ["no-answer", "busy", "completed"]:
            return [*faults, "the carrier's calls did not end as no-answer, busy and completed"]
        for before, after, minutes in zip(calls, calls[1:], INTERVALS_MINUTES, strict=False):
            assert before.ended_at is not None
            waited = after.placed_at - before.ended_at
            if not timedelta(minutes=minutes) <= waited <= timedelta(minutes=minutes) + LATEST:
                faults.append(f"a retry came after {waited}, not after {minutes} minutes")
        return faults


def _faults(received: list[Delivery], execution_id: str) -> list[str]:
    """The errors in the webhooks."""
    faults = []
    events = [delivery.body for delivery in received]
    statuses = tuple(event["status"] for event in events)
    if statuses != STORY:
        faults.append(f"the webhook received {', '.join(statuses)}")
    if any(event["id"] != execution_id for event in events):
        faults.append("an event belongs to another execution")
    if [event["sequence"] for event in events] != list(range(1, len(events) + 1)):
        faults.append("the events are not numbered 1, 2, 3 …")
    if not all(delivery.verified for delivery in received):
        faults.append("a signature is not valid")
    if [event["retry_count"] for event in events if event["status"] == "scheduled"] != [1, 2]:
        faults.append("retry_count does not rise from 1 to 2")
    return faults
