"""Time formats: times are stored as whole milliseconds since 1970 (UTC) and sent as RFC 3339 (UTC, `Z`)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any


class Documented:
    """Keys to add to a field's JSON schema in the API's documentation. If they include "type", they replace the schema.

    Only pydantic calls this, to build the documentation. Rendering a response does not import pydantic.
    """

    def __init__(self, **keys: Any) -> None:
        self._keys = keys

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(self._keys) if "type" in self._keys else {**handler(schema), **self._keys}


Timestamp = Annotated[str, Documented(type="string", format="date-time", examples=["2026-01-26T10:00:00Z"])]
"""A time on the wire: RFC 3339."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z; exact, no floating point."""
    return (instant - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The inverse of `to_ms`, as aware UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


def rfc3339(instant: datetime) -> Timestamp:
    """The time as text, such as `2026-01-26T10:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_rfc3339(text: str) -> datetime:
    """Parse a time with any offset to aware UTC. Raises `ValueError` for any other text."""
    try:
        instant = datetime.fromisoformat(text.upper())  # RFC 3339 allows t and z; Python reads only Z
        if instant.tzinfo is None:
            raise ValueError("a time needs an offset")
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time out of range") from error


def rfc3339_or_none(instant: datetime | None) -> Timestamp | None:
    """The time as text, like `rfc3339`; None for None."""
    return None if instant is None else rfc3339(instant)
