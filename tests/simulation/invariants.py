"""What must hold whatever goes wrong: one function for each promise, named after it.

Those of `ON_PLACED` are asked whenever a phone rings, those of `ON_WRITTEN` whenever an execution is stored, those of
`AT_THE_END` when everything has healed and time has passed. They look from outside: at the carrier's calls, at what
endpoints got, at what clients were answered, by true time; the stored executions serve to know what was asked for.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from local.carrier_calls import ENDED
from redial.domain.batch import BatchStatus
from redial.domain.execution import UNKNOWN_DEADLINE, Change, Execution, Note
from redial.domain.status import Status, rank
from tests.simulation.faults import LARGEST_SKEW_SECONDS
from tests.simulation.world import Placed, World

SKEW = timedelta(seconds=LARGEST_SKEW_SECONDS)
LIMIT_IN_FORCE = timedelta(minutes=2)
"""How long a dial that read the agent before its limit was lowered may still go by what it read."""
PUNCTUAL_SECONDS = 70.0
"""The scheduler's minute, and what requests take that are slow but do not fail."""
ZONES = {"212": "America/New_York", "415": "America/Los_Angeles", "312": "America/Chicago", "808": "Pacific/Honolulu"}


def _where(placed: Placed) -> str:
    return f"{placed.execution_id} attempt {placed.attempt}"


# ---- when a phone rings -----------------------------------------------------------------------------------------


def at_most_one_call_per_attempt(world: World, placed: Placed) -> None:
    calls = world.seen.placed[placed.execution_id, placed.attempt]
    if len(calls) > 1:
        world.violate("at most one call per attempt", f"{_where(placed)}: {len(calls)} calls")


def no_more_attempts_than_allowed(world: World, placed: Placed) -> None:
    config = world.seen.executions[placed.execution_id].retry_config
    allowed = 1 + (config.max_retries if config is not None and config.enabled else 0)
    if placed.attempt > allowed:
        world.violate("attempts ≤ 1 + max_retries", f"{_where(placed)}: {allowed} are allowed")


def no_dial_before_its_time(world: World, placed: Placed) -> None:
    """A first attempt not before `scheduled_at`; a retry not before its interval after the failed call's end, or after
    the attempt was given up as lost."""
    execution = world.seen.executions[placed.execution_id]
    if placed.attempt == 1:
        asked = world.seen.acknowledged.get(execution.id, {}).get("scheduled_at")
        due = datetime.fromisoformat(asked) if asked else execution.created_at
    else:
        before = world.seen.placed.get((placed.execution_id, placed.attempt - 1))
        attempt = execution.state.attempts[placed.attempt - 2]
        ended = before[0].call.ended_at if before and not attempt.lost else attempt.ended_at
        assert execution.retry_config is not None
        due = (ended or placed.at) + execution.retry_config.interval(placed.attempt - 1)
    if placed.at < due - 2 * SKEW:
        world.violate("no dial before its time", f"{_where(placed)}: {(due - placed.at).total_seconds():.3f} s early")


def no_dial_after_an_answered_stop(world: World, placed: Placed) -> None:
    execution = world.seen.executions[placed.execution_id]
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    for stop in world.seen.stops:
        if claimed_at > stop.at and stop.covers(execution, world.seen.created_at[execution.id]):
            late = (placed.at - stop.at).total_seconds()
            world.violate(
                "no dial after an answered stop", f"{_where(placed)}: {stop.what} was stopped {late:.1f} s ago"
            )


def never_more_live_calls_than_lines(world: World, placed: Placed) -> None:
    """Calls apart that the carrier places after their attempts may have been given up: their lines are others' then."""
    agent_id = world.seen.executions[placed.execution_id].agent_id
    late = {
        one.call.sid
        for key, calls in world.seen.placed.items()
        for one in calls
        if one.at > world.seen.claimed_at[key] + UNKNOWN_DEADLINE
    }
    live = sum(call.status not in ENDED and call.sid not in late for call in world.seen.calls_of[agent_id])
    limits = world.seen.limits[agent_id]
    recent = [value for at, value in limits if at > world.now - LIMIT_IN_FORCE]
    in_force = [value for at, value in limits if at <= world.now - LIMIT_IN_FORCE][-1:]
    if live > max(recent + in_force):
        world.violate("never more live calls than lines", f"{agent_id}: {live} live, {max(recent + in_force)} lines")


