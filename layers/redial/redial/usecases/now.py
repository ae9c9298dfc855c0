"""The current state of an account: lines in use, calls that become due, carriers, and what needs attention.

The number of requests is limited by `MOST_AGENTS`, `MOST_BATCHES` and `MOST_CALLS`. What exceeds them is left out, and
the answer says so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

from redial.domain.agent import Agent
from redial.domain.circuit import Circuit
from redial.domain.delivery import TIMER_GRACE
from redial.domain.execution import DUE_SLACK
from redial.domain.values import dataclass
from redial.ports import Services
from redial.usecases import accounts
from redial.usecases.dispatch import shards_in_use
from redial.usecases.shared_contacts import AT_ONCE

STEP = timedelta(minutes=5)
STEPS = 12
"""How far ahead due calls are counted: an hour, in steps of five minutes."""
MOST_AGENTS = 100
MOST_BATCHES = 20
"""Maximum running batches whose delayed contacts are counted."""
MOST_CALLS = 512
"""Maximum calls read to count those that wait for a time, and maximum contacts counted in each delayed set."""
MOST_UNDELIVERED = 1000


@dataclass(frozen=True)
class LinesOfAgent:
    """An agent, and the number of its lines in use."""

    agent: Agent
    current: int


@dataclass(frozen=True)
class Now:
    """The state of an account. `agents`: oldest first; `agents_complete`: none was left out. `due`: the number of calls
    that wait for a time in each step from `at` on; `due_complete`: none was left out. `carriers`: the circuits of the
    carriers that the agents use. `attention`: the number of attention items. `undelivered`: the number of calls and
    batches with undelivered events (at most `MOST_UNDELIVERED`)."""

    at: datetime
    agents: Sequence[LinesOfAgent]
    agents_complete: bool
    due: Sequence[int]
    due_complete: bool
    carriers: Sequence[Circuit]
    attention: int
    undelivered: int


def read_now(services: Services, account_id: str, due_shards: int) -> Now:
    """Read the current state of the account. `due_shards`: number of shards of the due index. Raises `NotFound`.

    Requests: some 25, and one for each agent (its queue), each running batch with delayed contacts, each 100 shards of
    lines, each 100 due calls and each 1 MB of agents' configurations; 170 for the largest account with agents of up to
    10 KB. Read units: some 10, and 2 for each agent of up to 4 KB (0.5 more for each further 4 KB) with up to 50 lines
    (1 more for each further 50), 1 for each call of the stack that is due, and 0.5 for each 50 delayed contacts.
    """
    now = services.now()
    account = accounts.read_account(account_id, accounts=services.accounts)
    read = services.agents.some(account_id, MOST_AGENTS + 1)
    agents = sorted(
        (agent for agent in read[:MOST_AGENTS] if agent.deleted_at is None),
        key=lambda agent: (agent.created_at, agent.agent_id),
    )
    has_all_agents = len(read) <= MOST_AGENTS
    due, due_complete = _due(services, account_id, agents, now, due_shards)
    circuits = {circuit.key: circuit for circuit in services.circuits.all(account_id)}
    default = accounts.carrier_of(services, account)
    providers = sorted({agent.provider or default for agent in agents})
    return Now(
        at=now,
        agents=_lines(services, agents),
        agents_complete=has_all_agents,
        due=due,
        due_complete=due_complete and has_all_agents,
        carriers=[circuits.get(provider) or Circuit(account_id, provider) for provider in providers],
        attention=sum(circuit.needs_attention(now) for circuit in circuits.values()),
        undelivered=sum(1 for _ in islice(services.undelivered.all(account_id), MOST_UNDELIVERED)),
    )


def _lines(services: Services, agents: Sequence[Agent]) -> list[LinesOfAgent]:
    shards = [(agent.agent_id, shard) for agent in agents for shard in shards_in_use(agent)]
    held = services.lines.in_use(shards)
    return [
        LinesOfAgent(agent, sum(held.get((agent.agent_id, shard), 0) for shard in shards_in_use(agent)))
        for agent in agents
    ]


def _due(
    services: Services, account_id: str, agents: Sequence[Agent], now: datetime, due_shards: int
) -> tuple[list[int], bool]:
    """The number of calls that wait for a time in each step, and whether none was left out."""
    until = now + STEPS * STEP
    timed, timers_complete = _timed(services, account_id, until, due_shards)
    delayed, delayed_complete = _delayed(services, agents, now, until)
    counts = [0] * STEPS
    for at in (*timed, *delayed):
        if now <= at < until:
            counts[(at - now) // STEP] += 1
    return counts, timers_complete and delayed_complete


def _timed(services: Services, account_id: str, until: datetime, due_shards: int) -> tuple[list[datetime], bool]:
    """When the timers of calls fire: retries, scheduled calls, and calls that wait for calling hours.

    Their time in the due index is about `TIMER_GRACE` later. An event to send makes it earlier, never later.
    """
    most = MOST_CALLS // due_shards
    last = until + TIMER_GRACE + DUE_SLACK
    pages = services.each(lambda shard: services.due_items.first_due(shard, last, most), range(due_shards), AT_ONCE)
    ids = [one.execution_id for page in pages for one in page if one.execution_id is not None]
    times = [
        execution.state.timer[1]
        for execution in services.executions.read(ids)
        if execution.account_id == account_id
        and execution.state.is_waiting
        and execution.state.timer is not None
        and not execution.state.is_delayed
    ]
    return times, all(len(page) < most for page in pages)


def _delayed(
    services: Services, agents: Sequence[Agent], now: datetime, until: datetime
) -> tuple[list[datetime], bool]:
    """When the entries of running batches' delayed sets are due."""
    queues = services.each(services.queue.batches, [agent.agent_id for agent in agents], AT_ONCE)
    with_delayed = [
        entry.batch_id
        for queue in queues
        for entry in queue
        if not entry.paused and entry.delayed_from is not None and entry.delayed_from < until
    ]
    read = with_delayed[:MOST_BATCHES]
    sets = services.each(lambda batch_id: services.delayed.due_between(batch_id, now, until, MOST_CALLS), read, AT_ONCE)
    complete = len(read) == len(with_delayed) and all(len(one) < MOST_CALLS for one in sets)
    return [at for one in sets for at in one], complete
