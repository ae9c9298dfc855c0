"""Sample executions, agents and reports."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.execution import Execution
from redial.domain.outcome import Accepted, CallReport, Outcome
from redial.domain.retry import RetryConfig
from redial.domain.status import Status

TEN = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
ACCOUNT_ID = "7b0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c01"
AGENT_ID = "1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02"
EXECUTION_ID = "2c0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c03"
NUMBER = "+14155550123"
CALLER_ID = "+14155550100"
RETRIES = RetryConfig(enabled=True)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def agent(**changes: object) -> Agent:
    sample = Agent(
        agent_id=AGENT_ID,
        account_id=ACCOUNT_ID,
        name="reminders",
        config={},
        created_at=TEN - minutes(60),
        updated_at=TEN - minutes(60),
        from_phone_numbers=(CALLER_ID,),
        answer_url="https://voice.example.com/answer?execution={execution_id}",
    )
    return replace(sample, **changes)  # type: ignore[arg-type]  # any field by name


def queued(
    retry_config: RetryConfig | None = RETRIES, scheduled_at: datetime | None = None, execution_id: str = EXECUTION_ID
) -> Execution:
    execution = Execution(execution_id, ACCOUNT_ID, AGENT_ID, TEN, NUMBER, retry_config=retry_config)
    return saved(execution.begin(TEN, scheduled_at))


def saved(execution: Execution) -> Execution:
    """The execution after one more save."""
    return replace(execution, version=execution.version + 1)


def call_id(attempt: int) -> str:
    return f"CA{attempt:032d}"


def placed(execution: Execution, now: datetime) -> Execution:
    """The execution after its current attempt is claimed at `now` and accepted by the carrier a second later."""
    number = execution.state.attempt.number
    claimed = saved(execution.claim(now, CALLER_ID, 0, "a1b2c3d4"))
    return saved(claimed.answered_by_carrier(number, Accepted(call_id(number)), now + seconds(1), 0.5))


def reported(execution: Execution, status: Status, now: datetime, **outcome: object) -> Execution:
    """The execution after the carrier's report of the current attempt; `outcome`: fields for a final status."""
    number = execution.state.attempt.number
    final = Outcome(status, **outcome) if outcome or status not in _LIVE else None  # type: ignore[arg-type]
    return saved(execution.reported(number, CallReport(call_id(number), status, final), now))


_LIVE = (Status.INITIATED, Status.RINGING, Status.IN_PROGRESS, Status.CALL_DISCONNECTED)
