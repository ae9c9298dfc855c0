"""Routes of statistics: how well retries work."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_batch_id, known_id, new_router, services
from redial.api.calling_guardrails import read_date
from redial.domain.statistics import DOLLARS_PER_1000_ATTEMPTS, Dimension, Rate, Statistics, advice, gap_range, value_of
from redial.runtime import system
from redial.usecases import statistics
from redial.usecases.statistics import DEFAULT_PERIOD, LONGEST_PERIOD

router = new_router()

# ---- models ---

Share = Annotated[float | None, Field(description="Share answered by a person, 0 to 1; null without attempts.")]
Interval = Annotated[
    list[float] | None, Field(min_length=2, max_length=2, description="95 % interval of the rate (Wilson's score).")
]


class RateJson(TypedDict):
    """The number of attempts, and how many of them a person answered."""

    attempts: int
    answers: int
    rate: Share
    interval: Interval


class ValueJson(RateJson):
    """The attempts with one value, such as one caller id. `outcomes`: how they ended."""

    value: str
    outcomes: dict[str, int]


class GapJson(ValueJson):
    """Attempts by the time since the end of the previous attempt, in minutes. Null: no bound."""

    from_minutes: int | None
    to_minutes: int | None


class ReachJson(TypedDict):
    """All contacts, and how many were reached: a person had answered this attempt or an earlier one."""

    attempt: int
    contacts: int
    reached: int
    rate: Share
    interval: Interval


class CarrierCost(TypedDict):
    """What the carrier charges, in one currency. `attempts`: attempts whose price it reported by their end.
    `per_answer`: null without an answer, and unless the price of every attempt is known in this currency."""

    currency: str
    amount: float
    attempts: int
    per_answer: float | None


class RedialCost(TypedDict):
    """The estimated AWS cost of Redial: `attempts` times the list price of an unanswered attempt."""

    currency: Literal["USD"]
    amount: float
    per_1000_attempts: float
    per_answer: Annotated[float | None, Field(description="Null without an answer.")]


class CostJson(TypedDict):
    """Costs of the attempts. `carrier`: by currency; empty if the carrier reported no price by the end of any call, for
    example because it reports prices minutes later."""

    carrier: list[CarrierCost]
    redial: RedialCost


class RetryStatistics(TypedDict):
    """How contacts first dialled in the period were reached. Days are in UTC. `by_local_hour`: in the called number's
    local time, such as `mon 09`; it leaves out attempts to numbers whose possible time zones had different hours."""

    agent_id: str | None
    batch_id: str | None
    period_start: Annotated[str, Field(description="First day, included.")]
    period_end: Annotated[str, Field(description="Last day, included.")]
    contacts: int
    attempts: int
    answers: int
    calls_per_answer: Annotated[float | None, Field(description="Null without an answer.")]
    cost: CostJson
    outcomes: dict[str, int]
    reach: list[ReachJson]
    by_attempt: list[ValueJson]
    by_gap: list[GapJson]
    by_local_hour: list[ValueJson]
    by_outcome_before: list[ValueJson]
    by_caller_id: list[ValueJson]
    by_country: list[ValueJson]
    advice: list[str]


def statistics_json(
    found: Statistics, agent_id: str | None, batch_id: str | None, first: date, last: date
) -> RetryStatistics:
    """The statistics of a period as JSON."""
    totals, reach = found.totals, found.reach
    overall = Rate.of(totals)
    return {
        "agent_id": agent_id,
        "batch_id": batch_id,
        "period_start": first.isoformat(),
        "period_end": last.isoformat(),
        "contacts": reach[1].attempts if 1 in reach else 0,
        "attempts": overall.attempts,
        "answers": overall.answers,
        "calls_per_answer": round(overall.attempts / overall.answers, 2) if overall.answers else None,
        "cost": _cost(found, overall),
        "outcomes": {str(outcome): count for outcome, count in totals.items()},
        "reach": [
            {
                "attempt": number,
                "contacts": rate.attempts,
                "reached": rate.answers,
                "rate": _rounded(rate.share),
                "interval": _interval(rate),
            }
            for number, rate in reach.items()
        ],
        "by_attempt": _values(found, Dimension.ATTEMPT),
        "by_gap": [_gap(one) for one in _values(found, Dimension.GAP)],
        "by_local_hour": _values(found, Dimension.HOUR),
        "by_outcome_before": _values(found, Dimension.BEFORE),
        "by_caller_id": _values(found, Dimension.CALLER_ID),
        "by_country": _values(found, Dimension.COUNTRY),
        "advice": advice(found),
    }


def _cost(found: Statistics, overall: Rate) -> CostJson:
    dollars = overall.attempts * DOLLARS_PER_1000_ATTEMPTS / 1000
    return {
        "carrier": [
            {
                "currency": currency,
                "amount": price.amount,
                "attempts": attempts,
                "per_answer": _per(price.amount, overall.answers) if attempts == overall.attempts else None,
            }
            for currency, (attempts, price) in found.prices.items()
        ],
        "redial": {
            "currency": "USD",
            "amount": round(dollars, 6),
            "per_1000_attempts": DOLLARS_PER_1000_ATTEMPTS,
            "per_answer": _per(dollars, overall.answers),
        },
    }


def _per(amount: float, answers: int) -> float | None:
    return round(amount / answers, 6) if answers else None


def _values(found: Statistics, dimension: Dimension) -> list[ValueJson]:
    return [
        {
            "value": value_of(dimension, value),
            **_rate(Rate.of(outcomes)),
            "outcomes": {str(outcome): count for outcome, count in outcomes.items()},
        }
        for value, outcomes in found.outcomes(dimension).items()
    ]


def _rate(rate: Rate) -> RateJson:
    return {
        "attempts": rate.attempts,
        "answers": rate.answers,
        "rate": _rounded(rate.share),
        "interval": _interval(rate),
    }


def _gap(one: ValueJson) -> GapJson:
    low, high = gap_range(int(one["value"]))
    return {**one, "from_minutes": low, "to_minutes": high}


def _interval(rate: Rate) -> list[float] | None:
    return None if rate.interval is None else [round(bound, 4) for bound in rate.interval]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


# ---- routes ---

Day = Annotated[
    date, BeforeValidator(read_date), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-26"]})
]


@router.get(
    "/stats/retries",
    summary="Show how well retries work",
    description="Attempts and answers of an account, an agent or a batch, by attempt, gap, local hour, previous "
    "outcome, caller id and country. A finished attempt is counted some minutes after its end, for the day of its "
    "contact's first dial.",
    tags=["statistics"],
    operation_id="retry_statistics",
    responses=answers(200, "The statistics of the period.", RetryStatistics, 400, 404),
)
def retry_statistics(
    agent_id: Annotated[str | None, Query(description="Only this agent.")] = None,
    batch_id: Annotated[str | None, Query(description="Only this batch.")] = None,
    first: Annotated[
        Day | None,
        Query(alias="from", description=f"First day (UTC). Default: {DEFAULT_PERIOD.days - 1} days before `to`."),
    ] = None,
    last: Annotated[
        Day | None,
        Query(alias="to", description=f"Last day (UTC); at most {LONGEST_PERIOD.days} days in all. Default: today."),
    ] = None,
) -> Response[Any]:
    end = last or system.now().date()
    start = first or end - DEFAULT_PERIOD + timedelta(days=1)
    agent = None if agent_id is None else known_id(agent_id, "agent")
    batch = None if batch_id is None else known_batch_id(batch_id)
    found = statistics.read(services(), account_id(), agent, batch, start, end)
    return answer(statistics_json(found, agent, batch, start, end))
