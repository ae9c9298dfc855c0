"""Short scenarios, each of which runs once for every point at which a function could crash."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from local.carriers.course import Outcome
from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.domain.circuit import FAILURES_TO_OPEN, HEALTHY_TTL
from redial.domain.execution import Execution
from redial.domain.outcome import Unknown
from redial.wire.timestamps import rfc3339
from tests.simulation.invariants import ZONES
from tests.simulation.population import AREAS
from tests.simulation.world import PORTS, AskedToStop, Stopped, World
from tests.support.forms import CONTENT_TYPE, multipart

RETRIES = {
    "enabled": True,
    "max_retries": 2,
    "retry_on_statuses": ["no-answer", "busy", "failed", "error"],
    "retry_intervals_minutes": [1],
}
MOST_TRIES = 6


Begin = Callable[[], None]
Scenario = Callable[[World, int, Begin], None]
"""A scenario: its world, its number, and the function that it calls after its set-up; crash points count from there."""


class Story:
    """One run of a scenario: its own agent and numbers, and a careful client. `number` distinguishes runs."""

    def __init__(self, world: World, number: int, lines: int = 5, **config: Any) -> None:
        self.world = world
        self.account = world.accounts[0]
        self._number, self._calls = number, 0
        made = self.ask("POST", "/v2/agent", {"agent_config": self._config(lines) | config})
        self.agent_id = str(made["agent_id"])
        self.endpoint = f"0-{self.agent_id}"
        url = f"http://127.0.0.1:{PORTS['inbox']}/{self.endpoint}"
        self.ask("PATCH", f"/v2/agent/{self.agent_id}", {"agent_config": {"webhook_url": url}})

    def limit_key(self, lines: int) -> None:
        """Send later requests with an API key that has this many lines."""
        key = self.ask("POST", "/keys", {"name": "limited", "quotas": {"lines": lines}})
        self.account = replace(self.account, key=str(key["api_key"]))

    @staticmethod
    def _config(lines: int) -> dict[str, Any]:
        return {
            "agent_name": "one telling",
            "from_phone_numbers": ["+12025550100"],
            "answer_url": "https://demo.twilio.com/docs/voice.xml",
            "max_concurrent_calls": lines,
        }

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Repeat the request until the answer is not 5xx; return the body of a 2xx answer, otherwise None."""
        for _ in range(MOST_TRIES):
            answer = self.world.ask_as(self.account, method, path, body, headers)
            if answer.status < 500:
                return json.loads(answer.body) if answer.status < 300 and answer.body else None
            self.wait(5)
        raise AssertionError(f"{method} {path} was not answered in {MOST_TRIES} tries")

    def number(self, *outcomes: Outcome) -> str:
        """Return a number for this run whose calls have these outcomes."""
        self._calls += 1
        area, exchange = AREAS[self._calls % len(AREAS)], 200 + self._number // 100 % 700
        to = f"+1{area}{exchange}{self._number % 100:02d}{self._calls:02d}"
        self.world.carrier.calls.scripts.set(to, outcomes)
        return to

    def call(self, *outcomes: Outcome, **fields: Any) -> str:
        """Request a call whose attempts have these outcomes; return its id."""
        body = {
            "agent_id": self.agent_id,
            "recipient_phone_number": fields.get("recipient_phone_number") or self.number(*outcomes),
            "retry_config": RETRIES,
            **fields,
        }
        made = self.ask("POST", "/call", body, {"Idempotency-Key": f"{self._number}-{self._calls}"})
        return str(made["execution_id"])

    def batch(self, rows: list[str], *fields: tuple[str, str]) -> str:
        """Create a batch of these numbers, started now; return its id."""
        form = [("agent_id", self.agent_id), ("retry_config", json.dumps(RETRIES)), ("start", "now"), *fields]
        body = multipart(form, "\n".join(["contact_number", *rows]))
        headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": f"batch-{self._number}"}
        return str(self.ask("POST", "/batches", body, headers)["batch_id"])

    def in_minutes(self, minutes: float) -> str:
        return rfc3339(self.world.now + timedelta(minutes=minutes))

    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    def fail(self, seconds: float, how: str) -> None:
        """Take the endpoint down for that long, from now on, in that way."""
        self.world.outages[self.endpoint] = self.world.now, self.world.now + timedelta(seconds=seconds), how

    def stop(self, execution_id: str) -> None:
        asked_at = self.world.now
        answer = self.ask("POST", f"/call/{execution_id}/stop")
        self.world.seen.stops_asked.append(AskedToStop(self.world.now, execution_id=execution_id))
        if answer is not None:
            self._stopped(f"call {execution_id}", "id", execution_id, asked_at, at_once=True)

    def stop_agent(self) -> None:
        asked_at = self.world.now
        self.ask("POST", f"/v2/agent/{self.agent_id}/stop")
        self.world.seen.stops_asked.append(AskedToStop(self.world.now, agent_id=self.agent_id))
        self._stopped("agent", "agent_id", self.agent_id, asked_at)

    def end_batch(self, batch_id: str, method: str = "POST", rest: str = "/stop") -> None:
        asked_at = self.world.now
        if self.ask(method, f"/batches/{batch_id}{rest}") is not None:
            self._stopped(f"batch {batch_id}", "batch_id", batch_id, asked_at)

    def _stopped(
        self, what: str, attribute: str, value: str, asked_at: datetime | None = None, at_once: bool = False
    ) -> None:
        def covers(execution: Execution, at: datetime) -> bool:
            return bool(getattr(execution, attribute) == value)

        now = self.world.now
        self.world.stopped(Stopped(now, covers, what, asked_at or now, at_once))


