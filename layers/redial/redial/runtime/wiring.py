"""The composition root: the only place that reads settings and builds AWS clients and adapters.

Each function asks for its own world, which is built on the first use in a process and loads only what it needs.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.config import Config

from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.eventbridge_scheduler import SchedulerTimers
from redial.adapters.lambda_invoker import LambdaInvoker
from redial.carriers import inbound, outbound
from redial.carriers.callback import callback_url
from redial.ports import CallbackReader, Carrier
from redial.runtime import system
from redial.runtime.settings import (
    ApiSettings,
    BatchSettings,
    CarrierCallbackSettings,
    DeliverSettings,
    DialSettings,
    SweepSettings,
    TallySettings,
    read,
)

if TYPE_CHECKING:
    from redial.adapters.batch_csv import CsvContacts
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.batches import DynamoBatches
    from redial.adapters.dynamodb.circuits import DynamoCircuits
    from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
    from redial.adapters.dynamodb.undelivered import DynamoUndelivered
    from redial.adapters.files import S3Files
    from redial.carriers.secrets import CarrierSecrets
    from redial.domain.batch import Batch
    from redial.domain.execution import Execution
    from redial.usecases.deliver_events import Deliverer
    from redial.usecases.dial_attempt import Dialler
    from redial.usecases.run_batch import Worker
    from redial.usecases.sweep import Sweeper

_CLIENT_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
)
"""botocore retries AWS requests: every one of them is a read, or a write that is conditional or safe to repeat."""


@cache
def _client(service: str) -> Any:
    """One client for each service in a process: making one takes tens of milliseconds."""
    return boto3.client(service, config=_CLIENT_CONFIG)  # type: ignore[call-overload]  # the stubs want literal names


def _store(table_name: str) -> tuple[DynamoExecutions, DynamoAgents, DynamoLines]:
    client = _client("dynamodb")
    return (
        DynamoExecutions(client, table_name, system.sleep),
        DynamoAgents(client, table_name, system.now),
        DynamoLines(client, table_name, system.now, system.sleep),
    )


@cache
def _batches(table_name: str) -> "DynamoBatches":
    from redial.adapters.dynamodb.batches import DynamoBatches

    return DynamoBatches(_client("dynamodb"), table_name, system.sleep)


def _timers(
    settings: ApiSettings | BatchSettings | CarrierCallbackSettings | DialSettings | DeliverSettings | SweepSettings,
) -> SchedulerTimers:
    return SchedulerTimers(
        _client("scheduler"),
        group=settings.schedule_group,
        role_arn=settings.scheduler_role_arn,
        dead_letter_arn=settings.schedule_dlq_arn,
        deliver_function=settings.deliver_function,
        dial_function=getattr(settings, "dial_function", None),
        batch_function=getattr(settings, "batch_function", None),
    )


def _functions(
    settings: ApiSettings | BatchSettings | CarrierCallbackSettings | DialSettings | SweepSettings,
) -> LambdaInvoker:
    return LambdaInvoker(
        _client("lambda"),
        deliver_function=settings.deliver_function,
        dial_function=settings.dial_function,
        batch_function=settings.batch_function,
        sweep_function=getattr(settings, "sweep_function", None),
    )


def _secrets(prefix: str) -> "CarrierSecrets":
    from redial.carriers.secrets import CarrierSecrets

    return CarrierSecrets(lambda: _client("secretsmanager"), prefix)


def _carriers(settings: DialSettings | SweepSettings) -> Callable[[str], Carrier]:
    """Carriers by name, each made when it is first needed."""
    from redial.adapters.http import Http

    http, secrets = Http(), _secrets(settings.carrier_secrets)
    return cache(lambda name: outbound(name, http, secrets, system.now))


@cache
def _files(settings: ApiSettings) -> "S3Files":
    """Files, and the addresses at which customers reach them: few requests need an S3 client."""
    from redial.adapters.files import S3Files

    def signer() -> Any:
        config = Config(
            signature_version="s3v4", s3={"addressing_style": "path" if settings.uploads_endpoint else "auto"}
        )
        return boto3.client("s3", endpoint_url=settings.uploads_endpoint or None, config=config)

    return S3Files(_client("s3"), settings.files_bucket, cache(signer))


def _contacts() -> "CsvContacts":
    """Reads batches' files: few requests need it, and it loads SQLite."""
    from redial.adapters.batch_csv import CsvContacts

    return CsvContacts()


