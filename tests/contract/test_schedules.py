"""Timers and credentials on moto, which stores what AWS stores."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from redial.adapters.eventbridge_scheduler import SchedulerTimers
from redial.carriers.credentials import CredentialsUnavailable
from redial.carriers.secrets import CarrierSecrets
from redial.carriers.twilio.credentials import TwilioCredentials, credentials_of

REGION = "us-east-1"
EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
NOW = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


def test_setting_and_cancelling_a_timer_are_idempotent() -> None:
    client = boto3.client("scheduler", region_name=REGION)
    client.create_schedule_group(Name="redial")
    timers = SchedulerTimers(
        client,
        group="redial",
        role_arn="arn:aws:iam::123456789012:role/redial-scheduler",
        dead_letter_arn="arn:aws:sqs:us-east-1:123456789012:redial-schedules-dead",
        deliver_queue="arn:aws:sqs:us-east-1:123456789012:redial-deliver",
        dial_queue="arn:aws:sqs:us-east-1:123456789012:redial-dial",
    )
    at = NOW + timedelta(minutes=30)
    for _ in range(2):
        timers.schedule_dial(EXECUTION, 2, 7, at, NOW)
        timers.schedule_delivery(EXECUTION, 41, at, NOW)
    names = {schedule["Name"] for schedule in client.list_schedules(GroupName="redial")["Schedules"]}
    assert names == {f"{EXECUTION}.dial.7", f"{EXECUTION}.deliver.41"}
    stored = client.get_schedule(GroupName="redial", Name=f"{EXECUTION}.dial.7")
    assert stored["ScheduleExpression"] == "at(2026-01-26T10:30:00)"
    assert json.loads(stored["Target"]["Input"]) == {"execution_id": EXECUTION, "attempt": 2}
    for _ in range(2):
        timers.cancel_dial(EXECUTION, 7)
    names = {schedule["Name"] for schedule in client.list_schedules(GroupName="redial")["Schedules"]}
    assert names == {f"{EXECUTION}.deliver.41"}


def test_credentials_come_from_the_secret() -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    store = credentials_of(CarrierSecrets(lambda: client, "redial"))
    with pytest.raises(CredentialsUnavailable, match="ResourceNotFoundException"):
        store.get()
    account = "AC" + "0" * 32
    client.create_secret(Name="redial/twilio", SecretString=json.dumps({"account_sid": account, "auth_token": "a"}))
    assert store.get() == TwilioCredentials(account, "a")
    client.put_secret_value(
        SecretId="redial/twilio", SecretString=json.dumps({"account_sid": account, "auth_token": "b"})
    )
    assert store.refresh(store.get())
    assert store.get() == TwilioCredentials(account, "b")