def no_dial_outside_calling_hours(world: World, placed: Placed) -> None:
    execution = world.seen.executions[placed.execution_id]
    hours = world.calling_hours.get(execution.agent_id)
    if hours is None or execution.bypass_call_guardrails:
        return
    zone = ZoneInfo(ZONES[execution.user_number[2:5]])
    for slack in (-2 * SKEW, timedelta(), 2 * SKEW):
        # The gate is asked before the claim; a slow carrier may let the phone ring a moment after the end.
        local = (world.seen.claimed_at[placed.execution_id, placed.attempt] + slack).astimezone(zone)
        if hours[0] <= local.hour < hours[1]:
            return
    world.violate("no dial outside calling hours", f"{_where(placed)}: at {placed.at.astimezone(zone):%H:%M:%S}")


ON_PLACED: tuple[Callable[[World, Placed], None], ...] = (
    at_most_one_call_per_attempt,
    no_more_attempts_than_allowed,
    no_dial_before_its_time,
    no_dial_after_an_answered_stop,
    never_more_live_calls_than_lines,
    no_dial_outside_calling_hours,
)

# ---- when an execution is stored --------------------------------------------------------------------------------


def statuses_move_forward(world: World, before: Execution | None, after: Execution) -> None:
    """Within an attempt a status only moves forward; attempts only count up; what is final stays.

    Save that a lost attempt is reopened, by a report on its own call, while its retry is not claimed.
    """
    if before is None:
        return
    if _reopened(before, after) is not None:
        for fault in _wrongly_reopened(before, after):
            world.violate("statuses move forward", f"{after.id}: {fault}")
        return
    was, is_now = before.state, after.state
    if was.is_final and (is_now.status is not was.status or is_now.sequence != was.sequence):
        world.violate("statuses move forward", f"{after.id}: final {was.status} became {is_now.status}")
    if is_now.attempt.number < was.attempt.number:
        world.violate(
            "statuses move forward", f"{after.id}: attempt {is_now.attempt.number} after {was.attempt.number}"
        )
    events = [change for _, change in after.events()]
    for earlier, later in itertools.pairwise(events):
        falls = later.attempt == earlier.attempt and rank(Status(later.kind)) < rank(Status(earlier.kind))
        if falls:
            world.violate("statuses move forward", f"{after.id}: {earlier.kind} then {later.kind}")


def _reopened(before: Execution, after: Execution) -> Change | None:
    """The change by which a lost attempt goes on, where this write holds one."""
    return next((one for one in after.changes[len(before.changes) :] if one.kind is Note.FOUND), None)


def _wrongly_reopened(before: Execution, after: Execution) -> Iterator[str]:
    found, was = _reopened(before, after), before.state
    assert found is not None
    if len(was.attempts) != found.attempt + 1 or not was.is_waiting:
        yield f"attempt {found.attempt} is reopened while attempt {was.attempt.number} is {was.status}, not waiting"
        return
    lost = was.attempts[found.attempt - 1]
    if not lost.lost or lost.call_id not in (None, found.call_id):
        yield f"attempt {found.attempt}, {lost.status} of {lost.call_id}, is reopened by {found.call_id}"
    if after.state.attempts[found.attempt - 1].call_id != found.call_id:
        yield f"attempt {found.attempt} goes on with another call than {found.call_id}"


def times_and_sequences_rise(world: World, before: Execution | None, after: Execution) -> None:
    instants = [change.at for _, change in after.events()]
    if any(earlier >= later for earlier, later in itertools.pairwise(instants)):
        world.violate("updated_at and sequence rise", f"{after.id}: {[str(instant) for instant in instants]}")
    if before is not None and after.state.sequence < before.state.sequence:
        world.violate("updated_at and sequence rise", f"{after.id}: sequence {after.state.sequence}")


def history_is_never_rewritten(world: World, before: Execution | None, after: Execution) -> None:
    if before is None:
        return
    known = [(change.kind, change.at, change.attempt) for _, change in before.events()]
    stored = [(change.kind, change.at, change.attempt) for _, change in after.events()]
    history, found = before.state.history, _reopened(before, after)
    if found is not None and history[-1][:2] == (found.attempt, Status.ERROR):
        history = history[:-1]  # the one entry that was not true
    if stored[: len(known)] != known or after.state.history[: len(history)] != history:
        world.violate("history is never rewritten", f"{after.id}: {known} became {stored}")


