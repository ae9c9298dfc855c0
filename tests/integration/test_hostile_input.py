"""Hostile requests: each gets a documented error as the contract words it, or is executed completely.

`Api.send` checks every answer against the OpenAPI document. `test_api_errors`, `test_api_agents`, `test_api_calls` and
`test_requests` test single invalid bodies on single routes. Here all routes come from the document, and refused
requests must leave nothing behind. `test_hostile_uploads` tests files of contacts.
"""

import gzip
from typing import Any
from urllib.parse import quote

import pytest

from redial.api.app import MAX_BODY_BYTES
from redial.runtime.services import services_of
from tests.support.api import API_KEY, OTHER_API_KEY, UNKNOWN_ID, Api, openapi
from tests.support.forms import BOUNDARY, CONTENT_TYPE, multipart
from tests.support.samples import NUMBER
from tests.support.table import as_text, every_item

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": CONTENT_TYPE}
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
]
WITH_BODY = [(method, path) for method, path, operation in OPERATIONS if "requestBody" in operation]
WITHOUT_BODY = [(method, path) for method, path, operation in OPERATIONS if "requestBody" not in operation]
WITH_FORM = [
    (method, path)
    for method, path, operation in OPERATIONS
    if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
]
WITH_ID = [(method, path) for method, path, _ in OPERATIONS if "_id}" in path]


def stored() -> list[str]:
    """Every item, without the hour in which the key was used."""
    items = every_item(services_of("api").executions._table.client)
    return sorted(as_text({name: value for name, value in item.items() if name != "last_used_at"}) for item in items)


def filled(path: str) -> str:
    """The path with unused ids."""
    return path.replace("{batch_id}", "0" * 32).replace("{agent_id}", UNKNOWN_ID).replace("{execution_id}", UNKNOWN_ID)


# ---- bodies -------------------------------------------------------------------------------------------------------

NESTED = 100_000
BODIES = {
    "100,000 lists": b"[" * NESTED + b"]" * NESTED,
    "100,000 objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
    "100,000 objects that never end": b'{"a":' * 40_000,
    "too large": b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}',
    "NaN": b'{"agent_id": NaN}',
    "Infinity": b'{"agent_id": 1, "x": Infinity}',
    "a number of 5,000 digits": b'{"x": ' + b"9" * 5000 + b"}",
    "a number past every double": b'{"x": 1e999}',
    "invalid UTF-8": b'{"agent_id": "\xff"}',
    "a surrogate in UTF-8": b'{"agent_id": "\xed\xa0\x80"}',
    "half a character": b'{"agent_id": "\\ud800"}',
    "half a character as a name": b'{"\\udfff": 1}',
    "a null byte": b"\x00",
    "a null byte amid text": b'{"agent_id": "a\x00b"}',
    "UTF-16": '{"agent_id": "a"}'.encode("utf-16"),
    "two values": b"{}{}",
    "no object": b'["agent_id"]',
    "gzip that says nothing": gzip.compress(b"{}"),
    "ZIP": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_an_unreadable_body_is_refused_and_leaves_nothing(api: Api, method: str, path: str) -> None:
    before = stored()
    for name, body in BODIES.items():
        answer = api.send(method, filled(path), body, headers=JSON, base64_encoded=True)
        assert answer.status == (413 if len(body) > MAX_BODY_BYTES else 400), (name, answer)
        assert "sys." not in answer.text
    assert stored() == before
    assert api.invoked == []


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br"])
def test_a_compressed_body_is_refused_without_unpacking(api: Api, method: str, path: str, encoding: str) -> None:
    """Five megabytes of spaces compress to five kilobytes; no client needs compression."""
    body = gzip.compress(b" " * 5_000_000 + b"{}")
    for headers in (JSON, FORM, MULTIPART):
        sent = headers | {"Content-Encoding": encoding}
        answer = api.send(method, filled(path), body, headers=sent, base64_encoded=True)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "Content-Encoding")


