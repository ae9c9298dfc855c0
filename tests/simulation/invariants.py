"""The promises as functions: one function for each promise, or for a few that are checked together.

Functions in `ON_PLACED` run whenever a phone rings, those in `ON_WRITTEN` whenever an execution is stored, those in
`ON_STOPPED` when a stop is answered, those in `AT_THE_END` after all faults have ended and time has passed. They
observe the system from outside, by true time: the carrier's calls, the webhooks received by endpoints, clients'
requests and the answers. Stored executions are read to identify attempts.

Each check of a promise is counted (`World.checked`), and only if the promise applied: a retry's time is not checked if
there was no retry. A campaign that never checked a promise fails, see `campaign.unchecked`.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from local.carriers.course import ENDED
from redial.adapters.dynamodb.statistics import DynamoStatistics
from redial.domain.batch import BatchStatus
from redial.domain.decision import Verdict, recorded
from redial.domain.execution import DETECTION_WAIT, Attempt, Change, Execution, Marker
from redial.domain.statistics import counted
from redial.domain.status import Status, rank
from redial.usecases.dial_attempt import ASKED_LASTS
from tests.simulation.faults import LARGEST_SKEW_SECONDS
from tests.simulation.population import POLICIES
from tests.simulation.world import STATISTICS_SECONDS, Placed, Stopped, World

SKEW = timedelta(seconds=LARGEST_SKEW_SECONDS)
LIMIT_IN_FORCE = timedelta(minutes=2)
"""How long a dial that read the agent before its limit was lowered may still use the former limit."""
LIMITS_IN_FORCE = timedelta(seconds=30)
"""How long a dial that read the account before its contact limits changed may still use the former limits."""
CLOCKS_APART = timedelta(minutes=2)
"""How far attempts' times may be off: they come from functions' clocks, before slow requests."""
PUNCTUAL_SECONDS = 75.0
"""The scheduler's minute, plus the time of slow requests."""
IDLE_LINE = timedelta(minutes=1)
"""The longest time on a good day for which a line may be free while a call of its agent waits for one."""
LONGEST_CARRIER_QUEUE = timedelta(seconds=90)
"""The longest wait in the carrier's own queue: calls whose messages or requests were slow start together, and a start
up to `LATEST_PACED` in the past is still used."""
CARRIER_QUEUE_WITHOUT_FAULTS = timedelta(seconds=2)
"""The longest wait if nothing is slow: a message is hidden for whole seconds."""
ZONES = {"212": "America/New_York", "415": "America/Los_Angeles", "312": "America/Chicago", "808": "Pacific/Honolulu"}
DEFAULT_RETRIES = {
    "enabled": False,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_on_voicemail": False,
    "retry_intervals_minutes": [30, 60, 120],
}
"""The HTTP contract's defaults of `retry_config`."""

PROMISES = (
    "at most one call per attempt",
    "attempts ≤ 1 + max_retries",
    "no dial before its time",
    "no dial after an answered stop",
    "no dial to a suppressed number",
    "no dial without a required consent",
    "no dial without the scrub's yes",
    "no dial without the hook's yes",
    "never two live calls to one number",
    "never over a cap or in a pause",
    "a stopped call is never answered",
    "never more live calls than lines",
    "never more live calls than lines of a key",
    "no dial outside calling hours",
    "no window has more attempts than its budget",
    "no dial after its call has expired",
    "calls start at the carrier account's rate",
    "statuses move forward",
    "updated_at and sequence rise",
    "history is never rewritten",
    "every claim has every gate's decision",
    "a newer version's data is kept",
    "no schedule could still dial",
    "every execution is final",
    "what was acknowledged exists",
    "one key creates one call or batch",
    "events are delivered in order",
    "every event is delivered or listed",
    "nothing is delivered twice on a good day",
    "retries are punctual on a good day",
    "no call waits while a line is free on a good day",
    "retries are as configured",
    "retries keep their intervals",
    "voicemail is retried only if asked",
    "machine detection counts",
    "no error without a reason",
    "a fault of the account uses up no attempt",
    "nothing is stopped without a request",
    "attempts agree with the carrier",
    "no line is lost",
    "no call waits for ever",
    "contacts are the file's rows",
    "batch counts equal a recount",
    "statistics equal a recount",
    "every batch ends",
    "an account sees only its own",
    "forged callbacks are refused",
    "every answer is documented",
    "no server error without a fault",
    "it converges",
)
"""The names of all promises that a campaign checks."""


def _where(placed: Placed) -> str:
    return f"{placed.execution_id} attempt {placed.attempt}"


def _retries_of(world: World, execution: Execution) -> dict[str, Any]:
    """The retry policy as the client sent it, or as stored if it sent none."""
    asked = world.seen.acknowledged.get(execution.id)
    if asked is not None:
        return {**DEFAULT_RETRIES, **(asked.get("retry_config") or {})}
    if execution.batch_id in world.seen.batch_configs:
        return {**DEFAULT_RETRIES, **(world.seen.batch_configs[execution.batch_id] or {})}
    config = execution.retry_config
    if config is None:
        return DEFAULT_RETRIES
    return {
        "enabled": config.enabled,
        "max_retries": config.max_retries,
        "retry_on_statuses": [str(status) for status in config.retry_on_statuses],
        "retry_on_voicemail": config.retry_on_voicemail,
        "retry_intervals_minutes": list(config.retry_intervals_minutes),
    }


def _interval(config: dict[str, Any], retry: int) -> timedelta:
    """The interval before that retry (1 is the first); the last interval repeats."""
    intervals = config["retry_intervals_minutes"]
    return timedelta(minutes=intervals[min(retry, len(intervals)) - 1])


# ---- when a phone rings -----------------------------------------------------------------------------------------


