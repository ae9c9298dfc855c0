"""Commands for batches: create, list, preview, schedule, follow, pause, resume, stop, get the results."""

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path

from redial_client import models
from redial_client.cli.calls import FINAL, clock_time
from redial_client.cli.context import Context
from redial_client.cli.exits import CommandError, Exit
from redial_client.cli.options import given, retry_config

OVER = frozenset({"completed", "stopped", "failed"})


def create(context: Context) -> Exit | None:
    """Create a batch from a CSV file. With --start, it starts when its file has been read; --watch follows it."""
    args = context.args
    if args.watch and not args.start:
        raise CommandError("--watch needs --start: without it the batch waits", "or: redial batch schedule --help")
    options = given(
        from_phone_numbers=args.from_numbers,
        retry_config=retry_config(args),
        webhook_url=args.webhook_url,
        calls_per_second=args.calls_per_second,
        bypass_call_guardrails=args.bypass_guardrails,
        purpose=args.purpose,
        policy=args.policy,
        expires_after_minutes=args.expires_after,
        start_now=args.start,
        idempotency_key=args.idempotency_key,
    )
    with context.out.progress("uploading") as advance:
        created = context.redial.batches.create(
            context.agent_id, Path(args.file), progress=lambda done, total: advance(done, total, "bytes"), **options
        )
    batch_id = created["batch_id"]
    if args.watch:
        context.out.say(f"Batch {batch_id} starts.")
        return _watch(context, batch_id)
    starts = "starts when its file has been read" if args.start else f"waits: redial batch schedule {batch_id} --at …"
    context.out.say(f"Batch {batch_id} {starts}.")
    context.out.data(created)
    return None


def list_batches(context: Context) -> None:
    """List an agent's batches."""
    found = list(context.redial.batches.list(context.agent_id))
    context.out.data(found)
    rows = [
        [
            one["batch_id"],
            _state(one),
            clock_time(one["created_at"]),
            one["file_name"],
            one["valid_contacts"],
            _done(one),
        ]
        for one in found
    ]
    context.out.table(["batch", "status", "created (UTC)", "file", "#contacts", "#done"], rows)


def preflight(context: Context) -> None:
    """Preview what a batch would do."""
    args = context.args
    with context.out.progress("reading the file") as advance:
        found = context.redial.batches.preflight(
            args.batch,
            scheduled_at=args.at,
            call_seconds=args.call_seconds,
            progress=lambda rows, total: advance(rows, total, "rows"),
        )
    context.out.data(found)
    context.out.table(
        ["contacts", "#number"],
        [
            ["accepted", found["contacts"]],
            ["rejected", sum(value for value in found["rejected"].values() if isinstance(value, int))],
            ["suppressed", found["suppressed"]],
            ["without consent", found["without_consent"]],
            ["never placeable", found["never_placeable"]],
            ["to be called", found["to_be_called"]],
        ],
    )
    zones = [[", ".join(one["time_zones"]), one["contacts"]] for one in found["by_time_zone"]]
    context.out.table(["time zone", "#contacts"], zones)
    finish = found["finish"]
    context.out.say(f"At most {found['worst_case_calls']} calls, {found['attempts_per_contact']} to a contact.")
    context.out.say(f"Finished between {clock_time(finish['earliest'])} and {clock_time(finish['latest'])} UTC.")
    for text in [*finish["assumptions"], *(f"Note: {warning}" for warning in found["warnings"])]:
        context.out.say(text)


def schedule(context: Context) -> None:
    """Set when a batch starts."""
    args = context.args
    at = args.at
    if at is None:  # by the API's clock: the local stack's is not this machine's
        now = datetime.fromisoformat(context.redial.now()["at"])
        at = (now + timedelta(minutes=args.minutes)).isoformat()
    changed = context.redial.batches.schedule(args.batch, at, bypass_call_guardrails=args.bypass_guardrails)
    _changed(context, changed)


def watch(context: Context) -> Exit:
    """Follow a batch to its end."""
    return _watch(context, context.args.batch)


def pause(context: Context) -> None:
    """Pause a batch: no call starts until it is resumed."""
    _changed(context, context.redial.batches.pause(context.args.batch))


def resume(context: Context) -> None:
    """Resume a batch."""
    _changed(context, context.redial.batches.resume(context.args.batch))


def stop(context: Context) -> None:
    """Stop a batch."""
    _changed(context, context.redial.batches.stop(context.args.batch))


def results(context: Context) -> None:
    """Write the results or the rejected rows as CSV; with --json, as an array of objects."""
    args = context.args
    with context.out.progress("writing the results") as advance:
        content = (
            context.redial.batches.rejected(args.batch)
            if args.rejected
            else context.redial.batches.results(args.batch, lambda done, total: advance(done, total, ""))
        )
    text = content.decode("utf-8-sig")
    if context.out.as_json:
        text = json.dumps(list(csv.DictReader(io.StringIO(text, newline=""))), indent=2, ensure_ascii=False) + "\n"
    if args.output is None:
        print(text, end="", flush=True)
        return
    Path(args.output).write_text(text, encoding="utf-8", newline="")
    context.out.say(f"Wrote {args.output}.")


def _watch(context: Context, batch_id: str) -> Exit:
    """Follow a batch to its end, with a line for each change. `FAILED` if it was stopped or failed."""
    shown = ""
    with context.out.progress(f"following batch {batch_id}") as advance:
        while True:
            batch = context.redial.batches.get(batch_id)
            counts = ", ".join(f"{count} {status}" for status, count in batch["execution_status"].items())
            advance(_done(batch), batch["valid_contacts"], counts)
            line = f"{clock_time(batch['updated_at'])}  {_state(batch):<10} {counts}".rstrip()
            if line[21:] != shown[21:]:
                context.out.say(line)
                shown = line
            if batch["status"] in OVER:
                break
            context.sleep(context.args.interval)
    context.out.data(batch)
    reason = f": {batch['reason']}" if batch["reason"] else ""
    context.out.say(f"Batch {batch_id} is {batch['status']}{reason}. Results: redial batch results {batch_id}")
    return Exit.OK if batch["status"] == "completed" else Exit.FAILED


def _changed(context: Context, changed: models.BatchChanged) -> None:
    context.out.say(f"Batch {context.args.batch} is {changed['state']}.")
    context.out.data({"batch_id": context.args.batch, **changed})


def _state(batch: models.BatchRead) -> str:
    return "paused" if batch["paused"] and batch["status"] not in OVER else batch["status"]


def _done(batch: models.BatchRead) -> int:
    return sum(count for status, count in batch["execution_status"].items() if status in FINAL)
