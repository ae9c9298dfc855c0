"""Another account's records answer like missing ones, on every route of the OpenAPI document. So do another agent's
records for a key that is restricted to agents.

Routes and fields come from the document: a new one that is not covered here fails the first tests.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.api import scopes
from redial.domain.api_key import KeyRights
from redial.domain.batch import contact_id
from redial.runtime import keys
from redial.usecases import accounts as account_keys
from tests.support.api import openapi
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack, request
from tests.support.table import as_text

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

OTHER_KEY = "the-other-accounts-key"
AGENTS_KEY = "the-first-accounts-key-for-another-agent"
AGENT = {"agent_config": {"agent_name": "Mine now", "webhook_url": None}}
CONTACTS = "contact_number,name\n+12025550101,Ann\n+12025550102,Bob\n"
LATER = (NOON + timedelta(days=1)).isoformat()
OF_THE_WHOLE_ACCOUNT = {
    *("POST /v2/agent", "PATCH /user/me", "GET /policies", "GET /policies/{name}", "PUT /policies/{name}"),
    *("GET /numbers/{phone_number}", "DELETE /contacts/{phone_number}"),
    *("GET /consents", "POST /consents", "DELETE /consents", "GET /audit", "GET /audit.csv"),
    "GET /doctor",
}
"""Routes that a key restricted to agents cannot use at all."""
UNKNOWN_UUID = "00000000-0000-4000-8000-0000000000ff"
UNKNOWN_HEX = "000000000000400080000000000000ff"
BODIES: dict[str, Any] = {
    "PUT /v2/agent/{agent_id}": AGENT,
    "PATCH /v2/agent/{agent_id}": AGENT,
    "POST /batches/{batch_id}/preflight": {"scheduled_at": LATER},
    "POST /batches/{batch_id}/schedule": {"scheduled_at": LATER},
    "POST /executions/{execution_id}/suppress": {"reason": "asked to stop"},
}
"""A body for each route that has an id in its path and accepts a body."""

OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
]
WITH_AN_ID = [name for name, _ in OPERATIONS if "_id}" in name]


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        keys.ensure_account(
            account_id="other",
            name="Other",
            webhook_secret=keys.new_webhook_secret(),
            api_key=OTHER_KEY,
            accounts=store(client),
            now=NOON,
        )
        yield client


@pytest.fixture(scope="module")
def ids(client: LocalClient) -> dict[str, list[str]]:
    """Ids of the first account's records in every state, by field name."""
    gone = {"times": 1, "status": 410}
    assert request("POST", f"{client.stack.inbox_url}/_inbox/gone/fail", gone).status == 200
    with_webhook = client.stack.create_agent(webhook_url=f"{client.stack.inbox_url}/gone")
    client.script("+12025550199", "completed")
    over, batch_over = client.call("+12025550199", agent_id=with_webhook), batch(client, ("start", "now"))
    client.advance(60)
    client.script("+447700900123", "refused-21215")
    client.call("+447700900123")
    waiting, batch_new, batch_scheduled = client.call("+12025550198", scheduled_at=LATER), batch(client), batch(client)
    assert client.api("POST", f"/batches/{batch_scheduled}/schedule", {"scheduled_at": LATER}).status == 200
    client.advance(1)
    upload = client.api("POST", "/batches/uploads", {"size": len(CONTACTS)}).json
    assert request("PUT", upload["url"], CONTACTS.encode()).status == 200
    assert client.api("GET", "/webhooks/undelivered").json["data"] != []
    return {
        "agent_id": [with_webhook, client.stack.agent_id],
        "execution_id": [over, waiting, contact_id(batch_over, 1), contact_id(batch_scheduled, 2)],
        "batch_id": [batch_over, batch_new, batch_scheduled],
        "upload_id": [upload["upload_id"]],
        "item_id": [item["id"] for item in client.api("GET", "/attention").json["data"]],
        "key_id": [client.api("GET", "/keys").json[0]["id"]],
    }


