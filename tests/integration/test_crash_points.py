"""Every crash point of a short scenario: a function is gone before or after each single request that it makes.

One call for each crash point, all at once on one stack: an unanswered attempt and an answered one, with every webhook.
The n-th request that the functions make for a call is where its function is cut off, before it or right after it took
effect; no clean-up code runs. Then time passes, and everything due runs again.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.aws import OutsideRequest
from local.lambda_functions import Invocation
from tests.support.local_stack import Answer, LocalClient, local_stack

# A function that is gone closes no socket: what it leaves open is what is being tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RETRIES = {
    "enabled": True,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed", "error"],
    "retry_intervals_minutes": [1],
}
ENOUGH_MINUTES = 45
"""Covers a claim that came to nothing (6 minutes until it ends as error), twice, and redeliveries after it."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Gone(BaseException):
    """The function is gone."""


@dataclass
class Cutter:
    """Cuts off one function for each key, at that key's request number `at`, in phase before or after."""

    key_of: Callable[[Invocation], str | None]
    at: dict[str, tuple[int, str]] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cut: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: OutsideRequest) -> None:
        invocation = request.invocation
        key = None if invocation is None else self.key_of(invocation)
        if invocation is None or key is None or key in self.cut:
            return
        what = f"{invocation.function.name} {request.service} {request.operation.split('?')[0]}"
        if request.phase == "before":
            self.requests[key].append(what)
        self.seen[key, request.phase] += 1
        if self.at.get(key) == (self.seen[key, request.phase], request.phase):
            self.cut[key] = f"{request.phase} {what}"
            raise Gone(self.cut[key])


def of_call(invocation: Invocation) -> str | None:
    """Which call an invocation of api, dial, deliver or carrier_callback is for: its number, by its event."""
    event = invocation.event
    if "execution_id" in event:
        return NUMBER_OF.get(event["execution_id"])
    path = event.get("rawPath", "")
    if path.startswith("/callbacks/"):
        found = _ID.search(path)
        return NUMBER_OF.get(found.group()) if found else None
    number_header: str | None = event.get("headers", {}).get("x-crash-number")
    return number_header


NUMBER_OF: dict[str, str] = {}
"""execution id → number called, filled in as soon as an execution is known."""


def number(index: int) -> str:
    return f"+1415556{index:04d}"


@pytest.fixture
def client() -> Iterator[LocalClient]:
    NUMBER_OF.clear()
    with local_stack(log=None) as client:
        agent = {"agent_config": {"max_concurrent_calls": 1000}}
        assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", agent).status == 200
        yield client


def place(client: LocalClient, index: int) -> None:
    """Ask for the call as a careful customer does: again with the same key when the answer was none."""
    to = number(index)
    client.script(to, "no-answer", "completed")
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": to, "retry_config": RETRIES}
    answers: list[Answer] = []
    while not answers or (answers[-1].status != 200 and len(answers) < 3):
        answers.append(client.api("POST", "/call", body, Idempotency_Key=f"key-{index}", X_Crash_Number=to))
    NUMBER_OF[answers[-1].json["execution_id"]] = to


def check(client: LocalClient, what: dict[str, str]) -> dict[str, str]:
    """The promises, for every call; returns the final status of each number."""
    calls: dict[str, list[Any]] = defaultdict(list)
    for call in client.calls():
        calls[call["to"]].append(call)
    events: dict[str, list[Any]] = defaultdict(list)
    for one in client.inbox():
        assert one["verified"], what
        if one["answered"] == 200:
            events[one["body"]["user_number"]].append(one["body"])
    finals = {}
    for execution_id, to in NUMBER_OF.items():
        execution = client.execution(execution_id)
        where = (what.get(to), execution["status"], [attempt["status"] for attempt in execution["attempts"]])
        finals[to] = execution["status"]
        assert execution["next_attempt"] is None, where
        dialled = [attempt["provider_call_id"] for attempt in execution["attempts"] if attempt["provider_call_id"]]
        assert sorted(call["sid"] for call in calls[to]) == sorted(dialled), where
        assert len(dialled) == len(set(dialled)), where
        assert len(execution["attempts"]) <= 1 + RETRIES["max_retries"], where  # type: ignore[operator]
        sequences = list(dict.fromkeys(body["sequence"] for body in events[to]))
        assert sequences == list(range(1, execution["sequence"] + 1)), (where, sequences)
        bodies = {body["sequence"]: body["status"] for body in events[to]}
        assert bodies[execution["sequence"]] == execution["status"], where
    return finals


def test_no_crash_point_dials_twice_or_forgets(client: LocalClient) -> None:
    """Dial, callbacks, deliveries and the API, cut off before and after each of their requests."""
    counting = Cutter(of_call)
    client.stack.aws.hooks.append(counting)
    place(client, 0)
    client.advance(ENOUGH_MINUTES)
    assert check(client, {}) == {number(0): "completed"}
    client.stack.aws.hooks.remove(counting)
    points = [(nth, phase) for nth in range(1, len(counting.requests[number(0)]) + 1) for phase in ("before", "after")]
    assert len(points) > 80, "the scenario is shorter than it was: are requests still counted?"

    cutter = Cutter(of_call)
    cutter.at = {number(index): point for index, point in enumerate(points, start=1)}
    client.stack.aws.hooks.append(cutter)
    for index in range(1, len(points) + 1):
        place(client, index)
    client.advance(ENOUGH_MINUTES)
    client.stack.aws.hooks.remove(cutter)
    finals = check(client, cutter.cut)
    assert set(finals.values()) == {"completed"}, {
        cutter.cut.get(to): end for to, end in finals.items() if end != "completed"
    }
    # A call's requests may come in another order than the counted one's, but nearly every point is met; all are by far.
    assert len(cutter.cut) >= len(points) * 0.95, len(cutter.cut)
    assert client.api("GET", "/user/me").json["concurrency"]["current"] == 0


def is_sweep(invocation: Invocation) -> bool:
    return invocation.function.name.endswith("-sweep")


def test_a_sweeper_that_dies_anywhere_is_made_good_by_the_next_one(client: LocalClient) -> None:
    """Calls whose callbacks never come, so that only the sweeper ends them; it dies at each of its requests in turn."""
    counting = Cutter(lambda invocation: invocation.request_id if is_sweep(invocation) else None)
    client.script(number(0), "no-callback")
    client.stack.aws.hooks.append(counting)
    NUMBER_OF[client.call(number(0), retry_config=RETRIES)] = number(0)
    client.advance(5)
    client.stack.aws.hooks.remove(counting)
    runs = sorted(len(requests) for requests in counting.requests.values())
    assert runs[-1] > runs[0], "the sweeper had nothing to do"
    cuts = {}
    for nth in range(1, runs[-1] + 1):
        for phase in ("before", "after"):
            index = len(NUMBER_OF)
            client.script(number(index), "no-callback")
            NUMBER_OF[client.call(number(index), retry_config=RETRIES)] = number(index)
            client.advance(1.99)  # the next run of the sweeper is the one that has to act
            cutter = Cutter(lambda invocation: "sweep" if is_sweep(invocation) else None, {"sweep": (nth, phase)})
            client.stack.aws.hooks.append(cutter)
            client.advance(1)
            client.stack.aws.hooks.remove(cutter)
            cuts[number(index)] = cutter.cut.get("sweep", "not met")
    client.advance(15)
    finals = check(client, cuts)
    assert set(finals.values()) == {"completed"}
    assert sum(cut != "not met" for cut in cuts.values()) > 0.85 * len(cuts)
