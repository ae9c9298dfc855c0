"""The commands and their options. Imports only argparse, because `redial --help` and completion must be quick.

Each command's `run` names its function as `module:function` of this package; `redial_client.cli` imports it.
"""

import argparse
from collections.abc import Callable
from typing import NoReturn

from redial_client import __version__
from redial_client.cli.exits import Exit

OUTCOMES = (
    "completed", "no-answer", "busy", "failed", "canceled", "voicemail", "invalid-number", "refused-429", "error-500",
    "timeout-after-placing", "no-callback", "duplicate-callbacks", "late-callbacks", "late-detection",
)  # fmt: skip
"""The emulated carrier's named outcomes; it also accepts `refused-<code>`."""
SHELLS = ("bash", "zsh", "fish")
SCOPES = ("read", "call", "operate", "admin")
BREAKDOWNS = ("attempt", "gap", "hour", "outcome", "caller-id", "country")
EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the API, 4 not found, 5 no valid key, 6 not reachable
documentation: docs/command-line.md"""


class Parser(argparse.ArgumentParser):
    """A parser with errors of two lines: what is wrong, and what to do."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"error: {message}\nrun: {self.prog} --help\n")


Add = Callable[[argparse.ArgumentParser], None]


def build() -> Parser:
    """The parser of `redial`."""
    parser = Parser(
        prog="redial", description="Outbound phone calls with automatic retry, from the command line.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"redial {__version__}")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, texts on stderr")
    parser.add_argument("--profile", help="the stored profile to use")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, run, text, add in COMMANDS:
        _command(commands, name, run, text, add)
    for name, text, parts in GROUPS:
        group = commands.add_parser(name, help=text, description=text)
        inner = group.add_subparsers(dest="part", metavar="COMMAND", required=True)
        for part, run, part_text, add in parts:
            _command(inner, part, run, part_text, add)
    return parser


def _command(
    parsers: "argparse._SubParsersAction[Parser]", name: str, run: str, text: str, add: Add
) -> argparse.ArgumentParser:
    parser = parsers.add_parser(name, help=text, description=text)
    add(parser)
    # Also accepted after the command; if left out there, the value before the command counts.
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="JSON on stdout, texts on stderr"
    )
    parser.add_argument("--profile", default=argparse.SUPPRESS, help="the stored profile to use")
    parser.set_defaults(run=run)
    return parser


# ---- options of several commands ------------------------------------------------------------------------------------


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _agent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", help="agent, by id or name; default: REDIAL_AGENT, or the only agent")


def _retries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retries", type=int, metavar="N", help="retry up to N times, 1 to 3 (0: never)")
    parser.add_argument("--retry-after", metavar="MINUTES", help="minutes before each retry, such as 30,60,120")
    parser.add_argument("--retry-on", metavar="STATUSES", help="outcomes to retry: no-answer,busy,failed,error")
    parser.add_argument("--retry-voicemail", action="store_true", help="also retry if a machine answered")


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="from_numbers", action="append", metavar="NUMBER", help="caller id")
    parser.add_argument("--policy", help="policy, as name or name@version")
    parser.add_argument("--purpose", help="what the calls are for, such as marketing")
    parser.add_argument("--expires-after", type=int, metavar="MINUTES", help="start no attempt after this time")
    parser.add_argument("--bypass-guardrails", action="store_true", help="also call outside calling hours")
    parser.add_argument(
        "--idempotency-key", metavar="KEY", help="repeating the request with this key has no effect; default: a new key"
    )


def _watching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="poll interval; default: 2")


def _execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("execution", metavar="EXECUTION", help="execution id")


def _batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("batch", metavar="BATCH", help="batch id")


# ---- options of each command ----------------------------------------------------------------------------------------


def _login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the API's URL")
    parser.add_argument("--stack", metavar="NAME", help="read the URL from the outputs of this CloudFormation stack")
    parser.add_argument("--region", help="the stack's AWS region")
    parser.add_argument("--key", help="the API key; `-` reads it from stdin; default: prompt for it")
    parser.add_argument("--name", help="the profile's name; default: the URL's host")


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="profile")


