"""The dial protocol: read, gates, line, claim, call once, record. One attempt is at most one phone call.

waiting ─► gates ──► line ──► claim ──► carrier ──► record
   │         │ closed  │ none   │ lost     │
   │         ▼         ▼        ▼          ├ accepted ─► initiated
   │      moved or   queued   leave        ├ refused ──► the attempt's end, decided by the retry configuration
   │      ended               quietly      ├ not placed ► unclaimed, later again, no retry used up
   └ not due, not current, claimed: leave  └ unknown ──► stays claimed; a callback or the sweeper settles it
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from redial.domain.agent import Agent
from redial.domain.calling_window import next_open
from redial.domain.execution import LATEST_START, Execution
from redial.domain.outcome import DialResult
from redial.domain.phone_number import time_zones
from redial.ports import Agents, CallRequest, Carrier, Executions, Functions, Lines, StaleVersion, Timers
from redial.usecases.change import change, follow_up
from redial.usecases.lines import acquire, home_shard, pass_on, wait, waiter


@dataclass(frozen=True)
class Dialled:
    """What one invocation did: the execution before and after (None: there is none), and the carrier's answer."""

    before: Execution | None
    execution: Execution | None
    result: DialResult | None = None


class _ClaimLost(Exception):
    """The execution changed between its reading and its claim; a line is held in the shard `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class Dialler:
    """What dialling needs. `callback_url` gives the public URL for an execution's attempt."""

    executions: Executions
    agents: Agents
    lines: Lines
    timers: Timers
    functions: Functions
    carrier_of: Callable[[str], Carrier]
    callback_url: Callable[[str, int], str]
    now: Callable[[], datetime]
    random: Callable[[], float]

    def dial(self, execution_id: str, attempt: int, lease: str, line: int | None = None) -> Dialled:
        """Dial that attempt if it is due, current and nobody else's.

        `lease` is a fresh name for delivering its events; `line` the shard in which the attempt has been given a line.
        """
        while True:
            execution = self.executions.get(execution_id)
            if execution is None or not _is_ours(execution, attempt):
                self._return_line(execution, attempt, line)
                return Dialled(execution, execution)
            try:
                return self._dial(execution, lease, line)
            except _ClaimLost as lost:
                line = lost.line  # look again: to dial after all, or to hand the line on
            except StaleVersion:
                continue  # a stop or a delivery was quicker: look again

    def _dial(self, execution: Execution, lease: str, line: int | None) -> Dialled:
        now = self.now()
        due = execution.state.next_time
        if due is None or due > now:
            self._return_line(execution, execution.state.attempt.number, line)
            return Dialled(execution, execution)
        agent = self.agents.get(execution.account_id, execution.agent_id)
        held = line if line is not None else execution.state.attempt.line  # given, or kept by a throttled dial
        refused = self._gates(execution, agent, now)
        if refused is not None:
            return Dialled(execution, self._put_off(execution, refused, agent, held, lease, now))
        assert agent is not None
        shard = home_shard(agent, execution.id) if held is None else held
        if acquire(agent, shard, waiter(execution), self.lines, now):
            return self._call(execution, agent, shard, lease)
        if held is not None:  # until the limit was lowered
            self.lines.release(agent.agent_id, shard, execution.id, execution.state.attempt.number)
        return Dialled(execution, self._wait_for_line(execution, agent, lease, now))

    def _gates(self, execution: Execution, agent: Agent | None, now: datetime) -> Execution | None:
        """None when the call may be placed now; else the execution as the first closed gate leaves it."""
        state = execution.state
        if agent is None or agent.deleted_at is not None:
            return execution.stop(now, "agent deleted")
        if agent.stopped_before is not None and execution.created_at <= agent.stopped_before:
            return execution.stop(now, "agent stopped")
        since = state.queued_at if state.deferrals else state.timer[1] if state.timer else None
        if since is not None and now > since + LATEST_START:
            hours = LATEST_START.total_seconds() // 3600
            return execution.expire(now, f"could not be placed within {hours:.0f} hours of its time")
        if self._from_number(execution, agent) is None:
            return execution.expire(now, "the agent has no from_phone_numbers")
        if agent.answer_url is None and agent.stream_url is None:
            return execution.expire(now, "the agent has neither answer_url nor stream_url")
        return self._calling_window(execution, agent, now)

    def _calling_window(self, execution: Execution, agent: Agent, now: datetime) -> Execution | None:
        if execution.bypass_call_guardrails or agent.call_start_hour is None or agent.call_end_hour is None:
            return None
        zones = time_zones(execution.user_number)
        opens = next_open(now, agent.call_start_hour, agent.call_end_hour, zones)
        if opens is None:
            return execution.expire(now, f"calling hours never open at once in all {len(zones)} zones of the number")
        hours = f"{agent.call_start_hour}-{agent.call_end_hour}"
        return (
            None if opens == now else execution.move(now, opens, f"outside calling hours {hours} of {', '.join(zones)}")
        )

    def _put_off(
        self,
        execution: Execution,
        refused: Execution,
        agent: Agent | None,
        shard: int | None,
        lease: str,
        now: datetime,
    ) -> Execution:
        """Save what a gate decided; a line that this call was given, or had kept, goes to the next one."""
        saved = self.executions.save(refused.lease_delivery(lease, now).with_due(now))
        self._follow_up(execution, saved, now)
        if agent is not None and shard is not None:
            pass_on(agent, shard, execution.id, execution.state.attempt.number, self.lines, self.functions, now)
        return saved

    def _wait_for_line(self, execution: Execution, agent: Agent, lease: str, now: datetime) -> Execution:
        """Queue. If a line has become free meanwhile, dial is invoked again, with that line."""
        queued = execution.queue(now, "waiting for a line").lease_delivery(lease, now)
        if queued is not execution:
            queued = self.executions.save(queued.with_due(now))
        wait(agent, waiter(queued), self.lines, self.functions, now)
        return queued

    def _call(self, execution: Execution, agent: Agent, shard: int, lease: str) -> Dialled:
        """Claim, call once, record."""
        now = self.now()
        from_number = self._from_number(execution, agent)
        assert from_number is not None
        claim = execution.claim(now, from_number, shard, token=lease).lease_delivery(lease, now)
        try:
            claimed = self.executions.save(claim.with_due(now))
        except StaleVersion as error:
            raise _ClaimLost(shard) from error
        result = self.carrier_of(claimed.provider).place(call_request(claimed, agent, self.callback_url))
        now = self.now()
        jitter = self.random()
        number = claimed.state.attempt.number
        changed = change(
            self.executions,
            claimed.id,
            now,
            lambda current: self._recorded(current, number, result, now, jitter, lease),
            known=claimed,
        )
        if changed is None:
            return Dialled(claimed, None, result)
        before, after = changed
        self._follow_up(before, after, now)
        return Dialled(before, after, result)

    @staticmethod
    def _recorded(
        current: Execution, attempt: int, result: DialResult, now: datetime, jitter: float, lease: str
    ) -> Execution:
        after = current.answered_by_carrier(attempt, result, now, jitter)
        return current if after is current else after.lease_delivery(lease, now)

    def _follow_up(self, before: Execution, after: Execution, now: datetime) -> None:
        follow_up(
            before, after, agents=self.agents, lines=self.lines, timers=self.timers, functions=self.functions, now=now
        )

    def _return_line(self, execution: Execution | None, attempt: int, shard: int | None) -> None:
        """A line that an attempt was given and has no use for goes to the next waiting call."""
        if execution is None or shard is None:
            return
        state = execution.state
        if state.attempt.number == attempt and not state.is_final and state.attempt.line == shard:
            return  # in use by this very attempt
        agent = self.agents.get(execution.account_id, execution.agent_id)
        if agent is not None:
            pass_on(agent, shard, execution.id, attempt, self.lines, self.functions, self.now())

    @staticmethod
    def _from_number(execution: Execution, agent: Agent) -> str | None:
        """The caller id of the next attempt: as asked, else the agent's numbers in turn: a retry uses another."""
        if execution.from_number is not None:
            return execution.from_number
        numbers = agent.from_phone_numbers
        if not numbers:
            return None
        first = int(execution.id[:8], 16)
        return numbers[(first + execution.state.attempt.number - 1) % len(numbers)]


