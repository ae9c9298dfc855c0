"""Agents over HTTP: created, read, listed, replaced, patched and deleted."""

from typing import Any

import boto3
import pytest

from redial.adapters import address_guard
from redial.adapters.dynamodb.agents import KEEP_DELETED, DynamoAgents
from redial.api.agent_config import configure
from redial.domain.agent import Agent
from redial.ports import StaleVersion
from redial.runtime import system
from redial.runtime.services import services_of
from redial.usecases import agents
from redial.usecases.dispatch import queued_call
from tests.support.api import API_KEY, OTHER_API_KEY, UNKNOWN_ID, Api, openapi
from tests.support.samples import ACCOUNT_ID, CALLER_ID, NUMBER, TEN, minutes
from tests.support.services import no_policies
from tests.support.table import TABLE_NAME

WHOLE: dict[str, Any] = {
    "agent_config": {
        "agent_name": "Zoë's reminders",
        "agent_welcome_message": "Hello {name}",
        "agent_type": "lead_qualification",
        "webhook_url": "https://hooks.example.com/redial",
        "telephony_provider": "twilio",
        "calling_guardrails": {"call_start_hour": 9, "call_end_hour": 0, "note": "kept"},
        "from_phone_numbers": [CALLER_ID, "+14155550101"],
        "stream_url": "wss://voice.example.com/{agent_id}/{execution_id}",
        "max_concurrent_calls": 1000,
        "ring_timeout_seconds": 600,
        "max_call_seconds": 86400,
        "voicemail_detection": True,
        "tasks": [{"task_type": "conversation", "temperature": 0.1, "nothing": None}],
        "ingest_source_config": {"source_type": "api"},
    },
    "agent_prompts": {"task_1": {"system_prompt": "Be brief. 👋"}},
    "x-own": [1, 2.5, True, None, {"": "empty key"}],
}
FILLED_IN = {"answer_url": None, "consent_required": False}
"""What an answer has in addition to `WHOLE`."""


