"""The command `redial`."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from redial_client.cli.exits import CommandError, Exit
from redial_client.cli.parser import build

if TYPE_CHECKING:
    from redial_client.cli.context import Context
    from redial_client.errors import RedialError

OPTIONS = {
    "recipient_phone_number": "NUMBER",
    "phone_number": "NUMBER",
    "agent_id": "--agent",
    "from_phone_number": "--from",
    "from_phone_numbers": "--from",
    "retry_config.max_retries": "--retries",
    "retry_config.retry_intervals_minutes": "--retry-after",
    "retry_config.retry_on_statuses": "--retry-on",
    "scheduled_at": "--at",
    "time_zone": "--time-zone",
    "user_data": "--data",
    "expires_after_minutes": "--expires-after",
    "calls_per_second": "--calls-per-second",
    "name": "NAME",
    "scopes": "--scope",
    "agents": "--agent",
    "quotas.calls_a_day": "--calls-a-day",
    "quotas.lines": "--lines",
    "url": "--url",
    "from": "--from",
    "to": "--to",
}
"""API fields and the arguments that set them."""
INTERRUPTED = "interrupted"


def main(arguments: Sequence[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the command and return its exit code. `sleep`: waits between two polls.

    Errors are one or two lines on stderr, and with --json also an object on stdout.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["__complete"]:
        from redial_client.cli.completion import candidates

        print("\n".join(candidates(words[1:])))
        return Exit.OK
    args = build().parse_args(words)
    from redial_client.cli.context import Context
    from redial_client.errors import RedialError

    module, _, function = args.run.partition(":")
    context = Context(args, sleep)
    try:
        run = cast("Callable[[Context], Exit | None]", getattr(import_module(f"{__name__}.{module}"), function))
        code = run(context) or Exit.OK
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except CommandError as error:
        return _fail(context, error)
    except RedialError as error:
        return _fail(context, _command_error(error), getattr(error, "status", None))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(context, CommandError(f"{name}{error.strerror or error}", code=Exit.FAILED))
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return Exit.INTERRUPTED


def _fail(context: "Context", error: CommandError, status: int | None = None) -> Exit:
    """Print an error, and return its exit code."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.advice:
        print(error.advice, file=sys.stderr)
    context.out.data({"error": error.message, "advice": error.advice, "status": status, "exit_code": int(error.code)})
    return error.code


def _command_error(error: "RedialError") -> CommandError:
    """An error of the client as an error of the command, with advice."""
    from redial_client import errors

    if isinstance(error, errors.Unreachable):
        return CommandError(str(error), "check the URL (redial profile list) and the network", Exit.UNREACHABLE)
    if isinstance(error, errors.AgentUnclear):
        return CommandError(str(error), "pass --agent, or set REDIAL_AGENT", Exit.NOT_FOUND)
    if not isinstance(error, errors.ApiError):
        return CommandError(str(error), code=Exit.FAILED)
    if isinstance(error, errors.KeyRejected):
        return CommandError(error.message, "run: redial login, or correct REDIAL_API_KEY", Exit.KEY)
    if isinstance(error, errors.Forbidden):
        return CommandError(error.message, "use a key that has this scope: redial profile use", Exit.KEY)
    if isinstance(error, errors.NotFound):
        return CommandError(error.message, "check the id; ids of other accounts are unknown too", Exit.NOT_FOUND)
    if isinstance(error, errors.ServerError):
        quoted = f"; quote request id {error.request_id} when you report it" if error.request_id else ""
        return CommandError(error.message, f"try again in a minute{quoted}", Exit.UNREACHABLE)
    if error.errors:
        named = "; ".join(f"{OPTIONS.get(one.field, one.field)}: {one.message}" for one in error.errors)
        return CommandError(named, code=Exit.REFUSED)
    return CommandError(error.message, code=Exit.REFUSED)
