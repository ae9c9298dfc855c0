"""Queues of an agent's or an API key's lines: waiting calls, and running batches with one entry each."""

from datetime import datetime, timedelta

from redial.domain.values import dataclass

LINES_CHECK = timedelta(minutes=3)
"""How often the sweeper checks an agent's lines and the front of its queue while lines are held or calls wait."""


MAX_KEY_LINES = 50
"""Maximum lines of an API key: they are one item, written twice by each of its calls."""
_KEY_POOL = "key:"


@dataclass(frozen=True)
class KeyLines:
    """The lines of an API key with a quota of lines. Each of its calls holds one of these, and one of its agent's.

    `pool_id` is stored with its calls and batches, and contains the number of lines, since a key's rights never change.
    """

    account_id: str
    pool_id: str

    @classmethod
    def of(cls, account_id: str, key_id: str, lines: int) -> "KeyLines":
        return cls(account_id, f"{_KEY_POOL}{key_id}:{lines}")

    @classmethod
    def parse(cls, account_id: str, pool_id: str | None) -> "KeyLines | None":
        """The lines with that pool id. None if it is an agent's, or None."""
        return cls(account_id, pool_id) if pool_id is not None and cls.names(pool_id) else None

    @staticmethod
    def names(pool_id: str) -> bool:
        """Whether it is the pool id of a key, not an agent's id."""
        return pool_id.startswith(_KEY_POOL)

    @property
    def lines(self) -> int:
        return int(self.pool_id.rpartition(":")[2])


@dataclass(frozen=True)
class QueuedCall:
    """A waiting call. Due retries (`retry`) come first, then the call that has been ready longest (`ready_at`, UTC)."""

    execution_id: str
    attempt: int
    retry: bool
    ready_at: datetime


@dataclass(frozen=True)
class BatchQueueEntry:
    """A running batch's single queue entry, for all its contacts that are not yet dialled.

    `next_row` is the next contact to dial, `last_row` the last one. `served_at`: when the batch last had its turn.
    `interval` is the minimum time between two starts, and `next_at` the earliest time of the next (both None: no rate
    limit). `delayed_from`: when the first contact of the batch's delayed set is due (None: the set is empty).
    """

    batch_id: str
    agent_id: str
    next_row: int
    last_row: int
    served_at: datetime
    interval: timedelta | None = None
    next_at: datetime | None = None
    delayed_from: datetime | None = None
    paused: bool = False
    first_dials_first: bool = False


@dataclass(frozen=True)
class Queue:
    """The front of an agent's queue: calls, due retries first, then oldest first; and every running batch."""

    calls: list[QueuedCall]
    batches: list[BatchQueueEntry]
