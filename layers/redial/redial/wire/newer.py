"""What a newer version stored under names that this version does not know: kept on reading, put back on writing.

An item is written whole. Without this, each save by the old version during a gradual deploy would drop what the new
version had stored. Decoders take the names that they know out of a copy; what is left is `newer`.
"""

from collections.abc import Mapping
from typing import Any


def with_newer(known: dict[str, Any], newer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object to be stored. Raises ValueError for a name that is encoded but that the decoder did not take out."""
    if newer is None:
        return known
    if both := known.keys() & newer.keys():
        raise ValueError(f"names that are encoded and not decoded: {sorted(both)}")
    return {**known, **newer}
