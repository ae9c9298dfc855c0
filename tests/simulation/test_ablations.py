"""Each safeguard is taken away once, and the simulation finds out within so many seeds, by the promise that breaks."""

import pytest

from tests.simulation.ablations import ABLATIONS, Ablation
from tests.simulation.campaign import run

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.safeguard)
def test_its_loss_is_noticed(ablation: Ablation) -> None:
    for seed in range(1, ablation.seeds + 1):
        with ablation.without():
            result = run(
                seed,
                ablation.rates,
                stop_early=lambda world: any(one.invariant in ablation.noticed_by for one in world.violations),
            )
        found = [one for one in result.violations if one.invariant in ablation.noticed_by]
        if found:
            print(f"{ablation.safeguard}: seed {seed}, {found[0].invariant}: {found[0].what}")
            return
    pytest.fail(f"{ablation.seeds} seeds without {ablation.safeguard}, and none of {ablation.noticed_by} was violated")
