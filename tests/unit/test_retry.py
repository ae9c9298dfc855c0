"""Retry decisions: pure, so every rule of the contract is one line here."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.errors import InvalidInput
from redial.domain.outcome import Outcome
from redial.domain.retry import MAX_INTERVAL_MINUTES, GiveUp, RetryAt, RetryConfig, decide
from redial.domain.status import FINAL, RETRYABLE, Status
from tests.support.samples import TEN, minutes

NO_ANSWER = Outcome(Status.NO_ANSWER)


def test_defaults_are_the_contracts() -> None:
    config = RetryConfig()
    assert config.enabled is False
    assert config.max_retries == 3
    assert config.retry_on_statuses == (Status.NO_ANSWER, Status.BUSY, Status.FAILED)
    assert config.retry_on_voicemail is False
    assert config.retry_intervals_minutes == (30, 60, 120)


@pytest.mark.parametrize(
    ("intervals", "max_retries", "waits"),
    [
        ((30, 60, 120), 3, [30, 60, 120]),  # as many intervals as retries
        ((15, 30), 3, [15, 30, 30]),  # fewer: the last repeats
        ((5,), 3, [5, 5, 5]),
        ((30, 60, 120), 1, [30]),  # more: the extra ones are ignored
    ],
)
def test_each_retry_waits_its_interval_from_the_end_of_the_attempt(
    intervals: tuple[int, ...], max_retries: int, waits: list[int]
) -> None:
    config = RetryConfig(enabled=True, max_retries=max_retries, retry_intervals_minutes=intervals)
    for made, wait in enumerate(waits, start=1):
        assert decide(config, [None] * made, NO_ANSWER, TEN) == RetryAt(made + 1, TEN + minutes(wait))
    assert isinstance(decide(config, [None] * (max_retries + 1), NO_ANSWER, TEN), GiveUp)


@pytest.mark.parametrize("config", [None, RetryConfig(enabled=False)])
def test_without_an_enabled_configuration_nothing_is_retried(config: RetryConfig | None) -> None:
    assert decide(config, [None], NO_ANSWER, TEN) == GiveUp("retries are not enabled")


@pytest.mark.parametrize("status", RETRYABLE)
def test_only_the_named_statuses_are_retried(status: Status) -> None:
    alone = RetryConfig(enabled=True, retry_on_statuses=(status,))
    assert isinstance(decide(alone, [None], Outcome(status), TEN), RetryAt)
    for other in set(RETRYABLE) - {status}:
        assert decide(alone, [None], Outcome(other), TEN) == GiveUp(f"{other} is not retried")


@pytest.mark.parametrize("status", [Status.CANCELED, Status.STOPPED, Status.BALANCE_LOW])
def test_unretryable_statuses_are_never_retried(status: Status) -> None:
    everything = RetryConfig(enabled=True, retry_on_statuses=RETRYABLE, retry_on_voicemail=True)
    assert isinstance(decide(everything, [None], Outcome(status), TEN), GiveUp)


def test_a_number_that_does_not_exist_is_not_dialled_again() -> None:
    gone = Outcome(Status.FAILED, permanent=True, reason="the number is not in service")
    assert decide(RetryConfig(enabled=True), [None], gone, TEN) == GiveUp("the number is not in service")


def test_a_declined_call_is_retried_once_at_most() -> None:
    declined = Outcome(Status.FAILED, code="603")
    assert isinstance(decide(RetryConfig(enabled=True), [None], declined, TEN), RetryAt)
    assert decide(RetryConfig(enabled=True), [None] * 2, declined, TEN) == GiveUp(
        "the call was declined, and is not retried again"
    )
    assert isinstance(decide(RetryConfig(enabled=True), [None] * 2, Outcome(Status.FAILED, code="503"), TEN), RetryAt)
    assert isinstance(decide(None, [None], declined, TEN), GiveUp)


def test_an_answered_call_is_over() -> None:
    everything = RetryConfig(enabled=True, retry_on_statuses=RETRYABLE, retry_on_voicemail=True)
    for voicemail in (False, None):
        answered = Outcome(Status.COMPLETED, voicemail=voicemail)
        assert decide(everything, [None], answered, TEN) == GiveUp("answered")


def test_voicemail_is_retried_only_if_configured() -> None:
    machine = Outcome(Status.COMPLETED, voicemail=True)
    asked = RetryConfig(enabled=True, retry_on_voicemail=True)
    assert decide(asked, [None], machine, TEN) == RetryAt(2, TEN + minutes(30))
    assert decide(RetryConfig(enabled=True), [None], machine, TEN) == GiveUp("voicemail")
    assert decide(None, [None], machine, TEN) == GiveUp("voicemail")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("max_retries", {"max_retries": 0}),
        ("max_retries", {"max_retries": 4}),
        ("retry_on_statuses", {"retry_on_statuses": (Status.COMPLETED,)}),
        ("retry_intervals_minutes", {"retry_intervals_minutes": ()}),
        ("retry_intervals_minutes", {"retry_intervals_minutes": (0,)}),
        ("retry_intervals_minutes", {"retry_intervals_minutes": (30, MAX_INTERVAL_MINUTES + 1)}),
    ],
)
def test_an_invalid_value_is_refused_with_its_field(field: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        RetryConfig(enabled=True, **values)  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [f"retry_config.{field}"]


@given(
    max_retries=st.integers(1, 3),
    intervals=st.lists(st.integers(1, MAX_INTERVAL_MINUTES), min_size=1, max_size=6).map(tuple),
    status=st.sampled_from(RETRYABLE),
)
def test_attempts_never_exceed_one_plus_max_retries(
    max_retries: int, intervals: tuple[int, ...], status: Status
) -> None:
    config = RetryConfig(True, max_retries, RETRYABLE, True, intervals)
    attempts: list[None] = [None]
    now = TEN
    while isinstance(decision := decide(config, attempts, Outcome(status), now), RetryAt):
        assert decision.at > now
        now = decision.at
        attempts.append(None)
    assert len(attempts) == 1 + max_retries


def allowed(config: RetryConfig | None, made: int, outcome: Outcome) -> bool:
    """The reference: the contract's rules as a list of reasons against another attempt."""
    if config is None:
        return False
    answered_by_machine = outcome.status is Status.COMPLETED and outcome.voicemail is True
    return not (
        not config.enabled
        or outcome.permanent
        or made >= 1 + config.max_retries
        or (answered_by_machine and not config.retry_on_voicemail)
        or (not answered_by_machine and outcome.status not in config.retry_on_statuses)
    )