ON_WRITTEN: tuple[Callable[[World, Execution | None, Execution], None], ...] = (
    statuses_move_forward,
    times_and_sequences_rise,
    history_is_never_rewritten,
)

# ---- when everything has healed ---------------------------------------------------------------------------------


def every_execution_is_final(world: World) -> None:
    for execution in world.stored_executions():
        if not execution.state.is_final:
            state = execution.state
            world.violate(
                "every execution is final", f"{execution.id} is {state.status}, attempt {state.attempt.number}"
            )


def what_was_acknowledged_exists(world: World) -> None:
    known = {execution.id for execution in world.stored_executions()}
    for execution_id in world.seen.acknowledged:
        if execution_id not in known:
            world.violate("what was acknowledged exists", execution_id)


def one_key_makes_one_thing(world: World) -> None:
    for (account, key), made in world.seen.keys.items():
        if len(made) > 1:
            world.violate("one key makes one thing", f"{account} {key}: {sorted(made)}")


def every_event_is_told_in_order(world: World) -> None:
    """Each event is taken by the endpoint at least once, or listed as undelivered; in order, and always the same."""
    for execution in world.stored_executions():
        told = world.seen.told[execution.id]
        _check_told(
            world, execution.id, told, execution.state.sequence, execution.delivery, world.has_endpoint(execution)
        )
        said = {(change.kind, sequence) for sequence, change in execution.events()}
        for one in told:
            if (one.body["status"], one.body["sequence"]) not in said:
                world.violate("every event is told in order", f"{execution.id}: {one.body['status']} never was")
    for batch in world.stored_batches():
        told = world.seen.told[batch.id]
        has_endpoint = batch.webhook_url is not None
        is_gone = batch.deleted_at is not None  # for its owner, who could not replay its events
        _check_told(world, batch.id, told, len(batch.changes), batch.delivery, has_endpoint, is_gone)


def _check_told(
    world: World, subject: str, told: Any, last: int, delivery: Any, has_endpoint: bool, is_gone: bool = False
) -> None:
    bodies: dict[int, bytes] = {}
    taken: list[int] = []
    for one in told:
        sequence = one.body["sequence"]
        if not one.verified:
            world.violate("every event is told in order", f"{subject}: event {sequence} is not signed")
        if bodies.setdefault(sequence, one.raw) != one.raw:
            world.violate("every event is told in order", f"{subject}: event {sequence} said two things")
        if one.taken and sequence not in taken:
            taken.append(sequence)
    # One that was given up may be told later, by a replay; all others in their order.
    late = set(delivery.undelivered) | world.seen.given_up[subject]
    orderly = [sequence for sequence in taken if sequence not in late]
    if orderly != sorted(orderly):
        world.violate("every event is told in order", f"{subject}: {taken}")
    missing = set(range(1, last + 1)) - set(taken) - set(delivery.undelivered)
    if has_endpoint and missing:
        world.violate("every event is told or listed", f"{subject}: {sorted(missing)} of {last}")
    if has_endpoint and not is_gone and delivery.undelivered and subject not in world.listed_undelivered():
        world.violate("every event is told or listed", f"{subject}: {delivery.undelivered} not in the account's list")


def nothing_is_told_twice_on_a_good_day(world: World) -> None:
    """At least once is the promise; once is what happens where nothing fails."""
    if world.faults.calm:
        for subject, told in world.seen.told.items():
            twice = [sequence for sequence, count in Counter(one.body["sequence"] for one in told).items() if count > 1]
            if twice:
                world.violate("nothing is told twice on a good day", f"{subject}: {twice}")


def retries_are_punctual_on_a_good_day(world: World) -> None:
    """Where nothing fails and a line is free, the phone rings within the minute that the scheduler may be late."""
    if world.faults.calm:
        for execution in world.stored_executions():
            for before, attempt in zip(execution.state.attempts, execution.state.attempts[1:], strict=False):
                waited = any(change.attempt == attempt.number and change.reason for change in execution.changes)
                if attempt.dialed_at is None or waited or before.ended_at is None:
                    continue
                late = (attempt.dialed_at - attempt.scheduled_at).total_seconds()
                if late > PUNCTUAL_SECONDS:
                    world.violate("retries are punctual on a good day", f"{execution.id}: {late:.1f} s late")


