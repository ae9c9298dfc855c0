"""Requests generated from the OpenAPI document are sent to the local API: every answer is a documented one.

`make test` sends over a thousand requests, `make nightly` three times as many. The following sends 500 random ones to
each operation, and prints the number of requests and the answers of each operation:

    REDIAL_FUZZ_EXAMPLES=500 pytest --hypothesis-profile=nightly tests/integration/test_openapi_fuzzed.py -s
"""

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from schemathesis import Case

from redial.adapters import address_guard
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.api.app import PUBLIC
from redial.domain import phone_number
from redial.runtime import keys
from tests.support import fuzz
from tests.support.api import openapi
from tests.support.examples import examples, step
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, LocalClient, local_stack

pytestmark = pytest.mark.hypothesis

EXAMPLES = int(os.environ.get("REDIAL_FUZZ_EXAMPLES", examples(8)))
OTHER_KEY = "the-other-accounts-key"
CONTACTS = "contact_number,name\n+12025550101,Ann\n+12025550102,Bob\n"
TOMORROW = (NOON + timedelta(days=1)).isoformat()
IN_TWO_MONTHS = (NOON + timedelta(days=60)).isoformat()
HOST = "hooks.example.com"
OPERATIONS = {
    f"{method.upper()} {path}" for path, operations in openapi()["paths"].items() for method in operations
} - {"GET /openapi.json"}
"""All operations except the document itself."""


def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    """Resolve every name to one public address; no name server is needed."""
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = "127.0.0.1" if host == "localhost" else "93.184.216.34"
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalClient]:
    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": resolve})
    with local_stack(log=tmp_path / "log") as client:
        yield client


def batch(client: LocalClient, *fields: tuple[str, str]) -> str:
    form = multipart([("agent_id", client.stack.agent_id), *fields], CONTACTS)
    answer = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


class Completion:
    """Fills in what no schema can express: existing ids, future times, hosts, fields that depend on each other.

    A request that changes a resource gets a new one; requests that only read share theirs.
    """

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self._inbox = f"{client.stack.inbox_url}/tests"
        self._count = 0
        for key in (client.stack.api_key, OTHER_KEY):
            made = client.api("PUT", "/policies/hours", {"purpose": "news"}, Authorization=f"Bearer {key}")
            assert made.status in (201, 401), made
        client.script("+12025550199", "completed")
        self._call_id, self._batch_id = client.call("+12025550199"), batch(client, ("start", "now"))
        client.advance(60)

    def __call__(self, case: Case[Any]) -> None:
        config = case.body.get("retry_config") if isinstance(case.body, dict) else None
        if isinstance(config, dict) and config.get("enabled") is False:
            config["enabled"] = True  # a disabled configuration is not validated
        if isinstance(case.body, dict) and case.body.get("expires_at") == "":
            case.body["expires_at"] = "never"  # an empty text is not a time, which the format cannot express
        if case.meta is None or case.meta.generation.mode.is_positive:
            self._complete(case)

    def _complete(self, case: Case[Any]) -> None:
        for name in [name for name in case.headers or () if name.lower() == "idempotency-key"]:
            self._count += 1  # a repeated key would only repeat or contradict the first request
            case.headers[name] = f"{case.headers[name][:200]}{self._count}"
        for name in [name for name in case.headers or () if name.lower() in ("if-match", "if-none-match")]:
            del case.headers[name]  # a condition that is not met is answered with 412
        chained = case.meta is not None and case.meta.phase.name.value == "stateful"  # uses ids from earlier answers
        if not chained:
            for name in case.path_parameters:
                case.path_parameters[name] = self._id(name, case.operation.label)
        if isinstance(case.body, dict):
            body = _numbers_in_use(_whole_numbers(case.body))
            if "agent_id" in body:  # an agent that can place calls
                body["agent_id"] = self._client.stack.agent_id
            if case.operation.label == "POST /webhooks/test":
                body = {"agent_id": self._client.stack.agent_id} if body.get("url") is None else {"url": self._inbox}
            if body.get("agents"):  # of a key
                body["agents"] = [self._client.stack.agent_id]
            _complete_body(body, case.media_type or "")
            case.body = body
        _complete_query(case.query or {})

    def _attention(self) -> str:
        """An attention item: the carrier refuses calls from one caller id."""
        found = self._client.api("GET", "/attention").json["data"]
        if not found:
            self._count += 1
            number = f"+1415555{self._count:04d}"
            self._client.script(number, "refused-21210")
            # Its own carrier and policy, whatever the account's current defaults are.
            agent_id = self._client.stack.create_agent(telephony_provider="twilio")
            self._client.call(number, agent_id=agent_id, policy="hours@1")
            self._client.advance(1)
            found = self._client.api("GET", "/attention").json["data"]
        return str(found[0]["id"])

    def _id(self, name: str, operation: str) -> str:
        reads = operation.startswith("GET") or operation.endswith("replay")
        if name == "execution_id":
            if reads:
                return self._call_id
            execution_id = self._client.call("+12025550198", scheduled_at=TOMORROW)
            if operation.startswith("DELETE"):  # only a call that is over can be erased
                assert self._client.api("POST", f"/call/{execution_id}/stop").status == 200
            return execution_id
        if name == "item_id":
            return self._attention()
        if name == "key_id":
            return str(self._client.api("POST", "/keys", {"name": "to be revoked"}).json["id"])
        if name == "phone_number":
            return "+12025550197"
        if name == "name":
            self._count += 1
            return "hours" if reads else f"policy-{self._count % 50}"
        if name == "agent_id":
            return self._client.stack.agent_id if reads else self._client.stack.create_agent()
        if reads:
            return self._batch_id
        batch_id = batch(self._client)
        answer = self._client.api("POST", f"/batches/{batch_id}/schedule", {"scheduled_at": TOMORROW})
        assert answer.status == 200, answer
        return batch_id


