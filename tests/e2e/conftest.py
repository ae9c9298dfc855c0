"""The stack of the template, built and deployed once for all tests but the story, which has its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import sample_events
from tests.support.ministack import MiniStack, ministack, python_version
from tests.support.stack import build

SECRET_ID = "redial-dev/twilio"
"""As samconfig.toml has it."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    build(folder, python_version())
    return folder


@pytest.fixture(scope="session")
def aws(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with ministack(tmp_path_factory.mktemp("ministack")) as aws:
        # Nothing is there: no request leaves this machine.
        secret = json.dumps(sample_events.TWILIO_SECRET | {"api_url": "http://127.0.0.1:1"})
        aws.client("secretsmanager").create_secret(Name=SECRET_ID, SecretString=secret)
        aws.deploy(built)
        aws.allow_schedules()
        yield aws
