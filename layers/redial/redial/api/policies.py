"""Routes of policies: create a version, list policies, read one."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from redial.api.agent_config import Country, countries
from redial.api.answers import account_id, answer, answers, new_router, no_such, note_changes, note_resource, services
from redial.api.calling_guardrails import CallingGuardrails
from redial.api.contact_limits import ContactLimits, ContactLimitsRead, contact_limits_json
from redial.api.fields import NO_EMPTY_TEXT, ExpiresAfter, Flag, Purpose, validated
from redial.api.holidays import Holiday, known_until
from redial.api.presets import PresetRead, presets
from redial.api.retry_config import RetryConfig
from redial.domain.policy import MAX_VERSION, POLICY_NAME, Policy
from redial.runtime import system
from redial.usecases import policies
from redial.wire.execution_json import RetryConfigEcho, render_retry_config
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()

# ---- models ---


def _preset(name: str) -> str:
    if name not in presets():
        raise ValueError(f"must be one of {', '.join(presets())}")
    return name


PresetName = Annotated[str, AfterValidator(_preset), Field(json_schema_extra={"examples": ["us-federal"]})]


class PolicyRequest(BaseModel):
    """The rules of a policy's next version. Null: the policy has no such rule, so the agent's applies. Unknown fields
    are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "calling_guardrails": {
                        "windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "18:00"}]
                    },
                    "expires_after_minutes": 2880,
                    "retry_config": {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [30, 60, 120]},
                }
            ]
        }
    )

    preset: PresetName | None = Field(None, description="A preset whose rules are copied where the request gives none.")
    calling_guardrails: CallingGuardrails | None = None
    contact_limits: ContactLimits | None = None
    expires_after_minutes: ExpiresAfter | None = Field(
        None, description="Minutes after scheduled_at, or else after creation, from which no attempt of a call starts."
    )
    consent_required: Flag | list[Country] | None = Field(
        None,
        description="As in an agent's configuration; false counts as null.",
        json_schema_extra={"examples": [True]},
    )
    purpose: Annotated[Purpose | None, NO_EMPTY_TEXT] = Field(None, description="What the calls are for.")
    retry_config: RetryConfig | None = None

    def to_policy(self, name: str, given: Mapping[str, Any], now: datetime) -> Policy:
        """The policy, without a version yet. `given`: the request as sent, completed with the rules of its preset."""
        config = {name: given[name] for name in PolicyRequest.model_fields if given.get(name) not in (None, "")}
        if self.preset is not None:
            config["preset_as_of"] = presets()[self.preset]["as_of"]
        if self.calling_guardrails is not None and self.calling_guardrails.holidays:
            config["holidays"] = self.calling_guardrails.holiday_dates
            config["holidays_until"] = known_until(now.date()).isoformat()
        return Policy(
            name=name,
            version=0,
            created_at=now,
            config=config,
            calling_rule=self.calling_guardrails.to_rule() if self.calling_guardrails else None,
            contact_limits=self.contact_limits.to_limits() if self.contact_limits else None,
            expires_after_minutes=self.expires_after_minutes,
            consent_required=countries(self.consent_required),
            purpose=self.purpose,
            retry_config=self.retry_config.to_rule() if self.retry_config else None,
        )


class PolicyRead(TypedDict):
    """One version of a policy, which never changes. Null: a rule that it leaves out."""

    name: str
    version: int
    policy: Annotated[
        str, Field(description="The name that calls, batches and agents use.", examples=["lead-outreach@3"])
    ]
    created_at: Timestamp
    calling_guardrails: Annotated[CallingGuardrails | None, Field(description="As sent.")]
    contact_limits: ContactLimitsRead | None
    expires_after_minutes: int | None
    consent_required: Annotated[bool | list[str], Field(description="As sent; false if it was left out.")]
    purpose: str | None
    retry_config: RetryConfigEcho | None
    preset: Annotated[str | None, Field(description="The preset from which rules were copied.")]
    preset_as_of: Annotated[str | None, Field(description="The preset's `as_of` when its rules were copied.")]
    holidays: Annotated[list[Holiday], Field(description="The holidays on which no call starts.")]
    holidays_until: Annotated[
        str | None, Field(description="Holidays after this date are unknown: save the rules again before it.")
    ]


def policy_json(policy: Policy) -> dict[str, Any]:
    """A policy's version as JSON: `PolicyRead`."""
    return {
        "name": policy.name,
        "version": policy.version,
        "policy": policy.label,
        "created_at": rfc3339(policy.created_at),
        "calling_guardrails": policy.config.get("calling_guardrails"),
        "contact_limits": contact_limits_json(policy.contact_limits),
        "expires_after_minutes": policy.expires_after_minutes,
        "consent_required": policy.config.get("consent_required", False),
        "purpose": policy.purpose,
        "retry_config": render_retry_config(policy.retry_config),
        "preset": policy.config.get("preset"),
        "preset_as_of": policy.config.get("preset_as_of"),
        "holidays": policy.config.get("holidays", []),
        "holidays_until": policy.config.get("holidays_until"),
    }


