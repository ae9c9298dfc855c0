"""Listings: whole, in pages and in linked parts; exact totals; a cost that does not depend on the number of calls."""

import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redial.adapters.dynamodb import listings
from redial.adapters.dynamodb.listings import DynamoListings
from redial.api import batches as batches_api
from redial.api import listings as listings_api
from redial.api.answers import sent_size
from redial.domain.batch import Batch, contact, contact_id
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.ports import Position, Wanted
from redial.runtime import system
from redial.runtime.services import services_of
from redial.usecases.list_calls import COUNTED_AFTER, count_calls
from redial.wire.timestamps import from_ms, to_ms
from tests.support.api import OTHER_API_KEY, Api
from tests.support.examples import examples
from tests.support.gateway import Answer
from tests.support.listed_keys import ListedKeys
from tests.support.samples import ACCOUNT_ID, AGENT_ID, NUMBER, TEN, minutes

NOON_MS = to_ms(TEN)
ALL = Wanted()
UNTIL = TEN + minutes(15)


def read_by(created_ms: dict[str, int]) -> Callable[[Sequence[str]], list[Execution]]:
    """Return a reader of calls that were created at these times."""

    def read(ids: Sequence[str]) -> list[Execution]:
        return [Execution(one, ACCOUNT_ID, AGENT_ID, from_ms(created_ms[one]), NUMBER).begin(TEN, None) for one in ids]

    return read


def large(calls: int) -> tuple[ListedKeys, DynamoListings]:
    """An agent with that many finished calls, a millisecond apart, the last of them at `TEN`."""
    keys = ListedKeys(AGENT_ID)
    chance = random.Random(7)
    created_ms = {}
    for one in range(calls):
        execution_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        created_ms[execution_id] = NOON_MS - one
        keys.add("done", NOON_MS - one, execution_id)
    keys.sort()
    return keys, DynamoListings(keys, "table", read_by(created_ms))  # type: ignore[arg-type]  # as much of it as is used


def ids_of(store: DynamoListings, size: int, **options: Any) -> tuple[int | None, list[Position]]:
    listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), ALL, most=size + 1, **options)
    return listing.total, [row.position for row in islice(listing.rows, size)]


def cost(keys: ListedKeys, ask: Any) -> tuple[int, int]:
    """Requests and keys that `ask` reads."""
    before = keys.requests, keys.keys
    ask()
    return keys.requests - before[0], keys.keys - before[1]


def check_cost_of(calls: int) -> None:
    small_keys, small = large(1_000)
    of_small = cost(small_keys, lambda: ids_of(small, 20))
    keys, store = large(calls)
    uncounted = cost(keys, lambda: ids_of(store, 20))
    listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), ALL, most=21)
    assert (listing.total, listing.to_count) == (None, True), "it is not guessed"
    with pytest.raises(InvalidInput, match="being counted"):
        store.of_agent(ACCOUNT_ID, AGENT_ID, (), ALL, skip=calls // 2)
    assert store.count(AGENT_ID, TEN - timedelta(milliseconds=500), UNTIL, lambda: 1.0)
    counted = cost(keys, lambda: ids_of(store, 20))
    total, first = ids_of(store, 20)
    assert total == calls
    listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), ALL, most=21)
    assert not listing.to_count
    every = sorted((key.partition("#")[2] for shard in keys.listed.values() for key in shard), reverse=True)
    for start in (20, 2_480, 2_500, calls // 2, calls - 10):
        deep = cost(keys, lambda start=start: ids_of(store, 20, skip=start))
        _, page = ids_of(store, 20, skip=start)
        assert [f"{to_ms(one.created_at):013d}#{one.id}" for one in page] == [*every[start : start + 20]]
        assert deep[0] <= 20 + calls // listings.SPACING // 1_000, deep
        assert deep[1] <= 3 * listings.SPACING + calls // listings.SPACING + 8 * 21, deep
    going_on = cost(keys, lambda: ids_of(store, 20, after=first[-1]))
    assert (of_small[0], uncounted[0], counted[0]) == (9, 9, 9), "as many requests"
    assert of_small[1] == 1_000
    assert uncounted[1] <= 4 * listings.MOST_KEYS
    assert counted[1] <= 1_001, "no more keys than of 1,000 calls"
    assert going_on[0] <= 18
    assert going_on[1] <= 1_001 + 8 * 21


def test_a_large_agents_listing_costs_what_a_small_ones_does() -> None:
    check_cost_of(100_000)


@pytest.mark.nightly
def test_a_listing_of_a_million_calls_costs_what_one_of_a_thousand_does() -> None:
    check_cost_of(1_000_000)


def test_a_range_of_dates_is_counted_by_checkpoints() -> None:
    _, store = large(30_000)
    store.count(AGENT_ID, TEN, UNTIL, lambda: 1.0)
    wanted = Wanted(created_from=from_ms(NOON_MS - 20_000), created_to=from_ms(NOON_MS - 9_000))
    listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), wanted, skip=10_990, most=21)
    assert listing.total == 11_001
    assert [to_ms(row.position.created_at) for row in listing.rows] == [*range(NOON_MS - 19_990, NOON_MS - 20_001, -1)]


