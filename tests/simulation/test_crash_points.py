"""Crash points of every scenario; see crash_points.py.

`make nightly` tries each point, `make test` every fifteenth, and every 31st of a batch or of limited keys: they have
the most points.
"""

from datetime import timedelta

import pytest

from tests.simulation.crash_points import every_crash_point
from tests.simulation.scenarios import SCENARIOS

pytestmark = pytest.mark.simulation

NEARLY_ALL = 0.95
"""The share of runs that must reach their point: some make fewer requests than the one counted, for example at the end
of a window of the stream."""
LONGEST_RECOVERY = timedelta(minutes=25)
"""A batch worker's lease lasts 16 minutes; its crash is repaired after that. Others are repaired sooner."""
BY_THE_CLOCK = "moved by calling hours"
"""Its calls start on a full hour, which is near in one run and far in another."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_sampled_crash_point_violates_a_promise(name: str) -> None:
    # Points alternate between before and after a request: an odd step tries both.
    _try(name, step=31 if name.startswith("batch") or "key" in name else 15)


@pytest.mark.nightly
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_crash_point_violates_a_promise(name: str) -> None:
    _try(name, step=1)


def _try(name: str, step: int) -> None:
    tried = every_crash_point(SCENARIOS[name], step=step)
    print(f"{name}: crashed at {tried.met} of {tried.points} points, at most {tried.longest} later")
    assert tried.violations == []
    assert tried.points >= 20, "the scenario has become shorter: are its requests still counted?"
    assert name == BY_THE_CLOCK or tried.longest <= LONGEST_RECOVERY
    assert tried.met >= NEARLY_ALL * tried.tried
