"""Nearly every test here runs a simulated world, so all are marked as simulation: `make test` uses one Python."""

import pytest

WITHOUT_A_WORLD = {"test_model", "test_partial_answers"}


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.stem not in WITHOUT_A_WORLD and item.path.is_relative_to(__file__.rpartition("/")[0]):
        item.add_marker(pytest.mark.simulation)
