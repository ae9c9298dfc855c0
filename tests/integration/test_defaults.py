"""Calls of agents that leave out caller ids, answer or carrier use the account's, or else the stack's."""

from collections.abc import Iterator
from typing import Any

import pytest

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.runtime import keys
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, LocalClient, local_stack

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER, OTHER_NUMBER = "+12025550199", "+12025550198"
STACKS, ACCOUNTS, SECOND, AGENTS, CALLS = (f"+1202555010{digit}" for digit in range(5))
ANSWER = "https://voice.example.com/{agent_id}?call={execution_id}"
STREAM = "wss://voice.example.com/{agent_id}/{execution_id}"
RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [10]}
OTHER_KEY = "the-other-accounts-key"
BOLNAS_AGENT: dict[str, Any] = {
    "agent_config": {
        "agent_name": "Alfred",
        "agent_welcome_message": "Hello from {company}",
        "agent_type": "other",
        "webhook_url": None,
        "tasks": [
            {
                "task_type": "conversation",
                "tools_config": {
                    "llm_agent": {"agent_type": "simple_llm_agent"},
                    "input": {"format": "wav", "provider": "plivo"},
                    "output": {"format": "wav", "provider": "a carrier of theirs"},
                },
                "toolchain": {"execution": "parallel", "pipelines": [["transcriber", "llm", "synthesizer"]]},
            }
        ],
    },
    "agent_prompts": {"task_1": {"system_prompt": "Be brief."}},
}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def blank(client: LocalClient, **config: Any) -> str:
    """An agent with only a name; returns its id."""
    answer = client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "blank", **config}})
    assert answer.status == 201, answer
    return str(answer.json["agent_id"])


def patch(client: LocalClient, **defaults: Any) -> Any:
    answer = client.api("PATCH", "/user/me", defaults)
    assert answer.status == 200, answer
    return answer.json["defaults"]


def callers(client: LocalClient, to: str = NUMBER) -> list[str]:
    return [call["from"] for call in client.calls(to)]


def answers(client: LocalClient) -> list[str | None]:
    """The URL from which the first carrier fetches each call's instructions."""
    return [call.request.url for call in client.stack.carrier.calls.all()]


def streams(client: LocalClient) -> list[str | None]:
    """The URL to which the other carrier connects each call; its answer callback must give the same."""
    return [call.request["stream_url"] for call in client.stack.platform.calls]


def faults(answer: Any) -> dict[str, str]:
    assert answer.status == 400, answer
    return {one["field"]: one["message"] for one in answer.json["errors"]}


