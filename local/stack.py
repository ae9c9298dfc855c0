"""The local stack: the whole system in one process, for `python -m local`, tests and bench.

client ──HTTP──► api ─────────┐                       ┌── timeline: events, one at a time, by a movable clock
carrier ─callback─► api ──────┼─► functions ─► aws ───┼── functions: asynchronous invocations
timeline ─────────────────────┘       │               ├── scheduler: one-shot schedules, the template's recurring ones
                                      │               └── streams: a table's changes, for the functions that read them
                                      ├─HTTP─► carrier
                                      └─HTTP─► inbox
client ──HTTP──► files ───────────────────► aws: objects, by pre-signed URLs
"""

import base64
import hashlib
import importlib
import json
import logging
import os
import random
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO, cast

from local import ROOT
from local.aws.dynamodb import changes_of, expire
from local.aws.files import Credentials, Files
from local.aws.functions import ACCOUNT_ID, OUTPUT, REGION, Function, FunctionFailed, Handler, Invocation, Invoker
from local.aws.queues import Queues
from local.aws.requests import ENVIRONMENT, Aws
from local.aws.scheduler import Firing, Scheduler, punctual, scheduled_event
from local.aws.streams import STREAM_DUPLICATES, Stream
from local.carriers.http import Platform
from local.carriers.twilio import NUMBERS, Carrier
from local.clock import Timeline
from local.cloudformation import TemplateError
from local.template import Recurring, Template, common_environment
from local.web.api import Api
from local.web.inbox import Delivery, Inbox
from local.web.server import HttpServer, Request, Response, send
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.api.fields import EXAMPLE_AGENT_ID, EXAMPLE_WEBHOOK_URL
from redial.carriers import CARRIERS
from redial.runtime import keys, services, system

DEFAULT_API_KEY = "local-dev-key"
ACCOUNT = "local"
"""The id of the first account."""
INBOX_NAME = "demo"
"""The inbox's name for the first agent's events."""
ANSWER_URL = "https://demo.twilio.com/docs/voice.xml"
"""Twilio's demo call instructions; the emulated carrier does not fetch them."""
CARRIER_SECRETS = "redial"
"""The prefix of the carriers' secrets."""
PLATFORM_PATH = "/http"
"""The path, at the carriers' address, of the platform that speaks the signed HTTP contract."""
EXPIRY_INTERVAL = timedelta(hours=6)
"""How often expired items are removed."""
SWEEPER = "functions.sweep.handler"
API_MODULE = "functions.api.handler"
API_PACKAGE = "redial.api"
_APIS: list[Handler] = []
"""The api function's loaded handlers, cached because each costs a cold start."""
_BUSY_APIS: list[Handler] = []
_apis_lock = threading.Lock()


def _serve_alone(event: Any, context: Any) -> Any:
    """The api function's handler. As in Lambda, each loaded handler serves one request at a time, since its resolver
    stores the request."""
    with _apis_lock:
        handler = next((one for one in _APIS if one not in _BUSY_APIS), None)
        if handler is None:
            handler = _new_api()
            _APIS.append(handler)
        _BUSY_APIS.append(handler)
    try:
        return handler(event, context)
    finally:
        _BUSY_APIS.remove(handler)


def _new_api() -> Handler:
    """A handler of the api function. Each one after the first is loaded with its own modules."""
    if not _APIS:
        return cast(Handler, importlib.import_module(API_MODULE).handler)
    prefixes = (f"{API_MODULE}.", f"{API_PACKAGE}.")
    known = {name: module for name, module in sys.modules.items() if f"{name}.".startswith(prefixes)}
    for name in known:
        del sys.modules[name]
    try:
        return cast(Handler, importlib.import_module(API_MODULE).handler)
    finally:
        for name, module in known.items():
            sys.modules[name] = module
            parent, _, attribute = name.rpartition(".")
            setattr(sys.modules[parent], attribute, module)


