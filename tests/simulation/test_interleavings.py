"""Every order of the requests of two functions that run concurrently; see interleavings.py.

`make nightly` runs all orders of those limited here, and three functions at once.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from redial.adapters.dynamodb.number_rules import DynamoNumberRules
from redial.adapters.dynamodb.numbers import DynamoNumbers
from redial.domain.called_number import CalledNumber, Use
from redial.usecases import batches, number_rules, one_call
from redial.usecases.dial_attempt import Dial
from tests.simulation.ablations import WITH_CONSEQUENCES
from tests.simulation.interleavings import (
    PAIRS,
    Pair,
    described,
    dial_dial,
    dial_dial_number,
    dial_dial_number_no_grace,
    dial_stop_batch,
    dial_suppress,
    explore,
    step_of,
)
from tests.simulation.world import World

MOST = 24
"""Orders of one pair in `make test`, without a safeguard: one of them must violate the promise."""
KEPT = 12
"""Orders of one pair in `make test`, with all safeguards."""


@pytest.mark.simulation
@pytest.mark.parametrize("name", PAIRS)
def test_no_order_violates_a_promise(name: str) -> None:
    explored = explore(PAIRS[name], KEPT)
    print(described(name, explored))
    assert explored.shortest is None
    assert explored.complete or explored.run == KEPT
    assert explored.run >= 2, "the two do not conflict at all: does the scenario still hold back the right invocations?"


def _claim_condition() -> Any:
    return next(one for one in WITH_CONSEQUENCES if one.safeguard == "claim condition").without()


def _reading_holders() -> Any:
    """A stop does not stop the contacts that hold a line."""
    return mock.patch.object(batches, "line_holders", return_value=[])


def _reading_holders_of_a_suppressed_number() -> Any:
    """A suppression does not end the calls that hold a line; the index shows them too late."""
    return mock.patch.object(number_rules, "line_holders", return_value=[])


def _rules_after_the_line() -> Any:
    """Dial reads the rules about the number before it acquires a line."""
    acquire, early = Dial._acquire, DynamoNumberRules.of_number
    read: dict[str, Any] = {}

    def reading(self: Dial, execution: Any, *rest: Any) -> Any:
        read[execution.id] = early(self.services.number_rules, execution.account_id, execution.user_number)  # type: ignore[arg-type]
        return acquire(self, execution, *rest)

    patches = ExitStack()
    patches.enter_context(mock.patch.object(Dial, "_acquire", reading))
    patches.enter_context(mock.patch.object(Dial, "_number_rules", lambda self, execution, agent: read[execution.id]))
    return patches


def _condition_of_a_reservation() -> Any:
    """A reservation overwrites whatever is stored."""

    def anyhow(self: DynamoNumbers, account_id: str, number: str, called: CalledNumber, now: Any) -> None:
        save(self, account_id, number, replace(called, version=self.get(account_id, number).version), now)

    save = DynamoNumbers.save
    return mock.patch.object(DynamoNumbers, "save", anyhow)


def _withdrawing_a_reservation() -> Any:
    """An old reservation counts as over, although its claim may be under way."""
    return mock.patch.object(one_call, "save", return_value=None)


def _use_of_a_holder() -> Any:
    """Every holder counts as over."""
    return mock.patch.object(one_call, "use_of", return_value=Use.OVER)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("without", "pair", "detected_by"),
    [
        (_claim_condition, dial_dial, "at most one call per attempt"),
        (_reading_holders, dial_stop_batch, "no dial after an answered stop"),
        (_reading_holders_of_a_suppressed_number, dial_suppress, "no dial to a suppressed number"),
        (_rules_after_the_line, dial_suppress, "no dial to a suppressed number"),
        (_condition_of_a_reservation, dial_dial_number, "never two live calls to one number"),
        (_withdrawing_a_reservation, dial_dial_number_no_grace, "never two live calls to one number"),
        (_use_of_a_holder, dial_dial_number, "never two live calls to one number"),
    ],
    ids=[
        "claim condition",
        "a stop reads the line holders",
        "a suppression reads the line holders",
        "dial reads the rules after the line",
        "a reservation is conditional",
        "an old reservation is withdrawn",
        "the holder's execution decides",
    ],
)
def test_an_ablation_violates_a_promise_in_some_order(without: Callable[[], Any], pair: Pair, detected_by: str) -> None:
    with without():
        explored = explore(
            pair, MOST, until=lambda so_far: any(one.violation.invariant == detected_by for one in so_far.broken)
        )
    found = [one for one in explored.broken if one.violation.invariant == detected_by]
    assert found, f"{explored.run} orders, and none violated it"
    print(f"order {explored.run}: {found[0].order}")


def _step(operation: str, body: str) -> Any:
    return step_of(mock.Mock(spec=World), "dynamodb", operation, body.encode())


def _write(pk: str, sk: str) -> Any:
    return _step("DeleteItem", f'{{"Key": {{"pk": {{"S": "{pk}"}}, "sk": {{"S": "{sk}"}}}}}}')


def _query(pk: str) -> Any:
    return _step("Query", f'{{"ExpressionAttributeValues": {{":pk": {{"S": "{pk}"}}}}}}')


def test_what_requests_to_the_table_commute() -> None:
    """Writes of two items commute, even in one partition; a query conflicts with every write in its partition."""
    assert not _write("Q#1", "a").conflicts(_write("Q#1", "b"))
    assert _write("Q#1", "a").conflicts(_write("Q#1", "a"))
    assert _query("Q#1").conflicts(_write("Q#1", "a"))
    assert _write("Q#1", "a").conflicts(_query("Q#1"))
    assert not _query("Q#1").conflicts(_write("Q#2", "a"))
    assert not _query("Q#1").conflicts(_query("Q#1"))


def test_a_request_of_unknown_effect_is_an_error() -> None:
    with pytest.raises(KeyError, match="TransactWriteItems"):
        _step("TransactWriteItems", "{}")
