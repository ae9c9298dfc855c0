"""Policies through the HTTP interface: versions, conditions, and where they apply."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack

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


# ---- where a policy applies ---------------------------------------------------------------------------------------

FROM, EVENING = "+14155550100", {"calling_guardrails": {"call_start_hour": 18, "call_end_hour": 20}}
BERLIN = "+493012345678"
"""A landline in Berlin, where it is 13:00."""


def configure(client: LocalClient, **config: Any) -> Answer:
    return client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", {"agent_config": config})


def moved_to(client: LocalClient, execution_id: str) -> str | None:
    """The local hour in Berlin to which the call was moved; None if it was dialled."""
    client.advance(1)
    found = client.execution(execution_id)
    moved = found["rescheduled_at"]
    return None if moved is None else f"{(datetime.fromisoformat(moved) + timedelta(hours=1)):%H:%M}"


def test_a_call_uses_its_own_policy_then_its_agents_then_its_accounts(client: LocalClient) -> None:
    put(client, "evening", EVENING)
    put(client, "night", {"calling_guardrails": {"call_start_hour": 22, "call_end_hour": 6}})
    assert moved_to(client, client.call(BERLIN)) is None
    answer = client.api("PATCH", "/user/me", {"policy": "evening"})
    assert (answer.status, answer.json["defaults"]["policy"]) == (200, "evening@1")
    assert moved_to(client, client.call(BERLIN)) == "18:00"
    assert configure(client, policy="night").status == 200
    by_agent = client.call(BERLIN)
    assert moved_to(client, by_agent) == "22:00"
    assert client.execution(by_agent)["policy"] == "night@1"
    assert moved_to(client, client.call(BERLIN, policy="evening@1")) == "18:00"
    assert configure(client, calling_guardrails={"call_start_hour": 15, "call_end_hour": 16}).status == 200
    assert moved_to(client, client.call(BERLIN)) == "15:00", "what the agent says itself goes before its policy"
    assert moved_to(client, client.call(BERLIN, policy="evening")) == "18:00", "but not before the call's"
    own = {"calling_guardrails": {"call_start_hour": 17, "call_end_hour": 18}}
    assert moved_to(client, client.call(BERLIN, policy="evening", **own)) == "17:00"


def test_calls_keep_the_version_that_they_were_made_with(client: LocalClient) -> None:
    put(client, "hours", EVENING)
    configure(client, policy="hours")
    agent = client.api("GET", f"/v2/agent/{client.stack.agent_id}").json["agent_config"]
    assert agent["policy"] == "hours@1", "shown with its number"
    waiting = client.call(BERLIN, scheduled_at=in_minutes(10))
    put(client, "hours", {"calling_guardrails": {"call_start_hour": 21, "call_end_hour": 22}})
    client.advance(10)
    assert moved_to(client, waiting) == "18:00"
    configure(client, agent_name="Renamed")
    assert moved_to(client, client.call(BERLIN)) == "18:00", "another change of the agent moves nothing"
    configure(client, policy="hours")
    assert moved_to(client, client.call(BERLIN)) == "21:00"
    configure(client, policy=None)
    assert moved_to(client, client.call(BERLIN)) is None


def test_a_batch_uses_its_policy(client: LocalClient) -> None:
    put(client, "evening", EVENING | {"retry_config": {"enabled": True, "max_retries": 1}, "purpose": "news"})
    file = f"contact_number\n{BERLIN}\n"
    sent = [("agent_id", client.stack.agent_id), ("policy", "evening"), ("start", "now")]
    batch_id = client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(1)
    batch = client.api("GET", f"/batches/{batch_id}").json
    assert (batch["policy"], batch["retry_config"]["max_retries"]) == ("evening@1", 1)
    contact = client.api("GET", f"/batches/{batch_id}/executions").json[0]
    assert (contact["status"], moved_to(client, contact["id"])) == ("rescheduled", "18:00")
    assert contact["retry_config"]["max_retries"] == 1


def test_a_new_agent_has_its_accounts_policy(client: LocalClient) -> None:
    put(client, "evening", EVENING)
    client.api("PATCH", "/user/me", {"policy": "evening"})
    config = {"agent_name": "new", "from_phone_numbers": [FROM], "answer_url": "https://example.com/answer"}
    agent_id = client.api("POST", "/v2/agent", {"agent_config": config}).json["agent_id"]
    assert moved_to(client, client.call(BERLIN, agent_id=agent_id)) == "18:00"
    client.api("PATCH", "/user/me", {"policy": None})
    assert moved_to(client, client.call(BERLIN, agent_id=agent_id)) is None


def test_an_unknown_policy_is_refused(client: LocalClient) -> None:
    put(client, "hours", EVENING)
    for name, message in [
        ("none", "there is no policy none; GET /policies lists yours"),
        ("hours@2", "policy hours has the versions 1 to 1"),
        ("Hours", "must be a policy's name, and a version if need be, such as lead-outreach@3"),
    ]:
        body = {"agent_id": client.stack.agent_id, "recipient_phone_number": BERLIN, "policy": name}
        for answer, field in [
            (client.api("POST", "/call", body), "policy"),
            (configure(client, policy=name), "agent_config.policy"),
            (client.api("PATCH", "/user/me", {"policy": name}), "policy"),
            (
                client.api(
                    "POST",
                    "/batches",
                    multipart([("agent_id", client.stack.agent_id), ("policy", name)], f"contact_number\n{BERLIN}\n"),
                    Content_Type=CONTENT_TYPE,
                ),
                "policy",
            ),
        ]:
            assert (answer.status, answer.json["errors"]) == (400, [{"field": field, "message": message}])


def test_what_a_policy_never_allows_is_refused(client: LocalClient) -> None:
    put(client, "hours", {"calling_guardrails": {"call_start_hour": 9, "call_end_hour": 10}})
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": "+79161234567", "policy": "hours"}
    answer = client.api("POST", "/call", body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "recipient_phone_number")
    sent = [("agent_id", client.stack.agent_id), ("policy", "hours")]
    file = f"contact_number\n{BERLIN}\n+79161234567\n"
    batch_id = client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(1)
    assert client.api("GET", f"/batches/{batch_id}").json["rejected_contacts"] == 1


def test_consent_that_a_policy_requires(client: LocalClient) -> None:
    put(client, "consented", {"consent_required": True, "purpose": "marketing"})
    without = client.call(BERLIN, policy="consented")
    client.advance(1)
    ended = client.execution(without)
    assert (ended["status"], ended["ended_because"]) == (
        "canceled",
        "the number has not consented to calls for purpose marketing, which the policy requires",
    )
    consent = {"phone_number": BERLIN, "given_at": "2026-01-01T00:00:00Z", "purpose": "marketing"}
    assert client.api("POST", "/consents", consent).status == 200
    with_consent = client.call(BERLIN, policy="consented")
    client.advance(1)
    assert client.execution(with_consent)["status"] != "canceled"


def test_a_policys_contact_limits_hold_beside_the_agents(client: LocalClient) -> None:
    put(client, "once", {"contact_limits": {"caps": [{"attempts": 1, "hours": 24}], "at_cap": "end"}})
    configure(client, contact_limits={"caps": [{"attempts": 2, "hours": 24}], "at_cap": "end"})
    client.script(BERLIN, "no-answer", "no-answer", "no-answer")
    ids = []
    for policy in ({}, {"policy": "once"}, {}, {}):
        ids.append(client.call(BERLIN, **policy))
        client.advance(5)
    ended = [client.execution(one) for one in ids]
    assert [one["status"] for one in ended] == ["no-answer", "canceled", "no-answer", "canceled"]
    assert "the policy's contact limit 1/24h" in ended[1]["ended_because"]
    assert "the agent's contact limit 2/24h" in ended[3]["ended_because"]


# ---- expiry -------------------------------------------------------------------------------------------------------


def in_minutes(minutes: float) -> str:
    return f"{NOON + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


RETRIES = {"retry_config": {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [30]}}


def test_no_retry_is_made_after_the_expiry(client: LocalClient) -> None:
    """The call is dialled at 12:00 and 12:30; the retry at 13:01 would come a minute late."""
    client.script(BERLIN, "no-answer", "no-answer", "completed")
    execution_id = client.call(BERLIN, expires_after_minutes=60, **RETRIES)
    client.advance(180)
    ended = client.execution(execution_id)
    assert (ended["status"], ended["retry_count"], len(ended["attempts"])) == ("no-answer", 1, 2)
    assert ended["expires_at"] == "2026-01-26T13:00:00.000Z"
    assert ended["ended_because"].startswith("expired at 2026-01-26T13:00:00Z, before the retry at 2026-01-26T13:")
    statuses = [event["body"]["status"] for event in client.inbox(execution_id=execution_id)]
    assert statuses[-2:] == ["ringing", "no-answer"]
    assert statuses.count("scheduled") == 1


def test_a_call_ends_where_the_next_opening_comes_after_its_expiry(client: LocalClient) -> None:
    client.script(BERLIN, "busy")
    configure(client, calling_guardrails={"call_start_hour": 13, "call_end_hour": 14})
    execution_id = client.call(BERLIN, expires_after_minutes=300, **RETRIES)
    client.advance(40)
    assert client.execution(execution_id)["status"] in ("scheduled", "busy", "ringing", "initiated")
    client.script(BERLIN, "busy")
    client.advance(60)
    ended = client.execution(execution_id)
    assert (ended["status"], ended["retry_count"], ended["next_attempt"]) == ("canceled", 2, None)
    assert "before 2026-01-27T12:00:00Z: outside calling hours 13-14" in ended["ended_because"]
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    gates = next(one["data"]["gates"] for one in log if one["type"] == "canceled")
    assert [(one["gate"], one["decision"]) for one in gates[-2:]] == [("calling-window", "defer"), ("expiry", "end")]


def test_a_contact_expires_with_its_batch(client: LocalClient) -> None:
    client.script(BERLIN, "no-answer", "no-answer")
    sent = [("agent_id", client.stack.agent_id), ("expires_after_minutes", "45"), ("start", "now")]
    sent += [("retry_config", '{"enabled": true, "retry_intervals_minutes": [30]}')]
    file = f"contact_number\n{BERLIN}\n"
    batch_id = client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(180)
    contact = client.api("GET", f"/batches/{batch_id}/executions").json[0]
    assert (contact["status"], contact["retry_count"], contact["expires_at"]) == (
        "no-answer",
        1,
        "2026-01-26T12:45:00.000Z",
    )
    assert client.api("GET", f"/batches/{batch_id}").json["status"] == "completed"


def test_a_contact_shows_the_expiry_of_its_batch_before_its_first_dial(client: LocalClient) -> None:
    sent = [("agent_id", client.stack.agent_id), ("expires_after_minutes", "45")]
    batch_id = client.api(
        "POST", "/batches", multipart(sent, f"contact_number\n{BERLIN}\n"), Content_Type=CONTENT_TYPE
    ).json["batch_id"]
    client.advance(1)
    path = f"/batches/{batch_id}/executions"
    assert client.api("GET", path).json[0]["expires_at"] is None, "it has no start yet"
    start = multipart([("scheduled_at", "2026-01-26T13:00:00Z")])
    assert client.api("POST", f"/batches/{batch_id}/schedule", start, Content_Type=CONTENT_TYPE).status == 200
    (listed,) = client.api("GET", path).json
    assert (listed["status"], listed["expires_at"]) == ("scheduled", "2026-01-26T13:45:00.000Z")
    assert client.execution(listed["id"])["expires_at"] == listed["expires_at"]


def test_a_contact_that_waits_past_the_expiry_of_its_batch_is_canceled(client: LocalClient) -> None:
    sent = [("agent_id", client.stack.agent_id), ("expires_at", in_minutes(0.4)), ("start", "now")]
    sent += [("calls_per_second", "0.1")]
    file = f"contact_number\n+12025550101\n+12025550102\n+12025550103\n{BERLIN}\n"
    batch_id = client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(10)
    contacts = client.api("GET", f"/batches/{batch_id}/executions").json
    ended = {one["user_number"]: one for one in contacts if one["status"] == "canceled"}
    assert list(ended) == [BERLIN]
    assert ended[BERLIN]["ended_because"] == "expired at 2026-01-26T12:00:24Z"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"expires_at": in_minutes(-1)}, "expires_at"),
        ({"expires_at": in_minutes(5), "scheduled_at": in_minutes(5)}, "expires_at"),
        ({"expires_at": in_minutes(5), "expires_after_minutes": 5}, "expires_after_minutes"),
        ({"expires_after_minutes": 0}, "expires_after_minutes"),
        (
            {"expires_after_minutes": 60, "calling_guardrails": {"call_start_hour": 20, "call_end_hour": 21}},
            "recipient_phone_number",
        ),
    ],
)
def test_a_call_that_expires_before_it_can_be_placed_is_refused(
    client: LocalClient, fields: dict[str, Any], field: str
) -> None:
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": BERLIN, **fields}
    answer = client.api("POST", "/call", body)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, [field]), answer


# ---- attempts per window ------------------------------------------------------------------------------------------


def test_an_attempt_over_the_budget_of_a_window_waits_for_the_next_one(client: LocalClient) -> None:
    """12:00 UTC is 13:00 in Berlin. Each window allows two attempts, so the third is made in the afternoon's."""
    windows = [{"start": "09:00", "end": "15:00"}, {"start": "16:30", "end": "20:00"}]
    put(client, "two", {"calling_guardrails": {"windows": windows, "attempts_per_window": 2}})
    client.script(BERLIN, "no-answer", "no-answer", "no-answer", "no-answer")
    execution_id = client.call(BERLIN, policy="two", **RETRIES)
    client.advance(24 * 60)
    attempts = [at_in_berlin(one["dialed_at"]) for one in client.execution(execution_id)["attempts"]]
    assert [one[:4] for one in attempts] == ["13:0", "13:3", "16:3", "17:0"]
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    moved = [one["data"]["reason"] for one in log if one["type"] == "rescheduled"]
    assert moved == ["the 2 attempts that one window of Europe/Berlin allows are made"]


