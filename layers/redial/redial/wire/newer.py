"""Names stored by a newer version: kept on reading, restored on writing.

Items are written whole. Otherwise, each save by the old version during a gradual deployment would drop what the new
version had stored. Decoders remove the names that they know from a copy of the item; the rest is `newer`.
"""

from collections.abc import Mapping
from typing import Any


def with_newer(known: dict[str, Any], newer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object to store. Raises ValueError for a name in both: it is encoded, but the decoder did not remove it."""
    if newer is None:
        return known
    if both := known.keys() & newer.keys():
        raise ValueError(f"names that are encoded and not decoded: {sorted(both)}")
    return {**known, **newer}
