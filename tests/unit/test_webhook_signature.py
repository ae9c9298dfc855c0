"""Standard Webhooks signatures: header values, rotation, and invalid arguments."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.wire.webhook_signature import PREFIX, key_of, new_secret, sign

KEY = bytes(range(24))
SECRET = new_secret(KEY)
OTHER = new_secret(bytes(32))
AT = datetime(2026, 1, 26, 10, 0, 0, 999_000, tzinfo=UTC)


def test_signs_id_timestamp_and_body_with_hmac_sha256() -> None:
    headers = sign([SECRET], "x-1", AT, b'{"a":1}')
    signature = base64.b64encode(hmac.new(KEY, b'x-1.1769421600.{"a":1}', hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "x-1",
        "webhook-timestamp": "1769421600",
        "webhook-signature": f"v1,{signature}",
    }


def test_signs_with_each_secret_during_a_rotation() -> None:
    both = sign([SECRET, OTHER], "x-1", AT, b"body")["webhook-signature"].split(" ")
    assert both == [sign([secret], "x-1", AT, b"body")["webhook-signature"] for secret in (SECRET, OTHER)]


def test_the_same_instant_in_another_zone_signs_alike() -> None:
    india = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert sign([SECRET], "x-1", india, b"") == sign([SECRET], "x-1", AT, b"")


@pytest.mark.parametrize(
    ("secrets", "webhook_id", "at", "complaint"),
    [
        ([], "x-1", AT, "no webhook secret"),
        ([SECRET], "x.1", AT, "no dot"),
        ([SECRET], "", AT, "non-empty"),
        ([SECRET], "x-1", datetime(2026, 1, 1), "time zone"),
        (["whsec_"], "x-1", AT, "24 to 64 bytes, not 0"),
        (["sk_AAAA"], "x-1", AT, "starts with whsec_"),
        (["whsec_*not base64*"], "x-1", AT, "must be base64"),
        (["whsec_" + "A" * 31], "x-1", AT, "must be base64"),
        (["whsec_é"], "x-1", AT, "must be base64"),
    ],
)
def test_invalid_arguments_are_refused(secrets: list[str], webhook_id: str, at: datetime, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        sign(secrets, webhook_id, at, b"")
    assert "*not base64*" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_secret_has_24_to_64_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        new_secret(bytes(length))


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_its_bytes(key: bytes) -> None:
    assert key_of(new_secret(key)) == key


@given(st.text(max_size=100))
def test_any_other_text_is_refused_with_a_value_error(text: str) -> None:
    try:
        key = key_of("whsec_" + text)
    except ValueError:
        return
    assert new_secret(key) == "whsec_" + text


@given(
    keys=st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3),
    webhook_id=st.text(min_size=1, max_size=50).filter(lambda text: "." not in text and text.isprintable()),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    body=st.binary(max_size=300),
)
def test_a_signature_verifies_with_any_one_secret(
    keys: list[bytes], webhook_id: str, at: datetime, body: bytes
) -> None:
    """By the published scheme: HMAC-SHA256 over the bytes `id.timestamp.body`, one signature per secret."""
    headers = sign([new_secret(key) for key in keys], webhook_id, at.replace(tzinfo=UTC), body)
    assert int(headers["webhook-timestamp"]) == (at - datetime(1970, 1, 1)) // timedelta(seconds=1)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    assert headers["webhook-signature"] == " ".join(f"v1,{one}" for one in expected)


@given(st.text(max_size=60) | st.binary(max_size=80).map(lambda key: PREFIX + base64.b64encode(key).decode()))
def test_a_refused_secret_is_never_shown(secret: str) -> None:
    said = ""
    try:
        assert new_secret(key_of(secret)) == secret
    except ValueError as refused:
        said = str(refused)
    assert len(secret) < 12 or secret.removeprefix(PREFIX) not in said
