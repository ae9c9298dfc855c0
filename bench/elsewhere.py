"""The same job on AWS Step Functions Standard and on Temporal Cloud: state transitions or actions, and list price.

Nothing runs here. The counts are those of a simple, well-made implementation, from what happened while Redial did the
job. README.md lists the transitions and actions. Where an implementation has a choice, the cheaper one counts.
"""

from dataclasses import dataclass

from bench import prices

HISTORY_BYTES_PER_ACTION = 1500
"""Assumed: of a workflow's history, input and output included."""
RETENTION_HOURS = 7 * 24
"""Assumed: how long a closed workflow's history is kept."""
MEMORY_MB = 512


@dataclass(frozen=True)
class Job:
    """`deliveries`: moments at which events went out. `hours` from request to final status, of all calls together."""

    calls: int
    attempts: int
    retries: int
    callbacks: int
    deliveries: int
    webhooks: int
    hours: float


@dataclass(frozen=True)
class Cost:
    """Of a whole job. `counted`: transitions or actions."""

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
    """Workers place the calls and post the events, so no function waits for those."""
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
    """Adds the HTTP API and the run time of functions, which both need."""
    http_api_requests = job.calls + job.callbacks
    beside = (
        http_api_requests * prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS
        + invocations * prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS
    ) / 1e6
    total = dollars + beside + prices.lambda_dollars(MEMORY_MB, lambda_seconds)
    return Cost(counted, aws_requests, invocations, http_api_requests, total)
