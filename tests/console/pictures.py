"""Pictures of the console for its documentation: `python -m tests.console.pictures [name …]`, with
`PYTHONPATH=.:layers/redial`.

It plays a story on a local stack, opens each screen there and writes `docs/console/<name>.png`. A screen adds a
function with its name to `PICTURES`. The story is one Monday of a clinic with three agents: a finished batch, a running
one, one that is ready to start, single calls of each outcome, an undelivered webhook, a caller id that the carrier
refuses, suppressed numbers and a policy. All numbers are +1202555xxxx; contacts have their own time zones.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator

from tests.console.browser import PHONE, WIDE, Console, chromium
from tests.console.campaign import count_campaign
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack, request

FOLDER = Path("docs/console")
LOG = Path(".run/pictures.log")
MOST_BYTES = 150_000
MORNING = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""
_ZONES = ("America/New_York", "America/Chicago", "America/New_York", "America/Los_Angeles", "America/Denver")
_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Zoë", "Barbara", "Radia", "Ken", "Frances", "Niklaus", "Tony", "Lynn")
_WINDOWS = {
    "windows": [
        {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "12:30"},
        {"days": ["mon", "tue", "wed", "thu"], "start": "13:30", "end": "19:00"},
        {"days": ["sat"], "start": "10:00", "end": "13:00"},
    ]
}
_RETRIES = {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [15, 45, 90], "retry_on_voicemail": True}


@dataclass
class Story:
    """What the pictures refer to. Batches are `finished`, `running` and `ready`; `calls` are executions by outcome:
    `no-answer` waits for a retry, and `retried` was answered at its third attempt."""

    client: LocalClient
    agents: dict[str, str]
    batches: dict[str, str]
    calls: dict[str, str]
    policy: str = "lead-outreach"
    is_counted: bool = False


def number(index: int) -> str:
    """The number to call with that index, below 10,000."""
    return f"+1202555{index:04}"


def contacts(first: int, count: int) -> str:
    """A contact file with names and time zones."""
    rows = [
        f"{number(index)},{_NAMES[index % len(_NAMES)]},{_ZONES[index % len(_ZONES)]}"
        for index in range(first, first + count)
    ]
    return "\n".join(["contact_number,first_name,time_zone", *rows]) + "\n"


def tell(client: LocalClient) -> Story:
    """Play the story until calls are live, retries wait and a batch is ready."""
    config = {"calling_guardrails": {"call_start_hour": 9, "call_end_hour": 20}, "max_concurrent_calls": 10}
    client.configure(agent_name="Appointment reminders", **config)
    agents = {
        "reminders": client.stack.agent_id,
        "leads": client.stack.create_agent(agent_name="Lead follow-up", **{**config, "max_concurrent_calls": 6}),
        "survey": client.stack.create_agent(agent_name="Survey", from_phone_numbers=["+12025550190"]),
    }
    story = Story(client, agents, {}, {})
    _good(client.api("PUT", f"/policies/{story.policy}", {"retry_config": _RETRIES, "expires_after_minutes": 2880}))
    for index in (2003, 2017, 2040):
        _good(client.api("POST", "/suppressions", {"phone_number": number(index), "reason": "asked for no more calls"}))
    _call(story, "completed", 100, ["completed"])
    _call(story, "retried", 101, ["no-answer", "busy", "completed"])
    _call(story, "voicemail", 102, ["voicemail"])
    _call(story, "invalid-number", 103, ["invalid-number"])
    story.batches["finished"] = create_batch(
        story, "reminders", contacts(1000, 240), "reminders-monday.csv", start="now"
    )
    client.advance(4 * 60)
    request("POST", f"{client.stack.inbox_url}/_inbox/crm/fail", {"times": 1000, "status": 503})
    broken = {"agent_name": "Survey", "webhook_url": f"{client.stack.inbox_url}/crm"}
    _good(client.api("PATCH", f"/v2/agent/{agents['survey']}", {"agent_config": broken}))
    _call(story, "undelivered", 104, ["completed"], agent="survey")
    client.advance(60)
    _call(story, "refused", 105, ["refused-21210"], agent="survey")
    ready = contacts(2000, 180) + f"{number(2001)},Ada,America/New_York\n12,Grace,America/Chicago\n"
    story.batches["ready"] = create_batch(story, "leads", ready, "leads-february.csv")
    client.advance(5)
    story.batches["running"] = create_batch(story, "leads", contacts(3000, 150), "leads-january.csv", start="now")
    client.advance(22)
    _call(story, "no-answer", 106, ["no-answer"])
    client.advance(1)
    _call(story, "live", 107, ["completed"])
    client.advance(0.2)
    return story


def create_batch(story: Story, agent: str, file: str, name: str, **fields: str) -> str:
    """Create a batch with the API; return its id."""
    policy = {"policy": story.policy, **fields}
    body = multipart([("agent_id", story.agents[agent]), *policy.items()], file, name)
    return str(_good(story.client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE))["batch_id"])


def _call(story: Story, name: str, index: int, outcomes: Sequence[str], agent: str = "reminders") -> None:
    story.client.script(number(index), *outcomes)
    story.calls[name] = story.client.call(
        number(index), agent_id=story.agents[agent], retry_config=_RETRIES, user_data={"first_name": "Ada"}
    )


def _good(answer: Any) -> Any:
    if not 200 <= answer.status < 300:
        raise SystemExit(f"the story does not hold: {answer}")
    return answer.json


# ---- the pictures ----


def now(console: Console, story: Story) -> None:
    console.open("now")


def batches(console: Console, story: Story) -> int:
    console.open("batches", story.batches["running"])
    return 800


def batch_preflight(console: Console, story: Story) -> int:
    console.open("batches", story.batches["ready"])
    return 670


def calls(console: Console, story: Story) -> int:
    console.open("executions", story.calls["retried"])
    return 950


def calls_list(console: Console, story: Story) -> int:
    console.open("executions")
    return 640


def learn(console: Console, story: Story) -> Locator:
    if not story.is_counted:
        count_campaign(story.client)
        story.is_counted = True
    console.open("learn")
    charts = console.page.locator(".charts")
    charts.evaluate("grid => [...grid.children].slice(5).forEach(chart => chart.remove())")
    return charts


def plan(console: Console, story: Story) -> int:
    console.open("plan?number=%2B12025550143")
    console.page.get_by_label("Call again").select_option("own")
    console.page.get_by_label("Minutes between").fill("30, 300, 1440")
    console.page.get_by_label("Minutes between").blur()
    console.page.locator(".attempts li").nth(3).wait_for()
    console.page.wait_for_timeout(1000)  # the plan follows the last change
    return 720


def rules(console: Console, story: Story) -> int:
    rules = {"preset": "lead-outreach", "calling_guardrails": _WINDOWS}
    _good(story.client.api("PUT", "/policies/lead-outreach", rules))
    console.open("rules", "policy", "lead-outreach")
    return 640


def numbers(console: Console, story: Story) -> int:
    limits = {"caps": [{"attempts": 3, "hours": 24}, {"attempts": 8, "hours": 168}]}
    _good(story.client.api("PATCH", "/user/me", {"contact_limits": limits}))
    console.open("numbers", number(101))
    return 600


def webhooks(console: Console, story: Story) -> int:
    console.open("webhooks")
    return 860


def agents(console: Console, story: Story) -> int:
    console.open("agents", story.agents["leads"])
    return 860


def keys(console: Console, story: Story) -> int:
    for made in (
        {"name": "dashboard", "scopes": ["read"], "numbers": "masked"},
        {"name": "campaigns", "scopes": ["read", "call"], "quotas": {"calls_a_day": 5000, "lines": 10}},
    ):
        _good(story.client.api("POST", "/keys", made))
    console.open("keys")
    return 760


PICTURES: dict[str, Callable[[Console, Story], int | Locator | None]] = {
    "now": now,
    "batches": batches,
    "batch-preflight": batch_preflight,
    "calls": calls,
    "calls-list": calls_list,
    "learn": learn,
    "plan": plan,
    "rules": rules,
    "numbers": numbers,
    "webhooks": webhooks,
    "agents": agents,
    "keys": keys,
}
"""Each opens its screen and waits until the picture can be taken. It may return how many pixels of the page, from the
top, the picture shows, or which part of it."""


def main(names: Sequence[str]) -> None:
    """Write the pictures of these names (none: all). With `try FOLDER`, write each there, also in dark and for a
    phone."""
    folder = FOLDER
    variants: dict[str, dict[str, Any]] = {"": {}}
    if names[:1] == ["try"]:
        folder, names = Path(names[1]), names[2:]
        variants = {"": {}, "-dark": {"dark": True}, "-phone": {"size": PHONE}}
    folder.mkdir(parents=True, exist_ok=True)
    with (
        local_stack(start_at=MORNING, log=LOG, parameters={"StatisticsSeconds": "10"}) as client,
        chromium() as browser,
    ):
        story = tell(client)
        for name in names or PICTURES:
            for variant, options in variants.items():
                console = Console(browser, client.stack.url, **{"size": WIDE, **options})
                console.page.clock.set_fixed_time(client.stack.clock.now())
                console.sign_in(client.stack.api_key)
                shown = PICTURES[name](console, story)
                console.page.wait_for_timeout(300)
                path = folder / f"{name}{variant}.png"
                if isinstance(shown, Locator):
                    shown.screenshot(path=str(path), animations="disabled")
                else:
                    console.picture(path, shown if folder == FOLDER else None)
                console.close()
                assert console.faults == [], console.faults
                if folder == FOLDER and path.stat().st_size > MOST_BYTES:
                    raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MOST_BYTES}")
                print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
