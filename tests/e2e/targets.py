"""Targets of the story in test_story.py: an AWS account with Twilio, or an emulated AWS with an emulated carrier.

The story is the same for both. A target provides the stack, the number to call, the webhook, and the carrier's own list
of calls.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import urllib3

from local.carriers.twilio import Carrier
from local.clock import Timeline
from local.web.inbox import Delivery, Inbox
from local.web.server import HttpServer
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.domain.agent import Account
from redial.runtime import keys, system
from redial.usecases import accounts as use
from tests.support import stack as stacks
from tests.support.ministack import MiniStack, ministack, ministack_version, python_version
from tests.support.stack import Stack

ACCOUNT_ID = "e2e"
"""The account that the story creates in the stack's table."""
SECRET_NAME = "redial-e2e/twilio"
REQUEST_SECONDS = 60


class Refused(Exception):
    """The run must not begin; the message names what is missing."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def request(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request, without retries; a body is sent as JSON."""
    answer = urllib3.request(
        method,
        url,
        body=None if body is None else json.dumps(body),
        headers={"Content-Type": "application/json", **(headers or {})},
        retries=False,
        timeout=REQUEST_SECONDS,
    )
    return Answer(answer.status, answer.data.decode())


class Target(ABC):
    """A stack, the carrier behind it, and a customer. `prepare` comes first after a deployment."""

    stack: Stack
    secret_name: str
    carrier_url: str
    from_number: str
    answer_url: str
    webhook_url: str
    people: bool = False
    """Whether real telephones ring: then a person decides the outcomes, which takes time."""
    found_there: bool = False
    """Whether the stack existed before; if so, it is neither changed nor deleted."""

    def __init__(self) -> None:
        self.api_key = system.new_api_key()
        self.account: Account | None = None
        self._outputs: dict[str, str] = {}

    @property
    @abstractmethod
    def about(self) -> str:
        """A readable description of the target."""

    @abstractmethod
    def make_dist(self, folder: Path) -> Path:
        """Make a release for the target in the folder, and return the folder of its files."""

    def deploy(self, made: Path, **parameters: str) -> None:
        self.stack.deploy(
            made, CarrierSecrets=self.secret_name.removesuffix("/twilio"), LogRetentionDays="7", **parameters
        )

    @abstractmethod
    def number(self, *outcomes: str) -> str:
        """A number to call; its calls have these outcomes in turn."""

    @abstractmethod
    def received(self, execution_id: str) -> list[Delivery] | None:
        """The webhooks received for the execution; None if only the stack's log shows them."""

    def prepare(self) -> None:
        """Create an account and a key, as an operator would."""
        if self.account is None:
            self.account = keys.ensure_account(
                account_id=ACCOUNT_ID,
                name="end-to-end check",
                webhook_secret=keys.new_webhook_secret(),
                api_key=self.api_key,
                accounts=self._accounts(),
                now=datetime.now(UTC),
            )

    def close(self) -> None:
        """Revoke the key."""
        if self.account is not None:
            key_id = use.hash_of(self.api_key)[:12]
            use.revoke_key(ACCOUNT_ID, key_id, accounts=self._accounts(), now=datetime.now(UTC))

    def _accounts(self) -> DynamoAccounts:
        return DynamoAccounts(self.stack.client("dynamodb"), self.table_name)

    def output(self, name: str) -> str:
        """An output of the stack, cached from the first deployment and available after the stack is deleted."""
        if name not in self._outputs:
            self._outputs = self.stack.outputs()
        return self._outputs[name]

    @property
    def table_name(self) -> str:
        return self.output("TableName")

    @property
    def api_url(self) -> str:
        return self.output("ApiUrl")

    def api(self, method: str, path: str, body: Any = None) -> Answer:
        return request(method, self.api_url + path, body, {"Authorization": f"Bearer {self.api_key}"})

    def carriers_calls(self, to: str) -> set[str]:
        """The sids of the newest calls to that number in the carrier's own list, by Twilio's REST API."""
        secret = json.loads(
            self.stack.client("secretsmanager").get_secret_value(SecretId=self.secret_name)["SecretString"]
        )
        sid = secret["account_sid"]
        login = (secret.get("api_key_sid", sid), secret.get("api_key_secret", secret["auth_token"]))
        query = urlencode({"To": to, "From": self.from_number})
        answer = request(
            "GET",
            f"{self.carrier_url}/2010-04-01/Accounts/{sid}/Calls.json?{query}",
            headers=urllib3.make_headers(basic_auth=":".join(login)),
        )
        assert answer.status == 200, answer
        return {call["sid"] for call in answer.json["calls"]}


