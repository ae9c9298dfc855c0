"""A fixed set of seeds: faults are injected, then end, and every promise holds."""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.protocol import traces
from tests.simulation.campaign import CALM_EVERY, Result, run_long, run_seed, unchecked

CAMPAIGNS = {
    "seeds 1-10": (range(1, 11), range(1, 2)),
    "seeds 11-20": (range(11, 21), (2, 3, 20)),
    "seeds 21-30": (range(21, 31), range(4, 7)),
}
"""Short and long worlds. In each campaign, every promise is checked."""
REGRESSIONS = {
    1230: "Two saves of a batch in one millisecond named their delivery leases alike: two delivered at once.",
    1400: "The same, for a batch that was scheduled and started at once.",
    10089: "A function whose clock was behind removed a contact, not yet due, from its batch's delayed set.",
    10187: "The same, in another batch.",
}
"""Seeds that found a defect, each with the defect; `make test` runs one seed per defect."""
RARE_STEPS = {
    "carrier: places call 1 late": "the carrier of these seeds places at once or never",
    "carrier: places call 2 late": "the same",
    "client: replays": "an event must be given up first",
    "acquires a line again": "a report must arrive after its attempt was given up",
    "was given up, and its late report arrives": "the same",
    "dial: is too late, ends the attempt": "a timer must fire a day late",
    "may be popped again": "a dial must be killed after its contact was popped from the delayed set",
}
"""Actions of the models of the protocol that a campaign need not show."""

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize(
    "campaign",
    ["seeds 1-10", *(pytest.param(one, marks=pytest.mark.nightly) for one in ("seeds 11-20", "seeds 21-30"))],
)
def test_every_promise_is_checked_and_holds(campaign: str) -> None:
    short, long = CAMPAIGNS[campaign]
    steps = traces.exercised.total()
    results = {f"SEED={seed}": run_seed(seed) for seed in short} | {
        f"SEED={seed} LONG=1": run_long(seed) for seed in long
    }
    assert _broken(results) == []
    checked: Counter[str] = sum((one.checked for one in results.values()), Counter())
    print(*(f"{count:>7} {promise}" for promise, count in sorted(checked.items())), sep="\n")
    assert unchecked(checked) == []
    assert len({one.digest for one in results.values()}) == len(results), "each seed is a world of its own"
    assert traces.exercised.total() > steps + 1000
    print("\n".join(f"{count:7,} {step}" for step, count in sorted(traces.exercised.items())))
    assert set(traces.never_exercised()) <= set(RARE_STEPS)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[pytest.mark.nightly] if defect.startswith("The same") else [])
        for seed, defect in REGRESSIONS.items()
    ],
)
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
