"""Everything on one machine, put together: what `python -m local` runs and what tests start and stop.

client ──HTTP──► api ─────────┐                       ┌── timeline: one thing at a time, by a movable clock
carrier ─callback─► api ──────┼─► functions ─► aws ───┼── lambda_functions: asynchronous invokes
timeline ─────────────────────┘       │    (moto)     ├── scheduler: one-shot schedules, the template's recurring ones
                                      │               └── streams: what was written to a table, to who reads its stream
                                      ├─HTTP─► carrier
                                      └─HTTP─► inbox
client ──HTTP──► files ───────────────────► aws: objects, by pre-signed addresses
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
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from local import ROOT
from local.aws.dynamodb import changes_of
from local.aws.files import Credentials, Files
from local.aws.functions import ACCOUNT_ID, OUTPUT, REGION, Function, FunctionFailed, Handler, Invocation, Invoker
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
from redial.carriers import CARRIERS
from redial.runtime import keys, services, system

DEFAULT_API_KEY = "local-dev-key"
ACCOUNT = "local"
"""The id of the first account."""
INBOX_NAME = "demo"
"""The name at the inbox that the first agent's events go to."""
ANSWER_URL = "https://demo.twilio.com/docs/voice.xml"
"""Call instructions that Twilio itself keeps for trying things out; the emulated carrier fetches nothing from there."""
CARRIER_SECRETS = "redial"
"""The prefix of the carriers' secrets."""
PLATFORM_PATH = "/http"
"""Where the platform that speaks the signed HTTP contract is, at the carriers' address."""
SWEEPER = "functions.sweep.handler"
API_MODULE = "functions.api.handler"
API_PACKAGE = "redial.api"
_APIS: list[Handler] = []
"""Environments of the api function, which this process keeps, since each costs a cold start."""
_BUSY_APIS: list[Handler] = []
_apis_lock = threading.Lock()