# ---- an AWS account -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AwsSettings:
    """Environment variables required by a run in a real AWS account."""

    stack: str
    secret_name: str
    to_number: str
    from_number: str
    webhook_url: str
    answer_url: str

    VARIABLES = {  # noqa: RUF012  a constant
        "REDIAL_E2E_STACK": "the stack's name: made, updated and deleted; one that is there is only used",
        "REDIAL_E2E_SECRET": "the Secrets Manager secret <prefix>/twilio (not of test credentials)",
        "REDIAL_E2E_TO": "the telephone that rings, E.164",
        "REDIAL_E2E_FROM": "a number of your Twilio account, E.164",
        "REDIAL_E2E_WEBHOOK_URL": "an https address on the Internet that answers POST with 200",
    }
    YES = ("REDIAL_E2E_YES", "ring-and-pay")
    ANSWER_URL = "https://demo.twilio.com/docs/voice.xml"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "AwsSettings":
        """Read the variables. Raises `Refused` if one is missing; the confirmation is checked first."""
        name, yes = cls.YES
        if environment.get(name) != yes:
            raise Refused(f"This rings a telephone and costs money at AWS and Twilio. Set {name}={yes} if you want it.")
        missing = [f"{key}: {meaning}" for key, meaning in cls.VARIABLES.items() if not environment.get(key)]
        if missing:
            raise Refused("Not set:\n  " + "\n  ".join(missing))
        stack, secret, to, from_, webhook = (environment[key] for key in cls.VARIABLES)
        return cls(stack, secret, to, from_, webhook, environment.get("REDIAL_E2E_ANSWER_URL") or cls.ANSWER_URL)


class AwsTarget(Target):
    """The account of the current credentials, and Twilio. The person at the telephone must not answer first calls."""

    carrier_url = "https://api.twilio.com"
    people = True

    def __init__(self, settings: AwsSettings) -> None:
        super().__init__()
        session = boto3.Session()
        if session.region_name is None:
            raise Refused("No region: set AWS_DEFAULT_REGION, or one in your profile.")
        self.stack = Stack(settings.stack, session)
        self.secret_name = settings.secret_name
        self.from_number = settings.from_number
        self.answer_url = settings.answer_url
        self.webhook_url = settings.webhook_url
        self._to_number = settings.to_number
        self.found_there = self.stack.exists()

    @property
    def about(self) -> str:
        account = str(self.stack.client("sts").get_caller_identity()["Account"])
        where = f"AWS account …{account[-4:]}, {self.stack.region}"
        return f"stack {self.stack.name} in {where}; Twilio calls …{self._to_number[-2:]}"

    def make_dist(self, folder: Path) -> Path:
        return stacks.make_dist(folder, python="3.13", processor="arm64")

    def number(self, *outcomes: str) -> str:
        return self._to_number

    def received(self, execution_id: str) -> None:
        return None


# ---- an emulated one ----------------------------------------------------------------------------------------------


class EmulatedTarget(Target):
    """MiniStack for AWS, local/'s carrier and inbox for Twilio and the customer's webhook."""

    secret_name = SECRET_NAME
    from_number = "+14155550100"
    answer_url = "https://voice.example.com/answer"

    def __init__(self, aws: MiniStack, carrier_url: str, inbox: Inbox, inbox_url: str) -> None:
        super().__init__()
        self.stack = self._aws = aws
        self.carrier_url = carrier_url
        self.webhook_url = f"{inbox_url}/e2e"
        self._inbox = inbox
        self._numbers = 0
        self._api_url = ""

    @property
    def about(self) -> str:
        return f"stack {self.stack.name} in MiniStack {ministack_version()}; an emulated carrier and webhook inbox"

    def make_dist(self, folder: Path) -> Path:
        return stacks.make_dist(folder, python_version())

    def deploy(self, made: Path, **parameters: str) -> None:
        super().deploy(made, **parameters)
        self._aws.allow_schedules()
        self._api_url = self._aws.add_routes()
        self._aws.set_environment(PUBLIC_URL=self._api_url, ALLOW_LOCAL_WEBHOOKS="true")

    @property
    def api_url(self) -> str:
        return self._api_url

    def number(self, *outcomes: str) -> str:
        number = f"+1415555020{self._numbers}"
        self._numbers += 1
        script = {"to": number, "outcomes": outcomes}
        assert request("POST", f"{self.carrier_url}/_carrier/scripts", script).status == 200
        return number

    def received(self, execution_id: str) -> list[Delivery]:
        return [one for one in self._inbox.received("e2e") if one.body["id"] == execution_id]


@contextmanager
def emulated(folder: Path) -> Iterator[EmulatedTarget]:
    """The running emulators, without a deployment."""
    timeline = Timeline(datetime.now(UTC))
    target: EmulatedTarget | None = None

    def secrets() -> tuple[str, ...]:
        return tuple(target.account.webhook_secrets) if target and target.account else ()

    carrier, inbox = Carrier(timeline, seed=0), Inbox(timeline, secrets)
    carrier_server, inbox_server = HttpServer("carrier", 0), HttpServer("inbox", 0)
    carrier_server.start(carrier.respond)
    inbox_server.start(inbox.respond)
    timeline.start()
    try:
        with ministack(folder) as aws:
            secret = json.dumps({**carrier.secret, "api_url": carrier_server.url})
            aws.client("secretsmanager").create_secret(Name=SECRET_NAME, SecretString=secret)
            target = EmulatedTarget(aws, carrier_server.url, inbox, inbox_server.url)
            yield target
    finally:
        timeline.stop()
        carrier_server.stop()
        inbox_server.stop()


@contextmanager
def from_environment(folder: Path) -> Iterator[Target]:
    """The target of REDIAL_E2E_TARGET: `aws`, or (by default) the emulated one, with its log in the folder.

    Raises `Refused`.
    """
    name = os.environ.get("REDIAL_E2E_TARGET", "emulated")
    if name == "aws":
        yield AwsTarget(AwsSettings.from_environment(os.environ))
    elif name == "emulated":
        with emulated(folder) as target:
            yield target
    else:
        raise Refused(f"REDIAL_E2E_TARGET is {name}, and may be aws or emulated")