@pytest.mark.parametrize("provider", ["plivo", "twilio", "default"])
def test_the_minimal_call_works_from_an_agent_that_another_client_made(client: LocalClient, provider: str) -> None:
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    body = BOLNAS_AGENT | {"agent_config": {**BOLNAS_AGENT["agent_config"]}}
    body["agent_config"]["tasks"][0]["tools_config"]["input"]["provider"] = provider
    created = client.api("POST", "/v2/agent", body)
    assert created.status == 201, created
    agent_id = created.json["agent_id"]
    shown = client.api("GET", f"/v2/agent/{agent_id}").json
    assert shown["agent_welcome_message"] == "Hello from {company}"
    assert shown["tasks"] == body["agent_config"]["tasks"]
    client.script(NUMBER, "completed")
    answer = client.api("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER})
    assert (answer.status, answer.json["status"]) == (200, "queued")
    client.advance(5)
    execution_id = answer.json["execution_id"]
    execution = client.execution(execution_id)
    assert (execution["status"], execution["agent_number"]) == ("completed", ACCOUNTS)
    assert callers(client) == [ACCOUNTS]
    assert answers(client) == [f"https://voice.example.com/{agent_id}?call={execution_id}"]


def test_the_call_comes_first_then_the_agent_the_account_and_the_stack() -> None:
    parameters = {"DefaultFromPhoneNumber": STACKS, "DefaultAnswer": "https://stack.example.com/"}
    with local_stack(parameters=parameters) as client:
        plain, with_number = (
            blank(client),
            blank(client, from_phone_numbers=[AGENTS], answer_url="https://own.example/"),
        )
        client.script(NUMBER, "completed")
        for agent_id, fields in ((plain, {}), (with_number, {}), (with_number, {"from_phone_number": CALLS})):
            client.call(NUMBER, agent_id=agent_id, **fields)
            client.advance(5)
        patch(client, from_phone_numbers=[ACCOUNTS], answer_url="https://account.example.com/")
        for agent_id in (plain, with_number):
            client.call(NUMBER, agent_id=agent_id)
            client.advance(5)
        assert callers(client) == [STACKS, AGENTS, CALLS, ACCOUNTS, AGENTS]
        assert answers(client) == [
            "https://stack.example.com/",
            "https://own.example/",
            "https://own.example/",
            "https://account.example.com/",
            "https://own.example/",
        ]
        client.assert_sound()


@pytest.mark.parametrize(
    ("stacks", "accounts"),
    [(STREAM, {}), ("https://stack.example.com/", {"stream_url": STREAM})],
    ids=["the stack's", "the account's"],
)
def test_a_default_stream_connects_the_call(stacks: str, accounts: dict[str, Any]) -> None:
    parameters = {"DefaultCarrier": "http", "DefaultFromPhoneNumber": STACKS, "DefaultAnswer": stacks}
    with local_stack(parameters=parameters) as client:
        patch(client, **accounts)
        agent_id = blank(client)
        client.script(NUMBER, "completed")
        execution_id = client.call(NUMBER, agent_id=agent_id)
        client.advance(5)
        assert client.execution(execution_id)["status"] == "completed"
        assert streams(client) == [f"wss://voice.example.com/{agent_id}/{execution_id}"]
        client.assert_sound()


def test_the_default_carrier_is_the_accounts_then_the_stacks() -> None:
    with local_stack(parameters={"DefaultCarrier": "http"}) as client:
        patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
        agents = [
            blank(client),
            blank(client, telephony_provider="default"),
            blank(client, telephony_provider="twilio"),
        ]
        shown = [client.api("GET", f"/v2/agent/{one}").json["agent_config"]["telephony_provider"] for one in agents]
        assert shown == ["http", "default", "twilio"]
        ids = [client.call(NUMBER, agent_id=one) for one in agents]
        assert [client.execution(one)["provider"] for one in ids] == ["http", "http", "twilio"]
        client.advance(5)
        assert len(client.stack.platform.calls) == 2
        assert len(client.calls(NUMBER)) == 1
        patch(client, telephony_provider="twilio")
        client.advance(1)
        client.call(OTHER_NUMBER, agent_id=agents[1])
        client.advance(5)
        assert len(client.calls(OTHER_NUMBER)) == 1
        user = client.api("GET", "/user/me").json
        assert [one["provider"] for one in user["carriers"]] == ["twilio"]
        client.assert_sound()


def test_a_call_for_later_shows_the_accounts_carrier_at_once(client: LocalClient) -> None:
    patch(client, telephony_provider="http")
    now, later = (
        client.call(NUMBER, agent_id=blank(client, from_phone_numbers=[AGENTS], answer_url=ANSWER), **fields)
        for fields in ({}, {"scheduled_at": "2026-01-27T12:00:00Z"})
    )
    assert client.execution(later)["provider"] == "http"
    assert client.execution(now)["provider"] == "twilio", "until the claim the stack's: its account is not read for it"
    client.advance(5)
    assert client.execution(now)["provider"] == "http"


def test_a_retry_uses_what_is_set_by_then(client: LocalClient) -> None:
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    client.script(NUMBER, "no-answer", "no-answer", "completed")
    agent_id = blank(client)
    execution_id = client.call(NUMBER, agent_id=agent_id, retry_config=RETRIES)
    client.advance(5)
    patch(client, from_phone_numbers=[SECOND])
    client.advance(12)
    client.api("PATCH", f"/v2/agent/{agent_id}", {"agent_config": {"from_phone_numbers": [AGENTS]}})
    client.advance(15)
    assert client.execution(execution_id)["status"] == "completed"
    assert callers(client) == [ACCOUNTS, SECOND, AGENTS]


def test_retries_take_an_accounts_numbers_in_turn(client: LocalClient) -> None:
    patch(client, from_phone_numbers=[ACCOUNTS, SECOND], answer_url=ANSWER)
    client.script(NUMBER, "no-answer", "no-answer", "completed")
    client.call(NUMBER, agent_id=blank(client), retry_config=RETRIES)
    client.advance(40)
    first, second, third = callers(client)
    assert {first, second} == {ACCOUNTS, SECOND}
    assert third == first


def test_a_call_that_loses_its_defaults_ends_with_the_reason(client: LocalClient) -> None:
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    client.script(NUMBER, "no-answer")
    execution_id = client.call(NUMBER, agent_id=blank(client), retry_config=RETRIES)
    client.advance(5)
    patch(client, answer_url=None)
    client.advance(15)
    execution = client.execution(execution_id)
    assert execution["status"] == "error"
    assert "answer_url" in execution["error_message"]
    assert len(client.calls(NUMBER)) == 1


def test_a_default_that_was_set_a_moment_ago_counts(client: LocalClient) -> None:
    agent_id, own = blank(client), blank(client, from_phone_numbers=[AGENTS], answer_url=ANSWER)
    client.script(NUMBER, "completed")
    client.call(NUMBER, agent_id=own)  # dial has read the account, which has no defaults yet
    client.advance(0.1)
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    execution_id = client.call(NUMBER, agent_id=agent_id)
    client.advance(5)
    assert client.execution(execution_id)["status"] == "completed"
    assert callers(client) == [AGENTS, ACCOUNTS]


def test_a_batch_uses_the_accounts_defaults(client: LocalClient) -> None:
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    client.script(NUMBER, "completed")
    fields = [("agent_id", blank(client)), ("start", "now")]
    body = multipart(fields, f"contact_number\n{NUMBER}\n")
    answer = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    client.advance(10)
    assert callers(client) == [ACCOUNTS]


# ---- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "defaults", "field"),
    [
        ({}, {"from_phone_numbers": [ACCOUNTS]}, "agent_id"),
        ({"from_phone_numbers": [AGENTS]}, {}, "agent_id"),
        ({}, {"answer_url": ANSWER}, "from_phone_number"),
        ({"stream_url": STREAM}, {}, "from_phone_number"),
    ],
)
def test_a_call_without_answer_or_caller_id_is_refused(
    client: LocalClient, config: dict[str, Any], defaults: dict[str, Any], field: str
) -> None:
    agent_id = blank(client, **config)
    patch(client, **defaults)
    found = faults(client.api("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": NUMBER}))
    assert set(found) == {field}
    assert f"PATCH /v2/agent/{agent_id} or PATCH /user/me" in found[field]
    body = multipart([("agent_id", agent_id)], f"contact_number\n{NUMBER}\n")
    found = faults(client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE))
    assert set(found) == {field if field == "agent_id" else "from_phone_numbers"}
    assert client.api("GET", f"/v2/agent/{agent_id}/executions").json["total"] == 0


