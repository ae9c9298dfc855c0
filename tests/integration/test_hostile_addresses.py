"""Private addresses in every URL field, and the connections made when they are used.

`tests/unit/test_address_guard.py` tests every special address and spelling against the guard alone. Here the fields
come from the OpenAPI document, so a new URL field fails until it is covered.
"""

import ipaddress
import json
import socket
from typing import Any
from unittest import mock

import pytest

from redial.adapters import address_guard
from redial.adapters.webhooks import HttpWebhooks
from redial.runtime.services import services_of
from tests.support.api import Api, openapi
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.samples import NUMBER

INSIDE = [
    "https://127.0.0.1/", "https://127.0.0.1:8443/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/",
    "https://017700000001/", "https://0177.0.0.1/", "https://127.1/", "https://0/", "https://0.0.0.0/",
    "https://169.254.169.254/latest/meta-data/", "https://169.254.169.254./", "https://2852039166/",
    "https://0xa9fea9fe/", "https://0251.0376.0251.0376/", "https://0xa9.254.0251.254/", "https://169.254.43518/",
    "https://①⑥⑨.②⑤④.①⑥⑨.②⑤④/", "https://169。254。169。254/", "https://１６９.２５４.１６９.２５４/",
    "https://169.254.170.2/v2/credentials", "https://100.100.100.200/", "https://10.0.0.1/", "https://172.31.0.1/",
    "https://192.168.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://[::1]/", "https://[::]/",
    "https://[::1]:443/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://[::169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b::169.254.169.254]/", "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:a9fe:a9fe::]/", "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://[::1%25lo]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://localhost/", "https://LOCALHOST./",
    "https://ｌｏｃａｌｈｏｓｔ/", "https://a.localhost/", "https://private.example/", "https://127.0.0.1.nip.example/",
    "https://one-of-two.example/", "https://mapped.example/", "https://user@127.0.0.1/", "https://u:p@10.0.0.1/",
    "https://example.com@169.254.169.254/", "https://example.com:443@169.254.169.254/",
    "https://169.254.169.254#@example.com/", "https://169.254.169.254?@example.com/",
    "https://example.com\\@169.254.169.254/", "https://%31%32%37.0.0.1/", "https://127.0.0.1%00.example.com/",
    "https://127.0.0.1\t.example.com/", "https://exa\r\nmple.com/", "https:///169.254.169.254/", "https:127.0.0.1",
    "//169.254.169.254/", "http://169.254.169.254/", "http://example.com/", "ftp://example.com/", "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO", "data:text/html,x", "javascript:alert(1)", "https://", "",
    "https://example.com:0/", "https://example.com:99999/", "https://" + "a" * 3000 + ".example/", "https://\ud800.example/",
]  # fmt: skip
NAMES = {
    "private.example": ["10.1.2.3"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "one-of-two.example": ["93.184.216.34", "169.254.169.254"],
    "mapped.example": ["::ffff:169.254.169.254"],
}
"""The addresses of these names; every other name is public."""
GOOD = "https://hooks.example.com/in"


def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    try:
        found = [str(ipaddress.ip_address(host))]
    except ValueError:
        found = NAMES.get(host, ["93.184.216.34"])
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


@pytest.fixture
def api(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": resolve})
    return api


def _urls(schema: Any) -> set[str]:
    """The names of fields that end in `_url`, in a schema and the schemas it refers to."""
    if isinstance(schema, list):
        return set().union(*(_urls(one) for one in schema))
    if not isinstance(schema, dict):
        return set()
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = _urls(openapi()["components"]["schemas"][name]) if name else set()
    return found | {one for one in schema.get("properties", ()) if "url" in one.lower()} | _urls(list(schema.values()))


def test_every_url_field_is_covered() -> None:
    fields = {
        (f"{method.upper()} {path}", field)
        for path, operations in openapi()["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for field in _urls(content["schema"])
    }
    of_agents = ("POST /v2/agent", "PUT /v2/agent/{agent_id}", "PATCH /v2/agent/{agent_id}")
    assert fields == {("POST /batches", "webhook_url"), ("POST /webhooks/test", "url")} | {
        (operation, field) for operation in of_agents for field in ("webhook_url", "answer_url", "stream_url", "url")
    } | {("PATCH /user/me", field) for field in ("webhook_url", "answer_url", "stream_url")}


@pytest.mark.parametrize(
    ("method", "field"),
    [
        *(("POST", field) for field in ("webhook_url", "pre_dial_hook.url", "scrub.url")),
        ("PUT", "webhook_url"),
        *(("PATCH", field) for field in ("webhook_url", "pre_dial_hook.url", "scrub.url")),
    ],
)
def test_no_endpoint_of_an_agent_can_be_a_private_address(api: Api, method: str, field: str) -> None:
    agent_id = api.agent(webhook_url=GOOD)
    path = "/v2/agent" if method == "POST" else f"/v2/agent/{agent_id}"
    before = api.send("GET", "/v2/agent/all").json
    name, _, nested = field.partition(".")
    for url in filter(None, INSIDE):  # an empty webhook_url means none
        body = ascii_json({"agent_config": {"agent_name": "a", name: {nested: url} if nested else url}})
        answer = api.send(method, path, body, headers={"Content-Type": "application/json"})
        assert answer.status == 400, (url, answer)
        if "\ud800" not in url:
            assert [error["field"] for error in answer.json["errors"]] == [f"agent_config.{field}"], url
    assert api.send("GET", "/v2/agent/all").json == before


def test_no_test_event_is_sent_to_a_private_address(api: Api) -> None:
    with mock.patch.object(HttpWebhooks, "post") as post:
        for url in INSIDE:
            answer = api.send(
                "POST", "/webhooks/test", ascii_json({"url": url}), headers={"Content-Type": "application/json"}
            )
            assert answer.status == 400, (url, answer)
    assert post.mock_calls == []


def test_a_test_event_goes_to_no_address_that_became_private_after_the_check(api: Api) -> None:
    def resolved_later(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return resolve("private.example", port)

    lookups = mock.Mock(within=mock.Mock(return_value=resolved_later))
    with mock.patch.object(services_of("api").webhooks, "_lookups", lookups):
        answer = api.send("POST", "/webhooks/test", {"url": GOOD})
    assert (answer.status, answer.json["status_code"], answer.json["accepted"]) == (200, None, False)
    assert answer.json["error"] == "address 10.1.2.3 is private: not sent"


def test_an_accounts_webhook_cannot_be_a_private_address(api: Api) -> None:
    before = api.send("GET", "/user/me").json
    for url in filter(None, INSIDE):
        headers = {"Content-Type": "application/json"}
        answer = api.send("PATCH", "/user/me", ascii_json({"webhook_url": url}), headers=headers)
        assert answer.status == 400, (url, answer)
        if "\ud800" not in url:
            assert [error["field"] for error in answer.json["errors"]] == ["webhook_url"], url
    assert api.send("GET", "/user/me").json == before


def test_a_batchs_webhook_cannot_be_a_private_address(api: Api) -> None:
    agent_id = api.agent()
    for url in filter(None, INSIDE):  # an empty form field counts as omitted
        form = multipart([("agent_id", agent_id)], f"contact_number\n{NUMBER}\n")
        field = b'name="agent_id"\r\n\r\n'
        part = f'--{CONTENT_TYPE.partition("=")[2]}\r\nContent-Disposition: form-data; name="webhook_url"\r\n\r\n'
        body = part.encode() + url.encode("utf-8", "surrogatepass") + b"\r\n" + form
        assert field in form
        answer = api.send("POST", "/batches", body, headers={"Content-Type": CONTENT_TYPE}, base64_encoded=True)
        assert answer.status == 400, (url, answer)
        if "\ud800" not in url:
            assert [error["field"] for error in answer.json["errors"]] == ["webhook_url"], url
        urls = {"agent_id": agent_id, "upload_id": "0" * 32, "webhook_url": url}
        assert api.send("POST", "/batches", ascii_json(urls)).status == 400
    assert api.send("GET", f"/batches/{agent_id}/all").json == []


def ascii_json(body: Any) -> bytes:
    """JSON with unpaired surrogates."""
    return json.dumps(body).encode()


@pytest.mark.parametrize("field", ["answer_url", "stream_url"])
def test_carrier_urls_are_validated_but_never_resolved(api: Api, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio fetches the URL from its own network. Redial neither resolves it nor connects to it."""
    scheme = {"answer_url": "https", "stream_url": "wss"}[field]
    monkeypatch.setattr(address_guard, "check", mock.Mock(side_effect=AssertionError))
    monkeypatch.setattr(socket, "getaddrinfo", mock.Mock(side_effect=AssertionError))
    for url in (
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", f"{scheme}://",
        f"{scheme}:///x", f"{scheme}:example.com", "//example.com/", f"{scheme}://exa mple.com/", "",
        f"{scheme}://example.com/\r\nX: y", f"{scheme}://example.com/\x00", f"{scheme}://example.com\\@x/",
        f"{scheme}://example.com:99999/", f"{scheme}://[::1/", f"{scheme}://example.com/{{other}}",
        f"{scheme}://example.com/<x>", f"{scheme}://exämple.com/", f"{scheme}://example.com/" + "x" * 2048,
    ):  # fmt: skip
        answer = api.send("POST", "/v2/agent", {"agent_config": {"agent_name": "a", field: url}})
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, f"agent_config.{field}"), url
    inside = {"agent_config": {"agent_name": "a", field: f"{scheme}://169.254.169.254/"}}
    assert api.send("POST", "/v2/agent", inside).status == 201
