"""Asynchronous invocations: their payloads, and the logging of lost ones."""

import json
import logging
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from redial.adapters.lambda_invoker import MOST_HOPS, LambdaInvoker

EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
DIAL = "arn:aws:lambda:us-east-1:123456789012:function:redial-dial:live"
DELIVER = "arn:aws:lambda:us-east-1:123456789012:function:redial-deliver:live"


@pytest.fixture
def invoking() -> Iterator[tuple[LambdaInvoker, Stubber]]:
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield LambdaInvoker(client, deliver_function=DELIVER, dial_function=DIAL), stubber
        stubber.assert_no_pending_responses()


def request(function: str, event: dict[str, object]) -> dict[str, object]:
    return {"FunctionName": function, "InvocationType": "Event", "Payload": json.dumps(event).encode()}


def test_functions_are_invoked_without_waiting(invoking: tuple[LambdaInvoker, Stubber]) -> None:
    functions, stubber = invoking
    accepted = {"StatusCode": 202}
    stubber.add_response("invoke", accepted, request(DIAL, {"execution_id": EXECUTION, "attempt": 2}))
    stubber.add_response("invoke", accepted, request(DELIVER, {"execution_id": EXECUTION, "lease": "l-1"}))
    stubber.add_response("invoke", accepted, request(DELIVER, {"execution_id": EXECUTION}))
    functions.dial(EXECUTION, 2)
    functions.deliver(EXECUTION, "l-1")
    functions.deliver(EXECUTION, None)


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ResourceNotFoundException", "AccessDeniedException"])
def test_a_rejected_invocation_is_logged_and_left_to_the_sweeper(
    invoking: tuple[LambdaInvoker, Stubber], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    functions, stubber = invoking
    stubber.add_client_error("invoke", code)
    with caplog.at_level(logging.WARNING):
        functions.dial(EXECUTION, 2)
    (record,) = caplog.records
    assert record.message == f"could not invoke dial ({code}): left to the sweeper"
    assert record.__dict__["execution_id"] == EXECUTION


def test_an_unsent_invocation_is_logged_and_left_to_the_sweeper(caplog: pytest.LogCaptureFixture) -> None:
    class Unreachable:
        def invoke(self, **_: object) -> None:
            raise ConnectTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com")

    functions = LambdaInvoker(Unreachable(), deliver_function=DELIVER)  # type: ignore[arg-type]
    functions.deliver(EXECUTION, None)
    assert "could not invoke deliver (ConnectTimeoutError)" in caplog.text


def test_invoking_an_unconfigured_function_raises(invoking: tuple[LambdaInvoker, Stubber]) -> None:
    functions = LambdaInvoker(invoking[0]._client, deliver_function=DELIVER)
    with pytest.raises(ValueError, match="no dial function"):
        functions.dial(EXECUTION, 2)


def test_a_chain_of_invocations_is_counted_and_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    cut: list[str] = []
    with Stubber(client) as stubber:
        functions = LambdaInvoker(
            client, deliver_function=DELIVER, dial_function=DIAL, on_cut=lambda: cut.append("dial")
        )
        functions.hop = MOST_HOPS
        stubber.add_response(
            "invoke", {"StatusCode": 202}, request(DIAL, {"execution_id": EXECUTION, "attempt": 2, "hop": MOST_HOPS})
        )
        functions.dial(EXECUTION, 2)
        functions.hop = MOST_HOPS + 1
        with caplog.at_level(logging.ERROR):
            functions.dial(EXECUTION, 2)
        stubber.add_response("invoke", {"StatusCode": 202}, request(DELIVER, {"execution_id": EXECUTION}))
        functions.deliver(EXECUTION, None)
        stubber.assert_no_pending_responses()
    assert cut == ["dial"]
    (record,) = caplog.records
    assert record.__dict__["execution_id"] == EXECUTION