def _in_its_own_environment(event: Any, context: Any) -> Any:
    """The api function's handler. As in Lambda, an environment serves one request at a time: the resolver keeps the
    request that it serves in itself."""
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
    """The api function's handler; where it is loaded already, once more and in modules of its own."""
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
    """The whole system. One at a time in a process, since moto and the environment are the process's own.

    Port 0 takes a free one. `speed`: simulated seconds for each second of the wall clock; at 0 nothing happens but in
    `clock.advance`. `start_at`: the first simulated instant (None: the present). `seed` decides ids, jitter, the
    carrier's sids and its unscripted mix. `firing`: how punctually schedules fire. `recurring=False`: without what the
    template wants run every so often (the sweeper). `first_agent=False` starts with an account and a key only.
    `stream_duplicates`: how many in one of a table stream's batches come again although the function took them.
    `log`: where the functions' own log goes (None: standard output). `tell` hears of every webhook that arrives,
    `complain` of every function that fails. Raises `PortTaken` and `TemplateError`.
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
        firing: Firing = punctual,
        recurring: bool = True,
        first_agent: bool = True,
        stream_duplicates: float = STREAM_DUPLICATES,
        template: Path = ROOT / "template.yaml",
        log: Path | None = None,
        tell: Callable[[Delivery], None] = lambda delivery: None,
        complain: Callable[[Invocation, FunctionFailed], None] = lambda invocation, failure: None,
    ) -> None:
        self.api_key = api_key
        self.agent_id = ""
        self.seed = seed
        self._first_agent = first_agent
        self._stream_duplicates = stream_duplicates
        self.streams: list[Stream] = []
        self._log_path = log
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
        self.platform = Platform(
            self.clock, f"{self.carrier_url}{PLATFORM_PATH}", self.carrier.calls.next_outcome, seed
        )
        self.inbox = Inbox(self.clock, self._webhook_secrets, tell)
        self.aws = Aws()
        try:
            self.template = Template(template)
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
            self.scheduler = Scheduler(self.clock, self.functions, self.aws.lock, firing)
            self._recurring = self.template.recurring(definitions) if recurring else []
            self._readers = self.template.stream_readers(definitions)
            routes = self.template.routes(definitions)
            self._definitions = definitions
        except BaseException:
            self._close_servers()
            raise
        credentials = Credentials(ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], REGION)
        self.files = Files(self.clock, self.aws.lock, credentials)
        self.api = Api(self.clock, self.aws, self.functions, self.scheduler, routes, self._down)

    def start(self) -> "LocalStack":
        """Bring it all up. When this returns, `GET /health` answers 200."""
        try:
            if self._log_path is not None:
                self._log_path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self._log_path.open("w", buffering=1)
                OUTPUT.lead_to(self._log)
            warnings.filterwarnings("ignore", message="No application metrics to publish")
            self._use_simulated_world()
            logging.setLogRecordFactory(self._log_record)
            self.aws.start(self.functions, self.scheduler)
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
        """The handler that the template names. Raises `TemplateError` where there is none."""
        try:
            module = importlib.import_module(function.module)
        except ModuleNotFoundError as error:
            raise TemplateError(f"{function.logical_id}: {error}") from error
        handler = cast(Handler, getattr(module, function.attribute))
        return _in_its_own_environment if function.module == API_MODULE else handler

    def stop(self) -> None:
        """Take it all down, and leave the process as it was. Doing it again changes nothing."""
        self.clock.stop()
        self._close_servers()
        self.aws.stop()
        services.reset()
        system.use(
            now=lambda: datetime.now(UTC), sleep=time.sleep, new_id=lambda: str(uuid.uuid4()), random=random.random
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
            OUTPUT.end()
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

    def _use_simulated_world(self) -> None:
        """Give the functions this clock and repeatable chance: each run of a seed makes the same ids."""
        chance, lock = random.Random(self.seed), threading.Lock()

        def new_id() -> str:
            with lock:
                return str(uuid.UUID(int=chance.getrandbits(128), version=4))

        def unit() -> float:
            with lock:
                return chance.random()

        system.use(now=self.clock.now, sleep=self.functions.sleep, new_id=new_id, random=unit)

    def _log_record(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        """A line of a function's log, at its simulated time."""
        record = logging.LogRecord(*arguments, **options)
        if self.functions.current() is not None:
            record.created = self.clock.now().timestamp()
        return record

    def _set_environment(self) -> None:
        wanted = {**self.environment, "POWERTOOLS_TRACE_DISABLED": "true"}
        self._environment = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)

    def _settle_telemetry(self) -> None:
        """Give telemetry its settings, which it reads when it is first imported: maybe before there were any."""
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
        """What a deployment of the template creates, and the first account."""
        dynamodb = self.aws.client("dynamodb")
        for table in self.template.tables():
            dynamodb.create_table(**table.definition)
            if table.ttl_attribute is not None:
                dynamodb.update_time_to_live(
                    TableName=table.definition["TableName"],
                    TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
                )
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
            webhook_secret=webhook_secret_of(f"{self.seed}"),
            api_key=self.api_key,
            accounts=DynamoAccounts(dynamodb, self.environment["TABLE_NAME"]),
            now=system.now(),
        )

    def carrier_secret(self, name: str) -> dict[str, str]:
        """A carrier's secret: its id and its text, as Secrets Manager takes them."""
        secret = {
            "twilio": {**self.carrier.secret, "api_url": self.carrier_url},
            "http": {"signing_secret": self.platform.signing_secret, "api_url": self.platform.url},
        }[name]
        return {"SecretId": f"{CARRIER_SECRETS}/{name}", "SecretString": json.dumps(secret)}

    def _respond_as_carrier(self, request: Request) -> Response | None:
        """Both emulated carriers are at one address: Twilio, and the platform under a path of its own."""
        if request.path.startswith(f"{PLATFORM_PATH}/"):
            return self.platform.respond(request)
        return self.carrier.respond(request)

    def create_agent(self, **config: Any) -> str:
        """Make an agent through the API, by default one whose events go to the inbox; returns its id.

        Raises `RuntimeError` with the API's answer where it makes none.
        """
        wanted = {
            "agent_name": "First agent",
            "webhook_url": f"{self.inbox_url}/{INBOX_NAME}",
            "from_phone_numbers": list(NUMBERS),
            "answer_url": ANSWER_URL,
            **config,
        }
        return str(self.ask("POST", "/v2/agent", {"agent_config": wanted})["agent_id"])

    def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """A request to the API with the first key, as a customer sends it. Raises `RuntimeError` unless it is 2xx."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        answer = send(method, self.url + path, json.dumps(body).encode(), headers)
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.body.decode(errors='replace')}")
        return json.loads(answer.body)

    def _webhook_secrets(self) -> Sequence[str]:
        """The live secrets of the first account, read where moto keeps them.

        A request to moto for each webhook would take longer than everything else that is done with it.
        """
        with self.aws.lock:
            account = changes_of(self.environment["TABLE_NAME"]).images.get((f"A#{ACCOUNT}", "ACCOUNT"))
            return () if account is None else [secret["S"] for secret in account.plain["webhook_secrets"]["L"]]

    def _nothing_overdue(self) -> bool:
        """Whether nothing in the table is due for the sweeper, which is then left out (unless hooks watch requests).

        It would look at every shard of the index, find nothing and change nothing: 16 requests for each simulated
        minute, which is most of the time that moving the clock by hours would take.
        """
        now = self.clock.now().timestamp() * 1000
        with self.aws.lock:
            lowest = changes_of(self.environment["TABLE_NAME"]).lowest("due")
        return lowest is None or lowest > now

    def _run_every(self, recurring: Recurring, after: datetime) -> None:
        """Have a function run at the next whole multiple of its interval, and so on."""
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

    def _down(self) -> list[str]:
        """The servers beside the API that do not serve."""
        return [
            server.name
            for server in (self._carrier_server, self._inbox_server, self._files_server)
            if not server.serving
        ]


def webhook_secret_of(text: str) -> str:
    """A webhook secret that is always the same for the same text."""
    return "whsec_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
