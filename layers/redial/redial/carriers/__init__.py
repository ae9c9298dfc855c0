"""Carriers, one package each. A carrier consists of its package, its name in `CARRIERS`, and a secret.

    <name>/__init__.py      LIMITS: what the carrier allows, and what its responses prove
    <name>/credentials.py   the content of its secret
    <name>/codes.py         the meaning of its statuses and error codes
    <name>/rest.py          carrier(): places calls, and looks them up
    <name>/callbacks.py     reader(): verifies and reads its callbacks

Outside a carrier's package, only `CARRIERS` contains its name. A package is loaded when its carrier is needed.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from redial.domain.carrier_url import fill_in
from redial.ports import CallbackReader, Carrier, CarrierLimits

if TYPE_CHECKING:
    from redial.adapters.http import Http
    from redial.carriers.credentials import Secrets

CARRIERS = ("twilio", "http")
"""The values of an agent's `telephony_provider`."""
_LONGEST_ID = "0" * 36
"""Fills in a placeholder before an id is known: ids of agents and executions are UUIDs."""


def limits(name: str) -> CarrierLimits:
    """What the carrier allows. Like all functions here, raises `KeyError` for a name that is not in `CARRIERS`."""
    return cast(CarrierLimits, _module(name).LIMITS)


def check_stream_url(stream_url: str, carriers: Iterable[str] = CARRIERS) -> None:
    """Raises `ValueError`, naming the carrier, for a stream's URL that one of `carriers` does not accept. The URL may
    contain placeholders."""
    filled = fill_in(stream_url, agent_id=_LONGEST_ID, execution_id=_LONGEST_ID)
    for name in carriers:
        try:
            limits(name).check_stream_url(filled)
        except ValueError as error:
            raise ValueError(f"{error} ({name})") from error


def outbound(name: str, http: "Http", secrets: "Secrets", now: Callable[[], datetime]) -> Carrier:
    """The carrier's API."""
    return cast(Carrier, _module(name, ".rest").carrier(http, secrets, now))


def inbound(name: str, secrets: "Secrets") -> CallbackReader:
    """The reader of the carrier's callbacks. Loads no HTTP client."""
    return cast(CallbackReader, _module(name, ".callbacks").reader(secrets))


def _module(name: str, part: str = "") -> Any:
    if name not in CARRIERS:
        raise KeyError(f"there is no carrier {name}")
    return import_module(f"{__name__}.{name}{part}")
