"""The meaning of Twilio's responses, statuses and error codes. Sources: see this package."""

import re

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
from redial.domain.values import dataclass
from redial.wire.http import HttpResponse, json_object, retry_after_seconds

CALL_ID = re.compile(r"[A-Za-z0-9]{2,64}")


@dataclass(frozen=True)
class Meaning:
    """What an error code means for an attempt. `status` None: no call was placed, and the same request may be sent
    later. `number`: a permanent failure because the number itself is invalid; `opted_out`: the called party wants no
    more calls.

    `scope`: a fault of the account that a person must fix, and that refuses all calls within this scope; no call was
    placed. `is_proof`: see `Fault`; if it is false, `status` applies if the fault concerns only the number. For faults,
    `permanent` with `status` None only counts in reports, about calls that were placed and failed with the code.
    """

    status: Status | None
    words: str
    permanent: bool = False
    number: bool = False
    opted_out: bool = False
    scope: Scope | None = None
    is_proof: bool = True


_FAILED, _ERROR = Status.FAILED, Status.ERROR
_ACCOUNT, _CALLER_ID, _COUNTRY = Scope.ACCOUNT, Scope.CALLER_ID, Scope.COUNTRY
# If the called number is at fault: failed, permanently. If the call's parameters are at fault: error, which may be
# retried, because they may be corrected in the meantime; by default, retry configurations leave errors out. If the
# caller id, the country or the account is at fault: the call waits. The comments are titles in [E].
CODES = {
    # the called number
    13223: Meaning(
        _FAILED, "the number is not in E.164 format", permanent=True, number=True
    ),  # Dial: Invalid phone number format
    13224: Meaning(_FAILED, "the number is invalid or cannot be reached"),  # also when a network is out, says [E]
    13225: Meaning(_FAILED, "calling this number is forbidden", permanent=True),  # Dial: Forbidden phone number
    13226: Meaning(_FAILED, "the country code is unknown", permanent=True, number=True),  # Dial: Invalid country code
    21202: Meaning(_FAILED, "the number is a premium number", permanent=True),  # 'To' number is a premium number
    21211: Meaning(
        _FAILED, "the number is not a phone number", permanent=True, number=True
    ),  # Invalid 'To' Phone Number
    21214: Meaning(
        _FAILED, "the number cannot be reached", permanent=True, number=True
    ),  # 'To' phone number cannot be reached
    21217: Meaning(
        _FAILED, "the number does not appear to be valid", permanent=True, number=True
    ),  # does not appear to be valid
    21610: Meaning(
        _FAILED, "the recipient has opted out", permanent=True, opted_out=True
    ),  # Attempt to send to unsubscribed recipient
    # the country. Permissions are granted by country, and within it by kinds of numbers. 21216 has three causes in [E]:
    # the number is blocked because of fraud; its country is blocked; the account has no profile, which +1 requires.
    13227: Meaning(
        None, "the account may not call this country", permanent=True, scope=_COUNTRY, is_proof=False
    ),  # Dial: No International Authorization
    21203: Meaning(
        None, "the account may not call abroad", permanent=True, scope=_COUNTRY
    ),  # International calling not enabled
    21215: Meaning(
        None, "the account may not call this region", permanent=True, scope=_COUNTRY, is_proof=False
    ),  # Account not authorized to call
    21216: Meaning(
        _FAILED,
        "Twilio blocks the number, or the account has no Primary Customer Profile",
        permanent=True,
        scope=_COUNTRY,
        is_proof=False,
    ),  # API: Call blocked by Twilio
    # the caller id
    21210: Meaning(None, "the from number is not one of the account's", scope=_CALLER_ID),  # 'From' not verified
    21212: Meaning(None, "the from number is not a phone number", scope=_CALLER_ID),  # Invalid 'From' Phone Number
    21213: Meaning(_ERROR, "the from number is missing"),  # 'From' phone number is required
    21606: Meaning(None, "the from number cannot be used for this", scope=_CALLER_ID),  # 'From' … not a valid … number
    # the call's parameters
    21205: Meaning(_ERROR, "Twilio does not accept the answer URL"),  # Invalid URL
    21208: Meaning(_ERROR, "Twilio does not accept the ring timeout"),  # Invalid Timeout
    21609: Meaning(_ERROR, "Twilio does not accept the callback URL"),  # Invalid 'StatusCallback'
    # a trial account: only calls to its verified numbers are placed
    21219: Meaning(
        None, "a trial account may call verified numbers only", permanent=True, scope=_ACCOUNT, is_proof=False
    ),  # 'To' not verified
    573002: Meaning(
        None, "the from number is not the trial number for this recipient", scope=_ACCOUNT, is_proof=False
    ),  # 'From' isn't assigned
    573005: Meaning(
        None, "a trial account may call verified numbers only", permanent=True, scope=_ACCOUNT, is_proof=False
    ),  # not completed verification
    # the account: no call would be placed
    10001: Meaning(None, "the Twilio account is not active: check its balance and status", scope=_ACCOUNT),
    10005: Meaning(None, "voice calling is disabled for the Twilio account", scope=_ACCOUNT),
    20003: Meaning(None, "Twilio refused the credentials: check the Twilio secret", scope=_ACCOUNT),
    20005: Meaning(None, "the Twilio account is not active: check its balance and status", scope=_ACCOUNT),
    20006: Meaning(None, "the Twilio credentials may not place calls: check the Twilio secret", scope=_ACCOUNT),
    20008: Meaning(None, "these are Twilio's test credentials: check the Twilio secret", scope=_ACCOUNT),
    20403: Meaning(None, "the Twilio account is suspended or closed", scope=_ACCOUNT),
    20404: Meaning(None, "Twilio does not know the account: check the Twilio secret", scope=_ACCOUNT),
    # later: refused before anything was placed
    10004: Meaning(
        None, "the Twilio account has reached its limit of calls at once"
    ),  # Call concurrency limit exceeded
    20429: Meaning(None, "Twilio throttles the account's requests"),  # Too many requests: never processed, says [E]
    22005: Meaning(None, "Twilio's queue holds a day of calls already"),  # Call Queue Full: rejected, says [E]
}
HTTP_CODES = {401: 20003, 403: 20003, 404: 20404, 429: 20429}
"""The code that an HTTP status implies if the response contains no known code."""

