"""The stored form of a batch's contact index: a line of JSON, then numbers in big-endian order.

{"n": contacts, "p": [[country, [countries], [zones], 1 if named]], "r": {reason: rows}} and a line feed
contacts × 8 bytes: the hashes, ascending
contacts × 4 bytes: the position of each one's place in "p"
"""

import json
import sys
from array import array
from collections.abc import Iterable, Iterator

from redial.domain.contact_index import ContactIndex, Place, Rejection

_HASH_BYTES, _PLACE_BYTES = 8, 4


def encode(index: ContactIndex) -> bytes:
    """The contact index as a file."""
    places = [[one.country, one.countries, one.zones, int(one.named)] for one in index.places]
    rejected = {str(reason): count for reason, count in index.rejected.items()}
    head = json.dumps({"n": len(index.hashes), "p": places, "r": rejected}, separators=(",", ":"))
    return head.encode() + b"\n" + _swapped(index.hashes).tobytes() + _swapped(index.place_of).tobytes()


def decode(pieces: Iterable[bytes]) -> ContactIndex:
    """The inverse of `encode`."""
    head, body = b"".join(pieces).split(b"\n", 1)
    known = json.loads(head)
    end = known["n"] * _HASH_BYTES
    places = (Place(country, tuple(some), tuple(zones), bool(named)) for country, some, zones, named in known["p"])
    rejected = {Rejection(reason): count for reason, count in known["r"].items()}
    return ContactIndex(_array("Q", body[:end]), _array("I", body[end:]), tuple(places), rejected)


def decode_hashes(pieces: Iterable[bytes]) -> "array[int]":
    """The hashes. The rest of the file is not read. Raises `ValueError` if the file ends before its last hash."""
    content, wanted = b"", None
    left: Iterator[bytes] = iter(pieces)
    for piece in left:
        content += piece
        if wanted is None and b"\n" in content:
            head = content.index(b"\n") + 1
            wanted = head, head + json.loads(content[:head])["n"] * _HASH_BYTES
        if wanted is not None and len(content) >= wanted[1]:
            return _array("Q", content[slice(*wanted)])
    raise ValueError("the file ends before its last hash")


def _array(kind: str, content: bytes) -> "array[int]":
    found = array(kind)
    assert found.itemsize == (_HASH_BYTES if kind == "Q" else _PLACE_BYTES), "as on every platform of CPython"
    found.frombytes(content)
    return _swapped(found)


def _swapped(numbers: "array[int]") -> "array[int]":
    """Convert from this machine's byte order to the file's, or back."""
    swapped = numbers[:]
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped
