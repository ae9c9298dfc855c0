"""The local stack over HTTP: from a request to its webhooks."""

import gc
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from local import ROOT
from local.__main__ import main
from local.aws.functions import FunctionOutput
from local.aws.requests import RealAwsRefused
from local.aws.scheduler import as_late_as_aws, at_the_minute
from local.stack import LocalStack
from local.web.server import PortTaken
from redial.runtime import system
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, LocalClient, local_stack, request

TO = "+12025550123"
PORTS = ("REDIAL_PORT", "REDIAL_CARRIER_PORT", "REDIAL_INBOX_PORT", "REDIAL_FILES_PORT")
RETRIES = {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [30, 60, 120]}
STORY = [
    "queued", "initiated", "ringing", "no-answer", "scheduled",
    "initiated", "busy", "scheduled",
    "initiated", "ringing", "in-progress", "completed",
]  # fmt: skip


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_call_is_retried_until_it_is_answered(client: LocalClient) -> None:
    client.script(TO, "no-answer", "busy", "completed")
    execution_id = client.call(TO, retry_config=RETRIES)
    client.advance(240)
    events = client.inbox(execution_id=execution_id)
    assert [one["body"]["status"] for one in events] == STORY
    assert all(one["verified"] and one["answered"] == 200 for one in events)
    calls = client.calls(TO)
    assert [call["status"] for call in calls] == ["no-answer", "busy", "completed"]
    for before, after, minutes in zip(calls, calls[1:], (30, 60), strict=False):
        waited = at(after["placed_at"]) - at(before["ended_at"])
        assert timedelta(minutes=minutes) <= waited <= timedelta(minutes=minutes, seconds=1)
    assert client.execution(execution_id)["status"] == "completed"
    assert request("GET", f"{client.stack.url}/_local/schedules").json == []
    assert client.stack.carrier.calls.problems == []
    client.assert_sound()


def test_two_runs_of_one_seed_are_equal(client: LocalClient) -> None:
    def story(client: LocalClient) -> Any:
        for number in range(5):
            client.call(f"+1202555{number:04d}", retry_config=RETRIES)
        client.advance(240)
        return client.calls(), [(one["received_at"], one["body"]) for one in client.inbox()]

    first = story(client)
    client.stack.stop()
    with local_stack() as again:
        assert story(again) == first


def test_schedules_may_fire_late_and_twice_with_the_same_result() -> None:
    late = as_late_as_aws(seed=3)
    with local_stack(firing=lambda schedule: (*late(schedule), 45.0)) as client:
        client.script(TO, "no-answer", "busy", "completed")
        execution_id = client.call(TO, retry_config=RETRIES)
        client.advance(240)
        assert [one["body"]["status"] for one in client.inbox(execution_id=execution_id)] == STORY
        assert len(client.calls(TO)) == 3
        client.assert_sound()


def test_a_retry_whose_schedule_fires_early_in_its_minute_is_dialled_on_time() -> None:
    """EventBridge Scheduler is precise to the minute: nothing guarantees that a schedule never fires seconds early."""
    with local_stack(firing=at_the_minute) as client:
        client.advance(37)
        client.script(TO, "no-answer", "busy", "completed")
        execution_id = client.call(TO, retry_config=RETRIES)
        client.advance(240)
        _, *retries = client.execution(execution_id)["attempts"]
        assert len(retries) == 2
        for attempt in retries:
            waited = at(attempt["dialed_at"]) - at(attempt["scheduled_at"])
            assert timedelta(0) <= waited <= timedelta(seconds=60), "no later than the service may be"
        client.assert_sound()


@pytest.mark.parametrize(
    ("outcome", "calls", "final"),
    [
        ("completed", 1, "completed"),
        ("no-answer", 1, "no-answer"),
        ("busy", 1, "busy"),
        ("failed", 1, "failed"),
        ("canceled", 1, "canceled"),
        ("voicemail", 1, "completed"),
        ("invalid-number", 0, "failed"),
        ("timeout-after-placing", 1, "completed"),
        ("no-callback", 1, "completed"),
        ("duplicate-callbacks", 1, "completed"),
        ("late-callbacks", 1, "completed"),
    ],
)
def test_every_outcome_ends_correctly_with_one_call_for_each_attempt(
    client: LocalClient, outcome: str, calls: int, final: str
) -> None:
    client.script(TO, outcome)
    execution_id = client.call(TO)
    client.advance(120)
    assert len(client.calls(TO)) == calls
    assert client.execution(execution_id)["status"] == final
    events = client.inbox(execution_id=execution_id)
    assert [one["body"]["sequence"] for one in events] == list(range(1, len(events) + 1))
    assert events[-1]["body"]["status"] == final
    client.assert_sound()


