"""The parts of `make deploy-check-aws` that need no AWS account: its refusals, and its target on an emulated AWS."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import urllib3

from local.carriers.twilio import Carrier
from local.clock import Timeline
from local.web.server import HttpServer
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.domain.errors import Unauthorized
from redial.usecases import accounts as use
from tests.e2e.conftest import SECRET_ID
from tests.e2e.targets import AwsSettings, AwsTarget, Refused
from tests.support.ministack import CREDENTIALS, STACK, MiniStack

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("default")]

TO, FROM = "+14155550177", "+14155550100"
VARIABLES = {
    "REDIAL_E2E_YES": "ring-and-pay",
    "REDIAL_E2E_STACK": STACK,
    "REDIAL_E2E_SECRET": SECRET_ID,
    "REDIAL_E2E_TO": TO,
    "REDIAL_E2E_FROM": FROM,
    "REDIAL_E2E_WEBHOOK_URL": "https://hooks.example.com/redial",
}


def test_it_refuses_without_a_confirmation() -> None:
    for yes in (None, "", "yes", "1"):
        variables = {name: value for name, value in VARIABLES.items() if name != "REDIAL_E2E_YES"}
        if yes is not None:
            variables["REDIAL_E2E_YES"] = yes
        with pytest.raises(Refused, match="costs money"):
            AwsSettings.from_environment(variables)


@pytest.mark.parametrize("missing", [name for name in VARIABLES if name != "REDIAL_E2E_YES"])
def test_it_refuses_without_a_required_variable(missing: str) -> None:
    with pytest.raises(Refused, match=missing):
        AwsSettings.from_environment(VARIABLES | {missing: ""})


def test_settings_come_from_the_variables() -> None:
    settings = AwsSettings.from_environment(VARIABLES)
    assert (settings.stack, settings.secret_name, settings.to_number) == (STACK, SECRET_ID, TO)
    assert (settings.from_number, settings.webhook_url) == (FROM, "https://hooks.example.com/redial")
    assert settings.answer_url == "https://demo.twilio.com/docs/voice.xml"


def test_it_refuses_without_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(Refused, match="No region"):
        AwsTarget(AwsSettings.from_environment(VARIABLES))


@pytest.fixture
def target(aws: MiniStack, monkeypatch: pytest.MonkeyPatch) -> AwsTarget:
    """The target of `make deploy-check-aws`, directed to the emulated AWS by boto3's variables."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": aws.endpoint}.items():
        monkeypatch.setenv(name, value)
    return AwsTarget(AwsSettings.from_environment(VARIABLES))


def test_its_description_contains_no_phone_numbers(target: AwsTarget) -> None:
    assert target.about == f"stack {STACK} in AWS account …0000, us-east-1; Twilio calls …77"


def test_an_existing_stack_is_found(target: AwsTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    assert target.found_there
    assert target.table_name == target.stack.outputs()["TableName"]
    monkeypatch.setitem(VARIABLES, "REDIAL_E2E_STACK", "redial-none")
    assert not AwsTarget(AwsSettings.from_environment(VARIABLES)).found_there


def test_its_key_is_valid_until_the_end(target: AwsTarget) -> None:
    accounts = DynamoAccounts(target.stack.client("dynamodb"), target.table_name)
    bearer = f"Bearer {target.api_key}"
    target.prepare()
    assert use.authenticate(bearer, accounts=accounts).account_id == "e2e"
    target.close()
    with pytest.raises(Unauthorized):
        use.authenticate(bearer, accounts=accounts)


def test_it_counts_the_carriers_calls(target: AwsTarget) -> None:
    timeline = Timeline(datetime.now(UTC))
    carrier, server = Carrier(timeline, seed=0), HttpServer("carrier", 0)
    server.start(carrier.respond)
    try:
        target.carrier_url = server.url
        assert target.carriers_calls(TO) == set()
        placed = urllib3.request(
            "POST",
            f"{server.url}/2010-04-01/Accounts/{carrier.account_sid}/Calls.json",
            body=urlencode({"To": TO, "From": FROM, "Url": "https://voice.example.com/answer"}),
            headers={
                **urllib3.make_headers(basic_auth=f"{carrier.account_sid}:{carrier.auth_token}"),
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        assert placed.status == 201, placed.data
        assert target.carriers_calls(TO) == {placed.json()["sid"]}
        assert target.carriers_calls("+14155550178") == set()
    finally:
        server.stop()
