"""At most one call of an account to a number at a time, and contact limits that hold during concurrent work."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.carriers.course import ENDED
from redial.adapters.dynamodb.numbers import KEEP, DynamoNumbers
from redial.domain import gates
from redial.domain.called_number import CalledNumber, Contact, Reservation
from redial.domain.contact_limits import ContactHistory
from redial.domain.execution import CLAIM_GRACE, Execution
from redial.domain.status import Status
from redial.ports import StaleVersion
from redial.usecases import one_call
from tests.protocol.test_stops import HOUR
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import Killed, World
from tests.support.aws import dynamodb_with_table
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.samples import ACCOUNT_ID, CALLER_ID, EXECUTION_ID, NUMBER, TEN, minutes, queued
from tests.support.services import TableServices, table_services
from tests.support.table import TABLE_NAME

OTHER_ID = "3d0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c04"


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


def calls(world: World) -> list[Any]:
    return sorted(world.carrier.calls.all(), key=lambda call: call.placed_at)


def most_at_once(world: World) -> int:
    """The highest number of calls that were up at the same time."""
    assert all(call.status in ENDED for call in calls(world))
    counts = [
        sum(one.placed_at <= at < one.ended_at for one in calls(world))
        for at in (other.placed_at for other in calls(world))
    ]
    most: int = max(counts)
    return most


def of_number(world: World, number: str) -> CalledNumber:
    return DynamoNumbers(world.aws.client("dynamodb"), world.environment["TABLE_NAME"], str).get(
        world.accounts[0].id, number
    )


def call(story: Story, to: str, **fields: Any) -> str:
    """Request another call; its number may be that of an earlier one."""
    body = {"agent_id": story.agent_id, "recipient_phone_number": to, "retry_config": RETRIES, **fields}
    return str(story.ask("POST", "/call", body)["execution_id"])


def all_final(world: World) -> None:
    converge(world, timedelta(days=40), HOUR)
    assert all(one.state.is_final for one in world.stored_executions())


# ---- one call at a time ---------------------------------------------------------------------------------------------


def test_the_same_file_twice_and_a_single_call_ring_one_after_the_other(world: World) -> None:
    story = Story(world, 5)
    to = story.number("completed", "completed", "completed")
    form = [("agent_id", story.agent_id), ("start", "now")]
    for _ in range(2):
        body = multipart(form, f"contact_number\n{to}")
        assert story.ask("POST", "/batches", body, {"Content-Type": CONTENT_TYPE}) is not None
    call(story, to)
    all_final(world)
    assert len(calls(world)) == 3
    assert most_at_once(world) == 1
    assert {one.state.status for one in world.stored_executions()} == {Status.COMPLETED}
    assert len(of_number(world, to).history.attempts) == 2, "the third is its holder"


def test_a_call_that_waits_holds_no_line(world: World) -> None:
    story = Story(world, 5, lines=1)
    to = story.number("completed", "completed")
    other = Story(world, 6, lines=1)
    call(other, to)
    story.wait(5)
    waits, placed = call(story, to), story.call("completed")
    story.wait(30)
    state = world.seen.executions[waits].state
    assert (state.status, state.is_waiting, state.attempt.line_shard) == (Status.QUEUED, True, None)
    assert world.seen.executions[waits].changes[-1].reason == "another call to the number"
    assert world.seen.placed[placed, 1]
    all_final(world)


def test_a_retry_waits_for_a_call_of_another_agent(world: World) -> None:
    one, other = Story(world, 5), Story(world, 6)
    to = one.number("busy", "completed", "completed")
    retried = call(one, to)
    one.wait(50)
    call(other, to)
    all_final(world)
    assert most_at_once(world) == 1
    assert len(world.seen.placed[retried, 2]) == 1


def test_another_accounts_call_to_the_number_does_not_count(world: World) -> None:
    to = Story(world, 5).number("completed", "completed")
    for index in range(2):
        story = Story.__new__(Story)
        story.world, story.account, story._number, story._calls = world, world.accounts[index], 7 + index, 0
        made = story.ask("POST", "/v2/agent", {"agent_config": Story._config(1)})
        story.agent_id = made["agent_id"]
        call(story, to)
    world.run(10)
    assert [call.status in ENDED for call in calls(world)] == [False, False]


# ---- reservations that are not followed by a claim -------------------------------------------------------------------


def cut_off(world: World, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[str]:
    """Kill the first dials between their reservations and their claims."""
    reserve = one_call.reserve
    killed: list[str] = []

    def reserved(services: Any, execution: Execution, *rest: Any) -> None:
        reserve(services, execution, *rest)
        if len(killed) < times:
            killed.append(execution.id)
            raise Killed

    monkeypatch.setattr(one_call, "reserve", reserved)
    return killed


def test_a_number_that_was_reserved_and_never_called_is_free_once_no_dial_can_claim_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = cut_off(world, monkeypatch)
    story = Story(world, 5)
    to = story.number("completed", "completed")
    first = call(story, to)
    world.clock.after(1, lambda: call(story, to), "client")
    world.run(60)
    assert killed == [first] and calls(world) == []
    all_final(world)
    assert len(calls(world)) == 2 and most_at_once(world) == 1
    second = next(one for one in world.seen.placed if one[0] != first)
    assert world.seen.placed[second][0].at - world.stored_executions()[0].created_at >= CLAIM_GRACE


def test_a_claim_that_comes_after_its_number_was_taken_over_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dial hangs between reservation and claim, for longer than the grace period here."""
    monkeypatch.setattr(one_call, "CLAIM_GRACE", timedelta(seconds=5))
    monkeypatch.setattr(gates, "NUMBER_CHECK", timedelta(seconds=5))
    story = Story(world, 5)
    slow: list[str] = []
    to = story.number("completed", "completed")
    reserve = one_call.reserve

    def slowly(services: Any, execution: Execution, *rest: Any) -> None:
        reserve(services, execution, *rest)
        if not slow:
            slow.append(execution.id)
            world.functions.sleep(45)

    monkeypatch.setattr(one_call, "reserve", slowly)
    first = call(story, to)
    world.clock.after(1, lambda: call(story, to), "client")
    all_final(world)
    assert slow == [first]
    assert len(calls(world)) == 2 and most_at_once(world) == 1
    assert calls(world)[0].request.status_callback is not None
    assert first not in calls(world)[0].request.status_callback


