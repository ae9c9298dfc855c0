"""The same job on other services: their chargeable steps, counted one by one, and their list price.

Nothing runs here. The counts are those of a simple, well-made implementation, given what happened while Redial did the
job. README.md describes the steps. If an implementation has a choice, the cheaper one counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bench import prices

MEMORY_MB = 512


@dataclass(frozen=True)
class Job:
    """The events of a job. `deliveries`: how many times events were sent, however many were sent together."""

    calls: int
    attempts: int
    retries: int
    callbacks: int
    deliveries: int
    webhooks: int


@dataclass(frozen=True)
class Cost:
    """The cost of a whole job. `steps`: the chargeable steps by kind."""

    steps: Mapping[str, int]
    aws_requests: int
    invocations: int
    http_api_requests: int
    dollars: float

    @property
    def counted(self) -> int:
        return sum(self.steps.values())


def step_functions(job: Job, cpu_seconds: float) -> Cost:
    """The cost on Step Functions Standard, in state transitions. `cpu_seconds`: processor time of a bare invocation."""
    steps = {
        "task: a function places the call, and the task waits for its token": job.attempts,
        "choice: by the outcome": job.attempts,
        "wait until the retry": job.retries,
        "task: a function posts simultaneous events": job.deliveries,
    }
    dollars = sum(steps.values()) * prices.DOLLARS_PER_MILLION_TRANSITIONS / 1e6
    aws_requests = job.calls + job.callbacks  # what starts a workflow, or sends a token back
    invocations = job.calls + job.attempts + job.deliveries + job.callbacks
    seconds = prices.lambda_seconds(MEMORY_MB, cpu_seconds * invocations, aws_requests, job.attempts, job.webhooks)
    return _cost(job, steps, aws_requests, invocations, dollars, seconds)


def durable_functions(job: Job, cpu_seconds: float) -> Cost:
    """The cost on Lambda durable functions, in operations. A function runs again after each wait and each callback."""
    steps = {
        "start of the execution": job.calls,
        "step: places the call": job.attempts,
        "callback: a report of the carrier, or its time-out": job.callbacks,
        "wait until the retry": job.retries,
        "step: posts simultaneous events": job.deliveries,
    }
    operations = sum(steps.values())
    dollars = operations * prices.DOLLARS_PER_MILLION_DURABLE_OPERATIONS / 1e6
    sent = job.calls + job.callbacks  # what starts an execution, or completes a callback
    invocations = sent + job.calls + job.callbacks + job.retries
    requests = sent + operations - job.calls  # each operation but the start is a checkpoint of the function
    seconds = prices.lambda_seconds(MEMORY_MB, cpu_seconds * invocations, requests, job.attempts, job.webhooks)
    return _cost(job, steps, requests, invocations, dollars, seconds)


def temporal_cloud(job: Job, cpu_seconds: float) -> Cost:
    """The cost on Temporal Cloud, in actions. Workers place calls and post events, so no function waits for them."""
    steps = {
        "workflow started": job.calls,
        "activity: places the call": job.attempts,
        "timer: for a missing callback": job.attempts,
        "timer: until the retry": job.retries,
        "activity: posts simultaneous events": job.deliveries,
        "signal: a report of the carrier": job.callbacks,
    }
    dollars = sum(steps.values()) * prices.DOLLARS_PER_MILLION_ACTIONS / 1e6 * (1 + prices.DEVELOPER_PLAN)
    invocations = job.calls + job.callbacks
    # Each makes a request to Temporal Cloud, assumed to be as quick as a request to AWS.
    seconds = prices.lambda_seconds(MEMORY_MB, cpu_seconds * invocations, invocations, 0, 0)
    return _cost(job, steps, 0, invocations, dollars, seconds)


SERVICES = {
    "Step Functions Standard": step_functions,
    "Lambda durable functions": durable_functions,
    "Temporal Cloud": temporal_cloud,
}


def _cost(
    job: Job, steps: Mapping[str, int], aws_requests: int, invocations: int, dollars: float, lambda_seconds: float
) -> Cost:
    """The cost, with the HTTP API and the run time of functions, which all services need."""
    http_api_requests = job.calls + job.callbacks
    beside = (
        http_api_requests * prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS
        + invocations * prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS
    ) / 1e6
    total = dollars + beside + prices.lambda_dollars(MEMORY_MB, lambda_seconds)
    return Cost(steps, aws_requests, invocations, http_api_requests, total)
