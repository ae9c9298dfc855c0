"""The phone numbers read from a contact file, kept on disk so that a million of them take little memory."""

import sqlite3
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_CACHE_KIB = 16 * 1024


class SqliteSeenNumbers:
    """Implements `wire.contacts_csv.SeenNumbers` in a temporary SQLite file, deleted on leaving the context."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="redial-")
        self._database = sqlite3.connect(Path(self._folder.name, "seen.sqlite"), isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",  # one connection, and no rollback
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "CREATE TABLE seen (number INTEGER PRIMARY KEY, line INTEGER NOT NULL)",
            "BEGIN",
        ):
            self._database.execute(statement)
        self._execute = self._database.cursor().execute
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def first_line(self, number: str, line: int) -> int | None:
        """The line of the first occurrence of `number`. If it is new, remember it at `line` and return None."""
        digits = int(number)  # E.164: at most 15
        if self._execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digits, line)).rowcount:
            return None
        first: int = self._execute("SELECT line FROM seen WHERE number = ?", (digits,)).fetchone()[0]
        return first
