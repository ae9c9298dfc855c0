"""The HTTP API. Event: API Gateway HTTP API, payload version 2.0; returns the answer in the same format."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.api.app import respond
from redial.runtime import telemetry


@telemetry.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return respond(event, context)