def at_most_one_call_per_attempt(world: World, placed: Placed) -> None:
    calls = world.seen.placed[placed.execution_id, placed.attempt]
    world.judge("at most one call per attempt", len(calls) == 1, f"{_where(placed)}: {len(calls)} calls")


def no_more_attempts_than_allowed(world: World, placed: Placed) -> None:
    config = _retries_of(world, world.seen.executions[placed.execution_id])
    allowed = 1 + (config["max_retries"] if config["enabled"] else 0)
    world.judge(
        "attempts ≤ 1 + max_retries",
        placed.attempt <= allowed,
        f"{_where(placed)}: {allowed} are allowed",
    )


def no_dial_before_its_time(world: World, placed: Placed) -> None:
    """A first attempt is not dialled before `scheduled_at`; a retry not before its interval after the end of the failed
    call, or after its attempt was given up as lost."""
    execution = world.seen.executions[placed.execution_id]
    if placed.attempt == 1:
        asked = world.seen.acknowledged.get(execution.id, {}).get("scheduled_at")
        due = datetime.fromisoformat(asked) if asked else execution.created_at
    else:
        before = world.seen.placed.get((placed.execution_id, placed.attempt - 1))
        attempt = execution.state.attempts[placed.attempt - 2]
        ended = before[0].call.ended_at if before and not attempt.lost else attempt.ended_at
        due = (ended or placed.at) + _interval(_retries_of(world, execution), placed.attempt - 1)
    world.judge(
        "no dial before its time",
        placed.at >= due - 2 * SKEW,
        f"{_where(placed)}: {(due - placed.at).total_seconds():.3f} s early",
    )


def no_dial_after_an_answered_stop(world: World, placed: Placed) -> None:
    execution = world.seen.executions[placed.execution_id]
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    for stop in world.seen.stops:
        if claimed_at > stop.at and stop.covers(execution, world.seen.created_at[execution.id]):
            late = (placed.at - stop.at).total_seconds()
            world.violate(
                "no dial after an answered stop", f"{_where(placed)}: {stop.what} was stopped {late:.1f} s ago"
            )


def no_dial_to_a_suppressed_number(world: World, placed: Placed) -> None:
    execution = world.seen.executions[placed.execution_id]
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    for one in world.seen.suppressed:
        if claimed_at > one.at and (one.account_id, one.number) == (execution.account_id, execution.user_number):
            late = (placed.at - one.at).total_seconds()
            world.violate("no dial to a suppressed number", f"{_where(placed)}: suppressed {late:.1f} s ago")


def no_dial_without_a_required_consent(world: World, placed: Placed) -> None:
    """The consent was requested before the claim, and no answered request had withdrawn it."""
    execution = world.seen.executions[placed.execution_id]
    if execution.agent_id not in world.consenting:
        return
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    given = any(
        (one.account_id, one.number) == (execution.account_id, execution.user_number)
        and one.asked_at <= claimed_at
        and (one.withdrawn_at is None or claimed_at <= one.withdrawn_at)
        for one in world.seen.consents
    )
    world.judge("no dial without a required consent", given, f"{_where(placed)}: {execution.user_number}")


def no_dial_without_a_yes(world: World, placed: Placed) -> None:
    """The agent's scrub and its pre-dial hook allowed the attempt: just before its claim, or by a verdict that was kept
    until then."""
    execution = world.seen.executions[placed.execution_id]
    claimed_at, lasts = world.seen.claimed_at[placed.execution_id, placed.attempt], ASKED_LASTS + 2 * SKEW
    if execution.agent_id in world.hooked:
        asked = world.seen.yes_of_hook[placed.execution_id, placed.attempt]
        yes = any(at <= claimed_at <= at + lasts for at in asked)
        world.judge("no dial without the hook's yes", yes, f"{_where(placed)}: {[str(at) for at in asked]}")
    if execution.agent_id in world.scrubbed:
        verdicts = world.seen.verdicts[execution.agent_id, execution.user_number]
        yes = any(one.allowed and one.at <= claimed_at <= max(one.at + lasts, one.until + lasts) for one in verdicts)
        world.judge("no dial without the scrub's yes", yes, f"{_where(placed)}: {verdicts}")


def _calls_before(world: World, placed: Placed) -> list[Placed]:
    """The account's calls to the same number by other attempts. Left out are attempts that were given up, or may have
    been because their calls were placed so late."""
    known, current = world.seen.executions, world.seen.executions[placed.execution_id]
    calls = [one for placed_before in world.seen.placed.values() for one in placed_before[:1]]
    return [
        one
        for one in calls
        if (one.execution_id, one.attempt) != (placed.execution_id, placed.attempt)
        and not one.late
        and (execution := known[one.execution_id]).user_number == current.user_number
        and execution.account_id == current.account_id
        and not any(attempt.number == one.attempt and attempt.lost for attempt in execution.state.attempts)
    ]


def never_two_live_calls_to_one_number(world: World, placed: Placed) -> None:
    before = _calls_before(world, placed)
    if before and not placed.late:
        live = [f"{one.execution_id} attempt {one.attempt}" for one in before if one.call.status not in ENDED]
        world.judge("never two live calls to one number", not live, lambda: f"{_where(placed)}: beside {live}")