def at_in_berlin(text: str) -> str:
    return f"{datetime.fromisoformat(text) + timedelta(hours=1):%H:%M}"


# ---- holidays and presets -----------------------------------------------------------------------------------------


def test_holidays_of_a_country_are_excluded_dates(client: LocalClient) -> None:
    """Christmas is a holiday in Germany; 24 December is not."""
    answer = put(client, "german", {"calling_guardrails": {"holidays": ["DE"]}})
    assert answer.json["holidays_until"] == "2027-12-31"
    christmas = {"date": "2026-12-25", "region": "DE", "name": "Erster Weihnachtstag"}
    assert christmas in answer.json["holidays"] and len(answer.json["holidays"]) == 18
    assert put(client, "german", {"calling_guardrails": {"holidays": ["DE"]}}).json["version"] == 1
    execution_id = client.call(BERLIN, policy="german", scheduled_at="2026-12-25T10:00:00Z")
    client.advance((datetime(2026, 12, 25, 10, 1) - NOON.replace(tzinfo=None)) / timedelta(minutes=1))
    moved = client.execution(execution_id)["rescheduled_at"]
    assert moved == "2026-12-26T23:00:00.000Z", "the 26th is a holiday as well"


def test_an_agents_holidays_are_shown_with_the_date_up_to_which_they_are_known(client: LocalClient) -> None:
    assert configure(client, calling_guardrails={"holidays": ["US-CA", "FR"]}).status == 200
    agent = client.api("GET", f"/v2/agent/{client.stack.agent_id}").json["agent_config"]
    assert agent["calling_guardrails"] == {"holidays": ["US-CA", "FR"], "holidays_until": "2027-12-31"}


