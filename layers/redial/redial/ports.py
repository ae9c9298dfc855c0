"""What the use cases need from outside, and nothing more. Adapters implement these; tests run the adapters.

Every read of a store is strongly consistent unless its docstring says otherwise. `consistent=False` asks for a read
that may be a moment old, at half the price: for callers that go on with a conditional write, or read again before they
give up.
Every operation may be repeated: AWS's clients send a request again when its answer is lost.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from redial.domain.account_event import AccountEvent
from redial.domain.agent import Account, Agent, Defaults, Endpoint
from redial.domain.api_key import ApiKey, Caller
from redial.domain.batch import Batch
from redial.domain.called_number import CalledNumber
from redial.domain.circuit import Circuit
from redial.domain.contact_index import ContactIndex, Rejection
from redial.domain.execution import Execution
from redial.domain.number_rules import NumberRule, OptOut, RuleKind
from redial.domain.outcome import CallReport, DialResult
from redial.domain.policy import Policy
from redial.domain.queue import BatchQueueEntry, Queue, QueuedCall
from redial.domain.row_check import RowCheck
from redial.domain.status import Status
from redial.domain.values import dataclass

if TYPE_CHECKING:  # only dial needs it
    from redial.domain.questions import HookAnswer, ScrubAnswer

T = TypeVar("T")
R = TypeVar("R")


class StaleVersion(Exception):
    """The stored item changed since it was read: read it again and decide again."""


FILTER_LIMIT = 10_000
"""Maximum executions that a filtered listing reads; above it the caller must narrow the dates."""


@dataclass(frozen=True)
class Wanted:
    """Which executions of an agent a listing shows; None: all. Times are those of creation, both included; `voicemail`
    is an execution's own flag; `user_number` is E.164."""

    status: Status | None = None
    batch_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    voicemail: bool | None = None
    provider: str | None = None
    user_number: str | None = None

    @property
    def reads_executions(self) -> bool:
        """Keys do not suffice to find what is wanted."""
        return (self.status, self.voicemail, self.provider, self.user_number) != (None, None, None, None)

    def matches(self, execution: Execution, agent_id: str) -> bool:
        """Whether it is wanted; times are not compared."""
        found = (
            (self.status, execution.state.status),
            (self.batch_id, execution.batch_id),
            (self.voicemail, execution.state.attempt.voicemail),
            (self.provider, execution.provider),
            (self.user_number, execution.user_number),
        )
        return execution.agent_id == agent_id and all(wanted in (None, has) for wanted, has in found)


class Position(NamedTuple):
    """A row of a listing: when it or its batch was created, its id or its batch's, its row in the batch."""

    created_at: datetime
    id: str
    row: int = 0

    def follows(self, other: "Position") -> bool:
        """Whether it comes after `other` where the newest is first; a batch's rows are in their order."""
        if self[:2] == other[:2]:
            return self.row > other.row
        return self[:2] < other[:2]


class Row(NamedTuple):
    """An execution of a listing, as it is shown, and its place."""

    position: Position
    execution: Execution


@dataclass(frozen=True)
class Listing:
    """Executions, the newest first; they are read while `rows` is iterated over.

    `total` counts all that are wanted, wherever the rows begin; None: it is not known yet. `to_count`: the agent's
    calls should be counted, which makes it known, or cheaper.
    """

    total: int | None
    rows: Iterator[Row]
    to_count: bool = False


class Executions(Protocol):
    """Executions, each one item."""

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution | None:
        """The execution; None also where it was erased."""

    def create(self, execution: Execution) -> bool:
        """Store a new execution; False when one with that id is there already."""

    def with_user_data(self, executions: Sequence[Execution]) -> list[Execution]:
        """The executions with their `user_data`, read where it is kept apart; those that were removed meanwhile are
        left out."""

    def save(self, execution: Execution) -> Execution:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        """Ids of the agent's single calls that are not finished; read from an index that may lag by a moment."""

    def create_contacts(self, executions: Sequence[Execution]) -> None:
        """Store new contacts of a batch; those that are there already, whatever has become of them, stay as they
        are."""

    def read(self, ids: Sequence[str]) -> list[Execution]:
        """Those that there are, in the order of `ids`; contacts that were erased included (`erased`)."""

    def remove(self, execution: Execution) -> None:
        """Delete this version. Idempotent. Raises `StaleVersion`."""

    def remove_user_data(self, execution_id: str) -> None:
        """Delete the user data that an execution, which is gone, kept apart. Idempotent."""


