"""Batches as their owner handles them: created, scheduled, paused, resumed, stopped, deleted, read.

Each is one conditional write to the batch, which decides; what is long (reading a file, stopping a million contacts) is
done by `run_batch`, invoked without waiting. What is lost on the way the sweeper asks for again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import Batch, contact_id
from redial.domain.errors import Conflict, InvalidInput, NotFound, TooLarge
from redial.domain.execution import Execution
from redial.domain.phone_number import check_e164
from redial.domain.retry import RetryConfig
from redial.ports import (
    Agents,
    Batches,
    Executions,
    Files,
    IdempotencyKeys,
    IdempotentRequest,
    Invoker,
    Lines,
    StaleVersion,
    Timers,
)
from redial.usecases.count_batches import counts_of
from redial.usecases.lines import dispatch_all
from redial.usecases.stop import mark_stopped, stop_calls, stop_waiting, waiting_line_holders

EARLIEST_START = timedelta(minutes=2)
LATEST_START = timedelta(days=30)
"""How far ahead a batch may be scheduled."""
MAX_FILE_BYTES = 200 * 1024 * 1024
"""Largest file of contacts."""
NOT_RUNNING = "Batch is not queued or running"
"""The contract's own words."""
_MOST_TRIES = 20


def upload_key(account_id: str, upload_id: str) -> str:
    """Where a customer's upload is stored."""
    return f"uploads/{account_id}/{upload_id}.csv"


def contacts_key(account_id: str, batch_id: str, name: str) -> str:
    """Where a batch's file is stored; `name` is contacts, rejected or results."""
    return f"batches/{account_id}/{batch_id}/{name}.csv"


@dataclass(frozen=True)
class NewBatch:
    """`POST /batches`, parsed. `content` is the file; None: it is the one stored at `upload_key`."""

    agent_id: str
    file_name: str
    content: bytes | None
    upload_key: str | None
    from_phone_numbers: tuple[str, ...]
    retry_config: RetryConfig | None
    webhook_url: str | None
    calls_per_second: float | None
    first_dials_first: bool
    bypass_call_guardrails: bool
    start: bool


def create_batch(
    new: NewBatch,
    *,
    account_id: str,
    idempotency_key: str | None,
    body_hash: str,
    check_file: Callable[[Iterable[bytes]], None],
    agents: Agents,
    batches: Batches,
    files: Files,
    idempotency: IdempotencyKeys,
    invoker: Invoker,
    now: datetime,
    new_id: Callable[[], str],
) -> tuple[Batch, bool]:
    """The batch, made once per Idempotency-Key, and whether an earlier request had made it.

    `check_file` raises `InvalidInput` for a file that cannot be used, as far as it can tell in the time. Raises
    `NotFound` (agent, upload), `InvalidInput`, `TooLarge`, `Conflict` (key reused).
    """
    batch_id = new_id().replace("-", "")
    agent: Agent | None = None
    if idempotency_key is not None:
        request = idempotency.find(account_id, idempotency_key, now)
        if request is None:
            agent = _check(new, account_id, agents, files, check_file)
            ours = IdempotentRequest(batch_id, body_hash)
            request = idempotency.claim(account_id, idempotency_key, ours, now)
        if request is not None:
            if request.body_hash != body_hash:
                raise Conflict("this Idempotency-Key was used with another body; use a new key for a new batch")
            batch_id = request.execution_id
            existing = batches.get(batch_id)
            if existing is not None:
                return existing, True
    else:
        agent = _check(new, account_id, agents, files, check_file)
    agent = agent or agents.get(account_id, new.agent_id)
    assert agent is not None, "the item of an agent is never removed"
    key = contacts_key(account_id, batch_id, "contacts")
    if new.content is not None:
        files.put(key, new.content)
    elif new.upload_key is not None:
        files.copy(new.upload_key, key)
    batch = Batch(
        id=batch_id,
        account_id=account_id,
        agent_id=new.agent_id,
        created_at=now,
        file_name=new.file_name,
        provider=agent.provider,
        from_phone_numbers=new.from_phone_numbers,
        retry_config=new.retry_config,
        webhook_url=new.webhook_url,
        calls_per_second=new.calls_per_second,
        first_dials_first=new.first_dials_first,
        bypass_call_guardrails=new.bypass_call_guardrails,
    ).begin(now, new.start)
    batch = batch.lease_delivery(batch_id[:8], now)
    if not batches.create(batch.with_due(now)):
        stored = batches.get(batch_id)
        if stored is None:
            raise Conflict("the batch was deleted while it was being made; send it again with a new Idempotency-Key")
        return stored, True
    invoker.batch(batch_id)
    if batch.webhook_url is not None:
        invoker.deliver(batch_id, batch.delivery.lease_id)
    return batch, False


