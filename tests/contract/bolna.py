"""What Bolna publishes about the routes that Redial shares with it, in a notation of our own, and how answers differ.

Source: the OpenAPI document of https://www.bolna.ai/docs/api-reference/openapi.yml as mirrored in
https://github.com/bolna-ai/skills (references/openapi.yml, of 2026-05-20), read on 2026-11-29. It marks no key of an
answer as required and, except for `extracted_data`, none as nullable. Here every key counts as expected, and null as a
value of another type, so that each deviation has to be named.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# ---- notation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Object:
    """An object with these keys; differences refer to it by `name`. A key that ends with `?` may be absent."""

    name: str
    keys: dict[str, Any]


@dataclass(frozen=True)
class Array:
    of: Any


@dataclass(frozen=True)
class Counts:
    """An object with any keys and whole numbers as values."""


@dataclass(frozen=True)
class OrNull:
    of: Any


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types) and (bool in types or not isinstance(value, bool))


TEXT, OBJECT, FLAG, WHOLE, NUMBER = _is(str), _is(dict), _is(bool), _is(int), _is(int, float)
UUID = _matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HEX = _matches(r"[0-9a-f]{32}")
DIGITS = _matches(r"\d+")
TIME = _is_time

ABSENT, NULL, TYPE, VALUE, STATUS = "absent", "null", "type", "value", "status"
"""The kinds of differences: a missing key, null, another type, a value that is not published, another HTTP status."""


def differences(shape: Any, value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """The kind and the place (`Execution.batch_id`) of each difference of `value` from `shape`."""
    match shape:
        case OrNull(of):
            if value is not None:
                yield from differences(of, value, at)
        case _ if value is None:
            yield NULL, at
        case Object(name, keys):
            if not isinstance(value, dict):
                yield TYPE, at or name
                return
            for key, inner in keys.items():
                place = f"{name}.{key.removesuffix('?')}"
                if key.removesuffix("?") in value:
                    yield from differences(inner, value[key.removesuffix("?")], place)
                elif not key.endswith("?"):
                    yield ABSENT, place
        case Array(of):
            if not isinstance(value, list):
                yield TYPE, at
                return
            for one in value:
                yield from differences(of, one, at)
        case Counts():
            if not isinstance(value, dict) or not all(WHOLE(count) for count in value.values()):
                yield TYPE, at
        case set():
            if value not in shape:
                yield (VALUE if isinstance(value, str) else TYPE), at
        case _:
            if not shape(value):
                yield TYPE, at


# ---- shapes ----------------------------------------------------------------------------------------------------------

CALL_STATUSES = {
    "scheduled", "queued", "rescheduled", "initiated", "ringing", "in-progress", "call-disconnected", "completed",
    "balance-low", "busy", "no-answer", "canceled", "failed", "stopped", "error",
}  # fmt: skip
TELEPHONY = Object(
    "telephony_data",
    {
        "duration": DIGITS,
        "to_number": TEXT,
        "from_number": TEXT,
        "recording_url": TEXT,
        "hosted_telephony": FLAG,
        "provider_call_id": TEXT,
        "call_type": {"outbound", "inbound"},
        "provider": {"twilio", "plivo"},
        "hangup_by": TEXT,
        "hangup_reason": TEXT,
        "hangup_provider_code": WHOLE,
        "ring_duration": WHOLE,
        "post_dial_delay": WHOLE,
        "to_number_carrier": TEXT,
    },
)
EXECUTION = Object(
    "Execution",
    {
        "id": UUID,
        "agent_id": UUID,
        "batch_id": HEX,
        "conversation_duration": NUMBER,
        "total_cost": NUMBER,
        "status": CALL_STATUSES,
        "error_message": TEXT,
        "answered_by_voice_mail": FLAG,
        "transcript": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
        "cost_breakdown": OBJECT,
        "telephony_data": TELEPHONY,
        "transfer_call_data": OBJECT,
        "batch_run_details": Object(
            "batch_run_details",
            {"status": CALL_STATUSES, "created_at": TIME, "updated_at": TIME, "retried": WHOLE},
        ),
        "extracted_data": OrNull(OBJECT),
        "context_details": OBJECT,
    },
)
LOG_ENTRY = Object(
    "LogEntry",
    {
        "created_at": TIME,
        "type": {"request", "response"},
        "component": TEXT,
        "provider": TEXT,
        "data": TEXT,
        "reasoning_content?": TEXT,
    },
)
BATCH = Object(
    "Batch",
    {
        "batch_id": HEX,
        "humanized_created_at": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
        "status": {"scheduled", "created", "queued", "executed"},
        "scheduled_at": TIME,
        "from_phone_number": TEXT,
        "from_phone_numbers": Array(TEXT),
        "file_name": TEXT,
        "valid_contacts": WHOLE,
        "total_contacts": WHOLE,
        "execution_status": Counts(),
    },
)
AGENT = Object(
    "Agent",
    {
        "id": UUID,
        "agent_name": TEXT,
        "agent_type": TEXT,
        "agent_status": {"seeding", "processed"},
        "created_at": TIME,
        "updated_at": TIME,
        "tasks": Array(OBJECT),
        "ingest_source_config": OBJECT,
        "agent_prompts": OBJECT,
    },
)
PHONE_NUMBER = Object(
    "PhoneNumber",
    {
        "id": HEX,
        "humanized_created_at": TEXT,
        "created_at": TIME,
        "humanized_updated_at": TEXT,
        "updated_at": TIME,
        "renewal_at": TEXT,
        "phone_number": TEXT,
        "agent_id": UUID,
        "price": TEXT,
        "telephony_provider": {"twilio", "plivo", "vonage"},
        "rented": FLAG,
    },
)
USER = Object(
    "User",
    {
        "id": UUID,
        "name": TEXT,
        "email": TEXT,
        "wallet": NUMBER,
        "concurrency": Object("concurrency", {"max": WHOLE, "current": WHOLE}),
    },
)
ERROR = Object("Error", {"error": WHOLE, "message": TEXT})


def _done(state: str) -> Object:
    return Object("Changed", {"message": {"success"}, "state": {state}})


@dataclass(frozen=True)
class Route:
    """A shared route: the shape of its success (always published as 200), the statuses of its errors, the names of a
    body's fields, and the parameters of its query, each with values to try."""

    answer: Any
    errors: frozenset[int] = frozenset({400})
    body: frozenset[str] = frozenset()
    query: dict[str, list[str]] = field(default_factory=dict)


