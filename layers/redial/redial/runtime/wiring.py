"""The composition root: the only place that reads settings and builds AWS clients and adapters.

Each function asks for its own world, which is built on the first use in a process and loads only what it needs.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from redial.adapters.carriers import twilio
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.eventbridge_scheduler import SchedulerTimers
from redial.adapters.lambda_functions import LambdaFunctions
from redial.adapters.secrets import TwilioCredentialsStore
from redial.runtime import system
from redial.runtime.settings import (
    ApiSettings,
    CarrierCallbackSettings,
    DeliverSettings,
    DialSettings,
    SweepSettings,
)
from redial.wire.execution_json import render

if TYPE_CHECKING:
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
    from redial.adapters.dynamodb.undelivered import DynamoUndelivered
    from redial.usecases.deliver_events import Deliverer
    from redial.usecases.dial_attempt import Dialler
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


@cache
def _store(table_name: str) -> tuple[DynamoExecutions, DynamoAgents, DynamoLines]:
    client = _client("dynamodb")
    return (
        DynamoExecutions(client, table_name),
        DynamoAgents(client, table_name),
        DynamoLines(client, table_name),
    )


def _timers(
    settings: ApiSettings | CarrierCallbackSettings | DialSettings | DeliverSettings | SweepSettings,
) -> SchedulerTimers:
    return SchedulerTimers(
        _client("scheduler"),
        group=settings.schedule_group,
        role_arn=settings.scheduler_role_arn,
        dead_letter_arn=settings.schedule_dlq_arn,
        deliver_function=settings.deliver_function,
        dial_function=getattr(settings, "dial_function", None),
    )


def _functions(settings: ApiSettings | CarrierCallbackSettings | DialSettings | SweepSettings) -> LambdaFunctions:
    return LambdaFunctions(
        _client("lambda"), deliver_function=settings.deliver_function, dial_function=settings.dial_function
    )


def _credentials(secret_id: str) -> TwilioCredentialsStore:
    return TwilioCredentialsStore(lambda: _client("secretsmanager"), secret_id)


@dataclass(frozen=True)
class ApiWorld:
    """What the api function's use cases reach."""

    settings: ApiSettings
    executions: DynamoExecutions
    agents: DynamoAgents
    lines: DynamoLines
    accounts: "DynamoAccounts"
    idempotency: "DynamoIdempotencyKeys"
    undelivered: "DynamoUndelivered"
    timers: SchedulerTimers
    functions: LambdaFunctions


@cache
def api() -> ApiWorld:
    """The api function's world."""
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
    from redial.adapters.dynamodb.undelivered import DynamoUndelivered

    settings = ApiSettings.read()
    executions, agents, lines = _store(settings.table_name)
    client = _client("dynamodb")
    return ApiWorld(
        settings,
        executions,
        agents,
        lines,
        DynamoAccounts(client, settings.table_name),
        DynamoIdempotencyKeys(client, settings.table_name),
        DynamoUndelivered(client, settings.table_name),
        _timers(settings),
        _functions(settings),
    )


@dataclass(frozen=True)
class CarrierCallbackWorld:
    """What the carrier_callback function reaches."""

    settings: CarrierCallbackSettings
    executions: DynamoExecutions
    agents: DynamoAgents
    lines: DynamoLines
    timers: SchedulerTimers
    functions: LambdaFunctions
    credentials: TwilioCredentialsStore


@cache
def carrier_callback() -> CarrierCallbackWorld:
    """The carrier_callback function's world; no HTTP client in it."""
    settings = CarrierCallbackSettings.read()
    executions, agents, lines = _store(settings.table_name)
    return CarrierCallbackWorld(
        settings,
        executions,
        agents,
        lines,
        _timers(settings),
        _functions(settings),
        _credentials(settings.twilio_secret),
    )


def _deliverer(settings: DeliverSettings | DialSettings) -> "Deliverer":
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.undelivered import DynamoUndelivered
    from redial.adapters.http import Http
    from redial.adapters.webhooks import HttpWebhooks
    from redial.usecases.deliver_events import Deliverer

    executions, agents, _ = _store(settings.table_name)
    client = _client("dynamodb")
    return Deliverer(
        executions=executions,
        agents=agents,
        accounts=DynamoAccounts(client, settings.table_name),
        webhooks=HttpWebhooks(Http(), allow_local=settings.allow_local_webhooks == "true"),
        timers=_timers(settings),
        undelivered=DynamoUndelivered(client, settings.table_name),
        render=render,
        now=system.now,
        sleep=system.sleep,
        random=system.random,
    )


@cache
def deliver() -> "Deliverer":
    """The deliver function's world."""
    return _deliverer(DeliverSettings.read())


@dataclass(frozen=True)
class DialWorld:
    """What the dial function reaches."""

    dialler: "Dialler"
    deliverer: "Deliverer"


@cache
def dial() -> DialWorld:
    """The dial function's world."""
    from redial.adapters.http import Http
    from redial.usecases.dial_attempt import Dialler

    settings = DialSettings.read()
    executions, agents, lines = _store(settings.table_name)
    carrier = twilio.TwilioCarrier(Http(), _credentials(settings.twilio_secret), settings.twilio_api_url)
    dialler = Dialler(
        executions=executions,
        agents=agents,
        lines=lines,
        timers=_timers(settings),
        functions=_functions(settings),
        carrier_of=lambda provider: {"twilio": carrier}[provider],
        callback_url=lambda execution_id, attempt: twilio.callback_url(settings.public_url, execution_id, attempt),
        now=system.now,
        random=system.random,
    )
    return DialWorld(dialler, _deliverer(settings))


@cache
def sweep() -> "Sweeper":
    """The sweep function's world."""
    from redial.adapters.http import Http
    from redial.usecases.sweep import Sweeper

    settings = SweepSettings.read()
    executions, agents, lines = _store(settings.table_name)
    carrier = twilio.TwilioCarrier(Http(), _credentials(settings.twilio_secret), settings.twilio_api_url)
    return Sweeper(
        executions=executions,
        due_items=executions,
        agents=agents,
        lines=lines,
        timers=_timers(settings),
        functions=_functions(settings),
        carrier_of=lambda provider: {"twilio": carrier}[provider],
        callback_url=lambda execution_id, attempt: twilio.callback_url("", execution_id, attempt),
        now=system.now,
        new_id=system.new_id,
    )


def reset() -> None:
    """Forget every world built so far: the next use reads the settings and builds the clients anew."""
    for world in (_client, _store, api, carrier_callback, deliver, dial, sweep):
        world.cache_clear()