class LocalStack:
    """The whole system. A process can run one at a time, since moto and the environment are global.

    Port 0 selects a free one. `speed`: simulated seconds for each second of the wall clock; at 0 the clock moves only
    by `clock.advance`. `start_at`: the first simulated time (None: now). `seed` determines ids, jitter, the carrier's
    sids and its outcomes without a script. `firing`: when schedules fire. `recurring=False`: without the template's
    recurring schedules (the sweeper). `first_agent=False`: with only an account and a key. `stream_duplicates`: the
    share of stream batches that are delivered twice. `log`: the file of the functions' log (None: standard output).
    `parameters`: values of the template's parameters, instead of their defaults.
    `webhook_secret`: the first account's (None: from `seed`). Webhooks are signed with the machine's time, since
    receivers compare the timestamp with their own clock. `tell` is called for every webhook, `complain` for every
    failed function. Raises `PortTaken` and `TemplateError`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        carrier_port: int = 0,
        inbox_port: int = 0,
        files_port: int = 0,
        speed: float = 0.0,
        start_at: datetime | None = None,
        seed: int = 0,
        api_key: str = DEFAULT_API_KEY,
        webhook_secret: str | None = None,
        firing: Firing = punctual,
        recurring: bool = True,
        first_agent: bool = True,
        stream_duplicates: float = STREAM_DUPLICATES,
        template: Path = ROOT / "template.yaml",
        parameters: Mapping[str, str] | None = None,
        log: Path | None = None,
        tell: Callable[[Delivery], None] = lambda delivery: None,
        complain: Callable[[Invocation, FunctionFailed], None] = lambda invocation, failure: None,
    ) -> None:
        self.api_key = api_key
        self.webhook_secret = webhook_secret or webhook_secret_of(f"{seed}")
        self.agent_id = ""
        self.seed = seed
        self._first_agent = first_agent
        self._stream_duplicates = stream_duplicates
        self.streams: list[Stream] = []
        self.log_path = log
        self._log: TextIO | None = None
        self._logged_to: list[tuple[logging.StreamHandler[Any], Any]] = []
        self._environment: dict[str, str | None] = {}
        self._servers: list[HttpServer] = []
        try:
            api_server, carrier_server, inbox_server, files_server = (
                self._bind(name, wanted)
                for name, wanted in (
                    ("API", port),
                    ("carrier", carrier_port),
                    ("inbox", inbox_port),
                    ("files", files_port),
                )
            )
        except BaseException:
            self._close_servers()
            raise
        self.url, self.carrier_url, self.inbox_url = api_server.url, carrier_server.url, inbox_server.url
        self.files_url = files_server.url
        self._api_server, self._carrier_server, self._inbox_server = api_server, carrier_server, inbox_server
        self._files_server = files_server
        started_at = start_at or datetime.now(UTC).replace(microsecond=0)
        self.clock = Timeline(started_at, speed)
        self.carrier = Carrier(self.clock, seed)
        self.platform = Platform(self.clock, f"{self.carrier_url}{PLATFORM_PATH}", self.carrier.calls.scripts, seed)
        self.inbox = Inbox(self.clock, self._webhook_secrets, tell)
        self.aws = Aws()
        try:
            self.template = Template(template, parameters=parameters)
            definitions = self.template.functions(
                {
                    "PUBLIC_URL": self.url,
                    "CARRIER_SECRETS": CARRIER_SECRETS,
                    "UPLOADS_ENDPOINT": self.files_url,
                    "ALLOW_LOCAL_WEBHOOKS": "true",
                }
            )
            self.environment = common_environment(definitions)
            self.functions = Invoker(self.clock, definitions, self.load, seed, complain)
            self.queues = Queues(self.clock, self.functions, self.template.queues(definitions), self.aws.lock, seed)
            self.scheduler = Scheduler(self.clock, self.functions, self.queues, self.aws.lock, firing)
            self._recurring = self.template.recurring(definitions) if recurring else []
            self._readers = self.template.stream_readers(definitions)
            routes = self.template.routes(definitions)
            cors = self.template.cors()
            self._definitions = definitions
        except BaseException:
            self._close_servers()
            raise
        credentials = Credentials(ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], REGION)
        self.files = Files(self.clock, self.aws.lock, credentials)
        self.api = Api(self.clock, self.aws, self.functions, self.scheduler, routes, self._down, cors, self._shown)

    def start(self) -> "LocalStack":
        """Start everything. Once this returns, `GET /health` is answered with 200."""
        try:
            if self.log_path is not None:
                self.log_path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self.log_path.open("w", buffering=1)
                OUTPUT.redirect_to(self._log)
            warnings.filterwarnings("ignore", message="No application metrics to publish")
            self._use_simulated_system()
            logging.setLogRecordFactory(self._log_record)
            self.aws.start(self.functions, self.scheduler, self.queues)
            self._set_environment()
            self._settle_telemetry()
            self._provision()
            services.reset()
            for definition in self._definitions:
                self.load(definition)
            self._carrier_server.start(self._respond_as_carrier)
            self._inbox_server.start(self.inbox.respond)
            self.files.serve(self._files_server)
            self.api.serve(self._api_server)
            self.clock.start()
            for recurring in self._recurring:
                self._run_every(recurring, self.clock.now())
            if self._first_agent:
                self.agent_id = self.create_agent()
                self.aws.counts.clear()
        except BaseException:
            self.stop()
            raise
        return self

    def load(self, function: Function) -> Handler:
        """A function's handler. Raises `TemplateError` if it does not exist."""
        try:
            module = importlib.import_module(function.module)
        except ModuleNotFoundError as error:
            raise TemplateError(f"{function.logical_id}: {error}") from error
        handler = cast(Handler, getattr(module, function.attribute))
        return _serve_alone if function.module == API_MODULE else handler

    def stop(self) -> None:
        """Stop everything, and restore the process. Idempotent."""
        self.clock.stop()
        self._close_servers()
        self.aws.stop()
        services.reset()
        system.use(
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            new_id=lambda: str(uuid.uuid4()),
            random=random.random,
            machine_time=lambda instant: instant,
            each=system.in_threads,
        )
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment = {}
        if self._log is not None:
            for handler, stream in self._logged_to:
                handler.setStream(stream or OUTPUT)
            OUTPUT.restore()
            self._log.close()
            self._log = None

    def __enter__(self) -> "LocalStack":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bind(self, name: str, port: int) -> HttpServer:
        server = HttpServer(name, port)
        self._servers.append(server)
        return server

    def _close_servers(self) -> None:
        for server in self._servers:
            server.stop()
        self._servers = []

    def _use_simulated_system(self) -> None:
        """Give the functions the simulated clock and seeded randomness: each run of a seed has the same ids."""
        chance, lock = random.Random(self.seed), threading.Lock()

        def new_id() -> str:
            with lock:
                return str(uuid.UUID(int=chance.getrandbits(128), version=4))

        def unit() -> float:
            with lock:
                return chance.random()

        system.use(
            now=self.clock.now,
            sleep=self.functions.sleep,
            new_id=new_id,
            random=unit,
            machine_time=lambda instant: datetime.now(UTC),
            each=self.functions.each,
        )

    def _log_record(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        """A record of a function's log, with simulated time."""
        record = logging.LogRecord(*arguments, **options)
        if self.functions.current() is not None:
            record.created = self.clock.now().timestamp()
        return record

    def _set_environment(self) -> None:
        wanted = {**self.environment, "POWERTOOLS_TRACE_DISABLED": "true"}
        self._environment = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)

    def _settle_telemetry(self) -> None:
        """Set telemetry's settings. It reads them when it is imported, possibly before they were set."""
        from redial.runtime import telemetry

        telemetry.metrics.namespace = self.environment["POWERTOOLS_METRICS_NAMESPACE"]
        telemetry.metrics.service = self.environment["POWERTOOLS_SERVICE_NAME"]
        if self._log is not None:
            self._logged_to = [
                (handler, handler.setStream(OUTPUT))
                for handler in telemetry.logger.handlers
                if isinstance(handler, logging.StreamHandler)
            ]

    def _provision(self) -> None:
        """Create the template's resources and the first account."""
        dynamodb = self.aws.client("dynamodb")
        for table in self.template.tables():
            dynamodb.create_table(**table.definition)
            if table.ttl_attribute is not None:
                dynamodb.update_time_to_live(
                    TableName=table.definition["TableName"],
                    TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
                )
                self._expire_every(EXPIRY_INTERVAL, table.definition["TableName"], table.ttl_attribute)
        for reader in self._readers:
            stream = Stream(self.clock, self.functions, reader.mapping, self.seed, self._stream_duplicates)
            stream.follow(reader.table)
            self.streams.append(stream)
        scheduler = self.aws.client("scheduler")
        for group in self.template.schedule_groups():
            scheduler.create_schedule_group(Name=group)
        for bucket in self.template.buckets():
            self.aws.client("s3").create_bucket(Bucket=bucket)
        secrets = self.aws.client("secretsmanager")
        for name in CARRIERS:
            secret = self.carrier_secret(name)
            secrets.create_secret(Name=secret["SecretId"], SecretString=secret["SecretString"])
        keys.ensure_account(
            account_id=ACCOUNT,
            name="Local account",
            webhook_secret=self.webhook_secret,
            api_key=self.api_key,
            accounts=DynamoAccounts(dynamodb, self.environment["TABLE_NAME"]),
            now=system.now(),
        )

    def carrier_secret(self, name: str) -> dict[str, str]:
        """A carrier's secret as parameters of Secrets Manager: its id and its text."""
        rate = self.carrier.calls.calls_per_second or 0
        secrets: dict[str, dict[str, Any]] = {
            "twilio": {**self.carrier.secret, "api_url": self.carrier_url, "calls_per_second": rate},
            "http": {
                "signing_secret": self.platform.signing_secret,
                "api_url": self.platform.url,
                "calls_per_second": 0,
            },
        }
        secret = secrets[name]
        return {"SecretId": f"{CARRIER_SECRETS}/{name}", "SecretString": json.dumps(secret)}

    def _respond_as_carrier(self, request: Request) -> Response | None:
        """Answer for both emulated carriers, which share an address: the platform under its own path, else Twilio."""
        if request.path.startswith(f"{PLATFORM_PATH}/"):
            return self.platform.respond(request)
        return self.carrier.respond(request)

    def create_agent(self, **config: Any) -> str:
        """Create an agent with the API, by default with events to the inbox. Returns its id.

        Raises `RuntimeError` with the API's response if the API refuses it.
        """
        wanted = {
            "agent_name": "First agent",
            "webhook_url": f"{self.inbox_url}/{INBOX_NAME}",
            "from_phone_numbers": list(NUMBERS),
            "answer_url": ANSWER_URL,
            **config,
        }
        return str(self.ask("POST", "/v2/agent", {"agent_config": wanted})["agent_id"])

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request to the API with the first key. A body other than bytes is sent as JSON.

        Returns the answer's JSON. Raises `RuntimeError` unless the status is 2xx.
        """
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json", **(headers or {})}
        answer = send(method, self.url + path, content, sent)
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.body.decode(errors='replace')}")
        return json.loads(answer.body)

    def _webhook_secrets(self) -> Sequence[str]:
        """The valid webhook secrets of the first account, read without a (slow) request."""
        with self.aws.lock:
            account = changes_of(self.environment["TABLE_NAME"]).images.get((f"A#{ACCOUNT}", "ACCOUNT"))
            return () if account is None else [secret["S"] for secret in account.plain["webhook_secrets"]["L"]]

    def _nothing_overdue(self) -> bool:
        """Whether no item is due for the sweeper, so that its run can be skipped (unless hooks watch requests).

        The run would query every shard of the index and change nothing: 16 requests for each simulated minute, most of
        the time that it takes to move the clock by hours.
        """
        now = self.clock.now().timestamp() * 1000
        with self.aws.lock:
            lowest = changes_of(self.environment["TABLE_NAME"]).lowest("due")
        return lowest is None or lowest > now

    def _expire_every(self, interval: timedelta, table_name: str, attribute: str) -> None:
        """Remove the table's expired items at every interval."""

        def run() -> None:
            self._expire_every(interval, table_name, attribute)
            with self.aws.lock:
                expire(table_name, attribute, self.clock.now())

        self.clock.after(interval.total_seconds(), run, f"expiry of {table_name}")

    def _run_every(self, recurring: Recurring, after: datetime) -> None:
        """Run a function at every whole multiple of its interval."""
        seconds = recurring.seconds
        due = datetime.fromtimestamp((int(after.timestamp()) // seconds + 1) * seconds, UTC)
        arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/default/{recurring.function.name}-{recurring.name}"

        def run() -> None:
            self._run_every(recurring, max(due, self.clock.now()))
            if recurring.function.module == SWEEPER and not self.aws.hooks and self._nothing_overdue():
                return
            event = recurring.event if recurring.event is not None else scheduled_event(arn, due)
            self.functions.invoke_later(recurring.function.alias_arn, event)

        self.clock.at(due, run, f"every {seconds} s: {recurring.function.name}")

    def _shown(self, text: str) -> str:
        """`text`, the documentation, with the first agent and the inbox in its examples."""
        text = text.replace(EXAMPLE_WEBHOOK_URL, f"{self.inbox_url}/{INBOX_NAME}")
        return text.replace(EXAMPLE_AGENT_ID, self.agent_id or EXAMPLE_AGENT_ID)

    def _down(self) -> list[str]:
        """The names of the other servers that are not up."""
        return [
            server.name
            for server in (self._carrier_server, self._inbox_server, self._files_server)
            if not server.serving
        ]


def webhook_secret_of(text: str) -> str:
    """A webhook secret derived from a text."""
    return "whsec_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