def first_dial(world: World, number: int, begin: Begin) -> None:
    """Includes the creation of its agent."""
    begin()
    story = Story(world, number)
    story.call("completed")


def scheduled_call(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("completed", scheduled_at=story.in_minutes(3))


def retry(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("no-answer", "completed")


def exhaustion(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("busy", "failed", "no-answer")


def voicemail(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("voicemail", "completed", retry_config={**RETRIES, "retry_on_voicemail": True})


def refused_permanently(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("invalid-number")


def throttled(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("refused-429", "completed")


def carrier_outage(world: World, number: int, begin: Begin) -> None:
    """The circuit is open: a call is held, then probes it and finds that the carrier works again."""
    story = Story(world, number)
    circuits = DynamoCircuits(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    circuit = circuits.get(story.account.id, "twilio")
    for _ in range(FAILURES_TO_OPEN):
        circuit = circuit.record(Unknown("Twilio answered 503"), False, world.now)
    circuits.save(circuit)
    story.wait(HEALTHY_TTL.total_seconds())  # no process has it cached as closed any longer
    begin()
    story.call("completed")


def asked_before(world: World, number: int, begin: Begin) -> None:
    """A scrub and a pre-dial hook are asked before each attempt."""
    story = Story(world, number)
    inbox, name = f"http://127.0.0.1:{PORTS['inbox']}", f"0-{story.agent_id}"
    config = {"pre_dial_hook": {"url": f"{inbox}/hook-{name}"}, "scrub": {"url": f"{inbox}/scrub-{name}"}}
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": config})
    story.call("completed")
    story.wait(300)  # one-time reads are done, and nothing else is still cached
    begin()
    story.call("completed")


def unknown_but_placed(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("timeout-after-placing", "completed")


def callbacks_lost(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.call("no-callback", "completed")


def line_handed_over(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    begin()
    story.call("completed")
    story.call("completed")


def line_of_key_handed_over(world: World, number: int, begin: Begin) -> None:
    """The last call waits for a line of its agent, then for the only one of its key."""
    story = Story(world, number, lines=2)
    story.call("completed")
    story.wait(5)
    story.limit_key(1)
    begin()
    story.call("completed")
    story.wait(1)
    story.call("completed")


def batch_of_limited_key(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=2)
    story.limit_key(1)
    begin()
    story.batch([story.number("completed"), story.number("completed")])


def stopped_when_queued_for_key(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    story.limit_key(1)
    story.call("completed")
    story.wait(3)
    execution_id = story.call("completed")
    story.wait(3)
    begin()
    story.stop(execution_id)
    story.call("completed")


def redelivery(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    begin()
    story.fail(150, "500")
    story.call("completed")


def given_up_and_replayed(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    story.fail(60, "410")
    execution_id = story.call("busy", retry_config=None)
    story.wait(120)
    begin()
    story.ask("POST", f"/executions/{execution_id}/webhooks/replay")


def moved_by_calling_hours(world: World, number: int, begin: Begin) -> None:
    """Calling hours open at the next whole hour of the number's zone."""
    story = Story(world, number)
    to = story.number("completed")
    hour = world.now.astimezone(ZoneInfo(ZONES[to[2:5]])).hour
    hours = {"call_start_hour": (hour + 1) % 24, "call_end_hour": (hour + 3) % 24}
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"calling_guardrails": hours}})
    begin()
    story.call(recipient_phone_number=to)


def stopped_when_queued(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    story.call("completed")
    story.wait(3)
    execution_id = story.call("completed")
    begin()
    story.stop(execution_id)


def stopped_when_scheduled(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    execution_id = story.call("completed", scheduled_at=story.in_minutes(5))
    story.wait(60)
    begin()
    story.stop(execution_id)


def stopped_between_attempts(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number)
    execution_id = story.call("busy", "completed", retry_config={**RETRIES, "retry_intervals_minutes": [10]})
    story.wait(60)
    begin()
    story.stop(execution_id)


def _stopped_after(seconds: float) -> Scenario:
    def stopped(world: World, number: int, begin: Begin) -> None:
        story = Story(world, number)
        execution_id = story.call("completed")
        story.wait(seconds)
        begin()
        story.stop(execution_id)

    return stopped


def agent_stopped(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    for _ in range(3):
        story.call("completed")
    story.call("completed", scheduled_at=story.in_minutes(5))
    story.wait(5)
    begin()
    story.stop_agent()


def batch(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    begin()
    rows = [story.number("completed"), story.number("completed")]
    story.batch([*rows, rows[0], "absent"], ("webhook_url", f"http://127.0.0.1:{PORTS['inbox']}/{story.endpoint}"))


def batch_stopped(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    batch_id = story.batch([story.number("completed") for _ in range(2)])
    story.wait(5)
    begin()
    story.end_batch(batch_id)


def batch_paused_and_resumed(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    batch_id = story.batch([story.number("completed") for _ in range(2)])
    story.wait(5)
    begin()
    story.ask("POST", f"/batches/{batch_id}/pause")
    story.wait(240)
    story.ask("POST", f"/batches/{batch_id}/resume")


def batch_deleted(world: World, number: int, begin: Begin) -> None:
    story = Story(world, number, lines=1)
    batch_id = story.batch([story.number("completed") for _ in range(2)])
    story.wait(5)
    begin()
    story.end_batch(batch_id, "DELETE", "")


SCENARIOS: dict[str, Scenario] = {
    "first dial": first_dial,
    "scheduled call": scheduled_call,
    "retry": retry,
    "exhaustion": exhaustion,
    "voicemail": voicemail,
    "refused permanently": refused_permanently,
    "throttled": throttled,
    "carrier outage": carrier_outage,
    "asked before": asked_before,
    "unknown but placed": unknown_but_placed,
    "callbacks lost": callbacks_lost,
    "line handed over": line_handed_over,
    "line of a key handed over": line_of_key_handed_over,
    "stopped when queued for its key": stopped_when_queued_for_key,
    "batch of a limited key": batch_of_limited_key,
    "redelivery": redelivery,
    "given up and replayed": given_up_and_replayed,
    "moved by calling hours": moved_by_calling_hours,
    "stopped when queued": stopped_when_queued,
    "stopped when scheduled": stopped_when_scheduled,
    "stopped between attempts": stopped_between_attempts,
    "stopped when initiated": _stopped_after(1),
    "stopped when ringing": _stopped_after(5),
    "stopped when in-progress": _stopped_after(20),
    "stopped when completed": _stopped_after(90),
    "agent stopped": agent_stopped,
    "batch": batch,
    "batch stopped": batch_stopped,
    "batch paused and resumed": batch_paused_and_resumed,
    "batch deleted": batch_deleted,
}
