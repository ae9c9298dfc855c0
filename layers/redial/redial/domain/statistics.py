"""Statistics of retries: counts every finished attempt in a few dimensions, and evaluates the counts.

A count is kept in a cell, named `<dimension letter><value>=<outcome letter>`: `n2=a` counts second attempts that a
person answered. An attempt adds one to a cell of each dimension. All of a contact's attempts count for the day (UTC) of
its first dial, so the reach of a period is that of the contacts first dialled in it.

Two more cells for each currency count money: `mUSD=n` the attempts whose price the carrier reported, `mUSD=x` the sum
of these prices in millionths.

What an execution adds is a function of its changes alone (`counted`). The counts can therefore be updated by the
difference between the states before and after a change, and always equal a recount.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from math import sqrt

from redial.domain.execution import Attempt, Execution
from redial.domain.outcome import Price
from redial.domain.termination import CallOutcome, outcome_of
from redial.domain.values import dataclass


class Dimension(StrEnum):
    """The dimensions by which attempts are counted. The value is the name in API answers."""

    ATTEMPT = "by_attempt"
    GAP = "by_gap"
    HOUR = "by_local_hour"
    BEFORE = "by_outcome_before"
    CALLER_ID = "by_caller_id"
    COUNTRY = "by_country"


_OUTCOMES = {
    "a": CallOutcome.ANSWERED,
    "v": CallOutcome.VOICEMAIL,
    "n": CallOutcome.NO_ANSWER,
    "b": CallOutcome.BUSY,
    "d": CallOutcome.DECLINED,
    "k": CallOutcome.BLOCKED,
    "f": CallOutcome.FAILED,
    "e": CallOutcome.ERROR,
    "c": CallOutcome.CANCELED,
}
_OUTCOME_LETTERS = {outcome: letter for letter, outcome in _OUTCOMES.items()}
_DIMENSIONS = {
    "n": Dimension.ATTEMPT,
    "g": Dimension.GAP,
    "h": Dimension.HOUR,
    "p": Dimension.BEFORE,
    "c": Dimension.CALLER_ID,
    "o": Dimension.COUNTRY,
}
_MONEY, _PRICED, _MICROS = "m", "n", "x"
GAPS_MINUTES = (15, 30, 60, 120, 240, 480, 1440, 4320)
"""Ends of the gaps since the previous attempt, in minutes; one more gap has no end."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def gap_of(minutes: float) -> int:
    """The index in `GAPS_MINUTES` of the gap with that length; `len(GAPS_MINUTES)` above all of them."""
    return next((index for index, end in enumerate(GAPS_MINUTES) if minutes < end), len(GAPS_MINUTES))


def finished(execution: Execution) -> list[tuple[Attempt, CallOutcome]]:
    """The attempts that were dialled and have ended, with their outcomes. `counted` changes only if these change."""
    return [(one, outcome) for one in execution.state.attempts if (outcome := outcome_of(one)) is not None]


def counted(execution: Execution) -> tuple[date, Counter[str]] | None:
    """The day (UTC) for which the execution's attempts count, and what they add to each cell. None: nothing yet.

    Only attempts that were dialled count. An erased execution has no attempts left, so the caller must keep what was
    counted before.
    """
    ended = finished(execution)
    if not ended or not execution.user_number:
        return None
    cells: Counter[str] = Counter()
    place = _place(execution)
    for number, (attempt, outcome) in enumerate(ended):
        assert attempt.dialed_at is not None, "only those were taken"
        values = {"n": str(attempt.number), "o": place.country}
        if (hour := place.hour(attempt.dialed_at)) is not None:
            values["h"] = hour
        if attempt.from_number is not None:
            values["c"] = attempt.from_number
        if number > 0:
            earlier, before = ended[number - 1]
            assert earlier.ended_at is not None, "it has an outcome"
            values["g"] = str(gap_of((attempt.dialed_at - earlier.ended_at).total_seconds() / 60))
            values["p"] = _OUTCOME_LETTERS[before]
        for letter, value in values.items():
            cells[f"{letter}{value}={_OUTCOME_LETTERS[outcome]}"] += 1
        if attempt.price is not None:
            cells[f"{_MONEY}{attempt.price.currency}={_PRICED}"] += 1
            cells[f"{_MONEY}{attempt.price.currency}={_MICROS}"] += attempt.price.micros
    first = next(one.dialed_at for one in execution.state.attempts if one.dialed_at is not None)
    return first.astimezone(UTC).date(), cells


