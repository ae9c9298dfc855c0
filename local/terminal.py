"""The local stack's output in the terminal: how to begin, and one line for each step of a call."""

import json
from datetime import datetime

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
  key      {stack.api_key}
  agent    {stack.agent_id}
  carrier  {stack.carrier_url}   GET /_carrier/calls lists its calls; GET /_carrier/account
  inbox    {stack.inbox_url}   GET /_inbox/{INBOX_NAME} lists the agent's webhooks
  clock    {stack.url}/_local/clock   {pace}
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

Each webhook is shown below as it arrives. Ctrl-C ends this.
"""


def line_of(delivery: Delivery) -> str:
    """A webhook in one line: simulated time, number, status, and the next attempt."""
    event = delivery.body
    if not isinstance(event, dict) or "status" not in event:
        return f"{delivery.received_at:%H:%M:%S}  {delivery.name}  not an event"
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
