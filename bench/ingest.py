"""`python -m bench.ingest`: a batch's file of a million rows read and stored, measured. Prints Markdown.

README.md describes the measurement and the baseline. The function under test runs in a process of its own and sends its
requests to `Sink` in this one; moto would need gigabytes and hours for a million items. TLS and DynamoDB's own time are
left out on both sides: they would make the ratio better. The ratio of processor time does not contain the sink.
"""

import argparse
import csv
import hashlib
import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from bench.prices import MS_PER_AWS_REQUEST
from bench.report import bullets, paragraph, say, table
from local import ROOT
from local.aws.dynamodb import inserted
from redial.usecases.run_batch import WRITERS

ROWS = 1_000_000
KILLS = 10
SEED = 20260126
"""Of the file's content and of the points at which the function is killed."""
MOST_MEMORY_MB = 256
MOST_TIMES_BASELINE = 2.5
"""Of its processor time."""
LEAST_ROWS_A_SECOND = 8_000
WAITING_ROWS = 50_000
WAITS = (MS_PER_AWS_REQUEST / 1000, 2 * MS_PER_AWS_REQUEST / 1000)
MB = 2**20

NOON = datetime.fromisoformat("2026-01-26T12:00:00+00:00")
BATCH_ID = "5f3a6c1e9b7d4e2f8a0c1d2e3f4a5b6c"
ACCOUNT_ID, AGENT_ID = "7b0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c01", "1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02"
FOLDER = f"batches/{ACCOUNT_ID}/{BATCH_ID}"
LAMBDA_RETRIES = timedelta(minutes=15)
SWEEPER_FINDS_IT = timedelta(minutes=17)
"""Both after the start of the killed invocation: the function's longest run, and the end of its lease."""

BAD_NUMBERS = ("", "n/a", "555-0123", "4155550123", "+0415555012", "4.1555E+10", "+1415555012345678")
FIRST_NAMES = ("Ana", "Zoë", "Mohammed", "Anne-Marie", "Li", "Bartholomew", "Søren", "Ines", "Guillermo", "Ngozi")
NOTES = (
    "Please bring the insurance card",
    '"Prefers mornings, and ""Bob"" to Robert"',
    "StatusMove from last week; ask for the new address",
    "",
    '"Two people, one wheelchair"',
    "First visit",
)
INSERTS = "dynamodb BatchExecuteStatement"

Item = dict[str, dict[str, Any]]
Answer = tuple[int, bytes]
Phase = Literal["before", "after", "between"]
"""When the function is killed: before the request has an effect, before the answer, or just after the answer."""
PHASES: tuple[Phase, ...] = ("before", "after", "between")


# ---- the file --------------------------------------------------------------------------------------------------------


def write_contacts(path: Path, rows: int, chance: random.Random) -> int:
    """A file in which one row in a hundred is bad or a duplicate; returns the number of contacts."""
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
    """One of ten million different numbers, unsorted like those of real files."""
    return f"+1{2_125_550_000 + index * 7_368_787 % 10_000_019}"


# ---- the emulated services -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Kill the client at the first request from number `at` on. `seconds`: how long after the answer."""

    at: int
    phase: Phase
    seconds: float


