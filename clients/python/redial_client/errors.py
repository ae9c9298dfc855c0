"""Errors of the client. All are `RedialError`; those that the API answered are `ApiError`, by status."""

from dataclasses import dataclass
from typing import Any


class RedialError(Exception):
    """A request did not succeed."""


class Unreachable(RedialError):
    """The API was not reached, or the connection broke before its answer."""


class AgentUnclear(RedialError):
    """No agent has that id or name, or there are several and none is named."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the request. `field`: its path, such as `retry_config.max_retries`."""

    field: str
    message: str


class ApiError(RedialError):
    """The API answered with an error.

    `status`: the HTTP status. `message`: what to do. `errors`: one for each invalid field. `request_id`: to quote when
    you report an error of the service.
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
    """400, 413: the request is invalid or too large, or not possible in this state."""


class KeyRejected(ApiError):
    """401: there is no API key, or it is not valid."""


class Forbidden(ApiError):
    """403: the key lacks the scope that the message names."""


class NotFound(ApiError):
    """404: unknown, or of another account."""


class Conflict(ApiError):
    """409, 412: it does not fit the present state."""


class TooManyRequests(ApiError):
    """429, after all tries."""


class ServerError(ApiError):
    """5xx, after all tries where the request could be repeated."""


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
    """The error in an answer. `body`: its parsed JSON; anything else is accepted too."""
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
