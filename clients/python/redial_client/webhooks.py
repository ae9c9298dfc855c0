"""Verification of webhooks by their Standard Webhooks signature."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from redial_client.models import AttentionEvent, BatchEvent, ExecutionEvent, WebhookTestEvent

__all__ = ["WebhookVerificationError", "verify"]


def verify(
    secret: str, headers: Mapping[str, str], body: bytes
) -> "ExecutionEvent | BatchEvent | AttentionEvent | WebhookTestEvent":
    """Verify a webhook and return its event. `type` is `execution.…`, `batch.…`, `attention.…` or `webhook.test`.

    `secret`: the account's secret, `whsec_…`. `headers`: the request's headers, in any case. `body`: the received
    bytes, before any parsing. Raises `WebhookVerificationError` if the signature is invalid or older than five minutes:
    respond with 400 then. Delivery is at least once: skip a `sequence` that you have processed for this execution.
    """
    event = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    return cast("ExecutionEvent | BatchEvent | AttentionEvent | WebhookTestEvent", event)