class Sink:
    """The parts of DynamoDB, S3, SQS and Lambda that reading a batch's file needs.

    `contacts`: items inserted by PartiQL, execution id → digest. `items`: items put. `files`: S3's objects. `requests`
    counts requests by name; `inserts` is the last full request of inserts. `cut`: when to kill `process`, the client;
    `cut_name`: the request at which that last happened. `wait`: seconds that DynamoDB waits before each answer. Any
    other request is answered 400, which ends the run.
    """

    def __init__(self, files: Path, wait: float = 0.0) -> None:
        self.files = files
        self.wait = wait
        self.contacts: dict[bytes, bytes] = {}
        self.items: dict[tuple[str, str], Item] = {}
        self.requests: Counter[str] = Counter()
        self.inserts: list[Any] = []
        self.cut: Cut | None = None
        self.cut_name = ""
        self.process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def respond(self, request: "_Handler", body: bytes) -> None:
        """Answer the request, unless the client is killed."""
        target, where = request.headers.get("X-Amz-Target"), "lambda" if "/functions/" in request.path else "s3"
        service, _, operation = (target or "").partition(".")
        of = "sqs" if service == "AmazonSQS" else "dynamodb"
        name = f"{of} {operation}" if target else f"{where} {request.command}"
        with self._lock:
            self.requests[name] += 1
            cut = self.cut if self.cut is not None and self.requests.total() >= self.cut.at else None
            if cut is not None:
                self.cut, self.cut_name = None, name
        if cut is not None and cut.phase == "before":
            return self._kill()
        new: list[tuple[bytes, Item]] = []
        if name == "s3 GET":
            request.send_file(self._file(request))
        else:
            with self._lock:
                status, answer = self._answer(name, request, body, new)
            if target and self.wait:
                time.sleep(self.wait)
            if cut is not None and cut.phase == "after":
                self._kill()
            else:
                request.send(status, answer)
        if cut is not None and (cut.phase == "between" or name == "s3 GET"):
            time.sleep(cut.seconds)
            self._kill()
        for contact_id, item in new:  # after the answer, so the client does not wait for this
            text = json.dumps(item, sort_keys=True)
            self.contacts[contact_id] = hashlib.blake2b(text.encode(), digest_size=16).digest()

    def is_armed(self) -> bool:
        return self.cut is not None

    def _kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def _file(self, request: "_Handler") -> Path:
        return self.files / request.path.split("?")[0].split("/", 2)[2]

    def _answer(self, name: str, request: "_Handler", body: bytes, new: list[tuple[bytes, Item]]) -> Answer:
        """`new`: contacts that it stores are added."""
        match name:
            case "dynamodb BatchExecuteStatement":
                return 200, json.dumps({"Responses": self._execute(json.loads(body)["Statements"], new)}).encode()
            case "dynamodb GetItem":
                item = self.items.get(_key(json.loads(body)["Key"]))
                return 200, json.dumps({} if item is None else {"Item": item}).encode()
            case "dynamodb PutItem":
                return self._put(json.loads(body))
            case "s3 PUT":
                path = self._file(request)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
                return 200, b""
            case "lambda POST":
                return 202, b""
            case "sqs SendMessage":
                return 200, b'{"MessageId": "1"}'
        say(f"not answered: {name} {request.path}")
        return _error("ValidationException")

    def _execute(self, statements: list[Any], new: list[tuple[bytes, Item]]) -> list[Any]:
        """An INSERT stores its item, or answers DuplicateItem and changes nothing."""
        if len(statements) == 25:
            self.inserts = statements
        answers: list[Any] = []
        for statement in statements:
            _, item = inserted(statement)
            contact_id = uuid.UUID(item["pk"]["S"].removeprefix("X#")).bytes
            if contact_id in self.contacts:
                answers.append({"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}})
            else:
                self.contacts[contact_id] = b""
                new.append((contact_id, item))
                answers.append({"TableName": "table"})
        return answers

    def _put(self, asked: dict[str, Any]) -> Answer:
        key = _key(asked["Item"])
        before = self.items.get(key)
        match asked["ConditionExpression"]:
            case "attribute_not_exists(pk)":
                holds = before is None
            case "v = :read":
                holds = before is not None and before["v"] == asked["ExpressionAttributeValues"][":read"]
            case _:
                return _error("ValidationException")
        if not holds:
            return _error("ConditionalCheckFailedException", {} if before is None else {"Item": before})
        self.items[key] = asked["Item"]
        return 200, b"{}"

    def fingerprint(self) -> str:
        """Of all contacts stored: their ids in order, each with its content."""
        whole = hashlib.sha256()
        for contact_id in sorted(self.contacts):
            whole.update(contact_id + self.contacts[contact_id])
        return whole.hexdigest()


def _key(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _error(code: str, more: dict[str, Any] | None = None) -> Answer:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **(more or {})}
    return 400, json.dumps(body).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a client was killed; report everything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Has no timeout: the client reads a file as slowly as it stores contacts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        wanted = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(wanted)
        if len(body) < wanted:
            raise ConnectionError("the client was killed while it sent")
        self.server.sink.respond(self, body)

    do_GET = do_PUT = do_POST  # noqa: N815

    def send(self, status: int, body: bytes) -> None:
        """Head and body in one write: two would wait for each other's acknowledgement."""
        self.wfile.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def send_file(self, path: Path) -> None:
        with path.open("rb") as file:
            self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\n\r\n".encode())
            shutil.copyfileobj(file, self.wfile)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are counted, not logged."""


@contextmanager
def serving(sink: Sink) -> Iterator[str]:
    """The URL at which the sink answers."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.sink = sink
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


# ---- what runs in processes of its own -------------------------------------------------------------------------------


class Took(NamedTuple):
    """Seconds by the clock and of the processor; peak memory of the process in bytes."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_bytes: int = 0

    def plus(self, other: "Took") -> "Took":
        peak = max(self.peak_bytes, other.peak_bytes)
        return Took(self.seconds + other.seconds, self.processor_seconds + other.processor_seconds, peak)


def peak_bytes() -> int:
    """The peak of this process's resident set."""
    with suppress(OSError):  # Linux: ru_maxrss starts with the parent's memory at the fork
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if found is not None:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _print_what_it_takes(work: Callable[[], object]) -> None:
    started, processor = time.perf_counter(), time.process_time()
    work()
    took = [time.perf_counter() - started, time.process_time() - processor, peak_bytes()]
    print(json.dumps(took), flush=True)


def run_function(now: str, request_id: str, timeout_seconds: float, writers: int | None = None) -> None:
    """One invocation of the batch function, which starts at `now` (ISO 8601). `writers`: in place of its own number."""
    from functions.batch.handler import handler
    from redial.runtime import system
    from redial.usecases import run_batch

    run_batch.WRITERS = writers or run_batch.WRITERS
    began, started = datetime.fromisoformat(now), time.monotonic()
    system.use(now=lambda: began + timedelta(seconds=time.monotonic() - started))
    context: Any = SimpleNamespace(
        aws_request_id=request_id,
        function_name="batch",
        memory_limit_in_mb="1769",
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:batch:live",
        get_remaining_time_in_millis=lambda: int((started + timeout_seconds - time.monotonic()) * 1000),
    )
    _print_what_it_takes(lambda: handler({"batch_id": BATCH_ID}, context))


def run_baseline(contacts: str, statements: str, requests: int) -> None:
    """`csv.reader` over the file `contacts`; then that many requests with the statements in the file `statements`."""
    client = _clients()[0]
    ready = json.loads(Path(statements).read_text())
    at = ready[0]["Parameters"].index(inserted(ready[0])[1]["pk"])

    def read() -> None:
        with Path(contacts).open(encoding="utf-8", newline="") as file:
            for _ in csv.reader(file):
                pass

    def write() -> None:
        number = 0
        for _ in range(requests):
            for statement in ready:
                number += 1
                statement["Parameters"][at] = {"S": f"X#{number:08x}-0000-4000-8000-000000000000"}
            client.batch_execute_statement(Statements=ready)

    _print_what_it_takes(read)
    _print_what_it_takes(write)


def run_bare() -> None:
    """Only boto3 and the clients that the function makes."""
    _print_what_it_takes(_clients)


def _clients() -> list[Any]:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    return [boto3.client(service, config=config) for service in ("dynamodb", "s3", "lambda")]


# ---- the measurements ------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """What an ingest stored: contacts and their fingerprint, a digest of rejected.csv, and the batch's own counts."""

    contacts: int
    fingerprint: str
    rejected: str
    status: str
    valid: int
    total: int


class Bench:
    """One file, and a place to ingest it as often as needed."""

    def __init__(self, folder: Path, rows: int) -> None:
        from bench.cold_start import process_environment
        from local.template import Template

        self._folder = folder
        functions = Template(ROOT / "template.yaml").functions({})
        (self._function,) = (one for one in functions if one.module == "functions.batch.handler")
        self._environment = {
            **process_environment(self._function),
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "POWERTOOLS_TRACE_DISABLED": "true",
        }
        say(f"writing a file of {rows:,} rows")
        self.file = folder / FOLDER / "contacts.csv"
        self.file.parent.mkdir(parents=True)
        self.contacts = write_contacts(self.file, rows, random.Random(SEED))

    def bare(self) -> Took:
        (took,) = self._finish(self._start("run_bare()", "http://127.0.0.1:1"))
        return took

    def ingest(self, wait: float = 0.0, writers: int | None = None) -> tuple[Sink, Took, Result]:
        """Read the file, in as many invocations as that takes. `wait`: of `Sink`."""
        sink, took = self._sink(wait), Took()
        with serving(sink) as url:
            while not self._batch(sink).ingested:
                say("ingest")
                now = NOON + timedelta(seconds=took.seconds)
                (one,) = self._finish(self._invoke(url, now, "whole", writers))
                took = took.plus(one)
        return sink, took, self._result(sink)

    def baseline(self, like: Sink) -> tuple[Took, Took]:
        """`csv.reader`, and as many writes as `like` received."""
        say("baseline")
        statements = self._folder / "statements.json"
        statements.write_text(json.dumps(like.inserts))
        with serving(self._sink()) as url:
            call = f"run_baseline({str(self.file)!r}, {str(statements)!r}, {like.requests[INSERTS]})"
            read, write = self._finish(self._start(call, url))
        return read, write

    def killed(self, kills: int, requests: int) -> tuple[list[list[object]], Result]:
        """Read the file, killed that often among the first `requests` requests; returns each kill, and the result."""
        chance = random.Random(SEED)
        sink = self._sink()
        now, event = NOON, "event 1"
        killed: list[list[object]] = []
        with serving(sink) as url:
            for at in sorted(chance.sample(range(1, requests + 1), kills)):
                phase = chance.choice(PHASES)
                sink.cut = Cut(at, phase, chance.uniform(0, 0.005))
                while sink.is_armed():  # once, unless the function's time runs out first
                    sink.process = self._invoke(url, now, event)
                    self._finish(sink.process, sink)
                request = f"{sink.requests.total():,}"
                killed.append([request, phase, sink.cut_name, f"{len(sink.contacts):,}"])
                say(f"killed {phase} {sink.cut_name}, request {request}")
                self._disturb(sink, url, now + LAMBDA_RETRIES)
                if len(killed) % 2:
                    now += LAMBDA_RETRIES
                else:
                    now, event = now + SWEEPER_FINDS_IT, f"event {1 + len(killed)}"
                    batch = self._batch(sink)
                    if not batch.ingested and (batch.due_at is None or batch.due_at > now):
                        raise RuntimeError(f"the sweeper would not find the batch: {batch.due_at}")
            while not self._batch(sink).ingested:
                self._finish(self._invoke(url, now, event))
        return killed, self._result(sink)

    def _disturb(self, sink: Sink, url: str, now: datetime) -> None:
        """Send another event while a lease is live. Raises `RuntimeError` if that changes anything."""
        leased_until = self._batch(sink).worker_until
        if leased_until is not None and leased_until > now + timedelta(seconds=30):
            stored = dict(sink.items), len(sink.contacts)
            self._finish(self._invoke(url, now, "another event"))
            if stored != (sink.items, len(sink.contacts)):
                raise RuntimeError("two invocations worked at the batch at once")

    def _sink(self, wait: float = 0.0) -> Sink:
        """A sink that contains only the batch, whose file is to be read."""
        from redial.adapters.dynamodb.items import to_item
        from redial.domain.batch import Batch
        from redial.domain.retry import RetryConfig
        from redial.wire.stored_batch import encode

        retries = RetryConfig(enabled=True)
        batch = Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, NOON, "contacts.csv", retry_config=retries, version=1)
        sink = Sink(self._folder, wait)
        item = to_item(encode(batch.begin(NOON, start=False).with_due(NOON)))
        sink.items[_key(item)] = item
        return sink

    @staticmethod
    def _batch(sink: Sink) -> Any:
        from redial.adapters.dynamodb.items import from_item
        from redial.wire.stored_batch import decode

        return decode(from_item(sink.items[f"B#{BATCH_ID}", "B"]))

    def _result(self, sink: Sink) -> Result:
        batch = self._batch(sink)
        rejected = self._folder / FOLDER / "rejected.csv"
        digest = hashlib.sha256(rejected.read_bytes()).hexdigest()
        result = Result(len(sink.contacts), sink.fingerprint(), digest, str(batch.status), batch.valid, batch.total)
        rejected.unlink()
        if not result.contacts == result.valid == self.contacts:
            raise RuntimeError(f"the file has {self.contacts} contacts: {result}")
        return result

    def _invoke(self, url: str, now: datetime, event: str, writers: int | None = None) -> "subprocess.Popen[str]":
        """`event`: Lambda's request id, the same when Lambda retries."""
        given = f"{now.isoformat()!r}, {event!r}, {self._function.timeout_seconds}, {writers}"
        return self._start(f"run_function({given})", url)

    def _start(self, call: str, url: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", f"from bench import ingest; ingest.{call}"]
        environment = {**self._environment, "AWS_ENDPOINT_URL": url}
        return subprocess.Popen(  # noqa: S603
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @staticmethod
    def _finish(process: "subprocess.Popen[str]", sink: Sink | None = None) -> list[Took]:
        """The measurements it prints among its log; none if `sink` killed it. Raises `RuntimeError` if it fails."""
        output, errors = process.communicate()
        if sink is not None and sink.cut is None and process.returncode == -signal.SIGKILL:
            return []
        if process.returncode != 0:
            raise RuntimeError(f"exit status {process.returncode}: {output[-2000:]} {errors}")
        return [Took(*json.loads(line)) for line in output.splitlines() if line.startswith("[")]


# ---- the report ------------------------------------------------------------------------------------------------------


def report(
    rows: int, megabytes: float, bare: Took, ingest: Took, sink: Sink, baseline: Sequence[Took]
) -> Iterator[str]:
    read, write = baseline
    inserts, requests = sink.requests[INSERTS], sink.requests.total()
    yield f"## A batch's file of {rows:,} rows ({megabytes:.1f} MB), read and stored"
    yield ""
    measured = (
        ("`csv.reader` over the file", read, 0),
        ("the same writes, with parameters ready", write, inserts),
        ("**baseline**: these two", read.plus(write), inserts),
        ("**ingest**: the batch function", ingest, requests),
        ("for comparison: boto3 and the function's clients only", bare, 0),
    )
    ratio, processor_ratio = _ratios(ingest, read.plus(write))
    yield from table(
        ["", "seconds", "rows per second", "processor seconds", "memory at most, MB", "AWS requests"],
        [
            *(
                [
                    title, f"{took.seconds:,.1f}", "–" if took is bare else f"{rows / took.seconds:,.0f}",
                    f"{took.processor_seconds:,.1f}", f"{took.peak_bytes / MB:,.0f}", f"{asked:,}",
                ]
                for title, took, asked in measured
            ),
            ["ingest ÷ baseline", f"**{ratio:.2f}**", "–", f"**{processor_ratio:.2f}**", "–", "–"],
        ],
    )  # fmt: skip
    by_name = ", ".join(f"{name} {count:,}" for name, count in sorted(sink.requests.items()))
    yield from paragraph(
        f"Requests of the ingest: {by_name}. MB of memory are of 2^20 bytes. Python",
        f"{sys.version_info.major}.{sys.version_info.minor}.",
    )


def report_waits(rows: int, waits: Sequence[tuple[float, int, Took]]) -> Iterator[str]:
    """`waits`: how long DynamoDB waited, the number of writers, and what the ingest took."""
    yield f"## The same of {rows:,} rows, by a DynamoDB that waits before it answers"
    yield ""
    yield from table(
        ["each answer after, ms", "writers", "seconds", "rows per second", "processor microseconds a row"],
        [
            [
                f"{wait * 1000:g}", writers, f"{took.seconds:,.1f}", f"{rows / took.seconds:,.0f}",
                f"{took.processor_seconds / rows * 1e6:,.0f}",
            ]
            for wait, writers, took in waits
        ],
    )  # fmt: skip
    yield from paragraph(
        f"{MS_PER_AWS_REQUEST:g} ms are what `bench/prices.py` assumes for AWS. The start of the process is included.",
    )


def report_killed(killed: Sequence[Sequence[object]], whole: Result, pieces: Result) -> Iterator[str]:
    """Where it was killed, and both results."""
    yield f"## The same, killed {len(killed)} times"
    yield ""
    yield from table(["at request", "killed", "request", "contacts stored then"], killed)
    yield from bullets(
        *(
            f"{name}: {result.status}, {result.valid:,} valid of {result.total:,}; {result.contacts:,} executions"
            f" `{result.fingerprint[:16]}…`, rejected.csv `{result.rejected[:16]}…`"
            for name, result in (("uninterrupted", whole), ("killed", pieces))
        )
    )


def waits(rows: int) -> list[tuple[float, int, Took]]:
    """The ingest of a smaller file with each of `WAITS`, by one writer and by as many as there are."""
    found = []
    with tempfile.TemporaryDirectory(prefix="redial-bench-") as folder:
        bench = Bench(Path(folder), rows)
        for wait in WAITS:
            for writers in (1, WRITERS):
                _, took, _ = bench.ingest(wait, writers)
                found.append((wait, writers, took))
    return found


def _ratios(ingest: Took, baseline: Took) -> tuple[float, float]:
    """By the clock and of the processor."""
    return ingest.seconds / baseline.seconds, ingest.processor_seconds / baseline.processor_seconds


def main() -> int:
    """0 if every target is met."""
    description = "Measure the reading of a batch's file."
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=description)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--waiting-rows", type=int, default=WAITING_ROWS, help="rows where DynamoDB waits")
    parser.add_argument("--kills", type=int, default=KILLS, help="how often the second ingest is killed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redial-bench-") as folder:
        bench = Bench(Path(folder), arguments.rows)
        bare = bench.bare()
        sink, ingest, whole = bench.ingest()
        read, write = bench.baseline(sink)
        megabytes = bench.file.stat().st_size / 1e6
        print("\n".join(report(arguments.rows, megabytes, bare, ingest, sink, (read, write))), flush=True)
        print("\n".join(report_waits(arguments.waiting_rows, waits(arguments.waiting_rows))), flush=True)
        killed, pieces = bench.killed(arguments.kills, sink.requests.total())
    print("\n".join(report_killed(killed, whole, pieces)))
    targets = {
        f"memory under {MOST_MEMORY_MB} MB": ingest.peak_bytes < MOST_MEMORY_MB * MB,
        f"at most {MOST_TIMES_BASELINE:g} times the baseline's processor time": _ratios(ingest, read.plus(write))[1]
        <= MOST_TIMES_BASELINE,
        f"at least {LEAST_ROWS_A_SECOND:,} rows a second": arguments.rows / ingest.seconds >= LEAST_ROWS_A_SECOND,
        f"killed {len(killed)} times, the same set": whole == pieces,
    }
    print("\n".join(bullets(*(f"{target}: {'met' if met else '**missed**'}" for target, met in targets.items()))))
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
