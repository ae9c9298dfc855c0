"""The rules of a batch: transitions, next work, and its stored form."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.batch import (
    TOMBSTONE_LIFE,
    WORK_LEASE,
    Batch,
    BatchStatus,
    Recount,
    all_final,
    contact,
    contact_id,
    is_batch_id,
    subject,
)
from redial.domain.decision import opens, waits
from redial.domain.execution import MILLISECOND
from redial.domain.status import Status
from redial.wire.batch_json import humanized, render, render_event
from redial.wire.stored_batch import decode, encode
from redial.wire.stored_execution import encode as encode_execution
from redial.wire.stored_execution import status_of
from tests.support.examples import examples
from tests.support.samples import ACCOUNT_ID, AGENT_ID, NUMBER, RETRIES, TEN, minutes, saved

BATCH_ID = "0123456789abcdef0123456789abcdef"


def created(start: bool = False) -> Batch:
    return Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv", retry_config=RETRIES, version=1).begin(TEN, start)


def read(valid: int = 3) -> Batch:
    return created().processed(valid + 1, valid, TEN + minutes(1))


def running() -> Batch:
    return read().schedule(TEN + minutes(10), False, TEN + minutes(2)).run(TEN + minutes(10))


def statuses(batch: Batch) -> list[str]:
    return [str(change.status) for change in batch.changes]


def test_a_batchs_statuses_only_move_forward_and_each_is_an_event() -> None:
    done = running().complete(TEN + minutes(20), {"completed": 3})
    assert statuses(done) == ["created", "processed", "scheduled", "queued", "running", "completed"]
    times = [change.at for change in done.changes]
    assert times == sorted(set(times)), "updated_at strictly rises"
    assert done.pending() == (1, 2, 3, 4, 5, 6)
    assert render_event(done, 2)["status"] == "processed"
    assert render_event(done, 6)["execution_status"] == {"completed": 3}


def test_a_batch_scheduled_while_its_file_is_read_is_not_processed_afterwards() -> None:
    scheduled = created().schedule(TEN + minutes(10), True, TEN)
    assert statuses(scheduled.processed(3, 3, TEN + minutes(1))) == ["created", "scheduled"]
    assert scheduled.bypass_call_guardrails


@pytest.mark.parametrize(
    ("batch", "work"),
    [
        (created(), "ingest"),
        (read(), None),
        (read().schedule(TEN + minutes(10), False, TEN + minutes(2)), None),
        (created(start=True).processed(3, 3, TEN), "start"),
        (running(), "audit"),
        (replace(running(), results_wanted=True), "results"),
        (running().stop(TEN, "stopped by request", {}), "clear"),
        (replace(running().stop(TEN, "", {}), cleared=True), None),
        (running().complete(TEN, {}), "leave"),
        (created().fail("line 2 is no text", TEN), "clear"),
        (running().delete(TEN), "delete"),
        (replace(running().delete(TEN), cleared=True), "delete again"),
    ],
)
def test_the_next_work_follows_from_the_batchs_state(batch: Batch, work: str | None) -> None:
    assert batch.work(TEN + minutes(3)) == work
    due = batch.with_due(TEN + minutes(3)).due_at
    assert due is not None, "a recheck is due: its events are not delivered yet"
    told = replace(batch, delivery=replace(batch.delivery, settled=batch.last_sequence)).with_due(TEN + minutes(3))
    waits_for_its_start = batch.timer is not None and not batch.is_over
    assert (told.due_at is not None) == (work is not None or waits_for_its_start)


def test_a_due_batch_starts_at_its_time_and_not_before() -> None:
    scheduled = read().schedule(TEN + minutes(10), False, TEN)
    assert scheduled.work(TEN + minutes(9)) is None
    assert scheduled.work(TEN + minutes(10)) == "start"


def test_one_worker_at_a_time_holds_a_batchs_lease() -> None:
    taken = created().take_work("first", TEN)
    assert taken is not None
    assert taken.take_work("second", TEN + minutes(10)) is None
    assert taken.take_work("first", TEN + minutes(10)) is not None
    assert taken.take_work("second", TEN + minutes(17)) is not None
    assert taken.leave_work().take_work("second", TEN) is not None


@pytest.mark.parametrize("batch", [created(), read(), read().fail("x", TEN), running().complete(TEN, {})])
def test_only_a_stoppable_batch_can_be_stopped(batch: Batch) -> None:
    with pytest.raises(ValueError):
        batch.stop(TEN, "", {})


@pytest.mark.parametrize("batch", [running(), running().complete(TEN, {}), running().stop(TEN, "", {})])
def test_a_running_or_finished_batch_cannot_be_scheduled(batch: Batch) -> None:
    with pytest.raises(ValueError):
        batch.schedule(TEN + minutes(30), False, TEN)


def test_the_stored_form_loads_unchanged() -> None:
    full = replace(
        running().lease_delivery("a1b2c3d4", TEN),
        from_phone_numbers=("+12025550100", "+12025550101"),
        webhook_url="https://example.com/campaign",
        calls_per_second=2.5,
        first_dials_first=True,
        paused=True,
        stored_to=3,
        audit_from=2,
        audited_to=3,
        checked_at=TEN,
        cleared_row=1,
        cleared=True,
        results_wanted=True,
        results_at=TEN,
        worker="w",
        worker_until=TEN + minutes(16),
        deleted_at=TEN,
        recount=Recount("p1", TEN, TEN + minutes(60), 500, {"completed": 499, "queued": 1}, TEN, {"completed": 500}),
    ).with_due(TEN)
    for batch in (created(), read(), full, full.removed(TEN).with_due(TEN)):
        assert decode(encode(batch)) == batch


def test_a_tombstone_is_small_without_events_or_listing() -> None:
    batch = running().stop(TEN + minutes(1), "stopped by request", {"queued": 3}).delete(TEN + minutes(2))
    stone = batch.removed(TEN + minutes(3)).with_due(TEN + minutes(3))
    assert stone.is_tombstone and not stone.may_dial and not stone.is_stoppable
    assert statuses(stone) == ["created"]
    assert stone.pending() == ()
    assert stone.expires_at == TEN + minutes(3) + TOMBSTONE_LIFE
    item = encode(stone)
    assert "listing_key" not in item
    assert item["expires_at"] == (TEN + minutes(3) + TOMBSTONE_LIFE).timestamp()
    last_look = TEN + minutes(3) + WORK_LEASE
    assert (stone.work(last_look - minutes(1)), stone.due_at, stone.work(last_look)) == (
        None,
        last_look,
        "delete again",
    )
    cleared = replace(stone, cleared=True)
    assert (cleared.work(last_look), cleared.with_due(last_look).due_at) == (None, None)


def test_a_deleted_batch_is_in_no_listing() -> None:
    assert "listing_key" in encode(created())
    assert "listing_key" not in encode(created().delete(TEN))


def test_a_contacts_id_is_derived_from_batch_and_row_and_it_has_no_due_time() -> None:
    first = contact(created(), 1, NUMBER, {"name": "Ada"})
    assert first.id == contact_id(BATCH_ID, 1) != contact_id(BATCH_ID, 2)
    assert first.is_not_started
    assert first.with_due(TEN).due_at is None
    item = encode_execution(saved(first))
    assert status_of(item) is Status.QUEUED
    assert {"due_at", "listing_key"}.isdisjoint(item), "one write, and no index"
    parked = first.defer(TEN, opens(TEN + timedelta(hours=2), "outside calling hours", delayed=True))
    assert parked.state.is_delayed
    assert saved(parked).state.next_time == TEN + timedelta(hours=2)


def test_a_queued_contact_joins_and_leaves_the_delayed_set_without_another_event() -> None:
    first = contact(created(), 1, NUMBER, {}).defer(TEN, waits("waits"))
    assert first.defer(TEN, waits("waits", delayed=True)) is first, "not started: its batch's queue entry represents it"
    later = first.defer(TEN, opens(TEN + minutes(5), "later", delayed=True))
    moved = later.defer(TEN + minutes(5), waits("batch paused", delayed=True))
    assert moved.state.is_delayed
    left = moved.defer(TEN + minutes(6), waits("waiting for a line"))
    assert not left.state.is_delayed
    assert left.state.sequence == moved.state.sequence


@pytest.mark.parametrize(
    ("counts", "contacts", "over"),
    [
        ({"completed": 2, "no-answer": 1}, 3, True),
        ({"completed": 2, "queued": 1}, 3, False),
        ({"completed": 2}, 3, False),
        ({"completed": 4, "ringing": -1}, 3, False),
    ],
)
def test_a_batch_completes_when_every_contact_is_final(counts: dict[str, int], contacts: int, over: bool) -> None:
    assert all_final(counts, contacts) is over


def test_ids_of_batches_and_executions_differ_in_form() -> None:
    assert is_batch_id(BATCH_ID)
    assert not is_batch_id(contact_id(BATCH_ID, 1))
    assert subject(BATCH_ID) == {"batch_id": BATCH_ID}
    assert subject(contact_id(BATCH_ID, 1)) == {"execution_id": contact_id(BATCH_ID, 1)}


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (-0.5, "just now"),
        (0.5, "just now"),
        (1, "1 minute ago"),
        (59, "59 minutes ago"),
        (60, "1 hour ago"),
        (3000, "2 days ago"),
    ],
)
def test_a_batchs_age_in_words(age: float, words: str) -> None:
    assert humanized(minutes(age)) == words


def test_progress_shows_while_the_file_is_read() -> None:
    shown = render(created().progressed(1200, 1000, 1000), {"queued": 1000}, TEN)
    assert (shown["status"], shown["valid_contacts"], shown["rejected_contacts"]) == ("created", 1000, 200)
    assert created().status is BatchStatus.CREATED


# ---- any sequence of transitions, with any clock --------------------------------------------------------------------

CLOCK = st.sampled_from([TEN, TEN - minutes(16)]) | st.integers(-2 * 86_400_000, 5 * 86_400_000).map(
    lambda ms: TEN + ms * MILLISECOND
)


def test_an_event_tells_the_expiry_by_the_start_of_its_time() -> None:
    batch = replace(created(), expires_after_minutes=60).schedule(TEN + minutes(10), False, TEN)
    moved = batch.schedule(TEN + minutes(20), False, TEN + minutes(1))
    told = [render_event(moved, sequence)["expires_at"] for sequence in (1, 2, 3)]
    assert told == [None, "2026-01-26T11:10:00.000Z", "2026-01-26T11:20:00.000Z"]


FORWARD = ["created", "processed", "scheduled", "queued", "running"]
SELDOM = st.sampled_from([False] * 5 + [True])


class AnyBatch(RuleBasedStateMachine):
    """All transitions of a batch, whenever a use case may request them; each step is saved."""

    @initialize(now=CLOCK, start=st.booleans(), expiry=st.none() | st.integers(1, 100))
    def begin(self, now: datetime, start: bool, expiry: int | None) -> None:
        self.batch = replace(created(start), expires_after_minutes=expiry).with_due(now)
        self.then = [render_event(self.batch, 1)]

    def becomes(self, after: Batch, now: datetime) -> None:
        before = self.batch
        assert after.changes[: len(before.changes)] == before.changes
        self.then += [render_event(after, sequence) for sequence in range(len(self.then) + 1, after.last_sequence + 1)]
        self.batch = replace(after, version=after.version + 1).with_due(now)

    @rule(now=CLOCK, wait=st.integers(-100, 100), bypass=st.booleans())
    def schedule(self, now: datetime, wait: int, bypass: bool) -> None:
        if self.batch.status in (BatchStatus.CREATED, BatchStatus.PROCESSED, BatchStatus.SCHEDULED):
            self.becomes(self.batch.schedule(now + minutes(wait), bypass, now), now)
            assert self.batch.start_at == now + minutes(wait)
        else:
            with pytest.raises(ValueError):
                self.batch.schedule(now, bypass, now)

    @precondition(lambda self: self.batch.work(TEN) == "ingest")
    @rule(now=CLOCK, rows=st.integers(0, 5), valid=st.integers(0, 5), all_read=st.booleans())
    def read(self, now: datetime, rows: int, valid: int, all_read: bool) -> None:
        total, valid = self.batch.total + rows, self.batch.valid + min(valid, rows)
        if all_read:
            self.becomes(self.batch.processed(total, valid, now), now)
            assert self.batch.ingested and self.batch.stored_to == valid
        else:
            self.becomes(self.batch.progressed(total, valid, self.batch.stored_to), now)

    @rule(now=CLOCK, really=SELDOM)
    def fail(self, now: datetime, really: bool) -> None:
        failed = self.batch.fail("line 2 is no text", now)
        assert failed.is_over
        if really:
            self.becomes(failed, now)

    @rule(now=CLOCK, really=SELDOM)
    def stop(self, now: datetime, really: bool) -> None:
        if not self.batch.is_stoppable:
            with pytest.raises(ValueError):
                self.batch.stop(now, "stopped by request", {})
        elif really:
            self.becomes(self.batch.stop(now, "stopped by request", {"queued": 1}), now)
            assert self.batch.status is BatchStatus.STOPPED

    @rule(now=CLOCK, empty=st.booleans())
    def start(self, now: datetime, empty: bool) -> None:
        if self.batch.work(now) == "start":
            self.becomes(self.batch.queue(now) if empty else self.batch.run(now), now)

    @precondition(lambda self: self.batch.work(TEN) == "check")
    @rule(now=CLOCK)
    def complete(self, now: datetime) -> None:
        self.becomes(self.batch.complete(now, {"completed": self.batch.valid}), now)
        assert self.batch.is_over

    @rule(now=CLOCK, really=SELDOM)
    def delete(self, now: datetime, really: bool) -> None:
        if really:
            first = self.batch.deleted_at or now
            self.becomes(self.batch.delete(now), now)
            assert self.batch.deleted_at == first

    @precondition(lambda self: self.batch.deleted_at is not None)
    @rule(now=CLOCK)
    def remove(self, now: datetime) -> None:
        """Only the tombstone would remain, the same for any history."""
        stone = self.batch.removed(now).with_due(now)
        assert decode(from_item(to_item(encode(stone)))) == stone
        assert (stone.deleted_at, stone.changes) == (self.batch.deleted_at, self.batch.changes[:1])
        assert stone.pending() == () and stone.due_at is not None

    @rule(now=CLOCK, worker=st.sampled_from(["first", "second"]))
    def work(self, now: datetime, worker: str) -> None:
        before = self.batch
        taken = before.take_work(worker, now)
        free = before.worker in (None, worker) or before.worker_until is None or before.worker_until <= now
        assert (taken is not None) == free
        if taken is not None:
            assert (taken.worker, taken.worker_until) == (worker, now + WORK_LEASE)
            self.becomes(taken, now)

    @rule(now=CLOCK)
    def leave_work(self, now: datetime) -> None:
        self.becomes(self.batch.leave_work(), now)

    @rule(now=CLOCK, lease_id=st.sampled_from(["a", "b"]), wanted=st.booleans(), cleared=st.booleans())
    def tell(self, now: datetime, lease_id: str, wanted: bool, cleared: bool) -> None:
        leased = replace(self.batch, results_wanted=wanted, cleared=cleared and self.batch.is_over)
        self.becomes(leased.lease_delivery(lease_id, now), now)

    @rule(now=CLOCK)
    def told(self, now: datetime) -> None:
        settled = replace(self.batch.delivery.release(), settled=self.batch.last_sequence)
        self.becomes(replace(self.batch, delivery=settled), now)

    @invariant()
    def statuses_move_forward_and_times_strictly_rise(self) -> None:
        assert all(earlier.at < later.at for earlier, later in pairwise(self.batch.changes))
        steps = statuses(self.batch)
        assert not {"completed", "stopped", "failed"} & set(steps[:-1]), "nothing follows an end"
        places = [FORWARD.index(step) for step in steps if step in FORWARD]
        assert places == sorted(places)

    @invariant()
    def every_event_says_what_was_so_then(self) -> None:
        assert [render_event(self.batch, number + 1) for number in range(self.batch.last_sequence)] == self.then

    @invariant()
    def it_is_stored_as_it_is(self) -> None:
        assert decode(from_item(to_item(encode(self.batch)))) == self.batch

    @invariant()
    def a_recheck_is_due_while_work_is_left(self) -> None:
        for now in (TEN, self.batch.updated_at, TEN + minutes(10_000)):
            due = self.batch.with_due(now).due_at
            works = self.batch.worker_until is not None and self.batch.worker_until > now
            waits = self.batch.start_at is not None and not self.batch.is_over
            if self.batch.work(now) is not None or self.batch.pending() or works or waits:
                assert due is not None and due > now
            else:
                assert due is None


AnyBatch.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=40)
TestAnyBatch = AnyBatch.TestCase
