"""`GET /now`: the current state of an account, in a limited number of requests."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from redial import __version__
from redial.domain.circuit import Circuit
from redial.domain.outcome import Accepted, NotPlaced
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.runtime.services import Services, services_of
from redial.usecases import now
from redial.wire.stored_execution import DUE_SHARDS
from tests.support.api import API_KEY, OTHER_ACCOUNT_ID, OTHER_API_KEY, Api
from tests.support.samples import ACCOUNT_ID, TEN
from tests.support.table import TABLE_NAME, every_item

MINUTE = timedelta(minutes=1)
BATCH_ID = "0" * 31 + "1"


def seen(api: Api, key: str = API_KEY) -> dict[str, Any]:
    answer = api.send("GET", "/now", key=key)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def store() -> Services:
    return services_of("api")


def scheduled(api: Api, agent_id: str, at: datetime, number: str = "+14155550100", **key: str) -> None:
    api.call(agent_id, recipient_phone_number=number, scheduled_at=at.isoformat(), **key)


def delay(agent_id: str, batch_id: str, minutes: list[float], *, paused: bool = False) -> None:
    """Add contacts to the delayed set of a running batch, due `minutes` after `TEN`."""
    store().queue.join(BatchQueueEntry(batch_id, agent_id, 1, 1, TEN, paused=paused))
    for row, after in enumerate(minutes):
        store().delayed.add(agent_id, batch_id, QueuedCall(f"{batch_id}-{row}", 1, False, TEN + after * MINUTE))


@contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """Count the requests to DynamoDB, by operation."""
    asked: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        asked[model.name] += 1

    events = store().executions._table.client.meta.events
    events.register("before-call.dynamodb", count)
    try:
        yield asked
    finally:
        events.unregister("before-call.dynamodb", count)


def test_an_account_without_agents(api: Api) -> None:
    assert seen(api) == {
        "version": __version__,
        "at": "2026-01-26T10:00:00.000Z",
        "lines": {"max": 0, "current": 0, "agents": [], "complete": True},
        "due": {"minutes": 60, "step_minutes": 5, "calls": [0] * 12, "complete": True},
        "carriers": [],
        "attention": 0,
        "undelivered": 0,
    }


def test_lines_by_agent_also_those_above_a_lowered_limit(api: Api) -> None:
    first, second = api.agent(agent_name="first", max_concurrent_calls=60), api.agent(agent_name="second")
    api.agent(key=OTHER_API_KEY)
    for shard, call in ((0, "a"), (1, "b"), (1, "c")):
        assert store().lines.acquire(ACCOUNT_ID, first, shard, 50, call, 1, TEN)
    change = {"agent_config": {"max_concurrent_calls": 5}}
    assert api.send("PATCH", f"/v2/agent/{first}", change).status == 200
    lines = seen(api)["lines"]
    assert (lines["max"], lines["current"], lines["complete"]) == (15, 3, True)
    assert sorted(lines["agents"], key=lambda one: one["agent_name"]) == [
        {"agent_id": first, "agent_name": "first", "max": 5, "current": 3},
        {"agent_id": second, "agent_name": "second", "max": 10, "current": 0},
    ]
    assert api.send("GET", "/user/me").json["concurrency"] == {"max": 15, "current": 3}


def test_scheduled_calls_and_delayed_contacts_by_five_minutes(api: Api) -> None:
    agent_id, theirs = api.agent(), api.agent(key=OTHER_API_KEY)
    for minutes in (2, 12, 14.9, 15, 59.9, 60, 200):
        scheduled(api, agent_id, TEN + minutes * MINUTE)
    scheduled(api, theirs, TEN + 12 * MINUTE, key=OTHER_API_KEY)
    delay(agent_id, BATCH_ID, [3, 58, 61])
    delay(agent_id, BATCH_ID[:-1] + "2", [3], paused=True)
    assert seen(api)["due"]["calls"] == [2, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert seen(api, OTHER_API_KEY)["due"]["calls"] == [0, 0, 1, *[0] * 9]
    api.advance(10 * MINUTE)
    due = seen(api)["due"]
    assert (due["calls"], due["complete"]) == ([2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0], True)


def test_a_call_that_rings_or_waits_for_a_line_is_not_due(api: Api) -> None:
    execution_id = api.call(api.agent())
    execution = store().executions.get(execution_id)
    assert execution is not None and execution.due_at is not None and execution.state.timer is None
    assert seen(api)["due"]["calls"] == [0] * 12


def test_carriers_and_attention(api: Api) -> None:
    api.agent()
    api.agent(telephony_provider="http")
    failed = Circuit(ACCOUNT_ID, "twilio")
    for _ in range(5):
        failed = failed.record(NotPlaced("HTTP 503", outage=True), False, TEN)
    store().circuits.save(failed)
    store().circuits.save(Circuit(OTHER_ACCOUNT_ID, "http").record(NotPlaced("HTTP 500", outage=True), False, TEN))
    found = seen(api)
    assert found["carriers"] == [
        {"name": "http", "account": ACCOUNT_ID, "state": "ok", "since": None, "reason": None},
        {
            "name": "twilio",
            "account": ACCOUNT_ID,
            "state": "paused",
            "since": "2026-01-26T10:00:00.000Z",
            "reason": "HTTP 503",
        },
    ]
    assert found["attention"] == len(api.send("GET", "/attention").json["data"]) == 1
    opened = store().circuits.get(ACCOUNT_ID, "twilio")
    store().circuits.save(opened.record(Accepted("CA1"), True, TEN + MINUTE))
    api.advance(2 * MINUTE)
    resuming = seen(api)["carriers"][1]
    assert (resuming["state"], resuming["since"]) == ("resuming", "2026-01-26T10:01:00.000Z")


def test_the_number_of_requests_does_not_grow_with_the_calls(api: Api) -> None:
    agent_id = api.agent()
    for row in range(4):
        scheduled(api, agent_id, TEN + 7 * MINUTE, f"+1415555{row:04d}")
    with counted_requests() as few:
        seen(api)
    for row in range(4, 60):
        scheduled(api, agent_id, TEN + 7 * MINUTE, f"+1415555{row:04d}")
    with counted_requests() as many, mock.patch.object(now, "MOST_CALLS", 32):
        due = seen(api)["due"]
    assert DUE_SHARDS == 16
    assert few == many == {"GetItem": 2, "BatchGetItem": 2, "Query": 1 + 1 + 1 + 2 + 16}
    assert due["complete"] is False and 0 < due["calls"][1] <= 32
    assert seen(api)["due"] == {"minutes": 60, "step_minutes": 5, "calls": [0, 60, *[0] * 10], "complete": True}


def test_agents_and_batches_beyond_the_limits_are_left_out(api: Api) -> None:
    agents = [api.agent() for _ in range(3)]
    for number, agent_id in enumerate(agents):
        delay(agent_id, f"{number:032x}", [3, 4])
    with mock.patch.object(now, "MOST_AGENTS", 2), counted_requests() as asked:
        found = seen(api)
    assert (len(found["lines"]["agents"]), found["lines"]["complete"]) == (2, False)
    assert (found["due"]["calls"][0], found["due"]["complete"]) == (4, False)
    assert asked["Query"] == 1 + 1 + 2 + 16 + 2 + 2, "agents, circuits, undelivered, due, queues, delayed sets"
    with mock.patch.object(now, "MOST_BATCHES", 1):
        due = seen(api)["due"]
    assert (due["calls"][0], due["complete"]) == (2, False)
    with mock.patch.object(now, "MOST_CALLS", 32):
        assert seen(api)["due"] == {"minutes": 60, "step_minutes": 5, "calls": [6, *[0] * 11], "complete": True}


def test_looking_changes_nothing(api: Api) -> None:
    agent_id = api.agent()
    scheduled(api, agent_id, TEN + 7 * MINUTE)
    api.invoked.clear()
    client = store().executions._table.client
    before = every_item(client, TABLE_NAME)
    seen(api)
    assert every_item(client, TABLE_NAME) == before
    assert api.invoked == []
