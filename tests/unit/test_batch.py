"""A batch's rules: what may be done with it when, what is to be done, and that its stored form says the same."""

from dataclasses import replace
from datetime import timedelta

import pytest

from redial.domain.batch import Batch, BatchStatus, all_final, contact, contact_id, is_batch_id, subject
from redial.domain.status import Status
from redial.wire.batch_json import humanized, render, render_event
from redial.wire.stored_batch import decode, encode
from redial.wire.stored_execution import encode as encode_execution
from redial.wire.stored_execution import status_of
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


def test_its_statuses_only_move_forward_and_each_is_an_event() -> None:
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
        (running(), "check"),
        (replace(running(), results_wanted=True), "results"),
        (running().stop(TEN, "stopped by request", {}), "clear"),
        (replace(running().stop(TEN, "", {}), cleared=True), None),
        (running().complete(TEN, {}), "leave"),
        (created().fail("line 2 is no text", TEN), "clear"),
        (running().delete(TEN), "delete"),
    ],
)
def test_what_is_to_be_done_follows_from_how_it_stands(batch: Batch, work: str | None) -> None:
    assert batch.work(TEN + minutes(3)) == work
    due = batch.with_due(TEN + minutes(3)).due_at
    assert due is not None, "somebody looks again: its events are not delivered yet"
    told = replace(batch, delivery=replace(batch.delivery, settled=batch.last_sequence)).with_due(TEN + minutes(3))
    waits_for_its_start = batch.timer is not None and not batch.is_over
    assert (told.due_at is not None) == (work is not None or waits_for_its_start)


def test_a_due_batch_starts_at_its_time_and_not_before() -> None:
    scheduled = read().schedule(TEN + minutes(10), False, TEN)
    assert scheduled.work(TEN + minutes(9)) is None
    assert scheduled.work(TEN + minutes(10)) == "start"


def test_only_one_works_at_a_batch_until_its_lease_is_over() -> None:
    taken = created().take_work("first", TEN)
    assert taken is not None
    assert taken.take_work("second", TEN + minutes(10)) is None
    assert taken.take_work("first", TEN + minutes(10)) is not None
    assert taken.take_work("second", TEN + minutes(17)) is not None
    assert taken.leave_work().take_work("second", TEN) is not None


@pytest.mark.parametrize("batch", [created(), read(), read().fail("x", TEN), running().complete(TEN, {})])
def test_what_does_not_run_cannot_be_stopped(batch: Batch) -> None:
    with pytest.raises(ValueError):
        batch.stop(TEN, "", {})


@pytest.mark.parametrize("batch", [running(), running().complete(TEN, {}), running().stop(TEN, "", {})])
def test_what_runs_or_is_over_cannot_be_scheduled(batch: Batch) -> None:
    with pytest.raises(ValueError):
        batch.schedule(TEN + minutes(30), False, TEN)


def test_its_stored_form_says_the_same() -> None:
    full = replace(
        running().lease_delivery("a1b2c3d4", TEN),
        from_phone_numbers=("+12025550100", "+12025550101"),
        webhook_url="https://example.com/campaign",
        calls_per_second=2.5,
        first_dials_first=True,
        paused=True,
        done_row=3,
        checked_row=2,
        seen_row=3,
        checked_at=TEN,
        cleared_row=1,
        cleared=True,
        results_wanted=True,
        results_at=TEN,
        worker="w",
        worker_until=TEN + minutes(16),
        deleted_at=TEN,
    ).with_due(TEN)
    for batch in (created(), read(), full):
        assert decode(encode(batch)) == batch


def test_a_deleted_batch_is_in_no_listing() -> None:
    assert "listing_key" in encode(created())
    assert "listing_key" not in encode(created().delete(TEN))


def test_a_contacts_id_follows_from_batch_and_row_and_waits_for_its_turn_without_a_due_time() -> None:
    first = contact(created(), 1, NUMBER, {"name": "Ada"})
    assert first.id == contact_id(BATCH_ID, 1) != contact_id(BATCH_ID, 2)
    assert first.is_untouched
    assert first.with_due(TEN).due_at is None
    item = encode_execution(saved(first))
    assert status_of(item) is Status.QUEUED
    assert {"due_at", "listing_key"}.isdisjoint(item), "one write, and no index"
    parked = first.move(TEN, TEN + timedelta(hours=2), "outside calling hours")
    assert parked.state.in_room
    assert saved(parked).state.next_time == TEN + timedelta(hours=2)


def test_a_queued_contact_enters_and_leaves_its_batchs_room_without_another_event() -> None:
    retried = contact(created(), 1, NUMBER, {}).queue(TEN, "waits")
    assert retried.queue(TEN, "waits", room=True) is retried, "untouched: its batch's cursor stands for it"
    moved = retried.move(TEN, TEN + minutes(5), "later").queue(TEN + minutes(5), "batch paused", room=True)
    assert moved.state.in_room
    left = moved.queue(TEN + minutes(6), "waiting for a line")
    assert not left.state.in_room
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
def test_a_batch_is_over_when_every_contact_is_final(counts: dict[str, int], contacts: int, over: bool) -> None:
    assert all_final(counts, contacts) is over


def test_ids_of_batches_and_executions_differ_in_form() -> None:
    assert is_batch_id(BATCH_ID)
    assert not is_batch_id(contact_id(BATCH_ID, 1))
    assert subject(BATCH_ID) == {"batch_id": BATCH_ID}
    assert subject(contact_id(BATCH_ID, 1)) == {"execution_id": contact_id(BATCH_ID, 1)}


@pytest.mark.parametrize(
    ("age", "words"),
    [(0.5, "just now"), (1, "1 minute ago"), (59, "59 minutes ago"), (60, "1 hour ago"), (3000, "2 days ago")],
)
def test_a_batchs_age_in_words(age: float, words: str) -> None:
    assert humanized(minutes(age)) == words


def test_progress_shows_while_the_file_is_read() -> None:
    shown = render(created().progressed(1200, 1000, 1000), {"queued": 1000}, TEN)
    assert (shown["status"], shown["valid_contacts"], shown["rejected_contacts"]) == ("created", 1000, 200)
    assert created().status is BatchStatus.CREATED
