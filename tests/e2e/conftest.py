"""A release's stack, made and deployed once for all tests except the story, which has its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import sample_events
from tests.support.ministack import MiniStack, ministack, python_version
from tests.support.stack import make_dist

SECRET_ID = "redial-dev/twilio"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dist(tmp_path_factory.mktemp("release"), python_version())


@pytest.fixture(scope="session")
def aws(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with ministack(tmp_path_factory.mktemp("ministack")) as aws:
        # Nothing listens there: no request leaves this machine.
        secret = json.dumps(sample_events.TWILIO_SECRET | {"api_url": "http://127.0.0.1:1"})
        aws.client("secretsmanager").create_secret(Name=SECRET_ID, SecretString=secret)
        aws.deploy(made, CarrierSecrets=SECRET_ID.removesuffix("/twilio"), LogLevel="DEBUG", LogRetentionDays="7")
        aws.allow_schedules()
        yield aws
