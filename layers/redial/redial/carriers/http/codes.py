"""The meaning of the platform's responses and reports."""

import re
from collections.abc import Mapping
from typing import Any

from redial.carriers import sip
from redial.domain.outcome import (
    Accepted,
    CallReport,
    DialResult,
    Fault,
    NotPlaced,
    Outcome,
    Price,
    Refused,
    Scope,
    Unknown,
)
from redial.domain.status import FINAL, Status
from redial.wire.http import HttpResponse, json_object, retry_after_seconds

CALL_ID = re.compile(r"[!-~]{1,256}")
MAX_REASON_LENGTH = 200
MAX_SECONDS = 10**9
_STATUSES = {
    str(status): status
    for status in (
        Status.INITIATED,
        Status.RINGING,
        Status.IN_PROGRESS,
        Status.COMPLETED,
        Status.BUSY,
        Status.NO_ANSWER,
        Status.FAILED,
        Status.CANCELED,
    )
}
_VOICEMAIL = {"human": False, "machine": True}
_UNDECIDED = "unknown"
_HANGUP_BY = frozenset({"callee", "caller", "carrier"})
_OUTAGES = {
    401: "the platform refused the signature: check the http carrier's secret",
    402: "the platform asks for payment",
    403: "the platform refuses all calls of this account",
    404: "the platform has nothing at that address: check api_url of the http carrier's secret",
}


def placed(answer: HttpResponse) -> DialResult:
    """The result of POST <api_url>/calls.

    2xx with a call_id                             Accepted
    422                                            Refused
    429                                            NotPlaced
    401, 402, 403, 404                             NotPlaced, a fault of the account
    503 with X-Not-Placed                          NotPlaced, an outage
    anything else                                  Unknown
    """
    body = json_object(answer.body)
    if 200 <= answer.status < 300:
        call_id = body.get("call_id")
        if isinstance(call_id, str) and CALL_ID.fullmatch(call_id):
            return Accepted(call_id)
        return Unknown(f"the platform answered {answer.status} without a call_id")
    if answer.status == 422:
        reason = _reason(body) or "the platform refused the call"
        permanent, opted_out = body.get("permanent") is True, body.get("opted_out") is True
        outcome = Outcome(
            Status.FAILED,
            permanent=permanent or opted_out,
            reason=reason,
            code="422",
            invalid_number=not opted_out if permanent or opted_out else None,
            opted_out=opted_out,
        )
        return Refused(outcome)
    wait = retry_after_seconds(answer.headers)
    if answer.status == 429:
        return NotPlaced(_reason(body) or "the platform throttles requests", wait)
    if answer.status in _OUTAGES:
        fault = Fault(Scope.ACCOUNT, str(answer.status))
        return NotPlaced(_OUTAGES[answer.status], wait, outage=True, fault=fault)
    if answer.status == 503 and answer.headers.get("x-not-placed", "").lower() == "true":
        return NotPlaced(_reason(body) or "the platform places no calls at the moment", wait, outage=True)
    return Unknown(f"the platform answered {answer.status}")


def report(fields: Mapping[str, Any]) -> CallReport:
    """Parse a report from a callback or a response. Raises `ValueError` without a valid call_id and a known status.

    Other invalid fields count as absent, so that the end of a call is not lost because of them.
    """
    call_id, word = fields.get("call_id"), fields.get("status")
    if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
        raise ValueError("call_id must be 1 to 256 visible ASCII characters")
    status = _STATUSES.get(word) if isinstance(word, str) else None
    if status is None:
        raise ValueError(f"status must be one of {', '.join(_STATUSES)}")
    answered_by = fields.get("answered_by")
    voicemail = _VOICEMAIL.get(answered_by) if isinstance(answered_by, str) else None
    undecided = answered_by == _UNDECIDED
    if status not in FINAL:
        return CallReport(call_id, status, voicemail=voicemail, undecided=undecided)
    sip_code = _whole(fields.get("sip_code"))
    permanent = fields.get("permanent")
    if not isinstance(permanent, bool):
        permanent = sip_code in sip.PERMANENT
    reason = _reason(fields)
    if sip_code in sip.REFUSED and status in (Status.FAILED, Status.BUSY, Status.NO_ANSWER):
        reason = ": ".join(filter(None, (sip.WORDS[sip_code], reason)))
    elif sip_code is not None and status is Status.FAILED:
        reason = reason or sip.WORDS.get(sip_code)
    opted_out = fields.get("opted_out") is True
    permanent = (permanent or opted_out) and status is Status.FAILED
    by = fields.get("hangup_by")
    outcome = Outcome(
        status,
        permanent=permanent,
        voicemail=voicemail,
        reason=reason,
        code=None if sip_code is None else str(sip_code),
        duration_seconds=_whole(fields.get("duration_seconds")) if status is Status.COMPLETED else None,
        ring_seconds=_whole(fields.get("ring_seconds")),
        hangup_by=by if isinstance(by, str) and by in _HANGUP_BY else "caller" if status is Status.CANCELED else None,
        invalid_number=_is_invalid(sip_code, opted_out) if permanent else None,
        opted_out=opted_out,
        price=_price(fields.get("price")),
    )
    return CallReport(call_id, status, outcome, voicemail, undecided)


def _is_invalid(sip_code: int | None, opted_out: bool) -> bool:
    """Whether a permanent failure means that the number itself is invalid."""
    return not opted_out if sip_code is None else sip_code in sip.INVALID_NUMBER


def _reason(fields: Mapping[str, Any]) -> str | None:
    reason = fields.get("reason")
    return reason.strip()[:MAX_REASON_LENGTH] or None if isinstance(reason, str) else None


def _price(value: Any) -> Price | None:
    return Price.read(value.get("amount"), value.get("currency")) if isinstance(value, dict) else None


def _whole(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= MAX_SECONDS else None
