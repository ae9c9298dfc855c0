"""Twilio's credentials: caching, re-reading, and masking."""

import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from redial.carriers.credentials import CredentialsUnavailable
from redial.carriers.secrets import KEPT_SECONDS, PAUSE_SECONDS, SecretCredentials
from redial.carriers.twilio.credentials import TwilioCredentials

Store = SecretCredentials[TwilioCredentials]
ACCOUNT = "AC" + "0" * 32


class SecretsManager:
    """Holds one secret, or the error of reading it; counts the reads."""

    def __init__(self) -> None:
        self.token = "first"
        self.trouble: Exception | None = None
        self.text: str | None = None
        self.reads = 0
        self.made = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803  (boto3's name)
        assert SecretId == "redial/twilio"
        self.reads += 1
        if self.trouble is not None:
            raise self.trouble
        text = json.dumps({"account_sid": ACCOUNT, "auth_token": self.token}) if self.text is None else self.text
        return {"SecretString": text} if text else {"SecretBinary": b"x"}

    def client(self) -> Any:
        self.made += 1
        return self


@pytest.fixture
def manager() -> SecretsManager:
    return SecretsManager()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def store(manager: SecretsManager, clock: list[float]) -> Store:
    return SecretCredentials(manager.client, "redial/twilio", TwilioCredentials.parse, clock=lambda: clock[0])


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "hush"}}, "GetSecretValue")
FIRST, SECOND = TwilioCredentials(ACCOUNT, "first"), TwilioCredentials(ACCOUNT, "second")


def test_the_client_is_created_and_the_secret_read_lazily(store: Store, manager: SecretsManager) -> None:
    assert manager.made == 0
    assert store.get() == store.get() == FIRST
    assert (manager.made, manager.reads) == (1, 1)


def test_a_value_is_kept_for_five_minutes(store: Store, manager: SecretsManager, clock: list[float]) -> None:
    store.get()
    manager.token = "second"
    clock[0] += KEPT_SECONDS - 1
    assert store.get() == FIRST
    clock[0] += 1
    assert store.get() == SECOND
    assert manager.made == 1


def test_the_last_good_value_is_used_while_the_secret_cannot_be_read(
    store: Store, manager: SecretsManager, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    store.get()
    manager.trouble = THROTTLED
    clock[0] += KEPT_SECONDS
    with caplog.at_level(logging.WARNING):
        assert store.get() == store.get() == FIRST
    assert manager.reads == 2, "it is not asked again at once"
    assert "ThrottlingException" in caplog.text
    clock[0] += PAUSE_SECONDS
    manager.trouble, manager.token = None, "second"
    assert store.get() == SECOND


@pytest.mark.parametrize(
    ("trouble", "text", "complaint"),
    [
        (THROTTLED, None, "secret redial/twilio cannot be read: ThrottlingException"),
        (EndpointConnectionError(endpoint_url="https://x"), None, "cannot be read: EndpointConnectionError"),
        (None, "hush", "secret redial/twilio: the Twilio secret is not JSON"),
        (None, "", "secret redial/twilio: the Twilio secret is not JSON"),
        (None, '{"account_sid": "AC1"}', "auth_token of the Twilio secret is missing"),
    ],
)
def test_without_a_cached_value_the_error_has_the_reason(
    store: Store, manager: SecretsManager, trouble: Exception | None, text: str | None, complaint: str
) -> None:
    manager.trouble, manager.text = trouble, text
    with pytest.raises(CredentialsUnavailable, match=complaint) as caught:
        store.get()
    assert "hush" not in str(caught.value)
    manager.trouble, manager.text = None, None
    assert store.get() == FIRST, "and asks again the next time"


def test_a_refused_value_is_read_again_at_once(store: Store, manager: SecretsManager) -> None:
    store.get()
    manager.token = "second"
    assert store.refresh(FIRST)
    assert store.get() == SECOND


def test_a_second_caller_with_the_old_value_gets_the_new_one(
    store: Store, manager: SecretsManager, clock: list[float]
) -> None:
    store.get()
    manager.token = "second"
    assert store.refresh(FIRST)
    clock[0] += PAUSE_SECONDS
    assert store.refresh(FIRST)
    assert manager.reads == 2


def test_forged_callbacks_cause_no_requests_to_aws(store: Store, manager: SecretsManager, clock: list[float]) -> None:
    value = store.get()
    assert [store.refresh(value) for _ in range(100)] == [False] * 100
    assert manager.reads == 2
    clock[0] += PAUSE_SECONDS
    assert not store.refresh(value)
    assert manager.reads == 3


def test_a_refresh_that_fails_changes_nothing(store: Store, manager: SecretsManager) -> None:
    value = store.get()
    manager.trouble = THROTTLED
    assert not store.refresh(value)
    assert store.get() == value


def test_it_shows_no_secret(store: Store) -> None:
    store.get()
    assert repr(store) == "SecretCredentials('redial/twilio')"
    assert "first" not in repr(store.get())
