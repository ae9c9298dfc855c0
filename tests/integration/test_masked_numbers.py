"""Keys that see only masked phone numbers: no answer of any route of the OpenAPI document has a person's number."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.api import openapi
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

PEOPLE = {
    "answered": "+12025550141",
    "refused": "+12025550142",
    "waiting": "+12025550143",
    "of the batch": "+12025550144",
    "in user data": "+442079460145",
}
CALLER_ID = "+12025550149"
LATER = (NOON + timedelta(days=1)).isoformat()
OPERATIONS = [
    (method.upper(), path)
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
    if "x-required-scope" in operation
]
FILES = {"/batches/{batch_id}/results.csv", "/batches/{batch_id}/rejected.csv", "/audit.csv"}
BODIES: dict[str, Any] = {
    "POST /keys": {"name": "k"},
    "POST /call": {"agent_id": "", "recipient_phone_number": "tel:nothing " + PEOPLE["answered"]},
    "PUT /policies/{name}": {"purpose": "news"},
}


def values(client: LocalClient) -> dict[str, str]:
    """Ids for paths, by field name, of records that contain numbers."""
    inbox = client.stack.inbox_url
    assert request("POST", f"{inbox}/_inbox/gone/fail", {"times": 9, "status": 410}).status == 200
    agent_id = client.stack.create_agent(webhook_url=f"{inbox}/gone", from_phone_numbers=[CALLER_ID])
    client.script(PEOPLE["answered"], "completed")
    data = {"second": PEOPLE["in user data"], "as a number": 442079460145, "local": ["(020) 7946-0145"], "age": 43}
    call = {"agent_id": agent_id, "recipient_phone_number": PEOPLE["answered"], "user_data": data}
    execution_id = client.api("POST", "/call", call).json["execution_id"]
    client.script(PEOPLE["refused"], "refused-21210")
    client.call(PEOPLE["refused"], agent_id=agent_id)
    client.call(PEOPLE["waiting"], agent_id=agent_id, scheduled_at=LATER)
    form = multipart([("agent_id", agent_id)], f"contact_number\n{PEOPLE['of the batch']}\n12\n")
    batch_id = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE).json["batch_id"]
    for path, more in (("/suppressions", {}), ("/consents", {"given_at": "2026-01-01T00:00:00Z"})):
        assert client.api("POST", path, {"phone_number": PEOPLE["of the batch"], **more}).status == 200
    client.advance(30)
    (item, *_) = client.api("GET", "/attention").json["data"]
    BODIES["POST /call"]["agent_id"] = agent_id
    return {
        "agent_id": agent_id,
        "execution_id": execution_id,
        "batch_id": batch_id,
        "item_id": item["id"],
        "key_id": "none",
        "name": "news",
        "phone_number": quote(PEOPLE["refused"]),
    }


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[LocalClient, str, dict[str, str]]]:
    """The stack, a key that sees masked numbers, and ids."""
    with local_stack() as client:
        ids = values(client)
        key = client.api("POST", "/keys", {"name": "masked", "numbers": "masked"}).json["api_key"]
        yield client, key, ids


def shown_numbers(text: str) -> list[str]:
    """The people whose numbers are in the text, with or without the country code."""
    digits = "".join(character for character in text if character not in " ()-./")
    return [name for name, number in PEOPLE.items() if number[3:] in digits]


def test_no_answer_of_any_route_has_a_persons_number(local: tuple[LocalClient, str, dict[str, str]]) -> None:
    client, key, ids = local
    in_full = set()
    for method, template in sorted(OPERATIONS, key=lambda one: ("GET", "POST", "PATCH", "PUT", "DELETE").index(one[0])):
        path, body = template.format(**ids), BODIES.get(f"{method} {template}", {})
        if method == "GET":
            in_full |= set(shown_numbers(client.api("GET", path).body.decode()))
        answer = client.api(method, path, None if method == "GET" else body, Authorization=f"Bearer {key}")
        assert answer.status < 500
        assert shown_numbers(answer.body.decode()) == [], f"{method} {template}"
        assert CALLER_ID not in answer.body.decode()
        assert (answer.status == 403) == (template in FILES), f"{method} {template}: {answer}"
        assert answer.json is not None, "valid JSON"
    assert in_full == PEOPLE.keys(), "a key that sees full numbers is shown all of them"


def test_masked_answers_differ_in_their_numbers_only(local: tuple[LocalClient, str, dict[str, str]]) -> None:
    client, key, ids = local
    path = f"/agent/{ids['agent_id']}/executions?user_number={quote(PEOPLE['waiting'])}"
    full, masked = (client.api("GET", path, Authorization=f"Bearer {one}") for one in (client.stack.api_key, key))
    expected = full.body.decode().replace(PEOPLE["waiting"], "+12*******43")
    assert masked.json == json.loads(expected)
    assert len(masked.json) == 1


def test_a_file_is_refused_with_the_reason(local: tuple[LocalClient, str, dict[str, str]]) -> None:
    client, key, _ = local
    form = multipart([("agent_id", client.stack.agent_id)], f"contact_number\n{PEOPLE['of the batch']}\n12\n")
    batch_id = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(1)
    for name in ("results", "rejected"):
        path = f"/batches/{batch_id}/{name}.csv"
        assert client.api("GET", path).status == 200
        refused = client.api("GET", path, Authorization=f"Bearer {key}")
        assert refused.status == 403 and "sees masked phone numbers only" in refused.json["message"]
