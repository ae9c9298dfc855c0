"""The context of every command: its arguments, its output and the client."""

import argparse
import os
from collections.abc import Callable
from functools import cached_property

from redial_client.cli.output import Output
from redial_client.cli.profiles import Profile, chosen_profile
from redial_client.client import Redial


class Context:
    """One run of a command. `sleep`: waits between two polls."""

    def __init__(self, args: argparse.Namespace, sleep: Callable[[float], None]) -> None:
        self.args = args
        self.out = Output(args.json)
        self.sleep = sleep

    @cached_property
    def profile(self) -> Profile:
        """The API and key to use. Raises `CommandError` if there are none."""
        return chosen_profile(self.args.profile)

    @cached_property
    def redial(self) -> Redial:
        """The client of the chosen profile."""
        return Redial(self.profile.url, self.profile.api_key, sleep=self.sleep)

    @cached_property
    def agent_id(self) -> str:
        """The agent of --agent, by id or name, or the only agent. Raises `CommandError` and `RedialError`."""
        return self.redial.agents.find(self.args.agent or os.environ.get("REDIAL_AGENT"))
