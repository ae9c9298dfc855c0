"""The composition root: the only place that reads settings and builds AWS clients and adapters.

There is one lazily built container per function and process. Each service is built, and its modules are loaded, on
first use, so that a cold start pays only for what it uses.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from redial.runtime import settings, system

if TYPE_CHECKING:
    from redial.adapters.batch_csv import CsvContacts
    from redial.adapters.dynamodb.account_events import DynamoAccountEvents
    from redial.adapters.dynamodb.accounts import DynamoAccounts
    from redial.adapters.dynamodb.agents import DynamoAgents
    from redial.adapters.dynamodb.audit import DynamoAuditLog
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
    from redial.adapters.endpoints import HttpEndpoints
    from redial.adapters.eventbridge_scheduler import SchedulerTimers
    from redial.adapters.files import S3Files
    from redial.adapters.http import Http
    from redial.adapters.invoker import AwsInvoker
    from redial.adapters.webhooks import HttpWebhooks
    from redial.carriers.secrets import CarrierSecrets
    from redial.domain.account_event import AccountEvent
    from redial.domain.agent import Defaults
    from redial.domain.batch import Batch
    from redial.domain.execution import Execution
    from redial.ports import CallbackReader, Carrier
    from redial.usecases.deliver_events import Deliverer

T = TypeVar("T")
R = TypeVar("R")

CONNECT_SECONDS, READ_SECONDS, FILE_READ_SECONDS = 1, 3, 10
"""A stalled connection, such as one that died while the process was frozen, must leave the function time for a retry.
S3 needs longer: it copies a file of 200 MB in one request."""


def client_config(service: str) -> Config:
    """botocore's settings. It may retry every AWS request, because each is a read, or a write that is conditional or
    safe to repeat.

    Parameters for DynamoDB are not validated against its model, which would take half of a large request's time; the
    service checks them. The client's name is fixed, because botocore composes its own twice for each request.
    """
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=FILE_READ_SECONDS if service == "s3" else READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 4},
        tcp_keepalive=True,
        user_agent="redial",
        parameter_validation=service != "dynamodb",
        s3={"addressing_style": "virtual"},  # regional: a new bucket is unknown to S3's global address for a day
    )


_one_client = threading.Lock()
"""boto3's session is not thread-safe when it creates clients; a client itself may be shared."""


@cache
def _client(service: str) -> Any:
    """One client per AWS service and process: creating one takes tens of milliseconds."""
    with _one_client:
        return boto3.client(service, config=client_config(service))  # type: ignore[call-overload]  # the stubs want literal names


