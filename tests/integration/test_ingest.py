"""Ingestion by a function that is killed, runs out of time, or races with a request, at any point.

In every case the same contacts are stored in the end, each once. The tests make the steps of ingestion small.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from local.aws.requests import OutsideRequest
from redial.adapters import batch_csv
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import contact_id
from redial.domain.execution import Execution
from redial.usecases import run_batch
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import Answer, LocalClient, local_stack

# A killed function closes no socket and removes no file; that is part of the test.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS_AT_ONCE, STORED_TOGETHER, STORED_AT_ONCE, ROWS_PER_CHECKPOINT = 25, 25, 50, 50
CONTACTS = 85
INSERTS = 4
"""Requests that store all contacts."""
INVOCATIONS = 2
"""Invocations that store all contacts; each stores as little as it may."""
BAD_ROWS = 3
EVERY_TRY = 3
"""Lambda's tries of an event."""
UNTIL_THE_SWEEPER_FOUND_IT = 20
"""Minutes: a killed worker's lease expires after 16."""


class Gone(BaseException):
    """The function was killed."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalClient]:
    for name in ("ROWS_AT_ONCE", "STORED_TOGETHER", "STORED_AT_ONCE", "ROWS_PER_CHECKPOINT"):
        monkeypatch.setattr(run_batch, name, globals()[name])
    with local_stack(log=None) as client:
        yield client


def number(index: int) -> str:
    return f"+1202555{index:04d}"


def contacts() -> list[str]:
    """The lines of a file with some invalid rows."""
    rows = [f'{number(index)},Name {index},"Ask for ""Bob"", at ten"' for index in range(CONTACTS)]
    rows[30:30] = ["unknown,Name,x", f"{number(7)},Again,x"]
    return ["contact_number,name,note", *rows, "+0,Name,x"]


def create(client: LocalClient, lines: list[str], *fields: tuple[str, str]) -> str:
    form = multipart([("agent_id", client.stack.agent_id), *fields], "\n".join(lines).encode("latin-1"))
    answer = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


def batch(client: LocalClient, batch_id: str) -> Any:
    answer = client.api("GET", f"/batches/{batch_id}")
    assert answer.status == 200, answer
    return answer.json


def rejected(client: LocalClient, batch_id: str) -> Answer:
    return client.api("GET", f"/batches/{batch_id}/rejected.csv")


def stored(client: LocalClient, batch_id: str) -> list[Execution]:
    """The batch's contacts in the order of its file; reads beyond its last row, too."""
    executions = DynamoExecutions(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    return executions.read([contact_id(batch_id, row) for row in range(1, CONTACTS + ROWS_AT_ONCE)])


def statuses(client: LocalClient, batch_id: str) -> dict[str, int]:
    """The batch's contacts by status."""
    return dict(Counter(str(execution.state.status) for execution in stored(client, batch_id)))


class Watch:
    """Observes every request of the batch function, by batch, and calls `act` before and after each.

    `requests`: the requests, `invocations`: the request ids of their invocations.
    """

    def __init__(self, client: LocalClient, act: Callable[[str, OutsideRequest], None] = lambda batch_id, seen: None):
        self.requests: dict[str, list[str]] = defaultdict(list)
        self.invocations: dict[str, list[str]] = defaultdict(list)
        self._act = act
        client.stack.aws.hooks.append(self)

    def __call__(self, seen: OutsideRequest) -> None:
        invocation = seen.invocation
        if invocation is None or not invocation.function.name.endswith("-batch"):
            return
        batch_id = invocation.event["batch_id"]
        if seen.phase == "before":
            self.requests[batch_id].append(seen.operation)
            if invocation.request_id not in self.invocations[batch_id]:
                self.invocations[batch_id].append(invocation.request_id)
        self._act(batch_id, seen)

    def inserts(self, batch_id: str) -> int:
        return self.requests[batch_id].count("BatchExecuteStatement")


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.nightly)])
def test_ingestion_killed_at_any_request_stores_the_same_contacts(client: LocalClient, step: int) -> None:
    """Run one batch for each request of an ingestion, killed before or after that request takes effect.

    Then Lambda's retry of the event resumes, or every try is killed and the sweeper takes over. `step`: only every n-th
    of these points is tried; an odd step covers all four combinations.
    """
    create(client, contacts())
    client.advance(0)  # the function has cached the account's key from here on
    whole = create(client, contacts())
    watch = Watch(client)
    client.advance(0)
    client.stack.aws.hooks.remove(watch)
    assert watch.inserts(whole) == INSERTS
    count = len(watch.requests[whole])
    assert count >= 15, watch.requests

    points = [
        (nth, phase, tries) for nth in range(1, count + 1) for phase in ("before", "after") for tries in (1, EVERY_TRY)
    ][::step]
    point_of = {create(client, contacts()): point for point in points}
    cut: dict[str, str] = {}

    def cut_off(batch_id: str, seen: OutsideRequest) -> None:
        nth, phase, tries = point_of.get(batch_id, (0, "", 0))
        first = batch_id not in cut and (len(cutter.requests[batch_id]), seen.phase) == (nth, phase)
        again = batch_id in cut and tries > 1 and seen.invocation is not None and seen.invocation.number > 1
        if first or again:
            cut.setdefault(batch_id, f"{phase} {nth}: {seen.service} {seen.operation}, {tries} tries")
            raise Gone

    cutter = Watch(client, cut_off)
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    client.stack.aws.hooks.remove(cutter)
    assert len(cut) == len(points)

    wanted = [replace(execution, id="", batch_id="") for execution in stored(client, whole)]
    assert [execution.row for execution in wanted] == list(range(1, CONTACTS + 1))
    reasons = rejected(client, whole)
    assert len(reasons.body.splitlines()) == 1 + BAD_ROWS
    for batch_id, where in cut.items():
        assert [replace(execution, id="", batch_id="") for execution in stored(client, batch_id)] == wanted, where
        assert rejected(client, batch_id).body == reasons.body, where
        read = batch(client, batch_id)
        assert (read["status"], read["sequence"]) == ("processed", 2), where
        assert (read["valid_contacts"], read["total_contacts"]) == (CONTACTS, CONTACTS + BAD_ROWS), where


