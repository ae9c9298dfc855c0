"""The command `redial` in a test: one local stack per module, and one folder of settings per test."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from redial_client.cli import main
from tests.support.local_stack import LocalClient, local_stack


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The path of a file of profiles in an empty settings folder, with no settings in the environment."""
    for name in ("REDIAL_URL", "REDIAL_API_KEY", "REDIAL_PROFILE", "REDIAL_AGENT", "REDIAL_CARRIER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/redial/profiles.json"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these arguments. `sleep`: how it waits; by default it must not wait."""

    def never(seconds: float) -> None:
        raise AssertionError(f"the command waits for {seconds} s")

    def run(*arguments: object, sleep: Callable[[float], None] = never) -> Done:
        capfd.readouterr()
        try:
            code = main([str(one) for one in arguments], sleep)
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capfd.readouterr()
        # The stack writes its functions' logs to the same stdout.
        lines = [line for line in printed.out.splitlines(keepends=True) if not line.startswith(('{"level"', '{"_aws"'))]
        return Done(code, "".join(lines), printed.err)

    return run


@pytest.fixture
def redial(run: Run, local: LocalClient, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with the stack's URL and key in the environment."""
    monkeypatch.setenv("REDIAL_URL", local.stack.url)
    monkeypatch.setenv("REDIAL_API_KEY", local.stack.api_key)
    monkeypatch.setenv("REDIAL_CARRIER_URL", local.stack.carrier_url)
    return run
