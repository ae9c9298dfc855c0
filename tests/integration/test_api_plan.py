"""`POST /call/plan` and `GET /numbers/{phone_number}`: what they return, and that they only read."""

from typing import Any

import pytest

from redial.runtime.services import services_of
from redial.wire.timestamps import rfc3339
from tests.support.api import OTHER_API_KEY, UNKNOWN_ID, Api
from tests.support.samples import NUMBER, TEN

BERLIN, RUSSIAN_MOBILE = "+493012345678", "+79161234567"
NINE_TO_SIX = {"call_start_hour": 9, "call_end_hour": 18}
RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [60, 600]}


def plan(api: Api, agent_id: str, number: str = BERLIN, **fields: Any) -> Any:
    body = {"agent_id": agent_id, "recipient_phone_number": number, **fields}
    answer = api.send("POST", "/call/plan", body)
    assert answer.status == 200, answer.text
    return answer.json


# ---- plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_has_every_attempt_and_what_moves_it(api: Api) -> None:
    """10:00 UTC is 11:00 in Berlin."""
    agent_id = api.agent(calling_guardrails=NINE_TO_SIX, ring_timeout_seconds=20)
    assert plan(api, agent_id, retry_config=RETRIES) == {
        "attempts": [
            {
                "attempt": 1,
                "earliest_at": "2026-01-26T10:00:00.000Z",
                "latest_at": "2026-01-26T10:00:00.000Z",
                "local_times": {"Europe/Berlin": "2026-01-26T11:00:00+01:00"},
                "moved_by": [],
            },
            {
                "attempt": 2,
                "earliest_at": "2026-01-26T11:00:20.000Z",
                "latest_at": "2026-01-26T11:00:20.000Z",
                "local_times": {"Europe/Berlin": "2026-01-26T12:00:20+01:00"},
                "moved_by": [],
            },
            {
                "attempt": 3,
                "earliest_at": "2026-01-27T08:00:00.000Z",
                "latest_at": "2026-01-27T08:00:00.000Z",
                "local_times": {"Europe/Berlin": "2026-01-27T09:00:00+01:00"},
                "moved_by": [
                    {
                        "gate": "calling-window",
                        "rule": "9-18",
                        "until": "2026-01-27T08:00:00.000Z",
                        "text": "outside calling hours 9-18 of Europe/Berlin",
                    }
                ],
            },
        ],
        "worst_case_calls": 3,
        "ends_because": "all 2 retries used",
        "assumed": {
            "status": "no-answer",
            "voicemail": False,
            "call_seconds": 20.0,
            "text": "Every call ends as no-answer and is over after 20 seconds. No attempt waits for a line, for the"
            " batch's rate or for the carrier.",
        },
        "warnings": [],
    }


def test_a_plan_only_reads(api: Api) -> None:
    agent_id = api.agent(calling_guardrails=NINE_TO_SIX)
    assert api.send("POST", "/suppressions", {"phone_number": NUMBER}).status == 200
    api.invoked.clear()
    client = services_of("api").executions._table.client
    asked: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda model, **_: asked.append(model.name))
    plan(api, agent_id)
    keys = ["GetItem"] * 3  # the API key; the account's key for numbers does not exist yet: read twice
    assert sorted(asked) == [*keys, "GetItem", "Query", "Query"], "the agent, the rules of the number, the circuits"
    assert api.invoked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"agent_id": UNKNOWN_ID},
        {"agent_id": "nonsense"},
        {"recipient_phone_number": "12345"},
        {"recipient_phone_number": RUSSIAN_MOBILE},
        {"scheduled_at": rfc3339(TEN)},
        {"retry_config": {"enabled": True, "max_retries": 4}},
        {"calling_guardrails": {"windows": []}},
        {"time_zone": "Mars/Olympus"},
        {"user_data": [1]},
    ],
)
def test_a_plan_refuses_what_a_call_refuses(api: Api, wrong: dict[str, Any]) -> None:
    body = {"agent_id": api.agent(calling_guardrails=NINE_TO_SIX), "recipient_phone_number": BERLIN} | wrong
    planned, made = (api.send("POST", path, body) for path in ("/call/plan", "/call"))
    assert planned.status in (400, 404)
    assert (planned.status, planned.json) == (made.status, made.json)


def test_a_plan_does_not_show_another_accounts_agent(api: Api) -> None:
    foreign = {"agent_id": api.agent(key=OTHER_API_KEY), "recipient_phone_number": NUMBER}
    answers = [api.send("POST", "/call/plan", foreign | {"agent_id": one}) for one in (foreign["agent_id"], UNKNOWN_ID)]
    assert [one.status for one in answers] == [404, 404]
    assert answers[0].text.replace(foreign["agent_id"], UNKNOWN_ID) == answers[1].text
    assert api.send("POST", "/call/plan", foreign, key=None).status == 401


