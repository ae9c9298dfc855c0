"""The adapters against models of plain dicts: any sequence of operations gives the same answers.

The answer to any write may be lost: botocore then repeats the write, which must take effect once.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any
from unittest import mock

import boto3
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.idempotency import REMEMBERED
from redial.adapters.dynamodb.sweep_leases import DynamoSweepLeases
from redial.carriers.twilio import LIMITS
from redial.domain.agent import Account, Agent
from redial.domain.api_key import ALL_RIGHTS, ApiKey, KeyRights, KeyScope, NumbersShown
from redial.domain.batch import Batch, contact, contact_id
from redial.domain.decision import stopped
from redial.domain.delivery import Delivery
from redial.domain.execution import Execution
from redial.domain.outcome import CallReport, Outcome, Unknown
from redial.domain.queue import LINES_CHECK, BatchQueueEntry, QueuedCall
from redial.domain.repair import Repair
from redial.domain.status import Status
from redial.ports import Due, IdempotentRequest, StaleVersion, Wanted
from redial.runtime import system
from redial.usecases.dispatch import dispatch_all, enqueue_and_dispatch, release_line
from redial.usecases.sweep import QUESTIONS_AT_ONCE, Sweeper
from redial.wire.packed_execution import MAY_PACK
from redial.wire.stored_execution import DUE_SHARDS
from redial.wire.timestamps import to_ms
from tests.integration.test_queue_of_batches import Started
from tests.support.aws import emulated_aws
from tests.support.examples import examples
from tests.support.samples import (
    ACCOUNT_ID,
    AGENT_ID,
    CALLER_ID,
    NUMBER,
    TEN,
    agent,
    minutes,
    placed,
    queued,
    reported,
    seconds,
)
from tests.support.services import TableServices, table_services
from tests.support.table import TABLE_NAME, create_table

TAKEN = minutes(5)
"""How long a contact popped from a delayed set has to be dialled."""
NOW = st.integers(0, 30).map(lambda n: TEN + minutes(n))
FAR = st.sampled_from(
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
"""Instants, some of them before and after those that a listing's keys can represent."""
LOST = st.sampled_from([0] * 7 + [1, 1, 2])
"""Which write of a method loses its answer, so that it is repeated (0: none)."""
few = settings(max_examples=examples(15), stateful_step_count=40)


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    """The emulated DynamoDB. Each example has its own table."""
    with emulated_aws():
        yield


class _Client:
    """A client that can send a write twice, as botocore does when an answer is lost."""

    WRITES = frozenset({"put_item", "update_item", "delete_item", "batch_execute_statement"})

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb")
        create_table(self.client)
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if name not in self.WRITES:
            return method

        def write(**arguments: Any) -> Any:
            self.lost -= 1
            if self.lost == 0:
                method(**arguments)
            return method(**arguments)

        return write

    @contextmanager
    def losing(self, number: int) -> Iterator[None]:
        self.lost = number
        yield
        self.lost = 0


class _Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.client = _Client()
        self.services = table_services(self.client)  # type: ignore[arg-type]

    def losing(self, number: int) -> Any:
        """Lose the answer to write number `number` within the context."""
        return self.client.losing(number)

    def teardown(self) -> None:
        self.client.client.delete_table(TableName=TABLE_NAME)


# ---- executions -----------------------------------------------------------------------------------------------------

IDS = [str(uuid.UUID(int=n, version=4)) for n in range(6)]
BATCHES = ["0123456789abcdef0123456789abcdef", "00000000000000000000000000000001"]
STEP = st.sampled_from(["stop", "claim", "due", "none", "give up", "back off", "replay"])
VERSION_BACK = st.sampled_from([0, 0, 0, 1, -1])
"""The offset from the stored version (0: the stored version itself)."""


def stored_batch(batch_id: str, now: datetime = TEN) -> Batch:
    return Batch(batch_id, ACCOUNT_ID, AGENT_ID, now, "contacts.csv", version=1).begin(now, start=False)


def created(execution: Execution) -> Execution:
    """The execution as read after its creation."""
    return replace(execution, version=1, newer={MAY_PACK: True})