@pytest.fixture
def api(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Give every host name one public address; no name server is needed."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        address = host if host[0].isdigit() else "93.184.215.14"
        return [(None, None, None, "", (address, port))]

    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": resolve})
    return api


def read(api: Api, agent_id: str) -> dict[str, Any]:
    answer = api.send("GET", f"/v2/agent/{agent_id}")
    assert answer.status == 200
    body: dict[str, Any] = answer.json
    return body


def stored(agent_id: str) -> Agent:
    agent = services_of("api").agents.get(ACCOUNT_ID, agent_id)
    assert agent is not None
    return agent


# ---- create and read ----------------------------------------------------------------------------------------------


def test_a_configuration_is_returned_as_sent(api: Api) -> None:
    created = api.send("POST", "/v2/agent", WHOLE)
    assert created.status == 201
    agent_id = created.json["agent_id"]
    assert created.json == {"agent_id": agent_id, "state": "created"}
    agent = read(api, agent_id)
    assert agent["agent_config"] == WHOLE["agent_config"] | FILLED_IN
    assert agent["agent_prompts"] == WHOLE["agent_prompts"]
    assert agent["x-own"] == WHOLE["x-own"]
    assert agent["tasks"] == WHOLE["agent_config"]["tasks"]
    assert agent["ingest_source_config"] == {"source_type": "api"}
    assert (agent["id"], agent["agent_id"]) == (agent_id, agent_id)
    assert agent["agent_name"] == "Zoë's reminders"
    assert agent["agent_type"] == "lead_qualification"
    assert agent["agent_status"] == "processed"
    assert agent["created_at"] == agent["updated_at"] == "2026-01-26T10:00:00.000Z"


def test_fields_that_redial_reads_are_stored_typed(api: Api) -> None:
    agent = stored(api.send("POST", "/v2/agent", WHOLE).json["agent_id"])
    assert (agent.name, agent.provider) == ("Zoë's reminders", "twilio")
    assert agent.webhook_url == "https://hooks.example.com/redial"
    assert agent.from_phone_numbers == (CALLER_ID, "+14155550101")
    assert (agent.answer_url, agent.stream_url) == (None, "wss://voice.example.com/{agent_id}/{execution_id}")
    assert (agent.call_start_hour, agent.call_end_hour) == (9, 0)
    assert (agent.max_concurrent_calls, agent.ring_timeout_seconds, agent.max_call_seconds) == (1000, 600, 86400)
    assert agent.voicemail_detection is True
    assert (agent.version, agent.account_id) == (1, ACCOUNT_ID)


def test_a_name_is_enough_and_the_defaults_are_filled_in(api: Api) -> None:
    agent_id = api.send("POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}).json["agent_id"]
    agent = read(api, agent_id)
    assert agent["agent_type"] == "other"
    assert agent["agent_config"] == {
        "agent_name": "a",
        "webhook_url": None,
        "telephony_provider": "twilio",
        "calling_guardrails": None,
        "from_phone_numbers": [],
        "answer_url": None,
        "stream_url": None,
        "max_concurrent_calls": 10,
        "ring_timeout_seconds": 30,
        "max_call_seconds": 3600,
        "voicemail_detection": False,
        "consent_required": False,
    }
    assert "tasks" not in agent
    documented = openapi()["components"]["schemas"]["AgentConfig"]["properties"]
    assert {name for name, schema in documented.items() if "default" in schema} <= agent["agent_config"].keys()


def test_null_means_not_given(api: Api) -> None:
    sent = dict.fromkeys(read(api, api.agent())["agent_config"]) | {"agent_name": "a"}
    agent_id = api.send("POST", "/v2/agent", {"agent_config": sent}).json["agent_id"]
    assert read(api, agent_id)["agent_config"]["max_concurrent_calls"] == 10
    assert stored(agent_id).answer_url is None


def test_a_customers_key_cannot_override_redials(api: Api) -> None:
    sent = {"agent_config": {"agent_name": "a"}, "id": "x", "agent_status": "y"}
    agent_id = api.send("POST", "/v2/agent", sent).json["agent_id"]
    assert (read(api, agent_id)["id"], read(api, agent_id)["agent_status"]) == (agent_id, "processed")


# ---- list ---------------------------------------------------------------------------------------------------------


def test_agents_are_listed_oldest_first_and_only_to_their_account(api: Api) -> None:
    assert api.send("GET", "/v2/agent/all").json == []
    made = []
    for name in ("one", "two", "three"):
        made.append(api.agent(agent_name=name))
        api.advance(minutes(1))
    api.agent(key=OTHER_API_KEY)
    assert [agent["id"] for agent in api.send("GET", "/v2/agent/all").json] == made
    page = api.send("GET", "/v2/agent/all", query="page_number=2&page_size=2").json
    assert [agent["agent_name"] for agent in page] == ["three"]
    assert api.send("GET", "/v2/agent/all", query="page_size=0").status == 400


def test_a_list_above_the_size_limit_goes_on_in_a_linked_part(api: Api) -> None:
    large = {"agent_config": {"agent_name": "a"}, "agent_prompts": {"task_1": "x" * 190_000}}
    for _ in range(30):
        api.send("POST", "/v2/agent", large)
    answer = api.send("GET", "/v2/agent/all")
    assert (answer.status, answer.headers["x-total-count"]) == (200, "30")
    rest = api.send("GET", "/v2/agent/all", query=answer.headers["link"].partition("?")[2].partition(">")[0])
    assert len(answer.json) + len(rest.json) == 30
    assert "link" not in rest.headers
    answer = api.send("GET", "/v2/agent/all", query="page_size=30")
    assert answer.status == 413
    assert "page_size" in answer.json["message"]
    assert len(api.send("GET", "/v2/agent/all", query="page_size=20").json) == 20


# ---- invalid configurations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    ("config", "field", "message"),
    [
        ({"agent_name": ""}, "agent_name", "a text of 1 to 200"),
        ({"agent_name": "  "}, "agent_name", "a text of 1 to 200"),
        ({"agent_name": "x" * 201}, "agent_name", "a text of 1 to 200"),
        ({"agent_name": None}, "agent_name", "is required"),
        ({"telephony_provider": "plivo"}, "telephony_provider", "must be one of twilio, http"),
        ({"max_concurrent_calls": 0}, "max_concurrent_calls", "must be at least 1"),
        ({"ring_timeout_seconds": 601}, "ring_timeout_seconds", "must be at most 600"),
        ({"voicemail_detection": "yes"}, "voicemail_detection", "true or false"),
        ({"calling_guardrails": {"call_start_hour": 9}}, "calling_guardrails.call_end_hour", "both hours"),
        ({"from_phone_numbers": [CALLER_ID, "911"]}, "from_phone_numbers.1", "must begin with +"),
        ({"webhook_url": "http://hooks.example.com/"}, "webhook_url", "https://"),
        ({"webhook_url": "https://127.0.0.1/"}, "webhook_url", "loopback"),
        ({"answer_url": "http://voice.example.com/"}, "answer_url", "https://"),
        ({"stream_url": "wss://voice.example.com/"}, "stream_url", "not both"),
    ],
)
def test_an_invalid_configuration_answers_400_on_every_route(
    api: Api, method: str, config: dict[str, Any], field: str, message: str
) -> None:
    agent_id = api.agent()
    before = read(api, agent_id)
    path = "/v2/agent" if method == "POST" else f"/v2/agent/{agent_id}"
    whole = {"agent_name": "a", "answer_url": "https://voice.example.com/"}
    answer = api.send(method, path, {"agent_config": config if method == "PATCH" else whole | config})
    assert answer.status == 400
    assert [error["field"] for error in answer.json["errors"]] == [f"agent_config.{field}"]
    assert message in answer.json["errors"][0]["message"]
    assert read(api, agent_id) == before
    assert len(api.send("GET", "/v2/agent/all").json) == 1


@pytest.mark.parametrize("body", [{}, {"agent_config": None}, {"agent_config": []}, {"agent_config": "a"}])
def test_a_body_without_a_configuration_answers_400(api: Api, body: dict[str, Any]) -> None:
    for method, path in (("POST", "/v2/agent"), ("PUT", f"/v2/agent/{api.agent()}")):
        answer = api.send(method, path, body)
        assert answer.status == 400
        assert [error["field"] for error in answer.json["errors"]] == ["agent_config"]


def test_a_configuration_above_the_size_limit_answers_413(api: Api) -> None:
    agent_id = api.agent()
    parts = [api.send("PATCH", f"/v2/agent/{agent_id}", {part: "x" * 90_000}) for part in ("a", "b", "c")]
    assert [answer.status for answer in parts] == [200, 200, 413]
    assert "200000 bytes" in parts[-1].json["message"]


# ---- put and patch ------------------------------------------------------------------------------------------------


def test_put_replaces_everything_but_identity(api: Api) -> None:
    agent_id = api.send("POST", "/v2/agent", WHOLE).json["agent_id"]
    api.advance(minutes(1))
    answer = api.send("PUT", f"/v2/agent/{agent_id}", {"agent_config": {"agent_name": "new"}})
    assert (answer.status, answer.json) == (200, {"message": "success", "state": "updated"})
    agent = read(api, agent_id)
    assert agent["agent_name"] == "new"
    assert "agent_prompts" not in agent
    assert agent["agent_config"]["from_phone_numbers"] == []
    assert agent["created_at"] == "2026-01-26T10:00:00.000Z"
    assert agent["updated_at"] == "2026-01-26T10:01:00.000Z"
    assert stored(agent_id).webhook_url is None


def test_patch_changes_the_keys_it_names_and_no_others(api: Api) -> None:
    agent_id = api.send("POST", "/v2/agent", WHOLE).json["agent_id"]
    config = {"webhook_url": None, "max_concurrent_calls": 5, "own": 1}
    patch: dict[str, Any] = {"agent_config": config, "agent_prompts": {"task_2": {}}}
    answer = api.send("PATCH", f"/v2/agent/{agent_id}", patch)
    assert (answer.status, answer.json) == (200, {"message": "success", "state": "updated"})
    agent = read(api, agent_id)
    assert agent["agent_config"] == WHOLE["agent_config"] | config | FILLED_IN
    assert agent["agent_prompts"] == {"task_2": {}}
    assert agent["x-own"] == WHOLE["x-own"]
    assert (stored(agent_id).webhook_url, stored(agent_id).max_concurrent_calls) == (None, 5)


def test_an_empty_webhook_url_is_none(api: Api) -> None:
    agent_id = api.agent(webhook_url="")
    assert stored(agent_id).webhook_url is None
    api.send("PATCH", f"/v2/agent/{agent_id}", {"agent_config": {"webhook_url": "https://hooks.example.com/"}})
    assert stored(agent_id).webhook_url == "https://hooks.example.com/"
    answer = api.send("PATCH", f"/v2/agent/{agent_id}", {"agent_config": {"webhook_url": ""}})
    assert answer.status == 200
    assert stored(agent_id).webhook_url is None


def test_an_empty_patch_changes_only_updated_at(api: Api) -> None:
    agent_id = api.agent()
    before = read(api, agent_id)
    api.advance(minutes(1))
    assert api.send("PATCH", f"/v2/agent/{agent_id}", {}).status == 200
    assert read(api, agent_id) == before | {"updated_at": "2026-01-26T10:01:00.000Z"}


def test_stream_and_answer_url_are_exchanged_in_one_patch(api: Api) -> None:
    agent_id = api.agent()
    config = {"answer_url": None, "stream_url": "wss://voice.example.com/"}
    assert api.send("PATCH", f"/v2/agent/{agent_id}", {"agent_config": config}).status == 200
    assert stored(agent_id).stream_url == "wss://voice.example.com/"


def test_an_unchanged_webhook_is_not_resolved_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    agent_id = api.agent(webhook_url="https://hooks.example.com/")

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        raise OSError("no name server")

    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": resolve})
    path = f"/v2/agent/{agent_id}"
    assert api.send("PATCH", path, {"agent_config": {"agent_name": "b"}}).status == 200
    answer = api.send("PATCH", path, {"agent_config": {"webhook_url": "https://other.example.com/"}})
    assert answer.status == 400
    assert "no address found" in answer.json["message"]


def test_more_lines_start_waiting_calls(api: Api) -> None:
    agent_id = api.agent(max_concurrent_calls=1)
    services = services_of("api")
    assert services.lines.acquire(ACCOUNT_ID, agent_id, 0, 1, UNKNOWN_ID, 1, TEN)
    waiting = api.call(agent_id)
    execution = services.executions.get(waiting)
    assert execution is not None
    services.queue.enqueue(agent_id, queued_call(execution))
    api.invoked.clear()
    api.send("PATCH", f"/v2/agent/{agent_id}", {"agent_config": {"max_concurrent_calls": 2}})
    assert api.invoked == [("dial", {"execution_id": waiting, "attempt": 1, "line": 0})]


def test_two_concurrent_changes_both_apply(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    agent_id = api.agent()
    save = DynamoAgents.save
    other_change_done: list[bool] = []

    def racing_save(self: DynamoAgents, agent: Agent) -> Agent:
        if not other_change_done:
            other_change_done.append(True)
            api.send("PATCH", f"/v2/agent/{agent_id}", {"first": 1})
        return save(self, agent)

    monkeypatch.setattr(DynamoAgents, "save", racing_save)
    agents.patch_agent(
        services_of("api"),
        agent_id,
        {"second": 2},
        account_id=ACCOUNT_ID,
        configure=lambda agent, body: configure(agent, body, lambda url: None, False, no_policies),
        now=system.now(),
    )
    agent = read(api, agent_id)
    assert (agent["first"], agent["second"]) == (1, 2)


def test_endless_concurrent_changes_answer_409(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    agent_id = api.agent()

    def lose(self: DynamoAgents, agent: Agent) -> Agent:
        raise StaleVersion(agent.agent_id)

    monkeypatch.setattr(DynamoAgents, "save", lose)
    assert api.send("PUT", f"/v2/agent/{agent_id}", {"agent_config": {"agent_name": "a"}}).status == 409


# ---- delete -------------------------------------------------------------------------------------------------------


def test_a_deleted_agent_is_unknown_and_its_waiting_calls_are_stopped(api: Api) -> None:
    agent_id = api.agent()
    waiting = api.call(agent_id, scheduled_at="2026-01-26T12:00:00Z")
    answer = api.send("DELETE", f"/v2/agent/{agent_id}")
    assert (answer.status, answer.json) == (200, {"message": "success", "state": "deleted"})
    for method, path, body in (
        ("GET", f"/v2/agent/{agent_id}", None),
        ("PUT", f"/v2/agent/{agent_id}", {"agent_config": {"agent_name": "a"}}),
        ("PATCH", f"/v2/agent/{agent_id}", {}),
        ("DELETE", f"/v2/agent/{agent_id}", None),
        ("POST", f"/v2/agent/{agent_id}/stop", None),
        ("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER}),
    ):
        assert api.send(method, path, body).status == 404, f"{method} {path}"
    assert api.send("GET", "/v2/agent/all").json == []
    assert api.send("GET", f"/executions/{waiting}").json["status"] == "stopped"


def test_the_calls_and_batches_of_a_deleted_agent_can_still_be_listed(api: Api) -> None:
    agent_id = api.agent()
    execution_id = api.call(agent_id)
    api.send("DELETE", f"/v2/agent/{agent_id}")
    for path in (f"/v2/agent/{agent_id}/executions", f"/agent/{agent_id}/executions"):
        listed = api.send("GET", path).json
        calls = listed if isinstance(listed, list) else listed["data"]
        assert [(one["id"], one["status"]) for one in calls] == [(execution_id, "stopped")]
        assert api.send("GET", path, key=OTHER_API_KEY).status == 404
    assert api.send("GET", f"/batches/{agent_id}/all").json == []


def test_a_deleted_agent_stays_for_its_last_calls_and_then_expires(api: Api) -> None:
    agent_id = api.agent()
    api.send("DELETE", f"/v2/agent/{agent_id}")
    assert stored(agent_id).deleted_at == TEN
    assert stored(agent_id).stopped_before == TEN
    key = {"pk": {"S": f"A#{ACCOUNT_ID}"}, "sk": {"S": f"AGENT#{agent_id}"}}
    item = boto3.client("dynamodb").get_item(TableName=TABLE_NAME, Key=key)["Item"]
    assert int(item["expires_at"]["N"]) == int((TEN + KEEP_DELETED).timestamp())


# ---- other accounts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("PUT", {"agent_config": {"agent_name": "a"}}), ("PATCH", {}), ("DELETE", None)]
)
def test_another_accounts_agent_answers_404(api: Api, method: str, body: Any) -> None:
    foreign = api.agent(key=OTHER_API_KEY)
    for agent_id in (UNKNOWN_ID, foreign, "42", "{agent_id}"):
        assert api.send(method, f"/v2/agent/{agent_id}", body, key=API_KEY).status == 404
    assert api.send("GET", f"/v2/agent/{foreign}", key=OTHER_API_KEY).json["agent_name"] == "reminders"
