"""A fixed set of seeds: everything fails, then recovers, and every promise holds."""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.simulation.campaign import CALM_EVERY, Result, overlooked, run_long, run_seed

CAMPAIGNS = {
    "seeds 1-10": (range(1, 11), range(1, 3)),
    "seeds 11-20": (range(11, 21), range(3, 5)),
    "seeds 21-30": (range(21, 31), range(5, 7)),
}
"""Short and long worlds. In each campaign, every promise is checked."""
REGRESSIONS = {
    1230: "Two saves of a batch in one millisecond named their delivery leases alike: two delivered at once.",
    1400: "The same, where a batch was scheduled and begun at once.",
    10089: "A clock that was behind took a contact for not yet due, and out of its batch's room: it was forgotten.",
    10187: "The same, in another batch.",
}
"""Seeds that found a defect, and the defect."""

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize(
    "campaign", ["seeds 1-10", "seeds 11-20", pytest.param("seeds 21-30", marks=pytest.mark.nightly)]
)
def test_every_promise_is_checked_and_holds(campaign: str) -> None:
    short, long = CAMPAIGNS[campaign]
    results = {f"SEED={seed}": run_seed(seed) for seed in short} | {
        f"SEED={seed} LONG=1": run_long(seed) for seed in long
    }
    assert _broken(results) == []
    looked: Counter[str] = sum((one.looked for one in results.values()), Counter())
    print(*(f"{count:>7} {promise}" for promise, count in sorted(looked.items())), sep="\n")
    assert overlooked(looked) == []


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_found_a_defect_once_holds(seed: int) -> None:
    assert _broken({f"SEED={seed}": run_seed(seed)}) == []


def _broken(results: dict[str, Result]) -> Sequence[str]:
    return [
        f"make simulate {repeat}: {one.invariant}: {one.what}"
        for repeat, result in results.items()
        for one in result.violations
    ]


def test_each_campaign_has_a_world_in_which_nothing_fails() -> None:
    assert all(sum(seed % CALM_EVERY == 0 for seed in short) >= 1 for short, _ in CAMPAIGNS.values())


def test_a_campaign_that_did_not_check_a_promise_is_found() -> None:
    looked = run_seed(1).looked
    assert "nothing is told twice on a good day" in overlooked(looked)
    assert "at most one call per attempt" not in overlooked(looked)