class ExecutionStore(_Machine):
    """Executions, the due index, and the listings."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.services.executions
        self.model: dict[str, Execution] = {}

    @rule(one=st.sampled_from(IDS), lost=LOST, now=NOW, later=st.booleans(), other=st.booleans())
    def create(self, one: str, lost: int, now: datetime, later: bool, other: bool) -> None:
        execution = Execution(one, ACCOUNT_ID, IDS[5] if other else AGENT_ID, now, NUMBER)
        execution = execution.begin(now, now + minutes(60) if later else None).with_due(now)
        with self.losing(lost):
            is_new = self.store.create(execution)
        new = created(execution)
        assert is_new == (self.model.get(one, new) == new), "the very same again is the same write again"
        self.model.setdefault(one, new)

    @rule(batch_id=st.sampled_from(BATCHES), rows=st.sets(st.integers(1, 30), max_size=30), lost=LOST)
    def create_contacts(self, batch_id: str, rows: set[int], lost: int) -> None:
        contacts = [contact(stored_batch(batch_id), row, NUMBER, {"row": f"{row}"}) for row in sorted(rows)]
        with self.losing(lost):
            self.store.create_contacts(contacts)
        for one in contacts:
            self.model.setdefault(one.id, created(one))

    @rule(data=st.data(), back=VERSION_BACK, lost=LOST, now=NOW, step=STEP)
    def save(self, data: st.DataObject, back: int, lost: int, now: datetime, step: str) -> None:
        if not self.model:
            return
        stored = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        changed = replace(stored, version=stored.version - back)
        if stored.state.is_waiting and step == "stop":
            changed = changed.end(now, stopped("stopped by request"))
        elif stored.state.is_waiting and step == "claim":
            changed = changed.claim(now, CALLER_ID, 3, f"{now:%M}{back}")
        elif step == "give up":
            changed = replace(changed, delivery=Delivery(settled=1, undelivered=(1,)))
        elif step == "back off":
            changed = replace(changed, delivery=Delivery(tries=2, next_try_at=now + timedelta(minutes=1)))
        elif step == "replay":
            changed = replace(changed, delivery=changed.delivery.replay())
        elif stored.state.is_dialling:
            changed = changed.answered_by_carrier(1, Unknown("read timed out"), now, 0.5)
        changed = changed if step == "none" else changed.with_due(now)
        with self.losing(lost):
            if back == 0 or replace(changed, version=changed.version + 1) == stored:
                assert self.store.save(changed) == replace(changed, version=changed.version + 1)
                self.model[stored.id] = replace(changed, version=changed.version + 1)
            else:
                with pytest.raises(StaleVersion):
                    self.store.save(changed)

    @rule(
        one=st.sampled_from([*IDS, *(contact_id(BATCHES[0], row) for row in (1, 2, 3))]), back=VERSION_BACK, lost=LOST
    )
    def remove(self, one: str, back: int, lost: int) -> None:
        stored = self.model.get(one)
        execution = queued(execution_id=one) if stored is None else replace(stored, version=stored.version - back)
        with self.losing(lost):
            if stored is not None and back:
                with pytest.raises(StaleVersion):
                    self.store.remove(execution)
            else:
                self.store.remove(execution)
                self.model.pop(one, None)

    @invariant()
    def what_was_given_up_is_listed(self) -> None:
        """Exactly these executions are listed, the oldest first."""
        listed = list(self.services.undelivered.all(ACCOUNT_ID))
        given_up = [one for one in self.model.values() if one.delivery.is_listed]
        assert set(listed) == {one.id for one in given_up}
        created = [self.model[one].created_at for one in listed]
        assert (len(listed), created) == (len(given_up), sorted(created))

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from([*self.model, *IDS]), unique=True))
        assert self.store.read(ids) == [self.model[one] for one in ids if one in self.model]

    @rule(
        size=st.integers(1, 4),
        status=st.none() | st.sampled_from([Status.QUEUED, Status.STOPPED]),
        since=NOW | FAR,
        until=st.none() | NOW | FAR,
    )
    def list_pages(self, size: int, status: Status | None, since: datetime, until: datetime | None) -> None:
        """An agent's single calls from `since` on, newest first; calls of one instant are ordered by id. Pages by
        number equal pages that continue after the last row."""
        single = [one for one in self.model.values() if one.row is None and one.agent_id == AGENT_ID]
        wanted = [one for one in single if one.created_at >= since and status in (None, one.state.status)]
        wanted = [one for one in wanted if until is None or one.created_at <= until]
        wanted.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        filtered = Wanted(status=status, created_from=since, created_to=until)
        after = None
        for start in range(0, len(wanted) + size, size):
            by_number = self.services.listings.of_agent(ACCOUNT_ID, AGENT_ID, (), filtered, skip=start, most=size)
            going_on = self.services.listings.of_agent(ACCOUNT_ID, AGENT_ID, (), filtered, after=after, most=size)
            assert (by_number.total, going_on.total) == (len(wanted), len(wanted))
            page = list(islice(by_number.rows, size))
            assert [row.execution for row in page] == wanted[start : start + size]
            assert page == list(islice(going_on.rows, size))
            after = page[-1].position if page else after

    @rule(now=NOW)
    def overdue(self, now: datetime) -> None:
        found = [due for shard in range(DUE_SHARDS) for due in self.store.overdue(shard, now)]
        checks = list(self.store.queue_checks(now))
        late = [one for one in self.model.values() if one.due_at is not None and one.due_at <= now]
        for dues, of_queue in ((found, False), (checks, True)):
            expected = [
                Due(one.due_at, execution_id=one.id)
                for one in late
                if one.due_at is not None and one.is_due_for_queue_check == of_queue
            ]
            assert sorted(dues, key=str) == sorted(expected, key=str)
        for shard in range(DUE_SHARDS):
            times = [due.due_at for due in self.store.overdue(shard, now)]
            assert times == sorted(times)

    @invariant()
    def everything_is_as_it_was_stored(self) -> None:
        for one in IDS:
            assert self.store.get(one) == self.model.get(one)
        rows = [contact_id(batch_id, row) for batch_id in BATCHES for row in range(1, 31)]
        assert self.store.read(rows) == [self.model[one] for one in rows if one in self.model]
        open_ones = {one.id for one in self.model.values() if one.row is None and not one.state.is_final}
        assert {*self.store.open_of_agent(AGENT_ID), *self.store.open_of_agent(IDS[5])} == open_ones


ExecutionStore.TestCase.settings = few
TestExecutionStore = ExecutionStore.TestCase


@pytest.fixture
def client() -> Iterator[_Client]:
    made = _Client()
    yield made
    made.client.delete_table(TableName=TABLE_NAME)


@pytest.mark.parametrize(
    ("created_from", "created_to", "found"),
    [
        (TEN, TEN, True),
        (TEN + minutes(1), TEN, False),
        (TEN + timedelta(microseconds=1), TEN, False),
        (None, datetime(1969, 12, 31, 23, 59, tzinfo=UTC), False),
        (datetime(1960, 1, 1, tzinfo=UTC), None, True),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(1960, 1, 1, tzinfo=UTC), False),
        (datetime(2286, 11, 20, 18, tzinfo=UTC), None, False),
        (datetime(2287, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC), False),
        (TEN, datetime(9999, 12, 31, tzinfo=UTC), True),
        (datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), False),
    ],
)
def test_a_listing_accepts_any_two_instants(
    client: Any, created_from: datetime | None, created_to: datetime | None, found: bool
) -> None:
    services = table_services(client)
    services.executions.create(Execution(IDS[0], ACCOUNT_ID, AGENT_ID, TEN, NUMBER).begin(TEN, None))
    for filters in ({}, {"status": Status.QUEUED}, {"user_number": NUMBER}):
        wanted = Wanted(created_from=created_from, created_to=created_to, **filters)
        listing = services.listings.of_agent(ACCOUNT_ID, AGENT_ID, (), wanted)
        assert listing.total == found
        assert [row.execution.id for row in listing.rows] == [IDS[0]] * found


@pytest.mark.parametrize(
    "code",
    [
        *("ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError", "InternalServerError"),
        "TransactionConflict",
    ],
)
def test_a_contact_with_a_temporary_error_is_stored_again(client: Any, code: str) -> None:
    waited: list[float] = []
    really = client.client.batch_execute_statement
    refused: list[Any] = []

    def second_refused(Statements: list[Any]) -> Any:  # noqa: N803  as botocore calls it
        if refused:
            return really(Statements=Statements)
        refused.append(Statements[1])
        answer = really(Statements=[Statements[0], *Statements[2:]])
        answer["Responses"].insert(1, {"Error": {"Code": code, "Message": "not now"}})
        return answer

    client.client.batch_execute_statement = second_refused
    store = DynamoExecutions(client, TABLE_NAME, waited.append)
    contacts = [contact(stored_batch(BATCHES[0]), row, NUMBER, {}) for row in (1, 2, 3)]
    store.create_contacts(contacts)
    assert store.read([one.id for one in contacts]) == [created(one) for one in contacts]
    assert len(refused) == len(waited) == 1


# ---- lines ----------------------------------------------------------------------------------------------------------

AGENT = "1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02"
SHARDS = (0, 1)
CAPACITY = 3
WHO = st.sampled_from(IDS[:5])
ATTEMPT = st.integers(1, 3)
WAITERS = st.builds(lambda one, attempt, ready: QueuedCall(one, attempt, attempt > 1, ready), WHO, ATTEMPT, NOW)


class HeldLines(_Machine):
    """An agent's lines: their holders, and when they must be checked."""

    def __init__(self) -> None:
        super().__init__()
        self.holders: dict[int, dict[str, tuple[int, datetime]]] = {shard: {} for shard in SHARDS}
        self.due: dict[int, datetime | None] = {}  # a shard is in it once a line of it was held

    @rule(
        shard=st.sampled_from(SHARDS), who=WHO, attempt=ATTEMPT, capacity=st.integers(0, CAPACITY), now=NOW, lost=LOST
    )
    def acquire(self, shard: int, who: str, attempt: int, capacity: int, now: datetime, lost: int) -> None:
        held = self.holders[shard]
        if who in held:
            ours, kept = held[who][0] > attempt, held[who][0] <= attempt and len(held) <= capacity
        else:
            ours, kept = False, len(held) < capacity
        with self.losing(lost):
            assert self.services.lines.acquire(ACCOUNT_ID, AGENT, shard, capacity, who, attempt, now) == (ours or kept)
        if kept:
            held[who] = (attempt, now)
            if self.due.get(shard) is None:
                self.due[shard] = now + LINES_CHECK

    @rule(shard=st.sampled_from(SHARDS), who=WHO, attempt=ATTEMPT, since=st.none() | NOW, lost=LOST)
    def release(self, shard: int, who: str, attempt: int, since: datetime | None, lost: int) -> None:
        held = self.holders[shard]
        ours = who in held and held[who][0] == attempt and since in (None, held[who][1])
        with self.losing(lost):
            self.services.lines.release(AGENT, shard, who, attempt, since)
        if ours:
            del held[who]

    @rule(
        shard=st.sampled_from(SHARDS),
        data=st.data(),
        made_up=st.tuples(WHO, ATTEMPT),
        capacity=st.integers(1, CAPACITY),
        to=WAITERS,
        now=NOW,
        since=st.none() | NOW,
        lost=LOST,
    )
    def hand_over(
        self,
        shard: int,
        data: st.DataObject,
        made_up: tuple[str, int],
        capacity: int,
        to: QueuedCall,
        now: datetime,
        since: datetime | None,
        lost: int,
    ) -> None:
        held = self.holders[shard]
        holders = [(one, number) for one, (number, _) in held.items()]
        who, attempt = data.draw(st.sampled_from([*holders, *holders, made_up]))
        may = who in held and held[who][0] == attempt and to.execution_id not in held and len(held) <= capacity
        may = may and since in (None, held[who][1])
        with self.losing(lost):
            handed = self.services.lines.hand_over(AGENT, shard, capacity, who, attempt, to, now, since)
        same_again = who not in held and held.get(to.execution_id) == (to.attempt, now)
        assert handed == (may or same_again), "the very same again is the same write again"
        if may:
            del held[who]
            held[to.execution_id] = (to.attempt, now)

    @rule(shard=st.sampled_from(SHARDS), at=NOW, queue_empty=st.booleans(), lost=LOST)
    def recheck_at(self, shard: int, at: datetime, queue_empty: bool, lost: int) -> None:
        with self.losing(lost):
            self.services.lines.recheck_at(AGENT, shard, at, queue_empty=queue_empty)
        if shard in self.due:
            self.due[shard] = at if self.holders[shard] or not queue_empty else None

    @invariant()
    def lines_are_held_as_they_were_given(self) -> None:
        for shard in SHARDS:
            assert self.services.lines.holders(AGENT, shard) == self.holders[shard]
            assert len(self.holders[shard]) <= CAPACITY
            assert self.services.lines.owner(AGENT, shard) == (ACCOUNT_ID if shard in self.due else None)
        found = list(self.services.due_items.watched())
        expected = [Due(at, agent_id=AGENT, shard=shard) for shard, at in self.due.items() if at is not None]
        assert sorted(found, key=str) == sorted(expected, key=str)


