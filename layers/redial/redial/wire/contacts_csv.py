"""CSV files of contacts: the one a batch is made of, and the two that are made from it (rejected rows, results).

A file is read once, from its first byte to its last, and never held: some tens of kilobytes of it, and of each row at
most a million characters. The same bytes give the same rows, however they were cut into pieces, so that a batch can be
read again from its beginning and every contact keeps its number.

What makes one row unusable rejects that row; what makes the rest of the file unusable raises `InvalidInput`, whose
message names the line. A line is what an editor counts as one, from 1 on: a cell with a line break in it has several.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, NoReturn, Protocol

from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.phone_number import is_e164
from redial.wire.timestamps import rfc3339

CONTACT_COLUMN = "contact_number"
"""The column with the number; every other column is data about the contact."""
MAX_CONTACTS = 1_000_000
"""Most rows of one file, the header and empty lines not counted; and most empty lines."""
MAX_DATA_BYTES = 8 * 1024
"""Most that a row's other columns may take as JSON: they are stored and sent with every event of its call."""
MAX_ROW_CHARACTERS = 1_000_000
"""Most that is held of one row, line breaks, quotes and delimiters counted."""
DELIMITERS = (",", ";", "\t", "|")
REJECTED_COLUMNS = ("line", "reason")
"""Columns after the uploaded ones in the file of rejected rows."""
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
)
"""Columns after the uploaded ones in the results file. Times are RFC 3339 in UTC, the duration is in seconds."""

_BLOCK_BYTES = 64 * 1024
_SMALL_ROW = 1000  # characters and cells of a row that is certainly within every limit
_SAVE_AS = "save it as “CSV UTF-8” and send that file"

# What people and programs write within a number. A soft hyphen, zero-width and direction marks cannot be seen at all.
_SPACES = "\x20\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = "\xad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_BRACKETS = "()[]"
_CLEANED = str.maketrans("", "", _SPACES + _INVISIBLE + _DASHES + _BRACKETS)

_PHONE_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_ROUNDED = re.compile(r"\+?[0-9][.,]?[0-9]*[eE]\+?[0-9]+")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')

_FORMULA_STARTS = ("=", "@", "+", "-", "\t", "\r", "\n", "\uff1d", "\uff20", "\uff0b", "\uff0d")
_NUMBER_CELL = re.compile(f"[+-][0-9.,{re.escape(_SPACES + _INVISIBLE + _DASHES + _BRACKETS)}]*")

_KINDS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
)
_LONGEST_SIGN = max(len(sign) for sign, _ in _KINDS)

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Contact(NamedTuple):
    """A row that can be called.

    `row` counts these rows: 1, 2, 3 … `line` is the first line of the row. `number` is E.164. `data`: all other
    columns, in the file's order, as they stand there. `cells`: the row as uploaded, one cell for each column.
    """

    row: int
    line: int
    number: str
    data: dict[str, str]
    cells: tuple[str, ...]


class Rejected(NamedTuple):
    """A row that cannot be called, and why. `cells` may be more or fewer than there are columns."""

    line: int
    cells: tuple[str, ...]
    reason: str


class SeenNumbers(Protocol):
    """Which numbers a file has had so far."""

    def first_line(self, number: str, line: int) -> int | None:
        """None where the E.164 `number` is new; it is then remembered with its `line`. Else the line remembered."""


