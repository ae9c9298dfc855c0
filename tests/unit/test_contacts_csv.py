"""Files of contacts: parsing, rejected rows, unusable files, and written files."""

import codecs
import csv
import io
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redial.adapters.seen_numbers import SqliteSeenNumbers
from redial.domain.decision import stopped
from redial.domain.errors import InvalidInput
from redial.domain.status import Status
from redial.wire import contacts_csv
from redial.wire.contacts_csv import (
    MAX_DATA_BYTES,
    REJECTED_COLUMNS,
    RESULT_COLUMNS,
    Contact,
    ContactFile,
    Rejected,
    rejected_header,
    rejected_row,
    results_header,
    results_row,
    write_row,
)
from tests.support.examples import examples
from tests.support.samples import EXECUTION_ID, TEN, minutes, placed, queued, reported, seconds

ROOT = Path(__file__).parents[2]
ONE, TWO, THREE = "+12025550101", "+12025550102", "+12025550103"


class Numbers(dict[str, int]):
    """`SeenNumbers` in memory."""

    def first_line(self, number: str, line: int) -> int | None:
        first = self.setdefault(number, line)
        return None if first == line else first


def opened(file: str | bytes | Sequence[bytes]) -> ContactFile:
    pieces = [file.encode()] if isinstance(file, str) else [file] if isinstance(file, bytes) else file
    return ContactFile(pieces, Numbers())


def rows(file: str | bytes | Sequence[bytes]) -> list[Contact | Rejected]:
    return list(opened(file))


def contacts(file: str | bytes) -> list[Contact]:
    return [row for row in rows(file) if isinstance(row, Contact)]


def rejected(file: str | bytes) -> list[Rejected]:
    return [row for row in rows(file) if isinstance(row, Rejected)]


def refusal(file: str | bytes | Sequence[bytes]) -> str:
    """The error message for an unusable file."""
    with pytest.raises(InvalidInput) as caught:
        rows(file)
    (error,) = caught.value.errors
    assert error.field == "file"
    return error.message


# ---- rows -----------------------------------------------------------------------------------------------------------


def test_a_row_is_a_number_and_all_other_columns_unchanged() -> None:
    file = opened(f'name, contact_number ,note\n"Smith, John",{ONE},  two  \nAda,{TWO},\n')
    assert file.columns == ("name", "contact_number", "note")
    assert file.dialect.delimiter == ","
    assert list(file) == [
        Contact(1, 2, ONE, {"name": "Smith, John", "note": "  two  "}, ("Smith, John", ONE, "  two  ")),
        Contact(2, 3, TWO, {"name": "Ada", "note": ""}, ("Ada", TWO, "")),
    ]


def test_every_row_of_the_sample_file_is_a_contact() -> None:
    found = rows((ROOT / "events/contacts.csv").read_bytes())
    assert [row.number for row in found if isinstance(row, Contact)] == [f"+12025550{n}" for n in range(101, 111)]
    assert len(found) == 10
    assert isinstance(found[2], Contact) and found[2].cells[0] == "'+1 202 555 0103"
    assert isinstance(found[6], Contact) and found[6].data["first_name"] == 'William "Bill"'


def test_a_second_iteration_continues_the_first() -> None:
    file = opened(f"contact_number\n{ONE}\n{TWO}\n")
    first = next(iter(file))
    assert [first, *file] == [Contact(1, 2, ONE, {}, (ONE,)), Contact(2, 3, TWO, {}, (TWO,))]
    assert list(file) == []


def test_rows_count_contacts_and_lines_count_lines() -> None:
    file = f'contact_number,note\n\n{ONE},"a\nb\r\nc"\nnobody,\n{TWO},\n'
    assert [(type(row).__name__, row.line) for row in rows(file)] == [("Contact", 3), ("Rejected", 6), ("Contact", 7)]
    assert [contact.row for contact in contacts(file)] == [1, 2]
    assert contacts(file)[0].data == {"note": "a\nb\r\nc"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_in_lf_crlf_or_cr_and_the_last_may_lack_an_end(end: str, last: bool) -> None:
    file = end.join(["contact_number,note", f"{ONE},x", f"{TWO},y"]) + (end if last else "")
    assert [(contact.line, contact.data["note"]) for contact in contacts(file)] == [(2, "x"), (3, "y")]


def test_other_separators_do_not_end_lines() -> None:
    odd = "a\u2028b\u2029c"
    assert contacts(f"contact_number,note\n{ONE},{odd}\n")[0].data == {"note": odd}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_determines_the_delimiter(delimiter: str) -> None:
    others = "".join({",", ";", "\t", "|"} - {delimiter})
    file = opened(f'"a{others}b"{delimiter}contact_number\n"1{delimiter}2{others}"{delimiter}{ONE}\n')
    assert file.dialect.delimiter == delimiter
    assert file.columns == (f"a{others}b".strip(), "contact_number")
    assert [row.cells for row in file] == [(f"1{delimiter}2{others}", ONE)]


@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}", "sep={0}{0}{0}"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_first_line_may_name_the_delimiter(line: str, delimiter: str, size: int) -> None:
    content = f"{line.format(delimiter)}\r\ncontact_number{delimiter}note\r\n{ONE}{delimiter}x\r\nbad\r\n"
    for encoded in (content.encode(), content.encode("utf-8-sig"), content.encode("utf-16")):
        file = opened([encoded[start : start + size] for start in range(0, len(encoded), size)])
        assert file.columns == ("contact_number", "note")
        assert (file.dialect.delimiter, file.dialect.separator_line) == (delimiter, True)
        assert [row.line for row in file] == [3, 4]


