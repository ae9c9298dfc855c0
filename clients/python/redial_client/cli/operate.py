"""Commands for operation: webhooks, attention items, suppressions, keys, statistics."""

from typing import Any

from redial_client.cli.calls import clock_time
from redial_client.cli.context import Context
from redial_client.cli.exits import CommandError, Exit
from redial_client.cli.options import given

# ---- webhooks -------------------------------------------------------------------------------------------------------


def webhooks_list(context: Context) -> None:
    """List undelivered events."""
    listed = context.redial.webhooks.undelivered()
    context.out.data(listed)
    rows = [
        [
            one.get("execution_id") or f"batch {one.get('batch_id')}",
            event["sequence"],
            event["status"],
            event["tries"],
            event["http_status"],
            event["error"],
            clock_time(event["next_try_at"]),
        ]
        for one in listed["data"]
        for event in one["events"]
    ]
    if not rows:
        context.out.say("Every event was delivered.")
        return
    context.out.table(["execution", "#event", "status", "#tries", "#HTTP", "error", "next try (UTC)"], rows)
    context.out.say("Send them again: redial webhooks replay --all" + ("; there are more" * listed["has_more"]))


def webhooks_replay(context: Context) -> None:
    """Send undelivered events again: those of a call, those of a batch, or all listed ones."""
    args, redial = context.args, context.redial
    executions, batches = [args.execution] if args.execution else [], [args.batch] if args.batch else []
    if args.all:
        listed = redial.webhooks.undelivered()["data"]
        executions = [one["execution_id"] for one in listed if one.get("execution_id")]
        batches = [one["batch_id"] for one in listed if one.get("batch_id") and not one.get("execution_id")]
    done: list[Any] = []
    with context.out.progress("replaying") as advance:
        for replay, subject in [
            *((redial.executions.replay_webhooks, one) for one in executions),
            *((redial.batches.replay_webhooks, one) for one in batches),
        ]:
            done.append(replay(subject))
            advance(len(done), len(executions) + len(batches), "")
    context.out.data(done)
    context.out.say(f"Replaying {sum(len(one['replayed']) for one in done)} events.")


def webhooks_test(context: Context) -> Exit:
    """Send a test event. `FAILED` if it was not accepted."""
    url = context.args.url
    sent = context.redial.webhooks.test(url=url) if url else context.redial.webhooks.test(agent_id=context.agent_id)
    context.out.data(sent)
    answer = sent["error"] or f"HTTP {sent['status_code']}"
    accepted = "accepted" if sent["accepted"] else "not accepted"
    context.out.say(f"{sent['url']}: {accepted}, {answer} after {sent['milliseconds']} ms ({sent['webhook_id']}).")
    return Exit.OK if sent["accepted"] else Exit.FAILED


# ---- attention ------------------------------------------------------------------------------------------------------


def attention_list(context: Context) -> None:
    """List what holds calls back until a person acts."""
    items = context.redial.attention.list()
    context.out.data(items)
    if not items:
        context.out.say("Nothing holds calls back.")
        return
    for one in items:
        context.out.say(f"{one['id']}  {one['state']} since {clock_time(one['opened_at'])} UTC: {one['reason']}")
        context.out.say(f"    {one['what_to_do']}")
    context.out.say("Once it is fixed: redial attention resolve ID")


def attention_resolve(context: Context) -> None:
    """Try again now."""
    item = context.redial.attention.resolve(context.args.item)
    context.out.say(f"{item['id']} is {item['state']}: its calls are tried again.")
    context.out.data(item)


# ---- suppressions ---------------------------------------------------------------------------------------------------


def suppress(context: Context) -> None:
    """Stop calling a number. Without a number, list the suppressions; with --remove, remove one."""
    args = context.args
    agent_id = context.redial.agents.find(args.agent) if args.agent else None
    scope = given(purpose=args.purpose, agent_id=agent_id)
    if args.number is None:
        if args.remove:
            raise CommandError("NUMBER: is missing", "example: redial suppress --remove +12025550123")
        rules = list(context.redial.suppressions.list(**scope))
        context.out.data(rules)
        rows = [
            [f"…{one['last_four']}", one["purpose"], one["agent_id"], one["reason"], clock_time(one["created_at"])]
            for one in rules
        ]
        context.out.table(["number", "purpose", "agent", "reason", "since (UTC)"], rows)
    elif args.remove:
        removed = context.redial.suppressions.remove(phone_number=args.number, **scope)
        context.out.say(f"{args.number} may be called again.")
        context.out.data(removed)
    else:
        added = context.redial.suppressions.add(phone_number=args.number, **scope, **given(reason=args.reason))
        ended = len(added["canceled_executions"])
        more = "" if added["complete"] else "; more will end when they become due"
        context.out.say(f"{args.number} is no longer called. Ended calls: {ended}{more}.")
        context.out.data(added)