@dataclass(frozen=True)
class _Place:
    """Where a called number is: `country` (ISO 3166, else its calling code), and the zones that it may be in."""

    country: str
    zones: tuple[str, ...]

    def hour(self, at: datetime) -> str | None:
        """The day of the week and the hour in the called number's local time; None if its zones differ in them."""
        from zoneinfo import ZoneInfo

        local = {(one.weekday(), one.hour) for one in (at.astimezone(ZoneInfo(zone)) for zone in self.zones)}
        return "{:d}.{:02d}".format(*local.pop()) if len(local) == 1 else None


def _place(execution: Execution) -> _Place:
    from redial.domain.phone_number import country, zones_of  # its data takes long to load

    number = execution.user_number
    return _Place(country(number), zones_of(number, execution.time_zone))


# ---- what the counts say ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """The share of `answers` in `attempts`, with its 95 % interval by Wilson's score; both None without attempts."""

    attempts: int
    answers: int

    @staticmethod
    def of(outcomes: Mapping[CallOutcome, int]) -> "Rate":
        """The rate of attempts with these outcomes."""
        return Rate(sum(outcomes.values()), outcomes.get(CallOutcome.ANSWERED, 0))

    @property
    def share(self) -> float | None:
        return self.answers / self.attempts if self.attempts else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return wilson(self.answers, self.attempts) if self.attempts else None


Z = 1.959963984540054
"""The quantile of the normal distribution for 95 %."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a share, at 95 %. Unlike the normal approximation, it is valid for few trials and
    shares near 0."""
    share, square = successes / trials, Z * Z
    middle = share + square / (2 * trials)
    spread = Z * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True)
class Statistics:
    """The sums of cells over a period."""

    cells: Mapping[str, int]

    @staticmethod
    def total(parts: Iterable[Mapping[str, int]]) -> "Statistics":
        sums: Counter[str] = Counter()
        for part in parts:
            sums.update(part)
        return Statistics({cell: count for cell, count in sorted(sums.items()) if count})

    def outcomes(self, dimension: Dimension) -> dict[str, dict[CallOutcome, int]]:
        """The counts by outcome for each value of a dimension, sorted by value."""
        found: dict[str, dict[CallOutcome, int]] = {}
        for cell, count in self.cells.items():
            name, _, letter = cell.rpartition("=")
            if _DIMENSIONS.get(name[:1]) is dimension and letter in _OUTCOMES:
                found.setdefault(name[1:], {})[_OUTCOMES[letter]] = count
        return dict(sorted(found.items()))

    def rates(self, dimension: Dimension) -> dict[str, Rate]:
        """The rate of each value of a dimension."""
        return {value: Rate.of(outcomes) for value, outcomes in self.outcomes(dimension).items()}

    @property
    def totals(self) -> dict[CallOutcome, int]:
        """Attempts by outcome."""
        sums: Counter[CallOutcome] = Counter()
        for outcomes in self.outcomes(Dimension.ATTEMPT).values():
            sums.update(outcomes)
        return {outcome: sums[outcome] for outcome in CallOutcome if sums[outcome]}

    @property
    def prices(self) -> dict[str, tuple[int, Price]]:
        """By currency: the number of attempts whose price the carrier reported, and the sum of these prices."""
        counts = {cell[1:-2]: count for cell, count in self.cells.items() if _is_money(cell, _PRICED)}
        return {
            currency: (count, Price(self.cells.get(f"{_MONEY}{currency}={_MICROS}", 0), currency))
            for currency, count in sorted(counts.items())
        }

    @property
    def reach(self) -> dict[int, Rate]:
        """For each attempt number: the number of contacts, and of those where a person had answered by then."""
        rates = {int(number): rate for number, rate in self.rates(Dimension.ATTEMPT).items()}
        contacts = rates[1].attempts if 1 in rates else 0
        answered, reached = 0, {}
        for number in sorted(rates):
            answered += rates[number].answers
            reached[number] = Rate(contacts, answered)
        return reached


def _is_money(cell: str, letter: str) -> bool:
    return cell.startswith(_MONEY) and cell.endswith(f"={letter}")


