"""Redial's answers compared with what Bolna publishes, and docs/bolna.md compared with both.

A Bolna client's requests are sent to the local stack. The page names each difference of an answer or an event in the
table of its kind, and each difference that it names occurs. Every claim of the page names a test that shows it.
"""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract import bolna
from tests.contract.bolna import ABSENT, NULL, SHARED, STATUS, TYPE, VALUE, differences
from tests.support.api import openapi
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack, request
from tests.support.template import ROOT

PAGE = (ROOT / "docs/bolna.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
UNKNOWN = "00000000-0000-4000-8000-0000000000ff"
RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [15]}
ANSWERED, UNANSWERED, MACHINE, WRONG, LATER = (f"+1202555019{digit}" for digit in range(5))
INBOX, BATCH_INBOX = "bolna", "bolna-batches"


class Checked:
    """A Bolna client: sends requests as Bolna documents them, and collects the differences in the answers."""

    def __init__(self, local: LocalClient) -> None:
        self.local = local
        self.found: set[tuple[str, str]] = set()
        self.asked: set[str] = set()

    def __call__(self, route: str, body: Any = None, query: str = "", headers: Any = None, **ids: str) -> Any:
        """Send a request to a shared route, assert that it succeeds, and return the answer as JSON."""
        method, _, path = route.partition(" ")
        answer = self.local.api(method, path.format(**ids) + query, body, **(headers or {}))
        assert 200 <= answer.status < 300, f"{route} {body}: {answer}"
        self.asked.add(route)
        if answer.status != 200:
            self.found.add((STATUS, f"{route} {answer.status}"))
        self.found |= set(differences(SHARED[route].answer, answer.json))
        return answer.json

    def refused(self, route: str, status: int, **ids: str) -> None:
        """Send a request to a shared route, and assert that it is answered with this error."""
        method, _, path = route.partition(" ")
        key = {"Authorization": "Bearer wrong"} if status == 401 else {}
        answer = self.local.api(method, path.format(**ids), {} if method in ("PUT", "PATCH") else None, **key)
        assert answer.status == status, f"{route}: {answer}"
        self.found |= set(differences(bolna.ERROR, answer.json))
        if status not in SHARED[route].errors:
            self.found.add((STATUS, str(status)))


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        defaults = {"from_phone_numbers": ["+12025550100"], "answer_url": "https://voice.example.com/{execution_id}"}
        assert client.api("PATCH", "/user/me", defaults).status == 200
        yield client
        client.assert_sound()


@pytest.fixture(scope="module")
def checked(local: LocalClient) -> Checked:
    checked = Checked(local)
    agent_id = the_agent(checked)
    the_calls(checked, agent_id)
    the_batch(checked, agent_id)
    the_errors(checked)
    the_events(checked)
    checked("DELETE /v2/agent/{agent_id}", agent_id=agent_id)
    return checked


def agent_of_a_bolna_client(local: LocalClient, **config: Any) -> dict[str, Any]:
    """The body of POST /v2/agent with every published key and no key of Redial's own."""
    config = {
        "agent_name": "Ann's assistant",
        "agent_welcome_message": "Hello {name}",
        "webhook_url": f"{local.stack.inbox_url}/{INBOX}",
        "agent_type": "other",
        "tasks": [{"task_type": "conversation", "tools_config": {"output": {"provider": "default"}}}],
        "ingest_source_config": {"source_type": "api"},
        "calling_guardrails": {"call_start_hour": 0, "call_end_hour": 23},
        **config,
    }
    return {"agent_config": config, "agent_prompts": {"task_1": {"system_prompt": "Be kind."}}}


def the_agent(checked: Checked) -> str:
    body = agent_of_a_bolna_client(checked.local)
    agent_id: str = checked("POST /v2/agent", body)["agent_id"]
    checked("PUT /v2/agent/{agent_id}", body, agent_id=agent_id)
    patch = {"agent_config": {"agent_name": "Ann", "synthesizer": {"provider": "polly"}}}
    checked("PATCH /v2/agent/{agent_id}", patch, agent_id=agent_id)
    assert checked("GET /v2/agent/{agent_id}", agent_id=agent_id)["agent_prompts"] == body["agent_prompts"]
    checked("GET /v2/agent/all")
    checked("GET /user/me")
    checked("GET /phone-numbers/all")
    return agent_id