@pytest.mark.parametrize("outcome", ["refused-429", "invalid-number"])
def test_what_placed_nothing_frees_the_number(world: World, outcome: str) -> None:
    story = Story(world, 5)
    to = story.number(outcome, "completed", "completed")
    call(story, to)
    world.run(5)
    call(story, to)
    world.run(20)
    assert len(calls(world)) == 1
    assert len(of_number(world, to).history.attempts) == 0
    all_final(world)
    assert most_at_once(world) == 1


def test_an_attempt_that_nothing_is_known_of_keeps_the_number(world: World) -> None:
    """The call is up, but the answer to the request that placed it was lost."""
    story = Story(world, 5)
    to = story.number("completed", "completed")
    place = world._ask_carrier

    def lost(sent: Any, limits: Any) -> Any:
        answer = place(sent, limits)
        world._ask_carrier = place  # type: ignore[method-assign]
        return replace(answer, status=500)

    world._ask_carrier = lost  # type: ignore[method-assign]
    call(story, to)
    world.run(2)
    call(story, to)
    all_final(world)
    assert most_at_once(world) == 1


# ---- limits ---------------------------------------------------------------------------------------------------------


def limited(story: Story, **limits: Any) -> None:
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"contact_limits": limits}})


def test_attempts_over_a_cap_are_dialled_when_it_opens_and_not_given_up(world: World) -> None:
    """The cap opens after a week: far later than a call may otherwise be."""
    story = Story(world, 5)
    limited(story, caps=[{"attempts": 1, "hours": 168}])
    to = story.number("no-answer", "no-answer", "completed")
    execution_id = call(story, to)
    world.run(HOUR)
    state = world.seen.executions[execution_id].state
    assert (state.status, state.attempt.number) == (Status.RESCHEDULED, 2)
    assert state.rescheduled_at is not None and timedelta(days=6) < state.rescheduled_at - world.now
    all_final(world)
    dialled = [call.placed_at for call in calls(world)]
    assert len(dialled) == 3
    assert all(later - earlier >= timedelta(days=7) for earlier, later in itertools.pairwise(dialled))
    assert world.seen.executions[execution_id].state.status is Status.COMPLETED


def test_attempts_over_a_cap_end_where_that_is_configured(world: World) -> None:
    story = Story(world, 5)
    limited(story, caps=[{"attempts": 2, "hours": 24}], at_cap="end")
    execution_id = story.call("no-answer", "no-answer", "completed")
    all_final(world)
    execution = world.seen.executions[execution_id]
    assert len(calls(world)) == 2
    assert execution.state.status is Status.CANCELED
    assert execution.state.ended == "the agent's contact limit 2/24h does not allow another attempt yet"


def test_a_conversation_is_followed_by_the_pause_of_the_account(world: World) -> None:
    """It also applies to calls of another agent and if guardrails are bypassed. A voicemail is not a conversation."""
    one, other = Story(world, 5), Story(world, 6)
    assert one.ask("PATCH", "/user/me", {"contact_limits": {"pause_after_conversation_hours": 24}}) is not None
    to, machine = one.number("completed", "completed"), one.number("voicemail", "completed")
    one.ask("PATCH", f"/v2/agent/{one.agent_id}", {"agent_config": {"voicemail_detection": True}})
    for number in (to, machine):
        call(one, number)
    world.run(HOUR)
    for number in (to, machine):
        call(other, number, bypass_call_guardrails=True)
    all_final(world)
    ended = {call.request.to: call.ended_at for call in calls(world)[:2]}
    again = {call.request.to: call.placed_at for call in calls(world)[2:]}
    assert again[to] - ended[to] >= timedelta(hours=24)
    assert again[machine] - ended[machine] < timedelta(hours=2)


