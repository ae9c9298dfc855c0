"""Calling rules through the HTTP interface: a number's time zone, and calls that can never be placed."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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


# ---- a number's time zone -----------------------------------------------------------------------------------------


def test_a_contacts_time_zone_wins_over_its_agents_and_its_prefix(client: LocalClient) -> None:
    """Noon UTC is 4:00 in San Francisco, 13:00 in Berlin and 21:00 in Tokyo."""
    client.configure(calling_guardrails=NINE_TO_SIX, time_zone="Asia/Tokyo")
    client.script("+14155550121", "completed")
    berlin = client.call("+14155550121", time_zone="Europe/Berlin")
    tokyo = client.call("+14155550122")
    client.advance(5)
    assert client.execution(berlin)["status"] == "completed"
    assert at(client.execution(tokyo)["rescheduled_at"]) == NOON + timedelta(hours=12)
    client.configure(time_zone=None)
    prefix = client.call("+14155550123")
    client.advance(1)
    assert at(client.execution(prefix)["rescheduled_at"]) == NOON + timedelta(hours=5)


def test_an_unknown_area_code_waits_for_hours_that_suit_its_whole_country(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_SIX)
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


# ---- calls that can never be placed -------------------------------------------------------------------------------


def test_a_call_that_can_never_be_placed_is_refused(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_SIX)
    answer = ask(client, RUSSIAN_MOBILE)
    assert answer.status == 400
    assert answer.json["errors"] == [{"field": "recipient_phone_number", "message": NEVER + MEND}]
    assert ask(client, RUSSIAN_MOBILE, time_zone="Asia/Omsk").status == 200
    assert ask(client, RUSSIAN_MOBILE, bypass_call_guardrails=True).status == 200
    assert ask(client, TOLL_FREE).status == 200, "the United States and Canada: open for two hours"
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    assert ask(client, RUSSIAN_MOBILE).status == 200
    client.configure(calling_guardrails=NINE_TO_SIX, time_zone="Europe/Moscow")
    assert ask(client, RUSSIAN_MOBILE).status == 200


FILE = f"""contact_number,name,time_zone
{RUSSIAN_MOBILE},Ann,
+79161234568,Bob,Asia/Omsk
+12025550101,Cem,
+12025550102,Dee,Nowhere
+12025550103,Eve, Europe/Berlin
"""


def test_rows_that_can_never_be_placed_are_rejected(client: LocalClient) -> None:
    """They stay rejected when the file is read again after the hours have changed."""
    client.configure(calling_guardrails=NINE_TO_SIX)
    batch_id = upload(client, FILE, ("start", "now")).json["batch_id"]
    client.advance(1)
    rejected = rows(client, batch_id, "rejected")
    assert [(row["line"], row["reason"]) for row in rejected] == [
        ("2", f"contact_number: {NEVER}{MEND}"),
        ("5", "time_zone: must be an IANA time zone, such as Europe/Berlin; there is no 'Nowhere'"),
    ]
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    assert [row["name"] for row in rows(client, batch_id, "results")] == ["Bob", "Cem", "Eve"]
    client.advance(1)
    contacts = client.api("GET", f"/batches/{batch_id}/executions").json
    omsk, washington, berlin = sorted(contacts, key=lambda one: one["context_details"]["recipient_data"]["name"])
    assert at(omsk["rescheduled_at"]) == NOON + timedelta(hours=15), "18:00 in Omsk: tomorrow"
    assert at(washington["rescheduled_at"]) == NOON + timedelta(hours=2), "7:00 in Washington"
    assert berlin["status"] != "rescheduled"


def test_a_batch_that_bypasses_the_guardrails_takes_every_number(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_SIX)
    file = f"contact_number,time_zone\n{RUSSIAN_MOBILE},\n+12025550102,Nowhere\n"
    batch_id = upload(client, file, ("bypass_call_guardrails", "true")).json["batch_id"]
    client.advance(1)
    assert [row["line"] for row in rows(client, batch_id, "rejected")] == ["3"]


def test_a_file_of_which_no_row_can_be_placed_is_refused(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_SIX)
    answer = upload(client, f"contact_number\n{RUSSIAN_MOBILE}\n")
    assert answer.status == 400
    assert answer.json["message"] == f"file: has no usable row; the first, line 2: contact_number: {NEVER}{MEND}"


@pytest.mark.parametrize("kind", ["call", pytest.param("contact", marks=pytest.mark.nightly)])
def test_a_call_whose_hours_become_impossible_waits_until_they_are_corrected(client: LocalClient, kind: str) -> None:
    client.configure(calling_guardrails={"call_start_hour": 4, "call_end_hour": 16})
    if kind == "call":
        execution_id = client.call(RUSSIAN_MOBILE, retry_config={"enabled": True})
    else:
        file = f"contact_number\n{RUSSIAN_MOBILE}\n"
        batch_id = upload(client, file, ("start", "now")).json["batch_id"]
        client.advance(1)
        execution_id = client.api("GET", f"/batches/{batch_id}/executions").json[0]["id"]
    client.advance(1)
    opens = at(client.execution(execution_id)["rescheduled_at"])
    client.configure(calling_guardrails=NINE_TO_SIX)
    client.advance((opens - NOON).total_seconds() / 60 + 1)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["retry_count"]) == ("rescheduled", 0)
    assert opens + timedelta(hours=1) <= at(execution["rescheduled_at"]) <= opens + timedelta(hours=1, minutes=1)
    changes = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert NEVER in str(changes)
    client.advance(5 * 60)
    assert client.execution(execution_id)["status"] == "rescheduled"
    client.configure(calling_guardrails=None)
    client.script(RUSSIAN_MOBILE, "completed")
    client.advance(9 * 60)
    assert client.execution(execution_id)["status"] == "completed"


def test_a_call_whose_hours_stay_impossible_ends_after_a_week(client: LocalClient) -> None:
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    execution_id = client.call(RUSSIAN_MOBILE)
    client.advance(1)
    opens = at(client.execution(execution_id)["rescheduled_at"])
    client.configure(calling_guardrails=NINE_TO_SIX)
    client.advance((opens - NOON).total_seconds() / 60 + 6 * 24 * 60)
    execution = client.execution(execution_id)
    assert execution["status"] == "rescheduled"
    assert execution["sequence"] < 15, "ever longer between two checks"
    client.advance(2 * 24 * 60)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["ended_because"]) == ("error", f"for 7 days {NEVER}")
    assert client.calls() == []


def test_a_batch_of_which_a_contact_can_never_be_placed_any_more_is_not_scheduled(client: LocalClient) -> None:
    """Its rows were checked against other hours, or none."""
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    file = f"contact_number,time_zone\n+79161234568,Asia/Omsk\n{RUSSIAN_MOBILE},\n"
    batch_id = upload(client, file).json["batch_id"]
    client.advance(1)
    client.configure(calling_guardrails=NINE_TO_SIX)
    start = {"scheduled_at": (NOON + timedelta(hours=1)).isoformat()}
    answer = schedule(client, batch_id, **start)
    assert answer.status == 400
    reason = f"contact 2 cannot be called: {NEVER}{MEND}"
    assert answer.json["errors"] == [{"field": "scheduled_at", "message": reason}]
    assert schedule(client, batch_id, **start, bypass_call_guardrails="true").status == 200
    assert schedule(client, batch_id, **start).status == 400
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    assert schedule(client, batch_id, **start).status == 200


# ---- windows ------------------------------------------------------------------------------------------------------

WEEK = {"windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:30", "end": "12:00"}]}


def test_a_calls_own_windows_replace_its_batchs_and_those_its_agents(client: LocalClient) -> None:
    """Noon UTC on a Monday is 7:00 in Washington."""
    assert NOON.weekday() == 0
    client.configure(calling_guardrails={"call_start_hour": 10, "call_end_hour": 11})
    guardrails = {"windows": [{"start": "08:15", "end": "08:30"}, {"start": "06:00", "end": "06:30"}]}
    single = client.call("+12025550111", calling_guardrails=guardrails)
    plain = client.call("+12025550112")
    fields = ("calling_guardrails", json.dumps(WEEK)), ("start", "now")
    batch_id = upload(client, "contact_number\n+12025550113\n", *fields).json["batch_id"]
    client.advance(1)
    [contact] = client.api("GET", f"/batches/{batch_id}/executions").json
    moved = {name: client.execution(one) for name, one in (("single", single), ("plain", plain))}
    assert at(moved["single"]["rescheduled_at"]) == NOON + timedelta(hours=1, minutes=15)
    assert at(moved["plain"]["rescheduled_at"]) == NOON + timedelta(hours=3)
    assert at(contact["rescheduled_at"]) == NOON + timedelta(hours=2, minutes=30)
    assert gate(client, single) == {"gate": "calling-window", "decision": "defer", "rule": "call 6-6:30,8:15-8:30"}
    assert gate(client, plain)["rule"] == "10-11"
    assert gate(client, contact["id"])["rule"] == "batch mo-fr 9:30-12"
    for number in ("+12025550111", "+12025550112", "+12025550113"):
        client.script(number, "completed")
    client.advance(4 * 60)
    placed = {call["to"]: at(call["placed_at"]) - NOON for call in client.calls()}
    assert [round(placed[f"+1202555011{n}"].total_seconds() / 60) for n in (1, 2, 3)] == [75, 180, 150]


def test_excluded_dates_are_those_of_the_called_number(client: LocalClient) -> None:
    """Noon UTC is 21:00 in Tokyo and 7:00 in Washington; the next day is excluded."""
    tomorrow = (NOON + timedelta(days=1)).date().isoformat()
    client.configure(calling_guardrails={"excluded_dates": [tomorrow], **WEEK})
    washington, tokyo = client.call("+12025550111"), client.call("+81312345678")
    client.advance(1)
    assert at(client.execution(washington)["rescheduled_at"]) == NOON + timedelta(hours=2, minutes=30)
    assert at(client.execution(tokyo)["rescheduled_at"]) == NOON + timedelta(days=1, hours=12, minutes=30)


def test_calls_are_spread_over_the_first_minutes_of_an_opening(client: LocalClient) -> None:
    guardrails = {"call_start_hour": 9, "call_end_hour": 18, "placement": "spread", "spread_minutes": 10}
    client.configure(calling_guardrails=guardrails, max_concurrent_calls=50)
    numbers = [f"+120255502{n:02d}" for n in range(40)]
    for number in numbers:
        client.script(number, "completed")
    batch_id = upload(client, "contact_number\n" + "\n".join(numbers), ("start", "now")).json["batch_id"]
    single = client.call("+12025550111")
    client.advance(5)
    opens = NOON + timedelta(hours=2)
    assert opens <= at(client.execution(single)["rescheduled_at"]) < opens + timedelta(minutes=10)
    client.advance(3 * 60)
    placed = [at(call["placed_at"]) for call in client.calls() if call["to"] in numbers]
    assert len(placed) == 40
    assert opens <= min(placed) and max(placed) < opens + timedelta(minutes=11)
    assert len({(one - opens) // timedelta(minutes=1) for one in placed}) >= 8, "in nearly every minute"
    contacts = client.api("GET", f"/batches/{batch_id}/executions").json
    assert {one["status"] for one in contacts} == {"completed"}


def test_a_retry_that_is_rotated_rings_at_another_hour(client: LocalClient) -> None:
    """Noon UTC is 7:00 in Washington. The window has three hours; the fourth attempt may use any of them."""
    guardrails = {"call_start_hour": 9, "call_end_hour": 12, "placement": "rotate"}
    client.configure(calling_guardrails=guardrails)
    client.script("+12025550111", "no-answer", "busy", "no-answer", "completed")
    retries = {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [5]}
    execution_id = client.call("+12025550111", retry_config=retries)
    client.advance(3 * 24 * 60)
    execution = client.execution(execution_id)
    assert execution["status"] == "completed"
    dialled = [at(attempt["dialed_at"]) - timedelta(hours=5) for attempt in execution["attempts"]]
    assert [one.hour for one in dialled] == [9, 10, 11, 11], [f"{one:%d. %H:%M}" for one in dialled]


# ---- midnight, weekend and clock changes --------------------------------------------------------------------------

NIGHTS = {"windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "22:00", "end": "02:00"}]}
SUNDAY = {"days": ["sun"]}


@pytest.mark.parametrize(
    ("start", "guardrails", "minutes", "dialled"),
    [
        # New York, Friday, 6 March 2026, 13:00; on Sunday 2:00 becomes 3:00
        ("03-06T18:00", NIGHTS, [180], ["07T03:00", "07T06:00", "10T02:00"]),  # over midnight; over the weekend, in EDT
        ("03-06T18:00", {"windows": [{"start": "02:15", "end": "02:45", **SUNDAY}]}, [5], ["15T06:15", "15T06:20"]),
        ("03-06T18:00", {"windows": [{"start": "02:30", "end": "03:30", **SUNDAY}]}, [5], ["08T07:00", "08T07:05"]),
        # Friday, 30 October 2026, 14:00; on Sunday 2:00 becomes 1:00
        ("10-30T18:00", NIGHTS, [180], ["31T02:00", "31T05:00", "03T03:00"]),
        ("10-30T18:00", {"windows": [{"start": "01:00", "end": "01:30", **SUNDAY}]}, [35], ["01T05:00", "01T06:00"]),
        (
            "10-30T18:00",
            {"windows": [{"start": "23:30", "end": "01:15", "days": ["sat"]}]},
            [60],
            ["01T03:30", "01T04:30"],
        ),
    ],
)
def test_midnights_weekends_and_clock_changes_are_kept_and_planned(
    start: str, guardrails: dict[str, Any], minutes: list[int], dialled: list[str]
) -> None:
    begin = datetime.fromisoformat(f"2026-{start}+00:00")
    with local_stack(start_at=begin, recurring=False) as client:
        body = {
            "agent_id": client.stack.agent_id,
            "recipient_phone_number": "+12125550111",
            "calling_guardrails": guardrails,
            "retry_config": {"enabled": True, "max_retries": 3, "retry_intervals_minutes": minutes},
        }
        client.script("+12125550111", "no-answer")
        planned = client.api("POST", "/call/plan", body).json["attempts"]
        execution_id = client.api("POST", "/call", body).json["execution_id"]
        client.advance(10 * 24 * 60)
        placed = [one["dialed_at"] for one in client.execution(execution_id)["attempts"]]
        client.assert_sound()
    expected = [one for one in placed if one is not None][: len(dialled)]
    assert [one[8:16] for one in expected] == dialled
    assert [one["earliest_at"][8:16] for one in planned][: len(dialled)] == dialled


@pytest.mark.parametrize(
    ("guardrails", "field"),
    [
        ({"windows": []}, "windows"),
        ({"windows": [{"start": "9:00", "end": "10:00"}]}, "windows.0.start"),
        ({"windows": [{"start": "09:00", "end": "24:01"}]}, "windows.0.end"),
        ({"windows": [{"start": "24:00", "end": "09:00"}]}, "windows.0.start"),
        ({"windows": [{"start": "09:00"}]}, "windows.0.end"),
        ({"windows": [{"days": ["someday"], "start": "09:00", "end": "10:00"}]}, "windows.0.days.0"),
        ({"windows": [{"days": [], "start": "09:00", "end": "10:00"}]}, "windows.0.days"),
        ({**NINE_TO_SIX, **WEEK}, "windows"),
        ({"excluded_dates": ["2026-02-30"]}, "excluded_dates.0"),
        ({"excluded_dates": ["20260228"]}, "excluded_dates.0"),
        ({**WEEK, "placement": "later"}, "placement"),
        ({**WEEK, "placement": "spread", "spread_minutes": 0}, "spread_minutes"),
    ],
)
def test_guardrails_that_make_no_sense_are_refused(client: LocalClient, guardrails: Any, field: str) -> None:
    change = {"agent_config": {"calling_guardrails": guardrails}}
    answers = {
        "agent_config.": client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change),
        "": ask(client, "+12025550111", calling_guardrails=guardrails),
    }
    form = upload(client, "contact_number\n+12025550111\n", ("calling_guardrails", json.dumps(guardrails)))
    for prefix, answer in (*answers.items(), ("", form)):
        assert answer.status == 400
        assert [one["field"] for one in answer.json["errors"]] == [f"{prefix}calling_guardrails.{field}"]


def test_a_calls_own_rule_is_short(client: LocalClient) -> None:
    dates = [f"2027-01-{day:02d}" for day in range(1, 21)]
    answer = ask(client, "+12025550111", calling_guardrails={"excluded_dates": dates})
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, ["calling_guardrails"])


ASLEEP = (
    *("Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver", "America/Chicago"),
    *("America/New_York", "America/St_Johns", "Asia/Kathmandu", "Asia/Shanghai", "Asia/Tokyo", "Australia/Adelaide"),
    "Pacific/Auckland",
)
"""Twelve zones in which noon UTC is neither during office hours nor in the evening."""
EARLY = (
    *("Pacific/Honolulu", "Pacific/Marquesas", "America/Anchorage", "America/Los_Angeles", "America/Denver"),
    *("America/Phoenix", "America/Chicago", "America/Mexico_City", "America/New_York", "America/Bogota"),
    *("America/Halifax", "America/St_Johns"),
)
"""Twelve zones in which noon UTC is between 2:00 and 8:30, so all of them open within seven hours."""
QUARTER = 15
"""Minutes over which the calls of an opening are spread."""


def start_at_night(client: LocalClient, zones: tuple[str, ...], contacts: int, lines: int, hours: int) -> None:
    """Run a batch over twelve zones: no dial is outside any window, and each zone's calls are spread over its first
    minutes. `hours`: the time after which the batch is completed."""
    windows = [{"start": "09:00", "end": "12:30"}, {"start": "13:15", "end": "17:00"}]
    guardrails = {"windows": windows, "placement": "spread", "spread_minutes": QUARTER}
    quiet = {"webhook_url": None, "max_concurrent_calls": lines}
    client.configure(calling_guardrails=guardrails, **quiet)
    zone_of = {f"+1202{5_550_000 + n}": zones[n % len(zones)] for n in range(contacts)}
    file = "\n".join(["contact_number,time_zone", *(f"{number},{zone}" for number, zone in zone_of.items())])
    batch_id = upload(client, file, ("start", "now")).json["batch_id"]
    client.advance(hours * 60)
    read = client.api("GET", f"/batches/{batch_id}").json
    assert (read["status"], sum(read["execution_status"].values())) == ("completed", contacts)
    calls = client.calls()
    assert len(calls) == contacts
    placed = {call["to"]: at(call["placed_at"]).astimezone(ZoneInfo(zone_of[call["to"]])) for call in calls}
    assert placed.keys() == zone_of.keys()
    after_opening = {
        number: (local.hour - 9) * 60 + local.minute + local.second / 60 for number, local in placed.items()
    }
    outside = {number: minutes for number, minutes in after_opening.items() if not 0 <= minutes < QUARTER + 2}
    assert outside == {}, "within a quarter of an hour of the opening"
    for some in ([zone] for zone in zones) if contacts >= 1200 else [zones]:
        minutes = Counter(int(after_opening[number]) for number, zone in zone_of.items() if zone in some)
        share = sum(minutes.values()) / QUARTER
        assert sum(minutes[minute] > share / 5 for minute in range(QUARTER)) >= QUARTER - 3, minutes
        assert max(minutes.values()) <= 2 * share + 4


def test_a_batch_that_starts_at_night_calls_each_zone_in_its_morning(client: LocalClient) -> None:
    start_at_night(client, EARLY, 48, lines=5, hours=8)


@pytest.mark.nightly
def test_ten_thousand_contacts_are_called_in_the_mornings_of_their_zones(client: LocalClient) -> None:
    """This takes twenty to thirty minutes."""
    start_at_night(client, ASLEEP, 10_000, lines=100, hours=16)


def gate(client: LocalClient, execution_id: str) -> Any:
    """The latest decision of the calling window."""
    entries = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    gates = [one for entry in entries if isinstance(entry["data"], dict) for one in entry["data"].get("gates", ())]
    latest = [one for one in gates if one["gate"] == "calling-window"][-1]
    return {name: value for name, value in latest.items() if name != "text"}


def schedule(client: LocalClient, batch_id: str, **fields: str) -> Answer:
    return client.api(
        "POST", f"/batches/{batch_id}/schedule", multipart([*fields.items()], None), Content_Type=CONTENT_TYPE
    )
