"""What each function is told by its environment: one dataclass per function, whose fields are the variables' names.

tests/infrastructure holds these against template.yaml. Booleans are `true` and `false`; everything else is text.
"""

import os
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True)
class _FromEnvironment:
    @classmethod
    def read(cls) -> Self:
        """The settings of this process. Raises `RuntimeError` naming every variable that is missing."""
        names = {field.name: field.name.upper() for field in fields(cls)}
        missing = [variable for variable in names.values() if variable not in os.environ]
        if missing:
            raise RuntimeError(f"environment variables missing: {', '.join(missing)}")
        return cls(**{name: os.environ[variable] for name, variable in names.items()})


@dataclass(frozen=True)
class ApiSettings(_FromEnvironment):
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


@dataclass(frozen=True)
class CarrierCallbackSettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    twilio_secret: str
    public_url: str


@dataclass(frozen=True)
class DialSettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    twilio_secret: str
    twilio_api_url: str
    public_url: str
    allow_local_webhooks: str


@dataclass(frozen=True)
class DeliverSettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    deliver_function: str
    allow_local_webhooks: str


@dataclass(frozen=True)
class SweepSettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    twilio_secret: str
    twilio_api_url: str


@dataclass(frozen=True)
class BatchSettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    dial_function: str
    deliver_function: str
    batch_function: str
    files_bucket: str


@dataclass(frozen=True)
class TallySettings(_FromEnvironment):
    table_name: str
    schedule_group: str
    scheduler_role_arn: str
    schedule_dlq_arn: str
    deliver_function: str
    batch_function: str
