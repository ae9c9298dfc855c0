"""Every command of `redial` against the local stack: results, --json, errors and exit codes."""

import io
import json
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from local.carriers.course import OUTCOMES
from redial.domain.status import FINAL, Status
from redial_client.cli import listen, parser
from redial_client.cli.calls import FINAL as KNOWN_FINAL
from redial_client.cli.doctor import clock_check
from redial_client.cli.exits import Exit
from redial_client.cli.output import Output
from tests.clients.conftest import Run
from tests.support.api import openapi
from tests.support.local_stack import LocalClient
from tests.support.template import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
ANN, BOB, CY = "+12025550141", "+12025550142", "+12025550143"
UNKNOWN = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


# ---- start ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["call", "--help"], ["__complete", "batch", ""]])
def test_help_and_completion_import_neither_requests_nor_rich(arguments: list[str]) -> None:
    """Modules are counted, since times differ between machines."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "from redial_client.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print('\\n'.join(sorted(set(sys.modules) - before)), file=sys.stderr)"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = [{str(ROOT / 'clients/python')!r}]\n{program}"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stderr.split()
    assert not {"requests", "rich", "urllib3", "redial_client.client"} & set(loaded)
    assert "argparse" in loaded and len(loaded) < 60, loaded


def test_the_names_that_the_command_repeats_are_the_systems() -> None:
    assert parser.OUTCOMES == OUTCOMES
    operations = [one for path in openapi()["paths"].values() for one in path.values()]
    assert set(parser.SCOPES) == {one["x-required-scope"] for one in operations if "x-required-scope" in one}
    assert {str(status) for status in FINAL} == KNOWN_FINAL
    assert {str(status) for status in Status} == listen.STATUSES


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rocket"], "invalid choice: 'rocket'"),
        (["call"], "the following arguments are required: NUMBER"),
        (["call", ANN, "--plan", "--watch"], "not allowed with argument"),
        (["call", ANN, "--retries", "many"], "argument --retries: invalid int value: 'many'"),
        (["batch"], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(arguments: list[str], error: str, run: Run) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (Exit.USAGE, "")
    first, second = done.err.splitlines()
    assert first.startswith("error: ") and error in first
    assert second.startswith("run: redial ") and second.endswith(" --help")


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_else_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with Output(as_json=True).progress("uploading") as advance:
            advance(10, 40, "bytes")
            advance(40, 40, "bytes")
        shown = stream.getvalue()
        if stream.isatty():
            assert "uploading" in shown and "40/40" in shown and "bytes" in shown
        else:
            assert shown == "uploading …\n"


# ---- profiles -------------------------------------------------------------------------------------------------------


def test_profiles_are_stored_for_their_user_only(run: Run, local: LocalClient, settings: Path) -> None:
    url, key = local.stack.url, local.stack.api_key
    done = run("login", "--url", f"{url}/", "--key", key, "--name", "here")
    assert (done.code, done.out) == (0, f"Logged in to {url} as Local account. Profile 'here' is the current one.\n")
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600 and [one.name for one in settings.parent.iterdir()] == [
        settings.name
    ]
    assert run("login", "--url", url, "--key", key, "--json").json["profile"] == "127.0.0.1"
    assert run("profile", "list", "--json").json == [
        {"name": "127.0.0.1", "url": url, "current": True},
        {"name": "here", "url": url, "current": False},
    ]
    assert run("profile", "use", "here").code == 0
    shown = run("profile", "list").out
    assert "*   here" in shown and key not in shown
    assert run("stats", "--json").code == run("--profile", "127.0.0.1", "stats").code == 0
    assert run("profile", "remove", "here", "--json").json == {"removed": "here", "current": "127.0.0.1"}
    for arguments in (["profile", "use", "here"], ["stats", "--profile", "here"]):
        done = run(*arguments)
        assert (done.code, done.err.splitlines()) == (
            Exit.NOT_FOUND,
            ["error: profile: 'here' is unknown", "profiles: 127.0.0.1"],
        )


def test_the_environment_overrides_profiles(
    run: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch, settings: Path
) -> None:
    done = run("stats")
    assert (done.code, done.err.splitlines()[0]) == (Exit.KEY, "error: there is no API to use: no profile is stored")
    monkeypatch.setenv("REDIAL_URL", local.stack.url)
    assert "REDIAL_API_KEY is not set" in run("stats").err
    assert run("login", "--url", local.stack.url, "--key", local.stack.api_key, "--name", "a").code == 0
    assert run("stats").code == 0, "it is the profile's own URL"
    monkeypatch.setenv("REDIAL_API_KEY", "rdl_wrong")
    assert run("stats").code == Exit.KEY
    assert run("stats", "--profile", "a").code == 0, "the option decides"
    monkeypatch.delenv("REDIAL_API_KEY")
    monkeypatch.setenv("REDIAL_URL", "http://127.0.0.1:1")
    done = run("stats")
    assert (done.code, done.err.splitlines()[0]) == (Exit.KEY, "error: REDIAL_URL is not the URL of profile 'a'")
    monkeypatch.delenv("REDIAL_URL")
    monkeypatch.setenv("REDIAL_PROFILE", "b")
    assert run("stats").code == Exit.NOT_FOUND
    settings.write_text("{}")
    done = run("profile", "list")
    assert (done.code, "cannot be read as a file of profiles" in done.err) == (Exit.USAGE, True)
    settings.unlink()
    settings.mkdir()
    done = run("profile", "list")
    assert (done.code, "cannot be read: Is a directory" in done.err) == (Exit.FAILED, True)


def test_a_login_is_refused_with_what_to_do(run: Run, local: LocalClient, settings: Path) -> None:
    cases: list[tuple[list[str], Exit, str]] = [
        ([], Exit.USAGE, "give either --url or --stack"),
        (["--url", "localhost:3000", "--key", "x"], Exit.USAGE, "url: 'localhost:3000' is not one"),
        (["--url", local.stack.url, "--key", "wrong"], Exit.KEY, ""),
        (["--url", "http://127.0.0.1:1", "--key", "x"], Exit.UNREACHABLE, "http://127.0.0.1:1 did not answer: "),
    ]
    for arguments, code, message in cases:
        done = run("login", *arguments, sleep=lambda _: None)
        assert (done.code, done.out) == (code, "") and done.err.startswith(f"error: {message}"), arguments
        assert len(done.err.splitlines()) == 2
    assert not settings.exists()


def test_the_url_is_read_from_a_stack(run: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from botocore.stub import Stubber

    client = boto3.client(
        "cloudformation", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    stack: dict[str, Any] = {
        "StackName": "redial",
        "CreationTime": "2026-01-01T00:00:00Z",
        "StackStatus": "CREATE_COMPLETE",
    }
    outputs = [{"OutputKey": "ApiUrl", "OutputValue": local.stack.url}]
    with Stubber(client) as stubber:
        stubber.add_response("describe_stacks", {"Stacks": [stack | {"Outputs": outputs}]}, {"StackName": "redial"})
        stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "other"})
        stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id none does not exist")
        login = ["login", "--key", local.stack.api_key, "--json"]
        assert run(*login, "--stack", "redial").json["url"] == local.stack.url
        assert "has no output ApiUrl" in run(*login, "--stack", "other").err
        done = run(*login, "--stack", "none")
        assert (done.code, "does not exist" in done.err) == (Exit.NOT_FOUND, True)


def test_the_console_is_opened(redial: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    url = f"{local.stack.url}/console"
    assert redial("open", "--print", "--json").json == {"url": url}

    def opens(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", opens)
    assert (redial("open").out, opened) == (f"{url}\n", [url])
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    done = redial("open")
    assert (done.code, done.err.splitlines()) == (Exit.FAILED, ["error: no browser could be started", f"open {url}"])


# ---- calls ----------------------------------------------------------------------------------------------------------


def test_a_call_is_planned_made_watched_and_read(redial: Run, local: LocalClient) -> None:
    options = [ANN, "--agent", "First agent", "--retries", 2, "--retry-after", "15,30", "--data", "name=Ann"]
    planned = redial("plan", *options, "--json").json
    assert [one["attempt"] for one in planned["attempts"]] == [1, 2, 3]
    shown = redial("call", *options, "--plan").out
    assert "America/New_York" in shown and "At most 3 calls, then: all 2 retries used." in shown
    assert local.calls(ANN) == []

    local.script(ANN, "no-answer", "completed")
    done = redial("call", *options, "--watch", sleep=lambda _: local.advance(10))
    lines = done.out.splitlines()
    assert (done.code, lines[-1]) == (0, "It is over after 2 attempts: answered.")
    assert [line.split()[2] for line in lines[1:-1] if "webhook" not in line][:5] == [
        "queued", "claimed", "initiated", "ringing", "no-answer",
    ]  # fmt: skip
    execution_id = lines[0].split()[1]
    execution = local.execution(execution_id)
    assert execution["context_details"]["recipient_data"] == {"name": "Ann"}
    assert execution["retry_config"]["retry_intervals_minutes"] == [15, 30]

    logged = [json.loads(line) for line in redial("logs", execution_id, "--json").out.splitlines()]
    assert logged == local.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert redial("logs", "-f", execution_id).out.splitlines()[:-1] == lines[1:-1][: len(logged) - 1]


def test_a_watched_call_that_is_not_answered_fails(redial: Run, local: LocalClient) -> None:
    local.script(BOB, "busy")
    done = redial("call", BOB, "--retries", 0, "--watch", "--json", sleep=lambda _: local.advance(1))
    assert (done.code, done.json["status"]) == (Exit.FAILED, "busy")
    assert "It is over after 1 attempt: busy." in done.err


def test_a_call_is_stopped(redial: Run, local: LocalClient) -> None:
    at = (local.stack.clock.now() + timedelta(hours=1)).isoformat()
    created = redial("call", CY, "--at", at, "--json").json
    assert redial("stop", created["execution_id"], "--json").json["status"] == "stopped"
    done = redial("stop", created["execution_id"])
    assert (done.code, done.out) == (Exit.REFUSED, "")


def test_the_same_idempotency_key_makes_one_call(redial: Run) -> None:
    same = ["call", CY, "--idempotency-key", "order-1", "--json"]
    assert redial(*same).json == redial(*same).json
    done = redial(*same, "--retries", 1)
    assert done.code == Exit.REFUSED and done.json["status"] == 409


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["call", "12"], Exit.REFUSED, "NUMBER: is not E.164"),
        (["call", ANN, "--retries", "9"], Exit.REFUSED, "--retries: must be at most 3"),
        (["call", ANN, "--at", "soon"], Exit.REFUSED, "--at: "),
        (["call", ANN, "--from", "1"], Exit.REFUSED, "--from: "),
        (["call", ANN, "--expires-after", "0"], Exit.REFUSED, "--expires-after: "),
        (["call", ANN, "--retry-after", "x"], Exit.USAGE, "--retry-after: 'x' is not a number of minutes"),
        (["call", ANN, "--data", "name"], Exit.USAGE, "--data: 'name' has no ="),
        (["call", ANN, "--data", "{"], Exit.USAGE, "--data: not a JSON object"),
        (["call", ANN, "--agent", "Third"], Exit.NOT_FOUND, "agent: no agent 'Third'; agents: First agent"),
        (["logs", UNKNOWN], Exit.NOT_FOUND, ""),
        (["batch", "create", "none.csv"], Exit.FAILED, "none.csv: No such file or directory"),
        (["batch", "create", "x.csv", "--watch"], Exit.USAGE, "--watch needs --start"),
        (["batch", "schedule", UNKNOWN, "--at", "soon"], Exit.REFUSED, "--at: "),
        (["attention", "resolve", "twilio"], Exit.NOT_FOUND, ""),
        (["stats", "--from", "soon"], Exit.REFUSED, "--from: "),
        (["suppress", "12"], Exit.REFUSED, "NUMBER: is not E.164"),
        (["suppress", "--remove"], Exit.USAGE, "NUMBER: is missing"),
        (["trigger", "rocket"], Exit.REFUSED, ""),
        (["clock", "-1"], Exit.REFUSED, "Send "),
        (["listen", "--forward", "laptop"], Exit.USAGE, "url: 'laptop' is not one"),
        (["listen", "--forward", "http://127.0.0.1:1", "--secret", "x"], Exit.USAGE, "--secret: "),
    ],
)
def test_an_error_names_the_argument_in_one_or_two_lines(
    arguments: list[str], code: Exit, error: str, redial: Run
) -> None:
    done = redial(*arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {error}") and len(done.err.splitlines()) <= 2, done.err
    as_json = redial(*arguments, "--json")
    assert (as_json.code, as_json.json["exit_code"], as_json.err) == (code, code, done.err)
    assert f"error: {as_json.json['error']}" == done.err.splitlines()[0]


def test_a_key_without_the_scope_and_an_api_that_fails(
    run: Run, redial: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIAL_API_KEY", "rdl_wrong")
    done = run("stats")
    assert (done.code, done.err.splitlines()[1]) == (Exit.KEY, "run: redial login, or correct REDIAL_API_KEY")
    monkeypatch.setenv("REDIAL_URL", local.stack.inbox_url)
    waits: list[float] = []
    assert run("stats", sleep=waits.append).code == Exit.NOT_FOUND, "it is another server"
    monkeypatch.setenv("REDIAL_URL", "http://127.0.0.1:1")
    assert (run("stats", sleep=waits.append).code, len(waits)) == (Exit.UNREACHABLE, 3)


def test_ctrl_c_ends_without_a_traceback(redial: Run, local: LocalClient) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    done = redial(
        "call", CY, "--at", (local.stack.clock.now() + timedelta(days=1)).isoformat(), "--watch", sleep=interrupt
    )
    assert (done.code, done.err) == (Exit.INTERRUPTED, "interrupted\n")


# ---- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_is_created_checked_held_and_finished(redial: Run, local: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("contact_number,name\n+12025550151,Ann\n+12025550152,Bob\n12,Cy\n")
    local.script("+12025550151", "no-answer", "completed")
    local.script("+12025550152", "completed")
    batch = redial("batch", "create", file, "--retries", 1, "--retry-after", 5, "--calls-per-second", 5, "--json").json
    batch_id = batch["batch_id"]
    found = redial("batch", "preflight", batch_id, "--json", sleep=lambda _: local.advance(1)).json
    assert (found["to_be_called"], found["worst_case_calls"]) == (2, 4)
    shown = redial("batch", "preflight", batch_id, "--call-seconds", 60).out
    assert "to be called           2" in shown and "At most 4 calls, 2 to a contact." in shown
    at = (local.stack.clock.now() + timedelta(minutes=3)).isoformat()
    assert redial("batch", "schedule", batch_id, "--at", at).out == f"Batch {batch_id} is scheduled.\n"
    assert redial("batch", "pause", batch_id, "--json").json["state"] == "paused"
    assert f"{batch_id}   paused" in redial("batch", "list").out
    assert redial("batch", "resume", batch_id).code == 0
    done = redial("batch", "watch", batch_id, sleep=lambda _: local.advance(3))
    assert done.code == 0 and f"Batch {batch_id} is completed." in done.out and "2 completed" in done.out
    assert redial("batch", "list", "--json").json[0]["batch_id"] == batch_id

    assert (
        redial("batch", "results", batch_id).out.encode() == local.api("GET", f"/batches/{batch_id}/results.csv").body
    )
    rows = redial("batch", "results", batch_id, "--json").json
    assert [(row["name"], row["status"], row["outcome"]) for row in rows] == [
        ("Ann", "completed", "answered"),
        ("Bob", "completed", "answered"),
    ]
    target = tmp_path / "rejected.csv"
    assert redial("batch", "results", batch_id, "--rejected", "-o", target).out == f"Wrote {target}.\n"
    assert "12,Cy,4," in target.read_text()


def test_a_batch_that_was_stopped_has_failed(redial: Run, local: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("contact_number\n+12025550153\n")
    created = redial("batch", "create", file, "--start")
    assert created.out.endswith("starts when its file has been read.\n")
    batch_id = created.out.split()[1]
    local.advance(0.1)
    assert redial("batch", "stop", batch_id).code == 0
    done = redial("batch", "watch", batch_id, "--json", sleep=lambda _: local.advance(2))
    assert (done.code, done.json["status"]) == (Exit.FAILED, "stopped")
    assert redial("batch", "create", file, "--start", "--watch", sleep=lambda _: local.advance(5)).code == 0


# ---- operation ------------------------------------------------------------------------------------------------------


def test_undelivered_events_are_listed_and_replayed(redial: Run, local: LocalClient) -> None:
    assert redial("webhooks", "list").out == "Every event was delivered.\n"
    local.stack.inbox.fail("demo", 100, 410)
    execution_id = local.call(CY)
    local.advance(5)
    assert f"{execution_id}" in redial("webhooks", "list").out
    (listed,) = redial("webhooks", "list", "--json").json["data"]
    local.stack.inbox.fail("demo", 0, 200)
    (one,) = redial("webhooks", "replay", execution_id, "--json").json
    assert one["replayed"] == [event["sequence"] for event in listed["events"]]
    assert redial("webhooks", "replay", "--all", "--json").code == 0
    local.advance(1)
    assert redial("webhooks", "list", "--json").json["data"] == []


def test_attention_items_are_listed_and_resolved(redial: Run, local: LocalClient) -> None:
    assert redial("attention", "list").out == "Nothing holds calls back.\n"
    local.script("+12025550161", "refused-20003")
    local.call("+12025550161")
    local.advance(1)
    (item,) = redial("attention", "list", "--json").json
    assert item["what_to_do"] in redial("attention", "list").out
    assert redial("attention", "resolve", item["id"], "--json").json["id"] == item["id"]
    local.script("+12025550161", "completed")
    local.advance(30)
    assert redial("attention", "list", "--json").json == []


def test_numbers_are_suppressed(redial: Run) -> None:
    number = "+12025550162"
    assert redial("suppress", number, "--reason", "asked", "--agent", "First agent").out.startswith(number)
    (rule,) = redial("suppress", "--json", "--agent", "First agent").json
    assert (rule["last_four"], rule["reason"]) == ("0162", "asked")
    assert "…0162" in redial("suppress").out
    assert redial("suppress", number, "--remove", "--agent", "First agent", "--json").json["deleted"] == 1


def test_statistics_are_shown_with_their_numbers_and_intervals(redial: Run, local: LocalClient) -> None:
    local.script("+12025550167", "busy", "completed")
    local.call("+12025550167", retry_config={"enabled": True, "retry_intervals_minutes": [1]})
    local.advance(20)
    found = redial("stats", "--json").json
    shown = redial("stats", "--by", "attempt", "--by", "country", "--agent", "First agent").out
    first = found["by_attempt"][0]
    assert f"{first['attempts']}" in shown and f"{first['rate']:.1%}" in shown and "95 % interval" in shown
    assert found["advice"][0] in shown
    for breakdown in parser.BREAKDOWNS:
        assert breakdown in redial("stats", "--by", breakdown).out


def test_doctor_says_what_is_wrong_and_what_to_do(
    redial: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {one["check"]: one for one in redial("doctor", "--json").json["checks"]}
    assert (checks["reachable"]["status"], checks["key"]["status"], checks["your clock"]["status"]) == (
        "ok",
        "ok",
        "skipped",
    )
    monkeypatch.setenv("REDIAL_URL", local.stack.url)
    monkeypatch.setenv("REDIAL_API_KEY", "wrong")
    done = redial("doctor")
    assert done.code == Exit.FAILED and "✗ key: " in done.out and "run: redial login" in done.out
    monkeypatch.setenv("REDIAL_URL", "http://redial.invalid")
    done = redial("doctor", sleep=lambda _: None)
    assert done.code == Exit.FAILED and "✗ https: " in done.out and "✗ reachable: " in done.out


@pytest.mark.parametrize(
    ("seconds", "status", "message"),
    [(-3, "ok", "3 s ahead of"), (3600, "warning", "3600 s behind"), (None, "skipped", "no header Date")],
)
def test_doctor_compares_the_clocks(seconds: int | None, status: str, message: str) -> None:
    date = None if seconds is None else format_datetime(datetime.now(UTC) + timedelta(seconds=seconds))
    check = clock_check(date)
    assert check["status"] == status and re.search(
        message.replace("3 s", "[234] s").replace("3600", "3(600|599)"), check["message"]
    )


# ---- local stack ----------------------------------------------------------------------------------------------------


def test_an_outcome_is_triggered(redial: Run, local: LocalClient) -> None:
    done = redial("trigger", "no-answer", "busy", "completed", "--to", "+12025550163")
    assert done.code == 0 and done.out.endswith("It is over after 3 attempts: answered.\n")
    assert [one["status"] for one in local.calls("+12025550163")] == ["no-answer", "busy", "completed"]
    voicemail = redial("trigger", "voicemail", "--to", "+12025550164", "--json")
    assert (voicemail.code, voicemail.json["outcome"]) == (Exit.FAILED, "voicemail")
    waits: list[float] = []

    def advance(seconds: float) -> None:
        waits.append(seconds)
        local.advance(1)

    done = redial("trigger", "failed", "--to", "+12025550165", "--no-advance", "--interval", 3, sleep=advance)
    assert (done.code, set(waits)) == (Exit.FAILED, {3.0})


def test_the_clock_is_shown_and_advanced(redial: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    before = local.stack.clock.now()
    assert redial("clock").out == f"{before:%Y-%m-%d %H:%M:%S} UTC\n"
    assert redial("clock", 90, "--json").json == {"now": local.stack.clock.now().isoformat()}
    assert local.stack.clock.now() - before == timedelta(minutes=90)
    monkeypatch.setenv("REDIAL_URL", local.stack.inbox_url)
    done = redial("clock")
    assert (done.code, "is not of a local stack" in done.err) == (Exit.NOT_FOUND, True)


def test_events_are_forwarded_once_in_order_and_signed(redial: Run, local: LocalClient) -> None:
    number = "+12025550166"
    local.script(number, "no-answer", "completed")
    made: list[str] = []

    def go_on(seconds: float) -> None:
        if made:
            local.advance(20)
        else:
            made.append(local.call(number, retry_config={"enabled": True, "max_retries": 1}))

    forward = ["listen", "--forward", f"{local.stack.inbox_url}/laptop", "--secret", local.stack.webhook_secret]
    done = redial(*forward, "--count", 9, "--json", sleep=go_on)
    assert done.code == 0 and local.stack.webhook_secret in done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [(one["sequence"], one["answer"]) for one in events] == [(number, "HTTP 200") for number in range(1, 10)]
    sent, forwarded = local.inbox("demo", made[0]), local.inbox("laptop", made[0])
    assert all(one["verified"] for one in forwarded) and len(sent) == 9
    for names in (["type", "id", "sequence", "status", "updated_at", "user_number"], sent[-1]["body"]):
        last = sent[-1:] if names is sent[-1]["body"] else sent
        assert [{name: one["body"][name] for name in names} for one in last] == [
            {name: one["body"][name] for name in names} for one in forwarded[-len(last) :]
        ]
    ids = [[one["headers"]["webhook-id"] for one in tries] for tries in (sent, forwarded)]
    assert ids[0] == ids[1]
    done = redial(
        "listen", "--forward", "http://127.0.0.1:1", "--count", 1, sleep=lambda _: made.append(local.call(CY))
    )
    assert "not sent: ConnectionError" in done.out and "signed with whsec_" in done.out


def test_the_nth_status_in_a_log_is_the_nth_event(local: LocalClient) -> None:
    """`listen` relies on this for every kind of call."""
    retries = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [5], "retry_on_voicemail": True}
    made = []
    for number, *outcomes in (
        ("+12025550181", "no-answer", "busy", "completed"),
        ("+12025550182", "voicemail", "late-detection", "failed"),
        ("+12025550183", "refused-21211"),
        ("+12025550184", "timeout-after-placing", "canceled"),
    ):
        local.script(number, *outcomes)
        made.append(local.call(number, retry_config=retries))
    made.append(local.call(CY, scheduled_at=(local.stack.clock.now() + timedelta(hours=1)).isoformat()))
    assert local.api("POST", f"/call/{made[-1]}/stop").status == 200
    local.advance(40)
    ended = set()
    for execution_id in made:
        log = local.api("GET", f"/executions/{execution_id}/log").json["data"]
        statuses = [entry["type"] for entry in log if entry["type"] in listen.STATUSES]
        execution = local.execution(execution_id)
        assert (len(statuses), statuses[-1]) == (execution["sequence"], execution["status"])
        ended.add(execution["status"])
    assert {"completed", "failed", "stopped"} <= ended
