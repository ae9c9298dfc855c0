"""What came of an attempt: the carrier's answer to a dial, and its later reports about the call."""

from dataclasses import dataclass

from redial.domain.status import FINAL, Status


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    `status` is a final status. `permanent`: dialling again can never succeed (the number does not exist, is
    blocked). `voicemail`: a machine answered (None: nobody looked). `reason` and `code` are the carrier's:
    words for people, and its SIP or error code. `duration_seconds` counts the conversation, `ring_seconds` the ringing.
    `hangup_by`: "callee", "caller" or "carrier" where it is known.
    """

    status: Status
    permanent: bool = False
    voicemail: bool | None = None
    reason: str | None = None
    code: str | None = None
    duration_seconds: int | None = None
    ring_seconds: int | None = None
    hangup_by: str | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"{self.status} does not end an attempt")


@dataclass(frozen=True)
class CallReport:
    """What the carrier says of one call, by callback or when asked.

    `status` is live (initiated, ringing, in-progress, call-disconnected), or final and then `outcome` says the rest.
    `voicemail`: what machine detection found so far (None: nothing yet), also while the call is live.
    """

    call_id: str
    status: Status
    outcome: Outcome | None = None
    voicemail: bool | None = None

    def __post_init__(self) -> None:
        if (self.status in FINAL) != (self.outcome is not None):
            raise ValueError("an outcome belongs to a final status, and only to one")


# The carrier's answer to one request to place a call: exactly one of the four below, or Unknown.


@dataclass(frozen=True)
class Accepted:
    """The carrier took the call and named it."""

    call_id: str


@dataclass(frozen=True)
class Refused:
    """The carrier refused this very call, and the attempt is over: `outcome.for_good` says whether to bother again."""

    outcome: Outcome


@dataclass(frozen=True)
class NotPlaced:
    """Nothing was placed, and the attempt may be repeated as if it had not been made.

    The carrier throttles, was not reached, or refuses the whole account. `retry_after_seconds` is the carrier's own
    wish (None: it gave none). `outage`: it would have placed no call at all (not reached, account suspended, wrong
    credentials).
    """

    reason: str
    retry_after_seconds: float | None = None
    outage: bool = False


@dataclass(frozen=True)
class Unknown:
    """The request went out and no usable answer came back (timeout, reset, 5xx): the phone may be ringing."""

    reason: str


DialResult = Accepted | Refused | NotPlaced | Unknown
