"""Shapes of requests and responses. Written by generate.py from the OpenAPI document: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

AccountEventKind: TypeAlias = Literal["attention.opened", "attention.resolved"]
"""
What happened. The values are the `type` of the webhooks.
"""


AttentionState: TypeAlias = Literal["open", "noticed", "resuming", "resolved"]
"""
`open`: affected calls wait. `noticed`: the carrier refused some calls, which wait; other calls are still placed,
because the fault may concern only these numbers. `resuming`: calls are placed again, more each minute. `resolved`:
no call is held.
"""


class BatchRunDetails(TypedDict):
    """
    The contact's state within its batch.
    """

    status: str
    created_at: str
    updated_at: str
    retried: int


BatchStatus: TypeAlias = Literal["created", "processed", "scheduled", "queued", "running", "completed", "stopped", "failed"]


CallOutcome: TypeAlias = Literal["answered", "voicemail", "no-answer", "busy", "declined", "blocked", "failed", "error", "canceled"]
"""
How an attempt ended, in more detail than its status.
"""


class ContextDetails(TypedDict):
    """
    The contact's number and data.
    """

    recipient_data: dict[str, Any]
    recipient_phone_number: str


HangupBy: TypeAlias = Literal["Callee", "Caller", "Carrier", "API Request", "Error", "Unknown"]
"""
Who ended a call.
"""


class NextAttempt(TypedDict):
    """
    The attempt that waits for its time.
    """

    attempt: int
    at: str


class RetryConfigEcho(TypedDict):
    """
    The retry configuration of a call with its defaults filled in.
    """

    enabled: bool
    max_retries: int
    retry_on_statuses: list[Literal["no-answer", "busy", "failed", "error"]]
    retry_on_voicemail: bool
    retry_intervals_minutes: list[int]


Scope: TypeAlias = Literal["account", "caller_id", "country", "agent"]
"""
Which calls a fault affects: all of the carrier account, those from one caller id, those to one country, or those
of one agent, whose endpoint does not answer.
"""


Status: TypeAlias = Literal["queued", "scheduled", "rescheduled", "initiated", "ringing", "in-progress", "call-disconnected", "completed", "no-answer", "busy", "failed", "canceled", "stopped", "error", "balance-low"]
"""
Status of an execution, or of one attempt.
"""


class TelephonyData(TypedDict):
    """
    The latest attempt whose call was placed, or that ended without a call. A retry is shown from `initiated` on;
    until then, the previous attempt is shown.
    """

    to_number: str
    from_number: str | None
    provider: str
    provider_call_id: str | None
    duration: str
    """
    Seconds of conversation, as digits.
    """
    ring_duration: int | None
    """
    Seconds from ringing to the answer, or to the end of an unanswered call.
    """
    call_type: Literal["outbound"]
    hangup_by: HangupBy | None
    hangup_reason: str | None
    hangup_provider_code: int | None
    """
    `hangup_code`, if it is an integer.
    """
    hangup_code: str | None
    """
    The SIP code of the call's end or, if there is none, the carrier's own code, as text.
    """
    recording_url: str | None


TerminationReason: TypeAlias = Literal["user_hung_up", "agent_ended_call", "no_answer", "busy", "voicemail_reached", "invalid_number", "insufficient_balance", "provider_error", "platform_error"]
"""
Why an attempt ended.
"""


class WebhookTestEvent(TypedDict):
    """
    An event that only tests the delivery: answer it with 2xx. `agent_id`: the agent whose webhook is tested; null: a
    URL was given.
    """

    type: Literal["webhook.test"]
    agent_id: str | None
    at: str


class AgentChanged(TypedDict):
    """
    The agent was changed.
    """

    message: Literal["success"]
    state: Literal["updated"]


FromPhoneNumber: TypeAlias = str


class AgentCreated(TypedDict):
    """
    The agent was created.
    """

    agent_id: str
    state: Literal["created"]


class AgentDeleted(TypedDict):
    """
    The agent was deleted, and its waiting calls are being stopped.
    """

    message: Literal["success"]
    state: Literal["deleted"]


class AgentLines(TypedDict):
    """
    An agent's lines.
    """

    agent_id: str
    agent_name: str
    max: int
    current: int


class AgentStopped(TypedDict):
    """
    The agent's unanswered calls and its batches, which are stopped now.
    """

    stopped_executions: list[str]
    stopped_batches: list[str]
    """
    The agent's batches; their contacts are stopped with them.
    """


class AskedEndpoint(TypedDict):
    """
    Your endpoint that is asked before each attempt, with a signed POST.
    """

    url: str
    timeout_seconds: NotRequired[int]
    """
    How long it may take to respond. Default: 3.
    """


class Assumed(TypedDict):
    """
    What the plan assumes: how every call ends, and after how many seconds.
    """

    status: Status
    voicemail: bool
    call_seconds: float
    text: str


AtCap: TypeAlias = Literal["defer", "end"]
"""
What happens to an attempt that a limit does not allow. `DEFER`: it waits until the limit allows it; `END`: the
call ends as `canceled`.
"""


class AttentionItem(TypedDict):
    """
    A fault that holds calls. `scope` and `value` say which calls: all of the carrier account (null), those from a
    caller id, those to a country (ISO 3166, or a calling code such as `+800`), or those of an agent (its id). For an
    agent, `provider` is the endpoint that does not respond: `scrub` or `hook`. `code`: the carrier's error code; null
    for an outage, or if the carrier gives none. `next_try_at`: when a waiting call may try again.
    """

    id: str
    provider: str
    scope: Scope
    value: str | None
    state: AttentionState
    reason: str | None
    code: str | None
    what_to_do: str
    opened_at: str | None
    next_try_at: str | None


class AttentionList(TypedDict):
    """
    The faults that hold calls now. Empty: none.
    """

    data: list[AttentionItem]


class BatchChanged(TypedDict):
    """
    The batch was changed.
    """

    message: Literal["success"]
    state: Literal["scheduled", "stopped", "paused", "running", "deleted"]


class BatchCreated(TypedDict):
    """
    The batch was created; its file is being read.
    """

    batch_id: str
    state: Literal["created"]


class BatchReplayStarted(TypedDict):
    """
    The batch's own events that are sent now, oldest first: those given up and those that waited.
    """

    batch_id: str
    replayed: list[int]


class CallCreated(TypedDict):
    """
    The call was accepted; `status` is `queued` even if it is scheduled for later.
    """

    message: Literal["done"]
    status: Literal["queued"]
    execution_id: str


class CallStopped(TypedDict):
    """
    The call was stopped before it was answered.
    """

    message: Literal["done"]
    status: Literal["stopped"]
    execution_id: str


Holiday: TypeAlias = str


class CallingWindow(TypedDict):
    """
    A period of the day in which calls may start. If it ends before its start, it ends on the next day; if both are
    the same, it lasts 24 hours.
    """

    days: NotRequired[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None]
    """
    The days on which it begins. Not given: every day.
    """
    start: str
    end: str
    """
    The first minute after the window.
    """


class CarrierCost(TypedDict):
    """
    What the carrier charges, in one currency. `attempts`: attempts whose price it reported by their end.
    `per_answer`: null without an answer, and unless the price of every attempt is known in this currency.
    """

    currency: str
    amount: float
    attempts: int
    per_answer: float | None


class CarrierNow(TypedDict):
    """
    A carrier that the agents use. `paused`: its calls have failed since `since` because of `reason`, and now wait;
    `resuming`: more calls are placed each minute. `account`: your account; each account has its own state.
    """

    name: str
    account: str
    state: Literal["ok", "paused", "resuming"]
    since: str | None
    reason: str | None


class ChangeRead(TypedDict):
    """
    A changed setting. URLs are reduced to their host, numbers are masked, other content is hashed.
    """

    field: str
    before: Any
    after: Any


CheckName: TypeAlias = Literal["carrier", "caller_ids", "countries", "agents", "callback_url", "attention", "webhooks", "clock"]
"""
Name of a check. `carrier`: its secret can be read, and it accepts requests. `caller_ids`: the carrier account
may call from the agents' numbers. `countries`: it may call the recently called countries. `agents`: each has a
caller id and an answer. `callback_url`: carriers report to the stack by https. `attention`: no fault holds
calls.
"""


CheckStatus: TypeAlias = Literal["ok", "warning", "failed", "skipped"]
"""
Result of a check. `warning`: calls are placed, but not as expected, or not all. `skipped`: the result is
unknown.
"""


CircuitState: TypeAlias = Literal["closed", "open", "resuming"]
"""
State of a circuit. `resuming` admits a growing number of calls after a successful probe.
"""


class ConcurrencyRead(TypedDict):
    """
    Live calls of all the account's agents: the limit and the current number.
    """

    max: int
    current: int


class ConsentRead(TypedDict):
    """
    A consent.
    """

    id: str
    """
    A keyed hash of the number, and the rule's scope.
    """
    last_four: str | None
    """
    The number's last four digits; null once the person has been erased.
    """
    purpose: str | None
    source: str | None
    created_at: str
    expires_at: str | None
    given_at: str
    proof: str | None


class ConsentsAdded(TypedDict):
    """
    The consents after the change.
    """

    message: Literal["success"]
    consents: list[ConsentRead]


class ContactCap(TypedDict):
    """
    A maximum number of attempts to one number in any period of `hours`.
    """

    attempts: int
    """
    The maximum. Every dial counts, whatever its outcome.
    """
    hours: int


class ContactCapRead(TypedDict):
    """
    A cap, as in requests.
    """

    attempts: int
    hours: int


class ContactLimits(TypedDict):
    """
    How often one number may be called. All calls of the account to it count, including retries. Null means not
    given.
    """

    caps: NotRequired[list[ContactCap] | None]
    """
    All caps apply.
    """
    pause_after_conversation_hours: NotRequired[int | None]
    """
    Hours without attempts after the end of an answered call.
    """
    at_cap: NotRequired[AtCap | None]
    """
    What happens to an attempt that is not allowed. defer: it waits until it is allowed; end: the call is `canceled`. Default: "defer".
    """


class ContactLimitsRead(TypedDict):
    """
    Contact limits, as in requests.
    """

    caps: list[ContactCapRead]
    pause_after_conversation_hours: int | None
    at_cap: AtCap


class CountryCount(TypedDict):
    """
    Contacts in a country (ISO 3166, or a calling code such as `+800`).
    """

    country: str
    contacts: int


class DefaultsRead(TypedDict):
    """
    The account's defaults, for agents that leave these settings out.
    """

    telephony_provider: str | None
    from_phone_numbers: list[str]
    answer_url: str | None
    stream_url: str | None
    policy: str | None


class DueNow(TypedDict):
    """
    Calls that wait for a time: retries, scheduled calls, calls outside calling hours. Calls that wait for a line and
    contacts that their batch has not started are not included.
    """

    minutes: int
    step_minutes: int
    calls: list[int]
    """
    Calls that become due in each step from now.
    """
    complete: bool
    """
    False: there may be more. At most 512 calls of the stack, 512 delayed contacts in each of 20 batches, and 100 agents are read.
    """


class Erased(TypedDict):
    """
    What was erased.
    """

    executions: int
    """
    Calls, including contacts of batches.
    """
    files: int
    """
    Batches whose files lose the person's rows, within minutes.
    """
    consents: int


class ExecutionErased(TypedDict):
    """
    The call was erased. Its id is unknown from now on.
    """

    message: Literal["success"]
    state: Literal["deleted"]


class FieldErrorBody(TypedDict):
    """
    One error in one field.
    """

    field: str
    message: str


class FinishRead(TypedDict):
    """
    When the batch will be finished if it starts at `starts_at`. Null: not within the period that the preflight
    covers, or there is nothing to call.
    """

    starts_at: str
    earliest: str | None
    latest: str | None
    assumptions: list[str]


class GapJson(TypedDict):
    """
    Attempts by the time since the end of the previous attempt, in minutes. Null: no bound.
    """

    attempts: int
    answers: int
    rate: float | None
    """
    Share answered by a person, 0 to 1; null without attempts.
    """
    interval: list[float] | None
    """
    95 % interval of the rate (Wilson's score).
    """
    value: str
    outcomes: dict[str, int]
    from_minutes: int | None
    to_minutes: int | None


class GatewayErrorBody(TypedDict):
    """
    An error of API Gateway, which has only a message, or an exceeded quota of the API key, which has all fields of
    an error.
    """

    message: str
    error: NotRequired[int | None]
    detail: NotRequired[str | None]


class Healthy(TypedDict):
    """
    The API answers.
    """

    status: Literal["ok"]


class Holiday1(TypedDict):
    """
    A public holiday.
    """

    date: str
    region: str
    name: str


class Index(TypedDict):
    """
    Links to the documentation.
    """

    name: Literal["Redial"]
    version: str
    documentation: Literal["/docs"]
    openapi: Literal["/openapi.json"]


class Kept(TypedDict):
    """
    What is kept, so that it stays in effect.
    """

    suppressions: int
    """
    Suppressions, as keyed hashes without the reason and digits of the number.
    """
    attempts: int
    """
    Times of dials in the last 31 days, under a keyed hash of the number, for contact limits.
    """


class KeyRevoked(TypedDict):
    """
    The key no longer works.
    """

    message: Literal["success"]
    state: Literal["revoked"]


KeyScope: TypeAlias = Literal["read", "call", "operate", "admin"]
"""
What an API key may do: read (`READ`); make calls and batches (`CALL`); stop, pause, replay, suppress
(`OPERATE`); change agents, rules, keys and the account, and erase (`ADMIN`). No scope includes another.
"""


class LimitUse(TypedDict):
    """
    A cap that applies. `owner`: the account, the policy or the agent; `attempts`: how many of the `allowed` attempts
    are used, by all calls of the account to the number; `opens_at`: when the next is allowed, if none is now.
    """

    owner: str
    limit: str
    attempts: int
    allowed: int
    opens_at: str | None


class LinesNeeded(TypedDict):
    """
    Lines and rate. `calls_per_second`: the lower of the batch's and the carrier account's rate; null: no limit.
    `needed`: the lines needed to reach that rate if every call is answered at the end of its ring timeout.
    """

    available: int
    needed: int | None
    calls_per_second: float | None


class LinesNow(TypedDict):
    """
    Live calls: the limit and the current number, for the account and for each agent. `complete`: whether all agents
    are listed.
    """

    max: int
    current: int
    agents: list[AgentLines]
    complete: bool
    """
    False: the account has more than 100 agents.
    """


class LogEntry(TypedDict):
    """
    One entry of an execution's log.
    """

    created_at: str
    type: str
    component: str
    provider: str | None
    data: Any


class MovedBy(TypedDict):
    """
    A gate that makes the attempt wait. `rule`: the rule that it applied, if any; `until`: when it is asked again.
    """

    gate: str
    rule: str | None
    until: str | None
    text: str


class NowRead(TypedDict):
    """
    The account's current activity. `at`: the server's time. `attention`: the number of items in `GET /attention`.
    `undelivered`: the number of calls and batches with undelivered events.
    """

    version: str
    at: str
    lines: LinesNow
    due: DueNow
    carriers: list[CarrierNow]
    attention: int
    undelivered: int
    """
    1000 means this many or more.
    """


NumbersShown: TypeAlias = Literal["full", "masked"]
"""
How phone numbers appear in the answers to a key.
"""


class PhoneNumberRead(TypedDict):
    """
    A number that an agent may call from.
    """

    id: str
    phone_number: str
    agent_id: str
    telephony_provider: str
    rented: bool


Placement: TypeAlias = Literal["start", "spread", "rotate"]
"""
Where an attempt that came outside its windows is placed.

`START`: at the opening. `SPREAD`: within the first minutes of the opening, each call at its own second. `ROTATE`:
outside every hour of the day in which an earlier attempt failed, also if the window is open.
"""


class PlannedAttempt(TypedDict):
    """
    An attempt. `latest_at` is later than `earliest_at` if calls are spread over the first minutes of a window: a
    call's own second is known only once it is created. Null: possibly the attempt is not dialled at all.
    """

    attempt: int
    earliest_at: str
    latest_at: str | None
    local_times: dict[str, str]
    """
    `earliest_at` in each IANA time zone that the number may be in, RFC 3339.
    """
    moved_by: list[MovedBy]


class PreflightPending(TypedDict):
    """
    The file is being read; ask again later.
    """

    message: str
    state: Literal["reading"]
    rows_read: int


class PreflightRequest(TypedDict):
    """
    The assumptions of a preflight. Unknown fields are ignored.
    """

    scheduled_at: NotRequired[str | None]
    """
    When the batch would start. Default: its scheduled time, else now.
    """
    bypass_call_guardrails: NotRequired[bool | None]
    """
    Also call outside calling hours.
    """
    call_seconds: NotRequired[int]
    """
    The average length of an answered call, to estimate the latest end. Default: 120.
    """


class PresetRead(TypedDict):
    """
    Rules to start from. Not legal advice.
    """

    name: str
    title: str
    source: str | None
    """
    The rule's citation; null for a common need.
    """
    url: str | None
    as_of: str | None
    """
    When the rules were last compared with the source.
    """
    review_by: str | None
    """
    When they must be compared again.
    """
    not_covered: str | None
    rules: dict[str, Any]
    """
    The rules, in the format of PUT /policies/{name}.
    """


class Quotas(TypedDict):
    """
    Limits of a key. Null or omitted: no limit.
    """

    calls_a_day: NotRequired[int | None]
    """
    Calls and contacts of scheduled batches per day (UTC).
    """
    lines: NotRequired[int | None]
    """
    Live calls at once, among the calls that the key creates and the batches that it schedules. Other calls wait.
    """


class QuotasRead(TypedDict):
    """
    Limits of a key. Null: no limit.
    """

    calls_a_day: int | None
    lines: int | None


class ReachJson(TypedDict):
    """
    All contacts, and how many were reached: a person had answered this attempt or an earlier one.
    """

    attempt: int
    contacts: int
    reached: int
    rate: float | None
    """
    Share answered by a person, 0 to 1; null without attempts.
    """
    interval: list[float] | None
    """
    95 % interval of the rate (Wilson's score).
    """


class RedialCost(TypedDict):
    """
    The estimated AWS cost of Redial: `attempts` times the list price of an unanswered attempt.
    """

    currency: Literal["USD"]
    amount: float
    per_1000_attempts: float
    per_answer: float | None
    """
    Null without an answer.
    """


class RejectedRows(TypedDict):
    """
    The number of rejected rows, by reason.
    """

    duplicates: int
    """
    Duplicates of an earlier row of the file.
    """
    never_placeable: int
    """
    Rows whose calling hours never open.
    """
    others: int


class ReplayStarted(TypedDict):
    """
    The call's events that are sent now, oldest first: those given up and those that waited.
    """

    execution_id: str
    replayed: list[int]
    """
    Their sequence numbers.
    """


class ResultsPending(TypedDict):
    """
    The file is being written; ask again later.
    """

    message: str
    state: Literal["writing"]


RetryIntervalsMinute: TypeAlias = int


class RetryConfig(TypedDict):
    """
    Whether and when a failed call is retried. If `enabled` is false, invalid fields are ignored.
    """

    enabled: NotRequired[bool]
    """
    Default: false.
    """
    max_retries: NotRequired[int]
    """
    Retries after the first dial: 3 means at most 4 calls. Default: 3.
    """
    retry_on_statuses: NotRequired[list[Literal["no-answer", "busy", "failed", "error"]]]
    """
    The outcomes that are retried. Default: ["no-answer", "busy", "failed"].
    """
    retry_on_voicemail: NotRequired[bool]
    """
    Also retry if a machine has answered. Default: false.
    """
    retry_intervals_minutes: NotRequired[list[RetryIntervalsMinute]]
    """
    Minutes from the end of each failed attempt to the next. If there are fewer intervals than retries, the last one repeats. Default: [30, 60, 120].
    """


class RuleRemoved(TypedDict):
    """
    How many rules were removed: one or none.
    """

    message: Literal["success"]
    state: Literal["deleted"]
    deleted: int
    canceled_executions: list[str]
    """
    Calls that were ended because they need the consent.
    """


class SharedContacts(TypedDict):
    """
    The number of contacts that another batch also has.
    """

    batch_id: str
    contacts: int


class SuppressionRead(TypedDict):
    """
    A suppression.
    """

    id: str
    """
    A keyed hash of the number, and the rule's scope.
    """
    last_four: str | None
    """
    The number's last four digits; null once the person has been erased.
    """
    purpose: str | None
    source: str | None
    created_at: str
    expires_at: str | None
    agent_id: str | None
    reason: str | None


class SuppressionsAdded(TypedDict):
    """
    The suppressions after the change, and the calls that they ended.
    """

    message: Literal["success"]
    suppressions: list[SuppressionRead]
    canceled_executions: list[str]
    """
    Waiting and ringing calls that were ended at once.
    """
    complete: bool
    """
    `false`: there was no time to find all such calls. The others are not dialled and end when they become due. Repeat the request to end them now.
    """


class UndeliveredEvent(TypedDict):
    """
    An undelivered event. Details of its last try are null once the log no longer has them. `next_try_at`: when it is
    tried again; null: it was given up.
    """

    sequence: int
    status: Status | BatchStatus
    last_tried_at: str | None
    tries: int | None
    http_status: int | None
    error: str | None
    next_try_at: str | None


class UndeliveredSubject(TypedDict):
    """
    An execution or a batch with its undelivered events, oldest first: those given up, and the first pending one if
    it waits for its next try. One of the two ids is null.
    """

    execution_id: str | None
    batch_id: str | None
    agent_id: str
    events: list[UndeliveredEvent]


class UploadCreated(TypedDict):
    """
    The URL for one PUT of the file, valid until `expires_at`.
    """

    upload_id: str
    method: Literal["PUT"]
    url: str
    expires_at: str


class UploadRequest(TypedDict):
    """
    An upload to create.
    """

    size: int
    """
    The file's size in bytes; the URL accepts exactly this size.
    """
    file_name: NotRequired[str | None]


class ValueJson(TypedDict):
    """
    The attempts with one value, such as one caller id. `outcomes`: how they ended.
    """

    attempts: int
    answers: int
    rate: float | None
    """
    Share answered by a person, 0 to 1; null without attempts.
    """
    interval: list[float] | None
    """
    95 % interval of the rate (Wilson's score).
    """
    value: str
    outcomes: dict[str, int]


Verdict: TypeAlias = Literal["allow", "defer", "end"]
"""
A gate's verdict. `ALLOW`: the next gate decides. `DEFER`: the attempt waits. `END`: the execution is over.
"""


class WaitsFor(TypedDict):
    """
    What the call waits for. `gate`: the gate that makes it wait, if any; `until`: null if it waits for an event, not
    for a time; `to_change`: what would let it continue.
    """

    gate: str | None
    until: str | None
    text: str
    to_change: str


class WebhookTest(TypedDict):
    """
    Where a test event goes: give an agent or a URL.
    """

    agent_id: NotRequired[str | None]
    """
    Send it to the `webhook_url` of this agent.
    """
    url: NotRequired[str | None]
    """
    Send it to this URL, which must be permitted as a webhook.
    """


class WebhookTestResult(TypedDict):
    """
    The result of a test event. `accepted`: the endpoint answered with 2xx within 10 seconds. `status_code`: null if
    there was no response. `error`: why there was none, or why it was not accepted.
    """

    webhook_id: str
    url: str
    accepted: bool
    status_code: int | None
    error: str | None
    milliseconds: int


class ZoneCount(TypedDict):
    """
    Contacts with the same possible time zones: more than one if the number does not determine it.
    """

    time_zones: list[str]
    contacts: int


ListExecutionsParametersQuery = TypedDict(
    "ListExecutionsParametersQuery",
    {
        "page_number": NotRequired[int],
        "page_size": NotRequired[int],
        "cursor": NotRequired[str],
        "status": NotRequired[Literal["queued", "scheduled", "rescheduled", "initiated", "ringing", "in-progress", "call-disconnected", "completed", "no-answer", "busy", "failed", "canceled", "stopped", "error", "balance-low", "prepared"]],
        "batch_id": NotRequired[str],
        "from": NotRequired[str],
        "to": NotRequired[str],
        "answered_by_voice_mail": NotRequired[bool],
        "call_type": NotRequired[Literal["outbound", "inbound"]],
        "provider": NotRequired[str],
        "user_number": NotRequired[str],
    },
)


ListExecutionsBareParametersQuery = TypedDict(
    "ListExecutionsBareParametersQuery",
    {
        "page_number": NotRequired[int],
        "page_size": NotRequired[int],
        "cursor": NotRequired[str],
        "status": NotRequired[Literal["queued", "scheduled", "rescheduled", "initiated", "ringing", "in-progress", "call-disconnected", "completed", "no-answer", "busy", "failed", "canceled", "stopped", "error", "balance-low", "prepared"]],
        "batch_id": NotRequired[str],
        "from": NotRequired[str],
        "to": NotRequired[str],
        "answered_by_voice_mail": NotRequired[bool],
        "call_type": NotRequired[Literal["outbound", "inbound"]],
        "provider": NotRequired[str],
        "user_number": NotRequired[str],
    },
)


class GetNumberParametersQuery(TypedDict):
    agent_id: NotRequired[str]
    """
    Apply this agent's rules.
    """


class ListSuppressionsParametersQuery(TypedDict):
    phone_number: NotRequired[str]
    """
    Only those of this number, including the newest.
    """
    agent_id: NotRequired[str]
    """
    Only those that name this agent.
    """
    purpose: NotRequired[str]
    """
    Only those that name this purpose.
    """
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


ListSuppressionsResponse: TypeAlias = list[SuppressionRead]


class AddSuppressionsRequest(TypedDict):
    phone_number: str
    """
    E.164; other formats are normalized.
    """
    purpose: NotRequired[str | None]
    """
    Only calls for this purpose.
    """
    source: NotRequired[str | None]
    """
    Where it comes from.
    """
    expires_at: NotRequired[str | None]
    """
    When it expires; null or an empty text: never.
    """
    agent_id: NotRequired[str | None]
    """
    Only calls of this agent. Without agent and purpose: all calls of the account.
    """
    reason: NotRequired[str | None]
    """
    The reason, shown with the calls that it ends.
    """


class DeleteSuppressionParametersQuery(TypedDict):
    phone_number: str
    agent_id: NotRequired[str]
    """
    Only those that name this agent.
    """
    purpose: NotRequired[str]
    """
    Only those that name this purpose.
    """


class SuppressExecutionRequest(TypedDict):
    purpose: NotRequired[str | None]
    """
    Only calls for this purpose.
    """
    source: NotRequired[str | None]
    """
    Where it comes from.
    """
    expires_at: NotRequired[str | None]
    """
    When it expires; null or an empty text: never.
    """
    agent_id: NotRequired[str | None]
    """
    Only calls of this agent. Without agent and purpose: all calls of the account.
    """
    reason: NotRequired[str | None]
    """
    The reason, shown with the calls that it ends.
    """


class ListConsentsParametersQuery(TypedDict):
    phone_number: NotRequired[str]
    """
    Only those of this number, including the newest.
    """
    purpose: NotRequired[str]
    """
    Only those that name this purpose.
    """
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


ListConsentsResponse: TypeAlias = list[ConsentRead]


class AddConsentsRequest(TypedDict):
    phone_number: str
    """
    E.164; other formats are normalized.
    """
    purpose: NotRequired[str | None]
    """
    Only calls for this purpose.
    """
    source: NotRequired[str | None]
    """
    Where it comes from.
    """
    expires_at: NotRequired[str | None]
    """
    When it expires; null or an empty text: never.
    """
    given_at: str
    """
    When the consent was given; it is valid from then on.
    """
    proof: NotRequired[str | None]
    """
    Where the consent can be found.
    """


class DeleteConsentParametersQuery(TypedDict):
    phone_number: str
    purpose: NotRequired[str]
    """
    Only those that name this purpose.
    """


class GetPolicyParametersQuery(TypedDict):
    version: NotRequired[int]
    """
    Default: the latest.
    """


ListPresetsResponse: TypeAlias = list[PresetRead]


class ListAgentsParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


class CreateBatchRequest(TypedDict):
    file: bytes
    """
    CSV with a column contact_number.
    """
    agent_id: str
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids, used in turn: a repeated field or one JSON list. Default: the agent's.
    """
    retry_config: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go. Its contacts' events go to the agent's webhook. Empty: nowhere.
    """
    calls_per_second: NotRequired[float]
    """
    Maximum calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Whether due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Also call outside calling hours. Default: false.
    """
    calling_guardrails: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    purpose: NotRequired[str]
    """
    The purpose of its calls, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts at or after this time; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    Like expires_at, in minutes after the batch's start. Give only one of the two.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: start the batch as soon as its file has been read.
    """


class CreateBatchRequest1(TypedDict):
    agent_id: str
    upload_id: str
    """
    The id from POST /batches/uploads, instead of `file`.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids, used in turn: a repeated field or one JSON list. Default: the agent's.
    """
    retry_config: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go. Its contacts' events go to the agent's webhook. Empty: nowhere.
    """
    calls_per_second: NotRequired[float]
    """
    Maximum calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Whether due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Also call outside calling hours. Default: false.
    """
    calling_guardrails: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    purpose: NotRequired[str]
    """
    The purpose of its calls, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts at or after this time; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    Like expires_at, in minutes after the batch's start. Give only one of the two.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: start the batch as soon as its file has been read.
    """


class ListBatchesParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


class ListBatchExecutionsParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


class ScheduleBatchRequest(TypedDict):
    scheduled_at: str
    """
    2 minutes to 30 days ahead.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Default: false.
    """


class PatchUserRequest(TypedDict):
    """
    Settings to change: defaults, contact limits, webhook. Omitted settings are kept; null removes a setting.
    """

    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; null or `default`: the stack's.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    answer_url: NotRequired[str | None]
    """
    {agent_id} and {execution_id} are filled in.
    """
    stream_url: NotRequired[str | None]
    """
    Instead of answer_url.
    """
    policy: NotRequired[str | None]
    """
    The policy for new calls and batches, if neither they nor their agent name one.
    """
    webhook_url: NotRequired[str | None]
    """
    Where the account's own events go: `attention.opened`, `attention.resolved`.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    Limits for every call of the account, in addition to its agent's.
    """


class ListPhoneNumbersParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    Without page_number and page_size: all rows.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    Where the next part begins: from a response's `Link`.
    """


ListPhoneNumbersResponse: TypeAlias = list[PhoneNumberRead]


ListAuditParametersQuery = TypedDict(
    "ListAuditParametersQuery",
    {
        "from": NotRequired[str],
        "to": NotRequired[str],
        "page_number": NotRequired[int],
        "page_size": NotRequired[int],
        "cursor": NotRequired[str],
    },
)


ExportAuditParametersQuery = TypedDict(
    "ExportAuditParametersQuery",
    {
        "from": NotRequired[str],
        "to": NotRequired[str],
    },
)


RetryStatisticsParametersQuery = TypedDict(
    "RetryStatisticsParametersQuery",
    {
        "agent_id": NotRequired[str],
        "batch_id": NotRequired[str],
        "from": NotRequired[str],
        "to": NotRequired[str],
    },
)


class OpenapiResponse(TypedDict):
    pass


class DocsResponse(TypedDict):
    pass


class AttentionEvent(TypedDict):
    """
    The attention item's state at the time `at`, when it opened or its calls were released.
    """

    id: str
    provider: str
    scope: Scope
    value: str | None
    state: AttentionState
    reason: str | None
    code: str | None
    what_to_do: str
    opened_at: str | None
    next_try_at: str | None
    type: AccountEventKind
    at: str


class BatchEvent(TypedDict):
    """
    The body of a batch's own webhook: the batch right after one change of its status.
    """

    batch_id: str
    agent_id: str
    humanized_created_at: str
    created_at: str
    updated_at: str
    status: BatchStatus
    reason: str | None
    """
    Why the batch stopped or failed.
    """
    scheduled_at: str | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: int
    """
    Accepted rows; grows while the file is being read.
    """
    rejected_contacts: int
    total_contacts: int
    execution_status: dict[Status, int]
    """
    Contacts by status.
    """
    retry_config: RetryConfigEcho | None
    calls_per_second: float | None
    sequence: int
    """
    Number of the latest event; each event's webhook carries its own.
    """
    paused: bool
    policy: str | None
    """
    The batch's own policy or its agent's, with its version.
    """
    expires_at: str | None
    """
    No attempt starts at or after this time; null before the batch has a start time.
    """
    type: Literal["batch.created", "batch.processed", "batch.scheduled", "batch.queued", "batch.running", "batch.completed", "batch.stopped", "batch.failed"]


class ExecutionAttempt(TypedDict):
    """
    One attempt. Each time is null until it is reached.
    """

    attempt: int
    status: Status
    scheduled_at: str
    dialed_at: str | None
    answered_at: str | None
    ended_at: str | None
    provider_call_id: str | None
    from_number: str | None
    hangup_reason: str | None
    hangup_provider_code: int | None
    """
    `hangup_code`, if it is an integer.
    """
    hangup_code: str | None
    """
    The SIP code of the call's end or, if there is none, the carrier's own code, as text.
    """
    voicemail: bool | None
    outcome: CallOutcome | None


class RetryHistoryEntry(TypedDict):
    """
    How one attempt ended.
    """

    attempt: int
    status: Status
    at: str


class AuditRead(TypedDict):
    """
    A change. `by`: the name of the API key, `operator`, or `webhook signature`; `operation`: the `operationId` of
    the route, or what the operator's command did.
    """

    id: str
    at: str
    by: str
    key_id: str | None
    operation: str
    resource_type: str
    resource_id: str | None
    changes: list[ChangeRead]
    details: dict[str, Any]


class BatchRead(TypedDict):
    """
    A batch. Its counts are exact, with a delay of a second or two.
    """

    batch_id: str
    agent_id: str
    humanized_created_at: str
    created_at: str
    updated_at: str
    status: BatchStatus
    reason: str | None
    """
    Why the batch stopped or failed.
    """
    scheduled_at: str | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: int
    """
    Accepted rows; grows while the file is being read.
    """
    rejected_contacts: int
    total_contacts: int
    execution_status: dict[Status, int]
    """
    Contacts by status.
    """
    retry_config: RetryConfigEcho | None
    calls_per_second: float | None
    sequence: int
    """
    Number of the latest event; each event's webhook carries its own.
    """
    paused: bool
    policy: str | None
    """
    The batch's own policy or its agent's, with its version.
    """
    expires_at: str | None
    """
    No attempt starts at or after this time; null before the batch has a start time.
    """
    shared_contacts: list[SharedContacts]
    """
    Other batches that had some of the same contacts and ran at the same time.
    """


class CallingGuardrails(TypedDict):
    """
    When calls may start, in the called person's local time: whole hours (over midnight if the start is after the
    end), or windows. Null means not given.
    """

    call_start_hour: NotRequired[int | None]
    call_end_hour: NotRequired[int | None]
    windows: NotRequired[list[CallingWindow] | None]
    """
    Windows, instead of the two hours.
    """
    excluded_dates: NotRequired[list[str] | None]
    """
    Dates on which no call starts and no window over midnight begins.
    """
    holidays: NotRequired[list[Holiday] | None]
    """
    Countries or their subdivisions. Their public holidays of this year and the next are excluded dates. They are looked up when the rule is saved: save it again every year.
    """
    placement: NotRequired[Placement | None]
    """
    When a call that became due outside the windows is placed. start: when they open; spread: within the first spread_minutes, each call at its own second; rotate: when they open, and a retry in a different hour of the day than the attempts before it. Default: "start".
    """
    spread_minutes: NotRequired[int | None]
    """
    For the placement `spread`. Default: 15.
    """
    attempts_per_window: NotRequired[int | None]
    """
    Maximum attempts of one call in one window of one day; further attempts wait for the next window. Not given: no limit.
    """


class CarrierRead(TypedDict):
    """
    The circuit breaker of a carrier that the account's agents use: `open` while the carrier fails for every call and
    calls wait; `resuming` for some minutes after it recovers.
    """

    provider: str
    circuit: CircuitState
    since: str | None
    next_try_at: str | None
    reason: str | None


class CheckRead(TypedDict):
    """
    The result of one check. `advice`: what to do; null: nothing. `agent_id`: the agent concerned; null: the account
    or all agents.
    """

    check: CheckName
    status: CheckStatus
    message: str
    advice: str | None
    agent_id: str | None


class ContactErased(TypedDict):
    """
    The receipt. `state` is `erasing` if there were too many calls for one request: repeat it to erase the rest.
    """

    message: Literal["success"]
    state: Literal["deleted", "erasing"]
    erased: Erased
    kept: Kept
    erased_at: str


class CostJson(TypedDict):
    """
    Costs of the attempts. `carrier`: by currency; empty if the carrier reported no price by the end of any call, for
    example because it reports prices minutes later.
    """

    carrier: list[CarrierCost]
    redial: RedialCost


class ErrorBody(TypedDict):
    """
    The body of every error.
    """

    error: int
    """
    The HTTP status.
    """
    message: str
    """
    What to do.
    """
    detail: str
    """
    The same text as `message`.
    """
    errors: NotRequired[list[FieldErrorBody] | None]
    """
    For invalid input only: each invalid field.
    """
    request_id: NotRequired[str | None]
    """
    For 500 only: quote it when you report the error.
    """


class Examination(TypedDict):
    """
    All checks. Checks of agents are shown per agent only if they fail.
    """

    checks: list[CheckRead]


class Execution(TypedDict):
    """
    One contact and all attempts to reach it.
    """

    id: str
    agent_id: str
    batch_id: str | None
    status: Status
    created_at: str
    updated_at: str
    scheduled_at: str | None
    rescheduled_at: str | None
    retry_config: RetryConfigEcho | None
    retry_count: int
    retry_history: list[RetryHistoryEntry] | None
    answered_by_voice_mail: bool | None
    conversation_duration: float
    """
    Seconds; 0 without a conversation.
    """
    error_message: str | None
    termination_reason: TerminationReason | None
    """
    Why the attempt in telephony_data ended; null while it is in progress.
    """
    ended_because: str | None
    """
    Why no further attempt follows; null until the execution is over.
    """
    outcome: CallOutcome | None
    """
    How the attempt in telephony_data ended, in more detail than its status.
    """
    initiated_at: str | None
    user_number: str
    agent_number: str | None
    provider: str
    telephony_data: TelephonyData
    context_details: ContextDetails
    batch_run_details: BatchRunDetails | None
    attempts: list[ExecutionAttempt]
    next_attempt: NextAttempt | None
    sequence: int
    """
    Number of the latest event; each event's webhook carries its own.
    """
    purpose: str | None
    """
    The requested purpose; null: its batch's or its agent's applies.
    """
    policy: str | None
    """
    A single call's policy, with its version. A contact has its batch's policy.
    """
    expires_at: str | None
    """
    No attempt starts at or after this time. For a contact, it is the batch's expiry.
    """
    transcript: str | None
    """
    Always null. Clients of the wire format expect the key.
    """
    summary: str | None
    """
    Always null. Clients of the wire format expect the key.
    """
    extracted_data: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    agent_extraction: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    total_cost: float | None
    """
    Always null. Clients of the wire format expect the key.
    """
    cost_breakdown: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    usage_breakdown: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    transfer_call_data: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """


class ExecutionLog(TypedDict):
    """
    The events of a call, oldest first, including webhook deliveries.
    """

    status: Literal["success"]
    data: list[LogEntry]


class ExecutionPage(TypedDict):
    """
    One page of an agent's executions, newest first.
    """

    page_number: int
    page: int
    page_size: int
    total: int | None
    has_more: bool
    data: list[Execution]


class GateRead(TypedDict):
    """
    What one gate decided. `rule`: the rule that it applied, if any.
    """

    gate: str
    decision: Verdict
    rule: str | None
    text: str


class KeyCreated(TypedDict):
    """
    The new key. `api_key` is shown only here.
    """

    id: str
    name: str
    scopes: list[KeyScope]
    agents: list[str] | None
    numbers: NumbersShown
    quotas: QuotasRead
    last_used_at: str | None
    created_at: str
    revoked_at: str | None
    api_key: str


class KeyRead(TypedDict):
    """
    A key as it is listed.
    """

    id: str
    name: str
    scopes: list[KeyScope]
    agents: list[str] | None
    numbers: NumbersShown
    quotas: QuotasRead
    last_used_at: str | None
    created_at: str
    revoked_at: str | None


class KeyRequest(TypedDict):
    """
    A key to create. Omitted or null fields are copied from the key that creates it. Unknown fields are ignored.
    """

    name: str
    scopes: NotRequired[list[KeyScope] | None]
    agents: NotRequired[list[str] | None]
    """
    The only agents that the key can see and change.
    """
    numbers: NotRequired[NumbersShown | None]
    """
    `masked`: phone numbers are masked in every response.
    """
    quotas: NotRequired[Quotas | None]


class OwnKeyRead(TypedDict):
    """
    A key and its rights. `agents`: null means all agents. `last_used_at`: the hour of its last request.
    """

    id: str
    name: str
    scopes: list[KeyScope]
    agents: list[str] | None
    numbers: NumbersShown
    quotas: QuotasRead
    last_used_at: str | None


class Plan(TypedDict):
    """
    What happens if every attempt fails.
    """

    attempts: list[PlannedAttempt]
    worst_case_calls: int
    """
    The maximum number of calls.
    """
    ends_because: str
    """
    Why no attempt follows the last one.
    """
    assumed: Assumed
    warnings: list[str]


class PolicyRead(TypedDict):
    """
    One version of a policy, which never changes. Null: a rule that it leaves out.
    """

    name: str
    version: int
    policy: str
    """
    The name that calls, batches and agents use.
    """
    created_at: str
    calling_guardrails: CallingGuardrails | None
    """
    As sent.
    """
    contact_limits: ContactLimitsRead | None
    expires_after_minutes: int | None
    consent_required: bool | list[str]
    """
    As sent; false if it was left out.
    """
    purpose: str | None
    retry_config: RetryConfigEcho | None
    preset: str | None
    """
    The preset from which rules were copied.
    """
    preset_as_of: str | None
    """
    The preset's `as_of` when its rules were copied.
    """
    holidays: list[Holiday1]
    """
    The holidays on which no call starts.
    """
    holidays_until: str | None
    """
    Holidays after this date are unknown: save the rules again before it.
    """


class PolicyRequest(TypedDict):
    """
    The rules of a policy's next version. Null: the policy has no such rule, so the agent's applies. Unknown fields
    are ignored.
    """

    preset: NotRequired[str | None]
    """
    A preset whose rules are copied where the request gives none.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    contact_limits: NotRequired[ContactLimits | None]
    expires_after_minutes: NotRequired[int | None]
    """
    Minutes after scheduled_at, or else after creation, from which no attempt of a call starts.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    As in an agent's configuration; false counts as null.
    """
    purpose: NotRequired[str | None]
    """
    What the calls are for.
    """
    retry_config: NotRequired[RetryConfig | None]


class PreflightRead(TypedDict):
    """
    What would happen if the batch started. Each contact is counted in one of `suppressed`, `without_consent`,
    `never_placeable` and `to_be_called`.
    """

    batch_id: str
    contacts: int
    rejected: RejectedRows
    by_time_zone: list[ZoneCount]
    by_country: list[CountryCount]
    suppressed: int
    without_consent: int
    never_placeable: int
    to_be_called: int
    shared_contacts: list[SharedContacts]
    """
    Contacts that running batches also have.
    """
    attempts_per_contact: int
    worst_case_calls: int
    lines: LinesNeeded
    finish: FinishRead
    warnings: list[str]


class RetryStatistics(TypedDict):
    """
    How contacts first dialled in the period were reached. Days are in UTC. `by_local_hour`: in the called number's
    local time, such as `mon 09`; it leaves out attempts to numbers whose possible time zones had different hours.
    """

    agent_id: str | None
    batch_id: str | None
    period_start: str
    """
    First day, included.
    """
    period_end: str
    """
    Last day, included.
    """
    contacts: int
    attempts: int
    answers: int
    calls_per_answer: float | None
    """
    Null without an answer.
    """
    cost: CostJson
    outcomes: dict[str, int]
    reach: list[ReachJson]
    by_attempt: list[ValueJson]
    by_gap: list[GapJson]
    by_local_hour: list[ValueJson]
    by_outcome_before: list[ValueJson]
    by_caller_id: list[ValueJson]
    by_country: list[ValueJson]
    advice: list[str]


class UndeliveredList(TypedDict):
    """
    Executions and batches with undelivered events. `has_more`: there are more, which are listed once these are
    replayed.
    """

    data: list[UndeliveredSubject]
    has_more: bool


class UserRead(TypedDict):
    """
    The API key and its account. If the key is restricted to agents, `concurrency` and `carriers` cover only these
    agents.
    """

    id: str
    name: str
    key: OwnKeyRead
    concurrency: ConcurrencyRead
    webhook_url: str | None
    defaults: DefaultsRead
    contact_limits: ContactLimitsRead | None
    carriers: list[CarrierRead]


ListExecutionsBareResponse: TypeAlias = list[Execution]


ListPoliciesResponse: TypeAlias = list[PolicyRead]


class CreateBatchRequest2(TypedDict):
    agent_id: str
    upload_id: str
    """
    The id from POST /batches/uploads, instead of `file`.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids, used in turn: a repeated field or one JSON list. Default: the agent's.
    """
    retry_config: NotRequired[RetryConfig]
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go. Its contacts' events go to the agent's webhook. Empty: nowhere.
    """
    calls_per_second: NotRequired[float]
    """
    Maximum calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Whether due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Also call outside calling hours. Default: false.
    """
    calling_guardrails: NotRequired[CallingGuardrails]
    purpose: NotRequired[str]
    """
    The purpose of its calls, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts at or after this time; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    Like expires_at, in minutes after the batch's start. Give only one of the two.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: start the batch as soon as its file has been read.
    """


ListBatchesResponse: TypeAlias = list[BatchRead]


ListBatchExecutionsResponse: TypeAlias = list[Execution]


ListKeysResponse: TypeAlias = list[KeyRead]


ListAuditResponse: TypeAlias = list[AuditRead]


class ExecutionEvent(TypedDict):
    """
    The body of a webhook: the execution right after one change of its status.
    """

    id: str
    agent_id: str
    batch_id: str | None
    status: Status
    created_at: str
    updated_at: str
    scheduled_at: str | None
    rescheduled_at: str | None
    retry_config: RetryConfigEcho | None
    retry_count: int
    retry_history: list[RetryHistoryEntry] | None
    answered_by_voice_mail: bool | None
    conversation_duration: float
    """
    Seconds; 0 without a conversation.
    """
    error_message: str | None
    termination_reason: TerminationReason | None
    """
    Why the attempt in telephony_data ended; null while it is in progress.
    """
    ended_because: str | None
    """
    Why no further attempt follows; null until the execution is over.
    """
    outcome: CallOutcome | None
    """
    How the attempt in telephony_data ended, in more detail than its status.
    """
    initiated_at: str | None
    user_number: str
    agent_number: str | None
    provider: str
    telephony_data: TelephonyData
    context_details: ContextDetails
    batch_run_details: BatchRunDetails | None
    attempts: list[ExecutionAttempt]
    next_attempt: NextAttempt | None
    sequence: int
    """
    Number of the latest event; each event's webhook carries its own.
    """
    purpose: str | None
    """
    The requested purpose; null: its batch's or its agent's applies.
    """
    policy: str | None
    """
    A single call's policy, with its version. A contact has its batch's policy.
    """
    expires_at: str | None
    """
    No attempt starts at or after this time. For a contact, it is the batch's expiry.
    """
    transcript: str | None
    """
    Always null. Clients of the wire format expect the key.
    """
    summary: str | None
    """
    Always null. Clients of the wire format expect the key.
    """
    extracted_data: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    agent_extraction: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    total_cost: float | None
    """
    Always null. Clients of the wire format expect the key.
    """
    cost_breakdown: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    usage_breakdown: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    transfer_call_data: dict[str, Any] | None
    """
    Always null. Clients of the wire format expect the key.
    """
    type: Literal["execution.queued", "execution.scheduled", "execution.rescheduled", "execution.initiated", "execution.ringing", "execution.in-progress", "execution.call-disconnected", "execution.completed", "execution.no-answer", "execution.busy", "execution.failed", "execution.canceled", "execution.stopped", "execution.error", "execution.balance-low"]


class AgentConfig(TypedDict):
    """
    How calls are placed and answered. Unknown keys are stored and returned as sent. Null means not given.
    """

    agent_name: str
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: an https URL with a public address. Empty: nowhere.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; `default`: the account's.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts without their own. Not given: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids, used in turn. Empty: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    The https URL from which the carrier fetches the call instructions. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    The wss URL to which the carrier connects the call's audio. Give this or answer_url, not both.
    """
    max_concurrent_calls: NotRequired[int | None]
    ring_timeout_seconds: NotRequired[int | None]
    max_call_seconds: NotRequired[int | None]
    voicemail_detection: NotRequired[bool | None]
    """
    Whether the carrier detects answering machines.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events with these statuses are sent; the carrier is not asked for others. Not given: all.
    """
    purpose: NotRequired[str | None]
    """
    The default purpose of its calls and batches; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Whether to call only numbers with a consent (POST /consents): `true`, or a list of countries whose numbers need one.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Decides whether a number may be called, such as a do-not-call check. The verdict is kept until it expires. Calls wait while the endpoint does not respond.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Decides whether an attempt may be dialled now, later, or not at all. Calls wait while the endpoint does not respond.
    """
    policy: NotRequired[str | None]
    """
    The policy for new calls and batches that name none. Without a version, the latest is used and shown with its number. Not given: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    Minutes after which no attempt of a call starts; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls may ring one number; all calls of the account to the number count.
    """


class AgentConfig1(TypedDict):
    """
    Keys of the agent's configuration to replace. Null restores the default.
    """

    agent_name: NotRequired[str]
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: an https URL with a public address. Empty: nowhere.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; `default`: the account's. Default: "default".
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts without their own. Not given: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids, used in turn. Empty: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    The https URL from which the carrier fetches the call instructions. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    The wss URL to which the carrier connects the call's audio. Give this or answer_url, not both.
    """
    max_concurrent_calls: NotRequired[int | None]
    """
    Default: 10.
    """
    ring_timeout_seconds: NotRequired[int | None]
    """
    Default: 30.
    """
    max_call_seconds: NotRequired[int | None]
    """
    Default: 3600.
    """
    voicemail_detection: NotRequired[bool | None]
    """
    Whether the carrier detects answering machines. Default: false.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events with these statuses are sent; the carrier is not asked for others. Not given: all.
    """
    purpose: NotRequired[str | None]
    """
    The default purpose of its calls and batches; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Whether to call only numbers with a consent (POST /consents): `true`, or a list of countries whose numbers need one. Default: false.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Decides whether a number may be called, such as a do-not-call check. The verdict is kept until it expires. Calls wait while the endpoint does not respond.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Decides whether an attempt may be dialled now, later, or not at all. Calls wait while the endpoint does not respond.
    """
    policy: NotRequired[str | None]
    """
    The policy for new calls and batches that name none. Without a version, the latest is used and shown with its number. Not given: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    Minutes after which no attempt of a call starts; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls may ring one number; all calls of the account to the number count.
    """


class AgentPatch(TypedDict):
    """
    Keys to change, at the top level and in `agent_config`. Other keys are kept.
    """

    agent_config: NotRequired[AgentConfig1]
    """
    Keys of the agent's configuration to replace. Null restores the default.
    """


class AgentRead(TypedDict):
    """
    An agent. `tasks` and every other top-level key that was sent are included.
    """

    id: str
    agent_id: str
    agent_name: str
    agent_type: str
    agent_welcome_message: NotRequired[Any]
    agent_status: Literal["processed"]
    created_at: str
    updated_at: str
    agent_config: AgentConfig
    """
    As sent, with the defaults filled in.
    """


class AgentConfig2(TypedDict):
    """
    How calls are placed and answered. Unknown keys are stored and returned as sent. Null means not given.
    """

    agent_name: str
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: an https URL with a public address. Empty: nowhere.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; `default`: the account's. Default: "default".
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts without their own. Not given: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids, used in turn. Empty: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    The https URL from which the carrier fetches the call instructions. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    The wss URL to which the carrier connects the call's audio. Give this or answer_url, not both.
    """
    max_concurrent_calls: NotRequired[int | None]
    """
    Default: 10.
    """
    ring_timeout_seconds: NotRequired[int | None]
    """
    Default: 30.
    """
    max_call_seconds: NotRequired[int | None]
    """
    Default: 3600.
    """
    voicemail_detection: NotRequired[bool | None]
    """
    Whether the carrier detects answering machines. Default: false.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events with these statuses are sent; the carrier is not asked for others. Not given: all.
    """
    purpose: NotRequired[str | None]
    """
    The default purpose of its calls and batches; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Whether to call only numbers with a consent (POST /consents): `true`, or a list of countries whose numbers need one. Default: false.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Decides whether a number may be called, such as a do-not-call check. The verdict is kept until it expires. Calls wait while the endpoint does not respond.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Decides whether an attempt may be dialled now, later, or not at all. Calls wait while the endpoint does not respond.
    """
    policy: NotRequired[str | None]
    """
    The policy for new calls and batches that name none. Without a version, the latest is used and shown with its number. Not given: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    Minutes after which no attempt of a call starts; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls may ring one number; all calls of the account to the number count.
    """


class AgentRequest(TypedDict):
    """
    An agent. Other top-level keys (`agent_prompts`, …) are stored and returned as sent.
    """

    agent_config: AgentConfig2
    """
    How calls are placed and answered. Unknown keys are stored and returned as sent. Null means not given.
    """


class CallRequest(TypedDict):
    """
    A contact to call. Unknown fields are ignored.
    """

    agent_id: str
    recipient_phone_number: str
    """
    E.164; other formats are normalized.
    """
    from_phone_number: NotRequired[str | None]
    """
    The caller id. Default: the agent's.
    """
    scheduled_at: NotRequired[str | None]
    """
    When to call first, 2 minutes to 365 days ahead. Default: now.
    """
    user_data: NotRequired[dict[str, Any] | None]
    """
    Any data about the contact, at most 65536 bytes; sent with every event.
    """
    retry_config: NotRequired[RetryConfig | None]
    bypass_call_guardrails: NotRequired[bool]
    """
    Also call outside calling hours. Default: false.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    """
    Replaces the agent's. At most 150 bytes in its stored form.
    """
    purpose: NotRequired[str | None]
    """
    What the call is for; suppressions and consents may name it. Default: the agent's.
    """
    time_zone: NotRequired[str | None]
    """
    The contact's IANA time zone. Default: the agent's, else every zone that the number may be in.
    """
    policy: NotRequired[str | None]
    """
    A policy; the latest version if none is named. Default: the agent's, else the account's.
    """
    expires_at: NotRequired[str | None]
    """
    No attempt starts at or after this time; the call is `canceled`.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    Like expires_at, in minutes after scheduled_at, or else after now. Give only one of the two.
    """


class CalledNow(TypedDict):
    """
    Whether an attempt would be dialled now. `gates`: in order, up to the first that does not allow the attempt.
    `earliest_at`: when a call of the agent would be dialled; null: never, or no agent is given.
    """

    is_dialled: bool
    gates: list[GateRead]
    earliest_at: str | None
    warnings: list[str]


class Decided(TypedDict):
    """
    The gates that were asked at one time, and the result as in the log: `claimed` (the call was handed to the
    carrier), `rescheduled`, `queued`, `deferred`, or how the call ended.
    """

    at: str
    type: str
    gates: list[GateRead]


class ExplainedAttempt(TypedDict):
    """
    An attempt and the gates' decisions about it, oldest first.
    """

    attempt: int
    status: Status
    decided: list[Decided]


class Explanation(TypedDict):
    """
    Why a call was dialled, waits, or is over. `now`: what the gates would decide now; `plan`: what happens if every
    further attempt fails. `now`, `plan` and `waits_for` are null if the call does not wait.
    """

    execution_id: str
    status: Status
    summary: str
    waits_for: WaitsFor | None
    attempts: list[ExplainedAttempt]
    now: list[GateRead] | None
    plan: Plan | None


class NumberRead(TypedDict):
    """
    What the account knows about a number.
    """

    phone_number: str
    countries: list[str]
    """
    Countries that it may be in: ISO 3166 codes.
    """
    time_zones: list[str]
    """
    Time zones that it may be in: the agent's, or derived from the number.
    """
    suppressions: list[SuppressionRead]
    consents: list[ConsentRead]
    limits: list[LimitUse]
    """
    Caps of the account, and of the agent or its policy.
    """
    last_attempt_at: str | None
    last_conversation_at: str | None
    """
    When the last conversation within 31 days ended.
    """
    live_execution_id: str | None
    """
    The execution whose call to the number is being placed or is live.
    """
    now: CalledNow


ListAgentsResponse: TypeAlias = list[AgentRead]
