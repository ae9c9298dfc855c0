"""CSV files of a batch: the uploaded contacts, and the two files derived from it (rejected rows, results).

Files are streamed: memory holds some tens of kilobytes of a file and at most a million characters of a row. The same
bytes give the same rows, however they are split into chunks, so every contact keeps its row number when a batch is read
again.

An error in one row rejects that row. An error that makes the rest unreadable raises `InvalidInput`, which names the
line. Lines count from 1, as in an editor: a row with a line break in a cell has several lines.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, NoReturn, Protocol

from redial.domain.contact_index import Rejection
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.phone_number import (
    NOT_CALLED,
    PUNCTUATION,
    NumberKind,
    looks_like_a_number,
    read_number,
)
from redial.domain.row_check import TIME_ZONE_COLUMN, RowCheck
from redial.domain.termination import outcome_of
from redial.wire.timestamps import rfc3339

CONTACT_COLUMN = "contact_number"
"""The column with the phone number. All other columns are data about the contact; `row_check` reads one of them."""
MAX_CONTACTS = 1_000_000
"""Maximum rows of a file, without the header and empty lines; also the maximum number of empty lines."""
MAX_DATA_BYTES = 8 * 1024
"""Maximum size of a row's other columns as JSON. They are stored, and sent with every event of the call."""
MAX_ROW_CHARACTERS = 1_000_000
"""Maximum length of a row, including line breaks, quotes and delimiters."""
DELIMITERS = (",", ";", "\t", "|")
REJECTED_COLUMNS = ("line", "reason")
"""Columns that rejected.csv adds after the uploaded ones."""
RESULT_COLUMNS = (
    "execution_id",
    "status",
    "attempts",
    "first_dialed_at",
    "last_dialed_at",
    "ended_at",
    "conversation_duration",
    "answered_by_voice_mail",
    "reason",
    "outcome",
)
"""Columns that results.csv adds after the uploaded ones. Times are RFC 3339 in UTC; the duration is in seconds."""

_BLOCK_BYTES = 64 * 1024
_SMALL_ROW = 1000  # a row of at most this many characters and cells is within every limit
_SAVE_AS = "save it as “CSV UTF-8” and send that file"

_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\1*', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')

_FORMULA_STARTS = ("=", "@", "+", "-", "\t", "\r", "\n", "\uff1d", "\uff20", "\uff0b", "\uff0d")
_NUMBER_CELL = re.compile(f"[+-][0-9,{re.escape(PUNCTUATION)}]*")

_KINDS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
)
_LONGEST_SIGN = max(len(sign) for sign, _ in _KINDS)

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Contact(NamedTuple):
    """An accepted row.

    `row` counts accepted rows: 1, 2, 3 … `line`: the row's first line. `number`: E.164. `data`: all other columns,
    unchanged and in the file's order. `cells`: the row as uploaded, one cell per column.
    """

    row: int
    line: int
    number: str
    data: dict[str, str]
    cells: tuple[str, ...]


class Rejected(NamedTuple):
    """A rejected row, with the reason. It may have more or fewer `cells` than the file has columns."""

    line: int
    cells: tuple[str, ...]
    reason: str
    kind: Rejection = Rejection.OTHER


class SeenNumbers(Protocol):
    """The phone numbers read so far, to find duplicates."""

    def first_line(self, number: str, line: int) -> int | None:
        """The line of the first occurrence of `number` (E.164). If it is new, remember it at `line` and return None."""


class Dialect(NamedTuple):
    """A file's format. Files derived from it have the same format, so that the same program opens them.

    `mark`: it begins with a byte-order mark. `separator_line`: its first line names the delimiter (`sep=;`).
    """

    delimiter: str = ","
    mark: bool = False
    separator_line: bool = False


COMMAS = Dialect()


