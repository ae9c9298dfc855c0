"""Errors of the API: they share one body, and unexpected ones reveal nothing."""

import base64
import gzip
import json
import logging
import re
import sys
from typing import Any

import pytest

from functions.api.handler import handler
from local import ROOT
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.api import answers, llms
from redial.api.app import MAX_BODY_BYTES, app
from redial.runtime import system, telemetry
from redial.runtime.services import services_of
from redial.usecases import accounts
from tests.support import gateway
from tests.support.api import API_KEY, OTHER_API_KEY, Api
from tests.support.samples import ACCOUNT_ID, NUMBER, TEN

# ---- authentication -----------------------------------------------------------------------------------------------

ROUTES = [
    ("POST", "/call"),
    ("POST", "/call/1/stop"),
    ("POST", "/v2/agent/1/stop"),
    ("GET", "/executions/1"),
    ("GET", "/executions/1/log"),
    ("POST", "/executions/1/webhooks/replay"),
    ("GET", "/v2/agent/1/executions"),
    ("GET", "/agent/1/executions"),
    ("POST", "/v2/agent"),
    ("GET", "/v2/agent/all"),
    ("GET", "/v2/agent/1"),
    ("PUT", "/v2/agent/1"),
    ("PATCH", "/v2/agent/1"),
    ("DELETE", "/v2/agent/1"),
    ("GET", "/user/me"),
    ("GET", "/phone-numbers/all"),
    ("GET", "/webhooks/undelivered"),
]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/no/such/route"), ("PUT", "/call")])
def test_without_a_key_every_route_answers_401(api: Api, method: str, path: str) -> None:
    answer = api.send(method, path, b"{not json", key=None, query="page_size=wrong")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json["message"]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {API_KEY}",
        API_KEY,
        f"Bearer {API_KEY},Bearer {API_KEY}",
        "Bearer " + "x" * 5000,
        "Bearer clé",
        "Bearer \x00",
    ],
)
def test_a_wrong_key_answers_401(api: Api, authorization: str) -> None:
    answer = api.send("GET", "/user/me", key=None, headers={"Authorization": authorization})
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    for authorization in (f"bearer {API_KEY}", f"BEARER   {API_KEY} "):
        assert api.send("GET", "/user/me", key=None, headers={"Authorization": authorization}).status == 200


def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    store = services_of("api").accounts
    assert api.send("GET", "/user/me").status == 200
    assert store.revoke_key(ACCOUNT_ID, store.keys(ACCOUNT_ID)[0].key_id, TEN)
    assert api.send("GET", "/user/me").status == 401
    assert api.send("GET", "/user/me", key=OTHER_API_KEY).status == 200


# ---- routes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/calls", "/call/x/", "/v2", "/v2//agents", "/v1/agent/all", "/call/a/b/stop", "/batches/%00"]
)
def test_an_unknown_route_answers_404(api: Api, path: str) -> None:
    assert api.send("GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/call", "POST"),
        ("HEAD", "/user/me", "GET, PATCH"),
        ("OPTIONS", "/v2/agent", "POST"),
        ("POST", "/v2/agent/1", "DELETE, GET, PATCH, PUT"),
        ("DELETE", "/health", "GET"),
    ],
)
def test_a_wrong_method_answers_405_and_says_which_are_right(api: Api, method: str, path: str, allowed: str) -> None:
    answer = api.send(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed


# ---- bodies -------------------------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
WITH_BODY = [("POST", "/call"), ("POST", "/v2/agent"), ("PUT", "/v2/agent/1"), ("PATCH", "/v2/agent/1")]


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "must be a JSON object"),
        (b"{", "not valid JSON: expecting property name"),
        (b"{'agent_id': 1}", "not valid JSON"),
        (b'{"a": 1} {"a": 2}', "not valid JSON: extra data"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'[{"agent_id": "a", "recipient_phone_number": "+14155550123"}]', "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"user_data": {"a": NaN}}', "NaN is not a JSON number"),
        (b'{"user_data": {"a": -Infinity}}', "-Infinity is not a JSON number"),
        (b'{"user_data": {"a": 1e999}}', "a number is too large"),
        (b'{"user_data": {"a": ' + b"9" * 5000 + b"}}", "not valid JSON"),
        (b'{"user_data": {"a": "\\ud800"}}', "unpaired surrogate"),
        (b'{"a": ' * 40_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'\xef\xbb\xbf{"a": ', "not valid JSON"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', "not valid JSON"),
    ],
)
def test_a_body_that_is_no_json_object_answers_400(api: Api, method: str, path: str, body: bytes, message: str) -> None:
    answer = api.send(method, path, body, headers=JSON)
    assert answer.status == 400
    assert message in answer.json["message"]


