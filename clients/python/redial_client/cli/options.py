"""Options as fields of requests."""

import argparse
import json
from typing import Any

from redial_client.cli.exits import CommandError


def retry_config(args: argparse.Namespace) -> Any:
    """The retry configuration from the options; None if none is given. The API validates its values."""
    config: dict[str, Any] = {}
    if args.retries is not None:
        config["max_retries"] = args.retries
    if args.retry_after is not None:
        config["retry_intervals_minutes"] = [_minutes(part) for part in args.retry_after.split(",")]
    if args.retry_on is not None:
        config["retry_on_statuses"] = [part.strip() for part in args.retry_on.split(",")]
    if args.retry_voicemail:
        config["retry_on_voicemail"] = True
    if args.retries == 0:
        return {"enabled": False}
    return {"enabled": True, **config} if config else None


def _minutes(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise CommandError(f"--retry-after: {text!r} is not a number of minutes", "example: 30,60,120") from None


def user_data(given: list[str] | None) -> dict[str, Any]:
    """The object from all --data options, each `name=value` or a JSON object. Raises `CommandError`."""
    data: dict[str, Any] = {}
    for text in given or []:
        if text.startswith("{"):
            try:
                data |= json.loads(text)
            except ValueError as error:
                raise CommandError(f"--data: not a JSON object: {error}", "example: --data name=Ann") from None
        else:
            name, separator, value = text.partition("=")
            if not separator:
                raise CommandError(f"--data: {text!r} has no =", "example: --data name=Ann")
            data[name] = value
    return data


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None, False or empty."""
    return {name: value for name, value in fields.items() if not (value is None or value is False or value in ([], {}))}