_CALL_BODY = frozenset(
    {"agent_id", "recipient_phone_number", "from_phone_number", "scheduled_at", "user_data", "agent_data"}
    | {"retry_config", "bypass_call_guardrails"}
)
_AGENT_BODY = frozenset({"agent_config", "agent_prompts"})

SHARED = {
    "POST /call": Route(
        Object("CallCreated", {"message": TEXT, "status": {"queued"}, "execution_id": UUID}), body=_CALL_BODY
    ),
    "POST /call/{execution_id}/stop": Route(
        Object("CallStopped", {"message": {"done"}, "status": {"stopped"}, "execution_id": UUID})
    ),
    "POST /v2/agent/{agent_id}/stop": Route(Object("AgentStopped", {"stopped_executions": Array(UUID)})),
    "GET /executions/{execution_id}": Route(EXECUTION),
    "GET /executions/{execution_id}/log": Route(Object("Log", {"status": TEXT, "data": Array(LOG_ENTRY)})),
    "GET /agent/{agent_id}/execution/{execution_id}": Route(EXECUTION),
    "GET /agent/{agent_id}/executions": Route(Array(EXECUTION)),
    "GET /v2/agent/{agent_id}/executions": Route(
        Object(
            "Page",
            {"page_number": WHOLE, "page_size": WHOLE, "total": WHOLE, "has_more": FLAG, "data": Array(EXECUTION)},
        ),
        query={
            "page_number": ["1", "2"],
            "page_size": ["1", "50"],
            "status": sorted(CALL_STATUSES),
            "call_type": ["inbound", "outbound"],
            "provider": ["plivo", "twilio", "websocket", "web-call"],
            "answered_by_voice_mail": ["true", "false"],
            "batch_id": ["baab7cdc833145bf8dd260ff1f0a3f21"],
            "from": ["2025-05-07T00:00:00.000Z"],
            "to": ["2035-05-14T00:00:00.000Z"],
        },
    ),
    "POST /v2/agent": Route(Object("AgentCreated", {"agent_id": UUID, "status": {"created"}}), body=_AGENT_BODY),
    "GET /v2/agent/all": Route(Array(AGENT)),
    "GET /v2/agent/{agent_id}": Route(AGENT),
    "PUT /v2/agent/{agent_id}": Route(
        Object("AgentReplaced", {"agent_id": UUID, "status": {"updated"}}), body=_AGENT_BODY
    ),
    "PATCH /v2/agent/{agent_id}": Route(_done("updated"), body=_AGENT_BODY),
    "DELETE /v2/agent/{agent_id}": Route(_done("deleted")),
    "POST /batches": Route(
        Object("BatchCreated", {"batch_id": HEX, "state": {"created"}}),
        body=frozenset({"agent_id", "file", "from_phone_numbers", "retry_config"}),
    ),
    "GET /batches/{agent_id}/all": Route(Array(BATCH)),
    "GET /batches/{batch_id}": Route(BATCH),
    "DELETE /batches/{batch_id}": Route(_done("deleted")),
    "GET /batches/{batch_id}/executions": Route(Array(EXECUTION)),
    "POST /batches/{batch_id}/stop": Route(_done("stopped"), errors=frozenset({400, 404})),
    "POST /batches/{batch_id}/schedule": Route(
        _done("scheduled"), body=frozenset({"scheduled_at", "bypass_call_guardrails"})
    ),
    "GET /user/me": Route(USER, errors=frozenset({400, 401})),
    "GET /phone-numbers/all": Route(Array(PHONE_NUMBER)),
}
"""Every published route that Redial has as well."""