def test_counting_goes_on_where_it_was_cut_off() -> None:
    keys, store = large(9_000)
    left = iter([1.0, 0.0])
    assert not store.count(AGENT_ID, TEN, UNTIL, lambda: next(left))
    assert {int(item["n"]["N"]) for item in keys.kept.values()} == {2_000, 4_000}
    assert cost(keys, lambda: store.count(AGENT_ID, TEN, UNTIL, lambda: 1.0))[1] == 5_000 + 1
    assert ids_of(store, 1)[0] == 9_000


def test_a_call_that_ends_while_it_is_counted_is_counted_once() -> None:
    keys, _ = large(10)
    keys.listed.clear()
    open_ones = [(NOON_MS - 500 - one, str(uuid.uuid4())) for one in range(10)]
    for created_ms, one in open_ones:
        keys.add("open", created_ms, one)
    keys.sort()

    def meanwhile(seconds: float) -> None:
        keys.end(*open_ones[3])

    store = DynamoListings(keys, "table", lambda ids: [], meanwhile)  # type: ignore[arg-type]
    store.count(AGENT_ID, TEN, UNTIL, lambda: 1.0)
    assert ids_of(store, 5)[0] == 10


# ---- all kinds of rows against a model ------------------------------------------------------------------------------

AGES = st.integers(0, 40)


@settings(max_examples=examples(120))
@given(
    singles=st.lists(st.tuples(AGES, st.booleans()), max_size=40),
    of_batches=st.lists(st.tuples(AGES, st.integers(0, 12)), max_size=4),
    counts=st.lists(AGES, max_size=3),
    size=st.integers(1, 9),
    low=st.none() | AGES,
    high=st.none() | AGES,
    seed=st.integers(0, 1000),
)
def test_pages_and_linked_parts_contain_every_row_once(
    singles: list[tuple[int, bool]],
    of_batches: list[tuple[int, int]],
    counts: list[int],
    size: int,
    low: int | None,
    high: int | None,
    seed: int,
) -> None:
    """This is so whatever has been counted, and wherever batches lie."""
    chance = random.Random(seed)
    keys = ListedKeys(AGENT_ID)
    rows: list[tuple[int, str, int]] = []
    for age, is_open in singles:
        one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        keys.add("open" if is_open else "done", NOON_MS - age, one)
        rows.append((NOON_MS - age, one, 0))
    keys.sort()
    batches = []
    for age, contacts in of_batches:
        batch_id = f"{chance.getrandbits(128):032x}"
        batches.append(Batch(batch_id, ACCOUNT_ID, AGENT_ID, from_ms(NOON_MS - age), "a.csv", stored_to=contacts))
        rows += [(NOON_MS - age, batch_id, row) for row in range(1, contacts + 1)]
    batches = [batch.begin(batch.created_at, start=False) for batch in batches]
    by_id = {contact_id(one.id, row): contact(one, row, NUMBER, {}) for one in batches for row in range(1, 13)}
    when = {one: from_ms(created) for created, one, _ in rows}

    def read(ids: Any) -> list[Execution]:
        return [
            by_id.get(one) or Execution(one, ACCOUNT_ID, AGENT_ID, when[one], NUMBER).begin(when[one], None)
            for one in ids
        ]

    store = DynamoListings(keys, "table", read)  # type: ignore[arg-type]
    wanted = Wanted(
        created_from=None if low is None else from_ms(NOON_MS - low),
        created_to=None if high is None else from_ms(NOON_MS - high),
    )
    expected = [row for row in rows if (low is None or row[0] >= NOON_MS - low)]
    expected = [row for row in expected if (high is None or row[0] <= NOON_MS - high)]
    expected.sort(key=lambda row: row[2])
    expected.sort(key=lambda row: row[:2], reverse=True)
    with mock.patch.multiple(listings, SPACING=3, MOST_KEYS=5):
        for age in sorted(counts, reverse=True):
            assert store.count(AGENT_ID, from_ms(NOON_MS - age), UNTIL, lambda: 1.0)
        listing = store.of_agent(ACCOUNT_ID, AGENT_ID, batches, wanted)
        if listing.total is None:
            assert listing.to_count
        else:
            assert listing.total == len(expected)
        assert [(to_ms(p.created_at), p.id, p.row) for p, _ in listing.rows] == expected
        after = None
        for start in range(0, len(expected) + size, size):
            going_on = store.of_agent(ACCOUNT_ID, AGENT_ID, batches, wanted, after=after, most=size)
            page = [row.position for row in islice(going_on.rows, size)]
            assert [(to_ms(p.created_at), p.id, p.row) for p in page] == expected[start : start + size]
            after = page[-1] if page else after
            try:
                by_number = store.of_agent(ACCOUNT_ID, AGENT_ID, batches, wanted, skip=start, most=size)
            except InvalidInput:
                assert listing.total is None
            else:
                assert [row.position for row in islice(by_number.rows, size)] == page


