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
    """The event in a webhook. Its `type` says which it is: `execution.…`, `batch.…`, `attention.…` or
    `webhook.test`.

    `secret`: the account's, `whsec_…`. `headers`: those of the request, in any case. `body`: the bytes as they came,
    before any parsing. Raises `WebhookVerificationError` when the signature is not valid or older than five minutes:
    answer 400 then. Delivery is at least once: skip a `sequence` that you have processed for this execution.
    """
    event = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    return cast("ExecutionEvent | BatchEvent | AttentionEvent | WebhookTestEvent", event)
