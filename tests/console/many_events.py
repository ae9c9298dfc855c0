"""An execution with hundreds of events, as the API would answer it: the speed of drawing does not depend on a stack."""

from datetime import UTC, datetime, timedelta
from typing import Any

from redial.wire.timestamps import rfc3339

ID = "00000000-0000-4000-8000-000000000400"
_START = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
_GATES = ("agent", "stop", "pause", "expiry", "instructions", "caller-id", "suppression", "consent", "calling-window")
_ATTEMPTS = 4


def execution_with(events: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The execution, over after four attempts, and its log: changes and as many webhooks, `events` in total."""
    log: list[dict[str, Any]] = []
    attempts = []
    at, sequence = _START, 0
    each = events // (2 * _ATTEMPTS)
    for attempt in range(1, _ATTEMPTS + 1):
        scheduled = at
        for number in range(each):
            kind, seconds = "queued", 60
            data: dict[str, Any] = {"attempt": attempt, "reason": "the agent has no free line"}
            if number < each - 3:
                allowed = [{"gate": gate, "decision": "allow", "text": "It allowed the attempt."} for gate in _GATES]
                closed = {"gate": "line", "decision": "defer", "text": "The agent has no free line."}
                data["gates"] = [*allowed, closed]
            else:
                kind, seconds = (("initiated", 2), ("ringing", 30), ("no-answer", 1))[number - each + 3]
                data = {"attempt": attempt}
            sequence += 1
            webhook = {"sequence": sequence, "outcome": "accepted", "tries": 1, "http_status": 200}
            log.append(_entry(at, kind, data))
            log.append(_entry(at + timedelta(seconds=1), "webhook", webhook))
            at += timedelta(seconds=seconds)
        attempts.append(
            {
                "attempt": attempt,
                "status": "no-answer",
                "outcome": "no-answer",
                "from_number": "+12025550100",
                "scheduled_at": rfc3339(scheduled),
                "dialed_at": rfc3339(at - timedelta(seconds=33)),
                "answered_at": None,
                "ended_at": rfc3339(at - timedelta(seconds=1)),
            }
        )
        at += timedelta(minutes=30)
    execution = {"created_at": rfc3339(_START), "attempts": attempts, "next_attempt": None, "status": "no-answer"}
    return execution, log


def _entry(at: datetime, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"created_at": rfc3339(at), "type": kind, "component": "dial", "provider": None, "data": data}


DRAW = """async ([execution, log]) => {
  const { html, render, Lanes, Shared } = await import(document.querySelector('script').src);
  const host = document.querySelector('#content');
  const since = performance.now();
  const lanes = html`<${Lanes} execution=${execution} log=${log} zone="America/New_York" />`;
  render(html`<${Shared.Provider} value=${{ zone: 'viewer' }}>${lanes}</${Shared.Provider}>`, host);
  host.getBoundingClientRect();
  return performance.now() - since;
}"""
"""Draws them in the console's page, replacing its screen. Returns the milliseconds until the layout is known."""
