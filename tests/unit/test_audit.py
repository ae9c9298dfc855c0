"""What audit records show about settings: never a secret or a full phone number."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from redial.domain.agent import Account, Agent, Defaults, Endpoint
from redial.domain.audit import LONGEST_TEXT, differences, recorded
from redial.domain.calling_window import CallingRule
from redial.domain.status import Status

TEN = datetime(2026, 1, 26, 10, tzinfo=UTC)
AGENT = Agent("a", "account", "A", {"agent_config": {}}, TEN, TEN)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2.5, 2.5),
        ("to +12025550123", "to +1202*****23"),
        (Status.NO_ANSWER, "no-answer"),
        (("a", ["b"]), ["a", ["b"]]),
        ({"a": TEN}, {"a": "2026-01-26T10:00:00+00:00"}),
        (CallingRule.of_hours(9, 17), str(CallingRule.of_hours(9, 17))),
        ("https://hooks.example.com", "https://hooks.example.com"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443"),
        ("ftp is no https://x.example/y", "ftp is no https://x.example/y"),
    ],
)
def test_plain_values_stay_as_they_are(value: Any, shown: Any) -> None:
    assert recorded(value) == shown


@pytest.mark.parametrize("url", ["https://u:t0p@h.example/", "wss://h.example/t0p", "http://h.example?k=t0p"])
def test_of_a_url_the_host_is_shown(url: str) -> None:
    shown = recorded(url)
    assert shown.startswith(url.partition("//")[0] + "//h.example") and "t0p" not in shown


def test_two_urls_of_one_host_differ() -> None:
    shown = {recorded(f"https://h.example/{path}") for path in ("a", "b")}
    assert len(shown) == 2 and all("sha256" in one for one in shown)


def test_a_long_text_is_cut() -> None:
    shown = recorded("x" * (LONGEST_TEXT + 1))
    assert shown.startswith("x" * LONGEST_TEXT + "… (sha256 ") and len(shown) < LONGEST_TEXT + 30
    assert recorded("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT


def test_the_settings_that_differ_are_recorded() -> None:
    after = replace(
        AGENT,
        name="B",
        scrub=Endpoint("https://h.example/t0p", 5),
        config={"agent_config": {"token": "t0p"}},
        version=3,
        updated_at=TEN.replace(hour=11),
        has_number_rules=True,
    )
    found = differences(AGENT, after)
    assert found.keys() == {"name", "scrub", "config"}
    assert found["name"] == ("A", "B")
    assert found["scrub"][0] is None and found["scrub"][1]["seconds"] == 5
    assert "t0p" not in str(found) and found["config"][0] != found["config"][1]
    assert differences(AGENT, AGENT) == {}


def test_an_accounts_secrets_are_never_recorded() -> None:
    account = Account("account", "A", TEN, ("whsec_1",))
    after = replace(account, webhook_secrets=("whsec_2", "whsec_1"), defaults=Defaults(provider="http"))
    found = differences(account, after)
    assert found.keys() == {"defaults"}
    assert found["defaults"][1]["provider"] == "http"
