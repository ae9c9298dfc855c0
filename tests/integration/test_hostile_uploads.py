"""Hostile contact files: refused with the field, or failed with a reason, and never kept in memory.

`tests/unit/test_contacts_csv.py` tests single malformed rows, `test_hostile_input` malformed forms.
"""

import csv
import gzip
import io
import itertools
import tracemalloc
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from redial.adapters import batch_csv
from redial.adapters.batch_csv import CsvContacts
from redial.domain.errors import InvalidInput
from redial.wire import contacts_csv
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import Answer, LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

HEADER = b"contact_number,name\n"
ROW = b"+12025550101,Ann\n"
MOST_BYTES = 4 * 1024 * 1024
"""The largest file in a request."""


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


ZEROS = bytes(50_000_000)
UNUSABLE = {
    "one line of 4 MB": b"x" * (MOST_BYTES - 100),
    "a header of a million columns": b"contact_number" + b",x" * 1_000_000,
    "a header of a million empty columns": b"contact_number" + b"," * 1_000_000 + b"\n" + ROW,
    "a row of a million columns": HEADER + b"+12025550101" + b",x" * 1_000_000,
    "a cell of 4 MB": HEADER + b"+12025550101," + b"x" * (MOST_BYTES - 100),
    "a quoted cell of a million lines": HEADER + b'+12025550101,"' + b"\n" * 1_000_000 + b'"\n',
    "a quote that never ends": HEADER + b'+12025550101,"' + ROW * 100_000,
    "a million empty lines": b"\n" * 1_000_000,
    "a million lines of nothing": HEADER + b",\n" * 1_000_000,
    "gzip": gzip.compress(HEADER + ROW),
    "a gzip bomb": gzip.compress(ZEROS),
    "ZIP": zipped("contacts.csv", HEADER + ROW),
    "a ZIP bomb": zipped("contacts.csv", ZEROS),
    "an Excel workbook": zipped("xl/worksheets/sheet1.xml", b"<x/>"),
    "zeros": bytes(1_000_000),
    "a null byte": HEADER + b"+12025550101,A\x00n\n",
    "no UTF-8": HEADER + b"+12025550101,\xff\n",
    "a surrogate in UTF-8": HEADER + b"+12025550101,\xed\xa0\x80\n",
    "UTF-16 that breaks off": (HEADER + ROW).decode().encode("utf-16")[:-1],
    "HTML": b"<!doctype html><title>contacts</title>",
    "numbers that are formulas": b'contact_number\n=HYPERLINK("https://evil.example/")\n@SUM(A1)\n-1+2\n',
}


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def create(client: LocalClient, file: bytes, *fields: tuple[str, str], file_name: str = "contacts.csv") -> Answer:
    form = multipart([("agent_id", client.stack.agent_id), *fields], file, file_name)
    return client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)


def upload(client: LocalClient, file: bytes) -> Answer:
    """Create a batch of a file uploaded by its pre-signed URL."""
    address = client.api("POST", "/batches/uploads", {"size": len(file)}).json
    assert request("PUT", address["url"], file).status == 200
    return client.api("POST", "/batches", {"agent_id": client.stack.agent_id, "upload_id": address["upload_id"]})


def batches(client: LocalClient) -> list[Any]:
    found: list[Any] = client.api("GET", f"/batches/{client.stack.agent_id}/all").json
    return found


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_file_is_refused_in_either_way_of_upload(client: LocalClient, name: str) -> None:
    before = batches(client)
    for answer in (create(client, UNUSABLE[name]), upload(client, UNUSABLE[name])):
        assert answer.status == 400, answer
        assert answer.json["errors"][0]["field"] == "file"
        assert 10 < len(answer.json["message"]) < 1000
    assert batches(client) == before


