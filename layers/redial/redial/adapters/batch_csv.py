"""A batch's CSV files for `run_batch`: contacts, rejected rows, and results next to the uploaded rows."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from redial.adapters.seen_numbers import SqliteSeenNumbers
from redial.domain.contact_index import ContactIndex
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.row_check import RowCheck
from redial.ports import RejectedRow
from redial.wire import contacts_csv, stored_contact_index
from redial.wire.contacts_csv import Contact, ContactFile, Dialect, Rejected

_ROWS_AT_ONCE = 500
CHECK_ROWS = 100_000
"""Maximum rows checked before a batch is accepted: about ten of the request's 29 seconds."""
CHECK_BYTES = 32 * 1024 * 1024
"""Maximum bytes checked before a batch is accepted: reading the largest file would exceed the request's timeout."""


class _Counted:
    """Pieces of a file; `bytes` is the size of those read so far."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.bytes += len(piece)
            yield piece


class CsvContacts:
    """Implements `usecases.run_batch.ReadContacts`."""

    def check(self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None) -> None:
        with SqliteSeenNumbers() as seen:
            first: Rejected | None = None
            found = False
            counted = _Counted(pieces)
            for count, row in enumerate(ContactFile(counted, seen, premium=premium, row_check=row_check), start=1):
                found = found or isinstance(row, Contact)
                if first is None and isinstance(row, Rejected):
                    first = row
                if count == CHECK_ROWS or counted.bytes > CHECK_BYTES:
                    return
        if found:
            return
        if first is None:
            raise InvalidInput.of("file", "has no contacts: only a header; add a row for each contact")
        raise InvalidInput.of("file", f"has no usable row; the first, line {first.line}: {first.reason}")

    @contextmanager
    def rows(
        self, pieces: Iterable[bytes], *, premium: bool, row_check: RowCheck | None = None
    ) -> Iterator[tuple[str, Iterator[Contact | RejectedRow]]]:
        with SqliteSeenNumbers() as seen:
            file = ContactFile(pieces, seen, premium=premium, row_check=row_check)
            yield contacts_csv.rejected_header(file.columns, file.dialect), _rows(file)

    def results(
        self,
        pieces: Iterable[bytes],
        find: Callable[[list[int]], dict[int, Execution]],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        with SqliteSeenNumbers() as seen:
            file = ContactFile(
                pieces, seen, premium=premium, row_check=row_check, erased=contacts_csv.erased_mark(batch_id)
            )
            yield contacts_csv.results_header(file.columns, file.dialect)
            waiting: list[Contact] = []
            for row in file:
                if isinstance(row, Contact):
                    waiting.append(row)
                if len(waiting) == _ROWS_AT_ONCE:
                    yield from _results(waiting, find, file.dialect)
                    waiting.clear()
            yield from _results(waiting, find, file.dialect)

    def numbers(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> frozenset[str]:
        with SqliteSeenNumbers() as seen:
            file = ContactFile(
                pieces, seen, premium=premium, row_check=row_check, erased=contacts_csv.erased_mark(batch_id)
            )
            return frozenset(row.number for row in file if isinstance(row, Contact) and row.row in rows)

    def without_rows(
        self,
        pieces: Iterable[bytes],
        rows: frozenset[int],
        *,
        premium: bool,
        batch_id: str,
        row_check: RowCheck | None = None,
    ) -> Iterator[str]:
        mark = contacts_csv.erased_mark(batch_id)
        with SqliteSeenNumbers() as seen:
            yield from contacts_csv.without_rows(
                ContactFile(pieces, seen, premium=premium, row_check=row_check, erased=mark), rows, mark
            )

    def rejected_without(
        self, pieces: Iterable[bytes], contacts: Iterable[bytes], numbers: frozenset[str]
    ) -> Iterator[str]:
        with SqliteSeenNumbers() as seen:
            file = ContactFile(contacts, seen)
            yield from contacts_csv.rejected_without(pieces, file.columns, file.dialect, numbers)

    def index_file(self, index: ContactIndex) -> bytes:
        return stored_contact_index.encode(index)

    def read_index(self, pieces: Iterable[bytes]) -> ContactIndex:
        return stored_contact_index.decode(pieces)

    def read_hashes(self, pieces: Iterable[bytes]) -> Collection[int]:
        return stored_contact_index.decode_hashes(pieces)


def _rows(file: ContactFile) -> Iterator[Contact | RejectedRow]:
    for row in file:
        if isinstance(row, Contact):
            yield row
        else:
            yield RejectedRow(contacts_csv.rejected_row(file.columns, row, file.dialect), row.kind)


def _results(
    contacts: list[Contact], find: Callable[[list[int]], dict[int, Execution]], dialect: Dialect
) -> Iterator[str]:
    found = find([contact.row for contact in contacts])
    for contact in contacts:
        yield contacts_csv.results_row(contact, found.get(contact.row), dialect)
