"""Metrics of dials, changes, deliveries and sweeps, as sent to CloudWatch."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from redial.domain.decision import Decision, Gate, canceled, held, opens, stopped, waits
from redial.domain.execution import Execution
from redial.domain.outcome import Accepted, CallReport, Fault, NotPlaced, Outcome, Refused, Scope, Unknown
from redial.domain.repair import BatchRepair, Repair
from redial.domain.retry import RetryConfig
from redial.domain.status import RETRYABLE, Status
from redial.runtime import telemetry
from redial.usecases.deliver_events import DeliveryReport
from redial.usecases.dial_attempt import DialReport
from redial.usecases.sweep import SweepReport
from tests.support.samples import CALLER_ID, TEN, call_id, minutes, placed, queued, saved, seconds

Emitted = dict[tuple[str, ...], list[float]]


def ended(execution: Execution, number: int, outcome: Outcome, at: Any) -> Execution:
    """An execution whose current attempt has that number, was dialled and has ended."""
    assert execution.state.attempt.number == number
    return saved(placed(execution, at).reported(number, CallReport(call_id(number), outcome.status, outcome), at))


class Log:
    """Emitted metrics: (name, dimension=value, …) → values."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def read(self) -> Emitted:
        if telemetry.metrics.provider.metric_set:
            telemetry.metrics.flush_metrics()
        found: Emitted = defaultdict(list)
        for line in self._capsys.readouterr().out.splitlines():
            document = json.loads(line)
            (directive,) = document["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "Redial"
            for names in directive["Dimensions"]:
                dimensions = [f"{name}={document[name]}" for name in names if name != "service"]
                assert document["service"] == "redial-test"
                for metric in directive["Metrics"]:
                    assert metric["Unit"] == telemetry.METRICS[metric["Name"]].unit
                    found[metric["Name"], *dimensions] += document[metric["Name"]]
        return dict(found)


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setattr(telemetry.metrics.provider, "namespace", "Redial")
    monkeypatch.setattr(telemetry.metrics.provider, "service", "redial-test")
    telemetry.metrics.clear_metrics()
    yield Log(capsys)
    telemetry.metrics.clear_metrics()


def dialled(result: Any, found: Any = None, at: Any = TEN) -> DialReport:
    found = found or queued()
    claimed = saved(found.claim(at, CALLER_ID, 0, "t"))
    after = saved(claimed.answered_by_carrier(found.state.attempt.number, result, at + seconds(1), 0.5))
    return DialReport(claimed, after, result, found)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Accepted("CA1"), {("AttemptPlaced",): [1], ("AttemptPlaced", "attempt=1"): [1]}),
        (NotPlaced("429"), {("AttemptNotPlaced",): [1]}),
        (Unknown("timeout"), {("AttemptUnknown",): [1]}),
        (
            Refused(Outcome(Status.FAILED, permanent=True)),
            {("AttemptRefused",): [1], ("AttemptEnded",): [1], ("AttemptEnded", "outcome=failed"): [1]},
        ),
    ],
)
def test_the_carriers_answer_is_counted(result: Any, expected: Emitted, log: Log) -> None:
    telemetry.dialled(dialled(result, at=TEN + seconds(3)))
    waited: Emitted = {} if isinstance(result, NotPlaced) else {("LineWait",): [3.0]}  # it waits on
    assert log.read() == {**expected, **waited}


def test_a_retrys_lateness_excludes_its_wait_for_a_line(log: Log) -> None:
    retry = ended(queued(), 1, Outcome(Status.NO_ANSWER), TEN)
    due = retry.state.timer
    assert due is not None
    telemetry.dialled(dialled(Accepted("CA2"), retry, due[1] + seconds(40)))
    found = log.read()
    assert found["RetryLateness",] == [40.0]
    assert found["AttemptPlaced", "attempt=2"] == [1]
    assert ("LineWait",) not in found


def test_a_queued_retry_records_lateness_once_and_its_wait_when_dialled(log: Log) -> None:
    retry = ended(queued(), 1, Outcome(Status.BUSY), TEN)
    due = retry.state.timer
    assert due is not None
    waiting = saved(retry.defer(due[1] + seconds(20), waits("waiting for a line")))
    telemetry.dialled(DialReport(retry, waiting))
    assert log.read() == {("RetryLateness",): [20.0]}
    telemetry.dialled(dialled(Accepted("CA2"), waiting, due[1] + minutes(2)))
    found = log.read()
    assert found["LineWait",] == [100.0]
    assert ("RetryLateness",) not in found


def test_a_dispatched_batch_contact_records_no_wait(log: Log) -> None:
    contact = replace(queued(), batch_id="b" * 32, row=1)
    telemetry.dialled(dialled(Accepted("CA1"), contact, TEN + minutes(300)))
    assert set(log.read()) == {("AttemptPlaced",), ("AttemptPlaced", "attempt=1")}


def test_a_duplicate_counts_nothing(log: Log) -> None:
    execution = queued()
    telemetry.dialled(DialReport(execution, execution))
    telemetry.dialled(DialReport(None, None))
    assert log.read() == {}


def test_an_opened_circuit_and_a_held_call_are_counted(log: Log) -> None:
    before = queued()
    waiting = saved(before.defer(TEN, held(TEN + minutes(1), "the carrier fails for all calls"), line_shard=0))
    telemetry.dialled(DialReport(before, waiting, held=True))
    closed: Emitted = {("AttemptClosed",): [1], ("AttemptClosed", "gate=carrier"): [1]}
    assert log.read() == {("AttemptHeld",): [1], **closed}
    telemetry.dialled(replace(dialled(Unknown("503")), opened=True))
    assert log.read()["CircuitOpened",] == [1]