def test_a_named_delimiter_decides() -> None:
    file = opened(f"sep=;\n\ncontact_number;a,b\n{ONE};1,2\n")
    assert [row.cells for row in file] == [(ONE, "1,2")]
    assert refusal(f"sep=;\ncontact_number,note\n{ONE},x\n") == (
        "line 2: the header must have a column contact_number; its columns are contact_number,note"
    )
    assert refusal(f"sep=:\ncontact_number:note\n{ONE}:x\n") == (
        "line 1: the separator : is not known; use a comma, ;, a tab or |"
    )
    assert refusal("sep=;\n").startswith("line 1: the file is empty")
    assert opened(f"contact_number,sep=;\n{ONE},sep=;\n").columns == ("contact_number", "sep=;")


def test_a_single_column_needs_no_delimiter() -> None:
    assert [contact.number for contact in contacts(f"contact_number\n{ONE}\n{TWO}")] == [ONE, TWO]


@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ],
    ids=["UTF-8", "UTF-8 with BOM", "UTF-16 LE", "UTF-16 BE"],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 10_000])
def test_utf_8_and_utf_16_are_read_in_any_chunks(encoded: object, size: int) -> None:
    assert callable(encoded)
    content = encoded(f'contact_number\tnäme\r\n{ONE}\t"Zoë 😀\r\nŁódź"\r\n{TWO}\t日本\r\n')
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert [row.data for row in rows([b"", *pieces, b""]) if isinstance(row, Contact)] == [
        {"näme": "Zoë 😀\r\nŁódź"},
        {"näme": "日本"},
    ]


def test_empty_lines_and_lines_of_empty_cells_are_skipped() -> None:
    file = f'\n\ncontact_number,note\n\n,\n{ONE},x\n,,,\n\r\n"",""\n{TWO},y\n\n'
    assert [row.line for row in rows(file)] == [6, 10]


def test_empty_cells_at_the_end_of_the_header_are_ignored() -> None:
    file = opened(f"contact_number,note,, ,\n{ONE},x,,,\n{TWO},y\n{THREE},z,,more,\n")
    assert file.columns == ("contact_number", "note")
    assert list(file) == [
        Contact(1, 2, ONE, {"note": "x"}, (ONE, "x")),
        Contact(2, 3, TWO, {"note": "y"}, (TWO, "y")),
        Rejected(4, (THREE, "z", "", "more", ""), "5 fields where the header has 2"),
    ]


def test_a_row_may_lack_cells_at_its_end() -> None:
    """Spreadsheets leave out the delimiters of empty cells at the end of rows."""
    assert rows(f"contact_number,a,b\n{ONE}\n{TWO},1\n{THREE},,\n") == [
        Contact(1, 2, ONE, {"a": "", "b": ""}, (ONE, "", "")),
        Contact(2, 3, TWO, {"a": "1", "b": ""}, (TWO, "1", "")),
        Contact(3, 4, THREE, {"a": "", "b": ""}, (THREE, "", "")),
    ]


def test_a_row_that_lacks_its_number_is_rejected() -> None:
    found = rejected(f"a,contact_number,b\nx\nx,{ONE}\n")
    assert found == [Rejected(2, ("x", "", ""), "contact_number: is empty")]