@pytest.mark.parametrize(("method", "path"), WITHOUT_BODY)
def test_routes_without_a_body_ignore_any(api: Api, method: str, path: str) -> None:
    api.send(method, filled(path))  # from now on, answers include the first use of the key
    without = api.send(method, filled(path))
    for body in (b"\xff", b"[" * NESTED, b"x" * (MAX_BODY_BYTES + 1), b"\x00"):
        for headers in ({}, JSON, MULTIPART, {"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
            answer = api.send(method, filled(path), body, headers=headers, base64_encoded=True)
            assert (answer.status, answer.text) == (without.status, without.text)


def test_the_last_of_duplicate_names_counts_everywhere(api: Api) -> None:
    agent_id = api.agent()
    body = f'{{"agent_id": "{UNKNOWN_ID}", "agent_id": "{agent_id}", "recipient_phone_number": "0",'
    body += f'"recipient_phone_number": "{NUMBER}", "user_data": {{"a": 1}}, "user_data": {{"b": 2}}}}'
    execution_id = api.send("POST", "/call", body.encode(), headers=JSON).json["execution_id"]
    read = api.send("GET", f"/executions/{execution_id}").json
    assert (read["agent_id"], read["user_number"]) == (agent_id, NUMBER)
    assert read["context_details"]["recipient_data"] == {"b": 2}
    api.send("PATCH", f"/v2/agent/{agent_id}", b'{"x": 1, "x": 2, "agent_config": {"y": 1, "y": 2}}', headers=JSON)
    agent = api.send("GET", f"/v2/agent/{agent_id}").json
    assert (agent["x"], agent["agent_config"]["y"]) == (2, 2)


def test_unusual_valid_input_is_returned_as_sent(api: Api) -> None:
    strange = {
        "": "", "a\x00b": "\x00\x1f\x7f", "__proto__": {"constructor": None}, "$where": "1", "n": 10**4000,
        "f": -1.5e308, "\u202e": "\u2028\ufeff\U0001f4a9", "html": "</script><script>", "crlf": "a\r\nX: y",
        "sql": "' OR 1=1 --",
    }  # fmt: skip
    agent_id = api.agent(strange=strange, agent_name="a\r\nX-Injected: 1")
    assert api.send("GET", f"/v2/agent/{agent_id}").json["agent_config"]["strange"] == strange
    execution_id = api.call(agent_id, user_data=strange)
    assert api.send("GET", f"/executions/{execution_id}").json["context_details"]["recipient_data"] == strange


# ---- forms --------------------------------------------------------------------------------------------------------

PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="agent_id"'.encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()
FORMS = {
    "a million fields": (FORM, b"a=&" * 1_000_000),
    "a field of a megabyte": (FORM, b"scheduled_at=" + b"x" * 1_000_000),
    "thousands of parts": (MULTIPART, multipart([("a", "b")] * 5000)),
    "thousands of files": (MULTIPART, multipart([], "x").replace(END[2:], b"") * 3000 + END),
    "bytes that are no text": (FORM, b"agent_id=%ff"),
    "characters that are not encoded": (FORM, "agent_id=é".encode()),
    "no boundary": ({"Content-Type": "multipart/form-data"}, multipart([("a", "b")])),
    "an empty boundary": ({"Content-Type": "multipart/form-data; boundary="}, multipart([("a", "b")])),
    "a boundary of 5,000 characters": ({"Content-Type": "multipart/form-data; boundary=" + "x" * 5000}, b"x"),
    "a boundary that is not ASCII": ({"Content-Type": "multipart/form-data; boundary=中"}, b"x"),
    "another boundary": ({"Content-Type": "multipart/form-data; boundary=x"}, multipart([("a", "b")])),
    "cut off": (MULTIPART, multipart([("agent_id", "b")], "contact_number")[:-30]),
    "a part without a name": (MULTIPART, PART.replace(b'; name="agent_id"', b"") + b"\r\n\r\nx" + END),
    "a part without a head": (MULTIPART, f"--{BOUNDARY}\r\n\r\nx".encode() + END),
    "a head of a megabyte": (MULTIPART, PART + b"; x=" + b"y" * 1_000_000 + b"\r\n\r\nx" + END),
    "ten thousand heads": (MULTIPART, PART + b"\r\nX: y" * 10_000 + b"\r\n\r\nx" + END),
    "a line end in a file's name": (MULTIPART, multipart([], "x", file_name="a\r\nSet-Cookie: x=y")),
    "a broken transfer encoding": (MULTIPART, PART + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n=!" + END),
    "a value that is no text": (MULTIPART, PART + b"\r\n\r\n\xff\xfe" + END),
    "a name that is no text": (MULTIPART, PART.replace(b"agent_id", b"\xff\xfe") + b"\r\n\r\nx" + END),
}


@pytest.mark.parametrize(("method", "path"), WITH_FORM)
def test_an_unreadable_form_is_refused_and_leaves_nothing(api: Api, method: str, path: str) -> None:
    before = stored()
    for name, (headers, body) in FORMS.items():
        answer = api.send(method, filled(path), body, headers=headers, base64_encoded=True)
        assert answer.status == 400, (name, answer)
    too_large = api.send(method, filled(path), multipart([("a", "x" * 5_000_000)]), headers=MULTIPART)
    assert too_large.status == 413
    assert stored() == before


@pytest.mark.parametrize("field", ["retry_config", "from_phone_numbers"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * NESTED,
        '{"a":' * NESTED,
        '["\\ud800"]',
        '{"retry_on_statuses": ["\\ud800"], "a": "\\udfff"}',
        "[NaN]",
        '{"max_retries": 1e999}',
        "[" + "9" * 5000 + "]",
        '{"enabled": true, "max_retries": "3"}',
        "[[[]]]",
        "\x00",
    ],
)
def test_json_in_a_field_is_parsed_as_strictly_as_a_body(api: Api, field: str, text: str) -> None:
    before = stored()
    form = multipart([("agent_id", api.agent()), (field, text)], f"contact_number\n{NUMBER}\n")
    after_agent = stored()
    answer = api.send("POST", "/batches", form, headers=MULTIPART, base64_encoded=True)
    assert answer.status == 400, answer
    assert answer.json["errors"][0]["field"].split(".")[0] == field
    assert stored() == after_agent != before
    as_json = {"agent_id": UNKNOWN_ID, "upload_id": "0" * 32, field: text}
    assert api.send("POST", "/batches", as_json).status in (400, 404, 413)


# ---- paths --------------------------------------------------------------------------------------------------------

VALID = {"agent_config": {"agent_name": "a"}, "scheduled_at": "2026-01-27T10:00:00Z"}
"""A body accepted by every route with an id in its path."""
STRANGE_IDS = [
    "..", ".", "%2e%2e", "%2e%2e%2f", "..%2f..%2fetc", "%00", "\x00", "a\x00b", "x" * 8000, "-" * 36, "{}", "*",
    "$default", "é", "\U0001f4a9", "\u202e", " ", "\n", "<script>alert(1)</script>", "' OR '1'='1", "null", "undefined",
    "0", "-1", "A#local", "../", "a/../b", "\uff10" * 32, "1e97d64c_db36-45aa-ad9d-191a224296e4",
    "urn:uuid:" + UNKNOWN_ID[:27], "{" + UNKNOWN_ID[1:-1] + "}",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_a_malformed_id_is_unknown(api: Api, method: str, path: str) -> None:
    before = stored()
    name = path.partition("{")[2].partition("}")[0]
    body = VALID if method != "GET" else None
    for strange in STRANGE_IDS:
        for id_ in (strange, quote(strange, safe="")):
            answer = api.send(method, path.replace(f"{{{name}}}", id_), body)
            assert answer.status == 404, (id_, answer)
    assert stored() == before


def test_another_spelling_of_an_id_is_another_id(api: Api) -> None:
    """Upper case is the exception. Digits of other scripts, and dashes in other places, do not name the same agent."""
    agent_id = api.agent()
    digit = next(character for character in agent_id if character in "123456789")
    assert api.send("GET", f"/v2/agent/{agent_id.upper()}").status == 200
    for other in (
        agent_id.replace(digit, chr(ord("\u0660") + int(digit))),
        agent_id.replace(digit, chr(ord("\uff10") + int(digit))),
        agent_id.replace("-", ""),
        f"{agent_id}\n",
        f" {agent_id}",
        f"{agent_id};x",
    ):
        assert api.send("GET", f"/v2/agent/{other}").status == 404, other


@pytest.mark.parametrize(("method", "path", "_"), OPERATIONS)
def test_other_spellings_of_a_path_are_unknown(api: Api, method: str, path: str, _: Any) -> None:
    before = stored()
    named = "{phone_number}" in path or "{name}" in path
    unknown = (400, 404, 405) if named else (404, 405)  # 400: the text in the braces is not a valid number or name
    path = filled(path)
    body = VALID if method != "GET" else None
    for other in (
        f"{path}\n",
        f"{path}%0A",
        f"{path}?x",
        f"/.{path}",
        f"{path}/.",
        f"{path};a=b",
    ):
        answer = api.send(method, other, body)
        assert answer.status in unknown, (other, answer)
    assert stored() == before


def test_a_path_of_its_own_is_no_id(api: Api) -> None:
    for method, path, allowed in (
        ("DELETE", "/v2/agent/all", "GET"), ("PATCH", "/v2/agent/all", "GET"), ("GET", "/batches/uploads", "POST"),
        ("DELETE", "/batches/uploads", "POST"), ("TRACE", "/call", "POST"), ("PROPFIND", "/health", "GET"),
    ):  # fmt: skip
        answer = api.send(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_a_long_path_is_not_repeated_whole(api: Api) -> None:
    for path in ("/" + "x" * 8000, "/executions/" + "x" * 8000, "/batches/" + "x" * 8000 + "/results.csv"):
        assert len(api.send("GET", path).text) < 1000


# ---- queries and headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_number=1e3", "page_number"), ("page_number=" + "9" * 5000, "page_number"), ("page_size=51", "page_size"),
        ("page_number=%00", "page_number"), ("page_number=1%2C2", "page_number"), ("page_number=%D9%A1", "page_number"),
        ("page_number=1&page_number=2", "page_number"), ("status=queued%00", "status"), ("status=QUEUED", "status"),
        ("from=9999-12-31T23:59:59-23:59", "from"), ("to=0001-01-01T00:00:00%2B23:59", "to"), ("from=now", "from"),
        ("batch_id=" + "x" * 101, "batch_id"),
        ("__proto__=1", "__proto__"), ("=&=&&", ""), ("x" * 300 + "=1", "x" * 200), ("%00=1", "\x00"),
        ("Status=busy", "Status"),
    ],
)  # fmt: skip
def test_an_invalid_query_parameter_is_named(api: Api, query: str, field: str) -> None:
    agent_id = api.agent()
    for path in (f"/v2/agent/{agent_id}/executions", f"/agent/{agent_id}/executions"):
        answer = api.send("GET", path, query=query)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("query", ["page_number=" + "9" * 4000, "batch_id=%00", "batch_id=..%2F..", "provider=%00"])
def test_a_query_that_finds_nothing_is_an_empty_page(api: Api, query: str) -> None:
    agent_id = api.agent()
    assert api.send("GET", f"/agent/{agent_id}/executions", query=query).json == []


@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: 1", "a\nb", "\x00", "é", "x" * 256, "x" * 10_000, "\x7f", "中", "\ud800"]
)
def test_request_headers_do_not_leak_into_response_headers(api: Api, value: str) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER}
    answers = [
        api.send("POST", "/call", body, headers={"Idempotency-Key": value}),
        api.send("POST", "/call", body, headers={"Content-Type": value}),
        api.send("GET", "/user/me", key=None, headers={"Authorization": f"Bearer {value}"}),
        api.send("GET", "/user/me", key=None, headers={"Authorization": value}),
        api.send("POST", "/batches", multipart([]), headers={"Content-Type": f"{CONTENT_TYPE}; x={value}"}),
    ]
    assert [answer.status for answer in answers] == [400, 400, 401, 401, 400]
    for answer in answers:
        assert set(answer.headers) <= {"content-type", "www-authenticate"}
        assert "X-Injected" not in " ".join(answer.headers.values())


def test_idempotency_keys_of_accounts_are_separate(api: Api) -> None:
    body = {"agent_id": api.agent(), "recipient_phone_number": NUMBER}
    first = api.send("POST", "/call", body, headers={"Idempotency-Key": "same"})
    assert first.status == 200
    theirs = body | {"agent_id": api.agent(OTHER_API_KEY)}
    for sent, expected in ((body, 404), (theirs, 200)):
        answer = api.send("POST", "/call", sent, key=OTHER_API_KEY, headers={"Idempotency-Key": "same"})
        assert answer.status == expected
        assert first.json["execution_id"] not in answer.text
    assert API_KEY != OTHER_API_KEY