class ContactFile:
    """The rows of a file of contacts, as a single-pass iterator.

    The encoding is UTF-8, or UTF-16 with a byte-order mark; lines end in LF, CRLF or CR. The delimiter is named by a
    first line such as `sep=;` (Excel's), or else is the one that gives the header a column `contact_number`. `premium`:
    accept premium-rate and shared-cost numbers. `row_check`: a further check of rows. `erased`: the text that replaces
    the number of an accepted row that was erased later; such a row is accepted with an empty number. Raises
    `InvalidInput` for field `file`: the constructor for errors at the beginning of the file, the iteration for later
    ones.
    """

    columns: tuple[str, ...]
    """The header, stripped, without empty cells at its end."""
    dialect: Dialect

    def __init__(
        self,
        pieces: Iterable[bytes],
        seen: SeenNumbers,
        *,
        premium: bool = False,
        row_check: RowCheck | None = None,
        erased: str | None = None,
    ) -> None:
        self._seen = seen
        self._premium = premium
        self._erased = erased
        self._row_check = row_check
        self._lines = _Lines(pieces)
        lines = chain.from_iterable(self._lines.blocks())
        looked_at: list[str] = []
        declared = _declared_delimiter(_again(looked_at, lines))
        self._delimiter = _find_delimiter(looked_at, lines, declared)
        self._reader = csv.reader(chain(looked_at, lines), delimiter=self._delimiter, strict=True)
        self.columns = self._read_header(declared is not None)
        self.dialect = Dialect(self._delimiter, self._lines.has_mark, declared is not None)
        self._at = self.columns.index(CONTACT_COLUMN)
        self._zone_at = self.columns.index(TIME_ZONE_COLUMN) if TIME_ZONE_COLUMN in self.columns else None
        names = len(_json_bytes(dict.fromkeys(self.columns, "")))
        self._small = min(_SMALL_ROW, (MAX_DATA_BYTES - names) // 4)  # a character takes at most 4 bytes
        self._rows = self._read_rows()

    def _read_header(self, after_separator_line: bool) -> tuple[str, ...]:
        if after_separator_line:
            while not any(next(self._reader)):
                pass
            self._lines.taken = self._reader.line_num
        line, cells = 1, [""]
        while not any(cells):
            line = self._lines.taken + 1
            cells = next(self._reader)
            self._lines.taken = self._reader.line_num
        columns = [cell.strip() for cell in cells]
        while not columns[-1]:
            columns.pop()
        names: set[str] = set()
        for position, name in enumerate(columns, start=1):
            if not name:
                _refuse(f"line {line}: column {position} of {len(columns)} has no name; name it or remove it")
            if name in names:
                _refuse(f"line {line}: two columns are named {_shown(name)}; rename one of them")
            names.add(name)
            if control := _CONTROL.search(name):
                _refuse(f"line {line}: the name of column {position} has the control character {_code(control)}")
        return tuple(columns)

    def __iter__(self) -> Iterator[Contact | Rejected]:
        return self._rows

    def _read_rows(self) -> Iterator[Contact | Rejected]:
        reader, lines = self._reader, self._lines
        columns, width, at, small = self.columns, len(self.columns), self._at, self._small
        first_line = self._seen.first_line
        rows = accepted = empty = 0
        while True:
            try:
                for cells in reader:
                    line = lines.taken + 1
                    lines.taken = reader.line_num
                    # Fast path: in a small row without control characters only the number can be wrong.
                    simple = len(cells) == width and len("".join(cells)) <= small and not lines.has_controls
                    if simple and cells[at]:
                        number: str | Rejected | None = self._number(line, cells)
                    else:
                        number = self._look_closer(line, cells) if cells else None
                    if number is None:
                        empty += 1
                        if empty > MAX_CONTACTS:
                            _refuse(f"line {line}: there are more than {MAX_CONTACTS:,} empty lines; remove them")
                        continue
                    rows += 1
                    if rows > MAX_CONTACTS:
                        raise _too_many(line)
                    if isinstance(number, Rejected):
                        yield number
                    elif number and (first := first_line(number, line)) is not None:
                        reason = f"{CONTACT_COLUMN}: duplicate of line {first}"
                        yield Rejected(line, tuple(cells), reason, Rejection.DUPLICATE)
                    else:
                        accepted += 1
                        yield Contact(accepted, line, number, _data(columns, cells), tuple(cells))
                return
            except csv.Error as error:
                line = lines.taken + 1
                lines.taken = reader.line_num
                broken = self._broken(line, error)
            rows += 1
            if rows > MAX_CONTACTS:
                raise _too_many(line)
            yield broken

    def _number(self, line: int, cells: list[str]) -> str | Rejected:
        """The row's number as E.164, or the row's rejection if the number cannot be read or may not be called."""
        if self._erased is not None and cells[self._at] == self._erased:
            return ""
        try:
            number, kind = read_number(cells[self._at])
        except ValueError as error:
            return Rejected(line, tuple(cells), f"{CONTACT_COLUMN}: {error}")
        if kind is not NumberKind.ORDINARY and not (kind is NumberKind.PREMIUM and self._premium):
            return Rejected(line, tuple(cells), f"{CONTACT_COLUMN}: {NOT_CALLED[kind]}")
        if self._row_check is not None:
            fault = self._row_check.fault(number, None if self._zone_at is None else cells[self._zone_at])
            if fault is not None:
                is_zone = fault.startswith(TIME_ZONE_COLUMN)
                return Rejected(line, tuple(cells), fault, Rejection.OTHER if is_zone else Rejection.NEVER_PLACEABLE)
        return number

    def _look_closer(self, line: int, cells: list[str]) -> str | Rejected | None:
        """The row's number, or its rejection; None for an empty row.

        Adjusts `cells` to the header's width: removes empty cells at the end, and adds those that a spreadsheet left
        out.
        """
        large = len("".join(cells)) + len(cells) > self._small
        if large:
            self._check_length(line)
        if not any(cells):
            return None
        width = len(self.columns)
        if any(cells[width:]):
            return Rejected(line, tuple(cells), f"{len(cells)} fields where the header has {width}")
        cells[width:] = [""] * (width - len(cells))
        if self._lines.has_controls:
            for column, cell in zip(self.columns, cells, strict=True):
                if control := _CONTROL.search(cell):
                    return Rejected(line, tuple(cells), f"{column}: has the control character {_code(control)}")
        number = self._number(line, cells)
        if large and not isinstance(number, Rejected):
            size = len(_json_bytes(_data(self.columns, cells)))
            if size > MAX_DATA_BYTES:
                reason = f"the columns beside {CONTACT_COLUMN} take {size:,} bytes as JSON, at most {MAX_DATA_BYTES:,}"
                return Rejected(line, tuple(cells), reason)
        return number

    def _check_length(self, line: int) -> str:
        """The text of the row that begins at `line`. Raises `InvalidInput` above `MAX_ROW_CHARACTERS`."""
        text = self._lines.text(line, self._lines.taken)
        if len(text) > MAX_ROW_CHARACTERS:
            raise _too_long(line)
        return text

    def _broken(self, line: int, error: csv.Error) -> Rejected:
        """Reject the row at `line`, whose quoting `csv.reader` refused. Reading resumes at the next line."""
        last = self._lines.taken
        text = self._check_length(line)
        if "end of data" in str(error) or "field limit" in str(error):
            _refuse_endless(text, line, self._delimiter, "end of data" in str(error))
        try:
            cells = next(csv.reader(_split(text), delimiter=self._delimiter, strict=False))
        except csv.Error:  # the text after the closing quote exceeds the field limit
            cells = text.split(self._delimiter)
        where = f"lines {line} to {last}: " if last > line else ""
        reason = f"{where}broken quoting: text follows a closing quote; write a quote within a quoted cell twice"
        return Rejected(line, tuple(cells), reason)


class _Lines:
    """A file's lines with their line ends, in blocks of some tens of kilobytes.

    `taken`: lines consumed as complete rows; set by the reader of the rows. Later lines stay buffered.
    `has_controls`: a control character was read, in lines already returned or still to come.
    `has_mark`: the file begins with a byte-order mark; known once a line was read.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.taken = 0
        self.has_controls = False
        self.has_mark = False
        self._pieces = iter(pieces)
        self._problem: str | None = None  # why decoding stopped; None: at the end of the file, or not yet
        self._kept: list[tuple[int, list[str]]] = []  # (first line, lines) of the blocks that the current row is in
        self._given = 0  # lines returned so far
        self._open = 0  # characters returned after `_open_after`, the last line of the last complete row
        self._open_after = 0

    def blocks(self) -> Iterator[list[str]]:
        """Yield lines in blocks. Raises `InvalidInput` if the file is not text or a row is too long."""
        rest = ""
        for text in self._texts():
            rest += text
            end = _end_of_lines(rest)
            if end:
                yield self._give(rest[:end])
                rest = rest[end:]
                self._forget()
            if self._open + len(rest) > MAX_ROW_CHARACTERS:
                raise _too_long(self.taken + 1)
        if rest and (self._problem is None or rest.endswith("\r")):
            yield self._give(rest)
            self._forget()
        if self._problem is not None:
            _refuse(f"line {self._given + 1}: {self._problem}")

    def text(self, first: int, last: int) -> str:
        """The text of lines `first` to `last`, which must still be buffered."""
        return "".join("".join(lines[max(first - start, 0) : max(last + 1 - start, 0)]) for start, lines in self._kept)

    def _give(self, text: str) -> list[str]:
        lines = _split(text)
        self._kept.append((self._given + 1, lines))
        self._given += len(lines)
        return lines

    def _forget(self) -> None:
        """Drop blocks that the current row does not need. Called when every returned line has been consumed."""
        if self.taken == self._open_after:
            self._open += sum(map(len, self._kept[-1][1]))
        else:
            self._kept = [(start, lines) for start, lines in self._kept if start + len(lines) - 1 > self.taken]
            self._open, self._open_after = len(self.text(self.taken + 1, self._given)), self.taken

    def _texts(self) -> Iterator[str]:
        """Decode the file up to its end, or up to bytes that are not text; `_problem` then gives the reason."""
        head = b""
        for piece in self._pieces:
            head += piece
            if len(head) >= _LONGEST_SIGN:
                break
        for sign, kind in _KINDS:
            if head.startswith(sign):
                _refuse(f"this seems to be {kind}, not CSV: {_SAVE_AS}")
        mark, encoding = next(
            ((mark, name) for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), (b"", "utf-8")
        )
        self.has_mark = bool(mark)
        decoder = codecs.getincrementaldecoder(encoding)()
        for data in chain(_cut(chain((head[len(mark) :],), self._pieces)), (None,)):
            try:
                text = decoder.decode(b"", final=True) if data is None else decoder.decode(data)
            except UnicodeDecodeError as error:
                text = error.object[: error.start].decode(encoding)
                self._problem = _not_text(error, encoding)
            nul = text.find("\0")
            if nul >= 0:
                text = text[:nul]
                self._problem = f"a NUL character (byte 0x00): this is not text, or in an unknown encoding; {_SAVE_AS}"
            if not self.has_controls and _CONTROL.search(text):
                self.has_controls = True
            yield text
            if self._problem is not None:
                return


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK_BYTES):
            yield piece[start : start + _BLOCK_BYTES]


def _end_of_lines(text: str) -> int:
    """Index after the last complete line. A CR at the very end does not count: an LF may follow it."""
    end = text.rfind("\n") + 1
    last = text.rfind("\r", end)
    if last == len(text) - 1:
        last = text.rfind("\r", end, last)
    return max(end, last + 1)


def _split(text: str) -> list[str]:
    """Lines with their line ends. (`str.splitlines` would also split at characters within a cell.)"""
    return list(io.StringIO(text, newline=""))


def _not_text(error: UnicodeDecodeError, encoding: str) -> str:
    if encoding == "utf-8":
        return f"byte 0x{error.object[error.start]:02X} is not UTF-8, so the file's encoding is unknown; {_SAVE_AS}"
    found = " ".join(f"0x{byte:02X}" for byte in error.object[error.start : error.start + 2])
    return f"bytes {found} are not UTF-16, as the file's beginning says that it is; {_SAVE_AS}"


# ---- the header -----------------------------------------------------------------------------------------------------


def _declared_delimiter(lines: Iterable[str]) -> str | None:
    """The delimiter that the first non-empty line names, such as `sep=;`; None if it names none."""
    for line in lines:
        text = line.rstrip("\r\n")
        if text:
            declared = _SEPARATOR_LINE.fullmatch(text)
            if declared is not None and declared[1] not in DELIMITERS:
                _refuse(f"line 1: the separator {_shown(declared[1])} is not known; use a comma, ;, a tab or |")
            return None if declared is None else declared[1]
    return None


def _find_delimiter(looked_at: list[str], lines: Iterator[str], declared: str | None) -> str:
    """The header's delimiter. Lines read from `lines` are appended to `looked_at`. Raises `InvalidInput`."""
    best: list[str] = []
    first = 1
    broken = False
    for delimiter in DELIMITERS if declared is None else (declared,):
        reader = csv.reader(_again(looked_at, lines), delimiter=delimiter, strict=True)
        try:
            line, cells = 1, next(reader, [])
            skipped = declared is None
            while (not any(cells) or not skipped) and reader.line_num >= line:
                skipped = skipped or any(cells)
                line, cells = reader.line_num + 1, next(reader, [])
        except csv.Error:
            broken = True
            continue
        if CONTACT_COLUMN in (cell.strip() for cell in cells):
            return delimiter
        if any(cells) and len(cells) > len(best):
            best, first = cells, line
    if not best and not broken:
        _refuse(f"line 1: the file is empty; it must have a header with a column {CONTACT_COLUMN}, and rows")
    if broken and (not best or (len(best) == 1 and CONTACT_COLUMN in best[0])):
        _refuse(f"line {first}: broken quoting in the header: a quote is not closed, or text follows a closing quote")
    if any(looks_like_a_number(cell) for cell in best):
        _refuse(
            f"line {first}: the first line must be a header, with a column {CONTACT_COLUMN}; it holds a phone number"
        )
    found = ", ".join(_shown(cell.strip()) for cell in best[:20]) + (", …" if len(best) > 20 else "")
    _refuse(f"line {first}: the header must have a column {CONTACT_COLUMN}; its columns are {found}")


def _again(looked_at: list[str], lines: Iterator[str]) -> Iterator[str]:
    size = 0
    for line in looked_at:
        size += len(line)
        yield line
    for line in lines:
        looked_at.append(line)
        size += len(line)
        if size > MAX_ROW_CHARACTERS:
            raise _too_long(1)
        yield line


def _shown(name: str) -> str:
    short = name if len(name) <= 40 else name[:40] + "…"
    return short if short.isprintable() else ascii(short)


# ---- errors ---------------------------------------------------------------------------------------------------------


def _refuse(message: str) -> NoReturn:
    raise InvalidInput.of("file", message)


def _too_long(line: int) -> InvalidInput:
    return InvalidInput.of(
        "file",
        f"line {line}: the row that begins here is longer than {MAX_ROW_CHARACTERS:,} characters; is a quote open?",
    )


def _too_many(line: int) -> InvalidInput:
    return InvalidInput.of(
        "file", f"line {line}: there are more than {MAX_CONTACTS:,} rows; split the file into several batches"
    )


def _refuse_endless(text: str, line: int, delimiter: str, at_end: bool) -> NoReturn:
    """Raise `InvalidInput` for `text`, which begins at `line` and has a cell that is never closed or exceeds the field
    limit."""
    limit = csv.field_size_limit()
    start = _endless_cell(text, delimiter, limit)
    where = f"line {line + len(_LINE_END.findall(text, 0, start))}"
    if at_end:
        _refuse(f"{where}: the quote that opens here is never closed")
    if text[start] == '"':
        _refuse(f"{where}: the quote that opens here is not closed within {limit:,} characters")
    _refuse(f"{where}: a cell that begins here is longer than {limit:,} characters")


def _endless_cell(text: str, delimiter: str, limit: int) -> int:
    """Index of the first cell that is not closed or longer than `limit`. Cells before it are well-formed."""
    start = 0
    while start < len(text):
        if text[start] == '"':
            quoted = _QUOTED.match(text, start)
            if quoted is None:
                return start
            end = quoted.end()
            if end - start - 2 - text.count('""', start + 1, end - 1) > limit:
                return start
        else:
            end = text.find(delimiter, start)
            if end < 0 or end - start > limit:
                return start
        start = end + 1
    return 0


def _code(found: re.Match[str]) -> str:
    return f"U+{ord(found.group()):04X}"


def _data(columns: tuple[str, ...], cells: list[str]) -> dict[str, str]:
    data = dict(zip(columns, cells, strict=True))
    del data[CONTACT_COLUMN]
    return data


def _json_bytes(data: dict[str, str]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


# ---- writing --------------------------------------------------------------------------------------------------------


class _Returned:
    """A file for `csv.writer` that makes `writerow` return the line."""

    def write(self, line: str) -> str:
        return line


_WRITERS = {delimiter: csv.writer(_Returned(), delimiter=delimiter, lineterminator="\r\n") for delimiter in DELIMITERS}


def write_row(cells: Iterable[str], delimiter: str = ",") -> str:
    """One line of a CSV file (RFC 4180, except for the delimiter), with its CRLF.

    A cell that a spreadsheet would treat as a formula is prefixed with `'` (OWASP, CSV injection). Signed numbers and
    phone numbers are unchanged.
    """
    line: str = _WRITERS[delimiter].writerow([_harmless(cell) for cell in cells])
    return line


def _harmless(cell: str) -> str:
    if cell.startswith(_FORMULA_STARTS) and not _NUMBER_CELL.fullmatch(cell):
        return "'" + cell
    return cell


def _header(columns: tuple[str, ...], dialect: Dialect) -> str:
    mark = "\ufeff" if dialect.mark else ""
    separator_line = f"sep={dialect.delimiter}\r\n" if dialect.separator_line else ""
    return mark + separator_line + write_row(columns, dialect.delimiter)


def rejected_header(columns: tuple[str, ...], dialect: Dialect = COMMAS) -> str:
    """The beginning of rejected.csv, with its header: the uploaded columns, then `REJECTED_COLUMNS`.

    An added column whose name is already taken gets the prefix `redial_`.
    """
    return _header(columns + _own(REJECTED_COLUMNS, columns), dialect)


def rejected_row(columns: tuple[str, ...], rejected: Rejected, dialect: Dialect = COMMAS) -> str:
    """A line of rejected.csv: the row as uploaded, its line number, the reason, and cells beyond the last column."""
    width = len(columns)
    cells = rejected.cells[:width] + ("",) * (width - len(rejected.cells))
    return write_row((*cells, str(rejected.line), rejected.reason, *rejected.cells[width:]), dialect.delimiter)


def results_header(columns: tuple[str, ...], dialect: Dialect = COMMAS) -> str:
    """The beginning of results.csv, with its header: the uploaded columns, then `RESULT_COLUMNS`, prefixed as in
    `rejected_header`."""
    return _header(columns + _own(RESULT_COLUMNS, columns), dialect)


def results_row(contact: Contact, execution: Execution | None, dialect: Dialect = COMMAS) -> str:
    """A line of results.csv: the row as uploaded, then its result; empty cells if it has no execution.

    `attempts` counts dialled attempts. Duration, voicemail, reason and outcome are from the last dialled attempt, but
    the execution's own termination reason takes precedence.
    """
    if execution is None:
        return write_row(contact.cells + ("",) * len(RESULT_COLUMNS), dialect.delimiter)
    if execution.erased:
        contact = contact._replace(cells=("",) * len(contact.cells))
    state = execution.state
    dialled = [attempt for attempt in state.attempts if attempt.dialed_at is not None]
    times = [attempt.dialed_at for attempt in dialled if attempt.dialed_at is not None]
    last = dialled[-1] if dialled else state.attempt
    ended_at = state.attempt.ended_at
    return write_row(
        (
            *contact.cells,
            execution.id,
            str(state.status),
            str(len(dialled)),
            rfc3339(times[0]) if times else "",
            rfc3339(times[-1]) if times else "",
            rfc3339(ended_at) if ended_at is not None else "",
            str(last.duration_seconds or 0),
            "" if last.voicemail is None else str(last.voicemail).lower(),
            state.ended or last.reason or "",
            outcome_of(last) or "",
        ),
        dialect.delimiter,
    )


def erased_mark(batch_id: str) -> str:
    """The text that replaces an erased row's number. No upload can contain it, because it names the batch."""
    return f"erased {batch_id}"


def without_rows(file: ContactFile, rows: frozenset[int], mark: str) -> Iterator[str]:
    """Rewrite the file: yields the lines of its accepted rows, with the cells of `rows` erased. Rows keep their
    positions."""
    writer, columns = _WRITERS[file.dialect.delimiter], file.columns
    if file.dialect.separator_line:
        yield f"sep={file.dialect.delimiter}\r\n"
    yield writer.writerow(columns)
    for row in file:
        if isinstance(row, Contact):
            erased = [mark if name == CONTACT_COLUMN else "" for name in columns]
            yield writer.writerow(erased if row.row in rows else row.cells)


def rejected_without(
    pieces: Iterable[bytes], columns: tuple[str, ...], dialect: Dialect, numbers: frozenset[str]
) -> Iterator[str]:
    """Rewrite rejected.csv: rows with one of the `numbers` (E.164) keep only their line number and reason."""
    lines = chain.from_iterable(_Lines(pieces).blocks())
    reader = csv.reader(lines, delimiter=dialect.delimiter)
    yield rejected_header(columns, dialect)
    if dialect.separator_line:
        next(reader)
    next(reader)
    at, width = columns.index(CONTACT_COLUMN), len(columns)
    for cells in reader:
        if any(_number_in(cell) in numbers for cell in (cells[at], *cells[width + len(REJECTED_COLUMNS) :])):
            yield write_row([""] * width + cells[width : width + len(REJECTED_COLUMNS)], dialect.delimiter)
        else:
            yield write_row(cells, dialect.delimiter)


def _number_in(cell: str) -> str | None:
    try:
        return read_number(cell)[0]
    except ValueError:
        return None


def _own(names: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    taken = set(columns)
    own = []
    for name in names:
        free = name
        while free in taken:
            free = f"redial_{free}"
        taken.add(free)
        own.append(free)
    return tuple(own)
