"""Calling rules through the HTTP interface: where a number is, and what can never be placed."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack

NINE_TO_SIX = {"call_start_hour": 9, "call_end_hour": 18}
RUSSIAN_MOBILE, TOLL_FREE = "+79161234567", "+18005551234"
NEVER = "calling hours 9-18 are never open at once in all 14 time zones that the number may be in"
MEND = "; give the contact's time_zone, or widen the hours"


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def configure(client: LocalClient, **config: Any) -> None:
    answer = client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", {"agent_config": config})
    assert answer.status == 200, answer


def ask(client: LocalClient, number: str, **fields: Any) -> Answer:
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": number, **fields}
    return client.api("POST", "/call", body)


def upload(client: LocalClient, file: str, *fields: tuple[str, str]) -> Answer:
    sent = [("agent_id", client.stack.agent_id), *fields]
    return client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE)


def rows(client: LocalClient, batch_id: str, name: str) -> list[dict[str, str]]:
    answer = client.api("GET", f"/batches/{batch_id}/{name}.csv")
    assert answer.status == 200, answer
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


# ---- where a number is --------------------------------------------------------------------------------------------


def test_a_contacts_time_zone_wins_over_its_agents_and_its_prefix(client: LocalClient) -> None:
    """Noon UTC is 4:00 in San Francisco, 13:00 in Berlin and 21:00 in Tokyo."""
    configure(client, calling_guardrails=NINE_TO_SIX, time_zone="Asia/Tokyo")
    client.script("+14155550121", "completed")
    berlin = client.call("+14155550121", time_zone="Europe/Berlin")
    tokyo = client.call("+14155550122")
    client.advance(5)
    assert client.execution(berlin)["status"] == "completed"
    assert at(client.execution(tokyo)["rescheduled_at"]) == NOON + timedelta(hours=12)
    configure(client, time_zone=None)
    prefix = client.call("+14155550123")
    client.advance(1)
    assert at(client.execution(prefix)["rescheduled_at"]) == NOON + timedelta(hours=5)


def test_an_unknown_area_code_waits_for_hours_that_suit_its_whole_country(client: LocalClient) -> None:
    configure(client, calling_guardrails=NINE_TO_SIX)
    execution_id = client.call("+14362201234")
    client.advance(1)
    assert at(client.execution(execution_id)["rescheduled_at"]) == NOON + timedelta(hours=7), "9:00 in Honolulu"
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert "and 16 more" in str(log[-1])


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "EST ", 5])
def test_an_unknown_time_zone_is_refused(client: LocalClient, zone: Any) -> None:
    answer = ask(client, "+14155550121", time_zone=zone)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, ["time_zone"])
    change = {"agent_config": {"time_zone": zone}}
    answer = client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, ["agent_config.time_zone"])


# ---- what can never be placed -------------------------------------------------------------------------------------


def test_a_call_that_can_never_be_placed_is_refused(client: LocalClient) -> None:
    configure(client, calling_guardrails=NINE_TO_SIX)
    answer = ask(client, RUSSIAN_MOBILE)
    assert answer.status == 400
    assert answer.json["errors"] == [{"field": "recipient_phone_number", "message": NEVER + MEND}]
    assert ask(client, RUSSIAN_MOBILE, time_zone="Asia/Omsk").status == 200
    assert ask(client, RUSSIAN_MOBILE, bypass_call_guardrails=True).status == 200
    assert ask(client, TOLL_FREE).status == 200, "the United States and Canada: open for two hours"
    configure(client, calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    assert ask(client, RUSSIAN_MOBILE).status == 200
    configure(client, calling_guardrails=NINE_TO_SIX, time_zone="Europe/Moscow")
    assert ask(client, RUSSIAN_MOBILE).status == 200


FILE = f"""contact_number,name,time_zone
{RUSSIAN_MOBILE},Ann,
+79161234568,Bob,Asia/Omsk
+12025550101,Cem,
+12025550102,Dee,Nowhere
+12025550103,Eve, Europe/Berlin
"""


def test_rows_that_can_never_be_placed_are_rejected(client: LocalClient) -> None:
    """And stay so: the files are read again after the hours have changed."""
    configure(client, calling_guardrails=NINE_TO_SIX)
    batch_id = upload(client, FILE, ("start", "now")).json["batch_id"]
    client.advance(1)
    rejected = rows(client, batch_id, "rejected")
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("2", f"contact_number: {NEVER}{MEND}"),
        ("5", "time_zone: must be an IANA time zone, such as Europe/Berlin; there is no 'Nowhere'"),
    ]
    configure(client, calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    assert [row["name"] for row in rows(client, batch_id, "results")] == ["Bob", "Cem", "Eve"]
    client.advance(1)
    contacts = client.api("GET", f"/batches/{batch_id}/executions").json
    omsk, washington, berlin = sorted(contacts, key=lambda one: one["context_details"]["recipient_data"]["name"])
    assert at(omsk["rescheduled_at"]) == NOON + timedelta(hours=15), "18:00 in Omsk: tomorrow"
    assert at(washington["rescheduled_at"]) == NOON + timedelta(hours=2), "7:00 in Washington"
    assert berlin["status"] != "rescheduled"


def test_a_batch_that_bypasses_the_guardrails_takes_every_number(client: LocalClient) -> None:
    configure(client, calling_guardrails=NINE_TO_SIX)
    file = f"contact_number,time_zone\n{RUSSIAN_MOBILE},\n+12025550102,Nowhere\n"
    batch_id = upload(client, file, ("bypass_call_guardrails", "true")).json["batch_id"]
    client.advance(1)
    assert [row["line"] for row in rows(client, batch_id, "rejected")] == ["3"]


def test_a_file_of_which_no_row_can_be_placed_is_refused(client: LocalClient) -> None:
    configure(client, calling_guardrails=NINE_TO_SIX)
    answer = upload(client, f"contact_number\n{RUSSIAN_MOBILE}\n")
    assert answer.status == 400
    assert answer.json["message"] == f"file: has no usable row; the first, line 2: contact_number: {NEVER}{MEND}"


@pytest.mark.parametrize("kind", ["call", "contact"])
def test_a_call_whose_hours_become_impossible_waits_until_they_are_corrected(client: LocalClient, kind: str) -> None:
    configure(client, calling_guardrails={"call_start_hour": 4, "call_end_hour": 16})
    if kind == "call":
        execution_id = client.call(RUSSIAN_MOBILE, retry_config={"enabled": True})
    else:
        file = f"contact_number\n{RUSSIAN_MOBILE}\n"
        batch_id = upload(client, file, ("start", "now")).json["batch_id"]
        client.advance(1)
        execution_id = client.api("GET", f"/batches/{batch_id}/executions").json[0]["id"]
    client.advance(1)
    opens = at(client.execution(execution_id)["rescheduled_at"])
    configure(client, calling_guardrails=NINE_TO_SIX)
    client.advance((opens - NOON).total_seconds() / 60 + 1)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["retry_count"]) == ("rescheduled", 0)
    assert opens + timedelta(hours=1) <= at(execution["rescheduled_at"]) <= opens + timedelta(hours=1, minutes=1)
    changes = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert NEVER in str(changes)
    client.advance(5 * 60)
    assert client.execution(execution_id)["status"] == "rescheduled"
    configure(client, calling_guardrails=None)
    client.script(RUSSIAN_MOBILE, "completed")
    client.advance(9 * 60)
    assert client.execution(execution_id)["status"] == "completed"


def test_a_call_whose_hours_stay_impossible_ends_after_a_week(client: LocalClient) -> None:
    configure(client, calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    execution_id = client.call(RUSSIAN_MOBILE)
    client.advance(1)
    opens = at(client.execution(execution_id)["rescheduled_at"])
    configure(client, calling_guardrails=NINE_TO_SIX)
    client.advance((opens - NOON).total_seconds() / 60 + 6 * 24 * 60)
    execution = client.execution(execution_id)
    assert execution["status"] == "rescheduled"
    assert execution["sequence"] < 15, "ever longer between two checks"
    client.advance(2 * 24 * 60)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["ended_because"]) == ("error", f"for 7 days {NEVER}")
    assert client.calls() == []
