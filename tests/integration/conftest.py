"""The API function on moto, for tests that send it events."""

from collections.abc import Iterator

import pytest

from tests.support.api import Api, aws, running_api


@pytest.fixture(scope="module")
def _aws() -> Iterator[None]:
    """Share the clients within a module: building them takes long."""
    with aws():
        yield


@pytest.fixture
def api(_aws: None) -> Iterator[Api]:
    """Two accounts on an empty table."""
    with running_api() as running:
        yield running
