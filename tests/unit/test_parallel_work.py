"""Parallel work in threads of one process, and what the threads share."""

import threading
import time
from typing import Any
from unittest import mock

import pytest

from redial.carriers.secrets import CarrierSecrets
from redial.runtime import services, system

TOGETHER = 3


def test_so_many_items_are_worked_on_at_once_and_the_results_keep_their_order() -> None:
    all_here = threading.Barrier(TOGETHER, timeout=10)

    def work(item: int) -> tuple[int, str]:
        all_here.wait()  # blocks until `TOGETHER` items are under way
        return item * 10, threading.current_thread().name

    done = system.each(work, range(2 * TOGETHER), TOGETHER)
    assert [result for result, _ in done] == [0, 10, 20, 30, 40, 50]
    assert len({name for _, name in done}) <= TOGETHER


def test_a_single_item_needs_no_thread() -> None:
    assert system.each(lambda item: threading.current_thread(), ["one"], 4) == [threading.current_thread()]


def test_an_error_is_raised_and_what_has_not_begun_is_left_out() -> None:
    begun: list[int] = []
    first_failed = threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            first_failed.set()
            raise ValueError("the first")
        first_failed.wait(10)
        time.sleep(0.001)  # otherwise the other thread may process all items before this failure is noticed

    with pytest.raises(ValueError, match="the first"):
        system.each(work, range(10_000), 2)
    assert len(begun) < 10_000


def test_clients_of_aws_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3's session cannot create two concurrently."""
    making, overlaps = threading.Lock(), []

    def client(service: str, **_: Any) -> object:
        free = making.acquire(blocking=False)
        overlaps.append(not free)
        threading.Event().wait(0.02)
        if free:
            making.release()
        return object()

    services.reset()
    monkeypatch.setattr(services, "boto3", mock.Mock(client=client))
    try:
        made = system.each(services._client, ["dynamodb", "lambda", "scheduler", "secretsmanager"], 4)
    finally:
        services.reset()
    assert overlaps == [False] * 4
    assert len(set(made)) == 4


def test_threads_share_a_carriers_credentials() -> None:
    secrets, begin = CarrierSecrets(mock.Mock(), "redial"), threading.Barrier(4, timeout=10)

    def credentials(_: int) -> object:
        begin.wait()
        return secrets.of("twilio", str)

    assert len(set(map(id, system.each(credentials, range(4), 4)))) == 1
