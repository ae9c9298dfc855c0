"""The models keep their promises, and each safeguard is needed: without it the search finds a counterexample."""

from collections import deque
from pathlib import Path

import pytest

from tests.protocol import document, model, notation, traces
from tests.protocol.document import SAFEGUARDS, Safeguard, found
from tests.protocol.model import MODELS


@pytest.mark.parametrize("name", [one.name for one in MODELS])
def test_the_model_keeps_its_promises(name: str) -> None:
    whole = found(name)
    assert whole.promise is None, whole.trace
    assert len(whole.edges) >= whole.states > 20


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda one: f"{one.model}: {one.name}")
def test_a_safeguard_is_needed(safeguard: Safeguard) -> None:
    without = found(safeguard.model, safeguard.name)
    assert without.promise is not None
    assert len(without.trace) == safeguard.steps, without.trace
    print(f"without “{safeguard.name}”, “{without.promise}” is violated: {' · '.join(without.trace)}")


@pytest.mark.parametrize("one", MODELS, ids=lambda one: one.name)
def test_every_safeguard_of_a_model_is_listed(one: notation.Model) -> None:
    asked: set[str] = set()

    def on(safeguard: str) -> bool:
        asked.add(safeguard)
        return True

    for state in {before for before, _, _ in found(one.name).edges}:
        deque(one.steps(state, on), maxlen=0)
    assert asked == {safeguard.name for safeguard in SAFEGUARDS if safeguard.model == one.name}


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda one: one.name)
def test_a_safeguard_is_in_the_code(safeguard: Safeguard) -> None:
    assert document.in_code(safeguard) is not None


def test_the_page_shows_what_the_search_prints() -> None:
    page = document.PAGE.read_text(encoding="utf-8")
    assert document.with_results(page) == page, "run `make protocol`"


def test_the_stored_steps_are_those_of_the_models() -> None:
    assert traces.kept(traces.of_model()) == traces.STEPS.read_text(encoding="utf-8"), "run `make protocol`"


def test_the_models_stay_small() -> None:
    assert len(Path(model.__file__).read_text(encoding="utf-8").splitlines()) <= 300


def test_a_misspelled_word_is_an_error() -> None:
    text = "\n    start light = red\n    it changes ? light == red → light = {}\n    good light == green\n    live on"
    assert notation.model("a light", text.format("green"), {}).name == "a light"
    with pytest.raises(ValueError, match="misspelled"):
        notation.model("a light", text.format("gren"), {})
