"""Traces are annotated with the execution: one UDP datagram to X-Ray's daemon, if the trace is sampled."""

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
import pytest

from redial.adapters.invoker import AwsInvoker
from redial.runtime.tracing import annotate

ROOT, PARENT = "1-65f1a2b3-0123456789abcdef01234567", "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{receiver.getsockname()[1]}")
        yield receiver


def received(daemon: socket.socket) -> Any:
    header, _, document = daemon.recv(65536).partition(b"\n")
    assert json.loads(header) == {"format": "json", "version": 1}
    return json.loads(document)


def test_a_sampled_trace_is_annotated_with_its_execution(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    annotate(execution_id="f728b4fa-4248-4e3a-8a5d-2f346baa9455", attempt=2)
    document = received(daemon)
    assert document["annotations"] == {"execution_id": "f728b4fa-4248-4e3a-8a5d-2f346baa9455", "attempt": 2}
    assert (document["trace_id"], document["parent_id"], document["type"]) == (ROOT, PARENT, "subsegment")
    assert re.fullmatch(r"[0-9a-f]{16}", document["id"])
    assert document["start_time"] <= document["end_time"]
    assert re.fullmatch(r"[\w .:/%&#=+\\\-@]{1,200}", document["name"])


@pytest.mark.parametrize("trace", [None, "", f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT}", "nonsense"])
def test_an_unsampled_trace_is_not_annotated(
    trace: str | None, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    if trace is not None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    annotate(execution_id="x")
    daemon.settimeout(0.05)
    with pytest.raises(TimeoutError):
        daemon.recv(1)


def test_an_unreachable_daemon_fails_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "256.0.0.1:2000")
    annotate(execution_id="x")
    assert "could not annotate the trace" in caplog.text


def test_a_message_propagates_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "redial-api")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    client = boto3.client("sqs", "eu-west-1", aws_access_key_id="A", aws_secret_access_key="S")
    sent: list[Any] = []

    def take(request: Any, **_: Any) -> Any:
        sent.append(request)
        return mock.Mock(status_code=200)

    client.meta.events.register("before-send.sqs.SendMessage", take)
    answer = {"status_code": 200, "headers": {}, "body": b"{}"}
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/redial-dial"
    with mock.patch("botocore.endpoint.convert_to_response_dict", return_value=answer):
        AwsInvoker(lambda: client, mock.Mock(), lambda: datetime.now(UTC), dial_queue=queue).dial("x", 1)
    (request,) = sent
    assert request.headers["X-Amzn-Trace-Id"].decode().startswith(f"Root={ROOT};Parent={PARENT};Sampled=1")