@pytest.mark.parametrize("body", [b'{"name": "Zo\xeb"}', b"\xff\xfe{\x00}\x00"])
def test_a_body_that_is_not_utf8_answers_400(api: Api, body: bytes) -> None:
    answer = api.send("POST", "/call", body, headers=JSON, base64_encoded=True)
    assert answer.status == 400
    assert "UTF-8" in answer.json["message"]


def test_a_body_in_base64_is_read(api: Api) -> None:
    body = json.dumps({"agent_id": api.agent(), "recipient_phone_number": NUMBER, "user_data": {"n": "Zoë"}}).encode()
    assert api.send("POST", "/call", body, headers=JSON, base64_encoded=True).status == 200


def test_invalid_base64_answers_400(api: Api) -> None:
    event = gateway.event("POST", "/call", headers=JSON | {"Authorization": f"Bearer {API_KEY}"}, body=b"{}")
    answer = gateway.answer(handler(event | {"isBase64Encoded": True, "body": "{}"}, gateway.Context()))  # type: ignore[arg-type]
    assert answer.status == 400
    assert "base64" in answer.json["message"]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_has_several_accepted_media_types(api: Api, media_type: str) -> None:
    answer = api.send(
        "POST", "/v2/agent", b'{"agent_config": {"agent_name": "a"}}', headers={"Content-Type": media_type}
    )
    assert answer.status == 201


def test_a_body_without_a_content_type_counts_as_json(api: Api) -> None:
    assert api.send("POST", "/v2/agent", b'{"agent_config": {"agent_name": "a"}}').status == 201


@pytest.mark.parametrize(
    "media_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/json", ""],
)
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_another_content_type_answers_400_and_names_the_header(
    api: Api, method: str, path: str, media_type: str
) -> None:
    answer = api.send(method, path, b'{"agent_config": {"agent_name": "a"}}', headers={"Content-Type": media_type})
    assert answer.status == 400
    assert answer.json["errors"][0]["field"] == "Content-Type"
    assert "application/json" in answer.json["message"]


