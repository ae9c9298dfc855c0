"""Results of an attempt: the carrier's answer to a dial, and its later reports on the call."""

import re
from decimal import Decimal
from enum import StrEnum

from redial.domain.status import FINAL, Status
from redial.domain.values import dataclass

DECLINED = "603"
"""SIP code of a call that the called party declined: at most one retry."""
UNWANTED = "607"
"""SIP code of a call that the called party does not want, now or later (RFC 8197)."""
BLOCKED = "608"
"""SIP code of a call that the network blocked as unwanted (RFC 8688): no retry from the same caller id."""


MICROS = 1_000_000
_DEAREST = 10**6
"""A price above this is invalid."""
_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class Price:
    """What a carrier charges for a call, in millionths of the currency (ISO 4217), 0 or more."""

    micros: int
    currency: str

    @property
    def amount(self) -> float:
        return self.micros / MICROS

    def __str__(self) -> str:
        return f"{self.micros} {self.currency}"

    @staticmethod
    def parse(text: str) -> "Price":
        """The inverse of `str`."""
        micros, currency = text.split(" ")
        return Price(int(micros), currency)

    @staticmethod
    def read(amount: object, currency: object) -> "Price | None":
        """Parse a carrier's price: a number or its text, of either sign, and three letters. None if it is invalid."""
        if not isinstance(amount, str | int | float) or isinstance(amount, bool) or not isinstance(currency, str):
            return None
        try:
            value = abs(Decimal(str(amount)))
            is_possible = value <= _DEAREST and _CURRENCY.fullmatch(currency.upper()) is not None
        except ArithmeticError:  # not a number, NaN, or out of range
            return None
        return Price(round(value * MICROS), currency.upper()) if is_possible else None


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    `status`: a final one. `permanent`: dialling again can never succeed (the number does not exist or is blocked).
    `voicemail`: a machine answered (None: no detection). `reason`, `code`: the carrier's text, and its SIP or error
    code. `duration_seconds`: length of the conversation; `ring_seconds`: of the ringing.
    `hangup_by`: "callee", "caller" (our side) or "carrier"; None if unknown. `invalid_number`: for a permanent failure,
    whether the number itself is at fault. `opted_out`: the called party wants no more calls, according to the carrier.
    `price`: what the call costs (None: the carrier has not reported it).
    Raises ValueError unless `status` is final.
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
    opted_out: bool = False
    price: Price | None = None

    def __post_init__(self) -> None:
        if self.status not in FINAL:
            raise ValueError(f"{self.status} does not end an attempt")


@dataclass(frozen=True)
class CallReport:
    """The carrier's report on one call, by callback or on request.

    `status` is live (initiated, ringing, in-progress) or final; if it is final, `outcome` is set. `voicemail`: the
    result of machine detection, which may come during the call or after it (None: no result yet, or, if `undecided`, no
    result at all). Raises ValueError for a final status without an outcome, or the reverse.
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
    according to the carrier."""

    call_id: str
    queue_seconds: float = 0.0


@dataclass(frozen=True)
class Refused:
    """The carrier refused this call, so the attempt is over. `outcome.permanent`: no retry can succeed."""

    outcome: Outcome


class Scope(StrEnum):
    """Which calls a fault affects: all of the carrier account, those from one caller id, those to one country, or those
    of one agent, whose endpoint does not answer."""

    ACCOUNT = "account"
    CALLER_ID = "caller_id"
    COUNTRY = "country"
    AGENT = "agent"


@dataclass(frozen=True)
class Fault:
    """A fault that only a person can fix. Until then the carrier places no call within `scope`.

    `code`: the carrier's error code. `is_proof`: one such refusal proves that all calls within the scope are refused;
    otherwise it may concern the called number alone, and only refusals of several numbers prove it. `otherwise`: how
    the attempt ends if the fault concerns the called number alone (None: it always concerns the account).
    """

    scope: Scope
    code: str
    is_proof: bool = True
    otherwise: Outcome | None = None


@dataclass(frozen=True)
class NotPlaced:
    """No call was placed, so the attempt may safely be repeated.

    The carrier throttled, was unreachable, or refused for a reason that is the account's. `retry_after_seconds`: the
    wait that the carrier asked for (None: it named none). `outage`: the cause affects every call (unreachable, account
    suspended, wrong credentials). `fault`: what a person must fix, if the carrier names it.
    """

    reason: str
    retry_after_seconds: float | None = None
    outage: bool = False
    fault: Fault | None = None

    @property
    def may_keep_line(self) -> bool:
        """Whether the attempt may keep its line while it waits: the cause affects every call, or the wait is short. A
        call that waits for its caller id or its country must leave the line to calls that can be placed."""
        return self.fault is None or (self.fault.scope is Scope.ACCOUNT and self.fault.is_proof)


@dataclass(frozen=True)
class Unknown:
    """The request was sent but no usable answer came back (timeout, reset, 5xx): the phone may be ringing."""

    reason: str


DialResult = Accepted | Refused | NotPlaced | Unknown
