"""An account over HTTP: its settings, its numbers, and its undelivered events."""

from dataclasses import replace
from typing import Any

import pytest

from redial.adapters import address_guard
from redial.domain.decision import stopped
from redial.domain.delivery import Delivery, DeliveryAttempt
from redial.runtime.services import services_of
from redial.usecases.accounts import hash_of
from tests.support.api import API_KEY, OTHER_ACCOUNT_ID, OTHER_API_KEY, UNKNOWN_ID, Api
from tests.support.samples import ACCOUNT_ID, CALLER_ID, TEN, minutes


def test_user_me_is_the_account_of_the_key(api: Api) -> None:
    no_calls = {"max": 0, "current": 0}
    nothing: dict[str, Any] = dict.fromkeys(("telephony_provider", "answer_url", "stream_url", "policy"))
    nothing["from_phone_numbers"] = []
    none: dict[str, Any] = {"concurrency": no_calls, "defaults": nothing, "contact_limits": None, "carriers": []}
    first = {"id": ACCOUNT_ID, "name": "First", "webhook_url": None, **none}
    key = {
        "id": hash_of(API_KEY)[:12],
        "name": "First",
        "scopes": ["read", "call", "operate", "admin"],
        "agents": None,
        "numbers": "full",
        "quotas": {"calls_a_day": None, "lines": None},
        "last_used_at": "2026-01-26T10:00:00.000Z",
    }
    assert api.send("GET", "/user/me").json == first | {"key": key}
    other = api.send("GET", "/user/me", key=OTHER_API_KEY).json
    other_key = key | {"id": hash_of(OTHER_API_KEY)[:12], "name": "Other"}
    assert other == first | {"id": OTHER_ACCOUNT_ID, "name": "Other", "key": other_key}


def test_a_change_that_is_refused_changes_nothing(api: Api) -> None:
    before = api.send("GET", "/user/me").json
    limits = {"caps": [{"attempts": 3, "hours": 24}]}
    change = {"from_phone_numbers": [CALLER_ID], "contact_limits": limits, "webhook_url": "https://127.0.0.1/"}
    refused = api.send("PATCH", "/user/me", change)
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "webhook_url")
    assert api.send("GET", "/user/me").json == before


def test_each_carrier_that_an_agent_uses_is_shown_once(api: Api) -> None:
    api.agent(telephony_provider="http")
    for _ in range(2):
        api.agent()
    api.send("DELETE", f"/v2/agent/{api.agent(key=OTHER_API_KEY)}", key=OTHER_API_KEY)
    closed = {"circuit": "closed", "since": None, "next_try_at": None, "reason": None}
    assert api.send("GET", "/user/me").json["carriers"] == [
        {"provider": "http", **closed},
        {"provider": "twilio", **closed},
    ]
    assert api.send("GET", "/user/me", key=OTHER_API_KEY).json["carriers"] == []


def test_concurrency_is_counted_over_all_agents_and_all_shards_of_their_lines(api: Api) -> None:
    small, large = api.agent(max_concurrent_calls=7), api.agent(max_concurrent_calls=120)
    deleted, foreign = api.agent(max_concurrent_calls=30), api.agent(key=OTHER_API_KEY)
    lines = services_of("api").lines
    for agent_id, shard in ((small, 0), (large, 0), (large, 2), (deleted, 0), (foreign, 0)):
        for call in range(2):
            assert lines.acquire(ACCOUNT_ID, agent_id, shard, 50, f"{shard}{call}{agent_id[2:]}", 1, TEN)
    api.send("DELETE", f"/v2/agent/{deleted}")
    assert api.send("GET", "/user/me").json["concurrency"] == {"max": 127, "current": 6}


def test_the_phone_numbers_are_those_of_the_accounts_agents(api: Api) -> None:
    assert api.send("GET", "/phone-numbers/all").json == []
    first = api.agent(from_phone_numbers=[CALLER_ID, "+14155550101"])
    api.advance(minutes(1))
    second = api.agent(from_phone_numbers=[CALLER_ID])
    api.agent(from_phone_numbers=[])
    api.agent(key=OTHER_API_KEY)
    numbers = api.send("GET", "/phone-numbers/all").json
    assert [(one["phone_number"], one["agent_id"]) for one in numbers] == [
        (CALLER_ID, first),
        ("+14155550101", first),
        (CALLER_ID, second),
    ]
    assert {one["telephony_provider"] for one in numbers} == {"twilio"}
    assert len({one["id"] for one in numbers}) == 3
    assert api.send("GET", "/phone-numbers/all").json == numbers


# ---- undelivered events -------------------------------------------------------------------------------------------


def undelivered(api: Api, key: str = "", **delivery: Any) -> str:
    """A call whose first event was given up after eight tries; returns its id."""
    keys = {"key": key} if key else {}
    execution_id = api.call(api.agent(**keys), **keys)
    world = services_of("api")
    execution = world.executions.get(execution_id)
    assert execution is not None
    given_up = Delivery(settled=1, undelivered=(1,), log=(DeliveryAttempt(1, TEN, 503, 8, "busy"),))
    changed = replace(execution, delivery=replace(given_up, **delivery))
    world.executions.save(changed.with_due(TEN))
    return execution_id