class Listings(Protocol):
    """Agents' executions, found by indexes that may lag by a moment."""

    def of_agent(
        self,
        account_id: str,
        agent_id: str,
        batches: Sequence[Batch],
        wanted: Wanted,
        *,
        after: Position | None = None,
        skip: int = 0,
        most: int = 1000,
        kept_from: datetime | None = None,
    ) -> Listing:
        """The rows after `after`, without the first `skip` of them; a batch's contacts are as old as the batch, and in
        the order of its file. Any row takes the same few requests to reach.

        `batches` are the agent's. `most`: how many rows the caller expects to read. `kept_from`: calls created before
        then may have expired; None: none has. Raises `InvalidInput` where a
        filter would have to read too many executions, or `skip` needs a count that is not there yet.
        """

    def called(self, account_id: str, user_number: str) -> Iterator[str]:
        """Ids of the account's executions to that number (E.164), and of some others; contacts of batches included.
        Without those that were stored before there was an index of numbers, and have not changed since."""

    def begin_count(self, agent_id: str, now: datetime, until: datetime) -> bool:
        """Have the counting of the agent's calls for oneself until then; False: another worker has it."""

    def end_count(self, agent_id: str, until: datetime) -> None:
        """Let others count, if the counting is still one's own, which began with that `until`. Idempotent."""

    def count(self, agent_id: str, created_to: datetime, until: datetime, seconds_left: Callable[[], float]) -> bool:
        """Count the agent's calls outside of batches that were created up to then, and keep the counts; False: time was
        up before the end, or the counting, which began with that `until`, is no longer one's own. After `created_to`
        has been counted, no call may be created that is as old."""

    def forget_counts(self, execution: Execution, until: datetime) -> None:
        """Before a call outside of batches is removed: remove the counts that include it. No worker counts its
        agent's calls until then."""


@dataclass(frozen=True)
class Counted:
    """A batch's contacts by status, {status: count} without zeros. `position` names the stream records counted so far;
    each changes it."""

    counts: dict[str, int]
    position: str


class Batches(Protocol):
    """Batches, each one item."""

    def get(self, batch_id: str) -> Batch | None:
        """The batch, a deleted one (`deleted_at`) and a removed one's tombstone included."""

    def create(self, batch: Batch) -> bool:
        """Store a new batch; False when one with that id is there already."""

    def save(self, batch: Batch) -> Batch:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""

    def remove_counts(self, batch_id: str) -> None:
        """Remove the batch's counts, if there are any."""

    def of_agent(self, agent_id: str) -> list[Batch]:
        """The agent's batches that are not deleted, newest first; found by an index that may lag by a moment."""

    def counts(self, batch_id: str) -> dict[str, int]:
        """The batch's contacts by status, {status: count}; statuses without contacts are left out."""

    def counted(self, batch_id: str) -> Counted:
        """The counts, and up to which records of the stream they go."""


class Counts(Protocol):
    """Counts of batches' contacts, kept apart for each shard of the table's stream."""

    def counted_up_to(self, batch_id: str, shard: str) -> str | None:
        """The last record of that shard that is in the batch's counts; None: none is."""

    def count(self, batch_id: str, shard: str, deltas: Mapping[str, int], after: str | None, up_to: str) -> None:
        """Add to the counts, and be counted up to the record `up_to`, in one write.

        Raises `StaleVersion` where the shard was not counted just up to `after`.
        """


CSV_TYPE = "text/csv; charset=utf-8"


class Files(Protocol):
    """Files of batches. A file is stored whole or not at all."""

    def read(self, key: str) -> Iterator[bytes]:
        """Its content in pieces."""

    def size(self, key: str) -> int | None:
        """Its length in bytes; None when there is none."""

    def put(self, key: str, content: bytes, content_type: str = CSV_TYPE) -> None: ...

    def copy(self, source: str, key: str) -> None: ...

    def remove(self, key: str) -> None:
        """Remove the file. Idempotent."""

    def writing(self, key: str) -> AbstractContextManager[Callable[[str], object]]:
        """A function that takes the text piece by piece; the file is stored when the context ends without an error."""

    def upload_url(self, key: str, seconds: int, size: int) -> str:
        """A pre-signed URL to PUT the file to, of exactly `size` bytes, valid for `seconds`."""

    def download_url(self, key: str, seconds: int) -> str:
        """A pre-signed URL to GET the file from, valid for `seconds`."""


class ContactRow(Protocol):
    """A row of a batch's file that is a contact: number `row` of them, from 1."""

    @property
    def row(self) -> int: ...
    @property
    def number(self) -> str: ...
    @property
    def data(self) -> dict[str, str]: ...


class RejectedRow(NamedTuple):
    """A row of a batch's file that is no contact: its line of rejected.csv, and why."""

    text: str
    reason: Rejection


