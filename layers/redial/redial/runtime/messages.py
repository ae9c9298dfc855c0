"""What a function was sent: by its queue, or as the event itself."""

import json
from collections.abc import Iterator
from typing import Any


def messages(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages of an SQS event, one for each record; or the event itself, as schedules of versions before 0.3 send
    it, and `sam local invoke`. An error leaves all of them in the queue, to be sent again."""
    if "Records" not in event:
        yield event
        return
    for record in event["Records"]:
        yield json.loads(record["body"])
