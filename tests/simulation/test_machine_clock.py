"""A simulated world uses the simulated clock only: our code never reads the machine's."""

import sys
import time
from collections.abc import Callable
from unittest import mock

import pytest

from tests.simulation.campaign import ARTIFACT, run_seed

OURS = ("redial.", "functions.")


def _only_for_others(clock: Callable[[], float], name: str) -> Callable[[], float]:
    def ask() -> float:
        asks = sys._getframe(1).f_globals.get("__name__", "")
        if asks.startswith(OURS):
            pytest.fail(f"{asks} calls time.{name}()")
        return clock()

    return ask


@pytest.mark.simulation
def test_our_code_does_not_read_the_machines_clock() -> None:
    names = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")
    patches = [mock.patch.object(time, name, _only_for_others(getattr(time, name), name)) for name in names]
    for patch in patches:
        patch.start()
    try:
        result = run_seed(3)
    finally:
        for patch in patches:
            patch.stop()
    assert result.calls > 0
    assert not [one for one in result.violations if one.invariant == ARTIFACT]
