"""`redial listen`: forwards events to a receiver that the API cannot reach, such as one on a laptop.

It only uses the public API: it polls the newest calls, and reads the log of each call that has changed. Each status
change is one event, posted as Redial would post it: same body, same `webhook-id`, with a Standard Webhooks signature.

Limits:
- Only the newest calls are polled (--limit), so retries of older ones are not seen.
- If several events occur within one poll, all have the last one's fields, except for `type`, `status`, `sequence` and
  `updated_at`.
- Each event is posted once, whatever the receiver responds.
- The agent's `webhook_statuses` is not applied, and batches' own events are not sent.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import requests
from standardwebhooks import Webhook

from redial_client import models
from redial_client.cli.context import Context
from redial_client.cli.exits import CommandError
from redial_client.cli.profiles import checked_url

STATUSES = frozenset({
    "queued", "scheduled", "rescheduled", "initiated", "ringing", "in-progress", "call-disconnected", "completed",
    "no-answer", "busy", "failed", "canceled", "stopped", "error", "balance-low",
})  # fmt: skip
"""Types of log entries that are status changes; the n-th such entry is event n."""
TIMEOUT_SECONDS = 10.0


def listen(context: Context) -> None:
    """Forward events from now on, until Ctrl-C or --count."""
    args = context.args
    url = checked_url(args.forward)
    secret = args.secret or f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    try:
        signer = Webhook(secret)
    except ValueError:
        raise CommandError("--secret: is not whsec_ and base64", "leave it out to get a new one") from None
    agent_id = context.redial.batches.get(args.batch)["agent_id"] if args.batch else context.agent_id
    sent = {one["id"]: one["sequence"] for one in _newest(context, agent_id)}
    context.out.say(f"Forwarding to {url}, signed with {secret}")
    context.out.say("Press Ctrl-C to stop.")
    count = 0
    while True:
        for event in _events(context, agent_id, sent):
            answer = _post(url, signer, event)
            context.out.line(
                {"id": event["id"], "sequence": event["sequence"], "type": event["type"], "answer": answer}
            )
            context.out.say(f"{event['updated_at'][11:19]}  {event['user_number']}  {event['type']:<28} {answer}")
            count += 1
            if count == args.count:
                return
        context.sleep(args.interval)


def _newest(context: Context, agent_id: str) -> list[models.Execution]:
    listed = context.redial.executions.list(agent_id, batch_id=context.args.batch)
    return list(islice(listed, context.args.limit))


def _events(context: Context, agent_id: str, sent: dict[str, int]) -> Iterator[Any]:
    """The events since the last poll, oldest first. Updates `sent`, the last sequence number of each call."""
    found = []
    for execution in _newest(context, agent_id):
        before, now = sent.get(execution["id"], 0), execution["sequence"]
        if now > before:
            log = [one for one in context.redial.executions.log(execution["id"]) if one["type"] in STATUSES]
            found += [_event(execution, number, log[number - 1]) for number in range(before + 1, now + 1)]
            sent[execution["id"]] = now
    yield from sorted(found, key=lambda event: (event["updated_at"], event["sequence"]))


def _event(execution: models.Execution, sequence: int, entry: models.LogEntry) -> Any:
    """The event of a status change: the call's current state, with the change's values from its log entry."""
    status = entry["type"]
    changed = {"type": f"execution.{status}", "status": status, "sequence": sequence, "updated_at": entry["created_at"]}
    return {**execution, **changed}


def _post(url: str, signer: Webhook, event: Any) -> str:
    """Post an event, and return the result as text."""
    body, now = json.dumps(event), datetime.now(UTC)
    webhook_id = f"{event['id']}-{event['sequence']}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer.sign(webhook_id, now, body),
    }
    try:
        answer = requests.post(url, body.encode(), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return f"not sent: {type(error).__name__}"
    return f"HTTP {answer.status_code}"