@pytest.mark.parametrize(
    ("defaults", "field"),
    [
        ({"from_phone_numbers": ["1"]}, "from_phone_numbers.0"),
        ({"from_phone_numbers": "+12025550100"}, "from_phone_numbers"),
        ({"from_phone_numbers": [ACCOUNTS] * 101}, "from_phone_numbers"),
        ({"answer_url": "ftp://voice.example.com/"}, "answer_url"),
        ({"answer_url": "https://voice.example.com/{phone}"}, "answer_url"),
        ({"answer_url": "https://voice.example.com/ x"}, "answer_url"),
        ({"answer_url": "https://" + "x" * 2048}, "answer_url"),
        ({"answer_url": 1}, "answer_url"),
        ({"stream_url": "https://voice.example.com/"}, "stream_url"),
        ({"answer_url": ANSWER, "stream_url": STREAM}, "stream_url"),
        ({"stream_url": "wss://voice.example.com/?" + "a=1&" * 130}, "stream_url"),
        ({"telephony_provider": "carrier-pigeon"}, "telephony_provider"),
        ({"telephony_provider": ["twilio"]}, "telephony_provider"),
    ],
)
def test_an_invalid_default_is_refused_by_name_and_nothing_is_stored(
    client: LocalClient, defaults: dict[str, Any], field: str
) -> None:
    before = patch(client, from_phone_numbers=[SECOND])
    assert set(faults(client.api("PATCH", "/user/me", {"from_phone_numbers": [ACCOUNTS], **defaults}))) == {field}
    assert client.api("GET", "/user/me").json["defaults"] == before