def never_over_a_cap_or_in_a_pause(world: World, placed: Placed) -> None:
    """No attempt exceeds a limit in force at its claim, counting earlier claims and conversations that have ended."""
    execution, claimed_at = world.seen.executions[placed.execution_id], world.seen.claimed_at
    at = claimed_at[placed.execution_id, placed.attempt]
    for limit in world.seen.contact_limits:
        covers = limit.account_id == execution.account_id and limit.agent_id in (None, execution.agent_id)
        if not covers or limit.at > at - LIMITS_IN_FORCE or placed.late:
            continue
        before = _calls_before(world, placed)
        for cap in limit.limits.get("caps", []):
            since = at - timedelta(hours=cap["hours"]) + CLOCKS_APART
            count = sum(claimed_at[one.execution_id, one.attempt] > since for one in before)
            if count:
                what = f"{_where(placed)}: {count} in {cap['hours']} h before"
                world.judge("never over a cap or in a pause", count < cap["attempts"], what)
        pause = timedelta(hours=limit.limits.get("pause_after_conversation_hours") or 0)
        talks = [
            one.call.ended_at for one in before if one.call.answered_at and one.call.answered_by in (None, "human")
        ]
        for ended_at in filter(None, talks):
            rests = pause - CLOCKS_APART
            what = f"{_where(placed)}: {at - ended_at} after a conversation"
            world.judge("never over a cap or in a pause", not ended_at < at < ended_at + rests, what)


def never_more_live_calls_than_lines(world: World, placed: Placed) -> None:
    """The lines of the agent, and of an API key with a quota of lines."""
    execution = world.seen.executions[placed.execution_id]
    agent_id, of_key = execution.agent_id, execution.key_lines
    if of_key is not None:
        live = _live_calls(world, of_key.pool_id)
        what = f"{of_key.pool_id}: {live} live"
        world.judge("never more live calls than lines of a key", live <= of_key.lines, what)
    live = _live_calls(world, agent_id)
    limits = world.seen.limits[agent_id]
    recent = [value for at, value in limits if at > world.now - LIMIT_IN_FORCE]
    in_force = [value for at, value in limits if at <= world.now - LIMIT_IN_FORCE][-1:]
    lines = max(recent + in_force)
    if live >= lines:
        world.judge("never more live calls than lines", live == lines, f"{agent_id}: {live} live, {lines} lines")


def _live_calls(world: World, pool_id: str) -> int:
    """The number of live calls, without calls placed after their attempts may have been given up: their lines may
    belong to other calls."""
    late = {one.call.sid for calls in world.seen.placed.values() for one in calls if one.late}
    calls = (one for one in world.seen.calls_of[pool_id] if one.status not in ENDED and one.sid not in late)
    return len({one.request.status_callback for one in calls})  # attempts: two calls of one violate another promise


def no_dial_outside_calling_hours(world: World, placed: Placed) -> None:
    """The rule is that of the call, else of its batch, else of its policy, else of its agent; the time zone is the
    contact's, else that of its prefix."""
    execution = world.seen.executions[placed.execution_id]
    asked = _asked(world, execution)
    rule = _in_force(world, execution, "calling_guardrails", world.guardrails.get(execution.agent_id))
    if rule is None or asked is None or execution.bypass_call_guardrails:
        return
    world.checked["no dial outside calling hours"] += 1
    zone = ZoneInfo(asked.get("time_zone", ZONES[execution.user_number[2:5]]))
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    # The gate is checked before the claim; with a slow carrier the phone may ring shortly after the end.
    if any(_is_within(rule, (claimed_at + slack).astimezone(zone)) for slack in (-2 * SKEW, timedelta(), 2 * SKEW)):
        return
    world.violate("no dial outside calling hours", f"{_where(placed)}: at {placed.at.astimezone(zone):%a %H:%M:%S}")


def _asked(world: World, execution: Execution) -> Any:
    """The request of the call or of its batch; None if its answer was lost."""
    if execution.batch_id is not None:
        return world.seen.batch_rules.get(execution.batch_id)
    return world.seen.acknowledged.get(execution.id)


def _in_force(world: World, execution: Execution, rule: str, of_agent: Any = None) -> Any:
    """The value of a rule: of the call or its batch, else of the policy that it names, else of its agent, else of the
    policy that the agent names."""
    asked = _asked(world, execution) or {}
    named = POLICIES[asked["policy"]] if "policy" in asked else None
    default = world.policies.get(execution.agent_id) if named is None else None
    order = (asked.get(rule), (named or {}).get(rule), of_agent, (default or {}).get(rule))
    return next((value for value in order if value is not None), None)


def no_window_over_its_budget(world: World, placed: Placed) -> None:
    """Attempts close to a window's edge count for neither window, since clocks differ."""
    promise = "no window has more attempts than its budget"
    execution = world.seen.executions[placed.execution_id]
    asked = _asked(world, execution)
    rule = _in_force(world, execution, "calling_guardrails", world.guardrails.get(execution.agent_id)) or {}
    if asked is None or "attempts_per_window" not in rule or execution.bypass_call_guardrails:
        return
    zone = ZoneInfo(asked.get("time_zone", ZONES[execution.user_number[2:5]]))
    windows: Counter[tuple[str, str]] = Counter()
    for number in range(1, placed.attempt + 1):
        if not world.seen.placed.get((execution.id, number)):
            continue
        local = world.seen.claimed_at[execution.id, number].astimezone(zone)
        for window in rule["windows"]:
            edges = (local - 2 * SKEW, local + 2 * SKEW)
            if all(window["start"] <= f"{at:%H:%M}" < window["end"] for at in edges):
                windows[f"{local:%Y-%m-%d}", window["start"]] += 1
    most = max(windows.values(), default=0)
    world.judge(promise, most <= rule["attempts_per_window"], f"{_where(placed)}: {most} attempts in a window")