def test_a_row_with_too_many_fields_is_rejected_with_both_counts() -> None:
    found = rejected(f"contact_number,a,b\n{ONE}\n{THREE},1,2,3\n")
    assert [(row.line, row.cells, row.reason) for row in found] == [
        (3, (THREE, "1", "2", "3"), "4 fields where the header has 3"),
    ]


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "'+12025550101",
        " ' +1 202 555 0101 ",
        "+1 (202) 555-0101",
        "+1[202]5550101",
        "+1\xa0202\u2009555\u202f0101",
        "+1\u2011202\u2013555\u22120101",
        "\t+12025550101\n",
        "\u202a+1202\u200b5550101\u202c",
        "\ufeff+12025550101",
        "+1.202.555.0101",
        "0012025550101",
        "tel:+12025550101",
        "＋１２０２５５５０１０１",
        "+١٢٠٢٥٥٥٠١٠١",
        "+1 (0)202 555 0101",
    ],
)
def test_formatting_within_a_number_is_removed(written: str) -> None:
    (contact,) = contacts(f'note,contact_number\nx,"{written}"\n')
    assert contact.number == ONE
    assert contact.cells == ("x", written)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("", "is empty"),
        (" - ", "is empty"),
        ("12025550101", "must begin with + and the country code"),
        ("(202) 555-0101", "must begin with + and the country code"),
        ("''+12025550101", "must begin with + and the country code"),
        ("1.20256E+10", "a spreadsheet has rounded it"),
        ("1,20256E+10", "a spreadsheet has rounded it"),
        ("+02025550101", "7 to 15 digits, the first not 0"),
        ("+491234", "7 to 15 digits"),
        ("+1234567890123456", "7 to 15 digits"),
        ("+1202\n5550101", "7 to 15 digits"),
        ("+12025550101 +12025550102", "more than one plus sign"),
        ("+12025550101.0", "as a decimal number"),
        ("+999123456789", "no country has this code"),
    ],
)
def test_a_number_that_is_not_e164_is_rejected_and_not_repeated(written: str, complaint: str) -> None:
    (row,) = rejected(f'contact_number,note\n"{written}",x\n')
    assert row.line == 2
    assert row.cells == (written, "x")
    assert row.reason.startswith("contact_number: is ")
    assert complaint in row.reason
    assert not written.strip() or written not in row.reason


def test_a_number_that_is_not_called_is_rejected() -> None:
    file = f"contact_number,note\n+44999,x\n+44116123,x\n+1 900 555 1234,x\n+44 845 1234567,x\n{ONE},x\n"
    never = "contact_number: is an emergency or service number of its country, which is never called"
    unless = "contact_number: is a premium-rate or shared-cost number, which the account does not allow"
    assert [row.reason for row in rejected(file)] == [never, never, unless, unless]
    allowed = list(ContactFile([file.encode()], Numbers(), premium=True))
    assert [row.number for row in allowed if isinstance(row, Contact)] == ["+19005551234", "+448451234567", ONE]
    assert [row.reason for row in allowed if isinstance(row, Rejected)] == [never, never]


def test_duplicates_are_found_on_the_normalized_number() -> None:
    spellings = ["+44 (0)7400 111222", "+447400111222", "00447400111222", "+4407400111222", "tel:+44.7400.111222"]
    first, *others = rows("\n".join(["contact_number", *spellings]))
    assert isinstance(first, Contact)
    assert (first.number, first.cells) == ("+447400111222", ("+44 (0)7400 111222",))
    assert [row.reason for row in others if isinstance(row, Rejected)] == ["contact_number: duplicate of line 2"] * 4


def test_a_duplicate_number_is_rejected_with_its_first_line() -> None:
    found = rows(f"contact_number,note\n{ONE},a\n{TWO},b\n'+1 202 555 0101,c\n{ONE},d\n")
    assert [row.reason for row in found if isinstance(row, Rejected)] == ["contact_number: duplicate of line 2"] * 2
    assert [row.line for row in found] == [2, 3, 4, 5]


def test_a_rejected_rows_number_is_no_duplicate_later() -> None:
    found = rows(f"contact_number,note\n{ONE},a,b\n{ONE},\x07\n{ONE},a\n")
    assert [type(row) for row in found] == [Rejected, Rejected, Contact]


# ---- data -----------------------------------------------------------------------------------------------------------


def test_other_columns_may_take_eight_kilobytes_as_json() -> None:
    overhead = len('{"note":"","more":""}')
    for character, size in (("x", 1), ("é", 2), ("😀", 4), ('""', 2)):  # a quote is escaped in JSON
        room, rest = divmod(MAX_DATA_BYTES - overhead, size)
        fits = character * room + "x" * rest
        found = rows(f'contact_number,note,more\n{ONE},"{fits}",\n{TWO},"{fits}",y\n')
        assert isinstance(found[0], Contact)
        assert isinstance(found[1], Rejected)
        assert found[1].reason == "the columns beside contact_number take 8,193 bytes as JSON, at most 8,192"


