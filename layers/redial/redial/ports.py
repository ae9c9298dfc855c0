"""The ports: everything that the use cases need from outside. Adapters implement them; tests run the adapters.

Every read of a store is strongly consistent unless its docstring says otherwise. `consistent=False` asks for an
eventually consistent read at half the price. It suits callers whose next step is a conditional write, or that read
again before they give up. Every operation may be repeated: AWS's clients resend a request when its answer is lost.
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
    """The filter of a listing of an agent's executions; None does not filter. `created_from` and
    `created_to` are inclusive. `voicemail` is the current attempt's flag. `user_number` is E.164."""

    status: Status | None = None
    batch_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    voicemail: bool | None = None
    provider: str | None = None
    user_number: str | None = None

    @property
    def reads_executions(self) -> bool:
        """Whether the filter needs the executions themselves: their keys are not enough."""
        return (self.status, self.voicemail, self.provider, self.user_number) != (None, None, None, None)

    def matches(self, execution: Execution, agent_id: str) -> bool:
        """Whether the execution passes the filter, apart from its creation time."""
        found = (
            (self.status, execution.state.status),
            (self.batch_id, execution.batch_id),
            (self.voicemail, execution.state.attempt.voicemail),
            (self.provider, execution.provider),
            (self.user_number, execution.user_number),
        )
        return execution.agent_id == agent_id and all(wanted in (None, has) for wanted, has in found)


class Position(NamedTuple):
    """The place of a row in a listing: creation time and id of the execution or its batch, and its row in the batch."""

    created_at: datetime
    id: str
    row: int = 0

    def follows(self, other: "Position") -> bool:
        """Whether it comes after `other` in a listing, newest first. A batch's rows keep their order."""
        if self[:2] == other[:2]:
            return self.row > other.row
        return self[:2] < other[:2]


class Row(NamedTuple):
    """An execution in a listing, as the API shows it, and its place."""

    position: Position
    execution: Execution


@dataclass(frozen=True)
class Listing:
    """Executions, newest first. They are read while `rows` is iterated over.

    `total`: the number of executions that pass the filter, wherever the rows begin; None: not known yet. `to_count`:
    the agent's calls should be counted, so that the next `total` is known, or cheaper.
    """

    total: int | None
    rows: Iterator[Row]
    to_count: bool = False


class Executions(Protocol):
    """Executions, each one item."""

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution | None:
        """The execution; None if there is none, or it was erased."""

    def create(self, execution: Execution) -> bool:
        """Store a new execution. False if one with that id exists."""

    def with_user_data(self, executions: Sequence[Execution]) -> list[Execution]:
        """The executions with their `user_data`, which is read if it has an item of its own. Executions removed since
        are left out."""

    def save(self, execution: Execution) -> Execution:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        """Ids of the agent's unfinished calls outside of batches, read from an index that may lag slightly."""

    def create_contacts(self, executions: Sequence[Execution]) -> None:
        """Store new contacts of a batch. Existing ones stay unchanged, whatever their status."""

    def read(self, ids: Sequence[str]) -> list[Execution]:
        """Those that exist, in the order of `ids`, erased contacts (`erased`) included."""

    def remove(self, execution: Execution) -> None:
        """Delete this version. Idempotent. Raises `StaleVersion`."""

    def remove_user_data(self, execution_id: str) -> None:
        """Delete the `user_data` item of an execution that is gone. Idempotent."""


class Listings(Protocol):
    """Listings of agents' executions, read from indexes that may lag slightly."""

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
        """The rows after `after`, without the first `skip` of them. A batch's contacts are listed at the batch's
        creation time, in the order of its file. Every row takes the same few requests to reach.

        `batches`: the agent's. `most`: how many rows the caller expects to read. `kept_from`: calls created earlier may
        have expired (None: no call has). Raises `InvalidInput` if a filter would have to read too many executions, or
        `skip` needs a count that does not exist yet.
        """

    def called(self, account_id: str, user_number: str) -> Iterator[str]:
        """Ids of the account's executions to that number (E.164), contacts of batches included. A few ids of other
        numbers may be among them. Executions stored before the index of numbers existed, and unchanged since, are
        missing."""

    def begin_count(self, agent_id: str, now: datetime, until: datetime) -> bool:
        """Lease the counting of the agent's calls until `until`. False: another worker has the lease."""

    def end_count(self, agent_id: str, until: datetime) -> None:
        """Release the lease that `begin_count` took with this `until`, if it is still held. Idempotent."""

    def count(self, agent_id: str, created_to: datetime, until: datetime, seconds_left: Callable[[], float]) -> bool:
        """Count the agent's calls outside of batches that were created up to `created_to`, and store the counts. False:
        time was up, or the lease with this `until` was lost. No call may be created with a time up to `created_to`
        after that."""

    def forget_counts(self, execution: Execution, until: datetime) -> None:
        """Remove the counts that include a call outside of batches, before the call is removed. No worker counts its
        agent's calls before `until`."""