UNDECIDED = "unknown"
"""`AnsweredBy` if machine detection cannot decide."""
_CALL_STATUSES = {
    "queued": Status.INITIATED,
    "initiated": Status.INITIATED,
    "ringing": Status.RINGING,
    "in-progress": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "busy": Status.BUSY,
    "no-answer": Status.NO_ANSWER,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
}
_ENDINGS = {
    Status.COMPLETED: "the call was answered and has ended",
    Status.BUSY: "the line was busy",
    Status.NO_ANSWER: "nobody answered",
    Status.FAILED: "the call could not be connected",
    Status.CANCELED: "the call was canceled before it was answered",
}


def placed(answer: HttpResponse) -> DialResult:
    """The result of POST …/Calls.json."""
    body = json_object(answer.body)
    if 200 <= answer.status < 300:
        sid = body.get("sid")
        if isinstance(sid, str) and CALL_ID.fullmatch(sid):
            return Accepted(sid, _queue_seconds(body.get("queue_time")))
        return Unknown(f"Twilio answered {answer.status} without naming a call")
    if not 400 <= answer.status < 500 or answer.status == 408:  # 408: the request may have arrived anyway
        return Unknown(f"Twilio answered {answer.status}")
    code = body.get("code")
    if not isinstance(code, int):
        code = HTTP_CODES.get(answer.status, answer.status)
    meaning = CODES.get(code) or CODES.get(HTTP_CODES.get(answer.status, 0))
    if meaning is None:
        said = str(body.get("message") or "").strip()[:200]
        meaning = Meaning(_FAILED, said or f"Twilio refused the call with HTTP {answer.status}")
    wait = retry_after_seconds(answer.headers)
    if meaning.scope is None and meaning.status is None:
        return NotPlaced(meaning.words, wait)
    outcome = _outcome(meaning, code)
    if meaning.scope is None:
        assert outcome is not None, "it has a status"
        return Refused(outcome)
    is_outage = meaning.scope is Scope.ACCOUNT and meaning.is_proof
    return NotPlaced(meaning.words, wait, is_outage, Fault(meaning.scope, str(code), meaning.is_proof, outcome))


def _outcome(meaning: Meaning, code: int) -> Outcome | None:
    """How the attempt ends if the code concerns only this call; None if the attempt does not end."""
    if meaning.status is None:
        return None
    at_fault = meaning.number if meaning.permanent else None
    return Outcome(
        meaning.status,
        permanent=meaning.permanent,
        reason=meaning.words,
        code=str(code),
        invalid_number=at_fault,
        opted_out=meaning.opted_out,
    )


def _queue_seconds(queue_time: object) -> float:
    """Seconds that Twilio will keep an accepted call in its queue, from `queue_time` (milliseconds as text [O])."""
    text = str(queue_time)
    return int(text) / 1000 if re.fullmatch(r"[0-9]{1,9}", text) else 0.0


def report(
    call_id: str,
    word: str,
    answered_by: str | None,
    duration: str | None,
    sip_code: str | None = None,
    error_code: str | None = None,
    price: Price | None = None,
) -> CallReport:
    """Build a call's report from Twilio's fields. Raises `ValueError` for a malformed call id or an unknown status."""
    if not CALL_ID.fullmatch(call_id):
        raise ValueError("no call id")
    status = _CALL_STATUSES.get(word)
    if status is None:
        raise ValueError("unknown call status")
    voicemail, undecided = voicemail_of(answered_by), answered_by == UNDECIDED
    if status not in FINAL:
        return CallReport(call_id, status, voicemail=voicemail, undecided=undecided)
    sip_status, error = _number(sip_code), _number(error_code)
    reason, permanent, number = _ENDINGS[status], False, False
    meaning = CODES.get(error) if error is not None else None
    if status is Status.FAILED:
        if sip_status in sip.WORDS:
            reason, permanent = sip.WORDS[sip_status], sip_status in sip.PERMANENT
            number = sip_status in sip.INVALID_NUMBER
        elif meaning is not None:
            reason, permanent, number = meaning.words, meaning.permanent, meaning.number
    elif status in (Status.BUSY, Status.NO_ANSWER) and sip_status in sip.REFUSED:
        reason = sip.WORDS[sip_status]
    outcome = Outcome(
        status,
        permanent=permanent,
        voicemail=voicemail,
        reason=reason,
        code=None if sip_status is None and error is None else str(error if sip_status is None else sip_status),
        duration_seconds=_number(duration) if status is Status.COMPLETED else None,
        hangup_by="caller" if status is Status.CANCELED else None,
        invalid_number=number if permanent else None,
        opted_out=meaning is not None and meaning.opted_out,
        price=price,
    )
    return CallReport(call_id, status, outcome, voicemail, undecided)


def voicemail_of(answered_by: str | None) -> bool | None:
    """True for machine_start, machine_end_* and machine (in the REST record); False for human and fax; None for unknown
    or a missing value."""
    if answered_by in ("human", "fax"):
        return False
    return True if answered_by is not None and answered_by.startswith("machine") else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
