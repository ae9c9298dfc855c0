"""`python -m bench.ingest`: measure how a batch's file of a million rows is read and stored. Prints Markdown.

README.md describes the measurement and the baseline. The function under test runs in its own process and sends its
requests to `Sink` in this one; moto would need gigabytes and hours for a million items. TLS and DynamoDB's own time are
left out on both sides: they would improve the ratio. The ratio of processor time does not include the sink.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from bench.cold_start import run_python
from bench.ingest_runs import BATCH_ID, NOON
from bench.report import paragraph, say, show, table
from local import ROOT
from local.aws.dynamodb import inserted
from local.template import Template
from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.batch import Batch
from redial.domain.retry import RetryConfig
from redial.usecases.run_batch import WRITERS
from redial.wire import stored_batch

ROWS = 1_000_000
SEED = 20260126
"""The seed of the file's content."""
MOST_MEMORY_MB = 256
MOST_TIMES_BASELINE = 2.5
"""The goal for processor time, as a multiple of the baseline's."""
LEAST_ROWS_A_SECOND = 8_000
MB = 2**20

ACCOUNT_ID, AGENT_ID = "7b0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c01", "1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02"

BAD_NUMBERS = ("", "n/a", "555-0123", "4155550123", "+0415555012", "4.1555E+10", "+1415555012345678")
FIRST_NAMES = ("Ana", "Zoë", "Mohammed", "Anne-Marie", "Li", "Bartholomew", "Søren", "Ines", "Guillermo", "Ngozi")
NOTES = (
    "Please bring the insurance card",
    '"Prefers mornings, and ""Bob"" to Robert"',
    "Moved last week; ask for the new address",
    "",
    '"Two people, one wheelchair"',
    "First visit",
)
INSERTS = "DynamoDB BatchExecuteStatement"


# ---- the file --------------------------------------------------------------------------------------------------------


