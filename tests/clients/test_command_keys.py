"""Keys and test events by command line."""

from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from redial_client import Redial
from redial_client.cli.exits import Exit
from tests.clients.conftest import Run
from tests.support.local_stack import LocalClient

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
UNKNOWN = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def test_keys_are_made_listed_and_revoked(redial: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rights = ["--scope", "read", "--agent", "First agent", "--masked", "--calls-a-day", 9, "--lines", 2]
    made = redial("keys", "create", "dashboard", *rights, "--json").json
    assert (made["scopes"], made["numbers"]) == (["read"], "masked")
    assert made["quotas"] == {"calls_a_day": 9, "lines": 2}
    assert redial("keys", "create", "second").out.splitlines()[-1].startswith("rdl_")
    shown = redial("keys", "list").out
    assert made["id"] in shown and "masked" in shown and made["api_key"] not in shown
    assert "dashboard" in [one["name"] for one in redial("keys", "list", "--json").json]
    assert redial("keys", "create", "x", "--calls-a-day", 0).err.startswith("error: --calls-a-day: ")
    assert redial("keys", "create", "x", "--lines", 51).err.startswith("error: --lines: ")
    monkeypatch.setenv("REDIAL_API_KEY", made["api_key"])
    done = redial("keys", "list")
    assert (done.code, done.err.splitlines()[1]) == (Exit.KEY, "use a key that has this scope: redial profile use")
    monkeypatch.undo()


def test_a_key_is_revoked(redial: Run, local: LocalClient) -> None:
    made = redial("keys", "create", "third", "--json").json
    assert redial("keys", "revoke", made["id"], "--json").json["state"] == "revoked"
    assert redial("keys", "revoke", UNKNOWN).code == Exit.NOT_FOUND
    recorded = Redial(local.stack.url, local.stack.api_key).keys.audit()
    assert {"revoke_key", "create_key"} <= {one["operation"] for one in islice(recorded, 50)}


def test_a_test_event_is_sent(redial: Run, local: LocalClient) -> None:
    done = redial("webhooks", "test")
    assert done.code == 0 and "/demo: accepted, HTTP 200 after " in done.out
    sent = redial("webhooks", "test", "--url", f"{local.stack.inbox_url}/tested", "--json").json
    assert local.inbox("tested")[0]["headers"]["webhook-id"] == sent["webhook_id"]
    local.stack.inbox.fail("tested", 1, 500)
    done = redial("webhooks", "test", "--url", f"{local.stack.inbox_url}/tested")
    assert done.code == Exit.FAILED and "not accepted, HTTP 500" in done.out


def test_a_batch_is_scheduled_by_the_clock_of_the_api(redial: Run, local: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("contact_number\n+12025550154\n")
    batch_id = redial("batch", "create", file, "--json").json["batch_id"]
    local.advance(1)
    assert redial("batch", "schedule", batch_id, "--in", 3).code == 0
    start = datetime.fromisoformat(local.api("GET", f"/batches/{batch_id}").json["scheduled_at"])
    assert start - local.stack.clock.now() == timedelta(minutes=3)
    assert redial("batch", "schedule", batch_id, "--in", 1).code == Exit.REFUSED


def test_doctor_shows_the_checks_of_the_api(redial: Run) -> None:
    checks = redial("doctor", "--json").json["checks"]
    assert [one["check"] for one in checks][:3] == ["reachable", "your clock", "key"] and len(checks) > 5
    assert "installation" not in [one["check"] for one in checks]
