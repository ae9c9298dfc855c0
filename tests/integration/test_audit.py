"""The audit log: what a record says, how records are listed, exported and stored. `test_audited_operations` shows that
each operation leaves one."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from redial.domain.agent import Account
from redial.runtime import keys
from redial.runtime.services import services_of
from tests.support.api import API_KEY, OTHER_API_KEY, Api
from tests.support.samples import ACCOUNT_ID, CALLER_ID, TEN
from tests.support.table import TABLE_NAME


def audit(api: Api, query: str = "", key: str = API_KEY) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.send("GET", "/audit", query=query, key=key).json
    return found


# ---- content of a record ---


def test_a_record_has_the_settings_before_and_after(api: Api) -> None:
    agent_id = api.agent(webhook_url=None)
    api.advance(timedelta(seconds=1))  # records within one millisecond have no order
    secret = "https://me:pass@hooks.example.com/t0ken?x=secret"
    patch = {
        "ring_timeout_seconds": 25,
        "from_phone_numbers": [CALLER_ID, "+12025550198"],
        "answer_url": secret.replace("me:pass@", ""),
        "api_token": "very-secret",
    }
    answer = api.send("PATCH", f"/v2/agent/{agent_id}", {"agent_config": patch})
    assert answer.status == 200, answer.text
    (record, created) = audit(api)
    assert created["operation"] == "create_agent"
    changes = {one["field"]: (one["before"], one["after"]) for one in record["changes"]}
    assert changes.keys() == {"ring_timeout_seconds", "from_phone_numbers", "answer_url", "config"}
    assert changes["ring_timeout_seconds"] == (30, 25)
    assert changes["from_phone_numbers"] == (["+1415*****00"], ["+1415*****00", "+1202*****98"])
    before, after = changes["answer_url"]
    assert before.startswith("https://voice.example.com/… (sha256 ")
    assert after.startswith("https://hooks.example.com/… (sha256 ")
    text = json.dumps(record)
    assert not [one for one in ("secret", "t0ken", "pass", CALLER_ID) if one in text]


def test_changes_of_the_account_and_of_policies_are_recorded(api: Api) -> None:
    limits = {"caps": [{"attempts": 3, "hours": 24}]}
    assert api.send("PATCH", "/user/me", {"contact_limits": limits, "answer_url": "https://a.example"}).status == 200
    for purpose in ("news", "news", "offers"):
        api.advance(timedelta(seconds=1))
        assert api.send("PUT", "/policies/p", {"purpose": purpose}).status in (200, 201)
    second, same, first, account = audit(api)
    assert same["changes"] == [], "the same rules again"
    assert second["changes"][0] == {"field": "purpose", "before": "news", "after": "offers"}
    assert first["changes"][0] == {"field": "purpose", "before": None, "after": "news"}
    changes = {one["field"]: one["after"] for one in account["changes"]}
    assert changes["contact_limits"] == "3/24h"
    assert changes["defaults"]["answer_url"] == "https://a.example"


def test_a_new_keys_rights_are_recorded_and_never_the_key(api: Api) -> None:
    made = api.send("POST", "/keys", {"name": "k", "scopes": ["read"], "numbers": "masked"}).json
    (record,) = audit(api)
    assert (record["resource_type"], record["resource_id"]) == ("key", made["id"])
    rights = {"scopes": ["read"], "agents": None, "numbers": "masked", "quotas": {"calls_a_day": None, "lines": None}}
    assert record["details"] == {"name": "k", **rights}
    items = json.dumps(boto3.client("dynamodb").scan(TableName=TABLE_NAME)["Items"])
    assert made["api_key"] not in items


def test_what_an_operator_does_is_recorded(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: str, *options: str) -> dict[str, Any]:
        assert keys.main([command, "--account", ACCOUNT_ID, *options, "--table", TABLE_NAME]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    made = run("create", "--name", "k", "--scope", "read", "--calls-a-day", "5", "--lines", "2", "--numbers", "masked")
    run("revoke", "--key-id", made["key_id"])
    for command in ("rotate-webhook-secret", "drop-old-webhook-secret", "defaults", "list"):
        run(command)
    run("premium-numbers", "--allow", "yes")
    run("defaults", "--from-phone-number", CALLER_ID)
    records = {one["operation"]: one for one in audit(api)}
    assert records.keys() == {
        *("create_key", "revoke_key", "rotate_webhook_secret", "drop_old_webhook_secret"),
        *("allow_premium_numbers", "set_defaults"),
    }, "what only shows something is not recorded"
    assert len(audit(api)) == 6
    assert {(one["by"], one["key_id"]) for one in records.values()} == {("operator", None)}
    assert records["create_key"]["details"]["quotas"] == {"calls_a_day": 5, "lines": 2}
    assert records["set_defaults"]["changes"][0]["after"]["from_phone_numbers"] == ["+1415*****00"]
    text = json.dumps(list(records.values()))
    account = services_of("api").accounts.get(ACCOUNT_ID)
    assert isinstance(account, Account)
    assert not [one for one in (made["api_key"], *account.webhook_secrets) if one in text]


# ---- listing ----


def test_the_audit_is_listed_in_pages_and_by_time(api: Api) -> None:
    made: list[str] = []
    for _ in range(5):
        api.advance(timedelta(minutes=1))
        made.insert(0, api.agent())
    ids = [record["resource_id"] for record in audit(api)]
    assert ids == made
    first = api.send("GET", "/audit", query="page_size=2")
    assert [record["resource_id"] for record in first.json] == made[:2]
    path, _, query = first.headers["link"].partition(">")[0].removeprefix("<").partition("?")
    second = api.send("GET", path, query=query)
    assert [record["resource_id"] for record in second.json] == made[2:4]
    third = api.send("GET", path, query=second.headers["link"].partition(">")[0].partition("?")[2])
    assert ([record["resource_id"] for record in third.json], "link" in third.headers) == (made[4:], False)
    assert [one["resource_id"] for one in audit(api, "page_size=2&page_number=2")] == made[2:4]
    minutes = [(TEN + timedelta(minutes=one)).strftime("%Y-%m-%dT%H:%M:%SZ") for one in (2, 4)]
    assert [one["resource_id"] for one in audit(api, f"from={minutes[0]}&to={minutes[1]}")] == made[1:4]
    assert audit(api, f"from={minutes[1]}&to={minutes[0]}") == []
    cursor = first.headers["link"].partition("cursor=")[2].partition(">")[0]
    assert audit(api, f"from=2026-02-01T00:00:00Z&cursor={cursor}") == []
    assert audit(api, key=OTHER_API_KEY) == []
    assert api.send("GET", "/audit", query="form=x").status == 400


def test_the_audit_is_exported(api: Api) -> None:
    assert api.send("POST", "/keys", {"name": "=1+1"}).status == 201
    api.agent()
    answer = api.send("GET", "/audit.csv")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    listed = audit(api)
    assert [row["id"] for row in rows] == [record["id"] for record in listed]
    assert [json.loads(row["changes"]) for row in rows] == [record["changes"] for record in listed]
    assert rows[0]["by"] == "First"
    key = api.send("POST", "/keys", {"name": "=1+1"}).json["api_key"]
    api.advance(timedelta(seconds=1))
    api.agent(key=key)
    (row, *_) = csv.DictReader(io.StringIO(api.send("GET", "/audit.csv").text))
    assert row["by"] == "'=1+1", "a spreadsheet takes it for text"


def test_an_export_that_does_not_fit_says_from_where_it_does(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        api.agent()
    monkeypatch.setattr("redial.api.audit.MAX_ANSWER_BYTES", 1000)
    refused = api.send("GET", "/audit.csv")
    assert refused.status == 413 and "give a `from` after" in refused.json["message"]


# ---- storing ----


def test_a_record_is_never_overwritten(api: Api) -> None:
    api.agent()
    log = services_of("api").audit
    ((_, record),) = log.newest_first(ACCOUNT_ID, None, None, None, 10)
    log.add(record)  # a separate write, which the client repeats
    with pytest.raises(ValueError, match="another audit record"):
        log.add(replace(record, by="another"))
    assert [one for _, one in log.newest_first(ACCOUNT_ID, None, None, None, 10)] == [record]


def test_a_change_stays_made_where_its_record_cannot_be_stored(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(record: Any) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem")

    monkeypatch.setattr(services_of("api").audit, "add", fail)
    agent_id = api.agent()
    assert api.send("GET", f"/v2/agent/{agent_id}").status == 200
    assert audit(api) == []
    (logged,) = [one for one in caplog.records if one.message == "audit record not stored"]
    assert logged.__dict__["audit"]["resource_id"] == agent_id


def test_the_operators_change_stays_made_too(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: Any, record: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutItem")

    monkeypatch.setattr("redial.adapters.dynamodb.audit.DynamoAuditLog.add", fail)
    assert keys.main(["create", "--account", ACCOUNT_ID, "--name", "k", "--table", TABLE_NAME]) == 1
    shown, error = capsys.readouterr()
    assert json.loads(shown)["api_key"].startswith("rdl_"), "it is shown: it opens the account"
    assert "could not be recorded in the audit" in error
