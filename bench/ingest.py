"""`python -m bench.ingest`: a batch's file of a million rows read and stored, measured. Markdown on standard output.

What is measured is the batch function as it is deployed: its handler, with the adapters and boto3 clients that it makes
for itself, in a process of its own. That process talks HTTP over the loopback address to this one, whose `Sink` answers
as DynamoDB, S3 and Lambda would: neither what the sink remembers nor what it computes is the function's. The baseline
is another such process: Python's `csv.reader` over the same file, then as many BatchExecuteStatement requests as the
function made, as large, with their parameters ready, by a client like the function's.

moto is not used: it does not take these statements with parameters, and a million of its items would take gigabytes and
hours. TLS, and the time that DynamoDB takes, are left out on both sides: they would make the ratio better, for both
would wait alike. The ratio of processor time, in which the sink has no part, stands beside that of time by the clock.

Then the same file is read again by a function that is killed (SIGKILL) at random requests: before one takes effect,
after it did and before the answer, or a moment after the answer. What others invoke then must leave the batch alone,
since the lease of the one that is gone is live. The clock is moved on, by turns to where Lambda tries the same event
again, which goes on at once, and to where the sweeper finds the batch.
"""

import argparse
import csv
import hashlib
import json
import os
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
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from local import ROOT

ROWS = 1_000_000
KILLS = 10
SEED = 20260126
"""Of the file's content and of the points at which the function is killed."""
MOST_MEMORY_MB = 256
MOST_TIMES_BASELINE = 5.0
MB = 2**20

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
BATCH_ID = "5f3a6c1e9b7d4e2f8a0c1d2e3f4a5b6c"
ACCOUNT_ID, AGENT_ID = "7b0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c01", "1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02"
FOLDER = f"batches/{ACCOUNT_ID}/{BATCH_ID}"
LAMBDA_TRIES_AGAIN = timedelta(minutes=15)
SWEEPER_FINDS_IT = timedelta(minutes=17)
"""After an invocation began that was killed: when it would have run out of time at the latest, and beyond its lease."""

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

Item = dict[str, dict[str, Any]]
Answer = tuple[int, bytes]
Phase = Literal["before", "after", "between"]
"""Of a request at which the function is killed: it has no effect; no answer is seen; the answer was seen just now."""
PHASES: tuple[Phase, ...] = ("before", "after", "between")


# ---- the file --------------------------------------------------------------------------------------------------------


def write_contacts(path: Path, rows: int, chance: random.Random) -> int:
    """A file of so many rows, of which one in a hundred is bad or a duplicate; how many are contacts."""
    contacts = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("contact_number,first_name,appointment,note\r\n")
        for index in range(rows):
            number = _number(index)
            kind = 1.0 if index % 100 == 0 else chance.random()  # every hundredth is one that there are duplicates of
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
    """One of ten million different numbers, in no order, as those of real files are in none."""
    return f"+1{2_125_550_000 + index * 7_368_787 % 10_000_019}"


