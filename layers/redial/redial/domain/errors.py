"""What can be wrong with a request, as one tree.

    RedialError
    ├── InvalidInput   400   something the caller sent; names the field
    ├── Unauthorized   401   no key, or not a live one
    ├── NotFound       404   unknown, or another account's
    ├── Conflict       409   true, but not now
    └── TooLarge       413   more than is taken in one request

The message says what to do; `status` is the HTTP status that the API answers with.
"""

from dataclasses import dataclass


class RedialError(Exception):
    """A request that cannot be carried out, with a message for the caller."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field; `field` is a dotted path such as `retry_config.max_retries`."""

    field: str
    message: str


class InvalidInput(RedialError):
    """The request cannot mean anything useful; `errors` names each field at fault (maybe none)."""

    status = 400

    def __init__(self, message: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        """One field, one fault."""
        return cls(f"{field}: {message}", (FieldError(field, message),))


class Unauthorized(RedialError):
    """The caller did not say who they are, or is not who they say."""

    status = 401


class NotFound(RedialError):
    """No such record for this account; another account's record answers the same."""

    status = 404


class Conflict(RedialError):
    """The request is well-formed but contradicts what is already so."""

    status = 409


class TooLarge(RedialError):
    """More than one request may carry."""

    status = 413