class ContactFiles(Protocol):
    """Reads a batch's file of contacts, each time from its beginning, and writes its results.

    `premium`: premium-rate and shared-cost numbers are accepted. `row_check` also rejects rows. The same bytes,
    `premium` and `row_check` give the same rows.
    """

    def check(self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None) -> None:
        """Read as much of a file as an answer has time for. Raises `InvalidInput` for a file that is no CSV of
        contacts, or has none."""

    def rows(
        self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None
    ) -> AbstractContextManager[tuple[str, Iterator[ContactRow | RejectedRow]]]:
        """Rejected.csv's header, and the rows. Raises `InvalidInput` where the file turns out to be unusable."""

    def results(
        self,
        pieces: Iterable[bytes],
        find: Callable[[list[int]], dict[int, Execution]],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        """The lines of results.csv, the header first; `find` gives the executions of some rows."""

    def numbers(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> frozenset[str]:
        """The numbers (E.164) of some rows, as far as they were not erased."""

    def without_rows(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        """The lines of the file of contacts anew, some rows erased. All rows keep their numbers."""

    def rejected_without(
        self, pieces: Iterable[bytes], contacts: Iterable[bytes], numbers: frozenset[str]
    ) -> Iterator[str]:
        """The lines of rejected.csv anew, rows with one of the numbers (E.164) erased. `contacts`: the file of
        contacts, for its columns."""

    def index_file(self, index: ContactIndex) -> bytes:
        """A contact index as it is stored."""

    def read_index(self, pieces: Iterable[bytes]) -> ContactIndex:
        """The inverse."""

    def read_hashes(self, pieces: Iterable[bytes]) -> Collection[int]:
        """The index's `hashes` alone; of `pieces` no more than these are read."""


class Agents(Protocol):
    """Agents, each one item under its account."""

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        """The agent, a deleted one included (`deleted_at`)."""

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        """The agent, at most 10 seconds old."""

    def all(self, account_id: str, *, deleted_since: datetime | None = None) -> list[Agent]:
        """Every agent of the account that is not deleted, or was not before `deleted_since`, oldest first."""

    def some(self, account_id: str, most: int) -> list[Agent]:
        """The first `most` agents of the account, deleted ones included, in the order of their ids."""

    def save(self, agent: Agent) -> Agent:
        """Store it over `agent.version` (0: it is new). Raises `StaleVersion`."""


class Accounts(Protocol):
    """Accounts and their API keys."""

    def get(self, account_id: str) -> Account | None: ...

    def create(self, account: Account) -> bool:
        """Store a new account; False when it is there already."""

    def replace_secrets(self, account: Account, secrets: tuple[str, ...]) -> bool:
        """Store other webhook secrets over those of `account`; False when they changed since it was read."""

    def allow_premium_numbers(self, account_id: str, allowed: bool) -> bool:
        """Set `Account.premium_numbers`; False when there is no such account."""

    def replace_settings(self, account: Account, changed: Account) -> bool:
        """Store the defaults, the contact limits and the webhook of `changed` over those of `account`; False when they
        changed since it was read."""

    def caller_of_key(self, key_hash: str) -> Caller | None:
        """Whom a live key identifies; None when it is unknown or revoked."""

    def mark_used(self, key_hash: str, hour: datetime) -> None:
        """Store the hour of the key's last request. A process tries it once for each key and hour."""

    def add_key(self, key: ApiKey, key_hash: str) -> None: ...

    def keys(self, account_id: str) -> list[ApiKey]:
        """Every key of the account, revoked ones included, oldest first."""

    def revoke_key(self, account_id: str, key_id: str, now: datetime) -> bool:
        """Revoke it, once and for all; False when the account has no such key."""

    def cached(self, account_id: str) -> Account | None:
        """The account, at most 10 seconds old."""


class CallQuotas(Protocol):
    """How many calls each API key that has a quota had accepted, by day (UTC)."""

    def take(self, key_id: str, day: date, calls: int, most: int) -> bool:
        """Count so many more calls; False, and nothing is counted, where they would be more than `most` that day."""

    def give_back(self, key_id: str, day: date, calls: int) -> None:
        """So many of those that were counted were not made."""


class NumberRules(Protocol):
    """Suppressions, consents and kept verdicts of accounts' numbers. Numbers (E.164) are stored as keyed hashes."""

    def any_kept(self, account_id: str) -> bool:
        """Whether the account has, or ever had, a rule."""

    def make_key(self, account_id: str) -> None:
        """Make the key with which the account's numbers are hashed, if it has none. That is no rule yet."""

    def hasher(self, account_id: str) -> Callable[[str], str] | None:
        """Gives the keyed hash of a number; None: the account has no key."""

    def digests(self, account_id: str, numbers: Sequence[str]) -> list[str]:
        """The keyed hashes of the numbers, of which rules are to be added; the account's key is made if it has none."""

    def of_number(self, account_id: str, number: str) -> tuple[NumberRule, ...]:
        """Every rule of the number."""

    def of_digest(self, account_id: str, digest: str) -> tuple[NumberRule, ...]:
        """The same, by its hash."""

    def add(self, account_id: str, rules: Sequence[NumberRule]) -> None:
        """Store the rules, in place of those with the same kind, digest and scope; these keep when they were added.
        No two of `rules` may be of the same."""

    def keep_verdict(self, account_id: str, number: str, verdict: NumberRule) -> None:
        """Keep a scrub's verdict on the number, whose digest is filled in, in place of the one before; nothing where
        the account has no key."""

    def remove(self, account_id: str, rule: NumberRule) -> None:
        """Remove it. Idempotent."""

    def covering(
        self, account_id: str, agent_id: str, purpose: str | None, at: datetime, first_digit: str
    ) -> dict[RuleKind, set[str]]:
        """By kind, the digests of all numbers that have a rule which covers such a call at that time, as of a moment
        ago; of the digests that begin with that hexadecimal digit."""

    def count(self, account_id: str, kind: RuleKind, scope: str | None = None) -> int:
        """How many rules there are, by an index that may lag by a moment. `scope`: those that name its agent, its
        purpose, or both (`scope_of`); None: all."""

    def listed(
        self, account_id: str, kind: RuleKind, scope: str | None = None, after: Position | None = None
    ) -> Iterator[tuple[Position, NumberRule]]:
        """The rules, the newest first, by an index that may lag by a moment."""


class Policies(Protocol):
    """Accounts' policies. A version never changes; `label`: name and version."""

    def get(self, account_id: str, label: str) -> Policy | None:
        """That version, from memory where this process has read it before."""

    def latest(self, account_id: str, name: str) -> Policy | None:
        """The newest version."""

    def all(self, account_id: str) -> list[Policy]:
        """The newest version of each policy, by name."""

    def add(self, account_id: str, policy: Policy) -> bool:
        """Store a new version. False: another one has its number."""


class Numbers(Protocol):
    """What each account does and did with the numbers that it calls (E.164), stored under keyed hashes only."""

    def get(self, account_id: str, number: str, *, consistent: bool = True) -> CalledNumber:
        """What is stored of it. `consistent=False`: as it was a moment ago, for half the price."""

    def save(self, account_id: str, number: str, called: CalledNumber, now: datetime) -> None:
        """Store it over `called.version`. It is kept for as long as limits can need it. Raises `StaleVersion`."""


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


class Lines(Protocol):
    """An agent's lines (live calls), in shards of at most 50. `capacity` is the shard's own. `agent_id` may be the pool
    of an API key (`KeyLines`), whose lines are one shard."""

    def acquire(
        self, account_id: str, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, now: datetime
    ) -> bool:
        """Acquire a line of the shard, or confirm the one that this execution holds there. False above `capacity`,
        which may have been lowered since.

        True also where the execution holds a line for a later attempt: the caller is out of date, and finds that out
        before it dials.
        """

    def release(
        self, agent_id: str, shard: int, execution_id: str, attempt: int, since: datetime | None = None
    ) -> set[str]:
        """Free the line if this attempt holds it; the execution ids of the shard's holders after that.

        `since`: only if the line was last acquired at that time. An attempt that is not over needs this: another
        invocation may be about to dial it with that line.
        """

    def hand_over(
        self,
        agent_id: str,
        shard: int,
        capacity: int,
        execution_id: str,
        attempt: int,
        to: QueuedCall,
        now: datetime,
        since: datetime | None = None,
    ) -> bool:
        """Give this attempt's line to `to`, in one write. False, and nothing changed, when this attempt held none, `to`
        is of the same execution or holds one already, or the shard holds more than `capacity`. `since` as in
        `release`."""

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        """The holders of the shard's lines: execution id → (attempt, since)."""

    def in_use(self, shards: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """How many lines of each of those shards (agent id, shard) are held; shards without any may be left out. 100
        shards are one request."""

    def owner(self, agent_id: str, shard: int) -> str | None:
        """The account whose lines these are; None if none was ever held."""

    def recheck_at(self, agent_id: str, shard: int, at: datetime, *, queue_empty: bool) -> None:
        """Have the sweeper check the shard again at `at`; not at all while no line is held and the queue is empty."""


class CallQueue(Protocol):
    """An agent's queue of calls that wait for a line: calls, and running batches with one entry each. Or that of an API
    key's pool, which has calls only.

    Where an answer is lost and the write is sent again, `next_contact` and `reserve_start` leave something undone, as
    they say.
    """

    def enqueue(self, agent_id: str, call: QueuedCall) -> bool:
        """Add the call; False where this entry was in the queue already."""

    def dequeue(self, agent_id: str, call: QueuedCall) -> None:
        """Remove the call. Idempotent."""

    def absent(self, calls: Sequence[tuple[str, QueuedCall]]) -> set[str]:
        """Execution ids of those of `calls`, each with its agent's id, that are not in their agent's queue."""

    def front(self, agent_id: str, *, consistent: bool = True) -> Queue:
        """The front of the queue: at least its first call, and all batches unless a due retry waits.
        `consistent=False`: it may be shown empty as it was some seconds ago."""

    def waiting(self, agent_id: str, most: int) -> int:
        """How many calls wait, contacts that running batches have not begun with included. Only the first `most`
        entries are counted, and the read may lag by a moment."""

    def batches(self, agent_id: str) -> list[BatchQueueEntry]:
        """The entries of all running batches of the agent."""

    def join(self, entry: BatchQueueEntry) -> None:
        """Add a batch's entry; where there is one, nothing changes."""

    def leave(self, agent_id: str, batch_id: str) -> None:
        """Remove the batch's entry. Idempotent."""

    def batch_entry(self, agent_id: str, batch_id: str) -> BatchQueueEntry | None:
        """The batch's entry."""

    def pause(self, agent_id: str, batch_id: str, paused: bool) -> None:
        """Pass the batch over, or stop doing so; nothing changes where it is not in the queue."""

    def next_contact(self, entry: BatchQueueEntry, now: datetime) -> tuple[int, datetime | None] | None:
        """Take the batch's next contact: its row, and when it may start where the batch has a rate. None: the race was
        lost, or none is left.

        A lost answer skips a contact: without a rate the one after it is taken too, with a rate None is returned. The
        skipped contact stays not started, and the batch's audit has it dialled.
        """

    def reserve_start(self, entry: BatchQueueEntry, now: datetime) -> datetime | None:
        """Take the batch's next start without taking a contact. None: the race was lost, or the answer, and with it
        that start; the one after it can be taken."""


class DelayedSets(Protocol):
    """Contacts of a batch that wait for a time rather than for a line: calling hours, a pause, the batch's rate."""

    def add(self, agent_id: str, batch_id: str, call: QueuedCall) -> bool:
        """Wait until `call.ready_at`; True where no other entry is due earlier."""

    def pop_due(self, entry: BatchQueueEntry, now: datetime) -> tuple[QueuedCall, datetime | None] | None:
        """The contact overdue longest, and when it may start where the batch has a rate. None: none is due, the race
        was lost, or an answer was. The contact keeps its entry until `remove`, and may be taken again after some
        minutes."""

    def remove(self, batch_id: str, call: QueuedCall) -> None:
        """Remove the entry. Idempotent."""

    def next_due(self, batch_id: str, after: datetime) -> datetime | None:
        """When the first entry that is due later than `after` is due."""

    def due_between(self, batch_id: str, first: datetime, last: datetime, most: int) -> list[datetime]:
        """When the entries are due that are due between these times, both included, the earliest first; at most `most`
        of them, in one request. The read may lag by a moment."""

    def repair(self, agent_id: str, batch_id: str) -> bool:
        """Compare the set's next time with its entries; True if it was missing or too late for one of them, and has
        been corrected."""

    def absent(self, batch_id: str, calls: Sequence[QueuedCall]) -> list[QueuedCall]:
        """Those of `calls` that have no entry."""

    def clear(self, batch_id: str) -> None:
        """Remove every entry: the batch is over."""


@dataclass(frozen=True)
class Due:
    """Something that should have moved by `due_at`: an execution, a batch, an event of an account, or the lines of an
    agent."""

    due_at: datetime
    execution_id: str | None = None
    batch_id: str | None = None
    agent_id: str | None = None
    shard: int | None = None
    event_id: str | None = None


class DueItems(Protocol):
    """What is overdue, from a sparse index that may lag by a moment."""

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        """Everything of one of the index's shards that was due by `now`, oldest first, page by page."""

    def first_due(self, shard: int, until: datetime, most: int) -> list[Due]:
        """What of one of the index's shards is due by then, the earliest first; at most `most` of it, in one request.
        Of all accounts."""

    def queue_checks(self, now: datetime) -> Iterator[Due]:
        """Calls in a queue whose entry was to be checked by `now`: they are in none of the shards of `overdue`."""

    def watched(self) -> Iterator[Due]:
        """Every shard of lines with current or recent holders, due or not."""


class SweepLeases(Protocol):
    """Leases of the sweeper's workers and askers, by name."""

    def held(self, now: datetime) -> set[str]:
        """The names of those that are held."""

    def take(self, name: str, token: str, hop: int, now: datetime, until: datetime) -> bool:
        """Hold the lease until `until`, if it is free or held by an earlier hop of the same `token`."""

    def release(self, name: str, token: str, hop: int) -> None:
        """Free the lease if that hop holds it."""


class Pacer(Protocol):
    """The rate at which each carrier account takes calls: one sequence of starts for all agents and batches."""

    def reserve(self, carrier: str, interval: timedelta, now: datetime) -> datetime:
        """Take the carrier's next start: `now` or later, at least `interval` after the one before. A lost answer wastes
        a start."""

    def hold(self, carrier: str, until: datetime) -> None:
        """Give no start before `until` any more; starts that were taken stay."""


class StatisticsStore(Protocol):
    """Counts of finished attempts by cell (`domain.statistics`), for each day of an account, an agent or a batch, whose
    ids are the scopes."""

    def add(self, scope: str, day: date, cells: Mapping[str, int], shard: str, up_to: str, now: datetime) -> bool:
        """Add to the day's counts what was counted of a stream shard up to its record `up_to`, which sorts as text.
        False, and nothing changed, where that was added before. Raises `StaleVersion` after some lost races."""

    def remove(self, scope: str) -> None:
        """Remove everything counted there. Idempotent."""

    def between(self, scope: str, first: date, last: date) -> dict[date, Mapping[str, int]]:
        """The counts of the days from `first` to `last` that have any. The read may lag by a moment."""


class Circuits(Protocol):
    """Circuits of carrier accounts, caller ids and countries, each one item."""

    def get(self, account_id: str, provider: str) -> Circuit:
        """The circuit of the carrier account; a closed one where nothing was ever stored."""

    def fresh(self, circuit: Circuit) -> Circuit:
        """The same circuit as it is stored now; a closed one where nothing is."""

    def cached(self, account_id: str, provider: str) -> Mapping[str, Circuit]:
        """The carrier's stored circuits by key: some seconds old at most while that of the account is healthy, else a
        moment."""

    def all(self, account_id: str) -> list[Circuit]:
        """The account's stored circuits, of all carriers."""

    def save(self, circuit: Circuit, event: AccountEvent | None = None) -> Circuit:
        """Store it over the version that was read, with the event that follows, in one write; return it with its new
        version. Raises `StaleVersion`."""


class AccountEvents(Protocol):
    """Events of accounts, each one item, which is removed after 30 days. `Circuits.save` stores new ones."""

    def get(self, event_id: str) -> AccountEvent | None: ...

    def save(self, event: AccountEvent) -> AccountEvent:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""


class Timers(Protocol):
    """One-shot timers. Setting one twice makes one. `timer_id` tells an item's timers apart."""

    def schedule_dial(self, execution_id: str, attempt: int, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke dial for that attempt at `at`, not earlier."""

    def schedule_delivery(self, subject_id: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke deliver for that execution or batch at `at`, not earlier."""

    def schedule_batch_run(self, batch_id: str, purpose: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke batch for that batch at `at`, not earlier; `purpose` and `timer_id` tell its timers apart."""

    def cancel_batch(self, batch_id: str, purpose: str, timer_id: int) -> None:
        """Cancel that timer of the batch. Idempotent, also after it fired."""

    def cancel_dial(self, execution_id: str, timer_id: int) -> None:
        """Cancel that dial timer. Idempotent, also after it fired."""


class Invoker(Protocol):
    """The other functions. Dial and deliver take messages from a queue, the others are invoked asynchronously. The
    sweeper makes up for what is lost."""

    def dial(
        self,
        execution_id: str,
        attempt: int,
        line_shard: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
        paced_at: datetime | None = None,
        asked_at: datetime | None = None,
        *,
        after: datetime | None = None,
    ) -> None:
        """`line_shard`: the attempt has been given a line there. `at`: it is not to start earlier, by its batch's rate.
        `delayed_at`: it was taken from its batch's delayed set, where its entry has that time. `paced_at`: the start
        that the carrier account's rate gives it. `asked_at`: when its agent's endpoints allowed it. `after`:
        dial gets it then, or some minutes earlier where that is far off; None: at `at`, or at once."""

    def deliver(
        self,
        subject_id: str,
        lease_id: str | None,
        snapshot: Execution | None = None,
        *,
        after: datetime | None = None,
    ) -> None:
        """For an execution, a batch or an event of an account. `snapshot`: the execution as just stored with that
        lease. `after`: deliver gets it then, at most 15 minutes from now; None: at once."""

    def batch(self, batch_id: str) -> None:
        """Have the batch's work done."""

    def suppress(self, execution_id: str, opt_out: OptOut) -> None:
        """Have the number of that call suppressed. Raises what AWS rejects: an opt-out must not be lost, so the caller
        tries again."""

    def wake(self, account_id: str, circuit: str) -> None:
        """Have the calls dialled soon that wait for the circuit with that key. Nothing makes up for a lost invocation;
        the calls come back at their next try."""

    def count_calls(self, agent_id: str) -> None:
        """Have the agent's calls counted, for its listing. Nothing makes up for a lost invocation; the next listing
        asks again."""


class SweepInvoker(Invoker, Protocol):
    """What the sweeper invokes: the others, and itself. Its next run makes up for a lost invocation."""

    def sweep_shard(self, shard: int, token: str, hop: int) -> None:
        """Have the rest of one shard of the due index worked through."""

    def ask(self, shard: int, token: str, hop: int) -> None:
        """Have carriers asked about the overdue calls of one shard of the due index."""


def _takes_any_stream(stream_url: str) -> None:
    """A carrier whose contract does not limit stream URLs."""


@dataclass(frozen=True)
class CarrierLimits:
    """What a carrier allows, and what its answers prove.

    `ring_seconds` and `call_seconds`: the shortest and the longest that it takes. An agent is checked against them when
    it is saved. `variables`: it takes the call's `user_data`. `check_stream_url` raises `ValueError` for a URL of a
    stream, without placeholders, that it does not take; the message follows the name of the field.
    `absence_proves_after`: so long after a claim, "I know no call of that attempt" proves that none was placed and none
    will be. None: it never proves that, and an attempt whose call is not found must not be dialled again.
    """

    ring_seconds: tuple[int, int]
    call_seconds: tuple[int, int]
    absence_proves_after: timedelta | None
    variables: bool = False
    check_stream_url: Callable[[str], object] = _takes_any_stream


def dial_key(execution_id: str, attempt: int) -> str:
    """An attempt's name for a carrier that takes one: `<execution id>:<attempt>`."""
    return f"{execution_id}:{attempt}"


@dataclass(frozen=True)
class CallRequest:
    """One attempt, as the carrier is asked to place it. Numbers are E.164.

    `callback_url`: where the carrier reports on this attempt. At most one of `answer_url`, where it reads what to do
    with the answered call, and `stream_url`, which it connects the call's audio to, is set. `variables`: the call's
    `user_data`, for a carrier that takes it. `reports_ringing`, `reports_answer`: whether those moments are to be
    reported; the end always is.
    """

    execution_id: str
    attempt: int
    to_number: str
    from_number: str
    callback_url: str
    answer_url: str | None
    ring_timeout_seconds: int
    max_call_seconds: int
    voicemail_detection: bool
    stream_url: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    reports_ringing: bool = True
    reports_answer: bool = True

    @property
    def dial_key(self) -> str:
        return dial_key(self.execution_id, self.attempt)


class CarrierUnavailable(Exception):
    """The carrier could not be asked, or gave no usable answer: ask again later."""


class CarrierBusy(CarrierUnavailable):
    """The carrier takes no more requests now (HTTP 429), and did nothing: ask fewer at once, or later."""


class NotYetKnown(CarrierUnavailable):
    """The carrier answered, but its answer does not settle what became of this call: ask again later."""


class Carrier(Protocol):
    """The API of a telephony carrier."""

    @property
    def limits(self) -> CarrierLimits: ...

    def calls_per_second(self) -> float | None:
        """How many calls a second the carrier account starts, as its secret says; None: it does not say, or cannot be
        read."""

    def place(self, request: CallRequest) -> DialResult:
        """Send one request to place one call; never repeats it. Carrier trouble is a result, not an exception."""

    def check(self) -> str | None:
        """None when the carrier takes requests to place calls, as far as can be seen without placing one; else what is
        wrong. Places nothing. Carrier trouble is a result, not an exception."""

    def unknown_caller_ids(self, numbers: Collection[str]) -> set[str] | None:
        """Those of the numbers (E.164) that the carrier account may not call from: it neither owns them nor has
        verified them. None: this carrier does not tell. Raises `CarrierUnavailable`; a few requests, for some seconds.
        """

    def closed_countries(self, countries: Collection[str]) -> set[str] | None:
        """Those of the countries (ISO 3166) to which the carrier account may place no calls. A country that the carrier
        does not name is left out. None and errors as in `unknown_caller_ids`."""

    def cancel(self, call_id: str) -> CallReport:
        """Have a call ended before it is answered; what became of it. `canceled`: the carrier confirms that it is
        over, and was not answered. Any other status says that this came too late. Repeating it does no harm.

        Raises `CarrierUnavailable`, and `NotYetKnown` where the carrier has not ended the call yet or does not know it.
        """

    def ask(self, call_id: str) -> CallReport | None:
        """What became of a call; None when the carrier knows no such call. Raises `CarrierUnavailable`."""

    def find(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> CallReport | None:
        """The call that this attempt placed; None when the carrier has none. A call is returned only if it is certainly
        this attempt's: it was created after `since` and is not one of `known_call_ids`.

        Raises `CarrierUnavailable`, and `NotYetKnown` also when `seconds_left` does not suffice.
        """


@dataclass(frozen=True)
class Callback:
    """A carrier's request to a callback URL, as it arrived: nothing of it is verified or parsed but its path.

    `kind` is what follows the attempt in the path (empty: nothing). `urls`: every URL that the carrier may have sent it
    to. Names of `headers` are lower case.
    """

    carrier: str
    execution_id: str
    attempt: int
    kind: str
    urls: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def dial_key(self) -> str:
        return dial_key(self.execution_id, self.attempt)


class ForgedCallback(Exception):
    """Nothing proves that the carrier sent this callback, here and now."""


class UnreadableCallback(Exception):
    """A callback that makes no sense."""


class CallbackReader(Protocol):
    """A carrier's callbacks. `verify` comes first: nothing of a callback is believed before."""

    def verify(self, callback: Callback, now: datetime) -> None:
        """Raises `ForgedCallback`; whatever the carrier's credentials raise where they cannot be read."""

    def read(self, callback: Callback) -> CallReport:
        """What the callback reports. Raises `UnreadableCallback`."""


WEBHOOK_SECONDS = 10.0
"""How long a webhook may take to look up, connect, send and answer with the head of its response. Set by the HTTP
contract."""


@dataclass(frozen=True)
class DeliveryAnswer:
    """What came of one POST to a customer's endpoint: the HTTP status, or None with `error` where none came.

    `retry_after_seconds` is what the endpoint asked for, if anything. `error` is for people, without secrets. `body`:
    of a 2xx answer, at most 4 KB of it.
    """

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks(Protocol):
    """POSTs to customers' endpoints, guarded against reaching anything private."""

    def post(
        self,
        url: str,
        body: bytes,
        webhook_id: str,
        secrets: tuple[str, ...],
        now: datetime,
        *,
        seconds: float = WEBHOOK_SECONDS,
        asks: bool = False,
    ) -> DeliveryAnswer:
        """Sign (Standard Webhooks, timestamp `now`) and send once, for at most `seconds`; no redirects. Trouble is an
        answer. The head decides whether it is accepted, and the body is there as far as it comes at once; `asks`: the
        whole body must come in time."""


class NoUsableAnswer(Exception):
    """An endpoint did not answer in time, or its answer makes no sense. The message says which, without quoting it."""


class Endpoints(Protocol):
    """Customers' endpoints that are asked before an attempt, with a signed POST. Both raise `NoUsableAnswer`."""

    def scrub(
        self, endpoint: Endpoint, execution: Execution, purpose: str | None, secrets: tuple[str, ...], now: datetime
    ) -> "ScrubAnswer":
        """May the number be called, for that purpose?"""

    def hook(self, endpoint: Endpoint, execution: Execution, secrets: tuple[str, ...], now: datetime) -> "HookAnswer":
        """May the present attempt be dialled now? The execution has its `user_data`."""


class Undelivered(Protocol):
    """Executions and batches of an account that have given-up events, or one that waits for its next try.

    The list is an index over the stored items themselves, so that it cannot differ from them; it may lag by a moment.
    """

    def all(self, account_id: str) -> Iterator[str]:
        """Ids, the oldest subject first, page by page. One whose events were delivered or replayed since may
        still be among them."""


class Services(Protocol):
    """Everything that use cases reach, each built on first use; a process has one. Times are aware UTC.

    A function's role decides what it may use: tally has no carrier, deliver has no lines.
    """

    @property
    def defaults(self) -> Defaults:
        """The stack's, for what neither an agent nor its account has."""

    @property
    def keep(self) -> timedelta | None:
        """How long finished calls and batches are kept; None: for ever."""

    @property
    def executions(self) -> Executions: ...
    @property
    def listings(self) -> Listings: ...
    @property
    def due_items(self) -> DueItems: ...
    @property
    def agents(self) -> Agents: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def counts(self) -> Counts: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def number_rules(self) -> NumberRules: ...
    @property
    def call_quotas(self) -> CallQuotas: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def numbers(self) -> Numbers: ...
    @property
    def idempotency(self) -> IdempotencyKeys: ...
    @property
    def undelivered(self) -> Undelivered: ...
    @property
    def circuits(self) -> Circuits: ...
    @property
    def account_events(self) -> AccountEvents: ...
    @property
    def pacer(self) -> Pacer: ...
    @property
    def statistics(self) -> StatisticsStore: ...
    @property
    def calls_per_second(self) -> float | None:
        """At which rate calls are started with a carrier account whose secret does not say; None: any."""

    @property
    def lines(self) -> Lines: ...
    @property
    def queue(self) -> CallQueue: ...
    @property
    def delayed(self) -> DelayedSets: ...
    @property
    def sweep_leases(self) -> SweepLeases: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def invoker(self) -> SweepInvoker: ...
    @property
    def files(self) -> Files: ...
    @property
    def contacts(self) -> ContactFiles: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def endpoints(self) -> Endpoints: ...

    def carrier(self, provider: str) -> Carrier:
        """The carrier with that name."""

    def callback_url(self, provider: str, execution_id: str, attempt: int) -> str:
        """The URL to which the carrier reports on that attempt."""

    def now(self) -> datetime:
        """The present instant, in whole milliseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def each(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """The results of `work` for each item, in order, with up to `workers` of them at once. Returns when all have
        ended. Raises the error of the first item that failed; items not begun by then are left out."""

    def new_id(self) -> str:
        """A fresh UUID: 36 characters, lower case."""

    def random(self) -> float:
        """A number in [0, 1), for jitter."""