HeldLines.TestCase.settings = few
TestHeldLines = HeldLines.TestCase


def test_concurrent_acquisitions_never_exceed_the_lines() -> None:
    """The shard's item may also be created in between: then the slower request fails to create it."""
    client: Any = _Client()
    late = table_services(client)
    quick = table_services(client.client)
    put_item, given = client.client.put_item, []

    def put_after_another(**arguments: Any) -> Any:
        client.client.put_item = put_item
        given.append(quick.lines.acquire(ACCOUNT_ID, AGENT, 0, 1, IDS[0], 1, TEN))
        return put_item(**arguments)

    try:
        client.client.put_item = put_after_another
        given.append(late.lines.acquire(ACCOUNT_ID, AGENT, 0, 1, IDS[1], 1, TEN))
        assert given == [True, False]
        with ThreadPoolExecutor(8) as many:
            asked = [many.submit(quick.lines.acquire, ACCOUNT_ID, AGENT, 1, 3, f"{n}", 1, TEN) for n in range(24)]
        assert sum(one.result() for one in asked) == 3
        assert len(quick.lines.holders(AGENT, 1)) == 3
    finally:
        client.client.put_item = put_item
        client.delete_table(TableName=TABLE_NAME)


@pytest.mark.parametrize("lost", range(3))
def test_a_shard_of_the_due_index_has_one_worker_at_a_time(client: Any, lost: int) -> None:
    """This also holds if its write's answer is lost. Each hop begins once, and an expired lease may be taken over."""
    store, later = DynamoSweepLeases(client, TABLE_NAME), TEN + minutes(2)
    with client.losing(lost):
        assert store.take("3", "a", 1, TEN, later)
    assert not store.take("3", "b", 1, TEN + minutes(1), later)
    assert not store.take("3", "a", 1, TEN + minutes(1), later + minutes(1)), "the same hop once more"
    assert store.take("4", "b", 1, TEN, later)
    assert (store.held(TEN), store.held(later)) == ({"3", "4"}, set())
    assert store.take("3", "a", 2, TEN + minutes(1), later + minutes(1))
    store.release("3", "a", 1)
    assert store.held(TEN) == {"3", "4"}, "an earlier hop frees nothing"
    with client.losing(lost):
        store.release("3", "a", 2)
    assert store.held(TEN) == {"4"}
    assert store.take("4", "c", 1, later, later + minutes(2))


