"""The runs that `bench.ingest` measures, each in its own process. Memory counts, so imports are kept to a minimum."""

import csv
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
BATCH_ID = "5f3a6c1e9b7d4e2f8a0c1d2e3f4a5b6c"


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


def run_function(after: float, timeout_seconds: float, writers: int) -> None:
    """Run the batch function once, `after` seconds after its first invocation began."""
    from functions.batch.handler import handler
    from redial.runtime import system
    from redial.usecases import run_batch

    run_batch.WRITERS = writers
    started = time.monotonic()
    system.use(now=lambda: NOON + timedelta(seconds=after + time.monotonic() - started))
    context: Any = SimpleNamespace(
        aws_request_id=f"after {after}",
        function_name="batch",
        memory_limit_in_mb="1769",
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:batch:live",
        get_remaining_time_in_millis=lambda: int((started + timeout_seconds - time.monotonic()) * 1000),
    )
    _print_what_it_takes(lambda: handler({"batch_id": BATCH_ID}, context))


def run_baseline(contacts: str, statements: str, at: int, requests: int) -> None:
    """Run `csv.reader` over the file `contacts`, then send `requests` requests with the statements in `statements`.

    `at`: the position of a statement's key among its parameters; each key is different.
    """
    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    client = boto3.client("dynamodb", config=config)
    ready = json.loads(Path(statements).read_text())

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