def test_column_names_count_towards_the_data_size() -> None:
    (row,) = rejected(f"contact_number,{'n' * MAX_DATA_BYTES}\n{ONE},x\n")
    assert "as JSON, at most 8,192" in row.reason
    fits = "😀" * 900
    name = "n" * (MAX_DATA_BYTES - len(f'{{"":"{fits}"}}'.encode()))
    assert len(contacts(f"contact_number,{name}\n{ONE},{fits}\n")) == 1
    assert len(rejected(f"contact_number,{name}n\n{ONE},{fits}\n")) == 1


@pytest.mark.parametrize("control", ["\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f", "\x85", "\x92"])
def test_a_control_character_is_rejected_with_its_column(control: str) -> None:
    found = rows(f"contact_number,note\n{ONE},a\n{TWO},b{control}\n{control}{THREE},c\n")
    code = f"U+{ord(control):04X}"
    assert isinstance(found[0], Contact)
    assert [row.reason for row in found[1:] if isinstance(row, Rejected)] == [
        f"note: has the control character {code}",
        f"contact_number: has the control character {code}",
    ]


def test_tabs_and_line_breaks_are_accepted_in_cells() -> None:
    assert contacts(f'contact_number,note\n{ONE},"a\tb\r\nc\rd\ne"\n')[0].data == {"note": "a\tb\r\nc\rd\ne"}


# ---- quoting --------------------------------------------------------------------------------------------------------


def test_a_row_with_broken_quoting_is_rejected_and_the_next_line_is_read() -> None:
    found = rows(f'contact_number,note\n{ONE},"a"b\n{TWO},c\n')
    reason = "broken quoting: text follows a closing quote; write a quote within a quoted cell twice"
    assert found == [Rejected(2, (ONE, "ab"), reason), Contact(1, 3, TWO, {"note": "c"}, (TWO, "c"))]


def test_a_broken_row_of_several_lines_names_all_of_them() -> None:
    found = rows(f'contact_number,note\n{ONE},"a\n+12025550199,x\nb"c\n{TWO},d\n')
    assert [(row.line, type(row)) for row in found] == [(2, Rejected), (5, Contact)]
    assert isinstance(found[0], Rejected)
    assert found[0].reason.startswith("lines 2 to 4: broken quoting: ")
    assert found[0].cells == (ONE, "a\n+12025550199,x\nbc")


def test_a_broken_row_with_an_endless_cell_is_rejected_alone() -> None:
    found = rows(f'contact_number,note\n{ONE},"a"{"b" * 140_000}\n{TWO},c\n')
    assert isinstance(found[0], Rejected) and found[0].cells[0] == ONE
    assert isinstance(found[1], Contact)


def test_a_quote_within_a_cell_is_a_character() -> None:
    assert contacts(f'contact_number,note\n{ONE},6" pipe\n')[0].data == {"note": '6" pipe'}


def test_a_quote_that_is_never_closed_is_named_by_its_line() -> None:
    assert refusal(f'contact_number,a,b\n{ONE},x,y\n{TWO},"p\nq","r\n{THREE},x,y\n') == (
        "line 4: the quote that opens here is never closed"
    )
    assert refusal(f'contact_number,a\r{ONE},"\r') == "line 2: the quote that opens here is never closed"


def test_a_cell_longer_than_can_be_read_is_named_by_its_line() -> None:
    lines = "".join(f"+1202555{n:04},x,y\n" for n in range(9999))
    assert refusal(f'contact_number,a,b\n{ONE},"1""\n2","3\n{lines}') == (
        "line 3: the quote that opens here is not closed within 131,072 characters"
    )
    assert refusal(f"contact_number,a\n{ONE},x\n{TWO},{'x' * 131_073}\n") == (
        "line 3: a cell that begins here is longer than 131,072 characters"
    )
    quotes = '""' * 70_000
    assert refusal(f'contact_number,a,b\n{ONE},"{quotes}\n","3\n{lines}') == (
        "line 3: the quote that opens here is not closed within 131,072 characters"
    )
    assert refusal(f'contact_number,a,b\n{ONE},"1\n2",{"x" * 131_073},"y\n') == (
        "line 3: a cell that begins here is longer than 131,072 characters"
    )
    quotes = '""' * 131_072  # cells of maximum length, which together exceed the row limit
    (row,) = rejected(f'contact_number,a\n{ONE},"{quotes}"\n')
    assert "as JSON" in row.reason


def test_a_row_above_the_maximum_length_is_named_by_its_first_line() -> None:
    said = "the row that begins here is longer than 1,000,000 characters; is a quote open?"
    assert refusal(f"contact_number,a\n{ONE},x\n{TWO}{',' * 1_000_000}\n") == f"line 3: {said}"
    assert refusal("contact_number," + "x," * 500_000) == f"line 1: {said}"
    assert refusal("x," * 500_001 + "\n") == f"line 1: {said}"
    assert refusal(f'contact_number,a\n{ONE},"x"y{"," * 1_000_000}\n') == f"line 2: {said}"
    many_lines = '"\n",' * 250_001
    assert refusal(f"contact_number,a\n{ONE},x\n{many_lines}\n") == f"line 3: {said}"


