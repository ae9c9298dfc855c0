"""Every crash point of every scenario; see crash_points.py."""

from datetime import timedelta

import pytest

from tests.simulation.crash_points import every_crash_point
from tests.simulation.scenarios import SCENARIOS

pytestmark = pytest.mark.simulation

NEARLY_ALL = 0.95
"""The telling that is counted makes a few requests more than later ones: the carrier's credentials are read once."""


LONGEST_RECOVERY = timedelta(minutes=25)
"""A batch's worker may work alone for 16 minutes; who is cut off in it is made good after that. Others sooner."""
BY_THE_CLOCK = "moved by calling hours"
"""Its calls begin with a whole hour, which is near in one telling and far in another."""


EVERY_THIRD = ("batch", "batch paused and resumed", "batch deleted")
"""The longest scenarios: `make test` cuts them off at every third point, `make nightly` at each."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_crash_point_breaks_a_promise(name: str) -> None:
    _try(name, step=3 if name in EVERY_THIRD else 1)


@pytest.mark.nightly
@pytest.mark.parametrize("name", EVERY_THIRD)
def test_no_crash_point_at_all_breaks_a_promise(name: str) -> None:
    _try(name, step=1)


def _try(name: str, step: int) -> None:
    tried = every_crash_point(SCENARIOS[name], step=step)
    print(f"{name}: {tried.points} points, cut off at {tried.met}, at most {tried.longest} later")
    assert tried.violations == []
    assert tried.points >= 20, "the scenario is shorter than it was: are requests still counted?"
    assert name == BY_THE_CLOCK or tried.longest <= LONGEST_RECOVERY
    assert tried.met >= NEARLY_ALL * tried.points