def no_dial_after_its_call_has_expired(world: World, placed: Placed) -> None:
    """A call expires `expires_after_minutes` after the time requested for it, a contact after its batch's start."""
    promise = "no dial after its call has expired"
    execution = world.seen.executions[placed.execution_id]
    asked, minutes = _asked(world, execution), _in_force(world, execution, "expires_after_minutes")
    if asked is None or minutes is None:
        return
    if execution.batch_id is None:
        begin = datetime.fromisoformat(asked.get("scheduled_at", execution.created_at.isoformat()))
        expires_at = begin + timedelta(minutes=minutes)
    else:
        batch = world.batch(execution.batch_id)
        if batch is None or batch.start_at is None:
            return  # it was deleted meanwhile
        expires_at = batch.start_at + timedelta(minutes=minutes)
    claimed_at = world.seen.claimed_at[placed.execution_id, placed.attempt]
    world.judge(promise, claimed_at < expires_at + 2 * SKEW, f"{_where(placed)}: claimed at {claimed_at}")


def _is_within(rule: dict[str, Any], local: datetime) -> bool:
    """Whether calling guardrails, as sent, allow a dial at that local time."""
    if "windows" not in rule:
        return bool(rule["call_start_hour"] <= local.hour < rule["call_end_hour"])
    excluded, before, time = rule.get("excluded_dates", []), local - timedelta(days=1), f"{local:%H:%M}"
    if f"{local:%Y-%m-%d}" in excluded:
        return False
    for window in rule["windows"]:
        over_midnight, days = window["end"] <= window["start"], window.get("days")
        today = days is None or f"{local:%a}".lower() in days
        yesterday = (days is None or f"{before:%a}".lower() in days) and f"{before:%Y-%m-%d}" not in excluded
        if today and window["start"] <= time and (over_midnight or time < window["end"]):
            return True
        if over_midnight and yesterday and time < window["end"]:
            return True
    return False


def calls_start_at_the_rate(world: World, placed: Placed) -> None:
    """No call waits long in the carrier's own queue."""
    if world.carrier.calls.calls_per_second is not None:
        wait = placed.call.starts_at - placed.call.placed_at
        longest = LONGEST_CARRIER_QUEUE if any(world.faults.rates.values()) else CARRIER_QUEUE_WITHOUT_FAULTS
        world.judge(
            "calls start at the carrier account's rate",
            wait <= longest,
            f"{_where(placed)}: {wait.total_seconds():.1f} s in the carrier's queue",
        )


ON_PLACED: tuple[Callable[[World, Placed], None], ...] = (
    at_most_one_call_per_attempt,
    no_more_attempts_than_allowed,
    no_dial_before_its_time,
    no_dial_after_an_answered_stop,
    no_dial_to_a_suppressed_number,
    no_dial_without_a_required_consent,
    no_dial_without_a_yes,
    never_two_live_calls_to_one_number,
    never_over_a_cap_or_in_a_pause,
    never_more_live_calls_than_lines,
    no_dial_outside_calling_hours,
    no_window_over_its_budget,
    no_dial_after_its_call_has_expired,
    calls_start_at_the_rate,
)

# ---- when an execution is stored --------------------------------------------------------------------------------


def statuses_move_forward(world: World, before: Execution | None, after: Execution) -> None:
    """Within an attempt a status only moves forward; attempt numbers only rise; final statuses stay.

    The exception: a report of its own call reopens a lost attempt while its retry is not claimed.
    """
    if before is None:
        return
    world.checked["statuses move forward"] += 1
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


def what_was_shown_as_stopped_stays_so(world: World, before: Execution | None, after: Execution) -> None:
    """A waiting contact of a withdrawn batch is shown as stopped, so no other status may be stored for it."""
    if before is None or before.batch_id is None or not before.state.is_waiting or after.state.is_waiting:
        return
    batch = world.batch(before.batch_id)
    if batch is not None and batch.withdrawn and after.state.status is not Status.STOPPED:
        world.violate("statuses move forward", f"{after.id}: {after.state.status} after it was shown as stopped")


def _reopened(before: Execution, after: Execution) -> Change | None:
    """The change in this write that reopens a lost attempt, if any."""
    return next((one for one in after.changes[len(before.changes) :] if one.kind is Marker.FOUND), None)


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
        yield f"attempt {found.attempt} continues with another call than {found.call_id}"


def times_and_sequences_rise(world: World, before: Execution | None, after: Execution) -> None:
    instants = [change.at for _, change in after.events()]
    if len(instants) > 1:
        world.checked["updated_at and sequence rise"] += 1
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
        history = history[:-1]  # the entry of the attempt that was wrongly given up
    kept = stored[: len(known)] == known and after.state.history[: len(history)] == history
    world.judge("history is never rewritten", kept, lambda: f"{after.id}: {known} became {stored}")


GATES_OF_A_CLAIM = (
    *("agent", "stop", "pause", "expiry", "instructions", "caller-id"),
    *("suppression", "consent", "contact-limit", "calling-window", "one-call", "scrub", "hook"),
    *("line", "rate", "carrier"),
)
"""Written out, not derived from the gates, so that a gate missing there is noticed here."""


def every_claim_has_every_gates_decision(world: World, before: Execution | None, after: Execution) -> None:
    """A claim stores the decision of each gate, in order, and each decision allows."""
    for claim in after.changes[len(before.changes) if before is not None else 0 :]:
        if claim.kind is Marker.CLAIMED:
            decisions = [(str(gate), verdict) for gate, verdict, _ in recorded(claim.gates)]
            asked = decisions == [(gate, Verdict.ALLOW) for gate in GATES_OF_A_CLAIM]
            world.judge("every claim has every gate's decision", asked, f"{after.id}: {claim.gates}")