@pytest.mark.parametrize(
    ("retries", "assumed", "calls"),
    [
        (None, "no-answer", 1),
        ({"enabled": False}, "no-answer", 1),
        ({"retry_on_statuses": ["failed", "busy"]}, "busy", 3),
        ({"retry_on_statuses": ["error"]}, "error", 3),
        ({"retry_on_statuses": [], "retry_on_voicemail": True}, "completed", 3),
        ({"retry_on_statuses": []}, "no-answer", 1),
    ],
)
def test_a_plan_assumes_an_outcome_that_is_retried(
    api: Api, retries: dict[str, Any] | None, assumed: str, calls: int
) -> None:
    made = plan(api, api.agent(), retry_config=None if retries is None else {**RETRIES, **retries})
    assert (made["assumed"]["status"], made["worst_case_calls"], len(made["attempts"])) == (assumed, calls, calls)
    assert made["assumed"]["voicemail"] == (assumed == "completed")


def test_a_plan_warns_in_words(api: Api) -> None:
    """10:00 UTC is 13:00 to 22:00 in the zones of a Russian mobile number, and 2:00 in San Francisco."""
    agent_id = api.agent(consent_required=["DE"])
    assert plan(api, agent_id, BERLIN) == plan(api, agent_id, BERLIN) | {
        "attempts": [],
        "worst_case_calls": 0,
        "warnings": ["attempt 1 is not dialled: the number has not consented, which the agent requires in DE"],
    }
    assert plan(api, agent_id, RUSSIAN_MOBILE)["warnings"] == [
        "attempt 1 may ring at 22:00 in Asia/Anadyr, one of the 14 time zones that the number may be in"
    ]
    assert plan(api, agent_id, NUMBER)["warnings"] == ["attempt 1 rings at 02:00 in America/Los_Angeles"]
    assert plan(api, agent_id, NUMBER, calling_guardrails={"call_start_hour": 2, "call_end_hour": 3})["warnings"] == []
    assert plan(api, agent_id, "+442079460123", from_phone_number="+14155550199")["warnings"] == [
        "caller id +14155550199 is none of the from_phone_numbers of the agent or the account"
    ]
    api.send("POST", "/suppressions", {"phone_number": "+442079460123", "reason": "opted out"})
    assert plan(api, agent_id, "+442079460123")["warnings"] == [
        "attempt 1 is not dialled: the number is suppressed: opted out"
    ]


def test_a_spread_attempt_has_an_interval(api: Api) -> None:
    guardrails = {"call_start_hour": 12, "call_end_hour": 18, "placement": "spread", "spread_minutes": 15}
    made = plan(api, api.agent(), calling_guardrails=guardrails, retry_config=RETRIES)
    instants = [(one["earliest_at"][8:19], one["latest_at"][8:19]) for one in made["attempts"]]
    assert instants[0] == ("26T11:00:00", "26T11:14:59")
    assert instants[1] == ("26T12:00:30", "26T12:15:29")
    assert instants[2] == ("27T11:00:00", "27T11:14:59")


# ---- a number -----------------------------------------------------------------------------------------------------


def number(api: Api, phone_number: str, **query: str) -> Any:
    answer = api.send(
        "GET", f"/numbers/{phone_number}", query="&".join(f"{name}={text}" for name, text in query.items())
    )
    assert answer.status == 200, answer.text
    return answer.json


def test_a_number_is_shown_with_its_rules_and_what_would_happen_now(api: Api) -> None:
    agent_id = api.agent(calling_guardrails={"call_start_hour": 12, "call_end_hour": 18})
    found = number(api, "0049-30-12345678")
    assert (found["phone_number"], found["countries"], found["time_zones"]) == (BERLIN, ["DE"], ["Europe/Berlin"])
    assert [one["gate"] for one in found["now"]["gates"]] == ["suppression", "consent", "contact-limit", "one-call"]
    assert (found["suppressions"], found["now"]["is_dialled"], found["now"]["earliest_at"]) == ([], True, None)

    by_agent = number(api, BERLIN, agent_id=agent_id)["now"]
    assert by_agent["gates"][-1] == {
        "gate": "calling-window",
        "decision": "defer",
        "rule": "12-18",
        "text": "Outside calling hours 12-18 of Europe/Berlin.",
    }
    assert (by_agent["is_dialled"], by_agent["earliest_at"]) == (False, "2026-01-26T11:00:00.000Z")

    api.send("POST", "/suppressions", {"phone_number": BERLIN, "agent_id": agent_id, "reason": "opted out"})
    api.send("POST", "/consents", {"phone_number": BERLIN, "given_at": rfc3339(TEN)})
    found = number(api, BERLIN, agent_id=agent_id)
    assert [one["reason"] for one in found["suppressions"]] == ["opted out"]
    assert [one["given_at"] for one in found["consents"]] == [rfc3339(TEN)]
    assert found["now"]["warnings"] == ["attempt 1 is not dialled: the number is suppressed for this agent: opted out"]
    assert number(api, BERLIN)["now"]["is_dialled"], "other agents may call it"
    assert api.send("GET", f"/numbers/{BERLIN}", key=OTHER_API_KEY).json["suppressions"] == []
    foreign = api.send("GET", f"/numbers/{BERLIN}", query=f"agent_id={agent_id}", key=OTHER_API_KEY)
    assert foreign.status == 404
    assert api.send("GET", "/numbers/12").status == 400
