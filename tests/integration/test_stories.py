"""Redial's behaviour through its HTTP interfaces only: the API, the carrier's list of calls, the customer's inbox."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from local.aws.requests import Answer, OutsideRequest
from tests.support.local_stack import NOON, LocalClient, local_stack, request

NUMBER = "+14155550123"
SEED_CONFIG = {
    "enabled": True,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_intervals_minutes": [30, 60, 120],
}
QUICK = {"enabled": True, "retry_intervals_minutes": [5]}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def told(client: LocalClient, execution_id: str | None = None) -> list[Any]:
    """The accepted bodies, in order of arrival. Asserts that every try had a valid signature."""
    tries = client.inbox(execution_id=execution_id)
    assert all(one["verified"] for one in tries)
    return [one["body"] for one in tries if one["answered"] == 200]


def statuses(bodies: list[Any]) -> list[str]:
    return [body["status"] for body in bodies]


def test_no_answer_busy_completed_is_three_punctual_dials_with_all_webhooks(client: LocalClient) -> None:
    client.script(NUMBER, "no-answer", "busy", "completed")
    execution_id = client.call(NUMBER, retry_config=SEED_CONFIG)
    client.advance(120)

    first, second, third = client.calls(NUMBER)
    assert at(first["placed_at"]) == NOON
    bodies = told(client)
    ends = [body["updated_at"] for body in bodies if body["status"] in ("no-answer", "busy")]
    assert at(second["placed_at"]) == at(ends[0]) + timedelta(minutes=30)
    assert at(third["placed_at"]) == at(ends[1]) + timedelta(minutes=60)

    assert [(body["status"], body["retry_count"]) for body in bodies] == [
        ("queued", 0),
        ("initiated", 0),
        ("ringing", 0),
        ("no-answer", 0),
        ("scheduled", 1),
        ("initiated", 1),
        ("busy", 1),
        ("scheduled", 2),
        ("initiated", 2),
        ("ringing", 2),
        ("in-progress", 2),
        ("completed", 2),
    ]
    assert [body["sequence"] for body in bodies] == list(range(1, 13))
    updates = [at(body["updated_at"]) for body in bodies]
    assert updates == sorted(set(updates)), "updated_at strictly rises"
    scheduled = bodies[4]
    assert scheduled["retry_config"] == {**SEED_CONFIG, "retry_on_voicemail": False}
    assert scheduled["retry_history"] == [{"attempt": 1, "status": "no-answer", "at": ends[0]}]
    assert at(scheduled["scheduled_at"]) == at(ends[0]) + timedelta(minutes=30)
    assert scheduled["next_attempt"] == {"attempt": 2, "at": scheduled["scheduled_at"]}
    assert {**client.execution(execution_id), "type": "execution.completed"} == bodies[-1], (
        "the last webhook says what the API says"
    )


def test_a_request_that_timed_out_after_placing_is_one_call_with_its_outcome(client: LocalClient) -> None:
    client.script(NUMBER, "timeout-after-placing")
    execution_id = client.call(NUMBER, retry_config=QUICK)
    client.advance(60)
    assert len(client.calls(NUMBER)) == 1
    execution = client.execution(execution_id)
    assert (execution["status"], len(execution["attempts"])) == ("completed", 1)
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert "unknown" in [entry["type"] for entry in log]


def test_an_endpoint_that_fails_three_times_gets_every_event_once_and_in_order(client: LocalClient) -> None:
    client.script(NUMBER, "busy", "completed")
    failing = {"times": 3, "status": 500}
    assert request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", failing).status == 200
    client.call(NUMBER, retry_config=QUICK)
    client.advance(60)
    tries = client.inbox()
    assert [one["answered"] for one in tries[:4]] == [500, 500, 500, 200]
    assert len({one["headers"]["webhook-id"] for one in tries[:4]}) == 1
    assert len({one["received_at"] for one in tries[:4]}) == 4
    bodies = told(client)
    assert [body["sequence"] for body in bodies] == list(range(1, len(bodies) + 1))
    assert len({one["headers"]["webhook-id"] for one in tries}) == len(bodies)
    assert statuses(bodies)[-1] == "completed"


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.nightly)])
def test_many_calls_share_five_lines_without_a_pause(count: int) -> None:
    with local_stack() as client:
        change = {"agent_config": {"max_concurrent_calls": 5}}
        assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200
        numbers = [f"+1415557{index:04d}" for index in range(count)]
        for number in numbers:
            client.script(number, *(["busy", "completed"] if number.endswith("7") else ["completed"]))
            client.call(number, retry_config=QUICK)
        client.advance(60)

        live = request("GET", f"{client.stack.carrier_url}/_carrier/live").json
        assert live == {"live": 0, "max_live": 5}
        calls = client.calls()
        assert len(calls) == count + count // 10
        # Until the last first dial a call always waits, so a call's end and the next one's start coincide.
        ends = sorted(call["ended_at"] for call in calls)
        starts = sorted(call["placed_at"] for call in calls)
        waiting_until = max(next(c["placed_at"] for c in calls if c["to"] == number) for number in numbers)
        pauses = [end for end in ends if end < waiting_until and end not in starts]
        assert pauses == []
        listing = client.api("GET", f"/v2/agent/{client.stack.agent_id}/executions?status=completed&page_size=50").json
        assert (listing["total"], listing["has_more"], len(listing["data"])) == (count, True, 50)
        assert client.api("GET", "/user/me").json["concurrency"] == {"max": 5, "current": 0}
        client.assert_sound()


def test_lines_in_several_shards_are_all_used_and_none_is_used_twice(client: LocalClient) -> None:
    """60 lines are two shards. Calls are spread over them unevenly, but exactly 60 are live."""
    change = {"agent_config": {"max_concurrent_calls": 60}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200
    for index in range(80):
        client.script(f"+1415559{index:04d}", "completed")
        client.call(f"+1415559{index:04d}")
    client.advance(0.2)
    assert request("GET", f"{client.stack.carrier_url}/_carrier/live").json == {"live": 60, "max_live": 60}
    client.advance(10)
    assert request("GET", f"{client.stack.carrier_url}/_carrier/live").json == {"live": 0, "max_live": 60}
    assert len(client.calls()) == 80
    assert client.api("GET", "/user/me").json["concurrency"] == {"max": 60, "current": 0}


def test_due_retries_go_before_first_dials_and_then_the_oldest(client: LocalClient) -> None:
    change = {"agent_config": {"max_concurrent_calls": 1}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200
    retried, others = "+14155558000", [f"+1415555801{index}" for index in range(8)]
    client.script(retried, "busy", "completed")
    for number in others:
        client.script(number, "completed")
    client.call(retried, retry_config={"enabled": True, "retry_intervals_minutes": [1]})
    for number in others:
        client.call(number)
        client.advance(0.001)
    client.advance(30)
    order = [call["to"] for call in client.calls()]
    assert order[0] == retried
    assert order[2] == retried, "its retry came due during the first of the others, and went before the rest"
    assert [number for number in order if number != retried] == others


def test_a_stop_is_refused_once_the_call_is_answered(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    execution_id = client.call(NUMBER)
    client.advance(0.5)
    refused = client.api("POST", f"/call/{execution_id}/stop")
    assert refused.status == 400
    assert refused.json["message"].endswith("this one is in-progress")
    client.advance(10)
    assert client.execution(execution_id)["status"] == "completed"


def test_a_stop_succeeds_between_two_attempts(client: LocalClient) -> None:
    client.script(NUMBER, "no-answer", "completed")
    execution_id = client.call(NUMBER, retry_config=QUICK)
    client.advance(0.1)
    client.advance(2)
    stopped = client.api("POST", f"/call/{execution_id}/stop")
    assert stopped.json == {"message": "done", "status": "stopped", "execution_id": execution_id}
    client.advance(60)
    assert len(client.calls(NUMBER)) == 1
    assert statuses(told(client))[-2:] == ["scheduled", "stopped"]
    assert request("GET", f"{client.stack.url}/_local/schedules").json == []


def test_stopping_an_agent_stops_waiting_calls_and_live_ones_finish(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    live = client.call(NUMBER)
    later = client.call("+14155550199", scheduled_at=(NOON + timedelta(hours=2)).isoformat())
    client.advance(0.2)
    answer = client.api("POST", f"/v2/agent/{client.stack.agent_id}/stop")
    assert answer.json == {"stopped_executions": [later], "stopped_batches": []}
    client.advance(180)
    assert client.execution(live)["status"] == "completed"
    assert client.execution(later)["status"] == "stopped"
    assert len(client.calls()) == 1


def test_a_scheduled_call_is_dialled_at_its_time(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    due = NOON + timedelta(minutes=90)
    execution_id = client.call(NUMBER, scheduled_at=due.isoformat())
    assert client.execution(execution_id)["status"] == "scheduled"
    client.advance(89.9)
    assert client.calls() == []
    client.advance(5)
    assert [at(call["placed_at"]) for call in client.calls()] == [due]


def test_outside_calling_hours_a_call_is_rescheduled_and_uses_up_no_retry(client: LocalClient) -> None:
    """Noon UTC is 04:00 in Los Angeles, where the number is; its window opens at 09:00, five hours later."""
    change = {"agent_config": {"calling_guardrails": {"call_start_hour": 9, "call_end_hour": 18}}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200
    client.script(NUMBER, "completed")
    client.script("+14155550124", "completed")
    moved = client.call(NUMBER, retry_config=SEED_CONFIG)
    bypassing = client.call("+14155550124", bypass_call_guardrails=True)
    client.advance(5)
    execution = client.execution(moved)
    assert (execution["status"], execution["retry_count"]) == ("rescheduled", 0)
    assert at(execution["rescheduled_at"]) == NOON + timedelta(hours=5)
    assert client.execution(bypassing)["status"] == "completed"
    client.advance(5 * 60)
    assert client.execution(moved)["status"] == "completed"
    assert statuses(told(client, moved)) == [
        "queued", "rescheduled", "initiated", "ringing", "in-progress", "completed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "config", "final", "dials"),
    [
        (["no-answer"], {**QUICK, "max_retries": 2}, "no-answer", 3),
        (["invalid-number", "completed"], QUICK, "failed", 0),  # permanent: never dialled again
        (["refused-429", "refused-429", "completed"], None, "completed", 1),  # uses up no retry
        (["error-500", "completed"], {**QUICK, "retry_on_statuses": ["error"]}, "completed", 1),
        (["error-500"], QUICK, "error", 0),  # not in retry_on_statuses
        (["voicemail", "completed"], {**QUICK, "retry_on_voicemail": True}, "completed", 2),
        (["voicemail", "completed"], QUICK, "completed", 1),
        (["failed", "canceled"], QUICK, "canceled", 2),
        (["no-callback"], QUICK, "completed", 1),
        (["duplicate-callbacks"], QUICK, "completed", 1),
        (["late-callbacks"], QUICK, "completed", 1),
    ],
)
def test_every_outcome_of_the_carrier_leads_to_its_status(
    client: LocalClient, outcomes: list[str], config: Any, final: str, dials: int
) -> None:
    client.script(NUMBER, *outcomes)
    execution_id = client.call(NUMBER, retry_config=config)
    client.advance(60)
    execution = client.execution(execution_id)
    assert execution["status"] == final
    assert execution["next_attempt"] is None
    assert execution["termination_reason"]
    assert len(client.calls(NUMBER)) == dials
    assert [body["sequence"] for body in told(client)] == list(range(1, execution["sequence"] + 1))


def test_given_up_events_are_listed_and_replayed(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    failing = {"times": 1, "status": 410}
    assert request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", failing).status == 200
    execution_id = client.call(NUMBER)
    client.advance(10)
    assert statuses(told(client)) == ["initiated", "ringing", "in-progress", "completed"]
    listed = client.api("GET", "/webhooks/undelivered").json["data"]
    assert [(one["execution_id"], [event["sequence"] for event in one["events"]]) for one in listed] == [
        (execution_id, [1])
    ]
    replayed = client.api("POST", f"/executions/{execution_id}/webhooks/replay")
    assert replayed.json["replayed"] == [1]
    client.advance(1)
    assert [body["sequence"] for body in told(client)] == [2, 3, 4, 5, 1]
    assert client.api("GET", "/webhooks/undelivered").json["data"] == []


def in_back_off(client: LocalClient, agent_id: str) -> str:
    """A call due in a day, whose first event the endpoint has refused six times; returns its id."""
    assert request("POST", f"{client.stack.inbox_url}/_inbox/broken/fail", {"times": 6, "status": 500}).status == 200
    execution_id = client.call(NUMBER, agent_id=agent_id, scheduled_at=(NOON + timedelta(days=1)).isoformat())
    client.advance(45)
    assert len(client.inbox("broken", execution_id)) == 5
    return execution_id


def test_an_event_in_back_off_is_sent_now_by_a_replay_or_by_a_corrected_url(client: LocalClient) -> None:
    broken, fixed = (f"{client.stack.inbox_url}/{name}" for name in ("broken", "fixed"))
    agent_id = client.stack.create_agent(agent_name="broken", webhook_url=broken)
    execution_id = in_back_off(client, agent_id)
    (listed,) = client.api("GET", "/webhooks/undelivered").json["data"]
    assert listed["execution_id"] == execution_id
    assert [(one["sequence"], one["tries"], one["next_try_at"] is not None) for one in listed["events"]] == [
        (1, 5, True)
    ]
    replayed = client.api("POST", f"/executions/{execution_id}/webhooks/replay")
    assert replayed.json["replayed"] == [1]
    client.advance(0.2)
    assert len(client.inbox("broken", execution_id)) == 7, "once more without success, and after 5 seconds with it"
    assert client.api("GET", "/webhooks/undelivered").json["data"] == []

    execution_id = in_back_off(client, agent_id)
    assert client.inbox("fixed") == []
    config = {"agent_config": {"webhook_url": fixed}}
    assert client.api("PATCH", f"/v2/agent/{agent_id}", config).status == 200
    client.advance(0.05)
    assert [one["body"]["sequence"] for one in client.inbox("fixed", execution_id)] == [1]
    assert len(client.inbox("broken", execution_id)) == 5
    assert client.api("GET", "/webhooks/undelivered").json["data"] == []


def test_an_endpoint_that_stays_down_gets_eight_tries_over_eighteen_hours(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    assert request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", {"times": 8, "status": 503}).status == 200
    execution_id = client.call(NUMBER)
    client.advance(24 * 60)
    tries = client.inbox()
    received = [at(one["received_at"]) for one in tries[:8]]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(received)]
    for wait, listed in zip(waits, [5, 60, 300, 1800, 7200, 18_000, 36_000], strict=True):
        assert 0.8 * listed <= wait <= 1.2 * listed + 61, (wait, listed)
    listed_events = client.api("GET", "/webhooks/undelivered").json["data"][0]
    assert listed_events["execution_id"] == execution_id
    assert statuses(told(client)) == ["initiated", "ringing", "in-progress", "completed"]


# ---- past defects ---------------------------------------------------------------------------------------------------


def live(client: LocalClient) -> Any:
    return request("GET", f"{client.stack.carrier_url}/_carrier/live").json


def limit(client: LocalClient, lines: int) -> None:
    change = {"agent_config": {"max_concurrent_calls": lines}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200


@pytest.mark.parametrize(("before", "after"), [(40, 60), (60, 40)])
def test_changing_the_limit_across_a_shard_boundary_never_exceeds_the_higher_limit(
    client: LocalClient, before: int, after: int
) -> None:
    """Shards formerly shared the lines evenly, so a change of their number changed every shard's capacity."""
    limit(client, before)
    for index in range(90):
        client.script(f"+1415560{index:04d}", "completed")
        client.call(f"+1415560{index:04d}")
    client.advance(0.1)
    assert live(client)["live"] == before
    limit(client, after)
    client.advance(0.3)
    assert live(client)["max_live"] == 60
    client.advance(15)
    assert live(client) == {"live": 0, "max_live": 60}
    assert len(client.calls()) == 90


