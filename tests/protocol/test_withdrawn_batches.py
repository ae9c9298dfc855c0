"""A waiting contact of a withdrawn batch is shown as any function will later store it."""

from unittest import mock

import pytest

from redial.domain.batch import Batch, BatchStatus, contact
from redial.domain.execution import Execution
from redial.domain.outcome import CallReport
from redial.domain.retry import RetryConfig
from redial.domain.status import RETRYABLE, Status
from redial.ports import Services
from redial.usecases.record_report import record_report
from redial.usecases.stop import stop_execution, stop_with_batch
from tests.support.samples import ACCOUNT_ID, AGENT_ID, CALLER_ID, NUMBER, TEN, agent, call_id, minutes, saved, seconds
from tests.support.services import GivenServices

STOPPED_AT = TEN + minutes(20)
NOW = TEN + minutes(30)


def running_batch() -> Batch:
    retries = RetryConfig(enabled=True, retry_on_statuses=RETRYABLE)
    batch = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv", retry_config=retries, version=1)
    return batch.begin(TEN, start=True).processed(2, 2, TEN + seconds(1)).run(TEN + seconds(2))


def withdrawn(batch: Batch) -> Batch:
    return batch.stop(STOPPED_AT, "stopped by request", {}).withdraw()


def services_with(batch: Batch, execution: Execution) -> Services:
    executions, batches = mock.Mock(), mock.Mock()
    batches.get.return_value = batch
    executions.get.return_value = execution
    executions.save.side_effect = saved
    given = {name: mock.Mock() for name in ("agents", "delayed", "invoker", "lines", "queue", "timers")}
    given["agents"].cached.return_value = given["agents"].get.return_value = agent()
    return GivenServices(NOW, batches=batches, executions=executions, **given)


def waiting_for_retry() -> Execution:
    """A call whose first attempt was given up as lost."""
    claimed = saved(contact(running_batch(), 1, NUMBER, {}).claim(TEN + minutes(1), CALLER_ID, 0, "a1"))
    return saved(claimed.mark_lost(TEN + minutes(8), "the carrier has no call for this attempt"))


def test_waiting_contacts_are_shown_as_they_will_be_stored() -> None:
    batch = withdrawn(running_batch())
    for execution in (saved(contact(batch, 1, NUMBER, {})), waiting_for_retry()):
        shown = batch.shown(execution)
        assert (shown.state.status, shown.state.ended, shown.state.updated_at) == (
            Status.STOPPED,
            "batch stopped",
            STOPPED_AT,
        )
        stored = stop_with_batch(services_with(batch, execution), execution, NOW, batch)
        assert stored.changes == shown.changes


def test_a_contact_that_does_not_wait_is_shown_as_it_is() -> None:
    batch = withdrawn(running_batch())
    claimed = saved(contact(batch, 1, NUMBER, {}).claim(TEN, CALLER_ID, 0, "a1"))
    live = claimed.reported(1, CallReport(call_id(1), Status.RINGING), TEN + seconds(5))
    for execution in (claimed, live):
        assert batch.shown(execution) is execution


def test_a_batch_that_is_only_marked_shows_its_contacts_as_stored() -> None:
    """A dial that acquired its line before the mark may still continue."""
    stopped = running_batch().stop(STOPPED_AT, "stopped by request", {})
    assert not stopped.withdrawn
    execution = saved(contact(stopped, 1, NUMBER, {}))
    assert stopped.shown(execution) is execution
    assert stopped.shown_counts({"queued": 3}) == {"queued": 3}
    assert running_batch().delete(STOPPED_AT).withdraw().withdrawn is False


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"queued": 5, "scheduled": 2, "rescheduled": 1, "ringing": 1, "completed": 3},
         {"stopped": 8, "ringing": 1, "completed": 3}),
        ({"queued": 1, "stopped": 4}, {"stopped": 5}),
        ({"completed": 2}, {"completed": 2}),
    ],
)  # fmt: skip
def test_counts_show_waiting_contacts_as_stopped(stored: dict[str, int], shown: dict[str, int]) -> None:
    assert withdrawn(running_batch()).shown_counts(stored) == shown


def test_an_unusable_file_ends_stored_contacts() -> None:
    retries = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv", version=1).begin(TEN, start=True)
    failed = retries.fail("line 81: broken", STOPPED_AT).withdraw()
    assert failed.status is BatchStatus.FAILED
    assert failed.shown(saved(contact(failed, 1, NUMBER, {}))).state.ended == "the batch's file cannot be used"


def test_a_late_report_does_not_reopen_an_attempt_whose_retry_ended_with_its_batch() -> None:
    report = CallReport(call_id(1), Status.IN_PROGRESS)
    lost = waiting_for_retry()
    reopened = record_report(services_with(running_batch(), lost), lost.id, 1, report, NOW, "a")
    assert reopened is not None and reopened.after.state.status is Status.IN_PROGRESS
    batch = withdrawn(running_batch())
    updated = record_report(services_with(batch, lost), lost.id, 1, report, NOW, "a")
    assert updated is not None
    assert updated.after.state.status is Status.STOPPED
    assert updated.after.state.attempts[0].late is Status.IN_PROGRESS
    assert updated.after.changes[: len(lost.changes) + 1] == batch.shown(lost).changes


def test_stopping_such_a_contact_answers_that_it_is_over() -> None:
    batch = withdrawn(running_batch())
    services = services_with(batch, saved(contact(batch, 1, NUMBER, {})))
    store = services.executions

    def store_it(one: Execution) -> Execution:
        store.get.return_value = saved(one)  # type: ignore[attr-defined]  # a mock
        return saved(one)

    store.save.side_effect = store_it  # type: ignore[attr-defined]  # a mock
    with pytest.raises(Exception, match="this one is over: stopped"):
        stop_execution(services, store.get("").id, account_id=ACCOUNT_ID, now=NOW)  # type: ignore[union-attr]  # it is there
    assert store.get("").state.updated_at == STOPPED_AT  # type: ignore[union-attr]  # it is there
