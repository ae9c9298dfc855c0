"""A client that openapi-python-client generates from the served document makes every documented request."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from redial.domain.status import Status
from tests.support.api import openapi
from tests.support.generated_client import GeneratedClient, generate_client, loaded_client
from tests.support.local_stack import NOON, LocalClient, local_stack, request

RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [15]}
ALL = {operation["operationId"] for operations in openapi()["paths"].values() for operation in operations.values()}
PERSON, MACHINE, LATER = "+12025550171", "+12025550172", "+12025550173"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


@pytest.fixture(scope="module")
def generated(local: LocalClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeneratedClient]:
    folder: Path = tmp_path_factory.mktemp("generated")
    assert generate_client(folder, local.stack.url) == [], "the generator leaves something out"
    with loaded_client(folder, local.stack.url, local.stack.api_key) as client:
        yield client


def new_agent(local: LocalClient, generated: GeneratedClient) -> str:
    config = {
        "agent_name": "Generated",
        "from_phone_numbers": ["+12025550100"],
        "answer_url": "https://voice.example.com/calls?execution={execution_id}",
        "webhook_url": f"{local.stack.inbox_url}/generated",
        "voicemail_detection": True,
        "calling_guardrails": {"call_start_hour": 0, "call_end_hour": 23},
    }
    body = generated.from_dict("AgentRequest", {"agent_config": config, "agent_prompts": {"task_1": {}}})
    return str(generated.do("create_agent", body=body, expect=201).agent_id)


def the_life_of_an_agent(local: LocalClient, generated: GeneratedClient) -> None:
    agent_id = new_agent(local, generated)
    assert agent_id in [agent.id for agent in generated.do("list_agents")]
    config = {"agent_name": "Replaced", "answer_url": "https://voice.example.com/calls", "max_concurrent_calls": 3}
    generated.do("replace_agent", agent_id, body=generated.from_dict("AgentRequest", {"agent_config": config}))
    patch = generated.model("AgentPatchAgentConfigPatch", from_phone_numbers=["+12025550101"])
    generated.do("patch_agent", agent_id, body=generated.model("AgentPatch", agent_config=patch))
    agent = generated.do("get_agent", agent_id)
    assert (agent.agent_name, agent.agent_config.max_concurrent_calls) == ("Replaced", 3), "what a patch omits stays"
    assert [one.phone_number for one in generated.do("list_phone_numbers") if one.agent_id == agent_id] == [
        "+12025550101"
    ]
    assert generated.do("get_user").concurrency.current == 0
    defaults = generated.model("PatchUserBody", from_phone_numbers=["+12025550102"])
    assert generated.do("patch_user", body=defaults).defaults.from_phone_numbers == ["+12025550102"]
    wanted = generated.from_dict("KeyRequest", {"name": "dashboard", "scopes": ["read"], "quotas": {"calls_a_day": 5}})
    key = generated.do("create_key", body=wanted, expect=201)
    assert key.api_key and {one.quotas.calls_a_day for one in generated.do("list_keys")} == {None, 5}
    assert generated.do("revoke_key", key.id).state == "revoked"
    of_key = {one.operation for one in generated.do("list_audit") if one.resource_id == key.id}
    assert of_key == {"create_key", "revoke_key"}
    assert "revoke_key" in generated.do("export_audit")
    assert generated.do("delete_agent", agent_id).state == "deleted"
    assert generated.do("get_agent", agent_id, expect=404).error == 404


def the_life_of_a_call(local: LocalClient, generated: GeneratedClient) -> None:
    agent_id = new_agent(local, generated)
    local.script(PERSON, "no-answer", "completed")
    body = {
        "agent_id": agent_id,
        "recipient_phone_number": PERSON,
        "user_data": {"name": "Ann"},
        "retry_config": {**RETRIES, "retry_on_statuses": ["no-answer", "busy"], "retry_on_voicemail": True},
    }
    call = generated.from_dict("CallRequest", body)
    created = generated.do("create_call", body=call, idempotency_key="once")
    assert generated.do("create_call", body=call, idempotency_key="once").execution_id == created.execution_id
    local.advance(2)
    execution = generated.do("get_execution", created.execution_id)
    assert (execution.status, execution.retry_count) == (Status.SCHEDULED, 1)
    assert execution.next_attempt.at - execution.attempts[0].ended_at == timedelta(minutes=15)
    local.advance(20)
    assert generated.do("get_execution", created.execution_id).status == Status.COMPLETED
    assert generated.do("get_agent_execution", agent_id, created.execution_id).id == created.execution_id
    assert generated.do("plan_call", body=call).worst_case_calls == 3
    assert generated.do("explain_execution", created.execution_id).summary.startswith("Over after attempt 2")
    assert generated.do("get_number", PERSON, agent_id=agent_id).now.is_dialled
    log = generated.do("get_execution_log", created.execution_id)
    assert {"api", "dial", "carrier", "retry", "deliver"} == {entry.component for entry in log.data}

    later = generated.from_dict("CallRequest", {"agent_id": agent_id, "recipient_phone_number": LATER})
    later.scheduled_at = NOON + timedelta(days=1)
    waiting, another = (generated.do("create_call", body=later).execution_id for _ in range(2))
    assert generated.do("stop_call", waiting).status == "stopped"
    assert generated.do("stop_call", waiting, expect=400).message
    page = generated.do(
        "list_executions",
        agent_id,
        page_size=50,
        status=generated.model("Status", value="scheduled"),
        from_=NOON,
        to=NOON + timedelta(days=1),
    )
    assert ([one.id for one in page.data], page.total, page.has_more) == ([another], 1, False)
    assert len(generated.do("list_executions_bare", agent_id)) == 3
    assert generated.do("stop_agent", agent_id).stopped_executions == [another]

    assert generated.do("list_undelivered").data == []
    test = generated.model("WebhookTest", agent_id=local.stack.agent_id)
    assert generated.do("test_webhook", body=test).accepted
    assert generated.do("replay_webhooks", created.execution_id).replayed == []
    assert generated.do("retry_statistics", agent_id=agent_id, from_=NOON.date()).attempts == 2
    assert generated.do("list_attention").data == []
    assert generated.do("get_doctor").checks[0].status == "ok"
    assert generated.do("get_now").carriers[0].state == "ok"
    assert generated.do("resolve_attention", "twilio", expect=404).error == 404
    asked = generated.model("SuppressExecutionBody", reason="asked the agent to stop")
    assert generated.do("suppress_execution", another, body=asked).suppressions[0].last_four == LATER[-4:]
    assert generated.do("delete_suppression", phone_number=LATER).deleted == 1
    one = generated.model("AddSuppressionsBody", phone_number=LATER, reason="opted out")
    (added,) = generated.do("add_suppressions", body=one).suppressions
    assert [rule.id for rule in generated.do("list_suppressions")] == [added.id]
    assert generated.do("delete_suppression", phone_number=LATER).deleted == 1
    given = generated.model("AddConsentsBody", phone_number=LATER, given_at=NOON)
    (consent,) = generated.do("add_consents", body=given).consents
    assert [rule.id for rule in generated.do("list_consents")] == [consent.id]
    assert generated.do("delete_consent", phone_number=LATER).deleted == 1
    rules = generated.from_dict("PolicyRequest", {"purpose": "news", "expires_after_minutes": 60})
    assert generated.do("put_policy", "news", body=rules, expect=201).policy == "news@1"
    assert generated.do("get_policy", "news", version=1).expires_after_minutes == 60
    assert [one.name for one in generated.do("list_policies")] == ["news"]
    assert "us-federal" in [one.name for one in generated.do("list_presets")]
    assert generated.do("delete_execution", created.execution_id).state == "deleted"
    assert generated.do("delete_execution", created.execution_id, expect=404).error == 404
    assert generated.do("delete_contact", LATER).erased.executions == 2


def the_life_of_a_batch(local: LocalClient, generated: GeneratedClient) -> None:
    agent_id = new_agent(local, generated)
    file = f"contact_number,name\n{PERSON},Ann\n{MACHINE},Bob\n12,Cy\n".encode()
    local.script(PERSON, "busy", "completed")
    local.script(MACHINE, "voicemail")
    batch_id = generated.do(
        "create_batch",
        body=generated.model(
            "CreateBatchFilesBody",
            file=generated.file("contacts.csv", file),
            agent_id=agent_id,
            from_phone_numbers=["+12025550100", "+12025550101"],
            retry_config='{"enabled": true, "max_retries": 1, "retry_intervals_minutes": [15]}',
            webhook_url=f"{local.stack.inbox_url}/generated-batches",
            calls_per_second=5.0,
        ),
        expect=201,
    ).batch_id
    local.advance(1)
    asked = generated.model("PreflightRequest", call_seconds=90)
    found = generated.do("preflight_batch", batch_id, body=asked)
    assert (found.to_be_called, found.rejected.others, found.finish.earliest < found.finish.latest) == (2, 1, True)
    start = generated.model("ScheduleBatchBody", scheduled_at=local.stack.clock.now() + timedelta(minutes=10))
    assert generated.do("schedule_batch", batch_id, body=start).state == "scheduled"
    assert generated.do("pause_batch", batch_id).state == "paused"
    local.advance(15)
    assert generated.do("get_batch", batch_id).paused
    assert generated.do("resume_batch", batch_id).state == "running"
    local.advance(5)
    batch = generated.do("get_batch", batch_id)
    assert (batch.status, batch.valid_contacts, batch.total_contacts) == ("running", 2, 3)
    assert batch.execution_status.to_dict() == {"scheduled": 1, "completed": 1}
    assert [one.user_number for one in generated.do("list_batch_executions", batch_id)] == [PERSON, MACHINE]
    assert generated.do("stop_batch", batch_id).state == "stopped"
    assert generated.do("stop_batch", batch_id, expect=404).message == "Batch is not queued or running"
    assert (
        generated.do("get_batch_results", batch_id)
        .splitlines()[0]
        .startswith("contact_number,name,execution_id,status,")
    )
    assert "12,Cy,4," in generated.do("get_batch_rejected", batch_id)
    assert generated.do("replay_batch_webhooks", batch_id).replayed == []

    for kind in ("Data", "Json"):
        wanted = generated.model("UploadRequest", file_name="a.csv", size=len(file))
        upload = generated.do("create_upload", body=wanted, expect=201)
        assert request("PUT", upload.url, file).status == 200
        fields: dict[str, Any] = {"agent_id": agent_id, "upload_id": upload.upload_id, "retries_first": False}
        body = generated.model(f"CreateBatch{kind}Body", **fields)
        generated.do("create_batch", body=body, expect=201)
    local.advance(1)
    assert len(generated.do("list_batches", agent_id)) == 3
    assert generated.do("delete_batch", batch_id).state == "deleted"
    generated.do("get_batch", batch_id, expect=404)


def test_a_generated_client_makes_every_request(local: LocalClient, generated: GeneratedClient) -> None:
    the_life_of_an_agent(local, generated)
    the_life_of_a_call(local, generated)
    the_life_of_a_batch(local, generated)
    assert generated.do("health").status == "ok"
    assert generated.do("index").name == "Redial"
    assert generated.do("openapi")["openapi"].startswith("3.1")
    assert generated.do("llms_text").startswith("# Redial")
    assert generated.do("docs").startswith("<!DOCTYPE html>")
    generated.do("favicon", expect=204)
    assert generated.called == ALL
