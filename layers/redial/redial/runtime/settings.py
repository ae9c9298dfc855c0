"""What each function is told by its environment: one tuple per function, whose fields are the variables' names.

Named tuples, because every function makes all of these classes when it starts, and a dataclass takes ten times as long.

tests/infrastructure holds these against template.yaml. Booleans are `true` and `false`; everything else is text.
"""

import os
from typing import NamedTuple, TypeVar

Settings = TypeVar("Settings", bound=NamedTuple)


def read(kind: type[Settings]) -> Settings:
    """The settings of this process. Raises `RuntimeError` naming every variable that is missing."""
    variables = [name.upper() for name in kind._fields]
    missing = [variable for variable in variables if variable not in os.environ]
    if missing:
        raise RuntimeError(f"environment variables missing: {', '.join(missing)}")
    return kind._make(os.environ[variable] for variable in variables)


class ApiSettings(NamedTuple):
    """`uploads_endpoint`: the origin that clients put files to; empty: S3's own."""

    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    files_bucket: str
    uploads_endpoint: str
    allow_local_webhooks: str


class CarrierCallbackSettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    carrier_secrets: str
    public_url: str


class DialSettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    carrier_secrets: str
    public_url: str
    allow_local_webhooks: str


class DeliverSettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    deliver_function: str
    allow_local_webhooks: str


class SweepSettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    sweep_function: str
    carrier_secrets: str


class BatchSettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    files_bucket: str


class TallySettings(NamedTuple):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    deliver_function: str
    batch_function: str
