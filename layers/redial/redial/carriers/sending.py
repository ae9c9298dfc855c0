"""Sending one request to a carrier: how long it may take, and what a missing answer to a dial means."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from redial.carriers.credentials import Credentials, CredentialsUnavailable
from redial.domain.outcome import NotPlaced, Unknown
from redial.wire.http import HttpResponse, NoAnswer, NotSent

CONNECT_TIMEOUT_SECONDS = 5.0
PLACE_TIMEOUT_SECONDS = 15.0
"""For one request to place a call, from look-up to answer. Giving up earlier would only make more dials unknown."""
ASK_TIMEOUT_SECONDS = 10.0
"""For one question."""
SHORT_TIMEOUT_SECONDS = 4.0
"""For one question that a person waits for."""

T = TypeVar("T")


class Paced(Protocol):
    """Credentials of an account that starts a limited number of calls a second."""

    @property
    def calls_per_second(self) -> float | None: ...


P = TypeVar("P", bound=Paced)


def rate_of(credentials: Credentials[P]) -> float | None:
    """What the secret says of the account's rate; None: nothing, or the secret cannot be read, as a dial then finds."""
    try:
        return credentials.get().calls_per_second
    except CredentialsUnavailable:
        return None


def send_dial(
    credentials: Credentials[T], send: Callable[[T], HttpResponse], carrier: str
) -> tuple[T, HttpResponse] | NotPlaced | Unknown:
    """Send a request to place a call, once: the credentials that it went out with, and the answer.

    `NotPlaced` only where nothing left this process; `Unknown` where no answer came to what may have left it. `carrier`
    is what messages call it.
    """
    try:
        current = credentials.get()
        return current, send(current)
    except CredentialsUnavailable as error:
        return NotPlaced(str(error), outage=True)
    except NotSent as error:
        return NotPlaced(f"{carrier} was not reached: {error}", outage=True)
    except NoAnswer as error:
        return Unknown(f"no answer from {carrier}: {error}")
