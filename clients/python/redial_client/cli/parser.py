"""The commands and their options. It imports argparse only: `redial --help` and completion must be quick.

Each command's `run` names the function that runs it, `module:function` of this package; `redial_client.cli` imports it.
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
"""The emulated carrier's outcomes that have names; it also knows `refused-<code>`."""
SHELLS = ("bash", "zsh", "fish")
SCOPES = ("read", "call", "operate", "admin")
BREAKDOWNS = ("attempt", "gap", "hour", "outcome", "caller-id", "country")
EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the API, 4 not found, 5 no valid key, 6 not reachable
documentation: docs/command-line.md"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines: what is wrong, and what to do."""

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
    # Also accepted after the command; left out there, what stands before it counts.
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="JSON on stdout, texts on stderr"
    )
    parser.add_argument("--profile", default=argparse.SUPPRESS, help="the stored profile to use")
    parser.set_defaults(run=run)
    return parser


# ---- options that several commands have -----------------------------------------------------------------------------


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _agent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", help="agent, by id or name; not needed if there is one only, or by REDIAL_AGENT")


def _retries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retries", type=int, metavar="N", help="retry up to N times, 1 to 3 (0: never)")
    parser.add_argument("--retry-after", metavar="MINUTES", help="minutes before each retry, such as 30,60,120")
    parser.add_argument("--retry-on", metavar="STATUSES", help="no-answer,busy,failed,error: retry after these")
    parser.add_argument("--retry-voicemail", action="store_true", help="retry after a machine answered")


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="from_numbers", action="append", metavar="NUMBER", help="caller id")
    parser.add_argument("--policy", help="calling rules by name, or name@version")
    parser.add_argument("--purpose", help="what the calls are for, such as marketing")
    parser.add_argument("--expires-after", type=int, metavar="MINUTES", help="no attempt starts later than that")
    parser.add_argument("--bypass-guardrails", action="store_true", help="call outside the calling hours too")
    parser.add_argument(
        "--idempotency-key", metavar="KEY", help="the same key and request: one call only; default: new"
    )


def _watching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between two polls; default: 2")


def _execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("execution", metavar="EXECUTION", help="execution id")


def _batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("batch", metavar="BATCH", help="batch id")


# ---- options of each command ----------------------------------------------------------------------------------------


def _login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the API's URL")
    parser.add_argument("--stack", metavar="NAME", help="read the URL from the outputs of this CloudFormation stack")
    parser.add_argument("--region", help="the stack's AWS region")
    parser.add_argument("--key", help="the API key; without it you are asked, and `-` reads it from stdin")
    parser.add_argument("--name", help="the profile's name; default: the URL's host")


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="profile")


def _call_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="the number to call, in E.164: +12025550123")
    _agent(parser)
    _retries(parser)
    _rules(parser)
    parser.add_argument("--at", metavar="TIME", help="first dial, with an offset: 2026-01-26T10:00:00Z")
    parser.add_argument("--time-zone", metavar="ZONE", help="the called person's, such as Europe/Berlin")
    parser.add_argument("--data", action="append", metavar="NAME=VALUE", help="user data; repeat it, or a JSON object")


def _call(parser: argparse.ArgumentParser) -> None:
    _call_to(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--plan", action="store_true", help="show when each attempt would be made; call nothing")
    either.add_argument("--watch", action="store_true", help="follow the call to its end")
    _watching(parser)


def _logs(parser: argparse.ArgumentParser) -> None:
    _execution(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="until the call is over")
    _watching(parser)


def _listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--forward", required=True, metavar="URL", help="where each event is posted")
    _agent(parser)
    parser.add_argument("--batch", metavar="BATCH", help="calls of this batch only")
    parser.add_argument("--secret", help="sign with this secret, whsec_…; default: a new one, which is printed")
    parser.add_argument("--count", type=int, metavar="N", help="end after N events")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="the N newest calls; default: 50")
    _watching(parser)


def _trigger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "outcome", nargs="+", metavar="OUTCOME", help=f"of each attempt: {', '.join(OUTCOMES)}, refused-<code>"
    )
    parser.add_argument("--to", default="+12025550199", metavar="NUMBER", help="default: +12025550199")
    parser.add_argument("--no-advance", action="store_true", help="wait for the clock instead of advancing it")
    parser.add_argument("--carrier-url", metavar="URL", help="emulated carrier; REDIAL_CARRIER_URL, or the next port")
    _agent(parser)
    _retries(parser)
    _watching(parser)


def _clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("minutes", nargs="?", type=float, metavar="MINUTES", help="advance it so far")


def _suppress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", nargs="?", metavar="NUMBER", help="without it: list the suppressions")
    parser.add_argument("--remove", action="store_true", help="remove the number's suppression")
    parser.add_argument("--reason", help="shown with the calls that it ends")
    parser.add_argument("--purpose", help="only calls for this purpose")
    parser.add_argument("--agent", help="only calls of this agent, by id or name")


def _stats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", help="of this agent, by id or name; default: of the account")
    parser.add_argument("--batch", metavar="BATCH", help="of this batch")
    parser.add_argument("--from", dest="since", metavar="DAY", help="first day, UTC; default: 30 days ago")
    parser.add_argument("--to", dest="until", metavar="DAY", help="last day, UTC")
    parser.add_argument("--by", action="append", choices=BREAKDOWNS, help="repeat it; default: attempt and gap")