# ---- conditions ---

_TAG = re.compile(r'(?:W/)?"?([^",]*)"?')


def _tags(header: str) -> set[str]:
    """The entity tags of a header: versions as digits, or `*`. Weak and unquoted tags are accepted too."""
    return {found[1] for one in header.split(",") if (found := _TAG.fullmatch(one.strip()))}


def _condition(if_match: str | None, if_none_match: str | None) -> Callable[[int], bool]:
    """A function that tells whether the headers permit a change, given the policy's latest version (0: none exists)."""

    def is_met(version: int) -> bool:
        if if_match is not None:
            tags = _tags(if_match)
            if version == 0 or not tags & {"*", str(version)}:
                return False
        return if_none_match is None or version == 0 or not _tags(if_none_match) & {"*", str(version)}

    return is_met


# ---- routes ---


def _check_name(name: str) -> str:
    if POLICY_NAME.fullmatch(name) is None:
        raise ValueError("must be 1 to 40 of a-z 0-9 _ -, such as lead-outreach")
    return name


PolicyName = Annotated[
    str,
    AfterValidator(_check_name),
    Path(json_schema_extra={"pattern": f"^{POLICY_NAME.pattern}$", "examples": ["lead-outreach"]}),
]
_ETAG = {"ETag": {"description": "The version, for If-Match.", "schema": {"type": "string", "examples": ['"3"']}}}


def _answer(policy: Policy, status: int = 200) -> Response[Any]:
    return answer(policy_json(policy), status=status, headers={"ETag": f'"{policy.version}"'})


@router.put(
    "/policies/<name>",
    summary="Create a policy or its next version",
    description="Versions never change: existing calls keep theirs. Sending the same rules again creates no version."
    ' With `If-Match: "3"` (a version\'s ETag), a version is created only if that one is still the latest; with'
    " `If-None-Match: *` only if the policy does not exist yet. Otherwise the response is 412. Without either header,"
    " the last request wins.",
    tags=["policies"],
    operation_id="put_policy",
    responses=answers(200, "The policy's latest version.", PolicyRead, 400, 404, 409, 412, 413, headers=_ETAG)
    | answers(201, "The policy was created, with version 1.", PolicyRead, headers=_ETAG),
)
def put_policy(
    name: PolicyName,
    body: Annotated[PolicyRequest, Body()],
    if_match: Annotated[str | None, Header(alias="If-Match", description="The ETag of the latest version.")] = None,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="`*`: only if the policy does not exist.")
    ] = None,
) -> Response[Any]:
    given = router.current_event.json_body
    if body.preset is not None:
        given = presets()[body.preset]["rules"] | {name: value for name, value in given.items() if value is not None}
        body = validated(PolicyRequest, given)
    new = body.to_policy(name, given, system.now())
    made, is_new = policies.put_policy(
        services(), new, account_id=account_id(), is_met=_condition(if_match, if_none_match)
    )
    if is_new:
        before = services().policies.get(account_id(), f"{name}@{made.version - 1}") if made.version > 1 else None
        note_changes(before or Policy(name, 0, made.created_at, {}), made)
    note_resource("policy", made.label)
    return _answer(made, 201 if is_new and made.version == 1 else 200)


@router.get(
    "/policies",
    summary="List your policies, by name",
    tags=["policies"],
    operation_id="list_policies",
    responses=answers(200, "The latest version of each policy.", list[PolicyRead]),
)
def get_policies() -> Response[Any]:
    return answer([policy_json(one) for one in services().policies.all(account_id())])


@router.get(
    "/policies/presets",
    summary="List presets: rules to start from",
    description="Presets for common needs, and rules of countries with their source. They are not legal advice, and"
    " apply only if a policy copies them: PUT /policies/{name} with `preset`.",
    tags=["policies"],
    operation_id="list_presets",
    responses=answers(200, "All presets.", list[PresetRead]),
)
def get_presets() -> Response[Any]:
    return answer(list(presets().values()))


@router.get(
    "/policies/<name>",
    summary="Get a policy",
    tags=["policies"],
    operation_id="get_policy",
    responses=answers(200, "The latest or the requested version.", PolicyRead, 400, 404, headers=_ETAG),
)
def get_policy(
    name: Annotated[str, Path(json_schema_extra={"examples": ["lead-outreach"]})],
    version: Annotated[int | None, Query(ge=1, le=MAX_VERSION, description="Default: the latest.")] = None,
) -> Response[Any]:
    if POLICY_NAME.fullmatch(name) is None:
        no_such(name, "policy")
    return _answer(policies.read_policy(services(), name, version, account_id=account_id()))