def test_a_throttled_call_is_placed_later_and_an_unknown_one_is_not_repeated(client: LocalClient) -> None:
    other = "+12025550124"
    client.script(TO, "refused-429", "refused-429", "completed")
    client.script(other, "error-500", "completed")
    throttled, unknown = client.call(TO), client.call(other)
    client.advance(120)
    assert client.execution(throttled)["status"] == "completed"
    assert client.execution(throttled)["retry_count"] == 0
    assert (client.execution(unknown)["status"], client.calls(other)) == ("error", [])


def test_a_failed_webhook_is_retried_with_the_same_id(client: LocalClient) -> None:
    client.script(TO, "busy")
    assert request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", {"times": 3}).status == 200
    execution_id = client.call(TO)
    client.advance(60)
    tries = client.inbox(execution_id=execution_id)
    assert [one["answered"] for one in tries[:4]] == [500, 500, 500, 200]
    assert len({one["headers"]["webhook-id"] for one in tries[:4]}) == 1
    accepted = [one["body"]["status"] for one in tries if one["answered"] == 200]
    assert accepted == ["queued", "initiated", "busy"]
    waits = [at(later["received_at"]) - at(earlier["received_at"]) for earlier, later in pairwise(tries)]
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=8), "the second try is a message with a delay"
    assert timedelta(seconds=48) <= waits[1] <= timedelta(seconds=132)


def test_a_webhooks_receiver_may_call_the_api(client: LocalClient) -> None:
    """The customer's endpoint calls the API before it responds, which must not deadlock."""
    from local.web.server import HttpServer, Request, Response

    seen: list[str] = []

    def endpoint(sent: Request) -> Response:
        event = sent.json()
        seen.append(event["status"])
        if event["status"] == "scheduled":
            assert client.api("POST", f"/call/{event['id']}/stop").status == 200
        return Response(200)

    server = HttpServer("customer", 0)
    server.start(endpoint)
    try:
        agent_id = client.stack.create_agent(webhook_url=f"{server.url}/events")
        client.script(TO, "busy", "completed")
        execution_id = client.call(TO, agent_id=agent_id, retry_config=RETRIES)
        client.advance(60)
    finally:
        server.stop()
    assert client.execution(execution_id)["status"] == "stopped"
    assert seen[-1] == "stopped" and len(client.calls(TO)) == 1


def test_lines_are_never_exceeded_and_never_idle(client: LocalClient) -> None:
    agent_id = client.stack.create_agent(max_concurrent_calls=3)
    numbers = [f"+1202555{number:04d}" for number in range(12)]
    for number in numbers:
        client.script(number, "completed")
        client.call(number, agent_id=agent_id)
    client.advance(30)
    calls = client.calls()
    assert len(calls) == 12
    assert request("GET", f"{client.stack.carrier_url}/_carrier/live").json == {"live": 0, "max_live": 3}
    ends = sorted(at(call["ended_at"]) for call in calls)
    starts = sorted(at(call["placed_at"]) for call in calls)
    assert starts[3:] == ends[:-3], "each call that ends starts the next at once"


def test_health_needs_every_server(client: LocalClient) -> None:
    health = f"{client.stack.url}/health"
    assert request("GET", health).status == 200
    client.stack._inbox_server.stop()
    answer = request("GET", health)
    assert (answer.status, answer.json["message"]) == (503, "not up: inbox")


def test_a_stack_can_be_started_again_and_restores_the_process() -> None:
    environment, stdout, now = dict(os.environ), sys.stdout, system._now
    for _ in range(2):
        with local_stack() as client:
            client.script(TO, "completed")
            client.call(TO)
            client.advance(5)
            assert len(client.inbox()) == 5
            with pytest.raises(RuntimeError, match="already runs in this process"):
                LocalStack().start()
            assert request("GET", f"{client.stack.url}/health").status == 200
    assert dict(os.environ) == environment
    assert sys.stdout is stdout
    assert system._now is not now and abs((system.now() - datetime.now(system.now().tzinfo)).total_seconds()) < 1