def the_calls(checked: Checked, agent_id: str) -> None:
    local = checked.local
    local.script(ANSWERED, "completed")
    local.script(UNANSWERED, "no-answer", "busy", "failed")
    local.script(MACHINE, "voicemail")
    local.script(WRONG, "invalid-number")
    whole = {
        "from_phone_number": "+12025550100",
        "user_data": {"name": "Ann"},
        "agent_data": {"voice_id": "Sam"},
        "retry_config": RETRIES,
        "bypass_call_guardrails": True,
    }
    made = []
    for number in (ANSWERED, UNANSWERED, MACHINE, WRONG):
        body = {"agent_id": agent_id, "recipient_phone_number": number, **whole}
        made.append(checked("POST /call", body)["execution_id"])
    for _ in range(3):
        for execution_id in made:
            checked("GET /executions/{execution_id}", execution_id=execution_id)
        local.advance(20)
    for execution_id in made:
        checked("GET /agent/{agent_id}/execution/{execution_id}", agent_id=agent_id, execution_id=execution_id)
        checked("GET /executions/{execution_id}/log", execution_id=execution_id)
    body = {"agent_id": agent_id, "recipient_phone_number": LATER}
    body["scheduled_at"] = (local.stack.clock.now() + timedelta(hours=6)).isoformat()
    assert set(body) | set(whole) == SHARED["POST /call"].body
    waiting, another = (checked("POST /call", body)["execution_id"] for _ in range(2))
    checked("POST /call/{execution_id}/stop", execution_id=waiting)
    checked("GET /executions/{execution_id}", execution_id=another)
    assert checked("POST /v2/agent/{agent_id}/stop", agent_id=agent_id)["stopped_executions"] == [another]
    listed = checked("GET /agent/{agent_id}/executions", agent_id=agent_id)
    assert {one["id"] for one in listed} == {*made, waiting, another}
    for name, values in SHARED["GET /v2/agent/{agent_id}/executions"].query.items():
        for value in values:
            checked("GET /v2/agent/{agent_id}/executions", query=f"?{name}={quote(value)}", agent_id=agent_id)


def the_batch(checked: Checked, agent_id: str) -> None:
    local = checked.local
    fields = [
        ("agent_id", agent_id),
        ("from_phone_numbers", "+12025550100"),
        ("from_phone_numbers", "+12025550101"),
        ("retry_config", '{"enabled": true, "max_retries": 1, "retry_intervals_minutes": [15]}'),
    ]
    assert {name for name, _ in fields} | {"file"} == SHARED["POST /batches"].body
    file = f"contact_number,name\n{ANSWERED},Ann\n{UNANSWERED},Bob\n"

    def create(*more: tuple[str, str]) -> str:
        form = multipart([*fields, *more], file)
        return str(checked("POST /batches", form, headers={"Content_Type": CONTENT_TYPE})["batch_id"])

    def schedule(batch_id: str) -> None:
        at = (local.stack.clock.now() + timedelta(minutes=5)).isoformat(" ")
        form = multipart([("scheduled_at", at), ("bypass_call_guardrails", "false")])
        checked("POST /batches/{batch_id}/schedule", form, headers={"Content_Type": CONTENT_TYPE}, batch_id=batch_id)

    first, second = create(("webhook_url", f"{local.stack.inbox_url}/{BATCH_INBOX}")), create()
    checked("GET /batches/{batch_id}", batch_id=first)
    local.advance(1)
    checked("GET /batches/{batch_id}", batch_id=first)
    for batch_id in (first, second):
        schedule(batch_id)
        checked("GET /batches/{batch_id}", batch_id=batch_id)
    checked("POST /batches/{batch_id}/stop", batch_id=second)
    for _ in range(3):
        local.advance(10)
        checked("GET /batches/{batch_id}", batch_id=first)
        checked("GET /batches/{batch_id}/executions", batch_id=first)
    listed = checked("GET /batches/{agent_id}/all", agent_id=agent_id)
    assert {one["batch_id"]: one["status"] for one in listed} == {first: "completed", second: "stopped"}
    checked.refused("POST /batches/{batch_id}/stop", 404, batch_id=first)
    for batch_id in (first, second):
        checked("DELETE /batches/{batch_id}", batch_id=batch_id)


