"""Commands for calls: create, plan, stop, follow."""

from collections.abc import Iterator
from typing import Any

from redial_client import models
from redial_client.cli.context import Context
from redial_client.cli.exits import Exit
from redial_client.cli.options import given, retry_config, user_data

FINAL = frozenset({"completed", "no-answer", "busy", "failed", "canceled", "stopped", "error", "balance-low"})


def call(context: Context) -> Exit | None:
    """Call a number. With --plan, only show the attempts; with --watch, follow them."""
    if context.args.plan:
        plan(context)
        return None
    request = _request(context)
    created = context.redial.calls.create(idempotency_key=context.args.idempotency_key, **request)
    execution_id = created["execution_id"]
    context.out.say(f"Execution {execution_id} is {created['status']}.")
    if not context.args.watch:
        context.out.data(created)
        return None
    for entry in follow(context, execution_id):
        context.out.say(described(entry))
    return ended(context, execution_id)


def plan(context: Context) -> None:
    """Show when each attempt would be made."""
    planned = context.redial.calls.plan(**_request(context))
    context.out.data(planned)
    rows = [
        [
            one["attempt"],
            clock_time(one["earliest_at"]),
            clock_time(one["latest_at"]),
            "; ".join(f"{local[11:16]} {zone}" for zone, local in one["local_times"].items()),
            "; ".join(moved["text"] for moved in one["moved_by"]),
        ]
        for one in planned["attempts"]
    ]
    context.out.table(["#attempt", "earliest (UTC)", "latest (UTC)", "called person's time", "moved by"], rows)
    context.out.say(f"At most {planned['worst_case_calls']} calls, then: {planned['ends_because']}.")
    context.out.say(planned["assumed"]["text"])
    for warning in planned["warnings"]:
        context.out.say(f"Note: {warning}")


def stop(context: Context) -> None:
    """Stop a call before it is answered."""
    stopped = context.redial.calls.stop(context.args.execution)
    context.out.say(f"Execution {stopped['execution_id']} is {stopped['status']}.")
    context.out.data(stopped)


def logs(context: Context) -> Exit | None:
    """Show what happened to a call; with -f, until it is over. With --json, prints one entry per line."""
    execution_id = context.args.execution
    entries = (
        follow(context, execution_id) if context.args.follow else iter(context.redial.executions.log(execution_id))
    )
    for entry in entries:
        context.out.line(entry)
        context.out.say(described(entry))
    return None


def follow(context: Context, execution_id: str) -> Iterator[models.LogEntry]:
    """The log of a call as it grows, until the call is over."""
    seen = 0
    while True:
        over = context.redial.executions.get(execution_id)["status"] in FINAL
        entries = context.redial.executions.log(execution_id)
        yield from entries[seen:]
        seen = len(entries)
        if over:
            return
        context.sleep(context.args.interval)


def ended(context: Context, execution_id: str) -> Exit:
    """Print how a call ended. `FAILED` if no person answered it."""
    execution = context.redial.executions.get(execution_id)
    context.out.data(execution)
    attempts, outcome = len(execution["attempts"]), execution["outcome"]
    context.out.say(f"It is over after {attempts} attempt{'s' * (attempts != 1)}: {outcome or execution['status']}.")
    return Exit.OK if outcome == "answered" else Exit.FAILED


def _request(context: Context) -> Any:
    args = context.args
    return given(
        agent_id=context.agent_id,
        recipient_phone_number=args.number,
        from_phone_number=args.from_numbers[-1] if args.from_numbers else None,
        retry_config=retry_config(args),
        scheduled_at=args.at,
        time_zone=args.time_zone,
        user_data=user_data(args.data),
        policy=args.policy,
        purpose=args.purpose,
        expires_after_minutes=args.expires_after,
        bypass_call_guardrails=args.bypass_guardrails,
    )


def clock_time(text: str | None) -> str:
    """An API time formatted for people: UTC, to the second."""
    return "-" if text is None else text[:19].replace("T", " ")


def described(entry: models.LogEntry) -> str:
    """A log entry in one line: time in UTC, what happened, details."""
    data: Any = entry["data"]
    notes = [f"attempt {data['attempt']}"] if "attempt" in data else []
    if entry["type"] == "webhook":
        status = f", HTTP {data['http_status']}" if data.get("http_status") else ""
        notes.append(f"event {data.get('sequence')} {data.get('outcome')}{status}")
    if "from_number" in data:
        notes.append(f"from {data['from_number']}")
    notes += [str(gate["text"]) for gate in data.get("gates", []) if gate["decision"] != "allow"]
    notes += [f"at {clock_time(data['until'])}"] if data.get("until") else []
    notes += [str(data[name]) for name in ("reason", "text", "ended_because") if data.get(name)]
    return f"{clock_time(entry['created_at'])}  {entry['type']:<18} {', '.join(notes)}".rstrip()
