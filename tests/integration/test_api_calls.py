"""Calls and executions over HTTP: created, read, listed and stopped."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from redial.domain.outcome import CallReport
from redial.domain.status import Status
from redial.runtime.services import services_of
from redial.usecases.accounts import allow_premium_numbers
from tests.support.api import API_KEY, OTHER_API_KEY, UNKNOWN_ID, Api
from tests.support.examples import examples
from tests.support.samples import ACCOUNT_ID, CALLER_ID, NUMBER, TEN, minutes


def dialled(execution_id: str, status: Status = Status.RINGING) -> None:
    """Claim the execution's first attempt, and report its status as the carrier would."""
    store = services_of("api").executions
    execution = store.get(execution_id)
    assert execution is not None
    execution = execution.claim(TEN, CALLER_ID, 0, "a1b2c3d4").reported(1, CallReport("CA1", status), TEN)
    store.save(execution.with_due(TEN))


def errors(answer: Any) -> dict[str, str]:
    return {error["field"]: error["message"] for error in answer.json["errors"]}


# ---- POST /call ---------------------------------------------------------------------------------------------------


def test_a_call_is_accepted_and_dial_is_invoked(api: Api) -> None:
    agent_id = api.agent()
    body = {"agent_id": agent_id, "recipient_phone_number": NUMBER, "user_data": {"name": "Zoë", "owed": 12.5}}
    answer = api.send("POST", "/call", body)
    assert answer.status == 200
    execution_id = answer.json["execution_id"]
    assert answer.json == {"message": "done", "status": "queued", "execution_id": execution_id}
    assert "idempotency-replayed" not in answer.headers
    assert api.invoked == [("dial", {"execution_id": execution_id, "attempt": 1})]
    execution = api.send("GET", f"/executions/{execution_id}").json
    assert execution["status"] == "queued"
    assert execution["agent_id"] == agent_id
    assert execution["user_number"] == NUMBER
    assert execution["created_at"] == "2026-01-26T10:00:00.000Z"
    assert execution["context_details"]["recipient_data"] == {"name": "Zoë", "owed": 12.5}
    assert execution["retry_config"] is None
    assert execution["retry_history"] is None


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+44 (0)7400 111222", "+447400111222"),
        ("+39 (0)6 1234567", "+39061234567"),
        ("0014155650701", "+14155650701"),
        ("tel:+1.415.565.0701", "+14155650701"),
        ("＋١٤١٥٥٦٥٠٧٠١", "+14155650701"),
    ],
)
def test_numbers_are_normalized(api: Api, written: str, number: str) -> None:
    execution_id = api.call(api.agent(), recipient_phone_number=written, from_phone_number="+1 (202) 555-0100")
    execution = api.send("GET", f"/executions/{execution_id}").json
    assert (execution["user_number"], execution["agent_number"]) == (number, "+12025550100")


def test_an_account_may_allow_premium_numbers_but_no_service_numbers(api: Api) -> None:
    agent_id = api.agent()

    def send(number: str) -> int:
        body = {"agent_id": agent_id, "recipient_phone_number": number}
        return api.send("POST", "/call", body).status

    assert send("+448712345678") == 400
    allow_premium_numbers(ACCOUNT_ID, True, accounts=services_of("api").accounts)
    assert [send(number) for number in ("+448712345678", "+448451234567", "+44116123", "+44999")] == [
        200,
        200,
        400,
        400,
    ]


def test_a_body_may_begin_with_a_byte_order_mark(api: Api) -> None:
    body = json.dumps({"agent_id": api.agent(), "recipient_phone_number": NUMBER}).encode("utf-8-sig")
    for base64_encoded in (False, True):
        assert api.send("POST", "/call", body, base64_encoded=base64_encoded).status == 200