def _check(
    new: NewBatch,
    account_id: str,
    agents: Agents,
    files: Files,
    check_file: Callable[[Iterable[bytes]], None],
) -> Agent:
    """The batch's agent. Raises for what makes the batch impossible, so that a bad request leaves nothing behind."""
    agent = agents.get(account_id, new.agent_id)
    if agent is None or agent.deleted_at is not None:
        raise NotFound(f"agent_id: there is no agent {new.agent_id}; GET /v2/agent/all lists yours")
    for number in new.from_phone_numbers:
        check_e164("from_phone_numbers", number)
    if agent.answer_url is None and agent.stream_url is None:
        raise InvalidInput.of("agent_id", "the agent has neither answer_url nor stream_url: set one of them first")
    if not new.from_phone_numbers and not agent.from_phone_numbers:
        raise InvalidInput.of("from_phone_numbers", "give some here, or give the agent from_phone_numbers")
    if new.content is not None:
        check_file((new.content,))
        return agent
    assert new.upload_key is not None
    size = files.size(new.upload_key)
    if size is None:
        raise NotFound("upload_id: nothing was uploaded under this id, or it was more than 7 days ago")
    if size > MAX_FILE_BYTES:
        raise TooLarge(f"file: may have {MAX_FILE_BYTES} bytes, this one has {size}; split it into several batches")
    check_file(files.read(new.upload_key))
    return agent


def read_batch(batch_id: str, *, account_id: str, batches: Batches) -> Batch:
    """Raises `NotFound`, also for a deleted batch and another account's."""
    batch = batches.get(batch_id)
    if batch is None or batch.account_id != account_id or batch.deleted_at is not None:
        raise NotFound(f"there is no batch {batch_id}")
    return batch


def page_of_batch(batch: Batch, page_number: int, page_size: int, executions: Executions) -> list[Execution]:
    """One page of its contacts, in the order of the file; any page costs the same."""
    first = (page_number - 1) * page_size + 1
    last = min(page_number * page_size, batch.stored_to)
    return executions.read([contact_id(batch.id, row) for row in range(first, last + 1)])


