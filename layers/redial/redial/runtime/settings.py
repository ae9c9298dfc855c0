"""Environment variables of each function. tests/infrastructure compares them with template.yaml.

Booleans are `true` and `false`; everything else is text. `UPLOADS_ENDPOINT`: the origin that clients upload files to;
empty: S3's own. `DEFAULT_ANSWER`: an `answer_url` (https) or a `stream_url` (wss); empty: none. `KEEP_DAYS`: how long
finished calls and batches are kept, a whole number of days; 0: forever. `CONSOLE`: `api` or `none`.
`CALLS_PER_SECOND`: the rate of a carrier account whose secret names none; 0: no limit.
"""

import os
from collections.abc import Mapping

_DELIVER = ("DELIVER_QUEUE", "DELIVER_QUEUE_ARN")
_TIMERS = ("TABLE_NAME", "KEEP_DAYS", "SCHEDULE_GROUP", "SCHEDULER_ROLE_ARN", "SCHEDULE_DLQ_ARN", *_DELIVER)
_DEFAULTS = ("DEFAULT_CARRIER", "DEFAULT_FROM_PHONE_NUMBER", "DEFAULT_ANSWER")
_INVOKES = (*_TIMERS, "DIAL_QUEUE", "DIAL_QUEUE_ARN", "BATCH_FUNCTION")

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "api": (
        *_INVOKES,
        "FILES_BUCKET",
        "UPLOADS_ENDPOINT",
        "ALLOW_LOCAL_WEBHOOKS",
        "CARRIER_SECRETS",
        "PUBLIC_URL",
        "CALLS_PER_SECOND",
        "CONSOLE",
        *_DEFAULTS,
    ),
    "batch": (*_INVOKES, "FILES_BUCKET", "CARRIER_SECRETS"),
    "carrier_callback": (*_INVOKES, "CARRIER_SECRETS", "PUBLIC_URL"),
    "deliver": (*_TIMERS, "BATCH_FUNCTION", "ALLOW_LOCAL_WEBHOOKS"),
    "dial": (*_INVOKES, "ALLOW_LOCAL_WEBHOOKS", "CARRIER_SECRETS", "PUBLIC_URL", "CALLS_PER_SECOND", *_DEFAULTS),
    "sweep": (*_INVOKES, "SWEEP_FUNCTION", "CARRIER_SECRETS"),
    "tally": (*_TIMERS, "BATCH_FUNCTION"),
}
"""The variables that each function reads."""


def read(function: str) -> dict[str, str]:
    """The function's variables, name → value. Raises `RuntimeError` naming every one that is missing."""
    missing = [variable for variable in VARIABLES[function] if variable not in os.environ]
    if missing:
        raise RuntimeError(f"environment variables missing: {', '.join(missing)}")
    return {variable: os.environ[variable] for variable in VARIABLES[function]}