@dataclass(frozen=True)
class Counted:
    """A batch's contacts by status, {status: count} without zeros. `position` names the stream records counted so far;
    each record changes it."""

    counts: dict[str, int]
    position: str


class Batches(Protocol):
    """Batches, each one item."""

    def get(self, batch_id: str) -> Batch | None:
        """The batch, also if it is deleted (`deleted_at`) or a tombstone."""

    def create(self, batch: Batch) -> bool:
        """Store a new batch. False if one with that id exists."""

    def save(self, batch: Batch) -> Batch:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""

    def remove_counts(self, batch_id: str) -> None:
        """Remove the batch's counts, if there are any."""

    def of_agent(self, agent_id: str) -> list[Batch]:
        """The agent's batches that are not deleted, newest first, read from an index that may lag slightly."""

    def counts(self, batch_id: str) -> dict[str, int]:
        """The batch's contacts by status, {status: count}; statuses without contacts are left out."""

    def counted(self, batch_id: str) -> Counted:
        """The counts, and the stream records that they include."""


class Counts(Protocol):
    """Counts of batches' contacts, kept separately for each shard of the table's stream."""

    def counted_up_to(self, batch_id: str, shard: str) -> str | None:
        """The last record of that shard that the batch's counts include; None: they include no record of it."""

    def count(self, batch_id: str, shard: str, deltas: Mapping[str, int], after: str | None, up_to: str) -> None:
        """Add `deltas` to the counts and record `up_to` as the last record counted, in one write.

        Raises `StaleVersion` unless the last record counted of the shard is `after`.
        """


CSV_TYPE = "text/csv; charset=utf-8"


class Files(Protocol):
    """Files of batches. A file is stored whole or not at all."""

    def read(self, key: str) -> Iterator[bytes]:
        """The file's content in pieces."""

    def size(self, key: str) -> int | None:
        """The file's length in bytes; None if there is no such file."""

    def put(self, key: str, content: bytes, content_type: str = CSV_TYPE) -> None: ...

    def copy(self, source: str, key: str) -> None: ...

    def remove(self, key: str) -> None:
        """Remove the file. Idempotent."""

    def writing(self, key: str) -> AbstractContextManager[Callable[[str], object]]:
        """A function that writes the text piece by piece. The file is stored when the context ends without an error."""

    def upload_url(self, key: str, seconds: int, size: int) -> str:
        """A pre-signed URL to PUT a file of exactly `size` bytes to, valid for `seconds`."""

    def download_url(self, key: str, seconds: int) -> str:
        """A pre-signed URL to GET the file from, valid for `seconds`."""


class ContactRow(Protocol):
    """A row of a batch's file that is accepted as a contact. `row` numbers the accepted rows, from 1."""

    @property
    def row(self) -> int: ...
    @property
    def number(self) -> str: ...
    @property
    def data(self) -> dict[str, str]: ...


class RejectedRow(NamedTuple):
    """A row of a batch's file that is not accepted as a contact: its line of rejected.csv, and the reason."""

    text: str
    reason: Rejection