def test_an_asker_asks_and_stores_in_threads(client: Any) -> None:
    """The carrier answers no question before `QUESTIONS_AT_ONCE` of them have arrived; each call is settled once."""
    together, later = threading.Barrier(QUESTIONS_AT_ONCE, timeout=20), TEN + minutes(30)

    def answer(asked: str) -> CallReport:
        together.wait()
        return CallReport(asked, Status.NO_ANSWER, Outcome(Status.NO_ANSWER))

    carrier = mock.Mock(limits=LIMITS, ask=answer)
    services = table_services(client.client, invoker=Started(), timers=mock.Mock(), each=system.each)
    services.at, services.carrier = later, lambda provider: carrier  # type: ignore[method-assign]
    services.agents.save(agent())
    calls = [f"{n:08d}-0000-4000-8000-000000000003" for n in range(5 * QUESTIONS_AT_ONCE)]
    for one in calls:
        rings = reported(placed(queued(execution_id=one), TEN), Status.RINGING, TEN)
        services.executions.create(rings.with_due(TEN))
    done = Sweeper(services).ask(3, "token", 1, lambda: 50.0)
    repaired = done.repairs[Repair.CALLBACK_LOST]
    assert (done.errors, repaired, done.looked_at) == (0, len(calls), len(calls))
    assert sorted(one.after.id for one in done.changes) == calls
    assert {one.state.attempts[0].status for one in services.executions.read(calls)} == {Status.NO_ANSWER}
    assert services.sweep_leases.held(later) == set()


def test_missing_queue_entries_are_found_together(client: Any) -> None:
    services = table_services(client)
    calls = [QueuedCall(contact_id(BATCHES[0], row), 1 + row % 2, row % 2 == 1, TEN) for row in range(1, 131)]
    for one in calls[::3]:
        services.queue.enqueue(AGENT_ID, one)
    services.queue.enqueue("another", calls[1])
    missing = {one.execution_id for one in calls} - {one.execution_id for one in calls[::3]}
    assert services.queue.absent([(AGENT_ID, one) for one in calls]) == missing
    assert services.queue.absent([]) == set()


HOLDER = IDS[0]
SECOND_TRY = QueuedCall(HOLDER, 2, True, TEN)


def held_by_its_first_try(client: Any, functions: Started) -> TableServices:
    """The only line is held by a finished first attempt, whose invocation was lost before it released the line."""
    services = table_services(client, invoker=functions)
    assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, HOLDER, 1, TEN)
    return services


def test_a_line_is_not_handed_over_within_an_execution(client: Any) -> None:
    services = held_by_its_first_try(client, Started())
    client.client.update_item, update_item = None, client.client.update_item
    assert not services.lines.hand_over(AGENT_ID, 0, 1, HOLDER, 1, SECOND_TRY, TEN), "and DynamoDB is not asked"
    client.client.update_item = update_item
    assert services.lines.holders(AGENT_ID, 0) == {HOLDER: (1, TEN)}


def test_a_line_is_not_handed_over_to_a_call_that_holds_one(client: Any) -> None:
    services, to = table_services(client), QueuedCall(IDS[1], 1, False, TEN)
    for who in (HOLDER, to.execution_id):
        assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 2, who, 1, TEN)
    assert not services.lines.hand_over(AGENT_ID, 0, 2, HOLDER, 1, to, TEN)
    assert services.lines.holders(AGENT_ID, 0) == {HOLDER: (1, TEN), to.execution_id: (1, TEN)}


def test_add_delayed_returns_whether_the_contact_is_the_earliest(client: Any) -> None:
    services = table_services(client)
    services.queue.join(BatchQueueEntry(BATCHES[0], AGENT_ID, 1, 9, TEN))
    first, second = QueuedCall(IDS[0], 2, True, TEN), QueuedCall(IDS[1], 2, True, TEN)
    assert [services.delayed.add(AGENT_ID, BATCHES[0], one) for one in (first, second, first)] == [True, False, True]
    with client.losing(2):
        assert services.delayed.add(AGENT_ID, BATCHES[0], replace(first, ready_at=TEN - minutes(1)))


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_line_goes_to_the_next_attempt_of_its_own_execution(client: Any, lost: int) -> None:
    functions, one = Started(), agent(max_concurrent_calls=1)
    services = held_by_its_first_try(client, functions)
    services.queue.enqueue(AGENT_ID, SECOND_TRY)
    with client.losing(lost):
        release_line(services, one, 0, HOLDER, 1, TEN + minutes(1))
    assert services.lines.holders(AGENT_ID, 0) == {HOLDER: (2, TEN + minutes(1))}
    assert functions.dials == [(HOLDER, 0, None)]
    assert services.queue.front(AGENT_ID).calls == []


def test_a_lost_line_is_released_and_then_given_to_its_delayed_next_attempt(client: Any) -> None:
    functions, one = Started(), agent(max_concurrent_calls=1)
    services = held_by_its_first_try(client, functions)
    services.queue.join(BatchQueueEntry(BATCHES[0], AGENT_ID, 10, 9, TEN))
    services.delayed.add(AGENT_ID, BATCHES[0], SECOND_TRY)
    release_line(services, one, 0, HOLDER, 1, TEN + minutes(1))
    assert (services.lines.holders(AGENT_ID, 0), functions.dials) == ({}, [])
    dispatch_all(services, one, TEN + minutes(1) + TAKEN)
    assert services.lines.holders(AGENT_ID, 0) == {HOLDER: (2, TEN + minutes(1) + TAKEN)}
    assert functions.dials == [(HOLDER, 0, None)]


