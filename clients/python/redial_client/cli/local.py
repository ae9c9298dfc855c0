"""Commands for the local stack (`make run`): its emulated carrier and its clock."""

import os
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from redial_client.cli.calls import FINAL, described, ended
from redial_client.cli.context import Context
from redial_client.cli.exits import CommandError, Exit
from redial_client.cli.options import given, retry_config

MOST_STEPS = 100
"""Maximum clock advances for one call; each goes to the next attempt, or by a minute."""


def trigger(context: Context) -> Exit:
    """Script the outcome of each attempt, call, and show what happens. Advances the clock to each next attempt."""
    args = context.args
    _now(context)
    config = retry_config(args)
    machine = "voicemail" in args.outcome
    if config is None and (machine or len(args.outcome) > 1):
        # Machines are detected if a retry may follow.
        config = {"enabled": True, "max_retries": min(max(len(args.outcome) - 1, 1), 3), "retry_on_voicemail": machine}
    _carrier(context, "POST", "/_carrier/scripts", {"to": args.to, "outcomes": args.outcome})
    request: Any = given(agent_id=context.agent_id, recipient_phone_number=args.to, retry_config=config)
    execution_id = context.redial.calls.create(**request)["execution_id"]
    context.out.say(f"Execution {execution_id} to {args.to}: {', '.join(args.outcome)}.")
    seen = 0
    for _ in range(MOST_STEPS):
        execution = context.redial.executions.get(execution_id)
        entries = context.redial.executions.log(execution_id)
        for entry in entries[seen:]:
            context.out.say(described(entry))
        seen = len(entries)
        if execution["status"] in FINAL:
            return ended(context, execution_id)
        if args.no_advance:
            context.sleep(args.interval)
        else:
            following = execution["next_attempt"]
            waiting = (_time(following["at"]) - _now(context)).total_seconds() / 60 if following else 0.0
            _advance(context, max(waiting, 1.0))
    raise CommandError(
        f"execution {execution_id} is not over yet", f"follow it: redial logs -f {execution_id}", Exit.FAILED
    )


def clock(context: Context) -> None:
    """Show the local stack's clock, or advance it by some minutes."""
    now = _now(context) if context.args.minutes is None else _advance(context, context.args.minutes)
    context.out.say(f"{now:%Y-%m-%d %H:%M:%S} UTC")
    context.out.data({"now": now.isoformat()})


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _now(context: Context) -> datetime:
    return _time(_control(f"{context.profile.url}/_local/clock", "GET", None)["now"])


def _advance(context: Context, minutes: float) -> datetime:
    return _time(_control(f"{context.profile.url}/_local/clock/advance", "POST", {"minutes": minutes})["now"])


def _carrier(context: Context, method: str, path: str, body: Any) -> Any:
    parts = urlsplit(context.profile.url)
    beside = f"{parts.scheme}://{parts.hostname}:{(parts.port or 0) + 1}"
    url = context.args.carrier_url or os.environ.get("REDIAL_CARRIER_URL") or beside
    return _control(f"{url.rstrip('/')}{path}", method, body)


def _control(url: str, method: str, body: Any) -> Any:
    """Send a request to the local stack's own routes. Raises `CommandError`."""
    try:
        answer = requests.request(method, url, json=body, timeout=120)
    except requests.RequestException as error:
        raise CommandError(f"{url} did not answer", "start it: make run", Exit.UNREACHABLE) from error
    if answer.status_code == 400:
        raise CommandError(str(answer.json()["message"]), code=Exit.REFUSED)
    if not answer.ok:
        advice = "this command works with `make run` only; its carrier: --carrier-url"
        raise CommandError(f"{url} is not of a local stack: HTTP {answer.status_code}", advice, Exit.NOT_FOUND)
    return answer.json()
