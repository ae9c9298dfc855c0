"""What the use cases need from outside, and nothing more. Adapters implement these; tests run the adapters.

Every store read here is strongly consistent unless its docstring says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from redial.domain.agent import Account, Agent
from redial.domain.execution import Execution
from redial.domain.outcome import CallReport, DialResult


class StaleVersion(Exception):
    """The stored item changed since it was read: read it again and decide again."""


class Executions(Protocol):
    """Executions, each one item."""

    def get(self, execution_id: str) -> Execution | None: ...

    def create(self, execution: Execution) -> bool:
        """Store a new execution; False when one with that id is there already."""

    def save(self, execution: Execution) -> Execution:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        """Ids of the agent's executions that are not finished; read from an index that may lag by a moment."""


class Agents(Protocol):
    """Agents, each one item under its account."""

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        """The agent, a deleted one included (`deleted_at`)."""

    def all(self, account_id: str) -> list[Agent]:
        """Every agent of the account that is not deleted, oldest first."""

    def save(self, agent: Agent) -> Agent:
        """Store it over `agent.version` (0: it is new). Raises `StaleVersion`."""


class Accounts(Protocol):
    """Accounts."""

    def get(self, account_id: str) -> Account | None: ...


@dataclass(frozen=True)
class IdempotentRequest:
    """What an Idempotency-Key was first used for."""

    execution_id: str
    body_hash: str


class IdempotencyKeys(Protocol):
    """Idempotency keys of an account; forgotten after 24 hours."""

    def find(self, account_id: str, key: str, now: datetime) -> IdempotentRequest | None:
        """What is stored under the key."""

    def claim(self, account_id: str, key: str, request: IdempotentRequest, now: datetime) -> IdempotentRequest | None:
        """Store `request` under the key, once: None when this call did, else what was stored before."""


@dataclass(frozen=True)
class Waiter:
    """A call waiting for a line. Retries that are due (`retry`) go first, then the one that is ready longest."""

    execution_id: str
    attempt: int
    retry: bool
    ready_at: datetime


class Lines(Protocol):
    """An agent's lines (live calls), in shards of at most 50, and its queue of calls that wait for one.

    Every operation is one conditional write or one read, and safe to repeat. `capacity` is the shard's own.
    """

    def acquire(
        self, account_id: str, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, now: datetime
    ) -> bool:
        """Hold a line of the shard if one is free, or keep the one that this execution holds there.

        One that is kept must fit `capacity` too, which may have been lowered. True also where the execution holds a
        line for a later attempt: then whoever asks is out of date, and finds that out before dialling.
        """

    def release(self, agent_id: str, shard: int, execution_id: str, attempt: int) -> bool:
        """Free the line if this attempt holds it; False when it did not."""

    def hand_over(
        self, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, to: Waiter, now: datetime
    ) -> bool:
        """Free this attempt's line and give it to `to`, in one write. False, and nothing changed, when this attempt
        held none, `to` holds one already, or the shard holds more than `capacity`."""

    def enqueue(self, agent_id: str, waiter: Waiter) -> None: ...

    def dequeue(self, agent_id: str, waiter: Waiter) -> None: ...

    def head(self, agent_id: str) -> Waiter | None:
        """Who is next."""

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        """Who holds the shard's lines: execution id → (attempt, since)."""

    def owner(self, agent_id: str, shard: int) -> str | None:
        """The account whose lines these are; None when none was ever held."""

    def look_again(self, agent_id: str, shard: int, at: datetime) -> None:
        """Have the sweeper look at the shard again at `at`; not at all while nobody holds a line."""


@dataclass(frozen=True)
class Due:
    """Something that should have moved by `due_at`: an execution (`execution_id`), or the lines of an agent."""

    due_at: datetime
    execution_id: str | None = None
    agent_id: str | None = None
    shard: int | None = None


class DueItems(Protocol):
    """What is overdue, from a sparse index that may lag by a moment."""

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        """Everything of one of the index's shards that was due by `now`, oldest first, page by page."""


class Timers(Protocol):
    """One-shot wake-ups. Setting one twice makes one."""

    def wake_dial(self, execution_id: str, attempt: int, number: int, at: datetime, now: datetime) -> None:
        """Invoke dial for that attempt at `at`, not earlier; `number` tells this timer from others of the execution."""

    def wake_deliver(self, execution_id: str, number: int, at: datetime, now: datetime) -> None:
        """Invoke deliver for that execution at `at`, not earlier."""

    def cancel_dial(self, execution_id: str, number: int) -> None:
        """Remove that dial timer; no matter if it fired or never was."""


class Functions(Protocol):
    """The other functions, invoked without waiting. A lost invocation is made good by the sweeper."""

    def dial(self, execution_id: str, attempt: int, line: int | None = None) -> None:
        """`line`: the shard in which the attempt has been given a line."""

    def deliver(self, execution_id: str, lease: str | None) -> None: ...


@dataclass(frozen=True)
class CallRequest:
    """One attempt, as the carrier is asked to place it. Numbers are E.164; `callback_url` names it."""

    execution_id: str
    attempt: int
    to_number: str
    from_number: str
    callback_url: str
    answer_url: str
    ring_timeout_seconds: int
    max_call_seconds: int
    voicemail_detection: bool


class CarrierUnavailable(Exception):
    """The carrier could not be asked, or answered nothing usable: ask again later."""


class NotYetKnown(CarrierUnavailable):
    """The carrier answered, and cannot tell yet whether a call is this attempt's: ask again later."""


class Carrier(Protocol):
    """A telephony carrier's API. The next carrier is one more file under adapters/carriers."""

    def place(self, request: CallRequest) -> DialResult:
        """Ask once for one call, never again by itself. Carrier trouble is a result, not an exception."""

    def ask(self, call_id: str) -> CallReport | None:
        """What became of a call; None when the carrier knows no such call. Raises `CarrierUnavailable`."""

    def find(self, request: CallRequest, since: datetime, known_call_ids: frozenset[str]) -> CallReport | None:
        """The call that this attempt placed, if any: to its number, from its number, created since `since`, not one of
        `known_call_ids`; where several fit, the one whose callback URL is this attempt's.

        Raises `CarrierUnavailable`.
        """


@dataclass(frozen=True)
class DeliveryAnswer:
    """What came of one POST to a webhook: the HTTP status, or None with `error` where none came.

    `retry_after_seconds` is what the endpoint asked for, if anything. `error` is for people, without secrets.
    """

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks(Protocol):
    """POSTs to customers' endpoints, guarded against reaching anything private."""

    def post(self, url: str, body: bytes, webhook_id: str, secrets: tuple[str, ...], now: datetime) -> DeliveryAnswer:
        """Sign (Standard Webhooks, timestamp `now`) and send once: 10 s at most, no redirects. Trouble is an answer."""


class Undelivered(Protocol):
    """Executions of an account with events that were given up. May list one that has none any more; misses none."""

    def add(self, account_id: str, execution_id: str, at: datetime) -> None: ...

    def remove(self, account_id: str, execution_id: str) -> None: ...

    def all(self, account_id: str) -> Iterator[str]:
        """Execution ids, page by page."""
