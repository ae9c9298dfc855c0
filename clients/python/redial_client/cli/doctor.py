"""`redial doctor`: local checks (URL, key, clock), then the API's own checks."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from redial_client.cli.context import Context
from redial_client.cli.exits import Exit
from redial_client.errors import ApiError, Forbidden, KeyRejected, NotFound, RedialError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_SECONDS_APART = 60
"""Receivers refuse webhooks that are older than five minutes."""


def doctor(context: Context) -> Exit:
    """Print each check with advice. `FAILED` if one failed."""
    checks = _from_here(context)
    context.out.data({"checks": checks})
    marks = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
    for one in checks:
        context.out.say(f"{marks.get(one['status'], '?')} {one['check']}: {one['message']}")
        if one["advice"] and one["status"] != "ok":
            context.out.say(f"    {one['advice']}")
    return Exit.FAILED if any(one["status"] == "failed" for one in checks) else Exit.OK


def _check(check: str, status: str, message: str, advice: str | None = None) -> dict[str, Any]:
    return {"check": check, "status": status, "message": message, "advice": advice, "agent_id": None}


def _from_here(context: Context) -> list[Mapping[str, Any]]:
    redial, url = context.redial, urlsplit(context.profile.url)
    checks: list[Mapping[str, Any]] = []
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        advice = "use its https:// URL: over http the key can be read on the way"
        checks.append(_check("https", "failed", f"{context.profile.url} is not encrypted", advice))
    started = time.monotonic()
    try:
        health = redial.transport.send("GET", "/health")
    except RedialError as error:
        advice = "check the URL (redial profile list), the network, and that the stack is deployed"
        return [*checks, _check("reachable", "failed", str(error), advice)]
    milliseconds = (time.monotonic() - started) * 1000
    checks.append(_check("reachable", "ok", f"{context.profile.url} answered in {milliseconds:.0f} ms"))
    if url.hostname in LOOPBACK:
        checks.append(_check("your clock", "skipped", "a local stack has a clock of its own"))
    else:
        checks.append(clock_check(health.headers.get("Date")))
    try:
        account = redial.account.get()
        checks.append(_check("key", "ok", f"the key is of account {account['name']!r}"))
    except KeyRejected as error:
        return [*checks, _check("key", "failed", error.message, "run: redial login, or correct REDIAL_API_KEY")]
    except Forbidden as error:
        checks.append(_check("key", "warning", error.message, "use a key with scope read for the other checks"))
    try:
        checks += redial.doctor()
    except NotFound:
        checks.append(
            _check("installation", "skipped", "this version of the API has no GET /doctor", "update the stack")
        )
    except ApiError as error:
        checks.append(_check("installation", "failed", error.message, "see the log of the function api"))
    return checks


def clock_check(date: str | None) -> dict[str, Any]:
    """Compare this machine's clock with the API's header Date."""
    try:
        apart = time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return _check("your clock", "skipped", "the answer has no header Date")
    message = f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the API's"
    if abs(apart) <= MOST_SECONDS_APART:
        return _check("your clock", "ok", message)
    return _check("your clock", "warning", message, "set it by NTP: signatures and times of calls depend on it")