def test_a_file_unusable_beyond_the_checked_part_fails_its_batch(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request checks only the first rows."""
    monkeypatch.setattr("redial.adapters.batch_csv.CHECK_ROWS", 10)
    rows = b"".join(b"+1202555%04d,x\n" % index for index in range(20))
    for bad, said in ((b"\xff\n", "line 22"), (b"x" * 2_000_000, "longer than"), (b'"', "never closed")):
        answer = create(client, HEADER + rows + bad, ("start", "now"))
        assert answer.status == 201, answer
        client.advance(1)
        failed = client.api("GET", f"/batches/{answer.json['batch_id']}").json
        assert (failed["status"], said in failed["reason"]) == ("failed", True)
        for file in ("results.csv", "rejected.csv"):
            answer_of_file = client.api("GET", f"/batches/{answer.json['batch_id']}/{file}")
            assert (answer_of_file.status, said in answer_of_file.json["message"]) == (409, True)


@pytest.mark.parametrize(
    "file_name", ["../../etc/passwd", "a\x00b", "=cmd|' /C calc'!A0", "é\U0001f4a9", "x" * 3000, "", "a;b", "C:\\x.csv"]
)
def test_a_file_name_is_only_displayed(client: LocalClient, file_name: str) -> None:
    answer = create(client, HEADER + ROW, file_name=file_name)
    assert answer.status == 201, answer
    client.advance(1)
    batch_id = answer.json["batch_id"]
    shown = client.api("GET", f"/batches/{batch_id}").json["file_name"]
    assert file_name.endswith(shown)
    assert len(shown) <= 200
    results = client.api("GET", f"/batches/{batch_id}/results.csv")
    assert results.headers["content-disposition"] == f'attachment; filename="{batch_id}-results.csv"'


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("filename*=utf-8''%D0%BA.csv", "к.csv"),
        ("filename*=UTF-8'ru'%D0%BA.csv", "к.csv"),
        ("filename*=iso-8859-1''%e9.csv", "é.csv"),
        ("filename=\"k.csv\"; filename*=utf-8''%D0%BA.csv", "к.csv"),
        ("filename*=utf-8''%D0%BA.csv; filename=\"k.csv\"", "к.csv"),
        ("FileName*=utf-8''k%3B.csv", "k;.csv"),
        ("filename=\"a; filename*=utf-8''b.csv\"", "a; filename*=utf-8''b.csv"),
    ],
)
def test_a_file_name_may_be_an_extended_parameter(client: LocalClient, parameters: str, shown: str) -> None:
    answer = client.api("POST", "/batches", with_parameters(client, parameters), Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    assert client.api("GET", f"/batches/{answer.json['batch_id']}").json["file_name"] == shown


@pytest.mark.parametrize("parameters", ["filename*=utf-8''%FF.csv", "filename*=raw-unicode-escape''%5Cud800"])
def test_a_file_name_that_is_no_text_is_refused(client: LocalClient, parameters: str) -> None:
    answer = client.api("POST", "/batches", with_parameters(client, parameters), Content_Type=CONTENT_TYPE)
    assert answer.status == 400, answer


def with_parameters(client: LocalClient, parameters: str) -> bytes:
    """A form with a file whose Content-Disposition has these parameters after its name."""
    form = multipart([("agent_id", client.stack.agent_id)], HEADER + ROW, file_name="x")
    return form.replace(b'filename="x"', parameters.encode())


def test_no_cell_of_a_returned_file_is_a_formula(client: LocalClient) -> None:
    """Redial's and the uploaded columns, names included, are covered; a phone number keeps its +."""
    formulas = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("https://evil.example","x")']
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["contact_number", *[f"=column{index}" for index in range(len(formulas))]])
    writer.writerow(["+12025550101", *formulas])
    writer.writerow(["=cmd|' /C calc'!A0", *formulas])
    answer = create(client, file.getvalue().encode())
    assert answer.status == 201, answer
    client.advance(1)
    for name, numbers in (("results", ["+12025550101"]), ("rejected", ["'=cmd|' /C calc'!A0"])):
        text = client.api("GET", f"/batches/{answer.json['batch_id']}/{name}.csv").body.decode()
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        assert [row[0] for row in rows] == numbers
        for row in rows:
            assert row[1 : 1 + len(formulas)] == [f"'{formula}" for formula in formulas]
        assert header[1] == "'=column0"
        for cell in itertools.chain(header, *rows):
            assert not cell.startswith(("=", "@", "\t", "\r", "-", "＝")), cell


# ---- memory -------------------------------------------------------------------------------------------------------

PIECE = 64 * 1024
GIGABYTE = 1024 * 1024 * 1024
ENDLESS = {
    "a line": (b"x", b"x" * PIECE),
    "a quoted cell": (b'"', b"\n" * PIECE),
    "a quoted cell of quotes": (b'"', b'""' * (PIECE // 2)),
    "carriage returns in quotes": (b'"', b"\r" * PIECE),
    "columns": (b"x", b"," * PIECE),
    "characters of four bytes": (b'"', "\U0001f4a9".encode() * (PIECE // 4)),
}


def endless(beginning: bytes, piece: bytes) -> Iterator[bytes]:
    """Up to a gigabyte, generated on demand."""
    yield HEADER + b"+12025550101," + beginning
    yield from itertools.repeat(piece, GIGABYTE // PIECE)


@pytest.mark.parametrize("name", ENDLESS)
def test_a_row_of_a_gigabyte_is_read_only_to_the_row_limit(name: str) -> None:
    pieces = endless(*ENDLESS[name])
    with traced() as most, pytest.raises(InvalidInput) as refused:
        CsvContacts().check(pieces, premium=False)
    assert refused.value.errors[0].field == "file"
    assert most[0] < 40_000_000
    assert sum(1 for _ in pieces) > GIGABYTE // PIECE - 100


@pytest.mark.parametrize("line", [b"\n", b",\n", b"\r"])
def test_a_gigabyte_of_empty_lines_is_read_only_to_the_limit(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines are not rows, so without their own limit reading them would exceed the function's timeout."""
    monkeypatch.setattr(contacts_csv, "MAX_CONTACTS", 50_000)
    pieces = itertools.chain([HEADER], itertools.repeat(line * PIECE, GIGABYTE // PIECE))
    with pytest.raises(InvalidInput, match=r"line 50002: there are more than 50,000 empty lines; remove them"):
        CsvContacts().check(pieces, premium=False)
    assert sum(1 for _ in pieces) > GIGABYTE // PIECE - 100


def test_only_the_beginning_of_a_large_file_is_checked_in_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_csv, "CHECK_BYTES", 1_000_000)
    pieces = itertools.chain([HEADER], itertools.repeat(b"+12025550101," + b"x" * 5000 + b"\n", GIGABYTE // PIECE))
    CsvContacts().check(pieces, premium=False)
    assert sum(1 for _ in pieces) > GIGABYTE // PIECE - 300


@pytest.mark.parametrize("line", [b"\n", b"x,y,z,a,b,c\n", b'"x"y\n', b"=1,=2\n"])
def test_fifty_thousand_skipped_lines_are_not_kept(line: bytes) -> None:
    pieces = itertools.chain([HEADER], itertools.repeat(line * 1000, 50))
    with traced() as most, CsvContacts().rows(pieces, premium=False) as rows:
        assert not any(row.startswith("+") for row in rows if isinstance(row, str))
    assert most[0] < 10_000_000


class traced:  # noqa: N801  used as a function
    """Measures the peak memory of Python's objects within the block, in bytes."""

    def __enter__(self) -> list[int]:
        tracemalloc.start()
        self._most = [0]
        return self._most

    def __exit__(self, *_: object) -> None:
        self._most[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
