"""Each safeguard is taken away once, and the simulation finds out within so many seeds, by the promise that breaks."""

import pytest

from tests.simulation.ablations import ABLATIONS, WITH_CONSEQUENCES, Ablation
from tests.simulation.campaign import MODEL, run
from tests.simulation.invariants import PROMISES


def test_each_promise_notices_a_loss_that_no_other_notices() -> None:
    alone = {one.noticed_by for one in ABLATIONS if not one.also}
    assert alone == set(PROMISES), "which promise has no ablation that breaks it alone: can it be broken at all?"
    assert all(one.also for one in WITH_CONSEQUENCES)


@pytest.mark.simulation
@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.safeguard)
def test_its_loss_is_noticed_by_one_promise_alone(ablation: Ablation) -> None:
    _take_away(ablation)


@pytest.mark.nightly
@pytest.mark.parametrize("ablation", WITH_CONSEQUENCES, ids=lambda ablation: ablation.safeguard)
def test_its_loss_is_noticed(ablation: Ablation) -> None:
    _take_away(ablation)


def _take_away(ablation: Ablation) -> None:
    for seed in range(ablation.first, ablation.first + ablation.seeds):
        with ablation.without():
            result = run(
                seed,
                ablation.rates,
                # Where others break with it, their consequences are not waited for.
                stop_early=lambda world: (
                    bool(ablation.also) and any(one.invariant == ablation.noticed_by for one in world.violations)
                ),
            )
        broken = {one.invariant: one.what for one in reversed(result.violations)}
        others = broken.keys() - {ablation.noticed_by, *ablation.also, MODEL}
        assert not others, f"seed {seed}: {[broken[one] for one in others]}"
        if ablation.noticed_by in broken:
            print(f"{ablation.safeguard}: seed {seed}, {ablation.noticed_by}: {broken[ablation.noticed_by]}")
            return
    pytest.fail(f"{ablation.seeds} seeds without {ablation.safeguard}, and no violation of {ablation.noticed_by}")