CONFIGS = st.just(RetryConfig(True, 2, RETRYABLE, True, (30, 60, 120))) | st.builds(
    RetryConfig,
    enabled=st.booleans(),
    max_retries=st.integers(1, 3),
    retry_on_statuses=st.lists(st.sampled_from(RETRYABLE), unique=True).map(tuple),
    retry_on_voicemail=st.booleans(),
    retry_intervals_minutes=st.lists(st.integers(1, MAX_INTERVAL_MINUTES), min_size=1, max_size=5).map(tuple),
)
OUTCOMES = st.builds(
    Outcome,
    status=st.sampled_from([*RETRYABLE, *sorted(FINAL)]),
    permanent=st.sampled_from([False, False, False, True]),
    voicemail=st.none() | st.booleans(),
    reason=st.none() | st.text(),
)


@given(config=st.none() | CONFIGS, made=st.integers(1, 6), outcome=OUTCOMES)
def test_a_retry_follows_after_its_interval_unless_a_rule_forbids_it(
    config: RetryConfig | None, made: int, outcome: Outcome
) -> None:
    decision = decide(config, [None] * made, outcome, TEN)
    if not allowed(config, made, outcome):
        assert isinstance(decision, GiveUp)
        assert decision.reason
        return
    assert config is not None
    intervals = config.retry_intervals_minutes
    wait = intervals[made - 1] if made <= len(intervals) else intervals[-1]
    assert decision == RetryAt(made + 1, TEN + minutes(wait))


@given(config=CONFIGS, made=st.integers(1, 6), outcome=OUTCOMES)
def test_after_the_last_attempt_no_retry_follows(config: RetryConfig, made: int, outcome: Outcome) -> None:
    follows = [isinstance(decide(config, [None] * attempts, outcome, TEN), RetryAt) for attempts in (made, made + 1)]
    assert follows != [False, True]


@given(config=CONFIGS, retry=st.integers(1, 10))
def test_an_interval_is_a_configured_one_and_the_last_repeats(config: RetryConfig, retry: int) -> None:
    asked = [timedelta(minutes=one) for one in config.retry_intervals_minutes]
    assert [config.interval(one) for one in range(1, len(asked) + 1)] == asked
    assert config.interval(len(asked) + retry) == asked[-1]


@given(
    max_retries=st.integers(-2, 6),
    statuses=st.lists(st.sampled_from(sorted(Status)), max_size=4).map(tuple),
    intervals=st.lists(st.integers(-5, MAX_INTERVAL_MINUTES + 5), max_size=4).map(tuple),
)
def test_a_configuration_is_valid_or_names_each_field_at_fault(
    max_retries: int, statuses: tuple[Status, ...], intervals: tuple[int, ...]
) -> None:
    faults = {
        "retry_config.max_retries": max_retries not in (1, 2, 3),
        "retry_config.retry_on_statuses": not set(statuses) <= set(RETRYABLE),
        "retry_config.retry_intervals_minutes": not intervals
        or min(intervals) < 1
        or max(intervals) > MAX_INTERVAL_MINUTES,
    }
    named: set[str] = set()
    try:
        RetryConfig(True, max_retries, statuses, False, intervals)
    except InvalidInput as refused:
        named = {error.field for error in refused.errors}
    assert named == {field for field, wrong in faults.items() if wrong}