# ---- what answers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Kill whoever asks, at the first request whose number is `at` or higher.

    `seconds`: how long after the answer, where that is when it is killed.
    """

    at: int
    phase: Phase
    seconds: float


class Sink:
    """DynamoDB, S3 and Lambda as far as reading a batch's file needs them, for a client that asks one thing at a time.

    `contacts`: what was inserted by PartiQL, execution id → digest of the item. `items`: what was put. `files`: where
    S3's objects are. `requests` counts what was asked, `inserts` is the last full request for inserts. `cut`: where to
    kill `process`, which asks; `cut_name`: the request at which that was last done. What is not known here is answered
    400, which ends the function and the run.
    """

    def __init__(self, files: Path) -> None:
        self.files = files
        self.contacts: dict[bytes, bytes] = {}
        self.items: dict[tuple[str, str], Item] = {}
        self.requests: Counter[str] = Counter()
        self.inserts: list[Any] = []
        self.cut_name = ""
        self._undigested: list[tuple[bytes, Item]] = []
        self.cut: Cut | None = None
        self.process: subprocess.Popen[str] | None = None

    def respond(self, request: "_Handler", body: bytes) -> None:
        """Answer it, unless whoever asks is killed."""
        name = self._name(request)
        self.requests[name] += 1
        cut = None
        if self.cut is not None and self.requests.total() >= self.cut.at:
            cut, self.cut = self.cut, None
            self.cut_name = name
            if cut.phase == "before":
                self._kill()
                return
        if name == "s3 GET":
            request.send_file(self.files / request.path.split("?")[0].split("/", 2)[2])
        else:
            status, answer = self._answer(name, request, body)
            if cut is not None and cut.phase == "after":
                self._kill()
            else:
                request.send(status, answer)
        if cut is not None and (cut.phase == "between" or name == "s3 GET"):
            time.sleep(cut.seconds)
            self._kill()
        for contact_id, item in self._undigested:  # the client has its answer, and does not wait for this
            text = json.dumps(item, sort_keys=True)
            self.contacts[contact_id] = hashlib.blake2b(text.encode(), digest_size=16).digest()
        self._undigested.clear()

    def is_armed(self) -> bool:
        """Whether somebody is still to be killed."""
        return self.cut is not None

    def _kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    @staticmethod
    def _name(request: "_Handler") -> str:
        target = request.headers.get("X-Amz-Target")
        if target is not None:
            return f"dynamodb {target.partition('.')[2]}"
        return f"{'lambda' if '/functions/' in request.path else 's3'} {request.command}"

    def _answer(self, name: str, request: "_Handler", body: bytes) -> Answer:
        match name:
            case "dynamodb BatchExecuteStatement":
                return 200, json.dumps({"Responses": self._execute(json.loads(body)["Statements"])}).encode()
            case "dynamodb GetItem":
                item = self.items.get(_key(json.loads(body)["Key"]))
                return 200, json.dumps({} if item is None else {"Item": item}).encode()
            case "dynamodb PutItem":
                return self._put(json.loads(body))
            case "s3 PUT":
                path = self.files / request.path.split("/", 2)[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
                return 200, b""
            case "lambda POST":
                return 202, b""
        print(f"not answered: {name} {request.path}", file=sys.stderr)
        return _error("ValidationException")

    def _execute(self, statements: list[Any]) -> list[Any]:
        """An INSERT stores its item, or says DuplicateItem and changes nothing."""
        if len(statements) == 25:
            self.inserts = statements
        answers: list[Any] = []
        for statement in statements:
            names = _names(statement["Statement"])
            item = dict(zip(names, statement["Parameters"], strict=True))
            contact_id = uuid.UUID(item["pk"]["S"].removeprefix("X#")).bytes
            if contact_id in self.contacts:
                answers.append({"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}})
            else:
                self.contacts[contact_id] = b""
                self._undigested.append((contact_id, item))
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
    return 400, json.dumps(
        {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **(more or {})}
    ).encode()


@cache
def _names(statement: str) -> list[str]:
    """The attributes of `INSERT INTO "table" VALUE {'pk': ?, …}`. Raises `ValueError` for any other statement."""
    names = re.findall(r"'(\w+)': \?", statement)
    written = ", ".join(f"'{name}': ?" for name in names)
    if re.fullmatch(r'INSERT INTO "[\w.-]+" VALUE \{(.*)\}', statement) is None or f"{{{written}}}" not in statement:
        raise ValueError(f"no INSERT of parameters only: {statement}")
    return names


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news; all else is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """HTTP without a time limit: a file is read for as long as its contacts take to be stored."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        self.server.sink.respond(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_GET(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def send(self, status: int, body: bytes) -> None:
        """Head and body in one piece: two would wait for each other's acknowledgement."""
        self.wfile.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def send_file(self, path: Path) -> None:
        with path.open("rb") as file:
            self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\n\r\n".encode())
            shutil.copyfileobj(file, self.wfile)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Counted instead."""


@contextmanager
def serving(sink: Sink) -> Iterator[str]:
    """The address at which the sink answers."""
    server = _Server(sink)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


# ---- what runs in processes of its own -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Took:
    """What some work took: seconds by the clock and of the processor; bytes of memory at most, the interpreter's
    included."""

    seconds: float
    processor_seconds: float
    peak_bytes: int

    def __add__(self, other: "Took") -> "Took":
        return Took(
            self.seconds + other.seconds,
            self.processor_seconds + other.processor_seconds,
            max(self.peak_bytes, other.peak_bytes),
        )


NOTHING = Took(0.0, 0.0, 0)


def peak_bytes() -> int:
    """The most memory that this process has had at once (resident set)."""
    with suppress(OSError):  # Linux: ru_maxrss would begin with what the parent had when it made this process
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if found is not None:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _print_what_it_takes(work: Callable[[], object]) -> None:
    started, processor = time.perf_counter(), time.process_time()
    work()
    took = [time.perf_counter() - started, time.process_time() - processor, peak_bytes()]
    print(json.dumps(took), flush=True)


class Context:
    """Lambda's context object, as much of it as the function uses."""

    function_name = "batch"
    memory_limit_in_mb = "1769"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:batch:live"

    def __init__(self, request_id: str, timeout_seconds: float) -> None:
        self.aws_request_id = request_id
        self._ends = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends - time.monotonic()) * 1000))


