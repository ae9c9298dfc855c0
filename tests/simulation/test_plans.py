"""A plan predicts what happens if every attempt fails: random policies go through the whole dial path, with a carrier
whose calls ring until the carrier ends them.

Many calls share a world, since each of its requests to AWS costs a millisecond. Its carrier ends a call exactly at the
ring timeout, as a plan assumes; Twilio takes some seconds more.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from local.carriers import course, twilio_calls
from redial.adapters.eventbridge_scheduler import SOONEST
from redial.domain.execution import Execution
from tests.simulation.faults import Faults
from tests.simulation.world import World

PARTS, POLICIES = 8, 125
"""1,000 policies, in parts that run in parallel."""
NAMED = 12
"""Named policies: limits, an expiry, hours and retries, some of each."""
DAYS = 60
"""How far the clock is moved: past the last attempt of every policy."""
LATE = timedelta(seconds=1.1)
"""How late each attempt, and what follows it, may be: a timer fires at a whole second, and changes at one instant are
stored a millisecond apart."""
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "UTC")
NUMBERS = ("+1212555{:04d}", "+4930901{:05d}", "+7916123{:04d}", "+1415555{:04d}", "+81312345{:03d}", "+3312345{:04d}")
"""Numbers of one zone each, except +7916: a Russian mobile number has 14."""


class PunctualWorld(World):
    """A world without the sweeper, which would run each minute for weeks and find nothing."""

    def start(self) -> "PunctualWorld":
        self._recurring = []
        super().start()
        return self


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with (
        mock.patch.object(course, "RINGING_SECONDS", 0.0),
        mock.patch.object(twilio_calls, "RING_TIMEOUT_BUFFER_SECONDS", 0.0),
        PunctualWorld(5, Faults(5, {})) as world,
    ):
        yield world


def guardrails(chance: random.Random, today: datetime) -> dict[str, Any]:
    """Hours or windows of any kind, and any placement."""
    rule: dict[str, Any] = {"placement": chance.choice(["start", "spread", "spread", "rotate"])}
    if rule["placement"] == "spread":
        rule["spread_minutes"] = chance.choice([1, 15, chance.randint(1, 60)])
    if chance.random() < 0.2:
        rule["attempts_per_window"] = chance.randint(1, 2)
    if chance.random() < 0.3:
        return rule | {"call_start_hour": chance.randrange(24), "call_end_hour": chance.randrange(24)}
    rule["windows"] = []
    for _ in range(chance.randint(1, 3)):
        start, end = chance.sample(range(0, 1440, chance.choice([1, 15, 60])), 2)
        window: dict[str, Any] = {"start": _time(start), "end": _time(end)}
        if chance.random() < 0.6:
            days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            window["days"] = chance.sample(days, chance.randint(1, 6))
        rule["windows"].append(window)
    if chance.random() < 0.3:
        rule["excluded_dates"] = [f"{today + timedelta(days=chance.randint(0, 5)):%Y-%m-%d}"]
    return rule


def _time(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def retries(chance: random.Random) -> dict[str, Any]:
    intervals = [chance.choice([1, 5, 60, 240, 1440, chance.randint(1, 4000)]) for _ in range(chance.randint(1, 3))]
    return {
        "enabled": chance.random() < 0.9,
        "max_retries": chance.randint(1, 3),
        "retry_intervals_minutes": intervals,
    }


def named_policy(chance: random.Random, today: datetime) -> dict[str, Any]:
    """The body of a policy: some rules of each kind."""
    caps = [{"attempts": chance.randint(1, 3), "hours": chance.choice([1, 12, 24, 168])} for _ in range(2)]
    limits = {"caps": caps, "at_cap": chance.choice(["defer", "defer", "end"])}
    body: dict[str, Any] = {"retry_config": retries(chance)}
    if chance.random() < 0.8:
        body["contact_limits"] = limits
    if chance.random() < 0.5:
        body["calling_guardrails"] = guardrails(chance, today)
    if chance.random() < 0.3:
        body["expires_after_minutes"] = chance.randint(1, 10 * 1440)
    return body


def policy(chance: random.Random, number: int, now: datetime) -> dict[str, Any]:
    """The body of a call, without its agent."""
    body: dict[str, Any] = {"recipient_phone_number": chance.choice(NUMBERS).format(number)}
    if chance.random() < 0.5:
        body["policy"] = f"some-{chance.randrange(NAMED)}"
    if "policy" not in body or chance.random() < 0.3:
        body["retry_config"] = retries(chance)
    if chance.random() < (0.3 if "policy" in body else 0.9):
        body["calling_guardrails"] = guardrails(chance, now)
    if chance.random() < 0.2:
        body["expires_after_minutes"] = chance.randint(1, 10 * 1440)
    if chance.random() < 0.5:
        body["time_zone"] = chance.choice(ZONES)
    if chance.random() < 0.4:
        body["scheduled_at"] = (now + timedelta(seconds=chance.randint(120, 10 * 86400))).isoformat()
    if chance.random() < 0.1:
        body["bypass_call_guardrails"] = True
    return body


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.nightly] if part else []) for part in range(PARTS)]
)
def test_a_plan_is_what_happens_if_every_attempt_fails(part: int, world: World) -> None:
    """A call's own second within a spread is unknown to a plan made before it, and known to its explanation."""
    chance, account, seen = random.Random(part), world.accounts[0], Counter[str]()
    config = {
        "agent_name": "plans",
        "from_phone_numbers": ["+12025550100"],
        "answer_url": "https://demo.twilio.com/docs/voice.xml",
        "max_concurrent_calls": 1000,
        "webhook_statuses": ["completed"],
    }
    agent = world.ask_as(account, "POST", "/v2/agent", {"agent_config": config})
    agent_id = json.loads(agent.body)["agent_id"]
    for name in range(NAMED):
        made = world.ask_as(account, "PUT", f"/policies/some-{name}", named_policy(chance, world.now))
        assert made.status < 300, made.body
    plans: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for number in range(POLICIES):
        body = policy(chance, number, world.now) | {"agent_id": agent_id}
        world.carrier.calls.scripts.set(body["recipient_phone_number"], ["no-answer"])
        planned, made = (world.ask_as(account, "POST", path, body) for path in ("/call/plan", "/call"))
        if made.status != 200:
            assert (planned.status, planned.body) == (made.status, made.body)
            seen["refused"] += 1
            continue
        execution_id = json.loads(made.body)["execution_id"]
        plan = exact = json.loads(planned.body)
        if any(one["earliest_at"] != one["latest_at"] for one in plan["attempts"]):
            explained = world.ask_as(account, "GET", f"/executions/{execution_id}/explain")
            exact = json.loads(explained.body)["plan"]
        plans.append((execution_id, plan, exact))
    world.run(DAYS * 86400)
    assert world.violations == []
    for execution_id, plan, exact in plans:
        check(world.seen.executions[execution_id], plan, exact, seen)
    assert seen["dialled"] > 1.5 * POLICIES and seen["moved"] > POLICIES / 2 and seen["spread"] > POLICIES / 6
    assert seen["contact-limit"] > 5 and seen["expired"] > 0
    assert seen["refused"] < POLICIES / 10