@pytest.fixture(scope="module")
def third_agent(client: LocalClient) -> str:
    """An agent of the first account, without calls, to which `AGENTS_KEY` is restricted."""
    agent_id = client.stack.create_agent()
    rights = KeyRights(agents=(agent_id,))
    account_keys.create_key(
        "local", "k", api_key=AGENTS_KEY, key_id="for-one-agent", accounts=store(client), now=NOON, rights=rights
    )
    return agent_id


def as_third_agent(client: LocalClient, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    return client.api(method, path, body, Authorization=f"Bearer {AGENTS_KEY}", **headers)


def store(client: LocalClient) -> DynamoAccounts:
    return DynamoAccounts(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])


def batch(client: LocalClient, *fields: tuple[str, str]) -> str:
    form = multipart([("agent_id", client.stack.agent_id), *fields], CONTACTS)
    answer = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


def stored(client: LocalClient) -> list[str]:
    """Every item and every schedule, without the other account's audit log and the times at which keys were used."""
    own = ('"J#other"', '"K#')
    return sorted(item for item in map(as_text, client.every_item()) if not any(one in item for one in own)) + [
        schedule.definition["Name"] for schedule in client.stack.scheduler.schedules()
    ]


def as_other(client: LocalClient, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    return client.api(method, path, body, Authorization=f"Bearer {OTHER_KEY}", **headers)


def like(answer: Answer, id_: str) -> tuple[int, str]:
    """The answer without the id in it."""
    return answer.status, answer.body.decode().replace(id_, "<id>")


def unknown_like(id_: str) -> str:
    return UNKNOWN_HEX if len(id_) == 32 else UNKNOWN_UUID


def check_foreign(client: LocalClient, id_: str, send: Callable[[str], Answer]) -> None:
    """Assert that `send` answers 404 for the id, exactly as for an unused id, and changes nothing."""
    client.advance(0)  # finish the work of earlier tests
    before = stored(client)
    foreign, unknown = send(id_), send(unknown_like(id_))
    assert foreign.status == 404, foreign
    assert like(foreign, id_) == like(unknown, unknown_like(id_))
    client.advance(0)
    assert stored(client) == before


@pytest.mark.parametrize("operation", WITH_AN_ID)
def test_another_accounts_id_in_the_path_is_unknown(
    operation: str, client: LocalClient, ids: dict[str, list[str]]
) -> None:
    method, _, template = operation.partition(" ")
    body = BODIES[operation] if "requestBody" in dict(OPERATIONS)[operation] else None
    for name in re.findall(r"\{(\w+)\}", template):
        for id_ in ids[name]:
            check_foreign(client, id_, lambda id_: as_other(client, method, filled(template, ids, {name: id_}), body))  # noqa: B023  used at once


def filled(template: str, ids: dict[str, list[str]], given: dict[str, str] | None = None) -> str:
    """A path with `given` ids, and in all other fields the first account's; the first ids of all fields belong
    together."""
    firsts = {name: of_field[0] for name, of_field in ids.items()}
    return template.format(**firsts | (given or {}))


# ---- a key that is restricted to agents -----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_AN_ID)
def test_another_agents_id_in_the_path_is_unknown(
    operation: str, client: LocalClient, ids: dict[str, list[str]], third_agent: str
) -> None:
    method, _, template = operation.partition(" ")
    body = BODIES[operation] if "requestBody" in dict(OPERATIONS)[operation] else None
    for name in re.findall(r"\{(\w+)\}", template):
        for id_ in ids[name]:

            def send(id_: str) -> Answer:
                return as_third_agent(client, method, filled(template, ids, {name: id_}), body)  # noqa: B023  used at once

            check_foreign(client, id_, send)


@pytest.mark.parametrize("operation", sorted(OF_THE_WHOLE_ACCOUNT))
def test_what_is_of_the_whole_account_is_refused_and_says_so(
    operation: str, client: LocalClient, third_agent: str
) -> None:
    method, _, template = operation.partition(" ")
    refused = as_third_agent(client, method, template.format(name="hours", phone_number="+12025550101"), {})
    assert refused.status == 403 and "about the whole account" in refused.json["message"]


def test_every_route_is_of_agents_or_of_the_whole_account(client: LocalClient, third_agent: str) -> None:
    """A new route is refused until it is known to show only one agent's data."""
    with_a_key = {operation["operationId"]: name for name, operation in OPERATIONS if "x-required-scope" in operation}
    assert {with_a_key[one] for one in with_a_key.keys() - scopes._OF_AGENTS.keys()} == OF_THE_WHOLE_ACCOUNT
    assert scopes._OF_AGENTS.keys() <= with_a_key.keys()


@pytest.mark.parametrize("operation", [operation for operation in WITH_AN_ID if operation.startswith("GET")])
def test_a_key_for_an_agent_gets_its_records(operation: str, client: LocalClient, ids: dict[str, list[str]]) -> None:
    rights, api_key = KeyRights(agents=tuple(ids["agent_id"])), "the-key-for-both-agents"
    if store(client).caller_of_key(account_keys.hash_of(api_key)) is None:
        account_keys.create_key(
            "local", "k", api_key=api_key, key_id="both", accounts=store(client), now=NOON, rights=rights
        )
    path = filled(operation.partition(" ")[2], ids)
    answer = client.api("GET", path, Authorization=f"Bearer {api_key}")
    assert (answer.status, answer.body) == (200, client.api("GET", path).body)


def test_lists_contain_nothing_of_another_agent(
    client: LocalClient, ids: dict[str, list[str]], third_agent: str
) -> None:
    assert client.api("POST", "/suppressions", {"phone_number": "+12025550188"}).status == 200
    lists = ["/v2/agent/all", "/phone-numbers/all", "/webhooks/undelivered", "/attention", "/keys", "/user/me", "/now"]
    lists += ["/suppressions?agent_id=" + third_agent, "/stats/retries?agent_id=" + third_agent, "/policies/presets"]
    of_path = {name.partition(" ")[2] for name, _ in OPERATIONS if name.startswith("GET ") and "{" not in name}
    refused = {name.partition(" ")[2] for name in OF_THE_WHOLE_ACCOUNT if name.startswith("GET")}
    assert {path.partition("?")[0] for path in lists} == of_path - refused - scopes_public()
    for path in lists:
        shown = as_third_agent(client, "GET", path)
        assert shown.status == 200
        assert not [id_ for of_field in ids.values() for id_ in of_field if id_ in shown.body.decode()], path
    assert [agent["id"] for agent in as_third_agent(client, "GET", "/v2/agent/all").json] == [third_agent]
    assert as_third_agent(client, "GET", "/user/me").json["concurrency"]["max"] == 10
    for path in ("/attention", "/webhooks/undelivered"):
        assert client.api("GET", path).json["data"] != [] == as_third_agent(client, "GET", path).json["data"]
    assert as_third_agent(client, "GET", f"/suppressions?agent_id={third_agent}").json == []
    now, all_of_it = as_third_agent(client, "GET", "/now").json, client.api("GET", "/now").json
    assert [one["agent_id"] for one in now["lines"]["agents"]] == [third_agent]
    assert (now["undelivered"], now["attention"], now["due"]["complete"]) == (0, 0, True)
    assert all_of_it["undelivered"] > 0 and all_of_it["attention"] > 0
    client.advance(0)
    assert client.api("DELETE", f"/suppressions?{urlencode({'phone_number': '+12025550188'})}").json["deleted"] == 1


def scopes_public() -> set[str]:
    """Paths of GET routes that need no key."""
    return {name.partition(" ")[2] for name, operation in OPERATIONS if "x-required-scope" not in operation}


def test_statistics_and_suppressions_name_an_agent(
    client: LocalClient, ids: dict[str, list[str]], third_agent: str
) -> None:
    number = urlencode({"phone_number": "+12025550177"})
    for method, path in (("GET", "/stats/retries"), ("GET", "/suppressions"), ("DELETE", f"/suppressions?{number}")):
        refused = as_third_agent(client, method, path)
        assert refused.status == 403 and "agent_id" in refused.json["message"]
        for id_ in ids["agent_id"]:
            mark = "&" if "?" in path else "?"
            check_foreign(client, id_, lambda id_: as_third_agent(client, method, f"{path}{mark}agent_id={id_}"))  # noqa: B023  used at once
    for batch_id in ids["batch_id"]:
        check_foreign(client, batch_id, lambda id_: as_third_agent(client, "GET", f"/stats/retries?batch_id={id_}"))
    body = {"phone_number": "+12025550177"}
    client.advance(0)
    before = stored(client)
    refused = as_third_agent(client, "POST", "/suppressions", body)
    assert refused.status == 403 and "agent_id" in refused.json["message"]
    assert stored(client) == before
    assert as_third_agent(client, "POST", "/suppressions", body | {"agent_id": third_agent}).status == 200
    listed = as_third_agent(client, "GET", f"/suppressions?agent_id={third_agent}&{number}").json
    assert [rule["agent_id"] for rule in listed] == [third_agent]
    assert as_third_agent(client, "DELETE", f"/suppressions?{number}&agent_id={third_agent}").json["deleted"] == 1


def test_another_agents_id_in_a_body_is_unknown(
    client: LocalClient, ids: dict[str, list[str]], third_agent: str
) -> None:
    call = {"recipient_phone_number": "+12025550101"}
    form = {"upload_id": ids["upload_id"][0], "start": "now"}
    own = client.call("+12025550166", agent_id=third_agent, scheduled_at=LATER)
    for path, body in (
        ("/call", call),
        ("/call/plan", call),
        ("/batches", form),
        ("/suppressions", {"phone_number": "+12025550101"}),
        ("/webhooks/test", {}),
        (f"/executions/{own}/suppress", {}),
    ):
        for id_ in ids["agent_id"]:
            check_foreign(client, id_, lambda id_: as_third_agent(client, "POST", path, {**body, "agent_id": id_}))  # noqa: B023  used at once
    assert as_third_agent(client, "POST", f"/executions/{own}/suppress", {}).status == 403, "for the whole account"
    for batch_id in ids["batch_id"]:
        path = f"/v2/agent/{third_agent}/executions?batch_id={batch_id}"
        assert as_third_agent(client, "GET", path).json["data"] == []


def test_a_key_for_an_agent_calls_and_changes_it(client: LocalClient, third_agent: str) -> None:
    call = {"agent_id": third_agent, "recipient_phone_number": "+12025550155", "scheduled_at": LATER}
    execution_id = as_third_agent(client, "POST", "/call", call).json["execution_id"]
    assert as_third_agent(client, "GET", f"/executions/{execution_id}").json["status"] == "scheduled"
    change = {"agent_config": {"ring_timeout_seconds": 25}}
    assert as_third_agent(client, "PATCH", f"/v2/agent/{third_agent}", change).status == 200
    assert client.api("GET", f"/v2/agent/{third_agent}").json["agent_config"]["ring_timeout_seconds"] == 25
    assert execution_id in as_third_agent(client, "POST", f"/v2/agent/{third_agent}/stop").json["stopped_executions"]


# ---- another account ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [operation for operation in WITH_AN_ID if operation.startswith("GET")])
def test_the_owner_gets_the_record(operation: str, client: LocalClient, ids: dict[str, list[str]]) -> None:
    """Otherwise the test above would prove little."""
    assert client.api("GET", filled(operation.partition(" ")[2], ids)).status == 200


def test_another_accounts_contact_is_not_erased(client: LocalClient, ids: dict[str, list[str]]) -> None:
    number = client.execution(ids["execution_id"][0])["user_number"]
    client.advance(0)
    before = stored(client)
    answer = as_other(client, "DELETE", f"/contacts/{number}")
    assert (answer.status, answer.json["erased"]) == (200, {"executions": 0, "files": 0, "consents": 0})
    client.advance(0)
    assert stored(client) == before


def test_a_call_of_another_agent_is_unknown_under_this_one(client: LocalClient, ids: dict[str, list[str]]) -> None:
    mine, elsewhere = ids["agent_id"]
    execution_id = ids["execution_id"][0]
    assert client.api("GET", f"/agent/{mine}/execution/{execution_id}").json == client.execution(execution_id)
    for agent_id in (elsewhere, UNKNOWN_UUID, "not-an-id"):
        answer = client.api("GET", f"/agent/{agent_id}/execution/{execution_id}")
        assert (answer.status, set(answer.json)) == (404, {"error", "message", "detail"})


def test_every_id_field_is_covered() -> None:
    fields = {
        (name, field["name"])
        for name, operation in OPERATIONS
        for field in operation.get("parameters", ())
        if field["in"] != "path" and field["name"].endswith("id")
    }
    for name, operation in OPERATIONS:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            fields |= {(name, field) for field in _fields(content["schema"]) if field.endswith("_id")}
    assert fields == {
        ("POST /call", "agent_id"),
        ("POST /call/plan", "agent_id"),
        ("GET /numbers/{phone_number}", "agent_id"),
        ("POST /webhooks/test", "agent_id"),
        ("POST /batches", "agent_id"),
        ("POST /batches", "upload_id"),
        ("POST /suppressions", "agent_id"),
        ("GET /suppressions", "agent_id"),
        ("DELETE /suppressions", "agent_id"),
        ("POST /executions/{execution_id}/suppress", "agent_id"),
        ("GET /agent/{agent_id}/executions", "batch_id"),
        ("GET /v2/agent/{agent_id}/executions", "batch_id"),
        ("GET /stats/retries", "agent_id"),
        ("GET /stats/retries", "batch_id"),
    }


def _fields(schema: Any) -> set[str]:
    """The names of all fields in a schema, nested ones included."""
    if isinstance(schema, list):
        return set().union(*(_fields(one) for one in schema))
    if not isinstance(schema, dict):
        return set()
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = _fields(openapi()["components"]["schemas"][name]) if name else set()
    return found | set(schema.get("properties", ())) | _fields(list(schema.values()))


def test_another_accounts_agent_creates_no_call(client: LocalClient, ids: dict[str, list[str]]) -> None:
    for id_ in ids["agent_id"]:
        check_foreign(
            client,
            id_,
            lambda id_: as_other(client, "POST", "/call", {"agent_id": id_, "recipient_phone_number": "+12025550101"}),
        )


def test_another_accounts_agent_is_not_planned_for(client: LocalClient, ids: dict[str, list[str]]) -> None:
    number = "+12025550101"
    for id_ in ids["agent_id"]:
        call = {"recipient_phone_number": number}
        check_foreign(client, id_, lambda id_: as_other(client, "POST", "/call/plan", call | {"agent_id": id_}))  # noqa: B023  used at once
        check_foreign(client, id_, lambda id_: as_other(client, "GET", f"/numbers/{number}?agent_id={id_}"))


def test_another_accounts_webhook_is_not_tested(client: LocalClient, ids: dict[str, list[str]]) -> None:
    for id_ in ids["agent_id"]:
        check_foreign(client, id_, lambda id_: as_other(client, "POST", "/webhooks/test", {"agent_id": id_}))


def test_what_is_known_about_a_number_is_the_accounts_own(client: LocalClient, ids: dict[str, list[str]]) -> None:
    number = client.execution(ids["execution_id"][1])["user_number"]
    assert client.api("POST", "/suppressions", {"phone_number": number, "reason": "mine"}).status == 200
    assert "mine" in client.api("GET", f"/numbers/{number}").body.decode()
    theirs = as_other(client, "GET", f"/numbers/{number}")
    assert theirs.status == 200 and "mine" not in theirs.body.decode()
    assert client.api("DELETE", f"/suppressions?{urlencode({'phone_number': number})}").json["deleted"] == 1


def test_another_accounts_agent_and_suppressions_are_unknown(client: LocalClient, ids: dict[str, list[str]]) -> None:
    number = "+12025550155"
    for path, more in (("/suppressions", {}), ("/consents", {"given_at": "2026-01-01T00:00:00Z"})):
        (rule,) = client.api("POST", path, {"phone_number": number, **more}).json[path[1:]]
        assert as_other(client, "DELETE", f"{path}?{urlencode({'phone_number': number})}").json["deleted"] == 0
        assert client.api("GET", path).json == [rule]
    for id_ in ids["agent_id"]:
        body = {"phone_number": number, "agent_id": id_}
        check_foreign(client, id_, lambda id_: as_other(client, "POST", "/suppressions", body | {"agent_id": id_}))  # noqa: B023  used at once
        assert as_other(client, "GET", f"/suppressions?agent_id={id_}").json == []
    for path in ("/suppressions", "/consents"):
        assert client.api("DELETE", f"{path}?{urlencode({'phone_number': number})}").json["deleted"] == 1


def test_another_accounts_policy_is_unknown(client: LocalClient) -> None:
    assert client.api("PUT", "/policies/theirs", {"purpose": "secret"}).status == 201
    path = "/policies/theirs"
    for version in ("", "?version=1"):
        assert as_other(client, "GET", path + version).status == 404
        assert client.api("GET", path + version).json["purpose"] == "secret"
    made = as_other(client, "POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}).json["agent_id"]
    for label in ("theirs", "theirs@1"):
        body = {"agent_id": made, "recipient_phone_number": "+12025550101", "policy": label}
        for answer in (
            as_other(client, "POST", "/call", body),
            as_other(client, "PATCH", "/user/me", {"policy": label}),
            as_other(client, "PATCH", f"/v2/agent/{made}", {"agent_config": {"policy": label}}),
        ):
            assert answer.status == 400 and "there is no policy theirs" in answer.json["message"]
    assert as_other(client, "PUT", path, {"purpose": "own"}).status == 201, "a name is the account's own"
    assert client.api("GET", path).json["purpose"] == "secret"
    assert [one["policy"] for one in as_other(client, "GET", "/policies").json] == ["theirs@1"]


def test_another_accounts_agent_creates_no_batch(client: LocalClient, ids: dict[str, list[str]]) -> None:
    for id_ in ids["agent_id"]:
        check_foreign(
            client,
            id_,
            lambda id_: as_other(
                client,
                "POST",
                "/batches",
                multipart([("agent_id", id_), ("start", "now")], CONTACTS),
                Content_Type=CONTENT_TYPE,
            ),
        )


def test_another_accounts_file_creates_no_batch(client: LocalClient, ids: dict[str, list[str]]) -> None:
    config = {"agent_name": "a", "answer_url": "https://voice.example.com/", "from_phone_numbers": ["+12025550100"]}
    made = as_other(client, "POST", "/v2/agent", {"agent_config": config})
    body = {"agent_id": made.json["agent_id"], "start": "now"}
    for id_ in ids["upload_id"]:
        check_foreign(client, id_, lambda id_: as_other(client, "POST", "/batches", body | {"upload_id": id_}))
    assert client.api("POST", "/batches", body | {"upload_id": ids["upload_id"][0]}).status == 404, "not their agent"
    mine = {"agent_id": client.stack.agent_id, "upload_id": ids["upload_id"][0]}
    assert client.api("POST", "/batches", mine).status == 201


@pytest.mark.parametrize("name", ["agent_id", "batch_id"])
def test_another_accounts_statistics_are_unknown(client: LocalClient, ids: dict[str, list[str]], name: str) -> None:
    for id_ in ids[name]:
        check_foreign(client, id_, lambda id_: as_other(client, "GET", f"/stats/retries?{name}={id_}"))


def test_another_accounts_batch_as_a_filter_finds_nothing(client: LocalClient, ids: dict[str, list[str]]) -> None:
    made = as_other(client, "POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}).json["agent_id"]
    for id_ in (*ids["batch_id"], UNKNOWN_HEX):
        answer = as_other(client, "GET", f"/v2/agent/{made}/executions?batch_id={id_}")
        assert (answer.status, answer.json["data"], answer.json["total"]) == (200, [], 0)
        assert as_other(client, "GET", f"/agent/{made}/executions?batch_id={id_}").json == []
    mine = client.api("GET", f"/v2/agent/{client.stack.agent_id}/executions?batch_id={ids['batch_id'][0]}")
    assert mine.json["total"] == 2


def test_another_accounts_calls_to_a_number_are_not_found(client: LocalClient, ids: dict[str, list[str]]) -> None:
    mine = client.api("GET", f"/agent/{client.stack.agent_id}/executions").json
    made = as_other(client, "POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}).json["agent_id"]
    for number in {one["user_number"] for one in mine}:
        found = client.api("GET", f"/agent/{client.stack.agent_id}/executions?user_number={quote(number)}").json
        assert found == [one for one in mine if one["user_number"] == number]
        assert as_other(client, "GET", f"/agent/{made}/executions?user_number={quote(number)}").json == []


def test_a_place_in_another_accounts_listing_leads_to_nothing_of_it(
    client: LocalClient, ids: dict[str, list[str]]
) -> None:
    made = as_other(client, "POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}).json["agent_id"]
    link = client.api("GET", f"/agent/{client.stack.agent_id}/executions?page_size=1").headers["link"]
    query = link.partition("?")[2].partition(">")[0]
    assert as_other(client, "GET", f"/agent/{made}/executions?{query}").json == []


def test_lists_contain_nothing_of_another_account(client: LocalClient, ids: dict[str, list[str]]) -> None:
    lists = {name.partition(" ")[2] for name, _ in OPERATIONS if name.startswith("GET ") and "{" not in name}
    public = {"/", "/favicon.ico", "/health", "/docs", "/openapi.json", "/llms.txt"}
    without_ids = {
        "/user/me",
        "/suppressions",
        "/consents",
        "/attention",
        "/doctor",
        "/stats/retries",
        "/policies",
        "/policies/presets",
    }
    named = {"/v2/agent/all", "/phone-numbers/all", "/webhooks/undelivered", "/now", "/keys", "/audit", "/audit.csv"}
    assert lists - public == named | without_ids
    for path in lists - public:
        mine, theirs = client.api("GET", path).body.decode(), as_other(client, "GET", path).body.decode()
        shown = {id_ for of_field in ids.values() for id_ in of_field if id_ in mine}
        assert shown or path in without_ids
        assert not [id_ for id_ in shown if id_ in theirs]


def test_a_key_revoked_between_two_requests_is_refused_at_once(
    client: LocalClient,
) -> None:
    """This uses the local stack, with a warm function. `test_api_errors` tests the function by itself."""
    for key_id, key in (("k1", "short-lived-key"), ("k2", "its-neighbour")):
        account_keys.create_key("other", "t", api_key=key, key_id=key_id, accounts=store(client), now=NOON)
    address = urlsplit(client.stack.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=60)

    def status(key: str) -> int:
        connection.request("GET", "/user/me", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    try:
        assert [status("short-lived-key"), status("its-neighbour")] == [200, 200]
        assert store(client).revoke_key("other", "k1", NOON)
        assert [status("short-lived-key"), status("its-neighbour"), status(OTHER_KEY)] == [401, 200, 200]
    finally:
        connection.close()
