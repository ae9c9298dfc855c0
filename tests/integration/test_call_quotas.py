"""Quotas of API keys: how many calls a key may have accepted in a day."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from redial.runtime.services import services_of
from tests.support.api import OTHER_API_KEY, Api
from tests.support.samples import NUMBER

CALL = {"recipient_phone_number": NUMBER}


def key(api: Api, calls_a_day: int | None = 3, **rights: Any) -> str:
    body = {"name": "k", "quotas": {"calls_a_day": calls_a_day}, **rights}
    return str(api.send("POST", "/keys", body).json["api_key"])


@pytest.fixture
def agent_id(api: Api) -> str:
    return api.agent()


def statuses(api: Api, agent_id: str, api_key: str, times: int, **more: Any) -> list[int]:
    body = {"agent_id": agent_id, **CALL}
    return [api.send("POST", "/call", body, key=api_key, **more).status for _ in range(times)]


def test_a_key_has_so_many_calls_accepted_a_day(api: Api, agent_id: str) -> None:
    limited, other = key(api), key(api, 1)
    assert statuses(api, agent_id, limited, 3) == [200] * 3
    refused = api.send("POST", "/call", {"agent_id": agent_id, **CALL}, key=limited)
    assert (refused.status, refused.json["error"]) == (429, 429)
    assert "3 calls accepted a day" in refused.json["message"] and "2026-01-27" in refused.json["message"]
    assert refused.headers["retry-after"] == str(14 * 3600), "it is 10:00, and the day ends at midnight UTC"
    assert statuses(api, agent_id, other, 2) == [200, 429], "each key has its own"
    assert len(api.send("GET", f"/agent/{agent_id}/executions").json) == 4
    api.advance(timedelta(hours=13, minutes=59, seconds=59, milliseconds=500))
    late = api.send("POST", "/call", {"agent_id": agent_id, **CALL}, key=limited)
    assert (late.status, late.headers["retry-after"]) == (429, "1")
    api.advance(timedelta(milliseconds=500))
    assert statuses(api, agent_id, limited, 4) == [200, 200, 200, 429]


def test_a_refused_and_a_repeated_call_are_not_counted(api: Api, agent_id: str) -> None:
    limited = key(api, 2)
    for body in ({}, {"agent_id": agent_id, "recipient_phone_number": "12"}, {"agent_id": "x", **CALL}):
        assert api.send("POST", "/call", body, key=limited).status in (400, 404)
    assert statuses(api, agent_id, limited, 4, headers={"Idempotency-Key": "one"}) == [200] * 4
    assert api.send("POST", "/call/plan", {"agent_id": agent_id, **CALL}, key=limited).status == 200
    assert statuses(api, agent_id, limited, 2) == [200, 429]
    assert statuses(api, agent_id, limited, 1, headers={"Idempotency-Key": "one"}) == [200], "it was accepted before"


def test_a_call_that_another_request_makes_at_the_same_time_is_given_back(
    api: Api, agent_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited, executions = key(api, 2), services_of("api").executions
    create, body = executions.create, {"agent_id": agent_id, **CALL}

    def second(execution: Any) -> bool:
        create(replace(execution, purpose="made by the other request"))
        return create(execution)

    monkeypatch.setattr(executions, "create", second)
    assert api.send("POST", "/call", body, key=limited, headers={"Idempotency-Key": "one"}).status == 200
    monkeypatch.setattr(executions, "create", create)
    assert statuses(api, agent_id, limited, 3) == [200, 200, 429]


def test_what_is_taken_does_not_pass_the_quota(api: Api, agent_id: str) -> None:
    """Each take is one conditional write, so concurrent calls keep the quota, too. (moto is not safe for threads.)"""
    quotas, day = services_of("api").call_quotas, api.now.date()
    assert [quotas.take("k", day, 1, 7) for _ in range(20)] == [True] * 7 + [False] * 13
    assert not quotas.take("k", day, 8, 7)
    quotas.give_back("k", day, 2)
    assert [quotas.take("k", day, calls, 7) for calls in (3, 2, 1)] == [False, True, False]


def test_a_key_without_a_quota_counts_nothing(api: Api, agent_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_of("api"), "call_quotas", None)
    assert statuses(api, agent_id, key(api, None), 2) == [200, 200]


def test_a_quota_is_of_the_key_and_not_of_its_account(api: Api, agent_id: str) -> None:
    limited = key(api, 1)
    assert statuses(api, agent_id, limited, 2) == [200, 429]
    assert api.call(agent_id)
    assert api.call(api.agent(key=OTHER_API_KEY), key=OTHER_API_KEY)
