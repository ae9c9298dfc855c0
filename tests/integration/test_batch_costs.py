"""The cost of an attempt depends neither on the size of its batch nor on the batch's progress."""

from bench.attempt import Bench, Counts, counting
from bench.stack import BATCH_RETRIES, number
from redial.domain.batch import contact_id

LINES = 3
HOUR_LATER = {**BATCH_RETRIES, "retry_intervals_minutes": [60]}


def cost_of_an_attempt(row: int, rows: int) -> Counts:
    """The cost for an unanswered contact, on a line that another call releases, while all lines are in use."""
    with counting(Bench, recurring=False) as bench:
        agent_id = bench.agent(max_concurrent_calls=LINES)
        for one in range(1, rows + 1):
            outcome = "no-answer" if one == row else "completed"
            bench.stack.carrier.calls.scripts.set(number(one), [outcome])
        batch_id = bench.stack.start_batch(agent_id, rows, HOUR_LATER)
        bench.known_as("the contact", contact_id(batch_id, row))
        counts = bench.count(f"row {row} of {rows}", "the contact")
        bench.advance(15)
        assert bench.stack.carrier.calls.live()[1] == LINES
        bench.finish("the contact", 1, "no-answer")
        return counts


def test_an_attempt_costs_the_same_early_and_late_in_a_small_and_a_large_batch() -> None:
    first = cost_of_an_attempt(10, 30)
    for row, rows in ((25, 30), (10, 600)):
        other = cost_of_an_attempt(row, rows)
        assert (other.requests, other.units) == (first.requests, first.units)
        assert other.invocations == first.invocations