def test_the_functions_log_goes_to_a_file_at_simulated_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with local_stack(log=tmp_path / "run" / "local.log") as client:
        client.call(TO)
        client.advance(5)
    log = (tmp_path / "run" / "local.log").read_text()
    assert '"timestamp":"2026-01-26T12:00:00.000+00:00"' in log
    assert TO not in log, "phone numbers are masked"
    assert capsys.readouterr().out == ""


def test_the_functions_output_may_be_closed_after_its_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The output lasts until the interpreter ends; a test's stream is closed before."""
    unheard: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)
    with monkeypatch.context() as captured, io.TextIOWrapper(io.BytesIO(), write_through=True) as stream:
        captured.setattr(sys, "stdout", stream)
        output = FunctionOutput()
        output.write("x")
        assert stream.tell() == 1
    output.close()
    del output
    gc.collect()
    assert unheard == []


def test_a_failed_invocation_is_reported_retried_and_becomes_a_dead_letter() -> None:
    complaints: list[str] = []
    with local_stack(complain=lambda invocation, failure: complaints.append(failure.payload["errorType"])) as client:
        client.stack.functions.invoke_later("redial-local-batch", {"no": "id"})
        client.advance(10)
        (letter,) = request("GET", f"{client.stack.url}/_local/dead-letters").json
    assert complaints == ["KeyError"] * letter["tries"]
    assert (letter["function"], letter["event"]) == ("redial-local-batch", {"no": "id"})
    assert letter["queue"] == "arn:aws:sqs:us-east-1:123456789012:redial-local-FunctionDeadLetters"


@pytest.mark.parametrize(("function", "minutes"), [("dial", 12), ("deliver", 18)])
def test_a_failed_message_comes_three_times_and_becomes_a_dead_letter(function: str, minutes: int) -> None:
    with local_stack() as client:
        client.stack.queues.send(client.stack.environment[f"{function.upper()}_QUEUE_ARN"], '{"no": "id"}')
        client.advance(minutes - 1)
        assert client.stack.functions.dead_letters == []
        client.advance(2)
        (letter,) = request("GET", f"{client.stack.url}/_local/dead-letters").json
    assert (letter["function"], letter["event"], letter["tries"]) == (f"redial-local-{function}", {"no": "id"}, 3)
    assert letter["queue"].endswith(f":redial-local-{function.title()}DeadLetters")


def test_a_port_in_use_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTaken, match="wanted for the inbox"):
            LocalStack(inbox_port=taken.getsockname()[1])


def test_the_stack_refuses_to_run_against_the_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.aws.requests.Aws._intercept_botocore", lambda self: None)
    with pytest.raises(RealAwsRefused):
        LocalStack(start_at=NOON).start()


def test_the_examples_of_the_documentation_work_unchanged(client: LocalClient) -> None:
    """Requests are sent as Swagger UI sends them: a body's example, or the example or sample of every form field."""
    document = request("GET", f"{client.stack.url}/openapi.json").json
    schemas = document["components"]["schemas"]
    assert client.api("POST", "/call", schemas["CallRequest"]["examples"][0]).status == 200
    assert client.api("POST", "/v2/agent", schemas["AgentRequest"]["examples"][0]).status == 201
    body = document["paths"]["/batches"]["post"]["requestBody"]["content"]
    assert next(iter(body)) == "multipart/form-data", "Swagger UI selects the first"
    fields = body["multipart/form-data"]["schema"]["properties"]
    sent: list[tuple[str, str]] = []
    for name, schema in fields.items():
        sample = schema.get("default", schema.get("enum", [None])[0])
        value = schema.get("examples", [sample])[0]
        assert name == "file" or value is not None, f"{name} needs an example"
        values = value if isinstance(value, list) else [value]
        if name != "file":
            sent += [(name, one if isinstance(one, str) else json.dumps(one)) for one in values]
    form = multipart(sent, "contact_number\n+12025550123\n")
    answer = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    client.advance(7 * 24 * 60)  # its own windows must open
    batch = client.api("GET", f"/batches/{answer.json['batch_id']}").json
    assert (batch["status"], batch["execution_status"]) == ("completed", {"completed": 1})
    assert (
        client.stack.agent_id
        in request("GET", f"{client.stack.url}/docs", headers={"Accept-Encoding": "gzip"}).body.decode()
    )