@pytest.mark.parametrize("where", ["queue", "delayed", "row"])
def test_a_call_that_is_handed_a_line_is_dialled_even_if_the_answer_is_lost(client: Any, where: str) -> None:
    functions, one = Started(), agent(max_concurrent_calls=1)
    services = held_by_its_first_try(client, functions)
    services.queue.join(BatchQueueEntry(BATCHES[0], AGENT_ID, 9, 9 if where == "row" else 8, TEN))
    following = QueuedCall(contact_id(BATCHES[0], 9), 1 if where == "row" else 2, where != "row", TEN)
    if where == "queue":
        services.queue.enqueue(AGENT_ID, following)
    elif where == "delayed":
        services.delayed.add(AGENT_ID, BATCHES[0], following)
    with client.losing({"queue": 1, "delayed": 3, "row": 2}[where]):  # after the writes of the hand-over
        release_line(services, one, 0, HOLDER, 1, TEN)
    assert services.lines.holders(AGENT_ID, 0) == {following.execution_id: (following.attempt, TEN)}
    assert functions.dials == [(following.execution_id, 0, None)]
    assert services.queue.front(AGENT_ID).calls == []


def test_a_call_that_queues_while_a_line_is_freed_is_dialled_even_if_the_answer_is_lost(client: Any) -> None:
    functions, one = Started(), agent(max_concurrent_calls=1)
    services = held_by_its_first_try(client, functions)
    update_item, other = client.client.update_item, QueuedCall(IDS[1], 1, False, TEN)

    def queue_meanwhile(**arguments: Any) -> Any:
        if client.client.update_item is not update_item:
            client.client.update_item = update_item
            enqueue_and_dispatch(services, one, other, TEN)
            assert functions.dials == [], "no line is free yet"
        return update_item(**arguments)

    client.client.update_item = queue_meanwhile
    with client.losing(1):
        release_line(services, one, 0, HOLDER, 1, TEN)
    assert services.lines.holders(AGENT_ID, 0) == {IDS[1]: (1, TEN)}
    assert functions.dials == [(IDS[1], 0, None)]


# ---- the queue and the delayed sets ----------------------------------------------------------------------------------


WHICH = st.sampled_from([BATCHES[0], BATCHES[0], BATCHES[1]])


class _Entries(_Machine):
    """The queue entries of batches."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, BatchQueueEntry] = {}

    @initialize(interval=st.none() | st.integers(1, 9000))
    def one_has_joined(self, interval: int | None) -> None:
        self.join(BATCHES[0], 1, 9, interval, paused=False, first=False, now=TEN, lost=0)

    @rule(
        batch_id=st.sampled_from(BATCHES),
        next_row=st.integers(1, 3),
        rows=st.integers(0, 4),
        interval=st.none() | st.integers(1, 9000),
        paused=st.booleans(),
        first=st.booleans(),
        now=NOW,
        lost=LOST,
    )
    def join(
        self,
        batch_id: str,
        next_row: int,
        rows: int,
        interval: int | None,
        paused: bool,
        first: bool,
        now: datetime,
        lost: int,
    ) -> None:
        every = None if interval is None else timedelta(milliseconds=interval)
        entry = BatchQueueEntry(batch_id, AGENT, next_row, next_row + rows - 1, now, every, None, None, paused, first)
        with self.losing(lost):
            self.services.queue.join(entry)
        self.entries.setdefault(batch_id, entry)

    @rule(batch_id=st.sampled_from(BATCHES), really=st.sampled_from([False] * 5 + [True]), lost=LOST)
    def leave(self, batch_id: str, really: bool, lost: int) -> None:
        if really:
            with self.losing(lost):
                self.services.queue.leave(AGENT, batch_id)
            self.entries.pop(batch_id, None)

    @rule(batch_id=st.sampled_from(BATCHES), paused=st.booleans(), lost=LOST)
    def pause(self, batch_id: str, paused: bool, lost: int) -> None:
        with self.losing(lost):
            self.services.queue.pause(AGENT, batch_id, paused)
        if batch_id in self.entries:
            self.entries[batch_id] = replace(self.entries[batch_id], paused=paused)

    def as_read(self, batch_id: str, stale: bool) -> BatchQueueEntry | None:
        """A batch's queue entry as read: current, or from before another start was reserved."""
        entry = self.entries.get(batch_id)
        if entry is None or not stale:
            return entry
        return replace(entry, next_at=TEN - minutes(1))

    def started(self, read: BatchQueueEntry, now: datetime) -> datetime | None:
        """The model's reservation of a start by the batch's rate; None without a rate."""
        at = None if read.interval is None else now if read.next_at is None else max(now, read.next_at)
        next_at = read.next_at if at is None or read.interval is None else at + read.interval
        self.entries[read.batch_id] = replace(self.entries[read.batch_id], served_at=now, next_at=next_at)
        return at

    @invariant()
    def batches_stand_as_they_joined(self) -> None:
        for batch_id in BATCHES:
            assert self.services.queue.batch_entry(AGENT, batch_id) == self.entries.get(batch_id)