def no_call_waits_while_a_line_is_free(world: World, before: Execution | None, after: Execution) -> None:
    """On a good day, no line is free for longer than `IDLE_LINE` while a call waits for one. If the call's key has a
    quota of lines, a line of its agent and one of its key must be free at the same time."""
    if not world.faults.calm or before is None or not after.state.is_dialling or before.state.is_dialling:
        return
    since = _waited_for_a_line_since(world, before)
    if since is None:
        return
    limits = {after.agent_id: min(value for _, value in world.seen.limits[after.agent_id])}
    if (of_key := after.key_lines) is not None:
        limits[of_key.pool_id] = of_key.lines
    held = dict.fromkeys(limits, 0)
    changes = [(at, pool_id, number) for pool_id in limits for at, number in world.seen.held_since[pool_id]]
    free_since: datetime | None = since
    longest = timedelta()
    for at, pool_id, number in [*sorted(changes), (world.now, after.agent_id, limits[after.agent_id])]:
        held[pool_id] = number
        is_free = all(held[one] < limit for one, limit in limits.items())
        if at <= since:
            free_since = since if is_free else None
            continue
        if free_since is not None and not is_free:
            longest = max(longest, at - free_since)
        free_since = (free_since or at) if is_free else None
    world.judge(
        "no call waits while a line is free on a good day",
        longest <= IDLE_LINE,
        f"{after.id} waited since {since}, {longest} of it while a line was free",
    )


def _waited_for_a_line_since(world: World, execution: Execution) -> datetime | None:
    """Since when it waited for a line; None if it did not, or if it also waited for a rate, a pause or a time."""
    state = execution.state
    if not execution.is_not_started:
        return state.queued_at if state.is_waiting and state.timer is None and not state.is_delayed else None
    batch = next((one for one in world.stored_batches() if one.id == execution.batch_id), None)
    if batch is None or batch.calls_per_second is not None or batch.id in world.seen.paused:
        return None
    return next((change.at for change in batch.changes if change.status is BatchStatus.RUNNING), None)


def a_fault_holds_just_its_calls(world: World, before: Execution | None, after: Execution) -> None:
    """A call is held because of a caller id or a country only after the carrier refused one, and keeps no line."""
    last = after.changes[-1]
    if last.kind is not Marker.DEFERRED or "are held, see GET /attention" not in (last.reason or ""):
        return
    begun = {(one.field, one.value) for one in world.account_faults if one.begin <= world.now + SKEW}
    if (last.reason or "").startswith("calls from "):
        caller = (last.reason or "").split()[2]
        right = any(field == "From" and caller.startswith(value) for field, value in begun)
    else:
        right = any(field == "To" for field, _ in begun)
    world.judge(
        "a fault of the account uses up no attempt",
        right and last.line_shard is None,
        f"{after.id} is held: {last.reason}, line {last.line_shard}",
    )


ON_WRITTEN: tuple[Callable[[World, Execution | None, Execution], None], ...] = (
    statuses_move_forward,
    what_was_shown_as_stopped_stays_so,
    times_and_sequences_rise,
    history_is_never_rewritten,
    every_claim_has_every_gates_decision,
    no_call_waits_while_a_line_is_free,
    a_fault_holds_just_its_calls,
)

# ---- when a stop is answered ------------------------------------------------------------------------------------


def a_stop_leaves_no_schedule(world: World, stop: Stopped) -> None:
    """No schedule of a stopped call is left. Also counts the covered calls for `no_dial_after_an_answered_stop`."""
    covered = [
        one for one in world.seen.executions.values() if stop.covers(one, world.seen.created_at.get(one.id, stop.at))
    ]
    over = set()
    for execution in covered:
        status = execution.state.status
        world.checked["no dial after an answered stop"] += execution.state.is_waiting or status is Status.STOPPED
        waited = replace(execution, changes=execution.changes[:-1]) if len(execution.changes) > 1 else execution
        if stop.at_once and status is Status.STOPPED and waited.state.timer is not None and not waited.state.is_delayed:
            over.add(execution.id)
            world.checked["no schedule could still dial"] += 1
    _no_schedule_dials(world, over, stop.asked_at)


def _no_schedule_dials(world: World, over: set[str], made_before: datetime | None = None) -> None:
    for schedule in world.scheduler.schedules() if over else ():
        sent = json.loads(schedule.definition["Target"].get("Input", "{}"))
        _, kind, number = schedule.definition["Name"].split(".")[:3]
        dials = kind == "dial" and sent.get("execution_id") in over
        if dials:
            execution = world.seen.executions[sent["execution_id"]]
            if sent["attempt"] < execution.state.attempt.number:
                continue  # hours late: its attempt has been dialled, and it dials no other
            if any(change.timer is not None and change.timer > int(number) for change in execution.changes):
                continue  # hours late: its attempt came up without it, was deferred, and has a later timer
        if dials and (made_before is None or schedule.created_at < made_before):
            world.violate("no schedule could still dial", f"{schedule.definition['Name']} at {schedule.due}")


ON_STOPPED: tuple[Callable[[World, Stopped], None], ...] = (a_stop_leaves_no_schedule,)

# ---- after all faults have ended --------------------------------------------------------------------------------


def every_execution_is_final(world: World) -> None:
    for execution in world.stored_executions():
        state = execution.state
        world.judge(
            "every execution is final",
            state.is_final,
            f"{execution.id} is {state.status}, attempt {state.attempt.number}",
        )


def what_was_acknowledged_exists(world: World) -> None:
    known = {execution.id for execution in world.stored_executions()}
    for execution_id in world.seen.acknowledged:
        world.judge("what was acknowledged exists", execution_id in known, execution_id)


def one_key_creates_one_call_or_batch(world: World) -> None:
    for (account, key), made in world.seen.keys.items():
        if world.seen.key_answers[account, key] > 1:
            world.judge("one key creates one call or batch", len(made) == 1, f"{account} {key}: {sorted(made)}")