def the_errors(checked: Checked) -> None:
    for route in SHARED:
        ids = dict.fromkeys(re.findall(r"\{(\w+)\}", route), UNKNOWN)
        checked.refused(route, 401, **ids)
        if ids and not route.startswith(("PUT", "POST /batches")):
            checked.refused(route, 404, **ids)


def the_events(checked: Checked) -> None:
    events, of_batches = checked.local.inbox(INBOX), checked.local.inbox(BATCH_INBOX)
    assert len(events) > 20 and len(of_batches) > 4
    for event in events:
        checked.found |= set(differences(bolna.EXECUTION, event["body"]))
    for event in of_batches:
        checked.found |= set(differences(bolna.BATCH, event["body"]))


# ---- the page --------------------------------------------------------------------------------------------------------

TABLES = {STATUS: "Status", ABSENT: "Absent", NULL: "Null", TYPE: "Type", VALUE: "Value"}


def section(heading: str) -> str:
    """The page's text below a heading, up to the next one."""
    _, _, rest = PAGE.partition(f"# {heading}\n")
    assert rest, f"docs/bolna.md has no heading {heading}"
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def named(kind: str) -> set[str]:
    """The differences that the page names in the table of this kind: the texts in backticks in the first column."""
    rows = re.findall(r"^\|(.*?)\|", section(TABLES[kind]), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_shared_route_was_asked(checked: Checked) -> None:
    assert checked.asked == set(SHARED)


@pytest.mark.parametrize("kind", TABLES)
def test_the_page_names_every_difference_and_no_other(checked: Checked, kind: str) -> None:
    found = {place for one, place in checked.found if one == kind}
    assert named(kind) == found


def test_the_page_names_every_route_that_redial_does_not_have() -> None:
    absent = {f"{method} {path}" for path, methods in bolna.NOT_SHARED.items() for method in methods}
    ours = {f"{method.upper()} {path}" for path, routes in openapi()["paths"].items() for method in routes}
    assert set(SHARED) <= ours
    assert absent & ours == set()
    prefixes = re.findall(r"`(/[^`]*)`", section("Routes that Redial does not have"))
    for prefix in prefixes:
        assert any(path.startswith(prefix) for path in bolna.NOT_SHARED), f"{prefix} is not published"
    assert [path for path in bolna.NOT_SHARED if not path.startswith(tuple(prefixes))] == []


def test_every_claim_of_the_page_names_a_test_that_exists() -> None:
    """A claim is an item of a list. The rows of tables are compared with the answers, above."""
    claims = re.findall(r"^(?:- |\d\. )(.*(?:\n  .*)*)", PAGE, re.MULTILINE)
    assert len(claims) > 12
    for claim in claims:
        assert re.findall(r"`tests/[\w/]+\.py::\w+`", claim), f"names no test: {claim}"
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file} has no {test}"


def test_a_difference_is_found_by_its_kind() -> None:
    shape = bolna.Object(
        "X", {"a": bolna.TEXT, "b": bolna.WHOLE, "c": {"on"}, "d?": bolna.FLAG, "e": bolna.Array(bolna.TEXT)}
    )
    assert set(differences(shape, {"a": "x", "b": 1, "c": "on", "e": ["x"], "more": 1})) == set()
    assert set(differences(shape, {"a": None, "b": "1", "c": "off", "d": 1, "e": ["x", 2]})) == {
        (NULL, "X.a"), (TYPE, "X.b"), (VALUE, "X.c"), (TYPE, "X.d"), (TYPE, "X.e"),
    }  # fmt: skip
    assert {kind for kind, _ in differences(shape, {})} == {ABSENT}


# ---- claims of the page ----------------------------------------------------------------------------------------------


def new_agent(local: LocalClient, **config: Any) -> str:
    answer = local.api("POST", "/v2/agent", agent_of_a_bolna_client(local, **config))
    assert answer.status == 201, answer
    return str(answer.json["agent_id"])


def test_a_minimal_call_of_a_bolna_clients_agent_is_placed(local: LocalClient) -> None:
    local.script("+12025550181", "completed")
    execution_id = local.call("+12025550181", agent_id=new_agent(local))
    local.advance(5)
    execution = local.execution(execution_id)
    assert (execution["status"], execution["agent_number"]) == ("completed", "+12025550100")
    (call,) = local.calls("+12025550181")
    assert call["status"] == "completed"


