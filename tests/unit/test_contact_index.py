"""The index of a batch's contacts, and its stored form."""

from array import array
from collections.abc import Iterator

import pytest

from redial.domain.contact_index import ContactIndex, IndexBuilder, Place, Rejection, hash_of
from redial.domain.number_rules import digest_of
from redial.domain.phone_number import countries, country, located, time_zones
from redial.wire import stored_contact_index

KEY = b"k" * 32
WASHINGTON, PARIS, RUSSIAN_MOBILE = "+12025550101", "+33140000001", "+79161234567"


def digest(number: str) -> str:
    return digest_of(KEY, number)


def sample() -> ContactIndex:
    builder = IndexBuilder(digest)
    builder.add(WASHINGTON, None)
    builder.add("+12025550102", None)
    builder.add(PARIS, None)
    builder.add(RUSSIAN_MOBILE, "Asia/Omsk")
    builder.reject(Rejection.DUPLICATE)
    builder.reject(Rejection.DUPLICATE)
    builder.reject(Rejection.OTHER)
    return builder.build()


def test_contacts_are_counted_by_place() -> None:
    index = sample()
    new_york = Place("US", ("US",), ("America/New_York",))
    paris = Place("FR", ("FR",), ("Europe/Paris",))
    omsk = Place("RU", ("RU",), ("Asia/Omsk",), named=True)
    assert index.count_by_place() == {new_york: 2, paris: 1, omsk: 1}
    assert index.count_by_place({hash_of(digest(WASHINGTON)), hash_of(digest(PARIS)), 1}) == {new_york: 1, paris: 1}
    assert index.rejected == {Rejection.DUPLICATE: 2, Rejection.OTHER: 1}
    assert list(index.hashes) == sorted(index.hashes)


def test_contacts_are_left_out() -> None:
    index = sample()
    left = index.without({hash_of(digest(PARIS))})
    assert set(index.hashes) - set(left.hashes) == {hash_of(digest(PARIS))}
    assert {place.country for place in left.count_by_place()} == {"US", "RU"}


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_the_stored_form_is_read_in_pieces_of_any_size(size: int) -> None:
    index = sample()
    content = stored_contact_index.encode(index)
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert stored_contact_index.decode(pieces) == index
    assert stored_contact_index.decode_hashes(pieces) == index.hashes
    assert WASHINGTON[1:].encode() not in content
    empty = ContactIndex(array("Q"), array("I"), ())
    assert stored_contact_index.decode([stored_contact_index.encode(empty)]) == empty


def test_of_a_large_file_only_the_hashes_are_read() -> None:
    content = stored_contact_index.encode(sample())
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 8):
            taken.append(start)
            yield content[start : start + 8]

    stored_contact_index.decode_hashes(pieces())
    assert len(content) - 16 <= 8 * len(taken) < len(content), "all but the places, which are 16 bytes"
    with pytest.raises(ValueError, match="ends before its last hash"):
        stored_contact_index.decode_hashes([content[:-20]])


@pytest.mark.parametrize(
    "number", [WASHINGTON, PARIS, RUSSIAN_MOBILE, "+18765550100", "+18005551234", "+14362201234", "+80012345678"]
)
def test_everything_about_a_number_at_once_is_the_same_as_one_by_one(number: str) -> None:
    assert located(number) == (country(number), countries(number), time_zones(number))
