"""Shapes of requests and answers. Written by generate.py from the OpenAPI document: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

AccountEventKind: TypeAlias = Literal["attention.opened", "attention.resolved"]
"""
What happened. The values are the `type` of the webhooks.
"""


AttentionState: TypeAlias = Literal["open", "noticed", "resuming", "resolved"]
"""
`open`: the calls that it affects wait. `noticed`: the carrier refused calls, which wait; the others are still
placed, since the fault may concern these numbers alone. `resuming`: calls are placed again, more each minute.
`resolved`: nothing is held.
"""


class BatchRunDetails(TypedDict):
    """
    The contact's place in its batch.
    """

    status: str
    created_at: str
    updated_at: str
    retried: int


BatchStatus: TypeAlias = Literal["created", "processed", "scheduled", "queued", "running", "completed", "stopped", "failed"]


CallOutcome: TypeAlias = Literal["answered", "voicemail", "no-answer", "busy", "declined", "blocked", "failed", "error", "canceled"]
"""
How an attempt ended, finer than its status.
"""


class ContextDetails(TypedDict):
    """
    What was known of the contact.
    """

    recipient_data: dict[str, Any]
    recipient_phone_number: str


HangupBy: TypeAlias = Literal["Callee", "Caller", "Carrier", "API Request", "Error", "Unknown"]
"""
Who ended a call.
"""


class NextAttempt(TypedDict):
    """
    The attempt that is waiting for its time.
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
    The latest attempt whose call was placed, or that ended without one: a retry from `initiated` on, and until then
    the attempt before it.
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
    Seconds from ringing to the answer, or to the end of a call that was not answered.
    """
    call_type: Literal["outbound"]
    hangup_by: HangupBy | None
    hangup_reason: str | None
    hangup_provider_code: int | None
    """
    `hangup_code`, where it is an integer.
    """
    hangup_code: str | None
    """
    The SIP code of the call's end or, where there is none, the carrier's own code, as text.
    """
    recording_url: str | None


TerminationReason: TypeAlias = Literal["user_hung_up", "agent_ended_call", "no_answer", "busy", "voicemail_reached", "invalid_number", "insufficient_balance", "provider_error", "platform_error"]
"""
What became of an attempt.
"""


class WebhookTestEvent(TypedDict):
    """
    An event that says nothing but that it arrived: answer it with 2xx. `agent_id`: whose webhook is tested; null: a
    URL by itself.
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
    The agent was deleted and its waiting calls are stopped.
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
    The agent's calls that were not answered and are stopped now.
    """

    stopped_executions: list[str]
    stopped_batches: list[str]
    """
    Batches of the agent; their contacts are stopped with them.
    """


class AskedEndpoint(TypedDict):
    """
    An endpoint of yours that is asked before each attempt, with a signed POST.
    """

    url: str
    timeout_seconds: NotRequired[int]
    """
    How long it may take to answer. Default: 3.
    """


class Assumed(TypedDict):
    """
    What the plan takes for granted: how every call ends, and after how many seconds.
    """

    status: Status
    voicemail: bool
    call_seconds: float
    text: str


AtCap: TypeAlias = Literal["defer", "end"]
"""
What becomes of an attempt that a limit does not allow: `DEFER`: it waits until the limit allows it; `END`: the
call ends as `canceled`.
"""


class AttentionItem(TypedDict):
    """
    A fault that holds calls. `scope`, `value`: of which calls: all of the carrier account (null), those from a
    caller id, those to a country (ISO 3166, or a calling code such as `+800`), or those of an agent (its id). Of an
    agent, `provider` says which of its endpoints does not answer: `scrub` or `hook`. `code`: the carrier's error code;
    null: an outage, or the carrier names none. `next_try_at`: when a waiting call may try again.
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
    What holds calls now. Empty: nothing does.
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
    The same of a batch's own events.
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
    A part of some days in which calls may start. End before start: over midnight, on the next day; the same time:
    24 hours.
    """

    days: NotRequired[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None]
    """
    The days on which it begins. None: every day.
    """
    start: str
    end: str
    """
    The first minute after it.
    """


class CarrierCost(TypedDict):
    """
    What the carrier charges, in one currency. `attempts`: those whose price it told by their end. `per_answer`: null
    without an answer, and unless the price of every attempt is known in this currency.
    """

    currency: str
    amount: float
    attempts: int
    per_answer: float | None


class CarrierNow(TypedDict):
    """
    A carrier that the agents use. `paused`: its calls fail, and wait, since `since` for `reason`; `resuming`: more
    are placed each minute. `account`: yours; each account has its own state.
    """

    name: str
    account: str
    state: Literal["ok", "paused", "resuming"]
    since: str | None
    reason: str | None


class ChangeRead(TypedDict):
    """
    A setting that was changed. URLs are cut to their host, numbers are masked, other content is a hash.
    """

    field: str
    before: Any
    after: Any


CheckName: TypeAlias = Literal["carrier", "caller_ids", "countries", "agents", "callback_url", "attention", "webhooks", "clock"]
"""
What is checked. `carrier`: its secret can be read, and it takes requests. `caller_ids`: the carrier account may
call from the agents' numbers. `countries`: it may call those that were called lately. `agents`: each has a caller
id and an answer. `callback_url`: carriers can reach the stack. `attention`: nothing holds calls.
"""


CheckStatus: TypeAlias = Literal["ok", "warning", "failed", "skipped"]
"""
`warning`: calls are placed, but not as expected, or not all. `skipped`: it could not be found out.
"""


CircuitState: TypeAlias = Literal["closed", "open", "resuming"]
"""
State of a circuit. `resuming` admits a growing number of calls after a successful probe.
"""


class ConcurrencyRead(TypedDict):
    """
    Live calls of all the account's agents: the limit, and the present number.
    """

    max: int
    current: int


class ConsentRead(TypedDict):
    """
    A consent.
    """

    id: str
    """
    A keyed hash of the number, and what the rule covers.
    """
    last_four: str | None
    """
    Of the number; null once the person was erased.
    """
    purpose: str | None
    source: str | None
    created_at: str
    expires_at: str | None
    given_at: str
    proof: str | None


class ConsentsAdded(TypedDict):
    """
    The consents as they are now.
    """

    message: Literal["success"]
    consents: list[ConsentRead]


class ContactCap(TypedDict):
    """
    At most so many attempts to one number in any period of so many hours.
    """

    attempts: int
    """
    Every dial counts, whatever came of it.
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
    How often one number is called, over all calls of the account to it, retries included. Null: not given.
    """

    caps: NotRequired[list[ContactCap] | None]
    """
    Each is kept.
    """
    pause_after_conversation_hours: NotRequired[int | None]
    """
    How long no attempt follows the end of an answered call.
    """
    at_cap: NotRequired[AtCap | None]
    """
    What becomes of an attempt that is not allowed. defer: it waits until it is; end: the call is `canceled`. Default: "defer".
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
    Contacts of a country (ISO 3166, or a calling code such as `+800`).
    """

    country: str
    contacts: int


class DefaultsRead(TypedDict):
    """
    What the account's agents use that leave it out.
    """

    telephony_provider: str | None
    from_phone_numbers: list[str]
    answer_url: str | None
    stream_url: str | None
    policy: str | None


class DueNow(TypedDict):
    """
    Calls that wait for a time: retries, scheduled calls, calls outside of calling hours. Not those that wait for a
    line, nor contacts that their batch has not started.
    """

    minutes: int
    step_minutes: int
    calls: list[int]
    """
    How many become due in each step from now.
    """
    complete: bool
    """
    False: there may be more. At most 512 calls of the stack, 512 delayed contacts of each of 20 batches, and 100 agents are read.
    """


class Erased(TypedDict):
    """
    What was erased.
    """

    executions: int
    """
    Calls, contacts of batches included.
    """
    files: int
    """
    Batches in whose files the person's rows are erased, within minutes.
    """
    consents: int


class ExecutionErased(TypedDict):
    """
    The call is unknown from now on.
    """

    message: Literal["success"]
    state: Literal["deleted"]


class FieldErrorBody(TypedDict):
    """
    One thing wrong with one field.
    """

    field: str
    message: str


class FinishRead(TypedDict):
    """
    When the batch will be finished, if it starts at `starts_at`. Null: not within the time that is looked at, or
    there is nothing to call.
    """

    starts_at: str
    earliest: str | None
    latest: str | None
    assumptions: list[str]


class GapJson(TypedDict):
    """
    Attempts so long after the end of the attempt before; null: no bound.
    """

    attempts: int
    answers: int
    rate: float | None
    """
    Answered by a person, from 0 to 1; null without attempts.
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
    What API Gateway answers by itself, with a message only; or, where the quota of the API key is used up, all that
    an error has.
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
    Where the documentation is.
    """

    name: Literal["Redial"]
    version: str
    documentation: Literal["/docs"]
    openapi: Literal["/openapi.json"]


class Kept(TypedDict):
    """
    What stays, so that it still holds.
    """

    suppressions: int
    """
    As keyed hashes, without reason and digits of the number.
    """
    attempts: int
    """
    When the number was dialled in the last 31 days, under a keyed hash, for contact limits.
    """


class KeyRevoked(TypedDict):
    """
    The key opens nothing any more.
    """

    message: Literal["success"]
    state: Literal["revoked"]


KeyScope: TypeAlias = Literal["read", "call", "operate", "admin"]
"""
What an API key may do: look (`READ`); make calls and batches (`CALL`); stop, pause, replay, suppress
(`OPERATE`); change agents, rules, keys and the account, and erase (`ADMIN`). None includes another.
"""


class LimitUse(TypedDict):
    """
    A cap that applies. `owner`: the account, the policy or the agent; `attempts`: how many of the `allowed` are
    used, over all calls of the account to the number; `opens_at`: when the next is allowed, if none is now.
    """

    owner: str
    limit: str
    attempts: int
    allowed: int
    opens_at: str | None


class LinesNeeded(TypedDict):
    """
    Lines and rate. `calls_per_second`: the lower of the batch's and the carrier account's; null: none. `needed`: the
    lines with which that rate is reached, if every call rings to its end and is answered then.
    """

    available: int
    needed: int | None
    calls_per_second: float | None


class LinesNow(TypedDict):
    """
    Live calls: the limit, and the present number, of the account and of each agent. `complete`: no agent is left
    out.
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
    One thing that happened to an execution.
    """

    created_at: str
    type: str
    component: str
    provider: str | None
    data: Any


class MovedBy(TypedDict):
    """
    A gate that lets the attempt wait. `rule`: which rule it applied, if it has one; `until`: when it asks again.
    """

    gate: str
    rule: str | None
    until: str | None
    text: str


class NowRead(TypedDict):
    """
    The account at this moment. `at`: the server's time. `attention`: items of `GET /attention`. `undelivered`: calls
    and batches with undelivered events.
    """

    version: str
    at: str
    lines: LinesNow
    due: DueNow
    carriers: list[CarrierNow]
    attention: int
    undelivered: int
    """
    1000: that many or more.
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
Where in its windows an attempt is placed that came while they were closed.