def test_a_closed_gate_is_counted_by_its_name_and_an_open_one_is_not(log: Log) -> None:
    waiting = queued()
    window = opens(TEN + minutes(60), "outside calling hours", Gate.CALLING_WINDOW, "9-18")
    deferred = saved(waiting.defer(TEN, Decision(Gate.AGENT), window))
    telemetry.dialled(DialReport(waiting, deferred))
    assert log.read() == {("AttemptClosed",): [1], ("AttemptClosed", "gate=calling-window"): [1]}
    telemetry.dialled(DialReport(deferred, deferred))
    assert log.read() == {}, "another invocation counted it"
    ended = saved(waiting.end(TEN, canceled("the number is suppressed", Gate.SUPPRESSION, "account")))
    telemetry.dialled(DialReport(waiting, ended))
    assert log.read()["AttemptClosed", "gate=suppression"] == [1]
    telemetry.dialled(dialled(Accepted("CA1")))
    assert ("AttemptClosed",) not in log.read()


def test_what_only_a_person_can_mend_is_counted_when_it_refuses_and_when_it_holds_a_call(log: Log) -> None:
    fault = Fault(Scope.CALLER_ID, "21210")
    telemetry.dialled(dialled(NotPlaced("the from number is not one of the account's", fault=fault)))
    counted = log.read()
    assert (counted["AttentionNeeded",], counted["AttemptNotPlaced",]) == ([1], [1])
    execution = queued()
    telemetry.dialled(DialReport(execution, execution, needs_person=True))
    assert log.read() == {("AttentionNeeded",): [1]}


@pytest.mark.parametrize(
    ("outcome", "word", "answered"),
    [
        (Outcome(Status.COMPLETED), "completed", True),
        (Outcome(Status.COMPLETED, voicemail=False), "completed", True),
        (Outcome(Status.COMPLETED, voicemail=True), "voicemail", False),
        (Outcome(Status.NO_ANSWER), "no-answer", False),
        (Outcome(Status.BALANCE_LOW), "balance-low", False),
    ],
)
def test_an_attempt_ends_with_one_outcome(outcome: Outcome, word: str, answered: bool, log: Log) -> None:
    before = queued(retry_config=None)
    telemetry.changed(before, ended(before, 1, outcome, TEN))
    found = log.read()
    assert found["AttemptEnded",] == found["AttemptEnded", f"outcome={word}"] == [1]
    assert (("AttemptAnswered", "attempt=1") in found) is answered


def test_retries_are_counted_by_the_outcome_before_until_exhausted(log: Log) -> None:
    config = RetryConfig(enabled=True, max_retries=2, retry_on_statuses=RETRYABLE, retry_on_voicemail=True)
    execution, counted = queued(config), Counter[tuple[str, ...]]()
    for number, outcome in enumerate((Outcome(Status.COMPLETED, voicemail=True), Outcome(Status.BUSY)), start=1):
        after = ended(execution, number, outcome, TEN + minutes(number * 100))
        telemetry.changed(execution, after)
        execution = after
    for name, values in log.read().items():
        counted[name] += len(values)
    assert counted["RetryScheduled",] == 2
    assert counted["RetryScheduled", "outcome=voicemail"] == counted["RetryScheduled", "outcome=busy"] == 1
    assert ("ExecutionExhausted",) not in counted
    telemetry.changed(execution, ended(execution, 3, Outcome(Status.NO_ANSWER), TEN + minutes(900)))
    assert log.read()["ExecutionExhausted",] == [1]


def test_a_stop_ends_no_attempt(log: Log) -> None:
    before = queued()
    telemetry.changed(before, saved(before.end(TEN, stopped("asked for"))))
    assert log.read() == {}


def test_deliveries_and_sweeps_are_counted(log: Log) -> None:
    telemetry.delivered(DeliveryReport(accepted=2, given_up=1, failed=True, seconds=(0.25, 1.5)))
    assert log.read() == {
        ("WebhookAccepted",): [2], ("WebhookUndelivered",): [1], ("WebhookFailed",): [1],
        ("WebhookLatency",): [250, 1500],
    }  # fmt: skip
    swept = SweepReport(repairs=Counter({Repair.LINE_LOST: 3}), errors=1, lines_in_use=7, calls_waiting=2)
    telemetry.swept(swept)
    assert log.read() == {
        ("SweeperRepair",): [3], ("SweeperRepair", "kind=line lost"): [3], ("SweeperError",): [1],
        ("LinesInUse",): [7], ("CallsWaiting",): [2],
    }  # fmt: skip


def test_repairs_of_batches_are_counted_by_kind(log: Log) -> None:
    telemetry.batch_repaired(Counter({BatchRepair.COUNTS_WRONG: 1, BatchRepair.LEFT_BEHIND: 2}))
    assert log.read() == {
        ("BatchRepair",): [1, 2], ("BatchRepair", "kind=counts wrong"): [1], ("BatchRepair", "kind=left behind"): [2],
    }  # fmt: skip


def test_an_unlisted_dimension_value_raises() -> None:
    with pytest.raises(ValueError, match="AttemptEnded is not counted by 'ringing'"):
        telemetry._add("AttemptEnded", word="ringing")


def test_rejected_callbacks_are_reported_once_a_second_with_their_count() -> None:
    rejections = telemetry.Rejections()
    assert [rejections.add(at) for at in (10.0, 10.1, 10.9, 11.0, 11.5, 15.0)] == [1, 0, 0, 3, 0, 2]
