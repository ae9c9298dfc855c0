"""A fixed set of seeds: faults are injected, then end, and every promise holds."""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.simulation.campaign import CALM_EVERY, Result, run_long, run_seed, unchecked

CAMPAIGNS = {
    "seeds 1-10": (range(1, 11), range(1, 3)),
    "seeds 11-20": (range(11, 21), range(3, 5)),
    "seeds 21-30": (range(21, 31), range(5, 7)),
}
"""Short and long worlds. In each campaign, every promise is checked."""
REGRESSIONS = {
    1230: "Two saves of a batch in one millisecond named their delivery leases alike: two delivered at once.",
    1400: "The same, for a batch that was scheduled and started at once.",
    10089: "A function whose clock was behind removed a contact, not yet due, from its batch's delayed set.",
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
    checked: Counter[str] = sum((one.checked for one in results.values()), Counter())
    print(*(f"{count:>7} {promise}" for promise, count in sorted(checked.items())), sep="\n")
    assert unchecked(checked) == []


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_found_a_defect_passes(seed: int) -> None:
    assert _broken({f"SEED={seed}": run_seed(seed)}) == []


def _broken(results: dict[str, Result]) -> Sequence[str]:
    return [
        f"make simulate {repeat}: {one.invariant}: {one.what}"
        for repeat, result in results.items()
        for one in result.violations
    ]


def test_each_campaign_has_a_world_without_faults() -> None:
    assert all(sum(seed % CALM_EVERY == 0 for seed in short) >= 1 for short, _ in CAMPAIGNS.values())


def test_a_campaign_that_never_checked_a_promise_is_detected() -> None:
    checked = run_seed(1).checked
    assert "nothing is delivered twice on a good day" in unchecked(checked)
    assert "at most one call per attempt" not in unchecked(checked)