`SPREAD`: within the first minutes of the opening, each call at its own second. `ROTATE`: not within an hour of the
day in which an earlier attempt failed, also while the window is open.
"""


class PlannedAttempt(TypedDict):
    """
    An attempt. `latest_at` differs where calls are spread over the first minutes of an opening, since each call's
    own second is known only when it is made; null: the attempt may also not be dialled at all.
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
    What a preflight assumes. Fields that are not listed are ignored.
    """

    scheduled_at: NotRequired[str | None]
    """
    When the batch would start. Else when it is scheduled to, or now.
    """
    bypass_call_guardrails: NotRequired[bool | None]
    """
    Call outside the calling hours too.
    """
    call_seconds: NotRequired[int]
    """
    How long an answered call takes on average, for the latest end. Default: 120.
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
    When the rules were compared with the source.
    """
    review_by: str | None
    """
    By when they are compared again.
    """
    not_covered: str | None
    rules: dict[str, Any]
    """
    As PUT /policies/{name} takes them.
    """


class Quotas(TypedDict):
    """
    The most that a key may do. Null, or left out: no limit.
    """

    calls_a_day: NotRequired[int | None]
    """
    Calls, and contacts of scheduled batches, in a day (UTC).
    """
    lines: NotRequired[int | None]
    """
    Calls up at once, of those that the key makes and of the batches that it schedules. Others wait.
    """


class QuotasRead(TypedDict):
    """
    The most that a key may do; null: no limit.
    """

    calls_a_day: int | None
    lines: int | None


class ReachJson(TypedDict):
    """
    Contacts that a person had answered for by this attempt.
    """

    attempt: int
    contacts: int
    reached: int
    rate: float | None
    """
    Answered by a person, from 0 to 1; null without attempts.
    """
    interval: list[float] | None
    """
    95 % interval of the rate (Wilson's score).
    """


class RedialCost(TypedDict):
    """
    What AWS charges for Redial's part, estimated: `attempts` times the list price of an unanswered attempt.
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
    Rows that are no contacts.
    """

    duplicates: int
    """
    Of an earlier row of the file.
    """
    never_placeable: int
    """
    Their calling hours never open.
    """
    others: int


class ReplayStarted(TypedDict):
    """
    Events that are sent now, oldest first: those that were given up, and those that waited.
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
    Whether and when a call that failed is made again. While it is off, an invalid field counts as left out.
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
    How an attempt must have ended to be followed by another. Default: ["no-answer", "busy", "failed"].
    """
    retry_on_voicemail: NotRequired[bool]
    """
    Also try again after a machine has answered. Default: false.
    """
    retry_intervals_minutes: NotRequired[list[RetryIntervalsMinute]]
    """
    Minutes from the end of a failed attempt to the next. Fewer than the retries: the last repeats. Default: [30, 60, 120].
    """


class RuleRemoved(TypedDict):
    """
    What was removed: one, or none.
    """

    message: Literal["success"]
    state: Literal["deleted"]
    deleted: int
    canceled_executions: list[str]
    """
    Calls that ended for want of the consent.
    """


class SharedContacts(TypedDict):
    """
    How many contacts another batch has too.
    """

    batch_id: str
    contacts: int


class SuppressionRead(TypedDict):
    """
    A suppression.
    """

    id: str
    """
    A keyed hash of the number, and what the rule covers.
    """
    last_four: str | None
    """
    Of the number; null once the person was erased.
    """
    purpose: str | None
    source: str | None
    created_at: str
    expires_at: str | None
    agent_id: str | None
    reason: str | None


class SuppressionsAdded(TypedDict):
    """
    The suppressions as they are now, and the calls that they ended.
    """

    message: Literal["success"]
    suppressions: list[SuppressionRead]
    canceled_executions: list[str]
    """
    Waiting and ringing calls that ended at once.
    """
    complete: bool
    """
    `false`: there was no time to look for all of them. None of the rest is dialled; they end at their time. Repeat the request to end them now.
    """


class UndeliveredEvent(TypedDict):
    """
    An undelivered event. Details of its last try are null once the log has dropped them. `next_try_at`: when it is
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
    An execution or a batch with its undelivered events, oldest first: those given up, and the first pending one
    where it waits for its next try. One of the two ids is null.
    """

    execution_id: str | None
    batch_id: str | None
    agent_id: str
    events: list[UndeliveredEvent]


class UploadCreated(TypedDict):
    """
    Where to put a file, with one PUT, until `expires_at`.
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
    The file's size in bytes; the URL takes exactly so many.
    """
    file_name: NotRequired[str | None]


class ValueJson(TypedDict):
    """
    The attempts with one value, such as those of one caller id. `outcomes`: how they ended.
    """

    attempts: int
    answers: int
    rate: float | None
    """
    Answered by a person, from 0 to 1; null without attempts.
    """
    interval: list[float] | None
    """
    95 % interval of the rate (Wilson's score).
    """
    value: str
    outcomes: dict[str, int]


Verdict: TypeAlias = Literal["allow", "defer", "end"]
"""
`ALLOW`: the next gate is asked. `DEFER`: the attempt waits. `END`: the execution is over.
"""


class WaitsFor(TypedDict):
    """
    What the call waits for. `gate`: the one that lets it wait, if one does; `until` null: until it is woken;
    `to_change`: what would let it go on.
    """

    gate: str | None
    until: str | None
    text: str
    to_change: str


class WebhookTest(TypedDict):
    """
    Where a test event goes: give one of the two.
    """

    agent_id: NotRequired[str | None]
    """
    To the `webhook_url` of this agent.
    """
    url: NotRequired[str | None]
    """
    To this URL, which must be one that can be saved.
    """


class WebhookTestResult(TypedDict):
    """
    What came of a test event. `accepted`: it was answered with 2xx within 10 seconds. `status_code`: null where no
    answer came; `error` says why, or why the answer does not count.
    """

    webhook_id: str
    url: str
    accepted: bool
    status_code: int | None
    error: str | None
    milliseconds: int


class ZoneCount(TypedDict):
    """
    Contacts with the same time zones: more than one, where the number does not tell.
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
    For a call of this agent, by its rules.
    """


class ListSuppressionsParametersQuery(TypedDict):
    phone_number: NotRequired[str]
    """
    Of this number. This is exact at once.
    """
    agent_id: NotRequired[str]
    """
    Those that name this agent.
    """
    purpose: NotRequired[str]
    """
    Those that name this purpose.
    """
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
    """


ListSuppressionsResponse: TypeAlias = list[SuppressionRead]


class AddSuppressionsRequest(TypedDict):
    phone_number: str
    """
    E.164; other spellings of it are normalized.
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
    Until when it holds; null or an empty text: for ever.
    """
    agent_id: NotRequired[str | None]
    """
    Only calls of this agent. Without it and purpose: all calls of the account.
    """
    reason: NotRequired[str | None]
    """
    Why; shown with the calls that it ends.
    """


class DeleteSuppressionParametersQuery(TypedDict):
    phone_number: str
    agent_id: NotRequired[str]
    """
    Those that name this agent.
    """
    purpose: NotRequired[str]
    """
    Those that name this purpose.
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
    Until when it holds; null or an empty text: for ever.
    """
    agent_id: NotRequired[str | None]
    """
    Only calls of this agent. Without it and purpose: all calls of the account.
    """
    reason: NotRequired[str | None]
    """
    Why; shown with the calls that it ends.
    """


class ListConsentsParametersQuery(TypedDict):
    phone_number: NotRequired[str]
    """
    Of this number. This is exact at once.
    """
    purpose: NotRequired[str]
    """
    Those that name this purpose.
    """
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
    """


ListConsentsResponse: TypeAlias = list[ConsentRead]


class AddConsentsRequest(TypedDict):
    phone_number: str
    """
    E.164; other spellings of it are normalized.
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
    Until when it holds; null or an empty text: for ever.
    """
    given_at: str
    """
    When it was given; it holds from then on.
    """
    proof: NotRequired[str | None]
    """
    Where the consent can be found.
    """


class DeleteConsentParametersQuery(TypedDict):
    phone_number: str
    purpose: NotRequired[str]
    """
    Those that name this purpose.
    """


class GetPolicyParametersQuery(TypedDict):
    version: NotRequired[int]
    """
    Without it: the latest.
    """


ListPresetsResponse: TypeAlias = list[PresetRead]


class ListAgentsParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
    """


class CreateBatchRequest(TypedDict):
    file: bytes
    """
    CSV with a column contact_number.
    """
    agent_id: str
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids in turn; repeated, or one JSON list. Else the agent's.
    """
    retry_config: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go; its contacts' go to the agent's. Empty: none.
    """
    calls_per_second: NotRequired[float]
    """
    Most calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Call outside the calling hours too. Default: false.
    """
    calling_guardrails: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    purpose: NotRequired[str]
    """
    What its calls are for, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts from then on; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    The same, so long after the batch's start. Not together with expires_at.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: it starts as soon as its file has been read.
    """


class CreateBatchRequest1(TypedDict):
    agent_id: str
    upload_id: str
    """
    In place of `file`: what POST /batches/uploads gave.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids in turn; repeated, or one JSON list. Else the agent's.
    """
    retry_config: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go; its contacts' go to the agent's. Empty: none.
    """
    calls_per_second: NotRequired[float]
    """
    Most calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Call outside the calling hours too. Default: false.
    """
    calling_guardrails: NotRequired[str]
    """
    As in POST /call, as JSON text.
    """
    purpose: NotRequired[str]
    """
    What its calls are for, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts from then on; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    The same, so long after the batch's start. Not together with expires_at.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: it starts as soon as its file has been read.
    """


class ListBatchesParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
    """


class ListBatchExecutionsParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
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
    What is to change: defaults, contact limits, webhook. What is left out stays, and null removes it.
    """

    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; null or default: the stack's.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    answer_url: NotRequired[str | None]
    """
    {agent_id} and {execution_id} are filled in.
    """
    stream_url: NotRequired[str | None]
    """
    In place of answer_url.
    """
    policy: NotRequired[str | None]
    """
    Of calls and batches that are made from then on, if neither they nor their agent name one.
    """
    webhook_url: NotRequired[str | None]
    """
    Where the account's own events go: `attention.opened`, `attention.resolved`.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    They hold for every call of the account, in addition to its agent's.
    """


class ListPhoneNumbersParametersQuery(TypedDict):
    page_number: NotRequired[int]
    """
    All of them if page_number and page_size are left out.
    """
    page_size: NotRequired[int]
    cursor: NotRequired[str]
    """
    From the `Link` of an answer: where the next part begins.
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
    The attention item as it was `at` that time: it opened, or its calls are let go.
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
    Why it stopped or failed.
    """
    scheduled_at: str | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: int
    """
    Rows accepted; rises while the file is being read.
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
    Its own, or its agent's, with its version.
    """
    expires_at: str | None
    """
    No attempt starts from then on; null also before a batch that expires has a start.
    """
    type: Literal["batch.created", "batch.processed", "batch.scheduled", "batch.queued", "batch.running", "batch.completed", "batch.stopped", "batch.failed"]


class ExecutionAttempt(TypedDict):
    """
    One attempt; times are null until they have come.
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
    `hangup_code`, where it is an integer.
    """
    hangup_code: str | None
    """
    The SIP code of the call's end or, where there is none, the carrier's own code, as text.
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
    A change that was made. `by`: the name of the API key, or `operator`, or `webhook signature`; `operation`: the
    `operationId` of the route, or what the operator's command did.
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
    A batch. Counts follow its contacts within a second or two, and are exact.
    """

    batch_id: str
    agent_id: str
    humanized_created_at: str
    created_at: str
    updated_at: str
    status: BatchStatus
    reason: str | None
    """
    Why it stopped or failed.
    """
    scheduled_at: str | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: int
    """
    Rows accepted; rises while the file is being read.
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
    Its own, or its agent's, with its version.
    """
    expires_at: str | None
    """
    No attempt starts from then on; null also before a batch that expires has a start.
    """
    shared_contacts: list[SharedContacts]
    """
    Other batches that have contacts of this one and ran at the same time.
    """


class CallingGuardrails(TypedDict):
    """
    When calls may start, by the called person's wall clock: whole hours (start after end: over midnight), or
    windows. Null: not given.
    """

    call_start_hour: NotRequired[int | None]
    call_end_hour: NotRequired[int | None]
    windows: NotRequired[list[CallingWindow] | None]
    """
    In place of the hours.
    """
    excluded_dates: NotRequired[list[str] | None]
    """
    Dates on which no call starts, and no window over midnight begins.
    """
    holidays: NotRequired[list[Holiday] | None]
    """
    Countries, or parts of them, whose public holidays of this year and the next are excluded dates. They are looked up when the rule is saved: save it again every year.
    """
    placement: NotRequired[Placement | None]
    """
    Where a call is placed that came while the windows were closed. start: as they open; spread: within the first spread_minutes, each call at its own second; rotate: as they open, and a retry in another hour of the day than the attempts before it. Default: "start".
    """
    spread_minutes: NotRequired[int | None]
    """
    Of the placement spread. Default: 15.
    """
    attempts_per_window: NotRequired[int | None]
    """
    Most attempts of one call in one window of one day; the next one waits for the next window. None: any number.
    """


class CarrierRead(TypedDict):
    """
    The circuit of a carrier that the account's agents use: `open` while all calls fail there, and wait; `resuming`
    for some minutes after the carrier recovers.
    """

    provider: str
    circuit: CircuitState
    since: str | None
    next_try_at: str | None
    reason: str | None


class CheckRead(TypedDict):
    """
    What one check found, and what to do (null: nothing). `agent_id`: which agent it is about; null: all of them, or
    the account.
    """

    check: CheckName
    status: CheckStatus
    message: str
    advice: str | None
    agent_id: str | None


class ContactErased(TypedDict):
    """
    The receipt. `state` is `erasing` if there were too many calls for one request: ask again for the rest.
    """

    message: Literal["success"]
    state: Literal["deleted", "erasing"]
    erased: Erased
    kept: Kept
    erased_at: str


class CostJson(TypedDict):
    """
    Costs of the attempts. `carrier`: by currency; empty where the carrier told no price by the end of any call, for
    example because it tells it minutes later.
    """

    carrier: list[CarrierCost]
    redial: RedialCost


class ErrorBody(TypedDict):
    """
    Every answer that is not a success.
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
    The same text.
    """
    errors: NotRequired[list[FieldErrorBody] | None]
    """
    Invalid input only: each field at fault.
    """
    request_id: NotRequired[str | None]
    """
    500 only: quote it when you report the error.
    """


class Examination(TypedDict):
    """
    Every check. Those of agents are shown for each agent only where they fail.
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
    Seconds; 0 until there was a conversation.
    """
    error_message: str | None
    termination_reason: TerminationReason | None
    """
    What became of the attempt that telephony_data shows; null while it is in progress.
    """
    ended_because: str | None
    """
    Why no further attempt follows; null until the execution is over.
    """
    outcome: CallOutcome | None
    """
    How the attempt that telephony_data shows ended, finer than its status.
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
    What the call is for, as asked for; null: its batch's or its agent's.
    """
    policy: str | None
    """
    The policy of a single call, with its version; a contact's is its batch's.
    """
    expires_at: str | None
    """
    No attempt starts from then on. Of a contact: from its first dial on.
    """
    transcript: str | None
    """
    Always null: clients of the wire format expect the key.
    """
    summary: str | None
    """
    Always null: clients of the wire format expect the key.
    """
    extracted_data: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    agent_extraction: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    total_cost: float | None
    """
    Always null: clients of the wire format expect the key.
    """
    cost_breakdown: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    usage_breakdown: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    transfer_call_data: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """


class ExecutionLog(TypedDict):
    """
    What happened, oldest first, webhook deliveries included.
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
    What one gate decided. `rule`: which rule it applied, if it has one.
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
    A key to make. What is left out or null is as the key has it that makes it. Other fields are ignored.
    """

    name: str
    scopes: NotRequired[list[KeyScope] | None]
    agents: NotRequired[list[str] | None]
    """
    The only agents that the key sees and changes.
    """
    numbers: NotRequired[NumbersShown | None]
    """
    `masked`: phone numbers are masked in every answer.
    """
    quotas: NotRequired[Quotas | None]


class OwnKeyRead(TypedDict):
    """
    A key and its rights. `agents`: null for all of the account. `last_used_at`: the hour of its last request.
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
    The most calls that it can come to.
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
    How calls, batches and agents name it.
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
    As sent; false where it was left out.
    """
    purpose: str | None
    retry_config: RetryConfigEcho | None
    preset: str | None
    """
    The preset from which rules were copied.
    """
    preset_as_of: str | None
    """
    As the preset was then.
    """
    holidays: list[Holiday1]
    """
    The holidays on which no call starts.
    """
    holidays_until: str | None
    """
    Holidays after this date are not known: save the rules again before.
    """


class PolicyRequest(TypedDict):
    """
    The rules of a policy's next version. Null: left out, so the agent's rule applies. Fields that are not listed are
    ignored.
    """

    preset: NotRequired[str | None]
    """
    Rules to start from: those of the preset that the request does not give.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    contact_limits: NotRequired[ContactLimits | None]
    expires_after_minutes: NotRequired[int | None]
    """
    No attempt of a call starts so long after its scheduled_at, or its creation.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    As in an agent's configuration. false: as good as null.
    """
    purpose: NotRequired[str | None]
    """
    What the calls are for.
    """
    retry_config: NotRequired[RetryConfig | None]


class PreflightRead(TypedDict):
    """
    What starting the batch would mean. Each contact is counted in one of `suppressed`, `without_consent`,
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
    Contacts that running batches have too.
    """
    attempts_per_contact: int
    worst_case_calls: int
    lines: LinesNeeded
    finish: FinishRead
    warnings: list[str]


class RetryStatistics(TypedDict):
    """
    How the contacts first dialled in the period were reached. Days are UTC. `by_local_hour`: by the called number's
    clock, as `mon 09`; attempts to numbers that may be in several zones of other hours are left out there.
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
    Executions and batches with undelivered events; `has_more`: others are listed once these are replayed.
    """

    data: list[UndeliveredSubject]
    has_more: bool


class UserRead(TypedDict):
    """
    The account of the API key, and the key. If the key is restricted to agents, `concurrency` and `carriers` are
    those of these agents.
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
    In place of `file`: what POST /batches/uploads gave.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber]]
    """
    Caller ids in turn; repeated, or one JSON list. Else the agent's.
    """
    retry_config: NotRequired[RetryConfig]
    webhook_url: NotRequired[str]
    """
    Where the batch's own events go; its contacts' go to the agent's. Empty: none.
    """
    calls_per_second: NotRequired[float]
    """
    Most calls started per second.
    """
    retries_first: NotRequired[bool]
    """
    Due retries go before first dials; `false`: after them. Default: true.
    """
    bypass_call_guardrails: NotRequired[bool]
    """
    Call outside the calling hours too. Default: false.
    """
    calling_guardrails: NotRequired[CallingGuardrails]
    purpose: NotRequired[str]
    """
    What its calls are for, as in POST /call.
    """
    policy: NotRequired[str]
    """
    As in POST /call.
    """
    expires_at: NotRequired[str]
    """
    No attempt starts from then on; contacts are `canceled`.
    """
    expires_after_minutes: NotRequired[int]
    """
    The same, so long after the batch's start. Not together with expires_at.
    """
    start: NotRequired[Literal["now"]]
    """
    `now`: it starts as soon as its file has been read.
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
    Seconds; 0 until there was a conversation.
    """
    error_message: str | None
    termination_reason: TerminationReason | None
    """
    What became of the attempt that telephony_data shows; null while it is in progress.
    """
    ended_because: str | None
    """
    Why no further attempt follows; null until the execution is over.
    """
    outcome: CallOutcome | None
    """
    How the attempt that telephony_data shows ended, finer than its status.
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
    What the call is for, as asked for; null: its batch's or its agent's.
    """
    policy: str | None
    """
    The policy of a single call, with its version; a contact's is its batch's.
    """
    expires_at: str | None
    """
    No attempt starts from then on. Of a contact: from its first dial on.
    """
    transcript: str | None
    """
    Always null: clients of the wire format expect the key.
    """
    summary: str | None
    """
    Always null: clients of the wire format expect the key.
    """
    extracted_data: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    agent_extraction: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    total_cost: float | None
    """
    Always null: clients of the wire format expect the key.
    """
    cost_breakdown: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    usage_breakdown: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    transfer_call_data: dict[str, Any] | None
    """
    Always null: clients of the wire format expect the key.
    """
    type: Literal["execution.queued", "execution.scheduled", "execution.rescheduled", "execution.initiated", "execution.ringing", "execution.in-progress", "execution.call-disconnected", "execution.completed", "execution.no-answer", "execution.busy", "execution.failed", "execution.canceled", "execution.stopped", "execution.error", "execution.balance-low"]