# ---- keys -----------------------------------------------------------------------------------------------------------


def keys_list(context: Context) -> None:
    """List the API keys."""
    keys = context.redial.keys.list()
    context.out.data(keys)
    rows = [
        [
            one["id"],
            one["name"],
            ", ".join(one["scopes"]),
            "all" if one["agents"] is None else len(one["agents"]),
            one["numbers"],
            one["quotas"]["calls_a_day"],
            one["quotas"]["lines"],
            clock_time(one["last_used_at"]),
            clock_time(one["revoked_at"]),
        ]
        for one in keys
    ]
    columns = [
        "id",
        "name",
        "scopes",
        "agents",
        "numbers",
        "#calls a day",
        "#lines",
        "last used (UTC)",
        "revoked (UTC)",
    ]
    context.out.table(columns, rows)


def keys_create(context: Context) -> None:
    """Create an API key and show it."""
    args = context.args
    rights = given(
        scopes=args.scope,
        agents=[context.redial.agents.find(name) for name in args.agent or []],
        numbers="masked" if args.masked else None,
        quotas=given(calls_a_day=args.calls_a_day, lines=args.lines) or None,
    )
    made = context.redial.keys.create(name=args.name, **rights)
    context.out.data(made)
    context.out.say(f"Key {made['id']} ({made['name']}) may {', '.join(made['scopes'])}. It is not shown again:")
    context.out.say(made["api_key"])


def keys_revoke(context: Context) -> None:
    """Revoke an API key."""
    revoked = context.redial.keys.revoke(context.args.key)
    context.out.say(f"Key {context.args.key} is revoked.")
    context.out.data({"id": context.args.key, **revoked})


# ---- statistics -----------------------------------------------------------------------------------------------------


def stats(context: Context) -> None:
    """Show how well retries work, with the number of attempts and the 95 % interval of each rate."""
    args = context.args
    agent_id = context.redial.agents.find(args.agent) if args.agent else None
    found = context.redial.statistics(agent_id=agent_id, batch_id=args.batch, since=args.since, until=args.until)
    context.out.data(found)
    context.out.say(
        f"{found['period_start']} to {found['period_end']}: {found['contacts']} contacts, "
        f"{found['attempts']} attempts, {found['answers']} answered."
    )
    shown: dict[str, Any] = dict(found)
    for one in found["cost"]["carrier"]:
        context.out.say(f"The carrier charged {_money(one)} for {one['attempts']} attempts{_each(one)}.")
    context.out.say(f"AWS charges some {_money(found['cost']['redial'])}{_each(found['cost']['redial'])}.")
    names = {
        "attempt": "by_attempt", "gap": "by_gap", "hour": "by_local_hour", "outcome": "by_outcome_before",
        "caller-id": "by_caller_id", "country": "by_country",
    }  # fmt: skip
    for breakdown in args.by or ["attempt", "gap"]:
        rows = [
            [
                _gap(one) if breakdown == "gap" else one["value"],
                one["attempts"],
                one["answers"],
                _percent(one["rate"]),
                "-" if one["interval"] is None else " to ".join(map(_percent, one["interval"])),
            ]
            for one in shown[names[breakdown]]
        ]
        context.out.table([breakdown, "#n", "#answered", "#rate", "#95 % interval"], rows)
    for sentence in found["advice"]:
        context.out.say(sentence)


def _money(cost: Any) -> str:
    return f"{cost['amount']:.2f} {cost['currency']}"


def _each(cost: Any) -> str:
    return "" if cost["per_answer"] is None else f", {cost['per_answer']:.4f} an answer"


def _gap(one: Any) -> str:
    low, high = one["from_minutes"], one["to_minutes"]
    return f"under {high} min" if low is None else f"{low} min or more" if high is None else f"{low} to {high} min"


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"