def test_new_agents_keep_the_limits_of_their_account(world: World) -> None:
    first = Story(world, 5)
    first.ask("PATCH", "/user/me", {"contact_limits": {"caps": [{"attempts": 1, "hours": 24}]}})
    later = Story(world, 6)
    to = first.number("completed", "completed")
    for story in (first, later):  # the later agent is the one whose call has to wait
        call(story, to)
        world.run(HOUR)
    assert len(calls(world)) == 1
    assert first.ask("PATCH", "/user/me", {"contact_limits": None})["contact_limits"] is None


# ---- erasing --------------------------------------------------------------------------------------------------------


def test_an_erased_person_is_still_called_within_the_limits(world: World) -> None:
    """Only a keyed hash of the number is kept, with times, for a month."""
    story = Story(world, 5)
    limited(story, caps=[{"attempts": 1, "hours": 24}], pause_after_conversation_hours=48)
    to = story.number("completed", "completed")
    call(story, to)
    world.run(HOUR)
    receipt = story.ask("DELETE", f"/contacts/{to}")
    assert (receipt["erased"]["executions"], receipt["kept"]["attempts"]) == (1, 1)
    stored = [item for item in world.items("T#") if item["sk"] == "N"]
    assert len(stored) == 1
    assert not any(to[1:] in str(value) or to[-7:] in str(value) for value in stored[0].values())
    assert set(stored[0]) == {"pk", "sk", "v", "at", "tk", "expires_at"}
    assert 0 < stored[0]["expires_at"] - (world.now + KEEP).timestamp() + HOUR < 2 * HOUR
    call(story, to)
    world.run(2 * HOUR)
    assert len(calls(world)) == 1
    world.run(48 * HOUR)
    assert len(calls(world)) == 2


# ---- the store and the steps, one by one ----------------------------------------------------------------------------


@pytest.fixture
def services() -> Iterator[TableServices]:
    with dynamodb_with_table() as client:
        yield table_services(client)


def stored(services: TableServices, execution_id: str = EXECUTION_ID) -> Execution:
    services.executions.create(queued(execution_id=execution_id))
    read = services.executions.get(execution_id)
    assert read is not None
    return read


def reserved(services: TableServices, execution: Execution, at: Any = TEN) -> None:
    one_call.reserve(services, execution, one_call.look(services, execution, at), at)


def test_of_two_reservations_one_wins(services: TableServices) -> None:
    one, other = stored(services), stored(services, OTHER_ID)
    looked = [one_call.look(services, execution, TEN) for execution in (one, other)]
    one_call.reserve(services, one, looked[0], TEN)
    with pytest.raises(StaleVersion):
        one_call.reserve(services, other, looked[1], TEN)
    assert one_call.look(services, other, TEN).contact.live == EXECUTION_ID


def test_an_own_reservation_is_made_once_for_each_version(services: TableServices) -> None:
    one = stored(services)
    reserved(services, one)
    reserved(services, one, TEN + minutes(1))
    assert services.numbers.get(ACCOUNT_ID, NUMBER).version == 1
    later = services.executions.save(one)
    reserved(services, later, TEN + minutes(2))
    assert services.numbers.get(ACCOUNT_ID, NUMBER).holder == Reservation(
        EXECUTION_ID, 1, later.version, TEN + minutes(2)
    )


def test_an_old_read_of_the_execution_does_not_replace_its_reservation(services: TableServices) -> None:
    old = stored(services)
    newer = services.executions.save(old)
    reserved(services, newer)
    with pytest.raises(StaleVersion):
        one_call.look(services, old, TEN)


def test_a_reservation_that_is_too_old_is_withdrawn_before_the_number_is_taken_over(services: TableServices) -> None:
    one, other = stored(services), stored(services, OTHER_ID)
    reserved(services, one)
    soon, late = TEN + CLAIM_GRACE - timedelta(milliseconds=1), TEN + CLAIM_GRACE
    assert one_call.look(services, other, soon).contact.live == EXECUTION_ID
    reserved(services, other, late)
    with pytest.raises(StaleVersion):
        services.executions.save(one.claim(late, CALLER_ID, 0, "a1b2c3d4"))
    assert services.numbers.get(ACCOUNT_ID, NUMBER).history == ContactHistory()


def test_a_look_for_people_writes_nothing(services: TableServices) -> None:
    one = stored(services)
    reserved(services, one)
    assert one_call.state(services, ACCOUNT_ID, NUMBER) == Contact()
    services.executions.save(one.claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    assert one_call.state(services, ACCOUNT_ID, NUMBER).live == EXECUTION_ID
    assert services.numbers.get(ACCOUNT_ID, NUMBER).version == 1


def test_accounts_have_keys_of_their_own_and_a_number_is_not_stored(services: TableServices) -> None:
    for account_id in (ACCOUNT_ID, OTHER_ID):
        services.numbers.save(account_id, NUMBER, CalledNumber(), TEN)
    stored_items = services.numbers._table.client.scan(TableName=TABLE_NAME)["Items"]
    digests = {item["pk"]["S"].split("#")[2] for item in stored_items if item["sk"]["S"] == "N"}
    assert len(digests) == 2
    assert NUMBER[1:] not in json.dumps(stored_items)
