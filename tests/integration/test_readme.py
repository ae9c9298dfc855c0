"""The README and docs/ agree with the system: their commands print what is shown, their tables are complete.

A fenced block under `<!-- run: name -->` is run unchanged, in the page's order, in one shell and against one new
local stack per page; curl's own configuration leads its requests to that stack's ports. A block under
`<!-- output: name -->` is the output of that run; … marks omissions. Times, ids and signatures differ.
"""

import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from functions.sweep import handler as sweep
from local import ROOT
from local.__main__ import PARAMETERS, main
from local.carriers.course import OUTCOMES
from local.stack import LocalStack
from local.web.inbox import Delivery
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.idempotency import REMEMBERED
from redial.api import (
    agent_config,
    answers,
    app,
    calls,
    contact_limits,
    fields,
    holidays,
    listings,
    service,
    webhooks,
)
from redial.api import batches as api_batches
from redial.api import keys as api_keys
from redial.carriers.twilio import twiml
from redial.domain import questions
from redial.domain.agent import Agent
from redial.domain.contact_limits import MOST_ATTEMPTS, MOST_CAPS
from redial.domain.policy import MAX_VERSION
from redial.domain.queue import MAX_KEY_LINES
from redial.domain.retry import MAX_INTERVAL_MINUTES, MAX_RETRIES, RetryConfig
from redial.domain.status import FINAL, Status
from redial.ports import FILTER_LIMIT
from redial.runtime import keys, settings
from redial.usecases import batches, create_call
from redial.usecases.policies import MOST_POLICIES
from redial.usecases.run_batch import WRITERS
from redial.usecases.sweep import QUESTIONS_AT_ONCE
from redial.wire import contacts_csv
from redial.wire.stored_execution import DUE_SHARDS
from tests.support.local_stack import local_stack
from tests.support.template import functions, template

_BLOCK = re.compile(
    r"^<!-- (run|output): ([a-z0-9-]+)(, the last)? -->\n```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
README = (ROOT / "README.md").read_text()
PAGES = {"README.md": README} | {page.name: page.read_text() for page in sorted(ROOT.glob("docs/*.md"))}
TEXT = "\n".join(PAGES.values())
BLOCKS = [(page, *block) for page, text in PAGES.items() for block in _BLOCK.findall(text)]
RUNS = {name: text for _, kind, name, _, text in BLOCKS if kind == "run"}
OUTPUTS = {name: text for _, kind, name, _, text in BLOCKS if kind == "output"}
LAST = {name for _, _, name, last, _ in BLOCKS if last}
ELSEWHERE = {"verify", "demo"}
"""Blocks that have their own tests."""
TWICE = {"idempotent"}
HOUR = timedelta(hours=1)

_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"v1,[A-Za-z0-9+/]{43}="), "<signature>"),
    (re.compile(r"^\d{10}$"), "<seconds>"),
    (re.compile(r"^date: .* GMT$", re.MULTILINE), "<date>"),
)


def settled(text: str) -> str:
    """`text` without the parts that differ from run to run."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


def values(text: str) -> list[Any]:
    """The consecutive JSON values in `text`; … may replace members of an object or a list."""
    text = text.replace("{…}", '{"…": 0}').replace("[…]", '["…"]')
    text = re.sub(r"^\s*…$", '"…": 0', text, flags=re.MULTILINE).strip()
    found, position = [], 0
    while position < len(text):
        value, position = json.JSONDecoder().raw_decode(text, position)
        found.append(value)
        position += len(text[position:]) - len(text[position:].lstrip())
    return found


def differences(shown: Any, real: Any, where: str = "") -> list[str]:
    """The differences between a page's value and the actual one."""
    if isinstance(shown, dict) and isinstance(real, dict):
        missing = shown.keys() - real.keys() - {"…"}
        more = real.keys() - shown.keys() if "…" not in shown else set()
        wrong = [f"{where}.{key}: only in {'the page' if key in missing else 'the output'}" for key in missing | more]
        both = [key for key in shown if key in real]
        return wrong + [one for key in both for one in differences(shown[key], real[key], f"{where}.{key}")]
    if isinstance(shown, list) and isinstance(real, list):
        if shown == ["…"]:
            return [] if real else [f"{where}: is empty"]
        if len(shown) != len(real):
            return [f"{where}: {len(shown)} shown, {len(real)} came out"]
        pairs = enumerate(zip(shown, real, strict=True))
        return [one for index, (a, b) in pairs for one in differences(a, b, f"{where}[{index}]")]
    if isinstance(shown, str) and isinstance(real, str):
        shown, real = settled(shown), settled(real)
    return [] if shown == real and type(shown) is type(real) else [f"{where}: {shown!r} shown, {real!r} came out"]