def events_are_delivered_in_order(world: World) -> None:
    """Each event is accepted by the endpoint at least once, or listed as undelivered; in order, with the same body."""
    for execution in world.stored_executions():
        received = world.seen.received[execution.id]
        _check_deliveries(
            world, execution.id, received, execution.state.sequence, execution.delivery, world.has_endpoint(execution)
        )
        events = {(change.kind, sequence) for sequence, change in execution.events()}
        for one in received:
            if (one.body["status"], one.body["sequence"]) not in events:
                world.violate("events are delivered in order", f"{execution.id}: {one.body['status']} never occurred")
    for batch in world.stored_batches():
        received = world.seen.received[batch.id]
        has_endpoint = batch.webhook_url is not None
        is_gone = batch.deleted_at is not None  # its owner cannot replay its events
        _check_deliveries(world, batch.id, received, len(batch.changes), batch.delivery, has_endpoint, is_gone)


def _check_deliveries(
    world: World, subject: str, received: Any, last: int, delivery: Any, has_endpoint: bool, is_gone: bool = False
) -> None:
    bodies: dict[int, bytes] = {}
    taken: list[int] = []
    for one in received:
        sequence = one.body["sequence"]
        if not one.verified:
            world.violate("events are delivered in order", f"{subject}: event {sequence} is not signed")
        if bodies.setdefault(sequence, one.raw) != one.raw:
            world.violate("events are delivered in order", f"{subject}: event {sequence} has two bodies")
        if one.taken and sequence not in taken:
            taken.append(sequence)
    # A given-up event may be delivered later, by a replay; all others in order.
    if len(taken) > 1:
        world.checked["events are delivered in order"] += 1
    late = set(delivery.undelivered) | world.seen.given_up[subject]
    orderly = [sequence for sequence in taken if sequence not in late]
    if orderly != sorted(orderly):
        world.violate("events are delivered in order", f"{subject}: {taken}")
    if has_endpoint:
        world.checked["every event is delivered or listed"] += 1
    missing = set(range(1, last + 1)) - set(taken) - set(delivery.undelivered)
    if has_endpoint and missing:
        world.violate("every event is delivered or listed", f"{subject}: {sorted(missing)} of {last}")
    if has_endpoint and not is_gone and delivery.undelivered and subject not in world.listed_undelivered():
        world.violate(
            "every event is delivered or listed", f"{subject}: {delivery.undelivered} not in the account's list"
        )


def nothing_is_delivered_twice_on_a_good_day(world: World) -> None:
    """The promise is at least once; without failures it is exactly once."""
    if world.faults.calm:
        for subject, received in world.seen.received.items():
            world.checked["nothing is delivered twice on a good day"] += 1
            twice = [
                sequence for sequence, count in Counter(one.body["sequence"] for one in received).items() if count > 1
            ]
            if twice:
                world.violate("nothing is delivered twice on a good day", f"{subject}: {twice}")


def retries_are_punctual_on_a_good_day(world: World) -> None:
    """Without failures, and if a line is free, the phone rings within the minute that the scheduler may be late."""
    if world.faults.calm:
        for execution in world.stored_executions():
            for before, attempt in zip(execution.state.attempts, execution.state.attempts[1:], strict=False):
                if attempt.dialed_at is None or before.ended_at is None or _waited(execution, attempt):
                    continue
                late = (attempt.dialed_at - attempt.scheduled_at).total_seconds()
                world.judge(
                    "retries are punctual on a good day",
                    late <= PUNCTUAL_SECONDS,
                    f"{execution.id}: {late:.1f} s late",
                )


def _waited(execution: Execution, attempt: Attempt) -> bool:
    """Whether the attempt waited for a line, calling hours or its carrier after its due time."""
    before_claim = itertools.takewhile(
        lambda change: change.kind is not Marker.CLAIMED,
        (change for change in execution.changes if change.attempt == attempt.number),
    )
    return any(change.reason for change in before_claim)


def retries_are_as_configured(world: World) -> None:
    """An attempt is followed by another if, and only if, its outcome and the remaining retries require it."""
    for execution in world.stored_executions():
        config, attempts = _retries_of(world, execution), execution.state.attempts
        for attempt, following in itertools.zip_longest(attempts, attempts[1:]):
            calls = world.seen.placed.get((execution.id, attempt.number), [])
            ended = execution.state.ended or ""
            if following is None and (
                execution.state.status is Status.STOPPED
                or ended.endswith(("stopped", "deleted"))
                or ended.startswith(("the number is suppressed", "the number has not consented", "expired at"))
            ):
                continue  # no retry is announced after a stop, a rule about the number or the expiry
            if attempt.ended_at is None or (not calls and attempt.dialed_at is None):
                continue  # never dialled: see no_error_without_a_reason
            machine = bool(calls) and str(calls[0].call.answered_by).startswith("machine")
            left = config["enabled"] and attempt.number <= config["max_retries"]
            if attempt.status is Status.COMPLETED and machine:
                detected = _known_at_end(world, execution, attempt)
                wanted = bool(left and config["retry_on_voicemail"] and detected)
                promise = "voicemail is retried only if asked"
            else:
                answers = world.seen.answers.get((execution.id, attempt.number), [])
                permanent = (
                    not calls and "400" in answers[-1:] and not attempt.lost
                )  # lost: the answer was never stored
                if following is not None and not left:
                    continue  # see no_more_attempts_than_allowed
                wanted = bool(left and str(attempt.status) in config["retry_on_statuses"] and not permanent)
                promise = "retries are as configured"
            world.judge(
                promise,
                wanted == (following is not None),
                f"{execution.id} #{attempt.number} {attempt.status}: {'no' if wanted else 'a'} retry",
            )
            if following is not None:
                waits = following.scheduled_at - attempt.ended_at
                world.judge(
                    "retries keep their intervals",
                    abs(waits - _interval(config, attempt.number)) <= timedelta(milliseconds=1),
                    f"{execution.id} #{attempt.number + 1}: {waits} after",
                )