def _call_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="the number to call, in E.164: +12025550123")
    _agent(parser)
    _retries(parser)
    _rules(parser)
    parser.add_argument("--at", metavar="TIME", help="time of the first dial, with an offset: 2026-01-26T10:00:00Z")
    parser.add_argument("--time-zone", metavar="ZONE", help="the called person's time zone, such as Europe/Berlin")
    parser.add_argument(
        "--data", action="append", metavar="NAME=VALUE", help="user data; repeatable; also accepts a JSON object"
    )


def _call(parser: argparse.ArgumentParser) -> None:
    _call_to(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--plan", action="store_true", help="only show when each attempt would be made")
    either.add_argument("--watch", action="store_true", help="follow the call to its end")
    _watching(parser)


def _logs(parser: argparse.ArgumentParser) -> None:
    _execution(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="follow the log until the call is over")
    _watching(parser)


def _listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--forward", required=True, metavar="URL", help="the URL to post each event to")
    _agent(parser)
    parser.add_argument("--batch", metavar="BATCH", help="only calls of this batch")
    parser.add_argument("--secret", help="sign with this secret, whsec_…; default: a new one, which is printed")
    parser.add_argument("--count", type=int, metavar="N", help="exit after N events")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="poll the N newest calls; default: 50")
    _watching(parser)


def _trigger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "outcome", nargs="+", metavar="OUTCOME", help=f"outcome of each attempt: {', '.join(OUTCOMES)}, refused-<code>"
    )
    parser.add_argument("--to", default="+12025550199", metavar="NUMBER", help="number to call; default: +12025550199")
    parser.add_argument("--no-advance", action="store_true", help="wait for the clock instead of advancing it")
    parser.add_argument(
        "--carrier-url",
        metavar="URL",
        help="the emulated carrier; default: REDIAL_CARRIER_URL, or the port after the API's",
    )
    _agent(parser)
    _retries(parser)
    _watching(parser)


def _clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("minutes", nargs="?", type=float, metavar="MINUTES", help="advance it by this many minutes")


def _suppress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", nargs="?", metavar="NUMBER", help="the number; default: list the suppressions")
    parser.add_argument("--remove", action="store_true", help="remove the number's suppression")
    parser.add_argument("--reason", help="the reason, shown with the calls that it ends")
    parser.add_argument("--purpose", help="only calls for this purpose")
    parser.add_argument("--agent", help="only calls of this agent, by id or name")


def _stats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", help="only this agent, by id or name; default: the whole account")
    parser.add_argument("--batch", metavar="BATCH", help="only this batch")
    parser.add_argument("--from", dest="since", metavar="DAY", help="first day, UTC; default: 30 days ago")
    parser.add_argument("--to", dest="until", metavar="DAY", help="last day, UTC")
    parser.add_argument(
        "--by", action="append", choices=BREAKDOWNS, help="breakdown to show; repeatable; default: attempt and gap"
    )


def _open(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--print", dest="print_only", action="store_true", help="only print the URL")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def _batch_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a CSV with a column contact_number")
    _agent(parser)
    _retries(parser)
    _rules(parser)
    parser.add_argument("--calls-per-second", type=float, metavar="N", help="maximum calls started per second")
    parser.add_argument("--webhook-url", metavar="URL", help="where the batch's own events go")
    parser.add_argument("--start", action="store_true", help="start as soon as the file has been read")
    parser.add_argument("--watch", action="store_true", help="follow the batch to its end (with --start)")
    _watching(parser)