# ---- files that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "\n\r\n", "\ufeff", ",,\n,\n"])
def test_an_empty_file_is_refused(content: str) -> None:
    said = refusal(content)
    assert said.startswith("line 1: ")
    assert "column contact_number" in said


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("name,phone", "line 1: the header must have a column contact_number; its columns are name, phone"),
        ("name; phone", "line 1: the header must have a column contact_number; its columns are name, phone"),
        ("Contact_Number", "line 1: the header must have a column contact_number; its columns are Contact_Number"),
        ("\n\nname|phone", "line 3: the header must have a column contact_number; its columns are name, phone"),
        ("contact_number\u200b,a", "its columns are 'contact_number\\u200b', a"),
        ("contact_number,a,contact_number", "line 1: two columns are named contact_number; rename one of them"),
        ("contact_number,a, a", "line 1: two columns are named a; rename one of them"),
        ("contact_number,,a", "line 1: column 2 of 3 has no name; name it or remove it"),
        ("contact_number,a\x07", "line 1: the name of column 2 has the control character U+0007"),
        ('"contact_number"x,a', "line 1: broken quoting in the header"),
        ('contact_number,"a', "line 1: broken quoting in the header"),
        ('"contact_number,a', "line 1: broken quoting in the header"),
    ],
)
def test_an_unusable_header_is_refused_with_its_columns(header: str, said: str) -> None:
    assert said in refusal(f"{header}\n{ONE},x,y\n")


def test_a_long_header_is_abbreviated_in_the_message() -> None:
    said = refusal(",".join(f"column{n}" for n in range(50)))
    assert said.endswith("column19, …")
    assert "x" * 41 not in refusal("x" * 50)


@pytest.mark.parametrize("line", [f"Ada,{ONE}", "2025550101", f"{ONE};x", "'+1 202 555 0101\tx"])
def test_a_file_without_a_header_is_refused(line: str) -> None:
    said = refusal(f"{line}\n{line}\n")
    assert said == "line 1: the first line must be a header, with a column contact_number; it holds a phone number"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "an Excel workbook (.xlsx) or another ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "an Excel workbook (.xls)"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
    ],
)
def test_other_kinds_of_files_are_recognised(content: bytes, kind: str) -> None:
    for pieces in ([content], [content[n : n + 1] for n in range(len(content))]):
        assert refusal(pieces) == f"this seems to be {kind}, not CSV: save it as “CSV UTF-8” and send that file"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"contact_number,note\n{ONE},Zoë\n".encode("latin-1"), "line 2: byte 0xEB is not UTF-8"),
        (f"contact_number,note\r{ONE},x\r".encode() + b"\xff", "line 3: byte 0xFF is not UTF-8"),
        (f"contact_number,note\n{ONE},ë".encode()[:-1], "line 2: byte 0xC3 is not UTF-8"),
        (b"contact_number,note\n\xed\xa0\x80", "line 2: byte 0xED is not UTF-8"),
        (b"caf\xe9,contact_number\n", "line 1: byte 0xE9 is not UTF-8"),
        (codecs.BOM_UTF16_LE + "contact_number\n".encode("utf-16-le") + b"\x00\xdc", "line 2: bytes 0x00 0xDC are not"),
        (codecs.BOM_UTF16_BE + "contact_number\n".encode("utf-16-be") + b"\x00", "line 2: bytes 0x00 are not UTF-16"),
        (f"contact_number,note\n{ONE},a\0b\n".encode(), "line 2: a NUL character (byte 0x00)"),
        ("contact_number\n".encode("utf-16-le"), "line 1: a NUL character (byte 0x00)"),
        ("contact_number\n".encode("utf-32"), "line 1: a NUL character (byte 0x00)"),
    ],
)
def test_undecodable_bytes_are_refused_with_their_line(content: bytes, said: str) -> None:
    found = refusal(content)
    assert found.startswith(said)
    assert found.endswith("save it as “CSV UTF-8” and send that file")
    assert refusal([content[n : n + 1] for n in range(len(content))]) == found


def test_rows_before_an_unreadable_part_are_read() -> None:
    file = iter(opened(f"contact_number\n{ONE}\n{TWO}\n{THREE}".encode() + b"\xff\n"))
    assert [next(file).line, next(file).line] == [2, 3]
    with pytest.raises(InvalidInput, match="line 4: byte 0xFF"):
        next(file)


