"""`python -m local demo`: one call, through no answer and busy to a conversation, hours of it in a few seconds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.inbox import Delivery
from local.stack import LocalStack
from local.terminal import line_of

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
"""The statuses that the webhook must hear of, in order (a busy line does not ring)."""
LATEST = timedelta(minutes=1)
"""EventBridge Scheduler fires within the minute that begins at a schedule's time."""


def play(log: Path, say: Callable[[str], None]) -> list[str]:
    """Play the story, telling each step, and return what did not come out right."""
    received: list[Delivery] = []
    with LocalStack(start_at=STARTS_AT, log=log, tell=received.append) as stack:
        say(f"A call to {NUMBER}: nobody answers, then the line is busy, then somebody answers.")
        say(f"Retries after {INTERVALS_MINUTES[0]}, {INTERVALS_MINUTES[1]} and {INTERVALS_MINUTES[2]} minutes.\n")
        stack.carrier.calls.script(NUMBER, ["no-answer", "busy", "completed"])
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
            return [*faults, "the carrier's calls did not come to no-answer, busy and completed"]
        for before, after, minutes in zip(calls, calls[1:], INTERVALS_MINUTES, strict=False):
            assert before.ended_at is not None
            waited = after.placed_at - before.ended_at
            if not timedelta(minutes=minutes) <= waited <= timedelta(minutes=minutes) + LATEST:
                faults.append(f"a retry came after {waited}, not after {minutes} minutes")
        return faults


def _faults(received: list[Delivery], execution_id: str) -> list[str]:
    """What is wrong with the webhooks."""
    faults = []
    events = [delivery.body for delivery in received]
    statuses = tuple(event["status"] for event in events)
    if statuses != STORY:
        faults.append(f"the webhook heard {', '.join(statuses)}")
    if any(event["id"] != execution_id for event in events):
        faults.append("an event is of another execution")
    if [event["sequence"] for event in events] != list(range(1, len(events) + 1)):
        faults.append("the events are not numbered 1, 2, 3 …")
    if not all(delivery.verified for delivery in received):
        faults.append("a signature is not valid")
    if [event["retry_count"] for event in events if event["status"] == "scheduled"] != [1, 2]:
        faults.append("retry_count does not rise from 1 to 2")
    return faults
