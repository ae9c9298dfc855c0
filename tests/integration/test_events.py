"""Each payload in events/ has the effect that its name states, through the real handler on the local stack.

The same payloads run under `sam local invoke`: docs/sam-local.md.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from local.carriers.twilio import Carrier
from local.clock import Timeline
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.domain.batch import contact_id
from tests.support import sample_events
from tests.support.local_stack import NOON, LocalClient, local_stack
from tests.support.sample_events import BATCH, RETRY, RINGING, UNDELIVERED, WAITING, SampleEvent

INBOX = "samples"
Check = Callable[[LocalClient, Any], None]


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack(first_agent=False, recurring=False) as client:
        yield client


def _put_records(client: LocalClient, event: SampleEvent) -> None:
    dynamodb, table = client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"]
    # The sweeper only processes items that have been overdue for a while.
    now = NOON - timedelta(minutes=10) if event.function == "sweep" else NOON
    sample_events.put_records(dynamodb, table, now, f"{client.stack.inbox_url}/{INBOX}")


def _placed(execution_id: str, attempt: int) -> Check:
    def check(client: LocalClient, _: Any) -> None:
        execution = client.execution(execution_id)
        assert (execution["status"], len(execution["attempts"])) == ("initiated", attempt)
        assert len(client.calls()) == 1
        assert client.calls()[0]["sid"] == execution["telephony_data"]["provider_call_id"]

    return check


def _answers(status: int, wanted: Callable[[LocalClient, str], bool] = lambda client, body: True) -> Check:
    def check(client: LocalClient, answer: Any) -> None:
        assert answer["statusCode"] == status, answer
        assert wanted(client, answer["body"]), answer

    return check


def _status(execution_id: str) -> Callable[[LocalClient], str]:
    return lambda client: str(client.execution(execution_id)["status"])


def _swept(client: LocalClient, _: Any) -> None:
    """Overdue calls are dialled."""
    client.advance(0)
    assert [_status(one)(client) for one in (WAITING, RETRY)] == ["initiated", "initiated"]


def _delivered(client: LocalClient, _: Any) -> None:
    tries = client.inbox(INBOX, UNDELIVERED)
    assert [(one["body"]["status"], one["verified"]) for one in tries] == [("queued", True)]


def _batch_started(client: LocalClient, _: Any) -> None:
    """The batch starts, and its contact is called."""
    client.advance(0)
    assert client.execution(contact_id(BATCH, 1))["status"] == "initiated"
    assert client.api("GET", f"/batches/{BATCH}").json["status"] == "running"


def _counted(client: LocalClient, state: Any) -> None:
    assert state == {"state": {}}
    counts = DynamoBatches(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    assert counts.counted_up_to(BATCH, "shardId-00000001541626099285-f35f62ef") == "1100000000017454423009".zfill(40)


CHECKS: dict[str, Check] = {
    "api.create-batch": _answers(201, lambda client, body: json.loads(body)["state"] == "created"),
    "batch.carry-on": _batch_started,
    "tally.new-contact": _counted,
    "api.create-call": _answers(200, lambda client, body: json.loads(body)["status"] == "queued"),
    "api.get-execution": _answers(200, lambda client, body: json.loads(body)["id"] == RINGING),
    "api.stop-call": _answers(200, lambda client, body: _status(RETRY)(client) == "stopped"),
    "api.bad-json": _answers(400, lambda client, body: json.loads(body)["error"] == 400),
    "api.unauthorized": _answers(401),
    "carrier_callback.ringing": _answers(204, lambda client, body: _status(RINGING)(client) == "ringing"),
    "carrier_callback.no-answer": _answers(204, lambda client, body: _status(RINGING)(client) == "scheduled"),
    "carrier_callback.amd": _answers(
        204, lambda client, body: client.execution(RINGING)["attempts"][0]["voicemail"] is True
    ),
    "carrier_callback.forged": _answers(403, lambda client, body: _status(RINGING)(client) == "initiated"),
    "dial.first": _placed(WAITING, 1),
    "dial.retry": _placed(RETRY, 2),
    "dial.older-schedule": _placed(RETRY, 2),
    "deliver.redelivery": _delivered,
    "deliver.older-schedule": _delivered,
    "sweep.every-minute": _swept,
}


@pytest.mark.parametrize("event", sample_events.sample_events(), ids=str)
def test_a_sample_event_does_what_its_name_says(event: SampleEvent, client: LocalClient) -> None:
    _put_records(client, event)
    function = f"redial-local-{event.function.replace('_', '-')}"
    result = client.stack.functions.invoke(function, event.payload)
    CHECKS[str(event)](client, result)
    client.assert_sound()


CALLBACKS = [event for event in sample_events.sample_events() if event.function == "carrier_callback"]


def test_the_samples_are_from_the_emulated_carriers_account() -> None:
    assert Carrier(Timeline(NOON), seed=0).secret == sample_events.TWILIO_SECRET


@pytest.mark.parametrize("event", CALLBACKS, ids=str)
def test_twilios_validator_accepts_the_signatures(event: SampleEvent) -> None:
    payload = event.payload
    url = f"https://{payload['requestContext']['domainName']}{payload['rawPath']}"
    form = dict(parse_qsl(b64decode(payload["body"]).decode(), keep_blank_values=True))
    validator = RequestValidator(sample_events.TWILIO_SECRET["auth_token"])
    valid = validator.validate(url, form, payload["headers"]["x-twilio-signature"])
    assert valid is (event.case != "forged")