@pytest.mark.parametrize("path", ["//call", "/call/", "///call//"])
def test_repeated_and_trailing_slashes_reach_the_route(api: Api, path: str) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER}
    execution_id = api.send("POST", path, body).json["execution_id"]
    for read in (f"//executions/{execution_id}", f"/executions//{execution_id}/", f"/executions/{execution_id}//"):
        assert api.send("GET", read).json["id"] == execution_id
    assert len(api.send("GET", "//v2/agent/all").json) == 1
    assert api.send("GET", "//executions/", key=None).status == 401


def test_a_scheduled_call_answers_queued_and_has_a_schedule(api: Api) -> None:
    execution_id = api.call(api.agent(), scheduled_at="2026-01-26T16:00:00+05:30")
    execution = api.send("GET", f"/executions/{execution_id}").json
    assert execution["status"] == "scheduled"
    assert execution["scheduled_at"] == "2026-01-26T10:30:00.000Z"
    schedules = boto3.client("scheduler").list_schedules()["Schedules"]
    assert [schedule["Name"].startswith(f"{execution_id}.dial.") for schedule in schedules] == [True]


def test_the_retry_configuration_comes_back_with_its_defaults(api: Api) -> None:
    execution_id = api.call(api.agent(), retry_config={"enabled": True, "retry_intervals_minutes": [5], "later": 1})
    assert api.send("GET", f"/executions/{execution_id}").json["retry_config"] == {
        "enabled": True,
        "max_retries": 3,
        "retry_on_statuses": ["no-answer", "busy", "failed"],
        "retry_on_voicemail": False,
        "retry_intervals_minutes": [5],
    }


@pytest.mark.parametrize("enabled", [{}, {"enabled": False}])
@pytest.mark.parametrize(
    "invalid",
    [
        {"max_retries": 0},
        {"max_retries": None},
        {"max_retries": "many", "retry_intervals_minutes": []},
        {"retry_intervals_minutes": [0]},
        {"retry_on_statuses": ["completed"]},
        {"retry_on_voicemail": "no"},
    ],
)
def test_a_retry_configuration_that_is_off_is_not_judged(
    api: Api, enabled: dict[str, Any], invalid: dict[str, Any]
) -> None:
    config = {"max_retries": 2, **enabled, **invalid}
    execution_id = api.call(api.agent(), retry_config=config)
    shown = api.send("GET", f"/executions/{execution_id}").json["retry_config"]
    assert shown == {
        "enabled": False,
        "max_retries": 3 if "max_retries" in invalid else 2,
        "retry_on_statuses": ["no-answer", "busy", "failed"],
        "retry_on_voicemail": False,
        "retry_intervals_minutes": [30, 60, 120],
    }


@pytest.mark.parametrize(
    ("scheduled_at", "stored"),
    [
        ("2026-01-26T10:01:50Z", "2026-01-26T10:01:50.000Z"),
        ("2026-12-30t10:00:00z", "2026-12-30T10:00:00.000Z"),
        ("2026-12-30T10:00:00.25z", "2026-12-30T10:00:00.250Z"),
        ("2026-12-30t10:00:00+05:30", "2026-12-30T04:30:00.000Z"),
    ],
)
def test_a_time_may_be_ten_seconds_late_and_in_lower_case(api: Api, scheduled_at: str, stored: str) -> None:
    execution_id = api.call(api.agent(), scheduled_at=scheduled_at)
    assert api.send("GET", f"/executions/{execution_id}").json["scheduled_at"] == stored