def test_another_event_changes_nothing_while_a_killed_invocation_has_the_lease(client: LocalClient) -> None:
    batch_id = create(client, contacts())

    def cut_off(of: str, seen: OutsideRequest) -> None:
        if watch.inserts(of) == 2:
            raise Gone

    watch = Watch(client, cut_off)
    client.advance(0)
    client.stack.aws.hooks.remove(watch)
    items = client.every_item()
    assert 0 < len(stored(client, batch_id)) < CONTACTS

    client.stack.functions.invoke("redial-local-batch", {"batch_id": batch_id})
    assert client.every_item() == items
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert statuses(client, batch_id) == {"queued": CONTACTS}


def test_ingestion_out_of_time_invokes_itself_and_resumes(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_batch, "SECONDS_TO_SPARE", 10_000.0)  # more than there ever is
    batch_id = create(client, contacts())
    watch = Watch(client)
    client.advance(0.5)
    assert len(watch.invocations[batch_id]) == INVOCATIONS
    assert watch.inserts(batch_id) == INSERTS, "nothing was stored twice"
    assert watch.requests[batch_id].count("PutObject") == 2, "rejected rows and the index are written at the end"
    assert batch(client, batch_id)["status"] == "processed"
    assert statuses(client, batch_id) == {"queued": CONTACTS}
    assert len(rejected(client, batch_id).body.splitlines()) == 1 + BAD_ROWS


def test_a_contact_stopped_during_ingestion_is_not_overwritten(client: LocalClient) -> None:
    batch_id = create(client, contacts())

    def cut_off(of: str, seen: OutsideRequest) -> None:
        if watch.inserts(of) == 3 and seen.phase == "after":
            raise Gone

    watch = Watch(client, cut_off)
    client.advance(0.5)
    client.stack.aws.hooks.remove(watch)
    assert batch(client, batch_id)["valid_contacts"] <= STORED_AT_ONCE, "the second piece will be stored again"
    stopped = contact_id(batch_id, 60)
    assert client.api("POST", f"/call/{stopped}/stop").status == 200
    before = client.execution(stopped)

    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert before["status"] == "stopped"
    assert client.execution(stopped) == before
    assert batch(client, batch_id)["status"] == "processed"
    assert statuses(client, batch_id) == {"queued": CONTACTS - 1, "stopped": 1}


def test_an_unusable_file_fails_the_batch_and_stops_stored_contacts(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_csv, "CHECK_ROWS", 20)  # the request checks only the beginning of a large file
    lines = contacts()
    lines[80] = f"{number(500)},Andr\xe9,Latin-1"
    batch_id = create(client, lines, ("start", "now"))
    client.advance(5)
    read = batch(client, batch_id)
    assert read["status"] == "failed"
    assert read["reason"].startswith("line 81: byte 0xE9 is not UTF-8")
    assert statuses(client, batch_id) == {"stopped": STORED_AT_ONCE}, "one whole piece comes before that line"
    assert client.calls() == []
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert batch(client, batch_id)["sequence"] == read["sequence"], "nothing is tried again"


@pytest.mark.parametrize(("during_insert", "inserts"), [(1, 2), (INSERTS, INSERTS)])
def test_a_stop_ends_the_ingestion(client: LocalClient, during_insert: int, inserts: int) -> None:
    """It takes effect at the next checkpoint or at the end. Stored contacts are stopped, and no call is placed."""
    batch_id = create(client, contacts(), ("start", "now"))
    watch = during(client, during_insert, "POST", f"/batches/{batch_id}/stop")
    client.advance(5)
    assert watch.inserts(batch_id) == inserts
    assert batch(client, batch_id)["status"] == "stopped"
    assert statuses(client, batch_id) == {"stopped": min(CONTACTS, STORED_TOGETHER * inserts)}
    assert client.calls() == []


def test_a_delete_ends_the_ingestion_and_removes_everything(client: LocalClient) -> None:
    batch_id = create(client, contacts(), ("start", "now"))
    watch = during(client, 1, "DELETE", f"/batches/{batch_id}")
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert watch.inserts(batch_id) == 2
    assert stored(client, batch_id) == []
    assert client.api("GET", f"/batches/{batch_id}").status == 404
    bucket = client.stack.environment["FILES_BUCKET"]
    assert "Contents" not in client.stack.aws.client("s3").list_objects_v2(Bucket=bucket)
    assert client.calls() == []


def during(client: LocalClient, insert: int, method: str, path: str) -> Watch:
    """Send the request to the API during insert number `insert`."""
    asked: list[str] = []

    def ask(batch_id: str, seen: OutsideRequest) -> None:
        if not asked and watch.inserts(batch_id) == insert:
            asked.append(path)  # record it first, since the hook observes its own HTTP requests, too
            answer = client.api(method, path)
            assert answer.status == 200, answer

    watch = Watch(client, ask)
    return watch
