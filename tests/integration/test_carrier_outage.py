"""A carrier that fails for every call: calls wait without using up retries, a probe succeeds, the rest resumes."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.domain.circuit import FAILURES_TO_OPEN, HEALTHY_TTL, Circuit, CircuitState
from redial.domain.outcome import Accepted, Unknown
from redial.ports import StaleVersion
from redial.usecases.circuit_breaker import Admission, Asked, CircuitBreaker
from tests.support.aws import dynamodb_with_table
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack
from tests.support.samples import TEN, minutes, seconds
from tests.support.table import TABLE_NAME

RETRIES = {"enabled": True, "max_retries": 1, "retry_on_statuses": ["error"], "retry_intervals_minutes": [60]}
FAILING = FAILURES_TO_OPEN
WAITING = 30
ASKED = Asked("acme", "twilio", "+14155550123", ("+12025550100",))
ADMITTED = Admission("+12025550100")


def metrics(log: Path) -> Counter[str]:
    """Emitted counts by metric."""
    counted: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        if line.startswith('{"_aws"'):
            emitted = json.loads(line)
            for metric in emitted["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                counted[metric["Name"]] += sum(emitted[metric["Name"]])
    return counted


def circuit(client: LocalClient) -> Any:
    return client.api("GET", "/user/me").json["carriers"][0]


def test_calls_wait_for_the_end_of_an_outage_and_use_up_no_retry(tmp_path: Path) -> None:
    log = tmp_path / "functions.log"
    with local_stack(log=log) as client:  # not a fixture: pytest changes standard output between set-up and test
        _an_outage(client)
    counted = metrics(log)
    assert counted["CircuitOpened"] == 1
    assert FAILING < counted["AttemptUnknown"] <= FAILING + 3
    assert counted["AttemptHeld"] >= WAITING - 3
    assert counted["AttemptEnded"] == counted["AttemptUnknown"] + FAILING + WAITING


def _an_outage(client: LocalClient) -> None:
    agent = client.stack.agent_id
    assert client.api("PATCH", f"/v2/agent/{agent}", {"agent_config": {"max_concurrent_calls": 40}}).status == 200
    numbers = [f"+1202555{number:04d}" for number in range(100, 100 + FAILING + WAITING)]
    for number in numbers:
        client.script(number, "error-500", "completed")
    calls = {number: client.call(number, retry_config=RETRIES) for number in numbers}
    client.advance(0.5)

    # Some were dialled and are unknown; then the circuit opened, and no other call was dialled.
    assert circuit(client)["circuit"] == "open"
    assert circuit(client)["reason"] == "Twilio answered 500"
    tried = [number for number in numbers if client.execution(calls[number])["attempts"][0]["dialed_at"] is not None]
    assert tried == numbers[:FAILING]
    held = client.execution(calls[numbers[FAILING]])
    assert (held["status"], held["retry_count"]) == ("queued", 0)
    assert "the carrier fails for all calls: Twilio answered 500" in json.dumps(
        client.api("GET", f"/executions/{calls[numbers[FAILING]]}/log").json
    )

    # The outage continues: probes are few, and each is one call.
    client.advance(4)
    probes = [number for number in numbers[FAILING:] if client.execution(calls[number])["attempts"][0]["dialed_at"]]
    assert 1 <= len(probes) <= 3
    assert circuit(client)["circuit"] == "open"

    # The carrier recovers.
    for number in numbers:
        client.script(number, "completed")
    client.advance(7)
    assert circuit(client)["circuit"] == "resuming"
    client.advance(10)
    for number in numbers[FAILING:]:
        if number not in probes:
            execution = client.execution(calls[number])
            assert (execution["status"], execution["retry_count"]) == ("completed", 0), execution
    client.advance(120)
    assert {client.execution(one)["status"] for one in calls.values()} == {"completed"}
    assert {client.execution(calls[number])["retry_count"] for number in tried + probes} == {1}
    assert max(Counter(call["to"] for call in client.calls()).values()) == 1
    assert circuit(client) == {
        "provider": "twilio", "circuit": "closed", "since": None, "next_try_at": None, "reason": None,
    }  # fmt: skip
    for one in calls.values():
        events = client.inbox(execution_id=one)
        assert [event["body"]["sequence"] for event in events] == list(range(1, len(events) + 1))
    client.assert_sound()


def test_a_batch_is_held_as_well() -> None:
    with local_stack() as client:
        _a_batch(client)


def _a_batch(client: LocalClient) -> None:
    numbers = [
        f"+12025550{number:03d}" for number in range(15)
    ]  # five are unknown, then a probe after 1, 3 and 7 minutes
    for number in numbers:
        client.script(number, "error-500")
    form = multipart([("agent_id", client.stack.agent_id), ("start", "now")], "\n".join(["contact_number", *numbers]))
    batch = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(8)
    assert circuit(client)["circuit"] == "open"
    for number in numbers:
        client.script(number, "completed")
    client.advance(60)
    done = client.api("GET", f"/batches/{batch}").json
    assert (done["status"], done["execution_status"]) == ("completed", {"completed": 7, "error": 8})
    client.assert_sound()


# ---- the breaker over its store ------------------------------------------------------------------------------------


def works() -> None:
    """A check that passes."""


@pytest.fixture
def circuits() -> Iterator[DynamoCircuits]:
    with dynamodb_with_table() as client:
        yield DynamoCircuits(client, TABLE_NAME)


def test_a_circuit_is_saved_with_optimistic_locking(circuits: DynamoCircuits) -> None:
    new = circuits.get("acme", "twilio")
    assert new == Circuit("acme", "twilio")
    failed = circuits.save(new.record(Unknown("503"), False, TEN))
    assert circuits.get("acme", "twilio") == failed
    assert circuits.cached("acme", "twilio") == {"twilio": failed}
    with pytest.raises(StaleVersion):
        circuits.save(new)
    opened = failed
    for second in range(5):
        opened = opened.record(Unknown("503"), False, TEN + seconds(4 * second))
    stored = circuits.save(opened)
    assert stored.state is CircuitState.OPEN
    assert circuits.get("acme", "twilio") == stored
    resumed = circuits.save(stored.record(Accepted("CA1"), True, TEN + minutes(2)))
    assert circuits.get("acme", "twilio") == resumed
    assert circuits.get("other", "twilio").is_healthy


def test_a_healthy_circuit_is_read_rarely_and_never_written(circuits: DynamoCircuits) -> None:
    now, asked = [TEN], Counter[str]()
    client = boto3.client("dynamodb")
    client.meta.events.register("before-call.dynamodb", lambda model, **_: asked.update([model.name]))
    breaker = CircuitBreaker(DynamoCircuits(client, TABLE_NAME, lambda: now[0]), lambda: now[0])
    for _ in range(100):
        admission = breaker.admit(ASKED, works)
        assert admission.held_until is None
        assert not breaker.record(ASKED, admission, Accepted("CA1"))
        now[0] += HEALTHY_TTL / 50
    assert asked == {"Query": 2}


def test_one_of_two_processes_probes(circuits: DynamoCircuits) -> None:
    now = [TEN]
    client = boto3.client("dynamodb")
    stores = [DynamoCircuits(client, TABLE_NAME, lambda: now[0]) for _ in range(2)]
    one, other = (CircuitBreaker(store, lambda: now[0]) for store in stores)
    tellers = [one, other] * FAILURES_TO_OPEN
    opened = [breaker.record(ASKED, ADMITTED, Unknown("503")) for breaker in tellers[:FAILURES_TO_OPEN]]
    assert opened == [False] * (FAILURES_TO_OPEN - 1) + [True]
    assert {breaker.admit(ASKED, works).held_until for breaker in (one, other)} == {TEN + minutes(1)}
    now[0] += minutes(1)
    first, second = one.admit(ASKED, works), other.admit(ASKED, works)
    assert (first.probes, first.held_until) == (frozenset({"twilio"}), None)
    assert second.held_until is not None and "503" in second.reason
    assert not one.record(ASKED, first, Accepted("CA1"))
    assert other.admit(ASKED, works).held_until is None


def test_a_failed_check_admits_no_call_and_is_repeated_later(circuits: DynamoCircuits) -> None:
    now, answers = [TEN], ["Twilio answered 503", "Twilio answered 502", None]
    breaker = CircuitBreaker(circuits, lambda: now[0])
    for _ in range(FAILURES_TO_OPEN):
        breaker.record(ASKED, ADMITTED, Unknown("503"))
    for wait, reason in ((1, "Twilio answered 503"), (2, "Twilio answered 502")):
        now[0] += minutes(wait)
        admission = breaker.admit(ASKED, lambda: answers.pop(0))
        assert not admission.probes and admission.held_until is not None
        assert admission.reason == f"the carrier fails for all calls: {reason}"
        assert breaker.admit(ASKED, works).held_until == admission.held_until
    now[0] += minutes(4)
    assert breaker.admit(ASKED, lambda: answers.pop(0)).probes
    assert answers == []