def test_throttled_calls_keep_no_more_lines_than_a_lowered_limit(client: LocalClient) -> None:
    limit(client, 5)
    for index in range(5):
        client.script(f"+1415561{index:04d}", "refused-429", "completed")
        client.call(f"+1415561{index:04d}")
    client.advance(0.2)
    limit(client, 1)
    client.advance(20)
    assert live(client) == {"live": 0, "max_live": 1}
    assert len(client.calls()) == 5


def test_a_claim_whose_answer_was_lost_is_still_dialled(client: LocalClient) -> None:
    """botocore repeats the write, which fails on its own result: the claim is ours, and no other invocation dials."""
    client.script(NUMBER, "completed")
    puts = {"seen": 0}

    def lose_the_claims_answer(asked: OutsideRequest) -> None:
        if asked.invocation is None or not asked.invocation.function.name.endswith("-dial"):
            return
        if (asked.phase, asked.service, asked.operation) == ("after", "dynamodb", "PutItem"):
            puts["seen"] += 1
            if puts["seen"] == 2:  # the first created the line shard
                raise ConnectionClosedError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com/")

    client.stack.aws.hooks.append(lose_the_claims_answer)
    execution_id = client.call(NUMBER)
    client.advance(10)
    assert puts["seen"] >= 2
    assert client.execution(execution_id)["status"] == "completed"
    assert len(client.calls(NUMBER)) == 1


