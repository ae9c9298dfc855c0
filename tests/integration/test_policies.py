"""Policies through the HTTP interface: versions, conditions, and where they apply."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_stack import Answer, LocalClient, local_stack

RULES: dict[str, Any] = {
    "calling_guardrails": {"windows": [{"days": ["mon", "fri"], "start": "09:00", "end": "12:30"}]},
    "contact_limits": {"caps": [{"attempts": 3, "hours": 24}]},
    "expires_after_minutes": 2880,
    "consent_required": ["FR"],
    "purpose": "marketing",
    "retry_config": {"enabled": True, "max_retries": 2},
}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def put(client: LocalClient, name: str, body: dict[str, Any], **headers: str) -> Answer:
    return client.api("PUT", f"/policies/{name}", body, **headers)


def test_each_put_with_other_rules_makes_a_version_that_never_changes(client: LocalClient) -> None:
    first = put(client, "leads", RULES)
    assert (first.status, first.headers["etag"], first.json["policy"]) == (201, '"1"', "leads@1")
    assert {name: first.json[name] for name in RULES} == RULES | {
        "contact_limits": {**RULES["contact_limits"], "pause_after_conversation_hours": None, "at_cap": "defer"},
        "retry_config": first.json["retry_config"],
    }
    assert first.json["retry_config"]["retry_intervals_minutes"] == [30, 60, 120]
    again = put(client, "leads", RULES)
    assert (again.status, again.json) == (200, first.json), "the same rules make no version"
    second = put(client, "leads", {"purpose": "reminder", "unknown": 1})
    assert (second.status, second.headers["etag"], second.json["version"]) == (200, '"2"', 2)
    assert client.api("GET", "/policies/leads").json == second.json
    assert client.api("GET", "/policies/leads?version=1").json == first.json
    missing = client.api("GET", "/policies/leads?version=3")
    assert (missing.status, missing.json["message"]) == (404, "policy leads has the versions 1 to 2")
    assert client.api("GET", "/policies/lead").status == 404
    put(client, "leads-2", {})
    put(client, "a", {})
    listed = client.api("GET", "/policies").json
    assert [one["policy"] for one in listed] == ["a@1", "leads@2", "leads-2@1"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": '"2"'}, 200),
        ({"If_Match": 'W/"2"'}, 200),
        ({"If_Match": '"1", "2"'}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"1"'}, 412),
        ({"If_None_Match": "*"}, 412),
        ({"If_None_Match": '"2"'}, 412),
        ({"If_None_Match": '"1"'}, 200),
        ({}, 200),
    ],
)
def test_a_condition_protects_from_changes_of_others(client: LocalClient, headers: dict[str, str], status: int) -> None:
    put(client, "leads", {"purpose": "one"}, If_None_Match="*")
    put(client, "leads", {"purpose": "two"}, If_Match='"1"')
    answer = put(client, "leads", {"purpose": "three"}, **headers)
    assert answer.status == status, answer
    if status == 412:
        assert answer.json["message"] == 'policy leads is at version 2: read it, and send its ETag, "2", as If-Match'
    assert client.api("GET", "/policies/leads").json["version"] == (3 if status == 200 else 2)


def test_a_condition_on_a_policy_that_does_not_exist(client: LocalClient) -> None:
    answer = put(client, "leads", {}, If_Match="*")
    assert (answer.status, "there is no policy leads yet" in answer.json["message"]) == (412, True)
    assert put(client, "leads", {}, If_None_Match="*").status == 201


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("Leads", {}, "name"),
        ("a" * 41, {}, "name"),
        ("leads@1", {}, "name"),
        ("leads", {"calling_guardrails": {"call_start_hour": 9}}, "calling_guardrails.call_end_hour"),
        ("leads", {"contact_limits": {"caps": [{"attempts": 0, "hours": 1}]}}, "contact_limits.caps.0.attempts"),
        ("leads", {"expires_after_minutes": 0}, "expires_after_minutes"),
        ("leads", {"purpose": "Marketing"}, "purpose"),
        ("leads", {"retry_config": {"enabled": True, "max_retries": 4}}, "retry_config.max_retries"),
    ],
)
def test_invalid_rules_are_refused(client: LocalClient, name: str, body: dict[str, Any], field: str) -> None:
    answer = put(client, name, body)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, [field])