def _open(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--print", dest="print_only", action="store_true", help="print the URL only")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def _batch_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="CSV with a column contact_number")
    _agent(parser)
    _retries(parser)
    _rules(parser)
    parser.add_argument("--calls-per-second", type=float, metavar="N", help="most calls started per second")
    parser.add_argument("--webhook-url", metavar="URL", help="where the batch's own events go")
    parser.add_argument("--start", action="store_true", help="start as soon as the file has been read")
    parser.add_argument("--watch", action="store_true", help="follow it to its end (with --start)")
    _watching(parser)


def _batch_schedule(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--at", metavar="TIME", help="2 minutes to 30 days ahead, with an offset")
    when.add_argument("--in", dest="minutes", type=float, metavar="MINUTES", help="so many minutes from now")
    parser.add_argument("--bypass-guardrails", action="store_true", help="call outside the calling hours too")


def _batch_preflight(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    parser.add_argument("--at", metavar="TIME", help="as if it started then; default: now")
    parser.add_argument("--call-seconds", type=int, metavar="N", help="how long an answered call takes")


def _batch_watch(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    _watching(parser)


def _batch_results(parser: argparse.ArgumentParser) -> None:
    _batch(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the CSV there; default: stdout")
    parser.add_argument("--rejected", action="store_true", help="the rejected rows, with their reasons")


def _replay(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("execution", nargs="?", metavar="EXECUTION", help="execution id")
    which.add_argument("--batch", metavar="BATCH", help="the batch's own events")
    which.add_argument("--all", action="store_true", help="everything that `webhooks list` shows")


def _webhook_test(parser: argparse.ArgumentParser) -> None:
    _agent(parser)
    parser.add_argument("--url", metavar="URL", help="test this receiver; default: the agent's webhook_url")


def _key_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what the key is for")
    parser.add_argument("--scope", action="append", choices=SCOPES, help="what it may do; repeat it")
    parser.add_argument("--agent", action="append", metavar="AGENT", help="the only agents it sees, by id or name")
    parser.add_argument("--masked", action="store_true", help="mask phone numbers in every answer")
    parser.add_argument("--calls-a-day", type=int, metavar="N", help="the most calls it may make in a day (UTC)")
    parser.add_argument("--lines", type=int, metavar="N", help="the most calls of it that may be up at once")


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="ID", help="as `keys list` shows it")


def _item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("item", metavar="ID", help="as `attention list` shows it")


COMMANDS: tuple[tuple[str, str, str, Add], ...] = (
    ("login", "login:login", "store an API's URL and key as a profile", _login),
    ("call", "calls:call", "call a number, and again until it is answered", _call),
    ("plan", "calls:plan", "show when each attempt of a call would be made", _call_to),
    ("stop", "calls:stop", "stop a call before it is answered", _execution),
    ("logs", "calls:logs", "show what happened to a call", _logs),
    ("listen", "listen:listen", "forward events to a receiver on this machine, signed", _listen),
    ("trigger", "local:trigger", "local stack: script the carrier, call, and show what happens", _trigger),
    ("clock", "local:clock", "local stack: show the clock, or advance it", _clock),
    ("suppress", "operate:suppress", "stop calling a number; list or remove suppressions", _suppress),
    ("stats", "operate:stats", "how well retries work", _stats),
    ("doctor", "doctor:doctor", "check the installation, and say what to do", _nothing),
    ("open", "login:open_console", "open the console in a browser", _open),
    ("completion", "completion:script", "print the completion script of a shell", _completion),
)
"""Name, `run`, help and options."""
GROUPS: tuple[tuple[str, str, tuple[tuple[str, str, str, Add], ...]], ...] = (
    (
        "profile",
        "list, choose and remove stored profiles",
        (
            ("list", "login:profile_list", "list the profiles; * is the current one", _nothing),
            ("use", "login:profile_use", "make a profile the current one", _name),
            ("remove", "login:profile_remove", "remove a profile", _name),
        ),
    ),
    (
        "batch",
        "calls to the contacts of a CSV file",
        (
            ("create", "batches:create", "create a batch; it waits for its start", _batch_create),
            ("list", "batches:list_batches", "list an agent's batches, newest first", _agent),
            ("preflight", "batches:preflight", "what starting it would mean", _batch_preflight),
            ("schedule", "batches:schedule", "set when it starts", _batch_schedule),
            ("watch", "batches:watch", "follow it to its end", _batch_watch),
            ("pause", "batches:pause", "start no call until it is resumed", _batch),
            ("resume", "batches:resume", "resume it", _batch),
            ("stop", "batches:stop", "stop unanswered calls; answered ones finish", _batch),
            ("results", "batches:results", "the rows as uploaded, with the result of each", _batch_results),
        ),
    ),
    (
        "webhooks",
        "deliveries of events",
        (
            ("list", "operate:webhooks_list", "events that their receivers did not accept", _nothing),
            ("replay", "operate:webhooks_replay", "send them again", _replay),
            ("test", "operate:webhooks_test", "send a signed test event, and show what it answered", _webhook_test),
        ),
    ),
    (
        "attention",
        "what holds calls back until a person acts",
        (
            ("list", "operate:attention_list", "list the items, with what to do", _nothing),
            ("resolve", "operate:attention_resolve", "try again now, once it is mended", _item),
        ),
    ),
    (
        "keys",
        "API keys of the account; they need a key with scope admin",
        (
            ("list", "operate:keys_list", "list the keys, with their last use", _nothing),
            ("create", "operate:keys_create", "make a key and show it once", _key_create),
            ("revoke", "operate:keys_revoke", "revoke a key", _key),
        ),
    ),
)
"""Name, help and the group's commands."""
