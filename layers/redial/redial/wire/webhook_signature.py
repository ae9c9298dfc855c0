"""Standard Webhooks signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

signed text   <webhook-id>.<webhook-timestamp>.<body>
signature     v1,<base64 of HMAC-SHA256>, one per live secret, separated by spaces
secret        whsec_<base64 of 24 to 64 random bytes>
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

PREFIX = "whsec_"
SHORTEST_KEY_BYTES = 24
LONGEST_KEY_BYTES = 64
TOLERANCE = timedelta(minutes=5)
"""Maximum difference between a message's timestamp and the receiver's clock; it prevents replay attacks."""


def sign(secrets: Sequence[str], webhook_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The headers that sign `body` with each of `secrets`. `timestamp`: the sending time, aware, truncated to seconds.

    Raises `ValueError` for a missing or malformed secret, an id that is empty or has a dot, and a naive time.
    """
    if not secrets:
        raise ValueError("there is no webhook secret to sign with")
    if not webhook_id or "." in webhook_id:
        raise ValueError("a webhook id must be non-empty and hold no dot")
    if timestamp.tzinfo is None:
        raise ValueError("the timestamp of a signature needs a time zone")
    seconds = str(int(timestamp.timestamp()))
    signed = b".".join((webhook_id.encode(), seconds.encode(), body))
    signatures = [hmac.digest(key_of(secret), signed, hashlib.sha256) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join("v1," + base64.b64encode(signature).decode() for signature in signatures),
    }


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether these headers (names in lower case) prove that `body` was signed with `secret`, within `TOLERANCE` of
    `now`. Raises `ValueError` for a malformed secret."""
    webhook_id, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = key_of(secret)
    if not webhook_id or not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        return False
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        return False
    signed = b".".join((webhook_id.encode(), seconds.encode(), body))
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    valid = False
    for signature in headers.get("webhook-signature", "").split(" "):
        valid |= hmac.compare_digest(expected, signature.encode())
    return valid


def new_secret(random_bytes: bytes) -> str:
    """The secret that encodes 24 to 64 random bytes (32 is usual). Raises `ValueError` for fewer or more."""
    secret = PREFIX + base64.b64encode(random_bytes).decode()
    key_of(secret)
    return secret


def key_of(secret: str) -> bytes:
    """The HMAC key in a secret. Raises `ValueError` with the reason; the message does not contain the secret."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook secret starts with {PREFIX}")
    try:
        key = base64.b64decode(secret[len(PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {PREFIX} in a webhook secret must be base64 with its padding") from None
    if not SHORTEST_KEY_BYTES <= len(key) <= LONGEST_KEY_BYTES:
        raise ValueError(f"a webhook secret holds {SHORTEST_KEY_BYTES} to {LONGEST_KEY_BYTES} bytes, not {len(key)}")
    return key