def write_contacts(path: Path, rows: int, chance: random.Random) -> int:
    """Write a file in which one row in a hundred is bad or a duplicate. Returns the number of contacts."""
    contacts = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("contact_number,first_name,appointment,note\r\n")
        for index in range(rows):
            number = _number(index)
            kind = 1.0 if index % 100 == 0 else chance.random()  # duplicates repeat every hundredth row
            if kind < 0.005:
                number = chance.choice(BAD_NUMBERS)
            elif kind < 0.01:
                number = _number(chance.randrange(index) // 100 * 100)
            else:
                contacts += 1
                if kind < 0.1:
                    number = f"{number[:2]} ({number[2:5]}) {number[5:8]}-{number[8:]}"
            at = f"2026-02-{1 + index % 28:02d} {8 + index % 10:02d}:30"
            file.write(f"{number},{chance.choice(FIRST_NAMES)},{at},{chance.choice(NOTES)}\r\n")
    return contacts


def _number(index: int) -> str:
    """One of ten million different numbers, in no order, as in real files."""
    return f"+1{2_125_550_000 + index * 7_368_787 % 10_000_019}"


# ---- the emulated services -------------------------------------------------------------------------------------------


class Sink(ThreadingHTTPServer):
    """The parts of DynamoDB, S3, SQS and Lambda that reading a batch's file needs; any other request is answered 400.

    It contains only the batch, with the `file` to read. DynamoDB waits `wait` seconds before each answer. `contacts`:
    keys of items inserted by PartiQL. `requests`: their number by name. `inserts`: the last full request of inserts.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, file: Path, wait: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.file = file
        self.wait = wait
        self.contacts: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.inserts: list[Any] = []
        retries = RetryConfig(enabled=True)
        batch = Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, NOON, file.name, retry_config=retries, version=1)
        item = to_item(stored_batch.encode(batch.begin(NOON, start=False).with_due(NOON)))
        self._items = {_key(item): item}
        self._lock = threading.Lock()

    @property
    def batch(self) -> Batch:
        return stored_batch.decode(from_item(self._items[f"B#{BATCH_ID}", "B"]))

    @contextmanager
    def serving(self) -> Iterator[None]:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()

    def answer(self, name: str, body: bytes) -> bytes | None:
        """The answer's body. None if the request is unknown."""
        with self._lock:
            self.requests[name] += 1
            match name:
                case "DynamoDB BatchExecuteStatement":
                    statements = json.loads(body)["Statements"]
                    self.inserts = statements if len(statements) == 25 else self.inserts
                    self.contacts.update(inserted(one)[1]["pk"]["S"] for one in statements)
                    return json.dumps({"Responses": [{"TableName": "table"}] * len(statements)}).encode()
                case "DynamoDB GetItem":
                    item = self._items.get(_key(json.loads(body)["Key"]))
                    return json.dumps({} if item is None else {"Item": item}).encode()
                case "DynamoDB PutItem":
                    item = json.loads(body)["Item"]
                    self._items[_key(item)] = item
                    return b"{}"
                case "S3 GET":
                    return self.file.read_bytes()
                case "S3 PUT" | "Lambda POST":
                    return b""
                case "SQS SendMessage":
                    return b'{"MessageId": "1"}'
        say(f"not answered: {name}")
        return None


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


class _Handler(BaseHTTPRequestHandler):
    """Has no timeout: the client reads a file as slowly as it stores contacts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Sink

    def do_POST(self) -> None:
        service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        name = f"{'SQS' if service == 'AmazonSQS' else 'DynamoDB'} {operation}"
        if not service:
            name = f"{'Lambda' if '/functions/' in self.path else 'S3'} {self.command}"
        answer = self.server.answer(name, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if name.startswith("DynamoDB"):
            time.sleep(self.server.wait)
        status, content = (400, b"{}") if answer is None else (200, answer)
        # Head and body in one write: the second of two would wait for the first one's acknowledgement.
        self.wfile.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are counted, not logged."""


# ---- the measurement -------------------------------------------------------------------------------------------------


class Took(NamedTuple):
    """Clock and processor time in seconds, and the process's peak memory in bytes."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_bytes: int = 0

    def plus(self, other: "Took") -> "Took":
        peak = max(self.peak_bytes, other.peak_bytes)
        return Took(self.seconds + other.seconds, self.processor_seconds + other.processor_seconds, peak)


class Measured(NamedTuple):
    """The measurements. `requests`: the ingest's, by name."""

    ingest: Took
    read: Took
    write: Took
    requests: Counter[str]


def measure(file: Path, contacts: int, wait: float, writers: int) -> Measured:
    """Run the function on the file, in as many invocations as needed, then the baseline.

    Raises `RuntimeError` if a process fails, or does not store exactly the file's contacts.
    """
    functions = Template(ROOT / "template.yaml").functions({})
    (function,) = (one for one in functions if one.module == "functions.batch.handler")
    settings = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false", "POWERTOOLS_TRACE_DISABLED": "true"}
    settings |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")

    def run(sink: Sink, call: str) -> list[Took]:
        """The measurements that a new process prints in its log."""
        source = f"from bench import ingest_runs; ingest_runs.{call}"
        output = run_python(function, "-c", source, more={**settings, "AWS_ENDPOINT_URL": sink.url})
        return [Took(*json.loads(line)) for line in output.splitlines() if line.startswith("[")]

    sink, ingest = Sink(file, wait), Took()
    with sink.serving():
        while not sink.batch.ingested:
            say("ingest")
            (one,) = run(sink, f"run_function({ingest.seconds}, {function.timeout_seconds}, {writers})")
            ingest = ingest.plus(one)
    if not len(sink.contacts) == sink.batch.valid == contacts:
        raise RuntimeError(f"{len(sink.contacts)} contacts stored, of {contacts}: {sink.batch}")
    say("baseline")
    statements, plain = file.with_name("statements.json"), Sink(file, wait)
    statements.write_text(json.dumps(sink.inserts))
    at = sink.inserts[0]["Parameters"].index(inserted(sink.inserts[0])[1]["pk"])
    with plain.serving():
        read, write = run(plain, f"run_baseline({str(file)!r}, {str(statements)!r}, {at}, {sink.requests[INSERTS]})")
    return Measured(ingest, read, write, sink.requests)


def report(rows: int, found: Measured) -> Iterator[str]:
    baseline, inserts = found.read.plus(found.write), found.requests[INSERTS]
    yield f"## A batch's file of {rows:,} rows, read and stored"
    measured = (
        ("`csv.reader` over the file", found.read, 0),
        ("the same writes, with parameters ready", found.write, inserts),
        ("**baseline**: these two", baseline, inserts),
        ("**ingest**: the batch function", found.ingest, found.requests.total()),
    )
    ratio = found.ingest.processor_seconds / baseline.processor_seconds
    yield table(
        ["", "seconds", "rows per second", "processor seconds", "memory at most, MB", "AWS requests"],
        [
            *(
                [
                    title, f"{took.seconds:,.1f}", f"{rows / took.seconds:,.0f}", f"{took.processor_seconds:,.1f}",
                    f"{took.peak_bytes / MB:,.0f}", f"{asked:,}",
                ]
                for title, took, asked in measured
            ),
            ["ingest ÷ baseline", f"**{found.ingest.seconds / baseline.seconds:.2f}**", "", f"**{ratio:.2f}**", "", ""],
        ],
    )  # fmt: skip
    by_name = ", ".join(f"{name} {count:,}" for name, count in sorted(found.requests.items()))
    yield paragraph(f"Requests of the ingest: {by_name}. Python {sys.version_info.major}.{sys.version_info.minor}.")


def main() -> int:
    """Run the measurement. Returns 0 if every target is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--wait", type=float, default=0.0, help="milliseconds that DynamoDB waits before each answer")
    parser.add_argument("--writers", type=int, default=WRITERS, help=f"writers at once ({WRITERS}, as deployed)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redial-bench-") as folder:
        file = Path(folder) / "contacts.csv"
        say(f"writing a file of {asked.rows:,} rows")
        contacts = write_contacts(file, asked.rows, random.Random(SEED))
        found = measure(file, contacts, asked.wait / 1000, asked.writers)
    show(report(asked.rows, found))
    most = MOST_TIMES_BASELINE * found.read.plus(found.write).processor_seconds
    targets = {
        f"memory under {MOST_MEMORY_MB} MB": found.ingest.peak_bytes < MOST_MEMORY_MB * MB,
        f"at most {MOST_TIMES_BASELINE:g} times the baseline's processor time": found.ingest.processor_seconds <= most,
        f"at least {LEAST_ROWS_A_SECOND:,} rows a second": asked.rows / found.ingest.seconds >= LEAST_ROWS_A_SECOND,
    }
    show(["\n".join(f"- {target}: {'met' if met else '**missed**'}" for target, met in targets.items())])
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