def schedule_batch(
    batch_id: str,
    scheduled_at: datetime,
    bypass_call_guardrails: bool,
    *,
    account_id: str,
    batches: Batches,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> Batch:
    """Start the batch then. Raises `NotFound`, `InvalidInput`, `Conflict` (it is due, running or over)."""
    if scheduled_at < now + EARLIEST_START:
        minutes = EARLIEST_START // timedelta(minutes=1)
        raise InvalidInput.of("scheduled_at", f"must be at least {minutes} minutes ahead")
    if scheduled_at > now + LATEST_START:
        raise InvalidInput.of("scheduled_at", f"must be at most {LATEST_START.days} days ahead")

    def apply(batch: Batch) -> Batch:
        try:
            return batch.schedule(scheduled_at, bypass_call_guardrails, now)
        except ValueError as error:
            raise Conflict(f"{error}; create another one") from error

    before, after = change_batch(batch_id, apply, account_id, batches, invoker, now)
    if before.timer is not None:
        timers.cancel_batch(batch_id, "start", before.timer)
    assert after.timer is not None
    timers.schedule_batch_run(batch_id, "start", after.timer, scheduled_at, now)
    return after


def stop_batch(
    batch_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
    reason: str = "stopped by request",
) -> Batch:
    """Once this returns, no dial of the batch starts; live calls finish. Raises `NotFound`.

    The batch is marked first. Then whoever is about to be dialled, and so holds a line, is stopped one by one: a dial
    that takes its line later sees the mark. All others are stopped without waiting, by `run_batch`.
    """

    def apply(batch: Batch) -> Batch:
        try:
            return batch.stop(now, reason, counts_of(batch, batches))
        except ValueError as error:
            raise NotFound(NOT_RUNNING) from error

    before, after = change_batch(batch_id, apply, account_id, batches, invoker, now)
    if before.timer is not None:
        timers.cancel_batch(batch_id, "start", before.timer)
    _call_off(after, executions, agents, lines, timers, invoker, now, "batch stopped")
    invoker.batch(batch_id)
    return after


def _call_off(
    batch: Batch,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
    reason: str,
) -> None:
    """Take the batch, which is marked, out of its agent's queue, and stop its contacts that are about to be dialled."""
    lines.leave(batch.agent_id, batch.id)
    for execution in _contacts_about_to_be_dialled(batch, executions, agents, lines):
        stop_waiting(execution.id, reason, executions, agents, lines, timers, invoker, now)


def _contacts_about_to_be_dialled(
    batch: Batch, executions: Executions, agents: Agents, lines: Lines
) -> list[Execution]:
    """Contacts of the batch that wait and hold a line."""
    agent = agents.get(batch.account_id, batch.agent_id)
    if agent is None:
        return []
    return [one for one in waiting_line_holders(agent, executions, lines) if one.batch_id == batch.id]


def pause_batch(
    batch_id: str,
    paused: bool,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    invoker: Invoker,
    now: datetime,
) -> Batch:
    """No dial of the batch starts until it is resumed; waiting contacts keep their place. Raises `NotFound`."""

    def apply(batch: Batch) -> Batch:
        if not batch.is_stoppable:
            raise NotFound(NOT_RUNNING)
        return batch if batch.paused == paused else replace(batch, paused=paused)

    _, after = change_batch(batch_id, apply, account_id, batches, invoker, now)
    lines.pause(after.agent_id, batch_id, paused)
    agent = agents.get(account_id, after.agent_id)
    if agent is not None and not paused:
        invoker.batch(batch_id)
    elif paused:
        await_dials(after, executions, agents, lines)
    return after


def await_dials(batch: Batch, executions: Executions, agents: Agents, lines: Lines) -> None:
    """Make a dial that is about to claim lose: it looks again, and sees that its batch is paused."""
    for execution in _contacts_about_to_be_dialled(batch, executions, agents, lines):
        try:
            executions.save(execution)
        except StaleVersion:
            continue  # it has been claimed, and is live; or another writer changed it, and dial looks again


def delete_batch(
    batch_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> None:
    """The batch is unknown from now on, and none of its contacts is dialled any more; live calls finish.

    Its contacts' data, pending schedules and files are removed by `run_batch`, those of live calls when they are
    over. Raises `NotFound`.
    """
    before, after = change_batch(batch_id, lambda batch: batch.delete(now), account_id, batches, invoker, now)
    if before.timer is not None:
        timers.cancel_batch(batch_id, "start", before.timer)
    _call_off(after, executions, agents, lines, timers, invoker, now, "batch deleted")
    invoker.batch(batch_id)


def change_batch(
    batch_id: str,
    apply: Callable[[Batch], Batch],
    account_id: str,
    batches: Batches,
    invoker: Invoker,
    now: datetime,
) -> tuple[Batch, Batch]:
    """Apply a pure change to the batch as stored, again from a fresh read whenever another writer was quicker; deliver
    is invoked for what it adds. Raises `NotFound`, and what `apply` raises."""
    for _ in range(_MOST_TRIES):
        before = read_batch(batch_id, account_id=account_id, batches=batches)
        after = apply(before)
        if after is before:
            return before, before
        lease_id = f"b-{before.version}"
        if after.last_sequence > before.last_sequence:
            after = after.lease_delivery(lease_id, now)
        try:
            after = batches.save(after.with_due(now))
        except StaleVersion:
            continue
        if after.delivery.lease_id == lease_id:
            invoker.deliver(batch_id, lease_id)
        return before, after
    raise StaleVersion(batch_id)


def want_results(batch_id: str, *, account_id: str, batches: Batches, invoker: Invoker, now: datetime) -> None:
    """Have the results file written, as things stand then. Raises `NotFound`."""
    change_batch(batch_id, lambda batch: replace(batch, results_wanted=True), account_id, batches, invoker, now)
    invoker.batch(batch_id)


def stop_agent_with_batches(
    agent_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> tuple[list[str], list[str]]:
    """Stop every waiting call of the agent: the ids of its single calls, and of its batches, whose contacts follow.

    The agent is marked first: dial refuses what was asked for before the mark, also while this still works through a
    long list, or if it dies on the way. Raises `NotFound`.
    """
    agent = mark_stopped(agent_id, account_id=account_id, agents=agents, now=now)
    stopped_batches = _stop_batches(agent, executions, agents, batches, lines, timers, invoker, now)
    return stop_calls(agent, executions, agents, batches, lines, timers, invoker, now), stopped_batches


def _stop_batches(
    agent: Agent,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> list[str]:
    """Stop every batch of the agent that runs or will by itself; their ids."""
    stopped = []
    for batch in batches.of_agent(agent.agent_id):
        try:
            stop_batch(
                batch.id,
                account_id=agent.account_id,
                executions=executions,
                agents=agents,
                batches=batches,
                lines=lines,
                timers=timers,
                invoker=invoker,
                now=now,
                reason="agent stopped",
            )
            stopped.append(batch.id)
        except NotFound:
            continue  # nothing of it waits by itself
    return stopped


def dispatch_batch(batch: Batch, agents: Agents, lines: Lines, invoker: Invoker, now: datetime) -> None:
    """Start whoever's turn it is on the free lines of the batch's agent."""
    agent = agents.get(batch.account_id, batch.agent_id)
    if agent is not None:
        dispatch_all(agent, lines, invoker, now)