class ContactFiles(Protocol):
    """Reads a batch's file, each time from its beginning, and writes its results.

    `premium`: accept premium-rate and shared-cost numbers. `row_check` rejects further rows. The same bytes, `premium`
    and `row_check` give the same rows.
    """

    def check(self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None) -> None:
        """Read as much of a file as there is time for within one request. Raises `InvalidInput` if it is no CSV of
        contacts, or has no contacts."""

    def rows(
        self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None
    ) -> AbstractContextManager[tuple[str, Iterator[ContactRow | RejectedRow]]]:
        """The header of rejected.csv, and the rows. Raises `InvalidInput` if the file turns out to be unusable."""

    def results(
        self,
        pieces: Iterable[bytes],
        find: Callable[[list[int]], dict[int, Execution]],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        """The lines of results.csv, header first. `find` returns the executions of the given rows, by row."""

    def numbers(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> frozenset[str]:
        """The numbers (E.164) of these rows, erased rows left out."""

    def without_rows(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        """The lines of the batch's file with these rows erased. All rows keep their row numbers."""

    def rejected_without(
        self, pieces: Iterable[bytes], contacts: Iterable[bytes], numbers: frozenset[str]
    ) -> Iterator[str]:
        """The lines of rejected.csv with all rows erased that have one of the numbers (E.164). `contacts`: the batch's
        file, for its columns."""

    def index_file(self, index: ContactIndex) -> bytes:
        """The stored form of a contact index."""

    def read_index(self, pieces: Iterable[bytes]) -> ContactIndex:
        """The inverse of `index_file`."""

    def read_hashes(self, pieces: Iterable[bytes]) -> Collection[int]:
        """Only the index's `hashes`; nothing else of `pieces` is read."""


class Agents(Protocol):
    """Agents, each one item under its account."""

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        """The agent, also if it is deleted (`deleted_at`)."""

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        """The agent, at most 10 seconds old."""

    def all(self, account_id: str, *, deleted_since: datetime | None = None) -> list[Agent]:
        """The account's agents, oldest first. Deleted ones are left out, unless deleted at or after `deleted_since`."""

    def some(self, account_id: str, most: int) -> list[Agent]:
        """The first `most` agents of the account, deleted ones included, in the order of their ids. May lag."""

    def save(self, agent: Agent) -> Agent:
        """Store it over `agent.version` (0: new). Raises `StaleVersion`."""


class Accounts(Protocol):
    """Accounts and their API keys."""

    def get(self, account_id: str) -> Account | None: ...

    def create(self, account: Account) -> bool:
        """Store a new account. False if it exists."""

    def replace_secrets(self, account: Account, secrets: tuple[str, ...]) -> bool:
        """Replace the webhook secrets of `account`. False if they changed since it was read."""

    def allow_premium_numbers(self, account_id: str, allowed: bool) -> bool:
        """Set `Account.premium_numbers`. False if there is no such account."""

    def replace_settings(self, account: Account, changed: Account) -> bool:
        """Replace the defaults, contact limits and webhook of `account` by those of `changed`. False if they changed
        since it was read."""

    def caller_of_key(self, key_hash: str) -> Caller | None:
        """The caller that a key identifies; None if the key is unknown or revoked."""

    def mark_used(self, key_hash: str, hour: datetime) -> None:
        """Store the hour of the key's last request. A process tries this once for each key and hour."""

    def add_key(self, key: ApiKey, key_hash: str) -> None: ...

    def keys(self, account_id: str) -> list[ApiKey]:
        """Every key of the account, revoked ones included, oldest first."""

    def revoke_key(self, account_id: str, key_id: str, now: datetime) -> bool:
        """Revoke the key for good. False if the account has no such key."""

    def cached(self, account_id: str) -> Account | None:
        """The account, at most 10 seconds old."""


class CallQuotas(Protocol):
    """The number of calls accepted for each API key with a quota, by day (UTC)."""

    def take(self, key_id: str, day: date, calls: int, most: int) -> bool:
        """Count `calls` more. False, and nothing is counted, if that makes more than `most` that day."""

    def give_back(self, key_id: str, day: date, calls: int) -> None:
        """Subtract `calls` that were counted but not made."""


class NumberRules(Protocol):
    """Suppressions, consents and kept verdicts of accounts' numbers. Numbers (E.164) are stored as keyed hashes."""

    def any_kept(self, account_id: str) -> bool:
        """Whether the account has or ever had a rule."""

    def make_key(self, account_id: str) -> None:
        """Create the key that hashes the account's numbers, if it has none. This creates no rule."""

    def hasher(self, account_id: str) -> Callable[[str], str] | None:
        """A function that returns the keyed hash of a number; None: the account has no key."""

    def digests(self, account_id: str, numbers: Sequence[str]) -> list[str]:
        """The keyed hashes of the numbers, to add rules for them. Creates the account's key if it has none."""

    def of_number(self, account_id: str, number: str) -> tuple[NumberRule, ...]:
        """Every rule of the number."""

    def of_digest(self, account_id: str, digest: str) -> tuple[NumberRule, ...]:
        """Every rule of the number with that keyed hash."""

    def check_agents(self, agent_ids: Iterable[str | None]) -> None:
        """Raises `Forbidden` if rules for one of these agents (None: for all agents) may not be changed here."""

    def add(self, account_id: str, rules: Sequence[NumberRule]) -> None:
        """Store the rules. Each replaces a rule with the same kind, digest and scope, and keeps the time at which that
        one was added. No two of `rules` may have all three in common."""

    def keep_verdict(self, account_id: str, number: str, verdict: NumberRule) -> None:
        """Store a scrub's verdict on the number in place of the previous one, with the number's digest filled in. Does
        nothing if the account has no key."""

    def remove(self, account_id: str, rule: NumberRule) -> None:
        """Remove it. Idempotent."""

    def covering(
        self, account_id: str, agent_id: str, purpose: str | None, at: datetime, first_digit: str
    ) -> dict[RuleKind, set[str]]:
        """By kind, the digests of all numbers with a rule that covers such a call at that time. Only digests that begin
        with `first_digit` (hexadecimal). The read may lag slightly."""

    def count(self, account_id: str, kind: RuleKind, scope: str | None = None) -> int:
        """The number of rules, read from an index that may lag slightly. `scope`: only rules that name its agent, its
        purpose, or both (`scope_of`); None: all."""

    def listed(
        self, account_id: str, kind: RuleKind, scope: str | None = None, after: Position | None = None
    ) -> Iterator[tuple[Position, NumberRule]]:
        """The rules, newest first, read from an index that may lag slightly."""


class Policies(Protocol):
    """Accounts' policies. A version never changes. `label`: name and version."""

    def get(self, account_id: str, label: str) -> Policy | None:
        """That version, from memory if this process has read it before."""

    def latest(self, account_id: str, name: str) -> Policy | None:
        """The newest version."""

    def all(self, account_id: str) -> list[Policy]:
        """The newest version of each policy, by name."""

    def add(self, account_id: str, policy: Policy) -> bool:
        """Store a new version. False if that version number is taken."""


class Numbers(Protocol):
    """The numbers (E.164) that each account calls, with their call history. They are stored under keyed hashes only."""

    def get(self, account_id: str, number: str, *, consistent: bool = True) -> CalledNumber:
        """The number's stored state; an empty one if nothing is stored."""

    def save(self, account_id: str, number: str, called: CalledNumber, now: datetime) -> None:
        """Store it over `called.version`, for as long as contact limits can need it. Raises `StaleVersion`."""


@dataclass(frozen=True)
class IdempotentRequest:
    """The request for which an Idempotency-Key was first used."""

    execution_id: str
    body_hash: str


class IdempotencyKeys(Protocol):
    """Idempotency keys of an account; forgotten after 24 hours."""

    def find(self, account_id: str, key: str, now: datetime) -> IdempotentRequest | None:
        """The request stored under the key, if any."""

    def claim(self, account_id: str, key: str, request: IdempotentRequest, now: datetime) -> IdempotentRequest | None:
        """Store `request` under the key unless one is stored already. None if this call stored it, else the stored
        request."""


class Lines(Protocol):
    """An agent's lines (live calls), in shards of at most 50. `capacity` is that of the shard. `agent_id` may be the
    pool of an API key (`KeyLines`), whose lines are one shard."""

    def acquire(
        self, account_id: str, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, now: datetime
    ) -> bool:
        """Acquire a line of the shard, or confirm the one that this execution holds there. False if the shard is full,
        or holds more than a lowered `capacity`.

        True also if the execution holds a line for a later attempt: the caller is out of date, and notices before it
        dials.
        """

    def release(
        self, agent_id: str, shard: int, execution_id: str, attempt: int, since: datetime | None = None
    ) -> set[str]:
        """Free the line if this attempt holds it. Returns the execution ids of the shard's remaining holders.

        `since`: free it only if it was last acquired at that time. Required while the attempt is not over: another
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
        """Give this attempt's line to `to`, in one write. False, with nothing changed, if this attempt holds no line of
        the shard, `to` is of the same execution or already holds a line, or the shard holds more than `capacity`.
        `since`: see `release`."""

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        """The holders of the shard's lines: execution id → (attempt, since)."""

    def in_use(self, shards: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The number of lines held in each of those shards (agent id, shard). Shards without holders may be left out.
        100 shards take one request."""

    def owner(self, agent_id: str, shard: int) -> str | None:
        """The account of these lines; None if no line was ever held."""

    def recheck_at(self, agent_id: str, shard: int, at: datetime, *, queue_empty: bool) -> None:
        """Have the sweeper check the shard again at `at`, or never if no line is held and `queue_empty`."""


class CallQueue(Protocol):
    """The queue of an agent: calls that wait for a line, and one entry for each running batch. An API key's pool has a
    queue too, of calls only.

    `next_contact` and `reserve_start` describe what happens when an answer is lost and the write is sent again.
    """

    def enqueue(self, agent_id: str, call: QueuedCall) -> bool:
        """Add the call. False if this entry was already in the queue."""

    def dequeue(self, agent_id: str, call: QueuedCall) -> None:
        """Remove the call. Idempotent."""

    def absent(self, calls: Sequence[tuple[str, QueuedCall]]) -> set[str]:
        """The execution ids of those `calls` (agent id, call) that are not in their agent's queue."""

    def front(self, agent_id: str, *, consistent: bool = True) -> Queue:
        """The front of the queue: at least its first call, and all batches unless a due retry waits.
        `consistent=False`: it may appear empty although calls were added in the last seconds."""

    def waiting(self, agent_id: str, most: int) -> int:
        """The number of waiting calls, including the contacts that running batches have not started. Only the first
        `most` entries are counted. The read may lag slightly."""

    def batches(self, agent_id: str) -> list[BatchQueueEntry]:
        """The entries of all running batches of the agent."""

    def join(self, entry: BatchQueueEntry) -> None:
        """Add a batch's entry. Nothing changes if it has one."""

    def leave(self, agent_id: str, batch_id: str) -> None:
        """Remove the batch's entry. Idempotent."""

    def batch_entry(self, agent_id: str, batch_id: str) -> BatchQueueEntry | None:
        """The batch's entry."""

    def pause(self, agent_id: str, batch_id: str, paused: bool) -> None:
        """Skip the batch (`paused`), or stop skipping it. Nothing changes if it is not in the queue."""

    def next_contact(self, entry: BatchQueueEntry, now: datetime) -> tuple[int, datetime | None] | None:
        """Take the batch's next contact: its row, and when it may start if the batch has a rate limit. None: another
        invocation was faster, or no contact is left.

        A lost answer skips a contact: without a rate limit the following one is taken as well, with one None is
        returned. The skipped contact stays not started, and the batch's audit queues it.
        """

    def reserve_start(self, entry: BatchQueueEntry, now: datetime) -> datetime | None:
        """Reserve the batch's next start without taking a contact. None: another invocation was faster, or the answer
        was lost, and with it that start. The following start can still be reserved."""


class DelayedSets(Protocol):
    """The delayed sets of batches: contacts that wait for a time rather than a line (calling hours, a pause, the
    batch's rate limit)."""

    def add(self, agent_id: str, batch_id: str, call: QueuedCall) -> bool:
        """Add an entry due at `call.ready_at`. True if no other entry is due earlier."""

    def pop_due(self, entry: BatchQueueEntry, now: datetime) -> tuple[QueuedCall, datetime | None] | None:
        """Take the contact that has been due longest, and when it may start if the batch has a rate limit. None: no
        contact is due, another invocation was faster, or an answer was lost. The contact keeps its entry until
        `remove`, and may be taken again after some minutes."""

    def remove(self, batch_id: str, call: QueuedCall) -> None:
        """Remove the entry. Idempotent."""

    def next_due(self, batch_id: str, after: datetime) -> datetime | None:
        """The due time of the first entry due after `after`."""

    def due_between(self, batch_id: str, first: datetime, last: datetime, most: int) -> list[datetime]:
        """The due times from `first` to `last`, inclusive, earliest first; at most `most`, in one request. The read may
        lag slightly."""

    def repair(self, agent_id: str, batch_id: str) -> bool:
        """Compare the set's next time with its entries. True if it was missing, or later than an entry's, and has been
        corrected."""

    def absent(self, batch_id: str, calls: Sequence[QueuedCall]) -> list[QueuedCall]:
        """The `calls` that have no entry."""

    def clear(self, batch_id: str) -> None:
        """Remove every entry: the batch is over."""


@dataclass(frozen=True)
class Due:
    """An item that should have progressed by `due_at`: an execution, a batch, an event of an account, or a line
    shard."""

    due_at: datetime
    execution_id: str | None = None
    batch_id: str | None = None
    agent_id: str | None = None
    shard: int | None = None
    event_id: str | None = None


class DueItems(Protocol):
    """Overdue items, read from the due index, which may lag slightly."""

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        """Everything in one shard of the index that was due by `now`, oldest first, page by page."""

    def first_due(self, shard: int, until: datetime, most: int) -> list[Due]:
        """The items of one shard of the index that are due by `until`, of all accounts, earliest first; at most `most`,
        in one request."""

    def queue_checks(self, now: datetime) -> Iterator[Due]:
        """Queued calls whose queue entry was to be checked by `now`. The shards of `overdue` do not contain them."""

    def watched(self) -> Iterator[Due]:
        """Every line shard with current or recent holders, due or not."""


class SweepLeases(Protocol):
    """Leases of the sweeper's workers and askers, by name."""

    def held(self, now: datetime) -> set[str]:
        """The names of the leases that are held."""

    def take(self, name: str, token: str, hop: int, now: datetime, until: datetime) -> bool:
        """Hold the lease until `until`, if it is free or held by an earlier hop of the same `token`."""

    def release(self, name: str, token: str, hop: int) -> None:
        """Release the lease if that hop holds it."""


class Pacer(Protocol):
    """The pace of each carrier account: one sequence of starts for all agents and batches."""

    def reserve(self, carrier: str, interval: timedelta, now: datetime) -> datetime:
        """Reserve the carrier's next start: `now` or later, at least `interval` after the previous one. A lost answer
        wastes a start."""

    def hold(self, carrier: str, until: datetime) -> None:
        """Give no more starts before `until`. Reserved starts stay valid."""


class StatisticsStore(Protocol):
    """Counts of finished attempts by cell (`domain.statistics`), for each scope and day. A scope is the id of an
    account, an agent or a batch."""

    def add(self, scope: str, day: date, cells: Mapping[str, int], shard: str, up_to: str, now: datetime) -> bool:
        """Add to the day's counts what was counted in a stream shard up to its record `up_to`, which sorts as text.
        False, with nothing changed, if that was added before. Raises `StaleVersion` if other writes were faster several
        times."""

    def remove(self, scope: str) -> None:
        """Remove all counts of the scope. Idempotent."""

    def between(self, scope: str, first: date, last: date) -> dict[date, Mapping[str, int]]:
        """The counts of each day from `first` to `last` that has any. The read may lag slightly."""


class Circuits(Protocol):
    """Circuits of carrier accounts, caller ids and countries, each one item."""

    def get(self, account_id: str, provider: str) -> Circuit:
        """The circuit of the carrier account; a closed one if none is stored."""

    def fresh(self, circuit: Circuit) -> Circuit:
        """The circuit as it is stored now; a closed one if none is."""

    def cached(self, account_id: str, provider: str) -> Mapping[str, Circuit]:
        """The carrier's stored circuits by key. They may be some seconds old while the account's circuit is healthy;
        else they are read each time, eventually consistent."""

    def all(self, account_id: str) -> list[Circuit]:
        """The stored circuits of all carriers of the account."""

    def save(self, circuit: Circuit, event: AccountEvent | None = None) -> Circuit:
        """Store it over the version that was read, together with the event that follows, in one write. Returns it with
        its new version. Raises `StaleVersion`."""


class AccountEvents(Protocol):
    """Events of accounts, each one item that is removed after 30 days. `Circuits.save` stores new ones."""

    def get(self, event_id: str) -> AccountEvent | None: ...

    def save(self, event: AccountEvent) -> AccountEvent:
        """Store it over the version that was read and return it with its new one. Raises `StaleVersion`."""


class Timers(Protocol):
    """One-shot timers. Scheduling one twice makes one. `timer_id` distinguishes an item's timers."""

    def schedule_dial(self, execution_id: str, attempt: int, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke dial for that attempt at `at`, not earlier."""

    def schedule_delivery(self, subject_id: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke deliver for that execution or batch at `at`, not earlier."""

    def schedule_batch_run(self, batch_id: str, purpose: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke batch for that batch at `at`, not earlier; `purpose` and `timer_id` distinguish its timers."""

    def cancel_batch(self, batch_id: str, purpose: str, timer_id: int) -> None:
        """Cancel that timer of the batch. Does nothing if it has fired or was canceled."""

    def cancel_dial(self, execution_id: str, timer_id: int) -> None:
        """Cancel that dial timer. Does nothing if it has fired or was canceled."""


class Invoker(Protocol):
    """Invokes the other functions: dial and deliver by messages in a queue, the others asynchronously. The sweeper
    repairs what is lost."""

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
        """Have the attempt dialled.

        `line_shard`: the shard in which the attempt has been given a line. `at`: its earliest start by the rate limit
        of its batch. `delayed_at`: the due time of its entry in the batch's delayed set, from which it was taken.
        `paced_at`: its start by the pace of the carrier account. `asked_at`: when its agent's endpoints allowed it.
        `after`: when dial receives the message, or some minutes earlier if that is far off; None: at `at`, or at once.
        """

    def deliver(
        self,
        subject_id: str,
        lease_id: str | None,
        snapshot: Execution | None = None,
        *,
        after: datetime | None = None,
    ) -> None:
        """Have the pending events of an execution, a batch or an account's event delivered. `snapshot`: the execution
        as just stored with that lease. `after`: when deliver receives the message, at most 15 minutes from now; None:
        at once."""

    def batch(self, batch_id: str) -> None:
        """Have the batch's work done."""

    def suppress(self, execution_id: str, opt_out: OptOut) -> None:
        """Have the number of that call suppressed. An error of AWS is raised, since an opt-out must not be lost: the
        caller tries again."""

    def wake(self, account_id: str, circuit: str) -> None:
        """Have the calls that wait for the circuit with that key dialled soon. A lost invocation is not repeated: the
        calls are dialled at their next try."""

    def count_calls(self, agent_id: str) -> None:
        """Have the agent's calls counted, for its listing. A lost invocation is not repeated: the next listing asks
        again."""


class SweepInvoker(Invoker, Protocol):
    """Invokes the other functions, and the sweeper itself, whose next run repeats what is lost."""

    def sweep_shard(self, shard: int, token: str, hop: int) -> None:
        """Have the rest of one shard of the due index processed."""

    def ask(self, shard: int, token: str, hop: int) -> None:
        """Have the carriers asked about the overdue calls of one shard of the due index."""


def _takes_any_stream(stream_url: str) -> None:
    """Accept every stream URL."""


@dataclass(frozen=True)
class CarrierLimits:
    """The limits of a carrier, and what its answers prove.

    `ring_seconds`, `call_seconds`: the shortest and the longest that it accepts. An agent is checked against them when
    it is saved. `variables`: it accepts the call's `user_data`. `check_stream_url` raises `ValueError` for a stream URL
    (without placeholders) that it does not accept. The message is shown after the name of the field.
    `absence_proves_after`: this long after a claim, the answer that the carrier has no call of that attempt proves that
    none was placed and none will be. None: it never proves that, and an attempt whose call is not found must not be
    dialled again.
    """

    ring_seconds: tuple[int, int]
    call_seconds: tuple[int, int]
    absence_proves_after: timedelta | None
    variables: bool = False
    check_stream_url: Callable[[str], object] = _takes_any_stream


def dial_key(execution_id: str, attempt: int) -> str:
    """The name of an attempt, for carriers that accept one: `<execution id>:<attempt>`."""
    return f"{execution_id}:{attempt}"


@dataclass(frozen=True)
class CallRequest:
    """The request to a carrier to place one attempt. Numbers are E.164.

    `callback_url`: where the carrier reports on this attempt. At most one of `answer_url` and `stream_url` is set: the
    carrier fetches the instructions for the answered call from the first, or connects the call's audio to the second.
    `variables`: the call's `user_data`, for a carrier that accepts it. `reports_ringing`, `reports_answer`: whether the
    carrier must report these; it always reports the end.
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
    """The carrier could not be reached, or gave no usable answer: ask again later."""


class CarrierBusy(CarrierUnavailable):
    """The carrier rejected the request for its rate (HTTP 429) and did nothing: send fewer at once, or later."""


class NotYetKnown(CarrierUnavailable):
    """The carrier answered, but its answer does not settle what became of this call: ask again later."""


class Carrier(Protocol):
    """The API of a telephony carrier."""

    @property
    def limits(self) -> CarrierLimits: ...

    def calls_per_second(self) -> float | None:
        """The calls per second that the carrier account starts, from its secret; None: the secret has no such value, or
        cannot be read."""

    def place(self, request: CallRequest) -> DialResult:
        """Send one request to place one call, and never repeat it. A carrier's failure is a result, not an
        exception."""

    def check(self) -> str | None:
        """None if the carrier accepts requests to place calls, as far as can be checked without placing one, else what
        is wrong. A carrier's failure is a result, not an exception."""

    def unknown_caller_ids(self, numbers: Collection[str]) -> set[str] | None:
        """The numbers (E.164) that the carrier account may not call from, because it neither owns nor has verified
        them. None: this carrier cannot tell. Takes a few requests and some seconds. Raises `CarrierUnavailable`."""

    def closed_countries(self, countries: Collection[str]) -> set[str] | None:
        """The countries (ISO 3166) to which the carrier account may not place calls. Countries that the carrier does
        not list are left out. None: this carrier cannot tell. Raises `CarrierUnavailable`."""

    def cancel(self, call_id: str) -> CallReport:
        """Have a call ended before it is answered, and return its status. `canceled`: the carrier confirms that it is
        over and was not answered. Any other status means that the request came too late. Idempotent.

        Raises `CarrierUnavailable`, and `NotYetKnown` if the carrier has not ended the call yet or does not know it.
        """

    def ask(self, call_id: str) -> CallReport | None:
        """The carrier's report on a call; None if it has no such call. Raises `CarrierUnavailable`."""

    def find(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> CallReport | None:
        """The call that this attempt placed; None if the carrier has no such call. A call is returned only if it is
        certainly this attempt's: it was created after `since` and is not one of `known_call_ids`.

        Raises `CarrierUnavailable`, and `NotYetKnown` also if `seconds_left` is too short.
        """


@dataclass(frozen=True)
class Callback:
    """A carrier's request to a callback URL, as it arrived: only its path is parsed, and nothing is verified.

    `kind`: the part of the path after the attempt, or empty. `urls`: every URL to which the carrier may have sent it.
    Names of `headers` are lower case.
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
    """Nothing proves that the carrier sent this callback, to this URL and recently."""


class UnreadableCallback(Exception):
    """The callback cannot be understood."""


class CallbackReader(Protocol):
    """Verifies and reads a carrier's callbacks. `verify` comes first: nothing in a callback is trusted before."""

    def verify(self, callback: Callback, now: datetime) -> None:
        """Check that the carrier sent the callback. Raises `ForgedCallback`, or the error with which the carrier's
        credentials could not be read."""

    def read(self, callback: Callback) -> CallReport:
        """The report in the callback. Raises `UnreadableCallback`."""


WEBHOOK_SECONDS = 10.0
"""The time limit of a webhook, set by the HTTP contract: name lookup, connection, request, and the head of the
response."""


@dataclass(frozen=True)
class DeliveryAnswer:
    """The result of one POST to a customer's endpoint: the HTTP status, or None with an `error` if there was no
    response.

    `retry_after_seconds`: the wait that the endpoint asked for, if any. `error` is readable and free of secrets.
    `body`: at most 4 KB of a 2xx response.
    """

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks(Protocol):
    """POSTs to customers' endpoints, which never reach private addresses."""

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
        """Sign (Standard Webhooks, timestamp `now`) and send once, for at most `seconds`, without following redirects.
        A failure is returned as an answer, not raised.

        The head of the response decides whether it is accepted; `body` has what arrives with it. `asks`: the whole body
        must arrive in time.
        """


class NoUsableAnswer(Exception):
    """An endpoint did not answer in time, or its answer is invalid. The message says which, without quoting the
    answer."""


class Endpoints(Protocol):
    """Customers' endpoints that are asked before an attempt, by a signed POST. Both methods raise `NoUsableAnswer`."""

    def scrub(
        self, endpoint: Endpoint, execution: Execution, purpose: str | None, secrets: tuple[str, ...], now: datetime
    ) -> "ScrubAnswer":
        """Ask the scrub whether the number may be called for that purpose."""

    def hook(self, endpoint: Endpoint, execution: Execution, secrets: tuple[str, ...], now: datetime) -> "HookAnswer":
        """Ask the pre-dial hook whether the current attempt may be dialled now. The execution must have its
        `user_data`."""


class Undelivered(Protocol):
    """Executions and batches of an account with an undelivered event, or one that waits for its next try.

    The list is an index over the stored items themselves, so it cannot contradict them. It may lag slightly.
    """

    def all(self, account_id: str) -> Iterator[str]:
        """Ids, oldest subject first, page by page. A subject whose events were just delivered or replayed may still be
        among them."""


class Services(Protocol):
    """The ports and settings that use cases need, each built on first use. A process has one `Services`. Times are
    aware UTC.

    A function's role decides what it may use: tally has no carrier, deliver has no lines.
    """

    @property
    def defaults(self) -> Defaults:
        """The stack's defaults, for what neither an agent nor its account sets."""

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
        """The pace of a carrier account whose secret names none; None: unlimited."""

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
        """The current time, in whole milliseconds."""

    def sleep(self, seconds: float) -> None:
        """Block for that many seconds."""

    def each(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """The results of `work` for each item, in order, with up to `workers` at once. Returns when all have ended.
        Raises the error of the first item that failed; items not begun by then are skipped."""

    def new_id(self) -> str:
        """A new UUID: 36 characters, lower case."""

    def random(self) -> float:
        """A number in [0, 1), for jitter."""
