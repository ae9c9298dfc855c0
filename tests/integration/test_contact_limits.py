"""Contact limits, and one call to a number at a time, through the HTTP interface."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack
from tests.support.samples import NUMBER

LIMITS = {"caps": [{"attempts": 2, "hours": 24}], "pause_after_conversation_hours": 48, "at_cap": "end"}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def configure(client: LocalClient, **config: Any) -> Any:
    return client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", {"agent_config": config})


def batch_of(client: LocalClient, numbers: list[str]) -> str:
    form = [("agent_id", client.stack.agent_id), ("start", "now")]
    body = multipart(form, "\n".join(["contact_number", *numbers]))
    answer = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


# ---- the interface --------------------------------------------------------------------------------------------------


def test_limits_of_an_account_are_set_shown_and_removed(client: LocalClient) -> None:
    assert client.api("GET", "/user/me").json["contact_limits"] is None
    assert client.api("PATCH", "/user/me", {"contact_limits": LIMITS}).json["contact_limits"] == LIMITS
    other = client.api("PATCH", "/user/me", {"from_phone_numbers": ["+12025550100"]})
    assert other.json["contact_limits"] == LIMITS, "what is left out stays"
    assert client.api("PATCH", "/user/me", {"contact_limits": None}).json["contact_limits"] is None
    assert other.json["defaults"] == client.api("GET", "/user/me").json["defaults"]


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"caps": [{"attempts": 0, "hours": 24}]}, "contact_limits.caps.0.attempts"),
        ({"caps": [{"attempts": 1, "hours": 1000}]}, "contact_limits.caps.0.hours"),
        ({"at_cap": "sometimes"}, "contact_limits.at_cap"),
        ("3 per day", "contact_limits"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(client: LocalClient, limits: Any, field: str) -> None:
    answer = client.api("PATCH", "/user/me", {"contact_limits": limits})
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, [field])
    answer = configure(client, contact_limits=limits)
    assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, [f"agent_config.{field}"])


def test_limits_of_an_agent_are_returned_as_sent(client: LocalClient) -> None:
    assert configure(client, contact_limits=LIMITS).status == 200
    read = client.api("GET", f"/v2/agent/{client.stack.agent_id}").json
    assert read["agent_config"]["contact_limits"] == LIMITS


# ---- calls ----------------------------------------------------------------------------------------------------------


def test_a_call_over_a_cap_says_when_it_is_dialled_and_why(client: LocalClient) -> None:
    configure(client, contact_limits={"caps": [{"attempts": 1, "hours": 24}]})
    client.script(NUMBER, "no-answer", "completed")
    client.call(NUMBER)
    client.advance(5)
    waits = client.call(NUMBER, bypass_call_guardrails=True)
    client.advance(1)
    said = client.execution(waits)
    (first,) = client.calls(NUMBER)
    opens_at = datetime.fromisoformat(said["rescheduled_at"])
    assert said["status"] == "rescheduled"
    assert abs(opens_at - datetime.fromisoformat(first["placed_at"]) - timedelta(hours=24)) < timedelta(seconds=5)
    (moved,) = [
        one for one in client.api("GET", f"/executions/{waits}/log").json["data"] if one["type"] == "rescheduled"
    ]
    assert moved["data"]["reason"] == "the agent's contact limit 1/24h does not allow another attempt yet"
    assert moved["component"] == "contact-limit"
    assert moved["data"]["gates"][-1] == {
        "gate": "contact-limit",
        "decision": "defer",
        "rule": "agent 1/24h",
        "text": "The agent's contact limit 1/24h does not allow another attempt yet.",
    }
    assert client.inbox(execution_id=waits)[-1]["body"]["type"] == "execution.rescheduled"
    client.advance(24 * 60)
    assert client.execution(waits)["status"] == "completed"


def test_a_contact_waits_for_another_batch_and_its_batch_ends(client: LocalClient) -> None:
    client.script(NUMBER, "completed", "completed")
    first, second = batch_of(client, [NUMBER]), batch_of(client, [NUMBER])
    client.advance(0.1)
    assert len(client.calls(NUMBER)) == 1
    client.advance(60)
    assert len(client.calls(NUMBER)) == 2
    assert [client.api("GET", f"/batches/{one}").json["status"] for one in (first, second)] == ["completed"] * 2


@pytest.mark.simulation
def test_fifty_concurrent_dials_from_three_batches_keep_to_the_cap() -> None:
    """17 numbers are in all three batches, and two attempts a day are allowed. The requests of all dials overlap: AWS
    is slow, and every dial is invoked twice."""
    with world_of(3, Faults(3, {"aws slow": 0.4, "invoked twice": 1.0})) as world:
        limits = {"caps": [{"attempts": 2, "hours": 24}], "at_cap": "end"}
        stories = [Story(world, number, lines=20, contact_limits=limits) for number in range(3)]
        numbers = [stories[0].number("no-answer", "no-answer", "no-answer") for _ in range(17)]
        for story in stories:
            form = [("agent_id", story.agent_id), ("start", "now")]
            body = multipart(form, "\n".join(["contact_number", *numbers]))
            assert story.ask("POST", "/batches", body, {"Content-Type": CONTENT_TYPE}) is not None
        world.faults.active = True
        world.run(600)
        world.faults.active = False
        converge(world, timedelta(days=2), 3600.0)
        assert world.violations == []
        dialled: dict[str, list[Any]] = defaultdict(list)
        for call in world.carrier.calls.all():
            dialled[call.request.to].append(call)
        assert {number: len(calls) for number, calls in dialled.items()} == dict.fromkeys(numbers, 2)
