"""List prices, and assumptions about waiting. Every figure in dollars that `bench` prints is based on them.

Prices are those of us-east-1, beyond all free allowances. They were gathered on `PRICES_AS_OF`, from pages that quote
AWS's prices; the URLs show where AWS publishes them.
"""

PRICES_AS_OF = "2026-11-25"

DOLLARS_PER_MILLION_WRITE_UNITS = 0.625  # https://aws.amazon.com/dynamodb/pricing/on-demand/, since 2024-11-01
DOLLARS_PER_MILLION_READ_UNITS = 0.125  # the same
DOLLARS_PER_MILLION_HTTP_API_REQUESTS = 1.00  # https://aws.amazon.com/api-gateway/pricing/, the first 300 million
DOLLARS_PER_MILLION_LAMBDA_REQUESTS = 0.20  # https://aws.amazon.com/lambda/pricing/
DOLLARS_PER_GB_SECOND = 0.0000133334  # the same, on arm64
DOLLARS_PER_MILLION_SCHEDULES = 1.00  # https://aws.amazon.com/eventbridge/pricing/, Scheduler, for each that fires
DOLLARS_PER_MILLION_SQS_REQUESTS = 0.40
"""For standard queues. Each started 64 KB of a message is one request. https://aws.amazon.com/sqs/pricing/, as quoted
on 2026-06-13 by https://www.factualminds.com/blog/amazon-sqs-pricing-64kb-rule-fifo-vs-standard/"""
SQS_REQUESTS_PER_MESSAGE = 3
"""Send, receive and delete: a mapping passes one message at a time, and none is larger than 64 KB."""
POLLERS = 5
"""Pollers of an idle mapping with MaximumConcurrency. A mapping without it keeps two.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
LONG_POLL_SECONDS = 20
"""Assumed: how long a poller waits at a queue that stays empty, which is SQS's maximum."""
DOLLARS_PER_LOG_GB = 0.50  # https://aws.amazon.com/cloudwatch/pricing/, ingested logs
DOLLARS_PER_MILLION_SECRET_READS = 5.00  # https://aws.amazon.com/secrets-manager/pricing/, $0.05 for 10,000

DOLLARS_PER_MILLION_TRANSITIONS = 25.0
"""For Step Functions Standard: $0.025 for 1,000. https://aws.amazon.com/step-functions/pricing/"""

DOLLARS_PER_MILLION_DURABLE_OPERATIONS = 8.0
"""For Lambda durable functions, from the example in https://aws.amazon.com/lambda/pricing/. Data written and retained
is charged as well, but left out: no source for these prices was found."""

DOLLARS_PER_MILLION_ACTIONS = 50.0
"""For Temporal Cloud, the first 5 million in a month, or any number on the Developer plan. On other plans the price
falls in steps to $25 above 100 million. https://docs.temporal.io/cloud/pricing (the documentation's commit 0217b71)"""
DEVELOPER_PLAN = 0.10
"""The surcharge of Temporal Cloud's smallest plan: a tenth, and no base fee."""

MS_PER_AWS_REQUEST = 5.0
"""Assumed: how long a function waits for DynamoDB, Lambda or Scheduler to answer."""
MS_PER_CARRIER_REQUEST = 150.0
"""Assumed: a new TLS connection to the carrier, and its answer to a request for a call."""
MS_PER_WEBHOOK = 100.0
"""Assumed: a new TLS connection to the customer's endpoint, and its answer to an event."""
MB_OF_A_PROCESSOR = 1769
"""Lambda gives a function a share of a processor in proportion to its memory, and a whole one at this many MB.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""


def lambda_seconds(memory_mb: int, cpu_seconds: float, aws_requests: int, carrier: int, webhooks: int) -> float:
    """Billed seconds of all invocations of a function: processor time, scaled by its memory, and waiting.

    The processor time is this machine's, since Lambda's is unknown.
    """
    stretch = max(1.0, MB_OF_A_PROCESSOR / memory_mb)
    waiting = aws_requests * MS_PER_AWS_REQUEST + carrier * MS_PER_CARRIER_REQUEST + webhooks * MS_PER_WEBHOOK
    return cpu_seconds * stretch + waiting / 1000


def dollars_of_empty_queues(queues: int, seconds: float) -> float:
    """Dollars for the requests of Lambda's pollers to queues that stay empty for `seconds`."""
    return queues * POLLERS * seconds / LONG_POLL_SECONDS * DOLLARS_PER_MILLION_SQS_REQUESTS / 1e6


def lambda_dollars(memory_mb: int, seconds: float) -> float:
    return memory_mb / 1024 * seconds * DOLLARS_PER_GB_SECOND
