"""Transitions of an execution."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.decision import failed, opens, stopped, waits
from redial.domain.delivery import LEASE, TIMER_GRACE, DeliveryAttempt
from redial.domain.execution import (
    DETECTION_WAIT,
    LONGEST_QUEUE_CHECK,
    MILLISECOND,
    QUEUE_CHECK,
    REFUSALS_OF_A_NUMBER,
    Change,
    Execution,
    Marker,
)
from redial.domain.outcome import Accepted, CallReport, DialResult, Fault, NotPlaced, Outcome, Refused, Scope, Unknown
from redial.domain.retry import RetryConfig
from redial.domain.status import FINAL, LIVE, RETRYABLE, Status, rank
from redial.wire.execution_json import render
from redial.wire.stored_execution import decode, encode, status_of
from tests.support.examples import examples
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


def test_each_event_is_rendered_as_of_its_time() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    busy = execution.at_sequence(3)
    assert (busy.status, busy.attempt.number, busy.history) == (Status.BUSY, 1, [(1, Status.BUSY, TEN + seconds(5))])
    scheduled = execution.at_sequence(4)
    assert (scheduled.status, scheduled.attempt.number) == (Status.SCHEDULED, 2)
    with pytest.raises(ValueError):
        execution.at_sequence(5)


FEW = (Status.SCHEDULED, Status.COMPLETED, Status.BUSY)


def test_only_events_of_the_wanted_statuses_are_pending_and_their_numbers_stay() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    assert (statuses(execution), execution.pending()) == (["queued", "initiated", "busy", "scheduled"], (1, 2, 3, 4))
    few = execution.with_webhook_statuses(FEW)
    assert few.pending() == (3, 4)
    accepted = replace(few, delivery=few.delivery.accepted(DeliveryAttempt(3, TEN, 200, 1)))
    assert accepted.pending() == (4,)
    assert decode(from_item(to_item(encode(few)))) == few


def test_events_that_were_not_wanted_are_not_sent_when_more_are_wanted_later() -> None:
    few = placed(queued().with_webhook_statuses(FEW), TEN)
    assert few.pending() == () and few.lease_delivery("a", TEN) is few
    assert few.with_webhook_statuses(None).pending() == ()
    ended = reported(few.with_webhook_statuses(None), Status.BUSY, TEN + seconds(5))
    assert ended.pending() == (3, 4)


def test_a_call_whose_events_are_not_wanted_is_watched_only_for_itself() -> None:
    """The sweeper does not wait for deliveries that will never happen."""
    ended = reported(placed(queued(RetryConfig()).with_webhook_statuses((Status.COMPLETED,)), TEN), Status.BUSY, TEN)
    assert ended.state.is_final and ended.with_due(TEN).due_at is None


def test_an_attempt_that_was_not_placed_has_the_carrier_that_it_had_before_its_claim() -> None:
    """The next claim chooses the carrier again."""
    claimed = queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4", provider="http")
    assert (claimed.provider, claimed.provider_at(1)) == ("http", "twilio")
    waiting = claimed.answered_by_carrier(1, NotPlaced("429"), TEN, 0.5)
    assert (waiting.provider, waiting.provider_at(1)) == ("twilio", "twilio")


def test_retries_end_when_they_are_used_up() -> None:
    execution = queued(RetryConfig(enabled=True, max_retries=1))
    execution = reported(placed(execution, TEN), Status.BUSY, TEN + seconds(5))
    assert execution.state.timer is not None
    execution = reported(placed(execution, execution.state.timer[1]), Status.BUSY, TEN + minutes(31))
    assert execution.state.is_final
    assert execution.state.ended == "the retry is used"


def test_an_answered_call_keeps_earlier_attempts_in_its_history() -> None:
    execution = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    execution = placed(execution, TEN + minutes(31))
    execution = reported(execution, Status.IN_PROGRESS, TEN + minutes(32))
    execution = reported(execution, Status.COMPLETED, TEN + minutes(33), duration_seconds=60)
    assert execution.state.history == [(1, Status.BUSY, TEN + seconds(5))]
    assert execution.state.ended == "answered"
    assert execution.state.attempt.answered_at == TEN + minutes(32)


def test_a_callback_before_the_carriers_answer_implies_initiated() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    ringing = saved(claimed.reported(1, CallReport(call_id(1), Status.RINGING), TEN + seconds(2)))
    assert statuses(ringing) == ["queued", "initiated", "ringing"]
    late = ringing.answered_by_carrier(1, Accepted(call_id(1)), TEN + seconds(3), 0.0)
    assert late is ringing


def test_within_an_attempt_a_status_only_moves_forward() -> None:
    execution = reported(placed(queued(), TEN), Status.IN_PROGRESS, TEN + seconds(9))
    for earlier in (Status.INITIATED, Status.RINGING, Status.IN_PROGRESS):
        assert execution.reported(1, CallReport(call_id(1), earlier), TEN + seconds(10)) is execution


def test_reports_after_a_final_status_change_nothing() -> None:
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


@pytest.mark.parametrize(("given", "shown"), [(None, 61), (0, 0), (5, 5)])
def test_a_missing_duration_is_the_time_since_the_answer(given: int | None, shown: int) -> None:
    answered = reported(placed(queued(), TEN), Status.IN_PROGRESS, TEN + seconds(10))
    ended = reported(answered, Status.COMPLETED, TEN + seconds(71.5), duration_seconds=given)
    assert ended.state.attempt.duration_seconds == shown


def test_an_unanswered_call_has_no_duration() -> None:
    ended = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(10))
    assert ended.state.attempts[0].duration_seconds is None


def lost_and_to_be_retried() -> Execution:
    """A call whose first attempt was given up as lost, and whose second waits for its due time."""
    execution = saved(queued(RetryConfig(enabled=True, retry_on_statuses=RETRYABLE)).claim(TEN, CALLER_ID, 0, "a1"))
    return saved(execution.mark_lost(TEN + minutes(7), "the carrier has no call for this attempt"))


def test_a_report_reopens_a_lost_attempt_and_cancels_its_retry() -> None:
    lost = lost_and_to_be_retried()
    assert lost.state.history == [(1, Status.ERROR, TEN + minutes(7))]
    ringing = saved(lost.reported(1, CallReport(call_id(1), Status.RINGING), TEN + minutes(8)))
    assert statuses(ringing) == ["queued", "error", "scheduled", "initiated", "ringing"]
    state = ringing.state
    assert (state.attempt.number, state.history, state.timer, state.scheduled_at) == (1, [], None, None)
    assert (state.attempt.ended_at, state.attempt.reason, state.attempt.call_id) == (None, None, call_id(1))
    assert ringing.at_sequence(3).attempt.number == 2
    answered = reported(ringing, Status.COMPLETED, TEN + minutes(9), duration_seconds=50)
    assert (answered.state.ended, answered.state.sequence, len(answered.state.attempts)) == ("answered", 6, 1)


def test_a_reopened_attempt_that_fails_is_retried_from_its_true_end() -> None:
    busy = CallReport(call_id(1), Status.BUSY, Outcome(Status.BUSY))
    execution = saved(lost_and_to_be_retried().reported(1, busy, TEN + minutes(8)))
    assert statuses(execution) == ["queued", "error", "scheduled", "initiated", "busy", "scheduled"]
    assert execution.state.history == [(1, Status.BUSY, TEN + minutes(8) + 2 * MILLISECOND)]
    assert execution.state.timer == (execution.version, TEN + minutes(38) + 2 * MILLISECOND)
    assert execution.state.attempt.number == 2


def test_once_the_retry_is_claimed_a_late_report_changes_nothing() -> None:
    claimed = saved(lost_and_to_be_retried().claim(TEN + minutes(37), CALLER_ID, 0, "b2"))
    assert claimed.reported(1, CallReport(call_id(1), Status.RINGING), TEN + minutes(38)) is claimed
    live = saved(claimed.answered_by_carrier(2, Accepted(call_id(2)), TEN + minutes(38), 0.5))
    noted = live.reported(1, CallReport(call_id(1), Status.RINGING), TEN + minutes(39))
    assert [change.kind for change in noted.changes[len(live.changes) :]] == [Marker.LATE]
    assert (noted.state.attempt, noted.state.sequence) == (live.state.attempt, live.state.sequence)


def test_a_report_cancels_a_retry_that_was_not_placed() -> None:
    claimed = saved(lost_and_to_be_retried().claim(TEN + minutes(37), CALLER_ID, 0, "b2"))
    deferred = saved(claimed.answered_by_carrier(2, NotPlaced("429"), TEN + minutes(37), 0.5))
    found = deferred.reported(1, CallReport(call_id(1), Status.RINGING), TEN + minutes(38))
    assert (found.state.attempt.number, found.state.status) == (1, Status.RINGING)


def test_another_call_does_not_reopen_a_lost_attempt() -> None:
    config = RetryConfig(enabled=True, retry_on_statuses=RETRYABLE)
    lost = saved(placed(queued(config), TEN).mark_lost(TEN + minutes(60), "the carrier no longer knows the call"))
    assert lost.reported(1, CallReport("CAother", Status.RINGING), TEN + minutes(61)) is lost
    found = lost.reported(1, CallReport(call_id(1), Status.RINGING), TEN + minutes(61))
    assert statuses(found) == ["queued", "initiated", "error", "scheduled", "ringing"]


def test_a_lost_attempt_without_a_retry_stays_final_and_logs_its_report() -> None:
    lost = saved(saved(queued(None).claim(TEN, CALLER_ID, 0, "a1")).mark_lost(TEN + minutes(7), "not found"))
    answered = CallReport(call_id(1), Status.COMPLETED, Outcome(Status.COMPLETED))
    noted = saved(lost.reported(1, answered, TEN + minutes(9)))
    assert (noted.state.status, noted.state.ended, noted.state.sequence) == (Status.ERROR, "retries are not enabled", 2)
    assert noted.state.attempt.late is Status.COMPLETED
    late = noted.changes[-1]
    assert (late.kind, late.call_id, late.reason) == (Marker.LATE, call_id(1), "completed")
    assert noted.reported(1, answered, TEN + minutes(10)) is noted


def test_a_stopped_retry_is_not_announced() -> None:
    live = placed(queued(), TEN)
    failed = live.reported(1, CallReport(call_id(1), Status.BUSY, Outcome(Status.BUSY)), TEN + seconds(5))
    stopped = saved(failed.without_retry("batch stopped"))
    assert statuses(stopped) == ["queued", "initiated", "busy", "stopped"]
    state = stopped.state
    assert (state.status, state.ended, len(state.attempts)) == (Status.STOPPED, "batch stopped", 1)
    assert (state.attempt.status, state.history) == (Status.BUSY, [(1, Status.BUSY, TEN + seconds(5))])
    assert state.timer is None and state.next_time is None


def test_a_report_about_another_call_changes_nothing() -> None:
    execution = placed(queued(), TEN)
    assert execution.reported(1, CallReport("CAother", Status.RINGING), TEN + seconds(5)) is execution


def test_an_unknown_attempt_stays_claimed_until_a_callback_settles_it() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    unknown = saved(claimed.answered_by_carrier(1, Unknown("read timed out"), TEN + seconds(10), 0.0))
    assert unknown.state.is_dialling and unknown.state.unknown
    assert statuses(unknown) == ["queued"]
    assert unknown.answered_by_carrier(1, NotPlaced("429"), TEN + seconds(11), 0.0) is unknown
    settled = saved(unknown.reported(1, CallReport(call_id(1), Status.RINGING), TEN + seconds(12)))
    assert statuses(settled) == ["queued", "initiated", "ringing"]


def test_a_throttled_dial_uses_up_no_retry_keeps_its_line_and_backs_off() -> None:
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
        assert execution.state.attempt.line_shard == 7
        assert execution.state.is_waiting
    assert waits == [60, 120, 240, 480, 900, 900]
    assert statuses(execution) == ["queued"]
    assert len(execution.changes) == 2, "repeated deferrals are one change with a count"


def test_a_throttled_dial_waits_as_long_as_the_carrier_asks() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    deferred = claimed.answered_by_carrier(1, NotPlaced("429", retry_after_seconds=600), TEN, 0.0)
    assert deferred.state.timer is not None
    assert deferred.state.timer[1] == TEN + seconds(600)


CALLER_ID_NOT_OWNED = NotPlaced("the from number is not one of the account's", fault=Fault(Scope.CALLER_ID, "21210"))
BLOCKED_NUMBER = Outcome(Status.FAILED, permanent=True, reason="Twilio blocks calls to this number", code="21216")
BLOCKED_OR_COUNTRY = NotPlaced(
    "Twilio blocks calls to this number", fault=Fault(Scope.COUNTRY, "21216", False, BLOCKED_NUMBER)
)


def refused_again(execution: Execution, result: NotPlaced) -> Execution:
    """The execution after one more dial of its attempt at its due time, with this result."""
    due = execution.state.next_time
    assert due is not None
    claimed = saved(execution.claim(due, CALLER_ID, 0, f"claim {execution.version}"))
    return saved(claimed.answered_by_carrier(1, result, due, 0.5))


def test_a_refusal_that_is_the_accounts_uses_up_no_attempt_and_leaves_its_line() -> None:
    execution = queued()
    for number in range(1, 12):
        execution = refused_again(execution, CALLER_ID_NOT_OWNED)
        state = execution.state
        assert (state.status, state.attempt.number, state.attempt.line_shard) == (Status.QUEUED, 1, None)
        assert (state.deferrals, state.attempt.dialed_at) == (number, None)


def test_a_refusal_that_may_be_the_numbers_counts_as_the_numbers_when_it_comes_for_the_third_time() -> None:
    execution = queued()
    for _ in range(REFUSALS_OF_A_NUMBER - 1):
        execution = refused_again(execution, BLOCKED_OR_COUNTRY)
        assert execution.state.status is Status.QUEUED
    ended = refused_again(execution, BLOCKED_OR_COUNTRY)
    assert (ended.state.status, ended.state.attempt.code) == (Status.FAILED, "21216")


def test_waits_for_another_reason_do_not_count_as_refusals_of_the_number() -> None:
    execution = queued()
    for _ in range(REFUSALS_OF_A_NUMBER):
        execution = refused_again(execution, NotPlaced("429"))
    execution = refused_again(execution, BLOCKED_OR_COUNTRY)
    assert execution.state.status is Status.QUEUED


def test_a_throttled_retry_becomes_queued() -> None:
    retry = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5))
    claimed = saved(retry.claim(TEN + minutes(31), CALLER_ID, 0, "a1b2c3d4"))
    deferred = claimed.answered_by_carrier(2, NotPlaced("429"), TEN + minutes(31), 0.0)
    assert statuses(deferred)[-2:] == ["scheduled", "queued"]


def test_a_permanent_refusal_ends_the_execution_without_a_retry() -> None:
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    refused = Refused(Outcome(Status.FAILED, permanent=True, reason="no such number", code="21211"))
    failed = claimed.answered_by_carrier(1, refused, TEN + seconds(1), 0.0)
    assert (failed.state.status, failed.state.ended) == (Status.FAILED, "no such number")


def test_voicemail_detected_during_the_call_counts_at_its_end() -> None:
    execution = placed(queued(RetryConfig(enabled=True, retry_on_voicemail=True)), TEN)
    seen = saved(execution.reported(1, CallReport(call_id(1), Status.IN_PROGRESS, voicemail=True), TEN + seconds(20)))
    ended = reported(seen, Status.COMPLETED, TEN + seconds(35))
    assert ended.state.attempts[0].voicemail is True
    assert statuses(ended)[-2:] == ["completed", "scheduled"]


VOICEMAIL = RetryConfig(enabled=True, retry_on_voicemail=True)


def detected(voicemail: bool | None) -> CallReport:
    return CallReport(call_id(1), Status.IN_PROGRESS, voicemail=voicemail, undecided=voicemail is None)


def ended_unheard(config: RetryConfig | None = VOICEMAIL) -> Execution:
    """An answered call that ended at 10:00:40, without a report of machine detection."""
    execution = reported(placed(queued(config), TEN), Status.IN_PROGRESS, TEN + seconds(10))
    return reported(execution, Status.COMPLETED, TEN + seconds(40), code="200", reason="over", hangup_by="callee")


def test_a_call_waits_for_detection_that_decides_on_a_retry() -> None:
    waiting = ended_unheard()
    assert statuses(waiting)[-2:] == ["in-progress", "call-disconnected"]
    assert not waiting.state.needs_line and waiting.state.is_live
    told = replace(waiting, delivery=replace(waiting.delivery, settled=waiting.last_sequence))
    assert told.with_due(TEN + seconds(40)).due_at == TEN + seconds(40) + DETECTION_WAIT
    assert told.with_due(TEN + minutes(9)).due_at is not None
    data = render(waiting)["telephony_data"]
    assert (data["duration"], data["hangup_reason"], data["hangup_by"]) == ("30", "over", "Callee")


@pytest.mark.parametrize(
    "config",
    [
        None,
        replace(VOICEMAIL, enabled=False),
        replace(VOICEMAIL, retry_on_voicemail=False),
    ],
)
def test_a_call_does_not_wait_for_detection_that_decides_nothing(config: RetryConfig | None) -> None:
    ended = ended_unheard(config)
    assert statuses(ended)[-1] == "completed"
    noted = saved(ended.reported(1, detected(True), TEN + seconds(42)))
    assert (noted.state.status, noted.state.sequence) == (Status.COMPLETED, ended.state.sequence)
    assert noted.state.attempt.voicemail is True
    assert (render(noted)["answered_by_voice_mail"], render(noted)["termination_reason"]) == (True, "voicemail_reached")
    assert noted.reported(1, detected(False), TEN + seconds(43)) is noted


@pytest.mark.parametrize("last", ["two retries used", "undecided before", "undecided at the end"])
def test_nor_does_it_wait_where_the_answer_is_known(last: str) -> None:
    if last == "two retries used":
        execution = queued(replace(VOICEMAIL, max_retries=1))
        first = reported(placed(execution, TEN), Status.BUSY, TEN + seconds(5))
        second = reported(placed(first, TEN + minutes(31)), Status.IN_PROGRESS, TEN + minutes(32))
        ended = reported(second, Status.COMPLETED, TEN + minutes(33))
    else:
        execution = reported(placed(queued(VOICEMAIL), TEN), Status.IN_PROGRESS, TEN + seconds(10))
        if last == "undecided before":
            execution = saved(execution.reported(1, detected(None), TEN + seconds(12)))
            assert execution.reported(1, detected(None), TEN + seconds(13)) is execution
        over = CallReport(call_id(1), Status.COMPLETED, Outcome(Status.COMPLETED), undecided=last[-3:] == "end")
        ended = execution.reported(1, over, TEN + seconds(40))
    assert (ended.state.status, ended.state.attempt.voicemail) == (Status.COMPLETED, None)


@pytest.mark.parametrize(
    ("voicemail", "then"), [(True, ["completed", "scheduled"]), (False, ["completed"]), (None, ["completed"])]
)
def test_detection_after_the_end_completes_the_call(voicemail: bool | None, then: list[str]) -> None:
    waiting = ended_unheard()
    done = saved(waiting.reported(1, detected(voicemail), TEN + seconds(45)))
    assert statuses(done)[len(statuses(waiting)) :] == then
    attempt = done.state.attempts[0]
    assert (attempt.voicemail, attempt.duration_seconds, attempt.code) == (voicemail, 30, "200")
    assert attempt.ended_at == TEN + seconds(45)
    assert done.reported(1, detected(voicemail), TEN + seconds(46)) is done, "no second retry"


def test_a_call_waits_for_detection_only_so_long() -> None:
    waiting = ended_unheard()
    again = CallReport(call_id(1), Status.COMPLETED, Outcome(Status.COMPLETED))
    for report in (again, CallReport(call_id(1), Status.IN_PROGRESS), CallReport(call_id(1), Status.RINGING)):
        assert waiting.reported(1, report, TEN + seconds(41)) is waiting
        done = waiting.reported(1, report, TEN + seconds(40) + DETECTION_WAIT)
        assert (done.state.status, done.state.ended) == (Status.COMPLETED, "answered")
    gone = waiting.mark_lost(TEN + minutes(2), "the carrier does not say who answered")
    assert (gone.state.status, gone.state.attempt.lost) == (Status.COMPLETED, False)
    machine = CallReport(call_id(1), Status.COMPLETED, Outcome(Status.COMPLETED, voicemail=True), voicemail=True)
    assert statuses(waiting.reported(1, machine, TEN + minutes(2)))[-2:] == ["completed", "scheduled"]


def test_a_retry_shows_the_attempt_before_it_until_its_call_is_placed() -> None:
    ringing = reported(placed(queued(), TEN), Status.RINGING, TEN + seconds(3))
    retry = reported(ringing, Status.NO_ANSWER, TEN + seconds(33), code="487", reason="it rang out")
    claimed = saved(retry.claim(TEN + minutes(31), CALLER_ID, 0, "b2"))
    for execution in (retry, claimed, saved(retry.end(TEN + minutes(1), stopped("stopped by request")))):
        said = render(execution)
        data = said["telephony_data"]
        assert (said["retry_count"], said["termination_reason"]) == (1, "no_answer")
        assert (data["provider_call_id"], data["hangup_reason"]) == (call_id(1), "it rang out")
        assert (data["ring_duration"], data["hangup_by"]) == (30, "Carrier")
        assert (data["hangup_provider_code"], data["hangup_code"]) == (487, "487")
    second = render(saved(claimed.answered_by_carrier(2, Accepted(call_id(2)), TEN + minutes(31), 0.0)))
    assert second["telephony_data"]["provider_call_id"] == call_id(2)
    assert (second["termination_reason"], second["telephony_data"]["hangup_by"]) == (None, None)
    late = render(retry.end(TEN + minutes(1), failed("a day late")))
    assert (late["termination_reason"], late["telephony_data"]["provider_call_id"]) == ("platform_error", None)


def test_stop_works_while_waiting_and_not_once_claimed() -> None:
    assert queued().end(TEN, stopped("stopped by request")).state.status is Status.STOPPED
    assert queued(scheduled_at=TEN + minutes(5)).end(TEN, stopped("stopped by request")).state.is_final
    with pytest.raises(ValueError):
        queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4").end(TEN, stopped("stopped by request"))
    with pytest.raises(ValueError):
        placed(queued(), TEN).end(TEN, stopped("stopped by request"))


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


def test_a_due_time_within_the_slack_is_kept_unless_it_is_past() -> None:
    execution = replace(queued(), due_at=TEN + minutes(3))
    assert execution.with_due(TEN).due_at == TEN + minutes(3)
    assert replace(queued(), due_at=TEN - seconds(1)).with_due(TEN).due_at != TEN - seconds(1)


def test_queue_checks_become_rarer_the_longer_a_call_waits() -> None:
    told = replace(queued(), delivery=replace(queued().delivery, settled=1))
    assert told.with_due(TEN).due_at == TEN + QUEUE_CHECK
    assert told.with_due(TEN + minutes(30)).due_at == TEN + minutes(60)
    assert told.with_due(TEN + minutes(600)).due_at == TEN + minutes(1200)
    assert told.with_due(TEN + minutes(6000)).due_at == TEN + minutes(6000) + LONGEST_QUEUE_CHECK


# ---- leases ---------------------------------------------------------------------------------------------------------


def test_one_delivery_lease_at_a_time_and_an_expired_one_is_replaced() -> None:
    mine = queued().lease_delivery("mine", TEN)
    assert mine.delivery.lease_id == "mine"
    assert mine.lease_delivery("yours", TEN + seconds(1)) is mine
    assert mine.lease_delivery("yours", TEN + LEASE).delivery.lease_id == "yours"


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


# ---- any sequence of transitions, with any clock --------------------------------------------------------------------

CLOCK = st.sampled_from([TEN, TEN - LEASE, TEN - minutes(1)]) | st.integers(-2 * 86_400_000, 5 * 86_400_000).map(
    lambda ms: TEN + ms * MILLISECOND
)
"""A clock that may show any time, even one long past: machines' clocks differ."""
EVERYTHING = RetryConfig(True, 3, RETRYABLE, True, (30, 60))
CONFIGS = st.sampled_from([EVERYTHING, None]) | st.builds(
    RetryConfig,
    enabled=st.sampled_from([True, True, True, False]),
    max_retries=st.integers(1, 3),
    retry_on_statuses=st.lists(st.sampled_from(RETRYABLE), unique=True).map(tuple),
    retry_on_voicemail=st.booleans(),
    retry_intervals_minutes=st.lists(st.integers(1, 600), min_size=1, max_size=4).map(tuple),
)
SELDOM = st.sampled_from([False] * 7 + [True])
OUTCOMES = st.builds(
    Outcome,
    status=st.sampled_from([*RETRYABLE, *RETRYABLE, Status.COMPLETED, Status.CANCELED]),
    permanent=SELDOM,
    voicemail=st.none() | st.booleans(),
    reason=st.none() | st.just("the line was busy"),
    code=st.none() | st.just("486"),
    duration_seconds=st.none() | st.integers(0, 600),
    ring_seconds=st.none() | st.integers(0, 60),
    hangup_by=st.none() | st.just("callee"),
)
REPORTED = OUTCOMES.map(lambda outcome: (outcome.status, outcome)) | st.sampled_from(
    [(status, None) for status in sorted(LIVE)]
)
ANSWERS = st.one_of(
    st.just(Accepted("CA-1")),
    st.builds(Refused, OUTCOMES),
    st.builds(NotPlaced, st.just("429"), st.none() | st.floats(0, 86_400)),
    st.sampled_from([CALLER_ID_NOT_OWNED, BLOCKED_OR_COUNTRY]),
    st.sampled_from([CALLER_ID_NOT_OWNED, BLOCKED_OR_COUNTRY]),
    st.just(Unknown("read timed out")),
)
ATTEMPTS = st.sampled_from([0] * 8 + [-1, 1])
"""The attempt that a report is about, relative to the current one."""


