"""The messages that a function received, from its queue or as the event itself."""

import json
from collections.abc import Iterator
from typing import Any


def messages(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages of an SQS event, one for each record. Any other event is itself the message: schedules of versions
    before 0.3 and `sam local invoke` send these. An error leaves all messages in the queue, to be sent again."""
    if "Records" not in event:
        yield event
        return
    for record in event["Records"]:
        yield json.loads(record["body"])
