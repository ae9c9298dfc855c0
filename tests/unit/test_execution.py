"""The life of an execution as pure transitions."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.delivery import LEASE, TIMER_GRACE
from redial.domain.execution import QUEUE_CHECK, Execution
from redial.domain.outcome import Accepted, CallReport, NotPlaced, Outcome, Refused, Unknown
from redial.domain.retry import RetryConfig
from redial.domain.status import FINAL, Status, rank
from tests.support.samples import CALLER_ID, TEN, call_id, minutes, placed, queued, reported, saved, seconds


def statuses(execution: Execution) -> list[str]:
    return [str(change.kind) for _, change in execution.events()]


def test_a_failed_attempt_is_reported_and_then_scheduled_from_its_end() -> None:
    execution = placed(queued(), TEN)
    ended = reported(reported(execution, Status.RINGING, TEN + seconds(3)), Status.NO_ANSWER, TEN + seconds(40))
    assert statuses(ended) == ["queued", "initiated", "ringing", "no-answer", "scheduled"]
    assert ended.state.history == [(1, Status.NO_ANSWER, TEN + seconds(40))]
    assert ended.state.scheduled_at == TEN + seconds(40) + minutes(30)
    assert ended.state.attempt.number == 2
    assert ended.state.is_waiting


def test_each_event_is_rendered_as_it_was_then() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    busy = execution.at_sequence(3)
    assert (busy.status, busy.attempt.number, busy.history) == (Status.BUSY, 1, [(1, Status.BUSY, TEN + seconds(5))])
    scheduled = execution.at_sequence(4)
    assert (scheduled.status, scheduled.attempt.number) == (Status.SCHEDULED, 2)
    with pytest.raises(ValueError):
        execution.at_sequence(5)


def test_retries_end_when_they_are_used_up() -> None:
    execution = queued(RetryConfig(enabled=True, max_retries=1))
    execution = reported(placed(execution, TEN), Status.BUSY, TEN + seconds(5))
    assert execution.state.timer is not None
    execution = reported(placed(execution, execution.state.timer[1]), Status.BUSY, TEN + minutes(31))
    assert execution.state.is_final
    assert execution.state.ended == "the retry is used"


def test_an_answered_call_keeps_the_earlier_attempts_as_its_history() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    execution = placed(execution, TEN + minutes(31))
    execution = reported(execution, Status.IN_PROGRESS, TEN + minutes(32))
    execution = reported(execution, Status.COMPLETED, TEN + minutes(33), duration_seconds=60)
    assert execution.state.history == [(1, Status.BUSY, TEN + seconds(5))]
    assert execution.state.ended == "answered"
    assert execution.state.attempt.answered_at == TEN + minutes(32)


def test_a_callback_quicker_than_the_carriers_answer_brings_initiated_with_it() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    ringing = saved(claimed.reported(1, CallReport(call_id(1), Status.RINGING), TEN + seconds(2)))
    assert statuses(ringing) == ["queued", "initiated", "ringing"]
    late = ringing.answered_by_carrier(1, Accepted(call_id(1)), TEN + seconds(3), 0.0)
    assert late is ringing


def test_within_an_attempt_a_status_only_moves_forward() -> None:
    execution = reported(placed(queued(), TEN), Status.IN_PROGRESS, TEN + seconds(9))
    for earlier in (Status.INITIATED, Status.RINGING, Status.IN_PROGRESS):
        assert execution.reported(1, CallReport(call_id(1), earlier), TEN + seconds(10)) is execution


def test_a_final_status_absorbs_all_later_reports() -> None:
    execution = reported(placed(queued(None), TEN), Status.COMPLETED, TEN + seconds(9))
    for status in (Status.RINGING, Status.IN_PROGRESS):
        assert execution.reported(1, CallReport(call_id(1), status), TEN + seconds(10)) is execution
    busy = CallReport(call_id(1), Status.BUSY, Outcome(Status.BUSY))
    assert execution.reported(1, busy, TEN + seconds(10)) is execution


def test_an_earlier_attempts_callback_changes_nothing() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    late = CallReport(call_id(1), Status.COMPLETED, Outcome(Status.COMPLETED))
    assert execution.reported(1, late, TEN + seconds(6)) is execution
    second = placed(execution, TEN + minutes(31))
    assert second.reported(1, late, TEN + minutes(32)) is second


def test_a_report_about_another_call_changes_nothing() -> None:
    execution = placed(queued(), TEN)
    assert execution.reported(1, CallReport("CAother", Status.RINGING), TEN + seconds(5)) is execution


def test_unknown_keeps_the_claim_and_a_callback_settles_it() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    unknown = saved(claimed.answered_by_carrier(1, Unknown("read timed out"), TEN + seconds(10), 0.0))
    assert unknown.state.is_dialling and unknown.state.unknown
    assert statuses(unknown) == ["queued"]
    assert unknown.answered_by_carrier(1, NotPlaced("429"), TEN + seconds(11), 0.0) is unknown
    settled = saved(unknown.reported(1, CallReport(call_id(1), Status.RINGING), TEN + seconds(12)))
    assert statuses(settled) == ["queued", "initiated", "ringing"]


def test_a_throttled_dial_uses_up_no_retry_keeps_its_line_and_waits_longer_each_time() -> None:
    execution = queued()
    waits = []
    for _ in range(6):
        now = execution.state.next_time
        assert now is not None
        claimed = saved(execution.claim(now, CALLER_ID, 7, "a1b2c3d4"))
        execution = saved(claimed.answered_by_carrier(1, NotPlaced("429 too many requests"), now, 0.5))
        assert execution.state.timer is not None
        waits.append((execution.state.timer[1] - now).total_seconds())
        assert execution.state.attempt.number == 1
        assert execution.state.attempt.line == 7
        assert execution.state.is_waiting
    assert waits == [60, 120, 240, 480, 900, 900]
    assert statuses(execution) == ["queued"]
    assert len(execution.changes) == 2, "repeated deferrals are one change with a count"


def test_a_throttled_dial_waits_as_long_as_the_carrier_asks() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    deferred = claimed.answered_by_carrier(1, NotPlaced("429", retry_after_seconds=600), TEN, 0.0)
    assert deferred.state.timer is not None
    assert deferred.state.timer[1] == TEN + seconds(600)


def test_a_throttled_retry_becomes_queued_for_it_is_due() -> None:
    retry = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    claimed = saved(retry.claim(TEN + minutes(31), CALLER_ID, 0, "a1b2c3d4"))
    deferred = claimed.answered_by_carrier(2, NotPlaced("429"), TEN + minutes(31), 0.0)
    assert statuses(deferred)[-2:] == ["scheduled", "queued"]


def test_a_refusal_for_good_ends_the_execution_without_a_retry() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    refused = Refused(Outcome(Status.FAILED, for_good=True, reason="no such number", code="21211"))
    failed = claimed.answered_by_carrier(1, refused, TEN + seconds(1), 0.0)
    assert (failed.state.status, failed.state.ended) == (Status.FAILED, "no such number")


def test_voicemail_seen_during_the_call_counts_at_its_end() -> None:
    execution = placed(queued(RetryConfig(enabled=True, retry_on_voicemail=True)), TEN)
    seen = saved(execution.reported(1, CallReport(call_id(1), Status.IN_PROGRESS, voicemail=True), TEN + seconds(20)))
    ended = reported(seen, Status.COMPLETED, TEN + seconds(35))
    assert ended.state.attempts[0].voicemail is True
    assert statuses(ended)[-2:] == ["completed", "scheduled"]


def test_stop_works_while_waiting_and_not_once_claimed() -> None:
    assert queued().stop(TEN, "stopped by request").state.status is Status.STOPPED
    assert queued(scheduled_at=TEN + minutes(5)).stop(TEN, "stopped by request").state.is_final
    with pytest.raises(ValueError):
        queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4").stop(TEN, "stopped by request")
    with pytest.raises(ValueError):
        placed(queued(), TEN).stop(TEN, "stopped by request")


def test_updated_at_strictly_rises_even_when_clocks_go_back() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN - minutes(5))
    instants = [change.at for change in execution.changes]
    assert all(earlier < later for earlier, later in pairwise(instants))


# ---- due_at ---------------------------------------------------------------------------------------------------------


def test_every_open_execution_has_a_due_time_and_a_finished_one_has_none() -> None:
    execution = placed(queued(None), TEN).with_due(TEN)
    assert execution.due_at is not None
    ended = reported(execution, Status.COMPLETED, TEN + seconds(9)).with_due(TEN + seconds(9))
    assert ended.due_at is not None, "its events are not delivered yet"
    told = replace(ended, delivery=replace(ended.delivery, settled=ended.state.sequence)).with_due(TEN + seconds(10))
    assert told.due_at is None


def test_a_scheduled_call_is_due_soon_after_its_timer() -> None:
    execution = queued(scheduled_at=TEN + minutes(60))
    told = replace(execution, delivery=replace(execution.delivery, settled=1)).with_due(TEN)
    assert told.due_at == TEN + minutes(60) + TIMER_GRACE


def test_undelivered_events_are_due_when_their_lease_ends() -> None:
    leased = queued(scheduled_at=TEN + minutes(60)).lease_delivery("a", TEN).with_due(TEN)
    assert leased.due_at is not None
    assert LEASE <= leased.due_at - TEN < LEASE + seconds(1)


def test_a_due_time_near_enough_is_kept_and_one_in_the_past_is_not() -> None:
    execution = replace(queued(), due_at=TEN + minutes(3))
    assert execution.with_due(TEN).due_at == TEN + minutes(3)
    assert replace(queued(), due_at=TEN - seconds(1)).with_due(TEN).due_at != TEN - seconds(1)


def test_watching_a_long_queue_costs_less_the_longer_it_lasts() -> None:
    told = replace(queued(), delivery=replace(queued().delivery, settled=1))
    assert told.with_due(TEN).due_at == TEN + QUEUE_CHECK
    assert told.with_due(TEN + minutes(30)).due_at == TEN + minutes(60)
    assert told.with_due(TEN + minutes(600)).due_at == TEN + minutes(660)


# ---- leases ---------------------------------------------------------------------------------------------------------


def test_one_lease_at_a_time_and_a_dead_one_is_taken_over() -> None:
    mine = queued().lease_delivery("mine", TEN)
    assert mine.delivery.lease == "mine"
    assert mine.lease_delivery("yours", TEN + seconds(1)) is mine
    assert mine.lease_delivery("yours", TEN + LEASE).delivery.lease == "yours"


# ---- any order of reports -------------------------------------------------------------------------------------------

REPORTS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([Status.INITIATED, Status.RINGING, Status.IN_PROGRESS, Status.COMPLETED, Status.BUSY]),
    ),
    max_size=12,
)


@given(REPORTS)
def test_whatever_the_order_of_reports_statuses_move_forward_and_sequences_count_up(
    reports: list[tuple[int, Status]],
) -> None:
    execution = placed(queued(), TEN)
    now = TEN + seconds(2)
    for attempt, status in reports:
        now += seconds(1)
        report = CallReport(call_id(attempt), status, Outcome(status) if status in FINAL else None)
        after = execution.reported(attempt, report, now)
        if attempt != execution.state.attempt.number:
            assert after is execution
        execution = after
    ranks = [(change.attempt, rank(Status(change.kind))) for _, change in execution.events()]
    assert ranks == sorted(ranks)
    assert execution.state.sequence == len(ranks)
