"""Callback URLs of all carriers: how they are built, and read from an HTTP API event."""

import base64
from typing import Any

import pytest

from redial.carriers import CARRIERS, inbound, limits
from redial.carriers.callback import callback_url, callback_urls, read_callback
from redial.ports import UnreadableCallback

EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"


def test_the_callback_url_names_carrier_execution_and_attempt() -> None:
    made = callback_url("https://x.example/redial/", "twilio", "abc", 3)
    assert made == "https://x.example/redial/callbacks/twilio/abc/3"
    assert callback_url("", "http", "abc", 3) == "/callbacks/http/abc/3"


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("attempt", [1, 9, 10, 99])
@pytest.mark.parametrize("kind", ["", "amd"])
def test_a_callback_is_read_from_its_event_base64_or_not(carrier: str, attempt: int, kind: str) -> None:
    path = callback_url("", carrier, EXECUTION, attempt) + (f"/{kind}" if kind else "")
    event: dict[str, Any] = {"rawPath": path, "headers": {"X-Signature": "s"}, "body": "Zoë", "isBase64Encoded": False}
    encoded = event | {"body": base64.b64encode("Zoë".encode()).decode(), "isBase64Encoded": True}
    for one in (event, encoded):
        callback = read_callback(one, "https://x.example")
        assert callback is not None
        assert (callback.carrier, callback.execution_id, callback.attempt) == (carrier, EXECUTION, attempt)
        assert (callback.kind, callback.body, callback.headers) == (kind, "Zoë".encode(), {"x-signature": "s"})
        assert callback.urls == (f"https://x.example{path}",)


@pytest.mark.parametrize(
    "below",
    [
        "", "twilio", f"twilio/{EXECUTION}", f"twilio/{EXECUTION}/0", f"twilio/{EXECUTION}/100",
        f"vonage/{EXECUTION}/1", f"twilio/{EXECUTION}/1/amd/x", f"twilio/{EXECUTION}/1/", f"twilio.rest/{EXECUTION}/1",
    ],
)  # fmt: skip
def test_other_paths_are_no_callbacks(below: str) -> None:
    assert read_callback({"rawPath": f"/callbacks/{below}", "headers": {}}, "") is None


def test_a_body_that_is_not_base64_is_unreadable() -> None:
    event = {"rawPath": callback_url("", "http", EXECUTION, 1), "headers": {}, "body": "*", "isBase64Encoded": True}
    with pytest.raises(UnreadableCallback):
        read_callback(event, "")


@pytest.mark.parametrize("name", ["vonage", "", "../twilio", "twilio.rest", "secrets"])
def test_only_carriers_are_loaded(name: str) -> None:
    with pytest.raises(KeyError):
        limits(name)
    with pytest.raises(KeyError):
        inbound(name, None)  # type: ignore[arg-type]


def gateway(path: str, *, stage: str = "$default", query: str = "") -> dict[str, Any]:
    context = {"domainName": "id.execute-api.us-east-1.amazonaws.com", "stage": stage}
    return {"rawPath": path, "rawQueryString": query, "requestContext": context}


HOST = "https://id.execute-api.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("event", "public_url", "urls"),
    [
        (gateway("/callbacks/twilio/x/1"), "", [f"{HOST}/callbacks/twilio/x/1"]),
        (gateway("/callbacks/twilio/x/1", query="a=%20b"), "", [f"{HOST}/callbacks/twilio/x/1?a=%20b"]),
        (
            gateway("/prod/callbacks/twilio/x/1/amd", stage="prod"),
            "",
            [f"{HOST}/prod/callbacks/twilio/x/1/amd", f"{HOST}/callbacks/twilio/x/1/amd"],
        ),
        (
            gateway("/callbacks/twilio/x/1"),
            "https://calls.example.com/",
            ["https://calls.example.com/callbacks/twilio/x/1", f"{HOST}/callbacks/twilio/x/1"],
        ),
        (  # a mapping key: the carrier was given /redial, the event holds the stage
            gateway("/prod/callbacks/twilio/x/1", stage="prod"),
            "https://calls.example.com/redial",
            [
                "https://calls.example.com/redial/callbacks/twilio/x/1",
                f"{HOST}/prod/callbacks/twilio/x/1",
                f"{HOST}/callbacks/twilio/x/1",
            ],
        ),
        ({"rawPath": "/callbacks/twilio/x/1"}, "http://127.0.0.1:3000", ["http://127.0.0.1:3000/callbacks/twilio/x/1"]),
        ({}, "", []),
    ],
)
def test_the_urls_a_callback_may_have_been_sent_to(event: dict[str, Any], public_url: str, urls: list[str]) -> None:
    assert callback_urls(event, public_url) == tuple(urls)