def _is_ours(execution: Execution, attempt: int) -> bool:
    state = execution.state
    return state.is_waiting and state.attempt.number == attempt


def call_request(execution: Execution, agent: Agent, callback_url: Callable[[str, int], str]) -> CallRequest:
    """The claimed attempt as the carrier is asked to place it."""
    attempt = execution.state.attempt
    assert attempt.from_number is not None, "only a claimed attempt is placed"
    callback = callback_url(execution.id, attempt.number)
    answer_url = f"{callback}/answer" if agent.answer_url is None else fill_in(agent.answer_url, execution)
    return CallRequest(
        execution_id=execution.id,
        attempt=attempt.number,
        to_number=execution.user_number,
        from_number=attempt.from_number,
        callback_url=callback,
        answer_url=answer_url,
        ring_timeout_seconds=agent.ring_timeout_seconds,
        max_call_seconds=agent.max_call_seconds,
        voicemail_detection=agent.voicemail_detection or _retries_voicemail(execution),
    )


def _retries_voicemail(execution: Execution) -> bool:
    """Whoever wants another try after a voicemail needs machines to be detected, whatever the agent says."""
    config = execution.retry_config
    return config is not None and config.enabled and config.retry_on_voicemail


def fill_in(url: str, execution: Execution) -> str:
    """`{agent_id}` and `{execution_id}` in an agent's URL, filled in."""
    return url.replace("{agent_id}", execution.agent_id).replace("{execution_id}", execution.id)