def test_an_id_with_its_sequence_names_one_event_and_an_id_with_its_status_does_not(local: LocalClient) -> None:
    local.script("+12025550182", "no-answer", "no-answer", "completed")
    agent_id = new_agent(local, webhook_url=f"{local.stack.inbox_url}/duplicates")
    execution_id = local.call("+12025550182", agent_id=agent_id, retry_config=RETRIES)
    assert request("POST", f"{local.stack.inbox_url}/_inbox/duplicates/fail", {"times": 1, "status": 500}).status == 200
    local.advance(60)
    tries = local.inbox("duplicates", execution_id)
    accepted = [one["body"] for one in tries if one["answered"] == 200]
    assert len(tries) == len(accepted) + 1, "one event was sent twice"
    assert len({(one["body"]["id"], one["body"]["sequence"]) for one in tries}) == len(accepted)
    assert len({one["headers"]["webhook-id"] for one in tries}) == len(accepted)
    assert [one["sequence"] for one in accepted] == list(range(1, len(accepted) + 1))
    statuses = [one["status"] for one in accepted]
    assert statuses.count("no-answer") == 2 and statuses.count("scheduled") == 2, "other events with the same status"


def test_every_event_is_signed(local: LocalClient) -> None:
    local.script("+12025550183", "completed")
    execution_id = local.call("+12025550183", agent_id=new_agent(local))
    local.advance(5)
    tries = local.inbox(INBOX, execution_id)
    assert tries and all(one["verified"] and one["headers"]["webhook-signature"] for one in tries)


def test_agent_data_and_unknown_fields_have_no_effect(local: LocalClient) -> None:
    extra = {"agent_data": {"voice_id": "Sam"}, "campaign": 7}
    local.script("+12025550184", "completed")
    execution_id = local.call("+12025550184", agent_id=new_agent(local), **extra)
    local.advance(5)
    execution = local.execution(execution_id)
    assert execution["status"] == "completed"
    assert extra.keys() & execution.keys() == set()


def test_a_batch_reports_each_change_of_its_status(local: LocalClient) -> None:
    local.script("+12025550185", "completed")
    fields = [("agent_id", new_agent(local)), ("start", "now"), ("webhook_url", f"{local.stack.inbox_url}/batch")]
    form = multipart(fields, "contact_number,name\n+12025550185,Ann\n12,Bob\n")
    assert local.api("POST", "/batches", form, Content_Type=CONTENT_TYPE).status == 201
    local.advance(20)
    statuses = [one["body"]["status"] for one in local.inbox("batch")]
    assert statuses == ["created", "processed", "queued", "running", "completed"]
    types = [one["body"]["type"] for one in local.inbox("batch")]
    assert types == [f"batch.{status}" for status in statuses]


def test_an_invalid_webhook_url_of_a_batch_is_refused(local: LocalClient) -> None:
    form = multipart([("agent_id", new_agent(local)), ("webhook_url", "no url")], "contact_number\n+12025550185\n")
    answer = local.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "webhook_url")


def test_a_query_longer_than_seven_days_is_answered(local: LocalClient) -> None:
    agent_id = new_agent(local)
    query = "?from=2025-01-01T00:00:00Z&to=2026-12-31T00:00:00Z"
    answer = local.api("GET", f"/v2/agent/{agent_id}/executions{query}")
    assert (answer.status, answer.json["total"]) == (200, 0)


def test_an_unknown_query_parameter_is_refused(local: LocalClient) -> None:
    answer = local.api("GET", f"/v2/agent/{new_agent(local)}/executions?stauts=busy")
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "stauts")


def test_a_machine_is_known_only_where_the_agent_asks_for_detection(local: LocalClient) -> None:
    local.script("+12025550186", "voicemail")
    asked, not_asked = (
        local.call("+12025550186", agent_id=new_agent(local, voicemail_detection=detection))
        for detection in (True, False)
    )
    local.advance(5)
    assert local.execution(asked)["answered_by_voice_mail"] is True
    assert local.execution(not_asked)["answered_by_voice_mail"] is None


def test_one_function_sends_events() -> None:
    """A fixed source address for it requires one's own network."""
    handlers = {path.parent.name: path.read_text(encoding="utf-8") for path in ROOT.glob("functions/*/handler.py")}
    assert {name for name, code in handlers.items() if "_deliverer.deliver(" in code} == {"deliver"}
