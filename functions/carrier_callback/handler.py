"""What carriers report about calls, and ask while placing them. The signature is verified before anything is parsed.

    POST /callbacks/{carrier}/{execution_id}/{attempt}[/{kind}]

A report is answered 204, a question with the instructions. What is not the carrier's is 403, what makes no sense 400,
and a path that is no callback's 404. An error of ours is 500, and the carrier sends the request again.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.carriers.callback import read_callback
from redial.ports import CallbackReader, ForgedCallback, UnreadableCallback
from redial.runtime import system, telemetry, wiring
from redial.usecases.dial_attempt import fill_in
from redial.usecases.record_report import record_report

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    services = wiring.carrier_callback()
    try:
        callback = read_callback(event, services.settings.public_url)
        if callback is None:
            return _answer(404, "no such callback")
        telemetry.about(execution_id=callback.execution_id, attempt=callback.attempt)
        reader = services.reader_of(callback.carrier)
        reader.verify(callback, system.now())
        report = reader.read(callback)
    except ForgedCallback as error:
        return _reject(403, str(error))
    except UnreadableCallback as error:
        return _reject(400, str(error))
    if report is None:
        return _instructions(services, reader, callback.execution_id)
    changed = record_report(
        callback.execution_id,
        callback.attempt,
        report,
        executions=services.executions,
        agents=services.agents,
        batches=services.batches,
        lines=services.lines,
        timers=services.timers,
        invoker=services.invoker,
        now=system.now(),
        lease_id=system.new_id()[:8],
    )
    if changed is None:
        logger.warning("callback for an execution that does not exist")
        return _answer(204)
    before, after = changed
    telemetry.changed(before, after)
    logger.info("callback", extra={"reported": str(report.status), "status": str(after.state.status)})
    return _answer(204)


def _instructions(
    services: wiring.CarrierCallbackServices, reader: CallbackReader, execution_id: str
) -> dict[str, Any]:
    execution = services.executions.get(execution_id)
    agent = None if execution is None else services.agents.get(execution.account_id, execution.agent_id)
    if execution is None or agent is None or agent.stream_url is None:
        logger.error("nothing to connect the call to: the agent has no stream_url")
        return _answer(404, "this call has no media stream")
    instructions = reader.instructions(fill_in(agent.stream_url, execution))
    return {"statusCode": 200, "headers": {"content-type": instructions.content_type}, "body": instructions.body}


def _reject(status: int, message: str) -> dict[str, Any]:
    telemetry.callback_rejected()
    logger.warning("callback rejected: %s", message)
    return _answer(status, message)


def _answer(status: int, message: str = "") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": message}
