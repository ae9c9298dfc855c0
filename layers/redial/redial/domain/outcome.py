"""Results of an attempt: the carrier's answer to a dial, and its later reports of the call."""

from redial.domain.status import FINAL, Status
from redial.domain.values import dataclass

DECLINED = "603"
"""SIP code of a call that the called party declined: one retry at most."""
UNWANTED = "607"
"""SIP code of a call that the called party does not want, now or later (RFC 8197)."""
BLOCKED = "608"
"""SIP code of a call that the network blocked as unwanted (RFC 8688): no retry from the same caller id."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    `status`: a final one. `permanent`: dialling again can never succeed (the number does not exist or is blocked).
    `voicemail`: a machine answered (None: no detection). `reason`, `code`: the carrier's text, and its SIP or error
    code. `duration_seconds`: of the conversation; `ring_seconds`: of the ringing.
    `hangup_by`: "callee", "caller" (our side) or "carrier"; None if unknown. `invalid_number`: for a permanent failure,
    whether the number itself is at fault. Raises ValueError unless `status` is final.
    """

    status: Status
    permanent: bool = False
    voicemail: bool | None = None
    reason: str | None = None
    code: str | None = None
    duration_seconds: int | None = None
    ring_seconds: int | None = None
    hangup_by: str | None = None
    invalid_number: bool | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"{self.status} does not end an attempt")


@dataclass(frozen=True)
class CallReport:
    """The carrier's report of one call, by callback or on request.

    `status` is live (initiated, ringing, in-progress), or final and then `outcome` is set. `voicemail`: the result of
    machine detection, which may come during the call or after it (None: no result yet, or `undecided`: there is none).
    Raises ValueError for a final status without an outcome, or the reverse.
    """

    call_id: str
    status: Status
    outcome: Outcome | None = None
    voicemail: bool | None = None
    undecided: bool = False

    def __post_init__(self) -> None:
        if (self.status in FINAL) != (self.outcome is not None):
            raise ValueError("an outcome belongs to a final status, and only to one")


# The carrier's answer to a request to place a call: Accepted, Refused, NotPlaced or Unknown.


@dataclass(frozen=True)
class Accepted:
    """The carrier accepted the call under `call_id`. `queue_seconds`: how long it will wait in the carrier's own queue,
    as the carrier says."""

    call_id: str
    queue_seconds: float = 0.0


@dataclass(frozen=True)
class Refused:
    """The carrier refused this call, so the attempt is over; `outcome.permanent`: no retry can succeed."""

    outcome: Outcome


@dataclass(frozen=True)
class NotPlaced:
    """No call was placed, so the attempt may safely be repeated.

    The carrier throttled, was unreachable, or refuses the whole account. `retry_after_seconds`: the carrier's wish
    (None: none given). `outage`: the cause affects every call (unreachable, account suspended, wrong credentials).
    """

    reason: str
    retry_after_seconds: float | None = None
    outage: bool = False


@dataclass(frozen=True)
class Unknown:
    """The request was sent but no usable answer came back (timeout, reset, 5xx): the phone may be ringing."""

    reason: str


DialResult = Accepted | Refused | NotPlaced | Unknown
