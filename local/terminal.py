"""The local stack's output in the terminal: first steps, and one line for each step of a call."""

import json
from datetime import datetime
from typing import Any

from local.stack import INBOX_NAME, LocalStack
from local.web.inbox import Delivery

SEED_NUMBER = "+1234567890"
"""The number of the example call."""


def banner(stack: LocalStack, log: str) -> str:
    """The addresses of the servers, and the first requests to send."""
    body = {
        "agent_id": stack.agent_id,
        "recipient_phone_number": SEED_NUMBER,
        "retry_config": {
            "enabled": True,
            "max_retries": 3,
            "retry_on_statuses": ["no-answer", "busy", "failed"],
            "retry_intervals_minutes": [30, 60, 120],
        },
    }
    script = {"to": SEED_NUMBER, "outcomes": ["no-answer", "busy", "completed"]}
    pace = "is stopped" if stack.clock.speed == 0 else f"runs at {stack.clock.speed:g} x"
    return f"""\
Redial is up on this machine.

  API      {stack.url}   its documentation is at {stack.url}/docs
  console  {stack.url}/console   sign in with the key
  key      {stack.api_key}
  agent    {stack.agent_id}
  secret   {stack.webhook_secret}   verifies the webhooks (webhook-signature)
  carrier  {stack.carrier_url}   GET /_carrier/calls lists its calls; GET /_carrier/account
  inbox    {stack.inbox_url}   GET /_inbox/{INBOX_NAME} lists the agent's webhooks; it takes any other name too
  clock    {stack.url}/_local/clock   {pace}; {stack.clock.now():%Y-%m-%d %H:%M:%S} UTC
  log      {log}   the functions' output

Script the outcomes of the next three calls to a number (other numbers have a mix of outcomes):

  curl -X POST '{stack.carrier_url}/_carrier/scripts' -d '{json.dumps(script)}'

Call it:

  curl -X POST '{stack.url}/call' \\
    -H 'Authorization: Bearer {stack.api_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{json.dumps(body)}'

Move the clock beyond the first retry:

  curl -X POST '{stack.url}/_local/clock/advance' -d '{{"minutes": 31}}'

Each webhook to the inbox is shown below as it arrives: time in UTC, number or batch, status. The first line of
a call has its execution id. Ctrl-C ends this.
"""


def line_of(delivery: Delivery) -> str:
    """A webhook in one line: simulated time in UTC, number (or batch), status, and details. Accepts any body."""
    event = delivery.body if isinstance(delivery.body, dict) else {}
    if "user_number" in event:
        subject, notes = str(event["user_number"]), _call_notes(event)
    elif "batch_id" in event:
        subject, notes = f"batch {event['batch_id']}", _batch_notes(event)
    else:
        subject, notes = delivery.name, ["not an event of Redial"]
    if not delivery.verified:
        notes.append("SIGNATURE NOT VALID")
    if delivery.answered >= 300:
        notes.append(f"the inbox answered {delivery.answered}")
    return f"{delivery.received_at:%H:%M:%S}  {subject}  {event.get('status', '')!s:<18}  {', '.join(notes)}"


def _call_notes(event: dict[str, Any]) -> list[str]:
    notes = [f"retry_count {event.get('retry_count')}"]
    following = event.get("next_attempt")
    if isinstance(following, dict):
        notes.append(f"attempt {following.get('attempt')} at {_time_of(following.get('at'))}")
    if event.get("ended_because"):
        notes.append(str(event["ended_because"]))
    if event.get("sequence") == 1:
        notes.append(f"execution {event.get('id')}")
    return notes


def _batch_notes(event: dict[str, Any]) -> list[str]:
    notes = [f"{event.get('valid_contacts')} of {event.get('total_contacts')} contacts accepted"]
    counts = event.get("execution_status")
    if isinstance(counts, dict):
        notes += [f"{count} {status}" for status, count in counts.items()]
    if event.get("reason"):
        notes.append(str(event["reason"]))
    return notes


def _time_of(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(text):%H:%M:%S}"
    except (TypeError, ValueError):
        return str(text)