@pytest.mark.parametrize("region", ["XX", "FRA", "fr", "US-ZZ", "Germany", 5])
def test_an_unknown_country_of_holidays_is_refused(client: LocalClient, region: Any) -> None:
    answer = put(client, "x", {"calling_guardrails": {"holidays": [region]}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "calling_guardrails.holidays.0")


def test_every_preset_makes_a_policy(client: LocalClient) -> None:
    for preset in client.api("GET", "/policies/presets").json:
        answer = put(client, "copy", {"preset": preset["name"]})
        assert answer.status in (200, 201), answer
        assert answer.json["preset"] == preset["name"] and answer.json["preset_as_of"] == preset["as_of"]
        for name, value in preset["rules"].items():
            if name in ("calling_guardrails", "purpose", "consent_required", "expires_after_minutes"):
                assert answer.json[name] == value


def test_what_a_request_says_replaces_the_presets_rule(client: LocalClient) -> None:
    hours = {"call_start_hour": 11, "call_end_hour": 12}
    answer = put(client, "mine", {"preset": "fr-marketing", "calling_guardrails": hours, "purpose": None})
    assert (answer.json["calling_guardrails"], answer.json["purpose"]) == (hours, "marketing")
    assert answer.json["holidays"] == []
    unknown = put(client, "mine", {"preset": "atlantis"})
    assert (unknown.status, unknown.json["errors"][0]["field"]) == (400, "preset")
