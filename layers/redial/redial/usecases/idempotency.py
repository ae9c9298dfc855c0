"""Idempotency keys: one call or batch per key."""

from collections.abc import Callable
from datetime import datetime

from redial.domain.errors import Conflict
from redial.ports import IdempotentRequest, Services


def id_for(
    services: Services,
    account_id: str,
    idempotency_key: str | None,
    request: IdempotentRequest,
    check: Callable[[], object],
    now: datetime,
    *,
    kind: str,
) -> str:
    """The id for the call or batch to create: that of `request`, or of the first request with the same key.

    `check` raises for an impossible request, before a key is stored for it. The key is stored with the id before the
    call or batch is created. If a request dies between the two, its repetition continues with that id. Of two requests
    at once, one creates it and both return it. `kind` is `call` or `batch`. Raises `Conflict` if the key came with
    another body.
    """
    if idempotency_key is None:
        check()
        return request.execution_id
    first = services.idempotency.find(account_id, idempotency_key, now)
    if first is None:
        check()
        first = services.idempotency.claim(account_id, idempotency_key, request, now)
    if first is None:
        return request.execution_id
    if first.body_hash != request.body_hash:
        raise Conflict(f"this Idempotency-Key was used with another body; use a new key for a new {kind}")
    return first.execution_id