def test_null_and_unknown_fields_count_as_omitted(api: Api) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("from_phone_number", "scheduled_at", "user_data", "retry_config"))
    execution_id = api.call(api.agent(), **nothing, transfer_to={"x": [1]})
    assert api.send("GET", f"/executions/{execution_id}").json["status"] == "queued"


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"recipient_phone_number": "4155550123"}, "recipient_phone_number", "must begin with + and the country code"),
        ({"recipient_phone_number": "+0123456789"}, "recipient_phone_number", "7 to 15 digits, the first not 0"),
        ({"recipient_phone_number": 14155550123}, "recipient_phone_number", "must be a text"),
        ({"recipient_phone_number": None}, "recipient_phone_number", "must be a text"),
        ({"recipient_phone_number": "+14155550123 x3"}, "recipient_phone_number", "has an extension"),
        ({"recipient_phone_number": "+44999"}, "recipient_phone_number", "is an emergency or service number"),
        ({"recipient_phone_number": "+44 116 123"}, "recipient_phone_number", "is an emergency or service number"),
        ({"recipient_phone_number": "+1 900 555 1234"}, "recipient_phone_number", "is a premium-rate or shared-cost"),
        ({"from_phone_number": "415 555 0100"}, "from_phone_number", "must begin with + and the country code"),
        ({"agent_id": 7}, "agent_id", "must be a text"),
        ({"scheduled_at": "2026-01-26T10:01:49.999Z"}, "scheduled_at", "at least 2 minutes ahead"),
        ({"scheduled_at": "2027-01-27T10:00:01Z"}, "scheduled_at", "at most 365 days ahead"),
        ({"scheduled_at": "2026-01-26T12:00:00"}, "scheduled_at", "with an offset"),
        ({"scheduled_at": "2026-01-26"}, "scheduled_at", "with an offset"),
        ({"scheduled_at": 1769428800}, "scheduled_at", "with an offset"),
        ({"scheduled_at": "0001-01-01T00:00:00+14:00"}, "scheduled_at", "with an offset"),
        ({"user_data": [1]}, "user_data", "must be an object"),
        ({"user_data": {"text": "x" * 65536}}, "user_data", "may take 65536 bytes"),
        ({"user_data": {"text": "é" * 32768}}, "user_data", "may take 65536 bytes"),
        ({"bypass_call_guardrails": 1}, "bypass_call_guardrails", "must be true or false"),
        ({"bypass_call_guardrails": "true"}, "bypass_call_guardrails", "must be true or false"),
        ({"retry_config": []}, "retry_config", "must be an object"),
        ({"retry_config": {"enabled": "yes"}}, "retry_config.enabled", "must be true or false"),
        ({"retry_config": {"enabled": True, "max_retries": 0}}, "retry_config.max_retries", "must be at least 1"),
        ({"retry_config": {"enabled": True, "max_retries": 4}}, "retry_config.max_retries", "must be at most 3"),
        ({"retry_config": {"enabled": True, "max_retries": "3"}}, "retry_config.max_retries", "must be a whole number"),
        (
            {"retry_config": {"enabled": True, "max_retries": True}},
            "retry_config.max_retries",
            "must be a whole number",
        ),
        ({"retry_config": {"enabled": True, "max_retries": 2.0}}, "retry_config.max_retries", "must be a whole number"),
        (
            {"retry_config": {"enabled": True, "max_retries": None}},
            "retry_config.max_retries",
            "must be a whole number",
        ),
        (
            {"retry_config": {"enabled": True, "retry_on_statuses": ["busy", "completed"]}},
            "retry_config.retry_on_statuses.1",
            "must be one of no-answer, busy, failed or error",
        ),
        (
            {"retry_config": {"enabled": True, "retry_on_statuses": "busy"}},
            "retry_config.retry_on_statuses",
            "must be a list",
        ),
        (
            {"retry_config": {"enabled": True, "retry_intervals_minutes": []}},
            "retry_config.retry_intervals_minutes",
            "must have at least 1",
        ),
        (
            {"retry_config": {"enabled": True, "retry_intervals_minutes": [30, 0]}},
            "retry_config.retry_intervals_minutes.1",
            "must be at least 1",
        ),
        (
            {"retry_config": {"enabled": True, "retry_intervals_minutes": [1] * 101}},
            "retry_config.retry_intervals_minutes",
            "must have at most 100",
        ),
    ],
)
def test_an_invalid_field_answers_400_and_is_named(api: Api, fields: dict[str, Any], field: str, message: str) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER} | fields
    answer = api.send("POST", "/call", body)
    assert answer.status == 400
    assert message in errors(answer)[field]
    assert field in answer.json["message"]
    assert api.invoked == []


