"""The safeguards of the protocol: where each is in the code, which promise breaks without it, and in how many steps.

The lengths are those of the shortest counterexamples. docs/protocol.md shows the counterexamples themselves.
"""

from typing import NamedTuple


class Safeguard(NamedTuple):
    """`where`: module and name, below `redial`."""

    model: str
    name: str
    where: str
    promise: str
    steps: int


SAFEGUARDS = (
    Safeguard(
        "dial", "claim, then ask the carrier", "usecases.dial_attempt:Dialler._call", "at most one call per attempt", 4
    ),
)