def check(execution: Execution, plan: dict[str, Any], exact: dict[str, Any], seen: Counter[str]) -> None:
    """`exact`: the plan of the call itself, if `plan` does not know the call's own second of a spread."""
    dialled = [one.dialed_at for one in execution.state.attempts if one.dialed_at is not None]
    what = f"{execution.id}: {execution.calling_rule} {execution.user_number}: {plan} {exact}, but {dialled}"
    sure = [one for one in plan["attempts"] if one["latest_at"] is not None]
    assert len(sure) <= len(dialled) == len(exact["attempts"]) <= len(plan["attempts"]), what
    assert len(plan["attempts"]) <= plan["worst_case_calls"], what
    assert _settled(exact["ends_because"]) == _settled(execution.state.ended or ""), what
    assert plan is not exact or len(sure) == len(dialled), what
    for number, (planned, known, at) in enumerate(zip(plan["attempts"], exact["attempts"], dialled, strict=False), 1):
        late = number * LATE + _timers_late(execution, number)
        assert instant(planned["earliest_at"]) <= at, what
        assert planned["latest_at"] is None or at <= instant(planned["latest_at"]) + late, what
        assert known["earliest_at"] == known["latest_at"], what
        assert timedelta(0) <= at - instant(known["earliest_at"]) < late, what
        seen["dialled"] += 1
        seen["moved"] += bool(planned["moved_by"])
        seen["spread"] += planned["earliest_at"] != planned["latest_at"]
        seen.update({one["gate"] for one in planned["moved_by"]})
    seen["expired"] += "expired" in plan["ends_because"]


def _timers_late(execution: Execution, attempt: int) -> timedelta:
    """How late timers fired until that attempt: the Scheduler takes no time that is less than a minute ahead."""
    waits = [one.until - one.at for one in execution.changes if one.attempt <= attempt and one.until is not None]
    return sum((max(SOONEST - wait, timedelta(0)) for wait in waits), timedelta(0))


def _settled(because: str) -> str:
    """Remove the instants, which depend on a call's own second of a spread."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "…", because)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