def attempts_say_what_the_carrier_says(world: World) -> None:
    """An attempt that ended by its call ended as its call did; each call that was placed is known to its attempt.

    An attempt that was lost and could not be reopened keeps the call's end beside its own.
    """
    for execution in world.stored_executions():
        for attempt in execution.state.attempts:
            calls = world.seen.placed.get((execution.id, attempt.number), [])
            if not calls:
                if attempt.call_id is not None:
                    world.violate("attempts say what the carrier says", f"{execution.id}: no call {attempt.call_id}")
                continue
            call = calls[0].call
            if attempt.call_id not in (call.sid, None):
                world.violate("attempts say what the carrier says", f"{execution.id}: another call's id")
            if call.status not in (str(attempt.status), str(attempt.late) if attempt.lost else None):
                what = f"{execution.id} attempt {attempt.number} is {attempt.status}, its call {call.status}"
                world.violate("attempts say what the carrier says", what)


def no_line_is_lost(world: World) -> None:
    for item in world.items("L#"):
        holders = item.get("holders") or {}
        if holders:
            world.violate("no line is lost", f"{item['pk']}: {sorted(holders)}")
    waiting = [item["pk"] for item in world.items("Q#")]
    if waiting:
        world.violate("nobody waits for ever", f"{waiting}")


def batch_counts_are_a_recount(world: World) -> None:
    by_batch: dict[str, Counter[str]] = defaultdict(Counter)
    for execution in world.stored_executions():
        if execution.batch_id is not None:
            by_batch[execution.batch_id][str(execution.state.status)] += 1
    for batch in world.stored_batches():
        if batch.deleted_at is not None:
            continue
        account = next(one for one in world.accounts if one.id == batch.account_id)
        said = json.loads(world.ask_as(account, "GET", f"/batches/{batch.id}").body)
        if said["execution_status"] != dict(by_batch[batch.id]):
            what = f"{batch.id}: says {said['execution_status']}, is {dict(by_batch[batch.id])}"
            world.violate("batch counts are a recount", what)
        scheduled = any(change.status is BatchStatus.QUEUED for change in batch.changes)
        if scheduled and not batch.is_over:
            world.violate("every batch ends", f"{batch.id} is {batch.status}")


def no_schedule_could_still_dial(world: World) -> None:
    final = {execution.id for execution in world.stored_executions() if execution.state.is_final}
    for schedule in world.scheduler.schedules():
        sent = json.loads(schedule.definition["Target"].get("Input", "{}"))
        if schedule.definition["Name"].split(".")[1:2] == ["dial"] and sent.get("execution_id") in final:
            world.violate("no schedule could still dial", f"{schedule.definition['Name']} at {schedule.due}")


def nobody_sees_anothers(world: World) -> None:
    owners = {execution.id: execution.account_id for execution in world.stored_executions()}
    for subject, told in world.seen.told.items():
        for one in told:
            account = world.accounts[int(one.endpoint.partition("-")[0])]
            if owners.get(subject, account.id) != account.id:
                world.violate("nobody sees another's", f"{subject} was told to {account.id}")
    for account in world.accounts:
        agents = json.loads(world.ask_as(account, "GET", "/v2/agent/all").body)
        for agent in agents:
            listed = json.loads(world.ask_as(account, "GET", f"/v2/agent/{agent['agent_id']}/executions").body)
            for one in listed["data"]:
                if owners[one["id"]] != account.id:
                    world.violate("nobody sees another's", f"{account.id} is shown {one['id']}")


AT_THE_END: tuple[Callable[[World], None], ...] = (
    every_execution_is_final,
    what_was_acknowledged_exists,
    one_key_makes_one_thing,
    every_event_is_told_in_order,
    nothing_is_told_twice_on_a_good_day,
    retries_are_punctual_on_a_good_day,
    attempts_say_what_the_carrier_says,
    no_line_is_lost,
    batch_counts_are_a_recount,
    no_schedule_could_still_dial,
    nobody_sees_anothers,
)