class AgentConfig(TypedDict):
    """
    How calls are placed and answered. Keys that are not listed are kept and returned as sent; null: not given.
    """

    agent_name: str
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: https, a public address. Empty: none.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; default: the account's.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts that name none. None: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids in turn. None: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    https: the carrier fetches its call instructions here. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    wss: the carrier connects the call's audio to this. Not together with answer_url.
    """
    max_concurrent_calls: NotRequired[int | None]
    ring_timeout_seconds: NotRequired[int | None]
    max_call_seconds: NotRequired[int | None]
    voicemail_detection: NotRequired[bool | None]
    """
    Have the carrier detect answering machines.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events of these statuses are sent, and the carrier is not asked for others. None: all.
    """
    purpose: NotRequired[str | None]
    """
    What its calls are for, unless the call or its batch says so; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Call only numbers with a consent (POST /consents): `true`, or a list of the numbers' countries.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Says whether a number may be called, such as a do-not-call check. Its verdict is kept until it expires. While it does not answer, calls wait.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Says whether an attempt may be dialled now, not at all, or when. While it does not answer, calls wait.
    """
    policy: NotRequired[str | None]
    """
    A policy; without a version, its latest, and shown with its number. It applies to calls and batches that are made from then on and name none. None: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    No attempt of a call starts so long after its time; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls ring one number, counting all calls of the account to it.
    """


class AgentConfig1(TypedDict):
    """
    Keys that replace those of the agent's configuration; null restores the default.
    """

    agent_name: NotRequired[str]
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: https, a public address. Empty: none.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; default: the account's. Default: "default".
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts that name none. None: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids in turn. None: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    https: the carrier fetches its call instructions here. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    wss: the carrier connects the call's audio to this. Not together with answer_url.
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
    Have the carrier detect answering machines. Default: false.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events of these statuses are sent, and the carrier is not asked for others. None: all.
    """
    purpose: NotRequired[str | None]
    """
    What its calls are for, unless the call or its batch says so; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Call only numbers with a consent (POST /consents): `true`, or a list of the numbers' countries. Default: false.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Says whether a number may be called, such as a do-not-call check. Its verdict is kept until it expires. While it does not answer, calls wait.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Says whether an attempt may be dialled now, not at all, or when. While it does not answer, calls wait.
    """
    policy: NotRequired[str | None]
    """
    A policy; without a version, its latest, and shown with its number. It applies to calls and batches that are made from then on and name none. None: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    No attempt of a call starts so long after its time; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls ring one number, counting all calls of the account to it.
    """