# ---- the command --------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_a_signal(number: signal.Signals) -> None:
    ports = {name: str(free_port()) for name in PORTS}
    running = command(**ports, SPEED="600", REDIAL_API_KEY="my-own-key")
    assert running.stdout is not None
    try:
        shown = ""
        while "Ctrl-C" not in shown:
            line = running.stdout.readline()
            assert line, running.stderr and running.stderr.read()
            shown += line
        url = f"http://127.0.0.1:{ports['REDIAL_PORT']}"
        assert request("GET", f"{url}/health").status == 200
        assert request("GET", f"{url}/_local/clock").json["speed"] == 600
        curl = re.search(r"-d '(\{\"agent_id\".*\})'", shown)
        assert curl is not None
        answer = request(
            "POST",
            f"{url}/call",
            curl[1].encode(),
            {"Authorization": "Bearer my-own-key", "Content-Type": "application/json"},
        )
        assert answer.status == 200, answer
        running.stdout.readline()
        assert re.match(r"\d\d:\d\d:\d\d  \+1234567890  queued  ", running.stdout.readline())
    finally:
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, "")


@contextmanager
def running(**environment: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run `make run` on free ports: its output, and its addresses by their words in the banner."""
    process = command(**dict.fromkeys(PORTS, "0"), SPEED="0", **environment)
    assert process.stdout is not None
    try:
        shown = ""
        while "Ctrl-C" not in shown:
            line = process.stdout.readline()
            assert line
            shown += line
        yield shown, dict(re.findall(r"^  (\w+) +(\S+)", shown, re.MULTILINE))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


SECRET = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAyNCBieXRlcyE="


@pytest.fixture(scope="module")
def first() -> Iterator[dict[str, str]]:
    """A run with a chosen secret."""
    with running(REDIAL_WEBHOOK_SECRET=SECRET) as (_, found):
        yield found


def test_every_run_has_new_ids_and_a_log_of_its_own(first: dict[str, str]) -> None:
    with running() as (shown, second):
        assert "UTC" in shown
        assert first["agent"] != second["agent"]
        assert first["log"] != second["log"]
        assert all((ROOT / one["log"]).exists() for one in (first, second))


def test_webhooks_verify_by_the_machines_clock_with_the_chosen_secret_after_the_clock_moved(
    first: dict[str, str],
) -> None:
    assert first["secret"] == SECRET
    authorization = {"Authorization": f"Bearer {first['key']}"}
    body = {"agent_id": first["agent"], "recipient_phone_number": TO, "retry_config": RETRIES}
    script = {"to": TO, "outcomes": ["busy", "completed"]}
    assert request("POST", f"{first['carrier']}/_carrier/scripts", script).status == 200
    assert request("POST", f"{first['API']}/call", body, authorization).status == 200
    request("POST", f"{first['clock']}/advance", {"minutes": 600})
    received = request("GET", f"{first['inbox']}/_inbox/demo").json
    assert received[-1]["body"]["status"] == "completed"
    for one in received:
        raw = json.dumps(one["body"], ensure_ascii=False, separators=(",", ":"))
        assert one["verified"] and standardwebhooks.Webhook(SECRET).verify(raw, one["headers"]) == one["body"]


def test_the_command_for_keys_works_on_a_running_stack(first: dict[str, str]) -> None:
    port = first["API"].rpartition(":")[2]
    make = ["make", "-s", "keys", "LOCAL=1", f"REDIAL_PORT={port}", "-o", ".venv/ready"]

    def run(arguments: str) -> Any:
        done = subprocess.run([*make, f"ARGS={arguments}"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert [account["account_id"] for account in run("list-accounts")["accounts"]] == ["local"]
    api_key = run("create --account local --name second")["api_key"]
    me = request("GET", f"{first['API']}/user/me", headers={"Authorization": f"Bearer {api_key}"})
    assert (me.status, me.json["id"]) == (200, "local")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIAL_PORT", "http", "REDIAL_PORT must be a port number"),
        ("REDIAL_WEBHOOK_SECRET", "secret", "a webhook secret starts with whsec_"),
        ("SPEED", "fast", "SPEED must be a number"),
        ("SPEED", "-1", "SPEED must be a number"),
    ],
)
def test_an_invalid_setting_is_an_error(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        assert main([]) == 2
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert said in capsys.readouterr().err


def test_the_command_refuses_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = command(REDIAL_PORT=port)
        _, errors = ended.communicate(timeout=30)
    assert ended.returncode == 2
    assert f"port {port}, wanted for the API, is taken" in errors


def test_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    assert "usage: python -m local [demo]" in capsys.readouterr().err
