"""What Twilio tells about a call, and asks while placing it. The signature is verified before anything else.

    POST /callbacks/twilio/{execution_id}/{attempt}          status of the call → 204
    POST /callbacks/twilio/{execution_id}/{attempt}/amd      what machine detection found → 204
    POST /callbacks/twilio/{execution_id}/{attempt}/answer   what to do with the answered call → TwiML

A request that is not Twilio's is 403, one that makes no sense 400; a path that is none of these 404. An error of ours
is 500, and Twilio then sends it again.
"""

import re
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.adapters.carriers import twilio
from redial.domain.outcome import CallReport
from redial.domain.status import Status
from redial.runtime import telemetry
from redial.runtime.services import Services, services_of
from redial.usecases.dial_attempt import fill_in
from redial.usecases.record_report import record_report

_PATH = re.compile(r"/callbacks/twilio/(?P<execution_id>[0-9a-f-]{36})/(?P<attempt>[1-9])(?:/(?P<kind>amd|answer))?\Z")

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    services = services_of("carrier_callback")
    try:
        form = twilio.form_of(event)
        if not _is_twilio(services, event, form):
            return _reject(403, "the signature is wrong or missing")
        return _handle(services, event, form)
    except twilio.InvalidCallback as error:
        return _reject(400, str(error))


def _handle(services: Services, event: dict[str, Any], form: twilio.Form) -> dict[str, Any]:
    path = _PATH.search(event["rawPath"])
    if path is None:
        return _answer(404, "no such callback")
    execution_id, attempt = path["execution_id"], int(path["attempt"])
    telemetry.about(execution_id=execution_id, attempt=attempt)
    if path["kind"] == "answer":
        return _connect_stream(services, execution_id)
    if path["kind"] == "amd":
        call_id, voicemail = twilio.parse_amd_callback(form)
        report = CallReport(call_id, Status.IN_PROGRESS, voicemail=voicemail)
    else:
        report = twilio.parse_status_callback(form)
    changed = record_report(services, execution_id, attempt, report, services.now(), services.new_id()[:8])
    if changed is None:
        logger.warning("callback for an execution that does not exist")
        return _answer(204)
    before, after = changed
    telemetry.changed(before, after)
    logger.info("callback", extra={"reported": str(report.status), "status": str(after.state.status)})
    return _answer(204)


def _is_twilio(services: Services, event: dict[str, Any], form: twilio.Form) -> bool:
    """Whether the signature fits; with the secret read anew if it does not, for it may just have been rotated."""
    known = services.credentials.get()
    if _is_signed(services, event, form, known):
        return True
    return services.credentials.refresh(known) and _is_signed(services, event, form, services.credentials.get())


def _is_signed(services: Services, event: dict[str, Any], form: twilio.Form, known: twilio.TwilioCredentials) -> bool:
    """Whether Twilio signed this, and of our account: where a request names one, it is no other."""
    if form.get("AccountSid", [known.account_sid]) != [known.account_sid]:
        return False
    return any(
        twilio.verify(event["headers"], url, form, known.auth_token, known.shared_key)
        for url in twilio.callback_urls(event, services.public_url)
    )


def _connect_stream(services: Services, execution_id: str) -> dict[str, Any]:
    execution = services.executions.get(execution_id)
    agent = None if execution is None else services.agents.get(execution.account_id, execution.agent_id)
    if execution is None or agent is None or agent.stream_url is None:
        logger.error("nothing to connect the call to: the agent has no stream_url")
        return _answer(404, "this call has no media stream")
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/xml"},
        "body": twilio.connect_stream_twiml(fill_in(agent.stream_url, execution)),
    }


def _reject(status: int, message: str) -> dict[str, Any]:
    telemetry.callback_rejected()
    logger.warning("callback rejected: %s", message)
    return _answer(status, message)


def _answer(status: int, message: str = "") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": message}