def _complete_query(query: dict[str, Any]) -> None:
    query |= _numbers_in_use({name: query[name] for name in ("phone_number",) if name in query})
    if query.get("from") is not None and query.get("to") is None and query["from"] > NOON.date().isoformat():
        query["from"] = NOON.date().isoformat()  # `to` is now, then


def _complete_body(body: dict[str, Any], media_type: str) -> None:
    if body.get("scheduled_at") is not None:
        body["scheduled_at"] = _ahead(body["scheduled_at"])
    if body.get("expires_at") is not None:
        body["expires_at"] = _ahead(body["expires_at"])
        if body.get("scheduled_at") is not None:
            body["expires_at"] = IN_TWO_MONTHS
        body.pop("expires_after_minutes", None)
    _complete_rules(body)
    if body.get("given_at") is not None:
        body["given_at"] = "2026-01-01T00:00:00Z"
    _complete_urls(body)
    _complete_guardrails(body)
    if "file" in body and media_type.startswith("multipart/"):
        body["file"] = CONTACTS
        body.pop("upload_id", None)
    if isinstance(body.get("retry_config"), str):
        body["retry_config"] = '{"enabled": true}'
    if isinstance(body.get("agent_config"), dict):
        _complete_agent(body["agent_config"])


def _complete_rules(of: dict[str, Any]) -> None:
    """Set a policy, a preset and a zone that exist, and an expiry that comes after any window."""
    values = {"policy": "hours", "preset": "us-federal", "time_zone": "Europe/Berlin", "expires_after_minutes": 500_000}
    for name, value in values.items():
        if of.get(name):
            of[name] = value
    if isinstance(of.get("consent_required"), list):  # two capital letters that are not a country
        of["consent_required"] = ["FR" if re.fullmatch("[A-Z]{2}", str(one)) else one for one in of["consent_required"]]


def _complete_urls(config: dict[str, Any]) -> None:
    for name in ("webhook_url", "answer_url", "stream_url"):
        if name in config:
            config[name] = _at_a_host(config[name])
    if config.get("answer_url") is not None:
        config["stream_url"] = None
    elif config.get("stream_url") is not None:
        config["answer_url"] = None


def _complete_agent(config: dict[str, Any]) -> None:
    _complete_urls(config)
    _complete_guardrails(config)
    _complete_rules(config)


