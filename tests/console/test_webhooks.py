"""The screen Webhooks: undelivered events and their replay, a test event, the account's URL."""

from collections.abc import Callable

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient, request

Open = Callable[..., Console]


def fail(local: LocalClient, name: str, times: int, status: int) -> None:
    assert (
        request("POST", f"{local.stack.inbox_url}/_inbox/{name}/fail", {"times": times, "status": status}).status == 200
    )


def test_nothing_is_undelivered(open_console: Open) -> None:
    console = open_console("webhooks")
    console.see("Every event was delivered.")
    console.page.get_by_role("button", name="Node.js").click()
    console.see("npm install standardwebhooks")
    console.check_accessible()


def test_undelivered_events_show_their_answer_and_are_replayed(open_console: Open, local: LocalClient) -> None:
    fail(local, "demo", 1, 410)
    first = local.call("+12025550143")
    local.advance(0.1)
    console = open_console("webhooks", size=PHONE, dark=True)
    console.see("1 given up, 0 waiting for the next try.")
    console.see("HTTP 410")
    console.check_accessible()
    console.page.get_by_role("button", name="Replay", exact=True).click()
    console.see("1 event sent again.")
    local.advance(0.1)
    console.see("Every event was delivered.")
    assert [one["body"]["sequence"] for one in local.inbox(execution_id=first) if one["answered"] == 410] == [1]
    assert local.api("GET", "/webhooks/undelivered").json["data"] == []


def test_all_are_replayed_after_a_question(open_console: Open, local: LocalClient) -> None:
    agent_id = local.stack.create_agent(agent_name="Second", webhook_url=f"{local.stack.inbox_url}/second")
    fail(local, "second", 100, 500)
    for last in (1, 2):
        local.call(f"+1202555015{last}", agent_id=agent_id)
    local.advance(1)
    console = open_console("webhooks")
    console.see("0 given up, 2 waiting for the next try.")
    fail(local, "second", 0, 500)
    console.page.get_by_role("button", name="Replay all").click()
    console.page.get_by_role("dialog").get_by_role("button", name="Send").click()
    console.see("events sent again.")
    local.advance(1)
    console.see("Every event was delivered.")
    assert local.api("GET", "/webhooks/undelivered").json["data"] == []


def test_a_test_event_is_sent(open_console: Open, local: LocalClient) -> None:
    console = open_console("webhooks")
    page = console.page
    page.get_by_role("button", name="Send").click()
    console.see("Accepted")
    [event] = [one for one in local.inbox() if one["body"]["type"] == "webhook.test"]
    assert (event["body"]["agent_id"], event["verified"]) == (local.stack.agent_id, True)
    local.advance(0.1)  # at most one per second
    fail(local, "elsewhere", 1, 500)
    page.get_by_label("To", exact=True).select_option("")
    page.get_by_label("URL").first.fill(f"{local.stack.inbox_url}/elsewhere")
    page.get_by_role("button", name="Send").click()
    console.see("Rejected")
    console.check_accessible()


def test_the_accounts_url_is_set(open_console: Open, local: LocalClient) -> None:
    console = open_console("webhooks")
    console.refused = True
    field = console.page.get_by_label("URL", exact=True)
    field.fill("ftp://hooks.example.com")
    console.page.get_by_role("button", name="Save").click()
    console.page.get_by_role("alert").wait_for()
    field.fill(f"{local.stack.inbox_url}/account")
    console.page.get_by_role("button", name="Save").click()
    console.see("Saved.")
    assert local.api("GET", "/user/me").json["webhook_url"] == f"{local.stack.inbox_url}/account"


def test_a_slow_answer_shows_that_it_loads(open_console: Open) -> None:
    console = open_console("plan")
    console.slowly("**/webhooks/undelivered", lambda: console.go("webhooks"))
    console.see("Every event was delivered.")
