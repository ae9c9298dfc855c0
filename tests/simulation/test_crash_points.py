"""Every crash point of every scenario; see crash_points.py."""

import pytest

from tests.simulation.crash_points import every_crash_point
from tests.simulation.scenarios import SCENARIOS

pytestmark = pytest.mark.simulation

NEARLY_ALL = 0.95
"""The telling that is counted makes a few requests more than later ones: the carrier's credentials are read once."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_crash_point_breaks_a_promise(name: str) -> None:
    tried = every_crash_point(SCENARIOS[name])
    print(f"{name}: {tried.points} points, cut off at {tried.met}")
    assert tried.violations == []
    assert tried.points >= 20, "the scenario is shorter than it was: are requests still counted?"
    assert tried.met >= NEARLY_ALL * tried.points
