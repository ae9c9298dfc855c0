"""The HTTP API: one API Gateway HTTP API event, payload version 2.0, in; its answer out."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.api.app import respond
from redial.runtime import telemetry


@telemetry.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return respond(event, context)