class AgentQueue(_Entries):
    """Queued calls, and the entries of batches with contacts not yet dialled."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[tuple[bool, datetime, str], QueuedCall] = {}

    @rule(call=WAITERS, lost=LOST)
    def enqueue(self, call: QueuedCall, lost: int) -> None:
        with self.losing(lost):
            self.services.queue.enqueue(AGENT, call)
        self.waiting[not call.retry, call.ready_at, call.execution_id] = call

    @rule(data=st.data(), made_up=WAITERS, lost=LOST)
    def dequeue(self, data: st.DataObject, made_up: QueuedCall, lost: int) -> None:
        call = data.draw(st.sampled_from([*self.waiting.values(), made_up]))
        with self.losing(lost):
            self.services.queue.dequeue(AGENT, call)
        self.waiting.pop((not call.retry, call.ready_at, call.execution_id), None)

    @rule(batch_id=WHICH, stale=st.sampled_from([False, False, True]), now=NOW, lost=LOST)
    def next_contact(self, batch_id: str, stale: bool, now: datetime, lost: int) -> None:
        read = self.as_read(batch_id, stale)
        if read is None:
            return
        entry = self.entries[batch_id]
        may = entry.next_row <= entry.last_row and not entry.paused
        may = may and (entry.interval is None or not stale)
        if may and lost == 1 and entry.interval is None:
            lost = 0  # without a rate the row is then skipped, and the audit finds it
        with self.losing(lost):
            taken = self.services.queue.next_contact(read, now)
        if not may:
            assert taken is None
            return
        at = self.started(replace(read, next_at=entry.next_at), now)
        self.entries[batch_id] = replace(self.entries[batch_id], next_row=entry.next_row + 1)
        assert taken == (None if lost == 1 else (entry.next_row, at))

    @rule(batch_id=WHICH, stale=st.sampled_from([False, False, True]), now=NOW, lost=LOST)
    def reserve_start(self, batch_id: str, stale: bool, now: datetime, lost: int) -> None:
        read = self.as_read(batch_id, stale)
        if read is None:
            return
        if read.interval is None:
            with pytest.raises(ValueError):
                self.services.queue.reserve_start(read, now)
            return
        with self.losing(lost):
            reserved = self.services.queue.reserve_start(read, now)
        if stale:
            assert reserved is None
        else:
            at = self.started(read, now)
            assert reserved == (None if lost == 1 else at)

    @invariant()
    def the_queue_is_in_order(self) -> None:
        queue = self.services.queue.front(AGENT)
        in_order = [self.waiting[key] for key in sorted(self.waiting)]
        assert queue.calls == in_order[: len(queue.calls)]
        assert bool(queue.calls) == bool(in_order)
        if not any(one.retry for one in in_order):
            assert queue.batches == [self.entries[one] for one in sorted(self.entries)]


AgentQueue.TestCase.settings = few
TestAgentQueue = AgentQueue.TestCase


class BatchRooms(_Entries):
    """Contacts in their batch's delayed set."""

    def __init__(self) -> None:
        super().__init__()
        self.delayed_sets: dict[str, dict[tuple[datetime, str], tuple[QueuedCall, datetime | None]]] = {
            one: {} for one in BATCHES
        }
        self.earliest: dict[str, str] = {}

    @rule(batch_id=st.sampled_from(BATCHES), really=st.sampled_from([False] * 5 + [True]), lost=LOST)
    def leave(self, batch_id: str, really: bool, lost: int) -> None:
        super().leave(batch_id, really, lost)
        if really:
            self.earliest.pop(batch_id, None)

    @rule(batch_id=WHICH, call=WAITERS, lost=LOST)
    def add_delayed(self, batch_id: str, call: QueuedCall, lost: int) -> None:
        with self.losing(lost):
            first = self.services.delayed.add(AGENT, batch_id, call)
        self.delayed_sets[batch_id][call.ready_at, call.execution_id] = (call, None)
        entry = self.entries.get(batch_id)
        earliest = entry is not None and (entry.delayed_from is None or entry.delayed_from > call.ready_at)
        same_again = entry is not None and entry.delayed_from == call.ready_at
        same_again = same_again and self.earliest.get(batch_id) == call.execution_id
        assert first == (earliest or same_again), "the very same again is the same write again"
        if earliest and entry is not None:
            self.entries[batch_id] = replace(entry, delayed_from=call.ready_at)
            self.earliest[batch_id] = call.execution_id

    @rule(batch_id=WHICH, stale=st.sampled_from([False, False, True]), now=NOW, lost=LOST)
    def pop_delayed(self, batch_id: str, stale: bool, now: datetime, lost: int) -> None:
        read = self.as_read(batch_id, stale)
        if read is None:
            return
        delayed = self.delayed_sets[batch_id]
        takeable = {
            key: call.ready_at if since is None else max(call.ready_at, since + TAKEN)
            for key, (call, since) in delayed.items()
        }
        at_their_time = [key for key in sorted(delayed) if key[0] <= now]
        due = next((key for key in at_their_time if takeable[key] <= now), None)
        lost = lost if due is not None else 0
        with self.losing(lost):
            taken = self.services.delayed.pop_due(read, now)
        if due is None:
            assert taken is None
            if read.delayed_from is not None:
                first = min(takeable.values(), default=None)
                self.entries[batch_id] = replace(self.entries[batch_id], delayed_from=first)
            return
        call, _ = delayed[due]
        if lost == 1:
            delayed[due] = (call, now)  # the answer was lost: it can be popped again in some minutes
        elif read.interval is not None and (stale or lost == 2):
            delayed[due] = (call, None)
            if not stale:
                self.started(read, now)
            entry = self.entries[batch_id]
            if entry.delayed_from is None or entry.delayed_from > call.ready_at:
                self.entries[batch_id] = replace(entry, delayed_from=call.ready_at)
        else:
            delayed[due] = (call, now)
            assert taken == (call, self.started(replace(read, next_at=self.entries[batch_id].next_at), now))
            return
        assert taken is None, "another was quicker, or the answer was lost"

    @rule(batch_id=WHICH, now=NOW, moved_to=st.none() | NOW, moved=st.booleans(), lost=LOST)
    def repair_delayed(self, batch_id: str, now: datetime, moved_to: datetime | None, moved: bool, lost: int) -> None:
        """However the next time was set, after the repair it is not later than the first entry's."""
        entry = self.entries.get(batch_id)
        if entry is not None and moved:
            update: dict[str, Any] = {"UpdateExpression": "REMOVE rf"}
            if moved_to is not None:
                value = {":at": {"N": str(to_ms(moved_to))}}
                update = {"UpdateExpression": "SET rf = :at", "ExpressionAttributeValues": value}
            key = {"pk": {"S": f"Q#{AGENT}"}, "sk": {"S": f"0b#{batch_id}"}}
            self.client.update_item(TableName=TABLE_NAME, Key=key, **update)
            entry = self.entries[batch_id] = replace(entry, delayed_from=moved_to)
        first = min(
            (
                call.ready_at if since is None else max(call.ready_at, since + TAKEN)
                for call, since in self.delayed_sets[batch_id].values()
            ),
            default=None,
        )
        with self.losing(lost):
            corrected = self.services.delayed.repair(AGENT, batch_id)
        if entry is None or first is None or (entry.delayed_from is not None and entry.delayed_from <= first):
            assert not corrected
            return
        assert corrected == (lost != 1), "the very same write again changes nothing"
        self.entries[batch_id] = replace(entry, delayed_from=first)

    @rule(batch_id=WHICH, others=st.sets(WAITERS, max_size=3))
    def absent_from_delayed(self, batch_id: str, others: set[QueuedCall]) -> None:
        there = {call for call, _ in self.delayed_sets[batch_id].values()}
        by_place = {(one.ready_at, one.execution_id): one for one in (*others, *there)}  # a key is requested once
        asked = list(by_place.values())
        absent = [one for one in asked if (one.ready_at, one.execution_id) not in self.delayed_sets[batch_id]]
        assert self.services.delayed.absent(batch_id, asked) == absent

    @rule(batch_id=WHICH, data=st.data(), made_up=WAITERS, lost=LOST)
    def remove_delayed(self, batch_id: str, data: st.DataObject, made_up: QueuedCall, lost: int) -> None:
        call = data.draw(st.sampled_from([*(one for one, _ in self.delayed_sets[batch_id].values()), made_up]))
        with self.losing(lost):
            self.services.delayed.remove(batch_id, call)
        self.delayed_sets[batch_id].pop((call.ready_at, call.execution_id), None)

    @rule(batch_id=WHICH, really=st.sampled_from([False, False, False, True]), lost=LOST)
    def clear_delayed(self, batch_id: str, really: bool, lost: int) -> None:
        if really:
            with self.losing(lost):
                self.services.delayed.clear(batch_id)
            self.delayed_sets[batch_id].clear()

    @invariant()
    def rooms_have_who_entered_them(self) -> None:
        for batch_id in BATCHES:
            times = sorted({ready for ready, _ in self.delayed_sets[batch_id]})
            after, found = TEN - seconds(1), []
            while (following := self.services.delayed.next_due(batch_id, after)) is not None:
                found.append(following)
                after = following
            assert found == times