def test_more_rows_than_a_batch_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts_csv, "MAX_CONTACTS", 3)
    three = f'contact_number,a\n{ONE},x\n\nbad,x\n{TWO},"x"x\n'
    assert len(rows(three)) == 3
    for fourth in (f"{THREE},x", "bad,x", f'{THREE},"x"x'):
        assert refusal(f"{three},\n{fourth}\n") == (
            "line 7: there are more than 3 rows; split the file into several batches"
        )


def test_a_file_is_not_held_in_memory() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"contact_number,note\n"
        for hundred in range(100):
            yield "".join(f'+1{hundred:03}555{n:04},"{"x" * 700}"\n' for n in range(100)).encode()

    class New:
        def first_line(self, _number: str, _line: int) -> None:
            return None

    assert sum(1 for _ in ContactFile(pieces(), New())) == 10_000  # loads libphonenumber's data
    tracemalloc.start()
    assert sum(1 for _ in ContactFile(pieces(), New())) == 10_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000  # of 7 million bytes


@pytest.mark.parametrize("endless", [b"x" * 1000, b'"\n",' * 250, b"," * 1000])
def test_an_endless_row_is_abandoned_early(endless: bytes) -> None:
    pieces = iter([f"contact_number,note\n{ONE},".encode(), *[endless] * 2000])
    with pytest.raises(InvalidInput, match="line 2: the row that begins here"):
        list(ContactFile(pieces, Numbers()))
    assert len(list(pieces)) > 900


# ---- the same bytes give the same rows ------------------------------------------------------------------------------


def cut(content: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(content[start : start + size])
        start += size
    return [*pieces, content[start:]]


def everything(pieces: Sequence[bytes]) -> list[Contact | Rejected | str]:
    """All rows, and the error message at the end, if any."""
    found: list[Contact | Rejected | str] = []
    try:
        found.extend(ContactFile(pieces, Numbers()))
    except InvalidInput as error:
        found.append(error.message)
    return found


SIZES = st.lists(st.integers(0, 20), max_size=60)
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), max_codepoint=0x1F9FF) | st.sampled_from('",;|\t\n\r'))
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@given(
    table=st.integers(0, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=8)),
    at=st.integers(0, 4),
    delimiter=st.sampled_from(",;\t|"),
    style=st.sampled_from(
        [(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_MINIMAL, "\r\n")]
    ),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    sizes=SIZES,
)
@settings(max_examples=examples(300), deadline=None)
def test_cells_come_back_as_they_were_written(
    table: list[list[str]], at: int, delimiter: str, style: tuple[int, str], encoding: str, sizes: list[int]
) -> None:
    width = len(table[0]) if table else 0
    at = min(at, width)
    header = [f"column {n}" for n in range(width)]
    header.insert(at, "contact_number")
    expected = []
    for n, cells in enumerate(table):
        expected.append([*cells[:at], f"+1202555{n:04}", *cells[at:]])
    text = io.StringIO(newline="")
    quoting, end = style
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([header, *expected])
    content = ENCODINGS[encoding] + text.getvalue().encode(encoding)

    file = ContactFile(cut(content, sizes), Numbers())
    found = list(file)

    assert file.columns == tuple(header)
    assert all(isinstance(row, Contact) for row in found)
    assert [list(row.cells) for row in found] == expected
    assert [row.data for row in found if isinstance(row, Contact)] == [
        {name: cell for name, cell in zip(header, row, strict=True) if name != "contact_number"} for row in expected
    ]


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(b'"', b'"', b'""', b",", b",", b";", b"\n", b"\n", b"\r", b"\r\n", b" ", b"'", b"x", b"xxxxxxxx"),
            *(ONE.encode(), TWO.encode(), THREE.encode(), b"\n" + ONE.encode() + b",", b',"', b'",', b'"\n'),
            *("ë".encode(), "😀".encode(), b"\xc2\x85", b"\x07", b"\xf0\x9f", b"\xff", b"\0"),
        ]
    ),
    min_size=3,
    max_size=60,
).map(b"".join)
HEADERS = st.sampled_from([b"contact_number,a\n", b"a;contact_number\r\n", b"contact_number\r"])


@given(header=HEADERS | st.sampled_from([b'"a";x\n', b'a,"b\n', b"\n,,\n", b""]), body=FRAGMENTS, sizes=SIZES)
@settings(max_examples=examples(500), deadline=None)
def test_chunk_sizes_make_no_difference(header: bytes, body: bytes, sizes: list[int]) -> None:
    content = header + body
    whole = everything([content])
    assert everything(cut(content, sizes)) == whole
    assert everything([content[n : n + 1] for n in range(len(content))]) == whole