class ApiServices(NamedTuple):
    """What the api function's use cases reach. `allow_local`: URLs may lead to this machine, without encryption.
    `check_webhook` raises `InvalidInput` for a URL that no webhook may have."""

    allow_local: bool
    check_webhook: "Callable[[str], object]"
    executions: DynamoExecutions
    agents: DynamoAgents
    batches: "DynamoBatches"
    lines: DynamoLines
    accounts: "DynamoAccounts"
    idempotency: "DynamoIdempotencyKeys"
    undelivered: "DynamoUndelivered"
    circuits: "DynamoCircuits"
    files: "Callable[[], S3Files]"
    contacts: "Callable[[], CsvContacts]"
    timers: SchedulerTimers
    invoker: LambdaInvoker


@cache
def api() -> ApiServices:
    """The api function's world."""
    from redial.adapters import address_guard
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.circuits import DynamoCircuits
    from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
    from redial.adapters.dynamodb.undelivered import DynamoUndelivered

    settings = read(ApiSettings)
    executions, agents, lines = _store(settings.table_name)
    client = _client("dynamodb")
    allow_local = settings.allow_local_webhooks == "true"
    return ApiServices(
        allow_local,
        lambda url: address_guard.check(url, allow_local=allow_local),
        executions,
        agents,
        _batches(settings.table_name),
        lines,
        DynamoAccounts(client, settings.table_name, system.now),
        DynamoIdempotencyKeys(client, settings.table_name),
        DynamoUndelivered(client, settings.table_name),
        DynamoCircuits(client, settings.table_name),
        lambda: _files(settings),
        _contacts,
        _timers(settings),
        _functions(settings),
    )


class CarrierCallbackServices(NamedTuple):
    """What the carrier_callback function reaches."""

    settings: CarrierCallbackSettings
    executions: DynamoExecutions
    agents: DynamoAgents
    batches: "DynamoBatches"
    lines: DynamoLines
    timers: SchedulerTimers
    invoker: LambdaInvoker
    reader_of: Callable[[str], CallbackReader]


@cache
def carrier_callback() -> CarrierCallbackServices:
    """The carrier_callback function's world; no HTTP client in it."""
    settings = read(CarrierCallbackSettings)
    executions, agents, lines = _store(settings.table_name)
    secrets = _secrets(settings.carrier_secrets)
    return CarrierCallbackServices(
        settings,
        executions,
        agents,
        _batches(settings.table_name),
        lines,
        _timers(settings),
        _functions(settings),
        cache(lambda name: inbound(name, secrets)),
    )


class DeliverServices(NamedTuple):
    """What the deliver function reaches."""

    executions: "Deliverer[Execution]"
    batches: "Deliverer[Batch]"


@cache
def deliver() -> DeliverServices:
    """The deliver function's world."""
    from redial.usecases.deliver_events import Deliverer
    from redial.wire import batch_json

    settings = read(DeliverSettings)
    executions, agents, _ = _store(settings.table_name)
    return DeliverServices(
        _deliverer(settings, executions, agents),
        Deliverer(
            store=_batches(settings.table_name),
            endpoint=lambda batch: batch.webhook_url,
            render=batch_json.render_event,
            **_telling(settings),
        ),
    )