NOT_SHARED = {
    "/agent": {"POST"},
    "/agent/all": {"GET"},
    "/agent/{agent_id}": {"GET", "PUT", "PATCH"},
    "/providers": {"GET", "POST"},
    "/providers/{provider_key_name}": {"DELETE"},
    "/inbound/setup": {"POST"},
    "/inbound/unlink": {"POST"},
    "/me/voices": {"GET"},
    "/user/model/custom": {"POST"},
    "/sip-trunks/trunks": {"GET", "POST"},
    "/sip-trunks/trunks/{trunk_id}": {"GET", "PATCH", "DELETE"},
    "/sip-trunks/trunks/{trunk_id}/numbers": {"GET", "POST"},
    "/sip-trunks/trunks/{trunk_id}/numbers/{phone_number_id}": {"DELETE"},
    "/knowledgebase": {"POST"},
    "/knowledgebase/all": {"GET"},
    "/knowledgebase/{rag_id}": {"GET", "DELETE"},
    "/extractions": {"GET", "POST"},
    "/extractions/{template_id}": {"GET", "PUT", "DELETE"},
    "/phone-numbers/search": {"GET"},
    "/phone-numbers/buy": {"POST"},
    "/phone-numbers/{phone_number_id}": {"DELETE"},
    "/sub-accounts/create": {"POST"},
    "/sub-accounts/{sub_account_id}": {"PATCH", "DELETE"},
    "/sub-accounts/all": {"GET"},
    "/sub-accounts/{sub_account_id}/usage": {"GET"},
    "/sub-accounts/all/usage": {"GET"},
    "/violations/list": {"GET"},
    "/violations/submit": {"POST"},
    "/dispositions/": {"GET", "POST"},
    "/dispositions/bulk": {"POST"},
    "/dispositions/{disposition_id}": {"GET", "PUT", "DELETE"},
    "/v2/agent/{agent_id}/dispositions/test": {"POST"},
}
"""Every published path that Redial does not have, with its methods."""