# ---- over HTTP ------------------------------------------------------------------------------------------------------


def next_of(answer: Answer) -> tuple[str, str] | None:
    """Path and query of the next part."""
    if "link" not in answer.headers:
        return None
    found = re.fullmatch(r'<(/[^>]+)>; rel="next"', answer.headers["link"])
    assert found is not None, answer.headers
    parts = urlsplit(found[1])
    return parts.path, parts.query


def parts_of(api: Api, path: str, query: str = "") -> Iterator[Answer]:
    goes_on: tuple[str, str] | None = (path, query)
    while goes_on is not None:
        answer = api.send("GET", goes_on[0], query=goes_on[1])
        assert answer.status == 200, answer
        yield answer
        goes_on = next_of(answer)


def rows_of(parts: Iterator[Answer]) -> list[Any]:
    return [row for part in parts for row in (part.json["data"] if isinstance(part.json, dict) else part.json)]


def stored_batch(agent_id: str, contacts: int) -> Batch:
    """A batch with stored contacts whose start was not requested."""
    services = services_of("api")
    batch = Batch(uuid.uuid4().hex, ACCOUNT_ID, agent_id, system.now(), "a.csv").begin(system.now(), start=False)
    batch = batch.processed(contacts, contacts, system.now())
    services.batches.create(batch)
    for row in range(1, contacts + 1):
        services.executions.create(contact(batch, row, f"+1202555{row:04d}", {"row": str(row)}))
    return batch


def test_a_batchs_executions_are_whole(api: Api) -> None:
    batch = stored_batch(api.agent(), 130)
    path = f"/batches/{batch.id}/executions"
    whole = api.send("GET", path)
    assert [row["id"] for row in whole.json] == [contact_id(batch.id, row) for row in range(1, 131)]
    assert (whole.headers["x-total-count"], next_of(whole)) == ("130", None)
    page = api.send("GET", path, query="page_number=7")
    assert (page.json, page.headers["x-total-count"], next_of(page)) == (whole.json[120:], "130", None)
    assert api.send("GET", path, query="page_number=8").json == []
    assert rows_of(parts_of(api, path, "page_size=50")) == whole.json
    with mock.patch.object(listings_api, "MAX_ANSWER_BYTES", 60_000):
        parts = list(parts_of(api, path))
        assert len(parts) > 2
        assert {part.headers["x-total-count"] for part in parts} == {"130"}
        assert rows_of(iter(parts)) == whole.json


def test_an_agents_executions_are_whole(api: Api) -> None:
    agent_id = api.agent()
    for _ in range(25):
        api.call(agent_id)
        api.advance(minutes(1))
    batch = stored_batch(agent_id, 30)
    api.advance(minutes(1))
    newest = api.call(agent_id)
    whole = api.send("GET", f"/agent/{agent_id}/executions")
    assert (len(whole.json), whole.headers["x-total-count"], next_of(whole)) == (56, "56", None)
    assert whole.json[0]["id"] == newest
    assert [one["id"] for one in whole.json[1:31]] == [contact_id(batch.id, row) for row in range(1, 31)]
    parts: list[Answer] = []
    for path, query in ((f"/agent/{agent_id}/executions", "page_size=7"), (f"/v2/agent/{agent_id}/executions", "")):
        parts = list(parts_of(api, path, query))
        assert rows_of(iter(parts)) == whole.json
        assert {part.headers["x-total-count"] for part in parts} == {"56"}
    assert [part.json["page_number"] for part in parts] == [1, 2, 3]
    with mock.patch.object(listings_api, "MAX_ANSWER_BYTES", 30_000):
        assert rows_of(parts_of(api, f"/agent/{agent_id}/executions")) == whole.json
        answer = api.send("GET", f"/agent/{agent_id}/executions", query="page_size=50")
        assert (answer.status, "page_size" in answer.json["message"]) == (413, True), "a page is never cut"


