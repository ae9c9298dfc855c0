"""Containers of services for tests: with a few given services, or with every store of a table."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from redial import ports
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.adapters.dynamodb.call_quotas import DynamoCallQuotas
from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.adapters.dynamodb.delayed import DynamoDelayedSets
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.dynamodb.listings import DynamoListings
from redial.adapters.dynamodb.number_rules import DynamoNumberRules
from redial.adapters.dynamodb.numbers import DynamoNumbers
from redial.adapters.dynamodb.pacer import DynamoPacer
from redial.adapters.dynamodb.policies import DynamoPolicies
from redial.adapters.dynamodb.statistics import DynamoStatistics
from redial.adapters.dynamodb.sweep_leases import DynamoSweepLeases
from redial.adapters.dynamodb.undelivered import DynamoUndelivered
from redial.domain.agent import NO_DEFAULTS, Defaults
from redial.domain.errors import InvalidInput
from redial.domain.policy import Policy
from tests.support.samples import TEN
from tests.support.table import TABLE_NAME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

T = TypeVar("T")
R = TypeVar("R")


class GivenServices:
    """`ports.Services` with only the given services; any other raises `AttributeError` when it is used.

    The clock is fixed at `at`, which a test may set, unless `now` is given. Nothing sleeps; chance is always 0.5.
    """

    defaults: Defaults = NO_DEFAULTS
    calls_per_second: float | None = None
    keep: timedelta | None = None
    executions: ports.Executions
    listings: ports.Listings
    due_items: ports.DueItems
    agents: ports.Agents
    batches: ports.Batches
    counts: ports.Counts
    accounts: ports.Accounts
    number_rules: ports.NumberRules
    call_quotas: ports.CallQuotas
    policies: ports.Policies
    numbers: ports.Numbers
    idempotency: ports.IdempotencyKeys
    undelivered: ports.Undelivered
    circuits: ports.Circuits
    account_events: ports.AccountEvents
    pacer: ports.Pacer
    statistics: ports.StatisticsStore
    lines: ports.Lines
    queue: ports.CallQueue
    delayed: ports.DelayedSets
    sweep_leases: ports.SweepLeases
    timers: ports.Timers
    invoker: ports.SweepInvoker
    files: ports.Files
    contacts: ports.ContactFiles
    webhooks: ports.Webhooks
    endpoints: ports.Endpoints

    def __init__(self, at: datetime = TEN, **given: Any) -> None:
        self.at = at
        for name, service in given.items():
            if not hasattr(ports.Services, name):
                raise TypeError(f"there is no service {name}")
            setattr(self, name, service)

    def carrier(self, provider: str) -> ports.Carrier:
        raise AttributeError("no carrier was given")

    def callback_url(self, provider: str, execution_id: str, attempt: int) -> str:
        return f"https://example.com/callbacks/{provider}/{execution_id}/{attempt}"

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        """Return at once."""

    def each(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """Process the items one after the other."""
        return [work(item) for item in items]

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def random(self) -> float:
        return 0.5


def no_policies(label: str) -> Policy:
    """Raise `InvalidInput`, as for an account without policies."""
    raise InvalidInput.of("policy", f"there is no policy {label}")


class TableServices(GivenServices):
    """Given services, and every store of the table `TABLE_NAME`."""

    executions: DynamoExecutions
    listings: DynamoListings
    due_items: DynamoExecutions
    agents: DynamoAgents
    batches: DynamoBatches
    counts: DynamoBatches
    accounts: DynamoAccounts
    number_rules: DynamoNumberRules
    call_quotas: DynamoCallQuotas
    policies: DynamoPolicies
    numbers: DynamoNumbers
    idempotency: DynamoIdempotencyKeys
    undelivered: DynamoUndelivered
    circuits: DynamoCircuits
    pacer: DynamoPacer
    statistics: DynamoStatistics
    lines: DynamoLines
    queue: DynamoCallQueue
    delayed: DynamoDelayedSets
    sweep_leases: DynamoSweepLeases


def table_services(
    client: "DynamoDBClient", table_name: str = TABLE_NAME, now: Callable[[], datetime] | None = None, **given: Any
) -> TableServices:
    """Adapters for that table, which cache nothing unless `now` is given; services in `given` replace or add to
    them."""
    executions, batches = DynamoExecutions(client, table_name), DynamoBatches(client, table_name)
    stores: dict[str, Any] = {
        "executions": executions,
        "listings": DynamoListings(client, table_name, executions.read),
        "due_items": executions,
        "agents": DynamoAgents(client, table_name, now),
        "batches": batches,
        "counts": batches,
        "accounts": DynamoAccounts(client, table_name, now),
        "call_quotas": DynamoCallQuotas(client, table_name),
        "number_rules": DynamoNumberRules(client, table_name, lambda: str(uuid.uuid4())),
        "policies": DynamoPolicies(client, table_name),
        "numbers": DynamoNumbers(client, table_name, lambda: str(uuid.uuid4())),
        "idempotency": DynamoIdempotencyKeys(client, table_name),
        "undelivered": DynamoUndelivered(client, table_name),
        "circuits": DynamoCircuits(client, table_name, now),
        "pacer": DynamoPacer(client, table_name),
        "statistics": DynamoStatistics(client, table_name),
        "lines": DynamoLines(client, table_name),
        "queue": DynamoCallQueue(client, table_name, now),
        "delayed": DynamoDelayedSets(client, table_name),
        "sweep_leases": DynamoSweepLeases(client, table_name),
    }
    clock = {} if now is None else {"now": now}
    return TableServices(**stores | clock | given)
