"""`python -m local` runs the whole system until Ctrl-C; `python -m local demo` plays a call and a batch, and ends.

Environment: REDIAL_PORT (3000), REDIAL_CARRIER_PORT (3001), REDIAL_INBOX_PORT (3002), REDIAL_FILES_PORT (3003),
REDIAL_API_KEY (local-dev-key), SPEED (1): simulated seconds for each second,
REDIAL_WEBHOOK_SECRET (whsec_X+zrZv/IbzjZUnhsbWlsecLbwjndTpG0ZynXOif7V+k=),
REDIAL_CARRIER_CALLS_PER_SECOND (0): calls that the emulated Twilio account starts in a second; 0: no limit.
Parameters of the template:
REDIAL_CORS_ORIGINS, REDIAL_DEFAULT_CARRIER, REDIAL_DEFAULT_FROM_PHONE_NUMBER, REDIAL_DEFAULT_ANSWER, REDIAL_KEEP_DAYS.
"""

import os
import secrets
import signal
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from local import ROOT
from local.aws.functions import FunctionFailed, Invocation
from local.cloudformation import TemplateError
from local.demo import play
from local.stack import DEFAULT_API_KEY, LocalStack
from local.terminal import banner, line_of
from local.web.inbox import Delivery
from local.web.server import PortTaken
from redial.carriers.credentials import RATES
from redial.wire.webhook_signature import key_of

PORT, CARRIER_PORT, INBOX_PORT, FILES_PORT = 3000, 3001, 3002, 3003
LOGS = ".run"
"""The folder of the logs: one for each port of the API, and the demo's."""
DEFAULT_WEBHOOK_SECRET = "whsec_X+zrZv/IbzjZUnhsbWlsecLbwjndTpG0ZynXOif7V+k="
PARAMETERS = {
    "REDIAL_CORS_ORIGINS": "CorsOrigins",
    "REDIAL_DEFAULT_CARRIER": "DefaultCarrier",
    "REDIAL_DEFAULT_FROM_PHONE_NUMBER": "DefaultFromPhoneNumber",
    "REDIAL_DEFAULT_ANSWER": "DefaultAnswer",
    "REDIAL_KEEP_DAYS": "KeepDays",
}
"""Environment variables that set a parameter of the template."""
LOCAL = {"StatisticsSeconds": "10"}
"""Parameters that differ on one machine, so that people see the effects of their actions soon."""
_ENDING = {signal.SIGINT, signal.SIGTERM}


class SettingError(Exception):
    """An environment variable has an invalid value."""


def run() -> int:
    """Run the system until SIGINT or SIGTERM."""
    # Wait for signals instead of handling them: a handler could need a lock that the interrupted main thread holds.
    # Threads inherit the mask, so it is set before any are started.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def tell(delivery: Delivery) -> None:
        print(line_of(delivery), file=terminal, flush=True)

    def complain(invocation: Invocation, failure: FunctionFailed) -> None:
        error = f"{failure.payload['errorType']}: {failure.payload['errorMessage']}"
        print(f"{invocation.function.name} failed: {error}; more in {log}", file=sys.stderr, flush=True)

    terminal = sys.stdout
    stack = LocalStack(
        port=_number("REDIAL_PORT", PORT),
        carrier_port=_number("REDIAL_CARRIER_PORT", CARRIER_PORT),
        inbox_port=_number("REDIAL_INBOX_PORT", INBOX_PORT),
        files_port=_number("REDIAL_FILES_PORT", FILES_PORT),
        speed=_speed(),
        api_key=os.environ.get("REDIAL_API_KEY") or DEFAULT_API_KEY,
        webhook_secret=_webhook_secret(),
        seed=secrets.randbits(64),  # receivers deduplicate by id, so each run has its own
        parameters=LOCAL
        | {name: os.environ[variable] for variable, name in PARAMETERS.items() if os.environ.get(variable)},
        tell=tell,
        complain=complain,
    )
    stack.carrier.calls.calls_per_second = _carrier_rate()
    log = f"{LOGS}/local-{urlsplit(stack.url).port}.log"
    stack.log_path = ROOT / log
    with stack:
        print(banner(stack, log), file=terminal, flush=True)
        signal.sigwait(_ENDING)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # a second signal ends the process at once
    return 0


def demo() -> int:
    """Play the demo; 1 if it has errors."""
    terminal = sys.stdout
    faults = play(ROOT / LOGS / "demo.log", lambda line: print(line, file=terminal, flush=True))
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print("\nNo errors.")
    return 1 if faults else 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; 2 for an invalid setting, a port in use or a template that is not supported."""
    if list(arguments) not in ([], ["demo"]):
        print(f"usage: python -m local [demo]\n\n{__doc__}", file=sys.stderr)
        return 2
    try:
        return demo() if arguments else run()
    except PortTaken as error:
        settings = "REDIAL_PORT, REDIAL_CARRIER_PORT, REDIAL_INBOX_PORT or REDIAL_FILES_PORT"
        print(f"{error}; choose another with {settings}", file=sys.stderr)
    except (SettingError, TemplateError) as error:
        print(error, file=sys.stderr)
    return 2


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise SettingError(f"{name} must be a port number, 0 for a free one; not {text}")
    return int(text)


def _webhook_secret() -> str:
    secret = os.environ.get("REDIAL_WEBHOOK_SECRET") or DEFAULT_WEBHOOK_SECRET
    try:
        key_of(secret)
    except ValueError as error:
        raise SettingError(f"REDIAL_WEBHOOK_SECRET is not valid: {error}") from error
    return secret


def _carrier_rate() -> float | None:
    text, (low, high) = os.environ.get("REDIAL_CARRIER_CALLS_PER_SECOND") or "0", RATES
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if rate != 0 and not low <= rate <= high:
        raise SettingError(
            f"REDIAL_CARRIER_CALLS_PER_SECOND must be a number from {low:g} to {high:g}, or 0 for any; not {text}"
        )
    return rate or None


def _speed() -> float:
    text = os.environ.get("SPEED") or "1"
    try:
        speed = float(text)
    except ValueError:
        speed = -1
    if not 0 <= speed <= 100_000:
        raise SettingError(f"SPEED must be a number from 0 to 100000; not {text}")
    return speed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
