"""Scripted calls, for every emulated carrier: the outcome of each request to place a call, and a call's course.

A course is data: steps, each some seconds after the call was placed.
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal

Outcome = str
"""One of `OUTCOMES`, or `refused-<code>`: the carrier refuses the request with this error code."""
OUTCOMES: tuple[Outcome, ...] = (
    "completed", "no-answer", "busy", "failed", "canceled", "voicemail", "invalid-number", "refused-429", "error-500",
    "timeout-after-placing", "no-callback", "duplicate-callbacks", "late-callbacks", "late-detection",
)  # fmt: skip
"""The named outcomes of requests to place a call."""
MACHINES: tuple[Outcome, ...] = ("voicemail", "late-detection")
"""Outcomes in which a machine answers. `late-detection`: the call is over before machine detection reports."""
UNSCRIPTED: dict[Outcome, int] = {"completed": 50, "no-answer": 22, "busy": 12, "voicemail": 10, "failed": 6}
"""Outcomes of requests to numbers without a script, in percent."""
_REFUSED = re.compile(r"refused-([1-9][0-9]{4,5})", re.ASCII)

Status = Literal["initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]
ENDED: tuple[Status, ...] = ("completed", "busy", "failed", "no-answer", "canceled")

DIALLED_SECONDS = 0.5
RINGING_SECONDS = 2.0
PICKED_UP_AFTER_SECONDS = 8.0
VOICEMAIL_PICKS_UP_AFTER_SECONDS = 20.0
TALK_SECONDS = 60.0
VOICEMAIL_SECONDS = 15.0
BUSY_AFTER_SECONDS = 3.0
FAILED_AFTER_SECONDS = 2.0
CANCELED_AFTER_SECONDS = 6.0
DETECTION_SECONDS = 3.5
SHORT_VOICEMAIL_SECONDS = 2.0


def refusal(outcome: Outcome) -> int | None:
    """The error code of `refused-<code>`; None for other outcomes."""
    match = _REFUSED.fullmatch(outcome)
    return int(match[1]) if match is not None else None


def is_outcome(text: object) -> bool:
    """Whether this is an outcome that can be scripted."""
    return isinstance(text, str) and (text in OUTCOMES or refusal(text) is not None)


@dataclass(frozen=True)
class Step:
    """What happens `seconds` after a call was placed: it changes to `status`, or, if None, machine detection
    reports."""

    seconds: float
    status: Status | None


def course(
    outcome: Outcome, *, ring_seconds: float, limit_seconds: float = float("inf"), detects: bool = False
) -> list[Step]:
    """The steps of a placed call, in order.

    The call rings for at most `ring_seconds`, and is cut off after `limit_seconds` of conversation. `detects`: machine
    detection reports during the conversation or, for `late-detection`, after it.
    """
    dialled = Step(DIALLED_SECONDS, "initiated")
    ringing = Step(RINGING_SECONDS, "ringing")
    if outcome == "busy":
        return [dialled, Step(BUSY_AFTER_SECONDS, "busy")]
    if outcome == "failed":
        return [dialled, Step(FAILED_AFTER_SECONDS, "failed")]
    if outcome == "canceled":
        return [dialled, ringing, Step(CANCELED_AFTER_SECONDS, "canceled")]
    given_up = RINGING_SECONDS + ring_seconds
    machine = outcome in MACHINES
    picked_up = RINGING_SECONDS + (VOICEMAIL_PICKS_UP_AFTER_SECONDS if machine else PICKED_UP_AFTER_SECONDS)
    if outcome == "no-answer" or picked_up >= given_up:
        return [dialled, ringing, Step(given_up, "no-answer")]
    steps = [dialled, ringing, Step(picked_up, "in-progress")]
    if outcome == "late-detection":
        over = Step(picked_up + min(SHORT_VOICEMAIL_SECONDS, limit_seconds), "completed")
        return [*steps, over, Step(picked_up + DETECTION_SECONDS, None)] if detects else [*steps, over]
    talk = min(VOICEMAIL_SECONDS if machine else TALK_SECONDS, limit_seconds)
    if detects and talk > DETECTION_SECONDS:
        steps.append(Step(picked_up + DETECTION_SECONDS, None))
    return [*steps, Step(picked_up + talk, "completed")]


class Scripts:
    """The outcomes of requests to place calls, by number. `seed` determines those without a script. Thread-safe."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._outcomes: dict[str, list[Outcome]] = {}
        self._requests: dict[str, int] = {}

    def set(self, to: str, outcomes: Iterable[Outcome]) -> None:
        """Script the outcomes of the next requests to call `to`; the last repeats."""
        with self._lock:
            self._outcomes[to] = list(outcomes)
            self._requests[to] = 0

    def next(self, to: str) -> Outcome:
        """The outcome of this request to call `to`."""
        with self._lock:
            number = self._requests[to] = self._requests.get(to, 0) + 1
            script = self._outcomes.get(to)
        if script:
            return script[min(number, len(script)) - 1]
        return Random(f"{self._seed} {to} {number}").choices(list(UNSCRIPTED), list(UNSCRIPTED.values()))[0]

    def left(self) -> dict[str, list[Outcome]]:
        """The outcomes of the next requests to each scripted number; the last repeats."""
        with self._lock:
            return {to: script[min(self._requests[to], len(script) - 1) :] for to, script in self._outcomes.items()}
