"""Errors of a request.

    RedialError
    ├── InvalidInput   400   the request is invalid; names each field at fault
    ├── Unauthorized   401   no API key, or an invalid one
    ├── Forbidden      403   the API key does not allow the request
    ├── NotFound       404   unknown, or of another account
    ├── Conflict       409   not possible in the present state
    ├── PreconditionFailed 412   If-Match or If-None-Match does not hold
    ├── TooLarge       413   above a limit for one request
    └── QuotaUsedUp    429   the API key may have no more calls accepted for now

The message tells the caller what to do; `status` is the HTTP status of the API's answer.
"""

from datetime import timedelta

from redial.domain.values import dataclass


class RedialError(Exception):
    """A request that cannot be fulfilled, with a message for the caller."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class FieldError:
    """One error in one field; `field` is a dotted path such as `retry_config.max_retries`."""

    field: str
    message: str


class InvalidInput(RedialError):
    """The request is invalid; `errors` names each field at fault (may be empty)."""

    status = 400

    def __init__(self, message: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        """An error in one field."""
        return cls(f"{field}: {message}", (FieldError(field, message),))


class Unauthorized(RedialError):
    """No API key, or an invalid one."""

    status = 401


class Forbidden(RedialError):
    """The API key does not allow the request: it lacks a scope, or is restricted."""

    status = 403


class NotFound(RedialError):
    """No such record in this account. Records of other accounts give the same answer."""

    status = 404


class Conflict(RedialError):
    """The request is valid but contradicts the present state."""

    status = 409


class PreconditionFailed(RedialError):
    """The record is not at the version that the request names: another request has changed it."""

    status = 412


class TooLarge(RedialError):
    """Above a limit for one request."""

    status = 413


class QuotaUsedUp(RedialError):
    """The API key may have no more calls accepted until `after` has passed."""

    status = 429

    def __init__(self, message: str, after: timedelta) -> None:
        super().__init__(message)
        self.after = after