DOLLARS_PER_1000_ATTEMPTS = 0.022
"""AWS list price of everything that Redial does for 1,000 unanswered attempts, in US dollars (us-east-1, measured by
bench). An answered attempt with its webhooks costs slightly more."""

ENOUGH = 100
"""Minimum number of attempts for advice: with these, the interval of a share of 10 % is 12 points wide."""


def advice(statistics: Statistics) -> list[str]:
    """Advice on the retry policy, in sentences. Says so if there are too few attempts."""
    rates = {int(number): rate for number, rate in statistics.rates(Dimension.ATTEMPT).items()}
    if not rates or rates[min(rates)].attempts < ENOUGH:
        counted_so_far = sum(rate.attempts for rate in rates.values())
        return [f"Not enough yet: {_many(counted_so_far, 'attempt')} counted, {ENOUGH} first attempts tell something."]
    said = [_of_attempt(number, rate) for number, rate in sorted(rates.items()) if number > 1]
    for dimension, words in ((Dimension.GAP, "retries {}"), (Dimension.HOUR, "calls {}")):
        best = _best(statistics.rates(dimension))
        if best is not None:
            (good, high), (bad, low) = best
            names = [words.format(value_in_words(dimension, value)) for value in (good, bad)]
            said.append(
                f"{names[0][0].upper()}{names[0][1:]} reached {_percent(high)} of {high.attempts:,}, "
                f"{names[1]} {_percent(low)} of {low.attempts:,}: the difference is more than chance."
            )
    return said


def _of_attempt(number: int, rate: Rate) -> str:
    name = {2: "The first retry", 3: "The second retry", 4: "The third retry"}.get(number, f"Attempt {number}")
    if rate.attempts < ENOUGH:
        return f"{name}: not enough yet, {_many(rate.attempts, 'attempt')}."
    wasted = rate.attempts - rate.answers
    return (
        f"{name} reached {_percent(rate)} of {rate.attempts:,}: {_many(rate.answers, 'person', 'people')}"
        f" for {_many(wasted, 'call')} without an answer."
    )


def _best(rates: Mapping[str, Rate]) -> tuple[tuple[str, Rate], tuple[str, Rate]] | None:
    """The best and the worst value with at least `ENOUGH` attempts; None if their intervals overlap."""
    known = [(value, rate) for value, rate in rates.items() if rate.attempts >= ENOUGH]
    if len(known) < 2:
        return None
    by_share = sorted(known, key=lambda one: one[1].answers / one[1].attempts)
    worst, best = by_share[0], by_share[-1]
    assert worst[1].interval is not None and best[1].interval is not None, "they have attempts"
    return (best, worst) if worst[1].interval[1] < best[1].interval[0] else None


def value_in_words(dimension: Dimension, value: str) -> str:
    """A value of a dimension in words."""
    if dimension is Dimension.GAP:
        low, high = gap_range(int(value))
        if low is None:
            return f"within {_span(high or 0)}"
        return f"after {_span(low)} or more" if high is None else f"after {_span(low)} to {_span(high)}"
    if dimension is Dimension.HOUR:
        day, hour = value.split(".")
        return f"on {DAYS[int(day)].capitalize()} at {int(hour)}:00"
    if dimension is Dimension.BEFORE:
        return f"after {_OUTCOMES[value]}"
    return value


def value_of(dimension: Dimension, value: str) -> str:
    """A value of a dimension as in API answers."""
    if dimension is Dimension.BEFORE:
        return str(_OUTCOMES[value])
    if dimension is Dimension.HOUR:
        day, hour = value.split(".")
        return f"{DAYS[int(day)]} {hour}"
    return value


def gap_range(index: int) -> tuple[int | None, int | None]:
    """The bounds of a gap in minutes: (from, until before); None: no bound."""
    low = GAPS_MINUTES[index - 1] if index else None
    return low, GAPS_MINUTES[index] if index < len(GAPS_MINUTES) else None


def _span(minutes: int) -> str:
    if minutes % 1440 == 0:
        return _many(minutes // 1440, "day")
    return _many(minutes // 60, "hour") if minutes % 60 == 0 else f"{minutes} minutes"


def _many(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {several or one + 's'}"


def _percent(rate: Rate) -> str:
    assert rate.share is not None, "the caller checked"
    return f"{rate.share:.1%}".replace("%", " %")
