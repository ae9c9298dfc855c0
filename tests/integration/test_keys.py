"""API keys over HTTP: created, listed and revoked, with a record of their use."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from redial.domain.api_key import ALL_RIGHTS, KeyRights, KeyScope, NumbersShown
from redial.domain.queue import MAX_KEY_LINES
from redial.runtime.services import services_of
from redial.usecases.accounts import hash_of
from redial.wire.webhook_signature import sign
from tests.support.api import API_KEY, OTHER_API_KEY, UNKNOWN_ID, Api
from tests.support.samples import ACCOUNT_ID


def make(api: Api, key: str = API_KEY, **fields: Any) -> dict[str, Any]:
    """Create a key; return it with its `api_key`."""
    answer = api.send("POST", "/keys", {"name": "k", **fields}, key=key)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def listed(api: Api, key: str = API_KEY) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.send("GET", "/keys", key=key).json
    return found


def test_a_key_is_made_used_listed_and_revoked(api: Api) -> None:
    agent_id = api.agent()
    rights: dict[str, Any] = {"scopes": ["read", "call"], "agents": [agent_id], "numbers": "masked"}
    rights["quotas"] = {"calls_a_day": 5, "lines": 2}
    made = make(api, name=" dashboard ", **rights)
    api_key = made.pop("api_key")
    assert api_key.startswith("rdl_")
    times = {"created_at": "2026-01-26T10:00:00.000Z", "revoked_at": None, "last_used_at": None}
    assert made == {"id": made["id"], "name": "dashboard", **rights, **times}
    assert listed(api)[1] == made
    assert api_key not in api.send("GET", "/keys").text
    own = api.send("GET", "/user/me", key=api_key).json["key"]
    used = made | {"last_used_at": "2026-01-26T10:00:00.000Z"}
    assert own == {name: value for name, value in used.items() if name not in ("created_at", "revoked_at")}
    assert listed(api)[1] == used
    api.advance(timedelta(minutes=1))
    revoked = api.send("DELETE", f"/keys/{made['id']}")
    assert (revoked.status, revoked.json) == (200, {"message": "success", "state": "revoked"})
    assert api.send("GET", "/user/me", key=api_key).status == 401
    api.advance(timedelta(minutes=1))
    assert api.send("DELETE", f"/keys/{made['id']}").status == 200
    assert listed(api)[1]["revoked_at"] == "2026-01-26T10:01:00.000Z", "revoking it again changes nothing"
    assert api.send("GET", "/user/me").status == 200


def test_what_is_left_out_is_as_the_key_has_it_that_makes_it(api: Api) -> None:
    assert make(api)["scopes"] == ["read", "call", "operate", "admin"]
    agent_id = api.agent()
    rights: dict[str, Any] = {"scopes": ["read", "admin"], "agents": [agent_id], "numbers": "masked"}
    rights["quotas"] = {"calls_a_day": 5, "lines": 2}
    first = make(api, **rights)
    second = make(api, first["api_key"], quotas={})
    assert {name: second[name] for name in rights} == rights


TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"scopes": ["read", "operate"]}, "the scope operate"),
    ({"agents": [UNKNOWN_ID]}, f"agent {UNKNOWN_ID}"),
    ({"numbers": "full"}, "full numbers"),
    ({"quotas": {"calls_a_day": 6}}, "more than 5 calls a day"),
    ({"quotas": {"lines": 3}}, "more than 2 lines"),
]


@pytest.mark.parametrize(("fields", "named"), TOO_MUCH)
def test_a_key_makes_none_with_more_than_it_has(api: Api, fields: dict[str, Any], named: str) -> None:
    agent_id, foreign = api.agent(), api.agent()
    rights: dict[str, Any] = {"scopes": ["read", "admin"], "numbers": "masked"}
    rights["quotas"] = {"calls_a_day": 5, "lines": 2}
    limited = make(api, agents=[agent_id], **rights)["api_key"]
    before = [key["id"] for key in listed(api)]
    for field in (fields, {"agents": [agent_id, foreign]} if "agents" in fields else fields):
        refused = api.send("POST", "/keys", {"name": "k", **field}, key=limited)
        assert refused.status == 403
        assert named.replace(UNKNOWN_ID, foreign if field is not fields else UNKNOWN_ID) in refused.json["message"]
    assert [key["id"] for key in listed(api)] == before


def test_rights_are_compared_in_every_respect() -> None:
    few = KeyRights((KeyScope.READ,), ("a", "b"), NumbersShown.MASKED, 5, 2)
    assert few.beyond(few) == few.beyond(ALL_RIGHTS) == ALL_RIGHTS.beyond(ALL_RIGHTS) == []
    assert KeyRights((), ("b",), NumbersShown.MASKED, 4, 1).beyond(few) == []
    assert ALL_RIGHTS.beyond(few) == [
        *("the scope call", "the scope operate", "the scope admin"),
        *("all agents", "full numbers", "more than 5 calls a day", "more than 2 lines"),
    ]
    assert KeyRights(lines=3).beyond(KeyRights(lines=2)) == ["more than 2 lines"]
    assert KeyRights(lines=2).beyond(KeyRights(lines=2)) == []
    assert KeyRights(agents=("b", "c")).beyond(KeyRights(agents=("a", "b"))) == ["agent c"]


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name"),
    ({"scopes": []}, "scopes"),
    ({"scopes": ["write"]}, "scopes.0"),
    ({"agents": []}, "agents"),
    ({"agents": ["mine"]}, "agents"),
    ({"agents": [UNKNOWN_ID]}, "agents"),
    ({"numbers": "hidden"}, "numbers"),
    ({"quotas": {"calls_a_day": 0}}, "quotas.calls_a_day"),
    ({"quotas": {"lines": 0}}, "quotas.lines"),
    ({"quotas": {"lines": MAX_KEY_LINES + 1}}, "quotas.lines"),
    ({"quotas": {"minutes": 5}}, "quotas.minutes"),
]


@pytest.mark.parametrize(("fields", "field"), INVALID)
def test_an_invalid_key_is_not_made(api: Api, fields: dict[str, Any], field: str) -> None:
    refused = api.send("POST", "/keys", {"name": "k", **fields})
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, field)
    assert len(listed(api)) == 1


def test_another_accounts_agents_and_keys_are_unknown(api: Api) -> None:
    theirs = api.agent(key=OTHER_API_KEY)
    refused = api.send("POST", "/keys", {"name": "k", "agents": [theirs]})
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "agents")
    (key,) = listed(api, OTHER_API_KEY)
    for key_id in (key["id"], UNKNOWN_ID):
        assert api.send("DELETE", f"/keys/{key_id}").status == 404
    assert api.send("GET", "/user/me", key=OTHER_API_KEY).status == 200


def test_a_restricted_key_sees_and_revokes_keys_for_its_agents_only(api: Api) -> None:
    agents = [api.agent(), api.agent()]
    made = []
    for of_key in (agents[:1], agents, agents[1:]):
        api.advance(timedelta(seconds=1))
        made.append(make(api, agents=of_key))
    one, both, other = made
    assert [key["id"] for key in listed(api, one["api_key"])] == [one["id"]]
    assert [key["id"] for key in listed(api, both["api_key"])] == [key["id"] for key in (one, both, other)]
    for key in (both, other, listed(api)[0]):
        refused, unknown = (
            api.send("DELETE", f"/keys/{key_id}", key=one["api_key"]) for key_id in (key["id"], UNKNOWN_ID)
        )
        assert (refused.status, refused.text.replace(key["id"], UNKNOWN_ID)) == (404, unknown.text)
    assert all(key["revoked_at"] is None for key in listed(api))
    assert api.send("DELETE", f"/keys/{other['id']}", key=both["api_key"]).status == 200


# ---- last used ----


@pytest.fixture
def writes(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys, by hash, whose use was stored or attempted to be stored."""
    table, found = services_of("api").accounts._table, []
    update = table.update

    def counted(key: Any, expression: str, *rest: Any, **more: Any) -> Any:
        if "last_used_at" in expression:
            found.append(key["pk"])
        return update(key, expression, *rest, **more)

    monkeypatch.setattr(table, "update", counted)
    return found