class Services:
    """`ports.Services` over AWS, the carriers and the system's clock. `variables`: the function's settings.

    Using a service whose settings the function does not have raises `KeyError`.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    @property
    def _table(self) -> str:
        return self._variables["TABLE_NAME"]

    @property
    def keep(self) -> timedelta | None:
        """How long finished calls and batches are kept; None: forever."""
        days = int(self._variables["KEEP_DAYS"])
        return timedelta(days=days) if days else None

    # ---- DynamoDB ---------------------------------------------------------------------------------------------------

    @cached_property
    def executions(self) -> "DynamoExecutions":
        from redial.adapters.dynamodb.executions import DynamoExecutions

        return DynamoExecutions(_client("dynamodb"), self._table, system.sleep, self.keep)

    @cached_property
    def listings(self) -> "DynamoListings":
        from redial.adapters.dynamodb.listings import DynamoListings

        return DynamoListings(_client("dynamodb"), self._table, self.executions.read, system.sleep)

    @property
    def due_items(self) -> "DynamoExecutions":
        return self.executions

    @cached_property
    def batches(self) -> "DynamoBatches":
        from redial.adapters.dynamodb.batches import DynamoBatches

        return DynamoBatches(_client("dynamodb"), self._table, system.sleep, self.keep)

    @property
    def counts(self) -> "DynamoBatches":
        return self.batches

    @cached_property
    def agents(self) -> "DynamoAgents":
        from redial.adapters.dynamodb.agents import DynamoAgents

        return DynamoAgents(_client("dynamodb"), self._table, system.now)

    @cached_property
    def accounts(self) -> "DynamoAccounts":
        from redial.adapters.dynamodb.accounts import DynamoAccounts

        return DynamoAccounts(_client("dynamodb"), self._table, system.now)

    @cached_property
    def lines(self) -> "DynamoLines":
        from redial.adapters.dynamodb.lines import DynamoLines

        return DynamoLines(_client("dynamodb"), self._table)

    @cached_property
    def queue(self) -> "DynamoCallQueue":
        from redial.adapters.dynamodb.call_queue import DynamoCallQueue

        return DynamoCallQueue(_client("dynamodb"), self._table, system.now, system.sleep)

    @cached_property
    def delayed(self) -> "DynamoDelayedSets":
        from redial.adapters.dynamodb.delayed import DynamoDelayedSets

        return DynamoDelayedSets(_client("dynamodb"), self._table, system.sleep)

    @cached_property
    def idempotency(self) -> "DynamoIdempotencyKeys":
        from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys

        return DynamoIdempotencyKeys(_client("dynamodb"), self._table)

    @cached_property
    def number_rules(self) -> "DynamoNumberRules":
        from redial.adapters.dynamodb.number_rules import DynamoNumberRules

        return DynamoNumberRules(_client("dynamodb"), self._table, system.new_id, system.sleep)

    @cached_property
    def policies(self) -> "DynamoPolicies":
        from redial.adapters.dynamodb.policies import DynamoPolicies

        return DynamoPolicies(_client("dynamodb"), self._table)

    @cached_property
    def numbers(self) -> "DynamoNumbers":
        from redial.adapters.dynamodb.numbers import DynamoNumbers

        return DynamoNumbers(_client("dynamodb"), self._table, system.new_id)

    @cached_property
    def undelivered(self) -> "DynamoUndelivered":
        from redial.adapters.dynamodb.undelivered import DynamoUndelivered

        return DynamoUndelivered(_client("dynamodb"), self._table)

    @cached_property
    def circuits(self) -> "DynamoCircuits":
        from redial.adapters.dynamodb.circuits import DynamoCircuits

        return DynamoCircuits(_client("dynamodb"), self._table, system.now)

    @cached_property
    def account_events(self) -> "DynamoAccountEvents":
        from redial.adapters.dynamodb.account_events import DynamoAccountEvents

        return DynamoAccountEvents(_client("dynamodb"), self._table)

    @cached_property
    def audit(self) -> "DynamoAuditLog":
        from redial.adapters.dynamodb.audit import DynamoAuditLog

        return DynamoAuditLog(_client("dynamodb"), self._table)

    @cached_property
    def call_quotas(self) -> "DynamoCallQuotas":
        from redial.adapters.dynamodb.call_quotas import DynamoCallQuotas

        return DynamoCallQuotas(_client("dynamodb"), self._table)

    @cached_property
    def pacer(self) -> "DynamoPacer":
        from redial.adapters.dynamodb.pacer import DynamoPacer

        return DynamoPacer(_client("dynamodb"), self._table)

    @property
    def calls_per_second(self) -> float | None:
        """The rate of a carrier account whose secret names none, in calls per second; None: no limit."""
        return float(self._variables["CALLS_PER_SECOND"]) or None

    @cached_property
    def statistics(self) -> "DynamoStatistics":
        from redial.adapters.dynamodb.statistics import DynamoStatistics

        return DynamoStatistics(_client("dynamodb"), self._table)

    @cached_property
    def sweep_leases(self) -> "DynamoSweepLeases":
        from redial.adapters.dynamodb.sweep_leases import DynamoSweepLeases

        return DynamoSweepLeases(_client("dynamodb"), self._table)

    # ---- other AWS services -----------------------------------------------------------------------------------------

    @cached_property
    def timers(self) -> "SchedulerTimers":
        from redial.adapters.eventbridge_scheduler import SchedulerTimers

        return SchedulerTimers(
            _client("scheduler"),
            group=self._variables["SCHEDULE_GROUP"],
            role_arn=self._variables["SCHEDULER_ROLE_ARN"],
            dead_letter_arn=self._variables["SCHEDULE_DLQ_ARN"],
            deliver_queue=self._variables["DELIVER_QUEUE_ARN"],
            dial_queue=self._variables.get("DIAL_QUEUE_ARN"),
            batch_function=self._variables.get("BATCH_FUNCTION"),
        )

    @cached_property
    def invoker(self) -> "AwsInvoker":
        from redial.adapters.invoker import AwsInvoker
        from redial.runtime import telemetry

        return AwsInvoker(
            lambda: _client("sqs"),
            lambda: _client("lambda"),
            system.now,
            deliver_queue=self._variables["DELIVER_QUEUE"],
            dial_queue=self._variables.get("DIAL_QUEUE"),
            batch_function=self._variables.get("BATCH_FUNCTION"),
            sweep_function=self._variables.get("SWEEP_FUNCTION"),
            on_cut=telemetry.chain_cut,
        )

    @cached_property
    def files(self) -> "S3Files":
        from redial.adapters.files import S3Files

        endpoint = self._variables.get("UPLOADS_ENDPOINT") or None

        def signer() -> Any:
            config = Config(signature_version="s3v4", s3={"addressing_style": "path" if endpoint else "virtual"})
            return boto3.client("s3", endpoint_url=endpoint, config=config)

        return S3Files(_client("s3"), self._variables["FILES_BUCKET"], cache(signer))

    @cached_property
    def contacts(self) -> "CsvContacts":
        from redial.adapters.batch_csv import CsvContacts

        return CsvContacts()

    # ---- the outside ------------------------------------------------------------------------------------------------

    @cached_property
    def _http(self) -> "Http":
        from redial.adapters.http import Http

        return Http()

    @property
    def allow_local(self) -> bool:
        """Whether URLs may lead to this machine and be unencrypted."""
        return self._variables["ALLOW_LOCAL_WEBHOOKS"] == "true"

    @property
    def console(self) -> bool:
        """Whether the api function serves the console."""
        return self._variables["CONSOLE"] == "api"

    @cached_property
    def webhooks(self) -> "HttpWebhooks":
        from redial.adapters.webhooks import HttpWebhooks

        return HttpWebhooks(self._http, allow_local=self.allow_local, machine_time=system.machine_time)

    @cached_property
    def endpoints(self) -> "HttpEndpoints":
        from redial.adapters.endpoints import HttpEndpoints

        return HttpEndpoints(self.webhooks)

    def check_webhook(self, url: str) -> None:
        """Raises `InvalidInput` for a URL that is not permitted as a webhook."""
        from redial.adapters import address_guard

        address_guard.check(url, allow_local=self.allow_local)

    @cached_property
    def carrier_secrets(self) -> "CarrierSecrets":
        from redial.carriers.secrets import CarrierSecrets

        return CarrierSecrets(lambda: _client("secretsmanager"), self._variables["CARRIER_SECRETS"])

    def carrier(self, provider: str) -> "Carrier":
        from redial.carriers import outbound

        return outbound(provider, self._http, self.carrier_secrets, system.now)

    def callback_reader(self, provider: str) -> "CallbackReader":
        from redial.carriers import inbound

        return inbound(provider, self.carrier_secrets)

    def callback_url(self, provider: str, execution_id: str, attempt: int) -> str:
        from redial.carriers.callback import callback_url

        return callback_url(self.public_url, provider, execution_id, attempt)

    @property
    def public_url(self) -> str:
        """The base URL at which carriers reach this stack; empty if it is unknown."""
        return self._variables.get("PUBLIC_URL", "")

    @cached_property
    def defaults(self) -> "Defaults":
        """The stack's defaults, for settings that neither an agent nor its account has. Raises `ValueError` for an
        unknown carrier."""
        from redial.carriers import CARRIERS
        from redial.domain.agent import Defaults

        carrier = self._variables["DEFAULT_CARRIER"] or None
        if carrier not in (None, *CARRIERS):
            raise ValueError(f"DEFAULT_CARRIER must be one of {', '.join(CARRIERS)}; not {carrier}")
        number, answer = self._variables["DEFAULT_FROM_PHONE_NUMBER"], self._variables["DEFAULT_ANSWER"] or None
        is_stream = answer is not None and answer.startswith("ws")
        return Defaults(
            provider=carrier,
            from_phone_numbers=(number,) if number else (),
            answer_url=None if is_stream else answer,
            stream_url=answer if is_stream else None,
        )

    # ---- delivery ---------------------------------------------------------------------------------------------------

    @cached_property
    def execution_deliverer(self) -> "Deliverer[Execution]":
        """Delivers executions' events to their agents' webhooks."""
        from redial.usecases.deliver_events import Deliverer
        from redial.wire import execution_json

        def endpoint(execution: "Execution") -> str | None:
            first = execution.pending()[0]
            was_tried = any(tried.sequence == first for tried in execution.delivery.log)
            agent = None if was_tried else self.agents.cached(execution.account_id, execution.agent_id)
            if agent is None or agent.webhook_url is None:  # it may have been set or corrected since
                agent = self.agents.get(execution.account_id, execution.agent_id)
            return None if agent is None else agent.webhook_url

        def complete(execution: "Execution") -> "Execution | None":
            return next(iter(self.executions.with_user_data([execution])), None)

        def read_answer(execution: "Execution", body: bytes) -> None:
            if b"suppress" in body:
                from redial.wire.questions_json import suppress_in

                opt_out = suppress_in(body, execution.agent_id, self.now())
                if opt_out is not None:
                    self.invoker.suppress(execution.id, opt_out)

        return Deliverer(self, self.executions, endpoint, complete, execution_json.render_event, read_answer)

    @cached_property
    def batch_deliverer(self) -> "Deliverer[Batch]":
        """Delivers batches' own events."""
        from redial.usecases.deliver_events import Deliverer
        from redial.wire import batch_json

        def as_it_is(batch: "Batch") -> "Batch":
            return batch

        return Deliverer(self, self.batches, lambda batch: batch.webhook_url, as_it_is, batch_json.render_event)

    @cached_property
    def account_event_deliverer(self) -> "Deliverer[AccountEvent]":
        """Delivers accounts' own events."""
        from redial.usecases.deliver_events import Deliverer
        from redial.wire.attention_json import render_event

        def endpoint(event: "AccountEvent") -> str | None:
            account = self.accounts.get(event.account_id)
            return None if account is None else account.webhook_url

        def as_it_is(event: "AccountEvent") -> "AccountEvent":
            return event

        return Deliverer(self, self.account_events, endpoint, as_it_is, render_event)

    # ---- the system -------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return system.now()

    def sleep(self, seconds: float) -> None:
        system.sleep(seconds)

    def each(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        return system.each(work, items, workers)

    def new_id(self) -> str:
        return system.new_id()

    def random(self) -> float:
        return system.random()


@cache
def services_of(function: str) -> Services:
    """The function's container, one per process. Raises `RuntimeError`, naming every missing setting."""
    return Services(settings.read(function))


def reset() -> None:
    """Drop all containers and clients. The next use reads the settings and builds them again."""
    _client.cache_clear()
    services_of.cache_clear()