BatchRooms.TestCase.settings = few
TestBatchRooms = BatchRooms.TestCase


def test_a_popped_contact_that_is_never_dialled_is_rechecked_before_the_next_is_due() -> None:
    client: Any = _Client()
    services = table_services(client)
    try:
        services.queue.join(BatchQueueEntry(BATCHES[0], AGENT, 1, 9, TEN))
        lost, later = QueuedCall(IDS[0], 2, True, TEN), QueuedCall(IDS[1], 2, True, TEN + minutes(600))
        for call in (lost, later):
            services.delayed.add(AGENT, BATCHES[0], call)
        taken = []
        for now in (TEN, TEN + minutes(1)):
            entry = services.queue.batch_entry(AGENT, BATCHES[0])
            assert entry is not None
            taken.append(services.delayed.pop_due(entry, now))
        assert taken == [(lost, None), None]
        entry = services.queue.batch_entry(AGENT, BATCHES[0])
        assert entry is not None and entry.delayed_from == TEN + TAKEN
    finally:
        client.delete_table(TableName=TABLE_NAME)


# ---- all else -------------------------------------------------------------------------------------------------------

ACCOUNTS = ["first", "other"]
KEYS = ["a", "b", "é" * 3]
RECORDS = count(1)


FEW_RIGHTS = KeyRights((KeyScope.READ,), ("agent-1",), NumbersShown.MASKED, 100)