def run_function(now: str, request_id: str, timeout_seconds: float) -> None:
    """One invocation of the batch function, which begins at `now` (ISO 8601)."""
    from functions.batch.handler import handler
    from redial.runtime import system

    began, started = datetime.fromisoformat(now), time.monotonic()
    system.use(now=lambda: began + timedelta(seconds=time.monotonic() - started))
    context: Any = Context(request_id, timeout_seconds)
    _print_what_it_takes(lambda: handler({"batch_id": BATCH_ID}, context))


def run_baseline(contacts: str, statements: str, requests: int) -> None:
    """`csv.reader` over the file `contacts`; then so many requests of the statements in the file `statements`."""
    client = _clients()[0]
    ready = json.loads(Path(statements).read_text())
    at = _names(ready[0]["Statement"]).index("pk")

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
    """Nothing but boto3, and the clients that the function makes."""
    _print_what_it_takes(_clients)


def _clients() -> list[Any]:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    return [boto3.client(service, config=config) for service in ("dynamodb", "s3", "lambda")]


# ---- what is done with them ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What an ingest left behind."""

    contacts: int
    fingerprint: str
    rejected: str
    status: str
    valid: int
    total: int


class Bench:
    """One file, and a place to read it into as often as one likes."""

    def __init__(self, folder: Path, rows: int, say: Callable[[str], None]) -> None:
        from local.aws.requests import ENVIRONMENT, REMOVED_FROM_ENVIRONMENT
        from local.template import Template

        self._folder = folder
        self._say = say
        functions = Template(ROOT / "template.yaml").functions({})
        (self._function,) = (one for one in functions if one.module == "functions.batch.handler")
        self._environment = {
            **os.environ,
            **self._function.environment,
            **ENVIRONMENT,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "POWERTOOLS_TRACE_DISABLED": "true",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'redial'}",
        }
        for name in REMOVED_FROM_ENVIRONMENT:
            self._environment.pop(name, None)
        say(f"writing a file of {rows:,} rows")
        self.file = folder / FOLDER / "contacts.csv"
        self.file.parent.mkdir(parents=True)
        self.contacts = write_contacts(self.file, rows, random.Random(SEED))

    def bare(self) -> Took:
        (took,) = self._finish(self._start("run_bare()", "http://127.0.0.1:1"))
        return took

    def ingest(self) -> tuple[Sink, Took, Result]:
        """Read the file, by as many invocations as that takes."""
        sink = self._sink()
        took = NOTHING
        with serving(sink) as url:
            while not self._batch(sink).ingested:
                self._say("ingest")
                (one,) = self._finish(self._invoke(url, NOON + timedelta(seconds=took.seconds), "whole"))
                took += one
        return sink, took, self._result(sink)

    def baseline(self, like: Sink) -> tuple[Took, Took]:
        """`csv.reader`, and as many writes as `like` was asked for."""
        self._say("baseline")
        statements = self._folder / "statements.json"
        statements.write_text(json.dumps(like.inserts))
        requests = like.requests["dynamodb BatchExecuteStatement"]
        with serving(self._sink()) as url:
            call = f"run_baseline({str(self.file)!r}, {str(statements)!r}, {requests})"
            read, write = self._finish(self._start(call, url))
        return read, write

    def killed(self, kills: int, requests: int) -> tuple[list[str], Result]:
        """Read the file, killed so many times among the first `requests` requests; what each did, and what came out."""
        chance = random.Random(SEED)
        sink = self._sink()
        now, event = NOON, "event 1"
        told: list[str] = []
        with serving(sink) as url:
            for at in sorted(chance.sample(range(1, requests + 1), kills)):
                phase = chance.choice(PHASES)
                sink.cut = Cut(at, phase, chance.uniform(0, 0.005))
                while sink.is_armed():  # once, unless its time runs out before
                    sink.process = self._invoke(url, now, event)
                    self._finish(sink.process, sink)
                told.append(f"{sink.requests.total():,} | {phase} | {sink.cut_name} | {len(sink.contacts):,}")
                self._say(f"killed {phase} {sink.cut_name}, request {sink.requests.total():,}")
                self._disturb(sink, url, now + LAMBDA_TRIES_AGAIN)
                if len(told) % 2:
                    now += LAMBDA_TRIES_AGAIN
                else:
                    now, event = now + SWEEPER_FINDS_IT, f"event {1 + len(told)}"
                    batch = self._batch(sink)
                    if not batch.ingested and (batch.due_at is None or batch.due_at > now):
                        raise RuntimeError(f"the sweeper would not find the batch: {batch.due_at}")
            while not self._batch(sink).ingested:
                self._finish(self._invoke(url, now, event))
        return told, self._result(sink)

    def _disturb(self, sink: Sink, url: str, now: datetime) -> None:
        """Have another event come while a lease is live. Raises `RuntimeError` where anything is done for it."""
        leased_until = self._batch(sink).worker_until
        if leased_until is not None and leased_until > now + timedelta(seconds=30):
            stored = dict(sink.items), len(sink.contacts)
            self._finish(self._invoke(url, now, "another event"))
            if stored != (sink.items, len(sink.contacts)):
                raise RuntimeError("a second one worked at the batch while the first might still")

    def _sink(self) -> Sink:
        """With nothing in it but the batch, whose file is to be read."""
        from redial.adapters.dynamodb.items import to_item
        from redial.domain.batch import Batch
        from redial.domain.retry import RetryConfig
        from redial.wire.stored_batch import encode

        batch = Batch(
            BATCH_ID, ACCOUNT_ID, AGENT_ID, NOON, "contacts.csv", retry_config=RetryConfig(enabled=True), version=1
        ).begin(NOON, start=False)
        sink = Sink(self._folder)
        item = to_item(encode(batch.with_due(NOON)))
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
        result = Result(
            len(sink.contacts),
            sink.fingerprint(),
            hashlib.sha256(rejected.read_bytes()).hexdigest(),
            str(batch.status),
            batch.valid,
            batch.total,
        )
        rejected.unlink()
        if not result.contacts == result.valid == self.contacts:
            raise RuntimeError(f"the file has {self.contacts} contacts: {result}")
        return result

    def _invoke(self, url: str, now: datetime, event: str) -> "subprocess.Popen[str]":
        """`event`: Lambda's id of it, the same where Lambda tries it again."""
        return self._start(f"run_function({now.isoformat()!r}, {event!r}, {self._function.timeout_seconds})", url)

    def _start(self, call: str, url: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", f"from bench import ingest; ingest.{call}"]
        environment = {**self._environment, "AWS_ENDPOINT_URL": url}
        return subprocess.Popen(  # noqa: S603
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @staticmethod
    def _finish(process: "subprocess.Popen[str]", sink: Sink | None = None) -> list[Took]:
        """What it prints, beside its log; nothing where `sink` has killed it. Raises `RuntimeError` when it fails."""
        output, errors = process.communicate()
        if sink is not None and sink.cut is None and process.returncode == -signal.SIGKILL:
            return []
        if process.returncode != 0:
            raise RuntimeError(f"exit status {process.returncode}: {output[-2000:]} {errors}")
        return [Took(*json.loads(line)) for line in output.splitlines() if line.startswith("[")]


# ---- the report ------------------------------------------------------------------------------------------------------


def report(
    rows: int, megabytes: float, bare: Took, ingest: Took, requests: Counter[str], baseline: tuple[Took, Took]
) -> Iterator[str]:
    """The table, in Markdown."""
    read, write = baseline
    both = read + write
    inserts = requests["dynamodb BatchExecuteStatement"]
    yield f"## A batch's file of {rows:,} rows ({megabytes:.1f} MB), read and stored"
    yield ""
    yield "| | seconds | rows per second | processor seconds | memory at most, MB | AWS requests |"
    yield "|---|--:|--:|--:|--:|--:|"
    for title, took, asked in (
        ("`csv.reader` over the file", read, 0),
        ("the same writes, with parameters ready", write, inserts),
        ("**baseline**: these two", both, inserts),
        ("**ingest**: the batch function", ingest, requests.total()),
    ):
        yield (
            f"| {title} | {took.seconds:,.1f} | {rows / took.seconds:,.0f} | {took.processor_seconds:,.1f}"
            f" | {took.peak_bytes / MB:,.0f} | {asked:,} |"
        )
    yield (
        f"| for comparison: boto3 and the function's clients, nothing done | {bare.seconds:,.1f} | |"
        f" {bare.processor_seconds:,.1f} | {bare.peak_bytes / MB:,.0f} | |"
    )
    times, processor_times = _ratios(ingest, both)
    yield f"| ingest ÷ baseline | **{times:.2f}** | | **{processor_times:.2f}** | | |"
    yield ""
    asked_for = ", ".join(f"{name} {count:,}" for name, count in sorted(requests.items()))
    yield f"Requests of the ingest: {asked_for}."
    yield f"MB of memory are of 2^20 bytes. Python {sys.version_info.major}.{sys.version_info.minor}."


def report_killed(told: Sequence[str], whole: Result, pieces: Result) -> Iterator[str]:
    """Where it was killed, and whether the end was the same."""
    yield f"## The same, killed {len(told)} times"
    yield ""
    yield "| at request | killed | request | contacts stored then |"
    yield "|--:|---|---|--:|"
    for line in told:
        yield f"| {line} |"
    yield ""
    for name, result in (("uninterrupted", whole), ("killed", pieces)):
        yield (
            f"- {name}: {result.status}, {result.valid:,} valid of {result.total:,}; {result.contacts:,} executions"
            f" `{result.fingerprint[:16]}…`, rejected.csv `{result.rejected[:16]}…`"
        )


def _ratios(ingest: Took, baseline: Took) -> tuple[float, float]:
    """How many times as long as the baseline, by the clock and of the processor."""
    return ingest.seconds / baseline.seconds, ingest.processor_seconds / baseline.processor_seconds


def main() -> int:
    """0 where every target is met."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest", description="Measure the reading of a batch's file."
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--kills", type=int, default=KILLS, help="how often the second ingest is killed")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="redial-bench-") as folder:
        bench = Bench(Path(folder), arguments.rows, say)
        bare = bench.bare()
        sink, ingest, whole = bench.ingest()
        read, write = bench.baseline(sink)
        megabytes = bench.file.stat().st_size / 1e6
        print("\n".join(report(arguments.rows, megabytes, bare, ingest, sink.requests, (read, write))), flush=True)
        told, pieces = bench.killed(arguments.kills, sink.requests.total())
    print()
    print("\n".join(report_killed(told, whole, pieces)))
    print()
    worst = max(_ratios(ingest, read + write))
    targets = (
        (f"memory under {MOST_MEMORY_MB} MB", ingest.peak_bytes < MOST_MEMORY_MB * MB),
        (f"at most {MOST_TIMES_BASELINE:g} times the baseline", worst <= MOST_TIMES_BASELINE),
        (f"killed {len(told)} times, the same set", whole == pieces),
    )
    for target, met in targets:
        print(f"- {target}: {'met' if met else '**missed**'}")
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
