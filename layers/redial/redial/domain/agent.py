"""An agent: how its calls are placed and answered, and where their events are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DEFAULT_MAX_CONCURRENT_CALLS = 10
DEFAULT_RING_TIMEOUT_SECONDS = 30
DEFAULT_MAX_CALL_SECONDS = 3600
DEFAULT_PROVIDER = "twilio"
"""The carrier of agents that name none, and of executions that were stored without one."""


@dataclass(frozen=True)
class Agent:
    """An agent's current configuration and state.

    `config`: the customer's request, unknown keys included, returned as sent. Redial reads only the typed fields.
    `answer_url`, `stream_url`: at most one is set; `{agent_id}` and `{execution_id}` are filled in per attempt.
    `call_start_hour` ≤ hour < `call_end_hour`: calling hours, whole hours of the called number's local time. Equal or
    both None: always open; start > end: over midnight.
    `peak_concurrent_calls`: the highest limit before it was lowered (0: never lowered). Line shards up to that limit
    may still have holders.
    `stopped_before`: the agent was stopped then. Calls created, and batches asked to start, at or before that instant
    are not dialled any more.
    `deleted_at`: deleted for the customer; the item stays so that its live calls can be reported.
    `newer`: see `Execution`.
    """

    agent_id: str
    account_id: str
    name: str
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 0
    webhook_url: str | None = None
    provider: str = DEFAULT_PROVIDER
    from_phone_numbers: tuple[str, ...] = ()
    answer_url: str | None = None
    stream_url: str | None = None
    call_start_hour: int | None = None
    call_end_hour: int | None = None
    max_concurrent_calls: int = DEFAULT_MAX_CONCURRENT_CALLS
    ring_timeout_seconds: int = DEFAULT_RING_TIMEOUT_SECONDS
    max_call_seconds: int = DEFAULT_MAX_CALL_SECONDS
    voicemail_detection: bool = False
    peak_concurrent_calls: int = 0
    stopped_before: datetime | None = None
    deleted_at: datetime | None = None
    newer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Account:
    """A customer.

    `webhook_secrets` sign its webhooks: one, or two during a rotation (newest first). `premium_numbers`: it may call
    premium-rate and shared-cost numbers.
    """

    account_id: str
    name: str
    created_at: datetime
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    premium_numbers: bool = False


@dataclass(frozen=True)
class ApiKey:
    """A key as its owner may see it again: everything but the key."""

    key_id: str
    account_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
