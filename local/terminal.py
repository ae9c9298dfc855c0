"""What people see in the terminal: how to begin, and one line for each step of a call."""

import json
from datetime import datetime

from local.stack import INBOX_NAME, LocalStack
from local.web.inbox import Delivery

SEED_NUMBER = "+1234567890"
"""The number of the example that the feature's description gives."""


def banner(stack: LocalStack, log: str) -> str:
    """Where everything is, and the first request to make."""
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
    pace = "stands still" if stack.clock.speed == 0 else f"runs at {stack.clock.speed:g} x"
    return f"""\
Redial is up on this machine.

  API      {stack.url}   its documentation is at {stack.url}/docs
  key      {stack.api_key}
  agent    {stack.agent_id}
  carrier  {stack.carrier_url}   GET /_carrier/calls lists every call it placed
  inbox    {stack.inbox_url}   GET /_inbox/{INBOX_NAME} lists the agent's webhooks
  clock    {stack.url}/_local/clock   {pace}
  log      {log}   what the functions write

Decide what the next three calls to a number come to (a number without a script answers a mix):

  curl -X POST '{stack.carrier_url}/_carrier/scripts' -d '{json.dumps(script)}'

Call it:

  curl -X POST '{stack.url}/call' \\
    -H 'Authorization: Bearer {stack.api_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{json.dumps(body)}'

Let the time until the retry pass:

  curl -X POST '{stack.url}/_local/clock/advance' -d '{{"minutes": 31}}'

Each step is written below as its webhook arrives. Ctrl-C ends it.
"""


def line_of(delivery: Delivery) -> str:
    """One webhook in one line: simulated time, number, status, and what comes next."""
    event = delivery.body
    if not isinstance(event, dict) or "status" not in event:
        return f"{delivery.received_at:%H:%M:%S}  {delivery.name}  something that is no event"
    following = event.get("next_attempt")
    notes = [f"retry_count {event['retry_count']}"]
    if following is not None:
        notes.append(f"attempt {following['attempt']} at {datetime.fromisoformat(following['at']):%H:%M:%S}")
    if event.get("termination_reason"):
        notes.append(str(event["termination_reason"]))
    if not delivery.verified:
        notes.append("SIGNATURE NOT VALID")
    if delivery.answered >= 300:
        notes.append(f"the inbox answered {delivery.answered}")
    return f"{delivery.received_at:%H:%M:%S}  {event['user_number']}  {event['status']:<18}  {', '.join(notes)}"