def test_a_body_above_the_limit_is_refused(api: Api) -> None:
    frame = b'{"agent_id": "", "recipient_phone_number": "%s"}'
    fits = frame % (b"x" * (MAX_BODY_BYTES - len(frame) + 2))
    assert len(fits) == MAX_BODY_BYTES
    refused = api.send("POST", "/call", fits, headers=JSON)
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "recipient_phone_number")
    answer = api.send("POST", "/call", fits + b" ", headers=JSON)
    assert answer.status == 413
    assert str(MAX_BODY_BYTES) in answer.json["message"]
    many_bytes_per_character = json.dumps({"a": "é" * (MAX_BODY_BYTES // 2)}, ensure_ascii=False).encode()
    assert api.send("POST", "/call", many_bytes_per_character, headers=JSON).status == 413


def test_a_route_without_a_body_ignores_one(api: Api) -> None:
    execution_id = api.call(api.agent())
    assert api.send("POST", f"/call/{execution_id}/stop", {"any": "thing"}).status == 200


def test_an_empty_form_body_is_no_body(api: Api) -> None:
    execution_id = api.call(api.agent())
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.send("POST", f"/call/{execution_id}/stop", b"", headers=form).status == 200


# ---- our own failures ---------------------------------------------------------------------------------------------


def fail(*_: Any) -> Any:
    raise RuntimeError("table redial-test is on fire, see arn:aws:dynamodb:us-east-1:123456789012")


def test_an_unexpected_error_answers_500_with_the_request_id_only(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoAgents, "all", fail)
    with caplog.at_level(logging.ERROR):
        answer = api.send("GET", "/v2/agent/all")
    assert answer.status == 500
    assert answer.json["request_id"] == gateway.Context.aws_request_id
    assert gateway.Context.aws_request_id in answer.json["message"]
    assert "fire" not in answer.text
    assert "arn:" not in answer.text
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert isinstance(logged[0].exc_info[1], RuntimeError)


def test_an_unexpected_error_before_the_route_answers_500_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redial.usecases.accounts.hash_of", fail)
    answer = api.send("GET", "/user/me")
    assert answer.status == 500
    assert answer.json["request_id"] == gateway.Context.aws_request_id


def test_a_request_after_an_error_is_answered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(DynamoAgents, "all", fail)
        assert api.send("GET", "/v2/agent/all").status == 500
    assert api.send("GET", "/v2/agent/all", key=OTHER_API_KEY).json == []
    assert app.context == {}


# ---- logs ---------------------------------------------------------------------------------------------------------


def test_each_request_is_logged_once_without_secrets(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_handler = telemetry.logger._logger.handlers[0]
    assert isinstance(stream_handler, logging.StreamHandler)
    monkeypatch.setattr(stream_handler, "stream", sys.stdout)
    agent_id = api.agent()
    capsys.readouterr()
    api.send("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER, "user_data": {"pin": "4711"}})
    api.send("GET", f"/executions/{NUMBER}")
    api.send("POST", "/call", b'{"recipient_phone_number": "' + NUMBER.encode() + b'"', headers=JSON)
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["method"], line["status"]) for line in lines] == [("POST", 200), ("GET", 404), ("POST", 400)]
    assert lines[0]["account_id"] == ACCOUNT_ID
    assert lines[0]["path"] == "/call"
    assert lines[0]["function_request_id"] == gateway.Context.aws_request_id
    assert lines[0]["gateway_request_id"] == "XbQ3ZhR9IAMEPkQ="
    for secret in (NUMBER, API_KEY, "4711", "Bearer"):
        assert secret not in out


# ---- routes without a key -----------------------------------------------------------------------------------------


def test_health_needs_no_key_and_no_services(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "services_of", fail)
    answer = api.send("GET", "/health", key=None)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_what_browsers_ask_for_is_answered_without_a_key(api: Api) -> None:
    index, icon = api.send("GET", "/", key=None), api.send("GET", "/favicon.ico", key=None)
    assert (index.status, index.json["documentation"]) == (200, "/docs")
    assert (icon.status, icon.text) == (204, "")


def test_llms_txt_links_pages_that_there_are(api: Api) -> None:
    answer = api.send("GET", "/llms.txt", key=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    links = re.findall(r"\]\(([^)]+)\)", answer.text)
    assert links[:2] == ["/openapi.json", "/docs"]
    pages = [link.removeprefix(f"{llms.DOCS}/") for link in links[2:]]
    assert pages == list(llms.PAGES)
    assert [page for page in pages if not (ROOT / "docs" / page).is_file()] == []
    assert llms.DOCS.replace("/raw/", "/tree/") in (ROOT / "pyproject.toml").read_text()
    assert [line for line in answer.text.splitlines() if not line.isprintable()] == []


def test_the_docs_pages_link_to_its_document_is_json(api: Api) -> None:
    assert 'updateUrl(currentUrl.pathname + "?format=json")' in api.send("GET", "/docs", key=None).text
    linked = api.send("GET", "/docs", key=None, query="format=json")
    assert linked.headers["content-type"] == "application/json"
    assert linked.json == api.send("GET", "/openapi.json", key=None).json


def test_the_docs_page_is_self_contained(api: Api) -> None:
    answer = api.send("GET", "/docs", key=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html"
    assert "SwaggerUIBundle(" in answer.text
    assert "/v2/agent/{agent_id}/executions" in answer.text
    for loaded in ("<script src", "<link rel='stylesheet'", "@import"):
        assert loaded not in answer.text
    event = gateway.event("GET", "/docs", headers={"Accept-Encoding": "gzip, br"})
    result = handler(event, gateway.Context())  # type: ignore[arg-type]
    assert result["headers"]["Content-Encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(result["body"])).decode() == answer.text
    assert len(json.dumps(result)) < 1_000_000


def test_a_key_created_by_the_command_authenticates(api: Api) -> None:
    api_key = system.new_api_key()
    accounts.create_key(ACCOUNT_ID, "ci", api_key=api_key, key_id="k1", accounts=services_of("api").accounts, now=TEN)
    assert api.send("GET", "/user/me", key=api_key).json["id"] == ACCOUNT_ID
