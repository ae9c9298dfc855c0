"""Errors of the client. All are `RedialError`; errors returned by the API are `ApiError`, with a class per status."""

from dataclasses import dataclass
from typing import Any


class RedialError(Exception):
    """A request failed."""


class Unreachable(RedialError):
    """The API could not be reached, or the connection broke before its response."""


class AgentUnclear(RedialError):
    """No agent has that id or name, or several do; or no agent was named and there is not exactly one."""


@dataclass(frozen=True)
class FieldError:
    """An error in one field of the request. `field`: its path, such as `retry_config.max_retries`."""

    field: str
    message: str


class ApiError(RedialError):
    """The API returned an error.

    `status`: the HTTP status. `message`: what to do. `errors`: one for each invalid field. `request_id`: quote it when
    you report an internal error.
    """

    def __init__(
        self, status: int, message: str, errors: tuple[FieldError, ...] = (), request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.request_id = request_id


class InvalidInput(ApiError):
    """400, 413: the request is invalid, too large, or not possible in the current state."""


class KeyRejected(ApiError):
    """401: the API key is missing or not valid."""


class Forbidden(ApiError):
    """403: the key lacks the scope that the message names."""


class NotFound(ApiError):
    """404: it does not exist, or belongs to another account."""


class Conflict(ApiError):
    """409, 412: the request does not fit the current state."""


class TooManyRequests(ApiError):
    """429, after all tries."""


class ServerError(ApiError):
    """5xx, after all tries if the request could be repeated."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidInput,
    413: InvalidInput,
    401: KeyRejected,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}


def error_of(status: int, body: Any) -> ApiError:
    """The error in a response. `body`: its parsed JSON, or anything else."""
    content = body if isinstance(body, dict) else {}
    message = content.get("message")
    listed = content.get("errors")
    errors = tuple(
        FieldError(str(one.get("field")), str(one.get("message")))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    )
    request_id = content.get("request_id")
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    return kind(
        status,
        message if isinstance(message, str) else f"The answer was HTTP {status}.",
        errors,
        request_id if isinstance(request_id, str) else None,
    )