def test_all_fields_at_fault_are_named_together(api: Api) -> None:
    answer = api.send("POST", "/call", {"user_data": 1, "retry_config": {"enabled": 0, "max_retries": 9}})
    assert set(errors(answer)) == {
        "agent_id",
        "recipient_phone_number",
        "user_data",
        "retry_config.enabled",
        "retry_config.max_retries",
    }


def test_user_data_nested_too_deeply_answers_400(api: Api) -> None:
    nested: Any = 1
    for _ in range(21):
        nested = {"a": nested}
    answer = api.send("POST", "/call", {"agent_id": api.agent(), "recipient_phone_number": NUMBER, "user_data": nested})
    assert "nested 20 deep" in errors(answer)["user_data"]


@pytest.mark.parametrize("agent_id", [UNKNOWN_ID, "no-such-agent", "", "x" * 3000])
def test_an_unknown_agent_answers_404_in_the_body_too(api: Api, agent_id: str) -> None:
    assert api.send("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER}).status == 404


def test_another_accounts_agent_answers_like_an_unknown_one(api: Api) -> None:
    foreign = api.agent(key=OTHER_API_KEY)
    answers = [
        api.send("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER})
        for agent_id in (foreign, UNKNOWN_ID)
    ]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].json["message"].replace(foreign, "…") == answers[1].json["message"].replace(UNKNOWN_ID, "…")


def test_an_agent_without_instructions_places_no_calls(api: Api) -> None:
    answer = api.send("POST", "/call", {"agent_id": api.agent(answer_url=None), "recipient_phone_number": NUMBER})
    assert answer.status == 400
    assert "answer_url" in answer.json["message"]


# ---- Idempotency-Key ----------------------------------------------------------------------------------------------


def test_the_same_key_and_body_return_the_first_answer(api: Api) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER, "user_data": {"a": 1, "b": 2}}
    headers = {"Idempotency-Key": "order 7, first try; ~!"}
    first = api.send("POST", "/call", body, headers=headers)
    reordered = {"user_data": {"b": 2, "a": 1}, "recipient_phone_number": NUMBER, "agent_id": body["agent_id"]}
    again = api.send("POST", "/call", reordered, headers=headers)
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(api.invoked) == 1


def test_the_same_key_with_another_body_answers_409(api: Api) -> None:
    agent_id = api.agent()
    headers = {"Idempotency-Key": "k"}
    body = {"agent_id": agent_id, "recipient_phone_number": NUMBER}
    api.send("POST", "/call", body, headers=headers)
    assert api.send("POST", "/call", body | {"user_data": {"a": 1}}, headers=headers).status == 409
    assert len(api.invoked) == 1


def test_two_concurrent_requests_make_one_call_and_both_return_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER}
    headers = {"Idempotency-Key": "k"}
    first = api.send("POST", "/call", body, headers=headers)
    monkeypatch.setattr(DynamoIdempotencyKeys, "find", lambda *_: None)  # the second looked before the first claimed it
    second = api.send("POST", "/call", body, headers=headers)
    assert second.json == first.json
    assert second.headers["idempotency-replayed"] == "true"
    assert api.send("POST", "/call", body | {"user_data": {"a": 1}}, headers=headers).status == 409
    assert len(api.invoked) == 1


def test_a_key_expires_after_a_day_and_belongs_to_its_account(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    bodies = {key: {"agent_id": api.agent(key), "recipient_phone_number": NUMBER} for key in (API_KEY, OTHER_API_KEY)}
    answers = [api.send("POST", "/call", body, headers=headers, key=key) for key, body in bodies.items()]
    api.advance(timedelta(hours=24, seconds=-1))
    replayed = api.send("POST", "/call", bodies[API_KEY], headers=headers)
    assert replayed.json == answers[0].json
    api.advance(timedelta(seconds=1))
    answers.append(api.send("POST", "/call", bodies[API_KEY] | {"user_data": {"a": 1}}, headers=headers))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.json["execution_id"] for answer in answers}) == 3