@given(header=HEADERS, body=FRAGMENTS, sizes=SIZES, row=st.integers(40, 80), cell=st.integers(14, 30))
@settings(max_examples=examples(500), deadline=None)
def test_chunk_sizes_make_no_difference_to_length_limits(
    header: bytes, body: bytes, sizes: list[int], row: int, cell: int
) -> None:
    content = header + body
    limit = csv.field_size_limit(cell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contacts_csv, "MAX_ROW_CHARACTERS", row)
        patch.setattr(contacts_csv, "_SMALL_ROW", 10)
        try:
            whole = everything([content])
            assert everything(cut(content, sizes)) == whole
            assert everything([content[n : n + 1] for n in range(len(content))]) == whole
        finally:
            csv.field_size_limit(limit)


def records(text: str) -> tuple[list[tuple[int, list[str] | None]], bool]:
    """The reference, `csv.reader` on the whole text: (first line, cells) of each non-empty record, None for unreadable
    cells; and whether a quote was still open at the end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[tuple[int, list[str] | None]] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return found, False
        except csv.Error as error:
            if "end of data" in str(error):
                return found, True
            found.append((line, None))
            continue
        if any(cells):
            found.append((line, cells))


@given(
    body=st.lists(
        st.sampled_from(['"', '""', ",", "\n", "\r", "\r\n", "x", "ë", "😀", " ", ONE, f"\n{TWO},", f"\n{THREE},x\n"]),
        max_size=40,
    ).map("".join),
    sizes=SIZES,
)
@settings(max_examples=examples(500), deadline=None)
def test_every_record_is_a_contact_or_rejected(body: str, sizes: list[int]) -> None:
    text = "contact_number,a\n" + body
    expected, is_open = records(text)
    found = everything(cut(text.encode(), sizes))
    if is_open:
        said = found.pop()
        assert isinstance(said, str) and said.endswith("the quote that opens here is never closed")
    assert len(found) == len(expected) - 1
    for row, (line, cells) in zip(found, expected[1:], strict=True):
        assert not isinstance(row, str)
        assert row.line == line
        if cells is None:
            assert isinstance(row, Rejected) and "broken quoting" in row.reason
        else:
            kept = cells if any(cells[2:]) else [*cells, ""][:2]
            assert list(row.cells) == kept
    rows_of_contacts = [row.row for row in found if isinstance(row, Contact)]
    assert rows_of_contacts == list(range(1, len(rows_of_contacts) + 1))


def test_seen_numbers_on_disk_and_in_memory_agree() -> None:
    content = "contact_number\n" + "".join(f"+1202555{n * 7 % 500:04}\n" for n in range(1000))
    with SqliteSeenNumbers() as seen:
        assert list(ContactFile([content.encode()], seen)) == rows(content)


# ---- writing --------------------------------------------------------------------------------------------------------


def test_a_line_is_written_as_in_rfc_4180() -> None:
    assert write_row(["a", "b,c", 'say "hi"', "two\nlines", "cr\rlf", "", " x "]) == (
        'a,"b,c","say ""hi""","two\nlines","cr\rlf",, x \r\n'
    )
    assert write_row([""]) == '""\r\n'


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "\tx", "\rx", "\nx", "+1+cmd|' /C calc'!A0", "-2+3", "-A1", "+x", "＝1", "－A1", "-1%"]
)
def test_formulas_are_written_as_text(cell: str) -> None:
    written = next(csv.reader(io.StringIO(write_row([cell, "x"]), newline="")))
    assert written == [f"'{cell}", "x"]


@pytest.mark.parametrize(
    "cell",
    [ONE, "+1 (202) 555-0101", "-12.50", "-1,000", "-", "+", "+1\xa0202\u2013555", "a=b", "'=1", "x@y.example", ""],
)
def test_numbers_and_text_are_written_unchanged(cell: str) -> None:
    assert next(csv.reader(io.StringIO(write_row([cell, "x"]), newline=""))) == [cell, "x"]


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_written_rows_can_be_read(cells: list[str]) -> None:
    (read,) = csv.reader(io.StringIO(write_row(cells), newline=""), strict=True)
    assert len(read) == len(cells)
    assert all(found in (cell, f"'{cell}") for found, cell in zip(read, cells, strict=True))
    assert not any(found[:1] in ("=", "@", "\t", "\r") for found in read if found)


def test_rejected_rows_keep_the_uploaded_columns_and_get_line_and_reason() -> None:
    columns = ("contact_number", "note")
    assert rejected_header(columns) == "contact_number,note,line,reason\r\n"
    assert rejected_row(columns, Rejected(7, ("=bad", "x"), "why, then")) == '\'=bad,x,7,"why, then"\r\n'
    assert rejected_row(columns, Rejected(8, ("bad",), "why")) == "bad,,8,why\r\n"
    assert rejected_row(columns, Rejected(9, ("bad", "x", "", "more"), "why")) == "bad,x,9,why,,more\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator_line", [False, True])
