"""A typed client of Redial's HTTP API, and the command `redial`.

    from redial_client import Redial

    redial = Redial("https://calls.example.com", "rdl_…")
    call = redial.calls.create(agent_id="…", recipient_phone_number="+12025550123", retry_config={"enabled": True})

The names below are imported on first use, because `redial --help` needs neither the client nor requests.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redial_client.client import Redial
    from redial_client.errors import (
        AgentUnclear,
        ApiError,
        Conflict,
        Forbidden,
        InvalidInput,
        KeyRejected,
        NotFound,
        RedialError,
        ServerError,
        TooManyRequests,
        Unreachable,
    )
    from redial_client.webhooks import verify

__version__ = "0.2.0"
__all__ = [
    "AgentUnclear",
    "ApiError",
    "Conflict",
    "Forbidden",
    "InvalidInput",
    "KeyRejected",
    "NotFound",
    "Redial",
    "RedialError",
    "ServerError",
    "TooManyRequests",
    "Unreachable",
    "verify",
]
_MODULES = {"Redial": "client", "verify": "webhooks"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