def test_an_invalid_request_does_not_use_up_its_key(api: Api) -> None:
    agent_id = api.agent()
    headers = {"Idempotency-Key": "k"}
    bad = api.send("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": "1"}, headers=headers)
    assert bad.status == 400
    good = api.send("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER}, headers=headers)
    assert good.status == 200
    assert "idempotency-replayed" not in good.headers


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "né"])
def test_a_malformed_idempotency_key_answers_400(api: Api, key: str) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER}
    answer = api.send("POST", "/call", body, headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert [error["field"].lower() for error in answer.json["errors"]] == ["idempotency-key"]


# ---- reading ------------------------------------------------------------------------------------------------------


def test_the_log_lists_changes_and_deliveries(api: Api) -> None:
    execution_id = api.call(api.agent())
    dialled(execution_id)
    log = api.send("GET", f"/executions/{execution_id}/log").json
    assert log["status"] == "success"
    assert [entry["type"] for entry in log["data"]] == ["queued", "claimed", "initiated", "ringing"]


def test_a_live_execution_matches_its_schema(api: Api) -> None:
    execution_id = api.call(api.agent(), retry_config={"enabled": True})
    dialled(execution_id)
    execution = api.send("GET", f"/executions/{execution_id}").json
    assert execution["status"] == "ringing"
    assert execution["telephony_data"]["provider_call_id"] == "CA1"
    assert execution["attempts"][0]["dialed_at"] == "2026-01-26T10:00:00.001Z"


@pytest.mark.parametrize("route", ["/executions/{}", "/executions/{}/log"])
@pytest.mark.parametrize("kind", ["unknown", "foreign", "malformed"])
def test_another_accounts_execution_answers_404(api: Api, route: str, kind: str) -> None:
    foreign = api.call(api.agent(key=OTHER_API_KEY), key=OTHER_API_KEY)
    execution_id = {"unknown": UNKNOWN_ID, "foreign": foreign, "malformed": "42"}[kind]
    assert api.send("GET", route.format(execution_id)).status == 404


def test_an_upper_case_id_is_the_same_id(api: Api) -> None:
    agent_id = api.agent()
    execution_id = api.call(agent_id.upper())
    execution = api.send("GET", f"/executions/{execution_id.upper()}").json
    assert (execution["id"], execution["agent_id"]) == (execution_id, agent_id)


# ---- listing ------------------------------------------------------------------------------------------------------


def test_executions_are_listed_newest_first_and_in_pages(api: Api) -> None:
    agent_id = api.agent()
    made: list[str] = []
    for _ in range(5):
        made.insert(0, api.call(agent_id))
        api.advance(minutes(1))
    api.call(api.agent())
    path = f"/v2/agent/{agent_id}/executions"
    whole = api.send("GET", path).json
    assert [execution["id"] for execution in whole["data"]] == made
    assert {name: whole[name] for name in whole if name != "data"} == {
        "page_number": 1,
        "page": 1,
        "page_size": 20,
        "total": 5,
        "has_more": False,
    }
    second = api.send("GET", path, query="page_number=2&page_size=2").json
    assert [execution["id"] for execution in second["data"]] == made[2:4]
    assert (second["page"], second["total"], second["has_more"]) == (2, 5, True)
    assert api.send("GET", path, query="page_number=4&page_size=2").json["data"] == []
    bare = api.send("GET", f"/agent/{agent_id}/executions", query="page_number=2&page_size=2").json
    assert bare == second["data"]


def test_a_listing_is_filtered_by_status_time_and_batch(api: Api) -> None:
    agent_id = api.agent()
    early = api.call(agent_id)
    api.advance(minutes(10))
    late = api.call(agent_id, scheduled_at="2026-01-27T00:00:00Z")
    path = f"/v2/agent/{agent_id}/executions"

    def ids(query: str) -> list[str]:
        return [execution["id"] for execution in api.send("GET", path, query=query).json["data"]]

    assert ids("status=queued") == [early]
    assert ids("status=scheduled") == [late]
    assert ids("status=balance-low") == []
    assert ids("from=2026-01-26T10:10:00Z") == [late]
    assert ids("to=2026-01-26T10:09:59.999Z") == [early]
    assert ids("from=2026-01-26T15:30:00%2B05:30&to=2026-01-26T10:00:00%2B00:00") == [early]
    assert ids("from=2026-01-26T15:35:00+05:30") == [late], "an unescaped + in a query is a space by now"
    assert ids("batch_id=0123456789abcdef0123456789abcdef") == []


@pytest.mark.parametrize("route", ["/v2/agent/{}/executions", "/agent/{}/executions"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_number=0", "page_number"),
        ("page_number=one", "page_number"),
        ("page_number=1&page_number=2", "page_number"),
        ("page_size=0", "page_size"),
        ("page_size=51", "page_size"),
        ("page_size=", "page_size"),
        ("status=done", "status"),
        ("status=", "status"),
        ("from=yesterday", "from"),
        ("from=2026-01-26", "from"),
        ("to=2026-01-26T10:00:00", "to"),
        ("batch_id=" + "x" * 101, "batch_id"),
    ],
)
def test_an_invalid_filter_answers_400_and_is_named(api: Api, route: str, query: str, field: str) -> None:
    answer = api.send("GET", route.format(api.agent()), query=query)
    assert answer.status == 400
    assert list(errors(answer)) == [field]


@pytest.mark.parametrize("route", ["/v2/agent/{}/executions", "/agent/{}/executions"])
def test_the_executions_of_another_accounts_agent_answer_404(api: Api, route: str) -> None:
    for agent_id in (UNKNOWN_ID, api.agent(key=OTHER_API_KEY), "all"):
        assert api.send("GET", route.format(agent_id)).status == 404


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIMES = ["2026-01-26T10:00:00Z", "2026-01-26T10:00:00+14:00", "1960-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]
WRITTEN = [
    *("0", "1", "2", "-1", "50", "51", "1e3", "1.0", "01", "1_0", "٣", "9" * 30, "9" * 5000, "NaN", "null", "%00"),
    *("queued", "QUEUED", "balance-low", "0" * 32, UNKNOWN_ID, *TIMES),
]
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["page_number", "page_size", "status", "batch_id", "from", "to"]) | ANY_TEXT,
        st.sampled_from(WRITTEN) | ANY_TEXT,
    ),
    max_size=5,
)
one_api = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""All examples share one API fixture: they only read."""


@settings(one_api, max_examples=examples(60))
@given(QUERIES)
def test_any_query_is_answered_with_a_page_or_its_fields_at_fault(api: Api, query: list[tuple[str, str]]) -> None:
    if not api.invoked:
        agent_id = api.agent()
        api.call(agent_id)
    else:
        agent_id = api.send("GET", "/v2/agent/all").json[0]["agent_id"]
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in query)
    answer = api.send("GET", f"/v2/agent/{agent_id}/executions", query=text)
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert set(errors(answer)) <= {name for name, _ in query}
    bare = api.send("GET", f"/agent/{agent_id}/executions", query=text)
    assert (bare.status, bare.json) == (answer.status, answer.json["data"] if answer.status == 200 else answer.json)


@settings(one_api, max_examples=examples(40))
@given(
    st.sampled_from([UNKNOWN_ID, UNKNOWN_ID.upper(), "0" * 32, "1" * 36, "_" * 36, "all", "٣" * 36, "x" * 300])
    | ANY_TEXT.filter(lambda text: text.strip("/") != "")
)
def test_any_made_up_id_answers_404(api: Api, invented: str) -> None:
    """So does any other text, except texts that change the path itself."""
    for route in (
        "/executions/{}",
        "/v2/agent/{}/executions",
        "/batches/{}",
        "/batches/{}/executions",
        "/batches/{}/all",
    ):
        answer = api.send("GET", route.format(quote(invented, safe="")))
        assert answer.status == 404, answer.text


def test_pages_of_any_size_contain_every_call_once(api: Api) -> None:
    agent_id = api.agent()
    made: list[str] = []
    for n in range(12):
        made.insert(0, api.call(agent_id))
        api.advance(minutes(n % 2))  # some at the same instant
    path = f"/v2/agent/{agent_id}/executions"
    whole = [execution["id"] for execution in api.send("GET", path).json["data"]]
    assert sorted(whole) == sorted(made)
    for size in (1, 2, 3, 5, 11, 12, 13, 50):
        pages: list[Any] = []
        while not pages or pages[-1]["has_more"]:
            pages.append(api.send("GET", path, query=f"page_size={size}&page_number={len(pages) + 1}").json)
        assert [execution["id"] for page in pages for execution in page["data"]] == whole
        assert {page["total"] for page in pages} == {12}
        assert len(pages) == -(-12 // size)


# ---- stopping -----------------------------------------------------------------------------------------------------


def test_a_waiting_call_is_stopped_once_and_stays_stopped(api: Api) -> None:
    execution_id = api.call(api.agent(), scheduled_at="2026-01-26T12:00:00Z")
    answer = api.send("POST", f"/call/{execution_id}/stop")
    assert answer.status == 200
    assert answer.json == {"message": "done", "status": "stopped", "execution_id": execution_id}
    again = api.send("POST", f"/call/{execution_id}/stop")
    assert again.status == 400
    assert again.json["message"] == "only a call that is not answered yet can be stopped; this one is over: stopped"
    assert api.send("GET", f"/executions/{execution_id}").json["status"] == "stopped"
    assert boto3.client("scheduler").list_schedules()["Schedules"] == []


def test_a_ringing_call_whose_carrier_cannot_be_asked_is_not_stopped(api: Api) -> None:
    execution_id = api.call(api.agent())
    dialled(execution_id)
    answer = api.send("POST", f"/call/{execution_id}/stop")
    assert answer.status == 400
    assert "may still be answered" in answer.json["message"]


def test_stopping_another_accounts_call_answers_404(api: Api) -> None:
    foreign = api.call(api.agent(key=OTHER_API_KEY), key=OTHER_API_KEY)
    for execution_id in (UNKNOWN_ID, foreign, "1"):
        assert api.send("POST", f"/call/{execution_id}/stop").status == 404
    assert api.send("GET", f"/executions/{foreign}", key=OTHER_API_KEY).json["status"] == "queued"


def test_stopping_an_agent_stops_its_waiting_calls_and_no_others(api: Api) -> None:
    agent_id, other = api.agent(), api.agent()
    waiting = {api.call(agent_id), api.call(agent_id, scheduled_at="2026-01-26T12:00:00Z")}
    ringing, bystander = api.call(agent_id), api.call(other)
    dialled(ringing)
    answer = api.send("POST", f"/v2/agent/{agent_id}/stop")
    assert answer.status == 200
    assert set(answer.json["stopped_executions"]) == waiting
    assert api.send("GET", f"/executions/{ringing}").json["status"] == "ringing"
    assert api.send("GET", f"/executions/{bystander}").json["status"] == "queued"


def test_stopping_another_accounts_agent_answers_404(api: Api) -> None:
    for agent_id in (UNKNOWN_ID, api.agent(key=OTHER_API_KEY), "all"):
        assert api.send("POST", f"/v2/agent/{agent_id}/stop").status == 404