def test_derived_files_are_written_in_the_dialect_of_the_upload(
    delimiter: str, mark: str, separator_line: bool
) -> None:
    first = f"sep={delimiter}\r\n" if separator_line else ""
    uploaded = f'{mark}{first}contact_number{delimiter}name\r\n{ONE}{delimiter}"Zoë {delimiter}"\r\nbad\r\n'
    file = opened(uploaded)
    contact, bad = file
    assert isinstance(contact, Contact) and isinstance(bad, Rejected)
    results = results_header(file.columns, file.dialect) + results_row(contact, None, file.dialect)
    rejected_rows = rejected_header(file.columns, file.dialect) + rejected_row(file.columns, bad, file.dialect)
    for text, row in ((results, contact), (rejected_rows, bad)):
        assert text.startswith(f"{mark}{first}contact_number{delimiter}name{delimiter}")
        again = opened(text)
        assert again.dialect == file.dialect
        assert [found.cells[:2] for found in again] == [row.cells]


def test_rejected_rows_can_be_fixed_and_uploaded_again() -> None:
    file = opened("contact_number,note\nbad,a\n")
    again = rejected_header(file.columns)
    for row in file:
        assert isinstance(row, Rejected)
        again += rejected_row(file.columns, row).replace("bad", ONE)
    (contact,) = contacts(again)
    assert contact.data["note"] == "a"


def test_added_columns_are_renamed_on_a_name_clash() -> None:
    assert rejected_header(("reason", "contact_number")) == "reason,contact_number,line,redial_reason\r\n"
    twice = results_header(("contact_number", "status", "redial_status")).strip().split(",")
    assert twice[3:5] == ["execution_id", "redial_redial_status"]
    for own in (REJECTED_COLUMNS, RESULT_COLUMNS):
        header = results_header(("contact_number", *own)).strip().split(",")
        assert len(set(header)) == len(header)


def result(contact: Contact, **expected: str) -> dict[str, str]:
    return dict.fromkeys(("contact_number", "note", *RESULT_COLUMNS), "") | {
        "contact_number": contact.cells[0],
        "note": contact.cells[1],
        **expected,
    }


def test_results_follow_the_row_as_uploaded() -> None:
    columns = ("contact_number", "note")
    (contact,) = contacts('contact_number,note\n\'+1 202 555 0101,"a, b"\n')

    def read(line: str) -> dict[str, str]:
        (row,) = csv.DictReader(io.StringIO(results_header(columns) + line, newline=""))
        return row

    assert read(results_row(contact, None)) == result(contact)

    execution = queued()
    known = {"execution_id": EXECUTION_ID, "conversation_duration": "0"}
    assert read(results_row(contact, execution)) == result(contact, **known, status="queued", attempts="0")

    execution = placed(execution, TEN + minutes(1))
    dialled = {**known, "attempts": "1", "first_dialed_at": "2026-01-26T10:01:00.000Z"}
    assert read(results_row(contact, execution)) == result(
        contact, **dialled, status="initiated", last_dialed_at="2026-01-26T10:01:00.000Z"
    )

    execution = reported(execution, Status.NO_ANSWER, TEN + minutes(2), reason="rang out")
    assert read(results_row(contact, execution)) == result(
        contact,
        **dialled,
        status="scheduled",
        last_dialed_at="2026-01-26T10:01:00.000Z",
        reason="rang out",
        outcome="no-answer",
    )

    execution = placed(execution, TEN + minutes(32))
    execution = reported(execution, Status.IN_PROGRESS, TEN + minutes(32) + seconds(9))
    execution = reported(
        execution, Status.COMPLETED, TEN + minutes(33), duration_seconds=51, voicemail=False, reason="hung up"
    )
    assert read(results_row(contact, execution)) == result(
        contact,
        execution_id=EXECUTION_ID,
        status="completed",
        attempts="2",
        first_dialed_at="2026-01-26T10:01:00.000Z",
        last_dialed_at="2026-01-26T10:32:00.000Z",
        ended_at="2026-01-26T10:33:00.000Z",
        conversation_duration="51",
        answered_by_voice_mail="false",
        reason="answered",
        outcome="answered",
    )


def test_a_stopped_contact_has_a_reason_and_a_time() -> None:
    (contact,) = contacts(f"contact_number\n{ONE}\n")
    over = queued().end(TEN + timedelta(seconds=5), stopped("batch stopped"))
    assert results_row(contact, over) == (
        f"{ONE},{EXECUTION_ID},stopped,0,,,2026-01-26T10:00:05.000Z,0,,batch stopped,\r\n"
    )