class ContactFile:
    """The rows of a file of contacts, to be gone through once.

    UTF-8, or UTF-16 with a byte-order mark; lines end in LF, CRLF or CR. The delimiter is the one under which the
    header has a column `contact_number`. Raises `InvalidInput` for field `file`: on construction for what the beginning
    of the file shows, while going through it for the rest.
    """

    columns: tuple[str, ...]
    """The header, stripped, without empty cells at its end."""
    delimiter: str

    def __init__(self, pieces: Iterable[bytes], seen: SeenNumbers) -> None:
        self._seen = seen
        self._lines = _Lines(pieces)
        lines = chain.from_iterable(self._lines.blocks())
        looked_at: list[str] = []
        self.delimiter = _find_delimiter(looked_at, lines)
        self._reader = csv.reader(chain(looked_at, lines), delimiter=self.delimiter, strict=True)
        self.columns = self._read_header()
        self._at = self.columns.index(CONTACT_COLUMN)
        names = len(_json_bytes(dict.fromkeys(self.columns, "")))
        self._small = min(_SMALL_ROW, (MAX_DATA_BYTES - names) // 4)  # a character takes at most 4 bytes
        self._rows = self._read_rows()

    def _read_header(self) -> tuple[str, ...]:
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
                    # Nearly every row is small, and then nothing but its number can be wrong with it.
                    simple = len(cells) == width and len("".join(cells)) <= small and not lines.has_controls
                    cell = cells[at] if simple else ""
                    number = cell if is_e164(cell) else self._look_closer(line, cells) if cells else None
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
                    elif (first := first_line(number, line)) is not None:
                        yield Rejected(line, tuple(cells), f"{CONTACT_COLUMN}: duplicate of line {first}")
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

    def _look_closer(self, line: int, cells: list[str]) -> str | Rejected | None:
        """The row's number, or why it cannot be called; None where the row is empty. Extra empty cells are removed."""
        large = len("".join(cells)) + len(cells) > self._small
        if large:
            self._check_length(line)
        if not any(cells):
            return None
        width = len(self.columns)
        if len(cells) < width or any(cells[width:]):
            fields = "field" if len(cells) == 1 else "fields"
            return Rejected(line, tuple(cells), f"{len(cells)} {fields} where the header has {width}")
        del cells[width:]
        if self._lines.has_controls:
            for column, cell in zip(self.columns, cells, strict=True):
                if control := _CONTROL.search(cell):
                    return Rejected(line, tuple(cells), f"{column}: has the control character {_code(control)}")
        number = _clean_number(cells[self._at])
        if not is_e164(number):
            return Rejected(line, tuple(cells), f"{CONTACT_COLUMN}: {_why_not_e164(number)}")
        if large:
            size = len(_json_bytes(_data(self.columns, cells)))
            if size > MAX_DATA_BYTES:
                reason = f"the columns beside {CONTACT_COLUMN} take {size:,} bytes as JSON, at most {MAX_DATA_BYTES:,}"
                return Rejected(line, tuple(cells), reason)
        return number

    def _check_length(self, line: int) -> str:
        """The row from `line` on, as it is in the file; raises where it is too long."""
        text = self._lines.text(line, self._lines.taken)
        if len(text) > MAX_ROW_CHARACTERS:
            raise _too_long(line)
        return text

    def _broken(self, line: int, error: csv.Error) -> Rejected:
        """The row from `line` on whose quoting `csv.reader` refused; it goes on with the line after it."""
        last = self._lines.taken
        text = self._check_length(line)
        if "end of data" in str(error) or "field limit" in str(error):
            _refuse_endless(text, line, self.delimiter, "end of data" in str(error))
        try:
            cells = next(csv.reader(_split(text), delimiter=self.delimiter, strict=False))
        except csv.Error:  # what follows the closing quote is longer than a field may be
            cells = text.split(self.delimiter)
        where = f"lines {line} to {last}: " if last > line else ""
        reason = f"{where}broken quoting: text follows a closing quote; write a quote within a quoted cell twice"
        return Rejected(line, tuple(cells), reason)


class _Lines:
    """A file's lines, each with its line end, in blocks of some tens of kilobytes.

    `taken`: so many lines are rows that have been read; whoever reads rows sets it. Lines after them are kept.
    `has_controls`: a control character has been read, in lines given out or still to come.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.taken = 0
        self.has_controls = False
        self._pieces = iter(pieces)
        self._problem: str | None = None  # why the text ends where it does; None: the file does
        self._kept: list[tuple[int, list[str]]] = []  # blocks that the row being read has lines in, by their first line
        self._given = 0  # lines given out
        self._open = 0  # characters of lines given out after `_open_after`, the last line of the last complete row
        self._open_after = 0

    def blocks(self) -> Iterator[list[str]]:
        """Raises `InvalidInput` where the file is no text or a row becomes too long, after all lines before that."""
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
        """Those lines as they are in the file; none of them may be among those forgotten."""
        return "".join("".join(lines[max(first - start, 0) : max(last + 1 - start, 0)]) for start, lines in self._kept)

    def _give(self, text: str) -> list[str]:
        lines = _split(text)
        self._kept.append((self._given + 1, lines))
        self._given += len(lines)
        return lines

    def _forget(self) -> None:
        """Forget what no row needs any more. All lines have been asked for, the last of them maybe amid a row."""
        if self.taken == self._open_after:
            self._open += sum(map(len, self._kept[-1][1]))
        else:
            self._kept = [(start, lines) for start, lines in self._kept if start + len(lines) - 1 > self.taken]
            self._open, self._open_after = len(self.text(self.taken + 1, self._given)), self.taken

    def _texts(self) -> Iterator[str]:
        """The file decoded, up to its end or to what cannot be text: then `_problem` says what that is."""
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
    """Where the last line that is certainly complete ends: after a CR at the very end there may be an LF to come."""
    end = text.rfind("\n") + 1
    last = text.rfind("\r", end)
    if last == len(text) - 1:
        last = text.rfind("\r", end, last)
    return max(end, last + 1)


def _split(text: str) -> list[str]:
    """Lines with their ends. (`str.splitlines` also splits at characters that are part of a cell.)"""
    return list(io.StringIO(text, newline=""))


def _not_text(error: UnicodeDecodeError, encoding: str) -> str:
    if encoding == "utf-8":
        return f"byte 0x{error.object[error.start]:02X} is not UTF-8, so the file's encoding is unknown; {_SAVE_AS}"
    found = " ".join(f"0x{byte:02X}" for byte in error.object[error.start : error.start + 2])
    return f"bytes {found} are not UTF-16, as the file's beginning says that it is; {_SAVE_AS}"


# ---- the header -----------------------------------------------------------------------------------------------------


def _find_delimiter(looked_at: list[str], lines: Iterator[str]) -> str:
    """The delimiter that the header is written with; lines taken from `lines` are added to `looked_at`."""
    best: list[str] = []
    first = 1
    broken = False
    for delimiter in DELIMITERS:
        reader = csv.reader(_again(looked_at, lines), delimiter=delimiter, strict=True)
        try:
            line, cells = 1, next(reader, [])
            while not any(cells) and reader.line_num >= line:
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
    if any(_PHONE_NUMBER.fullmatch(_clean_number(cell)) for cell in best):
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


# ---- numbers --------------------------------------------------------------------------------------------------------


def _clean_number(cell: str) -> str:
    """Without what is often written within a number: spaces, dashes, brackets, and one leading `'` (Excel's own)."""
    return cell.strip().translate(_CLEANED).removeprefix("'")


def _why_not_e164(cleaned: str) -> str:
    if not cleaned:
        return "is empty"
    if _ROUNDED.fullmatch(cleaned):
        return "is not E.164: a spreadsheet has rounded it; format the column as text and enter the numbers again"
    if cleaned[0] != "+":
        return "is not E.164: must begin with + and the country code, such as +14155550123"
    return "is not E.164: must be + and 7 to 15 digits, the first not 0, such as +14155550123"


# ---- what is wrong --------------------------------------------------------------------------------------------------


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
    """`text`, from `line` on, is a row with a cell that is never closed, or longer than `csv.reader` takes."""
    limit = csv.field_size_limit()
    start = _endless_cell(text, delimiter, limit)
    where = f"line {line + len(_LINE_END.findall(text, 0, start))}"
    if at_end:
        _refuse(f"{where}: the quote that opens here is never closed")
    if text[start] == '"':
        _refuse(f"{where}: the quote that opens here is not closed within {limit:,} characters")
    _refuse(f"{where}: a cell that begins here is longer than {limit:,} characters")


def _endless_cell(text: str, delimiter: str, limit: int) -> int:
    """Where the first cell begins that is not closed or is longer than `limit`; the cells before it are well-formed."""
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
    """A file for `csv.writer` whose `writerow` then returns the line."""

    def write(self, line: str) -> str:
        return line


_WRITER = csv.writer(_Returned(), lineterminator="\r\n")


def write_row(cells: Iterable[str]) -> str:
    """One line of a CSV file (RFC 4180), with its CRLF.

    A cell that a spreadsheet would take for a formula gets a `'` before it (OWASP, CSV injection); numbers, with or
    without a sign, and phone numbers stay as they are.
    """
    line: str = _WRITER.writerow([_harmless(cell) for cell in cells])
    return line


def _harmless(cell: str) -> str:
    if cell.startswith(_FORMULA_STARTS) and not _NUMBER_CELL.fullmatch(cell):
        return "'" + cell
    return cell


def rejected_header(columns: tuple[str, ...]) -> str:
    """The first line of the file of rejected rows: the uploaded columns, then `REJECTED_COLUMNS`.

    Where the file has a column of that name already, ours is prefixed `redial_`.
    """
    return write_row(columns + _own(REJECTED_COLUMNS, columns))


def rejected_row(columns: tuple[str, ...], rejected: Rejected) -> str:
    """The row as uploaded, then its line and the reason. Cells for which there is no column come after these."""
    width = len(columns)
    cells = rejected.cells[:width] + ("",) * (width - len(rejected.cells))
    return write_row((*cells, str(rejected.line), rejected.reason, *rejected.cells[width:]))


def results_header(columns: tuple[str, ...]) -> str:
    """The first line of the results file: the uploaded columns, then `RESULT_COLUMNS`, prefixed as in the other one."""
    return write_row(columns + _own(RESULT_COLUMNS, columns))


def results_row(contact: Contact, execution: Execution | None) -> str:
    """The row as uploaded, then what came of it; nothing where its execution is not there.

    `attempts` were dialled. The duration, the voicemail and the reason are the last dialled attempt's; why the
    execution is over goes before why that attempt ended.
    """
    if execution is None:
        return write_row(contact.cells + ("",) * len(RESULT_COLUMNS))
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
        )
    )


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
