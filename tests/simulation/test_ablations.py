"""Each safeguard is removed once; within some seeds the simulation must find the promise that this violates."""

import pytest

from tests.simulation.ablations import ABLATIONS, WITH_CONSEQUENCES, Ablation
from tests.simulation.campaign import MODEL, run
from tests.simulation.invariants import PROMISES


def test_each_promise_has_an_ablation_that_violates_it_alone() -> None:
    alone = {one.detected_by for one in ABLATIONS if not one.also}
    assert alone == set(PROMISES), "a promise without an ablation that violates it alone may be impossible to violate"
    assert all(one.also for one in WITH_CONSEQUENCES)


@pytest.mark.simulation
@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.safeguard)
def test_an_ablation_violates_one_promise_alone(ablation: Ablation) -> None:
    _ablate(ablation)


@pytest.mark.nightly
@pytest.mark.parametrize("ablation", WITH_CONSEQUENCES, ids=lambda ablation: ablation.safeguard)
def test_an_ablation_is_detected(ablation: Ablation) -> None:
    _ablate(ablation)


def _ablate(ablation: Ablation) -> None:
    for seed in range(ablation.first, ablation.first + ablation.seeds):
        with ablation.without():
            result = run(
                seed,
                ablation.rates,
                # If several promises are violated, the consequences are not awaited.
                stop_early=lambda world: (
                    bool(ablation.also) and any(one.invariant == ablation.detected_by for one in world.violations)
                ),
            )
        broken = {one.invariant: one.what for one in reversed(result.violations)}
        others = broken.keys() - {ablation.detected_by, *ablation.also, MODEL}
        assert not others, f"seed {seed}: {[broken[one] for one in others]}"
        if ablation.detected_by in broken:
            print(f"{ablation.safeguard}: seed {seed}, {ablation.detected_by}: {broken[ablation.detected_by]}")
            return
    pytest.fail(f"{ablation.seeds} seeds without {ablation.safeguard}, and no violation of {ablation.detected_by}")