class OtherStores(_Machine):
    """Batches and their counts, agents, accounts and their keys, and idempotency keys."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_store, self.agent_store = self.services.batches, self.services.agents
        self.account_store, self.keys = self.services.accounts, self.services.idempotency
        self.undelivered = self.services.undelivered
        self.batches: dict[str, Batch] = {}
        self.counts: dict[str, dict[str, tuple[Counter[str], str]]] = {one: {} for one in BATCHES}
        self.agents: dict[tuple[str, str], Agent] = {}
        self.accounts: dict[str, Account] = {}
        self.api_keys: dict[str, tuple[str, ApiKey]] = {}
        self.requests: dict[tuple[str, str], tuple[IdempotentRequest, datetime]] = {}

    # Batches and counts.

    @rule(batch_id=st.sampled_from(BATCHES), now=NOW, lost=LOST)
    def create_batch(self, batch_id: str, now: datetime, lost: int) -> None:
        batch = stored_batch(batch_id, now).with_due(now)
        with self.losing(lost):
            created = self.batch_store.create(batch)
        assert created == (self.batches.get(batch_id, batch) == batch), "the very same again is the same write again"
        self.batches.setdefault(batch_id, batch)

    @rule(
        batch_id=st.sampled_from(BATCHES),
        back=VERSION_BACK,
        deleted=st.sampled_from([False, False, True]),
        given_up=st.sampled_from([(), (1,)]),
        now=NOW,
        lost=LOST,
    )
    def save_batch(
        self, batch_id: str, back: int, deleted: bool, given_up: tuple[int, ...], now: datetime, lost: int
    ) -> None:
        stored = self.batches.get(batch_id)
        if stored is None:
            return
        delivery = Delivery(settled=1, undelivered=given_up)
        changed = replace(stored, version=stored.version - back, total=stored.total + 1, delivery=delivery)
        changed = changed.delete(now) if deleted else changed.with_due(now)
        with self.losing(lost):
            if back:
                with pytest.raises(StaleVersion):
                    self.batch_store.save(changed)
            else:
                saved = self.batch_store.save(changed)
                assert saved == replace(changed, version=stored.version + 1)
                self.batches[batch_id] = saved

    @rule(batch_id=st.sampled_from(BATCHES), now=NOW, lost=LOST)
    def remove_batch(self, batch_id: str, now: datetime, lost: int) -> None:
        """Its counts are deleted, and its tombstone reserves its id."""
        with self.losing(lost):
            self.batch_store.remove_counts(batch_id)
        self.counts[batch_id].clear()
        stored = self.batches.get(batch_id)
        if stored is not None:
            self.batches[batch_id] = self.batch_store.save(stored.removed(now).with_due(now))

    @rule(
        batch_id=st.sampled_from(BATCHES),
        shard=st.sampled_from(["s1", "s2"]),
        deltas=st.dictionaries(st.sampled_from(["queued", "in-progress", "completed"]), st.integers(-3, 3)),
        behind=st.sampled_from([False] * 4 + [True]),
        lost=LOST,
    )
    def count(self, batch_id: str, shard: str, deltas: dict[str, int], behind: bool, lost: int) -> None:
        """A delta is counted once, even if a slower counter, or a write whose answer was lost, counts again."""
        counted, last = self.counts[batch_id].get(shard, (Counter(), None))
        up_to = f"{next(RECORDS):020d}"
        after = "an earlier record" if behind else last
        stale = after != last or lost == 1
        with self.losing(lost):
            if stale:
                with pytest.raises(StaleVersion):
                    self.batch_store.count(batch_id, shard, deltas, after, up_to)
            else:
                self.batch_store.count(batch_id, shard, deltas, after, up_to)
        if after == last:
            self.counts[batch_id][shard] = (Counter({**counted}), up_to)
            for status, delta in deltas.items():
                self.counts[batch_id][shard][0][status] += delta

    # Agents.

    @rule(
        account=st.sampled_from(ACCOUNTS),
        one=st.sampled_from(IDS[:2]),
        back=VERSION_BACK,
        gone=st.booleans(),
        now=NOW,
        lost=LOST,
    )
    def save_agent(self, account: str, one: str, back: int, gone: bool, now: datetime, lost: int) -> None:
        stored = self.agents.get((account, one))
        version = 0 if stored is None else stored.version - back
        changed = agent(
            agent_id=one,
            account_id=account,
            version=version,
            created_at=TEN,
            updated_at=now,
            config={"n": [1.5, None]},
            deleted_at=now if gone else None,
            call_start_hour=9,
            call_end_hour=18,
            webhook_url="https://example.com",
        )
        saved = replace(changed, version=version + 1)
        with self.losing(lost):
            if stored is not None and back and saved != stored:
                with pytest.raises(StaleVersion):
                    self.agent_store.save(changed)
            else:
                assert self.agent_store.save(changed) == saved, "the very same again is the same write again"
                self.agents[account, one] = saved

    # Accounts and keys.

    @rule(account=st.sampled_from(ACCOUNTS), now=NOW)
    def create_account(self, account: str, now: datetime) -> None:
        new = Account(account, f"Account {account}", now, ("whsec_1",))
        assert self.account_store.create(new) == (account not in self.accounts)
        self.accounts.setdefault(account, new)

    @rule(account=st.sampled_from(ACCOUNTS), secret=st.sampled_from(["whsec_2", "whsec_3"]), stale=st.booleans())
    def replace_secrets(self, account: str, secret: str, stale: bool) -> None:
        if account in self.accounts:
            stored = self.accounts[account]
            read = replace(stored, webhook_secrets=("whsec_0",)) if stale else stored
            secrets = (secret, stored.webhook_secrets[0])
            assert self.account_store.replace_secrets(read, secrets) == (not stale)
            self.accounts[account] = stored if stale else replace(stored, webhook_secrets=secrets)

    @rule(account=st.sampled_from(ACCOUNTS), now=NOW, rights=st.sampled_from([ALL_RIGHTS, FEW_RIGHTS]))
    def add_key(self, account: str, now: datetime, rights: KeyRights) -> None:
        number = len(self.api_keys)
        key = ApiKey(f"key-{number}", account, "production", now, rights=rights)
        self.account_store.add_key(key, f"hash-{number}")
        self.api_keys[f"hash-{number}"] = (account, key)

    @rule(account=st.sampled_from(ACCOUNTS), number=st.integers(0, 5), now=NOW)
    def revoke_key(self, account: str, number: int, now: datetime) -> None:
        """Only a key of the account is revoked; the time of the first revocation stays."""
        owner, key = self.api_keys.get(f"hash-{number}", (None, None))
        assert self.account_store.revoke_key(account, f"key-{number}", now) == (owner == account)
        if key is not None and owner == account:
            self.api_keys[f"hash-{number}"] = (account, replace(key, revoked_at=key.revoked_at or now))

    # Idempotency keys.

    @rule(
        account=st.sampled_from(ACCOUNTS),
        key=st.sampled_from(KEYS),
        hours=st.sampled_from([0, 1, 24, 25, 48, 49]),
        ours=st.uuids(),
        lost=LOST,
    )
    def claim_key(self, account: str, key: str, hours: int, ours: uuid.UUID, lost: int) -> None:
        now = TEN + timedelta(hours=hours)
        request = IdempotentRequest(str(ours), f"hash of {ours}")
        before = self.live_request(account, key, now)
        assert self.keys.find(account, key, now) == before
        with self.losing(lost):
            claimed = self.keys.claim(account, key, request, now)
        assert claimed == (before if before is not None else request if lost == 1 else None)
        if before is None:
            self.requests[account, key] = (request, now + REMEMBERED)
        assert self.keys.find(account, key, now) == (before or request)

    def live_request(self, account: str, key: str, now: datetime) -> IdempotentRequest | None:
        request, until = self.requests.get((account, key), (None, now))
        return request if until > now else None

    # Invariants.

    @invariant()
    def batches_are_as_they_were_stored(self) -> None:
        for one in BATCHES:
            assert self.batch_store.get(one) == self.batches.get(one)
            total: Counter[str] = Counter()
            for shard, (counted, last) in self.counts[one].items():
                total.update(counted)
                assert self.batch_store.counted_up_to(one, shard) == last
            assert self.batch_store.counts(one) == {status: n for status, n in sorted(total.items()) if n}
        alive = [one for one in self.batches.values() if one.deleted_at is None]
        alive.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        assert self.batch_store.of_agent(AGENT_ID) == alive
        assert set(self.undelivered.all(ACCOUNT_ID)) == {one.id for one in alive if one.delivery.is_listed}

    @invariant()
    def accounts_have_their_own(self) -> None:
        for account in ACCOUNTS:
            assert self.account_store.get(account) == self.accounts.get(account)
            own = [one for (owner, _), one in self.agents.items() if owner == account]
            assert sorted(self.agent_store.all(account), key=str) == sorted(
                (one for one in own if one.deleted_at is None), key=str
            )
            for one in IDS[:2]:
                assert self.agent_store.get(account, one) == self.agents.get((account, one))
            keys = [key for owner, key in self.api_keys.values() if owner == account]
            assert self.account_store.keys(account) == sorted(keys, key=lambda key: (key.created_at, key.key_id))
        for number in range(6):
            owner, key = self.api_keys.get(f"hash-{number}", (None, None))
            live = key is not None and key.revoked_at is None
            found = self.account_store.caller_of_key(f"hash-{number}")
            seen = None if found is None else (found.account_id, found.key_id, found.rights)
            assert seen == ((owner, f"key-{number}", key.rights) if live and key is not None else None)


OtherStores.TestCase.settings = few
TestOtherStores = OtherStores.TestCase