def test_the_links_rows_are_not_moved_by_new_calls(api: Api) -> None:
    agent_id = api.agent()
    made = [api.call(agent_id) for _ in range(6)]
    path = f"/v2/agent/{agent_id}/executions"
    first = api.send("GET", path, query="page_size=3&status=queued")
    api.advance(minutes(1))
    for _ in range(3):
        api.call(agent_id)
    goes_on = next_of(first)
    assert goes_on is not None
    second = api.send("GET", goes_on[0], query=goes_on[1])
    seen = [one["id"] for one in (*first.json["data"], *second.json["data"])]
    assert sorted(seen) == sorted(made)
    assert (second.json["page_number"], second.json["has_more"], second.json["total"]) == (2, False, 9)


def test_every_bare_array_has_a_total_and_goes_on(api: Api) -> None:
    agents = []
    for index in range(5):
        agents.append(api.agent(from_phone_numbers=[f"+1202555010{index}", "+12025550199"]))
        api.advance(minutes(1))
    made: list[str] = []
    for _ in range(5):
        made.insert(0, stored_batch(agents[0], 1).id)
        api.advance(minutes(1))
    api.agent(key=OTHER_API_KEY)
    names = {"/v2/agent/all": 5, "/phone-numbers/all": 10, f"/batches/{agents[0]}/all": 5}
    for path, total in names.items():
        whole = api.send("GET", path)
        assert (len(whole.json), whole.headers["x-total-count"], next_of(whole)) == (total, str(total), None)
        assert rows_of(parts_of(api, path, "page_size=2")) == whole.json
        assert api.send("GET", path, query="page_number=2&page_size=2").json == whole.json[2:4]
        with (
            mock.patch.object(listings_api, "MOST_ROWS", 2),
            mock.patch.object(listings_api, "MAX_ANSWER_BYTES", 1_500),
            mock.patch.object(batches_api, "MOST_BATCHES", 2),
        ):
            parts = list(parts_of(api, path))
        assert len(parts) > 1
        assert rows_of(iter(parts)) == whole.json
    assert [one["batch_id"] for one in api.send("GET", f"/batches/{agents[0]}/all").json] == made


def test_an_answer_with_quotes_stays_below_lambdas_limit(api: Api) -> None:
    """Lambda's limit counts the answer as JSON, in which every quote of the body is escaped."""
    text = '"\\' * 30_000
    for _ in range(40):
        sent = {"agent_config": {"agent_name": "a"}, "agent_prompts": {"task_1": text}}
        assert api.send("POST", "/v2/agent", sent).status == 201
    parts = list(parts_of(api, "/v2/agent/all"))
    assert len(parts) > 1
    assert max(sent_size(part.text) for part in parts) < 5_600_000
    assert len(rows_of(iter(parts))) == 40


@pytest.mark.parametrize(
    "route",
    ["/v2/agent/{}/executions", "/agent/{}/executions", "/batches/{}/all", "/v2/agent/all", "/phone-numbers/all"],
)
def test_an_unknown_parameter_of_a_listing_answers_400_by_name(api: Api, route: str) -> None:
    path = route.format(api.agent())
    for query, names in (("limit=5", ["limit"]), ("page_size=2&Status=busy&x", ["Status", "x"]), ("=1", [""])):
        answer = api.send("GET", path, query=query)
        assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, names)
        assert "page_size" in answer.json["message"]


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "1", "1.2.3", "x" * 5000, f"1.{uuid.UUID(int=0)}", f"99999999999999.{uuid.UUID(int=0)}.0"),
        *(f"٣.{uuid.UUID(int=0)}.0", f"1.{uuid.UUID(int=0)}.٣", f"-1.{uuid.UUID(int=0)}.0"),
        f"1.{str(uuid.UUID(int=0xABC)).upper()}.0",
    ],
)
def test_a_cursor_that_no_answer_gave_answers_400(api: Api, cursor: str) -> None:
    agent_id = api.agent()
    for path in (f"/v2/agent/{agent_id}/executions", f"/batches/{agent_id}/all", "/v2/agent/all"):
        answer = api.send("GET", path, query=f"cursor={cursor}")
        assert (answer.status, [one["field"] for one in answer.json["errors"]]) == (400, ["cursor"])


