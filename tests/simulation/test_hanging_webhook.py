"""A webhook that hangs takes no capacity from dialling."""

from datetime import datetime, timedelta

import pytest

from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR

CONCURRENCY = 100
"""Functions of the AWS account that may run at the same time: a tenth of the default quota."""
EVENTS = 600
CALLS, CALLS_PER_SECOND = 50, 10
ON_TIME = timedelta(seconds=1)

pytestmark = pytest.mark.simulation


def late_calls(deliveries_at_once: int | None) -> int:
    """Send `EVENTS` events to an endpoint that hangs, then request calls at an even rate; return how many calls are
    placed later than `ON_TIME`."""
    with world_of(1, Faults(1, {})) as world:
        world.functions.account_concurrency = CONCURRENCY
        if deliveries_at_once is not None:
            world.queues.limit(world.environment["DELIVER_QUEUE_ARN"], deliveries_at_once)
        hanging, dialling = Story(world, 1), Story(world, 2, lines=CALLS)
        hanging.fail(HOUR, "hangs")
        for _ in range(EVENTS):
            hanging.call(scheduled_at=hanging.in_minutes(600))
        asked: dict[str, datetime] = {}

        def ask() -> None:
            asked[dialling.call("completed")] = world.now

        for number in range(CALLS):
            world.clock.after(1 + number / CALLS_PER_SECOND, ask, "client")
        world.run(1 + CALLS / CALLS_PER_SECOND + 60)
        placed = {execution_id: placed[0].at for (execution_id, _), placed in world.seen.placed.items()}
        assert len(asked) == CALLS
        return sum(one not in placed or placed[one] - at > ON_TIME for one, at in asked.items())


def test_calls_are_placed_on_time_while_600_events_go_to_an_endpoint_that_hangs() -> None:
    assert late_calls(None) == 0


@pytest.mark.nightly
def test_without_a_limit_of_deliveries_the_calls_are_late() -> None:
    """Shows that the test above can fail."""
    assert late_calls(1000) > CALLS // 2
