"""The contact index of a batch: a keyed hash of each accepted number, and the place where the number may be.

The batch worker builds it while it reads the file. A preflight then does not need the file, and batches are compared
without their numbers. It takes 12 bytes per contact.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from redial.domain.values import dataclass

HASH_DIGITS = 16
"""How many hexadecimal digits of a number's digest (`number_rules.digest_of`) are kept. The probability that any two of
a million numbers share these 64 bits is one in forty million."""


class Rejection(StrEnum):
    """Why a row of a file is rejected."""

    DUPLICATE = "duplicate"
    NEVER_PLACEABLE = "never_placeable"  # its calling hours never open
    OTHER = "other"


class Place(NamedTuple):
    """Where a number may be. `country`, `countries`, `zones`: see `phone_number.located`. `named`: the contact names
    its zone, which replaces those of its prefix and its agent."""

    country: str
    countries: tuple[str, ...]
    zones: tuple[str, ...]
    named: bool = False


@dataclass(frozen=True)
class ContactIndex:
    """The index. `hashes`: those of the accepted numbers, ascending. `place_of`: for each hash, the position of its
    place in `places`, which are distinct. `rejected`: the number of rejected rows by reason."""

    hashes: "array[int]"
    place_of: "array[int]"
    places: tuple[Place, ...]
    rejected: dict[Rejection, int] = field(default_factory=dict)

    def without(self, hashes: Collection[int]) -> "ContactIndex":
        """The index without these contacts."""
        left = [pair for pair in zip(self.hashes, self.place_of, strict=True) if pair[0] not in hashes]
        numbers, places = array("Q", (one for one, _ in left)), array("I", (place for _, place in left))
        return ContactIndex(numbers, places, self.places, self.rejected)

    def count_by_place(self, among: Collection[int] | None = None) -> Counter[Place]:
        """The number of contacts in each place. `among`: count only contacts with these hashes."""
        if among is None:
            found = Counter(self.place_of)
        else:
            found = Counter(place for one, place in zip(self.hashes, self.place_of, strict=True) if one in among)
        return Counter({self.places[place]: count for place, count in found.items()})


class IndexBuilder:
    """Builds an index, contact by contact. `digest` returns the keyed hash of a number."""

    def __init__(self, digest: Callable[[str], str]) -> None:
        self._digest = digest
        self._hashes, self._place_of = array("Q"), array("I")
        self._places: dict[Place, int] = {}
        self._rejected: Counter[Rejection] = Counter()

    def add(self, number: str, time_zone: str | None) -> None:
        """Add a contact, with the time zone that it names, if any."""
        from redial.domain.phone_number import located

        country, countries, zones = located(number)
        zones = (time_zone,) if time_zone is not None else zones
        place = Place(country, tuple(sorted(countries)), zones, time_zone is not None)
        self._hashes.append(hash_of(self._digest(number)))
        self._place_of.append(self._places.setdefault(place, len(self._places)))

    def reject(self, reason: Rejection) -> None:
        self._rejected[reason] += 1

    def build(self) -> ContactIndex:
        order = sorted(range(len(self._hashes)), key=self._hashes.__getitem__)
        hashes = array("Q", (self._hashes[one] for one in order))
        return ContactIndex(
            hashes, array("I", (self._place_of[one] for one in order)), tuple(self._places), dict(self._rejected)
        )


def hash_of(digest: str) -> int:
    """The part of a number's digest that an index keeps."""
    return int(digest[:HASH_DIGITS], 16)


def hashes_of(digests: Collection[str]) -> Iterator[int]:
    """The `hash_of` each digest."""
    return map(hash_of, digests)