def _known_at_end(world: World, execution: Execution, attempt: Attempt) -> bool:
    """Whether it was known at the end of a completed attempt that a machine had answered.

    A report by then counts, and a later one is recorded. If it decides on a retry, the end of the call waits for it.
    """
    told = world.seen.machines.get((execution.id, attempt.number))
    ends = [change for change in execution.changes if change.attempt == attempt.number and change.is_event]
    end = next(change for change in reversed(ends) if change.kind is Status.COMPLETED)
    before = ends[ends.index(end) - 1]
    name = f"{execution.id} #{attempt.number}"
    if told is not None:
        in_time = told <= end.at - 2 * SKEW
        world.judge("machine detection counts", attempt.voicemail is True, f"{name}: reported and not recorded")
        world.judge("machine detection counts", bool(end.voicemail or not in_time), f"{name}: it came before the end")
    config = execution.retry_config
    if end.voicemail is None and config is not None and config.enabled and config.retry_on_voicemail:
        waited = before.kind is Status.CALL_DISCONNECTED and end.at - before.at >= DETECTION_WAIT - 2 * SKEW
        is_last = attempt.number > config.max_retries
        world.judge("machine detection counts", waited or is_last, f"{name}: its end did not wait for it")
    return end.voicemail is True


UNKNOWN_ANSWERS = frozenset({"NoAnswer", "500", "502", "503"})
"""Answers of the carrier that leave open whether it placed the call."""


def no_error_without_a_reason(world: World) -> None:
    """An attempt without a call ends as `failed` only if the carrier rejected its number, and as `error` only if

    - the carrier's only answer left open whether it placed the call, or
    - the function that had claimed the attempt was killed, or its requests to AWS failed, before the carrier was
      asked or before its answer was stored.

    An attempt that was never claimed never ends as either.
    """
    for execution in world.stored_executions():
        for attempt in execution.state.attempts:
            where = execution.id, attempt.number
            if world.seen.placed.get(where) or attempt.ended_at is None:
                continue
            if attempt.status not in (Status.ERROR, Status.FAILED):
                continue
            answers = world.seen.answers.get(where, [])
            explained = _explains(world, where, attempt.status, answers[-1:])
            world.judge(
                "no error without a reason",
                explained,
                f"{execution.id} #{attempt.number} {attempt.status} ({attempt.reason}) after {answers}",
            )


ACCOUNT_CODES = frozenset({"20005", "21210", "21215"})
"""The codes of `ACCOUNT_FAULTS`."""


def a_fault_of_the_account_uses_up_no_attempt(world: World) -> None:
    """A refusal for a fault of the account ends no attempt."""
    for execution in world.stored_executions():
        for attempt in execution.state.attempts:
            if (execution.id, attempt.number) in world.seen.refused_by_fault:
                used_up = attempt.code in ACCOUNT_CODES and attempt.ended_at is not None
                world.judge(
                    "a fault of the account uses up no attempt",
                    not used_up,
                    f"{execution.id} #{attempt.number} ended as {attempt.status} ({attempt.reason})",
                )


def _explains(world: World, where: tuple[str, int], status: Status, answers: Sequence[str]) -> bool:
    if status is Status.FAILED:
        return answers == ["400"]
    claimer = world.seen.claimers.get(where)
    if claimer is None:
        return False
    return not UNKNOWN_ANSWERS.isdisjoint(answers[-1:]) or world.was_in_trouble(claimer)


def nothing_is_stopped_without_a_request(world: World) -> None:
    """Each stopped call was covered by a request to stop it, its agent or its batch."""
    batches = {batch.id: batch for batch in world.stored_batches()}
    for execution in world.stored_executions():
        if execution.state.status is not Status.STOPPED:
            continue
        batch = batches.get(execution.batch_id or "")
        if execution.batch_id is not None:
            asked = batch is None or batch.deleted_at is not None or batch.status is BatchStatus.STOPPED
        else:
            made_at = world.seen.created_at[execution.id] - 2 * SKEW
            asked = any(
                one.execution_id == execution.id or (one.agent_id == execution.agent_id and one.until >= made_at)
                for one in world.seen.stops_asked
            )
        world.judge("nothing is stopped without a request", asked, f"{execution.id}: {execution.state.ended}")


def contacts_are_the_rows(world: World) -> None:
    """A batch has one contact for each valid row of its file, in order, and no other."""
    by_batch: dict[str, list[Execution]] = defaultdict(list)
    for execution in world.stored_executions():
        if execution.batch_id is not None:
            by_batch[execution.batch_id].append(execution)
    for batch in world.stored_batches():
        if batch.id not in world.seen.files or batch.deleted_at is not None or not batch.ingested:
            continue
        stored = [one.user_number for one in sorted(by_batch[batch.id], key=lambda one: one.row or 0)]
        rows = world.seen.files[batch.id]
        world.judge("contacts are the file's rows", stored == rows, f"{batch.id}: {stored}, not {rows}")


