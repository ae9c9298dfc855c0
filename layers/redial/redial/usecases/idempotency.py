"""One call, or batch, per Idempotency-Key."""

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
    """The id under which the request is to be carried out: `request`'s own, or that of the first with the same key.

    `check` raises for an impossible request, before a key is stored for it. The key is stored with the id of what is to
    be made before that is made: a request that dies between the two is finished, under that id, by its repetition; of
    two at once, one makes it and both answer it. `kind` is `call` or `batch`. Raises `Conflict` where the key came with
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