def test_a_keys_use_is_stored_once_an_hour(api: Api, writes: list[str]) -> None:
    for minutes in (0, 20, 39, 1, 59, 1, 24 * 60):
        api.advance(timedelta(minutes=minutes))
        for _ in range(2):
            assert api.send("GET", "/agent/x").status == 404
    assert writes == [f"K#{hash_of(API_KEY)}"] * 4
    assert listed(api)[0]["last_used_at"] == "2026-01-27T12:00:00.000Z"


def test_of_several_processes_one_stores_the_hour(api: Api) -> None:
    store = services_of("api").accounts
    assert api.send("GET", "/user/me").status == 200
    store._marked.clear()  # as in a process that has just read the key
    store.mark_used(hash_of(API_KEY), api.now - timedelta(hours=1))
    assert listed(api)[0]["last_used_at"] == "2026-01-26T10:00:00.000Z", "a late one does not go back"


def test_a_request_does_not_fail_because_its_use_is_not_stored(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "UpdateItem")

    monkeypatch.setattr(services_of("api").accounts, "mark_used", fail)
    assert api.send("GET", "/user/me").status == 200


def test_use_does_not_bring_back_a_key_that_was_removed(api: Api) -> None:
    store = services_of("api").accounts
    store.mark_used(hash_of("rdl_never-made"), api.now)
    assert store.caller_of_key(hash_of("rdl_never-made")) is None
    assert [key.key_id for key in store.keys(ACCOUNT_ID)] == [hash_of(API_KEY)[:12]]


def test_a_restriction_ends_with_its_request(api: Api) -> None:
    """A warm process may handle a restricted key's request, and then a signed one, which has no key."""
    one, other = api.agent(), api.agent()
    execution_id = api.call(other, scheduled_at="2026-01-27T12:00:00Z")
    restricted = make(api, agents=[one])["api_key"]
    assert api.send("GET", f"/executions/{execution_id}", key=restricted).status == 404
    account = services_of("api").accounts.get(ACCOUNT_ID)
    assert account is not None
    headers = sign(account.webhook_secrets, f"suppress-{execution_id}", api.now, b"{}")
    assert api.send("POST", f"/executions/{execution_id}/suppress", {}, key=None, headers=headers).status == 200