@pytest.mark.parametrize("row", ["0", "1", "999999999"])
@pytest.mark.parametrize("created", ["0", "1769421600000", "9999999999999"])
@pytest.mark.parametrize("of", ["0" * 32, "f" * 32, str(uuid.UUID(int=0)), "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_any_place_can_be_gone_on_from(api: Api, row: str, created: str, of: str) -> None:
    agent_id = api.agent()
    one = api.call(agent_id)
    for path in (f"/agent/{agent_id}/executions", f"/batches/{agent_id}/all", "/v2/agent/all", "/phone-numbers/all"):
        answer = api.send("GET", path, query=f"cursor={created}.{of}.{row}")
        assert answer.status == 200
        if path.startswith("/agent"):
            assert [found["id"] for found in answer.json] in ([], [one])


# ---- filters --------------------------------------------------------------------------------------------------------


def test_a_customers_calls_are_found_by_number(api: Api) -> None:
    agent_id, other_agent = api.agent(), api.agent()
    first = api.call(agent_id, recipient_phone_number="+44 7400 123456")
    api.advance(minutes(1))
    batch = stored_batch(agent_id, 9)
    api.advance(minutes(1))
    second = api.call(agent_id, recipient_phone_number="00447400123456", scheduled_at="2026-01-27T00:00:00Z")
    api.call(agent_id)
    api.call(other_agent, recipient_phone_number="+447400123456")
    foreign = api.call(api.agent(key=OTHER_API_KEY), key=OTHER_API_KEY, recipient_phone_number="+447400123456")

    def found(query: str) -> list[str]:
        answer = api.send("GET", f"/v2/agent/{agent_id}/executions", query=query).json
        assert answer["total"] >= len(answer["data"])
        return [one["id"] for one in answer["data"]]

    for written in ("%2B447400123456", "0044%207400%20123456", "%2B44%20(0)7400123456", "tel:%2B44-7400-123456"):
        assert found(f"user_number={written}") == [second, first]
    assert foreign not in found("user_number=%2B447400123456")
    assert found("user_number=%2B447400123456&status=scheduled") == [second]
    assert found("user_number=%2B447400123456&to=2026-01-26T10:00:30Z") == [first]
    assert found("user_number=%2B447400123456&page_size=1&page_number=2") == [first]
    assert found("user_number=%2B12025550004") == [contact_id(batch.id, 4)]
    assert found(f"user_number=%2B12025550004&batch_id={batch.id}") == [contact_id(batch.id, 4)]
    assert found("user_number=%2B12025550004&batch_id=" + "0" * 32) == []
    assert found("user_number=%2B12025559999") == []
    services_of("api").batches.save(services_of("api").batches.get(batch.id).delete(system.now()))  # type: ignore[union-attr]
    assert found("user_number=%2B12025550004") == [], "its batch is deleted"


def test_executions_are_filtered_by_voicemail_kind_and_carrier(api: Api) -> None:
    agent_id = api.agent()
    one = api.call(agent_id)
    path = f"/v2/agent/{agent_id}/executions"

    def found(query: str) -> list[str]:
        return [row["id"] for row in api.send("GET", path, query=query).json["data"]]

    assert found("call_type=outbound") == found("provider=twilio") == found("") == [one]
    assert found("call_type=inbound") == found("provider=http") == found("provider=plivo") == []
    assert found("answered_by_voice_mail=true") == found("answered_by_voice_mail=false") == [], "it is null"
    empty = api.send("GET", path, query="status=prepared").json
    assert (empty["data"], empty["total"], empty["has_more"]) == ([], 0, False)


@pytest.mark.parametrize("route", ["/v2/agent/{}/executions", "/agent/{}/executions"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("answered_by_voice_mail=maybe", "answered_by_voice_mail"),
        ("answered_by_voice_mail=", "answered_by_voice_mail"),
        ("call_type=sideways", "call_type"),
        ("provider=" + "x" * 101, "provider"),
        ("user_number=", "user_number"),
        ("user_number=7400123456", "user_number"),
        ("user_number=%2B44x", "user_number"),
        ("user_number=" + "%2B1" * 2000, "user_number"),
        ("user_number=%00", "user_number"),
        ("status=Prepared", "status"),
    ],
)
def test_an_invalid_value_of_a_filter_answers_400_and_is_named(api: Api, route: str, query: str, field: str) -> None:
    answer = api.send("GET", route.format(api.agent()), query=query)
    assert answer.status == 400
    assert [one["field"] for one in answer.json["errors"]] == [field]


def test_a_filter_with_too_much_to_read_says_so(api: Api) -> None:
    agent_id = api.agent()
    for _ in range(4):
        api.call(agent_id)
    with mock.patch.object(listings, "FILTER_LIMIT", 3):
        number = api.send("GET", f"/agent/{agent_id}/executions").json[0]["user_number"]
        for query in ("status=queued", "provider=twilio", f"user_number={quote(number)}"):
            answer = api.send("GET", f"/v2/agent/{agent_id}/executions", query=query)
            assert (answer.status, answer.json["errors"][0]["field"]) == (400, "from")
        assert api.send("GET", f"/v2/agent/{agent_id}/executions").json["total"] == 4


# ---- counting in the background -------------------------------------------------------------------------------------


def test_a_listing_has_the_calls_counted_when_there_are_many(api: Api) -> None:
    agent_id = api.agent()
    for _ in range(12):
        api.call(agent_id)
        api.advance(timedelta(seconds=1))
    api.advance(COUNTED_AFTER)
    path = f"/v2/agent/{agent_id}/executions"
    with mock.patch.multiple(listings, MOST_KEYS=2, SPACING=3, SETTLE_SECONDS=0.0):
        first = api.send("GET", path, query="page_size=5")
        assert (first.json["total"], "x-total-count" in first.headers) == (None, False)
        assert (first.json["has_more"], len(first.json["data"])) == (True, 5)
        name, event = api.invoked[-1]
        assert event == {"count_calls": agent_id}, name
        assert count_calls(services_of("api"), agent_id, lambda: 900.0, system.now())
        again = api.send("GET", path, query="page_size=5")
        assert (again.json["total"], again.headers["x-total-count"]) == (12, "12")
        assert again.json["data"] == first.json["data"]
        assert [one["page"] for one in (part.json for part in parts_of(api, path, "page_size=5"))] == [1, 2, 3]


def test_only_one_worker_counts_at_a_time(api: Api) -> None:
    services, agent_id = services_of("api"), api.agent()
    assert services.listings.begin_count(agent_id, TEN, TEN + minutes(15))
    with mock.patch.object(listings, "SETTLE_SECONDS", 0.0):
        assert not count_calls(services, agent_id, lambda: 900.0, TEN + minutes(14))
        assert count_calls(services, agent_id, lambda: 900.0, TEN + minutes(15))
        assert count_calls(services, agent_id, lambda: 900.0, TEN + minutes(16)), "it was released"


# ---- contacts of a batch that has not started -----------------------------------------------------------------------


def test_a_contact_is_not_queued_before_its_batch_starts(api: Api) -> None:
    agent_id = api.agent()
    batch = stored_batch(agent_id, 3)
    one = contact_id(batch.id, 1)
    shown = api.send("GET", f"/executions/{one}").json
    assert (shown["status"], shown["scheduled_at"], shown["next_attempt"]) == ("scheduled", None, None)
    listed = api.send("GET", f"/batches/{batch.id}/executions").json
    assert listed[0] == shown
    for path in (f"/v2/agent/{agent_id}/executions", f"/agent/{agent_id}/executions"):
        assert api.send("GET", path, query="status=queued").headers["x-total-count"] == "0"
        assert api.send("GET", path, query="status=scheduled").headers["x-total-count"] == "3"
    api.send("POST", f"/batches/{batch.id}/schedule", {"scheduled_at": "2026-01-26T11:00:00Z"})
    shown = api.send("GET", f"/executions/{one}").json
    assert (shown["status"], shown["scheduled_at"]) == ("scheduled", "2026-01-26T11:00:00.000Z")
    services = services_of("api")
    stored = services.batches.get(batch.id)
    assert stored is not None
    assert stored.shown_counts({"queued": 3}) == {"scheduled": 3}
    services.batches.save(stored.run(system.now()))
    assert api.send("GET", f"/executions/{one}").json["status"] == "queued"
