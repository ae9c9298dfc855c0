"""A batch's file is read by a function that is cut off, runs out of time, or is overtaken by a request, at any point.

Whatever happens, the same contacts are stored in the end, each once. The steps in which a file is read are made small.
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

# A function that is gone closes no socket and removes no file: what it leaves open is what is being tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS_AT_ONCE, ROWS_PER_CHECKPOINT = 25, 50
CONTACTS = 85
INSERTS = 4
"""Requests that store so many."""
BAD_ROWS = 3
EVERY_TRY = 3
"""Lambda tries an event so often."""
UNTIL_THE_SWEEPER_FOUND_IT = 20
"""Minutes: the lease of a function that is gone ends after 16."""


class Gone(BaseException):
    """The function is gone."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalClient]:
    monkeypatch.setattr(run_batch, "ROWS_AT_ONCE", ROWS_AT_ONCE)
    monkeypatch.setattr(run_batch, "ROWS_PER_CHECKPOINT", ROWS_PER_CHECKPOINT)
    with local_stack(log=None) as client:
        yield client


def number(index: int) -> str:
    return f"+1202555{index:04d}"


def contacts() -> list[str]:
    """The lines of a file; some of its rows are no contacts."""
    rows = [f'{number(index)},Name {index},"Ask for ""Bob"", at ten"' for index in range(CONTACTS)]
    rows[30:30] = ["nobody,Name,x", f"{number(7)},Again,x"]
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
    """The batch's contacts, in the order of its file; those of more rows are asked for than it has."""
    executions = DynamoExecutions(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    return executions.read([contact_id(batch_id, row) for row in range(1, CONTACTS + ROWS_AT_ONCE)])


def statuses(client: LocalClient, batch_id: str) -> dict[str, int]:
    """How many of its contacts stand where."""
    return dict(Counter(str(execution.state.status) for execution in stored(client, batch_id)))


class Watch:
    """Sees every request of the batch function, by its batch, and does `act` at each, before and after.

    `requests`: what was asked, `invocations`: the request ids of the invocations that asked.
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


def test_cut_off_at_any_request_it_ends_in_the_same_contacts(client: LocalClient) -> None:
    """One batch for each request that reading a file makes: cut off there, before it has its effect or after it had.

    Lambda then tries the same event again and goes on; or it is cut off whenever it tries, and the sweeper is left.
    """
    whole = create(client, contacts())
    watch = Watch(client)
    client.advance(0)
    client.stack.aws.hooks.remove(watch)
    assert watch.inserts(whole) == INSERTS
    count = len(watch.requests[whole])
    assert count >= 15, watch.requests

    points = [
        (nth, phase, tries) for nth in range(1, count + 1) for phase in ("before", "after") for tries in (1, EVERY_TRY)
    ]
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
        told = batch(client, batch_id)
        assert (told["status"], told["sequence"]) == ("processed", 2), where
        assert (told["valid_contacts"], told["total_contacts"]) == (CONTACTS, CONTACTS + BAD_ROWS), where


def test_when_its_time_runs_out_it_invokes_itself_and_goes_on_where_it_was(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_batch, "SECONDS_TO_SPARE", 10_000.0)  # more than there ever are
    batch_id = create(client, contacts())
    watch = Watch(client)
    client.advance(0.5)
    assert len(watch.invocations[batch_id]) == INSERTS
    assert watch.inserts(batch_id) == INSERTS, "nothing was stored twice"
    assert watch.requests[batch_id].count("PutObject") == 1, "rejected rows are written by whoever reaches the end"
    assert batch(client, batch_id)["status"] == "processed"
    assert statuses(client, batch_id) == {"queued": CONTACTS}
    assert len(rejected(client, batch_id).body.splitlines()) == 1 + BAD_ROWS


def test_a_contact_that_was_stopped_meanwhile_is_not_stored_over(client: LocalClient) -> None:
    batch_id = create(client, contacts())

    def cut_off(of: str, seen: OutsideRequest) -> None:
        if watch.inserts(of) == 3 and seen.phase == "after":
            raise Gone

    watch = Watch(client, cut_off)
    client.advance(0.5)
    client.stack.aws.hooks.remove(watch)
    assert batch(client, batch_id)["valid_contacts"] < 3 * ROWS_AT_ONCE, "the third piece will be stored again"
    stopped = contact_id(batch_id, 60)
    assert client.api("POST", f"/call/{stopped}/stop").status == 200
    before = client.execution(stopped)

    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert before["status"] == "stopped"
    assert client.execution(stopped) == before
    assert batch(client, batch_id)["status"] == "processed"
    assert statuses(client, batch_id) == {"queued": CONTACTS - 1, "stopped": 1}


def test_a_file_that_turns_out_to_be_unusable_fails_the_batch_and_stops_what_was_stored(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_csv, "CHECK_ROWS", 20)  # of a large file no more is looked at before it is accepted
    lines = contacts()
    lines[80] = f"{number(500)},Andr\xe9,Latin-1"
    batch_id = create(client, lines, ("start", "now"))
    client.advance(5)
    told = batch(client, batch_id)
    assert told["status"] == "failed"
    assert told["reason"].startswith("line 81: byte 0xE9 is not UTF-8")
    assert statuses(client, batch_id) == {"stopped": 3 * ROWS_AT_ONCE}, "so many pieces come before that line"
    assert client.calls() == []
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert batch(client, batch_id)["sequence"] == told["sequence"], "nothing is tried again"


@pytest.mark.parametrize(("during_insert", "inserts"), [(1, 2), (INSERTS, INSERTS)])
def test_a_stop_ends_the_reading(client: LocalClient, during_insert: int, inserts: int) -> None:
    """At the next checkpoint, or else at the end; what has been stored is stopped, and no call is made."""
    batch_id = create(client, contacts(), ("start", "now"))
    watch = during(client, during_insert, "POST", f"/batches/{batch_id}/stop")
    client.advance(5)
    assert watch.inserts(batch_id) == inserts
    assert batch(client, batch_id)["status"] == "stopped"
    assert statuses(client, batch_id) == {"stopped": min(CONTACTS, ROWS_AT_ONCE * inserts)}
    assert client.calls() == []


def test_a_delete_ends_the_reading_and_removes_all_of_it(client: LocalClient) -> None:
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
    """The request to the API is made while insert number `insert` is on its way."""
    asked: list[str] = []

    def ask(batch_id: str, seen: OutsideRequest) -> None:
        if not asked and watch.inserts(batch_id) == insert:
            asked.append(path)  # before asking: a hook sees its own HTTP requests too
            answer = client.api(method, path)
            assert answer.status == 200, answer

    watch = Watch(client, ask)
    return watch
