"""Suppressions and consents: what the API accepts, stores and returns."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from redial.adapters.dynamodb.items import from_item
from redial.domain.number_rules import digest_of
from redial.usecases import number_rules
from tests.support.api import API_KEY, OTHER_API_KEY, UNKNOWN_ID, Api
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.samples import ACCOUNT_ID, NUMBER
from tests.support.table import TABLE_NAME

OTHER_NUMBER = "+14155550177"


def upload(api: Api, path: str, content: str, *fields: tuple[str, str], key: str = API_KEY) -> Any:
    return api.send("POST", path, multipart(list(fields), content), headers={"Content-Type": CONTENT_TYPE}, key=key)


# ---- adding, listing, removing --------------------------------------------------------------------------------------


def test_a_suppression_is_added_listed_and_removed(api: Api) -> None:
    body = {"phone_number": "00 1 415 555-0123", "reason": "opted out", "source": "web form"}
    added = api.send("POST", "/suppressions", body)
    assert added.status == 200, added.text
    (one,) = added.json["suppressions"]
    assert re.fullmatch("[0-9a-f]{32}", one["id"])
    assert one == {
        "id": one["id"],
        "last_four": "0123",
        "agent_id": None,
        "purpose": None,
        "reason": "opted out",
        "source": "web form",
        "created_at": "2026-01-26T10:00:00.000Z",
        "expires_at": None,
    }
    assert (added.json["canceled_executions"], added.json["complete"]) == ([], True)
    listed = api.send("GET", "/suppressions")
    assert (listed.json, listed.headers["x-total-count"]) == ([one], "1")
    assert api.send("GET", "/suppressions", query=urlencode({"phone_number": "+14155550123"})).json == [one]
    assert api.send("GET", "/suppressions", query=urlencode({"phone_number": OTHER_NUMBER})).json == []
    assert api.send("GET", "/suppressions", key=OTHER_API_KEY).json == []
    for deleted in (1, 0):
        removed = api.send("DELETE", "/suppressions", query=urlencode({"phone_number": "+14155550123"}))
        assert removed.json == {
            "message": "success",
            "state": "deleted",
            "deleted": deleted,
            "canceled_executions": [],
        }
    assert api.send("GET", "/suppressions").json == []


def test_adding_a_suppression_again_replaces_it_and_keeps_its_time_and_id(api: Api) -> None:
    first = api.send("POST", "/suppressions", {"phone_number": NUMBER, "reason": "one"}).json["suppressions"][0]
    api.now = api.now.replace(hour=12)
    again = {"phone_number": NUMBER, "reason": "two", "expires_at": "2026-02-01T00:00:00Z"}
    api.send("POST", "/suppressions", again)
    (stored,) = api.send("GET", "/suppressions").json
    assert stored == {**first, "reason": "two", "expires_at": "2026-02-01T00:00:00.000Z"}


def test_suppressions_of_the_account_an_agent_and_a_purpose_stand_side_by_side(api: Api) -> None:
    agent_id = api.agent()
    both = {"agent_id": agent_id, "purpose": "marketing"}
    for scope in ({}, {"agent_id": agent_id}, {"purpose": "marketing"}, both):
        assert api.send("POST", "/suppressions", {"phone_number": NUMBER, **scope}).status == 200
    listed = api.send("GET", "/suppressions").json
    assert {(one["agent_id"], one["purpose"]) for one in listed} == {
        (None, None),
        (agent_id, None),
        (None, "marketing"),
        (agent_id, "marketing"),
    }
    assert {one["id"].partition(".")[0] for one in listed} == {listed[0]["id"].partition(".")[0]}
    of_agent = api.send("GET", "/suppressions", query=f"agent_id={agent_id}")
    assert ([one["agent_id"] for one in of_agent.json], of_agent.headers["x-total-count"]) == ([agent_id] * 2, "2")
    of_both = api.send("GET", "/suppressions", query=f"purpose=marketing&agent_id={agent_id}").json
    assert [(one["agent_id"], one["purpose"]) for one in of_both] == [(agent_id, "marketing")]
    for scope in (both, {"purpose": "marketing"}, {"agent_id": agent_id}):
        query = urlencode({"phone_number": NUMBER, **scope})
        assert api.send("DELETE", "/suppressions", query=query).json["deleted"] == 1
    assert [(one["agent_id"], one["purpose"]) for one in api.send("GET", "/suppressions").json] == [(None, None)]


def test_a_file_adds_many_and_its_empty_cells_come_from_the_form(api: Api) -> None:
    rows = "\ufeffContact_Number,Reason,purpose\r\n+14155550101,,\r\n+14155550102,moved,marketing\r\n,,\r\n"
    added = upload(api, "/suppressions", rows, ("reason", "opted out"), ("source", "import"))
    assert added.status == 200, added.text
    said = [(one["last_four"], one["reason"], one["purpose"], one["source"]) for one in added.json["suppressions"]]
    assert said == [("0101", "opted out", None, "import"), ("0102", "moved", "marketing", "import")]


def test_a_list_comes_in_pages_newest_first(api: Api) -> None:
    numbers = [f"+1415555{number:04d}" for number in range(100, 160)]
    for start in range(0, 60, 20):
        api.now = api.now.replace(minute=start // 20)
        assert upload(api, "/suppressions", "\n".join(["phone_number", *numbers[start : start + 20]])).status == 200
    found, query = [], "page_size=25"
    while query:
        page = api.send("GET", "/suppressions", query=query)
        assert page.headers["x-total-count"] == "60"
        found += page.json
        link = re.search(r"\?([^>]*)>", page.headers.get("link", ""))
        query = link[1] if link else ""
    assert [one["last_four"][:2] for one in found] == sorted((one["last_four"][:2] for one in found), reverse=True)
    assert {one["last_four"] for one in found} == {number[-4:] for number in numbers}
    assert len(found) == 60
    second = api.send("GET", "/suppressions", query="page_number=2&page_size=25").json
    assert second == found[25:50]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "phone_number", "is required"),
        ({"phone_number": "12"}, "phone_number", "is not E.164"),
        ({"phone_number": [NUMBER]}, "phone_number", "must be a text"),
        ({"phone_number": NUMBER, "purpose": "Two Words"}, "purpose", "must be 1 to 40 of a-z 0-9"),
        ({"phone_number": NUMBER, "reason": "x" * 201}, "reason", "must have at most 200"),
        ({"phone_number": NUMBER, "expires_at": "2026-01-01T00:00:00Z"}, "expires_at", "must be in the future"),
        ({"phone_number": NUMBER, "expires_at": "tomorrow"}, "expires_at", "must be a time in ISO 8601"),
    ],
)
def test_what_is_wrong_with_a_suppression_is_named_by_its_field(api: Api, body: Any, field: str, message: str) -> None:
    refused = api.send("POST", "/suppressions", body)
    assert refused.status == 400
    ((error),) = refused.json["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize("agent_id", [UNKNOWN_ID, "x"])
def test_a_suppression_of_an_unknown_agent_is_refused(api: Api, agent_id: str) -> None:
    refused = api.send("POST", "/suppressions", {"phone_number": NUMBER, "agent_id": agent_id})
    assert (refused.status, agent_id in refused.json["message"]) == (404, True)
    assert api.send("GET", "/suppressions").json == []


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("name\nAnn", "file", "names a column phone_number"),
        ("", "file", "names a column phone_number"),
        ("phone_number\n", "file", "has no rows"),
        (f"phone_number\n{NUMBER}\n12", "file.3.phone_number", "is not E.164"),
        ('phone_number\n"12', "file", "is not a CSV"),
        ("phone_number,reason\n,none", "file.2.phone_number", "is empty"),
        ("\n".join(["phone_number", *[NUMBER] * (number_rules.MOST_ADDED + 1)]), "file", "split it"),
    ],
)
def test_a_file_with_an_unusable_row_adds_nothing(api: Api, content: str, field: str, message: str) -> None:
    refused = upload(api, "/suppressions", content)
    assert refused.status == 400
    assert refused.json["errors"][0]["field"] == field
    assert message in refused.json["errors"][0]["message"]
    assert api.send("GET", "/suppressions").json == []


def test_a_removal_needs_a_number(api: Api) -> None:
    refused = api.send("DELETE", "/suppressions", query="purpose=marketing")
    assert (refused.status, [one["field"] for one in refused.json["errors"]]) == (400, ["phone_number"])


def test_no_number_is_stored_and_its_hash_needs_the_accounts_key(api: Api) -> None:
    for key in (API_KEY, OTHER_API_KEY):
        api.send("POST", "/suppressions", {"phone_number": NUMBER}, key=key)
    items = [from_item(item) for item in boto3.client("dynamodb").scan(TableName=TABLE_NAME)["Items"]]
    rules = {item["pk"]: item for item in items if item["pk"].startswith("S#")}
    assert len(rules) == 2
    assert NUMBER[1:] not in json.dumps(list(rules.values()))
    hashes = {item["pk"]: item["key"] for item in items if item["sk"] == "HASH"}
    mine = rules[f"S#{ACCOUNT_ID}"]
    assert mine["sk"] == f"{digest_of(bytes.fromhex(hashes[f'A#{ACCOUNT_ID}']), NUMBER)}#S#"
    assert len({item["sk"] for item in rules.values()}) == 2, "another account has another key"
    assert len({len(key) for key in hashes.values()} & {64}) == 1
    assert not set(hashes.values()) & {word for item in rules.values() for word in map(str, item.values())}


# ---- consents -------------------------------------------------------------------------------------------------------

CONSENT = {"phone_number": NUMBER, "given_at": "2026-01-20T09:00:00+01:00", "proof": "form 4711", "source": "web"}


def test_a_consent_is_added_listed_and_withdrawn(api: Api) -> None:
    added = api.send("POST", "/consents", {**CONSENT, "purpose": "marketing"})
    assert added.status == 200, added.text
    (one,) = added.json["consents"]
    assert one == {
        "id": one["id"],
        "last_four": NUMBER[-4:],
        "purpose": "marketing",
        "source": "web",
        "created_at": "2026-01-26T10:00:00.000Z",
        "expires_at": None,
        "given_at": "2026-01-20T08:00:00.000Z",
        "proof": "form 4711",
    }
    assert api.send("GET", "/consents").json == [one]
    assert api.send("GET", "/suppressions").json == []
    query = urlencode({"phone_number": NUMBER})
    assert api.send("DELETE", "/consents", query=query).json["deleted"] == 0, "the one without a purpose"
    assert api.send("DELETE", "/consents", query=f"{query}&purpose=marketing").json["deleted"] == 1
    assert api.send("GET", "/consents", query=query).json == []


def test_a_file_of_consents(api: Api) -> None:
    rows = "phone_number,given_at,proof\n+14155550101,2026-01-02T00:00:00Z,a\n+14155550102,,b"
    added = upload(api, "/consents", rows, ("given_at", "2026-01-01T00:00:00Z"))
    assert [(one["given_at"][:10], one["proof"]) for one in added.json["consents"]] == [
        ("2026-01-02", "a"),
        ("2026-01-01", "b"),
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"given_at": None}, "given_at"),
        ({"given_at": "2026-02-01T00:00:00Z"}, "given_at"),
        ({"purpose": "?"}, "purpose"),
    ],
)
def test_what_is_wrong_with_a_consent_is_named_by_its_field(api: Api, changed: Any, field: str) -> None:
    refused = api.send("POST", "/consents", {**CONSENT, **changed})
    assert (refused.status, [one["field"] for one in refused.json["errors"]]) == (400, [field])


@pytest.mark.parametrize("value", ["yes", ["XX"], ["fr"], [1]])
def test_the_countries_that_require_a_consent_are_countries(api: Api, value: Any) -> None:
    config = {"agent_name": "a", "consent_required": value}
    refused = api.send("POST", "/v2/agent", {"agent_config": config})
    assert refused.status == 400
    assert {one["field"].partition(".consent_required")[0] for one in refused.json["errors"]} == {"agent_config"}