class AgentPatch(TypedDict):
    """
    Keys to change, at the top level and in `agent_config`; the rest stays.
    """

    agent_config: NotRequired[AgentConfig1]
    """
    Keys that replace those of the agent's configuration; null restores the default.
    """


class AgentRead(TypedDict):
    """
    An agent. `tasks` and every other top-level key that was sent are beside these.
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
    How calls are placed and answered. Keys that are not listed are kept and returned as sent; null: not given.
    """

    agent_name: str
    webhook_url: NotRequired[str | None]
    """
    Where the events of every call go: https, a public address. Empty: none.
    """
    telephony_provider: NotRequired[Literal["twilio", "http", "default"] | Literal["twilio", "http", "default"] | None]
    """
    The carrier; default: the account's. Default: "default".
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    time_zone: NotRequired[str | None]
    """
    IANA time zone of contacts that name none. None: every zone that the number may be in.
    """
    from_phone_numbers: NotRequired[list[FromPhoneNumber] | None]
    """
    Caller ids in turn. None: the account's.
    """
    answer_url: NotRequired[str | None]
    """
    https: the carrier fetches its call instructions here. {agent_id} and {execution_id} are filled in. An agent with neither this nor stream_url uses the account's.
    """
    stream_url: NotRequired[str | None]
    """
    wss: the carrier connects the call's audio to this. Not together with answer_url.
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
    Have the carrier detect answering machines. Default: false.
    """
    webhook_statuses: NotRequired[list[Status] | None]
    """
    Only events of these statuses are sent, and the carrier is not asked for others. None: all.
    """
    purpose: NotRequired[str | None]
    """
    What its calls are for, unless the call or its batch says so; see suppressions and consents.
    """
    consent_required: NotRequired[bool | list[str] | None]
    """
    Call only numbers with a consent (POST /consents): `true`, or a list of the numbers' countries. Default: false.
    """
    scrub: NotRequired[AskedEndpoint | None]
    """
    Says whether a number may be called, such as a do-not-call check. Its verdict is kept until it expires. While it does not answer, calls wait.
    """
    pre_dial_hook: NotRequired[AskedEndpoint | None]
    """
    Says whether an attempt may be dialled now, not at all, or when. While it does not answer, calls wait.
    """
    policy: NotRequired[str | None]
    """
    A policy; without a version, its latest, and shown with its number. It applies to calls and batches that are made from then on and name none. None: the account's.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    No attempt of a call starts so long after its time; see POST /call.
    """
    contact_limits: NotRequired[ContactLimits | None]
    """
    How often its calls ring one number, counting all calls of the account to it.
    """


class AgentRequest(TypedDict):
    """
    An agent. Other top-level keys (`agent_prompts`, …) are kept and returned as sent.
    """

    agent_config: AgentConfig2
    """
    How calls are placed and answered. Keys that are not listed are kept and returned as sent; null: not given.
    """


class CallRequest(TypedDict):
    """
    One contact to be called. Fields that are not listed are ignored.
    """

    agent_id: str
    recipient_phone_number: str
    """
    E.164; other spellings of it are normalized.
    """
    from_phone_number: NotRequired[str | None]
    """
    One of your numbers; else the agent's.
    """
    scheduled_at: NotRequired[str | None]
    """
    When to call first, 2 minutes to 365 days ahead; else at once.
    """
    user_data: NotRequired[dict[str, Any] | None]
    """
    Anything about the contact, at most 65536 bytes; sent back with every event.
    """
    retry_config: NotRequired[RetryConfig | None]
    bypass_call_guardrails: NotRequired[bool]
    """
    Call outside the calling hours too. Default: false.
    """
    calling_guardrails: NotRequired[CallingGuardrails | None]
    """
    In place of the agent's. May take 150 bytes as it is stored.
    """
    purpose: NotRequired[str | None]
    """
    What the call is for, which suppressions and consents may name; else the agent's.
    """
    time_zone: NotRequired[str | None]
    """
    The contact's IANA time zone; else the agent's, else every zone that the number may be in.
    """
    policy: NotRequired[str | None]
    """
    A policy; without a version, its latest. Else the agent's, else the account's.
    """
    expires_at: NotRequired[str | None]
    """
    No attempt starts from then on; the call is `canceled`.
    """
    expires_after_minutes: NotRequired[int | None]
    """
    The same, so long after scheduled_at, or after now. Not together with expires_at.
    """


class CalledNow(TypedDict):
    """
    What would become of an attempt now. `gates`: in order, up to the first that does not allow it. `earliest_at`:
    when a call of the agent would be dialled; null: never, or no agent is named.
    """

    is_dialled: bool
    gates: list[GateRead]
    earliest_at: str | None
    warnings: list[str]


class Decided(TypedDict):
    """
    The gates that were asked at one time, and what came of it, as the log names it: `claimed` (the call was handed
    to the carrier), `rescheduled`, `queued`, `deferred`, or how the call ended.
    """

    at: str
    type: str
    gates: list[GateRead]


class ExplainedAttempt(TypedDict):
    """
    An attempt and what gates decided about it, oldest first.
    """

    attempt: int
    status: Status
    decided: list[Decided]


class Explanation(TypedDict):
    """
    Why a call was dialled, waits, or is over. `now`: what the gates would decide now; `plan`: what happens if every
    further attempt fails. Both are null, as `waits_for`, where the call does not wait.
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
    A number, as the account knows it.
    """

    phone_number: str
    countries: list[str]
    """
    Those that it may be in: ISO 3166 codes.
    """
    time_zones: list[str]
    """
    Those that it may be in: the agent's, or by its prefix.
    """
    suppressions: list[SuppressionRead]
    consents: list[ConsentRead]
    limits: list[LimitUse]
    """
    Of the account, and of the agent or its policy.
    """
    last_attempt_at: str | None
    last_conversation_at: str | None
    """
    When it ended; of the last 31 days.
    """
    live_execution_id: str | None
    """
    The call to it that is being placed, or is up.
    """
    now: CalledNow


ListAgentsResponse: TypeAlias = list[AgentRead]