def test_defaults_are_refused_where_an_agents_would_be() -> None:
    with local_stack() as client:
        for config in (
            {"answer_url": "https://voice.example.com/{x}"},
            {"stream_url": "https://a.example/"},
            {"from_phone_numbers": ["x"]},
            {"telephony_provider": "plivo"},
        ):
            agents = faults(client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "a", **config}}))
            accounts = faults(client.api("PATCH", "/user/me", config))
            assert {f"agent_config.{name}": text for name, text in accounts.items()} == agents


def test_a_patch_changes_only_what_it_names(client: LocalClient) -> None:
    everything = {
        "telephony_provider": "http",
        "from_phone_numbers": [ACCOUNTS],
        "answer_url": ANSWER,
        "stream_url": None,
        "policy": None,
    }
    assert patch(client, **everything) == everything
    assert patch(client) == everything
    assert patch(client, unknown=1, from_phone_numbers=["+1 202 555 0102", SECOND, SECOND]) == everything | {
        "from_phone_numbers": [SECOND]
    }
    assert set(faults(client.api("PATCH", "/user/me", {"stream_url": STREAM}))) == {"stream_url"}
    assert patch(client, answer_url=None, stream_url=STREAM)["stream_url"] == STREAM
    assert patch(client, telephony_provider="default")["telephony_provider"] is None
    nothing: dict[str, Any] = {**dict.fromkeys(everything), "from_phone_numbers": []}
    assert patch(client, **dict.fromkeys(everything)) == nothing
    assert client.api("GET", "/user/me").json["defaults"] == nothing
    assert patch(client, from_phone_numbers=[ACCOUNTS])["from_phone_numbers"] == [ACCOUNTS]
    assert client.api("PATCH", "/user/me", [1]).status == 400


def test_one_accounts_defaults_are_not_anothers(client: LocalClient) -> None:
    store = DynamoAccounts(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    keys.ensure_account(
        account_id="other",
        name="Other",
        webhook_secret="whsec_" + "A" * 32,
        api_key=OTHER_KEY,
        accounts=store,
        now=NOON,
    )
    patch(client, from_phone_numbers=[ACCOUNTS], answer_url=ANSWER)
    other = {"Authorization": f"Bearer {OTHER_KEY}"}
    assert client.api("GET", "/user/me", **other).json["defaults"]["from_phone_numbers"] == []
    made = client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "a"}}, **other)
    body = {"agent_id": made.json["agent_id"], "recipient_phone_number": NUMBER}
    assert set(faults(client.api("POST", "/call", body, **other))) == {"agent_id"}
    assert client.api("PATCH", "/user/me", {"from_phone_numbers": []}, Authorization="Bearer nothing").status == 401
