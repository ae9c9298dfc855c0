"""Stored items: recorded items of older versions load, and new ones survive a round trip."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local.stack import INBOX_NAME
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.agent import Account
from redial.domain.decision import opens
from redial.domain.delivery import DeliveryAttempt
from redial.domain.execution import Execution
from redial.domain.outcome import Accepted, CallReport, NotPlaced, Outcome, Refused, Unknown
from redial.domain.retry import RetryConfig
from redial.domain.status import Status
from redial.wire.execution_json import render
from redial.wire.packed_execution import MAY_PACK, PACKED, packed
from redial.wire.stored_execution import decode, encode, key
from redial.wire.webhook_signature import new_secret
from tests.support.local_stack import local_stack
from tests.support.recorded import in_todays_words
from tests.support.samples import (
    ACCOUNT_ID,
    AGENT_ID,
    CALLER_ID,
    EXECUTION_ID,
    NUMBER,
    RETRIES,
    TEN,
    agent,
    minutes,
    placed,
    queued,
    reported,
    saved,
    seconds,
)

RECORDED = Path(__file__).parent / "recorded"


def samples() -> dict[str, Execution]:
    """One execution for each situation that has its own attributes."""
    claimed = saved(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4"))
    busy = reported(placed(queued(), TEN), Status.BUSY, TEN + seconds(5), code="486", reason="the line was busy")
    told = replace(
        busy,
        delivery=replace(
            busy.delivery.accepted(DeliveryAttempt(1, TEN, 200, 1)).failed(
                DeliveryAttempt(2, TEN, None, 2, "reset"), seconds(0), 0.5
            ),
            undelivered=(1,),
            replaying=(1,),
        ),
    )
    retried = unanswered(TEN - minutes(120), TEN - minutes(89), user_data={"note": "x" * 180})
    return {
        "queued": queued(),
        "packed": delivered(retried, 7),
        "scheduled-with-user-data": replace(
            queued(None, TEN + minutes(60)),
            user_data={"name": "Zoë", "amount": 12.5, "tags": ["a", None, True], "big": 10**20},
            batch_id="0" * 32,
            bypass_call_guardrails=True,
            from_number=CALLER_ID,
        ),
        "claimed": claimed.lease_delivery("abcd1234", TEN).with_due(TEN),
        "unknown": saved(claimed.answered_by_carrier(1, Unknown("read timed out"), TEN + seconds(10), 0.0)),
        "deferred": saved(claimed.answered_by_carrier(1, NotPlaced("429", 90), TEN, 0.5)),
        "refused-for-good": saved(
            claimed.answered_by_carrier(
                1, Refused(Outcome(Status.FAILED, True, code="21211", invalid_number=True)), TEN, 0.0
            )
        ),
        "retry-with-deliveries": told,
        "rescheduled": saved(queued().defer(TEN, opens(TEN + minutes(600), "outside calling hours"))),
        "completed": reported(
            reported(placed(queued(RetryConfig(True, 1, (Status.BUSY,), True, (5,))), TEN), Status.IN_PROGRESS, TEN),
            Status.COMPLETED,
            TEN + minutes(2),
            voicemail=False,
            duration_seconds=60,
            ring_seconds=8,
            hangup_by="callee",
        ),
    }


def unanswered(*times: datetime, **attributes: Any) -> Execution:
    """An execution with unanswered attempts at these times."""
    execution = Execution(EXECUTION_ID, ACCOUNT_ID, AGENT_ID, times[0], NUMBER, retry_config=RETRIES, **attributes)
    execution = saved(execution.begin(times[0], None))
    for attempt, now in enumerate(times, start=1):
        claim_id, sid = (hashlib.sha256(f"{what} {attempt}".encode()).hexdigest() for what in ("claim", "call"))
        execution = saved(execution.claim(now + seconds(0.461), CALLER_ID, 0, claim_id[:8]))
        execution = saved(execution.answered_by_carrier(attempt, Accepted(f"CA{sid[:32]}"), now + seconds(0.873), 0))
        ended = Outcome(Status.NO_ANSWER, code="487", reason="no answer at all")
        for after, status, outcome in ((3.512, Status.RINGING, None), (34.207, Status.NO_ANSWER, ended)):
            report = CallReport(f"CA{sid[:32]}", status, outcome)
            execution = saved(execution.reported(attempt, report, now + seconds(after)))
    return execution


def delivered(execution: Execution, settled: int) -> Execution:
    """The execution with that many of its events delivered, and a live delivery lease."""
    events = list(execution.events())[:settled]
    log = tuple(DeliveryAttempt(number, change.at + seconds(0.25 + number / 100), 200, 1) for number, change in events)
    delivery = replace(execution.delivery, settled=settled, log=log)
    return replace(execution, delivery=delivery).lease_delivery("3405095c", execution.changes[-1].at)


@pytest.mark.parametrize("name", samples())
def test_a_stored_execution_loads_unchanged(name: str) -> None:
    execution = samples()[name]
    assert decode(from_item(to_item(encode(execution)))) == execution


@pytest.mark.parametrize("name", samples())
def test_recorded_items_load_and_render_as_before(name: str) -> None:
    """Each file contains an item as once written, and the API's answer at that time. Files are added, never edited.

    Everything in that answer must still be there, in the contract's current terms; the answer may have more fields.
    """
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    rendered = json.loads(json.dumps(render(decode(from_item(recorded["item"])))))
    assert missing(in_todays_words(recorded["execution"]), rendered) == []


@pytest.mark.parametrize(
    ("name", "reason", "by", "rang"),
    [
        ("completed", "user_hung_up", "Callee", 8),
        ("refused-for-good", "invalid_number", "Carrier", None),
        ("retry-with-deliveries", "busy", "Carrier", None),
        ("unknown", None, None, None),
        ("queued", None, None, None),
    ],
)
def test_recorded_attempts_say_what_became_of_them(name: str, reason: str, by: str, rang: int | None) -> None:
    said = render(decode(from_item(json.loads((RECORDED / f"{name}.json").read_text())["item"])))
    data = said["telephony_data"]
    assert (said["termination_reason"], data["hangup_by"], data["ring_duration"]) == (reason, by, rang)


def missing(recorded: Any, rendered: Any, where: str = "execution") -> list[str]:
    """What is recorded but not rendered. Objects may have additional keys; lists and values must be equal."""
    if isinstance(recorded, dict) and isinstance(rendered, dict):
        gone = [f"{where}.{name} is gone" for name in recorded.keys() - rendered.keys()]
        both = recorded.keys() & rendered.keys()
        return gone + [one for name in both for one in missing(recorded[name], rendered[name], f"{where}.{name}")]
    if isinstance(recorded, list) and isinstance(rendered, list) and len(recorded) == len(rendered):
        pairs = enumerate(zip(recorded, rendered, strict=True))
        return [one for index, (a, b) in pairs for one in missing(a, b, f"{where}[{index}]")]
    same = type(recorded) is type(rendered) and recorded == rendered
    return [] if same else [f"{where} was {recorded!r} and is {rendered!r}"]


@pytest.mark.parametrize(
    ("rendered", "found"),
    [
        ({"a": 1, "b": [{"c": None}]}, []),
        ({"a": 1, "b": [{"c": None, "d": 2}], "e": 3}, []),
        ({"b": [{"c": None}]}, ["x.a is gone"]),
        ({"a": 1, "b": [{}]}, ["x.b[0].c is gone"]),
        ({"a": True, "b": [{"c": None}]}, ["x.a was 1 and is True"]),
        ({"a": 1, "b": []}, ["x.b was [{'c': None}] and is []"]),
    ],
)
def test_a_field_may_be_added_and_none_removed_or_changed(rendered: Any, found: list[str]) -> None:
    assert missing({"a": 1, "b": [{"c": None}]}, rendered, "x") == found


@pytest.mark.parametrize("name", samples())
def test_recorded_unfinished_executions_reach_their_end(name: str) -> None:
    """They end by the sweeper alone, without any recorded event. (No item was ever stored without a due time; one is
    added, as any save does.)"""
    recorded = decode(from_item(json.loads((RECORDED / f"{name}.json").read_text())["item"]))
    with local_stack(start_at=TEN + minutes(1), first_agent=False) as client:
        dynamodb, table = client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"]
        DynamoAccounts(dynamodb, table).create(Account(ACCOUNT_ID, "Past", TEN, (new_secret(bytes(32)),)))
        webhook_url = f"{client.stack.inbox_url}/{INBOX_NAME}"
        DynamoAgents(dynamodb, table).save(agent(webhook_url=webhook_url, from_phone_numbers=("+12025550100",)))
        dynamodb.put_item(TableName=table, Item=to_item(encode(recorded.with_due(TEN + minutes(1)))))
        client.advance(24 * 60)
        client.assert_sound()
        stored = dynamodb.get_item(TableName=table, Key=to_item(key(recorded.id)))["Item"]
        now = decode(from_item(stored))
        assert now.state.is_final
        assert (now.pending(), now.due_at) == ((), None)
        remaining = [f"{recorded.id}-{sequence}" for sequence in replace(now, delivery=recorded.delivery).pending()]
        assert remaining
        assert [one["headers"]["webhook-id"] for one in client.inbox()] == remaining, "each once, in order"


def test_every_recorded_item_is_tested() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == set(samples())


def test_a_packed_item_is_recorded() -> None:
    """Its dictionary and its format are those of production tables."""
    item = from_item(json.loads((RECORDED / "packed.json").read_text())["item"])
    assert PACKED in item
    assert decode(item) == replace(samples()["packed"], newer={MAY_PACK: True})


def test_an_unanswered_first_attempt_fits_one_write_unit() -> None:
    """DynamoDB charges a write unit per started KB of the whole item: names, values, one to three bytes of overhead."""
    execution = replace(queued(), user_data={"name": "x" * 180})
    execution = reported(placed(execution, TEN), Status.RINGING, TEN + seconds(3))
    execution = reported(execution, Status.NO_ANSWER, TEN + seconds(33), code="487", reason="no answer at all")
    log = tuple(DeliveryAttempt(sequence, TEN, 200, 1) for sequence in range(1, 6))
    told = replace(execution, delivery=replace(execution.delivery, settled=5, log=log))
    assert _size(to_item(encode(told.with_due(TEN)))) <= 1024


@pytest.mark.parametrize("attempts", [2, 3, 4])
def test_each_further_unanswered_attempt_fits_one_write_unit(attempts: int) -> None:
    """The history of the earlier attempts is packed by then."""
    times = [TEN, TEN + minutes(31), TEN + minutes(92), TEN + minutes(213)][:attempts]
    execution = unanswered(*times, user_data={"name": "x" * 180})
    told = delivered(execution, execution.last_sequence - 2).with_due(execution.changes[-1].at)
    item = encode(told) | {MAY_PACK: True}
    assert _size(to_item(item)) > 1024
    assert _size(to_item(packed(item))) <= 1024


def _size(item: dict[str, dict[str, object]]) -> int:
    """An item's size by DynamoDB's published rules (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, object]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        assert isinstance(content, str)
        return len(content.encode())
    if kind == "N":
        assert isinstance(content, str)
        return (len(content.lstrip("-0")) + 1) // 2 + 1
    if kind == "L":
        assert isinstance(content, list)
        return 3 + sum(1 + _value_size(element) for element in content)
    if kind == "M":
        assert isinstance(content, dict)
        return 3 + sum(1 + len(name) + _value_size(element) for name, element in content.items())
    return 1
