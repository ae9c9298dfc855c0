"""The cost of a failing carrier: no call if it certainly placed none, few calls if it may have placed some."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from local.web.server import Request, Response
from redial.domain.circuit import FAILURES_TO_OPEN
from redial.domain.status import Status
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR, World
from tests.support.forms import CONTENT_TYPE, multipart

pytestmark = pytest.mark.simulation

Trouble = Callable[[Request], Response | None]


def answers(status: int, code: int | None = None, names_a_number: bool = False) -> Trouble:
    """Answer requests to place a call this way; `names_a_number`: only requests with a number to call."""

    def trouble(sent: Request) -> Response | None:
        if sent.method != "POST" or (names_a_number and b"To=" not in sent.body):
            return None
        return Response.of(status, {"code": code, "message": "no", "status": status})

    return trouble


def outcomes_of_a_batch(trouble: Trouble, hours: float, lines: int = 5, contacts: int = 20) -> Counter[Status]:
    """The outcomes of a batch started with the trouble, whose contacts would all answer. Errors are not retried."""
    with world_of(5, Faults(5, {})) as world:
        story = Story(world, 5, lines=lines)
        rows = [story.number("completed") for _ in range(contacts)]
        begin(world, hours, trouble)
        form = [("agent_id", story.agent_id), ("retry_config", json.dumps({"enabled": True})), ("start", "now")]
        body = multipart(form, "\n".join(["contact_number", *rows]))
        story.ask("POST", "/batches", body, {"Content-Type": CONTENT_TYPE, "Idempotency-Key": "batch"})
        world.run((hours + 2) * HOUR)
        assert world.violations == []
        rung = Counter(call.request.to for call in world.carrier.calls.all())
        assert set(rung.values()) <= {1}
        return Counter(execution.state.status for execution in world.stored_executions())


def begin(world: World, hours: float, trouble: Trouble) -> None:
    ask, until = world._ask_carrier, world.now + timedelta(hours=hours)

    def asked(sent: Request, limits: Any) -> Response:
        answer = trouble(sent) if world.now < until else None
        return answer or ask(sent, limits)

    world._ask_carrier = asked  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("trouble", "hours"),
    [
        pytest.param(answers(403, 20005), 2, id="suspended"),
        pytest.param(answers(401, 20003), 1 / 60, id="token changed a minute before the secret"),
        pytest.param(answers(404, 20404), 1, id="account unknown", marks=pytest.mark.nightly),
        pytest.param(answers(429, 20429), 1, id="throttled"),
        pytest.param(answers(400, 10004), 1, id="too many calls at once", marks=pytest.mark.nightly),
        pytest.param(answers(400, 22005), 1, id="queue full", marks=pytest.mark.nightly),
    ],
)
def test_an_answer_that_rules_out_a_call_costs_no_call(trouble: Trouble, hours: float) -> None:
    assert outcomes_of_a_batch(trouble, hours) == {Status.COMPLETED: 20}


@pytest.mark.parametrize(
    ("hours", "lines"), [(1, 5), *(pytest.param(*one, marks=pytest.mark.nightly) for one in ((1, 15), (4, 5)))]
)
def test_an_ambiguous_outage_costs_only_the_calls_that_open_the_circuit(hours: int, lines: int) -> None:
    """If the carrier fails for every request to place a call, a check detects it at no cost."""
    assert outcomes_of_a_batch(answers(503), hours, lines) == {
        Status.COMPLETED: 20 - FAILURES_TO_OPEN,
        Status.ERROR: FAILURES_TO_OPEN,
    }


def test_an_outage_that_a_check_cannot_detect_costs_a_call_at_each_probe() -> None:
    """Only requests with a number fail, so checks pass. Each probe then costs a call, and there are few: after
    1, 3, 7, 15, 30, 45 and 60 minutes."""
    lost = outcomes_of_a_batch(answers(503, names_a_number=True), 1)[Status.ERROR]
    assert FAILURES_TO_OPEN < lost <= FAILURES_TO_OPEN + 7
