"""Sending one request to a carrier: its timeouts, and the result of a dial without a response."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from redial.carriers.credentials import Credentials, CredentialsUnavailable
from redial.domain.outcome import NotPlaced, Unknown
from redial.wire.http import HttpResponse, NoAnswer, NotSent

CONNECT_TIMEOUT_SECONDS = 5.0
PLACE_TIMEOUT_SECONDS = 15.0
"""For one request to place a call, from look-up to response. A shorter timeout would only make more dials unknown."""
ASK_TIMEOUT_SECONDS = 10.0
"""For one other request."""
SHORT_TIMEOUT_SECONDS = 4.0
"""For one request that a person waits for."""

T = TypeVar("T")


class Paced(Protocol):
    """Credentials of a carrier account that may limit the calls started per second."""

    @property
    def calls_per_second(self) -> float | None: ...


P = TypeVar("P", bound=Paced)


def rate_of(credentials: Credentials[P]) -> float | None:
    """The account's rate according to the secret. None if it names none, or cannot be read: a dial reports that."""
    try:
        return credentials.get().calls_per_second
    except CredentialsUnavailable:
        return None


def send_dial(
    credentials: Credentials[T], send: Callable[[T], HttpResponse], carrier: str
) -> tuple[T, HttpResponse] | NotPlaced | Unknown:
    """Send a request to place a call once, and return the credentials used and the response.

    Returns `NotPlaced` only if nothing left this process, and `Unknown` if the request may have left it and got no
    response. `carrier`: its name in messages.
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