def table(header: str) -> list[list[str]]:
    """The rows of the table whose first line begins with `header`: each cell's text, `` ` `` included."""
    lines = iter(TEXT.splitlines())
    assert next((line for line in lines if line.startswith(header)), None), f"no table {header}"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows


def code(cell: str) -> str:
    """The text in a cell's backticks."""
    return cell.split("`")[1]


# ---- commands -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Played:
    """Each block's output, and the webhooks caused by a page's commands, by page."""

    printed: dict[str, str]
    received: dict[str, list[Delivery]]
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    played = Played({}, {}, ())
    commands_of_readers = tmp_path_factory.mktemp("commands")
    for page in PAGES:
        commands = {name: text for where, kind, name, _, text in BLOCKS if (where, kind) == (page, "run")}
        commands = {name: text for name, text in commands.items() if name not in ELSEWHERE}
        if not commands:
            continue
        received: list[Delivery] = []
        with local_stack(start_at=None, tell=received.append) as client:
            stack = client.stack
            played.printed |= run_in_one_shell(commands, stack, commands_of_readers)
            account = DynamoAccounts(boto3.client("dynamodb"), stack.environment["TABLE_NAME"]).get("local")
            assert account is not None
            played.secrets = account.webhook_secrets
            client.assert_sound()
        played.received[page] = received
    return played