def _batch_schedule(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--at", metavar="TIME", help="start time, 2 minutes to 30 days ahead, with an offset")
    when.add_argument("--in", dest="minutes", type=float, metavar="MINUTES", help="start this many minutes from now")
    parser.add_argument("--bypass-guardrails", action="store_true", help="also call outside calling hours")


def _batch_preflight(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    parser.add_argument("--at", metavar="TIME", help="assumed start time; default: its scheduled time, or now")
    parser.add_argument("--call-seconds", type=int, metavar="N", help="assumed length of an answered call")


def _batch_watch(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    _watching(parser)


def _batch_results(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the CSV to this file; default: stdout")
    parser.add_argument("--rejected", action="store_true", help="get the rejected rows, with their reasons")


def _replay(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("execution", nargs="?", metavar="EXECUTION", help="execution id")
    which.add_argument("--batch", metavar="BATCH", help="replay this batch's own events")
    which.add_argument("--all", action="store_true", help="replay all events that `webhooks list` shows")


def _webhook_test(parser: argparse.ArgumentParser) -> None:
    _agent(parser)
    parser.add_argument("--url", metavar="URL", help="the URL to test; default: the agent's webhook_url")


def _key_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what the key is for")
    parser.add_argument("--scope", action="append", choices=SCOPES, help="what the key may do; repeatable")
    parser.add_argument(
        "--agent", action="append", metavar="AGENT", help="restrict the key to this agent, by id or name; repeatable"
    )
    parser.add_argument("--masked", action="store_true", help="mask phone numbers in every response")
    parser.add_argument("--calls-a-day", type=int, metavar="N", help="maximum calls per day (UTC)")
    parser.add_argument("--lines", type=int, metavar="N", help="maximum live calls at once")


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="ID", help="key id, as shown by `keys list`")


def _item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="ID", help="item id, as shown by `attention list`")


COMMANDS: tuple[tuple[str, str, str, Add], ...] = (
    ("login", "login:login", "store an API's URL and key as a profile", _login),
    ("call", "calls:call", "call a number, with retries until it is answered", _call),
    ("plan", "calls:plan", "show when each attempt of a call would be made", _call_to),
    ("stop", "calls:stop", "stop a call before it is answered", _execution),
    ("logs", "calls:logs", "show what happened to a call", _logs),
    ("listen", "listen:listen", "forward signed events to a receiver on this machine", _listen),
    ("trigger", "local:trigger", "local stack: script the carrier, call, and show what happens", _trigger),
    ("clock", "local:clock", "local stack: show or advance the clock", _clock),
    ("suppress", "operate:suppress", "stop calling a number; list or remove suppressions", _suppress),
    ("stats", "operate:stats", "show how well retries work", _stats),
    ("doctor", "doctor:doctor", "check the setup, with advice", _nothing),
    ("open", "login:open_console", "open the console in a browser", _open),
    ("completion", "completion:script", "print a shell's completion script", _completion),
)
"""Name, `run`, help and options."""
GROUPS: tuple[tuple[str, str, tuple[tuple[str, str, str, Add], ...]], ...] = (
    (
        "profile",
        "list, choose and remove stored profiles",
        (
            ("list", "login:profile_list", "list the profiles; * marks the current one", _nothing),
            ("use", "login:profile_use", "make a profile the current one", _name),
            ("remove", "login:profile_remove", "remove a profile", _name),
        ),
    ),
    (
        "batch",
        "call the contacts of a CSV file",
        (
            ("create", "batches:create", "create a batch", _batch_create),
            ("list", "batches:list_batches", "list an agent's batches, newest first", _agent),
            ("preflight", "batches:preflight", "preview what a batch would do", _batch_preflight),
            ("schedule", "batches:schedule", "set when a batch starts", _batch_schedule),
            ("watch", "batches:watch", "follow a batch to its end", _batch_watch),
            ("pause", "batches:pause", "pause a batch: no call starts until it is resumed", _batch),
            ("resume", "batches:resume", "resume a batch", _batch),
            ("stop", "batches:stop", "stop a batch: unanswered calls stop, answered ones finish", _batch),
            ("results", "batches:results", "get the uploaded rows, each with its result", _batch_results),
        ),
    ),
    (
        "webhooks",
        "undelivered events, and test events",
        (
            ("list", "operate:webhooks_list", "list undelivered events", _nothing),
            ("replay", "operate:webhooks_replay", "send undelivered events again", _replay),
            ("test", "operate:webhooks_test", "send a signed test event, and show the response", _webhook_test),
        ),
    ),
    (
        "attention",
        "what holds calls back until a person acts",
        (
            ("list", "operate:attention_list", "list the items, with what to do", _nothing),
            ("resolve", "operate:attention_resolve", "try again now, once the fault is fixed", _item),
        ),
    ),
    (
        "keys",
        "API keys of the account; needs a key with the scope admin",
        (
            ("list", "operate:keys_list", "list the keys, with their last use", _nothing),
            ("create", "operate:keys_create", "create a key and show it once", _key_create),
            ("revoke", "operate:keys_revoke", "revoke a key", _key),
        ),
    ),
)
"""Name, help and the group's commands."""