def _deliverer(
    settings: DeliverSettings | DialSettings, executions: DynamoExecutions, agents: DynamoAgents
) -> "Deliverer[Execution]":
    from redial.usecases.deliver_events import Deliverer
    from redial.wire import execution_json

    def endpoint(execution: "Execution") -> str | None:
        agent = agents.cached(execution.account_id, execution.agent_id)
        if agent is None or agent.webhook_url is None:  # it may have been given one since
            agent = agents.get(execution.account_id, execution.agent_id)
        return None if agent is None else agent.webhook_url

    return Deliverer(store=executions, endpoint=endpoint, render=execution_json.render, **_telling(settings))


def _telling(settings: DeliverSettings | DialSettings) -> dict[str, Any]:
    """What delivering needs, whosever events they are."""
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.http import Http
    from redial.adapters.webhooks import HttpWebhooks

    client = _client("dynamodb")
    return {
        "accounts": DynamoAccounts(client, settings.table_name, system.now),
        "webhooks": HttpWebhooks(Http(), allow_local=settings.allow_local_webhooks == "true"),
        "timers": _timers(settings),
        "now": system.now,
        "sleep": system.sleep,
        "random": system.random,
    }


class DialServices(NamedTuple):
    """What the dial function reaches."""

    dialler: "Dialler"
    deliverer: "Deliverer[Execution]"


@cache
def dial() -> DialServices:
    """The dial function's world."""
    from redial.adapters.dynamodb.circuits import DynamoCircuits
    from redial.usecases.circuit_breaker import CircuitBreaker
    from redial.usecases.dial_attempt import Dialler

    settings = read(DialSettings)
    executions, agents, lines = _store(settings.table_name)
    dialler = Dialler(
        executions=executions,
        agents=agents,
        batches=_batches(settings.table_name),
        lines=lines,
        timers=_timers(settings),
        invoker=_functions(settings),
        circuits=CircuitBreaker(DynamoCircuits(_client("dynamodb"), settings.table_name, system.now), system.now),
        carrier_of=_carriers(settings),
        callback_url=partial(callback_url, settings.public_url),
        now=system.now,
        sleep=system.sleep,
        random=system.random,
    )
    return DialServices(dialler, _deliverer(settings, executions, agents))


@cache
def sweep() -> "Sweeper":
    """The sweep function's world."""
    from redial.adapters.dynamodb.sweep_leases import DynamoSweepLeases
    from redial.usecases.sweep import Sweeper

    settings = read(SweepSettings)
    executions, agents, lines = _store(settings.table_name)
    return Sweeper(
        executions=executions,
        due_items=executions,
        agents=agents,
        batches=_batches(settings.table_name),
        lines=lines,
        timers=_timers(settings),
        invoker=_functions(settings),
        leases=DynamoSweepLeases(_client("dynamodb"), settings.table_name),
        carrier_of=_carriers(settings),
        callback_url=partial(callback_url, ""),
        now=system.now,
        new_id=system.new_id,
    )


@cache
def batch() -> "Worker":
    """The batch function's world."""
    from redial.adapters.batch_csv import CsvContacts
    from redial.adapters.files import S3Files
    from redial.usecases.run_batch import Worker

    settings = read(BatchSettings)
    executions, agents, lines = _store(settings.table_name)
    return Worker(
        batches=_batches(settings.table_name),
        executions=executions,
        agents=agents,
        lines=lines,
        timers=_timers(settings),
        invoker=_functions(settings),
        files=S3Files(_client("s3"), settings.files_bucket),
        contacts=CsvContacts(),
        now=system.now,
    )


class TallyServices(NamedTuple):
    """What the tally function reaches."""

    batches: "DynamoBatches"
    invoker: LambdaInvoker


@cache
def tally() -> TallyServices:
    """The tally function's world."""
    settings = read(TallySettings)
    invoker = LambdaInvoker(
        _client("lambda"), deliver_function=settings.deliver_function, batch_function=settings.batch_function
    )
    return TallyServices(_batches(settings.table_name), invoker)


def reset() -> None:
    """Forget every world built so far: the next use reads the settings and builds the clients anew."""
    for services in (_client, _batches, _files, api, batch, carrier_callback, deliver, dial, sweep, tally):
        services.cache_clear()