def attempts_agree_with_the_carrier(world: World) -> None:
    """An attempt that ended by its call has the call's final status; each placed call is known to its attempt.

    A lost attempt that could not be reopened stores the call's status beside its own.
    """
    for execution in world.stored_executions():
        for attempt in execution.state.attempts:
            calls = world.seen.placed.get((execution.id, attempt.number), [])
            if not calls:
                if attempt.call_id is not None:
                    world.violate("attempts agree with the carrier", f"{execution.id}: no call {attempt.call_id}")
                continue
            if attempt.status is Status.STOPPED:
                continue  # see a_stopped_call_is_never_answered
            if calls[0].late or len(calls) > 1:
                continue  # placed when the attempt may have been given up; or twice, which violates another promise
            call = calls[0].call
            what = f"{execution.id} attempt {attempt.number} is {attempt.status}, its call {call.status}"
            same_id = attempt.call_id in (call.sid, None)
            said = same_id and call.status in (str(attempt.status), str(attempt.late) if attempt.lost else None)
            world.judge("attempts agree with the carrier", said, what if same_id else "another call's id")


def a_stopped_call_is_never_answered(world: World) -> None:
    """A call that was stopped while the carrier had queued it or was ringing the phone ended there, unanswered."""
    for execution in world.stored_executions():
        for attempt in execution.state.attempts:
            if attempt.status is Status.STOPPED and attempt.call_id is not None:
                call = world.carrier.calls.get(attempt.call_id)
                held = call is not None and call.status == "canceled" and call.answered_at is None
                what = f"{execution.id} attempt {attempt.number}: its call {attempt.call_id} is {call and call.status}"
                world.judge("a stopped call is never answered", held, what)


def no_line_is_lost(world: World) -> None:
    for item in world.items("L#"):
        holders = item.get("holders") or {}
        world.judge("no line is lost", not holders, f"{item['pk']}: {sorted(holders)}")
    running = {batch.id for batch in world.stored_batches() if not batch.is_over}  # these have an entry in the queue
    entries = [item for item in world.items("Q#") if item["sk"].removeprefix("0b#") not in running]
    waiting = {item["pk"].removeprefix("Q#") for item in entries}
    for agent_id in world.seen.queued | waiting:
        world.judge("no call waits for ever", agent_id not in waiting, agent_id)


def batch_counts_equal_a_recount(world: World) -> None:
    by_batch: dict[str, Counter[str]] = defaultdict(Counter)
    for execution in world.stored_executions():
        if execution.batch_id is not None:
            by_batch[execution.batch_id][str(execution.state.status)] += 1
    for batch in world.stored_batches():
        if batch.deleted_at is not None:
            continue
        account = next(one for one in world.accounts if one.id == batch.account_id)
        said = json.loads(world.ask_as(account, "GET", f"/batches/{batch.id}").body)
        counts, recount = said["execution_status"], dict(by_batch[batch.id])
        world.judge("batch counts equal a recount", counts == recount, f"{batch.id}: {counts}, is {recount}")
        if any(change.status is BatchStatus.QUEUED for change in batch.changes):
            world.judge("every batch ends", batch.is_over, f"{batch.id} is {batch.status}")


def statistics_equal_a_recount(world: World) -> None:
    """For each day, the statistics of every account, agent and batch equal a recount once the last window has ended.
    Calls removed with their batch still count for its agent and account; a deleted batch has no statistics."""
    world.run(2 * STATISTICS_SECONDS)
    recount: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for execution in world.seen.executions.values():
        added = counted(execution)
        if added is None:
            continue
        for scope in filter(None, (execution.account_id, execution.agent_id, execution.batch_id)):
            recount[scope, added[0].isoformat()].update(added[1])
    store = DynamoStatistics(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    kept = {batch.id for batch in world.stored_batches() if batch.deleted_at is None}
    deleted = {one.batch_id for one in world.seen.executions.values() if one.batch_id is not None} - kept
    recount = defaultdict(Counter, {key: cells for key, cells in recount.items() if key[0] not in deleted})
    scopes = {scope for scope, _ in recount} | {account.id for account in world.accounts} | deleted
    stored = {
        (scope, day.isoformat()): dict(cells)
        for scope in scopes
        for day, cells in store.between(scope, date.min, date.max).items()
    }
    for key in recount.keys() | stored.keys():
        said, right = stored.get(key, {}), dict(recount[key])
        world.judge("statistics equal a recount", said == right, f"{key}: {said}, is {right}")


def no_schedule_could_still_dial(world: World) -> None:
    _no_schedule_dials(world, {execution.id for execution in world.stored_executions() if execution.state.is_final})


def an_account_sees_only_its_own(world: World) -> None:
    owners = {execution.id: execution.account_id for execution in world.stored_executions()}
    for subject, received in world.seen.received.items():
        for one in received:
            account = world.accounts[int(one.endpoint.partition("-")[0])]
            if owners.get(subject, account.id) != account.id:
                world.violate("an account sees only its own", f"{subject} was delivered to {account.id}")
    for account in world.accounts:
        agents = json.loads(world.ask_as(account, "GET", "/v2/agent/all").body)
        for agent in agents:
            listed = json.loads(world.ask_as(account, "GET", f"/v2/agent/{agent['agent_id']}/executions").body)
            for one in listed["data"]:
                own = owners[one["id"]] == account.id
                world.judge("an account sees only its own", own, f"{account.id} is shown {one['id']}")


AT_THE_END: tuple[Callable[[World], None], ...] = (
    every_execution_is_final,
    what_was_acknowledged_exists,
    one_key_creates_one_call_or_batch,
    events_are_delivered_in_order,
    nothing_is_delivered_twice_on_a_good_day,
    retries_are_punctual_on_a_good_day,
    retries_are_as_configured,
    no_error_without_a_reason,
    a_fault_of_the_account_uses_up_no_attempt,
    nothing_is_stopped_without_a_request,
    contacts_are_the_rows,
    attempts_agree_with_the_carrier,
    a_stopped_call_is_never_answered,
    no_line_is_lost,
    batch_counts_equal_a_recount,
    no_schedule_could_still_dial,
    an_account_sees_only_its_own,
    statistics_equal_a_recount,
)