def _complete_guardrails(of: dict[str, Any]) -> None:
    """Complete both hours, or windows; keep few of these, since a rule's text is limited."""
    rule = of.get("calling_guardrails")
    if isinstance(rule, str):
        of["calling_guardrails"] = '{"call_start_hour": 9, "call_end_hour": 17}'
    if not isinstance(rule, dict):
        return
    rule.pop("holidays", None)  # too long for a call
    for name in ("windows", "excluded_dates"):
        if rule.get(name):
            rule[name] = rule[name][:2]
    if rule.get("windows") is not None:
        rule |= {"call_start_hour": None, "call_end_hour": None}
    elif (rule.get("call_start_hour") is None) != (rule.get("call_end_hour") is None):
        rule |= {"call_start_hour": 9, "call_end_hour": 17}


def _whole_numbers(value: Any) -> Any:
    """Replace 30.0: an integer for JSON Schema, but not for Redial."""
    if isinstance(value, dict):
        return {name: _whole_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _numbers_in_use(value: Any) -> Any:
    """Replace numbers in a valid format that no country has or that are never called."""
    if isinstance(value, dict):
        return {name: _numbers_in_use(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_numbers_in_use(one) for one in value]
    if isinstance(value, str) and phone_number.is_e164(value):
        try:
            kind = phone_number.read_number(value)[1]
        except ValueError:
            return phone_number.EXAMPLE
        return value if kind is phone_number.NumberKind.ORDINARY else phone_number.EXAMPLE
    return value


def _ahead(value: Any) -> str:
    try:
        ahead = NOON + timedelta(hours=2) < datetime.fromisoformat(value) < NOON + timedelta(days=30)
    except (ValueError, TypeError):
        ahead = False
    return str(value) if ahead else TOMORROW


def _at_a_host(url: str | None) -> str | None:
    if url is None:
        return None
    scheme, _, rest = url.partition("://")
    return url if rest.startswith(HOST) else f"{scheme}://{HOST}/{rest}"[:2048]


def second_account(client: LocalClient) -> None:
    keys.ensure_account(
        account_id="other",
        name="Other",
        webhook_secret=keys.new_webhook_secret(),
        api_key=OTHER_KEY,
        accounts=DynamoAccounts(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"]),
        now=NOON,
    )


PUBLIC_OPERATIONS = {f"GET {path}" for path in PUBLIC}
ALL_PHASES: dict[str, Any] = {}
RANDOM_ONLY = {"coverage": {"enabled": False}, "stateful": {"enabled": False}}
REFUSED_BY_CONTRACT = [
    {
        # The contract answers 400, not 409, when a call is over or rings.
        "include-name": "POST /call/{execution_id}/stop",
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "404"]}},
    },
]


def test_every_answer_to_a_request_with_a_key_is_documented(client: LocalClient, tmp_path: Path) -> None:
    """Two accounts take turns; neither sees the other's data."""
    second_account(client)
    accounts = fuzz.two_accounts(tmp_path, {"first": client.stack.api_key, "other": OTHER_KEY})
    campaign = fuzz.run(
        client.stack.url, EXAMPLES, Completion(client), step=step(), auth=accounts, operations=REFUSED_BY_CONTRACT
    )
    print(campaign.summary())
    assert campaign.troubles == []
    assert campaign.findings == [], "\n".join(map(str, campaign.findings[:20]))
    assert campaign.accepted() == campaign.operations() == OPERATIONS
    client.advance(60)
    client.assert_sound()


@pytest.mark.parametrize(
    ("headers", "phases"),
    [
        pytest.param({}, ALL_PHASES, id="no key", marks=pytest.mark.nightly),
        pytest.param({}, RANDOM_ONLY, id="no key, in short"),
        pytest.param({"Authorization": "Bearer no-such-key"}, RANDOM_ONLY, id="a wrong key"),
    ],
)
def test_every_request_without_a_valid_key_is_answered_401(
    client: LocalClient, headers: dict[str, str], phases: dict[str, Any]
) -> None:
    campaign = fuzz.run(client.stack.url, EXAMPLES, step=step(), headers=headers, phases=phases)
    print(campaign.summary())
    assert campaign.troubles == []
    assert campaign.findings == [], "\n".join(map(str, campaign.findings[:20]))
    statuses = {status for operation, status in campaign.answers if operation not in PUBLIC_OPERATIONS}
    assert statuses == {401}
    assert campaign.operations() == OPERATIONS