def test_given_up_events_are_listed_to_their_account(api: Api) -> None:
    assert api.send("GET", "/webhooks/undelivered").json == {"data": [], "has_more": False}
    execution_id = undelivered(api)
    undelivered(api, key=OTHER_API_KEY)
    listed = api.send("GET", "/webhooks/undelivered").json
    assert [one["execution_id"] for one in listed["data"]] == [execution_id]
    assert listed["data"][0]["events"] == [
        {
            "sequence": 1,
            "status": "queued",
            "last_tried_at": "2026-01-26T10:00:00.000Z",
            "tries": 8,
            "http_status": 503,
            "error": "busy",
            "next_try_at": None,
        }
    ]


IN_BACK_OFF: dict[str, Any] = {"settled": 0, "undelivered": (), "tries": 3, "next_try_at": TEN + minutes(30)}


def test_an_event_that_waits_for_its_next_try_is_listed_and_can_be_sent_now(api: Api) -> None:
    execution_id = undelivered(api, **IN_BACK_OFF)
    ((event,),) = (one["events"] for one in api.send("GET", "/webhooks/undelivered").json["data"])
    assert (event["sequence"], event["next_try_at"]) == (1, "2026-01-26T10:30:00.000Z")
    api.invoked.clear()
    answer = api.send("POST", f"/executions/{execution_id}/webhooks/replay")
    assert answer.json == {"execution_id": execution_id, "replayed": [1]}
    assert [(name, event["execution_id"]) for name, event in api.invoked] == [("deliver", execution_id)]
    assert api.send("GET", "/webhooks/undelivered").json["data"] == []


def test_a_given_up_event_is_sent_before_one_that_waits(api: Api) -> None:
    execution_id = undelivered(api, **IN_BACK_OFF | {"settled": 1, "undelivered": (1,)})
    stored = services_of("api").executions.get(execution_id)
    assert stored is not None
    services_of("api").executions.save(stored.end(TEN, stopped("stopped by request")).with_due(TEN))
    (listed,) = api.send("GET", "/webhooks/undelivered").json["data"]
    waits = [(one["sequence"], one["next_try_at"] is not None) for one in listed["events"]]
    assert waits == [(1, False), (2, True)]
    assert api.send("POST", f"/executions/{execution_id}/webhooks/replay").json["replayed"] == [1, 2]


def test_a_corrected_webhook_url_is_tried_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"resolve": lambda host, port, **_: [(0, 0, 0, "", ("93.184.216.34", port))]}
    monkeypatch.setattr(address_guard.check, "__kwdefaults__", found)
    waiting = undelivered(api, **IN_BACK_OFF)
    given_up = undelivered(api)
    elsewhere = undelivered(api, **IN_BACK_OFF)
    store = services_of("api").executions
    agent_ids = {one: api.send("GET", f"/executions/{one}").json["agent_id"] for one in (waiting, given_up, elsewhere)}
    for one in (waiting, given_up):
        api.invoked.clear()
        path = f"/v2/agent/{agent_ids[one]}"
        api.send("PATCH", path, {"agent_config": {"webhook_url": "https://new.example.com/"}})
        expected = [("deliver", one)] if one == waiting else []
        assert [(name, event["execution_id"]) for name, event in api.invoked] == expected
    api.invoked.clear()
    api.send("PATCH", f"/v2/agent/{agent_ids[elsewhere]}", {"agent_config": {"max_call_seconds": 60}})
    assert api.invoked == []
    (now, later, never) = (store.get(one) for one in (waiting, elsewhere, given_up))
    assert now is not None
    assert later is not None
    assert never is not None
    assert (now.delivery.next_try_at, now.delivery.tries) == (None, 0)
    assert later.delivery.next_try_at == TEN + minutes(30)
    assert never.delivery.undelivered == (1,)


def test_an_event_without_a_log_entry_is_listed(api: Api) -> None:
    undelivered(api, log=())
    (event,) = api.send("GET", "/webhooks/undelivered").json["data"][0]["events"]
    assert (event["sequence"], event["last_tried_at"], event["tries"]) == (1, None, None)


def test_a_long_list_has_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redial.api.webhooks.MAX_UNDELIVERED", 2)
    made = {undelivered(api) for _ in range(3)}
    listed = api.send("GET", "/webhooks/undelivered").json
    assert {one["execution_id"] for one in listed["data"]} < made
    assert (len(listed["data"]), listed["has_more"]) == (2, True)


def test_replaying_requeues_given_up_events_and_invokes_deliver(api: Api) -> None:
    execution_id = undelivered(api)
    api.invoked.clear()
    answer = api.send("POST", f"/executions/{execution_id}/webhooks/replay")
    assert (answer.status, answer.json) == (200, {"execution_id": execution_id, "replayed": [1]})
    assert [(name, event["execution_id"]) for name, event in api.invoked] == [("deliver", execution_id)]
    stored = services_of("api").executions.get(execution_id)
    assert stored is not None
    assert stored.pending()[0] == 1
    assert api.send("GET", "/webhooks/undelivered").json["data"] == []
    assert api.send("POST", f"/executions/{execution_id}/webhooks/replay").json["replayed"] == []


def test_replaying_another_accounts_events_answers_404(api: Api) -> None:
    foreign = undelivered(api, key=OTHER_API_KEY)
    for execution_id in (UNKNOWN_ID, foreign, "x"):
        assert api.send("POST", f"/executions/{execution_id}/webhooks/replay").status == 404
    assert len(api.send("GET", "/webhooks/undelivered", key=OTHER_API_KEY).json["data"]) == 1
