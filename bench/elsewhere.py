"""The same job on AWS Step Functions Standard and on Temporal Cloud: what it would count, and its list price.

Nothing is run here. What is counted is a straightforward and well-made implementation of one call with its retries and
webhooks, from what happened while Redial did the job: calls, attempts, retries, callbacks, and the moments at which
events are delivered (events of one moment, "no-answer" and "scheduled" say, go out together, as they do in Redial).
Where an implementation has a choice, the cheaper one is taken.

Step Functions, in state transitions, which are the states entered:

    call       the HTTP API starts a function that checks the request and starts the workflow
    attempt    a task that has a function place the call and waits for its task token · a choice on what came
    retry      a wait until the next attempt's time
    delivery   a task that has a function post the events of a moment, repeated by the state's own Retry
    callback   the HTTP API starts a function that checks the signature and sends the token back, or, while the call
               still rings, starts a workflow of one delivery, since the call's own is waiting for its token

Temporal Cloud, in actions:

    call       a workflow started
    attempt    an activity that places the call · a timer for the callback that never comes
    retry      a timer until the next attempt's time
    delivery   an activity that posts the events of a moment, repeated by its own retry policy
    callback   a signal, from a function that checks the signature

Both let the address that the carrier calls back carry the task token or the workflow's id, so neither needs a table;
and both start functions for what comes by HTTP: that is in their other columns. Left out, to their favour: limits of
lines and who waits for one, an attempt that is never dialled twice when the carrier's answer is lost, listings, logs
and counts of batches, log lines, and for Temporal the workers, which run on machines of one's own all the time.
"""

from dataclasses import dataclass

from bench import prices

HISTORY_BYTES_PER_ACTION = 1500
"""Assumed: what an action leaves in a workflow's history, its input and output included."""
RETENTION_HOURS = 7 * 24
"""Assumed: how long a closed workflow's history is kept."""
MEMORY_MB = 512


@dataclass(frozen=True)
class Job:
    """What happened for `calls` calls. `deliveries`: moments at which events went out. `hours`: how long the calls were
    open, from being asked for to being final, together."""

    calls: int
    attempts: int
    retries: int
    callbacks: int
    deliveries: int
    webhooks: int
    hours: float


@dataclass(frozen=True)
class Cost:
    """What a job comes to; `counted` are transitions or actions. Dollars are for the whole job."""

    counted: int
    aws_requests: int
    invocations: int
    http_api_requests: int
    dollars: float


def step_functions(job: Job, cpu_seconds: float) -> Cost:
    """`cpu_seconds`: processor time of one bare invocation."""
    transitions = 2 * job.attempts + job.retries + job.deliveries
    aws_requests = job.calls + job.callbacks  # what starts a workflow, or sends a token back
    invocations = job.calls + job.attempts + job.deliveries + job.callbacks
    dollars = transitions * prices.DOLLARS_PER_MILLION_TRANSITIONS / 1e6
    seconds = prices.lambda_seconds(MEMORY_MB, cpu_seconds * invocations, aws_requests, job.attempts, job.webhooks)
    return _cost(job, transitions, aws_requests, invocations, dollars, seconds)


def temporal_cloud(job: Job, cpu_seconds: float) -> Cost:
    """The same. Workers place the calls and post the events, so no function waits for those."""
    actions = job.calls + 2 * job.attempts + job.retries + job.deliveries + job.callbacks
    gigabytes = actions * HISTORY_BYTES_PER_ACTION / 1e9
    dollars = (
        actions * prices.DOLLARS_PER_MILLION_ACTIONS / 1e6
        + gigabytes * job.hours / job.calls * prices.DOLLARS_PER_ACTIVE_GB_HOUR
        + gigabytes * RETENTION_HOURS * prices.DOLLARS_PER_RETAINED_GB_HOUR
    ) * (1 + prices.DEVELOPER_PLAN)
    invocations = job.calls + job.callbacks
    waiting_ms = invocations * prices.MS_PER_AWS_REQUEST  # a request to Temporal Cloud, taken to be as quick
    seconds = prices.lambda_seconds(MEMORY_MB, cpu_seconds * invocations, 0, 0, 0) + waiting_ms / 1000
    return _cost(job, actions, 0, invocations, dollars, seconds)


def _cost(job: Job, counted: int, aws_requests: int, invocations: int, dollars: float, lambda_seconds: float) -> Cost:
    """With what both need beside: the HTTP API, and functions that run so long together."""
    http_api_requests = job.calls + job.callbacks
    beside = (
        http_api_requests * prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS
        + invocations * prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS
    ) / 1e6
    total = dollars + beside + prices.lambda_dollars(MEMORY_MB, lambda_seconds)
    return Cost(counted, aws_requests, invocations, http_api_requests, total)