def run_in_one_shell(commands: dict[str, str], stack: LocalStack, folder: Path) -> dict[str, str]:
    """Return the output of each command, run in order.

    `folder` receives what a reader has: an `aws` command for the deployed stack's table, `make` with everything
    installed, and `redial`. Requests to the ports of `make run` go to those of `stack`.
    """
    ports = {3000: stack.url, 3001: stack.carrier_url, 3002: stack.inbox_url}
    connections = [f'connect-to = "127.0.0.1:{port}:{urlsplit(url).netloc}"' for port, url in ports.items()]
    (folder / ".curlrc").write_text("\n".join([*connections, 'noproxy = "*"', ""]))
    make = shutil.which("make")
    words = f'for word do shift; [ "$word" = http://127.0.0.1:3000 ] && word={stack.url}; set -- "$@" "$word"; done'
    redial = f'{words}\nexec {sys.executable} -m redial_client.cli "$@"'
    for name, line in (
        ("redial", redial),
        ("aws", f"echo {stack.environment['TABLE_NAME']}"),
        ("make", f'exec {make} -o .venv/ready "$@"'),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    mark = "--- output of "
    script = "".join(
        f"printf '\\n{mark}{name}\\n'\n{command}\n" * (2 if name in TWICE else 1) for name, command in commands.items()
    )
    environment = {
        **os.environ,
        "CURL_HOME": str(folder),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL_DYNAMODB": f"{stack.url}/_local/dynamodb",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "PYTHONPATH": str(ROOT / "clients/python"),
        "REDIAL_CARRIER_URL": stack.carrier_url,
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    done = subprocess.run(
        ["sh", "-ec", script], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return dict(part.split("\n", 1) for part in done.stdout.split(mark)[1:])


def test_the_readmes_commands_are_complete() -> None:
    """No command has a placeholder for a value that the reader would have to copy, and all that can run here do."""
    for page in ("README.md", "keys.md", "operating.md", *sorted({page for page, kind, *_ in BLOCKS if kind == "run"})):
        for block in re.findall(r"^```bash\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL):
            assert re.findall(r"<[A-Za-z_]+>|…|\.\.\.", block) == [], f"{page}: {block}"
    alone = re.findall(r"(?<!-->\n)^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert [block.split()[0:2] for block in alone] == [
        ["make", "run"],
        ["make", "test"],
        ["aws", "secretsmanager"],
        ["make", "build"],
    ]


def test_the_readme_makes_a_key_that_authenticates(played: Played) -> None:
    made = json.loads(played.printed["account"])
    assert (made["name"], made["api_key"][:4]) == ("production", "rdl_")


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name not in ELSEWHERE])
def test_a_command_prints_what_its_page_shows(name: str, played: Played) -> None:
    real, shown = played.printed[name].replace("\r\n", "\n").strip(), OUTPUTS[name].strip()
    if shown.startswith("HTTP/"):
        assert settled(real).splitlines() == settled(shown).splitlines()
        return
    came = values(real)
    assert differences(values(shown), [came[0][-1]] if name in LAST else came) == []


def test_every_output_is_of_a_command_and_every_command_was_run(played: Played) -> None:
    assert OUTPUTS.keys() - {"demo"} <= RUNS.keys()
    assert played.printed.keys() == RUNS.keys() - ELSEWHERE


def test_the_first_call_causes_as_many_webhooks_as_the_readme_says(played: Played) -> None:
    assert f"the {len(played.received['README.md'])} webhooks" in README


def test_the_inbox_has_the_events_that_the_page_on_webhooks_lists(played: Played) -> None:
    sentence = re.search(r"^Five events, oldest first: (.*?)\. This is the last one", TEXT, re.MULTILINE | re.DOTALL)
    assert sentence is not None
    received = [one.body for one in played.received["webhooks.md"] if one.body["type"] != "webhook.test"]
    statuses = [body["status"] for body in received]
    assert re.findall(r"`([a-z-]+)`", sentence[1]) == statuses


def test_the_verification_example_accepts_only_our_webhooks(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    from standardwebhooks import WebhookVerificationError

    example: dict[str, Any] = {}
    exec(RUNS["verify"], example)  # noqa: S102  that is what a reader would do with it
    first = played.received["webhooks.md"][0]
    assert example["receive"](played.secrets[0], first.headers, first.raw) == first.body
    assert capsys.readouterr().out.split() == [first.body["id"], "1", "queued", "0"]
    test = played.received["webhooks.md"][-1]
    assert example["receive"](played.secrets[0], test.headers, test.raw)["type"] == "webhook.test"
    with pytest.raises(WebhookVerificationError):
        example["receive"](played.secrets[0], first.headers, first.raw + b" ")


def test_the_demo_prints_what_its_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    assert capsys.readouterr() == (OUTPUTS["demo"], "")


def test_every_command_for_keys_exists_and_takes_the_options_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        keys.main(["--help"])
    known = re.findall(r"^    ([a-z-]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    shown = [code(row[0]) for row in table("| Command |")]
    assert [line.split()[0] for line in shown] == known
    for line in (*shown, *re.findall(r'make (?:-s )?keys (?:LOCAL=1 )?ARGS="([^"]*)"', TEXT)):
        with pytest.raises(SystemExit) as end:
            keys.main([*shlex.split(line), "--help"])
        assert end.value.code == 0
        known_options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert set(re.findall(r"--[a-z-]+", line)) <= known_options, line


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_the_routes_are_those_of_the_openapi_document() -> None:
    paths = json.loads(service.openapi_document())["paths"]
    documented = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    assert {code(row[0]) for row in table("| Route |")} == documented


def test_the_parameters_are_the_templates() -> None:
    shown = {code(row[0]): "" if row[1] == "empty" else code(row[1]) for row in table("| Parameter |")}
    assert shown == {name: str(one.get("Default")) for name, one in template()["Parameters"].items()}


def test_the_functions_variables_are_those_that_they_read() -> None:
    header = next(line for line in TEXT.splitlines() if line.startswith("| Variable | api"))
    names = [cell.strip() for cell in header.strip("|").split("|")][1:-1]
    shown = {name: {code(row[0]) for row in table("| Variable | api") if row[1 + at]} for at, name in enumerate(names)}
    assert shown == {name: set(function["Environment"]) for name, function in functions().items()}
    for name, variables in shown.items():
        assert {one for one in variables if not one.startswith("POWERTOOLS_")} == set(settings.VARIABLES[name])


def test_the_local_stacks_variables_are_those_that_it_reads() -> None:
    source = (ROOT / "local/__main__.py").read_text()
    described = source.split('"""')[1]
    read = set(re.findall(r'(?:_number\(|os\.environ\.get\()"([A-Z_]+)"', source))
    shown = {code(row[0]): code(row[1]) for row in table("| Variable | Default |")}
    assert shown.keys() == read
    assert all(f"{name} ({default})" in described for name, default in shown.items())
    page = (ROOT / "docs/settings.md").read_text()
    assert all(f"`{name}`" in page and f"`{parameter}`" in page for name, parameter in PARAMETERS.items())


def test_the_statuses_are_complete_and_mark_the_final_ones() -> None:
    shown = {code(row[0]): row[1].startswith("Final") for row in table("| Status |")}
    assert shown == {str(status): status in FINAL for status in Status}


def test_the_retry_configurations_defaults() -> None:
    config = RetryConfig()
    real = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    shown = {code(row[0]): json.loads(code(row[1])) for row in table("| Field |")}
    assert shown == json.loads(json.dumps(real))


def test_the_agent_configurations_defaults() -> None:
    shown = {code(row[0]): row[1] for row in table("| Key of `agent_config` |")}
    assert shown.keys() == agent_config.AgentConfig.model_fields.keys()
    defaults = {field.name: field.default for field in dataclasses.fields(Agent)}
    for name in ("max_concurrent_calls", "ring_timeout_seconds", "max_call_seconds", "voicemail_detection"):
        assert json.loads(code(shown[name])) == defaults[name], name
    assert code(shown["telephony_provider"]) == agent_config.DEFAULT_CARRIER
    assert defaults["provider"] is None


def test_the_limits() -> None:
    shown = dict([cell.replace("`", "") for cell in row] for row in table("| Item | Limit |"))
    earliest, latest = create_call.EARLIEST.seconds // 60, create_call.LATEST // (24 * HOUR)
    remembered = REMEMBERED // HOUR
    callbacks = template()["Parameters"]["CallbacksPerSecond"]["Default"]
    (at_once,) = {template()["Parameters"][name]["Default"] for name in ("DialsAtOnce", "DeliveriesAtOnce")}
    assert shown == {
        "Request body": f"{app.MAX_BODY_BYTES // 1024} KiB of JSON, nested at most {fields.MAX_DEPTH} deep",
        "Answer": (
            f"{answers.MAX_ANSWER_BYTES:,} bytes, encoded as a JSON string, and {listings.MOST_ROWS:,} rows "
            f"({api_batches.MOST_BATCHES} batches); longer listings come in parts"
        ),
        "user_data": f"{calls.MAX_USER_DATA_BYTES // 1024} KiB as JSON",
        "An agent's configuration": f"{agent_config.MAX_CONFIG_BYTES:,} bytes as JSON",
        "stream_url with Twilio": (f"{twiml.MAX_CHARACTERS:,} characters of TwiML; each query parameter adds about 30"),
        "Carriers' callbacks": (
            f"{callbacks} per second (CallbacksPerSecond), enough for about {callbacks * 3 // 10} attempts per second"
        ),
        "Concurrent runs of dial and of deliver": (
            f"{at_once} each (DialsAtOnce, DeliveriesAtOnce: 2 to 1,000); "
            "further messages wait, at most half an hour for dial and an hour for deliver"
        ),
        "max_concurrent_calls": f"1 to {agent_config.MAX_CONCURRENT_CALLS}",
        "from_phone_numbers": f"{fields.MAX_FROM_PHONE_NUMBERS}",
        "ring_timeout_seconds": f"{agent_config.MIN_RING_TIMEOUT_SECONDS} to {agent_config.MAX_RING_TIMEOUT_SECONDS}",
        "max_call_seconds": f"1 to {agent_config.MAX_CALL_SECONDS:,}",
        "max_retries": f"1 to {MAX_RETRIES}",
        "retry_intervals_minutes": f"each 1 to {MAX_INTERVAL_MINUTES:,}",
        "scheduled_at": f"{earliest} minutes to {latest} days ahead",
        "Idempotency-Key": f"{fields.MAX_IDEMPOTENCY_KEY_LENGTH} characters, remembered for {remembered} hours",
        "expires_after_minutes": f"1 to {fields.MAX_EXPIRY_MINUTES:,}",
        "Policies of an account": f"{MOST_POLICIES}, each with up to {MAX_VERSION:,} versions",
        "holidays": f"{holidays.MAX_REGIONS} countries or parts of countries; this year and next year",
        "attempts_per_window": f"1 to {MAX_RETRIES + 1}",
        "Simultaneous calls to one number": "1 per account",
        "contact_limits": (
            f"{MOST_CAPS} caps of 1 to {MOST_ATTEMPTS} attempts in 1 to {contact_limits.MAX_HOURS} hours; "
            f"a pause of 1 to {contact_limits.MAX_HOURS} hours; an account's limits take effect within 10 seconds"
        ),
        "timeout_seconds of a scrub or a pre-dial hook": f"1 to {agent_config.MAX_ASK_SECONDS}; answer up to 4 KB",
        "defer_until of a pre-dial hook": (
            f"1 minute to {questions.LONGEST_DEFERRAL.days} days ahead, {questions.MOST_DEFERRALS} times per attempt"
        ),
        "A scrub's verdict": f"kept for at most {questions.LONGEST_VERDICT.days} days",
        "page_size of executions": "50",
        "file of a batch": (
            f"{api_batches.MAX_UPLOAD_BYTES // 1024**2} MiB in a request, "
            f"{batches.MAX_FILE_BYTES // 1024**2} MiB by upload_id; "
            f"{contacts_csv.MAX_CONTACTS:,} rows, and as many empty lines"
        ),
        "Other columns of a row": f"{contacts_csv.MAX_DATA_BYTES // 1024} KiB as JSON",
        "Phone numbers": (
            "no emergency or short numbers; premium-rate and shared-cost numbers only if the account allows them"
        ),
        "Rows checked before a batch is accepted": "100,000 rows or 32 MiB; the rest is checked while the file is read",
        "Rows stored": f"25 per request, {WRITERS} concurrent requests",
        "results.csv": (
            f"up to {api_batches.MAX_DIRECT_ROWS:,} contacts in the answer; for more, a redirect to the stored file"
        ),
        "A listing filtered by status, voicemail, carrier or number": (
            f"searches {FILTER_LIMIT:,} executions; for more, narrow from and to"
        ),
        "GET /webhooks/undelivered": f"{webhooks.MAX_UNDELIVERED} calls and batches",
        "Agents of a key that is restricted to agents": f"{api_keys.MAX_AGENTS}",
        "quotas.calls_a_day of a key": f"1 to {api_keys.MAX_CALLS_A_DAY:,}; counted per UTC day",
        "quotas.lines of a key": f"1 to {MAX_KEY_LINES}",
        "GET /audit.csv": f"{answers.MAX_ANSWER_BYTES:,} bytes; for more, export parts by from and to",
        "The sweeper": (
            f"{sweep.LIMIT} overdue items per run, the rest in up to {DUE_SHARDS} concurrent further invocations; "
            f"{DUE_SHARDS * QUESTIONS_AT_ONCE} concurrent questions to carriers, from {DUE_SHARDS} more"
        ),
    }


def test_the_emulated_carriers_outcomes_are_listed() -> None:
    sentence = re.search(r"outcomes of the next calls to it: (.*?): one for each", TEXT, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`([a-z0-9-]+)`", sentence[1]) == list(OUTCOMES)


def test_every_mentioned_file_exists() -> None:
    mentioned = re.findall(r"`((?:layers|functions|local|tests|events|docs|infrastructure)/[^`\s]*)`", TEXT)
    assert [path for path in mentioned if not (ROOT / path.partition("::")[0]).exists()] == []
    assert len(mentioned) > 20


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200