class AnyLife(RuleBasedStateMachine):
    """All transitions of a call, whenever a use case may request them; each step is saved."""

    @initialize(config=CONFIGS, start=st.none() | st.integers(1, 600), contact=st.booleans(), now=CLOCK)
    def begin(self, config: RetryConfig | None, start: int | None, contact: bool, now: datetime) -> None:
        execution = queued(config, None if start is None else TEN + minutes(start))
        if contact:
            execution = replace(execution, batch_id="0" * 32, row=1)
        self.then = {1: render(execution)}
        self.execution = execution.with_due(now)

    def becomes(self, after: Execution, now: datetime, called_off: bool = False) -> None:
        """Save `after`, and compare it with the state before. `called_off`: its agent or batch was stopped."""
        before = self.execution
        if after is before:
            return
        if called_off and after.changes[-1].kind is Status.SCHEDULED:
            after = after.without_retry("agent stopped")
            assert after.state.is_final and after.state.attempt.status is not Status.STOPPED
        events, told = [change for _, change in after.events()], [change for _, change in before.events()]
        assert [replace(one, delayed=None) for one in events[: len(told)]] == [
            replace(one, delayed=None) for one in told
        ]
        if [replace(one, delayed=None) for one in after.changes] != [
            replace(one, delayed=None) for one in before.changes
        ]:
            assert after.state.updated_at > before.state.updated_at
        assert after.last_sequence == len(events) >= before.last_sequence
        for sequence in range(before.last_sequence + 1, after.last_sequence + 1):
            self.then[sequence] = render(after, sequence)
            assert self.then[sequence]["sequence"] == sequence
        if after.changes[-1].is_event:
            assert render(after) == self.then[after.last_sequence]
        self.execution = saved(after).with_due(now)

    # Transitions requested only while the call waits.

    @precondition(lambda self: self.execution.state.is_waiting)
    @rule(now=CLOCK, delayed=st.booleans())
    def queue(self, now: datetime, delayed: bool) -> None:
        self.becomes(self.execution.defer(now, waits("waiting for a line", delayed=delayed)), now)
        assert self.execution.state.status is Status.QUEUED

    @precondition(lambda self: self.execution.state.is_waiting)
    @rule(now=CLOCK, wait=st.integers(1, 1440))
    def move(self, now: datetime, wait: int) -> None:
        self.becomes(self.execution.defer(now, opens(now + minutes(wait), "outside calling hours")), now)
        assert self.execution.state.next_time == now + minutes(wait)

    @precondition(lambda self: self.execution.state.is_waiting)
    @rule(now=CLOCK, carrier=st.sampled_from([None, "http", "twilio"]))
    def claim(self, now: datetime, carrier: str | None) -> None:
        claimed = self.execution.claim(now, CALLER_ID, 3, "a1b2c3d4", provider=carrier)
        assert claimed.state.is_dialling and not claimed.state.is_waiting
        assert claimed.provider == (carrier or self.execution.provider)
        self.becomes(claimed, now)

    @precondition(lambda self: self.execution.state.is_waiting)
    @rule(now=CLOCK, really=SELDOM)
    def expire(self, now: datetime, really: bool) -> None:
        expired = self.execution.end(now, failed("could not be placed within 24 hours of its time"))
        assert expired.state.is_final
        if really:
            self.becomes(expired, now)

    @precondition(lambda self: self.execution.state.is_dialling or self.execution.state.is_live)
    @rule(now=CLOCK, really=SELDOM, called_off=SELDOM)
    def lose(self, now: datetime, really: bool, called_off: bool) -> None:
        if really:
            self.becomes(self.execution.mark_lost(now, "the carrier knows no such call"), now, called_off)

    # Events at any time.

    @rule(now=CLOCK, really=SELDOM)
    def stop(self, now: datetime, really: bool) -> None:
        if self.execution.state.is_waiting:
            over = self.execution.end(now, stopped("stopped by request"))
            assert over.state.status is Status.STOPPED
            if really:
                self.becomes(over, now)
        else:
            with pytest.raises(ValueError):
                self.execution.end(now, stopped("stopped by request"))

    @rule(now=CLOCK, beside=ATTEMPTS, answer=ANSWERS, jitter=st.floats(0, 1, exclude_max=True))
    def answer(self, now: datetime, beside: int, answer: DialResult, jitter: float) -> None:
        before = self.execution
        after = before.answered_by_carrier(before.state.attempt.number + beside, answer, now, jitter)
        if beside or before.state.is_final or before.state.is_waiting:
            assert after is before
        self.becomes(after, now)

    @rule(
        now=CLOCK,
        beside=ATTEMPTS,
        call=st.sampled_from(["CA-1", "CA-2"]),
        said=REPORTED,
        machine=st.booleans(),
        called_off=SELDOM,
    )
    def report(
        self,
        now: datetime,
        beside: int,
        call: str,
        said: tuple[Status, Outcome | None],
        machine: bool,
        called_off: bool,
    ) -> None:
        before = self.execution
        status, outcome = said
        report = CallReport(call, status, outcome, machine or None)
        number = before.state.attempt.number + beside
        after = before.reported(number, report, now)
        if after is not before and (beside or before.state.is_final or before.state.is_waiting):
            attempt, first = before.state.attempts[number - 1], after.changes[len(before.changes)]
            assert attempt.call_id in (None, call)
            assert attempt.lost == (first.kind is not Marker.DETECTED)
            if first.kind is Marker.DETECTED:
                assert attempt.status is Status.COMPLETED and attempt.voicemail is None
                assert len(after.changes) == len(before.changes) + 1
            elif first.kind is Marker.FOUND:
                assert before.state.is_waiting and beside == -1
                assert after.state.attempt.number in (number, number + 1)
            else:
                assert first.kind is Marker.LATE and not before.state.is_waiting and not before.state.is_dialling
                assert len(after.changes) == len(before.changes) + 1
        self.becomes(after, now, called_off)

    # Event delivery.

    @rule(now=CLOCK, lease_id=st.sampled_from(["a", "b"]))
    def lease(self, now: datetime, lease_id: str) -> None:
        self.becomes(self.execution.lease_delivery(lease_id, now), now)

    @precondition(lambda self: self.execution.pending())
    @rule(now=CLOCK, status=st.sampled_from([200, 410, 500, None]), tries=st.integers(1, 8))
    def tell(self, now: datetime, status: int | None, tries: int) -> None:
        before = self.execution
        tried = DeliveryAttempt(before.pending()[0], now, status, tries, None if status else "reset")
        told = before.delivery.accepted(tried) if status == 200 else before.delivery.failed(tried, seconds(0), 0.5)
        self.becomes(replace(before, delivery=told), now)

    @rule(now=CLOCK)
    def replay(self, now: datetime) -> None:
        self.becomes(replace(self.execution, delivery=self.execution.delivery.replay()), now)

    # Invariants.

    @invariant()
    def times_strictly_rise(self) -> None:
        assert all(earlier.at < later.at for earlier, later in pairwise(self.execution.changes))

    @invariant()
    def statuses_move_forward(self) -> None:
        changes: list[Change] = []
        for change in self.execution.changes:
            if change.kind is Marker.FOUND:  # it takes back a lost attempt's end, and an unclaimed retry
                end = next(index for index in reversed(range(len(changes))) if changes[index].lost)
                assert changes[end].attempt == change.attempt
                assert not any(one.kind is Marker.CLAIMED for one in changes[end:])
                assert {one.attempt for one in changes[end + 1 :]} == {change.attempt + 1}
                changes = changes[:end]
            changes.append(change)
        events = [one for one in changes if one.is_event]
        ranks = [(one.attempt, rank(Status(one.kind))) for one in events]
        assert ranks == sorted(ranks)
        for number in (number for number, (_, place) in enumerate(ranks[:-1]) if place == 5):
            called_off = events[number + 1 :] == events[-1:] and events[-1].kind is Status.STOPPED
            assert called_off or ranks[number + 1] == (ranks[number][0] + 1, 0)

    @invariant()
    def one_claim_of_an_attempt_stands(self) -> None:
        claims = Counter(one.attempt for one in self.execution.changes if one.kind is Marker.CLAIMED)
        assert set(claims.values()) <= {1}
        state = self.execution.state
        if state.is_dialling or state.is_live:
            assert claims[state.attempt.number] == 1

    @invariant()
    def it_is_waiting_dialling_live_or_final(self) -> None:
        state = self.execution.state
        assert [state.is_waiting, state.is_dialling, state.is_live, state.is_final].count(True) == 1
        assert (state.ended is not None) == state.is_final
        assert (state.next_time is not None) == state.is_waiting

    @invariant()
    def retries_are_counted_and_wait_their_intervals(self) -> None:
        config, state = self.execution.retry_config, self.execution.state
        allowed = config.max_retries if config is not None and config.enabled else 0
        assert [attempt.number for attempt in state.attempts] == list(range(1, len(state.attempts) + 1))
        assert len(state.attempts) <= 1 + allowed
        for (_, ended), (_, retry) in pairwise(self.execution.events()):
            if retry.attempt > ended.attempt:
                assert config is not None and retry.until is not None
                assert retry.until - ended.at == config.interval(ended.attempt)
        assert len(state.history) <= len(state.attempts)

    @invariant()
    def every_event_says_what_was_so_then(self) -> None:
        said = {number: render(self.execution, number) for number, _ in self.execution.events()}
        assert said == self.then

    @invariant()
    def it_is_stored_as_it_is(self) -> None:
        item = to_item(encode(self.execution))
        assert decode(from_item(item)) == self.execution
        assert status_of(from_item(item)) is self.execution.state.status

    @invariant()
    def a_recheck_is_due_while_it_is_open(self) -> None:
        """By its own due time, or by its batch's while nothing has happened to it or it waits in the delayed set."""
        execution, state = self.execution, self.execution.state
        done = state.is_final or (state.is_waiting and state.is_delayed)
        expected = not execution.is_not_started and (not done or bool(execution.pending()))
        for now in (TEN, state.updated_at, TEN + minutes(10_000)):
            due = execution.with_due(now).due_at
            assert (due is not None) == expected
            assert due is None or due > now
            renewed = replace(execution, due_at=None).with_due(now).due_at
            assert due is None or renewed is None or abs(due - renewed) <= minutes(2)


AnyLife.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=40)
TestAnyLife = AnyLife.TestCase