def test_two_unknown_dials_to_one_number_never_share_one_call(client: LocalClient) -> None:
    """The second execution's dial placed nothing, and must not be settled by the first one's call."""
    client.script(NUMBER, "completed", "error-500")
    first, second = client.call(NUMBER), client.call(NUMBER)
    client.advance(90)
    ended = [client.execution(first), client.execution(second)]
    assert sorted(execution["status"] for execution in ended) == ["completed", "error"]
    assert len(client.calls(NUMBER)) == 1


def test_a_call_that_ends_during_a_listing_is_listed_once(client: LocalClient) -> None:
    """Open calls are read first, then finished ones: a call that ends in between is found twice."""
    execution_id = client.call("+14155550123", scheduled_at="2026-01-27T12:00:00Z")
    own, table = client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"]
    moved: list[str] = []

    def end_it_meanwhile(service: str, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
        if operation == "Query" and b'"done#' in body and not moved:
            key = {"pk": {"S": f"X#{execution_id}"}, "sk": {"S": "X"}}
            item = own.get_item(TableName=table, Key=key)["Item"]
            moved.append(item["listing_key"]["S"])
            done = {"S": moved[0].replace("open#", "done#")}
            own.put_item(TableName=table, Item={**item, "listing_key": done})
        return ask()

    client.stack.aws.middleware = end_it_meanwhile
    answer = client.api("GET", f"/v2/agent/{client.stack.agent_id}/executions")
    assert moved, "the done ones were read"
    assert answer.status == 200, answer
    assert [one["id"] for one in answer.json["data"]] == [execution_id]
    assert answer.json["total"] == 1
